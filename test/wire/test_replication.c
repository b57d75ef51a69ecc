/* SPDX-License-Identifier: ISC */
/* Replication: a server of its own from launch to end, in every order of events; either side goes
 * away at every point. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conn/client.h"
#include "conn/gate.h"
#include "pool/limit.h"
#include "pool/pool.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server;

static struct pool *pool(void)
{
	return registry_pool(registry_find_database("db"), registry_find_user("u1"));
}

/* A client that says so in its StartupMessage; it is told that it is in, and no more yet. */
static struct wire_peer *arrives(void)
{
	static const char more[] = "replication\0database\0options\0-c a.b=c\0TimeZone\0Mars";
	struct wire_peer *who = wire_connect();
	wire_say_startup(who, "u1", more, sizeof more);
	wire_expect(who, "R");
	return who;
}

/* Its server's StartupMessage came. */
static struct wire_peer *accepts(void)
{
	struct wire_peer *who = wire_accept();
	ck_assert_msg(who != NULL, "no server connection was opened");
	wire_read(who);
	for (size_t i = 8; i < who->length; i++)
		who->text[i - 8] = who->in[i] ? (char)who->in[i] : '|';
	who->text[who->length - 8] = '\0';
	who->length = 0;
	return who;
}

static void is_greeted(struct wire_peer *who)
{
	wire_expect(who, "SSSSSSSKZ");
	ck_assert_str_eq(wire_state(who), "ACTIVE");
}

/* A replication client with its server. */
static void begin(const char *settings)
{
	wire_open(settings, NULL);
	client = arrives();
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	wire_expect_pool("active 1 / active 1");
}

static void copies_both(void)
{
	wire_query(client, "START_REPLICATION 0/0");
	wire_expect_message(server, 'Q', "START_REPLICATION 0/0|");
	wire_say(server, 'W', "\0\0", 3);
	wire_expect(client, "W");
}

/* An ordinary client is served by a server that is not @other. */
static void others_are_served(const struct wire_peer *other)
{
	struct wire_peer *ordinary = wire_client();
	wire_query(ordinary, "mine");
	struct wire_peer *by = wire_first_server();
	ck_assert_ptr_ne(by, other);
	wire_expect_message(by, 'Q', "mine|");
	wire_answer(by, "MINE", 'I');
	wire_expect(ordinary, "CZ");
	wire_expect_pool("active 1 / idle 1");
}

/* ---- logging in ---- */

START_TEST(its_parameters_go_to_its_server)
{
	wire_open(NULL, "timezone=Venus application_name=row client_encoding=LATIN1 dbname=real");
	client = arrives();
	wire_expect_pool("claimed 1 / login 1");
	ck_assert_str_eq(wire_state(client), "CLAIMED");
	server = accepts();
	ck_assert_str_eq(server->text,
			 "user|u1|database|real|client_encoding|LATIN1|application_name|row|"
			 "replication|database|options|-c a.b=c|TimeZone|Mars||");
	wire_expect_nothing(client);
	wire_welcome(server);
	is_greeted(client);
	wire_close();
}
END_TEST

START_TEST(its_greeting_is_the_servers)
{
	wire_open(NULL, NULL);
	client = arrives();
	server = accepts();
	uint8_t out[256];
	size_t n = wire_put(out, 'R', "\0\0\0\0", 4);
	n += wire_put(out + n, 'S', "own\0value", 10);
	n += wire_put(out + n, 'K', "\0\0\0\1abcd", 8);
	n += wire_put(out + n, 'Z', "I", 1);
	wire_send(server, out, n);
	wire_expect_message(client, 'S', "own|value|");
	wire_expect_message(client, 'K', "");
	ck_assert(memcmp(client->body, "\0\0\0\1abcd", 8) != 0); /* the key is ours */
	wire_expect(client, "Z");
	/* what this server said is nothing to the pool's other clients */
	ck_assert_ptr_null(pool()->welcome_parameters);
	wire_hang_up(client);
	others_are_served(server);
	wire_close();
}
END_TEST

START_TEST(what_comes_before_the_greeting_waits)
{
	wire_open(NULL, NULL);
	client = arrives();
	wire_query(client, "early");
	server = accepts();
	wire_expect_nothing(server);
	wire_welcome(server);
	wire_expect_message(server, 'Q', "early|");
	wire_expect(client, "SSSSSSSKZ");
	wire_answer(server, "EARLY", 'I');
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(a_refusal_is_for_it_alone)
{
	wire_open("default_pool_size = 2", NULL);
	struct wire_peer *ordinary = wire_client();
	client = arrives();
	server = accepts();
	wire_error(server, "FATAL", "42501", "must be superuser or replication role");
	wire_expect_fatal(client, "42501", "must be superuser or replication role|");
	wire_expect_closed(server);
	ck_assert(!pool()->login_failed && !pool()->connect_failed);
	wire_query(ordinary, "mine");
	wire_expect(wire_first_server(), "Q");
	wire_answer(wire_first_server(), "MINE", 'I');
	/* and the next one may try at once */
	client = arrives();
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	wire_close();
}
END_TEST

START_TEST(a_login_that_breaks_is_told_so)
{
	wire_open(NULL, NULL);
	client = arrives();
	server = accepts();
	wire_say(server, 'R', "\0\0\0\11", 4); /* SSPI */
	wire_expect_fatal(client, "0A000", "login failed|Dthe server asks for authentication");
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

/* Whoever hangs up without a word is asked once more, with the older protocol. */
static void hang_up_silently(void)
{
	wire_hang_up(server);
	server = accepts();
	wire_hang_up(server);
}

START_TEST(a_server_that_starts_up_is_waited_for)
{
	wire_open("server_login_retry = 5\nquery_wait_timeout = 12", NULL);
	client = arrives();
	server = accepts();
	if (_i == 0)
		wire_error(server, "FATAL", "57P03", "the database system is starting up");
	if (_i == 0)
		wire_hang_up(server);
	else
		hang_up_silently();
	wire_expect_nothing(client);
	wire_expect_pool("claim 1 / -");
	ck_assert_str_eq(wire_state(client), "CLAIMING");
	wire_advance(5 * USEC_PER_SECOND - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	server = accepts();
	if (_i == 2) { /* not in time */
		hang_up_silently();
		wire_advance(7 * USEC_PER_SECOND - 1);
		wire_expect_open(client);
		wire_advance(1);
		wire_expect_fatal(client, "08006",
				  "query_wait_timeout|Dthe server closed the connection during");
		wire_close();
		return;
	}
	wire_welcome(server);
	is_greeted(client);
	ck_assert(!pool()->connect_failed);
	wire_close();
}
END_TEST

START_TEST(a_server_that_cannot_be_reached_is_tried_again)
{
	wire_open("server_login_retry = 5", NULL);
	wire_server_down();
	client = arrives();
	wire_expect_pool("claim 1 / -");
	wire_server_up();
	wire_advance(5 * USEC_PER_SECOND);
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	wire_close();
}
END_TEST

START_TEST(logins_of_a_pool_go_one_after_the_other_at_first)
{
	wire_open("default_pool_size = 3", NULL);
	client = arrives();
	struct wire_peer *second = arrives();
	wire_expect_pool("claim 1, claimed 1 / login 1");
	wire_welcome(accepts());
	is_greeted(client);
	wire_expect_pool("active 1, claimed 1 / login 1, active 1");
	/* an ordinary one needs a login of its own */
	struct wire_peer *ordinary = wire_connect();
	wire_say_startup(ordinary, "u1", NULL, 0);
	wire_expect(ordinary, "R");
	wire_welcome(accepts());
	is_greeted(second);
	wire_expect_pool("active 2, welcome 1 / login 1, active 2");
	wire_welcome(accepts());
	wire_expect(ordinary, "SSSSSSSKZ");
	wire_expect_pool("active 3 / idle 1, active 2");
	wire_close();
}
END_TEST

/* ---- requests ---- */

START_TEST(they_stay_together_in_every_mode)
{
	static const char *const modes[] = {"pool_mode = session", "pool_mode = transaction",
					    "pool_mode = statement"};
	begin(modes[_i]);
	for (int i = 0; i < 3; i++) {
		wire_query(client, "BEGIN");
		wire_expect(server, "Q");
		wire_answer(server, "BEGIN", 'T');
		wire_expect(client, "CZ");
		wire_query(client, "COMMIT");
		wire_expect(server, "Q");
		wire_answer(server, "COMMIT", 'I');
		wire_expect(client, "CZ");
		wire_expect_pool("active 1 / active 1");
	}
	copies_both();
	for (int i = 0; i < 3; i++) {
		wire_server_says(server, "ddd");
		wire_expect(client, "ddd");
		wire_client_says(client, "dd");
		wire_expect(server, "dd");
	}
	wire_client_says(client, "c");
	wire_expect(server, "c");
	wire_server_says(server, "dcC");
	wire_expect(client, "dcC");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / active 1");
	/* a stream that fails, and the next request */
	copies_both();
	wire_server_says(server, "EZ");
	wire_expect(client, "EZ");
	wire_client_says(client, "Q");
	wire_expect(server, "Q");
	wire_server_says(server, "TDCZ");
	wire_expect(client, "TDCZ");
	wire_expect_pool("active 1 / active 1");
	wire_hang_up(client);
	wire_expect(server, "X");
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(time_does_not_touch_it)
{
	begin("server_idle_timeout = 1\nserver_lifetime = 1\nserver_check_delay = 1\n"
	      "query_wait_timeout = 1\nclient_login_timeout = 1");
	wire_advance(3600 * USEC_PER_SECOND);
	wire_expect_nothing(server);
	copies_both();
	wire_advance(3600 * USEC_PER_SECOND);
	wire_expect_nothing(server);
	wire_server_says(server, "d");
	wire_expect(client, "d");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

/* Who does not read is not read from for ever, and that stops nothing the other way. */
START_TEST(back_pressure_goes_both_ways)
{
	enum { CHUNK = 60000, MUCH = 64 * 1024 * 1024 };
	static uint8_t chunk[CHUNK + 8];
	begin(NULL);
	copies_both();
	static uint8_t body[CHUNK];
	for (size_t i = 0; i < CHUNK; i++)
		body[i] = (uint8_t)(i * 7);
	size_t size = wire_put(chunk, 'd', body, CHUNK), in = 0;
	struct wire_peer *from = _i ? client : server, *to = _i ? server : client;
	for (;;) {
		size_t n = wire_try(from, chunk + in % size, size - in % size);
		in += n;
		wire_settle();
		if (n == 0)
			break;
		ck_assert_uint_lt(in, MUCH);
	}
	/* the other way is free */
	wire_say(to, 'd', "free", 4);
	wire_expect_message(from, 'd', "free");
	/* all of it arrives */
	uint8_t *sink = malloc(MUCH);
	size_t out = 0;
	for (size_t n; out < in; out += n) {
		n = wire_take(to, sink + out, MUCH - out);
		wire_settle();
		if (n == 0 && out + CHUNK < in)
			continue;
		if (n == 0)
			break;
	}
	for (size_t at = 0; at < out; at += size)
		ck_assert(!memcmp(sink + at, chunk, out - at < size ? out - at : size));
	ck_assert_uint_eq(out, in);
	free(sink);
	wire_close();
}
END_TEST

START_TEST(a_cancel_request_reaches_its_server)
{
	uint8_t packet[16] = {0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e}, key[8] = {0};
	wire_open(NULL, NULL);
	client = arrives();
	server = accepts();
	wire_welcome(server);
	while (wire_next(client))
		if (client->type == 'K')
			memcpy(key, client->body, sizeof key);
	copies_both();
	struct wire_peer *asker = wire_connect();
	memcpy(packet + 8, key, 8);
	wire_send(asker, packet, sizeof packet);
	struct wire_peer *carrier = wire_accept();
	ck_assert_ptr_nonnull(carrier);
	ck_assert_uint_eq(wire_read(carrier), 16);
	ck_assert(memcmp(carrier->in + 8, server->key, 8) == 0);
	wire_error(server, "ERROR", "57014", "canceling statement due to user request");
	wire_ready(server, 'I');
	wire_expect(client, "EZ");
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	wire_expect_pool("active 1 / active 1");
	wire_client_says(client, "Q");
	wire_expect(server, "Q");
	wire_close();
}
END_TEST

/* ---- room ---- */

static struct wire_peer *holds_the_only_server(void)
{
	struct wire_peer *who = wire_client();
	wire_query(who, "BEGIN");
	wire_expect(wire_first_server(), "Q");
	wire_answer(wire_first_server(), "BEGIN", 'T');
	wire_expect(who, "CZ");
	return who;
}

static void commits(struct wire_peer *who)
{
	wire_query(who, "COMMIT");
	wire_expect(wire_first_server(), "Q");
	wire_answer(wire_first_server(), "COMMIT", 'I');
	wire_expect(who, "CZ");
}

START_TEST(who_has_waited_longer_gets_the_room)
{
	wire_open(NULL, NULL);
	struct wire_peer *holder = holds_the_only_server(), *ordinary = wire_client();
	if (_i)
		client = arrives();
	wire_advance(1000);
	wire_query(ordinary, "mine");
	wire_advance(1000);
	if (!_i)
		client = arrives();
	wire_expect_pool("active 1, waiting 1, claim 1 / active 1");
	commits(holder);
	if (!_i) { /* the server is handed on, and closed when it comes back */
		wire_expect_message(wire_first_server(), 'Q', "mine|");
		wire_expect_pool("active 2, claim 1 / active 1");
		wire_answer(wire_first_server(), "MINE", 'I');
		wire_expect(ordinary, "CZ");
	}
	wire_expect(wire_first_server(), "X");
	wire_expect_closed(wire_first_server());
	ck_assert(wire_logged("closing because: evicted"));
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	if (_i) {
		wire_expect_pool("active 2, waiting 1 / active 1");
		wire_hang_up(client);
		wire_expect(server, "X");
		wire_expect_message(wire_server(), 'Q', "mine|");
	}
	wire_close();
}
END_TEST

START_TEST(a_server_that_rests_makes_room)
{
	wire_open(NULL, NULL);
	(void)wire_client();
	wire_expect_pool("active 1 / idle 1");
	client = arrives();
	wire_expect(wire_first_server(), "X");
	wire_expect_closed(wire_first_server());
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	wire_expect_pool("active 2 / active 1");
	wire_close();
}
END_TEST

/* In the pool of another user, under a bound of the database. */
START_TEST(a_pool_that_shares_a_bound_makes_room)
{
	wire_open("max_db_connections = 1\ndefault_pool_size = 5", NULL);
	struct wire_peer *other = wire_client_as("u2", NULL, 0), *theirs = wire_first_server();
	if (_i) {
		wire_query(other, "BEGIN");
		wire_expect(theirs, "Q");
		wire_answer(theirs, "BEGIN", 'T');
		wire_expect(other, "CZ");
		client = arrives();
		wire_expect_pool("claim 1 / -");
		wire_query(other, "COMMIT");
		wire_expect(theirs, "Q");
		wire_answer(theirs, "COMMIT", 'I');
		wire_expect(other, "CZ");
	} else {
		client = arrives();
	}
	wire_expect(theirs, "X");
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	ck_assert_uint_eq(registry_find_database("db")->server_count, 1);
	wire_close();
}
END_TEST

START_TEST(the_reserve_opens_for_it)
{
	wire_open("reserve_pool_size = 1\nreserve_pool_timeout = 3", NULL);
	(void)holds_the_only_server();
	client = arrives();
	wire_advance(3 * USEC_PER_SECOND - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	wire_close();
}
END_TEST

START_TEST(it_waits_for_room_within_query_wait_timeout)
{
	static const struct {
		const char *bound, *detail;
	} rows[] = {
		{"default_pool_size = 1", "All server connections of the pool are in use."},
		{"default_pool_size = 9\nmax_db_connections = 1",
		 "As many server connections are in use as max_db_connections allows."},
		{"default_pool_size = 9\nmax_user_connections = 1",
		 "As many server connections are in use as max_user_connections allows."},
		{"default_pool_size = 9", "The database is paused."},
		{"default_pool_size = 9", "The server does not complete the login."},
	};
	char settings[200], message[200];
	snprintf(settings, sizeof settings, "query_wait_timeout = 9\nclient_login_timeout = 5\n%s",
		 rows[_i].bound);
	wire_open(settings, NULL);
	struct wire_peer *holder = holds_the_only_server();
	wire_query(holder, "long");
	pool_set_paused(_i == 3);
	client = arrives();
	wire_advance(9 * USEC_PER_SECOND - 1);
	wire_expect_pool(_i == 4 ? "active 1, claimed 1 / login 1, active 1"
				 : "active 1, claim 1 / active 1");
	wire_expect_nothing(client);
	wire_advance(1);
	snprintf(message, sizeof message, "query_wait_timeout|D%s|", rows[_i].detail);
	wire_expect_fatal(client, "08006", message);
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

/* ---- the client goes away ---- */

START_TEST(a_client_leaves_the_queue)
{
	wire_open(NULL, NULL);
	struct wire_peer *holder = holds_the_only_server();
	client = arrives();
	wire_hang_up(client);
	wire_expect_pool("active 1 / active 1");
	commits(holder); /* nobody claims the server's room any more */
	wire_expect_nothing(wire_first_server());
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_client_leaves_while_its_server_logs_in)
{
	wire_open(NULL, "connect_query='prepare'");
	client = arrives();
	if (_i == 0) {
		wire_hang_up(client); /* before the connection is taken */
		server = wire_accept();
	} else {
		server = accepts();
		if (_i == 1)
			wire_hang_up(client);
		if (_i == 2)
			wire_say(server, 'R', "\0\0\0\0", 4);
		if (_i == 3) {
			wire_welcome(server);
			wire_expect_message(server, 'Q', "prepare|");
		}
		if (_i >= 2)
			wire_hang_up(client);
		wire_expect_nothing(server);
	}
	if (server)
		wire_expect_closed(server);
	ck_assert(wire_logged("closing because: no client waits any more"));
	wire_expect_pool("- / -");
	ck_assert_uint_eq(limit_connections(), 0);
	wire_close();
}
END_TEST

START_TEST(a_client_leaves_its_server)
{
	static const struct {
		bool streams;
		const char *said, *last;
	} rows[] = {
		{false, "", "X"},    {false, "Q", "QX"}, {true, "", "X"},
		{true, "dd", "ddX"}, {false, "X", "X"},	 {true, "X", "X"},
	};
	begin(NULL);
	if (rows[_i].streams)
		copies_both();
	wire_client_says(client, rows[_i].said);
	if (!strchr(rows[_i].said, 'X'))
		wire_hang_up(client);
	if (!strcmp(rows[_i].said, "Q")) /* an answer is owed, which it might yet read */
		wire_advance(5 * USEC_PER_SECOND);
	wire_expect(server, rows[_i].last);
	wire_expect_closed(server);
	ck_assert(wire_logged("closing because: replication client disconnected"));
	ck_assert_uint_eq(client_count(), 0);
	others_are_served(server);
	wire_close();
}
END_TEST

START_TEST(a_client_leaves_in_the_middle_of_a_message)
{
	begin(NULL);
	copies_both();
	wire_send(client, "d\0\0\1\0half", 9);
	wire_hang_up(client);
	ck_assert_uint_eq(wire_read(server), 9); /* no Terminate inside of it */
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(a_stream_ends_with_its_client_at_once)
{
	begin(NULL);
	copies_both();
	wire_half_close(client);
	wire_expect(server, "X");
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(answers_in_flight_reach_a_client_that_said_goodbye)
{
	begin(NULL);
	wire_client_says(client, "QX");
	wire_expect(server, "Q");
	wire_server_says(server, "TDCZ");
	wire_expect(client, "TDCZ");
	wire_expect_closed(client);
	wire_expect(server, "X");
	wire_expect_closed(server);
	wire_close();
}
END_TEST

/* ---- the server goes away ---- */

START_TEST(a_server_leaves_its_client)
{
	begin(NULL);
	if (_i)
		copies_both();
	if (_i == 2)
		wire_server_says(server, "dC");
	if (_i == 3)
		wire_error(server, "FATAL", "57P01", "terminating");
	wire_hang_up(server);
	wire_expect(client, _i == 2 ? "dC" : _i == 3 ? "E" : "");
	wire_expect_closed(client);
	wire_expect_pool("- / -");
	others_are_served(server);
	wire_close();
}
END_TEST

START_TEST(a_server_that_breaks_the_protocol_ends_both)
{
	begin(NULL);
	wire_server_says(server, "D");
	wire_expect_fatal(client, "08006", "server broke the protocol|");
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

/* ---- the administrator ---- */

START_TEST(a_pause_takes_back_a_login_and_resume_makes_it_anew)
{
	wire_open(NULL, NULL);
	client = arrives();
	server = accepts();
	pool_set_paused(true);
	pool_close_idle(pool(), CLOSE_PAUSE);
	wire_expect_closed(server);
	wire_expect_pool("claim 1 / -");
	wire_expect_nothing(client);
	pool_set_paused(false);
	server = accepts();
	wire_welcome(server);
	is_greeted(client);
	pool_set_paused(true);
	pool_close_idle(pool(), CLOSE_PAUSE);
	wire_settle();
	wire_expect_pool("active 1 / active 1");
	ck_assert(pool_is_busy(pool()));
	wire_hang_up(client);
	ck_assert(!pool_is_busy(pool()));
	wire_close();
}
END_TEST

START_TEST(a_pool_that_is_retired_logs_in_anew)
{
	wire_open(NULL, NULL);
	client = arrives();
	server = accepts();
	pool_retire(pool(), CLOSE_OBSOLETE);
	wire_expect_closed(server);
	server = accepts();
	wire_expect_pool("claimed 1 / login 1");
	wire_welcome(server);
	is_greeted(client);
	pool_retire(pool(), CLOSE_OBSOLETE);
	wire_client_says(client, "Q");
	wire_expect(server, "Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(kill_ends_both)
{
	wire_open(NULL, NULL);
	client = arrives();
	server = accepts();
	struct wire_peer *waiting = arrives();
	if (_i) {
		wire_welcome(server);
		is_greeted(client);
	}
	pool_kill(pool(), CLOSE_ADMIN_DISCONNECT);
	wire_expect_fatal(client, "57P01", "admin forced disconnect|");
	wire_expect_fatal(waiting, "57P01", "admin forced disconnect|");
	wire_expect(server, _i ? "X" : "");
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(a_shutdown_that_waits_for_servers_waits_for_it)
{
	begin("default_pool_size = 2");
	struct wire_peer *coming = arrives(), *theirs = accepts(), *waiting = arrives();
	gate_shut(GATE_WAIT_FOR_SERVERS);
	wire_expect_fatal(coming, "57P01", "server shutting down|");
	wire_expect_fatal(waiting, "57P01", "server shutting down|");
	wire_expect_closed(theirs);
	wire_expect_pool("active 1 / active 1");
	wire_client_says(client, "Q");
	wire_expect(server, "Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

Suite *suite_replication(void)
{
	Suite *suite = suite_create("wire/replication");
	TCase *tcase = tcase_create("replication");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, its_parameters_go_to_its_server);
	tcase_add_test(tcase, its_greeting_is_the_servers);
	tcase_add_test(tcase, what_comes_before_the_greeting_waits);
	tcase_add_test(tcase, a_refusal_is_for_it_alone);
	tcase_add_test(tcase, a_login_that_breaks_is_told_so);
	tcase_add_loop_test(tcase, a_server_that_starts_up_is_waited_for, 0, 3);
	tcase_add_test(tcase, a_server_that_cannot_be_reached_is_tried_again);
	tcase_add_test(tcase, logins_of_a_pool_go_one_after_the_other_at_first);
	tcase_add_loop_test(tcase, they_stay_together_in_every_mode, 0, 3);
	tcase_add_test(tcase, time_does_not_touch_it);
	tcase_add_loop_test(tcase, back_pressure_goes_both_ways, 0, 2);
	tcase_add_test(tcase, a_cancel_request_reaches_its_server);
	tcase_add_loop_test(tcase, who_has_waited_longer_gets_the_room, 0, 2);
	tcase_add_test(tcase, a_server_that_rests_makes_room);
	tcase_add_loop_test(tcase, a_pool_that_shares_a_bound_makes_room, 0, 2);
	tcase_add_test(tcase, the_reserve_opens_for_it);
	tcase_add_loop_test(tcase, it_waits_for_room_within_query_wait_timeout, 0, 5);
	tcase_add_test(tcase, a_client_leaves_the_queue);
	tcase_add_loop_test(tcase, a_client_leaves_while_its_server_logs_in, 0, 4);
	tcase_add_loop_test(tcase, a_client_leaves_its_server, 0, 6);
	tcase_add_test(tcase, a_client_leaves_in_the_middle_of_a_message);
	tcase_add_test(tcase, a_stream_ends_with_its_client_at_once);
	tcase_add_test(tcase, answers_in_flight_reach_a_client_that_said_goodbye);
	tcase_add_loop_test(tcase, a_server_leaves_its_client, 0, 4);
	tcase_add_test(tcase, a_server_that_breaks_the_protocol_ends_both);
	tcase_add_test(tcase, a_pause_takes_back_a_login_and_resume_makes_it_anew);
	tcase_add_test(tcase, a_pool_that_is_retired_logs_in_anew);
	tcase_add_loop_test(tcase, kill_ends_both, 0, 2);
	tcase_add_test(tcase, a_shutdown_that_waits_for_servers_waits_for_it);
	suite_add_tcase(suite, tcase);
	return suite;
}
