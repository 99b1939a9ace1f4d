/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ORWRITE: sets in the blocks the bits that are set in the data, nobody else writing there
 * meanwhile. ORWRITE(32) names the generation of the bitmap that it means, and can begin another
 * one while it clears bits; that has the whole unit to itself, so that every ORWRITE is before it
 * or after it.
 */
#include "target/scsi/command.h"
#include "target/scsi/fence.h"

#define ORWRITE_FUA 0x08 /* byte 1, SBC-3 5.5; byte 10, SBC-5 5.11 */

/* BMOP, SBC-5 table 70 */
enum { BMOP_SET = 0, BMOP_CHANGE = 1 };

enum verdict { RESERVED, PERFORM, DISCARD, REFUSE };

/* SBC-5 4.27.4, table 29: what becomes of a set operation of the previous generation and of any
 * other; one of the current generation is performed. */
static const struct {
	uint8_t previous, other; /* enum verdict */
} orwrite_policies[16] = {
	[0x0] = { PERFORM, REFUSE },
	[0x2] = { DISCARD, REFUSE },
	[0x3] = { PERFORM, PERFORM },
	[0x5] = { DISCARD, DISCARD },
	[0x7] = { REFUSE, REFUSE },
};

#define POLICY_AT_FIRST 7u

void scsi_orwrite_reset(struct scsi_lun *lun)
{
	__atomic_store_n(&lun->orwrite.current, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&lun->orwrite.previous, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&lun->orwrite.policy, POLICY_AT_FIRST, __ATOMIC_RELAXED);
}

static bool orwrite_changes(const struct scsi_task *task)
{
	return task->cmd->opcode == SCSI_VARIABLE && task->cdb[2] == BMOP_CHANGE;
}

/* SBC-5 4.27.2.2: ORWRITE(16) means generation 0. */
static uint32_t orwrite_expected(const struct scsi_task *task)
{
	return task->cmd->opcode == SCSI_VARIABLE ? be32_load(task->cdb + 20) : 0;
}

static uint32_t orwrite_flags(const struct scsi_task *task)
{
	uint8_t byte = task->cdb[task->cmd->opcode == SCSI_VARIABLE ? 10 : 1];

	return byte & ORWRITE_FUA ? VOL_FUA : 0;
}

/* Whether the operation goes on, now that the generations stand still. */
static enum verdict orwrite_judge(const struct scsi_task *task)
{
	const struct scsi_orwrite *now = &task->lun->orwrite;
	uint32_t expected = orwrite_expected(task);
	unsigned policy = __atomic_load_n(&now->policy, __ATOMIC_RELAXED);

	if (expected == __atomic_load_n(&now->current, __ATOMIC_RELAXED))
		return PERFORM;
	if (orwrite_changes(task)) /* SBC-5 4.27.3 */
		return REFUSE;
	if (expected == __atomic_load_n(&now->previous, __ATOMIC_RELAXED))
		return orwrite_policies[policy].previous;
	return orwrite_policies[policy].other;
}

static void orwrite_done(struct scsi_task *task)
{
	struct scsi_orwrite *now = &task->lun->orwrite;

	if (orwrite_changes(task)) { /* SBC-5 4.27.3 */
		__atomic_store_n(&now->policy, task->cdb[3], __ATOMIC_RELAXED);
		__atomic_store_n(&now->previous, now->current, __ATOMIC_RELAXED);
		__atomic_store_n(&now->current, be32_load(task->cdb + 24), __ATOMIC_RELAXED);
	}
	scsi_task_good(task);
}

static void orwrite_merge(struct scsi_task *task)
{
	uint8_t *to = task->work_buf->data;
	bool clears = orwrite_changes(task);

	for (unsigned i = 0; i < task->out_iovcnt; i++) {
		const uint8_t *from = task->out_iov[i].iov_base;

		for (size_t at = 0; at < task->out_iov[i].iov_len; at++, to++)
			*to = clears ? *to & from[at] : *to | from[at];
	}
}

static void orwrite_write(struct scsi_task *task)
{
	orwrite_merge(task);
	scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba), task->out_len);
	task->io.flags = orwrite_flags(task);
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, orwrite_done);
}

static void orwrite_read(struct scsi_task *task)
{
	if (!scsi_task_work(task, task->out_len))
		return;
	scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba), task->out_len);
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, orwrite_write);
}

static void orwrite_fenced(struct scsi_task *task)
{
	switch (orwrite_judge(task)) {
	case PERFORM:
		if (task->blocks)
			orwrite_read(task);
		else
			orwrite_done(task);
		break;
	case DISCARD:
		scsi_task_good(task);
		break;
	default:
		scsi_task_fail(task, SENSE_ORWRITE_GENERATION);
	}
}

static void orwrite_fence(struct scsi_task *task)
{
	if (orwrite_changes(task))
		scsi_fence_take(task, 0, scsi_task_capacity(task), orwrite_fenced);
	else if (task->blocks)
		scsi_fence_take(
			task, task->lba, task->out_len >> task->lun->block_shift, orwrite_fenced);
	else
		orwrite_fenced(task);
}

/* What only the operation says of its CDB; false: the task is ended. */
static bool orwrite_check(struct scsi_task *task)
{
	if (task->cmd->opcode != SCSI_VARIABLE || task->cdb[2] == BMOP_SET)
		return true;
	if (task->cdb[2] != BMOP_CHANGE) {
		scsi_task_fail_field(task, 2, 2);
		return false;
	}
	if (orwrite_policies[task->cdb[3]].other == RESERVED) {
		scsi_task_fail_field(task, 3, 3);
		return false;
	}
	return true;
}

/* SBC-3 5.5, SBC-5 5.11 */
void scsi_cmd_orwrite(struct scsi_task *task)
{
	if (!orwrite_check(task))
		return;
	if (task->blocks)
		scsi_task_want_blocks(task, orwrite_fence);
	else
		orwrite_fence(task);
}
