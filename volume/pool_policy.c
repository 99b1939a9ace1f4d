// SPDX-License-Identifier: Apache-2.0
#include "volume/pool_policy.h"

#include <errno.h>
#include <string.h>

#define EASE_PERCENT 2u           /* so far below a mark it is armed again */
#define STEP_PARTS   5u           /* a step is a fifth of what there is */
#define META_LEAST   (4ull << 20) /* bytes of metadata: a step is an extent at least */
#define META_MARK    25u /* percent: dm-thin keeps a tenth of its metadata, however large */
#define META_MOST    (16192ull << 20) /* bytes of metadata that dm-thin makes use of */
#define AGAIN_S      60u              /* until what failed is tried again */
#define FAST_BYTES   (256ull << 20)   /* what may be written in a second */
#define PAUSE_MIN_MS 1000u
#define PAUSE_MAX_MS 30000u

struct part_room {
	uint64_t size, free;
};

static struct part_room room_of(const struct pool_info *info, enum pool_part part)
{
	if (part == POOL_META)
		return (struct part_room){ info->meta_size, info->meta_free };
	return (struct part_room){ info->size, info->free };
}

unsigned pool_policy_used(const struct pool_info *info, enum pool_part part)
{
	struct part_room r = room_of(info, part);

	if (!r.size || r.free > r.size)
		return 0;
	return (unsigned)((double)(r.size - r.free) * 100 / (double)r.size);
}

static bool is_below(unsigned used, unsigned mark)
{
	return used <= (mark > EASE_PERCENT ? mark - EASE_PERCENT : 0);
}

/* By how much the part is to grow; 0: it may not. */
static uint64_t step_of(
	const struct pool_policy *policy, const struct pool_info *info, enum pool_part part)
{
	struct part_room r = room_of(info, part);
	uint64_t by = r.size / STEP_PARTS, most = META_MOST;

	if (part == POOL_META && by < META_LEAST)
		by = META_LEAST;
	if (part == POOL_DATA) {
		by = policy->extend_by ? policy->extend_by : by;
		most = policy->extend_max ? policy->extend_max : UINT64_MAX;
	}
	if (r.size >= most)
		return 0;
	return by < most - r.size ? by : most - r.size;
}

static void decide_extend(const struct pool_policy *policy, struct pool_policy_state *state,
	const struct pool_info *info, enum pool_part part, uint64_t now_s,
	struct pool_policy_act *act)
{
	unsigned used = pool_policy_used(info, part), mark = policy->extend_at;

	if (part == POOL_META && mark && mark < META_MARK)
		mark = META_MARK;
	if (!mark || is_below(used, mark))
		state->stuck[part] = false;
	if (!mark || used < mark || (state->stuck[part] && now_s < state->again_s[part]))
		return;
	act->extend = step_of(policy, info, part);
	if (act->extend)
		return;
	act->at_max = pool_policy_extended(state, part, -EDQUOT, now_s);
}

static void decide_low(const struct pool_policy *policy, struct pool_policy_state *state,
	unsigned used, enum pool_part part, struct pool_policy_act *act)
{
	bool low = policy->low_water && used >= policy->low_water;

	if (low && !state->low[part])
		act->low = state->low[part] = true;
	else if (state->low[part] && (!policy->low_water || is_below(used, policy->low_water))) {
		state->low[part] = false;
		act->eased = true;
	}
}

void pool_policy_decide(const struct pool_policy *policy, struct pool_policy_state *state,
	const struct pool_info *info, uint64_t now_s, struct pool_policy_act act[POOL_PARTS])
{
	memset(act, 0, POOL_PARTS * sizeof *act);
	for (enum pool_part part = POOL_DATA; part < POOL_PARTS; part++) {
		if (!room_of(info, part).size)
			continue;
		/* only thin pools have metadata, and only they can be extended */
		if (info->meta_size)
			decide_extend(policy, state, info, part, now_s, &act[part]);
		if (!act[part].extend)
			decide_low(policy, state, pool_policy_used(info, part), part, &act[part]);
	}
}

void pool_policy_change(
	struct pool_policy *policy, struct pool_policy_state *state, const struct pool_policy *next)
{
	bool same = policy->extend_at == next->extend_at && policy->extend_by == next->extend_by &&
		    policy->extend_max == next->extend_max;

	*policy = *next;
	if (!same)
		memset(state->stuck, 0, sizeof state->stuck);
}

bool pool_policy_extended(
	struct pool_policy_state *state, enum pool_part part, int err, uint64_t now_s)
{
	bool first = err && !state->stuck[part];

	state->stuck[part] = err != 0;
	state->again_s[part] = now_s + AGAIN_S;
	return first;
}

/* Bytes that can be written until a mark of the part is reached; 0: it is behind the last one. */
static uint64_t up_to_mark(const struct part_room *r, unsigned mark)
{
	double used = (double)(r->size - r->free), at = (double)r->size * mark / 100;

	return mark && used < at ? (uint64_t)(at - used) : 0;
}

unsigned pool_policy_pause_ms(const struct pool_policy *policy, const struct pool_info *info)
{
	const unsigned marks[] = { policy->low_water, policy->extend_at };
	uint64_t ms = PAUSE_MAX_MS;

	for (unsigned i = 0; i < 2; i++) {
		for (enum pool_part part = POOL_DATA; part < POOL_PARTS; part++) {
			struct part_room r = room_of(info, part);
			/* metadata grows by a fraction of what is written */
			uint64_t fast = part == POOL_META ? FAST_BYTES / 64 : FAST_BYTES;
			uint64_t wait = up_to_mark(&r, marks[i]) / (fast / 1000);

			if (r.size && marks[i] && wait < ms)
				ms = wait;
		}
	}
	return ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : (unsigned)ms;
}
