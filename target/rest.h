/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.h: a server at rest, for maintenance: nobody may log in, nobody is there, and what was
 * written is on disk; the process goes on and opens again when it is told so.
 */
#ifndef KURA_TARGET_REST_H
#define KURA_TARGET_REST_H

#include "target/guests.h"

enum rest_state {
	REST_SERVING,
	REST_DRAINING, /* nobody may log in; some are still there, or something is not flushed */
	REST_DRAINED,
};

/* What rest_begin has met. */
struct rest_report {
	unsigned sessions; /* that there were */
	bool ended;        /* some did not log out by themselves */
	unsigned failed;   /* volumes that could not be flushed; logged */
};

/*
 * Refuses logins, asks every session to log out within `seconds`, ends the rest, and flushes every
 * volume. 0; -ETIMEDOUT: somebody is still there; -EBUSY: a change of the configuration is under
 * way; -EIO: not everything is flushed; -ECANCELED: rest_end was called, or a pause said so. With
 * another error than that logins stay refused: begin again or end it. Borrows `wait`. One thread at
 * a time, none of the loops'; but during a pause others may begin it, too, or end it.
 */
int rest_begin(
	struct server *srv, unsigned seconds, struct guests_wait *wait, struct rest_report *report);

/* Opens again, and ends the wait of rest_begin; harmless when it serves. The same threads. */
void rest_end(struct server *srv);

/* How it is. Any thread. */
enum rest_state rest_state(const struct server *srv);

/* "serving", "draining", "drained"; static. */
const char *rest_state_name(enum rest_state state);

/* Tells the service manager that it is ready, and how it is. Any thread. */
void rest_notify(const struct server *srv);

#endif
