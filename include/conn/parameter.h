/* SPDX-License-Identifier: ISC */
/* parameter: tracked ParameterStatus values, and the SET that makes a server match a client. A set
 * of values is immutable, shared by all who have the same values and counted: two equal sets are
 * one pointer, so that a match costs one compare. Contract section 11. */
#ifndef PGWEIR_CONN_PARAMETER_H
#define PGWEIR_CONN_PARAMETER_H

#include <stdbool.h>
#include <stddef.h>
#include "core/buffer.h"
#include "core/error.h"

struct parameter_set;

enum {
	PARAMETER_COUNT = 0 /* that are always tracked */
#define PARAMETER(name, doc) +1
#include "conn/parameters.def"
	,
	PARAMETER_MAX = 32, /* with those that are named besides */
};

/* Track these, a comma list, besides those of the table. Names that PostgreSQL does not report have
 * no effect. False: there are too many, or one is too long; nothing has changed. Before the first
 * connection. */
bool parameter_track(const char *list, struct error *error);

/* Values gathered for a set, in the order of the table; NULL: none. Their bytes are the
 * caller's. */
struct parameter_values {
	const char *of[PARAMETER_MAX];
};

/* Is this a parameter that follows the client (any case)? Returns its canonical spelling, or NULL.
 */
const char *parameter_tracked(const char *name);

/* The set without values; a new reference. */
struct parameter_set *parameter_empty(void);
struct parameter_set *parameter_share(struct parameter_set *set);
/* Give a reference back and leave NULL. */
void parameter_release(struct parameter_set **set);
/* Replace *@set by the set that has @value for the canonical @name. Returns whether anything
 * changed. */
bool parameter_put(struct parameter_set **set, const char *name, const char *value);
/* Replace *@set by @base with the values of *@set put over it. */
void parameter_put_over(struct parameter_set **set, const struct parameter_set *base);
/* Note the value of @name (any case); the last one counts. False: it is not tracked. */
bool parameter_note(struct parameter_values *values, const char *name, const char *value);
/* Put all that was noted into *@set at once, which is cheaper than one by one, and forget it. */
void parameter_put_values(struct parameter_set **set, struct parameter_values *values);
const char *parameter_get(const struct parameter_set *set, const char *name);
/* Walk: *@cursor starts as NULL; false at the end. */
bool parameter_next(const struct parameter_set *set, const char **cursor, const char **name,
		    const char **value);

/* Some server has had exactly these values: they are known to be valid. */
bool parameter_is_proven(const struct parameter_set *set);
void parameter_prove(struct parameter_set *set);

/* Append a Query that makes a server with @actual values have the @wanted ones: "SET name =
 * 'value'; ...". *@count: how many differ; with 0 nothing is appended. False: no room. */
bool parameter_put_query(struct buffer **out, size_t cap, const struct parameter_set *wanted,
			 const struct parameter_set *actual, unsigned *count);
/* How many sets exist (tests, leak checks). */
unsigned parameter_sets(void);

#endif
