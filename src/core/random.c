/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/random.h"
#include "core/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

/* The block lives in a page that the kernel empties in a child of fork(), so that two processes
 * never hand out the same bytes. Bytes that were handed out are erased. */
static struct block {
	size_t left;
	uint8_t bytes[1024];
} * block;

static void ask_kernel(void *bytes, size_t size)
{
	for (uint8_t *at = bytes; size;) {
		ssize_t got = getrandom(at, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fprintf(stderr, "pgweir: the kernel has no random bytes: %s\n",
				strerror(errno));
			abort();
		}
		at += got;
		size -= (size_t)got;
	}
}

static struct block *block_open(void)
{
	void *page = mmap(NULL, sizeof(struct block), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, sizeof(struct block), MADV_WIPEONFORK) < 0) {
		munmap(page, sizeof(struct block));
		return NULL;
	}
	return page;
}

void random_bytes(void *bytes, size_t size)
{
	if (!block)
		block = block_open();
	if (!block || size > sizeof(block->bytes) / 4) {
		ask_kernel(bytes, size);
		return;
	}
	if (block->left < size) {
		ask_kernel(block->bytes, sizeof(block->bytes));
		block->left = sizeof(block->bytes);
	}
	block->left -= size;
	memcpy(bytes, block->bytes + block->left, size);
	memory_erase(block->bytes + block->left, size);
}

uint32_t random_below(uint32_t bound)
{
	/* Numbers below 2^32 % bound would make the small results too frequent. */
	uint32_t refused = -bound % bound, number;
	do
		random_bytes(&number, sizeof(number));
	while (number < refused);
	return number % bound;
}
