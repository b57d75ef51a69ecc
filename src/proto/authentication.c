/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/authentication.h"
#include "proto/field.h"
#include "proto/message.h"
#include <string.h>

static bool parse_mechanisms(struct field_reader *reader, struct authentication *result)
{
	for (;;) {
		const char *name = field_get_string(reader);
		if (!*name)
			return field_is_done(reader);
		if (strcmp(name, "SCRAM-SHA-256") == 0)
			result->has_scram_sha_256 = true;
		else if (strcmp(name, "SCRAM-SHA-256-PLUS") == 0)
			result->has_scram_sha_256_plus = true;
	}
}

bool authentication_parse(const uint8_t *body, size_t size, struct authentication *result)
{
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	*result = (struct authentication){.code = field_get_int32(&reader)};
	if (reader.bad)
		return false;
	switch (result->code) {
	case AUTHENTICATION_OK:
	case AUTHENTICATION_CLEARTEXT_PASSWORD:
	case AUTHENTICATION_GSS:
	case AUTHENTICATION_SSPI:
		return field_is_done(&reader);
	case AUTHENTICATION_MD5_PASSWORD: {
		const uint8_t *salt = field_get_bytes(&reader, sizeof(result->salt));
		if (salt)
			memcpy(result->salt, salt, sizeof(result->salt));
		return field_is_done(&reader);
	}
	case AUTHENTICATION_SASL:
		return parse_mechanisms(&reader, result);
	case AUTHENTICATION_SASL_CONTINUE:
	case AUTHENTICATION_SASL_FINAL:
		result->data_size = field_left(&reader);
		result->data = field_get_bytes(&reader, result->data_size);
		return true;
	default:
		return true;
	}
}

bool authentication_parse_sasl_initial(const uint8_t *body, size_t size, const char **mechanism,
				       const uint8_t **data, size_t *data_size)
{
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	*mechanism = field_get_string(&reader);
	uint32_t length = field_get_int32(&reader);
	bool is_absent = length == UINT32_MAX; /* -1 */
	*data = is_absent ? NULL : field_get_bytes(&reader, length);
	*data_size = *data ? length : 0;
	return field_is_done(&reader);
}

bool authentication_parse_password(const uint8_t *body, size_t size, const char **password)
{
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	*password = field_get_string(&reader);
	return field_is_done(&reader);
}

/* An Authentication message of a code and bytes. */
static bool put(struct buffer **out, size_t cap, enum authentication_code code, const void *data,
		size_t size)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_AUTHENTICATION);
	field_put_int32(&writer, code);
	field_put_bytes(&writer, data, size);
	return field_end(&writer);
}

bool authentication_put_ok(struct buffer **out, size_t cap)
{
	return put(out, cap, AUTHENTICATION_OK, NULL, 0);
}

bool authentication_put_cleartext(struct buffer **out, size_t cap)
{
	return put(out, cap, AUTHENTICATION_CLEARTEXT_PASSWORD, NULL, 0);
}

bool authentication_put_md5(struct buffer **out, size_t cap, const uint8_t salt[4])
{
	return put(out, cap, AUTHENTICATION_MD5_PASSWORD, salt, 4);
}

bool authentication_put_sasl(struct buffer **out, size_t cap, const char *const *mechanisms)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_AUTHENTICATION);
	field_put_int32(&writer, AUTHENTICATION_SASL);
	for (; *mechanisms; mechanisms++)
		field_put_string(&writer, *mechanisms);
	field_put_byte(&writer, 0);
	return field_end(&writer);
}

bool authentication_put_sasl_continue(struct buffer **out, size_t cap, const void *data,
				      size_t size)
{
	return put(out, cap, AUTHENTICATION_SASL_CONTINUE, data, size);
}

bool authentication_put_sasl_final(struct buffer **out, size_t cap, const void *data, size_t size)
{
	return put(out, cap, AUTHENTICATION_SASL_FINAL, data, size);
}

bool authentication_put_password(struct buffer **out, size_t cap, const char *password)
{
	return authentication_put_sasl_response(out, cap, password, strlen(password) + 1);
}

bool authentication_put_sasl_initial(struct buffer **out, size_t cap, const char *mechanism,
				     const void *data, size_t size)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_PASSWORD);
	field_put_string(&writer, mechanism);
	field_put_int32(&writer, (uint32_t)size);
	field_put_bytes(&writer, data, size);
	return field_end(&writer);
}

bool authentication_put_sasl_response(struct buffer **out, size_t cap, const void *data,
				      size_t size)
{
	struct field_writer writer;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, MESSAGE_PASSWORD);
	field_put_bytes(&writer, data, size);
	return field_end(&writer);
}
