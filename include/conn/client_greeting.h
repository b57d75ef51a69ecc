/* SPDX-License-Identifier: ISC */
/* client_greeting: ParameterStatus, BackendKeyData and ReadyForQuery for a client that is known to
 * be who it says it is. If it asks for extras that no server of its pool has had, one must take
 * them first: then a wrong value is refused at login, as PostgreSQL does. Contract section 9. */
#ifndef PGWEIR_CONN_CLIENT_GREETING_H
#define PGWEIR_CONN_CLIENT_GREETING_H

#include "conn/client.h"

/* Greet a client of state AUTH or WELCOME, whose pool's welcome is there, now or when its values
 * are tried. What is in *@out leaves with that, or before. */
void client_greet(struct client *client, struct buffer **out);

/* pool_ops.assign */
void client_greeting_assign(struct pool_client *member, struct pool_server *server);
/* server_partner_ops.prepared */
void client_greeting_prepared(struct client *client);
/* pool_ops.drop_greeting */
void client_greeting_drop(void *taken);

#endif
