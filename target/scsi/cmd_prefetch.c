/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PRE-FETCH: reads the front of the range and drops it, so that it is in what cache there is below.
 * Status is CONDITION MET where the volume is read through the machine's memory and the range is no
 * longer than what is fetched for one command; it is GOOD where it is longer, and where nobody here
 * knows of a cache (direct I/O). With IMMED it comes as late, which an initiator can always live
 * with.
 *
 * step[0]: bytes read; step[1]: bytes to read; step[2]: bytes of the range.
 */
#include "target/scsi/command.h"
#include "target/scsi/limits.h"

#define PREFETCH_PIECE (1u << 20)

/* SBC-3 5.8 */
static void prefetch_end(struct scsi_task *task)
{
	uint32_t caps = task->lun->info.caps;

	if (task->step[1] == task->step[2] && (caps & (VOL_CACHES_READS | VOL_VOLATILE)))
		task->status = SCSI_CONDITION_MET;
	scsi_task_end(task);
}

static void prefetch_next(struct scsi_task *task)
{
	uint64_t left = task->step[1] - task->step[0];

	if (left == 0) {
		prefetch_end(task);
		return;
	}
	if (left > PREFETCH_PIECE)
		left = PREFETCH_PIECE;
	scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba) + task->step[0], left);
	scsi_task_io_buf(task, task->work_buf);
	task->step[0] += left;
	scsi_task_io_go(task, prefetch_next);
}

/* SBC-3 5.8: PREFETCH LENGTH 0 is everything from the LBA on. */
void scsi_cmd_prefetch(struct scsi_task *task)
{
	uint64_t blocks = task->blocks ? task->blocks : scsi_task_capacity(task) - task->lba;
	uint64_t bytes = scsi_task_bytes(task, blocks);

	task->step[0] = 0;
	task->step[1] = bytes < LIMIT_PREFETCH ? bytes : LIMIT_PREFETCH;
	task->step[2] = bytes;
	if (task->lun->info.caps & VOL_VOLATILE) /* all of it is in memory */
		task->step[0] = task->step[1] = bytes;
	if (task->step[0] == task->step[1] ||
		scsi_task_work(task,
			task->step[1] < PREFETCH_PIECE ? (uint32_t)task->step[1] : PREFETCH_PIECE))
		prefetch_next(task);
}
