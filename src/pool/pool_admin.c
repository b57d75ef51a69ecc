/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_admin.h"
#include <assert.h>
#include "pool/pool_bound.h"
#include "pool/pool_login.h"
#include "pool/pool_values.h"
#include "pool/pool_work.h"
#include "pool_member_priv.h"

static void close_all(struct list *servers, enum close_reason reason)
{
	struct list_node *node;
	while ((node = list_first(servers))) {
		pool_ops->close_server(server_of(node), reason);
		assert(list_first(servers) != node);
	}
}

/* Until the end of what follows, nothing is launched or handed over. Returns what end_hold() wants.
 */
static bool begin_hold(struct pool *pool)
{
	bool before = pool->is_working;
	pool->is_working = true;
	return before;
}

static void end_hold(struct pool *pool, bool before)
{
	pool->is_working = before;
}

void pool_close_idle(struct pool *pool, enum close_reason reason)
{
	bool before = begin_hold(pool);
	close_all(&pool->servers[SERVER_PLACE_IDLE], reason);
	close_all(&pool->servers[SERVER_PLACE_USED], reason);
	if (pool_is_halted(pool))
		close_all(&pool->servers[SERVER_PLACE_LOGIN], reason);
	end_hold(pool, before);
	pool_work(pool);
}

/* It goes to no other client. */
static void mark(struct pool_server *server, enum close_reason reason)
{
	server->close_needed = true;
	server->close_reason = (uint8_t)reason;
}

static void mark_all(struct pool *pool, enum close_reason reason)
{
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_CANCELING; place++)
		list_foreach (node, &pool->servers[place])
			mark(server_of(node), reason);
}

static void retire(struct pool *pool, enum close_reason reason)
{
	mark_all(pool, reason);
	close_all(&pool->servers[SERVER_PLACE_LOGIN], reason);
	close_all(&pool->servers[SERVER_PLACE_IDLE], reason);
	close_all(&pool->servers[SERVER_PLACE_USED], reason);
}

void pool_retire_servers(struct pool *pool, enum close_reason reason)
{
	bool before = begin_hold(pool);
	retire(pool, reason);
	end_hold(pool, before);
	pool_work(pool);
}

void pool_retire(struct pool *pool, enum close_reason reason)
{
	bool before = begin_hold(pool);
	pool_take_values(pool); /* what is launched below is of the new configuration */
	pool_forget_welcome(pool);
	pool_forget_failure(pool);
	host_list_forget(&pool->database->hosts);
	retire(pool, reason);
	end_hold(pool, before);
	pool_work(pool);
}

void pool_retire_server(struct pool_server *server, enum close_reason reason)
{
	bool is_free = server->place == SERVER_PLACE_LOGIN || server->place == SERVER_PLACE_IDLE ||
		       server->place == SERVER_PLACE_USED;
	if (!server->close_needed)
		mark(server, reason);
	if (is_free)
		pool_ops->close_server(server, reason);
}

void pool_kill(struct pool *pool, enum close_reason reason)
{
	bool before = begin_hold(pool);
	pool_hold_back(pool, LIMIT_FREE);
	mark_all(pool, reason);
	/* Who waits goes first: no server that comes free is for them. */
	for (int place = CLIENT_PLACE_COUNT - 1; place >= CLIENT_PLACE_ACTIVE; place--) {
		struct list *clients = &pool->clients[place];
		struct list_node *node;
		while ((node = list_first(clients))) {
			pool_ops->close_client(client_of(node), reason);
			assert(list_first(clients) != node);
		}
	}
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_COUNT; place++)
		close_all(&pool->servers[place], reason);
	end_hold(pool, before);
	pool->work_again = false; /* not now: it may be about to be freed */
}

void pool_set_paused(bool paused)
{
	pool_switch(paused, pool_switches.draining);
	if (!pool_switches.halted)
		list_foreach (node, pool_all())
			pool_work(container_of(node, struct pool, node));
}

void pool_set_draining(void)
{
	struct error error;
	pool_switch(pool_switches.all_paused, true);
	close_reason_error(CLOSE_SERVER_SHUTDOWN, &error);
	list_foreach (node, pool_all()) {
		struct pool *pool = container_of(node, struct pool, node);
		pool_reject_all(&pool->clients[CLIENT_PLACE_WELCOME], CLOSE_SERVER_SHUTDOWN,
				&error);
		pool_reject_all(&pool->clients[CLIENT_PLACE_WAITING], CLOSE_SERVER_SHUTDOWN,
				&error);
		pool_reject_all(&pool->clients[CLIENT_PLACE_CLAIM], CLOSE_SERVER_SHUTDOWN, &error);
		pool_reject_all(&pool->clients[CLIENT_PLACE_CLAIMED], CLOSE_SERVER_SHUTDOWN,
				&error);
	}
}

void pool_stop_launching(void)
{
	pool_switch(pool_switches.all_paused, true);
}
