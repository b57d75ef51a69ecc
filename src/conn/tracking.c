/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/tracking.h"
#include "config/snapshot.h"
#include "conn/client.h"
#include "conn/client_login.h"
#include "conn/parameter.h"
#include "conn/server.h"
#include "pool/pool.h"
#include "proto/response.h"

/* The tracked values among the ParameterStatus messages of the pool's server. */
static struct parameter_set *read_welcome(const struct pool *pool)
{
	struct parameter_values values = {0};
	struct parameter_set *set = parameter_empty();
	const uint8_t *at = pool->welcome ? buffer_bytes(pool->welcome) : NULL;
	size_t left = buffer_length(pool->welcome);
	struct message message;
	while (message_parse(at, left, ENDPOINT_QUEUE_MAX, &message) == FRAME_OK) {
		const char *name, *value;
		if (response_parse_parameter_status(message.body, message.size, &name, &value))
			parameter_note(&values, name, value);
		at += message.size + MESSAGE_HEADER;
		left -= message.size + MESSAGE_HEADER;
	}
	parameter_put_values(&set, &values);
	parameter_prove(set, true);
	return set;
}

static void renew_client(struct client *client, const struct parameter_set *former)
{
	struct pool *pool = client->member.pool;
	if (client->console || client->endpoint.replication || !client->startup)
		return;
	parameter_renew(&client->startup, former, pool->welcome_parameters, pool);
	parameter_renew(&client->parameters, NULL, pool->welcome_parameters, pool);
	parameter_take_extras(&client->parameters, client->startup);
}

/* Those whose server works for them yet use it up: what it would not report to a next one does not
 * matter. */
static void renew_servers(struct pool *pool)
{
	for (int place = SERVER_PLACE_IDLE; place < SERVER_PLACE_CANCELING; place++)
		list_foreach (node, &pool->servers[place]) {
			struct server *server =
				server_of_member(container_of(node, struct pool_server, node));
			parameter_renew(&server->parameters, NULL, pool->welcome_parameters, pool);
		}
	pool_retire_servers(pool, CLOSE_OBSOLETE);
}

static void renew_pool(struct pool *pool)
{
	struct parameter_set *former = pool->welcome_parameters;
	if (former)
		pool->welcome_parameters = read_welcome(pool);
	pool_forget_greeting(pool);
	for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
		list_foreach (node, &pool->clients[place])
			renew_client(client_of_member(container_of(node, struct pool_client, node)),
				     former);
	parameter_release(&former);
	renew_servers(pool);
}

/* What it asked for, and is not in force yet. */
static bool renew_login(struct client *client, void *context)
{
	(void)context;
	if (client->login)
		parameter_renew(&client->login->parameters, NULL, NULL, NULL);
	return true;
}

void tracking_renew(void)
{
	if (!parameter_track(settings_current()->track_extra_parameters))
		return;
	client_each(renew_login, NULL);
	list_foreach (member, pool_all()) {
		struct pool *pool = container_of(member, struct pool, node);
		if (!pool->database->is_console)
			renew_pool(pool);
	}
}
