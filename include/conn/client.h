/* SPDX-License-Identifier: ISC */
/* client: a connection that came to us and its states (client_states.def). */
#ifndef PGWEIR_CONN_CLIENT_H
#define PGWEIR_CONN_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include "conn/cancel.h"
#include "conn/endpoint.h"
#include "conn/parameter.h"
#include "conn/server.h"
#include "core/error.h"
#include "core/map.h"
#include "pool/pool.h"

enum client_state {
#define CLIENT_STATE(name, shown, place, deadline, next) CLIENT_##name,
#include "conn/client_states.def"
	CLIENT_STATE_COUNT
};

enum client_query_mark {
	QUERY_WAITED = 1,    /* for a server, since member.wait_since */
	QUERY_TIMED_OUT = 2, /* its cancel is under way */
};
/* How it leaves while answers are owed. */
enum client_departure { DEPARTS_NOT, DEPARTS_WITH_GOODBYE, DEPARTS_SILENTLY };

struct client_login;
struct console;
struct prepared_client;

struct client {
	struct endpoint endpoint; /* first */
	struct pool_client member;
	uint8_t state;	    /* enum client_state */
	uint8_t departing;  /* said Terminate or closed its side while answers are owed: leaves when
			       they are out */
	bool stalled;	    /* linked, but its server is not ready for its requests */
	bool skips_to_sync; /* idle: its extended request was refused, up to Sync */
	bool in_transaction;
	uint8_t query_marks;	   /* enum client_query_mark, of the query under way */
	bool is_limited;	   /* work_limit or idle_limit is set */
	struct database *database; /* after login */
	struct parameter_set *parameters;
	struct prepared_client *prepared; /* its prepared statements; NULL: it never made one */
	usec_t transaction_at;
	usec_t query_at; /* the query under way began, or the last one ended */
	/* up to here: what each request touches */
	struct user *user; /* who it says to be, proven */
	bool is_counted;   /* in limit's counts */
	bool is_own;	   /* made by auth_query: not a guest */
	bool is_direct;	   /* TLS began without being asked for: it must agree on the protocol */
	bool was_notified; /* that it is queued */
	uint8_t features_told; /* which features of features.def it was warned of, as bits */
	struct parameter_set *startup; /* those it began with: what a reset comes back to */
	usec_t work_limit, idle_limit; /* the shortest of those that may end it while it is active;
					  while it is idle; 0: none */
	usec_t wait_limit;	       /* while it waits for a server */
	usec_t wait_step;	       /* ... or until it is told that it does; 0: neither */
	struct console *console;       /* of a console client */
	struct client_login *login;    /* while logging in */
	struct cancel_key key;
};

const char *client_state_name(enum client_state state);
const char *client_state_shown(enum client_state state);
bool client_state_allows(enum client_state from, enum client_state to);

bool client_set_state(struct client *client, enum client_state state);
/* Close: it is sent @error as FATAL (NULL: what the reason says, if anything), then lingers until
 * it has read that, freed after that. Its server goes back or is closed. Harmless twice. */
void client_close(struct client *client, enum close_reason reason, const struct error *error);
/* "C-0x...: db/user@host:port ". Valid until the next call. */
const char *client_subject(const struct client *client);

/* The server at the other end, or NULL. */
struct server *client_server(const struct client *client);
static inline struct client *client_of_member(struct pool_client *member)
{
	return container_of(member, struct client, member);
}
/* Send what was built up in *@out, which is emptied. */
void client_send(struct client *client, struct buffer **out);

/* Walk all clients: those logging in, then those of each pool. Return false to stop. */
typedef bool client_fn(struct client *client, void *context);
void client_each(client_fn *each, void *context);
uint32_t client_count(void);
/* Of those, how many have not logged in. */
uint32_t client_login_count(void);
/* Close one that came a while ago and has not said who it is, though nothing but that is awaited:
 * it makes room for @better. False: there is none. */
bool client_drop_silent(const struct client *better);
/* By the id of SHOW CLIENTS; NULL: none. */
struct client *client_find(uint64_t id);

/* Before the first client. */
void client_open(void);
/* Close all clients (at exit). */
void client_close_all(enum close_reason reason);

/* The console, which is above this layer. */
struct console_ops {
	/* May this user use the console? After authentication; false with @error. */
	bool (*admit)(struct client *client, const char *user, struct error *error);
	/* Needs it no password (same system user over the Unix socket)? */
	bool (*trusts)(const struct client *client, const char *user);
	/* It logged in: send AuthenticationOk was done; send ParameterStatus ... ReadyForQuery and
	 * set client->console. */
	void (*open)(struct client *client);
	/* One whole message. */
	void (*message)(struct client *client, const struct message *message);
	/* The client is going away: free client->console. */
	void (*close)(struct client *client);
	/* A CancelRequest for this console client: stop waiting (PAUSE, WAIT_CLOSE). */
	void (*cancel)(struct client *client);
};
void client_set_console(const struct console_ops *ops);
const struct console_ops *client_console(void);

#endif
