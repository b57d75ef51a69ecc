/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/text.h"
#include "suites.h"
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND USEC_PER_SECOND

START_TEST(integers_of_every_base_are_read)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},
		{"00", 0},
		{"5432", 5432},
		{"-5", -5},
		{"+5", 5},
		{"0777", 511},
		{"-010", -8},
		{"0x1000", 4096},
		{"0XfF", 255},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
		{"0x7fffffffffffffff", INT64_MAX},
	};
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		int64_t value = 42;
		ck_assert_msg(text_to_int(good[i].text, &value), "%s", good[i].text);
		ck_assert_msg(value == good[i].value, "%s", good[i].text);
	}
	static const char *const bad[] = {
		"",
		"-",
		"+",
		"0x",
		"x",
		"08",
		"0x1g",
		"1 ",
		" 1",
		"1.0",
		"1e3",
		"--1",
		"+-1",
		"0b1",
		"\xC3\xA4",
		"9223372036854775808",
		"-9223372036854775809",
		"0x8000000000000000",
		"99999999999999999999999",
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		int64_t value = 42;
		ck_assert_msg(!text_to_int(bad[i], &value), "%s", bad[i]);
		ck_assert_int_eq(value, 42);
	}
}
END_TEST

START_TEST(durations_have_units_and_fractions)
{
	static const struct {
		const char *text;
		usec_t value;
	} good[] = {
		{"0", 0},
		{"30", 30 * SECOND},
		{"1.5", 1500000},
		{".5", 500000},
		{"5.", 5 * SECOND},
		{"+2", 2 * SECOND},
		{"007", 7 * SECOND},
		{"500ms", 500000},
		{"500 ms", 500000},
		{"30s", 30 * SECOND},
		{"5min", 300 * SECOND},
		{"2h", 7200 * SECOND},
		{"1d", 86400 * SECOND},
		{"1.5h", 5400 * SECOND},
		{"17us", 17},
		{"0.000001", 1},
		{"0.0000004", 0},
		{"0.0000005", 1},
		{"0.00000004", 0},
		{"0.4us", 0},
		{"1e3", 1000 * SECOND},
		{"1E-3", 1000},
		{"1e+1ms", 10000},
		{"0e999999999999", 0},
		{"1e-999999999999", 0},
		{"0.100000000000000000000000000000", 100000},
		{"1.9999999999999999999999999999", 2 * SECOND},
		{"9223372036854", INT64_C(9223372036854000000)},
		{"9223372036854775807us", INT64_MAX},
		{"10000000000000000000e-19", SECOND},
	};
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		usec_t value = 42;
		ck_assert_msg(text_to_duration(good[i].text, SECOND, &value), "%s", good[i].text);
		ck_assert_msg(value == good[i].value, "%s: %lld", good[i].text, (long long)value);
	}
	static const char *const bad[] = {
		"",
		".",
		"-1",
		"-0",
		"1e400",
		"1e",
		"1e+",
		"e1",
		"1.2.3",
		"ms",
		" 1",
		"1 ",
		"1S",
		"1sec",
		"1m",
		"1 s ",
		"nan",
		"inf",
		"0x10",
		"1,5",
		"1s30",
		"9223372036855",
		"9223372036854775808us",
		"106751992d",
		"1 ms2",
		"10000000000000000000000000000000000000000000000000000000000000000",
	};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		usec_t value = 42;
		ck_assert_msg(!text_to_duration(bad[i], SECOND, &value), "%s", bad[i]);
		ck_assert_int_eq(value, 42);
	}
	usec_t value;
	ck_assert(text_to_duration("250", USEC_PER_MSEC, &value));
	ck_assert_int_eq(value, 250000);
	ck_assert(text_to_duration("2s", USEC_PER_MSEC, &value));
	ck_assert_int_eq(value, 2 * SECOND);
}
END_TEST

START_TEST(sizes_have_units)
{
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{"0", 0},	  {"4096", 4096},
		{"0x1000", 4096}, {"0x10B", 267},
		{"010", 8},	  {"1B", 1},
		{"64kB", 65536},  {"64 kB", 65536},
		{"1MB", 1 << 20}, {"2GB", INT64_C(2) << 30},
		{"-1", -1},	  {"0x10kB", 16384},
	};
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		int64_t value = 42;
		ck_assert_msg(text_to_size(good[i].text, &value), "%s", good[i].text);
		ck_assert_msg(value == good[i].value, "%s", good[i].text);
	}
	static const char *const bad[] = {"",
					  "kB",
					  "1kb",
					  "1KB",
					  "1k",
					  "1.5MB",
					  "1 ",
					  "1 MBs",
					  "1M B",
					  "08kB",
					  "9999999999999GB",
					  "99999999999999999999"};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		int64_t value = 42;
		ck_assert_msg(!text_to_size(bad[i], &value), "%s", bad[i]);
	}
}
END_TEST

START_TEST(booleans_are_postgresqls)
{
	static const char *const yes[] = {"1", "on", "true", "yes", "ON", "True", "yEs"};
	static const char *const no[] = {"0", "off", "false", "no", "OFF"};
	static const char *const bad[] = {"", "2", "o", "t", "true ", "01", "nope"};
	bool value = false;
	for (size_t i = 0; i < COUNT_OF(yes); i++)
		ck_assert(text_to_bool(yes[i], &value) && value);
	for (size_t i = 0; i < COUNT_OF(no); i++)
		ck_assert(text_to_bool(no[i], &value) && !value);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		ck_assert(!text_to_bool(bad[i], &value));
}
END_TEST

START_TEST(durations_are_written_as_they_are_read)
{
	static const struct {
		usec_t value;
		const char *text;
	} rows[] = {
		{0, "0"},
		{30 * SECOND, "30"},
		{500000, "0.5"},
		{1, "0.000001"},
		{1500000, "1.5"},
		{10 * SECOND + 10, "10.00001"},
		{3600 * SECOND, "3600"},
		{-1500000, "-1.5"},
		{INT64_MAX, "9223372036854.775807"},
	};
	char text[32];
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		text_from_duration(rows[i].value, text);
		ck_assert_str_eq(text, rows[i].text);
	}
}
END_TEST

START_TEST(lists_are_taken_apart)
{
	char item[8];
	const char *list = " a, b c ,,\td\n, ";
	ck_assert(text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(item, "a");
	ck_assert_str_eq(list, " b c ,,\td\n, ");
	ck_assert(text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(item, "b c");
	ck_assert(text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(item, "d");
	ck_assert(!text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(list, "");
	ck_assert(!text_next_item(&list, item, sizeof(item)));
	list = "";
	ck_assert(!text_next_item(&list, item, sizeof(item)));

	list = "12345678,123456\xE2\x82\xAC,x";
	ck_assert(text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(item, "1234567");
	ck_assert(text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(item, "123456");
	ck_assert(text_next_item(&list, item, sizeof(item)));
	ck_assert_str_eq(item, "x");
}
END_TEST

START_TEST(list_members_are_compared_whole_and_exactly)
{
	ck_assert(text_list_has("alice, bob", "alice"));
	ck_assert(text_list_has("alice, bob", "bob"));
	ck_assert(text_list_has("  bob  ", "bob"));
	ck_assert(!text_list_has("alice, bob", "Bob"));
	ck_assert(!text_list_has("alice, bob", "bo"));
	ck_assert(!text_list_has("alice, bob", "bobby"));
	ck_assert(!text_list_has("*", "bob"));
	ck_assert(text_list_has("*", "*"));
	ck_assert(!text_list_has("", "bob"));
	ck_assert(!text_list_has("a,,b", ""));
}
END_TEST

START_TEST(building_stops_when_full)
{
	char text[8];
	struct text_builder builder;
	text_builder_init(&builder, text, sizeof(text));
	ck_assert_str_eq(text, "");
	text_append(&builder, "%d", 12);
	text_append(&builder, "%s", "");
	text_append(&builder, "%s", "abcde");
	ck_assert_str_eq(text, "12abcde");
	ck_assert(!builder.cut);
	text_append(&builder, "f");
	ck_assert_str_eq(text, "12abcde");
	ck_assert(builder.cut);

	text_builder_init(&builder, text, sizeof(text));
	text_append(&builder, "%s", "12345\xE2\x82\xAC");
	ck_assert(builder.cut);
	ck_assert_str_eq(text, "12345");
	text_append(&builder, "6");
	ck_assert_str_eq(text, "12345");
	ck_assert_uint_eq(builder.length, 5);
}
END_TEST

START_TEST(control_characters_are_hidden)
{
	char out[40];
	ck_assert_str_eq(text_printable("plain \xC3\xA4", out, sizeof(out)), "plain \xC3\xA4");
	ck_assert_str_eq(text_printable("a\nb\r\tc\x1B[0m\x7F", out, sizeof(out)), "a?b??c?[0m?");
	/* U+009B is a CSI; U+00A0 and the 0x9B inside other characters are not */
	ck_assert_str_eq(text_printable("\xC2\x9B", out, sizeof(out)), "??");
	ck_assert_str_eq(text_printable("\xC2\xA0\xE2\x9B\xB5", out, sizeof(out)),
			 "\xC2\xA0\xE2\x9B\xB5");
	ck_assert_str_eq(text_printable("abcdef", out, 4), "abc");
	ck_assert_str_eq(text_printable("ab\xC3\xA4", out, 4), "ab");
	ck_assert_str_eq(text_printable("abc", out, 1), "");
	strcpy(out, "in\nplace");
	ck_assert_str_eq(text_printable(out, out, sizeof(out)), "in?place");
}
END_TEST

START_TEST(case_is_ignored_in_ascii_only)
{
	ck_assert(text_equals_nocase("", ""));
	ck_assert(text_equals_nocase("AbC-1", "aBc-1"));
	ck_assert(!text_equals_nocase("abc", "abcd"));
	ck_assert(!text_equals_nocase("abcd", "abc"));
	ck_assert(!text_equals_nocase("[", "{"));
	ck_assert(!text_equals_nocase("\xC3\x84", "\xC3\xA4"));
}
END_TEST

START_TEST(words_have_an_order)
{
	ck_assert_int_eq(text_compare_nocase("", ""), 0);
	ck_assert_int_eq(text_compare_nocase("A_b", "a_B"), 0);
	ck_assert_int_lt(text_compare_nocase("a", "ab"), 0);
	ck_assert_int_gt(text_compare_nocase("B", "ab"), 0);
	ck_assert_int_lt(text_compare_nocase("Z", "\xC3"), 0);
}
END_TEST

START_TEST(names_of_parameters_are_known)
{
	static const char *const good[] = {"a", "_a", "work_mem", "My.Thing", "a.b.c$1", "a1"};
	static const char *const bad[] = {"",	 ".",	"a.",	".a",  "a..b",	    "1a",  "$a",
					  "a b", "a;b", "a\"b", "a-b", "a\xC3\xA9", "a\n", "a.1"};
	char word[66];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_msg(text_is_qualified_name(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!text_is_qualified_name(bad[i]), "%s", bad[i]);
	memset(word, 'x', sizeof word);
	word[64] = '\0';
	ck_assert(!text_is_qualified_name(word));
	word[63] = '\0';
	ck_assert(text_is_qualified_name(word));
}
END_TEST

Suite *suite_text(void)
{
	Suite *suite = suite_create("text");
	TCase *tcase = tcase_create("text");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, integers_of_every_base_are_read);
	tcase_add_test(tcase, durations_have_units_and_fractions);
	tcase_add_test(tcase, sizes_have_units);
	tcase_add_test(tcase, booleans_are_postgresqls);
	tcase_add_test(tcase, durations_are_written_as_they_are_read);
	tcase_add_test(tcase, lists_are_taken_apart);
	tcase_add_test(tcase, list_members_are_compared_whole_and_exactly);
	tcase_add_test(tcase, building_stops_when_full);
	tcase_add_test(tcase, control_characters_are_hidden);
	tcase_add_test(tcase, case_is_ignored_in_ascii_only);
	tcase_add_test(tcase, words_have_an_order);
	tcase_add_test(tcase, names_of_parameters_are_known);
	return suite;
}
