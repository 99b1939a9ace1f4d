/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting and handing out. What can fail: accept itself, told at a bounded rate. */
#include "target/door.h"

#include "common/own.h"

#include <string.h>

struct door_listener {
	struct loop_listener l;
	struct door *door;
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
	struct door *door = container_of(l, struct door_listener, l)->door;

	if (!--door->open)
		door->shut(door);
}

void door_init(struct door *door, struct iscsi_server *iscsi, struct loop *const *loops, unsigned n,
	const struct listen_set *set)
{
	*door = (struct door){ .iscsi = iscsi, .loops = loops, .loop_count = n };
	door->listeners = own_calloc(set->count + 1, sizeof *door->listeners);
	door->listener_count = set->count;
	for (unsigned i = 0; i < set->count; i++) {
		struct door_listener *d = &door->listeners[i];

		d->door = door;
		d->l.fd = set->sockets[i].fd;
		d->l.accepted = accepted;
		d->l.closed = closed;
	}
}

void door_start(struct door *door)
{
	for (unsigned i = 0; i < door->listener_count; i++)
		loop_listener_start(door->loops[0], &door->listeners[i].l);
	door->open = door->listener_count;
}

void door_shut(struct door *door, void (*shut)(struct door *door))
{
	own_assert(door->open);
	door->shut = shut;
	for (unsigned i = 0; i < door->listener_count; i++)
		loop_listener_stop(door->loops[0], &door->listeners[i].l);
}

void door_fini(struct door *door)
{
	free(door->listeners);
	*door = (struct door){ 0 };
}
