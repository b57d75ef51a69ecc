/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/error.h"
#include "suites.h"
#include <string.h>

START_TEST(every_sqlstate_has_five_characters_of_its_own)
{
	for (int i = 0; i < SQLSTATE_COUNT; i++) {
		const char *code = sqlstate_code((enum sqlstate)i);
		ck_assert_uint_eq(strlen(code), 5);
		ck_assert_uint_eq(strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 5);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(code, sqlstate_code((enum sqlstate)j));
	}
}
END_TEST

START_TEST(set_fills_in_state_and_sentence_and_empties_the_rest)
{
	struct error error;
	memset(&error, 'x', sizeof(error));
	ck_assert(!error_set(&error, SQLSTATE_INVALID_PASSWORD, "no user \"%s\"", "bob"));
	ck_assert_str_eq(error.sqlstate, "28P01");
	ck_assert_str_eq(error.message, "no user \"bob\"");
	ck_assert_str_eq(error.detail, "");
	ck_assert_str_eq(error.hint, "");
}
END_TEST

START_TEST(nobody_need_want_the_error)
{
	ck_assert(!error_set(NULL, SQLSTATE_IO_ERROR, "x"));
	ck_assert(!error_detail(NULL, "x"));
	ck_assert(!error_hint(NULL, "x"));
	ck_assert(!error_prefix(NULL, "x"));
}
END_TEST

START_TEST(detail_and_hint_are_appended)
{
	struct error error;
	error_set(&error, SQLSTATE_IO_ERROR, "m");
	ck_assert(!error_detail(&error, "port %d.", 1));
	ck_assert(!error_detail(&error, "Host %s.", "h"));
	ck_assert(!error_hint(&error, "Try."));
	ck_assert_str_eq(error.detail, "port 1. Host h.");
	ck_assert_str_eq(error.hint, "Try.");
	ck_assert_str_eq(error.message, "m");
}
END_TEST

START_TEST(prefix_says_where)
{
	struct error error;
	error_set(&error, SQLSTATE_CONFIG_FILE_ERROR, "no such key");
	ck_assert(!error_prefix(&error, "%s:%d", "a.ini", 12));
	ck_assert_str_eq(error.message, "a.ini:12: no such key");
	error_prefix(&error, "RELOAD");
	ck_assert_str_eq(error.message, "RELOAD: a.ini:12: no such key");
	ck_assert_str_eq(error.sqlstate, "F0000");
}
END_TEST

START_TEST(an_argument_may_be_the_old_message)
{
	struct error error;
	error_set(&error, SQLSTATE_IO_ERROR, "first");
	error_set(&error, SQLSTATE_IO_ERROR, "again: %s", error.message);
	ck_assert_str_eq(error.message, "again: first");
}
END_TEST

/* A text in front of a character of 1 to 4 bytes, at every place around the end of the message. */
START_TEST(long_text_is_cut_at_a_character)
{
	static const char *const characters[] = {"a", "\xC3\xA4", "\xE2\x82\xAC",
						 "\xF0\x9F\x90\x98"};
	struct error error;
	char text[600], want[600];
	for (size_t c = 0; c < 4; c++) {
		size_t size = strlen(characters[c]);
		for (size_t before = sizeof(error.message) - 6; before < sizeof(error.message) + 2;
		     before++) {
			memset(text, 'x', before);
			strcpy(text + before, characters[c]);
			strcpy(want, text);
			if (before + size > sizeof(error.message) - 1)
				want[before < sizeof(error.message) - 1
					     ? before
					     : sizeof(error.message) - 1] = '\0';
			error_set(&error, SQLSTATE_IO_ERROR, "%s", text);
			ck_assert_str_eq(error.message, want);
		}
	}
}
END_TEST

START_TEST(a_prefix_cuts_at_a_character_too)
{
	struct error error;
	char text[512], want[1024];
	for (size_t prefix = 1; prefix <= 4; prefix++) {
		memset(text, 'x', 506);
		strcpy(text + 506, "\xE2\x82\xAC"); /* 509 bytes; 511 fit */
		error_set(&error, SQLSTATE_IO_ERROR, "%s", text);
		error_prefix(&error, "%.*s", (int)prefix, "pppp");
		memset(want, 'p', prefix);
		strcpy(want + prefix, ": ");
		memset(want + prefix + 2, 'x', 511);
		want[prefix + 2 + 506 > 511 ? 511 : prefix + 2 + 506] = '\0';
		ck_assert_str_eq(error.message, want);
	}
	memset(text, 'y', 511);
	text[511] = '\0';
	error_prefix(&error, "%s", text);
	ck_assert_str_eq(error.message, text);
	text[510] = '\0';
	error_set(&error, SQLSTATE_IO_ERROR, "old");
	error_prefix(&error, "%s", text);
	text[510] = ':';
	ck_assert_str_eq(error.message, text);
}
END_TEST

START_TEST(detail_is_cut_when_full)
{
	struct error error;
	error_set(&error, SQLSTATE_IO_ERROR, "m");
	for (int i = 0; i < 100; i++)
		error_detail(&error, "\xE2\x82\xAC\xE2\x82\xAC");
	size_t length = strlen(error.detail);
	ck_assert_uint_ge(length, sizeof(error.detail) - 4);
	ck_assert_uint_lt(length, sizeof(error.detail));
	ck_assert(error.detail[length - 1] == ' ' ||
		  memcmp(error.detail + length - 3, "\xE2\x82\xAC", 3) == 0);
}
END_TEST

static int taken;

static void take(const struct error *error)
{
	ck_assert_str_eq(error->message, "one of many");
	taken++;
}

START_TEST(errors_are_collected_while_somebody_wants_them)
{
	struct error error;
	error_set(&error, SQLSTATE_IO_ERROR, "one of many");
	ck_assert(!error_collected(&error));
	error_collect(take);
	ck_assert(error_collected(&error));
	ck_assert(error_collected(&error));
	ck_assert(!error_collected(NULL));
	error_collect(NULL);
	ck_assert(!error_collected(&error));
	ck_assert_int_eq(taken, 2);
}
END_TEST

Suite *suite_error(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, every_sqlstate_has_five_characters_of_its_own);
	tcase_add_test(tcase, set_fills_in_state_and_sentence_and_empties_the_rest);
	tcase_add_test(tcase, nobody_need_want_the_error);
	tcase_add_test(tcase, detail_and_hint_are_appended);
	tcase_add_test(tcase, prefix_says_where);
	tcase_add_test(tcase, an_argument_may_be_the_old_message);
	tcase_add_test(tcase, long_text_is_cut_at_a_character);
	tcase_add_test(tcase, a_prefix_cuts_at_a_character_too);
	tcase_add_test(tcase, detail_is_cut_when_full);
	tcase_add_test(tcase, errors_are_collected_while_somebody_wants_them);
	return suite;
}
