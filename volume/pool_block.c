// SPDX-License-Identifier: Apache-2.0
/*
 * pool_block.c: a whole disk or a partition as a pool of one volume, which is called as the pool
 * is. Nothing can be made here; a device that has grown is looked at again.
 */
#include "common/own.h"
#include "volume/pool_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int block_size(const struct pool *pool, uint64_t *size, const struct pool_why *why)
{
	const char *path = pool->conf.path;
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return pool_refuse(why, -errno,
			"pool %s: cannot open %s: %s; see that the device is there and that the "
			"user of kurad may open it",
			pool->conf.name, path, strerror(errno));
	if (!S_ISBLK(st.st_mode))
		return pool_refuse(why, -ENOTBLK,
			"pool %s: %s is no block device; a pool of kind \"block\" is a disk or a "
			"partition, files belong into one of kind \"dir\"",
			pool->conf.name, path);
	if (ioctl(fd, BLKGETSIZE64, size))
		return pool_refuse(why, -errno, "%s: the device does not tell its size: %s", path,
			strerror(errno));
	return 0;
}

static int block_open(struct pool *pool, const struct pool_why *why)
{
	uint64_t size;

	if (!pool->conf.path || !*pool->conf.path)
		return pool_refuse(why, -EINVAL,
			"pool %s: a pool of kind \"block\" needs the path of a device",
			pool->conf.name);
	return block_size(pool, &size, why);
}

static int block_info(struct pool *pool, struct pool_info *info, const struct pool_why *why)
{
	return block_size(pool, &info->size, why);
}

static int block_list(
	struct pool *pool, struct pool_listing *out, bool gone, const struct pool_why *why)
{
	own_free char *path = NULL;
	struct meta_record record;
	struct pool_volume *v;
	uint64_t size;
	int err = gone ? 0 : block_size(pool, &size, why);

	if (err || gone)
		return err;
	v = pool_listing_add(out);
	snprintf(v->name, sizeof v->name, "%s", pool->conf.name);
	v->size = v->allocated = size;
	if (pool->conf.state_dir)
		path = own_printf("%s/volumes/%s.kura", pool->conf.state_dir, pool->conf.name);
	if (path && meta_record_read(path, &record) == 0)
		pool_volume_recorded(v, &record);
	return 0;
}

static int block_resolve(
	struct pool *pool, const char *name, struct pool_place *place, const struct pool_why *why)
{
	if (strcmp(name, pool->conf.name) != 0)
		return pool_refuse(why, -ENOENT,
			"pool %s: a pool of kind \"block\" has one volume, which is called as the "
			"pool is, not \"%s\"",
			pool->conf.name, name);
	place->store = "block";
	place->keep_identity = true;
	snprintf(place->path, sizeof place->path, "%s", pool->conf.path);
	return 0;
}

static char *block_path(const struct pool *pool, const char *name, enum pool_state state)
{
	(void)name;
	(void)state;
	return own_strdup(pool->conf.path);
}

const struct pool_ops pool_block_ops = {
	.kind = "block",
	.size = sizeof(struct pool),
	.open = block_open,
	.info = block_info,
	.list = block_list,
	.resolve = block_resolve,
	.path = block_path,
	.check_host = pool_host_disk,
};
