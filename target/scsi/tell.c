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
	uint16_t code;
	bool (*concerns)(const struct scsi_task *task, const struct scsi_nexus *nexus,
		const struct scsi_lun *lun);
	void (*next)(struct scsi_task *task);
};

static void tell_nexus(const struct tell *t, struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < nexus->itl_count; i++)
		if (t->concerns(t->task, nexus, nexus->itl[i].lun))
			scsi_nexus_attention(nexus, nexus->itl[i].lun, t->code);
}

static void tell_each(struct scsi_everywhere *e, struct loop *loop)
{
	const struct tell *t = container_of(e, struct tell, everywhere);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		tell_nexus(t, container_of(n, struct scsi_nexus, node));
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

void scsi_tell_those(struct scsi_task *task, uint16_t code,
	bool (*concerns)(const struct scsi_task *task, const struct scsi_nexus *nexus,
		const struct scsi_lun *lun),
	void (*next)(struct scsi_task *task))
{
	struct tell *t = calloc(1, sizeof *t);

	if (!t) {
		scsi_task_busy(task);
		return;
	}
	t->task = task;
	t->code = code;
	t->concerns = concerns;
	t->next = next;
	t->everywhere.each = tell_each;
	t->everywhere.done = tell_done;
	scsi_everywhere_from(task->nexus->domain, task->nexus->loop, &t->everywhere, false);
}

static bool others(
	const struct scsi_task *task, const struct scsi_nexus *nexus, const struct scsi_lun *lun)
{
	return nexus != task->nexus && lun == task->lun;
}

void scsi_tell_others(struct scsi_task *task, uint16_t code, void (*next)(struct scsi_task *task))
{
	scsi_tell_those(task, code, others, next);
}
