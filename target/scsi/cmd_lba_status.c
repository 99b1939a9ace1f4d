/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET LBA STATUS(16) and (32): which blocks have space of their own.
 *
 * The volume is asked until the range, the room for descriptors or the patience ends. What it says
 * is kept as runs of blocks of one kind in the scratch, behind the room for its answers.
 *
 * step[0]: the first LBA that is not looked at yet; step[1]: where to stop; step[2]: runs so far;
 * step[3]: questions so far.
 */
#include "target/scsi/command.h"

#define STATUS_HEADER     8u
#define STATUS_DESCRIPTOR 16u
#define STATUS_RUNS       ((SCSI_REPLY_MAX - STATUS_HEADER) / STATUS_DESCRIPTOR)
#define STATUS_ASKS       64u /* questions to the volume for one command */
#define STATUS_EXTENTS    (SCSI_REPLY_MAX / sizeof(struct vol_extent))

/* REPORT TYPE, SBC-5 table 49 */
enum {
	REPORT_ALL = 0x00,
	REPORT_NOT_ZERO = 0x01,
	REPORT_MAPPED = 0x02,
	REPORT_DEALLOCATED = 0x03,
	REPORT_ANCHORED = 0x04,
	REPORT_UNRECOVERED = 0x10,
};

/* PROVISIONING STATUS, SBC-5 table 53 */
enum { STATUS_MAPPED_OR_UNKNOWN = 0, STATUS_DEALLOCATED = 1, STATUS_MAPPED = 3 };

/* COMPLETION CONDITION, SBC-5 table 51 */
enum { ENDED_ANYHOW = 0, ENDED_BY_ALLOCATION = 1, ENDED_BY_SCAN = 2, ENDED_BY_CAPACITY = 3 };

struct status_run {
	uint64_t lba, blocks;
	uint8_t status;
};

static bool status_long(const struct scsi_task *task)
{
	return task->cmd->opcode == SCSI_VARIABLE;
}

static unsigned status_type(const struct scsi_task *task)
{
	return task->cdb[status_long(task) ? 10 : 14];
}

static uint32_t status_allocation(const struct scsi_task *task)
{
	return be32_load(task->cdb + (status_long(task) ? 28 : 10));
}

static struct status_run *status_runs(const struct scsi_task *task)
{
	return (struct status_run *)(void *)(task->work_buf->data + SCSI_REPLY_MAX);
}

/* Whether the report has blocks like these; *status is what it says of them. A unit that is not
 * thin says that all of them are mapped (SBC-5 5.6.2.2). */
static bool status_wanted(const struct scsi_task *task, bool mapped, uint8_t *status)
{
	unsigned type = status_type(task);

	mapped |= !task->lun->thin;
	if (mapped)
		*status = type == REPORT_ALL ? STATUS_MAPPED_OR_UNKNOWN : STATUS_MAPPED;
	else
		*status = STATUS_DEALLOCATED;
	return type == REPORT_ALL || type == REPORT_NOT_ZERO ||
	       type == (mapped ? REPORT_MAPPED : REPORT_DEALLOCATED);
}

/* Descriptors that a run takes: a count has 32 bits. */
static uint64_t run_descriptors(const struct status_run *run)
{
	return (run->blocks + UINT32_MAX - 1) / UINT32_MAX;
}

static void put_run(struct span_writer *w, const struct status_run *run)
{
	uint64_t lba = run->lba, left = run->blocks;

	while (left) {
		uint32_t count = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;

		span_put64(w, lba);
		span_put32(w, count);
		span_put8(w, run->status);
		span_fill(w, 0, 3);
		lba += count;
		left -= count;
	}
}

/* Bytes of the answer with everything that was found. */
static uint64_t status_len(const struct scsi_task *task)
{
	uint64_t len = STATUS_HEADER;

	for (unsigned i = 0; i < task->step[2]; i++)
		len += run_descriptors(&status_runs(task)[i]) * STATUS_DESCRIPTOR;
	return len;
}

static unsigned status_ended(const struct scsi_task *task)
{
	if (task->step[0] >= scsi_task_capacity(task))
		return ENDED_BY_CAPACITY;
	if (task->step[0] >= task->step[1])
		return ENDED_BY_SCAN;
	return status_len(task) > status_allocation(task) ? ENDED_BY_ALLOCATION : ENDED_ANYHOW;
}

static void status_answer(struct scsi_task *task)
{
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	span_fill(&w, 0, 7);
	span_put8(&w, (uint8_t)(status_ended(task) << 1 | 1)); /* RTP */
	for (unsigned i = 0; i < task->step[2]; i++)
		put_run(&w, &status_runs(task)[i]);
	if (span_cut(&w)) /* the last run was too long for one descriptor */
		w.want = STATUS_HEADER + STATUS_RUNS * STATUS_DESCRIPTOR;
	span_patch32(&w, 0, (uint32_t)w.want - 4);
	scsi_reply_end(task, &w, status_allocation(task));
}

/* Adds an extent to the last run or as a run of its own; false: there is no room for one. */
static bool add_extent(struct scsi_task *task, uint64_t lba, uint64_t blocks, bool mapped)
{
	struct status_run *last = status_runs(task) + task->step[2] - 1;
	uint8_t status;

	if (!status_wanted(task, mapped, &status))
		return true;
	if (task->step[2] && last->status == status && last->lba + last->blocks == lba) {
		last->blocks += blocks;
		return true;
	}
	if (task->step[2] == STATUS_RUNS)
		return false;
	last[1] = (struct status_run){ .lba = lba, .blocks = blocks, .status = status };
	task->step[2]++;
	return true;
}

/* The last run may still grow, so one more than fits is wanted. */
static bool status_full(const struct scsi_task *task)
{
	uint64_t len = status_len(task);

	return len > SCSI_REPLY_MAX || len >= (uint64_t)status_allocation(task) + STATUS_DESCRIPTOR;
}

static void status_ask(struct scsi_task *task);

static void status_heard(struct scsi_task *task)
{
	const struct vol_io *io = &task->io;
	unsigned shift = task->lun->block_shift;
	bool room = io->extent_count;

	for (unsigned i = 0; i < io->extent_count && room; i++) {
		const struct vol_extent *e = &io->extents[i];

		room = add_extent(task, e->off >> shift, e->len >> shift, e->mapped);
		if (room)
			task->step[0] = (e->off + e->len) >> shift;
	}
	if (room && !status_full(task) && task->step[0] < task->step[1] &&
		++task->step[3] < STATUS_ASKS)
		status_ask(task);
	else
		status_answer(task);
}

static void status_ask(struct scsi_task *task)
{
	struct vol_io *io;

	io = scsi_task_io(task, VOL_EXTENTS, scsi_task_bytes(task, task->step[0]),
		scsi_task_bytes(task, task->step[1] - task->step[0]));
	io->extents = (struct vol_extent *)(void *)task->work_buf->data;
	io->extent_max = STATUS_EXTENTS;
	scsi_task_io_go(task, status_heard);
}

static bool status_check(struct scsi_task *task)
{
	unsigned type = status_type(task);

	if (task->lba == scsi_task_capacity(task)) { /* there must be a block to begin with */
		scsi_task_fail_info(task, SENSE_LBA_OUT_OF_RANGE, task->lba);
		return false;
	}
	if (type > REPORT_ANCHORED && type != REPORT_UNRECOVERED) {
		scsi_task_fail_field(task, status_long(task) ? 10 : 14, 7);
		return false;
	}
	return true;
}

/* SBC-5 5.6, 5.7 */
void scsi_cmd_lba_status(struct scsi_task *task)
{
	uint64_t rest = scsi_task_capacity(task) - task->lba;
	uint32_t scan = status_long(task) ? be32_load(task->cdb + 20) : 0;
	unsigned type = status_type(task);

	if (!status_check(task) ||
		!scsi_task_work(task, SCSI_REPLY_MAX + STATUS_RUNS * sizeof(struct status_run)))
		return;
	task->step[0] = task->lba;
	task->step[1] = task->lba + (scan && scan < rest ? scan : rest);
	task->step[2] = task->step[3] = 0;
	if (type == REPORT_ANCHORED || type == REPORT_UNRECOVERED) { /* there is none */
		task->step[0] = task->step[1];
		status_answer(task);
		return;
	}
	status_ask(task);
}
