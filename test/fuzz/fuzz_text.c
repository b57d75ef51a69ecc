/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "core/text.h"
#include "fuzz.h"

static void numbers(const char *text)
{
	int64_t integer, bytes;
	usec_t duration, again;
	char printed[32];
	bool on;
	if (text_to_int(text, &integer) && integer >= 0 && integer < INT32_MAX)
		FUZZ_HOLDS(text_to_size(text, &bytes) && bytes == integer);
	(void)text_to_bool(text, &on);
	if (text_to_size(text, &bytes))
		FUZZ_HOLDS(bytes >= 0 || text[strspn(text, " \t\n\v\f\r")] == '-');
	if (!text_to_duration(text, USEC_PER_SECOND, &duration))
		return;
	FUZZ_HOLDS(duration >= 0);
	text_from_duration(duration, printed);
	FUZZ_HOLDS(strlen(printed) < sizeof printed);
	FUZZ_HOLDS(text_to_duration(printed, USEC_PER_SECOND, &again));
	FUZZ_HOLDS(again == duration || duration > INT64_C(1) << 52);
}

static void fuzz_text_(const uint8_t *bytes, size_t size)
{
	char *text = fuzz_text(bytes, size), item[16], printable[24], built[12];
	const char *list = text;
	struct text_builder builder;
	numbers(text);
	for (size_t left = strlen(text) + 1; text_next_item(&list, item, sizeof item); left--) {
		FUZZ_HOLDS(*item && strlen(item) < sizeof item && left > 0);
		(void)text_list_has(text, item);
	}
	text_printable(text, printable, sizeof printable);
	for (const char *at = printable; *at; at++)
		FUZZ_HOLDS((unsigned char)*at >= ' ' && *at != 0x7f);
	text_builder_init(&builder, built, sizeof built);
	text_append(&builder, "%s", text);
	text_append(&builder, "%s", text);
	FUZZ_HOLDS(strlen(built) < sizeof built);
	FUZZ_HOLDS(text_equals_nocase(text, text));
	free(text);
}
#define fuzz_text fuzz_text_

static const struct fuzz_seed seeds[] = {
	SEED("123"),	    SEED("-0x7fffffffffffffff"),
	SEED("0777"),	    SEED("1.5 min"),
	SEED("9e99"),	    SEED("100us"),
	SEED("30 d"),	    SEED("64kB"),
	SEED("1048576 GB"), SEED("on"),
	SEED("a, b ,,c"),   SEED("0.000001"),
	SEED(" 12 h"),	    SEED("9223372036854775807"),
	SEED("\x01\xff a"),
};
FUZZ_TARGET(text);
