/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/dns_reply.h"

enum { TYPE_SOA = 6, CLASS_IN = 1 };

/* Bytes that are taken off from the front; those that are not there make @broken. */
struct reading {
	const uint8_t *bytes;
	size_t size, at;
	bool broken;
};

static bool has(struct reading *reading, size_t count)
{
	if (reading->size - reading->at < count)
		reading->broken = true;
	return !reading->broken;
}

static void skip(struct reading *reading, size_t count)
{
	if (has(reading, count))
		reading->at += count;
}

static uint32_t take(struct reading *reading, size_t count)
{
	uint32_t value = 0;
	if (has(reading, count))
		for (; count > 0; count--)
			value = value << 8 | reading->bytes[reading->at++];
	return value;
}

/* Labels up to an empty one, or to a pointer to where the rest stands. */
static void skip_name(struct reading *reading)
{
	uint32_t length;
	while ((length = take(reading, 1)) > 0) {
		if (length >= 0xc0) {
			skip(reading, 1);
			return;
		}
		if (length >= 0x40)
			reading->broken = true;
		skip(reading, length);
	}
}

/* One record; is it the one? */
static bool take_record(struct reading *reading, uint32_t *serial)
{
	skip_name(reading);
	uint32_t type = take(reading, 2), class = take(reading, 2);
	skip(reading, 4); /* TTL */
	uint32_t length = take(reading, 2);
	if (!has(reading, length))
		return false;
	struct reading data = {
		.bytes = reading->bytes, .size = reading->at + length, .at = reading->at};
	skip(reading, length);
	if (type != TYPE_SOA || class != CLASS_IN)
		return false;
	skip_name(&data); /* its first server */
	skip_name(&data); /* whom to write to */
	*serial = take(&data, 4);
	return !data.broken;
}

bool dns_reply_serial(const uint8_t *reply, size_t size, uint32_t *serial)
{
	struct reading reading = {.bytes = reply, .size = size};
	skip(&reading, 4);
	uint32_t questions = take(&reading, 2);
	uint32_t records = take(&reading, 2);
	records += take(&reading, 2);
	skip(&reading, 2);
	for (; questions > 0 && !reading.broken; questions--) {
		skip_name(&reading);
		skip(&reading, 4);
	}
	for (; records > 0 && !reading.broken; records--)
		if (take_record(&reading, serial))
			return true;
	return false;
}
