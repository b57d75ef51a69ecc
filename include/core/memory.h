/* SPDX-License-Identifier: ISC */
/* memory: the allocator that aborts (sizes that we choose), the one that may fail (sizes that a
 * peer chooses), and counted caches of equal objects. */
#ifndef PGWEIR_CORE_MEMORY_H
#define PGWEIR_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory of @size bytes, never NULL: for sizes that we choose. Logs nothing, aborts with a
 * line on stderr. */
void *memory_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *memory_realloc(void *old, size_t size) __attribute__((returns_nonnull));
char *memory_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *memory_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
void *memory_dup(const void *bytes, size_t size) __attribute__((malloc, returns_nonnull));
/* A new string as printf would make it. */
char *memory_printf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Keep some memory back: the allocator that aborts gets it when it is refused for a first time, and
 * goes on. */
void memory_reserve(void);
/* Is it gone, and not to be had again yet? Then nothing new is to be begun. */
bool memory_is_short(void);

/* Memory of @size bytes, not zeroed, or NULL: for sizes that a peer chooses. */
void *memory_try_alloc(size_t size) __attribute__((malloc));

/* Free what @pointer (the address of the holder's pointer) names, and leave NULL there. */
void memory_free(void *pointer);

/* Overwrite secrets in a way the compiler must keep. */
void memory_erase(void *bytes, size_t size);
/* Overwrite and free the string that the holder's pointer names, and leave NULL; NULL is fine. */
void memory_free_secret(char **text);

/* Is freed memory kept for reuse? Not under AddressSanitizer, which is to see every use after free.
 */
#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_REUSED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_REUSED 0
#endif
#endif
#ifndef MEMORY_IS_REUSED
#define MEMORY_IS_REUSED 1
#endif

/* A cache of objects of one size, carved from slabs; objects are zeroed when handed out. Caches
 * with a static lifetime only: they are listed for SHOW MEM by the order of their first use. */
struct memory_cache {
	const char *name;
	uint32_t object_size;
	uint32_t used; /* objects handed out now */
	uint32_t free; /* objects in the cache */
	void *free_list;
	void *slabs;
	struct memory_cache *next;
};
enum { MEMORY_LINE = 64 }; /* of the processor's cache: where its larger objects begin */
/* So many lines are needed soon: let them come meanwhile. */
static inline void memory_expect(const void *from, int lines)
{
	for (const char *line = from; lines > 0; lines--, line += MEMORY_LINE)
		__builtin_prefetch(line, 1);
}
#define MEMORY_CACHE(label, type)                            \
	{                                                    \
		.name = (label), .object_size = sizeof(type) \
	}
void *memory_cache_alloc(struct memory_cache *cache) __attribute__((returns_nonnull));
void memory_cache_free(struct memory_cache *cache, void *object);
/* The first of all caches used so far; follow ->next. NULL: none. */
const struct memory_cache *memory_cache_first(void);
/* Release all slabs of all caches in which no object is used (at exit, for leak checkers). */
void memory_cache_release(void);

#endif
