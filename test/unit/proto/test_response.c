/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/response.h"
#include "proto/message.h"
#include "../suite.h"
#include <stdlib.h>
#include <string.h>

Suite *suite_response(void);

static void assert_put(bool fits, struct buffer **out, const char *expected, size_t size)
{
	ck_assert(fits);
	ck_assert_uint_eq(buffer_length(*out), size);
	ck_assert_mem_eq(buffer_bytes(*out), expected, size);
	buffer_free(out);
}

START_TEST(an_error_has_its_fields)
{
	struct buffer *out = NULL;
	struct error error;
	error_set(&error, SQLSTATE_INVALID_PASSWORD, "no %s", "way");
	static const char plain[] = "E\0\0\0\x22SFATAL\0VFATAL\0C28P01\0Mno way\0";
	assert_put(response_put_error(&out, 999, "FATAL", &error), &out, plain, sizeof(plain));
	error_detail(&error, "d");
	error_hint(&error, "h");
	static const char full[] = "N\0\0\0\x30SNOTICE\0VNOTICE\0C28P01\0Mno way\0Dd\0Hh";
	struct message message;
	ck_assert(response_put_notice(&out, 999, "NOTICE", &error));
	ck_assert_int_eq(message_parse(buffer_bytes(out), buffer_length(out), 999, &message),
			 FRAME_OK);
	ck_assert_int_eq(message.type, 'N');
	ck_assert_uint_eq(message.size, sizeof(full) - 5 + 1);
	ck_assert_mem_eq(message.body, full + 5, sizeof(full) - 5);
	ck_assert_int_eq(message.body[message.size - 1], 0);
	buffer_free(&out);
	ck_assert(!response_put_error(&out, 30, "FATAL", &error));
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(an_error_without_a_code_is_our_bug)
{
	struct buffer *out = NULL;
	struct error error = {.message = "m"};
	static const char expected[] = "E\0\0\0\x1dSFATAL\0VFATAL\0CXX000\0Mm\0";
	assert_put(response_put_error(&out, 999, "FATAL", &error), &out, expected,
		   sizeof(expected));
}
END_TEST

START_TEST(small_messages_have_their_bytes)
{
	struct buffer *out = NULL;
	assert_put(response_put_parameter_status(&out, 99, "a", "bc"), &out,
		   "S\0\0\0\x09"
		   "a\0bc",
		   10);
	assert_put(response_put_backend_key_data(&out, 99, 258, "key!", 4), &out,
		   "K\0\0\0\x0c\0\0\1\2key!", 13);
	assert_put(response_put_ready_for_query(&out, 99, 'T'), &out, "Z\0\0\0\5T", 6);
	assert_put(response_put_command_complete(&out, 99, "SHOW"), &out, "C\0\0\0\x09SHOW", 10);
	assert_put(response_put_empty(&out, 99, '1'), &out, "1\0\0\0\4", 5);
	ck_assert(!response_put_ready_for_query(&out, 5, 'I'));
	ck_assert(!response_put_empty(&out, 4, '1'));
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(a_row_description_names_types_and_sizes)
{
	static const struct response_column columns[] = {{"t", RESPONSE_TEXT},
							 {"i", RESPONSE_INT4},
							 {"b", RESPONSE_INT8},
							 {"n", RESPONSE_NUMERIC}};
	static const char expected[] = "T\0\0\0\x56\0\4"
				       "t\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
				       "i\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
				       "b\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0"
				       "n\0\0\0\0\0\0\0\0\0\6\xa4\xff\xff\xff\xff\xff\xff\0";
	struct buffer *out = NULL;
	assert_put(response_put_row_description(&out, 999, columns, 4), &out, expected,
		   sizeof(expected));
}
END_TEST

START_TEST(a_data_row_has_texts_and_nulls)
{
	static const char *const values[] = {"abc", NULL, ""};
	static const char expected[] = "D\0\0\0\x15\0\3\0\0\0\3"
				       "abc\xff\xff\xff\xff\0\0\0\0";
	struct buffer *out = NULL;
	assert_put(response_put_data_row(&out, 999, values, 3), &out, expected,
		   sizeof(expected) - 1);
	assert_put(response_put_data_row(&out, 7, NULL, 0), &out, "D\0\0\0\6\0\0", 7);
	for (size_t cap = 0; cap < sizeof(expected) - 1; cap++) {
		ck_assert(!response_put_data_row(&out, cap, values, 3));
		ck_assert_ptr_null(out);
	}
	for (int i = 0; i < 1000; i++)
		ck_assert(response_put_data_row(&out, 22000, values, 3));
	ck_assert(!response_put_data_row(&out, 22000, values, 3));
	ck_assert_uint_eq(buffer_length(out), 22000);
	ck_assert_mem_eq(buffer_bytes(out) + 21978, expected, 22);
	buffer_free(&out);
}
END_TEST

static const char report[] =
	"SFEHLER\0VERROR\0C3D000\0Mno database\0Dthe detail\0Hthe hint\0Fauth.c\0";

START_TEST(a_servers_error_is_read)
{
	char severity[16];
	struct error error;
	ck_assert(response_parse_error((const uint8_t *)report, sizeof(report), severity, &error));
	ck_assert_str_eq(severity, "ERROR");
	ck_assert_str_eq(error.sqlstate, "3D000");
	ck_assert_str_eq(error.message, "no database");
	ck_assert_str_eq(error.detail, "the detail");
	ck_assert_str_eq(error.hint, "the hint");
	ck_assert(response_parse_error((const uint8_t *)"SFATAL\0\0", 8, severity, &error));
	ck_assert_str_eq(severity, "FATAL");
	ck_assert_str_eq(error.message, "");
	ck_assert(response_parse_error((const uint8_t *)"VPANIC\0SFATAL\0", 15, severity, &error));
	ck_assert_str_eq(severity, "PANIC");
}
END_TEST

START_TEST(every_truncation_of_an_error_is_malformed)
{
	char severity[16];
	struct error error;
	for (size_t size = 0; size < sizeof(report); size++) {
		uint8_t *copy = malloc(size ? size : 1);
		memcpy(copy, report, size);
		ck_assert(!response_parse_error(copy, size, severity, &error));
		if (size >= 22)
			ck_assert_str_eq(error.sqlstate, "3D000");
		ck_assert(!response_error_is_fatal(copy, size));
		free(copy);
	}
	ck_assert(!response_parse_error((const uint8_t *)"SFATAL\0\0x", 9, severity, &error));
	ck_assert_str_eq(severity, "FATAL");
}
END_TEST

START_TEST(what_is_too_long_is_cut_between_characters)
{
	char severity[16];
	struct error error;
	static char body[4000];
	size_t size = 0;
	memcpy(body, "Mx", 2);
	for (size = 2; size < 2000; size += 2)
		memcpy(body + size, "\xc3\xa4", 2);
	memcpy(body + size, "\0SABCDEFGHIJKLMNOPQRST\0C123456789\0", 35);
	size += 35;
	ck_assert(response_parse_error((const uint8_t *)body, size, severity, &error));
	ck_assert_uint_eq(strlen(error.message), 511);
	ck_assert_str_eq(error.message + 509, "\xc3\xa4");
	ck_assert_str_eq(severity, "ABCDEFGHIJKLMNO");
	ck_assert_str_eq(error.sqlstate, "12345");
}
END_TEST

START_TEST(fatal_is_seen_from_the_first_bytes)
{
	static const struct {
		const char *body;
		size_t size;
		bool fatal;
	} rows[] = {
		{"SFATAL\0VFATAL\0C57P01\0Mterminating\0", 35, true},
		{"SPANIC\0VPANIC\0C57P01", 20, true},
		{"SERROR\0VERROR\0C57P01", 20, false},
		{"SFATAL\0VERROR\0", 14, false}, /* V counts: S is translated */
		{"S\xd0\x92\xd0\x90\xd0\x96\xd0\x9d\xd0\x9e\0VFATAL\0", 19, true},
		{"S\xd0\x92\xd0\x90\xd0\x96\xd0\x9d\xd0\x9e\0VFAT", 16, true},
		{"SFATAL\0C57P01\0", 14, true}, /* before 9.6 there was no V */
		{"SERROR\0VF", 9, true},
		{"SFATAL\0V", 8, true},
		{"SFATAL", 6, true},
		{"SFATALITY\0", 10, false},
		{"SFAT\0", 5, false},
		{"S", 1, false},
		{"", 0, false},
		{"\0SFATAL\0", 8, false},
		{"MFATAL\0VERROR\0", 14, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t *copy = malloc(rows[i].size ? rows[i].size : 1);
		memcpy(copy, rows[i].body, rows[i].size);
		ck_assert_msg(response_error_is_fatal(copy, rows[i].size) == rows[i].fatal,
			      "row %zu", i);
		free(copy);
	}
}
END_TEST

START_TEST(a_parameter_status_is_two_strings)
{
	const char *name, *value;
	static const uint8_t body[] = "TimeZone\0UTC\0x";
	ck_assert(response_parse_parameter_status(body, 13, &name, &value));
	ck_assert_str_eq(name, "TimeZone");
	ck_assert_str_eq(value, "UTC");
	for (size_t size = 0; size < 13; size++)
		ck_assert(!response_parse_parameter_status(body, size, &name, &value));
	ck_assert(!response_parse_parameter_status(body, 14, &name, &value));
}
END_TEST

START_TEST(a_key_has_4_to_256_bytes)
{
	uint8_t body[4 + 257] = {0, 0, 1, 2};
	for (size_t i = 4; i < sizeof(body); i++)
		body[i] = (uint8_t)i;
	for (size_t size = 0; size <= sizeof(body); size++) {
		uint32_t process_id;
		const uint8_t *key;
		size_t key_size;
		bool good =
			response_parse_backend_key_data(body, size, &process_id, &key, &key_size);
		ck_assert_int_eq(good, size >= 8 && size <= 260);
		if (good) {
			ck_assert_uint_eq(process_id, 258);
			ck_assert_uint_eq(key_size, size - 4);
			ck_assert_ptr_eq(key, body + 4);
		}
	}
}
END_TEST

Suite *suite_response(void)
{
	Suite *suite = suite_create("response");
	TCase *tcase = tcase_create("response");
	tcase_add_test(tcase, an_error_has_its_fields);
	tcase_add_test(tcase, an_error_without_a_code_is_our_bug);
	tcase_add_test(tcase, small_messages_have_their_bytes);
	tcase_add_test(tcase, a_row_description_names_types_and_sizes);
	tcase_add_test(tcase, a_data_row_has_texts_and_nulls);
	tcase_add_test(tcase, a_servers_error_is_read);
	tcase_add_test(tcase, every_truncation_of_an_error_is_malformed);
	tcase_add_test(tcase, what_is_too_long_is_cut_between_characters);
	tcase_add_test(tcase, fatal_is_seen_from_the_first_bytes);
	tcase_add_test(tcase, a_parameter_status_is_two_strings);
	tcase_add_test(tcase, a_key_has_4_to_256_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
