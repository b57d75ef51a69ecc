/* SPDX-License-Identifier: ISC */
/* cancel: cancel keys, and whom a CancelRequest means: a client here, or one of a peer. A key is
 * the process id and the secret of BackendKeyData, unguessable as a whole: the secret has 4 bytes
 * in protocol 3.0 and 32 in 3.2. Among peers its first bytes say who made it, as PgBouncer lays
 * them out (contract section 14), so that any peer can send it on:
 *
 *   byte 0       random, the highest bit 0: clients show the process id as a signed number
 *   bytes 1, 2   peer_id, the low byte first; random where there is none
 *   bytes 3..6   random (byte 4 is the first of the secret)
 *   byte 7       six random bits, and how many peers the request may still pass through
 *   bytes 8..35  random, in protocol 3.2 only
 */
#ifndef PGWEIR_CONN_CANCEL_H
#define PGWEIR_CONN_CANCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"
#include "core/map.h"

enum {
	CANCEL_HEAD = 8,	 /* process id and the first bytes of the secret: looked up */
	CANCEL_SECRET = 4,	 /* protocol 3.0 */
	CANCEL_SECRET_LONG = 32, /* protocol 3.2 */
	CANCEL_PEERS_MAX = 3,	 /* that a request passes through */
};

/* Embedded in who can be cancelled. */
struct cancel_key {
	struct map_node node;
	uint8_t head[CANCEL_HEAD];
	uint8_t *tail; /* of a long secret: what follows the head; NULL: it is a short one */
	bool is_listed;
};

/* What a CancelRequest says. */
struct cancel_request {
	uint32_t process_id;
	const uint8_t *secret;
	size_t size; /* 4 or more */
};

/* Make a new key, with a secret of CANCEL_SECRET or CANCEL_SECRET_LONG bytes, and list it.
 * @peer_id: of this process; 0: it has no peers. */
void cancel_key_add(struct cancel_key *key, size_t secret_size, unsigned peer_id);
/* Harmless twice. */
void cancel_key_remove(struct cancel_key *key);
/* Append BackendKeyData. */
bool cancel_key_put(const struct cancel_key *key, struct buffer **out, size_t cap);
/* NULL: nobody has this key. */
struct cancel_key *cancel_key_find(const struct cancel_request *request);

/* The peer_id of who made the key, if peers have one; and how often it may still be sent on. */
unsigned cancel_peer_id(const struct cancel_request *request);
unsigned cancel_hops_left(const struct cancel_request *request);
/* Set the latter in a @secret. */
void cancel_set_hops_left(uint8_t *secret, unsigned hops);

#endif
