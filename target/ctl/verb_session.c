/* SPDX-License-Identifier: Apache-2.0 */
/* Who is there, and the end of one of them. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/guests.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define LOGOUT_SECONDS 10u

static void free_sessions(struct list *sessions)
{
	guests_free(sessions);
}

/* False: ctl_fail was called. */
static bool look(struct ctl_call *call, struct list *sessions)
{
	int silent;

	list_init(sessions);
	silent = guests_look(call->srv, sessions);
	if (silent < 0)
		return true;
	ctl_fail(call, RPC_BUSY,
		"loop %d does not answer, so its sessions are not known; look into the log of "
		"kurad",
		silent);
	return false;
}

static const char *state_of(const struct iscsi_session_look *s)
{
	bool asked = false;

	for (unsigned i = 0; i < s->conn_count; i++) {
		if (s->conns[i].leaving)
			return "leaving";
		asked = asked || s->conns[i].asked;
	}
	return asked ? "asked to log out" : "open";
}

/* ---- list ---- */

static bool is_wanted(const struct ctl_call *call, const struct iscsi_session_look *s)
{
	const char *target = ctl_text(call, "target"), *initiator = ctl_text(call, "initiator");

	return (!target || !strcasecmp(target, s->target)) &&
	       (!initiator || !strcasecmp(initiator, s->initiator));
}

/* What list and show both tell. */
static void tell(struct jval *out, const struct iscsi_session_look *s)
{
	jval_set_number(out, "session", s->tsih);
	jval_set_text(out, "initiator", s->initiator);
	if (*s->target)
		jval_set_text(out, "target", s->target);
	jval_set_number(out, "loop", s->loop);
	jval_set_number(out, "age_seconds", s->age_ns / 1000000000);
	jval_set_number(out, "commands", s->commands);
	jval_set_text(out, "state", state_of(s));
}

void verb_session_list(struct ctl_call *call)
{
	own_cleanup(free_sessions) struct list sessions;
	struct jval *list = ctl_list(call);

	if (!look(call, &sessions))
		return;
	list_for_each (node, &sessions) {
		struct iscsi_session_look *s = container_of(node, struct iscsi_session_look, node);
		struct jval *one;

		if (!is_wanted(call, s))
			continue;
		one = jval_object();
		tell(one, s);
		if (s->conn_count)
			jval_set_text(one, "address", s->conns[0].peer);
		jval_set_number(one, "connections", s->conn_count);
		jval_append(list, one);
	}
}

/* ---- show ---- */

static struct iscsi_session_look *find(struct list *sessions, uint64_t number)
{
	list_for_each (node, sessions) {
		struct iscsi_session_look *s = container_of(node, struct iscsi_session_look, node);

		if (s->tsih == number)
			return s;
	}
	return NULL;
}

static const char *digests_of(const struct iscsi_conn_look *c)
{
	if (c->header_digest)
		return c->data_digest ? "header and data" : "header";
	return c->data_digest ? "data" : "none";
}

static struct jval *conns_of(const struct iscsi_session_look *s)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < s->conn_count; i++) {
		const struct iscsi_conn_look *c = &s->conns[i];
		struct jval *one = jval_object();

		jval_set_number(one, "cid", c->cid);
		jval_set_text(one, "address", c->peer);
		jval_set_text(one, "portal", c->local);
		jval_set_number(one, "loop", s->loop);
		jval_set_text(one, "digests", digests_of(c));
		jval_set_number(one, "silent_seconds", c->silent_ns / 1000000000);
		jval_append(list, one);
	}
	return list;
}

static void no_such(struct ctl_call *call, uint64_t number)
{
	ctl_fail(call, RPC_NOT_FOUND, "session %u: there is none of that number; kura session list",
		(unsigned)number);
}

void verb_session_show(struct ctl_call *call)
{
	own_cleanup(free_sessions) struct list sessions;
	uint64_t number = ctl_number(call, "session", 0);
	struct jval *out = call->result;
	struct iscsi_session_look *s;
	char isid[13] = "";

	if (!look(call, &sessions))
		return;
	s = find(&sessions, number);
	if (!s) {
		no_such(call, number);
		return;
	}
	for (unsigned i = 0; i < sizeof s->isid; i++)
		snprintf(isid + 2 * i, 3, "%02x", s->isid[i]);
	tell(out, s);
	jval_set_text(out, "isid", isid);
	jval_set_number(out, "portal_group", s->tpgt);
	if (s->user)
		jval_set_text(out, "chap_user", s->user);
	jval_set_number(out, "depth", s->depth);
	jval_set_number(out, "done", s->done);
	jval_set_number(out, "read_bytes", s->read_bytes);
	jval_set_number(out, "written_bytes", s->written_bytes);
	jval_set_number(out, "exp_cmd_sn", s->exp_cmd_sn);
	jval_set_number(out, "max_cmd_sn", s->max_cmd_sn);
	jval_set(out, "connections", conns_of(s));
}

/* ---- close ---- */

void verb_session_close(struct ctl_call *call)
{
	own_cleanup(free_sessions) struct list sessions;
	uint64_t number = ctl_number(call, "session", 0);
	uint64_t seconds =
		ctl_flag(call, "force") ? 0 : ctl_number(call, "timeout", LOGOUT_SECONDS);
	bool ended = false, there;
	int err;

	if (!look(call, &sessions))
		return;
	there = find(&sessions, number);
	if (!there && !ctl_flag(call, "if_exists")) {
		no_such(call, number);
		return;
	}
	err = there ? guests_see_out(
			      call->srv, (uint16_t)number, (unsigned)seconds, &call->wait, &ended)
		    : 0;
	if (err) {
		ctl_fail(call, RPC_BUSY, "session %u: it was told to go, but is still there; %s",
			(unsigned)number,
			err == -ECANCELED ? "kurad ends"
					  : "a loop may be stuck: look into the log of kurad");
		return;
	}
	jval_set_number(call->result, "session", number);
	if (there)
		jval_set_text(call->result, "how", ended ? "ended" : "logged out");
	jval_set_flag(call->result, "changed", there);
}
