/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PREVENT ALLOW MEDIUM REMOVAL. Each I_T nexus prevents for itself; the medium can be ejected when
 * none does any more. The unit counts them, so that START STOP UNIT on any loop sees it.
 */
#include "target/scsi/command.h"

static void prevent(struct scsi_itl *itl, bool on)
{
	if (itl->prevents == on)
		return;
	itl->prevents = on;
	if (on)
		__atomic_add_fetch(&itl->lun->preventers, 1, __ATOMIC_RELAXED);
	else
		__atomic_sub_fetch(&itl->lun->preventers, 1, __ATOMIC_RELAXED);
}

/* SBC-3 4.15: allowed again by a reset of the unit and by the loss of the nexus. */
void scsi_itl_allow(struct scsi_itl *itl)
{
	prevent(itl, false);
}

/* SBC-3 5.8; values 10b and 11b are of medium changers, and obsolete */
void scsi_cmd_prevent_allow(struct scsi_task *task)
{
	unsigned value = task->cdb[4] & 0x03;

	if (value & 0x02) {
		scsi_task_fail_field(task, 4, 1);
		return;
	}
	prevent(task->itl, value);
	scsi_task_good(task);
}
