/* SPDX-License-Identifier: ISC */
/* Limits of time of clients, each at its boundary and in every scope: a moment before nothing
 * happens, then it acts. (Those of waiting and logging in alone: test_waiting.c, test_startup.c.)
 */
#include "config.h"
#include <stdio.h>
#include <string.h>
#include "config/snapshot.h"
#include "conn/client.h"
#include "conn/gate.h"
#include "core/error.h"
#include "core/loop.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

#define SECONDS(n) ((n)*USEC_PER_SECOND)

static struct wire_peer *client, *server;

/* Where a limit is set, with another one where it must not count. */
enum scope { GLOBAL, DATABASE, USER, SCOPES };

static void open_with(enum scope scope, const char *limit, const char *value, const char *more)
{
	char settings[512], row[128] = "";
	int n = snprintf(settings, sizeof settings, "server_check_query =\n%s\n", more ? more : "");
	n += snprintf(settings + n, sizeof settings - (size_t)n, "%s = %s\n", limit,
		      scope == GLOBAL ? value : "900");
	if (scope > GLOBAL)
		snprintf(row, sizeof row, "%s=%s", limit, scope == DATABASE ? value : "800");
	if (scope == USER)
		snprintf(settings + n, sizeof settings - (size_t)n, "[users]\nu1 = %s=%s\n", limit,
			 value);
	wire_open(settings, row);
	client = wire_client();
	server = wire_first_server();
}

static void begin(const char *settings)
{
	char text[512];
	snprintf(text, sizeof text, "server_check_query =\n%s", settings);
	wire_open(text, NULL);
	client = wire_client();
	server = wire_first_server();
}

static void is_served(struct wire_peer *who, char status)
{
	wire_query(who, "mine");
	wire_expect(server, "Q");
	wire_answer(server, "MINE", status);
	wire_expect(who, "CZ");
}

static struct wire_peer *holder(void)
{
	struct wire_peer *who = wire_client_as("u2", NULL, 0);
	return who;
}

static void set(enum setting_index index, const char *value)
{
	struct error error;
	ck_assert_msg(snapshot_set(index, value, &error), "%s", error.message);
	registry_apply();
	gate_reconfigured();
	wire_settle();
}

/* Just before, nothing has happened; then it is told so, and its server closed for that. */
static void acts_after(usec_t limit, const char *sqlstate, const char *message, const char *logged)
{
	wire_advance(limit - 1);
	wire_expect_nothing(client);
	wire_expect_open(client);
	wire_advance(1);
	wire_expect_fatal(client, sqlstate, message);
	wire_expect_closed(server);
	ck_assert_msg(wire_logged(logged), "%s is not in the log", logged);
	wire_expect_pool("- / -");
	wire_close();
}

/* ---- each limit in each scope ---- */

START_TEST(a_query_may_take_query_timeout)
{
	open_with((enum scope)_i, "query_timeout", "7", "cancel_on_disconnect = 0");
	wire_query(client, "slow");
	wire_expect(server, "Q");
	acts_after(SECONDS(7), "57014", "query timeout||", "closing because: query timeout");
}
END_TEST

START_TEST(a_transaction_may_idle_for_idle_transaction_timeout)
{
	open_with((enum scope)_i, "idle_transaction_timeout", "7", NULL);
	wire_advance(SECONDS(100));
	is_served(client, 'T');
	wire_advance(SECONDS(5));
	is_served(client, 'E');
	acts_after(SECONDS(7), "25P03", "idle transaction timeout||",
		   "closing because: idle transaction timeout");
}
END_TEST

START_TEST(a_transaction_may_take_transaction_timeout)
{
	open_with((enum scope)_i, "transaction_timeout", "7", "cancel_on_disconnect = 0");
	wire_advance(SECONDS(100));
	is_served(client, 'T');
	wire_advance(SECONDS(3));
	is_served(client, 'T');
	wire_advance(SECONDS(2));
	wire_query(client, "slow");
	wire_expect(server, "Q");
	acts_after(SECONDS(2), "25P04", "transaction timeout||",
		   "closing because: transaction timeout");
}
END_TEST

START_TEST(a_client_may_idle_for_client_idle_timeout)
{
	open_with((enum scope)_i, "client_idle_timeout", "7", NULL);
	wire_advance(SECONDS(5));
	is_served(client, 'I');
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	wire_expect_open(client);
	wire_advance(1);
	wire_expect_fatal(client, "57P05", "client_idle_timeout||");
	wire_expect_pool("- / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_client_may_wait_for_query_wait_timeout)
{
	open_with((enum scope)_i, "query_wait_timeout", "7", NULL);
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_query(client, "waits");
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "08006", "query_wait_timeout||");
	wire_close();
}
END_TEST

START_TEST(a_query_that_waits_may_take_query_timeout)
{
	open_with((enum scope)_i, "query_timeout", "7", NULL);
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_query(client, "waits");
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "57014", "query_timeout||");
	wire_expect_pool("active 1 / active 1");
	wire_close();
}
END_TEST

START_TEST(zero_in_a_row_takes_a_limit_off)
{
	static const char *const limits[] = {"query_timeout", "transaction_timeout",
					     "idle_transaction_timeout", "client_idle_timeout"};
	char settings[512];
	int n = snprintf(settings, sizeof settings,
			 "server_check_query =\nserver_idle_timeout = 0\n");
	for (int i = 0; i < 4; i++)
		n += snprintf(settings + n, sizeof settings - (size_t)n, "%s = 5\n", limits[i]);
	n += snprintf(settings + n, sizeof settings - (size_t)n, "[users]\nu1 = ");
	for (int i = 0; i < 4; i++)
		n += snprintf(settings + n, sizeof settings - (size_t)n, "%s=0 ", limits[i]);
	wire_open(settings, NULL);
	client = wire_client();
	server = wire_first_server();
	wire_advance(SECONDS(3000));
	is_served(client, 'T');
	wire_advance(SECONDS(3000));
	wire_query(client, "slow");
	wire_expect(server, "Q");
	wire_advance(SECONDS(3000));
	wire_expect_open(client);
	wire_close();
}
END_TEST

START_TEST(a_row_touches_its_own_user_only_even_where_another_is_forced)
{
	/* the pool is u1's, the limits are those of who asks */
	wire_open("server_check_query =\n[users]\nu1 = query_timeout=3\nu2 = query_timeout=9",
		  "user=u1 password=secret pool_size=2");
	struct wire_peer *one = wire_client_as("u1", NULL, 0), *two = wire_client_as("u2", NULL, 0);
	wire_query(one, "one");
	wire_query(two, "two");
	ck_assert_ptr_nonnull(wire_server());
	wire_advance(SECONDS(3));
	wire_expect_fatal(one, "57014", "query timeout|");
	wire_expect_nothing(two);
	wire_advance(SECONDS(6) - 1);
	wire_expect_nothing(two);
	wire_advance(1);
	wire_expect_fatal(two, "57014", "query timeout|");
	wire_close();
}
END_TEST

START_TEST(the_idle_timeout_of_one_user_is_nobody_elses)
{
	wire_open("server_check_query =\n[users]\nu2 = client_idle_timeout=5", NULL);
	client = wire_client();
	struct wire_peer *two = wire_client_as("u2", NULL, 0);
	wire_advance(SECONDS(5));
	wire_expect_fatal(two, "57P05", "client_idle_timeout|");
	wire_advance(SECONDS(500));
	wire_expect_open(client);
	wire_close();
}
END_TEST

START_TEST(a_users_query_wait_timeout_needs_no_global_one)
{
	wire_open("server_check_query =\nquery_timeout = 0\nquery_wait_timeout = 0\n"
		  "[users]\nu1 = query_wait_timeout=5",
		  NULL);
	client = wire_client();
	server = wire_first_server();
	is_served(wire_client(), 'T');
	wire_query(client, "waits");
	wire_advance(SECONDS(5) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "08006", "query_wait_timeout|");
	wire_close();
}
END_TEST

/* ---- what counts ---- */

START_TEST(each_query_has_its_own_time)
{
	begin("query_timeout = 7\ncancel_on_disconnect = 0");
	for (int i = 0; i < 3; i++) {
		wire_query(client, "slow");
		wire_expect(server, "Q");
		wire_advance(SECONDS(6));
		wire_answer(server, "SLOW", i < 2 ? 'T' : 'I');
		wire_expect(client, "CZ");
		wire_advance(SECONDS(100));
	}
	/* in a pipeline a query begins where the one before it ends */
	wire_client_says(client, "QQ");
	wire_expect(server, "QQ");
	wire_advance(SECONDS(6));
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	acts_after(SECONDS(7), "57014", "query timeout|", "query timeout");
}
END_TEST

START_TEST(transactions_in_a_pipeline_are_counted_each)
{
	struct stats_counters *counters;
	begin("");
	counters = &registry_find_database("db")->stats.now;
	counters->xact_count = counters->xact_time = counters->query_time = 0;
	wire_advance(SECONDS(50));
	wire_client_says(client, "QQQ");
	wire_expect(server, "QQQ");
	for (int i = 0; i < 3; i++) {
		wire_advance(SECONDS(2));
		wire_answer(server, "ONE", "ITI"[i]);
	}
	wire_expect(client, "CZCZCZ");
	ck_assert_uint_eq(counters->xact_count, 2);
	ck_assert_uint_eq(counters->xact_time, 6 * USEC_PER_SECOND);
	ck_assert_uint_eq(counters->query_time, 6 * USEC_PER_SECOND);
	wire_close();
}
END_TEST

START_TEST(a_query_behind_its_clients_values_begins_when_it_is_sent)
{
	static const char wishes[] = "application_name\0x";
	begin("query_timeout = 7\ncancel_on_disconnect = 0");
	client = wire_client_as("u1", wishes, sizeof wishes);
	wire_advance(SECONDS(500)); /* what it waited before must not count */
	wire_query(client, "slow");
	wire_expect_message(server, 'Q', "SET application_name='x';|");
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "57014", "query timeout|");
	wire_close();
}
END_TEST

START_TEST(waiting_for_a_server_counts_as_part_of_the_query)
{
	begin("query_timeout = 10\ncancel_on_disconnect = 0");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_query(client, "waits");
	wire_advance(SECONDS(6));
	is_served(who, 'I');
	wire_expect(server, "Q");
	wire_advance(SECONDS(4) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "57014", "query timeout|");
	wire_close();
}
END_TEST

START_TEST(but_not_as_part_of_the_next_one)
{
	begin("query_timeout = 10\ncancel_on_disconnect = 0");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_query(client, "waits");
	wire_advance(SECONDS(6));
	is_served(who, 'I');
	wire_expect(server, "Q");
	wire_answer(server, "BEGIN", 'T');
	wire_expect(client, "CZ");
	wire_query(client, "next");
	wire_expect(server, "Q");
	wire_hang_up(who);
	acts_after(SECONDS(10), "57014", "query timeout|", "query timeout");
}
END_TEST

START_TEST(rows_that_come_do_not_prolong_it)
{
	begin("query_timeout = 7\ncancel_on_disconnect = 0");
	wire_client_says(client, "PBDES");
	wire_expect(server, "PBDES");
	for (int i = 0; i < 6; i++) {
		wire_advance(SECONDS(1));
		wire_server_says(server, i ? "D" : "12T");
	}
	wire_expect(client, "12TDDDDD");
	acts_after(SECONDS(1), "57014", "query timeout|", "query timeout");
}
END_TEST

START_TEST(in_the_middle_of_a_row_the_connection_just_ends)
{
	uint8_t bytes[64];
	begin("query_timeout = 7\ncancel_on_disconnect = 0");
	wire_query(client, "slow");
	wire_expect(server, "Q");
	wire_send(server, bytes, wire_put(bytes, 'D', "0123456789", 10) - 3);
	wire_read(client);
	client->length = 0;
	wire_advance(SECONDS(7));
	wire_expect_nothing(client);
	wire_expect_closed(client);
	wire_close();
}
END_TEST

START_TEST(a_busy_transaction_is_not_idle)
{
	begin("idle_transaction_timeout = 7");
	is_served(client, 'T');
	for (int i = 0; i < 5; i++) {
		wire_advance(SECONDS(7) - 1);
		wire_query(client, "slow");
		wire_expect(server, "Q");
		wire_advance(SECONDS(100));
		wire_answer(server, "SLOW", 'T');
		wire_expect(client, "CZ");
	}
	acts_after(SECONDS(7), "25P03", "idle transaction timeout|", "idle transaction timeout");
}
END_TEST

START_TEST(the_end_of_a_transaction_ends_its_limits)
{
	begin("idle_transaction_timeout = 7\ntransaction_timeout = 9\nserver_idle_timeout = 0");
	is_served(client, 'T');
	wire_advance(SECONDS(6));
	is_served(client, 'I');
	wire_advance(SECONDS(1000));
	wire_expect_open(client);
	is_served(client, 'T');
	wire_advance(SECONDS(6));
	wire_expect_open(client);
	wire_close();
}
END_TEST

START_TEST(a_session_is_idle_with_its_server)
{
	begin("pool_mode = session\nclient_idle_timeout = 7\nserver_reset_query =");
	is_served(client, 'T');
	wire_advance(SECONDS(100)); /* in a transaction it is not idle */
	is_served(client, 'I');
	wire_advance(SECONDS(5));
	is_served(client, 'I');
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "57P05", "client_idle_timeout|");
	wire_expect_pool("- / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_client_that_never_asked_is_idle_too)
{
	begin("client_idle_timeout = 7");
	wire_advance(SECONDS(7) - 1);
	wire_expect_open(client);
	wire_advance(1);
	wire_expect_fatal(client, "57P05", "client_idle_timeout|");
	wire_close();
}
END_TEST

START_TEST(the_shortest_of_several_limits_acts)
{
	begin("client_idle_timeout = 3\nquery_timeout = 5\nidle_transaction_timeout = 6\n"
	      "transaction_timeout = 20\ncancel_on_disconnect = 0");
	is_served(client, 'T');
	for (int i = 0; i < 3; i++) {
		wire_advance(SECONDS(5));
		is_served(client, 'T');
	}
	wire_query(client, "slow");
	wire_expect(server, "Q");
	acts_after(SECONDS(5), "57014", "query timeout|", "query timeout");
}
END_TEST

/* ---- query_timeout_action ---- */

static struct wire_peer *carrier(void)
{
	struct wire_peer *peer = wire_accept();
	ck_assert_msg(peer != NULL, "no CancelRequest was sent");
	wire_read(peer);
	ck_assert_uint_eq(peer->length, 16);
	ck_assert_mem_eq(peer->in + 8, server->key, 8);
	return peer;
}

START_TEST(a_query_that_takes_too_long_is_cancelled_and_its_session_lives)
{
	begin("query_timeout = 7\nquery_timeout_action = cancel");
	wire_query(client, "slow");
	wire_expect(server, "Q");
	wire_advance(SECONDS(7) - 1);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	struct wire_peer *cancel = carrier();
	wire_expect_nothing(client);
	wire_error(server, "ERROR", "57014", "canceling statement due to user request");
	wire_ready(server, 'I');
	wire_expect_error(client, "ERROR", "57014", "canceling statement due to user request");
	wire_expect(client, "Z");
	/* until the cancel is through the server is nobody's */
	wire_expect_pool("active 1 / being_canceled 1, canceling 1");
	wire_hang_up(cancel);
	wire_expect_pool("active 1 / idle 1");
	is_served(client, 'I');
	ck_assert_uint_eq(registry_find_database("db")->timed_out_queries, 1);
	wire_close();
}
END_TEST

START_TEST(the_cancel_of_a_query_hits_no_other_of_its_transaction)
{
	begin("query_timeout = 7\nquery_timeout_action = cancel");
	is_served(client, 'T');
	wire_query(client, "slow");
	wire_expect(server, "Q");
	wire_advance(SECONDS(7));
	struct wire_peer *cancel = carrier();
	wire_answer(server, "SLOW", 'T'); /* it ended by itself */
	wire_expect(client, "CZ");
	wire_query(client, "next");
	wire_expect_nothing(server);
	wire_advance(SECONDS(1));
	wire_expect_nothing(server);
	wire_hang_up(cancel);
	wire_expect_message(server, 'Q', "next|");
	wire_answer(server, "NEXT", 'I');
	wire_expect(client, "CZ");
	wire_expect_pool("active 1 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_query_that_is_not_cancelled_in_time_closes_its_client)
{
	begin("query_timeout = 7\nquery_timeout_action = cancel");
	wire_query(client, "slow");
	wire_expect(server, "Q");
	wire_advance(SECONDS(7));
	wire_hang_up(carrier());
	wire_advance(SECONDS(10) - 1);
	wire_expect_nothing(client);
	ck_assert_ptr_null(wire_accept());
	wire_advance(1);
	wire_expect_fatal(client, "57014", "query timeout|");
	wire_close();
}
END_TEST

START_TEST(each_query_of_a_session_is_cancelled_anew)
{
	begin("pool_mode = session\nquery_timeout = 7\nserver_reset_query =");
	set(SETTING_query_timeout_action, "cancel");
	for (int i = 0; i < 3; i++) {
		wire_query(client, "slow");
		wire_expect(server, "Q");
		wire_advance(SECONDS(7));
		struct wire_peer *cancel = carrier();
		wire_hang_up(cancel);
		wire_server_says(server, "EZ");
		wire_expect(client, "EZ");
		wire_expect_pool("active 1 / active 1");
	}
	wire_close();
}
END_TEST

/* What waited was refused up to where an answer ends, and what comes next is done. */
static void is_refused(const char *asked, const char *then, const char *answer)
{
	uint8_t bytes[256];
	begin("query_timeout = 7\nquery_timeout_action = cancel");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_send(client, bytes, wire_put_types(bytes, asked, false));
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_error(client, "ERROR", "57014", "query_timeout");
	if (*then) {
		wire_expect_nothing(client);
		wire_client_says(client, then);
	}
	wire_expect(client, answer);
	ck_assert_str_eq(wire_state(client), "IDLE");
	wire_expect_pool("active 2 / active 1");
	wire_query(client, "next");
	wire_expect_pool("active 1, waiting 1 / active 1");
	is_served(who, 'I');
	wire_expect_message(server, 'Q', "next|");
	wire_expect_nothing(server);
	wire_answer(server, "NEXT", 'I');
	wire_expect(client, "CZ");
	wire_close();
}

START_TEST(a_query_that_waited_too_long_is_refused_and_its_session_lives)
{
	static const char *const cases[][3] = {
		{"Q", "", "Z"},	  {"PBDES", "", "Z"}, {"PBEH", "DES", "Z"},
		{"PH", "S", "Z"}, {"F", "", "Z"},
	};
	is_refused(cases[_i][0], cases[_i][1], cases[_i][2]);
}
END_TEST

START_TEST(what_stands_behind_a_refused_query_waits_anew)
{
	begin("query_timeout = 7\nquery_timeout_action = cancel");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_query(client, "one");
	wire_query(client, "two");
	wire_advance(SECONDS(7));
	wire_expect_error(client, "ERROR", "57014", "query_timeout");
	wire_expect(client, "Z");
	wire_expect_pool("active 1, waiting 1 / active 1");
	wire_advance(SECONDS(7) - 1);
	wire_expect_nothing(client);
	is_served(who, 'I');
	wire_expect_message(server, 'Q', "two|");
	wire_close();
}
END_TEST

START_TEST(a_refused_query_may_still_be_on_its_way)
{
	static uint8_t bytes[40000], body[30000] = "SELECT";
	begin("query_timeout = 7\nquery_timeout_action = cancel");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	size_t size = wire_put(bytes, 'Q', body, sizeof body), half = 20000;
	wire_send(client, bytes, half);
	wire_expect_pool("active 1, waiting 1 / active 1");
	wire_advance(SECONDS(7));
	wire_expect_error(client, "ERROR", "57014", "query_timeout");
	wire_expect(client, "Z");
	wire_send(client, bytes + half, size - half);
	is_served(who, 'I');
	wire_query(client, "next");
	wire_expect_message(server, 'Q', "next|");
	wire_expect_nothing(server);
	wire_close();
}
END_TEST

/* ---- query_wait_notify ---- */

static const char notice[] =
	"No server connection available in postgres backend, client being queued";

START_TEST(who_is_queued_is_told_so_once)
{
	begin("query_wait_notify = 5\nquery_wait_timeout = 30");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	for (int i = 0; i < 2; i++) { /* each time it waits */
		wire_query(client, "waits");
		wire_advance(SECONDS(5) - 1);
		wire_expect_nothing(client);
		wire_advance(1);
		wire_expect_error(client, "NOTICE", "00000", notice);
		wire_advance(SECONDS(20));
		wire_expect_nothing(client);
		is_served(who, 'I');
		wire_expect(server, "Q");
		wire_answer(server, "WAITS", 'I');
		wire_expect(client, "CZ");
		is_served(who, 'T');
	}
	wire_query(client, "waits");
	wire_advance(SECONDS(5));
	wire_expect(client, "N");
	wire_advance(SECONDS(25));
	wire_expect_fatal(client, "08006", "query_wait_timeout|");
	wire_close();
}
END_TEST

START_TEST(who_waits_for_the_greeting_is_told_so_too)
{
	wire_open("query_wait_notify = 5", NULL);
	wire_server_down();
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect(client, "R");
	wire_advance(SECONDS(5));
	wire_expect_error(client, "NOTICE", "00000", notice);
	wire_server_up();
	wire_advance(SECONDS(10));
	wire_server();
	wire_expect(client, "SSSSSSSKZ");
	wire_close();
}
END_TEST

/* ---- a reload ---- */

START_TEST(a_new_limit_holds_for_whom_it_finds)
{
	begin("default_pool_size = 4\nmin_pool_size = 0\ncancel_on_disconnect = 0");
	struct wire_peer *runs = wire_client(), *idles = wire_client(), *blocked;
	struct wire_peer *server2, *server3;
	wire_query(runs, "slow");
	wire_expect(server, "Q");
	wire_query(idles, "BEGIN");
	server2 = wire_server();
	wire_expect(server2, "Q");
	wire_answer(server2, "BEGIN", 'T');
	wire_expect(idles, "CZ");
	blocked = wire_client();
	wire_query(blocked, "BEGIN");
	server3 = wire_server();
	wire_expect(server3, "Q");
	wire_answer(server3, "BEGIN", 'T');
	wire_expect(blocked, "CZ");
	wire_advance(SECONDS(10));
	set(SETTING_query_timeout, "15");
	set(SETTING_idle_transaction_timeout, "20");
	set(SETTING_client_idle_timeout, "25");
	wire_advance(SECONDS(5) - 1);
	wire_expect_nothing(runs);
	wire_advance(1);
	wire_expect_fatal(runs, "57014", "query timeout|");
	wire_advance(SECONDS(5) - 1);
	wire_expect_nothing(idles);
	wire_advance(1);
	wire_expect_fatal(idles, "25P03", "idle transaction timeout|");
	wire_expect_fatal(blocked, "25P03", "idle transaction timeout|");
	wire_advance(SECONDS(5) - 1);
	wire_expect_open(client);
	wire_advance(1);
	wire_expect_fatal(client, "57P05", "client_idle_timeout|");
	wire_close();
}
END_TEST

START_TEST(a_limit_that_is_over_when_it_is_set_acts_at_once)
{
	begin("");
	is_served(client, 'T');
	wire_advance(SECONDS(10));
	set(SETTING_transaction_timeout, "10");
	wire_expect_fatal(client, "25P04", "transaction timeout|");
	wire_close();
}
END_TEST

START_TEST(a_limit_that_is_taken_off_does_not_act)
{
	begin("query_timeout = 5\ntransaction_timeout = 6\nclient_idle_timeout = 4");
	wire_query(client, "slow");
	wire_advance(SECONDS(3));
	set(SETTING_query_timeout, "0");
	set(SETTING_transaction_timeout, "0");
	set(SETTING_client_idle_timeout, "0");
	wire_advance(SECONDS(60));
	wire_expect_open(client);
	wire_expect(server, "Q");
	wire_answer(server, "SLOW", 'I');
	wire_expect(client, "CZ");
	wire_advance(SECONDS(60));
	wire_expect_open(client);
	ck_assert(!wire_inside(client)->is_limited);
	wire_close();
}
END_TEST

START_TEST(a_new_query_wait_timeout_holds_for_who_waits_already)
{
	begin("query_wait_timeout = 100");
	struct wire_peer *who = wire_client();
	is_served(who, 'T');
	wire_query(client, "waits");
	wire_advance(SECONDS(10));
	set(SETTING_query_wait_timeout, _i ? "15" : "0");
	wire_advance(SECONDS(5) - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	if (_i) {
		wire_expect_fatal(client, "08006", "query_wait_timeout|");
	} else {
		wire_advance(SECONDS(1000));
		wire_expect_pool("active 1, waiting 1 / active 1");
	}
	wire_close();
}
END_TEST

START_TEST(a_new_client_login_timeout_holds_for_who_logs_in_already)
{
	wire_open("client_login_timeout = 100", NULL);
	client = wire_connect();
	wire_advance(SECONDS(10));
	set(SETTING_client_login_timeout, "15");
	wire_advance(SECONDS(5) - 1);
	wire_expect_open(client);
	wire_advance(1);
	wire_expect_fatal(client, "08P01", "client_login_timeout|");
	wire_close();
}
END_TEST

START_TEST(a_new_server_connect_timeout_holds_for_servers_that_log_in_already)
{
	wire_open("server_connect_timeout = 100", NULL);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept();
	wire_advance(SECONDS(10));
	set(SETTING_server_connect_timeout, "15");
	wire_advance(SECONDS(5) - 1);
	wire_expect_pool("welcome 1 / login 1");
	wire_advance(1);
	wire_expect_pool("welcome 1 / -");
	wire_close();
}
END_TEST

/* ---- what it costs ---- */

START_TEST(idle_clients_without_limits_have_no_timer)
{
	begin("server_idle_timeout = 0\nserver_lifetime = 0");
	for (int i = 0; i < 3; i++)
		holder();
	wire_advance(SECONDS(1000));
	ck_assert_int_eq(wire_inside(client)->endpoint.timer.due, 0);
	ck_assert_int_eq(wire_inside(client)->endpoint.timer.scheduled, 0);
	wire_close();
}
END_TEST

START_TEST(an_idle_session_with_limits_wakes_nobody)
{
	begin("pool_mode = session\nquery_timeout = 5\ntransaction_timeout = 6\n"
	      "idle_transaction_timeout = 4\nserver_reset_query =");
	for (int i = 0; i < 2; i++) {
		is_served(client, 'T');
		is_served(client, 'I');
		wire_advance(SECONDS(10));
		ck_assert_int_eq(wire_inside(client)->endpoint.timer.due, 0);
		wire_advance(SECONDS(1000));
		ck_assert_int_eq(wire_inside(client)->endpoint.timer.due, 0);
	}
	wire_query(client, "slow");
	wire_expect(server, "Q");
	wire_advance(SECONDS(5) - 1);
	wire_expect_open(client);
	wire_advance(1);
	wire_expect_fatal(client, "57014", "query timeout|");
	wire_close();
}
END_TEST

START_TEST(transactions_move_no_timer)
{
	/* the place in the heap is that of the first one: later ones are stores */
	begin("query_timeout = 50\ntransaction_timeout = 60\nidle_transaction_timeout = 70\n"
	      "client_idle_timeout = 55");
	is_served(client, 'I');
	usec_t place = wire_inside(client)->endpoint.timer.scheduled;
	ck_assert_int_ne(place, 0);
	for (int i = 0; i < 40; i++) {
		wire_advance(SECONDS(1));
		is_served(client, 'T');
		is_served(client, 'I');
		ck_assert_int_eq(wire_inside(client)->endpoint.timer.scheduled, place);
	}
	wire_advance(SECONDS(54));
	wire_expect_open(client);
	wire_advance(SECONDS(1));
	wire_expect_fatal(client, "57P05", "client_idle_timeout|");
	wire_close();
}
END_TEST

Suite *suite_timeout(void)
{
	Suite *suite = suite_create("wire/timeout");
	TCase *tcase = tcase_create("limits");
	tcase_add_loop_test(tcase, a_query_may_take_query_timeout, 0, SCOPES);
	tcase_add_loop_test(tcase, a_transaction_may_idle_for_idle_transaction_timeout, 0, SCOPES);
	tcase_add_loop_test(tcase, a_transaction_may_take_transaction_timeout, 0, SCOPES);
	tcase_add_loop_test(tcase, a_client_may_idle_for_client_idle_timeout, 0, SCOPES);
	tcase_add_loop_test(tcase, a_client_may_wait_for_query_wait_timeout, 0, SCOPES);
	tcase_add_loop_test(tcase, a_query_that_waits_may_take_query_timeout, 0, SCOPES);
	tcase_add_test(tcase, zero_in_a_row_takes_a_limit_off);
	tcase_add_test(tcase, a_row_touches_its_own_user_only_even_where_another_is_forced);
	tcase_add_test(tcase, the_idle_timeout_of_one_user_is_nobody_elses);
	tcase_add_test(tcase, a_users_query_wait_timeout_needs_no_global_one);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("counting");
	tcase_add_test(tcase, each_query_has_its_own_time);
	tcase_add_test(tcase, transactions_in_a_pipeline_are_counted_each);
	tcase_add_test(tcase, a_query_behind_its_clients_values_begins_when_it_is_sent);
	tcase_add_test(tcase, waiting_for_a_server_counts_as_part_of_the_query);
	tcase_add_test(tcase, but_not_as_part_of_the_next_one);
	tcase_add_test(tcase, rows_that_come_do_not_prolong_it);
	tcase_add_test(tcase, in_the_middle_of_a_row_the_connection_just_ends);
	tcase_add_test(tcase, a_busy_transaction_is_not_idle);
	tcase_add_test(tcase, the_end_of_a_transaction_ends_its_limits);
	tcase_add_test(tcase, a_session_is_idle_with_its_server);
	tcase_add_test(tcase, a_client_that_never_asked_is_idle_too);
	tcase_add_test(tcase, the_shortest_of_several_limits_acts);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("cancel");
	tcase_add_test(tcase, a_query_that_takes_too_long_is_cancelled_and_its_session_lives);
	tcase_add_test(tcase, the_cancel_of_a_query_hits_no_other_of_its_transaction);
	tcase_add_test(tcase, a_query_that_is_not_cancelled_in_time_closes_its_client);
	tcase_add_test(tcase, each_query_of_a_session_is_cancelled_anew);
	tcase_add_loop_test(tcase, a_query_that_waited_too_long_is_refused_and_its_session_lives, 0,
			    5);
	tcase_add_test(tcase, what_stands_behind_a_refused_query_waits_anew);
	tcase_add_test(tcase, a_refused_query_may_still_be_on_its_way);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("notice");
	tcase_add_test(tcase, who_is_queued_is_told_so_once);
	tcase_add_test(tcase, who_waits_for_the_greeting_is_told_so_too);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("reload");
	tcase_add_test(tcase, a_new_limit_holds_for_whom_it_finds);
	tcase_add_test(tcase, a_limit_that_is_over_when_it_is_set_acts_at_once);
	tcase_add_test(tcase, a_limit_that_is_taken_off_does_not_act);
	tcase_add_loop_test(tcase, a_new_query_wait_timeout_holds_for_who_waits_already, 0, 2);
	tcase_add_test(tcase, a_new_client_login_timeout_holds_for_who_logs_in_already);
	tcase_add_test(tcase, a_new_server_connect_timeout_holds_for_servers_that_log_in_already);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("cost");
	tcase_add_test(tcase, idle_clients_without_limits_have_no_timer);
	tcase_add_test(tcase, an_idle_session_with_limits_wakes_nobody);
	tcase_add_test(tcase, transactions_move_no_timer);
	suite_add_tcase(suite, tcase);
	return suite;
}
