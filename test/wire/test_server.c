/* SPDX-License-Identifier: ISC */
/* A server goes away or breaks the protocol: its client is told as far as it can be, and nobody
 * else notices. */
#include "config.h"
#include <string.h>
#include "auth/md5.h"
#include "auth/scram.h"
#include "conn/client.h"
#include "core/error.h"
#include "pool/pool.h"
#include "proto/message.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server, *other;

static void begin_with(const char *settings)
{
	wire_open(settings, NULL);
	client = wire_client();
	server = wire_first_server();
	other = wire_client();
	wire_expect_pool("active 2 / idle 1");
}

static void begin(void)
{
	begin_with("server_check_query =");
}

static void asks(const char *types)
{
	wire_client_says(client, types);
	wire_expect(server, types);
}

/* The other client gets a server of its own, and its own answers only. */
static void other_is_served(void)
{
	wire_expect_closed(server);
	wire_expect_nothing(other);
	wire_query(other, "mine");
	server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(server);
	wire_answer(server, "MINE", 'I');
	wire_expect_message(other, 'C', "MINE|");
	wire_expect(other, "Z");
	wire_close();
}

static void client_is_told(const char *sqlstate, const char *message)
{
	wire_expect_fatal(client, sqlstate, message);
	ck_assert_str_eq(wire_state(client), "gone");
	wire_expect_pool("active 1 / -");
	other_is_served();
}

/* ---- vanishing ---- */

START_TEST(an_idle_server_vanishes)
{
	begin();
	wire_hang_up(server);
	ck_assert(wire_logged("server conn crashed?"));
	wire_expect_pool("active 2 / -");
	wire_expect_open(client);
	other_is_served();
}
END_TEST

START_TEST(an_idle_server_says_fatal_and_vanishes)
{
	begin();
	wire_error(server, "FATAL", "57P01", "terminating connection due to administrator command");
	wire_hang_up(server);
	ck_assert(wire_logged("server said: FATAL terminating connection"));
	wire_expect_nothing(client);
	wire_expect_open(client);
	wire_expect_pool("active 2 / -");
	other_is_served();
}
END_TEST

START_TEST(a_server_vanishes_before_it_answers)
{
	begin();
	asks("Q");
	wire_hang_up(server);
	client_is_told("08006", "server conn crashed?|");
}
END_TEST

START_TEST(a_server_vanishes_between_messages)
{
	begin();
	asks("Q");
	wire_server_says(server, "TDD");
	wire_hang_up(server);
	wire_expect_message(client, 'T', "");
	wire_expect_message(client, 'D', "");
	wire_expect_message(client, 'D', "");
	client_is_told("08006", "server conn crashed?|");
}
END_TEST

START_TEST(a_server_vanishes_after_an_error)
{
	begin();
	asks("Q");
	wire_server_says(server, "E");
	wire_hang_up(server);
	wire_expect_error(client, "ERROR", "42601", "syntax");
	client_is_told("08006", "server conn crashed?|");
}
END_TEST

START_TEST(a_server_vanishes_in_a_message)
{
	/* an error in the middle of a row would be read as part of the row: nothing but the end */
	static const char types[] = "DTEd";
	uint8_t bytes[256];
	begin();
	asks("Q");
	char one[2] = {types[_i % 4]};
	size_t size = wire_put_types(bytes, one, true), cut = (size_t)(_i / 4);
	if (cut >= size) {
		wire_close();
		return;
	}
	wire_send(server, bytes, cut);
	wire_hang_up(server);
	wire_read(client);
	bool untold = cut < 5 || (one[0] == 'E' && cut < size); /* nothing of it went on yet */
	if (untold) {
		client_is_told("08006", "server conn crashed?|");
	} else {
		ck_assert_uint_eq(client->length, cut);
		ck_assert_mem_eq(client->in, bytes, cut);
		client->length = 0;
		wire_expect_closed(client);
		wire_expect_pool("active 1 / -");
		other_is_served();
	}
}
END_TEST

START_TEST(the_last_word_of_a_server_is_the_last_that_the_client_hears)
{
	begin();
	asks("Q");
	wire_server_says(server, "TD");
	wire_error(server, "FATAL", "57P01", "terminating connection due to administrator command");
	wire_hang_up(server);
	wire_expect_message(client, 'T', "");
	wire_expect_message(client, 'D', "");
	wire_expect_error(client, "FATAL", "57P01",
			  "terminating connection due to administrator command");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	wire_expect_pool("active 1 / -");
	other_is_served();
}
END_TEST

START_TEST(panic_is_a_last_word_too)
{
	begin();
	asks("Q");
	wire_error(server, "PANIC", "XX000", "out of luck");
	wire_hang_up(server);
	wire_expect_error(client, "PANIC", "XX000", "out of luck");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	other_is_served();
}
END_TEST

START_TEST(a_server_says_fatal_between_the_requests_of_a_transaction)
{
	begin();
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(client, "CZ");
	wire_error(server, "FATAL", "25P03",
		   "terminating connection due to idle-in-transaction timeout");
	wire_hang_up(server);
	wire_expect_error(client, "FATAL", "25P03",
			  "terminating connection due to idle-in-transaction timeout");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	wire_expect_pool("active 1 / -");
	other_is_served();
}
END_TEST

START_TEST(a_server_vanishes_between_the_requests_of_a_transaction)
{
	begin();
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(client, "CZ");
	wire_hang_up(server);
	client_is_told("08006", "server conn crashed?|");
}
END_TEST

START_TEST(a_server_vanishes_in_a_session)
{
	begin_with("pool_mode = session\nserver_check_query =");
	asks("Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	if (_i == 0) {
		wire_hang_up(server);
		client_is_told("08006", "server conn crashed?|");
		return;
	}
	wire_error(server, "FATAL", "57P01", "bye");
	wire_hang_up(server);
	wire_expect_error(client, "FATAL", "57P01", "bye");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	other_is_served();
}
END_TEST

START_TEST(a_server_vanishes_with_its_answer)
{
	/* the answer is complete: the client keeps its connection */
	uint8_t bytes[256];
	begin();
	asks("Q");
	wire_push(server, bytes, wire_put_types(bytes, "TDCZ", true));
	wire_hang_up(server);
	wire_expect(client, "TDCZ");
	wire_expect_open(client);
	wire_expect_pool("active 2 / -");
	other_is_served();
}
END_TEST

/* The last answer of a server, and its end in the same read: whoever waits for a server gets
 * another, and whose transaction it was knows nothing of it. */
START_TEST(a_server_that_ends_with_its_answer_is_given_to_nobody)
{
	static const char fatal[] = "SFATAL\0VFATAL\0C57P01\0Mbye\0";
	uint8_t bytes[256];
	begin();
	asks("Q");
	wire_query(other, "mine");
	ck_assert_str_eq(wire_state(other), "WAITING");
	size_t size = wire_put_types(bytes, "TDCZ", true);
	if (_i < 2)
		size += wire_put(bytes + size, 'E', fatal, sizeof fatal);
	wire_push(server, bytes, size);
	if (_i > 0)
		wire_hang_up(server); /* else a moment later */
	else
		wire_settle();
	wire_expect(client, "TDCZ");
	wire_expect_nothing(client);
	wire_expect_open(client);
	ck_assert(wire_logged(_i == 2 ? "closing because: server conn crashed?"
				      : "server said: FATAL bye"));
	wire_expect_closed(server);
	server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	wire_answer(server, "MINE", 'I');
	wire_expect_message(other, 'C', "MINE|");
	wire_expect(other, "Z");
	wire_query(client, "next");
	wire_expect_message(server, 'Q', "next|");
	wire_answer(server, "NEXT", 'I');
	wire_expect_message(client, 'C', "NEXT|");
	wire_expect(client, "Z");
	wire_close();
}
END_TEST

/* An idle server ends, with a last word or without, in the turn in which a request comes. */
START_TEST(a_server_that_ends_just_now_is_given_to_nobody)
{
	uint8_t notice[256], request[64];
	begin();
	size_t notice_size = _i & 1 ? wire_put_types(notice, "N", true) : 0;
	size_t request_size = wire_put(request, 'Q', "mine", 5);
	if (_i & 2)
		wire_push(client, request, request_size);
	wire_push(server, notice, notice_size);
	close(server->fd);
	server->fd = -1;
	if (!(_i & 2))
		wire_push(client, request, request_size);
	wire_settle();
	wire_expect_nothing(client);
	ck_assert_str_eq(wire_state(client), "WAITING");
	server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	wire_answer(server, "MINE", 'I');
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

/* The client has said half a message that nobody wants any more: they do not part. */
START_TEST(who_is_in_the_middle_of_a_message_hears_the_last_word)
{
	begin();
	asks("Q");
	wire_server_says(server, "G");
	wire_expect(client, "G");
	wire_send(client, "d\0\0\0\100abc", 8);
	wire_server_says(server, "EZ");
	wire_expect(client, "EZ");
	ck_assert_str_eq(wire_state(client), "ACTIVE");
	wire_error(server, "FATAL", "57P01", "bye");
	wire_hang_up(server);
	wire_expect_error(client, "FATAL", "57P01", "bye");
	wire_expect_closed(client);
	wire_close();
}
END_TEST

START_TEST(a_server_that_ends_right_behind_its_login_has_logged_in)
{
	uint8_t login[64];
	size_t size = wire_put(login, 'R', "\0\0\0\0", 4);
	size += wire_put(login + size, 'K', "\0\0\0\1abcd", 8);
	size += wire_put(login + size, 'Z', "I", 1);
	wire_open("server_check_query =", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	for (int i = 0; i < 2; i++) { /* not again and again without a pause */
		server = wire_accept();
		ck_assert_ptr_nonnull(server);
		wire_push(server, login, size);
		wire_hang_up(server);
		if (i == 0) {
			while (wire_next(client))
				;
			ck_assert_int_eq(client->type, 'Z');
			wire_query(client, "mine");
		}
	}
	wire_expect_fatal(client, "08006", "server conn crashed?|");
	ck_assert_ptr_null(wire_accept());
	wire_close();
}
END_TEST

START_TEST(in_a_session_who_is_served_is_told_of_the_end_right_behind_an_answer)
{
	uint8_t bytes[256];
	begin_with("pool_mode = session\nserver_fast_close = 1\nserver_check_query =");
	asks("Q");
	wire_push(server, bytes, wire_put_types(bytes, "CZ", true));
	wire_hang_up(server);
	wire_expect_message(client, 'C', "");
	wire_expect_message(client, 'Z', "I");
	client_is_told("08006", "server conn crashed?|");
}
END_TEST

START_TEST(in_a_session_the_end_right_behind_an_answer_is_the_client_s)
{
	static const char fatal[] = "SFATAL\0VFATAL\0C57P01\0Mbye\0";
	uint8_t bytes[256];
	begin_with("pool_mode = session\nserver_check_query =");
	asks("Q");
	size_t size = wire_put_types(bytes, "CZ", true);
	size += wire_put(bytes + size, 'E', fatal, sizeof fatal);
	wire_push(server, bytes, size);
	wire_hang_up(server);
	wire_expect_message(client, 'C', "");
	wire_expect_message(client, 'Z', "I");
	wire_expect_error(client, "FATAL", "57P01", "bye");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	other_is_served();
}
END_TEST

START_TEST(a_server_vanishes_in_copy_in)
{
	uint8_t bytes[64];
	begin();
	asks("Q");
	wire_server_says(server, "G");
	asks("dd");
	wire_hang_up(server);
	wire_try(client, bytes, wire_put_types(bytes, "ddddc", false));
	wire_expect_message(client, 'G', "");
	client_is_told("08006", "server conn crashed?|");
}
END_TEST

START_TEST(a_server_that_vanishes_in_its_reset_query_disturbs_nobody)
{
	begin_with("pool_mode = session\nserver_check_query =");
	asks("Q");
	wire_server_says(server, "CZ");
	wire_hang_up(client);
	wire_expect(server, "Q");
	wire_hang_up(server);
	wire_expect_pool("active 1 / -");
	other_is_served();
}
END_TEST

/* ---- breaking the protocol ---- */

static const struct breach {
	const char *bytes;
	size_t size;
} breaches[] = {
#define BREACH(text)                  \
	{                             \
		text, sizeof text - 1 \
	}
	BREACH("x\0\0\0\x04"), /* no such type */
	BREACH("\0\0\0\0\x04"),
	BREACH("\xff\0\0\0\x04"),
	BREACH("Q\0\0\0\x04"),	       /* a client's */
	BREACH("R\0\0\0\x08\0\0\0\0"), /* at login only */
	BREACH("K\0\0\0\x0c\0\0\0\1\0\0\0\2"),
	BREACH("v\0\0\0\x0c\0\3\0\0\0\0\0\0"),
	BREACH("D\0\0\0\0"), /* lengths */
	BREACH("D\0\0\0\3"),
	BREACH("T\0\0\0\2"),
	BREACH("Z\0\0\0\1"),
	BREACH("D\xff\xff\xff\xff"),
	BREACH("D\x80\0\0\0"),
	BREACH("S\0\1\0\0"),	/* too long to be seen whole */
	BREACH("Z\0\0\0\x05X"), /* no such status */
	BREACH("Z\0\0\0\x04"),
	BREACH("Z\0\0\0\x06II"),
	BREACH("S\0\0\0\x09TimeZ"), /* no value, not ended */
	BREACH("S\0\0\0\x06x\0"),
#undef BREACH
};
enum { BREACHES = sizeof breaches / sizeof *breaches };

START_TEST(a_breach_in_an_answer_closes_server_and_client)
{
	begin();
	asks("Q");
	wire_server_says(server, "TD");
	wire_send(server, breaches[_i].bytes, breaches[_i].size);
	wire_expect_message(client, 'T', "");
	wire_expect_message(client, 'D', "");
	client_is_told("08006", "server broke the protocol|");
}
END_TEST

START_TEST(a_breach_in_an_extended_answer_closes_server_and_client)
{
	begin();
	asks("PBES");
	wire_server_says(server, "12");
	wire_send(server, breaches[_i].bytes, breaches[_i].size);
	wire_expect_message(client, '1', "");
	wire_expect_message(client, '2', "");
	client_is_told("08006", "server broke the protocol|");
}
END_TEST

START_TEST(a_breach_of_an_idle_server_closes_it)
{
	begin();
	wire_send(server, breaches[_i].bytes, breaches[_i].size);
	ck_assert(wire_logged("server broke the protocol: "));
	wire_expect_nothing(client);
	wire_expect_open(client);
	wire_expect_pool("active 2 / -");
	other_is_served();
}
END_TEST

START_TEST(a_breach_behind_an_answer_spares_the_client)
{
	uint8_t bytes[256];
	begin();
	asks("Q");
	size_t size = wire_put_types(bytes, "TDCZ", true);
	memcpy(bytes + size, breaches[_i].bytes, breaches[_i].size);
	wire_send(server, bytes, size + breaches[_i].size);
	wire_expect_message(client, 'T', "");
	wire_expect_message(client, 'D', "");
	wire_expect_message(client, 'C', "");
	wire_expect_message(client, 'Z', "I");
	client_is_told("08006", "server broke the protocol|");
}
END_TEST

/* What an idle server may not say, though its form is good. */
static const char unasked[] = "ZDCTIGHVsn123dct";

START_TEST(what_nobody_asked_for_closes_an_idle_server)
{
	begin();
	char one[2] = {unasked[_i]};
	wire_server_says(server, one);
	wire_expect_nothing(client);
	wire_expect_open(client);
	wire_expect_pool("active 2 / -");
	other_is_served();
}
END_TEST

START_TEST(what_comes_behind_ready_for_query_never_reaches_the_next_client)
{
	uint8_t bytes[256];
	char answer[] = "TDCZ?";
	begin();
	wire_query(client, "one");
	wire_query(other, "mine"); /* waits for the same server */
	wire_expect_message(server, 'Q', "one|");
	answer[4] = unasked[_i];
	wire_send(server, bytes, wire_put_types(bytes, answer, true));
	wire_expect(server, "X"); /* the other request did not go to that server */
	wire_expect_closed(server);
	wire_expect_nothing(other);
	server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(server);
	wire_answer(server, "MINE", 'I');
	wire_expect_message(other, 'C', "MINE|");
	wire_expect(other, "Z");
	/* its own client got the answer that it asked for */
	wire_expect_message(client, 'T', "");
	wire_expect_message(client, 'D', "");
	wire_expect_message(client, 'C', "");
	wire_expect_message(client, 'Z', "I");
	wire_close();
}
END_TEST

START_TEST(rows_that_come_a_moment_after_ready_for_query_reach_nobody)
{
	begin();
	asks("Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_server_says(server, "D");
	wire_expect_nothing(client);
	wire_expect_nothing(other);
	wire_expect_open(client);
	wire_expect_pool("active 2 / -");
	other_is_served();
}
END_TEST

START_TEST(too_many_answers_close_the_server)
{
	begin();
	asks("PBES");
	wire_server_says(server, "112");
	wire_expect_message(client, '1', "");
	client_is_told("08006", "server broke the protocol|");
}
END_TEST

START_TEST(half_a_notice_of_an_idle_server_does_not_become_the_next_clients)
{
	uint8_t bytes[64];
	begin();
	size_t size = wire_put_types(bytes, "N", true);
	wire_send(server, bytes, 10);
	wire_expect_pool("active 2 / idle 1");
	asks("Q");
	size_t more = wire_put_types(bytes + size, "CZ", true);
	wire_send(server, bytes + 10, size - 10 + more);
	wire_expect(client, "CZ");
	wire_expect_pool("active 2 / idle 1");
	wire_close();
}
END_TEST

/* ---- during login ---- */

static void begin_login(void)
{
	wire_open("server_check_query =", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_asked(2);
	wire_expect(client, "R");
	wire_expect_pool("welcome 1 / login 1");
}

/* All of a login; returns its length. */
static size_t put_welcome(uint8_t *at)
{
	size_t n = wire_put(at, 'R', "\0\0\0\0", 4);
	n += wire_put(at + n, 'S', "TimeZone\0UTC", 13);
	n += wire_put(at + n, 'N', "SNOTICE\0C00000\0Mhi\0", 20);
	n += wire_put(at + n, 'K', "\0\0\0\1\0\0\0\2", 8);
	n += wire_put(at + n, 'Z', "I", 1);
	return n;
}

START_TEST(a_server_that_vanishes_during_login_is_tried_again)
{
	uint8_t bytes[256];
	size_t whole = put_welcome(bytes);
	for (size_t cut = 0; cut < whole; cut++) {
		begin_login();
		wire_send(server, bytes, cut);
		wire_hang_up(server);
		if (cut < 9) { /* it had said nothing: it may not know the protocol */
			server = wire_asked(0);
			wire_send(server, bytes, cut);
			wire_hang_up(server);
		}
		wire_expect_nothing(client);
		wire_expect_pool("welcome 1 / -");
		ck_assert(wire_logged(
			"cannot use the server: the server closed the connection during login"));
		wire_advance(15 * USEC_PER_SECOND - 1);
		ck_assert_ptr_null(wire_accept());
		wire_advance(1);
		server = wire_asked(2);
		wire_send(server, bytes, whole);
		wire_expect(client, "SKZ");
		wire_expect_pool("active 1 / idle 1");
		wire_close();
	}
}
END_TEST

START_TEST(garbage_during_login_fails_the_waiting_clients)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *message;
	} rows[] = {
		{"HTTP/1.1 400 Bad Request\r\n", 26,
		 "the server sent a message of a wrong length|"},
		{"D\0\0\0\x06\0\0", 7, "unexpected message 'D' from the server during login|"},
		{"\1\0\0\0\4", 5, "unexpected message '?' from the server during login|"},
		{"R\0\0\0\4", 5, "malformed authentication message from the server|"},
		{"R\0\0\0\0", 5, "the server sent a message of a wrong length|"},
		{"R\0\0\0\x08\0\0\0\x07", 9,
		 "the server asks for authentication method 7, which pgweir does not know|"},
		{"R\0\0\0\x08\0\0\0\0R\0\0\0\x08\0\0\0\0", 18,
		 "malformed authentication message from the server|"},
		{"S\0\0\0\x0a"
		 "a\0b\0\0\0",
		 11, "ParameterStatus before authentication|"},
		{"R\0\0\0\x08\0\0\0\0S\0\0\0\x05"
		 "a",
		 15, "malformed ParameterStatus from the server|"},
		{"K\0\0\0\x0c\0\0\0\1\0\0\0\2", 13, "BackendKeyData before authentication|"},
		{"R\0\0\0\x08\0\0\0\0K\0\0\0\x05\0", 15,
		 "malformed BackendKeyData from the server|"},
		{"Z\0\0\0\5I", 6, "unexpected ReadyForQuery from the server|"},
		{"R\0\0\0\x08\0\0\0\0Z\0\0\0\5T", 15, "unexpected ReadyForQuery from the server|"},
		{"R\0\0\0\x08\0\0\0\x0b", 9,
		 "the server continues a SASL exchange that was not begun|"},
		{"R\0\0\0\x08\0\0\0\x0c", 9,
		 "the server continues a SASL exchange that was not begun|"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin_login();
		wire_send(server, rows[i].bytes, rows[i].size);
		wire_expect_closed(server);
		if (strstr(rows[i].message, "wrong length")) { /* or words of another protocol */
			server = wire_asked(0);
			wire_send(server, rows[i].bytes, rows[i].size);
			wire_expect_closed(server);
		}
		wire_expect_message(client, 'E', rows[i].message);
		wire_expect_closed(client);
		wire_expect_pool("- / -");
		wire_close();
	}
}
END_TEST

START_TEST(what_comes_behind_the_login_never_reaches_a_client)
{
	uint8_t bytes[256];
	char one[2] = {unasked[_i]};
	begin_login();
	size_t size = put_welcome(bytes);
	size += wire_put_types(bytes + size, one, true);
	wire_send(server, bytes, size);
	wire_expect_closed(server);
	wire_expect_message(client, 'E', "SFATAL|");
	wire_expect_closed(client);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(a_notice_behind_the_login_is_dropped)
{
	uint8_t bytes[256];
	begin_login();
	size_t size = put_welcome(bytes), more = wire_put_types(bytes + size, "N", true);
	wire_send(server, bytes, size + (size_t)_i % 20 * more / 20);
	wire_send(server, bytes + size + (size_t)_i % 20 * more / 20,
		  more - (size_t)_i % 20 * more / 20);
	wire_expect(client, "SKZ");
	wire_query(client, "mine");
	wire_expect_message(server, 'Q', "mine|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

/* ---- passwords: auth_file has "secret" for u1 ---- */

static void server_lets_in(void)
{
	uint8_t bytes[256];
	wire_send(server, bytes, put_welcome(bytes));
	wire_expect(client, "SKZ");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}

static void login_fails(const char *sqlstate, const char *message)
{
	wire_expect_closed(server);
	wire_expect_fatal(client, sqlstate, message);
	wire_expect_pool("- / -");
	wire_close();
}

START_TEST(a_cleartext_password_is_given)
{
	begin_login();
	wire_say(server, 'R', "\0\0\0\3", 4);
	wire_expect_message(server, 'p', "secret|");
	wire_expect_nothing(server);
	server_lets_in();
}
END_TEST

START_TEST(an_md5_password_is_given)
{
	struct secret secret = secret_from_text("secret");
	char answer[MD5_TEXT];
	begin_login();
	wire_say(server, 'R', "\0\0\0\5salt", 8);
	ck_assert(md5_answer(&secret, "u1", (const uint8_t *)"salt", answer));
	wire_expect_message(server, 'p', answer);
	ck_assert_uint_eq(server->size, 36);
	server_lets_in();
}
END_TEST

/* Play PostgreSQL's side of SCRAM up to its last message, which is left in @last. */
static void plays_scram(char *last)
{
	struct secret secret = secret_from_text("secret");
	struct scram_server scram;
	struct error error;
	char reply[SCRAM_MESSAGE_MAX + 4];
	begin_login();
	wire_say(server, 'R', "\0\0\0\nSCRAM-SHA-256\0", 19);
	wire_expect_message(server, 'p', "SCRAM-SHA-256|");
	scram_server_init(&scram, &secret, "u1", 4096, NULL, 0);
	memcpy(reply, "\0\0\0\x0b", 4);
	ck_assert(scram_server_first(&scram, false, server->body + 18, server->size - 18, reply + 4,
				     &error));
	wire_say(server, 'R', reply, 4 + strlen(reply + 4));
	wire_expect_message(server, 'p', "p=");
	ck_assert(scram_server_final(&scram, server->body, server->size, last, &error));
	scram_server_fini(&scram);
}

START_TEST(scram_is_answered_and_the_proof_of_the_server_verified)
{
	char reply[SCRAM_MESSAGE_MAX + 4] = "\0\0\0\x0c";
	plays_scram(reply + 4);
	wire_say(server, 'R', reply, 4 + strlen(reply + 4));
	server_lets_in();
}
END_TEST

START_TEST(a_server_without_proof_is_not_talked_to)
{
	char reply[SCRAM_MESSAGE_MAX + 4] = "\0\0\0\x0c";
	plays_scram(reply + 4);
	if (_i == 0) {
		wire_say(server, 'R', "\0\0\0\0", 4);
		login_fails("28P01", "the server did not prove that it knows the password|");
		return;
	}
	reply[8] ^= 1;
	wire_say(server, 'R', reply, 4 + strlen(reply + 4));
	wire_expect_closed(server);
	wire_expect_message(client, 'E', "SFATAL|");
	wire_expect_closed(client);
	wire_close();
}
END_TEST

START_TEST(a_password_that_nobody_has_fails_the_login)
{
	wire_open(NULL, "user=stranger");
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_read(server);
	server->length = 0;
	wire_expect(client, "R");
	wire_say(server, 'R', "\0\0\0\3", 4);
	wire_expect_nothing(server);
	wire_expect_closed(server);
	wire_expect_fatal(client, "28P01",
			  "the server asks for a cleartext password, but there is no usable "
			  "password for user \"stranger\"|");
	wire_close();
}
END_TEST

Suite *suite_server(void)
{
	Suite *suite = suite_create("wire/server");
	TCase *tcase = tcase_create("vanishing");
	tcase_add_test(tcase, an_idle_server_vanishes);
	tcase_add_test(tcase, an_idle_server_says_fatal_and_vanishes);
	tcase_add_test(tcase, a_server_vanishes_before_it_answers);
	tcase_add_test(tcase, a_server_vanishes_between_messages);
	tcase_add_test(tcase, a_server_vanishes_after_an_error);
	tcase_add_loop_test(tcase, a_server_vanishes_in_a_message, 4, 4 * 40);
	tcase_add_test(tcase, the_last_word_of_a_server_is_the_last_that_the_client_hears);
	tcase_add_test(tcase, panic_is_a_last_word_too);
	tcase_add_test(tcase, a_server_says_fatal_between_the_requests_of_a_transaction);
	tcase_add_test(tcase, a_server_vanishes_between_the_requests_of_a_transaction);
	tcase_add_loop_test(tcase, a_server_vanishes_in_a_session, 0, 2);
	tcase_add_test(tcase, a_server_vanishes_with_its_answer);
	tcase_add_loop_test(tcase, a_server_that_ends_with_its_answer_is_given_to_nobody, 0, 3);
	tcase_add_loop_test(tcase, a_server_that_ends_just_now_is_given_to_nobody, 0, 4);
	tcase_add_test(tcase, who_is_in_the_middle_of_a_message_hears_the_last_word);
	tcase_add_test(tcase, a_server_that_ends_right_behind_its_login_has_logged_in);
	tcase_add_test(tcase, in_a_session_who_is_served_is_told_of_the_end_right_behind_an_answer);
	tcase_add_test(tcase, in_a_session_the_end_right_behind_an_answer_is_the_client_s);
	tcase_add_test(tcase, a_server_vanishes_in_copy_in);
	tcase_add_test(tcase, a_server_that_vanishes_in_its_reset_query_disturbs_nobody);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("breaches");
	tcase_add_loop_test(tcase, a_breach_in_an_answer_closes_server_and_client, 0, BREACHES);
	tcase_add_loop_test(tcase, a_breach_in_an_extended_answer_closes_server_and_client, 0,
			    BREACHES);
	tcase_add_loop_test(tcase, a_breach_of_an_idle_server_closes_it, 0, BREACHES);
	tcase_add_loop_test(tcase, a_breach_behind_an_answer_spares_the_client, 0, BREACHES);
	tcase_add_loop_test(tcase, what_nobody_asked_for_closes_an_idle_server, 0,
			    sizeof unasked - 1);
	tcase_add_loop_test(tcase, what_comes_behind_ready_for_query_never_reaches_the_next_client,
			    0, sizeof unasked - 1);
	tcase_add_test(tcase, rows_that_come_a_moment_after_ready_for_query_reach_nobody);
	tcase_add_test(tcase, too_many_answers_close_the_server);
	tcase_add_test(tcase, half_a_notice_of_an_idle_server_does_not_become_the_next_clients);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("login");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_server_that_vanishes_during_login_is_tried_again);
	tcase_add_test(tcase, garbage_during_login_fails_the_waiting_clients);
	tcase_add_loop_test(tcase, what_comes_behind_the_login_never_reaches_a_client, 0,
			    sizeof unasked - 1);
	tcase_add_loop_test(tcase, a_notice_behind_the_login_is_dropped, 0, 20);
	tcase_add_test(tcase, a_cleartext_password_is_given);
	tcase_add_test(tcase, an_md5_password_is_given);
	tcase_add_test(tcase, scram_is_answered_and_the_proof_of_the_server_verified);
	tcase_add_loop_test(tcase, a_server_without_proof_is_not_talked_to, 0, 2);
	tcase_add_test(tcase, a_password_that_nobody_has_fails_the_login);
	suite_add_tcase(suite, tcase);
	return suite;
}
