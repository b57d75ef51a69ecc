/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client.h"
#include "conn/server.h"
#include "suites.h"
#include <stdio.h>
#include <string.h>

/* Every move there is, written down a second time: a change of the tables has to be meant. */
static const char *const client_moves[] = {
	"STARTUP TLS",
	"STARTUP AUTH",
	"STARTUP CANCEL_WAITING",
	"TLS STARTUP",
	"AUTH WELCOME",
	"AUTH TRIAL_WAITING",
	"AUTH TRIAL",
	"AUTH IDLE",
	"WELCOME TRIAL_WAITING",
	"WELCOME TRIAL",
	"WELCOME IDLE",
	"TRIAL_WAITING TRIAL",
	"TRIAL ACTIVE",
	"IDLE WAITING",
	"IDLE ACTIVE",
	"WAITING ACTIVE",
	"WAITING IDLE",
	"ACTIVE IDLE",
	"CANCEL_WAITING CANCEL_ACTIVE",
	"AUTH CLAIMING",
	"AUTH CLAIMED",
	"CLAIMING CLAIMED",
	"CLAIMED CLAIMING",
	"CLAIMED ACTIVE",
};
static const char *const server_moves[] = {
	"CONNECTING TLS",
	"CONNECTING LOGIN",
	"CONNECTING CANCELING",
	"TLS LOGIN",
	"TLS CONNECTING", /* the next address */
	"TLS CANCELING",
	"LOGIN IDLE",
	"LOGIN ACTIVE",
	"LOGIN CONNECTING",
	"IDLE ACTIVE",
	"IDLE USED",
	"USED TESTED",
	"USED IDLE",
	"TESTED IDLE",
	"TESTED USED",
	"TESTED ACTIVE",
	"ACTIVE IDLE",
	"ACTIVE USED",
	"ACTIVE TESTED",
	"ACTIVE BEING_CANCELED",
	"ACTIVE ACTIVE",
	"BEING_CANCELED IDLE",
	"BEING_CANCELED USED",
	"BEING_CANCELED TESTED",
	"BEING_CANCELED ACTIVE",
	"ACTIVE DRAINING",
	"DRAINING IDLE",
	"DRAINING USED",
	"DRAINING TESTED",
	"DRAINING BEING_CANCELED",
	"DRAINING ACTIVE",
};

static bool is_listed(const char *const *moves, size_t count, const char *from, const char *to)
{
	char move[64];
	snprintf(move, sizeof move, "%s %s", from, to);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(moves[i], move))
			return true;
	return !strcmp(to, "CLOSING");
}

START_TEST(a_client_may_make_the_listed_moves_and_no_other)
{
	for (int from = 0; from < CLIENT_STATE_COUNT; from++)
		for (int to = 0; to < CLIENT_STATE_COUNT; to++) {
			const char *a = client_state_name((enum client_state)from),
				   *b = client_state_name((enum client_state)to);
			ck_assert_msg(client_state_allows((enum client_state)from,
							  (enum client_state)to) ==
					      is_listed(client_moves,
							sizeof client_moves / sizeof *client_moves,
							a, b),
				      "%s to %s", a, b);
		}
}
END_TEST

START_TEST(a_server_may_make_the_listed_moves_and_no_other)
{
	for (int from = 0; from < SERVER_STATE_COUNT; from++)
		for (int to = 0; to < SERVER_STATE_COUNT; to++) {
			const char *a = server_state_name((enum server_state)from),
				   *b = server_state_name((enum server_state)to);
			ck_assert_msg(server_state_allows((enum server_state)from,
							  (enum server_state)to) ==
					      is_listed(server_moves,
							sizeof server_moves / sizeof *server_moves,
							a, b),
				      "%s to %s", a, b);
		}
}
END_TEST

START_TEST(every_state_can_be_reached)
{
	for (int to = CLIENT_STARTUP + 1; to < CLIENT_STATE_COUNT; to++) {
		int ways = 0;
		for (int from = 0; from < CLIENT_STATE_COUNT; from++)
			ways += from != to &&
				client_state_allows((enum client_state)from, (enum client_state)to);
		ck_assert_int_gt(ways, 0);
	}
	for (int to = SERVER_CONNECTING + 1; to < SERVER_STATE_COUNT; to++) {
		int ways = 0;
		for (int from = 0; from < SERVER_STATE_COUNT; from++)
			ways += from != to &&
				server_state_allows((enum server_state)from, (enum server_state)to);
		ck_assert_int_gt(ways, 0);
	}
}
END_TEST

START_TEST(shown_names_are_those_of_the_console)
{
	ck_assert_str_eq(client_state_shown(CLIENT_WAITING), "waiting");
	ck_assert_str_eq(client_state_shown(CLIENT_WELCOME), "waiting");
	ck_assert_str_eq(client_state_shown(CLIENT_CANCEL_WAITING), "waiting_cancel_req");
	ck_assert_str_eq(client_state_shown(CLIENT_CANCEL_ACTIVE), "active_cancel_req");
	ck_assert_ptr_null(client_state_shown(CLIENT_CLOSING));
	ck_assert_str_eq(server_state_shown(SERVER_LOGIN), "new");
	ck_assert_str_eq(server_state_shown(SERVER_BEING_CANCELED), "being_canceled");
	ck_assert_str_eq(server_state_shown(SERVER_CANCELING), "active_cancel");
	ck_assert_ptr_null(server_state_shown(SERVER_CLOSING));
}
END_TEST

Suite *suite_states(void)
{
	Suite *suite = suite_create("conn/states");
	TCase *tcase = tcase_create("states");
	tcase_add_test(tcase, a_client_may_make_the_listed_moves_and_no_other);
	tcase_add_test(tcase, a_server_may_make_the_listed_moves_and_no_other);
	tcase_add_test(tcase, every_state_can_be_reached);
	tcase_add_test(tcase, shown_names_are_those_of_the_console);
	suite_add_tcase(suite, tcase);
	return suite;
}
