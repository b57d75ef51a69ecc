/* SPDX-License-Identifier: ISC */
/* pool_member, for the rooms of this layer above it. */
#ifndef PGWEIR_POOL_POOL_MEMBER_PRIV_H
#define PGWEIR_POOL_POOL_MEMBER_PRIV_H

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

/* Reject all of a list. */
void pool_reject_all(struct list *clients, enum close_reason reason, const struct error *error);

#endif
