/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_kind.h: what a kind of pool fills in, and what pool.c offers it.
 *
 * pool.c writes each verb as a transaction of small steps: a volume is half made, filled, then
 * committed; or hidden, wiped, then erased. A kind supplies the steps, each of which is atomic, and
 * finds at open what was left between two of them.
 */
#ifndef KURA_VOLUME_POOL_KIND_H
#define KURA_VOLUME_POOL_KIND_H

#include "volume/meta_record.h"
#include "volume/pool.h"

#include <pthread.h>

/* Where a sentence goes. */
struct pool_why {
	char *text; /* may be NULL */
	size_t len;
};

/* Which of the volumes of a name. */
enum pool_state {
	POOL_LIVE, /* in the list */
	POOL_HALF, /* half made */
	POOL_GONE, /* hidden: to be wiped, then erased */
};

/* Volumes that a kind has found so far. */
struct pool_listing {
	struct pool_volume *volumes; /* owned */
	size_t count, room;
};

/* Room for one more volume, zeroed; borrowed until the next one. */
struct pool_volume *pool_listing_add(struct pool_listing *listing);

/* Fills in what a record knows of a volume. */
void pool_volume_recorded(struct pool_volume *volume, const struct meta_record *record);

/* Writes the sentence, if anybody wants it; returns `err`. */
int pool_refuse(const struct pool_why *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * All steps are called under the pool's lock, one at a time, unless told otherwise; they return 0
 * or a negative errno with a sentence, and then have changed nothing. NULL: the kind cannot.
 */
struct pool_ops {
	const char *kind; /* name in configuration */
	size_t size;      /* bytes of what begins with struct pool; zeroed before open */
	/* Finds the pool, sets caps, recovers; `conf` of the pool is set. */
	int (*open)(struct pool *pool, const struct pool_why *why);
	/* Undoes open, also one that failed half way. May be NULL. */
	void (*close)(struct pool *pool);
	/* Fills in sizes; pool.c counts the volumes. */
	int (*info)(struct pool *pool, struct pool_info *info, const struct pool_why *why);
	/* The live volumes, or with `gone` those that are hidden and still to be wiped. */
	int (*list)(
		struct pool *pool, struct pool_listing *out, bool gone, const struct pool_why *why);
	/* See pool_resolve. */
	int (*resolve)(struct pool *pool, const char *name, struct pool_place *place,
		const struct pool_why *why);
	/* Makes a volume half. Refuses a name that is taken in whatever state. */
	int (*make)(struct pool *pool, const struct pool_make *make,
		const struct meta_record *record, const struct pool_why *why);
	/* Makes half a volume that shares the bytes of `source`: a snapshot or a clone. */
	int (*share)(struct pool *pool, const struct pool_volume *source, const char *name,
		const struct meta_record *record, const struct pool_why *why);
	/* Half to live. */
	int (*commit)(struct pool *pool, const char *name, const struct pool_why *why);
	/* Half to nothing. */
	int (*abandon)(struct pool *pool, const char *name, const struct pool_why *why);
	/* Whether others depend on it; NULL: they never do. */
	int (*check_delete)(const struct pool *pool, const struct pool_volume *volume,
		const struct pool_why *why);
	/* Live to gone; `wipe`: not to be erased before its bytes are. 1: it is erased already. */
	int (*hide)(struct pool *pool, const struct pool_volume *volume, bool wipe,
		const struct pool_why *why);
	/* Gone to nothing. */
	int (*erase)(struct pool *pool, const char *name, const struct pool_why *why);
	/* What to open for the bytes of a volume; returns owned. Any thread, without the lock. */
	char *(*path)(const struct pool *pool, const char *name, enum pool_state state);
	/* Another size; a thick volume that grows gets its space. */
	int (*resize)(struct pool *pool, const struct pool_volume *volume, uint64_t size,
		const struct pool_why *why);
	/* Another name; `to` is free. */
	int (*rename)(struct pool *pool, const struct pool_volume *volume, const char *to,
		const struct pool_why *why);
	/* Back to a snapshot. */
	int (*revert)(struct pool *pool, const struct pool_volume *volume,
		const struct pool_volume *snap, const struct pool_why *why);
	/* A record for what is there under `name` and has none. */
	int (*adopt)(struct pool *pool, const char *name, const struct meta_record *record,
		const struct pool_why *why);
	/* See pool_keep and pool_kept: without the lock. */
	int (*keep)(
		struct pool *pool, const char *name, const char *text, const struct pool_why *why);
	char *(*kept)(struct pool *pool, const char *name, int *err, const struct pool_why *why);
	/* See pool_level: without the lock. NULL: -ENOTSUP. */
	int (*level)(struct pool *pool, struct pool_info *info);
	/* See pool_extend. */
	int (*extend)(struct pool *pool, bool metadata, uint64_t by, const struct pool_why *why);
	/* See pool_check_host. NULL: nothing to fear. */
	int (*check_host)(struct pool *pool, const struct pool_why *why);
};

struct pool_watcher; /* pool_watch.c */
struct pool_dm_thin; /* pool_dm.h */

struct pool {
	const struct pool_ops *ops;
	struct pool_conf conf; /* its strings are owned */
	uint32_t caps;         /* enum pool_caps; ops->open sets them */
	pthread_mutex_t lock;  /* one step at a time */
	struct pool_watcher *watcher;
	pthread_t janitor; /* wipes what an earlier process left */
	bool has_janitor;
	struct pool_listing gone; /* what it is to wipe: found by pool_open */
	bool closing;             /* atomic: the janitor is to end */
	char *claim;              /* the place that it has: pool_claim.h; or NULL */
	struct pool *claim_next;
};

/* ---- of pool.c, for its verbs ---- */

/* Whether a volume may be called so. 0 or -EINVAL. */
int pool_name_check(const struct pool *pool, const char *name, const struct pool_why *why);

/* Whether the pool has all of `caps`; `verb` goes on "... cannot". 0 or -ENOTSUP. */
int pool_must_can(
	const struct pool *pool, uint32_t caps, const char *verb, const struct pool_why *why);

/* The live volumes by name, with the names of their origins. The caller frees out->volumes. Under
 * the lock. */
int pool_list_locked(struct pool *pool, struct pool_listing *out, const struct pool_why *why);

/* One of them. 0, -ENOENT, or what the list says. Under the lock. */
int pool_find_locked(struct pool *pool, const char *name, struct pool_volume *volume,
	const struct pool_why *why);

/* What device-mapper says of a thin pool, as pool_level has it (pool_watch.c). Any thread. */
void pool_info_thin(
	const struct pool *pool, const struct pool_dm_thin *thin, struct pool_info *info);

/* ---- long work: pool_copy.c ---- */

/*
 * Copies `size` bytes from one file or device to another of the same kind and syncs them. `zeroed`:
 * the target reads as zero, so holes and zeroes are left out. 0, -ECANCELED or -errno, with a
 * sentence. Without the lock.
 */
int pool_copy(const char *from, const char *to, uint64_t size, bool zeroed,
	const struct pool_progress *progress, const struct pool_why *why);

/* Overwrites what is not zero with zeroes and syncs. -ECANCELED when told so. Without the lock. */
int pool_wipe(const char *path, const struct pool_progress *progress, const struct pool_why *why);

/* ---- the box: pool_host.c ---- */

/* check_host of kinds whose volumes are logical volumes of conf.vg. */
int pool_host_lvs(struct pool *pool, const struct pool_why *why);

/* check_host of a pool that is the device conf.path. */
int pool_host_disk(struct pool *pool, const struct pool_why *why);

#define POOL(id, kind, help) extern const struct pool_ops pool_##id##_ops;
#include "volume/pools.def"
#undef POOL

#endif
