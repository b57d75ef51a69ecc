/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool.h"
#include <assert.h>
#include "core/memory.h"
#include "pool/limit.h"
#include "pool/pool_bound.h"
#include "pool/pool_empty.h"
#include "pool/pool_reach.h"
#include "pool/pool_values.h"
#include "pool_member_priv.h"

static void (*on_quiet)(void);
static struct loop_work quiet;

static void timer_due(struct loop_timer *timer)
{
	pool_work(container_of(timer, struct pool, timer));
}

static void unreachable_due(struct loop_timer *timer)
{
	pool_reach_check(container_of(timer, struct pool, unreachable));
}

struct pool *pool_new(struct database *database, struct user *user)
{
	struct pool *pool = memory_alloc(sizeof *pool);
	pool->database = database;
	pool->user = user;
	for (int i = 0; i < CLIENT_PLACE_COUNT; i++)
		list_init(&pool->clients[i]);
	for (int i = 0; i < SERVER_PLACE_COUNT; i++)
		list_init(&pool->servers[i]);
	loop_timer_init(&pool->timer, timer_due);
	loop_timer_init(&pool->unreachable, unreachable_due);
	pool_enlist(pool);
	pool_configure(pool);
	pool_empty_begin(pool);
	return pool;
}

void pool_free(struct pool **pool)
{
	struct pool *p = *pool;
	if (!p)
		return;
	assert(p->server_count == 0 && list_is_empty(&p->servers[SERVER_PLACE_CANCELING]) &&
	       pool_client_count(p) == 0);
	pool_hold_back(p, LIMIT_FREE);
	pool_empty_forget(p);
	loop_timer_fini(&p->timer);
	loop_timer_fini(&p->unreachable);
	pool_delist(p);
	pool_forget_learned(p);
	pool_forget_welcome(p);
	memory_free(pool);
}

void pool_configure(struct pool *pool)
{
	bool was_session = pool->mode == POOL_MODE_SESSION;
	pool_forget_greeting(pool);
	pool_take_values(pool);
	pool_reach_check(pool);
	/* What clients did in session mode is not for those of another mode. */
	if (was_session && pool->mode != POOL_MODE_SESSION)
		list_foreach (node, &pool->servers[SERVER_PLACE_ACTIVE]) {
			server_of(node)->close_needed = true;
			server_of(node)->close_reason = CLOSE_DATABASE_CHANGED;
		}
	/* New limits: what is too much and unused goes now, the rest when it comes free
	 * (pool_verdict). */
	while (pool->server_count > pool->most || limit_is_exceeded(pool->database, pool->user)) {
		struct list_node *node = list_first(&pool->servers[SERVER_PLACE_USED]);
		if (!node)
			node = list_last(&pool->servers[SERVER_PLACE_IDLE]);
		if (!node)
			break;
		pool_ops->close_server(server_of(node), CLOSE_TOO_MANY_SERVERS);
	}
	pool->takes_care |= limit_is_exceeded(pool->database, pool->user);
	pool_work(pool);
}

/* ---- members ---- */

static void client_joins(struct pool *pool, struct pool_client *client, enum client_place place)
{
	client->pool = pool;
	client->place = (uint8_t)place;
	if (place == CLIENT_PLACE_NONE) {
		pool_empty_begin(pool);
		return;
	}
	list_push_last(&pool->clients[place], &client->node);
	pool_empty_end(pool);
	/* A pool that has clients is to have its minimum. */
	if (place == CLIENT_PLACE_ACTIVE && pool->server_count < (uint32_t)pool->min_size)
		pool_work(pool);
}

/* Of a client that is in the pool, and stays. */
static inline void client_move(struct pool *pool, struct pool_client *client,
			       enum client_place place)
{
	list_remove(&pool->clients[client->place], &client->node);
	client->place = (uint8_t)place;
	list_push_last(&pool->clients[place], &client->node);
}

void pool_client_move(struct pool *pool, struct pool_client *client, enum client_place place)
{
	if (LIKELY(client->place != CLIENT_PLACE_NONE && client->pool == pool &&
		   place != CLIENT_PLACE_NONE)) {
		client_move(pool, client, place);
		return;
	}
	if (client->place != CLIENT_PLACE_NONE)
		list_remove(&client->pool->clients[client->place], &client->node);
	client_joins(pool, client, place);
}

void pool_server_join(struct pool *pool, struct pool_server *server)
{
	server->pool = pool;
	server->connected_at = clock_now();
	server->place = SERVER_PLACE_LOGIN;
	list_push_last(&pool->servers[SERVER_PLACE_LOGIN], &server->node);
	pool->server_count++;
	pool_empty_end(pool);
	limit_server_added(pool->database, pool->user);
}

static void quiet_run(struct loop_work *work)
{
	(void)work;
	if (on_quiet)
		on_quiet();
}

static void post_quiet(void)
{
	if (on_quiet) {
		quiet.callback = quiet_run;
		loop_post(&quiet);
	}
}

void pool_on_quiet(void (*callback)(void))
{
	on_quiet = callback;
}

void pool_server_leave(struct pool_server *server)
{
	struct pool *pool = server->pool;
	enum server_place from = server->place;
	if (from == SERVER_PLACE_NONE)
		return;
	list_remove(&pool->servers[from], &server->node);
	server->place = SERVER_PLACE_NONE;
	post_quiet();
	if (from == SERVER_PLACE_CANCELING) {
		pool_empty_begin(pool);
		return;
	}
	pool->server_count--;
	pool->claimed_count -= server->is_claimed;
	limit_server_removed(pool->database, pool->user);
	if (UNLIKELY(pool_held_back_count))
		pool_serve_siblings(pool);
	pool_work(pool);
	pool_empty_begin(pool);
}

/* ---- who gets which server ---- */

/* Ops call back into the pool, and a client that is given a server may end at once and give it
 * back. Such a server goes to the next in the queue from here, not from within, or the stack would
 * be as deep as the queue is long. */
static inline void hand_over(struct pool *pool, struct pool_client *client,
			     struct pool_server *server)
{
	pool->is_working = true;
	pool_ops->assign(client, server);
	pool->is_working = false;
	if (UNLIKELY(pool->work_again))
		pool_work(pool);
}

bool pool_request(struct pool *pool, struct pool_client *client)
{
	struct list_node *idle = list_first(&pool->servers[SERVER_PLACE_IDLE]);
	if (LIKELY(idle && list_is_empty(&pool->clients[CLIENT_PLACE_WAITING]) &&
		   !pool_is_halted(pool))) {
		pool_ops->assign(client, server_of(idle));
		return true;
	}
	enum close_reason verdict = pool_queue_verdict(pool);
	if (UNLIKELY(verdict != CLOSE_REASON_COUNT)) {
		pool_refuse(client, verdict);
		return false;
	}
	client->wait_since = clock_now();
	if (LIKELY(client->place != CLIENT_PLACE_NONE))
		client_move(pool, client, CLIENT_PLACE_WAITING);
	else
		pool_client_move(pool, client, CLIENT_PLACE_WAITING);
	if (UNLIKELY(!pool_has_nothing_to_do(pool)))
		pool_work(pool);
	return false;
}

void pool_request_welcome(struct pool *pool, struct pool_client *client)
{
	enum close_reason verdict = pool_queue_verdict(pool);
	client->wait_since = clock_now();
	pool_client_move(pool, client, CLIENT_PLACE_WELCOME); /* rejected, it leaves from there */
	if (verdict != CLOSE_REASON_COUNT)
		pool_refuse(client, verdict);
	else
		pool_work(pool);
}

/* Why a server that comes back does not stay, or CLOSE_REASON_COUNT. */
static enum close_reason release_verdict(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	enum close_reason verdict = pool_verdict(server);
	if (UNLIKELY(verdict != CLOSE_REASON_COUNT))
		return verdict;
	if (UNLIKELY(pool_is_halted(pool)))
		return pool_switches.draining ? CLOSE_SERVER_SHUTDOWN : CLOSE_PAUSE;
	if (UNLIKELY(pool_held_back_count) && pool_gives_way(pool))
		return CLOSE_EVICTED;
	if (UNLIKELY(!list_is_empty(&pool->clients[CLIENT_PLACE_CLAIM])) && pool_claims_room(pool))
		return CLOSE_EVICTED;
	return CLOSE_REASON_COUNT;
}

/* Whatever is not quite usual. */
static __attribute__((noinline)) void release_with_care(struct pool_server *server)
{
	struct pool *pool = server->pool;
	enum server_place from = server->place;
	enum close_reason verdict = release_verdict(server);
	pool->takes_care = pool->tests_always ||
			   !list_is_empty(&pool->clients[CLIENT_PLACE_CLAIM]) ||
			   limit_is_exceeded(pool->database, pool->user);
	server->released_at = clock_now();
	if (verdict != CLOSE_REASON_COUNT) {
		pool_close_for(server, verdict);
		return;
	}
	/* With server_check_delay = 0 it is tested before anybody gets it; a reset or test that
	 * just ended is enough. */
	bool test = pool->tests_always &&
		    (from == SERVER_PLACE_ACTIVE || from == SERVER_PLACE_BEING_CANCELED);
	struct list_node *waiting = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	if (waiting && !test && !pool->is_working) {
		if (pool->held_back != LIMIT_FREE)
			pool_end_turn(pool);
		hand_over(pool, client_of(waiting), server);
	} else {
		pool_server_move(server, test ? SERVER_PLACE_USED : SERVER_PLACE_IDLE);
		if (waiting)
			pool_work(pool);
		if (pool_held_back_count) /* they may want its place */
			pool_serve_siblings(pool);
	}
	if (from == SERVER_PLACE_LOGIN)
		pool_work(pool); /* the next login may begin */
}

/* Is nothing to be thought of when @server comes back? */
static inline bool is_usual(const struct pool *pool, const struct pool_server *server)
{
	bool unusual = server->close_needed | pool->takes_care | pool->is_working |
		       pool_switches.halted | pool->database->is_paused |
		       (pool_held_back_count > 0);
	return !unusual && server->place != SERVER_PLACE_LOGIN &&
	       pool->server_count <= pool->most &&
	       clock_now() - server->connected_at < pool->server_lifetime;
}

void pool_release(struct pool_server *server)
{
	struct pool *pool = server->pool;
	if (UNLIKELY(!is_usual(pool, server))) {
		release_with_care(server);
		return;
	}
	struct list_node *waiting = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	server->released_at = clock_now();
	if (waiting)
		hand_over(pool, client_of(waiting), server);
	else
		pool_server_move(server, SERVER_PLACE_IDLE);
}
