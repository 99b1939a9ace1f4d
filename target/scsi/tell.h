/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tell.h: a command that changed something tells the other nexuses of its unit by a unit attention,
 * on whatever loop they are, before it goes on.
 */
#ifndef KURA_TARGET_SCSI_TELL_H
#define KURA_TARGET_SCSI_TELL_H

#include "target/scsi/unit.h"

/* Queues the unit attention ASC << 8 | ASCQ for every nexus of the task's unit but its own, then
 * calls next, never inside; no memory: the task ends as busy. An abort ends it instead. */
void scsi_tell_others(struct scsi_task *task, uint16_t code, void (*next)(struct scsi_task *task));

/* The same for the units and nexuses alone that `concerns` says are meant; it is asked on their
 * loop and looks at nothing that changes. */
void scsi_tell_those(struct scsi_task *task, uint16_t code,
	bool (*concerns)(const struct scsi_task *task, const struct scsi_nexus *nexus,
		const struct scsi_lun *lun),
	void (*next)(struct scsi_task *task));

#endif
