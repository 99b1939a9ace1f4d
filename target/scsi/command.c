/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a CDB to the function of its row: which LUN, which row, and everything that a row alone can
 * say is wrong. A good command passes each check with one comparison; what can fail ends the task
 * with the sense data that the standard wants, in the order of SAM-5 5.3.3 and 5.14.
 */
#include "target/scsi/command.h"

#include "target/scsi/alua.h"
#include "target/scsi/flow.h"
#include "target/scsi/reservation.h"
#include "target/scsi/sanitize.h"

#include "target/scsi/order.h"

#include "common/own.h"

#include <string.h>

static const struct scsi_command command_rows[] = {
#define NO_ACTION SCSI_NO_ACTION
#define CDB(...)  { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define AT(byte, size)                                                                             \
	{                                                                                          \
		byte, size                                                                         \
	}
#define NOWHERE                                                                                    \
	{                                                                                          \
		0, 0                                                                               \
	}
#define COMMAND(opcode, action, name, usage, lba, blocks, flags, passes, run)                      \
	{ opcode, action, name, usage, lba, blocks, flags, passes, run },
#include "target/scsi/commands.def"
#undef COMMAND
#undef NOWHERE
#undef AT
#undef CDB
#undef NO_ACTION
};

#define ROWS own_array_len(command_rows)

/* Where an opcode leads: to its one row, or to the list of those with service actions. */
#define ACTIONS_MAX 32 /* five bits, SPC-4 4.3.4 */
static struct {
	uint8_t row;        /* place + 1 of the only row, 0: none */
	uint8_t action_set; /* place + 1 in command_actions, 0: no service actions */
} command_index[256];
static uint8_t command_actions[16][ACTIONS_MAX]; /* place + 1 of the row */

/* The bits that must be zero; bytes beyond the row's CDB are not looked at. */
static struct {
	uint64_t word[SCSI_USAGE_MAX / 8];
} command_forbidden[ROWS];

static void setup_row(unsigned at, unsigned *sets)
{
	const struct scsi_command *cmd = &command_rows[at];
	uint8_t forbidden[SCSI_USAGE_MAX] = { 0 };
	uint8_t *set = &command_index[cmd->opcode].action_set;

	for (unsigned i = 0; i < cmd->len; i++)
		forbidden[i] = (uint8_t)~cmd->usage[i];
	memcpy(&command_forbidden[at], forbidden, sizeof forbidden);
	if (cmd->action == SCSI_NO_ACTION) {
		command_index[cmd->opcode].row = (uint8_t)(at + 1);
		return;
	}
	if (!*set) {
		own_assert(*sets < own_array_len(command_actions));
		*set = (uint8_t)++(*sets);
	}
	command_actions[*set - 1][cmd->action] = (uint8_t)(at + 1);
}

void scsi_command_setup(void)
{
	unsigned sets = 0;

	_Static_assert(ROWS < 255, "places fit a byte");
	memset(command_index, 0, sizeof command_index);
	for (unsigned i = 0; i < ROWS; i++)
		setup_row(i, &sets);
}

const struct scsi_command *scsi_command_table(unsigned *count)
{
	*count = ROWS;
	return command_rows;
}

const struct scsi_command *scsi_command_find(uint8_t opcode, uint16_t action, bool *has_actions)
{
	unsigned set = command_index[opcode].action_set;
	unsigned row = command_index[opcode].row;

	*has_actions = set;
	if (set)
		row = action < ACTIONS_MAX ? command_actions[set - 1][action] : 0;
	return row ? &command_rows[row - 1] : NULL;
}

bool scsi_command_offered(const struct scsi_command *cmd, const struct scsi_lun *lun)
{
	if (!lun)
		return cmd->flags & CMD_WELL_KNOWN;
	if ((cmd->flags & CMD_REKEY) && !(lun->info.caps & VOL_CAN_REKEY))
		return false;
	return !(cmd->flags & CMD_THIN) || lun->thin;
}

/* ---- what is wrong with a CDB; each ends the task and gives false ---- */

/* One line per nexus and opcode, however often it comes. */
static void log_unknown(struct scsi_nexus *nexus, uint8_t opcode)
{
	uint64_t bit = 1ull << (opcode & 63);

	if (nexus->unknown[opcode >> 6] & bit)
		return;
	nexus->unknown[opcode >> 6] |= bit;
	if (log_limit_ok(&nexus->member->log_limit))
		log_info("scsi: unknown opcode", "opcode=0x%02x initiator=%s target=%s", opcode,
			nexus->initiator, scsi_target_iqn(nexus->target));
}

static bool refuse_unknown(struct scsi_task *task, bool has_actions)
{
	if (!task->cmd)
		log_unknown(task->nexus, task->cdb[0]);
	if (!has_actions)
		scsi_task_fail(task, SENSE_INVALID_OPCODE);
	else if (task->cdb[0] == SCSI_VARIABLE) /* SPC-4 4.3.4: the opcode is known, its service */
		scsi_task_fail_field(task, 8, 7); /* action is not */
	else
		scsi_task_fail_field(task, 1, 4);
	return false;
}

/* SPC-4 4.5.2.4.2: the most significant bit of the field; protection fields have three
 * (SBC-3 4.22). */
static int pointed_bit(const struct scsi_command *cmd, unsigned byte, unsigned wrong)
{
	unsigned protect = cmd->opcode == SCSI_VARIABLE ? 10 : 1;

	if (byte == protect && (wrong & 0xe0) && cmd->lba.width >= 4)
		return 7;
	return 31 - __builtin_clz(wrong);
}

/* SPC-4 4.2.5.1: reserved bits, and fields that need what the unit does not have. */
static bool refuse_bits(struct scsi_task *task)
{
	for (unsigned i = 0; i < task->cmd->len; i++) {
		unsigned wrong = task->cdb[i] & (uint8_t)~task->cmd->usage[i];

		if (!wrong)
			continue;
		scsi_task_fail_field(task, i, pointed_bit(task->cmd, i, wrong));
		break;
	}
	return false;
}

/* SPC-4 4.2.3: a service action has one length, and the port brought as much. */
static bool check_length(struct scsi_task *task)
{
	const struct scsi_command *cmd = task->cmd;

	if (cmd->opcode == SCSI_VARIABLE && task->cdb[7] != cmd->len - 8) {
		scsi_task_fail_field(task, 7, 7);
		return false;
	}
	if (task->cdb_len < cmd->len) {
		scsi_task_fail_field(task, task->cdb_len, -1);
		return false;
	}
	return true;
}

static bool check_bits(struct scsi_task *task)
{
	const uint64_t *forbidden = command_forbidden[task->cmd - command_rows].word;
	uint64_t word[SCSI_USAGE_MAX / 8];
	uint64_t wrong = 0;

	if (!check_length(task))
		return false;
	memcpy(word, task->cdb, sizeof word);
	for (unsigned i = 0; i < SCSI_USAGE_MAX / 8; i++)
		wrong |= word[i] & forbidden[i];
	return !wrong || refuse_bits(task);
}

static uint64_t load_field(const uint8_t *cdb, struct scsi_place at)
{
	switch (at.width) {
	case 1:
		return cdb[at.byte];
	case 2:
		return be16_load(cdb + at.byte);
	case 3:
		return be24_load(cdb + at.byte);
	case 4:
		return be32_load(cdb + at.byte);
	case 8:
		return be64_load(cdb + at.byte);
	default:
		return 0;
	}
}

/* SBC-3 4.5: the LBA and the last block must be inside, and the length no more than we take. */
static bool check_range(struct scsi_task *task)
{
	const struct scsi_command *cmd = task->cmd;
	uint64_t all;

	if (!cmd->lba.width)
		return true;
	all = scsi_task_capacity(task);
	task->lba = load_field(task->cdb, cmd->lba);
	task->blocks = load_field(task->cdb, cmd->blocks);
	if (task->blocks == 0 && (cmd->flags & CMD_ZERO_256))
		task->blocks = 256;
	if (task->lba > all || task->blocks > all - task->lba) {
		scsi_task_fail_info(
			task, SENSE_LBA_OUT_OF_RANGE, task->lba > all ? task->lba : all);
		return false;
	}
	if (task->blocks > task->lun->cap_blocks && (cmd->flags & CMD_CAPPED)) {
		scsi_task_fail_field(task, cmd->blocks.byte, 7); /* SBC-3 6.6.4 */
		return false;
	}
	return true;
}

static bool check_access(struct scsi_task *task)
{
	enum scsi_sense why;

	if (scsi_alua_admits(task, &why))
		return true;
	scsi_task_fail(task, why);
	return false;
}

/* SBC-3 4.11.2 and 4.11.4: what is let pass while the medium is sanitized, and when that failed. */
static bool check_sanitize(struct scsi_task *task)
{
	uint32_t state = __atomic_load_n(&task->lun->sanitize, __ATOMIC_ACQUIRE);
	struct scsi_cause cause;

	if (!state || (task->cmd->flags & CMD_ALWAYS))
		return true;
	if ((task->cmd->flags & CMD_SANITIZE) && !(state & SANITIZE_RUNNING))
		return true;
	cause = scsi_sanitize_cause(state);
	scsi_task_fail_cause(task, &cause);
	return false;
}

static bool check_medium(struct scsi_task *task)
{
	/* RFC 7143 6.3.5: the tasks of the old session are over before those of the new one */
	if (__builtin_expect(task->itl->haunted, 0))
		scsi_task_fail(task, SENSE_OLD_WRITES_RUN);
	else if (!scsi_lun_loaded(task->lun))
		scsi_task_fail(task, SENSE_NO_MEDIUM);
	else
		return true;
	return false;
}

static bool check_unit(struct scsi_task *task)
{
	const struct scsi_command *cmd = task->cmd;
	const struct scsi_lun *lun = task->lun;

	if (!lun) /* the well-known one, or a command that is answered everywhere */
		return true;
	if (!check_access(task) || !check_sanitize(task))
		return false;
	if ((cmd->flags & CMD_MEDIUM) && !check_medium(task))
		return false;
	if (!check_range(task))
		return false;
	if ((cmd->flags & CMD_WRITES) && task->itl->readonly) {
		scsi_task_fail(task, SENSE_WRITE_PROTECTED); /* SBC-3 4.13 */
		return false;
	}
	if ((cmd->flags & CMD_WRITES) && scsi_lun_mode(lun, MODE_SWP)) {
		scsi_task_fail(task, SENSE_SOFTWARE_PROTECTED); /* SPC-4 7.5.8 */
		return false;
	}
	return true;
}

static void find_lun(struct scsi_task *task)
{
	task->itl = scsi_nexus_find(task->nexus, task->lun_field);
	task->lun = task->itl ? task->itl->lun : NULL;
	if (task->lun)
		task->chan = task->lun->chan[task->nexus->member->index];
}

/* What waits at the LUN for this initiator. */
static bool check_lun(struct scsi_task *task)
{
	bool always = task->cmd && (task->cmd->flags & CMD_ALWAYS);

	if (!task->itl) {
		if (always)
			return true;
		scsi_task_fail(task, SENSE_LUN_NOT_SUPPORTED); /* SAM-5 5.11 */
		return false;
	}
	if (task->lun && task->lun->removable)
		scsi_itl_look(task->itl);
	if (task->itl->ua_count && !always) { /* SAM-5 5.14 */
		struct scsi_cause cause = sense_attention(scsi_itl_take(task->itl));

		scsi_task_fail_cause(task, &cause);
		return false;
	}
	return true;
}

/* SPC-4 5.13.1: one comparison where nobody else has reserved anything. */
static bool check_reservation(struct scsi_task *task)
{
	unsigned missing = task->itl ? task->itl->needs & ~(unsigned)task->cmd->passes : 0;

	return !missing || scsi_res_admit(task, missing);
}

static void flow_begins(struct scsi_task *task)
{
	struct scsi_flow *flow = task->itl->flow;

	hist_bump(&flow->counts.begun, 1);
	task->began_ns = 0;
	if (__builtin_expect(flow->until-- == 0, 0)) {
		flow->until = FLOW_STRIDE - 1;
		task->began_ns = hist_clock_ns();
	}
}

void scsi_command_run(struct scsi_task *task)
{
	find_lun(task);
	if (task->itl)
		flow_begins(task);
	if (!task->itl || scsi_order_join(task))
		scsi_command_begin(task);
}

void scsi_command_run_inner(struct scsi_task *task)
{
	bool has_actions;

	find_lun(task);
	task->cmd = scsi_command_find(task->cdb[0], scsi_cdb_action(task->cdb), &has_actions);
	if (!task->itl) {
		scsi_task_fail(task, SENSE_LUN_NOT_SUPPORTED); /* SAM-5 5.11 */
		return;
	}
	task->itl->tasks++;
	flow_begins(task);
	if (check_reservation(task) && check_unit(task))
		task->cmd->run(task);
}

void scsi_command_begin(struct scsi_task *task)
{
	bool has_actions;

	task->cmd = scsi_command_find(task->cdb[0], scsi_cdb_action(task->cdb), &has_actions);
	if (!check_lun(task))
		return;
	if (!task->cmd || (task->itl && !scsi_command_offered(task->cmd, task->lun))) {
		/* of an opcode with service actions some are always offered */
		refuse_unknown(task, has_actions && (!task->cmd || task->lun));
		return;
	}
	if (check_bits(task) && check_reservation(task) && check_unit(task))
		task->cmd->run(task);
}
