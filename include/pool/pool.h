/* SPDX-License-Identifier: ISC */
/* pool: one (database, user): its clients and servers by place, the queue of waiting clients, and
 * who gets which server. Decisions only: the conn layer carries them out through pool_ops. Contract
 * section 13.
 *
 * Invariants: the longest waiter is served first; a server is handed out only from
 * SERVER_PLACE_IDLE or by pool_release(), hence clean; servers in the pool never exceed its size
 * plus its reserve. */
#ifndef PGWEIR_POOL_POOL_H
#define PGWEIR_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "core/buffer.h"
#include "core/error.h"
#include "core/list.h"
#include "core/loop.h"
#include "pool/close_reason.h"
#include "pool/database.h"
#include "pool/user.h"

/* Where a member stands: the list of the pool it is in, and the column of SHOW POOLS it counts in.
 */
enum client_place {
	CLIENT_PLACE_NONE,
	CLIENT_PLACE_ACTIVE,  /* linked or idle */
	CLIENT_PLACE_WELCOME, /* waits for the pool's first server (counts as waiting) */
	CLIENT_PLACE_WAITING,
	CLIENT_PLACE_CANCEL_ACTIVE,
	CLIENT_PLACE_CANCEL_WAITING,
	CLIENT_PLACE_COUNT
};
enum server_place {
	SERVER_PLACE_NONE,
	SERVER_PLACE_LOGIN,
	SERVER_PLACE_IDLE,
	SERVER_PLACE_USED,
	SERVER_PLACE_TESTED,
	SERVER_PLACE_ACTIVE,
	SERVER_PLACE_BEING_CANCELED,
	SERVER_PLACE_CANCELING, /* carries a CancelRequest; not one of the pool's servers */
	SERVER_PLACE_COUNT
};

/* Embedded in a client. */
struct pool_client {
	struct list_node node;
	struct pool *pool; /* NULL: in none */
	usec_t wait_since; /* while waiting */
	uint8_t place;
};

/* Embedded in a server. */
struct pool_server {
	struct list_node node;
	struct pool *pool;
	usec_t connected_at; /* began to connect */
	usec_t released_at;  /* last given back */
	uint8_t place;
	bool has_served;      /* a client used it */
	bool close_needed;    /* close it instead of using it again */
	uint8_t close_reason; /* then the reason */
};

/* What the conn layer does for a pool. */
struct pool_ops {
	/* @client is to use @server from now on. It left the queue, and the server its list. */
	void (*assign)(struct pool_client *client, struct pool_server *server);
	/* @client waits in vain: tell it @error and close it. */
	void (*reject)(struct pool_client *client, enum close_reason reason,
		       const struct error *error);
	/* The pool's welcome is there: complete the greeting of @client. */
	void (*welcome)(struct pool_client *client);
	/* Open one more server connection; it calls pool_server_join() at once. */
	void (*launch)(struct pool *pool);
	void (*close_server)(struct pool_server *server, enum close_reason reason);
	/* Test an idle server of SERVER_PLACE_USED; pool_release() or its closing follows. */
	void (*test_server)(struct pool_server *server);
	void (*close_client)(struct pool_client *client, enum close_reason reason);
	/* The pool holds @parameters (of pool_login_succeeded) no more. */
	void (*drop_parameters)(void *parameters);
	/* The pool's greeting is out of date; never NULL. May be NULL itself. */
	void (*drop_greeting)(void *greeting);
	/* May be NULL. Settings changed: pool_idle_due() of an idle or used server is another one
	 * now. */
	void (*rearm)(struct pool_server *server);
};
/* At the start. Nothing is paused, nothing draining. */
void pool_set_ops(const struct pool_ops *ops);

struct pool {
	/* what each transaction touches comes first */
	struct database *database;
	struct user *user;     /* who logs in to the server; the forced user if there is one */
	uint32_t server_count; /* all places but CANCELING */
	/* values in force, from pool_configure() */
	enum pool_mode mode;
	int size, min_size, reserve_size; /* size 0: unlimited */
	uint32_t full, most; /* the size, and with the reserve; UINT32_MAX: unlimited */
	bool connect_failed, login_failed; /* the last attempt */
	bool round_robin, tests_always,
		is_forced;	     /* is_forced: of the user that the database's row names */
	bool is_working, work_again; /* inside an op of the pool; more to do came up meanwhile */
	uint8_t held_back; /* enum limit_verdict: the shared bound that keeps its clients waiting */
	usec_t query_wait_timeout, server_lifetime, lifetime_gap;
	usec_t idle_timeout, check_after; /* 0: never */
	usec_t lifetime_closed_at;	  /* when a server was last closed for its age */
	struct list servers[SERVER_PLACE_COUNT];
	struct list clients[CLIENT_PLACE_COUNT];
	struct list_node node; /* of all pools */
	struct list_node of_database, of_user;
	struct list_node of_held_back; /* of the database or the user, whose bound it is */
	/* logging in to the server */
	struct buffer
		*welcome; /* ParameterStatus messages of the pool's server; NULL: it sent none */
	void *welcome_parameters; /* the conn layer's own view of them; NULL: not known yet */
	void *greeting;		  /* ... and what it made of them last; NULL: nothing */
	usec_t retry_at;	  /* no attempt before; 0: at once */
	struct error failure;	  /* why the last attempt failed; message "" if it did not */
	struct loop_timer timer;  /* retry, reserve */
};

/* Made and freed by the registry only. */
struct pool *pool_new(struct database *database, struct user *user);
void pool_free(struct pool **pool);
/* Compute the values in force from the snapshot, the database and the user; act on changes. For
 * every pool after any change of settings (RELOAD, SET): the hot path reads only what is kept here.
 */
void pool_configure(struct pool *pool);
/* All pools, in order of creation. */
const struct list *pool_all(void);

/* Bring a client to another place (NONE: out of the pool's lists). The pool of a new member is set
 * here. */
void pool_client_move(struct pool *pool, struct pool_client *client, enum client_place place);
/* ... joins a server before anything else, and counts it. */
void pool_server_join(struct pool *pool, struct pool_server *server);
/* Bring a server to another place; out of the pool leads only pool_server_leave(). */
void pool_server_move(struct pool_server *server, enum server_place place);
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
/* Why this server may not be used again, or CLOSE_REASON_COUNT: it may. */
enum close_reason pool_verdict(const struct pool_server *server);

/* A server of the pool logged in: @taken are its ParameterStatus messages (NULL: it sent none),
 * @taken_parameters what the conn layer keeps beside them (never NULL). */
void pool_login_succeeded(struct pool *pool, struct buffer *taken, void *taken_parameters);
/* It could not be reached (@refused false), or it refused the login with @error. */
void pool_login_failed(struct pool *pool, bool refused, const struct error *error);
/* Is the pool's server known to refuse logins just now? Then @error says what the client is told.
 */
bool pool_explain_failure(const struct pool *pool, struct error *error);
static inline bool pool_is_failing(const struct pool *pool, struct error *error)
{
	return pool->login_failed && pool_explain_failure(pool, error);
}

/* When an idle or used server is next due for something, 0: never; and what to do about it then. */
usec_t pool_idle_due(const struct pool_server *server);
void pool_idle_check(struct pool_server *server);

/* Launch what waiting clients or min_pool_size want. After a RESUME, too. */
void pool_work(struct pool *pool);
/* Close servers that nobody uses: idle, used, and in a paused or draining pool those logging in. */
void pool_close_idle(struct pool *pool, enum close_reason reason);
/* Close every server as soon as it is free, those logging in at once. */
void pool_retire(struct pool *pool, enum close_reason reason);
/* Close clients and servers at once. */
void pool_kill(struct pool *pool, enum close_reason reason);
bool pool_is_paused(const struct pool *pool);
/* Something is left that a PAUSE waits for. */
bool pool_is_busy(const struct pool *pool);
/* The longest wait of a queued client. */
usec_t pool_longest_wait(const struct pool *pool);
uint32_t pool_client_count(const struct pool *pool);

/* Process-wide switches. Unpaused, waiting clients are served. */
void pool_set_paused(bool paused);
bool pool_all_paused(void);
/* No new servers any more; clients that wait are rejected (SHUTDOWN WAIT_FOR_SERVERS). */
void pool_set_draining(void);
bool pool_is_draining(void);
/* The same for the end of the process: nobody is told. */
void pool_stop_launching(void);

/* Told (at the end of the turn) when servers left or came free while something waits for that:
 * PAUSE, WAIT_CLOSE, shutdown. One listener. */
void pool_on_quiet(void (*callback)(void));

#endif
