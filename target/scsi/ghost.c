/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ghosts are in a list of the domain, under its lock, which nobody takes who moves data: each loop
 * is visited when the list changes, and marks the I_T_L nexuses concerned.
 */
#include "target/scsi/ghost.h"

#include "target/scsi/command.h"
#include "target/scsi/copy.h"
#include "target/scsi/unit.h"

#include "common/own.h"

#include <string.h>

/* The requests of one nexus that one volume keeps. */
struct scsi_ghost {
	struct list node; /* in domain->ghosts */
	const struct scsi_nexus *nexus;
	const struct vol *vol;
	unsigned writes, reads; /* what does not write is a read */
};

/* A visit of all loops. */
struct ghost_round {
	struct scsi_everywhere everywhere;
	void (*then)(void *arg); /* or NULL */
	void *arg;
};

/* A third-party copy waits for commands of its own, which are looked at themselves, and who wants
 * it to stop waits for the copy. */
static bool ghost_copies(const struct scsi_nexus *nexus, const struct scsi_task *task)
{
	list_for_each (t, &nexus->tasks) {
		const struct copy *c = copy_of(container_of(t, struct scsi_task, node));

		if (c && (c->task == task || c->stopper == task))
			return true;
	}
	return false;
}

bool scsi_ghost_only(const struct scsi_nexus *nexus)
{
	list_for_each (t, &nexus->tasks) {
		const struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (task->owner != SCSI_OWNER_VOLUME && !ghost_copies(nexus, task))
			return false;
	}
	return true;
}

/* A copy's own tasks have rows too. */
static bool ghost_writes(const struct scsi_task *task)
{
	return !task->cmd || (task->cmd->flags & CMD_WRITES);
}

/* The host is what counts, whichever of its ports it comes by: "name,i,0xISID" (SPC-4 7.6.4.6). */
static bool ghost_same_host(const char *a, const char *b)
{
	size_t len = strcspn(a, ",");

	return strcspn(b, ",") == len && !memcmp(a, b, len);
}

/* Whether the host of this nexus is held up at the volume. Under the domain's lock. */
static bool ghost_concerns(const struct scsi_nexus *nexus, const struct vol *vol)
{
	unsigned reads = 0;

	list_for_each (it, &nexus->domain->ghosts) {
		const struct scsi_ghost *g = container_of(it, struct scsi_ghost, node);

		if (g->vol != vol || !ghost_same_host(g->nexus->initiator, nexus->initiator))
			continue;
		if (g->writes)
			return true;
		reads += g->reads;
	}
	return reads >= GHOST_READS_MOST;
}

void scsi_ghost_look(struct scsi_nexus *nexus)
{
	scsi_domain_lock(nexus->domain);
	for (unsigned i = 0; i < nexus->itl_count; i++) {
		struct scsi_itl *itl = &nexus->itl[i];

		itl->haunted = ghost_concerns(nexus, itl->lun->vol);
	}
	scsi_domain_unlock(nexus->domain);
}

/* ---- every loop ---- */

static void ghost_each(struct scsi_everywhere *e, struct loop *loop)
{
	list_for_each (n, &scsi_member_of(e->domain, loop)->nexuses) {
		scsi_ghost_look(container_of(n, struct scsi_nexus, node));
	}
}

static void ghost_told(struct scsi_everywhere *e)
{
	struct ghost_round *r = container_of(e, struct ghost_round, everywhere);

	if (r->then)
		r->then(r->arg);
	free(r);
}

static void ghost_tell(const struct scsi_nexus *nexus, void (*then)(void *arg), void *arg)
{
	struct ghost_round *r = own_calloc(1, sizeof *r);

	r->then = then;
	r->arg = arg;
	r->everywhere.each = ghost_each;
	r->everywhere.done = ghost_told;
	scsi_everywhere_from(nexus->domain, nexus->loop, &r->everywhere, false);
}

/* ---- the list ---- */

static struct scsi_ghost *ghost_find(const struct scsi_nexus *nexus, const struct vol *vol)
{
	list_for_each (it, &nexus->domain->ghosts) {
		struct scsi_ghost *g = container_of(it, struct scsi_ghost, node);

		if (g->nexus == nexus && g->vol == vol)
			return g;
	}
	return NULL;
}

static unsigned *ghost_count(struct scsi_ghost *g, const struct scsi_task *task)
{
	return ghost_writes(task) ? &g->writes : &g->reads;
}

static void ghost_add(const struct scsi_nexus *nexus, const struct scsi_task *task)
{
	const struct vol *vol = task->lun->vol;
	struct scsi_ghost *g = ghost_find(nexus, vol);

	if (!g) {
		g = own_calloc(1, sizeof *g);
		g->nexus = nexus;
		g->vol = vol;
		list_push(&nexus->domain->ghosts, &g->node);
	}
	++*ghost_count(g, task);
}

static void ghost_less(struct scsi_ghost *g, const struct scsi_task *task)
{
	--*ghost_count(g, task);
	if (g->writes || g->reads)
		return;
	list_del(&g->node);
	free(g);
}

unsigned scsi_ghost_part(struct scsi_nexus *nexus, void (*then)(void *nexus))
{
	unsigned count = 0;

	scsi_domain_lock(nexus->domain);
	list_for_each (t, &nexus->tasks) {
		const struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (task->lun)
			ghost_add(nexus, task);
		count++;
	}
	scsi_domain_unlock(nexus->domain);
	ghost_tell(nexus, then, nexus);
	return count;
}

void scsi_ghost_gone(const struct scsi_task *task)
{
	const struct scsi_nexus *nexus = task->nexus;
	struct scsi_ghost *g;
	bool opens;

	if (!task->lun)
		return;
	scsi_domain_lock(nexus->domain);
	g = ghost_find(nexus, task->lun->vol);
	own_assert(g);
	opens = ghost_concerns(nexus, task->lun->vol);
	ghost_less(g, task);
	opens = opens && !ghost_concerns(nexus, task->lun->vol);
	scsi_domain_unlock(nexus->domain);
	if (opens)
		ghost_tell(nexus, NULL, NULL);
}
