/* SPDX-License-Identifier: ISC */
/* response: messages a server sends that we make or read ourselves. Appending returns false when
 * the cap was met. Source: PostgreSQL manual, "Message Formats" and "Error and Notice Message
 * Fields". */
#ifndef PGWEIR_PROTO_RESPONSE_H
#define PGWEIR_PROTO_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"
#include "core/error.h"

/* ErrorResponse with fields S, V, C, M and, where not empty, D and H. @severity: "FATAL" or
 * "ERROR". */
bool response_put_error(struct buffer **out, size_t cap, const char *severity,
			const struct error *error);
/* NoticeResponse, likewise. @severity: "NOTICE", "WARNING". */
bool response_put_notice(struct buffer **out, size_t cap, const char *severity,
			 const struct error *error);
bool response_put_parameter_status(struct buffer **out, size_t cap, const char *name,
				   const char *value);
bool response_put_backend_key_data(struct buffer **out, size_t cap, uint32_t process_id,
				   const void *key, size_t key_size);
/* @status: 'I', 'T' or 'E'. */
bool response_put_ready_for_query(struct buffer **out, size_t cap, char status);
bool response_put_command_complete(struct buffer **out, size_t cap, const char *tag);
/* A message without a body: ParseComplete, NoData, EmptyQueryResponse ... */
bool response_put_empty(struct buffer **out, size_t cap, uint8_t type);

/* Types of columns we make ourselves, by PostgreSQL's OIDs (pg_type). */
enum response_type {
	RESPONSE_TEXT = 25,
	RESPONSE_INT4 = 23,
	RESPONSE_INT8 = 20,
	RESPONSE_NUMERIC = 1700,
	RESPONSE_BYTEA = 17
};
struct response_column {
	const char *name;
	enum response_type type;
};
bool response_put_row_description(struct buffer **out, size_t cap,
				  const struct response_column *columns, size_t count);
/* A row of text values; NULL is SQL's NULL. */
bool response_put_data_row(struct buffer **out, size_t cap, const char *const *values,
			   size_t count);

/* Read an ErrorResponse or NoticeResponse body into @error (what is too long is cut). @severity
 * gets the V field, or else S; "" if neither. False: malformed (fields read so far are kept). */
bool response_parse_error(const uint8_t *body, size_t size, char severity[16], struct error *error);
/* From the first bytes of a body, which may end anywhere: is its severity FATAL or PANIC? */
bool response_error_is_fatal(const uint8_t *body, size_t size);
/* ParameterStatus: two strings and nothing behind. */
bool response_parse_parameter_status(const uint8_t *body, size_t size, const char **name,
				     const char **value);
/* BackendKeyData: process id and 4 to 256 bytes of key. */
bool response_parse_backend_key_data(const uint8_t *body, size_t size, uint32_t *process_id,
				     const uint8_t **key, size_t *key_size);

#endif
