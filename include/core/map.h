/* SPDX-License-Identifier: ISC */
/* map: an intrusive hash table keyed by bytes (uthash). The key's bytes belong to the member and
 * must not change while it is in the map. This room alone includes uthash.h; it is macros in a
 * header, hence included here. */
#ifndef PGWEIR_CORE_MAP_H
#define PGWEIR_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 0
#include <uthash.h>

struct map_node {
	UT_hash_handle hh;
};

struct map {
	struct map_node *first; /* in order of insertion */
};

static inline void map_init(struct map *map)
{
	map->first = NULL;
}

/* Number of members. */
uint32_t map_length(const struct map *map);
/* The member with this key, or NULL. */
struct map_node *map_find(const struct map *map, const void *key, size_t size);
/* Add @node under @key (not copied; must stay valid). The key must not be in the map. */
void map_add(struct map *map, const void *key, size_t size, struct map_node *node);
/* The same if the key is not in the map. False: it is, and nothing was done. */
bool map_try_add(struct map *map, const void *key, size_t size, struct map_node *node);
/* Remove a member. */
void map_remove(struct map *map, struct map_node *node);
/* Next in order of insertion, or NULL. */
static inline struct map_node *map_next(const struct map_node *node)
{
	return node->hh.next;
}

/* The walked node may be removed. */
#define map_foreach(node, map)                                                                  \
	for (struct map_node *node = (map)->first, *node##_next = node ? map_next(node) : NULL; \
	     node; node = node##_next, node##_next = node ? map_next(node) : NULL)

#endif
