/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ CAPACITY: how big the unit is, and what its blocks are like.
 */
#include "target/scsi/command.h"

void scsi_cmd_read_capacity10(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->lun;
	uint64_t last = scsi_task_capacity(task) - 1;
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	/* SBC-3 5.15: more than fits sends the initiator to READ CAPACITY(16) */
	span_put32(&w, last > 0xfffffffe ? 0xffffffff : (uint32_t)last);
	span_put32(&w, lun->block_size);
	scsi_reply_end(task, &w, 8);
}

/* SBC-3 5.16.2 */
void scsi_cmd_read_capacity16(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->lun;
	uint32_t per_physical = lun->info.physical_block_size >> lun->block_shift;
	uint16_t provisioning = 0; /* LOWEST ALIGNED LBA 0 */
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	if (lun->thin)
		provisioning |= 0x8000; /* LBPME */
	if (lun->thin && (lun->info.caps & VOL_ZERO_AFTER_TRIM))
		provisioning |= 0x4000; /* LBPRZ */
	span_put64(&w, scsi_task_capacity(task) - 1);
	span_put32(&w, lun->block_size);
	span_put8(&w, 0); /* no protection information */
	span_put8(&w, per_physical > 1 ? (uint8_t)__builtin_ctz(per_physical) : 0); /* LBPPBE */
	span_put16(&w, provisioning);
	span_fill(&w, 0, 16);
	scsi_reply_end(task, &w, be32_load(task->cdb + 10));
}
