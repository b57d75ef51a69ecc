/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/startup.h"
#include "core/error.h"
#include "core/text.h"
#include "proto/field.h"
#include <string.h>

enum {
	PACKET_HEADER = 8,	/* length and version or request code */
	CANCEL_KEY_OFFSET = 12, /* behind the process id */
	CANCEL_KEY_MIN = 4
};

#define SSL_REQUEST STARTUP_VERSION(1234, 5679)
#define GSSENC_REQUEST STARTUP_VERSION(1234, 5680)
#define CANCEL_REQUEST STARTUP_VERSION(1234, 5678)

static enum frame bad_header(const uint8_t *bytes, size_t size, struct error *error)
{
	char hex[2 * PACKET_HEADER + 1];
	struct text_builder builder;
	text_builder_init(&builder, hex, sizeof(hex));
	for (size_t i = 0; i < size && i < PACKET_HEADER; i++)
		text_append(&builder, "%02x", bytes[i]);
	error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "bad packet header: '%s'", hex);
	return FRAME_BAD;
}

static bool is_protocol_option(const char *name)
{
	return *name == '_' && strncmp(name, "_pq_.", 5) == 0;
}

/* name NUL value NUL ... NUL: pairs with a name each, and the terminator is the last byte. */
static bool layout_is_good(const uint8_t *bytes, size_t size, uint32_t *protocol_options)
{
	struct field_reader reader;
	const char *name;
	field_reader_init(&reader, bytes, size);
	while (*(name = field_get_string(&reader))) {
		*protocol_options += is_protocol_option(name);
		field_get_string(&reader);
	}
	return field_is_done(&reader);
}

static enum frame parse_message(const uint8_t *bytes, size_t size, struct startup *startup,
				struct error *error)
{
	uint32_t major = startup->version >> 16;
	if (major == 1 || major == 2) {
		error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "old V2 protocol not supported");
		return FRAME_BAD;
	}
	if (major != 3)
		return bad_header(bytes, size, error);
	if (size < startup->length)
		return FRAME_SHORT;
	if (!layout_is_good(bytes + PACKET_HEADER, startup->length - PACKET_HEADER,
			    &startup->protocol_options)) {
		error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
			  "invalid startup packet layout: expected terminator as last byte");
		return FRAME_BAD;
	}
	startup->kind = STARTUP_MESSAGE;
	startup->parameters = (const char *)bytes + PACKET_HEADER;
	return FRAME_OK;
}

static enum frame parse_cancel(const uint8_t *bytes, size_t size, struct startup *startup,
			       struct error *error)
{
	if (startup->length < CANCEL_KEY_OFFSET + CANCEL_KEY_MIN ||
	    startup->length > CANCEL_KEY_OFFSET + STARTUP_CANCEL_KEY_MAX) {
		error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "bad cancel request");
		return FRAME_BAD;
	}
	if (size < startup->length)
		return FRAME_SHORT;
	startup->kind = STARTUP_CANCEL_REQUEST;
	startup->process_id = message_get32(bytes + PACKET_HEADER);
	startup->key = bytes + CANCEL_KEY_OFFSET;
	startup->key_size = startup->length - CANCEL_KEY_OFFSET;
	return FRAME_OK;
}

enum frame startup_parse(const uint8_t *bytes, size_t size, struct startup *startup,
			 struct error *error)
{
	*startup = (struct startup){0};
	if (size < 4)
		return FRAME_SHORT;
	uint32_t length = message_get32(bytes);
	if (length < PACKET_HEADER || length > STARTUP_MAX)
		return bad_header(bytes, size, error);
	if (size < PACKET_HEADER)
		return FRAME_SHORT;
	uint32_t code = message_get32(bytes + 4);
	startup->length = length;
	switch (code) {
	case SSL_REQUEST:
	case GSSENC_REQUEST:
		startup->kind = code == SSL_REQUEST ? STARTUP_SSL_REQUEST : STARTUP_GSSENC_REQUEST;
		return length == PACKET_HEADER ? FRAME_OK : bad_header(bytes, size, error);
	case CANCEL_REQUEST:
		return parse_cancel(bytes, size, startup, error);
	default:
		startup->version = code;
		return parse_message(bytes, size, startup, error);
	}
}

bool startup_next_parameter(const char **cursor, const char **name, const char **value)
{
	if (!**cursor)
		return false;
	*name = *cursor;
	*value = *name + strlen(*name) + 1;
	*cursor = *value + strlen(*value) + 1;
	return true;
}

bool startup_must_negotiate(const struct startup *startup, uint16_t minor_max)
{
	return (uint16_t)startup->version > minor_max || startup->protocol_options > 0;
}

bool startup_put_negotiate(struct buffer **out, size_t cap, const struct startup *startup,
			   uint16_t minor_max)
{
	/* On the wire it is the whole version, major and minor, and libpq refuses one above what it
	 * asked for. */
	uint16_t minor =
		(uint16_t)startup->version < minor_max ? (uint16_t)startup->version : minor_max;
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_NEGOTIATE_PROTOCOL_VERSION);
	field_put_int32(&writer, STARTUP_VERSION(3, minor));
	field_put_int32(&writer, startup->protocol_options);
	const char *cursor = startup->parameters, *name, *value;
	while (startup_next_parameter(&cursor, &name, &value)) {
		if (is_protocol_option(name))
			field_put_string(&writer, name);
	}
	return field_end(&writer);
}

bool startup_parse_negotiate(const uint8_t *body, size_t size, uint16_t *minor, uint32_t *unknown)
{
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	uint32_t version = field_get_int32(&reader);
	*minor = (uint16_t)version;
	*unknown = field_get_int32(&reader);
	for (uint32_t i = 0; i < *unknown && !reader.bad; i++)
		field_get_string(&reader);
	/* The manual's words allow for the minor alone. */
	return field_is_done(&reader) && (version >> 16 == 3 || version >> 16 == 0);
}

bool startup_put_message(struct buffer **out, size_t cap, uint32_t version,
			 const char *const *names_values)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, 0);
	field_put_int32(&writer, version);
	for (; *names_values; names_values++)
		field_put_string(&writer, *names_values);
	field_put_byte(&writer, 0);
	return field_end(&writer);
}

bool startup_put_ssl_request(struct buffer **out, size_t cap)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, 0);
	field_put_int32(&writer, SSL_REQUEST);
	return field_end(&writer);
}

bool startup_put_cancel(struct buffer **out, size_t cap, uint32_t process_id, const uint8_t *key,
			size_t key_size)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, 0);
	field_put_int32(&writer, CANCEL_REQUEST);
	field_put_int32(&writer, process_id);
	field_put_bytes(&writer, key, key_size);
	return field_end(&writer);
}
