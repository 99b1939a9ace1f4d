// SPDX-License-Identifier: Apache-2.0
/*
 * pools.c: from the rows of the configuration to open pools.
 */
#include "target/pools.h"

#include "common/log.h"
#include "common/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct pools_one {
	struct pool *pool; /* owned */
	bool full, bad;    /* thin pool: as it was told of last; its watch's */
};

struct pools {
	unsigned count;
	struct pools_one each[];
};

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

struct pools *pools_open(const struct config *cfg, const char *state_dir, char *why, size_t len)
{
	struct pools *pools =
		own_calloc(1, sizeof *pools + cfg->pool_count * sizeof pools->each[0]);

	for (unsigned i = 0; i < cfg->pool_count; i++) {
		const struct cfg_pool *p = &cfg->pools[i];
		struct pools_one *one = &pools->each[i];
		struct pool_conf conf = {
			.name = p->name,
			.kind = p->kind,
			.path = p->path,
			.vg = p->vg,
			.thin_pool = p->thin_pool,
			.state_dir = state_dir,
			.lvm_config = p->lvm_config,
			.lvm_devices = p->lvm_devices,
			.snapshot_percent = p->snapshot_percent,
		};
		char text[POOL_WHY_LEN] = "";

		one->pool = pool_open(&conf, text, sizeof text);
		if (!one->pool) {
			snprintf(why, len, "%s:%u: %.400s", p->where.file, p->where.line, text);
			pools_free(pools);
			return NULL;
		}
		pools->count++;
		log_pool(one, p);
	}
	return pools;
}

void pools_free(struct pools *pools)
{
	for (unsigned i = 0; pools && i < pools->count; i++)
		pool_close(pools->each[i].pool);
	free(pools);
}

struct pool *pools_find(const struct pools *pools, const char *name)
{
	for (unsigned i = 0; i < pools->count; i++)
		if (!strcmp(pool_name(pools->each[i].pool), name))
			return pools->each[i].pool;
	return NULL;
}
