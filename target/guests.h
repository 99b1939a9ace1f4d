/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guests.h: the sessions of a running server, for a thread that may wait: it asks every loop, and
 * gives up on one that does not answer in time.
 */
#ifndef KURA_TARGET_GUESTS_H
#define KURA_TARGET_GUESTS_H

#include "target/iscsi/look.h"
#include "target/server.h"

/* Adds every session (iscsi_session_look, the caller's) to `into`, by loops. Returns -1, or the
 * index of a loop that did not answer, whose sessions are missing. Not on a loop's thread. */
int guests_look(struct server *srv, struct list *into);

/* Frees what guests_look has found. */
void guests_free(struct list *sessions);

/* iscsi_dismiss on every loop; *count: how many connections it concerns. Returns as guests_look. */
int guests_dismiss(struct server *srv, uint16_t tsih, enum iscsi_farewell farewell,
	uint16_t seconds, unsigned *count);

/* How somebody waits for others to go: he who embeds it may let go of something meanwhile. */
struct guests_wait {
	/* Sleeps for about so long; false: nobody waits any more. */
	bool (*pause)(struct guests_wait *wait, unsigned ms);
};

/*
 * Asks the session `tsih` (0: all) to log out, waits up to `seconds`, and then ends what is left; 0
 * seconds: at once. *ended: whether some had to be ended. Borrows `wait`. Returns 0, -ETIMEDOUT
 * when a loop does not answer or connections are still there, or -ECANCELED when a pause says so:
 * then nobody is asked or ended after it. Not on a loop's thread.
 */
int guests_see_out(
	struct server *srv, uint16_t tsih, unsigned seconds, struct guests_wait *wait, bool *ended);

#endif
