/* SPDX-License-Identifier: ISC */
/* prepared_book: which names each client has for prepared statements, which statements each server
 * has, and the notes that requests on their way carry through the pipeline: when one was answered,
 * failed or skipped, the books are set right. What is sent, and when, prepared decides. */
#ifndef PGWEIR_CONN_PREPARED_BOOK_H
#define PGWEIR_CONN_PREPARED_BOOK_H

#include <stdbool.h>
#include <stdint.h>
#include "conn/pipeline.h"

struct prepared_client; /* names of a client */
struct prepared_server; /* what a server has */
struct parameter_set;

/* A client and its server, while a batch of messages is looked at. */
struct prepared_link {
	struct prepared_client **client; /* made when needed */
	struct prepared_server **server;
	struct pipeline *pipeline;		/* of the server */
	uint32_t limit;				/* max_prepared_statements */
	char status;				/* of the server's last ReadyForQuery */
	bool holds;				/* nothing more is sent before a RESET is over */
	bool text_matters;			/* sql_matters(), of the Query or Parse at hand */
	const struct parameter_set *parameters; /* of the client */
	/* what came of it, besides the action */
	bool barrier;	     /* RELAY_STOP: until all that was sent is answered */
	const char *refusal; /* RELAY_STOP: the client is to be refused for this; NULL: not so */
	uint32_t awaited;    /* RELAY_SHORT: so many bytes of the message are needed */
	uint32_t client_parses, server_parses, binds; /* counted up */
};

/* Before the first connection. */
void prepared_open(void);
/* A Sync of this client goes to its server. */
void prepared_sync(struct prepared_client *client);
/* Requests of this client (NULL: it never prepared anything) go to this server from now on. */
void prepared_server_linked(struct prepared_server *server, const struct prepared_client *client);
/* All prepared statements were dropped at @server (may be NULL) by @client (NULL: by us); those
 * that were made since stay. */
void prepared_drop_all(struct prepared_client *client, struct prepared_server *server);

uint32_t prepared_client_count(const struct prepared_client *client);
uint32_t prepared_server_count(const struct prepared_server *server);
/* NULL is fine. The server's pipeline must have ended before. */
void prepared_client_free(struct prepared_client **client);
void prepared_server_free(struct prepared_server **server);

#endif
