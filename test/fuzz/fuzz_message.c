/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fuzz.h"
#include "proto/field.h"
#include "proto/message.h"

/* The first bytes of a body say how the rest is read. */
static void read_fields(const uint8_t *body, size_t size)
{
	struct field_reader reader;
	field_reader_init(&reader, body, size);
	for (unsigned i = 0; i < 100 && !reader.bad && field_left(&reader); i++) {
		size_t before = field_left(&reader), length;
		switch (field_get_byte(&reader) % 5) {
		case 0:
			(void)field_get_int16(&reader);
			break;
		case 1:
			(void)field_get_int32(&reader);
			break;
		case 2: {
			const char *text = field_get_string(&reader);
			FUZZ_HOLDS(text);
			break;
		}
		case 3:
			length = field_get_int32(&reader);
			FUZZ_HOLDS(!field_get_bytes(&reader, length) || !reader.bad);
			break;
		default:
			(void)field_get_byte(&reader);
		}
		FUZZ_HOLDS(reader.bad || field_left(&reader) < before);
	}
	if (reader.bad) {
		FUZZ_HOLDS(!field_is_done(&reader) && *field_get_string(&reader) == '\0');
		FUZZ_HOLDS(field_get_int32(&reader) == 0 && !field_get_bytes(&reader, 1));
	}
}

static void fuzz_message(const uint8_t *bytes, size_t size)
{
	struct message message;
	while (message_parse(bytes, size, MESSAGE_WHOLE_MAX, &message) == FRAME_OK) {
		size_t whole = (size_t)message.size + MESSAGE_HEADER;
		FUZZ_HOLDS(whole <= size && message.body == bytes + MESSAGE_HEADER);
		read_fields(message.body, message.size);
		bytes += whole;
		size -= whole;
	}
}

static const struct fuzz_seed seeds[] = {
	SEED("Q\0\0\0\x0dSELECT 1\0"),
	SEED("D\0\0\0\x0b\0\1\0\0\0\1x"),
	SEED("Z\0\0\0\5I"),
	SEED("X\0\0\0\4X\0\0\0\4"),
	SEED("B\0\0\0\x20\2a\0\0\0\1\1\0\0\0\7\3\0\0\0\2hi\4\5\0\0\0\0\0\0\0"),
};
FUZZ_TARGET(message);
