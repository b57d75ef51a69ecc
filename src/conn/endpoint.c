/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/endpoint.h"
#include <errno.h>
#include <string.h>
#include "core/likely.h"
#include "core/memory.h"

/* Bytes that were held go in front of what is read, so that a message is always contiguous. */
enum { HEADROOM = ENDPOINT_HOLD_MAX + ENDPOINT_RECEIVE, PARTNER_LINES = 5 };
static uint8_t receive_buffer[HEADROOM + ENDPOINT_RECEIVE];

const char *endpoint_replication(const struct endpoint *endpoint)
{
	static const char *const names[] = {
		[REPLICATION_NONE] = "none",
		[REPLICATION_LOGICAL] = "logical",
		[REPLICATION_PHYSICAL] = "physical",
	};
	return names[endpoint->replication];
}

uint64_t endpoint_next_id(void)
{
	static uint64_t last;
	return ++last;
}

/* Bytes of a message that is larger than what fits in front of the receive buffer are gathered
 * where they are held. */
static enum io receive_large(struct endpoint *endpoint, uint8_t **bytes, size_t *size,
			     size_t *fresh)
{
	static struct buffer *whole; /* handed out last */
	size_t missing = endpoint->awaited - buffer_length(endpoint->held);
	size_t most = missing < ENDPOINT_RECEIVE ? missing : ENDPOINT_RECEIVE;
	uint8_t *room = buffer_reserve(&endpoint->held, most, endpoint->awaited);
	if (!room) {
		errno = ENOMEM;
		return IO_ERROR;
	}
	enum io io = stream_read(&endpoint->stream, room, most, fresh);
	if (io != IO_DONE)
		return io;
	buffer_commit(endpoint->held, *fresh);
	if (*fresh < missing)
		return IO_AGAIN;
	buffer_free(&whole);
	whole = endpoint->held;
	endpoint->held = NULL;
	endpoint->awaited = 0;
	*bytes = whole->data + whole->start;
	*size = buffer_length(whole);
	return IO_DONE;
}

/* Behind what is held already. */
static __attribute__((noinline)) enum io receive_behind(struct endpoint *endpoint, uint8_t **bytes,
							size_t *size, size_t *fresh)
{
	uint8_t *begin = receive_buffer + HEADROOM;
	if (endpoint->awaited > HEADROOM)
		return receive_large(endpoint, bytes, size, fresh);
	endpoint->awaited = 0;
	size_t held = buffer_length(endpoint->held);
	if (held > HEADROOM) { /* it does not fit in front */
		errno = ENOBUFS;
		return IO_ERROR;
	}
	enum io io = stream_read(&endpoint->stream, begin, ENDPOINT_RECEIVE, fresh);
	if (io != IO_DONE)
		return io;
	if (held) {
		begin -= held;
		memcpy(begin, buffer_bytes(endpoint->held), held);
		buffer_free(&endpoint->held);
	}
	*bytes = begin;
	*size = held + *fresh;
	return IO_DONE;
}

enum io endpoint_receive(struct endpoint *endpoint, uint8_t **bytes, size_t *size, size_t *fresh)
{
	if (endpoint->partner) /* that comes while the kernel works */
		memory_expect(&endpoint->partner->stream, PARTNER_LINES);
	if (UNLIKELY((uintptr_t)endpoint->held | endpoint->awaited))
		return receive_behind(endpoint, bytes, size, fresh);
	uint8_t *begin = receive_buffer + HEADROOM;
	*bytes = begin;
	enum io io = stream_read(&endpoint->stream, begin, ENDPOINT_RECEIVE, fresh);
	*size = *fresh;
	return io;
}

bool endpoint_hold(struct endpoint *endpoint, const uint8_t *bytes, size_t size)
{
	/* What was awaited may have to wait once more. */
	size_t cap = endpoint->held || size < HEADROOM ? HEADROOM : size;
	return size == 0 || buffer_append(&endpoint->held, bytes, size, cap);
}

void endpoint_erase_received(size_t size)
{
	uint8_t *begin = receive_buffer + HEADROOM;
	size_t before = size < HEADROOM ? size : HEADROOM;
	size_t behind = size < ENDPOINT_RECEIVE ? size : ENDPOINT_RECEIVE;
	memory_erase(begin - before, before + behind);
}

void endpoint_await(struct endpoint *endpoint, uint32_t size)
{
	endpoint->awaited = size > buffer_length(endpoint->held) ? size : 0;
}

void endpoint_link(struct endpoint *a, struct endpoint *b)
{
	LIST_CHECK(!a->partner && !b->partner);
	a->partner = b;
	b->partner = a;
}

void endpoint_unlink(struct endpoint *endpoint)
{
	if (!endpoint->partner)
		return;
	endpoint->partner->partner = NULL;
	endpoint->partner = NULL;
}
