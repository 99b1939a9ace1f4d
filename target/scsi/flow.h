/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h: what each I_T_L nexus has asked for and got: commands, bytes, latencies, errors by sense
 * key. Sessions, initiators, LUNs and loops are sums of these.
 *
 * A flow is written by the nexus's loop alone, by plain stores, and read by any thread. What a
 * session leaves behind is kept by initiator, target and LUN, so that sums do not shrink when it
 * ends. Latencies are those of one command in FLOW_STRIDE, from its arrival to its result.
 */
#ifndef KURA_TARGET_SCSI_FLOW_H
#define KURA_TARGET_SCSI_FLOW_H

#include "target/scsi/nexus.h"

#include "common/hist.h"

#define FLOW_STRIDE    17u     /* a prime, so that no pattern of commands hides from it */
#define FLOW_LEFT_MOST 4096u   /* flows of sessions that are over; then the oldest is forgotten */
#define FLOW_NAME_MAX  224u    /* an iSCSI name and its end */
#define FLOW_NO_LUN    0xffffu /* the well-known LUN: in sums of sessions, of no LUN */

/* What moves data by the length of its CDB, and whatever else there is. */
enum flow_kind { FLOW_READ, FLOW_WRITE, FLOW_OTHER };
#define FLOW_KINDS (FLOW_OTHER + 1)

struct flow_counts {
	uint64_t begun;             /* commands that came */
	uint64_t done[FLOW_KINDS];  /* of them over */
	uint64_t bytes[FLOW_KINDS]; /* moved by those that ended well */
	uint64_t aborted;           /* of those over: by task management or the session's end */
	uint64_t conflicts;         /* of those over: RESERVATION CONFLICT */
	uint64_t busy;              /* of those over: BUSY or TASK SET FULL */
	uint64_t sense[16];         /* of those over: CHECK CONDITION, by sense key */
	struct hist latency[2];     /* of some: FLOW_READ, FLOW_WRITE */
};
#define FLOW_COUNTS_WORDS (sizeof(struct flow_counts) / sizeof(uint64_t))

struct scsi_flow {
	struct flow_counts counts;
	unsigned until;           /* commands until the next one that is timed */
	uint16_t number;          /* LUN, or FLOW_NO_LUN */
	struct scsi_nexus *nexus; /* whose */
	struct scsi_flows *all;
	struct list node; /* in all->live, or what is left */
	char volume[VOL_NAME_MAX + 1];
};

/* A flow that begins with an I_T_L nexus; `lun` NULL: the well-known one. Returns owned. */
struct scsi_flow *scsi_flow_new(
	struct scsi_nexus *nexus, uint16_t number, const struct scsi_lun *lun);

/* The I_T_L nexus is over; what it has counted is kept. Takes it; NULL is fine. On its loop. */
void scsi_flow_free(struct scsi_flow *flow);

/* A command that was timed is over. */
void scsi_flow_timed(struct scsi_task *task, enum flow_kind kind);

/* A command ended with something else than GOOD. */
void scsi_flow_failed(const struct scsi_task *task);

/* The domain's part of it. */
struct scsi_flows *scsi_flows_new(void);

/* No nexus is left. Takes it. */
void scsi_flows_free(struct scsi_flows *all);

/* ---- who looks ---- */

/* A flow as it is now. */
struct flow_seen {
	char initiator[SCSI_INITIATOR_MAX]; /* live: port name; else the iSCSI name */
	char target[FLOW_NAME_MAX];         /* its iSCSI name */
	char volume[VOL_NAME_MAX + 1];
	uint16_t number;  /* LUN, or FLOW_NO_LUN */
	uint16_t tpgt;    /* live: of the portal group */
	unsigned loop;    /* live: its place in the domain */
	uint64_t session; /* the same for all flows of a session; 0: what is left by some */
	struct flow_counts counts;
};

/* All of them. Returns owned, *n of them; NULL: no memory. Any thread. */
struct flow_seen *scsi_flows_see(struct scsi_domain *domain, unsigned *n);

/* Adds the latencies of all commands of a loop to latency[2], by its place in the domain. */
void scsi_flows_loop(struct scsi_domain *domain, unsigned index, struct hist *latency);

#endif
