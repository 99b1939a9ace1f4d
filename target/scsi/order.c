/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task attributes, SAM-5 8.6. What may not begin yet waits in the set's queue in the order in which
 * it came; when a task is over, the queue moves from the front as far as it may. No task passes
 * another one in it, for whatever stops the first stops those behind it as well.
 */
#include "target/scsi/order.h"

#include "target/scsi/command.h"

#include "common/own.h"

void scsi_order_init(struct scsi_itl *itl)
{
	list_init(&itl->dormant);
}

/* Whether the task at the front may begin. */
static bool order_may(const struct scsi_itl *itl, const struct scsi_task *task)
{
	if (itl->heads) /* SAM-5 8.6.2, 8.6.3: not before every HEAD OF QUEUE has ended */
		return false;
	if (task->attr == SCSI_ATTR_ORDERED) /* SAM-5 8.6.3: nor before anything that is older */
		return itl->tasks == itl->dormant_count;
	return !itl->ordered; /* SAM-5 8.6.2: nor before an older ORDERED */
}

/* Takes the front out of the queue when it may begin. */
static struct scsi_task *order_next(struct scsi_itl *itl)
{
	struct scsi_task *task;

	if (list_empty(&itl->dormant))
		return NULL;
	task = container_of(itl->dormant.next, struct scsi_task, wait);
	if (!order_may(itl, task))
		return NULL;
	scsi_order_forget(task);
	if (task->attr == SCSI_ATTR_ORDERED)
		itl->ordered = task;
	return task;
}

void scsi_order_forget(struct scsi_task *task)
{
	own_assert(task->owner == SCSI_OWNER_ORDER);
	task->owner = SCSI_OWNER_SCSI;
	list_del(&task->wait);
	task->itl->dormant_count--;
}

/* SAM-5 5.3.1 and 8.6: refusals. */
static bool order_refused(struct scsi_task *task)
{
	if (task->attr > SCSI_ATTR_HEAD_OF_QUEUE) { /* NormACA is not offered, SPC-4 6.6.2 */
		scsi_task_fail(task, SENSE_INVALID_MESSAGE);
		return true;
	}
	if (task->itl->tasks > LIMIT_TASK_SET) {
		scsi_task_busy(task);
		return true;
	}
	return false;
}

bool scsi_order_join_slow(struct scsi_task *task)
{
	struct scsi_itl *itl = task->itl;

	if (task->attr > SCSI_ATTR_SIMPLE)
		itl->barriers++;
	if (task->attr == SCSI_ATTR_HEAD_OF_QUEUE)
		itl->heads++;
	if (order_refused(task))
		return false;
	if (task->attr == SCSI_ATTR_HEAD_OF_QUEUE) /* SAM-5 8.6.4 */
		return true;
	task->cmd = NULL; /* not looked at yet */
	task->owner = SCSI_OWNER_ORDER;
	list_push(&itl->dormant, &task->wait);
	itl->dormant_count++;
	return itl->dormant.next == &task->wait && order_next(itl);
}

void scsi_order_left(struct scsi_task *task)
{
	struct scsi_itl *itl = task->itl;
	struct scsi_member *m = task->nexus->member;

	if (task->attr > SCSI_ATTR_SIMPLE)
		itl->barriers--;
	if (task->attr == SCSI_ATTR_HEAD_OF_QUEUE)
		itl->heads--;
	if (itl->ordered == task)
		itl->ordered = NULL;
	m->inside++; /* what ends at once is given back later: no end inside of an end */
	while ((task = order_next(itl)))
		scsi_command_begin(task);
	m->inside--;
}
