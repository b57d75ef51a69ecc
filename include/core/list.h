/* SPDX-License-Identifier: ISC */
/* list: an intrusive doubly linked list that knows its length. A node knows no list: who removes
 * names the list. */
#ifndef PGWEIR_CORE_LIST_H
#define PGWEIR_CORE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Checked where everything is: in the sanitizer build. These run several times in each transaction.
 */
#if defined(__SANITIZE_ADDRESS__)
#define LIST_CHECK(condition) assert(condition)
#else
#define LIST_CHECK(condition) ((void)0)
#endif

struct list_node {
	struct list_node *next, *previous; /* both NULL: in no list */
};

struct list {
	struct list_node head; /* next: first, previous: last */
	uint32_t length;
};

static inline void list_init(struct list *list)
{
	list->head.next = list->head.previous = &list->head;
	list->length = 0;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->length == 0;
}

static inline bool list_node_is_linked(const struct list_node *node)
{
	return node->next != NULL;
}

static inline void list_insert_after(struct list *list, struct list_node *place,
				     struct list_node *node)
{
	LIST_CHECK(!list_node_is_linked(node));
	node->previous = place;
	node->next = place->next;
	place->next->previous = node;
	place->next = node;
	list->length++;
}

static inline void list_push_first(struct list *list, struct list_node *node)
{
	list_insert_after(list, &list->head, node);
}

static inline void list_push_last(struct list *list, struct list_node *node)
{
	list_insert_after(list, list->head.previous, node);
}

static inline void list_remove(struct list *list, struct list_node *node)
{
	LIST_CHECK(list_node_is_linked(node) && list->length > 0);
	node->previous->next = node->next;
	node->next->previous = node->previous;
	node->next = node->previous = NULL;
	list->length--;
}

/* NULL: empty. */
static inline struct list_node *list_first(const struct list *list)
{
	return list->length ? list->head.next : NULL;
}

static inline struct list_node *list_last(const struct list *list)
{
	return list->length ? list->head.previous : NULL;
}

/* Removes and returns the first node; NULL: empty. */
static inline struct list_node *list_pop_first(struct list *list)
{
	struct list_node *node = list_first(list);
	if (node)
		list_remove(list, node);
	return node;
}

/* The walked node may be removed only with the _safe form. */
#define list_foreach(node, list) \
	for (struct list_node *node = (list)->head.next; node != &(list)->head; node = node->next)
#define list_foreach_safe(node, list)                                               \
	for (struct list_node *node = (list)->head.next, *node##_next = node->next; \
	     node != &(list)->head; node = node##_next, node##_next = node->next)

#endif
