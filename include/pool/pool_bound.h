/* SPDX-License-Identifier: ISC */
/* pool_bound: the bounds that pools share, max_db_connections and max_user_connections: whose turn
 * it is, and who has to go to make room; there, and in the pool itself for a client that wants a
 * server of its own. */
#ifndef PGWEIR_POOL_POOL_BOUND_H
#define PGWEIR_POOL_POOL_BOUND_H

#include "pool/limit.h"
#include "pool/pool_member.h"

extern uint32_t pool_held_back_count; /* pools held back; written by pool_bound.c only */

/* Note which bound shared with other pools keeps clients of this one waiting (LIMIT_FREE: none).
 * The lists are in the order of turns: first the pool that has got no server for the longest time.
 */
void pool_hold_back(struct pool *pool, enum limit_verdict bound);
/* It got a server: those that got none come before it. */
void pool_end_turn(struct pool *pool);
/* Is a server that comes back, and that clients of the pool wait for, due to another pool? Asked
 * only when pool_held_back_count says that there may be one. */
bool pool_gives_way(const struct pool *pool);
/* Is there a bound that keeps a new server out? *@acted: room was made under it. */
bool pool_is_bounded(struct pool *pool, bool for_clients, bool *acted);

/* ---- clients that want a server of their own, see pool_claim ---- */

/* Who is next; NULL: nobody claims a server. */
static inline struct pool_client *pool_first_claim(const struct pool *pool)
{
	struct list_node *first = list_first(&pool->clients[CLIENT_PLACE_CLAIM]);
	return first ? container_of(first, struct pool_client, node) : NULL;
}

/* Must a server of this pool go so that the first claim can be met, and is it due before those who
 * wait for any server? */
bool pool_claims_room(const struct pool *pool);
/* Close the server of this pool that has rested longest; false: none rests. */
bool pool_evict_for_claim(struct pool *pool);

#endif
