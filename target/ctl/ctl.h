/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h: the control socket, where the admin tool asks a running kurad.
 *
 * JSON-RPC 2.0 over a Unix stream socket, one request and one answer per line. It has a thread of
 * its own, so that a question never waits in the data path; whoever may open the socket (mode 0600)
 * may ask everything.
 */
#ifndef KURA_TARGET_CTL_CTL_H
#define KURA_TARGET_CTL_CTL_H

#include "target/server.h"

#define CTL_WHY_LEN     512
#define CTL_REQUEST_MAX (64u << 10) /* bytes of one request */
#define CTL_CLIENTS_MAX 16u         /* connections at once */

struct ctl;

/*
 * Makes the socket `path` (its folder, too, when that is missing) and begins to answer for `srv`
 * (borrowed until ctl_stop). A socket that a dead kurad left behind is replaced. NULL: *err is a
 * negative errno and `why` (CTL_WHY_LEN) a sentence. Returns owned.
 */
struct ctl *ctl_start(const char *path, const struct server *srv, int *err, char *why);

/* Ends the thread, closes every connection and removes the socket. NULL is fine. Takes it. */
void ctl_stop(struct ctl *ctl);

/*
 * The answer to one request of `len` bytes, or NULL when it wants none (a notification). Returns
 * owned. The control thread's, and tests'.
 */
char *ctl_answer(const struct server *srv, const char *text, size_t len);

#endif
