/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sanitize.h: the sanitize operation (SBC-3 4.11): it overwrites or erases a whole volume piece by
 * piece on one loop, or destroys its key. It outlives the command and the nexus that asked for it,
 * and keeps everything else off the volume meanwhile.
 */
#ifndef KURA_TARGET_SCSI_SANITIZE_H
#define KURA_TARGET_SCSI_SANITIZE_H

#include "target/scsi/unit.h"

struct scsi_sanitize_plan {
	struct loop_buf *pattern; /* taken: a piece full of whole blocks; NULL: erase */
	bool rekey;               /* neither: the volume's key is destroyed */
	unsigned passes;          /* 1..31 */
	bool invert;              /* each pass has the pattern of the one before inverted */
	bool may_exit;            /* AUSE: a failure can be left behind */
	bool immediate;           /* the command ends when the operation begins */
	uint32_t before;          /* the state that was left for this operation */
};

#define SANITIZE_PIECE (1u << 20) /* bytes of a pattern, and of one write */

/* Begins the operation on the task's unit for all units of the same volume, and ends the task: at
 * once, or when the operation is over. The unit is claimed. On the task's loop. */
void scsi_sanitize_begin(struct scsi_task *task, const struct scsi_sanitize_plan *plan);

/* Takes the volume for an operation; `before` gets the state until now. False: one is running
 * already. Any loop. */
bool scsi_sanitize_claim(struct scsi_lun *lun, uint32_t *before);

/* Leaves a failure behind that AUSE allows to leave, for all units of the volume. False: there is
 * none. Any loop. */
bool scsi_sanitize_exit(struct scsi_lun *lun);

/* What a command is told while sanitize is `state`, not 0 (SBC-3 4.11.2, 4.11.4). */
struct scsi_cause scsi_sanitize_cause(uint32_t state);

#endif
