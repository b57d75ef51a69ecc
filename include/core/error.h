/* SPDX-License-Identifier: ISC */
/* error: an SQLSTATE and a sentence, filled in by whoever detects a failure, handled (logged or
 * sent) once by whoever receives it. The SQLSTATEs we use are rows of sqlstates.def (PostgreSQL
 * manual, appendix A). */
#ifndef PGWEIR_CORE_ERROR_H
#define PGWEIR_CORE_ERROR_H

#include <stdbool.h>
#include <stdarg.h>

enum sqlstate {
#define SQLSTATE(name, code, doc) SQLSTATE_##name,
#include "core/sqlstates.def"
	SQLSTATE_COUNT
};

struct error {
	char sqlstate[6];  /* five characters, NUL-terminated; may be one that a server sent */
	char message[512]; /* one sentence, no newline at its end */
	char detail[256];  /* empty: none */
	char hint[256];	   /* empty: none */
};

/* The five characters of an SQLSTATE. */
const char *sqlstate_code(enum sqlstate state);

/* Fill in @error (which may be NULL) and return false, so that "return error_set(...)" reads well.
 * Text that does not fit is cut at a character's boundary. Detail and hint are emptied. */
bool error_set(struct error *error, enum sqlstate state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Append to the sentence's detail or hint. Return false. */
bool error_detail(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool error_hint(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the message, for the caller who knows where (file:line). Returns false. */
bool error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Who wants to know every mistake of a file, and not the first alone, sets a collector (NULL: no
 * more). Readers that can go on behind a mistake hand it over by error_collected(); true: do go on.
 * What they read in the end is not to be used. */
typedef void error_collect_fn(const struct error *error);
void error_collect(error_collect_fn *collect);
bool error_collected(const struct error *error);

#endif
