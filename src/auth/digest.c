/* SPDX-License-Identifier: ISC */
/* The SHA256_ functions are deprecated for want of providers, not of quality; a fetch of an
 * algorithm for each of the dozen hashes of a login would cost more than they do. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "config.h"
#include "auth/digest.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A digest that silently came out as rubbish could let someone in. SHA-256 fails only without
 * memory, or with a library that is broken; both are like memory_alloc() failing. */
static void must(bool worked)
{
	if (worked)
		return;
	fputs("the cryptographic library failed to compute SHA-256\n", stderr);
	abort();
}

void digest_sha256(const void *bytes, size_t size, uint8_t result[DIGEST_SHA256])
{
	SHA256_CTX context;
	must(SHA256_Init(&context) && SHA256_Update(&context, bytes, size) &&
	     SHA256_Final(result, &context));
}

/* The state of the hash after one block: the key xor @pad. */
static void hash_pad(const uint8_t key[SHA256_CBLOCK], uint8_t pad, uint32_t state[8])
{
	uint8_t block[SHA256_CBLOCK];
	SHA256_CTX context;
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = key[i] ^ pad;
	must(SHA256_Init(&context));
	SHA256_Transform(&context, block);
	memcpy(state, context.h, sizeof context.h);
	OPENSSL_cleanse(block, sizeof block);
	OPENSSL_cleanse(&context, sizeof context);
}

void digest_hmac_prepare(const void *key, size_t key_size, struct digest_hmac_key *prepared)
{
	uint8_t padded[SHA256_CBLOCK] = {0};
	_Static_assert(sizeof prepared->inner == sizeof((SHA256_CTX *)0)->h, "the state of a hash");
	if (key_size > sizeof padded)
		digest_sha256(key, key_size, padded);
	else if (key_size)
		memcpy(padded, key, key_size);
	hash_pad(padded, 0x36, prepared->inner);
	hash_pad(padded, 0x5c, prepared->outer);
	OPENSSL_cleanse(padded, sizeof padded);
}

/* Go on from the state after one block. */
static void hash_from(const uint32_t state[8], const void *bytes, size_t size,
		      uint8_t result[DIGEST_SHA256])
{
	SHA256_CTX context;
	must(SHA256_Init(&context));
	memcpy(context.h, state, sizeof context.h);
	context.Nl = 8 * SHA256_CBLOCK; /* bits so far */
	must(SHA256_Update(&context, bytes, size) && SHA256_Final(result, &context));
}

void digest_hmac_prepared(const struct digest_hmac_key *prepared, const void *bytes, size_t size,
			  uint8_t result[DIGEST_SHA256])
{
	uint8_t inner[DIGEST_SHA256];
	hash_from(prepared->inner, bytes, size, inner);
	hash_from(prepared->outer, inner, sizeof inner, result);
}

void digest_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
			uint8_t result[DIGEST_SHA256])
{
	struct digest_hmac_key prepared;
	digest_hmac_prepare(key, key_size, &prepared);
	digest_hmac_prepared(&prepared, bytes, size, result);
	OPENSSL_cleanse(&prepared, sizeof prepared);
}

bool digest_pbkdf2_sha256(const char *password, size_t length, const uint8_t *salt,
			  size_t salt_size, unsigned iterations, uint8_t result[DIGEST_SHA256])
{
	if (length > INT_MAX || salt_size > INT_MAX || iterations > INT_MAX)
		return false;
	return PKCS5_PBKDF2_HMAC(password, (int)length, salt, (int)salt_size, (int)iterations,
				 EVP_sha256(), DIGEST_SHA256, result) == 1;
}

bool digest_md5(const void *bytes, size_t size, uint8_t result[DIGEST_MD5])
{
	return EVP_Digest(bytes, size, result, NULL, EVP_md5(), NULL) == 1;
}

bool digest_is_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void digest_base64_encode(const void *bytes, size_t size, char *text)
{
	const uint8_t *at = bytes;
	for (; size >= 3; size -= 3, at += 3) {
		*text++ = base64_digits[at[0] >> 2];
		*text++ = base64_digits[(at[0] & 3) << 4 | at[1] >> 4];
		*text++ = base64_digits[(at[1] & 15) << 2 | at[2] >> 6];
		*text++ = base64_digits[at[2] & 63];
	}
	if (size > 0) {
		uint8_t second = size == 2 ? at[1] : 0;
		*text++ = base64_digits[at[0] >> 2];
		*text++ = base64_digits[(at[0] & 3) << 4 | second >> 4];
		*text++ = size == 2 ? base64_digits[(second & 15) << 2] : '=';
		*text++ = '=';
	}
	*text = '\0';
}

/* The value of a digit, counted from 1; 0: it is none. */
static const uint8_t base64_values[256] = {
	['A'] = 1,  ['B'] = 2,	['C'] = 3,  ['D'] = 4,	['E'] = 5,  ['F'] = 6,	['G'] = 7,
	['H'] = 8,  ['I'] = 9,	['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
	['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
	['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
	['/'] = 64,
};

bool digest_base64_decode(const char *text, size_t length, uint8_t *bytes, size_t size,
			  size_t *decoded)
{
	*decoded = 0;
	if (length % 4 != 0)
		return false;
	size_t padding = length == 0 || text[length - 1] != '=' ? 0
			 : text[length - 2] != '='		? 1
								: 2;
	size_t whole = length / 4 * 3 - padding;
	if (whole > size)
		return false;
	const uint8_t *at = (const uint8_t *)text;
	size_t left = length - padding;
	for (; left >= 4; left -= 4, at += 4) {
		uint32_t a = base64_values[at[0]], b = base64_values[at[1]],
			 c = base64_values[at[2]], d = base64_values[at[3]];
		if (!a || !b || !c || !d)
			return false;
		uint32_t bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
		*bytes++ = (uint8_t)(bits >> 16);
		*bytes++ = (uint8_t)(bits >> 8);
		*bytes++ = (uint8_t)bits;
	}
	/* Bits that are left over say nothing and must be 0, else two texts would mean the same
	 * bytes. */
	*decoded = whole;
	if (left == 0)
		return true;
	uint32_t a = base64_values[at[0]], b = left > 1 ? base64_values[at[1]] : 0,
		 c = left > 2 ? base64_values[at[2]] : 1;
	if (!a || !b || !c)
		return false;
	uint32_t bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6;
	*bytes++ = (uint8_t)(bits >> 16);
	if (left > 2)
		*bytes++ = (uint8_t)(bits >> 8);
	return (bits & (left > 2 ? 0xff : 0xffff)) == 0;
}

const char *digest_describe(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
