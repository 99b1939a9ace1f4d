// SPDX-License-Identifier: Apache-2.0
/*
 * vol_open.c: building a volume: the store first, then its identity, then the layers from the
 * bottom up; and the list of open volumes, in which no identity may stand twice.
 *
 * Every way to fail leaves a sentence and nothing open. A file that was made stays.
 */
#include "volume/meta.h"
#include "volume/vol_guts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* guards open_vols */
static struct list open_vols = { &open_vols, &open_vols };

int vol_refuse(struct vol_setup *setup, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(setup->why, setup->why_len, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- rows ---- */

static const struct vol_part_ops *const store_rows[] = {
#define STORE(name, help) &store_##name##_ops,
#include "volume/stores.def"
#undef STORE
};

static const struct vol_part_ops *const layer_rows[] = {
#define LAYER(name, help) &layer_##name##_ops,
#include "volume/layers.def"
#undef LAYER
};

static const struct vol_part_ops *row_find(
	const struct vol_part_ops *const *rows, size_t n, const char *kind)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(rows[i]->kind, kind))
			return rows[i];
	return NULL;
}

/* ---- what is asked for ---- */

static bool name_good(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = name ? strlen(name) : 0;

	return len >= 1 && len <= VOL_NAME_MAX && strspn(name, allowed) == len;
}

static bool power_of_two(uint32_t v)
{
	return v && !(v & (v - 1));
}

static int conf_check_blocks(struct vol_setup *setup)
{
	const struct vol_conf *conf = setup->conf;
	uint32_t bs = conf->block_size ? conf->block_size : 512;
	uint32_t phys = conf->physical_block_size;

	if (bs != 512 && bs != 4096)
		return vol_refuse(setup, -EINVAL,
			"volume %s: block_size %u is neither 512 nor 4096", conf->name, bs);
	if (phys && (!power_of_two(phys) || phys < bs || phys > 1u << 20))
		return vol_refuse(setup, -EINVAL,
			"volume %s: physical_block_size %u is not a power of two between "
			"block_size %u and "
			"1048576",
			conf->name, phys, bs);
	if (conf->size % bs)
		return vol_refuse(setup, -EINVAL,
			"volume %s: size %llu is not a multiple of block_size %u; %llu would be",
			conf->name, (unsigned long long)conf->size, bs,
			(unsigned long long)(conf->size - conf->size % bs + bs));
	if (conf->size > (uint64_t)INT64_MAX)
		return vol_refuse(setup, -EINVAL,
			"volume %s: size %llu is more than any file can have", conf->name,
			(unsigned long long)conf->size);
	return 0;
}

static int conf_check(struct vol_setup *setup)
{
	const struct vol_conf *conf = setup->conf;

	if (!name_good(conf->name))
		return vol_refuse(setup, -EINVAL,
			"volume name \"%.64s\" is not 1 to %d of A-Z a-z 0-9 . _ -",
			conf->name ? conf->name : "", VOL_NAME_MAX);
	if (conf->layer_count > VOL_LAYERS_MAX - 1)
		return vol_refuse(setup, -EINVAL, "volume %s: %u layers are too many, %d at most",
			conf->name, conf->layer_count, VOL_LAYERS_MAX - 1);
	return conf_check_blocks(setup);
}

/* ---- parts ---- */

static void part_close(struct vol_part *part)
{
	if (part->ops->close)
		part->ops->close(part);
	free(part);
}

static struct vol_part *part_open(
	struct vol *vol, const struct vol_part_ops *ops, struct vol_setup *setup)
{
	struct vol_part *part = own_calloc(1, ops->part_size);

	part->ops = ops;
	part->info = &vol->info;
	part->vol_name = vol->name;
	if (ops->open && ops->open(part, setup)) {
		part_close(part);
		return NULL;
	}
	return part;
}

/* What the store left open, and what the configuration decides. */
static int info_finish(struct vol_setup *setup)
{
	const struct vol_conf *conf = setup->conf;
	struct vol_info *info = setup->info;

	if (conf->physical_block_size)
		info->physical_block_size = conf->physical_block_size;
	else if (info->physical_block_size < info->block_size)
		info->physical_block_size = info->block_size;
	if (!(info->caps & VOL_CAN_TRIM))
		info->trim_granularity = info->trim_alignment = 0;
	if (!info->size)
		return vol_refuse(setup, -EINVAL,
			"volume %s: it has no size; give one, as size = \"20G\"", conf->name);
	return 0;
}

static int store_open(struct vol *vol, const struct vol_part_ops *ops, struct vol_setup *setup)
{
	struct vol_part **slot = &vol->part[vol->part_count - 1];

	*slot = part_open(vol, ops, setup);
	return *slot ? info_finish(setup) : -EINVAL;
}

static int identity_open(struct vol *vol, struct vol_setup *setup)
{
	const struct meta_place place = {
		.name = vol->name,
		.sidecar = setup->sidecar,
		.state_dir = setup->conf->state_dir,
		.given = setup->conf->uuid,
	};

	return meta_identify(&place, vol->info.uuid, setup->why, setup->why_len);
}

static int layers_open(struct vol *vol, struct vol_setup *setup)
{
	const struct vol_layer_conf *layers = setup->conf->layers;

	for (unsigned i = setup->conf->layer_count; i-- > 0;) {
		const struct vol_part_ops *ops =
			row_find(layer_rows, own_array_len(layer_rows), layers[i].kind);

		if (!ops)
			return vol_refuse(setup, -EINVAL,
				"volume %s: there is no layer \"%s\"; there are error, delay, "
				"stats, limit and crypt",
				vol->name, layers[i].kind);
		setup->options = layers[i].options ? layers[i].options : "";
		vol->part[i] = part_open(vol, ops, setup);
		if (!vol->part[i])
			return -EINVAL;
	}
	return 0;
}

/* Top first, as a close of the upper one may still use the lower. */
static void parts_close(struct vol *vol)
{
	for (unsigned i = 0; i < vol->part_count; i++)
		if (vol->part[i])
			part_close(vol->part[i]);
}

/* ---- the list of open volumes ---- */

static const struct vol *vols_find(const struct vol *vol)
{
	list_for_each (it, &open_vols) {
		const struct vol *other = container_of(it, struct vol, node);

		if (!memcmp(other->info.uuid, vol->info.uuid, VOL_UUID_LEN))
			return other;
	}
	return NULL;
}

static int vols_add(struct vol *vol, struct vol_setup *setup)
{
	char uuid[META_UUID_TEXT];
	const struct vol *other;
	int err = 0;

	pthread_mutex_lock(&open_lock);
	other = vols_find(vol);
	if (other) {
		meta_uuid_format(vol->info.uuid, uuid);
		err = vol_refuse(setup, -EEXIST,
			"volume %s: its identity %s is that of volume %s, and initiators would "
			"take two disks "
			"for one; if this is a copy, remove its record %s%sto give it an identity "
			"of its own",
			vol->name, uuid, other->name, setup->sidecar ? setup->sidecar : "",
			setup->sidecar ? " " : "");
	} else {
		list_push(&open_vols, &vol->node);
	}
	pthread_mutex_unlock(&open_lock);
	return err;
}

static void vols_del(struct vol *vol)
{
	pthread_mutex_lock(&open_lock);
	list_del(&vol->node);
	pthread_mutex_unlock(&open_lock);
}

void vols_each(void (*each)(struct vol *vol, void *arg), void *arg)
{
	pthread_mutex_lock(&open_lock);
	list_for_each (it, &open_vols)
		each(container_of(it, struct vol, node), arg);
	pthread_mutex_unlock(&open_lock);
}

/* ---- the contract ---- */

static struct vol *vol_alloc(const struct vol_conf *conf)
{
	struct vol *vol = own_calloc(1, sizeof *vol);

	vol->magic = VOL_MAGIC;
	memcpy(vol->name, conf->name, strlen(conf->name));
	vol->part_count = conf->layer_count + 1;
	vol->info.block_size = conf->block_size ? conf->block_size : 512;
	vol->info.readonly = conf->readonly;
	pthread_mutex_init(&vol->resize_lock, NULL);
	pthread_mutex_init(&vol->count_lock, NULL);
	list_init(&vol->counting);
	list_init(&vol->node);
	return vol;
}

static void vol_free(struct vol *vol)
{
	parts_close(vol);
	pthread_mutex_destroy(&vol->count_lock);
	pthread_mutex_destroy(&vol->resize_lock);
	vol->magic = 0;
	free(vol);
}

static int vol_build(struct vol *vol, const struct vol_part_ops *store, struct vol_setup *setup)
{
	int err = store_open(vol, store, setup);

	if (!err)
		err = identity_open(vol, setup);
	if (!err)
		err = layers_open(vol, setup);
	if (!err)
		err = vols_add(vol, setup);
	vol->size_high = vol->info.size;
	return err;
}

struct vol *vol_open_store(
	const struct vol_conf *conf, const struct vol_part_ops *store, char *why, size_t why_len)
{
	struct vol_setup setup = { .conf = conf, .options = "", .why = why, .why_len = why_len };
	struct vol *vol;
	int err;

	if (conf_check(&setup))
		return NULL;
	vol = vol_alloc(conf);
	setup.info = &vol->info;
	err = vol_build(vol, store, &setup);
	free(setup.sidecar);
	if (err) {
		vol_free(vol);
		return NULL;
	}
	return vol;
}

struct vol *vol_open(const struct vol_conf *conf, char *why, size_t why_len)
{
	const struct vol_part_ops *store = NULL;

	if (conf->store)
		store = row_find(store_rows, own_array_len(store_rows), conf->store);
	if (!store) {
		snprintf(why, why_len,
			"volume %.64s: there is no store \"%.64s\"; there are file, block, mem and "
			"null",
			conf->name ? conf->name : "", conf->store ? conf->store : "");
		return NULL;
	}
	return vol_open_store(conf, store, why, why_len);
}

void vol_close(struct vol *vol)
{
	own_assert(vol->magic == VOL_MAGIC);
	own_assert(!__atomic_load_n(&vol->chan_count, __ATOMIC_RELAXED));
	vols_del(vol);
	vol_free(vol);
}

const char *vol_name(const struct vol *vol)
{
	return vol->name;
}

struct vol_info vol_info(const struct vol *vol)
{
	struct vol_info info = {
		.size = __atomic_load_n(&vol->info.size, __ATOMIC_RELAXED),
		.block_size = vol->info.block_size,
		.physical_block_size = vol->info.physical_block_size,
		.trim_granularity = vol->info.trim_granularity,
		.trim_alignment = vol->info.trim_alignment,
		.caps = vol->info.caps,
		.readonly = vol->info.readonly,
		.rotational = vol->info.rotational,
	};

	memcpy(info.uuid, vol->info.uuid, sizeof info.uuid);
	return info;
}

struct vol_part *vol_find_part(const struct vol *vol, const struct vol_part_ops *ops)
{
	for (unsigned i = 0; i < vol->part_count; i++)
		if (vol->part[i]->ops == ops)
			return vol->part[i];
	return NULL;
}

/* ---- size, keys ---- */

static void size_set(struct vol *vol, uint64_t size)
{
	if (size > vol->size_high)
		__atomic_store_n(&vol->size_high, size, __ATOMIC_RELAXED);
	__atomic_store_n(&vol->info.size, size, __ATOMIC_RELAXED);
}

/* Smaller: told first, then done, so that nobody is sent where nothing is. Larger: the reverse. */
static int resize_locked(struct vol *vol, uint64_t size)
{
	struct vol_part *store = vol_store(vol);
	uint64_t before = vol->info.size, now = size;
	int err;

	if (size && size < before)
		size_set(vol, size);
	err = store->ops->resize(store, size, &now);
	size_set(vol, err ? before : now - now % vol->info.block_size);
	return err;
}

int vol_resize(struct vol *vol, uint64_t size)
{
	int err;

	own_assert(vol->magic == VOL_MAGIC);
	if (size % vol->info.block_size || size > (uint64_t)INT64_MAX)
		return -EINVAL;
	if (!vol_store(vol)->ops->resize)
		return -ENOTSUP;
	pthread_mutex_lock(&vol->resize_lock);
	err = resize_locked(vol, size);
	pthread_mutex_unlock(&vol->resize_lock);
	return err;
}

int vol_space(struct vol *vol, struct vol_space *space)
{
	struct vol_part *store = vol_store(vol);

	own_assert(vol->magic == VOL_MAGIC);
	return store->ops->space ? store->ops->space(store, space) : -ENOTSUP;
}

/* Every layer that has a key: with two of them, either would do. */
static int rekey_locked(struct vol *vol)
{
	int err = 0;

	for (unsigned i = 0; i < vol->part_count && !err; i++)
		if (vol->part[i]->ops->rekey)
			err = vol->part[i]->ops->rekey(vol->part[i]);
	return err;
}

int vol_rekey(struct vol *vol)
{
	int err;

	own_assert(vol->magic == VOL_MAGIC);
	if (!(vol->info.caps & VOL_CAN_REKEY))
		return -ENOTSUP;
	pthread_mutex_lock(&vol->resize_lock);
	err = rekey_locked(vol);
	pthread_mutex_unlock(&vol->resize_lock);
	return err;
}
