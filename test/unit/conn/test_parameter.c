/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/parameter.h"
#include "suites.h"
#include <stdio.h>
#include <string.h>

static void no_set_is_left(void)
{
	ck_assert_uint_eq(parameter_sets(), 0);
}

/* A set from "name=value" words, ended by NULL; those that are not tracked are extras. */
static struct parameter_set *made_of(const char *const *words)
{
	struct parameter_set *set = parameter_empty();
	for (; *words; words++) {
		struct parameter_values values = {0};
		char name[64];
		const char *equals = strchr(*words, '=');
		snprintf(name, sizeof name, "%.*s", (int)(equals - *words), *words);
		ck_assert(parameter_note(&values, name, equals + 1) ||
			  parameter_note_extra(&values, name, equals + 1));
		parameter_put_values(&set, &values);
	}
	return set;
}
#define SET(...) made_of((const char *const[]){__VA_ARGS__, NULL})

/* The text of the Query that makes @actual what @wanted is; "" if none is needed. */
static const char *query(const struct parameter_set *wanted, const struct parameter_set *actual,
			 unsigned expected)
{
	static char text[8192];
	struct buffer *out = NULL;
	unsigned count = 99;
	ck_assert(parameter_put_query(&out, sizeof text, wanted, actual, &count));
	ck_assert_uint_eq(count, expected);
	if (count == 0) {
		ck_assert_ptr_null(out);
		return "";
	}
	const uint8_t *bytes = buffer_bytes(out);
	size_t size = buffer_length(out);
	ck_assert_uint_eq(bytes[0], 'Q');
	ck_assert_uint_eq((unsigned)(bytes[3] << 8 | bytes[4]), size - 1);
	ck_assert_uint_eq(bytes[size - 1], 0);
	memcpy(text, bytes + 5, size - 5);
	ck_assert_uint_eq(strlen(text), size - 6);
	buffer_free(&out);
	return text;
}

START_TEST(tracked_names_are_known_in_any_case)
{
	static const char *const names[] = {"client_encoding",	"DateStyle",
					    "TimeZone",		"standard_conforming_strings",
					    "application_name", "IntervalStyle"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char upper[64], lower[64];
		size_t n = 0;
		for (const char *c = names[i]; *c; c++, n++) {
			upper[n] = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
			lower[n] = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
		}
		upper[n] = lower[n] = '\0';
		ck_assert_str_eq(parameter_tracked(names[i]), names[i]);
		ck_assert_str_eq(parameter_tracked(upper), names[i]);
		ck_assert_str_eq(parameter_tracked(lower), names[i]);
		upper[n - 1] = '\0';
		ck_assert_ptr_null(parameter_tracked(upper));
	}
	ck_assert_ptr_null(parameter_tracked("search_path"));
	ck_assert_ptr_null(parameter_tracked("server_version"));
	ck_assert_ptr_null(parameter_tracked(""));
	ck_assert_ptr_null(parameter_tracked("timezone "));
}
END_TEST

START_TEST(equal_sets_are_one)
{
	struct parameter_set *a = SET("TimeZone=UTC", "application_name=x"),
			     *b = SET("application_name=x", "TimeZone=UTC");
	struct parameter_set *c = SET("application_name=x");
	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, c);
	ck_assert_uint_eq(parameter_sets(), 2);
	parameter_put(&c, parameter_tracked("TimeZone"), "UTC");
	ck_assert_ptr_eq(a, c);
	ck_assert_uint_eq(parameter_sets(), 1);
	parameter_release(&a);
	parameter_release(&b);
	ck_assert_uint_eq(parameter_sets(), 1);
	parameter_release(&c);
	ck_assert_ptr_null(c);
	parameter_release(&c);
}
END_TEST

START_TEST(names_and_values_cannot_be_confused)
{
	/* name NUL value NUL: no two different sets have the same bytes */
	struct parameter_set *a = SET("TimeZone=", "application_name=b"),
			     *b = SET("TimeZone=application_name");
	ck_assert_ptr_ne(a, b);
	ck_assert_str_eq(parameter_get(a, "TimeZone"), "");
	ck_assert_str_eq(parameter_get(a, "application_name"), "b");
	ck_assert_ptr_null(parameter_get(b, "application_name"));
	parameter_release(&a);
	parameter_release(&b);
}
END_TEST

START_TEST(putting_says_whether_anything_changed)
{
	struct parameter_set *set = parameter_empty();
	const char *name = parameter_tracked("datestyle");
	ck_assert_ptr_null(parameter_get(set, name));
	ck_assert(parameter_put(&set, name, "ISO"));
	ck_assert(!parameter_put(&set, name, "ISO"));
	ck_assert(parameter_put(&set, name, "iso"));
	ck_assert_str_eq(parameter_get(set, name), "iso");
	ck_assert(parameter_put(&set, name, ""));
	ck_assert_str_eq(parameter_get(set, name), "");
	parameter_release(&set);
}
END_TEST

START_TEST(noted_values_are_put_all_at_once)
{
	struct parameter_values values = {0};
	char large[1000];
	struct parameter_set *set = SET("TimeZone=UTC", "DateStyle=ISO");
	memset(large, 'x', sizeof large);
	large[sizeof large - 1] = '\0';
	ck_assert(parameter_note(&values, "TIMEZONE", "MET"));
	ck_assert(parameter_note(&values, "timezone", "CET")); /* the last one counts */
	ck_assert(parameter_note(&values, "client_encoding", large));
	ck_assert(!parameter_note(&values, "search_path", "x"));
	parameter_put_values(&set, &values);
	ck_assert_str_eq(parameter_get(set, "TimeZone"), "CET");
	ck_assert_str_eq(parameter_get(set, "DateStyle"), "ISO");
	ck_assert_str_eq(parameter_get(set, "client_encoding"), large);
	struct parameter_set *same = parameter_share(set);
	parameter_put_values(&set, &values); /* they are forgotten */
	ck_assert_ptr_eq(set, same);
	parameter_release(&same);
	parameter_release(&set);
	set = parameter_empty();
	parameter_put_values(&set, &values);
	same = parameter_empty();
	ck_assert_ptr_eq(set, same);
	parameter_release(&same);
	parameter_release(&set);
}
END_TEST

START_TEST(others_who_share_a_set_do_not_see_a_change)
{
	struct parameter_set *mine = SET("TimeZone=UTC"), *yours = parameter_share(mine);
	parameter_put(&mine, parameter_tracked("TimeZone"), "CET");
	ck_assert_str_eq(parameter_get(mine, "TimeZone"), "CET");
	ck_assert_str_eq(parameter_get(yours, "TimeZone"), "UTC");
	parameter_release(&mine);
	parameter_release(&yours);
}
END_TEST

START_TEST(put_over_keeps_own_values_and_takes_the_rest)
{
	struct parameter_set *base = SET("TimeZone=UTC", "DateStyle=ISO", "client_encoding=UTF8");
	struct parameter_set *set = SET("TimeZone=CET");
	struct parameter_set *expected =
		SET("TimeZone=CET", "DateStyle=ISO", "client_encoding=UTF8");
	parameter_put_over(&set, base, NULL);
	ck_assert_ptr_eq(set, expected);
	ck_assert_str_eq(parameter_get(base, "TimeZone"), "UTC");
	parameter_put_over(&set, base, &base); /* whose they are matters to extras alone */
	ck_assert_ptr_eq(set, expected);
	parameter_release(&base);
	parameter_release(&set);
	parameter_release(&expected);
}
END_TEST

START_TEST(a_walk_meets_each_value_once)
{
	struct parameter_set *set =
		SET("TimeZone=UTC", "application_name=", "client_encoding=UTF8");
	const char *cursor = NULL, *name, *value;
	char seen[256] = "";
	while (parameter_next(set, &cursor, &name, &value))
		snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s=%s;", name, value);
	ck_assert_str_eq(seen, "client_encoding=UTF8;TimeZone=UTC;application_name=;");
	parameter_release(&set);
	set = parameter_empty();
	cursor = NULL;
	ck_assert(!parameter_next(set, &cursor, &name, &value));
	parameter_release(&set);
}
END_TEST

START_TEST(a_query_sets_what_differs_and_nothing_else)
{
	struct parameter_set *server =
		SET("TimeZone=UTC", "DateStyle=ISO, MDY", "application_name=");
	struct parameter_set *same = SET("DateStyle=ISO, MDY"),
			     *one = SET("DateStyle=ISO, MDY", "TimeZone=CET");
	struct parameter_set *two =
		SET("application_name=me", "IntervalStyle=postgres", "DateStyle=ISO, MDY");
	ck_assert_str_eq(query(same, server, 0), "");
	ck_assert_str_eq(query(server, server, 0), "");
	ck_assert_str_eq(query(one, server, 1), "SET TimeZone='CET';");
	ck_assert_str_eq(query(two, server, 2),
			 "SET application_name='me';SET IntervalStyle='postgres';");
	parameter_release(&server);
	parameter_release(&same);
	parameter_release(&one);
	parameter_release(&two);
}
END_TEST

START_TEST(values_are_quoted_so_that_they_stay_values)
{
	static const char *const rows[][2] = {
		{"it's", "SET application_name='it''s';"},
		{"'; DROP TABLE t; --", "SET application_name='''; DROP TABLE t; --';"},
		{"a\\b", "SET application_name=E'a\\\\b';"},
		{"\\'; DROP", "SET application_name=E'\\\\''; DROP';"},
		{"", "SET application_name='';"},
		{"caf\xc3\xa9", "SET application_name='caf\xc3\xa9';"},
	};
	struct parameter_set *server = SET("application_name=server");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct parameter_set *set = parameter_empty();
		parameter_put(&set, parameter_tracked("application_name"), rows[i][0]);
		ck_assert_str_eq(query(set, server, 1), rows[i][1]);
		parameter_release(&set);
	}
	parameter_release(&server);
}
END_TEST

START_TEST(a_query_longer_than_the_cap_is_refused)
{
	struct parameter_set *server = parameter_empty(), *set = SET("application_name=abcdefgh");
	const char *text = "SET application_name='abcdefgh';";
	size_t whole = 5 + strlen(text) + 1;
	for (size_t cap = 0; cap <= whole; cap++) {
		struct buffer *out = NULL;
		unsigned count;
		ck_assert_int_eq(parameter_put_query(&out, cap, set, server, &count), cap == whole);
		buffer_free(&out);
	}
	parameter_release(&server);
	parameter_release(&set);
}
END_TEST

START_TEST(proven_belongs_to_the_values)
{
	struct parameter_set *a = SET("TimeZone=UTC"), *b = SET("TimeZone=CET");
	ck_assert(!parameter_is_proven(a));
	parameter_prove(a, true);
	struct parameter_set *again = SET("TimeZone=UTC");
	ck_assert(parameter_is_proven(again));
	ck_assert(!parameter_is_proven(b));
	parameter_put(&again, parameter_tracked("TimeZone"), "MET");
	ck_assert(!parameter_is_proven(again));
	parameter_prove(a, false);
	ck_assert(!parameter_is_proven(a));
	parameter_release(&a);
	parameter_release(&b);
	parameter_release(&again);
}
END_TEST

START_TEST(extras_stand_behind_in_lower_case_and_in_order)
{
	struct parameter_set *set =
		SET("Work_Mem=1MB", "lock_timeout=5", "TimeZone=UTC", "a.B=x", "WORK_MEM=2MB");
	const char *cursor = NULL, *name, *value;
	char seen[256] = "";
	while (parameter_next(set, &cursor, &name, &value))
		snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s=%s;", name, value);
	ck_assert_str_eq(seen, "TimeZone=UTC;a.b=x;lock_timeout=5;work_mem=2MB;");
	struct parameter_set *same = SET("a.b=x", "TimeZone=UTC", "work_mem=2MB", "LOCK_TIMEOUT=5");
	ck_assert_ptr_eq(set, same);
	ck_assert(parameter_has_extras(set));
	ck_assert_str_eq(parameter_get(set, "Lock_Timeout"), "5");
	parameter_put(&set, parameter_tracked("TimeZone"), "CET"); /* they stay */
	ck_assert_str_eq(parameter_get(set, "a.b"), "x");
	ck_assert_str_eq(parameter_get(set, "timezone"), "CET");
	parameter_release(&set);
	parameter_release(&same);
	set = SET("TimeZone=UTC");
	ck_assert(!parameter_has_extras(set));
	parameter_release(&set);
}
END_TEST

START_TEST(too_many_extras_are_refused)
{
	struct parameter_values values = {0};
	char names[PARAMETER_EXTRAS_MAX + 1][16];
	for (int i = 0; i <= PARAMETER_EXTRAS_MAX; i++) {
		snprintf(names[i], sizeof names[i], "x%d", i);
		ck_assert_int_eq(parameter_note_extra(&values, names[i], "1"),
				 i < PARAMETER_EXTRAS_MAX);
	}
	ck_assert(parameter_note_extra(&values, "X7", "2")); /* known already */
	struct parameter_set *set = parameter_empty();
	parameter_put_values(&set, &values);
	ck_assert_str_eq(parameter_get(set, "x7"), "2");
	ck_assert_str_eq(parameter_get(set, "x63"), "1");
	ck_assert_ptr_null(parameter_get(set, "x64"));
	parameter_release(&set);
}
END_TEST

START_TEST(extras_are_proven_for_their_owner_only)
{
	int owners[2];
	struct parameter_set *base = SET("TimeZone=UTC"), *sets[2], *tracked[2];
	for (int i = 0; i < 2; i++) {
		sets[i] = SET("work_mem=1MB");
		parameter_put_over(&sets[i], base, &owners[i]);
		tracked[i] = parameter_share(base);
		parameter_put_over(&tracked[i], base, &owners[i]);
	}
	ck_assert_ptr_ne(sets[0], sets[1]);
	ck_assert_ptr_eq(tracked[0], tracked[1]);
	parameter_prove(sets[0], true);
	ck_assert(!parameter_is_proven(sets[1]));
	ck_assert_str_eq(query(sets[0], sets[1], 0), "");
	/* what the first one's server has become is the same */
	struct parameter_set *server = SET("TimeZone=UTC");
	parameter_take_extras(&server, sets[0]);
	ck_assert_ptr_eq(server, sets[0]);
	parameter_put(&sets[1], parameter_tracked("TimeZone"), "CET");
	parameter_put(&sets[1], parameter_tracked("TimeZone"), "UTC");
	ck_assert_ptr_ne(sets[0], sets[1]);
	parameter_release(&server);
	parameter_release(&base);
	for (int i = 0; i < 2; i++) {
		parameter_release(&sets[i]);
		parameter_release(&tracked[i]);
	}
}
END_TEST

START_TEST(extras_are_proven_whatever_is_beside_them)
{
	struct parameter_set *a = SET("application_name=a", "work_mem=1MB");
	struct parameter_set *b = SET("application_name=b", "work_mem=1MB");
	struct parameter_set *c = SET("application_name=b", "work_mem=2MB");
	struct parameter_set *alone = SET("work_mem=1MB"), *none = SET("application_name=a");
	ck_assert(!parameter_extras_are_proven(a));
	ck_assert(parameter_extras_are_proven(none));
	parameter_prove(a, true);
	parameter_release(&a);
	ck_assert(parameter_extras_are_proven(b));
	ck_assert(!parameter_is_proven(b));
	ck_assert(parameter_extras_are_proven(alone));
	ck_assert(!parameter_extras_are_proven(c));
	parameter_prove(b, false);
	ck_assert(!parameter_extras_are_proven(alone));
	parameter_release(&alone);
	ck_assert(!parameter_extras_are_proven(b));
	parameter_release(&b);
	parameter_release(&c);
	parameter_release(&none);
}
END_TEST

START_TEST(extras_are_taken_and_dropped)
{
	struct parameter_set *server = SET("TimeZone=UTC", "role=bob", "work_mem=1MB");
	struct parameter_set *client = SET("TimeZone=CET", "lock_timeout=5");
	struct parameter_set *plain = SET("TimeZone=UTC"), *role = SET("TimeZone=UTC", "role=bob");
	struct parameter_set *had = parameter_share(server);
	parameter_drop_extras(&server, true);
	ck_assert_ptr_eq(server, role);
	parameter_drop_extras(&server, false);
	ck_assert_ptr_eq(server, plain);
	parameter_drop_extras(&server, true);
	ck_assert_ptr_eq(server, plain);
	parameter_take_extras(&had, client);
	ck_assert_str_eq(parameter_get(had, "lock_timeout"), "5");
	ck_assert_str_eq(parameter_get(had, "TimeZone"), "UTC");
	ck_assert_ptr_null(parameter_get(had, "work_mem"));
	parameter_take_extras(&had, plain);
	ck_assert_ptr_eq(had, plain);
	parameter_release(&server);
	parameter_release(&client);
	parameter_release(&plain);
	parameter_release(&role);
	parameter_release(&had);
}
END_TEST

START_TEST(a_query_sets_extras_and_takes_others_away)
{
	struct parameter_set *plain = SET("TimeZone=UTC"), *none = parameter_empty();
	struct parameter_set *one = SET("TimeZone=UTC", "statement_timeout=5s", "my.thing=it's");
	struct parameter_set *two = SET("TimeZone=UTC", "select=\xe9", "my.thing=it's");
	struct parameter_set *path = SET("search_path=\"a\", b");
	ck_assert_str_eq(query(one, plain, 2),
			 "SET \"my\".\"thing\"='it''s';SET \"statement_timeout\"='5s';");
	ck_assert_str_eq(query(plain, one, 2),
			 "RESET \"my\".\"thing\";RESET \"statement_timeout\";");
	/* no word is a keyword, and bytes stay what they are whatever client_encoding is */
	ck_assert_str_eq(query(two, one, 2),
			 "RESET \"statement_timeout\";SET \"select\"=E'\\351';");
	ck_assert_str_eq(query(one, one, 0), "");
	/* a list is given as it stands: as a literal it would be one name */
	ck_assert_str_eq(query(path, none, 1),
			 "SELECT pg_catalog.set_config('search_path','\"a\", b',false);");
	/* all of it */
	ck_assert_str_eq(query(two, none, 3), "SET TimeZone='UTC';SET \"my\".\"thing\"='it''s';"
					      "SET \"select\"=E'\\351';");
	parameter_release(&plain);
	parameter_release(&one);
	parameter_release(&two);
	parameter_release(&path);
	parameter_release(&none);
}
END_TEST

START_TEST(the_role_goes_first_and_comes_last)
{
	struct parameter_set *bob = SET("log_statement=all", "role=bob", "work_mem=1MB");
	struct parameter_set *also = SET("role=bob", "work_mem=2MB");
	struct parameter_set *none = parameter_empty();
	ck_assert_str_eq(query(none, bob, 3),
			 "RESET \"role\";RESET \"log_statement\";RESET \"work_mem\";");
	ck_assert_str_eq(query(bob, none, 3), "SET \"log_statement\"='all';SET "
					      "\"work_mem\"='1MB';SET \"role\"='bob';");
	ck_assert_str_eq(query(also, bob, 2), "RESET \"role\";RESET \"log_statement\";SET "
					      "\"work_mem\"='2MB';SET \"role\"='bob';");
	ck_assert_str_eq(query(bob, bob, 0), "");
	parameter_release(&bob);
	parameter_release(&also);
	parameter_release(&none);
}
END_TEST

START_TEST(half_a_datestyle_does_not_take_the_other_half_from_the_last_client)
{
	struct parameter_set *server = SET("DateStyle=ISO, YMD"), *half = SET("DateStyle=german");
	struct parameter_set *whole = SET("DateStyle=German, DMY");
	ck_assert_str_eq(query(half, server, 1), "RESET DateStyle;SET DateStyle='german';");
	ck_assert_str_eq(query(whole, server, 1), "SET DateStyle='German, DMY';");
	parameter_release(&server);
	parameter_release(&half);
	parameter_release(&whole);
}
END_TEST

START_TEST(what_servers_do_not_report_is_an_extra_though_it_is_tracked)
{
	ck_assert(parameter_track("search_path"));
	struct parameter_set *base = SET("TimeZone=UTC"), *set = SET("search_path=x");
	struct parameter_set *none = SET("TimeZone=UTC"), *server = SET("TimeZone=UTC");
	parameter_put_over(&set, base, &base);
	ck_assert(parameter_has_extras(set));
	ck_assert_str_eq(query(set, none, 1),
			 "SELECT pg_catalog.set_config('search_path','x',false);");
	parameter_take_extras(&server, set);
	ck_assert_ptr_eq(server, set);
	parameter_put(&server, parameter_tracked("TimeZone"), "CET");
	ck_assert_str_eq(query(none, server, 2), "RESET \"search_path\";SET TimeZone='UTC';");
	parameter_release(&base);
	parameter_release(&set);
	parameter_release(&none);
	parameter_release(&server);
	ck_assert(parameter_track("IntervalStyle"));
}
END_TEST

START_TEST(other_names_may_be_tracked)
{
	struct parameter_set *set =
		SET("TimeZone=CET", "IntervalStyle=iso_8601", "search_path=x", "work_mem=1MB");
	ck_assert(!parameter_track("IntervalStyle"));
	ck_assert(parameter_track("Search_Path, timezone, in_hot_standby"));
	ck_assert(!parameter_track("Search_Path, in_hot_standby"));
	ck_assert_ptr_null(parameter_tracked("IntervalStyle"));
	ck_assert_str_eq(parameter_tracked("search_path"), "Search_Path");
	struct parameter_set *base =
		SET("in_hot_standby=off", "TimeZone=UTC", "search_path=public");
	struct parameter_set *expected =
		SET("TimeZone=CET", "search_path=x", "in_hot_standby=off", "work_mem=1MB");
	struct parameter_set *startup = parameter_share(set);
	parameter_renew(&set, NULL, base, NULL);
	ck_assert_ptr_eq(set, expected);
	/* what was asked for stays in force */
	parameter_renew(&startup, base, base, NULL);
	ck_assert_str_eq(parameter_get(startup, "IntervalStyle"), "iso_8601");
	parameter_take_extras(&set, startup);
	ck_assert_ptr_eq(set, startup);
	parameter_take_extras(&set, expected);
	parameter_release(&startup);
	ck_assert_ptr_null(parameter_get(set, "IntervalStyle"));
	/* the order counts: a set keeps it */
	ck_assert(parameter_track("in_hot_standby, search_path"));
	ck_assert(parameter_track(""));
	parameter_renew(&set, NULL, NULL, NULL);
	ck_assert_ptr_null(parameter_get(set, "search_path"));
	ck_assert_str_eq(parameter_get(set, "work_mem"), "1MB");
	ck_assert(parameter_track("IntervalStyle"));
	parameter_release(&set);
	parameter_release(&base);
	parameter_release(&expected);
}
END_TEST

Suite *suite_parameter(void)
{
	Suite *suite = suite_create("conn/parameter");
	TCase *tcase = tcase_create("parameter");
	tcase_add_checked_fixture(tcase, NULL, no_set_is_left);
	tcase_add_test(tcase, tracked_names_are_known_in_any_case);
	tcase_add_test(tcase, equal_sets_are_one);
	tcase_add_test(tcase, names_and_values_cannot_be_confused);
	tcase_add_test(tcase, putting_says_whether_anything_changed);
	tcase_add_test(tcase, noted_values_are_put_all_at_once);
	tcase_add_test(tcase, others_who_share_a_set_do_not_see_a_change);
	tcase_add_test(tcase, put_over_keeps_own_values_and_takes_the_rest);
	tcase_add_test(tcase, a_walk_meets_each_value_once);
	tcase_add_test(tcase, a_query_sets_what_differs_and_nothing_else);
	tcase_add_test(tcase, values_are_quoted_so_that_they_stay_values);
	tcase_add_test(tcase, a_query_longer_than_the_cap_is_refused);
	tcase_add_test(tcase, proven_belongs_to_the_values);
	tcase_add_test(tcase, extras_stand_behind_in_lower_case_and_in_order);
	tcase_add_test(tcase, too_many_extras_are_refused);
	tcase_add_test(tcase, extras_are_proven_for_their_owner_only);
	tcase_add_test(tcase, extras_are_proven_whatever_is_beside_them);
	tcase_add_test(tcase, extras_are_taken_and_dropped);
	tcase_add_test(tcase, a_query_sets_extras_and_takes_others_away);
	tcase_add_test(tcase, the_role_goes_first_and_comes_last);
	tcase_add_test(tcase, half_a_datestyle_does_not_take_the_other_half_from_the_last_client);
	tcase_add_test(tcase, what_servers_do_not_report_is_an_extra_though_it_is_tracked);
	tcase_add_test(tcase, other_names_may_be_tracked);
	suite_add_tcase(suite, tcase);
	return suite;
}
