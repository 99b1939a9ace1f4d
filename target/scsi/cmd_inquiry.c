/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INQUIRY: the standard data. The vital product data pages are in vpd.c.
 */
#include "target/scsi/command.h"

/* SPC-4 6.6.2: qualifier and type of what stands behind the LUN. */
static uint8_t peripheral(const struct scsi_task *task)
{
	if (!task->itl)
		return 0x7f; /* no device can be there */
	return scsi_task_well_known(task) ? 0x1e : 0x00;
}

static void put_names(const struct scsi_task *task, struct span_writer *w)
{
	const struct scsi_lun *lun = task->lun;

	if (lun) {
		span_put(w, lun->vendor, sizeof lun->vendor);
		span_put(w, lun->product, sizeof lun->product);
		span_put(w, lun->revision, sizeof lun->revision);
		return;
	}
	span_put(w, "KURA    ", 8);
	span_put(w, "                ", 16);
	span_put(w, "    ", 4);
}

/* SPC-4 6.6.2, version descriptors: SAM-5, SPC-4, SBC-3, iSCSI, no version claimed of each. */
static void put_versions(const struct scsi_task *task, struct span_writer *w)
{
	span_fill(w, 0, 2);
	span_put16(w, 0x00a0);
	span_put16(w, 0x0460);
	if (task->lun)
		span_put16(w, 0x04c0);
	span_put16(w, 0x0960);
	span_fill(w, 0, 96 - w->want);
}

static void standard_data(const struct scsi_task *task, struct span_writer *w)
{
	span_put8(w, peripheral(task));
	span_put8(w, task->lun && task->lun->removable ? 0x80 : 0x00);
	span_put8(w, 0x06);   /* SPC-4 */
	span_put8(w, 0x12);   /* HISUP, response data format 2 */
	span_put8(w, 96 - 5); /* ADDITIONAL LENGTH: it is not changed by truncation */
	span_put8(w, task->lun ? 0x38 : 0x00); /* TPGS: implicit and explicit, SPC-4 5.15; 3PC */
	span_put8(w, 0x00);
	span_put8(w, 0x02); /* CMDQUE */
	put_names(task, w);
	span_fill(w, 0, 20); /* vendor specific, reserved */
	put_versions(task, w);
}

void scsi_cmd_inquiry(struct scsi_task *task)
{
	struct span_writer w;

	if (task->cdb[1] & 0x01) {
		scsi_vpd_run(task);
		return;
	}
	if (task->cdb[2]) { /* SPC-4 6.6.1: PAGE CODE without EVPD */
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	standard_data(task, &w);
	scsi_reply_end(task, &w, be16_load(task->cdb + 3));
}
