// SPDX-License-Identifier: Apache-2.0
/*
 * login.c: the login phase (RFC 7143 6.3) of a connection: requests come with text, responses go
 * with text, stage after stage, until both sides agree on full feature phase.
 *
 * The happy path: login_receive checks the header, collects text, has it answered by keys.c, and
 * sends the answer; when that answer would be the last one, the session is made and joins the
 * registry, or the connection goes to the session that its TSIH names (join.c), and
 * login_established sends it. What can fail: each broken rule ends in login_refuse:
 * one response with a status, one log line, and the end of the connection.
 */
#include "target/iscsi/login.h"

#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"
#include "target/iscsi/login_guts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests of one login. One takes three or four, with CHAP five; the longest text that max_text
 * allows fits into parts of 4 KiB. Its time is bounded too, so nobody needs to change this. */
#define LOGIN_REQUESTS_MAX 256u

/* Logins are the peers' to cause, over any number of connections: budgets of a thread. */
static __thread struct log_limit refused_log, established_log;

/* ---- answers ---- */

/*
 * The header of a response to `req`: RFC 7143 11.13. Sequence numbers that a session would have
 * come from the request, which is immediate and takes none (RFC 7143 11.12.8). Of a session that is
 * joined they are not known before; then they say no more than what must be acknowledged already,
 * so that the initiator takes nothing from them (RFC 7143 4.2.2.1).
 */
static union pdu response_to(const struct pdu_login_req *req)
{
	union pdu pdu = { .login_rsp = { .opcode = PDU_LOGIN_RSP } };

	memcpy(pdu.login_rsp.isid, req->isid, sizeof pdu.login_rsp.isid);
	pdu.login_rsp.tsih = req->tsih;
	pdu.login_rsp.itt = req->itt;
	pdu.login_rsp.exp_cmd_sn = req->cmd_sn;
	pdu.login_rsp.max_cmd_sn = req->cmd_sn;
	if (be16_get(&req->tsih)) {
		uint32_t sure = be32_get(&req->cmd_sn) - SESSION_DEPTH_MAX;

		be32_set(&pdu.login_rsp.exp_cmd_sn, sure);
		be32_set(&pdu.login_rsp.max_cmd_sn, sure - 1);
	}
	return pdu;
}

/* Ends the login: a response that says where the target is, RFC 7143 11.13.5 and 13.8. */
static void login_redirect(struct conn *c, union pdu *pdu, enum login_status status)
{
	const struct login *l = c->login;
	struct keys_text text = { .most = KEYS_TEXT_MAX };

	if (log_limit_ok(&refused_log))
		log_info("login: redirected",
			"conn=%lu peer=%s initiator=%s target=%s status=0x%04x address=%s",
			(unsigned long)c->id, c->peer, l->initiator, l->target_name, status,
			l->target->redirect);
	keys_text_pair(&text, keys_name(KEYS_TARGET_ADDRESS), l->target->redirect);
	conn_send_last(c, pdu, text.data, text.len);
	keys_text_free(&text);
}

static enum stat_id reason_of(enum login_status status)
{
	switch (status) {
	case LOGIN_AUTHENTICATION:
		return STAT_iscsi_refused_authentication;
	case LOGIN_AUTHORIZATION:
		return STAT_iscsi_refused_authorization;
	case LOGIN_NOT_FOUND:
		return STAT_iscsi_refused_not_found;
	case LOGIN_RESOURCES:
		return STAT_iscsi_refused_resources;
	case LOGIN_UNAVAILABLE:
		return STAT_iscsi_refused_unavailable;
	case LOGIN_TOO_MANY:
	case LOGIN_NOT_INCLUDED:
	case LOGIN_NO_SESSION:
		return STAT_iscsi_refused_session;
	default:
		return STAT_iscsi_refused_protocol;
	}
}

/* Ends the login: a response with `status`, one line, and the connection closes behind it. */
static void login_refuse(
	struct conn *c, const struct pdu_login_req *req, enum login_status status, const char *rule)
{
	const struct login *l = c->login;
	union pdu pdu = response_to(req);

	be16_set(&pdu.login_rsp.status, (uint16_t)status);
	if (status == LOGIN_MOVED || status == LOGIN_MOVED_AWAY) {
		stat_add(STAT_iscsi_redirected, 1);
		trace_add(TRACE_login_redirected, c->id, status);
		login_redirect(c, &pdu, status);
		return;
	}
	stat_add(STAT_iscsi_logins_refused, 1);
	stat_add(reason_of(status), 1);
	trace_add(TRACE_login_refused, c->id, status);
	if (log_limit_ok(&refused_log))
		log_warn("login: refused",
			"conn=%lu peer=%s initiator=%s target=%s status=0x%04x rule=\"%s\"",
			(unsigned long)c->id, c->peer, l && *l->initiator ? l->initiator : "-",
			l && *l->target_name ? l->target_name : "-", status, rule);
	conn_send_last(c, &pdu, NULL, 0);
}

/* RFC 7143 6.3: the default MaxRecvDataSegmentLength holds during login, or less when declared. */
static uint32_t part_most(const struct login *l)
{
	uint32_t most = l->keys.value[KEYS_MAX_RECV];

	return most < CONN_LOGIN_RECV ? most : CONN_LOGIN_RECV;
}

/* Sends the next part of the answers. `flags` says what is agreed on with it. False: no memory, and
 * the login is gone. */
static bool send_part(struct conn *c, uint8_t flags, uint16_t tsih)
{
	struct login *l = c->login;
	union pdu pdu = response_to(&l->req);
	uint32_t left = l->out.len - l->out_sent;
	uint32_t len = left < part_most(l) ? left : part_most(l);
	const uint8_t *data = len ? l->out.data + l->out_sent : NULL;

	pdu.login_rsp.flags = flags;
	if (tsih)
		be16_set(&pdu.login_rsp.tsih, tsih);
	l->out_sent += len;
	if (l->out_sent == l->out.len)
		l->out.len = l->out_sent = 0;
	return conn_send(c, &pdu, data, len, true);
}

/* Whether both ask for the same: a secret that was proved is proved still. */
static bool same_auth(const struct iscsi_auth *a, const struct iscsi_auth *b)
{
	return a && b ? chap_auth_same(a, b) : a == b;
}

/* A catalogue that has come since the login began decides whether it may go on. */
static enum login_status renew(struct conn *c, struct login *l, const char **rule)
{
	struct iscsi_catalogue *cat = c->home->catalogue;
	const struct iscsi_auth *auth = cat->discovery_auth;

	if (cat == l->catalogue)
		return LOGIN_SUCCESS;
	if (l->target) {
		l->target = access_find(cat, l->target_name, c->local);
		*rule = "the target was removed while this login went on";
		if (!l->target)
			return LOGIN_NOT_FOUND;
		l->rule = access_rule(l->target, l->initiator, c->peer, rule);
		if (!l->rule)
			return LOGIN_AUTHORIZATION;
		auth = access_auth(l->target, l->rule);
	}
	*rule = "what has to be proved was changed while this login went on";
	if (!same_auth(l->auth, auth))
		return LOGIN_AUTHENTICATION;
	l->auth = auth;
	iscsi_catalogue_put(l->catalogue);
	l->catalogue = catalogue_get(cat);
	return LOGIN_SUCCESS;
}

/* The names of a session are the names of the login, and where it came in (RFC 7143 4.4.3). */
static void join_session(struct conn *c)
{
	struct login *l = c->login;
	struct conn_join wish = {
		.target = l->target ? l->target_name : NULL,
		.tpgt = l->rule ? l->catalogue->tags[access_group(l->catalogue, c->local)] : 0,
		.tsih = be16_get(&l->first.tsih),
	};

	memcpy(wish.isid, l->first.isid, sizeof wish.isid);
	l->joining = true;
	join_begin(c, &wish);
}

static void join(struct conn *c)
{
	struct login *l = c->login;
	enum login_status status;
	const char *rule;
	struct session *s;

	if (c->home->draining) {
		login_refuse(c, &l->req, LOGIN_UNAVAILABLE, "the server is being stopped");
		return;
	}
	if (__atomic_load_n(&c->srv->resting, __ATOMIC_ACQUIRE)) {
		login_refuse(c, &l->req, LOGIN_UNAVAILABLE,
			"drained by the administrator; kura resume opens it again");
		return;
	}
	status = renew(c, l, &rule);
	if (status) {
		login_refuse(c, &l->req, status, rule);
		return;
	}
	if (l->keys.joining) {
		join_session(c);
		return;
	}
	if (__atomic_load_n(&c->srv->session_total, __ATOMIC_RELAXED) >=
		c->home->opts.max_sessions) {
		stat_add(STAT_iscsi_limit_sessions, 1);
		login_refuse(c, &l->req, LOGIN_RESOURCES, "max_sessions sessions are there");
		return;
	}
	s = session_new(c, l->target, l->first.isid, be32_get(&l->first.cmd_sn));
	if (!s) {
		login_refuse(c, &l->req, LOGIN_RESOURCES, "no memory for a session");
		return;
	}
	if (l->rule) {
		unsigned group = access_group(l->catalogue, c->local);

		s->port = scsi_target_get(l->rule->ports[group]);
		s->tpgt = l->catalogue->tags[group];
		s->user = l->auth ? chap_auth_user(l->auth) : NULL;
	}
	c->session = s;
	l->joining = true;
	session_join(s);
}

/*
 * Answers the request with what there is. A stage ends when the initiator asks for it and we have
 * nothing left to say in it (RFC 7143 11.13.6); with the C bit the T bit is 0 (RFC 7143 11.13.7).
 */
static void answer(struct conn *c)
{
	struct login *l = c->login;
	uint8_t flags = (uint8_t)(l->stage << 2);
	unsigned next = PDU_LOGIN_NSG(l->req.flags);

	if (l->out.len - l->out_sent > part_most(l)) {
		send_part(c, flags | PDU_CONTINUE, 0);
	} else if (!(l->req.flags & PDU_LOGIN_TRANSIT) || !login_is_proved(l)) {
		send_part(c, flags, 0);
	} else if (next == PDU_STAGE_FULL) {
		join(c);
	} else {
		l->stage = next;
		l->keys.stage = KEYS_OPERATE;
		send_part(c, (uint8_t)(flags | PDU_LOGIN_TRANSIT | next), 0);
	}
}

/* The registry did not take the session: RFC 7143 11.13.5. */
static void refuse_session(struct conn *c, int err)
{
	const struct pdu_login_req *req = &c->login->req;

	switch (err) {
	case -ESHUTDOWN:
	case -ECANCELED:
		login_refuse(c, req, LOGIN_UNAVAILABLE, "the server is being stopped");
		break;
	case -EUSERS:
		login_refuse(c, req, LOGIN_TOO_MANY,
			"RFC 7143 13.2: the session has as many connections as were agreed on");
		break;
	case -ESRCH:
		login_refuse(c, req, LOGIN_NO_SESSION,
			"RFC 7143 6.3.1: TSIH names no session of this initiator port");
		break;
	case -EXDEV:
		login_refuse(c, req, LOGIN_NOT_INCLUDED,
			"RFC 7143 6.3.1: the session belongs to another portal group or view");
		break;
	case -EPROTO:
		login_refuse(c, req, LOGIN_INITIATOR_ERROR,
			"RFC 7143 6.3: a request before the last response");
		break;
	default:
		login_refuse(c, req, LOGIN_RESOURCES, "no room for a session");
		break;
	}
}

void login_arrived(struct conn *c, struct session *s, int err)
{
	struct login *l = c->login;
	enum login_status status;
	const char *rule;

	if (c->home->draining)
		err = -ESHUTDOWN;
	if (!err) { /* another catalogue may hold here than where it came from */
		status = renew(c, l, &rule);
		if (status) {
			login_refuse(c, &l->req, status, rule);
			return;
		}
		err = member_add(s, c,
			l->rule ? l->rule->ports[access_group(l->catalogue, c->local)] : NULL);
	}
	if (err)
		login_established(c, err);
}

/* What was negotiated begins to hold: for a session that is joined only what is of the connection
 * (RFC 7143 13: scope "CO"). */
static void settle(struct conn *c)
{
	const struct keys *keys = &c->login->keys;
	struct session *s = c->session;
	struct conn_params own = c->params;

	keys_params(keys, &own);
	if (!keys->joining) {
		s->params = own;
		s->conn_max = (uint16_t)keys->value[KEYS_MAX_CONNECTIONS];
	}
	c->params = s->params;
	c->params.header_digest = own.header_digest;
	c->params.data_digest = own.data_digest;
	c->params.max_xmit = own.max_xmit;
}

static void log_established(const struct conn *c)
{
	const struct login *l = c->login;

	if (!log_limit_ok(&established_log))
		return;
	log_info(l->keys.joining ? "login: connection added" : "login: session established",
		"conn=%lu peer=%s initiator=%s host=%s target=%s tsih=%u cid=%u auth=%s "
		"digests=%s/%s",
		(unsigned long)c->id, c->peer, l->initiator,
		l->rule && l->rule->host ? l->rule->host : "-",
		l->target ? l->target_name : "discovery", c->session->tsih, c->cid,
		!l->auth         ? "none"
		: l->chap.mutual ? "mutual"
				 : "chap",
		c->params.header_digest ? "crc32c" : "none",
		c->params.data_digest ? "crc32c" : "none");
}

void login_established(struct conn *c, int err)
{
	struct login *l = c->login;
	uint8_t flags;

	if (!l || c->tx.last) /* closed or refused meanwhile */
		return;
	own_assert(l->joining);
	/* RFC 7143 6.3: what has begun to come is of the login, and would end behind it */
	if (!err && (c->rx.state != CONN_RX_HEAD || c->rx.have))
		err = -EPROTO;
	if (err) {
		refuse_session(c, err);
		return;
	}
	settle(c);
	log_established(c);
	/* the response itself goes without digests: they begin in full feature phase, RFC 7143 13.1
	 */
	flags = (uint8_t)(PDU_LOGIN_TRANSIT | l->stage << 2 | PDU_STAGE_FULL);
	if (!send_part(c, flags, c->session->tsih))
		return;
	conn_event(c, CONN_EV_LOGGED_IN);
	login_free(c);
}

/* ---- headers ---- */

/* RFC 7143 11.12.3: the stage that a request is in, and the one that it wants to go to. */
static const char *check_stages(const struct login *l, const struct pdu_login_req *req)
{
	unsigned now = PDU_LOGIN_CSG(req->flags), next = PDU_LOGIN_NSG(req->flags);

	if (now != l->stage)
		return "RFC 7143 11.12.3: CSG is not the stage that was agreed on";
	if (!(req->flags & PDU_LOGIN_TRANSIT))
		return NULL;
	if (req->flags & PDU_CONTINUE)
		return "RFC 7143 11.12.2: T and C in one request";
	if (next == 2 || next <= now)
		return "RFC 7143 11.12.3: no such way from CSG to NSG";
	return NULL;
}

/* RFC 7143 6.3, 11.12: what every request of a login says alike. */
static const char *check_same(const struct login *l, const struct pdu_login_req *req)
{
	if (memcmp(&req->itt, &l->first.itt, sizeof req->itt))
		return "RFC 7143 11.12: the Initiator Task Tag changes within a login";
	if (memcmp(req->isid, l->first.isid, sizeof req->isid))
		return "RFC 7143 11.12.5: the ISID changes within a login";
	if (memcmp(&req->tsih, &l->first.tsih, sizeof req->tsih))
		return "RFC 7143 11.12.6: the TSIH changes within a login";
	if (memcmp(&req->cid, &l->first.cid, sizeof req->cid))
		return "RFC 7143 11.12.7: the CID changes within a login";
	return NULL;
}

static enum login_status check_header(
	const struct login *l, const struct pdu_login_req *req, const char **rule)
{
	*rule = "RFC 7143 11.12.4: only version 0x00 is known";
	if (req->version_min > 0)
		return LOGIN_VERSION;
	*rule = check_same(l, req);
	if (*rule)
		return LOGIN_INITIATOR_ERROR;
	*rule = check_stages(l, req);
	if (*rule)
		return LOGIN_INITIATOR_ERROR;
	*rule = "RFC 7143 6.3: a request before the last response";
	return l->joining || l->waiting ? LOGIN_INITIATOR_ERROR : LOGIN_SUCCESS;
}

/* ---- requests ---- */

static void say_late(struct loop_timer *timer);

/* The first request of a connection: everything begins with it. False: no memory, refused. */
static bool begin(struct conn *c, const struct pdu_login_req *req)
{
	struct login *l = calloc(1, sizeof *l);
	unsigned stage = PDU_LOGIN_CSG(req->flags);

	conn_event(c, CONN_EV_LOGIN);
	if (!l) {
		login_refuse(c, req, LOGIN_RESOURCES, "no memory for a login");
		return false;
	}
	c->login = l;
	l->catalogue = catalogue_get(c->home->catalogue);
	c->cid = be16_get(&req->cid);
	l->first = *req;
	/* RFC 7143 6.3.1: a login begins with security, or leaves it out; 2 and 3 are no way to */
	l->stage = stage == PDU_STAGE_OPERATE ? PDU_STAGE_OPERATE : PDU_STAGE_SECURITY;
	l->in.most = c->home->opts.max_text;
	l->out.most = KEYS_OUT_MAX;
	keys_init(&l->keys, stage == PDU_STAGE_OPERATE ? KEYS_OPERATE : KEYS_SECURITY, false);
	l->keys.ours[KEYS_MAX_BURST] = c->home->opts.max_burst;
	l->keys.ours[KEYS_FIRST_BURST] = c->home->opts.first_burst;
	l->keys.ours[KEYS_MAX_R2T] = c->home->opts.max_r2t;
	l->keys.joining = be16_get(&req->tsih); /* RFC 7143 11.12.6 */
	if (c->home->opts.session_connections)
		l->keys.ours[KEYS_MAX_CONNECTIONS] = c->home->opts.session_connections;
	l->conn = c;
	loop_timer_init(&l->timer, say_late);
	return true;
}

/* The answer to the last text: now, or when what wrong secrets cost is over. */
static void conclude(struct conn *c, enum login_status status, const char *rule)
{
	struct login *l = c->login;
	uint32_t wait_ms = l->wait_ms;

	l->wait_ms = 0;
	if (wait_ms) {
		l->waiting = true;
		l->late_status = status;
		l->late_rule = rule;
		loop_timer_set(c->loop, &l->timer, wait_ms);
	} else if (status) {
		login_refuse(c, &l->req, status, rule);
	} else {
		answer(c);
	}
}

static void say_late(struct loop_timer *timer)
{
	struct login *l = container_of(timer, struct login, timer);

	l->waiting = false;
	if (!l->conn->tx.last) /* refused meanwhile */
		conclude(l->conn, l->late_status, l->late_rule);
}

/* Takes the text of a request and says what is wrong with it; nothing: the request is answered. */
static enum login_status take_request(
	struct conn *c, const uint8_t *data, uint32_t len, const char **rule)
{
	struct login *l = c->login;

	*rule = "more requests than a login takes";
	if (++l->requests > LOGIN_REQUESTS_MAX) {
		stat_add(STAT_iscsi_limit_rounds, 1);
		return LOGIN_RESOURCES;
	}
	if (l->out_sent) { /* RFC 7143 6.2: the parts of our answer are asked for without text */
		*rule = "RFC 7143 6.2: text while the answer has more parts";
		if (len || (l->req.flags & PDU_CONTINUE))
			return LOGIN_INITIATOR_ERROR;
		answer(c);
		return LOGIN_SUCCESS;
	}
	keys_text_add(&l->in, data, len);
	*rule = "more text than max_text";
	if (l->in.err) {
		stat_add(STAT_iscsi_limit_text, 1);
		return LOGIN_RESOURCES;
	}
	if (l->req.flags & PDU_CONTINUE) { /* RFC 7143 6.2: answered without text */
		send_part(c, (uint8_t)(l->stage << 2), 0);
		return LOGIN_SUCCESS;
	}
	enum login_status status = login_take_text(c, rule);

	conclude(c, status, *rule);
	return LOGIN_SUCCESS;
}

void login_receive(
	struct conn *c, const struct pdu_login_req *req, const uint8_t *data, uint32_t len)
{
	enum login_status status;
	const char *rule;

	if (c->tx.last) /* refused already */
		return;
	if (!c->login && !begin(c, req))
		return;
	status = check_header(c->login, req, &rule);
	c->login->req = *req;
	if (!status)
		status = take_request(c, data, len, &rule);
	if (status)
		login_refuse(c, req, status, rule);
}

void login_out_of_place(struct conn *c, const struct pdu_bhs *bhs)
{
	const struct login *l = c->login;
	struct pdu_login_req req = { .itt = bhs->itt };

	if (c->tx.last)
		return;
	if (l) {
		memcpy(req.isid, l->first.isid, sizeof req.isid);
		req.cmd_sn = l->first.cmd_sn;
	}
	login_refuse(c, &req, LOGIN_OUT_OF_PLACE,
		"RFC 7143 6.3: another PDU than a Login Request within a login");
}

void login_free(struct conn *c)
{
	struct login *l = own_take(c->login);

	if (!l)
		return;
	loop_timer_cancel(c->loop, &l->timer);
	keys_text_free(&l->in);
	keys_text_free(&l->out);
	iscsi_catalogue_put(l->catalogue);
	free(l);
}
