/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat: heard while every loop turns, silent while one does not, heard again afterwards.
 */
#include "target/watch.h"

#include "target/loop/loop_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned beats;

static void count(void)
{
	beats++;
}

/* Lets time pass on loop 0 until the next look; loop 1 turns only when it is not stuck. */
static void pass(struct loop **loops, bool stuck)
{
	int64_t ms;

	if (!stuck)
		sim_run(loops[1]);
	sim_run(loops[0]);
	ms = sim_next_timer_ms(loops[0]);
	sim_advance(loops[0], ms < 0 ? 1000 : (uint32_t)ms);
}

static void test_heartbeat(void **state)
{
	struct loop *loops[2] = { sim_loop_new(), sim_loop_new() };
	struct watch watch;

	(void)state;
	beats = 0;
	watch_start(&watch, loops, 2, 100, count);
	pass(loops, false);
	assert_int_equal(beats, 1);
	pass(loops, false);
	assert_int_equal(beats, 2);
	for (unsigned i = 0; i < 5; i++)
		pass(loops, true);
	assert_int_equal(beats, 2);
	pass(loops, false);
	assert_int_equal(beats, 3);
	watch_stop(&watch);
	sim_run(loops[1]);
	assert_int_equal(sim_next_timer_ms(loops[0]), -1);
	pass(loops, false);
	assert_int_equal(beats, 3);
	watch_fini(&watch);
	loop_free(loops[0]);
	loop_free(loops[1]);
}

static void test_never_started(void **state)
{
	struct watch watch = { 0 };

	(void)state;
	watch_stop(&watch);
	watch_fini(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heartbeat),
		cmocka_unit_test(test_never_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
