/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/relay.h"
#include "core/likely.h"
#include "proto/message.h"

static void gather(struct relay_batch *batch, const uint8_t *from, const uint8_t *to)
{
	if (to <= from)
		return;
	batch->pieces[batch->count++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)from, .iov_len = (size_t)(to - from)};
	batch->size += (size_t)(to - from);
}

/* How many bytes of the message must be there before it is seen; 0: it is longer than may be. */
static size_t needed(enum message_care care, uint32_t length)
{
	size_t body = length - MESSAGE_LENGTH_MIN;
	switch (care) {
	case MESSAGE_SEE_WHOLE:
		return (size_t)length + 1 <= MESSAGE_WHOLE_MAX ? (size_t)length + 1 : 0;
	case MESSAGE_SEE_HEAD:
		return MESSAGE_HEADER + (body < MESSAGE_HEAD ? body : MESSAGE_HEAD);
	default:
		return MESSAGE_HEADER;
	}
}

/* What stands for the beginning of a message. */
static void put_replacement(struct relay_batch *batch)
{
	for (int i = 0; i < batch->replacements; i++) {
		batch->pieces[batch->count++] = batch->replacement[i];
		batch->size += batch->replacement[i].iov_len;
	}
}

static enum relay_end walk(const struct relay *relay, struct endpoint *from, const uint8_t *bytes,
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
	const uint8_t *const last =
		end - MESSAGE_HEADER; /* a header may begin there at the latest */
	for (;;) {
		/* Most are messages that only pass. */
		while (at <= last && care_of[*at] == MESSAGE_PASS) {
			uint32_t length = message_length(at);
			if (length - MESSAGE_LENGTH_MIN >
			    maximum - MESSAGE_LENGTH_MIN) /* also below 4, by wrapping round */
				break;
			const uint8_t *next = at + 1 + (size_t)length;
			if (__builtin_expect(next > end, 0)) {
				from->body_left = (uint32_t)(next - end);
				next = end;
			}
			at = next;
		}
		if (at > last)
			break;
		uint32_t length = message_length(at);
		enum message_care care = care_of[*at];
		size_t whole = (size_t)length + 1, here = (size_t)(end - at);
		if (length - MESSAGE_LENGTH_MIN > maximum - MESSAGE_LENGTH_MIN) {
			result = care == MESSAGE_INVALID ? RELAY_BAD_TYPE : RELAY_BAD_LENGTH;
			break;
		}
		/* The header is there; some want more, but no more than all of what may be long. */
		bool is_enough = care == MESSAGE_SEE_TYPE ||
				 (here >= whole &&
				  (care == MESSAGE_SEE_HEAD ||
				   (care == MESSAGE_SEE_WHOLE && whole <= MESSAGE_WHOLE_MAX)));
		if (!is_enough) {
			size_t need = needed(care, length);
			if (care == MESSAGE_INVALID || need == 0) {
				result = need == 0 ? RELAY_BAD_LENGTH : RELAY_BAD_TYPE;
				break;
			}
			if (here < need)
				break;
		}
		enum relay_action action = relay->see(
			from, *at, at + MESSAGE_HEADER, length - MESSAGE_LENGTH_MIN,
			(uint32_t)((here < whole ? here : whole) - MESSAGE_HEADER), batch);
		if (LIKELY(action == RELAY_FORWARD && here >= whole)) {
			at += whole;
			if (at > last)
				break;
			continue;
		}
		if (action == RELAY_STOP) {
			result = RELAY_STOPPED;
			break;
		}
		if (action == RELAY_SHORT)
			break;
		bool drop = action == RELAY_DROP || action == RELAY_DROP_PAUSE;
		if (drop)
			gather(batch, begin, at);
		if (action == RELAY_REPLACE) {
			gather(batch, begin, at);
			put_replacement(batch);
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
	}
out:
	gather(batch, begin, at);
	batch->rest = at;
	batch->rest_size = (size_t)(end - at);
	return result;
}

/* Most requests are one message, alone and whole, of which the header is enough. */
static inline bool is_single(const struct relay *relay, const struct endpoint *from,
			     const uint8_t *bytes, size_t size, uint32_t maximum)
{
	if (size < MESSAGE_HEADER || from->body_left || relay->care[*bytes] != MESSAGE_SEE_TYPE)
		return false;
	uint32_t length = message_length(bytes);
	return (size_t)length + 1 == size && length <= maximum; /* hence not below 4 */
}

enum relay_end relay_walk(const struct relay *relay, struct endpoint *from, const uint8_t *bytes,
			  size_t size, uint32_t maximum, struct relay_batch *batch)
{
	if (!is_single(relay, from, bytes, size, maximum))
		return walk(relay, from, bytes, size, maximum, batch);
	uint32_t body = (uint32_t)size - MESSAGE_HEADER;
	enum relay_action action =
		relay->see(from, *bytes, bytes + MESSAGE_HEADER, body, body, batch);
	bool forwards = action == RELAY_FORWARD || action == RELAY_FORWARD_PAUSE;
	batch->pieces[0] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	batch->count = forwards;
	batch->size = forwards ? size : 0;
	batch->rest = action == RELAY_STOP ? bytes : bytes + size;
	batch->rest_size = action == RELAY_STOP ? size : 0;
	return action == RELAY_STOP					     ? RELAY_STOPPED
	       : action == RELAY_FORWARD_PAUSE || action == RELAY_DROP_PAUSE ? RELAY_PAUSED
									     : RELAY_DONE;
}
