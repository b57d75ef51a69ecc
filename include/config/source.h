/* SPDX-License-Identifier: ISC */
/* source: where the value of a setting comes from, and the two sources above every file: the
 * environment (PGWEIR_LISTEN_PORT=6433) and the command line (--set listen_port=6433). They are
 * read once, at start, and win over the file at every load; console SET wins over them until the
 * next. */
#ifndef PGWEIR_CONFIG_SOURCE_H
#define PGWEIR_CONFIG_SOURCE_H

#include <stdbool.h>
#include "config/ini.h"
#include "config/settings.h"

struct error;

/* In rising priority. */
enum source_kind {
	SOURCE_DEFAULT,
	SOURCE_FILE,
	SOURCE_ENVIRONMENT,
	SOURCE_COMMAND_LINE,
	SOURCE_CONSOLE
};

struct source {
	enum source_kind kind;
	char *file; /* SOURCE_FILE: its place there; owned */
	int line;
};

void source_set_place(struct source *source, const struct ini_place *place);
void source_copy(struct source *to, const struct source *from);
void source_fini(struct source *source);
/* "FILE:LINE", "environment variable PGWEIR_LISTEN_PORT", "command line (--set listen_port)",
 * "SET", "default".
 * @text has SOURCE_TEXT bytes; returns it. */
enum { SOURCE_TEXT = INI_PLACE_TEXT };
const char *source_print(const struct source *source, enum setting_index index, char *text);

/* Take what @environment (as environ(7)) says. False: @error names a variable that says something
 * wrong. */
bool source_read_environment(char *const *environment, struct error *error);
/* Take "name=value" of the command line; the last word on a setting wins. */
bool source_read_option(const char *assignment, struct error *error);
/* Likewise, for the options that have a name of their own. */
bool source_set_option(enum setting_index index, const char *value, struct error *error);
/* The file to start with that they name; NULL: none. */
const char *source_conffile(void);

/* Put what was taken over @settings, and note it in @sources. conffile is left out: it says where
 * to begin, and SET may lead on from there. */
void source_apply(struct settings *settings, struct source sources[SETTING_COUNT]);
/* Forget all (at exit). */
void source_release(void);

#endif
