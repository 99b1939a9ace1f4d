/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COMPARE AND WRITE: reads the blocks, and when they are as the first half of the data says writes
 * the second half. Its fence keeps every other write away meanwhile (SBC-3 5.2: an uninterrupted
 * series of actions).
 */
#include "target/scsi/command.h"
#include "target/scsi/fence.h"
#include "target/scsi/limits.h"

#include "common/own.h"

#define COMPARE_FUA 0x08 /* byte 1, SBC-3 5.2 */

static uint32_t compare_bytes(const struct scsi_task *task)
{
	return (uint32_t)scsi_task_bytes(task, task->blocks);
}

static void compare_write(struct scsi_task *task)
{
	uint32_t len = compare_bytes(task);
	uint64_t same = scsi_task_match_out(task, 0, task->work_buf->data, len);
	bool there;

	if (same < len) { /* SBC-3 5.2: the offset of the first byte that differs */
		scsi_task_fail_info(task, SENSE_MISCOMPARE, same);
		return;
	}
	there = scsi_task_copy_out(task, len, task->work_buf->data, len);
	own_assert(there); /* asked for in the beginning */
	scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba), len);
	task->io.flags = task->cdb[1] & COMPARE_FUA ? VOL_FUA : 0;
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, scsi_task_good);
}

static void compare_read(struct scsi_task *task)
{
	scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba), compare_bytes(task));
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, compare_write);
}

static void compare_fence(struct scsi_task *task)
{
	if (scsi_task_work(task, compare_bytes(task)))
		scsi_fence_take(task, task->lba, task->blocks, compare_read);
}

/* SBC-3 5.2. Who has not both halves to send, or more, does not mean what the CDB says: nothing is
 * done for him, for it would be a lock that he gets or not by chance. */
void scsi_cmd_compare_write(struct scsi_task *task)
{
	uint32_t len = 2 * compare_bytes(task);

	task->want_out = len;
	if (task->blocks > LIMIT_COMPARE_BLOCKS || task->out_room != len)
		scsi_task_fail_field(task, task->cmd->blocks.byte, 7);
	else if (len == 0)
		scsi_task_good(task);
	else
		scsi_task_want(task, len, compare_fence);
}
