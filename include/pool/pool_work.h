/* SPDX-License-Identifier: ISC */
/* pool_work: what a pool does for those who wait: hand out what is idle, test what rested, launch
 * one more server when that is wanted (waiting clients, min_pool_size) and may be (size, reserve,
 * parallel logins, the pause after a failure, shared bounds). */
#ifndef PGWEIR_POOL_POOL_WORK_H
#define PGWEIR_POOL_POOL_WORK_H

#include "core/clock.h"
#include "pool/pool_member.h"

/* No attempt to connect follows a failed one sooner, even with server_login_retry = 0: it may have
 * failed at once. */
#define POOL_RETRY_LEAST (100 * USEC_PER_MSEC)

/* Launch what waiting clients or min_pool_size want. After a RESUME, too. */
void pool_work(struct pool *pool);
/* Room came up under the bounds that the pool shares: for those whose clients wait for that, in
 * turn. */
void pool_serve_siblings(const struct pool *pool);

/* Is there nothing that pool_work() could do? The common case under load: the pool is full, and its
 * reserve used, absent or not due. */
static inline bool pool_has_nothing_to_do(const struct pool *pool)
{
	return pool->server_count >= pool->full &&
	       (pool->servers[SERVER_PLACE_IDLE].length | pool->servers[SERVER_PLACE_USED].length |
		pool->held_back | pool->work_again) == 0 &&
	       (pool->server_count >= pool->most || pool->timer.due > clock_now());
}

#endif
