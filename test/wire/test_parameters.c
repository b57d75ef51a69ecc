/* SPDX-License-Identifier: ISC */
/* Values of session parameters follow their client from server to server. */
#include "config.h"
#include <string.h>
#include <stdio.h>
#include "config/snapshot.h"
#include "conn/client.h"
#include "conn/gate.h"
#include "core/error.h"
#include "pool/pool.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server;

static void begin(const char *settings, const char *row)
{
	wire_open(settings, row);
	client = wire_client();
	server = wire_first_server();
	wire_expect_pool("active 1 / idle 1");
}

static void say_parameter(struct wire_peer *by, const char *name, const char *value)
{
	char body[256];
	size_t size = strlen(name) + 1;
	memcpy(body, name, size);
	memcpy(body + size, value, strlen(value) + 1);
	wire_say(by, 'S', body, size + strlen(value) + 1);
}

/* A client logs in with these pairs; its greeting must have @status among its ParameterStatus. */
static struct wire_peer *wishes(const char *pairs, size_t size, const char *status)
{
	struct wire_peer *who = wire_connect();
	bool found = false;
	wire_say_startup(who, "u1", pairs, size);
	while (wire_next(who))
		found |= who->type == 'S' && !strcmp(who->text, status);
	ck_assert_msg(found, "no ParameterStatus \"%s\"", status);
	ck_assert_uint_eq(who->type, 'Z');
	return who;
}
#define WISHES(text, status) wishes(text, sizeof text, status)

/* Its request comes behind a SET that is sent in the same write. */
static void asks_with(struct wire_peer *who, const char *set)
{
	wire_query(who, "mine");
	wire_expect_message(server, 'Q', set);
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(server);
}

/* Its request waits until the SET is done. */
static void asks_after(struct wire_peer *who, const char *set)
{
	wire_query(who, "mine");
	wire_expect_message(server, 'Q', set);
	wire_expect_nothing(server);
	ck_assert(wire_inside(who)->stalled);
}

static void asks_plainly(struct wire_peer *who)
{
	wire_query(who, "mine");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(server);
}

static void is_answered(struct wire_peer *who)
{
	wire_answer(server, "MINE", 'I');
	wire_expect_message(who, 'C', "MINE|");
	wire_expect(who, "Z");
}

START_TEST(the_greeting_has_the_clients_own_values)
{
	begin(NULL, NULL);
	WISHES("datestyle\0German", "DateStyle|German|");
	WISHES("TIMEZONE\0CET\0application_name\0psql", "TimeZone|CET|");
	WISHES("options\0-c timezone=MET", "TimeZone|MET|");
	WISHES("options\0--client-encoding=LATIN1", "client_encoding|LATIN1|");
	wire_close();
}
END_TEST

START_TEST(equal_values_need_no_set)
{
	begin(NULL, NULL);
	asks_plainly(client);
	is_answered(client);
	struct wire_peer *who =
		WISHES("DateStyle\0ISO, MDY\0client_encoding\0UTF8", "DateStyle|ISO, MDY|");
	asks_plainly(who);
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(new_values_are_set_before_the_first_request_goes_out)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("application_name\0psql", "application_name|psql|");
	asks_after(who, "SET application_name='psql';|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "C");
	wire_expect_nothing(server);
	wire_server_says(server, "Z");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(who); /* nothing of the SET's answer */
	is_answered(who);
	/* the same server needs no SET again */
	asks_plainly(who);
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(what_is_said_while_values_are_set_stays_in_order)
{
	uint8_t bytes[64];
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("application_name\0psql", "application_name|psql|");
	asks_after(who, "SET ");
	wire_query(who, "two");
	size_t size = wire_put(bytes, 'Q', "three", 6);
	wire_send(who, bytes, 8);
	wire_expect_nothing(server);
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_message(server, 'Q', "two|");
	wire_send(who, bytes + 8, size - 8);
	wire_expect_message(server, 'Q', "three|");
	wire_server_says(server, "CZCZCZ");
	wire_expect(who, "CZCZCZ");
	wire_expect_pool("active 2 / idle 1");
	wire_close();
}
END_TEST

START_TEST(proven_values_go_out_with_the_request)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("application_name\0psql", "application_name|psql|");
	asks_after(who, "SET application_name='psql';|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZ");
	wire_expect(server, "Q");
	is_answered(who);
	/* another client gets its own back */
	asks_with(client, "SET application_name='';|");
	say_parameter(server, "application_name", "");
	wire_server_says(server, "CZ");
	wire_expect_nothing(client);
	is_answered(client);
	/* and back again, also for a third that wants the same */
	asks_with(who, "SET application_name='psql';|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZTDCZ");
	wire_expect(who, "TDCZ");
	struct wire_peer *third = WISHES("application_name\0psql", "application_name|psql|");
	asks_plainly(third);
	is_answered(third);
	wire_expect_pool("active 3 / idle 1");
	wire_close();
}
END_TEST

START_TEST(every_split_of_a_swallowed_answer_gives_the_same)
{
	uint8_t bytes[256];
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("application_name\0psql", "application_name|psql|");
	size_t size = 0;
	for (size_t split = 0; split == 0 || split <= size; split++) {
		struct wire_peer *asker = split % 2 ? client : who;
		const char *value = split % 2 ? "" : "psql";
		char body[64] = "application_name";
		strcpy(body + 17, value);
		wire_query(asker, "mine");
		wire_expect_message(server, 'Q', "SET application_name=");
		size = wire_put_types(bytes, "N", true);
		size += wire_put(bytes + size, 'S', body, 18 + strlen(value));
		size += wire_put_types(bytes + size, "CZ", true);
		bool at_once = wire_next(server);
		if (at_once) /* the answer to the request may come in the same read */
			size += wire_put_types(bytes + size, "TDCZ", true);
		wire_send(server, bytes, split < size ? split : size);
		wire_send(server, bytes + (split < size ? split : size),
			  size - (split < size ? split : size));
		if (!at_once) {
			wire_expect(server, "Q");
			wire_server_says(server, "TDCZ");
		}
		wire_expect(asker, "TDCZ");
		wire_expect_pool("active 2 / idle 1");
	}
	wire_close();
}
END_TEST

START_TEST(a_value_is_told_as_the_server_made_it)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("DateStyle\0german", "DateStyle|german|");
	asks_after(who, "SET DateStyle='german';|");
	say_parameter(server, "DateStyle", "German, DMY");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_message(who, 'S', "DateStyle|German, DMY|");
	is_answered(who);
	asks_plainly(who);
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(a_value_that_the_server_refuses_ends_the_client)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("TimeZone\0Nowhere", "TimeZone|Nowhere|");
	asks_after(who, "SET TimeZone='Nowhere';|");
	wire_error(server, "ERROR", "22023",
		   "invalid value for parameter \"TimeZone\": \"Nowhere\"");
	wire_ready(server, 'I');
	wire_expect_fatal(who, "22023", "invalid value for parameter \"TimeZone\": \"Nowhere\"|");
	wire_expect_nothing(server); /* the request did not reach it, and it is none the worse */
	wire_expect_open(client);
	wire_expect_pool("active 1 / idle 1");
	asks_plainly(client);
	is_answered(client);
	wire_close();
}
END_TEST

START_TEST(a_server_that_is_lost_in_its_set_is_told_as_lost)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("TimeZone\0CET", "TimeZone|CET|");
	asks_after(who, "SET TimeZone='CET';|");
	if (_i == 1)
		wire_server_says(server, "C");
	wire_hang_up(server);
	wire_expect_fatal(who, "08006", "server conn crashed?|");
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(a_breach_in_the_answer_to_a_set_is_told)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("TimeZone\0CET", "TimeZone|CET|");
	asks_after(who, "SET TimeZone='CET';|");
	wire_send(server, "?\0\0\0\4", 5);
	wire_expect_fatal(who, "08006", "server broke the protocol|");
	wire_expect_closed(server);
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(what_a_client_sets_itself_is_learned_and_follows_it)
{
	begin(NULL, NULL);
	struct wire_peer *other = wire_client();
	wire_query(client, "SET TimeZone TO 'CET'");
	wire_expect(server, "Q");
	say_parameter(server, "TimeZone", "CET");
	wire_server_says(server, "CZ");
	wire_expect_message(client, 'S', "TimeZone|CET|");
	wire_expect(client, "CZ");
	asks_with(other, "SET TimeZone='Etc/UTC';|");
	say_parameter(server, "TimeZone", "Etc/UTC");
	wire_server_says(server, "CZ");
	is_answered(other);
	/* a value that a server reported is a good one, but only who had all of them knows */
	wire_query(client, "mine");
	wire_expect_message(server, 'Q', "SET TimeZone='CET';|");
	say_parameter(server, "TimeZone", "CET");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	is_answered(client);
	wire_close();
}
END_TEST

START_TEST(a_set_that_is_rolled_back_is_learned_too)
{
	begin(NULL, NULL);
	wire_query(client, "BEGIN; SET TimeZone TO 'CET'; ROLLBACK");
	wire_expect(server, "Q");
	wire_server_says(server, "C");
	say_parameter(server, "TimeZone", "CET");
	wire_server_says(server, "C");
	say_parameter(server, "TimeZone", "Etc/UTC");
	wire_server_says(server, "CZ");
	wire_expect(client, "CSCSCZ");
	asks_plainly(client);
	is_answered(client);
	wire_close();
}
END_TEST

START_TEST(values_that_are_not_tracked_pass_and_are_forgotten)
{
	begin(NULL, NULL);
	struct wire_peer *other = wire_client();
	wire_query(client, "mine");
	wire_expect(server, "Q");
	say_parameter(server, "in_hot_standby", "on");
	wire_expect_message(client, 'S', "in_hot_standby|on|");
	is_answered(client);
	asks_plainly(other);
	is_answered(other);
	wire_close();
}
END_TEST

START_TEST(a_value_that_an_idle_server_reports_is_set_back_for_the_next_client)
{
	begin(NULL, NULL);
	say_parameter(server, "TimeZone", "CET"); /* its configuration was reloaded */
	wire_expect_nothing(client);
	asks_with(client, "SET TimeZone='Etc/UTC';|");
	wire_close();
}
END_TEST

START_TEST(values_are_set_on_each_new_server)
{
	begin("default_pool_size = 2", NULL);
	struct wire_peer *who = WISHES("application_name\0psql", "application_name|psql|");
	asks_after(who, "SET application_name='psql';|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZ");
	wire_expect(server, "Q");
	is_answered(who);
	wire_hang_up(server);
	wire_query(who, "mine");
	server = wire_server();
	wire_expect_message(server, 'Q', "SET application_name='psql';|");
	wire_expect_message(server, 'Q', "mine|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZ");
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(a_database_row_has_values_for_those_who_ask_for_none)
{
	wire_open(NULL, "timezone='CET' application_name='via'");
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	ck_assert_ptr_nonnull(memmem(server->in, server->length, "TimeZone\0CET", 13));
	ck_assert_ptr_nonnull(memmem(server->in, server->length, "application_name\0via", 21));
	server->length = 0;
	wire_welcome(server);
	bool zone = false;
	while (wire_next(client))
		zone |= !strcmp(client->text, "TimeZone|CET|");
	ck_assert(zone);
	wire_close();
}
END_TEST

START_TEST(values_are_quoted)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("application_name\0'; DROP TABLE t; --\\",
				       "application_name|'; DROP TABLE t; --\\|");
	wire_query(who, "mine");
	wire_expect_message(server, 'Q', "SET application_name=E'''; DROP TABLE t; --\\\\';|");
	wire_close();
}
END_TEST

START_TEST(a_session_sets_its_values_once)
{
	begin("pool_mode = session", NULL);
	struct wire_peer *who = WISHES("application_name\0psql", "application_name|psql|");
	asks_after(who, "SET application_name='psql';|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZ");
	wire_expect(server, "Q");
	is_answered(who);
	asks_plainly(who);
	is_answered(who);
	wire_client_says(who, "X");
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	say_parameter(server, "application_name", "");
	wire_server_says(server, "CZ");
	asks_plainly(client);
	is_answered(client);
	wire_close();
}
END_TEST

/* ---- extras: what PostgreSQL does not report ---- */

/* A client that asks for what no server of its pool has had: one must take it first. */
static struct wire_peer *tries(const char *pairs, size_t size, const char *set)
{
	struct wire_peer *who = wire_connect();
	wire_say_startup(who, "u1", pairs, size);
	wire_expect(who, "R");
	wire_expect_message(server, 'Q', set);
	wire_expect_nothing(server);
	ck_assert_str_eq(wire_state(who), "TRIAL");
	return who;
}
#define TRIES(text, set) tries(text, sizeof text, set)

/* It is, and the client is greeted. */
static struct wire_peer *taken(struct wire_peer *who)
{
	wire_server_says(server, "C");
	wire_expect_nothing(who);
	wire_server_says(server, "Z");
	wire_expect(who, "SSSSSSSKZ");
	return who;
}

static void logs_in(struct wire_peer *who, const char *pairs, size_t size)
{
	wire_say_startup(who, "u1", pairs, size);
	wire_expect(who, "RSSSSSSSKZ");
}

START_TEST(extras_are_tried_then_go_out_with_the_request_and_are_taken_back)
{
	begin(NULL, NULL);
	struct wire_peer *who =
		taken(TRIES("Statement_Timeout\0005s", "SET \"statement_timeout\"='5s';|"));
	wire_expect_pool("active 2 / idle 1");
	asks_plainly(who); /* the server has it */
	is_answered(who);
	asks_with(client, "RESET \"statement_timeout\";|");
	wire_server_says(server, "CZ");
	is_answered(client);
	asks_plainly(client);
	is_answered(client);
	asks_with(who, "SET \"statement_timeout\"='5s';|");
	wire_server_says(server, "CZ");
	is_answered(who);
	/* the next that asks for the same is greeted at once, and finds it in force */
	struct wire_peer *third = wire_connect();
	logs_in(third, "options\0-c statement_timeout=5s", 32);
	asks_plainly(third);
	is_answered(third);
	struct wire_peer *other = taken(TRIES(
		"lock_timeout\0001s", "RESET \"statement_timeout\";SET \"lock_timeout\"='1s';|"));
	asks_plainly(other);
	is_answered(other);
	wire_close();
}
END_TEST

START_TEST(lists_are_set_as_they_stand)
{
	begin(NULL, NULL);
	struct wire_peer *who = taken(
		TRIES("search_path\0\"A b\", it's",
		      "SELECT pg_catalog.set_config('search_path','\"A b\", it''s',false);|"));
	asks_plainly(who);
	is_answered(who);
	asks_with(client, "RESET \"search_path\";|");
	wire_server_says(server, "CZ");
	is_answered(client);
	asks_with(who, "SELECT pg_catalog.set_config('search_path',");
	wire_server_says(server, "TDCZ");
	wire_expect_nothing(who);
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(what_postgresql_refuses_is_told_at_login_and_the_server_lives)
{
	begin(NULL, NULL);
	for (int i = 0; i < 3; i++) {
		struct wire_peer *who = TRIES("work_mem\0lots", "SET \"work_mem\"='lots';|");
		wire_error(server, "ERROR", "22023", "invalid value for parameter \"work_mem\"");
		wire_ready(server, 'I');
		wire_expect_fatal(who, "22023", "invalid value for parameter \"work_mem\"|");
		wire_expect_pool("active 1 / idle 1");
	}
	asks_plainly(client);
	is_answered(client);
	wire_close();
}
END_TEST

START_TEST(an_error_in_pieces_is_told_whole)
{
	static const char error[] = "SERROR\0VERROR\0C22023\0Mno\0Dwhy\0Hdo better\0";
	uint8_t bytes[128];
	begin(NULL, NULL);
	size_t size = wire_put(bytes, 'E', error, sizeof error);
	size += wire_put_types(bytes + size, "Z", true);
	for (size_t split = 1; split < size; split++) {
		struct wire_peer *who = TRIES("work_mem\0lots", "SET \"work_mem\"='lots';|");
		wire_send(server, bytes, split);
		wire_send(server, bytes + split, size - split);
		wire_expect_fatal(who, "22023", "no|Dwhy|Hdo better|");
	}
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

/* Nobody is greeted before it is known that PostgreSQL takes the values: until then it waits as
 * clients wait. */
START_TEST(who_must_be_tried_waits_for_a_server)
{
	begin("query_wait_timeout = 3", NULL);
	asks_plainly(client);
	struct wire_peer *first = wire_connect(), *second = wire_connect(), *late = wire_connect();
	wire_say_startup(first, "u1", "work_mem\0001MB", 13);
	wire_say_startup(second, "u1", "work_mem\0001MB", 13);
	wire_expect(first, "R");
	wire_query(second, "early");
	wire_expect(second, "R");
	ck_assert_str_eq(wire_state(first), "TRIAL_WAITING");
	wire_expect_pool("active 1, waiting 2 / active 1");
	is_answered(client);
	wire_expect_message(server, 'Q', "SET \"work_mem\"='1MB';|");
	wire_server_says(server, "CZ");
	wire_expect(first, "SSSSSSSKZ");
	/* The server has it already: nothing is to be tried. */
	wire_expect(second, "SSSSSSSKZ");
	wire_expect_message(server, 'Q', "early|");
	/* It is proven by now. */
	logs_in(late, "work_mem\0001MB", 13);
	wire_hang_up(late);
	late = wire_connect();
	wire_say_startup(late, "u1", "work_mem\0002MB", 13);
	wire_expect(late, "R");
	wire_advance(3 * USEC_PER_SECOND);
	wire_expect_fatal(late, "08006", "query_wait_timeout|");
	is_answered(second);
	wire_expect_pool("active 3 / idle 1");
	wire_close();
}
END_TEST

START_TEST(who_must_be_tried_is_told_that_there_is_no_server)
{
	begin(NULL, NULL);
	wire_hang_up(server);
	struct wire_peer *who = wire_connect();
	wire_say_startup(who, "u1", "work_mem\0001MB", 13);
	wire_expect(who, "R");
	ck_assert_str_eq(wire_state(who), "TRIAL_WAITING");
	server = wire_accept();
	wire_error(server, "FATAL", "28P01", "not you");
	wire_expect_fatal(who, "28P01", "not you|");
	/* The next is told at once. */
	who = wire_connect();
	wire_say_startup(who, "u1", "work_mem\0001MB", 13);
	wire_expect_message(who, 'R', "");
	wire_expect_fatal(who, "28P01", "server login has been failing, cached error: not you");
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(a_trial_comes_to_its_end_in_time)
{
	begin("client_login_timeout = 2", NULL);
	struct wire_peer *who = TRIES("work_mem\0001MB", "SET ");
	wire_advance(2 * USEC_PER_SECOND);
	wire_expect_fatal(who, "08P01", "client_login_timeout|");
	wire_expect_closed(server); /* what it will answer is not known */
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(who_leaves_while_it_is_tried_takes_its_server_along)
{
	begin(NULL, NULL);
	struct wire_peer *who = TRIES("work_mem\0001MB", "SET ");
	wire_hang_up(who);
	wire_expect_closed(server);
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(the_first_client_of_a_pool_is_tried_too)
{
	wire_open(NULL, NULL);
	struct wire_peer *who = wire_connect();
	wire_say_startup(who, "u1", "work_mem\0001MB", 13);
	server = wire_server();
	wire_expect(who, "R");
	wire_expect_message(server, 'Q', "SET \"work_mem\"='1MB';|");
	wire_server_says(server, "CZ");
	wire_expect(who, "SSSSSSSKZ");
	asks_plainly(who);
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(values_that_are_made_canonical_are_told_in_the_greeting)
{
	begin(NULL, NULL);
	struct wire_peer *who =
		TRIES("DateStyle\0german\0work_mem\0001MB",
		      "RESET DateStyle;SET DateStyle='german';SET \"work_mem\"='1MB';|");
	say_parameter(server, "DateStyle", "German, DMY");
	wire_server_says(server, "CZ");
	bool found = false;
	while (wire_next(who))
		found |= who->type == 'S' && !strcmp(who->text, "DateStyle|German, DMY|");
	ck_assert(found && who->type == 'Z');
	asks_plainly(who);
	is_answered(who);
	/* Who asks for the same is known to mean that. */
	struct wire_peer *next =
		WISHES("DateStyle\0german\0work_mem\0001MB", "DateStyle|German, DMY|");
	asks_plainly(next);
	is_answered(next);
	ck_assert_ptr_eq(wire_inside(who)->startup, wire_inside(next)->startup);
	ck_assert_str_eq(parameter_get(wire_inside(who)->startup, "DateStyle"), "German, DMY");
	wire_close();
}
END_TEST

START_TEST(what_is_proven_is_so_whatever_the_client_is_called)
{
	begin(NULL, NULL);
	taken(TRIES("work_mem\0001MB", "SET "));
	struct wire_peer *who =
		WISHES("work_mem\0001MB\0application_name\0psql", "application_name|psql|");
	asks_after(who, "SET application_name='psql';|");
	say_parameter(server, "application_name", "psql");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	is_answered(who);
	wire_close();
}
END_TEST

START_TEST(what_another_client_proved_is_proven_for_its_pool_only)
{
	begin("default_pool_size = 1", NULL);
	taken(TRIES("work_mem\0001MB", "SET "));
	struct wire_peer *other = wire_connect();
	wire_say_startup(other, "u2", "work_mem\0001MB", 13);
	server = wire_server();
	wire_expect(other, "R");
	wire_expect_message(server, 'Q', "SET \"work_mem\"='1MB';|");
	taken(other);
	wire_close();
}
END_TEST

START_TEST(a_proven_value_that_is_refused_all_the_same_ends_both)
{
	begin(NULL, NULL);
	struct wire_peer *who = taken(TRIES("work_mem\0001MB", "SET "));
	asks_with(client, "RESET ");
	wire_server_says(server, "CZ");
	is_answered(client);
	asks_with(who, "SET \"work_mem\"='1MB';|");
	wire_error(server, "ERROR", "42501", "permission denied");
	wire_ready(server, 'I');
	wire_expect_fatal(who, "42501", "permission denied|");
	wire_expect_closed(server); /* it does the request with other values */
	/* From then on it is not taken for granted. */
	who = wire_connect();
	wire_say_startup(who, "u1", "work_mem\0001MB", 13);
	server = wire_server();
	wire_expect(who, "R");
	wire_expect_message(server, 'Q', "SET \"work_mem\"='1MB';|");
	taken(who);
	wire_close();
}
END_TEST

/* @reset: server_reset_query, which leaves extras or not. */
static void leaves_a_session(const char *reset, const char *tag, const char *expected)
{
	char settings[256];
	snprintf(settings, sizeof settings, "pool_mode = session\nserver_reset_query = %s", reset);
	wire_open(settings, NULL);
	client = wire_client();
	server = wire_first_server();
	struct wire_peer *who = taken(
		TRIES("role\0bob\0work_mem\0001MB", "SET \"work_mem\"='1MB';SET \"role\"='bob';|"));
	ck_assert_str_eq(wire_state(who), "ACTIVE");
	wire_client_says(who, "X");
	if (*reset) {
		wire_expect_message(server, 'Q', reset);
		wire_answer(server, tag, 'I');
	}
	wire_query(client, "mine");
	if (*expected) {
		wire_expect_message(server, 'Q', expected);
		wire_server_says(server, "CZ");
	}
	wire_expect_message(server, 'Q', "mine|");
	is_answered(client);
	wire_close();
}

START_TEST(a_reset_query_takes_extras_away)
{
	static const char *const rows[][3] = {
		{"DISCARD ALL", "DISCARD ALL", ""},
		{"reset  all", "RESET", "RESET \"role\";|"}, /* that does not touch the role */
		{"RESET timezone", "RESET", "RESET \"role\";RESET \"work_mem\";|"},
		{"SELECT 1", "SELECT 1", "RESET \"role\";RESET \"work_mem\";|"},
		{"", "", "RESET \"role\";RESET \"work_mem\";|"},
	};
	leaves_a_session(rows[_i][0], rows[_i][1], rows[_i][2]);
}
END_TEST

START_TEST(a_session_that_began_early_goes_on_behind_its_trial)
{
	begin("pool_mode = session", NULL);
	struct wire_peer *who = TRIES("work_mem\0001MB", "SET ");
	wire_query(who, "early");
	wire_expect_nothing(server);
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "early|");
	wire_expect(who, "SSSSSSSKZ");
	is_answered(who);
	ck_assert_str_eq(wire_state(who), "ACTIVE");
	wire_close();
}
END_TEST

/* ---- other names are tracked ---- */

static void track(const char *names)
{
	struct error error;
	ck_assert_msg(snapshot_set(SETTING_track_extra_parameters, names, &error), "%s",
		      error.message);
	registry_apply();
	gate_reconfigured();
	wire_settle();
}

START_TEST(a_name_that_is_tracked_from_now_on_follows_those_who_are_there)
{
	begin(NULL, NULL);
	track("IntervalStyle, server_version"); /* of the greeting */
	wire_expect(server, "X");
	wire_expect_closed(server);
	ck_assert_str_eq(parameter_get(wire_inside(client)->parameters, "server_version"), "15.0");
	wire_query(client, "mine");
	server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	say_parameter(server, "server_version", "16");
	wire_expect_message(client, 'S', "server_version|16|");
	is_answered(client);
	struct wire_peer *other = wire_connect();
	logs_in(other, NULL, 0);
	asks_with(other, "SET server_version='15.0';|");
	say_parameter(server, "server_version", "15.0");
	wire_server_says(server, "CZ");
	is_answered(other);
	wire_query(client, "mine");
	wire_expect_message(server, 'Q', "SET server_version='16';|");
	wire_close();
}
END_TEST

START_TEST(a_name_that_is_tracked_no_more_stays_with_those_who_asked_for_it)
{
	begin(NULL, NULL);
	struct wire_peer *who = WISHES("IntervalStyle\0iso_8601", "IntervalStyle|iso_8601|");
	asks_after(who, "SET IntervalStyle='iso_8601';|");
	say_parameter(server, "IntervalStyle", "iso_8601");
	wire_server_says(server, "CZ");
	wire_expect(server, "Q");
	track(""); /* in the middle of a request */
	is_answered(who);
	wire_expect(server, "X");
	ck_assert_ptr_null(parameter_get(wire_inside(client)->parameters, "IntervalStyle"));
	wire_query(who, "mine");
	server = wire_server();
	wire_expect_message(server, 'Q', "SET \"intervalstyle\"='iso_8601';|");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	is_answered(who);
	asks_with(client, "RESET \"intervalstyle\";|");
	wire_close();
}
END_TEST

START_TEST(a_list_that_is_no_other_changes_nothing)
{
	begin(NULL, NULL);
	track("IntervalStyle , timezone");
	wire_expect_nothing(server);
	asks_plainly(client);
	is_answered(client);
	wire_close();
}
END_TEST

START_TEST(a_list_of_names_that_is_tracked_is_set_as_it_stands)
{
	begin(NULL, NULL);
	track("IntervalStyle, search_path");
	wire_expect_closed(server);
	struct wire_peer *other = wire_client();
	wire_query(client, "mine");
	server = wire_server();
	wire_expect(server, "Q");
	say_parameter(server, "search_path", "\"$user\", public");
	wire_answer(server, "SET", 'I');
	wire_expect(client, "SCZ");
	wire_query(other, "mine");
	wire_expect_message(server, 'Q', "mine|"); /* it has none: none was there at its login */
	say_parameter(server, "search_path", "b");
	wire_answer(server, "SET", 'I');
	wire_query(client, "mine");
	wire_expect_message(
		server, 'Q',
		"SELECT pg_catalog.set_config('search_path','\"$user\", public',false);|");
	wire_close();
}
END_TEST

Suite *suite_parameters(void)
{
	Suite *suite = suite_create("wire/parameters");
	TCase *tcase = tcase_create("parameters");
	tcase_add_test(tcase, the_greeting_has_the_clients_own_values);
	tcase_add_test(tcase, equal_values_need_no_set);
	tcase_add_test(tcase, new_values_are_set_before_the_first_request_goes_out);
	tcase_add_test(tcase, what_is_said_while_values_are_set_stays_in_order);
	tcase_add_test(tcase, proven_values_go_out_with_the_request);
	tcase_add_test(tcase, every_split_of_a_swallowed_answer_gives_the_same);
	tcase_add_test(tcase, a_value_is_told_as_the_server_made_it);
	tcase_add_test(tcase, a_value_that_the_server_refuses_ends_the_client);
	tcase_add_loop_test(tcase, a_server_that_is_lost_in_its_set_is_told_as_lost, 0, 2);
	tcase_add_test(tcase, a_breach_in_the_answer_to_a_set_is_told);
	tcase_add_test(tcase, what_a_client_sets_itself_is_learned_and_follows_it);
	tcase_add_test(tcase, a_set_that_is_rolled_back_is_learned_too);
	tcase_add_test(tcase, values_that_are_not_tracked_pass_and_are_forgotten);
	tcase_add_test(tcase, a_value_that_an_idle_server_reports_is_set_back_for_the_next_client);
	tcase_add_test(tcase, values_are_set_on_each_new_server);
	tcase_add_test(tcase, a_database_row_has_values_for_those_who_ask_for_none);
	tcase_add_test(tcase, values_are_quoted);
	tcase_add_test(tcase, a_session_sets_its_values_once);
	tcase_add_test(tcase, extras_are_tried_then_go_out_with_the_request_and_are_taken_back);
	tcase_add_test(tcase, lists_are_set_as_they_stand);
	tcase_add_test(tcase, what_postgresql_refuses_is_told_at_login_and_the_server_lives);
	tcase_add_test(tcase, an_error_in_pieces_is_told_whole);
	tcase_add_test(tcase, who_must_be_tried_waits_for_a_server);
	tcase_add_test(tcase, who_must_be_tried_is_told_that_there_is_no_server);
	tcase_add_test(tcase, a_trial_comes_to_its_end_in_time);
	tcase_add_test(tcase, who_leaves_while_it_is_tried_takes_its_server_along);
	tcase_add_test(tcase, the_first_client_of_a_pool_is_tried_too);
	tcase_add_test(tcase, values_that_are_made_canonical_are_told_in_the_greeting);
	tcase_add_test(tcase, what_is_proven_is_so_whatever_the_client_is_called);
	tcase_add_test(tcase, what_another_client_proved_is_proven_for_its_pool_only);
	tcase_add_test(tcase, a_proven_value_that_is_refused_all_the_same_ends_both);
	tcase_add_loop_test(tcase, a_reset_query_takes_extras_away, 0, 5);
	tcase_add_test(tcase, a_session_that_began_early_goes_on_behind_its_trial);
	tcase_add_test(tcase, a_name_that_is_tracked_from_now_on_follows_those_who_are_there);
	tcase_add_test(tcase, a_name_that_is_tracked_no_more_stays_with_those_who_asked_for_it);
	tcase_add_test(tcase, a_list_that_is_no_other_changes_nothing);
	tcase_add_test(tcase, a_list_of_names_that_is_tracked_is_set_as_it_stands);
	suite_add_tcase(suite, tcase);
	return suite;
}
