// SPDX-License-Identifier: Apache-2.0
/*
 * round.c: visits of all sessions: another catalogue is taken over, and who may not stay under it
 * is told and ended. Each loop judges its own connections.
 */
#include "target/iscsi/access.h"

#include "common/own.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const reasons[] = {
	[ISCSI_NO_TARGET] = "the target was removed",
	[ISCSI_NO_ACCESS] = "the initiator may not use the target any more",
	[ISCSI_OTHER_LUNS] = "the initiator has other LUNs now",
};

static enum iscsi_verdict judge(const struct iscsi_catalogue *cat, const struct conn *c)
{
	const struct session *s = c->session;
	const struct iscsi_target *target = access_find(cat, s->target->name, c->local);
	const struct access_rule *rule;

	if (!target)
		return ISCSI_NO_TARGET;
	rule = access_rule(target, s->initiator, c->peer, NULL);
	if (!rule)
		return ISCSI_NO_ACCESS;
	return rule->ports[access_group(cat, c->local)] == s->port ? ISCSI_STAYS : ISCSI_OTHER_LUNS;
}

static void note(
	struct iscsi_round *r, unsigned loop, const struct conn *c, enum iscsi_verdict verdict)
{
	const struct session *s = c->session;
	struct iscsi_seen *seen = own_calloc(1, sizeof *seen);

	snprintf(seen->initiator, sizeof seen->initiator, "%s", s->initiator);
	snprintf(seen->target, sizeof seen->target, "%s", s->target->name);
	seen->port = s->port;
	seen->verdict = verdict;
	list_push(&r->seen[loop], &seen->node);
}

static void visit(struct iscsi_round *r, unsigned loop, struct conn *c)
{
	enum iscsi_verdict verdict = judge(r->cat, c);

	if (r->collect)
		note(r, loop, c, verdict);
	if (verdict == ISCSI_STAYS)
		return;
	r->judged[loop]++;
	if (r->action == ISCSI_CLOSE)
		conn_drop(c, reasons[verdict]);
	else if (r->action == ISCSI_ASK && c->state == CONN_IN_LOGIN)
		conn_close(c, reasons[verdict]);
	else if (r->action == ISCSI_ASK && c->state == CONN_LOGGED_IN)
		conn_ask_logout(c, r->seconds);
}

static void round_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct iscsi_round *r = container_of(e, struct iscsi_round, everywhere);
	struct iscsi_loop *home = &r->srv->loops[loop_index(loop)];
	struct iscsi_catalogue *old = home->catalogue;

	if (r->action == ISCSI_TAKE) {
		home->catalogue = catalogue_get(r->cat);
		iscsi_catalogue_put(old);
		server_take_opts(home, r->opts);
	}
	list_for_each_safe (node, &home->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (r->action == ISCSI_TAKE)
			conn_retime(c);
		if (c->session && c->session->target)
			visit(r, loop_index(loop), c);
	}
}

static void round_done(struct scsi_everywhere *e)
{
	struct iscsi_round *r = container_of(e, struct iscsi_round, everywhere);

	r->done(r);
}

void iscsi_round_submit(struct iscsi_server *srv, struct iscsi_round *r)
{
	r->srv = srv;
	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++) {
		r->judged[i] = 0;
		list_init(&r->seen[i]);
	}
	r->everywhere.each = round_each;
	r->everywhere.done = round_done;
	scsi_everywhere(srv->domain, &r->everywhere);
}

unsigned iscsi_round_judged(const struct iscsi_round *r)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++)
		sum += r->judged[i];
	return sum;
}

void iscsi_round_fini(struct iscsi_round *r)
{
	struct list *node;

	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++)
		while ((node = list_pop(&r->seen[i])))
			free(container_of(node, struct iscsi_seen, node));
}
