/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS. A self-test reads the first and the last block:
 * the volume answers, and is as long as it says. It is over before status is sent, so there is none
 * in the background to be aborted; what differs is who gets to hear of a failure.
 *
 * step[0]: the self-test code; step[1]: blocks read.
 */
#include "target/scsi/command.h"
#include "target/scsi/self_test.h"

#include "common/own.h"

#include <string.h>

#define DIAG_PF       0x10 /* byte 1 of the CDB, SPC-4 6.42 */
#define DIAG_SELFTEST 0x04
#define DIAG_PCV      0x01

/* SELF-TEST CODE, SPC-4 6.42 */
enum {
	TEST_DEFAULT = 0,
	TEST_BACKGROUND = 1,
	TEST_BACKGROUND_LONG = 2,
	TEST_ABORT = 4,
	TEST_FOREGROUND = 5,
	TEST_FOREGROUND_LONG = 6,
};

/* ---- the log: a word is valid << 31 | code << 24 | failed << 16 | hours ---- */

static void test_record(const struct scsi_task *task, bool failed)
{
	struct scsi_lun *lun = task->lun;
	uint32_t at = __atomic_fetch_add(&lun->test_count, 1, __ATOMIC_RELAXED);
	uint64_t hours = loop_now_ns(task->nexus->loop) / 3600000000000ull;
	uint32_t word = 1u << 31 | (uint32_t)task->step[0] << 24 | (uint32_t)failed << 16;

	word |= hours > UINT16_MAX ? UINT16_MAX : (uint32_t)hours;
	__atomic_store_n(&lun->tests[at % SELF_TESTS], word, __ATOMIC_RELAXED);
}

void self_test_entry(const struct scsi_lun *lun, unsigned i, uint8_t data[16])
{
	uint32_t count = __atomic_load_n(&lun->test_count, __ATOMIC_RELAXED);
	uint32_t word;

	memset(data, 0, 16);
	if (i >= count)
		return;
	word = __atomic_load_n(&lun->tests[(count - 1 - i) % SELF_TESTS], __ATOMIC_RELAXED);
	data[0] = (uint8_t)((word >> 24 & 0x07) << 5 | (word >> 16 & 1 ? 0x07 : 0x00));
	data[1] = 0; /* SELF-TEST NUMBER: not told */
	be16_store(data + 2, (uint16_t)word);
	memset(data + 4, 0xff, 8); /* no address */
	if (word >> 16 & 1) {
		data[12] = SENSE_KEY_HARDWARE_ERROR;
		data[13] = 0x3e;
		data[14] = 0x03;
	}
}

/* ---- the test ---- */

static void test_over(struct scsi_task *task, bool failed)
{
	unsigned code = (unsigned)task->step[0];

	if (code != TEST_DEFAULT)
		test_record(task, failed);
	/* SPC-4 6.42: a test in the background fails in the log only */
	if (failed && code != TEST_BACKGROUND && code != TEST_BACKGROUND_LONG)
		scsi_task_fail(task, SENSE_SELF_TEST_FAILED);
	else
		scsi_task_good(task);
}

static void test_read(struct scsi_task *task);

static void test_done(struct vol_io *io, int res)
{
	struct scsi_task *task = container_of(io, struct scsi_task, io);

	own_assert(task->owner == SCSI_OWNER_VOLUME);
	task->owner = SCSI_OWNER_SCSI;
	if (task->abort_wanted)
		scsi_task_end(task);
	else if (res < 0)
		test_over(task, true);
	else
		test_read(task);
}

static void test_read(struct scsi_task *task)
{
	uint32_t block = task->lun->block_size;
	uint64_t last = scsi_task_bytes(task, scsi_task_capacity(task) - 1);

	if (task->step[1] == 2) {
		test_over(task, false);
		return;
	}
	scsi_task_io(task, VOL_READ, task->step[1] ? last : 0, block);
	scsi_task_io_buf(task, task->work_buf);
	task->io.done = test_done;
	task->step[1]++;
	scsi_task_io_go(task, test_read);
}

static void test_begin(struct scsi_task *task, unsigned code)
{
	task->step[0] = code;
	task->step[1] = 0;
	if (!scsi_lun_loaded(task->lun))
		test_over(task, false); /* there is nothing to be read */
	else if (scsi_task_work(task, task->lun->block_size))
		test_read(task);
}

/* ---- SEND DIAGNOSTIC, SPC-4 6.42 ---- */

/* The one page that there is, SPC-4 7.2.2, asks for itself. */
static void diag_list(struct scsi_task *task)
{
	uint8_t head[4] = { 0 };
	bool there = scsi_task_copy_out(task, 0, head, sizeof head);

	if (!there || be16_load(head + 2) > task->out_len - sizeof head)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else if (head[0])
		scsi_task_fail_list(task, 0, 7);
	else if (be16_load(head + 2))
		scsi_task_fail_list(task, 2, 7);
	else
		scsi_task_good(task);
}

static void diag_pages(struct scsi_task *task, uint32_t len)
{
	task->want_out = len;
	if (len == 0)
		scsi_task_good(task);
	else if (!(task->cdb[1] & DIAG_PF))
		scsi_task_fail_field(task, 1, 4);
	else if (len > task->out_room)
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
	else
		scsi_task_want(task, len, diag_list);
}

void scsi_cmd_send_diagnostic(struct scsi_task *task)
{
	unsigned code = task->cdb[1] >> 5;
	uint32_t len = be16_load(task->cdb + 3);
	bool selftest = task->cdb[1] & DIAG_SELFTEST;

	if ((selftest && code) || code == 3 || code == 7 || code == TEST_ABORT)
		scsi_task_fail_field(task, 1, 7);
	else if ((selftest || code) && len)
		scsi_task_fail_field(task, 3, 7);
	else if (selftest || code)
		test_begin(task, code);
	else
		diag_pages(task, len);
}

/* SPC-4 6.30: without PCV it is the page that was sent last, and there is but one. */
void scsi_cmd_receive_diagnostic(struct scsi_task *task)
{
	struct span_writer w;

	if ((task->cdb[1] & DIAG_PCV) && task->cdb[2]) {
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	span_put16(&w, 0);
	span_put16(&w, 1);
	span_put8(&w, 0x00); /* supported: this page */
	scsi_reply_end(task, &w, be16_load(task->cdb + 3));
}
