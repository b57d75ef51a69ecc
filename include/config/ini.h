/* SPDX-License-Identifier: ISC */
/* ini: the file format of contract section 1, with %include (relative to the including file, then
 * to the working directory; nesting at most 10). Calls back for each section and key; every value
 * knows its file and line. */
#ifndef PGWEIR_CONFIG_INI_H
#define PGWEIR_CONFIG_INI_H

#include <stdbool.h>

struct error;

struct ini_place {
	const char *file;
	int line;
};

struct ini_events {
	/* Return false with @error filled: the load fails, and "FILE:LINE: " is put before the
	 * message unless the message names the place already. @place is valid during the call;
	 * @value may hold a secret. */
	bool (*section)(void *context, const char *name, const struct ini_place *place,
			struct error *error);
	bool (*value)(void *context, const char *key, const char *value,
		      const struct ini_place *place, struct error *error);
};

/* "FILE:LINE", of a very long name the end only. @text has INI_PLACE_TEXT bytes; returns it. */
enum { INI_PLACE_TEXT = 256 };
const char *ini_place_print(const struct ini_place *place, char *text);

/* Read the file and what it includes. */
bool ini_read(const char *path, const struct ini_events *events, void *context,
	      struct error *error);

/* Split "k=v k='quoted ''v''' ..." as in the values of [databases], [users] and [peers]: a callback
 * for each pair. */
typedef bool ini_pair_fn(void *context, const char *key, const char *value, struct error *error);
bool ini_parse_pairs(const char *text, ini_pair_fn *each, void *context, struct error *error);

#endif
