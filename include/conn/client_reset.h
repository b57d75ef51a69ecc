/* SPDX-License-Identifier: ISC */
/* client_reset: RESET and DISCARD ALL of a client bring back what it asked for at start-up, not
 * what the server has of itself: when such a request is done its server is made so before
 * the client hears that it is. Contract section 11. */
#ifndef PGWEIR_CONN_CLIENT_RESET_H
#define PGWEIR_CONN_CLIENT_RESET_H

#include <stdbool.h>
#include <stddef.h>
#include "conn/client.h"

/* Does this text reset anything? */
bool client_resets(const struct client *client, const char *text, size_t size);
/* Such a text is on its way to the client's server. */
void client_reset_note(struct client *client, const char *text, size_t size);

#endif
