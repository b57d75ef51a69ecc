/* SPDX-License-Identifier: ISC */
/* client_replication: clients that replicate, physically or logically. Each has a server of its
 * own, launched for it with its start-up parameters; the two are linked from that moment until
 * either ends, and what one says the other hears, in any pool mode. Contract sections 9, 13. */
#ifndef PGWEIR_CONN_CLIENT_REPLICATION_H
#define PGWEIR_CONN_CLIENT_REPLICATION_H

#include "conn/client.h"

/* It is proven who it is, and was told: it wants its server. */
void client_replication_begin(struct client *client);

/* pool_ops.launch_claimed */
void client_replication_launch(struct pool *pool, struct pool_client *member);
/* server_partner_ops.served: the greeting is that server's. */
void client_replication_served(struct client *client, struct buffer **welcome);
/* server_partner_ops.lost, of any client. */
void client_replication_lost(struct client *client, enum close_reason reason,
			     const struct error *error, bool silently);

#endif
