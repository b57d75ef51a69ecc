/* SPDX-License-Identifier: ISC */
/* ban: how often logins from an address failed lately. Unix sockets are not counted. Memory is
 * bounded: the addresses that failed longest ago are forgotten first. */
#ifndef PGWEIR_AUTH_BAN_H
#define PGWEIR_AUTH_BAN_H

#include <stdbool.h>
#include "core/clock.h"
#include "net/address.h"

enum { BAN_ADDRESSES_MAX = 10000 };

/* A login failed @now. What was longer than @window ago does not count any more. */
void ban_note_failure(const struct address *address, usec_t now, usec_t window);
/* Did @limit logins fail within the last @window? A @limit of 0 bans nobody. */
bool ban_holds(const struct address *address, usec_t now, int limit, usec_t window);
/* Forget all. */
void ban_release(void);

#endif
