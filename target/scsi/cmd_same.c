/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE SAME: zeroes are one request to the volume, any other block is repeated in a buffer that is
 * written as often as it takes.
 *
 * step[0]: bytes written.
 */
#include "target/scsi/command.h"
#include "target/scsi/limits.h"

#include <string.h>

#define SAME_UNMAP 0x08 /* byte 1, SBC-3 5.47 */
#define SAME_NDOB  0x01 /* byte 1 of the CDB of 16 bytes, SBC-3 5.48 */
#define SAME_PIECE (256u << 10)

static bool same_is_zero(const uint8_t *p, uint32_t len)
{
	return p[0] == 0 && !memcmp(p, p + 1, len - 1);
}

static void same_next(struct scsi_task *task)
{
	uint64_t left = scsi_task_bytes(task, task->blocks) - task->step[0];
	uint64_t len = left < SAME_PIECE ? left : SAME_PIECE;

	if (left == 0) {
		scsi_task_good(task);
		return;
	}
	scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba) + task->step[0], len);
	scsi_task_io_buf(task, task->work_buf);
	task->step[0] += len;
	scsi_task_io_go(task, same_next);
}

/* SBC-3 4.7.3.4.4: with UNMAP the blocks may lose their space, for they read as zero after it. That
 * is why a block of anything else is written, UNMAP or not. */
static void same_zero(struct scsi_task *task)
{
	struct vol_io *io = scsi_task_io(task, VOL_ZERO, scsi_task_bytes(task, task->lba),
		scsi_task_bytes(task, task->blocks));

	io->flags = task->cdb[1] & SAME_UNMAP ? VOL_MAY_TRIM : 0;
	scsi_task_io_go(task, scsi_task_good);
}

static void same_data(struct scsi_task *task)
{
	uint64_t bytes = scsi_task_bytes(task, task->blocks);
	uint32_t block = task->lun->block_size;
	uint32_t piece = bytes < SAME_PIECE ? (uint32_t)bytes : SAME_PIECE;
	uint8_t *p;

	if (!scsi_task_work(task, piece))
		return;
	p = task->work_buf->data;
	if (!scsi_task_copy_out(task, 0, p, block)) {
		scsi_task_fail(task, SENSE_WRONG_AMOUNT_OF_DATA);
		return;
	}
	if (same_is_zero(p, block)) {
		same_zero(task);
		return;
	}
	for (uint32_t at = block; at < piece; at += block)
		memcpy(p + at, p, block);
	task->step[0] = 0;
	same_next(task);
}

static bool same_check(struct scsi_task *task)
{
	if ((task->cdb[1] & SAME_UNMAP) && !task->lun->thin) {
		scsi_task_fail_field(task, 1, 3);
		return false;
	}
	/* SBC-3 5.47: 0 means to the end, for WSNZ is clear; the limit holds for that number as
	 * well */
	if (task->blocks == 0)
		task->blocks = scsi_task_capacity(task) - task->lba;
	if (task->blocks > LIMIT_SAME_BLOCKS) {
		scsi_task_fail_field(task, task->cmd->blocks.byte, 7);
		return false;
	}
	return true;
}

void scsi_cmd_write_same(struct scsi_task *task)
{
	uint32_t block = task->lun->block_size;

	if (!same_check(task))
		return;
	if (task->blocks == 0) {
		scsi_task_good(task);
		return;
	}
	if (task->cdb[1] & SAME_NDOB) {
		same_zero(task);
		return;
	}
	task->want_out = block;
	if (task->out_room != block) /* SBC-3 5.47: one block, whatever the number to write */
		scsi_task_fail_field(task, task->cmd->blocks.byte, 7);
	else
		scsi_task_want(task, block, same_data);
}
