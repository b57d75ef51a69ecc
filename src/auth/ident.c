/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ident.h"
#include "auth/pattern.h"
#include "auth/rule_file.h"
#include "core/error.h"
#include "core/memory.h"
#include <stdint.h>
#include <string.h>

struct entry {
	const char *map, *system_user, *user;
	struct pattern *system_pattern, *user_pattern; /* NULL: compared exactly */
	const char *group;			       /* the \1 in @user, or NULL */
	bool is_any_user;
};

struct ident {
	struct rule_file *file; /* all texts lie in it */
	struct entry *entries;
	size_t count;
};

static const char line_form[] = "a line is: map system-user db-user";

/* A word that begins with a slash becomes a pattern. */
static bool parse_pattern(const struct rule_line *line, const char *text, struct pattern **pattern,
			  struct error *error)
{
	char shown[RULE_WORD_SHOWN];
	struct error why;
	if (text[0] != '/')
		return true;
	*pattern = pattern_new(text + 1, &why);
	return *pattern || rule_line_fail(line, error, "invalid regular expression \"%s\": %s",
					  rule_word_shown(text + 1, shown), why.message);
}

static bool parse_group(const struct rule_line *line, struct entry *entry, struct error *error)
{
	entry->group = entry->user_pattern ? NULL : strstr(entry->user, "\\1");
	if (!entry->group)
		return true;
	if (!entry->system_pattern || pattern_groups(entry->system_pattern) == 0)
		return rule_line_fail(line, error,
				      "\"\\1\" in the database user needs a system user that is a "
				      "/regular expression with a group in parentheses");
	if (strstr(entry->group + 2, "\\1"))
		return rule_line_fail(line, error, "only one \"\\1\" is allowed");
	return true;
}

static bool parse_line(const struct rule_line *line, struct entry *entry, struct error *error)
{
	if (line->count != 3)
		return rule_line_fail(line, error, "%s; %s",
				      line->count < 3 ? "a field is missing" : "too many fields",
				      line_form);
	for (size_t i = 0; i < line->count; i++) {
		if (line->fields[i].count != 1)
			return rule_line_fail(line, error, "one word is allowed in a field; %s",
					      line_form);
	}
	const struct rule_word *user = line->fields[2].words;
	entry->map = line->fields[0].words->text;
	entry->system_user = line->fields[1].words->text;
	entry->user = user->text;
	entry->is_any_user = rule_word_is(user, "all");
	if (!user->is_quoted && user->text[0] == '+')
		return rule_line_fail(line, error,
				      "\"+group\" is not supported; allowed are a name, all, "
				      "/regular expression");
	return parse_pattern(line, entry->system_user, &entry->system_pattern, error) &&
	       parse_pattern(line, entry->user, &entry->user_pattern, error) &&
	       parse_group(line, entry, error);
}

struct ident *ident_load(const char *path, struct error *error)
{
	struct rule_file *file = rule_file_load(path, "auth_ident_file", error);
	if (!file)
		return NULL;
	struct ident *ident = memory_alloc(sizeof *ident);
	ident->file = file;
	ident->entries = memory_alloc((file->count + 1) * sizeof *ident->entries);
	for (size_t i = 0; i < file->count; i++) {
		ident->count++;
		if (!parse_line(&file->lines[i], &ident->entries[i], error) &&
		    !error_collected(error)) {
			ident_free(&ident);
			return NULL;
		}
	}
	return ident;
}

void ident_free(struct ident **ident)
{
	if (!*ident)
		return;
	for (size_t i = 0; i < (*ident)->count; i++) {
		pattern_free(&(*ident)->entries[i].system_pattern);
		pattern_free(&(*ident)->entries[i].user_pattern);
	}
	memory_free(&(*ident)->entries);
	rule_file_free(&(*ident)->file);
	memory_free(ident);
}

/* Is @user the entry's user with the @length bytes of @group for "\1"? The result is a name, never
 * a keyword or pattern, whatever the system user is called. */
static bool is_expanded(const struct entry *entry, const char *group, size_t length,
			const char *user)
{
	size_t before = (size_t)(entry->group - entry->user);
	const char *behind = entry->group + 2;
	return strlen(user) == before + length + strlen(behind) &&
	       memcmp(user, entry->user, before) == 0 &&
	       memcmp(user + before, group, length) == 0 &&
	       strcmp(user + before + length, behind) == 0;
}

static bool entry_permits(const struct entry *entry, const char *system_user, const char *user)
{
	size_t start = 0, length = 0;
	if (entry->system_pattern) {
		if (pattern_match_group(entry->system_pattern, system_user, &start, &length) !=
		    PATTERN_YES)
			return false;
	} else if (strcmp(entry->system_user, system_user) != 0) {
		return false;
	}
	if (entry->is_any_user)
		return true;
	if (entry->user_pattern)
		return pattern_match(entry->user_pattern, user) == PATTERN_YES;
	if (entry->group) /* which may have taken no part in the match */
		return start != SIZE_MAX && is_expanded(entry, system_user + start, length, user);
	return strcmp(entry->user, user) == 0;
}

bool ident_permits(const struct ident *ident, const char *map, const char *system_user,
		   const char *user)
{
	if (!system_user[0])
		return false;
	if (!map || !map[0])
		return strcmp(system_user, user) == 0;
	for (size_t i = 0; ident && i < ident->count; i++) {
		if (strcmp(ident->entries[i].map, map) == 0 &&
		    entry_permits(&ident->entries[i], system_user, user))
			return true;
	}
	return false;
}

bool ident_has_map(const struct ident *ident, const char *map)
{
	for (size_t i = 0; ident && i < ident->count; i++) {
		if (strcmp(ident->entries[i].map, map) == 0)
			return true;
	}
	return false;
}
