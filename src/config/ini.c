/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/ini.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 10, FILE_MAX = 64 * 1024 * 1024, READ_BLOCK = 16384, NAME_SHOWN = 80 };

struct reader {
	const struct ini_events *events;
	void *context;
	int depth;
	bool in_section;
};

/* One line, NUL-terminated, without blanks around it. */
struct line {
	char *at;
	struct ini_place place;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *skip_blanks(char *at)
{
	while (is_blank(*at))
		at++;
	return at;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-' || c == '*';
}

const char *ini_place_print(const struct ini_place *place, char *text)
{
	enum { NUMBER = 16 };
	size_t length = strlen(place->file), room = INI_PLACE_TEXT - NUMBER;
	bool cut = length > room;
	snprintf(text, INI_PLACE_TEXT, "%s%s:%d", cut ? "..." : "",
		 place->file + (cut ? length - room + 3 : 0), place->line);
	return text;
}

static bool fail_at(const struct ini_place *place, struct error *error)
{
	char where[INI_PLACE_TEXT];
	ini_place_print(place, where);
	if (error && !strstr(error->message, where))
		error_prefix(error, "%s", where);
	return false;
}

static bool fail(const struct line *line, const char *what, struct error *error)
{
	error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s", what);
	return fail_at(&line->place, error);
}

/* ---- files ---- */

/* A file's bytes and a NUL. They may hold passwords. */
struct content {
	char *text;
	size_t size, room;
};

static void content_free(struct content *content)
{
	if (content->text)
		memory_erase(content->text, content->size);
	memory_free(&content->text);
}

/* Not realloc(), which would leave a copy of secrets behind. */
static void content_grow(struct content *content)
{
	size_t room = content->room ? content->room * 2 : READ_BLOCK;
	char *text = memory_alloc(room + 1);
	if (content->text) {
		memcpy(text, content->text, content->size);
		content_free(content);
	}
	content->text = text;
	content->room = room;
}

/* Read all of @path; 0 or errno. */
static int content_read(struct content *content, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno;
	int result = 0;
	for (;;) {
		if (content->size == content->room)
			content_grow(content);
		ssize_t got =
			read(fd, content->text + content->size, content->room - content->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			result = errno;
		if (got <= 0)
			break;
		content->size += (size_t)got;
		if (content->size > FILE_MAX) {
			result = EFBIG;
			break;
		}
	}
	close(fd);
	if (result)
		content_free(content);
	return result;
}

static bool read_lines(struct reader *reader, struct content *content, const char *path,
		       struct error *error);

/* @from: the place that includes this file, or NULL. */
static bool read_file(struct reader *reader, const char *path, const struct ini_place *from,
		      struct error *error)
{
	struct content content = {0};
	int result = content_read(&content, path);
	if (result) {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "could not read configuration file \"%s\": %s", path, strerror(result));
		return from ? fail_at(from, error) : false;
	}
	bool ok = read_lines(reader, &content, path, error);
	content_free(&content);
	return ok;
}

/* ---- lines ---- */

/* Where @name leads: beside the including file if there is such a file, else from the working
 * directory. The caller frees it. */
static char *include_path(const char *from, const char *name)
{
	const char *slash = strrchr(from, '/');
	if (name[0] == '/' || !slash)
		return memory_strdup(name);
	char *path = memory_printf("%.*s/%s", (int)(slash - from), from, name);
	if (access(path, F_OK) != 0 && access(name, F_OK) == 0) {
		memory_free(&path);
		path = memory_strdup(name);
	}
	return path;
}

static bool parse_directive(struct reader *reader, struct line *line, struct error *error)
{
	static const char include[] = "%include";
	char *name = line->at + sizeof(include) - 1;
	if (strncmp(line->at, include, sizeof(include) - 1) != 0 || (*name && !is_blank(*name)))
		return fail(line, "unknown directive: allowed is \"%include FILE\"", error);
	name = skip_blanks(name);
	if (!*name)
		return fail(line, "%include needs the name of a file", error);
	if (reader->depth == DEPTH_MAX)
		return fail(line, "files include each other more than 10 deep", error);
	char *path = include_path(line->place.file, name);
	reader->depth++;
	bool ok = read_file(reader, path, &line->place, error);
	reader->depth--;
	memory_free(&path);
	return ok;
}

static bool parse_section(struct reader *reader, struct line *line, struct error *error)
{
	char *name = line->at + 1, *end = strchr(name, ']');
	if (!end)
		return fail(line, "the section's closing \"]\" is missing", error);
	char *rest = skip_blanks(end + 1);
	if (*rest && *rest != ';' && *rest != '#')
		return fail(line, "nothing but a comment may follow \"[section]\" on its line",
			    error);
	*end = '\0';
	reader->in_section = true;
	if (!reader->events->section(reader->context, name, &line->place, error))
		return fail_at(&line->place, error);
	return true;
}

/* Unquote the text that begins behind the quote at @at, in place; doubled quotes stand for one.
 * Returns what is behind the closing quote; NULL: there is none. */
static char *unquote(char *at)
{
	char quote = *at++, *to = at;
	for (;; at++) {
		if (!*at)
			return NULL;
		if (*at == quote && *++at != quote)
			break;
		*to++ = *at;
	}
	*to = '\0';
	return at;
}

static bool parse_value(struct reader *reader, struct line *line, struct error *error)
{
	static const char expected[] =
		"expected \"name = value\", \"[section]\", \"%include FILE\" or a comment; a name "
		"that has more than letters, digits and _ . - * must be 'quoted'";
	char *key = line->at, *end = key, *at;
	bool quoted = *key == '\'' || *key == '"';
	if (quoted) {
		at = unquote(key++);
		if (!at)
			return fail(line, "the closing quote of a name is missing", error);
	} else {
		while (is_name(*end))
			end++;
		at = end;
	}
	at = skip_blanks(at);
	if (*at != '=' || (!quoted && end == key))
		return fail(line, expected, error);
	char *value = skip_blanks(at + 1);
	if (!quoted)
		*end = '\0';
	if (!reader->in_section)
		return fail(line, "a value stands before the first [section]", error);
	if (!reader->events->value(reader->context, key, value, &line->place, error))
		return fail_at(&line->place, error);
	return true;
}

static bool parse_line(struct reader *reader, struct line *line, size_t length, struct error *error)
{
	if (memchr(line->at, 0, length))
		return fail(line, "a zero byte is not allowed", error);
	while (length > 0 && is_blank(line->at[length - 1]))
		line->at[--length] = '\0';
	line->at = skip_blanks(line->at);
	switch (*line->at) {
	case '\0':
	case ';':
	case '#':
		return true;
	case '[':
		return parse_section(reader, line, error);
	case '%':
		return parse_directive(reader, line, error);
	default:
		return parse_value(reader, line, error);
	}
}

static bool read_lines(struct reader *reader, struct content *content, const char *path,
		       struct error *error)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	struct line line = {.place = {.file = path}};
	char *at = content->text, *end = at + content->size;
	*end = '\0';
	if (strncmp(at, byte_order_mark, 3) == 0)
		at += 3;
	while (at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		char *stop = newline ? newline : end;
		*stop = '\0';
		line.at = at;
		line.place.line++;
		if (!parse_line(reader, &line, (size_t)(stop - at), error) &&
		    !error_collected(error))
			return false;
		at = stop + 1;
	}
	return true;
}

bool ini_read(const char *path, const struct ini_events *events, void *context, struct error *error)
{
	struct reader reader = {.events = events, .context = context};
	return read_file(&reader, path, NULL, error);
}

/* ---- pairs ---- */

/* Where we are in the pairs of a row. */
struct pairs {
	char *at;
	const char *previous; /* key; NULL: this is the first pair */
};

/* A word that follows a password may be a part of it that wanted quotes: never shown. */
static bool fail_pair(const struct pairs *pairs, const char *key, const char *what,
		      struct error *error)
{
	char shown[NAME_SHOWN];
	if (key && *key && !(pairs->previous && strcmp(pairs->previous, "password") == 0))
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s of \"%s\"", what,
				 text_printable(key, shown, sizeof(shown)));
	if (pairs->previous)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "%s, behind the value of \"%s\"", what,
				 text_printable(pairs->previous, shown, sizeof(shown)));
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s", what);
}

static bool take_pair(struct pairs *pairs, char **key, char **value, struct error *error)
{
	char *end = *key = pairs->at;
	while (is_name(*end))
		end++;
	char *at = skip_blanks(end);
	if (*at != '=' || end == *key)
		return fail_pair(pairs, NULL, "expected key=value (or key='a quoted value')",
				 error);
	*end = '\0';
	*value = at = skip_blanks(at + 1);
	if (*at == '\'') {
		*value = at + 1;
		at = unquote(at);
		if (!at)
			return fail_pair(pairs, *key, "the closing quote is missing in the value",
					 error);
		if (*at && !is_blank(*at))
			return fail_pair(pairs, *key, "a blank must follow the quoted value",
					 error);
		pairs->at = at;
		return true;
	}
	while (*at && !is_blank(*at))
		at++;
	if (at == *value)
		return fail_pair(pairs, *key, "'' must be written for an empty value", error);
	pairs->at = *at ? at + 1 : at;
	*at = '\0';
	return true;
}

bool ini_parse_pairs(const char *text, ini_pair_fn *each, void *context, struct error *error)
{
	size_t size = strlen(text) + 1;
	char *copy = memory_dup(text, size), *key = NULL, *value = NULL;
	struct pairs pairs = {.at = copy};
	bool ok = true;
	while (ok && *(pairs.at = skip_blanks(pairs.at))) {
		ok = take_pair(&pairs, &key, &value, error) && each(context, key, value, error);
		pairs.previous = key;
	}
	memory_erase(copy, size);
	memory_free(&copy);
	return ok;
}
