/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h: one event loop per thread: streams, files, timers, and posts from other loops.
 *
 * Everything that the rooms above do is a callback on their loop's thread. A callback never runs
 * inside the call that asked for it; results come in the same turn or a later one. Except where
 * "any thread" is said, a function is called on the loop's own thread, or before loop_run.
 *
 * Three engines stand behind this header (loop_uring.c, loop_aio.c, loop_sim.c); see loop_engine.h
 * for what an engine has to do.
 */
#ifndef KURA_TARGET_LOOP_LOOP_H
#define KURA_TARGET_LOOP_LOOP_H

#include "common/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct loop;
struct loop_buf;

enum loop_engine_id {
	LOOP_ENGINE_AUTO,  /* uring where it works, else aio; KURA_ENGINE=uring|aio decides */
	LOOP_ENGINE_URING, /* io_uring */
	LOOP_ENGINE_AIO,   /* epoll, libaio for O_DIRECT, a thread pool for what would block */
	LOOP_ENGINE_SIM,   /* for tests: own clock, scripted completions (loop_sim.h) */
};

struct loop_opts {
	enum loop_engine_id engine;
	unsigned index;       /* which loop this is, 0.. ; names the thread */
	unsigned rx_bufs;     /* receive buffers; 0: LOOP_RX_BUFS */
	uint32_t rx_buf_size; /* bytes of each; 0: LOOP_RX_BUF_SIZE */
	uint64_t data_max;    /* most bytes of data buffers out at once; 0: LOOP_DATA_MAX */
	int cpu;              /* pin the thread here; -1: do not */
};

#define LOOP_RX_BUFS     256u
#define LOOP_RX_BUF_SIZE (64u << 10)
#define LOOP_DATA_MAX    (64ull << 20)

/*
 * Makes a loop that is not running. NULL with *err a negative errno: -ENOSYS or -EPERM when the
 * wanted engine is switched off on this kernel. Returns owned; any thread.
 */
struct loop *loop_new(const struct loop_opts *opts, int *err);

/* Frees a loop that is not running and on which nothing is open. Takes it. */
void loop_free(struct loop *loop);

/*
 * Turns until loop_stop, on the calling thread, which becomes the loop's thread. A turn: run what
 * completed, what was posted, what was deferred, timers, then the at-turn-end hooks; then one
 * system call submits what was queued and waits.
 */
void loop_run(struct loop *loop);

/* Makes loop_run return at the end of a turn. Any thread. */
void loop_stop(struct loop *loop);

/* "uring", "aio" or "sim"; static. Any thread. */
const char *loop_engine_name(const struct loop *loop);

/* The index it was made with. Any thread. */
unsigned loop_index(const struct loop *loop);

/* Monotonic time of this turn, in nanoseconds (read once a turn). */
uint64_t loop_now_ns(const struct loop *loop);

/* The loop that runs on the calling thread, or NULL. Any thread. */
struct loop *loop_self(void);

/* ---- posts: work sent to a loop ---- */

struct loop_post {
	struct loop_post *next;              /* the loop's, while posted */
	void (*run)(struct loop_post *post); /* on the loop's thread; may free or post again */
};

/* Runs `post` once on `loop`'s thread, in the order of posting per poster. Keeps until run. Any
 * thread, also the loop's own (then it runs later in this turn or in the next one). */
void loop_post(struct loop *loop, struct loop_post *post);

/* ---- turn end ---- */

struct loop_hook {
	struct list node;                    /* in the loop's list while armed */
	void (*run)(struct loop_hook *hook); /* at the end of this turn, once */
};

/* Runs `hook` at the end of this turn, before what is queued goes to the kernel: the place to send
 * everything that became ready. Arming an armed hook does nothing. Keeps until run. */
void loop_turn_end(struct loop *loop, struct loop_hook *hook);

/* Disarms; harmless when not armed. A hook must be initialised with loop_hook_init. */
void loop_hook_cancel(struct loop_hook *hook);

/* Prepares a hook; not armed. */
void loop_hook_init(struct loop_hook *hook, void (*run)(struct loop_hook *hook));

/* ---- timers ---- */

struct loop_timer {
	struct list node;                      /* in a wheel slot while set */
	uint64_t due_ns;                       /* when; 0: not set */
	void (*run)(struct loop_timer *timer); /* may set it again or free it */
};

/* Prepares a timer; not set. */
void loop_timer_init(struct loop_timer *timer, void (*run)(struct loop_timer *timer));

/* Sets or moves `timer` to `ms` from now; accuracy 10 ms. Keeps until run or cancelled. An idle
 * loop without timers sleeps without end. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms);

/* Stops it; harmless when not set. After this `run` is not called. */
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* ---- listeners ---- */

struct loop_listener {
	int fd; /* listening socket, owned by the caller */
	void (*accepted)(
		struct loop_listener *l, int fd); /* fd >= 0 owned (non-blocking); or -errno */
	void (*closed)(struct loop_listener *l);  /* after loop_listener_stop */
	void *engine;                             /* the engine's */
};

/* Accepts connections until stopped. Out of descriptors: pauses a second and goes on by itself.
 * Keeps until closed(). */
void loop_listener_start(struct loop *loop, struct loop_listener *l);

/* Stops; `closed` comes later. The descriptor stays the caller's to close. */
void loop_listener_stop(struct loop *loop, struct loop_listener *l);

/* ---- receive buffers ---- */

/* A receive buffer with a count of users; it goes back to the loop's pool with the last one. */
struct loop_rxbuf {
	struct loop *loop; /* home */
	uint8_t *data;     /* the bytes */
	uint32_t refs;     /* users; the loop's thread only */
	uint32_t id;       /* the engine's */
	uint32_t len;      /* the engine's: bytes, while it waits in a paused stream */
	struct list node;  /* in the free stack; the engine's while it waits */
};

/* One more user. */
static inline void loop_rxbuf_get(struct loop_rxbuf *b)
{
	b->refs++;
}

/* One user less; the last one gives it back to the pool. */
void loop_rxbuf_put(struct loop_rxbuf *b);

/* Whether so many receive buffers are held that further data should be copied out, not held. */
bool loop_rxbuf_scarce(const struct loop *loop);

/* ---- streams: connected sockets ---- */

struct loop_stream;

struct loop_stream_ops {
	/*
	 * `len` > 0 bytes at `data` inside `buf` arrived; the buffer is borrowed: loop_rxbuf_get
	 * keeps it. len 0: the peer closed (buf NULL). len < 0: -errno, the stream is dead. After 0
	 * or an error no more comes.
	 */
	void (*received)(struct loop_stream *s, struct loop_rxbuf *buf, uint8_t *data, int len);
	/* The send is over: 0 when every byte was taken by the kernel, else -errno, stream dead. */
	void (*sent)(struct loop_stream *s, int res);
	/* After loop_stream_close: nothing refers to the stream any more, the descriptor is closed;
	 * it may be freed. */
	void (*closed)(struct loop_stream *s);
};

struct loop_stream {
	const struct loop_stream_ops *ops;
	struct loop *loop;
	int fd;              /* owned by the loop from loop_stream_open on */
	bool sending;        /* a send is in flight */
	bool paused;         /* receive is paused */
	bool closing;        /* loop_stream_close or _release was called */
	bool released;       /* it was _release: the descriptor stays open */
	bool lost;           /* and bytes came that nobody has seen */
	void *engine;        /* the engine's state, owned by it */
	uint64_t scratch[2]; /* the engine's */
};

/* Starts receiving on the connected, non-blocking socket `fd`, which it takes. Keeps `s` until
 * closed(). 0 or -errno (-ENOMEM, -ENFILE: nothing was taken). Sets TCP_NODELAY. */
int loop_stream_open(
	struct loop *loop, struct loop_stream *s, int fd, const struct loop_stream_ops *ops);

/* Sends all of `iov` (`n` entries, `n` <= LOOP_IOV_MAX), in one system call where the kernel takes
 * it. One send at a time. Keeps iov and the bytes until sent(). */
void loop_stream_send(struct loop_stream *s, const struct iovec *iov, unsigned n);
#define LOOP_IOV_MAX 1024u

/* No received() until resumed. What the kernel has already handed over waits; the peer is slowed
 * down by TCP. Pausing twice is the same as once. */
void loop_stream_pause(struct loop_stream *s);

/* The opposite; received() comes later, not inside. */
void loop_stream_resume(struct loop_stream *s);

/* Shuts down and closes. received() comes no more; sent() still comes (-ECANCELED or as it went)
 * when a send is in flight; then closed(). */
void loop_stream_close(struct loop_stream *s);

/*
 * Stops receiving and gives the descriptor back, so that it can be opened on another loop: after
 * closed() `fd` is open and the caller's again. No send may be in flight. received() comes no more;
 * when bytes had come by then that nobody will see, `lost` is set.
 */
void loop_stream_release(struct loop_stream *s);

/* ---- data buffers ---- */

/*
 * A page-aligned piece of memory for SCSI data, from a pool that hands out the warmest first and is
 * registered with the kernel where the engine can. Sizes are rounded up to a power of two, 4 KiB to
 * LOOP_BUF_MAX.
 */
struct loop_buf {
	uint8_t *data;    /* page-aligned */
	uint32_t size;    /* bytes usable, >= what was asked for */
	int index;        /* registered buffer index, or -1 */
	struct list node; /* in the pool while free */
};
#define LOOP_BUF_MAX (8u << 20)

/* `len` bytes, 1..LOOP_BUF_MAX, not zeroed; NULL when data_max is out. Returns owned. */
struct loop_buf *loop_buf_get(struct loop *loop, uint32_t len);

/* Gives it back. Takes it. */
void loop_buf_put(struct loop *loop, struct loop_buf *buf);

/* Bytes of data buffers that are out, of loop_data_most. */
uint64_t loop_data_out(const struct loop *loop);

/* The most bytes that can be out: data_max. */
uint64_t loop_data_most(const struct loop *loop);

/* Runs `hook` once, at the end of the turn in which a buffer comes back and no more than half of
 * them are out. One hook at a time. Keeps until run. */
void loop_data_relief(struct loop *loop, struct loop_hook *hook);

/* ---- files ---- */

enum loop_io_op {
	LOOP_IO_READ,      /* preadv2: iov, off, rw_flags */
	LOOP_IO_WRITE,     /* pwritev2: iov, off, rw_flags (RWF_DSYNC) */
	LOOP_IO_DATASYNC,  /* fdatasync */
	LOOP_IO_FALLOCATE, /* fallocate: mode, off, len */
	LOOP_IO_CALL,      /* run(io) on a thread that may block; its result is the result */
};

struct loop_file {
	int fd;      /* owned by the caller */
	int slot;    /* registered file slot of this loop, or -1 */
	bool direct; /* opened with O_DIRECT */
	bool memory; /* tmpfs, ramfs: reads and writes never wait for a device */
};

struct loop_io {
	struct list node; /* the loop's while submitted */
	enum loop_io_op op;
	struct loop_file *file;         /* borrowed until done; NULL for a LOOP_IO_CALL of none */
	struct iovec *iov;              /* kept until done; the engine may change it */
	unsigned iovcnt;                /* <= LOOP_IOV_MAX */
	const struct loop_buf *buf;     /* iov is one piece inside this buffer; or NULL */
	uint64_t off, len;              /* bytes; len = sum of iov for read and write */
	int flags;                      /* rw_flags, or fallocate's mode */
	int (*run)(struct loop_io *io); /* LOOP_IO_CALL: on some thread */
	void (*done)(struct loop_io *io, int res); /* bytes moved or 0; or -errno */
	int res;                                   /* the engine's */
	uint64_t moved;        /* the engine's: bytes of earlier partial results */
	struct loop_post post; /* the engine's */
	struct loop *loop;     /* the engine's */
};

/*
 * Prepares `f` for I/O on `loop`: registers the descriptor where the engine can, and fills in
 * `direct` and `memory` by looking at it. 0 or -errno. The caller keeps owning `fd`.
 */
int loop_file_open(struct loop *loop, struct loop_file *f, int fd);

/* Undoes loop_file_open; no I/O may be in flight. */
void loop_file_close(struct loop *loop, struct loop_file *f);

/*
 * Queues `io`; done() comes exactly once, later, on this loop's thread. Partial reads and writes
 * are continued by the engine; a read that ends at end of file gives the bytes until there. Keeps
 * `io` until done. Before loop_run at most 128 requests, which begin with the first turn.
 */
void loop_io_submit(struct loop *loop, struct loop_io *io);

/* Queues a LOOP_IO_CALL of `run`, whose fields it fills in; else as loop_io_submit. `file` is what
 * it works on and may hang at, or NULL. */
void loop_io_call(struct loop *loop, struct loop_io *io, struct loop_file *file,
	int (*run)(struct loop_io *io), void (*done)(struct loop_io *io, int res));

/*
 * Calls done(io, res) later in this turn: for those who have the result at once, as memory stores
 * do, and must not call back inside the call. Keeps `io` until done.
 */
void loop_io_finish(struct loop *loop, struct loop_io *io, int res);

#endif
