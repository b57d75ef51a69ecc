/* SPDX-License-Identifier: ISC */
/* prepared: prepared statements in transaction and statement mode, where a client's next request
 * may go to another server. A client's names are its own; at servers each text has one name for all
 * clients. Parse, Bind, Describe and Close are rewritten, a Parse goes in front where the server
 * lacks the statement, and what need not be sent is answered by us when its turn has come. The
 * unnamed statement is the client's own in the same way.
 *
 * Both sides' bookkeeping is of what has been sent; each request that changes it carries a note
 * through the pipeline, which takes the change back where the server refused the request or skipped
 * it after an error. What cannot be decided before earlier requests are answered waits for that (a
 * barrier). Contract section 12; manual, "Extended Query". */
#ifndef PGWEIR_CONN_PREPARED_H
#define PGWEIR_CONN_PREPARED_H

#include <stdbool.h>
#include <stdint.h>
#include "conn/pipeline.h"
#include "conn/relay.h"
#include "core/buffer.h"

struct prepared_client; /* names of a client */
struct prepared_server; /* what a server has */

enum {
	PREPARED_NAME_MAX = 1024,      /* of a portal or statement, with its NUL */
	PREPARED_PARSE_MAX = 16 << 20, /* body of a Parse that names a statement */
	PREPARED_UNNAMED_MAX = 65536,  /* of one that does not and shall outlive its transaction */
};

struct prepared_link {
	struct prepared_client **client; /* made when needed */
	struct prepared_server **server;
	struct pipeline *pipeline; /* of the server */
	uint32_t limit;		   /* max_prepared_statements */
	char status;		   /* of the server's last ReadyForQuery */
	/* what came of it, besides the action */
	bool barrier;	     /* RELAY_STOP: until all that was sent is answered */
	const char *refusal; /* RELAY_STOP: the client is to be refused for this; NULL: not so */
	uint32_t awaited;    /* RELAY_SHORT: so many bytes of the message are needed */
	uint32_t client_parses, server_parses, binds; /* counted up */
};

void prepared_open(void);

/* Before the messages of one batch: what stood for them before is written or lost. */
void prepared_begin_batch(void);
/* A Parse, Bind, Describe or Close from the client for the server: noted in the pipeline, too. */
enum relay_action prepared_request(struct prepared_link *link, uint8_t type, const uint8_t *body,
				   uint32_t size, uint32_t available, struct relay_batch *batch);
/* A simple Query, which destroys the unnamed statement, and whose beginning is @text; RELAY_STOP:
 * barrier. */
enum relay_action prepared_query(struct prepared_link *link, const uint8_t *text, uint32_t size);
/* An Execute. */
void prepared_execute(struct prepared_server *server);
/* A Sync. */
void prepared_sync(struct prepared_client *client);
/* Requests of this client (NULL: it never prepared anything) go to this server from now on. */
void prepared_server_linked(struct prepared_server *server, const struct prepared_client *client);

/* Is this error about a request with this note (may be NULL) PostgreSQL's complaint that a
 * statement's result has changed since it was prepared? Then it is to be prepared anew. */
bool prepared_is_stale(const void *note, const char *sqlstate, const char *message);
void prepared_mark_stale(const void *note, struct prepared_server *server);

/* The type of our answer for the PIPELINE_LOCAL with this note. */
uint8_t prepared_answer(const void *note);
/* Must the client not see that the server has done the request with this note? */
bool prepared_is_hidden(const void *note);
/* Does an error with this message, about the request with this note (may be NULL), name a statement
 * by the server's name? Then it is to be said anew by prepared_put_error(). */
bool prepared_renames_error(const void *note, const char *message);
bool prepared_put_error(const void *note, const uint8_t *body, uint32_t size, struct buffer **out);
/* A CommandComplete's body: does it say that all prepared statements are gone? */
bool prepared_tag_drops_all(const uint8_t *body, uint32_t available);
/* Then this: those that were made since stay. @client may be NULL. */
void prepared_drop_all(struct prepared_client *client, struct prepared_server *server);

uint32_t prepared_client_count(const struct prepared_client *client);
uint32_t prepared_server_count(const struct prepared_server *server);
/* NULL is fine. The server's pipeline must have ended before. */
void prepared_client_free(struct prepared_client **client);
void prepared_server_free(struct prepared_server **server);

#endif
