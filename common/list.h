/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h: intrusive doubly linked lists.
 *
 * A node lives in the thing that is listed; a list never allocates and never owns. No locking: a
 * list belongs to one thread.
 */
#ifndef KURA_COMMON_LIST_H
#define KURA_COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev; /* a head and a node are the same */
};

/* The thing that holds `node` as its member `m`. */
#define container_of(node, type, m) ((type *)(void *)((char *)(node)-offsetof(type, m)))

#define list_for_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

/* As above, and `it` may be removed in the body. */
#define list_for_each_safe(it, head)                                                               \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
		it = it##_next, it##_next = it->next)

/* Makes `l` an empty head, or a node that is in no list. */
static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

/* Whether a head has no nodes, or a node is in no list. */
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* Inserts `node` right behind `pos`; at the front when `pos` is a head. */
static inline void list_push_front(struct list *pos, struct list *node)
{
	node->next = pos->next;
	node->prev = pos;
	pos->next->prev = node;
	pos->next = node;
}

/* Inserts `node` right before `pos`; at the back when `pos` is a head. */
static inline void list_push(struct list *pos, struct list *node)
{
	list_push_front(pos->prev, node);
}

/* Takes `node` out of whatever list it is in; harmless when it is in none. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Takes the first node out, or gives NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_del(node);
	return node;
}

/* Moves all nodes of `from` to the back of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
