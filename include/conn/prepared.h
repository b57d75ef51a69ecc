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
#include "conn/prepared_book.h"
#include "conn/relay.h"
#include "core/error.h"

enum {
	PREPARED_PARSE_MAX = 16 << 20, /* body of a Parse that names a statement */
	PREPARED_UNNAMED_MAX = 65536,  /* of one that does not and shall outlive its transaction */
};

/* Before the messages of one batch: what stood for them before is written or lost. */
void prepared_begin_batch(struct relay_batch *batch);
/* A Parse, Bind, Describe or Close from the client for the server: noted in the pipeline, too. */
enum relay_action prepared_request(struct prepared_link *link, uint8_t type, const uint8_t *body,
				   uint32_t size, uint32_t available, struct relay_batch *batch);
/* Is there more to an Execute at this server than its answer? */
bool prepared_execute_matters(const struct prepared_server *server);
/* Such an Execute goes to the server. RELAY_REPLACE: as it is, but noted
 * in the pipeline already. */
enum relay_action prepared_execute(struct prepared_link *link, const uint8_t *portal,
				   uint32_t available);
/* A simple Query, which destroys the unnamed statement, and may be about prepared ones.
 * RELAY_FORWARD: not noted in the pipeline yet; RELAY_STOP: barrier, or refused. */
enum relay_action prepared_query(struct prepared_link *link, const uint8_t *text, uint32_t size,
				 uint32_t available, struct relay_batch *batch);

/* A Query or Parse, which is whole, is refused: @error answers it, in its place, and for PostgreSQL
 * it has failed, too. RELAY_FORWARD: PostgreSQL does not look at it anyway. */
enum relay_action prepared_refuse(struct prepared_link *link, uint8_t type, const uint8_t *body,
				  uint32_t size, const struct error *error,
				  struct relay_batch *batch);

/* What comes next waits until all that was sent is answered. */
void prepared_wait_next(struct prepared_link *link);

/* The type of our answer for the PIPELINE_LOCAL with this note. */
uint8_t prepared_answer(const void *note);
/* Is the answer to the request with this note simply the client's? */
bool prepared_is_plain(const void *note);
/* Must the client not see that the server has done the request with this note? */
bool prepared_is_hidden(const void *note);
/* A CommandComplete about the request with this note. True: it is about a statement of ours. */
bool prepared_see_completed(void *note);
/* A CommandComplete's body: does it say that all prepared statements are gone? */
bool prepared_tag_drops_all(const uint8_t *body, uint32_t available);

#endif
