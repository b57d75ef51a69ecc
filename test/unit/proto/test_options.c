/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/options.h"
#include "core/error.h"
#include "../suite.h"
#include <stdio.h>
#include <string.h>

Suite *suite_options(void);

static char seen[4096];

static bool note(void *context, const char *name, const char *value, struct error *error)
{
	size_t length = strlen(seen);
	snprintf(seen + length, sizeof(seen) - length, "%s=%s;", name, value);
	if (context && strcmp(context, name) == 0)
		return error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE, "not %s", name);
	return true;
}

static bool parse(const char *text, struct error *error)
{
	*seen = '\0';
	char words[256];
	memset(words, '?', sizeof words);
	ck_assert_uint_lt(strlen(text) + 1, sizeof words);
	bool good = options_walk(text, words, note, NULL, error);
	ck_assert_int_eq(words[strlen(text) + 1], '?');
	return good;
}

START_TEST(assignments_of_all_forms_are_given)
{
	static const struct {
		const char *text, *seen;
	} rows[] = {
		{"", ""},
		{"  \t\n ", ""},
		{"-c a=b", "a=b;"},
		{"-ca=b", "a=b;"},
		{"--a=b", "a=b;"},
		{"  -c  a=b   --c=d\t-ce=f ", "a=b;c=d;e=f;"},
		{"--search-path=x-y", "search_path=x-y;"},
		{"-c search-path=x", "search_path=x;"},
		{"-c a=", "a=;"},
		{"-c a=b=c", "a=b=c;"},
		{"-c my.guc=1", "my.guc=1;"},
		{"-c a=one\\ two\\\\three -c b=c", "a=one two\\three;b=c;"},
		{"-c a=b\\", "a=b;"},
		{"-c a=b --DateStyle=ISO,\\ MDY", "a=b;DateStyle=ISO, MDY;"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error error;
		ck_assert_msg(parse(rows[i].text, &error), "%s", rows[i].text);
		ck_assert_str_eq(seen, rows[i].seen);
	}
}
END_TEST

START_TEST(other_switches_are_refused_with_the_known_text)
{
	static const char *const rows[] = {
		"-c",	"-c ",	  "--",	 "-",	       "-c a", "-ca", "--a",	   "-c =b",
		"--=b", "-B 100", "a=b", "-c a=b c=d", "-d5",  "\\",  "-c a=b -x",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error error;
		ck_assert_msg(!parse(rows[i], &error), "%s", rows[i]);
		ck_assert_str_eq(error.message,
				 "unsupported options startup parameter: only '-c config=val' and "
				 "'--config=val' are allowed");
		ck_assert_str_eq(error.sqlstate, "0A000");
	}
}
END_TEST

START_TEST(the_callee_may_stop_it)
{
	struct error error;
	char name[] = "b";
	char words[32];
	*seen = '\0';
	ck_assert(!options_walk("-c a=1 -c b=2 -c c=3", words, note, name, &error));
	ck_assert_str_eq(seen, "a=1;b=2;");
	ck_assert_str_eq(error.message, "not b");
}
END_TEST

START_TEST(every_truncation_is_survived)
{
	const char text[] = "-c a=one\\ two --b-c=\\\\ -cd=e";
	for (size_t length = 0; length < sizeof(text); length++) {
		char part[sizeof(text)];
		snprintf(part, sizeof(part), "%.*s", (int)length, text);
		struct error error = {.message = ""};
		ck_assert(parse(part, &error) || *error.message);
	}
	ck_assert_str_eq(seen, "a=one two;b_c=\\;d=e;");
}
END_TEST

Suite *suite_options(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");
	tcase_add_test(tcase, assignments_of_all_forms_are_given);
	tcase_add_test(tcase, other_switches_are_refused_with_the_known_text);
	tcase_add_test(tcase, the_callee_may_stop_it);
	tcase_add_test(tcase, every_truncation_is_survived);
	suite_add_tcase(suite, tcase);
	return suite;
}
