/* SPDX-License-Identifier: ISC */
/* Pools and automatic databases that nobody uses are forgotten in time, and no others. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "core/log.h"
#include "fake.h"
#include "pool/maintenance.h"
#include "pool/pool_admin.h"
#include "suites.h"

#define SECOND USEC_PER_SECOND

static char logged[8000];

static void gather(enum log_level level, const char *line)
{
	(void)level;
	size_t length = strlen(logged);
	snprintf(logged + length, sizeof logged - length, "%s\n", line);
}

static void begin(const char *settings)
{
	char text[1024];
	snprintf(text, sizeof text, "log_stats=0\nserver_idle_timeout=0\nserver_lifetime=90000\n%s",
		 settings);
	fake_configure(text);
	*logged = '\0';
	log_hook(gather);
	maintenance_open();
}

static void end(void)
{
	maintenance_close();
	fake_teardown();
}

static bool was_logged(const char *text)
{
	return strstr(logged, text) != NULL;
}

static unsigned pools(void)
{
	return pool_all()->length - 1; /* the console's */
}

/* Who waits for a server of its own keeps the pool, though nobody can have one. */
START_TEST(a_pool_whose_client_claims_is_kept)
{
	begin("pool_idle_timeout=10\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool("shop", "joe");
	fake_leave(fake_client(pool));
	pool_set_paused(true);
	struct fake_client *client = fake_claim(pool);
	fake_wait(20 * SECOND);
	ck_assert_uint_eq(pools(), 1);
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_CLAIM].length, 1);
	pool_set_paused(false);
	fake_leave(client);
}
END_TEST

START_TEST(an_empty_pool_is_forgotten_after_pool_idle_timeout)
{
	begin("pool_idle_timeout=10\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool("shop", "joe");
	struct fake_client *client = fake_client(pool);
	fake_wait(20 * SECOND);
	fake_leave(client);
	fake_wait(10 * SECOND - 1);
	ck_assert_uint_eq(pools(), 1);
	fake_wait(1);
	ck_assert_uint_eq(pools(), 0);
	ck_assert(was_logged("cleaning up idle pool: db=shop user=joe"));
	ck_assert_uint_eq(registry_database("shop")->pools.length, 0);
	ck_assert_uint_eq(registry_user("joe")->pools.length, 0);
	/* it comes back like a new one */
	fake_leave(fake_client(fake_pool("shop", "joe")));
	ck_assert_uint_eq(pools(), 1);
}
END_TEST

START_TEST(a_pool_with_a_server_or_a_client_is_not_empty)
{
	begin("pool_idle_timeout=10\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	fake_wait(1000 * SECOND);
	ck_assert_uint_eq(pools(), 1);
	fake_crash(1);
	fake_wait(10 * SECOND - 1);
	struct fake_client *client = fake_client(pool); /* just in time */
	fake_wait(1000 * SECOND);
	ck_assert_uint_eq(pools(), 1);
	fake_leave(client);
	fake_wait(10 * SECOND);
	ck_assert_uint_eq(pools(), 0);
}
END_TEST

START_TEST(each_pool_has_its_own_time)
{
	begin("pool_idle_timeout=10\n[databases]\nshop=host=h\n");
	for (int i = 0; i < 5; i++) {
		char name[] = "a";
		name[0] = (char)('a' + i);
		fake_leave(fake_client(fake_pool("shop", name)));
		fake_wait(SECOND);
	}
	fake_leave(fake_client(fake_pool("shop", "a"))); /* anew */
	for (unsigned left = 5; left > 1; left--) {
		ck_assert_uint_eq(pools(), left);
		fake_wait(left == 5 ? 6 * SECOND : SECOND);
	}
	ck_assert_uint_eq(pools(), 1);
	ck_assert(was_logged("user=e"));
	ck_assert(!was_logged("user=a"));
	fake_wait(SECOND);
	ck_assert_uint_eq(pools(), 0);
}
END_TEST

START_TEST(without_pool_idle_timeout_a_pool_stays_until_it_is_set)
{
	begin("[databases]\nshop=host=h\n");
	fake_leave(fake_client(fake_pool("shop", "joe")));
	fake_wait(100000 * SECOND);
	ck_assert_uint_eq(pools(), 1);
	fake_configure("log_stats=0\npool_idle_timeout=10\n[databases]\nshop=host=h\n");
	maintenance_look_for_idle();
	fake_wait(1);
	ck_assert_uint_eq(pools(), 0);
}
END_TEST

START_TEST(a_minimum_keeps_a_pool)
{
	begin("pool_idle_timeout=10\nmin_pool_size=1\n[databases]\nshop=host=h\n");
	struct pool *pool = fake_pool("shop", "joe");
	struct fake_client *client = fake_arrive(pool);
	fake_log_in(1);
	fake_leave(client);
	fake_wait(1000 * SECOND);
	ck_assert_uint_eq(pools(), 1);
	ck_assert_uint_eq(pool->server_count, 1);
}
END_TEST

START_TEST(an_automatic_database_is_forgotten_after_autodb_idle_timeout)
{
	begin("autodb_idle_timeout=10\nmin_pool_size=1\n[databases]\n*=host=h\nshop=host=h\n");
	struct pool *pool = fake_pool("auto", "joe");
	fake_leave(fake_client(fake_pool("shop", "joe")));
	struct fake_client *client = fake_arrive(pool);
	fake_log_in(fake_server_total());
	pool->database->stats.now.query_count = 7;
	fake_wait(100 * SECOND);
	fake_leave(client); /* its server is still there */
	fake_wait(100 * SECOND);
	ck_assert_ptr_nonnull(registry_find_database("auto"));
	fake_crash(fake_server_total()); /* and comes not back: nobody is there */
	fake_wait(10 * SECOND - 1);
	ck_assert_ptr_nonnull(registry_find_database("auto"));
	fake_wait(1);
	ck_assert_ptr_null(registry_find_database("auto"));
	ck_assert(was_logged("forgetting idle auto-database: auto"));
	ck_assert_ptr_nonnull(registry_find_database("shop"));
	struct stats totals;
	registry_totals(&totals);
	ck_assert_uint_eq(totals.now.query_count, 7);
	ck_assert_ptr_nonnull(registry_database("auto"));
}
END_TEST

START_TEST(an_automatic_database_that_nobody_ever_used_is_forgotten_too)
{
	begin("autodb_idle_timeout=10\npool_idle_timeout=3\n[databases]\n*=host=h\n");
	registry_database("one");
	fake_leave(fake_client(fake_pool("two", "joe")));
	fake_wait(3 * SECOND); /* its pool goes first: that does not begin its time anew */
	ck_assert_uint_eq(pools(), 0);
	fake_wait(7 * SECOND - 1);
	ck_assert_ptr_nonnull(registry_find_database("one"));
	ck_assert_ptr_nonnull(registry_find_database("two"));
	fake_wait(1);
	ck_assert_ptr_null(registry_find_database("one"));
	ck_assert_ptr_null(registry_find_database("two"));
}
END_TEST

START_TEST(a_held_or_disabled_automatic_database_is_kept)
{
	begin("autodb_idle_timeout=10\n[databases]\n*=host=h\n");
	registry_database("held")->is_paused = true;
	registry_database("disabled")->is_disabled = true;
	fake_wait(1000 * SECOND);
	ck_assert_ptr_nonnull(registry_find_database("held"));
	ck_assert_ptr_nonnull(registry_find_database("disabled"));
	registry_database("held")->is_paused = false;
	fake_wait(10 * SECOND);
	ck_assert_ptr_null(registry_find_database("held"));
	ck_assert_ptr_nonnull(registry_find_database("disabled"));
}
END_TEST

START_TEST(a_database_that_gets_a_row_is_not_automatic_any_more)
{
	begin("autodb_idle_timeout=10\n[databases]\n*=host=h\n");
	registry_database("auto");
	fake_configure("log_stats=0\nautodb_idle_timeout=10\n[databases]\n*=host=h\nauto=host=h\n");
	fake_wait(1000 * SECOND);
	ck_assert_ptr_nonnull(registry_find_database("auto"));
	fake_configure("log_stats=0\nautodb_idle_timeout=10\n[databases]\n*=host=h\n");
	fake_wait(10 * SECOND - 1);
	ck_assert_ptr_nonnull(registry_find_database("auto"));
	fake_wait(1);
	ck_assert_ptr_null(registry_find_database("auto"));
}
END_TEST

START_TEST(nothing_is_looked_for_while_nothing_is_empty)
{
	begin("pool_idle_timeout=10\nautodb_idle_timeout=10\nstats_period=90000\n[databases]\n*="
	      "host=h\n");
	struct fake_client *client = fake_client(fake_pool("auto", "joe"));
	fake_wait(20 * SECOND);
	usec_t next = loop_next_timer();
	ck_assert_int_gt(next, clock_now() + 80000 * SECOND); /* the statistics */
	fake_leave(client);
	ck_assert_int_le(loop_next_timer(), clock_now());
	loop_turn(0);
	ck_assert_int_eq(loop_next_timer(), clock_now() + 10 * SECOND);
}
END_TEST

Suite *suite_pool_empty(void)
{
	Suite *suite = suite_create("pool_empty");
	TCase *tcase = tcase_create("empty");
	tcase_add_checked_fixture(tcase, fake_setup, end);
	tcase_add_test(tcase, an_empty_pool_is_forgotten_after_pool_idle_timeout);
	tcase_add_test(tcase, a_pool_whose_client_claims_is_kept);
	tcase_add_test(tcase, a_pool_with_a_server_or_a_client_is_not_empty);
	tcase_add_test(tcase, each_pool_has_its_own_time);
	tcase_add_test(tcase, without_pool_idle_timeout_a_pool_stays_until_it_is_set);
	tcase_add_test(tcase, a_minimum_keeps_a_pool);
	tcase_add_test(tcase, an_automatic_database_is_forgotten_after_autodb_idle_timeout);
	tcase_add_test(tcase, an_automatic_database_that_nobody_ever_used_is_forgotten_too);
	tcase_add_test(tcase, a_held_or_disabled_automatic_database_is_kept);
	tcase_add_test(tcase, a_database_that_gets_a_row_is_not_automatic_any_more);
	tcase_add_test(tcase, nothing_is_looked_for_while_nothing_is_empty);
	suite_add_tcase(suite, tcase);
	return suite;
}
