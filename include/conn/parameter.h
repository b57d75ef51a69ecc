/* SPDX-License-Identifier: ISC */
/* parameter: the session parameters that follow a client from server to server, and the Query that
 * makes a server match a client. Some are tracked: PostgreSQL reports each change of them
 * (ParameterStatus). The others, extras, are what the client asked for in its start-up packet; they
 * are put on each server that it is linked to, and taken away for the next client. A set of values
 * is immutable, shared by all who have the same values and counted: two equal sets are one pointer,
 * so that a match costs one compare. Contract section 11. */
#ifndef PGWEIR_CONN_PARAMETER_H
#define PGWEIR_CONN_PARAMETER_H

#include <stdbool.h>
#include <stddef.h>
#include "config/settings.h"
#include "core/buffer.h"

struct parameter_set;

enum {
	PARAMETER_COUNT = 0 /* that are always tracked */
#define PARAMETER(name, doc) +1
#include "conn/parameters.def"
	,
	PARAMETER_MAX = PARAMETER_COUNT + SETTING_TRACKED_MAX,
	PARAMETER_EXTRAS_MAX = 64, /* of one client; their size is bounded by that of its packet */
};

/* Track these, a comma list, besides those of the table. Names that PostgreSQL does not report have
 * no effect. Returns whether that is a change: then parameter_renew() is for all sets there are. */
bool parameter_track(const char *list);

/* Values gathered for a set; {0}: none. Names and values are the caller's. */
struct parameter_values {
	const char *of[PARAMETER_MAX]; /* in the order of the table */
	const void *owner;
	unsigned extra_count;
	struct {
		const char *name, *value;
	} extras[PARAMETER_EXTRAS_MAX + PARAMETER_MAX]; /* sorted */
};

/* Is this a parameter that is tracked (any case)? Returns its canonical spelling, or NULL. */
const char *parameter_tracked(const char *name);

/* The set without values; a new reference. */
struct parameter_set *parameter_empty(void);
struct parameter_set *parameter_share(struct parameter_set *set);
/* Give a reference back and leave NULL. */
void parameter_release(struct parameter_set **set);
/* Replace *@set by the set that has @value for the canonical @name. Returns whether anything
 * changed. */
bool parameter_put(struct parameter_set **set, const char *name, const char *value);
/* Replace *@set by @base, what servers reported, with the values of *@set put over it; those that
 * they do not report become extras. What servers make of extras depends on who logs in where:
 * @owner, the pool, whose servers they are for. */
void parameter_put_over(struct parameter_set **set, const struct parameter_set *base,
			const void *owner);
/* Note the value of @name (any case); the last one counts. False: it is not tracked. */
bool parameter_note(struct parameter_values *values, const char *name, const char *value);
/* The same for an extra, of a name as text_is_qualified_name() has it. False: they are too many. */
bool parameter_note_extra(struct parameter_values *values, const char *name, const char *value);
/* Put all that was noted into *@set at once, which is cheaper than one by one, and forget it. */
void parameter_put_values(struct parameter_set **set, struct parameter_values *values);
/* By name, any case; NULL: it has no value for that. */
const char *parameter_get(const struct parameter_set *set, const char *name);
/* Walk: *@cursor starts as NULL; false at the end. Tracked ones come first; the names of extras are
 * in lower case. */
bool parameter_next(const struct parameter_set *set, const char **cursor, const char **name,
		    const char **value);

bool parameter_has_extras(const struct parameter_set *set);
/* Give *@set the extras of @from in place of its own. */
void parameter_take_extras(struct parameter_set **set, const struct parameter_set *from);
/* Take the extras out of *@set: what DISCARD ALL leaves of a server's. RESET ALL does not touch the
 * role: @role_stays. */
void parameter_drop_extras(struct parameter_set **set, bool role_stays);
/* Other names are tracked now: *@set, of @owner, without those that are not any more, and with
 * those of @base (NULL: none) that it lacks. If @former, what servers had of themselves, is there
 * then what differs from that was asked for, and becomes an extra. */
void parameter_renew(struct parameter_set **set, const struct parameter_set *former,
		     const struct parameter_set *base, const void *owner);

/* Some server of its owner has had exactly these values: they are known to be valid. */
bool parameter_is_proven(const struct parameter_set *set);
/* ... has had these extras, with whatever else. Each client may have its own application_name. */
bool parameter_extras_are_proven(const struct parameter_set *set);
/* One has had them, or has refused them. */
void parameter_prove(struct parameter_set *set, bool is_valid);

/* Append a Query that makes a server with @actual values have the @wanted ones: "SET name =
 * 'value'; ...", and "RESET name; ..." for extras that are not wanted. *@count: how many differ;
 * with 0 nothing is appended. With the empty set as @actual it sets all that is wanted. False: no
 * room. */
bool parameter_put_query(struct buffer **out, size_t cap, const struct parameter_set *wanted,
			 const struct parameter_set *actual, unsigned *count);
/* How many sets exist (tests, leak checks). */
unsigned parameter_sets(void);

#endif
