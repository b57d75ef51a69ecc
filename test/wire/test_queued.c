/* SPDX-License-Identifier: ISC */
/* A CancelRequest for a client that waits for a server: its oldest request fails, as it would have
 * failed in PostgreSQL, and its session goes on with the next. */
#include "config.h"
#include <stdlib.h>
#include <string.h>
#include "conn/client.h"
#include "pool/pool.h"
#include "proto/message.h"
#include "proto/startup.h"
#include "suites.h"
#include "wire.h"

static struct wire_peer *owner, *client, *server;

/* Somebody else has the only server. */
static void begin(void)
{
	wire_open("server_check_query =", NULL);
	owner = wire_client();
	server = wire_first_server();
	client = wire_client();
	wire_query(owner, "long");
	wire_expect_message(server, 'Q', "long|");
	wire_expect_pool("active 2 / active 1");
}

static struct wire_peer *cancels(const struct wire_peer *whom)
{
	uint8_t packet[16];
	struct wire_peer *who = wire_connect();
	message_put32(packet, 16);
	message_put32(packet + 4, STARTUP_VERSION(1234, 5678));
	memcpy(packet + 8, whom->key, 8);
	wire_send(who, packet, sizeof packet);
	return who;
}

static void waits(void)
{
	ck_assert_str_eq(wire_state(client), "WAITING");
	wire_expect_pool("active 1, waiting 1 / active 1");
	wire_expect_nothing(client);
}

static void is_told(void)
{
	wire_expect_error(client, "ERROR", "57014", "canceling statement due to user request");
}

static void is_cancelled(void)
{
	struct wire_peer *asker = cancels(client);
	wire_expect_nothing(asker);
	wire_expect_closed(asker);
	ck_assert(wire_logged("closing because: cancel request for waiting client"));
	is_told();
	ck_assert_ptr_null(wire_accept());
}

static void leaves_the_queue(void)
{
	ck_assert_str_eq(wire_state(client), "IDLE");
	wire_expect_pool("active 2 / active 1");
	wire_expect_nothing(server);
}

/* The owner ends, and what the client asks next is answered; nothing else of it reached a server.
 */
static void goes_on(const char *sql)
{
	wire_server_says(server, "CZ");
	wire_expect(owner, "CZ");
	wire_expect_message(server, 'Q', sql);
	wire_expect_nothing(server);
	wire_answer(server, "NEXT", 'I');
	wire_expect_message(client, 'C', "NEXT|");
	wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	wire_expect_pool("active 2 / idle 1");
	wire_close();
}

static void lives_on(void)
{
	leaves_the_queue();
	wire_advance(200 * USEC_PER_SECOND); /* no time runs against it */
	wire_expect_open(client);
	wire_query(client, "next");
	goes_on("next|");
}

START_TEST(a_query_that_waits_fails_and_the_session_lives)
{
	begin();
	wire_query(client, "never");
	waits();
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	lives_on();
}
END_TEST

START_TEST(a_function_call_that_waits_fails_likewise)
{
	begin();
	wire_client_says(client, "F");
	waits();
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	lives_on();
}
END_TEST

START_TEST(an_extended_request_fails_up_to_sync)
{
	begin();
	wire_client_says(client, _i ? "PDBDEDECPBES" : "PBES");
	waits();
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	lives_on();
}
END_TEST

START_TEST(a_sync_alone_cannot_fail)
{
	begin();
	wire_client_says(client, "S");
	waits();
	wire_expect_closed(cancels(client));
	wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	lives_on();
}
END_TEST

START_TEST(of_a_pipeline_the_first_request_fails)
{
	uint8_t bytes[256];
	begin();
	size_t n = wire_put_types(bytes, _i == 0 ? "PBES" : "Q", false);
	n += wire_put(bytes + n, 'Q', "second", 7);
	wire_send(client, bytes, n);
	waits();
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	waits(); /* with the second */
	goes_on("second|");
}
END_TEST

START_TEST(a_pipeline_is_cancelled_request_by_request)
{
	begin();
	wire_client_says(client, "PBESPBESQS");
	for (int i = 0; i < 3; i++) {
		waits();
		is_cancelled();
		wire_expect_message(client, 'Z', "I");
	}
	waits();
	wire_expect_closed(cancels(client));
	wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	lives_on();
}
END_TEST

START_TEST(a_later_extended_request_of_a_pipeline_is_whole)
{
	begin();
	wire_client_says(client, "QPBES");
	waits();
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	waits();
	wire_server_says(server, "CZ");
	wire_expect(owner, "CZ");
	wire_expect(server, "PBES");
	wire_server_says(server, "12CZ");
	wire_expect(client, "12CZ");
	wire_close();
}
END_TEST

START_TEST(without_a_sync_all_is_passed_over_until_one_comes)
{
	begin();
	wire_client_says(client, "PBEH");
	waits();
	is_cancelled();
	wire_expect_nothing(client);
	leaves_the_queue();
	/* PostgreSQL skips a Query there, too */
	wire_client_says(client, "HQBDECFdcH");
	wire_expect_nothing(client);
	leaves_the_queue();
	wire_client_says(client, "S");
	wire_expect_message(client, 'Z', "I");
	lives_on();
}
END_TEST

START_TEST(the_rest_may_come_in_pieces_of_any_size)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 11, 13, 1000};
	uint8_t bytes[512];
	begin();
	wire_client_says(client, "PBEH");
	is_cancelled();
	size_t n = wire_put_types(bytes, "PBEQPDBES", false);
	n += wire_put(bytes + n, 'Q', "next", 5);
	wire_pieces(sizes[_i]);
	wire_send(client, bytes, n);
	wire_pieces(0);
	wire_expect_message(client, 'Z', "I");
	waits();
	goes_on("next|");
}
END_TEST

START_TEST(every_split_of_an_extended_request_fails_the_same)
{
	uint8_t bytes[512];
	size_t begun = wire_put_types(bytes, "PBEH", false);
	size_t n = begun + wire_put_types(bytes + begun, "PBES", false);
	for (size_t cut = begun; cut <= n; cut++) {
		begin();
		wire_send(client, bytes, cut);
		waits();
		is_cancelled();
		if (cut < n) {
			wire_expect_nothing(client);
			wire_send(client, bytes + cut, n - cut);
		}
		wire_expect_message(client, 'Z', "I");
		wire_expect_nothing(client);
		lives_on();
	}
}
END_TEST

/* A message of which only the beginning has come takes a server, hence a place in the queue, when
 * it is long. */
START_TEST(what_has_not_come_yet_of_a_long_request_is_passed_over)
{
	enum { LONG = 100000, BEGUN = 20000 };
	uint8_t *bytes = malloc(LONG + 64);
	char *sql = malloc(LONG);
	memset(sql, 'x', LONG);
	sql[LONG - 1] = '\0';
	size_t n = wire_put(bytes, _i == 0 ? 'Q' : 'P', sql, LONG);
	begin();
	wire_send(client, bytes, BEGUN);
	waits();
	is_cancelled();
	if (_i == 0)
		wire_expect_message(client, 'Z', "I");
	if (_i == 1)
		n += wire_put_types(bytes + n, "BES", false);
	wire_send(client, bytes + BEGUN, n - BEGUN);
	if (_i == 1)
		wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	free(bytes);
	free(sql);
	lives_on();
}
END_TEST

START_TEST(terminate_is_heard_while_all_else_is_passed_over)
{
	begin();
	wire_client_says(client, "PBEH");
	is_cancelled();
	wire_client_says(client, "BEX");
	wire_expect_nothing(client);
	wire_expect_closed(client);
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(garbage_is_refused_while_all_else_is_passed_over)
{
	begin();
	wire_client_says(client, "PBEH");
	is_cancelled();
	if (_i == 0) {
		wire_say(client, 'y', "", 0);
		wire_expect_fatal(client, "08P01", "unknown pkt|");
	} else {
		wire_send(client, "B\0\0\0\3", 5);
		wire_expect_fatal(client, "08P01", "bad packet header: '4200000003'|");
	}
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(a_second_cancel_finds_an_idle_client)
{
	begin();
	wire_query(client, "never");
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	wire_expect_closed(cancels(client));
	ck_assert(wire_logged("cancel request for idle client"));
	wire_expect_nothing(client);
	lives_on();
}
END_TEST

START_TEST(who_waits_behind_moves_up)
{
	begin();
	struct wire_peer *third = wire_client();
	wire_query(client, "never");
	wire_query(third, "mine");
	wire_expect_pool("active 1, waiting 2 / active 1");
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	wire_expect_pool("active 2, waiting 1 / active 1");
	wire_server_says(server, "CZ");
	wire_expect(owner, "CZ");
	wire_expect_message(server, 'Q', "mine|");
	wire_answer(server, "MINE", 'I');
	wire_expect_message(third, 'C', "MINE|");
	wire_expect_nothing(client);
	wire_close();
}
END_TEST

START_TEST(a_session_that_has_no_server_yet_is_cancelled_likewise)
{
	wire_open("pool_mode = session\nserver_check_query =\nserver_reset_query =", NULL);
	owner = wire_client();
	server = wire_first_server();
	client = wire_client();
	wire_query(owner, "long");
	wire_expect(server, "Q");
	wire_query(client, "never");
	is_cancelled();
	wire_expect_message(client, 'Z', "I");
	leaves_the_queue();
	wire_query(client, "next");
	wire_server_says(server, "CZ");
	wire_expect(owner, "CZ");
	wire_hang_up(owner);
	wire_expect_message(server, 'Q', "next|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_close();
}
END_TEST

START_TEST(a_client_that_does_not_read_is_cancelled_and_holds_its_next_request)
{
	/* it is told when it reads again; until then nothing is done for it */
	begin();
	int told = 0;
	for (wire_query(client, "next"); !strcmp(wire_state(client), "WAITING"); told++) {
		ck_assert_int_lt(told, 900); /* the kernel's buffer is full before */
		wire_hang_up(cancels(client));
		wire_query(client, "next");
	}
	leaves_the_queue();
	for (int i = 0; i < told; i++) {
		is_told();
		wire_expect_message(client, 'Z', "I");
	}
	waits();
	goes_on("next|");
}
END_TEST

Suite *suite_queued(void)
{
	Suite *suite = suite_create("wire/queued");
	TCase *tcase = tcase_create("queued");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, a_query_that_waits_fails_and_the_session_lives);
	tcase_add_test(tcase, a_function_call_that_waits_fails_likewise);
	tcase_add_loop_test(tcase, an_extended_request_fails_up_to_sync, 0, 2);
	tcase_add_test(tcase, a_sync_alone_cannot_fail);
	tcase_add_loop_test(tcase, of_a_pipeline_the_first_request_fails, 0, 2);
	tcase_add_test(tcase, a_pipeline_is_cancelled_request_by_request);
	tcase_add_test(tcase, a_later_extended_request_of_a_pipeline_is_whole);
	tcase_add_test(tcase, without_a_sync_all_is_passed_over_until_one_comes);
	tcase_add_loop_test(tcase, the_rest_may_come_in_pieces_of_any_size, 0, 9);
	tcase_add_test(tcase, every_split_of_an_extended_request_fails_the_same);
	tcase_add_loop_test(tcase, what_has_not_come_yet_of_a_long_request_is_passed_over, 0, 2);
	tcase_add_test(tcase, terminate_is_heard_while_all_else_is_passed_over);
	tcase_add_loop_test(tcase, garbage_is_refused_while_all_else_is_passed_over, 0, 2);
	tcase_add_test(tcase, a_second_cancel_finds_an_idle_client);
	tcase_add_test(tcase, who_waits_behind_moves_up);
	tcase_add_test(tcase, a_session_that_has_no_server_yet_is_cancelled_likewise);
	tcase_add_test(tcase, a_client_that_does_not_read_is_cancelled_and_holds_its_next_request);
	suite_add_tcase(suite, tcase);
	return suite;
}
