/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "core/buffer.h"
#include "core/error.h"
#include "fuzz.h"
#include "proto/startup.h"

enum { CAP = 16384 };

static void fuzz_startup(const uint8_t *bytes, size_t size)
{
	struct startup startup, again;
	struct error error = {0};
	struct buffer *out = NULL;
	enum frame frame = startup_parse(bytes, size, &startup, &error);
	FUZZ_HOLDS(frame != FRAME_BAD || *error.message);
	if (frame != FRAME_OK)
		return;
	FUZZ_HOLDS(startup.length <= size && startup.length <= STARTUP_MAX);
	const uint8_t *end = bytes + startup.length;
	if (startup.kind == STARTUP_CANCEL_REQUEST)
		FUZZ_HOLDS(startup.key >= bytes && startup.key + startup.key_size == end &&
			   startup.key_size <= STARTUP_CANCEL_KEY_MAX);
	if (startup.kind != STARTUP_MESSAGE)
		return;
	const char *cursor = startup.parameters, *name, *value;
	while (startup_next_parameter(&cursor, &name, &value))
		FUZZ_HOLDS((const uint8_t *)name >= bytes && name < value &&
			   (const uint8_t *)value + strlen(value) < end);
	/* What more there is in front of it is not waited for. */
	FUZZ_HOLDS(startup_parse(bytes, startup.length, &again, &error) == FRAME_OK);
	FUZZ_HOLDS(startup_parse(bytes, startup.length - 1, &again, &error) != FRAME_OK);
	if (startup_must_negotiate(&startup, 0))
		(void)startup_put_negotiate(&out, CAP, &startup, 0);
	FUZZ_HOLDS(buffer_length(out) <= CAP);
	buffer_free(&out);
}

static const struct fuzz_seed seeds[] = {
	SEED("\0\0\0\x21\0\3\0\0user\0alice\0database\0test\0\0"),
	SEED("\0\0\0\x2f\0\3\0\2user\0a\0_pq_.command_tag\0x\0options\0-c a=b\0\0"),
	SEED("\0\0\0\x08\x04\xd2\x16\x2f"),
	SEED("\0\0\0\x08\x04\xd2\x16\x30"),
	SEED("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1abcd"),
	SEED("\0\0\0\x2c\x04\xd2\x16\x2e\0\0\0\1abcdefghijklmnopabcdefghijklmnop"),
	SEED("\0\0\0\x0d\0\2\0\0a\0b\0\0"),
};
FUZZ_TARGET(startup);
