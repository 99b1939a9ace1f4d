/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tend.h: what verbs of volumes ask of a running server: its pools, and changes of a volume that no
 * configuration tells of.
 *
 * Those changes and server_apply exclude each other: server_tend begins, server_tend_end ends them.
 * All of it on threads that may block and are none of the loops'.
 */
#ifndef KURA_TARGET_TEND_H
#define KURA_TARGET_TEND_H

#include "target/pools.h"
#include "target/server.h"
#include "volume/pool.h"

/* A pool to be used until server_pool_put; NULL: it is not open. Any thread. */
struct pool *server_pool(struct server *srv, const char *name);

/* The opposite; NULL is allowed. */
void server_pool_put(struct server *srv, struct pool *pool);

/* Opens a pool that no configuration names yet; the next one that is followed does, or closes it.
 * 0 or -errno with a sentence in `why` (SERVER_WHY_LEN). In a CHANGE. */
int server_pool_open(struct server *srv, const struct cfg_pool *cfg, char *why);

/* Closes what was so opened and is not named. In a CHANGE. */
void server_pool_drop(struct server *srv);

/* How full the pools are that say so; see pools_levels. Any thread. */
struct pools_level *server_pool_levels(struct server *srv, unsigned *count);

/* What pools_watch calls, with a server: a unit attention for every thin unit in that pool. */
bool server_pool_short(void *srv, const char *pool);

/* Where notes are kept (doing.h), borrowed. Any thread. */
const char *server_state_dir(const struct server *srv);

/* ---- changes of a volume ---- */

/* Begins them; false: another change is under way and takes too long, or the server stops. */
bool server_tend(struct server *srv);

/* Ends them. */
void server_tend_end(struct server *srv);

/* The volume has another size below: initiators are told. 0 or -errno: -ENOENT, when it is not
 * open. */
int server_resized(struct server *srv, const char *volume);

struct server_hold;

/*
 * Holds everything that would change a volume, on every loop; what was under way is done then.
 * NULL: something does not end, and nothing is held. `err` gets a negative errno. Returns owned:
 * server_release.
 */
struct server_hold *server_hold(struct server *srv, const char *volume, int *err);

/* Lets go of it; what waited goes on. Takes it. For how many microseconds it was held. */
uint64_t server_release(struct server_hold *hold);

/* Closes a volume that nobody maps, though the configuration names it. 0 or -errno. */
int server_put_aside(struct server *srv, const char *volume, char *why);

/* Opens it again. 0 or -errno with a sentence (SERVER_WHY_LEN), which is logged, too. */
int server_take_back(struct server *srv, const char *volume, char *why);

#endif
