/* SPDX-License-Identifier: ISC */
/* digest: hashes, HMAC and PBKDF2 through OpenSSL, and comparison in constant time. */
#ifndef PGWEIR_AUTH_DIGEST_H
#define PGWEIR_AUTH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SHA256 = 32, DIGEST_MD5 = 16 };

void digest_sha256(const void *bytes, size_t size, uint8_t result[DIGEST_SHA256]);
void digest_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
			uint8_t result[DIGEST_SHA256]);
/* A key of HMAC after its first halves: each use of it saves two of the blocks that are hashed. */
struct digest_hmac_key {
	uint32_t inner[8], outer[8];
};
void digest_hmac_prepare(const void *key, size_t key_size, struct digest_hmac_key *prepared);
void digest_hmac_prepared(const struct digest_hmac_key *prepared, const void *bytes, size_t size,
			  uint8_t result[DIGEST_SHA256]);
bool digest_pbkdf2_sha256(const char *password, size_t length, const uint8_t *salt,
			  size_t salt_size, unsigned iterations, uint8_t result[DIGEST_SHA256]);
/* False: the cryptographic library refuses MD5 (FIPS). */
bool digest_md5(const void *bytes, size_t size, uint8_t result[DIGEST_MD5]);
/* Constant time in @size. */
bool digest_is_equal(const void *a, const void *b, size_t size);
/* Base64 (RFC 4648, with padding). encode: @text has room for 4*((size+2)/3)+1. decode: strict;
 * false on any other character, missing padding, or more than @size bytes. */
void digest_base64_encode(const void *bytes, size_t size, char *text);
bool digest_base64_decode(const char *text, size_t length, uint8_t *bytes, size_t size,
			  size_t *decoded);

/* "OpenSSL 3.0.17 1 Jul 2025", the one that runs. */
const char *digest_describe(void);

#endif
