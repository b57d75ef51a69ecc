/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "suites.h"
#include "wire.h"

static struct wire_peer *client, *server;

static void begin(const char *settings, const char *row)
{
	wire_open(settings, row);
	client = wire_client();
	server = wire_first_server();
	wire_expect_nothing(server);
	wire_expect_pool("active 1 / idle 1");
}

static void transaction_mode(void)
{
	begin(NULL, NULL);
}

/* ... with all that is said coming byte by byte */
static void transaction_mode_in_bytes(void)
{
	transaction_mode();
	wire_pieces(1);
}

static void session_mode(void)
{
	begin("pool_mode = session", NULL);
}

static void statement_mode(void)
{
	begin("pool_mode = statement", NULL);
}

static void finish(void)
{
	wire_close();
}

/* The client sends messages of these types, and the server gets them. */
static void asks(const char *types)
{
	wire_client_says(client, types);
	wire_expect(server, types);
	wire_expect_pool("active 1 / active 1");
}

/* The server sends messages of these types, the client gets them, and the server is still the
 * client's. */
static void keeps(const char *types)
{
	wire_server_says(server, types);
	wire_expect(client, types);
	wire_expect_pool("active 1 / active 1");
}

/* ... and the server is free. */
static void frees(const char *types)
{
	wire_server_says(server, types);
	wire_expect(client, types);
	wire_expect_pool("active 1 / idle 1");
	wire_expect_nothing(server);
}

/* ---- transaction mode ---- */

START_TEST(a_query_takes_a_server_until_it_is_answered)
{
	wire_query(client, "SELECT 1");
	wire_expect_message(server, 'Q', "SELECT 1|");
	wire_expect_nothing(server);
	keeps("TD");
	keeps("D");
	keeps("C");
	frees("Z");
}
END_TEST

START_TEST(a_transaction_keeps_its_server_until_it_ends)
{
	static const char states[] = "TETTE";
	for (const char *state = states; *state; state++) {
		asks("Q");
		wire_answer(server, "BEGIN", *state);
		wire_expect(client, "CZ");
		ck_assert_uint_eq((uint8_t)client->text[0], *state);
		wire_expect_pool("active 1 / active 1");
	}
	asks("Q");
	frees("CZ");
}
END_TEST

START_TEST(a_released_server_serves_another_client)
{
	struct wire_peer *other = wire_client();
	ck_assert_ptr_null(wire_accept());
	for (int i = 0; i < 3; i++) {
		wire_query(client, "one");
		wire_expect_message(server, 'Q', "one|");
		wire_answer(server, "ONE", 'I');
		wire_expect_message(client, 'C', "ONE|");
		wire_expect(client, "Z");
		wire_query(other, "two");
		wire_expect_message(server, 'Q', "two|");
		wire_answer(server, "TWO", 'I');
		wire_expect_message(other, 'C', "TWO|");
		wire_expect(other, "Z");
	}
	wire_expect_nothing(client);
	wire_expect_pool("active 2 / idle 1");
}
END_TEST

START_TEST(another_client_waits_while_a_transaction_is_open)
{
	struct wire_peer *other = wire_client();
	wire_query(client, "BEGIN");
	wire_expect(server, "Q");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(client, "CZ");
	wire_query(other, "two");
	wire_expect_pool("active 1, waiting 1 / active 1");
	ck_assert_str_eq(wire_state(other), "WAITING");
	wire_expect_nothing(server);
	wire_query(client, "COMMIT");
	wire_expect_message(server, 'Q', "COMMIT|");
	wire_expect_nothing(server);
	wire_answer(server, "COMMIT", 'I');
	wire_expect(client, "CZ");
	/* handed over at once */
	wire_expect_message(server, 'Q', "two|");
	ck_assert_str_eq(wire_state(client), "IDLE");
	ck_assert_str_eq(wire_state(other), "ACTIVE");
	wire_answer(server, "TWO", 'I');
	wire_expect(other, "CZ");
	wire_expect_nothing(client);
}
END_TEST

START_TEST(pipelined_queries_keep_the_server_until_the_last_is_answered)
{
	asks("QQQ");
	keeps("CZ");
	keeps("C");
	keeps("Z");
	frees("EZ");
	asks("QQ");
	frees("CZCZ");
}
END_TEST

START_TEST(a_query_sent_while_another_runs_is_counted)
{
	asks("Q");
	keeps("TD");
	asks("Q");
	keeps("CZ");
	asks("Q");
	keeps("CZ");
	frees("CZ");
}
END_TEST

START_TEST(a_query_of_several_statements_is_one_request)
{
	asks("Q");
	keeps("TDCC");
	keeps("TDC");
	frees("EZ");
}
END_TEST

START_TEST(an_empty_query_is_answered)
{
	wire_query(client, "");
	wire_expect(server, "Q");
	frees("IZ");
}
END_TEST

START_TEST(an_error_outside_of_a_transaction_frees_the_server)
{
	asks("Q");
	wire_server_says(server, "EZ");
	wire_expect_error(client, "ERROR", "42601", "syntax");
	wire_expect(client, "Z");
	wire_expect_pool("active 1 / idle 1");
}
END_TEST

START_TEST(an_extended_request_keeps_the_server_until_its_sync_is_answered)
{
	asks("PBDES");
	keeps("12T");
	keeps("DDC");
	frees("Z");
	asks("PDS");
	frees("1tnZ");
	asks("CS");
	frees("3Z");
}
END_TEST

START_TEST(extended_requests_with_several_syncs_are_counted)
{
	asks("PBESPBESS");
	keeps("12CZ");
	keeps("12C");
	keeps("Z");
	frees("Z");
}
END_TEST

START_TEST(a_failed_extended_request_is_skipped_to_its_sync)
{
	asks("PBESPBES");
	keeps("1E");
	keeps("Z");
	keeps("12C");
	frees("Z");
}
END_TEST

START_TEST(a_portal_with_a_row_limit_keeps_the_server)
{
	asks("PBEH");
	keeps("12DDs");
	asks("EH");
	keeps("DC");
	asks("S");
	frees("Z");
}
END_TEST

START_TEST(extended_messages_reach_a_server_with_their_sync)
{
	wire_client_says(client, "PBDE");
	wire_expect_pool("active 1 / idle 1");
	wire_expect_nothing(server);
	wire_client_says(client, "S");
	wire_expect(server, "PBDES");
	frees("12nCZ");
}
END_TEST

START_TEST(flush_brings_answers_and_keeps_the_server)
{
	asks("PDH");
	keeps("1tT");
	asks("BEH");
	keeps("2DC");
	struct wire_peer *other = wire_client();
	wire_query(other, "two");
	wire_expect_pool("active 1, waiting 1 / active 1");
	wire_client_says(client, "S");
	wire_expect(server, "S");
	wire_server_says(server, "Z");
	wire_expect(client, "Z");
	wire_expect_message(server, 'Q', "two|");
}
END_TEST

START_TEST(extended_messages_behind_a_sync_keep_the_server)
{
	asks("PBESPB");
	keeps("12CZ");
	keeps("12");
	asks("ES");
	frees("CZ");
}
END_TEST

START_TEST(a_function_call_is_answered)
{
	asks("F");
	keeps("V");
	frees("Z");
	asks("F");
	frees("EZ");
}
END_TEST

START_TEST(notices_and_parameters_pass_in_an_answer)
{
	asks("Q");
	keeps("NN");
	keeps("A");
	keeps("TDNDC");
	frees("Z");
}
END_TEST

START_TEST(what_an_idle_server_says_reaches_nobody)
{
	wire_server_says(server, "NA");
	wire_expect_nothing(client);
	wire_expect_pool("active 1 / idle 1");
	asks("Q");
	frees("CZ");
}
END_TEST

START_TEST(a_notice_behind_ready_for_query_goes_to_the_client_it_follows)
{
	asks("Q");
	wire_server_says(server, "CZN");
	wire_expect(client, "CZN");
	wire_expect_pool("active 1 / idle 1");
}
END_TEST

/* ---- COPY ---- */

START_TEST(copy_in_passes)
{
	asks("Q");
	keeps("G");
	asks("ddd");
	asks("dc");
	keeps("C");
	frees("Z");
}
END_TEST

START_TEST(copy_fail_ends_a_copy)
{
	asks("Q");
	keeps("G");
	asks("df");
	frees("EZ");
}
END_TEST

START_TEST(copy_out_passes)
{
	asks("Q");
	keeps("Hdddd");
	keeps("dcC");
	frees("Z");
	asks("PBES");
	frees("12HddcCZ");
}
END_TEST

START_TEST(flush_and_sync_in_a_copy_are_not_answered)
{
	asks("Q");
	keeps("G");
	asks("dHSdSc");
	frees("CZ");
}
END_TEST

START_TEST(copy_through_extended_in_the_order_of_libpq)
{
	asks("PBDES");
	keeps("12nG");
	asks("dd");
	asks("cS");
	keeps("C");
	frees("Z");
}
END_TEST

START_TEST(copy_through_extended_with_sync_behind_only)
{
	asks("PBEH");
	keeps("12G");
	asks("ddcS");
	frees("CZ");
}
END_TEST

START_TEST(strays_of_a_failed_copy_are_swallowed)
{
	asks("Q");
	keeps("G");
	asks("dd");
	frees("EZ");
	/* the client did not know yet */
	wire_client_says(client, "ddd");
	wire_client_says(client, "c");
	wire_expect_nothing(server);
	wire_expect_pool("active 1 / idle 1");
	wire_client_says(client, "ddcQ");
	wire_expect(server, "Q");
	frees("CZ");
	wire_client_says(client, "f");
	wire_expect_pool("active 1 / idle 1");
}
END_TEST

START_TEST(half_a_stray_is_swallowed_with_its_rest)
{
	uint8_t stray[64];
	size_t size = wire_put(stray, 'd', "0123456789", 10);
	wire_send(client, stray, size - 3);
	wire_expect_pool("active 1 / idle 1");
	size_t more = wire_put_types(stray + size, "Q", false);
	wire_send(client, stray + size - 3, 3 + more);
	wire_expect(server, "Q");
	frees("CZ");
}
END_TEST

START_TEST(a_failed_copy_through_extended_skips_to_the_next_sync)
{
	asks("PBEH");
	keeps("12G");
	asks("dd");
	keeps("E");
	asks("ddc");
	asks("S");
	frees("Z");
}
END_TEST

START_TEST(a_failed_copy_in_the_order_of_libpq_gives_the_client_another_server)
{
	/* one ReadyForQuery or two, depending on when it failed: nobody else may have that server
	 */
	struct wire_peer *other = wire_client();
	wire_client_says(client, "PBDES");
	wire_expect(server, "PBDES");
	wire_server_says(server, "12nG");
	wire_client_says(client, "ddcS");
	wire_expect(server, "ddcS");
	wire_server_says(server, "E");
	wire_server_says(server, "Z");
	wire_expect(client, "12nGEZ");
	wire_expect_closed(server);
	wire_expect_pool("active 2 / -");
	wire_query(other, "two");
	server = wire_server();
	wire_expect_message(server, 'Q', "two|");
	wire_answer(server, "TWO", 'I');
	wire_expect(other, "CZ");
	wire_query(client, "one");
	wire_expect_message(server, 'Q', "one|");
	wire_answer(server, "ONE", 'I');
	wire_expect(client, "CZ");
	wire_expect_nothing(other);
}
END_TEST

START_TEST(a_copy_that_fails_at_once_in_the_order_of_libpq_is_answered)
{
	asks("PBDES");
	keeps("12nG");
	keeps("E");
	frees("Z");
	/* the client's CopyData was under way */
	wire_client_says(client, "ddd");
	wire_expect_pool("active 1 / idle 1");
}
END_TEST

START_TEST(two_answers_of_a_failed_copy_both_reach_the_client)
{
	asks("PBDES");
	keeps("12nG");
	asks("ddcS");
	wire_server_says(server, "EZZ");
	wire_expect(client, "EZZ");
	wire_expect_pool("active 1 / idle 1");
}
END_TEST

START_TEST(a_blind_copy_works_in_one_write)
{
	asks("Qddc");
	keeps("G");
	frees("CZ");
	asks("QddcQ");
	keeps("GCZ");
	frees("CZ");
	asks("PBEddcS");
	frees("12GCZ");
}
END_TEST

START_TEST(a_blind_copy_that_fails_leaves_nothing)
{
	asks("Qddc");
	frees("EZ");
	asks("QddcQ");
	keeps("EZ");
	frees("CZ");
	asks("PBEddcS");
	frees("1EZ");
}
END_TEST

/* ---- session mode ---- */

START_TEST(a_session_keeps_its_server)
{
	for (int i = 0; i < 3; i++) {
		asks("Q");
		keeps("CZ");
	}
	keeps("NA"); /* notifications come between requests */
	struct wire_peer *other = wire_client();
	wire_query(other, "two");
	wire_expect_pool("active 1, waiting 1 / active 1");
}
END_TEST

static void leaves_and_other_gets_a_reset_server(bool terminates)
{
	asks("Q");
	keeps("CZ");
	struct wire_peer *other = wire_client();
	wire_query(other, "two");
	if (terminates)
		wire_client_says(client, "X");
	else
		wire_hang_up(client);
	wire_expect_pool("waiting 1 / tested 1");
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_expect_nothing(server);
	wire_answer(server, "DISCARD ALL", 'I');
	wire_expect_message(server, 'Q', "two|");
	wire_expect_nothing(other);
	wire_answer(server, "TWO", 'I');
	wire_expect_message(other, 'C', "TWO|");
	wire_expect(other, "Z");
	wire_expect_pool("active 1 / active 1");
}

START_TEST(the_reset_query_runs_when_a_session_terminates)
{
	leaves_and_other_gets_a_reset_server(true);
	wire_expect_closed(client);
}
END_TEST

START_TEST(the_reset_query_runs_when_a_session_hangs_up)
{
	leaves_and_other_gets_a_reset_server(false);
}
END_TEST

START_TEST(a_failed_reset_closes_the_server)
{
	asks("Q");
	keeps("CZ");
	wire_hang_up(client);
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_server_says(server, "EZ");
	wire_expect_closed(server);
	wire_expect_pool("- / -");
	ck_assert(wire_logged("reset query failed"));
}
END_TEST

START_TEST(a_reset_that_takes_too_long_closes_the_server)
{
	asks("Q");
	keeps("CZ");
	wire_hang_up(client);
	wire_expect(server, "Q");
	wire_advance(15 * USEC_PER_SECOND - 1);
	wire_expect_pool("- / tested 1");
	wire_advance(1);
	wire_expect_pool("- / -");
	wire_expect_closed(server);
}
END_TEST

START_TEST(a_session_that_ends_in_a_transaction_closes_the_server)
{
	asks("Q");
	wire_answer(server, "BEGIN", 'T');
	wire_hang_up(client);
	wire_expect_nothing(server);
	wire_expect_closed(server);
	ck_assert(wire_logged("client disconnect while server was not ready"));
	wire_expect_pool("- / -");
}
END_TEST

/* ---- statement mode ---- */

START_TEST(a_statement_frees_the_server)
{
	asks("Q");
	frees("TDCZ");
	asks("PBES");
	frees("12CZ");
}
END_TEST

START_TEST(a_transaction_block_is_refused_in_statement_mode)
{
	asks("Q");
	wire_answer(server, "BEGIN", "TE"[_i]);
	wire_expect_message(client, 'C', "BEGIN|");
	wire_expect_fatal(client, "0A000",
			  "transaction blocks not allowed in statement pooling mode|");
	wire_expect_nothing(server);
	wire_expect_closed(server);
	wire_expect_pool("- / -");
}
END_TEST

/* ---- where the mode comes from ---- */

START_TEST(the_mode_of_the_database_wins_over_the_global_one)
{
	begin("pool_mode = statement", "pool_mode=session");
	asks("Q");
	keeps("CZ");
	wire_close();
}
END_TEST

START_TEST(the_reset_query_can_run_in_every_mode)
{
	begin("server_reset_query_always = 1", NULL);
	asks("Q");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_expect_message(server, 'Q', "DISCARD ALL|");
	wire_expect_pool("active 1 / tested 1");
	wire_query(client, "two");
	wire_expect_nothing(server);
	wire_expect_pool("waiting 1 / tested 1");
	wire_answer(server, "DISCARD ALL", 'I');
	wire_expect_nothing(client);
	wire_expect_message(server, 'Q', "two|");
	wire_close();
}
END_TEST

START_TEST(without_a_reset_query_a_session_gives_its_server_back_at_once)
{
	begin("pool_mode = session\nserver_reset_query =", NULL);
	asks("Q");
	keeps("CZ");
	wire_client_says(client, "X");
	wire_expect_nothing(server);
	wire_expect_pool("- / idle 1");
	wire_close();
}
END_TEST

static void add_transaction_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_query_takes_a_server_until_it_is_answered);
	tcase_add_test(tcase, a_transaction_keeps_its_server_until_it_ends);
	tcase_add_test(tcase, a_released_server_serves_another_client);
	tcase_add_test(tcase, another_client_waits_while_a_transaction_is_open);
	tcase_add_test(tcase, pipelined_queries_keep_the_server_until_the_last_is_answered);
	tcase_add_test(tcase, a_query_sent_while_another_runs_is_counted);
	tcase_add_test(tcase, a_query_of_several_statements_is_one_request);
	tcase_add_test(tcase, an_empty_query_is_answered);
	tcase_add_test(tcase, an_error_outside_of_a_transaction_frees_the_server);
	tcase_add_test(tcase, an_extended_request_keeps_the_server_until_its_sync_is_answered);
	tcase_add_test(tcase, extended_requests_with_several_syncs_are_counted);
	tcase_add_test(tcase, a_failed_extended_request_is_skipped_to_its_sync);
	tcase_add_test(tcase, a_portal_with_a_row_limit_keeps_the_server);
	tcase_add_test(tcase, extended_messages_reach_a_server_with_their_sync);
	tcase_add_test(tcase, flush_brings_answers_and_keeps_the_server);
	tcase_add_test(tcase, extended_messages_behind_a_sync_keep_the_server);
	tcase_add_test(tcase, a_function_call_is_answered);
	tcase_add_test(tcase, notices_and_parameters_pass_in_an_answer);
	tcase_add_test(tcase, what_an_idle_server_says_reaches_nobody);
	tcase_add_test(tcase, copy_in_passes);
	tcase_add_test(tcase, copy_fail_ends_a_copy);
	tcase_add_test(tcase, copy_out_passes);
	tcase_add_test(tcase, flush_and_sync_in_a_copy_are_not_answered);
	tcase_add_test(tcase, copy_through_extended_in_the_order_of_libpq);
	tcase_add_test(tcase, copy_through_extended_with_sync_behind_only);
	tcase_add_test(tcase, strays_of_a_failed_copy_are_swallowed);
	tcase_add_test(tcase, half_a_stray_is_swallowed_with_its_rest);
	tcase_add_test(tcase, a_failed_copy_through_extended_skips_to_the_next_sync);
	tcase_add_test(tcase, a_failed_copy_in_the_order_of_libpq_gives_the_client_another_server);
	tcase_add_test(tcase, a_copy_that_fails_at_once_in_the_order_of_libpq_is_answered);
	tcase_add_test(tcase, a_blind_copy_works_in_one_write);
	tcase_add_test(tcase, a_blind_copy_that_fails_leaves_nothing);
}

Suite *suite_modes(void)
{
	Suite *suite = suite_create("wire/modes");
	TCase *tcase = tcase_create("transaction");
	tcase_add_checked_fixture(tcase, transaction_mode, finish);
	add_transaction_tests(tcase);
	tcase_add_test(tcase, a_notice_behind_ready_for_query_goes_to_the_client_it_follows);
	tcase_add_test(tcase, two_answers_of_a_failed_copy_both_reach_the_client);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("transaction, byte by byte");
	tcase_add_checked_fixture(tcase, transaction_mode_in_bytes, finish);
	add_transaction_tests(tcase);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("session");
	tcase_add_checked_fixture(tcase, session_mode, finish);
	tcase_add_test(tcase, a_session_keeps_its_server);
	tcase_add_test(tcase, the_reset_query_runs_when_a_session_terminates);
	tcase_add_test(tcase, the_reset_query_runs_when_a_session_hangs_up);
	tcase_add_test(tcase, a_failed_reset_closes_the_server);
	tcase_add_test(tcase, a_reset_that_takes_too_long_closes_the_server);
	tcase_add_test(tcase, a_session_that_ends_in_a_transaction_closes_the_server);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("statement");
	tcase_add_checked_fixture(tcase, statement_mode, finish);
	tcase_add_test(tcase, a_statement_frees_the_server);
	tcase_add_loop_test(tcase, a_transaction_block_is_refused_in_statement_mode, 0, 2);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("settings");
	tcase_add_test(tcase, the_mode_of_the_database_wins_over_the_global_one);
	tcase_add_test(tcase, the_reset_query_can_run_in_every_mode);
	tcase_add_test(tcase, without_a_reset_query_a_session_gives_its_server_back_at_once);
	suite_add_tcase(suite, tcase);
	return suite;
}
