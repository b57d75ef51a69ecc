/* SPDX-License-Identifier: ISC */
/* pool_member, for the rooms of this layer above it. */
#ifndef PGWEIR_POOL_POOL_MEMBER_PRIV_H
#define PGWEIR_POOL_POOL_MEMBER_PRIV_H

#include "core/clock.h"
#include "core/likely.h"
#include "pool/pool_member.h"

/* Both are written by pool_member.c only. */
extern const struct pool_ops *pool_ops;
extern struct pool_switches {
	bool all_paused, draining;
	bool halted; /* one of the two */
} pool_switches;

/* Into, out of the lists of all pools, of its database's and of its user's. */
void pool_enlist(struct pool *pool);
void pool_delist(struct pool *pool);

void pool_switch(bool all_paused, bool draining);

/* Nobody gets a server just now. */
static inline bool pool_is_halted(const struct pool *pool)
{
	return pool_switches.halted || pool->database->is_paused;
}

static inline struct pool_client *client_of(struct list_node *node)
{
	return container_of(node, struct pool_client, node);
}

static inline struct pool_server *server_of(struct list_node *node)
{
	return container_of(node, struct pool_server, node);
}

/* Servers that are logging in for whoever waits first: not those that are claimed. */
static inline uint32_t pool_coming(const struct pool *pool)
{
	uint32_t all = pool->servers[SERVER_PLACE_LOGIN].length;
	uint32_t claimed = pool->clients[CLIENT_PLACE_CLAIMED].length;
	return all > claimed ? all - claimed : 0;
}

/* How long the first of a queue has waited; 0: nobody does. */
static inline usec_t pool_wait_of_first(const struct list *queue)
{
	const struct list_node *first = list_first(queue);
	return first ? clock_now() - container_of(first, const struct pool_client, node)->wait_since
		     : 0;
}

/* Reject all of a list. */
void pool_reject_all(struct list *clients, enum close_reason reason, const struct error *error);
/* Why one more client is not to wait in the pool, or CLOSE_REASON_COUNT: it may. */
enum close_reason pool_queue_verdict(const struct pool *pool);
/* Reject it for such a reason. */
void pool_refuse(struct pool_client *client, enum close_reason reason);

#endif
