/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h: a configuration made real: loops and their threads, storage, targets, listening
 * sockets, and a clean end of all of them.
 *
 * It is made, started, stopped and freed by one thread, which is none of the loops'; apply.h makes
 * it follow another configuration. The stop runs
 * on loop 0, step by step: no new connections, sessions are asked to log out and ended, volumes are
 * flushed, each loop lets go of its channels and ends.
 */
#ifndef KURA_TARGET_SERVER_H
#define KURA_TARGET_SERVER_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVER_WHY_LEN 640

struct server;
struct scsi_domain;

struct server_opts {
	const char *state_dir; /* borrowed: where identities and reservations are kept */
};

/*
 * Opens what `cfg` (takes, in any case) names: loops, volumes, targets, listening sockets.
 * Nothing runs yet. NULL with a sentence in `why` (SERVER_WHY_LEN). Returns owned. Blocks.
 */
struct server *server_new(struct config *cfg, const struct server_opts *opts, char *why);

/* Starts the threads and logs one line per portal. 0, or -errno with a sentence in `why`; then the
 * process can only end. */
int server_start(struct server *srv, char *why);

/* A descriptor that becomes readable when every loop has ended. Borrowed. */
int server_over_fd(const struct server *srv);

/* Whether every loop has ended. */
bool server_is_over(const struct server *srv);

/* Begins the clean stop that ends all loops, which is to take `ms` altogether; once. Waits for a
 * change that is under way, at most half of that: false, it does not end, and nothing has begun.
 * Does not wait for the loops: see server_over_fd. */
bool server_stop(struct server *srv, unsigned ms);

/* Frees everything; never started, or over. NULL is fine. Takes it; blocks. */
void server_free(struct server *srv);

/* ---- what can be asked of it, any thread ---- */

/* Number of loops. */
unsigned server_loops(const struct server *srv);

/* The engine that they run on: "uring" or "aio"; static. */
const char *server_engine(const struct server *srv);

/* The connections of one loop, by its index. */
unsigned server_loop_load(const struct server *srv, unsigned loop);

/* Its sessions, with those that are ending. */
unsigned server_sessions(const struct server *srv);

/* The SCSI side of its loops; borrowed. */
struct scsi_domain *server_domain(const struct server *srv);

/* The configuration that it was started with, and that the next start reads. Borrowed. */
const char *server_config_file(const struct server *srv);

/* Seconds since it was started. */
uint64_t server_uptime(const struct server *srv);

/*
 * What it serves now, borrowed until server_view_end: until then nothing of it changes, and volumes
 * stay open. Not for long, and not from a loop.
 */
const struct config *server_view(struct server *srv);

/* The opposite. */
void server_view_end(struct server *srv);

/* The volume of this name, borrowed as long as the view; NULL: it is not open. */
struct vol *server_volume(const struct server *srv, const char *name);

/* Where a portal of the view listens: its port, also where the kernel chose it; 0: nowhere. While
 * the view lasts. */
uint16_t server_port(const struct server *srv, const struct cfg_portal *p);

/* The longest that a clean stop may take now. */
unsigned server_stop_seconds(struct server *srv);

#endif
