/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/key_cache.h"
#include "../suite.h"
#include <string.h>

Suite *suite_key_cache(void);

static const uint8_t salt[16] = "0123456789abcde";

static struct key_source source(uint32_t iterations)
{
	return (struct key_source){"pencil", salt, sizeof(salt), iterations};
}

static void add(uint32_t iterations)
{
	struct key_source from = source(iterations);
	struct scram_keys keys = {{(uint8_t)iterations, (uint8_t)(iterations >> 8)}, {7}};
	key_cache_add(&from, &keys);
}

static bool has(uint32_t iterations)
{
	struct key_source from = source(iterations);
	struct scram_keys keys = {{0}, {0}};
	if (!key_cache_find(&from, &keys))
		return false;
	ck_assert_uint_eq(keys.client_key[0], (uint8_t)iterations);
	ck_assert_uint_eq(keys.client_key[1], (uint8_t)(iterations >> 8));
	ck_assert_uint_eq(keys.server_key[0], 7);
	return true;
}

static void teardown(void)
{
	key_cache_reserve(0);
	key_cache_release();
}

START_TEST(only_the_very_same_source_finds_the_keys)
{
	static const uint8_t other[16] = "0123456789abcdf";
	const struct key_source others[] = {
		{"pencik", salt, sizeof(salt), 1}, {"pencil ", salt, sizeof(salt), 1},
		{"", salt, sizeof(salt), 1},	   {"pencil", other, sizeof(other), 1},
		{"pencil", salt, 15, 1},	   {"pencil", salt, 0, 1},
		{"pencil", salt, sizeof(salt), 2},
	};
	struct scram_keys keys;
	ck_assert(!has(1));
	add(1);
	ck_assert(has(1));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_msg(!key_cache_find(&others[i], &keys), "%zu", i);
}
END_TEST

START_TEST(the_least_recently_used_keys_go_first)
{
	for (uint32_t i = 1; i <= KEY_CACHE_ENTRIES; i++)
		add(i);
	ck_assert(has(1)); /* used again: now the latest */
	add(KEY_CACHE_ENTRIES + 1);
	ck_assert(has(1));
	ck_assert(!has(2));
	for (uint32_t i = 3; i <= KEY_CACHE_ENTRIES + 1; i++)
		ck_assert(has(i));
}
END_TEST

START_TEST(what_is_reserved_is_room_for_so_many_more)
{
	key_cache_reserve(5);
	for (uint32_t i = 1; i <= KEY_CACHE_ENTRIES + 6; i++)
		add(i);
	ck_assert(!has(1));
	ck_assert(has(2));
	key_cache_reserve(0);
	add(KEY_CACHE_ENTRIES + 7);
	for (uint32_t i = 3; i <= 7; i++)
		ck_assert(!has(i));
	ck_assert(has(KEY_CACHE_ENTRIES + 7));
}
END_TEST

START_TEST(keys_added_twice_are_there_once)
{
	for (uint32_t i = 1; i <= KEY_CACHE_ENTRIES; i++)
		add(i);
	add(KEY_CACHE_ENTRIES);
	ck_assert(has(1));
}
END_TEST

START_TEST(nothing_is_found_after_release)
{
	add(1);
	key_cache_release();
	ck_assert(!has(1));
	add(1);
	ck_assert(has(1));
}
END_TEST

Suite *suite_key_cache(void)
{
	Suite *suite = suite_create("key_cache");
	TCase *tcase = tcase_create("key_cache");
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, only_the_very_same_source_finds_the_keys);
	tcase_add_test(tcase, the_least_recently_used_keys_go_first);
	tcase_add_test(tcase, what_is_reserved_is_room_for_so_many_more);
	tcase_add_test(tcase, keys_added_twice_are_there_once);
	tcase_add_test(tcase, nothing_is_found_after_release);
	suite_add_tcase(suite, tcase);
	return suite;
}
