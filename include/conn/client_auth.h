/* SPDX-License-Identifier: ISC */
/* client_auth: the way of a client in state AUTH, from what its StartupMessage says to being proven
 * or refused: which method holds for it (auth_type, or the rules of auth_hba_file), whether there
 * is such a user (auth_file, or auth_query), the exchange, and checks that block, which run in
 * threads. Every step may have to wait; whatever waits is cancelled with the login. Contract
 * sections 5, 6, 9. */
#ifndef PGWEIR_CONN_CLIENT_AUTH_H
#define PGWEIR_CONN_CLIENT_AUTH_H

#include "conn/client.h"

struct client_auth_ops {
	/* It is who it says it is; @out has what is to be sent before AuthenticationOk, and is
	 * emptied. */
	void (*proven)(struct client *client, struct buffer **out);
	/* It is refused with @error, which it is to be told. */
	void (*refused)(struct client *client, const struct error *error);
};
void client_auth_open(const struct client_auth_ops *ops);
void client_auth_close(void);

/* Begin; @out has what is to be sent before the first question. One of the ops follows, possibly
 * before this returns. */
void client_auth_begin(struct client *client, struct buffer **out);
/* A message of type 'p' came. */
void client_auth_answer(struct client *client, const struct message *message);
/* Is its next message awaited? Else it has nothing to say yet. */
bool client_auth_awaits(const struct client *client);
/* The longest that it may be. */
uint32_t client_auth_message_max(const struct client *client);
/* What a login that took too long was waiting for; NULL: the client. */
const char *client_auth_waits_for(const struct client *client);

#endif
