/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence.h: a range of a logical unit that one task has to itself while it reads, decides and
 * writes: no other task writes there, from whatever nexus and loop.
 *
 * A fence is asked for on the unit's home loop, the domain's first, and put up on every loop. There
 * it is a node in a list of the unit that is empty otherwise, so a plain write pays for fences by
 * looking whether there is one.
 */
#ifndef KURA_TARGET_SCSI_FENCE_H
#define KURA_TARGET_SCSI_FENCE_H

#include "target/scsi/unit.h"

#include "common/own.h"

/*
 * Fences `blocks` > 0 from `lba` on of the task's unit for it, then calls `next`, later: other
 * writes there are over, and new ones wait. A task has one fence at most, until it ends. Out of
 * memory ends the task as busy. On the task's loop.
 */
void scsi_fence_take(struct scsi_task *task, uint64_t lba, uint64_t blocks,
	void (*next)(struct scsi_task *task));

/* The task ends: takes its fence down, or what becomes of one that is still being put up. */
void scsi_fence_drop(struct scsi_task *task);

/* Frees those that a member's tasks had; its loop does not run any more. */
void scsi_fence_fini(struct scsi_member *m);

/* ---- for the door to the volume -----------------------------------------------------------------
 */

/* Whether task->io, which is about to be submitted and changes the volume, has to wait. Then it is
 * submitted when the last fence in its way is down. */
bool scsi_fence_holds(struct scsi_task *task);

/* What the task had the volume change is done: a fence may have waited for that. */
void scsi_fence_landed(struct scsi_task *task);

/* Whether a fence of the task's unit stands on the task's loop. */
static inline bool scsi_fence_near(const struct scsi_task *task)
{
	return task->lun->fences[task->nexus->member->index];
}

#endif
