/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/stream.h"
#include "core/error.h"
#include "core/list.h"
#include "core/loop.h"
#include "helpers.h"
#include "net/socket.h"
#include "suites.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 1 << 20, CAP = 1 << 22 };

/* One end is a stream, the other a plain blocking descriptor. */
static struct {
	struct stream stream;
	int far;
	char got[4096];
	size_t got_size;
	int readable, drained, connected, connect_error;
	enum io last_read;
	bool reads; /* what is readable is read */
	void (*on_drained)(void);
	void (*on_readable)(void);
} end;

static void readable(struct stream *stream)
{
	size_t got;
	end.readable++;
	if (end.on_readable)
		end.on_readable();
	if (!end.reads || stream->fd < 0)
		return;
	end.last_read =
		stream_read(stream, end.got + end.got_size, sizeof end.got - end.got_size, &got);
	end.got_size += got;
	if (end.last_read == IO_EOF || end.last_read == IO_ERROR)
		stream_pause(stream);
}

static void drained(struct stream *stream)
{
	ck_assert(stream == &end.stream);
	ck_assert(!stream_is_blocked(stream));
	end.drained++;
	if (end.on_drained)
		end.on_drained();
}

static void connected(struct stream *stream, int error_number)
{
	ck_assert(stream == &end.stream);
	end.connected++;
	end.connect_error = error_number;
}

static const struct stream_events events = {
	.readable = readable, .drained = drained, .connected = connected};

static void open_end(void)
{
	int pair[2], small = 4096;
	helpers_open();
	memset(&end, 0, sizeof end);
	end.reads = true;
	end.stream.fd = -1;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	end.far = pair[1];
	stream_open(&end.stream, pair[0], &events);
}

static void close_end(void)
{
	stream_close(&end.stream);
	if (end.far >= 0)
		close(end.far);
	helpers_close();
}

static uint8_t *pattern(size_t size)
{
	uint8_t *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return bytes;
}

/* Read @size bytes at the far end, turning the loop meanwhile, and hold them against the pattern.
 */
static void expect_pattern(const uint8_t *expected, size_t size)
{
	uint8_t *bytes = malloc(size);
	size_t got = 0;
	for (int turns = 0; got < size; turns++) {
		ssize_t some = recv(end.far, bytes + got, size - got, MSG_DONTWAIT);
		if (some > 0)
			got += (size_t)some;
		else
			loop_turn(10);
		ck_assert_int_lt(turns, 100000);
	}
	ck_assert(memcmp(bytes, expected, size) == 0);
	helpers_settle();
	ck_assert_int_eq(recv(end.far, bytes, 1, MSG_DONTWAIT), -1); /* and no byte more */
	free(bytes);
}

static void expect_text(const char *text)
{
	char bytes[256] = "";
	ssize_t size = recv(end.far, bytes, sizeof bytes, MSG_DONTWAIT);
	ck_assert_int_eq(size, (ssize_t)strlen(text));
	ck_assert_mem_eq(bytes, text, (size_t)size);
}

/* Write until the socket takes no more; returns how much was written. */
static size_t block(const uint8_t *bytes)
{
	enum io io = stream_write_bytes(&end.stream, bytes, LARGE, CAP);
	ck_assert_int_eq(io, IO_AGAIN);
	ck_assert(stream_is_blocked(&end.stream));
	return LARGE;
}

static int watched(void)
{
	return edge_events(&end.stream.watcher);
}

START_TEST(what_arrives_is_read_with_its_size)
{
	ck_assert_int_eq(write(end.far, "hello", 5), 5);
	helpers_settle();
	ck_assert_int_eq(end.readable, 1);
	ck_assert_int_eq(end.last_read, IO_DONE);
	ck_assert_uint_eq(end.got_size, 5);
	ck_assert_mem_eq(end.got, "hello", 5);
}
END_TEST

START_TEST(reading_when_nothing_is_there_is_no_error)
{
	size_t got = 99;
	char bytes[10];
	ck_assert_int_eq(stream_read(&end.stream, bytes, sizeof bytes, &got), IO_AGAIN);
	ck_assert_uint_eq(got, 0);
	helpers_settle();
	ck_assert_int_eq(end.readable, 0);
}
END_TEST

START_TEST(the_end_of_the_far_side_is_eof_behind_its_last_bytes)
{
	ck_assert_int_eq(write(end.far, "bye", 3), 3);
	close(end.far);
	end.far = -1;
	helpers_settle();
	ck_assert_int_eq(end.readable, 2);
	ck_assert_mem_eq(end.got, "bye", 3);
	ck_assert_int_eq(end.last_read, IO_EOF);
}
END_TEST

START_TEST(a_small_write_is_done_at_once_and_watches_nothing)
{
	ck_assert_int_eq(stream_write_bytes(&end.stream, "abc", 3, 0), IO_DONE);
	ck_assert(!stream_is_blocked(&end.stream));
	ck_assert_int_eq(watched(), EDGE_READ);
	expect_text("abc");
	helpers_settle();
	ck_assert_int_eq(end.drained, 0);
}
END_TEST

START_TEST(an_empty_write_is_done)
{
	struct iovec none[2] = {{.iov_base = NULL}, {.iov_base = NULL}};
	ck_assert_int_eq(stream_write_bytes(&end.stream, "", 0, 10), IO_DONE);
	ck_assert_int_eq(stream_write(&end.stream, none, 2, 10), IO_DONE);
	ck_assert_int_eq(stream_write(&end.stream, none, 0, 10), IO_DONE);
	ck_assert(!stream_is_blocked(&end.stream));
}
END_TEST

START_TEST(pieces_leave_in_their_order)
{
	struct iovec pieces[STREAM_PIECES_MAX];
	char expected[STREAM_PIECES_MAX + 1] = "";
	for (int i = 0; i < STREAM_PIECES_MAX; i++) {
		expected[i] = (char)('0' + i);
		pieces[i] = (struct iovec){.iov_base = &expected[i], .iov_len = 1};
	}
	ck_assert_int_eq(stream_write(&end.stream, pieces, STREAM_PIECES_MAX, 0), IO_DONE);
	expect_text(expected);
}
END_TEST

START_TEST(what_does_not_fit_is_queued_and_follows_when_there_is_room)
{
	uint8_t *bytes = pattern(LARGE);
	block(bytes);
	ck_assert_int_eq(watched(), EDGE_READ | EDGE_WRITE);
	ck_assert_uint_lt(buffer_length(end.stream.out), LARGE);
	expect_pattern(bytes, LARGE);
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	ck_assert(!stream_is_blocked(&end.stream));
	ck_assert_int_eq(watched(), EDGE_READ);
	free(bytes);
}
END_TEST

START_TEST(pieces_cut_anywhere_arrive_whole)
{
	uint8_t *bytes = pattern(LARGE);
	size_t at = 0;
	struct iovec pieces[STREAM_PIECES_MAX];
	/* Sizes that let the socket's limit fall inside, and between, pieces. */
	for (int round = 0; round < 3; round++) {
		size_t step = round == 0 ? 1 : round == 1 ? 333 : 4096;
		for (int i = 0; i < STREAM_PIECES_MAX; i++, at += step)
			pieces[i] = (struct iovec){.iov_base = bytes + at, .iov_len = step};
		ck_assert_int_ne(stream_write(&end.stream, pieces, STREAM_PIECES_MAX, CAP),
				 IO_ERROR);
	}
	ck_assert(stream_is_blocked(&end.stream));
	expect_pattern(bytes, at);
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	free(bytes);
}
END_TEST

START_TEST(writes_behind_a_blocked_one_keep_their_order)
{
	uint8_t *bytes = pattern(LARGE + 1000);
	block(bytes);
	struct iovec pieces[2] = {{.iov_base = bytes + LARGE + 300, .iov_len = 300},
				  {.iov_base = bytes + LARGE + 600, .iov_len = 400}};
	ck_assert_int_eq(stream_write_bytes(&end.stream, bytes + LARGE, 300, CAP), IO_AGAIN);
	ck_assert_int_eq(stream_write(&end.stream, pieces, 2, CAP), IO_AGAIN);
	ck_assert_int_eq(stream_flush(&end.stream), IO_AGAIN);
	expect_pattern(bytes, LARGE + 1000);
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	free(bytes);
}
END_TEST

START_TEST(the_cap_bounds_the_queue_and_ends_the_stream)
{
	uint8_t *bytes = pattern(LARGE);
	ck_assert_int_eq(stream_write_bytes(&end.stream, bytes, LARGE, 1000), IO_ERROR);
	ck_assert_int_eq(errno, ENOBUFS);
	ck_assert(!stream_is_blocked(&end.stream));
	/* Nobody can go on in the middle of a message. */
	ck_assert_int_eq(stream_write_bytes(&end.stream, "x", 1, 1000), IO_ERROR);
	ck_assert_int_eq(errno, EPIPE);
	helpers_settle();
	ck_assert_int_eq(end.last_read, IO_EOF);
	free(bytes);
}
END_TEST

START_TEST(the_cap_counts_what_is_queued_already)
{
	uint8_t *bytes = pattern(LARGE);
	block(bytes);
	size_t queued = buffer_length(end.stream.out);
	ck_assert_int_eq(stream_write_bytes(&end.stream, bytes, 100, queued + 100), IO_AGAIN);
	ck_assert_uint_eq(buffer_length(end.stream.out), queued + 100);
	ck_assert_int_eq(stream_write_bytes(&end.stream, bytes, 1, queued + 100), IO_ERROR);
	ck_assert_int_eq(errno, ENOBUFS);
	free(bytes);
}
END_TEST

START_TEST(queued_bytes_leave_before_those_of_the_next_write)
{
	ck_assert(stream_queue(&end.stream, "one ", 4, 100));
	ck_assert(stream_queue(&end.stream, "two ", 4, 100));
	ck_assert_int_eq(watched(), EDGE_READ);
	ck_assert_int_eq(stream_write_bytes(&end.stream, "three", 5, 100), IO_DONE);
	ck_assert(!stream_is_blocked(&end.stream));
	expect_text("one two three");
	helpers_settle();
	ck_assert_int_eq(end.drained, 0);
}
END_TEST

START_TEST(queued_bytes_leave_with_a_flush)
{
	ck_assert_int_eq(stream_flush(&end.stream), IO_DONE);
	ck_assert(stream_queue(&end.stream, "all", 3, 100));
	ck_assert_int_eq(stream_flush(&end.stream), IO_DONE);
	ck_assert_int_eq(watched(), EDGE_READ);
	expect_text("all");
}
END_TEST

START_TEST(queued_bytes_leave_with_an_empty_write)
{
	ck_assert(stream_queue(&end.stream, "all", 3, 100));
	ck_assert_int_eq(stream_write(&end.stream, NULL, 0, 100), IO_DONE);
	expect_text("all");
}
END_TEST

START_TEST(a_queue_larger_than_the_socket_is_cut_and_goes_on)
{
	uint8_t *bytes = pattern(LARGE + 10);
	ck_assert(stream_queue(&end.stream, bytes, LARGE, CAP));
	ck_assert_int_eq(stream_write_bytes(&end.stream, bytes + LARGE, 10, CAP), IO_AGAIN);
	ck_assert_int_eq(watched(), EDGE_READ | EDGE_WRITE);
	expect_pattern(bytes, LARGE + 10);
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	ck_assert(stream_queue(&end.stream, bytes, LARGE, CAP));
	ck_assert_int_eq(stream_flush(&end.stream), IO_AGAIN);
	expect_pattern(bytes, LARGE);
	helpers_settle();
	ck_assert_int_eq(end.drained, 2);
	ck_assert(stream_queue(&end.stream, bytes, LARGE, CAP));
	ck_assert_int_eq(stream_write(&end.stream, NULL, 0, CAP), IO_AGAIN);
	expect_pattern(bytes, LARGE);
	helpers_settle();
	ck_assert_int_eq(end.drained, 3);
	free(bytes);
}
END_TEST

START_TEST(a_queue_refuses_more_than_its_cap_and_keeps_what_it_has)
{
	ck_assert(stream_queue(&end.stream, "12345", 5, 5));
	ck_assert(!stream_queue(&end.stream, "6", 1, 5));
	ck_assert_int_eq(stream_flush(&end.stream), IO_DONE);
	expect_text("12345");
	stream_close(&end.stream);
	ck_assert(!stream_queue(&end.stream, "x", 1, 5));
	ck_assert(!stream_is_blocked(&end.stream));
}
END_TEST

START_TEST(a_paused_stream_is_not_read_until_it_is_resumed)
{
	stream_pause(&end.stream);
	stream_pause(&end.stream);
	ck_assert_int_eq(watched(), 0);
	ck_assert_int_eq(write(end.far, "later", 5), 5);
	helpers_settle();
	ck_assert_int_eq(end.readable, 0);
	stream_resume(&end.stream);
	stream_resume(&end.stream);
	helpers_settle();
	ck_assert_int_eq(end.readable, 1);
	ck_assert_mem_eq(end.got, "later", 5);
}
END_TEST

START_TEST(a_paused_stream_goes_on_writing)
{
	uint8_t *bytes = pattern(LARGE);
	stream_pause(&end.stream);
	block(bytes);
	ck_assert_int_eq(watched(), EDGE_WRITE);
	ck_assert_int_eq(write(end.far, "later", 5), 5);
	expect_pattern(bytes, LARGE);
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	ck_assert_int_eq(end.readable, 0);
	ck_assert_int_eq(watched(), 0);
	free(bytes);
}
END_TEST

START_TEST(pausing_and_resuming_keep_a_blocked_write_going)
{
	uint8_t *bytes = pattern(LARGE);
	block(bytes);
	stream_pause(&end.stream);
	ck_assert_int_eq(watched(), EDGE_WRITE);
	stream_resume(&end.stream);
	ck_assert_int_eq(watched(), EDGE_READ | EDGE_WRITE);
	expect_pattern(bytes, LARGE);
	helpers_until(end.drained == 1);
	free(bytes);
}
END_TEST

START_TEST(a_hangup_of_a_paused_stream_does_not_spin)
{
	stream_pause(&end.stream);
	close(end.far);
	end.far = -1;
	for (int i = 0; i < 10; i++)
		ck_assert(!loop_turn(0));
	stream_resume(&end.stream);
	helpers_settle();
	ck_assert_int_eq(end.last_read, IO_EOF);
}
END_TEST

START_TEST(a_hangup_of_a_blocked_paused_stream_does_not_spin)
{
	uint8_t *bytes = pattern(LARGE);
	stream_pause(&end.stream);
	block(bytes);
	close(end.far);
	end.far = -1;
	helpers_settle();
	ck_assert_int_eq(end.drained, 1); /* the owner goes on and learns it */
	ck_assert_int_eq(watched(), 0);
	ck_assert_int_eq(stream_write_bytes(&end.stream, "x", 1, 10), IO_ERROR);
	ck_assert_int_eq(errno, EPIPE);
	free(bytes);
}
END_TEST

START_TEST(a_write_to_who_is_gone_is_an_error_without_a_signal)
{
	close(end.far);
	end.far = -1;
	ck_assert_int_eq(stream_write_bytes(&end.stream, "x", 1, 10), IO_ERROR);
	ck_assert_int_eq(errno, EPIPE);
	struct iovec pieces[2] = {{.iov_base = (char[]){"x"}, .iov_len = 1},
				  {.iov_base = (char[]){"y"}, .iov_len = 1}};
	ck_assert_int_eq(stream_write(&end.stream, pieces, 2, 10), IO_ERROR);
	ck_assert(stream_queue(&end.stream, "z", 1, 10));
	ck_assert_int_eq(stream_flush(&end.stream), IO_ERROR);
	ck_assert(!stream_is_blocked(&end.stream));
	helpers_settle();
	ck_assert_int_eq(end.last_read, IO_EOF);
}
END_TEST

START_TEST(last_words_can_be_read_after_a_failed_write)
{
	ck_assert_int_eq(write(end.far, "FATAL", 5), 5);
	close(end.far);
	end.far = -1;
	ck_assert_int_eq(stream_write_bytes(&end.stream, "x", 1, 10), IO_ERROR);
	helpers_settle();
	ck_assert_uint_eq(end.got_size, 5);
	ck_assert_mem_eq(end.got, "FATAL", 5);
	ck_assert_int_eq(end.last_read, IO_EOF);
}
END_TEST

START_TEST(closing_stops_all_events_and_drops_the_queue)
{
	uint8_t *bytes = pattern(LARGE);
	block(bytes);
	ck_assert_int_eq(write(end.far, "x", 1), 1);
	stream_close(&end.stream);
	stream_close(&end.stream);
	ck_assert_int_eq(end.stream.fd, -1);
	ck_assert(!stream_is_blocked(&end.stream));
	stream_pause(&end.stream);
	stream_resume(&end.stream);
	stream_shutdown(&end.stream);
	ck_assert_int_eq(stream_flush(&end.stream), IO_DONE);
	helpers_settle();
	ck_assert_int_eq(end.readable, 0);
	ck_assert_int_eq(end.drained, 0);
	free(bytes);
}
END_TEST

static void close_it(void)
{
	stream_close(&end.stream);
}

static void pause_it(void)
{
	stream_pause(&end.stream);
}

/* Both events in one turn: room again, and bytes. */
static void make_both_ready(void)
{
	uint8_t *bytes = pattern(LARGE);
	ck_assert_int_eq(stream_write_bytes(&end.stream, bytes, 20000, CAP), IO_AGAIN);
	while (stream_is_blocked(&end.stream) && end.drained == 0) {
		char sink[65536];
		ck_assert_int_gt(recv(end.far, sink, sizeof sink, MSG_DONTWAIT), 0);
		if (buffer_length(end.stream.out) < 4096) {
			ck_assert_int_eq(write(end.far, "x", 1), 1);
			loop_turn(0);
			break;
		}
		loop_turn(0);
	}
	free(bytes);
}

START_TEST(an_owner_may_close_when_drained_though_bytes_are_there)
{
	end.on_drained = close_it;
	make_both_ready();
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	ck_assert_int_eq(end.readable, 0);
}
END_TEST

START_TEST(an_owner_may_pause_when_drained_though_bytes_are_there)
{
	end.on_drained = pause_it;
	make_both_ready();
	helpers_settle();
	ck_assert_int_eq(end.drained, 1);
	ck_assert_int_eq(end.readable, 0);
}
END_TEST

START_TEST(an_owner_may_close_when_readable)
{
	end.on_readable = close_it;
	ck_assert_int_eq(write(end.far, "x", 1), 1);
	helpers_settle();
	ck_assert_int_eq(end.readable, 1);
	ck_assert_int_eq(end.stream.fd, -1);
}
END_TEST

START_TEST(shutdown_says_fin_and_reading_goes_on)
{
	char byte;
	stream_shutdown(&end.stream);
	ck_assert_int_eq(recv(end.far, &byte, 1, 0), 0);
	ck_assert_int_eq(write(end.far, "still", 5), 5);
	helpers_settle();
	ck_assert_mem_eq(end.got, "still", 5);
}
END_TEST

/* --- connecting --- */

static int start_connecting(uint16_t port)
{
	static const struct socket_options plain;
	struct address address;
	struct sockaddr_storage sockaddr;
	struct error error;
	socklen_t length;
	bool in_progress;
	address_parse("127.0.0.1", port, &address);
	address_to_sockaddr(&address, &sockaddr, &length);
	stream_close(&end.stream);
	return socket_connect((struct sockaddr *)&sockaddr, length, &plain, &in_progress, &error);
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

START_TEST(a_connecting_stream_tells_when_it_is_connected_then_reads)
{
	uint16_t port = helpers_free_port();
	int listening = listen_on(port);
	stream_open_connecting(&end.stream, start_connecting(port), &events);
	ck_assert_int_eq(watched(), EDGE_WRITE);
	helpers_until(end.connected);
	ck_assert_int_eq(end.connect_error, 0);
	ck_assert(!end.stream.connecting);
	ck_assert_int_eq(watched(), EDGE_READ);
	int accepted = accept(listening, NULL, NULL);
	ck_assert_int_eq(write(accepted, "hi", 2), 2);
	helpers_until(end.got_size == 2);
	ck_assert_int_eq(end.connected, 1);
	close(accepted);
	close(listening);
}
END_TEST

START_TEST(what_is_written_while_connecting_follows)
{
	uint16_t port = helpers_free_port();
	int listening = listen_on(port);
	stream_open_connecting(&end.stream, start_connecting(port), &events);
	ck_assert_int_eq(stream_write_bytes(&end.stream, "early ", 6, 100), IO_AGAIN);
	ck_assert(stream_queue(&end.stream, "bird", 4, 100));
	ck_assert_int_eq(stream_write_bytes(&end.stream, "", 0, 100), IO_AGAIN);
	ck_assert_int_eq(stream_flush(&end.stream), IO_AGAIN);
	stream_pause(&end.stream);
	stream_resume(&end.stream);
	helpers_until(end.drained);
	ck_assert_int_eq(end.connected, 1);
	char bytes[20] = "";
	int accepted = accept(listening, NULL, NULL);
	ck_assert_int_eq(recv(accepted, bytes, sizeof bytes, 0), 10);
	ck_assert_str_eq(bytes, "early bird");
	close(accepted);
	close(listening);
}
END_TEST

START_TEST(a_refused_connection_is_told_once_and_does_not_spin)
{
	int fd = start_connecting(helpers_free_port());
	if (fd < 0) /* told at once */
		return;
	stream_open_connecting(&end.stream, fd, &events);
	helpers_until(end.connected);
	ck_assert_int_eq(end.connect_error, ECONNREFUSED);
	helpers_settle();
	ck_assert_int_eq(end.connected, 1);
	ck_assert_int_eq(end.readable, 0);
	for (int i = 0; i < 10; i++)
		ck_assert(!loop_turn(0));
}
END_TEST

START_TEST(a_reset_is_an_error_or_eof_and_never_a_spin)
{
	uint16_t port = helpers_free_port();
	int listening = listen_on(port);
	struct linger hard = {.l_onoff = 1};
	stream_open_connecting(&end.stream, start_connecting(port), &events);
	helpers_until(end.connected);
	int accepted = accept(listening, NULL, NULL);
	setsockopt(accepted, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(accepted);
	helpers_until(end.readable);
	ck_assert_int_eq(end.last_read, IO_ERROR);
	ck_assert(stream_write_bytes(&end.stream, "x", 1, 10) == IO_ERROR);
	helpers_settle();
	close(listening);
}
END_TEST

Suite *suite_stream(void)
{
	Suite *suite = suite_create("stream");
	TCase *tcase = tcase_create("stream");
	tcase_add_checked_fixture(tcase, open_end, close_end);
	tcase_add_test(tcase, what_arrives_is_read_with_its_size);
	tcase_add_test(tcase, reading_when_nothing_is_there_is_no_error);
	tcase_add_test(tcase, the_end_of_the_far_side_is_eof_behind_its_last_bytes);
	tcase_add_test(tcase, a_small_write_is_done_at_once_and_watches_nothing);
	tcase_add_test(tcase, an_empty_write_is_done);
	tcase_add_test(tcase, pieces_leave_in_their_order);
	tcase_add_test(tcase, what_does_not_fit_is_queued_and_follows_when_there_is_room);
	tcase_add_test(tcase, pieces_cut_anywhere_arrive_whole);
	tcase_add_test(tcase, writes_behind_a_blocked_one_keep_their_order);
	tcase_add_test(tcase, the_cap_bounds_the_queue_and_ends_the_stream);
	tcase_add_test(tcase, the_cap_counts_what_is_queued_already);
	tcase_add_test(tcase, queued_bytes_leave_before_those_of_the_next_write);
	tcase_add_test(tcase, queued_bytes_leave_with_a_flush);
	tcase_add_test(tcase, queued_bytes_leave_with_an_empty_write);
	tcase_add_test(tcase, a_queue_larger_than_the_socket_is_cut_and_goes_on);
	tcase_add_test(tcase, a_queue_refuses_more_than_its_cap_and_keeps_what_it_has);
	tcase_add_test(tcase, a_paused_stream_is_not_read_until_it_is_resumed);
	tcase_add_test(tcase, a_paused_stream_goes_on_writing);
	tcase_add_test(tcase, pausing_and_resuming_keep_a_blocked_write_going);
	tcase_add_test(tcase, a_hangup_of_a_paused_stream_does_not_spin);
	tcase_add_test(tcase, a_hangup_of_a_blocked_paused_stream_does_not_spin);
	tcase_add_test(tcase, a_write_to_who_is_gone_is_an_error_without_a_signal);
	tcase_add_test(tcase, last_words_can_be_read_after_a_failed_write);
	tcase_add_test(tcase, closing_stops_all_events_and_drops_the_queue);
	tcase_add_test(tcase, an_owner_may_close_when_drained_though_bytes_are_there);
	tcase_add_test(tcase, an_owner_may_pause_when_drained_though_bytes_are_there);
	tcase_add_test(tcase, an_owner_may_close_when_readable);
	tcase_add_test(tcase, shutdown_says_fin_and_reading_goes_on);
	tcase_add_test(tcase, a_connecting_stream_tells_when_it_is_connected_then_reads);
	tcase_add_test(tcase, what_is_written_while_connecting_follows);
	tcase_add_test(tcase, a_refused_connection_is_told_once_and_does_not_spin);
	tcase_add_test(tcase, a_reset_is_an_error_or_eof_and_never_a_spin);
	suite_add_tcase(suite, tcase);
	return suite;
}
