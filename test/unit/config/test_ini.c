/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/ini.h"
#include "core/error.h"
#include "core/text.h"
#include "files.h"
#include "suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What was called back, as "[section]@file:line" and "key=value@file:line", each ended by a
 * newline. */
static char text[8192];
static struct text_builder seen;
static struct error error;
static const char *refused; /* a key that is refused */

static bool on_section(void *context, const char *name, const struct ini_place *place,
		       struct error *e)
{
	ck_assert_ptr_eq(context, &seen);
	text_append(&seen, "[%s]@%s:%d\n", name, place->file, place->line);
	return refused && strcmp(refused, name) == 0
		       ? error_set(e, SQLSTATE_CONFIG_FILE_ERROR, "refused")
		       : true;
}

static bool on_value(void *context, const char *key, const char *value,
		     const struct ini_place *place, struct error *e)
{
	ck_assert_ptr_eq(context, &seen);
	text_append(&seen, "%s=%s@%s:%d\n", key, value, place->file, place->line);
	return refused && strcmp(refused, key) == 0
		       ? error_set(e, SQLSTATE_CONFIG_FILE_ERROR, "refused")
		       : true;
}

static bool read_ini(const char *path)
{
	static const struct ini_events events = {.section = on_section, .value = on_value};
	text_builder_init(&seen, text, sizeof(text));
	error = (struct error){0};
	return ini_read(path, &events, &seen, &error);
}

static void assert_reads(const char *content, const char *expected)
{
	files_write("a.ini", content);
	ck_assert_msg(read_ini("a.ini"), "%s", error.message);
	ck_assert_str_eq(text, expected);
}

static void assert_fails(const char *content, const char *message)
{
	files_write("a.ini", content);
	ck_assert_msg(!read_ini("a.ini"), "read: %s", content);
	files_assert_has(error.message, message);
	ck_assert_str_eq(error.sqlstate, "F0000");
}

START_TEST(values_know_their_section_file_and_line)
{
	assert_reads(
		"; comment\n# comment\n\n  ; indented\n[one]\na = b\n  c.d-e_F*9=x  =  y ; z \t\n"
		"[two] ; comment\r\n*\t=\t1\r\n[one]\nempty =\nlast = line",
		"[one]@a.ini:5\na=b@a.ini:6\nc.d-e_F*9=x  =  y ; z@a.ini:7\n[two]@a.ini:8\n"
		"*=1@a.ini:9\n[one]@a.ini:10\nempty=@a.ini:11\nlast=line@a.ini:12\n");
}
END_TEST

START_TEST(names_may_be_quoted)
{
	assert_reads("[d]\n'a b' = 1\n'it''s'=2\n\"say \"\"x\"\"\" = 3\n'' = 4\n'a''' = 5\n",
		     "[d]@a.ini:1\na b=1@a.ini:2\nit's=2@a.ini:3\nsay \"x\"=3@a.ini:4\n=4@a.ini:5\n"
		     "a'=5@a.ini:6\n");
}
END_TEST

START_TEST(a_byte_order_mark_and_an_empty_file_are_fine)
{
	assert_reads("\xEF\xBB\xBF[d]\na=1\n", "[d]@a.ini:1\na=1@a.ini:2\n");
	assert_reads("", "");
	assert_reads("\n\n", "");
}
END_TEST

START_TEST(wrong_lines_are_named_with_file_and_line)
{
	assert_fails("[d]\nnonsense\n", "a.ini:2: expected \"name = value\"");
	assert_fails("[d]\n= 1\n", "a.ini:2: expected \"name = value\"");
	assert_fails("[d]\na b = 1\n", "a.ini:2: expected \"name = value\"");
	assert_fails("[d]\n'a' b = 1\n", "a.ini:2: expected \"name = value\"");
	assert_fails("[d]\n'a = 1\n", "a.ini:2: the closing quote of a name is missing");
	assert_fails("[d\n", "a.ini:1: the section's closing \"]\" is missing");
	assert_fails("[d] x\n", "a.ini:1: nothing but a comment may follow");
	assert_fails("a = 1\n", "a.ini:1: a value stands before the first [section]");
	assert_fails("[d]\n\n%foo x\n", "a.ini:3: unknown directive");
	assert_fails("[d]\n%includes x\n", "a.ini:2: unknown directive");
	assert_fails("[d]\n%include\n", "a.ini:2: %include needs the name of a file");
}
END_TEST

START_TEST(zero_bytes_are_refused)
{
	files_write_bytes("a.ini", "[d]\na = x\0y\n", 13);
	ck_assert(!read_ini("a.ini"));
	ck_assert_str_eq(error.message, "a.ini:2: a zero byte is not allowed");
}
END_TEST

START_TEST(what_a_callback_refuses_gets_its_place)
{
	refused = "b";
	assert_fails("[d]\na = 1\nb = 2\nc = 3\n", "a.ini:3: refused");
	files_assert_lacks(text, "c=3");
	refused = "e";
	assert_fails("[d]\na = 1\n[e]\nc = 3\n", "a.ini:3: refused");
	refused = NULL;
}
END_TEST

START_TEST(files_that_cannot_be_read_are_named)
{
	ck_assert(!read_ini("none.ini"));
	ck_assert_str_eq(
		error.message,
		"could not read configuration file \"none.ini\": No such file or directory");
	ck_assert(!read_ini("."));
	files_assert_has(error.message, "\".\": Is a directory");
	ck_assert(!read_ini("/dev/zero"));
	files_assert_has(error.message, "File too large");
}
END_TEST

START_TEST(an_included_file_continues_the_section)
{
	files_write("b.ini", "b = 2\n[e]\n");
	assert_reads("[d]\n%include b.ini\nc = 3\n",
		     "[d]@a.ini:1\nb=2@b.ini:1\n[e]@b.ini:2\nc=3@a.ini:3\n");
}
END_TEST

START_TEST(include_is_relative_to_the_including_file_then_to_the_working_directory)
{
	ck_assert_int_eq(mkdir("sub", 0700), 0);
	files_write("sub/a.ini", "[d]\n%include b.ini\n%include  c.ini \t\n");
	files_write("b.ini", "b = outside\n");
	files_write("sub/b.ini", "b = inside\n");
	files_write("c.ini", "c = outside\n");
	ck_assert_msg(read_ini("sub/a.ini"), "%s", error.message);
	ck_assert_str_eq(text, "[d]@sub/a.ini:1\nb=inside@sub/b.ini:1\nc=outside@c.ini:1\n");
}
END_TEST

START_TEST(an_error_names_the_included_file)
{
	files_write("b.ini", "\n\nnonsense\n");
	assert_fails("[d]\n%include b.ini\n", "b.ini:3: expected");
	files_assert_lacks(error.message, "a.ini");
	assert_fails("[d]\n%include none.ini\n",
		     "a.ini:2: could not read configuration file \"none.ini\"");
}
END_TEST

START_TEST(a_file_that_includes_itself_is_refused)
{
	assert_fails("[d]\n%include a.ini\n",
		     "a.ini:2: files include each other more than 10 deep");
}
END_TEST

START_TEST(ten_levels_of_includes_are_read_and_eleven_are_not)
{
	for (int i = 1; i <= 10; i++) {
		char name[16], content[64];
		snprintf(name, sizeof(name), "%d.ini", i);
		snprintf(content, sizeof(content), "[s%d]\n%%include %d.ini\n", i, i + 1);
		files_write(name, content);
	}
	files_write("11.ini", "[last]\n");
	files_write("a.ini", "%include 1.ini\n");
	ck_assert(!read_ini("a.ini"));
	files_assert_has(error.message, "10.ini:2: files include each other");
	ck_assert_msg(read_ini("1.ini"), "%s", error.message);
	files_assert_has(text, "[last]@11.ini:1");
}
END_TEST

START_TEST(lines_may_be_very_long)
{
	enum { LENGTH = 300000 };
	char *content = malloc(LENGTH + 64);
	size_t head = (size_t)sprintf(content, "[d]\na = ");
	memset(content + head, 'x', LENGTH);
	strcpy(content + head + LENGTH, "\nb = 2\n");
	files_write("a.ini", content);
	free(content);
	ck_assert(read_ini("a.ini"));
	ck_assert(seen.cut);
}
END_TEST

START_TEST(a_very_long_file_name_leaves_room_for_the_message)
{
	char name[600] = "";
	for (int i = 0; i < 250; i++)
		strcat(name, "./");
	strcat(name, "a.ini");
	files_write("a.ini", "[d]\nnonsense\n");
	ck_assert(!read_ini(name));
	files_assert_has(error.message, "./a.ini:2: expected \"name = value\"");
}
END_TEST

/* ---- pairs ---- */

static bool on_pair(void *context, const char *key, const char *value, struct error *e)
{
	(void)e;
	ck_assert_ptr_eq(context, &seen);
	text_append(&seen, "%s=%s|", key, value);
	return true;
}

static bool read_pairs(const char *pairs)
{
	text_builder_init(&seen, text, sizeof(text));
	error = (struct error){0};
	char *copy = strdup(pairs); /* so that a read past the end is seen */
	bool ok = ini_parse_pairs(copy, on_pair, &seen, &error);
	free(copy);
	return ok;
}

START_TEST(pairs_are_split)
{
	ck_assert(read_pairs(""));
	ck_assert_str_eq(text, "");
	ck_assert(read_pairs("  host=a   port = 5432\tuser= bob "));
	ck_assert_str_eq(text, "host=a|port=5432|user=bob|");
	ck_assert(read_pairs("a='x y' b='it''s' c='' d=x'y e='='"));
	ck_assert_str_eq(text, "a=x y|b=it's|c=|d=x'y|e==|");
}
END_TEST

START_TEST(wrong_pairs_are_refused)
{
	ck_assert(!read_pairs("host"));
	ck_assert_str_eq(error.message, "expected key=value (or key='a quoted value')");
	ck_assert(!read_pairs("host=a port"));
	ck_assert_str_eq(
		error.message,
		"expected key=value (or key='a quoted value'), behind the value of \"host\"");
	ck_assert(!read_pairs("=a"));
	ck_assert(!read_pairs("host=a user="));
	ck_assert_str_eq(error.message, "'' must be written for an empty value of \"user\"");
	ck_assert(!read_pairs("user='a"));
	ck_assert_str_eq(error.message, "the closing quote is missing in the value of \"user\"");
	ck_assert(!read_pairs("user='a'b=c"));
	ck_assert_str_eq(error.message, "a blank must follow the quoted value of \"user\"");
}
END_TEST

START_TEST(no_part_of_a_password_is_shown)
{
	static const char *const wrong[] = {
		"password='geheim",	   "password=x geheim",	 "password=x geheim=",
		"password=x geheim='y",	   "password='x'geheim", "password=x geheim='y'z",
		"password='x' geheim b=c",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!read_pairs(wrong[i]), "%s", wrong[i]);
		files_assert_lacks(error.message, "geheim");
		files_assert_has(error.message, "\"password\"");
	}
}
END_TEST

START_TEST(every_truncation_is_read_or_refused)
{
	static const char pairs[] = "host=a port=5432 password='it''s' user = b x=''";
	for (size_t i = 0; i < sizeof(pairs); i++) {
		char *cut = strndup(pairs, i);
		if (!read_pairs(cut))
			ck_assert_str_ne(error.message, "");
		free(cut);
	}
	static const char content[] =
		"\xEF\xBB\xBF; c\n[a] ; d\nx = 1\n'y ''z' = 2\n%include b.ini\n[b]\nlast =";
	files_write("b.ini", "b = 1");
	for (size_t i = 0; i < sizeof(content) - 1; i++) {
		files_write_bytes("a.ini", content, i);
		if (!read_ini("a.ini"))
			files_assert_has(error.message, "a.ini:");
	}
}
END_TEST

Suite *suite_ini(void)
{
	Suite *suite = suite_create("ini");
	TCase *tests = tcase_create("ini");
	tcase_add_checked_fixture(tests, files_setup, files_teardown);
	tcase_add_test(tests, values_know_their_section_file_and_line);
	tcase_add_test(tests, names_may_be_quoted);
	tcase_add_test(tests, a_byte_order_mark_and_an_empty_file_are_fine);
	tcase_add_test(tests, wrong_lines_are_named_with_file_and_line);
	tcase_add_test(tests, zero_bytes_are_refused);
	tcase_add_test(tests, what_a_callback_refuses_gets_its_place);
	tcase_add_test(tests, files_that_cannot_be_read_are_named);
	tcase_add_test(tests, an_included_file_continues_the_section);
	tcase_add_test(tests,
		       include_is_relative_to_the_including_file_then_to_the_working_directory);
	tcase_add_test(tests, an_error_names_the_included_file);
	tcase_add_test(tests, a_file_that_includes_itself_is_refused);
	tcase_add_test(tests, ten_levels_of_includes_are_read_and_eleven_are_not);
	tcase_add_test(tests, lines_may_be_very_long);
	tcase_add_test(tests, a_very_long_file_name_leaves_room_for_the_message);
	tcase_add_test(tests, pairs_are_split);
	tcase_add_test(tests, wrong_pairs_are_refused);
	tcase_add_test(tests, no_part_of_a_password_is_shown);
	tcase_add_test(tests, every_truncation_is_read_or_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
