// SPDX-License-Identifier: Apache-2.0
/*
 * pools_level.c: a thread that asks every pool now and then how full it is, the sooner the nearer
 * it is to a mark, and does what pool_policy.c decides: it warns, extends a thin pool through LVM,
 * and has the units told. Device-mapper reports no such mark as an event: LVM makes thin pools with
 * a low-water mark of none, so its events come when it is too late for a warning; then the pool is
 * asked at once.
 */
#include "target/pools_guts.h"

#include "common/deadline.h"
#include "common/log.h"
#include "common/own.h"
#include "common/stat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STEPS_MAX 16     /* extensions of one pool in a row */
#define OWED_MS   250u   /* until units are told that could not be */
#define NEWS_MS   30000u /* the longest nap */

static const char *const part_names[POOL_PARTS] = { "data", "metadata" };

static uint64_t now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* ---- what is told ---- */

static void tell_low(
	struct pools_one *one, const struct pool_info *info, enum pool_part part, unsigned mark)
{
	const char *todo = "make room in its file system, or delete snapshots and volumes";

	if (info->meta_size)
		todo = part == POOL_META ? "lvextend --poolmetadatasize, or delete snapshots"
					 : "lvextend, or delete snapshots and volumes";
	stat_add(STAT_pool_low_water, 1);
	log_warn("pool: room is short",
		"pool=%s of=%s used=%u%% mark=%u%% free=%" PRIu64 " do=\"%s\"",
		pool_name(one->pool), part_names[part], pool_policy_used(info, part), mark,
		part == POOL_META ? info->meta_free : info->free, todo);
	one->owed = true;
}

static void tell_part(struct pools_one *one, const struct pool_info *info, enum pool_part part,
	const struct pool_policy_act *act, unsigned mark)
{
	if (act->low)
		tell_low(one, info, part, mark);
	if (act->eased)
		log_info("pool: room is not short any more", "pool=%s of=%s used=%u%% mark=%u%%",
			pool_name(one->pool), part_names[part], pool_policy_used(info, part), mark);
	if (act->at_max)
		log_warn("pool: not extended: it is as large as it may be",
			"pool=%s of=%s used=%u%% do=\"a larger extend_max, or delete snapshots and "
			"volumes\"",
			pool_name(one->pool), part_names[part], pool_policy_used(info, part));
}

/* ---- what is done ---- */

static void extend(
	struct pools_one *one, const struct pool_info *before, enum pool_part part, uint64_t by)
{
	struct pools *pools = one->pools;
	char why[POOL_WHY_LEN] = "";
	struct pool_info after;
	int err = pool_extend(one->pool, part == POOL_META, by, why, sizeof why);
	bool first;

	pthread_mutex_lock(&pools->lock);
	first = pool_policy_extended(&one->state, part, err, now_seconds());
	pthread_mutex_unlock(&pools->lock);
	stat_add(err ? STAT_pool_extend_failed : STAT_pool_extended, 1);
	if (first)
		log_error("pool: cannot be extended", "pool=%s of=%s used=%u%% why=\"%s\"",
			pool_name(one->pool), part_names[part], pool_policy_used(before, part),
			why);
	if (err || pool_level(one->pool, &after))
		return;
	log_info("pool: extended", "pool=%s of=%s used=%u%% bytes=%" PRIu64 " before=%" PRIu64,
		pool_name(one->pool), part_names[part], pool_policy_used(before, part),
		part == POOL_META ? after.meta_size : after.size,
		part == POOL_META ? before->meta_size : before->size);
}

/* Asks a pool once, and does what is due; whether it is to be asked again at once. */
static bool ask_once(struct pools_one *one, unsigned *pause_ms)
{
	struct pools *pools = one->pools;
	struct pool_policy_act act[POOL_PARTS] = { 0 };
	struct pool_info info;
	unsigned mark;
	bool again = false, known = !pool_level(one->pool, &info);

	pthread_mutex_lock(&pools->lock);
	one->known = known;
	mark = one->policy.low_water;
	if (known) {
		one->info = info;
		pool_policy_decide(&one->policy, &one->state, &info, now_seconds(), act);
		*pause_ms = pool_policy_pause_ms(&one->policy, &info);
	}
	pthread_mutex_unlock(&pools->lock);
	for (enum pool_part part = POOL_DATA; known && part < POOL_PARTS; part++) {
		tell_part(one, &info, part, &act[part], mark);
		if (act[part].extend)
			extend(one, &info, part, act[part].extend);
		again = again || act[part].extend;
	}
	return again;
}

static bool is_stopping(struct pools *pools)
{
	bool stop;

	pthread_mutex_lock(&pools->naps);
	stop = pools->stop;
	pthread_mutex_unlock(&pools->naps);
	return stop;
}

static struct pools_one *one_after(struct pools *pools, struct pools_one *one)
{
	struct list *next;

	pthread_mutex_lock(&pools->lock);
	next = one ? one->node.next : pools->all.next;
	pthread_mutex_unlock(&pools->lock);
	return next == &pools->all ? NULL : container_of(next, struct pools_one, node);
}

/* The first pool whose units are still to be told, by name. */
static bool find_owed(struct pools *pools, char *name, size_t len)
{
	struct pools_one *one = NULL;

	pthread_mutex_lock(&pools->asking);
	do
		one = one_after(pools, one);
	while (one && !one->owed);
	if (one) {
		one->owed = false;
		snprintf(name, len, "%s", pool_name(one->pool));
	}
	pthread_mutex_unlock(&pools->asking);
	return one;
}

static void owe(struct pools *pools, const char *name)
{
	struct pools_one *one = NULL;

	pthread_mutex_lock(&pools->asking);
	while ((one = one_after(pools, one)))
		if (!strcmp(pool_name(one->pool), name))
			one->owed = true;
	pthread_mutex_unlock(&pools->asking);
}

/* Has units told without holding up who closes pools; false: some could not be told yet. */
static bool pay(struct pools *pools)
{
	char name[POOL_NAME_MAX + 1];

	while (find_owed(pools, name, sizeof name)) {
		if (pools->short_of(pools->arg, name))
			continue;
		owe(pools, name);
		return false;
	}
	return true;
}

/* Asks all of them; milliseconds until the next time. */
static unsigned ask_all(struct pools *pools)
{
	struct pools_one *one = NULL;
	unsigned least = NEWS_MS;

	pthread_mutex_lock(&pools->asking);
	while (!is_stopping(pools) && (one = one_after(pools, one))) {
		unsigned ms = NEWS_MS;

		for (int i = 0; ask_once(one, &ms) && i < STEPS_MAX && !is_stopping(pools);)
			i++;
		least = ms < least ? ms : least;
	}
	pthread_mutex_unlock(&pools->asking);
	return pay(pools) ? least : OWED_MS;
}

static void *level_run(void *arg)
{
	struct pools *pools = arg;

	while (!is_stopping(pools)) {
		unsigned ms = ask_all(pools);
		struct timespec end = deadline_after(ms);
		int err = 0;

		pthread_mutex_lock(&pools->naps);
		while (!pools->poked && !pools->stop && !err)
			err = pthread_cond_timedwait(&pools->wake, &pools->naps, &end);
		pools->poked = false;
		pthread_mutex_unlock(&pools->naps);
	}
	return NULL;
}

/* ---- beginning and end ---- */

void pools_level_init(struct pools *pools)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&pools->asking, NULL);
	pthread_mutex_init(&pools->naps, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pools->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void pools_level_fini(struct pools *pools)
{
	pthread_mutex_lock(&pools->naps);
	pools->stop = true;
	pthread_cond_signal(&pools->wake);
	pthread_mutex_unlock(&pools->naps);
	if (pools->watched)
		pthread_join(pools->thread, NULL);
	pools->watched = false;
}

void pools_level_poke(struct pools *pools)
{
	pthread_mutex_lock(&pools->naps);
	pools->poked = true;
	pthread_cond_signal(&pools->wake);
	pthread_mutex_unlock(&pools->naps);
}

int pools_watch(struct pools *pools, pools_short short_of, void *arg)
{
	int err;

	pools->short_of = short_of;
	pools->arg = arg;
	err = -pthread_create(&pools->thread, NULL, level_run, pools);
	pools->watched = !err;
	return err;
}

/* ---- looking ---- */

struct pool_policy pools_policy(const struct cfg_pool *cfg)
{
	return (struct pool_policy){
		.low_water = cfg->low_water,
		.extend_at = cfg->extend_at,
		.extend_by = cfg->extend_by,
		.extend_max = cfg->extend_max,
	};
}

void pools_follow(struct pools *pools, const struct config *cfg)
{
	pthread_mutex_lock(&pools->lock);
	list_for_each (it, &pools->all) {
		struct pools_one *one = container_of(it, struct pools_one, node);

		for (unsigned i = 0; i < cfg->pool_count; i++) {
			struct pool_policy next = pools_policy(&cfg->pools[i]);

			if (!strcmp(cfg->pools[i].name, pool_name(one->pool)))
				pool_policy_change(&one->policy, &one->state, &next);
		}
	}
	pthread_mutex_unlock(&pools->lock);
	pools_level_poke(pools);
}

struct pools_level *pools_levels(struct pools *pools, unsigned *count)
{
	struct pools_level *levels;
	unsigned n = 0;

	pthread_mutex_lock(&pools->lock);
	list_for_each (it, &pools->all)
		n++;
	levels = own_calloc(n + 1, sizeof *levels);
	n = 0;
	list_for_each (it, &pools->all) {
		const struct pools_one *one = container_of(it, struct pools_one, node);
		struct pools_level *l = &levels[n];

		if (!one->known)
			continue;
		snprintf(l->name, sizeof l->name, "%s", pool_name(one->pool));
		l->kind = pool_kind(one->pool);
		l->info = one->info;
		l->low = one->state.low[POOL_DATA] || one->state.low[POOL_META];
		l->stuck = one->state.stuck[POOL_DATA] || one->state.stuck[POOL_META];
		n++;
	}
	pthread_mutex_unlock(&pools->lock);
	*count = n;
	return levels;
}
