// SPDX-License-Identifier: Apache-2.0
/*
 * pool_verbs.c: the verbs, each a transaction of steps that a kind supplies (pool_kind.h).
 *
 * New volumes: half made, perhaps filled, committed. Old ones: hidden, perhaps wiped, erased. The
 * commit and the hiding are the moments at which a verb has happened; what fails or dies before is
 * undone, what dies after is finished, by the verb itself or by the next pool_open.
 */
#include "common/fault.h"
#include "common/log.h"
#include "common/own.h"
#include "volume/pool_kind.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* ---- making ---- */

static int record_new(struct meta_record *record, const struct pool *pool, const uint8_t *uuid,
	const struct pool_why *why)
{
	*record = (struct meta_record){ .created = (int64_t)time(NULL) };
	if (uuid)
		memcpy(record->uuid, uuid, VOL_UUID_LEN);
	else if (meta_uuid_random(record->uuid))
		return pool_refuse(
			why, -EIO, "pool %s: no randomness for an identity", pool->conf.name);
	return 0;
}

static void record_from(struct meta_record *record, const struct pool_volume *source)
{
	record->has_origin = true;
	memcpy(record->origin, source->uuid, VOL_UUID_LEN);
	record->thick = !source->thin;
}

/* A name that a verb may give; identities and names in the pool are looked up in one list. */
static int check_free(
	struct pool *pool, const char *name, const uint8_t *uuid, const struct pool_why *why)
{
	struct pool_listing l = { 0 };
	int err = pool_name_check(pool, name, why);

	if (!err)
		err = pool_list_locked(pool, &l, why);
	for (size_t i = 0; i < l.count && !err; i++) {
		const struct pool_volume *v = &l.volumes[i];

		if (!strcmp(v->name, name))
			err = pool_refuse(why, -EEXIST,
				"pool %s: there is a volume \"%s\" already; take another name, or "
				"delete or rename that one",
				pool->conf.name, name);
		else if (uuid && !memcmp(v->uuid, uuid, VOL_UUID_LEN))
			err = pool_refuse(why, -EEXIST,
				"pool %s: volume \"%s\" has that identity already; leave the uuid "
				"out to get a new one",
				pool->conf.name, v->name);
	}
	free(l.volumes);
	return err;
}

/* After a step at which a half made volume is there: goes on, or takes it away. */
static int half_fault(
	struct pool *pool, const char *name, enum fault_id id, const struct pool_why *why)
{
	const struct pool_why quiet = { 0 };

	if (!fault_point(id))
		return 0;
	pool->ops->abandon(pool, name, &quiet);
	return pool_refuse(why, -EIO, "pool %s: fault %s", pool->conf.name, fault_name(id));
}

static int make_check(struct pool *pool, const struct pool_make *make, const struct pool_why *why)
{
	int err = pool_must_can(pool, POOL_CAN_MAKE, "make volumes", why);

	if (!err)
		err = pool_must_can(pool, make->thin ? POOL_CAN_THIN : POOL_CAN_THICK,
			make->thin ? "make thin volumes (leave thin out)"
				   : "make volumes that have all their space (say thin)",
			why);
	if (!err && (!make->size || make->size > INT64_MAX || make->size % 512))
		err = pool_refuse(why, -EINVAL,
			"pool %s: volume \"%s\" cannot have %llu bytes; give a size that is a "
			"multiple of 512 and not 0",
			pool->conf.name, make->name ? make->name : "",
			(unsigned long long)make->size);
	return err ? err : check_free(pool, make->name, make->uuid, why);
}

static int half_make(struct pool *pool, const struct pool_make *make,
	const struct pool_volume *source, const struct pool_why *why)
{
	struct meta_record record;
	int err = make_check(pool, make, why);

	if (!err)
		err = record_new(&record, pool, make->uuid, why);
	if (err)
		return err;
	if (source)
		record_from(&record, source);
	record.thick = !make->thin;
	err = pool->ops->make(pool, make, &record, why);
	return err ? err : half_fault(pool, make->name, FAULT_pool_made, why);
}

static int half_commit(struct pool *pool, const char *name, const struct pool_why *why)
{
	const struct pool_why quiet = { 0 };
	int err = pool->ops->commit(pool, name, why);

	if (err)
		pool->ops->abandon(pool, name, &quiet);
	else
		(void)fault_point(FAULT_pool_committed);
	return err;
}

int pool_create(struct pool *pool, const struct pool_make *make, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = half_make(pool, make, NULL, &why);
	if (!err)
		err = half_commit(pool, make->name, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_draft_begin(
	struct pool *pool, const struct pool_make *make, char **path, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = half_make(pool, make, NULL, &why);
	pthread_mutex_unlock(&pool->lock);
	*path = err ? NULL : pool->ops->path(pool, make->name, POOL_HALF);
	return err;
}

int pool_draft_commit(struct pool *pool, const char *name, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = half_commit(pool, name, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

void pool_draft_abandon(struct pool *pool, const char *name)
{
	char text[POOL_WHY_LEN] = "";
	const struct pool_why why = { text, sizeof text };

	pthread_mutex_lock(&pool->lock);
	if (pool->ops->abandon(pool, name, &why))
		log_error("pool: a half made volume stays until the next start",
			"pool=%s volume=%s why=\"%s\"", pool->conf.name, name, text);
	pthread_mutex_unlock(&pool->lock);
}

int pool_adopt(struct pool *pool, const char *name, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct meta_record record;
	int err;

	if (!pool->ops->adopt)
		return pool_must_can(pool, POOL_CAN_MAKE | ~0u, "adopt", &why);
	pthread_mutex_lock(&pool->lock);
	err = check_free(pool, name, NULL, &why);
	if (!err)
		err = record_new(&record, pool, NULL, &why);
	if (!err)
		err = pool->ops->adopt(pool, name, &record, &why);
	if (!err)
		(void)fault_point(FAULT_pool_adopted);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

/* ---- snapshots and clones ---- */

static int share_and_commit(struct pool *pool, const struct pool_volume *source, const char *name,
	bool snapshot, const struct pool_why *why)
{
	struct meta_record record;
	int err = record_new(&record, pool, NULL, why);

	if (err)
		return err;
	record_from(&record, source);
	record.snapshot = snapshot;
	record.thick = false;
	err = pool->ops->share(pool, source, name, &record, why);
	if (!err)
		err = half_fault(pool, name, FAULT_pool_made, why);
	return err ? err : half_commit(pool, name, why);
}

static int snapshot_held(struct pool *pool, const struct pool_volume *source, const char *snap,
	const struct pool_hooks *hooks, const struct pool_why *why)
{
	int err;

	if (!hooks || (pool->caps & POOL_FENCES))
		return share_and_commit(pool, source, snap, true, why);
	err = hooks->quiesce(hooks->arg);
	if (err)
		return pool_refuse(why, err,
			"volume %s: its writers could not be held still for a snapshot: %s; try "
			"again",
			source->name, strerror(-err));
	err = fault_point(FAULT_pool_quiesced);
	if (!err)
		err = share_and_commit(pool, source, snap, true, why);
	hooks->resume(hooks->arg);
	return err;
}

int pool_snapshot(struct pool *pool, const char *name, const char *snap,
	const struct pool_hooks *hooks, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_volume source;
	int err = pool_must_can(pool, POOL_CAN_SNAPSHOT, "take snapshots", &why);

	if (err)
		return err;
	pthread_mutex_lock(&pool->lock);
	err = check_free(pool, snap, NULL, &why);
	if (!err)
		err = pool_find_locked(pool, name, &source, &why);
	if (!err)
		err = snapshot_held(pool, &source, snap, hooks, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_revert(struct pool *pool, const char *name, const char *snap, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_volume volume, from;
	int err = pool_must_can(pool, POOL_CAN_SNAPSHOT, "revert to snapshots", &why);

	if (err)
		return err;
	pthread_mutex_lock(&pool->lock);
	err = pool_find_locked(pool, name, &volume, &why);
	if (!err)
		err = pool_find_locked(pool, snap, &from, &why);
	if (!err && (!from.snapshot || from.invalid ||
			    memcmp(from.origin_uuid, volume.uuid, VOL_UUID_LEN) != 0))
		err = pool_refuse(&why, -EINVAL,
			"volume %s: \"%s\" is %s; the list of the pool says which snapshots it has",
			name, snap,
			from.invalid ? "a snapshot whose room was too small and which is worthless"
				     : "no snapshot of it");
	if (!err)
		err = pool->ops->revert(pool, &volume, &from, &why);
	if (!err)
		(void)fault_point(FAULT_pool_reverted);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

/* The half made target of a copy; its name is taken from here on. */
static int copy_begin(struct pool *pool, const char *source, const char *name,
	struct pool_volume *from, const struct pool_why *why)
{
	struct pool_make make = { .name = name };

	make.size = from->size;
	make.thin = (pool->caps & POOL_CAN_THIN) && (from->thin || from->snapshot);
	(void)source;
	return half_make(pool, &make, from, why);
}

/* Under the lock for the beginning and the end only. */
static int clone_by_copy(struct pool *pool, const struct pool_volume *from, const char *name,
	const struct pool_progress *progress, const struct pool_why *why)
{
	own_free char *source = pool->ops->path(pool, from->name, POOL_LIVE);
	own_free char *target = pool->ops->path(pool, name, POOL_HALF);
	const struct pool_why quiet = { 0 };
	bool zeroed = (pool->caps & POOL_CAN_THIN) != 0;
	int err = pool_copy(source, target, from->size, zeroed, progress, why);

	pthread_mutex_lock(&pool->lock);
	if (err)
		pool->ops->abandon(pool, name, &quiet);
	else
		err = half_fault(pool, name, FAULT_pool_copied, why);
	if (!err)
		err = half_commit(pool, name, why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_clone(struct pool *pool, const char *source, const char *name,
	const struct pool_progress *progress, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_volume from;
	bool shares = (pool->caps & POOL_CAN_CLONE) != 0;
	int err = pool_must_can(pool, POOL_CAN_MAKE, "make volumes", &why);

	if (err)
		return err;
	pthread_mutex_lock(&pool->lock);
	err = check_free(pool, name, NULL, &why);
	if (!err)
		err = pool_find_locked(pool, source, &from, &why);
	if (!err && from.invalid)
		err = pool_refuse(&why, -EINVAL,
			"volume %s: this snapshot's room was too small, it is worthless; delete it",
			source);
	if (!err && shares)
		err = share_and_commit(pool, &from, name, false, &why);
	else if (!err)
		err = copy_begin(pool, source, name, &from, &why);
	pthread_mutex_unlock(&pool->lock);
	return err || shares ? err : clone_by_copy(pool, &from, name, progress, &why);
}

/* ---- size and name ---- */

static int resize(
	struct pool *pool, const char *name, uint64_t size, bool grow, const struct pool_why *why)
{
	struct pool_volume v;
	int err = pool_must_can(pool, grow ? POOL_CAN_GROW : POOL_CAN_SHRINK,
		grow ? "make volumes larger" : "make volumes smaller", why);

	if (!err)
		err = pool_find_locked(pool, name, &v, why);
	if (err || size == v.size)
		return err;
	if (!size || size > INT64_MAX || size % 512 || (size > v.size) != grow)
		return pool_refuse(why, -EINVAL,
			"volume %s: it has %llu bytes and cannot be made %s with %llu; give a "
			"multiple of 512 that is %s",
			name, (unsigned long long)v.size, grow ? "larger" : "smaller",
			(unsigned long long)size, grow ? "more" : "less");
	if (v.snapshot)
		return pool_refuse(why, -EINVAL,
			"volume %s: a snapshot keeps its size; make a clone of it, and change that",
			name);
	err = pool->ops->resize(pool, &v, size, why);
	if (!err)
		(void)fault_point(FAULT_pool_resized);
	return err;
}

int pool_grow(struct pool *pool, const char *name, uint64_t size, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = resize(pool, name, size, true, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_shrink(struct pool *pool, const char *name, uint64_t size, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err;

	pthread_mutex_lock(&pool->lock);
	err = resize(pool, name, size, false, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

int pool_rename(struct pool *pool, const char *name, const char *to, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_volume v;
	int err = pool_must_can(pool, POOL_CAN_MAKE, "rename", &why);

	if (err)
		return err;
	pthread_mutex_lock(&pool->lock);
	err = check_free(pool, to, NULL, &why);
	if (!err)
		err = pool_find_locked(pool, name, &v, &why);
	if (!err)
		err = pool->ops->rename(pool, &v, to, &why);
	if (!err)
		(void)fault_point(FAULT_pool_move_done);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

/* ---- deleting ---- */

static bool wipe_tell(void *arg, uint64_t done, uint64_t total)
{
	const struct pool_progress *progress = arg;

	if (progress)
		(void)progress->tell(progress->arg, done, total);
	return true;
}

static int delete_check(
	struct pool *pool, const char *name, struct pool_volume *v, const struct pool_why *why)
{
	int err = pool_find_locked(pool, name, v, why);

	if (!err && pool->ops->check_delete)
		err = pool->ops->check_delete(pool, v, why);
	return err;
}

int pool_check_delete(struct pool *pool, const char *name, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_volume v;
	int err = pool_must_can(pool, POOL_CAN_MAKE, "delete", &why);

	if (err)
		return err;
	pthread_mutex_lock(&pool->lock);
	err = delete_check(pool, name, &v, &why);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

static int delete_hide(struct pool *pool, const char *name, bool wipe, const struct pool_why *why)
{
	struct pool_volume v;
	int err;

	pthread_mutex_lock(&pool->lock);
	err = delete_check(pool, name, &v, why);
	if (!err)
		err = pool->ops->hide(pool, &v, wipe, why);
	if (err >= 0)
		(void)fault_point(FAULT_pool_unlisted);
	pthread_mutex_unlock(&pool->lock);
	return err;
}

static int delete_wipe(struct pool *pool, const char *name, const struct pool_progress *progress,
	const struct pool_why *why)
{
	const struct pool_progress all = { wipe_tell, (void *)progress };
	own_free char *path = pool->ops->path(pool, name, POOL_GONE);
	int err = pool_wipe(path, &all, why);

	if (!err)
		(void)fault_point(FAULT_pool_wiped);
	return err;
}

int pool_delete(struct pool *pool, const char *name, bool wipe,
	const struct pool_progress *progress, char *text, size_t len)
{
	const struct pool_why why = { text, len };
	int err = pool_must_can(pool, POOL_CAN_MAKE, "delete", &why);

	if (!err)
		err = delete_hide(pool, name, wipe, &why);
	if (!err && wipe)
		err = delete_wipe(pool, name, progress, &why);
	if (err)
		return err < 0 ? err : 0;
	pthread_mutex_lock(&pool->lock);
	err = pool->ops->erase(pool, name, &why);
	pthread_mutex_unlock(&pool->lock);
	if (!err)
		(void)fault_point(FAULT_pool_erased);
	return err;
}
