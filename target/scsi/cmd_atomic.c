/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE ATOMIC(16): all of the blocks or none, and no other write among them.
 *
 * A store below writes a physical block whole or not at all, so that is the unit and the most of
 * an atomic write. Where nothing outlives the process there is nothing that could be found half
 * written afterwards, and it may be as long as any other.
 */
#include "target/scsi/command.h"
#include "target/scsi/fence.h"

#define ATOMIC_FUA 0x08 /* byte 1, SBC-4 5.49 */

uint32_t scsi_atomic_unit(const struct scsi_lun *lun)
{
	return lun->info.physical_block_size >> lun->block_shift;
}

uint32_t scsi_atomic_most(const struct scsi_lun *lun)
{
	uint32_t unit = scsi_atomic_unit(lun);

	return lun->info.caps & VOL_VOLATILE ? lun->cap_blocks / unit * unit : unit;
}

static void atomic_write(struct scsi_task *task)
{
	struct vol_io *io;

	io = scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba), task->out_len);
	io->flags = task->cdb[1] & ATOMIC_FUA ? VOL_FUA : 0;
	io->iov = task->out_iov;
	io->iovcnt = task->out_iovcnt;
	io->buf = task->out_buf;
	scsi_task_io_go(task, scsi_task_good);
}

static void atomic_fence(struct scsi_task *task)
{
	scsi_fence_take(task, task->lba, task->blocks, atomic_write);
}

/* SBC-4 6.6.4: alignment, granularity and the most blocks. */
static bool atomic_check(struct scsi_task *task)
{
	uint32_t unit = scsi_atomic_unit(task->lun);

	if (task->lba % unit) {
		scsi_task_fail_field(task, task->cmd->lba.byte, 7);
		return false;
	}
	if (task->blocks % unit || task->blocks > scsi_atomic_most(task->lun)) {
		scsi_task_fail_field(task, task->cmd->blocks.byte, 7);
		return false;
	}
	return true;
}

/* SBC-4 5.49. An initiator that has less to send than it says would get a part of it. */
void scsi_cmd_write_atomic(struct scsi_task *task)
{
	uint64_t len = scsi_task_bytes(task, task->blocks);

	if (!atomic_check(task))
		return;
	task->want_out = len;
	if (len > task->out_room)
		scsi_task_fail_field(task, task->cmd->blocks.byte, 7);
	else if (len == 0)
		scsi_task_good(task);
	else
		scsi_task_want(task, (uint32_t)len, atomic_fence);
}
