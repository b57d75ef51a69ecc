/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/userlist.h"
#include "core/error.h"
#include "core/list.h"
#include "core/map.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BLOCK = 65536 };

struct entry {
	struct map_node node;
	struct secret secret;
	const char *name; /* name and secret lie in the list's text */
};

struct userlist {
	struct map entries; /* in file order */
	char *text;	    /* the file; names and secrets are unquoted in place */
	size_t size;
	size_t counts[SECRET_SCRAM + 1]; /* entries by kind of secret */
	uint32_t scram_iterations;	 /* what most of them have */
	uint64_t serial;
};

/* Where we are in a file, and what to call the place. */
struct place {
	char *at, *end; /* of this line */
	const char *path;
	unsigned line;
};

static bool fail(const struct place *place, const char *what, struct error *error)
{
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			 "%s:%u: %s (a line is \"user\" \"secret\", or blank, or begins with ';')",
			 place->path, place->line, what);
}

static void skip_blanks(struct place *place)
{
	while (place->at < place->end &&
	       (*place->at == ' ' || *place->at == '\t' || *place->at == '\r' ||
		*place->at == '\f' || *place->at == '\v'))
		place->at++;
}

/* Take the word in double quotes here, unquoted in place ("" is a quote). NULL: it does not end on
 * this line. */
static char *take_quoted(struct place *place, size_t *length)
{
	char *word = place->at + 1, *to = word;
	for (char *at = word; at < place->end; at++) {
		if (*at == '"') {
			if (at + 1 == place->end || at[1] != '"') {
				*to = '\0';
				*length = (size_t)(to - word);
				place->at = at + 1;
				return word;
			}
			at++;
		}
		*to++ = *at;
	}
	return NULL;
}

static void free_scram(struct entry *entry)
{
	if (entry->secret.scram)
		memory_erase((void *)(uintptr_t)entry->secret.scram, sizeof(*entry->secret.scram));
	memory_free(&entry->secret.scram);
}

static void put_entry(struct userlist *list, const char *name, size_t length, const char *secret)
{
	struct map_node *node = map_find(&list->entries, name, length);
	struct entry *entry = node ? container_of(node, struct entry, node) : NULL;
	if (!entry) {
		entry = memory_alloc(sizeof(*entry));
		entry->name = name;
		map_add(&list->entries, name, length, &entry->node);
	} else {
		list->counts[entry->secret.kind]--;
	}
	free_scram(entry);
	entry->secret = secret_from_text(secret);
	if (entry->secret.kind == SECRET_SCRAM) {
		struct scram_secret *scram = memory_alloc(sizeof(*scram));
		(void)secret_parse_scram(secret, scram);
		entry->secret.scram = scram;
	}
	list->counts[entry->secret.kind]++;
}

static bool parse_line(struct userlist *list, struct place *place, struct error *error)
{
	skip_blanks(place);
	if (place->at == place->end || *place->at == ';')
		return true;
	if (memchr(place->at, 0, (size_t)(place->end - place->at)))
		return fail(place, "a zero byte is not allowed", error);
	if (*place->at != '"')
		return fail(place, "expected a quoted user name", error);
	size_t name_length, secret_length;
	const char *name = take_quoted(place, &name_length);
	if (!name)
		return fail(place, "the user name's closing quote is missing", error);
	skip_blanks(place);
	if (place->at == place->end || *place->at != '"')
		return fail(place, "expected a quoted secret behind the user name", error);
	const char *secret = take_quoted(place, &secret_length);
	if (!secret)
		return fail(place, "the secret's closing quote is missing", error);
	if (secret_length > SECRET_LENGTH_MAX)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "%s:%u: the secret is longer than the %d bytes that are allowed",
				 place->path, place->line, SECRET_LENGTH_MAX);
	put_entry(list, name, name_length, secret);
	return true;
}

static int compare(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
	return (first > second) - (first < second);
}

static void find_iterations(struct userlist *list)
{
	size_t count = 0, run = 0, longest = 0;
	uint32_t *all = memory_alloc((list->counts[SECRET_SCRAM] + 1) * sizeof *all);
	map_foreach (node, &list->entries) {
		const struct secret *secret = &container_of(node, struct entry, node)->secret;
		if (secret->kind == SECRET_SCRAM)
			all[count++] = secret->scram->iterations;
	}
	qsort(all, count, sizeof *all, compare);
	for (size_t i = 0; i < count; i++) {
		run = i > 0 && all[i] == all[i - 1] ? run + 1 : 1;
		if (run > longest) {
			longest = run;
			list->scram_iterations = all[i];
		}
	}
	memory_free(&all);
}

/* A list of the file @taken; it is the list's from now on, also when a line is wrong. There is one
 * byte behind @size. */
static struct userlist *parse_taken(char *taken, size_t size, const char *path, struct error *error)
{
	static uint64_t serial;
	struct userlist *list = memory_alloc(sizeof(*list));
	list->serial = ++serial;
	list->text = taken;
	list->size = size;
	map_init(&list->entries);
	struct place place = {.path = path};
	for (char *at = taken, *end = taken + size; at < end; at = place.end + 1) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		place.at = at;
		place.end = newline ? newline : end;
		place.line++;
		if (!parse_line(list, &place, error) && !error_collected(error)) {
			userlist_free(&list);
			return NULL;
		}
	}
	find_iterations(list);
	return list;
}

struct userlist *userlist_parse(const char *text, size_t size, const char *path,
				struct error *error)
{
	char *copy = memory_try_alloc(size + 1);
	if (!copy) {
		error_set(error, SQLSTATE_OUT_OF_MEMORY, "%s: out of memory", path);
		return NULL;
	}
	memcpy(copy, text, size);
	return parse_taken(copy, size, path, error);
}

/* Bytes of a file whose length we do not trust: it may be written to, or be a pipe. */
struct content {
	char *text;
	size_t size, room;
};

/* Not realloc(), which would leave a copy of secrets behind. */
static bool content_grow(struct content *content, size_t room)
{
	char *text = memory_try_alloc(room + 1);
	if (!text)
		return false;
	if (content->text) {
		memcpy(text, content->text, content->size);
		memory_erase(content->text, content->size);
		memory_free(&content->text);
	}
	content->text = text;
	content->room = room;
	return true;
}

/* Read all of @fd. False: errno says why. */
static bool content_read(struct content *content, int fd)
{
	struct stat status;
	size_t hint = fstat(fd, &status) == 0 && status.st_size > 0 ? (size_t)status.st_size + 1
								    : READ_BLOCK;
	for (;;) {
		if (content->size == content->room &&
		    !content_grow(content, content->room ? content->room * 2 : hint)) {
			errno = ENOMEM;
			return false;
		}
		ssize_t got =
			read(fd, content->text + content->size, content->room - content->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0;
		content->size += (size_t)got;
	}
}

struct userlist *userlist_load(const char *path, struct error *error)
{
	struct content content = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !content_read(&content, fd)) {
		error_set(error, SQLSTATE_IO_ERROR, "could not read auth_file \"%s\": %s", path,
			  strerror(errno));
		if (fd >= 0)
			close(fd);
		if (content.text)
			memory_erase(content.text, content.size);
		memory_free(&content.text);
		return NULL;
	}
	close(fd);
	return parse_taken(content.text, content.size, path, error);
}

void userlist_free(struct userlist **list)
{
	if (!*list)
		return;
	map_foreach (node, &(*list)->entries) {
		struct entry *entry = container_of(node, struct entry, node);
		map_remove(&(*list)->entries, node);
		free_scram(entry);
		memory_free(&entry);
	}
	memory_erase((*list)->text, (*list)->size);
	memory_free(&(*list)->text);
	memory_free(list);
}

const struct secret *userlist_find(const struct userlist *list, const char *user)
{
	struct map_node *node = map_find(&list->entries, user, strlen(user));
	return node ? &container_of(node, struct entry, node)->secret : NULL;
}

void userlist_keep_scram(struct userlist *list, const char *user, const struct scram_secret *made)
{
	struct map_node *node = map_find(&list->entries, user, strlen(user));
	struct entry *entry = node ? container_of(node, struct entry, node) : NULL;
	if (!entry || entry->secret.kind != SECRET_PLAIN)
		return;
	free_scram(entry);
	entry->secret.scram = memory_dup(made, sizeof(*made));
}

const char *userlist_next(const struct userlist *list, const void **cursor)
{
	const struct map_node *node = *cursor ? map_next(*cursor) : list->entries.first;
	*cursor = node;
	return node ? container_of(node, struct entry, node)->name : NULL;
}

size_t userlist_count(const struct userlist *list, enum secret_kind kind)
{
	return list->counts[kind];
}

uint32_t userlist_scram_iterations(const struct userlist *list)
{
	return list->scram_iterations;
}

uint64_t userlist_serial(const struct userlist *list)
{
	return list->serial;
}

size_t userlist_length(const struct userlist *list)
{
	return map_length(&list->entries);
}
