/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h: the heartbeat: the service manager hears of us only while every loop turns.
 *
 * Loop 0 posts to all loops and looks at half the manager's interval whether all of them have run
 * the post; a loop that is stuck keeps the message back, and the manager restarts us.
 */
#ifndef KURA_TARGET_WATCH_H
#define KURA_TARGET_WATCH_H

#include "target/loop/loop.h"

struct watch_beat {
	struct loop_post post;
	bool answered; /* the loop has run the post; atomic */
	bool told;     /* its silence is in the log */
};

struct watch {
	struct loop *const *loops; /* borrowed */
	unsigned loop_count;
	struct loop_timer timer;  /* of loop 0 */
	uint32_t ms;              /* between two looks */
	struct watch_beat *beats; /* one per loop */
	void (*alive)(void);      /* every loop answered since the last look */
};

/* Begins to call `alive` each `ms` milliseconds while all loops turn. Keeps `w` until watch_fini.
 * Before the loops run. */
void watch_start(
	struct watch *w, struct loop *const *loops, unsigned n, uint32_t ms, void (*alive)(void));

/* No more looks; on loop 0's thread. Harmless when it was never started. */
void watch_stop(struct watch *w);

/* Frees what it owns; the loops are over, or it was never started. */
void watch_fini(struct watch *w);

#endif
