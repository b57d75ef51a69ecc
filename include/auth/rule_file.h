/* SPDX-License-Identifier: ISC */
/* rule_file: the form that HBA files and user name maps share (PostgreSQL manual, sections 20.1 and
 * 20.2): lines of fields, a field is a comma list of words; "quoted" words ("" is a quote), '#'
 * comments, a backslash at a line's end continues it, @file puts the words of a file in its place,
 * include, include_if_exists and include_dir put the lines of others in theirs. Unlike PostgreSQL
 * we refuse a quote that is not closed. Names of files are relative to the file they stand in. */
#ifndef PGWEIR_AUTH_RULE_FILE_H
#define PGWEIR_AUTH_RULE_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct error;

enum {
	RULE_FILE_DEPTH = 10,	   /* how deep files may include files */
	RULE_FILE_BYTES = 16 << 20 /* how long all of them may be together */
};

struct rule_word {
	const char *text;
	bool is_quoted; /* begins with a quote, so it is never a keyword */
};

struct rule_field {
	struct rule_word *words;
	size_t count; /* 0: an @file that names nothing */
};

struct rule_line {
	const char *file;
	unsigned number; /* its first, where it is continued */
	struct rule_field *fields;
	size_t count; /* at least one */
};

/* All lines in the order in which they count. */
struct rule_file {
	struct rule_line *lines;
	size_t count;
	struct rule_block *blocks; /* what words, fields and rule_file_alloc live in */
};

/* Read the file and all that it includes. NULL with @error, "FILE:LINE: ...": nothing is skipped.
 * @setting is the setting that names the file. */
struct rule_file *rule_file_load(const char *path, const char *setting, struct error *error);
/* Erases it, since LDAP passwords may stand in it. */
void rule_file_free(struct rule_file **file);

/* Memory that lives, and is erased, with the file; zeroed. */
void *rule_file_alloc(struct rule_file *file, size_t size);
char *rule_file_strdup(struct rule_file *file, const char *text);

/* Is it this keyword? */
bool rule_word_is(const struct rule_word *word, const char *keyword);
/* "FILE:LINE: what", as printf. Returns false. */
bool rule_line_fail(const struct rule_line *line, struct error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A word as it may stand in an error: at most 60 bytes of it, control characters as '?'. */
enum { RULE_WORD_SHOWN = 64 };
const char *rule_word_shown(const char *word, char text[RULE_WORD_SHOWN]);

#endif
