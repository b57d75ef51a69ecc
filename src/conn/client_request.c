/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_request.h"
#include "client_priv.h"
#include "relay_priv.h"
#include "config/snapshot.h"
#include "conn/client_feature.h"
#include "conn/client_reset.h"
#include "conn/client_scan.h"
#include "conn/prepared.h"
#include "conn/server_event.h"
#include "conn/statement.h"
#include "proto/sql.h"

/* Go on with what was held. */
void client_request_go_on(struct client *client)
{
	struct buffer *held = client->endpoint.held;
	stream_resume(&client->endpoint.stream);
	if (client->endpoint.awaited > buffer_length(held))
		return; /* more must come before anything can be done with it */
	client->endpoint.held = NULL;
	if (held && client_server(client))
		client_request_forward(client, buffer_bytes(held), buffer_length(held));
	else if (held)
		client_request_begin(client, buffer_bytes(held), buffer_length(held));
	buffer_free(&held);
}

static inline void link_to(struct client *client, struct server *server, enum client_state state)
{
	endpoint_link(&client->endpoint, &server->endpoint);
	if (UNLIKELY(server->prepared)) {
		prepared_server_linked(server->prepared, client->prepared);
		/* Its last client may have left in the middle of that. */
		server->replays = server->was_described = server->waits_at_barrier = false;
		server->replay_owed = 0;
	}
	client_counters(client)->server_assignment_count++;
	bool is_active =
		server->state == SERVER_ACTIVE && server->member.place == SERVER_PLACE_ACTIVE;
	if (!is_active && !server_set_state(server, SERVER_ACTIVE))
		return; /* from one client straight to the next it stays active */
	if (!client_go(client, state))
		return;
	client->stalled = !server_prepare(server, client->parameters);
}

void client_request_try(struct client *client, struct server *server)
{
	link_to(client, server, CLIENT_TRIAL);
	if (client->state != CLIENT_TRIAL || client->stalled || pipeline_is_idle(&server->pipeline))
		return;
	/* No request follows that its values could leave with. */
	stream_flush(&server->endpoint.stream);
	client->stalled = true;
}

/* From the queue, or out of pool_request() in client_request_begin(), which goes on by itself. */
void client_request_assign(struct pool_client *member, struct pool_server *server)
{
	struct client *client = client_of_member(member);
	bool waited = client->state == CLIENT_WAITING;
	client->query_marks = waited ? QUERY_WAITED : 0;
	if (waited) {
		client_counters(client)->wait_time += (uint64_t)(clock_now() - member->wait_since);
		client->was_notified = false;
	}
	link_to(client, server_of_member(server), CLIENT_ACTIVE);
	if (waited && client->state == CLIENT_ACTIVE && !client->stalled)
		client_request_go_on(client);
}

bool client_request_cancel(struct client *client, const struct error *error)
{
	struct buffer *held = client->endpoint.held, *out = NULL;
	if (!held)
		return false;
	const uint8_t *bytes = buffer_bytes(held);
	size_t size = buffer_length(held);
	client->endpoint.held = NULL;
	client->endpoint.awaited = 0;
	client->was_notified = false;
	if (client_set_state(client, CLIENT_IDLE)) {
		stream_resume(&client->endpoint.stream);
		client_scan_fail(client, &bytes, &size, error, &out);
		client_send(client, &out);
	}
	if (size && client->state == CLIENT_IDLE)
		client_request_begin(client, bytes, size);
	buffer_free(&held);
	return true;
}

/* ---- what an idle client says ---- */

/* The rest of a cancelled request comes. */
static void begin_skipping(struct client *client, const uint8_t *bytes, size_t size)
{
	struct buffer *out = NULL;
	client_scan_skip(client, &bytes, &size, &out);
	client_send(client, &out);
	if (client->state != CLIENT_IDLE)
		return;
	if (client->skips_to_sync)
		client_hold(client, bytes, size); /* less than a header */
	else if (size)
		client_request_begin(client, bytes, size);
}

void client_request_begin(struct client *client, const uint8_t *bytes, size_t size)
{
	struct error error;
	/* It has not read its last answers: a server would have to wait for that. */
	if (stream_is_blocked(&client->endpoint.stream)) {
		client_hold(client, bytes, size);
		stream_pause(&client->endpoint.stream);
		return;
	}
	if (__builtin_expect(client->skips_to_sync, 0)) {
		begin_skipping(client, bytes, size);
		return;
	}
	bool is_usual = client_scan_is_query(client, bytes, size) ||
			client_scan_is_extended(client, bytes, size);
	enum client_scan found = is_usual ? SCAN_WANTS_SERVER : client_scan(client, &bytes, &size);
	switch (found) {
	case SCAN_WANTS_SERVER:
		break;
	case SCAN_NOTHING:
		client_hold(client, bytes, size);
		return;
	case SCAN_TERMINATE:
		client_close(client, CLOSE_CLIENT_REQUEST, NULL);
		return;
	default:
		client_fail_header(client,
				   found == SCAN_BAD_TYPE ? RELAY_BAD_TYPE : RELAY_BAD_LENGTH,
				   bytes, size);
		return;
	}
	client->endpoint.request_at = clock_now();
	if (pool_is_failing(client->member.pool, &error)) {
		client_close(client, CLOSE_SERVER_REJECTED, &error);
		return;
	}
	pool_request(client->member.pool, &client->member);
	if (LIKELY(client->state == CLIENT_ACTIVE)) {
		client_request_forward(client, bytes, size);
	} else if (client->state == CLIENT_IDLE) {
		client_go(client, CLIENT_WAITING);
		client_hold_for_later(client, bytes, size);
	}
}

/* It will send nothing more. Answers that are owed are still delivered, within bounds. */
void client_request_depart(struct client *client, enum close_reason reason)
{
	struct server *server = client_server(client);
	bool served = server && !server_is_clean(server) &&
		      pipeline_owes_ready(&server->pipeline) && !server->pipeline.copy_in &&
		      !pipeline_copies_both(&server->pipeline) && client->endpoint.body_left == 0 &&
		      !client->endpoint.held;
	if (!served || client->departing) {
		client_close(client, reason, NULL);
		return;
	}
	client->departing = reason == CLOSE_CLIENT_EOF ? DEPARTS_SILENTLY : DEPARTS_WITH_GOODBYE;
	stream_pause(&client->endpoint.stream);
	client_arm(client);
}

/* disable_pqexec: a simple Query may consist of several statements. Replication has nothing else.
 */
static inline bool is_disallowed(const struct client *client, uint8_t type)
{
	return type == MESSAGE_QUERY && UNLIKELY(settings_current()->disable_pqexec) &&
	       !client->endpoint.replication && !client->is_own;
}

static inline __attribute__((always_inline)) enum relay_action
see(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size, uint32_t available,
    struct relay_batch *batch)
{
	/* relay_walk() hands back what it was given: the magic was checked then */
	struct client *client = container_of(from, struct client, endpoint);
	struct pipeline *pipeline = &client_server(client)->pipeline;
	(void)body;
	(void)size;
	(void)available;
	(void)batch;
	if (is_disallowed(client, type))
		return RELAY_STOP;
	if (LIKELY(pipeline_sent_usual(pipeline, type)))
		return RELAY_FORWARD;
	if (type == MESSAGE_TERMINATE || pipeline_is_full(pipeline) ||
	    !pipeline_sent(pipeline, type))
		return RELAY_STOP;
	return RELAY_FORWARD;
}

void client_request_settle_if_clean(struct client *client, const struct server *server)
{
	if (client->state == CLIENT_ACTIVE && client_server(client) == server && !client->stalled &&
	    client->member.pool->mode != POOL_MODE_SESSION && server_is_clean(server))
		client_request_settle(client);
}

/* ---- with prepared statements of its own, in transaction and statement mode ---- */

enum { REPLAY_MAX = 4096 };

static struct prepared_link walk; /* of the walk that is going on */
static bool wants_local_answers;  /* it asked for what is there, and some of that is ours */
static uint32_t ends_seen;	  /* Syncs and Queries in it */

static void begin_walk(struct client *client, struct server *server, struct relay_batch *batch)
{
	walk = (struct prepared_link){
		.client = &client->prepared,
		.server = &server->prepared,
		.pipeline = &server->pipeline,
		.limit = client->member.pool->prepared_statements,
		.status = server->status,
		.holds = server->reset_sent,
		.parameters = client->parameters,
	};
	wants_local_answers = false;
	ends_seen = 0;
	server->waits_at_barrier = false;
	prepared_begin_batch(batch);
}

static void end_walk(struct client *client)
{
	struct stats_counters *c = client_counters(client);
	c->bind_count += walk.binds;
	if (LIKELY(!(walk.client_parses | walk.server_parses)))
		return;
	c->client_parse_count += walk.client_parses;
	c->server_parse_count += walk.server_parses;
	if (walk.client_parses)
		statement_make_room();
}

/* A request for the prepared statements' books; RELAY_FORWARD: not noted in the pipeline yet. */
static enum relay_action see_request(uint8_t type, const uint8_t *body, uint32_t size,
				     uint32_t available, struct relay_batch *batch)
{
	if (!walk.limit)
		return RELAY_FORWARD;
	return type == MESSAGE_QUERY ? prepared_query(&walk, body, size, available, batch)
				     : prepared_request(&walk, type, body, size, available, batch);
}

/* The text of a Query or Parse, as far as it is there; NULL: not yet. */
static const char *text_of(uint8_t type, const uint8_t *body, uint32_t available)
{
	if (type == MESSAGE_QUERY)
		return (const char *)body;
	if (LIKELY(available && !*body)) /* it has no name */
		return (const char *)body + 1;
	const uint8_t *nul = memchr(body, 0, available);
	return nul ? (const char *)nul + 1 : NULL;
}

/* A request whose text may leave something behind in the server's session. */
static __attribute__((noinline)) enum relay_action
see_text(struct client *client, uint8_t type, const uint8_t *body, uint32_t size,
	 uint32_t available, struct relay_batch *batch, const char *text)
{
	size_t length = available - (size_t)((const uint8_t *)text - body);
	bool is_session = client->member.pool->mode == POOL_MODE_SESSION;
	unsigned features = is_session ? 0 : client_features_in(client, text, length);
	struct error error;
	if (features && !pipeline_discards(walk.pipeline) &&
	    !client_features_admit(client, features, &error)) {
		if (available == size) {
			enum relay_action refused =
				prepared_refuse(&walk, type, body, size, &error, batch);
			if (refused == RELAY_REPLACE)
				client_features_refused(client, features);
			return refused;
		}
		if (size > PREPARED_PARSE_MAX) {
			walk.refusal = "a request that session_features refuses is too long";
			return RELAY_STOP;
		}
		walk.awaited = size + MESSAGE_HEADER;
		return RELAY_SHORT;
	}
	bool resets = !pipeline_discards(walk.pipeline) && client_resets(client, text, length);
	if (resets && pipeline_owes_answer(walk.pipeline)) { /* it is done alone */
		walk.barrier = true;
		return RELAY_STOP;
	}
	enum relay_action action = see_request(type, body, size, available, batch);
	if (action == RELAY_STOP || action == RELAY_SHORT)
		return action;
	if (features)
		client_features_note(client, features);
	if (resets) {
		client_reset_note(client, text, length);
		prepared_wait_next(&walk);
		walk.holds = client_server(client)->reset_sent = type == MESSAGE_QUERY;
	}
	return action;
}

/* A Query or Parse. */
static __attribute__((noinline)) enum relay_action see_with_text(struct endpoint *from,
								 uint8_t type, const uint8_t *body,
								 uint32_t size, uint32_t available,
								 struct relay_batch *batch)
{
	struct client *client = container_of(from, struct client, endpoint);
	if (pipeline_is_full(walk.pipeline) || is_disallowed(client, type))
		return RELAY_STOP;
	if (UNLIKELY(available < size) && size <= CLIENT_REQUEST_MAX) {
		walk.awaited = size + MESSAGE_HEADER; /* all of its text is looked at */
		return RELAY_SHORT;
	}
	ends_seen += type == MESSAGE_QUERY;
	const char *text = text_of(type, body, available);
	size_t before = text ? (size_t)((const uint8_t *)text - body) : 0;
	walk.text_matters = text && sql_matters(text, available - before);
	enum relay_action action =
		walk.text_matters ? see_text(client, type, body, size, available, batch, text)
				  : see_request(type, body, size, available, batch);
	if (action != RELAY_FORWARD || (type == MESSAGE_PARSE && walk.limit))
		return action;
	return see(from, type, body, size, available, batch);
}

static __attribute__((noinline)) enum relay_action see_execute(struct endpoint *from, uint8_t type,
							       const uint8_t *body, uint32_t size,
							       uint32_t available,
							       struct relay_batch *batch)
{
	if (pipeline_is_full(walk.pipeline))
		return RELAY_STOP;
	enum relay_action action = prepared_execute(&walk, body, available);
	if (action == RELAY_FORWARD)
		return see(from, type, body, size, available, batch);
	return action == RELAY_REPLACE ? RELAY_FORWARD : action;
}

static inline __attribute__((always_inline)) enum relay_action
see_prepared(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size,
	     uint32_t available, struct relay_batch *batch)
{
	struct client *client = container_of(from, struct client, endpoint);
	if (UNLIKELY(walk.holds) && type != MESSAGE_TERMINATE) {
		walk.barrier = true;
		return RELAY_STOP;
	}
	switch (type) {
	case MESSAGE_PARSE:
	case MESSAGE_QUERY:
		return see_with_text(from, type, body, size, available, batch);
	case MESSAGE_DESCRIBE:
	case MESSAGE_CLOSE:
		if (available && *body == 'P') /* of a portal */
			break;
		/* fall through */
	case MESSAGE_BIND:
		if (!walk.limit)
			break;
		if (pipeline_is_full(walk.pipeline))
			return RELAY_STOP;
		return prepared_request(&walk, type, body, size, available, batch);
	case MESSAGE_SYNC:
		ends_seen++;
		if (UNLIKELY(client_server(client)->restore != NULL))
			walk.holds = client_server(client)->reset_sent = true;
		if (client->prepared)
			prepared_sync(client->prepared);
		break;
	case MESSAGE_EXECUTE:
		if (*walk.server && UNLIKELY(prepared_execute_matters(*walk.server)))
			return see_execute(from, type, body, size, available, batch);
		break;
	case MESSAGE_FLUSH:
		wants_local_answers = true;
		break;
	default:
		break;
	}
	return see(from, type, body, size, available, batch);
}

/* How requests are looked at: nothing is prepared; they may be rewritten. */
static uint8_t care_for_prepared[256];
static const struct relay requests = {
	.care = message_frontend_care, .see = see, .walk = relay_walk};
static relay_walk_fn walk_prepared;
static const struct relay prepared_requests = {
	.care = care_for_prepared, .see = see_prepared, .walk = walk_prepared, .joins = true};

static enum relay_end walk_prepared(const struct relay *relay, struct endpoint *from,
				    const uint8_t *bytes, size_t size, uint32_t maximum,
				    struct relay_batch *batch)
{
	(void)relay;
	return relay_walk_inline(&prepared_requests, from, bytes, size, maximum, batch);
}

static void open_care(void)
{
	static const uint8_t rewritten[] = {MESSAGE_PARSE, MESSAGE_BIND,  MESSAGE_DESCRIBE,
					    MESSAGE_CLOSE, MESSAGE_QUERY, MESSAGE_EXECUTE};
	memcpy(care_for_prepared, message_frontend_care, sizeof care_for_prepared);
	for (size_t i = 0; i < sizeof rewritten; i++)
		care_for_prepared[rewritten[i]] = MESSAGE_SEE_HEAD;
}

/* It stopped before a request that can be decided only when what was sent is answered. */
static void wait_at_barrier(struct server *server, struct relay_batch *batch)
{
	static const uint8_t flush[] = {MESSAGE_FLUSH, 0, 0, 0, MESSAGE_LENGTH_MIN};
	server->waits_at_barrier = true;
	wants_local_answers = true;
	if (!server->pipeline.unsynced)
		return;
	batch->pieces[batch->count++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)flush, .iov_len = sizeof flush};
	batch->size += sizeof flush;
}

/* Where the walk through its requests stopped. */
static void end_forward(struct client *client, struct server *server, enum relay_end end,
			const struct relay_batch *batch)
{
	if (LIKELY(end == RELAY_DONE)) {
		if (batch->rest_size)
			client_hold(client, batch->rest, batch->rest_size);
		else if (__builtin_expect(pipeline_is_idle(&server->pipeline), 0))
			client_request_settle_if_clean(client, server);
	} else if (end == RELAY_STOPPED && is_disallowed(client, batch->rest[0])) {
		client_fail(client, SQLSTATE_FEATURE_NOT_SUPPORTED, "PQexec disallowed");
	} else if (end == RELAY_STOPPED && batch->rest[0] == MESSAGE_TERMINATE) {
		client_request_depart(client, CLOSE_CLIENT_REQUEST);
	} else if (end ==
		   RELAY_STOPPED) { /* the server owes very many answers, or must be waited for */
		client_hold(client, batch->rest, batch->rest_size);
		stream_pause(&client->endpoint.stream);
	} else {
		client_fail_header(client, end, batch->rest, batch->rest_size);
	}
}

/* One request of the extended protocol, alone and outside of a transaction, that begins with the
 * Bind or Describe of a prepared statement and ends with Sync? PostgreSQL may find that what the
 * statement refers to has changed since another client prepared it: then it is prepared anew, and
 * the request said again. Asked before the walk, and after it. */
static bool may_be_replayed(const struct client *client, const struct server *server,
			    const uint8_t *bytes, size_t size)
{
	return size <= REPLAY_MAX && (*bytes == MESSAGE_BIND || *bytes == MESSAGE_DESCRIBE) &&
	       server->status == 'I' && pipeline_is_idle(&server->pipeline) &&
	       !client->endpoint.body_left && !server->replays;
}

static void keep_for_replay(const struct client *client, struct server *server,
			    const uint8_t *bytes, size_t size)
{
	struct buffer *kept = server->replay;
	if (ends_seen != 1 || pipeline_last(&server->pipeline) != MESSAGE_SYNC ||
	    client->endpoint.body_left)
		return;
	if (LIKELY(kept && kept->size >= size)) {
		kept->start = 0;
		kept->end = (uint32_t)size;
		memcpy(kept->data, bytes, size);
	} else {
		buffer_free(&server->replay);
		if (!buffer_append(&server->replay, bytes, size, REPLAY_MAX))
			return;
	}
	server->replay_owed = server->pipeline.length;
}

/* Requests that are looked at, and may have to be rewritten. */
static inline __attribute__((always_inline)) bool
forward_once(struct client *client, struct server *server, const uint8_t *bytes, size_t size)
{
	uint32_t maximum = (uint32_t)settings_current()->max_packet_size;
	struct relay_batch batch;
	enum relay_end end;
	const uint8_t *const all = bytes;
	const size_t all_size = size;
	begin_walk(client, server, &batch);
	bool keep = may_be_replayed(client, server, bytes, size);
	server->replay_owed = 0;
	for (;;) {
		end = walk_prepared(&prepared_requests, &client->endpoint, bytes, size, maximum,
				    &batch);
		if (walk.barrier)
			wait_at_barrier(server, &batch);
		if (UNLIKELY(batch.count > 1))
			relay_join(&batch);
		/* Statements may be longer than what waits otherwise. */
		if (batch.size && stream_write(&server->endpoint.stream, batch.pieces, batch.count,
					       ENDPOINT_QUEUE_MAX + batch.size) == IO_AGAIN) {
			stream_pause(&client->endpoint.stream);
			if (end == RELAY_PAUSED)
				end = RELAY_DONE; /* the rest when that has left */
		}
		if (end != RELAY_PAUSED) {
			if (walk.barrier) /* what is to be waited for must have left */
				stream_flush(&server->endpoint.stream);
			break;
		}
		bytes = batch.rest;
		size = batch.rest_size;
		prepared_begin_batch(&batch);
	}
	end_walk(client);
	bool is_all_sent = end == RELAY_DONE && !batch.rest_size;
	if (keep && is_all_sent)
		keep_for_replay(client, server, all, all_size);
	if (LIKELY(is_all_sent && !wants_local_answers && client->state == CLIENT_ACTIVE &&
		   !pipeline_is_idle(&server->pipeline)))
		return false;
	if (walk.refusal) {
		client_fail(client, SQLSTATE_PROGRAM_LIMIT_EXCEEDED, walk.refusal);
		return false;
	}
	if (wants_local_answers)
		server_event_answer_locally(server);
	if (client->state != CLIENT_ACTIVE || client_server(client) != server)
		return false;
	/* Nothing is under way any more that would end the wait. */
	bool waits_in_vain = server->waits_at_barrier && !pipeline_owes_answer(&server->pipeline);
	end_forward(client, server, end, &batch);
	if (walk.awaited && client->state == CLIENT_ACTIVE)
		endpoint_await(&client->endpoint, walk.awaited);
	return waits_in_vain && client->state == CLIENT_ACTIVE && client_server(client) == server;
}

static __attribute__((noinline)) void forward_seen(struct client *client, struct server *server,
						   const uint8_t *bytes, size_t size)
{
	struct buffer *taken = NULL;
	while (UNLIKELY(forward_once(client, server, bytes, size)) && client->endpoint.held &&
	       !client->stalled) {
		stream_resume(&client->endpoint.stream);
		if (client->endpoint.awaited > buffer_length(client->endpoint.held))
			break;
		buffer_free(&taken);
		taken = client->endpoint.held;
		client->endpoint.held = NULL;
		bytes = buffer_bytes(taken);
		size = buffer_length(taken);
	}
	buffer_free(&taken);
}

/* From a linked client to its server. @is_single: client_scan_is_query(). */
static inline void forward(struct client *client, const uint8_t *bytes, size_t size, bool is_single)
{
	struct server *server = client_server(client);
	struct relay_batch batch;
	if (client->stalled) {
		client_hold_for_later(client, bytes, size);
		return;
	}
	/* Its values may be on the way to the server in front of its first query. */
	if (!client->in_transaction || pipeline_is_idle(&server->pipeline)) {
		client->query_at = clock_now();
		if (!client->in_transaction)
			client->transaction_at = clock_now();
		client->in_transaction = true;
		if (__builtin_expect(client->is_limited, 0))
			client_hasten(client);
	}
	bool is_plain = is_single && !client->prepared && !server->prepared &&
			!sql_matters((const char *)bytes + MESSAGE_HEADER, size - MESSAGE_HEADER);
	if (!is_plain && !client->endpoint.replication) {
		forward_seen(client, server, bytes, size);
		return;
	}
	/* The usual request needs no walk. */
	if (LIKELY(is_single &&
		   see(&client->endpoint, MESSAGE_QUERY, NULL, 0, 0, NULL) == RELAY_FORWARD)) {
		if (stream_write_bytes(&server->endpoint.stream, bytes, size, ENDPOINT_QUEUE_MAX) ==
		    IO_AGAIN)
			stream_pause(&client->endpoint.stream);
		return;
	}
	enum relay_end end = relay_walk(&requests, &client->endpoint, bytes, size,
					(uint32_t)settings_current()->max_packet_size, &batch);
	/* If the write fails the server is gone; what it said last comes by its own readable event.
	 */
	if (batch.size && stream_write(&server->endpoint.stream, batch.pieces, batch.count,
				       ENDPOINT_QUEUE_MAX) == IO_AGAIN)
		stream_pause(&client->endpoint.stream);
	end_forward(client, server, end, &batch);
}

void client_request_forward(struct client *client, const uint8_t *bytes, size_t size)
{
	forward(client, bytes, size, client_scan_is_query(client, bytes, size));
}

/* ---- parting ---- */

/* They do not part before one of them ends; but a server that is to go may go between requests. */
static void stay_together(struct client *client, const struct server *server)
{
	if (server->member.close_needed && settings_current()->server_fast_close &&
	    server->status == 'I')
		client_close(client, CLOSE_CLOSE_NEEDED, NULL);
	else if (client->endpoint.held && !client->stalled &&
		 !stream_is_blocked(&server->endpoint.stream))
		client_request_go_on(client);
}

void client_request_settle(struct client *client)
{
	struct server *server = client_server(client);
	bool spent = false;
	if (__builtin_expect(server->is_canceled, 0) && !(client->query_marks & QUERY_TIMED_OUT)) {
		/* The query ended. Its cancel must not hit the next. */
		server_drop_cancels(server);
		client->stalled = server->is_canceled || server->replays;
	}
	if (!pipeline_is_idle(&server->pipeline) &&
	    !(spent = server->status == 'I' && !server->unfit &&
		      pipeline_is_spent(&server->pipeline))) {
		/* Requests that found the pipeline full may go on when half of it is through. */
		bool may_go_on = server->waits_at_barrier
					 ? !pipeline_owes_answer(&server->pipeline) ||
						   pipeline_discards(&server->pipeline)
					 : server->pipeline.length < PIPELINE_MAX / 2;
		if (client->endpoint.held && !client->departing && !client->stalled && may_go_on &&
		    !stream_is_blocked(&server->endpoint.stream))
			client_request_go_on(client);
		return;
	}
	if (client->departing) {
		client_close(client, CLOSE_CLIENT_REQUEST, NULL);
		return;
	}
	enum pool_mode mode = client->member.pool->mode;
	if (mode == POOL_MODE_SESSION) {
		stay_together(client, server);
		return;
	}
	if (!spent && !server_is_clean(server)) {
		if (server->endpoint.replication)
			stay_together(client, server);
		else if (client->endpoint.held && !client->stalled &&
			 !stream_is_blocked(&server->endpoint.stream))
			client_request_go_on(client);
		return;
	}
	client->in_transaction = false;
	endpoint_unlink(&client->endpoint);
	client_go(client, CLIENT_IDLE);
	bool more = client->endpoint.held != NULL;
	stream_resume(&client->endpoint.stream);
	if (spent)
		server_let_go(server, CLOSE_IDLE_DIRTY);
	else
		server_release(server);
	if (more && client->state == CLIENT_IDLE)
		client_request_go_on(client);
}

void client_request_unstall(struct client *client)
{
	if (client->stalled && client->state == CLIENT_ACTIVE) {
		client->stalled = false;
		client_request_go_on(client);
	}
}

void client_request_open(void)
{
	open_care();
}
