/* SPDX-License-Identifier: ISC */
/* server_event: what a server says, and what else happens to it: messages are looked at as far as
 * they matter and handed to its client, answers to our own queries are swallowed, and what the
 * protocol does not allow closes it. */
#ifndef PGWEIR_CONN_SERVER_EVENT_H
#define PGWEIR_CONN_SERVER_EVENT_H

#include "conn/server.h"

/* Before the first server; @ops is what is done for clients. */
void server_event_open(const struct server_partner_ops *ops);
/* Give its client the answers that are ours, as far as it is their turn. */
void server_event_answer_locally(struct server *server);

#endif
