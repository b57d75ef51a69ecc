/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/pattern.h"
#include "core/error.h"
#include "core/memory.h"
#include <ctype.h>
#include <regex.h>
#include <stdint.h>
#include <string.h>

struct pattern {
	regex_t regex;
};

struct rewriting {
	const char *at; /* in PostgreSQL's text */
	char *to;	/* in ours */
};

static void put(struct rewriting *rewriting, const char *text)
{
	size_t length = strlen(text);
	memcpy(rewriting->to, text, length);
	rewriting->to += length;
}

static bool refuse(struct error *error, const char *what)
{
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			 "%s; allowed are POSIX extended regular "
			 "expressions, \\d, \\s, \\w, \\D, \\S and \\W",
			 what);
}

/* What stands for the class escape @letter, outside or inside brackets. NULL: it is none. */
static const char *class_of(char letter, bool in_brackets)
{
	switch (letter) {
	case 'd':
		return in_brackets ? "0-9" : "[0-9]";
	case 's':
		return in_brackets ? "[:space:]" : "[[:space:]]";
	case 'w':
		return in_brackets ? "[:alnum:]_" : "[[:alnum:]_]";
	case 'D':
		return in_brackets ? NULL : "[^0-9]";
	case 'S':
		return in_brackets ? NULL : "[^[:space:]]";
	case 'W':
		return in_brackets ? NULL : "[^[:alnum:]_]";
	default:
		return NULL;
	}
}

/* A backslash is at hand, outside brackets. */
static bool rewrite_escape(struct rewriting *rewriting, struct error *error)
{
	char letter = rewriting->at[1];
	const char *class = class_of(letter, false);
	if (!letter)
		return refuse(error, "nothing follows the backslash");
	if (class)
		put(rewriting, class);
	else if (isdigit((unsigned char)letter))
		return refuse(error, "back references are not supported");
	else if (isalpha((unsigned char)letter))
		return refuse(error, "a letter is escaped that has no meaning here");
	else if (strchr("^.[$()|*+?{}\\", letter)) {
		/* The C library gives \< \> \` \' meanings of its own, so only these stay escaped.
		 */
		*rewriting->to++ = '\\';
		*rewriting->to++ = letter;
	} else
		*rewriting->to++ = letter;
	rewriting->at += 2;
	return true;
}

/* An opening bracket is at hand. */
static bool rewrite_brackets(struct rewriting *rewriting, struct error *error)
{
	*rewriting->to++ = *rewriting->at++;
	if (*rewriting->at == '^')
		*rewriting->to++ = *rewriting->at++;
	bool is_first = true;
	for (; *rewriting->at && (is_first || *rewriting->at != ']'); is_first = false) {
		const char *at = rewriting->at;
		if (*at == '\\') {
			const char *class = class_of(at[1], true);
			if (!class && at[1] != '\\')
				return refuse(error,
					      "a backslash in brackets has no such meaning here");
			put(rewriting, class ? class : "\\");
			rewriting->at += 2;
		} else if (*at == '[' && at[1] && strchr(":.=", at[1])) {
			const char *end = at + 2;
			while (*end && !(*end == at[1] && end[1] == ']'))
				end++;
			if (!*end)
				return refuse(error, "a class's closing \":]\" is missing");
			memcpy(rewriting->to, at, (size_t)(end + 2 - at));
			rewriting->to += end + 2 - at;
			rewriting->at = end + 2;
		} else {
			*rewriting->to++ = *rewriting->at++;
		}
	}
	if (!*rewriting->at)
		return refuse(error, "the closing bracket is missing");
	*rewriting->to++ = *rewriting->at++;
	return true;
}

static bool rewrite(struct rewriting *rewriting, struct error *error)
{
	bool after_quantifier = false, at_start = true;
	if (strncmp(rewriting->at, "***", 3) == 0)
		return refuse(error, "\"***\" in front is not supported");
	while (*rewriting->at) {
		char mark = *rewriting->at;
		if (after_quantifier && strchr("?*+{", mark))
			return refuse(error, "a quantifier follows a quantifier");
		if (at_start && strchr("?*+{", mark))
			return refuse(error, "a quantifier has nothing to repeat");
		/* PostgreSQL's never match there; the C library's do, beside a newline in a name.
		 */
		if (mark == '^' && !at_start)
			return refuse(error, "\"^\" is supported at a beginning only");
		if (mark == '$' && !strchr(")|", rewriting->at[1]))
			return refuse(error, "\"$\" is supported at an end only");
		after_quantifier = false;
		at_start = strchr("(|^", mark);
		if (mark == '\\') {
			if (!rewrite_escape(rewriting, error))
				return false;
		} else if (mark == '[') {
			if (!rewrite_brackets(rewriting, error))
				return false;
		} else if (mark == '(' && rewriting->at[1] == '?') {
			return refuse(error, "\"(?\" is not supported");
		} else {
			after_quantifier = strchr("?*+}", mark);
			*rewriting->to++ = *rewriting->at++;
		}
	}
	*rewriting->to = '\0';
	return true;
}

struct pattern *pattern_new(const char *text, struct error *error)
{
	enum { LONGEST = 14 }; /* what two characters may become */
	char *posix = memory_try_alloc(strlen(text) * LONGEST / 2 + 1);
	struct rewriting rewriting = {.at = text, .to = posix};
	if (!posix) {
		error_set(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return NULL;
	}
	struct pattern *pattern = NULL;
	if (rewrite(&rewriting, error)) {
		pattern = memory_alloc(sizeof *pattern);
		int code = regcomp(&pattern->regex, posix, REG_EXTENDED);
		if (code) {
			char why[100];
			regerror(code, &pattern->regex, why, sizeof why);
			error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s", why);
			memory_free(&pattern);
		}
	}
	memory_free(&posix);
	return pattern;
}

void pattern_free(struct pattern **pattern)
{
	if (!*pattern)
		return;
	regfree(&(*pattern)->regex);
	memory_free(pattern);
}

size_t pattern_groups(const struct pattern *pattern)
{
	return pattern->regex.re_nsub;
}

static enum pattern_result result_of(int code)
{
	return code == 0 ? PATTERN_YES : code == REG_NOMATCH ? PATTERN_NO : PATTERN_FAILED;
}

enum pattern_result pattern_match(const struct pattern *pattern, const char *text)
{
	size_t start, length;
	/* The C library's short cut for whoever wants no groups finds what is not there. */
	return pattern_match_group(pattern, text, &start, &length);
}

enum pattern_result pattern_match_group(const struct pattern *pattern, const char *text,
					size_t *start, size_t *length)
{
	regmatch_t matches[2] = {{.rm_so = -1}, {.rm_so = -1}};
	enum pattern_result result = result_of(regexec(&pattern->regex, text, 2, matches, 0));
	*start = SIZE_MAX;
	*length = 0;
	if (result == PATTERN_YES && matches[1].rm_so >= 0) {
		*start = (size_t)matches[1].rm_so;
		*length = (size_t)(matches[1].rm_eo - matches[1].rm_so);
	}
	return result;
}
