/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doing.h: what a verb of volumes has begun and not ended: a note in the state directory, one for
 * each volume, by which the next start undoes or finishes what a process that died left behind.
 *
 * A verb changes a pool and the managed file, and a kill may come between. The managed file
 * decides: what a pool got for a volume that the configuration does not name goes, and what was
 * called otherwise is called again what the configuration says. Everything here blocks.
 */
#ifndef KURA_TARGET_DOING_H
#define KURA_TARGET_DOING_H

#include "target/pools.h"

enum doing_kind {
	DOING_MAKE,   /* the pool gets `volume`, then the configuration names it */
	DOING_DELETE, /* the configuration names `volume` no more, then the pool loses it */
	DOING_RENAME, /* the pool calls `volume` `to`, then the configuration does */
	DOING_EXPORT, /* `file` is half written; `to`, if any, is a snapshot that helps */
	DOING_FOLDER, /* `file` is made, then the configuration names `pool` */
};

#define DOING_FOLDER_NOTE ":folder" /* no volume is called so */

/* All strings are borrowed. */
struct doing {
	enum doing_kind kind;
	const char *volume; /* the note is called so; FOLDER: DOING_FOLDER_NOTE */
	const char *pool;
	const char *to;   /* or NULL */
	const char *file; /* or NULL */
	bool wipe;        /* DELETE: overwrite it first */
};

/* Writes the note, lasting. 0, or -errno: -EBUSY when there is one for that volume. One thread at a
 * time. */
int doing_begin(const char *state_dir, const struct doing *doing);

/* Whether there is a note of `volume`. Any thread. */
bool doing_is(const char *state_dir, const char *volume);

/* All is done, or undone. */
void doing_end(const char *state_dir, const char *volume);

/* At the start, when pools are open and volumes are not: undoes or finishes what was left. What
 * cannot be is logged and stays noted. */
void doing_recover(const char *state_dir, const struct config *cfg, struct pools *pools);

#endif
