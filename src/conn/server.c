/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/server.h"
#include <stdio.h>
#include <string.h>
#include "server_priv.h"
#include "config/snapshot.h"
#include "conn/prepared_book.h"
#include "conn/server_login.h"
#include "core/log.h"
#include "core/memory.h"
#include "proto/field.h"

/* Until when the server of a client that vanished must be free again, and how much it may say: in
 * all, and before PostgreSQL has seen the cancel. */
static const usec_t drain_time = 10 * USEC_PER_SECOND;
enum { DRAIN_BYTES = 16 * 1024 * 1024, DRAIN_BEFORE_CANCEL = 1024 * 1024 };

static struct memory_cache cache = MEMORY_CACHE("server_cache", struct server);
static_assert(offsetof(struct server, pipeline.entries_inline) < (size_t)6 * MEMORY_LINE,
	      "a request touches the second to the sixth line");
static const struct server_partner_ops *partner_ops;
static const struct stream_events *stream_events;
static void (*deadline_came)(struct loop_timer *);

/* ---- states ---- */

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
	return server_next_states[from] >> to & 1;
}

enum server_deadline server_deadline(const struct server *server)
{
	return server_deadlines[server->state];
}

void server_arm(struct server *server)
{
	const struct pool *pool = server->member.pool;
	usec_t limit = pool ? pool->connect_timeout : settings_current()->server_connect_timeout;
	usec_t due = 0;
	switch (server_deadline(server)) {
	case DEADLINE_NONE:
		break;
	case DEADLINE_CONNECT:
		if (!limit && server->state == SERVER_CANCELING) /* its target waits for this */
			limit = 15 * USEC_PER_SECOND;
		if (limit)
			due = server->endpoint.connected_at + limit;
		break;
	case DEADLINE_DRAIN:
		due = clock_now() + drain_time;
		break;
	case DEADLINE_REST:
		due = pool_idle_due(&server->member);
		break;
	case DEADLINE_TEST:
		if (limit)
			due = clock_now() + limit;
		break;
	}
	loop_timer_set(&server->endpoint.timer, due);
}

bool server_refuse_state(struct server *server, enum server_state state)
{
	log_error(server_subject(server), "BUG: illegal state change from %s to %s",
		  server_state_name(server->state), server_state_name(state));
	server_close(server, CLOSE_BUG, NULL);
	return false;
}

bool server_set_state(struct server *server, enum server_state state)
{
	return server_go(server, state);
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
	bool has_user = pool && !pool->database->peer_id;
	snprintf(text, sizeof text, "S-%p: %s%s%s@%s ", (const void *)server,
		 pool ? pool->database->name : "(nodb)", has_user || !pool ? "/" : "",
		 has_user ? pool->user->name
		 : pool	  ? ""
			  : "(nouser)",
		 address_print(&server->endpoint.remote, address));
	return text;
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
	list_foreach_safe (node, &target->member.pool->servers[SERVER_PLACE_CANCELING]) {
		struct server *carrier =
			server_of_member(container_of(node, struct pool_server, node));
		if (carrier->cancel_target != target)
			continue;
		carrier->cancel_target = NULL;
		if (!server_has_said_cancel(carrier))
			server_close(carrier, CLOSE_NOT_WANTED, NULL);
	}
}

/* Say goodbye where the server would understand it: at a message's boundary. */
static void say_terminate(struct server *server)
{
	static const uint8_t terminate[] = {MESSAGE_TERMINATE, 0, 0, 0, 4};
	bool logged_in = server->state >= SERVER_IDLE && server->state < SERVER_CANCELING;
	if (logged_in && !server->said_fatal && server_is_clean(server))
		stream_write_bytes(&server->endpoint.stream, terminate, sizeof terminate,
				   sizeof terminate);
}

void server_close(struct server *server, enum close_reason reason, const struct error *error)
{
	if (server->state == SERVER_CLOSING)
		return;
	struct endpoint *endpoint = &server->endpoint;
	struct client *client = server_client(server);
	/* An error cannot be put into the middle of a message, and need not be behind the server's
	 * own last word. */
	bool silently = (endpoint->body_left > 0 && !endpoint->body_dropped) ||
			(server->said_fatal && reason == CLOSE_SERVER_CRASHED);
	if (settings_current()->log_disconnections)
		log_info(server_subject(server), "closing because: %s (age=%llds)",
			 close_reason_text(reason),
			 (long long)((clock_now() - endpoint->connected_at) / USEC_PER_SECOND));
	if (endpoint->stream.fd >= 0 && reason != CLOSE_SERVER_CRASHED)
		say_terminate(server);
	endpoint_unlink(endpoint);
	if (server->cancels)
		abandon_cancels(server);
	/* PostgreSQL may act on this cancel yet: it must not hit who uses that server next. */
	if (server->cancel_target && reason == CLOSE_CONNECT_TIMEOUT &&
	    !endpoint->stream.connecting) {
		server->cancel_target->member.close_needed = true;
		server->cancel_target->member.close_reason = CLOSE_IDLE_DIRTY;
	}
	bool was_carrier = server->state == SERVER_CANCELING;
	server->state = SERVER_CLOSING;
	stream_close(&endpoint->stream);
	loop_timer_fini(&endpoint->timer);
	resolver_cancel(&server->lookup);
	resolver_unwatch(&server->watch);
	buffer_free(&endpoint->held);
	pipeline_fini(&server->pipeline);
	prepared_server_free(&server->prepared);
	buffer_free(&server->replay);
	parameter_release(&server->parameters);
	parameter_release(&server->restore);
	server_login_free(&server->login);
	memory_free(&server->complaint);
	memory_free(&server->key);
	memory_free(&server->host);
	memory_free(&server->addresses);
	memory_free(&server->startup);
	buffer_free(&server->welcome);
	struct server *cancel_target = server->cancel_target;
	struct client *cancel_client = server->cancel_client;
	server->cancel_target = NULL;
	server->cancel_client = NULL;
	if (client)
		partner_ops->lost(client, reason, error, silently);
	/* Then there is room for the next: for a server, or for another that carries a cancel. */
	pool_server_leave(&server->member);
	if (cancel_target)
		server_cancel_ended(cancel_target);
	if (was_carrier)
		partner_ops->cancel_ended(cancel_client, server->member.pool);
	endpoint->ending.callback = free_later;
	loop_post(&endpoint->ending);
}

/* ---- the beginning ---- */

struct server *server_new(struct pool *pool)
{
	struct server *server = memory_cache_alloc(&cache);
	struct endpoint *endpoint = &server->endpoint;
	endpoint->magic = SERVER_MAGIC;
	endpoint->stream.fd = -1;
	endpoint->connected_at = clock_now();
	endpoint->id = endpoint_next_id();
	loop_timer_init(&endpoint->timer, deadline_came);
	pipeline_init(&server->pipeline);
	server->parameters = parameter_empty();
	server->state = SERVER_CONNECTING;
	pool_server_join(pool, &server->member);
	return server;
}

/* ---- our own queries ---- */

/* A simple Query of our own follows. False: no memory. */
static bool begin_errand(struct server *server, enum server_errand errand)
{
	if (!pipeline_sent(&server->pipeline, PIPELINE_INTERNAL))
		return false;
	server->errand = (uint8_t)errand;
	server->errand_failed = false;
	if (server->prepared) /* it destroys the unnamed statement */
		prepared_server_linked(server->prepared, NULL);
	return true;
}

bool server_run(struct server *server, enum server_errand errand, const char *sql)
{
	struct buffer *out = NULL;
	struct field_writer writer;
	field_writer_init(&writer, &out, MESSAGE_WHOLE_MAX + strlen(sql));
	field_begin(&writer, MESSAGE_QUERY);
	field_put_string(&writer, sql);
	bool well = field_end(&writer) && begin_errand(server, errand) &&
		    stream_write_bytes(&server->endpoint.stream, buffer_bytes(out),
				       buffer_length(out), ENDPOINT_QUEUE_MAX) != IO_ERROR;
	buffer_free(&out);
	return well;
}

/* Give it back: to a waiting client, or to rest. */
void server_rest(struct server *server)
{
	pool_release(&server->member);
	if (LIKELY(server->member.place == SERVER_PLACE_ACTIVE))
		return; /* another client has it already */
	if (server->state != SERVER_CLOSING && server->member.place == SERVER_PLACE_IDLE)
		server_go(server, SERVER_IDLE);
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
	if (!server_run(server, ERRAND_CHECK, strcmp(query, "<empty>") ? query : ""))
		server_close(server, CLOSE_CHECK_FAILED, NULL);
}

/* It is logged in, for the one client that it was launched for. */
void server_serve(struct server *server)
{
	struct pool *pool = server->member.pool;
	memory_free(&server->startup);
	if (!server_set_state(server, SERVER_ACTIVE))
		return;
	partner_ops->served(server_client(server), &server->welcome);
	buffer_free(&server->welcome);
	pool_claim_served(pool);
}

/* Back to the pool after the query of a client that vanished. */
static void reuse(struct server *server)
{
	server->member.pool->database->reused_servers++;
	server_release(server);
}

void server_errand_ended(struct server *server)
{
	enum server_errand errand = server->errand;
	bool failed = server->errand_failed || server->status != 'I';
	server->errand = ERRAND_NONE;
	server->errand_done = false;
	switch (errand) {
	case ERRAND_RESET:
	case ERRAND_CHECK:
		if (failed)
			server_close(server,
				     errand == ERRAND_RESET ? CLOSE_RESET_FAILED
							    : CLOSE_CHECK_FAILED,
				     NULL);
		else
			server_rest(server);
		break;
	case ERRAND_CONNECT: /* what it answered does not matter, a transaction left open does */
		if (server->status != 'I') {
			struct error error;
			error_set(&error, SQLSTATE_CONNECTION_FAILURE,
				  "connect_query leaves a transaction open");
			pool_login_failed(server->member.pool, false, &error);
			server_close(server, CLOSE_IDLE_DIRTY, NULL);
		} else if (server->endpoint.replication) {
			server_serve(server);
		} else {
			server_rest(server);
		}
		break;
	case ERRAND_ROLLBACK:
		if (failed)
			server_close(server, CLOSE_CLIENT_GONE_IN_QUERY, NULL);
		else
			reuse(server);
		break;
	case ERRAND_PARAMETERS:
	case ERRAND_RESTORE:
	case ERRAND_NONE:
		break;
	}
}

/* ---- serving a client ---- */

bool server_is_clean(const struct server *server)
{
	const struct endpoint *endpoint = &server->endpoint;
	return server->status == 'I' && !server->unfit && pipeline_is_idle(&server->pipeline) &&
	       endpoint->body_left == 0 && !endpoint->held &&
	       !stream_is_blocked(&endpoint->stream) &&
	       (!endpoint->partner || endpoint->partner->body_left == 0);
}

bool server_put_values(struct server *server, struct parameter_set *wanted)
{
	struct buffer *query = NULL;
	unsigned count;
	bool well =
		parameter_put_query(&query, ENDPOINT_QUEUE_MAX, wanted, server->parameters, &count);
	if (well && count == 0)
		return true;
	bool proven = parameter_is_proven(wanted);
	well = well &&
	       stream_queue(&server->endpoint.stream, buffer_bytes(query), buffer_length(query),
			    ENDPOINT_QUEUE_MAX) &&
	       begin_errand(server, ERRAND_PARAMETERS);
	buffer_free(&query);
	if (!well) { /* it may have what is another client's */
		server_close(server, CLOSE_OUT_OF_MEMORY, NULL);
		return false;
	}
	if (!proven)
		stream_flush(&server->endpoint.stream);
	return proven;
}

bool server_restore(struct server *server)
{
	struct buffer *query = NULL;
	struct parameter_set *none = parameter_empty(), *restore = server->restore;
	unsigned count = 0;
	bool all = server->restores_all;
	if (all)
		parameter_drop_extras(&server->parameters, false);
	bool well = parameter_put_query(&query, ENDPOINT_QUEUE_MAX, restore,
					all ? server->parameters : none, &count);
	parameter_release(&none);
	parameter_release(&server->restore);
	if (well && count == 0)
		return false;
	well = well && begin_errand(server, ERRAND_RESTORE) &&
	       stream_write_bytes(&server->endpoint.stream, buffer_bytes(query),
				  buffer_length(query), ENDPOINT_QUEUE_MAX) != IO_ERROR;
	buffer_free(&query);
	if (!well)
		server_close(server, CLOSE_PARAMETER_FAILED, NULL);
	return true;
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

void server_dismiss(struct server *server, bool mid_message)
{
	static const uint8_t terminate[] = {MESSAGE_TERMINATE, 0, 0, 0, 4};
	bool is_serving = server->state == SERVER_ACTIVE;
	endpoint_unlink(&server->endpoint);
	if (is_serving && !mid_message && !server->said_fatal &&
	    !stream_is_blocked(&server->endpoint.stream))
		stream_write_bytes(&server->endpoint.stream, terminate, sizeof terminate,
				   sizeof terminate);
	server_close(server, is_serving ? CLOSE_CLAIMANT_GONE : CLOSE_NOT_WANTED, NULL);
}

void server_release(struct server *server)
{
	const struct settings *settings = settings_current();
	const struct pool *pool = server->member.pool;
	if (server->is_reading) { /* there may be more in what was received: input() comes back here
				   */
		server->let_go = true;
		return;
	}
	if (UNLIKELY(server->restore)) { /* what was reset was not set again */
		server_close(server, CLOSE_IDLE_DIRTY, NULL);
		return;
	}
	stream_resume(&server->endpoint.stream);
	if (LIKELY(server->cancels == 0)) {
		bool reset =
			(pool->mode == POOL_MODE_SESSION || settings->server_reset_query_always) &&
			*settings->server_reset_query;
		if (!reset || pool_verdict(&server->member) != CLOSE_REASON_COUNT) {
			server_rest(server); /* or its end */
		} else if (server_set_state(server, SERVER_TESTED) &&
			   !server_run(server, ERRAND_RESET, settings->server_reset_query)) {
			server_close(server, CLOSE_RESET_FAILED, NULL);
		}
		return;
	}
	/* A cancel on its way could hit the next client's query: wait until PostgreSQL has closed
	 * its connection, which it does after it signalled. Those not sent yet are not. */
	if (!server_set_state(server, SERVER_BEING_CANCELED))
		return;
	list_foreach_safe (node, &pool->servers[SERVER_PLACE_CANCELING]) {
		struct server *carrier =
			server_of_member(container_of(node, struct pool_server, node));
		if (carrier->cancel_target == server && !server_has_said_cancel(carrier))
			server_close(carrier, CLOSE_NOT_WANTED, NULL);
	}
}

void server_drop_cancels(struct server *server)
{
	list_foreach_safe (node, &server->member.pool->servers[SERVER_PLACE_CANCELING]) {
		struct server *carrier =
			server_of_member(container_of(node, struct pool_server, node));
		if (carrier->cancel_target == server && carrier->cancel_is_own &&
		    !server_has_said_cancel(carrier))
			server_close(carrier, CLOSE_NOT_WANTED, NULL);
	}
}

bool server_has_said_cancel(const struct server *carrier)
{
	const struct stream *stream = &carrier->endpoint.stream;
	return stream->fd >= 0 && !stream->connecting && carrier->tls_step == SERVER_TLS_NONE;
}

void server_cancel_ended(struct server *server)
{
	if (server->cancels > 0)
		server->cancels--;
	if (server->cancels > 0)
		return;
	server->is_canceled = false;
	if (server->state == SERVER_BEING_CANCELED) {
		server_let_go(server, CLOSE_IDLE_DIRTY);
	} else if (server->state == SERVER_DRAINING) {
		stream_resume(&server->endpoint.stream);
		server_settle_drained(server);
	} else if (server->state == SERVER_ACTIVE && server->endpoint.partner) {
		partner_ops->free(server_client(server));
	}
}

void server_settle_drained(struct server *server)
{
	const struct endpoint *endpoint = &server->endpoint;
	const struct pipeline *pipeline = &server->pipeline;
	if (server->errand || server->is_reading)
		return;
	/* It waits for data of a COPY now, or has more to say than a new connection costs. */
	if (pipeline->copy_in || pipeline_copies_both(pipeline) || server->drained > DRAIN_BYTES) {
		server_close(server, CLOSE_CLIENT_GONE_IN_QUERY, NULL);
		return;
	}
	if (server->cancels > 0 && server->drained > DRAIN_BEFORE_CANCEL)
		stream_pause(&server->endpoint.stream);
	if (!pipeline_is_idle(pipeline) || endpoint->held || endpoint->body_left)
		return;
	if (server->cancels > 0) /* they must hit nothing that comes after */
		server_drop_cancels(server);
	if (server->cancels > 0 || server->errand || server->state != SERVER_DRAINING)
		return; /* the last one's end comes back here, or has */
	if (server->status == 'I')
		reuse(server);
	else if (!server_run(server, ERRAND_ROLLBACK, "ROLLBACK"))
		server_close(server, CLOSE_CLIENT_GONE_IN_QUERY, NULL);
}

void server_set_ops(const struct server_partner_ops *ops, const struct stream_events *events,
		    void (*due)(struct loop_timer *))
{
	partner_ops = ops;
	stream_events = events;
	deadline_came = due;
}

const struct stream_events *server_stream_events(void)
{
	return stream_events;
}
