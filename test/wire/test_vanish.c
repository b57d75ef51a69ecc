/* SPDX-License-Identifier: ISC */
/* A client goes away, at every point of its life: its server is given back only when it is clean,
 * nothing half-done is ended on its behalf, and the next client gets nothing of it. */
#include "config.h"
#include <string.h>
#include "conn/client.h"
#include "pool/limit.h"
#include "pool/pool.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server, *other;

/* With cancel_on_disconnect a query that runs is cancelled: test_abandoned.c. */
static void begin(void)
{
	wire_open("server_check_query =\ncancel_on_disconnect = 0", NULL);
	client = wire_client();
	server = wire_first_server();
	other = wire_client();
	wire_expect_pool("active 2 / idle 1");
}

/* Only the other client is left, and is served by @next (which may be the same server) with nothing
 * but its own. */
static void other_is_served_by(struct wire_peer *next)
{
	wire_settle();
	ck_assert_str_eq(wire_state(client), "gone");
	ck_assert_uint_eq(client_count(), 1);
	wire_query(other, "mine");
	if (!next)
		next = wire_server();
	wire_expect_message(next, 'Q', "mine|");
	wire_expect_nothing(next);
	wire_answer(next, "MINE", 'I');
	wire_expect_message(other, 'C', "MINE|");
	wire_expect(other, "Z");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}

/* The server was closed without a word. */
static void server_was_dropped(const char *reason)
{
	wire_expect_nothing(server);
	wire_expect_closed(server);
	ck_assert_msg(wire_logged(reason), "not closed with \"%s\"", reason);
	wire_expect_pool("active 1 / -");
	other_is_served_by(NULL);
}

static void asks(const char *types)
{
	wire_client_says(client, types);
	wire_expect(server, types);
}

/* How it leaves: without reading, which resets the connection, or having read what was there: that
 * looks as if it closed its side only, so that answers which are owed are still awaited for a
 * while. */
static void hang_up(bool reads)
{
	if (reads) {
		wire_read(client);
		client->length = 0;
	}
	wire_hang_up(client);
	if (wire_inside(client)) {
		ck_assert(wire_inside(client)->departing);
		wire_advance(5 * USEC_PER_SECOND - 1);
		ck_assert(wire_inside(client)->departing);
		wire_advance(1);
	}
	ck_assert_ptr_null(wire_inside(client));
}

START_TEST(an_idle_client_leaves)
{
	begin();
	hang_up(true);
	ck_assert(wire_logged("closing because: client unexpected eof (age=0s)"));
	other_is_served_by(server);
}
END_TEST

START_TEST(an_idle_client_terminates)
{
	begin();
	wire_client_says(client, "X");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	ck_assert(wire_logged("closing because: client close request (age=0s)"));
	other_is_served_by(server);
}
END_TEST

START_TEST(an_idle_client_closes_its_side)
{
	begin();
	wire_half_close(client);
	wire_expect_closed(client);
	other_is_served_by(server);
}
END_TEST

START_TEST(a_client_leaves_in_a_query)
{
	begin();
	asks("Q");
	if (_i)
		wire_server_says(server, "TD");
	hang_up(_i == 2);
	server_was_dropped("client disconnected with query in progress");
}
END_TEST

START_TEST(a_client_leaves_in_a_transaction)
{
	begin();
	asks("Q");
	wire_answer(server, "BEGIN", "TE"[_i % 2]);
	hang_up(_i < 2);
	server_was_dropped("client disconnect while server was not ready");
}
END_TEST

START_TEST(a_client_terminates_in_a_transaction)
{
	begin();
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	wire_client_says(client, "X");
	wire_expect(client, "CZ");
	server_was_dropped("client disconnect while server was not ready");
}
END_TEST

START_TEST(a_client_leaves_in_an_extended_request)
{
	begin();
	asks("PBEH");
	if (_i)
		wire_server_says(server, "12C");
	hang_up(_i);
	server_was_dropped("client disconnect while server was not ready");
}
END_TEST

START_TEST(a_client_leaves_in_copy_in)
{
	begin();
	asks("Q");
	wire_server_says(server, "G");
	asks("dd");
	hang_up(_i);
	server_was_dropped("client disconnected with query in progress");
}
END_TEST

START_TEST(a_client_that_terminates_in_copy_in_does_not_complete_it)
{
	begin();
	asks("Q");
	wire_server_says(server, "G");
	asks("dd");
	wire_client_says(client, "X");
	wire_expect(client, "G");
	server_was_dropped("client disconnected with query in progress");
}
END_TEST

START_TEST(a_client_leaves_in_copy_out)
{
	begin();
	asks("Q");
	wire_server_says(server, "Hdd");
	hang_up(_i);
	server_was_dropped("client disconnected with query in progress");
}
END_TEST

START_TEST(a_client_leaves_in_the_middle_of_a_message_to_the_server)
{
	/* the beginning is with the server: nothing may come behind it, no goodbye and no other
	 * client's request */
	uint8_t bytes[64];
	begin();
	asks("Q");
	wire_server_says(server, "G");
	size_t size = wire_put(bytes, 'd', "0123456789", 10);
	size_t cut = (size_t)_i;
	wire_send(client, bytes, cut);
	hang_up(true);
	ck_assert_uint_lt(cut, size);
	wire_read(server);
	ck_assert_uint_eq(server->length, cut < 5 ? 0 : cut);
	ck_assert_mem_eq(server->in, bytes, server->length);
	server->length = 0;
	server_was_dropped("client disconnected with query in progress");
}
END_TEST

START_TEST(a_client_leaves_in_the_middle_of_a_request_in_a_transaction)
{
	uint8_t bytes[64];
	begin();
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	wire_send(client, bytes, wire_put(bytes, 'Q', "COMMIT", 7) - 1);
	hang_up(true);
	/* "COMMIT" without its end must not become one */
	wire_read(server);
	ck_assert_uint_lt(server->length, 12);
	server->length = 0;
	server_was_dropped("client disconnect");
}
END_TEST

START_TEST(a_client_leaves_while_a_row_is_under_way_to_it)
{
	uint8_t bytes[64];
	begin();
	asks("Q");
	size_t size = wire_put(bytes, 'D', "0123456789", 10);
	wire_send(server, bytes, size - 4);
	hang_up(_i);
	wire_expect_nothing(server);
	wire_expect_closed(server);
	ck_assert(wire_logged("client disconnected with query in progress"));
	wire_expect_pool("active 1 / -");
	other_is_served_by(NULL);
}
END_TEST

START_TEST(a_waiting_client_leaves_the_queue)
{
	begin();
	wire_query(other, "BEGIN");
	wire_expect(server, "Q");
	wire_answer(server, "BEGIN", 'T');
	wire_query(client, "never");
	wire_expect_pool("active 1, waiting 1 / active 1");
	if (_i == 0)
		wire_hang_up(client);
	else
		wire_half_close(client);
	wire_expect_pool("active 1 / active 1");
	if (_i == 1) { /* it may still read */
		wire_expect_error(
			client, "FATAL", "08006",
			"the connection was closed while its request waited for a server");
		wire_expect_closed(client);
	}
	wire_query(other, "COMMIT");
	wire_expect_message(server, 'Q', "COMMIT|");
	wire_answer(server, "COMMIT", 'I');
	wire_expect(other, "CZCZ");
	wire_expect_nothing(server);
	other_is_served_by(server);
}
END_TEST

START_TEST(a_client_that_waits_for_its_greeting_leaves)
{
	wire_open("server_check_query =", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect_pool("welcome 1 / login 1");
	server = wire_accept();
	wire_hang_up(client);
	wire_expect_pool("- / login 1");
	/* the login goes on: the next client is glad of it */
	wire_read(server);
	server->length = 0;
	wire_welcome(server);
	wire_expect_pool("- / idle 1");
	other = wire_client();
	other_is_served_by(server);
}
END_TEST

START_TEST(a_client_leaves_while_its_values_are_set)
{
	static const char wishes[] = "application_name\0x";
	wire_open("server_check_query =", NULL);
	other = wire_client();
	server = wire_first_server();
	client = wire_client_as("u1", wishes, sizeof wishes);
	wire_query(client, "never");
	wire_expect_message(server, 'Q', "SET application_name='x';|");
	wire_hang_up(client);
	wire_expect_closed(server);
	wire_expect_pool("active 1 / -");
	other_is_served_by(NULL);
}
END_TEST

START_TEST(a_session_between_requests_leaves_a_clean_server)
{
	wire_open("pool_mode = session\nserver_check_query =", NULL);
	client = wire_client();
	server = wire_first_server();
	other = wire_client();
	asks("Q");
	wire_server_says(server, "CZ");
	wire_query(other, "mine");
	if (_i == 0)
		wire_hang_up(client);
	else if (_i == 1)
		wire_half_close(client);
	else
		wire_client_says(client, "X");
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_server_says(server, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(other);
	wire_close();
}
END_TEST

START_TEST(half_a_request_of_a_session_is_not_left_to_the_next)
{
	/* A request that is not very long is kept until it is whole; of others the head. */
	enum { LONG = 20000, SEEN = 37 };
	static const size_t parts[] = {0, 1, 4, 5, 6, 36, 37, 38, 10000, LONG};
	static uint8_t bytes[LONG + 64];
	static char text[LONG] = "DROP TABLE ";
	size_t part = parts[_i];
	memset(text + strlen("DROP TABLE "), 'x', sizeof text - strlen("DROP TABLE ") - 1);
	wire_open("pool_mode = session\nserver_check_query =", NULL);
	client = wire_client();
	server = wire_first_server();
	other = wire_client();
	asks("Q");
	wire_server_says(server, "CZ");
	size_t size = wire_put(bytes, 'Q', text, sizeof text);
	part = part < size ? part : size - 1;
	wire_send(client, bytes, part);
	wire_hang_up(client);
	wire_read(server);
	if (part >= SEEN) { /* the server has the beginning */
		ck_assert_uint_eq(server->length, part);
		wire_expect_closed(server);
		server->length = 0;
		server = NULL;
	} else {
		wire_expect_message(server, 'Q', "DISCARD ALL|");
		wire_server_says(server, "CZ");
	}
	wire_query(other, "mine");
	if (!server)
		server = wire_server();
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(other);
	wire_close();
}
END_TEST

/* ---- goodbye right behind requests ---- */

static void departs(bool terminates, const char *requests, const char *answers)
{
	uint8_t bytes[256];
	begin();
	size_t size = wire_put_types(bytes, requests, false);
	if (terminates)
		size += wire_put_types(bytes + size, "X", false);
	wire_push(client, bytes, size);
	if (!terminates)
		wire_half_close(client);
	wire_settle();
	wire_expect(server, requests);
	ck_assert(wire_inside(client)->departing);
	wire_expect_pool("active 2 / active 1");
	wire_expect_nothing(client);
	wire_server_says(server, answers);
	wire_expect(client, answers);
	wire_expect_closed(client);
	wire_expect_pool("active 1 / idle 1");
	wire_expect_nothing(server);
	other_is_served_by(server);
}

START_TEST(a_query_before_a_goodbye_is_answered)
{
	departs(_i, "Q", "TDDCZ");
}
END_TEST

START_TEST(all_queries_before_a_goodbye_are_answered)
{
	departs(_i, "QQPBESQ", "TDCZEZ12CZIZ");
}
END_TEST

START_TEST(a_goodbye_that_comes_later_is_heard_when_the_answer_is_out)
{
	begin();
	asks("Q");
	wire_server_says(server, "TD");
	if (_i)
		wire_client_says(client, "X");
	else
		wire_half_close(client);
	wire_expect(client, "TD");
	wire_expect_open(client);
	wire_server_says(server, "DC");
	wire_expect(client, "DC");
	wire_server_says(server, "Z");
	wire_expect(client, "Z");
	wire_expect_closed(client);
	other_is_served_by(server);
}
END_TEST

START_TEST(a_goodbye_behind_a_begin_rolls_back)
{
	uint8_t bytes[64];
	begin();
	wire_send(client, bytes, wire_put_types(bytes, "QX", false));
	wire_expect(server, "Q");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(client, "CZ");
	wire_expect_closed(client);
	server_was_dropped("client disconnect while server was not ready");
}
END_TEST

START_TEST(a_departing_client_waits_five_seconds_for_its_answers)
{
	uint8_t bytes[64];
	begin();
	wire_send(client, bytes, wire_put_types(bytes, "QX", false));
	wire_expect(server, "Q");
	wire_server_says(server, "T");
	wire_advance(5 * USEC_PER_SECOND - 1);
	wire_expect_pool("active 2 / active 1");
	wire_expect(client, "T");
	wire_advance(1);
	wire_expect_nothing(client);
	wire_expect_closed(client);
	server_was_dropped("client disconnected with query in progress");
}
END_TEST

START_TEST(a_departing_client_that_vanishes_gives_up_its_answers)
{
	uint8_t bytes[64];
	begin();
	wire_send(client, bytes, wire_put_types(bytes, "QX", false));
	wire_expect(server, "Q");
	wire_hang_up(client);
	/* noticed when the answer cannot be delivered, or by the time */
	wire_server_says(server, "TDC");
	wire_expect_pool("active 1 / -");
	wire_expect_closed(server);
	other_is_served_by(NULL);
}
END_TEST

START_TEST(a_request_behind_terminate_is_not_heard)
{
	uint8_t bytes[64];
	begin();
	wire_send(client, bytes, wire_put_types(bytes, "QXQ", false));
	wire_expect(server, "Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_closed(client);
	other_is_served_by(server);
}
END_TEST

START_TEST(a_queued_query_before_a_goodbye_is_answered)
{
	uint8_t bytes[64];
	begin();
	wire_query(other, "BEGIN");
	wire_expect(server, "Q");
	wire_answer(server, "BEGIN", 'T');
	wire_send(client, bytes, wire_put_types(bytes, "QX", false));
	wire_expect_pool("active 1, waiting 1 / active 1");
	wire_query(other, "COMMIT");
	wire_expect(server, "Q");
	wire_answer(server, "COMMIT", 'I');
	wire_expect(other, "CZCZ");
	wire_expect(server, "Q");
	wire_server_says(server, "TDCZ");
	wire_expect(client, "TDCZ");
	wire_expect_closed(client);
	other_is_served_by(server);
}
END_TEST

Suite *suite_vanish(void)
{
	Suite *suite = suite_create("wire/vanish");
	TCase *tcase = tcase_create("vanishing");
	tcase_add_test(tcase, an_idle_client_leaves);
	tcase_add_test(tcase, an_idle_client_terminates);
	tcase_add_test(tcase, an_idle_client_closes_its_side);
	tcase_add_loop_test(tcase, a_client_leaves_in_a_query, 0, 3);
	tcase_add_loop_test(tcase, a_client_leaves_in_a_transaction, 0, 4);
	tcase_add_test(tcase, a_client_terminates_in_a_transaction);
	tcase_add_loop_test(tcase, a_client_leaves_in_an_extended_request, 0, 2);
	tcase_add_loop_test(tcase, a_client_leaves_in_copy_in, 0, 2);
	tcase_add_test(tcase, a_client_that_terminates_in_copy_in_does_not_complete_it);
	tcase_add_loop_test(tcase, a_client_leaves_in_copy_out, 0, 2);
	tcase_add_loop_test(tcase, a_client_leaves_in_the_middle_of_a_message_to_the_server, 1, 15);
	tcase_add_test(tcase, a_client_leaves_in_the_middle_of_a_request_in_a_transaction);
	tcase_add_loop_test(tcase, a_client_leaves_while_a_row_is_under_way_to_it, 0, 2);
	tcase_add_loop_test(tcase, a_waiting_client_leaves_the_queue, 0, 2);
	tcase_add_test(tcase, a_client_that_waits_for_its_greeting_leaves);
	tcase_add_test(tcase, a_client_leaves_while_its_values_are_set);
	tcase_add_loop_test(tcase, a_session_between_requests_leaves_a_clean_server, 0, 3);
	tcase_add_loop_test(tcase, half_a_request_of_a_session_is_not_left_to_the_next, 1, 10);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("departing");
	tcase_add_loop_test(tcase, a_query_before_a_goodbye_is_answered, 0, 2);
	tcase_add_loop_test(tcase, all_queries_before_a_goodbye_are_answered, 0, 2);
	tcase_add_loop_test(tcase, a_goodbye_that_comes_later_is_heard_when_the_answer_is_out, 0,
			    2);
	tcase_add_test(tcase, a_goodbye_behind_a_begin_rolls_back);
	tcase_add_test(tcase, a_departing_client_waits_five_seconds_for_its_answers);
	tcase_add_test(tcase, a_departing_client_that_vanishes_gives_up_its_answers);
	tcase_add_test(tcase, a_request_behind_terminate_is_not_heard);
	tcase_add_test(tcase, a_queued_query_before_a_goodbye_is_answered);
	suite_add_tcase(suite, tcase);
	return suite;
}
