// SPDX-License-Identifier: Apache-2.0
/* hist.c: from values to buckets and back. */
#include "common/hist.h"

#include <time.h>

unsigned hist_bucket(uint64_t ns)
{
	unsigned e, bucket;

	if (ns < HIST_LEAST_NS)
		return 0;
	e = 63 - (unsigned)__builtin_clzll(ns);
	bucket = 1 + 4 * (e - HIST_LEAST_SHIFT) + (unsigned)(ns >> (e - 2) & 3);
	return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

uint64_t hist_bucket_ns(unsigned bucket)
{
	if (!bucket)
		return 0;
	return (4ull + (bucket - 1) % 4) << (HIST_LEAST_SHIFT - 2 + (bucket - 1) / 4);
}

void hist_add(struct hist *h, uint64_t ns)
{
	hist_bump(&h->count, 1);
	hist_bump(&h->sum_ns, ns);
	hist_bump(&h->bucket[hist_bucket(ns)], 1);
}

/* By the buckets: `count` may be a moment behind them. */
uint64_t hist_percentile_ns(const struct hist *h, unsigned per_mille)
{
	uint64_t all = 0, want, sum = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		all += h->bucket[i];
	want = (all * per_mille + 999) / 1000;
	for (unsigned i = 0; i < HIST_BUCKETS && want; i++) {
		sum += h->bucket[i];
		if (sum >= want)
			return i ? hist_bucket_ns(i) : HIST_LEAST_NS / 2;
	}
	return 0;
}

uint64_t hist_below(const struct hist *h, unsigned shift)
{
	unsigned end = 1 + 4 * (shift - HIST_LEAST_SHIFT);
	uint64_t sum = 0;

	for (unsigned i = 0; i < end && i < HIST_BUCKETS; i++)
		sum += h->bucket[i];
	return sum;
}

void hist_sum(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

uint64_t hist_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}
