/* SPDX-License-Identifier: ISC */
/* A client vanishes while its query runs (cancel_on_disconnect): the query is cancelled, the answer
 * taken in, the transaction rolled back and the server used again; and where that could commit
 * something, or mix something up, the server is closed. */
#include "config.h"
#include <string.h>
#include "conn/client.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

#define SECONDS(n) ((n)*USEC_PER_SECOND)

static struct wire_peer *client, *server, *other, *carrier;

static void begin(const char *settings)
{
	char text[256] = "server_check_query =\n";
	strcat(text, settings);
	wire_open(text, NULL);
	client = wire_client();
	server = wire_first_server();
	other = wire_client();
	wire_expect_pool("active 2 / idle 1");
}

static void asks(const char *types)
{
	wire_client_says(client, types);
	wire_expect(server, types);
}

/* The connection is reset. */
static void vanishes(void)
{
	wire_server_says(server, "N"); /* unread */
	wire_hang_up(client);
	ck_assert_ptr_null(wire_inside(client));
}

/* The CancelRequest for the server is there. */
static void cancel_comes(void)
{
	carrier = wire_accept();
	ck_assert_msg(carrier != NULL, "no CancelRequest was sent");
	wire_read(carrier);
	ck_assert_uint_eq(carrier->length, 16);
	ck_assert_mem_eq(carrier->in, "\0\0\0\20\4\322\26\56", 8);
	ck_assert_mem_eq(carrier->in + 8, server->key, 8);
}

static void query_is_cancelled(char status)
{
	wire_error(server, "ERROR", "57014", "canceling statement due to user request");
	wire_ready(server, status);
}

/* The other client gets the same server, and nothing but its own. */
static void server_is_used_again(void)
{
	wire_expect_pool("active 1 / idle 1");
	wire_expect_nothing(server);
	wire_query(other, "mine");
	wire_expect_message(server, 'Q', "mine|");
	wire_expect_nothing(server);
	wire_answer(server, "MINE", 'I');
	wire_expect_message(other, 'C', "MINE|");
	wire_expect(other, "Z");
	ck_assert_ptr_null(wire_accept());
	ck_assert_uint_eq(registry_find_database("db")->abandoned_queries, 1);
	ck_assert_uint_eq(registry_find_database("db")->reused_servers, 1);
	wire_close();
}

static void server_was_dropped(void)
{
	wire_expect_closed(server);
	wire_expect_pool("active 1 / -");
	ck_assert_uint_eq(registry_find_database("db")->reused_servers, 0);
	wire_close();
}

START_TEST(its_query_is_cancelled_and_the_server_used_again)
{
	static const char *const requests[] = {"Q", "PBDES", "PBEHS", "F", "PBEBES"};
	static const char *const beginnings[] = {"", "12T", "12D", "", "12DDC"};
	begin("");
	asks(requests[_i]);
	wire_server_says(server, beginnings[_i]);
	vanishes();
	ck_assert(wire_logged("client disconnected with query in progress, canceling it"));
	wire_expect_pool("active 1 / being_canceled 1, canceling 1");
	cancel_comes();
	query_is_cancelled('I');
	wire_expect_pool("active 1 / being_canceled 1, canceling 1");
	wire_hang_up(carrier);
	server_is_used_again();
}
END_TEST

START_TEST(its_transaction_is_rolled_back)
{
	begin("");
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	asks("Q");
	vanishes();
	cancel_comes();
	if (_i == 0) {
		query_is_cancelled('E');
	} else { /* the cancel came too late */
		wire_answer(server, "DONE", 'T');
	}
	wire_expect_nothing(server);
	wire_hang_up(carrier);
	wire_expect_message(server, 'Q', "ROLLBACK|");
	wire_expect_pool("active 1 / being_canceled 1");
	wire_answer(server, "ROLLBACK", 'I');
	server_is_used_again();
}
END_TEST

START_TEST(a_rollback_that_fails_costs_the_server)
{
	begin("");
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	asks("Q");
	vanishes();
	cancel_comes();
	query_is_cancelled('E');
	wire_hang_up(carrier);
	wire_expect(server, "Q");
	if (_i == 0) {
		wire_server_says(server, "E");
		wire_ready(server, 'E');
	} else if (_i == 1) {
		wire_answer(server, "ROLLBACK", 'T');
	} else {
		wire_hang_up(server);
		server = wire_connect(); /* something that can be asked whether it is closed */
		wire_hang_up(server);
	}
	server_was_dropped();
}
END_TEST

START_TEST(a_query_that_ended_meanwhile_is_not_cancelled)
{
	begin("");
	asks("Q");
	wire_server_down();
	wire_server_up(); /* connects, but is not taken yet */
	wire_server_says(server, "N");
	wire_push(server, "C\0\0\0\5\0Z\0\0\0\5I", 12);
	wire_hang_up(client);
	/* the answer was there already: whichever came first, nobody is hit */
	carrier = wire_accept();
	if (carrier)
		wire_hang_up(carrier);
	wire_expect_pool("active 1 / idle 1");
	wire_query(other, "mine");
	wire_expect_message(server, 'Q', "mine|");
	wire_close();
}
END_TEST

START_TEST(who_waits_gets_the_server_only_when_the_cancel_is_through)
{
	begin("");
	asks("Q");
	wire_query(other, "mine");
	vanishes();
	cancel_comes();
	wire_answer(server, "DONE", 'I');
	wire_expect_pool("waiting 1 / being_canceled 1, canceling 1");
	wire_expect_nothing(server);
	wire_hang_up(carrier);
	wire_expect_message(server, 'Q', "mine|");
	wire_answer(server, "MINE", 'I');
	wire_expect(other, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_row_that_was_under_way_to_it_is_dropped_to_its_end)
{
	uint8_t bytes[64];
	begin("");
	asks("Q");
	size_t size = wire_put(bytes, 'D', "0123456789", 10), cut = (size_t)_i;
	wire_send(server, bytes, cut);
	wire_hang_up(client);
	if (wire_inside(client)) /* nothing had come to it: it may only have closed its side */
		wire_advance(SECONDS(1));
	cancel_comes();
	wire_send(server, bytes + cut, size - cut);
	query_is_cancelled('I');
	wire_hang_up(carrier);
	server_is_used_again();
}
END_TEST

START_TEST(a_client_that_only_closed_its_side_may_hear_its_answer_for_a_second)
{
	begin("");
	asks("Q");
	wire_half_close(client);
	wire_advance(SECONDS(1) - 1);
	ck_assert_ptr_null(wire_accept());
	if (_i == 0) {
		wire_server_says(server, "TDCZ");
		wire_expect(client, "TDCZ");
		wire_expect_closed(client);
		wire_expect_pool("active 1 / idle 1");
		wire_close();
		return;
	}
	wire_advance(1);
	cancel_comes();
	query_is_cancelled('I');
	wire_hang_up(carrier);
	wire_expect_nothing(client);
	server_is_used_again();
}
END_TEST

START_TEST(a_session_is_reset_as_well)
{
	begin("pool_mode = session");
	asks("Q");
	vanishes();
	cancel_comes();
	query_is_cancelled('E');
	wire_hang_up(carrier);
	wire_expect_message(server, 'Q', "ROLLBACK|");
	wire_answer(server, "ROLLBACK", 'I');
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_expect_pool("active 1 / tested 1");
	wire_answer(server, "DISCARD ALL", 'I');
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(what_could_commit_or_never_end_costs_the_server)
{
	/* Several requests: the cancel would hit one, and the rest be done. Without a Sync one
	 * would have to be added, which commits. In a COPY the server waits for the client. */
	static const char *const requests[] = {"QQ", "QPBES", "PBESPBES", "PBEH", "PBESPB", "Q"};
	begin("");
	asks(requests[_i]);
	if (_i == 5)
		wire_server_says(server, "G");
	vanishes();
	ck_assert_ptr_null(wire_accept());
	wire_expect_nothing(server);
	server_was_dropped();
}
END_TEST

START_TEST(half_a_message_costs_the_server)
{
	static char text[20000] = "COMMIT"; /* less would be kept until it is whole */
	static uint8_t bytes[sizeof text + 64];
	memset(text + strlen("COMMIT"), ' ', sizeof text - strlen("COMMIT") - 1);
	begin("");
	asks("Q");
	wire_send(client, bytes, wire_put(bytes, 'Q', text, sizeof text) - 1);
	vanishes();
	wire_read(server);
	ck_assert_uint_eq(server->length, sizeof text + 4);
	server->length = 0;
	server_was_dropped();
}
END_TEST

START_TEST(a_copy_that_begins_when_nobody_is_there_to_copy_costs_the_server)
{
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	wire_hang_up(carrier);
	wire_server_says(server, "G");
	wire_expect_nothing(server);
	server_was_dropped();
}
END_TEST

START_TEST(a_server_that_goes_on_and_on_is_closed_in_time)
{
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	wire_hang_up(carrier);
	for (int i = 0; i < 9; i++) {
		wire_advance(SECONDS(1));
		wire_server_says(server, "D");
	}
	wire_advance(SECONDS(1) - 1);
	wire_expect_pool("active 1 / being_canceled 1");
	wire_advance(1);
	ck_assert(wire_logged("closing because: client disconnected with query in progress"));
	server_was_dropped();
}
END_TEST

/* Rows of 1 MB for nobody, until the server is closed or not read, or there are @most bytes of
 * them. Returns how many were taken: @*left of the last row were not. */
static size_t flood(size_t most, size_t *left)
{
	static uint8_t row[1 << 20], body[(1 << 20) - 16];
	size_t size = wire_put(row, 'D', body, sizeof body), sent = 0, at = 0, tries = 0;
	while (sent < most && tries < 10 && !wire_is_closed(server)) {
		size_t taken = wire_try(server, row + at, size - at);
		tries = taken ? 0 : tries + 1;
		sent += taken;
		at = (at + taken) % size;
		wire_settle();
	}
	*left = at ? size - at : 0;
	return sent;
}

START_TEST(a_server_that_says_very_much_is_closed)
{
	size_t left;
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	wire_hang_up(carrier);
	size_t sent = flood(64 << 20, &left);
	ck_assert_uint_ge(sent, 15 << 20);
	ck_assert_uint_lt(sent, 24 << 20);
	server_was_dropped();
}
END_TEST

/* What it says before PostgreSQL has seen the cancel is not taken in: it might be very much, and
 * does not come to an end any sooner by that. */
START_TEST(a_flood_waits_until_the_cancel_is_through)
{
	static uint8_t rest[1 << 20];
	size_t left;
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	size_t sent = flood(64 << 20, &left);
	ck_assert_uint_ge(sent, 1 << 20);
	ck_assert_uint_lt(sent, 4 << 20);
	ck_assert(!wire_is_closed(server));
	wire_hang_up(carrier);
	for (size_t at = 0; at < left; wire_settle())
		at += wire_try(server, rest, left - at);
	query_is_cancelled('I');
	server_is_used_again();
}
END_TEST

START_TEST(a_server_that_breaks_the_protocol_then_is_closed)
{
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	wire_hang_up(carrier);
	if (_i == 0)
		wire_server_says(server, "ZZ");
	else if (_i == 1)
		wire_send(server, "?\0\0\0\4", 5);
	else
		wire_error(server, "FATAL", "57P01", "terminating connection");
	wire_expect_closed(server);
	wire_expect_pool("active 1 / -");
	ck_assert_uint_eq(registry_find_database("db")->reused_servers, 0);
	wire_close();
}
END_TEST

START_TEST(a_cancel_that_cannot_be_sent_leaves_time_for_the_answer)
{
	begin("");
	asks("Q");
	wire_server_down();
	vanishes();
	wire_expect_pool("active 1 / being_canceled 1");
	wire_server_up();
	wire_server_says(server, "TDCZ");
	server_is_used_again();
}
END_TEST

START_TEST(the_query_of_a_client_that_is_closed_for_its_limits_is_cancelled_too)
{
	begin(_i ? "transaction_timeout = 5" : "query_timeout = 5");
	asks("Q");
	wire_advance(SECONDS(5));
	wire_expect_fatal(client, _i ? "25P04" : "57014",
			  _i ? "transaction timeout|" : "query timeout|");
	cancel_comes();
	query_is_cancelled('I');
	wire_hang_up(carrier);
	server_is_used_again();
}
END_TEST

START_TEST(reconnect_closes_it_when_it_is_through)
{
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	pool_retire(registry_pool(registry_find_database("db"), registry_find_user("u1")),
		    CLOSE_OBSOLETE);
	wire_expect_pool("active 1 / being_canceled 1, canceling 1");
	query_is_cancelled('I');
	wire_hang_up(carrier);
	ck_assert(wire_logged("closing because: obsolete connection"));
	wire_expect_pool("active 1 / -");
	wire_close();
}
END_TEST

START_TEST(a_pool_that_is_killed_takes_it_along)
{
	begin("");
	asks("Q");
	vanishes();
	cancel_comes();
	pool_kill(registry_pool(registry_find_database("db"), registry_find_user("u1")),
		  CLOSE_DATABASE_REMOVED);
	wire_settle();
	wire_expect_closed(server);
	wire_expect_closed(carrier);
	wire_expect_pool("- / -");
	wire_close();
}
END_TEST

START_TEST(without_cancel_on_disconnect_the_server_is_closed)
{
	begin("cancel_on_disconnect = 0");
	asks("Q");
	vanishes();
	ck_assert(wire_logged("closing because: client disconnected with query in progress"));
	ck_assert_ptr_null(wire_accept());
	server_was_dropped();
}
END_TEST

Suite *suite_abandoned(void)
{
	Suite *suite = suite_create("wire/abandoned");
	TCase *tcase = tcase_create("abandoned");
	tcase_add_loop_test(tcase, its_query_is_cancelled_and_the_server_used_again, 0, 5);
	tcase_add_loop_test(tcase, its_transaction_is_rolled_back, 0, 2);
	tcase_add_loop_test(tcase, a_rollback_that_fails_costs_the_server, 0, 3);
	tcase_add_test(tcase, a_query_that_ended_meanwhile_is_not_cancelled);
	tcase_add_test(tcase, who_waits_gets_the_server_only_when_the_cancel_is_through);
	tcase_add_loop_test(tcase, a_row_that_was_under_way_to_it_is_dropped_to_its_end, 1, 15);
	tcase_add_loop_test(
		tcase, a_client_that_only_closed_its_side_may_hear_its_answer_for_a_second, 0, 2);
	tcase_add_test(tcase, a_session_is_reset_as_well);
	tcase_add_loop_test(tcase, what_could_commit_or_never_end_costs_the_server, 0, 6);
	tcase_add_test(tcase, half_a_message_costs_the_server);
	tcase_add_test(tcase, a_copy_that_begins_when_nobody_is_there_to_copy_costs_the_server);
	tcase_add_test(tcase, a_server_that_goes_on_and_on_is_closed_in_time);
	tcase_add_test(tcase, a_server_that_says_very_much_is_closed);
	tcase_add_test(tcase, a_flood_waits_until_the_cancel_is_through);
	tcase_add_loop_test(tcase, a_server_that_breaks_the_protocol_then_is_closed, 0, 3);
	tcase_add_test(tcase, a_cancel_that_cannot_be_sent_leaves_time_for_the_answer);
	tcase_add_loop_test(
		tcase, the_query_of_a_client_that_is_closed_for_its_limits_is_cancelled_too, 0, 2);
	tcase_add_test(tcase, reconnect_closes_it_when_it_is_through);
	tcase_add_test(tcase, a_pool_that_is_killed_takes_it_along);
	tcase_add_test(tcase, without_cancel_on_disconnect_the_server_is_closed);
	suite_add_tcase(suite, tcase);
	return suite;
}
