/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTENDED COPY in its two forms and COPY OPERATION ABORT. The parameter list is taken apart in
 * copy_list.c, the data are moved in copy_move.c.
 */
#include "target/scsi/copy.h"

#include "common/own.h"

#include <string.h>

#define COPY_HEADER_1 16u /* EXTENDED COPY(LID1), SPC-4 6.5 */
#define COPY_HEADER_4 48u /* EXTENDED COPY(LID4), SPC-4 6.4 */

struct copy *copy_of(struct scsi_task *task)
{
	struct copy *c;

	if (!task->cmd || task->cmd->run != scsi_cmd_copy || !task->work_buf)
		return NULL;
	c = (struct copy *)(void *)task->work_buf->data;
	return c->running ? c : NULL;
}

struct copy *copy_find(const struct scsi_task *task, uint32_t id)
{
	list_for_each (it, &task->nexus->tasks) {
		struct copy *c = copy_of(container_of(it, struct scsi_task, node));

		if (c && c->has_id && c->id == id && c->task->lun == task->lun)
			return c;
	}
	return NULL;
}

static void copy_begin(struct scsi_task *task)
{
	struct copy *c;

	_Static_assert(sizeof(struct copy) <= 2 * SCSI_REPLY_MAX, "a copy is a small buffer");
	if (!copy_past_room(task->nexus)) {
		scsi_task_busy(task);
		return;
	}
	if (!scsi_task_work(task, sizeof *c))
		return;
	c = (struct copy *)(void *)task->work_buf->data;
	memset(c, 0, sizeof *c);
	c->task = task;
	if (!copy_list_take(c))
		return;
	/* SPC-4 5.17.4.2: an identifier stands for one copy of an I_T nexus at a time */
	if (c->has_id && copy_find(task, c->id)) {
		scsi_task_fail(task, SENSE_OPERATION_IN_PROGRESS);
		return;
	}
	copy_move_start(c);
}

void scsi_cmd_copy(struct scsi_task *task)
{
	uint32_t len = be32_load(task->cdb + 10);
	uint32_t header = task->cmd->action == 0x00 ? COPY_HEADER_1 : COPY_HEADER_4;

	task->want_out = len;
	if (len == 0) { /* SPC-4 6.4.1: no data to be transferred is not an error */
		scsi_task_good(task);
		return;
	}
	if (len > task->out_room)
		len = task->out_room;
	if (len < header || len > header + COPY_LIST_MAX) /* SPC-4 6.4.1 */
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, copy_begin);
}

/* SPC-4 6.3: it is answered when no data of the copy can land any more. */
void scsi_cmd_copy_abort(struct scsi_task *task)
{
	struct copy *c = copy_find(task, be32_load(task->cdb + 2));

	if (!c) {
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (c->stopper) {
		scsi_task_busy(task);
		return;
	}
	c->stop = true;
	c->stopper = task;
}
