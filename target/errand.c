/* SPDX-License-Identifier: Apache-2.0 */
#include "target/errand.h"

#include "common/deadline.h"

static void posted(struct loop_post *post)
{
	struct errand *e = container_of(post, struct errand, post);

	e->run(e);
}

void errand_send(struct errand *e, struct loop *loop, void (*run)(struct errand *e))
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->told, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&e->lock, NULL);
	e->over = false;
	e->run = run;
	e->post.run = posted;
	loop_post(loop, &e->post);
}

void errand_over(struct errand *e)
{
	pthread_mutex_lock(&e->lock);
	e->over = true;
	pthread_cond_signal(&e->told);
	pthread_mutex_unlock(&e->lock);
}

bool errand_wait(struct errand *e, unsigned seconds)
{
	struct timespec end = deadline_after(seconds * 1000);
	bool over;
	int err = 0;

	pthread_mutex_lock(&e->lock);
	while (!e->over && !err)
		err = pthread_cond_timedwait(&e->told, &e->lock, &end);
	over = e->over;
	pthread_mutex_unlock(&e->lock);
	if (over) {
		pthread_cond_destroy(&e->told);
		pthread_mutex_destroy(&e->lock);
	}
	return over;
}

void errand_do(struct errand *e, struct loop *loop, void (*run)(struct errand *e))
{
	errand_send(e, loop, run);
	while (!errand_wait(e, 3600))
		;
}
