/* SPDX-License-Identifier: ISC */
/* digest: hashes, HMAC and PBKDF2 through OpenSSL, and comparison in constant time. SHA-256 is
 * OpenSSL's, called below its provider machinery: that costs more than the hash of a SCRAM message
 * itself. Everything here is pure and safe in any thread. */
#ifndef PGWEIR_AUTH_DIGEST_H
#define PGWEIR_AUTH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SHA256 = 32, DIGEST_MD5 = 16, DIGEST_PADDING = 72 };

/* A piece of what is digested, so that pieces need not be joined first. */
struct digest_part {
	const void *bytes;
	size_t size;
};

/* A key of HMAC-SHA-256, its two pads hashed already: each use saves two blocks. Erase it. */
struct digest_hmac_key {
	uint32_t inner[8], outer[8];
};

void digest_sha256(const void *bytes, size_t size, uint8_t result[DIGEST_SHA256]);
void digest_sha256_parts(const struct digest_part *parts, size_t count,
			 uint8_t result[DIGEST_SHA256]);
void digest_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
			uint8_t result[DIGEST_SHA256]);
void digest_hmac_key_init(struct digest_hmac_key *key, const void *bytes, size_t size);
void digest_hmac_parts(const struct digest_hmac_key *key, const struct digest_part *parts,
		       size_t count, uint8_t result[DIGEST_SHA256]);
/* The same for a message that several keys sign. digest_pad() completes the @size bytes, behind
 * which is room for DIGEST_PADDING more, to whole blocks, and returns how long they are. */
size_t digest_pad(uint8_t *bytes, size_t size);
void digest_hmac_padded(const struct digest_hmac_key *key, const uint8_t *bytes, size_t padded,
			uint8_t result[DIGEST_SHA256]);
/* The time taken is proportional to @iterations. False: there are none. */
bool digest_pbkdf2_sha256(const char *password, size_t length, const uint8_t *salt,
			  size_t salt_size, uint32_t iterations, uint8_t result[DIGEST_SHA256]);
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
