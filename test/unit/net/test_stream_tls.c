/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/stream.h"
#include "certificates.h"
#include "core/error.h"
#include "core/list.h"
#include "core/loop.h"
#include "helpers.h"
#include "net/tls_session.h"
#include "suites.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CAP = 1 << 20, LARGE = 10 << 20 };

/* Both ends are streams, of one process and one loop. */
struct end {
	struct stream stream;
	struct tls_context *context;
	int secured, failed, readable, drained;
	struct error failure;
	enum io last_read;
	bool closes;	  /* when something happens */
	bool pauses;	  /* after each read */
	size_t read_size; /* how much room a read has; 0: it does not read */
	uint8_t *got;
	size_t got_size, got_room;
	size_t sent, to_send; /* of the pattern */
};

static struct end server, client;
static uint8_t *pattern;

static struct end *end_of(struct stream *stream)
{
	return container_of(stream, struct end, stream);
}

static void readable(struct stream *stream)
{
	struct end *end = end_of(stream);
	size_t got, room = end->got_room - end->got_size;
	end->readable++;
	if (end->read_size == 0)
		return;
	ck_assert_uint_gt(room, 0);
	end->last_read = stream_read(stream, end->got + end->got_size,
				     end->read_size < room ? end->read_size : room, &got);
	end->got_size += got;
	ck_assert_int_eq(end->last_read == IO_DONE, got > 0);
	if (end->closes)
		stream_close(stream);
	if (end->pauses || end->last_read == IO_EOF || end->last_read == IO_ERROR)
		stream_pause(stream);
}

static void send_more(struct end *end)
{
	while (end->sent < end->to_send && !stream_is_blocked(&end->stream)) {
		size_t size = end->to_send - end->sent;
		if (size > 100000)
			size = 100000;
		enum io io = stream_write_bytes(&end->stream, pattern + end->sent, size, CAP);
		ck_assert_int_ne(io, IO_ERROR);
		end->sent += size;
	}
}

static void drained(struct stream *stream)
{
	end_of(stream)->drained++;
	send_more(end_of(stream));
}

static void secured(struct stream *stream, const struct error *failure)
{
	struct end *end = end_of(stream);
	end->secured++;
	if (failure) {
		end->failed++;
		end->failure = *failure;
	}
	if (end->closes)
		stream_close(stream);
}

static const struct stream_events events = {
	.readable = readable, .drained = drained, .secured = secured};

static void open_end(struct end *end, int fd, const struct tls_options *options)
{
	struct error error;
	memset(end, 0, sizeof *end);
	end->context = tls_context_new(options, &error);
	ck_assert_msg(end->context != NULL, "%s", error.message);
	end->read_size = 65536;
	end->got_room = LARGE + 1;
	end->got = malloc(end->got_room);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	stream_open(&end->stream, fd, &events);
}

static void open_ends(void)
{
	int pair[2];
	helpers_open();
	certificates_make_usual();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct tls_options options = certificates_server();
	open_end(&server, pair[0], &options);
	options = certificates_client();
	open_end(&client, pair[1], &options);
	pattern = malloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		pattern[i] = (uint8_t)(i * 7 + i / 251);
}

static void close_end(struct end *end)
{
	stream_close(&end->stream);
	tls_context_free(&end->context);
	free(end->got);
}

static void close_ends(void)
{
	close_end(&server);
	close_end(&client);
	free(pattern);
	tls_session_release();
	certificates_close();
	helpers_close();
}

static void secure(void)
{
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	ck_assert_int_eq(server.secured + client.secured, 0); /* never at once */
	helpers_settle();
	ck_assert_msg(!client.failed, "client: %s", client.failure.message);
	ck_assert_msg(!server.failed, "server: %s", server.failure.message);
	ck_assert_int_eq(server.secured, 1);
	ck_assert_int_eq(client.secured, 1);
	server.readable = client.readable = 0;
}

static void write_text(struct end *end, const char *text)
{
	ck_assert_int_eq(stream_write_bytes(&end->stream, text, strlen(text), CAP), IO_DONE);
}

static void expect_text(const struct end *end, const char *text)
{
	ck_assert_uint_eq(end->got_size, strlen(text));
	ck_assert_mem_eq(end->got, text, strlen(text));
}

START_TEST(a_secured_stream_carries_text_both_ways)
{
	char text[100];
	secure();
	ck_assert_ptr_nonnull(stream_tls(&client.stream));
	tls_session_describe(stream_tls(&server.stream), text, sizeof text);
	ck_assert_str_eq(text, "TLSv1.3/TLS_AES_256_GCM_SHA384");
	write_text(&client, "question");
	helpers_settle();
	expect_text(&server, "question");
	write_text(&server, "answer");
	helpers_settle();
	expect_text(&client, "answer");
	ck_assert_int_eq(server.readable, 1);
}
END_TEST

START_TEST(bytes_that_were_read_already_begin_the_handshake)
{
	uint8_t hello[4096];
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	loop_turn(0);
	ssize_t size = recv(server.stream.fd, hello, sizeof hello, 0);
	ck_assert_int_gt(size, 5);
	stream_start_tls(&server.stream, server.context, NULL, hello, (size_t)size);
	helpers_settle();
	ck_assert_int_eq(server.secured, 1);
	ck_assert_int_eq(client.secured, 1);
	ck_assert_int_eq(server.failed + client.failed, 0);
}
END_TEST

START_TEST(what_was_queued_before_leaves_unencrypted_and_first)
{
	char byte;
	ck_assert(stream_queue(&server.stream, "S", 1, CAP));
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	ck_assert_int_eq(recv(client.stream.fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'S');
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	helpers_settle();
	ck_assert_int_eq(client.secured - client.failed, 1);
	ck_assert_int_eq(server.drained, 0);
}
END_TEST

START_TEST(nothing_is_written_during_the_handshake)
{
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	size_t got;
	char byte;
	ck_assert_int_eq(stream_write_bytes(&server.stream, "x", 1, CAP), IO_ERROR);
	ck_assert_int_eq(errno, ENOTCONN);
	ck_assert(!stream_queue(&server.stream, "x", 1, CAP));
	ck_assert_int_eq(stream_read(&server.stream, &byte, 1, &got), IO_AGAIN);
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	helpers_settle();
	ck_assert_int_eq(client.secured - client.failed, 1);
}
END_TEST

START_TEST(a_failure_is_one_sentence_on_both_sides)
{
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	stream_start_tls(&client.stream, client.context, "elsewhere", NULL, 0);
	helpers_settle();
	ck_assert_int_eq(client.failed, 1);
	ck_assert_str_eq(client.failure.message, "certificate verify failed: hostname mismatch");
	ck_assert_int_eq(server.failed, 1);
	ck_assert_str_eq(server.failure.message, "sslv3 alert bad certificate");
	ck_assert_int_eq(edge_events(&client.stream.watcher), 0);
}
END_TEST

START_TEST(a_session_that_cannot_begin_fails_in_the_next_turn)
{
	stream_start_tls(&client.stream, client.context, "", NULL, 0);
	ck_assert_int_eq(client.secured, 0);
	helpers_settle();
	ck_assert_int_eq(client.failed, 1);
	ck_assert_str_eq(client.failure.message,
			 "there is no host name to verify the server's certificate with");
}
END_TEST

START_TEST(bad_handshakes_fail_and_others_do_not_notice)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *reason;
	} rows[] = {
		{"GET / HTTP/1.0\r\n\r\n", 18, "http request"},
		{"\0\0\0\x08\x04\xd2\x16\x2f", 8, "wrong version number"},
		{"\x16\x03\x01\x00\x05\x01\x00\x00", 8,
		 "the connection was closed during the TLS handshake"},
		{"", 0, "the connection was closed during the TLS handshake"},
	};
	struct end victim;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int pair[2];
		struct tls_options options = certificates_server();
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		open_end(&victim, pair[0], &options);
		stream_start_tls(&victim.stream, victim.context, NULL, NULL, 0);
		if (rows[i].size)
			ck_assert_int_eq(write(pair[1], rows[i].bytes, rows[i].size),
					 (ssize_t)rows[i].size);
		shutdown(pair[1], SHUT_WR);
		helpers_settle();
		ck_assert_int_eq(victim.failed, 1);
		ck_assert_str_eq(victim.failure.message, rows[i].reason);
		close_end(&victim);
		close(pair[1]);
	}
	secure();
}
END_TEST

START_TEST(a_stream_may_be_closed_in_its_handshake)
{
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	loop_turn(0);
	stream_close(&client.stream);
	helpers_settle();
	ck_assert_int_eq(client.secured, 0);
	ck_assert_int_eq(server.failed, 1);
}
END_TEST

/* Move bytes between the ends of a connection one at a time. */
START_TEST(one_byte_at_a_time_is_enough)
{
	int near[2], far[2];
	uint8_t byte;
	struct tls_options options = certificates_server();
	close_end(&server);
	close_end(&client);
	socketpair(AF_UNIX, SOCK_STREAM, 0, near);
	socketpair(AF_UNIX, SOCK_STREAM, 0, far);
	open_end(&server, near[0], &options);
	options = certificates_client();
	open_end(&client, far[0], &options);
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	bool said = false;
	for (int idle = 0; idle < 20; idle++) {
		if (recv(near[1], &byte, 1, MSG_DONTWAIT) == 1 && send(far[1], &byte, 1, 0) == 1)
			idle = 0;
		if (recv(far[1], &byte, 1, MSG_DONTWAIT) == 1 && send(near[1], &byte, 1, 0) == 1)
			idle = 0;
		loop_turn(0);
		if (!said && server.secured && client.secured) {
			write_text(&server, "to the client");
			write_text(&client, "to the server");
			said = true;
		}
	}
	expect_text(&server, "to the server");
	expect_text(&client, "to the client");
	close(near[1]);
	close(far[1]);
}
END_TEST

static void send_large_both_ways(size_t read_size)
{
	secure();
	server.read_size = client.read_size = read_size;
	server.to_send = client.to_send = LARGE;
	send_more(&server);
	send_more(&client);
	for (int turns = 0; server.got_size < LARGE || client.got_size < LARGE; turns++) {
		ck_assert_int_lt(turns, 1000000);
		ck_assert_uint_le(buffer_length(client.stream.out), CAP);
		loop_turn(10);
	}
	helpers_settle();
	ck_assert_uint_eq(server.got_size, LARGE);
	ck_assert(memcmp(server.got, pattern, LARGE) == 0);
	ck_assert(memcmp(client.got, pattern, LARGE) == 0);
	ck_assert_int_gt(server.drained, 0); /* there was back-pressure */
}

START_TEST(ten_megabytes_pass_both_ways_at_once)
{
	send_large_both_ways(262144);
}
END_TEST

START_TEST(ten_megabytes_pass_with_small_reads)
{
	send_large_both_ways(5000);
}
END_TEST

START_TEST(pieces_of_all_sizes_arrive_in_their_order)
{
	static const size_t sizes[][6] = {
		{1, 2, 3, 4, 5, 6},	     {16384, 1, 16384, 1, 0, 0},
		{5, 70000, 5, 200000, 5, 0}, {16383, 1, 1, 16383, 16385, 9},
		{0, 0, 0, 0, 0, 1},	     {100000, 0, 0, 0, 0, 0},
	};
	secure();
	for (size_t row = 0; row < sizeof sizes / sizeof sizes[0]; row++) {
		struct iovec pieces[6];
		size_t total = 0;
		for (int i = 0; i < 6; i++) {
			pieces[i] = (struct iovec){pattern + total, sizes[row][i]};
			total += sizes[row][i];
		}
		server.got_size = 0;
		ck_assert_int_ne(stream_write(&client.stream, pieces, 6, CAP), IO_ERROR);
		helpers_settle();
		ck_assert_uint_eq(server.got_size, total);
		ck_assert(memcmp(server.got, pattern, total) == 0);
	}
}
END_TEST

START_TEST(small_pieces_leave_as_one_record_in_one_call)
{
	uint8_t bytes[4096];
	struct iovec pieces[3] = {{pattern, 10}, {pattern + 10, 20}, {pattern + 30, 30}};
	secure();
	stream_pause(&server.stream);
	ck_assert_int_eq(stream_write(&client.stream, pieces, 3, CAP), IO_DONE);
	ssize_t size = recv(server.stream.fd, bytes, sizeof bytes, MSG_DONTWAIT);
	ck_assert_int_eq(size, 5 + 60 + 1 + 16);
}
END_TEST

START_TEST(what_a_small_read_leaves_comes_without_the_socket)
{
	secure();
	server.read_size = 3;
	write_text(&client, "hello world");
	write_text(&client, "and more");
	helpers_settle();
	expect_text(&server, "hello worldand more");
	ck_assert_int_ge(server.readable, 7);
}
END_TEST

START_TEST(a_paused_stream_keeps_what_it_has_until_it_is_resumed)
{
	secure();
	server.read_size = 3;
	server.pauses = true;
	write_text(&client, "hello world");
	helpers_settle();
	expect_text(&server, "hel");
	server.pauses = false;
	stream_resume(&server.stream);
	server.read_size = 4;
	helpers_settle();
	expect_text(&server, "hello world");
	stream_pause(&server.stream);
	write_text(&client, "!");
	helpers_settle();
	expect_text(&server, "hello world");
	stream_resume(&server.stream);
	helpers_settle();
	expect_text(&server, "hello world!");
}
END_TEST

START_TEST(data_right_behind_the_handshake_is_not_lost)
{
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	helpers_until(client.secured);
	ck_assert_int_eq(server.secured, 0);
	stream_pause(&server.stream); /* takes effect afterwards */
	write_text(&client, "startup");
	helpers_settle();
	ck_assert_int_eq(server.secured, 1);
	expect_text(&server, "");
	stream_resume(&server.stream);
	helpers_settle();
	expect_text(&server, "startup");
}
END_TEST

START_TEST(queued_bytes_are_encrypted_and_leave_first)
{
	secure();
	ck_assert(stream_queue(&client.stream, "one ", 4, CAP));
	ck_assert(stream_queue(&client.stream, "two ", 4, CAP));
	helpers_settle();
	expect_text(&server, "");
	write_text(&client, "three");
	helpers_settle();
	expect_text(&server, "one two three");
	ck_assert(stream_queue(&client.stream, " four", 5, CAP));
	ck_assert_int_eq(stream_flush(&client.stream), IO_DONE);
	helpers_settle();
	expect_text(&server, "one two three four");
}
END_TEST

START_TEST(the_cap_bounds_what_is_queued)
{
	enum io io = IO_DONE;
	secure();
	server.read_size = 0;
	stream_pause(&server.stream);
	for (int i = 0; i < 200 && io != IO_ERROR; i++)
		io = stream_write_bytes(&client.stream, pattern, 100000, CAP);
	ck_assert_int_eq(io, IO_ERROR);
	ck_assert_int_eq(errno, ENOBUFS);
}
END_TEST

START_TEST(a_refused_queue_does_not_harm_the_stream)
{
	secure();
	ck_assert(!stream_queue(&client.stream, pattern, 100000, 1000));
	ck_assert(stream_queue(&client.stream, "fits", 4, 1000));
	ck_assert_int_eq(stream_flush(&client.stream), IO_DONE);
	helpers_settle();
	expect_text(&server, "fits");
}
END_TEST

START_TEST(a_peer_that_wants_to_negotiate_again_fills_nothing)
{
	struct tls_options options = certificates_client();
	options.protocols = "tlsv1.2";
	tls_context_free(&client.context);
	client.context = tls_context_new(&options, &client.failure);
	secure();
	SSL *ssl = tls_session_ssl(stream_tls(&client.stream));
	SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
	stream_pause(&client.stream);
	for (int i = 0; i < 3; i++) {
		SSL_renegotiate(ssl);
		stream_write_bytes(&client.stream, "x", 1, CAP);
		helpers_settle();
	}
	ck_assert_uint_lt(buffer_length(server.stream.out), CAP);
}
END_TEST

START_TEST(closing_says_so_behind_the_data)
{
	secure();
	write_text(&client, "bye");
	stream_close(&client.stream);
	helpers_settle();
	expect_text(&server, "bye");
	ck_assert_int_eq(server.last_read, IO_EOF);
}
END_TEST

START_TEST(who_said_goodbye_is_not_told_the_end)
{
	uint8_t rest[100];
	secure();
	write_text(&client, "bye");
	helpers_settle();
	expect_text(&server, "bye");
	stream_pause(&client.stream);
	stream_forgo_end(&server.stream);
	int there = dup(client.stream.fd);
	stream_close(&server.stream);
	ck_assert_int_eq(recv(there, rest, sizeof rest, 0), 0); /* no record, only the FIN */
	close(there);
}
END_TEST

START_TEST(shutdown_says_so_and_reading_goes_on)
{
	secure();
	stream_shutdown(&client.stream);
	helpers_settle();
	ck_assert_int_eq(server.last_read, IO_EOF);
	write_text(&server, "still here");
	helpers_settle();
	expect_text(&client, "still here");
	stream_close(&server.stream);
	helpers_settle();
	ck_assert_int_eq(client.last_read, IO_EOF);
}
END_TEST

START_TEST(a_cut_connection_is_an_end_too)
{
	secure();
	shutdown(client.stream.fd, SHUT_RDWR);
	helpers_settle();
	ck_assert_int_eq(server.last_read, IO_EOF);
}
END_TEST

START_TEST(unencrypted_bytes_are_an_error)
{
	secure();
	ck_assert_int_eq(write(client.stream.fd, "Q\0\0\0\x0dselect 1", 14), 14);
	helpers_settle();
	ck_assert_int_eq(server.last_read, IO_ERROR);
	ck_assert_int_eq(stream_write_bytes(&server.stream, "x", 1, CAP), IO_ERROR);
}
END_TEST

START_TEST(a_request_for_new_keys_is_answered)
{
	SSL *ssl;
	secure();
	ssl = tls_session_ssl(stream_tls(&client.stream));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		write_text(&client, "question ");
		helpers_settle();
		write_text(&server, "answer ");
		helpers_settle();
	}
	expect_text(&server, "question question question ");
	expect_text(&client, "answer answer answer ");
}
END_TEST

START_TEST(an_owner_may_close_when_readable_or_secured)
{
	secure();
	server.closes = true;
	server.read_size = 3;
	write_text(&client, "hello world");
	helpers_settle();
	ck_assert_int_eq(server.stream.fd, -1);
	ck_assert_int_eq(server.readable, 1);
	ck_assert_ptr_null(stream_tls(&server.stream));
	stream_close(&client.stream);
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	stream_open(&server.stream, pair[0], &events);
	stream_open(&client.stream, pair[1], &events);
	server.secured = client.secured = 0;
	stream_start_tls(&server.stream, server.context, NULL, NULL, 0);
	stream_start_tls(&client.stream, client.context, "localhost", NULL, 0);
	helpers_settle();
	ck_assert_int_eq(server.secured, 1);
	ck_assert_int_eq(server.stream.fd, -1);
}
END_TEST

START_TEST(an_idle_stream_owns_no_buffer)
{
	secure();
	write_text(&client, "question");
	helpers_settle();
	ck_assert_ptr_null(server.stream.out);
	ck_assert_ptr_null(client.stream.out);
	ck_assert(!tls_session_is_pending(stream_tls(&server.stream)));
}
END_TEST

Suite *suite_stream_tls(void)
{
	Suite *suite = suite_create("stream_tls");
	TCase *tests = tcase_create("stream_tls");
	tcase_add_checked_fixture(tests, open_ends, close_ends);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_secured_stream_carries_text_both_ways);
	tcase_add_test(tests, bytes_that_were_read_already_begin_the_handshake);
	tcase_add_test(tests, what_was_queued_before_leaves_unencrypted_and_first);
	tcase_add_test(tests, nothing_is_written_during_the_handshake);
	tcase_add_test(tests, a_failure_is_one_sentence_on_both_sides);
	tcase_add_test(tests, a_session_that_cannot_begin_fails_in_the_next_turn);
	tcase_add_test(tests, bad_handshakes_fail_and_others_do_not_notice);
	tcase_add_test(tests, a_stream_may_be_closed_in_its_handshake);
	tcase_add_test(tests, one_byte_at_a_time_is_enough);
	tcase_add_test(tests, ten_megabytes_pass_both_ways_at_once);
	tcase_add_test(tests, ten_megabytes_pass_with_small_reads);
	tcase_add_test(tests, pieces_of_all_sizes_arrive_in_their_order);
	tcase_add_test(tests, small_pieces_leave_as_one_record_in_one_call);
	tcase_add_test(tests, what_a_small_read_leaves_comes_without_the_socket);
	tcase_add_test(tests, a_paused_stream_keeps_what_it_has_until_it_is_resumed);
	tcase_add_test(tests, data_right_behind_the_handshake_is_not_lost);
	tcase_add_test(tests, queued_bytes_are_encrypted_and_leave_first);
	tcase_add_test(tests, the_cap_bounds_what_is_queued);
	tcase_add_test(tests, a_refused_queue_does_not_harm_the_stream);
	tcase_add_test(tests, a_peer_that_wants_to_negotiate_again_fills_nothing);
	tcase_add_test(tests, closing_says_so_behind_the_data);
	tcase_add_test(tests, who_said_goodbye_is_not_told_the_end);
	tcase_add_test(tests, shutdown_says_so_and_reading_goes_on);
	tcase_add_test(tests, a_cut_connection_is_an_end_too);
	tcase_add_test(tests, unencrypted_bytes_are_an_error);
	tcase_add_test(tests, a_request_for_new_keys_is_answered);
	tcase_add_test(tests, an_owner_may_close_when_readable_or_secured);
	tcase_add_test(tests, an_idle_stream_owns_no_buffer);
	suite_add_tcase(suite, tests);
	return suite;
}
