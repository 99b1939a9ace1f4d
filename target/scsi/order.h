/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.h: the task set of an I_T_L nexus: which of its commands may begin now, by their task
 * attributes, and how many it takes.
 *
 * Each nexus has task sets of its own (TST 001b in the control mode page, SPC-4 7.5.8), so order
 * never concerns another loop. While nobody uses ORDERED or HEAD OF QUEUE it is a comparison.
 */
#ifndef KURA_TARGET_SCSI_ORDER_H
#define KURA_TARGET_SCSI_ORDER_H

#include "target/scsi/limits.h"
#include "target/scsi/nexus.h"

/* Prepares the task set of `itl`: empty. */
void scsi_order_init(struct scsi_itl *itl);

/* A task that is out of the ordinary joins; as scsi_order_join. */
bool scsi_order_join_slow(struct scsi_task *task);

/* A task left a set in which order matters: begins those that waited for it. */
void scsi_order_left(struct scsi_task *task);

/* A task that waits for its turn will not have it: it is aborted. Its owner is SCSI again. */
void scsi_order_forget(struct scsi_task *task);

/*
 * The task joins the task set of task->itl. True: it may begin. False: scsi_command_begin is called
 * for it when it may, or it is ended already: TASK SET FULL, or an attribute that is not offered.
 */
static inline bool scsi_order_join(struct scsi_task *task)
{
	struct scsi_itl *itl = task->itl;

	itl->tasks++;
	if (task->attr <= SCSI_ATTR_SIMPLE && !itl->barriers && itl->tasks <= LIMIT_TASK_SET)
		return true;
	return scsi_order_join_slow(task);
}

/* The task is over and leaves the set that it joined. */
static inline void scsi_order_leave(struct scsi_task *task)
{
	struct scsi_itl *itl = task->itl;

	itl->tasks--;
	if (itl->barriers)
		scsi_order_left(task);
}

#endif
