// SPDX-License-Identifier: Apache-2.0
/*
 * test_pool_faults.c: every verb, ended at every step. A child process dies at a fault point (or
 * the step fails there); then the pool is opened again, and has to be what it was before the verb,
 * or what it is after it, with nothing besides.
 */
#include "tests/store/pool_rig.h"

#include "common/fault.h"
#include "common/own.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WHY rig->why, sizeof rig->why

struct verb {
	const char *name;
	uint32_t needs; /* enum pool_caps, all of them */
	bool steps;     /* of several, for a pool of LVM: not over with one of its commands */
	int (*run)(struct pool_rig *rig);
};

static int run_create(struct pool_rig *rig)
{
	struct pool_make make = { "new", 8 * MIB, true, NULL };

	return pool_create(rig->pool, &make, WHY);
}

static int run_create_thick(struct pool_rig *rig)
{
	struct pool_make make = { "new", 8 * MIB, false, NULL };

	return pool_create(rig->pool, &make, WHY);
}

static int run_grow(struct pool_rig *rig)
{
	return pool_grow(rig->pool, "vm", 16 * MIB, WHY);
}

static int run_grow_thick(struct pool_rig *rig)
{
	return pool_grow(rig->pool, "thick", 16 * MIB, WHY);
}

static int run_shrink(struct pool_rig *rig)
{
	return pool_shrink(rig->pool, "other", 5 * MIB, WHY);
}

static int run_rename(struct pool_rig *rig)
{
	return pool_rename(rig->pool, "vm", "called", WHY);
}

static int hold(void *arg)
{
	(void)arg;
	return 0;
}

static void let_go(void *arg)
{
	++*(int *)arg;
}

static int run_snapshot(struct pool_rig *rig)
{
	int resumed = 0;
	struct pool_hooks hooks = { hold, let_go, &resumed };
	int err = pool_snapshot(rig->pool, "vm", "snap2", &hooks, WHY);

	if (!(rig->caps & POOL_FENCES) && resumed != 1)
		fail_msg("writers were let go %d times", resumed);
	return err;
}

static int run_revert(struct pool_rig *rig)
{
	return pool_revert(rig->pool, "vm", "snap", WHY);
}

static int run_clone(struct pool_rig *rig)
{
	return pool_clone(rig->pool, "vm", "clone", NULL, WHY);
}

static int run_delete(struct pool_rig *rig)
{
	return pool_delete(rig->pool, "other", false, NULL, WHY);
}

static int run_wipe(struct pool_rig *rig)
{
	return pool_delete(rig->pool, "other", true, NULL, WHY);
}

static const struct verb verbs[] = {
	{ "create", POOL_CAN_MAKE | POOL_CAN_THIN, true, run_create },
	{ "create thick", POOL_CAN_MAKE | POOL_CAN_THICK, true, run_create_thick },
	{ "grow", POOL_CAN_GROW, false, run_grow },
	{ "grow thick", POOL_CAN_GROW | POOL_CAN_THICK, false, run_grow_thick },
	{ "shrink", POOL_CAN_SHRINK, false, run_shrink },
	{ "rename", POOL_CAN_MAKE, false, run_rename },
	{ "snapshot", POOL_CAN_SNAPSHOT, true, run_snapshot },
	{ "revert", POOL_CAN_SNAPSHOT, false, run_revert },
	{ "clone", POOL_CAN_MAKE, true, run_clone },
	{ "delete", POOL_CAN_MAKE, false, run_delete },
	{ "wipe", POOL_CAN_MAKE, true, run_wipe },
};

/* ---- what there is before each verb ---- */

struct scene {
	struct pool_volume *was; /* owned */
	size_t count;
	char *before, *after; /* owned */
};

static void scene_make(struct pool_rig *rig, struct scene *s)
{
	struct pool_make thick = { "thick", 8 * MIB, false, NULL };

	pool_rig_clear(rig);
	pool_rig_make(rig, "vm", 1);
	pool_rig_make(rig, "other", 3);
	if (rig->caps & POOL_CAN_THICK)
		assert_int_equal(pool_create(rig->pool, &thick, WHY), 0);
	if ((rig->caps & POOL_CAN_THICK))
		pool_rig_write(rig, "thick", 4);
	if (rig->caps & POOL_CAN_SNAPSHOT) {
		if (pool_snapshot(rig->pool, "vm", "snap", NULL, WHY))
			fail_msg("%s", rig->why);
		pool_rig_write(rig, "vm", 2);
	}
	free(s->was);
	free(s->before);
	assert_int_equal(pool_list(rig->pool, &s->was, &s->count, WHY), 0);
	s->before = pool_rig_describe(rig, s->was, s->count);
}

static void scene_free(struct scene *s)
{
	free(s->was);
	free(s->before);
	free(s->after);
}

/* ---- ending it ---- */

/* The verb in a process of its own; its wait status. */
static int child_run(struct pool_rig *rig, const struct verb *verb, const char *fault)
{
	int status;
	pid_t pid;

	pool_rig_close(rig); /* the lock is the child's */
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		rig->pool = pool_open(&rig->conf, WHY);
		fault_arm(fault);
		_exit(!rig->pool || verb->run(rig) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pool_rig_open(rig);
	return status;
}

/* Wiping goes on behind the back of pool_open. */
static unsigned remains_at_last(struct pool_rig *rig)
{
	unsigned n = pool_rig_remains(rig);

	for (unsigned i = 0; i < 600 && n; i++) {
		usleep(50000);
		n = pool_rig_remains(rig);
	}
	return n;
}

static void check(
	struct pool_rig *rig, const struct scene *s, const struct verb *verb, const char *fault)
{
	own_free char *now = NULL;

	if (remains_at_last(rig))
		fail_msg("%s, %s: something half made or half deleted is left", verb->name, fault);
	now = pool_rig_describe(rig, s->was, s->count);
	if (strcmp(now, s->before) != 0 && strcmp(now, s->after) != 0)
		fail_msg("%s, %s:\n%sis neither before:\n%snor after:\n%s", verb->name, fault, now,
			s->before, s->after);
}

/* Whether a process that dies there leaves something to do. KURA_POOL_BRIEF asks for these only:
 * each LVM command takes its time. */
static bool between_steps(enum fault_id id)
{
	return id == FAULT_pool_made || id == FAULT_pool_copied || id == FAULT_pool_unlisted ||
	       id == FAULT_pool_wiped;
}

static bool is_before(struct pool_rig *rig, const struct scene *s)
{
	own_free char *now = pool_rig_describe(rig, s->was, s->count);

	return !strcmp(now, s->before);
}

static void one_death(
	struct pool_rig *rig, const struct verb *verb, enum fault_id id, struct scene *s)
{
	int status = child_run(rig, verb, fault_name(id));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("%s: did not die at %s", verb->name, fault_name(id));
	check(rig, s, verb, fault_name(id));
}

/* What failed has been undone by the verb itself. */
static void one_failure(
	struct pool_rig *rig, const struct verb *verb, enum fault_id id, struct scene *s)
{
	own_free char *fails = own_printf("%s=fail", fault_name(id));
	int err;

	assert_int_equal(fault_arm(fails), 0);
	err = verb->run(rig);
	fault_arm(NULL);
	check(rig, s, verb, fails);
	if (err && !is_before(rig, s))
		fail_msg("%s, %s: not undone", verb->name, fails);
}

static void one_fault(
	struct pool_rig *rig, const struct verb *verb, enum fault_id id, struct scene *s)
{
	scene_make(rig, s);
	one_death(rig, verb, id, s);
	if (!is_before(rig, s))
		scene_make(rig, s);
	one_failure(rig, verb, id, s);
}

static void verb_test(struct pool_rig *rig, const struct verb *verb)
{
	unsigned visits[FAULT_COUNT];
	struct scene s = { 0 };

	if ((rig->caps & verb->needs) != verb->needs || (getenv("KURA_POOL_BRIEF") && !verb->steps))
		skip();
	scene_make(rig, &s);
	fault_arm(NULL);
	if (verb->run(rig))
		fail_msg("%s: %s", verb->name, rig->why);
	for (int i = 0; i < FAULT_COUNT; i++)
		visits[i] = fault_visits((enum fault_id)i);
	s.after = pool_rig_describe(rig, s.was, s.count);
	assert_string_not_equal(s.before, s.after);
	for (int i = 0; i < FAULT_COUNT; i++)
		if (visits[i] && (!getenv("KURA_POOL_BRIEF") || between_steps((enum fault_id)i)))
			one_fault(rig, verb, (enum fault_id)i, &s);
	scene_free(&s);
}

static struct pool_rig *group_rig;

static int setup(void **state)
{
	int err = pool_rig_setup(state);

	group_rig = *state;
	*state = NULL; /* or no test gets the verb that it is about */
	return err;
}

static int teardown(void **state)
{
	*state = group_rig;
	return pool_rig_teardown(state);
}

static void test_verb(void **state)
{
	verb_test(group_rig, *state);
}

int main(void)
{
	struct CMUnitTest tests[own_array_len(verbs)] = { 0 };

	for (unsigned i = 0; i < own_array_len(verbs); i++) {
		tests[i].name = verbs[i].name;
		tests[i].test_func = test_verb;
		tests[i].initial_state = (void *)&verbs[i];
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
