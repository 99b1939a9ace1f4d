// SPDX-License-Identifier: Apache-2.0
/*
 * pool_dm.c: status and events by libdevmapper. The library keeps its descriptor in a static
 * variable, so tasks take turns; the wait, which may be long, is outside of that.
 */
#include "volume/pool_dm.h"

#include "common/own.h"
#include "kura_config.h"
#include "volume/volume.h"

#include <errno.h>
#include <string.h>

#ifdef HAVE_DEVMAPPER
#include <libdevmapper.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#define META_BLOCK 4096 /* dm-thin's metadata is counted in these */

static pthread_mutex_t dm_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t dm_once = PTHREAD_ONCE_INIT;

/* What goes wrong comes back as an errno; the library would write it to standard error. */
static void dm_quiet(int level, const char *file, int line, int err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static void dm_quiet(int level, const char *file, int line, int err, const char *fmt, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)err;
	(void)fmt;
}

static void dm_setup(void)
{
	dm_log_with_errno_init(dm_quiet);
}

static struct dm_task *task_new(int type, const char *name)
{
	struct dm_task *task = dm_task_create(type);

	if (task && dm_task_set_name(task, name))
		return task;
	if (task)
		dm_task_destroy(task);
	return NULL;
}

/* Runs a question and gives the one target's type and parameters, borrowed from the task. */
static int task_ask(struct dm_task *task, struct dm_info *info, const char *kind, char **params)
{
	uint64_t start, length;
	char *type = NULL;

	if (!dm_task_run(task))
		return dm_task_get_errno(task) ? -dm_task_get_errno(task) : -EIO;
	if (!dm_task_get_info(task, info) || !info->exists)
		return -ENXIO;
	dm_get_next_target(task, NULL, &start, &length, &type, params);
	return type && *params && !strcmp(type, kind) ? 0 : -ENXIO;
}

static int chunk_size(const char *name, uint64_t *bytes)
{
	struct dm_task *task = task_new(DM_DEVICE_TABLE, name);
	unsigned long long sectors = 0;
	struct dm_info info;
	char *params = NULL;
	int err = task ? task_ask(task, &info, "thin-pool", &params) : -EIO;

	/* metadata device, data device, sectors of a chunk, low-water mark, ... */
	if (!err && sscanf(params, "%*s %*s %llu", &sectors) != 1)
		err = -EPROTO;
	*bytes = sectors * 512;
	if (task)
		dm_task_destroy(task);
	return err;
}

static void thin_fill(
	struct pool_dm_thin *thin, const struct dm_status_thin_pool *s, uint64_t chunk)
{
	thin->size = s->total_data_blocks * chunk;
	thin->free = (s->total_data_blocks - s->used_data_blocks) * chunk;
	thin->meta_size = s->total_metadata_blocks * META_BLOCK;
	thin->meta_free = (s->total_metadata_blocks - s->used_metadata_blocks) * META_BLOCK;
	thin->full = s->out_of_data_space;
	thin->failed = s->fail || s->needs_check;
	thin->readonly = s->read_only;
}

static int thin_status(const char *name, uint64_t chunk, struct pool_dm_thin *thin)
{
	struct dm_task *task = task_new(DM_DEVICE_STATUS, name);
	struct dm_pool *mem = dm_pool_create("kura", 256);
	struct dm_status_thin_pool *status = NULL;
	struct dm_info info = { 0 };
	char *params = NULL;
	int err = task && mem ? 0 : -ENOMEM;

	if (!err)
		(void)dm_task_no_flush(task); /* not to wait for what cannot be written */
	if (!err)
		err = task_ask(task, &info, "thin-pool", &params);
	if (!err && !dm_get_status_thin_pool(mem, params, &status))
		err = -EPROTO;
	if (!err)
		thin_fill(thin, status, chunk);
	thin->event = info.event_nr;
	if (mem)
		dm_pool_destroy(mem);
	if (task)
		dm_task_destroy(task);
	return err;
}

int pool_dm_thin(const char *name, struct pool_dm_thin *thin)
{
	uint64_t chunk = 0;
	int err;

	pthread_once(&dm_once, dm_setup);
	*thin = (struct pool_dm_thin){ 0 };
	pthread_mutex_lock(&dm_lock);
	err = chunk_size(name, &chunk);
	if (!err)
		err = thin_status(name, chunk, thin);
	pthread_mutex_unlock(&dm_lock);
	return err;
}

int pool_dm_wait(const char *name, uint32_t event)
{
	struct dm_task *task;
	int err = 0;

	pthread_once(&dm_once, dm_setup);
	pthread_mutex_lock(&dm_lock);
	task = task_new(DM_DEVICE_WAITEVENT, name);
	if (!task || !dm_task_set_event_nr(task, event))
		err = -ENOMEM;
	pthread_mutex_unlock(&dm_lock);
	if (!err && !dm_task_run(task))
		err = dm_task_get_errno(task) ? -dm_task_get_errno(task) : -EIO;
	if (task)
		dm_task_destroy(task);
	return err;
}

/* ---- thin volumes ---- */

/* As task_new and task_ask, of a device by its number; the parameters are copied. */
static int number_ask(int type, uint64_t device, const char *kind, char *to, size_t len)
{
	struct dm_task *task = dm_task_create(type);
	struct dm_info info;
	char *params = NULL;
	int err = -ENOMEM;

	if (task && dm_task_set_major(task, (int)major(device)) &&
		dm_task_set_minor(task, (int)minor(device)) && dm_task_no_flush(task))
		err = task_ask(task, &info, kind, &params);
	if (!err)
		snprintf(to, len, "%s", params);
	if (task)
		dm_task_destroy(task);
	return err;
}

/* Locked. */
static int space_ask(uint64_t device, struct vol_space *space)
{
	unsigned long long sectors, used, all, chunk, meta_used, meta_all, transaction;
	unsigned pool_major, pool_minor;
	char text[256];
	uint64_t pool;
	int err = number_ask(DM_DEVICE_TABLE, device, "thin", text, sizeof text);

	if (err == -ENXIO)
		return -ENOTSUP;
	if (!err && sscanf(text, "%u:%u", &pool_major, &pool_minor) != 2)
		return -EPROTO;
	if (!err)
		err = number_ask(DM_DEVICE_STATUS, device, "thin", text, sizeof text);
	if (!err && sscanf(text, "%llu", &sectors) != 1) /* "Fail": the pool has */
		return -EIO;
	pool = makedev(pool_major, pool_minor);
	if (!err)
		err = number_ask(DM_DEVICE_STATUS, pool, "thin-pool", text, sizeof text);
	if (!err && sscanf(text, "%llu %llu/%llu %llu/%llu", &transaction, &meta_used, &meta_all,
			    &used, &all) != 5)
		return -EIO;
	if (!err)
		err = number_ask(DM_DEVICE_TABLE, pool, "thin-pool", text, sizeof text);
	if (!err && sscanf(text, "%*s %*s %llu", &chunk) != 1)
		return -EPROTO;
	if (err)
		return err;
	*space = (struct vol_space){ sectors * 512, (all - used) * chunk * 512, true };
	return 0;
}

int pool_dm_space(uint64_t device, struct vol_space *space)
{
	int err;

	pthread_once(&dm_once, dm_setup);
	pthread_mutex_lock(&dm_lock);
	err = space_ask(device, space);
	pthread_mutex_unlock(&dm_lock);
	return err;
}

/* LVM puts the pool below a layer of its own as soon as it has volumes. */
char *pool_dm_name(const char *vg, const char *lv)
{
	static const char *const layers[] = { "tpool", NULL };
	struct dm_pool *mem = dm_pool_create("kura", 256);
	struct pool_dm_thin thin;
	char *found = NULL;

	for (unsigned i = 0; mem && i < own_array_len(layers) && !found; i++) {
		const char *name = dm_build_dm_name(mem, vg, lv, layers[i]);

		if (name && pool_dm_thin(name, &thin) == 0)
			found = own_strdup(name);
	}
	if (mem)
		dm_pool_destroy(mem);
	return found;
}

#else

char *pool_dm_name(const char *vg, const char *lv)
{
	(void)vg;
	(void)lv;
	return NULL;
}

int pool_dm_thin(const char *name, struct pool_dm_thin *thin)
{
	(void)name;
	*thin = (struct pool_dm_thin){ 0 };
	return -ENOTSUP;
}

int pool_dm_wait(const char *name, uint32_t event)
{
	(void)name;
	(void)event;
	return -ENOTSUP;
}

int pool_dm_space(uint64_t device, struct vol_space *space)
{
	(void)device;
	(void)space;
	return -ENOTSUP;
}

#endif
