/* SPDX-License-Identifier: ISC */
/* gate: the front of the layer: accepts connections, fills pool_ops, drains at shutdown. */
#ifndef PGWEIR_CONN_GATE_H
#define PGWEIR_CONN_GATE_H

#include <stdbool.h>
#include "net/address.h"

struct error;

/* Fill in the tables that lower layers declare. Before any connection. */
void gate_open(void);
/* Close all connections. */
void gate_close(void);

/* Another configuration is in force: what was learned under the old one is forgotten, and
 * limits of time and tracked parameters are those of the new one, for who is connected or waits,
 * too. */
void gate_reconfigured(void);

/* The listener's callback. */
void gate_accept(int fd, const struct address *remote, const struct address *local);

enum gate_shutdown {
	GATE_OPEN,
	GATE_WAIT_FOR_SERVERS, /* no new servers; waiting clients are told so; over when all servers
				  are free */
	GATE_WAIT_FOR_CLIENTS, /* no new logins but to the console; over when all clients are gone
				*/
	GATE_IMMEDIATE
};
/* Begin to shut down. TCP listeners close; the Unix socket stays for the console. */
void gate_shut(enum gate_shutdown how);
enum gate_shutdown gate_state(void);
/* Called once when shutting down has come to its end. */
void gate_on_end(void (*callback)(void));

#endif
