/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/key_cache.h"
#include <string.h>
#include "core/list.h"
#include "core/map.h"
#include "core/memory.h"
#include "core/random.h"

struct entry {
	struct map_node node;	 /* by name */
	struct list_node of_use; /* the latest used last */
	uint8_t name[DIGEST_SHA256];
	struct scram_keys keys;
};

static struct map entries;
static struct list by_use;
static size_t reserved;
static struct {
	bool is_made;
	struct digest_hmac_key key;
} secret;

static void make_name(const struct key_source *source, uint8_t name[DIGEST_SHA256])
{
	/* Numbers first, so that no two sources are one text. */
	const uint64_t numbers[] = {source->iterations, source->salt_size};
	const struct digest_part parts[] = {
		{numbers, sizeof numbers},
		{source->salt, source->salt_size},
		{source->password, strlen(source->password)},
	};
	if (!secret.is_made) {
		uint8_t bytes[DIGEST_SHA256];
		random_bytes(bytes, sizeof bytes);
		digest_hmac_key_init(&secret.key, bytes, sizeof bytes);
		memory_erase(bytes, sizeof bytes);
		secret.is_made = true;
		list_init(&by_use);
	}
	digest_hmac_parts(&secret.key, parts, sizeof parts / sizeof *parts, name);
}

static struct entry *find(const uint8_t name[DIGEST_SHA256])
{
	struct map_node *node = map_find(&entries, name, DIGEST_SHA256);
	return node ? container_of(node, struct entry, node) : NULL;
}

static void drop(struct entry *entry)
{
	map_remove(&entries, &entry->node);
	list_remove(&by_use, &entry->of_use);
	memory_erase(entry, sizeof *entry);
	memory_free(&entry);
}

bool key_cache_find(const struct key_source *source, struct scram_keys *keys)
{
	uint8_t name[DIGEST_SHA256];
	make_name(source, name);
	struct entry *entry = find(name);
	if (!entry)
		return false;
	list_remove(&by_use, &entry->of_use);
	list_push_last(&by_use, &entry->of_use);
	*keys = entry->keys;
	return true;
}

void key_cache_add(const struct key_source *source, const struct scram_keys *keys)
{
	uint8_t name[DIGEST_SHA256];
	make_name(source, name);
	if (find(name))
		return;
	while (by_use.length >= KEY_CACHE_ENTRIES + reserved)
		drop(container_of(list_first(&by_use), struct entry, of_use));
	struct entry *entry = memory_alloc(sizeof *entry);
	memcpy(entry->name, name, sizeof name);
	entry->keys = *keys;
	map_add(&entries, entry->name, sizeof entry->name, &entry->node);
	list_push_last(&by_use, &entry->of_use);
}

void key_cache_reserve(size_t count)
{
	reserved = count;
}

void key_cache_release(void)
{
	map_foreach (node, &entries)
		drop(container_of(node, struct entry, node));
}
