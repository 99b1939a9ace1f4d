/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit.h: what the SCSI room alone sees of logical units, targets, LUN maps and the domain.
 *
 * A unit's fields are fixed before the loops run, but for what is marked atomic. A map is never
 * changed once a nexus has seen it.
 */
#ifndef KURA_TARGET_SCSI_UNIT_H
#define KURA_TARGET_SCSI_UNIT_H

#include "target/scsi/lun.h"

#include "common/log.h"

struct scsi_lun {
	struct scsi_domain *domain;
	struct vol *vol;
	struct vol_info info; /* as it was when the unit was made */
	uint64_t blocks;      /* capacity */
	uint32_t block_size;  /* bytes */
	uint8_t block_shift;  /* log2 of it */
	uint32_t cap_blocks;  /* MAXIMUM TRANSFER LENGTH, SBC-3 6.6.4 */
	bool readonly;        /* write protected */
	bool removable;       /* the medium can be ejected */
	bool thin;            /* LBPME: UNMAP is offered */
	uint32_t medium;      /* times it was loaded << 1 | it is ejected; atomic */
	char vendor[8];       /* padded with spaces, SPC-4 4.4.1 */
	char product[16];
	char revision[4];
	char serial[65];
	uint8_t naa[16];
	uint8_t naa_len;                       /* 8 or 16 */
	struct vol_chan *chan[SCSI_LOOPS_MAX]; /* by place of the loop in the domain */
};

/* The serial number's longest form. */
#define SCSI_SERIAL_MAX 64

struct scsi_map_entry {
	uint16_t number; /* LUN */
	struct scsi_lun *lun;
};

struct scsi_map {
	unsigned count;
	uint16_t slot[256];                         /* place + 1 of the LUNs below 256, 0: none */
	struct scsi_map_entry entry[SCSI_LUNS_MAX]; /* by number */
};

struct scsi_target {
	struct scsi_domain *domain;
	char *iqn;
	char *port_name; /* "iqn...,t,0x0001", RFC 7143 4.2.7.1 by SPC-4 7.6.4 */
	uint16_t tpgt;
	uint16_t rel_port; /* relative target port identifier */
	struct scsi_map *map;
};

/* One loop's SCSI side. */
struct scsi_member {
	struct scsi_domain *domain;
	struct loop *loop;
	unsigned index;
	unsigned inside;        /* depth of calls from ports: nothing may be given back now */
	struct list nexuses;    /* scsi_nexus.node */
	struct list finished;   /* scsi_task.finished: for the end of the turn */
	struct loop_hook flush; /* gives them back */
	struct list held;       /* scsi_everywhere_hop.node: task management that waits */
	struct log_limit log_limit;
};

struct scsi_domain {
	unsigned count;
	struct scsi_member member[SCSI_LOOPS_MAX];
};

/* This loop's place in the domain, borrowed; the loop belongs to it. */
struct scsi_member *scsi_member_of(struct scsi_domain *domain, const struct loop *loop);

/* Starts a member's lists and hook (task.c). */
void scsi_member_init(struct scsi_member *m, struct scsi_domain *domain, struct loop *loop);

/*
 * The I_T_L state that a LUN field of SAM-5 4.7 leads to: a unit's, the well-known LUN's, or NULL
 * when there is none. `number` gets the LUN where it is a unit's.
 */
struct scsi_itl *scsi_nexus_find(struct scsi_nexus *nexus, const uint8_t lun_field[8]);

/* Where LUN `number` stands in the map, or -1. */
int scsi_map_place(const struct scsi_map *map, uint16_t number);

/* Whether the unit is in the map. */
bool scsi_map_has(const struct scsi_map *map, const struct scsi_lun *lun);

/* Queues the unit attention of a removable medium that another initiator has loaded meanwhile. */
void scsi_itl_look(struct scsi_itl *itl);

/* Takes the oldest unit attention out; 0: none. */
uint16_t scsi_itl_take(struct scsi_itl *itl);

/* A task of this nexus was given back: wakes who waits for that. */
void scsi_nexus_task_gone(struct scsi_nexus *nexus);

/* Looks again at the task management functions that wait on this loop. */
void scsi_tmf_recheck(struct scsi_member *m);

#endif
