// SPDX-License-Identifier: Apache-2.0
/*
 * pool_lvm.c: volumes as logical volumes of a group, thick (lvm) or of a thin pool (lvm-thin).
 *
 * What kura knows of a volume are tags of its LV, which LVM keeps in the group's metadata, under
 * its locks and checksums: kura.uuid, kura.created, kura.origin, kura.kind. Each step of a verb is
 * one command of LVM, and so happens or does not: an LV is made with the tag kura.state=half, and
 * has been made when that tag is gone; it is deleted with the tag kura.state=gone or =wipe. An open
 * removes what still has one. LVs without kura.uuid are other people's, and never touched.
 */
#include "volume/pool_lvm.h"

#include "common/log.h"
#include "common/own.h"
#include "volume/pool_claim.h"
#include "volume/pool_dm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLOSED_LOOKS    20u
#define CLOSED_PAUSE_US 150000u

static bool is_thin(const struct pool *pool)
{
	return pool->conf.thin_pool != NULL;
}

/* A volume of this pool, in whatever state. */
static bool ours(const struct pool *pool, const struct lvm_lv *lv)
{
	return lv->state != LVM_FOREIGN &&
	       (is_thin(pool) ? !strcmp(lv->pool, pool->conf.thin_pool) : !*lv->pool);
}

static int lv_find(
	const struct pool *pool, const char *name, struct lvm_lv *lv, const struct pool_why *why)
{
	own_free struct lvm_lv *lvs = NULL;
	size_t count;
	int err = lvm_scan(pool, &lvs, &count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(lvs[i].name, name) != 0)
			continue;
		*lv = lvs[i];
		return 0;
	}
	return pool_refuse(why, -ENOENT,
		"pool %s: volume group %s has no logical volume %s; the list of the pool has the "
		"names",
		pool->conf.name, pool->conf.vg, name);
}

static char *lvm_path(const struct pool *pool, const char *name, enum pool_state state)
{
	(void)state;
	return own_printf("/dev/%s/%s", pool->conf.vg, name);
}

/* ---- looking ---- */

static int lvm_list(
	struct pool *pool, struct pool_listing *out, bool gone, const struct pool_why *why)
{
	own_free struct lvm_lv *lvs = NULL;
	size_t count;
	int err = lvm_scan(pool, &lvs, &count, why);

	for (size_t i = 0; i < count && !err; i++) {
		const struct lvm_lv *lv = &lvs[i];
		struct pool_volume *v;

		if (!ours(pool, lv) || lv->state != (gone ? LVM_WIPE : LVM_LIVE) ||
			strlen(lv->name) > POOL_NAME_MAX)
			continue;
		v = pool_listing_add(out);
		memcpy(v->name, lv->name, strlen(lv->name) + 1);
		pool_volume_recorded(v, &lv->record);
		v->size = lv->size;
		v->allocated = lv->allocated;
		v->thin = is_thin(pool);
		v->invalid = lv->invalid;
		v->open = lv->open;
	}
	return err;
}

/* Numbers of the one line of a report; false when it has fewer. */
static bool report_numbers(const char *report, double *numbers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char *end;

		numbers[i] = strtod(report, &end);
		if (end == report)
			return false;
		report = end + (*end == '|');
	}
	return true;
}

static int lvm_report(const struct pool *pool, const char *command, const char *fields,
	const char *what, double *numbers, unsigned count, const struct pool_why *why)
{
	struct lvm_args args = { .v = { command, "--noheadings", "--separator", "|", "--units", "b",
					 "--nosuffix", "-o", fields },
		.count = 9 };
	own_free char *report = NULL;
	int err;

	lvm_argf(&args, "%s", what);
	err = lvm_run(pool, &args, &report, why);
	if (!err && !report_numbers(report, numbers, count))
		err = pool_refuse(why, -EPROTO,
			"pool %s: %s says \"%s\" of %s, which has not the %u numbers that were "
			"asked for",
			pool->conf.name, command, report, what, count);
	return err;
}

static int thin_info(const struct pool *pool, struct pool_info *info, const struct pool_why *why)
{
	own_free char *what = own_printf("%s/%s", pool->conf.vg, pool->conf.thin_pool);
	own_free char *device = NULL;
	struct pool_dm_thin thin;
	double n[4];
	int err = lvm_report(pool, "lvs", "lv_size,data_percent,lv_metadata_size,metadata_percent",
		what, n, 4, why);

	if (err)
		return err;
	info->size = (uint64_t)n[0];
	info->free = (uint64_t)(n[0] * (100 - n[1]) / 100);
	info->meta_size = (uint64_t)n[2];
	info->meta_free = (uint64_t)(n[2] * (100 - n[3]) / 100);
	device = pool_dm_name(pool->conf.vg, pool->conf.thin_pool);
	if (device && pool_dm_thin(device, &thin) == 0) {
		info->full = thin.full;
		info->failed = thin.failed;
		info->readonly = thin.readonly;
	}
	return 0;
}

/* What the kernel says: the tools of LVM would be too slow, and take locks. */
static int thin_level(struct pool *pool, struct pool_info *info)
{
	own_free char *device = pool_dm_name(pool->conf.vg, pool->conf.thin_pool);
	struct pool_dm_thin thin;
	int err = device ? pool_dm_thin(device, &thin) : -ENOTSUP;

	if (!err)
		pool_info_thin(pool, &thin, info);
	return err;
}

static int thin_extend(struct pool *pool, bool metadata, uint64_t by, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvextend", "-y", metadata ? "--poolmetadatasize" : "-L" },
		.count = 3 };
	double n[2];
	int err = lvm_report(pool, "vgs", "vg_free,vg_extent_size", pool->conf.vg, n, 2, why);

	if (err)
		return err;
	if (n[0] < n[1] || n[0] < 1)
		return pool_refuse(why, -ENOSPC,
			"pool %s: volume group %s has no room to extend thin pool %s; add a disk "
			"to it (vgextend), or delete what is not needed",
			pool->conf.name, pool->conf.vg, pool->conf.thin_pool);
	if ((double)by > n[0])
		by = (uint64_t)n[0];
	lvm_argf(&args, "+%llub", (unsigned long long)(by & ~511ull));
	return lvm_run_on(pool, &args, pool->conf.thin_pool, why);
}

static int lvm_info(struct pool *pool, struct pool_info *info, const struct pool_why *why)
{
	double n[2];
	int err;

	if (is_thin(pool))
		return thin_info(pool, info, why);
	err = lvm_report(pool, "vgs", "vg_size,vg_free", pool->conf.vg, n, 2, why);
	if (!err) {
		info->size = (uint64_t)n[0];
		info->free = (uint64_t)n[1];
	}
	return err;
}

static int activate(const struct pool *pool, const char *name, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvchange", "-ay", "-K" }, .count = 3 };

	return lvm_run_on(pool, &args, name, why);
}

static int lvm_resolve(
	struct pool *pool, const char *name, struct pool_place *place, const struct pool_why *why)
{
	struct lvm_lv lv;
	int err = lv_find(pool, name, &lv, why);

	if (err)
		return err;
	if (!ours(pool, &lv) || lv.state != LVM_LIVE)
		return pool_refuse(why, -ENOENT,
			"pool %s: logical volume %s/%s is no volume of this pool; adopt it first",
			pool->conf.name, pool->conf.vg, name);
	if (!lv.active)
		err = activate(pool, name, why);
	place->store = "block";
	place->keeps = true;
	place->snapshot = lv.record.snapshot;
	meta_uuid_format(lv.record.uuid, place->uuid);
	snprintf(place->path, sizeof place->path, "/dev/%s/%s", pool->conf.vg, name);
	return err;
}

/* ---- making ---- */

static int lvm_make(struct pool *pool, const struct pool_make *make,
	const struct meta_record *record, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvcreate", "-y", "-n", make->name }, .count = 4 };

	lvm_arg(&args, is_thin(pool) ? "-V" : "-L");
	lvm_argf(&args, "%llub", (unsigned long long)make->size);
	if (is_thin(pool)) {
		lvm_arg(&args, "--thinpool");
		lvm_arg(&args, pool->conf.thin_pool);
	} else {
		lvm_arg(&args, "-Wy");
		lvm_arg(&args, "-Zy");
	}
	lvm_arg(&args, "--addtag");
	lvm_arg(&args, "kura.state=half");
	lvm_arg_record(&args, record);
	lvm_argf(&args, "%s", pool->conf.vg);
	return lvm_run(pool, &args, NULL, why);
}

static int lvm_share(struct pool *pool, const struct pool_volume *source, const char *name,
	const struct meta_record *record, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvcreate", "-y", "-s", "-n", name }, .count = 5 };

	if (is_thin(pool)) {
		lvm_arg(&args, "-kn");
	} else {
		lvm_arg(&args, "-l");
		lvm_argf(&args, "%u%%ORIGIN", pool->conf.snapshot_percent);
	}
	lvm_arg(&args, "--addtag");
	lvm_arg(&args, "kura.state=half");
	lvm_arg_record(&args, record);
	return lvm_run_on(pool, &args, source->name, why);
}

static int lvm_commit(struct pool *pool, const char *name, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvchange", "--deltag", "kura.state=half" }, .count = 3 };

	return lvm_run_on(pool, &args, name, why);
}

static int lvm_erase(struct pool *pool, const char *name, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvremove", "-y" }, .count = 2 };

	return lvm_run_on(pool, &args, name, why);
}

static int lvm_adopt(struct pool *pool, const char *name, const struct meta_record *record,
	const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvchange" }, .count = 1 };
	struct lvm_lv lv;
	int err = lv_find(pool, name, &lv, why);

	if (err)
		return err;
	lv.state = LVM_LIVE;
	if (!ours(pool, &lv) || *lv.origin)
		return pool_refuse(why, -EINVAL,
			"pool %s: logical volume %s/%s is a snapshot, or belongs to %s; adopt "
			"it by the pool that it is in",
			pool->conf.name, pool->conf.vg, name, *lv.pool ? lv.pool : "no thin pool");
	/* lvs(8): a plain one, or the origin of snapshots, or a thin one; not a pool, nor a mirror
	 */
	if (!strchr(is_thin(pool) ? "V" : "-o", lv.type))
		return pool_refuse(why, -EINVAL,
			"pool %s: logical volume %s/%s is of another type ('%c' in lvs); adopt "
			"plain and thin ones only",
			pool->conf.name, pool->conf.vg, name, lv.type);
	lvm_arg_record(&args, record);
	return lvm_run_on(pool, &args, name, why);
}

/* ---- deleting ---- */

/* What we have just closed stays open for a moment more: a ring lets go of a file that was
 * registered with it a second later (Linux 6.1). */
static int check_closed(
	const struct pool *pool, const struct pool_volume *v, const struct pool_why *why)
{
	const struct pool_why quiet = { 0 };
	bool open = v->open;
	struct lvm_lv lv;

	for (unsigned looks = 0; open && looks < CLOSED_LOOKS; looks++) {
		usleep(CLOSED_PAUSE_US);
		open = lv_find(pool, v->name, &lv, &quiet) || lv.open;
	}
	if (!open)
		return 0;
	return pool_refuse(why, -EBUSY,
		"volume %s: /dev/%s/%s is open; take it from its targets, or close what uses it",
		v->name, pool->conf.vg, v->name);
}

/* Classic snapshots go with their origin, so the origin may not; nor those that are not ours. */
static int lvm_check_delete(
	const struct pool *pool, const struct pool_volume *v, const struct pool_why *why)
{
	own_free struct lvm_lv *lvs = NULL;
	unsigned snapshots = 0;
	size_t count;
	int err;

	if (is_thin(pool))
		return 0;
	err = lvm_scan(pool, &lvs, &count, why);
	for (size_t i = 0; i < count && !err; i++)
		snapshots += !strcmp(lvs[i].origin, v->name);
	if (err || !snapshots)
		return err;
	return pool_refuse(why, -EBUSY,
		"volume %s: it has %u snapshots, which would be lost; delete these first (lvs -o "
		"lv_name,origin %s)",
		v->name, snapshots, pool->conf.vg);
}

/* Without wiping one command does it all. */
static int lvm_hide(
	struct pool *pool, const struct pool_volume *v, bool wipe, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvchange", "--addtag", "kura.state=wipe" }, .count = 3 };
	int err = check_closed(pool, v, why);

	if (err)
		return err;
	if (!wipe) {
		err = lvm_erase(pool, v->name, why);
		return err ? err : 1;
	}
	err = activate(pool, v->name, why);
	return err ? err : lvm_run_on(pool, &args, v->name, why);
}

/* ---- size, name, revert ---- */

static int lvm_resize(
	struct pool *pool, const struct pool_volume *v, uint64_t size, const struct pool_why *why)
{
	bool grow = size > v->size;
	struct lvm_args args = { .v = { grow ? "lvextend" : "lvreduce", "-y", "-f", "-L" },
		.count = 4 };

	lvm_argf(&args, "%llub", (unsigned long long)size);
	return lvm_run_on(pool, &args, v->name, why);
}

static int lvm_rename(
	struct pool *pool, const struct pool_volume *v, const char *to, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvrename", pool->conf.vg, v->name, to }, .count = 4 };
	int err = check_closed(pool, v, why);

	return err ? err : lvm_run(pool, &args, NULL, why);
}

/* One command; a thin origin changes places with its snapshot, a classic one takes its blocks back
 * while the command waits, and would go on after the next start. */
static int lvm_revert(struct pool *pool, const struct pool_volume *v,
	const struct pool_volume *snap, const struct pool_why *why)
{
	struct lvm_args args = { .v = { "lvconvert", "-y", "-i", "1", "--merge" }, .count = 5 };
	int err = check_closed(pool, v, why);

	if (!err)
		err = check_closed(pool, snap, why);
	return err ? err : lvm_run_on(pool, &args, snap->name, why);
}

/* ---- open ---- */

/* Before remains are looked for. A group may be a pool of each kind: a volume is in a thin pool or
 * in none. */
static int lvm_claim(struct pool *pool, const struct pool_why *why)
{
	const char *vg = pool->conf.vg, *thin = pool->conf.thin_pool;
	own_free char *place = own_printf("lvm %s/%s", vg, thin ? thin : "");
	own_free char *called =
		thin ? own_printf("thin pool %s/%s", vg, thin) : own_printf("volume group %s", vg);

	return pool_claim(pool, place, called, why);
}

static int recover_lv(struct pool *pool, const struct lvm_lv *lv, const struct pool_why *why)
{
	int err = 0;

	if (lv->state == LVM_HALF || lv->state == LVM_GONE) {
		err = lvm_erase(pool, lv->name, why);
	} else if (lv->state == LVM_WIPE && !lv->active) {
		err = activate(pool, lv->name, why);
	} else if (lv->merging && !*lv->origin) {
		struct lvm_args args = { .v = { "lvchange", "--poll", "y" }, .count = 3 };

		err = lvm_run_on(pool, &args, lv->name, why);
	} else {
		return 0;
	}
	log_info("pool: what an earlier run left half done is settled",
		"pool=%s volume=%s error=\"%s\"", pool->conf.name, lv->name,
		err ? strerror(-err) : "none");
	return err;
}

static int lvm_recover(struct pool *pool, const struct pool_why *why)
{
	own_free struct lvm_lv *lvs = NULL;
	size_t count;
	int err = lvm_scan(pool, &lvs, &count, why);

	for (size_t i = 0; i < count && !err; i++)
		if (ours(pool, &lvs[i]))
			err = recover_lv(pool, &lvs[i], why);
	return err;
}

static int check_rights(const struct pool *pool, const struct pool_why *why)
{
	char text[POOL_WHY_LEN];

	if (!pool_check_rights(text, sizeof text))
		return 0;
	return pool_refuse(why, -EPERM, "pool %s: %.400s", pool->conf.name, text);
}

static int lvm_open(struct pool *pool, const struct pool_why *why)
{
	int err = check_rights(pool, why);

	if (err)
		return err;
	if (!pool->conf.vg || !*pool->conf.vg || pool->conf.thin_pool)
		return pool_refuse(why, -EINVAL,
			"pool %s: a pool of kind \"lvm\" needs vg, the name of a volume group, and "
			"no thin_pool",
			pool->conf.name);
	pool->caps = POOL_CAN_MAKE | POOL_CAN_THICK | POOL_CAN_SNAPSHOT | POOL_CAN_GROW |
		     POOL_CAN_SHRINK | POOL_REVERT_CONSUMES | POOL_FENCES;
	err = lvm_claim(pool, why);
	return err ? err : lvm_recover(pool, why);
}

/* A write that finds no room is to fail at once: an initiator is told so, and waits by itself. */
static int thin_fail_when_full(const struct pool *pool, const struct pool_why *why)
{
	struct lvm_args ask = { .v = { "lvs", "--noheadings", "-o", "lv_when_full" }, .count = 4 };
	struct lvm_args set = { .v = { "lvchange", "--errorwhenfull", "y" }, .count = 3 };
	own_free char *report = NULL;
	int err;

	lvm_argf(&ask, "%s/%s", pool->conf.vg, pool->conf.thin_pool);
	err = lvm_run(pool, &ask, &report, why);
	if (err || strstr(report, "error"))
		return err;
	err = lvm_run_on(pool, &set, pool->conf.thin_pool, why);
	if (!err)
		log_info("pool: the thin pool now fails writes at once when it is full",
			"pool=%s thin_pool=%s/%s", pool->conf.name, pool->conf.vg,
			pool->conf.thin_pool);
	return err;
}

static int thin_open(struct pool *pool, const struct pool_why *why)
{
	struct pool_info info = { 0 };
	int err = check_rights(pool, why);

	if (err)
		return err;
	if (!pool->conf.vg || !*pool->conf.vg || !pool->conf.thin_pool || !*pool->conf.thin_pool)
		return pool_refuse(why, -EINVAL,
			"pool %s: a pool of kind \"lvm-thin\" needs vg, the name of a volume "
			"group, and thin_pool, the name of a thin pool in it",
			pool->conf.name);
	pool->caps = POOL_CAN_MAKE | POOL_CAN_THIN | POOL_CAN_SNAPSHOT | POOL_CAN_CLONE |
		     POOL_CAN_GROW | POOL_CAN_SHRINK | POOL_CAN_DISCARD | POOL_REVERT_CONSUMES |
		     POOL_FENCES;
	err = lvm_claim(pool, why);
	if (!err)
		err = lvm_recover(pool, why);
	if (!err)
		err = activate(pool, pool->conf.thin_pool, why);
	if (!err)
		err = thin_info(pool, &info, why);
	return err ? err : thin_fail_when_full(pool, why);
}

#define LVM_STEPS                                                                                  \
	.size = sizeof(struct pool), .info = lvm_info, .list = lvm_list, .resolve = lvm_resolve,   \
	.make = lvm_make, .share = lvm_share, .commit = lvm_commit, .abandon = lvm_erase,          \
	.check_delete = lvm_check_delete, .hide = lvm_hide, .erase = lvm_erase, .path = lvm_path,  \
	.resize = lvm_resize, .rename = lvm_rename, .revert = lvm_revert, .adopt = lvm_adopt,      \
	.keep = lvm_keep, .kept = lvm_kept, .check_host = pool_host_lvs

const struct pool_ops pool_lvm_ops = { .kind = "lvm", .open = lvm_open, LVM_STEPS };
const struct pool_ops pool_lvm_thin_ops = {
	.kind = "lvm-thin", .open = thin_open, .level = thin_level, .extend = thin_extend, LVM_STEPS
};
