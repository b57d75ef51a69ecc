/* SPDX-License-Identifier: ISC */
/* What an administrator does to pools, with clients and servers in every state; shutting down;
 * illegal changes of state. */
#include "config.h"
#include <string.h>
#include "conn/client.h"
#include "conn/gate.h"
#include "conn/server.h"
#include "pool/limit.h"
#include "pool/pool.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server;

static void begin(const char *settings)
{
	wire_open(settings, NULL);
	client = wire_client();
	server = wire_first_server();
	wire_expect_pool("active 1 / idle 1");
}

static struct pool *pool(void)
{
	return registry_pool(registry_find_database("db"), registry_find_user("u1"));
}

static void begins_a_transaction(struct wire_peer *who)
{
	wire_query(who, "BEGIN");
	wire_expect_message(server, 'Q', "BEGIN|");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(who, "CZ");
}

static void commits(struct wire_peer *who)
{
	wire_query(who, "COMMIT");
	wire_expect_message(server, 'Q', "COMMIT|");
	wire_answer(server, "COMMIT", 'I');
	wire_expect(who, "CZ");
}

static struct wire_peer *cancels(const struct wire_peer *victim)
{
	struct wire_peer *who = wire_connect();
	uint8_t packet[16] = {0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e};
	memcpy(packet + 8, victim->key, 8);
	wire_send(who, packet, sizeof packet);
	return who;
}

/* ---- KILL ---- */

START_TEST(kill_ends_idle_active_and_waiting_clients)
{
	begin(NULL);
	struct wire_peer *active = wire_client(), *waiting = wire_client();
	begins_a_transaction(active);
	wire_query(waiting, "never");
	wire_expect_pool("active 2, waiting 1 / active 1");
	pool_kill(pool(), CLOSE_ADMIN_DISCONNECT);
	wire_expect_fatal(client, "57P01", "admin forced disconnect|");
	wire_expect_fatal(active, "57P01", "admin forced disconnect|");
	wire_expect_fatal(waiting, "57P01", "admin forced disconnect|");
	wire_expect_nothing(server); /* no Terminate into an open transaction */
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	ck_assert_uint_eq(limit_connections(), 0);
	client = wire_client();
	wire_query(client, "new");
	wire_expect_message(wire_server(), 'Q', "new|");
	wire_close();
}
END_TEST

START_TEST(kill_ends_clients_that_wait_for_their_greeting)
{
	wire_open(NULL, NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect(client, "R");
	server = wire_accept();
	wire_read(server);
	server->length = 0;
	wire_expect_pool("welcome 1 / login 1");
	pool_kill(pool(), CLOSE_ADMIN_DISCONNECT);
	wire_expect_fatal(client, "57P01", "admin forced disconnect|");
	wire_expect_nothing(server);
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(kill_ends_cancels)
{
	begin(NULL);
	wire_query(client, "long");
	wire_expect(server, "Q");
	struct wire_peer *first = cancels(client), *second = cancels(client),
			 *carrier = wire_accept();
	wire_read(carrier);
	carrier->length = 0;
	wire_expect_pool("active 1, cancel_active 1, cancel_waiting 1 / active 1, canceling 1");
	pool_kill(pool(), CLOSE_ADMIN_DISCONNECT);
	wire_expect_fatal(client, "57P01", "admin forced disconnect|");
	wire_expect_closed(carrier);
	wire_expect_closed(server);
	wire_expect_message(first, 'E', "admin forced disconnect");
	wire_expect_message(second, 'E', "admin forced disconnect");
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(kill_in_the_middle_of_a_row_ends_silently)
{
	uint8_t bytes[64];
	begin(NULL);
	wire_query(client, "long");
	wire_expect(server, "Q");
	size_t size = wire_put(bytes, 'D', "0123456789", 10);
	wire_send(server, bytes, size - 5);
	pool_kill(pool(), CLOSE_ADMIN_DISCONNECT);
	ck_assert_uint_eq(wire_read(client), size - 5);
	ck_assert_mem_eq(client->in, bytes, size - 5);
	client->length = 0;
	wire_expect_closed(client);
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(kill_ends_servers_in_every_state)
{
	begin(_i == 1 ? "pool_mode = session" : NULL);
	switch (_i) {
	case 0: /* used, then tested */
		wire_advance(30 * USEC_PER_SECOND);
		wire_query(client, "one");
		wire_expect_message(server, 'Q', "|");
		wire_expect_pool("waiting 1 / tested 1");
		break;
	case 1: /* in its reset */
		wire_query(client, "one");
		wire_expect(server, "Q");
		wire_server_says(server, "CZ");
		wire_hang_up(client);
		wire_expect(server, "Q");
		wire_expect_pool("- / tested 1");
		break;
	case 2:
		wire_advance(30 * USEC_PER_SECOND);
		wire_expect_pool("active 1 / used 1");
		break;
	default: /* being cancelled */
		wire_query(client, "one");
		wire_expect(server, "Q");
		cancels(client);
		wire_accept();
		wire_server_says(server, "CZ");
		wire_expect_pool("active 1, cancel_active 1 / being_canceled 1, canceling 1");
	}
	pool_kill(pool(), CLOSE_ADMIN_DISCONNECT);
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(one_client_can_be_ended)
{
	begin(NULL);
	struct wire_peer *other = wire_client();
	client_close(client_find(other->id), CLOSE_ADMIN_DISCONNECT, NULL);
	client_close(wire_inside(client), CLOSE_ADMIN_DISCONNECT, NULL);
	wire_expect_fatal(other, "57P01", "admin forced disconnect|");
	wire_expect_fatal(client, "57P01", "admin forced disconnect|");
	wire_expect_pool("- / idle 1");
	wire_close();
}
END_TEST

START_TEST(closing_twice_is_harmless)
{
	begin(NULL);
	struct client *inside = wire_inside(client);
	wire_query(client, "one");
	wire_expect(server, "Q");
	struct server *partner = client_server(inside);
	client_close(inside, CLOSE_ADMIN_DISCONNECT, NULL);
	client_close(inside, CLOSE_BUG, NULL);
	server_close(partner, CLOSE_ADMIN_DISCONNECT, NULL);
	server_close(partner, CLOSE_BUG, NULL);
	wire_expect_fatal(client, "57P01", "admin forced disconnect|");
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

/* ---- PAUSE and RESUME ---- */

START_TEST(a_pause_lets_transactions_end_and_new_requests_wait)
{
	begin("server_check_query =");
	struct wire_peer *other = wire_client();
	begins_a_transaction(client);
	pool_set_paused(true);
	ck_assert(pool_is_busy(pool()));
	wire_query(other, "waits");
	wire_expect_pool("active 1, waiting 1 / active 1");
	commits(client);
	wire_expect(server, "X");
	wire_expect_closed(server);
	ck_assert(wire_logged("pause mode"));
	ck_assert(!pool_is_busy(pool()));
	wire_query(client, "waits too");
	wire_expect_pool("waiting 2 / -");
	wire_advance(119 * USEC_PER_SECOND);
	ck_assert_ptr_null(wire_accept());
	pool_set_paused(false);
	pool_work(pool());
	server = wire_server();
	wire_expect_message(server, 'Q', "waits|");
	wire_server_says(server, "CZ");
	wire_expect(other, "CZ");
	wire_expect_message(server, 'Q', "waits too|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_login_during_a_pause_needs_no_server)
{
	begin(NULL);
	pool_set_paused(true);
	pool_close_idle(pool(), CLOSE_PAUSE);
	wire_expect_closed(server);
	wire_expect_pool("active 1 / -");
	struct wire_peer *other = wire_client(); /* the greeting is known */
	wire_query(other, "waits");
	wire_expect_pool("active 1, waiting 1 / -");
	pool_set_paused(false);
	pool_work(pool());
	server = wire_server();
	wire_expect_message(server, 'Q', "waits|");
	wire_close();
}
END_TEST

START_TEST(a_pause_of_one_database_holds_its_clients)
{
	begin(NULL);
	registry_find_database("db")->is_paused = true;
	wire_query(client, "waits");
	wire_expect_pool("waiting 1 / idle 1");
	wire_expect_nothing(server);
	registry_find_database("db")->is_paused = false;
	pool_work(pool());
	wire_expect_message(server, 'Q', "waits|");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(a_client_may_leave_during_a_pause)
{
	begin(NULL);
	pool_set_paused(true);
	wire_query(client, "never");
	wire_expect_pool("waiting 1 / idle 1");
	wire_hang_up(client);
	wire_expect_pool("- / idle 1");
	wire_expect_nothing(server);
	pool_set_paused(false);
	pool_work(pool());
	wire_expect_nothing(server);
	wire_close();
}
END_TEST

/* ---- RECONNECT ---- */

START_TEST(retired_servers_go_as_soon_as_they_are_free)
{
	begin("default_pool_size = 2");
	struct wire_peer *other = wire_client(), *idle;
	begins_a_transaction(client);
	wire_query(other, "one");
	idle = wire_server();
	wire_expect(idle, "Q");
	wire_server_says(idle, "CZ");
	wire_expect(other, "CZ");
	wire_expect_pool("active 2 / idle 1, active 1");
	pool_retire(pool(), CLOSE_OBSOLETE);
	wire_expect(idle, "X");
	wire_expect_closed(idle);
	wire_expect_pool("active 2 / active 1");
	wire_expect_nothing(server);
	commits(client);
	wire_expect(server, "X");
	wire_expect_closed(server);
	ck_assert(wire_logged("obsolete connection"));
	wire_query(client, "new");
	wire_expect_message(wire_server(), 'Q', "new|");
	wire_close();
}
END_TEST

START_TEST(a_retired_login_is_begun_anew)
{
	wire_open(NULL, NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	server->length = 0;
	pool_retire(pool(), CLOSE_OBSOLETE);
	wire_expect_closed(server);
	server = wire_server();
	wire_expect(client, "RSSSSSSSKZ");
	wire_close();
}
END_TEST

/* Covers server_fast_close. */
START_TEST(a_session_keeps_its_retired_server)
{
	begin(_i ? "pool_mode = session\nserver_fast_close = 1" : "pool_mode = session");
	wire_query(client, "one");
	wire_expect(server, "Q");
	wire_server_says(server, "C");
	pool_retire(pool(), CLOSE_OBSOLETE);
	wire_server_says(server, "Z");
	wire_expect(client, "CZ");
	if (_i) { /* outside of a transaction it may be closed */
		wire_expect_closed(client);
		wire_expect_closed(server);
	} else {
		wire_query(client, "two");
		wire_expect_message(server, 'Q', "two|");
		wire_server_says(server, "CZ");
		wire_expect(client, "CZ");
		wire_hang_up(client);
		wire_expect(server, "X"); /* no reset before the end */
		wire_expect_closed(server);
	}
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

/* ---- SHUTDOWN ---- */

static unsigned ended;

static void count_end(void)
{
	ended++;
}

START_TEST(shutting_down_for_servers_lets_transactions_end)
{
	begin(NULL);
	struct wire_peer *waiting = wire_client(), *idle = wire_client();
	begins_a_transaction(client);
	wire_query(waiting, "never");
	ended = 0;
	gate_on_end(count_end);
	gate_shut(GATE_WAIT_FOR_SERVERS);
	wire_expect_fatal(waiting, "57P01", "server shutting down|");
	wire_advance(10 * USEC_PER_SECOND);
	ck_assert_uint_eq(ended, 0);
	wire_expect_open(idle);
	struct wire_peer *late = wire_connect();
	wire_say_startup(late, "u1", NULL, 0);
	wire_expect_fatal(late, "57P03", "pooler is shutting down|");
	commits(client);
	wire_advance(USEC_PER_SECOND / 2);
	ck_assert_uint_eq(ended, 1);
	wire_close();
}
END_TEST

START_TEST(a_request_while_servers_are_awaited_is_refused)
{
	begin(NULL);
	struct wire_peer *idle = wire_client();
	begins_a_transaction(client);
	gate_shut(GATE_WAIT_FOR_SERVERS);
	wire_query(idle, "never");
	wire_expect_fatal(idle, "57P01", "server shutting down|");
	commits(client);
	wire_close();
}
END_TEST

START_TEST(shutting_down_for_clients_waits_for_all_of_them)
{
	begin(NULL);
	ended = 0;
	gate_on_end(count_end);
	gate_shut(GATE_WAIT_FOR_CLIENTS);
	struct wire_peer *late = wire_connect();
	wire_say_startup(late, "u1", NULL, 0);
	wire_expect_fatal(late, "57P03", "pooler is shutting down|");
	wire_query(client, "still");
	wire_expect_message(server, 'Q', "still|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_advance(USEC_PER_SECOND);
	ck_assert_uint_eq(ended, 0);
	wire_client_says(client, "X");
	wire_expect_closed(client);
	wire_advance(USEC_PER_SECOND);
	ck_assert_uint_eq(ended, 1);
	wire_close();
}
END_TEST

START_TEST(shutting_down_at_once_tells_every_client)
{
	begin(NULL);
	struct wire_peer *idle = wire_client(), *early = wire_connect();
	wire_query(client, "long");
	wire_expect(server, "Q");
	ended = 0;
	gate_on_end(count_end);
	gate_shut(GATE_IMMEDIATE);
	ck_assert_uint_eq(ended, 1);
	client_close_all(CLOSE_POOLER_SHUTDOWN);
	wire_expect_message(client, 'E', "|C57P03|Mpooler is shutting down|");
	wire_expect_message(idle, 'E', "|C57P03|Mpooler is shutting down|");
	wire_expect_message(early, 'E', "|C57P03|Mpooler is shutting down|");
	wire_expect_closed(client);
	wire_close();
}
END_TEST

/* ---- illegal moves ---- */

START_TEST(an_illegal_move_of_a_client_is_logged_and_closes_it)
{
	for (int to = 0; to < CLIENT_CLOSING; to++) {
		begin(NULL);
		if (!client_state_allows(CLIENT_IDLE, (enum client_state)to)) {
			char text[128] = "BUG: illegal state change from IDLE to ";
			ck_assert(!client_set_state(wire_inside(client), (enum client_state)to));
			ck_assert(wire_logged(
				strcat(text, client_state_name((enum client_state)to))));
			wire_expect_fatal(client, "XX000",
					  "internal error (illegal state change)|");
			wire_expect_pool("- / idle 1");
		}
		wire_close();
	}
}
END_TEST

START_TEST(an_illegal_move_of_a_server_is_logged_and_closes_it)
{
	for (int to = 0; to < SERVER_CLOSING; to++) {
		begin(NULL);
		if (!server_state_allows(SERVER_IDLE, (enum server_state)to)) {
			char text[128] = "BUG: illegal state change from IDLE to ";
			struct list_node *node = list_first(&pool()->servers[SERVER_PLACE_IDLE]);
			struct pool_server *member = container_of(node, struct pool_server, node);
			ck_assert(
				!server_set_state(server_of_member(member), (enum server_state)to));
			ck_assert(wire_logged(
				strcat(text, server_state_name((enum server_state)to))));
			wire_expect_closed(server);
			wire_expect_pool("active 1 / -");
		}
		wire_close();
	}
}
END_TEST

Suite *suite_control(void)
{
	Suite *suite = suite_create("wire/control");
	TCase *tcase = tcase_create("kill");
	tcase_add_test(tcase, kill_ends_idle_active_and_waiting_clients);
	tcase_add_test(tcase, kill_ends_clients_that_wait_for_their_greeting);
	tcase_add_test(tcase, kill_ends_cancels);
	tcase_add_test(tcase, kill_in_the_middle_of_a_row_ends_silently);
	tcase_add_loop_test(tcase, kill_ends_servers_in_every_state, 0, 4);
	tcase_add_test(tcase, one_client_can_be_ended);
	tcase_add_test(tcase, closing_twice_is_harmless);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("pause");
	tcase_add_test(tcase, a_pause_lets_transactions_end_and_new_requests_wait);
	tcase_add_test(tcase, a_login_during_a_pause_needs_no_server);
	tcase_add_test(tcase, a_pause_of_one_database_holds_its_clients);
	tcase_add_test(tcase, a_client_may_leave_during_a_pause);
	tcase_add_test(tcase, retired_servers_go_as_soon_as_they_are_free);
	tcase_add_test(tcase, a_retired_login_is_begun_anew);
	tcase_add_loop_test(tcase, a_session_keeps_its_retired_server, 0, 2);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("shutdown");
	tcase_add_test(tcase, shutting_down_for_servers_lets_transactions_end);
	tcase_add_test(tcase, a_request_while_servers_are_awaited_is_refused);
	tcase_add_test(tcase, shutting_down_for_clients_waits_for_all_of_them);
	tcase_add_test(tcase, shutting_down_at_once_tells_every_client);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("states");
	tcase_add_test(tcase, an_illegal_move_of_a_client_is_logged_and_closes_it);
	tcase_add_test(tcase, an_illegal_move_of_a_server_is_logged_and_closes_it);
	suite_add_tcase(suite, tcase);
	return suite;
}
