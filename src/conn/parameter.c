/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/parameter.h"
#include <string.h>
#include "core/map.h"
#include "core/memory.h"
#include "core/list.h"
#include "core/text.h"
#include "proto/field.h"

enum { NAME_MAX = 64 }; /* with its NUL */

/* Parameters that follow the client, in the order in which a set keeps them. */
static struct {
	const char *name;
	size_t size; /* with its NUL */
} tracked[PARAMETER_MAX] = {
#define PARAMETER(name, doc) {name, sizeof name},
#include "conn/parameters.def"
	{"IntervalStyle", sizeof "IntervalStyle"}, /* as track_extra_parameters has it by default */
};
static int tracked_count = PARAMETER_COUNT + 1;

struct parameter_set {
	struct map_node node; /* by bytes */
	uint32_t references;
	uint32_t size;
	bool is_proven;
	char bytes[]; /* name NUL value NUL ..., in the order of tracked[] */
};

static struct map sets;

/* Its place in tracked[]; tracked_count: none. */
static int find(const char *name)
{
	int i = 0;
	while (i < tracked_count && !text_equals_nocase(tracked[i].name, name))
		i++;
	return i;
}

bool parameter_track(const char *list, struct error *error)
{
	static char names[PARAMETER_MAX - PARAMETER_COUNT][NAME_MAX];
	char name[NAME_MAX];
	tracked_count = PARAMETER_COUNT;
	while (text_next_item(&list, name, sizeof name)) {
		int extra = tracked_count - PARAMETER_COUNT;
		if (!*name || find(name) < tracked_count)
			continue;
		if (tracked_count == PARAMETER_MAX)
			return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					 "track_extra_parameters names more than %d parameters",
					 PARAMETER_MAX - PARAMETER_COUNT);
		memcpy(names[extra], name, sizeof name);
		tracked[tracked_count].name = names[extra];
		tracked[tracked_count].size = strlen(name) + 1;
		tracked_count++;
	}
	return true;
}

const char *parameter_tracked(const char *name)
{
	int i = find(name);
	return i < tracked_count ? tracked[i].name : NULL;
}

bool parameter_note(struct parameter_values *values, const char *name, const char *value)
{
	int i = find(name);
	if (i == tracked_count)
		return false;
	values->of[i] = value;
	return true;
}

static struct parameter_set *intern(const char *bytes, size_t size)
{
	if (size == 0)
		return parameter_empty();
	struct map_node *node = map_find(&sets, bytes, size);
	if (node)
		return parameter_share(container_of(node, struct parameter_set, node));
	struct parameter_set *set = memory_alloc(sizeof *set + size + 1);
	set->references = 1;
	set->size = (uint32_t)size;
	memcpy(set->bytes, bytes, size);
	map_add(&sets, set->bytes, size, &set->node);
	return set;
}

struct parameter_set *parameter_empty(void)
{
	static struct parameter_set empty = {.references = 1};
	return parameter_share(&empty);
}

struct parameter_set *parameter_share(struct parameter_set *set)
{
	set->references++;
	return set;
}

void parameter_release(struct parameter_set **set)
{
	struct parameter_set *s = *set;
	*set = NULL;
	if (!s || --s->references)
		return;
	map_remove(&sets, &s->node);
	memory_free(&s);
}

unsigned parameter_sets(void)
{
	return map_length(&sets);
}

bool parameter_next(const struct parameter_set *set, const char **cursor, const char **name,
		    const char **value)
{
	const char *at = *cursor ? *cursor : set->bytes;
	if (at >= set->bytes + set->size)
		return false;
	*name = at;
	*value = at + strlen(at) + 1;
	*cursor = *value + strlen(*value) + 1;
	return true;
}

const char *parameter_get(const struct parameter_set *set, const char *name)
{
	const char *cursor = NULL, *n, *v;
	while (parameter_next(set, &cursor, &n, &v))
		if (n == name || !strcmp(n, name))
			return v;
	return NULL;
}

/* The set made of these values. */
static struct parameter_set *from_values(const struct parameter_values *values)
{
	char small[256];
	size_t size = 0, sizes[PARAMETER_MAX];
	for (int i = 0; i < tracked_count; i++)
		if (values->of[i]) {
			sizes[i] = strlen(values->of[i]) + 1;
			size += tracked[i].size + sizes[i];
		}
	char *large = size > sizeof small ? memory_alloc(size) : NULL;
	char *bytes = large ? large : small, *at = bytes;
	for (int i = 0; i < tracked_count; i++)
		if (values->of[i]) {
			memcpy(at, tracked[i].name, tracked[i].size);
			at += tracked[i].size;
			memcpy(at, values->of[i], sizes[i]);
			at += sizes[i];
		}
	struct parameter_set *set = intern(bytes, size);
	memory_free(&large);
	return set;
}

/* Take those that have no value yet from the set. */
static void fill_up(struct parameter_values *values, const struct parameter_set *set)
{
	const char *cursor = NULL, *name, *value;
	for (int i = 0; parameter_next(set, &cursor, &name, &value); i++) {
		while (strcmp(tracked[i].name, name) != 0)
			i++;
		if (!values->of[i])
			values->of[i] = value;
	}
}

static void replace(struct parameter_set **set, struct parameter_set *taken)
{
	struct parameter_set *old = *set;
	*set = taken;
	parameter_release(&old);
}

bool parameter_put(struct parameter_set **set, const char *name, const char *value)
{
	struct parameter_values values = {0};
	const char *old = parameter_get(*set, name);
	if (old && !strcmp(old, value))
		return false;
	if (parameter_note(&values, name, value))
		parameter_put_values(set, &values);
	return true;
}

void parameter_put_values(struct parameter_set **set, struct parameter_values *values)
{
	fill_up(values, *set);
	replace(set, from_values(values));
	*values = (struct parameter_values){0};
}

void parameter_put_over(struct parameter_set **set, const struct parameter_set *base)
{
	struct parameter_values values = {0};
	if ((*set)->size == 0) {
		replace(set, parameter_share((struct parameter_set *)(uintptr_t)base));
		return;
	}
	fill_up(&values, *set);
	fill_up(&values, base);
	replace(set, from_values(&values));
}

bool parameter_is_proven(const struct parameter_set *set)
{
	return set->is_proven;
}

void parameter_prove(struct parameter_set *set)
{
	set->is_proven = true;
}

/* 'value', or E'value' where there is a backslash: right whatever standard_conforming_strings is.
 */
static void put_literal(struct field_writer *writer, const char *value)
{
	if (strchr(value, '\\'))
		field_put_byte(writer, 'E');
	field_put_byte(writer, '\'');
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			field_put_byte(writer, (uint8_t)*value);
		field_put_byte(writer, (uint8_t)*value);
	}
	field_put_byte(writer, '\'');
}

bool parameter_put_query(struct buffer **out, size_t cap, const struct parameter_set *wanted,
			 const struct parameter_set *actual, unsigned *count)
{
	const char *cursor = NULL, *name, *value;
	struct field_writer writer;
	*count = 0;
	while (parameter_next(wanted, &cursor, &name, &value)) {
		const char *now = parameter_get(actual, name);
		if (now && !strcmp(now, value))
			continue;
		if ((*count)++ == 0) {
			field_writer_init(&writer, out, cap);
			field_begin(&writer, 'Q');
		}
		field_put_bytes(&writer, "SET ", 4);
		field_put_bytes(&writer, name, strlen(name));
		field_put_byte(&writer, '=');
		put_literal(&writer, value);
		field_put_byte(&writer, ';');
	}
	if (*count == 0)
		return true;
	field_put_byte(&writer, 0);
	return field_end(&writer);
}
