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
};

/* Who is handed out and not adopted yet; `seq` is odd while one of them is being adopted, and
 * counts in two places. */
struct door_way {
	unsigned count; /* atomic */
	unsigned seq;   /* atomic */
};

static void visitor_arrives(struct loop_post *post)
{
	struct visitor *v = container_of(post, struct visitor, post);
	struct door *door = v->door;
	struct door_way *way = &door->ways[v->to];

	__atomic_add_fetch(&way->seq, 1, __ATOMIC_SEQ_CST);
	iscsi_server_adopt(door->iscsi, door->loops[v->to], v->fd);
	__atomic_sub_fetch(&way->count, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&way->seq, 1, __ATOMIC_SEQ_CST);
	free(v);
}

#define LOAD_TRIES 200 /* then a load that is one too high does no harm */

/* Connections of a loop, those on the way included. */
static unsigned load_of(const struct door *door, unsigned loop)
{
	struct door_way *way = &door->ways[loop];
	unsigned load = 0;

	for (unsigned i = 0; i < LOAD_TRIES; i++) {
		unsigned seq = __atomic_load_n(&way->seq, __ATOMIC_SEQ_CST);

		load = iscsi_server_load(door->iscsi, loop) +
		       __atomic_load_n(&way->count, __ATOMIC_SEQ_CST);
		if (!(seq & 1) && seq == __atomic_load_n(&way->seq, __ATOMIC_SEQ_CST))
			break;
	}
	return load;
}

/* The least loaded loop; the search begins at another one each time, so that equals take turns. */
static unsigned least_loaded(struct door *door)
{
	unsigned first = door->turn++ % door->loop_count;
	unsigned best = first, least = load_of(door, first);

	for (unsigned i = 1; i < door->loop_count; i++) {
		unsigned at = (first + i) % door->loop_count;
		unsigned load = load_of(door, at);

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

	if (fd < 0) {
		if (log_limit_ok(&door->limit))
			log_warn("connection not accepted", "error=\"%s\"", strerror(-fd));
		return;
	}
	v = malloc(sizeof *v);
	if (!v) {
		close(fd);
		return;
	}
	*v = (struct visitor){ .door = door, .to = least_loaded(door), .fd = fd };
	v->post.run = visitor_arrives;
	__atomic_add_fetch(&door->ways[v->to].count, 1, __ATOMIC_SEQ_CST);
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
	door->ways = own_calloc(n, sizeof *door->ways);
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
	free(door->ways);
	free(door->listeners);
	*door = (struct door){ 0 };
}
