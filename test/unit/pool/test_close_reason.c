/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/close_reason.h"
#include <stdint.h>
#include <string.h>
#include "suites.h"

START_TEST(every_reason_has_a_text_of_its_own)
{
	for (int a = 0; a < CLOSE_REASON_COUNT; a++) {
		const char *text = close_reason_text((enum close_reason)a);
		ck_assert_ptr_nonnull(text);
		ck_assert(*text);
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(text, close_reason_text((enum close_reason)b));
	}
}
END_TEST

START_TEST(a_reason_fits_into_the_byte_that_servers_keep_it_in)
{
	ck_assert_int_le(CLOSE_REASON_COUNT, UINT8_MAX);
}
END_TEST

START_TEST(a_client_is_told_the_reasons_text_unless_it_is_told_nothing)
{
	for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
		enum close_reason reason = (enum close_reason)i;
		struct error error = {.message = "untouched"};
		if (close_reason_error(reason, &error)) {
			ck_assert_str_eq(error.message, close_reason_text(reason));
			ck_assert_uint_eq(strlen(error.sqlstate), 5);
			ck_assert_str_ne(error.sqlstate, "00000");
		} else {
			ck_assert_str_eq(error.message, "untouched");
		}
	}
}
END_TEST

/* Contract sections 17 and 18. */
START_TEST(the_texts_that_pgbouncer_logs_are_all_there)
{
	static const char *const texts[] = {
		"server idle timeout",
		"server lifetime over",
		"obsolete connection",
		"database configuration changed",
		"pause mode",
		"evicted",
		"too many servers in the pool",
		"close_needed",
		"connect timeout",
		"connect failed",
		"cannot connect",
		"server DNS lookup failed",
		"test query failed",
		"idle server got dirty",
		"reset query failed",
		"var change failed",
		"server conn crashed?",
		"server refused SSL",
		"TLS startup failed",
		"client disconnect while server was not ready",
		"client disconnected with query in progress",
		"client disconnected with queries in progress",
		"successfully sent cancel request",
		"connect string changed",
		"client close request",
		"client unexpected eof",
		"cancel_wait_timeout",
		"bad cancel request",
		"query_wait_timeout",
		"client_login_timeout",
		"client_login_timeout (server down)",
		"transaction blocks not allowed in statement pooling mode",
		"pooler is shutting down",
		"server shutting down",
		"database removed",
		"admin forced disconnect",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int found = 0;
		for (int r = 0; r < CLOSE_REASON_COUNT; r++)
			found += !strcmp(texts[i], close_reason_text((enum close_reason)r));
		ck_assert_msg(found == 1, "%s: %d rows", texts[i], found);
	}
}
END_TEST

START_TEST(what_clients_are_told_carries_the_sqlstate_of_postgresql)
{
	static const struct {
		enum close_reason reason;
		const char *sqlstate;
	} rows[] = {
		{CLOSE_DATABASE_REMOVED, "57P01"},  {CLOSE_ADMIN_DISCONNECT, "57P01"},
		{CLOSE_SERVER_SHUTDOWN, "57P01"},   {CLOSE_POOLER_SHUTDOWN, "57P03"},
		{CLOSE_SERVER_CRASHED, "08006"},    {CLOSE_QUERY_WAIT_TIMEOUT, "08006"},
		{CLOSE_TRANSACTION_BLOCK, "0A000"}, {CLOSE_OUT_OF_MEMORY, "53200"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error error;
		ck_assert(close_reason_error(rows[i].reason, &error));
		ck_assert_str_eq(error.sqlstate, rows[i].sqlstate);
	}
	ck_assert(!close_reason_error(CLOSE_CLIENT_REQUEST, NULL));
	ck_assert(!close_reason_error(CLOSE_SERVER_IDLE_TIMEOUT, NULL));
}
END_TEST

Suite *suite_close_reason(void)
{
	Suite *suite = suite_create("close_reason");
	TCase *table = tcase_create("table");
	tcase_add_test(table, every_reason_has_a_text_of_its_own);
	tcase_add_test(table, a_reason_fits_into_the_byte_that_servers_keep_it_in);
	tcase_add_test(table, a_client_is_told_the_reasons_text_unless_it_is_told_nothing);
	tcase_add_test(table, the_texts_that_pgbouncer_logs_are_all_there);
	tcase_add_test(table, what_clients_are_told_carries_the_sqlstate_of_postgresql);
	suite_add_tcase(suite, table);
	return suite;
}
