/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/map.h"
#include "core/memory.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A table of 32 buckets is 512 bytes: too much for maps that each connection has. */
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS 8U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 3U

#undef uthash_malloc
#undef uthash_free
#define uthash_malloc(size) memory_alloc(size)
#define uthash_free(pointer, size) free(pointer)

static inline uint64_t rotate(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
	v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 with a key of this process: peers choose names, and shall not choose them to collide.
 */
static unsigned hash(const void *key, size_t size)
{
	static uint64_t secret[2];
	if (!secret[0] && getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		secret[0] = (uintptr_t)&size; /* an address is still a guess */
	secret[0] |= 1;

	uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
			 secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573};
	const uint8_t *bytes = key;
	uint64_t word, last = (uint64_t)size << 56;
	for (size_t left = size; left >= 8; left -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < size % 8; i++)
		last |= (uint64_t)bytes[i] << 8 * i;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v), sip_round(v), sip_round(v);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	return (unsigned)(word ^ word >> 32);
}

uint32_t map_length(const struct map *map)
{
	return HASH_COUNT(map->first);
}

static struct map_node *find(const struct map *map, const void *key, size_t size, unsigned value)
{
	struct map_node *first = map->first, *found;
	HASH_FIND_BYHASHVALUE(hh, first, key, (unsigned)size, value, found);
	return found;
}

struct map_node *map_find(const struct map *map, const void *key, size_t size)
{
	return map->first ? find(map, key, size, hash(key, size)) : NULL;
}

bool map_try_add(struct map *map, const void *key, size_t size, struct map_node *node)
{
	unsigned value = hash(key, size);
	if (find(map, key, size, value))
		return false;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, map->first, key, (unsigned)size, value, node);
	return true;
}

void map_add(struct map *map, const void *key, size_t size, struct map_node *node)
{
	bool was_added = map_try_add(map, key, size, node);
	assert(was_added);
	(void)was_added;
}

void map_remove(struct map *map, struct map_node *node)
{
	HASH_DELETE(hh, map->first, node);
}
