/* SPDX-License-Identifier: ISC */
/* fixture: pools without connections: what the conn layer would do is recorded. The clock is
 * driven. */
#ifndef PGWEIR_TEST_POOL_FIXTURE_H
#define PGWEIR_TEST_POOL_FIXTURE_H

#include <check.h>
#include "config/snapshot.h"
#include "pool/limit.h"
#include "pool/registry.h"

enum { FIXTURE_MAX = 32 };

/* What happened, in order: "assign c1 s2", "close s1 evicted" ... */
extern char fixture_events[4096];
extern struct pool_client fixture_clients[FIXTURE_MAX];
extern struct pool_server fixture_servers[FIXTURE_MAX];
extern int fixture_launched; /* servers made so far: fixture_servers[0..] */
extern bool fixture_launch_fails;

/* "[databases]" rows, "[users]" rows and "[pgbouncer]" lines. */
void fixture_open(const char *databases, const char *users, const char *settings);
void fixture_reload(const char *databases, const char *users, const char *settings);
void fixture_close(void);
struct pool *fixture_pool(const char *database, const char *user);
/* Server @i of those launched is logged in and given back. */
void fixture_login(int i);
/* The events since the last call must be these. */
void fixture_expect(const char *events);

#endif
