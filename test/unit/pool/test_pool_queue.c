/* SPDX-License-Identifier: ISC */
/* Who gets which server. */
#include "config.h"
#include "pool/pool.h"
#include <stdio.h>
#include "fake.h"
#include "suites.h"

#define DATABASES "[databases]\nshop=host=h\nother=host=h\n"

static void configure(const char *settings)
{
	char text[1000];
	snprintf(text, sizeof(text), "%s" DATABASES, settings);
	fake_configure(text);
}

START_TEST(an_idle_server_is_given_at_once)
{
	configure("");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *client = fake_client(pool);
	ck_assert(pool_request(pool, &client->member));
	ck_assert_ptr_eq(client->server, fake_server(1));
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_ACTIVE), "1");
	ck_assert_int_eq(fake.launches, 1);
	fake_check_counts();
}
END_TEST

START_TEST(oldest_waiter_gets_the_released_server)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool);
	struct fake_client *second = fake_request(pool), *third = fake_request(pool);
	ck_assert_ptr_null(second->server);
	fake_finish(first);
	ck_assert_ptr_eq(second->server, fake_server(1));
	ck_assert_ptr_null(third->server);
	fake_finish(second);
	ck_assert_ptr_eq(third->server, fake_server(1));
	ck_assert_int_eq(fake.launches, 1);
}
END_TEST

START_TEST(who_asks_again_stands_behind_those_who_wait)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *greedy = fake_request(pool), *patient = fake_request(pool);
	fake_finish(greedy);
	fake_ask(greedy);
	ck_assert_ptr_nonnull(patient->server);
	ck_assert_ptr_null(greedy->server);
	fake_finish(patient);
	ck_assert_ptr_nonnull(greedy->server);
}
END_TEST

START_TEST(a_waiter_that_leaves_is_passed_over)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool);
	struct fake_client *second = fake_request(pool), *third = fake_request(pool);
	fake_leave(second);
	fake_finish(first);
	ck_assert_ptr_nonnull(third->server);
}
END_TEST

START_TEST(the_server_used_last_is_used_next)
{
	configure("");
	struct pool *pool = fake_pool_with("shop", "joe", 3);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "3 2 1");
	struct fake_client *client = fake_client(pool);
	for (int i = 0; i < 3; i++) {
		fake_ask(client);
		ck_assert_ptr_eq(client->server, fake_server(3));
		fake_finish(client);
	}
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "3 2 1");
}
END_TEST

START_TEST(round_robin_uses_the_server_that_rested_longest)
{
	configure("server_round_robin=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 3);
	struct fake_client *client = fake_client(pool);
	for (int i = 0; i < 6; i++) {
		fake_ask(client);
		ck_assert_ptr_eq(client->server, fake_server(i % 3 + 1));
		fake_finish(client);
	}
}
END_TEST

START_TEST(a_waiter_gets_the_server_itself_not_a_turn_in_the_idle_list)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool), *second = fake_request(pool);
	usec_t before = clock_now();
	clock_advance(5);
	fake_finish(first);
	ck_assert_int_eq(second->server->member.released_at, before + 5);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "");
}
END_TEST

START_TEST(the_longest_wait_is_that_of_the_first_in_the_queue)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool);
	ck_assert_int_eq(pool_longest_wait(pool), 0);
	fake_request(pool);
	clock_advance(3);
	fake_request(pool);
	clock_advance(4);
	ck_assert_int_eq(pool_longest_wait(pool), 7);
	fake_finish(first);
	ck_assert_int_eq(pool_longest_wait(pool), 4);
	ck_assert_uint_eq(pool_client_count(pool), 3);
}
END_TEST

START_TEST(a_client_that_ends_when_it_gets_its_server_passes_it_on)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool), *second = fake_request(pool);
	struct fake_client *third = fake_request(pool);
	second->closes_when_assigned = true;
	fake_finish(first);
	ck_assert(second->is_closed);
	ck_assert_ptr_eq(third->server, fake_server(1));
	fake_check_counts();
}
END_TEST

START_TEST(ten_thousand_such_clients_do_not_nest)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool);
	for (int i = 0; i < 10000; i++)
		fake_request(pool)->closes_when_assigned = true;
	struct fake_client *last = fake_request(pool);
	fake.deepest = 0;
	fake_finish(first);
	ck_assert_ptr_eq(last->server, fake_server(1));
	ck_assert_int_le(fake.deepest, 2);
	fake_check_counts();
}
END_TEST

START_TEST(a_server_that_breaks_when_it_is_given_is_replaced_for_those_behind)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool), *second = fake_request(pool);
	struct fake_client *third = fake_request(pool);
	second->breaks_server_when_assigned = true;
	fake_finish(first);
	ck_assert(second->is_closed);
	ck_assert_int_eq(fake.launches, 2);
	fake_log_in(2);
	ck_assert_ptr_eq(third->server, fake_server(2));
	fake_check_counts();
}
END_TEST

START_TEST(a_lost_server_is_replaced_for_those_who_wait)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *first = fake_request(pool), *second = fake_request(pool);
	fake_crash(1);
	ck_assert(first->is_closed);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2");
	fake_log_in(2);
	ck_assert_ptr_eq(second->server, fake_server(2));
}
END_TEST

START_TEST(nobody_is_given_a_server_while_paused)
{
	configure("");
	struct pool *pool = fake_pool_with("shop", "joe", 1),
		    *other = fake_pool_with("other", "joe", 1);
	pool->database->is_paused = true;
	ck_assert(pool_is_paused(pool));
	ck_assert(!pool_is_paused(other));
	struct fake_client *client = fake_request(pool);
	ck_assert_ptr_null(client->server);
	ck_assert_int_eq(fake.launches, 2);
	ck_assert_ptr_nonnull(fake_request(other)->server);
	pool_set_paused(true);
	ck_assert(pool_is_paused(other));
	ck_assert_ptr_null(fake_request(other)->server);
	ck_assert_int_eq(fake.launches, 2);
}
END_TEST

START_TEST(a_server_released_into_a_pause_is_closed)
{
	configure("");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *client = fake_request(pool);
	pool_set_paused(true);
	fake_request(pool);
	fake_finish(client);
	ck_assert(fake_server(1)->is_closed);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_PAUSE);
	ck_assert(!pool_is_busy(pool));
	ck_assert_int_eq(fake.launches, 1);
}
END_TEST

START_TEST(resume_serves_those_who_wait)
{
	configure("");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	pool_set_paused(true);
	struct fake_client *first = fake_request(pool), *second = fake_request(pool);
	pool_set_paused(false);
	ck_assert_ptr_eq(first->server, fake_server(1)); /* was idle all the time */
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2");
	fake_log_in(2);
	ck_assert_ptr_eq(second->server, fake_server(2));
}
END_TEST

START_TEST(resume_serves_those_who_wait_in_a_full_pool_too)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	pool->database->is_paused = true;
	struct fake_client *first = fake_request(pool);
	pool->database->is_paused = false;
	pool_work(pool);
	ck_assert_ptr_eq(first->server, fake_server(1));
}
END_TEST

START_TEST(a_welcome_waiter_is_no_competitor_for_servers)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool("shop", "joe");
	struct fake_client *entering = fake_arrive(pool), *waiting = fake_request(pool);
	ck_assert_int_eq(fake.launches, 1);
	fake_log_in(1);
	ck_assert(entering->is_welcome);
	ck_assert_ptr_null(entering->server);
	ck_assert_ptr_eq(waiting->server, fake_server(1));
}
END_TEST

START_TEST(cancel_carriers_are_not_servers_of_the_pool)
{
	configure("default_pool_size=1\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct fake_client *client = fake_request(pool);
	struct fake_server carrier = {.id = 99};
	pool_server_join(pool, &carrier.member);
	ck_assert_int_eq(carrier.member.connected_at, clock_now());
	pool_server_move(&carrier.member, SERVER_PLACE_CANCELING);
	ck_assert_uint_eq(pool->server_count, 1);
	ck_assert_uint_eq(pool->database->server_count, 1);
	ck_assert_uint_eq(pool->user->server_count, 1);
	fake_finish(client);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "1");
	pool_server_leave(&carrier.member);
	pool_server_leave(&carrier.member);
	ck_assert_uint_eq(pool->server_count, 1);
	fake_check_counts();
}
END_TEST

START_TEST(leaving_twice_is_harmless)
{
	configure("");
	struct pool *pool = fake_pool_with("shop", "joe", 2);
	fake_crash(1);
	pool_server_leave(&fake_server(1)->member);
	ck_assert_uint_eq(pool->server_count, 1);
	fake_check_counts();
}
END_TEST

Suite *suite_pool_queue(void)
{
	Suite *suite = suite_create("pool_queue");
	TCase *queue = tcase_create("queue");
	tcase_add_checked_fixture(queue, fake_setup, fake_teardown);
	tcase_add_test(queue, an_idle_server_is_given_at_once);
	tcase_add_test(queue, oldest_waiter_gets_the_released_server);
	tcase_add_test(queue, who_asks_again_stands_behind_those_who_wait);
	tcase_add_test(queue, a_waiter_that_leaves_is_passed_over);
	tcase_add_test(queue, the_server_used_last_is_used_next);
	tcase_add_test(queue, round_robin_uses_the_server_that_rested_longest);
	tcase_add_test(queue, a_waiter_gets_the_server_itself_not_a_turn_in_the_idle_list);
	tcase_add_test(queue, the_longest_wait_is_that_of_the_first_in_the_queue);
	tcase_add_test(queue, a_client_that_ends_when_it_gets_its_server_passes_it_on);
	tcase_add_test(queue, ten_thousand_such_clients_do_not_nest);
	tcase_add_test(queue, a_server_that_breaks_when_it_is_given_is_replaced_for_those_behind);
	tcase_add_test(queue, a_lost_server_is_replaced_for_those_who_wait);
	tcase_add_test(queue, a_welcome_waiter_is_no_competitor_for_servers);
	tcase_add_test(queue, cancel_carriers_are_not_servers_of_the_pool);
	tcase_add_test(queue, leaving_twice_is_harmless);
	suite_add_tcase(suite, queue);
	TCase *pause = tcase_create("pause");
	tcase_add_checked_fixture(pause, fake_setup, fake_teardown);
	tcase_add_test(pause, nobody_is_given_a_server_while_paused);
	tcase_add_test(pause, a_server_released_into_a_pause_is_closed);
	tcase_add_test(pause, resume_serves_those_who_wait);
	tcase_add_test(pause, resume_serves_those_who_wait_in_a_full_pool_too);
	suite_add_tcase(suite, pause);
	return suite;
}
