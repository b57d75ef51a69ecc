/* SPDX-License-Identifier: ISC */
/* A database at several hosts, or at a host with several addresses. */
#include "config.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "../unit/net/name_server.h"
#include "conn/server.h"
#include "net/resolver.h"
#include "pool/registry.h"
#include "suites.h"
#include "wire.h"

#define SECONDS(n) ((n)*USEC_PER_SECOND)

enum { HOSTS = 3 };
static int hosts[HOSTS]; /* listening sockets; -1: nobody is there */
static struct wire_peer *client, *server;

/* ---- hosts a, b and c: abstract Unix sockets ---- */

static socklen_t host_address(int i, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1,
			      "pgweir-wire-%d-%c/.s.PGSQL.5432", (int)getpid(), 'a' + i);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static void host_up(int i)
{
	struct sockaddr_un address;
	socklen_t length = host_address(i, &address);
	hosts[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(hosts[i], (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(hosts[i], 16), 0);
}

static void host_down(int i)
{
	if (hosts[i] >= 0)
		close(hosts[i]);
	hosts[i] = -1;
}

static void begin(const char *settings, const char *row, const char *up)
{
	char text[512];
	int pid = (int)getpid();
	for (int i = 0; i < HOSTS; i++) {
		hosts[i] = -1;
		if (strchr(up, 'a' + i))
			host_up(i);
	}
	snprintf(text, sizeof text,
		 "host='@pgweir-wire-%d-a,@pgweir-wire-%d-b,@pgweir-wire-%d-c' %s", pid, pid, pid,
		 row);
	wire_open(settings, text);
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
}

static void end(void)
{
	for (int i = 0; i < HOSTS; i++)
		host_down(i);
	wire_close();
}

/* A connection came to this host: what it said is taken. */
static struct wire_peer *at(int i)
{
	struct wire_peer *peer = wire_accept_at(hosts[i]);
	if (peer) {
		wire_read(peer);
		peer->length = 0;
	}
	return peer;
}

static void serve(int i)
{
	server = at(i);
	ck_assert_msg(server != NULL, "nothing came to host %c", 'a' + i);
	wire_welcome(server);
}

START_TEST(a_host_that_refuses_is_followed_by_the_next_at_once)
{
	begin("server_login_retry = 10", "", "c");
	serve(2);
	wire_expect(client, "RSSSSSSSKZ");
	ck_assert(wire_logged("Connection refused"));
	end();
}
END_TEST

START_TEST(when_all_hosts_refuse_there_is_a_pause)
{
	begin("server_login_retry = 10", "", "");
	wire_expect_pool("welcome 1 / -");
	for (int i = 0; i < HOSTS; i++)
		host_up(i);
	wire_advance(SECONDS(10) - 1);
	wire_expect_pool("welcome 1 / -");
	wire_expect(client, "R");
	wire_advance(1);
	wire_expect_pool("welcome 1 / login 1");
	serve(0);
	wire_expect(client, "SSSSSSSKZ");
	end();
}
END_TEST

START_TEST(a_host_that_is_starting_up_is_followed_by_the_next_at_once)
{
	begin("", "", "ab");
	server = at(0);
	wire_error(server, "FATAL", "57P03", "the database system is starting up");
	wire_expect_closed(server);
	serve(1);
	wire_expect(client, "RSSSSSSSKZ");
	end();
}
END_TEST

START_TEST(a_host_that_hangs_up_during_the_login_is_followed_by_the_next)
{
	begin("", "", "ab");
	server = at(0);
	wire_hang_up(server);
	server = at(0); /* once more, with the older protocol */
	ck_assert_ptr_nonnull(server);
	wire_hang_up(server);
	serve(1);
	wire_expect(client, "RSSSSSSSKZ");
	end();
}
END_TEST

START_TEST(a_silent_host_is_followed_by_the_next_after_server_connect_timeout)
{
	begin("server_connect_timeout = 8\nserver_login_retry = 100", "", "abc");
	server = at(0);
	wire_advance(SECONDS(8) - 1);
	wire_expect_open(server);
	wire_advance(1);
	wire_expect_closed(server);
	server = at(1); /* which has as much time */
	wire_advance(SECONDS(8) - 1);
	wire_expect_open(server);
	wire_advance(1);
	serve(2);
	wire_expect(client, "RSSSSSSSKZ");
	end();
}
END_TEST

START_TEST(what_a_host_says_of_the_login_is_not_asked_of_the_next)
{
	begin("", "", "ab");
	server = at(0);
	wire_error(server, "FATAL", "28P01", "password authentication failed for user \"u1\"");
	wire_expect(client, "RE");
	ck_assert_ptr_null(wire_accept_at(hosts[1]));
	end();
}
END_TEST

/* Fill the pool; returns at which hosts its servers are, "abc". */
static const char *fill(int count)
{
	static char where[16];
	int n = 0;
	serve(0);
	where[n++] = 'a';
	for (int i = 0; i < count; i++) {
		struct wire_peer *more = i ? wire_client() : client;
		wire_query(more, "SELECT 1");
		for (int h = 0; h < HOSTS; h++) {
			struct wire_peer *peer = hosts[h] < 0 ? NULL : at(h);
			if (!peer)
				continue;
			wire_welcome(peer);
			where[n++] = (char)('a' + h);
		}
	}
	where[n] = '\0';
	return where;
}

START_TEST(round_robin_uses_each_host_in_its_turn)
{
	begin("default_pool_size = 6", "load_balance_hosts=round-robin", "abc");
	ck_assert_str_eq(fill(6), "abcabc");
	end();
}
END_TEST

START_TEST(without_balance_all_connections_go_to_one_host)
{
	begin("default_pool_size = 4", "load_balance_hosts=disable", "abc");
	ck_assert_str_eq(fill(4), "aaaa");
	end();
}
END_TEST

/* ---- db.test: a name with addresses 127.0.0.2 and so on ---- */

static uint16_t port;

/* False: somebody else has that port there. */
static bool listen_at(int i, const char *host)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t length = sizeof address;
	int on = 1;
	inet_pton(AF_INET, host, &address.sin_addr);
	hosts[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(hosts[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(hosts[i], (struct sockaddr *)&address, length) < 0) {
		ck_assert_int_eq(errno, EADDRINUSE);
		return false;
	}
	ck_assert_int_eq(listen(hosts[i], 16), 0);
	ck_assert_int_eq(getsockname(hosts[i], (struct sockaddr *)&address, &length), 0);
	port = ntohs(address.sin_port);
	return true;
}

static void listen_at_all(void)
{
	static const char *const names[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4"};
	int count = 0;
	for (port = 0; count < 3; count++) {
		if (listen_at(count, names[count]))
			continue;
		for (; count >= 0; count--)
			close(hosts[count]);
		port = 0; /* another one; the loop begins with the first */
	}
}

/* Events of sockets come a moment later than their cause. */
#define until(condition)                                                                 \
	do {                                                                             \
		for (int tries = 0; !(condition); tries++) {                             \
			ck_assert_msg(tries < 1000, "never came to be: %s", #condition); \
			usleep(2000);                                                    \
			wire_settle();                                                   \
		}                                                                        \
	} while (0)

static void begin_dns(const char *settings, const char *row)
{
	char text[256];
	struct resolver_options options;
	struct error error;
	listen_at_all();
	snprintf(text, sizeof text, "host=db.test port=%u %s", port, row);
	wire_open(settings, text);
	resolver_close();
	name_server_start(&options);
	ck_assert_msg(resolver_open(&options, &error), "%s", error.message);
	dns.v4[0] = "127.0.0.2";
	dns.v4[1] = "127.0.0.3";
}

static void enter(void)
{
	client = wire_connect();
	wire_say_startup(client, "u1", NULL, 0);
}

static void end_dns(void)
{
	name_server_stop();
	end();
}

static void serve_tcp(int i)
{
	until((server = wire_accept_at(hosts[i])) != NULL);
	until(wire_read(server) > 0);
	if (server->in[4] == 4) { /* SSLRequest */
		server->length = 0;
		wire_send(server, "N", 1);
		until(wire_read(server) > 0);
	}
	server->length = 0;
	wire_welcome(server);
}

static void expect_greeting(void)
{
	until(wire_read(client) > 100);
	wire_expect(client, "RSSSSSSSKZ");
}

START_TEST(the_next_address_is_tried_at_once)
{
	begin_dns("server_tls_sslmode = disable", "");
	host_down(0);
	enter();
	serve_tcp(1);
	expect_greeting();
	ck_assert(wire_logged("cannot use this address: connect to 127.0.0.2"));
	end_dns();
}
END_TEST

START_TEST(a_silent_address_is_left_for_the_next_after_server_connect_timeout)
{
	begin_dns("server_connect_timeout = 8\nserver_tls_sslmode = disable", "");
	enter();
	until((server = wire_accept_at(hosts[0])) != NULL);
	wire_advance(SECONDS(8) - 1);
	wire_expect_open(server);
	wire_advance(1);
	until(wire_is_closed(server));
	server = NULL;
	until((server = wire_accept_at(hosts[1])) != NULL);
	until(wire_servers(SERVER_PLACE_LOGIN) == 1 && wire_read(server) > 0);
	wire_advance(SECONDS(8) - 1); /* as much time as the first */
	wire_expect_open(server);
	wire_read(server);
	server->length = 0;
	wire_welcome(server);
	expect_greeting();
	end_dns();
}
END_TEST

START_TEST(an_address_that_is_starting_up_is_left_for_the_next)
{
	begin_dns("server_tls_sslmode = disable", "");
	enter();
	until((server = wire_accept_at(hosts[0])) != NULL);
	until(wire_read(server) > 0);
	wire_error(server, "FATAL", "57P03", "the database system is starting up");
	serve_tcp(1);
	expect_greeting();
	end_dns();
}
END_TEST

START_TEST(half_a_login_is_not_carried_to_the_next_address)
{
	begin_dns("server_tls_sslmode = disable", "");
	enter();
	until((server = wire_accept_at(hosts[0])) != NULL);
	until(wire_read(server) > 0);
	wire_send(server, "R\0\0\0\x08\0\0\0\0S\0\0\0\x10tru", 16);
	wire_hang_up(server);
	serve_tcp(1);
	expect_greeting();
	end_dns();
}
END_TEST

START_TEST(an_address_that_fails_before_or_in_tls_is_left_for_the_next)
{
	/* the answer to SSLRequest: none, what is no answer, what is no handshake */
	static const char *const answers[] = {"", "x", "Snonsense"};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		begin_dns("server_tls_sslmode = prefer", "");
		enter();
		until((server = wire_accept_at(hosts[0])) != NULL);
		until(wire_read(server) == 8);
		wire_send(server, answers[i], strlen(answers[i]) ? 1 : 0);
		if (answers[i][0] == 'S') {
			until(wire_read(server) > 100); /* ClientHello */
			wire_send(server, answers[i] + 1, strlen(answers[i] + 1));
		}
		if (!*answers[i])
			wire_hang_up(server);
		else
			until(wire_is_closed(server));
		serve_tcp(1);
		expect_greeting();
		ck_assert(wire_logged("cannot use this address: "));
		end_dns();
	}
}
END_TEST

START_TEST(a_server_that_is_lost_in_its_connect_query_is_not_begun_anew)
{
	begin_dns("server_tls_sslmode = disable\nserver_login_retry = 5",
		  "connect_query='SELECT 7'");
	enter();
	serve_tcp(0);
	until(wire_read(server) > 0);
	wire_expect(server, "Q");
	expect_greeting();
	wire_hang_up(server);
	until(wire_logged("the server closed the connection during login"));
	ck_assert_ptr_null(wire_accept_at(hosts[1]));
	wire_query(client, "SELECT 1");
	wire_advance(SECONDS(5));
	serve_tcp(1);
	end_dns();
}
END_TEST

START_TEST(each_connection_begins_with_the_next_address)
{
	begin_dns("default_pool_size = 4\nserver_tls_sslmode = disable", "");
	enter();
	serve_tcp(0);
	expect_greeting();
	wire_query(client, "SELECT 1");
	for (int i = 1; i < 4; i++) {
		client = wire_client();
		wire_query(client, "SELECT 1");
		serve_tcp(i % 2);
	}
	end_dns();
}
END_TEST

START_TEST(servers_at_addresses_that_are_gone_retire_when_they_are_free)
{
	begin_dns("default_pool_size = 2\nserver_tls_sslmode = disable", "");
	struct wire_peer *busy, *idle, *first;
	enter();
	serve_tcp(0);
	expect_greeting();
	idle = server;
	first = client;
	wire_query(first, "BEGIN");
	until(wire_read(idle) > 0);
	wire_expect(idle, "Q");
	wire_answer(idle, "BEGIN", 'T');
	until(wire_read(first) > 0);
	wire_expect(first, "CZ");
	client = wire_client();
	wire_query(client, "SELECT 1");
	serve_tcp(1);
	busy = idle; /* at 127.0.0.2, in a transaction */
	idle = server;
	until(wire_read(idle) > 0);
	wire_expect(idle, "Q");
	wire_answer(idle, "SELECT 1", 'I');
	until(wire_servers(SERVER_PLACE_IDLE) == 1);
	/* another order, and one more: nobody is touched */
	dns.v4[0] = "127.0.0.3";
	dns.v4[1] = "127.0.0.2";
	dns.v4[2] = "127.0.0.4";
	wire_advance(SECONDS(15));
	until(dns.asked_v4 == 2);
	wire_expect_pool("active 2 / idle 1, active 1");
	/* only 127.0.0.4 is left */
	dns.v4[0] = "127.0.0.4";
	dns.v4[1] = NULL;
	wire_advance(SECONDS(15));
	until(wire_is_closed(idle));
	ck_assert(wire_logged("closing because: obsolete connection"));
	wire_expect_open(busy);
	wire_query(first, "COMMIT");
	until(wire_read(busy) > 0);
	wire_expect(busy, "Q");
	wire_answer(busy, "COMMIT", 'I');
	until(wire_read(first) > 0);
	wire_expect(first, "CZ");
	until(wire_is_closed(busy));
	wire_query(first, "SELECT 2");
	serve_tcp(2);
	until(wire_read(server) > 0);
	wire_expect(server, "Q");
	end_dns();
}
END_TEST

START_TEST(a_login_at_an_address_that_is_gone_begins_anew)
{
	begin_dns("server_tls_sslmode = disable", "");
	dns.v4[1] = NULL;
	dns.ttl = 5;
	enter();
	until((server = wire_accept_at(hosts[0])) != NULL);
	dns.v4[0] = "127.0.0.3";
	wire_advance(SECONDS(5));
	until(wire_is_closed(server));
	serve_tcp(1);
	expect_greeting();
	end_dns();
}
END_TEST

START_TEST(a_host_without_addresses_is_followed_by_the_next)
{
	begin_dns("server_tls_sslmode = disable", "host=nobody.test,127.0.0.3");
	dns.code = 3;
	enter();
	serve_tcp(1);
	expect_greeting();
	ck_assert(wire_logged("could not translate host name \"nobody.test\""));
	end_dns();
}
END_TEST

START_TEST(without_servers_nobody_asks_for_names)
{
	begin_dns("server_tls_sslmode = disable\nserver_idle_timeout = 20", "");
	enter();
	serve_tcp(0);
	expect_greeting();
	wire_hang_up(client);
	wire_advance(SECONDS(20));
	until(wire_is_closed(server));
	unsigned asked = dns.asked_v4;
	for (int i = 0; i < 20; i++)
		wire_advance(SECONDS(20));
	ck_assert_uint_eq(dns.asked_v4, asked);
	end_dns();
}
END_TEST

Suite *suite_hosts(void)
{
	Suite *suite = suite_create("hosts");
	TCase *list = tcase_create("list");
	tcase_set_timeout(list, 20);
	tcase_add_test(list, a_host_that_refuses_is_followed_by_the_next_at_once);
	tcase_add_test(list, when_all_hosts_refuse_there_is_a_pause);
	tcase_add_test(list, a_host_that_is_starting_up_is_followed_by_the_next_at_once);
	tcase_add_test(list, a_host_that_hangs_up_during_the_login_is_followed_by_the_next);
	tcase_add_test(list, a_silent_host_is_followed_by_the_next_after_server_connect_timeout);
	tcase_add_test(list, what_a_host_says_of_the_login_is_not_asked_of_the_next);
	tcase_add_test(list, round_robin_uses_each_host_in_its_turn);
	tcase_add_test(list, without_balance_all_connections_go_to_one_host);
	suite_add_tcase(suite, list);
	TCase *addresses = tcase_create("addresses");
	tcase_set_timeout(addresses, 20);
	tcase_add_test(addresses, the_next_address_is_tried_at_once);
	tcase_add_test(addresses,
		       a_silent_address_is_left_for_the_next_after_server_connect_timeout);
	tcase_add_test(addresses, an_address_that_is_starting_up_is_left_for_the_next);
	tcase_add_test(addresses, half_a_login_is_not_carried_to_the_next_address);
	tcase_add_test(addresses, an_address_that_fails_before_or_in_tls_is_left_for_the_next);
	tcase_add_test(addresses, a_server_that_is_lost_in_its_connect_query_is_not_begun_anew);
	tcase_add_test(addresses, each_connection_begins_with_the_next_address);
	tcase_add_test(addresses, servers_at_addresses_that_are_gone_retire_when_they_are_free);
	tcase_add_test(addresses, a_login_at_an_address_that_is_gone_begins_anew);
	tcase_add_test(addresses, a_host_without_addresses_is_followed_by_the_next);
	tcase_add_test(addresses, without_servers_nobody_asks_for_names);
	suite_add_tcase(suite, addresses);
	return suite;
}
