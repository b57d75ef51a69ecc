/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/options.h"
#include "core/error.h"
#include "core/memory.h"
#include <stddef.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word of *@text into @word, as pg_split_opts() of PostgreSQL does: a backslash takes the
 * next character as it is. False: no more words. */
static bool next_word(const char **text, char *word)
{
	const char *at = *text;
	while (is_space(*at))
		at++;
	if (!*at)
		return false;
	for (; *at && !is_space(*at); at++) {
		if (*at == '\\') {
			if (!*++at)
				break;
		}
		*word++ = *at;
	}
	*word = '\0';
	*text = at;
	return true;
}

static bool refuse(struct error *error)
{
	return error_set(
		error, SQLSTATE_FEATURE_NOT_SUPPORTED,
		"unsupported options startup parameter: only '-c config=val' and '--config=val' "
		"are allowed");
}

static bool give(char *assignment, options_fn *each, void *context, struct error *error)
{
	char *equals = strchr(assignment, '=');
	if (!equals || equals == assignment)
		return refuse(error);
	*equals = '\0';
	for (char *at = assignment; *at; at++) {
		if (*at == '-')
			*at = '_';
	}
	return each(context, assignment, equals + 1, error);
}

bool options_walk(const char *text, options_fn *each, void *context, struct error *error)
{
	/* A word is never longer than the text; the text's length is the peer's choice. */
	char *word = memory_try_alloc(strlen(text) + 1);
	if (!word)
		return error_set(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	bool good = true;
	while (good && next_word(&text, word)) {
		if (strcmp(word, "-c") == 0)
			good = next_word(&text, word) ? give(word, each, context, error)
						      : refuse(error);
		else if (word[0] == '-' && (word[1] == '-' || word[1] == 'c'))
			good = give(word + 2, each, context, error);
		else
			good = refuse(error);
	}
	memory_free(&word);
	return good;
}
