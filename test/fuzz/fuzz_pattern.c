/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/pattern.h"
#include "core/error.h"
#include "fuzz.h"

/* A pattern and, behind a newline, what it is held against. Patterns are written by administrators:
 * that repetitions of repetitions take the C library for ever is theirs to see, so they are short
 * and their counts small. */
static void fuzz_pattern(const uint8_t *bytes, size_t size)
{
	enum { PATTERN_MAX = 60 };
	char *text = fuzz_text(bytes, size);
	char *newline = strchr(text, '\n'), *brace = strchr(text, '{');
	struct error error = {0};
	size_t start, length;
	if (newline)
		*newline = '\0';
	if (strlen(text) < PATTERN_MAX &&
	    (!brace || (!strchr(brace + 1, '{') && strspn(brace + 1, "0123456789") < 2))) {
		const char *subject = newline ? newline + 1 : "subject";
		struct pattern *pattern = pattern_new(text, &error);
		FUZZ_HOLDS(pattern || *error.message);
		if (pattern) {
			enum pattern_result result = pattern_match(pattern, subject);
			FUZZ_HOLDS(pattern_match_group(pattern, subject, &start, &length) ==
				   result);
			FUZZ_HOLDS(result != PATTERN_YES || pattern_groups(pattern) == 0 ||
				   start == SIZE_MAX || start + length <= strlen(subject));
		}
		pattern_free(&pattern);
	}
	free(text);
}

static const struct fuzz_seed seeds[] = {
	SEED("^db\\d+$\ndb12"),
	SEED("(a|b)*c[[:alpha:]\\s]\nabac "),
	SEED("^(.*)@x\\.y$\nme@x.y"),
	SEED("a{2,3}[^]x]\naaq"),
	SEED("(?i)x\nX"),
	SEED("\\w\\W\\D\\S\nx"),
};
FUZZ_TARGET(pattern);
