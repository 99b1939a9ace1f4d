/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alua.h: asymmetric logical unit access (SPC-4 5.15): the state of a target port, which every
 * command passes, and how it changes: explicitly by SET TARGET PORT GROUPS, implicitly by whoever
 * runs the server.
 */
#ifndef KURA_TARGET_SCSI_ALUA_H
#define KURA_TARGET_SCSI_ALUA_H

#include "target/scsi/sense.h"
#include "target/scsi/unit.h"

/* ASYMMETRIC ACCESS STATE, SPC-4 6.37. */
enum scsi_alua_state {
	ALUA_OPTIMIZED = 0x0,
	ALUA_NON_OPTIMIZED = 0x1,
	ALUA_STANDBY = 0x2,
	ALUA_UNAVAILABLE = 0x3,
	ALUA_TRANSITIONING = 0xf,
};

/* STATUS CODE, SPC-4 6.37. */
enum scsi_alua_cause {
	ALUA_NEVER = 0x00,
	ALUA_EXPLICIT = 0x01,
	ALUA_IMPLICIT = 0x02,
};

struct scsi_alua {
	struct scsi_target *target;
	enum scsi_alua_state state;
	void (*done)(struct scsi_alua *a); /* when every nexus is told; on the asker's loop */
	/* -- the SCSI room's while under way -- */
	struct scsi_everywhere everywhere;
};

/* Changes the state implicitly and tells every nexus. Keeps `a` until done, never inside. On a loop
 * of the domain. */
void scsi_alua_submit(struct scsi_alua *a);

/* The state now. Any thread. */
uint32_t scsi_alua_state(const struct scsi_target *target);

/* Sets it without telling anybody; whether it was another one before. Any thread. */
bool scsi_alua_change(struct scsi_target *target, uint32_t state, enum scsi_alua_cause cause);

/* Whether the command may pass in the state of its target port; else `why` says what it is told. */
bool scsi_alua_admits(const struct scsi_task *task, enum scsi_sense *why);

#endif
