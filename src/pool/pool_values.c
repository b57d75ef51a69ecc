/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_values.h"
#include <string.h>
#include "config/snapshot.h"
#include "pool_member_priv.h"

/* @size and @more as a bound; 0: none. */
static uint32_t bound_of(int size, int more)
{
	return size > 0 ? (uint32_t)size + (uint32_t)more : UINT32_MAX;
}

static void configure_sizes(struct pool *pool, const struct settings *settings)
{
	const struct database *database = pool->database;
	const struct user *user = pool->user;
	pool->size = (int)section_prefer(user->pool_size, database->pool_size,
					 settings->default_pool_size);
	pool->reserve_size = (int)section_prefer(
		user->reserve_pool_size, database->reserve_pool_size, settings->reserve_pool_size);
	pool->full = bound_of(pool->size, 0);
	pool->most = bound_of(pool->size, pool->reserve_size);
	int waiting = (int)section_prefer(user->max_waiting_clients, database->max_waiting_clients,
					  settings->max_waiting_clients);
	pool->most_waiting = waiting > 0 ? (uint32_t)waiting : UINT32_MAX;
	pool->min_size = (int)section_prefer(SECTION_UNSET, database->min_pool_size,
					     settings->min_pool_size);
	if ((uint32_t)pool->min_size > pool->full)
		pool->min_size = pool->size;
}

static void configure_rest(struct pool *pool, const struct settings *settings)
{
#define OF_ROW(name) section_prefer(pool->user->name, pool->database->name, settings->name)
	bool tests = *settings->server_check_query;
	pool->round_robin = settings->server_round_robin;
	usec_t check_delay = OF_ROW(server_check_delay);
	pool->tests_always = tests && check_delay == 0;
	pool->takes_care |= pool->tests_always;
	pool->check_after = tests ? check_delay : 0;
	pool->idle_timeout = OF_ROW(server_idle_timeout);
	pool->connect_timeout = OF_ROW(server_connect_timeout);
	pool->login_retry = OF_ROW(server_login_retry);
	pool->server_lifetime = OF_ROW(server_lifetime);
#undef OF_ROW
	pool->lifetime_gap = pool->size > 0 ? pool->server_lifetime / pool->size : 0;
	for (int place = SERVER_PLACE_IDLE; place <= SERVER_PLACE_USED && pool_ops->rearm; place++)
		list_foreach (node, &pool->servers[place])
			pool_ops->rearm(server_of(node));
}

void pool_take_values(struct pool *pool)
{
	const struct settings *settings = settings_current();
	const struct database *database = pool->database;
	const struct user *user = pool->user;
	if (database->is_console)
		pool->mode = POOL_MODE_STATEMENT;
	else if (user->pool_mode != POOL_MODE_UNSET)
		pool->mode = user->pool_mode;
	else
		pool->mode = database->pool_mode != POOL_MODE_UNSET ? database->pool_mode
								    : settings->pool_mode;
	bool rewrites = pool->mode != POOL_MODE_SESSION && !database->is_console;
	pool->prepared_statements = rewrites ? (uint32_t)settings->max_prepared_statements : 0;
	pool->is_forced = database->user && !strcmp(database->user, user->name);
	configure_sizes(pool, settings);
	configure_rest(pool, settings);
}
