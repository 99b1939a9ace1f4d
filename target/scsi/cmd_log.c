/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LOG SENSE, by the rows of logs.def: one function per page, which offers its parameters in the
 * order of their codes; those before PARAMETER POINTER are left out. What a volume does not know of
 * itself is said to be unknown, as the standard has it.
 *
 * For the page of provisioning the volume is asked first, what it lives on: step[0] is how much of
 * it the answer counts, step[1] the bytes that have space of their own, step[3] those that could
 * get some. Where the store does not know, its extents are counted: step[2] is how many questions
 * it took.
 */
#include "target/scsi/command.h"
#include "target/scsi/self_test.h"

#include "common/own.h"

#define LOG_CUMULATIVE 0x01 /* PC, SPC-4 6.8.1 */
#define LOG_BINARY     0x03 /* FORMAT AND LINKING of a list in binary form, SPC-4 7.3.2.2 */
#define LOG_ASKS_MAX   256u /* questions to the volume for one page */
#define LOG_UNKNOWN    0xff /* a temperature that is not known */

/* SBC-5 table 199 */
enum { SCOPE_UNIT = 1, SCOPE_SHARED = 2 };

/* In step[0]: the store knew, and others may take what is free. */
#define LOG_TOLD        (1ull << 63)
#define LOG_TOLD_SHARED (1ull << 62)

struct log_out {
	const struct scsi_task *task;
	struct span_writer *w;
	uint32_t pointer; /* first parameter code that is wanted */
	bool any;         /* a parameter was written, or the page has none */
};

struct log_page {
	uint8_t page, subpage;
	bool thin_only;
	void (*build)(struct log_out *out);
};

#define LOG(page, subpage, thin_only, build, name) static void build(struct log_out *out);
#include "target/scsi/logs.def"
#undef LOG

static const struct log_page log_pages[] = {
#define LOG(page, subpage, thin_only, build, name) { page, subpage, thin_only, build },
#include "target/scsi/logs.def"
#undef LOG
};

static bool log_offered(const struct log_page *row, const struct scsi_lun *lun)
{
	return lun->thin || !row->thin_only;
}

/* One parameter, SPC-4 7.3.2.2. */
static void put_parameter(struct log_out *out, uint16_t code, const void *data, uint8_t len)
{
	if (code < out->pointer)
		return;
	out->any = true;
	span_put16(out->w, code);
	span_put8(out->w, LOG_BINARY);
	span_put8(out->w, len);
	span_put(out->w, data, len);
}

static void log_supported(struct log_out *out)
{
	out->any = true;
	for (size_t i = 0; i < own_array_len(log_pages); i++)
		if (!log_pages[i].subpage && log_offered(&log_pages[i], out->task->lun))
			span_put8(out->w, log_pages[i].page);
}

static void log_subpages(struct log_out *out)
{
	out->any = true;
	for (size_t i = 0; i < own_array_len(log_pages); i++) {
		if (!log_offered(&log_pages[i], out->task->lun))
			continue;
		span_put8(out->w, log_pages[i].page);
		span_put8(out->w, log_pages[i].subpage);
	}
}

/* A resource count in threshold sets. There are no thresholds (SBC-3 6.6.6: THRESHOLD EXPONENT 0),
 * so a set is a block, and more than 32 bits can say is that much at least. */
static void put_resource(struct log_out *out, uint16_t code, uint64_t bytes, bool shared)
{
	uint64_t blocks = bytes >> out->task->lun->block_shift;
	uint8_t data[8] = { 0, 0, 0, 0, shared ? SCOPE_SHARED : SCOPE_UNIT };

	be32_store(data, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	put_parameter(out, code, data, sizeof data);
}

/* SBC-3 6.4.5.2, 6.4.5.3: LBA MAPPING RESOURCE COUNT, available and used. */
static void log_provisioning(struct log_out *out)
{
	const struct scsi_task *task = out->task;
	bool told = task->step[0] & LOG_TOLD;

	if (told)
		put_resource(out, 0x0001, task->step[3], task->step[0] & LOG_TOLD_SHARED);
	if (told || task->step[0] >= scsi_task_bytes(task, scsi_task_capacity(task)))
		put_resource(out, 0x0002, task->step[1], false);
	else
		out->any = true; /* it takes too long to find out */
}

static void log_temperature(struct log_out *out)
{
	static const uint8_t unknown[2] = { 0, LOG_UNKNOWN };

	put_parameter(out, 0x0000, unknown, sizeof unknown);
	put_parameter(out, 0x0001, unknown, sizeof unknown); /* reference */
}

/* The accumulated starts are the loads of the medium since the server began. */
static void log_start_stop(struct log_out *out)
{
	uint32_t loads = __atomic_load_n(&out->task->lun->medium, __ATOMIC_RELAXED) >> 1;
	uint8_t count[4];

	be32_store(count, loads);
	put_parameter(out, 0x0004, count, sizeof count);
}

/* SPC-4 7.3.12: the latest twenty, newest first; a parameter of zeroes where there was none. */
static void log_self_test(struct log_out *out)
{
	for (uint16_t i = 0; i < SELF_TESTS; i++) {
		uint8_t data[16];

		self_test_entry(out->task->lun, i, data);
		put_parameter(out, i + 1, data, sizeof data);
	}
}

static void log_exceptions(struct log_out *out)
{
	static const uint8_t none[4] = { 0, 0, LOG_UNKNOWN, LOG_UNKNOWN };

	put_parameter(out, 0x0000, none, sizeof none);
}

/* ---- the command ---- */

static const struct log_page *log_find(const struct scsi_task *task)
{
	for (size_t i = 0; i < own_array_len(log_pages); i++)
		if (log_pages[i].page == (task->cdb[2] & 0x3f) &&
			log_pages[i].subpage == task->cdb[3] &&
			log_offered(&log_pages[i], task->lun))
			return &log_pages[i];
	return NULL;
}

static void log_answer(struct scsi_task *task)
{
	const struct log_page *row = log_find(task);
	struct log_out out = { .task = task, .pointer = be16_load(task->cdb + 5) };
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	out.w = &w;
	/* DS, SBC-5 table 197; SPF */
	span_put8(&w, row->page | (row->thin_only ? 0x80 : 0) | (row->subpage ? 0x40 : 0));
	span_put8(&w, row->subpage);
	span_put16(&w, 0);
	row->build(&out);
	if (!out.any) { /* SPC-4 6.8.1: the pointer is behind the last parameter */
		scsi_task_fail_field(task, 5, 7);
		return;
	}
	span_patch16(&w, 2, (uint16_t)(w.want - 4));
	scsi_reply_end(task, &w, be16_load(task->cdb + 7));
}

static void log_ask(struct scsi_task *task);

static void log_heard(struct scsi_task *task)
{
	const struct vol_io *io = &task->io;

	for (unsigned i = 0; i < io->extent_count; i++) {
		task->step[0] += io->extents[i].len;
		if (io->extents[i].mapped)
			task->step[1] += io->extents[i].len;
	}
	if (io->extent_count == 0)
		task->step[2] = LOG_ASKS_MAX;
	log_ask(task);
}

static void log_ask(struct scsi_task *task)
{
	uint64_t size = scsi_task_bytes(task, scsi_task_capacity(task));
	struct vol_io *io;

	if (task->step[0] >= size || task->step[2]++ >= LOG_ASKS_MAX) {
		log_answer(task);
		return;
	}
	io = scsi_task_io(task, VOL_EXTENTS, task->step[0], size - task->step[0]);
	io->extents = (struct vol_extent *)(void *)task->work_buf->data;
	io->extent_max = SCSI_REPLY_MAX / sizeof(struct vol_extent);
	scsi_task_io_go(task, log_heard);
}

static int log_space(struct loop_io *lio)
{
	struct scsi_task *task = scsi_task_of_call(lio);
	struct vol_space space;

	if (vol_space(scsi_lun_vol(task->lun), &space))
		return 0;
	task->step[0] = LOG_TOLD | (space.shared ? LOG_TOLD_SHARED : 0);
	task->step[1] = space.used;
	task->step[3] = space.free;
	return 0;
}

static void log_told(struct scsi_task *task)
{
	if (task->step[0])
		log_answer(task);
	else if (scsi_task_work(task, SCSI_REPLY_MAX))
		log_ask(task);
}

/* SPC-4 6.8 */
void scsi_cmd_log_sense(struct scsi_task *task)
{
	const struct log_page *row = log_find(task);

	if (task->cdb[2] >> 6 != LOG_CUMULATIVE) { /* nothing has thresholds */
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (!row) {
		scsi_task_fail_field(task, task->cdb[3] ? 3 : 2, task->cdb[3] ? 7 : 5);
		return;
	}
	if (!row->thin_only || !scsi_lun_loaded(task->lun)) {
		log_answer(task);
		return;
	}
	task->step[0] = task->step[1] = task->step[2] = 0;
	scsi_task_call(task, log_space, log_told);
}
