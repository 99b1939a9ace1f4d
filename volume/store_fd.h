/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fd.h: what the stores over a descriptor (file, block) share: reads, writes, flushes, and
 * the aligned copy that O_DIRECT asks for.
 *
 * Their part begins with struct fd_part, their channel is struct fd_chan.
 */
#ifndef KURA_VOLUME_STORE_FD_H
#define KURA_VOLUME_STORE_FD_H

#include "volume/vol_store.h"

struct fd_part {
	struct vol_part part; /* head */
	int fd;               /* owned; -1: not open */
	bool direct;          /* opened with O_DIRECT */
	uint32_t mem_align;   /* direct: of addresses, a power of two */
	uint32_t off_align;   /* direct: of positions and lengths, a power of two */
	unsigned lost;        /* times that a flush failed: written data may be gone; atomic */
	bool regular;         /* a file, whose end somebody may move */
	bool cut;             /* it was seen to end too early; atomic */
};

struct fd_chan {
	struct vol_chan chan;  /* head */
	struct loop_file file; /* the descriptor as this loop knows it */
	unsigned seen;         /* of part->lost: what this channel has told */
};

/* The descriptor's part of a channel. */
static inline struct fd_part *fd_part(const struct vol_chan *chan)
{
	return container_of(chan->part, struct fd_part, part);
}

/* Its descriptor as its loop knows it. */
static inline struct loop_file *fd_file(struct vol_chan *chan)
{
	return &container_of(chan, struct fd_chan, chan)->file;
}

/* A chan_open for struct fd_chan. */
int fd_chan_open(struct vol_chan *chan);

/* Its chan_close. */
void fd_chan_close(struct vol_chan *chan);

/*
 * Whether a file that was seen to be cut short still ends before the end of this request: writing
 * there would make it longer, and what was cut off read as zeroes. Asks the kernel only then.
 */
bool fd_behind_cut(struct fd_part *part, const struct vol_io *io);

/* READ, WRITE and FLUSH; nothing else. A submit(). */
void fd_submit(struct vol_chan *chan, struct vol_io *io);

/* fallocate with `mode` over the request's range; `done` gets the result. lio not in use. */
void fd_fallocate(struct vol_chan *chan, struct vol_io *io, int mode,
	void (*done)(struct loop_io *lio, int res));

/* To be called when a file or device is held by somebody, with a count that begins at 0: the rings
 * of a killed process are taken down in the background and hold what they had for some
 * milliseconds. True: it was worth waiting, try again; errno stays what it is else. Blocks, if
 * conf->patient. */
bool fd_wait(const struct vol_setup *setup, unsigned *waited);

/* A number that sysfs tells of the block device `dev`, as "queue/rotational", or `otherwise`. Of a
 * partition first, then of its disk. Blocks. */
uint64_t fd_sys_number(dev_t dev, const char *name, uint64_t otherwise);

/* Whether such an attribute begins with `text`; false when there is none. Blocks. */
bool fd_sys_says(dev_t dev, const char *name, const char *text);

#endif
