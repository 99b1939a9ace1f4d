// SPDX-License-Identifier: Apache-2.0
/*
 * ack.c: waits until the other connections of a session have acknowledged the statuses that they
 * were sent (RFC 7143 4.2.2.3.3). Each is asked by a ping; what it answers carries ExpStatSN. One
 * that ends meanwhile is not waited for.
 */
#include "target/iscsi/session.h"

#include "common/own.h"

static void ack_less(struct ack *a)
{
	if (--a->left == 0)
		a->done(a);
}

static void ack_ask(struct ack *a, struct ack_wait *w, struct conn *c)
{
	w->ack = a;
	w->stat_sn = c->stat_sn;
	list_push(&c->acks, &w->node);
	a->left++;
	c->ping_out = true;
	nop_ping(c);
}

void ack_submit(struct ack *a, struct session *s, const struct conn *but)
{
	unsigned n = 0;

	a->left = 1;
	own_assert(s->conn_count <= SESSION_CONNS_MAX);
	list_for_each (node, &s->conns) {
		struct conn *c = container_of(node, struct conn, session_node);

		if (c != but && c->state == CONN_LOGGED_IN && c->acked_sn != c->stat_sn)
			ack_ask(a, &a->wait[n++], c);
	}
	ack_less(a);
}

void ack_seen(struct conn *c)
{
	list_for_each_safe (node, &c->acks) {
		struct ack_wait *w = container_of(node, struct ack_wait, node);

		if ((int32_t)(c->acked_sn - w->stat_sn) < 0)
			continue;
		list_del(node);
		ack_less(w->ack);
	}
}

void ack_drop(struct conn *c)
{
	struct list *node;

	while ((node = list_pop(&c->acks)))
		ack_less(container_of(node, struct ack_wait, node)->ack);
}
