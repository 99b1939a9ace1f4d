/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VERIFY and WRITE AND VERIFY: reads the blocks back in pieces and, where the initiator wants it,
 * compares them with its data. The cache is written first, so that it is the medium that is read.
 *
 * step[0]: bytes verified; step[1]: bytes in all; step[2]: BYTCHK.
 */
#include "target/scsi/command.h"

#include "common/own.h"

#include <string.h>

#define VERIFY_PIECE (1u << 20)

/* SBC-3 5.30, BYTCHK */
enum { BYTCHK_MEDIUM = 0, BYTCHK_COMPARE = 1, BYTCHK_RESERVED = 2, BYTCHK_ONE_BLOCK = 3 };

static unsigned bytchk(const struct scsi_task *task)
{
	return task->cdb[1] >> 1 & 3;
}

/* Compares the piece that was read with what the initiator says; equal bytes from the front. */
static uint64_t compare_piece(const struct scsi_task *task, uint64_t len)
{
	uint32_t block = task->lun->block_size;
	uint64_t done = 0;

	if (task->step[2] == BYTCHK_COMPARE)
		return scsi_task_match_out(task, task->step[0], task->work_buf->data, len);
	while (done < len) {
		uint64_t same = scsi_task_match_out(task, 0, task->work_buf->data + done, block);

		done += same;
		if (same < block)
			break;
	}
	return done;
}

static void verify_next(struct scsi_task *task);

static void verify_piece(struct scsi_task *task)
{
	uint64_t len = task->io.len, same;

	if (task->step[2] != BYTCHK_MEDIUM) {
		same = compare_piece(task, len);
		if (same < len) { /* SBC-3 4.18.1: the offset of the first byte that differs */
			scsi_task_fail_info(task, SENSE_MISCOMPARE, task->step[0] + same);
			return;
		}
	}
	task->step[0] += len;
	verify_next(task);
}

static void verify_next(struct scsi_task *task)
{
	uint64_t left = task->step[1] - task->step[0];

	if (left == 0) {
		scsi_task_good(task);
		return;
	}
	if (left > VERIFY_PIECE)
		left = VERIFY_PIECE;
	scsi_task_io(task, VOL_READ, scsi_task_bytes(task, task->lba) + task->step[0], left);
	scsi_task_io_buf(task, task->work_buf);
	scsi_task_io_go(task, verify_piece);
}

/* Bytes of a piece, which is what the scratch buffer begins with. */
static uint32_t piece_room(const struct scsi_task *task)
{
	return task->step[1] < VERIFY_PIECE ? (uint32_t)task->step[1] : VERIFY_PIECE;
}

static void verify_begin(struct scsi_task *task)
{
	if (!scsi_task_work(task, piece_room(task)))
		return;
	if (task->lun->info.caps & VOL_HAS_CACHE) { /* SBC-3 5.30: the medium is verified */
		scsi_task_io(task, VOL_FLUSH, 0, 0);
		scsi_task_io_go(task, verify_next);
		return;
	}
	verify_next(task);
}

static void verify_start(struct scsi_task *task, uint64_t bytes, unsigned check)
{
	task->step[0] = 0;
	task->step[1] = bytes;
	task->step[2] = check;
}

static void verify_compare(struct scsi_task *task, uint64_t bytes)
{
	uint32_t come;

	if (task->blocks > task->lun->cap_blocks) { /* SBC-3 6.6.4 */
		scsi_task_fail_field(task, task->cmd->blocks.byte, 7);
		return;
	}
	come = scsi_task_whole_blocks(task, bytes);
	verify_start(task, come, BYTCHK_COMPARE);
	if (come)
		scsi_task_want(task, come, verify_begin);
	else
		scsi_task_good(task);
}

static void verify_one_block(struct scsi_task *task, uint64_t bytes)
{
	uint32_t come = scsi_task_whole_blocks(task, task->lun->block_size);

	verify_start(task, bytes, BYTCHK_ONE_BLOCK);
	if (come && bytes)
		scsi_task_want(task, come, verify_begin);
	else
		scsi_task_good(task);
}

/* SBC-3 5.30 */
void scsi_cmd_verify(struct scsi_task *task)
{
	uint64_t bytes = scsi_task_bytes(task, task->blocks);

	switch (bytchk(task)) {
	case BYTCHK_RESERVED:
		scsi_task_fail_field(task, 1, 2);
		return;
	case BYTCHK_COMPARE:
		verify_compare(task, bytes);
		return;
	case BYTCHK_ONE_BLOCK:
		verify_one_block(task, bytes);
		return;
	default:
		verify_start(task, bytes, BYTCHK_MEDIUM);
		if (bytes)
			verify_begin(task);
		else
			scsi_task_good(task);
	}
}

/* ---- WRITE AND VERIFY: the pieces are kept behind the scratch, for the volume may change them
 * ---- */

static void *kept_pieces(const struct scsi_task *task)
{
	return task->work_buf->data + piece_room(task);
}

static void write_verify_read(struct scsi_task *task)
{
	memcpy(task->out_iov, kept_pieces(task), task->out_iovcnt * sizeof *task->out_iov);
	verify_next(task);
}

static void write_verify_go(struct scsi_task *task)
{
	size_t keep = task->out_iovcnt * sizeof *task->out_iov;
	struct vol_io *io;

	if (!scsi_task_work(task, piece_room(task) + (uint32_t)keep))
		return;
	memcpy(kept_pieces(task), task->out_iov, keep);
	io = scsi_task_io(task, VOL_WRITE, scsi_task_bytes(task, task->lba), task->out_len);
	io->flags = VOL_FUA; /* on the medium before it is verified, SBC-3 5.40 */
	io->iov = task->out_iov;
	io->iovcnt = task->out_iovcnt;
	io->buf = task->out_buf;
	scsi_task_io_go(task, write_verify_read);
}

/* SBC-3 5.40 */
void scsi_cmd_write_verify(struct scsi_task *task)
{
	uint32_t come = scsi_task_whole_blocks(task, scsi_task_bytes(task, task->blocks));
	unsigned check = bytchk(task);

	if (check > BYTCHK_COMPARE) {
		scsi_task_fail_field(task, 1, 2);
		return;
	}
	verify_start(task, come, check);
	if (come)
		scsi_task_want(task, come, write_verify_go);
	else
		scsi_task_good(task);
}
