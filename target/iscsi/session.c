// SPDX-License-Identifier: Apache-2.0
/*
 * session.c: a session from login to the end of its last task, and its command numbers.
 *
 * The window: what was told by window.c may come; what comes in order is taken at once, the rest
 * waits for its turn.
 *
 * The end: the connection goes, the nexus is closed and drains, the registry lets go, memory is
 * freed; each step waits for the one before.
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
static struct session_held *session_hold(struct session *s, uint32_t cmd_sn, size_t bytes)
{
	struct list *at = s->held.next;
	struct session_held *h;

	while (at != &s->held && sn_before(held_sn(at), cmd_sn))
		at = at->next;
	if (at != &s->held && held_sn(at) == cmd_sn)
		return NULL;
	if (bytes > SESSION_HELD_MAX - s->held_bytes) {
		stat_add(STAT_iscsi_limit_held, 1);
		conn_close(s->conn, "too much came before its turn");
		return NULL;
	}
	h = calloc(1, sizeof *h + bytes);
	if (!h) { /* in the window and lost: the initiator would wait for it without end */
		conn_close(s->conn, "out of memory");
		return NULL;
	}
	be32_set(&h->pdu.scsi_cmd.cmd_sn, cmd_sn);
	list_push(at, &h->node);
	s->held_bytes += (uint32_t)bytes;
	return h;
}

void session_keep(struct session *s, const union pdu *pdu, const uint8_t *ahs, uint32_t ahs_len,
	const uint8_t *data, uint32_t len)
{
	struct session_held *h =
		session_hold(s, be32_get(&pdu->scsi_cmd.cmd_sn), (size_t)ahs_len + len);

	if (!h)
		return;
	h->pdu = *pdu;
	h->ahs_len = ahs_len;
	h->len = len;
	memcpy(h->bytes, ahs, ahs_len);
	if (len)
		memcpy(h->bytes + ahs_len, data, len);
}

bool session_skip(struct session *s, uint32_t cmd_sn)
{
	struct session_held *h;

	if (sn_before(cmd_sn, s->exp_cmd_sn) || sn_before(s->max_cmd_sn, cmd_sn))
		return false;
	h = session_hold(s, cmd_sn, 0);
	if (!h)
		return false;
	h->skip = true;
	session_replay(s);
	return true;
}

void session_replay(struct session *s)
{
	while (s->conn && !list_empty(&s->held) && held_sn(s->held.next) == s->exp_cmd_sn) {
		struct session_held *h =
			container_of(list_pop(&s->held), struct session_held, node);

		s->held_bytes -= h->ahs_len + h->len;
		session_advance(s, &h->pdu);
		if (!h->skip)
			conn_rx_deliver(s->conn, &h->pdu, h->bytes, h->ahs_len,
				h->bytes + h->ahs_len, h->len);
		free(h);
	}
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
	s->conn = c;
	s->target = catalogue_target_get(target);
	s->exp_cmd_sn = cmd_sn;
	s->max_cmd_sn = cmd_sn - 1;
	list_init(&s->narrow);
	s->depth = c->srv->opts.queue_depth;
	list_init(&s->held);
	memcpy(s->isid, isid, sizeof s->isid);
	memcpy(s->initiator, c->initiator, sizeof s->initiator);
	c->session = s;
	__atomic_add_fetch(&s->home->srv->session_total, 1, __ATOMIC_RELAXED);
	return s;
}

void session_join(struct session *s)
{
	s->joining = true;
	conn_hold(s->conn);
	registry_join(s);
}

/* The initiator port's name: "name,i,0xISID" (RFC 7143 4.2.7, SPC-4 7.6.4.6). */
static void session_open_nexus(struct session *s)
{
	char port[SCSI_INITIATOR_MAX + 8];
	const uint8_t *i = s->isid;

	snprintf(port, sizeof port, "%s,i,0x%02x%02x%02x%02x%02x%02x", s->initiator, i[0], i[1],
		i[2], i[3], i[4], i[5]);
	scsi_nexus_open(&s->nexus, s->conn->srv->domain, s->loop, s->port, port, &command_port_ops);
	s->nexus_open = true;
}

void session_joined(struct session *s, struct conn *c)
{
	s->joining = false;
	if (s->conn) {
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
	if (!s->conn && !s->nexus_open && !s->joining)
		registry_leave(s);
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

static void session_drained(struct scsi_nexus *nexus)
{
	struct session *s = container_of(nexus, struct session, nexus);

	s->nexus_open = false;
	if (s->conn && s->logout_pending)
		logout_complete(s->conn, &s->logout.logout_req);
	session_maybe_leave(s);
}

static void session_drop_held(struct session *s)
{
	struct list *node;

	while ((node = list_pop(&s->held)))
		free(container_of(node, struct session_held, node));
	s->held_bytes = 0;
}

void session_logout(struct session *s, const struct pdu_logout_req *req)
{
	s->logout.logout_req = *req;
	s->logout_pending = true;
	session_drop_held(s);
	if (s->nexus_open)
		scsi_nexus_close(&s->nexus, session_drained);
	else
		logout_complete(s->conn, req);
}

void session_lose_conn(struct session *s)
{
	bool ending = s->logout_pending && s->nexus_open;

	s->conn = NULL;
	list_del(&s->narrow);
	session_drop_held(s);
	if (s->nexus_open && !ending)
		scsi_nexus_close(&s->nexus, session_drained);
	else
		session_maybe_leave(s);
}
