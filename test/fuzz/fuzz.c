/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fuzz.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char *fuzz_text(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1);
	FUZZ_HOLDS(text);
	if (size)
		memcpy(text, bytes, size);
	text[size] = '\0';
	size_t length = strlen(text);
	char *fitting = realloc(text, length + 1);
	FUZZ_HOLDS(fitting);
	return fitting;
}

size_t fuzz_fill_in(const uint8_t *bytes, size_t size, const char *text, uint8_t *out, size_t room)
{
	size_t length = strlen(text), used = 0;
	for (size_t i = 0; i < size; i++) {
		size_t wanted = bytes[i] == 1 ? length : 1;
		if (wanted > room - used)
			break;
		memcpy(out + used, bytes[i] == 1 ? (const void *)text : bytes + i, wanted);
		used += wanted;
	}
	return used;
}

const char *fuzz_file(const uint8_t *bytes, size_t size)
{
	static int fd = -1;
	static char path[40];
	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	FUZZ_HOLDS(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_HOLDS(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	return path;
}
