/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>
#include "admin/command.h"
#include "core/error.h"

/* The first statement of @text, as "word|word", with a '=' behind if there was one; the error's
 * message if it is refused. */
static const char *split(const char **text)
{
	static char shown[COMMAND_WORDS * COMMAND_WORD + 16];
	static struct command_words words;
	struct error error = {0};
	if (!command_split(text, &words, &error)) {
		ck_assert_str_eq(error.sqlstate, "42601");
		ck_assert_uint_gt(strlen(error.message), 0);
		strcpy(shown, error.message);
		return shown;
	}
	char *at = shown;
	*at = '\0';
	for (unsigned i = 0; i < words.count; i++)
		at = stpcpy(stpcpy(at, i ? "|" : ""), words.word[i]);
	if (words.has_equals)
		strcpy(at, "=");
	return shown;
}

static const struct {
	const char *text, *shown;
} statements[] = {
	{"SHOW POOLS", "SHOW|POOLS"},
	{"  show\tpools \n ;", "show|pools"},
	{"", ""},
	{" ;", ""},
	{"PAUSE my-db.x_1", "PAUSE|my-db.x_1"},
	{"PAUSE \"My \"\"db\"\"\"", "PAUSE|My \"db\""},
	{"PAUSE\"a;b\"", "PAUSE|a;b"},
	{"PAUSE \"\"", "PAUSE|"},
	{"SET a = 5", "SET|a|5="},
	{"SET a=5", "SET|a|5="},
	{"SET a='it''s; = \"x\"'", "SET|a|it's; = \"x\"="},
	{"SET a = ''", "SET|a|="},
	{"SET a TO 5", "SET|a|5="},
	{"set a to 'b c'", "set|a|b c="},
	{"SET a 5", "SET|a|5"},
	{"SHOW -- POOLS\nLISTS", "SHOW|LISTS"},
	{"SHOW -- POOLS", "SHOW"},
	{"/* a /* b */ ; */ SHOW /**/LISTS", "SHOW|LISTS"},
	{"a b c d e f g h", "a|b|c|d|e|f|g|h"},
};

START_TEST(a_statement_becomes_its_words)
{
	const char *text = statements[_i].text;
	ck_assert_str_eq(split(&text), statements[_i].shown);
	ck_assert_str_eq(text, "");
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{"= 5", "bad arguments: unexpected \"=\""},
	{"SET = 5", "bad arguments: unexpected \"=\""},
	{"SET a = = 5", "bad arguments: unexpected \"=\""},
	{"SET a 5 = 6", "bad arguments: unexpected \"=\""},
	{"SET a = 'b", "bad arguments: a quote is not closed"},
	{"PAUSE \"b", "bad arguments: a quote is not closed"},
	{"PAUSE \"b\"\"", "bad arguments: a quote is not closed"},
	{"SHOW /* POOLS", "bad arguments: a comment is not closed"},
	{"SHOW /*/ POOLS", "bad arguments: a comment is not closed"},
	{"SHOW /* /* */ POOLS", "bad arguments: a comment is not closed"},
	{"a b c d e f g h i", "bad arguments: too many words"},
};

START_TEST(a_malformed_statement_is_refused)
{
	const char *text = refused[_i].text;
	ck_assert_str_eq(split(&text), refused[_i].message);
}
END_TEST

START_TEST(statements_are_taken_one_by_one)
{
	const char *text = "SHOW LISTS;; PAUSE \"a;b\" ;SET c='d;e';RESUME";
	ck_assert_str_eq(split(&text), "SHOW|LISTS");
	ck_assert_str_eq(text, "; PAUSE \"a;b\" ;SET c='d;e';RESUME");
	ck_assert_str_eq(split(&text), "");
	ck_assert_str_eq(split(&text), "PAUSE|a;b");
	ck_assert_str_eq(split(&text), "SET|c|d;e=");
	ck_assert_str_eq(split(&text), "RESUME");
	ck_assert_str_eq(text, "");
	ck_assert_str_eq(split(&text), "");
}
END_TEST

START_TEST(words_have_a_longest_length)
{
	static const char *const quotes[] = {"", "'", "\""};
	for (int i = 0; i < 3; i++)
		for (int more = 0; more < 2; more++) {
			size_t length = COMMAND_WORD - 1 + (size_t)more;
			char word[COMMAND_WORD + 1] = "", line[COMMAND_WORD + 16],
						 expected[COMMAND_WORD + 16];
			memset(word, 'x', length);
			word[length] = '\0';
			stpcpy(stpcpy(stpcpy(stpcpy(line, "PAUSE "), quotes[i]), word), quotes[i]);
			stpcpy(stpcpy(expected, "PAUSE|"), word);
			const char *text = line;
			ck_assert_str_eq(split(&text),
					 more ? "bad arguments: a word is too long" : expected);
		}
}
END_TEST

/* Each in memory of its own size, so that a read past its end is seen. */
START_TEST(every_truncation_is_split_or_refused)
{
	static const char whole[] =
		"/* c /* d */ */ SET \"na\"\"me\" = 'it''s' -- e\n; SET a TO b; PAUSE x";
	for (size_t length = 0; length < sizeof whole; length++) {
		char *copy = strndup(whole, length);
		const char *text = copy;
		struct command_words words;
		struct error error = {0};
		int statements_seen = 0;
		bool well = true;
		while (*text && (well = command_split(&text, &words, &error)))
			statements_seen++;
		ck_assert(text >= copy);
		ck_assert(text <= copy + length);
		if (!well)
			ck_assert_str_eq(error.sqlstate, "42601");
		if (length == sizeof whole - 1) {
			ck_assert(well);
			ck_assert_int_eq(statements_seen, 3);
		}
		free(copy);
	}
}
END_TEST

Suite *suite_command(void)
{
	Suite *suite = suite_create("command");
	TCase *tcase = tcase_create("command");
	tcase_add_loop_test(tcase, a_statement_becomes_its_words, 0,
			    sizeof statements / sizeof *statements);
	tcase_add_loop_test(tcase, a_malformed_statement_is_refused, 0,
			    sizeof refused / sizeof *refused);
	tcase_add_test(tcase, statements_are_taken_one_by_one);
	tcase_add_test(tcase, words_have_a_longest_length);
	tcase_add_test(tcase, every_truncation_is_split_or_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
