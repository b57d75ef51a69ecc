/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/database.h"
#include <string.h>
#include "config/snapshot.h"
#include "core/memory.h"

enum { DEFAULT_PORT = 5432 };

struct database *database_new(const char *name)
{
	struct database *database = memory_alloc(sizeof *database);
	database->name = memory_strdup(name);
	database->dbname = memory_strdup(name);
	database->host_text = memory_strdup("");
	database->port = DEFAULT_PORT;
	database->pool_mode = POOL_MODE_UNSET;
	database->balance = BALANCE_UNSET;
	database->pool_size = database->min_pool_size = database->reserve_pool_size = SECTION_UNSET;
	database->max_db_connections = database->max_db_client_connections = SECTION_UNSET;
	database->max_waiting_clients = database->session_features = SECTION_UNSET;
	database->query_timeout_action = TIMEOUT_ACTION_UNSET;
	database->server_idle_timeout = database->server_check_delay =
		database->server_connect_timeout = database->query_wait_notify = SECTION_UNSET;
	database->server_login_retry = database->client_login_timeout =
		database->cancel_wait_timeout = SECTION_UNSET;
	database->server_lifetime = database->query_timeout = database->query_wait_timeout =
		SECTION_UNSET;
	database->idle_transaction_timeout = database->transaction_timeout =
		database->client_idle_timeout = SECTION_UNSET;
	list_init(&database->pools);
	list_init(&database->held_back);
	return database;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Replace a text; true: it is another one. The old one is erased, for it may be a secret. */
static bool take(char **field, const char *value)
{
	if (same(*field, value))
		return false;
	memory_free_secret(field);
	*field = value ? memory_strdup(value) : NULL;
	return true;
}

bool database_configure(struct database *database, const struct section_database *row)
{
	int port = row->port == SECTION_UNSET ? DEFAULT_PORT : row->port;
	bool changed = false;
	changed |= take(&database->dbname, row->dbname ? row->dbname : database->name);
	changed |= take(&database->host_text, row->host ? row->host : "");
	changed |= take(&database->user, row->user);
	take(&database->password, row->password);
	changed |= take(&database->connect_query, row->connect_query);
	changed |= take(&database->auth_dbname, row->auth_dbname);
	changed |= take(&database->auth_query, row->auth_query);
	changed |= take(&database->encryption,
			snapshot_server_tls(snapshot_current(), database->name)->words);
	changed |= database->port != port || database->balance != row->load_balance_hosts;
	take(&database->client_encoding, row->client_encoding);
	take(&database->datestyle, row->datestyle);
	take(&database->timezone, row->timezone);
	take(&database->application_name, row->application_name);
	database->port = port;
	database->balance = row->load_balance_hosts;
	database->pool_mode = row->pool_mode;
	database->pool_size = row->pool_size;
	database->min_pool_size = row->min_pool_size;
	database->reserve_pool_size = row->reserve_pool_size;
	database->max_db_connections = row->max_db_connections;
	database->max_db_client_connections = row->max_db_client_connections;
	database->server_lifetime = row->server_lifetime;
	database->server_idle_timeout = row->server_idle_timeout;
	database->server_check_delay = row->server_check_delay;
	database->server_connect_timeout = row->server_connect_timeout;
	database->server_login_retry = row->server_login_retry;
	database->client_login_timeout = row->client_login_timeout;
	database->cancel_wait_timeout = row->cancel_wait_timeout;
	database->query_wait_notify = row->query_wait_notify;
	database->max_waiting_clients = row->max_waiting_clients;
	database->session_features = row->session_features;
	database->query_timeout_action = row->query_timeout_action;
	database->query_timeout = row->query_timeout;
	database->query_wait_timeout = row->query_wait_timeout;
	database->idle_transaction_timeout = row->idle_transaction_timeout;
	database->transaction_timeout = row->transaction_timeout;
	database->client_idle_timeout = row->client_idle_timeout;
	if (changed)
		database->wants_old_protocol = false;
	if (changed || !database->hosts.count) {
		host_list_fini(&database->hosts);
		host_list_init(&database->hosts, database->host_text, port, database->balance,
			       settings_current()->unix_socket_dir);
	}
	return changed;
}

void database_free(struct database **database)
{
	struct database *d = *database;
	if (!d)
		return;
	host_list_fini(&d->hosts);
	memory_free(&d->name);
	memory_free(&d->dbname);
	memory_free(&d->host_text);
	memory_free(&d->user);
	memory_free_secret(&d->password);
	memory_free(&d->connect_query);
	memory_free(&d->auth_dbname);
	memory_free_secret(&d->auth_query);
	memory_free(&d->encryption);
	memory_free(&d->client_encoding);
	memory_free(&d->datestyle);
	memory_free(&d->timezone);
	memory_free(&d->application_name);
	memory_free(database);
}
