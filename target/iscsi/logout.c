// SPDX-License-Identifier: Apache-2.0
/*
 * logout.c: Logout Requests (RFC 7143 11.14): of a session, of the connection on which they come,
 * or of another one of the session. Commands end first, then the answer leaves, then the connection
 * on which it left closes, when it was meant. The last connection is the session.
 */
#include "target/iscsi/session.h"

#define LOGOUT_OK          0 /* RFC 7143 11.15.1 */
#define LOGOUT_NO_CID      1
#define LOGOUT_NO_RECOVERY 2

/* `last`: the connection ends with it. */
static void logout_answer(
	struct conn *c, const struct pdu_logout_req *req, uint8_t response, bool last)
{
	union pdu pdu = { .logout_rsp = { .opcode = PDU_LOGOUT_RSP, .flags = PDU_FINAL } };

	pdu.logout_rsp.response = response;
	pdu.logout_rsp.itt = req->itt;
	be16_set(&pdu.logout_rsp.time2wait, (uint16_t)c->params.time2wait);
	be16_set(&pdu.logout_rsp.time2retain, (uint16_t)c->params.time2retain);
	if (last)
		conn_send_last(c, &pdu, NULL, 0);
	else
		conn_send(c, &pdu, NULL, 0, true);
}

void logout_complete(struct conn *c, const struct pdu_logout_req *req)
{
	logout_answer(c, req, LOGOUT_OK, true);
}

/* Another one was logged out. */
static void logout_told(struct conn *c, const struct pdu_logout_req *req)
{
	logout_answer(c, req, LOGOUT_OK, false);
}

/* RFC 7143 11.14: `gone` ends, its commands too, and the session lives on. */
static void logout_one(struct conn *c, struct conn *gone, const struct pdu_logout_req *req)
{
	struct session *s = c->session;

	gone->dismissed = true;
	if (gone == c) {
		conn_event(c, CONN_EV_LOGOUT);
		session_drop_held(s, c);
		member_end_tasks(s, c, c, logout_complete, req);
		return;
	}
	conn_hold(gone);
	conn_close(gone, "logged out by another connection");
	member_end_tasks(s, gone, c, logout_told, req);
	conn_put(gone);
}

void logout_receive(struct conn *c, const struct pdu_logout_req *req)
{
	struct conn *gone = member_find(c->session, be16_get(&req->cid));

	switch (req->reason & 0x7f) {
	case PDU_LOGOUT_CONN:
		if (!gone) {
			logout_answer(c, req, LOGOUT_NO_CID, false);
			return;
		}
		if (c->session->conn_count > 1) {
			logout_one(c, gone, req);
			return;
		}
		break;
	case PDU_LOGOUT_SESSION:
		break;
	case PDU_LOGOUT_RECOVERY:
		logout_answer(c, req, LOGOUT_NO_RECOVERY, false);
		return;
	default: /* RFC 7143 11.14.1: reserved */
		conn_reject(c, req, PDU_REJECT_INVALID_FIELD);
		return;
	}
	conn_event(c, CONN_EV_LOGOUT);
	session_logout(c->session, c, req);
}
