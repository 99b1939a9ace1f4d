/* SPDX-License-Identifier: Apache-2.0 */
/* Logins are refused first, so that whoever is seen out cannot come back before all are gone. */
#include "target/rest.h"

#include "common/log.h"
#include "common/own.h"
#include "target/errand.h"
#include "target/notify.h"
#include "target/server_guts.h"

#include <errno.h>

#define LAST_LOOKS 250u /* for the commands of sessions that have gone: five seconds */
#define LOOK_MS    20u

enum rest_state rest_state(const struct server *srv)
{
	return (enum rest_state)__atomic_load_n(&srv->rest, __ATOMIC_ACQUIRE);
}

const char *rest_state_name(enum rest_state state)
{
	static const char *const names[] = { "serving", "draining", "drained" };

	return names[state];
}

void rest_notify(const struct server *srv)
{
	static const char *const texts[] = {
		"Serving",
		"Draining: no new logins",
		"Drained: no logins until kura resume",
	};

	notify_ready(texts[rest_state(srv)]);
}

static void set_state(struct server *srv, enum rest_state state)
{
	__atomic_store_n(&srv->rest, state, __ATOMIC_RELEASE);
	rest_notify(srv);
}

/* ---- flushing ---- */

struct flush {
	struct errand errand;
	struct server *srv;
	struct storage_flush flush;
};

static void flush_over(struct storage_flush *f)
{
	errand_over(&container_of(f, struct flush, flush)->errand);
}

static void flush_run(struct errand *e)
{
	struct flush *f = container_of(e, struct flush, errand);

	f->flush.done = flush_over;
	f->flush.units_go_on = true;
	storage_flush(&f->srv->storage, f->srv->loops[0], &f->flush);
}

/* Volumes neither come nor go meanwhile. */
static int flush(struct server *srv, unsigned *failed)
{
	struct flush *f;

	if (pthread_mutex_trylock(&srv->applying))
		return -EBUSY;
	f = own_calloc(1, sizeof *f);
	f->srv = srv;
	errand_do(&f->errand, srv->loops[0], flush_run);
	pthread_mutex_unlock(&srv->applying);
	*failed = f->flush.failed;
	free(f);
	return *failed ? -EIO : 0;
}

/* ---- all of it ---- */

static unsigned count_sessions(struct server *srv)
{
	struct list sessions;
	unsigned count = 0;

	list_init(&sessions);
	(void)guests_look(srv, &sessions);
	list_for_each (node, &sessions)
		count++;
	guests_free(&sessions);
	return count;
}

/* Pauses of one who would see everybody out; whoever ends the rest meanwhile ends that, too. */
struct rest_wait {
	struct guests_wait wait, *outer;
	const struct server *srv;
	unsigned ends; /* rest_ends when it began */
};

static bool rest_pause(struct guests_wait *wait, unsigned ms)
{
	struct rest_wait *w = container_of(wait, struct rest_wait, wait);

	return w->outer->pause(w->outer, ms) && w->srv->rest_ends == w->ends;
}

/* A session is over when its last command is. */
static int wait_for_commands(const struct server *srv, struct guests_wait *wait)
{
	for (unsigned i = 0; i < LAST_LOOKS && iscsi_server_sessions(srv->iscsi); i++) {
		if (!wait->pause(wait, LOOK_MS))
			return -ECANCELED;
	}
	return iscsi_server_sessions(srv->iscsi) ? -ETIMEDOUT : 0;
}

int rest_begin(
	struct server *srv, unsigned seconds, struct guests_wait *wait, struct rest_report *report)
{
	struct rest_wait w = {
		.wait.pause = rest_pause, .outer = wait, .srv = srv, .ends = srv->rest_ends
	};
	int err;

	*report = (struct rest_report){ 0 };
	if (rest_state(srv) == REST_SERVING)
		log_info("drain: nobody may log in until kura resume", "seconds=%u", seconds);
	iscsi_server_rest(srv->iscsi, true);
	set_state(srv, REST_DRAINING);
	report->sessions = count_sessions(srv);
	err = guests_see_out(srv, 0, seconds, &w.wait, &report->ended);
	report->ended = report->ended && report->sessions;
	if (!err)
		err = wait_for_commands(srv, &w.wait);
	if (!err)
		err = flush(srv, &report->failed);
	if (err)
		return err;
	set_state(srv, REST_DRAINED);
	log_info("drain: every session is over, every volume is flushed", "sessions=%u ended=%s",
		report->sessions, report->ended ? "yes" : "no");
	return 0;
}

void rest_end(struct server *srv)
{
	if (rest_state(srv) != REST_SERVING)
		log_info("resume: logins are taken again", NULL);
	srv->rest_ends++;
	set_state(srv, REST_SERVING);
	iscsi_server_rest(srv->iscsi, false);
}
