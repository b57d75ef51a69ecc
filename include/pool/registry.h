/* SPDX-License-Identifier: ISC */
/* registry: databases, users and pools by name, peers by number; applies a new snapshot; creates
 * automatic databases. */
#ifndef PGWEIR_POOL_REGISTRY_H
#define PGWEIR_POOL_REGISTRY_H

#include "core/map.h"
#include "pool/peer.h"
#include "pool/pool.h"

void registry_open(void);
void registry_close(void);

/* Make databases, users and pools what the snapshot in force says. */
void registry_apply(void);

/* The database of this name; made from the row "*" if there is one. NULL: no such database. */
struct database *registry_database(const char *name);
/* The same for somebody who has not proven who he is, and may have made the name up. Few of those
 * that are made for such are kept at a time: they go, the oldest first, when others are asked for,
 * unless registry_database() confirms them. NULL: also when all of them are in use. */
struct database *registry_database_unproven(const char *name);
enum { REGISTRY_UNPROVEN_MAX = 100 };
/* Without making one. */
struct database *registry_find_database(const char *name);
/* Somebody could not prove who he is who asked for this database, which may be none. */
void registry_note_login_failure(const char *name);
/* How many of them asked for what was none. */
uint64_t registry_strangers_failures(void);
/* The console's. */
struct database *registry_console(void);
/* Both names of the console. */
bool registry_is_console_name(const char *name);
/* The user of this name; made if need be. */
struct user *registry_user(const char *name);
struct user *registry_find_user(const char *name);
/* The pool of clients of @user in @database: of the forced user where the row names one. Made if
 * need be. */
struct pool *registry_pool(struct database *database, struct user *user);
/* The pool of @user itself, whatever the row says. */
struct pool *registry_pool_of(struct database *database, struct user *user);

/* The peer of this number, or NULL. */
struct peer *registry_peer(int id);

const struct map *registry_databases(void);
const struct map *registry_users(void);
/* In the order of the file that first named them. */
const struct map *registry_peers(void);

/* Forget pools that were empty for pool_idle_timeout, and automatic databases that nobody used for
 * autodb_idle_timeout. Returns when this is next worth a call, 0: never as things are. */
usec_t registry_expire(void);

/* All counters, of databases that went away too. */
void registry_totals(struct stats *totals);
/* End a period of all of them. */
void registry_roll(usec_t length);

#endif
