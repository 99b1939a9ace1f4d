/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ORWRITE(16): sets in the blocks the bits that are set in the data, nobody else writing there
 * meanwhile. ORWRITE(32), with generations, is not offered.
 */
#include "target/scsi/command.h"
#include "target/scsi/fence.h"

#define ORWRITE_FUA 0x08 /* byte 1, SBC-3 5.6 */

static void orwrite_merge(struct scsi_task *task)
{
	uint8_t *to = task->work_buf->data;

	for (unsigned i = 0; i < task->out_iovcnt; i++) {
		const uint8_t *from = task->out_iov[i].iov_base;

		for (size_t at = 0; at < task->out_iov[i].iov_len; at++)
			*to++ |= from[at];
	}
}

static void orwrite_write(struct scsi_task *task)
{
	orwrite_merge(task);
	scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba), task->out_len);
	task->io.flags = task->cdb[1] & ORWRITE_FUA ? VOL_FUA : 0;
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, scsi_task_good);
}

static void orwrite_read(struct scsi_task *task)
{
	scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba), task->out_len);
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, orwrite_write);
}

static void orwrite_fence(struct scsi_task *task)
{
	uint64_t blocks = task->out_len >> task->lun->block_shift;

	if (scsi_task_work(task, task->out_len))
		scsi_fence_take(task, task->lba, blocks, orwrite_read);
}

/* SBC-3 5.6. Whole blocks of what the initiator has, as for WRITE (RFC 7143 11.4.5.1). */
void scsi_cmd_orwrite(struct scsi_task *task)
{
	uint64_t len = scsi_task_bytes(task, task->blocks);

	task->want_out = len;
	if (len > task->out_room)
		len = task->out_room & ~(task->lun->block_size - 1);
	if (len == 0)
		scsi_task_good(task);
	else
		scsi_task_want(task, (uint32_t)len, orwrite_fence);
}
