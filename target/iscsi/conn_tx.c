// SPDX-License-Identifier: Apache-2.0
/*
 * conn_tx.c: what is due on a connection becomes one gathered send: first the short answers, then
 * R2Ts, then finished commands with their data.
 *
 * Numbers (StatSN, ExpCmdSN, MaxCmdSN) are filled in when the header is made, so the window told is
 * the present one. Headers lie one behind another in the batch, so a row of write responses is one
 * piece; data goes out from where the command left it.
 */
#include "target/iscsi/session.h"

#include "common/crc32c.h"
#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_IOV   512u
#define BATCH_BYTES (32u << 10) /* headers, sense, short data */
#define BATCH_TASKS 256u
#define BATCH_SEND  (2u << 20) /* bytes of one send, so that a ping is not behind too much */
#define BATCH_SHORT 512u       /* data up to this is copied behind its header */

/* The most that one PDU takes of a batch: header, digests, padding, and short data or a sense. */
#define BATCH_PDU_IOV   4u
#define BATCH_PDU_BYTES (PDU_BHS_LEN + 8 + BATCH_SHORT + 8)

struct conn_batch {
	struct list node; /* in home->free_batches */
	struct list ctl;  /* answers whose data is being sent */
	unsigned niov, ntasks;
	uint32_t used;  /* of bytes[] */
	uint32_t total; /* bytes of the send */
	struct iovec iov[BATCH_IOV];
	struct session_task *tasks[BATCH_TASKS]; /* answered in full with this send */
	uint8_t bytes[BATCH_BYTES];
};

static struct conn_batch *batch_get(struct iscsi_loop *home)
{
	struct list *node = list_pop(&home->free_batches);
	struct conn_batch *b =
		node ? container_of(node, struct conn_batch, node) : malloc(sizeof *b);

	if (!b)
		return NULL;
	list_init(&b->node);
	list_init(&b->ctl);
	b->niov = b->ntasks = 0;
	b->used = b->total = 0;
	return b;
}

static bool batch_full(const struct conn_batch *b)
{
	return b->niov + BATCH_PDU_IOV > BATCH_IOV || b->used + BATCH_PDU_BYTES > BATCH_BYTES ||
	       b->ntasks == BATCH_TASKS || b->total >= BATCH_SEND;
}

/* Appends bytes that stay where they are until the send is over. */
static void batch_refer(struct conn_batch *b, const void *p, uint32_t len)
{
	/* sendmsg does not write through it */
	b->iov[b->niov++] = (struct iovec){ (void *)(uintptr_t)p, len };
	b->total += len;
}

/* Room for `len` bytes in the batch itself, joined to the piece before where it touches. */
static uint8_t *batch_room(struct conn_batch *b, uint32_t len)
{
	uint8_t *p = b->bytes + b->used;
	struct iovec *last = b->niov ? &b->iov[b->niov - 1] : NULL;

	b->used += len;
	b->total += len;
	if (last && (uint8_t *)last->iov_base + last->iov_len == p)
		last->iov_len += len;
	else
		b->iov[b->niov++] = (struct iovec){ p, len };
	return p;
}

/* Numbers that every PDU of a target carries at the same place (RFC 7143 11.4.8 to 11.4.10). */
static void tx_number(struct conn *c, union pdu *pdu, bool takes_stat_sn, bool shows_stat_sn)
{
	struct session *s = c->session;

	if (shows_stat_sn)
		be32_set(&pdu->scsi_rsp.stat_sn, c->stat_sn);
	c->stat_sn += takes_stat_sn;
	if (s) {
		be32_set(&pdu->scsi_rsp.exp_cmd_sn, s->exp_cmd_sn);
		be32_set(&pdu->scsi_rsp.max_cmd_sn, window_tell(s));
	}
}

/* Puts a header into the batch, with its digest where one was agreed on. */
static void tx_header(struct conn *c, struct conn_batch *b, const union pdu *pdu)
{
	bool digest = c->params.header_digest && pdu->bhs.opcode != PDU_LOGIN_RSP;
	uint8_t *p = batch_room(b, PDU_BHS_LEN + (digest ? 4 : 0));

	memcpy(p, pdu, PDU_BHS_LEN);
	if (digest)
		crc32c_store(p + PDU_BHS_LEN, crc32c(p, PDU_BHS_LEN));
}

/* Puts a data segment behind its header: short data copied, long data referred to; then padding
 * and digest (RFC 7143 11.2.3, 11.2.4). */
static void tx_data(
	struct conn *c, struct conn_batch *b, const uint8_t *data, uint32_t len, bool digest)
{
	uint32_t pad = pdu_pad(len);
	uint32_t crc = CRC32C_INIT;
	uint8_t *p;

	if (!len)
		return;
	if (len <= BATCH_SHORT)
		memcpy(batch_room(b, len), data, len);
	else
		batch_refer(b, data, len);
	digest = digest && c->params.data_digest;
	if (!pad && !digest)
		return;
	p = batch_room(b, pad + (digest ? 4 : 0));
	memset(p, 0, pad);
	if (digest) {
		crc = crc32c_add(crc32c_add(crc, data, len), p, pad);
		crc32c_store(p + pad, crc32c_end(crc));
	}
}

/* ---- short answers ---- */

struct conn_ctl *conn_send(
	struct conn *c, const union pdu *pdu, const void *data, uint32_t len, bool takes_stat_sn)
{
	struct conn_ctl *ctl;

	if (c->state == CONN_FREE)
		return NULL;
	ctl = malloc(sizeof *ctl + len);
	if (!ctl) {
		conn_close(c, "out of memory");
		return NULL;
	}
	ctl->pdu = *pdu;
	ctl->takes_stat_sn = takes_stat_sn;
	ctl->data_len = len;
	if (len)
		memcpy(ctl->data, data, len);
	list_push(&c->tx.ctl, &ctl->node);
	c->tx.ctl_bytes += (uint32_t)sizeof *ctl + len;
	conn_tx_arm(c);
	return ctl;
}

void conn_send_last(struct conn *c, const union pdu *pdu, const void *data, uint32_t len)
{
	if (conn_send(c, pdu, data, len, true))
		c->tx.last = true;
}

void conn_reject(struct conn *c, const void *bhs, enum pdu_reject_reason reason)
{
	union pdu pdu = { .reject = { .opcode = PDU_REJECT, .flags = PDU_FINAL } };

	stat_add(STAT_iscsi_rejects, 1);
	trace_add(TRACE_rejected, c->id, (uint64_t)reason);
	pdu.reject.reason = (uint8_t)reason;
	be32_set(&pdu.reject.tag, PDU_TAG_RESERVED);
	if (log_limit_ok(&c->log))
		log_info("conn: PDU rejected", "conn=%lu initiator=%s opcode=0x%02x reason=0x%02x",
			(unsigned long)c->id, c->initiator, *(const uint8_t *)bhs & PDU_OPCODE_MASK,
			reason);
	conn_send(c, &pdu, bhs, PDU_BHS_LEN, true);
}

static void tx_ctl(struct conn *c, struct conn_batch *b, struct conn_ctl *ctl)
{
	bool login = ctl->pdu.bhs.opcode == PDU_LOGIN_RSP;

	be24_set(&ctl->pdu.bhs.data_len, ctl->data_len);
	/* RFC 7143 11.8.3, 11.19: R2T and pings show the next StatSN and do not take it */
	tx_number(c, &ctl->pdu, ctl->takes_stat_sn, true);
	tx_header(c, b, &ctl->pdu);
	tx_data(c, b, ctl->data, ctl->data_len, !login);
	c->tx.ctl_bytes -= (uint32_t)sizeof *ctl + ctl->data_len;
	if (ctl->data_len > BATCH_SHORT)
		list_push(&b->ctl, &ctl->node);
	else
		free(ctl);
}

/* ---- commands ---- */

/* Residual count and its flag (RFC 7143 11.4.5.1): what was wanted against what was expected. */
static uint8_t tx_residual(const struct session_task *t, struct be32 *count)
{
	uint64_t want = t->flags & PDU_CMD_READ ? t->scsi.want_in : t->scsi.want_out;

	if (!(t->flags & (PDU_CMD_READ | PDU_CMD_WRITE)))
		want = t->scsi.want_in + t->scsi.want_out;
	if (want == t->edtl)
		return 0;
	if (want > t->edtl) {
		uint64_t over = want - t->edtl;

		be32_set(count, over > UINT32_MAX ? UINT32_MAX : (uint32_t)over);
		return PDU_RSP_OVERFLOW;
	}
	be32_set(count, t->edtl - (uint32_t)want);
	return PDU_RSP_UNDERFLOW;
}

/* One Data-In PDU. True: the status was on it (RFC 7143 11.7.3: only GOOD may ride so). */
static bool tx_data_in(struct conn *c, struct conn_batch *b, struct session_task *t)
{
	union pdu pdu = { .data_in = { .opcode = PDU_DATA_IN } };
	uint32_t max_burst = c->params.max_burst;
	uint32_t burst_left = max_burst - t->tx_off % max_burst;
	uint32_t len = t->scsi.in_len - t->tx_off;
	bool status = false;

	if (len > burst_left)
		len = burst_left;
	if (len > c->params.max_xmit)
		len = c->params.max_xmit;
	be24_set(&pdu.bhs.data_len, len);
	be32_set(&pdu.bhs.itt, t->itt);
	be32_set(&pdu.data_in.ttt, PDU_TAG_RESERVED);
	be32_set(&pdu.data_in.data_sn, t->tx_sn++);
	be32_set(&pdu.data_in.offset, t->tx_off);
	if (len == burst_left || t->tx_off + len == t->scsi.in_len)
		pdu.data_in.flags = PDU_FINAL;
	if (t->tx_off + len == t->scsi.in_len && t->scsi.status == SCSI_GOOD &&
		!t->scsi.sense_len) {
		status = true;
		pdu.data_in.status = t->scsi.status;
		pdu.data_in.flags |= PDU_DATA_IN_STATUS | tx_residual(t, &pdu.data_in.residual);
		command_answered(t);
	}
	tx_number(c, &pdu, status, status);
	tx_header(c, b, &pdu);
	tx_data(c, b, t->scsi.in_data + t->tx_off, len, true);
	t->tx_off += len;
	return status;
}

/* SCSI Response, RFC 7143 11.4; sense data behind its length (11.4.7.2). */
static void tx_response(struct conn *c, struct conn_batch *b, struct session_task *t)
{
	union pdu pdu = { .scsi_rsp = { .opcode = PDU_SCSI_RSP, .flags = PDU_FINAL } };
	uint8_t sense[2 + SCSI_SENSE_MAX];
	uint32_t len = t->scsi.sense_len ? 2u + t->scsi.sense_len : 0;

	pdu.scsi_rsp.response = PDU_RSP_COMPLETED;
	pdu.scsi_rsp.status = t->scsi.status;
	pdu.scsi_rsp.flags |= tx_residual(t, &pdu.scsi_rsp.residual);
	be24_set(&pdu.bhs.data_len, len);
	be32_set(&pdu.bhs.itt, t->itt);
	be32_set(&pdu.scsi_rsp.exp_data_sn, t->tx_sn); /* RFC 7143 11.4.8: Data-In only */
	command_answered(t);
	tx_number(c, &pdu, true, true);
	tx_header(c, b, &pdu);
	be16_store(sense, t->scsi.sense_len);
	memcpy(sense + 2, t->scsi.sense, t->scsi.sense_len);
	tx_data(c, b, sense, len, true);
}

/* Data and status of a finished command. False: the batch is full before its end. */
static bool tx_answer(struct conn *c, struct conn_batch *b, struct session_task *t)
{
	while (t->tx_off < t->scsi.in_len) {
		if (batch_full(b))
			return false;
		if (tx_data_in(c, b, t))
			return true;
	}
	if (batch_full(b))
		return false;
	tx_response(c, b, t);
	return true;
}

/* ---- the send ---- */

static void tx_fill_ctl(struct conn *c, struct conn_batch *b)
{
	while (!list_empty(&c->tx.ctl) && !batch_full(b))
		tx_ctl(c, b, container_of(list_pop(&c->tx.ctl), struct conn_ctl, node));
}

static void tx_fill_r2t(struct conn *c, struct conn_batch *b)
{
	while (!list_empty(&c->tx.r2t) && !batch_full(b)) {
		struct session_task *t = container_of(c->tx.r2t.next, struct session_task, tx_node);
		union pdu pdu = { 0 };

		if (!dataout_next_r2t(t, &pdu.r2t)) {
			list_del(&t->tx_node);
			continue;
		}
		tx_number(c, &pdu, false, true);
		tx_header(c, b, &pdu);
	}
}

static void tx_fill_ready(struct conn *c, struct conn_batch *b)
{
	while (!list_empty(&c->tx.ready) && !batch_full(b)) {
		struct session_task *t =
			container_of(c->tx.ready.next, struct session_task, tx_node);

		if (!tx_answer(c, b, t))
			return;
		list_del(&t->tx_node);
		b->tasks[b->ntasks++] = t;
	}
}

static bool tx_idle(const struct conn *c)
{
	return list_empty(&c->tx.ctl) && list_empty(&c->tx.r2t) && list_empty(&c->tx.ready);
}

static void conn_tx_run(struct loop_hook *hook)
{
	struct conn *c = container_of(hook, struct conn, tx.hook);
	struct conn_batch *b;

	if (c->tx.batch || c->state == CONN_FREE || tx_idle(c))
		return;
	b = batch_get(c->home);
	if (!b) {
		conn_close(c, "out of memory");
		return;
	}
	tx_fill_ctl(c, b);
	tx_fill_r2t(c, b);
	tx_fill_ready(c, b);
	if (!b->niov) { /* only R2Ts that are not due any more */
		list_push_front(&c->home->free_batches, &b->node);
		return;
	}
	c->tx.batch = b;
	c->tx.since_ns = loop_now_ns(c->loop);
	conn_watch_arm(c);
	loop_stream_send(&c->stream, b->iov, b->niov);
}

static void batch_put(struct iscsi_loop *home, struct conn_batch *b)
{
	struct list *node;

	while ((node = list_pop(&b->ctl)))
		free(container_of(node, struct conn_ctl, node));
	for (unsigned i = 0; i < b->ntasks; i++)
		command_free(b->tasks[i]);
	list_push_front(&home->free_batches, &b->node);
}

/* The last byte that was to leave by this loop has left. */
static void tx_over(struct conn *c)
{
	if (c->tx.last)
		conn_close(c, NULL);
	else
		join_leave(c);
}

void conn_tx_sent(struct loop_stream *stream, int res)
{
	struct conn *c = container_of(stream, struct conn, stream);

	conn_hold(c);
	batch_put(c->home, own_take(c->tx.batch));
	if (res && c->state != CONN_FREE)
		conn_close(c, strerror(-res));
	else if ((c->tx.last || c->tx.leaves) && tx_idle(c))
		tx_over(c);
	if (c->state != CONN_FREE) {
		if (c->tx.ctl_bytes <= CONN_CTL_BYTES)
			loop_stream_resume(stream);
		if (!tx_idle(c))
			conn_tx_arm(c);
	}
	conn_put(c);
}

void conn_tx_arm(struct conn *c)
{
	if (!c->tx.batch && c->state != CONN_FREE)
		loop_turn_end(c->loop, &c->tx.hook);
}

void conn_tx_init(struct conn *c)
{
	list_init(&c->tx.ctl);
	list_init(&c->tx.r2t);
	list_init(&c->tx.ready);
	loop_hook_init(&c->tx.hook, conn_tx_run);
}

void conn_tx_forget(struct session_task *t)
{
	struct conn_batch *b = t->conn->tx.batch;

	list_del(&t->tx_node);
	command_answered(t);
	if (!b || !t->tx_off) {
		command_free(t);
		return;
	}
	/* the send may refer to its data; one that is answered in part leaves room behind it */
	own_assert(b->ntasks < BATCH_TASKS);
	b->tasks[b->ntasks++] = t;
}

void conn_tx_drop(struct conn *c)
{
	struct list *node;

	loop_hook_cancel(&c->tx.hook);
	while ((node = list_pop(&c->tx.ctl)))
		free(container_of(node, struct conn_ctl, node));
	c->tx.ctl_bytes = 0;
	while (list_pop(&c->tx.r2t))
		; /* still the SCSI room's */
	while (!list_empty(&c->tx.ready))
		conn_tx_forget(container_of(c->tx.ready.next, struct session_task, tx_node));
}

void conn_tx_fini(struct iscsi_loop *home)
{
	struct list *node;

	while ((node = list_pop(&home->free_batches)))
		free(container_of(node, struct conn_batch, node));
}
