/* SPDX-License-Identifier: ISC */
/* How long an answer of auth_query holds: who comes before auth_query_ttl is over is not asked for,
 * who comes when it is, is. */
#include "config.h"
#include "suites.h"
#include "wire.h"

enum { TTL = 10 };

static struct wire_peer *server;

static void begin(void)
{
	wire_open("auth_type = plain\nauth_user = u1\nauth_query = SELECT name, secret\n"
		  "auth_query_ttl = 10\nserver_check_query =\n",
		  NULL);
	server = NULL;
}

static struct wire_peer *comes(void)
{
	struct wire_peer *client = wire_connect();
	wire_say_startup(client, "dora", NULL, 0);
	if (!server) {
		server = wire_asked(2);
		wire_welcome(server);
	}
	return client;
}

/* The server is asked, and answers one row or none. */
static void is_asked(bool finds)
{
	static const char columns[] = "\0\2a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
				      "b\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
	static const char row[] = "\0\2\0\0\0\4dora\0\0\0\6secret";
	uint8_t out[256];
	wire_expect(server, "PBDES");
	size_t n = wire_put_types(out, "12", true);
	n += wire_put(out + n, 'T', columns, sizeof columns - 1);
	if (finds)
		n += wire_put(out + n, 'D', row, sizeof row - 1);
	n += wire_put_types(out + n, "CZ", true);
	wire_send(server, out, n);
}

/* Whether there is a secret or not, a password is wanted. */
static void goes(struct wire_peer *client)
{
	wire_expect_message(client, 'R', "");
	wire_expect_nothing(client);
	wire_hang_up(client);
}

static void lasts(bool finds)
{
	struct wire_peer *client = comes();
	is_asked(finds);
	goes(client);
	for (int round = 0; round < 2; round++) {
		wire_advance(TTL * USEC_PER_SECOND - 1);
		client = comes();
		wire_expect_nothing(server);
		goes(client);
		wire_advance(1); /* that one did not make it last longer */
		client = comes();
		is_asked(finds);
		goes(client);
	}
}

START_TEST(an_answer_holds_until_auth_query_ttl_is_over)
{
	lasts(true);
}
END_TEST

START_TEST(that_there_is_no_such_user_holds_as_long)
{
	lasts(false);
}
END_TEST

START_TEST(a_failure_does_not_hold)
{
	struct wire_peer *client = comes();
	wire_expect(server, "PBDES");
	wire_server_says(server, "EZ");
	wire_next(client);
	ck_assert_uint_eq(client->type, 'E');
	wire_expect_closed(client);
	client = comes();
	is_asked(true);
	goes(client);
}
END_TEST

/* The time counts from the answer, not from the question; who waits for it gets it in any case. */
START_TEST(the_time_begins_with_the_answer)
{
	struct wire_peer *first = comes();
	wire_advance(TTL * USEC_PER_SECOND);
	struct wire_peer *second = comes();
	is_asked(true);
	goes(first);
	goes(second);
	wire_advance(TTL * USEC_PER_SECOND - 1);
	first = comes();
	wire_expect_nothing(server);
	goes(first);
}
END_TEST

static void mistypes(struct wire_peer *client)
{
	wire_expect_message(client, 'R', "");
	wire_say(client, 'p', "wrong", sizeof "wrong");
}

static void is_refused(struct wire_peer *client)
{
	wire_expect_message(client, 'E', "password authentication failed");
	wire_expect_closed(client);
}

/* What was fetched within the last second is not fetched again. */
START_TEST(wrong_passwords_cost_a_query_a_second)
{
	struct wire_peer *client = comes();
	is_asked(true);
	for (int second = 0; second < 3; second++) {
		mistypes(client);
		if (second > 0)
			is_asked(true);
		is_refused(client);
		for (int i = 0; i < 3; i++) {
			client = comes();
			mistypes(client);
			is_refused(client);
			wire_expect_nothing(server);
			wire_advance(i < 2 ? USEC_PER_SECOND / 2 - 1 : 2);
		}
		client = comes();
	}
	goes(client);
}
END_TEST

Suite *suite_auth_query(void)
{
	Suite *suite = suite_create("auth_query");
	TCase *ttl = tcase_create("ttl");
	tcase_add_checked_fixture(ttl, begin, wire_close);
	tcase_add_test(ttl, an_answer_holds_until_auth_query_ttl_is_over);
	tcase_add_test(ttl, that_there_is_no_such_user_holds_as_long);
	tcase_add_test(ttl, a_failure_does_not_hold);
	tcase_add_test(ttl, the_time_begins_with_the_answer);
	tcase_add_test(ttl, wrong_passwords_cost_a_query_a_second);
	suite_add_tcase(suite, ttl);
	return suite;
}
