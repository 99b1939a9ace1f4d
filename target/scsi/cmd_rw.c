/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ and WRITE of all lengths. This is the path that the house is built around: a read is one
 * buffer and one request, a write is handed on in the pieces in which it came.
 */
#include "target/scsi/command.h"

#include "common/own.h"

#define RW_FUA 0x08 /* byte 1 of the CDBs of ten bytes and more, SBC-3 5.11 */

static bool rw_fua(const struct scsi_task *task)
{
	return task->cmd->len > 6 && (task->cdb[1] & RW_FUA);
}

static void read_done(struct scsi_task *task)
{
	uint64_t len = task->io.len;

	if (task->in_buf) {
		task->in_data = task->in_buf->data;
	} else {
		task->in_data = task->io.one.iov_base;
		task->in_chan = task->chan;
		vol_chan_lend(task->chan);
	}
	task->in_len = len < task->in_room ? (uint32_t)len : task->in_room;
	scsi_task_good(task);
}

/* The volume's own memory is what is sent. */
static void read_lent(struct scsi_task *task, uint64_t len)
{
	struct vol_io *io = scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba), len);

	io->flags = VOL_LEND;
	io->one = (struct iovec){ .iov_base = NULL, .iov_len = len };
	io->iov = &io->one;
	io->iovcnt = 1;
	scsi_task_io_go(task, read_done);
}

static void read_copied(struct scsi_task *task, uint64_t len)
{
	task->in_buf = loop_buf_get(task->nexus->loop, (uint32_t)len);
	if (!task->in_buf) {
		scsi_task_busy(task);
		return;
	}
	scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba), len);
	scsi_task_io_buf(task, task->in_buf);
	scsi_task_io_go(task, read_done);
}

/* Only what the initiator takes is read; the rest is residual (RFC 7143 11.4.5.1). */
static void read_go(struct scsi_task *task)
{
	uint64_t len = scsi_task_bytes(task, task->blocks);
	uint32_t mask = task->lun->block_size - 1;

	if (len > task->in_room)
		len = ((uint64_t)task->in_room + mask) & ~(uint64_t)mask;
	if (len == 0) {
		scsi_task_good(task);
		return;
	}
	if (task->in_lent && (task->lun->info.caps & VOL_CAN_LEND))
		read_lent(task, len);
	else
		read_copied(task, len);
}

void scsi_cmd_read(struct scsi_task *task)
{
	task->want_in = scsi_task_bytes(task, task->blocks);
	/* SBC-3 5.11: FUA reads from the medium, so what is in the cache goes there first */
	if (rw_fua(task) && (task->lun->info.caps & VOL_HAS_CACHE)) {
		scsi_task_io(task, VOL_FLUSH, 0, 0);
		scsi_task_io_go(task, read_go);
		return;
	}
	read_go(task);
}

static void write_go(struct scsi_task *task)
{
	struct vol_io *io;

	io = scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba), task->out_len);
	io->flags = rw_fua(task) ? VOL_FUA : 0;
	io->iov = task->out_iov;
	io->iovcnt = task->out_iovcnt;
	io->buf = task->out_buf;
	scsi_task_io_go(task, scsi_task_good);
}

void scsi_cmd_write(struct scsi_task *task)
{
	scsi_task_want_blocks(task, write_go);
}
