/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/option.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 32, WORDLESS = 256 /* values of options without a letter begin here */ };

static struct option_row rows[] = {
#define OPTION(type, letter, name, argument, doc) {letter, #name, argument, doc},
#include "daemon/options.def"
};

/* A field's name has '_' where the option has '-'. */
static void spell(struct option_row *row, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s", row->name);
	for (char *at = name; *at; at++)
		*at = *at == '_' ? '-' : *at;
	row->name = name;
}

const struct option_row *option_row(enum option_index index)
{
	static char names[OPTION_COUNT][NAME_SIZE];
	if (rows[index].name != names[index])
		spell(&rows[index], names[index]);
	return &rows[index];
}

/* By what getopt_long() answers; OPTION_COUNT: there is none. */
static enum option_index find(int value)
{
	enum option_index index = 0;
	while (index < OPTION_COUNT &&
	       value != (rows[index].letter ? rows[index].letter : WORDLESS + (int)index))
		index++;
	return index;
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

static void take_WORDS(struct option_words *words, const char *argument)
{
	words->all = memory_realloc(words->all, (words->count + 1) * sizeof(*words->all));
	words->all[words->count++] = argument;
}

static void take(struct options *options, enum option_index index, const char *argument)
{
	switch (index) {
#define OPTION(type, letter, name, argument_name, doc) \
	case OPTION_##name:                            \
		take_##type(&options->name, argument); \
		break;
#include "daemon/options.def"
	case OPTION_COUNT:
		break;
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
	if (find(letter) != OPTION_COUNT)
		return refuse(error, "option \"%s\" takes no value", word);
	return refuse(error, "unknown option \"%s\"", text);
}

bool options_parse(struct options *options, int argc, char **argv, struct error *error)
{
	struct option words[OPTION_COUNT + 1] = {0};
	char letters[2 + 2 * OPTION_COUNT + 1], *end = letters;
	*end++ = ':'; /* a missing argument is ':', not '?' */
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = option_row((enum option_index)i);
		words[i] =
			(struct option){.name = row->name,
					.has_arg = row->argument ? required_argument : no_argument,
					.val = row->letter ? row->letter : WORDLESS + i};
		if (!row->letter)
			continue;
		*end++ = row->letter;
		if (row->argument)
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
		take(options, find(letter), optarg);
	}
	if (optind < argc)
		options->config = argv[optind++];
	if (optind < argc)
		return refuse(error, "one configuration file at most, what is \"%s\"?",
			      argv[optind]);
	return true;
}

void options_fini(struct options *options)
{
	memory_free(&options->set.all);
	options->set.count = 0;
}

char *options_help(void)
{
	char text[4096], words[64];
	struct text_builder builder;
	text_builder_init(&builder, text, sizeof(text));
	text_append(&builder, "Usage: pgweir [OPTION]... [CONFIG.ini]\n"
			      "A connection pooler for PostgreSQL.\n\n");
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = option_row((enum option_index)i);
		char letter[] = {'-', row->letter, ',', '\0'};
		snprintf(words, sizeof(words), "%3s --%.31s%s%s", row->letter ? letter : "",
			 row->name, row->argument ? " " : "", row->argument ? row->argument : "");
		text_append(&builder, "  %-20s  %s\n", words, row->doc);
	}
	text_append(&builder, "\nWithout CONFIG.ini it listens on 127.0.0.1 and on the Unix "
			      "socket, port 6432, and leads\n"
			      "every database name to localhost:5432; nobody is let in but the "
			      "same system user to the console.\n"
			      "Environment variables PGWEIR_NAME (PGWEIR_LISTEN_PORT=6433) set "
			      "settings too, above the file.\n");
	return memory_strdup(text);
}
