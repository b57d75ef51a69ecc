/* SPDX-License-Identifier: ISC */
/* Clients that are not to wait: the queue is full (max_waiting_clients), or there has been no
 * server for long (server_unreachable_timeout). */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "pool/time_limit.h"
#include "suites.h"

#define SECOND USEC_PER_SECOND

/* ---- max_waiting_clients ---- */

START_TEST(one_more_than_may_wait_is_refused_at_once)
{
	static const struct {
		const char *global, *database, *user;
		int most;
	} rows[] = {
		{"max_waiting_clients=2", "", "", 2},
		{"max_waiting_clients=9", "max_waiting_clients=2", "", 2},
		{"max_waiting_clients=9", "max_waiting_clients=8", "max_waiting_clients=2", 2},
		{"", "", "max_waiting_clients=1", 1},
		{"max_waiting_clients=1", "max_waiting_clients=0", "", 0},
		{"", "", "", 0},
	};
	char text[512];
	snprintf(text, sizeof text,
		 "default_pool_size=1\n%s\n[databases]\nshop=host=h %s\n[users]\njoe=%s\n",
		 rows[_i].global, rows[_i].database, rows[_i].user);
	fake_configure(text);
	struct pool *pool = fake_pool("shop", "joe");
	struct fake_client *served = fake_request(pool), *waiting[20];
	fake_log_in(1);
	int most = rows[_i].most ? rows[_i].most : 20;
	for (int i = 0; i < most; i++) {
		waiting[i] = fake_request(pool);
		ck_assert(!waiting[i]->is_closed);
	}
	if (!rows[_i].most)
		return;
	struct fake_client *refused = fake_request(pool), *late = fake_arrive(pool);
	ck_assert(refused->is_rejected && late->is_rejected);
	ck_assert_str_eq(refused->error.sqlstate, "53300");
	ck_assert_str_eq(refused->error.message,
			 "too many clients wait for a server (max_waiting_clients)");
	ck_assert_str_eq(late->error.sqlstate, "53300");
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_WAITING].length, (unsigned)most);
	/* one place comes free */
	fake_finish(served);
	ck_assert_ptr_nonnull(waiting[0]->server);
	ck_assert(!fake_request(pool)->is_closed);
	ck_assert(fake_request(pool)->is_closed);
}
END_TEST

START_TEST(who_finds_an_idle_server_does_not_wait)
{
	fake_configure("max_waiting_clients=1\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	for (int i = 0; i < 10; i++) {
		struct fake_client *client = fake_request(pool);
		ck_assert_ptr_nonnull(client->server);
		fake_finish(client);
	}
}
END_TEST

START_TEST(who_waits_for_the_greeting_counts)
{
	fake_configure("max_waiting_clients=2\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool("shop", "joe");
	ck_assert(!fake_arrive(pool)->is_closed);
	ck_assert(!fake_arrive(pool)->is_closed);
	fake_cannot_connect(1);
	struct fake_client *refused = fake_arrive(pool);
	ck_assert_str_eq(refused->error.sqlstate, "53300");
	ck_assert_str_eq(refused->error.detail, "connection refused"); /* why they wait */
	fake_check_counts();
}
END_TEST

START_TEST(a_new_bound_holds_from_the_reload_on)
{
	fake_configure("default_pool_size=1\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool("shop", "joe");
	for (int i = 0; i < 5; i++)
		fake_request(pool);
	fake_configure("default_pool_size=1\nmax_waiting_clients=2\n[databases]\nshop=host=h\n");
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_WAITING].length, 5); /* they may stay */
	ck_assert(fake_request(pool)->is_rejected);
}
END_TEST

/* ---- server_unreachable_timeout ---- */

static struct pool *unreachable(const char *settings)
{
	char text[256];
	snprintf(text, sizeof text,
		 "server_unreachable_timeout=20\nserver_login_retry=5\n%s\n[databases]\nshop=host="
		 "h\n",
		 settings);
	fake_configure(text);
	return fake_pool("shop", "joe");
}

static void is_told(const struct fake_client *client, const char *detail)
{
	ck_assert(client->is_rejected);
	ck_assert_str_eq(client->error.sqlstate, "08006");
	ck_assert_str_eq(client->error.message,
			 "no server can be reached (server_unreachable_timeout)");
	ck_assert_str_eq(client->error.detail, detail);
}

START_TEST(who_waits_for_a_server_that_cannot_be_reached_is_told_in_time)
{
	struct pool *pool = unreachable("");
	struct fake_client *first = fake_arrive(pool), *second;
	for (int id = 1; id <= 3; id++) {
		fake_cannot_connect(id);
		fake_wait(5 * SECOND);
	}
	second = fake_request(pool);
	fake_wait(5 * SECOND - 1);
	ck_assert(!first->is_closed && !second->is_closed);
	fake_wait(1);
	is_told(first, "connection refused");
	is_told(second, "connection refused");
	fake_check_counts();
}
END_TEST

START_TEST(an_attempt_that_hangs_counts)
{
	struct pool *pool = unreachable("");
	struct fake_client *client = fake_arrive(pool);
	fake_wait(20 * SECOND - 1);
	ck_assert(!client->is_closed);
	fake_wait(1);
	is_told(client, "No attempt to connect has come to an end yet.");
}
END_TEST

START_TEST(from_then_on_whoever_comes_is_told_at_once_or_tries)
{
	struct pool *pool = unreachable("");
	struct error error;
	struct fake_client *client = fake_arrive(pool);
	fake_wait(20 * SECOND);
	ck_assert(client->is_closed);
	fake_cannot_connect(1);
	ck_assert(pool_is_failing(pool, &error)); /* in the pause */
	ck_assert_str_eq(error.sqlstate, "08006");
	ck_assert_str_eq(error.detail, "connection refused");
	fake_wait(5 * SECOND);
	ck_assert(!pool_is_failing(pool, &error)); /* someone has to try */
	client = fake_arrive(pool);
	ck_assert(!client->is_closed);
	fake_cannot_connect(2);
	is_told(client, "connection refused");
	fake_wait(5 * SECOND);
	client = fake_arrive(pool);
	fake_log_in(3);
	ck_assert(client->is_welcome);
	ck_assert(!pool_is_failing(pool, &error));
}
END_TEST

START_TEST(a_server_that_is_there_ends_it)
{
	struct pool *pool = unreachable("default_pool_size=2");
	struct fake_client *first = fake_request(pool), *second;
	fake_cannot_connect(1);
	fake_wait(5 * SECOND);
	fake_log_in(2);
	ck_assert_ptr_nonnull(first->server);
	second = fake_request(pool);
	fake_cannot_connect(3); /* a second one cannot be had: who waits, waits for the first */
	fake_wait(100 * SECOND);
	ck_assert(!second->is_closed);
	fake_finish(first);
	ck_assert_ptr_nonnull(second->server);
	/* and its time begins when that one is lost */
	fake_crash(2);
	struct fake_client *third = fake_request(pool);
	usec_t since = clock_now();
	for (int id = fake_server_total(); clock_now() < since + 20 * SECOND - 1;
	     id = fake_server_total()) {
		ck_assert(!third->is_closed);
		if (!fake_server(id)->is_closed)
			fake_cannot_connect(id);
		usec_t left = since + 20 * SECOND - 1 - clock_now();
		fake_wait(left < 5 * SECOND ? left : 5 * SECOND);
	}
	ck_assert(!third->is_closed);
	fake_wait(SECOND);
	is_told(third, "connection refused");
}
END_TEST

START_TEST(without_the_timeout_they_wait)
{
	struct pool *pool = unreachable("server_unreachable_timeout=0");
	struct fake_client *client = fake_arrive(pool);
	fake_cannot_connect(1);
	fake_wait(4000 * SECOND);
	ck_assert(!client->is_closed);
}
END_TEST

START_TEST(a_timeout_that_is_set_later_counts_from_the_beginning)
{
	struct pool *pool = unreachable("server_unreachable_timeout=0");
	struct fake_client *client = fake_arrive(pool);
	fake_wait(30 * SECOND);
	ck_assert(!client->is_closed);
	unreachable("server_unreachable_timeout=40");
	fake_wait(10 * SECOND - 1);
	ck_assert(!client->is_closed);
	fake_wait(1);
	ck_assert(client->is_rejected);
}
END_TEST

START_TEST(a_refused_login_is_told_as_such)
{
	struct pool *pool = unreachable("");
	struct fake_client *client = fake_arrive(pool);
	fake_wait(10 * SECOND);
	fake_refuse(1, "no such role");
	ck_assert_str_eq(client->error.message, "no such role");
	ck_assert_int_eq(pool->unreachable_since, 0);
}
END_TEST

/* ---- limits of time ---- */

START_TEST(limits_of_time_are_the_users_the_databases_or_the_global_ones)
{
	fake_configure("query_timeout=1\nquery_wait_timeout=2\nidle_transaction_timeout=3\n"
		       "transaction_timeout=4\nclient_idle_timeout=5\nquery_timeout_action=cancel\n"
		       "[databases]\nplain=host=h\n"
		       "set=host=h query_timeout=11 query_wait_timeout=12 "
		       "idle_transaction_timeout=13 transaction_timeout=14 client_idle_timeout=15 "
		       "query_timeout_action=close\n"
		       "[users]\nspecial=query_timeout=21 query_wait_timeout=22 "
		       "idle_transaction_timeout=23 transaction_timeout=24 client_idle_timeout=25 "
		       "query_timeout_action=cancel\n"
		       "free=query_timeout=0 query_wait_timeout=0 idle_transaction_timeout=0 "
		       "transaction_timeout=0 client_idle_timeout=0\n");
	static const struct {
		const char *database, *user;
		int first;
		enum timeout_action action;
	} rows[] = {
		{"plain", "joe", 1, TIMEOUT_CANCEL},	  {"set", "joe", 11, TIMEOUT_CLOSE},
		{"plain", "special", 21, TIMEOUT_CANCEL}, {"set", "special", 21, TIMEOUT_CANCEL},
		{"set", "free", 0, TIMEOUT_CLOSE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct time_limits limits = time_limits_of(registry_database(rows[i].database),
							   registry_user(rows[i].user));
		int step = rows[i].first ? 1 : 0;
		ck_assert_int_eq(limits.query_timeout, rows[i].first * SECOND);
		ck_assert_int_eq(limits.query_wait_timeout, (rows[i].first + step) * SECOND);
		ck_assert_int_eq(limits.idle_transaction_timeout,
				 (rows[i].first + 2 * step) * SECOND);
		ck_assert_int_eq(limits.transaction_timeout, (rows[i].first + 3 * step) * SECOND);
		ck_assert_int_eq(limits.client_idle_timeout, (rows[i].first + 4 * step) * SECOND);
		ck_assert_int_eq(limits.query_timeout_action, rows[i].action);
	}
	struct time_limits none = time_limits_of(registry_console(), registry_user("joe"));
	ck_assert_int_eq(none.query_timeout, 0);
	ck_assert_int_eq(none.client_idle_timeout, 0);
}
END_TEST

Suite *suite_pool_reach(void)
{
	Suite *suite = suite_create("pool_reach");
	TCase *queue = tcase_create("queue");
	tcase_add_checked_fixture(queue, fake_setup, fake_teardown);
	tcase_add_loop_test(queue, one_more_than_may_wait_is_refused_at_once, 0, 6);
	tcase_add_test(queue, who_finds_an_idle_server_does_not_wait);
	tcase_add_test(queue, who_waits_for_the_greeting_counts);
	tcase_add_test(queue, a_new_bound_holds_from_the_reload_on);
	suite_add_tcase(suite, queue);
	TCase *reach = tcase_create("reach");
	tcase_add_checked_fixture(reach, fake_setup, fake_teardown);
	tcase_add_test(reach, who_waits_for_a_server_that_cannot_be_reached_is_told_in_time);
	tcase_add_test(reach, an_attempt_that_hangs_counts);
	tcase_add_test(reach, from_then_on_whoever_comes_is_told_at_once_or_tries);
	tcase_add_test(reach, a_server_that_is_there_ends_it);
	tcase_add_test(reach, without_the_timeout_they_wait);
	tcase_add_test(reach, a_timeout_that_is_set_later_counts_from_the_beginning);
	tcase_add_test(reach, a_refused_login_is_told_as_such);
	tcase_add_test(reach, limits_of_time_are_the_users_the_databases_or_the_global_ones);
	suite_add_tcase(suite, reach);
	return suite;
}
