/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SANITIZE: the CDB and the parameter list; the operation itself is in sanitize.c. CRYPTOGRAPHIC
 * ERASE is there where the volume has a key whose loss makes it unreadable.
 */
#include "target/scsi/command.h"
#include "target/scsi/sanitize.h"

#include "common/own.h"

#include <string.h>

#define SANITIZE_IMMED   0x80 /* byte 1 of the CDB, SBC-3 5.24 */
#define SANITIZE_AUSE    0x20
#define OVERWRITE_HEAD   4u
#define OVERWRITE_INVERT 0x80 /* byte 0 of the list, SBC-3 5.24.2.2 */
#define OVERWRITE_TEST   0x60
#define OVERWRITE_COUNT  0x1f

/* One operation at a time, whichever loop asks for it. */
static void begin(struct scsi_task *task, struct scsi_sanitize_plan *plan)
{
	struct scsi_cause cause;

	plan->immediate = task->cdb[1] & SANITIZE_IMMED;
	plan->may_exit = task->cdb[1] & SANITIZE_AUSE;
	if (scsi_sanitize_claim(task->lun, &plan->before)) {
		scsi_sanitize_begin(task, plan);
		return;
	}
	if (plan->pattern)
		loop_buf_put(task->nexus->loop, plan->pattern);
	cause = scsi_sanitize_cause(plan->before);
	scsi_task_fail_cause(task, &cause);
}

/* Fills a piece with blocks that begin with the pattern and repeat it (SBC-3 5.24.2.2). */
static void fill(const struct scsi_task *task, uint8_t *piece, uint32_t len)
{
	uint32_t block = task->lun->block_size;
	bool there = scsi_task_copy_out(task, OVERWRITE_HEAD, piece, len);

	own_assert(there); /* counted before */
	for (uint32_t at = len; at < block; at++)
		piece[at] = piece[at - len];
	for (uint32_t at = block; at < SANITIZE_PIECE; at += block)
		memcpy(piece + at, piece, block);
}

/*
 * SBC-3 5.24.2.2. What is wrong in the list is told as a wrong CDB: the length of the pattern
 * contradicts the length in the CDB, and initiators test for it.
 */
static void overwrite_list(struct scsi_task *task)
{
	struct scsi_sanitize_plan plan = { 0 };
	uint8_t head[OVERWRITE_HEAD];
	bool there = scsi_task_copy_out(task, 0, head, sizeof head);
	uint32_t len = be16_load(head + 2);

	own_assert(there);
	plan.passes = head[0] & OVERWRITE_COUNT;
	plan.invert = head[0] & OVERWRITE_INVERT;
	if (plan.passes == 0 || len == 0 || len > task->lun->block_size ||
		len > task->out_len - OVERWRITE_HEAD) {
		scsi_task_fail_field(task, 7, 7);
		return;
	}
	if (head[0] & OVERWRITE_TEST) { /* vendor specific, and we have none */
		scsi_task_fail_list(task, 0, 6);
		return;
	}
	plan.pattern = loop_buf_get(task->nexus->loop, SANITIZE_PIECE);
	if (!plan.pattern) {
		scsi_task_busy(task);
		return;
	}
	fill(task, plan.pattern->data, len);
	begin(task, &plan);
}

/* SBC-3 5.24.2.2 */
void scsi_cmd_sanitize_overwrite(struct scsi_task *task)
{
	uint32_t len = be16_load(task->cdb + 7);

	task->want_out = len;
	if (len <= OVERWRITE_HEAD || len > task->lun->block_size + OVERWRITE_HEAD)
		scsi_task_fail_field(task, 7, 7);
	else if (len > task->out_room)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, overwrite_list);
}

/* SBC-3 5.24.2.3: the blocks lose their space and read as zero, so WABEREQ is 01b. */
void scsi_cmd_sanitize_erase(struct scsi_task *task)
{
	struct scsi_sanitize_plan plan = { .passes = 1 };

	if (be16_load(task->cdb + 7))
		scsi_task_fail_field(task, 7, 7);
	else
		begin(task, &plan);
}

/* SBC-3 5.24.2.4: the blocks read as what another key makes of them, so WACEREQ is 01b. */
void scsi_cmd_sanitize_crypto(struct scsi_task *task)
{
	struct scsi_sanitize_plan plan = { .rekey = true, .passes = 1 };

	if (be16_load(task->cdb + 7))
		scsi_task_fail_field(task, 7, 7);
	else
		begin(task, &plan);
}

/* SBC-3 5.24.2.5: without a failure that AUSE allows to leave there is nothing to exit from. */
void scsi_cmd_sanitize_exit(struct scsi_task *task)
{
	if (be16_load(task->cdb + 7))
		scsi_task_fail_field(task, 7, 7);
	else if (scsi_sanitize_exit(task->lun))
		scsi_task_good(task);
	else
		scsi_task_fail_field(task, 1, 4);
}
