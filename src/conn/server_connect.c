/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/server_connect.h"
#include <stdio.h>
#include <string.h>
#include "server_priv.h"
#include "auth/md5.h"
#include "config/snapshot.h"
#include "conn/server_login.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include "net/socket.h"
#include "net/tls_session.h"
#include "proto/startup.h"

enum { ERROR_TEXT_ROOM = 600 };

/* ---- connecting ---- */

static struct socket_options tuning(void)
{
	const struct settings *s = settings_current();
	return (struct socket_options){
		.keepalive = s->tcp_keepalive,
		.keepalive_idle = s->tcp_keepidle,
		.keepalive_interval = s->tcp_keepintvl,
		.keepalive_count = s->tcp_keepcnt,
		.user_timeout = (int)(s->tcp_user_timeout / USEC_PER_MSEC),
		.buffer_size = (int)s->tcp_socket_buffer,
	};
}

static bool connect_to(struct server *server, struct error *error)
{
	struct socket_options options = tuning();
	bool in_progress;
	int fd = socket_connect((const struct sockaddr *)&server->sockaddr, server->sockaddr_size,
				&options, &in_progress, error);
	if (fd < 0)
		return false;
	/* A Unix socket connects at once; it is told by the same event, a turn later at most. */
	stream_open_connecting(&server->endpoint.stream, fd, server_stream_events());
	return true;
}

/* Try the addresses of the host one after the other. */
static void connect_next(struct server *server, const struct error *why)
{
	struct error error = *why;
	while (server->address_next < server->address_count) {
		const struct address *address = &server->addresses[server->address_next++];
		server->endpoint.remote = *address;
		address_to_sockaddr(address, &server->sockaddr, &server->sockaddr_size);
		if (connect_to(server, &error))
			return;
	}
	server_fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
}

/* However far it has come: from the beginning, and with as much time, at the next address. */
static void start_over(struct server *server, const struct error *why)
{
	stream_close(&server->endpoint.stream);
	server_login_free(&server->login);
	buffer_free(&server->endpoint.held);
	server->tls_step = SERVER_TLS_NONE;
	server->asks_old = false;
	server->endpoint.connected_at = clock_now();
	if (server->state == SERVER_CONNECTING || server->state == SERVER_CANCELING)
		server_arm(server);
	else if (!server_set_state(server, SERVER_CONNECTING))
		return;
	connect_next(server, why);
}

/* The server could not be used for a first time: its next address is tried, or the pool is told why
 * before the connection goes, so that it tries the next host, or waits before it tries again. */
void server_fail_login(struct server *server, enum close_reason reason, bool refused,
		       const struct error *error)
{
	static usec_t said_at;
	struct pool *pool = server->member.pool;
	bool is_cancel = server->state == SERVER_CANCELING;
	/* A refusal concerns its one client: others may be welcome. */
	bool concerns_one = refused && server->endpoint.replication;
	/* What carries a CancelRequest may have said it, unless it could not even connect. */
	/* Of this system, as when descriptors run out: neither address nor host is to blame. */
	bool is_ours = !refused && !strcmp(error->sqlstate, sqlstate_code(SQLSTATE_SYSTEM_ERROR));
	bool may_go_on = !refused && !is_ours && (!is_cancel || reason == CLOSE_CONNECT_FAILED);
	if (may_go_on && server->address_next < server->address_count) {
		struct error why = *error;
		log_info(server_subject(server), "cannot use this address: %s", error->message);
		start_over(server, &why);
		return;
	}
	if (is_ours) {
		if (log_is_due(&said_at))
			log_warning(server_subject(server),
				    "cannot connect to servers: %s, trying again until it works",
				    error->message);
		if (!is_cancel)
			pool_login_failed(pool, false, error);
	} else if (is_cancel) {
		log_warning(server_subject(server), "cannot carry a CancelRequest: %s",
			    error->message);
	} else {
		log_warning(server_subject(server),
			    refused ? "server login failed: %s" : "cannot use the server: %s",
			    error->message);
		if (!refused) {
			pool_host_failed(&server->member, server->host, error);
		} else if (!concerns_one) {
			host_failed(&pool->database->hosts, server->host);
			pool_login_refused(&server->member, error);
		}
	}
	server_close(server, reason, concerns_one ? error : NULL);
}

/* Another address than those there are now: it may be another server, or none. */
static void addresses_changed(struct resolver_watch *watch, const struct address *addresses,
			      unsigned count)
{
	struct server *server = container_of(watch, struct server, watch);
	for (unsigned i = 0; i < count; i++)
		if (address_is_equal(&addresses[i], &server->endpoint.remote))
			return;
	pool_retire_server(&server->member, CLOSE_OBSOLETE);
}

static void resolved(struct resolver_query *query, const struct address *addresses, unsigned count,
		     const struct error *error)
{
	struct server *server = container_of(query, struct server, lookup);
	struct error why;
	if (count == 0) {
		server_fail_login(server, CLOSE_DNS_FAILED, false, error);
		return;
	}
	/* All addresses are used in turn: each connection begins with another one. */
	server->addresses = memory_alloc(count * sizeof *addresses);
	for (unsigned i = 0; i < count; i++) {
		server->addresses[i] = addresses[(i + query->turn) % count];
		server->addresses[i].port = (uint16_t)server->member.pool->database->port;
	}
	server->address_count = count > UINT16_MAX ? UINT16_MAX : (uint16_t)count;
	if (server->state != SERVER_CANCELING)
		resolver_watch(&server->watch, server->host);
	error_set(&why, SQLSTATE_CONNECTION_FAILURE, "no address of \"%s\" could be reached",
		  server->host);
	connect_next(server, &why);
}

static void connect_unix(struct server *server)
{
	char path[512];
	struct error error;
	uint16_t port = (uint16_t)server->member.pool->database->port;
	snprintf(path, sizeof path, "%s/.s.PGSQL.%u", server->host, port);
	server->endpoint.remote = (struct address){.family = AF_UNIX, .port = port};
	if (!address_unix_sockaddr(path, (struct sockaddr_un *)&server->sockaddr,
				   &server->sockaddr_size))
		error_set(&error, SQLSTATE_CONNECTION_FAILURE,
			  "the path of the Unix socket is too long: \"%s\"", path);
	else if (connect_to(server, &error))
		return;
	server_fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
}

/* To the next host of its pool's database. */
static void connect_to_host(struct server *server)
{
	struct database *database = server->member.pool->database;
	struct address address;
	server->lookup.callback = resolved;
	server->watch.changed = addresses_changed;
	server->host = memory_strdup(host_next(&database->hosts));
	server_arm(server);
	if (host_is_unix(server->host)) {
		connect_unix(server);
	} else if (address_parse(server->host, (uint16_t)database->port, &address)) {
		resolved(&server->lookup, &address, 1, NULL);
	} else {
		resolver_lookup(&server->lookup, server->host);
	}
}

void server_launch(struct pool *pool)
{
	connect_to_host(server_new(pool));
}

void server_launch_for(struct pool *pool, struct endpoint *client, const char *startup, size_t size)
{
	struct server *server = server_new(pool);
	server->endpoint.replication = client->replication;
	server->startup = memory_dup(startup, size);
	server->unfit = true;
	pool_server_claim(&server->member);
	endpoint_link(client, &server->endpoint);
	connect_to_host(server);
}

static struct server *carrier_new(struct pool *pool, struct client *asker)
{
	struct server *server = server_new(pool);
	server->cancel_client = asker;
	server->state = SERVER_CANCELING;
	pool_server_move(&server->member, SERVER_PLACE_CANCELING);
	return server;
}

void server_launch_forward(struct pool *pool, struct client *asker,
			   const struct cancel_request *request)
{
	struct server *server = carrier_new(pool, asker);
	server->process_id = request->process_id;
	server->key = memory_dup(request->secret, request->size);
	server->key_size = (uint16_t)request->size;
	connect_to_host(server);
}

void server_launch_cancel(struct server *target, struct client *asker)
{
	struct server *server = carrier_new(target->member.pool, asker);
	struct error error;
	server->host = memory_strdup(target->host);
	server->sockaddr = target->sockaddr;
	server->sockaddr_size = target->sockaddr_size;
	server->endpoint.remote = target->endpoint.remote;
	server->cancel_target = target;
	server->cancel_is_own = !asker;
	target->is_canceled |= !asker;
	target->cancels++;
	server_arm(server);
	if (!connect_to(server, &error))
		server_fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
}

/* ---- logging in ---- */

/* What is listed is used where it can be, unless what was typed is the same in plain text, which
 * serves every way of a server. A SCRAM secret says nothing to a server. */
static bool comes_before(const char *learned, const struct secret *listed, const char *user)
{
	return listed->kind == SECRET_NONE || listed->kind == SECRET_SCRAM ||
	       (listed->kind == SECRET_MD5 && md5_is_of(listed, user, learned));
}

/* Of the forced user's row, what a client's login to this pool taught, or of auth_file. PAM and
 * directories know nothing of that file, and may have a newer password. */
static const char *find_secret(const struct server *server)
{
	const struct pool *pool = server->member.pool;
	const char *user = pool->user->name, *learned = pool->learned_secret;
	const struct secret *listed = userlist_find(snapshot_current()->userlist, user);
	if (pool->is_forced && pool->database->password)
		return pool->database->password;
	if (learned &&
	    (!listed || pool->learned_comes_first || comes_before(learned, listed, user)))
		return learned;
	return listed ? listed->text : NULL;
}

static const struct scram_keys *find_keys(const struct server *server)
{
	_Static_assert(sizeof(struct scram_keys) == 2 * POOL_SCRAM_KEY, "two keys");
	return (const void *)server->member.pool->learned_keys;
}

static void log_connected(struct server *server)
{
	struct address local = {.family = AF_UNSPEC};
	char text[ADDRESS_TEXT];
	if (!address_is_unix(&server->endpoint.remote))
		socket_local(server->endpoint.stream.fd, &local);
	if (local.family == AF_INET || local.family == AF_INET6)
		log_info(server_subject(server), "new connection to server (from %s)",
			 address_print(&local, text));
	else
		log_info(server_subject(server), "new connection to server");
}

enum { WISHES = 4 };

static size_t count(const char *parameters)
{
	const char *name, *value;
	size_t n = 0;
	while (parameters && startup_next_parameter(&parameters, &name, &value))
		n++;
	return n;
}

static bool gives(const char *parameters, const char *wanted)
{
	const char *name, *value;
	while (startup_next_parameter(&parameters, &name, &value))
		if (text_equals_nocase(name, wanted))
			return true;
	return false;
}

/* What a client that claimed the server said in its own start-up packet, but for what the pool says
 * and for what concerns the protocol between the two of us. Returns how many words. */
static size_t put_claimed(const char *parameters, const char **words)
{
	const char *name, *value;
	size_t n = 0;
	while (startup_next_parameter(&parameters, &name, &value)) {
		if (!strcmp(name, "user") || !strcmp(name, "database") ||
		    !strncmp(name, "_pq_.", 5))
			continue;
		words[n++] = name;
		words[n++] = value;
	}
	return n;
}

/* The StartupMessage: the pool's user and database, what the database's row wishes, and what a
 * client that claimed the server asked for. */
static bool start_login(struct server *server, struct buffer **out)
{
	const struct database *database = server->member.pool->database;
	const char *const wishes[WISHES][2] = {
		{"client_encoding", database->client_encoding},
		{"DateStyle", database->datestyle},
		{"TimeZone", database->timezone},
		{"application_name", database->application_name},
	};
	size_t n = 0, most = 2 * (2 + WISHES + count(server->startup)) + 1;
	const char **words = memory_alloc(most * sizeof *words);
	words[n++] = "user";
	words[n++] = server->member.pool->user->name;
	words[n++] = "database";
	words[n++] = database->dbname;
	for (size_t i = 0; i < WISHES; i++) {
		if (!wishes[i][1] || (server->startup && gives(server->startup, wishes[i][0])))
			continue;
		words[n++] = wishes[i][0];
		words[n++] = wishes[i][1];
	}
	if (server->startup)
		n += put_claimed(server->startup, words + n);
	words[n] = NULL;
	bool asks_old = server->asks_old || database->wants_old_protocol;
	uint16_t minor = asks_old ? 0 : SERVER_LOGIN_MINOR_MAX;
	bool well = server_login_start(server->login, minor, words, out);
	memory_free(&words);
	return well;
}

static void begin_login(struct server *server)
{
	const char *user = server->member.pool->user->name;
	uint8_t binding[TLS_END_POINT_MAX];
	const struct tls_session *tls = stream_tls(&server->endpoint.stream);
	size_t binding_size = tls ? tls_session_end_point(tls, binding) : 0;
	struct buffer *out = NULL;
	server->member.ways = server->member.pool->ways;
	server->login = server_login_new(user, find_secret(server), find_keys(server), binding,
					 binding_size);
	if (!server_set_state(server, SERVER_LOGIN))
		return;
	if (settings_current()->log_connections)
		log_connected(server);
	if (start_login(server, &out))
		stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out),
				   ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
}

/* Should the older protocol fail in the same way, it was something else, and the next login begins
 * with the newer one again; else it is remembered when that login has succeeded. */
bool server_ask_older(struct server *server)
{
	struct error error;
	if (!server->login || server->login->has_heard)
		return false;
	if (server->login->minor == 0) {
		server->member.pool->database->wants_old_protocol = false;
		return false;
	}
	server->asks_old = true;
	log_info(server_subject(server),
		 "the server did not answer to protocol 3.%d, asking again with 3.0",
		 server->login->minor);
	server_login_free(&server->login);
	stream_close(&server->endpoint.stream);
	buffer_free(&server->endpoint.held);
	if (server_set_state(server, SERVER_CONNECTING) && !connect_to(server, &error))
		server_fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
	return true;
}

static bool is_for_peer(const struct server *server)
{
	return server->member.pool->database->peer_id != 0;
}

static void send_cancel(struct server *server)
{
	/* Of the request, or of the server that it is about. */
	const struct server *named = is_for_peer(server) ? server : server->cancel_target;
	struct buffer *out = NULL;
	/* Its query may have ended while we connected: then it must not be sent. */
	bool runs = named && (named == server || named->state == SERVER_ACTIVE ||
			      named->state == SERVER_DRAINING);
	if (!runs || !named->key) {
		server_close(server, CLOSE_NOT_WANTED, NULL);
		return;
	}
	if (startup_put_cancel(&out, ENDPOINT_QUEUE_MAX, named->process_id, named->key,
			       named->key_size))
		stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out),
				   ENDPOINT_QUEUE_MAX);
	else
		server_close(server, CLOSE_OUT_OF_MEMORY, NULL);
	buffer_free(&out);
}

/* ---- TLS ---- */

/* Connected, and encrypted if it is to be. */
static void go_on(struct server *server)
{
	if (server->state == SERVER_CANCELING)
		send_cancel(server);
	else
		begin_login(server);
}

/* Peers are talked to as the settings say for servers; rows of databases do not speak of them. */
static const struct encryption_to_server *encryption(const struct server *server)
{
	const struct snapshot *snapshot = snapshot_current();
	return is_for_peer(server)
		       ? encryption_to(snapshot->encryption, NULL)
		       : snapshot_server_tls(snapshot, server->member.pool->database->name);
}

/* How this connection is encrypted. */
struct terms {
	struct tls_context *context; /* NULL: not at all */
	bool is_direct, is_needed;
};

/* A CancelRequest travels as the connection that it is about, whatever a RELOAD said since. */
static struct terms terms(const struct server *server)
{
	const struct encryption_to_server *current = encryption(server);
	const struct server *target = server->cancel_target;
	if (address_is_unix(&server->endpoint.remote))
		return (struct terms){0};
	if (server->state != SERVER_CANCELING || is_for_peer(server))
		return (struct terms){current->context, current->negotiation == NEGOTIATION_DIRECT,
				      current->mode >= SSLMODE_REQUIRE};
	const struct tls_session *tls = target ? stream_tls(&target->endpoint.stream) : NULL;
	return tls ? (struct terms){tls_session_context(tls), target->tls_is_direct, true}
		   : (struct terms){0};
}

static void handshake(struct server *server)
{
	server->tls_step = SERVER_TLS_HANDSHAKE;
	stream_start_tls(&server->endpoint.stream, terms(server).context, server->host, NULL, 0);
}

static void begin_tls(struct server *server)
{
	struct buffer *out = NULL;
	if (server->state != SERVER_CANCELING && !server_set_state(server, SERVER_TLS))
		return;
	server->tls_is_direct = terms(server).is_direct;
	if (server->tls_is_direct) {
		handshake(server);
		return;
	}
	server->tls_step = SERVER_TLS_ASKED;
	startup_put_ssl_request(&out, ENDPOINT_QUEUE_MAX);
	stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out),
			   ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
}

static void fail_tls(struct server *server, enum close_reason reason, const char *what)
{
	struct error error;
	error_set(&error, SQLSTATE_CONNECTION_FAILURE, "%s", what);
	server_fail_login(server, reason, false, &error);
}

/* The answer to SSLRequest is one byte: S or N. What comes behind it was put there by somebody in
 * between; an ErrorResponse cannot be told from one of his either. */
void server_tls_answer(struct server *server, const uint8_t *bytes, size_t size)
{
	if (size == 1 && *bytes == 'S' && terms(server).context)
		handshake(server);
	else if (size == 1 && *bytes == 'N' && terms(server).is_needed)
		fail_tls(server, CLOSE_SERVER_REFUSED_TLS, "server refused SSL");
	else if (size == 1 && *bytes == 'N') {
		server->tls_step = SERVER_TLS_NONE;
		go_on(server);
	} else
		fail_tls(server, CLOSE_TLS_FAILED,
			 "the server did not answer the SSLRequest as the protocol says");
}

void server_secured(struct stream *stream, const struct error *failure)
{
	struct server *server = server_of_stream(stream);
	const struct tls_session *tls = stream_tls(stream);
	char text[ERROR_TEXT_ROOM];
	if (failure) {
		snprintf(text, sizeof text, "TLS handshake failed: %s", failure->message);
		fail_tls(server, CLOSE_TLS_FAILED, text);
		return;
	}
	server->tls_step = SERVER_TLS_NONE;
	if (server->tls_is_direct && !tls_session_has_alpn(tls)) {
		fail_tls(server, CLOSE_TLS_FAILED,
			 "the server did not agree on the protocol in a direct TLS connection");
		return;
	}
	tls_session_describe(tls, text, sizeof text);
	if (settings_current()->log_connections)
		log_info(server_subject(server), "SSL established: %s", text);
	go_on(server);
}

void server_connected(struct stream *stream, int error_number)
{
	struct server *server = server_of_stream(stream);
	if (error_number) {
		struct error error;
		char text[ADDRESS_TEXT];
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "connect to %s failed: %s",
			  address_print(&server->endpoint.remote, text), strerror(error_number));
		server_fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
		return;
	}
	if (terms(server).context)
		begin_tls(server);
	else
		go_on(server);
}

static void logged_in(struct server *server)
{
	struct server_login *login = server->login;
	struct pool *pool = server->member.pool;
	struct buffer *welcome = login->welcome;
	login->welcome = NULL;
	parameter_release(&server->parameters);
	server->parameters = parameter_share(login->parameters);
	parameter_prove(server->parameters, true);
	server->process_id = login->process_id;
	if (login->key_size) {
		server->key = memory_dup(login->key, login->key_size);
		server->key_size = login->key_size;
	}
	server_login_free(&server->login);
	memory_free(&server->addresses);
	server->address_count = server->address_next = 0;
	pool->database->wants_old_protocol |= server->asks_old;
	server->status = 'I';
	host_worked(&pool->database->hosts, server->host);
	if (server->endpoint.replication) /* as one client wished it, and for that one only */
		server->welcome = welcome;
	else
		pool_login_succeeded(pool, welcome, parameter_share(server->parameters));
	if (server->state == SERVER_CLOSING)
		return;
	/* SQL is nothing for physical replication. */
	if (pool->database->connect_query && server->endpoint.replication != REPLICATION_PHYSICAL) {
		if (!server_run(server, ERRAND_CONNECT, pool->database->connect_query))
			server_close(server, CLOSE_SERVER_CRASHED, NULL);
		return;
	}
	if (server->endpoint.replication)
		server_serve(server);
	else
		server_rest(server);
}

/* An answer that may have a password in it. */
static void send_proof(struct server *server, struct buffer **out)
{
	struct stream *stream = &server->endpoint.stream;
	if (*out)
		stream_write_bytes(stream, buffer_bytes(*out), buffer_length(*out),
				   ENDPOINT_QUEUE_MAX);
	buffer_make_secret(stream->out); /* what could not go out at once */
	buffer_erase(out);
}

/* The keys of our answer are there. What the server said meanwhile comes after it. */
static void derived(void *context, const struct scram_derivation *derivation)
{
	struct server *server = context;
	struct buffer *out = NULL, *held = server->endpoint.held;
	struct error error;
	server->login->derive = NULL;
	bool well = server_login_derived(server->login, derivation, &out, &error);
	send_proof(server, &out);
	if (!well) {
		server_fail_login(server, CLOSE_LOGIN_FAILED, false, &error);
		return;
	}
	server->endpoint.held = NULL;
	if (held)
		server_login_input(server, buffer_bytes(held), buffer_length(held));
	buffer_free(&held);
}

static void derive(struct server *server)
{
	struct scram_derivation derivation;
	struct error error;
	server_login_derivation(server->login, &derivation);
	server->login->derive = derive_begin(&derivation, derived, server);
	if (server->login->derive)
		return;
	error_set(&error, SQLSTATE_TOO_MANY_CONNECTIONS, "too many logins are waiting");
	server_fail_login(server, CLOSE_LOGIN_FAILED, false, &error);
}

static void hold(struct server *server, const uint8_t *bytes, size_t size)
{
	struct error error;
	if (endpoint_hold(&server->endpoint, bytes, size))
		return;
	error_set(&error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	server_fail_login(server, CLOSE_OUT_OF_MEMORY, false, &error);
}

/* Starting up, shutting down, or thrown out in the middle of a login by either: as if it could not
 * be reached. */
static bool is_restarting(const struct error *error)
{
	static const enum sqlstate passing[] = {SQLSTATE_ADMIN_SHUTDOWN, SQLSTATE_CRASH_SHUTDOWN,
						SQLSTATE_CANNOT_CONNECT_NOW};
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (!strcmp(error->sqlstate, sqlstate_code(passing[i])))
			return true;
	return false;
}

/* No word of the server's: what its client is told is that, with the reason as DETAIL. */
static void as_detail(struct error *error)
{
	const struct error why = *error;
	error_set(error, SQLSTATE_CONNECTION_FAILURE, "login failed");
	memcpy(error->sqlstate, why.sqlstate, sizeof error->sqlstate);
	error_detail(error, "%s", why.message);
	if (*why.hint)
		error_hint(error, "%s", why.hint);
}

/* What arrives before the first ReadyForQuery: few messages, each seen whole. */
void server_login_input(struct server *server, const uint8_t *bytes, size_t size)
{
	while (server->login && server->state != SERVER_CLOSING) {
		struct message message = {0};
		struct error error;
		if (server->login->derive) { /* until our answer is out */
			hold(server, bytes, size);
			return;
		}
		struct buffer *out = NULL;
		enum frame frame = message_parse(bytes, size, MESSAGE_WHOLE_MAX, &message);
		if (frame == FRAME_SHORT) {
			hold(server, bytes, size);
			return;
		}
		enum server_login_step step = SERVER_LOGIN_BROKEN;
		if (frame == FRAME_BAD)
			error_set(&error, SQLSTATE_PROTOCOL_VIOLATION,
				  "the server sent a message of a wrong length");
		else
			step = server_login_message(server->login, &message, &out, &error);
		send_proof(server, &out);
		if (step == SERVER_LOGIN_DERIVE)
			derive(server);
		if (step == SERVER_LOGIN_REFUSED || step == SERVER_LOGIN_BROKEN) {
			if (server_ask_older(server))
				return;
			bool passes = is_restarting(&error);
			if (step == SERVER_LOGIN_BROKEN && server->endpoint.replication)
				as_detail(&error);
			server_fail_login(server, CLOSE_LOGIN_FAILED, !passes, &error);
			return;
		}
		bytes += message.size + MESSAGE_HEADER;
		size -= message.size + MESSAGE_HEADER;
		/* What came behind ReadyForQuery must not be taken for an answer to the first
		 * client. */
		if (server->login && server->login->ready && size == 0)
			logged_in(server);
	}
}
