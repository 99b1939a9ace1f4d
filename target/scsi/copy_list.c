/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameter list of EXTENDED COPY: a header in one of two forms, CSCD descriptors, segment
 * descriptors. What is wrong with it is told with a pointer to the byte before anything is moved.
 */
#include "target/scsi/copy.h"

#include <string.h>

#define ID_USAGE_NONE     3 /* SPC-4 6.4.2: LIST ID USAGE, no identifier */
#define ID_USAGE_RESERVED 1

/* What a header says. */
struct copy_header {
	uint32_t len;                              /* bytes of it */
	uint32_t units_at, segments_at, inline_at; /* where the lengths stand */
	uint64_t units, segments, inlined;         /* bytes of the lists */
	uint8_t usage;
	uint32_t id;
};

/* CHECK CONDITION with a pointer into the list. */
static bool refuse(struct scsi_task *task, enum scsi_sense sense, uint32_t byte, int bit)
{
	struct scsi_cause cause = sense_cause(sense);

	cause.pointer = POINTER_LIST;
	cause.byte = (uint16_t)byte;
	cause.bit = (int8_t)bit;
	scsi_task_fail_cause(task, &cause);
	return false;
}

/* SPC-4 6.5 */
static struct copy_header header_lid1(const uint8_t *b)
{
	return (struct copy_header){ .len = 16,
		.units_at = 2,
		.segments_at = 8,
		.inline_at = 12,
		.units = be16_load(b + 2),
		.segments = be32_load(b + 8),
		.inlined = be32_load(b + 12),
		.usage = b[1] >> 3 & 3,
		.id = b[0] };
}

/* SPC-4 6.4.1 */
static struct copy_header header_lid4(const uint8_t *b)
{
	return (struct copy_header){ .len = 48,
		.units_at = 42,
		.segments_at = 44,
		.inline_at = 46,
		.units = be16_load(b + 42),
		.segments = be16_load(b + 44),
		.inlined = be16_load(b + 46),
		.usage = b[1] >> 3 & 3,
		.id = be32_load(b + 20) };
}

/* What only the longer header has. */
static bool check_lid4(struct scsi_task *task, const uint8_t *b)
{
	if (b[0] != 0x01) /* PARAMETER LIST FORMAT */
		return refuse(task, SENSE_INVALID_FIELD_IN_LIST, 0, 7);
	if (be16_load(b + 2) != 0x20) /* HEADER CSCD DESCRIPTOR LIST LENGTH */
		return refuse(task, SENSE_INVALID_FIELD_IN_LIST, 2, 7);
	if (b[15] & 0x02) /* IMMED: copies run in the foreground */
		return refuse(task, SENSE_INVALID_FIELD_IN_LIST, 15, 1);
	if (b[16] != 0xff) /* HEADER CSCD DESCRIPTOR TYPE CODE */
		return refuse(task, SENSE_INVALID_FIELD_IN_LIST, 16, 7);
	return true;
}

/* SPC-4 6.4.2 and 5.17.7.3: lengths against each other and against the limits. */
static bool check_lengths(struct scsi_task *task, const struct copy_header *h)
{
	uint64_t lists = h->units + h->segments;

	if (lists > COPY_LIST_MAX || h->units % COPY_UNIT_LEN) {
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	if (h->units > COPY_UNITS_MAX * COPY_UNIT_LEN)
		return refuse(task, SENSE_TOO_MANY_TARGETS, h->units_at, 7);
	if (h->segments > COPY_SEGMENTS_MAX * COPY_SEGMENT_LEN)
		return refuse(task, SENSE_TOO_MANY_SEGMENTS, h->segments_at, 7);
	if (h->inlined)
		return refuse(task, SENSE_INLINE_DATA_EXCEEDED, h->inline_at, 7);
	if (lists > task->out_len - h->len) { /* SPC-4 6.4.1: a descriptor is cut off */
		scsi_task_fail(task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	return true;
}

static bool check_id(struct scsi_task *task, const struct copy_header *h)
{
	if (h->usage == ID_USAGE_RESERVED)
		return refuse(task, SENSE_INVALID_FIELD_IN_LIST, 1, 4);
	if (h->usage == ID_USAGE_NONE && h->id)
		return refuse(task, SENSE_INVALID_FIELD_IN_LIST, h->len == 16 ? 0 : 20, 7);
	return true;
}

/* ---- CSCD descriptors ---- */

/* SPC-4 7.8.6: whether the designator is one that VPD page 83 tells of this unit. */
static bool designates(const struct scsi_lun *lun, const uint8_t *d)
{
	const uint8_t *id = d + 8;
	uint8_t len = d[7], type = d[5] & 0x0f;
	size_t serial = strlen(lun->serial);

	if (type == 0x03 && (d[4] & 0x0f) == 0x01)
		return len == lun->naa_len && !memcmp(id, lun->naa, len);
	if (type == 0x01 && (d[4] & 0x0f) == 0x02)
		return len == 8 + serial && !memcmp(id, lun->vendor, 8) &&
		       !memcmp(id + 8, lun->serial, serial);
	return false;
}

/* Only what this initiator reaches by this target port can be copied from or to. */
static void find_unit(const struct scsi_task *task, const uint8_t *d, struct copy_unit *unit)
{
	const struct scsi_map *map = task->nexus->map;

	for (unsigned i = 0; i < map->count; i++) {
		if (!designates(map->entry[i].lun, d))
			continue;
		unit->lun = map->entry[i].lun;
		unit->number = map->entry[i].number;
		return;
	}
}

/* SPC-4 6.4.5.3; what is wrong with a unit that no segment names is nobody's business, and LU ID
 * TYPE says nothing here: the designator does. */
static bool take_unit(struct copy *c, uint32_t at)
{
	struct copy_unit *unit = &c->unit[c->unit_count++];
	uint8_t d[COPY_UNIT_LEN];

	scsi_task_copy_out(c->task, at, d, sizeof d);
	if (d[0] != COPY_IDENTIFICATION)
		return refuse(c->task, SENSE_UNSUPPORTED_TARGET_TYPE, at, 7);
	if (d[5] & 0x30) /* ASSOCIATION: a logical unit's */
		return refuse(c->task, SENSE_INVALID_FIELD_IN_LIST, at + 5, 5);
	if (d[7] > 20) /* DESIGNATOR LENGTH */
		return refuse(c->task, SENSE_INVALID_FIELD_IN_LIST, at + 7, 7);
	unit->null = d[1] & 0x20;
	unit->wrong_type = d[1] & 0x1f;
	unit->block_size = be24_load(d + 29);
	find_unit(c->task, d, unit);
	return true;
}

/* SPC-4 6.4.6.1: CSCD ID FFFFh, the unit that has the command; it may be gone by now. */
static void take_this_unit(struct copy *c)
{
	struct scsi_nexus *nexus = c->task->nexus;
	const struct scsi_itl *itl = scsi_nexus_find(nexus, c->task->lun_field);
	struct copy_unit *unit = &c->unit[COPY_UNITS_MAX];

	if (!itl || itl->lun != c->task->lun)
		return;
	unit->lun = itl->lun;
	unit->number = nexus->map->entry[itl - nexus->itl].number;
}

/* ---- segment descriptors ---- */

/* SPC-4 6.4.6.3 */
static bool take_segment(struct copy *c, uint32_t at)
{
	struct copy_segment *s = &c->segment[c->segment_count++];
	uint8_t d[COPY_SEGMENT_LEN];

	scsi_task_copy_out(c->task, at, d, sizeof d);
	s->at = (uint16_t)at;
	s->dest_counts = d[1] & 0x02;
	s->source = be16_load(d + 4);
	s->dest = be16_load(d + 6);
	s->blocks = be16_load(d + 10);
	s->source_lba = be64_load(d + 12);
	s->dest_lba = be64_load(d + 20);
	return true;
}

/* Descriptors of other types may have other lengths: they are refused before their length counts.
 */
static bool take_segments(struct copy *c, uint32_t at, uint32_t end)
{
	uint8_t head[4];

	for (; at < end; at += COPY_SEGMENT_LEN) {
		if (end - at < sizeof head || !scsi_task_copy_out(c->task, at, head, sizeof head)) {
			scsi_task_fail(c->task, SENSE_PARAMETER_LIST_LENGTH);
			return false;
		}
		if (head[0] != COPY_FROM_BLOCK_TO_BLOCK)
			return refuse(c->task, SENSE_UNSUPPORTED_SEGMENT_TYPE, at, 7);
		if (be16_load(head + 2) != COPY_SEGMENT_LEN - 4)
			return refuse(c->task, SENSE_INVALID_FIELD_IN_LIST, at + 2, 7);
		if (end - at < COPY_SEGMENT_LEN) {
			scsi_task_fail(c->task, SENSE_PARAMETER_LIST_LENGTH);
			return false;
		}
		take_segment(c, at);
	}
	return true;
}

bool copy_list_take(struct copy *c)
{
	struct scsi_task *task = c->task;
	bool long_form = task->cmd->action == 0x01;
	uint8_t b[48] = { 0 };
	struct copy_header h;
	uint32_t at;

	scsi_task_copy_out(task, 0, b, long_form ? 48 : 16);
	h = long_form ? header_lid4(b) : header_lid1(b);
	if (long_form && !check_lid4(task, b))
		return false;
	if (!check_id(task, &h) || !check_lengths(task, &h))
		return false;
	c->id = h.id;
	c->has_id = h.usage != ID_USAGE_NONE;
	take_this_unit(c);
	for (at = h.len; at < h.len + h.units; at += COPY_UNIT_LEN)
		if (!take_unit(c, at))
			return false;
	return take_segments(c, at, at + (uint32_t)h.segments);
}
