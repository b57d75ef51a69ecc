/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "wire.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "auth/scram.h"
#include "config/snapshot.h"
#include "conn/client.h"
#include "conn/endpoint.h"
#include "conn/gate.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/offload.h"
#include "net/resolver.h"
#include "pool/limit.h"
#include "pool/registry.h"
#include "proto/message.h"

enum { PEERS = 1024, LOG = 1 << 18 };

static char directory[64];
static int listening = -1;
static struct wire_peer *peers[PEERS];
static int peer_count;
static struct wire_peer *first_server;
static char log_text[LOG];
static size_t log_length;
static size_t piece_size = SIZE_MAX; /* of what wire_send() sends at a time */

static void keep_log(enum log_level level, const char *line)
{
	int n = snprintf(log_text + log_length, LOG - log_length, "%d %s\n", level, line);
	if (n > 0 && log_length + (size_t)n < LOG)
		log_length += (size_t)n;
}

struct client *wire_inside(const struct wire_peer *client)
{
	return client_find(client->id);
}

bool wire_logged(const char *part)
{
	bool found = strstr(log_text, part) != NULL;
	log_length = 0;
	log_text[0] = '\0';
	return found;
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void listen_as_server(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", directory);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listening, 0);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(listening, 64), 0);
}

void wire_server_down(void)
{
	close(listening); /* what is left of it in the directory refuses */
	listening = -1;
}

void wire_server_up(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/.s.PGSQL.5432", directory);
	unlink(path);
	listen_as_server();
}

/* @text with the directory's path for each "$dir". */
static void put_directory(char *out, size_t room, const char *text)
{
	size_t n = 0;
	for (const char *word; (word = strstr(text, "$dir")); text = word + 4)
		n += (size_t)snprintf(out + n, room - n, "%.*s%s", (int)(word - text), text,
				      directory);
	n += (size_t)snprintf(out + n, room - n, "%s", text);
	ck_assert_uint_lt(n, room);
}

/* No test waits for a thread: the keys of plain passwords are there from the start. */
static void derive_known_keys(void)
{
	static const char *const users[] = {"u1", "u2"};
	for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
		struct scram_derivation derivation;
		if (!scram_server_derivation("secret", users[i],
					     (uint32_t)settings_current()->scram_iterations,
					     &derivation))
			continue;
		scram_derive(&derivation);
		scram_derivation_keep(&derivation);
		scram_derivation_fini(&derivation);
	}
}

void wire_open(const char *settings, const char *row)
{
	struct error error;
	char text[4096], path[128], more[2048];
	snprintf(directory, sizeof directory, "/tmp/pgweir-wire-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	log_hook(keep_log);
	log_set_verbose(1);
	clock_drive();
	loop_open();
	struct resolver_options resolver = {
		.ttl_max = USEC_PER_SECOND, .nxdomain_ttl = USEC_PER_SECOND, .resolv_conf = ""};
	ck_assert_msg(resolver_open(&resolver, &error), "%s", error.message);
	put_directory(more, sizeof more, settings ? settings : "");
	snprintf(text, sizeof text,
		 "[databases]\ndb = host=%s port=5432 %s\n[users]\n[pgbouncer]\nauth_type = "
		 "trust\nauth_file = %s/users\n"
		 "unix_socket_dir = %s\npool_mode = transaction\ndefault_pool_size = 1\n"
		 "query_wait_notify = 0\nmax_prepared_statements = 0\n%s\n",
		 directory, row ? row : "", directory, directory, more);
	write_file("ini", text);
	write_file("users", "\"u1\" \"secret\"\n\"u2\" \"secret\"\n");
	snprintf(path, sizeof path, "%s/ini", directory);
	struct snapshot *snapshot = snapshot_load(path, &error);
	ck_assert_msg(snapshot != NULL, "%s", error.message);
	snapshot_install(snapshot);
	derive_known_keys();
	gate_open();
	registry_open();
	registry_apply();
	listen_as_server();
	first_server = NULL;
	piece_size = SIZE_MAX;
	wire_logged("");
	wire_settle();
}

void wire_close(void)
{
	for (int i = 0; i < peer_count; i++) {
		if (peers[i]->fd >= 0)
			close(peers[i]->fd);
		free(peers[i]);
	}
	peer_count = 0;
	wire_settle();
	gate_close();
	wire_settle();
	registry_close();
	wire_settle();
	resolver_close();
	ck_assert_uint_eq(parameter_sets(), 0);
	ck_assert_uint_eq(limit_connections(), 0);
	for (const struct memory_cache *cache = memory_cache_first(); cache; cache = cache->next)
		ck_assert_msg(cache->used == 0, "%u objects of %s are left", cache->used,
			      cache->name);
	loop_close();
	ck_assert_msg(!strstr(log_text, "BUG:"), "%s", log_text);
	close(listening);
	DIR *dir = opendir(directory);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(directory);
	memory_cache_release();
	buffer_release();
}

void wire_settle(void)
{
	int quiet = 0;
	for (int i = 0; quiet < 3; i++) {
		ck_assert_msg(i < 100000, "the loop does not come to rest");
		/* what a thread does is waited for */
		quiet = loop_turn(offload_pending() ? 1000 : 0) ? 0 : quiet + 1;
	}
}

void wire_advance(usec_t by)
{
	clock_advance(by);
	wire_settle();
}

/* ---- peers ---- */

static struct wire_peer *wire_peer_new(int fd)
{
	ck_assert_int_lt(peer_count, PEERS);
	struct wire_peer *peer =
		calloc(1, sizeof *peer); /* large, but touched only as far as it is used */
	peer->fd = fd;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return peers[peer_count++] = peer;
}

struct wire_peer *wire_connect(void)
{
	int pair[2];
	struct address remote = {.family = AF_INET, .port = 1234},
		       local = {.family = AF_INET, .port = 6432};
	remote.v4.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	gate_accept(pair[1], &remote, &local);
	struct wire_peer *peer = wire_peer_new(pair[0]);
	peer->id = endpoint_next_id() - 1;
	wire_settle();
	return peer;
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

void wire_say_startup(struct wire_peer *client, const char *user, const char *more, size_t size)
{
	uint8_t packet[4096];
	size_t n = 8;
	put32(packet + 4, 196608);
	n += (size_t)sprintf((char *)packet + n, "user%c%s%cdatabase%cdb", 0, user, 0, 0) + 1;
	if (size)
		memcpy(packet + n, more, size);
	n += size;
	packet[n++] = 0;
	put32(packet, (uint32_t)n);
	wire_send(client, packet, n);
}

struct wire_peer *wire_client_as(const char *user, const char *more, size_t size)
{
	struct wire_peer *client = wire_connect();
	wire_say_startup(client, user, more, size);
	struct wire_peer *server = wire_accept();
	if (server) {
		wire_read(server);
		server->length = 0;
		wire_welcome(server);
		if (!first_server)
			first_server = server;
	}
	ck_assert(wire_next(client));
	ck_assert_int_eq(client->type, 'R');
	do {
		ck_assert_msg(wire_next(client), "the client is not logged in");
		if (client->type == 'K')
			memcpy(client->key, client->body, sizeof client->key);
	} while (client->type != 'Z');
	return client;
}

struct wire_peer *wire_client(void)
{
	return wire_client_as("u1", NULL, 0);
}

struct wire_peer *wire_accept(void)
{
	return wire_accept_at(listening);
}

struct wire_peer *wire_accept_at(int listening_fd)
{
	wire_settle();
	int fd = accept(listening_fd, NULL, NULL);
	if (fd < 0)
		return NULL;
	struct wire_peer *peer = wire_peer_new(fd);
	wire_settle();
	return peer;
}

size_t wire_put(uint8_t *at, char type, const void *body, size_t size)
{
	at[0] = (uint8_t)type;
	put32(at + 1, (uint32_t)size + 4);
	if (size)
		memcpy(at + 5, body, size);
	return size + 5;
}

void wire_welcome(struct wire_peer *server)
{
	static const char *const parameters[][2] = {
		{"application_name", ""},   {"client_encoding", "UTF8"},
		{"DateStyle", "ISO, MDY"},  {"IntervalStyle", "postgres"},
		{"server_version", "15.0"}, {"standard_conforming_strings", "on"},
		{"TimeZone", "Etc/UTC"},
	};
	static uint32_t process_id;
	uint8_t out[2048], *key = server->key;
	size_t n = wire_put(out, 'R', "\0\0\0\0", 4);
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		char body[128];
		int size = snprintf(body, sizeof body, "%s%c%s", parameters[i][0], 0,
				    parameters[i][1]);
		n += wire_put(out + n, 'S', body, (size_t)size + 1);
	}
	put32(key, ++process_id);
	put32(key + 4, 0xcafe);
	n += wire_put(out + n, 'K', key, 8);
	n += wire_put(out + n, 'Z', "I", 1);
	wire_send(server, out, n);
}

struct wire_peer *wire_asked(uint8_t minor)
{
	uint8_t packet[] = "\0\0\0\x1d\0\3\0\0user\0u1\0database\0db\0";
	struct wire_peer *server = wire_accept();
	ck_assert_ptr_nonnull(server);
	packet[7] = minor;
	wire_read(server);
	ck_assert_uint_eq(server->length, 29);
	ck_assert_mem_eq(server->in, packet, 29);
	server->length = 0;
	return server;
}

struct wire_peer *wire_server(void)
{
	struct wire_peer *server = wire_accept();
	ck_assert_msg(server != NULL, "no server connection was opened");
	wire_read(server);
	server->length = 0;
	wire_welcome(server);
	return server;
}

struct wire_peer *wire_first_server(void)
{
	return first_server;
}

/* ---- saying ---- */

void wire_push(struct wire_peer *peer, const void *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(peer->fd, bytes, size, MSG_NOSIGNAL);
		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			wire_settle();
			continue;
		}
		bytes = (const uint8_t *)bytes + n;
		size -= (size_t)n;
	}
}

void wire_pieces(size_t size)
{
	piece_size = size ? size : SIZE_MAX;
}

void wire_send(struct wire_peer *peer, const void *bytes, size_t size)
{
	do {
		size_t n = size < piece_size ? size : piece_size;
		wire_push(peer, bytes, n);
		wire_settle();
		bytes = (const uint8_t *)bytes + n;
		size -= n;
	} while (size);
}

size_t wire_try(struct wire_peer *peer, const void *bytes, size_t size)
{
	ssize_t n = send(peer->fd, bytes, size, MSG_NOSIGNAL);
	return n > 0 ? (size_t)n : 0;
}

size_t wire_take(struct wire_peer *peer, void *bytes, size_t size)
{
	ssize_t n = recv(peer->fd, bytes, size, 0);
	return n > 0 ? (size_t)n : 0;
}

void wire_say(struct wire_peer *peer, char type, const void *body, size_t size)
{
	uint8_t *out = malloc(size + 5);
	wire_send(peer, out, wire_put(out, type, body, size));
	free(out);
}

void wire_query(struct wire_peer *client, const char *sql)
{
	wire_say(client, 'Q', sql, strlen(sql) + 1);
}

void wire_answer(struct wire_peer *server, const char *tag, char status)
{
	uint8_t out[256];
	size_t n = wire_put(out, 'C', tag, strlen(tag) + 1);
	n += wire_put(out + n, 'Z', &status, 1);
	wire_send(server, out, n);
}

void wire_ready(struct wire_peer *server, char status)
{
	wire_say(server, 'Z', &status, 1);
}

/* A body with and without the NUL that ends it. */
#define STRING(text) text, sizeof(text)
#define BYTES(text) text, sizeof(text) - 1

/* A plausible body for a message of this type. */
static size_t put_plausible(uint8_t *at, char type, bool of_server)
{
	static const struct {
		char type;
		const char *body;
		size_t size;
	} of_client[] =
		{
			{'Q', STRING("SELECT 1")},
			{'P', STRING("\0SELECT 1\0\0")},
			{'B', STRING("\0\0\0\0\0\0\0")},
			{'D', STRING("S")},
			{'E', STRING("\0\0\0\0")},
			{'C', STRING("S")},
			{'F', STRING("\0\0\0\1\0\0\0\0\0")},
			{'d', BYTES("1\t2\n")},
			{'f', STRING("no more")},
		},
	  of_servers[] = {
		  {'Z', BYTES("I")},
		  {'C', STRING("SELECT 1")},
		  {'T', STRING("\0\1c\0\0\0\0\0\0\0\0\0\0\x17\0\4\377\377\377\377\0")},
		  {'D', BYTES("\0\1\0\0\0\1\x31")},
		  {'t', BYTES("\0\0")},
		  {'E', STRING("SERROR\0VERROR\0C42601\0Msyntax\0")},
		  {'N', STRING("SNOTICE\0VNOTICE\0C00000\0Mhear\0")},
		  {'A', STRING("\0\0\0\1channel\0payload")},
		  {'G', BYTES("\0\0\0")},
		  {'H', BYTES("\0\0\0")},
		  {'V', BYTES("\377\377\377\377")},
		  {'d', BYTES("1\t2\n")},
	  };
	if (of_server) {
		for (size_t i = 0; i < sizeof of_servers / sizeof *of_servers; i++)
			if (of_servers[i].type == type)
				return wire_put(at, type, of_servers[i].body, of_servers[i].size);
	} else {
		for (size_t i = 0; i < sizeof of_client / sizeof *of_client; i++)
			if (of_client[i].type == type)
				return wire_put(at, type, of_client[i].body, of_client[i].size);
	}
	return wire_put(at, type, NULL, 0);
}

size_t wire_put_types(uint8_t *at, const char *types, bool of_server)
{
	size_t n = 0;
	for (; *types; types++)
		n += put_plausible(at + n, *types, of_server);
	return n;
}

void wire_client_says(struct wire_peer *client, const char *types)
{
	uint8_t out[4096];
	wire_send(client, out, wire_put_types(out, types, false));
}

void wire_server_says(struct wire_peer *server, const char *types)
{
	uint8_t out[4096];
	wire_send(server, out, wire_put_types(out, types, true));
}

void wire_error(struct wire_peer *server, const char *severity, const char *sqlstate,
		const char *message)
{
	char body[512];
	int n = snprintf(body, sizeof body, "S%s%cV%s%cC%s%cM%s%c", severity, 0, severity, 0,
			 sqlstate, 0, message, 0);
	wire_say(server, 'E', body, (size_t)n + 1);
}

void wire_hang_up(struct wire_peer *peer)
{
	close(peer->fd);
	peer->fd = -1;
	wire_settle();
}

void wire_half_close(struct wire_peer *peer)
{
	shutdown(peer->fd, SHUT_WR);
	wire_settle();
}

/* ---- hearing ---- */

size_t wire_read(struct wire_peer *peer)
{
	ssize_t n;
	while ((n = recv(peer->fd, peer->in + peer->length, sizeof peer->in - peer->length, 0)) >
	       0) {
		peer->length += (size_t)n;
		wire_settle();
	}
	return peer->length;
}

bool wire_next(struct wire_peer *peer)
{
	static uint8_t body[sizeof peer->in];
	wire_read(peer);
	if (peer->length < 5)
		return false;
	size_t length = message_length(peer->in);
	if (peer->length < length + 1)
		return false;
	peer->type = peer->in[0];
	peer->size = length - 4;
	memcpy(body, peer->in + 5, peer->size);
	peer->body = body;
	size_t shown = peer->size < sizeof peer->text - 1 ? peer->size : sizeof peer->text - 1;
	for (size_t i = 0; i < shown; i++)
		peer->text[i] = body[i] ? (char)body[i] : '|';
	peer->text[shown] = '\0';
	peer->length -= length + 1;
	memmove(peer->in, peer->in + length + 1, peer->length);
	return true;
}

void wire_expect(struct wire_peer *peer, const char *types)
{
	char got[256] = "";
	size_t n = 0;
	while (n < sizeof got - 1 && wire_next(peer))
		got[n++] = (char)peer->type;
	got[n] = '\0';
	ck_assert_str_eq(got, types);
	ck_assert_uint_eq(peer->length, 0);
}

void wire_expect_message(struct wire_peer *peer, char type, const char *part)
{
	ck_assert_msg(wire_next(peer), "no message is there, wanted %c with \"%s\"", type, part);
	ck_assert_msg(peer->type == (uint8_t)type, "got %c \"%s\", wanted %c", peer->type,
		      peer->text, type);
	ck_assert_msg(strstr(peer->text, part) != NULL, "got \"%s\", wanted \"%s\"", peer->text,
		      part);
}

void wire_expect_fatal(struct wire_peer *peer, const char *sqlstate, const char *message)
{
	char part[256];
	wire_expect_message(peer, 'E', "SFATAL|");
	snprintf(part, sizeof part, "|C%s|", sqlstate);
	ck_assert_msg(strstr(peer->text, part) != NULL, "got \"%s\", wanted %s", peer->text,
		      sqlstate);
	snprintf(part, sizeof part, "|M%s", message);
	ck_assert_msg(strstr(peer->text, part) != NULL, "got \"%s\", wanted \"%s\"", peer->text,
		      message);
	wire_expect_closed(peer);
	wire_hang_up(peer); /* or the other side waits until it has been read */
}

void wire_expect_error(struct wire_peer *peer, const char *severity, const char *sqlstate,
		       const char *message)
{
	char wanted[512];
	ck_assert_msg(wire_next(peer), "no message is there, wanted %s %s", sqlstate, message);
	ck_assert_msg(peer->type == 'E' || peer->type == 'N', "got %c \"%s\"", peer->type,
		      peer->text);
	snprintf(wanted, sizeof wanted, "S%s|V%s|C%s|M%s||", severity, severity, sqlstate, message);
	ck_assert_str_eq(peer->text, wanted);
}

void wire_expect_nothing(struct wire_peer *peer)
{
	wire_read(peer);
	ck_assert_msg(peer->length == 0, "%zu bytes are there, the first '%c'", peer->length,
		      peer->in[0]);
}

bool wire_is_closed(struct wire_peer *peer)
{
	uint8_t byte;
	wire_settle();
	wire_read(peer);
	ssize_t n = recv(peer->fd, &byte, 1, 0);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

void wire_expect_closed(struct wire_peer *peer)
{
	if (peer->fd < 0)
		return;
	ck_assert_msg(wire_is_closed(peer), "the connection is still open");
}

void wire_expect_open(struct wire_peer *peer)
{
	ck_assert_msg(!wire_is_closed(peer), "the connection is closed");
}

/* ---- looking inside ---- */

const char *wire_state(const struct wire_peer *client)
{
	struct client *found = client_find(client->id);
	return found ? client_state_name(found->state) : "gone";
}

static const struct pool *pool_for(const char *user)
{
	struct database *database = registry_find_database("db");
	struct user *u = registry_find_user(user);
	ck_assert_msg(database && u, "there is no such pool");
	return registry_pool(database, u);
}

unsigned wire_servers_of(const char *user, int place)
{
	return pool_for(user)->servers[place].length;
}

unsigned wire_servers(int place)
{
	return wire_servers_of("u1", place);
}

unsigned wire_clients(int place)
{
	return pool_for("u1")->clients[place].length;
}

static size_t print_places(char *at, size_t room, const struct list *lists,
			   const char *const *names, int count)
{
	size_t n = 0;
	for (int i = 0; i < count; i++)
		if (lists[i].length)
			n += (size_t)snprintf(at + n, room - n, "%s%s %u", n ? ", " : "", names[i],
					      lists[i].length);
	if (n == 0)
		n = (size_t)snprintf(at, room, "-");
	return n;
}

void wire_expect_pool(const char *text)
{
	static const char *const clients[] = {"none",	       "active",	"welcome",
					      "waiting",       "claim",		"claimed",
					      "cancel_active", "cancel_waiting"};
	static const char *const servers[] = {"none",	"login",  "idle",	    "used",
					      "tested", "active", "being_canceled", "canceling"};
	const struct pool *pool = pool_for("u1");
	char got[512];
	size_t n = print_places(got, sizeof got, pool->clients, clients, CLIENT_PLACE_COUNT);
	n += (size_t)snprintf(got + n, sizeof got - n, " / ");
	print_places(got + n, sizeof got - n, pool->servers, servers, SERVER_PLACE_COUNT);
	ck_assert_str_eq(got, text);
}

/* ---- chance ---- */

static uint64_t chance;

void wire_seed(uint64_t seed)
{
	chance = seed;
}

unsigned wire_roll(unsigned sides)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)(chance >> 33) % sides;
}
