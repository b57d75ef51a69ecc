/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_bound.h"
#include "pool_member_priv.h"

/* A pool that does not rest gives a server up to another one under the same bound when clients
 * there have waited so long: often enough for them, and not so often that logins are all that is
 * done. */
static const usec_t yield_after = USEC_PER_SECOND;

uint32_t pool_held_back_count;

void pool_hold_back(struct pool *pool, enum limit_verdict bound)
{
	struct list *const lists[] = {
		[LIMIT_DATABASE] = &pool->database->held_back,
		[LIMIT_USER] = &pool->user->held_back,
	};
	if (pool->held_back == bound)
		return;
	if (pool->held_back != LIMIT_FREE) {
		list_remove(lists[pool->held_back], &pool->of_held_back);
		pool_held_back_count--;
	}
	pool->held_back = (uint8_t)bound;
	if (bound != LIMIT_FREE) {
		list_push_last(lists[bound], &pool->of_held_back);
		pool_held_back_count++;
	}
}

void pool_end_turn(struct pool *pool)
{
	enum limit_verdict bound = pool->held_back;
	pool_hold_back(pool, LIMIT_FREE);
	pool_hold_back(pool, bound);
}

/* How long clients of the pool have waited for a server, whichever. */
static usec_t longest_wait(const struct pool *pool)
{
	usec_t any = pool_wait_of_first(&pool->clients[CLIENT_PLACE_WAITING]);
	usec_t own = pool_wait_of_first(&pool->clients[CLIENT_PLACE_CLAIM]);
	return any > own ? any : own;
}

/* Have the clients of the pool whose turn it is waited longer than ours, and for long? */
static bool is_turn_of(const struct list *held_back, const struct pool *pool)
{
	const struct list_node *first = list_first(held_back);
	if (!first)
		return false;
	const struct pool *other = container_of(first, const struct pool, of_held_back);
	usec_t wait = longest_wait(other);
	return other != pool && wait >= yield_after && wait > longest_wait(pool);
}

bool pool_gives_way(const struct pool *pool)
{
	return !list_is_empty(&pool->clients[CLIENT_PLACE_WAITING]) &&
	       (is_turn_of(&pool->database->held_back, pool) ||
		is_turn_of(&pool->user->held_back, pool));
}

static void older_of(struct pool_server **oldest, struct list_node *node)
{
	if (node && (!*oldest || server_of(node)->released_at < (*oldest)->released_at))
		*oldest = server_of(node);
}

/* Whom to close to make room under @bound: the server that has rested longest among the other pools
 * that share it. NULL: none of them rests. */
static struct pool_server *longest_rested(const struct pool *pool, enum limit_verdict bound)
{
	struct pool_server *oldest = NULL;
	const struct list *siblings =
		bound == LIMIT_DATABASE ? &pool->database->pools : &pool->user->pools;
	list_foreach (node, siblings) {
		struct pool *sibling = bound == LIMIT_DATABASE
					       ? container_of(node, struct pool, of_database)
					       : container_of(node, struct pool, of_user);
		if (sibling == pool)
			continue;
		/* The oldest stands at one of the ends, whichever way servers are handed out. */
		older_of(&oldest, list_first(&sibling->servers[SERVER_PLACE_IDLE]));
		older_of(&oldest, list_last(&sibling->servers[SERVER_PLACE_IDLE]));
		older_of(&oldest, list_first(&sibling->servers[SERVER_PLACE_USED]));
	}
	return oldest;
}

bool pool_is_bounded(struct pool *pool, bool for_clients, bool *acted)
{
	struct pool_server *evicted = NULL;
	*acted = false;
	if (!for_clients) /* a minimum takes no room from clients of other pools */
		return limit_admits_server(pool->database, pool->user) != LIMIT_FREE ||
		       pool->database->held_back.length || pool->user->held_back.length;
	/* Nobody is closed in vain: there must be room to make under both. */
	for (enum limit_verdict bound = LIMIT_DATABASE; bound <= LIMIT_USER; bound++) {
		if (!limit_is_reached(bound, pool->database, pool->user))
			continue;
		pool_hold_back(pool, bound);
		evicted = longest_rested(pool, bound);
		if (!evicted)
			return true;
	}
	*acted = evicted != NULL;
	if (evicted)
		pool_ops->close_server(evicted, CLOSE_EVICTED);
	else
		pool_hold_back(pool, LIMIT_FREE);
	return *acted;
}

/* ---- servers of their own ---- */

/* Is there no room for one more server, in the pool or under the bounds that it shares? */
static bool is_full(const struct pool *pool)
{
	return pool->server_count >= pool->full ||
	       limit_admits_server(pool->database, pool->user) != LIMIT_FREE;
}

bool pool_claims_room(const struct pool *pool)
{
	const struct pool_client *first = pool_first_claim(pool);
	bool pauses = pool->retry_at > clock_now() && !pool->login_failed;
	return first && !pauses && is_full(pool) &&
	       clock_now() - first->wait_since >=
		       pool_wait_of_first(&pool->clients[CLIENT_PLACE_WAITING]);
}

bool pool_evict_for_claim(struct pool *pool)
{
	struct list_node *node = list_first(&pool->servers[SERVER_PLACE_USED]);
	if (!node)
		node = pool->round_robin ? list_first(&pool->servers[SERVER_PLACE_IDLE])
					 : list_last(&pool->servers[SERVER_PLACE_IDLE]);
	if (node)
		pool_ops->close_server(server_of(node), CLOSE_EVICTED);
	return node != NULL;
}
