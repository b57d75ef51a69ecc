/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/stats.h"
#include "suites.h"

START_TEST(a_period_counts_only_what_happened_in_it)
{
	struct stats stats = {0};
	stats.now.query_count = 10;
	stats_roll(&stats, 60 * USEC_PER_SECOND);
	ck_assert_uint_eq(stats.period.query_count, 10);
	stats.now.query_count = 25;
	stats_roll(&stats, 30 * USEC_PER_SECOND);
	ck_assert_uint_eq(stats.period.query_count, 15);
	ck_assert_uint_eq(stats.now.query_count, 25);
	ck_assert_int_eq(stats.period_length, 30 * USEC_PER_SECOND);
	stats_roll(&stats, USEC_PER_SECOND);
	ck_assert_uint_eq(stats.period.query_count, 0);
}
END_TEST

START_TEST(every_counter_is_rolled_and_added)
{
	struct stats stats = {0}, sum = {0};
	uint64_t value = 0;
#define COUNTER(name, doc) stats.now.name = value += 60;
#include "pool/counters.def"
	stats_roll(&stats, 60 * USEC_PER_SECOND);
	stats_add(&sum, &stats);
	stats_add(&sum, &stats);
	value = 0;
#define COUNTER(name, doc)                           \
	value += 60;                                 \
	ck_assert_uint_eq(stats.period.name, value); \
	ck_assert_uint_eq(stats.then.name, value);   \
	ck_assert_uint_eq(sum.now.name, 2 * value);  \
	ck_assert_uint_eq(sum.period.name, 2 * value);
#include "pool/counters.def"
	ck_assert_int_eq(sum.period_length, 60 * USEC_PER_SECOND);
}
END_TEST

START_TEST(counts_are_averaged_per_second_and_times_per_event)
{
	struct stats stats = {.period_length = 20 * USEC_PER_SECOND};
	struct stats_counters average;
	stats.period = (struct stats_counters){
		.server_assignment_count = 40,
		.xact_count = 200,
		.query_count = 400,
		.received = 1000,
		.sent = 2000,
		.xact_time = 200 * 700,
		.query_time = 400 * 300,
		.wait_time = 40 * 50,
		.client_parse_count = 60,
		.server_parse_count = 80,
		.bind_count = 100,
		.client_login_count = 20,
	};
	stats_average(&stats, &average);
	ck_assert_uint_eq(average.server_assignment_count, 2);
	ck_assert_uint_eq(average.xact_count, 10);
	ck_assert_uint_eq(average.query_count, 20);
	ck_assert_uint_eq(average.received, 50);
	ck_assert_uint_eq(average.sent, 100);
	ck_assert_uint_eq(average.xact_time, 700);
	ck_assert_uint_eq(average.query_time, 300);
	ck_assert_uint_eq(average.wait_time, 50);
	ck_assert_uint_eq(average.client_parse_count, 3);
	ck_assert_uint_eq(average.server_parse_count, 4);
	ck_assert_uint_eq(average.bind_count, 5);
	ck_assert_uint_eq(average.client_login_count, 1);
}
END_TEST

START_TEST(nothing_happened_and_no_period_yet_average_to_zero)
{
	struct stats stats = {.now = {.query_count = 5, .query_time = 100}};
	struct stats_counters average = {.query_count = 99};
	stats_average(&stats, &average);
#define COUNTER(name, doc) ck_assert_uint_eq(average.name, 0);
#include "pool/counters.def"
}
END_TEST

START_TEST(many_bytes_over_days_do_not_overflow)
{
	const uint64_t per_second = 5000000000;
	const uint64_t days = 30;
	struct stats stats = {.period_length = (usec_t)(days * 86400) * USEC_PER_SECOND};
	struct stats_counters average;
	stats.period.sent = per_second * days * 86400;
	stats.period.received = 3;
	stats_average(&stats, &average);
	ck_assert_uint_eq(average.sent, per_second);
	ck_assert_uint_eq(average.received, 0);
}
END_TEST

Suite *suite_stats(void)
{
	Suite *suite = suite_create("stats");
	TCase *averages = tcase_create("averages");
	tcase_add_test(averages, a_period_counts_only_what_happened_in_it);
	tcase_add_test(averages, every_counter_is_rolled_and_added);
	tcase_add_test(averages, counts_are_averaged_per_second_and_times_per_event);
	tcase_add_test(averages, nothing_happened_and_no_period_yet_average_to_zero);
	tcase_add_test(averages, many_bytes_over_days_do_not_overflow);
	suite_add_tcase(suite, averages);
	return suite;
}
