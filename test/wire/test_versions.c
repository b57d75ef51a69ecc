/* SPDX-License-Identifier: ISC */
/* Versions of the protocol towards servers: the newest that both sides know is spoken, and those
 * who do not know how to negotiate are asked again with the oldest. */
#include "config.h"
#include <string.h>
#include "proto/message.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server;

static void begin_login(void)
{
	wire_open("server_check_query =", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_asked(2);
	wire_expect(client, "R");
	wire_expect_pool("welcome 1 / login 1");
}

static void login_fails(const char *sqlstate, const char *message)
{
	wire_expect_closed(server);
	wire_expect_fatal(client, sqlstate, message);
	wire_expect_pool("- / -");
	wire_close();
}

/* BackendKeyData with a secret of @size bytes, and all else of a login; returns its length. */
static size_t put_login(uint8_t *at, size_t size)
{
	uint8_t body[4 + 300] = {0, 0, 0, 7};
	memset(body + 4, 0xab, size);
	size_t n = wire_put(at, 'R', "\0\0\0\0", 4);
	n += wire_put(at + n, 'K', body, 4 + size);
	return n + wire_put(at + n, 'Z', "I", 1);
}

START_TEST(whatever_protocol_3_the_server_speaks_is_taken)
{
	static const struct {
		const char *body;
		size_t size;
		bool well;
	} rows[] = {
		{"\0\3\0\0\0\0\0\0", 8, true},
		{"\0\3\0\1\0\0\0\0", 8, true},
		{"\0\3\0\2\0\0\0\0", 8, true},
		{"\0\0\0\0\0\0\0\0", 8, true}, /* the minor alone */
		{"\0\3\0\3\0\0\0\0", 8, false},
		{"\0\2\0\0\0\0\0\0", 8, false},
		{"\0\3\0\0\0\0\0\1_pq_.x\0", 15, false}, /* not asked for */
		{"\0\3\0\0\0\0\0\1", 8, false},
		{"\0\3\0\0", 4, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t bytes[512];
		begin_login();
		wire_say(server, 'v', rows[i].body, rows[i].size);
		if (!rows[i].well) {
			login_fails("08P01",
				    "the server negotiates a protocol that was not asked for|");
			continue;
		}
		wire_send(server, bytes, put_login(bytes, 4));
		wire_expect(client, "KZ");
		wire_expect_pool("active 1 / idle 1");
		wire_close();
	}
}
END_TEST

START_TEST(a_protocol_is_negotiated_first_or_not_at_all)
{
	uint8_t bytes[512];
	begin_login();
	size_t n = _i ? wire_put(bytes, 'v', "\0\3\0\0\0\0\0\0", 8)
		      : wire_put(bytes, 'R', "\0\0\0\0", 4);
	n += wire_put(bytes + n, 'v', "\0\3\0\0\0\0\0\0", 8);
	wire_send(server, bytes, n);
	login_fails("08P01", "the server negotiates a protocol that was not asked for|");
}
END_TEST

START_TEST(a_server_that_does_not_know_the_protocol_is_asked_with_the_older_one)
{
	static const char *const refusals[] = {
		"", "E\0\0\0\x1dSFATAL|C0A000|Mprotocol||", "E\0\0\0\x1dSFATAL|C08P01|Mprotocol||",
		"EFATAL:  unsupported frontend protocol", /* of protocol 2 */
	};
	static const size_t sizes[] = {0, 30, 30, 38};
	uint8_t bytes[512];
	begin_login();
	memcpy(bytes, refusals[_i], sizes[_i]);
	for (size_t i = 5; i < sizes[_i]; i++)
		if (bytes[i] == '|')
			bytes[i] = 0;
	wire_push(server, bytes, sizes[_i]); /* with the end right behind */
	wire_hang_up(server);
	server = wire_asked(0);
	ck_assert(wire_logged("did not answer to protocol 3.2, asking again with 3.0"));
	wire_expect_pool("welcome 1 / login 1");
	wire_send(server, bytes, put_login(bytes, 4));
	wire_expect(client, "KZ");
	wire_expect_pool("active 1 / idle 1");
	wire_query(client, "one");
	wire_expect_message(server, 'Q', "one|");
	wire_answer(server, "ONE", 'I');
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / idle 1");
	/* it is remembered */
	wire_hang_up(server);
	wire_query(client, "more");
	server = wire_asked(0);
	wire_close();
}
END_TEST

START_TEST(who_refuses_for_another_reason_is_not_asked_again)
{
	begin_login();
	wire_error(server, "FATAL", "3D000", "database \"db\" does not exist");
	wire_hang_up(server);
	ck_assert_ptr_null(wire_accept());
	wire_expect_fatal(client, "3D000", "database \"db\" does not exist|");
	wire_close();
}
END_TEST

START_TEST(whoever_refuses_both_protocols_has_another_reason)
{
	begin_login();
	wire_error(server, "FATAL", "08P01", "go away");
	wire_hang_up(server);
	server = wire_asked(0);
	wire_error(server, "FATAL", "08P01", "go away");
	wire_hang_up(server);
	wire_expect_fatal(client, "08P01", "go away|");
	wire_expect_pool("- / -");
	/* and the next login begins with the newer one again */
	wire_advance(15 * USEC_PER_SECOND);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_asked(2);
	wire_close();
}
END_TEST

START_TEST(a_server_that_can_be_reached_no_more_is_not_asked_with_the_older_protocol)
{
	begin_login();
	wire_server_down();
	wire_hang_up(server);
	ck_assert(wire_logged("cannot use the server: "));
	wire_expect_nothing(client);
	wire_expect_pool("welcome 1 / -");
	wire_server_up();
	wire_advance(15 * USEC_PER_SECOND);
	server = wire_asked(2); /* it only was restarted */
	wire_close();
}
END_TEST

START_TEST(a_cancel_key_may_have_4_to_256_bytes)
{
	static const size_t sizes[] = {4, 5, 32, 255, 256, 3, 257};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint8_t bytes[512], packet[512], key[8];
		begin_login();
		wire_send(server, bytes, put_login(bytes, sizes[i]));
		if (sizes[i] < 4 || sizes[i] > 256) {
			login_fails("08P01", "malformed BackendKeyData from the server|");
			continue;
		}
		wire_expect_message(client, 'K', "");
		memcpy(key, client->body, sizeof key);
		wire_expect(client, "Z");
		wire_query(client, "long");
		struct wire_peer *asker = wire_connect();
		memcpy(packet, "\0\0\0\x10\x04\xd2\x16\x2e", 8);
		memcpy(packet + 8, key, sizeof key);
		wire_send(asker, packet, 16);
		/* all of it is told */
		struct wire_peer *carrier = wire_accept();
		ck_assert_ptr_nonnull(carrier);
		ck_assert_uint_eq(wire_read(carrier), 12 + sizes[i]);
		ck_assert_uint_eq(message_get32(carrier->in), 12 + sizes[i]);
		ck_assert_mem_eq(carrier->in + 4, "\x04\xd2\x16\x2e\0\0\0\7", 8);
		for (size_t at = 0; at < sizes[i]; at++)
			ck_assert_uint_eq(carrier->in[12 + at], 0xab);
		wire_close();
	}
}
END_TEST

Suite *suite_versions(void)
{
	Suite *suite = suite_create("wire/versions");
	TCase *tcase = tcase_create("versions");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, whatever_protocol_3_the_server_speaks_is_taken);
	tcase_add_loop_test(tcase, a_protocol_is_negotiated_first_or_not_at_all, 0, 2);
	tcase_add_loop_test(
		tcase, a_server_that_does_not_know_the_protocol_is_asked_with_the_older_one, 0, 4);
	tcase_add_test(tcase, who_refuses_for_another_reason_is_not_asked_again);
	tcase_add_test(tcase, whoever_refuses_both_protocols_has_another_reason);
	tcase_add_test(tcase,
		       a_server_that_can_be_reached_no_more_is_not_asked_with_the_older_protocol);
	tcase_add_test(tcase, a_cancel_key_may_have_4_to_256_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
