// SPDX-License-Identifier: Apache-2.0
/*
 * window.c: how many commands a session is told that it may send (RFC 7143 4.2.2.1).
 *
 * As long as at least half of the loop's data buffers and tasks are free a session has its whole
 * depth. Below that its share shrinks with what is left, down to one command at a time: so a window
 * that is closed always has a command under way, whose answer opens it, and nobody waits for
 * others. MaxCmdSN never goes back; what was told holds.
 *
 * When there is enough again, sessions that were told less get the rest with whatever they are sent
 * next; those that are sent nothing for a moment get a NOP-In of their own.
 */
#include "target/iscsi/session.h"

#include "common/stat.h"

#define WINDOW_PARTS    8u  /* of the half in which sessions shrink */
#define WINDOW_GRACE_MS 10u /* in which an answer may tell what a NOP-In would */

/* Parts of the second half that are free: WINDOW_PARTS and more is enough. */
static uint64_t parts(uint64_t used, uint64_t most)
{
	return used * 2 <= most ? WINDOW_PARTS : (most - used) * 2 * WINDOW_PARTS / most;
}

static uint32_t window_parts(const struct iscsi_loop *home)
{
	uint64_t memory = parts(loop_data_out(home->loop), loop_data_most(home->loop));
	uint64_t tasks = parts(home->task_used, home->task_most);

	return (uint32_t)(memory < tasks ? memory : tasks);
}

/* MaxCmdSN when so many commands may be open at once. */
static uint32_t window_end(const struct session *s, uint32_t depth)
{
	return s->exp_cmd_sn - 1 + (s->open_tasks < depth ? depth - s->open_tasks : 0);
}

/* Somebody has to be told less, or was. */
static uint32_t window_tell_less(struct session *s)
{
	struct iscsi_loop *home = s->home;
	uint32_t left = s->target ? window_parts(home) : WINDOW_PARTS;
	uint32_t depth = left < WINDOW_PARTS ? s->depth * left / WINDOW_PARTS : s->depth;
	uint32_t end = window_end(s, depth ? depth : 1);

	if ((int32_t)(end - s->max_cmd_sn) > 0)
		s->max_cmd_sn = end;
	if ((int32_t)(window_end(s, s->depth) - s->max_cmd_sn) <= 0) {
		list_del(&s->narrow);
	} else if (list_empty(&s->narrow)) {
		stat_add(STAT_iscsi_limit_window, 1);
		list_push(&home->narrow, &s->narrow);
		loop_data_relief(home->loop, &home->relief);
	}
	return s->max_cmd_sn;
}

/* window_parts without its divisions. */
static bool window_wide(const struct iscsi_loop *home)
{
	return loop_data_out(home->loop) * 2 <= loop_data_most(home->loop) &&
	       (uint64_t)home->task_used * 2 <= home->task_most;
}

uint32_t window_tell(struct session *s)
{
	uint32_t end;

	if (__builtin_expect(!list_empty(&s->narrow) || !window_wide(s->home), 0))
		return window_tell_less(s);
	end = window_end(s, s->depth);
	if ((int32_t)(end - s->max_cmd_sn) > 0)
		s->max_cmd_sn = end;
	return s->max_cmd_sn;
}

void window_relief(struct iscsi_loop *home)
{
	if (!list_empty(&home->narrow) && !home->relief_timer.due_ns)
		loop_timer_set(home->loop, &home->relief_timer, WINDOW_GRACE_MS);
}

static void relief_run(struct loop_hook *hook)
{
	window_relief(container_of(hook, struct iscsi_loop, relief));
}

static void relief_over(struct loop_timer *timer)
{
	struct iscsi_loop *home = container_of(timer, struct iscsi_loop, relief_timer);

	if (window_parts(home) < WINDOW_PARTS) {
		loop_data_relief(home->loop, &home->relief);
		return;
	}
	list_for_each_safe (node, &home->narrow) {
		struct session *s = container_of(node, struct session, narrow);
		struct conn *c;

		list_del(node);
		if ((c = member_any(s)))
			nop_tell(c);
	}
}

void window_init(struct iscsi_loop *home)
{
	list_init(&home->narrow);
	loop_hook_init(&home->relief, relief_run);
	loop_timer_init(&home->relief_timer, relief_over);
}
