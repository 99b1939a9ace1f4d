/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h: what the files of the load share: lane.c (one session and its part of the disk), worker.c
 * (one thread and its lanes) and run.c (all of it, from the main thread).
 */
#ifndef KURA_TESTS_BENCH_LOAD_H
#define KURA_TESTS_BENCH_LOAD_H

#include "tests/bench/hist.h"
#include "tests/bench/opts.h"
#include "tests/bench/sess.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum phase { PHASE_FILL, PHASE_RUN, PHASE_SWEEP, PHASES };

/* A session and the part of the disk that is its own in this phase. */
struct lane {
	struct sess s;
	struct worker *w;
	uint64_t home, home_count;     /* chunks that are this lane's */
	uint64_t first, count, cursor; /* chunks of this phase and the next one in order */
	uint64_t rng;
	uint8_t *bufs; /* a buffer per task when checking */
};

struct worker {
	struct load *load;
	pthread_t thread;
	struct lane *lanes;
	unsigned int nlanes;
	struct pollfd *poll;
	enum phase phase;
	uint64_t reads, writes, checked;
	struct hist latency;
};

struct load {
	const struct opts *o;
	uint64_t chunks;      /* places of block_bytes on the disk */
	uint32_t block_bytes; /* logical block of the disk */
	uint32_t *gen;        /* per chunk: the last write of it */
	uint8_t *busy;        /* per chunk: a command is on its way to it */
	uint8_t *data;        /* what is written when nothing is checked */
	struct lane *lanes;
	struct worker *workers;
	pthread_barrier_t gate;
	atomic_bool stop, counting, failed;
};

/* The next number of a generator; the state is never 0. */
uint64_t load_random(uint64_t *state);

/* Whether the user wants this phase. */
bool load_wants(const struct opts *o, enum phase phase);

/* Gives the lane its part of the disk for the phase of its worker. Its worker's thread. */
void lane_begin(struct lane *l);

/* Whether the phase has more for this lane to start. Its worker's thread. */
bool lane_more(const struct lane *l);

/* Starts as many commands as depth and window allow and sends them. Its worker's thread. Returns 0
 * or a negative errno when the connection is gone. */
int lane_top_up(struct lane *l);

/* The body of a worker's thread; `arg` is its struct worker, *kept* until the thread ends. */
void *worker_main(void *arg);

#endif
