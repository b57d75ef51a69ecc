/* SPDX-License-Identifier: ISC */
/* fake: clients and servers that do what they are told, a pool_ops that records its calls, and a
 * process made of a configuration text under a driven clock. */
#ifndef PGWEIR_TEST_POOL_FAKE_H
#define PGWEIR_TEST_POOL_FAKE_H

#include "pool/registry.h"

struct fake_server {
	struct pool_server member;
	int id; /* 1, 2 ... in order of launch */
	char host[64];
	struct fake_client *client;
	bool is_closed;
	enum close_reason reason;
};

struct fake_client {
	struct pool_client member;
	int id;
	struct database *database;
	struct user *user;
	struct fake_server *server;
	bool closes_when_assigned, breaks_server_when_assigned;
	bool is_welcome, is_closed, is_rejected;
	enum close_reason reason;
	struct error error; /* of reject */
};

/* What launch does: the server joins; or it fails before launch returns. */
enum fake_launch { LAUNCH_JOINS, LAUNCH_CANNOT_CONNECT, LAUNCH_IS_REFUSED, LAUNCH_VANISHES };

extern struct fake_state {
	enum fake_launch launch;
	bool tests_fail; /* test_server ends with a closed server */
	bool dirties;	 /* a client that is closed leaves its server dirty: it is closed, too */
	int launches, assigns, tests, rearms, parameters_held;
	int depth, deepest; /* assign within assign */
} fake;

/* Fixture. */
void fake_setup(void);
void fake_teardown(void);
/* Load these lines below [pgbouncer] (other sections may follow) and apply them. */
void fake_configure(const char *text);

struct pool *fake_pool(const char *database, const char *user);
/* A client of the pool, idle. */
struct fake_client *fake_client(struct pool *pool);
/* ... that goes on to ask for a server, or for the greeting. */
struct fake_client *fake_request(struct pool *pool);
struct fake_client *fake_arrive(struct pool *pool);
/* ... for a server of its own. */
struct fake_client *fake_claim(struct pool *pool);
/* A client asks for a server, says that its transaction is over, leaves. */
void fake_ask(struct fake_client *client);
void fake_finish(struct fake_client *client);
void fake_leave(struct fake_client *client);

/* The server launched as @id. */
struct fake_server *fake_server(int id);
/* Those in some place of the pool, "1 2 3" in order of the list; clients likewise. */
const char *fake_servers(const struct pool *pool, enum server_place place);
const char *fake_clients(const struct pool *pool, enum client_place place);
/* What becomes of a launched server. */
void fake_log_in(int id);
void fake_cannot_connect(int id);
void fake_refuse(int id, const char *message);
void fake_test_ends(int id);
void fake_crash(int id);
/* A pool with @count idle servers; the last logged in is handed out first. */
struct pool *fake_pool_with(const char *database, const char *user, int count);

/* Let time go by, with a loop turn at each end of a step. */
void fake_wait(usec_t time);
/* All counts agree with the lists. */
void fake_check_counts(void);
int fake_server_total(void);
int fake_client_total(void);
struct fake_client *fake_client_at(int id);

#endif
