/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode.h: mode parameters: the bits that initiators may change, and the pages that they stand in.
 *
 * What is in force is one word of a unit that is read and changed atomically, so each loop sees a
 * change at once. A page is a function from that word to bytes; which of its bits can be changed
 * follows from it.
 */
#ifndef KURA_TARGET_SCSI_MODE_H
#define KURA_TARGET_SCSI_MODE_H

#include "target/scsi/unit.h"

#define MODE_PAGE_MAX 64 /* bytes of the longest page */

struct mode_page {
	uint8_t page, subpage;
	uint8_t len; /* with the header */
	void (*fill)(const struct scsi_lun *lun, uint32_t modes, uint8_t *p);
};

/* The rows of modes.def, `count` of them, by page and subpage; static. */
const struct mode_page *mode_page_table(unsigned *count);

/* Writes the page as it is with these enum scsi_mode_bits: row->len bytes, PS 0. */
void mode_page_build(const struct mode_page *row, const struct scsi_lun *lun, uint32_t modes,
	uint8_t bytes[MODE_PAGE_MAX]);

/* The bits of the unit that may be changed and that stand in this page. */
uint32_t mode_page_bits(const struct mode_page *row, const struct scsi_lun *lun);

/* Whether the unit can save what is changed. */
static inline bool mode_can_save(const struct scsi_lun *lun)
{
	return lun->record;
}

#endif
