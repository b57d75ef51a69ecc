/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <string.h>
#include "admin/show.h"

struct thing {
	const char *text, *none;
	int64_t small, large, numeric;
};

static const struct result_column columns[] = {
	SHOW_COLUMN(TEXT, thing, text, "t", ""),       SHOW_COLUMN(TEXT, thing, none, "none", ""),
	SHOW_COLUMN(INT4, thing, small, "i4", ""),     SHOW_COLUMN(INT8, thing, large, "i8", ""),
	SHOW_COLUMN(NUMERIC, thing, numeric, "n", ""),
};
enum { COUNT = sizeof columns / sizeof *columns };

static const struct thing thing = {"abc", NULL, -7, 0x0102030405060708, 12};

#define BYTES(text) text, sizeof(text) - 1

static void assert_bytes(struct buffer **out, const char *bytes, size_t size)
{
	ck_assert_uint_eq(buffer_length(*out), size);
	ck_assert_mem_eq(buffer_bytes(*out), bytes, size);
	buffer_free(out);
	ck_assert_ptr_null(*out);
}

/* table 0, attribute 0, type, size, modifier -1, format */
#define COLUMN(name, type, size, format) name "\0\0\0\0\0\0\0" type size "\xff\xff\xff\xff\0" format

START_TEST(a_row_description_has_names_types_and_sizes)
{
	struct buffer *out = NULL;
	result_describe(&out, columns, COUNT, NULL);
	assert_bytes(&out, BYTES("T\0\0\0\x6f\0\5" COLUMN("t", "\0\0\0\x19", "\xff\xff", "\0")
					 COLUMN("none", "\0\0\0\x19", "\xff\xff",
						"\0") COLUMN("i4", "\0\0\0\x17", "\0\4", "\0")
						 COLUMN("i8", "\0\0\0\x14", "\0\x8", "\0") COLUMN(
							 "n", "\0\0\6\xa4", "\xff\xff", "\0")));
}
END_TEST

START_TEST(a_row_description_says_what_is_binary)
{
	static const uint8_t binary[COUNT] = {1, 0, 1};
	struct buffer *out = NULL;
	result_describe(&out, columns, 3, binary);
	assert_bytes(&out, BYTES("T\0\0\0\x46\0\3" COLUMN("t", "\0\0\0\x19", "\xff\xff", "\1")
					 COLUMN("none", "\0\0\0\x19", "\xff\xff", "\0")
						 COLUMN("i4", "\0\0\0\x17", "\0\4", "\1")));
}
END_TEST

START_TEST(a_row_in_text_has_digits_and_null)
{
	struct buffer *out = NULL;
	struct result result = {.out = &out, .columns = columns, .count = COUNT};
	result_row(&result, &thing);
	assert_bytes(&out, BYTES("D\0\0\0\x32\0\5\0\0\0\3"
				 "abc\xff\xff\xff\xff\0\0\0\2-7\0\0\0\x11"
				 "72623859790382856\0\0\0\2"
				 "12"));
}
END_TEST

START_TEST(a_row_in_binary_has_big_endian_integers)
{
	static const uint8_t binary[COUNT] = {1, 1, 1, 1, 0};
	struct buffer *out = NULL;
	struct result result = {.out = &out, .columns = columns, .count = COUNT, .binary = binary};
	result_row(&result, &thing);
	assert_bytes(&out, BYTES("D\0\0\0\x2b\0\5\0\0\0\3"
				 "abc\xff\xff\xff\xff\0\0\0\4\xff\xff\xff\xf9"
				 "\0\0\0\x8\1\2\3\4\5\6\7\x8\0\0\0\2"
				 "12"));
}
END_TEST

START_TEST(rows_follow_each_other_in_one_buffer)
{
	struct buffer *out = NULL;
	struct result result = {.out = &out, .columns = columns, .count = 1};
	struct thing empty = {.text = ""};
	result_row(&result, &thing);
	result_row(&result, &empty);
	assert_bytes(&out, BYTES("D\0\0\0\xd\0\1\0\0\0\3"
				 "abcD\0\0\0\xa\0\1\0\0\0\0"));
}
END_TEST

START_TEST(a_binary_int4_stops_at_its_bounds)
{
	static const uint8_t binary[] = {1};
	struct buffer *out = NULL;
	struct result result = {.out = &out, .columns = &columns[2], .count = 1, .binary = binary};
	struct thing large = {.small = INT64_C(5000000000)};
	result_row(&result, &large);
	assert_bytes(&out, BYTES("D\0\0\0\xe\0\1\0\0\0\4\x7f\xff\xff\xff"));
}
END_TEST

Suite *suite_result(void)
{
	Suite *suite = suite_create("result");
	TCase *tcase = tcase_create("result");
	tcase_add_test(tcase, a_row_description_has_names_types_and_sizes);
	tcase_add_test(tcase, a_row_description_says_what_is_binary);
	tcase_add_test(tcase, a_row_in_text_has_digits_and_null);
	tcase_add_test(tcase, a_row_in_binary_has_big_endian_integers);
	tcase_add_test(tcase, rows_follow_each_other_in_one_buffer);
	tcase_add_test(tcase, a_binary_int4_stops_at_its_bounds);
	suite_add_tcase(suite, tcase);
	return suite;
}
