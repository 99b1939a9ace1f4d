/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting and handing out. What can fail: accept itself, told at a bounded rate. */
#include "target/door.h"

#include "common/own.h"

#include <string.h>

struct door_listener {
	struct loop_listener l;
	struct list node;
	struct door *door;
	struct door_closing *closing; /* who closes it alone, or NULL */
};

/* A connection on its way to its loop. */
struct visitor {
	struct loop_post post;
	struct door *door;
	unsigned to;
	int fd;
	int place; /* see iscsi_server_expect */
};

static void visitor_arrives(struct loop_post *post)
{
	struct visitor *v = container_of(post, struct visitor, post);
	struct door *door = v->door;

	iscsi_server_adopt(door->iscsi, door->loops[v->to], v->fd, v->place);
	free(v);
}

/* The least loaded loop; the search begins at another one each time, so that equals take turns. */
static unsigned least_loaded(struct door *door)
{
	unsigned first = door->turn++ % door->loop_count;
	unsigned best = first, least = iscsi_server_load(door->iscsi, first);

	for (unsigned i = 1; i < door->loop_count; i++) {
		unsigned at = (first + i) % door->loop_count;
		unsigned load = iscsi_server_load(door->iscsi, at);

		if (load < least) {
			least = load;
			best = at;
		}
	}
	return best;
}

static void accepted(struct loop_listener *l, int fd)
{
	struct door *door = container_of(l, struct door_listener, l)->door;
	struct visitor *v;
	unsigned to;
	int place;

	if (fd < 0) {
		if (log_limit_ok(&door->limit))
			log_warn("connection not accepted", "error=\"%s\"", strerror(-fd));
		return;
	}
	to = least_loaded(door);
	v = malloc(sizeof *v);
	place = v ? iscsi_server_expect(door->iscsi, to, fd) : -1;
	if (place < 0) {
		free(v);
		close(fd);
		return;
	}
	*v = (struct visitor){ .door = door, .to = to, .fd = fd, .place = place };
	v->post.run = visitor_arrives;
	loop_post(door->loops[v->to], &v->post);
}

static void closed(struct loop_listener *l)
{
	struct door_listener *d = container_of(l, struct door_listener, l);
	struct door_closing *closing = d->closing;
	struct door *door = d->door;

	list_del(&d->node);
	free(d);
	if (closing)
		closing->closed(closing);
	if (list_empty(&door->listeners) && door->shut)
		door->shut(door);
}

void door_init(struct door *door, struct iscsi_server *iscsi, struct loop *const *loops, unsigned n)
{
	*door = (struct door){ .iscsi = iscsi, .loops = loops, .loop_count = n };
	list_init(&door->listeners);
}

void door_open(struct door *door, int fd)
{
	struct door_listener *d = own_calloc(1, sizeof *d);

	d->door = door;
	d->l.fd = fd;
	d->l.accepted = accepted;
	d->l.closed = closed;
	list_push(&door->listeners, &d->node);
	loop_listener_start(door->loops[0], &d->l);
}

void door_close(struct door *door, struct door_closing *closing, int fd)
{
	list_for_each (it, &door->listeners) {
		struct door_listener *d = container_of(it, struct door_listener, node);

		if (d->l.fd != fd)
			continue;
		d->closing = closing;
		loop_listener_stop(door->loops[0], &d->l);
		return;
	}
	own_assert(!"a socket that the door has");
}

void door_shut(struct door *door, void (*shut)(struct door *door))
{
	own_assert(!list_empty(&door->listeners));
	door->shut = shut;
	list_for_each (it, &door->listeners)
		loop_listener_stop(
			door->loops[0], &container_of(it, struct door_listener, node)->l);
}

void door_fini(struct door *door)
{
	struct list *node;

	while (door->loops && (node = list_pop(&door->listeners)))
		free(container_of(node, struct door_listener, node));
	*door = (struct door){ 0 };
}
