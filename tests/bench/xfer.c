/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xfer.c: SCSI tasks and their data. A write starts with as much unsolicited data as the login
 * allows, R2Ts ask for the rest; a read is Data-In in order, with the status in the last one or in
 * a response of its own.
 */
#include "tests/bench/sess.h"

#include "common/be.h"

#include <errno.h>
#include <string.h>

#define FLAG_FINAL    0x80
#define FLAG_READ     0x40
#define FLAG_WRITE    0x20
#define ATTR_SIMPLE   0x01
#define FLAG_OVERFLOW 0x04
#define FLAG_UNDER    0x02

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- out ---- */

/* A sequence of Data-Out PDUs: bytes `off` to `off + len` (RFC 7143 11.7). */
static void burst_send(
	struct sess *s, struct task *t, const uint8_t *ttt, uint32_t off, uint32_t len)
{
	uint32_t end = off + len;

	for (uint32_t sn = 0; off < end; sn++) {
		uint8_t h[SESS_BHS] = { OP_DATA_OUT };
		uint32_t n = min_u32(end - off, s->p.target_max_recv);

		h[1] = off + n == end ? FLAG_FINAL : 0;
		memcpy(h + 8, s->lun, 8);
		be32_store(h + 16, t->itt);
		memcpy(h + 20, ttt, 4);
		be32_store(h + 36, sn);
		be32_store(h + 40, off);
		sess_send(s, h, t->buf + off, n);
		off += n;
	}
	t->moved = end;
}

static struct task *task_take(struct sess *s)
{
	struct task *t = &s->tasks[s->free_slots[--s->nfree]];
	uint32_t slot = (uint32_t)(t - s->tasks);
	uint32_t round = ((t->itt >> 16) + 1) & 0x7fff;

	*t = (struct task){ .itt = round << 16 | slot, .busy = true, .started_ns = s->now_ns };
	return t;
}

struct task *xfer_start(
	struct sess *s, const uint8_t cdb[16], bool write, uint8_t *buf, uint32_t len)
{
	static const uint8_t no_tag[4] = { 0xff, 0xff, 0xff, 0xff };
	uint8_t h[SESS_BHS] = { OP_SCSI_COMMAND };
	uint32_t first = write ? min_u32(len, s->p.first_burst) : 0;
	uint32_t now = s->p.immediate ? min_u32(first, s->p.target_max_recv) : 0;
	bool more = !s->p.initial_r2t && first > now;
	struct task *t = task_take(s);

	t->write = write;
	t->buf = buf;
	t->len = len;
	h[1] = ATTR_SIMPLE | (more ? 0 : FLAG_FINAL);
	if (len)
		h[1] |= write ? FLAG_WRITE : FLAG_READ;
	memcpy(h + 8, s->lun, 8);
	be32_store(h + 16, t->itt);
	be32_store(h + 20, len);
	be32_store(h + 24, s->cmd_sn++);
	memcpy(h + 32, cdb, 16);
	sess_send(s, h, buf, now);
	if (write)
		t->moved = now;
	if (more)
		burst_send(s, t, no_tag, now, first - now);
	return t;
}

/* ---- in ---- */

static struct task *task_find(struct sess *s, const uint8_t *h, bool write)
{
	uint32_t itt = be32_load(h + 16);
	uint32_t slot = itt & 0xffff;
	struct task *t = slot < s->ntasks ? &s->tasks[slot] : NULL;

	if (t && t->busy && t->itt == itt && (t->write == write || h[0] == OP_SCSI_RESPONSE))
		return t;
	sess_fail(s, "opcode 0x%02x for task 0x%08x, which is none that fits", h[0], itt);
	return NULL;
}

static int task_end(struct sess *s, struct task *t, const uint8_t *h)
{
	uint32_t residual = h[1] & (FLAG_UNDER | FLAG_OVERFLOW) ? be32_load(h + 44) : 0;
	uint8_t status = h[3];

	if (h[1] & FLAG_OVERFLOW)
		return sess_fail(s, "overflow of %u bytes", residual);
	if (!status && t->moved + residual != t->len)
		return sess_fail(s, "GOOD, but %u of %u bytes moved and the residual is %u",
			t->moved, t->len, residual);
	t->busy = false;
	s->free_slots[s->nfree++] = (uint16_t)(t - s->tasks);
	s->done(s, t, status);
	return 0;
}

int xfer_data_in_begin(struct sess *s, const uint8_t *h)
{
	struct task *t = task_find(s, h, false);
	uint32_t sn = be32_load(h + 36);
	uint32_t off = be32_load(h + 40);

	if (!t)
		return -EPROTO;
	if (sn != t->data_sn++ || off != t->moved || s->rx.data_len > t->len - t->moved)
		return sess_fail(s,
			"Data-In DataSN %u offset %u length %u, where DataSN %u offset %u of %u is "
			"next",
			sn, off, s->rx.data_len, t->data_sn - 1, t->moved, t->len);
	s->rx.to = t->buf ? t->buf + off : NULL;
	s->rx.task = t;
	t->moved += s->rx.data_len;
	return 0;
}

int xfer_data_in_end(struct sess *s, const uint8_t *h)
{
	if (!(h[1] & 1))
		return 0;
	if (!(h[1] & FLAG_FINAL))
		sess_complain(s, "Data-In with status, but not final (RFC 7143 11.7.3)");
	return task_end(s, s->rx.task, h);
}

int xfer_r2t(struct sess *s, const uint8_t *h)
{
	struct task *t = task_find(s, h, true);
	uint32_t sn = be32_load(h + 36);
	uint32_t off = be32_load(h + 40);
	uint32_t len = be32_load(h + 44);

	if (!t)
		return -EPROTO;
	if (off != t->moved || !len || len > t->len - off)
		return sess_fail(s, "R2T for %u bytes at %u, where %u of %u is next", len, off,
			t->moved, t->len);
	if (sn != t->r2t_sn++)
		sess_complain(s, "R2TSN %u where %u is next", sn, t->r2t_sn - 1);
	if (len > s->p.max_burst)
		sess_complain(s, "R2T for %u bytes, MaxBurstLength is %u", len, s->p.max_burst);
	burst_send(s, t, h + 20, off, len);
	return 0;
}

int xfer_response(struct sess *s, const uint8_t *h)
{
	struct task *t = task_find(s, h, false);

	if (!t)
		return -EPROTO;
	if (h[2])
		return sess_fail(s, "SCSI response 0x%02x: not completed at the target", h[2]);
	/* RFC 7143 11.4.8: ExpDataSN counts the Data-In PDUs of the command. */
	if (!t->write && t->data_sn && be32_load(h + 36) != t->data_sn)
		sess_complain(
			s, "ExpDataSN %u after %u Data-In PDUs", be32_load(h + 36), t->data_sn);
	return task_end(s, t, h);
}
