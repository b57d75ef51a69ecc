/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/server_event.h"
#include "relay_priv.h"
#include "server_priv.h"
#include "config/snapshot.h"
#include "conn/prepared.h"
#include "conn/prepared_error.h"
#include "conn/relay.h"
#include "conn/server_connect.h"
#include "conn/statement.h"
#include "core/log.h"
#include "core/memory.h"
#include "proto/response.h"
#include "proto/sql.h"
#include <string.h>

enum { READS_PER_EVENT = 8 };

static const struct server_partner_ops *partner;

/* relay_walk() hands back what input() gave it: the magic was checked there. */
static inline struct server *seen(struct endpoint *from)
{
	return container_of(from, struct server, endpoint);
}

static bool broken(struct server *server, const char *what)
{
	server->is_broken = true;
	log_warning(server_subject(server), "server broke the protocol: %s", what);
	return false;
}

static enum relay_action see_unexpected(struct server *server)
{
	broken(server, "unexpected message");
	return RELAY_STOP;
}

/* Is it our turn to answer after this message? */
static bool is_ours_next(const struct server *server)
{
	return pipeline_is_local(&server->pipeline);
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
	if (server->endpoint.partner && server->errand != ERRAND_PARAMETERS &&
	    server->errand != ERRAND_RESTORE)
		partner->parameter(server_client(server), name, value);
}

static inline __attribute__((always_inline)) bool see_ready(struct server *server,
							    const uint8_t *body, uint32_t size)
{
	bool known = size == 1 && (body[0] == 'I' || body[0] == 'T' || body[0] == 'E');
	if (!known || !pipeline_ready(&server->pipeline, MESSAGE_READY_FOR_QUERY))
		return broken(server, "unexpected ReadyForQuery");
	server->status = (char)body[0];
	/* Instead of this message the client gets an error: in statement mode there are no
	 * transaction blocks. */
	if (server->status != 'I' && !server->errand &&
	    server->member.pool->mode == POOL_MODE_STATEMENT && !server->endpoint.replication) {
		server->refuses_block = true;
		return false;
	}
	return true;
}

/* connect_query changed what the server's one client is to be told. */
static void see_in_welcome(struct server *server, const uint8_t *body, uint32_t size)
{
	const char *name, *value;
	if (response_parse_parameter_status(body, size, &name, &value))
		(void)!response_put_parameter_status(&server->welcome, ENDPOINT_QUEUE_MAX, name,
						     value);
}

static bool is_tag(const uint8_t *body, uint32_t available, const char *tag)
{
	size_t size = strlen(tag) + 1;
	return available >= size && !memcmp(body, tag, size);
}

/* Is there a RESET ALL in it? */
static bool resets_all(const char *query)
{
	struct sql_reader reader;
	struct sql_statement statement;
	sql_reader_init(&reader, query, strlen(query), (struct sql_dialect){0});
	while (sql_next_statement(&reader, &statement))
		if (statement.kind == SQL_RESET_ALL)
			return true;
	return false;
}

/* Has a command of our own taken away what was set for the last client? */
static void see_reset(struct server *server, const uint8_t *body, uint32_t available)
{
	bool is_reset = server->errand == ERRAND_RESET && is_tag(body, available, "RESET");
	if (is_tag(body, available, "DISCARD ALL"))
		parameter_drop_extras(&server->parameters, false);
	else if (is_reset && resets_all(settings_current()->server_reset_query))
		parameter_drop_extras(&server->parameters, true);
}

/* An answer to our own query: nobody else sees it. */
static enum relay_action see_errand(struct endpoint *from, struct server *server, uint8_t type,
				    const uint8_t *body, uint32_t size, uint32_t available)
{
	if (type == MESSAGE_COMMAND_COMPLETE && prepared_tag_drops_all(body, available))
		prepared_drop_all(NULL, server->prepared);
	if (type == MESSAGE_COMMAND_COMPLETE)
		see_reset(server, body, available);
	if (type == MESSAGE_PARAMETER_STATUS) {
		see_parameter(server, body, size);
		if (server->welcome) /* its client gets the last word on each */
			see_in_welcome(server, body, size);
	} else if (type == MESSAGE_READY_FOR_QUERY) {
		if (!see_ready(server, body, size))
			return RELAY_STOP;
		server->errand_done = true;
		return RELAY_DROP_PAUSE;
	} else {
		if (type == MESSAGE_ERROR_RESPONSE) {
			char severity[16];
			struct error error;
			if (from->partner && available < size && size < MESSAGE_WHOLE_MAX)
				return RELAY_SHORT; /* it is told all of it */
			response_parse_error(body, available, severity, &error);
			server->errand_failed = true;
			/* What the client did not see it is not spared. */
			if (!from->partner)
				server->said_fatal = response_error_is_fatal(body, available);
			memory_free(&server->complaint);
			server->complaint = memory_dup(&error, sizeof error);
			if (server->errand != ERRAND_PARAMETERS) /* else its client is told */
				log_warning(server_subject(server), "our own query failed: %s %s",
					    error.sqlstate, error.message);
		}
		if (!pipeline_received(&server->pipeline, type) &&
		    !broken(server, "unexpected message"))
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

/* ReadyForQuery of the client's own. */
static inline enum relay_action see_end(struct server *server, const uint8_t *body, uint32_t size)
{
	if (!see_ready(server, body, size))
		return RELAY_STOP;
	partner->ready(server_client(server), server->status);
	return pipeline_is_idle(&server->pipeline) ? RELAY_FORWARD_PAUSE : RELAY_FORWARD;
}

static enum relay_action see(struct endpoint *from, uint8_t type, const uint8_t *body,
			     uint32_t size, uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	(void)batch;
	if (server->errand)
		return see_errand(from, server, type, body, size, available);
	switch (type) {
	case MESSAGE_READY_FOR_QUERY:
		return see_end(server, body, size);
	case MESSAGE_PARAMETER_STATUS:
		see_parameter(server, body, size);
		break;
	case MESSAGE_ERROR_RESPONSE:
		server->said_fatal = response_error_is_fatal(body, available);
		pipeline_received(&server->pipeline, type);
		break;
	default:
		if (!pipeline_complete(&server->pipeline, type))
			broken(server, "unexpected message");
	}
	return server->is_broken ? RELAY_STOP : RELAY_FORWARD;
}

/* Does its client keep it between transactions? */
static bool is_kept(const struct server *server)
{
	return server->endpoint.partner &&
	       (server->member.pool->mode == POOL_MODE_SESSION || server->endpoint.replication);
}

/* It closes a moment later: when its client is through, nobody gets it meanwhile. */
static void mark_ending(struct server *server)
{
	if (server->state < SERVER_IDLE || is_kept(server) || server->member.close_needed)
		return;
	server->member.close_needed = true;
	server->member.close_reason = CLOSE_SERVER_CRASHED;
}

/* Will it and its client, whose answers are all here, part when what was received is through? */
static bool parts_now(const struct server *server)
{
	const struct endpoint *partner_endpoint = server->endpoint.partner;
	return partner_endpoint && !is_kept(server) && !server->replays && !server->unfit &&
	       partner_endpoint->body_left == 0 && !stream_is_blocked(&server->endpoint.stream);
}

static enum relay_action see_unasked(struct endpoint *from, uint8_t type, const uint8_t *body,
				     uint32_t size, uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	bool dropped = !from->partner;
	(void)batch;
	if (server->errand)
		return see_errand(from, server, type, body, size, available);
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
		bool is_fatal = response_error_is_fatal(body, available);
		if (is_fatal)
			mark_ending(server);
		/* It does not end the connection of whose answers stood in front of it. */
		dropped |= is_fatal && parts_now(server);
		server->said_fatal = is_fatal && !(dropped && from->partner);
		if (dropped)
			log_info(server_subject(server), "server said: %s %s", severity,
				 error.message);
	}
	if (server->is_broken)
		return RELAY_STOP;
	return dropped ? RELAY_DROP : RELAY_FORWARD;
}

/* The answer to a query whose client has vanished. */
static enum relay_action see_abandoned(struct endpoint *from, uint8_t type, const uint8_t *body,
				       uint32_t size, uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	(void)batch;
	while (is_ours_next(server)) /* nobody wants it */
		pipeline_answer_local(&server->pipeline);
	void *note = pipeline_front_note(&server->pipeline);
	if (type == MESSAGE_COMMAND_COMPLETE && prepared_tag_drops_all(body, available))
		prepared_drop_all(NULL, server->prepared);
	if (type == MESSAGE_COMMAND_COMPLETE && note)
		prepared_see_completed(note);
	if (type == MESSAGE_READY_FOR_QUERY) {
		if (!see_ready(server, body, size))
			return RELAY_STOP;
	} else if (type == MESSAGE_PARAMETER_STATUS) {
		see_parameter(server, body, size);
	} else {
		if (type == MESSAGE_ERROR_RESPONSE)
			server->said_fatal = response_error_is_fatal(body, available);
		if (!pipeline_received(&server->pipeline, type))
			broken(server, "unexpected message");
	}
	return server->is_broken ? RELAY_STOP : RELAY_DROP;
}

/* In the answer to a simple Query what it consists of does not matter, only its end. */
static inline __attribute__((always_inline)) enum relay_action
see_simple(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size,
	   uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	if (LIKELY(type == MESSAGE_READY_FOR_QUERY)) {
		if (!see_ready(server, body, size))
			return RELAY_STOP;
		partner->ready(server_client(server), server->status);
		return pipeline_front(&server->pipeline) == MESSAGE_QUERY ? RELAY_FORWARD
									  : RELAY_FORWARD_PAUSE;
	}
	return see(from, type, body, size, available, batch);
}

/* ---- where statements were prepared ---- */

/* An error about a prepared statement. In ours it has the server's name, where the client's
 * belongs; and what we did not expect shows that the server has other statements than we thought.
 */
static struct buffer *errors_anew[RELAY_PIECES]; /* of one batch */
static int errors_made;

static void begin_batch(void)
{
	while (errors_made > 0)
		buffer_free(&errors_anew[--errors_made]);
}

static enum relay_action see_prepared_error(struct server *server, const void *note,
					    const uint8_t *body, uint32_t size, uint32_t available,
					    struct relay_batch *batch)
{
	char severity[16];
	struct error error;
	if (note && available < size && size < MESSAGE_WHOLE_MAX)
		return RELAY_SHORT;
	response_parse_error(body, available, severity, &error);
	if (prepared_is_stale(note, error.sqlstate, error.message)) {
		prepared_mark_stale(note, server->prepared);
		/* Nothing of the request was done or answered, and nothing came behind it. */
		if (server->replay_owed && server->pipeline.length == server->replay_owed) {
			server->replays = true;
			server->was_described =
				pipeline_front(&server->pipeline) == MESSAGE_DESCRIBE;
			partner->replay_begins(server_client(server));
			return RELAY_DROP;
		}
	}
	if (prepared_is_lacking(note, error.sqlstate, error.message)) {
		server->member.close_needed = true;
		server->member.close_reason = CLOSE_IDLE_DIRTY;
	}
	struct buffer *anew = NULL;
	if (available < size || !prepared_changes_error(note, error.message) ||
	    !prepared_put_error(note, body, size, &anew))
		return RELAY_FORWARD;
	batch->replacement[0] = (struct iovec){.iov_base = (void *)(uintptr_t)buffer_bytes(anew),
					       .iov_len = buffer_length(anew)};
	batch->replacements = 1;
	errors_anew[errors_made++] = anew;
	batch->replaced = MESSAGE_HEADER + size;
	return RELAY_REPLACE;
}

/* Whatever is not quite usual. */
static __attribute__((noinline)) enum relay_action
see_prepared_with_care(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size,
		       uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	struct pipeline *pipeline = &server->pipeline;
	void *note = pipeline_front_note(pipeline);
	enum relay_action action = RELAY_FORWARD;
	bool is_done = type == MESSAGE_PARSE_COMPLETE || type == MESSAGE_BIND_COMPLETE ||
		       type == MESSAGE_CLOSE_COMPLETE || type == MESSAGE_COMMAND_COMPLETE;
	bool hidden = note && is_done && prepared_is_hidden(note);
	/* Somebody dropped statements in a way that we do not see: what was made now must not be
	 * taken for what we know by that name. */
	if (note && prepared_is_to_fail(note) &&
	    (type == MESSAGE_PARSE_COMPLETE || type == MESSAGE_COMMAND_COMPLETE)) {
		broken(server, "it has other prepared statements than it should have");
		return RELAY_STOP;
	}
	if (note && type == MESSAGE_COMMAND_COMPLETE)
		hidden |= prepared_see_completed(note);
	/* Our answer goes behind the whole of it. */
	if (available < size && type != MESSAGE_ERROR_RESPONSE &&
	    type != MESSAGE_PARAMETER_DESCRIPTION && pipeline_is_local_behind(pipeline))
		return RELAY_SHORT;
	if (type == MESSAGE_ERROR_RESPONSE)
		action = see_prepared_error(server, note, body, size, available, batch);
	if (action == RELAY_SHORT)
		return action;
	if (type == MESSAGE_PARAMETER_DESCRIPTION) {
		action = server->was_described ? RELAY_DROP : RELAY_FORWARD;
		server->was_described = false;
		return action;
	}
	if (type == MESSAGE_READY_FOR_QUERY && !server->replays)
		server->was_described = false;
	if (UNLIKELY(server->replays) && type == MESSAGE_READY_FOR_QUERY)
		return see_ready(server, body, size) ? RELAY_DROP_PAUSE : RELAY_STOP;
	if (type == MESSAGE_COMMAND_COMPLETE && prepared_tag_drops_all(body, available))
		partner->dropped(server_client(server));
	enum relay_action usual = see(from, type, body, size, available, batch);
	if (usual != RELAY_FORWARD)
		return usual;
	if (hidden)
		return is_ours_next(server) ? RELAY_DROP_PAUSE : RELAY_DROP;
	return action == RELAY_FORWARD && is_ours_next(server) ? RELAY_FORWARD_PAUSE : action;
}

static inline __attribute__((always_inline)) enum relay_action
see_prepared(struct endpoint *from, uint8_t type, const uint8_t *body, uint32_t size,
	     uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	struct pipeline *pipeline = &server->pipeline;
	/* The usual answer to a Parse, Bind, Describe or Execute, and nothing of ours near. */
	if (LIKELY(pipeline_completes[type] && !pipeline->locals &&
		   (type != MESSAGE_COMMAND_COMPLETE || *body != 'D'))) {
		const void *note = pipeline_front_note(pipeline);
		if (!note || prepared_is_plain(note))
			return pipeline_complete(pipeline, type) ? RELAY_FORWARD
								 : see_unexpected(server);
	} else if (type == MESSAGE_READY_FOR_QUERY &&
		   !(pipeline->locals | server->replays | server->was_described)) {
		return see_end(server, body, size);
	}
	return see_prepared_with_care(from, type, body, size, available, batch);
}

/* While something is reset: the client is told the values when they are what they shall be. */
static enum relay_action see_resetting(struct endpoint *from, uint8_t type, const uint8_t *body,
				       uint32_t size, uint32_t available, struct relay_batch *batch)
{
	struct server *server = seen(from);
	const char *name, *value;
	switch (type) {
	case MESSAGE_PARAMETER_STATUS:
		if (!response_parse_parameter_status(body, size, &name, &value) ||
		    !parameter_tracked(name))
			break;
		parameter_put(&server->parameters, parameter_tracked(name), value);
		return RELAY_DROP;
	case MESSAGE_COMMAND_COMPLETE:
		server->restore_due |= is_tag(body, available, "RESET") ||
				       is_tag(body, available, "SET") ||
				       is_tag(body, available, "DISCARD ALL");
		break;
	case MESSAGE_ERROR_RESPONSE: /* it is undone, unless it was committed in between */
		if (server->restore_due) {
			server->member.close_needed = true;
			server->member.close_reason = CLOSE_IDLE_DIRTY;
		}
		server->restore_due = false;
		break;
	case MESSAGE_READY_FOR_QUERY:
		if (UNLIKELY(server->replays))
			break;
		if (!see_ready(server, body, size))
			return RELAY_STOP;
		server->reset_ended = true;
		return RELAY_DROP_PAUSE;
	default:
		break;
	}
	return server->prepared ? see_prepared_with_care(from, type, body, size, available, batch)
				: see(from, type, body, size, available, batch);
}

/* A request with a RESET has ended. More may be under way: then the values come back behind that.
 */
static void reset_ended(struct server *server)
{
	bool due = server->restore_due && server->status != 'E';
	server->reset_ended = false;
	if (server->pipeline.length > 0) {
		partner->restored(server_client(server));
		return;
	}
	server->restore_due = server->reset_sent = false;
	if (due && server_restore(server))
		return;
	if (server->restore)
		parameter_release(&server->restore);
	server->restores_all = false;
	partner->restored(server_client(server));
}

static void restored(struct server *server)
{
	server->errand = ERRAND_NONE;
	server->errand_done = server->restores_all = false;
	if (server->endpoint.partner && !server->errand_failed) {
		partner->restored(server_client(server));
	} else if (server->errand_failed) {
		struct error complaint = *server->complaint; /* which ends with the server */
		server_close(server, CLOSE_PARAMETER_FAILED, &complaint);
	} else {
		server_close(server, CLOSE_PARAMETER_FAILED, NULL);
	}
}

void server_event_answer_locally(struct server *server)
{
	struct endpoint *endpoint = &server->endpoint;
	uint8_t bytes[64 * MESSAGE_HEADER];
	size_t size = 0;
	while (endpoint->partner && endpoint->body_left == 0 && is_ours_next(server)) {
		bytes[size] = prepared_answer(pipeline_front_note(&server->pipeline));
		message_put32(bytes + size + 1, MESSAGE_LENGTH_MIN);
		pipeline_answer_local(&server->pipeline);
		size += MESSAGE_HEADER;
		if (size == sizeof bytes || !is_ours_next(server)) {
			partner->answer(server_client(server), bytes, size, !server->is_reading);
			server->answer_waits = server->is_reading;
			size = 0;
		}
	}
}

/* How what comes next is to be looked at. */
static uint8_t care_for_simple[256], care_for_all[256], care_for_prepared[256];
static relay_walk_fn walk_simple, walk_prepared;
static const struct relay serving = {.care = message_backend_care, .see = see, .walk = relay_walk};
static const struct relay serving_simple = {
	.care = care_for_simple, .see = see_simple, .walk = walk_simple};
static const struct relay abandoned = {
	.care = care_for_all, .see = see_abandoned, .walk = relay_walk};
static const struct relay serving_prepared = {
	.care = care_for_prepared, .see = see_prepared, .walk = walk_prepared};
static const struct relay resetting = {
	.care = care_for_prepared, .see = see_resetting, .walk = relay_walk};
static const struct relay unasked = {.care = care_for_all, .see = see_unasked, .walk = relay_walk};

/* Each its own, so that what is seen of the usual answer is seen without a call. */
static enum relay_end walk_simple(const struct relay *relay, struct endpoint *from,
				  const uint8_t *bytes, size_t size, uint32_t maximum,
				  struct relay_batch *batch)
{
	(void)relay;
	return relay_walk_inline(&serving_simple, from, bytes, size, maximum, batch);
}

static enum relay_end walk_prepared(const struct relay *relay, struct endpoint *from,
				    const uint8_t *bytes, size_t size, uint32_t maximum,
				    struct relay_batch *batch)
{
	(void)relay;
	return relay_walk_inline(&serving_prepared, from, bytes, size, maximum, batch);
}

static const struct relay *eyes(const struct server *server)
{
	uint8_t front = pipeline_front(&server->pipeline);
	if (server->errand || !server->endpoint.partner)
		return server->state == SERVER_DRAINING && !server->errand ? &abandoned : &unasked;
	if (LIKELY(front == MESSAGE_QUERY && !server->prepared))
		return &serving_simple;
	if (UNLIKELY(server->restore) && front) /* then it is looked at: server->prepared */
		return &resetting;
	if (server->prepared && front)
		return &serving_prepared;
	return front == 0 && server->status == 'I' && pipeline_is_idle(&server->pipeline)
		       ? &unasked
		       : &serving;
}

/* Before messages of a server with prepared statements are walked. False: it was closed. */
static bool begin_prepared(struct server *server)
{
	begin_batch();
	if (is_ours_next(server))
		server_event_answer_locally(server);
	return server->state != SERVER_CLOSING;
}

/* ... and when all were handed on. */
static bool end_prepared(struct server *server)
{
	if (is_ours_next(server))
		server_event_answer_locally(server);
	if (UNLIKELY(server->replays) && server->endpoint.partner && server->pipeline.length == 0) {
		struct buffer *taken = server->replay;
		server->replay = NULL;
		server->replays = false;
		partner->replay(server_client(server), taken);
	}
	if (server->answer_waits && server->endpoint.partner)
		partner->answer(server_client(server), NULL, 0, true);
	server->answer_waits = false;
	return server->state != SERVER_CLOSING;
}

/* Its client's values are set, or refused. Whose client left meanwhile is not clean, and closed. */
static void parameters_ended(struct server *server)
{
	bool well = !server->errand_failed;
	server->errand = ERRAND_NONE;
	server->errand_done = false;
	if (!server->endpoint.partner) {
		server_close(server, CLOSE_PARAMETER_FAILED, NULL);
	} else if (well) {
		partner->prepared(server_client(server));
	} else {
		struct error complaint = *server->complaint; /* its server may end by it */
		partner->unprepared(server_client(server), &complaint);
	}
}

/* An errand for its client is done, or a request with a RESET. False: it was closed. */
static __attribute__((noinline)) bool end_step(struct server *server)
{
	bool has_client = server->endpoint.partner != NULL;
	if (server->errand_done && server->errand == ERRAND_CONNECT && has_client)
		server_errand_ended(server);
	else if (server->errand_done && server->errand == ERRAND_PARAMETERS)
		parameters_ended(server);
	else if (server->errand_done && server->errand == ERRAND_RESTORE)
		restored(server);
	else if (server->reset_ended && has_client)
		reset_ended(server);
	return server->state != SERVER_CLOSING;
}

static bool is_resting(const struct server *server)
{
	return server->state == SERVER_IDLE || server->state == SERVER_USED;
}

static void lost(struct server *server);

static void input(struct server *server, const uint8_t *bytes, size_t size)
{
	struct endpoint *endpoint = &server->endpoint;
	uint32_t maximum = (uint32_t)settings_current()->max_packet_size;
	struct relay_batch batch;
	enum relay_end end;
	if (UNLIKELY(stream_is_ending(&endpoint->stream)))
		mark_ending(server);
	if (!endpoint->partner)
		server->drained += (uint32_t)size;
	server->is_reading = true;
	server->let_go = false;
	do {
		if (UNLIKELY(server->prepared) && !begin_prepared(server))
			return;
		const struct relay *relay = eyes(server);
		end = relay->walk(relay, endpoint, bytes, size, maximum, &batch);
		bytes = batch.rest;
		size = batch.rest_size;
		if (batch.size && endpoint->partner)
			partner->deliver(server_client(server), batch.pieces, batch.count,
					 batch.size);
		if (server->state == SERVER_CLOSING)
			return;
		if (UNLIKELY(server->errand_done | server->reset_ended) && !end_step(server))
			return;
	} while (end == RELAY_PAUSED && size > 0);
	server->is_reading = false;
	if (UNLIKELY(server->prepared) && !end_prepared(server))
		return;
	if (server->refuses_block) {
		server_close(server, CLOSE_TRANSACTION_BLOCK, NULL);
		return;
	}
	if (end > RELAY_PAUSED) {
		if (!server->is_broken)
			broken(server, end == RELAY_BAD_TYPE ? "unknown type of message"
							     : "message of a wrong length");
		server_close(server,
			     endpoint->partner || server->errand ? CLOSE_SERVER_PROTOCOL
								 : CLOSE_IDLE_DIRTY,
			     NULL);
		return;
	}
	if (!endpoint_hold(endpoint, bytes, size)) {
		server_close(server, CLOSE_OUT_OF_MEMORY, NULL);
		return;
	}
	if (endpoint->partner) {
		partner->settle(server_client(server));
	} else if (server->said_fatal ||
		   (UNLIKELY(stream_is_ending(&endpoint->stream)) && is_resting(server))) {
		lost(server); /* its socket closes a moment later: nobody gets it meanwhile */
	} else if (server->let_go) {
		server_let_go(server, CLOSE_IDLE_DIRTY);
	} else if (server->errand_done && !endpoint->held && !endpoint->body_left) {
		server_errand_ended(server);
	} else if (server->state == SERVER_DRAINING) {
		server_settle_drained(server);
	}
}

static void lost(struct server *server)
{
	struct error error;
	if (server->state == SERVER_CANCELING) {
		server_close(server, CLOSE_CANCEL_SENT, NULL);
	} else if (server->state == SERVER_LOGIN && server_ask_older(server)) {
		return;
	} else if (server->state == SERVER_LOGIN || server->state == SERVER_TLS) {
		error_set(&error, SQLSTATE_CONNECTION_FAILURE,
			  "the server closed the connection during login");
		server_fail_login(server, CLOSE_LOGIN_FAILED, false, &error);
	} else {
		server_close(server, CLOSE_SERVER_CRASHED, NULL);
	}
}

static void receive(struct server *server, const uint8_t *bytes, size_t size)
{
	if (LIKELY(server->state >= SERVER_IDLE && server->state < SERVER_CANCELING) ||
	    server->errand)
		input(server, bytes, size);
	else if (server->state == SERVER_LOGIN)
		server_login_input(server, bytes, size);
	else if (server->tls_step == SERVER_TLS_ASKED)
		server_tls_answer(server, bytes, size);
	/* a cancel's connection has nothing to say */
}

static void readable(struct stream *stream)
{
	struct server *server = server_of_stream(stream);
	uint8_t *bytes;
	size_t size, fresh;
	/* A read that filled the buffer left something behind: go on with it while it is warm, but
	 * not for ever. */
	for (int slice = 0; slice < READS_PER_EVENT; slice++) {
		switch (endpoint_receive(&server->endpoint, &bytes, &size, &fresh)) {
		case IO_DONE:
			break;
		case IO_AGAIN:
			return;
		default:
			lost(server);
			return;
		}
		receive(server, bytes, size);
		if (LIKELY(fresh < ENDPOINT_RECEIVE) || server->state != SERVER_ACTIVE ||
		    stream->paused)
			return;
	}
}

static void drained(struct stream *stream)
{
	struct server *server = server_of_stream(stream);
	if (server->endpoint.partner)
		partner->writable(server_client(server));
}

static const struct stream_events events = {
	.readable = readable,
	.drained = drained,
	.connected = server_connected,
	.secured = server_secured,
};

static void due(struct loop_timer *timer)
{
	struct server *server = server_of(container_of(timer, struct endpoint, timer));
	struct error error;
	switch (server_deadline(server)) {
	case DEADLINE_CONNECT:
		error_set(&error, SQLSTATE_CONNECTION_FAILURE,
			  "connecting took longer than server_connect_timeout");
		server_fail_login(server, CLOSE_CONNECT_TIMEOUT, false, &error);
		break;
	case DEADLINE_DRAIN:
		server_close(server, CLOSE_CLIENT_GONE_IN_QUERY, NULL);
		break;
	case DEADLINE_REST:
		pool_idle_check(&server->member);
		if (server->state == SERVER_CLOSING)
			break;
		if (server->state == SERVER_IDLE && server->member.place == SERVER_PLACE_USED)
			server_set_state(server, SERVER_USED);
		else
			server_arm(server);
		break;
	case DEADLINE_TEST:
		server_close(server,
			     server->errand == ERRAND_RESET ? CLOSE_RESET_FAILED
							    : CLOSE_CHECK_FAILED,
			     NULL);
		break;
	case DEADLINE_NONE:
		break;
	}
}

void server_event_open(const struct server_partner_ops *ops)
{
	partner = ops;
	server_set_ops(ops, &events, due);
	for (int type = 0; type < 256; type++) {
		uint8_t care = message_backend_care[type];
		bool matters = type != MESSAGE_ROW_DESCRIPTION &&
			       type != MESSAGE_COMMAND_COMPLETE &&
			       type != MESSAGE_EMPTY_QUERY_RESPONSE;
		care_for_simple[type] = matters ? care : MESSAGE_PASS;
		care_for_all[type] = care == MESSAGE_PASS ? MESSAGE_SEE_TYPE : care;
		care_for_prepared[type] = care;
	}
	care_for_prepared[MESSAGE_PARAMETER_DESCRIPTION] = MESSAGE_SEE_TYPE;
	care_for_all[MESSAGE_COMMAND_COMPLETE] = care_for_prepared[MESSAGE_COMMAND_COMPLETE] =
		MESSAGE_SEE_HEAD;
}
