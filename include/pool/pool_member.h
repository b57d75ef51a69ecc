/* SPDX-License-Identifier: ISC */
/* pool_member: the struct of a pool and its members, each in the list of its place; the pool_ops
 * that carry decisions out; the process-wide switches. Nothing here decides. */
#ifndef PGWEIR_POOL_POOL_MEMBER_H
#define PGWEIR_POOL_POOL_MEMBER_H

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
	CLIENT_PLACE_CLAIM,   /* waits for room for a server of its own (counts as waiting) */
	CLIENT_PLACE_CLAIMED, /* its own server is logging in (counts as waiting) */
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

enum { POOL_SCRAM_KEY = 32 };

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
	uint32_t ways;	     /* the pool's, when it began to log in */
	uint8_t place;
	bool has_served;      /* a client used it */
	bool is_claimed;      /* belongs to one client from its launch to its end */
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
	/* The same for @client alone, which this brings to CLIENT_PLACE_CLAIMED, or back to
	 * CLIENT_PLACE_CLAIM if it failed at once; see pool_claim.h. */
	void (*launch_claimed)(struct pool *pool, struct pool_client *client);
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
struct pool {
	/* what each transaction touches comes first */
	struct database *database;
	struct user *user;     /* who logs in to the server; the forced user if there is one */
	uint32_t server_count; /* all places but CANCELING */
	/* values in force, from pool_configure() */
	enum pool_mode mode;
	uint32_t prepared_statements; /* that each server may keep; 0: they are left alone */
	uint32_t full, most;	      /* the size, and with the reserve; UINT32_MAX: unlimited */
	uint32_t most_waiting;	      /* clients; UINT32_MAX: unlimited */
	bool connect_failed, login_failed;	    /* the last attempt */
	bool is_unreachable;			    /* for server_unreachable_timeout already */
	bool was_logged_in_to;			    /* ever */
	bool round_robin, tests_always, takes_care, /* tests_always, or clients wait in
					       CLIENT_PLACE_CLAIM, or a shared bound was lowered */
		is_forced;	     /* is_forced: of the user that the database's row names */
	bool is_working, work_again; /* inside an op of the pool; more to do came up meanwhile */
	bool is_carrying;	     /* inside the conn layer's walk of CANCEL_WAITING */
	uint8_t held_back; /* enum limit_verdict: the shared bound that keeps its clients waiting */
	usec_t server_lifetime;
	/* up to here */
	usec_t lifetime_gap;
	int size, min_size, reserve_size;		   /* size 0: unlimited */
	usec_t idle_timeout, check_after, connect_timeout; /* 0: never */
	usec_t login_retry;
	usec_t lifetime_closed_at; /* when a server was last closed for its age */
	uint32_t claimed_count;	   /* servers that are claimed, in whatever place */
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
	/* Learned when a client logged in to this pool, one or the other; erased when replaced */
	char *learned_secret;	  /* auth_query's answer, or what was typed; NULL: none */
	uint8_t *learned_keys;	  /* ClientKey, ServerKey, POOL_SCRAM_KEY bytes each; NULL: none */
	usec_t retry_at;	  /* no attempt before; 0: at once */
	bool tries_next_host;	  /* the last attempt left another host to try at once */
	bool learned_comes_first; /* the secret was proven elsewhere: before that of auth_file */
	uint32_t ways;		  /* another number when there may be another way to log in */
	uint8_t tries;		  /* of those in a pause, see pool_login */
	usec_t tries_until;
	usec_t round_since, round_until; /* the hosts are tried one after the other; 0: not now */
	struct error failure;		 /* why the last attempt failed; message "" if it did not */
	struct loop_timer timer;	 /* retry, reserve */
	usec_t unreachable_since;	 /* it has had no server, and wants one; 0: it has one */
	struct loop_timer unreachable;	 /* server_unreachable_timeout */
	struct list_node of_empty;	 /* it has neither clients nor servers: pool_empty's */
	usec_t empty_since;
};

/* At the start. Nothing is paused, nothing draining. */
void pool_set_ops(const struct pool_ops *ops);
/* All pools, in order of creation. */
const struct list *pool_all(void);
/* Those of peers, which are no pools of databases: CancelRequests wait there, and are carried. */
const struct list *pool_of_peers(void);

/* May one more connection that carries a CancelRequest be opened? As many again as the pool has
 * servers at most. */
static inline bool pool_admits_carrier(const struct pool *pool)
{
	return pool->size <= 0 ||
	       pool->servers[SERVER_PLACE_CANCELING].length < (uint32_t)pool->size;
}

/* Bring a server to another place; out of the pool leads only pool_server_leave(). */
void pool_server_move(struct pool_server *server, enum server_place place);

bool pool_is_paused(const struct pool *pool);
/* Something is left that a PAUSE waits for. */
bool pool_is_busy(const struct pool *pool);
/* The longest wait of a queued client. */
usec_t pool_longest_wait(const struct pool *pool);
uint32_t pool_client_count(const struct pool *pool);

/* The switches that pool_admin sets. */
bool pool_all_paused(void);
bool pool_is_draining(void);

#endif
