/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "config/snapshot.h"
#include "conn/client_login.h"
#include "conn/relay.h"
#include "core/log.h"
#include "core/memory.h"
#include "net/socket.h"
#include "pool/limit.h"
#include "pool/registry.h"
#include "proto/authentication.h"
#include "proto/response.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

enum {
	CLIENT_MAGIC = 0x636c6e74,
	REQUEST_MAX = 16 * 1024, /* a longer request takes a server before it is whole */
	MINOR_MAX = 0,           /* protocol 3.0 */
};

/* How long answers are still awaited for a client that said goodbye right behind its requests. */
static const usec_t departure_grace = 5 * USEC_PER_SECOND;
/* How long a client that was told why may take to read it. */
static const usec_t linger_time = 2 * USEC_PER_SECOND;

static struct memory_cache cache = MEMORY_CACHE("client_cache", struct client);
static struct list entering; /* not yet in a pool */
static struct list leaving;  /* CLOSING */
static const struct console_ops *console;
static bool refuses_logins;

/* ---- states ---- */

enum client_deadline {
	DEADLINE_NONE,
	DEADLINE_IDLE,
	DEADLINE_ACTIVE, /* up to here: none on entering the state */
	DEADLINE_LOGIN,
	DEADLINE_WELCOME,
	DEADLINE_QUERY_WAIT,
	DEADLINE_CANCEL_WAIT,
	DEADLINE_LINGER
};

/* The columns of the table that each change of state looks at, apart from the names. */
#define TO(state) (1u << CLIENT_##state)
static const uint16_t next_states[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) (uint16_t)((next) | TO(CLOSING)),
#include "conn/client_states.def"
};
#undef TO
static const uint8_t places[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) CLIENT_PLACE_##place,
#include "conn/client_states.def"
};
static const uint8_t deadlines[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) DEADLINE_##deadline,
#include "conn/client_states.def"
};
static const char *const state_names[][2] = {
#define CLIENT_STATE(name, shown, place, deadline, next) {#name, shown},
#include "conn/client_states.def"
};

const char *client_state_name(enum client_state state)
{
	return state_names[state][0];
}

const char *client_state_shown(enum client_state state)
{
	return state_names[state][1];
}

bool client_state_allows(enum client_state from, enum client_state to)
{
	return next_states[from] >> to & 1;
}

static usec_t after(usec_t since, usec_t limit)
{
	return limit ? since + limit : 0;
}

/* Of two times that may be unset (0), the earlier. */
static usec_t earlier(usec_t a, usec_t b)
{
	return !a || (b && b < a) ? b : a;
}

static void arm(struct client *client)
{
	const struct settings *settings = settings_current();
	usec_t due = 0;
	switch ((enum client_deadline)deadlines[client->state]) {
	case DEADLINE_NONE:
	case DEADLINE_IDLE:
		break;
	case DEADLINE_LOGIN:
		due = after(client->endpoint.connected_at, settings->client_login_timeout);
		break;
	case DEADLINE_WELCOME:
		due = earlier(after(client->endpoint.connected_at, settings->client_login_timeout),
			      after(client->member.wait_since, client->member.pool->query_wait_timeout));
		break;
	case DEADLINE_QUERY_WAIT:
		due = after(client->member.wait_since, client->member.pool->query_wait_timeout);
		break;
	case DEADLINE_ACTIVE:
		due = client->departing ? clock_now() + departure_grace : 0;
		break;
	case DEADLINE_CANCEL_WAIT:
		due = after(client->member.wait_since, settings->cancel_wait_timeout);
		break;
	case DEADLINE_LINGER:
		due = clock_now() + linger_time;
		break;
	}
	loop_timer_set(&client->endpoint.timer, due);
}

bool client_set_state(struct client *client, enum client_state state)
{
	if (__builtin_expect(!client_state_allows(client->state, state), 0)) {
		log_error(client_subject(client), "BUG: illegal state change from %s to %s",
			  client_state_name(client->state), client_state_name(state));
		client_close(client, CLOSE_BUG, NULL);
		return false;
	}
	client->state = (uint8_t)state;
	enum client_place place = places[state];
	if (place != client->member.place)
		pool_client_move(client->member.pool, &client->member, place);
	if (deadlines[state] <= DEADLINE_ACTIVE)
		loop_timer_clear(&client->endpoint.timer);
	else
		arm(client);
	return true;
}

/* ---- names ---- */

struct server *client_server(const struct client *client)
{
	return (struct server *)(void *)client->endpoint.partner;
}

const char *client_subject(const struct client *client)
{
	static char text[512];
	char address[ADDRESS_TEXT];
	const struct client_login *login = client->login;
	snprintf(text, sizeof text, "C-%p: %s/%s@%s ", (const void *)client,
		 client->database ? client->database->name
		 : login && login->database ? login->database
					    : "(nodb)",
		 client->user ? client->user->name
		 : login && login->user ? login->user
					: "(nouser)",
		 address_print(&client->endpoint.remote, address));
	return text;
}

static struct client *client_of(struct endpoint *endpoint)
{
	struct client *client = container_of(endpoint, struct client, endpoint);
	assert(client->endpoint.magic == CLIENT_MAGIC);
	return client;
}

static struct client *client_of_stream(struct stream *stream)
{
	return client_of(container_of(stream, struct endpoint, stream));
}

static struct stats_counters *counters(const struct client *client)
{
	return &client->database->stats.now;
}

/* ---- the end ---- */

static void free_later(struct loop_work *work)
{
	struct client *client = container_of(work, struct client, endpoint.ending);
	client->endpoint.magic = 0;
	memory_cache_free(&cache, client);
}

/* The last step: nothing more is to be said or heard. */
static void vanish(struct client *client)
{
	struct endpoint *endpoint = &client->endpoint;
	if (endpoint->stream.fd < 0)
		return;
	stream_close(&endpoint->stream);
	loop_timer_fini(&endpoint->timer);
	list_remove(&leaving, &client->member.node);
	limit_connection_closed();
	endpoint->ending.callback = free_later;
	loop_post(&endpoint->ending);
}

/* Part from the server: it goes back to the pool if nothing is owed or half-done, and is closed otherwise, which rolls
 * back what the client left open. */
static void part(struct client *client)
{
	struct server *server = client_server(client);
	if (!server)
		return;
	enum close_reason reason = pipeline_owes_ready(&server->pipeline) ? CLOSE_CLIENT_GONE_IN_QUERY
									  : CLOSE_CLIENT_GONE_NOT_READY;
	server->half_sent = client->endpoint.body_left > 0;
	endpoint_unlink(&client->endpoint);
	server_let_go(server, reason);
}

static bool server_is_mid_message(const struct client *client)
{
	const struct endpoint *partner = client->endpoint.partner;
	return partner && partner->body_left > 0 && !partner->body_dropped;
}

/* Leave every list and count. */
static void leave(struct client *client)
{
	if (client->member.place != CLIENT_PLACE_NONE)
		pool_client_move(client->member.pool, &client->member, CLIENT_PLACE_NONE);
	else
		list_remove(&entering, &client->member.node);
	client->member.pool = NULL;
	list_push_last(&leaving, &client->member.node);
	cancel_key_remove(&client->key);
	if (client->is_counted)
		limit_client_removed(client->database, client->user);
	client->is_counted = false;
	if (client->console)
		console->close(client);
	client->console = NULL;
}

/* @silently: it cannot be told, or was. */
static void close_saying(struct client *client, enum close_reason reason, const struct error *error, bool silently)
{
	struct endpoint *endpoint = &client->endpoint;
	struct error told;
	if (client->state == CLIENT_CLOSING)
		return;
	bool tells = error || close_reason_error(reason, &told);
	if (error)
		told = *error;
	if (tells && settings_current()->log_pooler_errors)
		log_warning(client_subject(client), "pooler error: %s", told.message);
	if (settings_current()->log_disconnections)
		log_info(client_subject(client), "closing because: %s (age=%llds)",
			 tells ? told.message : close_reason_text(reason),
			 (long long)((clock_now() - endpoint->connected_at) / USEC_PER_SECOND));
	silently |= server_is_mid_message(client);
	leave(client);
	client->state = CLIENT_CLOSING;
	part(client);
	client_login_free(&client->login);
	parameter_release(&client->parameters);
	buffer_free(&endpoint->held);
	client->database = NULL;
	client->user = NULL;
	if (!tells || silently) { /* an error in the middle of a row would be read as part of it */
		vanish(client);
		return;
	}
	struct buffer *out = NULL;
	enum io io = IO_ERROR;
	if (response_put_error(&out, MESSAGE_WHOLE_MAX, "FATAL", &told))
		io = stream_write_bytes(&endpoint->stream, buffer_bytes(out), buffer_length(out), ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
	if (io == IO_ERROR) {
		vanish(client);
		return;
	}
	/* Closing with unread bytes would reset the connection, and the error be lost: wait until it was read. */
	if (io == IO_DONE)
		stream_shutdown(&endpoint->stream);
	stream_resume(&endpoint->stream);
	arm(client);
}

void client_close(struct client *client, enum close_reason reason, const struct error *error)
{
	close_saying(client, reason, error, false);
}

void client_send(struct client *client, struct buffer **out)
{
	if (*out && client->state != CLIENT_CLOSING) {
		enum io io = stream_write_bytes(&client->endpoint.stream, buffer_bytes(*out), buffer_length(*out), UINT32_MAX / 2);
		if (io == IO_ERROR)
			client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
	buffer_free(out);
}

/* Its protocol is wrong: told so, and closed. */
static void fail(struct client *client, enum sqlstate sqlstate, const char *text)
{
	struct error error;
	error_set(&error, sqlstate, "%s", text);
	client_close(client, CLOSE_CLIENT_ERROR, &error);
}

static void fail_header(struct client *client, enum relay_end end, const uint8_t *bytes, size_t size)
{
	char text[64] = "bad packet header: '";
	size_t at = strlen(text);
	if (end == RELAY_BAD_TYPE) {
		fail(client, SQLSTATE_PROTOCOL_VIOLATION, "unknown pkt");
		return;
	}
	for (size_t i = 0; i < size && i < MESSAGE_HEADER; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%02x", bytes[i]);
	snprintf(text + at, sizeof text - at, "'");
	fail(client, SQLSTATE_PROTOCOL_VIOLATION, text);
}

/* ---- requests ---- */

static void forward(struct client *client, const uint8_t *bytes, size_t size);
static void begin(struct client *client, const uint8_t *bytes, size_t size);

static void hold(struct client *client, const uint8_t *bytes, size_t size)
{
	if (client->state == CLIENT_CLOSING)
		return;
	if (!endpoint_hold(&client->endpoint, bytes, size))
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
}

/* What it sent while it could not be served: enough is enough. */
static void hold_for_later(struct client *client, const uint8_t *bytes, size_t size)
{
	hold(client, bytes, size);
	if (buffer_length(client->endpoint.held) >= REQUEST_MAX)
		stream_pause(&client->endpoint.stream);
}

/* Go on with what was held. */
static void go_on(struct client *client)
{
	struct buffer *held = client->endpoint.held;
	client->endpoint.held = NULL;
	stream_resume(&client->endpoint.stream);
	if (held && client_server(client))
		forward(client, buffer_bytes(held), buffer_length(held));
	else if (held)
		begin(client, buffer_bytes(held), buffer_length(held));
	buffer_free(&held);
}

static void link_to(struct client *client, struct server *server)
{
	endpoint_link(&client->endpoint, &server->endpoint);
	counters(client)->server_assignment_count++;
	if (!server_set_state(server, SERVER_ACTIVE) || !client_set_state(client, CLIENT_ACTIVE))
		return;
	client->stalled = !server_prepare(server, client->parameters);
}

/* pool_ops.assign: from the queue, or out of pool_request() in begin(), which goes on by itself. */
void client_assign(struct pool_client *member, struct pool_server *server)
{
	struct client *client = client_of_member(member);
	bool waited = client->state == CLIENT_WAITING;
	if (waited)
		counters(client)->wait_time += (uint64_t)(clock_now() - member->wait_since);
	link_to(client, server_of_member(server));
	if (waited && client->state == CLIENT_ACTIVE && !client->stalled)
		go_on(client);
}

enum request { REQUEST_NONE, REQUEST_WANTS_SERVER, REQUEST_TERMINATE, REQUEST_BAD_TYPE, REQUEST_BAD_LENGTH };

/* Has an idle client sent what deserves a server? A request that is not whole does not, nor do messages that the server
 * would not answer: extended ones until Sync or Flush (PostgreSQL says nothing before), strays of a COPY that failed
 * meanwhile, a Flush of nothing. Strays are skipped: *@bytes, *@size are what is left. */
static enum request scan(struct client *client, const uint8_t **bytes, size_t *size)
{
	const uint32_t maximum = (uint32_t)settings_current()->max_packet_size;
	const uint8_t *at = *bytes, *const end = at + *size;
	bool extended = false;
	if (client->endpoint.body_left) { /* the rest of a stray */
		size_t here = *size < client->endpoint.body_left ? *size : client->endpoint.body_left;
		client->endpoint.body_left -= (uint32_t)here;
		*bytes = at += here;
		*size -= here;
	}
	while (end - at >= MESSAGE_HEADER) {
		uint32_t length = message_length(at);
		bool whole = (size_t)(end - at) > length;
		if (message_frontend_care[*at] == MESSAGE_INVALID)
			return REQUEST_BAD_TYPE;
		if (length < MESSAGE_LENGTH_MIN || length > maximum)
			return REQUEST_BAD_LENGTH;
		switch (*at) {
		case MESSAGE_QUERY:
		case MESSAGE_SYNC:
		case MESSAGE_FUNCTION_CALL:
			if (whole || (size_t)(end - *bytes) >= REQUEST_MAX)
				return REQUEST_WANTS_SERVER;
			return REQUEST_NONE;
		case MESSAGE_TERMINATE:
			return REQUEST_TERMINATE;
		case MESSAGE_COPY_DATA:
		case MESSAGE_COPY_DONE:
		case MESSAGE_COPY_FAIL:
		case MESSAGE_FLUSH:
			if (*at == MESSAGE_FLUSH && extended)
				return REQUEST_WANTS_SERVER;
			if (extended)
				break;
			if (!whole) {
				client->endpoint.body_left = length + 1 - (uint32_t)(end - at);
				*bytes = end;
				*size = 0;
				return REQUEST_NONE;
			}
			*bytes = at + length + 1;
			*size = (size_t)(end - *bytes);
			break;
		default:
			extended = true;
		}
		if (!whole)
			break;
		at += (size_t)length + 1;
	}
	return (size_t)(end - *bytes) >= REQUEST_MAX ? REQUEST_WANTS_SERVER : REQUEST_NONE;
}

/* The usual request: one Query, whole and alone. */
static inline bool is_single_query(const struct client *client, const uint8_t *bytes, size_t size)
{
	return size >= MESSAGE_HEADER && bytes[0] == MESSAGE_QUERY && size == (size_t)message_length(bytes) + 1 &&
	       size <= REQUEST_MAX && client->endpoint.body_left == 0;
}

static void begin(struct client *client, const uint8_t *bytes, size_t size)
{
	struct error error;
	/* It has not read its last answers: a server would have to wait for that. */
	if (stream_is_blocked(&client->endpoint.stream)) {
		hold(client, bytes, size);
		stream_pause(&client->endpoint.stream);
		return;
	}
	enum request request = is_single_query(client, bytes, size) ? REQUEST_WANTS_SERVER
								       : scan(client, &bytes, &size);
	switch (request) {
	case REQUEST_WANTS_SERVER:
		break;
	case REQUEST_NONE:
		hold(client, bytes, size);
		return;
	case REQUEST_TERMINATE:
		client_close(client, CLOSE_CLIENT_REQUEST, NULL);
		return;
	default:
		fail_header(client, request == REQUEST_BAD_TYPE ? RELAY_BAD_TYPE : RELAY_BAD_LENGTH, bytes, size);
		return;
	}
	client->endpoint.request_at = clock_now();
	if (pool_is_failing(client->member.pool, &error)) {
		client_close(client, CLOSE_SERVER_REJECTED, &error);
		return;
	}
	pool_request(client->member.pool, &client->member);
	if (LIKELY(client->state == CLIENT_ACTIVE)) {
		forward(client, bytes, size);
	} else if (client->state == CLIENT_IDLE) {
		client_set_state(client, CLIENT_WAITING);
		hold_for_later(client, bytes, size);
	}
}

/* It will send nothing more. Answers that are owed are still delivered, within bounds. */
static void depart(struct client *client, enum close_reason reason)
{
	struct server *server = client_server(client);
	bool served = server && !server_is_clean(server) && pipeline_owes_ready(&server->pipeline) &&
		      !server->pipeline.copy_in && client->endpoint.body_left == 0 && !client->endpoint.held;
	if (!served || client->departing) {
		client_close(client, reason, NULL);
		return;
	}
	client->departing = true;
	stream_pause(&client->endpoint.stream);
	arm(client);
}

static enum relay_action see(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size, uint32_t available)
{
	struct client *client = client_of(from);
	struct pipeline *pipeline = &client_server(client)->pipeline;
	(void)body;
	(void)size;
	(void)available;
	if (type == MESSAGE_TERMINATE || pipeline_is_full(pipeline) || !pipeline_sent(pipeline, type))
		return RELAY_STOP;
	return RELAY_FORWARD;
}

static const struct relay requests = {.care = message_frontend_care, .see = see};

/* From a linked client to its server. */
static void forward(struct client *client, const uint8_t *bytes, size_t size)
{
	struct server *server = client_server(client);
	struct relay_batch batch;
	if (client->stalled) {
		hold_for_later(client, bytes, size);
		return;
	}
	if (!client->in_transaction) {
		client->in_transaction = true;
		client->transaction_at = clock_now();
	}
	if (pipeline_is_idle(&server->pipeline))
		client->query_at = clock_now();
	enum relay_end end = relay_walk(&requests, &client->endpoint, bytes, size,
					(uint32_t)settings_current()->max_packet_size, &batch);
	/* If the write fails the server is gone; what it said last comes by its own readable event. */
	if (batch.size && stream_write(&server->endpoint.stream, batch.pieces, batch.count, ENDPOINT_QUEUE_MAX) == IO_AGAIN)
		stream_pause(&client->endpoint.stream);
	if (LIKELY(end == RELAY_DONE)) {
		if (batch.rest_size)
			hold(client, batch.rest, batch.rest_size);
	} else if (end == RELAY_STOPPED && batch.rest[0] == MESSAGE_TERMINATE) {
		depart(client, CLOSE_CLIENT_REQUEST);
	} else if (end == RELAY_STOPPED) { /* the server owes very many answers */
		hold(client, batch.rest, batch.rest_size);
		stream_pause(&client->endpoint.stream);
	} else {
		fail_header(client, end, batch.rest, batch.rest_size);
	}
}

/* ---- what servers have for it: server_partner_ops ---- */

static void deliver(struct client *client, const struct iovec *pieces, int count, size_t size)
{
	struct server *server = client_server(client);
	counters(client)->sent += size;
	switch (stream_write(&client->endpoint.stream, pieces, count, ENDPOINT_QUEUE_MAX)) {
	case IO_DONE:
		break;
	case IO_AGAIN:
		stream_pause(&server->endpoint.stream);
		break;
	default:
		client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
}

static void ready(struct client *client, char status)
{
	struct stats_counters *c = counters(client);
	usec_t now = clock_now();
	c->query_count++;
	c->query_time += (uint64_t)(now - client->query_at);
	client->query_at = now; /* for the next in a pipeline */
	if (status == 'I' && client->in_transaction) {
		client->in_transaction = false;
		c->xact_count++;
		c->xact_time += (uint64_t)(now - client->transaction_at);
	}
}

static void settle(struct client *client)
{
	struct server *server = client_server(client);
	if (!pipeline_is_idle(&server->pipeline)) {
		/* Requests that found the pipeline full may go on when half of it is through. */
		if (client->endpoint.held && !client->departing && !client->stalled &&
		    server->pipeline.length < PIPELINE_MAX / 2 && !stream_is_blocked(&server->endpoint.stream))
			go_on(client);
		return;
	}
	if (client->departing) {
		client_close(client, CLOSE_CLIENT_REQUEST, NULL);
		return;
	}
	enum pool_mode mode = client->member.pool->mode;
	if (mode == POOL_MODE_STATEMENT && server->status != 'I') {
		client_close(client, CLOSE_TRANSACTION_BLOCK, NULL);
		return;
	}
	if (mode == POOL_MODE_SESSION) {
		if (server->member.close_needed && settings_current()->server_fast_close && server->status == 'I')
			client_close(client, CLOSE_CLOSE_NEEDED, NULL);
		else if (client->endpoint.held && !stream_is_blocked(&server->endpoint.stream))
			go_on(client);
		return;
	}
	if (!server_is_clean(server))
		return;
	client->in_transaction = false;
	endpoint_unlink(&client->endpoint);
	client_set_state(client, CLIENT_IDLE);
	bool more = client->endpoint.held != NULL;
	stream_resume(&client->endpoint.stream);
	server_release(server);
	if (more && client->state == CLIENT_IDLE)
		go_on(client);
}

static void prepared(struct client *client)
{
	struct server *server = client_server(client);
	/* The values as the server made them ("SQL" became "SQL, DMY"): the client is told where they differ. */
	struct buffer *out = NULL;
	const char *cursor = NULL, *name, *value;
	while (parameter_next(server->parameters, &cursor, &name, &value)) {
		const char *mine = parameter_get(client->parameters, name);
		if (!mine || strcmp(mine, value))
			response_put_parameter_status(&out, ENDPOINT_QUEUE_MAX, name, value);
	}
	parameter_prove(client->parameters);
	parameter_prove(server->parameters);
	parameter_release(&client->parameters);
	client->parameters = parameter_share(server->parameters);
	client_send(client, &out);
	if (client->stalled && client->state == CLIENT_ACTIVE) {
		client->stalled = false;
		go_on(client);
	}
}

static void writable(struct client *client)
{
	if (!client->departing && !client->stalled)
		go_on(client);
	else
		settle(client);
}

static void server_lost(struct client *client, enum close_reason reason, const struct error *error, bool silently)
{
	struct error told;
	if (!error) {
		if (!close_reason_error(reason, &told))
			close_reason_error(CLOSE_SERVER_CRASHED, &told);
		error = &told;
	}
	close_saying(client, CLOSE_SERVER_CRASHED, error, silently);
}

static void parameter(struct client *client, const char *name, const char *value)
{
	if (client->parameters)
		parameter_put(&client->parameters, name, value);
}

/* ---- logging in ---- */

static void greet(struct client *client);

static void refuse(struct client *client, const struct error *error)
{
	if (client->login && client->login->user)
		log_info(client_subject(client), "login failed: db=%s user=%s", client->login->database,
			 client->login->user);
	client_close(client, CLOSE_LOGIN_REFUSED, error);
}

/* Proven who it is. Everything that depends on names being true is asked only now. */
static void proven(struct client *client, struct buffer **out)
{
	struct client_login *login = client->login;
	struct error error;
	struct database *database = registry_database(login->database);
	if (!database) {
		error_set(&error, SQLSTATE_INVALID_CATALOG_NAME, "no such database: %s", login->database);
		refuse(client, &error);
		return;
	}
	struct user *user = registry_user(login->user);
	if (!limit_admits_client(database, user, &error)) {
		refuse(client, &error);
		return;
	}
	if (database->is_disabled) {
		error_set(&error, SQLSTATE_CANNOT_CONNECT_NOW, "database \"%s\" is disabled", database->name);
		refuse(client, &error);
		return;
	}
	if (refuses_logins && !database->is_console) {
		close_reason_error(CLOSE_POOLER_SHUTDOWN, &error);
		refuse(client, &error);
		return;
	}
	if (database->is_console && !console->admit(client, &error)) {
		refuse(client, &error);
		return;
	}
	struct pool *pool = registry_pool(database, user);
	if (!database->is_console && !pool->welcome && pool_is_failing(pool, &error)) {
		refuse(client, &error);
		return;
	}
	list_remove(&entering, &client->member.node);
	client->database = database;
	client->user = user;
	client->member.pool = pool;
	limit_client_added(database, user);
	client->is_counted = true;
	client->database->stats.now.client_login_count++;
	authentication_put_ok(out, CLIENT_LOGIN_OUT_MAX);
	if (!stream_queue(&client->endpoint.stream, buffer_bytes(*out), buffer_length(*out), ENDPOINT_QUEUE_MAX)) {
		pool_client_move(pool, &client->member, CLIENT_PLACE_ACTIVE);
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
	} else if (database->is_console) {
		client_login_free(&client->login);
		client->parameters = parameter_empty();
		if (client_set_state(client, CLIENT_IDLE)) {
			cancel_key_add(&client->key);
			console->open(client);
		}
	} else if (pool->welcome) {
		if (client_set_state(client, CLIENT_IDLE))
			greet(client);
	} else {
		stream_flush(&client->endpoint.stream);
		pool_request_welcome(pool, &client->member);
		if (client->state == CLIENT_AUTH)
			client_set_state(client, CLIENT_WELCOME);
	}
}

/* Values for a client that asked for none. */
static void put_database_wishes(struct client *client)
{
	const struct database *database = client->database;
	const char *const wishes[][2] = {
		{"client_encoding", database->client_encoding},
		{"DateStyle", database->datestyle},
		{"TimeZone", database->timezone},
		{"application_name", database->application_name},
	};
	for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
		if (wishes[i][1] && !parameter_get(client->parameters, wishes[i][0]))
			parameter_put(&client->parameters, wishes[i][0], wishes[i][1]);
}

/* ParameterStatus as the pool's server reported them, with the client's own values; BackendKeyData; ReadyForQuery. */
static void greet(struct client *client)
{
	const struct pool *pool = client->member.pool;
	struct buffer *out = NULL;
	client->parameters = client->login->parameters;
	client->login->parameters = NULL;
	client_login_free(&client->login);
	put_database_wishes(client);
	parameter_put_over(&client->parameters, pool->welcome_parameters);
	const uint8_t *at = buffer_bytes(pool->welcome), *end = at + buffer_length(pool->welcome);
	struct message message;
	bool well = true;
	while (message_parse(at, (size_t)(end - at), ENDPOINT_QUEUE_MAX, &message) == FRAME_OK) {
		const char *name = (const char *)message.body;
		const char *own = parameter_get(client->parameters, name);
		well &= own ? response_put_parameter_status(&out, ENDPOINT_QUEUE_MAX, name, own)
			    : buffer_append(&out, at, message.size + MESSAGE_HEADER, ENDPOINT_QUEUE_MAX);
		at += message.size + MESSAGE_HEADER;
	}
	cancel_key_add(&client->key);
	well &= response_put_backend_key_data(&out, ENDPOINT_QUEUE_MAX, cancel_key_process_id(&client->key),
					      cancel_key_secret(&client->key), CANCEL_SECRET);
	well &= response_put_ready_for_query(&out, ENDPOINT_QUEUE_MAX, 'I');
	if (!well) {
		buffer_free(&out);
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
		return;
	}
	client_send(client, &out);
	/* A client may send its first request without waiting for this. */
	if (client->state == CLIENT_IDLE && client->endpoint.held)
		go_on(client);
}

/* pool_ops.welcome */
void client_welcome(struct pool_client *member)
{
	struct client *client = client_of_member(member);
	if (client_set_state(client, CLIENT_IDLE))
		greet(client);
}

static void authenticate(struct client *client, enum client_login_step step, struct buffer **out, const struct error *error)
{
	switch (step) {
	case CLIENT_LOGIN_PROVEN:
		proven(client, out);
		break;
	case CLIENT_LOGIN_FAILED:
		refuse(client, error);
		break;
	case CLIENT_LOGIN_MORE:
		if (buffer_length(*out))
			client_send(client, out);
	}
	buffer_free(out);
}

static void start(struct client *client, const struct startup *startup)
{
	const struct settings *settings = settings_current();
	struct client_login *login = client->login = client_login_new();
	struct buffer *out = NULL;
	struct error error;
	bool is_unix = address_is_unix(&client->endpoint.remote);
	if (settings->client_tls_sslmode >= TLS_REQUIRE && !is_unix) {
		error_set(&error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, "SSL required");
		client_close(client, CLOSE_LOGIN_REFUSED, &error);
		return;
	}
	if (!client_login_startup(login, startup, settings->ignore_startup_parameters, &error)) {
		client_close(client, CLOSE_CLIENT_ERROR, &error);
		return;
	}
	bool for_console = registry_is_console_name(login->database);
	if (settings->log_connections)
		log_info(client_subject(client), "login attempt: db=%s user=%s tls=no replication=none", login->database,
			 login->user);
	if (!for_console && !limit_admits_connection(&error)) {
		client_close(client, CLOSE_LOGIN_REFUSED, &error);
		return;
	}
	if (!client_set_state(client, CLIENT_AUTH))
		return;
	if (startup_must_negotiate(startup, MINOR_MAX))
		startup_put_negotiate(&out, CLIENT_LOGIN_OUT_MAX, startup, MINOR_MAX);
	enum client_login_step step = CLIENT_LOGIN_PROVEN;
	if (for_console && console->trusts(client, login->user)) {
		log_info(client_subject(client), "pgbouncer access from unix socket");
	} else {
		const struct secret *secret = userlist_find(snapshot_current()->userlist, login->user);
		if (!secret && settings->auth_type != AUTH_TRUST)
			log_debug(client_subject(client), "no such user: %s", login->user);
		step = client_login_begin(login, settings->auth_type, secret, (unsigned)settings->scram_iterations, &out,
					  &error);
	}
	authenticate(client, step, &out, &error);
}

/* ---- cancel requests ---- */

/* Carry it out if a connection may be opened for it now. */
static void try_cancel(struct client *asker, struct server *target)
{
	const struct pool *pool = target->member.pool;
	uint32_t carriers = pool->servers[SERVER_PLACE_CANCELING].length;
	if (pool->size && carriers >= (uint32_t)pool->size)
		return; /* waits: cancel_ended() of another comes back here */
	if (client_set_state(asker, CLIENT_CANCEL_ACTIVE))
		server_launch_cancel(target, asker);
}

static struct server *cancel_target(struct client *victim)
{
	struct server *server = victim->state == CLIENT_ACTIVE ? client_server(victim) : NULL;
	/* While our own query runs there is nothing of the client's to cancel. */
	return server && !server->errand && pipeline_owes_ready(&server->pipeline) ? server : NULL;
}

static void cancel(struct client *client, const struct startup *startup)
{
	struct cancel_key *key = cancel_key_find(startup->process_id, startup->key, startup->key_size);
	if (!key) {
		client_close(client, CLOSE_BAD_CANCEL, NULL);
		return;
	}
	struct client *victim = container_of(key, struct client, key);
	struct server *target = cancel_target(victim);
	if (victim->console) {
		console->cancel(victim);
		client_close(client, CLOSE_CANCEL_DONE, NULL);
	} else if (!target) {
		client_close(client, CLOSE_CANCEL_IDLE, NULL);
	} else {
		list_remove(&entering, &client->member.node);
		client->member.wait_since = clock_now();
		client->member.pool = target->member.pool;
		memcpy(client->key.bytes, key->bytes, sizeof key->bytes); /* not listed: only whom it asks about */
		if (client_set_state(client, CLIENT_CANCEL_WAITING))
			try_cancel(client, target);
	}
}

/* A carrier ended: its asker goes, and the next that waits in the pool is tried. */
static void cancel_ended(struct client *client)
{
	struct pool *pool = client->member.pool;
	client_close(client, CLOSE_CANCEL_DONE, NULL);
	struct list_node *node = pool ? list_first(&pool->clients[CLIENT_PLACE_CANCEL_WAITING]) : NULL;
	if (!node)
		return;
	struct client *next = client_of_member(container_of(node, struct pool_client, node));
	struct cancel_key *key = cancel_key_find(cancel_key_process_id(&next->key), cancel_key_secret(&next->key),
						 CANCEL_SECRET);
	struct server *target = key ? cancel_target(container_of(key, struct client, key)) : NULL;
	if (target && target->member.pool == pool)
		try_cancel(next, target);
	else
		client_close(next, CLOSE_CANCEL_IDLE, NULL);
}

/* ---- what clients say before they are logged in ---- */

static void say_no_encryption(struct client *client, const char *what, size_t behind)
{
	if (behind) { /* someone smuggled plaintext behind the request */
		char text[128];
		snprintf(text, sizeof text, "received unencrypted data after %s request", what);
		fail(client, SQLSTATE_PROTOCOL_VIOLATION, text);
	} else if (stream_write_bytes(&client->endpoint.stream, "N", 1, 1) == IO_ERROR) {
		client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
}

static void startup_input(struct client *client, const uint8_t *bytes, size_t size)
{
	struct startup startup;
	struct error error;
	switch (startup_parse(bytes, size, &startup, &error)) {
	case FRAME_SHORT:
		hold(client, bytes, size);
		return;
	case FRAME_BAD:
		client_close(client, CLOSE_CLIENT_ERROR, &error);
		return;
	case FRAME_OK:
		break;
	}
	size_t behind = size - startup.length;
	switch (startup.kind) {
	case STARTUP_SSL_REQUEST:
		say_no_encryption(client, "SSL", behind);
		break;
	case STARTUP_GSSENC_REQUEST:
		say_no_encryption(client, "GSSAPI encryption", behind);
		break;
	case STARTUP_CANCEL_REQUEST:
		cancel(client, &startup);
		break;
	case STARTUP_MESSAGE:
		start(client, &startup);
		if (behind && client->state != CLIENT_CLOSING) {
			if (client->state == CLIENT_AUTH) /* an answer cannot come before the question */
				fail(client, SQLSTATE_PROTOCOL_VIOLATION, "client password pkt before startup packet");
			else if (client->state == CLIENT_IDLE && !client->console)
				begin(client, bytes + startup.length, behind);
			else
				hold(client, bytes + startup.length, behind);
		}
	}
}

static void auth_input(struct client *client, const uint8_t *bytes, size_t size)
{
	struct message message;
	struct buffer *out = NULL;
	struct error error;
	switch (message_parse(bytes, size, STARTUP_MAX, &message)) {
	case FRAME_SHORT:
		hold(client, bytes, size);
		return;
	case FRAME_BAD:
		fail_header(client, RELAY_BAD_LENGTH, bytes, size);
		return;
	case FRAME_OK:
		break;
	}
	if (message.type != 'p') {
		fail(client, SQLSTATE_PROTOCOL_VIOLATION, "unknown pkt");
		return;
	}
	enum client_login_step step = client_login_answer(client->login, &message, &out, &error);
	size_t behind = size - message.size - MESSAGE_HEADER;
	if (behind && step == CLIENT_LOGIN_MORE) {
		buffer_free(&out);
		fail(client, SQLSTATE_PROTOCOL_VIOLATION, "data behind the authentication message");
		return;
	}
	/* Requests may follow the last message of the exchange: they wait for the greeting. */
	if (behind && step == CLIENT_LOGIN_PROVEN)
		hold(client, bytes + size - behind, behind);
	authenticate(client, step, &out, &error);
}

/* ---- the console's clients ---- */

static void console_input(struct client *client, const uint8_t *bytes, size_t size)
{
	while (client->console && !client->stalled) {
		struct message message;
		enum frame frame = message_parse(bytes, size, MESSAGE_WHOLE_MAX, &message);
		if (frame == FRAME_SHORT)
			break;
		if (frame == FRAME_BAD || message_frontend_care[message.type] == MESSAGE_INVALID) {
			fail_header(client, frame == FRAME_BAD ? RELAY_BAD_LENGTH : RELAY_BAD_TYPE, bytes, size);
			return;
		}
		bytes += message.size + MESSAGE_HEADER;
		size -= message.size + MESSAGE_HEADER;
		if (message.type == MESSAGE_TERMINATE) {
			client_close(client, CLOSE_CLIENT_REQUEST, NULL);
			return;
		}
		client->endpoint.request_at = clock_now();
		console->message(client, &message);
	}
	if (client->console)
		hold_for_later(client, bytes, size);
}

static void resume_later(struct loop_work *work)
{
	struct client *client = container_of(work, struct client, endpoint.ending);
	struct buffer *held = client->endpoint.held;
	if (client->state == CLIENT_CLOSING || client->stalled)
		return;
	client->endpoint.held = NULL;
	stream_resume(&client->endpoint.stream);
	if (held)
		console_input(client, buffer_bytes(held), buffer_length(held));
	buffer_free(&held);
}

void client_resume(struct client *client)
{
	client->stalled = false;
	client->endpoint.ending.callback = resume_later;
	loop_post(&client->endpoint.ending);
}

/* ---- events ---- */

static void input(struct client *client, const uint8_t *bytes, size_t size, size_t fresh)
{
	switch ((enum client_state)client->state) {
	case CLIENT_ACTIVE:
		counters(client)->received += fresh;
		forward(client, bytes, size);
		break;
	case CLIENT_IDLE:
		counters(client)->received += fresh;
		if (client->console)
			console_input(client, bytes, size);
		else
			begin(client, bytes, size);
		break;
	case CLIENT_WAITING:
		counters(client)->received += fresh;
		hold_for_later(client, bytes, size);
		break;
	case CLIENT_WELCOME:
		hold_for_later(client, bytes, size);
		break;
	case CLIENT_STARTUP:
		startup_input(client, bytes, size);
		break;
	case CLIENT_AUTH:
		auth_input(client, bytes, size);
		break;
	case CLIENT_TLS:
	case CLIENT_CANCEL_WAITING:
	case CLIENT_CANCEL_ACTIVE:
	case CLIENT_CLOSING:
	case CLIENT_STATE_COUNT:
		break; /* nothing it says matters any more */
	}
}

/* The far end sends nothing more, or is gone. */
static void ended(struct client *client)
{
	switch ((enum client_state)client->state) {
	case CLIENT_CLOSING:
		vanish(client);
		break;
	case CLIENT_CANCEL_WAITING:
	case CLIENT_CANCEL_ACTIVE:
		/* Who asks to cancel may leave at once; its request stands. */
		stream_pause(&client->endpoint.stream);
		break;
	case CLIENT_ACTIVE:
		depart(client, CLOSE_CLIENT_EOF);
		break;
	default:
		client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
}

static void readable(struct stream *stream)
{
	struct client *client = client_of_stream(stream);
	uint8_t *bytes;
	size_t size, fresh;
	switch (endpoint_receive(&client->endpoint, &bytes, &size, &fresh)) {
	case IO_DONE:
		input(client, bytes, size, fresh);
		break;
	case IO_AGAIN:
		break;
	case IO_EOF:
		ended(client);
		break;
	case IO_ERROR:
		if (client->state == CLIENT_ACTIVE)
			client_close(client, CLOSE_CLIENT_EOF, NULL);
		else
			ended(client);
		break;
	}
}

static void drained(struct stream *stream)
{
	struct client *client = client_of_stream(stream);
	struct server *server = client_server(client);
	if (client->state == CLIENT_CLOSING)
		stream_shutdown(stream);
	else if (server)
		stream_resume(&server->endpoint.stream);
	else if (client->state == CLIENT_IDLE && !client->console)
		go_on(client);
}

static const struct stream_events events = {.readable = readable, .drained = drained};

static void due(struct loop_timer *timer)
{
	struct client *client = client_of(container_of(timer, struct endpoint, timer));
	struct error error;
	switch ((enum client_deadline)deadlines[client->state]) {
	case DEADLINE_LOGIN:
		client_close(client, CLOSE_LOGIN_TIMEOUT, NULL);
		break;
	case DEADLINE_WELCOME:
	case DEADLINE_QUERY_WAIT: {
		usec_t limit = client->member.pool->query_wait_timeout;
		bool waited = limit && clock_now() - client->member.wait_since >= limit;
		enum close_reason reason = waited ? CLOSE_QUERY_WAIT_TIMEOUT : CLOSE_LOGIN_TIMEOUT_SERVER;
		close_reason_error(reason, &error);
		if (*client->member.pool->failure.message) /* the real cause */
			error_detail(&error, "%s", client->member.pool->failure.message);
		client_close(client, reason, &error);
		break;
	}
	case DEADLINE_ACTIVE:
		client_close(client, CLOSE_CLIENT_EOF, NULL);
		break;
	case DEADLINE_CANCEL_WAIT:
		client_close(client, CLOSE_CANCEL_TIMEOUT, NULL);
		break;
	case DEADLINE_LINGER:
		vanish(client);
		break;
	case DEADLINE_NONE:
	case DEADLINE_IDLE:
		break;
	}
}

/* pool_ops.reject */
void client_reject(struct pool_client *member, enum close_reason reason, const struct error *error)
{
	client_close(client_of_member(member), reason, error);
}

struct client *client_accept(int fd, const struct address *remote, const struct address *local)
{
	struct client *client = memory_cache_alloc(&cache);
	struct endpoint *endpoint = &client->endpoint;
	endpoint->magic = CLIENT_MAGIC;
	endpoint->remote = *remote;
	if (address_is_unix(remote))
		endpoint->remote.port = local->port;
	endpoint->connected_at = endpoint->request_at = clock_now();
	endpoint->id = endpoint_next_id();
	loop_timer_init(&endpoint->timer, due);
	client->state = CLIENT_STARTUP;
	list_push_last(&entering, &client->member.node);
	limit_connection_opened();
	stream_open(&endpoint->stream, fd, &events);
	arm(client);
	return client;
}

/* ---- all of them ---- */

void client_open(void)
{
	static const struct server_partner_ops partner = {
		.deliver = deliver,
		.settle = settle,
		.ready = ready,
		.prepared = prepared,
		.writable = writable,
		.lost = server_lost,
		.cancel_ended = cancel_ended,
		.parameter = parameter,
	};
	server_set_partner_ops(&partner);
	list_init(&entering);
	list_init(&leaving);
	refuses_logins = false;
}

void client_close_all(enum close_reason reason)
{
	list_foreach_safe(node, &entering)
		client_close(client_of_member(container_of(node, struct pool_client, node)), reason, NULL);
	list_foreach(member, pool_all()) {
		struct pool *pool = container_of(member, struct pool, node);
		for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
			list_foreach_safe(node, &pool->clients[place])
				client_close(client_of_member(container_of(node, struct pool_client, node)), reason, NULL);
	}
	list_foreach_safe(node, &leaving)
		vanish(client_of_member(container_of(node, struct pool_client, node)));
}

void client_refuse_logins(void)
{
	refuses_logins = true;
}

static bool each_in(const struct list *list, client_fn *each, void *context)
{
	list_foreach_safe(node, list)
		if (!each(client_of_member(container_of(node, struct pool_client, node)), context))
			return false;
	return true;
}

void client_each(client_fn *each, void *context)
{
	if (!each_in(&entering, each, context))
		return;
	list_foreach(member, pool_all()) {
		struct pool *pool = container_of(member, struct pool, node);
		for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
			if (!each_in(&pool->clients[place], each, context))
				return;
	}
}

static bool count_one(struct client *client, void *context)
{
	(void)client;
	++*(uint32_t *)context;
	return true;
}

uint32_t client_count(void)
{
	uint32_t count = 0;
	client_each(count_one, &count);
	return count;
}

uint32_t client_login_count(void)
{
	return entering.length;
}

struct find {
	uint64_t id;
	struct client *found;
};

static bool find_one(struct client *client, void *context)
{
	struct find *find = context;
	if (client->endpoint.id == find->id)
		find->found = client;
	return !find->found;
}

struct client *client_find(uint64_t id)
{
	struct find find = {.id = id};
	client_each(find_one, &find);
	return find.found;
}

void client_set_console(const struct console_ops *ops)
{
	console = ops;
}

const struct console_ops *client_console(void)
{
	return console;
}
