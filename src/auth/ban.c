/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ban.h"
#include <string.h>
#include "core/list.h"
#include "core/map.h"
#include "core/memory.h"

/* An IPv4 address, or the network of an IPv6 host: whoever has one has all of its 2^64. */
struct key {
	uint8_t family;
	uint8_t bytes[8];
};

struct failures {
	struct map_node node; /* by key */
	struct key key;
	struct list_node of_age; /* the latest failure last */
	usec_t first, last;	 /* of those counted */
	int count;
};

static struct map addresses;
static struct list by_age;

static bool make_key(const struct address *address, struct key *key)
{
	memset(key, 0, sizeof *key);
	key->family = address->family;
	if (address->family == AF_INET)
		memcpy(key->bytes, &address->v4, sizeof address->v4);
	else if (address->family == AF_INET6)
		memcpy(key->bytes, &address->v6, sizeof key->bytes);
	else
		return false;
	return true;
}

static struct failures *find(const struct address *address, struct key *key)
{
	if (!make_key(address, key))
		return NULL;
	struct map_node *node = map_find(&addresses, key, sizeof *key);
	return node ? container_of(node, struct failures, node) : NULL;
}

static void drop(struct failures *failures)
{
	map_remove(&addresses, &failures->node);
	list_remove(&by_age, &failures->of_age);
	memory_free(&failures);
}

void ban_note_failure(const struct address *address, usec_t now, usec_t window)
{
	struct key key;
	struct failures *failures = find(address, &key);
	if (key.family != AF_INET && key.family != AF_INET6)
		return;
	if (!by_age.head.next)
		list_init(&by_age);
	if (!failures) {
		if (by_age.length >= BAN_ADDRESSES_MAX)
			drop(container_of(list_first(&by_age), struct failures, of_age));
		failures = memory_alloc(sizeof *failures);
		failures->key = key;
		map_add(&addresses, &failures->key, sizeof failures->key, &failures->node);
		list_push_last(&by_age, &failures->of_age);
	}
	if (failures->count == 0 || now - failures->first >= window) {
		failures->first = now;
		failures->count = 0;
	}
	failures->last = now;
	failures->count++;
	list_remove(&by_age, &failures->of_age);
	list_push_last(&by_age, &failures->of_age);
}

bool ban_holds(const struct address *address, usec_t now, int limit, usec_t window)
{
	struct key key;
	const struct failures *failures = limit > 0 ? find(address, &key) : NULL;
	return failures && failures->count >= limit && now - failures->last < window;
}

void ban_release(void)
{
	map_foreach (node, &addresses)
		drop(container_of(node, struct failures, node));
}
