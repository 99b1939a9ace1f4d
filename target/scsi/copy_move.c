/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves the data of a copy: READ(16) of a piece, then WRITE(16) of it, or WRITE SAME(16) without
 * data where the piece is zero and the destination thin, so that holes stay holes. The copy is the
 * port of these commands; they go to the nexus of the EXTENDED COPY command.
 *
 * What goes wrong ends the copy with COPY ABORTED, the number of the segment, and the status and
 * sense data of the unit that failed (SPC-4 5.17.7.4).
 */
#include "target/scsi/copy.h"

#include "target/scsi/port.h"

#include "common/own.h"

#include <string.h>

#define MOVE_TAG UINT64_MAX /* no initiator's tag */

enum {
	MOVE_READ = 0x88,  /* READ(16), SBC-3 5.13 */
	MOVE_WRITE = 0x8a, /* WRITE(16), SBC-3 5.38 */
	MOVE_HOLE = 0x93,  /* WRITE SAME(16), SBC-3 5.48 */
	HOLE_FLAGS = 0x09, /* UNMAP, NDOB */
};

static void move_next(struct copy *c);

/* ---- the end of a copy ---- */

/* Remembers it; who waited for its end has it. */
static struct scsi_task *move_leave(
	struct copy *c, enum copy_status status, const struct scsi_cause *cause)
{
	c->running = false;
	if (c->has_id)
		copy_past_add(c, c->stop ? COPY_STOPPED : status, cause);
	return own_take(c->stopper);
}

static void move_good(struct copy *c)
{
	struct scsi_task *stopper = move_leave(c, COPY_GOOD, NULL);

	scsi_task_good(c->task);
	if (stopper)
		scsi_task_good(stopper);
}

static void move_fail(struct copy *c, struct scsi_cause *cause)
{
	struct scsi_task *stopper;

	cause->segment_valid = true;
	cause->segment = c->at;
	stopper = move_leave(c, COPY_FAILED, cause);
	scsi_task_fail_cause(c->task, cause);
	if (stopper)
		scsi_task_good(stopper);
}

/* A segment cannot be begun; `byte` of its descriptor is to blame. */
static bool move_refuse(struct copy *c, enum scsi_sense sense, unsigned byte)
{
	struct scsi_cause cause = sense_cause(sense);

	cause.pointer = POINTER_LIST;
	cause.in_segment = true;
	cause.byte = (uint16_t)byte;
	cause.bit = 7;
	move_fail(c, &cause);
	return false;
}

/* The task is to be aborted, or the unit is too busy to go on. */
static void move_end(struct copy *c, bool busy)
{
	struct scsi_task *stopper = move_leave(c, COPY_FAILED, NULL);

	if (busy)
		scsi_task_busy(c->task);
	else
		scsi_task_end(c->task);
	if (stopper)
		scsi_task_good(stopper);
}

/* SPC-4 5.17.7.4: the status and sense data of a command of ours. */
static void move_third(struct copy *c, const struct scsi_task *t)
{
	struct scsi_cause cause = sense_cause(SENSE_THIRD_PARTY_FAILURE);

	if (t->status == SCSI_BUSY || t->status == SCSI_TASK_SET_FULL) {
		move_end(c, true);
		return;
	}
	cause.third_valid = true;
	cause.third_dest = t == &c->writer;
	cause.third_status = t->aborted ? SCSI_TASK_ABORTED : t->status;
	cause.third = t->sense;
	cause.third_len = t->sense_len;
	move_fail(c, &cause);
}

/* ---- the commands of the copy ---- */

/* SAM-5 4.7.7.2: flat space addressing. */
static void move_address(struct scsi_task *t, uint16_t number)
{
	memset(t->lun_field, 0, sizeof t->lun_field);
	be16_store(t->lun_field, 0x4000 | number);
}

static const struct copy_unit *move_unit(const struct copy *c, uint16_t id)
{
	return &c->unit[id == COPY_THIS_UNIT ? COPY_UNITS_MAX : id];
}

static void move_give(struct loop_hook *hook)
{
	struct copy *c = container_of(hook, struct copy, give);
	struct scsi_task *w = &c->writer;

	c->iov = (struct iovec){ .iov_base = c->reader.in_data, .iov_len = c->piece };
	w->out_iov = &c->iov;
	w->out_iovcnt = 1;
	w->out_len = c->piece;
	w->out_buf = c->reader.in_buf;
	scsi_task_data(w, 0);
}

static void move_get_data(struct scsi_task *t, uint32_t len)
{
	struct copy *c = t->copy;

	own_assert(len == c->piece);
	loop_turn_end(t->nexus->loop, &c->give);
}

static void move_done(struct scsi_task *t);
static const struct scsi_port_ops move_port = { .get_data = move_get_data, .done = move_done };

/* Begins one of them for the piece at hand. */
static void move_submit(struct copy *c, struct scsi_task *t, uint8_t opcode, uint8_t flags,
	const struct copy_unit *unit, uint64_t lba, uint64_t off)
{
	uint8_t shift = unit->lun->block_shift;

	scsi_task_init(t);
	t->copy = c;
	t->tag = MOVE_TAG;
	t->attr = SCSI_ATTR_SIMPLE;
	move_address(t, unit->number);
	t->cdb_len = 16;
	t->cdb[0] = opcode;
	t->cdb[1] = flags;
	be64_store(t->cdb + 2, lba + (off >> shift));
	be32_store(t->cdb + 10, c->piece >> shift);
	t->in_room = opcode == MOVE_READ ? c->piece : 0;
	t->out_room = opcode == MOVE_WRITE ? c->piece : 0;
	scsi_task_submit_inner(c->task->nexus, t, &move_port);
}

static uint64_t move_off(const struct copy *c)
{
	return c->backward ? c->total - c->done - c->piece : c->done;
}

static bool is_zero(const uint8_t *p, uint32_t len)
{
	return p[0] == 0 && !memcmp(p, p + 1, len - 1);
}

static void move_write(struct copy *c)
{
	const struct copy_segment *s = &c->segment[c->at];
	const struct copy_unit *unit = move_unit(c, s->dest);
	bool hole = c->dest->thin && is_zero(c->reader.in_data, c->piece);

	move_submit(c, &c->writer, hole ? MOVE_HOLE : MOVE_WRITE, hole ? HOLE_FLAGS : 0, unit,
		s->dest_lba, move_off(c));
}

static void move_read(struct copy *c)
{
	const struct copy_segment *s = &c->segment[c->at];
	uint64_t left = c->total - c->done;

	c->piece = left < COPY_PIECE ? (uint32_t)left : COPY_PIECE;
	move_submit(
		c, &c->reader, MOVE_READ, 0, move_unit(c, s->source), s->source_lba, move_off(c));
}

/* One of our commands is over. */
static void move_done(struct scsi_task *t)
{
	struct copy *c = t->copy;
	bool wanted = !c->task->abort_wanted && !c->stop;

	loop_hook_cancel(&c->give);
	if (wanted && t->status == SCSI_GOOD && !t->aborted && t == &c->reader &&
		t->in_len == c->piece) {
		move_write(c);
		return;
	}
	scsi_task_release(&c->reader);
	if (t->aborted || t->status != SCSI_GOOD) {
		if (wanted)
			move_third(c, t);
		else
			move_next(c);
		return;
	}
	if (t == &c->writer) {
		c->done += c->piece;
		c->moved += c->piece;
	}
	move_next(c);
}

/* ---- segments ---- */

/* The unit of a CSCD ID as the nexus has it now; NULL: the copy is over. */
static struct scsi_lun *move_resolve(struct copy *c, uint16_t id, unsigned byte)
{
	const struct scsi_map *map = c->task->nexus->map;
	const struct copy_unit *unit;
	int place;

	if (id != COPY_THIS_UNIT && id >= c->unit_count) { /* SPC-4 6.4.6.1 */
		move_refuse(c, SENSE_UNREACHABLE_TARGET, byte);
		return NULL;
	}
	unit = move_unit(c, id);
	place = scsi_map_place(map, unit->number);
	if (unit->null || !unit->lun || place < 0 || map->entry[place].lun != unit->lun) {
		move_refuse(c, SENSE_TARGET_NOT_REACHABLE, byte);
		return NULL;
	}
	/* SPC-4 6.4.5.2: a disk with blocks of this length */
	if (unit->wrong_type || (unit->block_size && unit->block_size != unit->lun->block_size)) {
		move_refuse(c, SENSE_WRONG_TARGET_TYPE, byte);
		return NULL;
	}
	return unit->lun;
}

/* Whether reading on would meet what this segment has written already. */
static bool move_overlaps(const struct copy *c, const struct copy_segment *s)
{
	uint64_t blocks = c->total >> c->dest->block_shift;

	return c->source == c->dest && s->dest_lba > s->source_lba &&
	       s->dest_lba - s->source_lba < blocks;
}

/* SBC-3 4.5: what cannot end well does not begin. The unit would have said so, hence the forwarded
 * sense data. False: the copy is over. */
static bool move_range(struct copy *c, const struct scsi_lun *lun, uint64_t lba, unsigned byte)
{
	struct scsi_cause cause = sense_cause(SENSE_COPY_ENDED);
	struct scsi_cause third = sense_cause(SENSE_LBA_OUT_OF_RANGE);
	uint64_t blocks = c->total >> lun->block_shift,
		 all = lun->blocks[c->task->nexus->member->index];
	uint8_t sense[SCSI_SENSE_MAX];

	if (lba <= all && blocks <= all - lba)
		return true;
	third.info_valid = true;
	third.info = lba > all ? lba : all;
	cause.third_valid = true;
	cause.third_dest = byte == 20;
	cause.third_status = SCSI_CHECK_CONDITION;
	cause.third_len = sense_build(sense, false, &third);
	cause.third = sense;
	cause.pointer = POINTER_LIST;
	cause.in_segment = true;
	cause.byte = (uint16_t)byte;
	cause.bit = 7;
	move_fail(c, &cause);
	return false;
}

/* SPC-4 6.4.6.3. False: the copy is over. */
static bool move_begin(struct copy *c)
{
	const struct copy_segment *s = &c->segment[c->at];

	c->source = move_resolve(c, s->source, 4);
	if (!c->source)
		return false;
	c->dest = move_resolve(c, s->dest, 6);
	if (!c->dest)
		return false;
	c->total = (uint64_t)s->blocks << (s->dest_counts ? c->dest : c->source)->block_shift;
	/* SPC-4 6.4.6.2: nothing is padded, so both have to come out even */
	if ((c->total & (c->source->block_size - 1)) || (c->total & (c->dest->block_size - 1)))
		return move_refuse(c, SENSE_INEXACT_SEGMENT, 10);
	if (!move_range(c, c->source, s->source_lba, 12) ||
		!move_range(c, c->dest, s->dest_lba, 20))
		return false;
	c->done = 0;
	c->backward = move_overlaps(c, s);
	c->begun = true;
	return true;
}

static void move_stopped(struct copy *c)
{
	struct scsi_cause cause = sense_cause(SENSE_COPY_ENDED);

	move_fail(c, &cause);
}

static void move_next(struct copy *c)
{
	if (c->task->abort_wanted) {
		move_end(c, false);
		return;
	}
	if (c->stop) {
		move_stopped(c);
		return;
	}
	while (c->at < c->segment_count) {
		if (!c->begun && !move_begin(c))
			return;
		if (c->done < c->total) {
			move_read(c);
			return;
		}
		c->begun = false;
		c->at++;
	}
	move_good(c);
}

void copy_move_start(struct copy *c)
{
	loop_hook_init(&c->give, move_give);
	scsi_task_init(&c->reader);
	scsi_task_init(&c->writer);
	c->running = true;
	move_next(c);
}
