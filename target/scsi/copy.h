/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h: third-party copies (SPC-4 5.17): what EXTENDED COPY made of its parameter list, how far
 * it is, and what is remembered of it when it is over.
 *
 * A copy lives in its task's work buffer. It moves its data piece by piece, by commands of its own
 * that it gives to the nexus of its task as if they were the initiator's: so whatever stands
 * against a read or a write there (the LUN map, a reservation, write protection, a range that is
 * fenced, a sanitize operation) stands against the copy, and is told as the third party's status
 * and sense.
 */
#ifndef KURA_TARGET_SCSI_COPY_H
#define KURA_TARGET_SCSI_COPY_H

#include "target/scsi/command.h"

/* What RECEIVE COPY OPERATING PARAMETERS and VPD page 8F tell. */
#define COPY_UNITS_MAX      16u                     /* CSCD descriptors */
#define COPY_SEGMENTS_MAX   64u                     /* segment descriptors */
#define COPY_UNIT_LEN       32u                     /* bytes of a CSCD descriptor */
#define COPY_SEGMENT_LEN    28u                     /* bytes of the segment descriptor */
#define COPY_LIST_MAX       (16u * 32u + 64u * 28u) /* MAXIMUM DESCRIPTOR LIST LENGTH */
#define COPY_SEGMENT_MAX    (0xffffu * 4096u)       /* MAXIMUM SEGMENT LENGTH, bytes */
#define COPY_CONCURRENT_MAX 64u                     /* TOTAL CONCURRENT COPIES */
#define COPY_PAST_MAX       16u                     /* copies remembered, per nexus */
#define COPY_PIECE          (1u << 20)              /* bytes moved at once */

enum {
	COPY_FROM_BLOCK_TO_BLOCK = 0x02, /* SPC-4 6.4.6.3: segment descriptor type */
	COPY_IDENTIFICATION = 0xe4,      /* SPC-4 6.4.5.3: CSCD descriptor type */
	COPY_THIS_UNIT = 0xffff,         /* SPC-4 6.4.6.1: CSCD ID of the unit itself */
};

/* A copy source or copy destination (CSCD). */
struct copy_unit {
	uint16_t number;      /* LUN in the nexus's map */
	struct scsi_lun *lun; /* compared with the map before it is followed; NULL: unreachable */
	uint32_t block_size;  /* as the descriptor says; 0: it does not */
	bool null;            /* the NUL bit */
	bool wrong_type;      /* it is told to be no disk */
};

struct copy_segment {
	uint16_t at;           /* where it begins in the parameter list */
	uint16_t source, dest; /* CSCD ID */
	bool dest_counts;      /* DC: the number of blocks is in the destination's blocks */
	uint16_t blocks;
	uint64_t source_lba, dest_lba;
};

struct copy {
	struct scsi_task *task;
	uint32_t id;               /* LIST IDENTIFIER */
	bool has_id;               /* LIST ID USAGE is not 11b */
	bool running;              /* it moves data */
	bool stop;                 /* by COPY OPERATION ABORT */
	struct scsi_task *stopper; /* the COPY OPERATION ABORT that waits, or NULL */
	uint16_t unit_count, segment_count;
	uint64_t moved; /* bytes of all segments */
	/* -- the segment at hand -- */
	uint16_t at;   /* its number */
	bool begun;    /* the fields below are set */
	bool backward; /* it overlaps itself: its end is moved first */
	struct scsi_lun *source, *dest;
	uint64_t total, done; /* bytes of it, and of them moved */
	uint32_t piece;       /* bytes under way */
	/* -- the commands of the copy -- */
	struct scsi_task reader, writer;
	struct iovec iov;      /* data-out of the writer: data-in of the reader */
	struct loop_hook give; /* hands it over */
	struct copy_unit unit[COPY_UNITS_MAX + 1]; /* the last one: this unit */
	struct copy_segment segment[COPY_SEGMENTS_MAX];
};

/* COPY OPERATION STATUS, SPC-4 6.24 */
enum copy_status {
	COPY_GOOD = 0x01,
	COPY_FAILED = 0x02,
	COPY_IN_PROGRESS = 0x11,
	COPY_STOPPED = 0x60,
};

/* A copy that is over. */
struct copy_past {
	enum copy_status status; /* 0: no copy */
	uint32_t id;
	const struct scsi_lun *lun; /* whose copy manager it was; compared only */
	uint16_t segments;          /* processed */
	uint64_t moved;             /* bytes */
	uint8_t task_status;        /* of EXTENDED COPY */
	bool told;                  /* its failure details were fetched */
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX];
};

struct copy_history {
	unsigned next; /* the oldest, to be used again */
	struct copy_past past[COPY_PAST_MAX];
};

/*
 * Makes a copy of the parameter list that the task has collected: segments and units, all of it
 * checked for what a list alone can be wrong in (SPC-4 5.17.7.3). False: the task is ended.
 */
bool copy_list_take(struct copy *c);

/* Begins to move data; ends the task when it is over. */
void copy_move_start(struct copy *c);

/* The copy that runs in this task, borrowed until its loop's next turn, or NULL. */
struct copy *copy_of(struct scsi_task *task);

/* The running copy of that identifier on the nexus and unit of `task`, borrowed; or NULL. */
struct copy *copy_find(const struct scsi_task *task, uint32_t id);

/* The same of those that are over. */
struct copy_past *copy_past_find(const struct scsi_task *task, uint32_t id);

/* Remembers a copy under its identifier; the memory is there. */
void copy_past_add(const struct copy *c, enum copy_status status, const struct scsi_cause *cause);

/* Room to remember the copies of this nexus. False: no memory. */
bool copy_past_room(struct scsi_nexus *nexus);

#endif
