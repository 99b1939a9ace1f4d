/* SPDX-License-Identifier: Apache-2.0 */
/* pools_guts.h: what pools.c, which has the pools, and pools_level.c, which asks how full they are,
 * share. */
#ifndef KURA_TARGET_POOLS_GUTS_H
#define KURA_TARGET_POOLS_GUTS_H

#include "common/list.h"
#include "target/pools.h"

#include <pthread.h>

struct pools_one {
	struct list node;
	struct pools *pools;
	struct pool *pool; /* owned */
	unsigned users;
	bool full, bad; /* thin pool: as it was told of last; its watch's */
	/* -- how full it is: written by the asking thread, and read by any, under `lock` -- */
	struct pool_policy policy;
	struct pool_policy_state state;
	struct pool_info info; /* as it was when it was asked last */
	bool known;            /* `info` is something */
	bool owed;             /* the asking thread's: units are to be told that room is short */
};

struct pools {
	char *state_dir;
	pthread_mutex_t lock; /* of the list, and of the counts of users */
	struct list all;      /* pools_one.node */
	struct list parted;   /* pools_one.node of those to be closed; of who opens and sweeps */
	/* -- pools_level.c's -- */
	pthread_mutex_t asking; /* held while a pool is asked: none is closed; before `lock` */
	pthread_mutex_t naps;   /* of the next three */
	pthread_cond_t wake;
	bool poked, stop;
	bool watched; /* the thread is there */
	pthread_t thread;
	pools_short short_of; /* or NULL */
	void *arg;
};

/* The marks that the configuration has. */
struct pool_policy pools_policy(const struct cfg_pool *cfg);

/* Its part of pools_new. */
void pools_level_init(struct pools *pools);

/* Its part of pools_free: the thread ends. Blocks for as long as LVM extends a pool. */
void pools_level_fini(struct pools *pools);

/* Something has happened to a pool: it is asked now. Any thread. */
void pools_level_poke(struct pools *pools);

#endif
