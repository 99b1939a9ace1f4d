// SPDX-License-Identifier: Apache-2.0
/*
 * pool_watch.c: a thread that waits for the events of a thin pool. A signal that does nothing ends
 * its wait when the watch ends; it is sent until the thread has seen it, because it may come just
 * before the wait begins.
 */
#include "common/log.h"
#include "common/own.h"
#include "volume/pool_dm.h"
#include "volume/pool_kind.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define WAKE       SIGURG /* ignored where nobody handles it */
#define GONE_TRIES 50u    /* this often it is looked for in short turns, before anything is said */

struct pool_watcher {
	struct pool *pool;
	char *device; /* of device-mapper, owned */
	void (*told)(void *arg, const struct pool_info *info);
	void *arg;
	pthread_t thread;
	bool stop, ended; /* atomic */
};

static void wake(int sig)
{
	(void)sig;
}

void pool_info_thin(
	const struct pool *pool, const struct pool_dm_thin *thin, struct pool_info *info)
{
	*info = (struct pool_info){
		.caps = pool->caps,
		.size = thin->size,
		.free = thin->free,
		.meta_size = thin->meta_size,
		.meta_free = thin->meta_free,
		.full = thin->full,
		.failed = thin->failed,
		.readonly = thin->readonly,
	};
}

static bool is_stopping(const struct pool_watcher *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_ACQUIRE);
}

/* The device goes for a moment and comes by another name when the pool gets its first volume, or
 * loses its last one; for longer when somebody deactivates it. */
static void watch_find(struct pool_watcher *w)
{
	const struct pool_conf *conf = &w->pool->conf;

	free(own_take(w->device));
	for (unsigned tries = 0; !w->device && !is_stopping(w); tries++) {
		w->device = pool_dm_name(conf->vg, conf->thin_pool);
		if (!w->device)
			usleep(tries < GONE_TRIES ? 100000 : 999999);
		if (!w->device && tries == GONE_TRIES)
			log_warn("pool: the thin pool is not active, and not watched until it is",
				"pool=%s thin_pool=%s/%s", conf->name, conf->vg, conf->thin_pool);
	}
}

static int watch_once(struct pool_watcher *w)
{
	struct pool_dm_thin thin;
	struct pool_info info;
	int err = pool_dm_thin(w->device, &thin);

	if (err)
		return err;
	pool_info_thin(w->pool, &thin, &info);
	w->told(w->arg, &info);
	return pool_dm_wait(w->device, thin.event);
}

static void *watch_run(void *arg)
{
	struct pool_watcher *w = arg;
	sigset_t only;

	sigemptyset(&only);
	sigaddset(&only, WAKE);
	pthread_sigmask(SIG_UNBLOCK, &only, NULL);
	while (!is_stopping(w)) {
		int err = watch_once(w);

		if (err && err != -EINTR)
			watch_find(w);
	}
	__atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static int watch_begin(struct pool *pool, struct pool_watcher *w, const struct pool_why *why)
{
	struct sigaction action = { .sa_handler = wake }; /* without SA_RESTART */
	struct pool_dm_thin thin;
	int err;

	w->device = pool_dm_name(pool->conf.vg, pool->conf.thin_pool);
	err = w->device ? pool_dm_thin(w->device, &thin) : -ENXIO;
	if (err)
		return pool_refuse(why, err,
			"pool %s: device-mapper does not tell of thin pool %s/%s: %s; see dmsetup "
			"status, and whether kurad was built with libdevmapper",
			pool->conf.name, pool->conf.vg, pool->conf.thin_pool, strerror(-err));
	sigaction(WAKE, &action, NULL);
	w->pool = pool;
	return -pthread_create(&w->thread, NULL, watch_run, w);
}

int pool_watch(struct pool *pool, void (*told)(void *arg, const struct pool_info *info), void *arg,
	char *text, size_t len)
{
	const struct pool_why why = { text, len };
	struct pool_watcher *w;
	int err;

	if (!pool->conf.thin_pool)
		return pool_refuse(&why, -ENOTSUP,
			"pool %s: a pool of kind \"%s\" is no thin pool, there is nothing to watch",
			pool->conf.name, pool->ops->kind);
	own_assert(!pool->watcher);
	w = own_calloc(1, sizeof *w);
	w->told = told;
	w->arg = arg;
	err = watch_begin(pool, w, &why);
	if (!err) {
		pool->watcher = w;
		return 0;
	}
	free(w->device);
	free(w);
	return err;
}

void pool_unwatch(struct pool *pool)
{
	struct pool_watcher *w = own_take(pool->watcher);

	if (!w)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&w->ended, __ATOMIC_ACQUIRE)) {
		pthread_kill(w->thread, WAKE);
		usleep(10000);
	}
	pthread_join(w->thread, NULL);
	free(w->device);
	free(w);
}
