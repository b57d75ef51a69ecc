/* SPDX-License-Identifier: ISC */
/* How many servers log in, and what becomes of clients when they cannot. */
#include "config.h"
#include "pool/pool.h"
#include "pool/time_limit.h"
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "suites.h"

#define SECOND USEC_PER_SECOND

static struct pool *pool_of(const char *settings)
{
	char text[1000];
	snprintf(text, sizeof(text), "%s[databases]\nshop=host=h\n", settings);
	fake_configure(text);
	return fake_pool("shop", "joe");
}

START_TEST(the_first_login_is_alone_until_the_server_is_known_to_answer)
{
	struct pool *pool = pool_of("max_server_logins=4\n");
	for (int i = 0; i < 10; i++)
		fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "1");
	fake_log_in(1);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_ACTIVE), "1");
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2 3 4 5");
}
END_TEST

START_TEST(each_login_that_ends_lets_the_next_begin_until_all_are_served)
{
	struct pool *pool = pool_of("max_server_logins=2\n");
	for (int i = 0; i < 7; i++)
		fake_request(pool);
	for (int id = 1; id <= 7; id++) {
		ck_assert_uint_le(pool->servers[SERVER_PLACE_LOGIN].length, 2);
		fake_log_in(id);
	}
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_ACTIVE), "1 2 3 4 5 6 7");
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "");
	ck_assert_int_eq(fake.launches, 7);
}
END_TEST

START_TEST(there_are_never_more_logins_than_waiters)
{
	struct pool *pool = pool_of("max_server_logins=10\n");
	fake_request(pool);
	fake_log_in(1);
	fake_request(pool);
	fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2 3");
	fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2 3 4");
}
END_TEST

START_TEST(the_pool_does_not_grow_beyond_its_size)
{
	struct pool *pool = pool_of("default_pool_size=3\nmax_server_logins=10\n");
	fake_request(pool);
	fake_log_in(1);
	for (int i = 0; i < 10; i++)
		fake_request(pool);
	ck_assert_uint_eq(pool->server_count, 3);
	fake_log_in(2);
	fake_log_in(3);
	ck_assert_uint_eq(pool->server_count, 3);
	ck_assert_int_eq(fake.launches, 3);
}
END_TEST

START_TEST(size_zero_is_without_bound)
{
	struct pool *pool = pool_of("default_pool_size=0\nmax_server_logins=100\n");
	fake_request(pool);
	fake_log_in(1);
	for (int i = 0; i < 50; i++)
		fake_request(pool);
	ck_assert_uint_eq(pool->server_count, 51);
}
END_TEST

START_TEST(the_largest_sizes_do_not_overflow)
{
	struct pool *pool = pool_of("default_pool_size=2147483647\nreserve_pool_size=2147483647\n");
	ck_assert_uint_eq(pool->full, 2147483647u);
	ck_assert_uint_eq(pool->most, 4294967294u);
	struct fake_client *client = fake_request(pool);
	fake_log_in(1);
	fake_finish(client);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "1");
}
END_TEST

START_TEST(clients_for_the_greeting_need_one_login_together)
{
	struct pool *pool = pool_of("max_server_logins=4\n");
	struct fake_client *a = fake_arrive(pool), *b = fake_arrive(pool);
	ck_assert_int_eq(fake.launches, 1);
	ck_assert_str_eq(fake_clients(pool, CLIENT_PLACE_WELCOME), "1 2");
	fake_log_in(1);
	ck_assert(a->is_welcome && b->is_welcome);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "1");
	ck_assert_int_eq(fake.launches, 1);
}
END_TEST

START_TEST(a_server_without_parameters_is_a_welcome_too)
{
	struct pool *pool = pool_of("");
	struct fake_client *client = fake_arrive(pool);
	fake.parameters_held++;
	pool_login_succeeded(pool, NULL, &fake);
	ck_assert(client->is_welcome);
	ck_assert_ptr_null(pool->welcome);
	pool_release(&fake_server(1)->member);
}
END_TEST

START_TEST(a_later_welcome_replaces_the_one_before)
{
	struct pool *pool = pool_of("");
	fake_request(pool);
	fake_request(pool);
	fake_log_in(1);
	struct buffer *before = pool->welcome;
	ck_assert_int_eq(fake.parameters_held, 1);
	fake_log_in(2);
	ck_assert_int_eq(fake.parameters_held, 1);
	ck_assert_ptr_nonnull(before);
	ck_assert_uint_eq(buffer_length(pool->welcome), 1);
}
END_TEST

/* ---- it cannot be reached ---- */

START_TEST(clients_stay_queued_while_the_server_cannot_be_reached)
{
	struct pool *pool = pool_of("server_login_retry=15\n");
	struct fake_client *entering = fake_arrive(pool), *waiting = fake_request(pool);
	struct error error;
	fake_cannot_connect(1);
	ck_assert(!entering->is_closed && !waiting->is_closed);
	ck_assert(pool->connect_failed && !pool->login_failed);
	ck_assert_str_eq(pool->failure.message, "connection refused");
	ck_assert(!pool_is_failing(pool, &error));
	ck_assert_int_eq(fake.launches, 1);
}
END_TEST

START_TEST(the_next_attempt_comes_server_login_retry_later_and_not_before)
{
	struct pool *pool = pool_of("server_login_retry=15\n");
	struct fake_client *client = fake_request(pool);
	fake_cannot_connect(1);
	fake_request(pool);
	fake_wait(14 * SECOND);
	ck_assert_int_eq(fake.launches, 1);
	fake_wait(SECOND);
	ck_assert_int_eq(fake.launches, 2);
	fake_cannot_connect(2);
	fake_wait(15 * SECOND);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "3");
	fake_log_in(3);
	ck_assert_ptr_eq(client->server, fake_server(3));
	ck_assert(!pool->connect_failed);
	ck_assert_str_eq(pool->failure.message, "");
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "4");
}
END_TEST

START_TEST(one_messenger_goes_after_a_failure)
{
	struct pool *pool = pool_of("server_login_retry=1\nmax_server_logins=4\n");
	fake_request(pool);
	fake_log_in(1);
	for (int i = 0; i < 3; i++)
		fake_request(pool);
	fake_cannot_connect(2);
	fake_cannot_connect(3);
	fake_cannot_connect(4);
	fake_wait(SECOND);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "5");
	fake_log_in(5);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "6 7");
}
END_TEST

START_TEST(nobody_waits_any_more_nobody_is_sent)
{
	struct pool *pool = pool_of("server_login_retry=1\n");
	struct fake_client *client = fake_request(pool);
	fake_cannot_connect(1);
	fake_leave(client);
	fake_wait(10 * SECOND);
	ck_assert_int_eq(fake.launches, 1);
}
END_TEST

START_TEST(a_launch_that_fails_at_once_is_tried_again_later_not_deeper)
{
	struct pool *pool = pool_of("server_login_retry=15\n");
	fake.launch = LAUNCH_CANNOT_CONNECT;
	struct fake_client *client = fake_request(pool);
	ck_assert(!client->is_closed);
	ck_assert_int_eq(fake.launches, 1);
	ck_assert_uint_eq(pool->server_count, 0);
	fake_wait(15 * SECOND);
	ck_assert_int_eq(fake.launches, 2);
	fake.launch = LAUNCH_JOINS;
	fake_wait(15 * SECOND);
	fake_log_in(3);
	ck_assert_ptr_eq(client->server, fake_server(3));
	fake_check_counts();
}
END_TEST

START_TEST(without_a_retry_pause_a_launch_that_fails_at_once_still_does_not_spin)
{
	struct pool *pool = pool_of("server_login_retry=0\n");
	static const enum fake_launch ways[] = {LAUNCH_CANNOT_CONNECT, LAUNCH_VANISHES};
	for (int i = 0; i < 2; i++) {
		fake.launch = ways[i];
		fake.launches = 0;
		struct fake_client *client = fake_request(pool);
		ck_assert_int_eq(fake.launches, 1);
		loop_turn(0);
		ck_assert_int_eq(fake.launches, 1);
		fake_wait(SECOND / 10);
		ck_assert_int_eq(fake.launches, 2);
		ck_assert(!client->is_closed);
		fake_leave(client);
		fake_wait(SECOND);
	}
	fake_check_counts();
}
END_TEST

START_TEST(a_launch_that_is_refused_at_once_rejects_the_client_that_asked)
{
	struct pool *pool = pool_of("");
	fake.launch = LAUNCH_IS_REFUSED;
	struct fake_client *client = fake_request(pool), *entering;
	ck_assert(client->is_rejected);
	ck_assert_str_eq(client->error.message, "launch failed at once");
	fake_wait(15 * SECOND);
	entering = fake_arrive(pool);
	ck_assert(entering->is_rejected);
	fake_check_counts();
}
END_TEST

/* ---- several hosts ---- */

static const char *const abc[] = {"a", "b", "c"};

static struct pool *pool_of_hosts(const char *settings, const char *more)
{
	char text[1000];
	snprintf(text, sizeof(text), "%s[databases]\nshop=host=a,b,c %s\n", settings, more);
	fake_configure(text);
	return fake_pool("shop", "joe");
}

START_TEST(the_next_host_is_tried_at_once_and_all_again_after_the_pause)
{
	struct pool *pool = pool_of_hosts("server_login_retry=15\n", "");
	struct fake_client *client = fake_request(pool);
	for (int round = 0; round < 3; round++) {
		for (int i = 1; i <= 3; i++) {
			int id = 3 * round + i;
			ck_assert_int_eq(fake.launches, id);
			ck_assert_str_eq(fake_server(id)->host, abc[i - 1]);
			fake_cannot_connect(id);
			ck_assert(!client->is_closed);
		}
		fake_wait(15 * SECOND - 1);
		ck_assert_int_eq(fake.launches, 3 * round + 3);
		fake_wait(1);
	}
	fake_log_in(10);
	ck_assert_ptr_eq(client->server, fake_server(10));
}
END_TEST

START_TEST(a_round_of_hosts_that_fail_at_once_ends)
{
	struct pool *pool = pool_of_hosts("server_login_retry=15\n", "");
	fake.launch = LAUNCH_CANNOT_CONNECT;
	struct fake_client *client = fake_request(pool);
	ck_assert_int_eq(fake.launches, 3);
	fake_wait(15 * SECOND);
	ck_assert_int_eq(fake.launches, 6);
	ck_assert(!client->is_closed);
	fake_leave(client);
	fake_check_counts();
}
END_TEST

START_TEST(hosts_that_stay_silent_are_all_tried_before_the_pause)
{
	struct pool *pool = pool_of_hosts("server_login_retry=5\n", "");
	fake_request(pool);
	for (int id = 1; id <= 3; id++) { /* each for longer than the one before rests */
		ck_assert_int_eq(fake.launches, id);
		ck_assert_str_eq(fake_server(id)->host, abc[id - 1]);
		fake_wait(6 * SECOND);
		fake_cannot_connect(id);
	}
	fake_wait(5 * SECOND - 1);
	ck_assert_int_eq(fake.launches, 3);
	fake_wait(1);
	ck_assert_int_eq(fake.launches, 4);
}
END_TEST

START_TEST(hosts_that_failed_before_one_worked_are_tried_at_once_when_that_fails)
{
	struct pool *pool = pool_of_hosts("server_login_retry=15\ndefault_pool_size=20\n", "");
	fake_request(pool);
	fake_cannot_connect(1);
	fake_log_in(2); /* b works, a and c do not */
	fake_request(pool);
	fake_cannot_connect(3);
	fake_log_in(4);
	fake_wait(SECOND);
	fake_request(pool); /* and now the other way round */
	ck_assert_str_eq(fake_server(5)->host, "b");
	fake_cannot_connect(5);
	ck_assert_int_eq(fake.launches, 6);
	ck_assert_str_ne(fake_server(6)->host, "b");
	fake_cannot_connect(6);
	ck_assert_int_eq(fake.launches, 7);
	ck_assert_str_ne(fake_server(7)->host, "b");
	ck_assert_str_ne(fake_server(7)->host, fake_server(6)->host);
	fake_cannot_connect(7);
	ck_assert_int_eq(fake.launches, 7);
	fake_wait(15 * SECOND);
	ck_assert_int_eq(fake.launches, 8);
}
END_TEST

START_TEST(a_round_of_hosts_that_nobody_waited_for_begins_anew)
{
	struct pool *pool = pool_of_hosts("server_login_retry=15\n", "");
	struct fake_client *client = fake_request(pool);
	fake_cannot_connect(1);
	fake_leave(client);
	fake_cannot_connect(2);
	fake_wait(3600 * SECOND);
	fake_request(pool);
	for (int id = 3; id <= 5; id++) {
		ck_assert_int_eq(fake.launches, id);
		fake_cannot_connect(id);
	}
	ck_assert_int_eq(fake.launches, 5);
}
END_TEST

START_TEST(a_host_that_failed_is_left_alone_for_a_while)
{
	struct pool *pool = pool_of_hosts("server_login_retry=15\ndefault_pool_size=20\n", "");
	fake_request(pool);
	fake_cannot_connect(1);
	fake_log_in(2);
	for (int i = 0; i < 4; i++) {
		fake_request(pool);
		fake_log_in(fake.launches);
	}
	for (int id = 2; id <= 6; id++)
		ck_assert_str_eq(fake_server(id)->host, id % 2 ? "c" : "b");
	fake_wait(15 * SECOND);
	for (int i = 0; i < 3; i++) {
		fake_request(pool);
		fake_log_in(fake.launches);
	}
	ck_assert_str_eq(fake_server(7)->host, "c");
	ck_assert_str_eq(fake_server(8)->host, "a");
	ck_assert_str_eq(fake_server(9)->host, "b");
}
END_TEST

START_TEST(without_balance_the_first_host_that_works_is_kept)
{
	struct pool *pool = pool_of_hosts("default_pool_size=20\n", "load_balance_hosts=disable");
	fake_request(pool);
	fake_cannot_connect(1);
	fake_log_in(2);
	fake_wait(3600 * SECOND);
	for (int i = 0; i < 3; i++) {
		fake_request(pool);
		fake_log_in(fake.launches);
	}
	for (int id = 2; id <= 5; id++)
		ck_assert_str_eq(fake_server(id)->host, "b");
}
END_TEST

START_TEST(the_next_host_is_for_all_pools_of_the_database)
{
	struct pool *pool = pool_of_hosts("", "");
	fake_request(pool);
	fake_cannot_connect(1);
	fake_log_in(2);
	fake_request(fake_pool("shop", "ann"));
	ck_assert_str_eq(fake_server(3)->host, "c");
	fake_request(fake_pool("shop", "eve"));
	ck_assert_str_eq(fake_server(4)->host, "b"); /* a rests */
}
END_TEST

START_TEST(a_host_that_refuses_a_login_is_not_followed_by_the_next)
{
	struct pool *pool = pool_of_hosts("", "");
	struct fake_client *client = fake_request(pool);
	fake_refuse(1, "no such role");
	ck_assert(client->is_rejected);
	ck_assert_int_eq(fake.launches, 1);
}
END_TEST

START_TEST(reconnecting_tries_hosts_that_rest)
{
	struct pool *pool = pool_of_hosts("", "");
	fake_request(pool);
	fake_cannot_connect(1);
	fake_log_in(2);
	pool_retire(pool, CLOSE_OBSOLETE);
	fake_request(pool);
	ck_assert_str_eq(fake_server(3)->host, "c");
	fake_cannot_connect(3);
	ck_assert_str_eq(fake_server(4)->host, "a");
}
END_TEST

/* ---- it refuses us ---- */

START_TEST(a_refused_login_rejects_all_who_wait_with_the_servers_words)
{
	struct pool *pool = pool_of("");
	struct fake_client *clients[] = {fake_arrive(pool), fake_request(pool), fake_request(pool)};
	fake_refuse(1, "password authentication failed");
	for (int i = 0; i < 3; i++) {
		ck_assert(clients[i]->is_rejected);
		ck_assert_int_eq(clients[i]->reason, CLOSE_SERVER_REJECTED);
		ck_assert_str_eq(clients[i]->error.message, "password authentication failed");
		ck_assert_str_eq(clients[i]->error.sqlstate, "28P01");
	}
	ck_assert_int_eq(fake.launches, 1);
	fake_check_counts();
}
END_TEST

START_TEST(later_clients_get_the_cached_error_until_the_next_attempt)
{
	struct pool *pool = pool_of("server_login_retry=15\n");
	struct error error;
	ck_assert(!pool_is_failing(pool, &error));
	fake_request(pool);
	fake_refuse(1, "no such role");
	ck_assert(pool_is_failing(pool, &error));
	ck_assert_str_eq(error.message, "server login has been failing, cached error: no such role "
					"(server_login_retry)");
	ck_assert_str_eq(error.sqlstate, "28P01");
	ck_assert_str_eq(error.detail, "a detail");
	ck_assert_str_eq(error.hint, "a hint");
	fake_wait(14 * SECOND);
	ck_assert(pool_is_failing(pool, &error));
	fake_wait(SECOND);
	ck_assert(!pool_is_failing(pool, &error));
	struct fake_client *client = fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2");
	fake_log_in(2);
	ck_assert_ptr_nonnull(client->server);
	ck_assert(!pool_is_failing(pool, &error));
}
END_TEST

START_TEST(a_refusal_does_not_touch_clients_that_live_servers_can_serve)
{
	struct pool *pool = pool_of("");
	struct fake_client *first = fake_request(pool), *second = fake_request(pool);
	struct error error;
	fake_log_in(1);
	fake_refuse(2, "too many connections");
	ck_assert(!second->is_closed);
	ck_assert(!pool_is_failing(pool, &error));
	fake_finish(first);
	ck_assert_ptr_eq(second->server, fake_server(1));
}
END_TEST

/* ---- min_pool_size ---- */

START_TEST(a_pool_with_a_client_is_filled_to_its_minimum)
{
	struct pool *pool = pool_of("min_pool_size=5\nmax_server_logins=2\n");
	ck_assert_int_eq(fake.launches, 0);
	struct fake_client *client = fake_arrive(pool);
	for (int id = 1; id <= 5; id++) {
		ck_assert_uint_le(pool->servers[SERVER_PLACE_LOGIN].length, id == 1 ? 1 : 2);
		fake_log_in(id);
	}
	ck_assert(client->is_welcome);
	ck_assert_int_eq(fake.launches, 5);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "5 4 3 2 1");
}
END_TEST

START_TEST(a_pool_that_was_logged_in_to_keeps_its_minimum_without_clients)
{
	struct pool *pool = pool_of("min_pool_size=2\n");
	struct fake_client *client = fake_arrive(pool);
	fake_log_in(1);
	fake_log_in(2);
	fake_leave(client);
	fake_crash(1);
	fake_crash(2);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "3 4");
	/* refused, it is left alone until somebody comes */
	fake_refuse(3, "no more");
	fake_crash(4);
	fake_wait(60 * SECOND);
	ck_assert_int_eq(fake.launches, 4);
	fake_client(pool);
	ck_assert_int_eq(fake.launches, 5);
}
END_TEST

START_TEST(a_forced_user_keeps_its_minimum_without_clients)
{
	fake_configure("min_pool_size=2\n[databases]\nshop=host=h user=app\n");
	struct pool *pool = fake_pool("shop", "joe");
	ck_assert_str_eq(pool->user->name, "app");
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "1");
	fake_log_in(1);
	fake_log_in(2);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "2 1");
	fake_crash(1);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "3");
}
END_TEST

START_TEST(the_minimum_is_tried_again_after_a_failure)
{
	fake_configure(
		"min_pool_size=1\nserver_login_retry=3\n[databases]\nshop=host=h user=app\n");
	fake_cannot_connect(1);
	fake_wait(3 * SECOND);
	ck_assert_int_eq(fake.launches, 2);
}
END_TEST

START_TEST(the_minimum_is_never_above_the_size)
{
	struct pool *pool = pool_of("min_pool_size=5\ndefault_pool_size=2\n");
	ck_assert_int_eq(pool->min_size, 2);
	pool_of("min_pool_size=5\ndefault_pool_size=0\n");
	ck_assert_int_eq(pool->min_size, 5);
}
END_TEST

/* ---- the reserve ---- */

START_TEST(the_reserve_opens_when_the_first_has_waited_long_enough)
{
	struct pool *pool =
		pool_of("default_pool_size=1\nreserve_pool_size=1\nreserve_pool_timeout=5\n");
	struct fake_client *first = fake_request(pool);
	fake_log_in(1);
	struct fake_client *second = fake_request(pool);
	fake_wait(3 * SECOND);
	struct fake_client *third = fake_request(pool);
	ck_assert_uint_eq(pool->server_count, 1);
	fake_wait(2 * SECOND);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2");
	fake_log_in(2);
	ck_assert_ptr_eq(second->server, fake_server(2));
	fake_wait(100 * SECOND);
	ck_assert_uint_eq(pool->server_count, 2);
	fake_finish(first);
	ck_assert_ptr_eq(third->server, fake_server(1));
}
END_TEST

START_TEST(the_reserve_waits_for_whoever_is_first_then)
{
	struct pool *pool =
		pool_of("default_pool_size=1\nreserve_pool_size=1\nreserve_pool_timeout=5\n");
	struct fake_client *first = fake_request(pool);
	fake_log_in(1);
	struct fake_client *second = fake_request(pool);
	fake_wait(4 * SECOND);
	struct fake_client *third = fake_request(pool);
	fake_finish(first);
	ck_assert_ptr_nonnull(second->server);
	fake_wait(SECOND); /* the time of the one who left the queue */
	ck_assert_uint_eq(pool->server_count, 1);
	fake_wait(4 * SECOND);
	ck_assert_uint_eq(pool->server_count, 2);
	ck_assert_ptr_null(third->server);
}
END_TEST

START_TEST(a_reserve_timeout_of_zero_never_opens_the_reserve)
{
	struct pool *pool =
		pool_of("default_pool_size=1\nreserve_pool_size=1\nreserve_pool_timeout=0\n");
	fake_request(pool);
	fake_log_in(1);
	fake_request(pool);
	fake_wait(1000 * SECOND);
	ck_assert_uint_eq(pool->server_count, 1);
}
END_TEST

START_TEST(the_reserve_opens_after_a_failure_was_cured)
{
	struct pool *pool =
		pool_of("default_pool_size=2\nreserve_pool_size=1\nreserve_pool_timeout=5\n"
			"server_login_retry=15\nmax_server_logins=1\n");
	fake_request(pool);
	fake_log_in(1);
	fake_request(pool);
	fake_cannot_connect(2);
	pool_retire(pool, CLOSE_OBSOLETE); /* RECONNECT: no pause any more */
	fake_log_in(3);
	fake_request(pool);
	fake_wait(5 * SECOND);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "4");
}
END_TEST

/* ---- precedence ---- */

START_TEST(a_value_of_the_user_goes_before_the_databases_before_the_global_one)
{
	fake_configure("default_pool_size=20\nreserve_pool_size=1\npool_mode=session\n"
		       "query_wait_timeout=120\n"
		       "[databases]\nplain=host=h\n"
		       "set=host=h pool_size=10 reserve_pool_size=2 pool_mode=transaction "
		       "query_wait_timeout=60 server_lifetime=50\n"
		       "[users]\nspecial=pool_size=5 reserve_pool_size=3 pool_mode=statement "
		       "query_wait_timeout=30\nsome=pool_size=0\n");
	static const struct {
		const char *database, *user;
		int size, reserve;
		enum pool_mode mode;
		int wait;
	} rows[] = {
		{"plain", "joe", 20, 1, POOL_MODE_SESSION, 120},
		{"set", "joe", 10, 2, POOL_MODE_TRANSACTION, 60},
		{"plain", "special", 5, 3, POOL_MODE_STATEMENT, 30},
		{"set", "special", 5, 3, POOL_MODE_STATEMENT, 30},
		{"set", "some", 0, 2, POOL_MODE_TRANSACTION, 60},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct pool *pool = fake_pool(rows[i].database, rows[i].user);
		ck_assert_int_eq(pool->size, rows[i].size);
		ck_assert_int_eq(pool->reserve_size, rows[i].reserve);
		ck_assert_int_eq(pool->mode, rows[i].mode);
		ck_assert_int_eq(time_limits_of(pool->database, pool->user).query_wait_timeout,
				 rows[i].wait * SECOND);
	}
	ck_assert_int_eq(fake_pool("set", "joe")->server_lifetime, 50 * SECOND);
	ck_assert_int_eq(fake_pool("plain", "joe")->server_lifetime, 3600 * SECOND);
}
END_TEST

Suite *suite_pool_login(void)
{
	Suite *suite = suite_create("pool_login");
	TCase *logins = tcase_create("logins");
	tcase_add_checked_fixture(logins, fake_setup, fake_teardown);
	tcase_add_test(logins, the_first_login_is_alone_until_the_server_is_known_to_answer);
	tcase_add_test(logins, each_login_that_ends_lets_the_next_begin_until_all_are_served);
	tcase_add_test(logins, there_are_never_more_logins_than_waiters);
	tcase_add_test(logins, the_pool_does_not_grow_beyond_its_size);
	tcase_add_test(logins, size_zero_is_without_bound);
	tcase_add_test(logins, the_largest_sizes_do_not_overflow);
	tcase_add_test(logins, clients_for_the_greeting_need_one_login_together);
	tcase_add_test(logins, a_server_without_parameters_is_a_welcome_too);
	tcase_add_test(logins, a_later_welcome_replaces_the_one_before);
	suite_add_tcase(suite, logins);
	TCase *failures = tcase_create("failures");
	tcase_add_checked_fixture(failures, fake_setup, fake_teardown);
	tcase_add_test(failures, clients_stay_queued_while_the_server_cannot_be_reached);
	tcase_add_test(failures, the_next_attempt_comes_server_login_retry_later_and_not_before);
	tcase_add_test(failures, one_messenger_goes_after_a_failure);
	tcase_add_test(failures, nobody_waits_any_more_nobody_is_sent);
	tcase_add_test(failures, a_launch_that_fails_at_once_is_tried_again_later_not_deeper);
	tcase_add_test(failures,
		       without_a_retry_pause_a_launch_that_fails_at_once_still_does_not_spin);
	tcase_add_test(failures, a_launch_that_is_refused_at_once_rejects_the_client_that_asked);
	tcase_add_test(failures, the_next_host_is_tried_at_once_and_all_again_after_the_pause);
	tcase_add_test(failures, a_round_of_hosts_that_fail_at_once_ends);
	tcase_add_test(failures, hosts_that_stay_silent_are_all_tried_before_the_pause);
	tcase_add_test(failures,
		       hosts_that_failed_before_one_worked_are_tried_at_once_when_that_fails);
	tcase_add_test(failures, a_round_of_hosts_that_nobody_waited_for_begins_anew);
	tcase_add_test(failures, a_host_that_failed_is_left_alone_for_a_while);
	tcase_add_test(failures, without_balance_the_first_host_that_works_is_kept);
	tcase_add_test(failures, the_next_host_is_for_all_pools_of_the_database);
	tcase_add_test(failures, a_host_that_refuses_a_login_is_not_followed_by_the_next);
	tcase_add_test(failures, reconnecting_tries_hosts_that_rest);
	tcase_add_test(failures, a_refused_login_rejects_all_who_wait_with_the_servers_words);
	tcase_add_test(failures, later_clients_get_the_cached_error_until_the_next_attempt);
	tcase_add_test(failures, a_refusal_does_not_touch_clients_that_live_servers_can_serve);
	suite_add_tcase(suite, failures);
	TCase *sizes = tcase_create("sizes");
	tcase_add_checked_fixture(sizes, fake_setup, fake_teardown);
	tcase_add_test(sizes, a_pool_with_a_client_is_filled_to_its_minimum);
	tcase_add_test(sizes, a_pool_that_was_logged_in_to_keeps_its_minimum_without_clients);
	tcase_add_test(sizes, a_forced_user_keeps_its_minimum_without_clients);
	tcase_add_test(sizes, the_minimum_is_tried_again_after_a_failure);
	tcase_add_test(sizes, the_minimum_is_never_above_the_size);
	tcase_add_test(sizes, the_reserve_opens_when_the_first_has_waited_long_enough);
	tcase_add_test(sizes, the_reserve_waits_for_whoever_is_first_then);
	tcase_add_test(sizes, a_reserve_timeout_of_zero_never_opens_the_reserve);
	tcase_add_test(sizes, the_reserve_opens_after_a_failure_was_cured);
	tcase_add_test(sizes, a_value_of_the_user_goes_before_the_databases_before_the_global_one);
	suite_add_tcase(suite, sizes);
	return suite;
}
