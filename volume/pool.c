// SPDX-License-Identifier: Apache-2.0
/*
 * pool.c: opening and closing pools, and looking at what is in them; the verbs are in pool_verbs.c.
 */
#include "volume/pool.h"

#include "common/log.h"
#include "common/own.h"
#include "volume/pool_claim.h"
#include "volume/pool_kind.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- rows, names, sentences ---- */

static const struct pool_ops *const pool_rows[] = {
#define POOL(id, kind, help) &pool_##id##_ops,
#include "volume/pools.def"
#undef POOL
};

int pool_refuse(const struct pool_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	if (!why->text)
		return err;
	va_start(ap, fmt);
	vsnprintf(why->text, why->len, fmt, ap);
	va_end(ap);
	return err;
}

static const struct {
	enum pool_caps bit;
	const char *name;
} cap_names[] = {
	{ POOL_CAN_MAKE, "make" },
	{ POOL_CAN_THIN, "thin" },
	{ POOL_CAN_THICK, "thick" },
	{ POOL_CAN_SNAPSHOT, "snapshot" },
	{ POOL_CAN_CLONE, "clone" },
	{ POOL_CAN_GROW, "grow" },
	{ POOL_CAN_SHRINK, "shrink" },
	{ POOL_CAN_DISCARD, "discard" },
	{ POOL_REVERT_CONSUMES, "revert-consumes" },
	{ POOL_FENCES, "fences" },
};

const char *pool_cap_name(enum pool_caps bit)
{
	for (unsigned i = 0; i < own_array_len(cap_names); i++)
		if (cap_names[i].bit == bit)
			return cap_names[i].name;
	return NULL;
}

const char *pool_name(const struct pool *pool)
{
	return pool->conf.name;
}

const char *pool_kind(const struct pool *pool)
{
	return pool->ops->kind;
}

uint32_t pool_caps(const struct pool *pool)
{
	return pool->caps;
}

static bool name_good(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = name ? strlen(name) : 0;

	return len >= 1 && len <= POOL_NAME_MAX && strspn(name, allowed) == len && *name != '.' &&
	       *name != '-' && !strstr(name, ".kura");
}

int pool_name_check(const struct pool *pool, const char *name, const struct pool_why *why)
{
	if (name_good(name))
		return 0;
	return pool_refuse(why, -EINVAL,
		"pool %s: \"%.64s\" is no name for a volume; take 1 to %d of A-Z a-z 0-9 . _ -, "
		"not beginning with . or -, and without \".kura\"",
		pool->conf.name, name ? name : "", POOL_NAME_MAX);
}

int pool_must_can(
	const struct pool *pool, uint32_t caps, const char *verb, const struct pool_why *why)
{
	if ((pool->caps & caps) == caps)
		return 0;
	return pool_refuse(why, -ENOTSUP,
		"pool %s: a pool of kind \"%s\"%s%s cannot %s; see what its kind and its "
		"filesystem can in kura.conf(5)",
		pool->conf.name, pool->ops->kind, pool->conf.path ? " on " : "",
		pool->conf.path ? pool->conf.path : "", verb);
}

/* ---- lists ---- */

struct pool_volume *pool_listing_add(struct pool_listing *listing)
{
	struct pool_volume *v;

	if (listing->count == listing->room) {
		listing->room = listing->room ? 2 * listing->room : 16;
		listing->volumes =
			reallocarray(listing->volumes, listing->room, sizeof *listing->volumes);
		own_assert(listing->volumes);
	}
	v = &listing->volumes[listing->count++];
	memset(v, 0, sizeof *v);
	return v;
}

void pool_volume_recorded(struct pool_volume *volume, const struct meta_record *record)
{
	memcpy(volume->uuid, record->uuid, sizeof volume->uuid);
	memcpy(volume->origin_uuid, record->origin, sizeof volume->origin_uuid);
	volume->has_origin = record->has_origin;
	volume->snapshot = record->snapshot;
	volume->created = record->created;
}

static int by_name(const void *a, const void *b)
{
	const struct pool_volume *left = a, *right = b;

	return strcmp(left->name, right->name);
}

/* The names of origins: the records hold identities, which no renaming touches. */
static void listing_origins(const struct pool_listing *l)
{
	for (size_t i = 0; i < l->count; i++) {
		struct pool_volume *v = &l->volumes[i];

		for (size_t k = 0; k < l->count && v->has_origin; k++) {
			if (memcmp(l->volumes[k].uuid, v->origin_uuid, VOL_UUID_LEN) != 0)
				continue;
			memcpy(v->origin, l->volumes[k].name, sizeof v->origin);
			l->volumes[k].snapshots += v->snapshot;
			break;
		}
	}
}

int pool_list_locked(struct pool *pool, struct pool_listing *out, const struct pool_why *why)
{
	int err = pool->ops->list(pool, out, false, why);

	if (err) {
		free(out->volumes);
		*out = (struct pool_listing){ 0 };
		return err;
	}
	if (out->count)
		qsort(out->volumes, out->count, sizeof *out->volumes, by_name);
	listing_origins(out);
	return 0;
}

int pool_find_locked(
	struct pool *pool, const char *name, struct pool_volume *volume, const struct pool_why *why)
{
	struct pool_listing l = { 0 };
	int err = pool_list_locked(pool, &l, why);

	if (err)
		return err;
	err = -ENOENT;
	for (size_t i = 0; i < l.count && err; i++) {
		if (strcmp(l.volumes[i].name, name) != 0)
			continue;
		*volume = l.volumes[i];
		err = 0;
	}
	free(l.volumes);
	if (!err)
		return 0;
	return pool_refuse(why, err,
		"pool %s: there is no volume \"%.64s\"; the list of the pool has the names",
		pool->conf.name, name);
}

int pool_list(struct pool *pool, struct pool_volume **list, size_t *count, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_listing l = { 0 };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = pool_list_locked(pool, &l, &why);
	pthread_mutex_unlock(&pool->lock);
	if (!l.count) {
		free(l.volumes);
		l.volumes = NULL;
	}
	*list = l.volumes;
	*count = l.count;
	return err;
}

int pool_find(
	struct pool *pool, const char *name, struct pool_volume *volume, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = pool_find_locked(pool, name, volume, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_info(struct pool *pool, struct pool_info *info, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_listing l = { 0 };
	int err;

	*info = (struct pool_info){ .caps = pool->caps };
	pthread_mutex_lock(&pool->lock);
	err = pool->ops->info(pool, info, &why);
	if (!err)
		err = pool_list_locked(pool, &l, &why);
	pthread_mutex_unlock(&pool->lock);
	info->volumes = (unsigned)l.count;
	for (size_t i = 0; i < l.count; i++)
		info->promised += l.volumes[i].size;
	free(l.volumes);
	return err;
}

int pool_level(struct pool *pool, struct pool_info *info)
{
	*info = (struct pool_info){ .caps = pool->caps };
	return pool->ops->level ? pool->ops->level(pool, info) : -ENOTSUP;
}

int pool_extend(struct pool *pool, bool metadata, uint64_t by, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	if (!pool->conf.thin_pool)
		return pool_refuse(&why, -ENOTSUP,
			"pool %s: a pool of kind \"%s\" is no thin pool, and cannot be extended",
			pool->conf.name, pool->ops->kind);
	pthread_mutex_lock(&pool->lock);
	err = pool->ops->extend(pool, metadata, by, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_resolve(
	struct pool *pool, const char *name, struct pool_place *place, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err = pool_name_check(pool, name, &why);

	if (err)
		return err;
	*place = (struct pool_place){ 0 };
	pthread_mutex_lock(&pool->lock);
	err = pool->ops->resolve(pool, name, place, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_keep(struct pool *pool, const char *name, const char *text, char *said, size_t len)
{
	const struct pool_why why = { said, len };

	if (!pool->ops->keep)
		return pool_refuse(&why, -ENOTSUP, "pool %s: it keeps nothing", pool->conf.name);
	return pool->ops->keep(pool, name, text, &why);
}

char *pool_kept(struct pool *pool, const char *name, int *err, char *said, size_t len)
{
	const struct pool_why why = { said, len };

	*err = 0;
	return pool->ops->kept ? pool->ops->kept(pool, name, err, &why) : NULL;
}

/* ---- open, close ---- */

static void conf_free(struct pool_conf *conf)
{
	free((char *)conf->name);
	free((char *)conf->path);
	free((char *)conf->vg);
	free((char *)conf->thin_pool);
	free((char *)conf->state_dir);
	free((char *)conf->lvm_config);
	free((char *)conf->lvm_devices);
}

static void conf_copy(struct pool_conf *to, const struct pool_conf *from, const char *kind)
{
	*to = (struct pool_conf){
		.name = own_strdup(from->name),
		.kind = kind,
		.path = own_strdup(from->path),
		.vg = own_strdup(from->vg),
		.thin_pool = own_strdup(from->thin_pool),
		.state_dir = own_strdup(from->state_dir),
		.lvm_config = own_strdup(from->lvm_config),
		.lvm_devices = own_strdup(from->lvm_devices),
		.snapshot_percent = from->snapshot_percent ? from->snapshot_percent : 100,
	};
}

static bool janitor_tell(void *arg, uint64_t done, uint64_t total)
{
	const struct pool *pool = arg;

	(void)done;
	(void)total;
	return !__atomic_load_n(&pool->closing, __ATOMIC_RELAXED);
}

/* Whether that volume still waits for its wiping: an administrator may have taken it away, and its
 * name may be another one's by now. */
static bool janitor_sees(struct pool *pool, const char *name)
{
	const struct pool_why quiet = { 0 };
	struct pool_listing l = { 0 };
	bool there = false;

	pthread_mutex_lock(&pool->lock);
	(void)pool->ops->list(pool, &l, true, &quiet);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < l.count && !there; i++)
		there = !strcmp(l.volumes[i].name, name);
	free(l.volumes);
	return there;
}

static void janitor_wipe(struct pool *pool, const char *name)
{
	const struct pool_progress progress = { janitor_tell, pool };
	own_free char *path = pool->ops->path(pool, name, POOL_GONE);
	char text[POOL_WHY_LEN] = "";
	const struct pool_why why = { text, sizeof text };
	int err = pool_wipe(path, &progress, &why);

	if (!err) {
		pthread_mutex_lock(&pool->lock);
		err = pool->ops->erase(pool, name, &why);
		pthread_mutex_unlock(&pool->lock);
	}
	if (!err)
		log_info("pool: wiped what an earlier run had deleted", "pool=%s volume=%s",
			pool->conf.name, name);
	else if (err != -ECANCELED)
		log_error("pool: a deleted volume is not wiped", "pool=%s volume=%s why=\"%s\"",
			pool->conf.name, name, text);
}

static void *janitor_run(void *arg)
{
	struct pool *pool = arg;

	for (size_t i = 0; i < pool->gone.count && janitor_tell(pool, 0, 0); i++) {
		if (janitor_sees(pool, pool->gone.volumes[i].name))
			janitor_wipe(pool, pool->gone.volumes[i].name);
	}
	return NULL;
}

/* Wiping takes its time, and nobody who starts should wait for it. What it is to wipe is listed
 * before anybody else deletes: the rest is wiped by who deletes it. */
static void janitor_start(struct pool *pool)
{
	const struct pool_why quiet = { 0 };

	if (pool->ops->list(pool, &pool->gone, true, &quiet) == 0 && pool->gone.count)
		pool->has_janitor = pthread_create(&pool->janitor, NULL, janitor_run, pool) == 0;
}

static const struct pool_ops *row_of(const char *kind)
{
	for (unsigned i = 0; i < own_array_len(pool_rows); i++)
		if (kind && !strcmp(pool_rows[i]->kind, kind))
			return pool_rows[i];
	return NULL;
}

struct pool *pool_open(const struct pool_conf *conf, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	const struct pool_ops *ops = row_of(conf->kind);
	struct pool *pool;

	if (!ops) {
		pool_refuse(&why, -EINVAL,
			"pool %s: there is no kind \"%s\"; take dir, lvm, lvm-thin or block",
			conf->name, conf->kind ? conf->kind : "");
		return NULL;
	}
	pool = own_calloc(1, ops->size);
	pool->ops = ops;
	conf_copy(&pool->conf, conf, ops->kind);
	pthread_mutex_init(&pool->lock, NULL);
	if (ops->open(pool, &why)) {
		pool_close(pool);
		return NULL;
	}
	janitor_start(pool);
	return pool;
}

void pool_close(struct pool *pool)
{
	if (!pool)
		return;
	pool_unwatch(pool);
	__atomic_store_n(&pool->closing, true, __ATOMIC_RELAXED);
	if (pool->has_janitor)
		pthread_join(pool->janitor, NULL);
	free(pool->gone.volumes);
	if (pool->ops->close)
		pool->ops->close(pool);
	pool_claim_end(pool);
	pthread_mutex_destroy(&pool->lock);
	conf_free(&pool->conf);
	free(pool);
}

/* ---- the box ---- */

int pool_check_host(struct pool *pool, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->ops->check_host)
		err = pool->ops->check_host(pool, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}
