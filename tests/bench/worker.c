/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c: one thread, which waits for any of its lanes and lets that one receive and send. */
#include "tests/bench/load.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static bool worker_busy(const struct worker *w)
{
	if (atomic_load_explicit(&w->load->failed, memory_order_relaxed))
		return false;
	for (unsigned int i = 0; i < w->nlanes; i++) {
		const struct lane *l = &w->lanes[i];

		if (l->s.nfree < l->s.ntasks || lane_more(l))
			return true;
	}
	return false;
}

/* Waits until a lane has something, at most a second. A single lane with nothing to send waits in
 * its recv instead. */
static bool worker_wait(struct worker *w)
{
	for (unsigned int i = 0; i < w->nlanes; i++) {
		w->poll[i].fd = w->lanes[i].s.fd;
		w->poll[i].events = POLLIN;
		if (w->lanes[i].s.tx.blocked)
			w->poll[i].events |= POLLOUT;
	}
	if (w->load->o->spin)
		return poll(w->poll, w->nlanes, 0), true;
	if (w->nlanes == 1 && w->poll[0].events == POLLIN) {
		w->poll[0].revents = POLLIN;
		return false;
	}
	poll(w->poll, w->nlanes, 1000);
	return true;
}

/* Returns 0, -EAGAIN when nothing came, or a negative errno. */
static int worker_turn(struct worker *w)
{
	int flags = worker_wait(w) ? MSG_DONTWAIT : 0;
	int result = -EAGAIN;

	for (unsigned int i = 0; i < w->nlanes; i++) {
		struct lane *l = &w->lanes[i];
		int err = 0;

		if (!w->poll[i].revents)
			continue;
		if (w->poll[i].revents & ~POLLOUT)
			err = sess_receive(&l->s, flags);
		if (err && err != -EAGAIN)
			return err;
		result = err ? result : 0;
		err = l->s.why[0] ? -EPROTO : lane_top_up(l);
		if (err)
			return sess_fail(&l->s, "connection lost: %s", strerror(-err));
	}
	return result;
}

static int worker_phase(struct worker *w, enum phase phase)
{
	uint64_t patience_ns = (uint64_t)(w->load->o->patience * 1e9);
	uint64_t heard_ns = sess_now_ns();

	w->phase = phase;
	for (unsigned int i = 0; i < w->nlanes; i++) {
		lane_begin(&w->lanes[i]);
		if (lane_top_up(&w->lanes[i]))
			return sess_fail(&w->lanes[i].s, "connection lost");
	}
	while (worker_busy(w)) {
		int err = worker_turn(w);

		if (err && err != -EAGAIN)
			return err;
		if (!err)
			heard_ns = w->lanes[0].s.now_ns;
		else if (sess_now_ns() - heard_ns > patience_ns)
			return sess_fail(&w->lanes[0].s, "no answer from the target");
	}
	return 0;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (enum phase phase = PHASE_FILL; phase < PHASES; phase++) {
		if (!load_wants(w->load->o, phase))
			continue;
		pthread_barrier_wait(&w->load->gate);
		if (!atomic_load(&w->load->failed) && worker_phase(w, phase))
			atomic_store(&w->load->failed, true);
		pthread_barrier_wait(&w->load->gate);
	}
	return NULL;
}
