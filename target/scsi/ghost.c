/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ghosts are in a list of the domain, under its lock, which nobody takes who moves data: each loop
 * is visited when the list changes, and marks the I_T_L nexuses concerned.
 */
#include "target/scsi/ghost.h"

#include "target/scsi/command.h"
#include "target/scsi/unit.h"

#include "common/own.h"

#include <string.h>

/* The writes of one nexus that one volume keeps. */
struct scsi_ghost {
	struct list node; /* in domain->ghosts */
	const struct scsi_nexus *nexus;
	const struct vol *vol;
	unsigned writes;
};

/* A visit of all loops. */
struct ghost_round {
	struct scsi_everywhere everywhere;
	void (*then)(void *arg); /* or NULL */
	void *arg;
};

bool scsi_ghost_only(const struct scsi_nexus *nexus)
{
	list_for_each (t, &nexus->tasks) {
		if (container_of(t, struct scsi_task, node)->owner != SCSI_OWNER_VOLUME)
			return false;
	}
	return true;
}

/* A copy's own tasks have rows too. */
static bool ghost_writes(const struct scsi_task *task)
{
	return task->lun && (!task->cmd || (task->cmd->flags & CMD_WRITES));
}

/* The host is what counts, whichever of its ports it comes by: "name,i,0xISID" (SPC-4 7.6.4.6). */
static bool ghost_same_host(const char *a, const char *b)
{
	size_t len = strcspn(a, ",");

	return strcspn(b, ",") == len && !memcmp(a, b, len);
}

/* Under the domain's lock. */
static bool ghost_concerns(
	const struct scsi_domain *domain, const struct scsi_nexus *nexus, const struct vol *vol)
{
	list_for_each (it, &domain->ghosts) {
		const struct scsi_ghost *g = container_of(it, struct scsi_ghost, node);

		if (g->vol == vol && g->nexus != nexus &&
			ghost_same_host(g->nexus->initiator, nexus->initiator))
			return true;
	}
	return false;
}

void scsi_ghost_look(struct scsi_nexus *nexus)
{
	scsi_domain_lock(nexus->domain);
	for (unsigned i = 0; i < nexus->itl_count; i++) {
		struct scsi_itl *itl = &nexus->itl[i];

		itl->haunted = ghost_concerns(nexus->domain, nexus, itl->lun->vol);
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

static void ghost_add(const struct scsi_nexus *nexus, const struct vol *vol)
{
	struct scsi_ghost *g = ghost_find(nexus, vol);

	if (!g) {
		g = own_calloc(1, sizeof *g);
		g->nexus = nexus;
		g->vol = vol;
		list_push(&nexus->domain->ghosts, &g->node);
	}
	g->writes++;
}

unsigned scsi_ghost_part(struct scsi_nexus *nexus, void (*then)(void *nexus))
{
	unsigned count = 0;

	scsi_domain_lock(nexus->domain);
	list_for_each (t, &nexus->tasks) {
		const struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (ghost_writes(task))
			ghost_add(nexus, task->lun->vol);
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
	bool last;

	if (!ghost_writes(task))
		return;
	scsi_domain_lock(nexus->domain);
	g = ghost_find(nexus, task->lun->vol);
	own_assert(g);
	last = --g->writes == 0;
	if (last) {
		list_del(&g->node);
		free(g);
	}
	scsi_domain_unlock(nexus->domain);
	if (last)
		ghost_tell(nexus, NULL, NULL);
}
