/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_empty.h"

static struct list empty_pools = {.head = {&empty_pools.head, &empty_pools.head}};
static struct list idle_databases = {.head = {&idle_databases.head, &idle_databases.head}};
static void (*on_first)(void);

static void tell(const struct list *list)
{
	if (list->length == 1 && on_first)
		on_first();
}

void database_idle_end(struct database *database)
{
	if (!list_node_is_linked(&database->of_idle))
		return;
	list_remove(&idle_databases, &database->of_idle);
}

static bool is_empty(const struct pool *pool)
{
	return pool->server_count == 0 && pool->servers[SERVER_PLACE_CANCELING].length == 0 &&
	       pool_client_count(pool) == 0;
}

void database_idle_begin(struct database *database)
{
	if (!database->is_automatic || list_node_is_linked(&database->of_idle))
		return;
	list_foreach (node, &database->pools)
		if (!is_empty(container_of(node, const struct pool, of_database)))
			return;
	database->idle_since = clock_now();
	list_push_last(&idle_databases, &database->of_idle);
	tell(&idle_databases);
}

void pool_empty_forget(struct pool *pool)
{
	if (list_node_is_linked(&pool->of_empty))
		list_remove(&empty_pools, &pool->of_empty);
}

void pool_empty_end(struct pool *pool)
{
	pool_empty_forget(pool);
	database_idle_end(pool->database);
}

void pool_empty_begin(struct pool *pool)
{
	if (list_node_is_linked(&pool->of_empty) || pool->database->is_console || !is_empty(pool))
		return;
	pool->empty_since = clock_now();
	list_push_last(&empty_pools, &pool->of_empty);
	tell(&empty_pools);
	database_idle_begin(pool->database);
}

struct pool *pool_empty_first(void)
{
	struct list_node *first = list_first(&empty_pools);
	return first ? container_of(first, struct pool, of_empty) : NULL;
}

struct database *database_idle_first(void)
{
	struct list_node *first = list_first(&idle_databases);
	return first ? container_of(first, struct database, of_idle) : NULL;
}

void pool_empty_on_first(void (*callback)(void))
{
	on_first = callback;
}
