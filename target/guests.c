/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each loop gets an errand of its own, all at once. One that is stuck keeps its errand, which frees
 * itself when it comes back: nobody waits for it any more.
 */
#include "target/guests.h"

#include "common/own.h"
#include "target/errand.h"
#include "target/server_guts.h"

#include <errno.h>
#include <stdlib.h>

#define ANSWER_SECONDS 2u  /* a loop that works answers in microseconds */
#define END_SECONDS    5u  /* for connections to be gone that were closed */
#define LOOK_MS        20u /* between looks */

struct visit {
	struct errand errand;
	unsigned keepers; /* the errand and who waits; atomic */
	struct iscsi_server *iscsi;
	struct loop *loop;
	bool look; /* or dismiss: */
	uint16_t tsih, seconds;
	enum iscsi_farewell farewell;
	struct list sessions; /* what was found */
	unsigned count;
};

static void visit_put(struct visit *v)
{
	if (__atomic_sub_fetch(&v->keepers, 1, __ATOMIC_ACQ_REL))
		return;
	guests_free(&v->sessions);
	free(v);
}

static void visit_run(struct errand *e)
{
	struct visit *v = container_of(e, struct visit, errand);

	if (v->look)
		iscsi_look(v->iscsi, v->loop, &v->sessions);
	else
		v->count = iscsi_dismiss(v->iscsi, v->loop, v->tsih, v->farewell, v->seconds);
	errand_over(e);
	visit_put(v);
}

/* Sends a copy of `like` to every loop and gathers what comes back. Returns as guests_look. */
static int visit_all(
	struct server *srv, const struct visit *like, struct list *into, unsigned *count)
{
	struct visit **visits own_free = own_calloc(srv->loop_count, sizeof(struct visit *));
	int silent = -1;

	for (unsigned i = 0; i < srv->loop_count; i++) {
		struct visit *v = visits[i] = own_calloc(1, sizeof *v);

		*v = *like;
		v->iscsi = srv->iscsi;
		v->loop = srv->loops[i];
		v->keepers = 2;
		list_init(&v->sessions);
		errand_send(&v->errand, v->loop, visit_run);
	}
	for (unsigned i = 0; i < srv->loop_count; i++) {
		struct visit *v = visits[i];

		if (!errand_wait(&v->errand, silent < 0 ? ANSWER_SECONDS : 0)) {
			silent = (int)i;
		} else {
			if (into)
				list_splice(into, &v->sessions);
			*count += v->count;
		}
		visit_put(v);
	}
	return silent;
}

int guests_look(struct server *srv, struct list *into)
{
	struct visit like = { .look = true };
	unsigned none = 0;

	return visit_all(srv, &like, into, &none);
}

void guests_free(struct list *sessions)
{
	struct list *node;

	while ((node = list_pop(sessions)))
		iscsi_session_look_free(container_of(node, struct iscsi_session_look, node));
}

int guests_dismiss(struct server *srv, uint16_t tsih, enum iscsi_farewell farewell,
	uint16_t seconds, unsigned *count)
{
	struct visit like = { .tsih = tsih, .farewell = farewell, .seconds = seconds };

	*count = 0;
	return visit_all(srv, &like, NULL, count);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Does it again and again until nobody is left. 0, -ETIMEDOUT or -ECANCELED. */
static int dismiss_until(struct server *srv, uint16_t tsih, enum iscsi_farewell farewell,
	unsigned seconds, struct guests_wait *wait)
{
	uint64_t end = now_ms() + seconds * 1000ull, now = end - seconds * 1000ull;
	unsigned count;

	while (now < end) {
		uint16_t left = (uint16_t)((end - now + 999) / 1000);

		if (guests_dismiss(srv, tsih, farewell, left, &count) >= 0)
			return -ETIMEDOUT;
		if (!count)
			return 0;
		if (!wait->pause(wait, LOOK_MS))
			return -ECANCELED;
		now = now_ms();
	}
	return -ETIMEDOUT;
}

int guests_see_out(
	struct server *srv, uint16_t tsih, unsigned seconds, struct guests_wait *wait, bool *ended)
{
	int err = dismiss_until(srv, tsih, ISCSI_FAREWELL_ASK, seconds, wait);

	*ended = err == -ETIMEDOUT;
	return *ended ? dismiss_until(srv, tsih, ISCSI_FAREWELL_END, END_SECONDS, wait) : err;
}
