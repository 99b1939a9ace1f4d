/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c: a volume holds still: each channel that commands use is told on its loop, all at the same
 * time, and lets nothing through that would change the volume.
 */
#include "target/tend.h"

#include "common/own.h"
#include "target/errand.h"
#include "target/server_guts.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define HOLD_SECONDS 2u /* the longest that something under way may take to end */

struct held_chan {
	struct errand begin, end;
	struct vol_hold hold;
	struct scsi_lun *lun;
	struct loop *loop;
};

struct server_hold {
	struct timespec began;
	unsigned count;
	struct held_chan chans[];
};

static void is_held(struct vol_hold *hold)
{
	errand_over(&container_of(hold, struct held_chan, hold)->begin);
}

static void hold_begin(struct errand *e)
{
	struct held_chan *c = container_of(e, struct held_chan, begin);

	c->hold.held = is_held;
	if (vol_chan_hold(scsi_lun_chan(c->lun, c->loop), &c->hold))
		errand_over(e);
}

static void hold_end(struct errand *e)
{
	struct held_chan *c = container_of(e, struct held_chan, end);

	vol_chan_release(scsi_lun_chan(c->lun, c->loop));
	errand_over(e);
}

static uint64_t micros_since(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)(now.tv_sec - began->tv_sec) * 1000000 + (uint64_t)(now.tv_nsec / 1000) -
	       (uint64_t)(began->tv_nsec / 1000);
}

uint64_t server_release(struct server_hold *h)
{
	uint64_t micros;

	for (unsigned i = 0; i < h->count; i++)
		errand_send(&h->chans[i].end, h->chans[i].loop, hold_end);
	for (unsigned i = 0; i < h->count; i++) {
		while (!errand_wait(&h->chans[i].end, 3600))
			;
	}
	micros = micros_since(&h->began);
	free(h);
	return micros;
}

struct server_hold *server_hold(struct server *srv, const char *volume, int *err)
{
	struct storage *s = &srv->storage;
	unsigned units = 0;
	struct server_hold *h;
	bool all = true;

	list_for_each (it, &s->units)
		units += !strcmp(container_of(it, struct storage_unit, node)->volume->name, volume);
	h = own_calloc(1, sizeof *h + (size_t)units * s->loop_count * sizeof h->chans[0]);
	clock_gettime(CLOCK_MONOTONIC, &h->began);
	list_for_each (it, &s->units) {
		struct storage_unit *unit = container_of(it, struct storage_unit, node);

		if (strcmp(unit->volume->name, volume) != 0)
			continue;
		for (unsigned i = 0; i < s->loop_count; i++) {
			struct held_chan *c = &h->chans[h->count++];

			c->lun = unit->scsi;
			c->loop = s->loops[i];
			errand_send(&c->begin, c->loop, hold_begin);
		}
	}
	for (unsigned i = 0; i < h->count; i++)
		all = all && errand_wait(&h->chans[i].begin, HOLD_SECONDS);
	*err = all ? 0 : -ETIMEDOUT;
	if (all)
		return h;
	(void)server_release(h);
	return NULL;
}
