// SPDX-License-Identifier: Apache-2.0
/*
 * registry.c: every session by the names that make it unique: initiator name, ISID, target. The
 * list lives on the home loop (loop 0); other loops send posts and get posts back, so nothing is
 * locked and two logins of one initiator port are taken one after another.
 *
 * A second login with the same names ends the first session and waits until its tasks are gone, or
 * kept by volumes where they can harm nobody (target/scsi/ghost.h): session reinstatement, RFC 7143
 * 6.3.5.
 */
#include "target/iscsi/session.h"

#include <errno.h>
#include <string.h>

static struct session *registry_session(struct list *node)
{
	return container_of(node, struct session, record.node);
}

static struct loop *registry_home(const struct session *s)
{
	return s->home->srv->loops[0].loop;
}

/* ---- on the session's loop ---- */

static void registry_answer_join(struct loop_post *post)
{
	struct session *s = container_of(post, struct session, post);

	session_joined(s, s->join_conn);
}

static void registry_answer_leave(struct loop_post *post)
{
	session_left(container_of(post, struct session, post));
}

static void registry_kill(struct loop_post *post)
{
	struct session *s = container_of(post, struct session, record.kill);

	session_close(s, "session reinstatement");
}

/* ---- on the home loop ---- */

static bool registry_same(const struct session *a, const struct session *b)
{
	/* RFC 7143 4.4.3: the target port is the target and the portal group */
	return a->target && b->target && a->tpgt == b->tpgt &&
	       !strcmp(a->target->name, b->target->name) &&
	       !memcmp(a->isid, b->isid, sizeof a->isid) && !strcmp(a->initiator, b->initiator);
}

static struct session *registry_find(struct iscsi_server *srv, const struct session *s)
{
	list_for_each (node, &srv->sessions)
		if (registry_same(registry_session(node), s))
			return registry_session(node);
	return NULL;
}

static bool registry_tsih_used(struct iscsi_server *srv, uint16_t tsih)
{
	list_for_each (node, &srv->sessions)
		if (registry_session(node)->tsih == tsih)
			return true;
	return false;
}

static void registry_enter(struct iscsi_server *srv, struct session *s)
{
	/* RFC 7143 11.12.6: not zero, and nobody else's */
	do
		srv->last_tsih++;
	while (!srv->last_tsih || registry_tsih_used(srv, srv->last_tsih));
	s->tsih = srv->last_tsih;
	list_push(&srv->sessions, &s->record.node);
	s->post.run = registry_answer_join;
	loop_post(s->loop, &s->post);
}

static void registry_run_join(struct loop_post *post)
{
	struct session *s = container_of(post, struct session, post);
	struct iscsi_server *srv = s->home->srv;
	struct session *old = registry_find(srv, s);

	s->record.waits = old;
	if (!old) {
		registry_enter(srv, s);
		return;
	}
	list_push(&old->record.waiting, &s->record.node);
	if (old->record.killed)
		return;
	old->record.killed = true;
	old->record.kill.run = registry_kill;
	loop_post(old->loop, &old->record.kill);
}

/* Its names are free. */
static void registry_release(struct session *s)
{
	struct list *node;

	list_del(&s->record.node);
	/* the first enters, which makes the others wait for it in turn */
	while ((node = list_pop(&s->record.waiting)))
		registry_run_join(&registry_session(node)->post);
}

static void registry_run_leave(struct loop_post *post)
{
	struct session *s = container_of(post, struct session, post);

	registry_release(s);
	/* posts of one loop to another keep their order: a kill arrives before this */
	s->post.run = registry_answer_leave;
	loop_post(s->loop, &s->post);
}

/* The connection that would join has gone: one that waits for a session which does not end would
 * be there as long, with its connection, and others that come after it. */
static void registry_run_give_up(struct loop_post *post)
{
	struct session *s = container_of(post, struct session, record.part);

	if (!s->record.waits) /* it has joined meanwhile */
		return;
	s->record.waits = false;
	list_del(&s->record.node);
	s->post.run = registry_answer_join;
	loop_post(s->loop, &s->post);
}

/* Posts of one loop to another keep their order: before the session leaves. */
static void registry_run_part(struct loop_post *post)
{
	struct session *s = container_of(post, struct session, record.part);

	registry_release(s);
}

/* The same target by name, or discovery in both. */
static bool registry_serves(const struct session *s, const char *target)
{
	return s->target && target ? !strcmp(s->target->name, target) : !s->target && !target;
}

void registry_seek(struct iscsi_server *srv, struct conn_join *join)
{
	join->err = -ESRCH;
	list_for_each (node, &srv->sessions) {
		struct session *s = registry_session(node);

		/* RFC 7143 6.3.1: the ISID, the names and the TSIH of the session */
		if (s->tsih != join->tsih || memcmp(s->isid, join->isid, sizeof s->isid) ||
			strcmp(s->initiator, join->conn->initiator) ||
			!registry_serves(s, join->target))
			continue;
		if (s->record.killed) /* another session takes its place */
			return;
		/* posts of one loop to another keep their order: while it is in the list, what is
		 * posted to its loop arrives before it is freed there */
		join->session = s;
		join->err = s->tpgt == join->tpgt ? 0 : -EXDEV;
		return;
	}
}

/* ---- from the session's loop ---- */

void registry_join(struct session *s)
{
	list_init(&s->record.node);
	list_init(&s->record.waiting);
	s->record.joined = true;
	s->post.run = registry_run_join;
	loop_post(registry_home(s), &s->post);
}

void registry_part(struct session *s)
{
	if (s->record.parted)
		return;
	s->record.parted = true;
	s->record.part.run = registry_run_part;
	loop_post(registry_home(s), &s->record.part);
}

void registry_give_up(struct session *s)
{
	s->record.part.run = registry_run_give_up;
	loop_post(registry_home(s), &s->record.part);
}

void registry_leave(struct session *s)
{
	s->post.run = s->record.joined ? registry_run_leave : registry_answer_leave;
	loop_post(s->record.joined ? registry_home(s) : s->loop, &s->post);
}
