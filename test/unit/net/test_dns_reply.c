/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/dns_reply.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>

#define HEAD(answers, authority) "\0\1\x85\x80\0\1\0" answers "\0" authority "\0\0"
#define QUESTION "\2my\4test\0\0\6\0\1"
#define SOA_DATA "\2ns\xc0\x0c\4root\xc0\x0f\x12\x34\x56\x78\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"
#define SOA "\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x20" SOA_DATA
#define ADDRESS "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\12\0\0\1"
#define BYTES(text) text, sizeof(text) - 1

START_TEST(the_serial_is_found_in_the_answer_or_behind_it)
{
	uint32_t serial = 0;
	ck_assert(dns_reply_serial((const uint8_t *)BYTES(HEAD("\1", "\0") QUESTION SOA), &serial));
	ck_assert_uint_eq(serial, 0x12345678);
	serial = 0;
	ck_assert(dns_reply_serial((const uint8_t *)BYTES(HEAD("\0", "\1") QUESTION SOA), &serial));
	ck_assert_uint_eq(serial, 0x12345678);
	serial = 0;
	ck_assert(dns_reply_serial(
		(const uint8_t *)BYTES(HEAD("\2", "\1") QUESTION ADDRESS ADDRESS SOA), &serial));
	ck_assert_uint_eq(serial, 0x12345678);
}
END_TEST

START_TEST(without_a_soa_record_there_is_none)
{
	uint32_t serial;
	ck_assert(!dns_reply_serial((const uint8_t *)BYTES(HEAD("\1", "\0") QUESTION ADDRESS),
				    &serial));
	ck_assert(!dns_reply_serial((const uint8_t *)BYTES(HEAD("\0", "\0") QUESTION), &serial));
}
END_TEST

START_TEST(no_beginning_of_a_message_is_taken_for_one)
{
	static const char whole[] = HEAD("\1", "\1") QUESTION ADDRESS SOA;
	uint32_t serial;
	for (size_t size = 0; size < sizeof whole - 1; size++) {
		uint8_t *part = malloc(size ? size : 1); /* what lies behind it is not read */
		memcpy(part, whole, size);
		ck_assert_msg(!dns_reply_serial(part, size, &serial), "%zu bytes", size);
		free(part);
	}
}
END_TEST

START_TEST(broken_records_are_survived)
{
	static const char whole[] = HEAD("\1", "\1") QUESTION ADDRESS SOA;
	uint8_t broken[sizeof whole - 1];
	uint32_t serial;
	for (size_t at = 0; at < sizeof broken; at++)
		for (int value = 0; value < 256; value++) {
			memcpy(broken, whole, sizeof broken);
			broken[at] = (uint8_t)value;
			(void)dns_reply_serial(broken, sizeof broken, &serial);
		}
}
END_TEST

Suite *suite_dns_reply(void)
{
	Suite *suite = suite_create("dns_reply");
	TCase *tcase = tcase_create("serial");
	tcase_add_test(tcase, the_serial_is_found_in_the_answer_or_behind_it);
	tcase_add_test(tcase, without_a_soa_record_there_is_none);
	tcase_add_test(tcase, no_beginning_of_a_message_is_taken_for_one);
	tcase_add_test(tcase, broken_records_are_survived);
	suite_add_tcase(suite, tcase);
	return suite;
}
