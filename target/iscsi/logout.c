// SPDX-License-Identifier: Apache-2.0
/*
 * logout.c: Logout Requests (RFC 7143 11.14). With one connection a session, closing the connection
 * and closing the session are the same: commands in flight end first, then the answer leaves, then
 * the connection closes.
 */
#include "target/iscsi/session.h"

#define LOGOUT_OK          0 /* RFC 7143 11.15.1 */
#define LOGOUT_NO_CID      1
#define LOGOUT_NO_RECOVERY 2

static void logout_answer(struct conn *c, const struct pdu_logout_req *req, uint8_t response)
{
	union pdu pdu = { .logout_rsp = { .opcode = PDU_LOGOUT_RSP, .flags = PDU_FINAL } };

	pdu.logout_rsp.response = response;
	pdu.logout_rsp.itt = req->itt;
	be16_set(&pdu.logout_rsp.time2wait, (uint16_t)c->params.time2wait);
	be16_set(&pdu.logout_rsp.time2retain, (uint16_t)c->params.time2retain);
	if (response == LOGOUT_OK)
		conn_send_last(c, &pdu, NULL, 0);
	else
		conn_send(c, &pdu, NULL, 0, true);
}

void logout_complete(struct conn *c, const struct pdu_logout_req *req)
{
	logout_answer(c, req, LOGOUT_OK);
}

void logout_receive(struct conn *c, const struct pdu_logout_req *req)
{
	switch (req->reason & 0x7f) {
	case PDU_LOGOUT_CONN:
		if (be16_get(&req->cid) != c->cid) {
			logout_answer(c, req, LOGOUT_NO_CID);
			return;
		}
		break;
	case PDU_LOGOUT_SESSION:
		break;
	case PDU_LOGOUT_RECOVERY:
		logout_answer(c, req, LOGOUT_NO_RECOVERY);
		return;
	default: /* RFC 7143 11.14.1: reserved */
		conn_reject(c, req, PDU_REJECT_INVALID_FIELD);
		return;
	}
	conn_event(c, CONN_EV_LOGOUT);
	session_logout(c->session, req);
}
