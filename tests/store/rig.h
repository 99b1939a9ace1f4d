/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h: a loop on a thread of its own, and requests to volumes from the thread of a test, which
 * waits for each. Every request is held against the contract: done once, on its loop, not inside.
 */
#ifndef KURA_TESTS_STORE_RIG_H
#define KURA_TESTS_STORE_RIG_H

#include "volume/volume.h"

#include <pthread.h>
#include <semaphore.h>

struct rig {
	struct loop *loop; /* owned */
	pthread_t thread;  /* in loop_run */
	enum loop_engine_id engine;
};

/* A request on its way. Zeroed, then rig_req_init. */
struct rig_req {
	struct vol_io io;        /* the test fills op .. extents */
	struct rig *rig;         /* where it runs */
	struct vol_chan *chan;   /* on what */
	struct loop_post post;   /* brings it to the loop */
	sem_t sem;               /* posted when done */
	int res;                 /* what done said */
	unsigned done;           /* times that done ran */
	bool submitting;         /* inside vol_submit */
	bool broken;             /* done ran inside vol_submit or on a foreign thread */
	struct iovec pieces[16]; /* room for io.iov */
};

/* Starts a loop; NULL when this kernel does not let us have the engine. Returns owned. */
struct rig *rig_new(enum loop_engine_id engine);

/* Stops and frees it. Takes it. */
void rig_free(struct rig *rig);

/* Runs `fn(arg)` on the loop and waits for it. */
void rig_call(struct rig *rig, void (*fn)(struct rig *rig, void *arg), void *arg);

/* Opens and closes a channel on the loop. */
struct vol_chan *rig_chan_open(struct rig *rig, struct vol *vol);
void rig_chan_close(struct rig *rig, struct vol_chan *chan);

/* A data buffer of the loop, and back. */
struct loop_buf *rig_buf_get(struct rig *rig, uint32_t len);
void rig_buf_put(struct rig *rig, struct loop_buf *buf);

/* Prepares a request; the test fills req->io. */
void rig_req_init(struct rig_req *req, struct rig *rig, struct vol_chan *chan);

/* Sends it to the loop. */
void rig_submit(struct rig_req *req);

/* Waits for it (at most 30 seconds, then the process ends), checks the contract, and gives the
 * result. */
int rig_wait(struct rig_req *req);

/* Whole requests: init, submit, wait. `data` is one piece of `len` bytes. */
int rig_rw(struct rig *rig, struct vol_chan *chan, enum vol_op op, uint64_t off, void *data,
	uint64_t len, uint32_t flags);
int rig_op(struct rig *rig, struct vol_chan *chan, enum vol_op op, uint64_t off, uint64_t len,
	uint32_t flags);

/* EXTENTS over a range; the number of extents, or -errno. */
int rig_extents(struct rig *rig, struct vol_chan *chan, uint64_t off, uint64_t len,
	struct vol_extent *extents, unsigned max);

/* A small generator, the same numbers for the same seed. */
static inline uint64_t rig_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

#endif
