/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/field.h"
#include "../suite.h"
#include <string.h>

Suite *suite_field(void);

START_TEST(fields_are_read_in_order)
{
	struct field_reader reader;
	field_reader_init(&reader, "\x7f\x01\x02\x01\x02\x03\x04name\0\0raw", 16);
	ck_assert_uint_eq(field_get_byte(&reader), 0x7f);
	ck_assert_uint_eq(field_get_int16(&reader), 0x0102);
	ck_assert_uint_eq(field_get_int32(&reader), 0x01020304);
	ck_assert_str_eq(field_get_string(&reader), "name");
	ck_assert_str_eq(field_get_string(&reader), "");
	ck_assert_uint_eq(field_left(&reader), 3);
	ck_assert(!field_is_done(&reader));
	ck_assert_mem_eq(field_get_bytes(&reader, 3), "raw", 3);
	ck_assert(field_is_done(&reader));
}
END_TEST

START_TEST(reading_past_the_end_is_bad_and_gives_nothing)
{
	struct field_reader reader;
	field_reader_init(&reader, "abc", 3);
	ck_assert_uint_eq(field_get_int32(&reader), 0);
	ck_assert(reader.bad);
	ck_assert_uint_eq(field_get_byte(&reader), 0);
	ck_assert_uint_eq(field_get_int16(&reader), 0);
	ck_assert_str_eq(field_get_string(&reader), "");
	ck_assert_ptr_null(field_get_bytes(&reader, 0));
	ck_assert(!field_is_done(&reader));
}
END_TEST

START_TEST(a_string_without_its_nul_is_bad)
{
	struct field_reader reader;
	field_reader_init(&reader, "abc", 3);
	ck_assert_str_eq(field_get_string(&reader), "");
	ck_assert(reader.bad);
	field_reader_init(&reader, "", 0);
	ck_assert_str_eq(field_get_string(&reader), "");
	ck_assert(reader.bad);
}
END_TEST

START_TEST(a_huge_size_is_bad)
{
	struct field_reader reader;
	field_reader_init(&reader, "abc", 3);
	ck_assert_ptr_null(field_get_bytes(&reader, SIZE_MAX));
	ck_assert(reader.bad);
}
END_TEST

START_TEST(messages_get_their_lengths)
{
	struct buffer *out = NULL;
	struct field_writer writer;
	field_writer_init(&writer, &out, 1000);
	field_begin(&writer, 'S');
	field_put_string(&writer, "a");
	field_put_int16(&writer, 0x0102);
	ck_assert(field_end(&writer));
	field_begin(&writer, 0);
	field_put_int32(&writer, 0x03000000);
	field_put_byte(&writer, 9);
	ck_assert(field_end(&writer));
	static const uint8_t expected[] = {'S', 0, 0, 0, 8, 'a', 0, 1, 2,
					   0,	0, 0, 9, 3, 0,	 0, 0, 9};
	ck_assert_uint_eq(buffer_length(out), sizeof(expected));
	ck_assert_mem_eq(buffer_bytes(out), expected, sizeof(expected));
	buffer_free(&out);
}
END_TEST

START_TEST(a_message_that_does_not_fit_is_taken_back)
{
	for (size_t cap = 7; cap < 7 + 12; cap++) {
		struct buffer *out = NULL;
		ck_assert(buffer_append(&out, "earlier", 7, cap));
		struct field_writer writer;
		field_writer_init(&writer, &out, cap);
		field_begin(&writer, 'S');
		field_put_string(&writer, "name");
		field_put_string(&writer, "v");
		field_put_bytes(&writer, NULL, 0);
		ck_assert(!field_end(&writer));
		ck_assert_uint_eq(buffer_length(out), 7);
		ck_assert_mem_eq(buffer_bytes(out), "earlier", 7);
		/* Nor is the writer spoilt for a shorter one. */
		field_begin(&writer, 'X');
		ck_assert(field_end(&writer) == (cap >= 12));
		ck_assert_uint_eq(buffer_length(out), cap >= 12 ? 12 : 7);
		buffer_free(&out);
	}
}
END_TEST

START_TEST(nothing_is_left_of_a_first_message_that_does_not_fit)
{
	for (size_t cap = 0; cap < 10; cap++) {
		struct buffer *out = NULL;
		struct field_writer writer;
		field_writer_init(&writer, &out, cap);
		field_begin(&writer, 'S');
		field_put_string(&writer, "name");
		ck_assert(!field_end(&writer));
		ck_assert_ptr_null(out);
	}
}
END_TEST

START_TEST(a_partly_read_buffer_is_written_on)
{
	struct buffer *out = NULL;
	struct field_writer writer;
	ck_assert(buffer_append(&out, "0123456789", 10, 2000));
	buffer_consume(&out, 6);
	field_writer_init(&writer, &out, 2000);
	field_begin(&writer, 'd');
	for (int i = 0; i < 1000; i++)
		field_put_byte(&writer, (uint8_t)i);
	ck_assert(field_end(&writer));
	ck_assert_uint_eq(buffer_length(out), 4 + 5 + 1000);
	ck_assert_mem_eq(buffer_bytes(out), "6789d\0\0\x03\xec\0\1\2", 12);
	buffer_free(&out);
}
END_TEST

Suite *suite_field(void)
{
	Suite *suite = suite_create("field");
	TCase *tcase = tcase_create("field");
	tcase_add_test(tcase, fields_are_read_in_order);
	tcase_add_test(tcase, reading_past_the_end_is_bad_and_gives_nothing);
	tcase_add_test(tcase, a_string_without_its_nul_is_bad);
	tcase_add_test(tcase, a_huge_size_is_bad);
	tcase_add_test(tcase, messages_get_their_lengths);
	tcase_add_test(tcase, a_message_that_does_not_fit_is_taken_back);
	tcase_add_test(tcase, nothing_is_left_of_a_first_message_that_does_not_fit);
	tcase_add_test(tcase, a_partly_read_buffer_is_written_on);
	suite_add_tcase(suite, tcase);
	return suite;
}
