/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_member.h"
#include <assert.h>
#include "pool/limit.h"
#include "pool_member_priv.h"

const struct pool_ops *pool_ops;
struct pool_switches pool_switches;
static struct list pools, peer_pools;

void pool_set_ops(const struct pool_ops *ops)
{
	pool_ops = ops;
	pool_switch(false, false);
	(void)pool_all();
}

static struct list *initialized(struct list *list)
{
	if (!list->head.next)
		list_init(list);
	return list;
}

const struct list *pool_all(void)
{
	return initialized(&pools);
}

const struct list *pool_of_peers(void)
{
	return initialized(&peer_pools);
}

static struct list *list_of(const struct pool *pool)
{
	return initialized(pool->database->peer_id ? &peer_pools : &pools);
}

void pool_enlist(struct pool *pool)
{
	list_push_last(list_of(pool), &pool->node);
	list_push_last(&pool->database->pools, &pool->of_database);
	list_push_last(&pool->user->pools, &pool->of_user);
}

void pool_delist(struct pool *pool)
{
	list_remove(list_of(pool), &pool->node);
	list_remove(&pool->database->pools, &pool->of_database);
	list_remove(&pool->user->pools, &pool->of_user);
}

void pool_switch(bool all_paused, bool draining)
{
	pool_switches = (struct pool_switches){
		.all_paused = all_paused,
		.draining = draining,
		.halted = all_paused || draining,
	};
}

bool pool_all_paused(void)
{
	return pool_switches.all_paused;
}

bool pool_is_draining(void)
{
	return pool_switches.draining;
}

bool pool_is_paused(const struct pool *pool)
{
	return pool_switches.all_paused || pool->database->is_paused;
}

void pool_server_move(struct pool_server *server, enum server_place place)
{
	struct pool *pool = server->pool;
	if (server->place == place)
		return;
	assert(place != SERVER_PLACE_NONE);
	list_remove(&pool->servers[server->place], &server->node);
	if (UNLIKELY(place == SERVER_PLACE_CANCELING)) {
		/* Carries a CancelRequest: not one of those that a client may get. */
		pool->server_count--;
		limit_server_removed(pool->database, pool->user);
	}
	server->place = (uint8_t)place;
	server->has_served |= place == SERVER_PLACE_ACTIVE;
	/* The server that was used last is handed out first, so that those not needed grow old;
	 * round robin takes the one that rested longest. pool_request() takes the first. */
	if (place == SERVER_PLACE_IDLE && !pool->round_robin)
		list_push_first(&pool->servers[place], &server->node);
	else
		list_push_last(&pool->servers[place], &server->node);
}

void pool_reject_all(struct list *clients, enum close_reason reason, const struct error *error)
{
	struct list_node *node;
	while ((node = list_first(clients))) {
		pool_ops->reject(client_of(node), reason, error);
		assert(list_first(clients) != node);
	}
}

enum close_reason pool_queue_verdict(const struct pool *pool)
{
	if (UNLIKELY(pool_switches.draining))
		return CLOSE_SERVER_SHUTDOWN;
	uint32_t waiting = pool->clients[CLIENT_PLACE_WAITING].length +
			   pool->clients[CLIENT_PLACE_WELCOME].length +
			   pool->clients[CLIENT_PLACE_CLAIM].length;
	return UNLIKELY(waiting >= pool->most_waiting) ? CLOSE_TOO_MANY_WAITING
						       : CLOSE_REASON_COUNT;
}

void pool_refuse(struct pool_client *client, enum close_reason reason)
{
	struct error error;
	close_reason_error(reason, &error);
	if (reason == CLOSE_TOO_MANY_WAITING && *client->pool->failure.message)
		error_detail(&error, "%s", client->pool->failure.message);
	pool_ops->reject(client, reason, &error);
}

bool pool_is_busy(const struct pool *pool)
{
	return pool->server_count > 0;
}

usec_t pool_longest_wait(const struct pool *pool)
{
	usec_t longest = 0;
	for (int place = CLIENT_PLACE_WELCOME; place <= CLIENT_PLACE_CLAIMED; place++) {
		struct list_node *first = list_first(&pool->clients[place]);
		if (first && clock_now() - client_of(first)->wait_since > longest)
			longest = clock_now() - client_of(first)->wait_since;
	}
	return longest;
}

uint32_t pool_client_count(const struct pool *pool)
{
	uint32_t count = 0;
	for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
		count += pool->clients[place].length;
	return count;
}
