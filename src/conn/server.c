/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/server.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "config/snapshot.h"
#include "conn/relay.h"
#include "conn/server_login.h"
#include "core/log.h"
#include "core/memory.h"
#include "net/socket.h"
#include "pool/limit.h"
#include "proto/field.h"
#include "proto/response.h"
#include "proto/startup.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

enum { SERVER_MAGIC = 0x73727672 };

static struct memory_cache cache = MEMORY_CACHE("server_cache", struct server);
static const struct server_partner_ops *partner_ops;

/* ---- states ---- */

enum server_deadline { DEADLINE_NONE, DEADLINE_CONNECT, DEADLINE_REST, DEADLINE_TEST };

/* The columns of the table that each change of state looks at, apart from the names. */
#define TO(state) (1u << SERVER_##state)
static const uint16_t next_states[] = {
#define SERVER_STATE(name, shown, place, deadline, next) (uint16_t)((next) | TO(CLOSING)),
#include "conn/server_states.def"
};
#undef TO
static const uint8_t places[] = {
#define SERVER_STATE(name, shown, place, deadline, next) SERVER_PLACE_##place,
#include "conn/server_states.def"
};
static const uint8_t deadlines[] = {
#define SERVER_STATE(name, shown, place, deadline, next) DEADLINE_##deadline,
#include "conn/server_states.def"
};
static const char *const state_names[][2] = {
#define SERVER_STATE(name, shown, place, deadline, next) {#name, shown},
#include "conn/server_states.def"
};

const char *server_state_name(enum server_state state)
{
	return state_names[state][0];
}

const char *server_state_shown(enum server_state state)
{
	return state_names[state][1];
}

bool server_state_allows(enum server_state from, enum server_state to)
{
	return next_states[from] >> to & 1;
}

static void arm(struct server *server)
{
	const struct settings *settings = settings_current();
	usec_t due = 0;
	switch ((enum server_deadline)deadlines[server->state]) {
	case DEADLINE_NONE:
		break;
	case DEADLINE_CONNECT:
		if (settings->server_connect_timeout)
			due = server->endpoint.connected_at + settings->server_connect_timeout;
		break;
	case DEADLINE_REST:
		due = pool_idle_due(&server->member);
		break;
	case DEADLINE_TEST:
		if (settings->server_connect_timeout)
			due = clock_now() + settings->server_connect_timeout;
		break;
	}
	loop_timer_set(&server->endpoint.timer, due);
}

bool server_set_state(struct server *server, enum server_state state)
{
	if (!server_state_allows(server->state, state)) {
		log_error(server_subject(server), "BUG: illegal state change from %s to %s",
			  server_state_name(server->state), server_state_name(state));
		server_close(server, CLOSE_BUG, NULL);
		return false;
	}
	server->state = (uint8_t)state;
	if (server->member.place != places[state])
		pool_server_move(&server->member, places[state]);
	if (deadlines[state] == DEADLINE_NONE)
		loop_timer_clear(&server->endpoint.timer);
	else
		arm(server);
	return true;
}

/* ---- names ---- */

struct client *server_client(const struct server *server)
{
	return (struct client *)(void *)server->endpoint.partner;
}

const char *server_subject(const struct server *server)
{
	static char text[512];
	char address[ADDRESS_TEXT];
	const struct pool *pool = server->member.pool;
	snprintf(text, sizeof text, "S-%p: %s/%s@%s ", (const void *)server, pool ? pool->database->name : "(nodb)",
		 pool ? pool->user->name : "(nouser)", address_print(&server->endpoint.remote, address));
	return text;
}

static struct server *server_of(struct endpoint *endpoint)
{
	struct server *server = container_of(endpoint, struct server, endpoint);
	assert(server->endpoint.magic == SERVER_MAGIC);
	return server;
}

static struct server *server_of_stream(struct stream *stream)
{
	return server_of(container_of(stream, struct endpoint, stream));
}

/* ---- the end ---- */

static void free_later(struct loop_work *work)
{
	struct server *server = container_of(work, struct server, endpoint.ending);
	server->endpoint.magic = 0;
	memory_cache_free(&cache, server);
}

/* Cancels that are under way against a server that goes away: those not sent must not be. */
static void abandon_cancels(struct server *target)
{
	list_foreach_safe(node, &target->member.pool->servers[SERVER_PLACE_CANCELING]) {
		struct server *carrier = server_of_member(container_of(node, struct pool_server, node));
		if (carrier->cancel_target != target)
			continue;
		carrier->cancel_target = NULL;
		if (carrier->endpoint.stream.connecting)
			server_close(carrier, CLOSE_NOT_WANTED, NULL);
	}
}

/* Say goodbye where the server would understand it: at a message's boundary. */
static void say_terminate(struct server *server)
{
	static const uint8_t terminate[] = {MESSAGE_TERMINATE, 0, 0, 0, 4};
	bool logged_in = server->state >= SERVER_IDLE && server->state < SERVER_CANCELING;
	if (logged_in && !server->said_fatal && server_is_clean(server))
		stream_write_bytes(&server->endpoint.stream, terminate, sizeof terminate, sizeof terminate);
}

void server_close(struct server *server, enum close_reason reason, const struct error *error)
{
	if (server->state == SERVER_CLOSING)
		return;
	struct endpoint *endpoint = &server->endpoint;
	struct client *client = server_client(server);
	/* An error cannot be put into the middle of a message, and need not be behind the server's own last word. */
	bool silently = (endpoint->body_left > 0 && !endpoint->body_dropped) ||
			(server->said_fatal && reason == CLOSE_SERVER_CRASHED);
	if (settings_current()->log_disconnections)
		log_info(server_subject(server), "closing because: %s (age=%llds)", close_reason_text(reason),
			 (long long)((clock_now() - endpoint->connected_at) / USEC_PER_SECOND));
	if (endpoint->stream.fd >= 0 && reason != CLOSE_SERVER_CRASHED)
		say_terminate(server);
	endpoint_unlink(endpoint);
	if (server->cancels)
		abandon_cancels(server);
	server->state = SERVER_CLOSING;
	stream_close(&endpoint->stream);
	loop_timer_fini(&endpoint->timer);
	resolver_cancel(&server->lookup);
	buffer_free(&endpoint->held);
	pipeline_fini(&server->pipeline);
	parameter_release(&server->parameters);
	server_login_free(&server->login);
	memory_free(&server->key);
	memory_free(&server->host);
	memory_free(&server->addresses);
	if (server->cancel_target)
		server_cancel_ended(server->cancel_target);
	if (server->cancel_client)
		partner_ops->cancel_ended(server->cancel_client);
	server->cancel_target = NULL;
	server->cancel_client = NULL;
	if (client)
		partner_ops->lost(client, reason, error, silently);
	pool_server_leave(&server->member);
	endpoint->ending.callback = free_later;
	loop_post(&endpoint->ending);
}

/* The server could not be used for a first time: the pool is told why before the connection goes, so that it waits before
 * it tries again. */
static void fail_login(struct server *server, enum close_reason reason, bool refused, const struct error *error)
{
	struct pool *pool = server->member.pool;
	if (server->state != SERVER_CANCELING) {
		log_warning(server_subject(server), refused ? "server login failed: %s" : "cannot use the server: %s",
			    error->message);
		host_failed(&pool->database->hosts, server->host);
		pool_login_failed(pool, refused, error);
	}
	server_close(server, reason, NULL);
}

/* ---- connecting ---- */

static const struct stream_events events;

static struct socket_options tuning(void)
{
	const struct settings *s = settings_current();
	return (struct socket_options){
		.keepalive = s->tcp_keepalive,
		.keepalive_idle = s->tcp_keepidle,
		.keepalive_interval = s->tcp_keepintvl,
		.keepalive_count = s->tcp_keepcnt,
		.user_timeout = s->tcp_user_timeout,
		.buffer_size = s->tcp_socket_buffer,
	};
}

static bool connect_to(struct server *server, struct error *error)
{
	struct socket_options options = tuning();
	bool in_progress;
	int fd = socket_connect((const struct sockaddr *)&server->sockaddr, server->sockaddr_size, &options, &in_progress,
				error);
	if (fd < 0)
		return false;
	/* A Unix socket connects at once; it is told by the same event, a turn later at most. */
	stream_open_connecting(&server->endpoint.stream, fd, &events);
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
	fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
}

static void resolved(struct resolver_query *query, const struct address *addresses, unsigned count,
		     const struct error *error)
{
	struct server *server = container_of(query, struct server, lookup);
	struct error why;
	if (count == 0) {
		fail_login(server, CLOSE_DNS_FAILED, false, error);
		return;
	}
	/* All addresses are used in turn: each connection begins with another one. */
	server->addresses = memory_alloc(count * sizeof *addresses);
	for (unsigned i = 0; i < count; i++) {
		server->addresses[i] = addresses[(i + server->endpoint.id) % count];
		server->addresses[i].port = (uint16_t)server->member.pool->database->port;
	}
	server->address_count = count > UINT16_MAX ? UINT16_MAX : (uint16_t)count;
	error_set(&why, SQLSTATE_CONNECTION_FAILURE, "no address of \"%s\" could be reached", server->host);
	connect_next(server, &why);
}

static void connect_unix(struct server *server)
{
	char path[512];
	struct error error;
	uint16_t port = (uint16_t)server->member.pool->database->port;
	snprintf(path, sizeof path, "%s/.s.PGSQL.%u", server->host, port);
	server->endpoint.remote = (struct address){.family = AF_UNIX, .port = port};
	if (!address_unix_sockaddr(path, (struct sockaddr_un *)&server->sockaddr, &server->sockaddr_size))
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "the path of the Unix socket is too long: \"%s\"", path);
	else if (connect_to(server, &error))
		return;
	fail_login(server, CLOSE_CONNECT_FAILED, false, &error);
}

static void due(struct loop_timer *timer);

static struct server *server_new(struct pool *pool)
{
	struct server *server = memory_cache_alloc(&cache);
	struct endpoint *endpoint = &server->endpoint;
	endpoint->magic = SERVER_MAGIC;
	endpoint->stream.fd = -1;
	endpoint->connected_at = clock_now();
	endpoint->id = endpoint_next_id();
	loop_timer_init(&endpoint->timer, due);
	pipeline_init(&server->pipeline);
	server->parameters = parameter_empty();
	server->lookup.callback = resolved;
	server->state = SERVER_CONNECTING;
	pool_server_join(pool, &server->member);
	return server;
}

void server_launch(struct pool *pool)
{
	const struct settings *settings = settings_current();
	struct server *server = server_new(pool);
	struct address address;
	server->host = memory_strdup(host_next(&pool->database->hosts));
	arm(server);
	if (host_is_unix(server->host)) {
		connect_unix(server);
	} else if (settings->server_tls_sslmode >= TLS_REQUIRE) {
		/* Never in the clear where TLS was demanded. */
		struct error error;
		error_set(&error, SQLSTATE_FEATURE_NOT_SUPPORTED,
			  "server_tls_sslmode demands TLS towards servers, which is not implemented yet");
		fail_login(server, CLOSE_SERVER_REFUSED_TLS, false, &error);
	} else if (address_parse(server->host, (uint16_t)pool->database->port, &address)) {
		resolved(&server->lookup, &address, 1, NULL);
	} else {
		resolver_lookup(&server->lookup, server->host);
	}
}

void server_launch_cancel(struct server *target, struct client *asker)
{
	struct server *server = server_new(target->member.pool);
	struct error error;
	server->host = memory_strdup(target->host);
	server->sockaddr = target->sockaddr;
	server->sockaddr_size = target->sockaddr_size;
	server->endpoint.remote = target->endpoint.remote;
	server->cancel_target = target;
	server->cancel_client = asker;
	target->cancels++;
	server->state = SERVER_CANCELING;
	pool_server_move(&server->member, SERVER_PLACE_CANCELING);
	arm(server);
	if (!connect_to(server, &error))
		server_close(server, CLOSE_CONNECT_FAILED, NULL);
}

/* ---- logging in ---- */

static void begin_login(struct server *server)
{
	const struct database *database = server->member.pool->database;
	const char *const wishes[][2] = {
		{"client_encoding", database->client_encoding},
		{"DateStyle", database->datestyle},
		{"TimeZone", database->timezone},
		{"application_name", database->application_name},
	};
	const char *pairs[2 * (2 + sizeof wishes / sizeof *wishes) + 1];
	const char *user = server->member.pool->user->name;
	int n = 0;
	const struct secret *secret = userlist_find(snapshot_current()->userlist, user);
	const char *password = database->user && database->password ? database->password : secret ? secret->text : NULL;
	struct buffer *out = NULL;
	pairs[n++] = "user";
	pairs[n++] = user;
	pairs[n++] = "database";
	pairs[n++] = database->dbname;
	for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
		if (wishes[i][1]) {
			pairs[n++] = wishes[i][0];
			pairs[n++] = wishes[i][1];
		}
	pairs[n] = NULL;
	server->login = server_login_new(user, password);
	if (!server_set_state(server, SERVER_LOGIN))
		return;
	if (settings_current()->log_connections)
		log_info(server_subject(server), "new connection to server");
	if (server_login_start(server->login, pairs, &out))
		stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out), ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
}

static void send_cancel(struct server *server)
{
	struct server *target = server->cancel_target;
	struct buffer *out = NULL;
	/* Its query may have ended while we connected: then it must not be sent. */
	if (!target || target->state != SERVER_ACTIVE || !target->key) {
		server_close(server, CLOSE_NOT_WANTED, NULL);
		return;
	}
	if (startup_put_cancel(&out, ENDPOINT_QUEUE_MAX, target->process_id, target->key, target->key_size))
		stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out), ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
}

static void connected(struct stream *stream, int error_number)
{
	struct server *server = server_of_stream(stream);
	if (error_number) {
		struct error error;
		char text[ADDRESS_TEXT];
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "connect to %s failed: %s",
			  address_print(&server->endpoint.remote, text), strerror(error_number));
		stream_close(stream);
		if (server->state == SERVER_CANCELING)
			server_close(server, CLOSE_CONNECT_FAILED, NULL);
		else
			connect_next(server, &error);
		return;
	}
	if (server->state == SERVER_CANCELING)
		send_cancel(server);
	else
		begin_login(server);
}

/* ---- our own queries ---- */

static bool run(struct server *server, enum server_errand errand, const char *sql)
{
	struct buffer *out = NULL;
	struct field_writer writer;
	field_writer_init(&writer, &out, MESSAGE_WHOLE_MAX + strlen(sql));
	field_begin(&writer, MESSAGE_QUERY);
	field_put_string(&writer, sql);
	bool well = field_end(&writer) && pipeline_sent(&server->pipeline, PIPELINE_INTERNAL);
	if (well) {
		server->errand = (uint8_t)errand;
		server->errand_failed = false;
		well = stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out),
					  ENDPOINT_QUEUE_MAX) != IO_ERROR;
	}
	buffer_free(&out);
	return well;
}

/* Give it back: to a waiting client, or to rest. */
static void rest(struct server *server)
{
	pool_release(&server->member);
	if (server->state != SERVER_CLOSING && server->member.place == SERVER_PLACE_IDLE)
		server_set_state(server, SERVER_IDLE);
	else if (server->state != SERVER_CLOSING && server->member.place == SERVER_PLACE_USED) {
		server_set_state(server, SERVER_USED);
		pool_work(server->member.pool);
	}
}

void server_test(struct server *server)
{
	const char *query = settings_current()->server_check_query;
	if (!server_set_state(server, SERVER_TESTED))
		return;
	if (!run(server, ERRAND_CHECK, strcmp(query, "<empty>") ? query : ""))
		server_close(server, CLOSE_CHECK_FAILED, NULL);
}

static void errand_ended(struct server *server)
{
	enum server_errand errand = server->errand;
	bool failed = server->errand_failed || server->status != 'I';
	server->errand = ERRAND_NONE;
	server->errand_done = false;
	switch (errand) {
	case ERRAND_RESET:
	case ERRAND_CHECK:
		if (failed)
			server_close(server, errand == ERRAND_RESET ? CLOSE_RESET_FAILED : CLOSE_CHECK_FAILED, NULL);
		else
			rest(server);
		break;
	case ERRAND_CONNECT: /* what it answered does not matter, a transaction left open does */
		if (server->status != 'I')
			server_close(server, CLOSE_IDLE_DIRTY, NULL);
		else
			rest(server);
		break;
	case ERRAND_PARAMETERS:
	case ERRAND_NONE:
		break;
	}
}

static void logged_in(struct server *server)
{
	struct server_login *login = server->login;
	struct pool *pool = server->member.pool;
	struct buffer *welcome = login->welcome;
	login->welcome = NULL;
	parameter_release(&server->parameters);
	server->parameters = parameter_share(login->parameters);
	parameter_prove(server->parameters);
	server->process_id = login->process_id;
	if (login->key_size) {
		server->key = memory_dup(login->key, login->key_size);
		server->key_size = login->key_size;
	}
	server_login_free(&server->login);
	memory_free(&server->addresses);
	server->status = 'I';
	pool_login_succeeded(pool, welcome, parameter_share(server->parameters));
	if (server->state == SERVER_CLOSING)
		return;
	if (pool->database->connect_query) {
		if (!run(server, ERRAND_CONNECT, pool->database->connect_query))
			server_close(server, CLOSE_SERVER_CRASHED, NULL);
		return;
	}
	rest(server);
}

/* What arrives before the first ReadyForQuery: few messages, each seen whole. */
static void login_input(struct server *server, const uint8_t *bytes, size_t size)
{
	while (server->login) {
		struct message message;
		struct error error;
		struct buffer *out = NULL;
		enum frame frame = message_parse(bytes, size, MESSAGE_WHOLE_MAX, &message);
		if (frame == FRAME_SHORT) {
			endpoint_hold(&server->endpoint, bytes, size);
			return;
		}
		enum server_login_step step = SERVER_LOGIN_BROKEN;
		if (frame == FRAME_BAD)
			error_set(&error, SQLSTATE_PROTOCOL_VIOLATION, "the server sent a message of a wrong length");
		else
			step = server_login_message(server->login, &message, &out, &error);
		if (out)
			stream_write_bytes(&server->endpoint.stream, buffer_bytes(out), buffer_length(out),
					   ENDPOINT_QUEUE_MAX);
		buffer_free(&out);
		if (step == SERVER_LOGIN_REFUSED || step == SERVER_LOGIN_BROKEN) {
			/* Starting up, shutting down, too many clients just now: as if it could not be reached. */
			bool passes = !strcmp(error.sqlstate, sqlstate_code(SQLSTATE_CANNOT_CONNECT_NOW));
			fail_login(server, CLOSE_LOGIN_FAILED, !passes, &error);
			return;
		}
		bytes += message.size + MESSAGE_HEADER;
		size -= message.size + MESSAGE_HEADER;
		if (step == SERVER_LOGIN_DONE) {
			if (size)
				endpoint_hold(&server->endpoint, bytes, size);
			logged_in(server);
		}
	}
}

/* ---- serving a client ---- */

bool server_is_clean(const struct server *server)
{
	const struct endpoint *endpoint = &server->endpoint;
	return server->status == 'I' && !server->half_sent && pipeline_is_idle(&server->pipeline) && endpoint->body_left == 0 &&
	       !endpoint->held && !stream_is_blocked(&endpoint->stream) &&
	       (!endpoint->partner || endpoint->partner->body_left == 0);
}

bool server_prepare(struct server *server, struct parameter_set *wanted)
{
	if (LIKELY(server->parameters == wanted))
		return true;
	struct buffer *query = NULL;
	unsigned count;
	if (!parameter_put_query(&query, ENDPOINT_QUEUE_MAX, wanted, server->parameters, &count) || count == 0)
		return true;
	bool proven = parameter_is_proven(wanted);
	bool well = pipeline_sent(&server->pipeline, PIPELINE_INTERNAL) &&
		    stream_queue(&server->endpoint.stream, buffer_bytes(query), buffer_length(query), ENDPOINT_QUEUE_MAX);
	buffer_free(&query);
	if (!well)
		return true; /* no memory: serve with the values there are */
	server->errand = ERRAND_PARAMETERS;
	server->errand_failed = false;
	if (!proven)
		stream_flush(&server->endpoint.stream);
	return proven;
}

void server_let_go(struct server *server, enum close_reason reason)
{
	if (server->state == SERVER_CLOSING)
		return;
	if (server_is_clean(server))
		server_release(server);
	else
		server_close(server, reason, NULL);
}

void server_release(struct server *server)
{
	const struct settings *settings = settings_current();
	const struct pool *pool = server->member.pool;
	if (server->is_reading) { /* there may be more in what was received: input() comes back here */
		server->let_go = true;
		return;
	}
	stream_resume(&server->endpoint.stream);
	if (LIKELY(server->cancels == 0)) {
		bool reset = (pool->mode == POOL_MODE_SESSION || settings->server_reset_query_always) &&
			     *settings->server_reset_query;
		if (!reset) {
			rest(server);
		} else if (server_set_state(server, SERVER_TESTED) &&
			   !run(server, ERRAND_RESET, settings->server_reset_query)) {
			server_close(server, CLOSE_RESET_FAILED, NULL);
		}
		return;
	}
	/* A cancel on its way could hit the next client's query: wait until PostgreSQL has closed its connection, which it
	 * does after it signalled. Those not sent yet are not. */
	if (!server_set_state(server, SERVER_BEING_CANCELED))
		return;
	list_foreach_safe(node, &pool->servers[SERVER_PLACE_CANCELING]) {
		struct server *carrier = server_of_member(container_of(node, struct pool_server, node));
		if (carrier->cancel_target == server && carrier->endpoint.stream.connecting)
			server_close(carrier, CLOSE_NOT_WANTED, NULL);
	}
}

void server_cancel_ended(struct server *server)
{
	if (server->cancels > 0)
		server->cancels--;
	if (server->cancels == 0 && server->state == SERVER_BEING_CANCELED)
		server_let_go(server, CLOSE_IDLE_DIRTY);
}

/* ---- what the server says ---- */

static bool broken(struct server *server, const char *what)
{
	server->is_broken = true;
	log_warning(server_subject(server), "server broke the protocol: %s", what);
	return false;
}

static void see_parameter(struct server *server, const uint8_t *body, uint32_t size)
{
	const char *name, *value;
	if (!response_parse_parameter_status(body, size, &name, &value)) {
		broken(server, "malformed ParameterStatus");
		return;
	}
	name = parameter_tracked(name);
	if (!name)
		return;
	parameter_put(&server->parameters, name, value);
	if (server->endpoint.partner && server->errand != ERRAND_PARAMETERS)
		partner_ops->parameter(server_client(server), name, value);
}

static bool see_ready(struct server *server, const uint8_t *body, uint32_t size)
{
	bool known = size == 1 && (body[0] == 'I' || body[0] == 'T' || body[0] == 'E');
	if (!known || !pipeline_received(&server->pipeline, MESSAGE_READY_FOR_QUERY))
		return broken(server, "unexpected ReadyForQuery");
	server->status = (char)body[0];
	return true;
}

/* An answer to our own query: nobody else sees it. */
static enum relay_action see_errand(struct server *server, uint8_t type, const uint8_t *body, uint32_t size,
				    uint32_t available)
{
	if (type == MESSAGE_PARAMETER_STATUS) {
		see_parameter(server, body, size);
	} else if (type == MESSAGE_READY_FOR_QUERY) {
		if (!see_ready(server, body, size))
			return RELAY_STOP;
		server->errand_done = true;
		return RELAY_DROP_PAUSE;
	} else {
		if (type == MESSAGE_ERROR_RESPONSE) {
			char severity[16];
			struct error error;
			response_parse_error(body, available, severity, &error);
			server->errand_failed = true;
			server->said_fatal = response_error_is_fatal(body, available);
			log_warning(server_subject(server), "our own query failed: %s %s", error.sqlstate, error.message);
		}
		if (!pipeline_received(&server->pipeline, type) && !broken(server, "unexpected message"))
			return RELAY_STOP;
	}
	return server->is_broken ? RELAY_STOP : RELAY_DROP;
}

/* Between requests a server may only say what is asynchronous. */
static bool is_asynchronous(uint8_t type)
{
	return type == MESSAGE_NOTICE_RESPONSE || type == MESSAGE_PARAMETER_STATUS ||
	       type == MESSAGE_NOTIFICATION_RESPONSE || type == MESSAGE_ERROR_RESPONSE;
}

static enum relay_action see(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size, uint32_t available)
{
	struct server *server = server_of(from);
	if (server->errand)
		return see_errand(server, type, body, size, available);
	switch (type) {
	case MESSAGE_READY_FOR_QUERY:
		if (!see_ready(server, body, size))
			return RELAY_STOP;
		partner_ops->ready(server_client(server), server->status);
		return pipeline_is_idle(&server->pipeline) ? RELAY_FORWARD_PAUSE : RELAY_FORWARD;
	case MESSAGE_PARAMETER_STATUS:
		see_parameter(server, body, size);
		break;
	case MESSAGE_ERROR_RESPONSE:
		server->said_fatal = response_error_is_fatal(body, available);
		pipeline_received(&server->pipeline, type);
		break;
	default:
		if (!pipeline_received(&server->pipeline, type))
			broken(server, "unexpected message");
	}
	return server->is_broken ? RELAY_STOP : RELAY_FORWARD;
}

static enum relay_action see_unasked(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size,
				     uint32_t available)
{
	struct server *server = server_of(from);
	if (server->errand)
		return see_errand(server, type, body, size, available);
	if (!is_asynchronous(type)) {
		broken(server, "message without a request");
		return RELAY_STOP;
	}
	if (type == MESSAGE_PARAMETER_STATUS)
		see_parameter(server, body, size);
	if (type == MESSAGE_ERROR_RESPONSE) {
		char severity[16];
		struct error error;
		response_parse_error(body, available, severity, &error);
		server->said_fatal = response_error_is_fatal(body, available);
		if (!from->partner)
			log_info(server_subject(server), "server said: %s %s", severity, error.message);
	}
	return from->partner ? RELAY_FORWARD : RELAY_DROP;
}

/* In the answer to a simple Query what it consists of does not matter, only its end. */
static enum relay_action see_simple(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size,
				    uint32_t available)
{
	struct server *server = server_of(from);
	if (LIKELY(type == MESSAGE_READY_FOR_QUERY)) {
		if (!see_ready(server, body, size))
			return RELAY_STOP;
		partner_ops->ready(server_client(server), server->status);
		return pipeline_front(&server->pipeline) == MESSAGE_QUERY ? RELAY_FORWARD : RELAY_FORWARD_PAUSE;
	}
	return see(from, type, body, size, available);
}

/* How what comes next is to be looked at. */
static uint8_t care_for_simple[256], care_for_all[256];
static const struct relay serving = {.care = message_backend_care, .see = see};
static const struct relay serving_simple = {.care = care_for_simple, .see = see_simple};
static const struct relay unasked = {.care = care_for_all, .see = see_unasked};

void server_set_partner_ops(const struct server_partner_ops *ops)
{
	partner_ops = ops;
	for (int type = 0; type < 256; type++) {
		uint8_t care = message_backend_care[type];
		bool matters = type != MESSAGE_ROW_DESCRIPTION && type != MESSAGE_COMMAND_COMPLETE &&
			       type != MESSAGE_EMPTY_QUERY_RESPONSE;
		care_for_simple[type] = matters ? care : MESSAGE_PASS;
		care_for_all[type] = care == MESSAGE_PASS ? MESSAGE_SEE_TYPE : care;
	}
}

static const struct relay *eyes(const struct server *server)
{
	uint8_t front = pipeline_front(&server->pipeline);
	if (server->errand || !server->endpoint.partner)
		return &unasked;
	if (LIKELY(front == MESSAGE_QUERY))
		return &serving_simple;
	return front == 0 && server->status == 'I' && pipeline_is_idle(&server->pipeline) ? &unasked : &serving;
}

static void input(struct server *server, const uint8_t *bytes, size_t size)
{
	struct endpoint *endpoint = &server->endpoint;
	uint32_t maximum = (uint32_t)settings_current()->max_packet_size;
	struct relay_batch batch;
	enum relay_end end;
	server->is_reading = true;
	server->let_go = false;
	do {
		end = relay_walk(eyes(server), endpoint, bytes, size, maximum, &batch);
		bytes = batch.rest;
		size = batch.rest_size;
		if (batch.size && endpoint->partner)
			partner_ops->deliver(server_client(server), batch.pieces, batch.count, batch.size);
		if (server->state == SERVER_CLOSING)
			return;
		if (server->errand_done && server->errand == ERRAND_PARAMETERS) {
			bool well = !server->errand_failed;
			server->errand = ERRAND_NONE;
			server->errand_done = false;
			if (!well) {
				struct error error;
				close_reason_error(CLOSE_PARAMETER_INVALID, &error);
				server_close(server, CLOSE_PARAMETER_FAILED, &error);
			} else if (endpoint->partner) {
				partner_ops->prepared(server_client(server));
			}
			if (server->state == SERVER_CLOSING)
				return;
		}
	} while (end == RELAY_PAUSED && size > 0);
	server->is_reading = false;
	if (end > RELAY_PAUSED) {
		if (!server->is_broken)
			broken(server, end == RELAY_BAD_TYPE ? "unknown type of message" : "message of a wrong length");
		server_close(server, endpoint->partner || server->errand ? CLOSE_SERVER_PROTOCOL : CLOSE_IDLE_DIRTY, NULL);
		return;
	}
	if (!endpoint_hold(endpoint, bytes, size)) {
		server_close(server, CLOSE_OUT_OF_MEMORY, NULL);
		return;
	}
	if (endpoint->partner) {
		partner_ops->settle(server_client(server));
	} else if (server->let_go) {
		server_let_go(server, CLOSE_IDLE_DIRTY);
	} else if (server->errand_done && !endpoint->held && !endpoint->body_left) {
		errand_ended(server);
	}
}

static void lost(struct server *server)
{
	struct error error;
	if (server->state == SERVER_CANCELING) {
		server_close(server, CLOSE_CANCEL_SENT, NULL);
	} else if (server->login) {
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "the server closed the connection during login");
		fail_login(server, CLOSE_LOGIN_FAILED, false, &error);
	} else {
		server_close(server, CLOSE_SERVER_CRASHED, NULL);
	}
}

static void readable(struct stream *stream)
{
	struct server *server = server_of_stream(stream);
	uint8_t *bytes;
	size_t size, fresh;
	switch (endpoint_receive(&server->endpoint, &bytes, &size, &fresh)) {
	case IO_DONE:
		break;
	case IO_AGAIN:
		return;
	default:
		lost(server);
		return;
	}
	if (LIKELY(server->state >= SERVER_IDLE && server->state < SERVER_CANCELING) || server->errand) {
		input(server, bytes, size);
	} else if (server->state == SERVER_LOGIN) {
		login_input(server, bytes, size);
	} /* a cancel's connection has nothing to say */
}

static void drained(struct stream *stream)
{
	struct server *server = server_of_stream(stream);
	if (server->endpoint.partner)
		partner_ops->writable(server_client(server));
}

static const struct stream_events events = {
	.readable = readable,
	.drained = drained,
	.connected = connected,
};

static void due(struct loop_timer *timer)
{
	struct server *server = server_of(container_of(timer, struct endpoint, timer));
	struct error error;
	switch ((enum server_deadline)deadlines[server->state]) {
	case DEADLINE_CONNECT:
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "connecting took longer than server_connect_timeout");
		fail_login(server, CLOSE_CONNECT_TIMEOUT, false, &error);
		break;
	case DEADLINE_REST:
		pool_idle_check(&server->member);
		if (server->state == SERVER_CLOSING)
			break;
		if (server->state == SERVER_IDLE && server->member.place == SERVER_PLACE_USED)
			server_set_state(server, SERVER_USED);
		else
			arm(server);
		break;
	case DEADLINE_TEST:
		server_close(server, server->errand == ERRAND_RESET ? CLOSE_RESET_FAILED : CLOSE_CHECK_FAILED, NULL);
		break;
	case DEADLINE_NONE:
		break;
	}
}
