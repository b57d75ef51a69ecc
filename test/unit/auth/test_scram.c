/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/scram.h"
#include "core/error.h"
#include "core/memory.h"
#include "../suite.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *suite_scram(void);

/* RFC 7677, section 3: user "user", password "pencil" */
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE CLIENT_NONCE SERVER_NONCE
#define CLIENT_FIRST "n,,n=user,r=" CLIENT_NONCE
#define SERVER_FIRST "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define CLIENT_FINAL "c=biws,r=" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
#define STORED                                                                                     \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":"                                                                                        \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static struct scram_server server;
static struct scram_client client;
static char reply[SCRAM_MESSAGE_MAX];
static struct error error;

/* Steps on exact copies, so that a read past the end is seen. */
static bool server_step(bool (*step)(struct scram_server *, const uint8_t *, size_t, char *,
				     struct error *),
			const char *message, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, message, size);
	error = (struct error){0};
	bool good = step(&server, copy, size, reply, &error);
	free(copy);
	return good;
}

static bool plain_first(struct scram_server *state, const uint8_t *message, size_t size,
			char *answer, struct error *why)
{
	return scram_server_first(state, false, message, size, answer, why);
}

static bool plus_first(struct scram_server *state, const uint8_t *message, size_t size,
		       char *answer, struct error *why)
{
	return scram_server_first(state, true, message, size, answer, why);
}

static bool server_first(const char *message)
{
	return server_step(plain_first, message, strlen(message));
}

static bool server_final(const char *message)
{
	return server_step(scram_server_final, message, strlen(message));
}

/* The keys are derived here and kept in the cache, as the caller does in a thread. */
static bool answer_challenge(struct scram_client *state, char *answer, struct error *why)
{
	struct scram_derivation derivation;
	if (!scram_client_derivation(state, &derivation))
		return scram_client_final(state, NULL, answer, why);
	scram_derive(&derivation);
	scram_derivation_keep(&derivation);
	bool good = scram_client_final(state, &derivation, answer, why);
	scram_derivation_fini(&derivation);
	return good;
}

static bool client_final(const char *message, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, message, size);
	error = (struct error){0};
	*reply = '\0';
	bool good = scram_client_challenge(&client, copy, size, &error) &&
		    answer_challenge(&client, reply, &error);
	free(copy);
	return good;
}

static bool client_verify(const char *message, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, message, size);
	error = (struct error){0};
	bool good = scram_client_verify(&client, copy, size, &error);
	free(copy);
	return good;
}

/* The RFC's server, before the first message. */
static void begin_server(void)
{
	struct secret secret = secret_from_text(STORED);
	scram_server_fini(&server);
	scram_server_init(&server, &secret, "user", 4096, NULL, 0);
	strcpy(server.nonce, SERVER_NONCE);
}

/* The RFC's client, before the server's first message. */
static void begin_client(const char *password)
{
	scram_client_fini(&client);
	scram_client_init(&client, password, NULL, NULL, 0, false);
	strcpy(client.nonce, CLIENT_NONCE);
	ck_assert(scram_client_first(&client, reply));
	ck_assert_str_eq(reply, "n,,n=,r=" CLIENT_NONCE);
	memory_free(&client.client_first_bare);
	client.client_first_bare = memory_strdup("n=user,r=" CLIENT_NONCE);
}

static void setup(void)
{
	scram_client_init(&client, "", NULL, NULL, 0, false);
	scram_server_init(&server, NULL, "", 1, NULL, 0);
}

static void teardown(void)
{
	scram_client_fini(&client);
	scram_server_fini(&server);
	key_cache_release();
	scram_release();
}

START_TEST(the_rfcs_server_says_what_the_rfc_says)
{
	uint8_t stored_key[DIGEST_SHA256];
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert_str_eq(reply, SERVER_FIRST);
	ck_assert(server_final(CLIENT_FINAL));
	ck_assert_str_eq(reply, SERVER_FINAL);
	/* The client's key is what hashes to the stored one. */
	digest_sha256(server.client_key, DIGEST_SHA256, stored_key);
	ck_assert_mem_eq(stored_key, server.secret.stored_key, DIGEST_SHA256);
}
END_TEST

START_TEST(the_rfcs_client_says_what_the_rfc_says)
{
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	ck_assert_str_eq(reply, CLIENT_FINAL);
	ck_assert(client_verify(SERVER_FINAL, strlen(SERVER_FINAL)));
}
END_TEST

/* What was last replied, for the other side. */
static const uint8_t *said(void)
{
	static char copy[SCRAM_MESSAGE_MAX];
	return memcpy(copy, reply, sizeof(copy));
}

/* How a login is bound to its connection, as each side sees it. */
struct binding {
	uint8_t data[SCRAM_BINDING_MAX];
	size_t size;
};

/* A whole login of our client at our server. @keys instead of a password: left by another login.
 */
static bool login_bound(const struct secret *secret, const char *password,
			const struct scram_keys *keys, const struct binding *ours,
			const struct binding *seen, bool offers_plus)
{
	struct scram_client mine;
	struct scram_server theirs;
	bool good = false;
	scram_client_init(&mine, password, keys, seen->data, seen->size, offers_plus);
	scram_server_init(&theirs, secret, "bob", 100, ours->data, ours->size);
	error = (struct error){0};
	bool is_plus = strcmp(scram_client_mechanism(&mine), SCRAM_PLUS_NAME) == 0;
	ck_assert(scram_client_first(&mine, reply));
	if (scram_server_first(&theirs, is_plus, said(), strlen(reply), reply, &error)) {
		ck_assert(scram_client_challenge(&mine, said(), strlen(reply), &error));
		ck_assert(answer_challenge(&mine, reply, &error));
		good = scram_server_final(&theirs, said(), strlen(reply), reply, &error);
	}
	if (good) {
		struct scram_keys left;
		ck_assert(scram_client_verify(&mine, said(), strlen(reply), &error));
		/* What a client's login leaves is enough to log in with. */
		memcpy(left.client_key, theirs.client_key, DIGEST_SHA256);
		memcpy(left.server_key, theirs.secret.server_key, DIGEST_SHA256);
		if (password)
			ck_assert(login_bound(secret, NULL, &left, ours, seen, offers_plus));
	}
	scram_client_fini(&mine);
	scram_server_fini(&theirs);
	return good;
}

static bool login(const struct secret *secret, const char *password)
{
	const struct binding none = {.size = 0};
	return login_bound(secret, password, NULL, &none, &none, false);
}

START_TEST(whoever_knows_the_password_logs_in)
{
	struct secret secret = secret_from_text("pencil");
	ck_assert(login(&secret, "pencil"));
	secret = secret_from_text(STORED);
	ck_assert(login(&secret, "pencil"));
	secret = secret_from_text("I\xc2\xadX"); /* both sides normalise */
	ck_assert(login(&secret, "\xe2\x85\xa8"));
}
END_TEST

START_TEST(what_was_made_from_a_plain_secret_serves_again)
{
	enum { ITERATIONS = 100 }; /* of login() */
	struct secret secret = secret_from_text("pencil");
	ck_assert(!scram_has_made(&secret, ITERATIONS) && !scram_has_made(NULL, ITERATIONS));
	scram_server_fini(&server);
	scram_server_init(&server, &secret, "bob", ITERATIONS, NULL, 0);
	struct scram_secret made = server.secret;
	secret.scram = &made;
	ck_assert(scram_has_made(&secret, ITERATIONS));
	ck_assert(!scram_has_made(&secret, ITERATIONS + 1)); /* scram_iterations was changed */
	scram_server_fini(&server);
	scram_server_init(&server, &secret, "bob", ITERATIONS, NULL, 0);
	ck_assert_mem_eq(server.secret.stored_key, made.stored_key, sizeof made.stored_key);
	ck_assert_mem_eq(server.secret.salt, made.salt, sizeof made.salt);
	ck_assert(login(&secret, "pencil"));
	ck_assert(!login(&secret, "pencik"));
	/* It is what is held against the proof, unless it has other iterations. */
	made.stored_key[0] ^= 1;
	ck_assert(!login(&secret, "pencil"));
	made.iterations = ITERATIONS + 1;
	ck_assert(login(&secret, "pencil"));
}
END_TEST

START_TEST(whoever_does_not_is_told_the_same_always)
{
	static const char *const texts[] = {"pencil", STORED, "md5e4f70fb0b8f2745aa7a69557c80cbd0c",
					    "", NULL};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct secret secret = secret_from_text(texts[i]);
		ck_assert(!login(texts[i] ? &secret : NULL, "pencik"));
		ck_assert_str_eq(error.message, "SASL authentication failed");
		ck_assert_str_eq(error.sqlstate, "28P01");
		ck_assert_str_eq(error.detail, "");
		ck_assert_str_eq(reply, "");
		ck_assert(!login(texts[i] ? &secret : NULL, ""));
	}
}
END_TEST

/* The server's first message without its nonce. */
static void first_of(const struct secret *secret, const char *user, char text[SCRAM_MESSAGE_MAX])
{
	scram_server_fini(&server);
	scram_server_init(&server, secret, user, 4096, NULL, 0);
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(strncmp(reply, "r=" CLIENT_NONCE, 2 + strlen(CLIENT_NONCE)) == 0);
	ck_assert_ptr_nonnull(strchr(reply, ','));
	strcpy(text, strchr(reply, ','));
}

START_TEST(an_unknown_user_looks_like_a_known_one)
{
	char first[SCRAM_MESSAGE_MAX], again[SCRAM_MESSAGE_MAX];
	struct secret plain = secret_from_text("pencil"),
		      md5 = secret_from_text("md5e4f70fb0b8f2745aa7a69557c80cbd0c");
	first_of(NULL, "nobody", first);
	ck_assert(server.doomed);
	ck_assert_uint_eq(strlen(first), strlen(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
	ck_assert_str_eq(first + strlen(first) - 7, ",i=4096");
	first_of(NULL, "nobody", again);
	ck_assert_str_eq(first, again);
	first_of(&md5, "nobody", again);
	ck_assert(server.doomed);
	ck_assert_str_eq(first, again);
	first_of(&plain, "nobody", again);
	ck_assert(!server.doomed);
	ck_assert_str_eq(first, again);
	first_of(NULL, "nobody2", again);
	ck_assert_str_ne(first, again);
}
END_TEST

/* As in a process that begins: the salt of a name. */
static void salt_from(const char *const *paths, size_t count, char text[SCRAM_MESSAGE_MAX])
{
	scram_release();
	scram_salts_from(paths, count);
	first_of(NULL, "nobody", text);
}

START_TEST(salts_are_the_same_wherever_the_same_is_said)
{
	char first[SCRAM_MESSAGE_MAX], again[SCRAM_MESSAGE_MAX];
	char path[2][32] = {"/tmp/salts.XXXXXX", "/tmp/salts.XXXXXX"};
	for (int i = 0; i < 2; i++) {
		int fd = mkstemp(path[i]);
		ck_assert_int_eq(write(fd, "0123456789abcdef0123456789abcde", 31), 31);
		close(fd);
	}
	const char *const both[] = {path[0], path[1]}, *const none[] = {NULL, "/tmp/salts.none"};
	salt_from(both, 2, first); /* both too short: random */
	salt_from(both, 2, again);
	ck_assert_str_ne(first, again);
	salt_from(none, 2, again);
	ck_assert_str_ne(first, again);
	int fd = open(path[0], O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, "f", 1), 1);
	close(fd);
	salt_from(both, 1, first);
	salt_from(both, 2, again);
	ck_assert_str_eq(first, again);
	scram_salts_from(none, 2); /* once is for good */
	first_of(NULL, "nobody", again);
	ck_assert_str_eq(first, again);
	fd = open(path[1], O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, "g", 1), 1);
	close(fd);
	salt_from(both, 2, again);
	ck_assert_str_ne(first, again);
	salt_from(both + 1, 1, first);
	ck_assert_str_ne(first, again);
	unlink(path[0]);
	unlink(path[1]);
}
END_TEST

START_TEST(a_mock_fails_even_with_its_own_keys_right)
{
	/* Play the mock's own keys back: only what is doomed keeps this client out. */
	uint8_t client_key[DIGEST_SHA256] = {1};
	struct scram_client mine;
	struct scram_server theirs;
	scram_server_init(&theirs, NULL, "nobody", 100, NULL, 0);
	digest_sha256(client_key, sizeof(client_key), theirs.secret.stored_key);
	struct scram_keys keys;
	memcpy(keys.client_key, client_key, DIGEST_SHA256);
	memcpy(keys.server_key, theirs.secret.server_key, DIGEST_SHA256);
	scram_client_init(&mine, NULL, &keys, NULL, 0, false);
	ck_assert(scram_client_first(&mine, reply));
	ck_assert(scram_server_first(&theirs, false, said(), strlen(reply), reply, &error));
	ck_assert(scram_client_challenge(&mine, said(), strlen(reply), &error));
	ck_assert(answer_challenge(&mine, reply, &error));
	ck_assert(!scram_server_final(&theirs, said(), strlen(reply), reply, &error));
	ck_assert_str_eq(error.message, "SASL authentication failed");
	scram_client_fini(&mine);
	scram_server_fini(&theirs);
}
END_TEST

START_TEST(nonces_differ_each_time)
{
	struct scram_client one, two;
	scram_client_init(&one, "x", NULL, NULL, 0, false);
	scram_client_init(&two, "x", NULL, NULL, 0, false);
	ck_assert_uint_eq(strlen(one.nonce), 24);
	ck_assert_str_ne(one.nonce, two.nonce);
	scram_client_fini(&one);
	scram_client_fini(&two);
	char nonce[128];
	scram_server_fini(&server);
	scram_server_init(&server, NULL, "x", 1, NULL, 0);
	strcpy(nonce, server.nonce);
	ck_assert_uint_eq(strlen(nonce), 24);
	scram_server_fini(&server);
	scram_server_init(&server, NULL, "x", 1, NULL, 0);
	ck_assert_str_ne(nonce, server.nonce);
}
END_TEST

START_TEST(first_messages_are_accepted_or_refused)
{
	static const struct {
		const char *message, *refusal; /* NULL: accepted */
	} rows[] = {
		{"n,,n=,r=abc", NULL},
		{"y,,n=,r=abc", NULL},
		{"n,,n=anybody=2Cat,r=abc", NULL},
		{"n,,n=,r=abc,x=ext,Y=more", NULL},
		{"p=tls-server-end-point,,n=,r=abc", "malformed SCRAM message"},
		{"p,,n=,r=abc", "malformed SCRAM message"},
		{"x,,n=,r=abc", "malformed SCRAM message"},
		{"n,a=bob,n=,r=abc", "client uses authorization identity, but it is not supported"},
		{"n,b,n=,r=abc", "malformed SCRAM message"},
		{"n,,m=ext,n=,r=abc", "client requires an unsupported SCRAM extension"},
		{"n,,r=abc", "malformed SCRAM message"},
		{"n,,n=,r=", "malformed SCRAM message"},
		{"n,,n=,r=a b", "malformed SCRAM message"},
		{"n,,n=,r=a\x7f", "malformed SCRAM message"},
		{"n,,n=,r=a\xc3\xa4", "malformed SCRAM message"},
		{"n,,n=,r=abc,", "malformed SCRAM message"},
		{"n,,n=,r=abc,1=x", "malformed SCRAM message"},
		{"n,,n=,r=abc,x", "malformed SCRAM message"},
		{"n,,n,r=abc", "malformed SCRAM message"},
		{"", "malformed SCRAM message"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin_server();
		bool good = server_first(rows[i].message);
		ck_assert_msg(good == !rows[i].refusal, "%s", rows[i].message);
		ck_assert_str_eq(error.message, rows[i].refusal ? rows[i].refusal : "");
		ck_assert(good == (*reply != '\0'));
		/* After a refusal nothing goes on. */
		if (!good)
			ck_assert(!server_final(CLIENT_FINAL));
	}
}
END_TEST

START_TEST(a_long_nonce_or_message_is_refused)
{
	char message[SCRAM_MESSAGE_MAX + 100] = "n,,n=,r=";
	size_t head = strlen(message), own = strlen(SERVER_NONCE);
	for (size_t length = 1; length < 140; length++) {
		memset(message + head, 'x', length);
		message[head + length] = '\0';
		begin_server();
		ck_assert_int_eq(server_first(message), length + own < sizeof(server.nonce));
	}
	memset(message, 'x', sizeof(message));
	memcpy(message, "n,,n=", 5);
	memcpy(message + SCRAM_MESSAGE_MAX - 6, ",r=abcd", 8);
	begin_server();
	ck_assert(server_step(plain_first, message, SCRAM_MESSAGE_MAX));
	begin_server();
	ck_assert(!server_step(plain_first, message, SCRAM_MESSAGE_MAX + 1));
	begin_server();
	ck_assert(!server_step(plain_first, "n,,n=,r=abc\0x", 13));
}
END_TEST

START_TEST(the_channel_binding_must_repeat_the_header)
{
	static const struct {
		const char *header, *binding;
		bool good;
	} rows[] = {{"n", "biws", true},  {"y", "eSws", true}, {"n", "eSws", false},
		    {"y", "biws", false}, {"n", "", false},    {"n", "cD10bHM=", false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char message[200];
		begin_server();
		snprintf(message, sizeof(message), "%s,,n=user,r=" CLIENT_NONCE, rows[i].header);
		ck_assert(server_first(message));
		snprintf(message, sizeof(message),
			 "c=%s,r=%s,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			 rows[i].binding, NONCE);
		bool good = server_final(message);
		ck_assert_int_eq(good, rows[i].good && rows[i].header[0] == 'n');
		/* A good header comes as far as the proof, which is for "n". */
		ck_assert_str_eq(error.sqlstate, good ? "" : rows[i].good ? "28P01" : "08P01");
	}
}
END_TEST

START_TEST(every_truncation_of_a_clients_message_is_refused)
{
	size_t shortest = strlen("n,,n=user,r=x");
	for (size_t size = 0; size < strlen(CLIENT_FIRST); size++) {
		begin_server();
		ck_assert_int_eq(server_step(plain_first, CLIENT_FIRST, size), size >= shortest);
	}
	for (size_t size = 0; size < strlen(CLIENT_FINAL); size++) {
		begin_server();
		ck_assert(server_first(CLIENT_FIRST));
		ck_assert(!server_step(scram_server_final, CLIENT_FINAL, size));
		ck_assert_str_eq(error.sqlstate, "08P01");
		ck_assert_str_eq(reply, "");
	}
}
END_TEST

START_TEST(every_mutation_of_a_clients_answer_is_refused)
{
	for (size_t at = 0; at < strlen(CLIENT_FINAL); at++) {
		for (int bit = 0; bit < 8; bit++) {
			char message[] = CLIENT_FINAL;
			message[at] = (char)(message[at] ^ 1 << bit);
			begin_server();
			ck_assert(server_first(CLIENT_FIRST));
			ck_assert_msg(
				!server_step(scram_server_final, message, strlen(CLIENT_FINAL)),
				"%s", message);
			ck_assert_str_eq(reply, "");
			uint8_t zero[DIGEST_SHA256] = {0};
			ck_assert_mem_eq(server.client_key, zero, DIGEST_SHA256);
		}
	}
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(!server_final(CLIENT_FINAL ",x=y"));
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(!server_final(CLIENT_FINAL ","));
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(!server_final("c=biws,r=" NONCE ",p=")); /* an empty proof */
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(!server_final("c=biws,r=" NONCE ",x=y"));
}
END_TEST

START_TEST(every_mutation_of_a_clients_first_message_ends_refused)
{
	/* What the client said first is signed too: changed on the way, the proof no longer fits.
	 */
	for (size_t at = 0; at < strlen(CLIENT_FIRST); at++) {
		for (int bit = 0; bit < 8; bit++) {
			char message[] = CLIENT_FIRST;
			message[at] = (char)(message[at] ^ 1 << bit);
			begin_server();
			if (server_step(plain_first, message, strlen(CLIENT_FIRST)))
				ck_assert_msg(!server_final(CLIENT_FINAL), "%s", message);
		}
	}
}
END_TEST

START_TEST(steps_out_of_order_are_refused)
{
	begin_server();
	ck_assert(!server_final(CLIENT_FINAL));
	ck_assert(!server_first(CLIENT_FIRST));
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(!server_first(CLIENT_FIRST));
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(server_final(CLIENT_FINAL));
	ck_assert(!server_final(CLIENT_FINAL));

	begin_client("pencil");
	ck_assert(!scram_client_first(&client, reply));
	begin_client("pencil");
	ck_assert(!client_verify(SERVER_FINAL, strlen(SERVER_FINAL)));
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	ck_assert(!client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
}
END_TEST

START_TEST(a_servers_bad_first_message_is_refused)
{
	static const char *const rows[] = {
		"",
		"m=ext," SERVER_FIRST,
		"r=" CLIENT_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing added */
		"r=x" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=rOpr,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=" NONCE " x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=" NONCE ",s=,i=4096",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ=,i=4096",
		"r=" NONCE ",i=4096",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0x100",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096x",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,",
		"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,x=y",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin_client("pencil");
		ck_assert_msg(!client_final(rows[i], strlen(rows[i])), "%s", rows[i]);
		ck_assert_str_eq(error.message, "malformed SCRAM message from server");
		ck_assert_str_eq(error.sqlstate, "08P01");
		ck_assert_str_eq(reply, "");
		ck_assert(!client_verify(SERVER_FINAL, strlen(SERVER_FINAL)));
	}
	begin_client("pencil");
	const char many[] = "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001";
	ck_assert(!client_final(many, strlen(many)));
	ck_assert_str_eq(error.message,
			 "server demands 1000001 SCRAM iterations, at most 1000000 are allowed");
}
END_TEST

START_TEST(the_longest_nonce_of_a_server_fits_our_answer)
{
	const char *rest = ",s=AA==,i=1";
	size_t head = strlen("r=" CLIENT_NONCE), most = SCRAM_MESSAGE_MAX - head - strlen(rest);
	int accepted = 0, refused = 0;
	for (size_t length = most - 400; length <= most; length++) {
		char message[SCRAM_MESSAGE_MAX + 1] = "r=" CLIENT_NONCE;
		memset(message + head, 'x', length);
		strcpy(message + head + length, rest);
		begin_client("pencil");
		if (client_final(message, strlen(message))) {
			accepted++;
			ck_assert_str_eq(reply + strlen(reply) - 1, "=");
			ck_assert_uint_eq(strlen(reply), strlen("c=biws,r=,p=") +
								 strlen(CLIENT_NONCE) + length +
								 44);
		} else {
			refused++;
			ck_assert_str_eq(error.detail, "The nonce is too long.");
		}
	}
	ck_assert_int_gt(accepted, 0);
	ck_assert_int_gt(refused, 0);
}
END_TEST

START_TEST(every_truncation_of_a_servers_message_is_refused)
{
	for (size_t size = 0; size < strlen(SERVER_FIRST); size++) {
		begin_client("pencil");
		/* "i=4", "i=40" and "i=409" are whole, but another number. */
		bool good = client_final(SERVER_FIRST, size);
		ck_assert_int_eq(good, size >= strlen(SERVER_FIRST) - 3);
		if (good)
			ck_assert_str_ne(reply, CLIENT_FINAL);
	}
	for (size_t size = 0; size < strlen(SERVER_FINAL); size++) {
		begin_client("pencil");
		ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
		ck_assert(!client_verify(SERVER_FINAL, size));
	}
}
END_TEST

START_TEST(every_mutation_of_a_servers_signature_is_refused)
{
	/* With keys, so that the iterations are not computed each time. */
	struct scram_keys keys;
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	keys = client.keys;
	for (size_t at = 0; at <= strlen(SERVER_FINAL); at++) {
		for (int bit = 0; bit < 8; bit++) {
			char message[] = SERVER_FINAL;
			bool is_same = at == strlen(SERVER_FINAL);
			if (!is_same)
				message[at] = (char)(message[at] ^ 1 << bit);
			scram_client_fini(&client);
			scram_client_init(&client, NULL, &keys, NULL, 0, false);
			strcpy(client.nonce, CLIENT_NONCE);
			ck_assert(scram_client_first(&client, reply));
			memory_free(&client.client_first_bare);
			client.client_first_bare = memory_strdup("n=user,r=" CLIENT_NONCE);
			ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
			ck_assert_str_eq(reply, CLIENT_FINAL);
			ck_assert_int_eq(client_verify(message, strlen(SERVER_FINAL)), is_same);
		}
	}
}
END_TEST

START_TEST(a_server_that_does_not_know_the_secret_is_found_out)
{
	const char other[] = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	ck_assert(!client_verify(other, strlen(other)));
	ck_assert_str_eq(error.message,
			 "SASL authentication failed: the server does not know the password");
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	ck_assert(!client_verify("e=invalid\nproof", 15));
	ck_assert_str_eq(error.message,
			 "error received from server in SCRAM exchange: invalid?proof");
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	ck_assert(!client_verify(SERVER_FINAL ",x=y", strlen(SERVER_FINAL) + 4));
}
END_TEST

static bool is_erased(const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (((const uint8_t *)bytes)[i])
			return false;
	}
	return true;
}

START_TEST(nothing_is_left_of_a_finished_exchange)
{
	begin_server();
	ck_assert(server_first(CLIENT_FIRST));
	ck_assert(server_final(CLIENT_FINAL));
	scram_server_fini(&server);
	ck_assert(is_erased(&server, offsetof(struct scram_server, phase)));
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	scram_client_fini(&client);
	ck_assert(is_erased(&client, offsetof(struct scram_client, phase)));
	ck_assert(!scram_client_first(&client, reply));
	ck_assert(!server_first(CLIENT_FIRST));
}
END_TEST

static const struct binding none = {.size = 0}, ours = {.data = {1, 2, 3, 255}, .size = 32},
			    other = {.data = {1, 2, 3, 254}, .size = 32},
			    shorter = {.data = {1, 2, 3, 255}, .size = 20},
			    longest = {.data = {7}, .size = SCRAM_BINDING_MAX};

START_TEST(each_mechanism_and_flag_ends_as_it_must)
{
	static const struct {
		const struct binding *ours, *seen;
		bool offers_plus;
		const char *mechanism, *refusal, *sqlstate;
	} rows[] = {
		/* no TLS: 'n' */
		{&none, &none, false, SCRAM_NAME, NULL, ""},
		/* TLS, but the client has no data for it: 'n' */
		{&ours, &none, true, SCRAM_NAME, NULL, ""},
		/* TLS, and the server truly has no channel binding: 'y' */
		{&none, &ours, false, SCRAM_NAME, NULL, ""},
		/* the server's offer was taken away: 'y' is found out */
		{&ours, &ours, false, SCRAM_NAME, "SCRAM channel binding negotiation error",
		 "28000"},
		{&ours, &ours, true, SCRAM_PLUS_NAME, NULL, ""},
		{&longest, &longest, true, SCRAM_PLUS_NAME, NULL, ""},
		{&ours, &other, true, SCRAM_PLUS_NAME, "SCRAM channel binding check failed",
		 "28000"},
		{&ours, &shorter, true, SCRAM_PLUS_NAME, "SCRAM channel binding check failed",
		 "28000"},
		{&shorter, &ours, true, SCRAM_PLUS_NAME, "SCRAM channel binding check failed",
		 "28000"},
		/* chosen without an offer */
		{&none, &ours, true, SCRAM_PLUS_NAME, "malformed SCRAM message", "08P01"},
	};
	struct secret stored = secret_from_text(STORED);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct scram_client probe;
		scram_client_init(&probe, "pencil", NULL, rows[i].seen->data, rows[i].seen->size,
				  rows[i].offers_plus);
		ck_assert_str_eq(scram_client_mechanism(&probe), rows[i].mechanism);
		scram_client_fini(&probe);
		bool good = login_bound(&stored, "pencil", NULL, rows[i].ours, rows[i].seen,
					rows[i].offers_plus);
		ck_assert_msg(good == !rows[i].refusal, "row %zu", i);
		ck_assert_str_eq(error.message, rows[i].refusal ? rows[i].refusal : "");
		ck_assert_str_eq(error.sqlstate, rows[i].sqlstate);
		ck_assert(!login_bound(&stored, "pencik", NULL, rows[i].ours, rows[i].seen,
				       rows[i].offers_plus));
	}
}
END_TEST

static void begin_bound_server(void)
{
	struct secret secret = secret_from_text(STORED);
	scram_server_fini(&server);
	scram_server_init(&server, &secret, "user", 4096, ours.data, ours.size);
	strcpy(server.nonce, SERVER_NONCE);
}

START_TEST(the_flag_must_fit_the_mechanism)
{
	static const struct {
		const char *header;
		bool is_plus, good;
	} rows[] = {
		{"n,,", false, true},
		{"n,,", true, false},
		{"y,,", false, false},
		{"y,,", true, false},
		{"p=tls-server-end-point,,", false, false},
		{"p=tls-server-end-point,,", true, true},
		{"p=tls-unique,,", true, false},
		{"p=tls-exporter,,", true, false},
		{"p=tls-server-end-pointx,,", true, false},
		{"p=tls-server-end-point,a=bob,", true, false},
		{"p=tls-server-end-point,", true, false},
		{"p=,,", true, false},
		{"p,,", true, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char message[200];
		snprintf(message, sizeof(message), "%sn=user,r=" CLIENT_NONCE, rows[i].header);
		begin_bound_server();
		bool good = server_step(rows[i].is_plus ? plus_first : plain_first, message,
					strlen(message));
		ck_assert_msg(good == rows[i].good, "%s %d", rows[i].header, rows[i].is_plus);
		ck_assert_int_eq(good, !*error.sqlstate);
	}
}
END_TEST

START_TEST(every_change_of_a_bound_answer_is_refused)
{
	static const char first[] = "p=tls-server-end-point,,n=user,r=" CLIENT_NONCE;
	struct scram_keys keys;
	char answer[SCRAM_MESSAGE_MAX];
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	keys = client.keys;
	scram_client_fini(&client);
	scram_client_init(&client, NULL, &keys, ours.data, ours.size, true);
	strcpy(client.nonce, CLIENT_NONCE);
	ck_assert(scram_client_first(&client, reply));
	memory_free(&client.client_first_bare);
	client.client_first_bare = memory_strdup("n=user,r=" CLIENT_NONCE);
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	strcpy(answer, reply);
	size_t length = strlen(answer);
	for (size_t at = 0; at <= length; at++) {
		for (int bit = 0; bit < 8; bit++) {
			char message[SCRAM_MESSAGE_MAX];
			strcpy(message, answer);
			if (at < length)
				message[at] = (char)(message[at] ^ 1 << bit);
			begin_bound_server();
			ck_assert(server_step(plus_first, first, strlen(first)));
			ck_assert_int_eq(server_step(scram_server_final, message, length),
					 at == length);
		}
		begin_bound_server();
		ck_assert(server_step(plus_first, first, strlen(first)));
		ck_assert_int_eq(server_step(scram_server_final, answer, at), at == length);
	}
	/* The header of another flag, with a good nonce: the binding itself is compared. */
	begin_bound_server();
	ck_assert(server_step(plus_first, first, strlen(first)));
	ck_assert(!server_final(CLIENT_FINAL));
	ck_assert_str_eq(error.message, "SCRAM channel binding check failed");
}
END_TEST

START_TEST(keys_are_derived_once)
{
	struct scram_derivation derivation;
	struct secret secret = secret_from_text("once");
	key_cache_release();
	ck_assert(scram_server_derivation("once", "bob", 100, &derivation));
	ck_assert_uint_eq(derivation.iterations, 100);
	scram_derive(&derivation);
	scram_derivation_keep(&derivation);
	scram_derivation_fini(&derivation);
	ck_assert_ptr_null(derivation.password);
	ck_assert(!scram_server_derivation("once", "bob", 100, &derivation));
	ck_assert(scram_server_derivation("once", "bob", 101, &derivation));
	scram_derivation_fini(&derivation);
	ck_assert(scram_server_derivation("once", "eve", 100, &derivation));
	scram_derivation_fini(&derivation);
	ck_assert(scram_server_derivation("twice", "bob", 100, &derivation));
	scram_derivation_fini(&derivation);
	ck_assert(login(&secret, "once"));
	ck_assert(!login(&secret, "twice"));
}
END_TEST

START_TEST(a_password_is_as_long_as_a_secret_may_be)
{
	static const uint8_t salt[16];
	for (size_t length = SECRET_LENGTH_MAX; length <= SECRET_LENGTH_MAX + 1; length++) {
		char *password = malloc(length + 1);
		memset(password, 'x', length);
		password[length] = '\0';
		struct scram_derivation derivation;
		scram_derivation_init(&derivation, password, salt, sizeof(salt), 1);
		scram_derive(&derivation);
		ck_assert_int_eq(derivation.failed, length > SECRET_LENGTH_MAX);
		scram_derivation_fini(&derivation);
		struct secret secret = {.kind = SECRET_PLAIN, .text = password};
		ck_assert_int_eq(login_bound(&secret, "y", NULL, &none, &none, false), false);
		if (length <= SECRET_LENGTH_MAX)
			ck_assert(login(&secret, password));
		free(password);
	}
}
END_TEST

START_TEST(every_mutation_of_a_servers_first_message_ends_refused)
{
	/* Keys given: what is tested is the exchange, not the derivation. */
	struct scram_keys keys;
	begin_client("pencil");
	ck_assert(client_final(SERVER_FIRST, strlen(SERVER_FIRST)));
	keys = client.keys;
	for (size_t at = 0; at < strlen(SERVER_FIRST); at++) {
		for (int bit = 0; bit < 8; bit++) {
			char message[] = SERVER_FIRST;
			message[at] = (char)(message[at] ^ 1 << bit);
			scram_client_fini(&client);
			scram_client_init(&client, NULL, &keys, NULL, 0, false);
			strcpy(client.nonce, CLIENT_NONCE);
			ck_assert(scram_client_first(&client, reply));
			memory_free(&client.client_first_bare);
			client.client_first_bare = memory_strdup("n=user,r=" CLIENT_NONCE);
			if (!client_final(message, strlen(SERVER_FIRST)))
				continue;
			/* The true server neither takes that answer nor is its proof believed. */
			char answer[SCRAM_MESSAGE_MAX];
			strcpy(answer, reply);
			begin_server();
			ck_assert(server_first(CLIENT_FIRST));
			ck_assert_msg(!server_final(answer), "%s", message);
			ck_assert(!client_verify(SERVER_FINAL, strlen(SERVER_FINAL)));
		}
	}
}
END_TEST

START_TEST(a_servers_error_is_told_at_each_step)
{
	begin_client("pencil");
	ck_assert(!client_final("e=other-error", 13));
	ck_assert_str_eq(error.message,
			 "error received from server in SCRAM exchange: other-error");
	ck_assert_str_eq(error.sqlstate, "28P01");
	ck_assert_str_eq(reply, "");
}
END_TEST

Suite *suite_scram(void)
{
	Suite *suite = suite_create("scram");
	TCase *tcase = tcase_create("scram");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_rfcs_server_says_what_the_rfc_says);
	tcase_add_test(tcase, the_rfcs_client_says_what_the_rfc_says);
	tcase_add_test(tcase, whoever_knows_the_password_logs_in);
	tcase_add_test(tcase, what_was_made_from_a_plain_secret_serves_again);
	tcase_add_test(tcase, whoever_does_not_is_told_the_same_always);
	tcase_add_test(tcase, an_unknown_user_looks_like_a_known_one);
	tcase_add_test(tcase, salts_are_the_same_wherever_the_same_is_said);
	tcase_add_test(tcase, a_mock_fails_even_with_its_own_keys_right);
	tcase_add_test(tcase, nonces_differ_each_time);
	tcase_add_test(tcase, first_messages_are_accepted_or_refused);
	tcase_add_test(tcase, a_long_nonce_or_message_is_refused);
	tcase_add_test(tcase, the_channel_binding_must_repeat_the_header);
	tcase_add_test(tcase, every_truncation_of_a_clients_message_is_refused);
	tcase_add_test(tcase, every_mutation_of_a_clients_answer_is_refused);
	tcase_add_test(tcase, every_mutation_of_a_clients_first_message_ends_refused);
	tcase_add_test(tcase, steps_out_of_order_are_refused);
	tcase_add_test(tcase, a_servers_bad_first_message_is_refused);
	tcase_add_test(tcase, the_longest_nonce_of_a_server_fits_our_answer);
	tcase_add_test(tcase, every_truncation_of_a_servers_message_is_refused);
	tcase_add_test(tcase, every_mutation_of_a_servers_signature_is_refused);
	tcase_add_test(tcase, a_server_that_does_not_know_the_secret_is_found_out);
	tcase_add_test(tcase, nothing_is_left_of_a_finished_exchange);
	tcase_add_test(tcase, each_mechanism_and_flag_ends_as_it_must);
	tcase_add_test(tcase, the_flag_must_fit_the_mechanism);
	tcase_add_test(tcase, every_change_of_a_bound_answer_is_refused);
	tcase_add_test(tcase, keys_are_derived_once);
	tcase_add_test(tcase, a_password_is_as_long_as_a_secret_may_be);
	tcase_add_test(tcase, every_mutation_of_a_servers_first_message_ends_refused);
	tcase_add_test(tcase, a_servers_error_is_told_at_each_step);
	suite_add_tcase(suite, tcase);
	return suite;
}
