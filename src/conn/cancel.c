/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/cancel.h"
#include <string.h>
#include "core/random.h"
#include "proto/message.h"

static struct map keys;

void cancel_key_add(struct cancel_key *key)
{
	do {
		random_bytes(key->bytes, sizeof key->bytes);
		key->bytes[0] &= 0x7f; /* clients show the process id as a signed number */
	} while (cancel_key_process_id(key) == 0 ||
		 !map_try_add(&keys, key->bytes, sizeof key->bytes, &key->node));
	key->is_listed = true;
}

void cancel_key_remove(struct cancel_key *key)
{
	if (key->is_listed)
		map_remove(&keys, &key->node);
	key->is_listed = false;
}

struct cancel_key *cancel_key_find(uint32_t process_id, const uint8_t *secret, size_t size)
{
	uint8_t bytes[CANCEL_KEY];
	if (size != CANCEL_SECRET)
		return NULL;
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(process_id >> (24 - 8 * i));
	memcpy(bytes + 4, secret, CANCEL_SECRET);
	struct map_node *node = map_find(&keys, bytes, sizeof bytes);
	return node ? (struct cancel_key *)(void *)((char *)node -
						    offsetof(struct cancel_key, node))
		    : NULL;
}

uint32_t cancel_key_process_id(const struct cancel_key *key)
{
	return message_get32(key->bytes);
}
