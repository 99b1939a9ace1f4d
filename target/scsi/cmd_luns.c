/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT LUNS.
 */
#include "target/scsi/command.h"

/* SAM-5 4.7.7.1 below 256, where every initiator understands it, SAM-5 4.7.7.2 above. */
static void put_lun(struct span_writer *w, uint16_t number)
{
	span_put16(w, number < 256 ? number : 0x4000 | number);
	span_fill(w, 0, 6);
}

static void put_well_known(struct span_writer *w)
{
	span_put16(w, 0xc101); /* SPC-4 8.2 */
	span_fill(w, 0, 6);
}

/* SPC-4 6.33 */
void scsi_cmd_report_luns(struct scsi_task *task)
{
	const struct scsi_map *map = task->nexus->map;
	unsigned select = task->cdb[2];
	uint32_t allocation = be32_load(task->cdb + 6);
	struct span_writer w;

	if (select > 0x02) {
		scsi_task_fail_field(task, 2, 7);
		return;
	}
	if (allocation < 16) {
		scsi_task_fail_field(task, 6, 7);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	scsi_nexus_forget(task->nexus, UA_LUNS_CHANGED); /* SPC-4 6.33: this is how it is told */
	span_fill(&w, 0, 8);
	if (select != 0x00)
		put_well_known(&w);
	for (unsigned i = 0; i < map->count && select != 0x01; i++)
		put_lun(&w, map->entry[i].number);
	span_patch32(&w, 0, (uint32_t)w.want - 8);
	scsi_reply_end(task, &w, allocation);
}
