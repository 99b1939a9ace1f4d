/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pools.h: the pools of the configuration, open as long as the server is.
 *
 * Opening one recovers what an earlier run left half done. Each is told of in the log: what it can,
 * what LVM on this box would do to guests' volume groups, and when a thin pool is full.
 */
#ifndef KURA_TARGET_POOLS_H
#define KURA_TARGET_POOLS_H

#include "config/config.h"
#include "volume/pool.h"

struct pools;

/* Opens the pools of `cfg`, which is borrowed for the call. NULL with a sentence and the line
 * of the configuration in `why`. Blocks: set-up. Returns owned. */
struct pools *pools_open(const struct config *cfg, const char *state_dir, char *why, size_t len);

/* Closes them; none of their volumes is open any more. Takes them; NULL is allowed. Blocks. */
void pools_free(struct pools *pools);

/* One of them by its name, borrowed; NULL. Any thread. */
struct pool *pools_find(const struct pools *pools, const char *name);

#endif
