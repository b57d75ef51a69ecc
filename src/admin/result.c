/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/result.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "proto/field.h"
#include "proto/message.h"

void result_describe(struct buffer **out, const struct result_column *columns, unsigned count,
		     const uint8_t *binary)
{
	struct field_writer writer;
	field_writer_init(&writer, out, RESULT_MAX);
	field_begin(&writer, MESSAGE_ROW_DESCRIPTION);
	field_put_int16(&writer, (uint16_t)count);
	for (unsigned i = 0; i < count; i++) {
		enum response_type type = columns[i].type;
		uint16_t size = type == RESPONSE_INT4	? 4
				: type == RESPONSE_INT8 ? 8
							: UINT16_MAX; /* -1: variable */
		field_put_string(&writer, columns[i].name);
		field_put_int32(&writer, 0);
		field_put_int16(&writer, 0);
		field_put_int32(&writer, (uint32_t)type);
		field_put_int16(&writer, size);
		field_put_int32(&writer, UINT32_MAX);
		field_put_int16(&writer, binary && binary[i]);
	}
	field_end(&writer);
}

static void put_number(struct field_writer *writer, enum response_type type, int64_t value,
		       bool binary)
{
	char text[32];
	if (!binary) {
		int length = snprintf(text, sizeof text, "%" PRId64, value);
		field_put_int32(writer, (uint32_t)length);
		field_put_bytes(writer, text, (size_t)length);
		return;
	}
	field_put_int32(writer, type == RESPONSE_INT8 ? 8 : 4);
	if (type == RESPONSE_INT8)
		field_put_int32(writer, (uint32_t)((uint64_t)value >> 32));
	else if (value > INT32_MAX)
		value = INT32_MAX;
	field_put_int32(writer, (uint32_t)value);
}

void result_row(struct result *result, const void *info)
{
	struct field_writer writer;
	field_writer_init(&writer, result->out, RESULT_MAX);
	field_begin(&writer, MESSAGE_DATA_ROW);
	field_put_int16(&writer, (uint16_t)result->count);
	for (unsigned i = 0; i < result->count; i++) {
		const struct result_column *column = &result->columns[i];
		const char *field = (const char *)info + column->offset;
		if (column->type != RESPONSE_TEXT) {
			put_number(&writer, column->type, *(const int64_t *)(const void *)field,
				   result->binary && result->binary[i]);
			continue;
		}
		const char *text = *(const char *const *)(const void *)field;
		if (!text) {
			field_put_int32(&writer, UINT32_MAX);
			continue;
		}
		size_t length = strlen(text);
		field_put_int32(&writer, (uint32_t)length);
		field_put_bytes(&writer, text, length);
	}
	result->is_cut |= !field_end(&writer);
}
