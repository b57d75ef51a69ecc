/* SPDX-License-Identifier: ISC */
/* pool_reach: for how long a pool has had no server although it wants one, and what clients that
 * wait are told then (server_unreachable_timeout). */
#ifndef PGWEIR_POOL_POOL_REACH_H
#define PGWEIR_POOL_POOL_REACH_H

#include "pool/pool_member.h"

/* How many servers of the pool are past their login. */
uint32_t pool_live_servers(const struct pool *pool);
/* It wants a server now. If it has none the time begins, unless it runs. */
void pool_reach_begin(struct pool *pool);
/* It has one, or what is known of it is void. */
void pool_reach_end(struct pool *pool);
/* An attempt failed, the time may be over, or its length has changed: who waits is told if it is.
 */
void pool_reach_check(struct pool *pool);
/* What clients are told. */
void pool_reach_explain(const struct pool *pool, struct error *error);

#endif
