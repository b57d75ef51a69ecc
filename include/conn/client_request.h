/* SPDX-License-Identifier: ISC */
/* client_request: what a logged-in client asks, and what servers have for it: a server is asked for
 * when there is something to answer, requests go on to it, answers come back, and the two part when
 * it is clean and the pool's mode says so. */
#ifndef PGWEIR_CONN_CLIENT_REQUEST_H
#define PGWEIR_CONN_CLIENT_REQUEST_H

#include "conn/client.h"

/* Before the first client. */
void client_request_open(void);
/* Bytes of an idle client: ask for a server when they deserve one, else keep them. */
void client_request_begin(struct client *client, const uint8_t *bytes, size_t size);
/* Bytes of a linked client, for its server. */
void client_request_forward(struct client *client, const uint8_t *bytes, size_t size);
/* It waits for a server: its oldest request fails with @error, and the session goes on with what it
 * sent behind that. False: it has asked for nothing. */
bool client_request_cancel(struct client *client, const struct error *error);
/* Go on with bytes that had to wait. */
void client_request_go_on(struct client *client);
/* It will send nothing more. Answers that are owed are still delivered, within bounds. */
void client_request_depart(struct client *client, enum close_reason reason);

/* pool_ops.assign, of a client that has logged in. */
void client_request_assign(struct pool_client *member, struct pool_server *server);

/* @server is to take its values before it is greeted (CLIENT_TRIAL). Nothing may have to be done
 * for that: then it is not @stalled. */
void client_request_try(struct client *client, struct server *server);
/* Its server has its values, or will have them before its next request: they are known to be good,
 * and as the server made them from now on. */
void client_request_take_values(struct client *client);
/* It is not @stalled any more. */
void client_request_unstall(struct client *client);

/* server_partner_ops */
void client_request_deliver(struct client *client, const struct iovec *pieces, int count,
			    size_t size);
void client_request_ready(struct client *client, char status);
void client_request_settle(struct client *client);
void client_request_prepared(struct client *client);
void client_request_restored(struct client *client);
void client_request_unprepared(struct client *client, const struct error *error);
void client_request_free(struct client *client);
void client_request_writable(struct client *client);
void client_request_lost(struct client *client, enum close_reason reason, const struct error *error,
			 bool silently);
void client_request_answer(struct client *client, const void *bytes, size_t size, bool now);
void client_request_dropped(struct client *client);
void client_request_replay_begins(struct client *client);
void client_request_replay(struct client *client, struct buffer *taken);
void client_request_parameter(struct client *client, const char *name, const char *value);

#endif
