/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool.h"
#include <assert.h>
#include <string.h>
#include "config/snapshot.h"
#include "core/log.h"
#include "core/memory.h"
#include "pool/limit.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* No attempt to connect follows a failed one sooner, even with server_login_retry = 0: it may have
 * failed at once. */
static const usec_t retry_least = 100 * USEC_PER_MSEC;
/* A pool that does not rest gives a server up to another one under the same bound when clients
 * there have waited so long: often enough for them, and not so often that logins are all that is
 * done. */
static const usec_t yield_after = USEC_PER_SECOND;

static const struct pool_ops *ops;
static struct list pools;
static bool all_paused, draining;
static bool halted;		 /* one of the two */
static uint32_t held_back_pools; /* how many there are */
static void (*on_quiet)(void);
static struct loop_work quiet;

static struct pool_client *client_of(struct list_node *node)
{
	return container_of(node, struct pool_client, node);
}

static struct pool_server *server_of(struct list_node *node)
{
	return container_of(node, struct pool_server, node);
}

void pool_set_ops(const struct pool_ops *new_ops)
{
	ops = new_ops;
	all_paused = draining = halted = false;
	(void)pool_all();
}

const struct list *pool_all(void)
{
	if (!pools.head.next)
		list_init(&pools);
	return &pools;
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

static void timer_due(struct loop_timer *timer)
{
	pool_work(container_of(timer, struct pool, timer));
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
	(void)pool_all();
	list_push_last(&pools, &pool->node);
	list_push_last(&database->pools, &pool->of_database);
	list_push_last(&user->pools, &pool->of_user);
	pool_configure(pool);
	return pool;
}

static void forget_welcome(struct pool *pool)
{
	buffer_free(&pool->welcome);
	if (pool->welcome_parameters)
		ops->drop_parameters(pool->welcome_parameters);
	pool->welcome_parameters = NULL;
	if (pool->greeting && ops->drop_greeting)
		ops->drop_greeting(pool->greeting);
	pool->greeting = NULL;
}

/* Note which bound shared with other pools keeps clients of this one waiting. The lists are in the
 * order of turns: first the pool that has got no server for the longest time. */
static void hold_back(struct pool *pool, enum limit_verdict bound)
{
	struct list *const lists[] = {
		[LIMIT_DATABASE] = &pool->database->held_back,
		[LIMIT_USER] = &pool->user->held_back,
	};
	if (pool->held_back == bound)
		return;
	if (pool->held_back != LIMIT_FREE) {
		list_remove(lists[pool->held_back], &pool->of_held_back);
		held_back_pools--;
	}
	pool->held_back = (uint8_t)bound;
	if (bound != LIMIT_FREE) {
		list_push_last(lists[bound], &pool->of_held_back);
		held_back_pools++;
	}
}

/* It got a server: those that got none come before it. */
static void end_turn(struct pool *pool)
{
	enum limit_verdict bound = pool->held_back;
	hold_back(pool, LIMIT_FREE);
	hold_back(pool, bound);
}

void pool_free(struct pool **pool)
{
	struct pool *p = *pool;
	if (!p)
		return;
	assert(p->server_count == 0 && list_is_empty(&p->servers[SERVER_PLACE_CANCELING]) &&
	       pool_client_count(p) == 0);
	hold_back(p, LIMIT_FREE);
	loop_timer_fini(&p->timer);
	list_remove(&pools, &p->node);
	list_remove(&p->database->pools, &p->of_database);
	list_remove(&p->user->pools, &p->of_user);
	forget_welcome(p);
	memory_free(pool);
}

/* The first of three values that is set. */
static int64_t prefer(int64_t user, int64_t database, int64_t global)
{
	return user != SECTION_UNSET ? user : database != SECTION_UNSET ? database : global;
}

/* @size and @more as a bound; 0: none. */
static uint32_t bound_of(int size, int more)
{
	return size > 0 ? (uint32_t)size + (uint32_t)more : UINT32_MAX;
}

static void configure_sizes(struct pool *pool, const struct settings *settings)
{
	const struct database *database = pool->database;
	const struct user *user = pool->user;
	pool->size = (int)prefer(user->pool_size, database->pool_size, settings->default_pool_size);
	pool->reserve_size = (int)prefer(user->reserve_pool_size, database->reserve_pool_size,
					 settings->reserve_pool_size);
	pool->full = bound_of(pool->size, 0);
	pool->most = bound_of(pool->size, pool->reserve_size);
	pool->min_size =
		(int)prefer(SECTION_UNSET, database->min_pool_size, settings->min_pool_size);
	if ((uint32_t)pool->min_size > pool->full)
		pool->min_size = pool->size;
}

static void configure_rest(struct pool *pool, const struct settings *settings)
{
	bool tests = *settings->server_check_query;
	pool->round_robin = settings->server_round_robin;
	pool->tests_always = tests && settings->server_check_delay == 0;
	pool->check_after = tests ? settings->server_check_delay : 0;
	pool->idle_timeout = settings->server_idle_timeout;
	pool->server_lifetime =
		prefer(SECTION_UNSET, pool->database->server_lifetime, settings->server_lifetime);
	pool->lifetime_gap = pool->size > 0 ? pool->server_lifetime / pool->size : 0;
	for (int place = SERVER_PLACE_IDLE; place <= SERVER_PLACE_USED && ops->rearm; place++)
		list_foreach (node, &pool->servers[place])
			ops->rearm(server_of(node));
}

static void configure(struct pool *pool)
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
	pool->query_wait_timeout = prefer(user->query_wait_timeout, database->query_wait_timeout,
					  settings->query_wait_timeout);
	pool->is_forced = database->user && !strcmp(database->user, user->name);
	configure_sizes(pool, settings);
	configure_rest(pool, settings);
}

void pool_configure(struct pool *pool)
{
	configure(pool);
	/* New limits: what is too much and unused goes now, the rest when it comes free
	 * (pool_verdict). */
	while (pool->server_count > pool->most) {
		struct list_node *node = list_first(&pool->servers[SERVER_PLACE_USED]);
		if (!node)
			node = list_last(&pool->servers[SERVER_PLACE_IDLE]);
		if (!node)
			break;
		ops->close_server(server_of(node), CLOSE_TOO_MANY_SERVERS);
	}
	pool_work(pool);
}

/* ---- members ---- */

static void client_joins(struct pool *pool, struct pool_client *client, enum client_place place)
{
	client->pool = pool;
	client->place = (uint8_t)place;
	if (place == CLIENT_PLACE_NONE)
		return;
	list_push_last(&pool->clients[place], &client->node);
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
	limit_server_added(pool->database, pool->user);
}

void pool_server_move(struct pool_server *server, enum server_place place)
{
	struct pool *pool = server->pool;
	if (server->place == place)
		return;
	assert(place != SERVER_PLACE_NONE);
	list_remove(&pool->servers[server->place], &server->node);
	if (UNLIKELY(place == SERVER_PLACE_CANCELING)) {
		/* Carries a CancelRequest: not one of those that a client may get. */
		pool->server_count--;
		limit_server_removed(pool->database, pool->user);
	}
	server->place = (uint8_t)place;
	server->has_served |= place == SERVER_PLACE_ACTIVE;
	/* The server that was used last is handed out first, so that those not needed grow old;
	 * round robin takes the one that rested longest. pool_request() takes the first. */
	if (place == SERVER_PLACE_IDLE && !pool->round_robin)
		list_push_first(&pool->servers[place], &server->node);
	else
		list_push_last(&pool->servers[place], &server->node);
}

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

static void serve_siblings(const struct pool *pool)
{
	serve_held_back(&pool->database->held_back);
	serve_held_back(&pool->user->held_back);
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
	if (from == SERVER_PLACE_CANCELING)
		return;
	pool->server_count--;
	limit_server_removed(pool->database, pool->user);
	if (UNLIKELY(held_back_pools))
		serve_siblings(pool);
	pool_work(pool);
}

/* ---- who gets which server ---- */

bool pool_is_paused(const struct pool *pool)
{
	return all_paused || pool->database->is_paused;
}

/* Nobody gets a server just now. */
static inline bool is_halted(const struct pool *pool)
{
	return halted || pool->database->is_paused;
}

/* Ops call back into the pool, and a client that is given a server may end at once and give it
 * back. Such a server goes to the next in the queue from here, not from within, or the stack would
 * be as deep as the queue is long. */
static inline void hand_over(struct pool *pool, struct pool_client *client,
			     struct pool_server *server)
{
	pool->is_working = true;
	ops->assign(client, server);
	pool->is_working = false;
	if (UNLIKELY(pool->work_again))
		pool_work(pool);
}

static void reject_for_shutdown(struct pool_client *client)
{
	struct error error;
	close_reason_error(CLOSE_SERVER_SHUTDOWN, &error);
	ops->reject(client, CLOSE_SERVER_SHUTDOWN, &error);
}

/* Is there nothing that pool_work() could do? The common case under load: the pool is full, and its
 * reserve used, absent or not due. */
static inline bool has_nothing_to_do(const struct pool *pool)
{
	return pool->server_count >= pool->full &&
	       (pool->servers[SERVER_PLACE_IDLE].length | pool->servers[SERVER_PLACE_USED].length |
		pool->held_back | pool->work_again) == 0 &&
	       (pool->server_count >= pool->most || pool->timer.due > clock_now());
}

bool pool_request(struct pool *pool, struct pool_client *client)
{
	struct list_node *idle = list_first(&pool->servers[SERVER_PLACE_IDLE]);
	if (LIKELY(idle && list_is_empty(&pool->clients[CLIENT_PLACE_WAITING]) &&
		   !is_halted(pool))) {
		ops->assign(client, server_of(idle));
		return true;
	}
	if (UNLIKELY(draining)) {
		reject_for_shutdown(client);
		return false;
	}
	client->wait_since = clock_now();
	if (LIKELY(client->place != CLIENT_PLACE_NONE))
		client_move(pool, client, CLIENT_PLACE_WAITING);
	else
		pool_client_move(pool, client, CLIENT_PLACE_WAITING);
	if (UNLIKELY(!has_nothing_to_do(pool)))
		pool_work(pool);
	return false;
}

void pool_request_welcome(struct pool *pool, struct pool_client *client)
{
	if (draining) {
		reject_for_shutdown(client);
		return;
	}
	client->wait_since = clock_now();
	pool_client_move(pool, client, CLIENT_PLACE_WELCOME);
	pool_work(pool);
}

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
	if (UNLIKELY(lifetime_is_over(server)))
		return CLOSE_SERVER_LIFETIME;
	return CLOSE_REASON_COUNT;
}

static usec_t wait_of_first(const struct list *queue)
{
	const struct list_node *first = list_first(queue);
	return first ? clock_now() - container_of(first, const struct pool_client, node)->wait_since
		     : 0;
}

/* Have the clients of the pool whose turn it is waited longer than ours, and for long? */
static bool is_turn_of(const struct list *held_back, const struct pool *pool)
{
	const struct list_node *first = list_first(held_back);
	if (!first)
		return false;
	const struct pool *other = container_of(first, const struct pool, of_held_back);
	usec_t wait = wait_of_first(&other->clients[CLIENT_PLACE_WAITING]);
	return other != pool && wait >= yield_after &&
	       wait > wait_of_first(&pool->clients[CLIENT_PLACE_WAITING]);
}

/* Why a server that comes back does not stay, or CLOSE_REASON_COUNT. */
static enum close_reason release_verdict(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	enum close_reason verdict = pool_verdict(server);
	if (UNLIKELY(verdict != CLOSE_REASON_COUNT))
		return verdict;
	if (UNLIKELY(is_halted(pool)))
		return draining ? CLOSE_SERVER_SHUTDOWN : CLOSE_PAUSE;
	if (UNLIKELY(held_back_pools) && !list_is_empty(&pool->clients[CLIENT_PLACE_WAITING]) &&
	    (is_turn_of(&pool->database->held_back, pool) ||
	     is_turn_of(&pool->user->held_back, pool)))
		return CLOSE_EVICTED;
	return CLOSE_REASON_COUNT;
}

static void close_for(struct pool_server *server, enum close_reason reason)
{
	if (reason == CLOSE_SERVER_LIFETIME)
		server->pool->lifetime_closed_at = clock_now();
	ops->close_server(server, reason);
}

/* Whatever is not quite usual. */
static __attribute__((noinline)) void release_with_care(struct pool_server *server)
{
	struct pool *pool = server->pool;
	enum server_place from = server->place;
	enum close_reason verdict = release_verdict(server);
	server->released_at = clock_now();
	if (verdict != CLOSE_REASON_COUNT) {
		close_for(server, verdict);
		return;
	}
	/* With server_check_delay = 0 it is tested before anybody gets it; a reset or test that
	 * just ended is enough. */
	bool test = pool->tests_always &&
		    (from == SERVER_PLACE_ACTIVE || from == SERVER_PLACE_BEING_CANCELED);
	struct list_node *waiting = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	if (waiting && !test && !pool->is_working) {
		if (pool->held_back != LIMIT_FREE)
			end_turn(pool);
		hand_over(pool, client_of(waiting), server);
	} else {
		pool_server_move(server, test ? SERVER_PLACE_USED : SERVER_PLACE_IDLE);
		if (waiting)
			pool_work(pool);
		if (held_back_pools) /* they may want its place */
			serve_siblings(pool);
	}
	if (from == SERVER_PLACE_LOGIN)
		pool_work(pool); /* the next login may begin */
}

/* Is nothing to be thought of when @server comes back? */
static inline bool is_usual(const struct pool *pool, const struct pool_server *server)
{
	bool unusual = server->close_needed | pool->tests_always | pool->is_working | halted |
		       pool->database->is_paused | (held_back_pools > 0);
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

/* ---- logins ---- */

static void forget_failure(struct pool *pool)
{
	pool->connect_failed = pool->login_failed = false;
	pool->failure.message[0] = '\0';
	pool->retry_at = 0;
	loop_timer_clear(&pool->timer);
}

void pool_login_succeeded(struct pool *pool, struct buffer *taken, void *taken_parameters)
{
	forget_welcome(pool);
	pool->welcome = taken;
	pool->welcome_parameters = taken_parameters;
	forget_failure(pool);
	struct list_node *node;
	while ((node = list_first(&pool->clients[CLIENT_PLACE_WELCOME]))) {
		ops->welcome(client_of(node));
		if (list_first(&pool->clients[CLIENT_PLACE_WELCOME]) ==
		    node) /* must not loop for ever */
			break;
	}
	pool_work(pool); /* others may want a server too, and min_pool_size */
}

static void reject_all(struct list *clients, enum close_reason reason, const struct error *error)
{
	struct list_node *node;
	while ((node = list_first(clients))) {
		ops->reject(client_of(node), reason, error);
		assert(list_first(clients) != node);
	}
}

/* How many servers of the pool are past their login. */
static uint32_t live_servers(const struct pool *pool)
{
	return pool->server_count - pool->servers[SERVER_PLACE_LOGIN].length;
}

void pool_login_failed(struct pool *pool, bool refused, const struct error *error)
{
	usec_t pause = settings_current()->server_login_retry;
	pool->failure = *error;
	pool->connect_failed = !refused;
	pool->login_failed = refused;
	pool->retry_at = clock_now() + (pause > retry_least ? pause : retry_least);
	if (!refused)
		return;		    /* rides out a restart: clients stay queued */
	struct error copy = *error; /* clients may go, and with them the pool's last word */
	reject_all(&pool->clients[CLIENT_PLACE_WELCOME], CLOSE_SERVER_REJECTED, &copy);
	if (live_servers(pool) == 0)
		reject_all(&pool->clients[CLIENT_PLACE_WAITING], CLOSE_SERVER_REJECTED, &copy);
}

bool pool_explain_failure(const struct pool *pool, struct error *error)
{
	if (!pool->login_failed || clock_now() >= pool->retry_at || live_servers(pool) > 0)
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

/* ---- launching ---- */

/* ---- bounds that pools share ---- */

static void older_of(struct pool_server **oldest, struct list_node *node)
{
	if (node && (!*oldest || server_of(node)->released_at < (*oldest)->released_at))
		*oldest = server_of(node);
}

/* Whom to close to make room under @bound: the server that has rested longest among the other pools
 * that share it. NULL: none of them rests. */
static struct pool_server *longest_rested(const struct pool *pool, enum limit_verdict bound)
{
	struct pool_server *oldest = NULL;
	const struct list *siblings =
		bound == LIMIT_DATABASE ? &pool->database->pools : &pool->user->pools;
	list_foreach (node, siblings) {
		struct pool *sibling = bound == LIMIT_DATABASE
					       ? container_of(node, struct pool, of_database)
					       : container_of(node, struct pool, of_user);
		if (sibling == pool)
			continue;
		/* The oldest stands at one of the ends, whichever way servers are handed out. */
		older_of(&oldest, list_first(&sibling->servers[SERVER_PLACE_IDLE]));
		older_of(&oldest, list_last(&sibling->servers[SERVER_PLACE_IDLE]));
		older_of(&oldest, list_first(&sibling->servers[SERVER_PLACE_USED]));
	}
	return oldest;
}

/* Is there a bound that keeps a new server out? *@acted: room was made under it. */
static bool is_bounded(struct pool *pool, bool for_clients, bool *acted)
{
	struct pool_server *evicted = NULL;
	*acted = false;
	if (!for_clients) /* a minimum takes no room from clients of other pools */
		return limit_admits_server(pool->database, pool->user) != LIMIT_FREE ||
		       pool->database->held_back.length || pool->user->held_back.length;
	/* Nobody is closed in vain: there must be room to make under both. */
	for (enum limit_verdict bound = LIMIT_DATABASE; bound <= LIMIT_USER; bound++) {
		if (!limit_is_reached(bound, pool->database, pool->user))
			continue;
		hold_back(pool, bound);
		evicted = longest_rested(pool, bound);
		if (!evicted)
			return true;
	}
	*acted = evicted != NULL;
	if (evicted)
		ops->close_server(evicted, CLOSE_EVICTED);
	else
		hold_back(pool, LIMIT_FREE);
	return *acted;
}

/* May the pool have one more server? The reserve opens when the first in the queue has waited long
 * enough.
 * *@reserve_at: when it will; unchanged: it will not. */
static bool has_room(const struct pool *pool, usec_t *reserve_at)
{
	usec_t patience = settings_current()->reserve_pool_timeout;
	struct list_node *first = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	if (pool->server_count < pool->full)
		return true;
	if (pool->server_count >= pool->most || !patience || !first)
		return false;
	*reserve_at = client_of(first)->wait_since + patience;
	return *reserve_at <= clock_now();
}

/* Do clients want another server connection, besides those that are being made ready? */
static bool clients_want_more(const struct pool *pool)
{
	uint32_t coming = pool->servers[SERVER_PLACE_LOGIN].length;
	if (!list_is_empty(&pool->clients[CLIENT_PLACE_WELCOME]) && coming == 0)
		return true;
	return pool->clients[CLIENT_PLACE_WAITING].length >
	       coming + pool->servers[SERVER_PLACE_TESTED].length;
}

static bool is_below_minimum(const struct pool *pool)
{
	return pool->server_count < (uint32_t)pool->min_size &&
	       (pool->is_forced || pool_client_count(pool) > 0);
}

/* How many logins may be in flight: one messenger until the server is known to answer. */
static uint32_t parallel_logins(const struct pool *pool)
{
	if (pool->connect_failed || pool->login_failed || !pool->welcome_parameters)
		return 1;
	return (uint32_t)settings_current()->max_server_logins;
}

static void launch(struct pool *pool)
{
	uint32_t before = pool->server_count;
	if (before >= pool->full)
		log_info("", "taking connection from reserve_pool");
	ops->launch(pool);
	/* It failed at once. Whoever did not say so must not be asked again in this turn. */
	if (pool->server_count <= before && pool->retry_at <= clock_now())
		pool->retry_at = clock_now() + retry_least;
}

/* Launch one server if one is wanted and may be. False: nothing was done. */
static bool launch_one(struct pool *pool)
{
	bool for_clients = clients_want_more(pool), acted;
	usec_t later = 0;
	if (!for_clients) {
		hold_back(pool, LIMIT_FREE);
		if (!is_below_minimum(pool))
			return false;
	}
	if (pool->retry_at > clock_now())
		later = pool->retry_at;
	else if (pool->servers[SERVER_PLACE_LOGIN].length >= parallel_logins(pool))
		later = 0; /* the end of a login comes back here */
	else if (has_room(pool, &later)) {
		if (is_bounded(pool, for_clients, &acted))
			return acted;
		launch(pool);
		return true;
	}
	hold_back(pool, LIMIT_FREE);
	if (later)
		loop_timer_set(&pool->timer, later);
	return false;
}

/* ---- what waits ---- */

/* Test one used server if a client could use it. */
static bool test_one(const struct pool *pool)
{
	struct list_node *used = list_last(&pool->servers[SERVER_PLACE_USED]);
	if (!used ||
	    pool->servers[SERVER_PLACE_TESTED].length >= pool->clients[CLIENT_PLACE_WAITING].length)
		return false;
	ops->test_server(server_of(used));
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
	ops->assign(client_of(waiting), server_of(idle));
	return list_first(&pool->clients[CLIENT_PLACE_WAITING]) != waiting;
}

void pool_work(struct pool *pool)
{
	if (LIKELY(has_nothing_to_do(pool)))
		return;
	if (pool->is_working) { /* one of the ops below came back here: when it has returned */
		pool->work_again = true;
		return;
	}
	bool missed = pool->work_again;
	pool->work_again = false;
	if (pool->database->is_console || is_halted(pool)) {
		hold_back(pool, LIMIT_FREE);
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
	if (UNLIKELY(missed && held_back_pools))
		serve_siblings(pool);
}

/* ---- idle servers ---- */

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
		close_for(server, verdict);
		return;
	}
	if (pool->idle_timeout && now >= server->released_at + pool->idle_timeout) {
		if (pool->server_count > (uint32_t)pool->min_size) {
			ops->close_server(server, CLOSE_SERVER_IDLE_TIMEOUT);
			return;
		}
		server->released_at = now; /* one of the minimum: rests another period */
	}
	if (pool->check_after && now >= server->released_at + pool->check_after &&
	    server->place == SERVER_PLACE_IDLE)
		pool_server_move(server, SERVER_PLACE_USED);
}

/* ---- the administrator's verbs ---- */

static void close_all(struct list *servers, enum close_reason reason)
{
	struct list_node *node;
	while ((node = list_first(servers))) {
		ops->close_server(server_of(node), reason);
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
	if (is_halted(pool))
		close_all(&pool->servers[SERVER_PLACE_LOGIN], reason);
	end_hold(pool, before);
	pool_work(pool);
}

/* None of them goes to another client. */
static void mark_all(struct pool *pool, enum close_reason reason)
{
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_CANCELING; place++)
		list_foreach (node, &pool->servers[place]) {
			struct pool_server *server = server_of(node);
			server->close_needed = true;
			server->close_reason = (uint8_t)reason;
		}
}

void pool_retire(struct pool *pool, enum close_reason reason)
{
	bool before = begin_hold(pool);
	configure(pool); /* what is launched below is of the new configuration */
	mark_all(pool, reason);
	forget_welcome(pool);
	forget_failure(pool);
	close_all(&pool->servers[SERVER_PLACE_LOGIN], reason);
	close_all(&pool->servers[SERVER_PLACE_IDLE], reason);
	close_all(&pool->servers[SERVER_PLACE_USED], reason);
	end_hold(pool, before);
	pool_work(pool);
}

void pool_kill(struct pool *pool, enum close_reason reason)
{
	bool before = begin_hold(pool);
	hold_back(pool, LIMIT_FREE);
	mark_all(pool, reason);
	/* Who waits goes first: no server that comes free is for them. */
	for (int place = CLIENT_PLACE_COUNT - 1; place >= CLIENT_PLACE_ACTIVE; place--) {
		struct list *clients = &pool->clients[place];
		struct list_node *node;
		while ((node = list_first(clients))) {
			ops->close_client(client_of(node), reason);
			assert(list_first(clients) != node);
		}
	}
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_COUNT; place++)
		close_all(&pool->servers[place], reason);
	end_hold(pool, before);
	pool->work_again = false; /* not now: it may be about to be freed */
}

bool pool_is_busy(const struct pool *pool)
{
	return pool->server_count > 0;
}

usec_t pool_longest_wait(const struct pool *pool)
{
	usec_t longest = 0;
	for (int place = CLIENT_PLACE_WELCOME; place <= CLIENT_PLACE_WAITING; place++) {
		struct list_node *first = list_first(&pool->clients[place]);
		if (first && clock_now() - client_of(first)->wait_since > longest)
			longest = clock_now() - client_of(first)->wait_since;
	}
	return longest;
}

uint32_t pool_client_count(const struct pool *pool)
{
	uint32_t count = 0;
	for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
		count += pool->clients[place].length;
	return count;
}

void pool_set_paused(bool paused)
{
	all_paused = paused;
	halted = all_paused || draining;
	if (!halted)
		list_foreach (node, pool_all())
			pool_work(container_of(node, struct pool, node));
}

bool pool_all_paused(void)
{
	return all_paused;
}

void pool_set_draining(void)
{
	struct error error;
	draining = halted = true;
	close_reason_error(CLOSE_SERVER_SHUTDOWN, &error);
	list_foreach (node, pool_all()) {
		struct pool *pool = container_of(node, struct pool, node);
		reject_all(&pool->clients[CLIENT_PLACE_WELCOME], CLOSE_SERVER_SHUTDOWN, &error);
		reject_all(&pool->clients[CLIENT_PLACE_WAITING], CLOSE_SERVER_SHUTDOWN, &error);
	}
}

void pool_stop_launching(void)
{
	draining = halted = true;
}

bool pool_is_draining(void)
{
	return draining;
}
