/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pools.h: the pools of the configuration, open as long as the server serves them, by name.
 *
 * Opening one recovers what an earlier run left half done. Each is told of in the log: what it can,
 * what LVM on this box would do to guests' volume groups, when room in it is short, and when a thin
 * pool is full or extended. Jobs of verbs use pools while others come and go, so that users of one
 * are counted.
 */
#ifndef KURA_TARGET_POOLS_H
#define KURA_TARGET_POOLS_H

#include "config/config.h"
#include "volume/pool_policy.h"

struct pools;

/* An empty one. Returns owned. */
struct pools *pools_new(const char *state_dir);

/* Closes them; none of their volumes is open and nobody uses one any more. Takes them; NULL is
 * allowed. Blocks. */
void pools_free(struct pools *pools);

/* Opens one that is not open yet. 0, or -errno with a sentence and the line of the configuration in
 * `why`. Blocks; one thread at a time opens and sweeps. */
int pools_open(struct pools *pools, const struct cfg_pool *cfg, char *why, size_t len);

/* Closes those that `cfg` does not name; what somebody uses stays until the next time. Blocks, and
 * holds up nobody who uses others: one that is being wiped may take a while to close. */
void pools_sweep(struct pools *pools, const struct config *cfg);

/* The first half of it, which does not block: they part from the others. Both halves: one thread at
 * a time, the one that opens and sweeps. */
void pools_part(struct pools *pools, const struct config *cfg);

/* The second: they are closed. Blocks. */
void pools_close_parted(struct pools *pools);

/* One of them by its name, to be used until pools_put; NULL: it is not open. Any thread. */
struct pool *pools_get(struct pools *pools, const char *name);

/* The opposite; NULL is allowed. Any thread. */
void pools_put(struct pools *pools, struct pool *pool);

/* ---- how full they are: pools_level.c ---- */

/* Room in the pool of this name is short: its units are to be told. False: not possible now, it is
 * called again. On a thread that may block, but not for long. */
typedef bool (*pools_short)(void *arg, const char *pool);

/* From now on pools are asked how full they are, warned of, and extended, on a thread of its own,
 * until pools_free. Loops run. 0 or -errno: no thread. */
int pools_watch(struct pools *pools, pools_short short_of, void *arg);

/* `cfg` holds from now on: its marks, too. Any thread. */
void pools_follow(struct pools *pools, const struct config *cfg);

struct pools_level {
	char name[POOL_NAME_MAX + 1];
	const char *kind;      /* static */
	struct pool_info info; /* what pool_level says, as it was asked last */
	bool low;              /* beyond its low-water mark, and not since below it */
	bool stuck;            /* could not be extended the last time that it was due */
};

/* Those that say how full they are; the array is the caller's to free. Any thread. */
struct pools_level *pools_levels(struct pools *pools, unsigned *count);

#endif
