/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of copies, and what they may be: RECEIVE COPY STATUS, RECEIVE COPY FAILURE DETAILS,
 * RECEIVE COPY OPERATING PARAMETERS, and VPD page 8F. The last copies of a nexus are remembered
 * with it.
 */
#include "target/scsi/copy.h"

#include "common/own.h"

#include <string.h>

/* ---- the memory ---- */

bool copy_past_room(struct scsi_nexus *nexus)
{
	if (!nexus->copies)
		nexus->copies = calloc(1, sizeof *nexus->copies);
	return nexus->copies;
}

struct copy_past *copy_past_find(const struct scsi_task *task, uint32_t id)
{
	struct copy_history *h = task->nexus->copies;

	for (unsigned i = 0; h && i < COPY_PAST_MAX; i++)
		if (h->past[i].status && h->past[i].id == id && h->past[i].lun == task->lun)
			return &h->past[i];
	return NULL;
}

/* SPC-4 5.17.4.3: a copy of the same identifier replaces what was kept of the last one. */
void copy_past_add(const struct copy *c, enum copy_status status, const struct scsi_cause *cause)
{
	struct copy_history *h = c->task->nexus->copies;
	struct copy_past *past = copy_past_find(c->task, c->id);

	if (!past) {
		past = &h->past[h->next];
		h->next = (h->next + 1) % COPY_PAST_MAX;
	}
	*past = (struct copy_past){ .status = status,
		.id = c->id,
		.lun = c->task->lun,
		.segments = c->at,
		.moved = c->moved,
		.task_status = cause ? SCSI_CHECK_CONDITION : SCSI_GOOD };
	if (cause)
		past->sense_len = sense_build(past->sense, false, cause);
}

/* ---- RECEIVE COPY STATUS, of a copy that runs or is over ---- */

struct copy_news {
	enum copy_status status;
	uint16_t segments;
	uint64_t moved;
	const struct copy_past *past; /* NULL: it runs */
};

/* False: SPC-4 6.25: nothing is known of that identifier; the task is ended. */
static bool copy_news(struct scsi_task *task, uint32_t id, struct copy_news *news)
{
	const struct copy *c = copy_find(task, id);
	const struct copy_past *past = copy_past_find(task, id);

	if (c)
		*news = (struct copy_news){ COPY_IN_PROGRESS, c->at, c->moved, NULL };
	else if (past)
		*news = (struct copy_news){ past->status, past->segments, past->moved, past };
	else
		scsi_task_fail_field(task, 2, 7);
	return c || past;
}

/* SPC-4 6.25: TRANSFER COUNT has 32 bits, so its unit grows with it: 1, 1024, 1024^2 bytes and so
 * on. */
static void put_count(struct span_writer *w, uint64_t bytes)
{
	uint8_t unit = 0;

	for (; bytes > UINT32_MAX; bytes >>= 10)
		unit++;
	span_put8(w, unit);
	span_put32(w, (uint32_t)bytes);
}

/* SPC-4 6.25: what the short form has a code for. */
static uint8_t short_status(enum copy_status status)
{
	if (status == COPY_IN_PROGRESS)
		return 0x00;
	return status == COPY_GOOD ? 0x01 : 0x02;
}

void scsi_cmd_copy_status1(struct scsi_task *task)
{
	struct copy_news news;
	struct span_writer w;

	if (!copy_news(task, task->cdb[2], &news) || !scsi_reply_begin(task, &w))
		return;
	span_put32(&w, 12 - 4);                   /* AVAILABLE DATA */
	span_put8(&w, short_status(news.status)); /* HDD 0: no data are held */
	span_put16(&w, news.segments);
	put_count(&w, news.moved);
	scsi_reply_end(task, &w, be32_load(task->cdb + 10));
}

/* SPC-4 6.24 */
void scsi_cmd_copy_status4(struct scsi_task *task)
{
	struct copy_news news;
	struct span_writer w;

	if (!copy_news(task, be32_load(task->cdb + 2), &news) || !scsi_reply_begin(task, &w))
		return;
	span_put32(&w, 0);
	span_put8(&w, 0x01); /* RESPONSE TO SERVICE ACTION: EXTENDED COPY(LID4) */
	span_put8(&w, (uint8_t)news.status);
	span_put16(&w, 0);          /* OPERATION COUNTER */
	span_put32(&w, 0xfffffffe); /* ESTIMATED STATUS UPDATE DELAY: not known */
	span_put8(&w, news.past ? news.past->task_status : 0);
	span_put8(&w, news.past ? news.past->sense_len : 0); /* LENGTH OF THE SENSE DATA FIELD */
	span_put8(&w, news.past ? news.past->sense_len : 0); /* SENSE DATA LENGTH */
	span_put8(&w, 0);                                    /* TRANSFER COUNT UNITS: bytes */
	span_put64(&w, news.moved);
	span_put16(&w, news.segments);
	span_fill(&w, 0, 6);
	if (news.past)
		span_put(&w, news.past->sense, news.past->sense_len);
	span_patch32(&w, 0, (uint32_t)w.want - 4);
	scsi_reply_end(task, &w, be32_load(task->cdb + 10));
}

/* SPC-4 6.23: told once in full, then discarded. */
void scsi_cmd_copy_failure(struct scsi_task *task)
{
	struct copy_past *past = copy_past_find(task, task->cdb[2]);
	uint32_t allocation = be32_load(task->cdb + 10);
	struct span_writer w;

	if (!past && !copy_find(task, task->cdb[2])) {
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	span_put32(&w, 0);
	if (past && past->sense_len && !past->told) {
		span_fill(&w, 0, 52);
		span_put8(&w, past->task_status);
		span_put8(&w, 0);
		span_put16(&w, past->sense_len);
		span_put(&w, past->sense, past->sense_len);
		span_patch32(&w, 0, (uint32_t)w.want - 4);
		past->told = allocation >= w.want || allocation == 0;
	}
	scsi_reply_end(task, &w, allocation);
}

/* SPC-4 6.22 */
void scsi_cmd_copy_parameters(struct scsi_task *task)
{
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	span_put32(&w, 0);
	span_put8(&w, 0x01); /* SNLID: copies without an identifier */
	span_fill(&w, 0, 3);
	span_put16(&w, COPY_UNITS_MAX);
	span_put16(&w, COPY_SEGMENTS_MAX);
	span_put32(&w, COPY_LIST_MAX);
	span_put32(&w, COPY_SEGMENT_MAX);
	span_put32(&w, 0); /* MAXIMUM INLINE DATA LENGTH */
	span_put32(&w, 0); /* HELD DATA LIMIT */
	span_put32(&w, 0); /* MAXIMUM STREAM DEVICE TRANSFER SIZE */
	span_fill(&w, 0, 2);
	span_put16(&w, COPY_CONCURRENT_MAX);
	span_put8(&w, COPY_CONCURRENT_MAX);
	span_put8(&w, task->lun->block_shift); /* DATA SEGMENT GRANULARITY, log 2 */
	span_fill(&w, 0, 5);                   /* INLINE, HELD DATA GRANULARITY; reserved */
	span_put8(&w, 2);
	span_put8(&w, COPY_FROM_BLOCK_TO_BLOCK);
	span_put8(&w, COPY_IDENTIFICATION);
	span_patch32(&w, 0, (uint32_t)w.want - 4);
	scsi_reply_end(task, &w, be32_load(task->cdb + 10));
}

/* ---- VPD page 8F, SPC-4 7.8.17: third-party copy descriptors, each a multiple of four bytes ----
 */

/* SPC-4 7.8.17.4: the commands, by opcode, from the table of commands. */
static void put_commands(const struct scsi_task *task, struct span_writer *w, uint8_t opcode)
{
	unsigned count;
	const struct scsi_command *row = scsi_command_table(&count);
	uint8_t actions[32];
	uint8_t n = 0;

	for (unsigned i = 0; i < count; i++)
		if (row[i].opcode == opcode && scsi_command_offered(&row[i], task->lun))
			actions[n++] = row[i].action;
	span_put8(w, opcode);
	span_put8(w, n);
	span_put(w, actions, n);
}

/* Writes the length of the descriptor that begins at `at` and fills it up. */
static void end_descriptor(struct span_writer *w, size_t at)
{
	span_fill(w, 0, (4 - (w->want - at) % 4) % 4);
	span_patch16(w, at + 2, (uint16_t)(w->want - at - 4));
}

static size_t begin_descriptor(struct span_writer *w, uint16_t type)
{
	size_t at = w->want;

	span_put16(w, type);
	span_put16(w, 0);
	return at;
}

static void put_supported_commands(const struct scsi_task *task, struct span_writer *w)
{
	size_t at = begin_descriptor(w, 0x0001), list;
	uint8_t bytes[72] = { 0 };
	struct span_writer inner = span_writer(bytes, sizeof bytes);

	put_commands(task, &inner, 0x83);
	put_commands(task, &inner, 0x84);
	list = span_stored(&inner);
	span_put8(w, (uint8_t)list);
	span_put(w, bytes, list);
	end_descriptor(w, at);
}

/* SPC-4 7.8.17.8 */
static void put_parameters(struct span_writer *w)
{
	size_t at = begin_descriptor(w, 0x0004);

	span_fill(w, 0, 4);
	span_put16(w, COPY_UNITS_MAX);
	span_put16(w, COPY_SEGMENTS_MAX);
	span_put32(w, COPY_LIST_MAX);
	span_put32(w, 0); /* MAXIMUM INLINE DATA LENGTH */
	span_fill(w, 0, 12);
	end_descriptor(w, at);
}

/* SPC-4 7.8.17.9 and 7.8.17.10 */
static void put_descriptors(struct span_writer *w)
{
	size_t at = begin_descriptor(w, 0x0008);

	span_put8(w, 2);
	span_put8(w, COPY_FROM_BLOCK_TO_BLOCK);
	span_put8(w, COPY_IDENTIFICATION);
	end_descriptor(w, at);
	at = begin_descriptor(w, 0x000c);
	span_put16(w, 2);
	span_put16(w, COPY_THIS_UNIT);
	end_descriptor(w, at);
}

/* SPC-4 7.8.17.13 */
static void put_operations(const struct scsi_task *task, struct span_writer *w)
{
	size_t at = begin_descriptor(w, 0x8001);

	span_put32(w, COPY_CONCURRENT_MAX);
	span_put32(w, COPY_CONCURRENT_MAX);
	span_put32(w, COPY_SEGMENT_MAX);
	span_put8(w, task->lun->block_shift);
	span_fill(w, 0, 19);
	end_descriptor(w, at);
}

void scsi_copy_vpd(const struct scsi_task *task, struct span_writer *w)
{
	put_supported_commands(task, w);
	put_parameters(w);
	put_descriptors(w);
	put_operations(task, w);
}
