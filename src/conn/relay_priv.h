/* SPDX-License-Identifier: ISC */
/* relay_priv: the walk of relay, for those who are called for each message of the usual request and
 * its answer: a walk of their own calls nobody for what it sees. */
#ifndef PGWEIR_SRC_CONN_RELAY_PRIV_H
#define PGWEIR_SRC_CONN_RELAY_PRIV_H

#include "conn/relay.h"
#include <string.h>
#include "core/likely.h"
#include "proto/message.h"

enum { RELAY_REFUSE = RELAY_REPLACE + 1 }; /* it is longer than it may be */
/* See a message that is not all here, or long. */
int relay_see_unusual(const struct relay *relay, struct endpoint *from, const uint8_t *at,
		      size_t here, struct relay_batch *batch);

/* Do bytes at @at follow the last piece? */
static inline bool relay_follows(const struct relay_batch *batch, const void *at)
{
	const struct iovec *last = &batch->pieces[batch->count - 1];
	return batch->count && (const uint8_t *)last->iov_base + last->iov_len == at;
}

static inline void relay_gather(const struct relay *relay, struct relay_batch *batch,
				const uint8_t *from, const uint8_t *to)
{
	if (to <= from)
		return;
	size_t size = (size_t)(to - from);
	batch->size += size;
	if (relay->joins && batch->size <= RELAY_JOINED && relay_follows(batch, batch->room)) {
		memcpy(batch->room, from, size);
		batch->room += size;
		batch->pieces[batch->count - 1].iov_len += size;
		return;
	}
	batch->pieces[batch->count++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)from, .iov_len = size};
}

/* What stands for the beginning of a message. */
static inline void relay_put_replacement(const struct relay *relay, struct relay_batch *batch)
{
	for (int i = 0; i < batch->replacements; i++) {
		const struct iovec *piece = &batch->replacement[i];
		batch->size += piece->iov_len;
		if (relay->joins && batch->size <= RELAY_JOINED &&
		    relay_follows(batch, piece->iov_base))
			batch->pieces[batch->count - 1].iov_len += piece->iov_len;
		else
			batch->pieces[batch->count++] = *piece;
	}
}

/* relay_walk(). Where @relay is a constant of the caller, relay->see() becomes part of the walk. */
static inline __attribute__((always_inline)) enum relay_end
relay_walk_inline(const struct relay *relay, struct endpoint *from, const uint8_t *bytes,
		  size_t size, uint32_t maximum, struct relay_batch *batch)
{
	const uint8_t *const care_of = relay->care;
	const uint8_t *at = bytes, *const end = bytes + size, *begin = bytes;
	enum relay_end result = RELAY_DONE;
	batch->count = 0;
	batch->size = 0;
	if (from->body_left) {
		size_t here = size < from->body_left ? size : from->body_left;
		from->body_left -= (uint32_t)here;
		at += here;
		if (from->body_dropped) {
			begin = at;
			from->body_dropped = from->body_left > 0;
		}
	}
	if (end - at < MESSAGE_HEADER)
		goto out;
	/* a header may begin there at the latest */
	const uint8_t *const last = end - MESSAGE_HEADER;
	do {
		uint32_t length = message_length(at);
		enum message_care care = care_of[*at];
		size_t whole = (size_t)length + 1, here = (size_t)(end - at);
		/* also below 4, by wrapping round */
		if (UNLIKELY(length - MESSAGE_LENGTH_MIN > maximum - MESSAGE_LENGTH_MIN)) {
			result = care == MESSAGE_INVALID ? RELAY_BAD_TYPE : RELAY_BAD_LENGTH;
			break;
		}
		if (care <= MESSAGE_PASS) { /* most are messages that only pass */
			if (UNLIKELY(care == MESSAGE_INVALID)) {
				result = RELAY_BAD_TYPE;
				break;
			}
			if (UNLIKELY(here < whole)) {
				from->body_left = (uint32_t)(whole - here);
				whole = here;
			}
			at += whole;
			continue;
		}
		int action;
		if (LIKELY(here >= whole && whole <= MESSAGE_WHOLE_MAX)) {
			uint32_t body = length - MESSAGE_LENGTH_MIN;
			action = relay->see(from, *at, at + MESSAGE_HEADER, body, body, batch);
			if (LIKELY(action == RELAY_FORWARD)) {
				at += whole;
				continue;
			}
		} else {
			action = relay_see_unusual(relay, from, at, here, batch);
			if (action == RELAY_REFUSE) {
				result = RELAY_BAD_LENGTH;
				break;
			}
		}
		if (action == RELAY_STOP) {
			result = RELAY_STOPPED;
			break;
		}
		if (action == RELAY_SHORT)
			break;
		bool drop = action == RELAY_DROP || action == RELAY_DROP_PAUSE;
		if (drop)
			relay_gather(relay, batch, begin, at);
		if (action == RELAY_REPLACE) {
			relay_gather(relay, batch, begin, at);
			relay_put_replacement(relay, batch);
			begin = at + batch->replaced;
		}
		if (LIKELY(here >= whole)) {
			at += whole;
		} else {
			from->body_left = (uint32_t)(whole - here);
			from->body_dropped = drop;
			at = end;
		}
		if (drop)
			begin = at;
		if (action == RELAY_FORWARD_PAUSE || action == RELAY_DROP_PAUSE ||
		    batch->count >= RELAY_PIECES - RELAY_REPLACEMENT - 2 ||
		    batch->size >= ENDPOINT_QUEUE_MAX) {
			result = RELAY_PAUSED;
			break;
		}
	} while (at <= last);
out:
	relay_gather(relay, batch, begin, at);
	batch->rest = at;
	batch->rest_size = (size_t)(end - at);
	return result;
}

#endif
