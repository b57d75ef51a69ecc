/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fixture.h"
#include "suites.h"
#include "core/loop.h"

#define C(i) (&fixture_clients[i])
#define S(i) (&fixture_servers[i])
#define SECOND USEC_PER_SECOND

static void pass(usec_t by)
{
	clock_advance(by);
	while (loop_turn(0))
		;
}

/* A pool of one server, which client 0 has. */
static struct pool *pool_of_one(const char *settings)
{
	fixture_open("d =", "", settings);
	struct pool *pool = fixture_pool("d", "u");
	pool_request(pool, C(0));
	fixture_expect("launch s0,");
	fixture_login(0);
	fixture_expect("assign c0 s0,");
	return pool;
}

START_TEST(oldest_waiter_gets_the_released_server)
{
	struct pool *pool = pool_of_one("default_pool_size = 1");
	for (int i = 1; i < 4; i++)
		ck_assert(!pool_request(pool, C(i)));
	fixture_expect("");
	pool_release(S(0));
	fixture_expect("assign c1 s0,");
	pool_client_move(pool, C(2), CLIENT_PLACE_NONE); /* went away while it waited */
	pool_release(S(0));
	fixture_expect("assign c3 s0,");
	pool_release(S(0));
	fixture_expect("");
	ck_assert_int_eq(S(0)->place, SERVER_PLACE_IDLE);
	ck_assert(pool_request(pool, C(1)));
	fixture_expect("assign c1 s0,");
	fixture_close();
}
END_TEST

static void three_idle(struct pool *pool)
{
	for (int i = 0; i < 3; i++)
		pool_request(pool, C(i));
	for (int i = 0; i < 3; i++)
		fixture_login(i);
	for (int i = 0; i < 3; i++) {
		clock_advance(SECOND);
		pool_client_move(pool, C(i), CLIENT_PLACE_ACTIVE);
		pool_release(S(i));
	}
	fixture_events[0] = '\0';
}

START_TEST(the_server_used_last_is_handed_out_first)
{
	fixture_open("d =", "", "");
	struct pool *pool = fixture_pool("d", "u");
	three_idle(pool);
	pool_request(pool, C(5));
	fixture_expect("assign c5 s2,");
	fixture_close();
}
END_TEST

START_TEST(round_robin_hands_out_the_one_that_rested_longest)
{
	fixture_open("d =", "", "server_round_robin = 1");
	struct pool *pool = fixture_pool("d", "u");
	three_idle(pool);
	pool_request(pool, C(5));
	fixture_expect("assign c5 s0,");
	fixture_close();
}
END_TEST

START_TEST(one_login_alone_until_the_server_answers_then_several)
{
	fixture_open("d =", "", "max_server_logins = 3");
	struct pool *pool = fixture_pool("d", "u");
	for (int i = 0; i < 6; i++)
		pool_request(pool, C(i));
	fixture_expect("launch s0,");
	fixture_login(0);
	fixture_expect("launch s1,launch s2,assign c0 s0,launch s3,");
	pool_work(pool);
	fixture_expect("");
	fixture_close();
}
END_TEST

START_TEST(never_more_logins_than_clients_wait)
{
	fixture_open("d =", "", "max_server_logins = 8");
	struct pool *pool = fixture_pool("d", "u");
	pool_request(pool, C(0));
	pool_request(pool, C(1));
	fixture_login(0);
	pool_work(pool);
	fixture_expect("launch s0,launch s1,assign c0 s0,");
	fixture_close();
}
END_TEST

START_TEST(clients_stay_queued_when_the_server_cannot_be_reached_and_it_is_tried_again)
{
	fixture_open("d =", "", "server_login_retry = 15");
	struct pool *pool = fixture_pool("d", "u");
	fixture_launch_fails = true;
	pool_request(pool, C(0));
	fixture_expect("launch s0,");
	ck_assert_int_eq(C(0)->place, CLIENT_PLACE_WAITING);
	ck_assert_str_eq(pool->failure.message, "no way");
	pass(15 * SECOND - 1);
	fixture_expect("");
	fixture_launch_fails = false;
	pass(1);
	fixture_expect("launch s1,");
	fixture_login(1);
	fixture_expect("assign c0 s1,");
	ck_assert_uint_eq(pool->server_count, 1);
	fixture_close();
}
END_TEST

START_TEST(a_refused_login_fails_all_who_wait_and_the_next_by_the_cached_error)
{
	fixture_open("d =", "", "server_login_retry = 15");
	struct pool *pool = fixture_pool("d", "u");
	struct error error;
	pool_request_welcome(pool, C(0));
	pool_request_welcome(pool, C(1));
	fixture_expect("launch s0,");
	error_set(&error, SQLSTATE_INVALID_CATALOG_NAME, "no such thing");
	pool_login_failed(pool, true, &error);
	fixture_expect("reject c0 3D000,reject c1 3D000,");
	pool_server_leave(S(0));
	ck_assert(pool_is_failing(pool, &error));
	ck_assert_str_eq(
		error.message,
		"server login has been failing, cached error: no such thing (server_login_retry)");
	ck_assert_str_eq(error.sqlstate, "3D000");
	clock_advance(15 * SECOND);
	ck_assert(!pool_is_failing(pool, &error));
	fixture_close();
}
END_TEST

START_TEST(the_reserve_opens_after_its_timeout)
{
	struct pool *pool = pool_of_one(
		"default_pool_size = 1\nreserve_pool_size = 1\nreserve_pool_timeout = 5");
	pool_request(pool, C(1));
	pass(5 * SECOND - 1);
	fixture_expect("");
	pass(1);
	fixture_expect("launch s1,");
	pool_request(pool, C(2));
	pass(60 * SECOND);
	fixture_expect("");
	fixture_close();
}
END_TEST

START_TEST(min_pool_size_is_kept_while_a_client_is_there)
{
	fixture_open("d =", "", "min_pool_size = 3");
	struct pool *pool = fixture_pool("d", "u");
	pool_work(pool);
	fixture_expect("");
	pool_request_welcome(pool, C(0));
	fixture_login(0);
	fixture_expect("launch s0,welcome c0,launch s1,launch s2,");
	fixture_login(1);
	fixture_login(2);
	pool_server_leave(S(1));
	fixture_expect("launch s3,");
	fixture_close();
}
END_TEST

START_TEST(max_db_connections_evicts_the_oldest_idle_server_of_a_sibling)
{
	fixture_open("d = max_db_connections=2", "", "");
	struct pool *a = fixture_pool("d", "a"), *b = fixture_pool("d", "b"),
		    *c = fixture_pool("d", "c");
	pool_request(a, C(0));
	fixture_login(0);
	pool_request(b, C(1));
	fixture_login(1);
	clock_advance(SECOND);
	pool_client_move(b, C(1), CLIENT_PLACE_ACTIVE);
	pool_release(S(1));
	fixture_events[0] = '\0';
	pool_request(c, C(2));
	fixture_expect("close s1 evicted,launch s2,");
	ck_assert_uint_eq(registry_database("d")->server_count, 2);
	pool_request(b, C(3)); /* both are busy now: waits, until one comes free */
	fixture_expect("");
	pool_release(S(0));
	fixture_expect("close s0 evicted,launch s3,");
	ck_assert_uint_eq(registry_database("d")->server_count, 2);
	fixture_close();
}
END_TEST

START_TEST(lifetimes_end_one_after_the_other)
{
	fixture_open("d = pool_size=3", "",
		     "server_lifetime = 30\nserver_idle_timeout = 0\nserver_check_delay = 300");
	struct pool *pool = fixture_pool("d", "u");
	three_idle(pool);
	clock_advance(40 * SECOND);
	pool_idle_check(S(0));
	fixture_expect("close s0 server lifetime over,");
	pool_idle_check(S(1));
	fixture_expect("");
	ck_assert_int_eq(pool_idle_due(S(1)), clock_now() + 10 * SECOND);
	clock_advance(10 * SECOND);
	pool_idle_check(S(1));
	fixture_expect("close s1 server lifetime over,");
	fixture_close();
}
END_TEST

START_TEST(idle_servers_close_in_time_but_not_below_min_pool_size)
{
	fixture_open("d = min_pool_size=2", "",
		     "server_idle_timeout = 60\nserver_check_delay = 300");
	struct pool *pool = fixture_pool("d", "u");
	three_idle(pool);
	clock_advance(120 * SECOND);
	pool_idle_check(S(0));
	fixture_expect("close s0 server idle timeout,");
	pool_idle_check(S(1));
	fixture_expect("");
	ck_assert_int_eq(S(1)->place, SERVER_PLACE_IDLE);
	fixture_close();
}
END_TEST

START_TEST(a_server_that_rested_long_is_tested_before_it_is_used)
{
	struct pool *pool = pool_of_one("server_check_delay = 30");
	pool_client_move(pool, C(0), CLIENT_PLACE_ACTIVE);
	pool_release(S(0));
	ck_assert_int_eq(pool_idle_due(S(0)), clock_now() + 30 * SECOND);
	clock_advance(30 * SECOND);
	pool_idle_check(S(0));
	ck_assert_int_eq(S(0)->place, SERVER_PLACE_USED);
	pool_request(pool, C(1));
	fixture_expect("test s0,");
	pool_release(S(0));
	fixture_expect("assign c1 s0,");
	fixture_close();
}
END_TEST

START_TEST(check_delay_zero_tests_always)
{
	struct pool *pool = pool_of_one("server_check_delay = 0");
	pool_client_move(pool, C(0), CLIENT_PLACE_ACTIVE);
	pool_release(S(0));
	ck_assert_int_eq(S(0)->place, SERVER_PLACE_USED);
	pool_request(pool, C(1));
	fixture_expect("test s0,");
	pool_release(S(0));
	fixture_expect("assign c1 s0,");
	fixture_close();
}
END_TEST

START_TEST(paused_pools_hand_nothing_out_until_resumed)
{
	struct pool *pool = pool_of_one("default_pool_size = 2");
	pool->database->is_paused = true;
	pool_request(pool, C(1));
	fixture_expect("");
	pool_release(S(0));
	fixture_expect("close s0 pause mode,");
	ck_assert(!pool_is_busy(pool));
	pool->database->is_paused = false;
	pool_work(pool);
	fixture_expect("launch s1,");
	fixture_close();
}
END_TEST

START_TEST(retired_servers_close_when_they_are_released)
{
	struct pool *pool = pool_of_one("");
	pool_retire(pool, CLOSE_OBSOLETE);
	fixture_expect("");
	ck_assert(S(0)->close_needed);
	pool_release(S(0));
	fixture_expect("close s0 obsolete connection,");
	fixture_close();
}
END_TEST

START_TEST(a_smaller_pool_closes_what_is_too_much)
{
	fixture_open("d = pool_size=3", "", "");
	struct pool *pool = fixture_pool("d", "u");
	three_idle(pool);
	pool_request(pool, C(7));
	fixture_events[0] = '\0';
	fixture_reload("d = pool_size=1", "", "");
	fixture_expect(
		"close s0 too many servers in the pool,close s1 too many servers in the pool,");
	ck_assert_uint_eq(pool->server_count, 1);
	fixture_close();
}
END_TEST

START_TEST(kill_closes_everybody)
{
	struct pool *pool = pool_of_one("default_pool_size = 1");
	pool_request(pool, C(1));
	pool_kill(pool, CLOSE_DATABASE_REMOVED);
	fixture_expect(
		"close c1 database removed,close c0 database removed,close s0 database removed,");
	ck_assert_uint_eq(pool_client_count(pool), 0);
	ck_assert_uint_eq(pool->server_count, 0);
	fixture_close();
}
END_TEST

START_TEST(the_longest_wait_is_that_of_the_first_in_the_queue)
{
	struct pool *pool = pool_of_one("default_pool_size = 1");
	pool_request(pool, C(1));
	clock_advance(3 * SECOND);
	pool_request(pool, C(2));
	clock_advance(SECOND / 2);
	ck_assert_int_eq(pool_longest_wait(pool), 3 * SECOND + SECOND / 2);
	fixture_close();
}
END_TEST

Suite *suite_pool(void)
{
	Suite *suite = suite_create("pool/pool");
	TCase *tcase = tcase_create("pool");
	tcase_add_test(tcase, oldest_waiter_gets_the_released_server);
	tcase_add_test(tcase, the_server_used_last_is_handed_out_first);
	tcase_add_test(tcase, round_robin_hands_out_the_one_that_rested_longest);
	tcase_add_test(tcase, one_login_alone_until_the_server_answers_then_several);
	tcase_add_test(tcase, never_more_logins_than_clients_wait);
	tcase_add_test(tcase,
		       clients_stay_queued_when_the_server_cannot_be_reached_and_it_is_tried_again);
	tcase_add_test(tcase, a_refused_login_fails_all_who_wait_and_the_next_by_the_cached_error);
	tcase_add_test(tcase, the_reserve_opens_after_its_timeout);
	tcase_add_test(tcase, min_pool_size_is_kept_while_a_client_is_there);
	tcase_add_test(tcase, max_db_connections_evicts_the_oldest_idle_server_of_a_sibling);
	tcase_add_test(tcase, lifetimes_end_one_after_the_other);
	tcase_add_test(tcase, idle_servers_close_in_time_but_not_below_min_pool_size);
	tcase_add_test(tcase, a_server_that_rested_long_is_tested_before_it_is_used);
	tcase_add_test(tcase, check_delay_zero_tests_always);
	tcase_add_test(tcase, paused_pools_hand_nothing_out_until_resumed);
	tcase_add_test(tcase, retired_servers_close_when_they_are_released);
	tcase_add_test(tcase, a_smaller_pool_closes_what_is_too_much);
	tcase_add_test(tcase, kill_closes_everybody);
	tcase_add_test(tcase, the_longest_wait_is_that_of_the_first_in_the_queue);
	suite_add_tcase(suite, tcase);
	return suite;
}
