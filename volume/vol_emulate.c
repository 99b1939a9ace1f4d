// SPDX-License-Identifier: Apache-2.0
/*
 * vol_emulate.c: the last step before a store, which makes up for what the store lacks: FUA by a
 * flush behind the write, ZERO by writing zeroes in pieces, EXTENTS by "all of it is mapped".
 *
 * A TRIM that a store cannot do is answered with -EOPNOTSUPP: it is a hint, and nobody should be
 * told that it was followed.
 */
#include "volume/vol_store.h"

#include <errno.h>

/* Zeroes to write from: never written, so that the kernel backs them with its one page of zero. */
#define EMULATE_PIECE (1u << 20)
static uint8_t emulate_zeroes[EMULATE_PIECE] __attribute__((aligned(4096)));

/* frame.scratch of a ZERO or of a WRITE with FUA */
enum { EMULATE_OFF, EMULATE_LEN };

static void store_submit(struct vol_chan *chan, struct vol_io *io)
{
	chan->part->ops->submit(chan, io);
}

static void flush_done(struct vol_io *io, int res)
{
	struct vol_frame *frame = vol_io_frame(io);

	io->op = (enum vol_op)frame->scratch[0];
	vol_io_done(io, res);
}

/* A flush in the place of the request, which gets its own operation back afterwards. */
static void flush_behind(struct vol_chan *chan, struct vol_io *io)
{
	struct vol_frame *frame = vol_io_push(chan, io, flush_done);

	frame->scratch[0] = io->op;
	io->op = VOL_FLUSH;
	store_submit(chan, io);
}

static void behind_done(struct vol_io *io, int res)
{
	if (res)
		vol_io_done(io, res);
	else
		flush_behind(vol_io_frame(io)->chan, io);
}

/* The request is whole and itself again: `res`, and behind a good one the flush it asked for. */
static void zero_finish(struct vol_io *io, int res)
{
	struct vol_frame *frame = vol_io_frame(io);

	io->op = VOL_ZERO;
	io->off = frame->scratch[EMULATE_OFF];
	io->len = frame->scratch[EMULATE_LEN];
	if (!res && (io->flags & VOL_FUA))
		flush_behind(frame->chan, io);
	else
		vol_io_done(io, res);
}

static void zero_piece_done(struct vol_io *io, int res);

/* Writes the piece that begins at io->off. */
static void zero_piece(struct vol_io *io)
{
	struct vol_frame *frame = vol_io_frame(io);
	struct vol_chan *chan = frame->chan;
	uint64_t left = frame->scratch[EMULATE_OFF] + frame->scratch[EMULATE_LEN] - io->off;

	io->op = VOL_WRITE;
	io->len = left < EMULATE_PIECE ? left : EMULATE_PIECE;
	io->one = (struct iovec){ .iov_base = emulate_zeroes, .iov_len = io->len };
	io->iov = &io->one;
	io->iovcnt = 1;
	io->buf = NULL;
	vol_io_push(chan, io, zero_piece_done);
	store_submit(chan, io);
}

static void zero_piece_done(struct vol_io *io, int res)
{
	struct vol_frame *frame = vol_io_frame(io);

	io->off += io->len;
	if (res || io->off == frame->scratch[EMULATE_OFF] + frame->scratch[EMULATE_LEN])
		zero_finish(io, res);
	else
		zero_piece(io);
}

/* The store's answer to the ZERO itself. */
static void zero_done(struct vol_io *io, int res)
{
	if (res == -EOPNOTSUPP)
		zero_piece(io);
	else
		zero_finish(io, res);
}

static void emulate_zero(struct vol_chan *chan, struct vol_io *io)
{
	struct vol_frame *frame = vol_io_push(chan, io, zero_done);

	frame->scratch[EMULATE_OFF] = io->off;
	frame->scratch[EMULATE_LEN] = io->len;
	if (chan->part->info->caps & VOL_CAN_ZERO)
		store_submit(chan, io);
	else
		vol_io_finish(chan, io, -EOPNOTSUPP);
}

static void emulate_extents(struct vol_chan *chan, struct vol_io *io)
{
	io->extents[0] = (struct vol_extent){ .off = io->off, .len = io->len, .mapped = true };
	io->extent_count = 1;
	vol_io_finish(chan, io, 0);
}

void vol_emulate_submit(struct vol_chan *chan, struct vol_io *io)
{
	uint32_t caps = chan->part->info->caps;

	if (io->op == VOL_ZERO) {
		emulate_zero(chan, io);
	} else if (io->op == VOL_TRIM && !(caps & VOL_CAN_TRIM)) {
		vol_io_finish(chan, io, -EOPNOTSUPP);
	} else if (io->op == VOL_EXTENTS && !(caps & VOL_CAN_EXTENTS)) {
		emulate_extents(chan, io);
	} else {
		if (io->op == VOL_WRITE && (io->flags & VOL_FUA) && !(caps & VOL_CAN_FUA))
			vol_io_push(chan, io, behind_done);
		store_submit(chan, io);
	}
}
