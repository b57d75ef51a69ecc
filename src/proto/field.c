/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/field.h"
#include "core/memory.h"
#include "proto/message.h"
#include <string.h>

const uint8_t *field_get_bytes(struct field_reader *reader, size_t size)
{
	if (reader->bad || size > field_left(reader)) {
		reader->bad = true;
		return NULL;
	}
	const uint8_t *bytes = reader->at;
	reader->at += size;
	return bytes;
}

uint8_t field_get_byte(struct field_reader *reader)
{
	const uint8_t *bytes = field_get_bytes(reader, 1);
	return bytes ? bytes[0] : 0;
}

uint16_t field_get_int16(struct field_reader *reader)
{
	const uint8_t *bytes = field_get_bytes(reader, 2);
	return bytes ? (uint16_t)(bytes[0] << 8 | bytes[1]) : 0;
}

uint32_t field_get_int32(struct field_reader *reader)
{
	const uint8_t *bytes = field_get_bytes(reader, 4);
	return bytes ? message_get32(bytes) : 0;
}

const char *field_get_string(struct field_reader *reader)
{
	size_t left = field_left(reader);
	const uint8_t *end = reader->bad || left == 0 ? NULL : memchr(reader->at, 0, left);
	if (!end) {
		reader->bad = true;
		return "";
	}
	const char *text = (const char *)reader->at;
	reader->at = end + 1;
	return text;
}

void field_writer_init(struct field_writer *writer, struct buffer **buffer, size_t cap)
{
	*writer = (struct field_writer){.buffer = buffer, .cap = cap};
}

void field_put_bytes(struct field_writer *writer, const void *bytes, size_t size)
{
	struct buffer *buffer = *writer->buffer;
	if (size == 0)
		return;
	/* The usual case, for it happens several times in each message: there is room. */
	if (buffer && !writer->bad && size <= buffer->size - buffer->end &&
	    buffer_length(buffer) + size <= writer->cap) {
		memcpy(buffer->data + buffer->end, bytes, size);
		buffer->end += (uint32_t)size;
		return;
	}
	if (!writer->bad && !buffer_append(writer->buffer, bytes, size, writer->cap))
		writer->bad = true;
}

void field_begin(struct field_writer *writer, uint8_t type)
{
	const uint8_t header[MESSAGE_HEADER] = {type};
	writer->bad = false;
	writer->begun = buffer_length(*writer->buffer);
	field_put_bytes(writer, header, type ? MESSAGE_HEADER : MESSAGE_HEADER - 1);
}

void field_put_byte(struct field_writer *writer, uint8_t value)
{
	field_put_bytes(writer, &value, 1);
}

void field_put_int16(struct field_writer *writer, uint16_t value)
{
	const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
	field_put_bytes(writer, bytes, sizeof(bytes));
}

void field_put_int32(struct field_writer *writer, uint32_t value)
{
	uint8_t bytes[4];
	message_put32(bytes, value);
	field_put_bytes(writer, bytes, sizeof(bytes));
}

void field_put_string(struct field_writer *writer, const char *text)
{
	field_put_bytes(writer, text, strlen(text) + 1);
}

/* Take the begun message back; it may hold part of a password. */
static void take_back(struct field_writer *writer)
{
	struct buffer *buffer = *writer->buffer;
	if (!buffer)
		return;
	uint8_t *begin = buffer->data + buffer->start + writer->begun;
	memory_erase(begin, buffer_length(buffer) - writer->begun);
	if (writer->begun == 0)
		buffer_free(writer->buffer);
	else
		buffer->end = buffer->start + (uint32_t)writer->begun;
}

bool field_end(struct field_writer *writer)
{
	if (writer->bad) {
		take_back(writer);
		return false;
	}
	struct buffer *buffer = *writer->buffer;
	uint8_t *begin = buffer->data + buffer->start + writer->begun;
	size_t size = buffer_length(buffer) - writer->begun;
	/* A type is never 0, and the room for an untyped packet's length still is. */
	if (begin[0])
		message_put32(begin + 1, (uint32_t)size - 1);
	else
		message_put32(begin, (uint32_t)size);
	return true;
}
