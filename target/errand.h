/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand.h: something that is done on a loop while a thread that is none of the loops' waits for
 * it.
 */
#ifndef KURA_TARGET_ERRAND_H
#define KURA_TARGET_ERRAND_H

#include "target/loop/loop.h"

#include <pthread.h>

struct errand {
	void (*run)(struct errand *e); /* on the loop; errand_over then or later, on any thread */
	struct loop_post post;
	pthread_mutex_t lock; /* of `over` */
	pthread_cond_t told;
	bool over;
};

/* Sends it to `loop`, which runs; it is kept until it is over and waited for. Any thread. */
void errand_send(struct errand *e, struct loop *loop, void (*run)(struct errand *e));

/* It is over; from here on it is the waiting thread's. */
void errand_over(struct errand *e);

/* Waits for it, for at most `seconds`; whether it is over. Not on a loop's thread. */
bool errand_wait(struct errand *e, unsigned seconds);

/* Sends it and waits without end. Not on a loop's thread. */
void errand_do(struct errand *e, struct loop *loop, void (*run)(struct errand *e));

#endif
