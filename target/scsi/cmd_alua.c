/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT and SET TARGET PORT GROUPS: asymmetric logical unit access, SPC-4 5.15. Each target port
 * is a group of its own, whose identifier is the port's; its state holds for every unit that is
 * reached through it.
 *
 * SET TARGET PORT GROUPS, step[0]: descriptor at hand; step[1]: the target whose state has changed.
 */
#include "target/scsi/alua.h"

#include "target/scsi/command.h"
#include "target/scsi/tell.h"

#include "common/own.h"

#define GROUP_HEADER     4u
#define GROUP_DESCRIPTOR 4u  /* of SET TARGET PORT GROUPS */
#define GROUP_LEN        12u /* of REPORT TARGET PORT GROUPS, with its one port */
#define GROUPS_MAX       ((SCSI_REPLY_MAX - 8u) / GROUP_LEN)
#define GROUP_EXTENDED   0x20 /* PARAMETER DATA FORMAT 001b, byte 1 of the CDB */
#define GROUP_SUPPORTED  0x8f /* T_SUP, U_SUP, S_SUP, AN_SUP, AO_SUP */
#define SET_MAX          (256u * GROUP_DESCRIPTOR + GROUP_HEADER)

bool scsi_alua_admits(const struct scsi_task *task, enum scsi_sense *why)
{
	uint32_t state = scsi_alua_state(task->nexus->target);
	unsigned flags = task->cmd->flags;

	switch (state) {
	case ALUA_STANDBY: /* SPC-4 5.15.2.4.4 */
		*why = SENSE_PORT_STANDBY;
		return !(flags & (CMD_MEDIUM | CMD_WRITES));
	case ALUA_UNAVAILABLE: /* SPC-4 5.15.2.4.5 */
		*why = SENSE_PORT_UNAVAILABLE;
		return flags & (CMD_ALWAYS | CMD_UNAVAILABLE);
	case ALUA_TRANSITIONING: /* SPC-4 5.15.2.5 */
		*why = SENSE_PORT_TRANSITION;
		return flags & (CMD_ALWAYS | CMD_UNAVAILABLE);
	default:
		return true;
	}
}

/* ---- REPORT TARGET PORT GROUPS, SPC-4 6.37 ---- */

static void put_group(struct span_writer *w, const struct scsi_target *target)
{
	uint32_t word = __atomic_load_n(&target->alua, __ATOMIC_ACQUIRE);

	span_put8(w, (uint8_t)(word & 0x0f)); /* PREF 0: none is better than another */
	span_put8(w, GROUP_SUPPORTED);
	span_put16(w, target->rel_port); /* TARGET PORT GROUP */
	span_put8(w, 0);
	span_put8(w, (uint8_t)(word >> 8)); /* STATUS CODE */
	span_put8(w, 0);
	span_put8(w, 1); /* TARGET PORT COUNT */
	span_put16(w, 0);
	span_put16(w, target->rel_port);
}

void scsi_cmd_report_groups(struct scsi_task *task)
{
	unsigned count = 0;
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	span_put32(&w, 0);
	if (task->cdb[1] & GROUP_EXTENDED) {
		span_put8(&w, 0x10);
		span_fill(&w, 0, 3); /* IMPLICIT TRANSITION TIME: none is told */
	}
	scsi_domain_lock(task->nexus->domain);
	list_for_each (it, &task->nexus->domain->targets) {
		const struct scsi_target *target = container_of(it, struct scsi_target, node);

		if (scsi_map_has(scsi_map_of(target), task->lun) && count++ < GROUPS_MAX)
			put_group(&w, target);
	}
	scsi_domain_unlock(task->nexus->domain);
	span_patch32(&w, 0, (uint32_t)w.want - 4);
	scsi_reply_end(task, &w, be32_load(task->cdb + 6));
}

/* ---- SET TARGET PORT GROUPS, SPC-4 6.45 ---- */

/* The target whose group it is, if the unit is reached through it. */
static struct scsi_target *find_group(const struct scsi_task *task, uint16_t group)
{
	struct scsi_target *found = NULL;

	scsi_domain_lock(task->nexus->domain);
	list_for_each (it, &task->nexus->domain->targets) {
		struct scsi_target *target = container_of(it, struct scsi_target, node);

		if (target->rel_port == group && scsi_map_has(scsi_map_of(target), task->lun))
			found = target;
	}
	scsi_domain_unlock(task->nexus->domain);
	return found;
}

static bool set_check(struct scsi_task *task, uint32_t at, const uint8_t d[GROUP_DESCRIPTOR])
{
	unsigned state = d[0] & 0x0f;

	if (state > ALUA_UNAVAILABLE) { /* transitioning cannot be asked for */
		scsi_task_fail_list(task, at, 3);
		return false;
	}
	if (!find_group(task, be16_load(d + 2))) {
		scsi_task_fail_list(task, at + 2, 7);
		return false;
	}
	return true;
}

/* ASYMMETRIC ACCESS STATE CHANGED is for every unit that is reached through the changed port, on
 * all nexuses that reach it (SPC-4 5.15.2.8). */
static bool set_concerns(
	const struct scsi_task *task, const struct scsi_nexus *nexus, const struct scsi_lun *lun)
{
	const struct scsi_target *changed = (const struct scsi_target *)(uintptr_t)task->step[1];

	return nexus != task->nexus && scsi_map_has(scsi_map_of(changed), lun);
}

static void set_next(struct scsi_task *task)
{
	uint8_t d[GROUP_DESCRIPTOR];

	while (scsi_task_copy_out(
		task, (uint32_t)(GROUP_HEADER + task->step[0] * GROUP_DESCRIPTOR), d, sizeof d)) {
		struct scsi_target *target = find_group(task, be16_load(d + 2));

		task->step[0]++;
		/* the unit may have left that target while others were told */
		if (!target || !scsi_alua_change(target, d[0] & 0x0f, ALUA_EXPLICIT))
			continue;
		log_info("scsi: asymmetric access state changed", "target=%s state=%u by=%s",
			target->iqn, d[0] & 0x0fu, task->nexus->initiator);
		task->step[1] = (uintptr_t)target;
		scsi_tell_those(task, UA_ACCESS_CHANGED, set_concerns, set_next);
		return;
	}
	scsi_task_good(task);
}

static void set_list(struct scsi_task *task)
{
	uint8_t d[GROUP_DESCRIPTOR];

	for (uint32_t at = GROUP_HEADER; at < task->out_len; at += GROUP_DESCRIPTOR) {
		if (!scsi_task_copy_out(task, at, d, sizeof d)) {
			scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
			return;
		}
		if (!set_check(task, at, d))
			return;
	}
	task->step[0] = 0;
	set_next(task);
}

void scsi_cmd_set_groups(struct scsi_task *task)
{
	uint32_t len = be32_load(task->cdb + 6);

	task->want_out = len;
	if (scsi_alua_state(task->nexus->target) == ALUA_TRANSITIONING)
		scsi_task_fail(task, SENSE_PORT_TRANSITION); /* SPC-4 5.15.2.5 */
	else if (len == 0)                                   /* SPC-4 6.45: no change, no error */
		scsi_task_good(task);
	else if (len < GROUP_HEADER || len > SET_MAX || len > task->out_room)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, set_list);
}

/* ---- the state ---- */

uint32_t scsi_alua_state(const struct scsi_target *target)
{
	return __atomic_load_n(&target->alua, __ATOMIC_ACQUIRE) & 0x0f;
}

bool scsi_alua_change(struct scsi_target *target, uint32_t state, enum scsi_alua_cause cause)
{
	uint32_t old =
		__atomic_exchange_n(&target->alua, state | (uint32_t)cause << 8, __ATOMIC_ACQ_REL);

	return (old & 0x0f) != state;
}

static void alua_each(struct scsi_everywhere *e, struct loop *loop)
{
	const struct scsi_alua *a = container_of(e, struct scsi_alua, everywhere);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		for (unsigned i = 0; i < nexus->itl_count; i++)
			if (scsi_map_has(scsi_map_of(a->target), nexus->itl[i].lun))
				scsi_nexus_attention(nexus, nexus->itl[i].lun, UA_ACCESS_CHANGED);
	}
}

static void alua_done(struct scsi_everywhere *e)
{
	struct scsi_alua *a = container_of(e, struct scsi_alua, everywhere);

	a->done(a);
}

void scsi_alua_submit(struct scsi_alua *a)
{
	scsi_alua_change(a->target, a->state, ALUA_IMPLICIT);
	a->everywhere.each = alua_each;
	a->everywhere.done = alua_done;
	scsi_everywhere(a->target->domain, &a->everywhere);
}
