/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/relay.h"
#include "proto/message.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

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

enum relay_end relay_walk(const struct relay *relay, struct endpoint *from, const uint8_t *bytes, size_t size,
			  uint32_t maximum, struct relay_batch *batch)
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
	while (end - at >= MESSAGE_HEADER) {
		uint32_t length = message_length(at);
		enum message_care care = care_of[*at];
		enum relay_action action = RELAY_FORWARD;
		if (length - MESSAGE_LENGTH_MIN > maximum - MESSAGE_LENGTH_MIN) { /* also below 4, by wrapping round */
			result = RELAY_BAD_LENGTH;
			break;
		}
		if (care != MESSAGE_PASS) {
			size_t need = needed(care, length), here = (size_t)(end - at);
			if (care == MESSAGE_INVALID || need == 0) {
				result = care == MESSAGE_INVALID ? RELAY_BAD_TYPE : RELAY_BAD_LENGTH;
				break;
			}
			if (here < need)
				break;
			if (here > (size_t)length + 1)
				here = (size_t)length + 1;
			action = relay->see(from, *at, at + MESSAGE_HEADER, length - MESSAGE_LENGTH_MIN,
					    (uint32_t)(here - MESSAGE_HEADER));
			if (action == RELAY_STOP) {
				result = RELAY_STOPPED;
				break;
			}
		}
		bool drop = action == RELAY_DROP || action == RELAY_DROP_PAUSE;
		if (drop)
			gather(batch, begin, at);
		if (LIKELY((size_t)(end - at) > length)) {
			at += (size_t)length + 1;
		} else {
			from->body_left = length + 1 - (uint32_t)(end - at);
			from->body_dropped = drop;
			at = end;
		}
		if (drop)
			begin = at;
		if (action >= RELAY_FORWARD_PAUSE || (drop && batch->count == RELAY_PIECES - 1)) {
			result = RELAY_PAUSED;
			break;
		}
	}
	gather(batch, begin, at);
	batch->rest = at;
	batch->rest_size = (size_t)(end - at);
	return result;
}
