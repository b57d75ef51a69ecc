/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_work.h"
#include "config/snapshot.h"
#include "core/log.h"
#include "pool/pool_bound.h"
#include "pool/pool_reach.h"
#include "pool_member_priv.h"

/* A bound may have got room: for the pools whose clients wait for that, in turn. */
static void serve_held_back(const struct list *held_back)
{
	for (uint32_t most = held_back->length; most > 0; most--) {
		struct list_node *first = list_first(held_back);
		if (!first)
			return;
		pool_work(container_of(first, struct pool, of_held_back));
		if (list_first(held_back) == first)
			return; /* the bound holds for all of them */
	}
}

void pool_serve_siblings(const struct pool *pool)
{
	serve_held_back(&pool->database->held_back);
	serve_held_back(&pool->user->held_back);
}

/* May the pool have one more server? The reserve opens when the first in a queue has waited long
 * enough.
 * *@reserve_at: when it will; unchanged: it will not. */
static bool has_room(const struct pool *pool, usec_t *reserve_at)
{
	usec_t patience = settings_current()->reserve_pool_timeout;
	usec_t any = pool_wait_of_first(&pool->clients[CLIENT_PLACE_WAITING]);
	usec_t own = pool_wait_of_first(&pool->clients[CLIENT_PLACE_CLAIM]);
	bool wait = !list_is_empty(&pool->clients[CLIENT_PLACE_WAITING]) ||
		    !list_is_empty(&pool->clients[CLIENT_PLACE_CLAIM]);
	if (pool->server_count < pool->full)
		return true;
	if (pool->server_count >= pool->most || !patience || !wait)
		return false;
	*reserve_at = clock_now() - (any > own ? any : own) + patience;
	return *reserve_at <= clock_now();
}

/* Do clients want another server connection, besides those that are being made ready? */
static bool clients_want_more(const struct pool *pool)
{
	uint32_t coming = pool_coming(pool);
	if (!list_is_empty(&pool->clients[CLIENT_PLACE_WELCOME]) && coming == 0)
		return true;
	return pool->clients[CLIENT_PLACE_WAITING].length >
	       coming + pool->servers[SERVER_PLACE_TESTED].length;
}

/* Is the minimum kept while there are no clients? Where it is known that the server takes this
 * user, or that it is meant to; not for databases that somebody once asked for. */
static bool keeps_minimum(const struct pool *pool)
{
	if (pool->database->user) /* other pools than the forced user's get no clients any more */
		return pool->is_forced;
	return pool->was_logged_in_to && !pool->login_failed && !pool->database->is_automatic;
}

static bool is_below_minimum(const struct pool *pool)
{
	return pool->server_count < (uint32_t)pool->min_size &&
	       (keeps_minimum(pool) || pool_client_count(pool) > 0);
}

/* How many logins may be in flight: one messenger until the server is known to answer. */
static uint32_t parallel_logins(const struct pool *pool)
{
	if (pool->connect_failed || pool->login_failed || !pool->welcome_parameters)
		return 1;
	return (uint32_t)settings_current()->max_server_logins;
}

/* The pause after a failed attempt. What the server refuses one client it may grant another, who
 * has a server of its own. */
static bool must_pause(const struct pool *pool, bool is_claim)
{
	return pool->retry_at > clock_now() && !(is_claim && pool->login_failed);
}

/* @claimant: for whom alone; NULL: for whoever waits. */
static void launch(struct pool *pool, struct pool_client *claimant)
{
	uint32_t before = pool->server_count;
	pool_reach_begin(pool);
	if (before >= pool->full)
		log_info("", "taking connection from reserve_pool");
	pool->tries_next_host = false;
	if (claimant)
		pool_ops->launch_claimed(pool, claimant);
	else
		pool_ops->launch(pool);
	/* It failed at once. Whoever did not say so must not be asked again in this turn. */
	if (pool->server_count > before || pool->tries_next_host ||
	    must_pause(pool, claimant != NULL))
		return;
	pool->login_failed = false; /* this concerns all */
	if (pool->retry_at <= clock_now())
		pool->retry_at = clock_now() + POOL_RETRY_LEAST;
}

/* Is the next server to be one that a client claims? Who has waited longer comes first. */
static bool claim_is_next(const struct pool *pool)
{
	usec_t wait = pool_wait_of_first(&pool->clients[CLIENT_PLACE_CLAIM]);
	return !list_is_empty(&pool->clients[CLIENT_PLACE_CLAIM]) &&
	       (!clients_want_more(pool) || must_pause(pool, false) ||
		(wait >= pool_wait_of_first(&pool->clients[CLIENT_PLACE_WAITING]) &&
		 wait >= pool_wait_of_first(&pool->clients[CLIENT_PLACE_WELCOME])));
}

/* Launch one server if one is wanted and may be. False: nothing was done. */
static bool launch_one(struct pool *pool)
{
	bool is_claim = claim_is_next(pool);
	bool for_clients = is_claim || clients_want_more(pool), acted;
	usec_t later = 0;
	if (!for_clients) {
		pool_hold_back(pool, LIMIT_FREE);
		if (!is_below_minimum(pool))
			return false;
	}
	if (must_pause(pool, is_claim))
		later = pool->retry_at;
	else if (pool->servers[SERVER_PLACE_LOGIN].length >= parallel_logins(pool))
		later = 0; /* the end of a login comes back here */
	else if (is_claim && pool_claims_room(pool) && pool_evict_for_claim(pool))
		return true;
	else if (has_room(pool, &later)) {
		if (pool_is_bounded(pool, for_clients, &acted))
			return acted;
		launch(pool, is_claim ? pool_first_claim(pool) : NULL);
		return true;
	}
	pool_hold_back(pool, LIMIT_FREE);
	if (later)
		loop_timer_set(&pool->timer, later);
	return false;
}

/* Test one used server if a client could use it. */
static bool test_one(const struct pool *pool)
{
	struct list_node *used = list_last(&pool->servers[SERVER_PLACE_USED]);
	if (!used ||
	    pool->servers[SERVER_PLACE_TESTED].length >= pool->clients[CLIENT_PLACE_WAITING].length)
		return false;
	pool_ops->test_server(server_of(used));
	return list_last(&pool->servers[SERVER_PLACE_USED]) != used;
}

/* Give an idle server to a client that waits: idle ones may be left from a RESUME, or come back
 * within an op. */
static bool assign_one(const struct pool *pool)
{
	struct list_node *waiting = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	struct list_node *idle = list_first(&pool->servers[SERVER_PLACE_IDLE]);
	if (!waiting || !idle)
		return false;
	pool_ops->assign(client_of(waiting), server_of(idle));
	return list_first(&pool->clients[CLIENT_PLACE_WAITING]) != waiting;
}

void pool_work(struct pool *pool)
{
	if (LIKELY(pool_has_nothing_to_do(pool)))
		return;
	if (pool->is_working) { /* one of the ops below came back here: when it has returned */
		pool->work_again = true;
		return;
	}
	bool missed = pool->work_again;
	pool->work_again = false;
	if (pool->database->is_console || pool_is_halted(pool)) {
		pool_hold_back(pool, LIMIT_FREE);
	} else {
		/* Each step looks at everything again, for an op may have changed anything. */
		pool->is_working = true;
		while (assign_one(pool) || test_one(pool) || launch_one(pool))
			;
		pool->is_working = false;
		missed |= pool->work_again;
		pool->work_again = false;
	}
	/* Room that came up meanwhile was kept for this pool, but it may not have taken it. */
	if (UNLIKELY(missed && pool_held_back_count))
		pool_serve_siblings(pool);
}
