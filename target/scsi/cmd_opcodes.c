/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT SUPPORTED OPERATION CODES, told from the rows themselves, and REPORT SUPPORTED TASK
 * MANAGEMENT FUNCTIONS.
 */
#include "target/scsi/command.h"

#include <string.h>

/* SPC-4 6.35.1, REPORTING OPTIONS */
enum { REPORT_ALL = 0, REPORT_OPCODE = 1, REPORT_ACTION = 2, REPORT_EITHER = 3 };

#define TIMEOUTS 12u /* bytes of a command timeouts descriptor */

/* SPC-4 6.35.4: no timeouts are told, which a descriptor of zeroes says. */
static void put_timeouts(struct span_writer *w)
{
	span_put16(w, TIMEOUTS - 2);
	span_fill(w, 0, TIMEOUTS - 2);
}

static void put_command(const struct scsi_command *cmd, struct span_writer *w, bool timeouts)
{
	bool has_action = cmd->action != SCSI_NO_ACTION;

	span_put8(w, cmd->opcode);
	span_put8(w, 0);
	span_put16(w, has_action ? cmd->action : 0);
	span_put8(w, 0);
	span_put8(w, (uint8_t)(timeouts << 1 | has_action)); /* CTDP, SERVACTV */
	span_put16(w, cmd->len);
	if (timeouts)
		put_timeouts(w);
}

/* SPC-4 6.35.2 */
static void report_all(struct scsi_task *task, struct span_writer *w, bool timeouts)
{
	unsigned count;
	const struct scsi_command *rows = scsi_command_table(&count);

	span_put32(w, 0);
	for (unsigned i = 0; i < count; i++)
		if (scsi_command_offered(&rows[i], task->lun))
			put_command(&rows[i], w, timeouts);
	span_patch32(w, 0, (uint32_t)w->want - 4);
}

/* SPC-4 6.35.3: the usage data has the opcode and the service action where they stand in the CDB.
 */
static void report_one(const struct scsi_command *cmd, struct span_writer *w, bool timeouts)
{
	uint8_t usage[SCSI_USAGE_MAX];

	span_put8(w, 0);
	if (!cmd) {
		span_put8(w, 0x01); /* SUPPORT: not supported */
		span_put16(w, 0);
		return;
	}
	span_put8(w, (uint8_t)(timeouts << 7 | 0x03)); /* as the standard says */
	span_put16(w, cmd->len);
	memcpy(usage, cmd->usage, sizeof usage);
	usage[0] = cmd->opcode;
	if (cmd->opcode == SCSI_VARIABLE)
		be16_store(usage + 8, cmd->action);
	else if (cmd->action != SCSI_NO_ACTION)
		usage[1] = (uint8_t)((usage[1] & 0xe0) | cmd->action);
	span_put(w, usage, cmd->len);
	if (timeouts)
		put_timeouts(w);
}

/* Finds the command that is asked about; false: the question is wrong, the task is ended. */
static bool find_asked(struct scsi_task *task, unsigned option, const struct scsi_command **cmd)
{
	uint16_t action = be16_load(task->cdb + 4);
	bool has_actions;

	*cmd = scsi_command_find(task->cdb[3], action, &has_actions);
	if (option == REPORT_OPCODE && has_actions) {
		scsi_task_fail_field(task, 2, 2);
		return false;
	}
	if (option == REPORT_ACTION && *cmd && !has_actions) {
		scsi_task_fail_field(task, 2, 2);
		return false;
	}
	if (option == REPORT_EITHER && !has_actions && action)
		*cmd = NULL;
	if (*cmd && !scsi_command_offered(*cmd, task->lun))
		*cmd = NULL;
	return true;
}

/* SPC-4 6.35.1 */
void scsi_cmd_report_opcodes(struct scsi_task *task)
{
	bool timeouts = task->cdb[2] & 0x80; /* RCTD */
	unsigned option = task->cdb[2] & 0x07;
	const struct scsi_command *cmd = NULL;
	struct span_writer w;

	if (option > REPORT_EITHER) {
		scsi_task_fail_field(task, 2, 2);
		return;
	}
	if (option != REPORT_ALL && !find_asked(task, option, &cmd))
		return;
	if (!scsi_reply_begin(task, &w))
		return;
	if (option == REPORT_ALL)
		report_all(task, &w, timeouts);
	else
		report_one(cmd, &w, timeouts);
	scsi_reply_end(task, &w, be32_load(task->cdb + 6));
}

/* SPC-4 6.36 */
void scsi_cmd_report_functions(struct scsi_task *task)
{
	bool extended = task->cdb[2] & 0x80; /* REPD */
	uint32_t allocation = be32_load(task->cdb + 6);
	struct span_writer w;

	if (allocation < (extended ? 16 : 4)) {
		scsi_task_fail_field(task, 6, 7);
		return;
	}
	if (!scsi_reply_begin(task, &w))
		return;
	span_put8(&w, 0xd8); /* ATS, ATSS, CTSS, LURS */
	span_put16(&w, 0);
	span_put8(&w, extended ? 0x0c : 0);
	if (extended)
		span_fill(&w, 0, 12);
	scsi_reply_end(task, &w, allocation);
}
