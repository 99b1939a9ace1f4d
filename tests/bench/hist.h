/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hist.h: a log-linear histogram of latencies. Each power of two is cut into 64 equal parts, so a
 * quantile is right within 1.6 % from a nanosecond to hours, and adding is one increment.
 */
#ifndef KURA_TESTS_BENCH_HIST_H
#define KURA_TESTS_BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 6
#define HIST_BUCKETS  ((64 - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

struct hist {
	uint64_t count;                /* values added */
	uint64_t sum;                  /* their sum, for the mean */
	uint64_t max;                  /* the largest */
	uint64_t bucket[HIST_BUCKETS]; /* values per bucket */
};

/* Adds one value. One thread per histogram. */
void hist_add(struct hist *h, uint64_t value);

/* Adds all that `from` holds to `h`; `from` is borrowed. */
void hist_merge(struct hist *h, const struct hist *from);

/* The value below which the share `q` (0..1) of the values lies; 0 when empty. */
uint64_t hist_quantile(const struct hist *h, double q);

/* The mean; 0 when empty. */
double hist_mean(const struct hist *h);

#endif
