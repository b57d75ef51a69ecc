/* SPDX-License-Identifier: ISC */
/* derive: SCRAM keys from passwords, in a thread: the other side says how many hashes that takes.
 * At load the keys of all plain passwords of auth_file are made, one after the other in the
 * background: a user's first login shall take no longer than that of a name that nobody has. */
#ifndef PGWEIR_CONN_DERIVE_H
#define PGWEIR_CONN_DERIVE_H

#include <stdbool.h>
#include "auth/scram.h"

struct derive;

/* Derive, keep the result in the cache, call @done with it. @taken is moved from. NULL: too many
 * are waiting already; @taken is erased. */
struct derive *derive_begin(struct scram_derivation *taken,
			    void (*done)(void *context, const struct scram_derivation *derived),
			    void *context);
/* Nobody waits for it any more. Leaves NULL. */
void derive_abandon(struct derive **derive);

/* Make the keys of auth_file's plain passwords, if clients log in with SCRAM. After each load. */
void derive_known(void);

#endif
