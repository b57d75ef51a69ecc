/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/userlist.h"
#include "core/error.h"
#include "../suite.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *suite_userlist(void);

static struct userlist *list;
static struct error error;

/* Parse an exact copy, so that a read past the end is seen. */
static bool parse_bytes(const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);
	memcpy(copy, text, size);
	userlist_free(&list);
	error = (struct error){0};
	list = userlist_parse(copy, size, "users.txt", &error);
	free(copy);
	return list;
}

static bool parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void teardown(void)
{
	userlist_free(&list);
}

static void assert_secret(const char *user, enum secret_kind kind, const char *text)
{
	const struct secret *secret = userlist_find(list, user);
	ck_assert_msg(secret != NULL, "%s", user);
	ck_assert_int_eq(secret->kind, kind);
	ck_assert_str_eq(secret->text, text);
}

START_TEST(lines_are_users_and_secrets)
{
	ck_assert(parse("; a comment \"x\" \"y\"\n"
			"\"bob\" \"pencil\"\n"
			"\n  \t\r\n"
			" \"alice\"\t\"md5e4f70fb0b8f2745aa7a69557c80cbd0c\" \"\" anything\r\n"
			"  ; indented\n"
			"\"with \"\"quotes\"\"\" \"a\"\"b\"\n"
			"\"empty\" \"\"\n"
			"\"spaces in it\" \" ; \\ \"\n"
			"\"last\" \"line\""));
	ck_assert_uint_eq(userlist_length(list), 6);
	assert_secret("bob", SECRET_PLAIN, "pencil");
	assert_secret("alice", SECRET_MD5, "md5e4f70fb0b8f2745aa7a69557c80cbd0c");
	assert_secret("with \"quotes\"", SECRET_PLAIN, "a\"b");
	assert_secret("empty", SECRET_NONE, "");
	assert_secret("spaces in it", SECRET_PLAIN, " ; \\ ");
	assert_secret("last", SECRET_PLAIN, "line");
	ck_assert_ptr_null(userlist_find(list, "x"));
	ck_assert_ptr_null(userlist_find(list, "bo"));
	ck_assert_ptr_null(userlist_find(list, "BOB"));
	ck_assert_ptr_null(userlist_find(list, ""));
}
END_TEST

START_TEST(names_are_walked_in_file_order_and_a_later_line_wins)
{
	const void *cursor = NULL;
	ck_assert(parse("\"c\" \"1\"\n\"a\" \"2\"\n\"c\" \"3\"\n\"b\" \"4\"\n"));
	ck_assert_uint_eq(userlist_length(list), 3);
	ck_assert_str_eq(userlist_next(list, &cursor), "c");
	ck_assert_str_eq(userlist_next(list, &cursor), "a");
	ck_assert_str_eq(userlist_next(list, &cursor), "b");
	ck_assert_ptr_null(userlist_next(list, &cursor));
	assert_secret("c", SECRET_PLAIN, "3");
}
END_TEST

START_TEST(an_empty_file_has_no_users)
{
	const void *cursor = NULL;
	ck_assert(parse(""));
	ck_assert_uint_eq(userlist_length(list), 0);
	ck_assert_ptr_null(userlist_next(list, &cursor));
	ck_assert_ptr_null(userlist_find(list, "bob"));
}
END_TEST

#define STORED                                                                                     \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

START_TEST(what_was_made_from_a_plain_secret_is_kept_beside_it)
{
	struct scram_secret made = {.iterations = 7}, other = {.iterations = 8};
	ck_assert(parse("\"plain\" \"secret\"\n\"scram\" \"" STORED "\"\n\"none\" \"\"\n"));
	uint64_t serial = userlist_serial(list);
	ck_assert_ptr_null(userlist_find(list, "plain")->scram);
	userlist_keep_scram(list, "plain", &made);
	ck_assert_mem_eq(userlist_find(list, "plain")->scram, &made, sizeof made);
	userlist_keep_scram(list, "plain", &other);
	ck_assert_uint_eq(userlist_find(list, "plain")->scram->iterations, 8);
	assert_secret("plain", SECRET_PLAIN, "secret");
	userlist_keep_scram(list, "scram", &made); /* it has its own */
	ck_assert_uint_eq(userlist_find(list, "scram")->scram->iterations, 4096);
	userlist_keep_scram(list, "none", &made);
	ck_assert_ptr_null(userlist_find(list, "none")->scram);
	userlist_keep_scram(list, "nobody", &made);
	ck_assert(parse("\"plain\" \"secret\"\n"));
	ck_assert_uint_ne(userlist_serial(list), serial);
	ck_assert_ptr_null(userlist_find(list, "plain")->scram);
}
END_TEST

#define WITH(iterations)                                                         \
	"\" \"SCRAM-SHA-256$" iterations                                         \
	":W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\"\n"

START_TEST(it_knows_the_iterations_that_most_have)
{
	static const struct {
		const char *text;
		uint32_t iterations;
	} rows[] = {
		{"", 0},
		{"\"a\" \"plain\"\n\"b\" \"md5e4f70fb0b8f2745aa7a69557c80cbd0c\"\n", 0},
		{"\"a" WITH("7"), 7},
		{"\"p\" \"plain\"\n\"a" WITH("9") "\"b" WITH("5") "\"c" WITH("9"), 9},
		{"\"a" WITH("5") "\"b" WITH("9") "\"c" WITH("5") "\"d" WITH("4"), 5},
		{"\"a" WITH("5") "\"a" WITH("5") "\"a" WITH("9"), 9}, /* the later line wins */
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ck_assert(parse(rows[i].text));
		ck_assert_uint_eq(userlist_scram_iterations(list), rows[i].iterations);
	}
}
END_TEST

START_TEST(names_may_have_any_bytes)
{
	char text[300], name[64] = "";
	for (size_t i = 0; i < 63; i++)
		name[i] = (char)(0x80 + i);
	snprintf(text, sizeof(text), "\"%s\" \"x\"\n\"a\tb\x01\" \"y\"\n", name);
	ck_assert(parse(text));
	assert_secret(name, SECRET_PLAIN, "x");
	assert_secret("a\tb\x01", SECRET_PLAIN, "y");
}
END_TEST

START_TEST(a_bad_line_is_named_and_its_secret_is_not)
{
	static const struct {
		const char *line, *what;
	} rows[] = {
		{"bob hunter2", "expected a quoted user name"},
		{"# hunter2", "expected a quoted user name"},
		{"'bob' 'hunter2'", "expected a quoted user name"},
		{"\"bob", "the user name's closing quote is missing"},
		{"\"bob\"\"hunter2\"", "expected a quoted secret behind the user name"},
		{"\"bob\"", "expected a quoted secret behind the user name"},
		{"\"bob\" hunter2", "expected a quoted secret behind the user name"},
		{"\"bob\" \"hunter2", "the secret's closing quote is missing"},
		{"\"bob\" \"hunter2\"\"", "the secret's closing quote is missing"},
		{"\"bob\" \"", "the secret's closing quote is missing"},
		{"\"", "the user name's closing quote is missing"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int ended = 0; ended < 2; ended++) {
			char text[200], expected[200];
			snprintf(text, sizeof(text), "\"good\" \"one\"\n;\n%s%s", rows[i].line,
				 ended ? "\n\"next\" \"line\"\n" : "");
			snprintf(expected, sizeof(expected),
				 "users.txt:3: %s (a line is \"user\" \"secret\", or blank, or "
				 "begins with ';')",
				 rows[i].what);
			ck_assert_msg(!parse(text), "%s", text);
			ck_assert_str_eq(error.message, expected);
			ck_assert_str_eq(error.sqlstate, "F0000");
			ck_assert_ptr_null(strstr(error.message, "hunter2"));
		}
	}
}
END_TEST

START_TEST(a_zero_byte_is_refused)
{
	ck_assert(!parse_bytes("\"a\" \"b\"\n\"c\0d\" \"e\"\n", 17));
	ck_assert_ptr_nonnull(strstr(error.message, "users.txt:2: a zero byte is not allowed"));
	ck_assert(!parse_bytes("\"a\" \"b\"\0\n", 9));
}
END_TEST

START_TEST(the_longest_secret_is_taken_and_no_longer_one)
{
	char *text = malloc(SECRET_LENGTH_MAX + 20);
	for (int more = 0; more < 2; more++) {
		size_t length = SECRET_LENGTH_MAX + (size_t)more;
		memcpy(text, "\"a\" \"", 5);
		memset(text + 5, 'x', length);
		memcpy(text + 5 + length, "\"\n", 2);
		ck_assert(parse_bytes(text, length + 7) == !more);
	}
	ck_assert_str_eq(error.message,
			 "users.txt:1: the secret is longer than the 65530 bytes that are allowed");
	free(text);
}
END_TEST

START_TEST(every_truncation_is_all_or_nothing)
{
	static const char text[] = "\"a\" \"b\"\n;\n\"c\" \"d\"\"e\" f\n";
	for (size_t size = 0; size < sizeof(text); size++) {
		if (parse_bytes(text, size))
			ck_assert_uint_le(userlist_length(list), 2);
		else
			ck_assert_ptr_nonnull(strstr(error.message, "users.txt:"));
	}
}
END_TEST

START_TEST(a_hundred_thousand_users_are_found)
{
	enum { USERS = 100000, LINE = 64 };
	char *text = malloc((size_t)USERS * LINE);
	size_t size = 0;
	for (int i = 0; i < USERS; i++)
		size += (size_t)snprintf(text + size, LINE, "\"user%d\" \"md5%032x\"\n", i, i);
	ck_assert(parse_bytes(text, size));
	free(text);
	ck_assert_uint_eq(userlist_length(list), USERS);
	for (int i = 0; i < USERS; i++) {
		char name[32], secret[64];
		snprintf(name, sizeof(name), "user%d", i);
		snprintf(secret, sizeof(secret), "md5%032x", i);
		assert_secret(name, SECRET_MD5, secret);
	}
}
END_TEST

START_TEST(a_file_is_loaded)
{
	char path[] = "/tmp/test_userlist_XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "\"bob\" \"pencil\"\nbad\n", 19), 19);
	ck_assert_ptr_null(userlist_load(path, &error));
	char expected[200];
	snprintf(expected, sizeof(expected), "%s:2: expected a quoted user name", path);
	ck_assert_msg(strncmp(error.message, expected, strlen(expected)) == 0, "%s", error.message);
	ck_assert_int_eq(ftruncate(fd, 15), 0);
	list = userlist_load(path, &error);
	ck_assert_ptr_nonnull(list);
	assert_secret("bob", SECRET_PLAIN, "pencil");
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named)
{
	ck_assert_ptr_null(userlist_load("/nonexistent/users.txt", &error));
	ck_assert_str_eq(
		error.message,
		"could not read auth_file \"/nonexistent/users.txt\": No such file or directory");
	ck_assert_str_eq(error.sqlstate, "58030");
	ck_assert_ptr_null(userlist_load("/tmp", &error));
	ck_assert_str_eq(error.message, "could not read auth_file \"/tmp\": Is a directory");
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
	struct userlist *none = NULL;
	userlist_free(&none);
	ck_assert(parse("\"a\" \"b\""));
	userlist_free(&list);
	ck_assert_ptr_null(list);
}
END_TEST

Suite *suite_userlist(void)
{
	Suite *suite = suite_create("userlist");
	TCase *tcase = tcase_create("userlist");
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, lines_are_users_and_secrets);
	tcase_add_test(tcase, names_are_walked_in_file_order_and_a_later_line_wins);
	tcase_add_test(tcase, an_empty_file_has_no_users);
	tcase_add_test(tcase, what_was_made_from_a_plain_secret_is_kept_beside_it);
	tcase_add_test(tcase, it_knows_the_iterations_that_most_have);
	tcase_add_test(tcase, names_may_have_any_bytes);
	tcase_add_test(tcase, a_bad_line_is_named_and_its_secret_is_not);
	tcase_add_test(tcase, a_zero_byte_is_refused);
	tcase_add_test(tcase, the_longest_secret_is_taken_and_no_longer_one);
	tcase_add_test(tcase, every_truncation_is_all_or_nothing);
	tcase_add_test(tcase, a_hundred_thousand_users_are_found);
	tcase_add_test(tcase, a_file_is_loaded);
	tcase_add_test(tcase, a_file_that_cannot_be_read_is_named);
	tcase_add_test(tcase, freeing_nothing_is_fine);
	suite_add_tcase(suite, tcase);
	return suite;
}
