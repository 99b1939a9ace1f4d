/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vol_store.h: what a store or a layer fills in, and what the guard offers it.
 *
 * An open volume is a stack of parts: layers from the top, one store at the bottom. Each part has
 * a channel per loop. A request goes down by submit(), and comes back up by vol_io_done().
 */
#ifndef KURA_VOLUME_VOL_STORE_H
#define KURA_VOLUME_VOL_STORE_H

#include "common/own.h"
#include "volume/volume.h"

/* What a part gets, and gives, while its volume is opened. */
struct vol_setup {
	const struct vol_conf *conf; /* borrowed for the call */
	const char *options;         /* layer: its own "key=value ..."; never NULL */
	struct vol_info *info;       /* block_size and readonly are set; the store fills the rest */
	char *sidecar;               /* store: owned path of its identity record, or NULL */
	char *why;                   /* room for the sentence */
	size_t why_len;
};

struct vol_part; /* one layer or store of an open volume */

struct vol_part_ops {
	const char *kind; /* name in configuration */
	size_t part_size; /* bytes of what begins with struct vol_part; zeroed before open */
	size_t chan_size; /* bytes of what begins with struct vol_chan; zeroed before chan_open */
	/* 0, or a negative errno after vol_refuse. Blocks. NULL: nothing to do. */
	int (*open)(struct vol_part *part, struct vol_setup *setup);
	/* Undoes open; also after an open that failed half way. Blocks. May be NULL. */
	void (*close)(struct vol_part *part);
	/* Prepares the zeroed channel, whose head is set. 0 or -errno. May be NULL. */
	int (*chan_open)(struct vol_chan *chan);
	/* Undoes chan_open. May be NULL. */
	void (*chan_close)(struct vol_chan *chan);
	/* Takes a request; vol_io_done or vol_io_finish follows, never vol_io_done inside. */
	void (*submit)(struct vol_chan *chan, struct vol_io *io);
	/* Layer: some request of this channel is not wanted any more (vol_io.cancelled). Those that
	 * wait in the layer get -ECANCELED, later. NULL: nothing waits here. */
	void (*cancel)(struct vol_chan *chan);
	/* Store: makes it `size` bytes (0: looks again) and says in *now what it is. 0 or -errno.
	 * Blocks. NULL: -ENOTSUP. */
	int (*resize)(struct vol_part *part, uint64_t size, uint64_t *now);
	/* Store: what it has of what it lives on. 0 or -errno. Blocks. NULL: -ENOTSUP. */
	int (*space)(struct vol_part *part, struct vol_space *space);
	/* Layer with VOL_CAN_REKEY: another key in the place of the old one, as vol_rekey says.
	 * Blocks. NULL: it has none. */
	int (*rekey)(struct vol_part *part);
};

struct vol_part {
	const struct vol_part_ops *ops; /* its row */
	const struct vol_info *info;    /* of the volume; fixed once open, but for size */
	const char *vol_name;           /* of the volume */
};

struct vol_chan {
	struct vol_part *part;  /* NULL: the guard's channel, the one that callers hold */
	struct vol_chan *below; /* NULL: the store */
	struct loop *loop;      /* whose thread uses it */
	void (*submit)(struct vol_chan *chan, struct vol_io *io);
};

/* Writes the sentence that a person reads and returns `err`, a negative errno. */
int vol_refuse(struct vol_setup *setup, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Opens the volume on a store that need not be in stores.def. As vol_open. */
struct vol *vol_open_store(
	const struct vol_conf *conf, const struct vol_part_ops *store, char *why, size_t why_len);

/* The part of that kind nearest to the top, borrowed; or NULL. Any thread. */
struct vol_part *vol_find_part(const struct vol *vol, const struct vol_part_ops *ops);

/*
 * Remembers that `chan`'s part wants the request back: `done` is called with the result, and
 * vol_io_frame gives the frame there. Returns the frame, whose scratch is the part's.
 */
static inline struct vol_frame *vol_io_push(
	struct vol_chan *chan, struct vol_io *io, void (*done)(struct vol_io *io, int res))
{
	struct vol_frame *frame = &io->frame[io->depth - 1];

	own_assert(io->depth >= 1 && io->depth <= VOL_LAYERS_MAX);
	io->depth++;
	frame->done = done;
	frame->chan = chan;
	return frame;
}

/* The frame of the part whose done() runs; valid until it pushes or passes the request on. */
static inline struct vol_frame *vol_io_frame(struct vol_io *io)
{
	return &io->frame[io->depth - 1];
}

/* Hands the request to the part below. */
static inline void vol_io_down(struct vol_chan *chan, struct vol_io *io)
{
	chan->below->submit(chan->below, io);
}

/* The part is done with the request: its result (0 or -errno) goes up one part. Never inside
 * submit; on the channel's loop. */
void vol_io_done(struct vol_io *io, int res);

/* As vol_io_done, later in this turn: for those who know the result inside submit. The request's
 * lio must not be in use. */
void vol_io_finish(struct vol_chan *chan, struct vol_io *io, int res);

/* Runs `run` (0 or -errno) where blocking is allowed and passes its result up; `file` is what it
 * may hang at, or NULL. lio not in use. */
void vol_io_call(struct vol_chan *chan, struct vol_io *io, struct loop_file *file,
	int (*run)(struct loop_io *lio));

/* The request whose lio it is. */
static inline struct vol_io *vol_io_of(struct loop_io *lio)
{
	return container_of(lio, struct vol_io, lio);
}

/* The guard's door to a store: emulates what the store lacks. A submit(). */
void vol_emulate_submit(struct vol_chan *chan, struct vol_io *io);

#define STORE(name, help) extern const struct vol_part_ops store_##name##_ops;
#include "volume/stores.def"
#undef STORE
#define LAYER(name, help) extern const struct vol_part_ops layer_##name##_ops;
#include "volume/layers.def"
#undef LAYER

#endif
