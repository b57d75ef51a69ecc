/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/show_pool.h"
#include <stdio.h>
#include <string.h>
#include "config/snapshot.h"
#include "conn/client.h"
#include "core/memory.h"
#include "net/resolver.h"
#include "pool/limit.h"
#include "pool/registry.h"

/* NULL where there is nothing to balance. */
static const char *balance_of(const struct database *database)
{
	if (database->hosts.count < 2)
		return NULL;
	return database->balance == BALANCE_DISABLE ? "disable" : "round-robin";
}

/* ---- POOLS ---- */

struct pool_info {
	const char *database, *user, *pool_mode, *load_balance_hosts;
	int64_t cl_active, cl_waiting, cl_active_cancel_req, cl_waiting_cancel_req;
	int64_t sv_active, sv_active_cancel, sv_being_canceled, sv_idle, sv_used, sv_tested,
		sv_login;
	int64_t maxwait, maxwait_us;
};

#define C(type, field, doc) SHOW_COLUMN(type, pool_info, field, #field, doc)
static const struct result_column pool_columns[] = {
	C(TEXT, database, "Name of the database."),
	C(TEXT, user, "Who is logged in at the server."),
	C(INT4, cl_active, "Clients that are linked to a server or idle."),
	C(INT4, cl_waiting, "Clients that wait for a server."),
	C(INT4, cl_active_cancel_req, "CancelRequests on their way to the server."),
	C(INT4, cl_waiting_cancel_req, "CancelRequests that wait for a connection."),
	C(INT4, sv_active, "Servers linked to a client."),
	C(INT4, sv_active_cancel, "Connections that carry a CancelRequest."),
	C(INT4, sv_being_canceled, "Servers that wait until CancelRequests against them are done."),
	C(INT4, sv_idle, "Servers that can be used at once."),
	C(INT4, sv_used,
	  "Servers idle for longer than server_check_delay: tested before they are used."),
	C(INT4, sv_tested, "Servers in a reset or check query."),
	C(INT4, sv_login, "Servers logging in."),
	C(INT4, maxwait, "How long the first client in the queue has waited, whole seconds."),
	C(INT4, maxwait_us, "... and microseconds beyond."),
	C(TEXT, pool_mode, "Pool mode in force."),
	C(TEXT, load_balance_hosts, "How the hosts of the database are used."),
};
#undef C

static void pool_rows(struct result *result)
{
	list_foreach (node, pool_all()) {
		const struct pool *pool = container_of(node, struct pool, node);
		const struct list *c = pool->clients, *s = pool->servers;
		usec_t wait = pool_longest_wait(pool);
		struct pool_info info = {
			.database = pool->database->name,
			.user = pool->user->name,
			.pool_mode = pool_mode_name(pool->mode),
			.load_balance_hosts = balance_of(pool->database),
			.cl_active = c[CLIENT_PLACE_ACTIVE].length,
			.cl_waiting = c[CLIENT_PLACE_WAITING].length +
				      c[CLIENT_PLACE_WELCOME].length +
				      c[CLIENT_PLACE_CLAIM].length + c[CLIENT_PLACE_CLAIMED].length,
			.cl_active_cancel_req = c[CLIENT_PLACE_CANCEL_ACTIVE].length,
			.cl_waiting_cancel_req = c[CLIENT_PLACE_CANCEL_WAITING].length,
			.sv_active = s[SERVER_PLACE_ACTIVE].length,
			.sv_active_cancel = s[SERVER_PLACE_CANCELING].length,
			.sv_being_canceled = s[SERVER_PLACE_BEING_CANCELED].length,
			.sv_idle = s[SERVER_PLACE_IDLE].length,
			.sv_used = s[SERVER_PLACE_USED].length,
			.sv_tested = s[SERVER_PLACE_TESTED].length,
			.sv_login = s[SERVER_PLACE_LOGIN].length,
			.maxwait = wait / USEC_PER_SECOND,
			.maxwait_us = wait % USEC_PER_SECOND,
		};
		result_row(result, &info);
	}
}

/* ---- DATABASES ---- */

struct database_info {
	const char *name, *host, *database, *force_user, *pool_mode, *load_balance_hosts;
	int64_t port, pool_size, min_pool_size, reserve_pool_size, server_lifetime, max_connections,
		current_connections;
	int64_t max_client_connections, current_client_connections, paused, disabled;
};

#define C(type, field, doc) SHOW_COLUMN(type, database_info, field, #field, doc)
static const struct result_column database_columns[] = {
	C(TEXT, name, "Name that clients ask for."),
	C(TEXT, host, "Host or hosts, NULL for the Unix socket."),
	C(INT4, port, "Port of the server."),
	C(TEXT, database, "Name at the server."),
	C(TEXT, force_user,
	  "Who logs in at the server whoever the client is; NULL: the client's user."),
	C(INT4, pool_size, "Server connections of each pool."),
	C(INT4, min_pool_size, "Server connections kept at least."),
	C(INT4, reserve_pool_size, "Extra server connections."),
	C(INT4, server_lifetime, "Age at which server connections are replaced, seconds."),
	C(TEXT, pool_mode, "Pool mode of the row; NULL: the default."),
	C(TEXT, load_balance_hosts, "How several hosts are used."),
	C(INT4, max_connections, "Bound on server connections, 0: none."),
	C(INT4, current_connections, "Server connections now."),
	C(INT4, max_client_connections, "Bound on clients, 0: none."),
	C(INT4, current_client_connections, "Clients now."),
	C(INT4, paused, "1: paused."),
	C(INT4, disabled, "1: no logins."),
};
#undef C

static int64_t own_or(int64_t own, int64_t global)
{
	return own != SECTION_UNSET ? own : global;
}

static void database_row(struct result *result, const struct database *d)
{
	const struct settings *s = settings_current();
	if (d->is_automatic && !d->client_count && !d->server_count && !d->is_paused &&
	    !d->is_disabled)
		return; /* one of many that somebody once asked for */
	struct database_info info = {
		.name = d->name,
		.host = *d->host_text ? d->host_text : NULL,
		.port = d->is_console ? s->listen_port : d->port,
		.database = d->dbname,
		.force_user = d->is_console ? "pgbouncer" : d->user,
		.pool_size = d->is_console ? 2 : own_or(d->pool_size, s->default_pool_size),
		.min_pool_size = own_or(d->min_pool_size, d->is_console ? 0 : s->min_pool_size),
		.reserve_pool_size =
			own_or(d->reserve_pool_size, d->is_console ? 0 : s->reserve_pool_size),
		.server_lifetime = own_or(d->server_lifetime, s->server_lifetime) / USEC_PER_SECOND,
		.pool_mode = d->is_console		       ? "statement"
			     : d->pool_mode == POOL_MODE_UNSET ? NULL
							       : pool_mode_name(d->pool_mode),
		.load_balance_hosts = balance_of(d),
		.max_connections = limit_database_servers(d),
		.current_connections = d->server_count,
		.max_client_connections = limit_database_clients(d),
		.current_client_connections = d->client_count,
		.paused = d->is_paused,
		.disabled = d->is_disabled,
	};
	result_row(result, &info);
}

static void database_rows(struct result *result)
{
	map_foreach (node, registry_databases())
		database_row(result, container_of(node, struct database, node));
}

/* ---- USERS ---- */

struct user_info {
	const char *name, *pool_size, *reserve_pool_size, *pool_mode;
	int64_t max_user_connections, current_connections, max_user_client_connections,
		current_client_connections;
};

#define C(type, field, doc) SHOW_COLUMN(type, user_info, field, #field, doc)
static const struct result_column user_columns[] = {
	C(TEXT, name, "Name of the user."),
	C(TEXT, pool_size, "Pool size of the [users] row, blank: none."),
	C(TEXT, reserve_pool_size, "Reserve pool size of the row, blank: none."),
	C(TEXT, pool_mode, "Pool mode of the row; NULL: none."),
	C(INT4, max_user_connections, "Bound on server connections, 0: none."),
	C(INT4, current_connections, "Server connections now."),
	C(INT4, max_user_client_connections, "Bound on clients, 0: none."),
	C(INT4, current_client_connections, "Clients now."),
};
#undef C

static const char *padded(int value, char text[16])
{
	if (value == SECTION_UNSET)
		return "";
	snprintf(text, 16, "%9d", value);
	return text;
}

static void user_rows(struct result *result)
{
	map_foreach (node, registry_users()) {
		const struct user *user = container_of(node, struct user, node);
		char size[16], reserve[16];
		if (!user->is_configured && !user->client_count && !user->pools.length)
			continue; /* nobody but a login that was refused knows the name */
		struct user_info info = {
			.name = user->name,
			.pool_size = padded(user->pool_size, size),
			.reserve_pool_size = padded(user->reserve_pool_size, reserve),
			.pool_mode = user->pool_mode == POOL_MODE_UNSET
					     ? NULL
					     : pool_mode_name(user->pool_mode),
			.max_user_connections = limit_user_servers(user),
			.current_connections = user->server_count,
			.max_user_client_connections = limit_user_clients(user),
			.current_client_connections = user->client_count,
		};
		result_row(result, &info);
	}
}

/* ---- LISTS ---- */

struct list_info {
	const char *list;
	int64_t items;
};

static const struct result_column list_columns[] = {
	SHOW_COLUMN(TEXT, list_info, list, "list", "What is counted."),
	SHOW_COLUMN(INT4, list_info, items, "items", "How many there are."),
};

static int64_t cached(const char *name, bool used)
{
	for (const struct memory_cache *cache = memory_cache_first(); cache; cache = cache->next)
		if (!strcmp(cache->name, name))
			return used ? cache->used : cache->free;
	return 0;
}

static void list_rows(struct result *result)
{
	struct resolver_counts dns;
	resolver_count(&dns);
	const struct list_info rows[] = {
		{"databases", map_length(registry_databases())},
		{"users", map_length(registry_users())},
		{"peers", map_length(registry_peers())},
		{"pools", pool_all()->length},
		{"peer_pools", pool_of_peers()->length},
		{"free_clients", cached("client_cache", false)},
		{"used_clients", cached("client_cache", true)},
		{"login_clients", client_login_count()},
		{"free_servers", cached("server_cache", false)},
		{"used_servers", cached("server_cache", true)},
		{"dns_names", dns.names},
		{"dns_zones", dns.zones},
		{"dns_queries", dns.queries},
		{"dns_pending", dns.pending},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		result_row(result, &rows[i]);
}

/* ---- STATE, PEERS ---- */

struct state_info {
	const char *key, *value;
};

static const struct result_column state_columns[] = {
	SHOW_COLUMN(TEXT, state_info, key, "key", "active, paused or suspended."),
	SHOW_COLUMN(TEXT, state_info, value, "value", "yes or no."),
};

static void state_rows(struct result *result)
{
	const struct state_info rows[] = {
		{"active", pool_all_paused() ? "no" : "yes"},
		{"paused", pool_all_paused() ? "yes" : "no"},
		{"suspended", "no"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		result_row(result, &rows[i]);
}

struct peer_info {
	int64_t peer_id, port, pool_size, cl_active_cancel_req, cl_waiting_cancel_req,
		sv_active_cancel, sv_login;
	const char *host;
};

#define C(type, field, doc) SHOW_COLUMN(type, peer_info, field, #field, doc)
static const struct result_column peer_columns[] = {
	C(INT4, peer_id, "Number of the peer."),
	C(TEXT, host, "Its address."),
	C(INT4, port, "Its port."),
	C(INT4, pool_size, "Connections to it at a time."),
};
static const struct result_column peer_pool_columns[] = {
	C(INT4, peer_id, "Number of the peer."),
	C(INT4, cl_active_cancel_req, "CancelRequests being forwarded."),
	C(INT4, cl_waiting_cancel_req, "CancelRequests that wait."),
	C(INT4, sv_active_cancel, "Connections that have said one and wait for its end."),
	C(INT4, sv_login, "Connections being made."),
};
#undef C

static void peer_rows(struct result *result)
{
	map_foreach (node, registry_peers()) {
		const struct peer *peer = container_of(node, struct peer, node);
		struct peer_info info = {
			.peer_id = peer->id,
			.host = peer->database->host_text,
			.port = peer->database->port,
			.pool_size = peer->pool->size,
		};
		result_row(result, &info);
	}
}

static void peer_pool_rows(struct result *result)
{
	map_foreach (node, registry_peers()) {
		const struct peer *peer = container_of(node, struct peer, node);
		const struct list *clients = peer->pool->clients;
		struct peer_info info = {
			.peer_id = peer->id,
			.cl_active_cancel_req = clients[CLIENT_PLACE_CANCEL_ACTIVE].length,
			.cl_waiting_cancel_req = clients[CLIENT_PLACE_CANCEL_WAITING].length,
		};
		list_foreach (member, &peer->pool->servers[SERVER_PLACE_CANCELING]) {
			if (server_has_said_cancel(server_of_member(
				    container_of(member, struct pool_server, node))))
				info.sv_active_cancel++;
			else
				info.sv_login++;
		}
		result_row(result, &info);
	}
}

static const struct show shows[] = {
	SHOW_ROW("DATABASES", database_columns, database_rows,
		 "The configured databases and those in use."),
	SHOW_ROW("POOLS", pool_columns, pool_rows, "Clients and servers of each pool by state."),
	SHOW_ROW("USERS", user_columns, user_rows,
		 "The users of auth_file and [users], and those who logged in."),
	SHOW_ROW("LISTS", list_columns, list_rows, "How many of everything there are."),
	SHOW_ROW("STATE", state_columns, state_rows, "Whether everything is paused."),
	SHOW_ROW("PEERS", peer_columns, peer_rows, "The configured peers."),
	SHOW_ROW("PEER_POOLS", peer_pool_columns, peer_pool_rows,
		 "CancelRequests on their way to peers."),
};

const struct show *show_pool_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
