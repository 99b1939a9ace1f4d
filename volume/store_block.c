// SPDX-License-Identifier: Apache-2.0
/*
 * store_block.c: a block device or a partition as a volume, opened for kura alone (O_EXCL) and past
 * the page cache (O_DIRECT). Sizes and block sizes are the device's own.
 *
 * Discard and zeroing are ioctls that may take long: they run where blocking is allowed.
 */
#include "volume/store_fd.h"

#include "volume/pool_dm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

struct block_part {
	struct fd_part fd; /* head */
	uint64_t limit;    /* configured size, 0: the whole device */
};

static struct block_part *block_part(struct vol_part *part)
{
	return container_of(part, struct block_part, fd.part);
}

/* ---- opening ---- */

static int refuse_open(struct vol_setup *setup, int err)
{
	const char *advice = "see the path and its permissions";

	if (err == EBUSY)
		advice = "it is mounted, or used by LVM, RAID or another program; free it first";
	else if (err == EROFS || err == EACCES)
		advice = "give kurad access, or set readonly = true if it cannot be written";
	return vol_refuse(setup, -err, "%s: cannot open the device: %s; %s", setup->conf->path,
		strerror(err), advice);
}

static int block_find(struct block_part *b, struct vol_setup *setup)
{
	const struct vol_conf *conf = setup->conf;
	unsigned waited = 0;
	struct stat st;

	if (stat(conf->path, &st))
		return refuse_open(setup, errno);
	if (!S_ISBLK(st.st_mode))
		return vol_refuse(setup, -EINVAL,
			"%s: this is not a block device; for a file use store = \"file\"",
			conf->path);
	do
		b->fd.fd = open(conf->path,
			(conf->readonly ? O_RDONLY : O_RDWR) | O_EXCL | O_DIRECT | O_CLOEXEC);
	while (b->fd.fd < 0 && errno == EBUSY && fd_wait(setup, &waited));
	return b->fd.fd < 0 ? refuse_open(setup, errno) : 0;
}

static int block_blocks(struct block_part *b, struct vol_setup *setup)
{
	struct vol_info *info = setup->info;
	unsigned physical = 0;
	int logical = 0;

	if (ioctl(b->fd.fd, BLKSSZGET, &logical) || ioctl(b->fd.fd, BLKPBSZGET, &physical) ||
		logical <= 0)
		return vol_refuse(setup, -errno, "%s: the device does not tell its block sizes: %s",
			setup->conf->path, strerror(errno));
	if (info->block_size % (unsigned)logical)
		return vol_refuse(setup, -EINVAL,
			"%s: the device has blocks of %d bytes, block_size is %u; set block_size = "
			"%d",
			setup->conf->path, logical, info->block_size, logical);
	b->fd.direct = true;
	b->fd.off_align = (unsigned)logical;
	b->fd.mem_align = 512; /* what any driver takes; most take less */
	if (b->fd.mem_align < (unsigned)logical)
		b->fd.mem_align = (unsigned)logical;
	info->physical_block_size = physical;
	return 0;
}

static int block_size(struct block_part *b, struct vol_setup *setup)
{
	uint32_t bs = setup->info->block_size;
	uint64_t have = 0;

	if (ioctl(b->fd.fd, BLKGETSIZE64, &have))
		return vol_refuse(setup, -errno, "%s: the device does not tell its size: %s",
			setup->conf->path, strerror(errno));
	if (b->limit > have)
		return vol_refuse(setup, -EFBIG,
			"%s: the device has %llu bytes, fewer than size %llu; leave size out to "
			"serve all of "
			"it",
			setup->conf->path, (unsigned long long)have, (unsigned long long)b->limit);
	if (!b->limit && have % bs)
		return vol_refuse(setup, -EINVAL,
			"%s: the device has %llu bytes, not a multiple of block_size %u; set size "
			"= %llu to "
			"leave the rest out",
			setup->conf->path, (unsigned long long)have, bs,
			(unsigned long long)(have - have % bs));
	setup->info->size = b->limit ? b->limit : have;
	return 0;
}

static void block_info(const struct block_part *b, struct vol_info *info)
{
	struct stat st;
	uint64_t grain;

	info->caps = info->readonly ? 0 : VOL_CAN_FUA | VOL_CAN_ZERO;
	if (fstat(b->fd.fd, &st))
		return;
	info->rotational = fd_sys_number(st.st_rdev, "queue/rotational", 0) != 0;
	if (!info->readonly && !fd_sys_says(st.st_rdev, "queue/write_cache", "write through"))
		info->caps |= VOL_HAS_CACHE;
	grain = fd_sys_number(st.st_rdev, "queue/discard_granularity", 0);
	if (info->readonly || !grain || !fd_sys_number(st.st_rdev, "queue/discard_max_bytes", 0))
		return;
	info->caps |= VOL_CAN_TRIM;
	info->trim_granularity = grain <= UINT32_MAX ? (uint32_t)grain : 0;
	info->trim_alignment = (uint32_t)fd_sys_number(st.st_rdev, "discard_alignment", 0);
}

static int block_open(struct vol_part *part, struct vol_setup *setup)
{
	struct block_part *b = block_part(part);
	int err;

	b->fd.fd = -1;
	b->limit = setup->conf->size;
	if (!setup->conf->path || !*setup->conf->path)
		return vol_refuse(setup, -EINVAL, "volume %s: store \"block\" needs a path",
			setup->conf->name);
	err = block_find(b, setup);
	if (!err)
		err = block_blocks(b, setup);
	if (!err)
		err = block_size(b, setup);
	if (!err)
		block_info(b, setup->info);
	return err;
}

static void block_close(struct vol_part *part)
{
	own_close_fd(&block_part(part)->fd.fd);
}

/* ---- TRIM and ZERO ---- */

static int trim_run(struct loop_io *lio)
{
	struct vol_io *io = vol_io_of(lio);
	uint64_t range[2] = { io->off, io->len };

	return ioctl((int)io->scratch[0], BLKDISCARD, range) ? -errno : 0;
}

/* The kernel writes zeroes itself where the device has no command for it. */
static int zero_run(struct loop_io *lio)
{
	struct vol_io *io = vol_io_of(lio);
	uint64_t range[2] = { io->off, io->len };
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if ((io->flags & VOL_MAY_TRIM) &&
		fallocate((int)io->scratch[0], punch, (off_t)io->off, (off_t)io->len) == 0)
		return 0;
	return ioctl((int)io->scratch[0], BLKZEROOUT, range) ? -errno : 0;
}

static void block_submit(struct vol_chan *chan, struct vol_io *io)
{
	if (io->op == VOL_TRIM || io->op == VOL_ZERO) {
		io->scratch[0] = (uint64_t)fd_part(chan)->fd;
		vol_io_call(chan, io, fd_file(chan), io->op == VOL_TRIM ? trim_run : zero_run);
		return;
	}
	fd_submit(chan, io);
}

static int block_resize(struct vol_part *part, uint64_t size, uint64_t *now)
{
	const struct block_part *b = block_part(part);
	uint64_t have = 0;

	if (size)
		return -ENOTSUP;
	if (ioctl(b->fd.fd, BLKGETSIZE64, &have))
		return -errno;
	*now = b->limit && b->limit < have ? b->limit : have;
	return 0;
}

/* A thin volume of LVM knows; other devices do not tell. */
static int block_space(struct vol_part *part, struct vol_space *space)
{
	struct stat st;

	if (fstat(block_part(part)->fd.fd, &st))
		return -errno;
	return pool_dm_space(st.st_rdev, space);
}

const struct vol_part_ops store_block_ops = {
	.kind = "block",
	.part_size = sizeof(struct block_part),
	.chan_size = sizeof(struct fd_chan),
	.open = block_open,
	.close = block_close,
	.chan_open = fd_chan_open,
	.chan_close = fd_chan_close,
	.submit = block_submit,
	.resize = block_resize,
	.space = block_space,
};
