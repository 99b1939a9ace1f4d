/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hist.h: histograms of latencies that cost two adds to memory which no other thread writes, and
 * the plain counters beside them.
 *
 * Buckets grow with the value: four per power of two, from HIST_LEAST_NS on, so that a bucket is
 * never wider than a quarter of what it holds.
 */
#ifndef KURA_COMMON_HIST_H
#define KURA_COMMON_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_LEAST_SHIFT 10u
#define HIST_LEAST_NS    (1ull << HIST_LEAST_SHIFT) /* what is quicker shares the first bucket */
#define HIST_OCTAVES     25u                        /* then, to 34 seconds; the last has the rest */
#define HIST_BUCKETS     (1u + 4u * HIST_OCTAVES)

struct hist {
	uint64_t count;                /* values */
	uint64_t sum_ns;               /* of them */
	uint64_t bucket[HIST_BUCKETS]; /* values by size */
};

/* Adds to a counter that one thread writes and others read: never torn, and no bus cycle. */
static inline void hist_bump(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Counts a value; the one thread that writes `h`. */
void hist_add(struct hist *h, uint64_t ns);

/* The bucket of a value. */
unsigned hist_bucket(uint64_t ns);

/* The smallest value of a bucket; of HIST_BUCKETS: where the last would end. */
uint64_t hist_bucket_ns(unsigned bucket);

/* The smallest value of the bucket in which `per_mille` of 1000 values are reached, of the first
 * bucket its middle; 0: there are no values. */
uint64_t hist_percentile_ns(const struct hist *h, unsigned per_mille);

/* How many values are below a power of two of nanoseconds, `shift` HIST_LEAST_SHIFT or more. */
uint64_t hist_below(const struct hist *h, unsigned shift);

/* Adds `words` counters to others: `to` is the caller's own, `from` may be written meanwhile. */
void hist_sum(uint64_t *to, const uint64_t *from, size_t words);

/* Now, of the clock that latencies are measured by. */
uint64_t hist_clock_ns(void);

#endif
