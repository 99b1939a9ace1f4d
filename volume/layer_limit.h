/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_limit.h: how fast a volume may be used, and how that is changed while it is in use.
 *
 * A limit is a rate of requests or of bytes, for reads, for writes or for both together. What was
 * not used is kept for a while and can be spent at once.
 */
#ifndef KURA_VOLUME_LAYER_LIMIT_H
#define KURA_VOLUME_LAYER_LIMIT_H

#include "volume/volume.h"

enum limit_rate {
	LIMIT_IOPS, /* reads and writes together, a second */
	LIMIT_BYTES,
	LIMIT_READ_IOPS,
	LIMIT_READ_BYTES,
	LIMIT_WRITE_IOPS,
	LIMIT_WRITE_BYTES,
};
#define LIMIT_RATES (LIMIT_WRITE_BYTES + 1)

#define LIMIT_RATE_MAX     (1ull << 34)
#define LIMIT_BURST_MS     100u /* unless told otherwise */
#define LIMIT_BURST_MS_MIN 20u  /* two ticks of a loop's timers: less would lose what is due */
#define LIMIT_BURST_MS_MAX 60000u

struct limit_conf {
	uint64_t rate[LIMIT_RATES]; /* a second, at most LIMIT_RATE_MAX; 0: no limit */
	uint32_t burst_ms;          /* what was not used is kept for so long */
};

/* Sets the limits of a volume in use; those who wait now go by them within two ticks of the timers.
 * 0, or -ENOTSUP: the volume has no layer "limit". Any thread. */
int limit_set(struct vol *vol, const struct limit_conf *conf);

/* The same by the text that the layer takes as its options. 0, -ENOTSUP or -EINVAL, with a sentence
 * in `why`. Any thread. */
int limit_set_text(struct vol *vol, const char *options, char *why, size_t why_len);

/* What they are now. 0 or -ENOTSUP. Any thread. */
int limit_get(const struct vol *vol, struct limit_conf *conf);

/* Requests of all loops that wait for their turn now. 0 without such a layer. Any thread. */
unsigned limit_waiting(const struct vol *vol);

#endif
