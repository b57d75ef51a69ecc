/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_rest.h"
#include "pool/limit.h"
#include "pool_member_priv.h"

/* Servers whose age is over are not all closed at once: one by one, lifetime / size apart. */
static bool lifetime_is_over(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	usec_t now = clock_now();
	if (LIKELY(now - server->connected_at < pool->server_lifetime))
		return false;
	if (pool->server_lifetime == 0)
		return server->has_served; /* one use */
	/* What has just logged in was wanted. */
	return server->released_at && now - pool->lifetime_closed_at >= pool->lifetime_gap;
}

enum close_reason pool_verdict(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	if (UNLIKELY(server->close_needed))
		return server->close_reason;
	if (UNLIKELY(pool->server_count > pool->most))
		return CLOSE_TOO_MANY_SERVERS;
	if (UNLIKELY(pool->takes_care) && limit_is_exceeded(pool->database, pool->user))
		return CLOSE_TOO_MANY_SERVERS;
	if (UNLIKELY(lifetime_is_over(server)))
		return CLOSE_SERVER_LIFETIME;
	return CLOSE_REASON_COUNT;
}

void pool_close_for(struct pool_server *server, enum close_reason reason)
{
	if (reason == CLOSE_SERVER_LIFETIME)
		server->pool->lifetime_closed_at = clock_now();
	pool_ops->close_server(server, reason);
}

usec_t pool_idle_due(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	usec_t due = INT64_MAX;
	if (pool->idle_timeout)
		due = server->released_at + pool->idle_timeout;
	if (pool->server_lifetime) {
		usec_t end = server->connected_at + pool->server_lifetime;
		usec_t turn = pool->lifetime_closed_at + pool->lifetime_gap;
		end = end < turn ? turn : end;
		due = end < due ? end : due;
	}
	if (pool->check_after && server->place == SERVER_PLACE_IDLE) {
		usec_t check = server->released_at + pool->check_after;
		due = check < due ? check : due;
	}
	return due == INT64_MAX ? 0 : due;
}

void pool_idle_check(struct pool_server *server)
{
	struct pool *pool = server->pool;
	usec_t now = clock_now();
	enum close_reason verdict = pool_verdict(server);
	if (verdict != CLOSE_REASON_COUNT) {
		pool_close_for(server, verdict);
		return;
	}
	if (pool->idle_timeout && now >= server->released_at + pool->idle_timeout) {
		if (pool->server_count > (uint32_t)pool->min_size) {
			pool_ops->close_server(server, CLOSE_SERVER_IDLE_TIMEOUT);
			return;
		}
		server->released_at = now; /* one of the minimum: rests another period */
	}
	if (pool->check_after && now >= server->released_at + pool->check_after &&
	    server->place == SERVER_PLACE_IDLE)
		pool_server_move(server, SERVER_PLACE_USED);
}
