/* SPDX-License-Identifier: ISC */
/* client_event: what happens to a client, by state: it became readable, its socket drained, its
 * deadline came. */
#ifndef PGWEIR_CONN_CLIENT_EVENT_H
#define PGWEIR_CONN_CLIENT_EVENT_H

#include "conn/client.h"

/* Fill in server_partner_ops. */
void client_event_open(void);
/* Take over an accepted socket. */
struct client *client_accept(int fd, const struct address *remote, const struct address *local);
/* pool_ops.reject */
void client_event_reject(struct pool_client *member, enum close_reason reason,
			 const struct error *error);

#endif
