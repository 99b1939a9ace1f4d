/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: the pool contract: where volumes are made, grown, snapshotted, cloned, renamed and
 * deleted, whatever keeps their bytes.
 *
 * A pool is a directory, a volume group, a thin pool or one block device (pools.def); what is in it
 * is known by its own records (a sidecar file, LV tags), so a pool that moves brings its volumes
 * along. Every verb happens wholly or not at all, also when the process or the box dies in it:
 * pool_open finishes or undoes what was left half done.
 *
 * All functions block (files are synced, tools are run): they are for the control socket's thread,
 * a job's thread or the set-up, never for a loop. Any number of threads may use one pool: the short
 * steps of its verbs take turns, long copies run beside them. They return 0 or a negative errno
 * with a sentence in `why` that says which object, what is wrong and what to do. `why` may be NULL;
 * POOL_WHY_LEN is room enough.
 */
#ifndef KURA_VOLUME_POOL_H
#define KURA_VOLUME_POOL_H

#include "volume/volume.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_WHY_LEN  512
#define POOL_NAME_MAX VOL_NAME_MAX

struct pool;

/* ---- how a pool is described ---- */

struct pool_conf {
	const char *name;          /* unique, as a volume's name */
	const char *kind;          /* a row of pools.def: "dir", "lvm", "lvm-thin", "block" */
	const char *path;          /* dir: the directory; block: the device; else NULL */
	const char *vg;            /* lvm, lvm-thin: the volume group */
	const char *thin_pool;     /* lvm-thin: the thin pool's LV in it */
	const char *state_dir;     /* block: where the identity of its volume is kept; or NULL */
	const char *lvm_config;    /* passed to LVM's tools as --config, or NULL */
	const char *lvm_devices;   /* passed to LVM's tools as --devices, or NULL */
	unsigned snapshot_percent; /* lvm: room of a snapshot, percent of its volume; 0: 100, with
				      which it never overflows */
};

/* ---- what a pool can, and what it has ---- */

enum pool_caps {
	POOL_CAN_MAKE = 1u << 0,     /* create, rename, delete, and full copies as clones */
	POOL_CAN_THIN = 1u << 1,     /* volumes take space as they are written */
	POOL_CAN_THICK = 1u << 2,    /* volumes have all their space from the start */
	POOL_CAN_SNAPSHOT = 1u << 3, /* snapshot and revert */
	POOL_CAN_CLONE = 1u << 4,    /* a clone shares what it was made of, and is made at once */
	POOL_CAN_GROW = 1u << 5,
	POOL_CAN_SHRINK = 1u << 6,
	POOL_CAN_DISCARD = 1u << 7,     /* what a volume trims comes back to the pool */
	POOL_REVERT_CONSUMES = 1u << 8, /* a snapshot that was reverted to is gone */
	POOL_FENCES = 1u << 9, /* a snapshot is of one moment without the hooks (struct pool_hooks)
				*/
};

/* Names one of the bits ("thin", "snapshot"), or NULL when there is no such bit. Any thread. */
const char *pool_cap_name(enum pool_caps bit);

struct pool_info {
	uint32_t caps;      /* enum pool_caps */
	uint64_t size;      /* bytes that the pool has altogether; lvm-thin: of its data */
	uint64_t free;      /* bytes of these that no volume has */
	uint64_t meta_size; /* lvm-thin: bytes of its metadata; else 0 */
	uint64_t meta_free; /* lvm-thin: bytes of these that are free */
	uint64_t promised;  /* sum of the sizes of its volumes: with thin ones it may exceed size */
	unsigned volumes;   /* how many, snapshots included */
	bool full;          /* lvm-thin: out of space: writes that need space fail or wait */
	bool failed;        /* lvm-thin: its metadata needs thin_repair */
	bool readonly;      /* lvm-thin: metadata went read-only; dir: kurad cannot write there */
};

struct pool_volume {
	char name[POOL_NAME_MAX + 1];
	uint8_t uuid[VOL_UUID_LEN];        /* its identity */
	uint64_t size;                     /* bytes that initiators see */
	uint64_t allocated;                /* bytes of the pool that it has (lvm-thin: shared ones
					      included) */
	bool thin;                         /* takes space as it is written */
	bool snapshot;                     /* made by pool_snapshot */
	bool invalid;                      /* lvm: a snapshot whose room was too small: worthless */
	bool open;                         /* lvm, lvm-thin: its LV is open, here or elsewhere */
	unsigned snapshots;                /* how many of the pool's snapshots are of it */
	bool has_origin;                   /* origin_uuid is set: snapshots and clones */
	uint8_t origin_uuid[VOL_UUID_LEN]; /* of what it was made of */
	char origin[POOL_NAME_MAX + 1];    /* present name of that, "" when it is gone */
	int64_t created;                   /* seconds since 1970, 0: unknown */
};

/* ---- open, close ---- */

/*
 * Opens a pool: looks for its directory, group or device, takes the pool's lock (one process may
 * have a directory as a pool, once), and recovers: what an earlier process left half done is
 * finished or undone, and told in the log. NULL with a sentence in `why`. Returns owned; strings of
 * `conf` are copied.
 */
struct pool *pool_open(const struct pool_conf *conf, char *why, size_t why_len);

/* Closes it when none of its functions is running any more. Takes it; NULL is allowed. */
void pool_close(struct pool *pool);

/* Its name, borrowed while the pool is open. Any thread. */
const char *pool_name(const struct pool *pool);

/* Its kind as the configuration calls it: static. Any thread. */
const char *pool_kind(const struct pool *pool);

/* enum pool_caps of this pool: what its kind, and the filesystem below, can. Never changes. Any
 * thread. */
uint32_t pool_caps(const struct pool *pool);

/* ---- looking ---- */

/* What the pool has now. Errors: what the filesystem or LVM says. */
int pool_info(struct pool *pool, struct pool_info *info, char *why, size_t why_len);

/*
 * Every volume and snapshot of the pool by name; what kura did not make and was not given by
 * pool_adopt is not among them, nor what is half made. *list is owned by the caller (free), NULL
 * when *count is 0.
 */
int pool_list(
	struct pool *pool, struct pool_volume **list, size_t *count, char *why, size_t why_len);

/*
 * The sizes of pool_info alone, of a thin pool also its state: quickly, without LVM's tools and
 * beside whatever the pool does. -ENOTSUP for kinds whose volumes do not take space as they are
 * written (lvm, block), and without libdevmapper; else a negative errno.
 */
int pool_level(struct pool *pool, struct pool_info *info);

/* One volume or snapshot. -ENOENT. */
int pool_find(
	struct pool *pool, const char *name, struct pool_volume *volume, char *why, size_t why_len);

/* What vol_open needs to open a volume of a pool: goes into struct vol_conf. */
struct pool_place {
	const char *store;   /* "file" or "block": static */
	char path[4096];     /* where */
	char uuid[40];       /* its identity as text, for lack of a record at `path`; or "" */
	bool keep_identity;  /* vol_open is to record the identity itself (conf.state_dir); false:
				the pool has it, conf.state_dir is to be NULL */
	bool snapshot;       /* it is one, to be opened readonly */
	char with_dir[4096]; /* folder of the pool, made when it is needed, for what others keep
				about a volume and moves with it; or "" */
	bool keeps;          /* pool_keep does that */
};

/*
 * Where a volume is; an LV is activated. A directory also gives a file without a record (vol_open
 * makes one). -ENOENT: there is none of that name, and vol_open must not make one.
 */
int pool_resolve(
	struct pool *pool, const char *name, struct pool_place *place, char *why, size_t why_len);

/* ---- what others keep about a volume, with it ---- */

/*
 * Keeps `text` (printable, and newlines) with a volume in the place of what was kept; it lasts when
 * this returns, moves with the pool and goes with the volume; snapshots and clones have none. Runs
 * beside other verbs; one call at a time for a volume. -ENOTSUP where pool_place.keeps is false,
 * -ENOSPC: it is too long; 10 KiB fit in any case.
 */
int pool_keep(struct pool *pool, const char *name, const char *text, char *why, size_t why_len);

/* What was kept, owned; NULL with *err 0: nothing; NULL with *err: it cannot be read. */
char *pool_kept(struct pool *pool, const char *name, int *err, char *why, size_t why_len);

/* ---- making ---- */

struct pool_make {
	const char *name;    /* 1..POOL_NAME_MAX of A-Z a-z 0-9 . _ -, not beginning with . or - */
	uint64_t size;       /* bytes, rounded up to what the pool deals in (LVM: extents) */
	bool thin;           /* needs POOL_CAN_THIN; false needs POOL_CAN_THICK */
	const uint8_t *uuid; /* identity to be given, or NULL: a new one */
};

/* Told now and then during long work, on the thread that does it; false ends it (-ECANCELED, and
 * nothing has been done). */
struct pool_progress {
	bool (*tell)(void *arg, uint64_t done, uint64_t total); /* bytes */
	void *arg;
};

/*
 * What holds still while a snapshot of a volume in use is taken. `quiesce` returns when no write to
 * the volume is in flight and none will begin, 0 or a negative errno, which refuses the snapshot;
 * `resume` is called after each quiesce that returned 0. Both on the thread of pool_snapshot.
 * Pools with POOL_FENCES do not call them: there the kernel holds the writes.
 */
struct pool_hooks {
	int (*quiesce)(void *arg);
	void (*resume)(void *arg);
	void *arg;
};

/* Makes a volume whose bytes read as zero (lvm: what was on the disk before, unless it is thin).
 * -EEXIST, -ENOSPC, -EINVAL (name, size 0), -ENOTSUP. */
int pool_create(struct pool *pool, const struct pool_make *make, char *why, size_t why_len);

/*
 * The same in two steps, for who fills it first (an image that is imported): the volume is at *path
 * (owned by the caller) and nowhere else. A draft belongs to its caller, who commits or abandons
 * it; the next pool_open abandons what is left.
 */
int pool_draft_begin(
	struct pool *pool, const struct pool_make *make, char **path, char *why, size_t why_len);

/* Makes the draft a volume of the pool; what was written to it has been synced by the caller.
 * Abandoned when it fails. */
int pool_draft_commit(struct pool *pool, const char *name, char *why, size_t why_len);

/* Removes the draft. */
void pool_draft_abandon(struct pool *pool, const char *name);

/* Takes a file, LV or device that is there already as a volume, and records an identity with it.
 * -ENOENT, -EEXIST (it is one already). */
int pool_adopt(struct pool *pool, const char *name, char *why, size_t why_len);

/*
 * Makes a volume larger; whoever has it open then calls vol_resize(vol, 0). A thick one gets its
 * space now. -EINVAL when `size` is less than it has, -ENOSPC, -ENOTSUP.
 */
int pool_grow(struct pool *pool, const char *name, uint64_t size, char *why, size_t why_len);

/* Makes a volume smaller; what lay behind is lost. The caller has seen to it that nobody uses it.
 */
int pool_shrink(struct pool *pool, const char *name, uint64_t size, char *why, size_t why_len);

/* Gives a volume that is not open another name; its identity stays. -EEXIST, -ENOENT. */
int pool_rename(struct pool *pool, const char *name, const char *to, char *why, size_t why_len);

/*
 * Makes `snap`, a volume with an identity of its own and the bytes that `name` has at one moment
 * between call and return. `hooks` NULL: nobody writes. -ENOTSUP where the pool lacks
 * POOL_CAN_SNAPSHOT, with the reason.
 */
int pool_snapshot(struct pool *pool, const char *name, const char *snap,
	const struct pool_hooks *hooks, char *why, size_t why_len);

/*
 * Gives a volume that is not open the bytes and the size of one of its snapshots; its identity
 * stays. With POOL_REVERT_CONSUMES the snapshot, which must not be open either, is gone then.
 * -EINVAL when `snap` is no snapshot of it.
 */
int pool_revert(struct pool *pool, const char *name, const char *snap, char *why, size_t why_len);

/*
 * Makes `name`, a volume of its own with the bytes of the volume or snapshot `source`: at once with
 * POOL_CAN_CLONE, else by a full copy, during which nobody may write to the source (clone a
 * snapshot, or hold it still). `progress` may be NULL. A copy keeps holes.
 */
int pool_clone(struct pool *pool, const char *source, const char *name,
	const struct pool_progress *progress, char *why, size_t why_len);

/*
 * Deletes a volume or snapshot that is not open. From the moment that it cannot come back it is out
 * of the list; `wipe` then overwrites what is not zero (which a copy-on-write filesystem or shared
 * blocks of a thin pool keep elsewhere), told to `progress`, whose false is not heeded: the next
 * pool_open would go on. -EBUSY: it is in use, or other volumes depend on it.
 */
int pool_delete(struct pool *pool, const char *name, bool wipe,
	const struct pool_progress *progress, char *why, size_t why_len);

/* Whether pool_delete would refuse it although it is not open: -EBUSY, other volumes depend on it;
 * -ENOTSUP, the pool deletes nothing; -ENOENT. */
int pool_check_delete(struct pool *pool, const char *name, char *why, size_t why_len);

/* ---- watching a thin pool ---- */

/*
 * Extends a thin pool from its volume group: its data, or its metadata, by `by` bytes, or by what
 * the group has left when that is less. -ENOSPC: it has nothing left. -ENOTSUP for pools that are
 * none.
 */
int pool_extend(struct pool *pool, bool metadata, uint64_t by, char *why, size_t why_len);

/*
 * Calls `told` on a thread of its own each time the kernel reports an event of the thin pool: the
 * low-water mark, out of space, metadata, room again; and once at the start. It waits, it does not
 * poll. -ENOTSUP for pools that are none. One watch per pool.
 */
int pool_watch(struct pool *pool, void (*told)(void *arg, const struct pool_info *info), void *arg,
	char *why, size_t why_len);

/* Ends the watch; returns when `told` runs no more. pool_close does it, too. */
void pool_unwatch(struct pool *pool);

/* ---- the box keeps its hands off ---- */

/*
 * Whether LVM on this box would look into the volumes of this pool for volume groups of guests, and
 * activate them. 0: it would not; 1: it would, and `why` says what to write where; a negative errno
 * when LVM's tools do not tell. Pools without LVM: 0.
 */
int pool_check_host(struct pool *pool, char *why, size_t why_len);

/* Whether this process may do what pools of kind lvm and lvm-thin need. 0, or -EPERM with what is
 * missing. */
int pool_check_rights(char *why, size_t why_len);

#endif
