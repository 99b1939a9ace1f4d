/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow.h: the lane for calls that block: a few threads, shared by all loops of the process, made
 * when there is work and ended when there is none for a while. Results come back by post.
 */
#ifndef KURA_TARGET_LOOP_SLOW_H
#define KURA_TARGET_LOOP_SLOW_H

#include "target/loop/loop.h"

/* One more loop that may submit. Any thread. */
void slow_get(void);

/* One less, with nothing in flight; the last one ends the threads and waits for them. Any thread.
 */
void slow_put(void);

/* Runs `io` on a thread of the lane; done() comes on io->loop. A file has few of the threads, and
 * calls without one have their own, so that neither holds up others when it hangs. Keeps `io` until
 * done. Any thread. */
void slow_io_submit(struct loop_io *io);

/* Runs `io` here, blocking, to its end: its result, bytes or 0 or -errno. Any thread. */
int slow_io_run(struct loop_io *io);

#endif
