/* SPDX-License-Identifier: ISC */
/* Clients that wait for a server, and servers that wait for a client: order, and every limit of
 * time at its boundary. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "config/snapshot.h"
#include "conn/client.h"
#include "core/error.h"
#include "pool/pool.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

#define SECONDS(n) ((n)*USEC_PER_SECOND)

static struct wire_peer *client, *server;

static void begin(const char *settings, const char *row)
{
	wire_open(settings, row);
	client = wire_client();
	server = wire_first_server();
	wire_expect_pool("active 1 / idle 1");
}

/* The client asks this, and @by answers. */
static void is_served(struct wire_peer *who, struct wire_peer *by)
{
	wire_query(who, "mine");
	wire_expect_message(by, 'Q', "mine|");
	wire_expect_nothing(by);
	wire_answer(by, "MINE", 'I');
	wire_expect_message(who, 'C', "MINE|");
	wire_expect(who, "Z");
}

/* A client that holds the only server in a transaction. */
static struct wire_peer *holder(void)
{
	struct wire_peer *who = wire_client();
	wire_query(who, "BEGIN");
	wire_expect(server, "Q");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(who, "CZ");
	return who;
}

static void lets_go(struct wire_peer *who)
{
	wire_query(who, "COMMIT");
	wire_expect_message(server, 'Q', "COMMIT|");
	wire_answer(server, "COMMIT", 'I');
	wire_expect(who, "CZ");
}

/* ---- the queue ---- */

START_TEST(waiting_clients_are_served_in_order)
{
	enum { CLIENTS = 10 };
	struct wire_peer *waiting[CLIENTS];
	char text[32];
	begin(NULL, NULL);
	struct wire_peer *first = holder();
	for (int i = 0; i < CLIENTS; i++) {
		waiting[i] = wire_client();
		snprintf(text, sizeof text, "number %d", i);
		wire_advance(1000);
		wire_query(waiting[i], text);
	}
	wire_expect_pool("active 2, waiting 10 / active 1");
	lets_go(first);
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(text, sizeof text, "number %d|", i);
		wire_expect_message(server, 'Q', text);
		wire_expect_nothing(server);
		/* one that comes later, and one that was just served, stand behind */
		if (i == 3)
			wire_query(first, "later");
		wire_answer(server, text, 'I');
		wire_expect_message(waiting[i], 'C', text);
		wire_expect(waiting[i], "Z");
	}
	wire_expect_message(server, 'Q', "later|");
	for (int i = 0; i < CLIENTS; i++)
		wire_expect_nothing(waiting[i]);
	wire_close();
}
END_TEST

START_TEST(what_a_client_says_while_it_waits_is_kept_in_order)
{
	uint8_t bytes[64];
	begin(NULL, NULL);
	struct wire_peer *first = holder();
	wire_query(client, "one");
	wire_query(client, "two");
	size_t size = wire_put(bytes, 'Q', "three", 6);
	wire_send(client, bytes, 7);
	wire_expect_pool("active 1, waiting 1 / active 1");
	lets_go(first);
	wire_expect_message(server, 'Q', "one|");
	wire_expect_message(server, 'Q', "two|");
	wire_server_says(server, "CZCZ");
	wire_expect(client, "CZCZ");
	wire_send(client, bytes + 7, size - 7);
	/* whichever way the half was counted, it arrives whole */
	wire_expect_message(server, 'Q', "three|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 2 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_waiting_client_that_says_very_much_is_paused)
{
	static uint8_t bytes[1 << 16], body[30000];
	begin(NULL, NULL);
	struct wire_peer *first = holder();
	size_t sent = 0, size = wire_put(bytes, 'Q', body, sizeof body);
	for (int quiet = 0; quiet < 3 && sent < 64 << 20;) {
		size_t n = wire_try(client, bytes + sent % size, size - sent % size);
		sent += n;
		quiet = n ? 0 : quiet + 1;
		wire_settle();
	}
	ck_assert_uint_lt(sent, 1 << 20);
	ck_assert_uint_le(buffer_length(wire_inside(client)->endpoint.held),
			  ENDPOINT_HOLD_MAX + ENDPOINT_RECEIVE);
	ck_assert(wire_inside(client)->endpoint.stream.paused);
	wire_expect_pool("active 1, waiting 1 / active 1");
	lets_go(first);
	ck_assert_uint_eq(wire_read(server), sent);
	for (size_t i = 0; i < sent; i += 997)
		ck_assert_uint_eq(server->in[i], bytes[i % size]);
	wire_close();
}
END_TEST

START_TEST(a_second_client_gets_a_second_server)
{
	begin("default_pool_size = 2", NULL);
	struct wire_peer *second = wire_client(), *third = wire_client(), *server2;
	wire_query(client, "one");
	wire_expect(server, "Q");
	wire_query(second, "two");
	server2 = wire_server();
	wire_expect_message(server2, 'Q', "two|");
	wire_query(third, "three");
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 2, waiting 1 / active 2");
	wire_server_says(server2, "CZ");
	wire_expect(second, "CZ");
	wire_expect_message(server2, 'Q', "three|");
	wire_expect_nothing(server);
	wire_close();
}
END_TEST

START_TEST(idle_servers_are_used_last_in_first_out_or_in_turn)
{
	begin(_i ? "default_pool_size = 2\nserver_round_robin = 1" : "default_pool_size = 2", NULL);
	struct wire_peer *second = wire_client(), *server2;
	wire_query(client, "one");
	wire_query(second, "two");
	server2 = wire_server();
	wire_expect(server, "Q");
	wire_expect(server2, "Q");
	wire_server_says(server2, "CZ");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect(second, "CZ");
	for (int i = 0; i < 4; i++)
		is_served(client, _i == 0 || i % 2 ? server : server2);
	wire_close();
}
END_TEST

START_TEST(the_reserve_opens_when_a_client_has_waited_long_enough)
{
	begin("reserve_pool_size = 1\nreserve_pool_timeout = 5", NULL);
	holder();
	wire_query(client, "one");
	wire_advance(SECONDS(5) - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	struct wire_peer *reserve = wire_server();
	wire_expect_message(reserve, 'Q', "one|");
	ck_assert(wire_logged("taking connection from reserve_pool"));
	wire_close();
}
END_TEST

START_TEST(min_pool_size_is_reached)
{
	wire_open("min_pool_size = 3\ndefault_pool_size = 4", NULL);
	client = wire_client();
	wire_expect_pool("active 1 / login 2, idle 1");
	wire_server();
	wire_expect_pool("active 1 / login 1, idle 2");
	wire_server();
	wire_expect_pool("active 1 / idle 3");
	wire_hang_up(wire_first_server());
	wire_expect_pool("active 1 / login 1, idle 2");
	wire_server();
	wire_expect_pool("active 1 / idle 3");
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(max_db_connections_evicts_an_idle_server_of_another_pool)
{
	begin("max_db_connections = 1", NULL);
	struct wire_peer *u2 = wire_connect();
	wire_say_startup(u2, "u2", NULL, 0);
	wire_expect_closed(server);
	ck_assert(wire_logged("evicted"));
	wire_expect_pool("active 1 / -");
	struct wire_peer *theirs = wire_server();
	wire_expect(u2, "RSSSSSSSKZ");
	wire_query(u2, "mine");
	wire_expect(theirs, "Q");
	wire_query(client, "waits");
	wire_expect_pool("waiting 1 / -");
	ck_assert_ptr_null(wire_accept());
	wire_server_says(theirs, "CZ");
	wire_hang_up(theirs);
	server = wire_server();
	wire_expect_message(server, 'Q', "waits|");
	wire_close();
}
END_TEST

/* ---- query_wait_timeout ---- */

START_TEST(a_client_waits_until_query_wait_timeout)
{
	begin("server_check_query =", NULL);
	holder();
	wire_query(client, "one");
	wire_advance(SECONDS(120) - 1);
	wire_expect_nothing(client);
	ck_assert_str_eq(wire_state(client), "WAITING");
	wire_advance(1);
	wire_expect_fatal(client, "08006", "query_wait_timeout||");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(query_wait_timeout_begins_anew_with_each_wait)
{
	begin("server_check_query =", NULL);
	struct wire_peer *first = holder();
	wire_query(client, "one");
	wire_advance(SECONDS(100));
	lets_go(first);
	wire_expect(server, "Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_query(first, "BEGIN");
	wire_expect(server, "Q");
	wire_query(client, "two");
	wire_advance(SECONDS(120) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "08006", "query_wait_timeout|");
	wire_close();
}
END_TEST

START_TEST(without_query_wait_timeout_a_client_waits_for_ever)
{
	begin("query_wait_timeout = 0\nserver_check_query =", NULL);
	struct wire_peer *first = holder();
	wire_query(client, "one");
	wire_advance(SECONDS(3000));
	wire_expect_pool("active 1, waiting 1 / active 1");
	lets_go(first);
	wire_expect_message(server, 'Q', "one|");
	wire_close();
}
END_TEST

START_TEST(query_wait_timeout_of_the_database_wins)
{
	begin("query_wait_timeout = 7\nserver_check_query =", "query_wait_timeout=3");
	holder();
	wire_query(client, "one");
	wire_advance(SECONDS(3) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "08006", "query_wait_timeout|");
	wire_close();
}
END_TEST

START_TEST(who_waited_in_vain_for_a_server_that_is_down_is_told_the_cause)
{
	begin("query_wait_timeout = 40", NULL);
	wire_server_down();
	wire_hang_up(server);
	wire_query(client, "one");
	wire_expect_pool("waiting 1 / -");
	ck_assert(wire_logged("cannot use the server: connect to"));
	wire_advance(SECONDS(40) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_message(client, 'E', "|C08006|Mquery_wait_timeout|Dconnect to ");
	ck_assert_ptr_nonnull(strstr(client->text, "Connection refused"));
	wire_expect_closed(client);
	wire_close();
}
END_TEST

START_TEST(without_descriptors_who_waits_is_served_later_and_one_line_says_so)
{
	struct rlimit none, before;
	begin("server_login_retry = 5\nserver_check_query =", NULL);
	wire_hang_up(server);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	int free_fd = dup(0);
	close(free_fd);
	none.rlim_cur = (rlim_t)free_fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	wire_query(client, "one");
	wire_expect_pool("waiting 1 / -");
	ck_assert(wire_logged("cannot connect to servers: could not make a socket: Too many open "
			      "files, trying again until it works"));
	wire_advance(SECONDS(5));
	wire_expect_pool("waiting 1 / -");
	ck_assert(!wire_logged("cannot connect to servers"));
	wire_advance(SECONDS(55));
	ck_assert(wire_logged("cannot connect to servers"));
	wire_expect_nothing(client);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	wire_advance(SECONDS(5));
	server = wire_server();
	wire_expect(server, "Q");
	wire_answer(server, "ONE", 'I');
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

START_TEST(who_waits_for_the_greeting_is_told_the_cause_too)
{
	wire_open("query_wait_timeout = 70", NULL);
	wire_server_down();
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect(client, "R");
	wire_expect_pool("welcome 1 / -");
	wire_advance(SECONDS(60) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_message(client, 'E',
			    "|C08006|Mclient_login_timeout (server down)|Dconnect to ");
	wire_expect_closed(client);
	wire_close();
}
END_TEST

START_TEST(query_wait_timeout_also_bounds_the_wait_for_the_greeting)
{
	wire_open("query_wait_timeout = 20", NULL);
	wire_server_down();
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect(client, "R");
	wire_advance(SECONDS(20) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_message(client, 'E', "|C08006|Mquery_wait_timeout|Dconnect to ");
	wire_close();
}
END_TEST

/* ---- servers that do not come ---- */

START_TEST(a_server_that_is_down_is_tried_again_after_server_login_retry)
{
	begin("server_login_retry = 10", NULL);
	wire_server_down();
	wire_hang_up(server);
	wire_query(client, "one");
	wire_server_up();
	wire_advance(SECONDS(10) - 1);
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("waiting 1 / -");
	wire_advance(1);
	server = wire_server();
	wire_expect_message(server, 'Q', "one|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_server_that_stays_silent_is_given_up_after_server_connect_timeout)
{
	wire_open("server_connect_timeout = 8\nserver_login_retry = 2", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	server->length = 0;
	wire_advance(SECONDS(8) - 1);
	wire_expect_pool("welcome 1 / login 1");
	wire_advance(1);
	wire_expect_pool("welcome 1 / -");
	wire_expect_closed(server);
	ck_assert(wire_logged("connecting took longer than server_connect_timeout"));
	wire_advance(SECONDS(2) - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	server = wire_server();
	wire_expect(client, "RSSSSSSSKZ");
	wire_close();
}
END_TEST

START_TEST(server_connect_timeout_bounds_the_whole_login)
{
	wire_open("server_connect_timeout = 8", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	server->length = 0;
	for (int i = 0; i < 7; i++) {
		wire_advance(SECONDS(1));
		wire_send(server, "R\0\0\0\x08\0\0\0\0" + i, 1);
	}
	wire_advance(SECONDS(1) - 1);
	wire_expect_open(server);
	wire_advance(1);
	wire_expect_closed(server);
	wire_close();
}
END_TEST

START_TEST(a_refused_login_is_told_to_all_who_wait_for_the_greeting)
{
	wire_open(NULL, NULL);
	struct wire_peer *second;
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	second = wire_connect();
	wire_say_startup(second, "u1", NULL, 0);
	server = wire_accept();
	wire_expect_pool("welcome 2 / login 1");
	wire_error(server, "FATAL", "28P01", "password authentication failed for user \"u1\"");
	wire_expect(client, "RE");
	ck_assert_str_eq(client->text,
			 "SFATAL|VFATAL|C28P01|Mpassword authentication failed for user \"u1\"||");
	wire_expect_closed(client);
	wire_expect(second, "RE");
	ck_assert_str_eq(second->text, client->text);
	wire_expect_closed(second);
	wire_expect_closed(server);
	ck_assert(wire_logged("server login failed: password authentication failed"));
	wire_expect_pool("- / -");
	/* it is not asked again too soon */
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect_fatal(client, "28P01",
			  "server login has been failing, cached error: password authentication "
			  "failed for user \"u1\" "
			  "(server_login_retry)|");
	ck_assert_ptr_null(wire_accept());
	wire_advance(SECONDS(15) - 1);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect_message(client, 'E', "cached error");
	wire_advance(1);
	client = wire_client();
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_refused_login_is_told_to_all_who_wait_for_a_server)
{
	begin(NULL, NULL);
	struct wire_peer *second = wire_client();
	wire_hang_up(server);
	wire_query(client, "one");
	wire_query(second, "two");
	server = wire_accept();
	wire_read(server);
	wire_expect_pool("waiting 2 / login 1");
	wire_error(server, "FATAL", "3D000", "database \"db\" does not exist");
	wire_expect_fatal(client, "3D000", "database \"db\" does not exist|");
	wire_expect_fatal(second, "3D000", "database \"db\" does not exist|");
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(an_idle_client_is_told_the_cached_error_when_it_asks)
{
	begin(NULL, NULL);
	struct wire_peer *second = wire_client();
	wire_hang_up(server);
	wire_query(client, "one");
	server = wire_accept();
	wire_error(server, "FATAL", "53300", "sorry, too many clients already");
	wire_expect_fatal(client, "53300", "sorry, too many clients already|");
	wire_expect_open(second);
	wire_query(second, "two");
	wire_expect_fatal(second, "53300",
			  "server login has been failing, cached error: sorry, too many clients "
			  "already (server_login_retry)|");
	wire_close();
}
END_TEST

START_TEST(a_server_that_is_starting_up_keeps_clients_queued)
{
	wire_open(NULL, NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	static const char *const sqlstates[] = {"57P03", "57P01", "57P02"};
	wire_error(server, "FATAL", sqlstates[_i], "the database system is going down, or up");
	wire_expect(client, "R");
	wire_expect_pool("welcome 1 / -");
	wire_advance(SECONDS(15) - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	server = wire_server();
	wire_expect(client, "SSSSSSSKZ");
	is_served(client, server);
	wire_close();
}
END_TEST

START_TEST(a_refused_second_server_does_not_fail_who_can_wait_for_the_first)
{
	begin("default_pool_size = 2", NULL);
	struct wire_peer *second = wire_client();
	wire_query(client, "one");
	wire_expect(server, "Q");
	wire_query(second, "two");
	struct wire_peer *refused = wire_accept();
	wire_error(refused, "FATAL", "53300", "sorry, too many clients already");
	wire_expect_nothing(second);
	wire_expect_pool("active 1, waiting 1 / active 1");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "two|");
	wire_server_says(server, "CZ");
	wire_expect(second, "CZ");
	wire_close();
}
END_TEST

/* ---- servers that rest ---- */

START_TEST(an_idle_server_is_closed_after_server_idle_timeout)
{
	begin("server_check_query =", NULL);
	wire_advance(SECONDS(300));
	is_served(client, server);
	wire_advance(SECONDS(600) - 1);
	wire_expect_pool("active 1 / idle 1");
	wire_advance(1);
	wire_expect(server, "X");
	wire_expect_closed(server);
	ck_assert(wire_logged("server idle timeout"));
	wire_expect_pool("active 1 / -");
	wire_query(client, "one");
	wire_expect_message(wire_server(), 'Q', "one|");
	wire_close();
}
END_TEST

START_TEST(min_pool_size_outlasts_server_idle_timeout)
{
	begin("min_pool_size = 1", NULL);
	wire_advance(SECONDS(600));
	wire_expect_pool("active 1 / idle 1");
	wire_advance(SECONDS(600));
	wire_expect_pool("active 1 / idle 1");
	wire_expect_open(server);
	wire_close();
}
END_TEST

START_TEST(a_used_server_is_closed_after_server_idle_timeout_too)
{
	begin(NULL, NULL);
	wire_advance(SECONDS(30));
	wire_expect_pool("active 1 / used 1");
	wire_advance(SECONDS(570) - 1);
	wire_expect_pool("active 1 / used 1");
	wire_advance(1);
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(an_idle_server_is_closed_at_the_end_of_its_lifetime)
{
	begin("server_lifetime = 100\nserver_check_query =", NULL);
	wire_advance(SECONDS(50));
	is_served(client, server);
	wire_advance(SECONDS(50) - 1);
	wire_expect_pool("active 1 / idle 1");
	wire_advance(1);
	wire_expect(server, "X");
	wire_expect_closed(server);
	ck_assert(wire_logged("server lifetime over"));
	wire_close();
}
END_TEST

START_TEST(a_busy_server_is_closed_when_it_is_released_after_its_lifetime)
{
	begin("server_lifetime = 100", NULL);
	is_served(client, server);
	struct wire_peer *who = holder();
	wire_advance(SECONDS(1000));
	wire_expect_pool("active 2 / active 1");
	wire_query(client, "next");
	lets_go(who);
	wire_expect(server, "X");
	wire_expect_closed(server);
	wire_expect_message(wire_server(), 'Q', "next|");
	wire_close();
}
END_TEST

START_TEST(with_a_lifetime_of_zero_a_server_is_used_once)
{
	begin("server_lifetime = 0", NULL);
	for (int i = 0; i < 3; i++) {
		wire_query(client, "mine");
		if (i > 0)
			server = wire_server();
		wire_expect_message(server, 'Q', "mine|");
		wire_server_says(server, "CZ");
		wire_expect(client, "CZ");
		wire_expect(server, "X");
		wire_expect_closed(server);
		wire_expect_pool("active 1 / -");
	}
	wire_close();
}
END_TEST

/* ---- the check query ---- */

/* The server has rested long enough, and a client wants it. */
static void begin_check(const char *settings, const char *query)
{
	begin(settings, NULL);
	wire_advance(SECONDS(30) - 1);
	wire_expect_pool("active 1 / idle 1");
	wire_advance(1);
	wire_expect_pool("active 1 / used 1");
	wire_expect_nothing(server);
	wire_query(client, "mine");
	wire_expect_message(server, 'Q', query);
	wire_expect_nothing(server);
	wire_expect_pool("waiting 1 / tested 1");
}

START_TEST(a_server_that_rested_long_is_checked_before_use)
{
	begin_check(_i ? "server_check_query = select 7" : NULL, _i ? "select 7|" : "|");
	wire_server_says(server, _i ? "TDC" : "I");
	wire_expect_nothing(server);
	wire_expect_nothing(client);
	wire_server_says(server, "Z");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(client);
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_server_that_fails_its_check_is_replaced)
{
	begin_check(NULL, "|");
	switch (_i) {
	case 0:
		wire_server_says(server, "EZ");
		break;
	case 1:
		wire_error(server, "FATAL", "57P01", "bye");
		wire_hang_up(server);
		break;
	case 2:
		wire_hang_up(server);
		break;
	case 3:
		wire_server_says(server, "I");
		wire_ready(server, 'T');
		break;
	case 4:
		wire_advance(SECONDS(15) - 1);
		wire_expect_pool("waiting 1 / tested 1");
		wire_advance(1);
		break;
	default:
		wire_send(server, "?\0\0\0\4", 5);
	}
	wire_expect_closed(server);
	server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(client);
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_client_that_leaves_during_the_check_leaves_a_good_server)
{
	begin_check(NULL, "|");
	wire_hang_up(client);
	wire_expect_pool("- / tested 1");
	wire_server_says(server, "IZ");
	wire_expect_pool("- / idle 1");
	wire_close();
}
END_TEST

START_TEST(with_a_delay_of_zero_each_use_is_checked)
{
	begin("server_check_delay = 0", NULL);
	is_served(client, server); /* fresh from its login */
	for (int i = 0; i < 3; i++) {
		wire_expect_pool("active 1 / used 1");
		wire_query(client, "mine");
		wire_expect_message(server, 'Q', "|");
		ck_assert_uint_eq(server->size, 1);
		wire_expect_nothing(server);
		wire_server_says(server, "IZ");
		wire_expect_message(server, 'Q', "mine|");
		wire_server_says(server, "CZ");
		wire_expect(client, "CZ");
	}
	wire_close();
}
END_TEST

START_TEST(a_connect_query_runs_once_before_first_use)
{
	wire_open(NULL, "connect_query='select 5'");
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_server();
	wire_expect(client, "RSSSSSSSKZ");
	wire_expect_message(server, 'Q', "select 5|");
	wire_query(client, "mine");
	wire_expect_nothing(server);
	wire_server_says(server, "TDCZ");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(client);
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	is_served(client, server);
	wire_close();
}
END_TEST

START_TEST(a_connect_query_that_leaves_a_transaction_is_tried_again_after_server_login_retry)
{
	wire_open("server_login_retry = 7\nquery_wait_timeout = 20", "connect_query='begin'");
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_server();
	wire_expect(client, "RSSSSSSSKZ");
	wire_expect_message(server, 'Q', "begin|");
	wire_query(client, "mine");
	wire_answer(server, "BEGIN", 'T');
	wire_expect_closed(server);
	ck_assert_ptr_null(wire_accept());
	wire_advance(7 * USEC_PER_SECOND - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(2);
	server = wire_server();
	wire_expect_message(server, 'Q', "begin|");
	wire_answer(server, "BEGIN", 'T');
	wire_expect_closed(server);
	wire_advance(20 * USEC_PER_SECOND);
	wire_expect_message(client, 'E', "connect_query leaves a transaction open");
	wire_expect_closed(client);
	wire_close();
}
END_TEST

START_TEST(a_new_server_idle_timeout_holds_for_servers_that_rest_already)
{
	struct error error;
	begin("server_idle_timeout = 600\nserver_check_query =", NULL);
	is_served(client, server);
	ck_assert(snapshot_set(SETTING_server_idle_timeout, "10", &error));
	registry_apply();
	wire_advance(10 * USEC_PER_SECOND + 1);
	wire_expect_message(server, 'X', "");
	wire_expect_closed(server);
	wire_close();
}
END_TEST

Suite *suite_waiting(void)
{
	Suite *suite = suite_create("wire/waiting");
	TCase *tcase = tcase_create("queue");
	tcase_add_test(tcase, waiting_clients_are_served_in_order);
	tcase_add_test(tcase, what_a_client_says_while_it_waits_is_kept_in_order);
	tcase_add_test(tcase, a_waiting_client_that_says_very_much_is_paused);
	tcase_add_test(tcase, a_second_client_gets_a_second_server);
	tcase_add_loop_test(tcase, idle_servers_are_used_last_in_first_out_or_in_turn, 0, 2);
	tcase_add_test(tcase, the_reserve_opens_when_a_client_has_waited_long_enough);
	tcase_add_test(tcase, min_pool_size_is_reached);
	tcase_add_test(tcase, max_db_connections_evicts_an_idle_server_of_another_pool);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("query_wait_timeout");
	tcase_add_test(tcase, a_client_waits_until_query_wait_timeout);
	tcase_add_test(tcase, query_wait_timeout_begins_anew_with_each_wait);
	tcase_add_test(tcase, without_query_wait_timeout_a_client_waits_for_ever);
	tcase_add_test(tcase, query_wait_timeout_of_the_database_wins);
	tcase_add_test(tcase, who_waited_in_vain_for_a_server_that_is_down_is_told_the_cause);
	tcase_add_test(tcase, without_descriptors_who_waits_is_served_later_and_one_line_says_so);
	tcase_add_test(tcase, who_waits_for_the_greeting_is_told_the_cause_too);
	tcase_add_test(tcase, query_wait_timeout_also_bounds_the_wait_for_the_greeting);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("logins");
	tcase_add_test(tcase, a_server_that_is_down_is_tried_again_after_server_login_retry);
	tcase_add_test(tcase, a_server_that_stays_silent_is_given_up_after_server_connect_timeout);
	tcase_add_test(tcase, server_connect_timeout_bounds_the_whole_login);
	tcase_add_test(tcase, a_refused_login_is_told_to_all_who_wait_for_the_greeting);
	tcase_add_test(tcase, a_refused_login_is_told_to_all_who_wait_for_a_server);
	tcase_add_test(tcase, an_idle_client_is_told_the_cached_error_when_it_asks);
	tcase_add_loop_test(tcase, a_server_that_is_starting_up_keeps_clients_queued, 0, 3);
	tcase_add_test(tcase, a_refused_second_server_does_not_fail_who_can_wait_for_the_first);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("rest");
	tcase_add_test(tcase, an_idle_server_is_closed_after_server_idle_timeout);
	tcase_add_test(tcase, min_pool_size_outlasts_server_idle_timeout);
	tcase_add_test(tcase, a_used_server_is_closed_after_server_idle_timeout_too);
	tcase_add_test(tcase, an_idle_server_is_closed_at_the_end_of_its_lifetime);
	tcase_add_test(tcase, a_busy_server_is_closed_when_it_is_released_after_its_lifetime);
	tcase_add_test(tcase, with_a_lifetime_of_zero_a_server_is_used_once);
	tcase_add_loop_test(tcase, a_server_that_rested_long_is_checked_before_use, 0, 2);
	tcase_add_loop_test(tcase, a_server_that_fails_its_check_is_replaced, 0, 6);
	tcase_add_test(tcase, a_client_that_leaves_during_the_check_leaves_a_good_server);
	tcase_add_test(tcase, with_a_delay_of_zero_each_use_is_checked);
	tcase_add_test(tcase, a_connect_query_runs_once_before_first_use);
	tcase_add_test(
		tcase,
		a_connect_query_that_leaves_a_transaction_is_tried_again_after_server_login_retry);
	tcase_add_test(tcase, a_new_server_idle_timeout_holds_for_servers_that_rest_already);
	suite_add_tcase(suite, tcase);
	return suite;
}
