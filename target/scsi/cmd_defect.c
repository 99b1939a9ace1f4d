/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ DEFECT DATA: the medium has no defects that an initiator could see, so each list is there
 * and empty, in the format that was asked for.
 */
#include "target/scsi/command.h"

#define DEFECT_LISTS  0x18 /* REQ_PLIST, REQ_GLIST */
#define DEFECT_FORMAT 0x07

/* SBC-3 5.18.2: the formats that there are; the others are reserved. */
static bool format_known(unsigned format)
{
	return format != 0x07;
}

static void defect_answer(struct scsi_task *task, uint8_t asked, bool twelve)
{
	struct span_writer w;

	if (!scsi_reply_begin(task, &w))
		return;
	span_put8(&w, 0);
	span_put8(&w, asked); /* PLISTV, GLISTV and the format stand where they were asked for */
	if (twelve) {         /* SBC-3 5.19.2 */
		span_put16(&w, 0); /* GENERATION CODE: the list never changes */
		span_put32(&w, 0);
		scsi_reply_end(task, &w, be32_load(task->cdb + 6));
		return;
	}
	span_put16(&w, 0); /* SBC-3 5.18.2 */
	scsi_reply_end(task, &w, be16_load(task->cdb + 7));
}

/* SBC-3 5.18 and 5.19 */
void scsi_cmd_read_defects(struct scsi_task *task)
{
	bool twelve = task->cmd->len == 12;
	unsigned byte = twelve ? 1 : 2;
	uint8_t asked = task->cdb[byte] & (DEFECT_LISTS | DEFECT_FORMAT);

	if (format_known(asked & DEFECT_FORMAT))
		defect_answer(task, asked, twelve);
	else
		scsi_task_fail_field(task, byte, 2);
}
