/* SPDX-License-Identifier: ISC */
/* What connections say before they are logged in, and what is refused there. */
#include "config.h"
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "auth/scram.h"
#include "config/snapshot.h"
#include "conn/client.h"
#include "conn/client_entry.h"
#include "core/error.h"
#include "pool/limit.h"
#include "pool/registry.h"
#include "proto/message.h"
#include "proto/startup.h"
#include "suites.h"
#include "wire.h"

#define PAIRS(text) text, sizeof(text)

static struct wire_peer *first, *server;

/* One good client stands by: nothing that another does may disturb it. */
static void begin_with(const char *settings)
{
	wire_open(settings, NULL);
	first = wire_client();
	server = wire_first_server();
	ck_assert_uint_eq(limit_connections(), 1);
}

static void begin(void)
{
	begin_with("server_check_query =");
}

static void first_is_served(void)
{
	wire_settle();
	ck_assert_uint_eq(limit_connections(), 1);
	ck_assert_uint_eq(client_count(), 1);
	ck_assert_uint_eq(client_login_count(), 0);
	wire_expect_pool("active 1 / idle 1");
	wire_client_says(first, "Q");
	wire_expect(server, "Q");
	wire_server_says(server, "TDCZ");
	wire_expect(first, "TDCZ");
	ck_assert_ptr_null(wire_accept());
}

static void finish(void)
{
	first_is_served();
	wire_close();
}

/* A StartupMessage of this version with these pairs. Returns its length. */
static size_t put_startup(uint8_t *at, uint32_t version, const char *pairs, size_t size)
{
	message_put32(at, (uint32_t)size + 9);
	message_put32(at + 4, version);
	memcpy(at + 8, pairs, size);
	at[8 + size] = 0;
	return size + 9;
}

static struct wire_peer *says_startup(const char *pairs, size_t size)
{
	uint8_t packet[16384];
	struct wire_peer *client = wire_connect();
	wire_send(client, packet, put_startup(packet, STARTUP_VERSION(3, 0), pairs, size));
	return client;
}

static struct wire_peer *says(const void *bytes, size_t size)
{
	struct wire_peer *client = wire_connect();
	wire_send(client, bytes, size);
	return client;
}

/* ---- start-up packets ---- */

START_TEST(the_greeting_is_complete)
{
	struct wire_peer *client = says_startup(PAIRS("user\0u1\0database\0db"));
	wire_expect_message(client, 'R', "||||");
	static const char *const parameters[] = {
		"application_name||",	"client_encoding|UTF8|",
		"DateStyle|ISO, MDY|",	"IntervalStyle|postgres|",
		"server_version|15.0|", "standard_conforming_strings|on|",
		"TimeZone|Etc/UTC|",
	};
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		wire_expect_message(client, 'S', "");
		ck_assert_str_eq(client->text, parameters[i]);
	}
	wire_expect_message(client, 'K', "");
	ck_assert_uint_eq(client->size, 8);
	ck_assert_int_gt((int32_t)message_get32(client->body), 0);
	wire_expect_message(client, 'Z', "I");
	wire_expect_nothing(client);
	ck_assert_str_eq(wire_state(client), "IDLE");
	wire_client_says(client, "X");
	wire_expect_closed(client);
}
END_TEST

START_TEST(every_truncation_of_a_startup_packet_ends_with_the_connection)
{
	uint8_t packet[256];
	size_t size = put_startup(packet, STARTUP_VERSION(3, 0),
				  PAIRS("user\0u1\0database\0db\0application_name\0x"));
	for (size_t cut = 0; cut < size; cut++)
		for (int how = 0; how < 2; how++) {
			struct wire_peer *client = wire_connect();
			if (cut)
				wire_send(client, packet, cut);
			ck_assert_str_eq(wire_state(client), "STARTUP");
			wire_expect_nothing(client);
			if (how == 0) {
				wire_hang_up(client);
			} else {
				wire_half_close(client);
				wire_expect_nothing(client);
				wire_expect_closed(client);
			}
			ck_assert_str_eq(wire_state(client), "gone");
			ck_assert_uint_eq(limit_connections(), 1);
		}
}
END_TEST

START_TEST(the_user_is_the_database_unless_one_is_named)
{
	wire_expect_fatal(says_startup(PAIRS("user\0u2")), "3D000", "no such database: u2|");
	wire_expect_fatal(says_startup(PAIRS("user\0u2\0database\0")), "3D000",
			  "no such database: u2|");
}
END_TEST

START_TEST(a_database_that_does_not_exist_is_named_in_the_error)
{
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0nodb")), "3D000",
			  "no such database: nodb|");
	ck_assert(wire_logged("login failed: db=nodb user=u1"));
}
END_TEST

START_TEST(a_user_must_be_named)
{
	wire_expect_fatal(says_startup(PAIRS("database\0db")), "28000", "no username supplied|");
	wire_expect_fatal(says_startup("", 0), "28000", "no username supplied|");
}
END_TEST

START_TEST(an_unknown_user_is_refused_with_trust)
{
	wire_expect_fatal(says_startup(PAIRS("user\0nobody\0database\0db")), "28000",
			  "\"trust\" authentication failed|");
}
END_TEST

START_TEST(names_that_are_too_long_are_refused)
{
	char pairs[512] = "user";
	memset(pairs + 5, 'u', 128);
	pairs[133] = '\0';
	wire_expect_fatal(says_startup(pairs, 134), "28000", "username too long|");
	memcpy(pairs, PAIRS("user\0u1\0database"));
	memset(pairs + 17, 'd', 64);
	pairs[81] = '\0';
	wire_expect_fatal(says_startup(pairs, 82), "3D000", "database name too long|");
	pairs[80] = '\0';
	wire_expect_fatal(says_startup(pairs, 81), "3D000", "no such database: ddd");
}
END_TEST

START_TEST(a_parameter_that_is_not_tracked_may_be_refused)
{
	begin_with("startup_parameters = refuse");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0search_path\0x")), "0A000",
			  "unsupported startup parameter: search_path|");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0options\0-c geqo=off")),
			  "0A000", "unsupported startup parameter in options: geqo|");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0options\0-x y")), "0A000",
			  "unsupported options startup parameter: only '-c config=val' and "
			  "'--config=val' are allowed|");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0bad\033[2J\0x")), "0A000",
			  "unsupported startup parameter: bad");
	ck_assert(!wire_logged("\033"));
	finish();
}
END_TEST

START_TEST(what_is_no_name_of_a_parameter_is_refused)
{
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0bad\033[2J\0x")), "42704",
			  "unrecognized configuration parameter \"bad");
	ck_assert(!wire_logged("\033"));
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0a;b\0x")), "42704",
			  "unrecognized configuration parameter \"a;b\"|");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0options\0-c a\"b=x")),
			  "42704", "unrecognized configuration parameter \"a\"b\"|");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db\0options\0-x y")), "0A000",
			  "unsupported options startup parameter: only '-c config=val' and "
			  "'--config=val' are allowed|");
}
END_TEST

START_TEST(what_cannot_be_taken_back_is_refused)
{
	static const char *const names[] = {"transaction_isolation", "Transaction_Read_Only",
					    "transaction_deferrable", "session_authorization",
					    "seed"};
	char pairs[128] = "user\0u1\0database\0db", text[128];
	snprintf(pairs + 20, sizeof pairs - 20, "%s", names[_i]);
	snprintf(text, sizeof text, "unsupported startup parameter: %s|", names[_i]);
	wire_expect_fatal(says_startup(pairs, 20 + strlen(names[_i]) + 2), "0A000", text);
}
END_TEST

START_TEST(too_many_parameters_are_refused)
{
	char pairs[1024] = "user\0u1\0database\0db";
	size_t size = 20;
	for (int i = 0; i < 65; i++, size += strlen(pairs + size) + 3) {
		snprintf(pairs + size, sizeof pairs - size, "x%d", i);
		pairs[size + strlen(pairs + size) + 1] = '1';
	}
	wire_expect_fatal(says_startup(pairs, size), "54000",
			  "too many startup parameters: at most 64 are applied|");
}
END_TEST

START_TEST(protocol_2_is_refused)
{
	uint8_t packet[64];
	size_t size = put_startup(packet, STARTUP_VERSION(2, 0), PAIRS("user\0u1"));
	wire_expect_fatal(says(packet, size), "0A000", "old V2 protocol not supported|");
	wire_expect_fatal(says(packet, 8), "0A000", "old V2 protocol not supported|");
}
END_TEST

#define NAMES "user\0u1\0database\0db"

/* What PostgreSQL 18 answers, and how long a key it gives. */
START_TEST(versions_and_options_are_negotiated_and_keys_as_long_as_agreed)
{
	static const struct {
		uint16_t minor;
		const char *pairs;
		size_t size;
		const char *negotiated; /* NULL: nothing to negotiate */
		size_t negotiated_size, secret_size;
	} rows[] = {
		{0, PAIRS(NAMES), NULL, 0, 4},
		{1, PAIRS(NAMES), NULL, 0, 4}, /* never was, but is no harm */
		{2, PAIRS(NAMES), NULL, 0, 32},
		{3, PAIRS(NAMES), "\0\3\0\2\0\0\0\0", 8, 32},
		{9999, PAIRS(NAMES), "\0\3\0\2\0\0\0\0", 8, 32},
		{65535, PAIRS(NAMES), "\0\3\0\2\0\0\0\0", 8, 32},
		{0, PAIRS(NAMES "\0_pq_.x\0y"), "\0\3\0\0\0\0\0\1_pq_.x", 15, 4},
		{1, PAIRS(NAMES "\0_pq_.x\0y"), "\0\3\0\1\0\0\0\1_pq_.x", 15, 4},
		{2, PAIRS(NAMES "\0_pq_.x\0y"), "\0\3\0\2\0\0\0\1_pq_.x", 15, 32},
		{9999, PAIRS(NAMES "\0_pq_.test_protocol_negotiation\0\0_pq_.b\0c"),
		 "\0\3\0\2\0\0\0\2_pq_.test_protocol_negotiation\0_pq_.b", 46, 32},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint8_t packet[128];
		struct wire_peer *client =
			says(packet, put_startup(packet, STARTUP_VERSION(3, rows[i].minor),
						 rows[i].pairs, rows[i].size));
		if (rows[i].negotiated) {
			wire_expect_message(client, 'v', "");
			ck_assert_uint_eq(client->size, rows[i].negotiated_size);
			ck_assert_mem_eq(client->body, rows[i].negotiated, client->size);
		}
		for (const char *type = "RSSSSSSSK"; *type; type++)
			wire_expect_message(client, *type, "");
		ck_assert_uint_eq(client->size, 4 + rows[i].secret_size);
		wire_expect(client, "Z");
		wire_client_says(client, "X");
		wire_expect_closed(client);
	}
}
END_TEST

START_TEST(ssl_and_gss_are_answered_with_no_and_startup_follows)
{
	uint8_t packet[128], request[8];
	struct wire_peer *client = wire_connect();
	message_put32(request, 8);
	for (uint32_t i = 0; i < 6; i++) {
		message_put32(request + 4, STARTUP_VERSION(1234, 5679 + i % 2));
		wire_send(client, request, 8);
		ck_assert_uint_eq(wire_read(client), 1);
		ck_assert_uint_eq(client->in[0], 'N');
		client->length = 0;
	}
	wire_send(client, packet,
		  put_startup(packet, STARTUP_VERSION(3, 0), PAIRS("user\0u1\0database\0db")));
	wire_expect(client, "RSSSSSSSKZ");
	wire_client_says(client, "X");
}
END_TEST

START_TEST(bytes_behind_an_encryption_request_are_refused)
{
	static const char *const texts[] = {
		"received unencrypted data after SSL request|",
		"received unencrypted data after GSSAPI encryption request|"};
	for (uint32_t i = 0; i < 2; i++)
		for (size_t behind = 1; behind < 40; behind += 6) {
			uint8_t packet[128];
			message_put32(packet, 8);
			message_put32(packet + 4, STARTUP_VERSION(1234, 5679 + i));
			put_startup(packet + 8, STARTUP_VERSION(3, 0),
				    PAIRS("user\0u1\0database\0db"));
			wire_expect_fatal(says(packet, 8 + behind), "08P01", texts[i]);
		}
}
END_TEST

START_TEST(a_startup_packet_of_ten_thousand_bytes_passes_and_no_longer_one)
{
	static char pairs[10000] = "user\0u1\0database\0db\0application_name";
	size_t before = sizeof "user\0u1\0database\0db\0application_name";
	memset(pairs + before, 'a', 10000 - 9 - 1 - before);
	struct wire_peer *client = says_startup(pairs, 10000 - 9);
	wire_expect_message(client, 'R', "");
	wire_expect_message(client, 'S', "application_name|aaa");
	wire_client_says(client, "X");
	uint8_t packet[16];
	message_put32(packet, 10001);
	message_put32(packet + 4, STARTUP_VERSION(3, 0));
	wire_expect_fatal(says(packet, 8), "08P01", "bad packet header: '0000271100030000'|");
	wire_expect_fatal(says(packet, 4), "08P01", "bad packet header: '00002711'|");
}
END_TEST

START_TEST(a_startup_packet_that_is_longer_than_its_pairs_is_refused)
{
	uint8_t packet[64];
	size_t size = put_startup(packet, STARTUP_VERSION(3, 0), PAIRS("user\0u1\0database\0db"));
	for (size_t length = 9; length < size; length++) {
		message_put32(packet, (uint32_t)length);
		if (packet[length - 1] == 0 && packet[length - 2] == 0)
			continue;
		struct wire_peer *client = says(packet, length);
		wire_expect_message(client, 'E', "SFATAL|VFATAL|C");
		wire_expect_closed(client);
		wire_hang_up(client);
	}
	packet[size] = 0;
	message_put32(packet, (uint32_t)size + 1);
	wire_expect_fatal(says(packet, size + 1), "08P01",
			  "invalid startup packet layout: expected terminator as last byte|");
	message_put32(packet, 8);
	wire_expect_fatal(says(packet, 8), "08P01",
			  "invalid startup packet layout: expected terminator as last byte|");
}
END_TEST

START_TEST(lengths_below_eight_are_refused)
{
	for (uint32_t length = 0; length < 8; length++) {
		uint8_t packet[8];
		message_put32(packet, length);
		message_put32(packet + 4, STARTUP_VERSION(3, 0));
		struct wire_peer *client = says(packet, sizeof packet);
		wire_expect_fatal(client, "08P01", "bad packet header: '");
	}
}
END_TEST

START_TEST(garbage_closes_that_connection_only)
{
	/* any first byte, then what looks like nothing, in one piece and byte by byte */
	for (unsigned first_byte = 1; first_byte < 256; first_byte++)
		for (size_t pieces = 0; pieces < 2; pieces++) {
			uint8_t bytes[64];
			for (size_t i = 0; i < sizeof bytes; i++)
				bytes[i] = (uint8_t)(first_byte + i * 37);
			struct wire_peer *client = wire_connect();
			for (size_t i = 0; pieces && i < 4; i++)
				wire_send(client, bytes + i, 1);
			if (!pieces)
				wire_send(client, bytes, sizeof bytes);
			wire_expect_fatal(client, "08P01",
					  first_byte == 'p'
						  ? "client password pkt before startup packet|"
						  : "bad packet header: '");
			wire_hang_up(client);
		}
}
END_TEST

START_TEST(a_typed_message_before_startup_is_refused)
{
	static const char types[] = "QXpPS";
	for (const char *type = types; *type; type++) {
		uint8_t bytes[64];
		wire_expect_fatal(says(bytes, wire_put(bytes, *type, "SELECT 1", 9)), "08P01",
				  *type == 'p' ? "client password pkt before startup packet|"
					       : "bad packet header: '");
	}
}
END_TEST

START_TEST(a_disabled_database_is_refused)
{
	registry_find_database("db")->is_disabled = true;
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db")), "57P03",
			  "database \"db\" is disabled|");
	registry_find_database("db")->is_disabled = false;
}
END_TEST

START_TEST(logins_are_refused_while_shutting_down)
{
	client_entry_refuse_logins(true);
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db")), "57P03",
			  "pooler is shutting down|");
	client_entry_refuse_logins(false);
}
END_TEST

START_TEST(a_request_may_come_with_the_startup_packet)
{
	uint8_t bytes[256];
	size_t size = put_startup(bytes, STARTUP_VERSION(3, 0), PAIRS("user\0u1\0database\0db"));
	size += wire_put(bytes + size, 'Q', "early", 6);
	struct wire_peer *client = says(bytes, size);
	wire_expect(client, "RSSSSSSSKZ");
	wire_expect_message(server, 'Q', "early|");
	wire_server_says(server, "CZ");
	wire_expect(client, "CZ");
	wire_client_says(client, "X");
}
END_TEST

START_TEST(terminate_behind_the_startup_packet_is_heard)
{
	uint8_t bytes[256];
	size_t size = put_startup(bytes, STARTUP_VERSION(3, 0), PAIRS("user\0u1\0database\0db"));
	size += wire_put_types(bytes + size, "X", false);
	struct wire_peer *client = says(bytes, size);
	wire_expect(client, "RSSSSSSSKZ");
	wire_expect_closed(client);
}
END_TEST

/* ---- limits ---- */

START_TEST(more_clients_than_allowed_are_refused)
{
	begin_with("max_client_conn = 2");
	struct wire_peer *second = wire_client();
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db")), "53300",
			  "no more connections allowed (max_client_conn)|");
	wire_hang_up(second);
	wire_hang_up(wire_client());
	finish();
}
END_TEST

/* So many connections that say nothing. */
static struct wire_peer **silent_ones(int count)
{
	static struct wire_peer *silent[200];
	for (int i = 0; i < count; i++)
		silent[i] = wire_connect();
	return silent;
}

START_TEST(whoever_comes_when_the_entrance_is_full_is_refused_at_the_door)
{
	begin_with("max_client_conn = 2\nlog_disconnections = 0\nlog_pooler_errors = 0");
	struct wire_peer **silent = silent_ones(2 + LIMIT_ENTRANCE - 1);
	/* Before it says anything, TLS least of all. */
	wire_expect_fatal(wire_connect(), "53300",
			  "no more connections allowed (max_client_conn)|");
	wire_expect_open(silent[0]);
	/* Who has been silent for a while makes room, the first that came first. */
	wire_advance(2 * USEC_PER_SECOND);
	struct wire_peer *late = wire_connect();
	wire_expect_open(late);
	wire_expect_fatal(silent[0], "53300", "no more connections allowed (max_client_conn)|");
	wire_expect_open(silent[1]);
	/* ... also for one that max_client_conn would refuse. */
	wire_say_startup(late, "u1", NULL, 0);
	wire_expect(late, "RSSSSSSSKZ");
	wire_expect_fatal(silent[1], "53300", "no more connections allowed (max_client_conn)|");
	wire_expect_open(silent[2]);
	wire_close();
}
END_TEST

START_TEST(more_clients_of_a_database_than_allowed_are_refused)
{
	begin_with("max_db_client_connections = 1");
	wire_expect_fatal(says_startup(PAIRS("user\0u2\0database\0db")), "53300",
			  "client connections exceeded (max_db_client_connections)|");
	finish();
}
END_TEST

START_TEST(more_clients_of_a_user_than_allowed_are_refused)
{
	begin_with("max_user_client_connections = 1");
	wire_expect_fatal(says_startup(PAIRS("user\0u1\0database\0db")), "53300",
			  "client connections exceeded (max_user_client_connections)|");
	finish();
}
END_TEST

START_TEST(ignored_parameters_are_passed_over)
{
	begin_with("ignore_startup_parameters = extra_float_digits, search_path");
	struct wire_peer *client =
		says_startup(PAIRS("user\0u1\0database\0db\0extra_float_digits\0003\0options\0-c "
				   "search_path=a -c TimeZone=UTC"));
	wire_expect_message(client, 'R', "");
	while (wire_next(client) && client->type == 'S')
		ck_assert(strncmp(client->text, "TimeZone", 8) ||
			  !strcmp(client->text, "TimeZone|UTC|"));
	ck_assert_uint_eq(client->type, 'K');
	wire_expect(client, "Z");
	wire_client_says(client, "X");
	finish();
}
END_TEST

/* ---- authentication ---- */

static void begin_scram(void)
{
	wire_open("auth_type = scram-sha-256", NULL);
}

static void say_sasl_initial(struct wire_peer *client, struct scram_client *scram)
{
	char text[SCRAM_MESSAGE_MAX];
	uint8_t body[SCRAM_MESSAGE_MAX + 32] = "SCRAM-SHA-256";
	ck_assert(scram_client_first(scram, text));
	message_put32(body + 14, (uint32_t)strlen(text));
	memcpy(body + 18, text, strlen(text));
	wire_say(client, 'p', body, 18 + strlen(text));
}

/* Up to the client's last message, which is left in @text. */
static struct wire_peer *begins_sasl(struct scram_client *scram, const char *user,
				     const char *password, char *text)
{
	struct error error;
	struct wire_peer *client = wire_connect();
	wire_say_startup(client, user, NULL, 0);
	wire_expect_message(client, 'R', "");
	ck_assert_mem_eq(client->body, "\0\0\0\nSCRAM-SHA-256\0", 19);
	ck_assert_str_eq(wire_state(client), "AUTH");
	scram_client_init(scram, password, NULL, NULL, 0, false);
	say_sasl_initial(client, scram);
	wire_expect_message(client, 'R', "r=");
	ck_assert(scram_client_challenge(scram, client->body + 4, client->size - 4, &error));
	struct scram_derivation derivation;
	if (scram_client_derivation(scram, &derivation)) {
		scram_derive(&derivation);
		scram_derivation_keep(&derivation);
		scram_derivation_fini(&derivation);
	}
	ck_assert(scram_client_final(scram, NULL, text, &error));
	return client;
}

START_TEST(a_right_password_logs_in)
{
	char text[SCRAM_MESSAGE_MAX];
	struct scram_client scram;
	struct error error;
	struct wire_peer *client = begins_sasl(&scram, "u1", "secret", text);
	wire_say(client, 'p', text, strlen(text));
	wire_expect_message(client, 'R', "v=");
	ck_assert(scram_client_verify(&scram, client->body + 4, client->size - 4, &error));
	wire_expect_message(client, 'R', "||||");
	ck_assert_str_eq(wire_state(client), "WELCOME");
	server = wire_server();
	wire_expect(client, "SSSSSSSKZ");
	scram_client_fini(&scram);
}
END_TEST

START_TEST(a_request_may_come_with_the_last_message_of_the_exchange)
{
	char text[SCRAM_MESSAGE_MAX];
	struct scram_client scram;
	uint8_t bytes[2048];
	struct wire_peer *client = begins_sasl(&scram, "u1", "secret", text);
	size_t size = wire_put(bytes, 'p', text, strlen(text));
	size += wire_put(bytes + size, 'Q', "early", 6);
	wire_send(client, bytes, size);
	server = wire_server();
	wire_expect(client, "RRSSSSSSSKZ");
	wire_expect_message(server, 'Q', "early|");
	scram_client_fini(&scram);
}
END_TEST

START_TEST(an_unknown_user_and_a_wrong_password_look_the_same)
{
	for (int i = 0; i < 2; i++) {
		char text[SCRAM_MESSAGE_MAX];
		struct scram_client scram;
		struct wire_peer *client = begins_sasl(&scram, i ? "nobody" : "u1", "guess", text);
		wire_say(client, 'p', text, strlen(text));
		wire_expect_fatal(client, "28P01", "SASL authentication failed|");
		scram_client_fini(&scram);
		ck_assert_ptr_null(wire_accept());
	}
}
END_TEST

START_TEST(every_truncation_of_the_exchange_ends_with_the_connection)
{
	char text[SCRAM_MESSAGE_MAX];
	struct scram_client scram;
	uint8_t bytes[SCRAM_MESSAGE_MAX + 8];
	size_t whole = 1;
	for (size_t cut = 0; cut < whole; cut++) {
		struct wire_peer *client = begins_sasl(&scram, "u1", "secret", text);
		whole = wire_put(bytes, 'p', text, strlen(text));
		wire_send(client, bytes, cut);
		wire_expect_nothing(client);
		wire_hang_up(client);
		ck_assert_uint_eq(client_count(), 0);
		scram_client_fini(&scram);
	}
	ck_assert_ptr_null(wire_accept());
}
END_TEST

START_TEST(malformed_answers_are_refused)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *message;
	} rows[] = {
		{"p\0\0\0\x04", 5, "malformed SASL message|"},
		{"p\0\0\0\x08MD5\0", 9, "malformed SASL message|"},
		{"p\0\0\0\x0dPLAIN\0\0\0\0", 15 - 1, ""},
		{"p\0\0\0\x03", 5, "bad packet header: '7000000003'|"},
		{"p\0\0\x27\x11", 5, "bad packet header: '7000002711'|"},
		{"p\xff\xff\xff\xff", 5, "bad packet header: '70ffffffff'|"},
		{"Q\0\0\0\x06x\0", 7, "unknown pkt|"},
		{"Q", 1, "unknown pkt|"},
		{"X\0\0\0\x04", 5, "unknown pkt|"},
		{"\0\0\0\x20\0\3\0\0", 8, "client re-sent startup pkt|"},
		{"\0", 1, "client re-sent startup pkt|"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wire_peer *client = wire_connect();
		wire_say_startup(client, "u1", NULL, 0);
		wire_expect(client, "R");
		wire_send(client, rows[i].bytes, rows[i].size);
		wire_expect_fatal(client, "08P01", rows[i].message);
		ck_assert_uint_eq(client_count(), 0);
	}
}
END_TEST

START_TEST(an_answer_before_the_question_is_refused)
{
	uint8_t bytes[256];
	size_t size = put_startup(bytes, STARTUP_VERSION(3, 0), PAIRS("user\0u1\0database\0db"));
	size += wire_put(bytes + size, 'p', "secret", 7);
	struct wire_peer *client = says(bytes, size);
	wire_expect_message(client, 'R', "");
	wire_expect_fatal(client, "08P01", "client password pkt before startup packet|");
}
END_TEST

/* ---- client_login_timeout ---- */

START_TEST(a_silent_client_is_closed_when_its_time_is_over)
{
	struct wire_peer *client = wire_connect();
	wire_advance(60 * USEC_PER_SECOND - 1);
	wire_expect_nothing(client);
	ck_assert_str_eq(wire_state(client), "STARTUP");
	wire_advance(1);
	wire_expect_fatal(client, "08P01", "client_login_timeout|");
}
END_TEST

START_TEST(half_a_startup_packet_does_not_stop_the_clock)
{
	struct wire_peer *client = wire_connect();
	wire_send(client, "\0\0", 2);
	wire_advance(30 * USEC_PER_SECOND);
	wire_send(client, "\0\x30\0", 3);
	wire_advance(30 * USEC_PER_SECOND - 1);
	wire_expect_nothing(client);
	wire_advance(1);
	wire_expect_fatal(client, "08P01", "client_login_timeout|");
}
END_TEST

START_TEST(a_client_that_does_not_answer_the_challenge_is_closed_when_its_time_is_over)
{
	begin_scram();
	struct wire_peer *client = wire_connect();
	wire_advance(10 * USEC_PER_SECOND);
	wire_say_startup(client, "u1", NULL, 0);
	wire_expect(client, "R");
	wire_advance(50 * USEC_PER_SECOND - 1);
	wire_expect_nothing(client);
	ck_assert_str_eq(wire_state(client), "AUTH");
	wire_advance(1);
	wire_expect_fatal(client, "08P01", "client_login_timeout|");
	wire_close();
}
END_TEST

START_TEST(a_client_that_waits_for_its_greeting_is_closed_when_its_time_is_over)
{
	static const char *const settings[] = {
		"", "client_login_timeout = 900",
		"client_login_timeout = 900\n[users]\nu1 = client_login_timeout=60"};
	static const char *const rows[] = {NULL, "client_login_timeout=60",
					   "client_login_timeout=800"};
	char text[256];
	snprintf(text, sizeof text, "server_connect_timeout = 0\n%s", settings[_i]);
	wire_open(text, rows[_i]);
	struct wire_peer *client = wire_connect();
	wire_advance(10 * USEC_PER_SECOND);
	wire_say_startup(client, "u1", NULL, 0);
	server = wire_accept(); /* it never answers */
	wire_expect(client, "R");
	wire_expect_pool("welcome 1 / login 1");
	wire_advance(50 * USEC_PER_SECOND - 1);
	wire_expect_nothing(client);
	ck_assert_str_eq(wire_state(client), "WELCOME");
	wire_advance(1);
	wire_expect_fatal(client, "08006", "client_login_timeout (server down)|");
	wire_close();
}
END_TEST

START_TEST(a_client_that_was_told_why_may_read_it_before_it_is_gone)
{
	struct wire_peer *client = wire_connect();
	wire_send(client, "garbage, and more of it than is read", 36);
	wire_settle();
	ck_assert_uint_eq(limit_connections(), 1); /* it takes nobody's place meanwhile */
	wire_advance(2 * USEC_PER_SECOND - 1);
	wire_advance(1);
	wire_expect_fatal(client, "08P01", "bad packet header: '676172626167652c'|");
}
END_TEST

Suite *suite_startup(void)
{
	Suite *suite = suite_create("wire/startup");
	TCase *tcase = tcase_create("packets");
	tcase_add_checked_fixture(tcase, begin, finish);
	tcase_add_test(tcase, the_greeting_is_complete);
	tcase_add_test(tcase, every_truncation_of_a_startup_packet_ends_with_the_connection);
	tcase_add_test(tcase, the_user_is_the_database_unless_one_is_named);
	tcase_add_test(tcase, a_database_that_does_not_exist_is_named_in_the_error);
	tcase_add_test(tcase, a_user_must_be_named);
	tcase_add_test(tcase, an_unknown_user_is_refused_with_trust);
	tcase_add_test(tcase, names_that_are_too_long_are_refused);
	tcase_add_test(tcase, what_is_no_name_of_a_parameter_is_refused);
	tcase_add_loop_test(tcase, what_cannot_be_taken_back_is_refused, 0, 5);
	tcase_add_test(tcase, too_many_parameters_are_refused);
	tcase_add_test(tcase, protocol_2_is_refused);
	tcase_add_test(tcase, versions_and_options_are_negotiated_and_keys_as_long_as_agreed);
	tcase_add_test(tcase, ssl_and_gss_are_answered_with_no_and_startup_follows);
	tcase_add_test(tcase, bytes_behind_an_encryption_request_are_refused);
	tcase_add_test(tcase, a_startup_packet_of_ten_thousand_bytes_passes_and_no_longer_one);
	tcase_add_test(tcase, a_startup_packet_that_is_longer_than_its_pairs_is_refused);
	tcase_add_test(tcase, lengths_below_eight_are_refused);
	tcase_add_test(tcase, garbage_closes_that_connection_only);
	tcase_add_test(tcase, a_typed_message_before_startup_is_refused);
	tcase_add_test(tcase, a_disabled_database_is_refused);
	tcase_add_test(tcase, logins_are_refused_while_shutting_down);
	tcase_add_test(tcase, a_request_may_come_with_the_startup_packet);
	tcase_add_test(tcase, terminate_behind_the_startup_packet_is_heard);
	tcase_add_test(tcase, a_silent_client_is_closed_when_its_time_is_over);
	tcase_add_test(tcase, half_a_startup_packet_does_not_stop_the_clock);
	tcase_add_test(tcase, a_client_that_was_told_why_may_read_it_before_it_is_gone);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("limits");
	tcase_add_test(tcase, more_clients_than_allowed_are_refused);
	tcase_add_test(tcase, whoever_comes_when_the_entrance_is_full_is_refused_at_the_door);
	tcase_add_test(tcase, more_clients_of_a_database_than_allowed_are_refused);
	tcase_add_test(tcase, more_clients_of_a_user_than_allowed_are_refused);
	tcase_add_test(tcase, a_parameter_that_is_not_tracked_may_be_refused);
	tcase_add_test(tcase, ignored_parameters_are_passed_over);
	tcase_add_test(tcase,
		       a_client_that_does_not_answer_the_challenge_is_closed_when_its_time_is_over);
	tcase_add_loop_test(
		tcase, a_client_that_waits_for_its_greeting_is_closed_when_its_time_is_over, 0, 3);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("authentication");
	tcase_add_checked_fixture(tcase, begin_scram, wire_close);
	tcase_add_test(tcase, a_right_password_logs_in);
	tcase_add_test(tcase, a_request_may_come_with_the_last_message_of_the_exchange);
	tcase_add_test(tcase, an_unknown_user_and_a_wrong_password_look_the_same);
	tcase_add_test(tcase, every_truncation_of_the_exchange_ends_with_the_connection);
	tcase_add_test(tcase, malformed_answers_are_refused);
	tcase_add_test(tcase, an_answer_before_the_question_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
