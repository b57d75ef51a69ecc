/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/option.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct option_row rows[] = {
#define OPTION(type, letter, name, argument, doc) {letter, #name, argument, doc},
#include "daemon/options.def"
};

const struct option_row *option_row(enum option_index index)
{
	return &rows[index];
}

static const struct option_row *find(int letter)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		if (rows[i].letter == letter)
			return &rows[i];
	}
	return NULL;
}

static void take_FLAG(bool *flag, const char *argument)
{
	(void)argument;
	*flag = true;
}

static void take_COUNT(int *count, const char *argument)
{
	(void)argument;
	++*count;
}

static void take_WORD(const char **word, const char *argument)
{
	*word = argument;
}

static void take(struct options *options, int letter, const char *argument)
{
	switch (letter) {
#define OPTION(type, letter, name, argument_name, doc) \
	case letter:                                   \
		take_##type(&options->name, argument); \
		break;
#include "daemon/options.def"
	}
}

static bool refuse(struct error *error, const char *format, const char *word)
{
	char shown[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE, format,
		  text_printable(word, shown, sizeof(shown)));
#pragma GCC diagnostic pop
	return error_hint(error, "try \"pgweir --help\"");
}

/* What getopt_long() calls '?'. */
static bool refuse_unknown(int letter, const char *word, struct error *error)
{
	char text[] = {'-', (char)letter, '\0'};
	if (!letter)
		return refuse(error, "unknown option \"%s\"", word);
	if (find(letter))
		return refuse(error, "option \"%s\" takes no value", word);
	return refuse(error, "unknown option \"%s\"", text);
}

bool options_parse(struct options *options, int argc, char **argv, struct error *error)
{
	struct option words[OPTION_COUNT + 1] = {0};
	char letters[2 + 2 * OPTION_COUNT + 1], *end = letters;
	*end++ = ':'; /* a missing argument is ':', not '?' */
	for (int i = 0; i < OPTION_COUNT; i++) {
		words[i] = (struct option){.name = rows[i].name,
					   .has_arg = rows[i].argument ? required_argument
								       : no_argument,
					   .val = rows[i].letter};
		*end++ = rows[i].letter;
		if (rows[i].argument)
			*end++ = ':';
	}
	*end = '\0';

	*options = (struct options){0};
	opterr = 0;
	optind = 0; /* begin anew */
	int letter;
	while ((letter = getopt_long(argc, argv, letters, words, NULL)) != -1) {
		if (letter == ':')
			return refuse(error, "option \"%s\" needs a value", argv[optind - 1]);
		if (letter == '?')
			return refuse_unknown(optopt, argv[optind - 1], error);
		take(options, letter, optarg);
	}
	if (optind < argc)
		options->config = argv[optind++];
	if (optind < argc)
		return refuse(error, "one configuration file at most, what is \"%s\"?",
			      argv[optind]);
	return true;
}

char *options_help(void)
{
	char text[2048], words[64];
	struct text_builder builder;
	text_builder_init(&builder, text, sizeof(text));
	text_append(&builder, "Usage: pgweir [OPTION]... [CONFIG.ini]\n"
			      "A connection pooler for PostgreSQL.\n\n");
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &rows[i];
		snprintf(words, sizeof(words), "-%c, --%s%s%s", row->letter, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
		text_append(&builder, "  %-17s  %s\n", words, row->doc);
	}
	text_append(&builder, "\nWithout CONFIG.ini it listens on 127.0.0.1 and on the Unix "
			      "socket, port 6432, and leads\n"
			      "every database name to localhost:5432; nobody is let in but the "
			      "same system user to the console.\n");
	return memory_strdup(text);
}
