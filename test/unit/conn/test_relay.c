/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/relay.h"
#include "suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAXIMUM = 1 << 20, STREAM = 1 << 18 };

/* The protocol of this test: what is done with a message is written in its type. */
static const uint8_t care[256] = {
	['p'] = MESSAGE_PASS,	   ['t'] = MESSAGE_SEE_TYPE, ['h'] = MESSAGE_SEE_HEAD,
	['w'] = MESSAGE_SEE_WHOLE, ['x'] = MESSAGE_SEE_TYPE, /* dropped */
	['X'] = MESSAGE_SEE_WHOLE,			     /* dropped when whole */
	['/'] = MESSAGE_SEE_TYPE,			     /* forwarded, then a pause */
	['|'] = MESSAGE_SEE_TYPE,			     /* dropped, then a pause */
	['.'] = MESSAGE_SEE_TYPE,			     /* stops */
};

static char seen[STREAM]; /* types and available/size of what was seen */
static size_t seen_length;
static struct endpoint endpoint;

static enum relay_action see(struct endpoint *from, uint8_t type, const uint8_t *body,
			     uint32_t size, uint32_t available, struct relay_batch *batch)
{
	(void)batch;
	uint32_t least = care[type] == MESSAGE_SEE_WHOLE ? size : 0;
	if (care[type] == MESSAGE_SEE_HEAD)
		least = size < MESSAGE_HEAD ? size : MESSAGE_HEAD;
	if (from != &endpoint || available < least || available > size)
		ck_abort_msg("'%c' was seen with %u of %u bytes", type, available, size);
	for (uint32_t i = 0; i < available; i++)
		if (body[i] != (uint8_t)(size + i))
			ck_abort_msg("byte %u of '%c' is wrong", i, type);
	seen_length += (size_t)snprintf(seen + seen_length, sizeof seen - seen_length, "%c%u ",
					type, size);
	switch (type) {
	case 'x':
	case 'X':
		return RELAY_DROP;
	case '/':
		return RELAY_FORWARD_PAUSE;
	case '|':
		return RELAY_DROP_PAUSE;
	case '.':
		return RELAY_STOP;
	default:
		return RELAY_FORWARD;
	}
}

static const struct relay relay = {.care = care, .see = see};

static uint8_t stream[STREAM], expected[STREAM], forwarded[STREAM], received[STREAM];
static size_t stream_size, expected_size, forwarded_size, received_size;

static size_t put(uint8_t *at, char type, uint32_t size)
{
	at[0] = (uint8_t)type;
	message_put32(at + 1, size + 4);
	for (uint32_t i = 0; i < size; i++)
		at[5 + i] = (uint8_t)(size + i);
	return size + 5;
}

static void setup(void)
{
	memset(&endpoint, 0, sizeof endpoint);
	stream_size = expected_size = forwarded_size = received_size = seen_length = 0;
}

/* A message at the end of the stream. */
static void add(char type, uint32_t size)
{
	size_t n = put(stream + stream_size, type, size);
	if (type != 'x' && type != 'X' && type != '|') {
		memcpy(expected + expected_size, stream + stream_size, n);
		expected_size += n;
	}
	stream_size += n;
}

/* As the layer does it: what was held stands in front of what comes; a pause is followed by another
 * walk. */
static enum relay_end receive(const uint8_t *bytes, size_t size)
{
	struct relay_batch batch;
	enum relay_end end;
	memcpy(received + received_size, bytes, size);
	received_size += size;
	bytes = received;
	size = received_size;
	do {
		size_t total = 0;
		end = relay_walk(&relay, &endpoint, bytes, size, MAXIMUM, &batch);
		ck_assert_int_le(batch.count, RELAY_PIECES);
		for (int i = 0; i < batch.count; i++) {
			const uint8_t *piece = batch.pieces[i].iov_base;
			ck_assert(piece >= bytes &&
				  piece + batch.pieces[i].iov_len <= bytes + size);
			memcpy(forwarded + forwarded_size, piece, batch.pieces[i].iov_len);
			forwarded_size += batch.pieces[i].iov_len;
			total += batch.pieces[i].iov_len;
		}
		ck_assert_uint_eq(total, batch.size);
		ck_assert_ptr_eq(batch.rest + batch.rest_size, bytes + size);
		bytes = batch.rest;
		size = batch.rest_size;
	} while (end == RELAY_PAUSED);
	memmove(received, bytes, size);
	received_size = size;
	return end;
}

static void all_was_forwarded(void)
{
	ck_assert_uint_eq(forwarded_size, expected_size);
	ck_assert_mem_eq(forwarded, expected, expected_size);
	ck_assert_uint_eq(received_size, 0);
	ck_assert_uint_eq(endpoint.body_left, 0);
	ck_assert(!endpoint.body_dropped);
}

static void again(void)
{
	memset(&endpoint, 0, sizeof endpoint);
	forwarded_size = received_size = seen_length = 0;
}

/* All kinds of messages, of lengths around what matters. */
static void build(void)
{
	static const uint32_t sizes[] = {0,  1, MESSAGE_HEAD - 1, MESSAGE_HEAD, MESSAGE_HEAD + 1,
					 100};
	static const char types[] = "pthwxX/|";
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (const char *type = types; *type; type++)
			add(*type, sizes[i]);
	for (const char *type = types; *type; type++)
		for (const char *next = types; *next; next++) {
			add(*type, 3);
			add(*next, 2);
		}
}

START_TEST(everything_at_once)
{
	build();
	ck_assert_int_eq(receive(stream, stream_size), RELAY_DONE);
	all_was_forwarded();
}
END_TEST

START_TEST(every_split_into_two_gives_the_same)
{
	static char whole[STREAM];
	build();
	receive(stream, stream_size);
	memcpy(whole, seen, seen_length + 1);
	for (size_t split = 0; split <= stream_size; split++) {
		again();
		ck_assert_int_eq(receive(stream, split), RELAY_DONE);
		ck_assert_int_eq(receive(stream + split, stream_size - split), RELAY_DONE);
		all_was_forwarded();
		ck_assert_str_eq(seen, whole);
	}
}
END_TEST

START_TEST(every_size_of_pieces_gives_the_same)
{
	static char whole[STREAM];
	build();
	receive(stream, stream_size);
	memcpy(whole, seen, seen_length + 1);
	for (size_t piece = 1; piece < 64; piece++) {
		again();
		for (size_t at = 0; at < stream_size; at += piece) {
			size_t n = stream_size - at < piece ? stream_size - at : piece;
			ck_assert_int_eq(receive(stream + at, n), RELAY_DONE);
		}
		all_was_forwarded();
		ck_assert_str_eq(seen, whole);
	}
}
END_TEST

START_TEST(many_dropped_messages_in_one_read)
{
	for (int i = 0; i < 200; i++) {
		add('p', 1);
		add('x', 7);
	}
	ck_assert_int_eq(receive(stream, stream_size), RELAY_DONE);
	all_was_forwarded();
}
END_TEST

START_TEST(a_run_of_passed_messages_is_one_piece)
{
	struct relay_batch batch;
	for (int i = 0; i < 100; i++)
		add(i % 2 ? 'p' : 't', 20);
	ck_assert_int_eq(relay_walk(&relay, &endpoint, stream, stream_size, MAXIMUM, &batch),
			 RELAY_DONE);
	ck_assert_int_eq(batch.count, 1);
	ck_assert_ptr_eq(batch.pieces[0].iov_base, stream);
	ck_assert_uint_eq(batch.size, stream_size);
}
END_TEST

START_TEST(nothing_gives_nothing)
{
	struct relay_batch batch;
	ck_assert_int_eq(relay_walk(&relay, &endpoint, stream, 0, MAXIMUM, &batch), RELAY_DONE);
	ck_assert_int_eq(batch.count, 0);
	ck_assert_uint_eq(batch.size, 0);
	ck_assert_uint_eq(batch.rest_size, 0);
}
END_TEST

START_TEST(half_a_header_is_held)
{
	add('t', 10);
	for (size_t size = 1; size < MESSAGE_HEADER; size++) {
		again();
		ck_assert_int_eq(receive(stream, size), RELAY_DONE);
		ck_assert_uint_eq(forwarded_size, 0);
		ck_assert_uint_eq(received_size, size);
		ck_assert_uint_eq(seen_length, 0);
	}
}
END_TEST

START_TEST(a_passed_message_goes_on_as_it_comes)
{
	add('p', 100000);
	ck_assert_int_eq(receive(stream, 5), RELAY_DONE);
	ck_assert_uint_eq(forwarded_size, 5);
	ck_assert_uint_eq(endpoint.body_left, 100000);
	ck_assert_int_eq(receive(stream + 5, 60000), RELAY_DONE);
	ck_assert_uint_eq(forwarded_size, 60005);
	ck_assert_uint_eq(endpoint.body_left, 40000);
	ck_assert_int_eq(receive(stream + 60005, 40000), RELAY_DONE);
	all_was_forwarded();
	ck_assert_uint_eq(seen_length, 0);
}
END_TEST

START_TEST(a_message_seen_by_its_head_goes_on_when_the_head_is_there)
{
	add('h', 1000);
	receive(stream, MESSAGE_HEADER + MESSAGE_HEAD - 1);
	ck_assert_uint_eq(forwarded_size, 0);
	receive(stream + MESSAGE_HEADER + MESSAGE_HEAD - 1, 1);
	ck_assert_uint_eq(forwarded_size, MESSAGE_HEADER + MESSAGE_HEAD);
	ck_assert_str_eq(seen, "h1000 ");
}
END_TEST

START_TEST(a_message_seen_whole_waits_until_it_is)
{
	add('w', 1000);
	receive(stream, stream_size - 1);
	ck_assert_uint_eq(forwarded_size, 0);
	ck_assert_uint_eq(seen_length, 0);
	receive(stream + stream_size - 1, 1);
	all_was_forwarded();
	ck_assert_str_eq(seen, "w1000 ");
}
END_TEST

START_TEST(the_rest_of_a_dropped_message_is_dropped)
{
	add('x', 1000);
	add('p', 1);
	receive(stream, 50);
	ck_assert_uint_eq(forwarded_size, 0);
	ck_assert_uint_eq(endpoint.body_left, 955);
	ck_assert(endpoint.body_dropped);
	receive(stream + 50, 100);
	ck_assert_uint_eq(endpoint.body_left, 855);
	receive(stream + 150, stream_size - 150);
	all_was_forwarded();
}
END_TEST

START_TEST(after_a_pause_the_rest_begins_with_the_next_message)
{
	struct relay_batch batch;
	add('/', 3);
	add('|', 4);
	add('t', 5);
	ck_assert_int_eq(relay_walk(&relay, &endpoint, stream, stream_size, MAXIMUM, &batch),
			 RELAY_PAUSED);
	ck_assert_uint_eq(batch.size, 8);
	ck_assert_ptr_eq(batch.rest, stream + 8);
	ck_assert_int_eq(
		relay_walk(&relay, &endpoint, batch.rest, batch.rest_size, MAXIMUM, &batch),
		RELAY_PAUSED);
	ck_assert_uint_eq(batch.size, 0);
	ck_assert_ptr_eq(batch.rest, stream + 17);
	ck_assert_int_eq(
		relay_walk(&relay, &endpoint, batch.rest, batch.rest_size, MAXIMUM, &batch),
		RELAY_DONE);
	ck_assert_uint_eq(batch.size, 10);
}
END_TEST

START_TEST(a_pause_in_an_incomplete_message_leaves_nothing)
{
	struct relay_batch batch;
	add('/', 100);
	ck_assert_int_eq(relay_walk(&relay, &endpoint, stream, 50, MAXIMUM, &batch), RELAY_PAUSED);
	ck_assert_uint_eq(batch.size, 50);
	ck_assert_uint_eq(batch.rest_size, 0);
	ck_assert_uint_eq(endpoint.body_left, 55);
}
END_TEST

/* @bytes are walked after a good message: they are left, and what stood before is forwarded. */
static void refused(const uint8_t *bytes, size_t size, enum relay_end why)
{
	for (int before = 0; before < 2; before++) {
		setup();
		if (before)
			add('t', 6);
		memcpy(stream + stream_size, bytes, size);
		ck_assert_int_eq(receive(stream, stream_size + size), why);
		ck_assert_uint_eq(forwarded_size, expected_size);
		ck_assert_mem_eq(forwarded, expected, expected_size);
		ck_assert_uint_eq(received_size, size);
		ck_assert_mem_eq(received, bytes, size);
		ck_assert_uint_eq(endpoint.body_left, 0);
	}
}

START_TEST(a_stopping_message_is_left_with_all_behind_it)
{
	uint8_t bytes[64];
	size_t size = put(bytes, '.', 4);
	refused(bytes, size, RELAY_STOPPED);
	size += put(bytes + size, 't', 4);
	refused(bytes, size, RELAY_STOPPED);
	refused(bytes, 7, RELAY_STOPPED);
}
END_TEST

START_TEST(lengths_below_four_are_refused)
{
	static const char types[] = "pthwx/.";
	uint8_t bytes[32] = {0};
	for (const char *type = types; *type; type++)
		for (uint8_t length = 0; length < 4; length++) {
			bytes[0] = (uint8_t)*type;
			bytes[4] = length;
			refused(bytes, 5, RELAY_BAD_LENGTH);
			refused(bytes, sizeof bytes, RELAY_BAD_LENGTH);
			refused(bytes, (size_t)length + 1 < 5 ? 5 : length + 1u, RELAY_BAD_LENGTH);
		}
}
END_TEST

START_TEST(lengths_beyond_the_maximum_are_refused)
{
	static const uint32_t lengths[] = {MAXIMUM + 1, 0x7fffffff, 0x80000000, 0xfffffffe,
					   0xffffffff};
	static const char types[] = "pthwx/";
	for (const char *type = types; *type; type++)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			uint8_t bytes[5] = {(uint8_t)*type};
			message_put32(bytes + 1, lengths[i]);
			refused(bytes, sizeof bytes, RELAY_BAD_LENGTH);
		}
	setup();
	uint8_t longest[5] = {'p'};
	message_put32(longest + 1, MAXIMUM);
	ck_assert_int_eq(receive(longest, 5), RELAY_DONE);
	ck_assert_uint_eq(forwarded_size, 5);
	ck_assert_uint_eq(endpoint.body_left, MAXIMUM - 4);
}
END_TEST

START_TEST(what_must_be_seen_whole_may_not_be_too_long)
{
	uint8_t bytes[5] = {'w'};
	message_put32(bytes + 1, MESSAGE_WHOLE_MAX);
	refused(bytes, sizeof bytes, RELAY_BAD_LENGTH);
	message_put32(bytes + 1, MESSAGE_WHOLE_MAX - 1);
	setup();
	ck_assert_int_eq(receive(bytes, 5), RELAY_DONE);
	ck_assert_uint_eq(received_size, 5);
	setup();
	add('w', MESSAGE_WHOLE_MAX - 5);
	ck_assert_int_eq(receive(stream, stream_size), RELAY_DONE);
	all_was_forwarded();
}
END_TEST

START_TEST(unknown_types_are_refused)
{
	for (int type = 0; type < 256; type++) {
		uint8_t bytes[6];
		if (care[type] != MESSAGE_INVALID)
			continue;
		put(bytes, (char)type, 1);
		refused(bytes, sizeof bytes, RELAY_BAD_TYPE);
		refused(bytes, 5, RELAY_BAD_TYPE);
	}
}
END_TEST

/* ---- what is replaced is joined with what follows ---- */

static uint8_t made[2 * RELAY_JOINED];

/* Another header stands for that of an 'r'. */
static enum relay_action see_joining(struct endpoint *from, uint8_t type, const uint8_t *body,
				     uint32_t size, uint32_t available, struct relay_batch *batch)
{
	if (type != 'r')
		return see(from, type, body, size, available, batch);
	put(batch->room, 'R', 0);
	message_put32(batch->room + 1, size + 4);
	batch->replacement[0] = (struct iovec){batch->room, MESSAGE_HEADER};
	batch->replacements = 1;
	batch->replaced = MESSAGE_HEADER;
	batch->room += MESSAGE_HEADER;
	return RELAY_REPLACE;
}

/* Types and sizes of messages ("r10 t3"), and of how many pieces they leave as. */
static const struct {
	const char *messages;
	int pieces;
} joinings[] = {
	{"r10 t3 p400 h50", 1},
	{"t3 r10 p4", 2},
	{"r10 p4 r10 p4", 3},
	{"r10 p8500", 2},
	{"p8500 r10 t4", 3},
	{"r10 x5 t3 x5 p7", 1},
	{"r0", 1},
	{"r10 p4 r10 p8500", 4},
};

START_TEST(what_follows_a_replacement_is_joined_with_it)
{
	uint8_t joining_care[256];
	memcpy(joining_care, care, sizeof care);
	joining_care['r'] = MESSAGE_SEE_HEAD;
	const struct relay joining = {.care = joining_care, .see = see_joining, .joins = true};
	struct relay_batch batch = {.room = made};
	char type;
	uint32_t size;
	int n;
	for (const char *at = joinings[_i].messages; sscanf(at, " %c%u%n", &type, &size, &n) == 2;
	     at += n) {
		size_t begin = expected_size;
		add(type, size);
		if (type == 'r')
			expected[begin] = 'R';
	}
	ck_assert_int_eq(relay_walk(&joining, &endpoint, stream, stream_size, MAXIMUM, &batch),
			 RELAY_DONE);
	ck_assert_int_eq(batch.count, joinings[_i].pieces);
	for (int i = 0; i < batch.count; i++) {
		memcpy(forwarded + forwarded_size, batch.pieces[i].iov_base,
		       batch.pieces[i].iov_len);
		forwarded_size += batch.pieces[i].iov_len;
	}
	ck_assert_uint_eq(batch.size, expected_size);
	ck_assert_uint_eq(forwarded_size, expected_size);
	ck_assert_mem_eq(forwarded, expected, expected_size);
}
END_TEST

Suite *suite_relay(void)
{
	Suite *suite = suite_create("conn/relay");
	TCase *tcase = tcase_create("relay");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, everything_at_once);
	tcase_add_test(tcase, every_split_into_two_gives_the_same);
	tcase_add_test(tcase, every_size_of_pieces_gives_the_same);
	tcase_add_test(tcase, many_dropped_messages_in_one_read);
	tcase_add_test(tcase, a_run_of_passed_messages_is_one_piece);
	tcase_add_test(tcase, nothing_gives_nothing);
	tcase_add_test(tcase, half_a_header_is_held);
	tcase_add_test(tcase, a_passed_message_goes_on_as_it_comes);
	tcase_add_test(tcase, a_message_seen_by_its_head_goes_on_when_the_head_is_there);
	tcase_add_test(tcase, a_message_seen_whole_waits_until_it_is);
	tcase_add_test(tcase, the_rest_of_a_dropped_message_is_dropped);
	tcase_add_test(tcase, after_a_pause_the_rest_begins_with_the_next_message);
	tcase_add_test(tcase, a_pause_in_an_incomplete_message_leaves_nothing);
	tcase_add_test(tcase, a_stopping_message_is_left_with_all_behind_it);
	tcase_add_test(tcase, lengths_below_four_are_refused);
	tcase_add_test(tcase, lengths_beyond_the_maximum_are_refused);
	tcase_add_test(tcase, what_must_be_seen_whole_may_not_be_too_long);
	tcase_add_test(tcase, unknown_types_are_refused);
	tcase_add_loop_test(tcase, what_follows_a_replacement_is_joined_with_it, 0,
			    sizeof joinings / sizeof *joinings);
	suite_add_tcase(suite, tcase);
	return suite;
}
