/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counts.h: what the guard has counted of each open volume, for whoever shows it.
 *
 * Each channel counts in a table of its own; a reader sums the tables of the open channels and what
 * closed ones left. Latencies are those of one request in COUNTS_STRIDE, of reads and writes alone.
 */
#ifndef KURA_VOLUME_COUNTS_H
#define KURA_VOLUME_COUNTS_H

#include "common/hist.h"
#include "volume/volume.h"

/* A prime, so that no pattern of requests hides from it. */
#define COUNTS_STRIDE 17u

struct vol_counts {
	uint64_t ops[VOL_OP_COUNT];    /* requests submitted, by enum vol_op */
	uint64_t bytes[VOL_OP_COUNT];  /* that they asked for */
	uint64_t errors[VOL_OP_COUNT]; /* of them failed */
	struct hist latency[2];        /* of some: VOL_READ, VOL_WRITE */
};
#define VOL_COUNTS_WORDS (sizeof(struct vol_counts) / sizeof(uint64_t))

/* A volume as it is now. */
struct vol_seen {
	char name[VOL_NAME_MAX + 1];
	uint64_t size;     /* bytes */
	uint64_t inflight; /* requests that are not done */
	struct vol_counts counts;
};

/* All open volumes. Returns owned, *n of them; NULL: no memory. Any thread; what is counted
 * meanwhile may be missing. */
struct vol_seen *vol_see_all(unsigned *n);

#endif
