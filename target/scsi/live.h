/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h: what changes while the loops run: which units a target maps, how big a unit is, that
 * space is short. Each change visits every loop and tells every nexus by a unit attention.
 *
 * One change of maps or sizes at a time in a domain: the others are answered -EBUSY. A change is
 * asked for on a loop of the domain; its done() comes there, never inside, when no loop works by
 * what was before.
 */
#ifndef KURA_TARGET_SCSI_LIVE_H
#define KURA_TARGET_SCSI_LIVE_H

#include "target/scsi/lun.h"

struct scsi_change {
	void (*done)(struct scsi_change *change); /* on the loop that asked */
	/* -- the SCSI room's while under way -- */
	struct scsi_domain *domain;
	struct scsi_target *target;
	struct scsi_lun *lun;
	const struct scsi_map *old, *map; /* before and after */
	int changed;                      /* a LUN whose entry changes and stays; or -1 */
	uint64_t blocks;                  /* the new capacity */
	unsigned rounds;                  /* visits of every loop to come */
	bool left;                        /* who had reserved the unit has it no more; atomic */
	struct list gone[SCSI_LOOPS_MAX]; /* by loop: I_T_L nexuses that end with their last task */
	struct scsi_everywhere everywhere;
};

/*
 * Maps a unit, whose channels are open on every loop, as LUN `number`. Nexuses of the target see it
 * with the unit attention of a new I_T_L nexus, and REPORTED LUNS DATA HAS CHANGED at their other
 * LUNs. 0, or -EBUSY, -EEXIST, -EINVAL (number), -ENOSPC, and done() does not come. Keeps `change`
 * until done; borrows `lun` until it is removed.
 */
int scsi_target_add(struct scsi_change *change, struct scsi_target *target, uint16_t number,
	struct scsi_lun *lun, bool readonly);

/*
 * Lets nobody write by LUN `number` any more, or lets it be written again; its nexuses are told by
 * MODE PARAMETERS CHANGED. Writes that were let pass before run to their end. 0, or -EBUSY,
 * -ENOENT, -EALREADY. Keeps `change` until done.
 */
int scsi_target_protect(
	struct scsi_change *change, struct scsi_target *target, uint16_t number, bool readonly);

/*
 * Takes LUN `number` away: new commands do not find it any more, those that were there before run
 * to their end, but one that waits for data-out, or comes to want some, is told that the LUN is no
 * more (ILLEGAL REQUEST, 25/00). Then done() comes: nothing refers to the unit by this target any
 * more. 0, or -EBUSY, -ENOENT. Keeps `change` until done.
 */
int scsi_target_remove(struct scsi_change *change, struct scsi_target *target, uint16_t number);

/*
 * The unit has `size` bytes: every loop holds commands to that, and every nexus gets CAPACITY DATA
 * HAS CHANGED. To grow, call it when the volume has grown; to shrink, before: at done() no command
 * that was let pass before reaches behind the new end. 0, or -EBUSY, -EINVAL (no whole blocks, or
 * none). Keeps `change` until done.
 */
int scsi_lun_resized(struct scsi_change *change, struct scsi_lun *lun, uint64_t size);

/* Space below the unit is short: if it is thin, every nexus gets THIN PROVISIONING SOFT THRESHOLD
 * REACHED: each time that a mark was `crossed`; when a write found no space, once a minute at most.
 * On `loop`. */
void scsi_lun_short(struct scsi_lun *lun, struct loop *loop, bool crossed);

#endif
