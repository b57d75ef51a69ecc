/* SPDX-License-Identifier: ISC */
/* peer: another pooler, to which CancelRequests for its clients are sent on: one row of [peers]. To
 * what connects it looks like a database that no client can ask for: hosts, port and the bound on
 * connections are there, and it has one pool, made by the registry. Contract sections 4, 14. */
#ifndef PGWEIR_POOL_PEER_H
#define PGWEIR_POOL_PEER_H

#include "config/section.h"
#include "core/map.h"
#include "pool/database.h"
#include "pool/user.h"

struct pool;

struct peer {
	struct map_node node; /* by id */
	int id;
	struct database *database;
	struct user *user; /* of no name: nobody logs in there */
	struct pool *pool; /* written by the registry */
};

struct peer *peer_new(int id);
/* Take the row's values. */
void peer_configure(struct peer *peer, const struct section_peer *row);
/* Its pool is gone. */
void peer_free(struct peer **peer);

#endif
