/* SPDX-License-Identifier: ISC */
/* Bounds that pools share: max_db_connections, max_user_connections. */
#include "config.h"
#include "pool/limit.h"
#include "pool/pool.h"
#include <stdio.h>
#include "fake.h"
#include "suites.h"

#define SECOND USEC_PER_SECOND

static struct pool *a, *b, *c;

/* Three users' pools of a database that allows @connections. */
static void configure(int connections, const char *settings)
{
	char text[1000];
	snprintf(text, sizeof(text),
		 "%s[databases]\nshop=host=h max_db_connections=%d\nother=host=h\n", settings,
		 connections);
	fake_configure(text);
	a = fake_pool("shop", "a");
	b = fake_pool("shop", "b");
	c = fake_pool("shop", "c");
}

static void serve(struct pool *pool)
{
	int id = fake_server_total();
	ck_assert_ptr_eq(fake_server(id)->member.pool, pool);
	fake_log_in(id);
}

START_TEST(a_full_database_evicts_the_idle_server_that_rested_longest)
{
	configure(3, "");
	fake_pool_with("shop", "a", 1);
	fake_wait(SECOND);
	fake_pool_with("shop", "b", 2);
	fake_wait(SECOND);
	struct fake_client *client = fake_request(c);
	ck_assert(fake_server(1)->is_closed);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_EVICTED);
	ck_assert(!fake_server(2)->is_closed && !fake_server(3)->is_closed);
	serve(c);
	ck_assert_ptr_nonnull(client->server);
	ck_assert_uint_eq(a->database->server_count, 3);
	fake_check_counts();
}
END_TEST

START_TEST(used_servers_are_evicted_too_and_round_robin_finds_the_oldest)
{
	configure(2, "server_round_robin=1\nserver_check_delay=10\n");
	fake_pool_with("shop", "a", 2);
	fake_server(1)->member.released_at -= 5; /* first in the list */
	pool_server_move(&fake_server(2)->member, SERVER_PLACE_USED);
	fake_request(b);
	ck_assert(fake_server(1)->is_closed);
	fake_request(b);
	serve(b);
	ck_assert(fake_server(2)->is_closed);
	fake_check_counts();
}
END_TEST

START_TEST(servers_at_work_are_not_evicted_and_the_bound_holds)
{
	configure(1, "");
	fake_pool_with("shop", "a", 1);
	struct fake_client *worker = fake_request(a), *waiter = fake_request(b);
	ck_assert_ptr_null(waiter->server);
	ck_assert_uint_eq(a->database->server_count, 1);
	ck_assert_int_eq(b->held_back, LIMIT_DATABASE);
	fake_finish(worker); /* rests: its turn has come */
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_EVICTED);
	ck_assert_str_eq(fake_servers(b, SERVER_PLACE_LOGIN), "2");
	fake_log_in(2);
	ck_assert_ptr_eq(waiter->server, fake_server(2));
	ck_assert_int_eq(b->held_back, LIMIT_FREE);
	fake_check_counts();
}
END_TEST

START_TEST(room_goes_to_the_pool_that_was_held_back_first)
{
	configure(1, "");
	fake_pool_with("shop", "a", 1);
	fake_request(a);
	struct fake_client *second = fake_request(b);
	fake_wait(1);
	struct fake_client *third = fake_request(c);
	fake_request(b);
	fake_request(a);
	fake_crash(1);
	ck_assert_str_eq(fake_servers(b, SERVER_PLACE_LOGIN), "2");
	ck_assert_uint_eq(a->database->server_count, 1);
	fake_log_in(2);
	ck_assert_ptr_nonnull(second->server);
	ck_assert_ptr_null(third->server);
	fake_crash(2);
	ck_assert_str_eq(fake_servers(c, SERVER_PLACE_LOGIN), "3");
	fake_check_counts();
}
END_TEST

START_TEST(a_pool_that_never_rests_gives_way_after_a_while)
{
	configure(1, "");
	fake_pool_with("shop", "a", 1);
	struct fake_client *busy[2] = {fake_request(a), fake_request(a)};
	struct fake_client *starving = fake_request(b);
	int turn = 0;
	for (int i = 0; i < 100;
	     i++) { /* a second: one of the two is always served, the other waits */
		clock_advance(SECOND / 100);
		if (i == 99)
			break;
		fake_finish(busy[turn]);
		ck_assert_ptr_nonnull(busy[!turn]->server);
		fake_ask(busy[turn]);
		turn = !turn;
	}
	ck_assert(!fake_server(1)->is_closed);
	fake_finish(busy[turn]);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_EVICTED);
	serve(b);
	ck_assert_ptr_nonnull(starving->server);
	/* And the other way round, when it has waited as long. */
	fake_request(b);
	clock_advance(SECOND);
	fake_finish(starving);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_EVICTED);
	serve(a);
	fake_check_counts();
}
END_TEST

START_TEST(busy_pools_do_not_pass_servers_around_a_third)
{
	configure(2, "");
	fake_pool_with("shop", "a", 1);
	fake_pool_with("shop", "c", 1);
	struct fake_client *busy[2][2];
	for (int i = 0; i < 2; i++) { /* both at work before anybody waits */
		busy[0][i] = fake_request(a);
		busy[1][i] = fake_request(c);
	}
	struct fake_client *starving = fake_request(b);
	for (int i = 0; i < 150 && fake_server_total() == 2; i++) {
		clock_advance(SECOND / 100);
		for (int p = 0; p < 2 && fake_server_total() == 2; p++) {
			fake_finish(busy[p][i % 2]);
			if (fake_server_total() == 2)
				fake_ask(busy[p][i % 2]);
		}
	}
	serve(b);
	ck_assert_ptr_nonnull(starving->server);
	fake_check_counts();
}
END_TEST

START_TEST(a_short_wait_elsewhere_costs_a_busy_pool_nothing)
{
	configure(1, "");
	fake_pool_with("shop", "a", 1);
	struct fake_client *first = fake_request(a);
	fake_request(b);
	struct fake_client *second = fake_request(a);
	clock_advance(SECOND / 2);
	fake_finish(first);
	ck_assert_ptr_eq(second->server, fake_server(1));
}
END_TEST

START_TEST(a_minimum_evicts_nobody_and_yields_to_clients)
{
	configure(2, "min_pool_size=2\n");
	struct fake_client *first = fake_client(a);
	fake_log_in(1);
	fake_log_in(2);
	fake_client(b);
	ck_assert_uint_eq(b->server_count, 0);
	ck_assert_uint_eq(a->server_count, 2);
	struct fake_client *client = fake_request(b);
	ck_assert_str_eq(fake_servers(b, SERVER_PLACE_LOGIN), "3");
	ck_assert_uint_eq(a->server_count, 1); /* does not take the place back */
	fake_log_in(3);
	ck_assert_ptr_nonnull(client->server);
	fake_leave(first);
	fake_check_counts();
}
END_TEST

START_TEST(two_minimums_over_a_bound_do_not_fight)
{
	configure(3, "min_pool_size=2\n");
	fake_client(a);
	fake_client(b);
	for (int id = 1; id <= fake_server_total(); id++)
		fake_log_in(id);
	ck_assert_int_eq(fake.launches, 3);
	ck_assert_uint_eq(a->database->server_count, 3);
	for (int i = 0; i < 5; i++) {
		pool_work(a);
		pool_work(b);
	}
	ck_assert_int_eq(fake.launches, 3);
	fake_check_counts();
}
END_TEST

START_TEST(both_bounds_hold_when_one_eviction_is_not_enough)
{
	fake_configure("max_user_connections=1\n[databases]\nshop=host=h max_db_connections=1\n"
		       "other=host=h\n");
	a = fake_pool_with("shop", "a", 1);
	b = fake_pool_with("other", "b", 1);
	struct pool *both = fake_pool("shop", "b");
	fake_request(both);
	ck_assert(fake_server(1)->is_closed);
	ck_assert(fake_server(2)->is_closed);
	ck_assert_str_eq(fake_servers(both, SERVER_PLACE_LOGIN), "3");
	ck_assert_uint_eq(both->database->server_count, 1);
	ck_assert_uint_eq(both->user->server_count, 1);
	fake_check_counts();
}
END_TEST

START_TEST(the_user_bound_is_shared_over_databases)
{
	fake_configure("max_user_connections=1\n[databases]\nshop=host=h\nother=host=h\n");
	a = fake_pool_with("shop", "joe", 1);
	b = fake_pool("other", "joe");
	struct fake_client *worker = fake_request(a), *waiter = fake_request(b);
	ck_assert_int_eq(b->held_back, LIMIT_USER);
	fake_leave(worker);
	ck_assert_str_eq(fake_servers(b, SERVER_PLACE_LOGIN), "2");
	fake_log_in(2);
	ck_assert_ptr_nonnull(waiter->server);
	fake_check_counts();
}
END_TEST

START_TEST(a_bound_lifted_by_reload_lets_the_held_back_go)
{
	configure(1, "");
	fake_pool_with("shop", "a", 1);
	fake_request(a);
	fake_request(b);
	ck_assert_int_eq(b->held_back, LIMIT_DATABASE);
	configure(2, "");
	ck_assert_int_eq(b->held_back, LIMIT_FREE);
	ck_assert_str_eq(fake_servers(b, SERVER_PLACE_LOGIN), "2");
	fake_check_counts();
}
END_TEST

START_TEST(a_pool_whose_waiters_left_is_not_held_back_for_ever)
{
	configure(1, "");
	fake_pool_with("shop", "a", 1);
	struct fake_client *worker = fake_request(a);
	fake_leave(fake_request(b));
	struct fake_client *waiter = fake_request(c);
	fake_finish(worker);
	ck_assert_int_eq(b->held_back, LIMIT_FREE);
	ck_assert_str_eq(fake_servers(c, SERVER_PLACE_LOGIN), "2");
	ck_assert(!waiter->is_closed);
	fake_check_counts();
}
END_TEST

Suite *suite_pool_bound(void)
{
	Suite *suite = suite_create("pool_bound");
	TCase *bounds = tcase_create("bounds");
	tcase_add_checked_fixture(bounds, fake_setup, fake_teardown);
	tcase_add_test(bounds, a_full_database_evicts_the_idle_server_that_rested_longest);
	tcase_add_test(bounds, used_servers_are_evicted_too_and_round_robin_finds_the_oldest);
	tcase_add_test(bounds, servers_at_work_are_not_evicted_and_the_bound_holds);
	tcase_add_test(bounds, room_goes_to_the_pool_that_was_held_back_first);
	tcase_add_test(bounds, a_pool_that_never_rests_gives_way_after_a_while);
	tcase_add_test(bounds, busy_pools_do_not_pass_servers_around_a_third);
	tcase_add_test(bounds, a_short_wait_elsewhere_costs_a_busy_pool_nothing);
	tcase_add_test(bounds, a_minimum_evicts_nobody_and_yields_to_clients);
	tcase_add_test(bounds, two_minimums_over_a_bound_do_not_fight);
	tcase_add_test(bounds, both_bounds_hold_when_one_eviction_is_not_enough);
	tcase_add_test(bounds, the_user_bound_is_shared_over_databases);
	tcase_add_test(bounds, a_bound_lifted_by_reload_lets_the_held_back_go);
	tcase_add_test(bounds, a_pool_whose_waiters_left_is_not_held_back_for_ever);
	suite_add_tcase(suite, bounds);
	return suite;
}
