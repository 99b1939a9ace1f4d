/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_policy.h: what is to be done about how full a pool is: when to warn, when and by how much to
 * extend, when to look again. It decides only: no clock, no pool, no log.
 */
#ifndef KURA_VOLUME_POOL_POLICY_H
#define KURA_VOLUME_POOL_POLICY_H

#include "volume/pool.h"

enum pool_part { POOL_DATA, POOL_META, POOL_PARTS };

/* What a person wants. */
struct pool_policy {
	unsigned low_water;  /* percent used from which on room is short; 0: it never is */
	unsigned extend_at;  /* percent used from which on a part is extended, metadata not below
				25; 0: never */
	uint64_t extend_by;  /* bytes of data for each step; 0: a fifth of what there is */
	uint64_t extend_max; /* bytes of data that there may be; 0: any number */
};

/* What was decided before; begins as zeroes. */
struct pool_policy_state {
	bool low[POOL_PARTS];         /* room is short, and that was told */
	bool stuck[POOL_PARTS];       /* it could not be extended, and that was told */
	uint64_t again_s[POOL_PARTS]; /* when to try that again */
};

/* What is to be done now about one part, and told once. */
struct pool_policy_act {
	bool low;        /* room has become short */
	bool eased;      /* it is not any more */
	bool at_max;     /* extending is due, but extend_max is reached */
	uint64_t extend; /* bytes by which to extend it; 0: not. Else tell pool_policy_extended,
			    then look at the pool again */
};

/*
 * Decides about a pool that is as `info` says at `now_s`, seconds of any clock that goes forward.
 * While a part is to be extended it is not called short: that is for when it has not helped.
 */
void pool_policy_decide(const struct pool_policy *policy, struct pool_policy_state *state,
	const struct pool_info *info, uint64_t now_s, struct pool_policy_act act[POOL_PARTS]);

/* Another policy holds from now on: what could not be extended under the old one is tried again. */
void pool_policy_change(struct pool_policy *policy, struct pool_policy_state *state,
	const struct pool_policy *next);

/* How extending ended: 0 or -errno. Whether a failure is to be told: the first one is. */
bool pool_policy_extended(
	struct pool_policy_state *state, enum pool_part part, int err, uint64_t now_s);

/* Percent of a part that is used, rounded down; 0 where a pool has no such part. */
unsigned pool_policy_used(const struct pool_info *info, enum pool_part part);

/* Milliseconds until the pool is to be looked at again: the less there is up to a mark, the fewer.
 */
unsigned pool_policy_pause_ms(const struct pool_policy *policy, const struct pool_info *info);

#endif
