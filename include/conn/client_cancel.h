/* SPDX-License-Identifier: ISC */
/* client_cancel: what becomes of a client that says a CancelRequest. Whom it means may run a query:
 * then a connection carries the request to the server; wait for a server: then its request fails at
 * once; be idle; be a console that waits; or be a client of a peer, to which the request is sent
 * on. Connections that carry requests are bounded, for each server and for each pool: who comes
 * beyond that waits. Its request itself is what such a client holds. Contract section 14. */
#ifndef PGWEIR_CONN_CLIENT_CANCEL_H
#define PGWEIR_CONN_CLIENT_CANCEL_H

#include "conn/client.h"
#include "proto/startup.h"

/* @asker said @packet, of which @startup is a view. */
void client_cancel_begin(struct client *asker, const struct startup *startup,
			 const uint8_t *packet);
/* server_partner_ops.cancel_ended */
void client_cancel_ended(struct client *asker, struct pool *pool);

#endif
