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
	int (*run)(struct pool_rig *rig);
	unsigned there; /* enum there: what it works on; a pool of LVM has no more than that */
};

enum there { VM = 1, OTHER = 2, THICK = 4, SNAP = 8, FOREIGN = 16 };

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
	return pool_shrink(rig->pool, "other", (rig->conf.vg ? 4 : 5) * MIB, WHY); /* an extent */
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

static int run_adopt(struct pool_rig *rig)
{
	return pool_adopt(rig->pool, "found", WHY);
}

static const struct verb verbs[] = {
	{ "create", POOL_CAN_MAKE | POOL_CAN_THIN, run_create, VM },
	{ "create thick", POOL_CAN_MAKE | POOL_CAN_THICK, run_create_thick, VM },
	{ "grow", POOL_CAN_GROW, run_grow, VM },
	{ "grow thick", POOL_CAN_GROW | POOL_CAN_THICK, run_grow_thick, THICK },
	{ "shrink", POOL_CAN_SHRINK, run_shrink, OTHER },
	{ "rename", POOL_CAN_MAKE, run_rename, VM },
	{ "snapshot", POOL_CAN_SNAPSHOT, run_snapshot, VM },
	{ "revert", POOL_CAN_SNAPSHOT, run_revert, VM | SNAP },
	{ "clone", POOL_CAN_MAKE, run_clone, VM | SNAP },
	{ "delete", POOL_CAN_MAKE, run_delete, OTHER },
	{ "wipe", POOL_CAN_MAKE, run_wipe, OTHER },
	{ "adopt", POOL_CAN_MAKE, run_adopt, FOREIGN },
};

/* ---- what there is before each verb ---- */

struct scene {
	struct pool_volume *was; /* owned */
	size_t count;
	char *before, *after; /* owned */
};

static void scene_make(struct pool_rig *rig, const struct verb *verb, struct scene *s)
{
	struct pool_make thick = { "thick", 8 * MIB, false, NULL };
	/* Directories cost nothing: neighbours that nothing may happen to are there too. */
	unsigned there = verb->there | (rig->conf.vg ? 0 : VM | OTHER | THICK | SNAP);

	pool_rig_clear(rig);
	if (there & FOREIGN)
		pool_rig_foreign(rig, "found");
	if (there & VM)
		pool_rig_make(rig, "vm", 1);
	if (there & OTHER)
		pool_rig_make(rig, "other", 3);
	if ((there & THICK) && (rig->caps & POOL_CAN_THICK)) {
		assert_int_equal(pool_create(rig->pool, &thick, WHY), 0);
		pool_rig_write(rig, "thick", 4);
	}
	if ((there & SNAP) && (rig->caps & POOL_CAN_SNAPSHOT)) {
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

	if (!rig->conf.vg)
		pool_rig_close(rig); /* the lock is the child's */
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!rig->pool)
			rig->pool = pool_open(&rig->conf, WHY);
		fault_arm(fault);
		_exit(!rig->pool || verb->run(rig) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pool_rig_close(rig);
	pool_rig_open(rig);
	return status;
}

/* Wiping goes on behind the back of pool_open. `foreign`: what is not the pool's. */
static unsigned remains_at_last(struct pool_rig *rig, unsigned foreign)
{
	unsigned n = pool_rig_remains(rig) - foreign;

	for (unsigned i = 0; i < 600 && n; i++) {
		usleep(50000);
		n = pool_rig_remains(rig) - foreign;
	}
	return n;
}

static bool is_before(struct pool_rig *rig, const struct scene *s)
{
	own_free char *now = pool_rig_describe(rig, s->was, s->count);

	return !strcmp(now, s->before);
}

/* It is what it was, or what it is to be; whether it is what it was. */
static bool check(
	struct pool_rig *rig, const struct scene *s, const struct verb *verb, const char *fault)
{
	own_free char *now = NULL;
	bool foreign = (verb->there & FOREIGN) && is_before(rig, s);

	if (remains_at_last(rig, foreign))
		fail_msg("%s, %s: something half made or half deleted is left", verb->name, fault);
	now = pool_rig_describe(rig, s->was, s->count);
	if (!strcmp(now, s->before))
		return true;
	if (strcmp(now, s->after) != 0)
		fail_msg("%s, %s:\n%sis neither before:\n%snor after:\n%s", verb->name, fault, now,
			s->before, s->after);
	return false;
}

/* Whether a verb looks at what a fault point says. Where it is over, it only may die there; then
 * KURA_POOL_BRIEF spares LVM's commands of a failure that nobody sees. */
static bool may_fail(enum fault_id id)
{
	return !getenv("KURA_POOL_BRIEF") || id == FAULT_pool_made || id == FAULT_pool_copied ||
	       id == FAULT_pool_quiesced;
}

static bool one_death(
	struct pool_rig *rig, const struct verb *verb, enum fault_id id, const struct scene *s)
{
	int status = child_run(rig, verb, fault_name(id));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("%s: did not die at %s", verb->name, fault_name(id));
	return check(rig, s, verb, fault_name(id));
}

/* What failed has been undone by the verb itself. */
static bool one_failure(
	struct pool_rig *rig, const struct verb *verb, enum fault_id id, const struct scene *s)
{
	own_free char *fails = own_printf("%s=fail", fault_name(id));
	bool before;
	int err;

	assert_int_equal(fault_arm(fails), 0);
	err = verb->run(rig);
	fault_arm(NULL);
	before = check(rig, s, verb, fails);
	if (err && !before)
		fail_msg("%s, %s: not undone", verb->name, fails);
	return before;
}

/* `before`: the scene stands. Returns whether it stands still. */
static bool one_fault(struct pool_rig *rig, const struct verb *verb, enum fault_id id,
	struct scene *s, bool before)
{
	if (!before)
		scene_make(rig, verb, s);
	before = one_death(rig, verb, id, s);
	if (!may_fail(id))
		return before;
	if (!before)
		scene_make(rig, verb, s);
	return one_failure(rig, verb, id, s);
}

static void verb_test(struct pool_rig *rig, const struct verb *verb)
{
	unsigned visits[FAULT_COUNT];
	struct scene s = { 0 };
	bool before = false;

	if ((rig->caps & verb->needs) != verb->needs)
		skip();
	scene_make(rig, verb, &s);
	fault_arm(NULL);
	if (verb->run(rig))
		fail_msg("%s: %s", verb->name, rig->why);
	for (int i = 0; i < FAULT_COUNT; i++)
		visits[i] = fault_visits((enum fault_id)i);
	s.after = pool_rig_describe(rig, s.was, s.count);
	assert_string_not_equal(s.before, s.after);
	for (int i = 0; i < FAULT_COUNT; i++)
		if (visits[i])
			before = one_fault(rig, verb, (enum fault_id)i, &s, before);
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
