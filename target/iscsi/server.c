// SPDX-License-Identifier: Apache-2.0
/*
 * server.c: the iSCSI side of the process: its connections by loop, and its clean end.
 */
#include "target/iscsi/keys.h"
#include "target/iscsi/session.h"

#include "common/own.h"
#include "common/stat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_LOOK_MS 20u

/* What is 0 and has to be something. */
static struct iscsi_opts server_defaults(struct iscsi_opts o)
{
	o.max_sessions = o.max_sessions ? o.max_sessions : UINT16_MAX - 1; /* TSIHs are 16 bits */
	o.max_tasks = o.max_tasks ? o.max_tasks : COMMAND_TASKS_MAX;
	o.max_text = o.max_text ? o.max_text : KEYS_TEXT_MAX;
	o.max_burst = o.max_burst ? o.max_burst : 1u << 20;
	o.first_burst = o.first_burst ? o.first_burst : 256u << 10;
	o.max_r2t = o.max_r2t ? o.max_r2t : 8;
	o.logout_seconds = o.logout_seconds ? o.logout_seconds : o.login_seconds;
	return o;
}

/* Of what the process may have, one loop's. */
static uint32_t server_share(unsigned most, unsigned loops)
{
	uint32_t share = (most + loops - 1) / loops;

	return share < COMMAND_TASKS_MAX ? share : COMMAND_TASKS_MAX;
}

void server_take_opts(struct iscsi_loop *home, const struct iscsi_opts *opts)
{
	home->opts = server_defaults(*opts);
	home->task_most = server_share(home->opts.max_tasks, home->srv->loop_count);
}

struct iscsi_server *iscsi_server_new(const struct iscsi_opts *opts, struct scsi_domain *domain,
	struct loop *const *loops, unsigned n)
{
	struct iscsi_server *srv = own_calloc(1, sizeof *srv + n * sizeof srv->loops[0]);
	struct iscsi_catalogue *cat = iscsi_catalogue_new();

	own_assert(opts->queue_depth && opts->queue_depth <= SESSION_DEPTH_MAX);
	arrive_init(&srv->arrive);
	srv->domain = domain;
	srv->loop_count = n;
	list_init(&srv->sessions);
	for (unsigned i = 0; i < n; i++) {
		struct iscsi_loop *home = &srv->loops[i];

		home->srv = srv;
		server_take_opts(home, opts);
		home->loop = loops[i];
		home->catalogue = catalogue_get(cat);
		list_init(&home->conns);
		list_init(&home->free_tasks);
		list_init(&home->free_batches);
		window_init(home);
	}
	iscsi_catalogue_put(cat);
	return srv;
}

void iscsi_server_free(struct iscsi_server *srv)
{
	own_assert(!srv->conn_total && list_empty(&srv->sessions));
	for (unsigned i = 0; i < srv->loop_count; i++) {
		struct iscsi_loop *home = &srv->loops[i];

		conn_tx_fini(home);
		for (uint32_t t = 0; t < home->task_count; t++)
			free(home->tasks[t]);
		free(home->tasks);
		iscsi_catalogue_put(home->catalogue);
	}
	free(srv);
}

struct iscsi_catalogue *iscsi_server_catalogue(struct iscsi_server *srv)
{
	return srv->loops[0].catalogue;
}

/* ---- connections ---- */

unsigned iscsi_server_load(const struct iscsi_server *srv, unsigned index)
{
	return __atomic_load_n(&srv->loops[index].conn_count, __ATOMIC_RELAXED);
}

unsigned iscsi_server_sessions(const struct iscsi_server *srv)
{
	return __atomic_load_n(&srv->session_total, __ATOMIC_ACQUIRE);
}

void server_conn_gone(struct iscsi_loop *home)
{
	__atomic_sub_fetch(&home->conn_count, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&home->srv->conn_total, 1, __ATOMIC_RELEASE);
}

void server_conn_moved(struct iscsi_loop *from, struct iscsi_loop *to)
{
	__atomic_sub_fetch(&from->conn_count, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&to->conn_count, 1, __ATOMIC_RELAXED);
}

int iscsi_server_expect(struct iscsi_server *srv, unsigned index, int fd)
{
	static struct log_limit full_log; /* of the one thread that accepts */
	const struct iscsi_opts *opts = &srv->loops[0].opts;
	unsigned most = opts->max_connections;
	char peer[CONN_ADDRESS_MAX];
	int place;

	if (most && __atomic_load_n(&srv->conn_total, __ATOMIC_RELAXED) >= most) {
		stat_add(STAT_iscsi_conns_refused, 1);
		conn_peer_name(peer, fd);
		if (log_limit_ok(&full_log))
			log_warn(
				"conn: refused", "peer=%s why=\"max_connections are there\"", peer);
		return -1;
	}
	place = arrive_take(&srv->arrive, opts, fd);
	if (place < 0)
		return place;
	__atomic_add_fetch(&srv->conn_total, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&srv->loops[index].conn_count, 1, __ATOMIC_RELAXED);
	return place;
}

void iscsi_server_adopt(struct iscsi_server *srv, struct loop *loop, int fd, int place)
{
	struct iscsi_loop *home = &srv->loops[loop_index(loop)];

	if (!home->draining && conn_new(srv, home, fd, place))
		return;
	if (home->draining) {
		stat_add(STAT_iscsi_conns_refused, 1);
		close(fd);
	}
	arrive_leave(&srv->arrive, place);
	server_conn_gone(home);
}

/* ---- the clean end ---- */

static void drain_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct iscsi_drain *d = container_of(e, struct iscsi_drain, everywhere);
	struct iscsi_loop *home = &d->srv->loops[loop_index(loop)];

	home->draining = true;
	list_for_each_safe (node, &home->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (d->closing && d->seconds)
			conn_drop(c, "stopping");
		else if (d->closing || c->state != CONN_LOGGED_IN)
			conn_close(c, d->closing ? "stopping" : NULL);
		else
			conn_ask_logout(c, (uint16_t)d->seconds);
	}
}

static void drain_told(struct scsi_everywhere *e)
{
	struct iscsi_drain *d = container_of(e, struct iscsi_drain, everywhere);

	loop_timer_set(d->loop, &d->timer, DRAIN_LOOK_MS);
}

/* Nothing of a connection or session is left: then no loop has work of ours. */
static bool drain_over(const struct iscsi_server *srv)
{
	return !__atomic_load_n(&srv->conn_total, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&srv->session_total, __ATOMIC_ACQUIRE);
}

static void drain_look(struct loop_timer *timer)
{
	struct iscsi_drain *d = container_of(timer, struct iscsi_drain, timer);

	if (drain_over(d->srv)) {
		d->done(d);
		return;
	}
	if (!d->closing && loop_now_ns(d->loop) >= d->deadline_ns) {
		d->closing = true;
		scsi_everywhere(d->srv->domain, &d->everywhere);
		return;
	}
	loop_timer_set(d->loop, &d->timer, DRAIN_LOOK_MS);
}

void iscsi_drain(struct iscsi_server *srv, struct loop *loop, struct iscsi_drain *d)
{
	d->srv = srv;
	d->loop = loop;
	d->closing = false;
	d->deadline_ns = loop_now_ns(loop) + d->seconds * 1000000000ull;
	d->everywhere.each = drain_each;
	d->everywhere.done = drain_told;
	loop_timer_init(&d->timer, drain_look);
	scsi_everywhere(srv->domain, &d->everywhere);
}
