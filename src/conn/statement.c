/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/statement.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "config/snapshot.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/memory.h"

/* What one costs besides its text, roughly: itself, a client's name for it, a server's. */
enum { OVERHEAD = 512 };

static struct memory_cache cache = MEMORY_CACHE("prepared_statement_cache", struct statement);
static struct {
	struct map by_content;
	struct list by_use;
	size_t memory;
	uint64_t last_id;
	usec_t complained_at;
} room;

static void forget(struct statement *statement)
{
	map_remove(&room.by_content, &statement->node);
	list_remove(&room.by_use, &statement->of_use);
	room.memory -= statement->size + OVERHEAD;
	memory_free(&statement->content);
}

static void complain(size_t bound)
{
	if (!log_is_due(&room.complained_at))
		return;
	log_warning(
		"",
		"prepared statements take more than prepared_statement_memory (%zu bytes): those "
		"not used for the longest time are forgotten",
		bound);
}

void statement_make_room(void)
{
	size_t bound = (size_t)settings_current()->prepared_statement_memory;
	if (!bound || room.memory <= bound)
		return;
	complain(bound);
	while (room.memory > bound && room.by_use.length > 1)
		forget(container_of(list_first(&room.by_use), struct statement, of_use));
}

/* A Parse has a NUL in it, a PREPARE has none: they are never the same. */
static struct statement *get(const uint8_t *content, size_t size, bool is_sql)
{
	struct map_node *node = map_find(&room.by_content, content, size);
	if (node) {
		struct statement *known = container_of(node, struct statement, node);
		statement_touch(known);
		return statement_share(known);
	}
	uint8_t *copy = memory_try_alloc(size);
	if (!copy)
		return NULL;
	memcpy(copy, content, size);
	if (!room.by_use.head.next)
		list_init(&room.by_use);
	struct statement *statement = memory_cache_alloc(&cache);
	statement->id = ++room.last_id;
	statement->references = 1;
	statement->is_sql = is_sql;
	statement->may_drop = statement_text_may_drop(content, size);
	statement->content = copy;
	statement->size = (uint32_t)size;
	statement->name_size = (uint8_t)(1 + snprintf(statement->name, sizeof statement->name,
						      STATEMENT_PREFIX "%" PRIu64, statement->id));
	map_add(&room.by_content, copy, size, &statement->node);
	list_push_last(&room.by_use, &statement->of_use);
	room.memory += size + OVERHEAD;
	return statement;
}

struct statement *statement_get(const uint8_t *content, size_t size)
{
	return get(content, size, false);
}

struct statement *statement_get_sql(const uint8_t *content, size_t size)
{
	return get(content, size, true);
}

void statement_release(struct statement **statement)
{
	struct statement *s = *statement;
	*statement = NULL;
	if (!s || --s->references)
		return;
	if (s->content)
		forget(s);
	memory_cache_free(&cache, s);
}

void statement_touch(struct statement *statement)
{
	if (!statement->content || statement->of_use.next == &room.by_use.head)
		return;
	list_remove(&room.by_use, &statement->of_use);
	list_push_last(&room.by_use, &statement->of_use);
}

/* Does one of the words begin here? */
static __attribute__((noinline)) bool is_dropping_word(const uint8_t *text, size_t size)
{
	static const char deallocate[] = "deallocate", discard[] = "discard";
	return (size >= sizeof deallocate - 1 &&
		!strncasecmp((const char *)text, deallocate, sizeof deallocate - 1)) ||
	       (size >= sizeof discard - 1 &&
		!strncasecmp((const char *)text, discard, sizeof discard - 1));
}

bool statement_text_may_drop(const uint8_t *text, size_t size)
{
	/* Anywhere: behind a comment, or behind another statement. */
	for (const uint8_t *end = text + size; text < end; text++)
		if ((*text | 0x20) == 'd' && is_dropping_word(text, (size_t)(end - text)))
			return true;
	return false;
}

uint32_t statement_count(void)
{
	return map_length(&room.by_content);
}

size_t statement_memory(void)
{
	return room.memory;
}
