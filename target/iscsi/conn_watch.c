// SPDX-License-Identifier: Apache-2.0
/*
 * conn_watch.c: a connection that stops in the middle of something: of a PDU, of the data of a
 * write, of reading what it is sent. Without this each of them would hold buffers and tasks for as
 * long as the peer answers pings.
 *
 * The timer is set when something begins and none is running, and looks for what is oldest when it
 * is over; so a busy connection sets it once in stall_seconds and never stops it.
 */
#include "target/iscsi/session.h"

#include "common/stat.h"

/* When the oldest of what is going on last moved, and what it is; 0: nothing is going on. */
static uint64_t watch_oldest(const struct conn *c, const char **what)
{
	uint64_t oldest = UINT64_MAX;

	if (c->tx.batch) {
		oldest = c->tx.since_ns;
		*what = "it does not read what it is sent";
	}
	if ((c->rx.state != CONN_RX_HEAD || c->rx.have) && c->rx.since_ns < oldest) {
		oldest = c->rx.since_ns;
		*what = "it stopped in the middle of a PDU";
	}
	for (unsigned i = 0; c->session && i < SESSION_HASH; i++)
		for (const struct session_task *t = c->session->by_itt[i]; t; t = t->hash_next)
			if (t->conn == c && dataout_owed(t) && t->moved_ns < oldest) {
				oldest = t->moved_ns;
				*what = "it owes the data of a write";
			}
	return oldest == UINT64_MAX ? 0 : oldest;
}

static void watch_run(struct loop_timer *timer)
{
	struct conn *c = container_of(timer, struct conn, watch);
	uint64_t limit_ns = c->home->opts.stall_seconds * 1000000000ull;
	const char *what = NULL;
	uint64_t since_ns = watch_oldest(c, &what);
	uint64_t now_ns = loop_now_ns(c->loop);

	if (!since_ns)
		return;
	if (now_ns - since_ns >= limit_ns) {
		stat_add(STAT_iscsi_stalls, 1);
		conn_close(c, what);
		return;
	}
	loop_timer_set(c->loop, timer, (uint32_t)((limit_ns - (now_ns - since_ns)) / 1000000) + 1);
}

void conn_watch_init(struct conn *c)
{
	loop_timer_init(&c->watch, watch_run);
}

void conn_watch_arm(struct conn *c)
{
	/* before full feature phase and behind a logout the connection has a time anyhow */
	if (!c->watch.due_ns && c->state == CONN_LOGGED_IN && c->home->opts.stall_seconds)
		loop_timer_set(c->loop, &c->watch, c->home->opts.stall_seconds * 1000);
}
