/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_claim.h"
#include "pool/limit.h"
#include "pool/pool_empty.h"
#include "pool/pool_login.h"
#include "pool/pool_work.h"
#include "pool_member_priv.h"

/* At the @front, or the end of the queue. */
static void enter(struct pool *pool, struct pool_client *client, bool front)
{
	struct list *queue = &pool->clients[CLIENT_PLACE_CLAIM];
	if (client->place != CLIENT_PLACE_NONE)
		list_remove(&pool->clients[client->place], &client->node);
	client->pool = pool;
	client->place = CLIENT_PLACE_CLAIM;
	if (front)
		list_push_first(queue, &client->node);
	else
		list_push_last(queue, &client->node);
	pool->takes_care = true;
	pool_empty_end(pool);
}

void pool_claim(struct pool *pool, struct pool_client *client)
{
	enum close_reason verdict = pool_queue_verdict(pool);
	client->wait_since = clock_now();
	enter(pool, client, false);
	if (verdict != CLOSE_REASON_COUNT)
		pool_refuse(client, verdict);
	else
		pool_work(pool);
}

void pool_claim_again(struct pool *pool, struct pool_client *client)
{
	enter(pool, client, true);
}

void pool_server_claim(struct pool_server *server)
{
	server->is_claimed = true;
	server->pool->claimed_count++;
}

void pool_claim_served(struct pool *pool)
{
	/* The server can be reached; whether it lets others in is not known by that. */
	if (pool->connect_failed)
		pool_forget_failure(pool);
	pool_work(pool); /* the next login may begin */
}

const char *pool_claim_obstacle(const struct pool_client *client)
{
	const struct pool *pool = client->pool;
	if (pool->connect_failed)
		return pool->failure.message;
	if (client->place == CLIENT_PLACE_CLAIMED)
		return "The server does not complete the login.";
	if (pool_is_halted(pool))
		return "The database is paused.";
	if (pool->server_count >= pool->full)
		return "All server connections of the pool are in use.";
	switch (limit_admits_server(pool->database, pool->user)) {
	case LIMIT_DATABASE:
		return "As many server connections are in use as max_db_connections allows.";
	case LIMIT_USER:
		return "As many server connections are in use as max_user_connections allows.";
	case LIMIT_FREE:
		break;
	}
	return NULL;
}
