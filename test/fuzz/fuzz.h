/* SPDX-License-Identifier: ISC */
/* fuzz: a target takes any bytes, and must neither crash, leak, loop nor break what it says of
 * itself (FUZZ_HOLDS). Each fuzz_<name>.c is one, with seeds to begin from, and serves two drivers:
 *
 *   test_fuzz (main.c)   part of `make check`: seeds, their truncations, and a bounded number of
 *                        mutations of them, the same in each run; each target in a process of its
 *                        own, so that what ends it is known
 *   libFuzzer            dev/fuzz NAME: guided by coverage, for as long as one likes
 */
#ifndef PGWEIR_TEST_FUZZ_H
#define PGWEIR_TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct fuzz_seed {
	const char *bytes;
	size_t size;
};
#define SEED(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}

struct fuzz_target {
	const char *name;
	void (*one)(const uint8_t *bytes, size_t size);
	const struct fuzz_seed *seeds;
	size_t seed_count;
};

/* At the end of a target's file: FUZZ_TARGET(startup) names fuzz_startup(), and seeds[]. */
#define FUZZ_TARGET_ITSELF(target)                                                      \
	extern const struct fuzz_target fuzz_target_##target;                           \
	const struct fuzz_target fuzz_target_##target = {#target, fuzz_##target, seeds, \
							 sizeof seeds / sizeof *seeds}
#ifdef FUZZ_LIBFUZZER
#define FUZZ_TARGET(target)                                            \
	int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size); \
	int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)  \
	{                                                              \
		fuzz_##target(bytes, size);                            \
		return 0;                                              \
	}                                                              \
	FUZZ_TARGET_ITSELF(target)
#else
#define FUZZ_TARGET(target) FUZZ_TARGET_ITSELF(target)
#endif

/* Not assert(): it must hold in every build. */
#define FUZZ_HOLDS(condition)                                                             \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

/* The bytes as text, up to the first NUL: in memory of just that size, to be freed with free(). */
char *fuzz_text(const uint8_t *bytes, size_t size);
/* The bytes with each byte 1 replaced by @text. At most @room bytes; returns how many. */
size_t fuzz_fill_in(const uint8_t *bytes, size_t size, const char *text, uint8_t *out, size_t room);
/* A path under which the bytes can be read as a file, until the next call. */
const char *fuzz_file(const uint8_t *bytes, size_t size);

#endif
