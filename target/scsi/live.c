/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes at run time. A new map is published first, for nexuses to come; then each loop moves its
 * nexuses over: the state of an I_T_L nexus goes to its place in the new map, and tasks follow it.
 * What belongs to a LUN that is gone is kept aside until its last task has ended. When every loop
 * has done so nobody has the old map any more, but for task management that keeps a share of it.
 *
 * Memory that is not there ends the process: whoever runs the server asked for it, not a peer.
 */
#include "target/scsi/live.h"

#include "target/scsi/flow.h"
#include "target/scsi/ghost.h"
#include "target/scsi/order.h"
#include "target/scsi/reservation.h"
#include "target/scsi/unit.h"

#include "common/own.h"

#include <errno.h>
#include <string.h>

/* The fence of a task that has ended is on its way to the home loop, from there to every loop, and
 * back: after so many visits of all loops it has forgotten the unit. */
#define FENCE_ROUNDS 3u

/* An I_T_L nexus whose LUN is gone. */
struct live_gone {
	struct list node;
	const struct scsi_nexus *nexus; /* compared only */
	struct scsi_itl itl;
};

static struct scsi_change *change_of(struct scsi_everywhere *e)
{
	return container_of(e, struct scsi_change, everywhere);
}

static bool change_begin(struct scsi_change *c, struct scsi_domain *domain)
{
	if (__atomic_exchange_n(&domain->changing, true, __ATOMIC_ACQUIRE))
		return false;
	c->domain = domain;
	c->left = false;
	c->rounds = 0;
	c->changed = -1;
	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++)
		list_init(&c->gone[i]);
	return true;
}

static void change_end(struct scsi_change *c)
{
	__atomic_store_n(&c->domain->changing, false, __ATOMIC_RELEASE);
}

static void change_done(struct scsi_everywhere *e)
{
	struct scsi_change *c = change_of(e);

	change_end(c);
	c->done(c);
}

/* ---- maps ---- */

/* The state of an I_T_L nexus at another place; its tasks are told later. */
static void itl_move(struct scsi_itl *to, struct scsi_itl *from)
{
	*to = *from;
	list_init(&to->dormant);
	list_splice(&to->dormant, &from->dormant);
}

static void tasks_follow(struct scsi_nexus *nexus, struct scsi_itl *from, struct scsi_itl *to)
{
	list_for_each (t, &nexus->tasks) {
		struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (task->itl == from)
			task->itl = to;
	}
}

/* SAM-5 5.11: what waits for data-out is answered as if it came now; an initiator that never sends
 * it would hold the unit for ever. */
static void tasks_leave(struct scsi_nexus *nexus, const struct scsi_itl *itl)
{
	list_for_each_safe (t, &nexus->tasks) {
		struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (task->itl == itl && task->ops == nexus->ops) /* a copy's own need no one */
			scsi_task_evict(task);
	}
}

/* Sets aside what belongs to a LUN that is gone. */
static void itl_leaves(struct scsi_change *c, struct scsi_nexus *nexus, struct scsi_itl *itl)
{
	unsigned place = nexus->member->index;
	struct live_gone *gone = own_calloc(1, sizeof *gone);

	scsi_itl_allow(itl); /* SBC-3 4.15 */
	gone->nexus = nexus;
	itl_move(&gone->itl, itl);
	gone->itl.gone = true;
	tasks_follow(nexus, itl, &gone->itl);
	tasks_leave(nexus, &gone->itl);
	list_push(&c->gone[place], &gone->node);
}

/* The state of an I_T_L nexus that stays, in the new map. */
static void itl_stays(
	struct scsi_change *c, struct scsi_itl *itl, const struct scsi_map_entry *entry)
{
	bool changed = c->changed == entry->number;

	itl->readonly = scsi_entry_readonly(entry);
	scsi_itl_attention(itl, changed ? UA_MODE_CHANGED : UA_LUNS_CHANGED);
}

/* SPC-4 6.33: REPORTED LUNS DATA HAS CHANGED, at LUNs that were there before. */
static void nexus_move(struct scsi_change *c, struct scsi_nexus *nexus)
{
	struct scsi_itl *old = nexus->itl;
	unsigned count = c->map->count;
	struct scsi_itl *itl = own_calloc(count + 1, sizeof *itl);

	for (unsigned i = 0; i < count; i++) {
		int was = scsi_map_place(c->old, c->map->entry[i].number);

		if (was < 0) {
			scsi_itl_init(nexus, &itl[i], &c->map->entry[i]);
			continue;
		}
		itl_move(&itl[i], &old[was]);
		tasks_follow(nexus, &old[was], &itl[i]);
		if (c->changed < 0 || c->changed == c->map->entry[i].number)
			itl_stays(c, &itl[i], &c->map->entry[i]);
	}
	for (unsigned i = 0; i < nexus->itl_count; i++)
		if (scsi_map_place(c->map, c->old->entry[i].number) < 0)
			itl_leaves(c, nexus, &old[i]);
	nexus->itl = itl;
	nexus->itl_count = count;
	nexus->map = c->map;
	free(old);
	scsi_ghost_look(nexus);
	scsi_res_joined(nexus);
}

/* Its last task has ended, which may have been a RESERVE, or have prevented medium removal: that
 * ends with the LUN, too (SPC-2 5.5.1, SBC-3 4.15). */
static void gone_free(struct scsi_change *c, const struct scsi_member *m, struct live_gone *g)
{
	scsi_itl_allow(&g->itl);
	if (scsi_res_view(g->itl.lun->res, m)->spc2 == g->nexus)
		__atomic_store_n(&c->left, true, __ATOMIC_RELAXED);
	list_del(&g->node);
	scsi_flow_free(g->itl.flow);
	free(g);
}

/* Whether a LUN that is gone has tasks yet on this loop; what has none is freed. */
static bool map_waits(struct scsi_everywhere *e, const struct scsi_member *m)
{
	struct list *gone = &change_of(e)->gone[m->index];

	list_for_each_safe (it, gone) {
		struct live_gone *g = container_of(it, struct live_gone, node);

		if (!g->itl.tasks)
			gone_free(change_of(e), m, g);
	}
	return !list_empty(gone);
}

static void map_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_change *c = change_of(e);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		if (nexus->target == c->target && nexus->map == c->old)
			nexus_move(c, nexus);
	}
	if (map_waits(e, m))
		list_push(&m->held, &scsi_everywhere_hold(e, loop)->node);
}

static void map_over(void *arg)
{
	struct scsi_change *c = arg;

	scsi_map_put(c->old);
	change_done(&c->everywhere);
}

static void visit_only(struct scsi_everywhere *e, struct loop *loop)
{
	(void)e;
	(void)loop;
}

/* SPC-2 5.5.1: who had reserved the unit cannot release it any more. */
static void map_done(struct scsi_everywhere *e)
{
	struct scsi_change *c = change_of(e);

	if (c->rounds) {
		c->rounds--;
		e->each = visit_only;
		scsi_everywhere_from(c->domain, e->origin, e, false);
		return;
	}
	if (c->left && scsi_res_reset(c->lun, e->origin, map_over, c))
		return;
	map_over(c);
}

/* Publishes the map that `change` was made for. */
static void map_publish(struct scsi_change *c, struct scsi_map *map)
{
	c->map = map;
	__atomic_store_n(&c->target->map, map, __ATOMIC_RELEASE);
	c->everywhere.each = map_each;
	c->everywhere.waits = map_waits;
	c->everywhere.done = map_done;
	scsi_everywhere(c->domain, &c->everywhere);
}

/* A copy of the target's map, to be changed. NULL: another change is under way. */
static struct scsi_map *map_copy(struct scsi_change *c, struct scsi_target *target)
{
	struct scsi_map *map;

	if (!change_begin(c, target->domain))
		return NULL;
	c->target = target;
	c->old = target->map;
	map = own_calloc(1, sizeof *map);
	map->refs = 1; /* the other's change meanwhile */
	map->count = c->old->count;
	memcpy(map->slot, c->old->slot, sizeof map->slot);
	memcpy(map->entry, c->old->entry, sizeof map->entry);
	return map;
}

static int map_refuse(struct scsi_change *c, struct scsi_map *map, int err)
{
	free(map);
	change_end(c);
	return err;
}

int scsi_target_add(struct scsi_change *change, struct scsi_target *target, uint16_t number,
	struct scsi_lun *lun, bool readonly)
{
	struct scsi_map *map = map_copy(change, target);
	int err;

	if (!map)
		return -EBUSY;
	err = scsi_map_add(map, number, lun, readonly);
	if (err)
		return map_refuse(change, map, err);
	change->lun = lun;
	map_publish(change, map);
	return 0;
}

int scsi_target_protect(
	struct scsi_change *change, struct scsi_target *target, uint16_t number, bool readonly)
{
	struct scsi_map *map = map_copy(change, target);
	int at;

	if (!map)
		return -EBUSY;
	at = scsi_map_place(map, number);
	if (at < 0)
		return map_refuse(change, map, -ENOENT);
	if (map->entry[at].readonly == readonly)
		return map_refuse(change, map, -EALREADY);
	change->lun = map->entry[at].lun;
	change->changed = number;
	map->entry[at].readonly = readonly;
	map_publish(change, map);
	return 0;
}

int scsi_target_remove(struct scsi_change *change, struct scsi_target *target, uint16_t number)
{
	struct scsi_map *map = map_copy(change, target);
	int at;

	if (!map)
		return -EBUSY;
	at = scsi_map_place(map, number);
	if (at < 0)
		return map_refuse(change, map, -ENOENT);
	change->lun = map->entry[at].lun;
	change->rounds = FENCE_ROUNDS;
	scsi_map_remove(map, number);
	map_publish(change, map);
	return 0;
}

/* ---- sizes ---- */

/* Whether a command that was let pass reaches behind the end. */
static bool size_exceeded(const struct scsi_change *c, const struct scsi_task *task)
{
	if (task->lun != c->lun || task->owner == SCSI_OWNER_PORT || !task->cmd)
		return false;
	return task->cmd->lba.width && task->lba + task->blocks > c->blocks;
}

static bool size_waits(struct scsi_everywhere *e, const struct scsi_member *m)
{
	list_for_each (n, &m->nexuses) {
		const struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		list_for_each (t, &nexus->tasks) {
			if (size_exceeded(change_of(e), container_of(t, struct scsi_task, node)))
				return true;
		}
	}
	return false;
}

/* SBC-3 4.10: CAPACITY DATA HAS CHANGED for every I_T nexus. */
static void size_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_change *c = change_of(e);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	c->lun->blocks[m->index] = c->blocks;
	list_for_each (n, &m->nexuses) {
		scsi_nexus_attention(
			container_of(n, struct scsi_nexus, node), c->lun, UA_CAPACITY_CHANGED);
	}
	if (size_waits(e, m))
		list_push(&m->held, &scsi_everywhere_hold(e, loop)->node);
}

int scsi_lun_resized(struct scsi_change *change, struct scsi_lun *lun, uint64_t size)
{
	if (!size || (size & (lun->block_size - 1)))
		return -EINVAL;
	if (!change_begin(change, lun->domain))
		return -EBUSY;
	change->lun = lun;
	change->blocks = size >> lun->block_shift;
	change->everywhere.each = size_each;
	change->everywhere.waits = size_waits;
	change->everywhere.done = change_done;
	scsi_everywhere(change->domain, &change->everywhere);
	return 0;
}

/* ---- space ---- */

#define SHORT_AGAIN_NS (60ull * 1000 * 1000 * 1000)

struct live_short {
	struct scsi_everywhere everywhere;
	struct scsi_lun *lun;
};

static void short_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct live_short *s = container_of(e, struct live_short, everywhere);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		scsi_nexus_attention(
			container_of(n, struct scsi_nexus, node), s->lun, UA_THIN_THRESHOLD);
	}
}

static void short_done(struct scsi_everywhere *e)
{
	free(container_of(e, struct live_short, everywhere));
}

/* SBC-3 4.7.3.7: the threshold is told when it is crossed, not with each command. */
void scsi_lun_short(struct scsi_lun *lun, struct loop *loop, bool crossed)
{
	uint64_t now = loop_now_ns(loop);
	uint64_t told = __atomic_load_n(&lun->short_told_ns, __ATOMIC_RELAXED);
	struct live_short *s;

	if (!lun->thin)
		return;
	if (told && !crossed && now < told + SHORT_AGAIN_NS)
		return;
	if (!__atomic_compare_exchange_n(
		    &lun->short_told_ns, &told, now | 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	s = calloc(1, sizeof *s);
	if (!s)
		return;
	s->lun = lun;
	s->everywhere.each = short_each;
	s->everywhere.done = short_done;
	scsi_everywhere_from(lun->domain, loop, &s->everywhere, false);
}
