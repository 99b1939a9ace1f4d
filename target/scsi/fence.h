/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence.h: a range of a volume that one task has to itself while it reads, decides and writes: no
 * other task writes there, from whatever nexus, loop and logical unit.
 *
 * A fence is asked for on the home loop, the domain's first, and put up on every loop. There it is
 * in a list of the volume that is empty otherwise, so a plain write pays for fences by looking
 * whether there is one.
 */
#ifndef KURA_TARGET_SCSI_FENCE_H
#define KURA_TARGET_SCSI_FENCE_H

#include "target/scsi/unit.h"

/* Those of a volume, shared by the units that show it. */
struct scsi_fences {
	struct scsi_domain *domain;
	unsigned users;    /* units that have a share, fences that are not down; atomic */
	struct list queue; /* scsi_fence.node, up or to come, as asked for; the home loop's */
	struct scsi_fence_side *side[SCSI_LOOPS_MAX]; /* up on that loop; each loop's own */
};

/* A share of the volume's, returned owned. Set-up only. */
struct scsi_fences *scsi_fences_get(struct scsi_domain *domain, struct vol *vol);

/* Gives a share back; with the last one, and the last fence, it is freed. Any thread. */
void scsi_fences_put(struct scsi_fences *fences);

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

/* ---- for the door to the volume ---- */

/* Whether task->io, which is about to be submitted and changes the volume, has to wait. Then it is
 * submitted when the last fence in its way is down. */
bool scsi_fence_holds(struct scsi_task *task);

/* What the task had the volume change is done: a fence may have waited for that. */
void scsi_fence_landed(struct scsi_task *task);

/* Whether a fence of the task's volume stands on the task's loop. */
static inline bool scsi_fence_near(const struct scsi_task *task)
{
	return task->lun->fences->side[task->nexus->member->index];
}

#endif
