/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_login.h"
#include <string.h>
#include "config/snapshot.h"
#include "core/memory.h"
#include "pool/pool_reach.h"
#include "pool/pool_work.h"
#include "pool_member_priv.h"

enum { TRIES_IN_A_PAUSE = 5 };

void pool_forget_learned(struct pool *pool)
{
	memory_free_secret(&pool->learned_secret);
	if (pool->learned_keys)
		memory_erase(pool->learned_keys, (size_t)2 * POOL_SCRAM_KEY);
	memory_free(&pool->learned_keys);
}

static usec_t pause_of(const struct pool *pool)
{
	return pool->login_retry > POOL_RETRY_LEAST ? pool->login_retry : POOL_RETRY_LEAST;
}

/* Logins may bring something new each time; servers must not be tried as often. */
static bool may_try_again(struct pool *pool)
{
	if (clock_now() >= pool->tries_until) {
		pool->tries_until = clock_now() + pause_of(pool);
		pool->tries = 0;
	}
	if (pool->tries >= TRIES_IN_A_PAUSE)
		return false;
	pool->tries++;
	return true;
}

/* Whoever waits is not forgotten. */
static void work_soon(struct pool *pool)
{
	loop_timer_set(&pool->timer, clock_now());
}

static void end_pause(struct pool *pool)
{
	if (!pool->login_failed)
		return;
	pool_forget_failure(pool);
	work_soon(pool);
}

void pool_has_other_ways(struct pool *pool)
{
	pool->ways++;
	pool->tries = 0;
	end_pause(pool);
}

static void note_another_way(struct pool *pool)
{
	pool->ways++;
	if (pool->login_failed && may_try_again(pool))
		end_pause(pool);
}

void pool_learn_secret(struct pool *pool, const char *secret, bool comes_first)
{
	if (pool->learned_secret && !strcmp(secret, pool->learned_secret) &&
	    pool->learned_comes_first == comes_first)
		return;
	pool_forget_learned(pool);
	pool->learned_secret = memory_strdup(secret);
	pool->learned_comes_first = comes_first;
	note_another_way(pool);
}

void pool_prefer_listed(struct pool *pool)
{
	if (!pool->learned_comes_first)
		return;
	pool->learned_comes_first = false;
	note_another_way(pool);
}

void pool_learn_keys(struct pool *pool, const uint8_t *client_key, const uint8_t *server_key)
{
	uint8_t keys[2 * POOL_SCRAM_KEY];
	memcpy(keys, client_key, POOL_SCRAM_KEY);
	memcpy(keys + POOL_SCRAM_KEY, server_key, POOL_SCRAM_KEY);
	if (!pool->learned_keys || memcmp(keys, pool->learned_keys, sizeof keys) != 0) {
		pool_forget_learned(pool);
		pool->learned_keys = memory_dup(keys, sizeof keys);
		note_another_way(pool);
	}
	memory_erase(keys, sizeof keys);
}

void pool_forget_greeting(struct pool *pool)
{
	if (pool->greeting && pool_ops->drop_greeting)
		pool_ops->drop_greeting(pool->greeting);
	pool->greeting = NULL;
}

void pool_forget_welcome(struct pool *pool)
{
	buffer_free(&pool->welcome);
	if (pool->welcome_parameters)
		pool_ops->drop_parameters(pool->welcome_parameters);
	pool->welcome_parameters = NULL;
	pool_forget_greeting(pool);
}

void pool_forget_failure(struct pool *pool)
{
	pool->connect_failed = pool->login_failed = false;
	pool->failure.message[0] = '\0';
	pool->retry_at = pool->round_until = 0;
	loop_timer_clear(&pool->timer);
	pool_reach_end(pool);
}

void pool_login_succeeded(struct pool *pool, struct buffer *taken, void *taken_parameters)
{
	pool_forget_welcome(pool);
	pool->welcome = taken;
	pool->welcome_parameters = taken_parameters;
	pool->was_logged_in_to = true;
	pool_forget_failure(pool);
	struct list_node *node;
	while ((node = list_first(&pool->clients[CLIENT_PLACE_WELCOME]))) {
		pool_ops->welcome(client_of(node));
		if (list_first(&pool->clients[CLIENT_PLACE_WELCOME]) ==
		    node) /* must not loop for ever */
			break;
	}
	pool_work(pool); /* others may want a server too, and min_pool_size */
}

void pool_login_failed(struct pool *pool, bool refused, const struct error *error)
{
	pool->failure = *error;
	pool->connect_failed = !refused;
	pool->login_failed = refused;
	pool->retry_at = clock_now() + pause_of(pool);
	if (!refused) { /* rides out a restart: clients stay queued, for a while */
		pool_reach_begin(pool);
		pool_reach_check(pool);
		return;
	}
	pool_reach_end(pool);
	struct error copy = *error; /* clients may go, and with them the pool's last word */
	pool_reject_all(&pool->clients[CLIENT_PLACE_WELCOME], CLOSE_SERVER_REJECTED, &copy);
	if (pool_live_servers(pool) == 0)
		pool_reject_all(&pool->clients[CLIENT_PLACE_WAITING], CLOSE_SERVER_REJECTED, &copy);
}

void pool_login_refused(struct pool_server *server, const struct error *error)
{
	struct pool *pool = server->pool;
	/* Since it began another way has come: it is the next to be tried. */
	if (server->ways != pool->ways && may_try_again(pool))
		work_soon(pool);
	else
		pool_login_failed(pool, true, error);
}

void pool_host_failed(struct pool_server *server, const char *host, const struct error *error)
{
	struct pool *pool = server->pool;
	struct host_list *hosts = &pool->database->hosts;
	if (server->connected_at >= pool->round_until)
		pool->round_since = server->connected_at;
	pool_login_failed(pool, false, error);
	host_failed(hosts, host);
	pool->tries_next_host = host_rest(hosts, host, pool->round_since, pool->retry_at);
	pool->round_until = pool->tries_next_host ? pool->retry_at : 0;
	if (pool->tries_next_host)
		pool->retry_at = 0;
}

bool pool_explain_failure(const struct pool *pool, struct error *error)
{
	/* When the pause is over whoever comes is the reason for the next attempt. */
	if (clock_now() >= pool->retry_at || pool_live_servers(pool) > 0)
		return false;
	if (pool->is_unreachable) {
		pool_reach_explain(pool, error);
		return true;
	}
	if (!pool->login_failed)
		return false;
	error_set(error, SQLSTATE_CONNECTION_FAILURE,
		  "server login has been failing, cached error: %s (server_login_retry)",
		  pool->failure.message);
	memcpy(error->sqlstate, pool->failure.sqlstate, sizeof error->sqlstate);
	if (*pool->failure.detail)
		error_detail(error, "%s", pool->failure.detail);
	if (*pool->failure.hint)
		error_hint(error, "%s", pool->failure.hint);
	return true;
}
