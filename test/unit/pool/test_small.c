/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fixture.h"
#include "suites.h"
#include <string.h>

START_TEST(counts_average_per_second_and_times_per_event)
{
	struct stats stats = {0};
	struct stats_counters average;
	stats.now.query_count = 100;
	stats.now.query_time = 5000;
	stats.now.sent = 1000;
	stats_roll(&stats, 10 * USEC_PER_SECOND);
	stats.now.query_count = 900; /* the next period does not count yet */
	stats_average(&stats, &average);
	ck_assert_uint_eq(average.query_count, 10);
	ck_assert_uint_eq(average.query_time, 50);
	ck_assert_uint_eq(average.sent, 100);
	ck_assert_uint_eq(average.xact_time, 0);
}
END_TEST

START_TEST(hosts_are_used_in_turn_or_until_they_fail)
{
	struct host_list list;
	host_list_init(&list, "a, b,c", 5432, BALANCE_ROUND_ROBIN, "");
	ck_assert_str_eq(host_next(&list), "a");
	ck_assert_str_eq(host_next(&list), "b");
	ck_assert_str_eq(host_next(&list), "c");
	ck_assert_str_eq(host_next(&list), "a");
	host_list_fini(&list);
	host_list_init(&list, "a,b", 5432, BALANCE_DISABLE, "");
	ck_assert_str_eq(host_next(&list), "a");
	ck_assert_str_eq(host_next(&list), "a");
	host_failed(&list, "a");
	ck_assert_str_eq(host_next(&list), "b");
	host_failed(&list, "a"); /* an old connection's failure: we have moved on */
	ck_assert_str_eq(host_next(&list), "b");
	host_list_fini(&list);
	host_list_init(&list, NULL, 5432, BALANCE_UNSET, "/run/x");
	ck_assert_str_eq(host_next(&list), "/run/x");
	ck_assert(host_is_unix("/run/x") && host_is_unix("@y") && !host_is_unix("localhost"));
	host_list_fini(&list);
}
END_TEST

START_TEST(every_reason_has_a_text_and_those_for_clients_an_sqlstate)
{
	struct error error;
	for (int i = 0; i < CLOSE_REASON_COUNT; i++)
		ck_assert_uint_gt(strlen(close_reason_text((enum close_reason)i)), 3);
	ck_assert(close_reason_error(CLOSE_QUERY_WAIT_TIMEOUT, &error));
	ck_assert_str_eq(error.message, "query_wait_timeout");
	ck_assert(close_reason_error(CLOSE_TRANSACTION_BLOCK, &error));
	ck_assert_str_eq(error.sqlstate, "0A000");
	ck_assert(!close_reason_error(CLOSE_CLIENT_EOF, &error));
}
END_TEST

START_TEST(limits_of_the_row_beat_the_default)
{
	struct error error;
	fixture_open("d = max_db_client_connections=1\ne =", "u = max_user_client_connections=2",
		     "max_db_client_connections = 3\nmax_client_conn = 1");
	struct database *d = registry_database("d"), *e = registry_database("e");
	struct user *u = registry_user("u"), *v = registry_user("v");
	ck_assert_int_eq(limit_database_clients(d), 1);
	ck_assert_int_eq(limit_database_clients(e), 3);
	ck_assert(limit_admits_client(d, u, &error));
	limit_client_added(d, u);
	ck_assert(!limit_admits_client(d, v, &error));
	ck_assert_str_eq(error.sqlstate, "53300");
	ck_assert_str_eq(error.message, "client connections exceeded (max_db_client_connections)");
	limit_client_added(e, u);
	ck_assert(!limit_admits_client(e, u, &error));
	ck_assert_str_eq(error.message,
			 "client connections exceeded (max_user_client_connections)");
	limit_client_removed(d, u);
	limit_client_removed(e, u);
	ck_assert(limit_admits_client(d, u, &error));
	limit_connection_opened();
	ck_assert(limit_admits_connection(&error));
	limit_connection_opened();
	ck_assert(!limit_admits_connection(&error));
	ck_assert_str_eq(error.message, "no more connections allowed (max_client_conn)");
	limit_connection_closed();
	limit_connection_closed();
	fixture_close();
}
END_TEST

Suite *suite_small(void)
{
	Suite *suite = suite_create("pool/stats, host, close_reason, limit");
	TCase *tcase = tcase_create("small");
	tcase_add_test(tcase, counts_average_per_second_and_times_per_event);
	tcase_add_test(tcase, hosts_are_used_in_turn_or_until_they_fail);
	tcase_add_test(tcase, every_reason_has_a_text_and_those_for_clients_an_sqlstate);
	tcase_add_test(tcase, limits_of_the_row_beat_the_default);
	suite_add_tcase(suite, tcase);
	return suite;
}
