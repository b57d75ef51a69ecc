/* SPDX-License-Identifier: ISC */
/* field: reading fields from a message's body with bounds, and writing messages with the length
 * filled in. */
#ifndef PGWEIR_PROTO_FIELD_H
#define PGWEIR_PROTO_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"

/* A reader of one body. After the first read past the end `bad` is set, and everything reads as 0
 * or "". */
struct field_reader {
	const uint8_t *at, *end;
	bool bad;
};

static inline void field_reader_init(struct field_reader *reader, const void *bytes, size_t size)
{
	*reader = (struct field_reader){.at = bytes, .end = (const uint8_t *)bytes + size};
}
uint8_t field_get_byte(struct field_reader *reader);
uint16_t field_get_int16(struct field_reader *reader);
uint32_t field_get_int32(struct field_reader *reader);
/* A NUL-terminated string inside the body; valid as long as the body. */
const char *field_get_string(struct field_reader *reader);
/* @size raw bytes, NULL when there are not that many. */
const uint8_t *field_get_bytes(struct field_reader *reader, size_t size);
static inline size_t field_left(const struct field_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}
/* All was read, exactly, without error. */
static inline bool field_is_done(const struct field_reader *reader)
{
	return !reader->bad && reader->at == reader->end;
}

/* A writer of messages into a buffer that grows up to a cap. When it would pass the cap (or memory
 * is refused) `bad` is set and what was begun is taken back at field_end(). */
struct field_writer {
	struct buffer **buffer;
	size_t cap;
	size_t begun; /* offset of the current message from buffer->start */
	bool bad;
};
void field_writer_init(struct field_writer *writer, struct buffer **buffer, size_t cap);
/* Begin a message of @type (0: an untyped packet). */
void field_begin(struct field_writer *writer, uint8_t type);
void field_put_byte(struct field_writer *writer, uint8_t value);
void field_put_int16(struct field_writer *writer, uint16_t value);
void field_put_int32(struct field_writer *writer, uint32_t value);
/* With its NUL. */
void field_put_string(struct field_writer *writer, const char *text);
void field_put_bytes(struct field_writer *writer, const void *bytes, size_t size);
/* Fill in the length. False (and the message taken back) if anything did not fit. */
bool field_end(struct field_writer *writer);

#endif
