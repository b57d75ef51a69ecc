/* SPDX-License-Identifier: ISC */
/* access: who may do what on the console: admin_users all, stats_users SHOW; the system user that
 * runs pgweir, over the Unix socket as "pgbouncer" or "pgweir", all and without a password.
 * Contract section 15. */
#ifndef PGWEIR_ADMIN_ACCESS_H
#define PGWEIR_ADMIN_ACCESS_H

#include <stdbool.h>
#include "conn/client.h"

enum access { ACCESS_NONE, ACCESS_STATS, ACCESS_ADMIN };

/* Is this the system user, at the other end of a Unix socket? */
bool access_is_system_user(const struct client *client, const char *user);
/* What a user who is proven may do. */
enum access access_of(const struct client *client, const char *user);

#endif
