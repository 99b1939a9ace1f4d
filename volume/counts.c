// SPDX-License-Identifier: Apache-2.0
/* counts.c: who counts for a volume, and the sum of it. */
#include "volume/counts.h"

#include "volume/vol_guts.h"

#include <stdlib.h>
#include <string.h>

void counts_join(struct vol *vol, struct vol_count_chan *c)
{
	pthread_mutex_lock(&vol->count_lock);
	list_push(&vol->counting, &c->node);
	pthread_mutex_unlock(&vol->count_lock);
}

void counts_leave(struct vol *vol, struct vol_count_chan *c)
{
	pthread_mutex_lock(&vol->count_lock);
	list_del(&c->node);
	hist_sum((uint64_t *)&vol->left, (const uint64_t *)&c->counts, VOL_COUNTS_WORDS);
	pthread_mutex_unlock(&vol->count_lock);
}

struct counts_all {
	struct vol_seen *seen;
	unsigned count, room;
	bool short_of; /* memory */
};

static bool counts_room(struct counts_all *all)
{
	unsigned room = all->room ? 2 * all->room : 16;
	struct vol_seen *more;

	if (all->count < all->room)
		return true;
	more = realloc(all->seen, room * sizeof *more);
	if (!more) {
		all->short_of = true;
		return false;
	}
	all->seen = more;
	all->room = room;
	return true;
}

static void counts_see(struct vol *vol, void *arg)
{
	struct counts_all *all = arg;
	struct vol_seen *v;

	if (!counts_room(all))
		return;
	v = &all->seen[all->count++];
	memset(v, 0, sizeof *v);
	memcpy(v->name, vol->name, sizeof v->name);
	v->size = __atomic_load_n(&vol->info.size, __ATOMIC_RELAXED);
	pthread_mutex_lock(&vol->count_lock);
	v->counts = vol->left;
	list_for_each (it, &vol->counting) {
		const struct vol_count_chan *c = container_of(it, struct vol_count_chan, node);

		hist_sum((uint64_t *)&v->counts, (const uint64_t *)&c->counts, VOL_COUNTS_WORDS);
		v->inflight += __atomic_load_n(&c->inflight, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&vol->count_lock);
}

struct vol_seen *vol_see_all(unsigned *n)
{
	struct counts_all all = { 0 };

	vols_each(counts_see, &all);
	if (!all.count)
		counts_room(&all);
	if (all.short_of) {
		free(all.seen);
		return NULL;
	}
	*n = all.count;
	return all.seen;
}
