/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management. A function visits the loops that it concerns, marks the tasks there, and leaves
 * a loop when the last marked one is gone; the answer goes out when it has left all of them, so no
 * aborted write can land after it (SAM-5 7.1, RFC 7143 4.2.3.3).
 */
#include "target/scsi/nexus.h"

#include "target/scsi/command.h"
#include "target/scsi/reservation.h"
#include "target/scsi/sense.h"
#include "target/scsi/unit.h"

#include "common/own.h"
#include "common/trace.h"

static struct scsi_tmf *tmf_of(struct scsi_everywhere *e)
{
	return container_of(e, struct scsi_tmf, everywhere);
}

/* Whether `task` is one that the function works on. The task's nexus may be another one's. */
static bool tmf_concerns(const struct scsi_tmf *tmf, const struct scsi_task *task)
{
	bool mine = task->nexus == tmf->nexus;

	if (task == tmf->keep)
		return false;
	switch (tmf->function) {
	case SCSI_TMF_ABORT_TASK: /* SAM-5 7.2 */
	case SCSI_TMF_QUERY_TASK: /* SAM-5 7.8 */
		return mine && task->tag == tmf->tag && task->lun == tmf->lun;
	case SCSI_TMF_ABORT_TASK_SET: /* SAM-5 7.3 */
	case SCSI_TMF_CLEAR_TASK_SET: /* SAM-5 7.5; the task set is the nexus's own (TST 001b) */
	case SCSI_TMF_QUERY_TASK_SET: /* SAM-5 7.9 */
		return mine && task->lun == tmf->lun;
	case SCSI_TMF_LUN_RESET: /* SAM-5 7.7 */
		return task->lun == tmf->lun && (tmf->lun || mine);
	case SCSI_TMF_TARGET_RESET: /* RFC 7143 11.5.1: a reset of every logical unit */
		return task->lun ? scsi_map_has(tmf->map, task->lun) : mine;
	case SCSI_TMF_ABORT_CHOSEN: /* those of the copy manager end with the port's */
		return mine && task->ops == task->nexus->ops && tmf->chosen(tmf, task);
	default:
		return false;
	}
}

/* Tasks on this loop that are marked and concern the function. */
static bool tmf_waits(const struct scsi_tmf *tmf, const struct scsi_member *m)
{
	list_for_each (n, &m->nexuses) {
		const struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		list_for_each (t, &nexus->tasks) {
			const struct scsi_task *task = container_of(t, struct scsi_task, node);

			if (task->abort_wanted && tmf_concerns(tmf, task))
				return true;
		}
	}
	return false;
}

/* Marks what the function concerns. */
static void tmf_mark(struct scsi_tmf *tmf, struct scsi_nexus *nexus)
{
	list_for_each_safe (t, &nexus->tasks) {
		struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (!tmf_concerns(tmf, task))
			continue;
		/* RFC 7143 7.6: the next command of each I_T_L nexus concerned tells of it */
		if (tmf->function == SCSI_TMF_ABORT_CHOSEN && task->itl && task->itl->lun)
			scsi_itl_attention(task->itl, UA_PROTOCOL_CLEARED);
		scsi_task_abort(task);
	}
}

static void attention_for_all(const struct scsi_tmf *tmf, struct scsi_nexus *nexus, uint16_t code)
{
	for (unsigned i = 0; i < nexus->itl_count; i++) {
		struct scsi_lun *lun = nexus->itl[i].lun;

		if (tmf->function == SCSI_TMF_TARGET_RESET ? scsi_map_has(tmf->map, lun)
							   : lun == tmf->lun)
			scsi_nexus_attention(nexus, lun, code);
	}
}

/* What a reset of the unit undoes of this nexus and of the unit itself (SAM-5 6.3.3). */
static void reset_units(const struct scsi_tmf *tmf, struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < nexus->itl_count; i++) {
		struct scsi_itl *itl = &nexus->itl[i];

		if (tmf->function == SCSI_TMF_TARGET_RESET ? !scsi_map_has(tmf->map, itl->lun)
							   : itl->lun != tmf->lun)
			continue;
		scsi_itl_allow(itl);
		scsi_lun_reset(itl->lun);
		if (tmf->function == SCSI_TMF_TARGET_RESET) /* SAM-5 6.3.2 */
			scsi_orwrite_reset(itl->lun);
	}
}

/* The unit attentions that SAM-5 5.14 wants of it. */
static void tmf_attend(struct scsi_tmf *tmf, struct scsi_nexus *nexus)
{
	switch (tmf->function) {
	case SCSI_TMF_LUN_RESET: /* SAM-5 6.3.3 */
		reset_units(tmf, nexus);
		attention_for_all(tmf, nexus, UA_DEVICE_RESET);
		break;
	case SCSI_TMF_TARGET_RESET: /* SAM-5 6.3.2 */
		reset_units(tmf, nexus);
		attention_for_all(tmf, nexus, UA_BUS_RESET);
		break;
	default:
		break;
	}
}

static bool tmf_resets(const struct scsi_tmf *tmf)
{
	return tmf->result == SCSI_TMF_COMPLETE &&
	       (tmf->function == SCSI_TMF_LUN_RESET || tmf->function == SCSI_TMF_TARGET_RESET);
}

static bool tmf_held(struct scsi_everywhere *e, const struct scsi_member *m)
{
	return tmf_waits(tmf_of(e), m);
}

static void tmf_each(struct scsi_everywhere *e, struct loop *loop);

/* Others wait in the same list, who need the tasks' end, and so does ABORT_CHOSEN. */
static bool tmf_gives_up(struct scsi_everywhere *e)
{
	return e->each == tmf_each && tmf_of(e)->function != SCSI_TMF_ABORT_CHOSEN;
}

/* The timer is for the one that waits longest. */
static void tmf_arm(struct scsi_member *m, uint64_t waited_ns)
{
	if (!m->patience.due_ns)
		loop_timer_set(m->loop, &m->patience,
			SCSI_TMF_PATIENCE_MS - (uint32_t)(waited_ns / 1000000));
}

static void tmf_hold(struct scsi_everywhere *e, struct scsi_member *m)
{
	struct scsi_everywhere_hop *hop = scsi_everywhere_hold(e, m->loop);

	hop->since_ns = loop_now_ns(m->loop);
	list_push(&m->held, &hop->node);
	if (tmf_gives_up(e))
		tmf_arm(m, 0);
}

static void tmf_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_tmf *tmf = tmf_of(e);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		tmf_mark(tmf, nexus);
		tmf_attend(tmf, nexus);
	}
	if (tmf_waits(tmf, m))
		tmf_hold(e, m);
}

/* A volume that hangs must not keep who asks waiting for ever: RFC 7143 11.6.1, "Function
 * rejected", by which an initiator goes on to the next means that it has. */
void scsi_tmf_overdue(struct loop_timer *timer)
{
	struct scsi_member *m = container_of(timer, struct scsi_member, patience);
	uint64_t now = loop_now_ns(m->loop);

	list_for_each_safe (it, &m->held) {
		struct scsi_everywhere_hop *hop =
			container_of(it, struct scsi_everywhere_hop, node);

		if (!tmf_gives_up(hop->e))
			continue;
		if (now - hop->since_ns < SCSI_TMF_PATIENCE_MS * 1000000ull) {
			tmf_arm(m, now - hop->since_ns);
			continue;
		}
		list_del(it);
		__atomic_store_n(&tmf_of(hop->e)->gave_up, true, __ATOMIC_RELAXED);
		scsi_everywhere_ready(hop);
	}
}

void scsi_tmf_recheck(struct scsi_member *m)
{
	list_for_each_safe (it, &m->held) {
		struct scsi_everywhere_hop *hop =
			container_of(it, struct scsi_everywhere_hop, node);

		if (hop->e->waits(hop->e, m))
			continue;
		list_del(it);
		scsi_everywhere_ready(hop);
	}
}

/* The units that a reset concerns, by number; NULL behind the last. */
static struct scsi_lun *tmf_unit(const struct scsi_tmf *tmf, unsigned at)
{
	if (tmf->function == SCSI_TMF_LUN_RESET)
		return at == 0 ? tmf->lun : NULL;
	return at < tmf->map->count ? tmf->map->entry[at].lun : NULL;
}

/* A unit without a task may be removed while the reset waits for those of others. */
static void tmf_keep(struct scsi_tmf *tmf, void (*what)(struct scsi_lun *lun))
{
	struct scsi_lun *lun;

	for (unsigned at = 0; tmf->keeps && (lun = tmf_unit(tmf, at)); at++)
		what(lun);
}

/* SPC-2 5.5.1: a reset ends what RESERVE has made; one unit after the other. */
static void tmf_end(void *arg)
{
	struct scsi_tmf *tmf = arg;
	struct scsi_lun *lun;

	while (tmf_resets(tmf) && (lun = tmf_unit(tmf, tmf->reset++)))
		if (scsi_res_reset(lun, tmf->everywhere.origin, tmf_end, tmf))
			return;
	tmf_keep(tmf, scsi_lun_put);
	scsi_map_put(tmf->map);
	trace_add(TRACE_task_management_end, tmf->function, tmf->result);
	tmf->done(tmf);
}

static void tmf_done(struct scsi_everywhere *e)
{
	struct scsi_tmf *tmf = tmf_of(e);

	if (__atomic_load_n(&tmf->gave_up, __ATOMIC_RELAXED))
		tmf->result = SCSI_TMF_REJECTED;
	tmf_end(tmf);
}

static void tmf_nothing(struct scsi_everywhere *e, struct loop *loop)
{
	(void)e;
	(void)loop;
}

static bool tmf_finds(const struct scsi_tmf *tmf)
{
	list_for_each (t, &tmf->nexus->tasks) {
		if (tmf_concerns(tmf, container_of(t, struct scsi_task, node)))
			return true;
	}
	return false;
}

/* Answers what needs no abort; SCSI_TMF_COMPLETE: nothing is known against going on. */
static enum scsi_tmf_result tmf_look(const struct scsi_tmf *tmf, const struct scsi_itl *itl)
{
	switch (tmf->function) {
	case SCSI_TMF_ABORT_TASK:
		return tmf_finds(tmf) ? SCSI_TMF_COMPLETE : SCSI_TMF_NO_TASK;
	case SCSI_TMF_QUERY_TASK:
	case SCSI_TMF_QUERY_TASK_SET:
		return tmf_finds(tmf) ? SCSI_TMF_SUCCEEDED : SCSI_TMF_COMPLETE;
	case SCSI_TMF_QUERY_ASYNC_EVENT: /* SAM-5 7.10 */
		return itl && itl->ua_count ? SCSI_TMF_SUCCEEDED : SCSI_TMF_COMPLETE;
	case SCSI_TMF_ABORT_TASK_SET:
	case SCSI_TMF_CLEAR_TASK_SET:
	case SCSI_TMF_LUN_RESET:
	case SCSI_TMF_TARGET_RESET:
	case SCSI_TMF_ABORT_CHOSEN:
		return SCSI_TMF_COMPLETE;
	}
	return SCSI_TMF_REJECTED;
}

static bool tmf_aborts(const struct scsi_tmf *tmf)
{
	return tmf->result == SCSI_TMF_COMPLETE && tmf->function != SCSI_TMF_QUERY_TASK &&
	       tmf->function != SCSI_TMF_QUERY_TASK_SET &&
	       tmf->function != SCSI_TMF_QUERY_ASYNC_EVENT;
}

static bool tmf_reaches_others(const struct scsi_tmf *tmf)
{
	return tmf_aborts(tmf) &&
	       (tmf->function == SCSI_TMF_LUN_RESET || tmf->function == SCSI_TMF_TARGET_RESET);
}

void scsi_tmf_submit(struct scsi_tmf *tmf)
{
	struct scsi_nexus *nexus = tmf->nexus;
	struct scsi_itl *itl = NULL;
	bool whole_target =
		tmf->function == SCSI_TMF_TARGET_RESET || tmf->function == SCSI_TMF_ABORT_CHOSEN;

	own_assert(nexus->magic == SCSI_NEXUS_MAGIC);
	trace_add(TRACE_task_management, tmf->function, tmf->tag);
	if (!whole_target)
		itl = scsi_nexus_find(nexus, tmf->lun_field);
	tmf->lun = itl ? itl->lun : NULL;
	tmf->map = nexus->map;
	scsi_map_get(tmf->map);
	if (!itl && !whole_target)
		tmf->result = SCSI_TMF_INCORRECT_LUN; /* SAM-5 7.1 */
	else
		tmf->result = tmf_look(tmf, itl);
	tmf->everywhere.each = tmf_aborts(tmf) ? tmf_each : tmf_nothing;
	tmf->everywhere.waits = tmf_held;
	tmf->everywhere.done = tmf_done;
	tmf->reset = 0;
	tmf->gave_up = false;
	tmf->keeps = tmf_reaches_others(tmf);
	tmf_keep(tmf, scsi_lun_get);
	scsi_everywhere_from(
		nexus->domain, nexus->loop, &tmf->everywhere, !tmf_reaches_others(tmf));
}
