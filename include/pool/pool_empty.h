/* SPDX-License-Identifier: ISC */
/* pool_empty: pools that have neither clients nor servers, and automatic databases that nobody
 * uses, each in the order in which they came to that: the first is the first to be forgotten
 * (pool_idle_timeout, autodb_idle_timeout). */
#ifndef PGWEIR_POOL_POOL_EMPTY_H
#define PGWEIR_POOL_POOL_EMPTY_H

#include "pool/pool_member.h"

/* A client or server joined the pool. Harmless twice. */
void pool_empty_end(struct pool *pool);
/* It is going away. */
void pool_empty_forget(struct pool *pool);
/* ... left it. */
void pool_empty_begin(struct pool *pool);
/* The same for a database without pools. */
void database_idle_end(struct database *database);
void database_idle_begin(struct database *database);

/* The first of each, NULL: there is none. */
struct pool *pool_empty_first(void);
struct database *database_idle_first(void);
/* Told when something became empty while nothing was. */
void pool_empty_on_first(void (*callback)(void));

#endif
