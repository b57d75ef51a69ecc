/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "core/error.h"
#include "fuzz.h"
#include "proto/options.h"

static bool each(void *context, const char *name, const char *value, struct error *error)
{
	size_t *size = context;
	FUZZ_HOLDS(strlen(name) + strlen(value) <= *size);
	return strcmp(name, "stop") != 0 || error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "stop");
}

static void fuzz_options(const uint8_t *bytes, size_t size)
{
	struct error error = {0};
	char *text = fuzz_text(bytes, size);
	char *words = malloc(strlen(text) + 1);
	FUZZ_HOLDS(options_walk(text, words, each, &size, &error) || *error.message);
	free(words);
	free(text);
}

static const struct fuzz_seed seeds[] = {
	SEED("-c a=b -c c=d"),
	SEED("--search-path=x\\ y --a-b=\\\\ -c stop=1"),
	SEED(" \t-ca=b  -c  c=\xff\xfe -c geqo=off"),
};
FUZZ_TARGET(options);
