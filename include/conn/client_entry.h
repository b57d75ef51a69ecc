/* SPDX-License-Identifier: ISC */
/* client_entry: what connections say before they are logged-in clients: start-up packets,
 * authentication, the greeting; and CancelRequests, which come the same way. Contract sections
 * 9, 14. */
#ifndef PGWEIR_CONN_CLIENT_ENTRY_H
#define PGWEIR_CONN_CLIENT_ENTRY_H

#include "conn/client.h"

/* Before the first client. */
void client_entry_open(void);

/* A connection that was just accepted: refused if there is no room for it. */
void client_entry_arrived(struct client *client);
/* Bytes in state STARTUP, and in state AUTH. */
void client_entry_startup(struct client *client, const uint8_t *bytes, size_t size);
void client_entry_answer(struct client *client, const uint8_t *bytes, size_t size);

/* The end of a TLS handshake in state TLS; @failure NULL: well. */
void client_entry_secured(struct client *client, const struct error *failure);
/* A connection of our own that was just accepted: it is @user of @database. */
void client_entry_admit(struct client *client, const char *database, const char *user);

/* pool_ops.welcome */
void client_entry_welcome(struct pool_client *member);
/* No logins but to the console. */
void client_entry_refuse_logins(bool refuse);

#endif
