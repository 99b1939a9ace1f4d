/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From names to things: volumes are opened, logical units made, targets mapped. Any failure ends
 * the start, with the line of the configuration that asked for it.
 */
#include "target/storage.h"

#include "common/log.h"
#include "common/own.h"
#include "target/iscsi/iscsi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct storage_lun {
	const struct cfg_lun *cfg; /* the first that asked for it */
	unsigned volume;           /* index */
	struct scsi_lun *scsi;
};

/* ---- volumes ---- */

static enum vol_cache cache_of(const struct cfg_volume *v)
{
	return v->cache == CFG_CACHE_DIRECT ? VOL_CACHE_DIRECT : VOL_CACHE_BUFFERED;
}

static struct vol *open_volume(const struct cfg_volume *v, const char *state_dir, char *why)
{
	struct vol_layer_conf layers[CFG_LAYERS_MAX] = { 0 };
	struct vol_conf conf = {
		.name = v->name,
		.store = v->store,
		.path = v->path,
		.state_dir = state_dir,
		.size = v->size,
		.block_size = v->block_size,
		.physical_block_size = v->physical_block_size,
		.cache = cache_of(v),
		.readonly = v->readonly,
		.uuid = v->uuid,
		.layers = layers,
		.layer_count = v->layer_count,
	};

	own_assert(v->layer_count <= CFG_LAYERS_MAX);
	for (unsigned i = 0; i < v->layer_count; i++)
		layers[i] = (struct vol_layer_conf){ v->layers[i].kind, v->layers[i].options };
	return vol_open(&conf, why, STORAGE_WHY_LEN);
}

static void log_volume(const struct cfg_volume *v, const struct vol *vol)
{
	struct vol_info info = vol_info(vol);
	char uuid[2 * VOL_UUID_LEN + 1];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(uuid + 2 * i, 3, "%02x", info.uuid[i]);
	log_info("volume open", "volume=%s store=%s path=%s bytes=%" PRIu64 " block=%u uuid=%s%s",
		v->name, v->store, v->path ? v->path : "-", info.size, info.block_size, uuid,
		info.readonly ? " readonly" : "");
}

static int open_volumes(struct storage *s, const char *state_dir, char *why)
{
	char text[STORAGE_WHY_LEN] = "";

	s->vols = own_calloc(s->cfg->volume_count + 1, sizeof *s->vols);
	for (unsigned i = 0; i < s->cfg->volume_count; i++) {
		const struct cfg_volume *v = &s->cfg->volumes[i];
		struct vol *vol = open_volume(v, state_dir, text);

		if (!vol) {
			snprintf(why, STORAGE_WHY_LEN, "%s:%u: volume \"%s\": %.400s",
				v->where.file, v->where.line, v->name, text);
			return -EIO;
		}
		s->vols[s->vol_count++] = vol;
		log_volume(v, vol);
	}
	return 0;
}

/* The index of a volume; the configuration was checked, so it is there. */
static unsigned volume_index(const struct storage *s, const char *name)
{
	for (unsigned i = 0; i < s->vol_count; i++) {
		if (!strcmp(s->cfg->volumes[i].name, name))
			return i;
	}
	own_assert(!"a checked configuration names a volume that is not there");
	return 0;
}

/* ---- logical units ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_unit(const struct cfg_lun *a, const struct cfg_lun *b)
{
	return same_text(a->vendor, b->vendor) && same_text(a->product, b->product) &&
	       same_text(a->revision, b->revision) && same_text(a->serial, b->serial) &&
	       same_text(a->naa, b->naa);
}

static struct scsi_lun *find_unit(
	const struct storage *s, const struct cfg_lun *cfg, unsigned volume)
{
	for (unsigned i = 0; i < s->lun_count; i++) {
		if (s->luns[i].volume == volume && same_unit(s->luns[i].cfg, cfg))
			return s->luns[i].scsi;
	}
	return NULL;
}

static struct scsi_lun *make_unit(struct storage *s, const struct cfg_lun *cfg, unsigned volume)
{
	const struct cfg_volume *v = &s->cfg->volumes[volume];
	struct scsi_lun_conf conf = {
		.vol = s->vols[volume],
		.removable = v->removable,
		.thin = v->thin,
		.vendor = cfg->vendor,
		.product = cfg->product,
		.revision = cfg->revision,
		.serial = cfg->serial,
		.naa = cfg->naa,
		.state_dir = s->state_dir,
	};
	struct scsi_lun *scsi = scsi_lun_new(s->domain, &conf);

	s->luns = reallocarray(s->luns, s->lun_count + 1, sizeof *s->luns);
	own_assert(s->luns);
	s->luns[s->lun_count++] =
		(struct storage_lun){ .cfg = cfg, .volume = volume, .scsi = scsi };
	return scsi;
}

/* ---- targets ---- */

static int map_lun(
	struct storage *s, struct scsi_target *target, const struct cfg_lun *cfg, char *why)
{
	unsigned volume = volume_index(s, cfg->volume);
	struct scsi_lun *unit = find_unit(s, cfg, volume);
	int err;

	if (!unit)
		unit = make_unit(s, cfg, volume);
	err = scsi_target_map(target, cfg->lun, unit, cfg->readonly);
	if (err)
		snprintf(why, STORAGE_WHY_LEN, "%s:%u: LUN %u cannot be mapped: %s",
			cfg->where.file, cfg->where.line, cfg->lun, strerror(-err));
	return err;
}

/* Which maps a target has: 0 is its own, then one for each host group with LUNs of its own. */
static unsigned view_of(const struct cfg_target *t, const struct cfg_access *access)
{
	return access && access->lun_count ? (unsigned)(access - t->access) + 1 : 0;
}

struct scsi_target *storage_port(
	const struct storage *s, unsigned index, unsigned group, const struct cfg_access *access)
{
	unsigned view = view_of(&s->cfg->targets[index], access);

	return s->targets[s->first[index] + view * s->group_count + group];
}

/* SPC-4 3.1: a relative port identifier for each port. Those of one target are a thousand or more
 * apart, so that they stay when targets, groups of hosts or portals are added behind the others. */
static int make_port(struct storage *s, unsigned index, unsigned group, unsigned view, char *why)
{
	const struct cfg_target *t = &s->cfg->targets[index];
	unsigned slot = view * s->group_count + group;
	unsigned stride = s->cfg->target_count < 1024 ? 1024 : s->cfg->target_count;
	const struct cfg_lun *luns = view ? t->access[view - 1].luns : t->luns;
	unsigned count = view ? t->access[view - 1].lun_count : t->lun_count;
	struct scsi_target *port;
	int err = 0;

	if (slot * stride + index + 1 > UINT16_MAX) {
		snprintf(why, STORAGE_WHY_LEN,
			"%s:%u: target \"%s\" has too many maps of LUNs and portal groups; at most "
			"%u are possible here",
			t->where.file, t->where.line, t->name, UINT16_MAX / stride);
		return -E2BIG;
	}
	port = scsi_target_new(
		s->domain, t->name, s->groups[group], (uint16_t)(slot * stride + index + 1));
	s->targets[s->first[index] + slot] = port;
	for (unsigned i = 0; i < count && !err; i++)
		err = map_lun(s, port, &luns[i], why);
	return err;
}

static int make_target(struct storage *s, unsigned index, char *why)
{
	const struct cfg_target *t = &s->cfg->targets[index];

	for (unsigned view = 0; view <= t->access_count; view++) {
		if (view && !t->access[view - 1].lun_count)
			continue;
		for (unsigned group = 0; group < s->group_count; group++) {
			int err = make_port(s, index, group, view, why);

			if (err)
				return err;
		}
	}
	log_info("target offered", "target=%s luns=%u initiators=%u hosts=%u", t->name,
		t->lun_count, t->initiator_count, t->access_count);
	return 0;
}

/* The tags of the portals, each once. */
static void find_groups(struct storage *s)
{
	s->groups = own_calloc(s->cfg->portal_count, sizeof *s->groups);
	for (unsigned i = 0; i < s->cfg->portal_count; i++) {
		unsigned k = 0;

		while (k < s->group_count && s->groups[k] != s->cfg->portals[i].group)
			k++;
		if (k == s->group_count)
			s->groups[s->group_count++] = s->cfg->portals[i].group;
	}
}

static int make_targets(struct storage *s, char *why)
{
	unsigned n = s->cfg->target_count;
	int err = 0;

	if (n > UINT16_MAX) {
		snprintf(
			why, STORAGE_WHY_LEN, "%u targets; at most %u are possible", n, UINT16_MAX);
		return -E2BIG;
	}
	find_groups(s);
	s->first = own_calloc(n + 1, sizeof *s->first);
	for (unsigned i = 0; i < n; i++) {
		s->first[i] = s->target_count;
		s->target_count += (s->cfg->targets[i].access_count + 1) * s->group_count;
	}
	s->targets = own_calloc(s->target_count + 1, sizeof(struct scsi_target *));
	for (unsigned i = 0; i < n && !err; i++)
		err = make_target(s, i, why);
	return err;
}

static int open_channels(struct storage *s, struct loop *const *loops, unsigned n, char *why)
{
	for (unsigned i = 0; i < s->lun_count; i++) {
		for (unsigned k = 0; k < n; k++) {
			int err = scsi_lun_open(s->luns[i].scsi, loops[k]);

			if (!err)
				continue;
			snprintf(why, STORAGE_WHY_LEN, "volume \"%s\": no channel on loop %u: %s",
				vol_name(scsi_lun_vol(s->luns[i].scsi)), k, strerror(-err));
			return err;
		}
	}
	return 0;
}

int storage_open(struct storage *s, const struct config *cfg, const char *state_dir,
	struct scsi_domain *domain, struct loop *const *loops, unsigned n, char *why)
{
	int err;

	*s = (struct storage){ .cfg = cfg, .domain = domain, .state_dir = state_dir };
	err = open_volumes(s, state_dir, why);
	if (!err)
		err = make_targets(s, why);
	return err ? err : open_channels(s, loops, n, why);
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
	for (unsigned i = 0; i < f->storage->vol_count; i++)
		flush_volume(f, f->storage->vols[i]);
	f->post.run = flush_began;
	loop_post(f->loop, &f->post);
}

/* What a unit does on its own goes on until it notices that it shall not. */
static void flush_when_quiet(struct loop_timer *timer)
{
	struct storage_flush *f = container_of(timer, struct storage_flush, timer);
	bool quiet = true;

	for (unsigned i = 0; i < f->storage->lun_count; i++)
		quiet &= scsi_lun_stop(f->storage->luns[i].scsi);
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
	for (unsigned i = 0; i < s->lun_count; i++)
		scsi_lun_close(s->luns[i].scsi, loop);
}

void storage_close(struct storage *s)
{
	for (unsigned i = 0; i < s->target_count; i++)
		scsi_target_free(s->targets[i]);
	for (unsigned i = 0; i < s->lun_count; i++)
		scsi_lun_free(s->luns[i].scsi);
	for (unsigned i = 0; i < s->vol_count; i++)
		vol_close(s->vols[i]);
	free(s->targets);
	free(s->first);
	free(s->groups);
	free(s->luns);
	free(s->vols);
	*s = (struct storage){ 0 };
}
