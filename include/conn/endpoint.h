/* SPDX-License-Identifier: ISC */
/* endpoint: what client and server share: the stream, the partner, bytes that cannot go on now, the
 * deadline. It is the only type that a partner sees. All receiving goes through one buffer of the
 * process: what a connection got is handed on before the next is read, and what must wait is copied
 * to a small buffer of its own. */
#ifndef PGWEIR_CONN_ENDPOINT_H
#define PGWEIR_CONN_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"
#include "core/list.h"
#include "core/loop.h"
#include "net/address.h"
#include "net/stream.h"
#include "proto/message.h"

enum {
	ENDPOINT_RECEIVE = 128 * 1024,			   /* bytes per read */
	ENDPOINT_HOLD_MAX = 68 * 1024 + MESSAGE_WHOLE_MAX, /* bytes that may be held back between
							      reads: the longest is a password */
	ENDPOINT_QUEUE_MAX =
		512 *
		1024 /* out-queue of a blocked connection; the partner is paused long before */
};

/* What a connection is for, as its start-up packet said. */
enum replication { REPLICATION_NONE, REPLICATION_LOGICAL, REPLICATION_PHYSICAL };

/* What is looked at now and then comes first: one line of the cache. Then each message touches
 * whole lines, together with what client and server have behind it. */
struct endpoint {
	usec_t connected_at;
	struct loop_work ending;
	uint64_t id; /* SHOW CLIENTS, SHOW SERVERS: one counter for both */
	struct address remote;
	/* what each message touches */
	struct stream stream;
	uint32_t magic;
	uint32_t body_left;  /* bytes still to come of a message whose beginning was handed on */
	bool body_dropped;   /* ... or was dropped: then drop the rest */
	uint8_t replication; /* enum replication */
	uint32_t awaited;    /* so many bytes are to be held before anything can be done; 0: any */
	struct endpoint *partner;
	struct buffer *held; /* received, not handed on */
	struct loop_timer timer;
	usec_t request_at;
};

/* "none", "logical", "physical". */
const char *endpoint_replication(const struct endpoint *endpoint);

/* The next id. */
uint64_t endpoint_next_id(void);

/* Read once; what was held before stands in front. IO_DONE: *@bytes, *@size, valid until the next
 * call; *@fresh of them are new. Nothing is held any more then. IO_AGAIN: also while more bytes are
 * awaited, as endpoint_await() said. */
enum io endpoint_receive(struct endpoint *endpoint, uint8_t **bytes, size_t *size, size_t *fresh);
/* Keep bytes for later, behind those kept already. False: more than ENDPOINT_HOLD_MAX (plus one
 * read), or no memory. */
bool endpoint_hold(struct endpoint *endpoint, const uint8_t *bytes, size_t size);

/* Erase what the last events received, as far as @size bytes reach: there was a secret in it. */
void endpoint_erase_received(size_t size);
/* What is held, and cannot go on, must first be @size bytes. Such a message may be larger than what
 * may be held otherwise. */
void endpoint_await(struct endpoint *endpoint, uint32_t size);

/* Make two endpoints partners, and part them. */
void endpoint_link(struct endpoint *a, struct endpoint *b);
void endpoint_unlink(struct endpoint *endpoint);

#endif
