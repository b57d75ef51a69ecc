/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/source.h"
#include "settings_priv.h"
#include "core/error.h"
#include "core/memory.h"
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SIZE = 64 };

static const char prefix[] = "PGWEIR_";

/* What was said above every file; NULL: nothing. */
static struct {
	char *text;
	enum source_kind kind;
} taken[SETTING_COUNT];

void source_fini(struct source *source)
{
	memory_free(&source->file);
	*source = (struct source){.kind = SOURCE_DEFAULT};
}

void source_set_place(struct source *source, const struct ini_place *place)
{
	source_fini(source);
	*source = (struct source){
		.kind = SOURCE_FILE, .file = memory_strdup(place->file), .line = place->line};
}

void source_copy(struct source *to, const struct source *from)
{
	char *file = from->file ? memory_strdup(from->file) : NULL;
	source_fini(to);
	*to = (struct source){.kind = from->kind, .file = file, .line = from->line};
}

/* listen_port: PGWEIR_LISTEN_PORT. */
static const char *variable_name(enum setting_index index, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s%s", prefix, setting_row(index)->name);
	for (char *at = name; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	return name;
}

const char *source_print(const struct source *source, enum setting_index index, char *text)
{
	struct ini_place place = {.file = source->file, .line = source->line};
	char name[NAME_SIZE];
	switch (source->kind) {
	case SOURCE_FILE:
		return ini_place_print(&place, text);
	case SOURCE_ENVIRONMENT:
		snprintf(text, SOURCE_TEXT, "environment variable %s", variable_name(index, name));
		return text;
	case SOURCE_COMMAND_LINE:
		snprintf(text, SOURCE_TEXT, "command line (--set %s)", setting_row(index)->name);
		return text;
	case SOURCE_CONSOLE:
		return strcpy(text, "SET");
	case SOURCE_DEFAULT:
		break;
	}
	return strcpy(text, "default");
}

/* Is the value allowed, as far as can be said of it alone? */
static bool check(enum setting_index index, const char *value, struct error *error)
{
	struct settings scratch;
	settings_init(&scratch);
	bool well = settings_set(&scratch, index, value, error);
	settings_fini(&scratch);
	return well;
}

static bool take(enum source_kind kind, enum setting_index index, const char *value,
		 struct error *error)
{
	if (!check(index, value, error))
		return false;
	if (taken[index].text && taken[index].kind > kind)
		return true;
	memory_free_secret(&taken[index].text);
	taken[index].text = memory_strdup(value);
	taken[index].kind = kind;
	return true;
}

static bool fail_unknown(const char *name, struct error *error)
{
	char shown[VALUE_SHOWN_SIZE], suggestion[VALUE_SHOWN_SIZE];
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "unknown parameter \"%s\"%s",
			 value_show(name, shown), settings_suggest(name, suggestion));
}

/* ---- the environment ---- */

/* Kubernetes and Docker set these in every container beside a service that is called pgweir. */
static bool is_of_containers(const char *name)
{
	static const char *const patterns[] = {"SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_*",
					       "PORT", "PORT_[0-9]*"};
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	}
	return false;
}

/* The setting that NAME of PGWEIR_NAME=... means, which has no small letters. */
static enum setting_index find_variable(const char *name, char lower[NAME_SIZE])
{
	size_t length = 0;
	bool is_upper = true;
	for (; name[length] && length + 1 < NAME_SIZE; length++) {
		is_upper &= !islower((unsigned char)name[length]);
		lower[length] = (char)tolower((unsigned char)name[length]);
	}
	lower[length] = '\0';
	return is_upper && !name[length] ? setting_find(lower) : SETTING_COUNT;
}

/* @variable: NAME=VALUE, without PGWEIR_. */
static bool read_variable(const char *variable, struct error *error)
{
	const char *value = strchr(variable, '=');
	if (!value)
		return true;
	char lower[NAME_SIZE], shown[VALUE_SHOWN_SIZE];
	char *name = memory_strndup(variable, (size_t)(value - variable));
	enum setting_index index = find_variable(name, lower);
	bool well = is_of_containers(name);
	if (!well) {
		well = index == SETTING_COUNT ? fail_unknown(lower, error)
					      : take(SOURCE_ENVIRONMENT, index, value + 1, error);
		if (!well)
			error_prefix(error, "environment variable %s%s", prefix,
				     value_show(name, shown));
	}
	memory_free(&name);
	return well;
}

bool source_read_environment(char *const *environment, struct error *error)
{
	size_t length = strlen(prefix);
	for (; *environment; environment++) {
		if (strncmp(*environment, prefix, length) == 0 &&
		    !read_variable(*environment + length, error) && !error_collected(error))
			return false;
	}
	return true;
}

/* ---- the command line ---- */

bool source_set_option(enum setting_index index, const char *value, struct error *error)
{
	return take(SOURCE_COMMAND_LINE, index, value, error);
}

bool source_read_option(const char *assignment, struct error *error)
{
	const char *value = strchr(assignment, '=');
	char shown[VALUE_SHOWN_SIZE];
	if (!value)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "--set takes name=value, not \"%s\"",
				 value_show(assignment, shown));
	char *name = memory_strndup(assignment, (size_t)(value - assignment));
	enum setting_index index = setting_find(name);
	bool well = index == SETTING_COUNT ? fail_unknown(name, error)
					   : take(SOURCE_COMMAND_LINE, index, value + 1, error);
	if (!well)
		error_prefix(error, "--set %s", value_show(name, shown));
	memory_free(&name);
	return well;
}

/* ---- what they said ---- */

const char *source_conffile(void)
{
	const char *path = taken[SETTING_conffile].text;
	return path && *path ? path : NULL;
}

void source_apply(struct settings *settings, struct source sources[SETTING_COUNT])
{
	for (enum setting_index i = 0; i < SETTING_COUNT; i++) {
		if (!taken[i].text || i == SETTING_conffile)
			continue;
		(void)settings_set(settings, i, taken[i].text, NULL); /* allowed: see take() */
		source_fini(&sources[i]);
		sources[i].kind = taken[i].kind;
	}
}

void source_release(void)
{
	for (enum setting_index i = 0; i < SETTING_COUNT; i++)
		memory_free_secret(&taken[i].text);
}
