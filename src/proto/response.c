/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/response.h"
#include "proto/field.h"
#include "proto/message.h"
#include <string.h>

static void put_field(struct field_writer *writer, char field, const char *value)
{
	field_put_byte(writer, (uint8_t)field);
	field_put_string(writer, value);
}

static bool put_report(struct buffer **out, size_t cap, uint8_t type, const char *severity,
		       const struct error *error)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, type);
	put_field(&writer, 'S', severity);
	put_field(&writer, 'V', severity);
	put_field(&writer, 'C',
		  *error->sqlstate ? error->sqlstate : sqlstate_code(SQLSTATE_INTERNAL_ERROR));
	put_field(&writer, 'M', error->message);
	if (*error->detail)
		put_field(&writer, 'D', error->detail);
	if (*error->hint)
		put_field(&writer, 'H', error->hint);
	field_put_byte(&writer, 0);
	return field_end(&writer);
}

bool response_put_error(struct buffer **out, size_t cap, const char *severity,
			const struct error *error)
{
	return put_report(out, cap, MESSAGE_ERROR_RESPONSE, severity, error);
}

bool response_put_notice(struct buffer **out, size_t cap, const char *severity,
			 const struct error *error)
{
	return put_report(out, cap, MESSAGE_NOTICE_RESPONSE, severity, error);
}

bool response_put_parameter_status(struct buffer **out, size_t cap, const char *name,
				   const char *value)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_PARAMETER_STATUS);
	field_put_string(&writer, name);
	field_put_string(&writer, value);
	return field_end(&writer);
}

bool response_put_backend_key_data(struct buffer **out, size_t cap, uint32_t process_id,
				   const void *key, size_t key_size)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_BACKEND_KEY_DATA);
	field_put_int32(&writer, process_id);
	field_put_bytes(&writer, key, key_size);
	return field_end(&writer);
}

bool response_put_ready_for_query(struct buffer **out, size_t cap, char status)
{
	const uint8_t message[] = {MESSAGE_READY_FOR_QUERY, 0, 0, 0, 5, (uint8_t)status};
	return buffer_append(out, message, sizeof(message), cap);
}

bool response_put_command_complete(struct buffer **out, size_t cap, const char *tag)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_COMMAND_COMPLETE);
	field_put_string(&writer, tag);
	return field_end(&writer);
}

bool response_put_empty(struct buffer **out, size_t cap, uint8_t type)
{
	const uint8_t message[MESSAGE_HEADER] = {type, 0, 0, 0, MESSAGE_LENGTH_MIN};
	return buffer_append(out, message, sizeof(message), cap);
}

/* pg_type.typlen */
static uint16_t type_length(enum response_type type)
{
	switch (type) {
	case RESPONSE_INT4:
		return 4;
	case RESPONSE_INT8:
		return 8;
	case RESPONSE_TEXT:
	case RESPONSE_NUMERIC:
	case RESPONSE_BYTEA:
		break;
	}
	return UINT16_MAX; /* -1: varies */
}

bool response_put_row_description(struct buffer **out, size_t cap,
				  const struct response_column *columns, size_t count)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_ROW_DESCRIPTION);
	field_put_int16(&writer, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		field_put_string(&writer, columns[i].name);
		field_put_int32(&writer, 0); /* no table */
		field_put_int16(&writer, 0); /* and no column of one */
		field_put_int32(&writer, columns[i].type);
		field_put_int16(&writer, type_length(columns[i].type));
		field_put_int32(&writer, UINT32_MAX); /* no type modifier */
		field_put_int16(&writer, 0);	      /* text format */
	}
	return field_end(&writer);
}

bool response_put_data_row(struct buffer **out, size_t cap, const char *const *values, size_t count)
{
	/* Thousands of rows come through here: measure, then write in place. */
	size_t size = MESSAGE_HEADER + 2;
	for (size_t i = 0; i < count; i++)
		size += 4 + (values[i] ? strlen(values[i]) : 0);
	uint8_t *at = buffer_reserve(out, size, cap);
	if (!at)
		return false;
	*at++ = MESSAGE_DATA_ROW;
	message_put32(at, (uint32_t)size - 1);
	at += 4;
	*at++ = (uint8_t)(count >> 8);
	*at++ = (uint8_t)count;
	for (size_t i = 0; i < count; i++) {
		size_t length = values[i] ? strlen(values[i]) : 0;
		message_put32(at, values[i] ? (uint32_t)length : UINT32_MAX);
		at += 4;
		if (length > 0)
			memcpy(at, values[i], length);
		at += length;
	}
	buffer_commit(*out, size);
	return true;
}

/* Copy what fits, cut before a character that would not fit whole (UTF-8: do not leave its first
 * bytes). */
static void copy_cut(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);
	if (length >= size) {
		length = size - 1;
		while (length > 0 && ((uint8_t)from[length] & 0xC0) == 0x80)
			length--;
	}
	memcpy(to, from, length);
	to[length] = '\0';
}

bool response_parse_error(const uint8_t *body, size_t size, char severity[16], struct error *error)
{
	enum { SEVERITY = 16 };
	*error = (struct error){0};
	*severity = '\0';
	bool has_untranslated = false;
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	for (uint8_t field; (field = field_get_byte(&reader)) != 0;) {
		const char *value = field_get_string(&reader);
		if (reader.bad)
			return false;
		switch (field) {
		case 'S':
			if (!has_untranslated)
				copy_cut(severity, SEVERITY, value);
			break;
		case 'V':
			copy_cut(severity, SEVERITY, value);
			has_untranslated = true;
			break;
		case 'C':
			copy_cut(error->sqlstate, sizeof(error->sqlstate), value);
			break;
		case 'M':
			copy_cut(error->message, sizeof(error->message), value);
			break;
		case 'D':
			copy_cut(error->detail, sizeof(error->detail), value);
			break;
		case 'H':
			copy_cut(error->hint, sizeof(error->hint), value);
			break;
		default:
			break; /* the manual: ignore unknown fields */
		}
	}
	return field_is_done(&reader);
}

/* Is @value, of which @length bytes are seen and maybe not @whole, FATAL or PANIC? No other
 * untranslated severity begins with those letters, so one byte of it tells. */
static bool value_is_fatal(const uint8_t *value, size_t length, bool whole)
{
	if (length == 0 || length > 5 || (whole && length < 5))
		return false;
	return memcmp(value, "FATAL", length) == 0 || memcmp(value, "PANIC", length) == 0;
}

bool response_error_is_fatal(const uint8_t *body, size_t size)
{
	const uint8_t *end = body + size;
	bool is_fatal = false;
	for (const uint8_t *at = body; at < end && *at;) {
		uint8_t field = *at++;
		const uint8_t *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		size_t length = (size_t)((nul ? nul : end) - at);
		/* S is translated (lc_messages), V is not and comes behind it; a V of which nothing
		 * is seen is none. */
		if (field == 'V' && (nul || length > 0))
			return value_is_fatal(at, length, nul != NULL);
		if (field == 'S')
			is_fatal = value_is_fatal(at, length, true);
		if (!nul)
			break;
		at = nul + 1;
	}
	return is_fatal;
}

bool response_parse_parameter_status(const uint8_t *body, size_t size, const char **name,
				     const char **value)
{
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	*name = field_get_string(&reader);
	*value = field_get_string(&reader);
	return field_is_done(&reader);
}

bool response_parse_backend_key_data(const uint8_t *body, size_t size, uint32_t *process_id,
				     const uint8_t **key, size_t *key_size)
{
	enum { KEY_MIN = 4, KEY_MAX = 256 };
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	*process_id = field_get_int32(&reader);
	*key_size = field_left(&reader);
	*key = field_get_bytes(&reader, *key_size);
	return field_is_done(&reader) && *key_size >= KEY_MIN && *key_size <= KEY_MAX;
}
