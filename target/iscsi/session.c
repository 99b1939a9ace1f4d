// SPDX-License-Identifier: Apache-2.0
/*
 * session.c: a session from login to the end of its last task, and its command numbers.
 *
 * The window: what was told by window.c may come; what comes in order is taken at once, the rest
 * waits for its turn.
 *
 * A PDU that comes before its turn is kept, with the connection that it came on, until the gap
 * before it closes. A gap may be for ever: the connection that carried the missing number is gone,
 * and filling it is the initiator's choice (RFC 7143 7.2.1). Without a recovery level there is one
 * way out, to end the session (RFC 7143 7.1.4.4), so what is kept is kept for a bounded time.
 *
 * The end: the last connection goes, the nexus is closed and drains, the registry lets go, memory
 * is freed; each step waits for the one before. Requests that a volume does not give back hold up
 * the last two alone: the names are free again, and the initiator port may log in.
 */
#include "target/iscsi/session.h"

#include "common/own.h"
#include "common/stat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A PDU that came before its turn. */
struct session_held {
	struct list node;
	struct conn *conn; /* borrowed: it takes its PDUs with it */
	union pdu pdu;
	bool skip; /* aborted before it came: only its number counts */
	uint32_t ahs_len, len;
	uint8_t bytes[]; /* AHS, then data */
};

/* Serial number arithmetic of 32 bits (RFC 1982): whether a comes before b. */
static bool sn_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* ---- numbers ---- */

enum session_order session_number(const struct session *s, const union pdu *pdu)
{
	uint32_t cmd_sn = be32_get(&pdu->scsi_cmd.cmd_sn);

	if (pdu->bhs.opcode & PDU_IMMEDIATE)
		return SESSION_NOW;
	/* RFC 7143 4.2.2.1: outside of the window is silently ignored */
	if (sn_before(cmd_sn, s->exp_cmd_sn) || sn_before(s->max_cmd_sn, cmd_sn))
		return SESSION_IGNORE;
	return cmd_sn == s->exp_cmd_sn ? SESSION_NOW : SESSION_LATER;
}

void session_advance(struct session *s, const union pdu *pdu)
{
	if (!(pdu->bhs.opcode & PDU_IMMEDIATE))
		s->exp_cmd_sn++;
}

static uint32_t held_sn(struct list *node)
{
	return be32_get(&container_of(node, struct session_held, node)->pdu.scsi_cmd.cmd_sn);
}

/* An empty place for `cmd_sn`; NULL when it is taken, or there are too many. */
static struct session_held *session_hold(
	struct session *s, struct conn *c, uint32_t cmd_sn, size_t bytes)
{
	struct list *at = s->held.next;
	struct session_held *h;

	while (at != &s->held && sn_before(held_sn(at), cmd_sn))
		at = at->next;
	if (at != &s->held && held_sn(at) == cmd_sn)
		return NULL;
	if (bytes > SESSION_HELD_MAX - s->held_bytes ||
		bytes > SESSION_HELD_ALL - s->home->held_bytes) {
		stat_add(STAT_iscsi_limit_held, 1);
		conn_close(c, "too much came before its turn");
		return NULL;
	}
	h = calloc(1, sizeof *h + bytes);
	if (!h) { /* in the window and lost: the initiator would wait for it without end */
		conn_close(c, "out of memory");
		return NULL;
	}
	h->conn = c;
	be32_set(&h->pdu.scsi_cmd.cmd_sn, cmd_sn);
	list_push(at, &h->node);
	s->held_bytes += (uint32_t)bytes;
	s->home->held_bytes += (uint32_t)bytes;
	return h;
}

/* It is not in the list any more. */
static void held_free(struct session *s, struct session_held *h)
{
	uint32_t bytes = h->ahs_len + h->len;

	s->held_bytes -= bytes;
	s->home->held_bytes -= bytes;
	free(h);
}

/* What is kept waits, or nothing is kept any more. */
static void session_watch_gap(struct session *s)
{
	if (list_empty(&s->held))
		loop_timer_cancel(s->loop, &s->gap);
	else
		loop_timer_set(s->loop, &s->gap, s->home->opts.ping_timeout_seconds * 1000);
}

static void session_gap_lasts(struct loop_timer *timer)
{
	struct session *s = container_of(timer, struct session, gap);

	stat_add(STAT_iscsi_timeouts, 1);
	/* RFC 7143 7.14: a gap in the command sequence is a sign of a connection that failed */
	session_close(s, "a command number did not come, what is behind it waits too long");
}

void session_keep(struct session *s, struct conn *c, const union pdu *pdu, const uint8_t *ahs,
	uint32_t ahs_len, const uint8_t *data, uint32_t len)
{
	struct session_held *h =
		session_hold(s, c, be32_get(&pdu->scsi_cmd.cmd_sn), (size_t)ahs_len + len);

	if (!h)
		return;
	if (!s->gap.due_ns)
		session_watch_gap(s);
	h->pdu = *pdu;
	h->ahs_len = ahs_len;
	h->len = len;
	memcpy(h->bytes, ahs, ahs_len);
	if (len)
		memcpy(h->bytes + ahs_len, data, len);
}

bool session_skip(struct session *s, struct conn *c, uint32_t cmd_sn)
{
	struct session_held *h;

	if (sn_before(cmd_sn, s->exp_cmd_sn) || sn_before(s->max_cmd_sn, cmd_sn))
		return false;
	h = session_hold(s, c, cmd_sn, 0);
	if (!h)
		return false;
	h->skip = true;
	session_replay(s);
	return true;
}

bool session_overtaken(struct session *s, struct session_task *t, const union pdu *pdu)
{
	struct conn *c = t->conn;

	if (session_number(s, pdu) != SESSION_NOW) {
		command_forget(t);
		return true;
	}
	if (s->conn_count == 1 || !session_find(s, t->itt))
		return false;
	command_forget(t);
	session_advance(s, pdu);
	conn_reject(c, pdu, PDU_REJECT_TASK_IN_PROGRESS);
	return true;
}

void session_replay(struct session *s)
{
	bool moved = false;

	while (s->conn_count && !list_empty(&s->held) && held_sn(s->held.next) == s->exp_cmd_sn) {
		struct session_held *h =
			container_of(list_pop(&s->held), struct session_held, node);

		session_advance(s, &h->pdu);
		if (!h->skip)
			conn_rx_deliver(h->conn, &h->pdu, h->bytes, h->ahs_len,
				h->bytes + h->ahs_len, h->len);
		held_free(s, h);
		moved = true;
	}
	if (moved)
		session_watch_gap(s);
}

/* ---- beginning ---- */

struct session *session_new(
	struct conn *c, struct iscsi_target *target, const uint8_t isid[6], uint32_t cmd_sn)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->magic = SESSION_MAGIC;
	s->loop = c->loop;
	s->home = c->home;
	s->conn_count = s->conn_max = 1;
	s->join_conn = c;
	s->target = catalogue_target_get(target);
	s->exp_cmd_sn = cmd_sn;
	s->max_cmd_sn = cmd_sn - 1;
	list_init(&s->narrow);
	s->depth = c->home->opts.queue_depth;
	list_init(&s->held);
	list_init(&s->conns);
	list_push(&s->conns, &c->session_node);
	loop_timer_init(&s->gap, session_gap_lasts);
	memcpy(s->isid, isid, sizeof s->isid);
	memcpy(s->initiator, c->initiator, sizeof s->initiator);
	c->session = s;
	__atomic_add_fetch(&s->home->srv->session_total, 1, __ATOMIC_RELAXED);
	return s;
}

void session_join(struct session *s)
{
	s->joining = true;
	conn_hold(s->join_conn);
	registry_join(s);
}

static void session_parted(struct scsi_nexus *nexus);

/* The initiator port's name: "name,i,0xISID" (RFC 7143 4.2.7, SPC-4 7.6.4.6). */
static void session_open_nexus(struct session *s)
{
	char port[SCSI_INITIATOR_MAX + 8];
	const uint8_t *i = s->isid;

	snprintf(port, sizeof port, "%s,i,0x%02x%02x%02x%02x%02x%02x", s->initiator, i[0], i[1],
		i[2], i[3], i[4], i[5]);
	scsi_nexus_open(&s->nexus, s->home->srv->domain, s->loop, s->port, port, &command_port_ops);
	s->nexus.parted = session_parted;
	s->nexus_open = true;
}

void session_joined(struct session *s, struct conn *c)
{
	s->joining = false;
	s->since_ns = loop_now_ns(s->loop);
	if (s->conn_count) {
		if (s->target)
			session_open_nexus(s);
		login_established(c, 0);
	} else {
		registry_leave(s);
	}
	conn_put(c);
}

/* ---- end ---- */

static void session_maybe_leave(struct session *s)
{
	if (s->conn_count || s->joining)
		return;
	if (!s->nexus_open)
		registry_leave(s);
	else if (s->nexus_parted)
		registry_part(s);
}

void session_left(struct session *s)
{
	struct iscsi_server *srv = s->home->srv;

	s->magic = 0;
	if (s->port)
		scsi_target_put(s->port);
	catalogue_target_put(s->target);
	free(s);
	__atomic_sub_fetch(&srv->session_total, 1, __ATOMIC_RELEASE);
}

/* Its tasks are over for the initiator (RFC 7143 11.14, 6.3.5). */
static void session_tasks_over(struct session *s)
{
	struct conn *c = own_take(s->logout_conn);

	if (c)
		logout_complete(c, &s->logout.logout_req);
	session_maybe_leave(s);
}

static void session_drained(struct scsi_nexus *nexus)
{
	struct session *s = container_of(nexus, struct session, nexus);

	s->nexus_open = false;
	session_tasks_over(s);
}

static void session_parted(struct scsi_nexus *nexus)
{
	struct session *s = container_of(nexus, struct session, nexus);

	s->nexus_parted = true;
	session_tasks_over(s);
}

void session_drop_held(struct session *s, const struct conn *c)
{
	list_for_each_safe (node, &s->held) {
		struct session_held *h = container_of(node, struct session_held, node);

		if (c && (h->conn != c || h->skip))
			continue;
		list_del(node);
		held_free(s, h);
	}
	if (list_empty(&s->held))
		loop_timer_cancel(s->loop, &s->gap);
}

void session_close(struct session *s, const char *why)
{
	while (!list_empty(&s->conns)) {
		struct conn *c = container_of(s->conns.next, struct conn, session_node);

		c->dismissed = true;
		conn_close(c, why);
	}
}

void session_logout(struct session *s, struct conn *c, const struct pdu_logout_req *req)
{
	s->logout.logout_req = *req;
	s->logout_conn = c;
	s->logout_pending = true;
	session_drop_held(s, NULL);
	list_for_each_safe (node, &s->conns) {
		struct conn *other = container_of(node, struct conn, session_node);

		if (other == c)
			continue;
		other->dismissed = true;
		conn_close(other, "session logged out by another connection");
	}
	if (s->nexus_open)
		scsi_nexus_close(&s->nexus, session_drained);
	else
		logout_complete(c, req);
}

/* One of several: its tasks end as if by CHECK CONDITION, unseen (RFC 7143 7.6 a, b), the session
 * lives on. */
static void session_lose_one(struct session *s, struct conn *c, bool tell)
{
	/* What it had for later turns was not acknowledged; the initiator may send it again by
	 * another connection (RFC 7143 7.2.1), so its numbers stay open. */
	session_drop_held(s, c);
	if (s->logout_pending)
		return;
	member_lost(s, c, tell);
}

void session_lose_conn(struct session *s, struct conn *c, bool tell)
{
	bool ending = s->logout_pending && s->nexus_open;

	list_del(&c->session_node);
	s->conn_count--;
	if (s->logout_conn == c)
		s->logout_conn = NULL;
	if (s->conn_count) {
		session_lose_one(s, c, tell);
		return;
	}
	list_del(&s->narrow);
	session_drop_held(s, NULL);
	if (s->joining)
		registry_give_up(s);
	else if (s->nexus_open && !ending)
		scsi_nexus_close(&s->nexus, session_drained);
	else
		session_maybe_leave(s);
}
