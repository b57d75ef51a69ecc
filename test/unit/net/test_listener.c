/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/listener.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/loop.h"
#include "helpers.h"
#include "suites.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 200 };

static struct {
	int fds[MOST], count;
	struct address remote, local; /* of the last one */
	void (*then)(void);
} taken;

static uint16_t port;
static struct listener_options options;
static struct error error;

static void take(int fd, const struct address *remote, const struct address *local)
{
	ck_assert_int_lt(taken.count, MOST);
	taken.fds[taken.count++] = fd;
	taken.remote = *remote;
	taken.local = *local;
	if (taken.then)
		taken.then();
}

static void set_up(void)
{
	helpers_open();
	memset(&taken, 0, sizeof taken);
	port = helpers_free_port();
	options = (struct listener_options){
		.addresses = "127.0.0.1",
		.port = port,
		.backlog = 128,
		.unix_directory = "",
		.unix_mode = 0777,
		.unix_group = "",
	};
}

static void drop_taken(void)
{
	while (taken.count > 0)
		close(taken.fds[--taken.count]);
}

static void tear_down(void)
{
	drop_taken();
	listener_close();
	helpers_close();
}

static void must_open(void)
{
	ck_assert_msg(listener_open(&options, take, &error), "%s", error.message);
}

static void must_fail(const char *message)
{
	int before = helpers_open_files();
	ck_assert(!listener_open(&options, take, &error));
	ck_assert_str_eq(error.message, message);
	ck_assert_int_eq(helpers_open_files(), before);
	ck_assert_uint_eq(helpers_log_count("listening on"), 0);
}

static const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *text(const char *format, ...)
{
	static char out[2][600];
	static int which;
	va_list arguments;
	which = !which;
	va_start(arguments, format);
	vsnprintf(out[which], sizeof out[which], format, arguments);
	va_end(arguments);
	return out[which];
}

static const char *unix_path(void)
{
	return helpers_path(text(".s.PGSQL.%u", port));
}

static void use_unix_only(void)
{
	options.addresses = "";
	options.unix_directory = helpers_directory;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;
	ck_assert_int_eq(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
	if (fd >= 0)
		close(fd);
	return has;
}

/* --- TCP --- */

START_TEST(an_accepted_connection_is_tuned_and_both_ends_are_known)
{
	char printed[ADDRESS_TEXT];
	options.socket = (struct socket_options){.keepalive = true, .keepalive_idle = 77};
	must_open();
	ck_assert_str_eq(helpers_log(), text("LOG listening on 127.0.0.1:%u\n", port));
	int client = helpers_connect("127.0.0.1", port);
	struct address near;
	socket_local(client, &near);
	helpers_until(taken.count == 1);
	ck_assert_str_eq(address_print(&taken.local, printed), text("127.0.0.1:%u", port));
	ck_assert(address_is_equal(&taken.remote, &near));
	ck_assert_uint_eq(taken.remote.port, near.port);
	int fd = taken.fds[0];
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	helpers_settle(); /* nobody else is there: it is not called again */
	close(client);
}
END_TEST

START_TEST(retuning_is_for_connections_accepted_from_then_on)
{
	must_open();
	int first = helpers_connect("127.0.0.1", port);
	helpers_until(taken.count == 1);
	listener_retune(&(struct socket_options){.keepalive = true});
	int second = helpers_connect("127.0.0.1", port);
	helpers_until(taken.count == 2);
	ck_assert_int_eq(option(taken.fds[0], SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option(taken.fds[1], SOL_SOCKET, SO_KEEPALIVE), 1);
	close(first);
	close(second);
}
END_TEST

START_TEST(a_star_listens_on_all_addresses_of_both_families)
{
	char printed[ADDRESS_TEXT];
	options.addresses = "*";
	must_open();
	ck_assert_uint_eq(helpers_log_count(text("listening on 0.0.0.0:%u\n", port)), 1);
	int client = helpers_connect("127.0.0.1", port);
	helpers_until(taken.count == 1);
	ck_assert_str_eq(address_print(&taken.local, printed), text("127.0.0.1:%u", port));
	close(client);
	if (!has_ipv6())
		return;
	ck_assert_uint_eq(helpers_log_count(text("listening on [::]:%u\n", port)), 1);
	client = helpers_connect("::1", port);
	helpers_until(taken.count == 2);
	ck_assert_str_eq(address_print(&taken.local, printed), text("[::1]:%u", port));
	ck_assert_str_eq(address_host(&taken.remote, printed), "::1");
	close(client);
}
END_TEST

START_TEST(several_addresses_may_be_named)
{
	options.addresses = has_ipv6() ? " 127.0.0.1 , ::1,127.0.0.2" : "127.0.0.1,127.0.0.2";
	must_open();
	ck_assert_uint_eq(helpers_log_count("listening on"), has_ipv6() ? 3 : 2);
	int client = helpers_connect("127.0.0.2", port);
	helpers_until(taken.count == 1);
	close(client);
}
END_TEST

START_TEST(an_address_that_is_covered_already_is_opened_once)
{
	options.addresses = "127.0.0.1, localhost, 127.0.0.1";
	must_open();
	ck_assert_uint_eq(helpers_log_count(text("listening on 127.0.0.1:%u\n", port)), 1);
	listener_close();
	options.addresses = "*, 127.0.0.1, ::1";
	must_open();
	ck_assert_uint_eq(helpers_log_count(text("listening on 127.0.0.1:%u\n", port)), 1);
}
END_TEST

START_TEST(a_name_that_is_none_is_an_error)
{
	options.addresses = "127.0.0.1,no such name";
	ck_assert(!listener_open(&options, take, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "cannot listen on \"no such name\": "));
	ck_assert_int_eq(helpers_connect("127.0.0.1", port), -1);
}
END_TEST

START_TEST(a_port_in_use_is_an_error_that_helps)
{
	struct listener_options first = options;
	ck_assert(listener_open(&first, take, &error));
	listener_close_tcp(); /* so that the log is all that is left of it */
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;
	setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ck_assert_int_eq(bind(other, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(listen(other, 1), 0);
	ck_assert(!listener_open(&options, take, &error));
	ck_assert_str_eq(error.message,
			 text("cannot listen on 127.0.0.1:%u: Address already in use", port));
	ck_assert_ptr_nonnull(strstr(error.hint, "choose another port"));
	ck_assert_str_eq(error.sqlstate, "58000");
	close(other);
}
END_TEST

START_TEST(nothing_is_left_open_when_one_of_several_fails)
{
	options.addresses = "127.0.0.1,192.0.2.254";
	options.unix_directory = helpers_directory;
	must_fail(text("cannot listen on 192.0.2.254:%u: Cannot assign requested address", port));
	ck_assert_int_eq(helpers_connect("127.0.0.1", port), -1);
	options.addresses = "127.0.0.1";
	options.unix_directory = "/nonexistent";
	must_fail(text("cannot listen on unix:/nonexistent/.s.PGSQL.%u: No such file or directory",
		       port));
	ck_assert_int_eq(helpers_connect("127.0.0.1", port), -1);
}
END_TEST

START_TEST(nowhere_to_listen_is_an_error)
{
	options.addresses = "";
	must_fail("nowhere to listen on");
	options.addresses = "127.0.0.1";
	options.port = 0;
	must_fail("nowhere to listen on");
}
END_TEST

START_TEST(two_processes_may_share_a_port_when_both_say_so)
{
	options.reuseport = true;
	must_open();
	struct listener_options same = options;
	ck_assert_msg(listener_open(&same, take, &error), "%s", error.message);
	int client = helpers_connect("127.0.0.1", port);
	helpers_until(taken.count == 1);
	close(client);
}
END_TEST

START_TEST(a_deferred_connection_comes_with_its_first_bytes)
{
	options.defer_accept = 5;
	must_open();
	int client = helpers_connect("127.0.0.1", port);
	ck_assert_int_eq(write(client, "x", 1), 1);
	helpers_until(taken.count == 1);
	close(client);
}
END_TEST

START_TEST(a_burst_is_taken_in_bounded_slices)
{
	int clients[100];
	must_open();
	for (int i = 0; i < 100; i++)
		clients[i] = helpers_connect("127.0.0.1", port);
	loop_turn(100);
	ck_assert_int_eq(taken.count, 64);
	helpers_until(taken.count == 100);
	for (int i = 0; i < 100; i++)
		close(clients[i]);
}
END_TEST

START_TEST(a_listener_may_be_closed_by_whom_it_gave_a_connection)
{
	int clients[3];
	must_open();
	taken.then = listener_close_tcp;
	for (int i = 0; i < 3; i++)
		clients[i] = helpers_connect("127.0.0.1", port);
	helpers_settle();
	ck_assert_int_eq(taken.count, 1);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	ck_assert_int_eq(helpers_connect("127.0.0.1", port), -1);
}
END_TEST

START_TEST(running_out_of_descriptors_waits_says_so_once_and_recovers)
{
	struct rlimit before, none;
	options.unix_directory = helpers_directory;
	must_open();
	int client = helpers_connect("127.0.0.1", port), other = helpers_connect_unix(unix_path());
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	int free_fd = dup(0);
	close(free_fd);
	none = before;
	none.rlim_cur = (rlim_t)free_fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 5; i++) {
		helpers_settle(); /* it does not spin */
		ck_assert(!loop_turn(0));
		ck_assert_int_eq(loop_next_timer(), clock_now() + 250 * USEC_PER_MSEC);
		clock_advance(250 * USEC_PER_MSEC);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(taken.count, 0);
	ck_assert_uint_eq(helpers_log_count("WARNING"), 1);
	ck_assert_uint_eq(
		helpers_log_count("WARNING cannot accept connections: Too many open files"), 1);
	helpers_until(taken.count == 2);
	ck_assert_uint_eq(helpers_log_count("LOG accepting connections again\n"), 1);
	close(client);
	client = helpers_connect("127.0.0.1", port);
	helpers_until(taken.count == 3);
	ck_assert_uint_eq(helpers_log_count("accepting connections again\n"), 1);
	close(client);
	close(other);
}
END_TEST

START_TEST(at_the_edge_of_the_descriptors_it_is_said_once_a_minute)
{
	struct rlimit before, none;
	must_open();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (unsigned i = 0; i < 6; i++) {
		int client = helpers_connect("127.0.0.1", port), free_fd = dup(0);
		close(free_fd);
		none = before;
		none.rlim_cur = (rlim_t)free_fd;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
		helpers_settle();
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
		clock_advance(250 * USEC_PER_MSEC);
		helpers_until(taken.count == (int)i + 1);
		close(client);
		ck_assert_uint_eq(helpers_log_count("WARNING"), i < 5 ? 1 : 2);
		ck_assert_uint_eq(helpers_log_count("accepting connections again"), i < 5 ? 1 : 2);
		if (i == 4)
			clock_advance(60 * USEC_PER_SECOND);
	}
}
END_TEST

/* --- Unix --- */

START_TEST(a_unix_socket_is_named_after_the_port_and_knows_its_peer)
{
	char printed[ADDRESS_TEXT];
	use_unix_only();
	must_open();
	ck_assert_str_eq(helpers_log(), text("LOG listening on unix:%s\n", unix_path()));
	int client = helpers_connect_unix(unix_path());
	ck_assert_int_ge(client, 0);
	helpers_until(taken.count == 1);
	ck_assert_str_eq(address_print(&taken.remote, printed),
			 text("unix(%d):%u", (int)getpid(), port));
	ck_assert_uint_eq(taken.remote.unix_peer.uid, geteuid());
	ck_assert_uint_eq(taken.local.family, AF_UNIX);
	ck_assert_uint_eq(taken.local.port, port);
	ck_assert(fcntl(taken.fds[0], F_GETFL) & O_NONBLOCK);
	close(client);
}
END_TEST

START_TEST(a_unix_socket_has_exactly_the_mode_that_was_asked_for)
{
	static const int modes[] = {0777, 0700, 0660, 0600, 0222, 0};
	use_unix_only();
	umask(027);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		struct stat status;
		options.unix_mode = modes[i];
		must_open();
		ck_assert_int_eq(stat(unix_path(), &status), 0);
		ck_assert_int_eq(status.st_mode & 07777, modes[i]);
		listener_close();
	}
	mode_t kept = umask(0);
	ck_assert_int_eq(kept, 027);
}
END_TEST

START_TEST(a_unix_socket_is_given_to_a_group_by_name_or_number)
{
	struct stat status;
	struct group *own = getgrgid(getegid());
	use_unix_only();
	char number[20];
	snprintf(number, sizeof number, "%u", geteuid() == 0 ? 54321 : (unsigned)getegid());
	options.unix_group = number;
	must_open();
	ck_assert_int_eq(stat(unix_path(), &status), 0);
	ck_assert_uint_eq(status.st_gid, strtoul(number, NULL, 10));
	listener_close();
	if (!own)
		return;
	options.unix_group = own->gr_name;
	must_open();
	ck_assert_int_eq(stat(unix_path(), &status), 0);
	ck_assert_uint_eq(status.st_gid, getegid());
}
END_TEST

START_TEST(an_unknown_group_is_named_and_no_file_is_left)
{
	struct stat status;
	use_unix_only();
	options.unix_group = "no-such-group";
	must_fail("group \"no-such-group\" of the unix socket does not exist");
	ck_assert_int_eq(stat(unix_path(), &status), -1);
}
END_TEST

START_TEST(the_socket_of_a_dead_process_is_replaced)
{
	struct sockaddr_un sockaddr;
	socklen_t length;
	use_unix_only();
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert(address_unix_sockaddr(unix_path(), &sockaddr, &length));
	ck_assert_int_eq(bind(dead, (struct sockaddr *)&sockaddr, length), 0);
	ck_assert_int_eq(listen(dead, 1), 0);
	close(dead);
	must_open();
	int client = helpers_connect_unix(unix_path());
	helpers_until(taken.count == 1);
	close(client);
}
END_TEST

START_TEST(the_socket_of_a_living_process_is_refused_and_left_alone)
{
	struct sockaddr_un sockaddr;
	socklen_t length;
	use_unix_only();
	int alive = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(address_unix_sockaddr(unix_path(), &sockaddr, &length));
	ck_assert_int_eq(bind(alive, (struct sockaddr *)&sockaddr, length), 0);
	ck_assert_int_eq(listen(alive, 0), 0);
	must_fail("unix socket is in use, cannot continue");
	ck_assert_str_eq(error.detail, text("A process listens on \"%s\".", unix_path()));
	int clients[4];
	for (int i = 0; i < 4; i++) { /* its queue is full: it lives all the same */
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(clients[i], (struct sockaddr *)&sockaddr, length) < 0)
			ck_assert_int_eq(errno, EAGAIN);
	}
	must_fail("unix socket is in use, cannot continue");
	for (int i = 0; i < 4; i++)
		close(clients[i]);
	int client = accept(alive, NULL, NULL);
	ck_assert_int_ge(client, 0);
	close(client);
	close(alive);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_never_removed)
{
	struct stat status;
	use_unix_only();
	FILE *file = fopen(unix_path(), "w");
	ck_assert_ptr_nonnull(file);
	fclose(file);
	must_fail(text("cannot listen on unix:%s: File exists", unix_path()));
	ck_assert_int_eq(stat(unix_path(), &status), 0);
	ck_assert(S_ISREG(status.st_mode));
}
END_TEST

START_TEST(a_path_too_long_for_a_socket_is_an_error)
{
	char directory[200];
	memset(directory, 'd', sizeof directory);
	directory[0] = '/';
	directory[sizeof directory - 1] = '\0';
	use_unix_only();
	options.unix_directory = directory;
	must_fail(text(
		"the path of the unix socket is too long (at most 107 bytes): \"%s/.s.PGSQL.%u\"",
		directory, port));
}
END_TEST

START_TEST(closing_removes_our_file_but_not_our_successors)
{
	struct stat status;
	use_unix_only();
	must_open();
	listener_close();
	ck_assert_int_eq(stat(unix_path(), &status), -1);
	must_open();
	char moved[400];
	snprintf(moved, sizeof moved, "%s.old", unix_path());
	ck_assert_int_eq(rename(unix_path(), moved), 0);
	struct sockaddr_un sockaddr;
	socklen_t length;
	int successor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert(address_unix_sockaddr(unix_path(), &sockaddr, &length));
	ck_assert_int_eq(bind(successor, (struct sockaddr *)&sockaddr, length), 0);
	listener_close();
	ck_assert_int_eq(stat(unix_path(), &status), 0);
	close(successor);
}
END_TEST

START_TEST(closing_tcp_leaves_the_unix_socket)
{
	options.unix_directory = helpers_directory;
	must_open();
	listener_close_tcp();
	ck_assert_int_eq(helpers_connect("127.0.0.1", port), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	int client = helpers_connect_unix(unix_path());
	helpers_until(taken.count == 1);
	close(client);
}
END_TEST

START_TEST(an_abstract_socket_has_no_file_and_is_refused_twice)
{
	char directory[64];
	snprintf(directory, sizeof directory, "@pgweir-test-%d", (int)getpid());
	options.addresses = "";
	options.unix_directory = directory;
	must_open();
	const char *path = text("%s/.s.PGSQL.%u", directory, port);
	ck_assert_str_eq(helpers_log(), text("LOG listening on unix:%s\n", path));
	int client = helpers_connect_unix(text("%s/.s.PGSQL.%u", directory, port));
	ck_assert_int_ge(client, 0);
	helpers_until(taken.count == 1);
	ck_assert_uint_eq(taken.local.port, port);
	close(client);
	ck_assert(!listener_open(&options, take, &error));
	ck_assert_str_eq(error.message, "unix socket is in use, cannot continue");
}
END_TEST

/* --- inherited --- */

START_TEST(an_inherited_tcp_socket_is_adopted)
{
	static const struct socket_options plain;
	char printed[ADDRESS_TEXT];
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t length = sizeof any;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &length), 0);
	port = ntohs(any.sin_port);
	ck_assert_msg(listener_adopt(fd, &plain, take, &error), "%s", error.message);
	ck_assert_str_eq(helpers_log(), text("LOG listening on 0.0.0.0:%u\n", port));
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	int client = helpers_connect("127.0.0.1", port);
	helpers_until(taken.count == 1);
	ck_assert_str_eq(address_print(&taken.local, printed), text("127.0.0.1:%u", port));
	close(client);
}
END_TEST

START_TEST(an_inherited_unix_socket_is_adopted_and_its_file_left)
{
	static const struct socket_options plain;
	struct sockaddr_un sockaddr;
	struct stat status;
	socklen_t length;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert(address_unix_sockaddr(helpers_path(".s.PGSQL.7777"), &sockaddr, &length));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sockaddr, length), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_msg(listener_adopt(fd, &plain, take, &error), "%s", error.message);
	ck_assert_str_eq(helpers_log(),
			 text("LOG listening on unix:%s\n", helpers_path(".s.PGSQL.7777")));
	int client = helpers_connect_unix(helpers_path(".s.PGSQL.7777"));
	helpers_until(taken.count == 1);
	ck_assert_uint_eq(taken.local.port, 7777);
	ck_assert_uint_eq(taken.remote.port, 7777);
	close(client);
	listener_close();
	ck_assert_int_eq(stat(helpers_path(".s.PGSQL.7777"), &status), 0);
}
END_TEST

/* Descriptors in the epoll sets of this process, those included that were closed but are held. */
static unsigned watched(void)
{
	unsigned count = 0;
	char path[64], line[200];
	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
		FILE *file = fopen(path, "r");
		while (file && fgets(line, sizeof line, file))
			count += strncmp(line, "tfd:", 4) == 0;
		if (file)
			fclose(file);
	}
	return count;
}

/* systemd keeps what it hands to us. */
START_TEST(an_inherited_socket_that_its_giver_holds_is_heard_until_it_is_closed)
{
	static const struct socket_options plain;
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t length = sizeof any;
	int fd = socket(AF_INET, SOCK_STREAM, 0), clients[3];
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &length), 0);
	int held = dup(fd);
	unsigned before = watched();
	clients[0] = helpers_connect("127.0.0.1", ntohs(any.sin_port)); /* waits already */
	ck_assert_msg(listener_adopt(fd, &plain, take, &error), "%s", error.message);
	helpers_until(taken.count == 1);
	clients[1] = helpers_connect("127.0.0.1", ntohs(any.sin_port));
	helpers_until(taken.count == 2);
	listener_close();
	ck_assert_uint_eq(watched(), before);
	helpers_settle();
	clients[2] = helpers_connect("127.0.0.1", ntohs(any.sin_port));
	ck_assert_int_ge(clients[2], 0);
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(taken.count, 2);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(held);
}
END_TEST

START_TEST(what_does_not_listen_is_not_adopted_and_not_closed)
{
	static const struct socket_options plain;
	int pair[2];
	int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(pipe(pair), 0);
	const int fds[] = {stream, datagram, pair[0], pair[1]};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
		ck_assert(!listener_adopt(fds[i], &plain, take, &error));
		ck_assert_str_eq(
			error.message,
			text("inherited descriptor %d is no listening stream socket", fds[i]));
		ck_assert_int_eq(close(fds[i]), 0);
	}
	ck_assert(!listener_adopt(999, &plain, take, &error));
}
END_TEST

Suite *suite_listener(void)
{
	Suite *suite = suite_create("listener");
	TCase *tcase = tcase_create("listener");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, an_accepted_connection_is_tuned_and_both_ends_are_known);
	tcase_add_test(tcase, retuning_is_for_connections_accepted_from_then_on);
	tcase_add_test(tcase, a_star_listens_on_all_addresses_of_both_families);
	tcase_add_test(tcase, several_addresses_may_be_named);
	tcase_add_test(tcase, an_address_that_is_covered_already_is_opened_once);
	tcase_add_test(tcase, a_name_that_is_none_is_an_error);
	tcase_add_test(tcase, a_port_in_use_is_an_error_that_helps);
	tcase_add_test(tcase, nothing_is_left_open_when_one_of_several_fails);
	tcase_add_test(tcase, nowhere_to_listen_is_an_error);
	tcase_add_test(tcase, two_processes_may_share_a_port_when_both_say_so);
	tcase_add_test(tcase, a_deferred_connection_comes_with_its_first_bytes);
	tcase_add_test(tcase, a_burst_is_taken_in_bounded_slices);
	tcase_add_test(tcase, a_listener_may_be_closed_by_whom_it_gave_a_connection);
	tcase_add_test(tcase, running_out_of_descriptors_waits_says_so_once_and_recovers);
	tcase_add_test(tcase, at_the_edge_of_the_descriptors_it_is_said_once_a_minute);
	tcase_add_test(tcase, a_unix_socket_is_named_after_the_port_and_knows_its_peer);
	tcase_add_test(tcase, a_unix_socket_has_exactly_the_mode_that_was_asked_for);
	tcase_add_test(tcase, a_unix_socket_is_given_to_a_group_by_name_or_number);
	tcase_add_test(tcase, an_unknown_group_is_named_and_no_file_is_left);
	tcase_add_test(tcase, the_socket_of_a_dead_process_is_replaced);
	tcase_add_test(tcase, the_socket_of_a_living_process_is_refused_and_left_alone);
	tcase_add_test(tcase, a_file_that_is_no_socket_is_never_removed);
	tcase_add_test(tcase, a_path_too_long_for_a_socket_is_an_error);
	tcase_add_test(tcase, closing_removes_our_file_but_not_our_successors);
	tcase_add_test(tcase, closing_tcp_leaves_the_unix_socket);
	tcase_add_test(tcase, an_abstract_socket_has_no_file_and_is_refused_twice);
	tcase_add_test(tcase, an_inherited_tcp_socket_is_adopted);
	tcase_add_test(tcase, an_inherited_unix_socket_is_adopted_and_its_file_left);
	tcase_add_test(tcase, an_inherited_socket_that_its_giver_holds_is_heard_until_it_is_closed);
	tcase_add_test(tcase, what_does_not_listen_is_not_adopted_and_not_closed);
	suite_add_tcase(suite, tcase);
	return suite;
}
