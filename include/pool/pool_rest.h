/* SPDX-License-Identifier: ISC */
/* pool_rest: how long a server may live and rest: server_lifetime, server_idle_timeout,
 * server_check_delay. */
#ifndef PGWEIR_POOL_POOL_REST_H
#define PGWEIR_POOL_POOL_REST_H

#include "pool/pool_member.h"

/* Why this server may not be used again, or CLOSE_REASON_COUNT: it may. */
enum close_reason pool_verdict(const struct pool_server *server);
/* Close it for such a reason: lifetimes end one after the other. */
void pool_close_for(struct pool_server *server, enum close_reason reason);

/* When an idle or used server is next due for something, 0: never; and what to do about it then. */
usec_t pool_idle_due(const struct pool_server *server);
void pool_idle_check(struct pool_server *server);

#endif
