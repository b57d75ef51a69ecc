/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/startup.h"
#include "core/error.h"
#include "../suite.h"
#include <stdlib.h>
#include <string.h>

Suite *suite_startup(void);

static struct startup startup;
static struct error error;

/* A packet of @version and the @size bytes behind it. */
static size_t packet(uint8_t *bytes, uint32_t version, const char *rest, size_t size)
{
	message_put32(bytes, (uint32_t)size + 8);
	message_put32(bytes + 4, version);
	memcpy(bytes + 8, rest, size);
	return size + 8;
}

/* Parse an exact copy, so that a read past the end is seen. */
static enum frame parse(const uint8_t *bytes, size_t size)
{
	static uint8_t *copy;
	free(copy);
	copy = malloc(size ? size : 1);
	memcpy(copy, bytes, size);
	error = (struct error){0};
	return startup_parse(copy, size, &startup, &error);
}

static void assert_bad(const uint8_t *bytes, size_t size, const char *sqlstate, const char *message)
{
	ck_assert_int_eq(parse(bytes, size), FRAME_BAD);
	ck_assert_str_eq(error.message, message);
	ck_assert_str_eq(error.sqlstate, sqlstate);
}

static const char good[] = "user\0bob\0database\0shop\0options\0\0";

START_TEST(parameters_of_a_startup_message_are_walked)
{
	uint8_t bytes[100];
	size_t size = packet(bytes, STARTUP_VERSION(3, 0), good, sizeof(good));
	memcpy(bytes + size, "more", 4);
	ck_assert_int_eq(parse(bytes, size + 4), FRAME_OK);
	ck_assert_int_eq(startup.kind, STARTUP_MESSAGE);
	ck_assert_uint_eq(startup.length, size);
	ck_assert_uint_eq(startup.version, STARTUP_VERSION(3, 0));
	const char *cursor = startup.parameters, *name, *value;
	ck_assert(startup_next_parameter(&cursor, &name, &value));
	ck_assert_str_eq(name, "user");
	ck_assert_str_eq(value, "bob");
	ck_assert(startup_next_parameter(&cursor, &name, &value));
	ck_assert_str_eq(name, "database");
	ck_assert_str_eq(value, "shop");
	ck_assert(startup_next_parameter(&cursor, &name, &value));
	ck_assert_str_eq(name, "options");
	ck_assert_str_eq(value, "");
	ck_assert(!startup_next_parameter(&cursor, &name, &value));
	ck_assert(!startup_next_parameter(&cursor, &name, &value));
}
END_TEST

START_TEST(every_truncation_of_a_startup_message_is_short)
{
	uint8_t bytes[100];
	size_t size = packet(bytes, STARTUP_VERSION(3, 0), good, sizeof(good));
	for (size_t part = 0; part < size; part++)
		ck_assert_int_eq(parse(bytes, part), FRAME_SHORT);
	ck_assert_int_eq(parse(bytes, size), FRAME_OK);
}
END_TEST

START_TEST(every_cut_packet_with_a_matching_length_is_a_bad_layout)
{
	uint8_t bytes[100];
	const char all[] = "user\0bob\0database\0shop\0options\0x\0";
	for (size_t length = 0; length < sizeof(all); length++) {
		size_t size = packet(bytes, STARTUP_VERSION(3, 0), all, length);
		assert_bad(bytes, size, "08P01",
			   "invalid startup packet layout: expected terminator as last byte");
	}
	ck_assert_int_eq(parse(bytes, packet(bytes, STARTUP_VERSION(3, 0), all, sizeof(all))),
			 FRAME_OK);
}
END_TEST

START_TEST(a_bad_layout_is_refused)
{
	static const struct {
		const char *rest;
		size_t size;
	} rows[] = {
		{"user\0bob\0\0x", 11},	 /* bytes behind the end */
		{"user\0bob\0\0\0", 11}, /* a second terminator */
		{"\0value\0\0", 8},	 /* an empty name */
		{"user\0\0bob\0\0", 11}, /* an empty name further on */
		{"user\0bob\0odd\0", 13}, {"user\0bob", 8}, {"", 0},
	};
	uint8_t bytes[100];
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t size = packet(bytes, STARTUP_VERSION(3, 0), rows[i].rest, rows[i].size);
		assert_bad(bytes, size, "08P01",
			   "invalid startup packet layout: expected terminator as last byte");
	}
}
END_TEST

START_TEST(no_parameters_at_all_are_a_good_layout)
{
	uint8_t bytes[100];
	ck_assert_int_eq(parse(bytes, packet(bytes, STARTUP_VERSION(3, 0), "", 1)), FRAME_OK);
	const char *cursor = startup.parameters, *name, *value;
	ck_assert(!startup_next_parameter(&cursor, &name, &value));
}
END_TEST

START_TEST(encryption_requests_are_known_and_exact)
{
	uint8_t bytes[100];
	size_t size = packet(bytes, 80877103, "x", 0);
	ck_assert_int_eq(parse(bytes, size), FRAME_OK);
	ck_assert_int_eq(startup.kind, STARTUP_SSL_REQUEST);
	ck_assert_uint_eq(startup.length, 8);
	assert_bad(bytes, packet(bytes, 80877103, "x", 1), "08P01",
		   "bad packet header: '0000000904d2162f'");
	ck_assert_int_eq(parse(bytes, packet(bytes, 80877104, "x", 0)), FRAME_OK);
	ck_assert_int_eq(startup.kind, STARTUP_GSSENC_REQUEST);
	for (size_t part = 0; part < 8; part++)
		ck_assert_int_eq(parse(bytes, part), FRAME_SHORT);
	assert_bad(bytes, packet(bytes, 80877104, "xy", 2), "08P01",
		   "bad packet header: '0000000a04d21630'");
}
END_TEST

START_TEST(cancel_keys_of_4_to_256_bytes_are_taken)
{
	char rest[4 + 257] = "\x12\x34\x56\x78";
	uint8_t bytes[300];
	for (size_t i = 4; i < sizeof(rest); i++)
		rest[i] = (char)i;
	for (size_t key_size = 0; key_size <= 257; key_size++) {
		size_t size = packet(bytes, 80877102, rest, 4 + key_size);
		if (key_size < 4 || key_size > 256) {
			assert_bad(bytes, size, "08P01", "bad cancel request");
			continue;
		}
		ck_assert_int_eq(parse(bytes, size), FRAME_OK);
		ck_assert_int_eq(startup.kind, STARTUP_CANCEL_REQUEST);
		ck_assert_uint_eq(startup.process_id, 0x12345678);
		ck_assert_uint_eq(startup.key_size, key_size);
		ck_assert_mem_eq(startup.key, rest + 4, key_size);
		ck_assert_int_eq(parse(bytes, size - 1), FRAME_SHORT);
	}
	assert_bad(bytes, packet(bytes, 80877102, rest, 0), "08P01", "bad cancel request");
}
END_TEST

START_TEST(a_bad_length_is_told_from_four_bytes)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *hex;
	} rows[] = {
		{"\0\0\0\0", 4, "bad packet header: '00000000'"},
		{"\0\0\0\x07", 4, "bad packet header: '00000007'"},
		{"\0\0\x27\x11", 4, "bad packet header: '00002711'"},
		{"GET / HTTP/1.1\r\n", 16, "bad packet header: '474554202f204854'"},
		{"\x16\x03\x01\x02\x00\x01", 6, "bad packet header: '160301020001'"}, /* TLS */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9,
		 "bad packet header: 'ffffffffffffffff'"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_bad((const uint8_t *)rows[i].bytes, rows[i].size, "08P01", rows[i].hex);
	ck_assert_int_eq(parse((const uint8_t *)"\0\0\x27\x10", 4), FRAME_SHORT);
	ck_assert_int_eq(parse((const uint8_t *)"\xff\xff\xff", 3), FRAME_SHORT);
}
END_TEST

START_TEST(other_versions_are_refused)
{
	uint8_t bytes[100];
	assert_bad(bytes, packet(bytes, STARTUP_VERSION(2, 0), good, sizeof(good)), "0A000",
		   "old V2 protocol not supported");
	assert_bad(bytes, packet(bytes, STARTUP_VERSION(1, 0), good, sizeof(good)), "0A000",
		   "old V2 protocol not supported");
	assert_bad(bytes, packet(bytes, STARTUP_VERSION(4, 1), good, sizeof(good)), "08P01",
		   "bad packet header: '0000002900040001'");
	assert_bad(bytes, packet(bytes, STARTUP_VERSION(0, 0), good, sizeof(good)), "08P01",
		   "bad packet header: '0000002900000000'");
	assert_bad(bytes, packet(bytes, STARTUP_VERSION(1234, 5677), good, sizeof(good)), "08P01",
		   "bad packet header: '0000002904d2162d'");
}
END_TEST

START_TEST(the_longest_packet_is_taken)
{
	uint8_t *bytes = malloc(STARTUP_MAX);
	char *rest = malloc(STARTUP_MAX);
	memset(rest, 'x', STARTUP_MAX);
	memcpy(rest, "user", 5);
	memcpy(rest + STARTUP_MAX - 8 - 2, "\0", 2);
	ck_assert_int_eq(parse(bytes, packet(bytes, STARTUP_VERSION(3, 0), rest, STARTUP_MAX - 8)),
			 FRAME_OK);
	ck_assert_uint_eq(startup.length, STARTUP_MAX);
	free(bytes);
	free(rest);
}
END_TEST

static void assert_negotiates(uint32_t version, const char *rest, size_t size, uint16_t minor_max,
			      const char *expected, size_t expected_size)
{
	uint8_t bytes[200];
	struct buffer *out = NULL;
	ck_assert_int_eq(parse(bytes, packet(bytes, version, rest, size)), FRAME_OK);
	ck_assert(startup_must_negotiate(&startup, minor_max) == (expected != NULL));
	if (!expected)
		return;
	ck_assert(startup_put_negotiate(&out, 1000, &startup, minor_max));
	ck_assert_uint_eq(buffer_length(out), expected_size);
	ck_assert_mem_eq(buffer_bytes(out), expected, expected_size);
	buffer_free(&out);
	ck_assert(!startup_put_negotiate(&out, expected_size - 1, &startup, minor_max));
	ck_assert_ptr_null(out);
}

START_TEST(newer_minors_and_protocol_options_are_negotiated)
{
	static const char options[] = "user\0bob\0_pq_.one\0x\0_pq_.two\0\0";
	assert_negotiates(STARTUP_VERSION(3, 0), good, sizeof(good), 0, NULL, 0);
	assert_negotiates(STARTUP_VERSION(3, 2), good, sizeof(good), 2, NULL, 0);
	assert_negotiates(STARTUP_VERSION(3, 2), good, sizeof(good), 0,
			  "v\0\0\0\x0c\0\3\0\0\0\0\0\0", 13);
	assert_negotiates(STARTUP_VERSION(3, 9999), good, sizeof(good), 2,
			  "v\0\0\0\x0c\0\3\0\2\0\0\0\0", 13);
	/* 3.1 never was: a client that asks for it is taken at its word, as PostgreSQL 18 does */
	assert_negotiates(STARTUP_VERSION(3, 1), good, sizeof(good), 2, NULL, 0);
	assert_negotiates(STARTUP_VERSION(3, 3), good, sizeof(good), 2,
			  "v\0\0\0\x0c\0\3\0\2\0\0\0\0", 13);
	assert_negotiates(STARTUP_VERSION(3, 1), options, sizeof(options), 2,
			  "v\0\0\0\x1e\0\3\0\1\0\0\0\2_pq_.one\0_pq_.two", 31);
	assert_negotiates(STARTUP_VERSION(3, 0), options, sizeof(options), 2,
			  "v\0\0\0\x1e\0\3\0\0\0\0\0\2_pq_.one\0_pq_.two", 31);
}
END_TEST

START_TEST(a_negotiation_is_read_back)
{
	static const struct {
		const char *body;
		size_t size;
		bool well;
		uint16_t minor;
		uint32_t unknown;
	} rows[] = {
		{"\0\3\0\0\0\0\0\0", 8, true, 0, 0},
		{"\0\3\0\2\0\0\0\0", 8, true, 2, 0},
		{"\0\0\0\0\0\0\0\0", 8, true, 0, 0}, /* the minor alone */
		{"\0\0\0\2\0\0\0\0", 8, true, 2, 0},
		{"\0\3\0\2\0\0\0\2_pq_.a\0_pq_.b\0", 22, true, 2, 2},
		{"\0\3\0\2\0\0\0\2_pq_.a\0_pq_.b", 21, false, 0, 0},
		{"\0\3\0\2\0\0\0\1_pq_.a\0_pq_.b\0", 22, false, 0, 0},
		{"\0\3\0\2\377\377\377\377_pq_.a\0", 15, false, 0, 0},
		{"\0\2\0\0\0\0\0\0", 8, false, 0, 0},
		{"\0\4\0\0\0\0\0\0", 8, false, 0, 0},
		{"\0\3\0\0\0\0\0", 7, false, 0, 0},
		{"", 0, false, 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint16_t minor;
		uint32_t unknown;
		ck_assert(startup_parse_negotiate((const uint8_t *)rows[i].body, rows[i].size,
						  &minor, &unknown) == rows[i].well);
		if (rows[i].well) {
			ck_assert_uint_eq(minor, rows[i].minor);
			ck_assert_uint_eq(unknown, rows[i].unknown);
		}
	}
}
END_TEST

START_TEST(packets_to_servers_are_read_back)
{
	static const char *const parameters[] = {"user", "bob", "database", "shop", NULL};
	struct buffer *out = NULL;
	ck_assert(startup_put_message(&out, 1000, STARTUP_VERSION(3, 2), parameters));
	static const char expected[] = "\0\0\0\x20\0\3\0\2user\0bob\0database\0shop\0";
	ck_assert_uint_eq(buffer_length(out), sizeof(expected));
	ck_assert_mem_eq(buffer_bytes(out), expected, sizeof(expected));
	ck_assert_int_eq(parse(buffer_bytes(out), buffer_length(out)), FRAME_OK);
	buffer_free(&out);

	ck_assert(startup_put_ssl_request(&out, 8));
	ck_assert_uint_eq(buffer_length(out), 8);
	ck_assert_mem_eq(buffer_bytes(out), "\0\0\0\x08\x04\xd2\x16\x2f", 8);
	buffer_free(&out);

	ck_assert(startup_put_cancel(&out, 1000, 77, (const uint8_t *)"secretkey", 9));
	ck_assert_int_eq(parse(buffer_bytes(out), buffer_length(out)), FRAME_OK);
	ck_assert_int_eq(startup.kind, STARTUP_CANCEL_REQUEST);
	ck_assert_uint_eq(startup.process_id, 77);
	ck_assert_uint_eq(startup.key_size, 9);
	ck_assert_mem_eq(startup.key, "secretkey", 9);
	buffer_free(&out);
	ck_assert(!startup_put_cancel(&out, 20, 77, (const uint8_t *)"secretkey", 9));
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(mutations_are_survived)
{
	uint8_t bytes[100];
	size_t size = packet(bytes, STARTUP_VERSION(3, 0), good, sizeof(good));
	for (size_t at = 0; at < size; at++) {
		for (int value = 0; value < 256; value++) {
			uint8_t old = bytes[at];
			bytes[at] = (uint8_t)value;
			if (parse(bytes, size) == FRAME_BAD)
				ck_assert(*error.message);
			bytes[at] = old;
		}
	}
}
END_TEST

Suite *suite_startup(void)
{
	Suite *suite = suite_create("startup");
	TCase *tcase = tcase_create("startup");
	tcase_add_test(tcase, parameters_of_a_startup_message_are_walked);
	tcase_add_test(tcase, every_truncation_of_a_startup_message_is_short);
	tcase_add_test(tcase, every_cut_packet_with_a_matching_length_is_a_bad_layout);
	tcase_add_test(tcase, a_bad_layout_is_refused);
	tcase_add_test(tcase, no_parameters_at_all_are_a_good_layout);
	tcase_add_test(tcase, encryption_requests_are_known_and_exact);
	tcase_add_test(tcase, cancel_keys_of_4_to_256_bytes_are_taken);
	tcase_add_test(tcase, a_bad_length_is_told_from_four_bytes);
	tcase_add_test(tcase, other_versions_are_refused);
	tcase_add_test(tcase, the_longest_packet_is_taken);
	tcase_add_test(tcase, newer_minors_and_protocol_options_are_negotiated);
	tcase_add_test(tcase, a_negotiation_is_read_back);
	tcase_add_test(tcase, packets_to_servers_are_read_back);
	tcase_add_test(tcase, mutations_are_survived);
	suite_add_tcase(suite, tcase);
	return suite;
}
