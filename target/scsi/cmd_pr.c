/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE OUT: the parameter list is read here, where the command came in; what it does
 * is decided on the home loop of the reservation (reservation_rules.c).
 */
#include "target/scsi/reservation.h"

#include "common/own.h"

#include <stdlib.h>

#define OUT_BASIC 24u         /* bytes of the list of most service actions */
#define OUT_IDS   28u         /* where TransportIDs begin after REGISTER */
#define OUT_MAX   (64u << 10) /* longest list that is taken */
#define ID_MIN    24u         /* bytes of a TransportID */

static void out_done(struct res_request *req)
{
	struct scsi_task *task = own_take(req->task);

	task->request = NULL;
	if (task->abort_wanted)
		scsi_task_end(task);
	else
		scsi_res_answer(task, req);
	res_request_free(req);
}

static bool fail_length(struct scsi_task *task)
{
	scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	return false;
}

static bool fail_list(struct scsi_task *task, unsigned byte, int bit)
{
	scsi_task_fail_list(task, byte, bit);
	return false;
}

/* SPC-4 6.16.3 and 6.16.4: `len` bytes of TransportIDs at `off` of the list. */
static bool take_ids(struct scsi_task *task, struct res_out *out, const uint8_t *list, size_t off)
{
	uint32_t len = be32_load(list + off - 4);
	struct span_reader r = span_reader(list + off, len);
	bool port;

	if (len != task->out_len - off)
		return fail_length(task);
	out->id = calloc(len / ID_MIN + 1, sizeof *out->id);
	if (!out->id) {
		scsi_task_fail(task, SENSE_REGISTRATION_RESOURCES);
		return false;
	}
	while (span_left(&r)) {
		unsigned at = (unsigned)(r.p - list);

		/* A node's name alone says nothing of which of its ports is meant. */
		if (!res_transport_take(&r, out->id[out->id_count], &port) || !port)
			return fail_list(task, at, 7);
		out->id_count++;
	}
	return true;
}

/* SPC-4 6.16.3 */
static bool take_basic(struct scsi_task *task, struct res_request *req, const uint8_t *list)
{
	struct res_out *out = &req->out;
	bool registers = req->action == RES_OUT_REGISTER || req->action == RES_OUT_REGISTER_IGNORE;

	out->spec_i_pt = list[20] & 0x08;
	out->all_tg_pt = registers && (list[20] & 0x04);
	out->aptpl = list[20] & 0x01;
	if (!out->spec_i_pt && task->out_len != OUT_BASIC) /* SPC-4 6.16.1 */
		return fail_length(task);
	if (out->spec_i_pt && req->action != RES_OUT_REGISTER)
		return fail_list(task, 20, 3);
	if (req->action == RES_OUT_REPLACE_LOST && (list[20] & 0x04))
		return fail_list(task, 20, 2);
	if (out->aptpl && (registers || req->action == RES_OUT_REPLACE_LOST) &&
		!scsi_res_lasting(req->res))
		return fail_list(task, 20, 0);
	if (!out->spec_i_pt)
		return true;
	return task->out_len < OUT_IDS ? fail_length(task) : take_ids(task, out, list, OUT_IDS);
}

/* SPC-4 6.16.4 */
static bool take_move(struct scsi_task *task, struct res_request *req, const uint8_t *list)
{
	struct res_out *out = &req->out;

	out->unreg = list[17] & 0x02;
	out->aptpl = list[17] & 0x01;
	out->rel_port = be16_load(list + 18);
	if (out->aptpl && !scsi_res_lasting(req->res))
		return fail_list(task, 17, 0);
	if (!take_ids(task, out, list, OUT_BASIC))
		return false;
	return out->id_count == 1 || fail_list(task, 20, 7);
}

static bool take_list(struct scsi_task *task, struct res_request *req, const uint8_t *list)
{
	req->out.scope = task->cdb[2] >> 4;
	req->out.type = task->cdb[2] & 0x0f;
	req->out.key = be64_load(list);
	req->out.action_key = be64_load(list + 8);
	if (req->action == RES_OUT_REGISTER_MOVE)
		return take_move(task, req, list);
	return take_basic(task, req, list);
}

static void out_list(struct scsi_task *task)
{
	own_free uint8_t *list = malloc(task->out_len);
	struct res_request *req =
		res_request_new(task->lun, task->nexus, (enum res_action)task->cmd->action);

	if (!list || !req || !scsi_task_copy_out(task, 0, list, task->out_len)) {
		scsi_task_fail(task, SENSE_REGISTRATION_RESOURCES); /* SPC-4 6.16.1 */
		free(req);
		return;
	}
	if (!take_list(task, req, list)) {
		res_request_free(req);
		return;
	}
	req->task = task;
	req->done = out_done;
	task->request = req;
	res_request_submit(req, task->nexus->loop);
}

void scsi_cmd_pr_out(struct scsi_task *task)
{
	uint32_t len = be32_load(task->cdb + 5);

	task->want_out = len;
	if (len < OUT_BASIC || len > OUT_MAX || len > task->out_room) /* SPC-4 6.16.1 */
		fail_length(task);
	else
		scsi_task_want(task, len, out_list);
}

/* ---- RESERVE and RELEASE of SPC-2 ---- */

static void spc2(struct scsi_task *task, enum res_action action)
{
	struct res_request *req = res_request_new(task->lun, task->nexus, action);

	if (!req) {
		scsi_task_busy(task);
		return;
	}
	req->task = task;
	req->done = out_done;
	task->request = req;
	res_request_submit(req, task->nexus->loop);
}

/* SPC-2 7.21: of a whole unit, for the asker itself; 7.22 the same with ten bytes */
void scsi_cmd_reserve(struct scsi_task *task)
{
	spc2(task, RES_SPC2_RESERVE);
}

void scsi_cmd_release(struct scsi_task *task)
{
	spc2(task, RES_SPC2_RELEASE);
}
