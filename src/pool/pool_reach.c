/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_reach.h"
#include "config/snapshot.h"
#include "core/log.h"
#include "pool_member_priv.h"

uint32_t pool_live_servers(const struct pool *pool)
{
	return pool->server_count - pool->claimed_count - pool_coming(pool);
}

static usec_t due(const struct pool *pool)
{
	usec_t limit = settings_current()->server_unreachable_timeout;
	return limit && pool->unreachable_since ? pool->unreachable_since + limit : 0;
}

void pool_reach_begin(struct pool *pool)
{
	if (pool->unreachable_since || pool_live_servers(pool) > 0)
		return;
	pool->unreachable_since = clock_now();
	loop_timer_set(&pool->unreachable, due(pool));
}

void pool_reach_end(struct pool *pool)
{
	pool->unreachable_since = 0;
	pool->is_unreachable = false;
	loop_timer_clear(&pool->unreachable);
}

void pool_reach_explain(const struct pool *pool, struct error *error)
{
	close_reason_error(CLOSE_SERVER_UNREACHABLE, error);
	error_detail(error, "%s",
		     *pool->failure.message ? pool->failure.message
					    : "No attempt to connect has come to an end yet.");
}

void pool_reach_check(struct pool *pool)
{
	struct error error;
	usec_t when = due(pool);
	pool->is_unreachable = when && when <= clock_now();
	if (!pool->is_unreachable) {
		loop_timer_set(&pool->unreachable, when);
		return;
	}
	pool_reach_explain(pool, &error);
	pool_reject_all(&pool->clients[CLIENT_PLACE_WELCOME], CLOSE_SERVER_UNREACHABLE, &error);
	pool_reject_all(&pool->clients[CLIENT_PLACE_WAITING], CLOSE_SERVER_UNREACHABLE, &error);
	pool_reject_all(&pool->clients[CLIENT_PLACE_CLAIM], CLOSE_SERVER_UNREACHABLE, &error);
}
