/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c: changes of the SCSI room that a thread asks for which is none of the loops': it sends
 * an errand and waits. A volume that does not answer makes a change late; it is kept then, and no
 * other begins before it is over.
 */
#include "target/errand.h"
#include "target/scsi/live.h"
#include "target/storage_guts.h"

#include "common/own.h"

#include <errno.h>
#include <time.h>

#define CHANGE_SECONDS 20u
#define BUSY_PAUSE_MS  10
#define BUSY_PAUSES    500

struct storage_change {
	struct errand errand;
	struct storage_order order;
	struct scsi_change change;
	int err;
};

/* ---- one change ---- */

static void change_over(struct scsi_change *change)
{
	errand_over(&container_of(change, struct storage_change, change)->errand);
}

static int change_submit(struct storage_change *c)
{
	const struct storage_order *o = &c->order;

	switch (o->kind) {
	case CHANGE_ADD:
		return scsi_target_add(&c->change, o->target, o->number, o->lun, o->readonly);
	case CHANGE_PROTECT:
		return scsi_target_protect(&c->change, o->target, o->number, o->readonly);
	case CHANGE_REMOVE:
		return scsi_target_remove(&c->change, o->target, o->number);
	case CHANGE_SIZE:
		return scsi_lun_resized(&c->change, o->lun, o->size);
	}
	return -EINVAL;
}

static void change_run(struct errand *e)
{
	struct storage_change *c = container_of(e, struct storage_change, errand);

	c->change.done = change_over;
	c->err = change_submit(c);
	if (c->err)
		errand_over(e);
}

static int change_free(struct storage_change *c)
{
	int err = c->err;

	if (!err && c->order.unit && c->order.kind == CHANGE_REMOVE)
		c->order.unit->maps--;
	free(c);
	return err;
}

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

int change_do(struct storage *s, const struct storage_order *order)
{
	struct storage_change *c;

	if (!change_settled(s))
		return -EBUSY;
	for (int i = 0;; i++) {
		c = own_calloc(1, sizeof *c);
		c->order = *order;
		errand_send(&c->errand, s->loops[0], change_run);
		if (!errand_wait(&c->errand, CHANGE_SECONDS)) {
			s->late = c;
			return -ETIMEDOUT;
		}
		if (c->err != -EBUSY || i == BUSY_PAUSES)
			return change_free(c);
		free(c); /* a change that somebody else has asked for */
		pause_ms(BUSY_PAUSE_MS);
	}
}

bool change_settled(struct storage *s)
{
	if (!s->late)
		return true;
	if (!errand_wait(&s->late->errand, 0))
		return false;
	change_free(own_take(s->late));
	return true;
}

void change_forget(struct storage *s)
{
	if (s->late)
		change_free(own_take(s->late));
}

/* ---- channels ---- */

struct channel {
	struct errand errand;
	struct scsi_lun *lun;
	struct loop *loop;
	int err;
};

static void channel_open(struct errand *e)
{
	struct channel *c = container_of(e, struct channel, errand);

	c->err = scsi_lun_open(c->lun, c->loop);
	errand_over(e);
}

static void channel_close(struct errand *e)
{
	struct channel *c = container_of(e, struct channel, errand);

	scsi_lun_close(c->lun, c->loop);
	errand_over(e);
}

int change_channels(struct storage *s, struct scsi_lun *lun, bool open)
{
	struct channel c = { .lun = lun };

	for (unsigned i = 0; i < s->loop_count && !c.err; i++) {
		c.loop = s->loops[i];
		if (s->running)
			errand_do(&c.errand, c.loop, open ? channel_open : channel_close);
		else if (open)
			c.err = scsi_lun_open(lun, c.loop);
		else
			scsi_lun_close(lun, c.loop);
	}
	return c.err;
}

/* ---- grace ---- */

struct grace {
	struct errand errand;
	struct scsi_everywhere everywhere;
	struct scsi_domain *domain;
	bool again;
};

static void grace_each(struct scsi_everywhere *e, struct loop *loop)
{
	(void)e;
	(void)loop;
}

static void grace_done(struct scsi_everywhere *e)
{
	struct grace *g = container_of(e, struct grace, everywhere);

	if (g->again) {
		errand_over(&g->errand);
		return;
	}
	g->again = true;
	scsi_everywhere(g->domain, e);
}

static void grace_run(struct errand *e)
{
	struct grace *g = container_of(e, struct grace, errand);

	g->everywhere.each = grace_each;
	g->everywhere.done = grace_done;
	scsi_everywhere(g->domain, &g->everywhere);
}

void change_grace(struct storage *s)
{
	struct grace *g;

	if (!s->running)
		return;
	g = own_calloc(1, sizeof *g);
	g->domain = s->domain;
	errand_do(&g->errand, s->loops[0], grace_run);
	free(g);
}
