/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/pattern.h"
#include "core/error.h"
#include "../suite.h"
#include <stdint.h>
#include <string.h>

Suite *suite_pattern(void);

static const struct {
	const char *pattern, *text;
	bool is_match;
} matches[] = {
	{"^db\\d{2,4}$", "db123", true},
	{"^db\\d{2,4}$", "dbddd", false},
	{"^db\\d{2,4}$", "db12345", false},
	{"b", "abc", true},
	{"", "anything", true},
	{"^(a|bc)+$", "abcbca", true},
	{"^(a|bc)+$", "abcb", false},
	{"^[\\d\\\\]+$", "1\\2", true},
	{"^[\\d]+$", "d", false},
	{"^[^\\s]+$", "a b", false},
	{"^[]a]$", "]", true},
	{"^[^]a]$", "]", false},
	{"^[[:alpha:]]+$", "abc", true},
	{"^\\w+$", "a_1", true},
	{"^\\w+$", "a-1", false},
	{"^\\W$", "-", true},
	{"^\\D\\S$", "ab", true},
	{"^a\\.b$", "a.b", true},
	{"^a\\.b$", "axb", false},
	{"^a\\<b\\'$", "a<b'", true},
	{"^a\\-b\\/$", "a-b/", true},
	{"^A$", "a", false},
	{"^..$", "\xff\xfe", true},
	{"^caf\xc3\xa9$", "caf\xc3\xa9", true},
};

START_TEST(patterns_mean_what_postgresql_means)
{
	struct error error;
	struct pattern *pattern = pattern_new(matches[_i].pattern, &error);
	ck_assert_msg(pattern != NULL, "%s: %s", matches[_i].pattern, error.message);
	ck_assert_msg((pattern_match(pattern, matches[_i].text) == PATTERN_YES) ==
			      matches[_i].is_match,
		      "%s %s", matches[_i].pattern, matches[_i].text);
	pattern_free(&pattern);
}
END_TEST

static const struct {
	const char *pattern, *why;
} refused[] = {
	{"(?i)a", "\"(?\" is not supported"},
	{"a(?=b)", "\"(?\" is not supported"},
	{"***=a", "\"***\" in front is not supported"},
	{"a*?", "a quantifier follows a quantifier"},
	{"a{2}?", "a quantifier follows a quantifier"},
	{"*a", "a quantifier has nothing to repeat"},
	{"(a)\\1", "back references are not supported"},
	{"\\ya", "a letter is escaped that has no meaning here"},
	{"[\\D]", "a backslash in brackets has no such meaning here"},
	{"[\\]]", "a backslash in brackets has no such meaning here"},
	{"a$.b", "\"$\" is supported at an end only"},
	{"(a$b|c)", "\"$\" is supported at an end only"},
	{"a.^b", "\"^\" is supported at a beginning only"},
	{"[a", "the closing bracket is missing"},
	{"[", "the closing bracket is missing"},
	{"[[:alpha", "a class's closing \":]\" is missing"},
	{"a\\", "nothing follows the backslash"},
	{"(a", ""},
	{"a{3,2}", ""},
	{"[z-a]", ""},
	{"[[:nonsense:]]", ""},
};

START_TEST(what_would_mean_something_else_is_refused)
{
	struct error error = {0};
	struct pattern *pattern = pattern_new(refused[_i].pattern, &error);
	ck_assert_msg(pattern == NULL, "%s", refused[_i].pattern);
	ck_assert_msg(error.message[0] &&
			      strncmp(error.message, refused[_i].why, strlen(refused[_i].why)) == 0,
		      "%s: %s", refused[_i].pattern, error.message);
}
END_TEST

START_TEST(first_group_is_reported)
{
	struct error error;
	size_t start, length;
	struct pattern *pattern = pattern_new("^(.*)@example\\.com$|^b(x)$", &error);
	ck_assert_uint_eq(pattern_groups(pattern), 2);
	ck_assert(pattern_match_group(pattern, "bob@example.com", &start, &length) == PATTERN_YES);
	ck_assert(start == 0 && length == 3);
	ck_assert(pattern_match_group(pattern, "@example.com", &start, &length) == PATTERN_YES);
	ck_assert(start == 0 && length == 0);
	ck_assert(pattern_match_group(pattern, "bx", &start, &length) == PATTERN_YES);
	ck_assert(start == SIZE_MAX && length == 0);
	ck_assert(pattern_match_group(pattern, "bob", &start, &length) == PATTERN_NO);
	pattern_free(&pattern);
	pattern_free(&pattern);
}
END_TEST

START_TEST(truncated_patterns_are_read_within_bounds)
{
	static const char good[] = "^([[:alpha:]]|\\d|[\\d\\\\x-z]){1,3}(a|b)*\\.x$";
	for (size_t size = 0; size < sizeof good; size++) {
		char copy[sizeof good];
		struct error error;
		memcpy(copy, good, size);
		copy[size] = '\0';
		struct pattern *pattern = pattern_new(copy, &error);
		pattern_free(&pattern);
	}
}
END_TEST

Suite *suite_pattern(void)
{
	Suite *suite = suite_create("pattern");
	TCase *tcase = tcase_create("pattern");
	tcase_add_loop_test(tcase, patterns_mean_what_postgresql_means, 0,
			    (int)(sizeof matches / sizeof *matches));
	tcase_add_loop_test(tcase, what_would_mean_something_else_is_refused, 0,
			    (int)(sizeof refused / sizeof *refused));
	tcase_add_test(tcase, first_group_is_reported);
	tcase_add_test(tcase, truncated_patterns_are_read_within_bounds);
	suite_add_tcase(suite, tcase);
	return suite;
}
