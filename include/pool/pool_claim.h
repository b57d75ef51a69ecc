/* SPDX-License-Identifier: ISC */
/* pool_claim: servers that belong to one client (replication). Such a client waits for room like
 * others, in CLIENT_PLACE_CLAIM; then a server is launched for it, and the client stands in
 * CLIENT_PLACE_CLAIMED, one for each such server that is logging in. The server counts in the pool
 * but is never released into it: it is closed with its client, and the client with it. */
#ifndef PGWEIR_POOL_POOL_CLAIM_H
#define PGWEIR_POOL_POOL_CLAIM_H

#include "pool/pool_member.h"

/* @client wants a server of its own: pool_ops.launch_claimed or .reject follows, possibly before
 * this returns, unless the client leaves the queue. Waiting is bounded by query_wait_timeout. */
void pool_claim(struct pool *pool, struct pool_client *client);
/* The server launched for @client could not be used, as pool_login_failed() was told, or is not to
 * be used: the client waits again, where it stood. The server is still to leave the pool. */
void pool_claim_again(struct pool *pool, struct pool_client *client);
/* @server, which joined the pool, is launched for a client. */
void pool_server_claim(struct pool_server *server);
/* Its login succeeded, and the client left CLIENT_PLACE_CLAIMED. */
void pool_claim_served(struct pool *pool);

/* What keeps @client, which claims a server, waiting, for people. NULL: not known. */
const char *pool_claim_obstacle(const struct pool_client *client);

#endif
