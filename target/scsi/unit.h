/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h: what the SCSI room alone sees of logical units, targets, LUN maps and the domain.
 *
 * A unit's fields are fixed before it is mapped, but for what is marked atomic. A map is never
 * changed once a nexus has seen it.
 */
#ifndef KURA_TARGET_SCSI_UNIT_H
#define KURA_TARGET_SCSI_UNIT_H

#include "target/scsi/lun.h"

#include "common/hist.h"
#include "common/log.h"

#include <pthread.h>

/* What MODE SELECT can change, one bit each. */
enum scsi_mode_bit {
	MODE_WCE = 1u << 0,     /* caching page: the cache may hold what was written, SBC-3 6.5.5 */
	MODE_D_SENSE = 1u << 1, /* control page: sense data in descriptor format, SPC-4 7.5.8 */
	MODE_SWP = 1u << 2,     /* control page: software write protect */
};

/* struct scsi_lun.sanitize; the low 16 bits are the progress. */
enum scsi_sanitize_state {
	SANITIZE_RUNNING = 1u << 31,
	SANITIZE_FAILED = 1u << 30,   /* nothing but another sanitize gets on, SBC-3 4.11.4 */
	SANITIZE_MAY_EXIT = 1u << 29, /* AUSE was set: the failure may be left behind */
};

struct scsi_reservation;
struct scsi_fences;
struct scsi_flows;

/* What ORWRITE commands agree on, SBC-5 4.27.2. Changed under a fence of the whole unit, or by a
 * hard reset; atomic. */
struct scsi_orwrite {
	uint32_t current, previous; /* ORWgeneration codes */
	uint32_t policy;            /* ORWRITE processing policy */
};

#define SCSI_SELF_TESTS 20 /* entries of the log, SPC-4 7.3.12 */

struct scsi_lun {
	struct scsi_domain *domain;
	struct vol *vol;
	struct scsi_reservation *res;    /* a share of the volume's */
	struct vol_info info;            /* as it was when the unit was made */
	uint64_t blocks[SCSI_LOOPS_MAX]; /* capacity, as each loop knows it */
	uint32_t block_size;             /* bytes */
	uint8_t block_shift;             /* log2 of it */
	uint32_t cap_blocks;             /* MAXIMUM TRANSFER LENGTH, SBC-3 6.6.4 */
	bool removable;                  /* the medium can be ejected */
	bool thin;                       /* LBPME: UNMAP is offered */
	uint32_t medium;                 /* times it was loaded << 1 | it is ejected; atomic */
	char vendor[8];                  /* padded with spaces, SPC-4 4.4.1 */
	char product[16];
	char revision[4];
	char serial[65];
	uint8_t naa[16];
	uint8_t naa_len;                       /* 8 or 16 */
	struct vol_chan *chan[SCSI_LOOPS_MAX]; /* by place of the loop in the domain */
	struct list node;                      /* in the domain's units */
	uint32_t modes;                        /* enum scsi_mode_bit in force; atomic */
	uint32_t modes_saved;                  /* what a reset goes back to; atomic */
	uint32_t modes_default;                /* what the unit is made with */
	uint32_t modes_may;                    /* those that MODE SELECT can change */
	uint32_t preventers;                   /* I_T nexuses that keep the medium in; atomic */
	uint64_t short_told_ns;                /* when it was told that space is short; atomic */
	uint32_t sanitize;                     /* enum scsi_sanitize_state and progress; atomic */
	struct scsi_sanitize *job;       /* the operation under way; the loop's that runs it */
	bool stopping;                   /* it has to end; atomic */
	char *record;                    /* path of what outlives a restart, or NULL */
	bool sanitize_recorded;          /* the record says so; slow lane */
	pthread_mutex_t record_lock;     /* of the record; slow lane only */
	uint64_t clock;                  /* ms ahead of the monotonic one, 0: never set; atomic */
	uint32_t test_count;             /* self-tests so far; atomic */
	uint32_t tests[SCSI_SELF_TESTS]; /* the latest, see cmd_diag.c; atomic */
	struct scsi_fences *fences;      /* a share of the volume's */
	struct scsi_orwrite orwrite;     /* generation codes */
	unsigned users;                  /* see scsi_lun_get; atomic */
};

/* The serial number's longest form. */
#define SCSI_SERIAL_MAX 64

struct scsi_map_entry {
	uint16_t number; /* LUN */
	bool readonly;   /* nobody writes by this way */
	struct scsi_lun *lun;
};

struct scsi_map {
	unsigned refs; /* atomic */
	unsigned count;
	uint16_t slot[256];                         /* place + 1 of the LUNs below 256, 0: none */
	struct scsi_map_entry entry[SCSI_LUNS_MAX]; /* by number */
};

struct scsi_target {
	struct scsi_domain *domain;
	char *iqn;
	char *port_name; /* "iqn...,t,0x0001", RFC 7143 4.2.7.1 by SPC-4 7.6.4 */
	uint16_t tpgt;
	uint16_t rel_port;    /* relative target port identifier */
	struct scsi_map *map; /* published: atomic */
	struct list node;     /* in the domain's targets */
	unsigned users;       /* see scsi_target_get; atomic */
	uint32_t alua;        /* enum scsi_alua_state, and << 8 enum scsi_alua_cause; atomic */
};

/* One loop's SCSI side. */
struct scsi_member {
	struct scsi_domain *domain;
	struct loop *loop;
	unsigned index;
	unsigned inside;            /* depth of calls from ports: nothing may be given back now */
	struct list nexuses;        /* scsi_nexus.node */
	struct list finished;       /* scsi_task.finished: for the end of the turn */
	struct loop_hook flush;     /* gives them back */
	struct list held;           /* scsi_everywhere_hop.node: task management that waits */
	struct loop_timer patience; /* for the first of them that gives up */
	struct list fences;         /* scsi_fence.all: made for this loop's tasks */
	struct list spare;          /* scsi_fence.node: of them, not in use */
	struct log_limit log_limit;
	struct hist latency[2]; /* of some reads and writes on this loop: flow.h */
};

struct scsi_domain {
	unsigned count;
	bool changing;            /* a change is under way (live.c); atomic */
	pthread_mutex_t lock;     /* of the four lists; see scsi_domain_lock */
	struct list luns;         /* scsi_lun.node */
	struct list targets;      /* scsi_target.node */
	struct list reservations; /* scsi_reservation.node, one per volume */
	struct scsi_flows *flows; /* what is counted of I_T_L nexuses */
	struct list ghosts;       /* scsi_ghost.node: what is left of nexuses that are over */
	struct scsi_member member[SCSI_LOOPS_MAX];
};

/* This loop's place in the domain, borrowed; the loop belongs to it. */
struct scsi_member *scsi_member_of(struct scsi_domain *domain, const struct loop *loop);

/*
 * Whoever walks a list of the domain locks it: never in the data path. A target that was found in
 * its list can be used until the end of the turn, and by visits of other loops that begin in it;
 * units belong to those who have a task or a map of theirs.
 */
void scsi_domain_lock(const struct scsi_domain *domain);

/* The opposite. */
void scsi_domain_unlock(const struct scsi_domain *domain);

/* Starts a member's lists and hook (task.c). */
void scsi_member_init(struct scsi_member *m, struct scsi_domain *domain, struct loop *loop);

/*
 * The I_T_L state that a LUN field of SAM-5 4.7 leads to: a unit's, the well-known LUN's, or NULL
 * when there is none. `number` gets the LUN where it is a unit's.
 */
struct scsi_itl *scsi_nexus_find(struct scsi_nexus *nexus, const uint8_t lun_field[8]);

/* Adds to a map that nobody else sees yet: 0, -EEXIST, -EINVAL (number), -ENOSPC. */
int scsi_map_add(struct scsi_map *map, uint16_t number, struct scsi_lun *lun, bool readonly);

/* Removes from one: 0 or -ENOENT. */
int scsi_map_remove(struct scsi_map *map, uint16_t number);

/* Where LUN `number` stands in the map, or -1. */
int scsi_map_place(const struct scsi_map *map, uint16_t number);

/* The map as it was published last, borrowed for this turn of a loop. */
static inline const struct scsi_map *scsi_map_of(const struct scsi_target *target)
{
	return __atomic_load_n(&target->map, __ATOMIC_ACQUIRE);
}

/* One more who keeps a map over turns. */
void scsi_map_get(const struct scsi_map *map);

/* One less; the last one frees it. */
void scsi_map_put(const struct scsi_map *map);

/* Whether the unit is in the map. */
bool scsi_map_has(const struct scsi_map *map, const struct scsi_lun *lun);

/* One more who needs the unit although no task of his is there, as a reset does that waits for
 * those of other units. On a loop, and the unit is mapped, or has a channel there. */
void scsi_lun_get(struct scsi_lun *lun);

/* One less. Any thread. */
void scsi_lun_put(struct scsi_lun *lun);

/* Queues the unit attention of a removable medium that another initiator has loaded meanwhile. */
void scsi_itl_look(struct scsi_itl *itl);

/* The nexus prevents medium removal no longer. On its loop. */
void scsi_itl_allow(struct scsi_itl *itl);

/* A reset of the unit: mode parameters are as they were saved (SAM-5 6.3.3). Any thread. */
void scsi_lun_reset(struct scsi_lun *lun);

/* Power on or a hard reset: ORWRITE begins again (cmd_orwrite.c). Any thread. */
void scsi_orwrite_reset(struct scsi_lun *lun);

/* Queues a unit attention for one I_T_L nexus. On its loop. */
void scsi_itl_attention(struct scsi_itl *itl, uint16_t code);

/* Takes that one out wherever it is queued. */
void scsi_nexus_forget(struct scsi_nexus *nexus, uint16_t code);

/* The state of an I_T_L nexus that begins: POWER ON is to be told. */
void scsi_itl_init(
	struct scsi_nexus *nexus, struct scsi_itl *itl, const struct scsi_map_entry *entry);

/* Whether nobody writes by this entry: by what it says, or because the volume takes no writes. */
bool scsi_entry_readonly(const struct scsi_map_entry *entry);

/* Takes the oldest unit attention out; 0: none. */
uint16_t scsi_itl_take(struct scsi_itl *itl);

/* A task of this nexus was given back: wakes who waits for that. */
void scsi_nexus_task_gone(struct scsi_nexus *nexus);

/* Looks again at the task management functions that wait on this loop. */
void scsi_tmf_recheck(struct scsi_member *m);

/* scsi_member.patience: those who have waited for too long give up. */
void scsi_tmf_overdue(struct loop_timer *timer);

#endif
