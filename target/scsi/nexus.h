/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexus.h: I_T nexuses, the loops they live on, and what reaches all of them: unit attentions, task
 * management, resets.
 *
 * A nexus belongs to one loop. The domain knows every loop; scsi_everywhere runs a function on each
 * of them and then one on the asker's, which is how anything that concerns other nexuses is done:
 * without a lock, by posts.
 */
#ifndef KURA_TARGET_SCSI_NEXUS_H
#define KURA_TARGET_SCSI_NEXUS_H

#include "target/scsi/port.h"

struct scsi_domain;
struct scsi_target;
struct scsi_member;
struct scsi_map;
struct scsi_buffer;
struct copy_history;
struct scsi_flow;

#define SCSI_LOOPS_MAX 64
#define SCSI_INITIATOR_MAX                                                                         \
	240 /* iSCSI name (223) and ",i,0x" ISID (RFC 7143 4.2.7, SPC-4 7.6.4.6) */
#define SCSI_NEXUS_MAGIC 0x6e657875u /* "nexu" */

/* ---- the domain: every loop's SCSI side ---- */

/* One per process: `n` loops, borrowed until the domain is freed. Returns owned. Before they run.
 */
struct scsi_domain *scsi_domain_new(struct loop *const *loops, unsigned n);

/* Frees it; the loops are stopped and no nexus is left. Takes it. */
void scsi_domain_free(struct scsi_domain *domain);

struct scsi_everywhere {
	void (*each)(
		struct scsi_everywhere *e, struct loop *loop); /* once on every loop's thread */
	void (*done)(struct scsi_everywhere *e); /* then once on the loop that asked */
	/* For hops in scsi_member.held: whether one on that loop has to wait still. */
	bool (*waits)(struct scsi_everywhere *e, const struct scsi_member *m);
	/* -- the domain's while under way -- */
	struct scsi_domain *domain;
	struct loop *origin;
	unsigned left;
	struct scsi_everywhere_hop {
		struct loop_post post;
		struct scsi_everywhere *e;
		unsigned index;
		bool held;         /* scsi_everywhere_hold was called */
		struct list node;  /* the holder's, in scsi_member.held */
		uint64_t since_ns; /* the holder's: since when */
	} hop[SCSI_LOOPS_MAX];
};

/* Runs e->each on every loop, on the calling one at once, then e->done on this one, later. Keeps
 * `e` until done. */
void scsi_everywhere(struct scsi_domain *domain, struct scsi_everywhere *e);

/* The same when the caller knows that it is on `loop`; `only_here`: on no other loop. */
void scsi_everywhere_from(
	struct scsi_domain *domain, struct loop *loop, struct scsi_everywhere *e, bool only_here);

/* Inside e->each: this loop is not ready yet. The hop, borrowed; its node is the caller's until
 * scsi_everywhere_ready is called with it on the same loop. */
struct scsi_everywhere_hop *scsi_everywhere_hold(struct scsi_everywhere *e, struct loop *loop);

/* Now it is. Takes the hop back. */
void scsi_everywhere_ready(struct scsi_everywhere_hop *hop);

/* ---- the nexus ---- */

/* The state of one I_T_L nexus. */
#define SCSI_UA_MAX 8
struct scsi_itl {
	struct scsi_lun *lun;     /* whose state this is, borrowed from the map; NULL: free */
	uint16_t ua[SCSI_UA_MAX]; /* queued unit attentions, ASC << 8 | ASCQ, oldest first
				     (SAM-5 5.14) */
	uint8_t ua_count;
	uint8_t needs;          /* what a command must pass here, enum scsi_command_passes */
	uint32_t medium_seen;   /* loads of a removable medium that this nexus knows of */
	bool prevents;          /* keeps the medium in (SBC-3 4.15) */
	bool readonly;          /* write protected, SBC-3 4.13 */
	bool gone;              /* the LUN is no more: what comes from here on fails */
	bool haunted;           /* the volume has writes of an old session: ghost.h */
	struct scsi_flow *flow; /* what is counted of it; owned */
	/* -- the task set (order.c): commands that are not given back yet -- */
	unsigned tasks;            /* all of them */
	unsigned barriers, heads;  /* of them ORDERED or HEAD OF QUEUE; HEAD OF QUEUE */
	unsigned dormant_count;    /* of them not begun, in `dormant` */
	struct scsi_task *ordered; /* the ORDERED one that has begun, or NULL */
	struct list dormant;       /* scsi_task.wait, oldest first */
};

struct scsi_nexus {
	uint32_t magic; /* SCSI_NEXUS_MAGIC */
	struct scsi_domain *domain;
	struct loop *loop;
	struct scsi_target *target; /* the target port; borrowed */
	const struct scsi_port_ops *ops;
	char initiator[SCSI_INITIATOR_MAX]; /* initiator port name: "iqn...,i,0x00023d000001" */
	struct list node;                   /* in the loop's list of nexuses */
	struct list tasks;                  /* scsi_task.node: submitted, not done */
	unsigned task_count;
	const struct scsi_map *map; /* the LUN map that itl[] was made for, borrowed */
	struct scsi_itl *itl;       /* one per LUN of the map, same order */
	unsigned itl_count;
	struct copy_history *copies;               /* copies that are over, or NULL */
	struct scsi_itl well_known;                /* REPORT LUNS well-known LUN, SPC-4 8.2 */
	void (*drained)(struct scsi_nexus *nexus); /* after scsi_nexus_close: no task is left */
	/* Set before scsi_nexus_close, or NULL: volumes keep requests, and nothing else is left. */
	void (*parted)(struct scsi_nexus *nexus);
	bool closing;
	bool parting;               /* on the way to `parted` */
	bool ghosts;                /* what is left is taken down, see ghost.h */
	struct loop_timer patience; /* with what is left, before `parted` */
	struct loop_post gone;      /* brings `drained` */
	uint64_t unknown[4];        /* opcodes that we do not know and have told the log about */
	struct scsi_buffer *buffer; /* of WRITE BUFFER, or NULL; owned */
	struct scsi_member *member; /* this loop's place in the domain */
};

/*
 * Establishes a nexus on the calling loop. `ops` and `target` are borrowed until it is closed.
 * Every LUN gets the unit attention 29/00, POWER ON, RESET, OR BUS DEVICE RESET OCCURRED
 * (SAM-5 5.14).
 */
void scsi_nexus_open(struct scsi_nexus *nexus, struct scsi_domain *domain, struct loop *loop,
	struct scsi_target *target, const char *initiator, const struct scsi_port_ops *ops);

/*
 * I_T nexus loss (SAM-5 6.3.4): aborts every task and calls `drained` when none is left, never
 * inside. Until then done() comes for each task with `aborted` set. Memory stays the caller's.
 *
 * What a volume does not give back within SCSI_NEXUS_PATIENCE_MS does not keep the initiator port:
 * nexus->parted comes, once and never inside, and the port may have another nexus. Its host gets
 * NOT READY from volumes that have writes of the old one, until they are over; `drained` comes
 * then.
 */
void scsi_nexus_close(struct scsi_nexus *nexus, void (*drained)(struct scsi_nexus *nexus));

/* How long the initiator port waits for what a volume has and does not give back. */
#define SCSI_NEXUS_PATIENCE_MS 1000u

/* ---- task management (SAM-5 7) ---- */

enum scsi_tmf_function {
	SCSI_TMF_ABORT_TASK,
	SCSI_TMF_ABORT_TASK_SET,
	SCSI_TMF_CLEAR_TASK_SET,
	SCSI_TMF_LUN_RESET,
	SCSI_TMF_TARGET_RESET,
	SCSI_TMF_QUERY_TASK,
	SCSI_TMF_QUERY_TASK_SET,
	SCSI_TMF_QUERY_ASYNC_EVENT,
	SCSI_TMF_ABORT_CHOSEN, /* the port's own doing: those tasks of the nexus that it names */
};

enum scsi_tmf_result {
	SCSI_TMF_COMPLETE,      /* FUNCTION COMPLETE */
	SCSI_TMF_SUCCEEDED,     /* FUNCTION SUCCEEDED: a query that found something */
	SCSI_TMF_REJECTED,      /* FUNCTION REJECTED */
	SCSI_TMF_INCORRECT_LUN, /* INCORRECT LOGICAL UNIT NUMBER */
	SCSI_TMF_NO_TASK,       /* ABORT TASK: no such task (RFC 7143 11.6.1 tells them apart) */
};

struct scsi_tmf {
	enum scsi_tmf_function function;
	struct scsi_nexus *nexus; /* who asks */
	uint8_t lun_field[8];     /* SAM-5 4.7; not for TARGET_RESET */
	uint64_t tag;             /* ABORT_TASK, QUERY_TASK: which */
	struct scsi_task *keep;   /* not to be aborted, or NULL */
	/* ABORT_CHOSEN: whether it is one; asked of the port's own tasks of this nexus. Each unit
	 * that loses one gets the unit attention 47/7F (RFC 7143 7.6). */
	bool (*chosen)(const struct scsi_tmf *tmf, const struct scsi_task *task);
	enum scsi_tmf_result result; /* at done */
	void (*done)(
		struct scsi_tmf *tmf); /* when every task concerned is gone; on the nexus's loop */
	/* -- the SCSI room's while under way -- */
	struct scsi_lun *lun;
	const struct scsi_map *map; /* TARGET_RESET: the LUNs concerned; a share */
	bool keeps;                 /* the units concerned, until it is over */
	unsigned reset;             /* units whose reservations have been looked at */
	bool gave_up;               /* a volume has kept a task for too long; atomic */
	struct scsi_everywhere everywhere;
};

/* How long a function waits for what a volume has and does not give back. */
#define SCSI_TMF_PATIENCE_MS 10000u

/*
 * Carries out a task management function: marks the tasks, waits until none of them can touch the
 * volume any more, raises the unit attentions that SAM-5 5.14 wants on the other nexuses, and calls
 * done, never inside. When the volume keeps one of them for SCSI_TMF_PATIENCE_MS, the result is
 * REJECTED: the task may change the volume still, but no status comes of it; ABORT_CHOSEN waits on.
 * Keeps `tmf` until done. On the nexus's loop.
 */
void scsi_tmf_submit(struct scsi_tmf *tmf);

/* Queues the unit attention ASC << 8 | ASCQ for one I_T_L nexus; a duplicate is queued once. On the
 * nexus's loop. */
void scsi_nexus_attention(struct scsi_nexus *nexus, struct scsi_lun *lun, uint16_t code);

#endif
