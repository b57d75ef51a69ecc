/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/rule_file.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_SIZE = 8000, READ_BLOCK = 65536 };

struct rule_block {
	struct rule_block *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

/* A file being read; those that include it are its parents. */
struct source {
	const struct source *parent;
	const char *path; /* lives in the rule file */
	unsigned depth;
	dev_t device;
	ino_t inode;
	char *text; /* with a NUL behind it */
	size_t size;
	size_t line_size;     /* of the line at hand */
	char *at;	      /* behind the line at hand */
	unsigned next_number; /* of the line at @at */
};

struct loading {
	struct rule_file *file;
	const char *setting;
	size_t lines_room, total;
	struct error *error;
};

/* Words of the field, and fields of the line, that is being put together. */
struct words {
	struct rule_word *all;
	size_t count, room;
};
struct fields {
	struct rule_field *all;
	size_t count, room;
};

void *rule_file_alloc(struct rule_file *file, size_t size)
{
	size_t aligned =
		(size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	struct rule_block *block = file->blocks;
	if (!block || block->size - block->used < aligned) {
		size_t room = aligned > BLOCK_SIZE / 4 ? aligned : BLOCK_SIZE;
		block = memory_alloc(sizeof *block + room);
		block->size = room;
		/* A big piece fills its block at once; go on with the one that has room. */
		if (room != BLOCK_SIZE && file->blocks) {
			block->next = file->blocks->next;
			file->blocks->next = block;
		} else {
			block->next = file->blocks;
			file->blocks = block;
		}
	}
	void *piece = block->bytes + block->used;
	block->used += aligned;
	return piece;
}

static char *copy_bytes(struct rule_file *file, const char *bytes, size_t size)
{
	char *copy = rule_file_alloc(file, size + 1);
	memcpy(copy, bytes, size);
	return copy;
}

char *rule_file_strdup(struct rule_file *file, const char *text)
{
	return copy_bytes(file, text, strlen(text));
}

bool rule_word_is(const struct rule_word *word, const char *keyword)
{
	return !word->is_quoted && strcmp(word->text, keyword) == 0;
}

const char *rule_word_shown(const char *word, char text[RULE_WORD_SHOWN])
{
	enum { SHOWN = 60 };
	/* What follows "=" may be a password: an option that stands where something is missing. */
	size_t length = strcspn(word, "=") + 1;
	text_printable(word, text, length < SHOWN ? length + 1 : SHOWN + 1);
	if (strlen(word) > (length < SHOWN ? length : SHOWN))
		strcat(text, "...");
	return text;
}

static bool fail_at(const char *path, unsigned number, struct error *error, const char *format,
		    va_list list) __attribute__((format(printf, 4, 0)));

static bool fail_at(const char *path, unsigned number, struct error *error, const char *format,
		    va_list list)
{
	char what[sizeof error->message];
	vsnprintf(what, sizeof what, format, list);
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s:%u: %s", path, number, what);
}

bool rule_line_fail(const struct rule_line *line, struct error *error, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fail_at(line->file, line->number, error, format, list);
	va_end(list);
	return false;
}

static bool fail(struct loading *loading, const struct source *source, unsigned number,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
static bool fail(struct loading *loading, const struct source *source, unsigned number,
		 const char *format, ...)
{
	va_list list;
	va_start(list, format);
	fail_at(source->path, number, loading->error, format, list);
	va_end(list);
	return false;
}

/* Files. */

static void forget(struct source *source)
{
	if (source->text)
		memory_erase(source->text, source->size);
	memory_free(&source->text);
}

/* Not realloc(), which would leave a copy of secrets behind. */
static bool grow(struct source *source, size_t *room)
{
	size_t wanted = *room ? *room * 2 : READ_BLOCK;
	char *text = memory_try_alloc(wanted + 1);
	if (!text)
		return false;
	if (source->text)
		memcpy(text, source->text, source->size);
	size_t size = source->size;
	forget(source);
	source->text = text;
	source->size = size;
	*room = wanted;
	return true;
}

/* False: errno says why; EFBIG when all files together are too long. */
static bool read_all(struct loading *loading, struct source *source, int fd)
{
	size_t room = 0;
	for (;;) {
		if (source->size == room && !grow(source, &room)) {
			errno = ENOMEM;
			return false;
		}
		ssize_t got = read(fd, source->text + source->size, room - source->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		source->text[source->size + (size_t)got] = '\0';
		if (got == 0)
			return true;
		source->size += (size_t)got;
		loading->total += (size_t)got;
		if (loading->total > RULE_FILE_BYTES) {
			errno = EFBIG;
			return false;
		}
	}
}

/* Say why @path cannot be read; @number is the line of @parent (NULL: the setting) that names it.
 */
static bool fail_read(struct loading *loading, const struct source *parent, unsigned number,
		      const char *path, const char *why)
{
	if (parent)
		return fail(loading, parent, number, "could not read \"%s\": %s", path, why);
	return error_set(loading->error, SQLSTATE_IO_ERROR, "could not read %s \"%s\": %s",
			 loading->setting, path, why);
}

/* @path of @parent's line @number. With @is_missing, a file that does not exist is no error but
 * noted there. */
static bool source_open(struct loading *loading, struct source *source, const struct source *parent,
			unsigned number, const char *path, bool *is_missing)
{
	struct stat status;
	*source = (struct source){.parent = parent,
				  .path = path,
				  .depth = parent ? parent->depth + 1 : 0,
				  .next_number = 1};
	if (source->depth > RULE_FILE_DEPTH)
		return fail(loading, parent, number,
			    "\"%s\" is included too deep; at most %d levels are allowed", path,
			    RULE_FILE_DEPTH);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && is_missing) {
		*is_missing = true;
		return true;
	}
	if (fd < 0 || fstat(fd, &status) < 0)
		goto fail;
	source->device = status.st_dev;
	source->inode = status.st_ino;
	for (const struct source *above = parent; above; above = above->parent) {
		if (above->device == status.st_dev && above->inode == status.st_ino) {
			close(fd);
			return fail(loading, parent, number, "\"%s\" includes itself", path);
		}
	}
	if (!read_all(loading, source, fd))
		goto fail;
	close(fd);
	source->at = source->text;
	return true;
fail:
	fail_read(loading, parent, number, path,
		  errno == EFBIG ? "the files are longer than the 16 MB that are allowed"
				 : strerror(errno));
	if (fd >= 0)
		close(fd);
	forget(source);
	return false;
}

/* @name as @source's file means it. */
static const char *path_beside(struct loading *loading, const struct source *source,
			       const char *name)
{
	const char *slash = strrchr(source->path, '/');
	if (name[0] == '/' || !slash)
		return rule_file_strdup(loading->file, name);
	char *path = memory_printf("%.*s%s", (int)(slash + 1 - source->path), source->path, name);
	char *copy = rule_file_strdup(loading->file, path);
	memory_free(&path);
	return copy;
}

/* Words. */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Take the next line with those that continue it, joined in place: the backslash and the newline
 * vanish. NULL: the end. */
static char *take_line(struct source *source, unsigned *number, size_t *size)
{
	char *end = source->text + source->size, *line = source->at, *to = line;
	char *joined = line; /* a backslash before here has done its work */
	if (line == end)
		return NULL;
	*number = source->next_number;
	while (source->at < end) {
		char *newline = memchr(source->at, '\n', (size_t)(end - source->at));
		char *stop = newline ? newline : end;
		size_t length = (size_t)(stop - source->at);
		memmove(to, source->at, length);
		to += length;
		source->at = newline ? newline + 1 : end;
		source->next_number++;
		/* pg_strip_crlf() */
		while (to > joined && to[-1] == '\r')
			to--;
		if (to == joined || to[-1] != '\\')
			break;
		joined = --to;
	}
	*size = (size_t)(to - line);
	*to = '\0';
	return line;
}

/* Take one word. @text is scratch as long as the line. False: a quote is not closed. */
static bool take_word(char **at, char *text, bool *is_quoted, bool *is_there, bool *goes_on)
{
	bool in_quote = false, was_quote = false, saw_quote = false;
	char *to = text, c;
	*is_quoted = *goes_on = false;
	while (is_blank(**at) || **at == ',')
		++*at;
	for (; (c = **at) && (in_quote || !is_blank(c)); ++*at) {
		if (c == '#' && !in_quote) {
			*at += strlen(*at);
			break;
		}
		if (c == ',' && !in_quote) {
			*goes_on = true;
			++*at;
			break;
		}
		if (c != '"' || was_quote)
			*to++ = c;
		was_quote = in_quote && c == '"' && !was_quote;
		if (c == '"') {
			if (to == text)
				*is_quoted = true;
			in_quote = !in_quote;
			saw_quote = true;
		}
	}
	*to = '\0';
	*is_there = saw_quote || to > text;
	return !in_quote;
}

static void add_word(struct loading *loading, struct words *words, const char *text, bool is_quoted)
{
	if (words->count == words->room) {
		words->room = words->room ? words->room * 2 : 8;
		words->all = memory_realloc(words->all, words->room * sizeof *words->all);
	}
	words->all[words->count++] = (struct rule_word){
		.text = rule_file_strdup(loading->file, text), .is_quoted = is_quoted};
}

static bool add_words_of_file(struct loading *, const struct source *, unsigned, const char *,
			      struct words *);

/* Add the words of the field at *@at; *@is_there: there was one. */
static bool take_field(struct loading *loading, const struct source *source, unsigned number,
		       char **at, char *scratch, struct words *words, bool *is_there)
{
	bool is_quoted, goes_on, is_word;
	*is_there = false;
	do {
		if (!take_word(at, scratch, &is_quoted, &is_word, &goes_on))
			return fail(loading, source, number, "the closing quote is missing");
		if (!is_word)
			break;
		*is_there = true;
		if (is_quoted || scratch[0] != '@' || !scratch[1])
			add_word(loading, words, scratch, is_quoted);
		else if (!add_words_of_file(loading, source, number, scratch + 1, words))
			return false;
	} while (goes_on && **at);
	return true;
}

/* The next line, and scratch for its words. *@line NULL: the end. */
static bool next_line(struct loading *loading, struct source *source, unsigned *number, char **line,
		      char **scratch)
{
	size_t size = 0;
	*scratch = NULL;
	*line = take_line(source, number, &size);
	if (!*line)
		return true;
	if (memchr(*line, 0, size))
		return fail(loading, source, *number, "a zero byte is not allowed");
	source->line_size = size;
	*scratch = memory_try_alloc(size + 1);
	return *scratch || fail(loading, source, *number, "out of memory");
}

static void scratch_free(const struct source *source, char **scratch)
{
	memory_erase(*scratch, source->line_size + 1);
	memory_free(scratch);
}

static bool add_words_of_file(struct loading *loading, const struct source *parent, unsigned number,
			      const char *name, struct words *words)
{
	struct source source;
	char *line, *scratch;
	unsigned here;
	bool is_fine, is_there;
	if (!source_open(loading, &source, parent, number, path_beside(loading, parent, name),
			 NULL))
		return false;
	while ((is_fine = next_line(loading, &source, &here, &line, &scratch)) && line) {
		do
			is_fine = take_field(loading, &source, here, &line, scratch, words,
					     &is_there);
		while (is_fine && is_there);
		scratch_free(&source, &scratch);
		if (!is_fine)
			break;
	}
	forget(&source);
	return is_fine;
}

/* Lines. */

static bool load_lines(struct loading *loading, struct source *source);

static bool include(struct loading *loading, const struct source *parent, unsigned number,
		    const char *path, bool *is_missing)
{
	struct source source;
	if (!source_open(loading, &source, parent, number, path, is_missing))
		return false;
	if (is_missing && *is_missing)
		return true;
	bool is_fine = load_lines(loading, &source);
	forget(&source);
	return is_fine;
}

static int is_included_by_dir(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > strlen(".conf") &&
	       strcmp(entry->d_name + length - strlen(".conf"), ".conf") == 0;
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Its files *.conf in the order of the C locale. */
static bool include_dir(struct loading *loading, const struct source *parent, unsigned number,
			const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_included_by_dir, compare_entries);
	bool is_fine = true;
	if (count < 0)
		return fail_read(loading, parent, number, path, strerror(errno));
	for (int i = 0; i < count; i++) {
		if (is_fine) {
			char *name = memory_printf("%s/%s", path, entries[i]->d_name);
			is_fine = include(loading, parent, number,
					  rule_file_strdup(loading->file, name), NULL);
			memory_free(&name);
		}
		free(entries[i]);
	}
	free(entries);
	return is_fine;
}

/* Is the line an include directive, and has it worked? */
static bool take_directive(struct loading *loading, const struct source *source, unsigned number,
			   const struct fields *fields, bool *is_directive)
{
	bool is_missing = false;
	*is_directive = false;
	if (fields->count != 2 || fields->all[0].count != 1)
		return true;
	const struct rule_word *keyword = fields->all[0].words;
	bool is_plain = rule_word_is(keyword, "include");
	bool is_if_exists = rule_word_is(keyword, "include_if_exists");
	*is_directive = is_plain || is_if_exists || rule_word_is(keyword, "include_dir");
	if (!*is_directive)
		return true;
	if (fields->all[1].count != 1 || !fields->all[1].words[0].text[0])
		return fail(loading, source, number, "%s takes the name of one file or directory",
			    keyword->text);
	const char *path = path_beside(loading, source, fields->all[1].words[0].text);
	if (is_plain || is_if_exists)
		return include(loading, source, number, path, is_if_exists ? &is_missing : NULL);
	return include_dir(loading, source, number, path);
}

static void add_field(struct loading *loading, struct fields *fields, const struct words *words)
{
	size_t size = words->count * sizeof *words->all;
	if (fields->count == fields->room) {
		fields->room = fields->room ? fields->room * 2 : 8;
		fields->all = memory_realloc(fields->all, fields->room * sizeof *fields->all);
	}
	struct rule_field *field = &fields->all[fields->count++];
	field->count = words->count;
	field->words = rule_file_alloc(loading->file, size);
	if (size)
		memcpy(field->words, words->all, size);
}

static void add_line(struct loading *loading, const struct source *source, unsigned number,
		     const struct fields *fields)
{
	struct rule_file *file = loading->file;
	size_t size = fields->count * sizeof *fields->all;
	if (file->count == loading->lines_room) {
		loading->lines_room = loading->lines_room ? loading->lines_room * 2 : 16;
		file->lines =
			memory_realloc(file->lines, loading->lines_room * sizeof *file->lines);
	}
	struct rule_line *line = &file->lines[file->count++];
	*line = (struct rule_line){.file = source->path, .number = number, .count = fields->count};
	line->fields = rule_file_alloc(file, size);
	memcpy(line->fields, fields->all, size);
}

static bool load_line(struct loading *loading, struct source *source, unsigned number, char *line,
		      char *scratch)
{
	struct fields fields = {0};
	struct words words = {0};
	bool is_fine, is_there, is_directive = false;
	for (;;) {
		words.count = 0;
		is_fine = take_field(loading, source, number, &line, scratch, &words, &is_there);
		if (!is_fine || !is_there)
			break;
		add_field(loading, &fields, &words);
	}
	if (is_fine)
		is_fine = take_directive(loading, source, number, &fields, &is_directive);
	if (is_fine && !is_directive && fields.count)
		add_line(loading, source, number, &fields);
	memory_free(&words.all);
	memory_free(&fields.all);
	return is_fine;
}

static bool load_lines(struct loading *loading, struct source *source)
{
	char *line, *scratch;
	unsigned number;
	bool is_fine;
	while ((is_fine = next_line(loading, source, &number, &line, &scratch)) && line) {
		is_fine = load_line(loading, source, number, line, scratch);
		scratch_free(source, &scratch);
		if (!is_fine && !error_collected(loading->error))
			break;
	}
	return is_fine;
}

struct rule_file *rule_file_load(const char *path, const char *setting, struct error *error)
{
	struct rule_file *file = memory_alloc(sizeof *file);
	struct loading loading = {.file = file, .setting = setting, .error = error};
	if (!include(&loading, NULL, 0, rule_file_strdup(file, path), NULL))
		rule_file_free(&file);
	return file;
}

void rule_file_free(struct rule_file **file)
{
	if (!*file)
		return;
	while ((*file)->blocks) {
		struct rule_block *block = (*file)->blocks;
		(*file)->blocks = block->next;
		memory_erase(block->bytes, block->used);
		memory_free(&block);
	}
	memory_free(&(*file)->lines);
	memory_free(file);
}
