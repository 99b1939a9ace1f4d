/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a task: from the port to the SCSI room, to the volume or to the port for data-out,
 * and back. `owner` says who has it; each door checks that. What ends while a port is calling us is
 * given back by one hook at the end of the turn; what ends in a completion goes back directly.
 */
#include "target/scsi/task.h"

#include "target/scsi/command.h"
#include "target/scsi/fence.h"
#include "target/scsi/flow.h"
#include "target/scsi/ghost.h"
#include "target/scsi/live.h"
#include "target/scsi/order.h"
#include "target/scsi/port.h"
#include "target/scsi/sanitize.h"

#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"

#include <errno.h>
#include <string.h>

void scsi_task_init(struct scsi_task *task)
{
	memset(task, 0, sizeof *task);
	task->magic = SCSI_TASK_MAGIC;
	list_init(&task->node);
	list_init(&task->finished);
	list_init(&task->wait);
	vol_io_init(&task->io);
}

static void task_start(struct scsi_nexus *nexus, struct scsi_task *task)
{
	task->owner = SCSI_OWNER_SCSI;
	task->nexus = nexus;
	task->loop = nexus->loop;
	task->ops = nexus->ops;
	list_push(&nexus->tasks, &task->node);
	nexus->task_count++;
	task->aborted = task->abort_wanted = false;
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	task->in_data = NULL;
	task->in_len = 0;
	task->want_in = task->want_out = 0;
	task->out_len = 0;
	task->in_buf = task->work_buf = NULL;
	task->in_chan = NULL;
	task->request = NULL;
	task->next = NULL;
	stat_add(STAT_scsi_commands, 1);
	trace_task(TRACE_task_begin, task->tag, task->cdb[0]);
}

void scsi_task_submit(struct scsi_nexus *nexus, struct scsi_task *task)
{
	struct scsi_member *m = nexus->member;

	own_assert(task->magic == SCSI_TASK_MAGIC && task->owner == SCSI_OWNER_PORT);
	own_assert(nexus->magic == SCSI_NEXUS_MAGIC && !nexus->closing);
	task_start(nexus, task);
	m->inside++;
	scsi_command_run(task);
	m->inside--;
}

void scsi_task_submit_inner(
	struct scsi_nexus *nexus, struct scsi_task *task, const struct scsi_port_ops *ops)
{
	struct scsi_member *m = nexus->member;

	own_assert(task->magic == SCSI_TASK_MAGIC && task->owner == SCSI_OWNER_PORT);
	own_assert(nexus->magic == SCSI_NEXUS_MAGIC && !nexus->closing);
	task_start(nexus, task);
	task->ops = ops;
	m->inside++;
	scsi_command_run_inner(task);
	m->inside--;
}

/* ---- giving it back ---- */

static enum flow_kind flow_kind(const struct scsi_command *cmd)
{
	if (!cmd || !(cmd->flags & CMD_CAPPED))
		return FLOW_OTHER;
	return cmd->flags & CMD_WRITES ? FLOW_WRITE : FLOW_READ;
}

static void flow_ends(struct scsi_task *task)
{
	struct flow_counts *c = &task->itl->flow->counts;
	enum flow_kind kind = flow_kind(task->cmd);

	hist_bump(&c->done[kind], 1);
	if (__builtin_expect(task->status != SCSI_GOOD || task->aborted, 0))
		scsi_flow_failed(task);
	else
		hist_bump(&c->bytes[kind], (uint64_t)task->in_len + task->out_len);
	if (__builtin_expect(task->began_ns != 0, 0))
		scsi_flow_timed(task, kind);
}

static void task_give_back(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;

	list_del(&task->node);
	nexus->task_count--;
	task->aborted = task->abort_wanted;
	trace_task(TRACE_task_end, task->tag, task->status);
	if (task->aborted)
		stat_add(STAT_scsi_aborted, 1);
	if (task->work_buf)
		loop_buf_put(nexus->loop, own_take(task->work_buf));
	if (task->fence)
		scsi_fence_drop(task);
	if (task->itl) {
		flow_ends(task);
		scsi_order_leave(task);
	}
	if (__builtin_expect(nexus->ghosts, 0))
		scsi_ghost_gone(task);
	task->owner = SCSI_OWNER_PORT;
	task->ops->done(task);
	scsi_nexus_task_gone(nexus);
}

static void member_flush(struct loop_hook *hook)
{
	struct scsi_member *m = container_of(hook, struct scsi_member, flush);
	struct list *node;

	while ((node = list_pop(&m->finished)))
		task_give_back(container_of(node, struct scsi_task, finished));
}

void scsi_member_init(struct scsi_member *m, struct scsi_domain *domain, struct loop *loop)
{
	m->domain = domain;
	m->loop = loop;
	list_init(&m->nexuses);
	list_init(&m->finished);
	list_init(&m->held);
	list_init(&m->fences);
	list_init(&m->spare);
	loop_hook_init(&m->flush, member_flush);
	loop_timer_init(&m->patience, scsi_tmf_overdue);
}

void scsi_task_end(struct scsi_task *task)
{
	struct scsi_member *m = task->nexus->member;

	own_assert(task->owner == SCSI_OWNER_SCSI && list_empty(&task->finished));
	if (!m->inside) {
		task_give_back(task);
		return;
	}
	list_push(&m->finished, &task->finished);
	loop_turn_end(m->loop, &m->flush);
}

void scsi_task_release(struct scsi_task *task)
{
	own_assert(task->owner == SCSI_OWNER_PORT);
	task->in_data = NULL;
	if (task->in_buf)
		loop_buf_put(task->loop, own_take(task->in_buf));
	if (task->in_chan)
		vol_chan_return(own_take(task->in_chan));
}

/* ---- how it ends ---- */

void scsi_task_good(struct scsi_task *task)
{
	task->status = SCSI_GOOD;
	scsi_task_end(task);
}

void scsi_task_busy(struct scsi_task *task)
{
	task->in_len = 0;
	task->want_in = 0;
	/* SAM-5 5.3.1: an initiator without a command in the set would wait for the end of none */
	task->status = task->itl && task->itl->tasks > 1 ? SCSI_TASK_SET_FULL : SCSI_BUSY;
	scsi_task_end(task);
}

void scsi_task_fail_cause(struct scsi_task *task, const struct scsi_cause *cause)
{
	task->in_len = 0;
	task->want_in = 0;
	task->status = SCSI_CHECK_CONDITION;
	task->sense_len = sense_build(task->sense, /* SPC-4 7.5.8 */
		task->lun && scsi_lun_mode(task->lun, MODE_D_SENSE), cause);
	stat_add(STAT_scsi_check_conditions, 1);
	stat_add(STAT_scsi_sense_no_sense + (cause->key & 15u), 1); /* rows in their order */
	scsi_task_end(task);
}

void scsi_task_fail(struct scsi_task *task, enum scsi_sense sense)
{
	struct scsi_cause cause = sense_cause(sense);

	scsi_task_fail_cause(task, &cause);
}

void scsi_task_fail_info(struct scsi_task *task, enum scsi_sense sense, uint64_t info)
{
	struct scsi_cause cause = sense_cause(sense);

	cause.info_valid = true;
	cause.info = info;
	scsi_task_fail_cause(task, &cause);
}

static void fail_pointer(struct scsi_task *task, enum scsi_sense sense, enum scsi_pointer pointer,
	unsigned byte, int bit)
{
	struct scsi_cause cause = sense_cause(sense);

	cause.pointer = pointer;
	cause.byte = (uint16_t)byte;
	cause.bit = (int8_t)bit;
	scsi_task_fail_cause(task, &cause);
}

void scsi_task_fail_field(struct scsi_task *task, unsigned byte, int bit)
{
	fail_pointer(task, SENSE_INVALID_FIELD_IN_CDB, POINTER_CDB, byte, bit);
}

void scsi_task_fail_list(struct scsi_task *task, unsigned byte, int bit)
{
	fail_pointer(task, SENSE_INVALID_FIELD_IN_LIST, POINTER_LIST, byte, bit);
}

/* SBC-3 4.18.1: INFORMATION is the first block of the request that failed; a flush has none. */
static void fail_medium(struct scsi_task *task)
{
	bool reading = task->io.op == VOL_READ || task->io.op == VOL_EXTENTS;
	enum scsi_sense sense = reading ? SENSE_UNRECOVERED_READ : SENSE_WRITE_ERROR;

	if (task->io.op == VOL_FLUSH)
		scsi_task_fail(task, sense);
	else
		scsi_task_fail_info(task, sense, task->io.off >> task->lun->block_shift);
}

void scsi_task_fail_errno(struct scsi_task *task, int err)
{
	switch (err) {
	case -EIO:
		fail_medium(task);
		return;
	case -ENOSPC: /* SBC-3 4.7.3.6; SBC-3 4.7.3.7: and the threshold is behind us */
		scsi_lun_short(task->lun, task->nexus->loop, false);
		scsi_task_fail(task, SENSE_SPACE_ALLOCATION_FAILED);
		return;
	case -EROFS:
		scsi_task_fail(task, SENSE_WRITE_PROTECTED);
		return;
	case -ENODEV:
		scsi_task_fail(task, SENSE_NOT_READY_OFFLINE);
		return;
	case -ENOMEM:
		scsi_task_busy(task);
		return;
	case -ETIMEDOUT:
		scsi_task_fail(task, SENSE_COMMAND_TIMEOUT);
		return;
	case -ECANCELED:
		scsi_task_fail(task, SENSE_CANCELLED);
		return;
	case -EPROTO: /* RFC 7143 11.4.7.2, and the next two */
		scsi_task_fail(task, SENSE_WRONG_AMOUNT_OF_DATA);
		return;
	case -EREMOTEIO:
		scsi_task_fail(task, SENSE_UNEXPECTED_DATA);
		return;
	case -EBADMSG:
		scsi_task_fail(task, SENSE_PROTOCOL_CRC_ERROR);
		return;
	default:
		scsi_task_fail(task, SENSE_INTERNAL_FAILURE);
	}
}

/* ---- data-out ---- */

void scsi_task_want(struct scsi_task *task, uint32_t len, void (*next)(struct scsi_task *task))
{
	own_assert(len > 0 && len <= task->out_room && task->owner == SCSI_OWNER_SCSI);
	if (task->itl && task->itl->gone) { /* it waited for its turn while the LUN was removed */
		scsi_task_fail(task, SENSE_LUN_NOT_SUPPORTED);
		return;
	}
	task->next = next;
	task->owner = SCSI_OWNER_GETDATA;
	task->ops->get_data(task, len);
}

void scsi_task_data(struct scsi_task *task, int err)
{
	struct scsi_member *m = task->nexus->member;

	/* An abort, or the end of the LUN, may have been quicker: then done() is on its way. */
	if (task->owner != SCSI_OWNER_GETDATA) {
		own_assert(task->abort_wanted || !list_empty(&task->finished));
		return;
	}
	task->owner = SCSI_OWNER_SCSI;
	m->inside++;
	if (err == -ECANCELED)
		task->abort_wanted = true;
	if (task->abort_wanted)
		scsi_task_end(task);
	else if (err)
		scsi_task_fail_errno(task, err);
	else
		task->next(task);
	m->inside--;
}

bool scsi_task_copy_out(const struct scsi_task *task, uint32_t off, void *dst, uint32_t len)
{
	uint8_t *to = dst;

	if (off > task->out_len || len > task->out_len - off)
		return false;
	for (unsigned i = 0; i < task->out_iovcnt && len; i++) {
		const struct iovec *v = &task->out_iov[i];
		size_t part;

		if (off >= v->iov_len) {
			off -= (uint32_t)v->iov_len;
			continue;
		}
		part = v->iov_len - off < len ? v->iov_len - off : len;
		memcpy(to, (const uint8_t *)v->iov_base + off, part);
		to += part;
		len -= (uint32_t)part;
		off = 0;
	}
	return len == 0;
}

uint64_t scsi_task_match_out(
	const struct scsi_task *task, uint64_t off, const uint8_t *a, uint64_t len)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < task->out_iovcnt && done < len; i++) {
		const struct iovec *v = &task->out_iov[i];
		const uint8_t *b = v->iov_base;
		uint64_t part;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		part = v->iov_len - off < len - done ? v->iov_len - off : len - done;
		if (memcmp(a + done, b + off, part)) {
			while (a[done] == b[off])
				done++, off++;
			return done;
		}
		done += part;
		off = 0;
	}
	return done;
}

uint32_t scsi_task_whole_blocks(struct scsi_task *task, uint64_t bytes)
{
	task->want_out = bytes;
	if (bytes > task->out_room)
		bytes = task->out_room & ~(task->lun->block_size - 1);
	return (uint32_t)bytes;
}

void scsi_task_want_blocks(struct scsi_task *task, void (*next)(struct scsi_task *task))
{
	uint32_t len = scsi_task_whole_blocks(task, scsi_task_bytes(task, task->blocks));

	if (len)
		scsi_task_want(task, len, next);
	else
		scsi_task_good(task);
}

/* ---- abort: SAM-5 7 and 6.3.4 ---- */

void scsi_task_abort(struct scsi_task *task)
{
	struct scsi_member *m = task->nexus->member;

	task->abort_wanted = true;
	switch (task->owner) {
	case SCSI_OWNER_ORDER:
		scsi_order_forget(task);
		break;
	case SCSI_OWNER_FENCE:
		list_del(&task->wait);
		break;
	case SCSI_OWNER_GETDATA:
		break;
	case SCSI_OWNER_VOLUME: /* it comes back, sooner when it only waits in a layer */
		if (task->io.depth)
			vol_cancel(task->chan, &task->io);
		return;
	default: /* it is over already */
		return;
	}
	task->owner = SCSI_OWNER_SCSI;
	m->inside++;
	scsi_task_end(task);
	m->inside--;
}

void scsi_task_evict(struct scsi_task *task)
{
	struct scsi_member *m = task->nexus->member;

	if (task->owner != SCSI_OWNER_GETDATA)
		return;
	task->owner = SCSI_OWNER_SCSI;
	m->inside++;
	scsi_task_fail(task, SENSE_LUN_NOT_SUPPORTED);
	m->inside--;
}

/* ---- the volume ---- */

bool scsi_task_work(struct scsi_task *task, uint32_t len)
{
	task->work_buf = loop_buf_get(task->nexus->loop, len);
	if (!task->work_buf)
		scsi_task_busy(task);
	return task->work_buf;
}

/* Whether a request changes what other tasks read. */
static bool io_writes(const struct vol_io *io)
{
	return io->op == VOL_WRITE || io->op == VOL_TRIM || io->op == VOL_ZERO;
}

static __attribute__((noinline)) void task_landed(struct scsi_task *task)
{
	if (scsi_fence_near(task))
		scsi_fence_landed(task);
	task->write_to = 0;
}

static void task_io_done(struct vol_io *io, int res)
{
	struct scsi_task *task = container_of(io, struct scsi_task, io);

	own_assert(task->magic == SCSI_TASK_MAGIC && task->owner == SCSI_OWNER_VOLUME);
	task->owner = SCSI_OWNER_SCSI;
	if (task->write_to)
		task_landed(task);
	if (task->abort_wanted)
		scsi_task_end(task);
	else if (res < 0)
		scsi_task_fail_errno(task, res);
	else
		task->next(task);
}

struct vol_io *scsi_task_io(struct scsi_task *task, enum vol_op op, uint64_t off, uint64_t len)
{
	struct vol_io *io = &task->io;

	vol_io_init(io);
	io->op = op;
	io->off = off;
	io->len = len;
	io->origin = (uintptr_t)task->nexus;
	io->done = task_io_done;
	return io;
}

void scsi_task_io_buf(struct scsi_task *task, struct loop_buf *buf)
{
	struct vol_io *io = &task->io;

	io->one = (struct iovec){ .iov_base = buf->data, .iov_len = io->len };
	io->iov = &io->one;
	io->iovcnt = 1;
	io->buf = buf;
}

void scsi_task_io_go(struct scsi_task *task, void (*next)(struct scsi_task *task))
{
	struct scsi_lun *lun = task->lun;
	uint32_t sanitize = __atomic_load_n(&lun->sanitize, __ATOMIC_ACQUIRE);

	if (sanitize & SANITIZE_RUNNING) { /* SBC-3 4.11.2: it began behind our back */
		struct scsi_cause cause = scsi_sanitize_cause(sanitize);

		scsi_task_fail_cause(task, &cause);
		return;
	}
	task->next = next;
	if (io_writes(&task->io) && !task->fence) {
		if (scsi_fence_near(task) && scsi_fence_holds(task))
			return;
		task->write_from = task->io.off;
		task->write_to = task->io.off + task->io.len;
	}
	task->owner = SCSI_OWNER_VOLUME;
	if ((task->io.op == VOL_WRITE || task->io.op == VOL_ZERO) && scsi_lun_through(lun))
		task->io.flags |= VOL_FUA;
	vol_submit(task->chan, &task->io);
}

static void task_call_done(struct loop_io *lio, int res)
{
	task_io_done(&scsi_task_of_call(lio)->io, res);
}

void scsi_task_call(struct scsi_task *task, int (*run)(struct loop_io *lio),
	void (*next)(struct scsi_task *task))
{
	vol_io_init(&task->io);
	task->next = next;
	task->owner = SCSI_OWNER_VOLUME;
	loop_io_call(task->nexus->loop, &task->io.lio, NULL, run, task_call_done);
}

/* ---- data-in of a few bytes ---- */

bool scsi_reply_begin(struct scsi_task *task, struct span_writer *w)
{
	task->in_buf = loop_buf_get(task->nexus->loop, SCSI_REPLY_MAX);
	if (!task->in_buf) {
		scsi_task_busy(task);
		return false;
	}
	memset(task->in_buf->data, 0, SCSI_REPLY_MAX);
	*w = span_writer(task->in_buf->data, SCSI_REPLY_MAX);
	return true;
}

void scsi_reply_end(struct scsi_task *task, const struct span_writer *w, uint32_t allocation)
{
	size_t len = span_stored(w);

	if (len > allocation)
		len = allocation;
	task->want_in = len;
	task->in_data = task->in_buf->data;
	task->in_len = len < task->in_room ? (uint32_t)len : task->in_room;
	scsi_task_good(task);
}
