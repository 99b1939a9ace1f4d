/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_loop.h: what the loop's tests share: one run of each case per engine, waiting with a limit,
 * and the other end of a stream, which is a socket or a simulated peer.
 */
#ifndef KURA_TESTS_UNIT_TEST_LOOP_H
#define KURA_TESTS_UNIT_TEST_LOOP_H

#include "common/own.h"
#include "target/loop/loop.h"
#include "target/loop/loop_engine.h"
#include "target/loop/loop_sim.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ENGINES_ALL  7u
#define ENGINES_REAL 3u

static const enum loop_engine_id engine_ids[] = {
	LOOP_ENGINE_URING,
	LOOP_ENGINE_AIO,
	LOOP_ENGINE_SIM,
};
static const char *const engine_names[] = { "uring", "aio", "sim" };

struct fx {
	enum loop_engine_id id;
	struct loop *loop;
	struct loop_opts opts;
};

struct loop_case {
	const char *name;
	void (*run)(struct fx *fx);
	unsigned engines;      /* bits of ENGINES_ */
	struct loop_opts opts; /* the engine is filled in */
};

/* The state of a test is its place in the table of all runs. */
struct case_run {
	const struct loop_case *c;
	enum loop_engine_id id;
};

static inline void case_main(void **state)
{
	struct case_run *run = *state;
	struct fx fx = { .id = run->id, .opts = run->c->opts };
	int err = 0;

	fx.opts.engine = run->id;
	fx.opts.cpu = -1;
	fx.loop = loop_new(&fx.opts, &err);
	if (!fx.loop && (err == -ENOSYS || err == -EPERM)) {
		skip();
		return;
	}
	assert_non_null(fx.loop);
	run->c->run(&fx);
	loop_free(fx.loop);
}

/* Runs every case on each of its engines. */
static inline int cases_run(const char *group, const struct loop_case *cases, size_t n)
{
	struct CMUnitTest *tests = own_calloc(n * 3, sizeof *tests);
	struct case_run *runs = own_calloc(n * 3, sizeof *runs);
	size_t used = 0;
	int failed;

	for (size_t e = 0; e < 3; e++) {
		for (size_t i = 0; i < n; i++) {
			if (!(cases[i].engines & 1u << e))
				continue;
			runs[used] = (struct case_run){ &cases[i], engine_ids[e] };
			tests[used] = (struct CMUnitTest){
				.name = own_printf("%s: %s", engine_names[e], cases[i].name),
				.test_func = case_main,
				.initial_state = &runs[used],
			};
			used++;
		}
	}
	failed = _cmocka_run_group_tests(group, tests, used, NULL, NULL);
	for (size_t i = 0; i < used; i++)
		free((char *)(uintptr_t)tests[i].name);
	free(tests);
	free(runs);
	return failed;
}

static inline uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void tick_again(struct loop_timer *timer)
{
	loop_timer_set(loop_self(), timer, 5);
}

/* Turns until *value reaches `want`; fails after ten seconds. */
static inline void turn_until(struct fx *fx, const unsigned *value, unsigned want)
{
	uint64_t until = clock_ms() + 10000;
	struct loop_timer tick;

	loop_timer_init(&tick, tick_again);
	loop_timer_set(fx->loop, &tick, 5);
	while (*value < want && clock_ms() < until) {
		if (fx->id == LOOP_ENGINE_SIM)
			sim_advance(fx->loop, 10);
		else
			loop_turn(fx->loop);
	}
	loop_timer_cancel(fx->loop, &tick);
	assert_true(*value >= want);
}

/* Turns for `ms`, of the loop's clock. */
static inline void turn_for(struct fx *fx, uint32_t ms)
{
	uint64_t until = clock_ms() + ms;
	struct loop_timer tick;

	if (fx->id == LOOP_ENGINE_SIM) {
		sim_advance(fx->loop, ms);
		return;
	}
	loop_timer_init(&tick, tick_again);
	loop_timer_set(fx->loop, &tick, 5);
	do
		loop_turn(fx->loop);
	while (clock_ms() < until);
	loop_timer_cancel(fx->loop, &tick);
}

#endif
