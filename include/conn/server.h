/* SPDX-License-Identifier: ISC */
/* server: a connection to PostgreSQL and its states (server_states.def). It goes back to its pool
 * only when it is known clean: ReadyForQuery with status I, nothing owed, no COPY, no half message
 * either way, no cancel in flight. */
#ifndef PGWEIR_CONN_SERVER_H
#define PGWEIR_CONN_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "conn/endpoint.h"
#include "conn/parameter.h"
#include "conn/pipeline.h"
#include "core/likely.h"
#include "net/resolver.h"
#include "pool/pool.h"

enum server_state {
#define SERVER_STATE(name, shown, place, deadline, next) SERVER_##name,
#include "conn/server_states.def"
	SERVER_STATE_COUNT
};

/* What our own query, the PIPELINE_INTERNAL one at the front, is for. */
enum server_errand {
	ERRAND_NONE,
	ERRAND_PARAMETERS,
	ERRAND_RESET,
	ERRAND_CHECK,
	ERRAND_CONNECT,
	ERRAND_ROLLBACK,
	ERRAND_RESTORE, /* after a client's RESET */
};

/* How far TLS has come with a server, before it logs in or is sent a CancelRequest. */
enum server_tls_step { SERVER_TLS_NONE, SERVER_TLS_ASKED, SERVER_TLS_HANDSHAKE };

/* CancelRequests under way against one server: one that PostgreSQL is dealing with, one on its way
 * for what began meanwhile. */
enum { SERVER_CANCELS_MAX = 2 };

struct prepared_server;
struct server_login;

struct server {
	struct endpoint endpoint; /* first */
	struct pool_server member;
	uint8_t state; /* enum server_state */
	uint8_t errand;
	bool errand_failed, errand_done;
	bool refuses_block; /* it opened a transaction block in statement mode */
	bool is_broken;	    /* it said something that the protocol does not allow */
	char status;	    /* of the last ReadyForQuery: I, T, E; 0: none since the last request */
	bool said_fatal;    /* the server's last word was FATAL: it closes */
	bool is_reading;    /* inside the walk of what was received */
	bool let_go;	    /* its client left during that walk */
	bool unfit; /* never clean again: its client left in the middle of a message, or it is one
		       client's own */
	bool is_canceled;      /* one of @cancels is our own */
	bool replays;	       /* its failing is kept from the client: it will be said again */
	bool was_described;    /* its client has the ParameterDescription of what is said again */
	bool answer_waits;     /* an answer of ours is queued for what comes next */
	bool waits_at_barrier; /* its client does not go on before all is answered */
	struct parameter_set *parameters; /* as the server reported them, extras as we set them */
	struct prepared_server *prepared; /* statements it has; NULL: none of ours */
	struct parameter_set
		*restore;      /* what a RESET that is under way comes back to; NULL: none is */
	struct buffer *replay; /* the client's last request, while it may be said again; then room
				  for the next */
	struct pipeline pipeline;
	/* up to here: what each request touches */
	bool restores_all; /* it is RESET ALL or DISCARD ALL */
	bool restore_due;  /* it is done */
	bool reset_sent;   /* all of that request is */
	bool reset_ended;  /* the request is, and its ReadyForQuery kept back */
	uint32_t
		replay_owed; /* answers that were owed to @replay when it was kept; 0: it may not */
	uint32_t cancels;    /* CancelRequests under way against this server */
	uint32_t drained;    /* SERVER_DRAINING: bytes of answers that nobody wants */
	struct error *complaint; /* why our own query failed; owned, or NULL */
	uint8_t tls_step;	 /* enum server_tls_step */
	bool asks_old;	     /* it did not answer to the newest protocol: asked again with 3.0 */
	uint32_t process_id; /* with the key: of BackendKeyData; to a peer: of the request */
	uint8_t *key;	     /* cancel key; owned */
	uint16_t key_size;
	char *host;			  /* as configured; owned */
	struct sockaddr_storage sockaddr; /* where it was reached */
	socklen_t sockaddr_size;
	struct resolver_query lookup;
	struct resolver_watch watch; /* over the addresses of the host */
	struct address *addresses;   /* of the host, while connecting; owned */
	uint16_t address_count, address_next;
	struct server_login *login; /* while logging in */
	/* of a server that one client claimed, while logging in; owned */
	char *startup;		      /* the client's start-up parameters, as in its packet */
	struct buffer *welcome;	      /* the server's ParameterStatus messages */
	struct server *cancel_target; /* SERVER_CANCELING: whom it is about; NULL: to a peer, or
					 the target is gone */
	struct client *cancel_client; /* ... and who asked; NULL: gone, or we ourselves */
	bool cancel_is_own;
	bool tls_is_direct; /* TLS began without an SSLRequest */
};

/* Made from rows. */
const char *server_state_name(enum server_state state);
/* As SHOW SERVERS has it; NULL: not shown. */
const char *server_state_shown(enum server_state state);
bool server_state_allows(enum server_state from, enum server_state to);

/* Change state; an illegal move is a bug: it is logged, and the connection closes. */
bool server_set_state(struct server *server, enum server_state state);
/* Close now, free at the end of the turn. Its client is told @error (NULL: what the reason says).
 * Harmless twice. */
void server_close(struct server *server, enum close_reason reason, const struct error *error);
/* "S-0x...: db/user@host:port ". Valid until the next call. */
const char *server_subject(const struct server *server);

/* The client at the other end, or NULL. */
struct client *server_client(const struct server *server);
/* Nothing of the last client is left in it. */
bool server_is_clean(const struct server *server);
/* Its client let go of it: clean, hence reset if need be and back to the pool, or closed with
 * @reason. */
void server_let_go(struct server *server, enum close_reason reason);
/* The same for a server that is known to be clean. */
void server_release(struct server *server);
/* The client of a server of its own leaves; @mid_message: in the middle of one. The server closes.
 */
void server_dismiss(struct server *server, bool mid_message);
/* server_prepare() where values differ. */
bool server_put_values(struct server *server, struct parameter_set *wanted);
/* Prepare for a client's first request: true: ready, possibly with a SET in its out-queue; false:
 * its values must be set first, .prepared or .unprepared follows, or the server is closed. */
static inline bool server_prepare(struct server *server, struct parameter_set *wanted)
{
	return LIKELY(server->parameters == wanted) || server_put_values(server, wanted);
}
/* Its client's RESET is done: set what comes back by it. False: there is nothing to set. */
bool server_restore(struct server *server);
/* Test a server that rested long. */
void server_test(struct server *server);
/* Its query was cancelled since its client had vanished (server_cancel_abandoned): when the answer
 * is through, it is rolled back and goes back to the pool. After each piece of the answer. */
void server_settle_drained(struct server *server);
/* Our own cancels against it that were not sent yet are not sent. */
void server_drop_cancels(struct server *server);
/* One of its cancels ended. */
void server_cancel_ended(struct server *server);
/* May one more cancel be under way against it? */
static inline bool server_admits_cancel(const struct server *server)
{
	return server->cancels < SERVER_CANCELS_MAX;
}
/* Of a connection that carries a CancelRequest: is it said? */
bool server_has_said_cancel(const struct server *carrier);

/* Reached from the pool's lists. */
static inline struct server *server_of_member(struct pool_server *member)
{
	return container_of(member, struct server, member);
}

/* What the client layer above does when a server has something for it (filled in by client.c). */
struct server_partner_ops {
	/* Messages for the client; the client may be closed by this. */
	void (*deliver)(struct client *client, const struct iovec *pieces, int count, size_t size);
	/* All that came was handed on: the client parts with its server if that is clean and the
	 * mode says so. */
	void (*settle)(struct client *client);
	/* A ReadyForQuery of the client's own passed; @status as in it. */
	void (*ready)(struct client *client, char status);
	/* The client's values are set: what it holds may go on. */
	void (*prepared)(struct client *client);
	/* The server refused them, hence has the values it had. */
	void (*unprepared)(struct client *client, const struct error *error);
	/* No cancel of ours is under way any more: what it holds may go on. */
	void (*free)(struct client *client);
	/* The server's out-queue has drained, or its pipeline has room again. */
	void (*writable)(struct client *client);
	/* The server is gone; one that its client claimed may not have been logged in: @error is
	 * set then if it refuses this client. @silently: the client got the beginning of a message,
	 * or the server's own last word. */
	void (*lost)(struct client *client, enum close_reason reason, const struct error *error,
		     bool silently);
	/* The CancelRequest that @client (NULL: it left) asked for is done, or is not to be. */
	void (*cancel_ended)(struct client *client, struct pool *pool);
	/* The server that @client claimed is logged in; *@welcome, its ParameterStatus messages,
	 * may be taken. */
	void (*served)(struct client *client, struct buffer **welcome);
	/* Bytes of our own for the client; @now: or with what comes next. */
	void (*answer)(struct client *client, const void *bytes, size_t size, bool now);
	/* What the client asked last failed without effect and without its knowledge. Nothing more
	 * goes to the server, then that request once more. */
	void (*replay_begins)(struct client *client);
	void (*replay)(struct client *client, struct buffer *taken);
	/* A RESET of the client's is through, its values are what they shall be: ReadyForQuery. */
	void (*restored)(struct client *client);
	/* All prepared statements were dropped by the client. */
	void (*dropped)(struct client *client);
	/* A reported parameter. */
	void (*parameter)(struct client *client, const char *name, const char *value);
};
#endif
