/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h: the rows of commands.def, and what the functions in them are made of: asking for
 * data-out, asking the volume, and ending a task.
 *
 * A row's function is called when everything that the row itself says has been checked. It ends
 * the task by exactly one of the scsi_task_ functions below, at once or in a later step.
 */
#ifndef KURA_TARGET_SCSI_COMMAND_H
#define KURA_TARGET_SCSI_COMMAND_H

#include "target/scsi/sense.h"
#include "target/scsi/unit.h"

#include "common/be.h"
#include "common/span.h"

#define SCSI_USAGE_MAX 32   /* longest CDB in the table */
#define SCSI_NO_ACTION 0xff /* the opcode has no service actions */
#define SCSI_VARIABLE  0x7f /* the opcode of CDBs of variable length, SPC-4 4.2.3 */

enum scsi_command_flags {
	CMD_ALWAYS = 1u << 0, /* answers for LUNs that are not there, and past unit attentions */
	CMD_WELL_KNOWN = 1u << 1,  /* the REPORT LUNS well-known LUN has it, SPC-4 8.2 */
	CMD_MEDIUM = 1u << 2,      /* needs a medium */
	CMD_WRITES = 1u << 3,      /* refused on a write-protected unit */
	CMD_CAPPED = 1u << 4,      /* at most MAXIMUM TRANSFER LENGTH blocks, SBC-3 6.6.4 */
	CMD_ZERO_256 = 1u << 5,    /* length 0 means 256 blocks: READ(6), WRITE(6) */
	CMD_THIN = 1u << 6,        /* only where UNMAP is offered */
	CMD_SANITIZE = 1u << 7,    /* also in a sanitize failure, SBC-3 4.11.4 */
	CMD_UNAVAILABLE = 1u << 8, /* also by an unavailable target port, SPC-4 5.15.2.4.5 */
	CMD_REKEY = 1u << 9,       /* only where the volume has a key that can be destroyed */
};

/*
 * What a command passes when another nexus is in its way: a persistent reservation (SPC-4 table 65,
 * SBC-3 table 13), a reservation of SPC-2 (SPC-2 table 9), or that reservations were lost (SPC-4
 * 5.13.5.2).
 */
enum scsi_command_passes {
	PASS_WRITE_EXCLUSIVE = 1u << 0,
	PASS_EXCLUSIVE_ACCESS = 1u << 1,
	PASS_SPC2 = 1u << 2,
	PASS_LOST = 1u << 3,
	PASS_IF_START = 1u << 4, /* all of them with START 1 and POWER CONDITION 0 */
	PASS_IF_ALLOW = 1u << 5, /* all but LOST with PREVENT 0 */

	RES_WRITE = 0,
	RES_READ = PASS_WRITE_EXCLUSIVE,
	RES_INFO = PASS_WRITE_EXCLUSIVE | PASS_EXCLUSIVE_ACCESS,
	RES_CAPACITY = RES_INFO | PASS_SPC2,
	RES_ALWAYS = RES_CAPACITY | PASS_LOST,
	RES_OUT = RES_INFO | PASS_LOST, /* PERSISTENT RESERVE OUT looks for itself */
	RES_START = PASS_IF_START,
	RES_PREVENT = PASS_IF_ALLOW,
	RES_READ_BUFFER = RES_READ | PASS_LOST,
	RES_WRITE_BUFFER = PASS_LOST,
};

struct scsi_place {
	uint8_t byte;  /* offset in the CDB */
	uint8_t width; /* bytes; 0: the CDB has no such field */
};

struct scsi_command {
	uint8_t opcode;
	uint8_t action; /* service action, or SCSI_NO_ACTION */
	const char *name;
	uint8_t usage[SCSI_USAGE_MAX]; /* bits that are looked at; byte 0 the opcode's */
	uint8_t len;                   /* bytes of the CDB */
	struct scsi_place lba, blocks;
	uint16_t flags;                      /* enum scsi_command_flags */
	uint8_t passes;                      /* enum scsi_command_passes */
	void (*run)(struct scsi_task *task); /* begins the command */
};

/* Builds the look-up tables; once, before the loops run. */
void scsi_command_setup(void);

/* A task was just submitted: finds its unit and begins it when its task set lets it. */
void scsi_command_run(struct scsi_task *task);

/* Checks the CDB of a task whose turn it is and begins it. */
void scsi_command_begin(struct scsi_task *task);

/* Begins a task that the SCSI room itself has sent: scsi_task_submit_inner. */
void scsi_command_run_inner(struct scsi_task *task);

/* The rows, `count` of them, by opcode and service action; static. */
const struct scsi_command *scsi_command_table(unsigned *count);

/* The row of an opcode; `action` is looked at only when the opcode has service actions, which
 * `has_actions` tells. NULL: none. */
const struct scsi_command *scsi_command_find(uint8_t opcode, uint16_t action, bool *has_actions);

/* The service action that a CDB would have, SPC-4 4.2.2.1.2 and 4.2.3.1. */
static inline uint16_t scsi_cdb_action(const uint8_t *cdb)
{
	return cdb[0] == SCSI_VARIABLE ? be16_load(cdb + 8) : cdb[1] & 0x1f;
}

/* Whether this unit (NULL: the well-known one) has the command. */
bool scsi_command_offered(const struct scsi_command *cmd, const struct scsi_lun *lun);

/* ---- ending a task: gives it back to the port, now or at the end of the turn ---- */

/* Ends it as it stands: status and sense are set. */
void scsi_task_end(struct scsi_task *task);

/* GOOD. */
void scsi_task_good(struct scsi_task *task);

/* TASK SET FULL, or BUSY when the nexus has no other task (SAM-5 5.3.1): out of memory for now. */
void scsi_task_busy(struct scsi_task *task);

/* CHECK CONDITION with this cause; data-in is dropped. */
void scsi_task_fail_cause(struct scsi_task *task, const struct scsi_cause *cause);

/* CHECK CONDITION with a row of sense.def. */
void scsi_task_fail(struct scsi_task *task, enum scsi_sense sense);

/* The same with INFORMATION. */
void scsi_task_fail_info(struct scsi_task *task, enum scsi_sense sense, uint64_t info);

/* INVALID FIELD IN CDB; `bit` -1: the whole byte or more. */
void scsi_task_fail_field(struct scsi_task *task, unsigned byte, int bit);

/* INVALID FIELD IN PARAMETER LIST. */
void scsi_task_fail_list(struct scsi_task *task, unsigned byte, int bit);

/* The one place where an errno of the volume or the port becomes status and sense. */
void scsi_task_fail_errno(struct scsi_task *task, int err);

/* ---- steps ---- */

/* Marks a task as unwanted: it comes back with `aborted`, at the end of the turn or when the volume
 * is done with it. */
void scsi_task_abort(struct scsi_task *task);

/* The LUN is no more: ends the task so if it waits for data-out. */
void scsi_task_evict(struct scsi_task *task);

/* Asks the port for `len` > 0 bytes, len <= out_room, then calls next. */
void scsi_task_want(struct scsi_task *task, uint32_t len, void (*next)(struct scsi_task *task));

/* Of `bytes` that the command asks of the initiator, those that come in whole blocks; the rest is
 * residual (RFC 7143 11.4.5.1). */
uint32_t scsi_task_whole_blocks(struct scsi_task *task, uint64_t bytes);

/* Asks for the command's blocks, as many as the initiator has, then calls next; none is GOOD. */
void scsi_task_want_blocks(struct scsi_task *task, void (*next)(struct scsi_task *task));

/* A scratch buffer of the task, given back when it ends. False: the task is ended as busy. */
bool scsi_task_work(struct scsi_task *task, uint32_t len);

/* Prepares task->io for the byte range; iov is the caller's to set. */
struct vol_io *scsi_task_io(struct scsi_task *task, enum vol_op op, uint64_t off, uint64_t len);

/* Lets task->io move its one piece in `buf`. */
void scsi_task_io_buf(struct scsi_task *task, struct loop_buf *buf);

/* Submits task->io and calls next when it went well; a failure or an abort ends the task. */
void scsi_task_io_go(struct scsi_task *task, void (*next)(struct scsi_task *task));

/* Runs `run` on a thread that may block and calls next when it gives 0; a negative errno or an
 * abort ends the task. */
void scsi_task_call(struct scsi_task *task, int (*run)(struct loop_io *lio),
	void (*next)(struct scsi_task *task));

/* The task of a call: for `run`. */
static inline struct scsi_task *scsi_task_of_call(struct loop_io *lio)
{
	return container_of(lio, struct scsi_task, io.lio);
}

/* ---- data-in of a few bytes ---- */

#define SCSI_REPLY_MAX 4096u

/* A writer over a zeroed data-in buffer of SCSI_REPLY_MAX. False: the task is ended as busy. */
bool scsi_reply_begin(struct scsi_task *task, struct span_writer *w);

/* GOOD with what was written, cut at the allocation length (SPC-4 4.2.5.6). */
void scsi_reply_end(struct scsi_task *task, const struct span_writer *w, uint32_t allocation);

/* ---- small questions ---- */

/* Block number to byte offset on the task's unit. */
static inline uint64_t scsi_task_bytes(const struct scsi_task *task, uint64_t blocks)
{
	return blocks << task->lun->block_shift;
}

/* Blocks of the task's unit, as its loop knows it. */
static inline uint64_t scsi_task_capacity(const struct scsi_task *task)
{
	return task->lun->blocks[task->nexus->member->index];
}

/* Whether the task is for the REPORT LUNS well-known logical unit. */
static inline bool scsi_task_well_known(const struct scsi_task *task)
{
	return task->itl == &task->nexus->well_known;
}

/* Whether a mode parameter is set now. */
static inline bool scsi_lun_mode(const struct scsi_lun *lun, enum scsi_mode_bit bit)
{
	return __atomic_load_n(&lun->modes, __ATOMIC_RELAXED) & bit;
}

/* Whether each write is to be durable, for the cache is switched off (SBC-3 6.5.5). */
static inline bool scsi_lun_through(const struct scsi_lun *lun)
{
	return (lun->modes_may & MODE_WCE) && !scsi_lun_mode(lun, MODE_WCE);
}

/* Whether the unit's medium is there. */
static inline bool scsi_lun_loaded(const struct scsi_lun *lun)
{
	return !(__atomic_load_n(&lun->medium, __ATOMIC_RELAXED) & 1);
}

/* What a write that is atomic begins at a multiple of and is a multiple of, and its most blocks
 * (cmd_atomic.c). */
uint32_t scsi_atomic_unit(const struct scsi_lun *lun);
/* The most blocks of one. */
uint32_t scsi_atomic_most(const struct scsi_lun *lun);

/* The pages of VPD data (vpd.c): INQUIRY with EVPD. */
void scsi_vpd_run(struct scsi_task *task);

/* VPD page 8F (cmd_copy_results.c), what follows its header. */
void scsi_copy_vpd(const struct scsi_task *task, struct span_writer *w);

/* ---- the functions of the rows ---- */

/* TEST UNIT READY, SPC-4 6.47. */
void scsi_cmd_test_unit_ready(struct scsi_task *task);
/* REQUEST SENSE, SPC-4 6.39. */
void scsi_cmd_request_sense(struct scsi_task *task);
/* INQUIRY, SPC-4 6.6. */
void scsi_cmd_inquiry(struct scsi_task *task);
/* REPORT LUNS, SPC-4 6.33. */
void scsi_cmd_report_luns(struct scsi_task *task);
/* MODE SENSE(6) and (10), SPC-4 6.13 and 6.14. */
void scsi_cmd_mode_sense(struct scsi_task *task);
/* MODE SELECT(6) and (10), SPC-4 6.11 and 6.12. */
void scsi_cmd_mode_select(struct scsi_task *task);
/* PREVENT ALLOW MEDIUM REMOVAL, SBC-3 5.10. */
void scsi_cmd_prevent_allow(struct scsi_task *task);
/* READ DEFECT DATA(10) and (12), SBC-3 5.17 and 5.18. */
void scsi_cmd_read_defects(struct scsi_task *task);
/* SANITIZE: OVERWRITE, SBC-3 5.24.2.2. */
void scsi_cmd_sanitize_overwrite(struct scsi_task *task);
/* SANITIZE: BLOCK ERASE, SBC-3 5.24.2.3. */
void scsi_cmd_sanitize_erase(struct scsi_task *task);
/* SANITIZE: CRYPTOGRAPHIC ERASE, SBC-3 5.24.2.4. */
void scsi_cmd_sanitize_crypto(struct scsi_task *task);
/* SANITIZE: EXIT FAILURE MODE, SBC-3 5.24.2.5. */
void scsi_cmd_sanitize_exit(struct scsi_task *task);
/* REPORT TARGET PORT GROUPS, SPC-4 6.37. */
void scsi_cmd_report_groups(struct scsi_task *task);
/* SET TARGET PORT GROUPS, SPC-4 6.45. */
void scsi_cmd_set_groups(struct scsi_task *task);
/* LOG SENSE, SPC-4 6.8. */
void scsi_cmd_log_sense(struct scsi_task *task);
/* SEND DIAGNOSTIC, SPC-4 6.42. */
void scsi_cmd_send_diagnostic(struct scsi_task *task);
/* RECEIVE DIAGNOSTIC RESULTS, SPC-4 6.30. */
void scsi_cmd_receive_diagnostic(struct scsi_task *task);
/* READ BUFFER, SPC-4 6.18. */
void scsi_cmd_read_buffer(struct scsi_task *task);
/* WRITE BUFFER, SPC-4 6.49. */
void scsi_cmd_write_buffer(struct scsi_task *task);
/* REPORT TIMESTAMP, SPC-4 6.38. */
void scsi_cmd_report_timestamp(struct scsi_task *task);
/* SET TIMESTAMP, SPC-4 6.46. */
void scsi_cmd_set_timestamp(struct scsi_task *task);
/* REPORT SUPPORTED OPERATION CODES, SPC-4 6.35. */
void scsi_cmd_report_opcodes(struct scsi_task *task);
/* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS, SPC-4 6.36. */
void scsi_cmd_report_functions(struct scsi_task *task);
/* START STOP UNIT, SBC-3 5.25. */
void scsi_cmd_start_stop(struct scsi_task *task);
/* READ CAPACITY(10), SBC-3 5.15. */
void scsi_cmd_read_capacity10(struct scsi_task *task);
/* READ CAPACITY(16), SBC-3 5.16. */
void scsi_cmd_read_capacity16(struct scsi_task *task);
/* GET LBA STATUS(16) and (32), SBC-5 5.6 and 5.7. */
void scsi_cmd_lba_status(struct scsi_task *task);
/* READ(6), (10), (12), (16), SBC-3 5.11 and following. */
void scsi_cmd_read(struct scsi_task *task);
/* WRITE(6), (10), (12), (16), SBC-3 5.35 and following. */
void scsi_cmd_write(struct scsi_task *task);
/* VERIFY(10), (12), (16), SBC-3 5.30 and following. */
void scsi_cmd_verify(struct scsi_task *task);
/* WRITE AND VERIFY(10), (12), (16), SBC-3 5.40 and following. */
void scsi_cmd_write_verify(struct scsi_task *task);
/* COMPARE AND WRITE, SBC-3 5.2. */
void scsi_cmd_compare_write(struct scsi_task *task);
/* ORWRITE(16) and (32), SBC-5 5.10 and 5.11. */
void scsi_cmd_orwrite(struct scsi_task *task);
/* WRITE ATOMIC(16), SBC-4 5.49. */
void scsi_cmd_write_atomic(struct scsi_task *task);
/* PRE-FETCH(10), (16), SBC-3 5.8 and 5.9. */
void scsi_cmd_prefetch(struct scsi_task *task);
/* SYNCHRONIZE CACHE(10), (16), SBC-3 5.26. */
void scsi_cmd_sync_cache(struct scsi_task *task);
/* RESERVE(6) and (10), SPC-2 7.21. */
void scsi_cmd_reserve(struct scsi_task *task);
/* RELEASE(6) and (10), SPC-2 7.17. */
void scsi_cmd_release(struct scsi_task *task);
/* PERSISTENT RESERVE OUT, SPC-4 6.16. */
void scsi_cmd_pr_out(struct scsi_task *task);
/* PERSISTENT RESERVE IN, READ KEYS, SPC-4 6.15.2. */
void scsi_cmd_pr_read_keys(struct scsi_task *task);
/* READ RESERVATION, SPC-4 6.15.3. */
void scsi_cmd_pr_read_reservation(struct scsi_task *task);
/* REPORT CAPABILITIES, SPC-4 6.15.4. */
void scsi_cmd_pr_capabilities(struct scsi_task *task);
/* READ FULL STATUS, SPC-4 6.15.5. */
void scsi_cmd_pr_full_status(struct scsi_task *task);
/* EXTENDED COPY(LID1) and (LID4), SPC-4 6.5 and 6.4. */
void scsi_cmd_copy(struct scsi_task *task);
/* COPY OPERATION ABORT, SPC-4 6.3. */
void scsi_cmd_copy_abort(struct scsi_task *task);
/* RECEIVE COPY STATUS(LID1), SPC-4 6.25. */
void scsi_cmd_copy_status1(struct scsi_task *task);
/* RECEIVE COPY STATUS(LID4), SPC-4 6.24. */
void scsi_cmd_copy_status4(struct scsi_task *task);
/* RECEIVE COPY FAILURE DETAILS(LID1), SPC-4 6.23. */
void scsi_cmd_copy_failure(struct scsi_task *task);
/* RECEIVE COPY OPERATING PARAMETERS, SPC-4 6.22. */
void scsi_cmd_copy_parameters(struct scsi_task *task);
/* UNMAP, SBC-3 5.28. */
void scsi_cmd_unmap(struct scsi_task *task);
/* WRITE SAME(10), (16), SBC-3 5.47 and 5.48. */
void scsi_cmd_write_same(struct scsi_task *task);

#endif
