// SPDX-License-Identifier: Apache-2.0
/*
 * dataout.c: the data of a write: immediate, unsolicited, and asked for by R2T.
 *
 * We agree on DataPDUInOrder and DataSequenceInOrder, so data comes in rising offsets and the whole
 * state is how much was received. Bytes stay in the receive buffers, which are held until the
 * volume is done; only when those get scarce, or a write has too many pieces, the rest is copied.
 */
#include "target/iscsi/session.h"

#include "common/own.h"
#include "common/stat.h"

#include <errno.h>
#include <string.h>

/* Errors of scsi_task_data that the SCSI room turns into the sense of RFC 7143 11.4.7.2. */
#define DATAOUT_WRONG_AMOUNT (-EPROTO)    /* 0C/0D */
#define DATAOUT_UNEXPECTED   (-EREMOTEIO) /* 0C/0C */
#define DATAOUT_CRC          (-EBADMSG)   /* 47/05 */

/* A transfer tag is the task's slot and the number of the R2T, so that a late Data-Out of an older
 * use of the slot is known by it (RFC 7143 11.8.5). */
static uint32_t dataout_ttt(const struct session_task *t, uint32_t r2t_sn)
{
	return t->slot << 16 | (r2t_sn & 0xffff);
}

/* Where the present sequence ends: of unsolicited data, or of the R2T that is being answered. */
static uint32_t dataout_sequence_end(const struct session_task *t)
{
	uint32_t max_burst = t->conn->params.max_burst;
	uint32_t at = t->solicited + t->r2t_done * max_burst;

	if (t->unsolicited_open)
		return t->solicited;
	return t->want - at < max_burst ? t->want : at + max_burst;
}

/* ---- to the SCSI room ---- */

static void dataout_tell(struct session_task *t)
{
	t->told = true;
	if (t->copy && t->copied)
		t->iov[t->slices] = (struct iovec){ t->copy->data, t->copied };
	t->scsi.out_iov = t->iov;
	t->scsi.out_iovcnt = t->slices + (t->copied != 0);
	t->scsi.out_len = t->want;
	t->scsi.out_buf = t->slices ? NULL : t->copy;
	scsi_task_data(&t->scsi, t->broken);
}

static void dataout_later(struct loop_hook *hook)
{
	dataout_tell(container_of(hook, struct session_task, later));
}

/* Whether the SCSI room can have the data: all there, or known never to be right. */
static bool dataout_complete(const struct session_task *t)
{
	if (!t->wanted || t->told || t->unsolicited_open)
		return false;
	/* broken: RFC 7143 7.8 wants the answer behind the end of every sequence asked for */
	return t->broken ? t->r2t_done == t->r2t_sn : t->received >= t->want;
}

/* Cuts what arrived beyond `want`: the command takes less than the initiator sent. */
static void dataout_trim(struct session_task *t)
{
	uint32_t left = t->want;
	unsigned i;

	for (i = 0; i < t->slices && left; i++) {
		if (t->iov[i].iov_len > left)
			t->iov[i].iov_len = left;
		left -= (uint32_t)t->iov[i].iov_len;
	}
	while (t->slices > i)
		loop_rxbuf_put(t->rxbuf[--t->slices]);
	if (t->copied > left)
		t->copied = left;
}

/* The next R2T may go out. */
static void dataout_solicit(struct session_task *t)
{
	if (list_empty(&t->tx_node))
		list_push(&t->conn->tx.r2t, &t->tx_node);
	conn_tx_arm(t->conn);
}

void dataout_want(struct scsi_task *scsi, uint32_t len)
{
	struct session_task *t = container_of(scsi, struct session_task, scsi);

	own_assert(!t->wanted && len && len <= t->edtl);
	t->wanted = true;
	t->want = len;
	if (t->received > len)
		dataout_trim(t);
	if (t->unsolicited_open)
		return;
	t->solicited = t->received;
	if (dataout_complete(t)) {
		t->told = true; /* nothing may come between */
		loop_turn_end(t->conn->loop, &t->later);
	} else {
		dataout_solicit(t);
	}
}

bool dataout_next_r2t(struct session_task *t, struct pdu_r2t *pdu)
{
	const struct conn_params *p = &t->conn->params;
	uint32_t at = t->solicited + t->r2t_sn * p->max_burst;
	uint32_t len = t->want - at;

	if (at >= t->want || t->broken || t->told ||
		t->r2t_sn - t->r2t_done >= p->max_outstanding_r2t)
		return false;
	if (len > p->max_burst)
		len = p->max_burst;
	pdu->opcode = PDU_R2T;
	pdu->flags = PDU_FINAL;
	memcpy(pdu->lun, t->scsi.lun_field, sizeof pdu->lun);
	be32_set(&pdu->itt, t->itt);
	be32_set(&pdu->ttt, dataout_ttt(t, t->r2t_sn));
	be32_set(&pdu->r2t_sn, t->r2t_sn);
	be32_set(&pdu->offset, at);
	be32_set(&pdu->desired_len, len);
	if (!dataout_owed(t))
		t->moved_ns = loop_now_ns(t->conn->loop);
	t->r2t_sn++;
	conn_watch_arm(t->conn);
	return true;
}

bool dataout_owed(const struct session_task *t)
{
	return t->unsolicited_open || t->r2t_done != t->r2t_sn;
}

/* ---- Data-Out PDUs ---- */

/* Data goes by the connection of its command (RFC 7143 4.2.2.1, connection allegiance). */
static bool dataout_strays(
	struct conn *c, const struct session_task *t, const struct pdu_data_out *pdu)
{
	if (t->conn == c)
		return false;
	conn_reject(c, pdu, PDU_REJECT_PROTOCOL);
	return true;
}

/* Whether an R2T that is out has this tag; NULL: none. We agree on DataSequenceInOrder, so an
 * answer to a later one leaves a gap that nothing fills (RFC 7143 13.19). */
static struct session_task *dataout_answers(struct session_task *t, uint32_t ttt)
{
	uint32_t most = t->conn->params.max_outstanding_r2t;
	uint32_t sn = t->r2t_done;

	if (t->broken) /* which of the last ones are answered is not known any more */
		sn = t->r2t_sn < most ? 0 : t->r2t_sn - most;
	for (; sn != t->r2t_sn; sn++) {
		if (ttt != dataout_ttt(t, sn))
			continue;
		if (sn != t->r2t_done && !t->broken)
			t->broken = DATAOUT_WRONG_AMOUNT;
		return t;
	}
	return NULL;
}

/* The task that a Data-Out names, or NULL: it is for one that is over, and silently dropped. */
static struct session_task *dataout_task(struct conn *c, const struct pdu_data_out *pdu)
{
	uint32_t itt = be32_get(&pdu->itt);
	uint32_t ttt = be32_get(&pdu->ttt);
	struct session_task *t;

	if (ttt == PDU_TAG_RESERVED) {
		t = session_find(c->session, itt);
		if (t && dataout_strays(c, t, pdu))
			return NULL;
		return t && t->unsolicited_open ? t : NULL;
	}
	if (ttt >> 16 >= c->home->task_count)
		return NULL;
	t = c->home->tasks[ttt >> 16];
	if (!t->hashed || t->session != c->session || t->itt != itt)
		return NULL;
	if (dataout_strays(c, t, pdu) || !t->wanted || t->told)
		return NULL;
	return t->unsolicited_open ? NULL : dataout_answers(t, ttt);
}

struct session_task *dataout_begin(struct conn *c, const struct pdu_data_out *pdu)
{
	struct session_task *t = dataout_task(c, pdu);
	uint32_t len = be24_get(&pdu->data_len);

	if (!t)
		return NULL;
	if (t->broken)
		return t;
	/* RFC 7143 11.7.5, 11.7.6: without a recovery level a gap cannot be mended */
	if (be32_get(&pdu->data_sn) != t->data_sn || be32_get(&pdu->offset) != t->received ||
		len > dataout_sequence_end(t) - t->received)
		t->broken = DATAOUT_WRONG_AMOUNT;
	t->data_sn++;
	return t;
}

/* Memory for all that may still come, when it cannot stay in receive buffers. */
static bool dataout_copy_room(struct session_task *t, uint32_t len)
{
	uint32_t end = t->wanted ? t->want : t->solicited;
	uint32_t rest = end > t->received ? end - t->received : len;
	struct loop_buf *buf;

	if (t->copy && t->copied + len <= t->copy->size)
		return true;
	if (rest < len)
		rest = len;
	if (rest > LOOP_BUF_MAX - t->copied)
		return false;
	buf = loop_buf_get(t->conn->loop, t->copied + rest);
	if (!buf)
		return false;
	if (t->copy) {
		memcpy(buf->data, t->copy->data, t->copied);
		loop_buf_put(t->conn->loop, t->copy);
	}
	t->copy = buf;
	return true;
}

void dataout_bytes(
	struct session_task *t, struct loop_rxbuf *buf, const uint8_t *data, uint32_t len)
{
	uint32_t keep = len;

	if (t->wanted)
		keep = t->received >= t->want ? 0 : t->want - t->received;
	if (keep > len)
		keep = len;
	t->moved_ns = t->conn->last_rx_ns;
	if (!len || t->broken || t->told)
		return;
	if (keep && buf && !t->copied && t->slices < SESSION_SLICES &&
		!loop_rxbuf_scarce(t->conn->loop)) {
		loop_rxbuf_get(buf);
		t->rxbuf[t->slices] = buf;
		t->iov[t->slices++] = (struct iovec){ (void *)(uintptr_t)data, keep };
	} else if (keep && dataout_copy_room(t, keep)) {
		memcpy(t->copy->data + t->copied, data, keep);
		t->copied += keep;
	} else if (keep) {
		t->broken = -ENOMEM;
	}
	t->received += len;
}

void dataout_end(struct session_task *t, bool final, bool digest_ok)
{
	bool filled = t->received == dataout_sequence_end(t);

	if (!digest_ok && !t->broken)
		t->broken = DATAOUT_CRC;
	/* RFC 7143 11.7.1: the F bit stands on the last PDU of a sequence. Unsolicited data may end
	 * early, the rest is then asked for; an R2T is answered in full. */
	if (!t->broken && final != filled && !(t->unsolicited_open && final))
		t->broken = DATAOUT_WRONG_AMOUNT;
	if (final || filled) {
		t->data_sn = 0;
		if (t->unsolicited_open) {
			t->unsolicited_open = false;
			t->solicited = t->received;
		} else {
			t->r2t_done++;
		}
	}
	if (dataout_complete(t))
		dataout_tell(t);
	else if (t->wanted && !t->told && !t->unsolicited_open && !t->broken)
		dataout_solicit(t);
}

void dataout_unexpected(struct session_task *t)
{
	t->broken = DATAOUT_UNEXPECTED;
}

void dataout_release(struct session_task *t)
{
	while (t->slices)
		loop_rxbuf_put(t->rxbuf[--t->slices]);
	if (t->copy)
		loop_buf_put(t->conn->loop, own_take(t->copy));
	t->copied = 0;
	loop_hook_cancel(&t->later);
	t->told = true;
}

void dataout_init(struct session_task *t)
{
	loop_hook_init(&t->later, dataout_later);
}
