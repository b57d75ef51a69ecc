/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_replication.h"
#include "client_priv.h"
#include "conn/client_answer.h"
#include "conn/client_login.h"
#include "conn/client_request.h"
#include "conn/server_connect.h"
#include "core/log.h"
#include "proto/response.h"

void client_replication_begin(struct client *client)
{
	pool_claim(client->member.pool, &client->member);
	if (client->state == CLIENT_AUTH)
		client_set_state(client, CLIENT_CLAIMING);
}

void client_replication_launch(struct pool *pool, struct pool_client *member)
{
	struct client *client = client_of_member(member);
	client->stalled = true;
	if (client_set_state(client, CLIENT_CLAIMED))
		server_launch_for(pool, &client->endpoint, client->login->startup,
				  client->login->startup_size);
}

/* ParameterStatus as its server reported them, our BackendKeyData, ReadyForQuery. */
static bool greet(struct client *client, struct buffer **welcome)
{
	struct buffer *out = *welcome;
	*welcome = NULL;
	bool well = cancel_key_put(&client->key, &out, ENDPOINT_QUEUE_MAX) &&
		    response_put_ready_for_query(&out, ENDPOINT_QUEUE_MAX, 'I');
	if (well)
		client_send(client, &out);
	buffer_free(&out);
	return well;
}

void client_replication_served(struct client *client, struct buffer **welcome)
{
	struct stats_counters *counters = client_counters(client);
	counters->server_assignment_count++;
	counters->wait_time += (uint64_t)(clock_now() - client->member.wait_since);
	client_login_free(&client->login);
	client->parameters = parameter_share(client_server(client)->parameters);
	client->stalled = false;
	if (!client_set_state(client, CLIENT_ACTIVE))
		return;
	if (!greet(client, welcome))
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
	else if (client->state == CLIENT_ACTIVE && client->endpoint.held)
		client_request_go_on(client);
}

/* Its server could not be had. The server's own word is for the client; a server that cannot be
 * reached, or is starting up, may be back soon: the client waits for the next attempt. */
static void unserved(struct client *client, const struct error *error)
{
	if (error) {
		log_info(client_subject(client), "login failed: db=%s user=%s",
			 client->database->name, client->user->name);
		client_close(client, CLOSE_CLAIM_FAILED, error);
		return;
	}
	pool_claim_again(client->member.pool, &client->member);
	client_set_state(client, CLIENT_CLAIMING);
}

void client_replication_lost(struct client *client, enum close_reason reason,
			     const struct error *error, bool silently)
{
	if (client->state == CLIENT_CLAIMED)
		unserved(client, error);
	else /* that its server hangs up tells such a client as much as it would without us */
		client_answer_lost(client, reason, error,
				   silently || (client->endpoint.replication &&
						reason == CLOSE_SERVER_CRASHED));
}
