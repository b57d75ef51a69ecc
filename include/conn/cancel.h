/* SPDX-License-Identifier: ISC */
/* cancel: cancel keys: finds whom a CancelRequest means. A key is the process id and secret of
 * BackendKeyData, unguessable as a whole. (Peers will put their id into it.) */
#ifndef PGWEIR_CONN_CANCEL_H
#define PGWEIR_CONN_CANCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/map.h"

enum { CANCEL_KEY = 8, CANCEL_SECRET = 4 };

/* Embedded in who can be cancelled. */
struct cancel_key {
	struct map_node node;
	uint8_t bytes[CANCEL_KEY]; /* process id (big-endian, positive), secret */
	bool is_listed;
};

/* Make a new key and list it. */
void cancel_key_add(struct cancel_key *key);
/* Harmless twice. */
void cancel_key_remove(struct cancel_key *key);
/* NULL: nobody has this key. */
struct cancel_key *cancel_key_find(uint32_t process_id, const uint8_t *secret, size_t size);
uint32_t cancel_key_process_id(const struct cancel_key *key);
static inline const uint8_t *cancel_key_secret(const struct cancel_key *key)
{
	return key->bytes + CANCEL_KEY - CANCEL_SECRET;
}

#endif
