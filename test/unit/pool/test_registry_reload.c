/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/registry.h"
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "suites.h"

START_TEST(databases_of_the_file_are_known_and_others_are_not)
{
	fake_configure("[databases]\nshop=host=h\n");
	ck_assert_ptr_nonnull(registry_database("shop"));
	ck_assert_ptr_eq(registry_find_database("shop"), registry_database("shop"));
	ck_assert_ptr_null(registry_database("nowhere"));
	ck_assert_uint_eq(map_length(registry_databases()), 2); /* and the console */
}
END_TEST

START_TEST(the_star_row_makes_databases_when_they_are_asked_for)
{
	fake_configure("[databases]\n*=host=h pool_size=3\nshop=host=h\n");
	ck_assert_ptr_null(registry_find_database("made"));
	struct database *made = registry_database("made");
	ck_assert_ptr_nonnull(made);
	ck_assert(made->is_automatic);
	ck_assert_str_eq(made->dbname, "made");
	ck_assert_int_eq(made->pool_size, 3);
	ck_assert_ptr_eq(registry_database("made"), made);
	ck_assert(!registry_database("shop")->is_automatic);
}
END_TEST

START_TEST(names_of_strangers_make_few_databases)
{
	char name[32];
	fake_configure("[databases]\n*=host=h\nshop=host=h\n");
	size_t before = map_length(registry_databases());
	ck_assert_ptr_nonnull(registry_database_unproven("first"));
	ck_assert_ptr_eq(registry_database_unproven("first"), registry_find_database("first"));
	struct database *proven = registry_database_unproven("proven");
	ck_assert_ptr_eq(registry_database("proven"), proven);
	ck_assert(!registry_database_unproven("shop")->is_unproven);
	struct fake_client *client = fake_client(
		registry_pool(registry_database_unproven("used"), registry_user("asker")));
	for (int i = 0; i < 10 * REGISTRY_UNPROVEN_MAX; i++) {
		snprintf(name, sizeof name, "made_up_%d", i);
		ck_assert_ptr_nonnull(registry_database_unproven(name));
	}
	ck_assert_uint_eq(map_length(registry_databases()), before + REGISTRY_UNPROVEN_MAX + 1);
	ck_assert_ptr_null(registry_find_database("first"));
	ck_assert_ptr_eq(registry_find_database("proven"), proven);
	ck_assert_ptr_nonnull(registry_find_database("used"));
	ck_assert(!client->is_closed);
	/* A row of the file makes it one of the file. */
	fake_configure("[databases]\n*=host=h\nused=host=h\n");
	ck_assert(!registry_find_database("used")->is_unproven);
	fake_leave(client);
}
END_TEST

START_TEST(databases_of_strangers_that_are_all_in_use_make_no_room)
{
	struct fake_client *clients[REGISTRY_UNPROVEN_MAX];
	char name[32];
	fake_configure("[databases]\n*=host=h\n");
	for (int i = 0; i < REGISTRY_UNPROVEN_MAX; i++) {
		snprintf(name, sizeof name, "made_up_%d", i);
		clients[i] = fake_client(
			registry_pool(registry_database_unproven(name), registry_user("asker")));
	}
	ck_assert_ptr_null(registry_database_unproven("one_more"));
	fake_leave(clients[7]);
	ck_assert_ptr_nonnull(registry_database_unproven("one_more"));
	ck_assert_ptr_null(registry_find_database("made_up_7"));
}
END_TEST

START_TEST(both_names_lead_to_the_console_whatever_the_star_row_says)
{
	fake_configure("[databases]\n*=host=h\n");
	ck_assert_ptr_eq(registry_database("pgweir"), registry_console());
	ck_assert_ptr_eq(registry_database("pgbouncer"), registry_console());
	ck_assert(registry_is_console_name("pgweir") && registry_is_console_name("pgbouncer"));
	ck_assert(!registry_is_console_name("pgweir2"));
	ck_assert(registry_console()->is_console);
	struct pool *pool = registry_pool(registry_console(), registry_user("anyone"));
	ck_assert_str_eq(pool->database->name, "pgbouncer");
	ck_assert_str_eq(pool->user->name, "pgbouncer");
	ck_assert_int_eq(pool->mode, POOL_MODE_STATEMENT);
	ck_assert_ptr_eq(registry_pool(registry_console(), registry_user("other")), pool);
}
END_TEST

START_TEST(the_console_survives_a_reload_and_launches_nothing)
{
	struct database *console = registry_console();
	fake_configure("min_pool_size=2\n[databases]\nshop=host=h\n");
	ck_assert_ptr_eq(registry_console(), console);
	struct pool *pool = registry_pool(console, registry_user("x"));
	struct fake_client *client = fake_client(pool);
	pool_work(pool);
	ck_assert_int_eq(fake.launches, 0);
	fake_leave(client);
}
END_TEST

START_TEST(a_pool_is_one_per_database_and_user)
{
	fake_configure("[databases]\nshop=host=h\nother=host=h\n");
	struct pool *pools[] = {fake_pool("shop", "a"), fake_pool("shop", "b"),
				fake_pool("other", "a"), fake_pool("other", "b")};
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			ck_assert_ptr_ne(pools[i], pools[j]);
	ck_assert_ptr_eq(fake_pool("shop", "b"), pools[1]);
	ck_assert_ptr_eq(fake_pool("other", "a"), pools[2]);
	/* With the shorter list on either side. */
	for (int i = 0; i < 5; i++) {
		char name[] = "x0";
		name[1] = (char)('0' + i);
		ck_assert_ptr_eq(fake_pool("shop", name), fake_pool("shop", name));
	}
	ck_assert_ptr_eq(fake_pool("shop", "a"), pools[0]);
}
END_TEST

START_TEST(a_forced_user_is_one_pool_for_all_clients)
{
	fake_configure("[databases]\nshop=host=h user=app password=x\n");
	struct pool *pool = fake_pool("shop", "a");
	ck_assert_ptr_eq(fake_pool("shop", "b"), pool);
	ck_assert_str_eq(pool->user->name, "app");
	ck_assert(pool->is_forced);
}
END_TEST

START_TEST(removing_a_database_closes_its_clients_and_servers)
{
	fake_configure("min_pool_size=1\n[databases]\nshop=host=h user=app\nother=host=h\n");
	struct pool *pool = fake_pool("shop", "joe");
	fake_log_in(1);
	struct fake_client *worker = fake_request(pool), *waiter = fake_request(pool);
	struct fake_client *bystander = fake_client(fake_pool("other", "joe"));
	fake_configure("min_pool_size=1\n[databases]\nother=host=h\n");
	ck_assert_int_eq(worker->reason, CLOSE_DATABASE_REMOVED);
	ck_assert_int_eq(waiter->reason, CLOSE_DATABASE_REMOVED);
	ck_assert(fake_server(1)->is_closed);
	ck_assert(!bystander->is_closed);
	ck_assert_ptr_null(registry_find_database("shop"));
	ck_assert_uint_eq(pool_all()->length, 2);
	ck_assert_uint_eq(registry_user("app")->server_count, 0);
	ck_assert_uint_eq(registry_user("app")->pools.length, 0);
	fake_check_counts();
}
END_TEST

START_TEST(a_database_that_comes_back_begins_anew)
{
	fake_configure("[databases]\nshop=host=h\n");
	fake_pool_with("shop", "joe", 2);
	registry_database("shop")->is_paused = true;
	fake_configure("[databases]\nother=host=h\n");
	fake_configure("[databases]\nshop=host=h\n");
	ck_assert(!registry_database("shop")->is_paused);
	ck_assert_uint_eq(registry_database("shop")->server_count, 0);
	ck_assert_uint_eq(fake_pool("shop", "joe")->server_count, 0);
}
END_TEST

START_TEST(a_removed_row_under_a_star_becomes_automatic_and_back)
{
	fake_configure("[databases]\nshop=host=h\n*=host=h\n");
	struct pool *pool = fake_pool_with("shop", "joe", 1);
	struct database *database = pool->database;
	fake_configure("[databases]\n*=host=h\n");
	ck_assert_ptr_eq(registry_database("shop"), database);
	ck_assert(database->is_automatic);
	ck_assert(!fake_server(1)->is_closed);
	fake_configure("[databases]\nshop=host=h\n*=host=h\n");
	ck_assert(!database->is_automatic);
	ck_assert(!fake_server(1)->is_closed);
}
END_TEST

START_TEST(without_the_star_row_automatic_databases_go)
{
	fake_configure("[databases]\n*=host=h\n");
	struct fake_client *client = fake_client(fake_pool("made", "joe"));
	fake_configure("[databases]\nshop=host=h\n");
	ck_assert_int_eq(client->reason, CLOSE_DATABASE_REMOVED);
	ck_assert_ptr_null(registry_database("made"));
}
END_TEST

START_TEST(a_changed_row_retires_its_servers_only)
{
	fake_configure("[databases]\nshop=host=h\nother=host=h\n");
	struct pool *pool = fake_pool_with("shop", "joe", 2);
	struct fake_client *worker = fake_request(pool);
	fake_pool_with("other", "joe", 1);
	fake_configure("[databases]\nshop=host=elsewhere\nother=host=h\n");
	ck_assert_int_eq(fake_server(1)->reason, CLOSE_DATABASE_CHANGED);
	ck_assert(!fake_server(2)->is_closed && !worker->is_closed);
	ck_assert(!fake_server(3)->is_closed);
	ck_assert_str_eq(host_next(&pool->database->hosts), "elsewhere");
	fake_finish(worker);
	ck_assert_int_eq(fake_server(2)->reason, CLOSE_DATABASE_CHANGED);
	fake_check_counts();
}
END_TEST

START_TEST(an_unchanged_configuration_touches_nothing)
{
	static const char *const text = "[databases]\nshop=host=h user=app\n*=host=h\n";
	fake_configure(text);
	struct pool *pool = fake_pool_with("shop", "joe", 2);
	struct fake_client *worker = fake_request(pool), *idle = fake_client(fake_pool("x", "joe"));
	fake_configure(text);
	ck_assert(!fake_server(1)->is_closed && !fake_server(2)->is_closed);
	ck_assert(!worker->is_closed && !idle->is_closed);
	ck_assert_ptr_eq(fake_pool("shop", "joe"), pool);
	ck_assert_ptr_nonnull(pool->welcome);
	fake_check_counts();
}
END_TEST

START_TEST(a_forced_pool_that_is_no_more_keeps_no_minimum)
{
	fake_configure("min_pool_size=1\n[databases]\nshop=host=h user=old\n");
	struct pool *old = fake_pool("shop", "joe");
	fake_log_in(1);
	fake_configure("min_pool_size=1\n[databases]\nshop=host=h user=new\n");
	ck_assert(fake_server(1)->is_closed);
	ck_assert(!old->is_forced);
	ck_assert_uint_eq(old->server_count, 0);
	struct pool *pool = fake_pool("shop", "joe");
	ck_assert_ptr_ne(pool, old);
	ck_assert_str_eq(pool->user->name, "new");
	ck_assert_uint_eq(pool->server_count, 1);
}
END_TEST

START_TEST(users_know_whether_they_are_configured)
{
	fake_configure("[databases]\nshop=host=h\n[users]\nann=pool_size=4\n");
	ck_assert(registry_find_user("ann")->is_configured);
	ck_assert_int_eq(registry_find_user("ann")->pool_size, 4);
	ck_assert(!registry_user("joe")->is_configured);
	ck_assert_ptr_null(registry_find_user("nobody"));
	fake_configure("[databases]\nshop=host=h\n[users]\njoe=pool_size=2\n");
	ck_assert(!registry_find_user("ann")->is_configured);
	ck_assert_int_eq(registry_find_user("ann")->pool_size, SECTION_UNSET);
	ck_assert(registry_find_user("joe")->is_configured);
	ck_assert_int_eq(fake_pool("shop", "joe")->size, 2);
}
END_TEST

START_TEST(totals_keep_the_counters_of_databases_that_went_away)
{
	struct stats totals;
	struct stats_counters average;
	fake_configure("[databases]\nshop=host=h\nother=host=h\n");
	registry_database("shop")->stats.now.query_count = 600;
	registry_database("other")->stats.now.query_count = 60;
	registry_roll(60 * USEC_PER_SECOND);
	registry_totals(&totals);
	stats_average(&totals, &average);
	ck_assert_uint_eq(average.query_count, 11);
	registry_database("shop")->stats.now.query_count += 1200;
	fake_configure("[databases]\nother=host=h\n");
	registry_totals(&totals);
	ck_assert_uint_eq(totals.now.query_count, 1860);
	/* Its last queries count in the period they fell in, and in no other. */
	registry_roll(60 * USEC_PER_SECOND);
	registry_totals(&totals);
	stats_average(&totals, &average);
	ck_assert_uint_eq(average.query_count, 20);
	registry_roll(60 * USEC_PER_SECOND);
	registry_totals(&totals);
	stats_average(&totals, &average);
	ck_assert_uint_eq(average.query_count, 0);
	ck_assert_uint_eq(totals.now.query_count, 1860);
}
END_TEST

START_TEST(a_thousand_databases_come_and_go)
{
	static char text[40000] = "[databases]\n";
	size_t length = strlen(text);
	for (int i = 0; i < 1000; i++)
		length +=
			(size_t)snprintf(text + length, sizeof(text) - length, "db%d=host=h\n", i);
	fake_configure(text);
	for (int i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "db%d", i);
		fake_request(fake_pool(name, "joe"));
	}
	ck_assert_uint_eq(registry_user("joe")->server_count, 1000);
	fake_configure("[databases]\ndb7=host=h\n");
	ck_assert_uint_eq(registry_user("joe")->server_count, 1);
	ck_assert_uint_eq(map_length(registry_databases()), 2);
	fake_check_counts();
}
END_TEST

Suite *suite_registry_reload(void)
{
	Suite *suite = suite_create("registry_reload");
	TCase *names = tcase_create("names");
	tcase_add_checked_fixture(names, fake_setup, fake_teardown);
	tcase_add_test(names, databases_of_the_file_are_known_and_others_are_not);
	tcase_add_test(names, the_star_row_makes_databases_when_they_are_asked_for);
	tcase_add_test(names, both_names_lead_to_the_console_whatever_the_star_row_says);
	tcase_add_test(names, the_console_survives_a_reload_and_launches_nothing);
	tcase_add_test(names, a_pool_is_one_per_database_and_user);
	tcase_add_test(names, a_forced_user_is_one_pool_for_all_clients);
	suite_add_tcase(suite, names);
	TCase *reload = tcase_create("reload");
	tcase_add_checked_fixture(reload, fake_setup, fake_teardown);
	tcase_add_test(reload, removing_a_database_closes_its_clients_and_servers);
	tcase_add_test(reload, a_database_that_comes_back_begins_anew);
	tcase_add_test(reload, names_of_strangers_make_few_databases);
	tcase_add_test(reload, databases_of_strangers_that_are_all_in_use_make_no_room);
	tcase_add_test(reload, a_removed_row_under_a_star_becomes_automatic_and_back);
	tcase_add_test(reload, without_the_star_row_automatic_databases_go);
	tcase_add_test(reload, a_changed_row_retires_its_servers_only);
	tcase_add_test(reload, an_unchanged_configuration_touches_nothing);
	tcase_add_test(reload, a_forced_pool_that_is_no_more_keeps_no_minimum);
	tcase_add_test(reload, users_know_whether_they_are_configured);
	tcase_add_test(reload, totals_keep_the_counters_of_databases_that_went_away);
	tcase_add_test(reload, a_thousand_databases_come_and_go);
	suite_add_tcase(suite, reload);
	return suite;
}
