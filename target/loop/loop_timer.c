// SPDX-License-Identifier: Apache-2.0
/*
 * loop_timer.c: a wheel of lists. Setting and cancelling cost a few instructions, a turn in which
 * nothing is due costs one comparison, and a timer far away is met once per round of the wheel
 * (4.3 seconds). A timer is never early.
 */
#include "target/loop/loop_engine.h"

#define TICK_NS (1ull << LOOP_TICK_SHIFT)

void loop_timers_init(struct loop_timers *t, uint64_t now_ns)
{
	for (unsigned i = 0; i < LOOP_TIMER_SLOTS; i++)
		list_init(&t->slot[i]);
	t->tick = now_ns >> LOOP_TICK_SHIFT;
	t->next = UINT64_MAX;
	t->count = 0;
}

void loop_timer_init(struct loop_timer *timer, void (*run)(struct loop_timer *timer))
{
	list_init(&timer->node);
	timer->due_ns = 0;
	timer->run = run;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timers *t = &loop->timers;

	if (!timer->due_ns)
		return;
	timer->due_ns = 0;
	list_del(&timer->node);
	if (--t->count == 0)
		t->next = UINT64_MAX;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms)
{
	struct loop_timers *t = &loop->timers;
	uint64_t tick;

	loop_timer_cancel(loop, timer);
	if (!loop->started)
		loop->now_ns = loop->ops->clock_ns(loop);
	tick = (loop->now_ns + ms * 1000000ull + TICK_NS - 1) >> LOOP_TICK_SHIFT;
	if (tick <= t->tick)
		tick = t->tick + 1;
	timer->due_ns = tick << LOOP_TICK_SHIFT;
	list_push(&t->slot[tick % LOOP_TIMER_SLOTS], &timer->node);
	t->count++;
	if (tick < t->next)
		t->next = tick;
}

/* Looks at each slot once, in the order of time, and stops at a timer of this round. */
static uint64_t timers_next(const struct loop_timers *t)
{
	uint64_t best = UINT64_MAX;

	if (!t->count)
		return best;
	for (uint64_t tick = t->tick + 1; tick <= t->tick + LOOP_TIMER_SLOTS; tick++) {
		const struct list *head = &t->slot[tick % LOOP_TIMER_SLOTS];

		for (struct list *it = head->next; it != head; it = it->next) {
			uint64_t due = container_of(it, struct loop_timer, node)->due_ns >>
				       LOOP_TICK_SHIFT;

			if (due < best)
				best = due;
		}
		if (best <= tick)
			break;
	}
	return best;
}

/* The timers of one slot that are due at `tick`; the others stay. */
static void timers_run_slot(struct loop_timers *t, struct list *head, uint64_t tick)
{
	struct list due, *it;

	list_init(&due);
	list_for_each_safe (at, head) {
		if (container_of(at, struct loop_timer, node)->due_ns >> LOOP_TICK_SHIFT > tick)
			continue;
		list_del(at);
		list_push(&due, at);
	}
	while ((it = list_pop(&due))) {
		struct loop_timer *timer = container_of(it, struct loop_timer, node);

		timer->due_ns = 0;
		t->count--;
		timer->run(timer);
	}
}

void loop_timers_run(struct loop *loop)
{
	struct loop_timers *t = &loop->timers;
	uint64_t now = loop->now_ns >> LOOP_TICK_SHIFT, first = t->tick + 1;

	if (now < t->next)
		return;
	if (now - t->tick > LOOP_TIMER_SLOTS)
		first = now - LOOP_TIMER_SLOTS + 1;
	t->tick = now; /* what callbacks set is later than this */
	for (uint64_t tick = first; tick <= now; tick++)
		timers_run_slot(t, &t->slot[tick % LOOP_TIMER_SLOTS], now);
	t->next = timers_next(t);
}
