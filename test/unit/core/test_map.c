/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/list.h"
#include "core/map.h"
#include "suites.h"
#include <stdio.h>
#include <string.h>

struct member {
	char key[32];
	struct map_node node;
};

static struct member *member_of(struct map_node *node)
{
	return container_of(node, struct member, node);
}

START_TEST(an_empty_map_finds_nothing)
{
	struct map map;
	map_init(&map);
	ck_assert_uint_eq(map_length(&map), 0);
	ck_assert_ptr_null(map_find(&map, "a", 1));
	int seen = 0;
	map_foreach (node, &map)
		seen++;
	ck_assert_int_eq(seen, 0);
}
END_TEST

START_TEST(many_members_are_found_walked_in_order_and_removed)
{
	enum { COUNT = 2000 };
	static struct member members[COUNT];
	struct map map;
	map_init(&map);
	for (int i = 0; i < COUNT; i++) {
		/* keys of 1 to 13 bytes */
		snprintf(members[i].key, sizeof(members[i].key), "%d%.*s", i, i % 10, "---------");
		map_add(&map, members[i].key, strlen(members[i].key), &members[i].node);
	}
	ck_assert_uint_eq(map_length(&map), COUNT);
	int next = 0;
	map_foreach (node, &map) {
		ck_assert_ptr_eq(member_of(node), &members[next]);
		next++;
	}
	ck_assert_int_eq(next, COUNT);
	for (int i = 0; i < COUNT; i++)
		ck_assert_ptr_eq(map_find(&map, members[i].key, strlen(members[i].key)),
				 &members[i].node);
	ck_assert_ptr_null(map_find(&map, "2000", 4));

	map_foreach (node, &map) {
		if ((member_of(node) - members) % 2 == 0)
			map_remove(&map, node);
	}
	ck_assert_uint_eq(map_length(&map), COUNT / 2);
	for (int i = 0; i < COUNT; i++) {
		struct map_node *want = i % 2 ? &members[i].node : NULL;
		ck_assert_ptr_eq(map_find(&map, members[i].key, strlen(members[i].key)), want);
	}
	map_foreach (node, &map)
		map_remove(&map, node);
	ck_assert_uint_eq(map_length(&map), 0);
	ck_assert_ptr_null(map.first);
}
END_TEST

START_TEST(keys_are_bytes_and_their_length_counts)
{
	struct map map;
	struct map_node one, two, three, empty;
	map_init(&map);
	map_add(&map, "a\0b", 3, &one);
	map_add(&map, "a\0c", 3, &two);
	map_add(&map, "a", 1, &three);
	map_add(&map, "", 0, &empty);
	ck_assert_ptr_eq(map_find(&map, "a\0b", 3), &one);
	ck_assert_ptr_eq(map_find(&map, "a\0c", 3), &two);
	ck_assert_ptr_eq(map_find(&map, "a", 1), &three);
	ck_assert_ptr_eq(map_find(&map, "", 0), &empty);
	ck_assert_ptr_null(map_find(&map, "a", 2));
	map_foreach (node, &map)
		map_remove(&map, node);
}
END_TEST

START_TEST(a_key_that_is_there_is_not_added_again)
{
	struct map map;
	struct map_node one, two;
	map_init(&map);
	ck_assert(map_try_add(&map, "a", 1, &one));
	ck_assert(!map_try_add(&map, "a", 1, &two));
	ck_assert_uint_eq(map_length(&map), 1);
	ck_assert_ptr_eq(map_find(&map, "a", 1), &one);
	ck_assert(map_try_add(&map, "b", 1, &two));
	ck_assert_ptr_eq(map_find(&map, "b", 1), &two);
	map_foreach (node, &map)
		map_remove(&map, node);
}
END_TEST

Suite *suite_map(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("map");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, an_empty_map_finds_nothing);
	tcase_add_test(tcase, many_members_are_found_walked_in_order_and_removed);
	tcase_add_test(tcase, a_key_that_is_there_is_not_added_again);
	tcase_add_test(tcase, keys_are_bytes_and_their_length_counts);
	return suite;
}
