/* SPDX-License-Identifier: ISC */
/* prepared_error: errors about requests that were rewritten, said as if they had not been: with the
 * client's names, and positions in the client's text. And what such an error tells of the server.
 * Notes are those of the pipeline; NULL is fine. Manual, "Error and Notice Message Fields". */
#ifndef PGWEIR_CONN_PREPARED_ERROR_H
#define PGWEIR_CONN_PREPARED_ERROR_H

#include <stdbool.h>
#include <stdint.h>
#include "conn/prepared_book.h"
#include "core/buffer.h"

/* Is this PostgreSQL's complaint that a statement's result has changed since it was prepared? Then
 * it is to be prepared anew. */
bool prepared_is_stale(const void *note, const char *sqlstate, const char *message);
void prepared_mark_stale(const void *note, struct prepared_server *server);
/* Was it sent to be refused? When the server does it, it has other statements than we think. */
bool prepared_is_to_fail(const void *note);
/* Does this error show that the server lacks a statement that it should have? */
bool prepared_is_lacking(const void *note, const char *sqlstate, const char *message);
/* Is an error with this message to be said anew, by prepared_put_error()? */
bool prepared_changes_error(const void *note, const char *message);
bool prepared_put_error(const void *note, const uint8_t *body, uint32_t size, struct buffer **out);

#endif
