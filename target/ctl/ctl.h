/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h: the control socket, where the admin tool asks a running kurad.
 *
 * JSON-RPC 2.0 over a Unix stream socket, one request and one answer per line. Each client has a
 * thread, so that neither a slow verb nor a slow reader holds up another one, and never the data
 * path. Who may connect: root and the user of kurad, and the members of two groups, if there are
 * such: "kura" may do everything, "kura-monitor" may look.
 */
#ifndef KURA_TARGET_CTL_CTL_H
#define KURA_TARGET_CTL_CTL_H

#include "target/ctl/call.h"

#define CTL_CLIENTS_MAX  32u /* connections at once */
#define CTL_LOOKERS_MAX  24u /* of them, of those who may only look: no dashboard keeps root out */
#define CTL_SEND_SECONDS 10u /* who does not read an answer for so long is closed */

#define CTL_GROUP         "kura"
#define CTL_MONITOR_GROUP "kura-monitor"

struct ctl;

/*
 * Makes the socket `path` (its folder, too, when that is missing) and begins to answer for `srv`
 * (borrowed until ctl_stop). A socket that a dead kurad left behind is replaced. NULL: *err is a
 * negative errno and `why` (CTL_WHY_LEN) a sentence. Returns owned.
 */
struct ctl *ctl_start(const char *path, struct server *srv, int *err, char *why);

/* The number of a group of this machine; false: there is none of that name. Any thread. */
bool ctl_group(const char *name, gid_t *gid);

/* Ends jobs and clients, removes the socket. NULL is fine. Takes it; waits for verbs that run. */
void ctl_stop(struct ctl *ctl);

/* From now on no verb changes anything: one that is at it has ended. Blocks, at most `ms`: false,
 * it has not ended. NULL is fine. */
bool ctl_hold(struct ctl *ctl, unsigned ms);

/* The opposite. */
void ctl_release(struct ctl *ctl);

/* Whoever asks, and whom. All borrowed. */
struct ctl_asker {
	struct server *srv;
	struct ctl_jobs *jobs;
	pthread_mutex_t *change; /* held while a verb changes something */
	const bool *ending;      /* kurad ends: nobody shall wait long; atomic */
	bool may_change;
	bool changed; /* the last request was for a change */
	uid_t uid;
	const char *control; /* the path of the socket */
};

/*
 * The answer to one request of `len` bytes, or NULL when it wants none (a notification). Returns
 * owned. Any thread; blocks as long as the verb does.
 */
char *ctl_answer(struct ctl_asker *asker, const char *text, size_t len);

#endif
