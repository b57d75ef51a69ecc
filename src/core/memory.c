/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/memory.h"
#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLAB_SIZE = 32 * 1024 - 32, /* so that malloc's own header fits too */
	OBJECT_ALIGNMENT = 16,
	LARGE_OBJECT = 256,
	SMALL_PIECE = 1024,
};

struct slab {
	struct slab *next;
	_Alignas(OBJECT_ALIGNMENT) char objects[];
};

struct free_object {
	struct free_object *next;
};

static struct memory_cache *first_cache;

/* What is given up when memory is refused for a first time. */
enum { RESERVE_SIZE = 1024 * 1024 };
static void *reserve;
static bool wants_reserve;

void memory_reserve(void)
{
	wants_reserve = true;
	if (!reserve)
		reserve = malloc(RESERVE_SIZE);
}

bool memory_is_short(void)
{
	if (wants_reserve)
		memory_reserve();
	return wants_reserve && !reserve;
}

/* Is it worth to try again? */
static bool give_reserve(void)
{
	bool gives = reserve != NULL;
	free(reserve);
	reserve = NULL;
	return gives;
}

static void *refused(size_t size)
{
	fprintf(stderr, "pgweir: out of memory (%zu bytes wanted)\n", size);
	abort();
}

/* Only malloc() looks for a small piece among those freed lately, before it asks the heap. Inlined
 * where the size is known, the two would be made one calloc() again. */
__attribute__((noinline)) void *memory_alloc(size_t size)
{
	void *memory = size <= SMALL_PIECE ? malloc(size ? size : 1) : calloc(1, size);
	if (__builtin_expect(!memory, 0)) {
		if (give_reserve())
			memory = malloc(size ? size : 1);
		if (!memory)
			return refused(size);
		return memset(memory, 0, size);
	}
	return size <= SMALL_PIECE ? memset(memory, 0, size) : memory;
}

void *memory_realloc(void *old, size_t size)
{
	void *memory = realloc(old, size ? size : 1);
	if (!memory && give_reserve())
		memory = realloc(old, size ? size : 1);
	return memory ? memory : refused(size);
}

char *memory_strdup(const char *text)
{
	return memory_dup(text, strlen(text) + 1);
}

char *memory_strndup(const char *text, size_t length)
{
	char *copy = strndup(text, length);
	if (!copy && give_reserve())
		copy = strndup(text, length);
	return copy ? copy : refused(length + 1);
}

void *memory_dup(const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);
	if (!copy && give_reserve())
		copy = malloc(size ? size : 1);
	if (!copy)
		refused(size);
	if (size)
		memcpy(copy, bytes, size);
	return copy;
}

char *memory_printf(const char *format, ...)
{
	char *text;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return length >= 0 ? text : refused(0);
}

void *memory_try_alloc(size_t size)
{
	return malloc(size ? size : 1);
}

void memory_free(void *pointer)
{
	/* By bytes, for the holder's pointer is of another type than void *. */
	void *memory;
	memcpy(&memory, pointer, sizeof(memory));
	free(memory);
	memory = NULL;
	memcpy(pointer, &memory, sizeof(memory));
}

void memory_erase(void *bytes, size_t size)
{
	if (size)
		explicit_bzero(bytes, size);
}

void memory_free_secret(char **text)
{
	if (*text)
		memory_erase(*text, strlen(*text));
	memory_free(text);
}

static void cache_list(struct memory_cache *cache)
{
	struct memory_cache **end = &first_cache;
	for (; *end; end = &(*end)->next) {
		if (*end == cache)
			return;
	}
	*end = cache;
}

/* Large objects begin with a line of the processor's cache, so that what is used together can be
 * put together. */
static size_t object_alignment(const struct memory_cache *cache)
{
	return cache->object_size >= LARGE_OBJECT ? MEMORY_LINE : OBJECT_ALIGNMENT;
}

static size_t round_up(size_t value, size_t alignment)
{
	return (value + alignment - 1) / alignment * alignment;
}

static void cache_grow(struct memory_cache *cache)
{
	size_t alignment = object_alignment(cache),
	       stride = round_up(cache->object_size, alignment);
	if (stride == 0)
		stride = OBJECT_ALIGNMENT;
	size_t overhead = sizeof(struct slab) + alignment - OBJECT_ALIGNMENT;
	uint32_t count = (uint32_t)((SLAB_SIZE - overhead) / stride);
	if (count == 0)
		count = 1;
	struct slab *slab = memory_realloc(NULL, overhead + count * stride);
	char *objects = (char *)round_up((uintptr_t)slab->objects, alignment);
	slab->next = cache->slabs;
	cache->slabs = slab;
	/* From the last one down, so that they are handed out in the order of their addresses. */
	for (uint32_t i = count; i-- > 0;) {
		struct free_object *object = (struct free_object *)(void *)(objects + i * stride);
		object->next = cache->free_list;
		cache->free_list = object;
	}
	cache->free += count;
}

void *memory_cache_alloc(struct memory_cache *cache)
{
	if (!MEMORY_IS_REUSED) {
		cache_list(cache);
		cache->used++;
		return memory_alloc(cache->object_size);
	}
	if (!cache->free_list) {
		cache_list(cache);
		cache_grow(cache);
	}
	struct free_object *object = cache->free_list;
	cache->free_list = object->next;
	cache->free--;
	cache->used++;
	return memset(object, 0, cache->object_size);
}

void memory_cache_free(struct memory_cache *cache, void *object)
{
	assert(cache->used > 0);
	cache->used--;
	if (!MEMORY_IS_REUSED) {
		free(object);
		return;
	}
	struct free_object *freed = object;
	freed->next = cache->free_list;
	cache->free_list = freed;
	cache->free++;
}

const struct memory_cache *memory_cache_first(void)
{
	return first_cache;
}

void memory_cache_release(void)
{
	for (struct memory_cache *cache = first_cache; cache; cache = cache->next) {
		if (cache->used)
			continue;
		for (struct slab *slab = cache->slabs, *next; slab; slab = next) {
			next = slab->next;
			free(slab);
		}
		cache->slabs = cache->free_list = NULL;
		cache->free = 0;
	}
}
