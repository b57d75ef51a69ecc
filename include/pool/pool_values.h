/* SPDX-License-Identifier: ISC */
/* pool_values: which of the user's, the database's and the global settings are in force in a pool.
 */
#ifndef PGWEIR_POOL_POOL_VALUES_H
#define PGWEIR_POOL_POOL_VALUES_H

#include "pool/pool_member.h"

/* Compute them from the snapshot, the database and the user, and no more: pool_configure() acts on
 * them. */
void pool_take_values(struct pool *pool);

#endif
