/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/rule_file.h"
#include "core/error.h"
#include "../suite.h"
#include "rule_dir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

Suite *suite_rule_file(void);

static struct rule_file *file;
static struct error error;

static bool load(const char *text)
{
	rule_dir_write("rules", text);
	rule_file_free(&file);
	error = (struct error){0};
	file = rule_file_load("rules", "auth_hba_file", &error);
	return file;
}

static void teardown(void)
{
	rule_file_free(&file);
	rule_dir_leave();
}

/* All that was read: "NUMBER:field field;", words of a field joined by '|', quoted ones in <>. */
static void assert_lines(const char *expected)
{
	static char text[4000];
	size_t at = 0;
	ck_assert_msg(file != NULL, "%s", error.message);
	text[0] = '\0';
	for (size_t i = 0; i < file->count; i++) {
		const struct rule_line *line = &file->lines[i];
		at += (size_t)sprintf(text + at, "%u:", line->number);
		for (size_t j = 0; j < line->count; j++) {
			if (j)
				text[at++] = ' ';
			for (size_t k = 0; k < line->fields[j].count; k++) {
				const struct rule_word *word = &line->fields[j].words[k];
				at += (size_t)sprintf(text + at,
						      word->is_quoted ? "%s<%s>" : "%s%s",
						      k ? "|" : "", word->text);
			}
		}
		text[at++] = ';';
		text[at] = '\0';
	}
	ck_assert_str_eq(text, expected);
}

static void assert_refused(const char *text, const char *expected)
{
	ck_assert(!load(text));
	ck_assert_str_eq(error.message, expected);
}

START_TEST(words_are_blank_and_comma_separated)
{
	ck_assert(
		load("a b,c\td\r\n\n# all comment\n  e , f#g\n\"x y\",\"a\"\"b\" z=\"1 2\",\n,,h"));
	assert_lines("1:a b|c d;4:e f;5:<x y>|<a\"b> z=1 2;6:h;");
	ck_assert(load("\"\" \"#\" @ a\"b c\"d"));
	assert_lines("1:<> <#> @ ab cd;");
	ck_assert(load(""));
	assert_lines("");
	ck_assert(load("\xef\xbf \xff"));
	assert_lines("1:\xef\xbf \xff;");
}
END_TEST

START_TEST(backslash_at_the_end_continues_a_line)
{
	ck_assert(load("a \\\nb\\\nc\\\r\n d\nnext\n# comment \\\nstill\nx\\\\\n\ny\\"));
	assert_lines("1:a bc d;5:next;8:x\\;10:y;");
	ck_assert(load("a\\\n"));
	assert_lines("1:a;");
	ck_assert(load("\"a\\\nb\" c"));
	assert_lines("1:<ab> c;");
}
END_TEST

START_TEST(a_quote_that_is_not_closed_is_refused)
{
	assert_refused("a b\nc \"d e\n", "rules:2: the closing quote is missing");
	assert_refused("\"", "rules:1: the closing quote is missing");
	assert_refused("a \"b\"\"", "rules:1: the closing quote is missing");
}
END_TEST

START_TEST(zero_bytes_are_refused_even_in_comments)
{
	static const char text[] = "a b\n# \0 c\n";
	rule_dir_write_bytes("rules", text, sizeof text - 1);
	file = rule_file_load("rules", "auth_hba_file", &error);
	ck_assert_ptr_null(file);
	ck_assert_str_eq(error.message, "rules:2: a zero byte is not allowed");
}
END_TEST

START_TEST(a_word_file_gives_its_words)
{
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	rule_dir_write("sub/names", "one two,three # x\n\"four\"\n@more\n");
	rule_dir_write("sub/more", "five\n");
	rule_dir_write("none", "# nothing\n");
	ck_assert(load("a x,@sub/names,y b @none \"@quoted\"\n"));
	assert_lines("1:a x|one|two|three|<four>|five|y b  <@quoted>;");
	assert_refused("\na @absent",
		       "rules:2: could not read \"absent\": No such file or directory");
	rule_dir_write("sub/more", "x\n\"\n");
	assert_refused("a @sub/names", "sub/more:2: the closing quote is missing");
	rule_dir_write("sub/more", "@names");
	assert_refused("a @sub/names", "sub/more:1: \"sub/names\" includes itself");
}
END_TEST

START_TEST(included_lines_stand_where_the_directive_stood)
{
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	rule_dir_write("sub/b.conf", "b1\nb2\n");
	rule_dir_write("sub/a.conf", "\na1\ninclude \"b.conf\"\n");
	rule_dir_write("sub/.hidden.conf", "hidden\n");
	rule_dir_write("sub/c.txt", "text\n");
	ck_assert(load("first\ninclude sub/a.conf\nlast\n"));
	assert_lines("1:first;2:a1;1:b1;2:b2;3:last;");
	ck_assert_str_eq(file->lines[1].file, "sub/a.conf");
	ck_assert_str_eq(file->lines[2].file, "sub/b.conf");
	ck_assert(load("include_dir sub\n"));
	assert_lines("2:a1;1:b1;2:b2;1:b1;2:b2;");
	ck_assert(load("include_if_exists absent\ninclude_if_exists sub/b.conf\n"));
	assert_lines("1:b1;2:b2;");
	ck_assert(load("include a b\n\"include\" a\n"));
	assert_lines("1:include a b;2:<include> a;");
}
END_TEST

START_TEST(what_cannot_be_included_is_refused)
{
	assert_refused("x\ninclude absent\n",
		       "rules:2: could not read \"absent\": No such file or directory");
	assert_refused("include_dir absent\n",
		       "rules:1: could not read \"absent\": No such file or directory");
	assert_refused("include a,b\n", "rules:1: include takes the name of one file or directory");
	assert_refused("include_dir \"\"\n",
		       "rules:1: include_dir takes the name of one file or directory");
	assert_refused("include rules\n", "rules:1: \"rules\" includes itself");
	assert_refused("include .\n", "rules:1: could not read \".\": Is a directory");
	rule_dir_write("other", "\ninclude_if_exists ./rules\n");
	assert_refused("include other\n", "other:2: \"./rules\" includes itself");
	rule_file_free(&file);
	ck_assert_ptr_null(rule_file_load("absent", "auth_hba_file", &error));
	ck_assert_str_eq(error.message,
			 "could not read auth_hba_file \"absent\": No such file or directory");
}
END_TEST

START_TEST(ten_levels_are_allowed_and_no_more)
{
	char name[16], text[32];
	for (int i = 1; i <= 11; i++) {
		snprintf(name, sizeof name, "f%d", i);
		snprintf(text, sizeof text, i == 10 ? "deep\n" : "include f%d\n", i + 1);
		rule_dir_write(name, text);
	}
	ck_assert(load("include f1\n"));
	assert_lines("1:deep;");
	rule_dir_write("f10", "include f11\n");
	rule_dir_write("f11", "deeper\n");
	assert_refused("include f1\n",
		       "f10:1: \"f11\" is included too deep; at most 10 levels are allowed");
}
END_TEST

START_TEST(long_lines_and_words_are_read)
{
	enum { LENGTH = 1 << 20 };
	char *text = malloc(LENGTH + 3);
	memset(text, 'x', LENGTH);
	strcpy(text + LENGTH, "\ny");
	ck_assert(load(text));
	ck_assert_uint_eq(file->count, 2);
	ck_assert_uint_eq(strlen(file->lines[0].fields[0].words[0].text), LENGTH);
	for (size_t i = 1; i < LENGTH; i += 2)
		text[i] = ',';
	ck_assert(load(text));
	ck_assert_uint_eq(file->lines[0].fields[0].count, LENGTH / 2);
	for (size_t i = 0; i + 1 < LENGTH; i += 2)
		memcpy(text + i, "\\\n", 2);
	ck_assert(load(text));
	assert_lines("524290:y;");
	free(text);
}
END_TEST

START_TEST(too_much_is_refused)
{
	assert_refused("include /dev/zero\n",
		       "rules:1: could not read \"/dev/zero\": the files are longer than the 16 MB "
		       "that are allowed");
}
END_TEST

Suite *suite_rule_file(void)
{
	Suite *suite = suite_create("rule_file");
	TCase *tcase = tcase_create("rule_file");
	tcase_add_checked_fixture(tcase, rule_dir_enter, teardown);
	tcase_add_test(tcase, words_are_blank_and_comma_separated);
	tcase_add_test(tcase, backslash_at_the_end_continues_a_line);
	tcase_add_test(tcase, a_quote_that_is_not_closed_is_refused);
	tcase_add_test(tcase, zero_bytes_are_refused_even_in_comments);
	tcase_add_test(tcase, a_word_file_gives_its_words);
	tcase_add_test(tcase, included_lines_stand_where_the_directive_stood);
	tcase_add_test(tcase, what_cannot_be_included_is_refused);
	tcase_add_test(tcase, ten_levels_are_allowed_and_no_more);
	tcase_add_test(tcase, long_lines_and_words_are_read);
	tcase_add_test(tcase, too_much_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
