// SPDX-License-Identifier: Apache-2.0
/*
 * join.c: a connection that joins a session goes to the loop where the session lives.
 *
 * It goes at the end of its login, before the last response: until that comes the initiator may
 * send nothing (RFC 7143 6.3), so no PDU is cut in two and no answer is under way. The steps, each
 * when the one before is over:
 *
 *   its loop          what the login has to say has left; the stream is given back    join_leave
 *   loop 0            the registry says which session it is                           join_seek
 *   the session's     the stream is opened there, the session takes it or refuses it, join_arrive
 *                     and the last response leaves from there
 *
 * On the way it belongs to nobody else: it is in no list, has no timer, no stream, and no session.
 * What can fail: there is no such session (it comes back to where it was, to be told so); bytes
 * came that may not; the loop that it comes to is draining, or cannot take it.
 */
#include "target/iscsi/session.h"

#include "common/own.h"

#include <errno.h>
#include <stdlib.h>

/* ---- arriving ---- */

/* There is no stream, and nobody to tell. */
static void join_strand(struct conn *c)
{
	c->stream_closed = true;
	conn_close(c, "no room on the loop of its session");
	conn_put(c); /* the stream's */
}

static void join_arrive(struct loop_post *post)
{
	struct conn_join *j = container_of(post, struct conn_join, post);
	struct conn *c = j->conn;
	struct session *s = j->session;
	struct iscsi_loop *home = s ? s->home : j->from;
	int err = j->err;

	free(j);
	server_conn_moved(c->home, home);
	c->home = home;
	c->loop = home->loop;
	c->join = NULL;
	if (conn_open(c, c->stream.fd)) {
		join_strand(c);
		return;
	}
	conn_time_login(c);
	login_arrived(c, s, err);
}

/* ---- on the home loop ---- */

static void join_seek(struct loop_post *post)
{
	struct conn_join *j = container_of(post, struct conn_join, post);

	if (!j->err)
		registry_seek(j->from->srv, j);
	post->run = join_arrive;
	loop_post(j->session ? j->session->loop : j->from->loop, post);
}

/* ---- leaving ---- */

void join_left(struct conn *c)
{
	struct conn_join *j = c->join;

	/* RFC 7143 6.3: a request before the last response */
	if (c->stream.lost || c->rx.state != CONN_RX_HEAD || c->rx.have)
		j->err = -EPROTO;
	j->post.run = join_seek;
	loop_post(c->srv->loops[0].loop, &j->post);
}

void join_leave(struct conn *c)
{
	c->tx.leaves = false;
	loop_timer_cancel(c->loop, &c->timer);
	loop_timer_cancel(c->loop, &c->watch);
	loop_hook_cancel(&c->tx.hook);
	list_del(&c->node);
	loop_stream_release(&c->stream);
}

/* Everything that had come with the last request has been looked at. */
static void join_ready(struct loop_post *post)
{
	struct conn_join *j = container_of(post, struct conn_join, post);
	struct conn *c = j->conn;

	if (c->state == CONN_FREE || c->tx.last) { /* closed or refused meanwhile */
		c->join = NULL;
		free(j);
	} else if (c->tx.batch || !list_empty(&c->tx.ctl)) {
		c->tx.leaves = true; /* conn_tx_sent goes on */
	} else {
		join_leave(c);
	}
	conn_put(c);
}

void join_cancel(struct conn *c)
{
	if (c->tx.leaves) /* else join_ready is on its way and sees to it */
		free(own_take(c->join));
	c->tx.leaves = false;
}

void join_begin(struct conn *c, const struct conn_join *wish)
{
	struct conn_join *j = malloc(sizeof *j);

	if (!j) {
		conn_close(c, "out of memory");
		return;
	}
	*j = *wish;
	j->conn = c;
	j->from = c->home;
	j->session = NULL;
	j->err = 0;
	c->join = j;
	conn_hold(c);
	j->post.run = join_ready;
	loop_post(c->loop, &j->post);
}
