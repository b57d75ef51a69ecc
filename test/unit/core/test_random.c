/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/random.h"
#include "suites.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(two_draws_differ)
{
	static const size_t sizes[] = {8, 16, 100, 256, 257, 5000};
	static uint8_t a[5000], b[5000];
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int round = 0; round < 100; round++) {
			random_bytes(a, sizes[i]);
			random_bytes(b, sizes[i]);
			ck_assert_mem_ne(a, b, sizes[i]);
		}
	}
	random_bytes(a, 0);
}
END_TEST

START_TEST(all_bytes_asked_for_are_filled_and_no_more)
{
	static const uint8_t zeros[16];
	for (size_t size = 1; size < 600; size += 7) {
		uint8_t bytes[640] = {0}, all_set[640] = {0};
		for (int round = 0; round < 12; round++) {
			random_bytes(bytes + 16, size);
			for (size_t i = 0; i < size; i++)
				all_set[i] |= bytes[16 + i];
		}
		ck_assert_mem_eq(bytes, zeros, 16);
		ck_assert_mem_eq(bytes + 16 + size, zeros, 16);
		for (size_t i = 0; i < size; i++)
			ck_assert_uint_ne(all_set[i], 0);
	}
}
END_TEST

START_TEST(a_child_draws_other_bytes_than_its_parent)
{
	uint8_t mine[16], its[16];
	int ends[2];
	random_bytes(mine, sizeof(mine)); /* the block is filled */
	ck_assert_int_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		random_bytes(its, sizeof(its));
		_exit(write(ends[1], its, sizeof(its)) == sizeof(its) ? 0 : 1);
	}
	random_bytes(mine, sizeof(mine));
	ck_assert_int_eq(read(ends[0], its, sizeof(its)), sizeof(its));
	waitpid(child, NULL, 0);
	ck_assert_mem_ne(mine, its, sizeof(mine));
}
END_TEST

START_TEST(numbers_are_below_their_bound_and_all_occur)
{
	int seen[7] = {0};
	for (int i = 0; i < 7000; i++) {
		uint32_t number = random_below(7);
		ck_assert_uint_lt(number, 7);
		seen[number]++;
	}
	for (int i = 0; i < 7; i++) /* 1000 +- 10 standard deviations */
		ck_assert(seen[i] > 700 && seen[i] < 1300);
	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(random_below(1), 0);
		ck_assert_uint_lt(random_below(0x80000001), 0x80000001);
		ck_assert_uint_lt(random_below(UINT32_MAX), UINT32_MAX);
	}
}
END_TEST

Suite *suite_random(void)
{
	Suite *suite = suite_create("random");
	TCase *tcase = tcase_create("random");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, two_draws_differ);
	tcase_add_test(tcase, all_bytes_asked_for_are_filled_and_no_more);
	tcase_add_test(tcase, a_child_draws_other_bytes_than_its_parent);
	tcase_add_test(tcase, numbers_are_below_their_bound_and_all_occur);
	return suite;
}
