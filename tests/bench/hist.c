/* SPDX-License-Identifier: Apache-2.0 */
/* hist.c: see hist.h. Values below 64 have a bucket each; above, six bits follow the leading one.
 */
#include "tests/bench/hist.h"

#define SUB (1u << HIST_SUB_BITS)

static unsigned int bucket_of(uint64_t v)
{
	unsigned int shift;

	if (v < SUB)
		return (unsigned int)v;
	shift = 63 - (unsigned int)__builtin_clzll(v) - HIST_SUB_BITS;
	return ((shift + 1) << HIST_SUB_BITS) + (unsigned int)((v >> shift) & (SUB - 1));
}

/* The middle of what falls into bucket `b`. */
static uint64_t bucket_value(unsigned int b)
{
	unsigned int shift;

	if (b < SUB)
		return b;
	shift = (b >> HIST_SUB_BITS) - 1;
	return ((uint64_t)(SUB | (b & (SUB - 1))) << shift) + (((uint64_t)1 << shift) >> 1);
}

void hist_add(struct hist *h, uint64_t value)
{
	h->bucket[bucket_of(value)]++;
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
}

void hist_merge(struct hist *h, const struct hist *from)
{
	for (unsigned int b = 0; b < HIST_BUCKETS; b++)
		h->bucket[b] += from->bucket[b];
	h->count += from->count;
	h->sum += from->sum;
	if (from->max > h->max)
		h->max = from->max;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->count);
	uint64_t seen = 0;

	for (unsigned int b = 0; b < HIST_BUCKETS; b++) {
		seen += h->bucket[b];
		if (seen > want)
			return bucket_value(b);
	}
	return h->max;
}

double hist_mean(const struct hist *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}
