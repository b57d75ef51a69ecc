/* SPDX-License-Identifier: ISC */
/* key_cache: SCRAM keys that were derived from passwords, so that the same password is not put
 * through thousands of hashes at each login. Bounded: the least recently used go first. A password
 * itself is not kept, only a hash of it under a key of this process. Everything is erased when it
 * goes. */
#ifndef PGWEIR_AUTH_KEY_CACHE_H
#define PGWEIR_AUTH_KEY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "auth/digest.h"

enum { KEY_CACHE_ENTRIES = 1000 };

/* ClientKey and ServerKey of RFC 5802. */
struct scram_keys {
	uint8_t client_key[DIGEST_SHA256], server_key[DIGEST_SHA256];
};

/* What the keys are derived from. */
struct key_source {
	const char *password;
	const uint8_t *salt;
	size_t salt_size;
	uint32_t iterations;
};

bool key_cache_find(const struct key_source *source, struct scram_keys *keys);
void key_cache_add(const struct key_source *source, const struct scram_keys *keys);
/* Room for so many besides the KEY_CACHE_ENTRIES: those of auth_file, which are derived at load. */
void key_cache_reserve(size_t entries);
void key_cache_release(void);

#endif
