/* SPDX-License-Identifier: ISC */
/* prepared_output: what goes to a server instead of the beginning of a client's message, and in
 * front of it: messages of our own, statements that the server lacks, the closing of others. It is
 * made in one room, and lasts until the next batch. False: there is no memory to note it. */
#ifndef PGWEIR_CONN_PREPARED_OUTPUT_H
#define PGWEIR_CONN_PREPARED_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conn/prepared_book.h"
#include "conn/relay.h"

struct place;
struct statement;

enum { PREPARED_NAME_MAX = 1024 }; /* of a portal or statement, with its NUL */

/* Before the messages of one batch. */
void prepared_output_begin(struct relay_batch *batch);
/* A message speaks of a statement, and of one that it needs (NULL: of none): no room is made by
 * closing these. */
void prepared_keep(const struct statement *statement, const struct statement *needed);

/* Bytes as they lie go on in place of the client's. */
void prepared_replace_with(struct relay_batch *batch, const void *bytes, size_t size);
/* A whole Parse of our own; @name "": the unnamed statement. @content stays where it is. */
void prepared_put_parse(struct relay_batch *batch, const char *name, size_t name_size,
			const void *content, size_t size);

/* How a message of the client names a statement: @before stands between header and name. */
struct prepared_naming {
	const uint8_t *before;
	size_t before_size;
	const char *text;
	size_t size; /* with its NUL */
	uint32_t body_size;
};

/* The client's message goes on with another name in it; with that of a statement. */
void prepared_rename(struct relay_batch *batch, uint8_t type, const struct prepared_naming *naming,
		     const char *name, size_t name_size);
void prepared_rename_to(struct relay_batch *batch, uint8_t type,
			const struct prepared_naming *naming, const struct statement *statement);

/* The server is to close a statement of ours. */
bool prepared_send_close(struct prepared_link *link, struct place *place,
			 struct relay_batch *batch);
/* Is the server full of statements that are all on their way? Then it must be waited for them: ask
 * before anything is sent for the message at hand. */
bool prepared_is_overfull(const struct prepared_link *link);
/* Close what has not been used for the longest time until there is room for one more, as far as
 * that goes. */
bool prepared_make_room(struct prepared_link *link, struct relay_batch *batch);
/* A Parse of it goes in front of the client's message. */
bool prepared_inject(struct prepared_link *link, struct statement *statement,
		     struct relay_batch *batch);
/* What is executed next may speak of a statement by its name: that must be there, too. */
bool prepared_bring(struct prepared_link *link, struct statement *statement,
		    struct relay_batch *batch);

#endif
