/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_rig.h: the pool under test, and what tests of every kind do with it.
 *
 * The environment says which: KURA_POOL_KIND and KURA_POOL_PATH, KURA_POOL_VG, KURA_POOL_THIN,
 * KURA_POOL_CONFIG (for LVM's --config), KURA_POOL_OTHER (kind lvm: a thin pool of the same group).
 * Without it, a directory of a scratch folder.
 */
#ifndef KURA_TESTS_STORE_POOL_RIG_H
#define KURA_TESTS_STORE_POOL_RIG_H

#include "volume/pool.h"

#define MIB (1ull << 20)

struct pool_rig {
	struct pool_conf conf;
	struct pool *pool; /* open, or NULL */
	uint32_t caps;
	char *scratch; /* folder that the rig made, or NULL */
	char why[POOL_WHY_LEN];
};

/* The group setup and teardown of cmocka: *state is a struct pool_rig with the pool open. */
int pool_rig_setup(void **state);
int pool_rig_teardown(void **state);

/* Opens it (again); fails the test when that fails. */
void pool_rig_open(struct pool_rig *rig);
void pool_rig_close(struct pool_rig *rig);

/* Deletes every volume, snapshots first. */
void pool_rig_clear(struct pool_rig *rig);

/* Makes a volume of 8 MiB with a pattern of `seed` in it. */
void pool_rig_make(struct pool_rig *rig, const char *name, unsigned char seed);

/* A file or logical volume of 8 MiB that is not the pool's, of zeroes; one that is there stays. */
void pool_rig_foreign(struct pool_rig *rig, const char *name);

/* Fills 64 KiB at the front and 64 KiB at 4 MiB. */
void pool_rig_write(struct pool_rig *rig, const char *name, unsigned char seed);

/* The seed that was written last; -1 when the bytes are of no one seed. */
int pool_rig_read(struct pool_rig *rig, const char *name);

/* One of its volumes; fails the test when it is not there. */
struct pool_volume pool_rig_find(struct pool_rig *rig, const char *name);

/* Everything that may be half made or half deleted, counted below the pool: files that are neither
 * volume nor record, LVs that the list does not have. */
unsigned pool_rig_remains(struct pool_rig *rig);

/* All volumes as text: names, sizes, kinds, origins, contents, whether identities are those of
 * `was` (NULL: none known). Returns owned. */
char *pool_rig_describe(struct pool_rig *rig, const struct pool_volume *was, size_t count);

#endif
