/* SPDX-License-Identifier: ISC */
/* buffer: bytes between a writer and a reader, never past the cap it was given. The holder owns a
 * pointer that is NULL while there is nothing: an idle connection owns no buffer. Small buffers
 * come from a free list. */
#ifndef PGWEIR_CORE_BUFFER_H
#define PGWEIR_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint32_t start, end; /* the bytes not yet read are data[start, end) */
	uint32_t size;	     /* of data */
	bool is_secret;	     /* overwritten when it is freed, and where it grew out of */
	uint8_t data[];
};

/* Bytes waiting in what the holder's pointer names; 0 for NULL. */
static inline size_t buffer_length(const struct buffer *buffer)
{
	return buffer ? buffer->end - buffer->start : 0;
}

static inline const uint8_t *buffer_bytes(const struct buffer *buffer)
{
	return buffer->data + buffer->start;
}

/* Append @size bytes to *@buffer (NULL: a new one), which may move it. False, with nothing changed:
 * it would then hold more than @cap bytes, or memory was refused. */
bool buffer_append(struct buffer **buffer, const void *bytes, size_t size, size_t cap);

/* Drop the first @size bytes; the buffer is freed, *@buffer NULL, when none are left. */
void buffer_consume(struct buffer **buffer, size_t size);

/* Free the buffer and leave NULL; NULL is fine. */
void buffer_free(struct buffer **buffer);
/* The same for one that held a secret: its memory is overwritten first. */
void buffer_erase(struct buffer **buffer);
/* From now on it holds a secret: it is erased however it is freed, and whatever it grows out of.
 * NULL is fine. */
static inline void buffer_make_secret(struct buffer *buffer)
{
	if (buffer)
		buffer->is_secret = true;
}

/* Room for @size bytes more behind the end, at most @cap bytes in all; NULL: refused.
 * buffer_commit() says how many of them were written. */
uint8_t *buffer_reserve(struct buffer **buffer, size_t size, size_t cap);
static inline void buffer_commit(struct buffer *buffer, size_t size)
{
	buffer->end += (uint32_t)size;
}

/* Free the free list (at exit). */
void buffer_release(void);

#endif
