/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_greeting.h"
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_answer.h"
#include "conn/client_login.h"
#include "conn/client_request.h"
#include "core/memory.h"
#include "proto/response.h"

/* Most clients of a pool ask for the same: what was made for the last one is kept. */
struct greeting {
	struct parameter_set *asked, *result;
	struct buffer *bytes; /* ParameterStatus messages, BackendKeyData, ReadyForQuery */
	size_t key;	      /* where among them a client's own key belongs */
};

/* ---- its values ---- */

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

/* application_name_add_host: the name that servers see says where the client is. */
static void add_host_to_name(struct client *client)
{
	char address[ADDRESS_TEXT];
	const char *name = parameter_get(client->parameters, "application_name");
	if (!name)
		name = client->database->application_name;
	char *more = memory_printf("%s - %s", name && *name ? name : "app",
				   address_print(&client->endpoint.remote, address));
	parameter_put(&client->parameters, "application_name", more);
	memory_free(&more);
}

/* The values it begins with. Until it is greeted, @startup is what it asked for of them. */
static void take_values(struct client *client)
{
	const struct pool *pool = client->member.pool;
	const struct greeting *greeting = pool->greeting;
	client->parameters = client->login->parameters;
	client->login->parameters = NULL;
	client_login_free(&client->login);
	if (settings_current()->application_name_add_host && !client->is_own)
		add_host_to_name(client);
	client->startup = parameter_share(client->parameters);
	if (greeting && greeting->asked == client->parameters) {
		parameter_release(&client->parameters);
		client->parameters = parameter_share(greeting->result);
		return;
	}
	put_database_wishes(client);
	parameter_put_over(&client->parameters, pool->welcome_parameters, pool);
}

/* ---- the greeting ---- */

void client_greeting_drop(void *taken)
{
	struct greeting *greeting = taken;
	parameter_release(&greeting->asked);
	parameter_release(&greeting->result);
	buffer_free(&greeting->bytes);
	memory_free(&greeting);
}

/* ParameterStatus as the pool's server reported them, with the client's own values. False: no
 * memory. */
static bool put_parameters(const struct client *client, struct buffer **out)
{
	const struct pool *pool = client->member.pool;
	const uint8_t *at = pool->welcome ? buffer_bytes(pool->welcome) : NULL;
	size_t left = buffer_length(pool->welcome);
	struct message message;
	bool well = true;
	while (message_parse(at, left, ENDPOINT_QUEUE_MAX, &message) == FRAME_OK) {
		const char *name = (const char *)message.body;
		const char *own = parameter_get(client->parameters, name);
		well &= own ? response_put_parameter_status(out, ENDPOINT_QUEUE_MAX, name, own)
			    : buffer_append(out, at, message.size + MESSAGE_HEADER,
					    ENDPOINT_QUEUE_MAX);
		at += message.size + MESSAGE_HEADER;
		left -= message.size + MESSAGE_HEADER;
	}
	return well;
}

static bool put_login_notice(struct buffer **out)
{
	const char *text = settings_current()->login_notify_message;
	struct error notice;
	if (!*text)
		return true;
	error_set(&notice, SQLSTATE_SUCCESSFUL_COMPLETION, "%s", text);
	return response_put_notice(out, ENDPOINT_QUEUE_MAX, "NOTICE", &notice);
}

/* The greeting for its values, which is kept. NULL: no memory. */
static const struct greeting *make_greeting(const struct client *client)
{
	static const uint8_t no_key[CANCEL_SECRET];
	struct pool *pool = client->member.pool;
	pool_forget_greeting(pool);
	struct greeting *greeting = memory_alloc(sizeof *greeting);
	greeting->asked = parameter_share(client->startup);
	greeting->result = parameter_share(client->parameters);
	bool well = put_parameters(client, &greeting->bytes);
	well &= put_login_notice(&greeting->bytes);
	greeting->key = buffer_length(greeting->bytes) + MESSAGE_HEADER;
	well &= response_put_backend_key_data(&greeting->bytes, ENDPOINT_QUEUE_MAX, 0, no_key,
					      sizeof no_key);
	well &= response_put_ready_for_query(&greeting->bytes, ENDPOINT_QUEUE_MAX, 'I');
	if (!well) {
		client_greeting_drop(greeting);
		return NULL;
	}
	return pool->greeting = greeting;
}

static const struct greeting *find_greeting(const struct client *client)
{
	const struct greeting *greeting = client->member.pool->greeting;
	bool fits = greeting && greeting->asked == client->startup &&
		    greeting->result == client->parameters;
	return fits ? greeting : make_greeting(client);
}

/* The greeting is made for a short key; a long one takes the place of that. */
static bool put_greeting(const struct greeting *greeting, const struct cancel_key *key,
			 struct buffer **out)
{
	size_t size = key->tail ? greeting->key - MESSAGE_HEADER : buffer_length(greeting->bytes);
	uint8_t *room = buffer_reserve(out, size, ENDPOINT_QUEUE_MAX);
	if (!room)
		return false;
	memcpy(room, buffer_bytes(greeting->bytes), size);
	buffer_commit(*out, size);
	if (key->tail)
		return cancel_key_put(key, out, ENDPOINT_QUEUE_MAX) &&
		       response_put_ready_for_query(out, ENDPOINT_QUEUE_MAX, 'I');
	memcpy(room + greeting->key, key->head, CANCEL_HEAD);
	return true;
}

static void complete(struct client *client, struct buffer **out)
{
	const struct greeting *greeting = find_greeting(client);
	parameter_release(&client->startup);
	client->startup = parameter_share(client->parameters);
	if (!greeting || !put_greeting(greeting, &client->key, out)) {
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
		return;
	}
	client_send(client, out);
}

/* ---- values that must be tried ---- */

/* Ask for a server. AuthenticationOk goes out now: it waits from here on. */
static void begin_trial(struct client *client, struct buffer **out)
{
	struct pool *pool = client->member.pool;
	struct error error;
	if (client->member.place == CLIENT_PLACE_NONE) /* refused, it leaves from there */
		pool_client_move(pool, &client->member, CLIENT_PLACE_ACTIVE);
	client_send(client, out);
	if (client->state == CLIENT_CLOSING)
		return;
	if (pool_is_failing(pool, &error)) {
		client_close(client, CLOSE_SERVER_REJECTED, &error);
		return;
	}
	pool_request(pool, &client->member);
	if (client->state == CLIENT_AUTH || client->state == CLIENT_WELCOME)
		client_set_state(client, CLIENT_TRIAL_WAITING);
}

/* A server has its values. */
static void end_trial(struct client *client)
{
	struct buffer *out = NULL;
	client_answer_take_values(client);
	if (client_set_state(client, CLIENT_ACTIVE))
		complete(client, &out);
	buffer_free(&out);
	client_request_unstall(client);
}

static void try_on(struct client *client, struct server *server)
{
	if (client->state == CLIENT_TRIAL_WAITING)
		client_counters(client)->wait_time +=
			(uint64_t)(clock_now() - client->member.wait_since);
	client->was_notified = false;
	client_request_try(client, server);
	if (client->state != CLIENT_TRIAL || client->stalled)
		return;
	client->stalled = true;
	end_trial(client);
	if (client->state == CLIENT_ACTIVE)
		client_request_settle(client);
}

void client_greeting_assign(struct pool_client *member, struct pool_server *server)
{
	const struct client *client = client_of_member(member);
	if (LIKELY(client->state == CLIENT_IDLE || client->state == CLIENT_WAITING))
		client_request_assign(member, server);
	else
		try_on(client_of_member(member), server_of_member(server));
}

void client_greeting_prepared(struct client *client)
{
	if (client->state == CLIENT_TRIAL)
		end_trial(client);
	else
		client_answer_prepared(client);
}

/* ---- the beginning ---- */

void client_greet(struct client *client, struct buffer **out)
{
	take_values(client);
	if (!parameter_extras_are_proven(client->parameters)) {
		begin_trial(client, out);
		return;
	}
	if (!client_set_state(client, CLIENT_IDLE))
		return;
	complete(client, out);
	/* A client may send its first request without waiting for this. */
	if (client->state == CLIENT_IDLE && client->endpoint.held)
		client_request_go_on(client);
}
