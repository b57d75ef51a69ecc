/* SPDX-License-Identifier: ISC */
/* command: splits what was typed into statements and words. Words are letters, digits, '_', '.' and
 * '-', or quoted: "name" keeps its case, 'text' is a value; quotes are doubled to stand for
 * themselves. SQL's comments may stand between words. */
#ifndef PGWEIR_ADMIN_COMMAND_H
#define PGWEIR_ADMIN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct error;

enum { COMMAND_WORDS = 8, COMMAND_WORD = 1024 };

struct command_words {
	char word[COMMAND_WORDS][COMMAND_WORD];
	unsigned count;
	bool has_equals; /* word[1] = word[2], or word[1] TO word[2] */
};

/* Take the first statement off *@text, which is left behind its semicolon. No words: it is empty.
 * False: @error (42601). */
bool command_split(const char **text, struct command_words *words, struct error *error);

#endif
