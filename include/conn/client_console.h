/* SPDX-License-Identifier: ISC */
/* client_console: what a client of the console says goes to the console, a message at a time. */
#ifndef PGWEIR_CONN_CLIENT_CONSOLE_H
#define PGWEIR_CONN_CLIENT_CONSOLE_H

#include "conn/client.h"

/* What it sent. It is kept while an answer is due, or cannot be sent. */
void client_console_input(struct client *client, const uint8_t *bytes, size_t size);
/* It is not @stalled any more: go on with what it sent meanwhile (at the end of the turn). */
void client_console_resume(struct client *client);

#endif
