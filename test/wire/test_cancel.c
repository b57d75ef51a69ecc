/* SPDX-License-Identifier: ISC */
/* CancelRequests reach the query that they mean, or nobody. */
#include "config.h"
#include <string.h>
#include "conn/client.h"
#include "pool/pool.h"
#include "proto/message.h"
#include "proto/startup.h"
#include "suites.h"
#include "wire.h"

#define SECONDS(n) ((n)*USEC_PER_SECOND)

static struct wire_peer *client, *server, *asker, *carrier;

static void begin(const char *settings)
{
	wire_open(settings, NULL);
	client = wire_client();
	server = wire_first_server();
	wire_expect_pool("active 1 / idle 1");
}

static size_t put_cancel(uint8_t *at, const uint8_t *key)
{
	message_put32(at, 16);
	message_put32(at + 4, STARTUP_VERSION(1234, 5678));
	memcpy(at + 8, key, 8);
	return 16;
}

/* Someone asks to cancel what the client with this key does. */
static struct wire_peer *cancels(const uint8_t *key)
{
	uint8_t packet[16];
	struct wire_peer *who = wire_connect();
	wire_send(who, packet, put_cancel(packet, key));
	return who;
}

static void runs_a_query(void)
{
	wire_query(client, "long");
	wire_expect_message(server, 'Q', "long|");
	ck_assert_str_eq(wire_state(client), "ACTIVE");
}

/* The connection that carries the request to the server: just the request, with the server's own
 * key. */
static struct wire_peer *carries(struct wire_peer *target)
{
	uint8_t packet[16];
	struct wire_peer *by = wire_accept();
	ck_assert_msg(by != NULL, "no connection carries the request");
	ck_assert_uint_eq(wire_read(by), put_cancel(packet, target->key));
	ck_assert_mem_eq(by->in, packet, sizeof packet);
	by->length = 0;
	return by;
}

/* ... to one of two servers. */
static struct wire_peer *carries_either(struct wire_peer *a, struct wire_peer *b)
{
	uint8_t packet[16];
	struct wire_peer *by = wire_accept();
	ck_assert_msg(by != NULL, "no connection carries the request");
	ck_assert_uint_eq(wire_read(by), 16);
	put_cancel(packet, memcmp(by->in + 8, a->key, 8) ? b->key : a->key);
	ck_assert_mem_eq(by->in, packet, sizeof packet);
	by->length = 0;
	return by;
}

/* The query ends as cancelled. */
static void ends_cancelled(void)
{
	wire_error(server, "ERROR", "57014", "canceling statement due to user request");
	wire_ready(server, 'I');
	wire_expect_error(client, "ERROR", "57014", "canceling statement due to user request");
	wire_expect(client, "Z");
}

START_TEST(a_cancel_request_reaches_its_server)
{
	begin(NULL);
	runs_a_query();
	asker = cancels(client->key);
	ck_assert_str_eq(wire_state(asker), "CANCEL_ACTIVE");
	carrier = carries(server);
	wire_expect_pool("active 1, cancel_active 1 / active 1, canceling 1");
	wire_expect_nothing(server);
	wire_hang_up(carrier);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	ck_assert(wire_logged("successfully sent cancel request"));
	wire_expect_pool("active 1 / active 1");
	ends_cancelled();
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(of_several_queries_the_right_one_is_cancelled)
{
	begin("default_pool_size = 3");
	struct wire_peer *clients[3] = {client, wire_client(), wire_client()},
			 *servers[3] = {server};
	for (int i = 0; i < 3; i++) {
		wire_query(clients[i], "long");
		if (i > 0)
			servers[i] = wire_server();
		wire_expect(servers[i], "Q");
	}
	for (int i = 2; i >= 0; i--) {
		asker = cancels(clients[i]->key);
		carrier = carries(servers[i]);
		wire_hang_up(carrier);
	}
	wire_close();
}
END_TEST

START_TEST(a_client_is_cancelled_at_the_server_that_serves_it_now)
{
	begin("default_pool_size = 2\nserver_round_robin = 1");
	struct wire_peer *other = wire_client(), *server2;
	runs_a_query();
	wire_query(other, "two");
	server2 = wire_server();
	wire_expect(server2, "Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_query(other, "more");
	wire_expect(server2, "Q");
	cancels(other->key);
	wire_hang_up(carries(server2));
	/* now the other way round */
	wire_server_says(server2, "CZCZ");
	wire_expect(other, "CZCZ");
	wire_query(other, "two");
	wire_expect(server, "Q");
	cancels(other->key);
	wire_hang_up(carries(server));
	wire_close();
}
END_TEST

START_TEST(who_asks_may_hang_up_at_once)
{
	uint8_t packet[16];
	begin(NULL);
	runs_a_query();
	asker = wire_connect();
	wire_push(asker, packet, put_cancel(packet, client->key));
	wire_hang_up(asker);
	carrier = carries(server);
	wire_expect_pool("active 1, cancel_active 1 / active 1, canceling 1");
	wire_hang_up(carrier);
	wire_expect_pool("active 1 / active 1");
	ends_cancelled();
	wire_close();
}
END_TEST

START_TEST(every_truncation_of_a_cancel_request_cancels_nothing)
{
	uint8_t packet[16];
	begin(NULL);
	runs_a_query();
	put_cancel(packet, client->key);
	for (size_t cut = 0; cut < sizeof packet; cut++) {
		asker = wire_connect();
		if (cut)
			wire_send(asker, packet, cut);
		wire_hang_up(asker);
		ck_assert_ptr_null(wire_accept());
	}
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(a_wrong_key_cancels_nothing)
{
	begin(NULL);
	runs_a_query();
	for (int bit = 0; bit < 64; bit += 5) {
		uint8_t key[8];
		memcpy(key, client->key, sizeof key);
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		asker = cancels(key);
		wire_expect_nothing(asker);
		wire_expect_closed(asker);
		ck_assert(wire_logged("bad cancel request"));
	}
	asker = cancels(server->key); /* the server's own */
	wire_expect_closed(asker);
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(the_key_of_a_client_that_left_cancels_nothing)
{
	uint8_t key[8];
	begin(NULL);
	struct wire_peer *other = wire_client();
	memcpy(key, other->key, sizeof key);
	wire_hang_up(other);
	runs_a_query();
	wire_expect_closed(cancels(key));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(an_idle_client_has_nothing_to_cancel)
{
	begin(NULL);
	struct wire_peer *other = wire_client();
	wire_query(other, "long");
	wire_expect(server, "Q");
	asker = cancels(client->key);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	ck_assert(wire_logged("cancel request for idle client"));
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 2 / active 1");
	wire_close();
}
END_TEST

START_TEST(between_the_requests_of_a_transaction_nothing_is_cancelled)
{
	begin(NULL);
	runs_a_query();
	wire_answer(server, "BEGIN", 'T');
	wire_expect(client, "CZ");
	wire_expect_closed(cancels(client->key));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(our_own_query_is_not_cancelled)
{
	static const char wishes[] = "application_name\0psql";
	begin(NULL);
	struct wire_peer *who = wire_client_as("u1", wishes, sizeof wishes);
	wire_query(who, "mine");
	wire_expect_message(server, 'Q', "SET ");
	wire_expect_closed(cancels(who->key));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(a_server_waits_until_its_cancels_are_over)
{
	/* the query ends by itself while the request is on its way: it must not hit the next */
	begin(NULL);
	struct wire_peer *other = wire_client();
	runs_a_query();
	wire_query(other, "mine");
	asker = cancels(client->key);
	carrier = carries(server);
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1, waiting 1, cancel_active 1 / being_canceled 1, canceling 1");
	wire_expect_nothing(server);
	wire_advance(SECONDS(1));
	wire_expect_nothing(server);
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_pool("active 2 / active 1");
	wire_server_says(server, "CZ");
	wire_expect(other, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_session_ends_its_cancels_before_the_reset)
{
	begin("pool_mode = session");
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_hang_up(client);
	wire_expect_nothing(server);
	wire_expect_pool("cancel_active 1 / being_canceled 1, canceling 1");
	wire_hang_up(carrier);
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_server_says(server, "CZ");
	wire_expect_pool("- / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_query_that_ended_is_not_cancelled)
{
	/* the answer and the request come at the same time, in either order */
	uint8_t packet[16], answer[64];
	size_t size = wire_put_types(answer, "CZ", true);
	begin(NULL);
	struct wire_peer *other = wire_client();
	runs_a_query();
	wire_query(other, "mine");
	asker = wire_connect();
	put_cancel(packet, client->key);
	if (_i == 0) {
		wire_push(server, answer, size);
		wire_push(asker, packet, sizeof packet);
	} else {
		wire_push(asker, packet, sizeof packet);
		wire_push(server, answer, size);
	}
	wire_settle();
	carrier = wire_accept();
	if (carrier) { /* it connected for nothing */
		wire_expect_nothing(carrier);
		wire_expect_closed(carrier);
	}
	wire_expect_closed(asker);
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_pool("active 2 / active 1");
	wire_close();
}
END_TEST

START_TEST(a_cancel_waits_for_another_to_end)
{
	begin(NULL);
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	struct wire_peer *second = cancels(client->key), *third = cancels(client->key);
	ck_assert_str_eq(wire_state(second), "CANCEL_WAITING");
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 1, cancel_active 1, cancel_waiting 2 / active 1, canceling 1");
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	wire_expect_open(second);
	carrier = carries(server);
	wire_expect_pool("active 1, cancel_active 1, cancel_waiting 1 / active 1, canceling 1");
	/* the query ends: the third comes too late */
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_hang_up(carrier);
	wire_expect_closed(second);
	wire_expect_closed(third);
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_server_has_two_requests_against_it_at_most)
{
	begin("default_pool_size = 5");
	struct wire_peer *other = wire_client(), *askers[6], *carriers[2];
	runs_a_query();
	wire_query(other, "long");
	struct wire_peer *server2 = wire_server();
	wire_expect(server2, "Q");
	for (int i = 0; i < 6; i++)
		askers[i] = cancels(client->key);
	carriers[0] = carries(server);
	carriers[1] = carries(server);
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 2, cancel_active 2, cancel_waiting 4 / active 2, canceling 2");
	/* who asks about another server need not wait for them */
	struct wire_peer *late = cancels(other->key);
	wire_hang_up(carries(server2));
	wire_expect_closed(late);
	/* the others follow one by one, in order */
	for (int i = 2; i < 6; i++) {
		wire_hang_up(carriers[i % 2]);
		wire_expect_closed(askers[i - 2]);
		wire_expect_open(askers[i]);
		carriers[i % 2] = carries(server);
		ck_assert_ptr_null(wire_accept());
	}
	wire_hang_up(carriers[0]);
	wire_hang_up(carriers[1]);
	wire_expect_closed(askers[4]);
	wire_expect_closed(askers[5]);
	wire_expect_pool("active 2 / active 2");
	wire_close();
}
END_TEST

START_TEST(a_storm_lets_others_through)
{
	/* many ask about one query that does not end, and somebody about another */
	enum { STORM = 600 };
	struct wire_peer *askers[STORM], *carriers[2];
	begin("default_pool_size = 3\nmax_client_conn = 1000");
	struct wire_peer *other = wire_client(), *server2;
	runs_a_query();
	wire_query(other, "long");
	server2 = wire_server();
	wire_expect(server2, "Q");
	for (int i = 0; i < STORM; i++)
		askers[i] = cancels(client->key);
	carriers[0] = carries(server);
	carriers[1] = carries(server);
	struct wire_peer *second = cancels(other->key), *third = cancels(other->key);
	struct wire_peer *carrier2 = carries(server2);
	wire_expect_open(third); /* three at a time is all that the pool may have */
	wire_expect_pool("active 2, cancel_active 3, cancel_waiting 599 / active 2, canceling 3");
	wire_hang_up(carrier2);
	wire_expect_closed(second);
	/* so long as it takes to come upon it */
	for (int i = 0; i < 3 && !strcmp(wire_state(third), "CANCEL_WAITING"); i++) {
		wire_hang_up(carriers[i % 2]);
		carriers[i % 2] = carries_either(server, server2);
	}
	ck_assert_str_eq(wire_state(third), "CANCEL_ACTIVE");
	/* the query ends: so do all who asked about it */
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_hang_up(carriers[0]);
	wire_hang_up(carriers[1]);
	for (struct wire_peer *left; (left = wire_accept());)
		wire_hang_up(left);
	wire_expect_closed(third);
	for (int i = 0; i < STORM; i++)
		wire_expect_closed(askers[i]);
	wire_expect_pool("active 2 / idle 1, active 1");
	wire_close();
}
END_TEST

START_TEST(a_request_that_waited_does_not_hit_what_began_meanwhile)
{
	begin(NULL);
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	struct wire_peer *second = cancels(client->key);
	ck_assert_str_eq(wire_state(second), "CANCEL_WAITING");
	wire_advance(1000);
	wire_answer(server, "BEGIN", 'T'); /* the server is the client's own yet */
	wire_expect(client, "CZ");
	wire_query(client, "next");
	wire_expect_message(server, 'Q', "next|");
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	wire_expect_closed(second);
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(what_was_only_flushed_can_be_cancelled)
{
	begin(NULL);
	wire_client_says(client, "PBEH");
	wire_expect(server, "PBEH");
	wire_server_says(server, "12");
	wire_expect(client, "12");
	asker = cancels(client->key);
	wire_hang_up(carries(server));
	wire_error(server, "ERROR", "57014", "canceling statement due to user request");
	wire_expect(client, "E");
	/* nothing runs until Sync */
	wire_expect_closed(cancels(client->key));
	ck_assert_ptr_null(wire_accept());
	wire_client_says(client, "S");
	wire_expect(server, "S");
	wire_ready(server, 'I');
	wire_expect(client, "Z");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(when_nothing_can_be_carried_all_who_wait_are_let_go)
{
	enum { ASKERS = 300 };
	struct wire_peer *askers[ASKERS];
	begin("max_client_conn = 1000");
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	for (int i = 0; i < ASKERS; i++)
		askers[i] = cancels(client->key);
	wire_server_down();
	wire_hang_up(carrier);
	for (int i = 0; i < ASKERS; i++)
		wire_expect_closed(askers[i]);
	ck_assert(wire_logged("cannot carry a CancelRequest: "));
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(all_who_wait_to_cancel_what_ended_are_let_go)
{
	begin(NULL);
	runs_a_query();
	struct wire_peer *waiting[4];
	asker = cancels(client->key);
	carrier = carries(server);
	for (int i = 0; i < 4; i++)
		waiting[i] = cancels(client->key);
	wire_expect_pool("active 1, cancel_active 1, cancel_waiting 4 / active 1, canceling 1");
	wire_server_says(server, "CZ");
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	for (int i = 0; i < 4; i++)
		wire_expect_closed(waiting[i]);
	ck_assert_ptr_null(wire_accept());
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

/* Covers cancel_wait_timeout.
 * Covers cancel_wait_timeout (database).
 * Covers cancel_wait_timeout (user). */
START_TEST(a_cancel_waits_until_cancel_wait_timeout)
{
	static const char *const settings[] = {
		"cancel_wait_timeout = 4", "cancel_wait_timeout = 90",
		"cancel_wait_timeout = 90\n[users]\nu1 = cancel_wait_timeout=4"};
	static const char *const rows[] = {NULL, "cancel_wait_timeout=4", "cancel_wait_timeout=80"};
	wire_open(settings[_i], rows[_i]);
	client = wire_client();
	server = wire_first_server();
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	struct wire_peer *second = cancels(client->key);
	wire_advance(SECONDS(4) - 1);
	wire_expect_open(second);
	wire_advance(1);
	wire_expect_nothing(second);
	wire_expect_closed(second);
	ck_assert(wire_logged("cancel_wait_timeout"));
	wire_expect_pool("active 1, cancel_active 1 / active 1, canceling 1");
	wire_close();
}
END_TEST

START_TEST(a_carrier_that_is_not_closed_is_given_up)
{
	begin("server_check_query =");
	struct wire_peer *other = wire_client();
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_query(other, "mine");
	wire_advance(SECONDS(15) - 1);
	wire_expect_pool("active 1, waiting 1, cancel_active 1 / being_canceled 1, canceling 1");
	wire_expect_nothing(server);
	wire_advance(1);
	wire_expect_closed(carrier);
	wire_expect_closed(asker);
	/* PostgreSQL may act on it yet: nobody else may have that server */
	wire_expect(server, "X");
	wire_expect_closed(server);
	wire_expect_message(wire_server(), 'Q', "mine|");
	wire_expect_pool("active 2 / active 1");
	wire_close();
}
END_TEST

START_TEST(a_carrier_that_cannot_connect_leaves_the_query_alone)
{
	begin(NULL);
	runs_a_query();
	wire_server_down();
	asker = cancels(client->key);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	wire_expect_pool("active 1 / active 1");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_client_leaves_while_it_is_being_cancelled)
{
	uint8_t bytes[64];
	begin("cancel_on_disconnect = 0");
	wire_expect_pool("active 1 / idle 1");
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	if (_i == 0) {
		wire_server_says(server, "T"); /* unread: the connection is reset */
		wire_hang_up(client);
		wire_expect_closed(server);
	} else {
		wire_send(client, bytes, wire_put_types(bytes, "X", false));
		ends_cancelled();
		wire_expect_closed(client);
		wire_expect_pool("cancel_active 1 / being_canceled 1, canceling 1");
	}
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	wire_expect_pool(_i == 0 ? "- / -" : "- / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_server_vanishes_while_it_is_being_cancelled)
{
	begin(NULL);
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	wire_hang_up(server);
	wire_expect_fatal(client, "08006", "server conn crashed?|");
	wire_hang_up(carrier);
	wire_expect_closed(asker);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(a_server_without_a_key_is_not_cancelled)
{
	wire_open(NULL, NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	server->length = 0;
	wire_send(server, "R\0\0\0\x08\0\0\0\0Z\0\0\0\5I", 15);
	while (wire_next(client))
		if (client->type == 'K')
			memcpy(client->key, client->body, 8);
	runs_a_query();
	asker = cancels(client->key);
	carrier = wire_accept();
	if (carrier)
		wire_expect_nothing(carrier);
	wire_expect_closed(asker);
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(what_a_carrier_hears_does_not_matter)
{
	begin(NULL);
	runs_a_query();
	asker = cancels(client->key);
	carrier = carries(server);
	wire_error(carrier, "FATAL", "53300", "sorry, too many clients already");
	wire_hang_up(carrier);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	wire_expect_nothing(client);
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

Suite *suite_cancels(void)
{
	Suite *suite = suite_create("wire/cancel");
	TCase *tcase = tcase_create("cancel");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_cancel_request_reaches_its_server);
	tcase_add_test(tcase, of_several_queries_the_right_one_is_cancelled);
	tcase_add_test(tcase, a_client_is_cancelled_at_the_server_that_serves_it_now);
	tcase_add_test(tcase, who_asks_may_hang_up_at_once);
	tcase_add_test(tcase, every_truncation_of_a_cancel_request_cancels_nothing);
	tcase_add_test(tcase, a_wrong_key_cancels_nothing);
	tcase_add_test(tcase, the_key_of_a_client_that_left_cancels_nothing);
	tcase_add_test(tcase, an_idle_client_has_nothing_to_cancel);
	tcase_add_test(tcase, between_the_requests_of_a_transaction_nothing_is_cancelled);
	tcase_add_test(tcase, our_own_query_is_not_cancelled);
	tcase_add_test(tcase, a_server_waits_until_its_cancels_are_over);
	tcase_add_test(tcase, a_session_ends_its_cancels_before_the_reset);
	tcase_add_loop_test(tcase, a_query_that_ended_is_not_cancelled, 0, 2);
	tcase_add_test(tcase, a_cancel_waits_for_another_to_end);
	tcase_add_test(tcase, a_server_has_two_requests_against_it_at_most);
	tcase_add_test(tcase, a_storm_lets_others_through);
	tcase_add_test(tcase, a_request_that_waited_does_not_hit_what_began_meanwhile);
	tcase_add_test(tcase, what_was_only_flushed_can_be_cancelled);
	tcase_add_test(tcase, when_nothing_can_be_carried_all_who_wait_are_let_go);
	tcase_add_test(tcase, all_who_wait_to_cancel_what_ended_are_let_go);
	tcase_add_loop_test(tcase, a_cancel_waits_until_cancel_wait_timeout, 0, 3);
	tcase_add_test(tcase, a_carrier_that_is_not_closed_is_given_up);
	tcase_add_test(tcase, a_carrier_that_cannot_connect_leaves_the_query_alone);
	tcase_add_loop_test(tcase, a_client_leaves_while_it_is_being_cancelled, 0, 2);
	tcase_add_test(tcase, a_server_vanishes_while_it_is_being_cancelled);
	tcase_add_test(tcase, a_server_without_a_key_is_not_cancelled);
	tcase_add_test(tcase, what_a_carrier_hears_does_not_matter);
	suite_add_tcase(suite, tcase);
	return suite;
}
