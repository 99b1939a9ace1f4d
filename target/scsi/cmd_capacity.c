/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ CAPACITY and GET LBA STATUS: how big the unit is, and which blocks have space of their own.
 */
#include "target/scsi/command.h"

void scsi_cmd_read_capacity10(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->lun;
	uint64_t last = scsi_task_capacity(task) - 1;
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	/* SBC-3 5.15: more than fits sends the initiator to READ CAPACITY(16) */
	span_put32(&w, last > 0xfffffffe ? 0xffffffff : (uint32_t)last);
	span_put32(&w, lun->block_size);
	scsi_reply_end(task, &w, 8);
}

/* SBC-3 5.16.2 */
void scsi_cmd_read_capacity16(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->lun;
	uint32_t per_physical = lun->info.physical_block_size >> lun->block_shift;
	uint16_t provisioning = 0; /* LOWEST ALIGNED LBA 0 */
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	if (lun->thin)
		provisioning |= 0x8000; /* LBPME */
	if (lun->thin && (lun->info.caps & VOL_ZERO_AFTER_TRIM))
		provisioning |= 0x4000; /* LBPRZ */
	span_put64(&w, scsi_task_capacity(task) - 1);
	span_put32(&w, lun->block_size);
	span_put8(&w, 0); /* no protection information */
	span_put8(&w, per_physical > 1 ? (uint8_t)__builtin_ctz(per_physical) : 0); /* LBPPBE */
	span_put16(&w, provisioning);
	span_fill(&w, 0, 16);
	scsi_reply_end(task, &w, be32_load(task->cdb + 10));
}

/* ---- GET LBA STATUS, SBC-3 5.5 ---- */

#define STATUS_HEADER     8u
#define STATUS_DESCRIPTOR 16u
#define STATUS_MAX        ((SCSI_REPLY_MAX - STATUS_HEADER) / STATUS_DESCRIPTOR)

struct status_run {
	uint64_t lba, blocks;
	uint8_t status; /* 0 mapped, 1 deallocated */
};

static void put_run(struct span_writer *w, const struct status_run *run)
{
	if (!run->blocks)
		return;
	span_put64(w, run->lba);
	span_put32(w, (uint32_t)run->blocks);
	span_put8(w, run->status);
	span_fill(w, 0, 3);
}

/* Adds an extent to the run, or writes the run and begins another; a count has 32 bits. */
static void add_extent(struct span_writer *w, struct status_run *run, uint64_t lba, uint64_t blocks,
	uint8_t status)
{
	if (run->blocks && run->status != status) {
		put_run(w, run);
		run->blocks = 0;
	}
	if (!run->blocks)
		*run = (struct status_run){ .lba = lba, .status = status };
	run->blocks += blocks;
	while (run->blocks > UINT32_MAX) {
		struct status_run full = { run->lba, UINT32_MAX, status };

		put_run(w, &full);
		run->lba += UINT32_MAX;
		run->blocks -= UINT32_MAX;
	}
}

static void status_answer(struct scsi_task *task)
{
	const struct vol_io *io = &task->io;
	unsigned shift = task->lun->block_shift;
	struct status_run run = { 0 };
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	span_fill(&w, 0, STATUS_HEADER);
	for (unsigned i = 0; i < io->extent_count; i++)
		add_extent(&w, &run, io->extents[i].off >> shift, io->extents[i].len >> shift,
			io->extents[i].mapped ? 0 : 1);
	put_run(&w, &run);
	w.want -= (w.want - STATUS_HEADER) % STATUS_DESCRIPTOR;
	if (span_cut(&w))
		w.want = STATUS_HEADER + STATUS_MAX * STATUS_DESCRIPTOR;
	span_patch32(&w, 0, (uint32_t)w.want - 4);
	scsi_reply_end(task, &w, be32_load(task->cdb + 10));
}

void scsi_cmd_lba_status(struct scsi_task *task)
{
	struct vol_io *io;
	uint64_t rest = scsi_task_capacity(task) - task->lba;

	if (rest == 0) { /* SBC-3 5.5.1: there must be a block to begin with */
		scsi_task_fail_info(task, SENSE_LBA_OUT_OF_RANGE, task->lba);
		return;
	}
	if (!scsi_task_work(task, SCSI_REPLY_MAX))
		return;
	io = scsi_task_io(
		task, VOL_EXTENTS, scsi_task_bytes(task, task->lba), scsi_task_bytes(task, rest));
	io->extents = (struct vol_extent *)(void *)task->work_buf->data;
	io->extent_max = SCSI_REPLY_MAX / sizeof(struct vol_extent);
	scsi_task_io_go(task, status_answer);
}
