/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/list.h"
#include "suites.h"
#include <stdio.h>
#include <string.h>

struct letter {
	char name;
	struct list_node node;
};

static struct letter a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};

/* The letters from first to last, held against the way back and the length. */
static const char *spell(const struct list *list)
{
	static char text[10];
	size_t length = 0;
	list_foreach (node, list)
		text[length++] = container_of(node, struct letter, node)->name;
	text[length] = '\0';
	ck_assert_uint_eq(list->length, length);
	for (struct list_node *node = list->head.previous; node != &list->head;
	     node = node->previous)
		ck_assert_int_eq(text[--length], container_of(node, struct letter, node)->name);
	ck_assert_uint_eq(length, 0);
	return text;
}

START_TEST(an_empty_list_has_no_first_and_no_last)
{
	struct list list;
	list_init(&list);
	ck_assert(list_is_empty(&list));
	ck_assert_ptr_null(list_first(&list));
	ck_assert_ptr_null(list_last(&list));
	ck_assert_ptr_null(list_pop_first(&list));
	ck_assert_str_eq(spell(&list), "");
}
END_TEST

START_TEST(order_is_that_of_pushing)
{
	struct list list;
	list_init(&list);
	list_push_last(&list, &b.node);
	list_push_last(&list, &d.node);
	list_push_first(&list, &a.node);
	list_insert_after(&list, &b.node, &c.node);
	ck_assert_str_eq(spell(&list), "abcd");
	ck_assert_ptr_eq(list_first(&list), &a.node);
	ck_assert_ptr_eq(list_last(&list), &d.node);
	ck_assert(!list_is_empty(&list));
}
END_TEST

START_TEST(removed_nodes_are_free_for_another_list)
{
	struct list list, other;
	list_init(&list);
	list_init(&other);
	list_push_last(&list, &a.node);
	list_push_last(&list, &b.node);
	list_push_last(&list, &c.node);
	list_remove(&list, &b.node);
	ck_assert(!list_node_is_linked(&b.node));
	ck_assert(list_node_is_linked(&a.node));
	ck_assert_str_eq(spell(&list), "ac");
	list_push_first(&other, &b.node);
	ck_assert_str_eq(spell(&other), "b");
	ck_assert_ptr_eq(list_pop_first(&list), &a.node);
	ck_assert_ptr_eq(list_pop_first(&list), &c.node);
	ck_assert_str_eq(spell(&list), "");
}
END_TEST

START_TEST(the_walked_node_may_be_removed)
{
	struct list list;
	list_init(&list);
	list_push_last(&list, &a.node);
	list_push_last(&list, &b.node);
	list_push_last(&list, &c.node);
	list_foreach_safe (node, &list) {
		if (node != &b.node)
			list_remove(&list, node);
	}
	ck_assert_str_eq(spell(&list), "b");
}
END_TEST

Suite *suite_list(void)
{
	Suite *suite = suite_create("list");
	TCase *tcase = tcase_create("list");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, an_empty_list_has_no_first_and_no_last);
	tcase_add_test(tcase, order_is_that_of_pushing);
	tcase_add_test(tcase, removed_nodes_are_free_for_another_list);
	tcase_add_test(tcase, the_walked_node_may_be_removed);
	return suite;
}
