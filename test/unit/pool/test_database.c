/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/database.h"
#include <string.h>
#include "fake.h"
#include "pool/user.h"
#include "suites.h"

static struct database *database;

/* Take a row written as in the file. Returns whether servers are now wrong. */
static bool configure(const char *text)
{
	struct error error = {0};
	struct section_database *row = section_parse_database("shop", text, &error);
	ck_assert_msg(row != NULL, "%s", error.message);
	bool changed = database_configure(database, row);
	section_free_database(&row);
	return changed;
}

static void setup(void)
{
	fake_setup();
	database = database_new("shop");
}

static void teardown(void)
{
	database_free(&database);
	database_free(&database);
	fake_teardown();
}

START_TEST(what_a_row_does_not_say_is_unset_or_its_default)
{
	configure("host=db1");
	ck_assert_str_eq(database->name, "shop");
	ck_assert_str_eq(database->dbname, "shop");
	ck_assert_str_eq(database->host_text, "db1");
	ck_assert_int_eq(database->port, 5432);
	ck_assert_ptr_null(database->user);
	ck_assert_int_eq(database->pool_mode, POOL_MODE_UNSET);
	ck_assert_int_eq(database->pool_size, SECTION_UNSET);
	ck_assert_int_eq(database->query_wait_timeout, SECTION_UNSET);
	ck_assert_str_eq(host_next(&database->hosts), "db1");
}
END_TEST

START_TEST(a_row_is_taken_whole)
{
	configure("host=a,b port=5433 dbname=real user=u password=p pool_size=7 min_pool_size=2 "
		  "reserve_pool_size=3 pool_mode=statement connect_query='SET x=1' timezone=UTC "
		  "max_db_connections=9 max_db_client_connections=11 server_lifetime=60 "
		  "query_wait_timeout=5 load_balance_hosts=disable");
	ck_assert_str_eq(database->dbname, "real");
	ck_assert_int_eq(database->port, 5433);
	ck_assert_str_eq(database->user, "u");
	ck_assert_str_eq(database->password, "p");
	ck_assert_int_eq(database->pool_size, 7);
	ck_assert_int_eq(database->min_pool_size, 2);
	ck_assert_int_eq(database->reserve_pool_size, 3);
	ck_assert_int_eq(database->pool_mode, POOL_MODE_STATEMENT);
	ck_assert_str_eq(database->connect_query, "SET x=1");
	ck_assert_str_eq(database->timezone, "UTC");
	ck_assert_int_eq(database->max_db_connections, 9);
	ck_assert_int_eq(database->max_db_client_connections, 11);
	ck_assert_int_eq(database->server_lifetime, 60 * USEC_PER_SECOND);
	ck_assert_int_eq(database->query_wait_timeout, 5 * USEC_PER_SECOND);
	ck_assert_int_eq(database->balance, BALANCE_DISABLE);
	ck_assert_str_eq(host_next(&database->hosts), "a");
	ck_assert_str_eq(host_next(&database->hosts), "a");
}
END_TEST

START_TEST(the_same_row_again_changes_nothing_and_keeps_the_round_of_hosts)
{
	configure("host=a,b user=u");
	ck_assert_str_eq(host_next(&database->hosts), "a");
	ck_assert(!configure("host=a,b user=u"));
	ck_assert_str_eq(host_next(&database->hosts), "b");
}
END_TEST

START_TEST(servers_are_wrong_after_each_change_of_where_and_as_whom_they_connect)
{
	static const char *const rows[] = {
		"host=a port=5433",	  "host=b",
		"host=a dbname=other",	  "host=a user=someone",
		"host=a connect_query=x", "host=a auth_dbname=x",
		"host=a auth_query=x",	  "host=a load_balance_hosts=disable",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		configure("host=a");
		ck_assert_msg(configure(rows[i]), "%s", rows[i]);
		ck_assert_msg(!configure(rows[i]), "%s", rows[i]);
	}
}
END_TEST

START_TEST(servers_stay_right_when_only_limits_change)
{
	configure("host=a");
	ck_assert(!configure("host=a pool_size=3 min_pool_size=1 reserve_pool_size=2 password=x"));
	ck_assert(!configure("host=a max_db_connections=5 query_wait_timeout=9 pool_mode=session"));
	ck_assert_int_eq(database->pool_size, SECTION_UNSET);
	ck_assert_ptr_null(database->password);
}
END_TEST

START_TEST(a_user_without_a_row_has_no_values)
{
	struct error error = {0};
	struct user *user = user_new("joe");
	struct section_user *row =
		section_parse_user("joe",
				   "pool_mode=transaction pool_size=4 reserve_pool_size=1 "
				   "max_user_connections=2 max_user_client_connections=3 "
				   "query_wait_timeout=7",
				   &error);
	ck_assert_ptr_nonnull(row);
	user_configure(user, row);
	section_free_user(&row);
	ck_assert_int_eq(user->pool_mode, POOL_MODE_TRANSACTION);
	ck_assert_int_eq(user->pool_size, 4);
	ck_assert_int_eq(user->reserve_pool_size, 1);
	ck_assert_int_eq(user->max_user_connections, 2);
	ck_assert_int_eq(user->max_user_client_connections, 3);
	ck_assert_int_eq(user->query_wait_timeout, 7 * USEC_PER_SECOND);
	user_configure(user, NULL);
	ck_assert_int_eq(user->pool_mode, POOL_MODE_UNSET);
	ck_assert_int_eq(user->pool_size, SECTION_UNSET);
	ck_assert_int_eq(user->reserve_pool_size, SECTION_UNSET);
	ck_assert_int_eq(user->max_user_connections, SECTION_UNSET);
	ck_assert_int_eq(user->max_user_client_connections, SECTION_UNSET);
	ck_assert_int_eq(user->query_wait_timeout, SECTION_UNSET);
	user_free(&user);
	ck_assert_ptr_null(user);
	user_free(&user);
}
END_TEST

Suite *suite_database(void)
{
	Suite *suite = suite_create("database");
	TCase *rows = tcase_create("rows");
	tcase_add_checked_fixture(rows, setup, teardown);
	tcase_add_test(rows, what_a_row_does_not_say_is_unset_or_its_default);
	tcase_add_test(rows, a_row_is_taken_whole);
	tcase_add_test(rows, the_same_row_again_changes_nothing_and_keeps_the_round_of_hosts);
	tcase_add_test(rows, servers_are_wrong_after_each_change_of_where_and_as_whom_they_connect);
	tcase_add_test(rows, servers_stay_right_when_only_limits_change);
	tcase_add_test(rows, a_user_without_a_row_has_no_values);
	suite_add_tcase(suite, rows);
	return suite;
}
