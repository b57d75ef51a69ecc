/* SPDX-License-Identifier: ISC */
/* statement: the texts of prepared statements. Clients that prepare the same text with the same
 * parameter types share one, and with it its name at servers. Kept while somebody holds it; all
 * texts together take at most what prepared_statement_memory allows: beyond that those that were
 * not used for the longest time are forgotten. Contract section 12. */
#ifndef PGWEIR_CONN_STATEMENT_H
#define PGWEIR_CONN_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/list.h"
#include "core/map.h"

/* What servers call them. */
#define STATEMENT_PREFIX "PGBOUNCER_"

struct statement {
	struct map_node node;	 /* by content */
	struct list_node of_use; /* the latest used last */
	uint64_t id;
	uint32_t references;
	uint32_t size;	   /* of the content */
	uint8_t *content;  /* body of a Parse behind its name: text, parameter types; of a PREPARE
			      what stands behind its name; NULL: forgotten */
	bool is_sql;	   /* of a PREPARE */
	uint8_t name_size; /* with its NUL */
	bool may_drop;	   /* statement_text_may_drop() */
	char name[32];	   /* copied as a whole, since that costs least */
};

/* The statement of this content; a new reference. NULL: no memory. */
struct statement *statement_get(const uint8_t *content, size_t size);
/* The same of a PREPARE: @content is its text behind the name. */
struct statement *statement_get_sql(const uint8_t *content, size_t size);
/* Give a reference back and leave NULL; NULL is fine. */
void statement_release(struct statement **statement);
static inline struct statement *statement_share(struct statement *statement)
{
	statement->references++;
	return statement;
}
/* It is used now. */
void statement_touch(struct statement *statement);
static inline bool statement_is_forgotten(const struct statement *statement)
{
	return !statement->content;
}
/* Forget what is beyond prepared_statement_memory. Not while something that is to be sent lies in a
 * statement. */
void statement_make_room(void);
/* Is there a word in it that may drop prepared statements (DEALLOCATE, DISCARD)? */
bool statement_text_may_drop(const uint8_t *text, size_t size);

/* Texts kept now, and their bytes. */
uint32_t statement_count(void);
size_t statement_memory(void);

#endif
