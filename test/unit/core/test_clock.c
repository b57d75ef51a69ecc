/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/clock.h"
#include "suites.h"
#include <stdlib.h>
#include <time.h>

START_TEST(time_is_never_none_and_never_goes_back)
{
	ck_assert_int_gt(clock_now(), 0);
	clock_update();
	usec_t before = clock_now();
	clock_update();
	ck_assert_int_ge(clock_now(), before);
}
END_TEST

START_TEST(a_driven_clock_moves_only_when_told)
{
	ck_assert(!clock_is_driven());
	clock_drive();
	ck_assert(clock_is_driven());
	usec_t start = clock_now();
	clock_update();
	ck_assert_int_eq(clock_now(), start);
	clock_advance(5 * USEC_PER_SECOND);
	clock_update();
	ck_assert_int_eq(clock_now(), start + 5 * USEC_PER_SECOND);
}
END_TEST

START_TEST(monotonic_times_have_a_wall_time)
{
	clock_update();
	int64_t minute_ago = clock_to_wall(clock_now() - 60 * USEC_PER_SECOND);
	ck_assert_int_lt(llabs(clock_wall() - 60 * USEC_PER_SECOND - minute_ago), USEC_PER_SECOND);
	clock_drive();
	clock_advance(3600 * USEC_PER_SECOND);
	ck_assert_int_lt(llabs(clock_wall() - clock_to_wall(clock_now())), USEC_PER_SECOND);
}
END_TEST

START_TEST(times_are_written_for_people)
{
	char text[40];
	setenv("TZ", "UTC", 1);
	tzset();
	int64_t wall = INT64_C(1700000000) * USEC_PER_SECOND + 7999;
	clock_format(wall, false, text);
	ck_assert_str_eq(text, "2023-11-14 22:13:20 UTC");
	clock_format(wall, true, text);
	ck_assert_str_eq(text, "2023-11-14 22:13:20.007 UTC");
	setenv("TZ", "CET-1", 1);
	tzset();
	clock_format(wall, false, text);
	ck_assert_str_eq(text, "2023-11-14 23:13:20 CET");
}
END_TEST

Suite *suite_clock(void)
{
	Suite *suite = suite_create("clock");
	TCase *tcase = tcase_create("clock");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, time_is_never_none_and_never_goes_back);
	tcase_add_test(tcase, a_driven_clock_moves_only_when_told);
	tcase_add_test(tcase, monotonic_times_have_a_wall_time);
	tcase_add_test(tcase, times_are_written_for_people);
	return suite;
}
