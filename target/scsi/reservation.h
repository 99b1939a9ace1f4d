/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reservation.h: who may do what to a volume: registrations and persistent reservations (SPC-4
 * 5.13), and the RESERVE and RELEASE of SPC-2.
 *
 * A volume has one state, which is changed on its home loop only, one request at a time: the rules
 * make a new state from the old one, it is saved when it has to outlive a power loss, and then
 * every loop takes it over: it gives each of its nexuses what that must pass from now on
 * (scsi_itl.needs, all that the data path looks at), the unit attentions, and an end to the tasks
 * that are to be aborted. The answer goes out when all loops have done so. States are never changed
 * once seen.
 */
#ifndef KURA_TARGET_SCSI_RESERVATION_H
#define KURA_TARGET_SCSI_RESERVATION_H

#include "target/scsi/command.h"
#include "target/scsi/lun.h"

struct scsi_reservation;

#define RES_REGISTRANTS_MAX 512u /* registrations of one volume */
#define RES_NOTES_MAX       512u /* unit attentions kept for nexuses that are away */

/* SPC-4 6.15.3.4 */
enum res_type {
	RES_NONE = 0,
	RES_WRITE_EXCLUSIVE = 1,
	RES_EXCLUSIVE_ACCESS = 3,
	RES_WRITE_EXCLUSIVE_RO = 5,
	RES_EXCLUSIVE_ACCESS_RO = 6,
	RES_WRITE_EXCLUSIVE_AR = 7,
	RES_EXCLUSIVE_ACCESS_AR = 8,
};

/* An I_T nexus by name, which outlives its sessions (SPC-4 5.13.5.1). */
struct res_nexus {
	char initiator[SCSI_INITIATOR_MAX]; /* initiator port name, in lower case */
	char target[SCSI_INITIATOR_MAX];    /* target port name */
	uint16_t rel_port;                  /* relative target port identifier */
};

struct res_registrant {
	struct res_nexus who;
	uint64_t key;
	bool holds; /* the reservation is its own; not for all registrants types */
};

/* A unit attention for a nexus, which may be away. */
struct res_note {
	struct res_nexus who;
	uint16_t code; /* ASC << 8 | ASCQ */
	bool given;    /* atomic; by the loop on which the nexus is */
};

struct res_state {
	uint32_t generation;           /* PRGENERATION, SPC-4 6.15.2 */
	bool aptpl;                    /* it outlives a power loss */
	bool lost;                     /* what was saved cannot be read, SPC-4 5.13.5.3.2 */
	uint8_t type;                  /* enum res_type */
	const struct scsi_nexus *spc2; /* who has it by RESERVE; compared, never followed */
	struct res_nexus spc2_who;     /* its name */
	unsigned count, note_count;
	struct res_registrant *reg; /* in the order of registration */
	struct res_note **note;     /* oldest first */
};

/* ---- requests ---- */

enum res_action {
	RES_OUT_REGISTER = 0, /* to REPLACE LOST: the service actions of SPC-4 6.16.2 */
	RES_OUT_RESERVE = 1,
	RES_OUT_RELEASE = 2,
	RES_OUT_CLEAR = 3,
	RES_OUT_PREEMPT = 4,
	RES_OUT_PREEMPT_ABORT = 5,
	RES_OUT_REGISTER_IGNORE = 6,
	RES_OUT_REGISTER_MOVE = 7,
	RES_OUT_REPLACE_LOST = 8,
	RES_SPC2_RESERVE,
	RES_SPC2_RELEASE,
	RES_SPC2_RESET, /* a reset: nobody has it any more */
	RES_LEAVE,      /* the nexus is lost */
	RES_WIPE,       /* the administrator wants none of it any more */
};

/* The parameters of a PERSISTENT RESERVE OUT command. */
struct res_out {
	uint8_t scope, type;
	uint64_t key, action_key;
	bool aptpl, all_tg_pt, spec_i_pt, unreg;
	uint16_t rel_port; /* REGISTER AND MOVE: to which target port */
	unsigned id_count; /* initiator ports of TransportIDs */
	char (*id)[SCSI_INITIATOR_MAX];
};

enum res_result {
	RES_GOOD,
	RES_CONFLICT, /* RESERVATION CONFLICT */
	RES_REFUSED,  /* CHECK CONDITION with `cause` */
};

struct res_request {
	enum res_action action;
	struct res_nexus who;
	const struct scsi_nexus *nexus; /* who asks; NULL for a reset */
	struct scsi_task *task;         /* is not aborted by its own preemption; or NULL */
	struct res_out out;
	uint16_t codes[SCSI_UA_MAX]; /* RES_LEAVE: unit attentions that were not told */
	unsigned code_count;
	void (*done)(struct res_request *req); /* on the loop that asked */
	void (*then)(void *arg);               /* the asker's */
	void *arg;
	/* -- at done -- */
	enum res_result result;
	struct scsi_cause cause;
	struct scsi_lun *lun; /* kept while it is under way: a unit of the volume */
	/* -- the reservation's -- */
	struct scsi_reservation *res;
	struct loop *origin;
	struct loop_post post;
	struct list node;       /* in its queue, on the home loop */
	bool dropped;           /* its task was aborted before its turn */
	struct res_state *next; /* what comes of it; NULL: nothing changes */
	bool *victim;           /* of the old state's registrants: its tasks are aborted */
	struct scsi_everywhere everywhere;
	struct loop_io io;
	char *text; /* what is saved */
};

/* A request for a unit's volume by a nexus of its own, or NULL when there is no memory. Returns
 * owned. On the nexus's loop. */
struct res_request *res_request_new(
	struct scsi_lun *lun, const struct scsi_nexus *nexus, enum res_action action);

/* Sends it to the home loop; done() comes later, on the calling loop, which is `loop`. Keeps until
 * done. */
void res_request_submit(struct res_request *req, struct loop *loop);

/* Frees it. Takes it; not while under way. */
void res_request_free(struct res_request *req);

/* ---- states (reservation_state.c) ---- */

/* An empty state. Returns owned, or NULL. Any thread. */
struct res_state *res_state_new(void);

/* A copy with room for `more` registrants and RES_NOTES_MAX notes, without those that were given.
 * Returns owned, or NULL. */
struct res_state *res_state_copy(const struct res_state *old, unsigned more);

/* Frees `dead` but for the notes that `alive` (or NULL) has as well. Takes it. */
void res_state_free(struct res_state *dead, const struct res_state *alive);

/* Adds a registrant; there is room. The new one, borrowed until the next change. */
struct res_registrant *res_state_add(
	struct res_state *s, const struct res_nexus *who, uint64_t key);

/* Removes one. */
void res_state_remove(struct res_state *s, struct res_registrant *reg);

/* Keeps a unit attention for a nexus; of too many the oldest is dropped. False: no memory. */
bool res_state_note(struct res_state *s, const struct res_nexus *who, uint16_t code);

/* The registrant of that name, borrowed, or NULL. */
struct res_registrant *res_state_find(const struct res_state *s, const struct res_nexus *who);

/* Whether a registrant is a holder of the reservation (SPC-4 5.13.10). */
bool res_state_holds(const struct res_state *s, const struct res_registrant *reg);

/* The name of a nexus. */
void res_nexus_name(struct res_nexus *name, const struct scsi_nexus *nexus);

/* Whether both are the same. */
bool res_nexus_same(const struct res_nexus *a, const struct res_nexus *b);

static inline bool res_type_all(uint8_t type)
{
	return type == RES_WRITE_EXCLUSIVE_AR || type == RES_EXCLUSIVE_ACCESS_AR;
}

static inline bool res_type_registrants(uint8_t type)
{
	return type >= RES_WRITE_EXCLUSIVE_RO;
}

/* Whether there is such a type. */
bool res_type_valid(uint8_t type);

/* What a nexus must pass in this state, enum scsi_command_passes. */
uint8_t res_state_needs(
	const struct res_state *s, const struct scsi_nexus *nexus, const struct res_nexus *name);

/* ---- the rules (reservation_rules.c): a request made real ---- */

/* Decides on a request against a state: result and cause, and req->next and req->victim when
 * something changes. On the home loop; nothing but the request is changed. */
void res_apply(const struct res_state *old, struct res_request *req);

/* The target port of that relative identifier through which the volume is reached, or NULL. */
const struct scsi_target *res_port_find(const struct scsi_reservation *res, uint16_t rel_port);

/* ---- the file (reservation_file.c); see docs/disk-format.md ---- */

/* Where the state of a volume is kept. Returns owned. */
char *res_file_path(const char *state_dir, const uint8_t uuid[VOL_UUID_LEN]);

/* The text of a state. Returns owned, or NULL. */
char *res_file_build(const struct res_state *s, const uint8_t uuid[VOL_UUID_LEN], uint64_t serial);

/* The state of a text, or NULL when it is not whole or not of this volume. Returns owned. */
struct res_state *res_file_parse(
	const char *text, size_t len, const uint8_t uuid[VOL_UUID_LEN], uint64_t *serial);

/* Saves `text` at `path` so that it is there after a power loss, and keeps what was there as
 * PATH.old. 0 or -errno, and then the old one is there. Blocks. */
int res_file_save(const char *path, const char *text);

/* Reads it, or what was there before when it is not whole. NULL with 0: there is none; NULL with
 * -EBADMSG: there is, but neither can be read. Says in the log what is wrong. Returns owned. */
struct res_state *res_file_load(
	const char *path, const uint8_t uuid[VOL_UUID_LEN], uint64_t *serial, int *err);

/* ---- where it is kept (reservation_place.c) ---- */

struct res_place {
	char *path;  /* the file; NULL: nowhere, nothing lasts */
	char *other; /* where it may be of an earlier time, when `path` has none; or NULL */
	struct scsi_keeper
		*keeper; /* keeps it in the place of `path`, `other` is allowed; or NULL */
};

/* The place of a volume's reservations. Strings are copied. */
void res_place_init(struct res_place *place, const struct scsi_lun_conf *conf);

/* The opposite. */
void res_place_fini(struct res_place *place);

/* Whether there is any. Any thread. */
bool res_place_lasts(const struct res_place *place);

/* For the log: static, or the place's. */
const char *res_place_name(const struct res_place *place);

/* Saves `text` so that it is there after a power loss. 0 or -errno, and then the old one is there.
 * Blocks: slow lane, set-up. */
int res_place_save(const struct res_place *place, const char *text);

/* Reads it. NULL with 0: there is none; NULL with -errno: there is, but it cannot be read. What was
 * found in the other place is saved in this one. Says in the log what is wrong. Returns owned.
 * Blocks: set-up. */
struct res_state *res_place_load(const struct res_place *place, const uint8_t uuid[VOL_UUID_LEN],
	uint64_t *serial, int *err);

/* ---- names on the wire (transport_id.c) ---- */

/* Writes the TransportID of an initiator port (SPC-4 7.6.4.6). */
void res_transport_put(struct span_writer *w, const char *initiator);

/* Takes one: the port's name, and whether it is the name of a port and not of a whole node. False:
 * it is none of iSCSI, or cut off. */
bool res_transport_take(struct span_reader *r, char name[SCSI_INITIATOR_MAX], bool *port);

/* ---- for the rest of the room (reservation.c) ---- */

/* The volume's reservation, made and loaded when this is its first unit. Without a state_dir it
 * does not outlive the process. Returns a share of it. Set-up only. */
struct scsi_reservation *scsi_res_get(struct scsi_domain *domain, const struct scsi_lun_conf *conf);

/* Gives the share back. */
void scsi_res_put(struct scsi_reservation *res);

/* Whether it can be kept over a power loss. Any thread. */
bool scsi_res_lasting(const struct scsi_reservation *res);

/* The state as this member's loop knows it, borrowed until the loop's next turn. */
const struct res_state *scsi_res_view(
	const struct scsi_reservation *res, const struct scsi_member *m);

/* The same for a task. */
const struct res_state *scsi_res_view_of(const struct scsi_task *task);

/* A command that lacks what its nexus must pass (`missing`, enum scsi_command_passes): true when it
 * may go on after all; else the task is ended. */
bool scsi_res_admit(struct scsi_task *task, unsigned missing);

/* A nexus was opened: what it must pass, and the unit attentions that waited for it. */
void scsi_res_joined(struct scsi_nexus *nexus);

/* A nexus that has no task left is closed. True: it has to wait, and then(nexus) is called when it
 * is worth to ask again. */
bool scsi_res_leaves(struct scsi_nexus *nexus, void (*then)(void *nexus));

/* A reset ends what RESERVE has made (SPC-2 5.5.1). True: it has begun, on `loop`, and calls
 * then(arg); false: there is nothing to do. */
bool scsi_res_reset(struct scsi_lun *lun, struct loop *loop, void (*then)(void *arg), void *arg);

/* ---- for the administrator; on the home loop ---- */

/* A copy of the state that counts, without the unit attentions: free it by res_state_free alone.
 * NULL: the volume has no unit. Returns owned. */
struct res_state *scsi_res_copy(struct scsi_domain *domain, const struct vol *vol);

/* A request that ends every registration and reservation of a volume, as CLEAR does (SPC-4
 * 5.13.11.2.7) but without a key; to be submitted there. NULL: the volume has no unit. Returns
 * owned. */
struct res_request *scsi_res_wipe(struct scsi_domain *domain, const struct vol *vol);

/* Ends a task as the result of its request says. */
void scsi_res_answer(struct scsi_task *task, const struct res_request *req);

#endif
