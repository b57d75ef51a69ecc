/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/control.h"
#include <string.h>
#include "config/snapshot.h"
#include "conn/client.h"
#include "core/log.h"
#include "core/text.h"
#include "pool/registry.h"

static const struct control_ops *ops;
static void (*on_resume)(void);

void control_set_ops(const struct control_ops *new_ops)
{
	ops = new_ops;
}

void control_on_resume(void (*callback)(void))
{
	on_resume = callback;
}

/* ---- for all ---- */

bool control_reload(struct error *error)
{
	/* SET, or the file itself, may have named another. */
	const char *named = settings_current()->conffile;
	const char *path = *named ? named : snapshot_current()->path;
	struct snapshot *snapshot = snapshot_load(*path ? path : NULL, error);
	if (!snapshot)
		return false;
	snapshot_install(snapshot);
	registry_apply();
	gate_reconfigured();
	if (ops)
		ops->applied();
	return true;
}

typedef void each_pool_fn(struct pool *pool);

/* In all pools of a database, or of all databases but the console (NULL). */
static void each_pool(const struct database *database, each_pool_fn *each)
{
	list_foreach_safe (node, pool_all()) {
		struct pool *pool = container_of(node, struct pool, node);
		if (!pool->database->is_console && (!database || pool->database == database))
			each(pool);
	}
}

static void close_idle(struct pool *pool)
{
	pool_close_idle(pool, CLOSE_PAUSE);
}

static void reconnect(struct pool *pool)
{
	pool_retire(pool, CLOSE_OBSOLETE);
}

static void kill_pool(struct pool *pool)
{
	pool_kill(pool, CLOSE_DATABASE_REMOVED);
}

void control_pause_all(void)
{
	pool_set_paused(true);
	each_pool(NULL, close_idle);
}

static void go_on(const struct database *database)
{
	each_pool(database, pool_work);
	if (on_resume)
		on_resume();
}

/* Let go of all databases that are held by their own switch. False: there are none. */
static bool resume_databases(void)
{
	bool any = false;
	map_foreach (node, registry_databases()) {
		struct database *database = container_of(node, struct database, node);
		any |= database->is_paused;
		database->is_paused = false;
	}
	return any;
}

bool control_resume_all(struct error *error)
{
	if (gate_state() != GATE_OPEN)
		return error_set(error, SQLSTATE_CANNOT_CONNECT_NOW, "pooler is shutting down");
	if (pool_all_paused())
		pool_set_paused(false);
	else if (!resume_databases())
		return error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				 "pooler is not paused/suspended");
	go_on(NULL);
	return true;
}

void control_shutdown(enum gate_shutdown how)
{
	gate_shut(how);
}

/* ---- commands ---- */

static enum control_end end(bool well)
{
	return well ? CONTROL_DONE : CONTROL_FAILED;
}

/* The database that the command names: *@database is NULL when it names none. One that would be
 * made for its first client is made now, so that it can be held or disabled before. */
static bool find(const struct command_words *words, const char *verb, struct database **database,
		 struct error *error)
{
	*database = NULL;
	if (words->count < 2)
		return true;
	*database = registry_database(words->word[1]);
	if (!*database)
		return error_set(error, SQLSTATE_INVALID_CATALOG_NAME, "no such database: %s",
				 words->word[1]);
	if ((*database)->is_console)
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "cannot %s admin db: %s",
				 verb, words->word[1]);
	return true;
}

static void log_command(const char *name, const struct command_words *words)
{
	if (words->count > 1)
		log_info("", "%s '%s' command issued", name, words->word[1]);
	else
		log_info("", "%s command issued", name);
}

enum control_end control_command_reload(const struct command_words *words, struct error *error)
{
	struct error why;
	log_command("RELOAD", words);
	if (control_reload(&why))
		return CONTROL_DONE;
	log_warning("", "config file loading failed: %s", why.message);
	error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
		  "RELOAD failed, see logs for additional details");
	error_detail(error, "%s", why.message);
	return CONTROL_FAILED;
}

enum control_end control_command_pause(const struct command_words *words, struct error *error)
{
	struct database *database;
	if (!find(words, "pause", &database, error))
		return CONTROL_FAILED;
	if (pool_all_paused() || (database && database->is_paused))
		return end(error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				     "already suspended/paused"));
	log_command("PAUSE", words);
	if (database) {
		database->is_paused = true;
		each_pool(database, close_idle);
	} else {
		control_pause_all();
	}
	return CONTROL_PAUSES;
}

enum control_end control_command_resume(const struct command_words *words, struct error *error)
{
	struct database *database;
	if (!find(words, "resume", &database, error))
		return CONTROL_FAILED;
	if (!database) {
		log_command("RESUME", words);
		return end(control_resume_all(error));
	}
	if (!database->is_paused)
		return end(error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				     "database %s is not paused", database->name));
	log_command("RESUME", words);
	database->is_paused = false;
	go_on(database);
	return CONTROL_DONE;
}

static enum control_end set_disabled(const struct command_words *words, const char *name,
				     const char *verb, bool disabled, struct error *error)
{
	struct database *database;
	if (words->count < 2)
		return end(error_set(error, SQLSTATE_SYNTAX_ERROR, "a database is required"));
	if (!find(words, verb, &database, error))
		return CONTROL_FAILED;
	log_command(name, words);
	database->is_disabled = disabled;
	return CONTROL_DONE;
}

enum control_end control_command_disable(const struct command_words *words, struct error *error)
{
	return set_disabled(words, "DISABLE", "disable", true, error);
}

enum control_end control_command_enable(const struct command_words *words, struct error *error)
{
	return set_disabled(words, "ENABLE", "enable", false, error);
}

enum control_end control_command_reconnect(const struct command_words *words, struct error *error)
{
	struct database *database;
	if (!find(words, "reconnect", &database, error))
		return CONTROL_FAILED;
	log_command("RECONNECT", words);
	each_pool(database, reconnect);
	return CONTROL_DONE;
}

enum control_end control_command_kill(const struct command_words *words, struct error *error)
{
	struct database *database;
	if (!find(words, "kill", &database, error))
		return CONTROL_FAILED;
	if (pool_all_paused())
		return end(error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				     "already suspended/paused"));
	log_command("KILL", words);
	map_foreach (node, registry_databases()) {
		struct database *each = container_of(node, struct database, node);
		if (!each->is_console && (!database || each == database))
			each->is_paused = true;
	}
	each_pool(database, kill_pool);
	return CONTROL_DONE;
}

enum control_end control_command_kill_client(const struct command_words *words, struct error *error)
{
	int64_t id;
	if (words->count != 2 || !text_to_int(words->word[1], &id) || id <= 0)
		return end(error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE,
				     "invalid client pointer supplied"));
	struct client *client = client_find((uint64_t)id);
	if (!client)
		return end(error_set(error, SQLSTATE_UNDEFINED_OBJECT, "client not found"));
	log_command("KILL_CLIENT", words);
	client_close(client, CLOSE_ADMIN_DISCONNECT, NULL);
	return CONTROL_DONE;
}

enum control_end control_command_wait_close(const struct command_words *words, struct error *error)
{
	struct database *database;
	if (!find(words, "wait in", &database, error))
		return CONTROL_FAILED;
	log_command("WAIT_CLOSE", words);
	return CONTROL_CLOSES;
}

enum control_end control_command_shutdown(const struct command_words *words, struct error *error)
{
	enum gate_shutdown how = GATE_IMMEDIATE;
	if (words->count == 2 && text_equals_nocase(words->word[1], "wait_for_servers"))
		how = GATE_WAIT_FOR_SERVERS;
	else if (words->count == 2 && text_equals_nocase(words->word[1], "wait_for_clients"))
		how = GATE_WAIT_FOR_CLIENTS;
	else if (words->count != 1)
		return end(error_set(error, SQLSTATE_SYNTAX_ERROR,
				     "bad arguments: SHUTDOWN, SHUTDOWN WAIT_FOR_SERVERS or "
				     "SHUTDOWN WAIT_FOR_CLIENTS"));
	if (how != GATE_IMMEDIATE && gate_state() != GATE_OPEN)
		return end(
			error_set(error, SQLSTATE_CANNOT_CONNECT_NOW, "pooler is shutting down"));
	log_info("", "SHUTDOWN%s command issued",
		 how == GATE_WAIT_FOR_SERVERS	? " WAIT_FOR_SERVERS"
		 : how == GATE_WAIT_FOR_CLIENTS ? " WAIT_FOR_CLIENTS"
						: "");
	control_shutdown(how);
	return how == GATE_IMMEDIATE ? CONTROL_GONE : CONTROL_DONE;
}

enum control_end control_command_set(const struct command_words *words, struct error *error)
{
	struct error why;
	if (words->count != 3 || !words->has_equals)
		return end(
			error_set(error, SQLSTATE_SYNTAX_ERROR, "bad arguments: SET name = value"));
	enum setting_index index = setting_find(words->word[1]);
	if (index == SETTING_COUNT)
		error_set(&why, SQLSTATE_UNDEFINED_OBJECT, "unknown parameter \"%s\"",
			  words->word[1]);
	if (index == SETTING_COUNT || !snapshot_set(index, words->word[2], &why)) {
		error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE, "SET failed");
		memcpy(error->sqlstate, why.sqlstate, sizeof error->sqlstate);
		return end(error_detail(error, "%s", why.message));
	}
	log_info("", "SET %s=%s", words->word[1], settings_shown(settings_current(), index));
	registry_apply();
	gate_reconfigured();
	if (ops)
		ops->applied();
	return CONTROL_DONE;
}

/* ---- waiting ---- */

static bool has_close_needed(const struct pool *pool)
{
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_CANCELING; place++)
		list_foreach (node, &pool->servers[place])
			if (container_of(node, struct pool_server, node)->close_needed)
				return true;
	return false;
}

enum control_progress control_look(enum control_end what, const char *name)
{
	const struct database *database = name ? registry_find_database(name) : NULL;
	if (name && !database)
		return CONTROL_OVER; /* removed meanwhile */
	if (what == CONTROL_PAUSES && !pool_all_paused() && !(database && database->is_paused))
		return CONTROL_UNDONE;
	list_foreach (node, pool_all()) {
		const struct pool *pool = container_of(node, struct pool, node);
		if (pool->database->is_console || (database && pool->database != database))
			continue;
		if (what == CONTROL_PAUSES ? pool_is_busy(pool) : has_close_needed(pool))
			return CONTROL_WAITS;
	}
	return CONTROL_OVER;
}

void control_take_back(const char *name)
{
	struct database *database = name ? registry_find_database(name) : NULL;
	struct error ignored;
	if (gate_state() != GATE_OPEN)
		return;
	if (name ? !database || !database->is_paused : !pool_all_paused())
		return;
	log_info("", "PAUSE was given up, continuing");
	if (!name) {
		control_resume_all(&ignored);
	} else {
		database->is_paused = false;
		go_on(database);
	}
}
