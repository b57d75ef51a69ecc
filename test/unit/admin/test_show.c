/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <string.h>
#include "admin/console.h"

/* The columns as scripts know them: t: text, 4: int4, 8: int8, n: numeric. */
#define CONN                                                                                      \
	"type:t user:t database:t replication:t state:t addr:t port:4 local_addr:t local_port:4 " \
	"connect_time:t "                                                                         \
	"request_time:t wait:4 wait_us:4 close_needed:4 ptr:t link:t remote_pid:4 tls:t "         \
	"application_name:t "                                                                     \
	"prepared_statements:4 id:4"
#define SOCKET                                                                          \
	CONN " recv_pos:4 pkt_pos:4 pkt_remain:4 send_pos:4 send_remain:4 pkt_avail:4 " \
	     "send_avail:4"

static const struct {
	const char *name, *columns;
} expected[] = {
	{"CLIENTS", CONN},
	{"SERVERS", CONN},
	{"SOCKETS", SOCKET},
	{"ACTIVE_SOCKETS", SOCKET},
	{"CONFIG", "key:t value:t default:t changeable:t"},
	{"DATABASES", "name:t host:t port:4 database:t force_user:t pool_size:4 min_pool_size:4 "
		      "reserve_pool_size:4 "
		      "server_lifetime:4 pool_mode:t load_balance_hosts:t max_connections:4 "
		      "current_connections:4 "
		      "max_client_connections:4 current_client_connections:4 paused:4 disabled:4"},
	{"POOLS", "database:t user:t cl_active:4 cl_waiting:4 cl_active_cancel_req:4 "
		  "cl_waiting_cancel_req:4 sv_active:4 "
		  "sv_active_cancel:4 sv_being_canceled:4 sv_idle:4 sv_used:4 sv_tested:4 "
		  "sv_login:4 maxwait:4 maxwait_us:4 "
		  "pool_mode:t load_balance_hosts:t"},
	{"HBA", "rule_number:4 file_name:t line_number:4 type:t database:t user_name:t address:t "
		"netmask:t auth_method:t options:t"},
	{"CANCELS",
	 "database:t disconnect_cancel_count:n server_reuse_count:n timeout_cancel_count:n"},
	{"FEATURES", "database:t listen:n set:n advisory_lock:n temp_table:n hold_cursor:n load:n "
		     "warned:n refused:n"},
	{"LOGINS", "database:t login_count:n login_failure_count:n"},
	{"PEERS", "peer_id:4 host:t port:4 pool_size:4"},
	{"PEER_POOLS",
	 "peer_id:4 cl_active_cancel_req:4 cl_waiting_cancel_req:4 sv_active_cancel:4 sv_login:4"},
	{"LISTS", "list:t items:4"},
	{"USERS", "name:t pool_size:t reserve_pool_size:t pool_mode:t max_user_connections:4 "
		  "current_connections:4 "
		  "max_user_client_connections:4 current_client_connections:4"},
	{"STATS", "database:t total_server_assignment_count:n total_xact_count:n "
		  "total_query_count:n total_received:n "
		  "total_sent:n total_xact_time:n total_query_time:n total_wait_time:n "
		  "total_client_parse_count:n "
		  "total_server_parse_count:n total_bind_count:n total_client_login_count:n "
		  "avg_server_assignment_count:n "
		  "avg_xact_count:n avg_query_count:n avg_recv:n avg_sent:n avg_xact_time:n "
		  "avg_query_time:n avg_wait_time:n "
		  "avg_client_parse_count:n avg_server_parse_count:n avg_bind_count:n "
		  "avg_client_login_count:n"},
	{"STATS_TOTALS", "database:t server_assignment_count:n xact_count:n query_count:n "
			 "bytes_received:n bytes_sent:n xact_time:n "
			 "query_time:n wait_time:n client_parse_count:n server_parse_count:n "
			 "bind_count:n client_login_count:n"},
	{"STATS_AVERAGES", "database:t server_assignment_count:n xact_count:n query_count:n "
			   "bytes_received:n bytes_sent:n xact_time:n "
			   "query_time:n wait_time:n avg_client_parse_count:n "
			   "avg_server_parse_count:n avg_bind_count:n "
			   "avg_client_login_count:n"},
	{"TOTALS", "name:t value:n"},
	{"VERSION", "version:t"},
	{"STATE", "key:t value:t"},
	{"MEM", "name:t size:4 used:4 free:4 memtotal:4"},
	{"DNS_HOSTS", "hostname:t ttl:8 addrs:t"},
	{"DNS_ZONES", "zonename:t serial:8 count:4"},
};
enum { EXPECTED = sizeof expected / sizeof *expected };

static const struct show *find(const char *name)
{
	const struct show *show;
	for (unsigned i = 0; (show = show_row(i)); i++)
		if (!strcmp(show->name, name))
			return show;
	ck_abort_msg("there is no SHOW %s", name);
	return NULL;
}

static const char *letter(enum response_type type)
{
	switch (type) {
	case RESPONSE_TEXT:
		return ":t";
	case RESPONSE_INT4:
		return ":4";
	case RESPONSE_INT8:
		return ":8";
	case RESPONSE_NUMERIC:
		return ":n";
	default:
		return ":?";
	}
}

START_TEST(a_show_has_the_columns_that_scripts_know)
{
	const struct show *show = find(expected[_i].name);
	char shown[2048], *at = shown;
	*at = '\0';
	for (unsigned i = 0; i < show->count; i++)
		at = stpcpy(stpcpy(stpcpy(at, i ? " " : ""), show->columns[i].name),
			    letter(show->columns[i].type));
	ck_assert_str_eq(shown, expected[_i].columns);
}
END_TEST

START_TEST(there_is_no_other_show)
{
	unsigned count = 0;
	while (show_row(count))
		count++;
	ck_assert_uint_eq(count, EXPECTED);
	ck_assert_ptr_null(show_row(count + 100));
}
END_TEST

START_TEST(everything_is_documented)
{
	const struct show *show;
	const struct command *command;
	for (unsigned i = 0; (show = show_row(i)); i++) {
		ck_assert_uint_gt(strlen(show->doc), 0);
		ck_assert_uint_le(show->count, RESULT_COLUMNS);
		ck_assert_ptr_nonnull(show->rows);
		for (unsigned c = 0; c < show->count; c++)
			ck_assert_msg(strlen(show->columns[c].doc) > 0, "%s.%s", show->name,
				      show->columns[c].name);
	}
	for (unsigned i = 0; (command = command_row(i)); i++)
		ck_assert_uint_gt(strlen(command->help), 0);
}
END_TEST

START_TEST(the_commands_are_these_and_for_admins)
{
	static const char *const names[] = {"RELOAD",	  "PAUSE",     "RESUME", "DISABLE",
					    "ENABLE",	  "RECONNECT", "KILL",	 "KILL_CLIENT",
					    "WAIT_CLOSE", "SHUTDOWN",  "SET"};
	unsigned count = sizeof names / sizeof *names;
	for (unsigned i = 0; i < count; i++) {
		const struct command *command = command_row(i);
		ck_assert_ptr_nonnull(command);
		ck_assert_str_eq(command->words, names[i]);
		ck_assert(command->admins_only);
		ck_assert_ptr_nonnull(command->run);
	}
	ck_assert_ptr_null(command_row(count));
}
END_TEST

Suite *suite_show(void)
{
	Suite *suite = suite_create("show");
	TCase *tcase = tcase_create("show");
	tcase_add_loop_test(tcase, a_show_has_the_columns_that_scripts_know, 0, EXPECTED);
	tcase_add_test(tcase, there_is_no_other_show);
	tcase_add_test(tcase, everything_is_documented);
	tcase_add_test(tcase, the_commands_are_these_and_for_admins);
	suite_add_tcase(suite, tcase);
	return suite;
}
