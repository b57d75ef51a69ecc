/* SPDX-License-Identifier: ISC */
/* prepared_sql: PREPARE, EXECUTE and DEALLOCATE as SQL, in transaction and statement mode. The
 * names in them are the client's; in what is sent stand those that servers know. What the server
 * lacks is prepared in front, in the same text. Only the statements' first words are looked at.
 * Manual, reference pages of these commands. */
#ifndef PGWEIR_CONN_PREPARED_SQL_H
#define PGWEIR_CONN_PREPARED_SQL_H

#include <stdbool.h>
#include <stdint.h>
#include "conn/prepared_book.h"
#include "conn/relay.h"
#include "core/buffer.h"
#include "core/error.h"
#include "proto/sql.h"

struct sql_change;
struct statement;

/* Before the messages of one batch: what was made for them before is written or lost. */
void prepared_sql_begin_batch(void);
/* How a client with these settings makes PostgreSQL read its text. */
struct sql_dialect prepared_sql_dialect(const struct parameter_set *parameters);
/* A simple Query of this text, which is whole. RELAY_FORWARD: there is nothing of that kind in it;
 * RELAY_REPLACE: noted in the pipeline, too. */
enum relay_action prepared_sql_query(struct prepared_link *link, const char *text, size_t size,
				     struct relay_batch *batch);
/* A simple Query, which is whole with @size bytes of body, is refused: something that PostgreSQL
 * refuses is sent instead, and its error becomes @error. So whatever comes before and behind it
 * meets what it would. */
enum relay_action prepared_sql_refuse(struct prepared_link *link, uint32_t size,
				      const struct error *error, struct relay_batch *batch);
/* Does a Query of which this is the beginning begin with one of these commands? */
bool prepared_sql_begins(const struct prepared_link *link, const char *text, size_t size);

/* What a Parse with such a text comes to. */
struct prepared_sql_parse {
	struct sql_change *change;    /* a reference; NULL: nothing of that kind */
	struct statement *needs;      /* must be at the server when it is executed */
	struct statement *must_close; /* must not be there then */
	const char *spare;	      /* a statement of this name must be there then */
	const uint8_t *content;	      /* instead of the client's, until the batch is written */
	size_t size;
};
/* @content: text and parameter types. False: out of memory. */
bool prepared_sql_parse(struct prepared_link *link, const uint8_t *content, size_t size,
			struct prepared_sql_parse *parse);

/* Does the name in the text of a statement mean something else by now, or would it, if it were
 * executed a second time? Then it is to be changed anew, out of its original. */
bool prepared_sql_is_outdated(struct prepared_link *link, const struct sql_change *change);

/* The text that prepares a statement, without a semicolon. False: there is no such text, for it was
 * prepared by protocol in a way that SQL has no words for, or it is forgotten; or memory is out. */
bool prepared_sql_put_prepare(struct buffer **out, const struct statement *statement);

#endif
