/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume.h: the volume contract: what the SCSI room may ask of a volume, and what a store has to
 * do.
 *
 * A volume is a store under a stack of layers, opened once for the whole process; each loop that
 * uses it opens a channel. A request walks down the stack on one loop and comes back by done(),
 * exactly once, never inside vol_submit. All positions and lengths are in bytes.
 */
#ifndef KURA_VOLUME_VOLUME_H
#define KURA_VOLUME_VOLUME_H

#include "target/loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct vol;
struct vol_chan;
struct vol_io;

#define VOL_UUID_LEN   16
#define VOL_NAME_MAX   63
#define VOL_LAYERS_MAX 7 /* store included */

/* ---- how a volume is described ---- */

enum vol_cache { VOL_CACHE_BUFFERED, VOL_CACHE_DIRECT };

struct vol_layer_conf {
	const char *kind;    /* a row of layers.def */
	const char *options; /* "key=value key=value", checked by the layer */
};

struct vol_conf {
	const char *name;      /* unique, 1..VOL_NAME_MAX of [A-Za-z0-9._-] */
	const char *store;     /* a row of stores.def: "file", "block", "mem", "null" */
	const char *path;      /* file, block: where; else NULL */
	const char *state_dir; /* where identities of stores without a place of their own are kept,
				  or NULL */
	uint64_t size;         /* wanted bytes; 0: as it is (file, block) */
	uint32_t block_size;   /* logical block: 512 or 4096; 0: 512 */
	uint32_t physical_block_size; /* >= block_size, power of two; 0: the store's own, at least
					 block_size */
	enum vol_cache cache;         /* file only; block is always direct */
	bool readonly;                /* opened for reading only */
	bool patient; /* waits for what a process that was killed still holds, up to two seconds */
	const char *uuid; /* identity given by hand ("8-4-4-4-12" hex), or NULL: recorded or made */
	const struct vol_layer_conf *layers; /* from top to bottom */
	unsigned layer_count;
};

/* What the store below can do by itself; vol_open derives what initiators are told from it. */
enum vol_caps {
	VOL_CAN_TRIM = 1u << 0,    /* TRIM gives space back */
	VOL_CAN_ZERO = 1u << 1,    /* ZERO without writing zeroes over the wire */
	VOL_CAN_EXTENTS = 1u << 2, /* EXTENTS tells data from holes */
	VOL_CAN_FUA = 1u << 3,   /* WRITE with VOL_FUA is durable without a FLUSH (else emulated) */
	VOL_HAS_CACHE = 1u << 4, /* a completed write may be lost by power failure until FLUSH */
	VOL_ZERO_AFTER_TRIM = 1u << 5, /* trimmed bytes read as zero */
	VOL_VOLATILE = 1u << 6,        /* contents are gone with the process (mem, null) */
	VOL_CAN_LEND = 1u << 7,        /* READ with VOL_LEND: points at its own memory */
	VOL_CACHES_READS =
		1u << 8,         /* what was read is found in memory again, if not too long after */
	VOL_CAN_REKEY = 1u << 9, /* vol_rekey makes everything unreadable */
};

struct vol_info {
	uint64_t size;                /* bytes, multiple of block_size */
	uint32_t block_size;          /* logical */
	uint32_t physical_block_size; /* atomic unit below */
	uint32_t trim_granularity;    /* bytes, 0: no trim */
	uint32_t trim_alignment;      /* bytes */
	uint32_t caps;                /* enum vol_caps */
	bool readonly;
	bool rotational;            /* of the device below, false when unknown */
	uint8_t uuid[VOL_UUID_LEN]; /* recorded identity: never changes */
};

/*
 * Opens a volume: makes the file when it is missing (sparse), takes the lock or exclusive open,
 * finds or records its identity, stacks the layers. NULL with a sentence in `why` (what is wrong
 * with which path, and what to do). Blocks: set-up or slow lane only. Returns owned.
 */
struct vol *vol_open(const struct vol_conf *conf, char *why, size_t why_len);

/* Closes it when the last channel is closed already. Takes it; blocks. */
void vol_close(struct vol *vol);

/* Name, borrowed while the volume is open. Any thread. */
const char *vol_name(const struct vol *vol);

/* A snapshot of what it is now. Any thread. */
struct vol_info vol_info(const struct vol *vol);

/*
 * Changes the size (file: truncates or extends; mem: reallocates; block: looks at the device
 * again, `size` 0). 0 or -errno (-ENOTSUP, -EBUSY, -ENOSPC). Shrinking is the caller's decision,
 * who lets what is in flight behind the new end finish first: a late write would make a file
 * longer again.
 * Blocks: slow lane only.
 */
int vol_resize(struct vol *vol, uint64_t size);

/*
 * Destroys the key that the volume is encrypted with and goes on with a new random one, so that
 * what was written before is lost; what reads as zero stays so. For VOL_CAN_REKEY; nothing else is
 * in flight, and what is submitted meanwhile gets -ENOMEM. 0 or -errno: -ENOTSUP, -EBUSY (a read or
 * a write is in flight: nothing was changed), or what kept the key from being replaced, or the old
 * one from being overwritten where it lay. Blocks: slow lane only.
 */
int vol_rekey(struct vol *vol);

/* What a thin volume lives on. */
struct vol_space {
	uint64_t used; /* bytes that it has of its own */
	uint64_t free; /* bytes more that it could get */
	bool shared;   /* others may take what is free */
};

/* What it is now; an estimate. 0, or -ENOTSUP where the store does not know, or another negative
 * errno. Blocks: slow lane only. */
int vol_space(struct vol *vol, struct vol_space *space);

/* Opens a loop's channel; called on that loop's thread or before it runs. NULL: *err is a negative
 * errno. Returns owned. */
struct vol_chan *vol_chan_open(struct vol *vol, struct loop *loop, int *err);

/* Closes a channel on which nothing is in flight. Takes it; on its loop. */
void vol_chan_close(struct vol_chan *chan);

/* The volume of a channel, borrowed. */
struct vol *vol_chan_vol(const struct vol_chan *chan);

/* ---- requests ---- */

enum vol_op {
	VOL_READ,    /* iov is filled */
	VOL_WRITE,   /* iov is taken; VOL_FUA: durable before done */
	VOL_FLUSH,   /* every write that was done before is durable; off and len 0: all */
	VOL_TRIM,    /* the range need not be kept; reads as zero then where VOL_ZERO_AFTER_TRIM */
	VOL_ZERO,    /* the range reads as zero; VOL_MAY_TRIM: may give its space back; VOL_FUA */
	VOL_EXTENTS, /* fills extents; may stop early: they cover the front of the range */
};
#define VOL_OP_COUNT (VOL_EXTENTS + 1)

enum vol_flags {
	VOL_FUA = 1u << 0,
	VOL_MAY_TRIM = 1u << 1,
	/*
	 * READ of a volume with VOL_CAN_LEND: the one piece of iov comes without memory and is set
	 * to the store's own, which can be read until the channel is closed: who does so counts it
	 * by vol_chan_lend. Later writes show in it. At most LOOP_BUF_MAX bytes.
	 */
	VOL_LEND = 1u << 2,
};

struct vol_extent {
	uint64_t off, len; /* bytes; consecutive from io->off */
	bool mapped;       /* has space of its own */
	bool zero;         /* known to read as zero */
};

/* What a layer keeps in a request while it is below. */
struct vol_frame {
	void (*done)(struct vol_io *io, int res); /* the layer's own */
	struct vol_chan *chan;                    /* the layer's channel */
	uint64_t scratch[2];                      /* the layer's */
};

#define VOL_IO_MAGIC 0x766f6c69u /* "voli" */

struct vol_io {
	uint32_t magic; /* VOL_IO_MAGIC; vol_io_init sets it */
	enum vol_op op;
	uint32_t flags;    /* enum vol_flags */
	uint64_t off, len; /* bytes, multiples of block_size, inside the volume */
	struct iovec
		*iov; /* READ, WRITE: pieces that add up to len; kept until done, may be changed */
	unsigned iovcnt;            /* 1..LOOP_IOV_MAX */
	const struct loop_buf *buf; /* the data buffer in which the only piece lies, or NULL */
	struct vol_extent *extents; /* EXTENTS: room for extent_max, filled from the front */
	unsigned extent_max, extent_count;
	uint64_t origin; /* who asks: layers are fair between its values; 0: nobody in particular */
	void (*done)(
		struct vol_io *io, int res); /* 0 or -errno; exactly once, on the channel's loop */
	/* -- below: the volume room's, while submitted -- */
	struct loop_io lio; /* the store's request to the loop */
	struct vol_frame frame[VOL_LAYERS_MAX];
	unsigned depth;          /* frames in use; 0: not submitted */
	uint64_t began_ns;       /* when it was submitted; 0: it is not timed */
	bool cancelled;          /* by vol_cancel; atomic */
	struct vol_chan *chan;   /* top */
	struct loop_buf *bounce; /* the store's: aligned copy for O_DIRECT */
	uint64_t scratch[4];     /* the store's */
	struct iovec one;        /* room for one piece: the caller's; for ZERO the guard's */
	struct iovec bounce_iov; /* the store's: the piece of `bounce` in use */
	struct vol_io *next;     /* the guard's: waits with others for a channel that is held */
};

/* Zeroes what a request needs and sets the magic. The caller fills op .. done afterwards. */
void vol_io_init(struct vol_io *io);

/*
 * Submits a request on `chan`. The guard asserts our own promises (range inside, alignment to
 * block_size, iov adds up, done set, right thread) and counts. Errors that reach done(): -EIO
 * (medium), -ENOSPC (no room below), -EROFS, -ENODEV (device gone), -ENOMEM (busy: try again),
 * -ETIMEDOUT, -ECANCELED, and -EOPNOTSUPP (TRIM without VOL_CAN_TRIM). A range that lay inside
 * before the volume was made smaller gets -EIO. Keeps `io` until done.
 */
void vol_submit(struct vol_chan *chan, struct vol_io *io);

/*
 * The submitted `io` is not wanted any more: where it waits in a layer it gets -ECANCELED soon and
 * never reaches the store. A store that has it already carries it out. done() comes in any case,
 * never inside. On the channel's loop.
 */
void vol_cancel(struct vol_chan *chan, struct vol_io *io);

/* ---- holding still ---- */

struct vol_hold {
	void (*held)(struct vol_hold *hold); /* on the channel's loop */
};

/*
 * From now on requests that change the volume (WRITE, TRIM, ZERO) wait in this channel. True: none
 * is on its way; else `held` comes when those that were let through before are done, unless they
 * are released first. One hold at a time, kept until vol_chan_release. On the channel's loop.
 */
bool vol_chan_hold(struct vol_chan *chan, struct vol_hold *hold);

/* Lets those that wait through, in their order. On the channel's loop. */
void vol_chan_release(struct vol_chan *chan);

/* Requests of this channel that are not done. */
unsigned vol_chan_inflight(const struct vol_chan *chan);

/* Memory that a READ with VOL_LEND gave is read for longer, until vol_chan_return; on the channel's
 * loop. */
void vol_chan_lend(struct vol_chan *chan);

/* It is read no more. */
void vol_chan_return(struct vol_chan *chan);

/* How often lent memory is being read: the channel is not closed before that is 0. Any thread. */
unsigned vol_chan_lent(const struct vol_chan *chan);

#endif
