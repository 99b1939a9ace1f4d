// SPDX-License-Identifier: Apache-2.0
/*
 * store_fd.c: requests on a descriptor. In the usual case one request is one request of the loop on
 * the caller's memory. With O_DIRECT, memory that the device cannot take goes by an aligned copy,
 * piece by piece.
 *
 * What can fail: a read that ends early (the file was truncated under us) is -EIO, and so is from
 * then on what would make the file longer, until somebody else has made it as long as it was. A
 * flush looks whether the end is where it was. A failed flush
 * is told by the kernel once per descriptor, though it may have lost what many initiators wrote:
 * each loop's next flush fails too.
 */
#include "volume/store_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#define WAIT_PAUSE_MS 10
#define WAIT_PAUSES   200

#define BOUNCE_MAX (1u << 20) /* bytes of a copy; longer requests go in pieces */

/* io->scratch of READ and WRITE by copy; of FLUSH */
enum { BOUNCE_DONE };
enum { FLUSH_LOST };

static struct fd_chan *fd_chan(struct vol_chan *chan)
{
	return container_of(chan, struct fd_chan, chan);
}

int fd_chan_open(struct vol_chan *chan)
{
	struct fd_chan *c = fd_chan(chan);

	c->file.direct = fd_part(chan)->direct;
	c->seen = __atomic_load_n(&fd_part(chan)->lost, __ATOMIC_RELAXED);
	return loop_file_open(chan->loop, &c->file, fd_part(chan)->fd);
}

void fd_chan_close(struct vol_chan *chan)
{
	loop_file_close(chan->loop, &fd_chan(chan)->file);
}

/* The store's channel of a request: lio.file is inside it. */
static struct fd_chan *chan_of(const struct loop_io *lio)
{
	return container_of(lio->file, struct fd_chan, file);
}

static void note_lost(const struct loop_io *lio)
{
	__atomic_add_fetch(&fd_part(&chan_of(lio)->chan)->lost, 1, __ATOMIC_RELAXED);
}

/* ---- reads and writes ---- */

/* Whether the file ends before the volume does; remembered. A file server is not asked: it may not
 * answer, and what it said to the last request is what counts. */
static bool fd_ends_early(struct fd_part *part, uint64_t end)
{
	bool cut = false;
	struct statx st;

	if (part->regular &&
		!statx(part->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &st))
		cut = st.stx_size < __atomic_load_n(&part->part.info->size, __ATOMIC_RELAXED);
	__atomic_store_n(&part->cut, cut, __ATOMIC_RELAXED);
	return cut && st.stx_size < end;
}

bool fd_behind_cut(struct fd_part *part, const struct vol_io *io)
{
	if (__builtin_expect(!__atomic_load_n(&part->cut, __ATOMIC_RELAXED), 1))
		return false;
	return fd_ends_early(part, io->off + io->len);
}

/* 0 when everything was moved; a file that ended too early is a medium error. */
static int rw_result(struct vol_io *io, int res)
{
	if (res < 0) {
		if (io->op == VOL_WRITE && (io->flags & VOL_FUA))
			note_lost(&io->lio);
		return res;
	}
	if (__builtin_expect((uint64_t)res == io->lio.len, 1))
		return 0;
	fd_ends_early(fd_part(&chan_of(&io->lio)->chan), 0);
	return -EIO;
}

static void rw_done(struct loop_io *lio, int res)
{
	struct vol_io *io = vol_io_of(lio);

	vol_io_done(io, rw_result(io, res));
}

static void rw_queue(struct vol_chan *chan, struct vol_io *io)
{
	struct loop_io *lio = &io->lio;

	lio->file = &fd_chan(chan)->file;
	if (io->op == VOL_READ) {
		lio->op = LOOP_IO_READ;
		lio->flags = 0;
	} else {
		lio->op = LOOP_IO_WRITE;
		lio->flags = io->flags & VOL_FUA ? RWF_DSYNC : 0;
	}
	loop_io_submit(chan->loop, lio);
}

static void rw_straight(struct vol_chan *chan, struct vol_io *io)
{
	struct loop_io *lio = &io->lio;

	lio->iov = io->iov;
	lio->iovcnt = io->iovcnt;
	lio->buf = io->buf;
	lio->off = io->off;
	lio->len = io->len;
	lio->done = rw_done;
	rw_queue(chan, io);
}

/* ---- by an aligned copy ---- */

static bool rw_aligned(const struct fd_part *part, const struct vol_io *io)
{
	uint64_t addresses = 0, lengths = io->off;

	for (unsigned i = 0; i < io->iovcnt; i++) {
		addresses |= (uintptr_t)io->iov[i].iov_base;
		lengths |= io->iov[i].iov_len;
	}
	return !(addresses & (part->mem_align - 1)) && !(lengths & (part->off_align - 1));
}

/* Copies `len` bytes between the caller's pieces, `skip` bytes in, and `data`. */
static void bounce_copy(const struct vol_io *io, uint64_t skip, uint8_t *data, uint64_t len)
{
	for (const struct iovec *v = io->iov; len; v++) {
		uint64_t n = v->iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n -= skip;
		n = n < len ? n : len;
		if (io->op == VOL_READ)
			memcpy((uint8_t *)v->iov_base + skip, data, n);
		else
			memcpy(data, (uint8_t *)v->iov_base + skip, n);
		skip = 0;
		data += n;
		len -= n;
	}
}

static void bounce_done(struct loop_io *lio, int res);

static void bounce_piece(struct vol_chan *chan, struct vol_io *io)
{
	struct loop_io *lio = &io->lio;
	uint64_t done = io->scratch[BOUNCE_DONE], left = io->len - done;

	lio->len = left < BOUNCE_MAX ? left : BOUNCE_MAX;
	if (io->op == VOL_WRITE)
		bounce_copy(io, done, io->bounce->data, lio->len);
	io->bounce_iov = (struct iovec){ .iov_base = io->bounce->data, .iov_len = lio->len };
	lio->iov = &io->bounce_iov;
	lio->iovcnt = 1;
	lio->buf = io->bounce;
	lio->off = io->off + done;
	lio->done = bounce_done;
	rw_queue(chan, io);
}

static void bounce_done(struct loop_io *lio, int res)
{
	struct vol_io *io = vol_io_of(lio);
	struct vol_chan *chan = &chan_of(lio)->chan;
	int err = rw_result(io, res);

	if (!err && io->op == VOL_READ)
		bounce_copy(io, io->scratch[BOUNCE_DONE], io->bounce->data, lio->len);
	io->scratch[BOUNCE_DONE] += lio->len;
	if (!err && io->scratch[BOUNCE_DONE] < io->len) {
		bounce_piece(chan, io);
		return;
	}
	loop_buf_put(chan->loop, own_take(io->bounce));
	vol_io_done(io, err);
}

static void rw_bounced(struct vol_chan *chan, struct vol_io *io)
{
	uint64_t len = io->len < BOUNCE_MAX ? io->len : BOUNCE_MAX;

	io->bounce = loop_buf_get(chan->loop, (uint32_t)len);
	if (!io->bounce) {
		vol_io_finish(chan, io, -ENOMEM);
		return;
	}
	io->scratch[BOUNCE_DONE] = 0;
	bounce_piece(chan, io);
}

/* ---- flushes ---- */

/* Good only when nothing was lost since this channel was last told, or while this flush ran. */
static void flush_done(struct loop_io *lio, int res)
{
	struct vol_io *io = vol_io_of(lio);
	struct fd_chan *c = chan_of(lio);
	unsigned lost;

	if (res < 0)
		note_lost(lio);
	lost = __atomic_load_n(&fd_part(&c->chan)->lost, __ATOMIC_RELAXED);
	if (res >= 0 && (lost != c->seen || lost != (unsigned)io->scratch[FLUSH_LOST]))
		res = -EIO;
	/* what was written may be cut off, or a write may have gone behind the cut */
	if (res >= 0 && fd_ends_early(fd_part(&c->chan), UINT64_MAX))
		res = -EIO;
	c->seen = lost;
	vol_io_done(io, res < 0 ? res : 0);
}

static void flush_queue(struct vol_chan *chan, struct vol_io *io)
{
	struct loop_io *lio = &io->lio;

	io->scratch[FLUSH_LOST] = __atomic_load_n(&fd_part(chan)->lost, __ATOMIC_RELAXED);
	lio->op = LOOP_IO_DATASYNC;
	lio->file = &fd_chan(chan)->file;
	lio->iov = NULL;
	lio->iovcnt = 0;
	lio->buf = NULL;
	lio->off = lio->len = 0;
	lio->flags = 0;
	lio->done = flush_done;
	loop_io_submit(chan->loop, lio);
}

void fd_submit(struct vol_chan *chan, struct vol_io *io)
{
	const struct fd_part *part = fd_part(chan);

	if (io->op == VOL_FLUSH)
		flush_queue(chan, io);
	else if (io->op == VOL_WRITE && fd_behind_cut(fd_part(chan), io))
		vol_io_finish(chan, io, -EIO);
	else if (part->direct && !rw_aligned(part, io))
		rw_bounced(chan, io);
	else
		rw_straight(chan, io);
}

void fd_fallocate(struct vol_chan *chan, struct vol_io *io, int mode,
	void (*done)(struct loop_io *lio, int res))
{
	struct loop_io *lio = &io->lio;

	lio->op = LOOP_IO_FALLOCATE;
	lio->file = &fd_chan(chan)->file;
	lio->iov = NULL;
	lio->iovcnt = 0;
	lio->buf = NULL;
	lio->off = io->off;
	lio->len = io->len;
	lio->flags = mode;
	lio->done = done;
	loop_io_submit(chan->loop, lio);
}

/* ---- sysfs ---- */

/* What belongs to the whole disk is one directory up from a partition. */
static bool sys_read(dev_t dev, const char *name, char text[64])
{
	static const char *const up[] = { "", "../" };
	bool found = false;

	for (size_t i = 0; i < own_array_len(up) && !found; i++) {
		own_free char *path = own_printf(
			"/sys/dev/block/%u:%u/%s%s", major(dev), minor(dev), up[i], name);
		FILE *f = fopen(path, "re");

		if (!f)
			continue;
		found = fgets(text, 64, f) != NULL;
		fclose(f);
	}
	return found;
}

uint64_t fd_sys_number(dev_t dev, const char *name, uint64_t otherwise)
{
	char text[64];

	return sys_read(dev, name, text) ? strtoull(text, NULL, 10) : otherwise;
}

bool fd_sys_says(dev_t dev, const char *name, const char *text)
{
	char found[64];

	return sys_read(dev, name, found) && !strncmp(found, text, strlen(text));
}

/* ---- what is still held ---- */

bool fd_wait(const struct vol_setup *setup, unsigned *waited)
{
	const struct timespec pause = { .tv_nsec = WAIT_PAUSE_MS * 1000000L };

	if (!setup->conf->patient || (*waited)++ >= WAIT_PAUSES)
		return false;
	nanosleep(&pause, NULL);
	return true;
}
