/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/socket.h"
#include "core/error.h"
#include "core/loop.h"
#include "helpers.h"
#include "suites.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct socket_options plain;

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;
	ck_assert_int_eq(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

static int connect_to(uint16_t port, const struct socket_options *options, bool *in_progress,
		      struct error *error)
{
	struct address address;
	struct sockaddr_storage sockaddr;
	socklen_t length;
	address_parse("127.0.0.1", port, &address);
	address_to_sockaddr(&address, &sockaddr, &length);
	return socket_connect((struct sockaddr *)&sockaddr, length, options, in_progress, error);
}

static void wait_writable(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLOUT};
	ck_assert_int_eq(poll(&one, 1, 5000), 1);
}

START_TEST(a_connection_is_nonblocking_closed_on_exec_and_tuned)
{
	struct socket_options options = {.keepalive = true,
					 .keepalive_idle = 11,
					 .keepalive_interval = 12,
					 .keepalive_count = 3,
					 .user_timeout = 4567,
					 .buffer_size = 65536};
	uint16_t port = helpers_free_port();
	int listening = listen_on(port);
	struct error error;
	bool in_progress;
	int fd = connect_to(port, &options, &in_progress, &error);
	ck_assert_msg(fd >= 0, "%s", error.message);
	wait_writable(fd);
	ck_assert_int_eq(socket_connect_result(fd), 0);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 11);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 12);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 4567);
	ck_assert_int_ge(option(fd, SOL_SOCKET, SO_SNDBUF), 65536);
	close(fd);
	close(listening);
}
END_TEST

START_TEST(untuned_sockets_keep_the_systems_defaults)
{
	uint16_t port = helpers_free_port();
	int listening = listen_on(port), fresh = socket(AF_INET, SOCK_STREAM, 0);
	struct error error;
	bool in_progress;
	int fd = connect_to(port, &plain, &in_progress, &error);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE),
			 option(fresh, IPPROTO_TCP, TCP_KEEPIDLE));
	close(fresh);
	close(fd);
	close(listening);
}
END_TEST

START_TEST(both_ends_of_a_connection_are_known)
{
	uint16_t port = helpers_free_port();
	int listening = listen_on(port);
	struct error error;
	struct address local, remote, far;
	char text[ADDRESS_TEXT], expected[ADDRESS_TEXT];
	bool in_progress;
	int fd = connect_to(port, &plain, &in_progress, &error);
	wait_writable(fd);
	int accepted = accept(listening, NULL, NULL);
	ck_assert(socket_remote(fd, &remote));
	ck_assert(socket_local(fd, &local));
	ck_assert(socket_remote(accepted, &far));
	snprintf(expected, sizeof expected, "127.0.0.1:%u", port);
	ck_assert_str_eq(address_print(&remote, text), expected);
	ck_assert_uint_eq(local.port, far.port);
	ck_assert(address_is_equal(&local, &far));
	close(accepted);
	close(fd);
	close(listening);
	ck_assert(!socket_remote(listening, &remote));
	ck_assert(!socket_local(listening, &remote));
}
END_TEST

START_TEST(a_unix_peer_is_known_by_process_and_user)
{
	int pair[2];
	struct address remote, local;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert(socket_remote(pair[0], &remote));
	ck_assert(socket_local(pair[0], &local));
	ck_assert_uint_eq(remote.family, AF_UNIX);
	ck_assert_int_eq(remote.unix_peer.pid, getpid());
	ck_assert_uint_eq(remote.unix_peer.uid, geteuid());
	ck_assert_int_eq(local.unix_peer.pid, getpid());
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(a_refused_connection_says_where_and_why)
{
	struct error error;
	bool in_progress;
	uint16_t port = helpers_free_port();
	int fd = connect_to(port, &plain, &in_progress, &error);
	if (fd < 0) { /* refused at once */
		char expected[200];
		snprintf(expected, sizeof expected,
			 "connect to 127.0.0.1:%u failed: Connection refused", port);
		ck_assert_str_eq(error.message, expected);
		return;
	}
	ck_assert(in_progress);
	wait_writable(fd);
	ck_assert_int_eq(socket_connect_result(fd), ECONNREFUSED);
	close(fd);
}
END_TEST

static void unix_fails(const char *path, const char *message)
{
	struct sockaddr_un sockaddr;
	struct error error;
	socklen_t length;
	bool in_progress;
	ck_assert(address_unix_sockaddr(path, &sockaddr, &length));
	ck_assert_int_eq(
		socket_connect((struct sockaddr *)&sockaddr, length, &plain, &in_progress, &error),
		-1);
	ck_assert_str_eq(error.message, message);
	ck_assert_str_eq(error.sqlstate, "08006");
}

START_TEST(an_absent_unix_socket_is_named_in_the_error)
{
	unix_fails("/nonexistent/.s.PGSQL.1",
		   "connect to unix:/nonexistent/.s.PGSQL.1 failed: No such file or directory");
	unix_fails("@pgweir-absent/.s.PGSQL.1",
		   "connect to unix:@pgweir-absent/.s.PGSQL.1 failed: Connection refused");
}
END_TEST

START_TEST(running_out_of_descriptors_is_an_error_not_an_end)
{
	struct rlimit before, none;
	struct error error;
	bool in_progress;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	int free_fd = dup(0);
	close(free_fd);
	none = before;
	none.rlim_cur = (rlim_t)free_fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	int fd = connect_to(5432, &plain, &in_progress, &error);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_str_eq(error.sqlstate, "58000");
	ck_assert_str_eq(error.message, "could not make a socket: Too many open files");
}
END_TEST

Suite *suite_socket(void)
{
	Suite *suite = suite_create("socket");
	TCase *tcase = tcase_create("socket");
	tcase_add_checked_fixture(tcase, helpers_open, helpers_close);
	tcase_add_test(tcase, a_connection_is_nonblocking_closed_on_exec_and_tuned);
	tcase_add_test(tcase, untuned_sockets_keep_the_systems_defaults);
	tcase_add_test(tcase, both_ends_of_a_connection_are_known);
	tcase_add_test(tcase, a_unix_peer_is_known_by_process_and_user);
	tcase_add_test(tcase, a_refused_connection_says_where_and_why);
	tcase_add_test(tcase, an_absent_unix_socket_is_named_in_the_error);
	tcase_add_test(tcase, running_out_of_descriptors_is_an_error_not_an_end);
	suite_add_tcase(suite, tcase);
	return suite;
}
