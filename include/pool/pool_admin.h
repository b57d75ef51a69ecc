/* SPDX-License-Identifier: ISC */
/* pool_admin: what the administrator, a reload or the end of the process does to pools. */
#ifndef PGWEIR_POOL_POOL_ADMIN_H
#define PGWEIR_POOL_POOL_ADMIN_H

#include "pool/pool_member.h"

/* Close servers that nobody uses: idle, used, and in a paused or draining pool those logging in. */
void pool_close_idle(struct pool *pool, enum close_reason reason);
/* Close every server as soon as it is free, those logging in at once. */
void pool_retire(struct pool *pool, enum close_reason reason);
/* The same, though the servers that come next are no others: what is known of them stays. */
void pool_retire_servers(struct pool *pool, enum close_reason reason);
/* Close one server as soon as it is free. */
void pool_retire_server(struct pool_server *server, enum close_reason reason);
/* Close clients and servers at once. */
void pool_kill(struct pool *pool, enum close_reason reason);

/* Process-wide switches. Unpaused, waiting clients are served. */
void pool_set_paused(bool paused);
/* No new servers any more; clients that wait are rejected (SHUTDOWN WAIT_FOR_SERVERS). */
void pool_set_draining(void);
/* The same for the end of the process: nobody is told. */
void pool_stop_launching(void);

#endif
