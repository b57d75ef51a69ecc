/* SPDX-License-Identifier: ISC */
/* system_user: the name of a user of this machine. The answer may come from far away (NSS asks
 * LDAP), so that it is asked for in a thread. */
#ifndef PGWEIR_AUTH_SYSTEM_USER_H
#define PGWEIR_AUTH_SYSTEM_USER_H

#include <stdbool.h>
#include <sys/types.h>

struct system_user;

/* @done gets the name of @uid, valid during the call; NULL: it has none, or it could not be found
 * out. Never before this returns. NULL: too many are waiting already. */
struct system_user *system_user_find(uid_t uid, void (*done)(void *context, const char *name),
				     void *context);
/* Nobody waits for it any more. Leaves NULL. */
void system_user_abandon(struct system_user **find);

#endif
