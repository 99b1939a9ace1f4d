/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h: one SCSI command on its way: what the port knows of it, what the SCSI room makes of it,
 * and who owns it at the moment.
 *
 * The port allocates the task inside its own request, fills the first part and calls
 * scsi_task_submit. It gets it back, exactly once and never inside that call, by ops->done.
 */
#ifndef KURA_TARGET_SCSI_TASK_H
#define KURA_TARGET_SCSI_TASK_H

#include "volume/volume.h"

#include "common/list.h"

#include <stdbool.h>
#include <stdint.h>

struct scsi_nexus;
struct scsi_lun;
struct scsi_itl;
struct scsi_command;
struct scsi_port_ops;
struct copy;
struct res_request;
struct scsi_fence;

#define SCSI_CDB_MAX    260 /* SPC-4 4.2.3: variable length CDBs */
#define SCSI_SENSE_MAX  64
#define SCSI_TASK_MAGIC 0x7461736bu /* "task" */

/* Task attributes, the values of SAM-5 8.6 in RFC 7143 11.3.1's code. */
enum scsi_attr {
	SCSI_ATTR_UNTAGGED = 0,
	SCSI_ATTR_SIMPLE = 1,
	SCSI_ATTR_ORDERED = 2,
	SCSI_ATTR_HEAD_OF_QUEUE = 3,
	SCSI_ATTR_ACA = 4,
};

/* Status codes, SAM-5 5.3.1. */
enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_ACA_ACTIVE = 0x30,
	SCSI_TASK_ABORTED = 0x40,
};

/* Who may touch a task now; checked at every door. */
enum scsi_owner {
	SCSI_OWNER_PORT,    /* before submit, and from done on */
	SCSI_OWNER_SCSI,    /* being looked at */
	SCSI_OWNER_GETDATA, /* the port collects data-out */
	SCSI_OWNER_VOLUME,  /* the volume works on task->io */
	SCSI_OWNER_ORDER,   /* it waits for older tasks of its task set */
	SCSI_OWNER_FENCE,   /* it waits for its own fence, or for another task's in its way */
};

struct scsi_task {
	uint32_t magic; /* SCSI_TASK_MAGIC, set by scsi_task_init */
	enum scsi_owner owner;
	struct list node;         /* in nexus->tasks from submit to done */
	struct scsi_nexus *nexus; /* gone when the last task is back with its port */
	struct loop *loop;        /* the nexus's: the result is given back to it, after the nexus */
	const struct scsi_port_ops *ops; /* the nexus's port, or the copy manager */
	struct copy *copy;               /* the copy manager's own: which copy */

	/* -- the port's part, filled before submit -- */
	uint64_t tag;         /* the initiator's tag, unique in its nexus */
	uint8_t lun_field[8]; /* as it came, SAM-5 4.7 */
	enum scsi_attr attr;
	uint16_t cdb_len; /* bytes of cdb that came (at least 16 for iSCSI) */
	uint8_t cdb[SCSI_CDB_MAX];
	uint32_t in_room;  /* most data-in the initiator takes */
	uint32_t out_room; /* data-out the initiator has to send */
	bool in_lent;      /* data-in may change while it is sent: nobody computes a digest of it */

	/* -- data-out, by the port at scsi_task_data -- */
	struct iovec *out_iov; /* pieces; the port's until done; the volume may change the array */
	unsigned out_iovcnt;
	uint32_t out_len;               /* bytes in them: what get_data asked for */
	const struct loop_buf *out_buf; /* the one data buffer in which they lie, or NULL */

	/* -- the result, by the SCSI room before done -- */
	bool aborted;      /* by task management or nexus loss: the port sends nothing for it */
	uint8_t status;    /* enum scsi_status */
	uint8_t sense_len; /* 0: none */
	uint8_t sense[SCSI_SENSE_MAX];
	uint8_t *in_data;  /* data-in, in in_buf or in a static page; valid until task_fini */
	uint32_t in_len;   /* bytes there, cut at in_room already */
	uint64_t want_in;  /* bytes the command had for the initiator: residual = against in_room */
	uint64_t want_out; /* bytes the command asked of the initiator: residual = against out_room
			    */

	/* -- the SCSI room's own -- */
	const struct scsi_command *cmd; /* row of commands.def; NULL: unknown opcode */
	struct scsi_lun *lun;           /* borrowed from the nexus's LUN map; NULL: none there */
	struct scsi_itl *itl;           /* its I_T_L nexus at submit; NULL: no such LUN */
	struct vol_chan *chan;          /* this loop's channel to its volume */
	struct loop_buf *in_buf;        /* owned data-in buffer or NULL */
	struct vol_chan *in_chan;       /* whose memory in_data is, until released; or NULL */
	struct loop_buf *work_buf;      /* owned scratch (verify, compare) or NULL */
	uint64_t lba;                   /* blocks */
	uint64_t blocks;
	uint64_t step[4];            /* a command that goes in several steps keeps its place here */
	bool abort_wanted;           /* noticed at the next door */
	struct res_request *request; /* waits for the home of the reservation; or NULL */
	void (*next)(struct scsi_task *task); /* goes on when data-out or the volume is ready */
	struct list finished;                 /* over, waits for the end of the turn */
	struct list wait;                     /* in the queue of what it waits for (ORDER, FENCE) */
	uint64_t began_ns;                    /* when it came; 0: it is not timed */
	struct scsi_fence *fence;             /* the range that it has to itself, or NULL */
	uint64_t write_from, write_to; /* bytes that the volume is changing for it; 0: none */
	struct vol_io io;              /* the request to the volume */
};

/* Prepares the memory of a task once; it can be used for many commands one after another. */
void scsi_task_init(struct scsi_task *task);

/*
 * Takes a task whose port part is filled and whose data-in and data-out results are empty; on the
 * loop of `nexus`. It comes back by the port's done(). The task is in nexus->tasks from now on.
 */
void scsi_task_submit(struct scsi_nexus *nexus, struct scsi_task *task);

/*
 * The same for a task that the SCSI room itself sends in the nexus's name, to be given back to
 * `ops`. It does not wait for its turn in the task set and leaves unit attentions to the initiator.
 */
void scsi_task_submit_inner(
	struct scsi_nexus *nexus, struct scsi_task *task, const struct scsi_port_ops *ops);

/*
 * The port has what get_data asked for: out_iov, out_iovcnt, out_len are filled. `err` 0, or
 * -ECANCELED (the port gave up: connection lost or aborted), -ENOMEM (BUSY), or what RFC 7143
 * 11.4.7.2 has sense for: -EPROTO (incorrect amount of data), -EREMOTEIO (unexpected unsolicited
 * data), -EBADMSG (digest). Never inside get_data. A task that is aborted while the port collects
 * comes back by done() first; then this is not called for it.
 */
void scsi_task_data(struct scsi_task *task, int err);

/* Gives back what the result holds (data-in buffer); called by the port when the last byte is sent.
 * The task may then be used again. */
void scsi_task_release(struct scsi_task *task);

/*
 * Copies `len` bytes at `off` of the data-out pieces to `dst`; false when they are not all there.
 */
bool scsi_task_copy_out(const struct scsi_task *task, uint32_t off, void *dst, uint32_t len);

/* How many bytes of `a` and the data-out at `off` are equal, from the front; no more than `len`. */
uint64_t scsi_task_match_out(
	const struct scsi_task *task, uint64_t off, const uint8_t *a, uint64_t len);

#endif
