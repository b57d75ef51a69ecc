/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/limit.h"
#include "fake.h"
#include "suites.h"

static struct database *database;
static struct user *user;

static void configure(const char *text)
{
	fake_configure(text);
	database = registry_database("shop");
	user = registry_user("joe");
	ck_assert_ptr_nonnull(database);
}

START_TEST(the_connection_behind_max_client_conn_is_refused)
{
	struct error error;
	configure("max_client_conn=2\n[databases]\nshop=host=h\n");
	for (int i = 0; i < 2; i++) {
		limit_connection_opened();
		ck_assert(limit_admits_connection(&error));
	}
	limit_connection_opened();
	ck_assert(!limit_admits_connection(&error));
	ck_assert_str_eq(error.message, "no more connections allowed (max_client_conn)");
	ck_assert_str_eq(error.sqlstate, "53300");
	limit_connection_closed();
	ck_assert_uint_eq(limit_connections(), 2);
	ck_assert(limit_admits_connection(&error));
	limit_connection_closed();
	limit_connection_closed();
	ck_assert_uint_eq(limit_connections(), 0);
}
END_TEST

START_TEST(the_entrance_is_bounded_a_little_later)
{
	struct error error;
	configure("max_client_conn=2\n[databases]\nshop=host=h\n");
	for (int i = 0; i < 2 + LIMIT_ENTRANCE; i++) {
		limit_connection_opened();
		ck_assert(limit_admits_entrant(&error));
	}
	limit_connection_opened();
	ck_assert(!limit_admits_entrant(&error));
	ck_assert_str_eq(error.message, "no more connections allowed (max_client_conn)");
	ck_assert_str_eq(error.sqlstate, "53300");
	for (int i = 0; i < 3 + LIMIT_ENTRANCE; i++)
		limit_connection_closed();
}
END_TEST

START_TEST(clients_of_a_database_are_bounded_by_its_row_before_the_global_value)
{
	struct error error;
	configure("max_db_client_connections=5\n[databases]\n"
		  "shop=host=h max_db_client_connections=1\nother=host=h\nzero=host=h "
		  "max_db_client_connections=0\n");
	ck_assert_int_eq(limit_database_clients(database), 1);
	ck_assert_int_eq(limit_database_clients(registry_database("other")), 5);
	ck_assert_int_eq(limit_database_clients(registry_database("zero")), 5);
	ck_assert(limit_admits_client(database, user, &error));
	limit_client_added(database, user);
	ck_assert(!limit_admits_client(database, user, &error));
	ck_assert_str_eq(error.message, "client connections exceeded (max_db_client_connections)");
	ck_assert_str_eq(error.sqlstate, "53300");
	limit_client_removed(database, user);
	ck_assert(limit_admits_client(database, user, &error));
}
END_TEST

START_TEST(clients_of_a_user_are_bounded_by_the_row_of_that_user_only)
{
	struct error error;
	configure("[databases]\nshop=host=h\n[users]\njoe=max_user_client_connections=1\n");
	struct user *other = registry_user("ann");
	limit_client_added(database, user);
	limit_client_added(database, other);
	ck_assert(!limit_admits_client(database, user, &error));
	ck_assert_str_eq(error.message,
			 "client connections exceeded (max_user_client_connections)");
	ck_assert(limit_admits_client(database, other, &error));
	ck_assert_int_eq(limit_user_clients(other), 0);
	limit_client_removed(database, user);
	limit_client_removed(database, other);
}
END_TEST

START_TEST(clients_of_a_user_are_counted_over_all_databases)
{
	struct error error;
	configure("[databases]\nshop=host=h\nother=host=h\n"
		  "[users]\njoe=max_user_client_connections=2\n");
	struct database *other = registry_database("other");
	limit_client_added(database, user);
	ck_assert(limit_admits_client(other, user, &error));
	limit_client_added(other, user);
	ck_assert(!limit_admits_client(other, user, &error));
	ck_assert(!limit_admits_client(database, user, &error));
	limit_client_removed(database, user);
	ck_assert(limit_admits_client(other, user, &error));
	limit_client_removed(other, user);
}
END_TEST

START_TEST(the_console_admits_everybody)
{
	struct error error;
	configure("max_db_client_connections=1\n[databases]\nshop=host=h\n");
	struct database *console = registry_console();
	limit_client_added(console, user);
	ck_assert(limit_admits_client(console, user, &error));
	limit_client_removed(console, user);
}
END_TEST

START_TEST(servers_are_bounded_per_database_and_per_user)
{
	configure("max_db_connections=3\nmax_user_connections=2\n[databases]\nshop=host=h\n"
		  "tight=host=h max_db_connections=1\n[users]\nann=max_user_connections=9\n");
	struct user *ann = registry_user("ann");
	ck_assert_int_eq(limit_database_servers(database), 3);
	ck_assert_int_eq(limit_database_servers(registry_database("tight")), 1);
	ck_assert_int_eq(limit_user_servers(user), 2);
	ck_assert_int_eq(limit_user_servers(ann), 9);
	ck_assert_int_eq(limit_admits_server(database, user), LIMIT_FREE);
	limit_server_added(database, user);
	limit_server_added(database, user);
	ck_assert_int_eq(limit_admits_server(database, user), LIMIT_USER);
	ck_assert_int_eq(limit_admits_server(database, ann), LIMIT_FREE);
	limit_server_added(database, ann);
	ck_assert_int_eq(limit_admits_server(database, ann), LIMIT_DATABASE);
	limit_server_removed(database, ann);
	limit_server_removed(database, user);
	limit_server_removed(database, user);
	ck_assert_uint_eq(database->server_count, 0);
	ck_assert_uint_eq(user->server_count, 0);
}
END_TEST

Suite *suite_limit(void)
{
	Suite *suite = suite_create("limit");
	TCase *bounds = tcase_create("bounds");
	tcase_add_checked_fixture(bounds, fake_setup, fake_teardown);
	tcase_add_test(bounds, the_connection_behind_max_client_conn_is_refused);
	tcase_add_test(bounds, the_entrance_is_bounded_a_little_later);
	tcase_add_test(bounds,
		       clients_of_a_database_are_bounded_by_its_row_before_the_global_value);
	tcase_add_test(bounds, clients_of_a_user_are_bounded_by_the_row_of_that_user_only);
	tcase_add_test(bounds, clients_of_a_user_are_counted_over_all_databases);
	tcase_add_test(bounds, the_console_admits_everybody);
	tcase_add_test(bounds, servers_are_bounded_per_database_and_per_user);
	suite_add_tcase(suite, bounds);
	return suite;
}
