/* SPDX-License-Identifier: ISC */
/* client_limit: what becomes of a client whose time is over: while it waits for a server, works or
 * is idle. A client's one timer is set to the earliest time at which a limit may be over, which
 * costs a comparison where it begins to work; what is due, and when to look again, is found out
 * when it fires. Contract sections 2, 4, 13, 18. */
#ifndef PGWEIR_CONN_CLIENT_LIMIT_H
#define PGWEIR_CONN_CLIENT_LIMIT_H

#include "conn/client.h"

/* The deadline of a state came: IDLE, ACTIVE; WELCOME, WAITING. */
void client_limit_check(struct client *client);
void client_limit_check_wait(struct client *client);
/* Settings changed: all clients take the limits that are in force now. */
void client_limit_renew(void);

#endif
