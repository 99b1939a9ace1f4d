/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_claim.h: which places this process has as pools. A second pool in the same place would take
 * what the first is making for remains of an earlier run, and remove it; the lock of a directory
 * does not tell which pool has it, is not there on every filesystem, and LVM has none that lasts.
 */
#ifndef KURA_VOLUME_POOL_CLAIM_H
#define KURA_VOLUME_POOL_CLAIM_H

#include "volume/pool_kind.h"

/*
 * Makes `place`, a text that is the same however the place is spelled, this pool's until
 * pool_claim_end; `called` is what a person calls it. 0, or -EBUSY with the name of the pool that
 * has it. Once for a pool, before it looks for remains. Any thread.
 */
int pool_claim(
	struct pool *pool, const char *place, const char *called, const struct pool_why *why);

/* The same for the directory `fd`, conf.path, by what it is: links and mounts have other names for
 * it. Locks it, too, as long as `fd` is open, so that no other process has it; on a filesystem
 * without locks that is a warning in the log. Errors also: -errno of the lock. */
int pool_claim_dir(struct pool *pool, int fd, const struct pool_why *why);

/* Lets go of what it has claimed, if anything. Any thread. */
void pool_claim_end(struct pool *pool);

#endif
