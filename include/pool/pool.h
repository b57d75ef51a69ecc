/* SPDX-License-Identifier: ISC */
/* pool: one (database, user): its clients and servers by place, the queue of waiting clients, and
 * who gets which server. Decisions only: the conn layer carries them out through pool_ops. Contract
 * section 13. The rooms it stands on belong to its face: a pool is worked with through this header.
 *
 * Invariants: the longest waiter is served first; a server is handed out only from
 * SERVER_PLACE_IDLE or by pool_release(), hence clean; servers in the pool never exceed its size
 * plus its reserve. */
#ifndef PGWEIR_POOL_POOL_H
#define PGWEIR_POOL_POOL_H

#include "pool/pool_admin.h"
#include "pool/pool_claim.h"
#include "pool/pool_login.h"
#include "pool/pool_member.h"
#include "pool/pool_rest.h"
#include "pool/pool_work.h"

/* Made and freed by the registry only. */
struct pool *pool_new(struct database *database, struct user *user);
void pool_free(struct pool **pool);
/* Take the values in force from the snapshot, the database and the user; act on changes. For every
 * pool after any change of settings (RELOAD, SET): the hot path reads only what is kept here. */
void pool_configure(struct pool *pool);

/* Bring a client to another place (NONE: out of the pool's lists). The pool of a new member is set
 * here. */
void pool_client_move(struct pool *pool, struct pool_client *client, enum client_place place);
/* ... joins a server before anything else, and counts it. */
void pool_server_join(struct pool *pool, struct pool_server *server);
/* The server is gone: it leaves lists and counts; waiting clients may get a new one launched. */
void pool_server_leave(struct pool_server *server);

/* Give @client a server now, or queue it. Exactly one of pool_ops.assign or .reject follows,
 * possibly before this returns, unless the client is moved out of the queue. Returns true when it
 * was assigned at once. */
bool pool_request(struct pool *pool, struct pool_client *client);
/* @client waits for the greeting: pool_ops.welcome or .reject follows. */
void pool_request_welcome(struct pool *pool, struct pool_client *client);
/* A clean server comes back (from a client, a login or a test): to the longest waiter, or idle, or
 * to be tested, or closed. See its place. */
void pool_release(struct pool_server *server);

/* Told (at the end of the turn) when servers left or came free while something waits for that:
 * PAUSE, WAIT_CLOSE, shutdown. One listener. */
void pool_on_quiet(void (*callback)(void));

#endif
