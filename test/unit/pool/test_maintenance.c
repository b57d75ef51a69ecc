/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/maintenance.h"
#include <stdio.h>
#include <string.h>
#include "core/log.h"
#include "fake.h"
#include "suites.h"

static char logged[4000], told[600];
static int lines;

static void gather(enum log_level level, const char *line)
{
	if (level != LOG_LEVEL_INFO)
		return;
	snprintf(logged, sizeof(logged), "%s", line);
	lines++;
}

static void on_stats(const char *line)
{
	snprintf(told, sizeof(told), "%s", line);
}

static void begin(const char *settings)
{
	fake_configure(settings);
	lines = 0;
	*logged = *told = '\0';
	log_hook(gather);
	maintenance_on_stats(on_stats);
	maintenance_open();
}

static void end(void)
{
	maintenance_close();
	maintenance_on_stats(NULL);
	fake_teardown();
}

START_TEST(a_line_of_averages_is_logged_and_told_each_period)
{
	static const char *const line =
		"stats: 2 xacts/s, 3 queries/s, 4 client parses/s, 5 server parses/s, 6 binds/s, "
		"7 client logins/s, in 8 B/s, out 9 B/s, xact 10 us, query 11 us, wait 12 us";
	begin("stats_period=10\n[databases]\nshop=host=h\n");
	registry_database("shop")->stats.now = (struct stats_counters){
		.server_assignment_count = 10,
		.xact_count = 20,
		.query_count = 30,
		.client_parse_count = 40,
		.server_parse_count = 50,
		.bind_count = 60,
		.client_login_count = 70,
		.received = 80,
		.sent = 90,
		.xact_time = 200,
		.query_time = 330,
		.wait_time = 120,
	};
	fake_wait(9 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 0);
	fake_wait(USEC_PER_SECOND);
	ck_assert_int_eq(lines, 1);
	ck_assert_ptr_nonnull(strstr(logged, line));
	ck_assert_str_eq(told, line);
	ck_assert_str_eq(maintenance_stats_line(), line);
	fake_wait(10 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 2);
	ck_assert_ptr_nonnull(strstr(told, "stats: 0 xacts/s, 0 queries/s"));
}
END_TEST

START_TEST(without_log_stats_it_is_told_but_not_logged)
{
	begin("stats_period=10\nlog_stats=0\n[databases]\nshop=host=h\n");
	fake_wait(10 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 0);
	ck_assert_ptr_nonnull(strstr(told, "stats: 0 xacts/s"));
}
END_TEST

START_TEST(a_changed_stats_period_holds_as_soon_as_it_is_told)
{
	begin("stats_period=10\n[databases]\nshop=host=h\n");
	fake_wait(4 * USEC_PER_SECOND);
	maintenance_reconfigured(); /* nothing changed */
	fake_configure("stats_period=5\n[databases]\nshop=host=h\n");
	maintenance_reconfigured();
	fake_wait(USEC_PER_SECOND);
	ck_assert_int_eq(lines, 1);
	fake_wait(5 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 2);
	fake_configure("stats_period=30\n[databases]\nshop=host=h\n");
	maintenance_reconfigured();
	fake_wait(29 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 2);
	fake_wait(USEC_PER_SECOND);
	ck_assert_int_eq(lines, 3);
}
END_TEST

START_TEST(a_new_stats_period_holds_from_the_end_of_the_present_one)
{
	begin("stats_period=10\n[databases]\nshop=host=h\n");
	fake_configure("stats_period=30\n[databases]\nshop=host=h\n");
	fake_wait(10 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 1);
	fake_wait(29 * USEC_PER_SECOND);
	ck_assert_int_eq(lines, 1);
	fake_wait(USEC_PER_SECOND);
	ck_assert_int_eq(lines, 2);
	ck_assert_int_eq(registry_database("shop")->stats.period_length, 30 * USEC_PER_SECOND);
}
END_TEST

START_TEST(a_minimum_that_found_no_room_is_reached_when_there_is)
{
	begin("stats_period=10\nlog_stats=0\nserver_check_query=\n[databases]\n"
	      "shop=host=h min_pool_size=1 max_db_connections=1\n");
	struct pool *busy = fake_pool("shop", "a"), *empty = fake_pool("shop", "b");
	log_hook(NULL);
	struct fake_client *worker = fake_request(busy);
	fake_log_in(1);
	fake_client(empty);
	ck_assert_uint_eq(empty->server_count, 0);
	fake_leave(worker);
	fake_crash(1);
	fake_refuse(2, "no more"); /* else it would keep its own minimum */
	ck_assert_uint_eq(empty->server_count, 0);
	fake_wait(10 * USEC_PER_SECOND);
	ck_assert_uint_eq(empty->server_count, 1);
}
END_TEST

Suite *suite_maintenance(void)
{
	Suite *suite = suite_create("maintenance");
	TCase *periods = tcase_create("periods");
	tcase_add_checked_fixture(periods, fake_setup, end);
	tcase_add_test(periods, a_line_of_averages_is_logged_and_told_each_period);
	tcase_add_test(periods, without_log_stats_it_is_told_but_not_logged);
	tcase_add_test(periods, a_changed_stats_period_holds_as_soon_as_it_is_told);
	tcase_add_test(periods, a_new_stats_period_holds_from_the_end_of_the_present_one);
	tcase_add_test(periods, a_minimum_that_found_no_room_is_reached_when_there_is);
	suite_add_tcase(suite, periods);
	return suite;
}
