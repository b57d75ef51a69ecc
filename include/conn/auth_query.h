/* SPDX-License-Identifier: ISC */
/* auth_query: asks a database about a user: for the secret (auth_query), or whether the user is a
 * member of a role. Answers are cached for auth_query_ttl, negative ones too; who asks what is
 * being asked already waits for that answer. The question goes through an ordinary pool, as from a
 * client of our own over a socket pair: it queues, is paused and fails like any other, and its
 * parameters are nobody's. Names are parameters of the query, never text. Contract section 9. */
#ifndef PGWEIR_CONN_AUTH_QUERY_H
#define PGWEIR_CONN_AUTH_QUERY_H

#include <stdbool.h>
#include "core/error.h"
#include "core/list.h"

enum auth_query_result {
	AUTH_QUERY_FOUND,
	AUTH_QUERY_NOT_FOUND, /* no row, or its name is NULL */
	AUTH_QUERY_FAILED,    /* the database could not be asked */
};

struct auth_query_answer {
	enum auth_query_result result;
	const char *user;   /* FOUND: the first column */
	const char *secret; /* FOUND: the second column; NULL: no password is right */
	bool was_cached;
	const struct error *error; /* FAILED */
};

/* What to ask, of whom. */
struct auth_query {
	const char *database, *login; /* where it runs, and as whom (auth_user) */
	const char *sql;	      /* its answer has exactly two columns */
	const char *user;	      /* $1 */
	const char *role;	      /* $2; NULL: it has none */
};

/* Where and as whom it runs for a client that asks to be @user of the database @name: its own
 * query, for a secret. False: it is not set up, or @error has a message. Texts are valid as long as
 * the settings, and those that were given. */
bool auth_query_find(const char *name, const char *user, struct auth_query *query,
		     struct error *error);

/* A wish for an answer; embed it. */
struct auth_query_wish {
	struct list_node node;
	struct auth_query_entry *entry; /* NULL: not waiting */
	/* @answer and its texts are valid during the call. */
	void (*answered)(struct auth_query_wish *wish, const struct auth_query_answer *answer);
};

/* The answer comes exactly once unless cancelled, possibly before this returns (from the cache).
 * @fresh: answered within the last second, from the cache or not, lest wrong passwords cost a query
 * each. */
void auth_query_ask(struct auth_query_wish *wish, const struct auth_query *query, bool fresh);
void auth_query_cancel(struct auth_query_wish *wish);
/* While it waits: "auth_query in database \"x\"", for whoever waited in vain. NULL: it does not. */
const char *auth_query_waits_for(const struct auth_query_wish *wish);

/* Forget all answers, those to come as well: after a RELOAD. Who waits is still told. */
void auth_query_forget(void);

struct auth_query_ops {
	/* Take over @fd as a client that is @user of @database, proven. */
	void (*connect)(int fd, const char *database, const char *user);
};
void auth_query_open(const struct auth_query_ops *ops);
/* Ends what is under way: nobody is told. */
void auth_query_close(void);

#endif
