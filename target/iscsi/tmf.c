// SPDX-License-Identifier: Apache-2.0
/*
 * tmf.c: Task Management Function Requests (RFC 7143 11.5) handed to the SCSI room, and its results
 * as the response codes of RFC 7143 11.6.1.
 *
 * An answer to an aborted command must not follow ours, so finished commands that are concerned
 * and have not been sent are dropped first: those that are finished when the request comes, for
 * what comes behind it is to be answered.
 */
#include "target/iscsi/session.h"

#include "common/own.h"
#include "common/stat.h"

#include <stdlib.h>
#include <string.h>

enum tmf_code { /* RFC 7143 11.5.1 */
	TMF_ABORT_TASK = 1,
	TMF_ABORT_TASK_SET = 2,
	TMF_CLEAR_ACA = 3,
	TMF_CLEAR_TASK_SET = 4,
	TMF_LUN_RESET = 5,
	TMF_WARM_RESET = 6,
	TMF_COLD_RESET = 7,
	TMF_REASSIGN = 8,
};

enum tmf_response { /* RFC 7143 11.6.1 */
	TMF_RSP_COMPLETE = 0,
	TMF_RSP_NO_TASK = 1,
	TMF_RSP_NO_LUN = 2,
	TMF_RSP_NO_REASSIGN = 4,
	TMF_RSP_NOT_SUPPORTED = 5,
	TMF_RSP_REJECTED = 255,
};

struct tmf_request {
	struct scsi_tmf tmf;
	struct conn *conn;           /* held */
	struct iscsi_target *target; /* a share of the session's, which may be over before */
	uint32_t itt;
	uint32_t ref_cmd_sn;
	uint8_t code;               /* enum tmf_code */
	bool early;                 /* the referenced command may still be on its way */
	bool dropped;               /* a finished command was concerned */
	enum tmf_response response; /* waits for `ack` */
	struct ack ack;
	struct scsi_everywhere everywhere;
};

static void tmf_answer(struct conn *c, uint32_t itt, enum tmf_response response, bool last)
{
	union pdu pdu = { .tmf_rsp = { .opcode = PDU_TMF_RSP, .flags = PDU_FINAL } };

	pdu.tmf_rsp.response = (uint8_t)response;
	be32_set(&pdu.tmf_rsp.itt, itt);
	if (last)
		conn_send_last(c, &pdu, NULL, 0);
	else
		conn_send(c, &pdu, NULL, 0, true);
}

/* Whether a finished command of this session is one of those that the function is about. */
static bool tmf_concerns(const struct tmf_request *r, const struct session_task *t)
{
	switch (r->tmf.function) {
	case SCSI_TMF_ABORT_TASK:
		return t->itt == (uint32_t)r->tmf.tag;
	case SCSI_TMF_ABORT_TASK_SET:
	case SCSI_TMF_CLEAR_TASK_SET:
	case SCSI_TMF_LUN_RESET:
		return !memcmp(t->scsi.lun_field, r->tmf.lun_field, sizeof r->tmf.lun_field);
	case SCSI_TMF_TARGET_RESET:
		return true;
	default:
		return false;
	}
}

static bool tmf_drop_ready_of(struct tmf_request *r, struct conn *c)
{
	bool dropped = false;

	list_for_each_safe (node, &c->tx.ready) {
		struct session_task *t = container_of(node, struct session_task, tx_node);

		if (!tmf_concerns(r, t))
			continue;
		conn_tx_forget(t);
		dropped = true;
	}
	return dropped;
}

/* Drops answers that have not left, of every connection of the session; true when there was one. */
static bool tmf_drop_ready(struct tmf_request *r)
{
	bool dropped = false;

	list_for_each (node, &r->conn->session->conns)
		dropped |= tmf_drop_ready_of(r, container_of(node, struct conn, session_node));
	return dropped;
}

static enum tmf_response tmf_translate(enum scsi_tmf_result result)
{
	switch (result) {
	case SCSI_TMF_COMPLETE:
	case SCSI_TMF_SUCCEEDED:
		return TMF_RSP_COMPLETE;
	case SCSI_TMF_INCORRECT_LUN:
		return TMF_RSP_NO_LUN;
	case SCSI_TMF_NO_TASK:
		return TMF_RSP_NO_TASK;
	case SCSI_TMF_REJECTED:
		break;
	}
	return TMF_RSP_REJECTED;
}

static void tmf_end(struct tmf_request *r, enum tmf_response response)
{
	struct conn *c = r->conn;

	if (c->state != CONN_FREE)
		tmf_answer(c, r->itt, response, r->code == TMF_COLD_RESET);
	catalogue_target_put(r->target);
	free(r);
	c->tmfs--;
	conn_put(c);
}

/* RFC 7143 11.5.1: a cold reset ends every session with the target as well. The asker's own
 * connection ends behind the answer. */
static void tmf_cold_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct tmf_request *r = container_of(e, struct tmf_request, everywhere);
	struct iscsi_loop *home = &r->conn->srv->loops[loop_index(loop)];

	list_for_each_safe (node, &home->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (c != r->conn && c->session && c->session->target &&
			!strcmp(c->session->target->name, r->target->name))
			conn_close(c, "target cold reset");
	}
}

static void tmf_cold_done(struct scsi_everywhere *e)
{
	tmf_end(container_of(e, struct tmf_request, everywhere), TMF_RSP_COMPLETE);
}

static void tmf_acked(struct ack *a)
{
	struct tmf_request *r = container_of(a, struct tmf_request, ack);

	tmf_end(r, r->response);
}

/* RFC 7143 4.2.2.3.4: the response comes behind every status that was sent before it, by whichever
 * connection. */
static void tmf_fence(struct tmf_request *r, enum tmf_response response)
{
	r->response = response;
	r->ack.done = tmf_acked;
	ack_submit(&r->ack, r->conn->session, r->conn);
}

static void tmf_done(struct scsi_tmf *tmf)
{
	struct tmf_request *r = container_of(tmf, struct tmf_request, tmf);
	enum tmf_response response = tmf_translate(tmf->result);

	if (r->conn->state == CONN_FREE) {
		tmf_end(r, response);
		return;
	}
	if (r->dropped && response == TMF_RSP_NO_TASK)
		response = TMF_RSP_COMPLETE;
	/* RFC 7143 11.6.1 b: a command that has not come counts as received and aborted */
	if (response == TMF_RSP_NO_TASK && r->early &&
		session_skip(r->conn->session, r->conn, r->ref_cmd_sn))
		response = TMF_RSP_COMPLETE;
	if (r->conn->state == CONN_FREE) { /* what was behind it has ended the connection */
		tmf_end(r, response);
		return;
	}
	if (r->code == TMF_COLD_RESET && response == TMF_RSP_COMPLETE) {
		r->everywhere.each = tmf_cold_each;
		r->everywhere.done = tmf_cold_done;
		scsi_everywhere(r->conn->srv->domain, &r->everywhere);
		return;
	}
	tmf_fence(r, response);
}

/* The SCSI room's name of a function, or -1 with the answer to give instead. */
static int tmf_function(uint8_t code, enum tmf_response *instead)
{
	switch (code) {
	case TMF_ABORT_TASK:
		return SCSI_TMF_ABORT_TASK;
	case TMF_ABORT_TASK_SET:
		return SCSI_TMF_ABORT_TASK_SET;
	case TMF_CLEAR_TASK_SET:
		return SCSI_TMF_CLEAR_TASK_SET;
	case TMF_LUN_RESET:
		return SCSI_TMF_LUN_RESET;
	case TMF_WARM_RESET:
	case TMF_COLD_RESET:
		return SCSI_TMF_TARGET_RESET;
	case TMF_REASSIGN: /* RFC 7143 11.5.1: needs recovery level 2 */
		*instead = TMF_RSP_NO_REASSIGN;
		return -1;
	case TMF_CLEAR_ACA: /* NormACA is not offered: SPC-4 6.6.2 */
		*instead = TMF_RSP_NOT_SUPPORTED;
		return -1;
	default:
		*instead = TMF_RSP_REJECTED;
		return -1;
	}
}

void tmf_receive(struct conn *c, const struct pdu_tmf_req *req)
{
	uint8_t code = req->function & 0x7f;
	enum tmf_response instead = TMF_RSP_REJECTED;
	int function = c->session->target ? tmf_function(code, &instead) : -1;
	struct tmf_request *r;

	if (function < 0) {
		tmf_answer(c, be32_get(&req->itt), instead, false);
		return;
	}
	if (c->tmfs == SESSION_IMMEDIATE_MAX) {
		stat_add(STAT_iscsi_limit_immediate, 1);
		if (req->opcode & PDU_IMMEDIATE)
			conn_reject(c, req, PDU_REJECT_IMMEDIATE);
		else
			tmf_answer(c, be32_get(&req->itt), TMF_RSP_REJECTED, false);
		return;
	}
	r = calloc(1, sizeof *r);
	if (!r) {
		conn_close(c, "out of memory");
		return;
	}
	c->tmfs++;
	r->conn = c;
	r->code = code;
	r->itt = be32_get(&req->itt);
	r->ref_cmd_sn = be32_get(&req->ref_cmd_sn);
	r->early = (int32_t)(r->ref_cmd_sn - be32_get(&req->cmd_sn)) < 0;
	r->tmf.function = (enum scsi_tmf_function)function;
	r->tmf.nexus = &c->session->nexus;
	r->target = catalogue_target_get(c->session->target);
	r->tmf.tag = be32_get(&req->ref_itt);
	memcpy(r->tmf.lun_field, req->lun, sizeof r->tmf.lun_field);
	r->tmf.done = tmf_done;
	conn_hold(c);
	scsi_tmf_submit(&r->tmf);
	if (r->tmf.result == SCSI_TMF_COMPLETE || r->tmf.result == SCSI_TMF_NO_TASK)
		r->dropped = tmf_drop_ready(r);
}
