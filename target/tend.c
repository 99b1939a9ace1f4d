/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and volumes of a running server, as verbs change them. */
#include "target/tend.h"

#include "common/log.h"
#include "common/own.h"
#include "config/object.h"
#include "target/apply_guts.h"
#include "target/errand.h"
#include "target/scsi/live.h"
#include "target/server_guts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TEND_PAUSE_MS 50
#define TEND_PAUSES   200

struct pool *server_pool(struct server *srv, const char *name)
{
	return pools_get(srv->storage.pools, name);
}

void server_pool_put(struct server *srv, struct pool *pool)
{
	pools_put(srv->storage.pools, pool);
}

int server_pool_open(struct server *srv, const struct cfg_pool *cfg, char *why)
{
	return pools_open(srv->storage.pools, cfg, why, SERVER_WHY_LEN);
}

void server_pool_drop(struct server *srv)
{
	const struct config *cfg = server_view(srv);

	pools_part(srv->storage.pools, cfg);
	server_view_end(srv);
	pools_close_parted(srv->storage.pools); /* nobody waits for that to look */
}

struct pools_level *server_pool_levels(struct server *srv, unsigned *count)
{
	return pools_levels(srv->storage.pools, count);
}

/* ---- room is short ---- */

struct tend_short {
	struct errand errand;
	struct server *srv;
	const char *pool;
};

static void short_run(struct errand *e)
{
	struct tend_short *s = container_of(e, struct tend_short, errand);

	list_for_each (it, &s->srv->storage.units) {
		struct storage_unit *unit = container_of(it, struct storage_unit, node);
		const char *pool = unit->volume->pool;

		if (pool && !strcmp(pool, s->pool))
			scsi_lun_short(unit->scsi, s->srv->loops[0], true);
	}
	errand_over(e);
}

/* Units neither come nor go meanwhile; a server that stops lets nobody have the lock. */
bool server_pool_short(void *arg, const char *pool)
{
	struct tend_short s = { .srv = arg, .pool = pool };

	if (pthread_mutex_trylock(&s.srv->applying))
		return false;
	errand_do(&s.errand, s.srv->loops[0], short_run);
	pthread_mutex_unlock(&s.srv->applying);
	return true;
}

const char *server_state_dir(const struct server *srv)
{
	return srv->storage.state_dir;
}

/* ---- changes ---- */

bool server_tend(struct server *srv)
{
	const struct timespec pause = { .tv_nsec = TEND_PAUSE_MS * 1000000 };

	for (int i = 0; i < TEND_PAUSES; i++) {
		if (!pthread_mutex_trylock(&srv->applying))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

void server_tend_end(struct server *srv)
{
	pthread_mutex_unlock(&srv->applying);
}

int server_resized(struct server *srv, const char *volume)
{
	struct storage_volume *v = storage_volume_find(&srv->storage, volume);
	int err = v ? vol_resize(v->vol, 0) : -ENOENT;

	return err ? err : storage_volume_resized(&srv->storage, v, vol_info(v->vol).size);
}

int server_put_aside(struct server *srv, const char *volume, char *why)
{
	struct storage_volume *v = storage_volume_find(&srv->storage, volume);

	return v ? storage_volume_close(&srv->storage, v, why) : 0;
}

int server_take_back(struct server *srv, const char *volume, char *why)
{
	const struct cfg_volume *cfg = cfg_volume_named(srv->cfg, volume);

	if (!cfg || storage_volume_open(&srv->storage, cfg, why))
		return 0;
	log_error("volume not opened again", "%s", why);
	return -EIO;
}
