/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reservation_home.h: the reservation of one volume, for the files reservation*.c alone.
 *
 * What stands here is the home loop's, but for `view`, of which each loop has its own entry, and
 * for what never changes.
 */
#ifndef KURA_TARGET_SCSI_RESERVATION_HOME_H
#define KURA_TARGET_SCSI_RESERVATION_HOME_H

#include "target/scsi/reservation.h"

struct scsi_reservation {
	struct list node; /* in the domain's */
	unsigned users;   /* units of the volume; set-up only */
	struct scsi_domain *domain;
	struct vol *vol;
	struct loop *home;
	struct res_place place;  /* where it is saved */
	uint64_t serial;         /* of what was saved last */
	struct res_state *state; /* the one that counts */
	struct list queue;       /* res_request.node */
	struct res_request *now; /* being worked on, or NULL */
	struct log_limit log_limit;
	struct res_state *view[SCSI_LOOPS_MAX]; /* what each loop knows, by its place */
};

/* Whether the volume is reached through a target. Any thread. */
bool res_target_reaches(const struct scsi_target *target, const struct scsi_reservation *res);

#endif
