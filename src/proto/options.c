/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/options.h"
#include "core/error.h"
#include <stddef.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word of *@text into *@room, as pg_split_opts() of PostgreSQL does: a backslash takes the
 * next character as it is. Returns it, and *@room is behind it; NULL: no more words. */
static char *next_word(const char **text, char **room)
{
	const char *at = *text;
	char *word = *room, *end = word;
	while (is_space(*at))
		at++;
	if (!*at)
		return NULL;
	for (; *at && !is_space(*at); at++) {
		if (*at == '\\') {
			if (!*++at)
				break;
		}
		*end++ = *at;
	}
	*end++ = '\0';
	*room = end;
	*text = at;
	return word;
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

bool options_walk(const char *text, char *words, options_fn *each, void *context,
		  struct error *error)
{
	bool good = true;
	for (char *word; good && (word = next_word(&text, &words));) {
		if (strcmp(word, "-c") == 0)
			good = (word = next_word(&text, &words)) ? give(word, each, context, error)
								 : refuse(error);
		else if (word[0] == '-' && (word[1] == '-' || word[1] == 'c'))
			good = give(word + 2, each, context, error);
		else
			good = refuse(error);
	}
	return good;
}
