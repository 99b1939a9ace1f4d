/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline.h: a moment that lies ahead, as pthread's waits with an end take it.
 *
 * It is of CLOCK_MONOTONIC, which nobody sets; a condition variable has to be made for that clock.
 */
#ifndef KURA_COMMON_DEADLINE_H
#define KURA_COMMON_DEADLINE_H

#include <time.h>

/* The moment `ms` milliseconds from now. Any thread. */
static inline struct timespec deadline_after(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

#endif
