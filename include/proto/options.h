/* SPDX-License-Identifier: ISC */
/* options: the "-c name=value" and "--name=value" words inside the `options` startup parameter.
 * Backslash escapes as PostgreSQL does (manual, libpq "options"). */
#ifndef PGWEIR_PROTO_OPTIONS_H
#define PGWEIR_PROTO_OPTIONS_H

#include <stdbool.h>

struct error;

/* Called for each assignment; "-" in a name given as --long-name is already "_". Return false to
 * stop. */
typedef bool options_fn(void *context, const char *name, const char *value, struct error *error);

/* Walk @text; what each is given lies in @words, of strlen(@text) + 1 bytes. False: malformed
 * (error filled with the contract's text "unsupported options startup parameter: only '-c
 * config=val' and '--config=val' are allowed"), or @each said so. */
bool options_walk(const char *text, char *words, options_fn *each, void *context,
		  struct error *error);

#endif
