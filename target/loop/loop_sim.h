/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_sim.h: the test's side of the engine LOOP_ENGINE_SIM: a loop with its own clock, streams
 * whose other end is the test, and files of which every request can be held, failed or reordered.
 *
 * One thread. Nothing happens but in sim_turn and those that call it. A test makes the loop with
 * loop_new, hands the descriptors made here to the code under test, and plays the world.
 */
#ifndef KURA_TARGET_LOOP_LOOP_SIM_H
#define KURA_TARGET_LOOP_LOOP_SIM_H

#include "target/loop/loop.h"

#include <stddef.h>

struct sim_peer;

/* A loop of the engine sim with default options; the process ends when memory is out. */
struct loop *sim_loop_new(void);

/* One turn. True when it called anything back or work is left for the next. */
bool sim_turn(struct loop *loop);

/* Turns until nothing is left to do without time passing or the test acting; at most 10,000. */
void sim_run(struct loop *loop);

/* Lets `ms` pass: sim_run, then from timer to timer with sim_run after each. */
void sim_advance(struct loop *loop, uint32_t ms);

/* Milliseconds until the next timer, or -1: the loop would sleep without end. */
int64_t sim_next_timer_ms(struct loop *loop);

/* ---- streams ---- */

/* A connection: *fd (owned by the caller) is for loop_stream_open, the peer for the test, until
 * sim_peer_free. */
struct sim_peer *sim_stream(struct loop *loop, int *fd);

/* Ends the test's use; the stream must be closed. Not inside a callback. Takes it. */
void sim_peer_free(struct sim_peer *peer);

/* The peer sends `len` bytes; they are copied and arrive in coming turns. */
void sim_push(struct sim_peer *peer, const void *bytes, size_t len);

/* From now on at most `chunk` bytes arrive in one received(); 0: as many as a buffer holds. */
void sim_chunk(struct sim_peer *peer, size_t chunk);

/* The peer closes: received() says 0 after all that was pushed. */
void sim_peer_eof(struct sim_peer *peer);

/* The connection breaks: received() and a send in flight say -err. */
void sim_peer_break(struct sim_peer *peer, int err);

/* Bytes sent by the code under test and not yet taken; *bytes is borrowed until the next turn. */
size_t sim_sent(struct sim_peer *peer, const uint8_t **bytes);

/* Forgets the first `len` of them. */
void sim_take(struct sim_peer *peer, size_t len);

/* Only `window` more bytes are taken from the code under test, then sends stall; SIZE_MAX: no limit
 * (as at first). Raising it lets a stalled send go on. */
void sim_window(struct sim_peer *peer, size_t window);

/* Whether the code under test has closed its end. */
bool sim_peer_closed(const struct sim_peer *peer);

/* A listener that was started gets a connection, as by accept; the peer is the test's. */
struct sim_peer *sim_connect(struct loop_listener *l);

/* ---- files: real descriptors; requests are carried out when they complete ---- */

/* From now on requests are held (true) until sim_io_complete, or complete in the next turn. */
void sim_io_hold(struct loop *loop, bool hold);

/* How many requests are held. */
unsigned sim_io_held(const struct loop *loop);

/* The nth of them, oldest first, or NULL; borrowed. */
struct loop_io *sim_io_nth(const struct loop *loop, unsigned n);

#define SIM_IO_DO 1 /* as result: carry it out and give what comes */

/* Completes a held request in the next turn: SIM_IO_DO, or a negative errno without doing it. */
void sim_io_complete(struct loop *loop, struct loop_io *io, int res);

/* The next request that is submitted, after `skip` others, fails with -err. */
void sim_io_fail(struct loop *loop, unsigned skip, int err);

/* From now on each request takes `ms` of the simulated time; 0: none. */
void sim_io_delay(struct loop *loop, uint32_t ms);

#endif
