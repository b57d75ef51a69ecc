/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/relay.h"
#include "relay_priv.h"

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

int relay_see_unusual(const struct relay *relay, struct endpoint *from, const uint8_t *at,
		      size_t here, struct relay_batch *batch)
{
	uint32_t length = message_length(at);
	size_t need = needed(relay->care[*at], length), whole = (size_t)length + 1;
	if (need == 0)
		return RELAY_REFUSE;
	if (here < need)
		return RELAY_SHORT;
	return (int)relay->see(from, *at, at + MESSAGE_HEADER, length - MESSAGE_LENGTH_MIN,
			       (uint32_t)((here < whole ? here : whole) - MESSAGE_HEADER), batch);
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
		return relay_walk_inline(relay, from, bytes, size, maximum, batch);
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

/* One system call without a vector costs less than a copy of little. */
void relay_join(struct relay_batch *batch)
{
	uint8_t *at = batch->room;
	if (batch->count < 2 || batch->size > RELAY_JOINED)
		return;
	for (int i = 0; i < batch->count; at += batch->pieces[i++].iov_len)
		memcpy(at, batch->pieces[i].iov_base, batch->pieces[i].iov_len);
	batch->pieces[0] = (struct iovec){.iov_base = batch->room, .iov_len = batch->size};
	batch->count = 1;
}
