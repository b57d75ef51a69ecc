/* SPDX-License-Identifier: ISC */
/* client_request: what a logged-in client asks: a server is asked for when there is something to
 * answer, requests go on to it, and the two part when it is clean and the pool's mode says so. */
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
/* It is not @stalled any more. */
void client_request_unstall(struct client *client);

/* server_partner_ops.settle: what there was to answer is answered, perhaps; then the two part. */
void client_request_settle(struct client *client);
/* The same after what it sent: that may have been the rest of a failed COPY, or the last of a
 * message, and nothing more comes from the server then that would say that they can part. */
void client_request_settle_if_clean(struct client *client, const struct server *server);

#endif
