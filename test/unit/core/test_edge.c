/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/edge.h"
#include "core/list.h"
#include "core/log.h"
#include "core/loop.h"
#include "suites.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One end is watched, the other is ours. */
struct end {
	struct edge edge;
	int fd, other;
	int reads, writes; /* calls for each */
	int place;	   /* of its last call, among those of all */
	size_t room;	   /* what is read at once; 0: nothing is */
	ssize_t received;  /* by the last read */
	char got[64];
	size_t got_size;
	void (*on_call)(struct end *end);
};

static struct end one, two;
static int calls; /* of all */

static void called(struct edge *edge, int events)
{
	struct end *end = container_of(edge, struct end, edge);
	ck_assert_int_ne(events, 0);
	ck_assert_int_eq(events & ~(EDGE_READ | EDGE_WRITE), 0);
	end->place = ++calls;
	end->reads += (events & EDGE_READ) != 0;
	end->writes += (events & EDGE_WRITE) != 0;
	if (end->room > 0 && (events & EDGE_READ)) {
		end->received = recv(end->fd, end->got + end->got_size, end->room, 0);
		edge_received(edge, end->received, end->room);
		end->got_size += end->received > 0 ? (size_t)end->received : 0;
	}
	if (end->on_call)
		end->on_call(end);
}

static void open_end(struct end *end)
{
	int ends[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	memset(end, 0, sizeof *end);
	edge_init(&end->edge, called);
	end->fd = ends[0];
	end->other = ends[1];
}

static void close_end(struct end *end)
{
	edge_stop(&end->edge);
	close(end->fd);
	if (end->other >= 0)
		close(end->other);
}

static void open_both(void)
{
	calls = 0;
	clock_drive();
	loop_open();
	open_end(&one);
	open_end(&two);
}

static void close_both(void)
{
	close_end(&one);
	close_end(&two);
	loop_close();
}

static void say(const struct end *end, const char *text)
{
	ck_assert_int_eq(write(end->other, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(a_socket_is_ready_until_a_read_has_found_it_empty)
{
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert_int_eq(edge_events(&one.edge), EDGE_READ);
	ck_assert(!loop_turn(0));
	say(&one, "abcdef");
	ck_assert(loop_turn(0));
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.reads, 2); /* nobody has read */
	one.room = 2;
	for (int i = 0; i < 3; i++)
		ck_assert(loop_turn(0));
	ck_assert_mem_eq(one.got, "abcdef", 6);
	ck_assert(loop_turn(0)); /* nothing said so: it may have more */
	ck_assert_int_eq(one.received, -1);
	ck_assert(!loop_turn(0));
	say(&one, "g");
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 1); /* a short read: it was all */
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(one.reads, 7);
	ck_assert_int_eq(one.writes, 0);
}
END_TEST

START_TEST(what_arrives_behind_a_short_read_is_told)
{
	one.room = 8;
	edge_set(&one.edge, one.fd, EDGE_READ);
	for (int i = 0; i < 5; i++) {
		say(&one, "x");
		ck_assert(loop_turn(0));
		ck_assert_int_eq(one.received, 1);
	}
	ck_assert(!loop_turn(0));
}
END_TEST

START_TEST(the_end_stands_behind_the_last_bytes_and_stays)
{
	one.room = 8;
	edge_set(&one.edge, one.fd, EDGE_READ);
	say(&one, "bye");
	close(one.other);
	one.other = -1;
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 3);
	for (int i = 0; i < 3; i++) {
		ck_assert(loop_turn(0));
		ck_assert_int_eq(one.received, 0);
	}
	edge_set(&one.edge, one.fd, 0);
	ck_assert(!loop_turn(0));
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 0);
}
END_TEST

START_TEST(half_an_end_is_an_end_of_reading)
{
	one.room = 8;
	edge_set(&one.edge, one.fd, EDGE_READ);
	say(&one, "bye");
	shutdown(one.other, SHUT_WR);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 3);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 0);
	ck_assert_int_eq(send(one.fd, "still", 5, 0), 5);
}
END_TEST

START_TEST(what_came_while_nothing_was_watched_is_remembered)
{
	edge_set(&one.edge, one.fd, 0);
	ck_assert_int_eq(edge_events(&one.edge), 0);
	say(&one, "early");
	ck_assert(!loop_turn(0));
	ck_assert(!loop_turn(0));
	one.room = 8;
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert_int_eq(one.reads, 0); /* not from within */
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 5);
	/* Read without being called, while nothing was watched: then it is empty. */
	edge_set(&one.edge, one.fd, 0);
	say(&one, "more");
	ck_assert(!loop_turn(0));
	char bytes[8];
	edge_received(&one.edge, recv(one.fd, bytes, sizeof bytes, 0), sizeof bytes);
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(one.reads, 1);
	/* Off and on before the turn. */
	say(&one, "last");
	edge_set(&one.edge, one.fd, 0);
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.received, 4);
}
END_TEST

/* Until the socket takes no more. */
static void fill(struct end *end)
{
	static const char bytes[4096];
	ssize_t sent;
	do {
		sent = send(end->fd, bytes, sizeof bytes, 0);
		edge_sent(&end->edge, sent, sizeof bytes);
	} while (sent == sizeof bytes);
}

static void drain(const struct end *end)
{
	char bytes[4096];
	while (recv(end->other, bytes, sizeof bytes, 0) > 0)
		;
}

START_TEST(writing_is_told_while_there_is_room)
{
	edge_set(&one.edge, one.fd, EDGE_READ | EDGE_WRITE);
	ck_assert(loop_turn(0));
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.writes, 2);
	for (int i = 0; i < 2; i++) {
		one.writes = 0;
		one.on_call = fill;
		ck_assert(loop_turn(0));
		ck_assert(!loop_turn(0));
		ck_assert_int_eq(one.writes, 1);
		one.on_call = NULL;
		drain(&one);
		ck_assert(loop_turn(0));
		ck_assert_int_eq(one.writes, 2);
	}
	/* Watched no longer, then again: also while it is full. */
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert(!loop_turn(0));
	edge_set(&one.edge, one.fd, EDGE_WRITE);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.writes, 3);
	edge_set(&one.edge, one.fd, 0);
	fill(&one);
	edge_set(&one.edge, one.fd, EDGE_WRITE);
	ck_assert(!loop_turn(0));
	edge_set(&one.edge, one.fd, 0);
	drain(&one);
	edge_set(&one.edge, one.fd, EDGE_WRITE);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.writes, 4);
	ck_assert_int_eq(one.reads, 0);
}
END_TEST

/* The reader of a Unix socket wakes whoever waits to write. */
START_TEST(nobody_is_woken_for_writing_when_that_is_not_watched_any_more)
{
	edge_set(&one.edge, one.fd, EDGE_READ | EDGE_WRITE);
	ck_assert(loop_turn(0));
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert_int_eq(send(one.fd, "request", 7, 0), 7);
	drain(&one);
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(one.edge.ready, 0);
}
END_TEST

/* A read stops in front of urgent data, though more stands behind it. */
START_TEST(urgent_data_does_not_hide_what_follows)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	close_end(&one);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&address, &length), 0);
	one.other = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(one.other, (struct sockaddr *)&address, length), 0);
	one.fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	close(listening);
	say(&one, "ab");
	ck_assert_int_eq(send(one.other, "!", 1, MSG_OOB), 1);
	say(&one, "cd");
	one.room = 8;
	edge_set(&one.edge, one.fd, EDGE_READ);
	while (loop_turn(0))
		;
	ck_assert_uint_eq(one.got_size, 4);
	ck_assert_mem_eq(one.got, "abcd", 4);
}
END_TEST

START_TEST(both_are_told_at_once)
{
	edge_set(&one.edge, one.fd, EDGE_READ | EDGE_WRITE);
	say(&one, "x");
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.reads, 1);
	ck_assert_int_eq(one.writes, 1);
}
END_TEST

static void stop_all(struct end *end)
{
	(void)end;
	edge_stop(&one.edge);
	edge_stop(&two.edge);
}

START_TEST(a_stopped_socket_is_not_called_though_it_was_ready)
{
	one.on_call = two.on_call = stop_all;
	edge_set(&one.edge, one.fd, EDGE_WRITE);
	edge_set(&two.edge, two.fd, EDGE_WRITE);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.writes + two.writes, 1);
	ck_assert_int_eq(edge_events(&one.edge) | edge_events(&two.edge), 0);
	ck_assert(!loop_turn(0));
	/* Those that were put back for the next turn: the last, the first, the only one. */
	one.on_call = two.on_call = NULL;
	for (int round = 0; round < 2; round++) {
		edge_set(&one.edge, one.fd, EDGE_WRITE);
		edge_set(&two.edge, two.fd, EDGE_WRITE);
		ck_assert(loop_turn(0));
		one.writes = two.writes = 0;
		edge_stop(round == 0 ? &one.edge : &two.edge);
		ck_assert(loop_turn(0));
		ck_assert_int_eq(one.writes, round);
		ck_assert_int_eq(two.writes, 1 - round);
		edge_stop(&one.edge);
		edge_stop(&two.edge);
		ck_assert(!loop_turn(0));
	}
}
END_TEST

static struct end third;
static void stop_the_others(struct end *end)
{
	stop_all(end);
	third.on_call = NULL;
}

START_TEST(a_socket_in_the_middle_of_those_that_are_ready_can_be_stopped)
{
	open_end(&third);
	edge_set(&third.edge, third.fd, EDGE_WRITE);
	edge_set(&one.edge, one.fd, EDGE_WRITE);
	ck_assert(loop_turn(0));
	edge_set(&two.edge, two.fd, EDGE_WRITE);
	/* third and one are put back, two comes behind them */
	third.on_call = stop_the_others;
	third.writes = one.writes = 0;
	ck_assert(loop_turn(0));
	ck_assert_int_eq(one.writes + two.writes, 0);
	ck_assert(loop_turn(0));
	ck_assert_int_eq(third.writes, 2);
	close_end(&third);
}
END_TEST

START_TEST(a_number_that_comes_back_as_another_socket_is_watched)
{
	one.room = 8;
	for (int round = 0; round < 8; round++) {
		void (*stop)(struct edge * edge) = round < 4 ? edge_stop : edge_stop_for_close;
		edge_set(&one.edge, one.fd, EDGE_READ);
		if (round % 2 == 0)
			ck_assert(!loop_turn(0));
		say(&one, "x");
		ck_assert(loop_turn(0));
		ck_assert_int_eq(one.reads, round + 1);
		stop(&one.edge);
		stop(&one.edge);
		close(one.fd), close(one.other);
		int ends[2];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
		ck_assert_int_eq(ends[0], one.fd);
		one.other = ends[1];
	}
}
END_TEST

/* As a child that was started holds it. */
static void close_what_is_held(void stop(struct edge *edge))
{
	int held = dup(one.fd);
	edge_set(&one.edge, one.fd, EDGE_READ);
	stop(&one.edge);
	close(one.fd);
	one.edge.watched = EDGE_READ; /* it is another's memory now */
	say(&one, "x");
	ck_assert(!loop_turn(0));
	edge_init(&one.edge, called);
	one.fd = held;
}

START_TEST(nothing_is_told_of_a_closed_socket_that_a_child_still_holds)
{
	close_what_is_held(edge_stop);
	edge_expect_children();
	close_what_is_held(edge_stop_for_close);
}
END_TEST

static bool signal_came;
static void got_signal(int number)
{
	(void)number;
	signal_came = true;
}

enum { MANY = 400, OF_A_TURN = 128 };

START_TEST(a_turn_serves_some_of_very_many_and_the_next_turn_others)
{
	static struct end all[MANY];
	for (int i = 0; i < MANY; i++) {
		open_end(&all[i]);
		edge_set(&all[i].edge, all[i].fd, EDGE_WRITE); /* and nobody writes */
	}
	for (int turn = 1; turn <= 40; turn++) {
		ck_assert(loop_turn(0));
		ck_assert_int_eq(calls, turn * OF_A_TURN);
	}
	/* Some come later than others, for who is known to be ready goes first, but nobody starves.
	 */
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_ge(all[i].writes, 8);
		ck_assert_int_ge(all[i].place, calls - MANY);
		close_end(&all[i]);
	}
	ck_assert(!loop_turn(0));
}
END_TEST

/* While more is ready than a turn serves, signals and other descriptors come through. */
START_TEST(many_ready_sockets_do_not_starve_what_is_waited_for_beside_them)
{
	static struct end all[MANY];
	for (int i = 0; i < MANY; i++) {
		open_end(&all[i]);
		edge_set(&all[i].edge, all[i].fd, EDGE_WRITE);
	}
	for (int turn = 0; turn < 20; turn++)
		ck_assert(loop_turn(0));
	loop_on_signal(SIGUSR1, got_signal);
	for (int round = 0; round < 10; round++) {
		signal_came = false;
		raise(SIGUSR1);
		loop_turn(0);
		loop_turn(0);
		ck_assert(signal_came);
	}
	for (int i = 0; i < MANY; i++)
		close_end(&all[i]);
}
END_TEST

START_TEST(who_came_first_is_served_first)
{
	static struct end all[4];
	static const int order[] = {2, 0, 3, 1};
	for (int i = 0; i < 4; i++) {
		open_end(&all[i]);
		edge_set(&all[i].edge, all[i].fd, EDGE_READ);
	}
	for (int i = 0; i < 4; i++)
		say(&all[order[i]], "x");
	ck_assert(loop_turn(0));
	for (int i = 0; i + 1 < 4; i++)
		ck_assert_int_lt(all[order[i]].place, all[order[i + 1]].place);
	/* Who was put back for this turn came before who becomes ready in it. */
	say(&one, "x");
	edge_set(&one.edge, one.fd, EDGE_READ);
	ck_assert(loop_turn(0));
	ck_assert_int_lt(all[1].place, one.place);
	for (int i = 0; i < 4; i++)
		close_end(&all[i]);
}
END_TEST

START_TEST(an_end_is_told_before_what_else_came)
{
	edge_set(&one.edge, one.fd, EDGE_READ);
	edge_set(&two.edge, two.fd, EDGE_READ);
	say(&one, "x");
	close(two.other);
	two.other = -1;
	ck_assert(loop_turn(0));
	ck_assert_int_eq(two.place, 1);
	ck_assert_int_eq(one.place, 2);
}
END_TEST

START_TEST(a_turn_does_not_wait_while_a_socket_is_still_to_be_called)
{
	one.room = 2;
	edge_set(&one.edge, one.fd, EDGE_READ);
	say(&one, "abcd");
	for (int i = 0; i < 3; i++)
		ck_assert(loop_turn(60000));
	ck_assert_int_eq(one.reads, 3);
	ck_assert_int_eq(one.received, -1);
}
END_TEST

static void beside_event(struct loop_io *io, int events)
{
	char byte;
	(void)events;
	ck_assert_int_eq(recv(io->io.fd, &byte, 1, 0), 1);
	signal_came = true;
}

START_TEST(other_descriptors_and_signals_are_waited_for_beside_the_sockets)
{
	struct loop_io io;
	loop_on_signal(SIGUSR1, got_signal);
	loop_io_init(&io, beside_event);
	loop_io_set(&io, two.fd, LOOP_READ);
	edge_set(&one.edge, one.fd, EDGE_READ);
	for (int round = 0; round < 3; round++) {
		signal_came = false;
		raise(SIGUSR1);
		ck_assert(loop_turn(60000));
		ck_assert(signal_came);
		signal_came = false;
		say(&two, "x");
		ck_assert(loop_turn(60000));
		ck_assert(signal_came);
		one.room = 4;
		say(&one, "x");
		ck_assert(loop_turn(60000));
		ck_assert_int_eq(one.reads, round + 1);
	}
	loop_io_stop(&io);
}
END_TEST

START_TEST(libevs_descriptors_are_still_waited_for_when_it_has_made_its_set_anew)
{
	struct loop_io io;
	int held = dup(two.fd);
	loop_on_signal(SIGUSR1, got_signal);
	loop_io_init(&io, beside_event);
	loop_io_set(&io, two.fd, LOOP_READ);
	ck_assert(!loop_turn(0));
	/* A child has it, too, when it is closed: libev is told of it and cannot say that it does
	 * not want to be. */
	loop_io_stop(&io);
	close(two.fd);
	two.fd = held;
	say(&two, "x");
	for (int i = 0; i < 3; i++)
		loop_turn(0);
	signal_came = false;
	raise(SIGUSR1);
	ck_assert(loop_turn(60000));
	ck_assert(signal_came);
}
END_TEST

static usec_t time_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

START_TEST(a_child_that_holds_all_descriptors_does_not_keep_the_loop_awake)
{
	enum { TURNS = 3, WAIT_MSEC = 20, FDS = 64 };
	struct loop_io io;
	int held[FDS], count = 0;
	loop_io_init(&io, beside_event);
	loop_io_set(&io, two.fd, LOOP_READ);
	ck_assert(!loop_turn(0));
	for (int fd = 3; fd < FDS; fd++)
		held[count++] = dup(fd);
	loop_io_stop(&io);
	close(two.fd);
	two.fd = -1;
	say(&two, "x"); /* libev makes its set anew */
	for (int i = 0; i < 3; i++)
		loop_turn(0);
	usec_t began = time_now();
	for (int i = 0; i < TURNS; i++)
		ck_assert(!loop_turn(WAIT_MSEC));
	ck_assert_int_ge(time_now() - began, TURNS * (WAIT_MSEC - 1) * USEC_PER_MSEC);
	while (count > 0)
		close(held[--count]);
}
END_TEST

static char logged[200];
static void hear(enum log_level level, const char *line)
{
	if (level == LOG_LEVEL_WARNING)
		snprintf(logged, sizeof logged, "%s", line);
}

START_TEST(what_cannot_be_watched_is_said_and_ends)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	log_hook(hear);
	edge_set(&one.edge, file, EDGE_READ);
	log_hook(NULL);
	ck_assert_ptr_nonnull(strstr(
		logged, "WARNING could not watch a socket, closing it: Operation not permitted"));
	ck_assert(loop_turn(60000));
	ck_assert_int_eq(one.reads, 1);
	edge_stop(&one.edge);
	close(file);
}
END_TEST

Suite *suite_edge(void)
{
	Suite *suite = suite_create("edge");
	TCase *tcase = tcase_create("edge");
	tcase_add_checked_fixture(tcase, open_both, close_both);
	tcase_add_test(tcase, a_socket_is_ready_until_a_read_has_found_it_empty);
	tcase_add_test(tcase, what_arrives_behind_a_short_read_is_told);
	tcase_add_test(tcase, the_end_stands_behind_the_last_bytes_and_stays);
	tcase_add_test(tcase, half_an_end_is_an_end_of_reading);
	tcase_add_test(tcase, what_came_while_nothing_was_watched_is_remembered);
	tcase_add_test(tcase, writing_is_told_while_there_is_room);
	tcase_add_test(tcase, nobody_is_woken_for_writing_when_that_is_not_watched_any_more);
	tcase_add_test(tcase, urgent_data_does_not_hide_what_follows);
	tcase_add_test(tcase, both_are_told_at_once);
	tcase_add_test(tcase, a_stopped_socket_is_not_called_though_it_was_ready);
	tcase_add_test(tcase, a_socket_in_the_middle_of_those_that_are_ready_can_be_stopped);
	tcase_add_test(tcase, a_number_that_comes_back_as_another_socket_is_watched);
	tcase_add_test(tcase, nothing_is_told_of_a_closed_socket_that_a_child_still_holds);
	tcase_add_test(tcase, a_turn_serves_some_of_very_many_and_the_next_turn_others);
	tcase_add_test(tcase, many_ready_sockets_do_not_starve_what_is_waited_for_beside_them);
	tcase_add_test(tcase, who_came_first_is_served_first);
	tcase_add_test(tcase, an_end_is_told_before_what_else_came);
	tcase_add_test(tcase, a_turn_does_not_wait_while_a_socket_is_still_to_be_called);
	tcase_add_test(tcase, other_descriptors_and_signals_are_waited_for_beside_the_sockets);
	tcase_add_test(tcase,
		       libevs_descriptors_are_still_waited_for_when_it_has_made_its_set_anew);
	tcase_add_test(tcase, a_child_that_holds_all_descriptors_does_not_keep_the_loop_awake);
	tcase_add_test(tcase, what_cannot_be_watched_is_said_and_ends);
	suite_add_tcase(suite, tcase);
	return suite;
}
