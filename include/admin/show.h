/* SPDX-License-Identifier: ISC */
/* show: what one SHOW is: a name, its columns, and a function that hands its rows to the result.
 * Header, rows and manual come from the same arrays. */
#ifndef PGWEIR_ADMIN_SHOW_H
#define PGWEIR_ADMIN_SHOW_H

#include "admin/result.h"

struct show {
	const char *name;
	const struct result_column *columns;
	unsigned count;
	void (*rows)(struct result *result);
	const char *doc;
};

#define SHOW_ROW(name, columns, rows, doc)                                    \
	{                                                                     \
		name, columns, sizeof(columns) / sizeof *(columns), rows, doc \
	}
#define SHOW_COLUMN(type, info, field, name, doc)                        \
	{                                                                \
		name, RESPONSE_##type, offsetof(struct info, field), doc \
	}

#endif
