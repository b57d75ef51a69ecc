/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/statement.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "config/snapshot.h"
#include "core/clock.h"
#include "core/likely.h"
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

/* Is there one of the words whose "ca" is at @at? */
static __attribute__((noinline)) bool is_dropping_word(const uint8_t *text, const uint8_t *at,
						       const uint8_t *end)
{
	static const struct {
		const char *word;
		uint8_t before, size; /* what is in front of its "ca" */
	} words[] = {{"deallocate", 6, 10}, {"discard", 3, 7}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (at - text >= words[i].before && end - at >= words[i].size - words[i].before &&
		    !strncasecmp((const char *)at - words[i].before, words[i].word, words[i].size))
			return true;
	return false;
}

/* Which of eight bytes may be zero? At least one bit if one is. */
static inline uint64_t zero_bytes(uint64_t word)
{
	return (word - 0x0101010101010101) & ~word & 0x8080808080808080;
}

/* May "ca" be in these nine bytes, in whatever case? */
static inline bool may_have_pair(const uint8_t *at)
{
	uint64_t first, second;
	memcpy(&first, at, sizeof first);
	memcpy(&second, at + 1, sizeof second);
	return zero_bytes(((first | 0x2020202020202020) ^ 0x6363636363636363) |
			  ((second | 0x2020202020202020) ^ 0x6161616161616161)) != 0;
}

bool statement_text_may_drop(const uint8_t *text, size_t size)
{
	/* Anywhere: behind a comment, or behind another statement. Both words have "ca" in them,
	 * which is rare enough to look for it first, eight places at a time. */
	const uint8_t *at = text, *const end = text + size;
	while (end - at >= 2) {
		const uint8_t *next = end - 1;
		if (end - at > 8) {
			next = at + 8;
			if (LIKELY(!may_have_pair(at))) {
				at = next;
				continue;
			}
		}
		for (; at < next; at++)
			if ((at[0] | 0x20) == 'c' && (at[1] | 0x20) == 'a' &&
			    is_dropping_word(text, at, end))
				return true;
	}
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
