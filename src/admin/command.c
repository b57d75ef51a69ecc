/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/command.h"
#include <string.h>
#include "core/error.h"
#include "core/text.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* Pass over blanks and comments, which nest as in PostgreSQL. */
static bool skip(const char **text, struct error *error)
{
	const char *at = *text;
	for (;;) {
		while (is_space(*at))
			at++;
		if (at[0] == '-' && at[1] == '-') {
			while (*at && *at != '\n')
				at++;
			continue;
		}
		if (at[0] != '/' || at[1] != '*')
			break;
		unsigned depth = 0;
		do {
			bool opens = at[0] == '/' && at[1] == '*',
			     closes = at[0] == '*' && at[1] == '/';
			if (!*at)
				return error_set(error, SQLSTATE_SYNTAX_ERROR,
						 "bad arguments: a comment is not closed");
			depth = depth + opens - closes;
			at += opens || closes ? 2 : 1;
		} while (depth);
	}
	*text = at;
	return true;
}

static bool ends_word(char c)
{
	return !c || is_space(c) || c == ';' || c == '=' || c == '\'' || c == '"';
}

static bool add(struct command_words *words, const char *from, size_t length, struct error *error)
{
	if (words->count == COMMAND_WORDS)
		return error_set(error, SQLSTATE_SYNTAX_ERROR, "bad arguments: too many words");
	if (length >= COMMAND_WORD)
		return error_set(error, SQLSTATE_SYNTAX_ERROR, "bad arguments: a word is too long");
	memcpy(words->word[words->count], from, length);
	words->word[words->count++][length] = '\0';
	return true;
}

/* A quoted word; *@at stands on the quote, and is left behind the closing one. */
static bool add_quoted(const char **at, struct command_words *words, struct error *error)
{
	char quote = *(*at)++, text[COMMAND_WORD];
	size_t length = 0;
	for (;; (*at)++) {
		if (!**at)
			return error_set(error, SQLSTATE_SYNTAX_ERROR,
					 "bad arguments: a quote is not closed");
		if (**at == quote && *++*at != quote)
			break;
		if (length == sizeof text - 1)
			return error_set(error, SQLSTATE_SYNTAX_ERROR,
					 "bad arguments: a word is too long");
		text[length++] = **at;
	}
	return add(words, text, length, error);
}

bool command_split(const char **text, struct command_words *words, struct error *error)
{
	const char *at = *text;
	words->count = 0;
	words->has_equals = false;
	for (;;) {
		if (!skip(&at, error))
			return false;
		if (!*at || *at == ';')
			break;
		if (*at == '=') {
			if (words->count != 2 || words->has_equals)
				return error_set(error, SQLSTATE_SYNTAX_ERROR,
						 "bad arguments: unexpected \"=\"");
			words->has_equals = true;
			at++;
			continue;
		}
		if (*at == '"' || *at == '\'') {
			if (!add_quoted(&at, words, error))
				return false;
			continue;
		}
		const char *begin = at;
		while (!ends_word(*at))
			at++;
		if (!add(words, begin, (size_t)(at - begin), error))
			return false;
	}
	*text = *at ? at + 1 : at;
	/* SET name TO value is SET name = value. */
	if (words->count == 4 && !words->has_equals && text_equals_nocase(words->word[2], "to")) {
		memcpy(words->word[2], words->word[3], COMMAND_WORD);
		words->count = 3;
		words->has_equals = true;
	}
	return true;
}
