/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From names to things: volumes are opened, logical units made of them. What a unit shows of itself
 * is put into one text, which tells the units of a volume apart.
 */
#include "target/storage.h"

#include "common/log.h"
#include "common/own.h"
#include "target/storage_guts.h"
#include "volume/layer_limit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void storage_init(struct storage *s, const char *state_dir, struct scsi_domain *domain,
	struct loop *const *loops, unsigned n)
{
	*s = (struct storage){ .domain = domain, .loops = loops, .loop_count = n };
	s->state_dir = own_strdup(state_dir);
	s->pools = pools_new(state_dir);
	pthread_mutex_init(&s->lock, NULL);
	list_init(&s->volumes);
	list_init(&s->units);
	list_init(&s->ports);
}

/* ---- volumes ---- */

static enum vol_cache cache_of(const struct cfg_volume *v)
{
	return v->cache == CFG_CACHE_DIRECT ? VOL_CACHE_DIRECT : VOL_CACHE_BUFFERED;
}

/* A pool says where its volume is, and may know its identity. */
static int find_in_pool(struct storage *s, const struct cfg_volume *v, struct pool_place *place,
	struct vol_conf *conf, char *why)
{
	struct pool *pool = pools_get(s->pools, v->pool);
	int err;

	own_assert(pool);
	err = pool_resolve(pool, v->name, place, why, STORAGE_WHY_LEN);
	pools_put(s->pools, pool);
	if (err)
		return err;
	conf->store = place->store;
	conf->path = place->path;
	conf->readonly |= place->snapshot;
	conf->state_dir = place->keep_identity ? conf->state_dir : NULL;
	if (!conf->uuid && *place->uuid)
		conf->uuid = place->uuid;
	return 0;
}

/* What the layer "limit" takes; it is in every volume, so that one that is in use can be limited.
 * Returns owned. */
static char *limit_options(const struct cfg_limit *l)
{
	return l ? own_printf("iops=%" PRIu64 " bytes=%" PRIu64 " read_iops=%" PRIu64
			      " read_bytes=%" PRIu64 " write_iops=%" PRIu64 " write_bytes=%" PRIu64
			      " burst_ms=%" PRIu32,
			   l->iops, l->bytes, l->read_iops, l->read_bytes, l->write_iops,
			   l->write_bytes, l->burst_ms)
		 : own_strdup("");
}

void storage_volume_limit(const struct storage_volume *v, const struct cfg_limit *limit)
{
	char *options own_free = limit_options(limit);
	int err = limit_set_text(v->vol, options, NULL, 0);

	own_assert(!err); /* the configuration was checked */
	log_info("volume limited", "volume=%s %s", v->name, *options ? options : "no limits");
}

static struct vol *open_volume(
	struct storage *s, const struct cfg_volume *v, struct pool_place *place, char *why)
{
	char *limit own_free = limit_options(v->limit);
	struct vol_layer_conf layers[CFG_LAYERS_MAX + 1] = { { "limit", limit } };
	struct vol_conf conf = {
		.name = v->name,
		.store = v->store,
		.path = v->path,
		.state_dir = s->state_dir,
		.size = v->size,
		.block_size = v->block_size,
		.physical_block_size = v->physical_block_size,
		.cache = cache_of(v),
		.readonly = v->readonly,
		.patient = !s->running,
		.uuid = v->uuid,
		.layers = layers,
		.layer_count = v->layer_count + 1,
	};

	own_assert(v->layer_count <= CFG_LAYERS_MAX);
	for (unsigned i = 0; i < v->layer_count; i++)
		layers[i + 1] = (struct vol_layer_conf){ v->layers[i].kind, v->layers[i].options };
	if (v->pool && find_in_pool(s, v, place, &conf, why))
		return NULL;
	return vol_open(&conf, why, STORAGE_WHY_LEN);
}

/* ---- what moves along with a volume ---- */

static int keep(struct scsi_keeper *keeper, const char *text)
{
	const struct storage_volume *v = container_of(keeper, struct storage_volume, keeper);
	struct pool *pool = pools_get(v->pools, v->pool);
	char why[POOL_WHY_LEN] = "the pool is not open";
	int err = pool ? pool_keep(pool, v->name, text, why, sizeof why) : -ENODEV;

	pools_put(v->pools, pool);
	if (err)
		log_error("pool: it did not keep what belongs to a volume",
			"volume=%s pool=%s why=\"%s\"", v->name, v->pool, why);
	return err;
}

static char *kept(struct scsi_keeper *keeper, int *err)
{
	const struct storage_volume *v = container_of(keeper, struct storage_volume, keeper);
	struct pool *pool = pools_get(v->pools, v->pool);
	char why[POOL_WHY_LEN] = "the pool is not open";
	char *text = NULL;

	*err = -ENODEV;
	if (pool)
		text = pool_kept(pool, v->name, err, why, sizeof why);
	pools_put(v->pools, pool);
	if (*err)
		log_error("pool: what it keeps of a volume cannot be read",
			"volume=%s pool=%s why=\"%s\"", v->name, v->pool, why);
	return text;
}

static void volume_in_pool(
	struct storage_volume *v, const struct cfg_volume *cfg, const struct pool_place *place)
{
	v->pool = own_strdup(cfg->pool);
	v->with_dir = *place->with_dir ? own_strdup(place->with_dir) : NULL;
	v->keeps = place->keeps;
	v->keeper = (struct scsi_keeper){ .save = keep, .load = kept };
}

static void log_volume(const struct cfg_volume *v, const struct vol *vol)
{
	struct vol_info info = vol_info(vol);
	char uuid[2 * VOL_UUID_LEN + 1];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(uuid + 2 * i, 3, "%02x", info.uuid[i]);
	log_info("volume open", "volume=%s store=%s path=%s bytes=%" PRIu64 " block=%u uuid=%s%s",
		v->name, v->store ? v->store : "pool",
		v->pool   ? v->pool
		: v->path ? v->path
			  : "-",
		info.size, info.block_size, uuid, info.readonly ? " readonly" : "");
}

struct storage_volume *storage_volume_find(const struct storage *s, const char *name)
{
	struct list *near = NULL;

	return storage_volume_find_near(s, &near, name);
}

struct storage_volume *storage_volume_find_near(
	const struct storage *s, struct list **near, const char *name)
{
	const struct list *last = *near ? *near : &s->volumes;
	struct list *it = last->next;

	for (bool all = false; !all; it = it->next) {
		struct storage_volume *v = container_of(it, struct storage_volume, node);

		if (it != &s->volumes && !strcmp(v->name, name)) {
			*near = it;
			return v;
		}
		all = it == last;
	}
	return NULL;
}

struct storage_volume *storage_volume_open(
	struct storage *s, const struct cfg_volume *cfg, char *why)
{
	char text[STORAGE_WHY_LEN] = "";
	struct pool_place place = { 0 };
	struct vol *vol = open_volume(s, cfg, &place, text);
	struct storage_volume *v;

	if (!vol) {
		if (cfg->where.line)
			snprintf(why, STORAGE_WHY_LEN, "%s:%u: volume \"%s\": %.400s",
				cfg->where.file, cfg->where.line, cfg->name, text);
		else /* a verb has just named it */
			snprintf(why, STORAGE_WHY_LEN, "volume \"%s\": %.400s", cfg->name, text);
		return NULL;
	}
	v = own_calloc(1, sizeof *v);
	v->name = own_strdup(cfg->name);
	v->vol = vol;
	v->pools = s->pools;
	if (cfg->pool)
		volume_in_pool(v, cfg, &place);
	pthread_mutex_lock(&s->lock);
	list_push(&s->volumes, &v->node);
	pthread_mutex_unlock(&s->lock);
	log_volume(cfg, vol);
	return v;
}

void storage_volume_free(struct storage *s, struct storage_volume *v)
{
	pthread_mutex_lock(&s->lock);
	list_del(&v->node);
	pthread_mutex_unlock(&s->lock);
	vol_close(v->vol);
	if (s->running)
		log_info("volume closed", "volume=%s", v->name);
	free(v->name);
	free(v->pool);
	free(v->with_dir);
	free(v);
}

/* ---- units ---- */

static const char *or_none(const char *text)
{
	return text ? text : "\1";
}

/* Configured texts are printable, so that this is none but the same. */
static char *identity_of(const struct cfg_lun *lun)
{
	return own_printf("%s\n%s\n%s\n%s\n%s", or_none(lun->vendor), or_none(lun->product),
		or_none(lun->revision), or_none(lun->serial), or_none(lun->naa));
}

bool storage_unit_is(const struct storage_unit *unit, const struct cfg_lun *lun)
{
	own_free char *identity = NULL;

	if (strcmp(unit->volume->name, lun->volume) != 0)
		return false;
	identity = identity_of(lun);
	return !strcmp(unit->identity, identity);
}

static struct storage_unit *unit_find(const struct storage *s, const struct cfg_lun *lun)
{
	list_for_each (it, &s->units) {
		struct storage_unit *unit = container_of(it, struct storage_unit, node);

		if (storage_unit_is(unit, lun))
			return unit;
	}
	return NULL;
}

static struct scsi_lun *make_lun(struct storage *s, struct storage_volume *volume,
	const struct cfg_volume *v, const struct cfg_lun *lun)
{
	struct scsi_lun_conf conf = {
		.vol = volume->vol,
		.removable = v->removable,
		.thin = v->thin,
		.vendor = lun->vendor,
		.product = lun->product,
		.revision = lun->revision,
		.serial = lun->serial,
		.naa = lun->naa,
		.state_dir = s->state_dir,
		.with_dir = volume->with_dir,
		.keeper = volume->keeps ? &volume->keeper : NULL,
	};

	return scsi_lun_new(s->domain, &conf);
}

struct storage_unit *storage_unit_for(
	struct storage *s, const struct cfg_volume *volume, const struct cfg_lun *lun, char *why)
{
	struct storage_unit *unit = unit_find(s, lun);
	int err;

	if (unit)
		return unit;
	unit = own_calloc(1, sizeof *unit);
	unit->volume = storage_volume_find(s, volume->name);
	own_assert(unit->volume);
	unit->identity = identity_of(lun);
	unit->scsi = make_lun(s, unit->volume, volume, lun);
	list_push(&s->units, &unit->node);
	err = change_channels(s, unit->scsi, true);
	if (!err)
		return unit;
	snprintf(why, STORAGE_WHY_LEN, "volume \"%s\": no channel: %s", volume->name,
		strerror(-err));
	storage_unit_free(s, unit);
	return NULL;
}

static const struct timespec unit_pause = { .tv_nsec = 10000000 };

/* A sanitize operation goes on until it notices that it shall not. */
static void unit_stop(struct scsi_lun *lun)
{
	while (!scsi_lun_stop(lun))
		nanosleep(&unit_pause, NULL);
}

/* A reset may wait for tasks of other units. */
static void unit_settle(const struct scsi_lun *lun)
{
	while (!scsi_lun_idle(lun))
		nanosleep(&unit_pause, NULL);
}

void storage_unit_free(struct storage *s, struct storage_unit *unit)
{
	own_assert(!unit->maps);
	if (s->running)
		unit_stop(unit->scsi);
	change_channels(s, unit->scsi, false);
	if (s->running)
		unit_settle(unit->scsi);
	list_del(&unit->node);
	scsi_lun_free(unit->scsi);
	free(unit->identity);
	free(unit);
}

int storage_volume_resized(struct storage *s, struct storage_volume *volume, uint64_t size)
{
	list_for_each (it, &s->units) {
		struct storage_unit *unit = container_of(it, struct storage_unit, node);
		struct storage_order order = {
			.kind = CHANGE_SIZE, .lun = unit->scsi, .size = size
		};
		int err = unit->volume == volume ? change_do(s, &order) : 0;

		if (err)
			return err;
	}
	return 0;
}

/* ---- the end ---- */

struct flush {
	struct vol_io io;
	struct vol_chan *chan; /* of this flush alone */
	struct storage_flush *f;
	struct loop_post post; /* frees it outside of its own callback */
};

static void flush_over(struct loop_post *post)
{
	struct flush *one = container_of(post, struct flush, post);
	struct storage_flush *f = one->f;

	vol_chan_close(one->chan);
	free(one);
	if (!--f->left)
		f->done(f);
}

static void flush_done(struct vol_io *io, int res)
{
	struct flush *one = container_of(io, struct flush, io);

	if (res) {
		one->f->failed++;
		log_error("volume not flushed", "volume=%s error=\"%s\"",
			vol_name(vol_chan_vol(one->chan)), strerror(-res));
	}
	one->post.run = flush_over;
	loop_post(one->f->loop, &one->post);
}

static void flush_volume(struct storage_flush *f, struct vol *vol)
{
	struct vol_info info = vol_info(vol);
	struct flush *one;
	int err = 0;

	if (info.readonly || !(info.caps & VOL_HAS_CACHE))
		return;
	one = own_calloc(1, sizeof *one);
	one->f = f;
	one->chan = vol_chan_open(vol, f->loop, &err);
	if (!one->chan) {
		f->failed++;
		log_error("volume not flushed", "volume=%s error=\"%s\"", vol_name(vol),
			strerror(-err));
		free(one);
		return;
	}
	vol_io_init(&one->io);
	one->io.op = VOL_FLUSH;
	one->io.done = flush_done;
	f->left++;
	vol_submit(one->chan, &one->io);
}

static void flush_began(struct loop_post *post)
{
	struct storage_flush *f = container_of(post, struct storage_flush, post);

	if (!--f->left)
		f->done(f);
}

static void flush_begin(struct storage_flush *f)
{
	f->left = 1; /* the beginning itself, so that done comes later in any case */
	list_for_each (it, &f->storage->volumes) {
		flush_volume(f, container_of(it, struct storage_volume, node)->vol);
	}
	f->post.run = flush_began;
	loop_post(f->loop, &f->post);
}

/* What a unit does on its own goes on until it notices that it shall not. */
static void flush_when_quiet(struct loop_timer *timer)
{
	struct storage_flush *f = container_of(timer, struct storage_flush, timer);
	bool quiet = true;

	list_for_each (it, &f->storage->units) {
		if (f->units_go_on)
			break;
		quiet &= scsi_lun_stop(container_of(it, struct storage_unit, node)->scsi);
	}
	if (quiet)
		flush_begin(f);
	else
		loop_timer_set(f->loop, timer, 20);
}

static void flush_posted(struct loop_post *post)
{
	flush_when_quiet(&container_of(post, struct storage_flush, post)->timer);
}

void storage_flush(struct storage *s, struct loop *loop, struct storage_flush *f)
{
	f->storage = s;
	f->loop = loop;
	f->failed = 0;
	loop_timer_init(&f->timer, flush_when_quiet);
	f->post.run = flush_posted;
	loop_post(loop, &f->post);
}

void storage_leave(struct storage *s, struct loop *loop)
{
	list_for_each (it, &s->units) {
		scsi_lun_close(container_of(it, struct storage_unit, node)->scsi, loop);
	}
}

void storage_close(struct storage *s)
{
	if (!s->loops)
		return;
	s->running = false;
	change_forget(s);
	list_for_each_safe (it, &s->ports)
		storage_port_free(s, container_of(it, struct storage_port, node));
	list_for_each_safe (it, &s->units)
		storage_unit_free(s, container_of(it, struct storage_unit, node));
	list_for_each_safe (it, &s->volumes)
		storage_volume_free(s, container_of(it, struct storage_volume, node));
	pools_free(s->pools);
	pthread_mutex_destroy(&s->lock);
	free(s->state_dir);
	*s = (struct storage){ 0 };
}
