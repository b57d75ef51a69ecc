/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client.h"
#include <stdio.h>
#include <string.h>
#include "config/snapshot.h"
#include "client_priv.h"
#include "conn/client_login.h"
#include "conn/prepared_book.h"
#include "conn/relay.h"
#include "conn/server_cancel.h"
#include "core/log.h"
#include "core/memory.h"
#include "pool/limit.h"
#include "pool/registry.h"
#include "pool/time_limit.h"
#include "proto/response.h"

/* How long answers are still awaited for a client that said goodbye right behind its requests. */
static const usec_t departure_grace = 5 * USEC_PER_SECOND;
/* ... that closed its side without a word: as good as vanished, for few do that and listen. */
static const usec_t silent_grace = 1 * USEC_PER_SECOND;
/* How long a client that was told why may take to read it. */
static const usec_t linger_time = 2 * USEC_PER_SECOND;
/* How many take that time at once: in a flood the others must do without. */
enum { LINGERING_MAX = 1000 };
/* How long a client may say nothing when others wait at the door, and how many are looked at to
 * find one that does. */
static const usec_t silence_grace = USEC_PER_SECOND;
enum { SILENT_LOOKED_AT = 16 };

static struct memory_cache cache = MEMORY_CACHE("client_cache", struct client);
static_assert(offsetof(struct client, user) <= (size_t)5 * MEMORY_LINE,
	      "a request touches the second to the fifth line");
static struct list entering; /* not yet in a pool */
static struct list leaving;  /* CLOSING */
static const struct console_ops *console;

/* ---- states ---- */

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
	return client_next_states[from] >> to & 1;
}

enum client_deadline client_deadline(const struct client *client)
{
	return client_deadlines[client->state];
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

/* When a client that waits is told so. */
static usec_t notice_due(const struct client *client)
{
	return client->was_notified
		       ? 0
		       : after(client->member.wait_since,
			       time_limits_of(client->database, client->user).query_wait_notify);
}

static usec_t grace(const struct client *client)
{
	bool vanished =
		client->departing == DEPARTS_SILENTLY && settings_current()->cancel_on_disconnect;
	return vanished ? silent_grace : departure_grace;
}

/* By the names it says, once it has said them. */
static usec_t login_limit(const struct client *client)
{
	const struct client_login *login = client->login;
	if (client->database)
		return time_limits_of(client->database, client->user).client_login_timeout;
	return login ? snapshot_login_timeout(snapshot_current(), login->database, login->user)
		     : settings_current()->client_login_timeout;
}

void client_take_limits(struct client *client)
{
	struct time_limits limits = {0};
	if (client->database)
		limits = time_limits_of(client->database, client->user);
	client->wait_limit = earlier(limits.query_wait_timeout, limits.query_timeout);
	client->wait_step = earlier(client->wait_limit, limits.query_wait_notify);
	if (client->is_own) /* only its wait: its user waits for the login that it serves */
		return;
	client->idle_limit = limits.client_idle_timeout;
	client->work_limit =
		earlier(limits.query_timeout,
			earlier(limits.transaction_timeout, limits.idle_transaction_timeout));
	/* A session keeps its server while it is idle. */
	if (client->member.pool && client->member.pool->mode == POOL_MODE_SESSION)
		client->work_limit = earlier(client->work_limit, client->idle_limit);
	client->is_limited = client->idle_limit || client->work_limit;
}

void client_arm(struct client *client)
{
	usec_t due = 0;
	switch ((enum client_deadline)client_deadlines[client->state]) {
	case DEADLINE_NONE:
		break;
	case DEADLINE_IDLE:
		client->query_at = clock_now();
		due = after(clock_now(), client->idle_limit);
		break;
	case DEADLINE_LOGIN:
		due = after(client->endpoint.connected_at, login_limit(client));
		break;
	case DEADLINE_WELCOME:
		due = earlier(after(client->endpoint.connected_at, login_limit(client)),
			      earlier(after(client->member.wait_since,
					    time_limits_of(client->database, client->user)
						    .query_wait_timeout),
				      notice_due(client)));
		break;
	case DEADLINE_QUERY_WAIT:
		due = client_wait_due(client);
		break;
	case DEADLINE_ACTIVE: /* what is really over, client_limit_check() finds out then */
		if (client->departing)
			due = clock_now() + grace(client);
		else if (client->query_marks & QUERY_WAITED)
			due = after(client->member.wait_since, client->work_limit);
		else
			due = after(clock_now(), client->work_limit);
		break;
	case DEADLINE_CANCEL_WAIT:
		due = after(client->member.wait_since,
			    time_limits_of(client->member.pool->database, client->member.pool->user)
				    .cancel_wait_timeout);
		break;
	case DEADLINE_LINGER:
		due = clock_now() + (client->departing ? departure_grace : linger_time);
		break;
	}
	loop_timer_set(&client->endpoint.timer, due);
}

void client_hasten(struct client *client)
{
	struct loop_timer *timer = &client->endpoint.timer;
	usec_t due = after(clock_now(), client->work_limit);
	if (due && (!timer->due || due < timer->due))
		loop_timer_set(timer, due);
}

bool client_refuse_state(struct client *client, enum client_state state)
{
	log_error(client_subject(client), "BUG: illegal state change from %s to %s",
		  client_state_name(client->state), client_state_name(state));
	client_close(client, CLOSE_BUG, NULL);
	return false;
}

bool client_set_state(struct client *client, enum client_state state)
{
	return client_go(client, state);
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
		 client->database	    ? client->database->name
		 : login && login->database ? login->database
					    : "(nodb)",
		 client->user		? client->user->name
		 : login && login->user ? login->user
					: "(nouser)",
		 address_print(&client->endpoint.remote, address));
	return text;
}

/* ---- the beginning ---- */

struct client *client_new(int fd, const struct address *remote, const struct address *local,
			  const struct stream_events *events, void (*due)(struct loop_timer *))
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
	stream_open(&endpoint->stream, fd, events);
	client_arm(client);
	return client;
}

void client_enter_pool(struct client *client, struct pool *pool)
{
	list_remove(&entering, &client->member.node);
	client->member.pool = pool;
}

/* ---- the end ---- */

static void free_later(struct loop_work *work)
{
	struct client *client = container_of(work, struct client, endpoint.ending);
	client->endpoint.magic = 0;
	memory_cache_free(&cache, client);
}

/* The last step: nothing more is to be said or heard. */
void client_vanish(struct client *client)
{
	struct endpoint *endpoint = &client->endpoint;
	if (endpoint->stream.fd < 0)
		return;
	stream_close(&endpoint->stream);
	loop_timer_fini(&endpoint->timer);
	list_remove(&leaving, &client->member.node);
	endpoint->ending.callback = free_later;
	loop_post(&endpoint->ending);
}

/* For the log of its server, which goes with it. */
static enum close_reason reason_of_server(const struct server *server, enum close_reason reason)
{
	if (reason == CLOSE_QUERY_TIMEOUT || reason == CLOSE_TRANSACTION_TIMEOUT ||
	    reason == CLOSE_IDLE_TRANSACTION_TIMEOUT)
		return reason;
	return pipeline_owes_ready(&server->pipeline) ? CLOSE_CLIENT_GONE_IN_QUERY
						      : CLOSE_CLIENT_GONE_NOT_READY;
}

/* Part from the server: it goes back to the pool if nothing is owed or half-done. A query that runs
 * is cancelled where that is enough to have it back, and it is closed otherwise, which rolls back
 * what the client left open. */
static void part(struct client *client, enum close_reason why)
{
	struct server *server = client_server(client);
	if (!server)
		return;
	if (client->endpoint.replication) {
		server_dismiss(server, client->endpoint.body_left > 0);
		return;
	}
	enum close_reason reason = reason_of_server(server, why);
	server->unfit = client->endpoint.body_left > 0;
	endpoint_unlink(&client->endpoint);
	if (server_is_clean(server) || !server_cancel_abandoned(server))
		server_let_go(server, reason);
}

static bool server_is_mid_message(const struct client *client)
{
	const struct endpoint *partner = client->endpoint.partner;
	return partner && partner->body_left > 0 && !partner->body_dropped;
}

/* Its CancelRequest is on its way: nobody waits for the end of that any more. */
static void forget_carrier(const struct client *client)
{
	list_foreach (node, &client->member.pool->servers[SERVER_PLACE_CANCELING]) {
		struct server *carrier =
			server_of_member(container_of(node, struct pool_server, node));
		if (carrier->cancel_client == client)
			carrier->cancel_client = NULL;
	}
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
	if (!client->is_own)
		limit_connection_closed(); /* who was refused, and lingers, takes nobody's place */
	cancel_key_remove(&client->key);
	if (client->is_counted)
		limit_client_removed(client->database, client->user);
	client->is_counted = false;
	if (client->console)
		console->close(client);
	client->console = NULL;
}

/* @silently: it cannot be told, or was. */
void client_close_saying(struct client *client, enum close_reason reason, const struct error *error,
			 bool silently)
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
	if (settings_current()->log_disconnections && !client->is_own)
		log_info(client_subject(client), "closing because: %s (age=%llds)",
			 tells ? told.message : close_reason_text(reason),
			 (long long)((clock_now() - endpoint->connected_at) / USEC_PER_SECOND));
	silently |= server_is_mid_message(client);
	if (client->state == CLIENT_CANCEL_ACTIVE)
		forget_carrier(client);
	leave(client);
	client->state = CLIENT_CLOSING;
	part(client, reason);
	client_login_free(&client->login);
	parameter_release(&client->parameters);
	parameter_release(&client->startup);
	prepared_client_free(&client->prepared);
	buffer_erase(&endpoint->held); /* there may be a password in it */
	client->database = NULL;
	client->user = NULL;
	if (reason == CLOSE_CLIENT_REQUEST && !tells)
		stream_forgo_end(&endpoint->stream);
	if (!tells || silently) { /* an error in the middle of a row would be read as part of it */
		if (stream_is_blocked(&endpoint->stream))
			client_arm(
				client); /* what it was sent before still goes out, within bounds */
		else
			client_vanish(client);
		return;
	}
	struct buffer *out = NULL;
	enum io io = IO_ERROR;
	if (response_put_error(&out, MESSAGE_WHOLE_MAX, "FATAL", &told))
		io = stream_write_bytes(&endpoint->stream, buffer_bytes(out), buffer_length(out),
					ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
	if (io == IO_ERROR || leaving.length > LINGERING_MAX) {
		client_vanish(client);
		return;
	}
	/* Closing with unread bytes would reset the connection, and the error be lost: wait until
	 * it was read. */
	if (io == IO_DONE)
		stream_shutdown(&endpoint->stream);
	stream_resume(&endpoint->stream);
	client_arm(client);
}

void client_close(struct client *client, enum close_reason reason, const struct error *error)
{
	client_close_saying(client, reason, error, false);
}

void client_send(struct client *client, struct buffer **out)
{
	if (*out && client->state != CLIENT_CLOSING) {
		enum io io = stream_write_bytes(&client->endpoint.stream, buffer_bytes(*out),
						buffer_length(*out), UINT32_MAX / 2);
		if (io == IO_ERROR)
			client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
	buffer_free(out);
}

/* Its protocol is wrong: told so, and closed. */
void client_fail(struct client *client, enum sqlstate sqlstate, const char *text)
{
	struct error error;
	error_set(&error, sqlstate, "%s", text);
	client_close(client, CLOSE_CLIENT_ERROR, &error);
}

void client_fail_header(struct client *client, enum relay_end end, const uint8_t *bytes,
			size_t size)
{
	char text[64] = "bad packet header: '";
	size_t at = strlen(text);
	if (end == RELAY_BAD_TYPE) {
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION, "unknown pkt");
		return;
	}
	for (size_t i = 0; i < size && i < MESSAGE_HEADER; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%02x", bytes[i]);
	snprintf(text + at, sizeof text - at, "'");
	client_fail(client, SQLSTATE_PROTOCOL_VIOLATION, text);
}

/* ---- bytes that must wait ---- */

void client_hold(struct client *client, const uint8_t *bytes, size_t size)
{
	if (client->state == CLIENT_CLOSING)
		return;
	if (!endpoint_hold(&client->endpoint, bytes, size))
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
}

void client_hold_for_later(struct client *client, const uint8_t *bytes, size_t size)
{
	client_hold(client, bytes, size);
	if (buffer_length(client->endpoint.held) >= CLIENT_REQUEST_MAX)
		stream_pause(&client->endpoint.stream);
}

/* ---- all of them ---- */

void client_open(void)
{
	list_init(&entering);
	list_init(&leaving);
}

static void close_all_of(struct pool *pool, enum close_reason reason)
{
	for (int place = CLIENT_PLACE_COUNT - 1; place >= CLIENT_PLACE_ACTIVE; place--)
		list_foreach_safe (node, &pool->clients[place])
			client_close(client_of_member(container_of(node, struct pool_client, node)),
				     reason, NULL);
}

void client_close_all(enum close_reason reason)
{
	list_foreach_safe (node, &entering)
		client_close(client_of_member(container_of(node, struct pool_client, node)), reason,
			     NULL);
	list_foreach (member, pool_of_peers())
		close_all_of(container_of(member, struct pool, node), reason);
	list_foreach (member, pool_all())
		close_all_of(container_of(member, struct pool, node), reason);
	list_foreach_safe (node, &leaving)
		client_vanish(client_of_member(container_of(node, struct pool_client, node)));
}

static bool each_in(const struct list *list, client_fn *each, void *context)
{
	list_foreach_safe (node, list)
		if (!each(client_of_member(container_of(node, struct pool_client, node)), context))
			return false;
	return true;
}

static bool each_of(const struct list *pools, client_fn *each, void *context)
{
	list_foreach (member, pools) {
		struct pool *pool = container_of(member, struct pool, node);
		for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
			if (!each_in(&pool->clients[place], each, context))
				return false;
	}
	return true;
}

void client_each(client_fn *each, void *context)
{
	(void)(each_in(&entering, each, context) && each_of(pool_all(), each, context) &&
	       each_of(pool_of_peers(), each, context));
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

/* Does it hold up its own login? */
static bool is_silent(const struct client *client)
{
	return client->state == CLIENT_STARTUP || client->state == CLIENT_TLS ||
	       (client->state == CLIENT_AUTH && client->login->exchange != EXCHANGE_NONE);
}

bool client_drop_silent(const struct client *better)
{
	unsigned looked_at = 0;
	struct error error;
	list_foreach (node, &entering) { /* the oldest first */
		struct client *client =
			client_of_member(container_of(node, struct pool_client, node));
		if (++looked_at > SILENT_LOOKED_AT ||
		    clock_now() - client->endpoint.connected_at < silence_grace)
			break;
		if (client == better || !is_silent(client) ||
		    address_is_unix(&client->endpoint.remote))
			continue;
		error_set(&error, SQLSTATE_TOO_MANY_CONNECTIONS,
			  "no more connections allowed (max_client_conn)");
		client_close_saying(client, CLOSE_LOGIN_REFUSED, &error,
				    client->state == CLIENT_TLS);
		return true;
	}
	return false;
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
