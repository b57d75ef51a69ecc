/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fuzz.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* test_fuzz                 all targets, as `make check` does
 * test_fuzz NAME            one of them
 * test_fuzz NAME FILE...    just these inputs
 * test_fuzz --seeds DIR     write all seeds to DIR/NAME/, for other fuzzers
 * $FUZZ_SEED: another sequence of mutations; $FUZZ_MSEC: more or less of them. */

#define TARGET(target) extern const struct fuzz_target fuzz_target_##target;
#include "targets.def"

static const struct fuzz_target *const targets[] = {
#define TARGET(target) &fuzz_target_##target,
#include "targets.def"
};
enum {
	TARGETS = sizeof targets / sizeof *targets,
	INPUT_MAX = 4096,
	ITERATIONS = 30000,
	MSEC = 400,  /* of processor time for each target */
	STUCK = 120, /* seconds */
};

/* What the child is at: the parent sees it when the child is gone. */
static struct input {
	size_t size;
	uint8_t bytes[INPUT_MAX];
} * input;

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 11) % bound;
}

/* The target gets memory of just that size, so that reading past its end is seen. */
static void run(const struct fuzz_target *target)
{
	uint8_t *bytes = malloc(input->size ? input->size : 1);
	FUZZ_HOLDS(bytes);
	memcpy(bytes, input->bytes, input->size);
	target->one(bytes, input->size);
	free(bytes);
}

static void take(const void *bytes, size_t size)
{
	input->size = size < INPUT_MAX ? size : INPUT_MAX;
	memcpy(input->bytes, bytes, input->size);
}

static const struct fuzz_seed *any_seed(const struct fuzz_target *target)
{
	return &target->seeds[random_below((uint32_t)target->seed_count)];
}

static uint8_t odd_byte(void)
{
	static const uint8_t odd[] = {0,   1,	 4,    0x7f, 0x80, 0xff, '"',  '\'', ',', '=', '\\',
				      '/', '@',	 '\n', ' ',  '+',  '*',	 '(',  ')',  '[', ']', '{',
				      ':', '\r', '.',  '#',  ';',  '-',	 '\t', '0',  '9', '%'};
	return random_below(3) ? odd[random_below(sizeof odd)] : (uint8_t)random_below(256);
}

/* Put @size bytes in at @at; what is too long falls off. */
static void insert(size_t at, const uint8_t *bytes, size_t size)
{
	uint8_t copy[INPUT_MAX];
	if (size > INPUT_MAX - at)
		size = INPUT_MAX - at;
	memcpy(copy, bytes, size); /* it may be a part of the input */
	size_t behind = input->size - at;
	if (behind > INPUT_MAX - at - size)
		behind = INPUT_MAX - at - size;
	memmove(input->bytes + at + size, input->bytes + at, behind);
	memcpy(input->bytes + at, copy, size);
	input->size = at + size + behind;
}

static void mutate(const struct fuzz_target *target)
{
	uint32_t size = (uint32_t)input->size;
	uint32_t at = random_below(size + 1), length = random_below(1 + random_below(40));
	const struct fuzz_seed *seed;
	uint8_t byte;
	if (length > size - at)
		length = size - at;
	switch (random_below(8)) {
	case 0:
	case 1:
		if (at < size)
			input->bytes[at] = odd_byte();
		break;
	case 2:
		if (at < size)
			input->bytes[at] ^= (uint8_t)(1 << random_below(8));
		break;
	case 3:
		byte = odd_byte();
		insert(at, &byte, 1);
		break;
	case 4:
		memmove(input->bytes + at, input->bytes + at + length, size - at - length);
		input->size -= length;
		break;
	case 5: /* a part of it once more */
		insert(random_below(size + 1), input->bytes + at, length);
		break;
	case 6: /* the rest of another */
		seed = any_seed(target);
		length = seed->size ? random_below((uint32_t)seed->size) : 0;
		insert(at, (const uint8_t *)seed->bytes + length, seed->size - length);
		break;
	default:
		if (random_below(4) == 0)
			input->size = at;
	}
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_all(const struct fuzz_target *target)
{
	clock_t end = clock() + (clock_t)(number("FUZZ_MSEC", MSEC) * (CLOCKS_PER_SEC / 1000));
	random_state = number("FUZZ_SEED", 1) * 0x9e3779b97f4a7c15u | 1;
	take("", 0);
	run(target);
	for (size_t i = 0; i < target->seed_count; i++)
		for (size_t size = 0; size <= target->seeds[i].size; size++) {
			take(target->seeds[i].bytes, size);
			run(target);
		}
	bool is_default = !getenv("FUZZ_MSEC");
	for (int i = 0; (i < ITERATIONS || !is_default) && clock() < end; i++) {
		const struct fuzz_seed *seed = any_seed(target);
		take(seed->bytes, seed->size);
		for (uint32_t n = 1 + random_below(6); n > 0; n--)
			mutate(target);
		run(target);
	}
}

static void run_files(const struct fuzz_target *target, char **paths)
{
	for (; *paths; paths++) {
		FILE *file = fopen(*paths, "rb");
		FUZZ_HOLDS(file);
		input->size = fread(input->bytes, 1, INPUT_MAX, file);
		fclose(file);
		run(target);
	}
}

static void complain(const struct fuzz_target *target, int status)
{
	char path[100];
	snprintf(path, sizeof path, "fuzz-%s.input", target->name);
	printf("%s: ended with status %#x on the %zu bytes in %s:\n", target->name,
	       (unsigned)status, input->size, path);
	for (size_t i = 0; i < input->size; i++)
		printf("%02x%s", input->bytes[i], i % 32 == 31 ? "\n" : "");
	printf("\n");
	FILE *file = fopen(path, "wb");
	if (file) {
		fwrite(input->bytes, 1, input->size, file);
		fclose(file);
	}
}

/* In a process of its own. Returns whether it ended well. */
static bool try_target(const struct fuzz_target *target, char **paths)
{
	int status = -1;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		alarm(STUCK);
		if (paths && *paths)
			run_files(target, paths);
		else
			run_all(target);
		exit(0); /* not _exit(): leaks are looked for on the way out */
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		complain(target, status);
		return false;
	}
	return true;
}

static int write_seeds(const char *directory)
{
	char path[4096];
	(void)mkdir(directory, 0777);
	for (size_t i = 0; i < TARGETS; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, targets[i]->name);
		(void)mkdir(path, 0777);
		for (size_t n = 0; n < targets[i]->seed_count; n++) {
			snprintf(path, sizeof path, "%s/%s/seed-%zu", directory, targets[i]->name,
				 n);
			FILE *file = fopen(path, "wb");
			FUZZ_HOLDS(file);
			fwrite(targets[i]->seeds[n].bytes, 1, targets[i]->seeds[n].size, file);
			fclose(file);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int count = 0, bad = 0;
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return write_seeds(argv[2]);
	input = mmap(NULL, sizeof *input, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	FUZZ_HOLDS(input != MAP_FAILED);
	for (size_t i = 0; i < TARGETS; i++) {
		if (argc > 1 && strcmp(argv[1], targets[i]->name) != 0)
			continue;
		count++;
		bad += !try_target(targets[i], argc > 2 ? argv + 2 : NULL);
	}
	/* As Check ends. */
	printf("%d%%: Checks: %d, Failures: %d, Errors: 0\n",
	       count ? (count - bad) * 100 / count : 0, count, bad);
	return bad || !count;
}
