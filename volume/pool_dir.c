// SPDX-License-Identifier: Apache-2.0
/*
 * pool_dir.c: volumes as files of a directory: NAME is the disk, NAME.kura its record.
 *
 * What is between two steps stands in the directory itself under names that no volume has:
 *
 *   .kura:half:NAME       a half made disk     .kura:half:NAME.kura  its record
 *   .kura:gone:NAME       a deleted disk       .kura:wipe:NAME       one to be wiped first
 *   .kura:swap:NAME       the copy of a snapshot that will replace NAME
 *   .kura:temp:a          a file that tells what the filesystem can
 *   .kura:move:NAME:TO    an empty file: NAME is being called TO
 *   .kura:grow:NAME       an empty file: NAME is getting space behind its end
 *
 * .kura:with is a folder of what others keep about volumes, by their UUIDs.
 *
 * A rename is the moment of each verb; dir_recover reads these names and finishes or undoes. The
 * directory is locked, so that no second process takes what the first is doing for remains.
 */
#include "common/fault.h"
#include "common/file.h"
#include "common/log.h"
#include "common/own.h"
#include "volume/pool_claim.h"
#include "volume/pool_dir_fs.h"
#include "volume/pool_kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define DIR_MARK ".kura:"
#define DIR_WITH DIR_MARK "with"

struct pool_dir {
	struct pool pool;
	int fd; /* of the directory; holds the lock */
};

static struct pool_dir *dir_of(const struct pool *pool)
{
	return container_of((struct pool *)pool, struct pool_dir, pool);
}

static int dir_fd(const struct pool *pool)
{
	return dir_of(pool)->fd;
}

/* ---- names ---- */

struct entry {
	char text[256];
};

static struct entry entry_of(const char *kind, const char *name)
{
	struct entry e;

	snprintf(e.text, sizeof e.text, DIR_MARK "%s:%.240s", kind, name);
	return e;
}

static struct entry record_of(const char *name)
{
	struct entry e;

	snprintf(e.text, sizeof e.text, "%.250s.kura", name);
	return e;
}

static struct entry half_record(const char *name)
{
	struct entry half = entry_of("half", name);

	return record_of(half.text);
}

static char *full(const struct pool *pool, const char *entry)
{
	return own_printf("%s/%s", pool->conf.path, entry);
}

static bool there(const struct pool *pool, const char *entry)
{
	return faccessat(dir_fd(pool), entry, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static char *dir_path(const struct pool *pool, const char *name, enum pool_state state)
{
	struct entry e;

	if (state == POOL_LIVE)
		return full(pool, name);
	e = entry_of(state == POOL_HALF ? "half" : "wipe", name);
	return full(pool, e.text);
}

static int dir_sync(const struct pool *pool)
{
	return fsync(dir_fd(pool)) ? -errno : 0;
}

static int dir_refuse(const struct pool *pool, const char *entry, const char *what, int err,
	const struct pool_why *why)
{
	const char *todo = err == -ENOSPC || err == -EDQUOT ? "; make room on that filesystem"
			   : err == -EROFS ? "; mount it writable, or name it in ReadWritePaths= "
					     "of the unit of kurad (systemctl edit kurad)"
			   : err == -EACCES || err == -EPERM
				   ? "; make it writable for the user of kurad"
			   : err == -EFBIG ? "; see the limits of that filesystem"
					   : "; see the filesystem";

	return pool_refuse(why, err, "%s/%s: cannot %s: %s%s", pool->conf.path, entry, what,
		strerror(-err), todo);
}

/* Renames where nothing may be overwritten; filesystems without that promise get a look first. */
static int move(const struct pool *pool, const char *from, const char *to)
{
	int fd = dir_fd(pool);

	if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (there(pool, to))
		return -EEXIST;
	return renameat(fd, from, fd, to) ? -errno : 0;
}

static int drop(const struct pool *pool, const char *entry)
{
	return unlinkat(dir_fd(pool), entry, 0) && errno != ENOENT ? -errno : 0;
}

/* An empty file that says by its name what is going on, lasting. */
static int intent_set(const struct pool *pool, const char *entry)
{
	own_fd int fd =
		openat(dir_fd(pool), entry, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fsync(fd))
		return -errno;
	return dir_sync(pool);
}

static int intent_clear(const struct pool *pool, const char *entry)
{
	int err = drop(pool, entry);

	return err ? err : dir_sync(pool);
}

/* ---- listing ---- */

static int file_stat(const struct pool *pool, const char *entry, struct stat *st)
{
	if (fstatat(dir_fd(pool), entry, st, 0))
		return -errno;
	return S_ISREG(st->st_mode) ? 0 : -EINVAL;
}

static void list_file(struct pool *pool, const char *name, struct pool_listing *out)
{
	struct entry record = record_of(name);
	own_free char *path = full(pool, record.text);
	struct meta_record found;
	struct pool_volume *v;
	struct stat st;

	if (strlen(name) > POOL_NAME_MAX || file_stat(pool, name, &st) ||
		meta_record_read(path, &found))
		return;
	v = pool_listing_add(out);
	snprintf(v->name, sizeof v->name, "%s", name);
	pool_volume_recorded(v, &found);
	v->size = (uint64_t)st.st_size;
	v->allocated = (uint64_t)st.st_blocks * 512;
	v->thin = !found.thick;
}

static int each_entry(struct pool *pool, void (*visit)(struct pool *, const char *, void *),
	void *arg, const struct pool_why *why)
{
	DIR *dir = opendir(pool->conf.path);
	const struct dirent *e;

	if (!dir)
		return pool_refuse(why, -errno,
			"pool %s: cannot read %s: %s; the directory has to be there and readable "
			"for the user of kurad",
			pool->conf.name, pool->conf.path, strerror(errno));
	while ((e = readdir(dir)))
		visit(pool, e->d_name, arg);
	closedir(dir);
	return 0;
}

static void list_live(struct pool *pool, const char *entry, void *out)
{
	size_t len = strlen(entry);
	char name[256];

	if (*entry == '.' || len <= 5 || len >= sizeof name || strcmp(entry + len - 5, ".kura"))
		return;
	snprintf(name, sizeof name, "%.*s", (int)(len - 5), entry);
	list_file(pool, name, out);
}

static void list_gone(struct pool *pool, const char *entry, void *out)
{
	static const char mark[] = DIR_MARK "wipe:";
	const char *name = entry + sizeof mark - 1;

	(void)pool;
	if (strncmp(entry, mark, sizeof mark - 1) != 0 || strlen(name) > POOL_NAME_MAX)
		return;
	strcpy(pool_listing_add(out)->name, name);
}

static int dir_list(
	struct pool *pool, struct pool_listing *out, bool gone, const struct pool_why *why)
{
	return each_entry(pool, gone ? list_gone : list_live, out, why);
}

static int dir_level(struct pool *pool, struct pool_info *info)
{
	struct statvfs fs;

	if (fstatvfs(dir_fd(pool), &fs))
		return -errno;
	info->size = (uint64_t)fs.f_blocks * fs.f_frsize;
	info->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

static int dir_info(struct pool *pool, struct pool_info *info, const struct pool_why *why)
{
	int err = dir_level(pool, info);

	info->readonly = faccessat(dir_fd(pool), ".", W_OK | X_OK, AT_EACCESS) != 0;
	return err ? dir_refuse(pool, "", "ask its filesystem", err, why) : 0;
}

static int dir_resolve(
	struct pool *pool, const char *name, struct pool_place *place, const struct pool_why *why)
{
	struct entry record = record_of(name);
	own_free char *path = full(pool, record.text);
	struct meta_record found = { 0 };
	struct stat st;
	int err = file_stat(pool, name, &st);

	if (err)
		return pool_refuse(why, err,
			"pool %s: %s/%s is %s; make the volume first, or put its file there",
			pool->conf.name, pool->conf.path, name,
			err == -EINVAL ? "no file" : "not there");
	if (meta_record_read(path, &found) == 0)
		place->snapshot = found.snapshot;
	place->store = "file";
	place->keep_identity = true; /* vol_open finds the record, or makes one */
	snprintf(place->path, sizeof place->path, "%s/%s", pool->conf.path, name);
	snprintf(place->with_dir, sizeof place->with_dir, "%s/" DIR_WITH, pool->conf.path);
	return 0;
}

/* ---- making ---- */

static int half_open(const struct pool *pool, const char *name, const struct pool_why *why)
{
	struct entry half = entry_of("half", name), record = record_of(name);
	int fd;

	if (there(pool, record.text) && !there(pool, name))
		return pool_refuse(why, -EEXIST,
			"pool %s: %s/%s is the record of a volume whose file is gone; put the file "
			"back, or remove the record",
			pool->conf.name, pool->conf.path, record.text);
	if (there(pool, name))
		return pool_refuse(why, -EEXIST,
			"pool %s: %s/%s is there already; take another name, or adopt that file",
			pool->conf.name, pool->conf.path, name);
	fd = openat(
		dir_fd(pool), half.text, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno == EEXIST)
		return pool_refuse(why, -EEXIST,
			"pool %s: volume \"%s\" is being made already; wait for that, or cancel it",
			pool->conf.name, name);
	return dir_refuse(pool, name, "be made", -errno, why);
}

static int half_record_write(struct pool *pool, const char *name, const struct meta_record *record,
	const struct pool_why *why)
{
	struct entry e = half_record(name);
	own_free char *path = full(pool, e.text);
	int err = meta_record_write(path, record);

	if (err)
		return dir_refuse(pool, name, "write its record", err, why);
	return fault_point(FAULT_pool_recorded) ? -EIO : 0;
}

static int dir_abandon(struct pool *pool, const char *name, const struct pool_why *why)
{
	struct entry half = entry_of("half", name), record = half_record(name);
	int err = drop(pool, record.text), more = drop(pool, half.text);

	err = err ? err : more;
	if (!err)
		err = dir_sync(pool);
	return err ? dir_refuse(pool, name, "be removed half made", err, why) : 0;
}

static int dir_make(struct pool *pool, const struct pool_make *make,
	const struct meta_record *record, const struct pool_why *why)
{
	const struct pool_why quiet = { 0 };
	own_fd int fd = half_open(pool, make->name, why);
	int err = 0;

	if (fd < 0)
		return fd;
	if (!make->thin)
		err = pool_dir_reserve(fd, 0, 0, make->size);
	if (!err && ftruncate(fd, (off_t)make->size))
		err = -errno;
	if (!err && fsync(fd))
		err = -errno;
	if (err)
		dir_refuse(pool, make->name, "have its space", err, why);
	else
		err = half_record_write(pool, make->name, record, why);
	if (err)
		dir_abandon(pool, make->name, &quiet);
	return err;
}

static int reflink(const struct pool *pool, const char *source, int out)
{
	own_fd int in = openat(dir_fd(pool), source, O_RDONLY | O_CLOEXEC);

	if (in < 0 || ioctl(out, FICLONE, in) || fsync(out))
		return -errno;
	return 0;
}

static int dir_share(struct pool *pool, const struct pool_volume *source, const char *name,
	const struct meta_record *record, const struct pool_why *why)
{
	const struct pool_why quiet = { 0 };
	own_fd int fd = half_open(pool, name, why);
	int err;

	if (fd < 0)
		return fd;
	err = reflink(pool, source->name, fd);
	if (err)
		dir_refuse(pool, source->name, "share its bytes", err, why);
	else
		err = half_record_write(pool, name, record, why);
	if (err)
		dir_abandon(pool, name, &quiet);
	return err;
}

/* Back to half made, the record first: whoever finds the disk alone would call it a file of other
 * people. */
static bool uncommit(const struct pool *pool, const char *name, bool recorded)
{
	struct entry half = entry_of("half", name), from = half_record(name), to = record_of(name);

	if (recorded)
		(void)move(pool, to.text, from.text);
	return move(pool, name, half.text) == 0;
}

/* First the disk, then its record: with the disk it has happened, unless we say that it has not. */
static int dir_commit(struct pool *pool, const char *name, const struct pool_why *why)
{
	struct entry half = entry_of("half", name), from = half_record(name), to = record_of(name);
	int err = move(pool, half.text, name);
	bool recorded = false;

	if (err)
		return dir_refuse(pool, name, "get its name", err, why);
	err = dir_sync(pool);
	if (!err)
		err = fault_point(FAULT_pool_placed);
	if (!err)
		err = move(pool, from.text, to.text);
	recorded = !err;
	if (!err)
		err = dir_sync(pool);
	if (!err)
		err = fault_point(FAULT_pool_sealed);
	if (!err)
		return 0;
	if (uncommit(pool, name, recorded))
		return dir_refuse(pool, name, "get its record", err, why);
	return dir_refuse(pool, name, "get its record, nor be removed (do that)", err, why);
}

static int dir_adopt(struct pool *pool, const char *name, const struct meta_record *record,
	const struct pool_why *why)
{
	struct entry e = record_of(name), half = half_record(name);
	own_free char *path = full(pool, e.text), *beside = full(pool, half.text);
	struct stat st;
	int err = file_stat(pool, name, &st);

	if (err)
		return pool_refuse(why, err,
			"pool %s: %s/%s is %s; put the file there, in raw format", pool->conf.name,
			pool->conf.path, name, err == -EINVAL ? "no file" : "not there");
	if (there(pool, e.text))
		return pool_refuse(why, -EEXIST,
			"%s: there is something in the place of its record that is none; move that "
			"away",
			path);
	err = meta_record_write(beside, record);
	if (!err)
		err = move(pool, half.text, e.text);
	if (!err && (err = dir_sync(pool)))
		(void)drop(pool, e.text);
	if (!err)
		return 0;
	(void)drop(pool, half.text);
	return dir_refuse(pool, name, "write its record", err, why);
}

/* ---- deleting ---- */

/* What others keep about a volume goes with it: files of .kura:with/FOLDER/ whose names begin with
 * its UUID, with or without dashes. */
static void forget_in(const struct pool *pool, const char *folder, const char *prefix)
{
	own_free char *path = own_printf("%s/" DIR_WITH "/%s", pool->conf.path, folder);
	DIR *dir = opendir(path);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (!strncmp(e->d_name, prefix, strlen(prefix)))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static void forget(const struct pool *pool, const char *name)
{
	struct entry record = record_of(name);
	own_free char *path = full(pool, record.text);
	char dashes[META_UUID_TEXT], hex[2 * VOL_UUID_LEN + 1];
	struct meta_record found;

	if (meta_record_read(path, &found))
		return;
	meta_uuid_format(found.uuid, dashes);
	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", found.uuid[i]);
	forget_in(pool, "reservations", dashes);
	forget_in(pool, "units", hex);
}

static int dir_hide(
	struct pool *pool, const struct pool_volume *v, bool wipe, const struct pool_why *why)
{
	const char *name = v->name;
	struct entry gone = entry_of(wipe ? "wipe" : "gone", name), record = record_of(name);
	int err = move(pool, name, gone.text);

	if (err == -EEXIST)
		return pool_refuse(why, -EBUSY,
			"pool %s: an earlier volume \"%s\" is still being wiped; wait for that",
			pool->conf.name, name);
	if (err)
		return dir_refuse(pool, name, "be taken out of the list", err, why);
	err = dir_sync(pool);
	if (!err)
		err = fault_point(FAULT_pool_hidden);
	if (err) {
		(void)move(pool, gone.text, name);
		return dir_refuse(pool, name, "be taken out of the list", err, why);
	}
	forget(pool, name);
	err = drop(pool, record.text);
	if (!err)
		err = dir_sync(pool);
	return err ? dir_refuse(pool, record.text, "be removed", err, why) : 0;
}

static int dir_erase(struct pool *pool, const char *name, const struct pool_why *why)
{
	struct entry gone = entry_of("gone", name), wipe = entry_of("wipe", name);
	/* an earlier volume of that name may wait for its wiping still, which is promised */
	int err = drop(pool, there(pool, gone.text) ? gone.text : wipe.text);

	if (!err)
		err = dir_sync(pool);
	return err ? dir_refuse(pool, name, "be removed", err, why) : 0;
}

/* ---- size, name, revert ---- */

/* Frees what lies behind the end: filesystems do that when the size is set, the same one, too. */
static int trim_end(int fd)
{
	struct stat st;

	return fstat(fd, &st) || ftruncate(fd, st.st_size) ? -errno : 0;
}

/* The size is what happens. */
static int grow_thick(struct pool *pool, const char *name, int fd, uint64_t from, uint64_t to)
{
	struct entry intent = entry_of("grow", name);
	int err = intent_set(pool, intent.text);

	if (!err)
		err = pool_dir_take_room(fd, from, to);
	if (!err)
		err = fault_point(FAULT_pool_room_taken);
	if (!err && ftruncate(fd, (off_t)to))
		err = -errno;
	if (err)
		pool_dir_give_back(fd, from);
	(void)intent_clear(pool, intent.text);
	return err;
}

static int dir_resize(
	struct pool *pool, const struct pool_volume *v, uint64_t size, const struct pool_why *why)
{
	own_fd int fd = openat(dir_fd(pool), v->name, O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (!err && !v->thin && size > v->size)
		err = grow_thick(pool, v->name, fd, v->size, size);
	else if (!err && ftruncate(fd, (off_t)size))
		err = -errno;
	if (!err && fsync(fd))
		err = -errno;
	return err ? dir_refuse(pool, v->name, "change its size", err, why) : 0;
}

/* The steps of a renaming that are not done yet; also those of a dead process. */
static int move_on(struct pool *pool, const char *name, const char *to)
{
	struct entry from_record = record_of(name), to_record = record_of(to);
	int err = 0;

	if (there(pool, name) && !there(pool, to))
		err = move(pool, name, to);
	if (!err)
		err = dir_sync(pool);
	(void)fault_point(FAULT_pool_moved);
	if (!err && !there(pool, name) && there(pool, from_record.text)) {
		err = move(pool, from_record.text, to_record.text);
		if (!err)
			err = dir_sync(pool);
	}
	return err;
}

static int dir_rename(
	struct pool *pool, const struct pool_volume *v, const char *to, const struct pool_why *why)
{
	const char *name = v->name;
	own_free char *both = own_printf("%s:%s", name, to);
	struct entry intent = entry_of("move", both), record = record_of(to);
	int err;

	if (there(pool, to) || there(pool, record.text))
		return pool_refuse(why, -EEXIST,
			"pool %s: %s/%s is there already; take another name, or adopt that file",
			pool->conf.name, pool->conf.path, to);
	err = intent_set(pool, intent.text);
	if (!err)
		err = fault_point(FAULT_pool_move_begun);
	if (!err)
		err = move_on(pool, name, to);
	if (err && there(pool, to))
		return dir_refuse(pool, to, "get its record", err, why); /* intent stays */
	if (err) {
		(void)intent_clear(pool, intent.text);
		return dir_refuse(pool, name, "get another name", err, why);
	}
	(void)intent_clear(pool, intent.text);
	return 0;
}

static int dir_revert(struct pool *pool, const struct pool_volume *v,
	const struct pool_volume *snap, const struct pool_why *why)
{
	struct entry swap = entry_of("swap", v->name);
	own_fd int fd = openat(
		dir_fd(pool), swap.text, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : reflink(pool, snap->name, fd);

	if (!err)
		err = fault_point(FAULT_pool_swap_made);
	if (!err && renameat(dir_fd(pool), swap.text, dir_fd(pool), v->name))
		err = -errno;
	if (err)
		(void)drop(pool, swap.text);
	if (!err)
		err = dir_sync(pool);
	return err ? dir_refuse(pool, v->name, "go back to a snapshot", err, why) : 0;
}

/* ---- what an earlier process left ---- */

struct recovery {
	bool moves;     /* renamings are settled now; or all else */
	int err;        /* the first */
	unsigned found; /* entries */
};

/* "NAME.kura" of a half made volume: the disk has its name already, or there is none. */
static int recover_half(struct pool *pool, const char *rest)
{
	const struct pool_why quiet = { 0 };
	size_t len = strlen(rest);
	bool record = len > 5 && !strcmp(rest + len - 5, ".kura");
	own_free char *name = strndup(rest, record ? len - 5 : len);
	struct entry half = entry_of("half", name), from = half_record(name), to = record_of(name);
	int err;

	if (!record || there(pool, half.text) || !there(pool, name) || there(pool, to.text))
		return dir_abandon(pool, name, &quiet);
	err = move(pool, from.text, to.text);
	return err ? err : dir_sync(pool);
}

/* Hidden: its record goes, unless another volume of that name has been made since. */
static int recover_gone(struct pool *pool, const char *name, bool wipe)
{
	const struct pool_why quiet = { 0 };
	struct entry record = record_of(name);
	bool again = there(pool, name);
	int err;

	if (!again)
		forget(pool, name);
	err = again ? 0 : drop(pool, record.text);

	return err || wipe ? err : dir_erase(pool, name, &quiet);
}

static int recover_move(struct pool *pool, const char *rest)
{
	const char *colon = strchr(rest, ':');
	own_free char *name = colon ? strndup(rest, (size_t)(colon - rest)) : NULL;
	struct entry intent = entry_of("move", rest);
	int err = 0;

	/* Begun only: it did not happen. */
	if (name && !there(pool, name) && there(pool, colon + 1))
		err = move_on(pool, name, colon + 1);
	return err ? err : intent_clear(pool, intent.text);
}

static int recover_grow(struct pool *pool, const char *name)
{
	struct entry intent = entry_of("grow", name);
	own_fd int fd = openat(dir_fd(pool), name, O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? 0 : trim_end(fd);

	return err ? err : intent_clear(pool, intent.text);
}

static int recover_entry(struct pool *pool, const char *kind, const char *rest)
{
	if (!strncmp(kind, "half:", 5))
		return recover_half(pool, rest);
	if (!strncmp(kind, "gone:", 5) || !strncmp(kind, "wipe:", 5))
		return recover_gone(pool, rest, *kind == 'w');
	if (!strncmp(kind, "move:", 5))
		return recover_move(pool, rest);
	if (!strncmp(kind, "grow:", 5))
		return recover_grow(pool, rest);
	if (!strncmp(kind, "swap:", 5) || !strncmp(kind, "temp:", 5)) {
		struct entry e = entry_of(*kind == 's' ? "swap" : "temp", rest);

		return drop(pool, e.text);
	}
	return 0;
}

static void recover_one(struct pool *pool, const char *entry, void *arg)
{
	static const size_t mark = sizeof DIR_MARK - 1, kind = 5;
	struct recovery *r = arg;
	int err;

	if (strncmp(entry, DIR_MARK, mark) != 0 || strlen(entry) <= mark + kind ||
		!strncmp(entry + mark, "move:", kind) != r->moves)
		return;
	err = recover_entry(pool, entry + mark, entry + mark + kind);
	r->found++;
	if (err && !r->err)
		r->err = err;
	log_info("pool: what an earlier run left half done is settled",
		"pool=%s entry=%s error=\"%s\"", pool->conf.name, entry,
		err ? strerror(-err) : "none");
}

static int dir_recover(struct pool *pool, const struct pool_why *why)
{
	/* renamings first: the record of a volume is found by its name */
	struct recovery r = { .moves = true };
	int err = each_entry(pool, recover_one, &r, why);

	r.moves = false;
	if (!err)
		err = each_entry(pool, recover_one, &r, why);
	if (err)
		return err;
	if (r.err)
		return dir_refuse(pool, "", "settle what an earlier run left", r.err, why);
	if (r.found && dir_sync(pool))
		return dir_refuse(pool, "", "be synced", -errno, why);
	return 0;
}

/* ---- open ---- */

static int dir_open(struct pool *pool, const struct pool_why *why)
{
	struct pool_dir *d = dir_of(pool);
	int err;

	d->fd = -1;
	if (!pool->conf.path || !*pool->conf.path)
		return pool_refuse(why, -EINVAL,
			"pool %s: a pool of kind \"dir\" needs the path of a directory",
			pool->conf.name);
	d->fd = open(pool->conf.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return pool_refuse(why, -errno,
			"pool %s: cannot open the directory %s: %s; make it, and let the user of "
			"kurad write there",
			pool->conf.name, pool->conf.path, strerror(errno));
	err = pool_claim_dir(pool, d->fd, why);
	if (!err)
		err = dir_recover(pool, why);
	if (!err)
		pool->caps = pool_dir_probe(dir_fd(pool));
	return err;
}

static void dir_close(struct pool *pool)
{
	own_close_fd(&dir_of(pool)->fd);
}

const struct pool_ops pool_dir_ops = {
	.kind = "dir",
	.size = sizeof(struct pool_dir),
	.open = dir_open,
	.close = dir_close,
	.info = dir_info,
	.level = dir_level,
	.list = dir_list,
	.resolve = dir_resolve,
	.make = dir_make,
	.share = dir_share,
	.commit = dir_commit,
	.abandon = dir_abandon,
	.hide = dir_hide,
	.erase = dir_erase,
	.path = dir_path,
	.resize = dir_resize,
	.rename = dir_rename,
	.revert = dir_revert,
	.adopt = dir_adopt,
};
