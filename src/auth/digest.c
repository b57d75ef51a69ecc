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

/* One of the two hashes of HMAC: of the key xor @pad, then @bytes. */
static void hash_padded(const uint8_t key[SHA256_CBLOCK], uint8_t pad, const void *bytes,
			size_t size, uint8_t result[DIGEST_SHA256])
{
	uint8_t block[SHA256_CBLOCK];
	SHA256_CTX context;
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = key[i] ^ pad;
	must(SHA256_Init(&context) && SHA256_Update(&context, block, sizeof block) &&
	     SHA256_Update(&context, bytes, size) && SHA256_Final(result, &context));
	OPENSSL_cleanse(block, sizeof block);
	OPENSSL_cleanse(&context, sizeof context);
}

void digest_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
			uint8_t result[DIGEST_SHA256])
{
	uint8_t padded[SHA256_CBLOCK] = {0}, inner[DIGEST_SHA256];
	if (key_size > sizeof padded)
		digest_sha256(key, key_size, padded);
	else if (key_size)
		memcpy(padded, key, key_size);
	hash_padded(padded, 0x36, bytes, size, inner);
	hash_padded(padded, 0x5c, inner, sizeof inner, result);
	OPENSSL_cleanse(padded, sizeof padded);
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

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

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
	uint32_t bits = 0;
	unsigned bit_count = 0;
	for (size_t i = 0; i < length - padding; i++) {
		int value = base64_value(text[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			*bytes++ = (uint8_t)(bits >> bit_count);
			bits &= (1u << bit_count) - 1;
		}
	}
	/* Bits that are left over say nothing and must be 0, else two texts would mean the same
	 * bytes. */
	*decoded = whole;
	return bits == 0;
}

const char *digest_describe(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
