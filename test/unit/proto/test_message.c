/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/message.h"
#include "../suite.h"
#include <stdlib.h>
#include <string.h>

Suite *suite_message(void);

START_TEST(every_row_of_the_table_has_its_care_and_name)
{
#define FRONTEND(type, name, care, doc)                                           \
	ck_assert_int_eq(MESSAGE_##name, (type));                                 \
	ck_assert_int_eq(message_frontend_care[(uint8_t)(type)], MESSAGE_##care); \
	ck_assert_str_eq(message_frontend_name((uint8_t)(type)), (doc));
#define BACKEND(type, name, care, doc)                                           \
	ck_assert_int_eq(MESSAGE_##name, (type));                                \
	ck_assert_int_eq(message_backend_care[(uint8_t)(type)], MESSAGE_##care); \
	ck_assert_str_eq(message_backend_name((uint8_t)(type)), (doc));
#include "proto/messages.def"
}
END_TEST

START_TEST(types_outside_of_the_table_are_invalid_and_nameless)
{
	int frontend = 0, backend = 0;
	for (int type = 0; type < 256; type++) {
		if (!message_frontend_name((uint8_t)type))
			ck_assert_int_eq(message_frontend_care[type], MESSAGE_INVALID);
		else
			frontend++;
		if (!message_backend_name((uint8_t)type))
			ck_assert_int_eq(message_backend_care[type], MESSAGE_INVALID);
		else
			backend++;
	}
	ck_assert_int_eq(frontend, 14);
	ck_assert_int_eq(backend, 24);
	ck_assert_ptr_null(message_frontend_name(0));
	ck_assert_str_eq(message_frontend_name('Q'), "Query");
	ck_assert_str_eq(message_backend_name('Z'), "ReadyForQuery");
}
END_TEST

START_TEST(a_message_is_found_at_the_beginning)
{
	struct message message;
	const uint8_t bytes[] = "Q\0\0\0\x0bSELECT\0rest";
	ck_assert_int_eq(message_parse(bytes, sizeof(bytes), 100, &message), FRAME_OK);
	ck_assert_int_eq(message.type, 'Q');
	ck_assert_uint_eq(message.size, 7);
	ck_assert_str_eq((const char *)message.body, "SELECT");
}
END_TEST

START_TEST(every_truncation_of_a_message_is_short)
{
	struct message message;
	const uint8_t bytes[] = "Q\0\0\0\x0bSELECT\0";
	for (size_t size = 0; size < 12; size++) {
		uint8_t *copy = malloc(size ? size : 1); /* so that a read past the end is seen */
		memcpy(copy, bytes, size);
		ck_assert_int_eq(message_parse(copy, size, 100, &message), FRAME_SHORT);
		free(copy);
	}
	ck_assert_int_eq(message_parse(bytes, 12, 100, &message), FRAME_OK);
}
END_TEST

START_TEST(bad_lengths_are_told_from_the_header)
{
	static const uint32_t lengths[] = {0,	       1,	   2,	       3,	  100,
					   0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	struct message message;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		uint8_t bytes[MESSAGE_HEADER] = {'Q'};
		message_put32(bytes + 1, lengths[i]);
		ck_assert_int_eq(message_parse(bytes, sizeof(bytes), 100, &message), FRAME_BAD);
	}
}
END_TEST

START_TEST(the_limit_counts_the_whole_message)
{
	struct message message;
	const uint8_t bytes[] = {'Q', 0, 0, 0, 6, 'x', 0};
	ck_assert_int_eq(message_parse(bytes, sizeof(bytes), 7, &message), FRAME_OK);
	ck_assert_int_eq(message_parse(bytes, sizeof(bytes), 6, &message), FRAME_BAD);
}
END_TEST

START_TEST(numbers_are_big_endian)
{
	uint8_t bytes[4];
	message_put32(bytes, 0x01020304);
	ck_assert_mem_eq(bytes, "\1\2\3\4", 4);
	ck_assert_uint_eq(message_get32("\xff\xfe\xfd\xfc"), 0xfffefdfc);
}
END_TEST

Suite *suite_message(void)
{
	Suite *suite = suite_create("message");
	TCase *tcase = tcase_create("message");
	tcase_add_test(tcase, every_row_of_the_table_has_its_care_and_name);
	tcase_add_test(tcase, types_outside_of_the_table_are_invalid_and_nameless);
	tcase_add_test(tcase, a_message_is_found_at_the_beginning);
	tcase_add_test(tcase, every_truncation_of_a_message_is_short);
	tcase_add_test(tcase, bad_lengths_are_told_from_the_header);
	tcase_add_test(tcase, the_limit_counts_the_whole_message);
	tcase_add_test(tcase, numbers_are_big_endian);
	suite_add_tcase(suite, tcase);
	return suite;
}
