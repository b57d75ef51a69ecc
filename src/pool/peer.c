/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/peer.h"
#include <stdio.h>
#include <string.h>
#include "config/snapshot.h"
#include "core/memory.h"

enum { DEFAULT_PORT = 6432 };

struct peer *peer_new(int id)
{
	struct peer *peer = memory_alloc(sizeof *peer);
	char name[32];
	snprintf(name, sizeof name, "peer-%d", id);
	peer->id = id;
	peer->database = database_new(name);
	peer->database->peer_id = id;
	peer->database->min_pool_size = 0; /* whatever holds for databases */
	peer->database->reserve_pool_size = 0;
	peer->user = user_new("");
	return peer;
}

void peer_configure(struct peer *peer, const struct section_peer *row)
{
	struct database *database = peer->database;
	int port = row->port == SECTION_UNSET ? DEFAULT_PORT : row->port;
	database->pool_size = row->pool_size;
	if (database->hosts.count && database->port == port &&
	    !strcmp(database->host_text, row->host))
		return;
	memory_free(&database->host_text);
	database->host_text = memory_strdup(row->host);
	database->port = port;
	host_list_fini(&database->hosts);
	host_list_init(&database->hosts, row->host, port, database->balance,
		       settings_current()->unix_socket_dir);
}

void peer_free(struct peer **peer)
{
	if (!*peer)
		return;
	database_free(&(*peer)->database);
	user_free(&(*peer)->user);
	memory_free(peer);
}
