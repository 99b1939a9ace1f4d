// SPDX-License-Identifier: Apache-2.0
/*
 * store_null.c: reads are zeroes, writes are forgotten. It costs what the rooms above it cost,
 * which is what it is for.
 */
#include "volume/vol_store.h"

#include <errno.h>
#include <string.h>

#define NULL_SIZE_MAX (1ull << 60)

static int null_open(struct vol_part *part, struct vol_setup *setup)
{
	struct vol_info *info = setup->info;

	(void)part;
	if (setup->conf->size > NULL_SIZE_MAX)
		return vol_refuse(setup, -EFBIG, "volume %s: size is more than %llu bytes",
			setup->conf->name, NULL_SIZE_MAX);
	info->size = setup->conf->size;
	info->physical_block_size = info->block_size;
	info->trim_granularity = info->block_size;
	info->caps = VOL_CAN_TRIM | VOL_CAN_ZERO | VOL_CAN_EXTENTS | VOL_CAN_FUA |
		     VOL_ZERO_AFTER_TRIM | VOL_VOLATILE | VOL_CAN_LEND;
	return 0;
}

/* What a reader may look at instead of having it copied. */
static uint8_t null_zeroes[LOOP_BUF_MAX] __attribute__((aligned(4096)));

static void null_read(const struct vol_io *io)
{
	if (io->flags & VOL_LEND) {
		io->iov->iov_base = null_zeroes;
		return;
	}
	for (unsigned i = 0; i < io->iovcnt; i++)
		memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
}

static void null_submit(struct vol_chan *chan, struct vol_io *io)
{
	if (io->op == VOL_READ) {
		null_read(io);
	} else if (io->op == VOL_EXTENTS) {
		io->extents[0] =
			(struct vol_extent){ .off = io->off, .len = io->len, .zero = true };
		io->extent_count = 1;
	}
	vol_io_finish(chan, io, 0);
}

static int null_resize(struct vol_part *part, uint64_t size, uint64_t *now)
{
	(void)part;
	if (size > NULL_SIZE_MAX)
		return -ENOSPC;
	*now = size ? size : *now;
	return 0;
}

const struct vol_part_ops store_null_ops = {
	.kind = "null",
	.part_size = sizeof(struct vol_part),
	.chan_size = sizeof(struct vol_chan),
	.open = null_open,
	.submit = null_submit,
	.resize = null_resize,
};
