// SPDX-License-Identifier: Apache-2.0
/*
 * server.c: the iSCSI side of the process: its targets, its connections by loop, and its clean end.
 */
#include "target/iscsi/access.h"
#include "target/iscsi/login_chap.h"
#include "target/iscsi/session.h"

#include "common/own.h"
#include "common/stat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_LOOK_MS 20u

struct iscsi_server *iscsi_server_new(const struct iscsi_opts *opts, struct scsi_domain *domain,
	struct loop *const *loops, unsigned n)
{
	struct iscsi_server *srv = own_calloc(1, sizeof *srv + n * sizeof srv->loops[0]);
	const uint16_t tag = ISCSI_TPGT;

	own_assert(opts->queue_depth && opts->queue_depth <= SESSION_DEPTH_MAX);
	srv->opts = *opts;
	srv->domain = domain;
	srv->loop_count = n;
	list_init(&srv->targets);
	list_init(&srv->sessions);
	iscsi_server_portals(srv, &tag, 1, NULL, 0);
	for (unsigned i = 0; i < n; i++) {
		struct iscsi_loop *home = &srv->loops[i];

		home->srv = srv;
		home->loop = loops[i];
		list_init(&home->conns);
		list_init(&home->free_tasks);
		list_init(&home->free_batches);
	}
	return srv;
}

static void server_free_target(struct iscsi_target *t)
{
	for (unsigned i = 0; i < t->rule_count; i++) {
		free(t->rules[i].initiator);
		free(t->rules[i].nets);
		free(t->rules[i].host);
		free(t->rules[i].ports);
		chap_auth_free(t->rules[i].auth);
	}
	free(t->rules);
	free(t->redirect);
	free(t->hidden);
	chap_auth_free(t->auth);
	free(t->alias);
	free(t);
}

void iscsi_server_free(struct iscsi_server *srv)
{
	struct list *node;

	own_assert(!srv->conn_total && list_empty(&srv->sessions));
	for (unsigned i = 0; i < srv->loop_count; i++) {
		struct iscsi_loop *home = &srv->loops[i];

		conn_tx_fini(home);
		for (uint32_t t = 0; t < home->task_count; t++)
			free(home->tasks[t]);
		free(home->tasks);
	}
	while ((node = list_pop(&srv->targets)))
		server_free_target(container_of(node, struct iscsi_target, node));
	chap_auth_free(srv->discovery_auth);
	for (unsigned i = 0; i < srv->portal_count; i++)
		free(srv->portals[i].advertise);
	free(srv->portals);
	free(srv->tags);
	free(srv);
}

static struct iscsi_auth *server_make_auth(const struct iscsi_auth_conf *conf)
{
	return conf ? chap_auth_new(conf) : NULL;
}

void iscsi_server_portals(struct iscsi_server *srv, const uint16_t *tags, unsigned tag_count,
	const struct iscsi_portal_conf *portals, unsigned count)
{
	own_assert(list_empty(&srv->targets) && !srv->portal_count && tag_count);
	free(srv->tags);
	free(srv->portals);
	srv->tags = own_calloc(tag_count, sizeof *srv->tags);
	memcpy(srv->tags, tags, tag_count * sizeof *tags);
	srv->tag_count = tag_count;
	srv->portals = own_calloc(count + 1, sizeof *srv->portals);
	for (; srv->portal_count < count; srv->portal_count++)
		access_portal_init(&srv->portals[srv->portal_count], &portals[srv->portal_count]);
}

static void server_init_rule(const struct iscsi_server *srv, struct access_rule *rule,
	const struct iscsi_rule_conf *conf, struct scsi_target *target)
{
	rule->initiator = own_strdup(conf->initiator);
	rule->host = own_strdup(conf->host);
	rule->auth = server_make_auth(conf->auth);
	if (conf->addresses)
		access_nets_init(rule, conf->addresses);
	rule->ports = own_calloc(srv->tag_count, sizeof(struct scsi_target *));
	for (unsigned i = 0; i < srv->tag_count; i++)
		rule->ports[i] = conf->ports ? conf->ports[i] : target;
}

void iscsi_server_offer(struct iscsi_server *srv, const struct iscsi_offer *offer)
{
	struct iscsi_target *t = own_calloc(1, sizeof *t);

	t->scsi = offer->target;
	t->alias = own_strdup(offer->alias);
	t->redirect = own_strdup(offer->redirect);
	t->redirect_permanent = offer->redirect_permanent;
	if (offer->portal_groups)
		access_groups_init(srv, t, offer->portal_groups);
	t->auth = server_make_auth(offer->auth);
	t->rules = own_calloc(offer->rule_count + 1, sizeof *t->rules);
	for (; t->rule_count < offer->rule_count; t->rule_count++)
		server_init_rule(
			srv, &t->rules[t->rule_count], &offer->rules[t->rule_count], offer->target);
	list_push(&srv->targets, &t->node);
}

void iscsi_server_guard_discovery(struct iscsi_server *srv, const struct iscsi_auth_conf *auth)
{
	srv->discovery_auth = server_make_auth(auth);
}

struct iscsi_target *server_find_target(const struct iscsi_server *srv, const char *name)
{
	list_for_each (node, &srv->targets) {
		struct iscsi_target *t = container_of(node, struct iscsi_target, node);

		if (!strcmp(scsi_target_iqn(t->scsi), name))
			return t;
	}
	return NULL;
}

/* ---- connections ---- */

unsigned iscsi_server_load(const struct iscsi_server *srv, unsigned index)
{
	return __atomic_load_n(&srv->loops[index].conn_count, __ATOMIC_RELAXED);
}

void server_conn_gone(struct iscsi_loop *home)
{
	__atomic_sub_fetch(&home->conn_count, 1, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&home->srv->conn_total, 1, __ATOMIC_RELEASE);
}

bool iscsi_server_expect(struct iscsi_server *srv, unsigned index)
{
	unsigned total = __atomic_add_fetch(&srv->conn_total, 1, __ATOMIC_RELAXED);

	__atomic_add_fetch(&srv->loops[index].conn_count, 1, __ATOMIC_RELAXED);
	if (total <= srv->opts.max_connections)
		return true;
	stat_add(STAT_iscsi_conns_refused, 1);
	server_conn_gone(&srv->loops[index]);
	return false;
}

void iscsi_server_adopt(struct iscsi_server *srv, struct loop *loop, int fd)
{
	struct iscsi_loop *home = &srv->loops[loop_index(loop)];

	if (home->draining) {
		stat_add(STAT_iscsi_conns_refused, 1);
		close(fd);
		server_conn_gone(home);
	} else if (!conn_new(srv, home, fd)) {
		server_conn_gone(home);
	}
}

/* ---- the clean end ---- */

static void drain_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct iscsi_drain *d = container_of(e, struct iscsi_drain, everywhere);
	struct iscsi_loop *home = &d->srv->loops[loop_index(loop)];

	home->draining = true;
	list_for_each_safe (node, &home->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (d->closing || c->state != CONN_LOGGED_IN)
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
