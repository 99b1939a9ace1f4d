/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fences. The way of one: asked for on the home loop, which lets those that overlap wait for each
 * other in the order of asking; raised on every loop, each of which says when the writes are over
 * that it had in flight there; granted to the task; lowered by the home loop on every loop, where
 * the writes that waited go on. Because fences that overlap are never up at the same time, and what
 * waits for a fence is not at the volume yet, nothing waits in a circle.
 *
 * A task that ends early leaves its fence behind, which is taken down as soon as it is up. Nothing
 * fails but the memory for one.
 */
#include "target/scsi/fence.h"

#include "target/scsi/command.h"

#include "common/own.h"

/* One loop's side of a fence; that loop's, while the fence is up there. */
struct scsi_fence_side {
	struct scsi_fence *fence;
	struct scsi_fence_side *next;    /* in fences->side of the loop */
	struct list waiting;             /* scsi_task.wait: writes that came later */
	unsigned landing;                /* writes that were at the volume before, not done yet */
	struct scsi_everywhere_hop *hop; /* told when landing is 0 */
};

struct scsi_fence {
	struct list all;            /* in member->fences, from its making to the end */
	struct list node;           /* in fences->queue (home loop), or spare in its member */
	struct scsi_member *member; /* whose loop the task is on */
	struct scsi_fences *fences; /* of the volume */
	uint64_t from, to;          /* bytes of the volume */
	struct scsi_task *task;     /* the member's loop: for whom; NULL: given up */
	bool granted;               /* the member's loop: the task was told */
	bool raised;                /* the home loop: it is going up, or is up */
	struct loop_post post;      /* between home and the task's loop */
	struct scsi_everywhere everywhere;
	struct scsi_fence_side side[]; /* by place of the loop in the domain */
};

static struct scsi_fence *fence_of(struct scsi_everywhere *e)
{
	return container_of(e, struct scsi_fence, everywhere);
}

static struct scsi_fence *fence_of_post(struct loop_post *post)
{
	return container_of(post, struct scsi_fence, post);
}

static struct scsi_member *fence_home(const struct scsi_fence *f)
{
	return &f->fences->domain->member[0];
}

/* Goes on with `run` on the loop of `m`, now when that is where we are. */
static void fence_travel(struct scsi_fence *f, struct scsi_member *from, struct scsi_member *to,
	void (*run)(struct loop_post *post))
{
	f->post.run = run;
	if (from == to)
		run(&f->post);
	else
		loop_post(to->loop, &f->post);
}

/* ---- what the units of a volume share ---- */

static void fences_hold(struct scsi_fences *fences)
{
	__atomic_add_fetch(&fences->users, 1, __ATOMIC_RELAXED);
}

struct scsi_fences *scsi_fences_get(struct scsi_domain *domain, struct vol *vol)
{
	struct scsi_fences *fences = NULL;

	scsi_domain_lock(domain);
	list_for_each (it, &domain->luns) {
		struct scsi_lun *lun = container_of(it, struct scsi_lun, node);

		if (lun->vol == vol)
			fences = lun->fences;
	}
	if (fences)
		fences_hold(fences);
	scsi_domain_unlock(domain);
	if (fences)
		return fences;
	fences = own_calloc(1, sizeof *fences);
	fences->domain = domain;
	fences->users = 1;
	list_init(&fences->queue);
	return fences;
}

void scsi_fences_put(struct scsi_fences *fences)
{
	if (__atomic_sub_fetch(&fences->users, 1, __ATOMIC_ACQ_REL) == 0)
		free(fences);
}

/* ---- one loop's side ---- */

/* A request of the task changes some of [from, to), and is at the volume. */
static bool fence_crossed(const struct scsi_fence *f, const struct scsi_task *task)
{
	return task->write_from < f->to && f->from < task->write_to;
}

/* Writes of the range that are at the volume on this loop. They keep no books of their own: a fence
 * is rare, a write is not. */
static unsigned fence_count(const struct scsi_fence *f, const struct scsi_member *m)
{
	unsigned count = 0;

	list_for_each (n, &m->nexuses) {
		const struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		list_for_each (t, &nexus->tasks) {
			const struct scsi_task *task = container_of(t, struct scsi_task, node);

			if (task->write_to && task->lun->fences == f->fences &&
				fence_crossed(f, task))
				count++;
		}
	}
	return count;
}

static void fence_raise_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_fence *f = fence_of(e);
	struct scsi_member *m = scsi_member_of(e->domain, loop);
	struct scsi_fence_side *side = &f->side[m->index];

	side->fence = f;
	side->next = f->fences->side[m->index];
	f->fences->side[m->index] = side;
	list_init(&side->waiting);
	side->landing = fence_count(f, m);
	if (side->landing)
		side->hop = scsi_everywhere_hold(e, loop);
}

static void fence_lower_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_fence *f = fence_of(e);
	struct scsi_member *m = scsi_member_of(e->domain, loop);
	struct scsi_fence_side *side = &f->side[m->index];
	struct scsi_fence_side **at = &f->fences->side[m->index];
	struct list *node;

	own_assert(!side->landing);
	while (*at != side)
		at = &(*at)->next;
	*at = side->next;
	while ((node = list_pop(&side->waiting))) {
		struct scsi_task *task = container_of(node, struct scsi_task, wait);

		own_assert(task->owner == SCSI_OWNER_FENCE);
		task->owner = SCSI_OWNER_SCSI;
		scsi_task_io_go(task, task->next); /* there may be another fence */
	}
}

bool scsi_fence_holds(struct scsi_task *task)
{
	const struct vol_io *io = &task->io;
	struct scsi_fence_side *side = task->lun->fences->side[task->nexus->member->index];

	while (side && (io->off >= side->fence->to || side->fence->from >= io->off + io->len))
		side = side->next;
	if (!side)
		return false;
	task->owner = SCSI_OWNER_FENCE;
	list_push(&side->waiting, &task->wait);
	return true;
}

void scsi_fence_landed(struct scsi_task *task)
{
	struct scsi_fence_side *side = task->lun->fences->side[task->nexus->member->index];

	for (; side; side = side->next)
		if (side->landing && fence_crossed(side->fence, task) && --side->landing == 0)
			scsi_everywhere_ready(own_take(side->hop));
}

/* ---- the home loop ---- */

/* Nobody who asked earlier has some of the range. */
static bool fence_is_free(const struct scsi_fence *f)
{
	list_for_each (n, &f->fences->queue) {
		const struct scsi_fence *other = container_of(n, struct scsi_fence, node);

		if (other == f)
			break;
		if (other->from < f->to && f->from < other->to)
			return false;
	}
	return true;
}

static void fence_granted(struct loop_post *post);

static void fence_raised(struct scsi_everywhere *e)
{
	struct scsi_fence *f = fence_of(e);

	fence_travel(f, fence_home(f), f->member, fence_granted);
}

static void fence_raise(struct scsi_fence *f)
{
	f->raised = true;
	f->everywhere.each = fence_raise_each;
	f->everywhere.done = fence_raised;
	scsi_everywhere_from(f->fences->domain, fence_home(f)->loop, &f->everywhere, false);
}

static void fence_asked(struct loop_post *post)
{
	struct scsi_fence *f = fence_of_post(post);

	list_push(&f->fences->queue, &f->node);
	if (fence_is_free(f))
		fence_raise(f);
}

static void fence_over(struct loop_post *post)
{
	struct scsi_fence *f = fence_of_post(post);

	list_push_front(&f->member->spare, &f->node);
}

static void fence_lowered(struct scsi_everywhere *e)
{
	struct scsi_fence *f = fence_of(e);
	struct scsi_member *home = fence_home(f);

	scsi_fences_put(own_take(f->fences)); /* its unit may be gone already */
	fence_travel(f, home, f->member, fence_over);
}

/* Posts arrive in the order of posting, so on every loop this one is down before the next is up. */
static void fence_lower(struct loop_post *post)
{
	struct scsi_fence *f = fence_of_post(post);
	struct scsi_fences *fences = f->fences;

	list_del(&f->node);
	f->everywhere.each = fence_lower_each;
	f->everywhere.done = fence_lowered;
	scsi_everywhere_from(fences->domain, fence_home(f)->loop, &f->everywhere, false);
	list_for_each (n, &fences->queue) {
		struct scsi_fence *next = container_of(n, struct scsi_fence, node);

		if (!next->raised && fence_is_free(next))
			fence_raise(next);
	}
}

/* ---- the task's loop ---- */

static void fence_granted(struct loop_post *post)
{
	struct scsi_fence *f = fence_of_post(post);
	struct scsi_task *task = f->task;

	if (!task) {
		fence_travel(f, f->member, fence_home(f), fence_lower);
		return;
	}
	f->granted = true;
	own_assert(task->fence == f);
	if (task->owner != SCSI_OWNER_FENCE) { /* aborted in this turn, and given back at its end */
		own_assert(task->abort_wanted);
		return;
	}
	task->owner = SCSI_OWNER_SCSI;
	task->next(task);
}

void scsi_fence_drop(struct scsi_task *task)
{
	struct scsi_fence *f = own_take(task->fence);

	f->task = NULL;
	if (f->granted)
		fence_travel(f, f->member, fence_home(f), fence_lower);
}

static struct scsi_fence *fence_get(struct scsi_member *m)
{
	struct list *node = list_pop(&m->spare);
	struct scsi_fence *f;

	if (node)
		return container_of(node, struct scsi_fence, node);
	f = calloc(1, sizeof *f + m->domain->count * sizeof f->side[0]);
	if (!f)
		return NULL;
	f->member = m;
	list_init(&f->node);
	list_push(&m->fences, &f->all);
	return f;
}

void scsi_fence_take(
	struct scsi_task *task, uint64_t lba, uint64_t blocks, void (*next)(struct scsi_task *task))
{
	struct scsi_fence *f = fence_get(task->nexus->member);

	own_assert(!task->fence && blocks && task->owner == SCSI_OWNER_SCSI);
	if (!f) {
		scsi_task_busy(task);
		return;
	}
	f->fences = task->lun->fences;
	fences_hold(f->fences);
	f->from = scsi_task_bytes(task, lba);
	f->to = f->from + scsi_task_bytes(task, blocks);
	f->task = task;
	f->granted = f->raised = false;
	task->fence = f;
	task->next = next;
	task->owner = SCSI_OWNER_FENCE;
	fence_travel(f, f->member, fence_home(f), fence_asked);
}

void scsi_fence_fini(struct scsi_member *m)
{
	struct list *node;

	while ((node = list_pop(&m->fences))) {
		struct scsi_fence *f = container_of(node, struct scsi_fence, all);

		if (f->fences) /* it was on its way when the loops were stopped */
			scsi_fences_put(f->fences);
		free(f);
	}
}
