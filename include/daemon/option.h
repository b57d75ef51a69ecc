/* SPDX-License-Identifier: ISC */
/* option: the command line, made from the table options.def. Contract section 7. */
#ifndef PGWEIR_DAEMON_OPTION_H
#define PGWEIR_DAEMON_OPTION_H

#include <stdbool.h>
#include <stddef.h>

struct error;

#define OPTION_C_FLAG bool
#define OPTION_C_COUNT int
#define OPTION_C_WORD const char *
#define OPTION_C_WORDS struct option_words

struct option_words {
	const char **all; /* in their order */
	size_t count;
};

/* What was asked for. Texts point into argv; NULL: not given. */
struct options {
#define OPTION(type, letter, name, argument, doc) OPTION_C_##type name;
#include "daemon/options.def"
	const char *config; /* the configuration file */
};

enum option_index {
#define OPTION(type, letter, name, argument, doc) OPTION_##name,
#include "daemon/options.def"
	OPTION_COUNT
};

/* A row, for those who walk the table. */
struct option_row {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* what to call its argument; NULL: it takes none */
	const char *doc;
};
const struct option_row *option_row(enum option_index index);

/* Read the command line. False: @error says what cannot be understood, with a hint. */
bool options_parse(struct options *options, int argc, char **argv, struct error *error);
void options_fini(struct options *options);

/* What --help prints; the caller frees it. */
char *options_help(void);

#endif
