/* SPDX-License-Identifier: ISC */
/* relay: walks what one connection received, message by message, and gathers what goes on to its
 * partner: whole spans in place, not copied but to join a little with what replaces its beginning.
 * Headers are parsed, bodies are not: how much of a message must be seen is in messages.def. One
 * walk serves both directions.
 *
 * Hot path: for a message that only passes, a table look-up and an addition. */
#ifndef PGWEIR_CONN_RELAY_H
#define PGWEIR_CONN_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "conn/endpoint.h"

/* What becomes of a message that was seen. */
enum relay_action {
	RELAY_FORWARD,
	RELAY_DROP,
	RELAY_FORWARD_PAUSE, /* forward it, then return, since what follows is to be seen with other
				eyes */
	RELAY_DROP_PAUSE,
	RELAY_STOP,    /* leave it and what follows where they are */
	RELAY_SHORT,   /* more of it must be here before it can be seen */
	RELAY_REPLACE, /* batch->replacement stands for its first batch->replaced bytes */
};

/* How a walk ended. */
enum relay_end {
	RELAY_DONE, /* nothing more to do with these bytes: the rest is an incomplete message, to be
		       held */
	RELAY_PAUSED,	  /* walk again with the rest */
	RELAY_STOPPED,	  /* a message was refused by RELAY_STOP; the rest begins with it */
	RELAY_BAD_TYPE,	  /* ... or is of a type that this side may not send */
	RELAY_BAD_LENGTH, /* ... or has a length below 4, or beyond the maximum */
};

struct relay;
struct relay_batch;
typedef enum relay_end relay_walk_fn(const struct relay *relay, struct endpoint *from,
				     const uint8_t *bytes, size_t size, uint32_t maximum,
				     struct relay_batch *batch);
struct relay {
	const uint8_t *care; /* enum message_care by type */
	/* See a message: @body has @available of its @size bytes, as many as its care asks for. */
	enum relay_action (*see)(struct endpoint *from, uint8_t type, const uint8_t *body,
				 uint32_t size, uint32_t available, struct relay_batch *batch);
	bool joins;	     /* little that is replaced is to become one piece, with what follows */
	relay_walk_fn *walk; /* relay_walk(), or what does the same with less */
};

enum {
	RELAY_PIECES = 60,
	RELAY_REPLACEMENT = 16, /* pieces that may stand for one message */
	RELAY_JOINED = 8192,	/* bytes of a batch that may be copied to join them */
};

struct relay_batch {
	const uint8_t *rest;
	size_t rest_size;
	size_t size; /* of all pieces */
	int count;
	/* RELAY_REPLACE: filled in by see(). The bytes must last until the batch is written. */
	int replacements;
	size_t replaced; /* bytes from the message's type on, at most what is there; all of it: the
			    message is gone */
	struct iovec replacement[RELAY_REPLACEMENT];
	uint8_t *room; /* what see() made ends here; with relay->joins there is room for
			  RELAY_JOINED bytes more than it makes */
	struct iovec pieces[RELAY_PIECES]; /* for the partner */
};

/* Walk @bytes that @from received. No message may be longer than @maximum (its length field).
 * from->body_left is kept: a message may go on in what comes next. */
relay_walk_fn relay_walk;

/* Little of which something was replaced becomes one piece, made in the batch's room. */
void relay_join(struct relay_batch *batch);

#endif
