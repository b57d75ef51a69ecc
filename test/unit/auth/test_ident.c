/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ident.h"
#include "core/error.h"
#include "../suite.h"
#include "rule_dir.h"
#include <string.h>

Suite *suite_ident(void);

static struct ident *ident;
static struct error error;

static bool load_bytes(const char *text, size_t size)
{
	rule_dir_write_bytes("maps", text, size);
	ident_free(&ident);
	error = (struct error){0};
	ident = ident_load("maps", &error);
	return ident;
}

static void load(const char *text)
{
	ck_assert_msg(load_bytes(text, strlen(text)), "%s", error.message);
}

static void teardown(void)
{
	ident_free(&ident);
	rule_dir_leave();
}

START_TEST(users_are_mapped_by_the_lines_of_their_map)
{
	load("# a comment\n"
	     "m  bob  robert\r\n"
	     "m  bob  rob\n"
	     "other bob root # behind\n"
	     "m \"with space\" \"a\"\"b\"\n");
	ck_assert(ident_permits(ident, "m", "bob", "robert"));
	ck_assert(ident_permits(ident, "m", "bob", "rob"));
	ck_assert(ident_permits(ident, "m", "with space", "a\"b"));
	ck_assert(!ident_permits(ident, "m", "bob", "root"));
	ck_assert(!ident_permits(ident, "m", "bob", "bob"));
	ck_assert(!ident_permits(ident, "m", "Bob", "rob"));
	ck_assert(!ident_permits(ident, "M", "bob", "rob"));
	ck_assert(!ident_permits(ident, "none", "bob", "bob"));
	ck_assert(ident_has_map(ident, "other"));
	ck_assert(!ident_has_map(ident, "none"));
}
END_TEST

START_TEST(without_a_map_names_must_be_equal)
{
	ck_assert(ident_permits(NULL, NULL, "bob", "bob"));
	ck_assert(ident_permits(NULL, "", "bob", "bob"));
	ck_assert(!ident_permits(NULL, NULL, "bob", "alice"));
	ck_assert(!ident_permits(NULL, NULL, "", ""));
	ck_assert(!ident_permits(NULL, "m", "bob", "bob"));
	ck_assert(!ident_has_map(NULL, "m"));
}
END_TEST

START_TEST(all_is_any_user_unless_quoted)
{
	load("m root all\nq root \"all\"\n");
	ck_assert(ident_permits(ident, "m", "root", "anyone"));
	ck_assert(!ident_permits(ident, "m", "bob", "anyone"));
	ck_assert(!ident_permits(ident, "q", "root", "anyone"));
	ck_assert(ident_permits(ident, "q", "root", "all"));
}
END_TEST

START_TEST(regular_expressions_match_both_users)
{
	load("m /^(.*)@example\\.com$ \\1\n"
	     "p /^(.*)@example\\.com$ \"pre_\\1_post\"\n"
	     "d bob /^app_\\d+$\n"
	     "o \"/^(a)?x,y$\" u\\1\n"
	     "n /^bob alice\n"
	     "e /.* all\n");
	ck_assert(ident_permits(ident, "m", "bob@example.com", "bob"));
	ck_assert(!ident_permits(ident, "m", "bob@example.com", "bo"));
	ck_assert(!ident_permits(ident, "m", "bob@example.org", "bob"));
	ck_assert(ident_permits(ident, "p", "bob@example.com", "pre_bob_post"));
	ck_assert(!ident_permits(ident, "p", "bob@example.com", "pre_bob"));
	ck_assert(ident_permits(ident, "d", "bob", "app_12"));
	ck_assert(!ident_permits(ident, "d", "bob", "app_x"));
	ck_assert(ident_permits(ident, "o", "ax,y", "ua"));
	ck_assert(!ident_permits(ident, "o", "x,y", "u")); /* the group took no part */
	ck_assert(ident_permits(ident, "n", "bobby", "alice"));
	ck_assert(!ident_permits(ident, "e", "", "alice"));
}
END_TEST

START_TEST(a_system_user_is_never_taken_for_a_keyword_or_pattern)
{
	load("m /^(.*)@example\\.com$ \\1\n");
	ck_assert(!ident_permits(ident, "m", "all@example.com", "bob"));
	ck_assert(ident_permits(ident, "m", "all@example.com", "all"));
	ck_assert(!ident_permits(ident, "m", "/.*@example.com", "bob"));
	ck_assert(!ident_permits(ident, "m", "+admins@example.com", "bob"));
}
END_TEST

START_TEST(maps_include_others)
{
	rule_dir_write("more", "m alice root\n");
	rule_dir_write("users", "bob\n");
	load("include more\ninclude_if_exists absent\nm @users rob\ninclude x y\n");
	ck_assert(ident_permits(ident, "m", "alice", "root"));
	ck_assert(ident_permits(ident, "m", "bob", "rob"));
	ck_assert(ident_permits(ident, "include", "x", "y"));
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{"m\n", "maps:1: a field is missing; a line is: map system-user db-user"},
	{"\nm a\n", "maps:2: a field is missing; a line is: map system-user db-user"},
	{"m a b c\n", "maps:1: too many fields; a line is: map system-user db-user"},
	{"m a,b c\n", "maps:1: one word is allowed in a field; a line is: map system-user db-user"},
	{"m a \"c\n", "maps:1: the closing quote is missing"},
	{"m a +g\n",
	 "maps:1: \"+group\" is not supported; allowed are a name, all, /regular expression"},
	{"m /(a b\n", "maps:1: invalid regular expression \"(a\": Unmatched ( or \\("},
	{"m a /[b\n",
	 "maps:1: invalid regular expression \"[b\": the closing bracket is missing; allowed are "
	 "POSIX extended regular expressions, \\d, \\s, \\w, \\D, \\S and \\W"},
	{"m a \\1\n",
	 "maps:1: \"\\1\" in the database user needs a system user that is a /regular expression "
	 "with a group in parentheses"},
	{"m /a \\1\n",
	 "maps:1: \"\\1\" in the database user needs a system user that is a /regular expression "
	 "with a group in parentheses"},
	{"m /(a) \\1\\1\n", "maps:1: only one \"\\1\" is allowed"},
	{"a b c\ninclude absent\n", "maps:2: could not read \"absent\": No such file or directory"},
};

START_TEST(a_bad_line_fails_the_load)
{
	ck_assert(!load_bytes(refused[_i].text, strlen(refused[_i].text)));
	ck_assert_str_eq(error.message, refused[_i].message);
	ck_assert_str_eq(error.sqlstate, "F0000");
}
END_TEST

START_TEST(an_absent_file_is_refused)
{
	ck_assert_ptr_null(ident_load("absent", &error));
	ck_assert_str_eq(error.message,
			 "could not read auth_ident_file \"absent\": No such file or directory");
}
END_TEST

START_TEST(every_truncation_is_all_or_nothing)
{
	static const char good[] = "# c\nm /^(.*)@x\\.y$ \\1\nm \"a b\" \\\n all\nm bob /^r\\d$\n";
	for (size_t size = 0; size < sizeof good; size++) {
		if (!load_bytes(good, size))
			ck_assert_msg(strncmp(error.message, "maps:", 5) == 0, "%s", error.message);
		ck_assert(!ident_permits(ident, "m", "z", "w"));
	}
}
END_TEST

Suite *suite_ident(void)
{
	Suite *suite = suite_create("ident");
	TCase *tcase = tcase_create("ident");
	tcase_add_checked_fixture(tcase, rule_dir_enter, teardown);
	tcase_add_test(tcase, users_are_mapped_by_the_lines_of_their_map);
	tcase_add_test(tcase, without_a_map_names_must_be_equal);
	tcase_add_test(tcase, all_is_any_user_unless_quoted);
	tcase_add_test(tcase, regular_expressions_match_both_users);
	tcase_add_test(tcase, a_system_user_is_never_taken_for_a_keyword_or_pattern);
	tcase_add_test(tcase, maps_include_others);
	tcase_add_loop_test(tcase, a_bad_line_fails_the_load, 0,
			    (int)(sizeof refused / sizeof *refused));
	tcase_add_test(tcase, an_absent_file_is_refused);
	tcase_add_test(tcase, every_truncation_is_all_or_nothing);
	suite_add_tcase(suite, tcase);
	return suite;
}
