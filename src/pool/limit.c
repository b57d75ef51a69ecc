/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/limit.h"
#include "config/snapshot.h"
#include "core/error.h"

static uint32_t connections;

void limit_connection_opened(void)
{
	connections++;
}

void limit_connection_closed(void)
{
	connections--;
}

uint32_t limit_connections(void)
{
	return connections;
}

static bool admits(uint32_t beyond, struct error *error)
{
	if (connections <= (uint32_t)settings_current()->max_client_conn + beyond)
		return true;
	return error_set(error, SQLSTATE_TOO_MANY_CONNECTIONS,
			 "no more connections allowed (max_client_conn)");
}

bool limit_admits_connection(struct error *error)
{
	return admits(0, error);
}

bool limit_admits_entrant(struct error *error)
{
	return admits(LIMIT_ENTRANCE, error);
}

/* The first of two bounds that is set and above 0. */
static int bound(int own, int global)
{
	return own > 0 ? own : global;
}

int limit_database_servers(const struct database *database)
{
	return bound(database->max_db_connections, settings_current()->max_db_connections);
}

int limit_database_clients(const struct database *database)
{
	return bound(database->max_db_client_connections,
		     settings_current()->max_db_client_connections);
}

int limit_user_servers(const struct user *user)
{
	return bound(user->max_user_connections, settings_current()->max_user_connections);
}

int limit_user_clients(const struct user *user)
{
	return bound(user->max_user_client_connections,
		     settings_current()->max_user_client_connections);
}

static bool reached(uint32_t count, int limit)
{
	return limit > 0 && count >= (uint32_t)limit;
}

bool limit_admits_client(const struct database *database, const struct user *user,
			 struct error *error)
{
	if (database->is_console)
		return true;
	if (reached(database->client_count, limit_database_clients(database)))
		return error_set(error, SQLSTATE_TOO_MANY_CONNECTIONS,
				 "client connections exceeded (max_db_client_connections)");
	if (reached(user->client_count, limit_user_clients(user)))
		return error_set(error, SQLSTATE_TOO_MANY_CONNECTIONS,
				 "client connections exceeded (max_user_client_connections)");
	return true;
}

void limit_client_added(struct database *database, struct user *user)
{
	database->client_count++;
	user->client_count++;
}

void limit_client_removed(struct database *database, struct user *user)
{
	database->client_count--;
	user->client_count--;
}

bool limit_is_reached(enum limit_verdict bound, const struct database *database,
		      const struct user *user)
{
	if (bound == LIMIT_DATABASE)
		return reached(database->server_count, limit_database_servers(database));
	return bound == LIMIT_USER && reached(user->server_count, limit_user_servers(user));
}

static bool exceeded(uint32_t count, int limit)
{
	return limit > 0 && count > (uint32_t)limit;
}

bool limit_is_exceeded(const struct database *database, const struct user *user)
{
	return exceeded(database->server_count, limit_database_servers(database)) ||
	       exceeded(user->server_count, limit_user_servers(user));
}

enum limit_verdict limit_admits_server(const struct database *database, const struct user *user)
{
	if (limit_is_reached(LIMIT_DATABASE, database, user))
		return LIMIT_DATABASE;
	return limit_is_reached(LIMIT_USER, database, user) ? LIMIT_USER : LIMIT_FREE;
}

void limit_server_added(struct database *database, struct user *user)
{
	database->server_count++;
	user->server_count++;
}

void limit_server_removed(struct database *database, struct user *user)
{
	database->server_count--;
	user->server_count--;
}
