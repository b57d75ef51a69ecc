/* SPDX-License-Identifier: ISC */
/* server_connect: a server's way from nothing to its first ReadyForQuery, and the connections that
 * carry a CancelRequest. */
#ifndef PGWEIR_CONN_SERVER_CONNECT_H
#define PGWEIR_CONN_SERVER_CONNECT_H

#include "conn/cancel.h"
#include "conn/server.h"

/* Connect and log in a server for @pool: what pool_ops.launch does. */
void server_launch(struct pool *pool);
/* The same for one client, with its start-up parameters (name NUL value NUL ... NUL, @size bytes):
 * the two are linked from now on. Counts as claimed. */
void server_launch_for(struct pool *pool, struct endpoint *client, const char *startup,
		       size_t size);
/* Carry a CancelRequest to where @target lives, for @asker (NULL: of our
 * own). Counts as SERVER_PLACE_CANCELING. */
void server_launch_cancel(struct server *target, struct client *asker);
/* Carry @request to the peer whose @pool it is. */
void server_launch_forward(struct pool *pool, struct client *asker,
			   const struct cancel_request *request);

/* What was received while the answer to SSLRequest is awaited. */
void server_tls_answer(struct server *server, const uint8_t *bytes, size_t size);
/* stream_events.secured */
void server_secured(struct stream *stream, const struct error *failure);
/* Its socket is connected, or is not (an errno). */
void server_connected(struct stream *stream, int error_number);
/* Bytes before the first ReadyForQuery. */
void server_login_input(struct server *server, const uint8_t *bytes, size_t size);
/* Its login ended before the server had said anything. That may be for the version of the protocol:
 * then it is asked again with the older one, at the same address. False: it was not. */
bool server_ask_older(struct server *server);
/* It cannot be used. The pool is told first, so that it waits before it tries again. @refused: by
 * the server's own word. */
void server_fail_login(struct server *server, enum close_reason reason, bool refused,
		       const struct error *error);

#endif
