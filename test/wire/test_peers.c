/* SPDX-License-Identifier: ISC */
/* CancelRequests for clients of peers are sent on to them, within bounds. The peer of these tests
 * listens where the servers do. */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "conn/cancel.h"
#include "conn/client.h"
#include "pool/registry.h"
#include "proto/message.h"
#include "proto/startup.h"
#include "suites.h"
#include "wire.h"

#define SECONDS(n) ((n)*USEC_PER_SECOND)
#define PEERS "\n[peers]\n2 = host=$dir port=5432 pool_size=2\n300 = host=$dir/none\n"

static struct wire_peer *asker, *carrier;

static void begin(const char *settings)
{
	char text[512];
	snprintf(text, sizeof text, "%s%s", settings, PEERS);
	wire_open(text, NULL);
}

/* A CancelRequest for a client of peer @id with @size bytes of secret. */
static size_t put_cancel(uint8_t *at, unsigned id, unsigned hops, size_t size)
{
	message_put32(at, (uint32_t)(12 + size));
	message_put32(at + 4, STARTUP_VERSION(1234, 5678));
	for (size_t i = 0; i < 4 + size; i++)
		at[8 + i] = (uint8_t)(0x51 + 7 * i);
	at[9] = (uint8_t)id;
	at[10] = (uint8_t)(id >> 8);
	cancel_set_hops_left(at + 12, hops);
	return 12 + size;
}

static struct wire_peer *asks(unsigned id, unsigned hops, size_t size)
{
	uint8_t packet[300];
	struct wire_peer *who = wire_connect();
	wire_send(who, packet, put_cancel(packet, id, hops, size));
	return who;
}

/* The connection that brings the request to the peer: as it was asked, but for the hops. */
static struct wire_peer *carries(unsigned id, unsigned hops, size_t size)
{
	uint8_t packet[300];
	struct wire_peer *by = wire_accept();
	ck_assert_msg(by != NULL, "nothing was sent on");
	ck_assert_uint_eq(wire_read(by), put_cancel(packet, id, hops, size));
	ck_assert_mem_eq(by->in, packet, 12 + size);
	by->length = 0;
	return by;
}

static void expect_peer_pool(unsigned active, unsigned waiting, unsigned carriers)
{
	const struct pool *pool = registry_peer(2)->pool;
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_CANCEL_ACTIVE].length, active);
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_CANCEL_WAITING].length, waiting);
	ck_assert_uint_eq(pool->servers[SERVER_PLACE_CANCELING].length, carriers);
	ck_assert_uint_eq(pool->server_count, 0);
}

START_TEST(a_request_for_a_client_of_a_peer_is_sent_on)
{
	begin("peer_id = 1");
	asker = asks(2, 3, 4);
	ck_assert_str_eq(wire_state(asker), "CANCEL_ACTIVE");
	carrier = carries(2, 2, 4);
	expect_peer_pool(1, 0, 1);
	wire_expect_open(asker); /* until the peer is done */
	wire_expect_nothing(carrier);
	wire_hang_up(carrier);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	ck_assert(wire_logged("peer-2@unix"));
	expect_peer_pool(0, 0, 0);
	wire_close();
}
END_TEST

START_TEST(a_long_key_is_sent_on_as_it_is)
{
	static const size_t sizes[] = {4, 5, 32, 255, 256};
	begin("peer_id = 1");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		asker = asks(2, 3, sizes[i]);
		wire_hang_up(carries(2, 2, sizes[i]));
		wire_expect_closed(asker);
	}
	wire_close();
}
END_TEST

START_TEST(a_request_passes_through_three_peers_at_most)
{
	begin("peer_id = 1");
	for (unsigned hops = 3; hops > 0; hops--) {
		asker = asks(2, hops, 4);
		wire_hang_up(carries(2, hops - 1, 4));
		wire_expect_closed(asker);
	}
	ck_assert(!wire_logged("TTL"));
	wire_expect_closed(asks(2, 0, 4));
	ck_assert(
		wire_logged("closing because: failed to forward cancel request because its TTL was "
			    "exhausted"));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(a_peer_that_nobody_knows_is_not_reached)
{
	begin("peer_id = 1");
	wire_expect_closed(asks(3, 3, 4));
	ck_assert(wire_logged("closing because: could not find peer to forward request to"));
	wire_expect_closed(asks(0, 3, 4));
	ck_assert(wire_logged("could not find peer to forward request to"));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(our_own_number_is_not_sent_on)
{
	begin("peer_id = 2"); /* a row for ourselves is allowed */
	wire_expect_closed(asks(2, 3, 4));
	ck_assert(wire_logged("closing because: bad cancel request"));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(without_a_number_of_our_own_nothing_is_sent_on)
{
	begin("");
	wire_expect_closed(asks(2, 3, 4));
	ck_assert(wire_logged("closing because: bad cancel request"));
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

/* What a peer sends on to us is for our client, however far it came. */
START_TEST(a_request_that_a_peer_sent_on_is_carried_out)
{
	uint8_t packet[16], wanted[16];
	begin("peer_id = 300");
	struct wire_peer *client = wire_client(), *server = wire_first_server();
	ck_assert_uint_eq(client->key[1], 300 & 0xff);
	ck_assert_uint_eq(client->key[2], 300 >> 8);
	for (unsigned hops = 4; hops-- > 0;) {
		wire_query(client, "long");
		wire_expect(server, "Q");
		put_cancel(packet, 300, hops, 4);
		memcpy(packet + 8, client->key, 8);
		cancel_set_hops_left(packet + 12, hops);
		asker = wire_connect();
		wire_send(asker, packet, sizeof packet);
		carrier = wire_accept();
		ck_assert_ptr_nonnull(carrier);
		put_cancel(wanted, 0, 0, 4);
		memcpy(wanted + 8, server->key, 8);
		ck_assert_uint_eq(wire_read(carrier), 16);
		ck_assert_mem_eq(carrier->in, wanted, 16);
		wire_hang_up(carrier);
		wire_expect_closed(asker);
		wire_server_says(server, "CZ");
		wire_expect(client, "CZ");
	}
	wire_close();
}
END_TEST

START_TEST(connections_to_a_peer_are_bounded)
{
	struct wire_peer *askers[5], *carriers[2];
	begin("peer_id = 1");
	for (int i = 0; i < 5; i++)
		askers[i] = asks(2, 3, 4);
	carriers[0] = carries(2, 2, 4);
	carriers[1] = carries(2, 2, 4);
	ck_assert_ptr_null(wire_accept());
	expect_peer_pool(2, 3, 2);
	ck_assert_str_eq(wire_state(askers[2]), "CANCEL_WAITING");
	for (int i = 2; i < 5; i++) {
		wire_hang_up(carriers[i % 2]);
		wire_expect_closed(askers[i - 2]);
		carriers[i % 2] = carries(2, 2, 4);
		expect_peer_pool(2, (unsigned)(4 - i), 2);
	}
	wire_hang_up(carriers[0]);
	wire_hang_up(carriers[1]);
	expect_peer_pool(0, 0, 0);
	for (int i = 0; i < 5; i++)
		wire_expect_closed(askers[i]);
	wire_close();
}
END_TEST

START_TEST(who_waits_for_a_peer_waits_until_cancel_wait_timeout)
{
	begin("peer_id = 1\ncancel_wait_timeout = 4");
	asks(2, 3, 4);
	asks(2, 3, 4);
	asker = asks(2, 3, 4);
	wire_advance(SECONDS(4) - 1);
	wire_expect_open(asker);
	wire_advance(1);
	wire_expect_closed(asker);
	ck_assert(wire_logged("closing because: cancel_wait_timeout"));
	expect_peer_pool(2, 0, 2);
	wire_close();
}
END_TEST

START_TEST(a_peer_that_does_not_end_is_given_up)
{
	begin("peer_id = 1\nserver_connect_timeout = 5");
	asker = asks(2, 3, 4);
	carrier = carries(2, 2, 4);
	wire_advance(SECONDS(5) - 1);
	wire_expect_open(asker);
	wire_advance(1);
	wire_expect_closed(carrier);
	wire_expect_closed(asker);
	expect_peer_pool(0, 0, 0);
	wire_close();
}
END_TEST

START_TEST(a_peer_that_is_down_keeps_nobody_waiting)
{
	begin("peer_id = 1");
	wire_expect_closed(asks(300, 3, 4));
	ck_assert(wire_logged("cannot carry a CancelRequest: "));
	/* nor those who came before it went down */
	struct wire_peer *askers[40];
	for (int i = 0; i < 40; i++)
		askers[i] = asks(2, 3, 4);
	carrier = carries(2, 2, 4);
	struct wire_peer *second = carries(2, 2, 4);
	wire_server_down();
	wire_hang_up(carrier);
	wire_hang_up(second);
	for (int i = 0; i < 40; i++)
		wire_expect_closed(askers[i]);
	expect_peer_pool(0, 0, 0);
	wire_close();
}
END_TEST

START_TEST(who_asks_may_leave_at_once)
{
	uint8_t packet[16];
	begin("peer_id = 1");
	asker = wire_connect();
	wire_push(asker, packet, put_cancel(packet, 2, 3, 4));
	wire_hang_up(asker);
	carrier = carries(2, 2, 4);
	expect_peer_pool(1, 0, 1);
	wire_hang_up(carrier);
	expect_peer_pool(0, 0, 0);
	wire_close();
}
END_TEST

START_TEST(what_a_peer_says_does_not_matter)
{
	begin("peer_id = 1");
	asker = asks(2, 3, 4);
	carrier = carries(2, 2, 4);
	wire_error(carrier, "FATAL", "53300", "no more connections allowed");
	wire_expect_nothing(asker);
	wire_hang_up(carrier);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	wire_close();
}
END_TEST

START_TEST(a_request_under_way_ends_with_the_process)
{
	begin("peer_id = 1");
	asks(2, 3, 4);
	asks(2, 3, 4);
	asks(2, 3, 4);
	expect_peer_pool(2, 1, 2);
	wire_close(); /* nothing is left */
}
END_TEST

Suite *suite_peers(void)
{
	Suite *suite = suite_create("wire/peers");
	TCase *tcase = tcase_create("peers");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_request_for_a_client_of_a_peer_is_sent_on);
	tcase_add_test(tcase, a_long_key_is_sent_on_as_it_is);
	tcase_add_test(tcase, a_request_passes_through_three_peers_at_most);
	tcase_add_test(tcase, a_peer_that_nobody_knows_is_not_reached);
	tcase_add_test(tcase, our_own_number_is_not_sent_on);
	tcase_add_test(tcase, without_a_number_of_our_own_nothing_is_sent_on);
	tcase_add_test(tcase, a_request_that_a_peer_sent_on_is_carried_out);
	tcase_add_test(tcase, connections_to_a_peer_are_bounded);
	tcase_add_test(tcase, who_waits_for_a_peer_waits_until_cancel_wait_timeout);
	tcase_add_test(tcase, a_peer_that_does_not_end_is_given_up);
	tcase_add_test(tcase, a_peer_that_is_down_keeps_nobody_waiting);
	tcase_add_test(tcase, who_asks_may_leave_at_once);
	tcase_add_test(tcase, what_a_peer_says_does_not_matter);
	tcase_add_test(tcase, a_request_under_way_ends_with_the_process);
	suite_add_tcase(suite, tcase);
	return suite;
}
