/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/section.h"
#include "core/error.h"
#include "files.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>

static struct section_database *database;
static struct section_user *user;
static struct section_peer *peer;
static struct error error;

static void teardown(void)
{
	section_free_database(&database);
	section_free_user(&user);
	section_free_peer(&peer);
}

static bool parse_database(const char *name, const char *text)
{
	error = (struct error){0};
	section_free_database(&database);
	database = section_parse_database(name, text, &error);
	return database;
}

static bool parse_user(const char *name, const char *text)
{
	error = (struct error){0};
	section_free_user(&user);
	user = section_parse_user(name, text, &error);
	return user;
}

static bool parse_peer(const char *id, const char *text)
{
	error = (struct error){0};
	section_free_peer(&peer);
	peer = section_parse_peer(id, text, &error);
	return peer;
}

START_TEST(a_database_row_has_all_its_keys)
{
	ck_assert_msg(parse_database(
			      "db",
			      "dbname=real host=a.example,10.0.0.1,::1,/run/pg,@abstract port=5433 "
			      "user=bob password='it''s' auth_user=au auth_dbname=ad "
			      "auth_query='SELECT 1' client_encoding=UTF8 datestyle='ISO, DMY' "
			      "timezone=UTC application_name=app pool_size=1 min_pool_size=2 "
			      "reserve_pool_size=3 max_db_connections=4 "
			      "max_db_client_connections=5 server_lifetime=6 "
			      "query_wait_timeout=7min query_timeout=8.5 "
			      "idle_transaction_timeout=500ms transaction_timeout=1h "
			      "client_idle_timeout=0 load_balance_hosts=disable "
			      "pool_mode=statement connect_query='SELECT ''x'''"),
		      "%s", error.message);
	ck_assert_str_eq(database->name, "db");
	ck_assert_str_eq(database->dbname, "real");
	ck_assert_str_eq(database->host, "a.example,10.0.0.1,::1,/run/pg,@abstract");
	ck_assert_int_eq(database->port, 5433);
	ck_assert_str_eq(database->user, "bob");
	ck_assert_str_eq(database->password, "it's");
	ck_assert_str_eq(database->auth_user, "au");
	ck_assert_str_eq(database->auth_dbname, "ad");
	ck_assert_str_eq(database->auth_query, "SELECT 1");
	ck_assert_str_eq(database->client_encoding, "UTF8");
	ck_assert_str_eq(database->datestyle, "ISO, DMY");
	ck_assert_str_eq(database->timezone, "UTC");
	ck_assert_str_eq(database->application_name, "app");
	ck_assert_int_eq(database->pool_size, 1);
	ck_assert_int_eq(database->min_pool_size, 2);
	ck_assert_int_eq(database->reserve_pool_size, 3);
	ck_assert_int_eq(database->max_db_connections, 4);
	ck_assert_int_eq(database->max_db_client_connections, 5);
	ck_assert_int_eq(database->server_lifetime, 6 * USEC_PER_SECOND);
	ck_assert_int_eq(database->query_wait_timeout, 420 * USEC_PER_SECOND);
	ck_assert_int_eq(database->query_timeout, 8500 * USEC_PER_MSEC);
	ck_assert_int_eq(database->idle_transaction_timeout, 500 * USEC_PER_MSEC);
	ck_assert_int_eq(database->transaction_timeout, 3600 * USEC_PER_SECOND);
	ck_assert_int_eq(database->client_idle_timeout, 0);
	ck_assert_int_eq(database->load_balance_hosts, BALANCE_DISABLE);
	ck_assert_int_eq(database->pool_mode, POOL_MODE_STATEMENT);
	ck_assert_str_eq(database->connect_query, "SELECT 'x'");
}
END_TEST

START_TEST(what_a_row_does_not_name_is_unset)
{
	ck_assert(parse_database("*", ""));
	ck_assert_ptr_null(database->dbname);
	ck_assert_ptr_null(database->host);
	ck_assert_ptr_null(database->password);
	ck_assert_int_eq(database->port, SECTION_UNSET);
	ck_assert_int_eq(database->pool_size, SECTION_UNSET);
	ck_assert_int_eq(database->server_lifetime, SECTION_UNSET);
	ck_assert_int_eq(database->query_timeout, SECTION_UNSET);
	ck_assert_int_eq(database->idle_transaction_timeout, SECTION_UNSET);
	ck_assert_int_eq(database->transaction_timeout, SECTION_UNSET);
	ck_assert_int_eq(database->client_idle_timeout, SECTION_UNSET);
	ck_assert_int_eq(database->pool_mode, POOL_MODE_UNSET);
	ck_assert_int_eq(database->load_balance_hosts, BALANCE_UNSET);
	ck_assert(parse_user("u", ""));
	ck_assert_int_eq(user->pool_mode, POOL_MODE_UNSET);
	ck_assert_int_eq(user->pool_size, SECTION_UNSET);
	ck_assert_int_eq(user->client_idle_timeout, SECTION_UNSET);
}
END_TEST

START_TEST(the_last_of_equal_keys_wins_and_reserve_pool_is_an_alias)
{
	ck_assert(parse_database("db", "host=a reserve_pool=7 host=b"));
	ck_assert_str_eq(database->host, "b");
	ck_assert_int_eq(database->reserve_pool_size, 7);
}
END_TEST

START_TEST(names_of_the_console_are_reserved)
{
	ck_assert(!parse_database("pgbouncer", "host=a"));
	ck_assert_str_eq(error.message,
			 "database \"pgbouncer\": this name is reserved for the console");
	ck_assert(!parse_database("pgweir", ""));
	ck_assert(!parse_database("db", "auth_dbname=pgbouncer"));
	files_assert_has(error.message,
			 "cannot use the reserved \"pgbouncer\" database as an auth_dbname");
}
END_TEST

START_TEST(names_have_their_length)
{
	char name[200];
	memset(name, 'n', sizeof(name));
	name[63] = '\0';
	ck_assert(parse_database(name, ""));
	name[63] = 'n';
	name[64] = '\0';
	ck_assert(!parse_database(name, ""));
	ck_assert_str_eq(error.message, "the name of a database may have at most 63 bytes, not 64");
	name[64] = 'n';
	name[127] = '\0';
	ck_assert(parse_user(name, ""));
	name[127] = 'n';
	name[128] = '\0';
	ck_assert(!parse_user(name, ""));
	ck_assert(!parse_database("", ""));
	ck_assert(!parse_user("a\nb", ""));
}
END_TEST

START_TEST(wrong_values_are_refused)
{
	static const struct {
		const char *text, *message;
	} wrong[] = {
		{"port=0", "invalid value \"0\" for parameter port: allowed is 1 to 65535"},
		{"port=65536", "invalid value \"65536\" for parameter port"},
		{"port=x", "invalid value \"x\" for parameter port"},
		{"pool_size=-1", "parameter pool_size: allowed is 0 to 2147483647"},
		{"pool_mode=foo", "allowed is session, transaction or statement"},
		{"load_balance_hosts=random", "allowed is round-robin or disable"},
		{"server_lifetime=x", "allowed is 0 to 2147483647 seconds, or with a unit"},
		{"hots=a", "unknown parameter \"hots\"; did you mean \"host\"?"},
		{"nonsense=a", "unknown parameter \"nonsense\""},
		{"host=", "'' must be written for an empty value of \"host\""},
		{"host='a", "the closing quote is missing"},
		{"host='a b'", "a host must be a name"},
		{"host=a/b", "a host must be a name"},
		{"dbname=''", "dbname must not be empty"},
		{"user=''", "user must have 1 to 127 bytes"},
		{"host", "expected key=value"},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!parse_database("db", wrong[i].text), "%s", wrong[i].text);
		files_assert_has(error.message, "database \"db\": ");
		files_assert_has(error.message, wrong[i].message);
		ck_assert_str_eq(error.sqlstate, "F0000");
	}
	ck_assert_ptr_null(section_parse_database("db", "port=x", NULL));
}
END_TEST

START_TEST(long_hosts_are_refused)
{
	char text[400] = "host=";
	memset(text + 5, 'h', 255);
	ck_assert(parse_database("db", text));
	strcat(text, "h");
	ck_assert(!parse_database("db", text));
	files_assert_has(error.message, "a host's name is too long");
	memset(text + 5, '/', 93);
	text[5 + 93] = '\0';
	ck_assert(!parse_database("db", text));
}
END_TEST

START_TEST(long_passwords_are_taken_to_the_limit)
{
	enum { LIMIT = 65530 };
	char *text = malloc(LIMIT + 32);
	strcpy(text, "password=");
	memset(text + 9, 'p', LIMIT + 1);
	text[9 + LIMIT] = '\0';
	ck_assert(parse_database("db", text));
	ck_assert_uint_eq(strlen(database->password), LIMIT);
	text[9 + LIMIT] = 'p';
	text[9 + LIMIT + 1] = '\0';
	ck_assert(!parse_database("db", text));
	ck_assert_str_eq(error.message, "database \"db\": password may have at most 65530 bytes");
	free(text);
}
END_TEST

START_TEST(no_part_of_a_password_is_shown)
{
	static const char *const wrong[] = {
		"password=x geheim=y",	     "password=geheim port=x",
		"password='geheim' foo=bar", "password=x geheim",
		"password='geheim",	     "password='geheim'x",
		"user='' password=geheim",   "host='a b' password=geheim",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!parse_database("db", wrong[i]), "%s", wrong[i]);
		files_assert_lacks(error.message, "geheim");
	}
}
END_TEST

START_TEST(a_user_row_has_all_its_keys)
{
	ck_assert_msg(parse_user("bob", "pool_mode=transaction pool_size=1 reserve_pool_size=2 "
					"max_user_connections=3 max_user_client_connections=4 "
					"query_timeout=5 query_wait_timeout=6 "
					"idle_transaction_timeout=7 transaction_timeout=8 "
					"client_idle_timeout=9"),
		      "%s", error.message);
	ck_assert_str_eq(user->name, "bob");
	ck_assert_int_eq(user->pool_mode, POOL_MODE_TRANSACTION);
	ck_assert_int_eq(user->pool_size, 1);
	ck_assert_int_eq(user->reserve_pool_size, 2);
	ck_assert_int_eq(user->max_user_connections, 3);
	ck_assert_int_eq(user->max_user_client_connections, 4);
	ck_assert_int_eq(user->query_timeout, 5 * USEC_PER_SECOND);
	ck_assert_int_eq(user->query_wait_timeout, 6 * USEC_PER_SECOND);
	ck_assert_int_eq(user->idle_transaction_timeout, 7 * USEC_PER_SECOND);
	ck_assert_int_eq(user->transaction_timeout, 8 * USEC_PER_SECOND);
	ck_assert_int_eq(user->client_idle_timeout, 9 * USEC_PER_SECOND);
	ck_assert(!parse_user("bob", "host=a"));
	ck_assert_str_eq(error.message, "user \"bob\": unknown parameter \"host\"");
	ck_assert(!parse_user("bob", "query_timeout=garbage"));
}
END_TEST

START_TEST(a_peer_row_has_a_number_and_a_host)
{
	ck_assert_msg(parse_peer("1", "host=/run/peer"), "%s", error.message);
	ck_assert_int_eq(peer->id, 1);
	ck_assert_str_eq(peer->host, "/run/peer");
	ck_assert_int_eq(peer->port, SECTION_UNSET);
	ck_assert(parse_peer("65535", "host=a port=6433 pool_size=2"));
	ck_assert_int_eq(peer->id, 65535);
	ck_assert_int_eq(peer->port, 6433);
	ck_assert_int_eq(peer->pool_size, 2);
	ck_assert(!parse_peer("0", "host=a"));
	ck_assert_str_eq(error.message, "peer \"0\": the id of a peer must be 1 to 65535");
	ck_assert(!parse_peer("65536", "host=a"));
	ck_assert(!parse_peer("x", "host=a"));
	ck_assert(!parse_peer("1", "port=1"));
	ck_assert_str_eq(error.message, "peer \"1\": a peer needs its host");
	ck_assert(!parse_peer("1", "host=''"));
}
END_TEST

START_TEST(every_truncation_of_a_row_is_read_or_refused)
{
	static const char text[] = "host=a,b port=5432 user=bob password='it''s' pool_size=10 "
				   "pool_mode=session server_lifetime=1h connect_query=''";
	for (size_t i = 0; i < sizeof(text); i++) {
		char *cut = strndup(text, i);
		if (!parse_database("db", cut))
			files_assert_has(error.message, "database \"db\": ");
		free(cut);
	}
}
END_TEST

Suite *suite_section(void)
{
	Suite *suite = suite_create("section");
	TCase *tests = tcase_create("section");
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, a_database_row_has_all_its_keys);
	tcase_add_test(tests, what_a_row_does_not_name_is_unset);
	tcase_add_test(tests, the_last_of_equal_keys_wins_and_reserve_pool_is_an_alias);
	tcase_add_test(tests, names_of_the_console_are_reserved);
	tcase_add_test(tests, names_have_their_length);
	tcase_add_test(tests, wrong_values_are_refused);
	tcase_add_test(tests, long_hosts_are_refused);
	tcase_add_test(tests, long_passwords_are_taken_to_the_limit);
	tcase_add_test(tests, no_part_of_a_password_is_shown);
	tcase_add_test(tests, a_user_row_has_all_its_keys);
	tcase_add_test(tests, a_peer_row_has_a_number_and_a_host);
	tcase_add_test(tests, every_truncation_of_a_row_is_read_or_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
