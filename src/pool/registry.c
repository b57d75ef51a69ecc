/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/registry.h"
#include <string.h>
#include "config/snapshot.h"
#include "core/log.h"
#include "core/memory.h"
#include "pool/pool_empty.h"

static struct map databases, users, peers;
static struct list
	unproven; /* automatic databases that only strangers asked for, the oldest first */
static struct database *console;
static uint64_t strangers_failures;
static struct stats departed; /* counters of databases that went away */

static struct database *database_of(struct map_node *node)
{
	return container_of(node, struct database, node);
}

static struct user *user_of(struct map_node *node)
{
	return container_of(node, struct user, node);
}

static struct peer *peer_of(struct map_node *node)
{
	return container_of(node, struct peer, node);
}

bool registry_is_console_name(const char *name)
{
	return !strcmp(name, "pgweir") || !strcmp(name, "pgbouncer");
}

static struct database *add_database(const char *name)
{
	struct database *database = database_new(name);
	map_add(&databases, database->name, strlen(database->name), &database->node);
	return database;
}

void registry_open(void)
{
	map_init(&databases);
	map_init(&users);
	list_init(&unproven);
	map_init(&peers);
	departed = (struct stats){0};
	console = add_database("pgbouncer");
	console->is_console = true;
	registry_pool(console, registry_user("pgbouncer"));
}

static void remove_pools(struct database *database, enum close_reason reason)
{
	list_foreach_safe (node, &database->pools) {
		struct pool *pool = container_of(node, struct pool, of_database);
		pool_kill(pool, reason);
		pool_free(&pool);
	}
}

/* Somebody who is proven wants it, or it goes. */
static void confirm(struct database *database)
{
	if (database->is_unproven)
		list_remove(&unproven, &database->of_unproven);
	database->is_unproven = false;
}

static void remove_database(struct database *database)
{
	confirm(database);
	remove_pools(database, CLOSE_DATABASE_REMOVED);
	stats_add(&departed, &database->stats);
	database_idle_end(database);
	map_remove(&databases, &database->node);
	database_free(&database);
}

/* CancelRequests for it reach nobody any more. */
static void remove_peer(struct peer *peer)
{
	pool_kill(peer->pool, CLOSE_CANCEL_NO_PEER);
	pool_free(&peer->pool);
	map_remove(&peers, &peer->node);
	peer_free(&peer);
}

void registry_close(void)
{
	map_foreach (node, &peers)
		remove_peer(peer_of(node));
	map_foreach (node, &databases) {
		struct database *database = database_of(node);
		remove_database(database);
	}
	map_foreach (node, &users) {
		struct user *user = user_of(node);
		map_remove(&users, node);
		user_free(&user);
	}
	console = NULL;
}

struct database *registry_console(void)
{
	return console;
}

struct database *registry_find_database(const char *name)
{
	if (registry_is_console_name(name))
		return console;
	struct map_node *node = map_find(&databases, name, strlen(name));
	return node ? database_of(node) : NULL;
}

void registry_note_login_failure(const char *name)
{
	struct database *database = registry_find_database(name);
	(*(database ? &database->login_failures : &strangers_failures))++;
}

uint64_t registry_strangers_failures(void)
{
	return strangers_failures;
}

static struct database *add_automatic(const char *name, const struct section_database *row)
{
	struct database *database = add_database(name);
	database->is_automatic = true;
	database_configure(database, row);
	database_idle_begin(database); /* until somebody comes */
	log_info("", "registered new auto-database: %s", name);
	return database;
}

struct database *registry_database(const char *name)
{
	struct database *database = registry_find_database(name);
	const struct section_database *row = snapshot_current()->automatic;
	if (database)
		confirm(database);
	return database || !row ? database : add_automatic(name, row);
}

static bool is_in_use(const struct database *database)
{
	list_foreach (node, &database->pools) {
		const struct pool *pool = container_of(node, struct pool, of_database);
		for (int place = CLIENT_PLACE_ACTIVE; place < CLIENT_PLACE_COUNT; place++)
			if (pool->clients[place].length)
				return true;
	}
	return false;
}

/* Room for one more. */
static bool drop_an_unproven(void)
{
	list_foreach (node, &unproven) {
		struct database *database = container_of(node, struct database, of_unproven);
		if (is_in_use(database))
			continue;
		remove_database(database);
		return true;
	}
	return false;
}

struct database *registry_database_unproven(const char *name)
{
	struct database *database = registry_find_database(name);
	const struct section_database *row = snapshot_current()->automatic;
	if (database || !row || (unproven.length >= REGISTRY_UNPROVEN_MAX && !drop_an_unproven()))
		return database;
	database = add_automatic(name, row);
	database->is_unproven = true;
	list_push_last(&unproven, &database->of_unproven);
	return database;
}

struct user *registry_find_user(const char *name)
{
	struct map_node *node = map_find(&users, name, strlen(name));
	return node ? user_of(node) : NULL;
}

struct user *registry_user(const char *name)
{
	struct user *user = registry_find_user(name);
	if (user)
		return user;
	user = user_new(name);
	user_configure(user, snapshot_user(snapshot_current(), name));
	map_add(&users, user->name, strlen(user->name), &user->node);
	return user;
}

struct pool *registry_pool(struct database *database, struct user *user)
{
	if (database->is_console && database->pools.length)
		return container_of(list_first(&database->pools), struct pool, of_database);
	return registry_pool_of(database, database->user ? registry_user(database->user) : user);
}

struct pool *registry_pool_of(struct database *database, struct user *user)
{
	/* The shorter of the two lists: a user has few databases, or a database few users. */
	if (user->pools.length <= database->pools.length) {
		list_foreach (node, &user->pools) {
			struct pool *pool = container_of(node, struct pool, of_user);
			if (pool->database == database)
				return pool;
		}
	} else {
		list_foreach (node, &database->pools) {
			struct pool *pool = container_of(node, struct pool, of_database);
			if (pool->user == user)
				return pool;
		}
	}
	return pool_new(database, user);
}

struct peer *registry_peer(int id)
{
	struct map_node *node = map_find(&peers, &id, sizeof id);
	return node ? peer_of(node) : NULL;
}

const struct map *registry_peers(void)
{
	return &peers;
}

const struct map *registry_databases(void)
{
	return &databases;
}

const struct map *registry_users(void)
{
	return &users;
}

void registry_totals(struct stats *totals)
{
	*totals = departed;
	map_foreach (node, &databases)
		stats_add(totals, &database_of(node)->stats);
}

void registry_roll(usec_t length)
{
	stats_roll(&departed, length);
	map_foreach (node, &databases)
		stats_roll(&database_of(node)->stats, length);
}

/* ---- what nobody uses ---- */

/* Forget pools that were empty for long. Returns when the next may be due, 0: never. */
static usec_t expire_pools(void)
{
	usec_t limit = settings_current()->pool_idle_timeout;
	struct pool *pool;
	while (limit && (pool = pool_empty_first())) {
		if (pool->empty_since + limit > clock_now())
			return pool->empty_since + limit;
		log_info("", "cleaning up idle pool: db=%s user=%s", pool->database->name,
			 pool->user->name);
		pool_free(&pool);
	}
	return 0;
}

/* The same for automatic databases. One that is held or disabled must stay so. */
static usec_t expire_databases(void)
{
	usec_t limit = settings_current()->autodb_idle_timeout;
	struct database *database;
	while (limit && (database = database_idle_first())) {
		if (database->idle_since + limit > clock_now())
			return database->idle_since + limit;
		if (database->is_paused || database->is_disabled) {
			database_idle_end(database);
			database_idle_begin(database);
			continue;
		}
		log_info("", "forgetting idle auto-database: %s", database->name);
		remove_database(database);
	}
	return 0;
}

usec_t registry_expire(void)
{
	usec_t pools_due = expire_pools(), databases_due = expire_databases();
	return pools_due && (!databases_due || pools_due < databases_due) ? pools_due
									  : databases_due;
}

/* ---- a new snapshot ---- */

static void apply_users(const struct snapshot *snapshot)
{
	map_foreach (node, &users) {
		struct user *user = user_of(node);
		user->is_configured = false;
		user_configure(user, snapshot_user(snapshot, user->name));
	}
	map_foreach (node, &snapshot->users)
		registry_user(container_of(node, struct section_user, node)->name)->is_configured =
			true;
	const void *cursor = NULL;
	const char *name;
	while ((name = userlist_next(snapshot->userlist, &cursor)))
		registry_user(name)->is_configured = true;
}

static void apply_databases(const struct snapshot *snapshot)
{
	map_foreach (node, &databases) {
		struct database *database = database_of(node);
		const struct section_database *row = snapshot_database(snapshot, database->name);
		if (database->is_console)
			continue;
		if (row)
			confirm(database);
		database->is_automatic = !row && snapshot->automatic;
		if (!database->is_automatic)
			database_idle_end(database);
		else
			database_idle_begin(database);
		if (!row)
			row = snapshot->automatic;
		if (!row) {
			remove_database(database);
		} else if (database_configure(database, row)) {
			list_foreach (member, &database->pools)
				pool_retire(container_of(member, struct pool, of_database),
					    CLOSE_DATABASE_CHANGED);
		}
	}
	map_foreach (node, &snapshot->databases) {
		struct section_database *row = container_of(node, struct section_database, node);
		if (!registry_find_database(row->name))
			database_configure(add_database(row->name), row);
	}
}

static void apply_peers(const struct snapshot *snapshot)
{
	map_foreach (node, &peers)
		if (!map_find(&snapshot->peers, &peer_of(node)->id, sizeof peer_of(node)->id))
			remove_peer(peer_of(node));
	map_foreach (node, &snapshot->peers) {
		const struct section_peer *row = container_of(node, struct section_peer, node);
		struct peer *peer = registry_peer(row->id);
		if (!peer) {
			peer = peer_new(row->id);
			map_add(&peers, &peer->id, sizeof peer->id, &peer->node);
		}
		peer_configure(peer, row);
		if (!peer->pool)
			peer->pool = pool_new(peer->database, peer->user);
		else
			pool_configure(peer->pool);
	}
}

void registry_apply(void)
{
	const struct snapshot *snapshot = snapshot_current();
	apply_users(snapshot);
	apply_databases(snapshot);
	apply_peers(snapshot);
	list_foreach_safe (node, pool_all()) {
		struct pool *pool = container_of(node, struct pool, node);
		pool_has_other_ways(pool);
		pool_configure(pool);
	}
	/* Pools of forced users exist without clients, for min_pool_size. */
	map_foreach (node, &databases) {
		struct database *database = database_of(node);
		if (database->user && !database->is_automatic)
			pool_work(registry_pool(database, registry_user(database->user)));
	}
}
