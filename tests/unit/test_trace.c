/* SPDX-License-Identifier: Apache-2.0 */
/* test_trace.c: the rings of trace events: what is kept, in which order, and read while written. */
#include "common/own.h"
#include "common/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 200000u

static void test_without_a_ring_nothing_is_written(void **state)
{
	struct trace_seen seen[1];

	(void)state;
	trace_add(TRACE_logout, 1, 2);
	assert_int_equal(trace_see(seen, 1, 0), 0);
}

static void test_the_newest_are_kept_in_order(void **state)
{
	struct trace_seen seen[16];
	size_t n;

	(void)state;
	trace_join(3);
	for (unsigned i = 0; i < 2 * TRACE_EVENTS; i++)
		trace_add(TRACE_rejected, i, i + 1);
	trace_task(TRACE_task_begin, 1, 1); /* nobody wants them */
	n = trace_see(seen, own_array_len(seen), 0);
	assert_int_equal(n, own_array_len(seen));
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(seen[i].event.kind, TRACE_rejected);
		assert_int_equal(seen[i].event.a, 2 * TRACE_EVENTS - n + i);
		assert_int_equal(seen[i].event.b, seen[i].event.a + 1);
		assert_int_equal(seen[i].loop, 3);
	}
	assert_int_equal(trace_see(seen, own_array_len(seen), seen[n - 1].event.ns), 0);
	trace_tasks(true);
	trace_task(TRACE_task_begin, 7, 8);
	trace_tasks(false);
	assert_int_equal(trace_see(seen, 1, 0), 1);
	assert_int_equal(seen[0].event.kind, TRACE_task_begin);
}

static void *write_many(void *arg)
{
	trace_join(*(unsigned *)arg);
	for (uint64_t i = 0; i < MANY; i++)
		trace_add(TRACE_rejected, i, ~i);
	return NULL;
}

static void test_nothing_is_seen_half_written(void **state)
{
	static struct trace_seen seen[2 * TRACE_EVENTS];
	unsigned loops[2] = { 11, 12 };
	pthread_t threads[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &loops[i]), 0);
	for (unsigned round = 0; round < 50; round++) {
		size_t n = trace_see(seen, own_array_len(seen), 0);

		for (size_t i = 0; i < n; i++) {
			assert_true(!i || seen[i - 1].event.ns <= seen[i].event.ns);
			if (seen[i].loop > 10)
				assert_true(seen[i].event.b == ~seen[i].event.a);
		}
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(trace_see(seen, 4, 0), 4);
}

static void test_every_row_has_its_names(void **state)
{
	(void)state;
	for (unsigned k = 0; k < TRACE_KINDS; k++) {
		assert_true(*trace_name((enum trace_kind)k));
		assert_non_null(trace_value_name((enum trace_kind)k, 0));
		assert_non_null(trace_value_name((enum trace_kind)k, 1));
	}
	assert_string_equal(trace_name(TRACE_login_refused), "login_refused");
	assert_string_equal(trace_value_name(TRACE_login_refused, 1), "status");
}

/* Never ends, but for the end of the stack. */
static unsigned deeper(volatile unsigned *depth)
{
	volatile char room[4096];

	room[0] = (char)*depth;
	if (!++*depth)
		return 0;
	return deeper(depth) + (unsigned)room[0];
}

static void *thread_without_stack(void *arg)
{
	trace_join(7);
	trace_add(TRACE_rejected, 41, 42);
	*(unsigned *)arg += deeper(arg);
	return NULL;
}

static void crash_child(int out)
{
	const struct rlimit none = { 0 };
	unsigned depth = 1;
	pthread_t thread;

	setrlimit(RLIMIT_CORE, &none);
	dup2(out, STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	trace_on_crash();
	pthread_create(&thread, NULL, thread_without_stack, &depth);
	pthread_join(thread, NULL);
	_exit(0);
}

static void test_a_thread_without_stack_has_last_words(void **state)
{
	char got[16384];
	int ends[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid)
		crash_child(ends[1]);
	close(ends[1]);
	while ((n = read(ends[0], got + len, sizeof got - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(!WIFEXITED(status) || WEXITSTATUS(status));
	assert_non_null(strstr(got, "error kurad has crashed; its last events follow signal=11"));
	assert_non_null(strstr(got, "error trace: rejected loop=7 "));
	assert_non_null(strstr(got, " conn=41 reason=42\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_a_ring_nothing_is_written),
		cmocka_unit_test(test_the_newest_are_kept_in_order),
		cmocka_unit_test(test_nothing_is_seen_half_written),
		cmocka_unit_test(test_every_row_has_its_names),
		cmocka_unit_test(test_a_thread_without_stack_has_last_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
