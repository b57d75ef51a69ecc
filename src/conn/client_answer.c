/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_answer.h"
#include "client_priv.h"
#include "conn/client_request.h"
#include "conn/prepared.h"
#include "proto/response.h"
#include <string.h>

void client_answer_deliver(struct client *client, const struct iovec *pieces, int count,
			   size_t size)
{
	struct server *server = client_server(client);
	client_counters(client)->sent += size;
	switch (stream_write(&client->endpoint.stream, pieces, count, ENDPOINT_QUEUE_MAX)) {
	case IO_DONE:
		if (client->departing) /* it still reads: its time begins anew */
			client_arm(client);
		break;
	case IO_AGAIN:
		stream_pause(&server->endpoint.stream);
		break;
	default:
		client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
}

void client_answer_ready(struct client *client, char status)
{
	struct stats_counters *c = client_counters(client);
	usec_t now = clock_now();
	c->query_count++;
	c->query_time += (uint64_t)(now - client->query_at);
	client->query_at = now; /* for the next in a pipeline */
	client->query_marks = 0;
	if (status == 'I' && client->in_transaction) {
		c->xact_count++;
		c->xact_time += (uint64_t)(now - client->transaction_at);
		/* the next one in a pipeline begins */
		client->in_transaction = client_server(client)->pipeline.length > 0;
		client->transaction_at = now;
	}
}

/* The values that its server has are its own from now on. */
static void adopt_values(struct client *client, struct server *server)
{
	parameter_take_extras(&server->parameters, client->parameters);
	parameter_release(&client->parameters);
	client->parameters = parameter_share(server->parameters);
}

void client_answer_take_values(struct client *client)
{
	struct server *server = client_server(client);
	bool as_at_startup = client->startup == client->parameters;
	parameter_prove(client->parameters, true);
	adopt_values(client, server);
	parameter_prove(client->parameters, true);
	if (as_at_startup) {
		parameter_release(&client->startup);
		client->startup = parameter_share(client->parameters);
	}
}

/* The values as the server made them ("SQL" became "SQL, DMY"): the client is told where they
 * differ. */
static void put_news(const struct client *client, struct buffer **out)
{
	const char *cursor = NULL, *name, *value;
	while (parameter_next(client_server(client)->parameters, &cursor, &name, &value)) {
		const char *mine = parameter_get(client->parameters, name);
		if (parameter_tracked(name) && (!mine || strcmp(mine, value)))
			response_put_parameter_status(out, ENDPOINT_QUEUE_MAX, name, value);
	}
}

void client_answer_prepared(struct client *client)
{
	struct buffer *out = NULL;
	put_news(client, &out);
	client_answer_take_values(client);
	client_send(client, &out);
	client_request_unstall(client);
}

void client_answer_restored(struct client *client)
{
	struct server *server = client_server(client);
	struct buffer *out = NULL;
	put_news(client, &out);
	adopt_values(client, server);
	response_put_ready_for_query(&out, ENDPOINT_QUEUE_MAX, server->status);
	client_answer_ready(client, server->status);
	client_send(client, &out);
}

void client_answer_unprepared(struct client *client, const struct error *error)
{
	struct server *server = client_server(client);
	parameter_prove(client->parameters, false);
	/* All was one implicit transaction, so nothing of it is left: the server is as it was, and
	 * goes back. But not if it was sent more, which must not be done with other values. */
	if (server_is_clean(server))
		client_close(client, CLOSE_PARAMETER_INVALID, error);
	else
		server_close(server, CLOSE_PARAMETER_FAILED, error);
}

void client_answer_free(struct client *client)
{
	const struct server *server = client_server(client);
	if (!client->stalled || client->state != CLIENT_ACTIVE || server->errand || server->replays)
		return;
	client->stalled = false;
	client_request_go_on(client);
	client_request_settle_if_clean(client, server);
}

void client_answer_writable(struct client *client)
{
	const struct server *server = client_server(client);
	if (client->departing || client->stalled) {
		client_request_settle(client);
		return;
	}
	client_request_go_on(client);
	client_request_settle_if_clean(client, server);
}

void client_answer_lost(struct client *client, enum close_reason reason, const struct error *error,
			bool silently)
{
	struct error told;
	if (!error) {
		if (!close_reason_error(reason, &told))
			close_reason_error(CLOSE_SERVER_CRASHED, &told);
		error = &told;
	}
	client_close_saying(client, CLOSE_SERVER_CRASHED, error, silently);
}

void client_answer_parameter(struct client *client, const char *name, const char *value)
{
	if (client->parameters)
		parameter_put(&client->parameters, name, value);
}

void client_answer_locally(struct client *client, const void *bytes, size_t size, bool now)
{
	struct stream *stream = &client->endpoint.stream;
	client_counters(client)->sent += size;
	if (!stream_queue(stream, bytes, size, ENDPOINT_QUEUE_MAX) ||
	    (now && stream_flush(stream) == IO_ERROR))
		client_close(client, CLOSE_CLIENT_EOF, NULL);
}

void client_answer_replay_begins(struct client *client)
{
	client->stalled = true;
}

void client_answer_replay(struct client *client, struct buffer *taken)
{
	struct server *server = client_server(client);
	struct buffer *later = client->endpoint.held; /* what it sent meanwhile comes behind */
	client->endpoint.held = NULL;
	client->stalled = false;
	client_request_forward(client, buffer_bytes(taken), buffer_length(taken));
	buffer_free(&taken);
	if (later)
		client_hold(client, buffer_bytes(later), buffer_length(later));
	buffer_free(&later);
	if (client_server(client) == server) /* once is enough */
		server->replay_owed = 0;
}

void client_answer_dropped(struct client *client)
{
	prepared_drop_all(client->prepared, client_server(client)->prepared);
}
