/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_dm.h: what device-mapper itself says of a thin pool: asked often, and waited for.
 *
 * pool_dm.c is the one file with libdevmapper; built without it, everything here is -ENOTSUP. All
 * of it blocks, and may be called from any thread.
 */
#ifndef KURA_VOLUME_POOL_DM_H
#define KURA_VOLUME_POOL_DM_H

#include <stdbool.h>
#include <stdint.h>

struct pool_dm_thin {
	uint64_t size, free;           /* bytes of data */
	uint64_t meta_size, meta_free; /* bytes of metadata */
	bool full;                     /* out of data space */
	bool failed;                   /* metadata is broken or needs thin_repair */
	bool readonly;                 /* metadata is not written any more */
	uint32_t event;                /* number of the latest event */
};

/* The device of the thin pool LV `lv` of group `vg`; returns owned, NULL when it is not active. */
char *pool_dm_name(const char *vg, const char *lv);

/* How a thin pool is. 0, -ENXIO (no such device, or no thin pool), -ENOTSUP, -EIO. */
int pool_dm_thin(const char *name, struct pool_dm_thin *thin);

/* Waits until the device has an event after number `event`. 0; -EINTR when a signal came first;
 * else as pool_dm_thin. */
int pool_dm_wait(const char *name, uint32_t event);

struct vol_space;

/* What the thin volume with this device number has of its pool, and what of that is free. 0;
 * -ENOTSUP: it is none; else as pool_dm_thin. */
int pool_dm_space(uint64_t device, struct vol_space *space);

#endif
