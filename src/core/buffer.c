/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/buffer.h"
#include "core/memory.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	SMALL_BLOCK = 2048, /* with the head; what most leftovers need */
	SMALL_SIZE = SMALL_BLOCK - sizeof(struct buffer),
	KEPT_BLOCKS = MEMORY_IS_REUSED ? 256 : 0,
};

struct kept_block {
	struct kept_block *next;
};

static struct {
	struct kept_block *first;
	int count;
} kept;

static struct buffer *block_new(size_t size)
{
	struct buffer *buffer;
	if (size == SMALL_SIZE && kept.first) {
		buffer = (struct buffer *)kept.first;
		kept.first = kept.first->next;
		kept.count--;
	} else {
		buffer = memory_try_alloc(sizeof(struct buffer) + size);
		if (!buffer)
			return NULL;
	}
	buffer->start = buffer->end = 0;
	buffer->size = (uint32_t)size;
	buffer->is_secret = false;
	return buffer;
}

static void block_free(struct buffer *buffer)
{
	if (buffer->is_secret)
		memory_erase(buffer->data, buffer->size);
	if (buffer->size == SMALL_SIZE && kept.count < KEPT_BLOCKS) {
		struct kept_block *block = (struct kept_block *)buffer;
		block->next = kept.first;
		kept.first = block;
		kept.count++;
	} else {
		free(buffer);
	}
}

/* The size of a block that holds @wanted bytes: blocks are powers of two, but a large one ends at
 * @cap. */
static size_t size_for(size_t wanted, size_t cap)
{
	if (wanted <= SMALL_SIZE)
		return SMALL_SIZE;
	size_t block = (size_t)SMALL_BLOCK * 2;
	while (block - sizeof(struct buffer) < wanted)
		block *= 2;
	size_t size = block - sizeof(struct buffer);
	return size < cap ? size : cap;
}

/* What reserve does when the bytes do not fit behind the end. */
static bool make_room(struct buffer **buffer, size_t wanted, size_t cap)
{
	size_t length = buffer_length(*buffer);
	if (*buffer && wanted <= (*buffer)->size) {
		memmove((*buffer)->data, (*buffer)->data + (*buffer)->start, length);
	} else {
		struct buffer *larger = block_new(size_for(wanted, cap));
		if (!larger)
			return false;
		if (*buffer) {
			memcpy(larger->data, (*buffer)->data + (*buffer)->start, length);
			larger->is_secret = (*buffer)->is_secret;
			block_free(*buffer);
		}
		*buffer = larger;
	}
	(*buffer)->start = 0;
	(*buffer)->end = (uint32_t)length;
	return true;
}

uint8_t *buffer_reserve(struct buffer **buffer, size_t size, size_t cap)
{
	size_t length = buffer_length(*buffer);
	if (cap > UINT32_MAX)
		cap = UINT32_MAX;
	if (length > cap || size > cap - length)
		return NULL;
	if (!*buffer || size > (*buffer)->size - (*buffer)->end) {
		if (!make_room(buffer, length + size, cap))
			return NULL;
	}
	return (*buffer)->data + (*buffer)->end;
}

bool buffer_append(struct buffer **buffer, const void *bytes, size_t size, size_t cap)
{
	if (size == 0)
		return true;
	/* The usual case: a small piece that has to wait for a moment. */
	if (!*buffer && kept.first && size <= SMALL_SIZE && size <= cap) {
		struct buffer *block = (struct buffer *)kept.first;
		kept.first = kept.first->next;
		kept.count--;
		*block = (struct buffer){.end = (uint32_t)size, .size = SMALL_SIZE};
		memcpy(block->data, bytes, size);
		*buffer = block;
		return true;
	}
	uint8_t *room = buffer_reserve(buffer, size, cap);
	if (!room)
		return false;
	memcpy(room, bytes, size);
	buffer_commit(*buffer, size);
	return true;
}

void buffer_consume(struct buffer **buffer, size_t size)
{
	assert(size <= buffer_length(*buffer));
	if (!*buffer)
		return;
	(*buffer)->start += (uint32_t)size;
	if ((*buffer)->start == (*buffer)->end)
		buffer_free(buffer);
}

void buffer_free(struct buffer **buffer)
{
	if (*buffer)
		block_free(*buffer);
	*buffer = NULL;
}

void buffer_erase(struct buffer **buffer)
{
	buffer_make_secret(*buffer);
	buffer_free(buffer);
}

void buffer_release(void)
{
	for (struct kept_block *next; kept.first; kept.first = next) {
		next = kept.first->next;
		free(kept.first);
	}
	kept.count = 0;
}
