/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vol_guts.h: an open volume as the guard sees it; for volume.c and vol_open.c alone.
 *
 * What stores and layers may know is in vol_store.h.
 */
#ifndef KURA_VOLUME_VOL_GUTS_H
#define KURA_VOLUME_VOL_GUTS_H

#include "volume/counts.h"
#include "volume/trouble.h"
#include "volume/vol_store.h"

#include <pthread.h>

#define VOL_MAGIC 0x766f6c75u /* "volu" */

struct vol {
	uint32_t magic;              /* VOL_MAGIC */
	char name[VOL_NAME_MAX + 1]; /* as configured */
	struct vol_info info;        /* fixed after open, but for size: atomic */
	uint64_t size_high;          /* most it ever was: promises are held against this */
	struct vol_part *part[VOL_LAYERS_MAX]; /* top first, the store last */
	unsigned part_count;                   /* parts in use */
	unsigned chan_count;                   /* open channels; atomic */
	pthread_mutex_t resize_lock;           /* one resize or change of keys at a time */
	struct list node;                      /* in the list of open volumes */
	pthread_mutex_t count_lock;            /* of the two that follow */
	struct list counting;                  /* of vol_count_chan.node */
	struct vol_counts left;                /* by channels that are closed */
	struct trouble trouble;                /* what the log was told */
};

/* What a channel counts: one thread writes it, any reads it. */
struct vol_count_chan {
	struct list node;  /* in vol->counting */
	uint64_t inflight; /* submitted, not done */
	unsigned until;    /* requests until the next one that is timed */
	struct vol_counts counts;
};

/* Begins to count on a channel, zeroed. */
void counts_join(struct vol *vol, struct vol_count_chan *c);

/* The channel ends; what it has counted is kept. */
void counts_leave(struct vol *vol, struct vol_count_chan *c);

/* Calls `each` for every open volume, none of which is closed meanwhile. */
void vols_each(void (*each)(struct vol *vol, void *arg), void *arg);

/* The store, borrowed. */
static inline struct vol_part *vol_store(const struct vol *vol)
{
	return vol->part[vol->part_count - 1];
}

#endif
