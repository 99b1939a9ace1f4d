// SPDX-License-Identifier: Apache-2.0
/*
 * pools.c: from the rows of the configuration to open pools.
 */
#include "target/pools.h"

#include "common/log.h"
#include "common/own.h"
#include "target/pools_guts.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- what is told of them ---- */

/* Each change is one line. */
static void told(void *arg, const struct pool_info *info)
{
	struct pools_one *one = arg;
	const char *name = pool_name(one->pool);
	bool bad = info->failed || info->readonly;

	if (info->full && !one->full)
		log_error("pool: full: writes that need space fail until the thin pool is extended",
			"pool=%s bytes=%" PRIu64 " meta_free=%" PRIu64, name, info->size,
			info->meta_free);
	if (!info->full && one->full)
		log_info("pool: there is room again", "pool=%s bytes=%" PRIu64 " free=%" PRIu64,
			name, info->size, info->free);
	if (bad && !one->bad)
		log_error("pool: the thin pool's metadata cannot be written: see thin_check and "
			  "lvconvert --repair",
			"pool=%s", name);
	one->full = info->full;
	one->bad = bad;
	pools_level_poke(one->pools);
}

static void log_pool(struct pools_one *one, const struct cfg_pool *cfg)
{
	uint32_t caps = pool_caps(one->pool);
	char why[POOL_WHY_LEN] = "", can[128] = "";
	size_t n = 0;

	for (uint32_t bit = 1; pool_cap_name(bit); bit <<= 1)
		if (caps & bit)
			n += (size_t)snprintf(
				can + n, sizeof can - n, "%s%s", n ? "," : "", pool_cap_name(bit));
	log_info("pool open", "pool=%s kind=%s can=%s", cfg->name, cfg->kind, can);
	if (pool_check_host(one->pool, why, sizeof why))
		log_warn("pool: this box may look into its volumes", "pool=%s why=\"%s\"",
			cfg->name, why);
	if (cfg->thin_pool && pool_watch(one->pool, told, one, why, sizeof why))
		log_warn("pool: not watched", "pool=%s why=\"%s\"", cfg->name, why);
}

/* ---- opening and closing ---- */

struct pools *pools_new(const char *state_dir)
{
	struct pools *pools = own_calloc(1, sizeof *pools);

	pools->state_dir = own_strdup(state_dir);
	pthread_mutex_init(&pools->lock, NULL);
	list_init(&pools->all);
	list_init(&pools->parted);
	pools_level_init(pools);
	return pools;
}

static void close_one(struct pools_one *one)
{
	own_assert(!one->users);
	list_del(&one->node);
	pool_close(one->pool);
	free(one);
}

void pools_free(struct pools *pools)
{
	if (!pools)
		return;
	pools_level_fini(pools);
	pools_close_parted(pools);
	list_for_each_safe (it, &pools->all)
		close_one(container_of(it, struct pools_one, node));
	pthread_mutex_destroy(&pools->lock);
	pthread_mutex_destroy(&pools->asking);
	pthread_mutex_destroy(&pools->naps);
	pthread_cond_destroy(&pools->wake);
	free(pools->state_dir);
	free(pools);
}

/* Locked. */
static struct pools_one *find(const struct pools *pools, const char *name)
{
	list_for_each (it, &pools->all) {
		struct pools_one *one = container_of(it, struct pools_one, node);

		if (!strcmp(pool_name(one->pool), name))
			return one;
	}
	return NULL;
}

int pools_open(struct pools *pools, const struct cfg_pool *cfg, char *why, size_t len)
{
	struct pool_conf conf = {
		.name = cfg->name,
		.kind = cfg->kind,
		.path = cfg->path,
		.vg = cfg->vg,
		.thin_pool = cfg->thin_pool,
		.state_dir = pools->state_dir,
		.lvm_config = cfg->lvm_config,
		.lvm_devices = cfg->lvm_devices,
		.snapshot_percent = cfg->snapshot_percent,
	};
	char text[POOL_WHY_LEN] = "";
	struct pool *pool = pool_open(&conf, text, sizeof text);
	struct pools_one *one;

	if (!pool) {
		if (cfg->where.line)
			snprintf(why, len, "%s:%u: %.400s", cfg->where.file, cfg->where.line, text);
		else /* a verb has just named it */
			snprintf(why, len, "%.400s", text);
		return -EIO;
	}
	one = own_calloc(1, sizeof *one);
	one->pools = pools;
	one->pool = pool;
	one->policy = pools_policy(cfg);
	log_pool(one, cfg);
	pthread_mutex_lock(&pools->lock);
	list_push(&pools->all, &one->node);
	pthread_mutex_unlock(&pools->lock);
	pools_level_poke(pools);
	return 0;
}

static bool is_named(const struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->pool_count; i++) {
		if (!strcmp(cfg->pools[i].name, name))
			return true;
	}
	return false;
}

/* Nobody uses them, and nobody finds them any more. */
void pools_part(struct pools *pools, const struct config *cfg)
{
	pthread_mutex_lock(&pools->asking);
	pthread_mutex_lock(&pools->lock);
	list_for_each_safe (it, &pools->all) {
		struct pools_one *one = container_of(it, struct pools_one, node);

		if (one->users || is_named(cfg, pool_name(one->pool)))
			continue;
		list_del(&one->node);
		list_push(&pools->parted, &one->node);
	}
	pthread_mutex_unlock(&pools->lock);
	pthread_mutex_unlock(&pools->asking);
}

void pools_close_parted(struct pools *pools)
{
	list_for_each_safe (it, &pools->parted) {
		struct pools_one *one = container_of(it, struct pools_one, node);

		log_info("pool closed", "pool=%s", pool_name(one->pool));
		close_one(one);
	}
}

void pools_sweep(struct pools *pools, const struct config *cfg)
{
	pools_part(pools, cfg);
	pools_close_parted(pools);
}

/* ---- using ---- */

struct pool *pools_get(struct pools *pools, const char *name)
{
	struct pools_one *one;

	pthread_mutex_lock(&pools->lock);
	one = find(pools, name);
	if (one)
		one->users++;
	pthread_mutex_unlock(&pools->lock);
	return one ? one->pool : NULL;
}

void pools_put(struct pools *pools, struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pools->lock);
	find(pools, pool_name(pool))->users--;
	pthread_mutex_unlock(&pools->lock);
}
