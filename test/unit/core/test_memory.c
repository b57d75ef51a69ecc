/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/memory.h"
#include "suites.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

START_TEST(allocated_memory_is_zeroed)
{
	static const char zeros[1000];
	char *memory = memory_alloc(sizeof(zeros));
	ck_assert_mem_eq(memory, zeros, sizeof(zeros));
	memory_free(&memory);
	ck_assert_ptr_null(memory);
	memory_free(&memory);
	ck_assert_ptr_null(memory);
}
END_TEST

START_TEST(copies_are_equal_and_their_own)
{
	char *text = memory_strdup("weir");
	ck_assert_str_eq(text, "weir");
	memory_free(&text);
	text = memory_strndup("weir", 2);
	ck_assert_str_eq(text, "we");
	memory_free(&text);
	text = memory_strndup("we", 20);
	ck_assert_str_eq(text, "we");
	memory_free(&text);
	text = memory_dup("a\0b", 3);
	ck_assert_mem_eq(text, "a\0b", 3);
	memory_free(&text);
	text = memory_printf("%s-%d", "x", 7);
	ck_assert_str_eq(text, "x-7");
	text = memory_realloc(text, 10000);
	ck_assert_str_eq(text, "x-7");
	memory_free(&text);
}
END_TEST

START_TEST(sizes_we_choose_abort_when_refused)
{
	/* volatile: the compiler would see that no object is so large */
	volatile size_t size = (size_t)PTRDIFF_MAX - 100;
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	char *memory = memory_alloc(size);
	memory_free(&memory);
}
END_TEST

START_TEST(sizes_a_peer_chooses_may_be_refused)
{
#ifndef __SANITIZE_ADDRESS__
	volatile size_t size = (size_t)PTRDIFF_MAX - 100;
	ck_assert_ptr_null(memory_try_alloc(size));
#endif
	char *memory = memory_try_alloc(10);
	ck_assert_ptr_nonnull(memory);
	memory_free(&memory);
}
END_TEST

START_TEST(erase_leaves_zeros)
{
	char secret[] = "secret";
	memory_erase(secret, 3);
	ck_assert_mem_eq(secret, "\0\0\0ret", 7);
	memory_erase(NULL, 0);
}
END_TEST

struct thing {
	char bytes[100];
};
static struct memory_cache things = MEMORY_CACHE("thing_cache", struct thing);
static struct memory_cache others = MEMORY_CACHE("other_cache", char[70000]);

START_TEST(cached_objects_are_zeroed_counted_and_do_not_overlap)
{
	static const struct thing zero;
	enum { COUNT = 1000 };
	static struct thing *all[COUNT];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < COUNT; i++) {
			all[i] = memory_cache_alloc(&things);
			ck_assert_uint_eq((uintptr_t)all[i] % 16, 0);
			ck_assert_mem_eq(all[i], &zero, sizeof(zero));
			memset(all[i], i & 0xff, sizeof(*all[i]));
		}
		ck_assert_uint_eq(things.used, COUNT);
		for (int i = 0; i < COUNT; i++) {
			for (size_t byte = 0; byte < sizeof(zero); byte++)
				ck_assert_int_eq((unsigned char)all[i]->bytes[byte], i & 0xff);
		}
		for (int i = 0; i < COUNT; i++)
			memory_cache_free(&things, all[i]);
		ck_assert_uint_eq(things.used, 0);
		if (MEMORY_IS_REUSED)
			ck_assert_uint_ge(things.free, COUNT);
	}
}
END_TEST

START_TEST(large_cached_objects_begin_a_cache_line)
{
	static struct memory_cache larges = MEMORY_CACHE("large_cache", char[464]);
	enum { COUNT = 200 };
	static char *all[COUNT];
	for (int i = 0; i < COUNT; i++) {
		all[i] = memory_cache_alloc(&larges);
		if (MEMORY_IS_REUSED)
			ck_assert_uint_eq((uintptr_t)all[i] % MEMORY_LINE, 0);
		memset(all[i], i, 464);
	}
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq((unsigned char)all[i][0], i);
		ck_assert_int_eq((unsigned char)all[i][463], i);
		memory_cache_free(&larges, all[i]);
	}
	memory_cache_release();
}
END_TEST

START_TEST(caches_are_listed_by_first_use_and_released_when_unused)
{
	ck_assert_ptr_null(memory_cache_first());
	void *other = memory_cache_alloc(&others);
	memset(other, 1, 70000);
	void *thing = memory_cache_alloc(&things);
	ck_assert_ptr_eq(memory_cache_first(), &others);
	ck_assert_ptr_eq(memory_cache_first()->next, &things);
	ck_assert_ptr_null(things.next);
	ck_assert_str_eq(things.name, "thing_cache");
	ck_assert_uint_eq(things.object_size, 100);

	memory_cache_free(&others, other);
	memory_cache_release();
	ck_assert_uint_eq(others.free, 0);
	ck_assert_uint_eq(things.used, 1);
	memory_cache_free(&things, thing);
	memory_cache_release();
	ck_assert_uint_eq(things.free, 0);

	thing = memory_cache_alloc(&things);
	ck_assert_ptr_eq(memory_cache_first(), &others);
	ck_assert_ptr_eq(memory_cache_first()->next, &things);
	ck_assert_ptr_null(things.next);
	memory_cache_free(&things, thing);
	memory_cache_release();
}
END_TEST

#if MEMORY_IS_REUSED /* AddressSanitizer's own memory is not to be had under a limit */
START_TEST(when_memory_is_refused_the_reserve_is_used_and_taken_back)
{
	enum { PIECES = 100, PIECE = 256 * 1024 };
	static char *pieces[PIECES];
	struct rlimit before, little;
	long pages = 0;
	int count = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	ck_assert_int_eq(fscanf(statm, "%ld", &pages), 1);
	fclose(statm);
	ck_assert(!memory_is_short()); /* none was wanted */
	memory_reserve();
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	little = before;
	little.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + (8 << 20));
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &little), 0);
	while (count < PIECES && !memory_is_short())
		pieces[count++] = memory_alloc(PIECE);
	ck_assert_int_gt(count, 10);
	ck_assert_int_lt(count, PIECES); /* and none of them aborted */
	ck_assert(memory_is_short());
	while (count > 0)
		memory_free(&pieces[--count]);
	ck_assert(!memory_is_short());
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
}
END_TEST
#endif

Suite *suite_memory(void)
{
	Suite *suite = suite_create("memory");
	TCase *tcase = tcase_create("memory");
#if MEMORY_IS_REUSED
	tcase_add_test(tcase, when_memory_is_refused_the_reserve_is_used_and_taken_back);
#endif
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, allocated_memory_is_zeroed);
	tcase_add_test(tcase, copies_are_equal_and_their_own);
#ifndef __SANITIZE_ADDRESS__
	tcase_add_test_raise_signal(tcase, sizes_we_choose_abort_when_refused, SIGABRT);
#else
	(void)sizes_we_choose_abort_when_refused;
#endif
	tcase_add_test(tcase, sizes_a_peer_chooses_may_be_refused);
	tcase_add_test(tcase, erase_leaves_zeros);
	tcase_add_test(tcase, cached_objects_are_zeroed_counted_and_do_not_overlap);
	tcase_add_test(tcase, large_cached_objects_begin_a_cache_line);
	tcase_add_test(tcase, caches_are_listed_by_first_use_and_released_when_unused);
	return suite;
}
