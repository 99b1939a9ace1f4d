/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the other nexuses: one visit of every loop, then the task goes on.
 */
#include "target/scsi/tell.h"

#include "target/scsi/command.h"

#include "common/own.h"

struct tell {
	struct scsi_everywhere everywhere;
	struct scsi_task *task;
	const struct scsi_target *target; /* only nexuses of it, or NULL */
	uint16_t code;
	void (*next)(struct scsi_task *task);
};

static bool tell_concerns(const struct tell *t, const struct scsi_nexus *nexus)
{
	if (nexus == t->task->nexus)
		return false;
	return !t->target || nexus->target == t->target;
}

static void tell_each(struct scsi_everywhere *e, struct loop *loop)
{
	const struct tell *t = container_of(e, struct tell, everywhere);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		if (tell_concerns(t, nexus))
			scsi_nexus_attention(nexus, t->task->lun, t->code);
	}
}

static void tell_done(struct scsi_everywhere *e)
{
	struct tell *t = container_of(e, struct tell, everywhere);
	struct scsi_task *task = t->task;
	void (*next)(struct scsi_task * task) = t->next;

	free(t);
	if (task->abort_wanted)
		scsi_task_end(task);
	else
		next(task);
}

void scsi_tell_target(struct scsi_task *task, const struct scsi_target *target, uint16_t code,
	void (*next)(struct scsi_task *task))
{
	struct tell *t = calloc(1, sizeof *t);

	if (!t) {
		scsi_task_busy(task);
		return;
	}
	t->task = task;
	t->target = target;
	t->code = code;
	t->next = next;
	t->everywhere.each = tell_each;
	t->everywhere.done = tell_done;
	scsi_everywhere_from(task->nexus->domain, task->nexus->loop, &t->everywhere, false);
}

void scsi_tell_others(struct scsi_task *task, uint16_t code, void (*next)(struct scsi_task *task))
{
	scsi_tell_target(task, NULL, code, next);
}
