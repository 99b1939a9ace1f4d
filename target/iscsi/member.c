// SPDX-License-Identifier: Apache-2.0
/*
 * member.c: the connections of a session (RFC 7143 4.2.2, 6.3.1): one more, one in the place of
 * another, and the end of one while the session lives on.
 *
 * A connection that ends takes its tasks with it, because without a recovery level nobody can take
 * them over (RFC 7143 7.6). Whoever has to wait for that, a logout or a connection of the same
 * CID, is called back when the last of them can touch no volume any more.
 */
#include "target/iscsi/session.h"

#include "common/own.h"

#include <errno.h>
#include <stdlib.h>

struct member_end {
	struct scsi_tmf tmf;
	struct conn *gone;   /* held: whose tasks */
	struct conn *teller; /* held: who waits, or NULL */
	bool tell;           /* the others are told that it is lost */
	void (*over)(struct conn *teller, const struct pdu_logout_req *req);
	struct pdu_logout_req req;
};

struct conn *member_find(const struct session *s, uint16_t cid)
{
	list_for_each (node, &s->conns) {
		struct conn *c = container_of(node, struct conn, session_node);

		if (c->cid == cid)
			return c;
	}
	return NULL;
}

struct conn *member_any(const struct session *s)
{
	list_for_each (node, &s->conns) {
		struct conn *c = container_of(node, struct conn, session_node);

		if (c->state == CONN_LOGGED_IN && !c->tx.last)
			return c;
	}
	return NULL;
}

/* ---- the end of one ---- */

/* Its own tasks, and what is left of connections that had its CID before. */
static bool member_chosen(const struct scsi_tmf *tmf, const struct scsi_task *task)
{
	const struct conn *gone = container_of(tmf, struct member_end, tmf)->gone;
	const struct conn *c = container_of(task, struct session_task, scsi)->conn;

	return c == gone || (c->cid == gone->cid && c->state == CONN_FREE);
}

/* RFC 7143 11.9.1: the target has dropped a connection; told by one that is left, which so hears
 * of the window too. */
static void member_tell_lost(struct session *s, uint16_t cid)
{
	union pdu pdu = { .async = { .opcode = PDU_ASYNC, .flags = PDU_FINAL } };
	struct conn *c = member_any(s);

	if (!c)
		return;
	be32_set(&pdu.async.tag, PDU_TAG_RESERVED);
	pdu.async.event = PDU_ASYNC_DROP_CONN;
	be16_set(&pdu.async.param1, cid);
	be16_set(&pdu.async.param2, (uint16_t)s->params.time2wait);
	be16_set(&pdu.async.param3, 0); /* Time2Retain: no task is kept for another connection */
	conn_send(c, &pdu, NULL, 0, true);
}

/* The session is there still: its nexus drains behind this. */
static void member_over(struct scsi_tmf *tmf)
{
	struct member_end *e = container_of(tmf, struct member_end, tmf);
	struct session *s = container_of(tmf->nexus, struct session, nexus);
	struct conn *teller = e->teller;

	if (e->tell)
		member_tell_lost(s, e->gone->cid);
	if (teller && teller->state != CONN_FREE)
		e->over(teller, &e->req);
	conn_put(e->gone);
	if (teller)
		conn_put(teller);
	free(e);
}

/* A request to end the tasks of `gone`. NULL: no memory, and the session ends. */
static struct member_end *member_end_new(struct session *s, struct conn *gone)
{
	struct member_end *e = calloc(1, sizeof *e);

	if (!e) {
		session_close(s, "out of memory");
		return NULL;
	}
	e->gone = gone;
	e->tmf.function = SCSI_TMF_ABORT_CHOSEN;
	e->tmf.nexus = &s->nexus;
	e->tmf.chosen = member_chosen;
	e->tmf.done = member_over;
	conn_hold(gone);
	return e;
}

void member_lost(struct session *s, struct conn *gone, bool tell)
{
	struct member_end *e = s->nexus_open ? member_end_new(s, gone) : NULL;

	if (!e)
		return;
	e->tell = tell;
	scsi_tmf_submit(&e->tmf);
}

void member_end_tasks(struct session *s, struct conn *gone, struct conn *teller,
	void (*over)(struct conn *teller, const struct pdu_logout_req *req),
	const struct pdu_logout_req *req)
{
	struct member_end *e;

	if (!s->nexus_open) { /* a discovery session has no tasks */
		over(teller, req);
		return;
	}
	e = member_end_new(s, gone);
	if (!e)
		return;
	e->teller = teller;
	e->over = over;
	if (req)
		e->req = *req;
	conn_hold(teller);
	scsi_tmf_submit(&e->tmf);
}

/* ---- one more ---- */

static void member_reinstated(struct conn *c, const struct pdu_logout_req *req)
{
	(void)req;
	login_established(c, 0);
}

int member_add(struct session *s, struct conn *c, const struct scsi_target *port)
{
	struct conn *old = member_find(s, c->cid);

	if (!s->conn_count || s->logout_pending)
		return -ESRCH;
	if (s->port != port) /* it would see other units than the session does */
		return -EXDEV;
	if (!old && s->conn_count >= s->conn_max)
		return -EUSERS;
	c->session = s;
	list_push(&s->conns, &c->session_node);
	s->conn_count++;
	if (!old) {
		login_established(c, 0);
		return 0;
	}
	/* RFC 7143 6.3.4: the login logs the old connection out */
	conn_hold(old);
	old->dismissed = true;
	conn_close(old, "connection reinstatement");
	member_end_tasks(s, old, c, member_reinstated, NULL);
	conn_put(old);
	return 0;
}
