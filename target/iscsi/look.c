/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of what a loop's connections and sessions are, and their dismissal. */
#include "target/iscsi/look.h"

#include "common/own.h"
#include "target/iscsi/login_chap.h"
#include "target/iscsi/session.h"
#include "target/scsi/flow.h"

#include <stdlib.h>
#include <string.h>

static struct iscsi_loop *home_of(struct iscsi_server *srv, const struct loop *loop)
{
	return &srv->loops[loop_index(loop)];
}

/* ---- looking ---- */

static void look_at_conn(struct iscsi_conn_look *out, const struct conn *c)
{
	out->cid = c->cid;
	memcpy(out->peer, c->peer, sizeof out->peer);
	memcpy(out->local, c->local, sizeof out->local);
	out->header_digest = c->params.header_digest;
	out->data_digest = c->params.data_digest;
	out->asked = c->logout_wanted;
	out->leaving = c->dropping || c->state == CONN_IN_LOGOUT;
	out->silent_ns = loop_now_ns(c->loop) - c->last_rx_ns;
}

/* What its commands have done so far. */
static void look_at_flows(struct iscsi_session_look *out, const struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < nexus->itl_count; i++) {
		const struct scsi_flow *flow = nexus->itl[i].flow;

		for (unsigned k = 0; flow && k < FLOW_KINDS; k++)
			out->done += flow->counts.done[k];
		out->read_bytes += flow ? flow->counts.bytes[FLOW_READ] : 0;
		out->written_bytes += flow ? flow->counts.bytes[FLOW_WRITE] : 0;
	}
}

static struct iscsi_session_look *look_at(const struct session *s)
{
	struct iscsi_session_look *out = own_calloc(1, sizeof *out);

	out->tsih = s->tsih;
	out->tpgt = s->tpgt;
	memcpy(out->isid, s->isid, sizeof out->isid);
	out->loop = loop_index(s->loop);
	memcpy(out->initiator, s->initiator, sizeof out->initiator);
	if (s->target)
		strncpy(out->target, s->target->name, sizeof out->target - 1);
	out->user = s->user ? own_strdup(s->user) : NULL;
	out->age_ns = loop_now_ns(s->loop) - s->since_ns;
	out->commands = s->open_tasks + s->immediate_tasks;
	out->depth = s->depth;
	if (s->nexus_open)
		look_at_flows(out, &s->nexus);
	out->exp_cmd_sn = s->exp_cmd_sn;
	out->max_cmd_sn = s->max_cmd_sn;
	out->conns = own_calloc(s->conn_count, sizeof *out->conns);
	list_for_each (node, &s->conns)
		look_at_conn(&out->conns[out->conn_count++],
			container_of(node, const struct conn, session_node));
	return out;
}

/* Each session is looked at with the first of its connections. */
static bool is_first(const struct conn *c)
{
	return c->session && !c->session->joining && c->session->conns.next == &c->session_node;
}

void iscsi_look(struct iscsi_server *srv, struct loop *loop, struct list *into)
{
	list_for_each (node, &home_of(srv, loop)->conns) {
		const struct conn *c = container_of(node, const struct conn, node);

		if (is_first(c))
			list_push(into, &look_at(c->session)->node);
	}
}

void iscsi_session_look_free(struct iscsi_session_look *s)
{
	free(s->user);
	free(s->conns);
	free(s);
}

/* ---- dismissing ---- */

static void dismiss(struct conn *c, enum iscsi_farewell farewell, uint16_t seconds)
{
	if (farewell == ISCSI_FAREWELL_END) {
		conn_drop(c, "ended by the administrator");
	} else if (c->state == CONN_LOGGED_IN && !c->logout_wanted) {
		c->logout_wanted = true;
		conn_ask_logout(c, seconds);
	}
}

/* Until it has joined, its name is the home loop's. */
static bool is_called(const struct session *s, uint16_t tsih)
{
	return !s->joining && s->tsih == tsih;
}

unsigned iscsi_dismiss(struct iscsi_server *srv, struct loop *loop, uint16_t tsih,
	enum iscsi_farewell farewell, uint16_t seconds)
{
	unsigned count = 0;

	list_for_each_safe (node, &home_of(srv, loop)->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (!c->session || (tsih && !is_called(c->session, tsih)))
			continue;
		count++;
		if (farewell != ISCSI_FAREWELL_LOOK)
			dismiss(c, farewell, seconds);
	}
	return count;
}

void iscsi_server_rest(struct iscsi_server *srv, bool rest)
{
	__atomic_store_n(&srv->resting, rest, __ATOMIC_RELEASE);
}
