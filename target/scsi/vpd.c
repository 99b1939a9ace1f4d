/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vital product data: one function per row of vpd.def, which writes what follows the page's header
 * of four bytes. Everything comes from the unit, so it stays the same as long as the volume does.
 */
#include "target/scsi/command.h"
#include "target/scsi/limits.h"

#include "common/own.h"

#include <string.h>

struct vpd_page {
	uint8_t code;
	bool unit_only;
	void (*build)(const struct scsi_task *task, struct span_writer *w);
};

#define VPD(code, unit_only, build, name)                                                          \
	static void build(const struct scsi_task *task, struct span_writer *w);
#include "target/scsi/vpd.def"
#undef VPD

static const struct vpd_page vpd_pages[] = {
#define VPD(code, unit_only, build, name) { code, unit_only, build },
#include "target/scsi/vpd.def"
#undef VPD
};

static bool vpd_offered(const struct scsi_task *task, const struct vpd_page *page)
{
	return task->lun || !page->unit_only;
}

static void vpd_supported(const struct scsi_task *task, struct span_writer *w)
{
	for (size_t i = 0; i < own_array_len(vpd_pages); i++)
		if (vpd_offered(task, &vpd_pages[i]))
			span_put8(w, vpd_pages[i].code);
}

static void vpd_serial(const struct scsi_task *task, struct span_writer *w)
{
	span_put(w, task->lun->serial, strlen(task->lun->serial));
}

/* ---- SPC-4 7.8.6: designators ---- */

enum { ASSOCIATED_UNIT = 0x00, ASSOCIATED_PORT = 0x10, ASSOCIATED_TARGET = 0x20 };
enum { CODE_BINARY = 1, CODE_ASCII = 2, CODE_UTF8 = 3 };
#define ISCSI_IDENTIFIER 0x50 /* SPC-4 7.6.1: protocol identifier 5h */

static void put_designator(
	struct span_writer *w, uint8_t code, uint8_t type, const void *data, size_t len)
{
	bool port = type & (ASSOCIATED_PORT | ASSOCIATED_TARGET);

	span_put8(w, port ? ISCSI_IDENTIFIER | code : code);
	span_put8(w, port ? 0x80 | type : type); /* PIV */
	span_put8(w, 0);
	span_put8(w, (uint8_t)len);
	span_put(w, data, len);
}

/* SPC-4 7.8.6.11: SCSI name strings end in a zero and are padded to four bytes. */
static void put_name(struct span_writer *w, uint8_t association, const char *name)
{
	size_t len = strlen(name) + 1, padded = (len + 3) & ~(size_t)3;
	char text[SCSI_INITIATOR_MAX + 4] = { 0 };

	if (padded > sizeof text)
		return;
	memcpy(text, name, len);
	put_designator(w, CODE_UTF8, association | 0x08, text, padded);
}

static void put_unit(const struct scsi_lun *lun, struct span_writer *w)
{
	char text[8 + SCSI_SERIAL_MAX + 1];
	size_t len = strlen(lun->serial);

	put_designator(w, CODE_BINARY, ASSOCIATED_UNIT | 0x03, lun->naa, lun->naa_len);
	memcpy(text, lun->vendor, 8); /* SPC-4 7.8.6.4: T10 vendor ID based */
	memcpy(text + 8, lun->serial, len);
	put_designator(w, CODE_ASCII, ASSOCIATED_UNIT | 0x01, text, 8 + len);
}

static void vpd_identity(const struct scsi_task *task, struct span_writer *w)
{
	const struct scsi_target *target = task->nexus->target;
	uint8_t number[4] = { 0 };

	if (task->lun)
		put_unit(task->lun, w);
	be16_store(number + 2, target->rel_port);
	put_designator(w, CODE_BINARY, ASSOCIATED_PORT | 0x04, number, sizeof number);
	/* SPC-4 7.8.6.9: the port is a group of its own */
	put_designator(w, CODE_BINARY, ASSOCIATED_PORT | 0x05, number, sizeof number);
	put_name(w, ASSOCIATED_PORT, target->port_name);
	put_name(w, ASSOCIATED_TARGET, target->iqn);
}

/* SPC-4 7.8.8: kura has no address for managing it that an initiator could use. */
static void vpd_management(const struct scsi_task *task, struct span_writer *w)
{
	(void)task;
	(void)w;
}

/* ---- what the unit can do ---- */

/* SPC-4 7.8.7 */
static void vpd_extended(const struct scsi_task *task, struct span_writer *w)
{
	uint8_t page[60] = { 0 };

	page[5 - 4] = 0x07; /* HEADSUP, ORDSUP, SIMPSUP */
	page[6 - 4] = task->lun->info.caps & VOL_HAS_CACHE ? 0x01 : 0x00; /* V_SUP */
	page[7 - 4] = 0x01; /* LUICLR: unit attentions are cleared per nexus */
	span_put(w, page, sizeof page);
}

/* SPC-4 7.8.17 */
static void vpd_copy(const struct scsi_task *task, struct span_writer *w)
{
	scsi_copy_vpd(task, w);
}

/* SPC-4 7.8.9: one set of each page for all nexuses */
static void vpd_policy(const struct scsi_task *task, struct span_writer *w)
{
	(void)task;
	span_put8(w, 0x3f); /* every page */
	span_put8(w, 0xff); /* and subpage */
	span_put8(w, 0x00); /* shared; MLUS 0: of this unit alone */
	span_put8(w, 0);
}

/* SBC-3 6.6.4 */
static void vpd_limits(const struct scsi_task *task, struct span_writer *w)
{
	const struct scsi_lun *lun = task->lun;
	uint8_t page[60] = { 0 };

	page[5 - 4] = LIMIT_COMPARE_BLOCKS; /* MAXIMUM COMPARE AND WRITE LENGTH */
	be16_store(page + 6 - 4, (uint16_t)(lun->info.physical_block_size >> lun->block_shift));
	be32_store(page + 8 - 4, lun->cap_blocks);
	be32_store(page + 12 - 4, LIMIT_OPTIMAL_TRANSFER >> lun->block_shift);
	if (lun->thin) {
		be32_store(page + 20 - 4, LIMIT_UNMAP_BLOCKS);
		be32_store(page + 24 - 4, LIMIT_UNMAP_DESCRIPTORS);
		be32_store(page + 28 - 4, lun->info.trim_granularity >> lun->block_shift);
		be32_store(page + 32 - 4,
			0x80000000 | lun->info.trim_alignment >> lun->block_shift); /* UGAVALID */
	}
	be64_store(page + 36 - 4, LIMIT_SAME_BLOCKS);
	be32_store(page + 44 - 4, scsi_atomic_most(lun)); /* MAXIMUM ATOMIC TRANSFER LENGTH */
	be32_store(page + 48 - 4, scsi_atomic_unit(lun)); /* ATOMIC ALIGNMENT */
	be32_store(page + 52 - 4, scsi_atomic_unit(lun)); /* ATOMIC TRANSFER LENGTH GRANULARITY */
	span_put(w, page, sizeof page);
}

/* SBC-3 6.6.3 */
static void vpd_device(const struct scsi_task *task, struct span_writer *w)
{
	uint8_t page[60] = { 0 };

	be16_store(page + 4 - 4, task->lun->info.rotational ? 0x0000 : 0x0001); /* non-rotating */
	if (task->lun->thin)
		page[7 - 4] = 0x40; /* WABEREQ 01b: erased blocks can be read */
	if (task->lun->info.caps & VOL_CAN_REKEY)
		page[7 - 4] |= 0x10; /* WACEREQ 01b: the same */
	span_put(w, page, sizeof page);
}

/* SBC-3 6.6.6 */
static void vpd_provisioning(const struct scsi_task *task, struct span_writer *w)
{
	const struct scsi_lun *lun = task->lun;
	uint8_t page[4] = { 0 };

	if (lun->thin) {
		page[5 - 4] = 0xe0; /* LBPU, LBPWS, LBPWS10 */
		if (lun->info.caps & VOL_ZERO_AFTER_TRIM)
			page[5 - 4] |= 0x04; /* LBPRZ */
		page[6 - 4] = 0x02;          /* thin provisioned */
	}
	span_put(w, page, sizeof page);
}

static const struct vpd_page *vpd_find(const struct scsi_task *task)
{
	for (size_t i = 0; i < own_array_len(vpd_pages); i++)
		if (vpd_pages[i].code == task->cdb[2] && vpd_offered(task, &vpd_pages[i]))
			return &vpd_pages[i];
	return NULL;
}

void scsi_vpd_run(struct scsi_task *task)
{
	const struct vpd_page *page = vpd_find(task);
	struct span_writer w;

	if (!page) { /* SPC-4 6.6.1 */
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	span_put8(&w, !task->itl ? 0x7f : scsi_task_well_known(task) ? 0x1e : 0x00);
	span_put8(&w, page->code);
	span_put16(&w, 0);
	page->build(task, &w);
	span_patch16(&w, 2, (uint16_t)(w.want - 4));
	scsi_reply_end(task, &w, be16_load(task->cdb + 3));
}
