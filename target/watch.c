/* SPDX-License-Identifier: Apache-2.0 */
/* One post per loop and one timer: nothing here runs unless a watchdog was asked for. */
#include "target/watch.h"

#include "common/log.h"
#include "common/own.h"

static void beat_run(struct loop_post *post)
{
	struct watch_beat *beat = container_of(post, struct watch_beat, post);

	__atomic_store_n(&beat->answered, true, __ATOMIC_RELEASE);
}

static void ask(struct watch *w, unsigned i)
{
	w->beats[i].answered = false;
	w->beats[i].told = false;
	w->beats[i].post.run = beat_run;
	loop_post(w->loops[i], &w->beats[i].post);
}

/* Whether the loop answered; the first time that it did not is a line in the log. */
static bool answered(struct watch *w, unsigned i)
{
	struct watch_beat *beat = &w->beats[i];

	if (__atomic_load_n(&beat->answered, __ATOMIC_ACQUIRE))
		return true;
	if (!beat->told)
		log_warn("watch: a loop does not turn", "loop=%u ms=%u", i, w->ms);
	beat->told = true;
	return false;
}

static void look(struct loop_timer *timer)
{
	struct watch *w = container_of(timer, struct watch, timer);
	bool all = true;

	for (unsigned i = 0; i < w->loop_count; i++) {
		if (answered(w, i))
			ask(w, i);
		else
			all = false;
	}
	if (all)
		w->alive();
	loop_timer_set(w->loops[0], timer, w->ms);
}

void watch_start(
	struct watch *w, struct loop *const *loops, unsigned n, uint32_t ms, void (*alive)(void))
{
	*w = (struct watch){ .loops = loops, .loop_count = n, .ms = ms, .alive = alive };
	w->beats = own_calloc(n, sizeof *w->beats);
	for (unsigned i = 0; i < n; i++)
		ask(w, i);
	loop_timer_init(&w->timer, look);
	loop_timer_set(loops[0], &w->timer, ms);
}

void watch_stop(struct watch *w)
{
	if (w->loop_count)
		loop_timer_cancel(w->loops[0], &w->timer);
}

void watch_fini(struct watch *w)
{
	free(w->beats);
	*w = (struct watch){ 0 };
}
