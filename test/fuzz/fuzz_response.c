/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "core/buffer.h"
#include "core/error.h"
#include "fuzz.h"
#include "proto/message.h"
#include "proto/response.h"

enum { CAP = 65536 };

static void fuzz_response(const uint8_t *bytes, size_t size)
{
	struct error error = {0}, again = {0};
	struct buffer *out = NULL;
	struct message message;
	char severity[16] = "";
	const char *name, *value;
	const uint8_t *key;
	uint32_t process_id;
	size_t key_size;
	if (response_parse_error(bytes, size, severity, &error)) {
		/* What was understood can be said again. */
		FUZZ_HOLDS(response_put_error(&out, CAP, "FATAL", &error));
		FUZZ_HOLDS(message_parse(buffer_bytes(out), buffer_length(out), CAP, &message) ==
			   FRAME_OK);
		FUZZ_HOLDS(response_parse_error(message.body, message.size, severity, &again));
		FUZZ_HOLDS(strcmp(again.message, error.message) == 0);
		FUZZ_HOLDS(response_error_is_fatal(message.body, message.size));
	}
	FUZZ_HOLDS(strlen(severity) < sizeof severity);
	buffer_free(&out);
	(void)response_error_is_fatal(bytes, size);
	if (response_parse_parameter_status(bytes, size, &name, &value))
		FUZZ_HOLDS(strlen(name) + strlen(value) + 2 == size);
	if (response_parse_backend_key_data(bytes, size, &process_id, &key, &key_size))
		FUZZ_HOLDS(key_size + 4 == size && key_size >= 4 && key_size <= 256);
}

static const struct fuzz_seed seeds[] = {
	SEED("SFATAL\0VFATAL\0C28P01\0Mno such user\0Dwhy\0Hdo\0Fa.c\0L1\0Rx\0\0"),
	SEED("SERROR\0C42601\0Msyntax error\0P17\0\0"),
	SEED("SFEHLER\0VPANIC\0\0"),
	SEED("TimeZone\0UTC\0"),
	SEED("\0\0\1\2abcd"),
};
FUZZ_TARGET(response);
