/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "conn/relay.h"
#include "fuzz.h"
#include "proto/message.h"

enum { ROOM = 8192, MAXIMUM = 5000 };

struct walk {
	struct endpoint from;
	enum relay_end end;
	uint8_t out[ROOM], held[2 * ROOM];
	size_t size, held_size;
	unsigned seen;
};
static struct walk *walking;

static enum relay_action see(struct endpoint *from, uint8_t type, const uint8_t *body,
			     uint32_t size, uint32_t available, struct relay_batch *batch)
{
	uint8_t sum = 0;
	(void)batch;
	FUZZ_HOLDS(from == &walking->from && available <= size);
	for (uint32_t i = 0; i < available; i++)
		sum ^= body[i];
	walking->seen++;
	(void)sum;
	switch (type % 8) {
	case 0:
		return RELAY_DROP;
	case 1:
		return RELAY_FORWARD_PAUSE;
	case 2:
		return RELAY_DROP_PAUSE;
	case 3:
		return size == 7 ? RELAY_STOP : RELAY_FORWARD;
	default:
		return RELAY_FORWARD;
	}
}

/* As a connection does: what is left is held, and stands in front of what comes next. */
static void feed(struct walk *walk, const struct relay *relay, const uint8_t *bytes, size_t size)
{
	memcpy(walk->held + walk->held_size, bytes, size);
	walk->held_size += size;
	do {
		struct relay_batch batch = {.count = 0};
		walk->end = relay_walk(relay, &walk->from, walk->held, walk->held_size, MAXIMUM,
				       &batch);
		FUZZ_HOLDS(batch.count <= RELAY_PIECES && batch.rest_size <= walk->held_size);
		size_t sum = 0;
		for (int i = 0; i < batch.count; i++) {
			FUZZ_HOLDS(walk->size + batch.pieces[i].iov_len <= ROOM);
			memcpy(walk->out + walk->size, batch.pieces[i].iov_base,
			       batch.pieces[i].iov_len);
			walk->size += batch.pieces[i].iov_len;
			sum += batch.pieces[i].iov_len;
		}
		FUZZ_HOLDS(sum == batch.size && sum + batch.rest_size <= walk->held_size);
		FUZZ_HOLDS(walk->end != RELAY_PAUSED || batch.rest_size < walk->held_size);
		memmove(walk->held, batch.rest, batch.rest_size);
		walk->held_size = batch.rest_size;
	} while (walk->end == RELAY_PAUSED && walk->held_size);
}

static bool goes_on(const struct walk *walk)
{
	return walk->end == RELAY_DONE || walk->end == RELAY_PAUSED;
}

/* The first byte says how long the pieces are, and whose messages these are: in one piece, or in
 * many, the partner must get the same. */
static void fuzz_relay(const uint8_t *bytes, size_t size)
{
	static struct walk whole, pieces;
	if (size < 1 || size > ROOM)
		return;
	const struct relay relay = {
		.care = bytes[0] & 1 ? message_frontend_care : message_backend_care, .see = see};
	size_t length = (size_t)(bytes[0] >> 1) % 40 + 1;
	bytes++;
	size--;
	memset(&whole, 0, sizeof whole);
	memset(&pieces, 0, sizeof pieces);
	walking = &whole;
	feed(&whole, &relay, bytes, size);
	walking = &pieces;
	for (size_t at = 0; at < size && goes_on(&pieces); at += length)
		feed(&pieces, &relay, bytes + at, length < size - at ? length : size - at);
	FUZZ_HOLDS(goes_on(&whole) == goes_on(&pieces));
	FUZZ_HOLDS(whole.seen == pieces.seen && whole.size == pieces.size);
	FUZZ_HOLDS(memcmp(whole.out, pieces.out, whole.size) == 0);
	FUZZ_HOLDS(!goes_on(&whole) || (whole.from.body_left == pieces.from.body_left &&
					whole.held_size == pieces.held_size));
}

static const struct fuzz_seed seeds[] = {
	SEED("\3Q\0\0\0\x0dSELECT 1\0X\0\0\0\4"),
	SEED("\x0bP\0\0\0\x10\0SELECT "
	     "1\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\4"),
	SEED("\x08T\0\0\0\x06\0\0D\0\0\0\x0b\0\1\0\0\0\1xC\0\0\0\x0dSELECT 1\0Z\0\0\0\5I"),
	SEED("\x20"
	     "E\0\0\0\x17SERROR\0C42601\0Mhello\0\0S\0\0\0\x0aTimeZone\0UTC\0"),
	SEED("\x11"
	     "d\0\0\0\x2a"
	     "abcdefghijklmnopqrstuvwxyzabcdefghijkld\0\0\0\4c\0\0\0\4"),
};
FUZZ_TARGET(relay);
