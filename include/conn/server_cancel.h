/* SPDX-License-Identifier: ISC */
/* server_cancel: cancels of our own: of a query that takes too long, and of one whose client has
 * vanished, after which the server is used again. Nobody else's query is ever hit: a cancel that is
 * under way keeps its server from the next query. */
#ifndef PGWEIR_CONN_SERVER_CANCEL_H
#define PGWEIR_CONN_SERVER_CANCEL_H

#include "conn/server.h"

/* Cancel what @server runs for its client, which gets the server's error. False: that cannot be. */
bool server_cancel_query(struct server *server);
/* The client of @server has left it (they have parted). Cancel what runs, take the answer in,
 * within bounds of time and bytes, roll back and give the server back to its pool. False: it cannot
 * be had back so, and is to be closed. */
bool server_cancel_abandoned(struct server *server);

#endif
