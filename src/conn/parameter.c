/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/parameter.h"
#include <assert.h>
#include <string.h>
#include "core/list.h"
#include "core/map.h"
#include "core/memory.h"
#include "core/text.h"
#include "proto/field.h"

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
	struct map_node node; /* by its bytes, and its owner behind them if it has extras */
	const void *owner;    /* NULL: there are no extras, or it is not known yet */
	uint32_t references;
	uint32_t extras; /* where they begin */
	uint32_t size;
	bool is_proven;
	struct parameter_set *only; /* its extras alone; NULL: it has none, or nothing else */
	/* name NUL value NUL ...: tracked ones in the order of tracked[], extras by name */
	char bytes[];
};

/* Behind the bytes in a key: no name is empty, so it cannot be taken for one more. */
enum { OWNER_SIZE = 1 + sizeof(void *) };

static struct map sets;
static struct parameter_set empty; /* not among them, and not counted */

/* ---- the tracked ones ---- */

/* Its place in tracked[]; tracked_count: none. */
static int find(const char *name)
{
	int i = 0;
	while (i < tracked_count && !text_equals_nocase(tracked[i].name, name))
		i++;
	return i;
}

bool parameter_track(const char *list)
{
	static char names[SETTING_TRACKED_MAX][SETTING_TRACKED_SIZE];
	static char former[SETTING_TRACKED_MAX][SETTING_TRACKED_SIZE];
	char name[SETTING_TRACKED_SIZE];
	int before = tracked_count;
	memset(former, 0, sizeof former);
	for (int i = PARAMETER_COUNT; i < before; i++)
		memcpy(former[i - PARAMETER_COUNT], tracked[i].name, tracked[i].size);
	tracked_count = PARAMETER_COUNT;
	while (tracked_count < PARAMETER_MAX && text_next_item(&list, name, sizeof name)) {
		if (find(name) < tracked_count)
			continue;
		char *own = names[tracked_count - PARAMETER_COUNT];
		tracked[tracked_count].size = strlen(name) + 1;
		tracked[tracked_count].name = memcpy(own, name, sizeof name);
		tracked_count++;
	}
	bool is_same = tracked_count == before;
	for (int i = PARAMETER_COUNT; i < tracked_count && is_same; i++)
		is_same = !strcmp(tracked[i].name, former[i - PARAMETER_COUNT]);
	return !is_same;
}

const char *parameter_tracked(const char *name)
{
	int i = find(name);
	return i < tracked_count ? tracked[i].name : NULL;
}

/* ---- values on their way into a set ---- */

bool parameter_note(struct parameter_values *values, const char *name, const char *value)
{
	int i = find(name);
	if (i == tracked_count)
		return false;
	values->of[i] = value;
	return true;
}

/* Where @name is among the extras, or belongs. */
static unsigned find_extra(const struct parameter_values *values, const char *name, bool *found)
{
	unsigned i = values->extra_count;
	int order = 1;
	while (i > 0 && (order = text_compare_nocase(values->extras[i - 1].name, name)) > 0)
		i--;
	*found = order == 0;
	return *found ? i - 1 : i;
}

static void put_extra(struct parameter_values *values, const char *name, const char *value)
{
	bool found;
	unsigned i = find_extra(values, name, &found);
	assert(text_is_qualified_name(name)); /* it becomes a part of SQL */
	if (!found) {
		memmove(values->extras + i + 1, values->extras + i,
			(values->extra_count - i) * sizeof *values->extras);
		values->extra_count++;
		values->extras[i].name = name;
	}
	values->extras[i].value = value;
}

bool parameter_note_extra(struct parameter_values *values, const char *name, const char *value)
{
	bool found;
	find_extra(values, name, &found);
	if (!found && values->extra_count >= PARAMETER_EXTRAS_MAX)
		return false;
	put_extra(values, name, value);
	return true;
}

/* ---- sets ---- */

/* Of @size bytes, with extras from @extras on; there is room for a key's owner behind them. */
static struct parameter_set *intern(char *bytes, size_t extras, size_t size, const void *owner)
{
	size_t key_size = size;
	if (size == 0)
		return parameter_empty();
	if (extras < size && owner) {
		bytes[size] = '\0';
		memcpy(bytes + size + 1, &owner, sizeof owner);
		key_size += OWNER_SIZE;
	}
	struct map_node *node = map_find(&sets, bytes, key_size);
	if (node)
		return parameter_share(container_of(node, struct parameter_set, node));
	struct parameter_set *set = memory_alloc(sizeof *set + key_size);
	set->owner = extras < size ? owner : NULL;
	set->references = 1;
	set->extras = (uint32_t)extras;
	set->size = (uint32_t)size;
	memcpy(set->bytes, bytes, key_size);
	map_add(&sets, set->bytes, key_size, &set->node);
	if (extras > 0 && extras < size)
		set->only = intern(bytes + extras, 0, size - extras, owner);
	return set;
}

struct parameter_set *parameter_empty(void)
{
	return &empty;
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
	if (!s || s == &empty || --s->references)
		return;
	map_remove(&sets, &s->node);
	struct parameter_set *only = s->only;
	memory_free(&s);
	parameter_release(&only);
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
		if (n == name || text_equals_nocase(n, name))
			return v;
	return NULL;
}

/* Has the set another value for @name, or none? */
static bool differs(const struct parameter_set *set, const char *name, const char *value)
{
	const char *has = parameter_get(set, name);
	return !has || strcmp(has, value) != 0;
}

static bool is_extra(const struct parameter_set *set, const char *name)
{
	return name >= set->bytes + set->extras;
}

bool parameter_has_extras(const struct parameter_set *set)
{
	return set->extras < set->size;
}

/* ---- sets out of values ---- */

static char *put_pair(char *at, const char *name, size_t name_size, const char *value)
{
	size_t size = strlen(value) + 1;
	memcpy(at, name, name_size);
	memcpy(at + name_size, value, size);
	return at + name_size + size;
}

/* The same, of an extra. */
static char *put_lower_pair(char *at, const char *name, const char *value)
{
	size_t size = strlen(name) + 1;
	char *end = put_pair(at, name, size, value);
	for (; size > 1; size--, at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at - 'A' + 'a');
	return end;
}

static size_t size_of(const struct parameter_values *values)
{
	size_t size = 0;
	for (int i = 0; i < tracked_count; i++)
		if (values->of[i])
			size += tracked[i].size + strlen(values->of[i]) + 1;
	for (unsigned i = 0; i < values->extra_count; i++)
		size += strlen(values->extras[i].name) + strlen(values->extras[i].value) + 2;
	return size;
}

/* The set made of these values. */
static struct parameter_set *from_values(const struct parameter_values *values)
{
	char small[512];
	size_t size = size_of(values) + OWNER_SIZE;
	char *large = size > sizeof small ? memory_alloc(size) : NULL;
	char *bytes = large ? large : small, *at = bytes;
	for (int i = 0; i < tracked_count; i++)
		if (values->of[i])
			at = put_pair(at, tracked[i].name, tracked[i].size, values->of[i]);
	size_t extras = (size_t)(at - bytes);
	for (unsigned i = 0; i < values->extra_count; i++)
		at = put_lower_pair(at, values->extras[i].name, values->extras[i].value);
	struct parameter_set *set = intern(bytes, extras, (size_t)(at - bytes), values->owner);
	memory_free(&large);
	return set;
}

/* Take those that are tracked and have no value yet. */
static void fill_tracked(struct parameter_values *values, const struct parameter_set *set)
{
	const char *cursor = NULL, *name, *value;
	while (parameter_next(set, &cursor, &name, &value) && !is_extra(set, name)) {
		int i = find(name);
		if (i < tracked_count && !values->of[i])
			values->of[i] = value;
	}
}

static void fill_extra(struct parameter_values *values, const char *name, const char *value)
{
	bool found;
	find_extra(values, name, &found);
	if (!found)
		put_extra(values, name, value);
}

static void fill_extras(struct parameter_values *values, const struct parameter_set *set)
{
	const char *cursor = set->bytes + set->extras, *name, *value;
	while (parameter_next(set, &cursor, &name, &value))
		fill_extra(values, name, value);
	if (!values->owner)
		values->owner = set->owner;
}

static void fill_up(struct parameter_values *values, const struct parameter_set *set)
{
	fill_tracked(values, set);
	fill_extras(values, set);
}

/* Its old values may be among @values. */
static void replace(struct parameter_set **set, const struct parameter_values *values)
{
	struct parameter_set *old = *set;
	*set = from_values(values);
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
	replace(set, values);
	*values = (struct parameter_values){0};
}

/* What servers do not report, as @base shows, must be treated as an extra though it is to be
 * tracked. */
static void put_over(struct parameter_values *values, const struct parameter_set *base)
{
	for (int i = 0; i < tracked_count; i++)
		if (values->of[i] && !parameter_get(base, tracked[i].name)) {
			put_extra(values, tracked[i].name, values->of[i]);
			values->of[i] = NULL;
		}
	fill_tracked(values, base);
}

void parameter_put_over(struct parameter_set **set, const struct parameter_set *base,
			const void *owner)
{
	struct parameter_values values = {.owner = owner};
	fill_up(&values, *set);
	put_over(&values, base);
	replace(set, &values);
}

void parameter_take_extras(struct parameter_set **set, const struct parameter_set *from)
{
	struct parameter_values values = {0};
	if (!parameter_has_extras(*set) && !parameter_has_extras(from))
		return;
	fill_tracked(&values, *set);
	fill_extras(&values, from);
	replace(set, &values);
}

void parameter_drop_extras(struct parameter_set **set, bool role_stays)
{
	struct parameter_values values = {.owner = (*set)->owner};
	const char *role = role_stays ? parameter_get(*set, "role") : NULL;
	if (!parameter_has_extras(*set))
		return;
	fill_tracked(&values, *set);
	if (role)
		put_extra(&values, "role", role);
	replace(set, &values);
}

/* Take those that were tracked, with other values than servers have of themselves. */
static void fill_wishes(struct parameter_values *values, const struct parameter_set *set,
			const struct parameter_set *former)
{
	const char *cursor = NULL, *name, *value;
	while (parameter_next(set, &cursor, &name, &value) && !is_extra(set, name))
		if (!parameter_tracked(name) && differs(former, name, value))
			fill_extra(values, name, value);
}

/* Extras that are tracked by now. */
static void move_extras(struct parameter_values *values)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < values->extra_count; i++)
		if (!parameter_note(values, values->extras[i].name, values->extras[i].value))
			values->extras[kept++] = values->extras[i];
	values->extra_count = kept;
}

void parameter_renew(struct parameter_set **set, const struct parameter_set *former,
		     const struct parameter_set *base, const void *owner)
{
	struct parameter_values values = {.owner = owner};
	fill_up(&values, *set);
	if (former)
		fill_wishes(&values, *set, former);
	move_extras(&values);
	if (base)
		put_over(&values, base);
	replace(set, &values);
}

bool parameter_is_proven(const struct parameter_set *set)
{
	return set->is_proven;
}

bool parameter_extras_are_proven(const struct parameter_set *set)
{
	return !parameter_has_extras(set) || (set->only ? set->only : set)->is_proven;
}

void parameter_prove(struct parameter_set *set, bool is_valid)
{
	set->is_proven = is_valid;
	if (set->only)
		set->only->is_proven = is_valid;
}

/* ---- the Query ---- */

static void put_text(struct field_writer *writer, const char *text)
{
	field_put_bytes(writer, text, strlen(text));
}

/* 'value', or E'value' where there is a backslash: right whatever standard_conforming_strings is.
 * @is_raw: bytes as a start-up packet has them, in the database's encoding, whatever
 * client_encoding is while they travel. */
static void put_literal(struct field_writer *writer, const char *value, bool is_raw)
{
	bool escapes = strchr(value, '\\');
	for (const char *at = value; is_raw && *at && !escapes; at++)
		escapes = (uint8_t)*at >= 0x80;
	put_text(writer, escapes ? "E'" : "'");
	for (; *value; value++) {
		uint8_t byte = (uint8_t)*value;
		if (is_raw && byte >= 0x80) {
			const char octal[] = {'\\', (char)('0' + (byte >> 6)),
					      (char)('0' + (byte >> 3 & 7)),
					      (char)('0' + (byte & 7))};
			field_put_bytes(writer, octal, sizeof octal);
			continue;
		}
		if (byte == '\'' || byte == '\\')
			field_put_byte(writer, byte);
		field_put_byte(writer, byte);
	}
	field_put_byte(writer, '\'');
}

/* "word"."word": no keyword, whatever it is. */
static void put_name(struct field_writer *writer, const char *name)
{
	field_put_byte(writer, '"');
	for (; *name; name++)
		if (*name == '.')
			put_text(writer, "\".\"");
		else
			field_put_byte(writer, (uint8_t)*name);
	field_put_byte(writer, '"');
}

/* Values that are lists of names (GUC_LIST_QUOTE): SET would take a literal for one name of such a
 * list. PostgreSQL lets no extension have more of them. */
static bool is_list_of_names(const char *name)
{
	static const char *const names[] = {"search_path",
					    "temp_tablespaces",
					    "local_preload_libraries",
					    "session_preload_libraries",
					    "shared_preload_libraries",
					    "unix_socket_directories"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (text_equals_nocase(names[i], name))
			return true;
	return false;
}

static void put_reset(struct field_writer *writer, const char *name)
{
	put_text(writer, "RESET ");
	put_name(writer, name);
	field_put_byte(writer, ';');
}

static void put_set(struct field_writer *writer, const char *name, const char *value, bool extra)
{
	/* Half a DateStyle would leave the other half as the last client had it. */
	if (!extra && !strcmp(name, "DateStyle") && !strchr(value, ','))
		put_text(writer, "RESET DateStyle;");
	if (is_list_of_names(name)) {
		put_text(writer, "SELECT pg_catalog.set_config('");
		put_text(writer, name);
		put_text(writer, "',");
		put_literal(writer, value, extra);
		put_text(writer, ",false);");
		return;
	}
	put_text(writer, "SET ");
	if (extra)
		put_name(writer, name);
	else
		put_text(writer, name);
	field_put_byte(writer, '=');
	put_literal(writer, value, extra);
	field_put_byte(writer, ';');
}

/* Is this an extra that a server has and its next client does not want? */
static bool is_left_over(const struct parameter_set *wanted, const char *name)
{
	return !parameter_get(wanted, name);
}

static unsigned count_differences(const struct parameter_set *wanted,
				  const struct parameter_set *actual)
{
	const char *cursor = NULL, *name, *value;
	unsigned count = 0;
	while (parameter_next(wanted, &cursor, &name, &value))
		count += differs(actual, name, value);
	cursor = actual->bytes + actual->extras;
	while (parameter_next(actual, &cursor, &name, &value))
		count += is_left_over(wanted, name);
	return count;
}

/* What may be set depends on the role: it is put aside first, and comes last. */
static void put_all(struct field_writer *writer, const struct parameter_set *wanted,
		    const struct parameter_set *actual)
{
	const char *role = parameter_get(wanted, "role");
	const char *cursor = actual->bytes + actual->extras, *name, *value;
	if (parameter_get(actual, "role"))
		put_reset(writer, "role");
	while (parameter_next(actual, &cursor, &name, &value))
		if (is_left_over(wanted, name) && strcmp(name, "role") != 0)
			put_reset(writer, name);
	cursor = NULL;
	while (parameter_next(wanted, &cursor, &name, &value))
		if (differs(actual, name, value) && strcmp(name, "role") != 0)
			put_set(writer, name, value, is_extra(wanted, name));
	if (role)
		put_set(writer, "role", role, true);
}

bool parameter_put_query(struct buffer **out, size_t cap, const struct parameter_set *wanted,
			 const struct parameter_set *actual, unsigned *count)
{
	struct field_writer writer;
	*count = count_differences(wanted, actual);
	if (*count == 0)
		return true;
	field_writer_init(&writer, out, cap);
	field_begin(&writer, 'Q');
	put_all(&writer, wanted, actual);
	field_put_byte(&writer, 0);
	return field_end(&writer);
}
