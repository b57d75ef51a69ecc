/* SPDX-License-Identifier: ISC */
/* What a client's SQL comes to at its server, and what of the answers it sees: PREPARE and its kin,
 * session_features, RESET. All is sent as one piece, and byte by byte. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server, *other;

static void begin(const char *settings, int pieces)
{
	char all[256];
	snprintf(all, sizeof all, "max_prepared_statements = 10\nserver_check_query =\n%s",
		 settings);
	wire_open(all, NULL);
	client = wire_client();
	server = wire_first_server();
	wire_pieces(pieces ? 1 : 0);
}

/* The client says it, and its server gets that. */
static void becomes(const char *sql, const char *sent)
{
	char text[512];
	snprintf(text, sizeof text, "%s|", sent);
	wire_query(client, sql);
	wire_expect_message(server, 'Q', text);
	ck_assert_str_eq(server->text, text);
	wire_expect_nothing(server);
}

static void is_done(const char *sql, const char *sent, const char *tag)
{
	becomes(sql, sent);
	wire_answer(server, tag, 'I');
	wire_expect(client, "CZ");
}

/* The server goes; the next one knows nothing. */
static void next_server(void)
{
	wire_hang_up(server);
	server = NULL;
}

static void next_server_gets(const char *sql, const char *sent)
{
	char text[512];
	snprintf(text, sizeof text, "%s|", sent);
	wire_query(client, sql);
	server = wire_server();
	wire_expect_message(server, 'Q', text);
	ck_assert_str_eq(server->text, text);
	wire_expect_nothing(server);
}

static void says_tags(const char *first, const char *second)
{
	wire_say(server, 'C', first, strlen(first) + 1);
	wire_answer(server, second, 'I');
}

START_TEST(names_are_the_server_s)
{
	begin("", _i);
	is_done("PREPARE a AS SELECT 1", "PREPARE \"PGBOUNCER_1\" AS SELECT 1", "PREPARE");
	is_done("EXECUTE a", "EXECUTE \"PGBOUNCER_1\"", "SELECT 1");
	is_done("explain execute A ;", "explain execute \"PGBOUNCER_1\" ;", "EXPLAIN");
	is_done("SELECT 'EXECUTE a'; SELECT 2", "SELECT 'EXECUTE a'; SELECT 2", "SELECT 1");
	wire_close();
}
END_TEST

START_TEST(what_a_server_lacks_stands_in_front_in_the_same_write)
{
	begin("", _i);
	is_done("PREPARE a(int) AS SELECT $1", "PREPARE \"PGBOUNCER_1\"(int) AS SELECT $1",
		"PREPARE");
	next_server();
	next_server_gets("EXECUTE a(1)", "PREPARE \"PGBOUNCER_1\"(int) AS SELECT $1;"
					 "EXECUTE \"PGBOUNCER_1\"(1)");
	says_tags("PREPARE", "SELECT 1");
	wire_expect(client, "CZ");
	ck_assert_int_eq(client->type, 'Z');
	is_done("EXECUTE a(2)", "EXECUTE \"PGBOUNCER_1\"(2)", "SELECT 1");
	wire_close();
}
END_TEST

START_TEST(what_fails_in_front_is_not_there)
{
	begin("", _i);
	is_done("PREPARE a AS SELECT 1", "PREPARE \"PGBOUNCER_1\" AS SELECT 1", "PREPARE");
	next_server();
	for (int tries = 0; tries < 2; tries++) {
		const char *sent = "PREPARE \"PGBOUNCER_1\" AS SELECT 1;EXECUTE \"PGBOUNCER_1\"";
		if (tries == 0)
			next_server_gets("EXECUTE a", sent);
		else
			becomes("EXECUTE a", sent);
		wire_error(server, "ERROR", "42P01", "relation is gone");
		wire_ready(server, 'I');
		wire_expect_error(client, "ERROR", "42P01", "relation is gone");
		wire_expect(client, "Z");
	}
	wire_close();
}
END_TEST

START_TEST(errors_speak_of_the_client_s_name)
{
	begin("", _i);
	becomes("EXECUTE a", "EXECUTE \"PGBOUNCER_none\"");
	wire_error(server, "ERROR", "26000",
		   "prepared statement \"PGBOUNCER_none\" does not exist");
	wire_ready(server, 'I');
	wire_expect_error(client, "ERROR", "26000", "prepared statement \"a\" does not exist");
	wire_expect(client, "Z");
	is_done("PREPARE a AS SELECT 1", "PREPARE \"PGBOUNCER_1\" AS SELECT 1", "PREPARE");
	becomes("PREPARE a AS SELECT 2", "PREPARE \"PGBOUNCER_1\" AS SELECT 2");
	wire_error(server, "ERROR", "42P05", "prepared statement \"PGBOUNCER_1\" already exists");
	wire_ready(server, 'I');
	wire_expect_error(client, "ERROR", "42P05", "prepared statement \"a\" already exists");
	wire_expect(client, "Z");
	wire_close();
}
END_TEST

START_TEST(a_server_that_takes_what_it_should_refuse_is_closed)
{
	begin("", _i);
	becomes("EXECUTE a", "EXECUTE \"PGBOUNCER_none\"");
	wire_answer(server, "SELECT 1", 'I');
	wire_expect_fatal(client, "08006", "server broke the protocol");
	wire_expect_closed(server);
	wire_close();
}
END_TEST

START_TEST(a_client_s_deallocate_drops_a_spare_one)
{
	begin("", _i);
	is_done("PREPARE a AS SELECT 1", "PREPARE \"PGBOUNCER_1\" AS SELECT 1", "PREPARE");
	becomes("DEALLOCATE a", "PREPARE \"PGBOUNCER_spare_1\" AS SELECT 1;"
				"DEALLOCATE \"PGBOUNCER_spare_1\"");
	says_tags("PREPARE", "DEALLOCATE");
	wire_expect(client, "CZ");
	becomes("EXECUTE a", "EXECUTE \"PGBOUNCER_none\"");
	wire_error(server, "ERROR", "26000", "x");
	wire_ready(server, 'I');
	wire_expect(client, "EZ");
	/* in a failed transaction nothing is dropped */
	becomes("PREPARE a AS SELECT 1",
		"DEALLOCATE \"PGBOUNCER_1\";PREPARE \"PGBOUNCER_1\" AS SELECT 1");
	says_tags("DEALLOCATE", "PREPARE");
	wire_expect(client, "CZ");
	becomes("DEALLOCATE a", "PREPARE \"PGBOUNCER_spare_2\" AS SELECT 1;"
				"DEALLOCATE \"PGBOUNCER_spare_2\"");
	wire_error(server, "ERROR", "25P02", "aborted");
	wire_ready(server, 'I');
	wire_expect(client, "EZ");
	is_done("EXECUTE a", "EXECUTE \"PGBOUNCER_1\"", "SELECT 1");
	wire_close();
}
END_TEST

START_TEST(clients_have_their_own_and_share_what_is_the_same)
{
	begin("default_pool_size = 1", _i);
	is_done("PREPARE a AS SELECT 1", "PREPARE \"PGBOUNCER_1\" AS SELECT 1", "PREPARE");
	wire_pieces(0);
	other = wire_client();
	wire_query(other, "EXECUTE a");
	wire_expect_message(server, 'Q', "EXECUTE \"PGBOUNCER_none\"|");
	wire_error(server, "ERROR", "26000", "x");
	wire_ready(server, 'I');
	wire_expect(other, "EZ");
	wire_query(other, "PREPARE b AS SELECT 1");
	wire_expect_message(server, 'Q',
			    "DEALLOCATE \"PGBOUNCER_1\";PREPARE \"PGBOUNCER_1\" AS SELECT 1|");
	says_tags("DEALLOCATE", "PREPARE");
	wire_expect(other, "CZ");
	is_done("EXECUTE a", "EXECUTE \"PGBOUNCER_1\"", "SELECT 1");
	wire_close();
}
END_TEST

START_TEST(what_may_change_names_is_awaited)
{
	begin("", _i);
	wire_query(client, "PREPARE a AS SELECT 1");
	wire_expect_message(server, 'Q', "PREPARE \"PGBOUNCER_1\" AS SELECT 1|");
	wire_query(client, "EXECUTE a");
	wire_expect_nothing(server);
	wire_error(server, "ERROR", "42601", "syntax");
	wire_ready(server, 'I');
	wire_expect(client, "EZ");
	wire_expect_message(server, 'Q', "EXECUTE \"PGBOUNCER_none\"|");
	wire_error(server, "ERROR", "26000", "x");
	wire_ready(server, 'I');
	wire_expect(client, "EZ");
	wire_close();
}
END_TEST

START_TEST(a_refusal_is_an_error_of_the_server_too)
{
	begin("session_features = listen=error", _i);
	becomes("LISTEN x", "refused by the pooler (session_features) \"");
	wire_error(server, "ERROR", "42601", "unterminated quoted identifier");
	wire_ready(server, 'E');
	wire_expect_message(client, 'E',
			    "SERROR|VERROR|C0A000|MLISTEN needs a session of its own, which "
			    "pool_mode transaction does not give|H");
	wire_expect(client, "Z");
	ck_assert_str_eq(client->text, "E");
	wire_close();
}
END_TEST

START_TEST(a_warning_stands_before_the_answer)
{
	begin("session_features = warn", _i);
	for (int times = 0; times < 2; times++) {
		becomes("LOAD 'x'", "LOAD 'x'");
		wire_answer(server, "LOAD", 'I');
		if (times == 0)
			wire_expect_message(client, 'N',
					    "SWARNING|VWARNING|C01000|MLOAD needs a session of its "
					    "own, which pool_mode transaction does not give|H");
		wire_expect(client, "CZ");
	}
	wire_close();
}
END_TEST

static void status(const char *name, const char *value)
{
	char body[64];
	int size = snprintf(body, sizeof body, "%s%c%s", name, 0, value);
	wire_say(server, 'S', body, (size_t)size + 1);
}

START_TEST(a_reset_is_over_when_the_client_s_values_are_back)
{
	static const char asked[] = "DateStyle\0German";
	const char *mode = _i & 2 ? "pool_mode = session" : "pool_mode = transaction";
	begin(mode, 0);
	client = wire_client_as("u1", asked, sizeof asked);
	wire_pieces(_i & 1);
	wire_query(client, "SELECT 1");
	wire_expect_message(server, 'Q', "SET DateStyle='German';|");
	status("DateStyle", "German, DMY");
	wire_answer(server, "SET", 'I');
	wire_expect_message(server, 'Q', "SELECT 1|");
	wire_answer(server, "SELECT 1", 'I');
	wire_read(client);
	client->length = 0;
	becomes("RESET ALL", "RESET ALL");
	wire_say(server, 'C', "RESET", sizeof "RESET");
	status("DateStyle", "ISO, MDY");
	wire_ready(server, 'I');
	wire_expect(client, "C"); /* it is not over */
	wire_expect_message(server, 'Q', "SET DateStyle='German, DMY';|");
	wire_query(client, "SELECT 2"); /* waits, or goes behind it */
	status("DateStyle", "German, DMY");
	wire_answer(server, "SET", 'I');
	wire_expect(client, "Z"); /* and nothing has changed */
	wire_expect_message(server, 'Q', "SELECT 2|");
	wire_answer(server, "SELECT 1", 'I');
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_reset_that_fails_changes_nothing)
{
	static const char asked[] = "DateStyle\0German";
	begin("", 0);
	client = wire_client_as("u1", asked, sizeof asked);
	wire_pieces(_i ? 1 : 0);
	wire_query(client, "DISCARD ALL");
	wire_expect_message(server, 'Q', "SET DateStyle='German';|");
	status("DateStyle", "German, DMY");
	wire_answer(server, "SET", 'I');
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_read(client);
	client->length = 0;
	wire_error(server, "ERROR", "25001", "cannot run inside a transaction block");
	wire_ready(server, 'I');
	wire_expect(client, "EZ");
	wire_expect_nothing(server);
	wire_close();
}
END_TEST

Suite *suite_sql(void)
{
	Suite *suite = suite_create("sql");
	TCase *tcase = tcase_create("sql");
	tcase_add_loop_test(tcase, names_are_the_server_s, 0, 2);
	tcase_add_loop_test(tcase, what_a_server_lacks_stands_in_front_in_the_same_write, 0, 2);
	tcase_add_loop_test(tcase, what_fails_in_front_is_not_there, 0, 2);
	tcase_add_loop_test(tcase, errors_speak_of_the_client_s_name, 0, 2);
	tcase_add_loop_test(tcase, a_server_that_takes_what_it_should_refuse_is_closed, 0, 1);
	tcase_add_loop_test(tcase, a_client_s_deallocate_drops_a_spare_one, 0, 2);
	tcase_add_loop_test(tcase, clients_have_their_own_and_share_what_is_the_same, 0, 2);
	tcase_add_loop_test(tcase, what_may_change_names_is_awaited, 0, 2);
	tcase_add_loop_test(tcase, a_refusal_is_an_error_of_the_server_too, 0, 2);
	tcase_add_loop_test(tcase, a_warning_stands_before_the_answer, 0, 2);
	tcase_add_loop_test(tcase, a_reset_is_over_when_the_client_s_values_are_back, 0, 4);
	tcase_add_loop_test(tcase, a_reset_that_fails_changes_nothing, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
