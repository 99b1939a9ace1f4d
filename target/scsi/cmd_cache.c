/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYNCHRONIZE CACHE. GOOD means that it is on the medium, with IMMED as well: the standard lets
 * status come earlier then, and later is what an initiator can always live with.
 */
#include "target/scsi/command.h"

/* SBC-3 5.26: NUMBER OF LOGICAL BLOCKS 0 is everything from the LBA on. */
void scsi_cmd_sync_cache(struct scsi_task *task)
{
	uint64_t blocks = task->blocks ? task->blocks : scsi_task_capacity(task) - task->lba;
	bool all = task->lba == 0 && blocks == scsi_task_capacity(task);

	if (!(task->lun->info.caps & VOL_HAS_CACHE) || blocks == 0) {
		scsi_task_good(task);
		return;
	}
	if (all)
		scsi_task_io(task, VOL_FLUSH, 0, 0);
	else
		scsi_task_io(task, VOL_FLUSH, scsi_task_bytes(task, task->lba),
			scsi_task_bytes(task, blocks));
	scsi_task_io_go(task, scsi_task_good);
}
