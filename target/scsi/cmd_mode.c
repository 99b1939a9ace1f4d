/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SENSE, by the rows of modes.def. A page is made from the mode bits in force, saved or given
 * by default; what differs between all of them and none is what can be changed.
 */
#include "target/scsi/command.h"
#include "target/scsi/mode.h"

#include "common/own.h"

/* SPC-4 6.13.1, page control */
enum { MODE_CURRENT = 0, MODE_CHANGEABLE = 1, MODE_DEFAULT = 2, MODE_SAVED = 3 };

#define MODE_ALL_PAGES    0x3f
#define MODE_ALL_SUBPAGES 0xff

#define MODE(page, subpage, len, fill, name)                                                       \
	static void fill(const struct scsi_lun *lun, uint32_t modes, uint8_t *p);
#include "target/scsi/modes.def"
#undef MODE

static const struct mode_page mode_pages[] = {
#define MODE(page, subpage, len, fill, name) { page, subpage, len, fill },
#include "target/scsi/modes.def"
#undef MODE
};

static void mode_recovery(const struct scsi_lun *lun, uint32_t modes, uint8_t *p)
{
	(void)lun;
	(void)modes;
	p[2] = 0x80; /* AWRE: what lies below looks after its bad blocks */
}

static void mode_reconnect(const struct scsi_lun *lun, uint32_t modes, uint8_t *p)
{
	(void)lun;
	(void)modes;
	(void)p; /* no limits */
}

static void mode_caching(const struct scsi_lun *lun, uint32_t modes, uint8_t *p)
{
	(void)lun;
	if (modes & MODE_WCE)
		p[2] = 0x04;
}

static void mode_control(const struct scsi_lun *lun, uint32_t modes, uint8_t *p)
{
	(void)lun;
	p[2] = 0x20; /* TST 001b: each I_T nexus has a task set of its own (order.h) */
	if (modes & MODE_D_SENSE)
		p[2] |= 0x04;
	p[3] = 0x10; /* QUEUE ALGORITHM MODIFIER: commands are reordered without restriction */
	if (modes & MODE_SWP)
		p[4] = 0x08;
}

static void mode_extension(const struct scsi_lun *lun, uint32_t modes, uint8_t *p)
{
	(void)lun;
	(void)modes;
	p[4] = 0x02; /* SCSIP: SET TIMESTAMP goes before the clock of the machine */
}

static void mode_exceptions(const struct scsi_lun *lun, uint32_t modes, uint8_t *p)
{
	(void)lun;
	(void)modes;
	p[2] = 0x08; /* DEXCPT */
}

const struct mode_page *mode_page_table(unsigned *count)
{
	*count = own_array_len(mode_pages);
	return mode_pages;
}

/* SPC-4 7.5.7: the header of a page, or of a subpage. */
void mode_page_build(const struct mode_page *row, const struct scsi_lun *lun, uint32_t modes,
	uint8_t bytes[MODE_PAGE_MAX])
{
	memset(bytes, 0, MODE_PAGE_MAX);
	row->fill(lun, modes, bytes);
	bytes[0] = row->page;
	if (row->subpage) {
		bytes[0] |= 0x40; /* SPF */
		bytes[1] = row->subpage;
		be16_store(bytes + 2, row->len - 4);
	} else {
		bytes[1] = row->len - 2;
	}
}

uint32_t mode_page_bits(const struct mode_page *row, const struct scsi_lun *lun)
{
	uint8_t none[MODE_PAGE_MAX], one[MODE_PAGE_MAX];
	uint32_t bits = 0;

	mode_page_build(row, lun, 0, none);
	for (uint32_t bit = 1; bit && bit <= lun->modes_may; bit <<= 1) {
		mode_page_build(row, lun, bit & lun->modes_may, one);
		if (memcmp(none, one, row->len) != 0)
			bits |= bit;
	}
	return bits;
}

/* SPC-4 6.13.1: the page as the PAGE CONTROL field wants it. */
static void build_asked(const struct mode_page *row, const struct scsi_lun *lun, unsigned control,
	uint8_t bytes[MODE_PAGE_MAX])
{
	uint8_t none[MODE_PAGE_MAX];

	switch (control) {
	case MODE_CHANGEABLE:
		mode_page_build(row, lun, 0, none);
		mode_page_build(row, lun, lun->modes_may, bytes);
		for (unsigned i = row->subpage ? 4 : 2; i < row->len; i++)
			bytes[i] ^= none[i];
		break;
	case MODE_DEFAULT:
		mode_page_build(row, lun, lun->modes_default, bytes);
		break;
	case MODE_SAVED:
		mode_page_build(
			row, lun, __atomic_load_n(&lun->modes_saved, __ATOMIC_RELAXED), bytes);
		break;
	default:
		mode_page_build(row, lun, __atomic_load_n(&lun->modes, __ATOMIC_RELAXED), bytes);
	}
	if (mode_can_save(lun))
		bytes[0] |= 0x80; /* PS */
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
		uint8_t bytes[MODE_PAGE_MAX];

		if (!mode_wanted(row, page, subpage))
			continue;
		build_asked(row, task->lun, control, bytes);
		span_put(w, bytes, row->len);
		found++;
	}
	return found;
}

/* SBC-3 6.5.2: the block descriptor, short or long. */
static void put_block_descriptor(const struct scsi_task *task, struct span_writer *w, bool long_lba)
{
	const struct scsi_lun *lun = task->lun;
	uint64_t blocks = scsi_task_capacity(task);

	if (long_lba) {
		span_put64(w, blocks);
		span_put32(w, 0);
		span_put32(w, lun->block_size);
		return;
	}
	span_put32(w, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	span_put32(w, lun->block_size);
}

/* SPC-4 7.5.5: the header, whose length field comes last. */
static void put_header(const struct scsi_task *task, struct span_writer *w, bool ten, unsigned bdl)
{
	uint8_t specific = 0x10; /* DPOFUA, SBC-3 6.5.1 */

	if (task->itl->readonly || scsi_lun_mode(task->lun, MODE_SWP))
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

	if (task->cdb[2] >> 6 == MODE_SAVED && !mode_can_save(task->lun)) {
		scsi_task_fail(task, SENSE_SAVING_NOT_SUPPORTED);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	put_header(task, &w, ten, descriptor);
	if (descriptor)
		put_block_descriptor(task, &w, long_lba);
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
