/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UNMAP: the whole list is checked before the first block is given back.
 *
 * step[0]: descriptor at hand; step[1]: how many there are.
 */
#include "target/scsi/command.h"
#include "target/scsi/limits.h"

#include "common/own.h"

#define UNMAP_HEADER     8u
#define UNMAP_DESCRIPTOR 16u

struct unmap_range {
	uint64_t lba, blocks;
};

static struct unmap_range unmap_range(const struct scsi_task *task, uint64_t i)
{
	uint8_t b[UNMAP_DESCRIPTOR];
	bool there = scsi_task_copy_out(
		task, (uint32_t)(UNMAP_HEADER + i * UNMAP_DESCRIPTOR), b, sizeof b);

	own_assert(there); /* counted before */
	return (struct unmap_range){ .lba = be64_load(b), .blocks = be32_load(b + 8) };
}

/* SBC-3 5.28.2: ranges inside, and no more blocks than VPD page B0 says. */
static bool unmap_check(struct scsi_task *task)
{
	uint64_t all = scsi_task_capacity(task), sum = 0;

	for (uint64_t i = 0; i < task->step[1]; i++) {
		struct unmap_range r = unmap_range(task, i);

		if (r.lba > all || r.blocks > all - r.lba) {
			scsi_task_fail_info(
				task, SENSE_LBA_OUT_OF_RANGE, r.lba > all ? r.lba : all);
			return false;
		}
		sum += r.blocks;
		if (sum > LIMIT_UNMAP_BLOCKS) {
			scsi_task_fail_list(
				task, (unsigned)(UNMAP_HEADER + i * UNMAP_DESCRIPTOR + 8), 7);
			return false;
		}
	}
	return true;
}

static void unmap_next(struct scsi_task *task)
{
	while (task->step[0] < task->step[1]) {
		struct unmap_range r = unmap_range(task, task->step[0]++);

		if (r.blocks == 0) /* SBC-3 5.28.2: not an error */
			continue;
		scsi_task_io(task, VOL_TRIM, scsi_task_bytes(task, r.lba),
			scsi_task_bytes(task, r.blocks));
		scsi_task_io_go(task, unmap_next);
		return;
	}
	scsi_task_good(task);
}

static void unmap_list(struct scsi_task *task)
{
	uint8_t header[UNMAP_HEADER];
	uint32_t descriptors;

	if (!scsi_task_copy_out(task, 0, header, sizeof header)) {
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
		return;
	}
	descriptors = be16_load(header + 2);
	if (descriptors > task->out_len - UNMAP_HEADER) { /* SPC-4 4.2.5.5: the list is cut off */
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
		return;
	}
	task->step[0] = 0;
	task->step[1] = descriptors / UNMAP_DESCRIPTOR; /* SBC-3 5.28.2: a rest is ignored */
	if (task->step[1] > LIMIT_UNMAP_DESCRIPTORS) {
		scsi_task_fail_list(task, 2, 7);
		return;
	}
	if (unmap_check(task))
		unmap_next(task);
}

/* SBC-3 5.28 */
void scsi_cmd_unmap(struct scsi_task *task)
{
	uint32_t len = be16_load(task->cdb + 7);

	task->want_out = len;
	if (len == 0) { /* SBC-3 5.28.1: not an error */
		scsi_task_good(task);
		return;
	}
	if (len > task->out_room)
		len = task->out_room;
	if (len < UNMAP_HEADER)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, unmap_list);
}
