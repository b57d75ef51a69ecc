/* SPDX-License-Identifier: ISC */
/* The SHA256_ functions are deprecated for want of providers, not of quality; a fetch of an
 * algorithm for each of the dozen hashes of a login would cost more than they do. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "config.h"
#include "auth/digest.h"
#include "core/memory.h"
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = SHA256_CBLOCK };

/* A digest that silently came out as rubbish could let someone in. These fail only in a library
 * that is broken, which is like memory_alloc() failing. */
static void must(int worked)
{
	if (worked == 1)
		return;
	fputs("the cryptographic library failed to compute SHA-256\n", stderr);
	abort();
}

static void update(SHA256_CTX *context, const struct digest_part *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].size > 0)
			must(SHA256_Update(context, parts[i].bytes, parts[i].size));
	}
}

void digest_sha256_parts(const struct digest_part *parts, size_t count,
			 uint8_t result[DIGEST_SHA256])
{
	SHA256_CTX context;
	must(SHA256_Init(&context));
	update(&context, parts, count);
	must(SHA256_Final(result, &context));
	memory_erase(&context, sizeof(context));
}

void digest_sha256(const void *bytes, size_t size, uint8_t result[DIGEST_SHA256])
{
	const struct digest_part part = {bytes, size};
	digest_sha256_parts(&part, 1, result);
}

static void put32(uint8_t bytes[4], uint32_t value)
{
	value = htobe32(value);
	memcpy(bytes, &value, sizeof(value));
}

/* A context that has taken a pad, which is one block. */
static void resume(SHA256_CTX *context, const uint32_t state[8])
{
	must(SHA256_Init(context));
	for (int i = 0; i < 8; i++)
		context->h[i] = state[i];
	context->Nl = BLOCK * 8;
}

static void hash_pad(const uint8_t key[BLOCK], uint8_t with, uint32_t state[8])
{
	uint8_t pad[BLOCK];
	SHA256_CTX context;
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] = key[i] ^ with;
	must(SHA256_Init(&context));
	SHA256_Transform(&context, pad);
	for (int i = 0; i < 8; i++)
		state[i] = context.h[i];
	memory_erase(pad, sizeof(pad));
	memory_erase(&context, sizeof(context));
}

void digest_hmac_key_init(struct digest_hmac_key *key, const void *bytes, size_t size)
{
	uint8_t block[BLOCK] = {0};
	if (size > BLOCK)
		digest_sha256(bytes, size, block);
	else if (size > 0)
		memcpy(block, bytes, size);
	hash_pad(block, 0x36, key->inner);
	hash_pad(block, 0x5c, key->outer);
	memory_erase(block, sizeof(block));
}

static void put_state(uint8_t *bytes, const SHA256_CTX *context)
{
	for (int i = 0; i < 8; i++)
		put32(bytes + 4 * i, context->h[i]);
}

/* The one block that an outer hash is of, 32 bytes behind a pad, or an inner one of PBKDF2: behind
 * them are the padding's 1 bit and the length of 96 bytes. */
#define SHORT_BLOCK                                     \
	{                                               \
		[DIGEST_SHA256] = 0x80, [BLOCK - 2] = 3 \
	}

/* The outer hash; the inner one begins @block. Erases both. */
static void finish_hmac(const struct digest_hmac_key *key, SHA256_CTX *context,
			uint8_t block[BLOCK], uint8_t result[DIGEST_SHA256])
{
	memcpy(context->h, key->outer, sizeof(key->outer));
	SHA256_Transform(context, block);
	put_state(result, context);
	memory_erase(block, BLOCK);
	memory_erase(context, sizeof(*context));
}

void digest_hmac_parts(const struct digest_hmac_key *key, const struct digest_part *parts,
		       size_t count, uint8_t result[DIGEST_SHA256])
{
	uint8_t block[BLOCK] = SHORT_BLOCK;
	SHA256_CTX context;
	resume(&context, key->inner);
	update(&context, parts, count);
	must(SHA256_Final(block, &context));
	finish_hmac(key, &context, block, result);
}

size_t digest_pad(uint8_t *bytes, size_t size)
{
	size_t padded = (size + DIGEST_PADDING) / BLOCK * BLOCK;
	bytes[size] = 0x80;
	memset(bytes + size + 1, 0, padded - size - 1);
	put32(bytes + padded - 4, (uint32_t)((BLOCK + size) * 8));
	return padded;
}

void digest_hmac_padded(const struct digest_hmac_key *key, const uint8_t *bytes, size_t padded,
			uint8_t result[DIGEST_SHA256])
{
	uint8_t block[BLOCK] = SHORT_BLOCK;
	SHA256_CTX context;
	resume(&context, key->inner);
	must(SHA256_Update(&context, bytes, padded));
	put_state(block, &context);
	finish_hmac(key, &context, block, result);
}

void digest_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
			uint8_t result[DIGEST_SHA256])
{
	const struct digest_part part = {bytes, size};
	struct digest_hmac_key pads;
	digest_hmac_key_init(&pads, key, key_size);
	digest_hmac_parts(&pads, &part, 1, result);
	memory_erase(&pads, sizeof(pads));
}

bool digest_pbkdf2_sha256(const char *password, size_t length, const uint8_t *salt,
			  size_t salt_size, uint32_t iterations, uint8_t result[DIGEST_SHA256])
{
	static const uint8_t first[4] = {0, 0, 0, 1};
	const struct digest_part parts[] = {{salt, salt_size}, {first, sizeof(first)}};
	struct digest_hmac_key key;
	SHA256_CTX context;
	if (iterations == 0)
		return false;
	digest_hmac_key_init(&key, password, length);
	digest_hmac_parts(&key, parts, 2, result);
	/* From here on each HMAC is two blocks of one shape, of which the first half changes. */
	uint8_t block[BLOCK] = SHORT_BLOCK;
	memcpy(block, result, DIGEST_SHA256);
	must(SHA256_Init(&context));
	while (--iterations > 0) {
		memcpy(context.h, key.inner, sizeof(key.inner));
		SHA256_Transform(&context, block);
		put_state(block, &context);
		memcpy(context.h, key.outer, sizeof(key.outer));
		SHA256_Transform(&context, block);
		put_state(block, &context);
		for (size_t i = 0; i < DIGEST_SHA256; i++)
			result[i] ^= block[i];
	}
	memory_erase(&key, sizeof(key));
	memory_erase(&context, sizeof(context));
	memory_erase(block, sizeof(block));
	return true;
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
		/* The ones that they count from: 1 << 18 | 1 << 12 | 1 << 6 | 1. */
		uint32_t bits = (a << 18) + (b << 12) + (c << 6) + d - 0x41041;
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
