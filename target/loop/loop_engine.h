/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_engine.h: what an engine (loop_uring.c, loop_aio.c, loop_sim.c) gives to loop.c, and the
 * insides of a loop that engines share. Included by target/loop only.
 */
#ifndef KURA_TARGET_LOOP_LOOP_ENGINE_H
#define KURA_TARGET_LOOP_LOOP_ENGINE_H

#include "target/loop/loop.h"

#include <stdatomic.h>
#include <stddef.h>

#define LOOP_TICK_SHIFT  23 /* a tick of the timer wheel is 2^23 ns, 8.4 ms */
#define LOOP_TIMER_SLOTS 512u

struct loop_timers {
	struct list slot[LOOP_TIMER_SLOTS]; /* by due tick, modulo */
	uint64_t tick;                      /* every tick up to this one has run */
	uint64_t next;  /* no timer is due before this tick; UINT64_MAX: none set */
	unsigned count; /* timers set */
};

struct loop_rx {
	struct loop_rxbuf *bufs; /* all of them, by id */
	struct list free;        /* LIFO: the warmest first */
	unsigned count;          /* of bufs */
	unsigned free_count;     /* in free */
	unsigned lent;           /* in the hands of the kernel, neither free nor held */
	uint32_t size;           /* bytes of each */
	uint8_t *arena;          /* count * size */
};

#define LOOP_PAGE        4096u
#define LOOP_BUF_CLASSES 12u /* 4 KiB << 0 .. 4 KiB << 11 = LOOP_BUF_MAX */

struct loop_data {
	struct list free[LOOP_BUF_CLASSES]; /* per size class, LIFO */
	struct loop_buf *bufs;              /* one per page; used is that of a block's first page */
	int *chunk_index;                   /* per chunk of LOOP_BUF_MAX: registered index or -1 */
	uint8_t *arena;                     /* chunk-aligned inside map */
	void *map;                          /* what was mapped */
	size_t map_len;                     /* bytes of map */
	unsigned chunks;                    /* chunks in the arena */
	unsigned chunks_used;               /* chunks taken so far, from the front */
	uint64_t max;                       /* most bytes out */
	uint64_t out;                       /* bytes out */
	struct loop_hook *relief;           /* runs when half is free again; or NULL */
	bool registering;                   /* chunks are registered with the kernel */
};

/*
 * An engine. All functions run on the loop's thread, or before loop_run, except wake. Callbacks of
 * streams, listeners and files are called from `dispatch` or from posts, never inside the others.
 */
struct loop_engine_ops {
	const char *name;
	/* Makes loop->engine. 0 or -errno. */
	int (*init)(struct loop *loop);
	/* Frees it; nothing is open. */
	void (*fini)(struct loop *loop);
	/* On the loop's thread, once, before its first turn. */
	void (*start)(struct loop *loop);
	/* Submits what is queued and sleeps: -1 until something happens, else at most so long. */
	void (*wait)(struct loop *loop, int64_t wait_ns);
	/* Calls back for what completed. */
	void (*dispatch)(struct loop *loop);
	/* Ends a wait that is under way. Any thread. */
	void (*wake)(struct loop *loop);
	/* The clock of the loop. */
	uint64_t (*clock_ns)(struct loop *loop);
	/* As the functions of loop.h of these names. */
	void (*listener_start)(struct loop *loop, struct loop_listener *l);
	void (*listener_stop)(struct loop *loop, struct loop_listener *l);
	int (*stream_open)(struct loop *loop, struct loop_stream *s);
	void (*stream_send)(struct loop_stream *s, const struct iovec *iov, unsigned n);
	void (*stream_pause)(struct loop_stream *s);
	void (*stream_resume)(struct loop_stream *s);
	void (*stream_close)(struct loop_stream *s);
	int (*file_open)(struct loop *loop, struct loop_file *f);
	void (*file_close)(struct loop *loop, struct loop_file *f);
	void (*io_submit)(struct loop *loop, struct loop_io *io);
	/* Registers `len` bytes at `p` as chunk `chunk` of the data arena: an index or -errno.
	 * NULL: the engine has no use for that. */
	int (*chunk_register)(struct loop *loop, unsigned chunk, void *p, size_t len);
};

struct loop {
	const struct loop_engine_ops *ops;
	void *engine;         /* the engine's own */
	unsigned index;       /* which loop */
	int cpu;              /* pinned there, or -1 */
	bool started;         /* ops->start was called */
	uint64_t now_ns;      /* clock of this turn */
	struct list finished; /* loop_io: done() is to be called */
	struct list hooks;    /* to be run at turn end */
	struct loop_timers timers;
	struct loop_rx rx;
	struct loop_data data;
	_Alignas(64) struct loop_post *_Atomic posts; /* newest first */
	atomic_bool sleeping;                         /* in wait: a poster has to wake */
	atomic_bool stopping;                         /* loop_stop was called */
	atomic_uint visitors; /* other threads inside loop_post and loop_stop: it may not go away */
};

extern const struct loop_engine_ops loop_uring_ops;
extern const struct loop_engine_ops loop_aio_ops;
extern const struct loop_engine_ops loop_sim_ops;

/* Whether io_uring works here with what the engine needs: 0, or -errno and a static phrase in
 * `why`. Probes once per process; any thread. */
int loop_uring_probe(const char **why);

/* One turn; the body of loop_run. */
void loop_turn(struct loop *loop);

/* How long the loop may sleep now: 0 when work is waiting, -1 without end. */
int64_t loop_wait_ns(struct loop *loop);

/* ---- loop_timer.c ---- */

/* An empty wheel at the time `now_ns`. */
void loop_timers_init(struct loop_timers *t, uint64_t now_ns);

/* Runs what is due at loop->now_ns. */
void loop_timers_run(struct loop *loop);

/* ---- loop_buf.c ---- */

/* The receive buffers of a loop, all free. 0 or -ENOMEM. */
int loop_rx_init(struct loop *loop, unsigned count, uint32_t size);

/* Frees them; none is held. */
void loop_rx_fini(struct loop *loop);

/* Takes the warmest free buffer with one user, or NULL. Returns owned. */
struct loop_rxbuf *loop_rxbuf_new(struct loop *loop);

/* The data buffers of a loop; memory is touched when used. 0 or -ENOMEM. */
int loop_data_init(struct loop *loop, uint64_t max);

/* Frees them; none is out. */
void loop_data_fini(struct loop *loop);

/* Registers chunks with the kernel from now on; for loops with O_DIRECT files. */
void loop_data_register(struct loop *loop);

/* ---- for engines ---- */

/* The end of a closing or released stream: nothing refers to it any more. */
void loop_stream_end(struct loop_stream *s);

/* CLOCK_MONOTONIC, the clock of real loops. */
uint64_t loop_clock_ns(struct loop *loop);

/* The bytes of `iov`. */
static inline size_t loop_iov_len(const struct iovec *iov, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/*
 * What is left of a send whose iov belongs to somebody else: after a short result the rest of a
 * piece goes alone, then the pieces behind it, so nothing is copied or changed.
 */
struct loop_sending {
	const struct iovec *iov; /* pieces not begun */
	unsigned n;              /* of iov */
	size_t left;             /* bytes not taken by the kernel */
	struct iovec part;       /* the rest of a piece that was cut; len 0: none */
	struct msghdr msg;       /* the call under way */
};

/* Begins with all of `iov`. */
static inline void loop_sending_init(struct loop_sending *w, const struct iovec *iov, unsigned n)
{
	w->iov = iov;
	w->n = n;
	w->left = loop_iov_len(iov, n);
	w->part.iov_len = 0;
}

/* The message for the next call; borrowed until the next. */
struct msghdr *loop_sending_msg(struct loop_sending *w);

/* The kernel took `done` bytes; true when nothing is left. */
bool loop_sending_done(struct loop_sending *w, size_t done);

/* Counts `res` (> 0) bytes of a read or write; true when something is left to do, and then iov is
 * what is left. */
bool loop_io_advance(struct loop_io *io, int res);

/* Takes the result of one call: true when `io` has to be submitted again for what is left, else
 * *res becomes the result of the whole. */
bool loop_io_again(struct loop_io *io, int *res);

#endif
