// SPDX-License-Identifier: Apache-2.0
/* test_pool_policy.c: what is decided about how full a pool is, by numbers alone. */
#include "volume/pool_policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct pool_policy_act act[POOL_PARTS];

/* A thin pool of 100 GiB with 100 MiB of metadata, used to so many percent. */
static struct pool_info thin(unsigned data, unsigned meta)
{
	return (struct pool_info){
		.size = 100 * GIB,
		.free = (100 - data) * GIB,
		.meta_size = 100 * MIB,
		.meta_free = (100 - meta) * MIB,
	};
}

static void decide(const struct pool_policy *policy, struct pool_policy_state *state,
	struct pool_info info, uint64_t now_s)
{
	pool_policy_decide(policy, state, &info, now_s, act);
}

static bool is_quiet(void)
{
	static const struct pool_policy_act none[POOL_PARTS];

	for (int i = 0; i < POOL_PARTS; i++)
		if (act[i].low != none[i].low || act[i].eased || act[i].at_max || act[i].extend)
			return false;
	return true;
}

/* Each crossing is told once; going to and fro at the mark is none. */
static void test_low_water(void **unused)
{
	const struct pool_policy policy = { .low_water = 80 };
	struct pool_policy_state state = { 0 };

	(void)unused;
	decide(&policy, &state, thin(79, 10), 1);
	assert_true(is_quiet());
	decide(&policy, &state, thin(80, 10), 2);
	assert_true(act[POOL_DATA].low);
	assert_false(act[POOL_META].low);
	for (unsigned used = 79; used <= 100; used++) {
		decide(&policy, &state, thin(used, 10), 3);
		assert_true(is_quiet());
	}
	decide(&policy, &state, thin(78, 10), 4);
	assert_true(act[POOL_DATA].eased);
	decide(&policy, &state, thin(79, 10), 5);
	assert_true(is_quiet());
	decide(&policy, &state, thin(99, 10), 6);
	assert_true(act[POOL_DATA].low);
}

static void test_metadata(void **unused)
{
	const struct pool_policy policy = { .low_water = 80 };
	struct pool_policy_state state = { 0 };
	struct pool_info dir = { .size = 10 * GIB, .free = 9 * GIB };

	(void)unused;
	decide(&policy, &state, thin(10, 85), 1);
	assert_true(act[POOL_META].low);
	assert_false(act[POOL_DATA].low);
	decide(&policy, &state, thin(90, 85), 2);
	assert_false(act[POOL_META].low);
	assert_true(act[POOL_DATA].low);
	memset(&state, 0, sizeof state);
	decide(&policy, &state, dir, 3);
	assert_true(is_quiet());
}

static void test_no_mark(void **unused)
{
	struct pool_policy policy = { 0 };
	struct pool_policy_state state = { 0 };

	(void)unused;
	decide(&policy, &state, thin(100, 100), 1);
	assert_true(is_quiet());
	policy.low_water = 50;
	decide(&policy, &state, thin(60, 10), 2);
	assert_true(act[POOL_DATA].low);
	policy.low_water = 0; /* taken away: there is nothing to be short of */
	decide(&policy, &state, thin(60, 10), 3);
	assert_true(act[POOL_DATA].eased);
	policy.low_water = 1; /* is armed again by an empty pool alone */
	decide(&policy, &state, thin(1, 0), 4);
	assert_true(act[POOL_DATA].low);
	decide(&policy, &state, thin(0, 0), 5);
	assert_true(act[POOL_DATA].eased);
}

/* Steps: a fifth, or what is asked for, up to the most; and metadata by its own. */
static void test_steps(void **unused)
{
	struct pool_policy policy = { .low_water = 80, .extend_at = 70 };
	struct pool_policy_state state = { 0 };

	(void)unused;
	decide(&policy, &state, thin(69, 69), 1);
	assert_true(is_quiet());
	decide(&policy, &state, thin(85, 10), 1);
	assert_int_equal(act[POOL_DATA].extend, 20 * GIB);
	assert_false(act[POOL_DATA].low); /* not before it is known whether that helps */
	assert_int_equal(act[POOL_META].extend, 0);
	assert_false(pool_policy_extended(&state, POOL_DATA, 0, 1));
	policy.extend_by = GIB;
	decide(&policy, &state, thin(85, 70), 2);
	assert_int_equal(act[POOL_DATA].extend, GIB);
	assert_int_equal(act[POOL_META].extend, 20 * MIB);
	policy.extend_by = 30 * GIB;
	policy.extend_max = 110 * GIB;
	decide(&policy, &state, thin(85, 10), 3);
	assert_int_equal(act[POOL_DATA].extend, 10 * GIB);
}

static void test_metadata_bounds(void **unused)
{
	const struct pool_policy policy = { .extend_at = 70 };
	struct pool_policy_state state = { 0 };
	struct pool_info info = thin(10, 80);

	(void)unused;
	info.meta_size = 4 * MIB;
	info.meta_free = 0;
	decide(&policy, &state, info, 1);
	assert_int_equal(act[POOL_META].extend, 4 * MIB);
	info.meta_size = 16192 * MIB; /* dm-thin makes use of no more */
	decide(&policy, &state, info, 2);
	assert_int_equal(act[POOL_META].extend, 0);
	assert_true(act[POOL_META].at_max);
}

/* Metadata is never quite empty: a low mark would have it extended for ever. */
static void test_metadata_least(void **unused)
{
	const struct pool_policy policy = { .extend_at = 5 };
	struct pool_policy_state state = { 0 };

	(void)unused;
	decide(&policy, &state, thin(4, 24), 1);
	assert_true(is_quiet());
	decide(&policy, &state, thin(5, 25), 2);
	assert_int_equal(act[POOL_META].extend, 20 * MIB);
	assert_int_equal(act[POOL_DATA].extend, 20 * GIB);
}

static void test_at_max(void **unused)
{
	const struct pool_policy policy = {
		.low_water = 80, .extend_at = 70, .extend_max = 100 * GIB
	};
	struct pool_policy_state state = { 0 };

	(void)unused;
	decide(&policy, &state, thin(75, 0), 1);
	assert_true(act[POOL_DATA].at_max);
	assert_false(act[POOL_DATA].low);
	for (uint64_t now = 2; now < 1000; now += 10) {
		decide(&policy, &state, thin(75, 0), now);
		assert_true(is_quiet());
	}
	decide(&policy, &state, thin(80, 0), 1001);
	assert_true(act[POOL_DATA].low);
	decide(&policy, &state, thin(60, 0), 1002);
	assert_true(act[POOL_DATA].eased);
	decide(&policy, &state, thin(70, 0), 1003); /* armed again */
	assert_true(act[POOL_DATA].at_max);
}

/* What fails is told once, tried again now and then, and told again after it has worked. */
static void test_no_room(void **unused)
{
	const struct pool_policy policy = { .low_water = 80, .extend_at = 70 };
	struct pool_policy_state state = { 0 };
	unsigned tries = 0;

	(void)unused;
	decide(&policy, &state, thin(90, 0), 1);
	assert_true(act[POOL_DATA].extend);
	assert_true(pool_policy_extended(&state, POOL_DATA, -ENOSPC, 1));
	decide(&policy, &state, thin(90, 0), 1);
	assert_int_equal(act[POOL_DATA].extend, 0);
	assert_true(act[POOL_DATA].low); /* nothing has helped */
	for (uint64_t now = 2; now <= 601; now++) {
		decide(&policy, &state, thin(90, 0), now);
		assert_false(act[POOL_DATA].low);
		if (!act[POOL_DATA].extend)
			continue;
		tries++;
		assert_false(pool_policy_extended(&state, POOL_DATA, -ENOSPC, now));
	}
	assert_int_equal(tries, 10);
	assert_false(pool_policy_extended(&state, POOL_DATA, 0, 700));
	assert_true(pool_policy_extended(&state, POOL_DATA, -ENOSPC, 701));
	decide(&policy, &state, thin(60, 0), 702);
	decide(&policy, &state, thin(70, 0), 703);
	assert_true(act[POOL_DATA].extend);
	assert_true(pool_policy_extended(&state, POOL_DATA, -ENOSPC, 703));
}

/* Room that a person has made by a larger extend_max is used at once, not after a minute. */
static void test_extend_max_is_raised(void **unused)
{
	struct pool_policy policy = { .low_water = 90, .extend_at = 70, .extend_max = 100 * GIB };
	struct pool_policy next = policy;
	struct pool_policy_state state = { 0 };

	(void)unused;
	decide(&policy, &state, thin(80, 0), 1);
	assert_true(act[POOL_DATA].at_max);
	next.low_water = 95; /* says nothing about extending */
	pool_policy_change(&policy, &state, &next);
	assert_int_equal(policy.low_water, 95);
	decide(&policy, &state, thin(80, 0), 2);
	assert_true(is_quiet());
	next.extend_max = 110 * GIB;
	pool_policy_change(&policy, &state, &next);
	decide(&policy, &state, thin(80, 0), 3);
	assert_int_equal(act[POOL_DATA].extend, 10 * GIB);
	assert_false(pool_policy_extended(&state, POOL_DATA, 0, 3));
	next.extend_max = 90 * GIB;
	pool_policy_change(&policy, &state, &next);
	decide(&policy, &state, thin(80, 0), 4);
	assert_true(act[POOL_DATA].at_max); /* a new reason, told */
}

/* A directory has a low-water mark, and nothing that could be extended. */
static void test_directory(void **unused)
{
	const struct pool_policy policy = { .low_water = 80, .extend_at = 70 };
	struct pool_policy_state state = { 0 };
	struct pool_info info = { .size = 10 * GIB, .free = GIB };

	(void)unused;
	decide(&policy, &state, info, 1);
	assert_true(act[POOL_DATA].low);
	assert_int_equal(act[POOL_DATA].extend, 0);
	assert_int_equal(pool_policy_used(&info, POOL_DATA), 90);
	assert_int_equal(pool_policy_used(&info, POOL_META), 0);
	info = (struct pool_info){ .size = GIB, .free = 2 * GIB };
	assert_int_equal(pool_policy_used(&info, POOL_DATA), 0);
}

static void test_pause(void **unused)
{
	const struct pool_policy policy = { .low_water = 80, .extend_at = 70 }, none = { 0 };
	struct pool_info info = thin(10, 10);
	unsigned before = pool_policy_pause_ms(&policy, &info);

	(void)unused;
	assert_true(pool_policy_pause_ms(&none, &info) > before);
	for (unsigned used = 11; used <= 70; used++) {
		unsigned now;

		info = thin(used, used);
		now = pool_policy_pause_ms(&policy, &info);
		assert_true(now <= before);
		before = now;
	}
	assert_int_equal(before, 1000);
	assert_int_equal(pool_policy_pause_ms(&none, &info), 30000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_low_water),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_no_mark),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_metadata_bounds),
		cmocka_unit_test(test_metadata_least),
		cmocka_unit_test(test_at_max),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_extend_max_is_raised),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
