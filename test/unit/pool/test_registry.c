/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fixture.h"
#include "suites.h"

START_TEST(user_beats_database_beats_default)
{
	fixture_open("d = pool_mode=statement pool_size=5 query_wait_timeout=7\ne =",
		     "u = pool_mode=session pool_size=9",
		     "pool_mode = transaction\ndefault_pool_size = 2\nquery_wait_timeout = 11");
	struct pool *user = fixture_pool("d", "u"), *row = fixture_pool("d", "v"),
		    *global = fixture_pool("e", "v");
	ck_assert_int_eq(user->mode, POOL_MODE_SESSION);
	ck_assert_int_eq(user->size, 9);
	ck_assert_int_eq(row->mode, POOL_MODE_STATEMENT);
	ck_assert_int_eq(row->size, 5);
	ck_assert_int_eq(row->query_wait_timeout, 7 * USEC_PER_SECOND);
	ck_assert_int_eq(global->mode, POOL_MODE_TRANSACTION);
	ck_assert_int_eq(global->size, 2);
	ck_assert_int_eq(global->query_wait_timeout, 11 * USEC_PER_SECOND);
	fixture_close();
}
END_TEST

START_TEST(unknown_names_exist_only_with_a_row_for_all)
{
	fixture_open("d =", "", "");
	ck_assert_ptr_null(registry_database("x"));
	fixture_reload("d =\n* = host=127.0.0.1", "", "");
	ck_assert_ptr_nonnull(registry_database("x"));
	ck_assert_str_eq(registry_database("x")->dbname, "x");
	ck_assert(registry_database("x")->is_automatic);
	fixture_close();
}
END_TEST

START_TEST(a_removed_database_closes_its_clients_and_servers)
{
	fixture_open("d =\ne =", "", "");
	struct pool *pool = fixture_pool("d", "u");
	registry_database("d")->stats.now.query_count = 5;
	pool_request(pool, &fixture_clients[0]);
	fixture_login(0);
	fixture_events[0] = '\0';
	fixture_reload("e =", "", "");
	fixture_expect("close c0 database removed,close s0 database removed,");
	ck_assert_ptr_null(registry_database("d"));
	struct stats totals;
	registry_totals(&totals);
	ck_assert_uint_eq(totals.now.query_count, 5);
	fixture_close();
}
END_TEST

START_TEST(a_changed_row_retires_servers_and_a_changed_limit_does_not)
{
	fixture_open("d = host=127.0.0.1", "", "");
	struct pool *pool = fixture_pool("d", "u");
	pool_request(pool, &fixture_clients[0]);
	fixture_login(0);
	fixture_reload("d = host=127.0.0.1 pool_size=7", "", "");
	ck_assert(!fixture_servers[0].close_needed);
	ck_assert_int_eq(pool->size, 7);
	fixture_reload("d = host=127.0.0.2", "", "");
	ck_assert(fixture_servers[0].close_needed);
	ck_assert_int_eq(fixture_servers[0].close_reason, CLOSE_DATABASE_CHANGED);
	fixture_close();
}
END_TEST

START_TEST(a_forced_user_is_one_pool_for_all)
{
	fixture_open("d = user=boss", "", "");
	ck_assert_ptr_eq(fixture_pool("d", "a"), fixture_pool("d", "b"));
	ck_assert_str_eq(fixture_pool("d", "a")->user->name, "boss");
	fixture_close();
}
END_TEST

START_TEST(both_names_lead_to_the_console)
{
	fixture_open("d =", "", "");
	ck_assert_ptr_eq(registry_database("pgweir"), registry_console());
	ck_assert_ptr_eq(registry_database("pgbouncer"), registry_console());
	ck_assert(fixture_pool("pgweir", "x")->database->is_console);
	fixture_close();
}
END_TEST

Suite *suite_registry(void)
{
	Suite *suite = suite_create("pool/registry");
	TCase *tcase = tcase_create("registry");
	tcase_add_test(tcase, user_beats_database_beats_default);
	tcase_add_test(tcase, unknown_names_exist_only_with_a_row_for_all);
	tcase_add_test(tcase, a_removed_database_closes_its_clients_and_servers);
	tcase_add_test(tcase, a_changed_row_retires_servers_and_a_changed_limit_does_not);
	tcase_add_test(tcase, a_forced_user_is_one_pool_for_all);
	tcase_add_test(tcase, both_names_lead_to_the_console);
	suite_add_tcase(suite, tcase);
	return suite;
}
