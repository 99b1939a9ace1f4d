/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_stats.h: what the "stats" layer has counted, for whoever shows it.
 *
 * Latencies fall into buckets that grow with the value: eight per power of two, so that a bucket is
 * never wider than an eighth of what it holds.
 */
#ifndef KURA_VOLUME_LAYER_STATS_H
#define KURA_VOLUME_LAYER_STATS_H

#include "volume/volume.h"

#define STATS_BUCKETS 496

struct stats_op {
	uint64_t count;                 /* requests done */
	uint64_t errors;                /* of them failed */
	uint64_t bytes;                 /* of them, asked for */
	uint64_t total_ns;              /* sum of latencies */
	uint64_t max_ns;                /* the longest */
	uint64_t bucket[STATS_BUCKETS]; /* requests by latency */
};

struct stats_table {
	struct stats_op op[VOL_OP_COUNT]; /* by enum vol_op */
};

/* Sums what all loops have counted since the volume was opened. false: it has no such layer. Any
 * thread; may lag by what is being counted now. */
bool stats_read(const struct vol *vol, struct stats_table *table);

/* The bucket of a latency. */
unsigned stats_bucket(uint64_t ns);

/* The smallest latency of a bucket. */
uint64_t stats_bucket_ns(unsigned bucket);

/* The latency below which `per_mille` of 1000 requests were done, to a bucket's width; 0: none. */
uint64_t stats_percentile_ns(const struct stats_op *op, unsigned per_mille);

#endif
