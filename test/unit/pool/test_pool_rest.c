/* SPDX-License-Identifier: ISC */
/* Servers that rest, grow old, or are to be tested. */
#include "config.h"
#include "pool/pool.h"
#include <stdio.h>
#include "fake.h"
#include "suites.h"

#define SECOND USEC_PER_SECOND

static struct pool *pool_with(int count, const char *settings)
{
	char text[1000];
	snprintf(text, sizeof(text), "%s[databases]\nshop=host=h\n", settings);
	fake_configure(text);
	return fake_pool_with("shop", "joe", count);
}

static void check(int id)
{
	pool_idle_check(&fake_server(id)->member);
}

static usec_t due(int id)
{
	return pool_idle_due(&fake_server(id)->member);
}

START_TEST(an_idle_server_is_closed_after_server_idle_timeout)
{
	pool_with(1, "server_idle_timeout=60\nserver_check_delay=0\nserver_check_query=\n");
	ck_assert_int_eq(due(1), clock_now() + 60 * SECOND);
	fake_wait(59 * SECOND);
	check(1);
	ck_assert(!fake_server(1)->is_closed);
	fake_wait(SECOND);
	check(1);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_SERVER_IDLE_TIMEOUT);
}
END_TEST

START_TEST(nothing_is_due_when_everything_is_off)
{
	struct pool *pool = pool_with(0, "server_idle_timeout=0\nserver_lifetime=0\n"
					 "server_check_query=\n");
	fake_leave(fake_request(pool));
	fake_log_in(1);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "1");
	ck_assert_int_eq(due(1), 0);
}
END_TEST

START_TEST(the_idle_timeout_does_not_go_below_the_minimum)
{
	struct pool *pool = pool_with(3, "server_idle_timeout=60\nmin_pool_size=2\n"
					 "server_check_query=\n");
	fake_client(pool);
	fake_wait(60 * SECOND);
	for (int id = 1; id <= 3; id++)
		check(id);
	ck_assert(fake_server(1)->is_closed);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "3 2");
	ck_assert_int_eq(due(2), clock_now() + 60 * SECOND); /* not at once again */
	ck_assert_int_eq(fake.launches, 3);
}
END_TEST

START_TEST(an_old_server_is_closed_when_it_comes_back_or_rests)
{
	struct pool *pool = pool_with(2, "server_lifetime=100\nserver_idle_timeout=0\n"
					 "server_check_query=\ndefault_pool_size=0\n");
	struct fake_client *client = fake_request(pool);
	ck_assert_int_eq(due(1), clock_now() + 100 * SECOND);
	fake_wait(100 * SECOND);
	check(1);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_SERVER_LIFETIME);
	fake_finish(client);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_SERVER_LIFETIME);
}
END_TEST

START_TEST(old_servers_are_closed_one_by_one)
{
	struct pool *pool = pool_with(4, "server_lifetime=100\ndefault_pool_size=4\n"
					 "server_idle_timeout=0\nserver_check_query=\n");
	fake_wait(100 * SECOND);
	for (int id = 1; id <= 4; id++)
		check(id);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "4 3 2");
	ck_assert_int_eq(due(2), clock_now() + 25 * SECOND);
	fake_wait(25 * SECOND);
	for (int id = 2; id <= 4; id++)
		check(id);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "4 3");
}
END_TEST

START_TEST(a_waiter_still_gets_an_old_server_that_may_not_go_yet)
{
	struct pool *pool = pool_with(2, "server_lifetime=100\ndefault_pool_size=2\n");
	struct fake_client *one = fake_request(pool), *two = fake_request(pool);
	struct fake_client *waiter = fake_request(pool);
	fake_wait(100 * SECOND);
	fake_finish(one);
	fake_finish(two);
	ck_assert(fake_server(2)->is_closed);
	ck_assert_ptr_eq(waiter->server, fake_server(1));
}
END_TEST

START_TEST(lifetime_zero_is_one_use)
{
	struct pool *pool = pool_with(0, "server_lifetime=0\nserver_check_query=\n");
	struct fake_client *client = fake_request(pool);
	fake_log_in(1);
	fake_finish(client);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_SERVER_LIFETIME);
	fake_ask(client);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2");
}
END_TEST

START_TEST(lifetime_zero_does_not_close_what_was_never_used)
{
	struct pool *pool = pool_with(0, "server_lifetime=0\nserver_check_delay=30\n");
	fake_leave(fake_request(pool));
	fake_log_in(1);
	fake_wait(30 * SECOND);
	check(1);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_USED), "1");
	struct fake_client *client = fake_request(pool);
	fake_test_ends(1);
	ck_assert_ptr_eq(client->server, fake_server(1));
}
END_TEST

START_TEST(a_server_that_was_long_in_logging_in_is_used_at_least_once)
{
	struct pool *pool = pool_with(0, "server_lifetime=1\n");
	struct fake_client *client = fake_request(pool);
	fake_wait(5 * SECOND);
	fake_log_in(1);
	ck_assert_ptr_eq(client->server, fake_server(1));
}
END_TEST

/* ---- tests ---- */

START_TEST(a_server_that_rested_is_tested_before_its_next_use)
{
	struct pool *pool = pool_with(2, "server_check_delay=30\n");
	ck_assert_int_eq(due(1), clock_now() + 30 * SECOND);
	fake_wait(30 * SECOND);
	check(1);
	check(2);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_USED), "1 2");
	ck_assert_int_eq(due(1), clock_now() + 570 * SECOND);
	struct fake_client *client = fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_TESTED), "2");
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_USED), "1");
	fake_test_ends(2);
	ck_assert_ptr_eq(client->server, fake_server(2));
	ck_assert_int_eq(fake.launches, 2);
}
END_TEST

START_TEST(a_failed_test_leads_to_the_next_and_then_to_a_new_server)
{
	struct pool *pool = pool_with(2, "server_check_delay=30\n");
	fake_wait(30 * SECOND);
	check(1);
	check(2);
	struct fake_client *client = fake_request(pool);
	fake_crash(2);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_TESTED), "1");
	fake_crash(1);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "3");
	fake_log_in(3);
	ck_assert_ptr_eq(client->server, fake_server(3));
}
END_TEST

START_TEST(tests_that_fail_at_once_end)
{
	struct pool *pool = pool_with(5, "server_check_delay=30\n");
	fake_wait(30 * SECOND);
	for (int id = 1; id <= 5; id++)
		check(id);
	fake.tests_fail = true;
	fake_request(pool);
	ck_assert_int_eq(fake.tests, 5);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "6");
	fake_check_counts();
}
END_TEST

START_TEST(only_as_many_are_tested_as_clients_wait)
{
	struct pool *pool = pool_with(4, "server_check_delay=30\n");
	fake_wait(30 * SECOND);
	for (int id = 1; id <= 4; id++)
		check(id);
	fake_request(pool);
	fake_request(pool);
	ck_assert_int_eq(fake.tests, 2);
	fake_request(pool);
	ck_assert_int_eq(fake.tests, 3);
	ck_assert_int_eq(fake.launches, 4);
}
END_TEST

START_TEST(a_check_delay_of_zero_tests_before_each_use)
{
	struct pool *pool = pool_with(0, "server_check_delay=0\ndefault_pool_size=1\n");
	struct fake_client *first = fake_request(pool);
	fake_log_in(1);
	ck_assert_ptr_nonnull(first->server); /* a login proves as much */
	struct fake_client *second = fake_request(pool);
	fake_finish(first);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_TESTED), "1");
	fake_test_ends(1);
	ck_assert_ptr_eq(second->server, fake_server(1));
	fake_finish(second);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_USED), "1");
	ck_assert_int_eq(fake.tests, 1); /* nobody wants it yet */
	fake_ask(first);
	fake_test_ends(1);
	ck_assert_ptr_eq(first->server, fake_server(1));
}
END_TEST

START_TEST(a_reset_that_just_ended_is_test_enough)
{
	struct pool *pool = pool_with(0, "server_check_delay=0\ndefault_pool_size=1\n");
	struct fake_client *first = fake_request(pool);
	fake_log_in(1);
	struct fake_client *second = fake_request(pool);
	pool_server_move(&fake_server(1)->member,
			 SERVER_PLACE_TESTED); /* server_reset_query runs */
	fake_server(1)->client = NULL;
	first->server = NULL;
	fake_test_ends(1);
	ck_assert_ptr_eq(second->server, fake_server(1));
	ck_assert_int_eq(fake.tests, 0);
}
END_TEST

START_TEST(without_a_check_query_nothing_is_tested)
{
	struct pool *pool = pool_with(1, "server_check_delay=0\nserver_check_query=\n");
	fake_wait(500 * SECOND);
	check(1);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "1");
	ck_assert_ptr_nonnull(fake_request(pool)->server);
	ck_assert_int_eq(fake.tests, 0);
}
END_TEST

/* ---- verdicts ---- */

START_TEST(a_server_that_is_to_be_closed_is_given_to_nobody)
{
	struct pool *pool = pool_with(1, "default_pool_size=1\n");
	struct fake_client *client = fake_request(pool), *waiter = fake_request(pool);
	ck_assert_int_eq(pool_verdict(&fake_server(1)->member), CLOSE_REASON_COUNT);
	fake_server(1)->member.close_needed = true;
	fake_server(1)->member.close_reason = CLOSE_OBSOLETE;
	ck_assert_int_eq(pool_verdict(&fake_server(1)->member), CLOSE_OBSOLETE);
	fake_finish(client);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_OBSOLETE);
	fake_log_in(2);
	ck_assert_ptr_eq(waiter->server, fake_server(2));
}
END_TEST

START_TEST(a_smaller_pool_closes_what_rests_now_and_what_works_when_it_is_free)
{
	struct pool *pool = pool_with(5, "default_pool_size=5\n");
	struct fake_client *clients[3];
	for (int i = 0; i < 3; i++)
		clients[i] = fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "2 1");
	fake_configure("default_pool_size=2\n[databases]\nshop=host=h\n");
	ck_assert_uint_eq(pool->server_count, 3);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_TOO_MANY_SERVERS);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_TOO_MANY_SERVERS);
	fake_finish(clients[0]);
	ck_assert_int_eq(fake_server(5)->reason, CLOSE_TOO_MANY_SERVERS);
	fake_finish(clients[1]);
	fake_finish(clients[2]);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "3 4");
}
END_TEST

START_TEST(a_larger_pool_serves_those_who_wait_at_once)
{
	struct pool *pool = pool_with(1, "default_pool_size=1\n");
	fake_request(pool);
	fake_request(pool);
	fake_request(pool);
	ck_assert_int_eq(fake.launches, 1);
	fake_configure("default_pool_size=3\n[databases]\nshop=host=h\n");
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2 3");
}
END_TEST

START_TEST(new_timeouts_hold_for_servers_that_rest_already)
{
	pool_with(2, "server_idle_timeout=600\nserver_check_query=\n");
	fake.rearms = 0;
	fake_configure("server_idle_timeout=10\nserver_check_query=\n[databases]\nshop=host=h\n");
	ck_assert_int_eq(fake.rearms, 2);
	ck_assert_int_eq(due(1), clock_now() + 10 * SECOND);
}
END_TEST

Suite *suite_pool_rest(void)
{
	Suite *suite = suite_create("pool_rest");
	TCase *age = tcase_create("age");
	tcase_add_checked_fixture(age, fake_setup, fake_teardown);
	tcase_add_test(age, an_idle_server_is_closed_after_server_idle_timeout);
	tcase_add_test(age, nothing_is_due_when_everything_is_off);
	tcase_add_test(age, the_idle_timeout_does_not_go_below_the_minimum);
	tcase_add_test(age, an_old_server_is_closed_when_it_comes_back_or_rests);
	tcase_add_test(age, old_servers_are_closed_one_by_one);
	tcase_add_test(age, a_waiter_still_gets_an_old_server_that_may_not_go_yet);
	tcase_add_test(age, lifetime_zero_is_one_use);
	tcase_add_test(age, lifetime_zero_does_not_close_what_was_never_used);
	tcase_add_test(age, a_server_that_was_long_in_logging_in_is_used_at_least_once);
	suite_add_tcase(suite, age);
	TCase *tests = tcase_create("tests");
	tcase_add_checked_fixture(tests, fake_setup, fake_teardown);
	tcase_add_test(tests, a_server_that_rested_is_tested_before_its_next_use);
	tcase_add_test(tests, a_failed_test_leads_to_the_next_and_then_to_a_new_server);
	tcase_add_test(tests, tests_that_fail_at_once_end);
	tcase_add_test(tests, only_as_many_are_tested_as_clients_wait);
	tcase_add_test(tests, a_check_delay_of_zero_tests_before_each_use);
	tcase_add_test(tests, a_reset_that_just_ended_is_test_enough);
	tcase_add_test(tests, without_a_check_query_nothing_is_tested);
	suite_add_tcase(suite, tests);
	TCase *verdicts = tcase_create("verdicts");
	tcase_add_checked_fixture(verdicts, fake_setup, fake_teardown);
	tcase_add_test(verdicts, a_server_that_is_to_be_closed_is_given_to_nobody);
	tcase_add_test(verdicts,
		       a_smaller_pool_closes_what_rests_now_and_what_works_when_it_is_free);
	tcase_add_test(verdicts, a_larger_pool_serves_those_who_wait_at_once);
	tcase_add_test(verdicts, new_timeouts_hold_for_servers_that_rest_already);
	suite_add_tcase(suite, verdicts);
	return suite;
}
