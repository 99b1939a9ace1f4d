/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrive.h: connections that are not logged in yet: how many there may be, in all and from one
 * host, so that nobody keeps the others out by connecting and saying nothing.
 *
 * Hosts are counted in a table of counters that an address is hashed to; two hosts may share one,
 * which needs far more hosts than the limits let in to matter.
 */
#ifndef KURA_TARGET_ISCSI_ARRIVE_H
#define KURA_TARGET_ISCSI_ARRIVE_H

#include "target/iscsi/iscsi.h"

#define ARRIVE_PLACES 1024u /* a power of two */

struct arrive {
	uint32_t seed;                /* so that nobody can choose who shares a counter */
	unsigned total;               /* atomic */
	unsigned from[ARRIVE_PLACES]; /* atomic: of the hosts that are hashed here */
};

/* Prepares it. Before the loops run. */
void arrive_init(struct arrive *a);

/* Counts the connected socket `fd` in. Returns its place, or -1 when a limit of `opts` is reached
 * (logged, counted). One thread. */
int arrive_take(struct arrive *a, const struct iscsi_opts *opts, int fd);

/* What was counted in at `place` is logged in, or gone. Any thread. */
void arrive_leave(struct arrive *a, int place);

#endif
