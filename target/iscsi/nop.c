// SPDX-License-Identifier: Apache-2.0
/*
 * nop.c: signs of life. An initiator's NOP-Out is answered with its data; a connection that has
 * been silent is asked by a NOP-In, and any NOP-Out with our tag answers it.
 */
#include "target/iscsi/session.h"

#define NOP_OUR_TTT 1u /* one ping at a time is out, so one tag is enough */

static void nop_answered(struct conn *c)
{
	c->ping_out = false;
	ack_seen(c);
}

void nop_receive(struct conn *c, const struct pdu_nop_out *req, const uint8_t *data, uint32_t len)
{
	union pdu pdu = { .nop_in = { .opcode = PDU_NOP_IN, .flags = PDU_FINAL } };

	if (be32_get(&req->itt) == PDU_TAG_RESERVED) {
		/* RFC 7143 11.18: without a task tag it must be immediate, and is not answered */
		if (!(req->opcode & PDU_IMMEDIATE))
			conn_reject(c, req, PDU_REJECT_PROTOCOL);
		else if (be32_get(&req->ttt) == NOP_OUR_TTT)
			nop_answered(c);
		return;
	}
	/* RFC 7143 11.19.2: as much of the data as the initiator takes */
	if (len > c->params.max_xmit)
		len = c->params.max_xmit;
	pdu.nop_in.itt = req->itt;
	be32_set(&pdu.nop_in.ttt, PDU_TAG_RESERVED);
	conn_send(c, &pdu, data, len, true);
}

void nop_tell(struct conn *c)
{
	union pdu pdu = { .nop_in = { .opcode = PDU_NOP_IN, .flags = PDU_FINAL } };

	be32_set(&pdu.nop_in.itt, PDU_TAG_RESERVED);
	be32_set(&pdu.nop_in.ttt, PDU_TAG_RESERVED);
	conn_send(c, &pdu, NULL, 0, false);
}

void nop_ping(struct conn *c)
{
	union pdu pdu = { .nop_in = { .opcode = PDU_NOP_IN, .flags = PDU_FINAL } };

	be32_set(&pdu.nop_in.itt, PDU_TAG_RESERVED);
	be32_set(&pdu.nop_in.ttt, NOP_OUR_TTT);
	conn_send(c, &pdu, NULL, 0, false);
}
