/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survey.h: what is counted, put together for whoever shows it: volumes, and the flows of
 * I_T_L nexuses summed by LUN, by initiator and by session.
 *
 * A survey is a copy: it takes no loop's time, and what is counted meanwhile may be missing.
 */
#ifndef KURA_TARGET_SURVEY_H
#define KURA_TARGET_SURVEY_H

#include "target/scsi/flow.h"
#include "volume/counts.h"

enum survey_by { SURVEY_LUN, SURVEY_INITIATOR, SURVEY_SESSION };
#define SURVEY_WAYS (SURVEY_SESSION + 1)

/* What is not the same for all that is summed is empty. */
struct survey_sum {
	char initiator[FLOW_NAME_MAX]; /* iSCSI name; not of LUNs */
	char isid[SCSI_INITIATOR_MAX]; /* "0x...": of sessions */
	char target[FLOW_NAME_MAX];    /* iSCSI name; not of initiators */
	char volume[VOL_NAME_MAX + 1]; /* of LUNs */
	uint16_t number, tpgt;         /* LUN; portal group of sessions */
	unsigned loop;                 /* of sessions */
	unsigned sessions;             /* that are there */
	struct flow_counts counts;
};

struct survey {
	struct vol_seen *vols; /* by name */
	unsigned vol_count;
	struct survey_sum *sums[SURVEY_WAYS]; /* by name */
	unsigned counts[SURVEY_WAYS];
};

/* Looks at everything that the process has open and at the nexuses of `domain`. 0 or -ENOMEM; fini
 * in both cases. Any thread that may wait for a lock. */
int survey_make(struct survey *s, struct scsi_domain *domain);

/* Frees what it has. */
void survey_fini(struct survey *s);

/* Commands that are under way. */
uint64_t survey_inflight(const struct flow_counts *c);

/* Commands that ended with something else than what they were for. */
uint64_t survey_errors(const struct flow_counts *c);

/* The name of a sense key in a metric's label or a JSON member: "medium_error"; static. */
const char *survey_sense_name(unsigned key);

#endif
