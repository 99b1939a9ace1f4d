// SPDX-License-Identifier: Apache-2.0
/*
 * conn_rx.c: bytes become PDUs.
 *
 * A header is put together in rx.head. The data of a SCSI Command or Data-Out goes to its task
 * where it lies, as it comes. Every other data segment is short and is collected, and the exchange
 * of its opcode gets it in one piece when the PDU is whole.
 */
#include "target/iscsi/login.h"
#include "target/iscsi/session.h"

#include "common/crc32c.h"
#include "common/own.h"
#include "common/stat.h"

#include <stdlib.h>
#include <string.h>

#define RX_COLLECT_FIRST 512u

void conn_rx_init(struct conn *c)
{
	c->rx.state = CONN_RX_HEAD;
	c->rx.need = PDU_BHS_LEN;
}

void conn_rx_quit(struct conn *c)
{
	struct session_task *t = own_take(c->rx.task);

	/* a command whose data segment was still coming never reached the SCSI room */
	if (t && !t->submitted)
		command_forget(t);
	c->rx.sink = CONN_SINK_DROP;
}

void conn_rx_fini(struct conn *c)
{
	conn_rx_quit(c);
	free(own_take(c->rx.collect));
}

static const union pdu *rx_pdu(const struct conn *c)
{
	return (const union pdu *)(const void *)c->rx.head;
}

/* Room for `len` bytes of data and padding in rx.collect. */
static bool rx_collect_room(struct conn *c, uint32_t len)
{
	uint32_t room = len < RX_COLLECT_FIRST ? RX_COLLECT_FIRST : len;
	uint8_t *p;

	if (len <= c->rx.collect_room)
		return true;
	p = realloc(c->rx.collect, room);
	if (!p)
		return false;
	c->rx.collect = p;
	c->rx.collect_room = room;
	return true;
}

/* ---- whole PDUs ---- */

/* What is wrong with any request but a SCSI command, whatever it asks for. 0, or why it is
 * rejected. */
static int rx_refused(const struct conn *c, const union pdu *pdu)
{
	uint8_t opcode = pdu->bhs.opcode & PDU_OPCODE_MASK;

	/* RFC 7143 4.3: a discovery session asks for targets and logs out */
	if (!c->session->target && opcode != PDU_TEXT_REQ && opcode != PDU_LOGOUT_REQ)
		return PDU_REJECT_PROTOCOL;
	/* RFC 7143 11.2.1.8: the reserved tag names no task; only a NOP-Out may have it */
	if (opcode != PDU_NOP_OUT && be32_get(&pdu->bhs.itt) == PDU_TAG_RESERVED)
		return PDU_REJECT_INVALID_FIELD;
	return 0;
}

void conn_rx_deliver(struct conn *c, const union pdu *pdu, const uint8_t *ahs, uint32_t ahs_len,
	const uint8_t *data, uint32_t len)
{
	int refused = rx_refused(c, pdu);
	struct session_task *t;

	if (refused) {
		conn_reject(c, pdu, (enum pdu_reject_reason)refused);
		return;
	}
	switch (pdu->bhs.opcode & PDU_OPCODE_MASK) {
	case PDU_SCSI_CMD:
		t = command_begin(c, &pdu->scsi_cmd, ahs, ahs_len);
		if (!t)
			return;
		dataout_bytes(t, NULL, data, len);
		command_start(t);
		return;
	case PDU_NOP_OUT:
		nop_receive(c, &pdu->nop_out, data, len);
		return;
	case PDU_TMF_REQ:
		tmf_receive(c, &pdu->tmf_req);
		return;
	case PDU_TEXT_REQ:
		text_receive(c, &pdu->text_req, data, len);
		return;
	case PDU_LOGOUT_REQ:
		logout_receive(c, &pdu->logout_req);
		return;
	}
}

/* A PDU with CmdSN whose data segment lies at `data`: now, later, or never. */
static void rx_numbered(struct conn *c, const uint8_t *data, uint32_t len)
{
	const union pdu *pdu = rx_pdu(c);
	const uint8_t *ahs = c->rx.head + PDU_BHS_LEN;
	uint32_t ahs_len = c->rx.head_len - PDU_BHS_LEN;
	struct session *s = c->session;

	switch (session_number(s, pdu)) {
	case SESSION_NOW:
		session_advance(s, pdu);
		conn_rx_deliver(c, pdu, ahs, ahs_len, data, len);
		if (c->session)
			session_replay(s);
		return;
	case SESSION_LATER:
		session_keep(s, c, pdu, ahs, ahs_len, data, len);
		return;
	case SESSION_IGNORE:
		stat_add(STAT_iscsi_out_of_window, 1);
		if (log_limit_ok(&c->log))
			log_info("conn: ignored, outside of the window",
				"conn=%lu initiator=%s opcode=0x%02x", (unsigned long)c->id,
				c->initiator, pdu->bhs.opcode & PDU_OPCODE_MASK);
		return;
	}
}

/* Everything of the PDU has come and its data digest is right; `data` is what was collected. */
static void rx_whole(struct conn *c, const uint8_t *data)
{
	const union pdu *pdu = rx_pdu(c);
	uint32_t len = c->rx.data_len;
	struct session_task *t = own_take(c->rx.task);

	if (t && (pdu->bhs.opcode & PDU_OPCODE_MASK) == PDU_SCSI_CMD) {
		struct session *s = c->session;

		/* without data it has just begun, and nothing came between on one connection */
		if ((len || s->conn_count > 1) && session_overtaken(s, t, pdu)) {
			session_replay(s);
			return;
		}
		session_advance(s, pdu);
		command_start(t);
		if (c->session)
			session_replay(s);
	} else if (t) {
		dataout_end(t, pdu->bhs.flags & PDU_FINAL, true);
	} else if (c->rx.sink == CONN_SINK_COLLECT) {
		if ((pdu->bhs.opcode & PDU_OPCODE_MASK) == PDU_LOGIN_REQ)
			login_receive(c, &pdu->login_req, data, len);
		else
			rx_numbered(c, data, len);
	}
}

/* RFC 7143 7.8: a wrong data digest: the PDU is rejected; a write ends with a CRC error. */
static void rx_bad_data(struct conn *c)
{
	const union pdu *pdu = rx_pdu(c);
	struct session_task *t = own_take(c->rx.task);
	uint8_t opcode = pdu->bhs.opcode & PDU_OPCODE_MASK;

	stat_add(STAT_iscsi_digest_errors, 1);
	if (c->rx.sink == CONN_SINK_DROP && opcode != PDU_DATA_OUT)
		return; /* rejected by its header already, or nothing is taken any more */
	conn_reject(c, pdu, PDU_REJECT_DATA_DIGEST);
	if (t && opcode == PDU_SCSI_CMD)
		command_forget(t);
	else if (t)
		dataout_end(t, pdu->bhs.flags & PDU_FINAL, false);
}

static void rx_next(struct conn *c)
{
	c->rx.state = CONN_RX_HEAD;
	c->rx.have = 0;
	c->rx.need = PDU_BHS_LEN;
}

/* ---- headers ---- */

/* Full feature phase: which room takes the data of this PDU. */
static void rx_route(struct conn *c, const union pdu *pdu)
{
	switch (pdu->bhs.opcode & PDU_OPCODE_MASK) {
	case PDU_SCSI_CMD:
		if (session_number(c->session, pdu) != SESSION_NOW) {
			c->rx.sink = CONN_SINK_COLLECT;
			return;
		}
		c->rx.task = command_begin(
			c, &pdu->scsi_cmd, c->rx.head + PDU_BHS_LEN, c->rx.head_len - PDU_BHS_LEN);
		c->rx.sink = c->rx.task ? CONN_SINK_TASK : CONN_SINK_DROP;
		if (!c->rx.task && c->session) /* answered with a Reject: its number is used up */
			session_advance(c->session, pdu);
		return;
	case PDU_DATA_OUT:
		if (!c->session->target) {
			conn_reject(c, pdu, PDU_REJECT_PROTOCOL); /* RFC 7143 4.3 */
			return;
		}
		c->rx.task = dataout_begin(c, &pdu->data_out);
		c->rx.sink = c->rx.task ? CONN_SINK_TASK : CONN_SINK_DROP;
		return;
	case PDU_NOP_OUT:
	case PDU_TMF_REQ:
	case PDU_TEXT_REQ:
	case PDU_LOGOUT_REQ:
		c->rx.sink = CONN_SINK_COLLECT;
		return;
	case PDU_SNACK: /* RFC 7143 11.16: error recovery level 0 has none */
		conn_reject(c, pdu, PDU_REJECT_SNACK);
		return;
	case PDU_LOGIN_REQ: /* RFC 7143 6.3: not in full feature phase */
		conn_reject(c, pdu, PDU_REJECT_PROTOCOL);
		return;
	default: /* RFC 7143 11.17.1: an opcode that we do not know */
		conn_reject(c, pdu, PDU_REJECT_NOT_SUPPORTED);
		return;
	}
}

/* The header is whole in rx.head. False: the connection is over. */
static bool rx_head_done(struct conn *c)
{
	const union pdu *pdu = rx_pdu(c);
	struct conn_rx *rx = &c->rx;
	bool login = (pdu->bhs.opcode & PDU_OPCODE_MASK) == PDU_LOGIN_REQ;

	rx->head_len = PDU_BHS_LEN + pdu->bhs.ahs_words * 4u;
	rx->data_len = be24_get(&pdu->bhs.data_len);
	rx->task = NULL;
	rx->sink = CONN_SINK_DROP;
	if (c->params.header_digest &&
		crc32c(rx->head, rx->head_len) != crc32c_load(rx->head + rx->head_len)) {
		/* RFC 7143 7.7: nothing in this header can be trusted, its length neither */
		stat_add(STAT_iscsi_digest_errors, 1);
		conn_close(c, "header digest wrong");
		return false;
	}
	if (rx->data_len > (c->state == CONN_LOGGED_IN ? CONN_MAX_RECV : CONN_LOGIN_RECV)) {
		conn_protocol_error(c, "RFC 7143 13.12: data segment above what was declared");
		return false;
	}
	if (c->state == CONN_LOGGED_IN && !c->dropping) {
		c->acked_sn = be32_get(&pdu->nop_out.exp_stat_sn); /* RFC 7143 4.2.2.2 */
		rx_route(c, pdu);
	} else if (c->state == CONN_IN_LOGOUT || c->dropping) {
		rx->sink = CONN_SINK_DROP; /* RFC 7143 11.14: nothing is taken behind a logout */
	} else if (login) {
		rx->sink = CONN_SINK_COLLECT;
	} else {
		login_out_of_place(c, &pdu->bhs); /* RFC 7143 6.3 */
	}
	rx->state = CONN_RX_DATA;
	rx->have = 0;
	rx->crc = CRC32C_INIT;
	if (rx->sink == CONN_SINK_COLLECT && !rx_collect_room(c, rx->data_len)) {
		conn_close(c, "out of memory");
		return false;
	}
	return c->state != CONN_FREE;
}

/* Whether this can be the beginning of what may come now. Before full feature phase only a Login
 * Request may (RFC 7143 6.3), so what is no iSCSI is known by its first byte. */
static bool rx_head_plausible(struct conn *c, uint8_t first)
{
	if (c->state == CONN_LOGGED_IN || c->state == CONN_IN_LOGOUT)
		return true;
	if ((first & PDU_OPCODE_MASK) == PDU_LOGIN_REQ)
		return true;
	if (c->state == CONN_XPT_UP)
		conn_protocol_error(c, "RFC 7143 6.3: no login request");
	return c->state == CONN_IN_LOGIN;
}

/* Takes header bytes; returns how many. */
static uint32_t rx_head(struct conn *c, const uint8_t *data, uint32_t len)
{
	struct conn_rx *rx = &c->rx;
	uint32_t n = rx->need - rx->have;

	if (rx->have == 0 && !rx_head_plausible(c, data[0]))
		return len;
	if (n > len)
		n = len;
	if (rx->have == 0)
		rx->since_ns = c->last_rx_ns;
	memcpy(rx->head + rx->have, data, n);
	rx->have += n;
	if (rx->have == PDU_BHS_LEN && rx->need == PDU_BHS_LEN)
		rx->need += rx_pdu(c)->bhs.ahs_words * 4u + (c->params.header_digest ? 4 : 0);
	return n;
}

/* ---- data and what follows it ---- */

static uint32_t rx_data(struct conn *c, struct loop_rxbuf *buf, const uint8_t *data, uint32_t len)
{
	struct conn_rx *rx = &c->rx;
	uint32_t n = rx->data_len - rx->have;

	if (n > len)
		n = len;
	if (c->params.data_digest)
		rx->crc = crc32c_add(rx->crc, data, n);
	if (rx->sink == CONN_SINK_TASK)
		dataout_bytes(rx->task, buf, data, n);
	else if (rx->sink == CONN_SINK_COLLECT)
		memcpy(rx->collect + rx->have, data, n);
	rx->have += n;
	return n;
}

/* Padding and digest came: the PDU is over. */
static void rx_tail_done(struct conn *c, const uint8_t *data)
{
	struct conn_rx *rx = &c->rx;
	uint32_t pad = pdu_pad(rx->data_len);

	if (c->params.data_digest && rx->data_len) {
		uint32_t crc = crc32c_add(rx->crc, rx->tail, pad);

		if (crc32c_end(crc) != crc32c_load(rx->tail + pad)) {
			rx_bad_data(c);
			rx_next(c);
			return;
		}
	}
	rx_whole(c, data);
	rx_next(c);
}

static uint32_t rx_tail(struct conn *c, const uint8_t *data, uint32_t len)
{
	struct conn_rx *rx = &c->rx;
	uint32_t n = rx->need - rx->have;

	if (n > len)
		n = len;
	memcpy(rx->tail + rx->have, data, n);
	rx->have += n;
	return n;
}

/* Whatever is complete moves the machine on; a part of no bytes is complete at once. */
static void rx_advance(struct conn *c)
{
	struct conn_rx *rx = &c->rx;

	if (c->state == CONN_FREE)
		return;
	if (rx->state == CONN_RX_HEAD && rx->have == rx->need && !rx_head_done(c))
		return;
	if (rx->state == CONN_RX_DATA && rx->have == rx->data_len) {
		rx->state = CONN_RX_TAIL;
		rx->have = 0;
		rx->need = pdu_pad(rx->data_len);
		if (c->params.data_digest && rx->data_len)
			rx->need += 4; /* RFC 7143 11.2.4: no digest without data */
	}
	if (rx->state == CONN_RX_TAIL && rx->have == rx->need)
		rx_tail_done(c, rx->collect);
}

void conn_rx_received(struct loop_stream *stream, struct loop_rxbuf *buf, uint8_t *data, int len)
{
	struct conn *c = container_of(stream, struct conn, stream);
	uint32_t left;

	if (len <= 0) {
		bool idle = c->state == CONN_XPT_UP || c->state == CONN_IN_LOGOUT;

		conn_close(c, idle ? NULL : len ? strerror(-len) : "peer closed");
		return;
	}
	c->last_rx_ns = loop_now_ns(c->loop);
	for (left = (uint32_t)len; left && c->state != CONN_FREE;) {
		uint32_t n;

		switch (c->rx.state) {
		case CONN_RX_HEAD:
			n = rx_head(c, data, left);
			break;
		case CONN_RX_DATA:
			n = rx_data(c, buf, data, left);
			break;
		default:
			n = rx_tail(c, data, left);
			break;
		}
		data += n;
		left -= n;
		rx_advance(c);
	}
	if (c->state == CONN_FREE)
		return;
	if (c->rx.state != CONN_RX_HEAD || c->rx.have)
		conn_watch_arm(c);
	if (c->tx.ctl_bytes > CONN_CTL_BYTES)
		loop_stream_pause(stream);
}
