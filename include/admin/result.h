/* SPDX-License-Identifier: ISC */
/* result: turns a column table and rows into protocol messages. A column is a field of the row's
 * info struct: text columns are const char *, NULL for SQL's NULL; all others int64_t. */
#ifndef PGWEIR_ADMIN_RESULT_H
#define PGWEIR_ADMIN_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"
#include "proto/response.h"

enum { RESULT_MAX = 1 << 30, RESULT_COLUMNS = 64 };

struct result_column {
	const char *name;
	enum response_type type;
	size_t offset;
	const char *doc;
};

struct result {
	struct buffer **out;
	const struct result_column *columns;
	unsigned count;
	const uint8_t *binary; /* by column: send it in binary (integers); NULL: all as text */
	bool is_cut;	       /* a row did not fit: RESULT_MAX, or no memory */
};

/* Append RowDescription. */
void result_describe(struct buffer **out, const struct result_column *columns, unsigned count,
		     const uint8_t *binary);
/* Append a DataRow of the fields of @info. */
void result_row(struct result *result, const void *info);

#endif
