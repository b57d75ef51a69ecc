/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/cancel.h"
#include <string.h>
#include "auth/digest.h"
#include "core/memory.h"
#include "core/random.h"
#include "proto/message.h"
#include "proto/response.h"

enum {
	PEER_LOW = 1,
	PEER_HIGH = 2, /* bytes of the head */
	HOPS_AT = 3,   /* byte of the secret */
	HOPS_MASK = 3,
	PROCESS_ID = 4,
	HEAD_SECRET = CANCEL_HEAD - PROCESS_ID,
	TAIL = CANCEL_SECRET_LONG - HEAD_SECRET,
};

static struct map keys;

static void make_head(uint8_t head[CANCEL_HEAD], unsigned peer_id)
{
	random_bytes(head, CANCEL_HEAD);
	head[0] &= 0x7f;
	if (peer_id) {
		head[PEER_LOW] = (uint8_t)peer_id;
		head[PEER_HIGH] = (uint8_t)(peer_id >> 8);
	}
	/* A key is listed, and found, as if it had been sent on by nobody. */
	cancel_set_hops_left(head + PROCESS_ID, CANCEL_PEERS_MAX);
}

void cancel_key_add(struct cancel_key *key, size_t secret_size, unsigned peer_id)
{
	do
		make_head(key->head, peer_id);
	while (message_get32(key->head) == 0 ||
	       !map_try_add(&keys, key->head, sizeof key->head, &key->node));
	if (secret_size == CANCEL_SECRET_LONG) {
		key->tail = memory_alloc(TAIL);
		random_bytes(key->tail, TAIL);
	}
	key->is_listed = true;
}

void cancel_key_remove(struct cancel_key *key)
{
	if (key->is_listed)
		map_remove(&keys, &key->node);
	key->is_listed = false;
	if (key->tail)
		memory_erase(key->tail, TAIL);
	memory_free(&key->tail);
}

bool cancel_key_put(const struct cancel_key *key, struct buffer **out, size_t cap)
{
	uint8_t secret[CANCEL_SECRET_LONG];
	memcpy(secret, key->head + PROCESS_ID, HEAD_SECRET);
	if (key->tail)
		memcpy(secret + HEAD_SECRET, key->tail, TAIL);
	return response_put_backend_key_data(out, cap, message_get32(key->head), secret,
					     key->tail ? CANCEL_SECRET_LONG : CANCEL_SECRET);
}

struct cancel_key *cancel_key_find(const struct cancel_request *request)
{
	uint8_t head[CANCEL_HEAD];
	if (request->size != CANCEL_SECRET && request->size != CANCEL_SECRET_LONG)
		return NULL;
	message_put32(head, request->process_id);
	memcpy(head + PROCESS_ID, request->secret, HEAD_SECRET);
	cancel_set_hops_left(head + PROCESS_ID, CANCEL_PEERS_MAX);
	struct map_node *node = map_find(&keys, head, sizeof head);
	if (!node)
		return NULL;
	struct cancel_key *key =
		(struct cancel_key *)(void *)((char *)node - offsetof(struct cancel_key, node));
	if ((request->size == CANCEL_SECRET_LONG) != (key->tail != NULL))
		return NULL;
	return !key->tail || digest_is_equal(key->tail, request->secret + HEAD_SECRET, TAIL) ? key
											     : NULL;
}

unsigned cancel_peer_id(const struct cancel_request *request)
{
	uint8_t head[PROCESS_ID];
	message_put32(head, request->process_id);
	return head[PEER_LOW] | (unsigned)head[PEER_HIGH] << 8;
}

unsigned cancel_hops_left(const struct cancel_request *request)
{
	return request->secret[HOPS_AT] & HOPS_MASK;
}

void cancel_set_hops_left(uint8_t *secret, unsigned hops)
{
	secret[HOPS_AT] = (uint8_t)((secret[HOPS_AT] & ~HOPS_MASK) | (hops & HOPS_MASK));
}
