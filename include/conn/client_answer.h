/* SPDX-License-Identifier: ISC */
/* client_answer: what its server has for a client: answers and errors, values of parameters, its
 * own end, room for more. These are the server_partner_ops, but for settle (client_request). */
#ifndef PGWEIR_CONN_CLIENT_ANSWER_H
#define PGWEIR_CONN_CLIENT_ANSWER_H

#include "conn/client.h"

/* Its server has its values, or will have them before its next request: they are known to be good,
 * and as the server made them from now on. */
void client_answer_take_values(struct client *client);

void client_answer_deliver(struct client *client, const struct iovec *pieces, int count,
			   size_t size);
void client_answer_ready(struct client *client, char status);
void client_answer_prepared(struct client *client);
void client_answer_restored(struct client *client);
void client_answer_unprepared(struct client *client, const struct error *error);
void client_answer_free(struct client *client);
void client_answer_writable(struct client *client);
void client_answer_lost(struct client *client, enum close_reason reason, const struct error *error,
			bool silently);
void client_answer_locally(struct client *client, const void *bytes, size_t size, bool now);
void client_answer_dropped(struct client *client);
void client_answer_replay_begins(struct client *client);
void client_answer_replay(struct client *client, struct buffer *taken);
void client_answer_parameter(struct client *client, const char *name, const char *value);

#endif
