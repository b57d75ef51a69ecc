/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_event.h"
#include "client_priv.h"
#include "conn/client_answer.h"
#include "conn/client_auth.h"
#include "conn/client_cancel.h"
#include "conn/client_console.h"
#include "conn/client_entry.h"
#include "conn/client_greeting.h"
#include "conn/client_replication.h"
#include "conn/client_limit.h"
#include "conn/client_request.h"
#include "conn/prepared_book.h"
#include "conn/server_event.h"
#include "core/error.h"
#include "core/memory.h"
#include "proto/response.h"

enum { POOL_LINES = 7 }; /* that a request looks at */

static void input(struct client *client, const uint8_t *bytes, size_t size, size_t fresh)
{
	switch ((enum client_state)client->state) {
	case CLIENT_ACTIVE:
		client_counters(client)->received += fresh;
		client_request_forward(client, bytes, size);
		break;
	case CLIENT_IDLE:
		client_counters(client)->received += fresh;
		if (client->console)
			client_console_input(client, bytes, size);
		else
			client_request_begin(client, bytes, size);
		break;
	case CLIENT_WAITING:
		client_counters(client)->received += fresh;
		client_hold_for_later(client, bytes, size);
		break;
	case CLIENT_WELCOME:
	case CLIENT_TRIAL_WAITING:
	case CLIENT_TRIAL:
	case CLIENT_CLAIMING:
	case CLIENT_CLAIMED:
		client_hold_for_later(client, bytes, size);
		break;
	case CLIENT_STARTUP:
		client_entry_startup(client, bytes, size);
		break;
	case CLIENT_AUTH:
		client_entry_answer(client, bytes, size);
		break;
	case CLIENT_TLS:
	case CLIENT_CANCEL_WAITING:
	case CLIENT_CANCEL_ACTIVE:
	case CLIENT_CLOSING:
	case CLIENT_STATE_COUNT:
		break; /* nothing it says matters any more */
	}
}

/* It asked for something, and has no server. It may be gone, and then nobody wants the answer; or
 * it has only closed its side, and hears this. */
static void tell_unserved(struct client *client)
{
	struct buffer *out = NULL;
	struct error error;
	if (!client->endpoint.held)
		return;
	error_set(&error, SQLSTATE_CONNECTION_FAILURE,
		  "the connection was closed while its request waited for a server");
	response_put_error(&out, MESSAGE_WHOLE_MAX, "FATAL", &error);
	client_send(client, &out);
}

/* The far end sends nothing more, or is gone. */
static void ended(struct client *client)
{
	switch ((enum client_state)client->state) {
	case CLIENT_CLOSING:
		client_vanish(client);
		break;
	case CLIENT_CANCEL_WAITING:
	case CLIENT_CANCEL_ACTIVE:
		/* Who asks to cancel may leave at once; its request stands. */
		stream_pause(&client->endpoint.stream);
		break;
	case CLIENT_ACTIVE:
		client_request_depart(client, CLOSE_CLIENT_EOF);
		break;
	case CLIENT_WELCOME:
	case CLIENT_WAITING:
		tell_unserved(client);
		client_close(client, CLOSE_CLIENT_EOF, NULL);
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
	if (!client->endpoint.partner)
		memory_expect(client->member.pool, POOL_LINES);
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
	if (client->state == CLIENT_CLOSING) {
		stream_shutdown(stream);
		if (client->departing) /* it said goodbye first: nothing more comes from it */
			client_vanish(client);
	} else if (server)
		stream_resume(&server->endpoint.stream);
	else if (client->state == CLIENT_IDLE && !client->console)
		client_request_go_on(client);
	else if (client->console && !client->stalled)
		client_console_resume(client);
}

static void secured(struct stream *stream, const struct error *failure)
{
	client_entry_secured(client_of_stream(stream), failure);
}

static const struct stream_events events = {
	.readable = readable, .drained = drained, .secured = secured};

static void due(struct loop_timer *timer)
{
	struct client *client = client_of(container_of(timer, struct endpoint, timer));
	struct error error;
	switch (client_deadline(client)) {
	case DEADLINE_LOGIN:
		close_reason_error(CLOSE_LOGIN_TIMEOUT, &error);
		if (client_auth_waits_for(client)) /* the real cause */
			error_detail(&error, "%s", client_auth_waits_for(client));
		client_close(client, CLOSE_LOGIN_TIMEOUT, &error);
		break;
	case DEADLINE_WELCOME:
	case DEADLINE_QUERY_WAIT:
		client_limit_check_wait(client);
		break;
	case DEADLINE_ACTIVE:
		if (client->departing)
			client_close(client, CLOSE_CLIENT_EOF, NULL);
		else
			client_limit_check(client);
		break;
	case DEADLINE_IDLE:
		client_limit_check(client);
		break;
	case DEADLINE_CANCEL_WAIT:
		client_close(client, CLOSE_CANCEL_TIMEOUT, NULL);
		break;
	case DEADLINE_LINGER:
		client_vanish(client);
		break;
	case DEADLINE_NONE:
		break;
	}
}

/* pool_ops.reject */
void client_event_reject(struct pool_client *member, enum close_reason reason,
			 const struct error *error)
{
	client_close(client_of_member(member), reason, error);
}

struct client *client_accept(int fd, const struct address *remote, const struct address *local)
{
	struct client *client = client_new(fd, remote, local, &events, due);
	client_entry_arrived(client);
	return client;
}

void client_event_open(void)
{
	static const struct server_partner_ops partner = {
		.deliver = client_answer_deliver,
		.settle = client_request_settle,
		.ready = client_answer_ready,
		.prepared = client_greeting_prepared,
		.unprepared = client_answer_unprepared,
		.restored = client_answer_restored,
		.free = client_answer_free,
		.writable = client_answer_writable,
		.lost = client_replication_lost,
		.served = client_replication_served,
		.cancel_ended = client_cancel_ended,
		.parameter = client_answer_parameter,
		.answer = client_answer_locally,
		.dropped = client_answer_dropped,
		.replay_begins = client_answer_replay_begins,
		.replay = client_answer_replay,
	};
	server_event_open(&partner);
	prepared_open();
	client_request_open();
	client_open();
	client_entry_open();
}
