/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SENSE, by the rows of modes.def. Nothing can be changed, so the current and the default
 * values are the same and the changeable ones are zero.
 */
#include "target/scsi/command.h"

#include "common/own.h"

/* SPC-4 6.13.1, page control */
enum { MODE_CURRENT = 0, MODE_CHANGEABLE = 1, MODE_DEFAULT = 2, MODE_SAVED = 3 };

#define MODE_ALL_PAGES    0x3f
#define MODE_ALL_SUBPAGES 0xff

struct mode_page {
	uint8_t page, subpage, len;
	void (*fill)(const struct scsi_lun *lun, uint8_t *p);
};

#define MODE(page, subpage, len, fill) static void fill(const struct scsi_lun *lun, uint8_t *p);
#include "target/scsi/modes.def"
#undef MODE

static const struct mode_page mode_pages[] = {
#define MODE(page, subpage, len, fill) { page, subpage, len, fill },
#include "target/scsi/modes.def"
#undef MODE
};

static void mode_caching(const struct scsi_lun *lun, uint8_t *p)
{
	if (lun->info.caps & VOL_HAS_CACHE)
		p[2] = 0x04; /* WCE */
}

static void mode_control(const struct scsi_lun *lun, uint8_t *p)
{
	(void)lun;
	p[3] = 0x10; /* QUEUE ALGORITHM MODIFIER: commands are reordered without restriction */
}

static void mode_exceptions(const struct scsi_lun *lun, uint8_t *p)
{
	(void)lun;
	p[2] = 0x08; /* DEXCPT */
}

static bool mode_wanted(const struct mode_page *row, uint8_t page, uint8_t subpage)
{
	if (page != MODE_ALL_PAGES && page != row->page)
		return false;
	return subpage == MODE_ALL_SUBPAGES || subpage == row->subpage;
}

/* The pages that were asked for; their number. */
static unsigned put_pages(const struct scsi_task *task, struct span_writer *w)
{
	unsigned control = task->cdb[2] >> 6, found = 0;
	uint8_t page = task->cdb[2] & 0x3f, subpage = task->cdb[3];

	for (size_t i = 0; i < own_array_len(mode_pages); i++) {
		const struct mode_page *row = &mode_pages[i];
		uint8_t bytes[UINT8_MAX] = { 0 };

		if (!mode_wanted(row, page, subpage))
			continue;
		bytes[0] = row->page;
		bytes[1] = row->len - 2;
		if (control != MODE_CHANGEABLE)
			row->fill(task->lun, bytes);
		span_put(w, bytes, row->len);
		found++;
	}
	return found;
}

/* SBC-3 6.5.2: the block descriptor, short or long. */
static void put_block_descriptor(const struct scsi_lun *lun, struct span_writer *w, bool long_lba)
{
	if (long_lba) {
		span_put64(w, lun->blocks);
		span_put32(w, 0);
		span_put32(w, lun->block_size);
		return;
	}
	span_put32(w, lun->blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)lun->blocks);
	span_put32(w, lun->block_size);
}

/* SPC-4 7.5.5: the header, whose length field comes last. */
static void put_header(const struct scsi_task *task, struct span_writer *w, bool ten, unsigned bdl)
{
	uint8_t specific = 0x10; /* DPOFUA, SBC-3 6.5.1 */

	if (task->lun->readonly)
		specific |= 0x80; /* WP */
	span_fill(w, 0, ten ? 3 : 2);
	span_put8(w, specific);
	if (ten) {
		span_put8(w, bdl == 16); /* LONGLBA */
		span_put8(w, 0);
		span_put16(w, (uint16_t)bdl);
	} else {
		span_put8(w, (uint8_t)bdl);
	}
}

/* SPC-4 6.13 and 6.14 */
void scsi_cmd_mode_sense(struct scsi_task *task)
{
	bool ten = task->cmd->len == 10;
	bool no_descriptor = task->cdb[1] & 0x08, long_lba = ten && (task->cdb[1] & 0x10);
	unsigned descriptor = no_descriptor ? 0 : long_lba ? 16 : 8;
	struct span_writer w;

	if (task->cdb[2] >> 6 == MODE_SAVED) {
		scsi_task_fail(task, SENSE_SAVING_NOT_SUPPORTED);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	put_header(task, &w, ten, descriptor);
	if (descriptor)
		put_block_descriptor(task->lun, &w, long_lba);
	if (put_pages(task, &w) == 0) {
		bool subpage = task->cdb[3] && task->cdb[3] != MODE_ALL_SUBPAGES;

		scsi_task_fail_field(task, subpage ? 3 : 2, subpage ? 7 : 5);
		return;
	}
	if (ten)
		span_patch16(&w, 0, (uint16_t)(w.want - 2));
	else
		w.p[0] = (uint8_t)(w.want - 1);
	scsi_reply_end(task, &w, ten ? be16_load(task->cdb + 7) : task->cdb[4]);
}
