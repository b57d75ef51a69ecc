/* SPDX-License-Identifier: ISC */
/* The administrator's verbs: retire, kill, pause, drain. */
#include "config.h"
#include "pool/pool.h"
#include <stdio.h>
#include "fake.h"
#include "suites.h"

#define SECOND USEC_PER_SECOND

static int quiet_calls;

static void on_quiet(void)
{
	quiet_calls++;
}

static struct pool *pool_with(int count, const char *settings)
{
	char text[1000];
	snprintf(text, sizeof(text), "%s[databases]\nshop=host=h\nother=host=h\n", settings);
	fake_configure(text);
	quiet_calls = 0;
	return fake_pool_with("shop", "joe", count);
}

/* ---- retire ---- */

START_TEST(retiring_closes_what_rests_now_and_the_rest_when_it_is_free)
{
	struct pool *pool = pool_with(3, "");
	struct fake_client *client = fake_request(pool);
	pool_server_move(&fake_server(1)->member, SERVER_PLACE_USED);
	pool_retire(pool, CLOSE_OBSOLETE);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_OBSOLETE);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_OBSOLETE);
	ck_assert(!fake_server(3)->is_closed && !client->is_closed);
	fake_finish(client);
	ck_assert_int_eq(fake_server(3)->reason, CLOSE_OBSOLETE);
	fake_check_counts();
}
END_TEST

START_TEST(retiring_during_logins_begins_them_anew_once)
{
	struct pool *pool = pool_with(1, "max_server_logins=4\n");
	for (int i = 0; i < 5; i++)
		fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2 3 4 5");
	pool_retire(pool, CLOSE_OBSOLETE);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN),
			 "6"); /* known no more: one messenger */
	ck_assert_int_eq(fake.launches, 6);
	fake_log_in(6);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "7 8 9");
	fake_check_counts();
}
END_TEST

START_TEST(one_server_retires_now_or_when_it_is_free_and_the_others_stay)
{
	struct pool *pool = pool_with(3, "");
	struct fake_client *a = fake_request(pool), *b = fake_request(pool);
	pool_retire_server(&fake_server(3)->member, CLOSE_OBSOLETE); /* a's */
	pool_retire_server(&fake_server(1)->member, CLOSE_OBSOLETE); /* idle */
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_OBSOLETE);
	ck_assert(!fake_server(3)->is_closed && !a->is_closed);
	fake_finish(a);
	ck_assert_int_eq(fake_server(3)->reason, CLOSE_OBSOLETE);
	fake_finish(b);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_IDLE), "2");
	/* one that logs in is replaced */
	fake_ask(a);
	fake_ask(b);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "4");
	pool_retire_server(&fake_server(4)->member, CLOSE_OBSOLETE);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "5");
	fake_check_counts();
}
END_TEST

START_TEST(the_first_reason_to_retire_stays)
{
	struct pool *pool = pool_with(1, "");
	struct fake_client *client = fake_request(pool);
	pool_retire(pool, CLOSE_DATABASE_CHANGED);
	pool_retire_server(&fake_server(1)->member, CLOSE_OBSOLETE);
	fake_finish(client);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_DATABASE_CHANGED);
}
END_TEST

START_TEST(retiring_forgets_the_welcome_and_the_failure)
{
	struct pool *pool = pool_with(1, "");
	struct error error;
	ck_assert_int_eq(fake.parameters_held, 1);
	pool_retire(pool, CLOSE_OBSOLETE);
	ck_assert_ptr_null(pool->welcome);
	ck_assert_ptr_null(pool->welcome_parameters);
	ck_assert_int_eq(fake.parameters_held, 0);
	fake_request(pool);
	fake_refuse(2, "no");
	ck_assert(pool_is_failing(pool, &error));
	pool_retire(pool, CLOSE_OBSOLETE);
	ck_assert(!pool_is_failing(pool, &error));
	ck_assert_str_eq(pool->failure.message, "");
	fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "3");
}
END_TEST

/* ---- kill ---- */

START_TEST(killing_closes_clients_and_servers_in_all_places)
{
	struct pool *pool = pool_with(4, "max_server_logins=2\ndefault_pool_size=6\n");
	struct fake_client *active = fake_request(pool), *idle = fake_client(pool);
	pool_server_move(&fake_server(1)->member, SERVER_PLACE_USED);
	pool_server_move(&fake_server(2)->member, SERVER_PLACE_BEING_CANCELED);
	pool->database->is_paused = true;
	struct fake_client *waiting = fake_request(pool), *entering = fake_arrive(pool);
	pool_kill(pool, CLOSE_DATABASE_REMOVED);
	struct fake_client *clients[] = {active, idle, waiting, entering};
	for (int i = 0; i < 4; i++) {
		ck_assert(clients[i]->is_closed);
		ck_assert_int_eq(clients[i]->reason, CLOSE_DATABASE_REMOVED);
	}
	for (int id = 1; id <= 4; id++)
		ck_assert_int_eq(fake_server(id)->reason, CLOSE_DATABASE_REMOVED);
	ck_assert(!pool_is_busy(pool));
	ck_assert_uint_eq(pool_client_count(pool), 0);
	fake_check_counts();
}
END_TEST

START_TEST(killing_hands_no_server_to_those_about_to_be_killed)
{
	struct pool *pool = pool_with(1, "default_pool_size=1\n");
	fake_request(pool);
	for (int i = 0; i < 5; i++)
		fake_request(pool);
	fake.assigns = 0;
	pool_kill(pool, CLOSE_ADMIN_DISCONNECT);
	ck_assert_int_eq(fake.assigns, 0);
	ck_assert_int_eq(fake.launches, 1);
	ck_assert_uint_eq(pool_client_count(pool), 0);
	ck_assert_uint_eq(pool->server_count, 0);
	fake_check_counts();
}
END_TEST

START_TEST(killing_launches_nothing_for_a_minimum)
{
	fake_configure("min_pool_size=3\n[databases]\nshop=host=h user=app\n");
	struct pool *pool = fake_pool("shop", "joe");
	for (int id = 1; id <= 3; id++)
		fake_log_in(id);
	pool_kill(pool, CLOSE_DATABASE_REMOVED);
	ck_assert_uint_eq(pool->server_count, 0);
	ck_assert_int_eq(fake.launches, 3);
}
END_TEST

START_TEST(killing_with_dirty_servers_is_no_different)
{
	struct pool *pool = pool_with(2, "default_pool_size=2\n");
	fake.dirties = true;
	for (int i = 0; i < 5; i++)
		fake_request(pool);
	pool_kill(pool, CLOSE_ADMIN_DISCONNECT);
	ck_assert_uint_eq(pool_client_count(pool), 0);
	ck_assert_uint_eq(pool->server_count, 0);
	ck_assert_int_eq(fake.launches, 2);
	fake_check_counts();
}
END_TEST

/* ---- pause, idle ---- */

START_TEST(closing_idle_servers_leaves_those_at_work)
{
	struct pool *pool = pool_with(3, "");
	fake_request(pool);
	pool_server_move(&fake_server(1)->member, SERVER_PLACE_USED);
	pool_close_idle(pool, CLOSE_PAUSE);
	ck_assert_uint_eq(pool->server_count, 1);
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_PAUSE);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_PAUSE);
	ck_assert(pool_is_busy(pool));
}
END_TEST

START_TEST(a_pause_does_not_wait_for_logins)
{
	struct pool *pool = pool_with(1, "");
	fake_request(pool);
	struct fake_client *waiter = fake_request(pool);
	ck_assert_str_eq(fake_servers(pool, SERVER_PLACE_LOGIN), "2");
	pool_close_idle(pool, CLOSE_PAUSE);
	ck_assert(!fake_server(2)->is_closed);
	pool->database->is_paused = true;
	pool_close_idle(pool, CLOSE_PAUSE);
	ck_assert(fake_server(2)->is_closed);
	ck_assert(!waiter->is_closed);
	ck_assert_int_eq(fake.launches, 2);
}
END_TEST

START_TEST(quiet_is_told_at_the_end_of_the_turn_when_servers_leave)
{
	struct pool *pool = pool_with(2, "");
	pool_on_quiet(on_quiet);
	struct fake_client *client = fake_request(pool);
	pool_set_paused(true);
	pool_close_idle(pool, CLOSE_PAUSE);
	ck_assert_int_eq(quiet_calls, 0);
	loop_turn(0);
	ck_assert_int_eq(quiet_calls, 1);
	ck_assert(pool_is_busy(pool));
	fake_finish(client);
	ck_assert(!pool_is_busy(pool));
	loop_turn(0);
	ck_assert_int_eq(quiet_calls, 2);
	loop_turn(0);
	ck_assert_int_eq(quiet_calls, 2);
}
END_TEST

START_TEST(switches_tell_what_they_are_at)
{
	pool_with(0, "");
	ck_assert(!pool_all_paused() && !pool_is_draining());
	pool_set_paused(true);
	ck_assert(pool_all_paused());
	pool_set_paused(false);
	ck_assert(!pool_all_paused());
}
END_TEST

/* ---- drain ---- */

START_TEST(draining_rejects_all_who_wait_and_all_who_ask)
{
	struct pool *pool = pool_with(1, "default_pool_size=1\n");
	struct fake_client *worker = fake_request(pool), *waiting = fake_request(pool);
	struct fake_client *entering = fake_arrive(fake_pool("other", "joe"));
	pool_set_draining();
	ck_assert(pool_is_draining());
	struct fake_client *later = fake_request(pool), *arriving = fake_arrive(pool);
	struct fake_client *rejected[] = {waiting, entering, later, arriving};
	for (int i = 0; i < 4; i++) {
		ck_assert(rejected[i]->is_rejected);
		ck_assert_int_eq(rejected[i]->reason, CLOSE_SERVER_SHUTDOWN);
		ck_assert_str_eq(rejected[i]->error.message, "server shutting down");
		ck_assert_str_eq(rejected[i]->error.sqlstate, "57P01");
	}
	ck_assert(!worker->is_closed);
	ck_assert_ptr_nonnull(worker->server);
	fake_check_counts();
}
END_TEST

START_TEST(draining_gives_nobody_a_server_that_comes_back)
{
	struct pool *pool = pool_with(2, "");
	struct fake_client *worker = fake_request(pool);
	pool_on_quiet(on_quiet);
	pool_set_draining();
	struct fake_client *later = fake_request(pool); /* one is idle, still */
	ck_assert(later->is_rejected);
	fake_finish(worker);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_SERVER_SHUTDOWN);
	loop_turn(0);
	ck_assert_int_eq(quiet_calls, 1);
	pool_close_idle(pool, CLOSE_SERVER_SHUTDOWN);
	ck_assert(!pool_is_busy(pool));
	pool_set_paused(false);
	ck_assert(fake_request(pool)->is_rejected); /* a RESUME does not undo it */
	ck_assert_int_eq(fake.launches, 2 + 0);
}
END_TEST

START_TEST(draining_ends_logins)
{
	struct pool *pool = pool_with(0, "");
	fake_request(pool);
	pool_set_draining();
	pool_close_idle(pool, CLOSE_SERVER_SHUTDOWN);
	ck_assert(fake_server(1)->is_closed);
	ck_assert_uint_eq(pool->server_count, 0);
}
END_TEST

Suite *suite_pool_admin(void)
{
	Suite *suite = suite_create("pool_admin");
	TCase *verbs = tcase_create("verbs");
	tcase_add_checked_fixture(verbs, fake_setup, fake_teardown);
	tcase_add_test(verbs, retiring_closes_what_rests_now_and_the_rest_when_it_is_free);
	tcase_add_test(verbs, retiring_during_logins_begins_them_anew_once);
	tcase_add_test(verbs, retiring_forgets_the_welcome_and_the_failure);
	tcase_add_test(verbs, one_server_retires_now_or_when_it_is_free_and_the_others_stay);
	tcase_add_test(verbs, the_first_reason_to_retire_stays);
	tcase_add_test(verbs, killing_closes_clients_and_servers_in_all_places);
	tcase_add_test(verbs, killing_hands_no_server_to_those_about_to_be_killed);
	tcase_add_test(verbs, killing_launches_nothing_for_a_minimum);
	tcase_add_test(verbs, killing_with_dirty_servers_is_no_different);
	tcase_add_test(verbs, closing_idle_servers_leaves_those_at_work);
	tcase_add_test(verbs, a_pause_does_not_wait_for_logins);
	tcase_add_test(verbs, quiet_is_told_at_the_end_of_the_turn_when_servers_leave);
	tcase_add_test(verbs, switches_tell_what_they_are_at);
	tcase_add_test(verbs, draining_rejects_all_who_wait_and_all_who_ask);
	tcase_add_test(verbs, draining_gives_nobody_a_server_that_comes_back);
	tcase_add_test(verbs, draining_ends_logins);
	suite_add_tcase(suite, verbs);
	return suite;
}
