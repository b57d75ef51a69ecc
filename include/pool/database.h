/* SPDX-License-Identifier: ISC */
/* database: live counts, limits and switches of one configured (or automatic) database name. */
#ifndef PGWEIR_POOL_DATABASE_H
#define PGWEIR_POOL_DATABASE_H

#include <stdbool.h>
#include "config/feature.h"
#include "config/section.h"
#include "core/list.h"
#include "core/map.h"
#include "pool/host.h"
#include "pool/stats.h"

struct database {
	/* what each transaction touches comes first */
	bool is_console, is_automatic;
	bool is_paused, is_disabled;
	bool is_unproven; /* automatic, and so far only strangers gave its name */
	struct stats stats;
	struct list_node of_unproven;
	bool wants_old_protocol; /* its servers did not answer to protocol 3.2 */
	int peer_id;		 /* not 0: no database, but where a peer is; in no registry */
	struct map_node node;	 /* by name */
	char *name;
	char *dbname;	 /* at the server */
	char *host_text; /* as configured; "" when by Unix socket */
	struct host_list hosts;
	char *user, *password;		/* forced user, or NULL */
	char *connect_query;		/* or NULL */
	char *auth_dbname, *auth_query; /* of the row, or NULL: to see changes */
	char *encryption; /* how its servers are talked to, as words: to see changes */
	uint64_t abandoned_queries, timed_out_queries; /* cancelled: their client vanished;
							  query_timeout */
	uint64_t reused_servers;		       /* after the first of these */
	uint64_t features[FEATURE_COUNT], features_warned,
		features_refused; /* requests that need a session of their own */
	uint64_t login_failures;  /* clients that could not prove who they are */
	char *client_encoding, *datestyle, *timezone,
		*application_name; /* for clients that ask for none; or NULL */
	struct list pools;
	struct list_node of_idle; /* automatic, and nobody uses it: linked in pool_empty's list */
	usec_t idle_since;
	struct list
		held_back; /* pools whose clients wait for max_db_connections; the first is next */
	uint32_t client_count, server_count; /* written by pool/limit only */
	/* of the row; SECTION_UNSET, POOL_MODE_UNSET, BALANCE_UNSET when it does not say */
	enum pool_mode pool_mode;
	enum balance balance;
	int port, pool_size, min_pool_size, reserve_pool_size, max_db_connections,
		max_db_client_connections, max_waiting_clients, session_features;
	usec_t server_lifetime, server_idle_timeout, server_check_delay, server_connect_timeout,
		server_login_retry, client_login_timeout, cancel_wait_timeout, query_timeout,
		query_wait_timeout, query_wait_notify, idle_transaction_timeout,
		transaction_timeout, client_idle_timeout;
	enum timeout_action query_timeout_action;
};

struct database *database_new(const char *name);
/* Take the row's values. Returns whether existing servers are now wrong (dbname, host, port, user,
 * connect_query ...). */
bool database_configure(struct database *database, const struct section_database *row);
void database_free(struct database **database);

#endif
