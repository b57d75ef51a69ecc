/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool.h"
#include "config/snapshot.h"
#include "core/log.h"
#include "core/memory.h"
#include "pool/limit.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

static const struct pool_ops *ops;
static struct list pools;
static bool all_paused, draining;
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
	all_paused = draining = false;
	if (!pools.head.next)
		list_init(&pools);
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
}

void pool_free(struct pool **pool)
{
	struct pool *p = *pool;
	if (!p)
		return;
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

void pool_configure(struct pool *pool)
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
	pool->size = (int)prefer(user->pool_size, database->pool_size, settings->default_pool_size);
	pool->reserve_size = (int)prefer(user->reserve_pool_size, database->reserve_pool_size,
					 settings->reserve_pool_size);
	pool->min_size =
		(int)prefer(SECTION_UNSET, database->min_pool_size, settings->min_pool_size);
	if (pool->size && pool->min_size > pool->size)
		pool->min_size = pool->size;
	pool->query_wait_timeout = prefer(user->query_wait_timeout, database->query_wait_timeout,
					  settings->query_wait_timeout);
	pool->server_lifetime =
		prefer(SECTION_UNSET, database->server_lifetime, settings->server_lifetime);
	pool->is_bounded = limit_database_servers(database) || limit_user_servers(user);
	/* New limits: what is too much and unused goes now, the rest when it comes free
	 * (pool_verdict). */
	while (pool->size && pool->server_count > (uint32_t)(pool->size + pool->reserve_size)) {
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

void pool_client_move(struct pool *pool, struct pool_client *client, enum client_place place)
{
	if (client->place != CLIENT_PLACE_NONE)
		list_remove(&client->pool->clients[client->place], &client->node);
	client->pool = pool;
	client->place = place;
	if (place != CLIENT_PLACE_NONE)
		list_push_last(&pool->clients[place], &client->node);
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
	if (server->place != SERVER_PLACE_NONE)
		list_remove(&pool->servers[server->place], &server->node);
	if (place == SERVER_PLACE_CANCELING) {
		/* Carries a CancelRequest: not one of those that a client may get. */
		pool->server_count--;
		limit_server_removed(pool->database, pool->user);
	}
	server->place = (uint8_t)place;
	/* The server that was used last is handed out first, so that those not needed grow old;
	 * round robin takes the one that rested longest. pool_request() takes the first. */
	if (place == SERVER_PLACE_IDLE && !settings_current()->server_round_robin)
		list_push_first(&pool->servers[place], &server->node);
	else if (place != SERVER_PLACE_NONE)
		list_push_last(&pool->servers[place], &server->node);
}

static uint32_t wanted(const struct pool *pool);

/* Pools that share a bound with this one may go on. */
static void work_siblings(struct pool *pool)
{
	if (LIKELY(!pool->is_bounded))
		return;
	list_foreach (node, &pool->database->pools) {
		struct pool *sibling = container_of(node, struct pool, of_database);
		if (sibling != pool && wanted(sibling) > 0)
			pool_work(sibling);
	}
	list_foreach (node, &pool->user->pools) {
		struct pool *sibling = container_of(node, struct pool, of_user);
		if (sibling->database != pool->database && wanted(sibling) > 0)
			pool_work(sibling);
	}
}

void pool_server_leave(struct pool_server *server)
{
	struct pool *pool = server->pool;
	if (server->place == SERVER_PLACE_NONE)
		return;
	bool counted = server->place != SERVER_PLACE_CANCELING;
	list_remove(&pool->servers[server->place], &server->node);
	server->place = SERVER_PLACE_NONE;
	if (counted) {
		pool->server_count--;
		limit_server_removed(pool->database, pool->user);
	}
	post_quiet();
	pool_work(pool);
	work_siblings(pool); /* a server less may let one of them have one more */
}

/* ---- who gets which server ---- */

bool pool_is_paused(const struct pool *pool)
{
	return all_paused || pool->database->is_paused;
}

/* The common case under load: nothing can be launched, nor tested. */
static inline bool is_full(const struct pool *pool)
{
	return LIKELY(pool->size && pool->server_count >= (uint32_t)pool->size &&
		      !pool->reserve_size && list_is_empty(&pool->servers[SERVER_PLACE_USED]));
}

bool pool_request(struct pool *pool, struct pool_client *client)
{
	struct list *idle = &pool->servers[SERVER_PLACE_IDLE];
	if (LIKELY(!pool_is_paused(pool))) {
		struct list_node *node = list_first(idle);
		if (node && list_is_empty(&pool->clients[CLIENT_PLACE_WAITING])) {
			ops->assign(client, server_of(node));
			return true;
		}
	}
	if (draining) {
		struct error error;
		close_reason_error(CLOSE_SERVER_SHUTDOWN, &error);
		ops->reject(client, CLOSE_SERVER_SHUTDOWN, &error);
		return false;
	}
	client->wait_since = clock_now();
	pool_client_move(pool, client, CLIENT_PLACE_WAITING);
	if (!is_full(pool))
		pool_work(pool);
	return false;
}

void pool_request_welcome(struct pool *pool, struct pool_client *client)
{
	client->wait_since = clock_now();
	pool_client_move(pool, client, CLIENT_PLACE_WELCOME);
	pool_work(pool);
}

/* Servers whose age is over are not all closed at once: one by one, lifetime / size apart. */
static bool lifetime_is_over(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	usec_t lifetime = pool->server_lifetime;
	if (clock_now() - server->connected_at < lifetime)
		return false;
	/* 0: one use */
	usec_t gap = pool->size > 0 ? lifetime / pool->size : 0;
	return lifetime == 0 || clock_now() - pool->lifetime_closed_at >= gap;
}

enum close_reason pool_verdict(const struct pool_server *server)
{
	const struct pool *pool = server->pool;
	if (server->close_needed)
		return server->close_reason;
	if (pool->size && pool->server_count > (uint32_t)(pool->size + pool->reserve_size))
		return CLOSE_TOO_MANY_SERVERS;
	if (server->released_at && lifetime_is_over(server))
		return CLOSE_SERVER_LIFETIME;
	return CLOSE_REASON_COUNT;
}

static void close_for(struct pool_server *server, enum close_reason reason)
{
	if (reason == CLOSE_SERVER_LIFETIME)
		server->pool->lifetime_closed_at = clock_now();
	ops->close_server(server, reason);
}

void pool_release(struct pool_server *server)
{
	struct pool *pool = server->pool;
	enum close_reason verdict = pool_verdict(server);
	server->released_at = clock_now();
	if (verdict != CLOSE_REASON_COUNT) {
		close_for(server, verdict);
		return;
	}
	if (pool_is_paused(pool)) {
		ops->close_server(server, CLOSE_PAUSE);
		return;
	}
	if (draining) {
		ops->close_server(server, CLOSE_SERVER_SHUTDOWN);
		return;
	}
	struct list_node *node = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	if (node) {
		ops->assign(client_of(node), server);
		return;
	}
	/* server_check_delay = 0: whoever comes next wants it tested first. A test that just ended
	 * is enough. */
	const struct settings *settings = settings_current();
	bool test_first = settings->server_check_delay == 0 && *settings->server_check_query &&
			  (server->place == SERVER_PLACE_ACTIVE ||
			   server->place == SERVER_PLACE_BEING_CANCELED);
	pool_server_move(server, test_first ? SERVER_PLACE_USED : SERVER_PLACE_IDLE);
	work_siblings(pool); /* whoever is kept out by a bound that we share may evict it */
}

/* ---- logins ---- */

void pool_login_succeeded(struct pool *pool, struct buffer *taken, void *taken_parameters)
{
	forget_welcome(pool);
	pool->welcome = taken;
	pool->welcome_parameters = taken_parameters;
	pool->connect_failed = pool->login_failed = false;
	pool->retry_at = 0;
	pool->failure.message[0] = '\0';
	struct list_node *node;
	while ((node = list_first(&pool->clients[CLIENT_PLACE_WELCOME]))) {
		struct pool_client *client = client_of(node);
		ops->welcome(client);
		if (client->place == CLIENT_PLACE_WELCOME &&
		    client->pool == pool) /* must not loop for ever */
			break;
	}
	pool_work(pool); /* others may want a server too, and min_pool_size */
}

static void reject_all(struct pool *pool, enum client_place place, enum close_reason reason,
		       const struct error *error)
{
	list_foreach_safe (node, &pool->clients[place])
		ops->reject(client_of(node), reason, error);
}

/* How many servers of the pool are past their login. */
static uint32_t live_servers(const struct pool *pool)
{
	return pool->server_count - pool->servers[SERVER_PLACE_LOGIN].length;
}

void pool_login_failed(struct pool *pool, bool refused, const struct error *error)
{
	pool->failure = *error;
	pool->connect_failed = !refused;
	pool->login_failed = refused;
	/* Never at once: a failure that shows without waiting would be tried again without end. */
	usec_t patience = settings_current()->server_login_retry;
	pool->retry_at = clock_now() + (patience > USEC_PER_MSEC ? patience : USEC_PER_MSEC);
	if (!refused)
		return;		    /* rides out a restart: clients stay queued */
	struct error copy = *error; /* clients may go, and with them the pool's last word */
	reject_all(pool, CLIENT_PLACE_WELCOME, CLOSE_SERVER_REJECTED, &copy);
	if (live_servers(pool) == 0)
		reject_all(pool, CLIENT_PLACE_WAITING, CLOSE_SERVER_REJECTED, &copy);
}

bool pool_is_failing(const struct pool *pool, struct error *error)
{
	if (!pool->login_failed || clock_now() >= pool->retry_at || live_servers(pool) > 0)
		return false;
	*error = pool->failure;
	error_set(error, SQLSTATE_CONNECTION_FAILURE,
		  "server login has been failing, cached error: %s (server_login_retry)",
		  pool->failure.message);
	for (int i = 0; i < 6; i++)
		error->sqlstate[i] = pool->failure.sqlstate[i];
	return true;
}

/* ---- launching ---- */

/* Make room under max_db_connections or max_user_connections: close the server that has rested
 * longest among the pools that share the bound. False: none of them rests. */
static bool evict(struct pool *pool, enum limit_verdict verdict)
{
	struct pool_server *oldest = NULL;
	const struct list *siblings =
		verdict == LIMIT_DATABASE ? &pool->database->pools : &pool->user->pools;
	list_foreach (node, siblings) {
		struct pool *sibling = verdict == LIMIT_DATABASE
					       ? container_of(node, struct pool, of_database)
					       : container_of(node, struct pool, of_user);
		for (int place = SERVER_PLACE_IDLE; place <= SERVER_PLACE_USED && sibling != pool;
		     place++)
			list_foreach (member, &sibling->servers[place]) {
				struct pool_server *server = server_of(member);
				if (!oldest || server->released_at < oldest->released_at)
					oldest = server;
			}
	}
	if (oldest)
		ops->close_server(oldest, CLOSE_EVICTED);
	return oldest != NULL;
}

/* The size that the pool may have now: the reserve opens when the first in the queue has waited
 * long enough.
 * *@reserve_at: when it will, or 0. */
static int allowed_size(const struct pool *pool, usec_t *reserve_at)
{
	usec_t patience = settings_current()->reserve_pool_timeout;
	struct list_node *first = list_first(&pool->clients[CLIENT_PLACE_WAITING]);
	*reserve_at = 0;
	if (!pool->size || !pool->reserve_size || !first)
		return pool->size;
	usec_t due = client_of(first)->wait_since + patience;
	if (due <= clock_now())
		return pool->size + pool->reserve_size;
	*reserve_at = due;
	return pool->size;
}

/* How many more server connections the pool's clients (or min_pool_size) want now. */
static uint32_t wanted(const struct pool *pool)
{
	uint32_t logins = pool->servers[SERVER_PLACE_LOGIN].length;
	uint32_t waiting = pool->clients[CLIENT_PLACE_WAITING].length;
	if (waiting == 0 && !list_is_empty(&pool->clients[CLIENT_PLACE_WELCOME]))
		waiting = 1;
	uint32_t want = waiting > logins ? waiting - logins : 0;
	bool inhabited = pool->database->user || pool_client_count(pool) > 0;
	if (inhabited && pool->server_count < (uint32_t)pool->min_size &&
	    want < (uint32_t)pool->min_size - pool->server_count)
		want = (uint32_t)pool->min_size - pool->server_count;
	return want;
}

static void test_used(struct pool *pool)
{
	uint32_t waiting = pool->clients[CLIENT_PLACE_WAITING].length;
	while (pool->servers[SERVER_PLACE_TESTED].length < waiting) {
		struct list_node *node = list_last(&pool->servers[SERVER_PLACE_USED]);
		if (!node)
			break;
		ops->test_server(server_of(node));
	}
}

void pool_work(struct pool *pool)
{
	if (is_full(pool) && list_is_empty(&pool->servers[SERVER_PLACE_IDLE]))
		return;
	if (pool->database->is_console || pool->database->is_removed || pool_is_paused(pool) ||
	    draining)
		return;
	/* Idle servers may be left from before a RESUME. */
	struct list_node *waiting, *idle;
	while ((waiting = list_first(&pool->clients[CLIENT_PLACE_WAITING])) &&
	       (idle = list_first(&pool->servers[SERVER_PLACE_IDLE])))
		ops->assign(client_of(waiting), server_of(idle));
	if (!list_is_empty(&pool->servers[SERVER_PLACE_USED]))
		test_used(pool);
	uint32_t parallel = (uint32_t)settings_current()->max_server_logins;
	if (pool->connect_failed || pool->login_failed || !pool->welcome_parameters)
		parallel = 1; /* one messenger until the server is known to answer */
	uint32_t tested = pool->servers[SERVER_PLACE_TESTED].length;
	for (;;) {
		usec_t reserve_at;
		uint32_t want = wanted(pool);
		int allowed = allowed_size(pool, &reserve_at);
		if (want <= tested)
			break;
		if (pool->retry_at > clock_now()) {
			loop_timer_set(&pool->timer, pool->retry_at);
			break;
		}
		if (pool->servers[SERVER_PLACE_LOGIN].length >= parallel)
			break;
		if (allowed && pool->server_count >= (uint32_t)allowed) {
			if (reserve_at)
				loop_timer_set(&pool->timer, reserve_at);
			break;
		}
		enum limit_verdict verdict = limit_admits_server(pool->database, pool->user);
		if (verdict != LIMIT_FREE) {
			if (!evict(pool, verdict))
				break;
			continue; /* its leaving may have served us already */
		}
		if (pool->size && pool->server_count >= (uint32_t)pool->size)
			log_info("", "taking connection from reserve_pool");
		uint32_t before = pool->server_count;
		ops->launch(pool);
		if (pool->server_count <= before) /* failed at once: the retry timer is set */
			break;
	}
	if (pool->retry_at > clock_now() && wanted(pool) > 0)
		loop_timer_set(&pool->timer, pool->retry_at);
}

/* ---- idle servers ---- */

usec_t pool_idle_due(const struct pool_server *server)
{
	const struct settings *settings = settings_current();
	const struct pool *pool = server->pool;
	usec_t due = 0;
	if (settings->server_idle_timeout)
		due = server->released_at + settings->server_idle_timeout;
	if (pool->server_lifetime) {
		usec_t gap = pool->size > 0 ? pool->server_lifetime / pool->size : 0;
		usec_t end = server->connected_at + pool->server_lifetime;
		if (end < pool->lifetime_closed_at + gap)
			end = pool->lifetime_closed_at + gap;
		if (!due || end < due)
			due = end;
	}
	if (server->place == SERVER_PLACE_IDLE && settings->server_check_delay &&
	    *settings->server_check_query) {
		usec_t check = server->released_at + settings->server_check_delay;
		if (!due || check < due)
			due = check;
	}
	return due;
}

void pool_idle_check(struct pool_server *server)
{
	const struct settings *settings = settings_current();
	struct pool *pool = server->pool;
	usec_t now = clock_now();
	enum close_reason verdict = pool_verdict(server);
	if (verdict != CLOSE_REASON_COUNT) {
		close_for(server, verdict);
		return;
	}
	if (settings->server_idle_timeout &&
	    now >= server->released_at + settings->server_idle_timeout) {
		if (pool->server_count > (uint32_t)pool->min_size) {
			ops->close_server(server, CLOSE_SERVER_IDLE_TIMEOUT);
			return;
		}
		server->released_at = now; /* one of the minimum: rests another period */
	}
	if (server->place == SERVER_PLACE_IDLE && settings->server_check_delay &&
	    *settings->server_check_query &&
	    now >= server->released_at + settings->server_check_delay)
		pool_server_move(server, SERVER_PLACE_USED);
}

/* ---- the administrator's verbs ---- */

void pool_close_idle(struct pool *pool, enum close_reason reason)
{
	struct list_node *node; /* closing one may close others */
	for (int place = SERVER_PLACE_IDLE; place <= SERVER_PLACE_USED; place++)
		while ((node = list_first(&pool->servers[place])))
			ops->close_server(server_of(node), reason);
}

void pool_retire(struct pool *pool, enum close_reason reason)
{
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_CANCELING; place++)
		list_foreach (node, &pool->servers[place]) {
			struct pool_server *server = server_of(node);
			server->close_needed = true;
			server->close_reason = (uint8_t)reason;
		}
	forget_welcome(pool);
	pool->retry_at = 0;
	pool->connect_failed = pool->login_failed = false;
	list_foreach_safe (node, &pool->servers[SERVER_PLACE_LOGIN])
		ops->close_server(server_of(node), reason);
	pool_close_idle(pool, reason);
	pool_work(pool);
}

void pool_kill(struct pool *pool, enum close_reason reason)
{
	/* Who waits goes first: no server that comes free, or place for one, is for them. */
	for (int place = CLIENT_PLACE_COUNT - 1; place >= CLIENT_PLACE_ACTIVE; place--)
		list_foreach_safe (node, &pool->clients[place])
			ops->close_client(client_of(node), reason);
	struct list_node *member;
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_COUNT; place++)
		while ((member = list_first(&pool->servers[place])))
			ops->close_server(server_of(member), reason);
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
}

bool pool_all_paused(void)
{
	return all_paused;
}

void pool_set_draining(void)
{
	struct error error;
	draining = true;
	close_reason_error(CLOSE_SERVER_SHUTDOWN, &error);
	list_foreach (node, pool_all()) {
		struct pool *pool = container_of(node, struct pool, node);
		reject_all(pool, CLIENT_PLACE_WELCOME, CLOSE_SERVER_SHUTDOWN, &error);
		reject_all(pool, CLIENT_PLACE_WAITING, CLOSE_SERVER_SHUTDOWN, &error);
	}
}

void pool_stop_launching(void)
{
	draining = true;
}

bool pool_is_draining(void)
{
	return draining;
}
