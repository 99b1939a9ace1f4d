/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: sessions: command numbering, the tasks of a session, and the registry that knows every
 * session of the process by name.
 *
 * A session lives on one loop, and so do all of its connections: one that joins it from another
 * loop is moved there (join.c). Tasks come from a pool of the loop, so memory goes with what is in
 * flight and not with how many sessions there are.
 */
#ifndef KURA_TARGET_ISCSI_SESSION_H
#define KURA_TARGET_ISCSI_SESSION_H

#include "target/iscsi/arrive.h"
#include "target/iscsi/catalogue.h"
#include "target/iscsi/conn.h"

#define SESSION_MAGIC     0x73657373u /* "sess" */
#define SESSION_DEPTH_MAX 1024u
#define SESSION_HASH      256u
#define SESSION_SLICES    24u    /* receive buffers that a write may lie in */
#define COMMAND_TASKS_MAX 65535u /* slots of a loop: half of a transfer tag */
/* Bytes of PDUs that arrived before their turn; how many there are is bounded by the window. A
 * connection that TCP keeps in order has none, so this is far from what anybody needs. */
#define SESSION_HELD_MAX (16u << 20)
#define SESSION_HELD_ALL (32u << 20) /* the same of all sessions of a loop */
/* Immediate commands, and task management requests, open at once: outside of the window (RFC 7143
 * 4.2.2.1), and initiators send them one at a time. */
#define SESSION_IMMEDIATE_MAX 64u

/* What the registry keeps of a session; but for `joined` the home loop's. */
struct session_record {
	struct list node;      /* in srv->sessions, or in `waiting` of the one that ends first */
	struct list waiting;   /* sessions that take this one's place, oldest first */
	struct loop_post kill; /* to the session's loop */
	struct loop_post part; /* from it: its names are free again, or nobody waits for them */
	bool killed;           /* it is on its way */
	bool waits;            /* in `waiting` of another */
	bool joined;           /* the session's loop: it was told to the home loop */
	bool parted;           /* the session's loop: `part` was sent */
};

struct session {
	uint32_t magic;
	struct loop *loop;
	struct iscsi_loop *home;
	struct list conns;           /* conn.session_node; empty: it is ending */
	uint16_t conn_count;         /* of them */
	uint16_t conn_max;           /* MaxConnections, RFC 7143 13.2 */
	struct conn_params params;   /* of the leading login: the session's keys hold for all */
	struct iscsi_target *target; /* a share of it; NULL: discovery session */
	struct scsi_target *port;    /* of the target, as this initiator sees it; counted there */
	uint16_t tpgt;               /* of the portal group */
	struct scsi_nexus nexus;     /* open while target is set */
	bool nexus_open;             /* it has tasks, or may get some */
	bool nexus_parted; /* those that it has are kept by volumes and count for nobody */
	const char *user;  /* of CHAP, borrowed from the target; NULL: nothing was proved */
	uint64_t since_ns; /* when it was there */
	uint8_t isid[6];
	uint16_t tsih;
	uint32_t exp_cmd_sn;      /* RFC 7143 4.2.2.1 */
	uint32_t max_cmd_sn;      /* the highest that was told: the end of the window */
	struct list narrow;       /* in home->narrow: told less than it could have */
	uint32_t depth;           /* commands that may be outstanding */
	uint32_t open_tasks;      /* numbered commands that have no answer yet */
	uint32_t immediate_tasks; /* the same of immediate ones */
	struct list held;         /* session_held, by cmd_sn: arrived before their turn */
	uint32_t held_bytes;
	struct loop_timer gap;                     /* the longest that held ones wait */
	struct session_task *by_itt[SESSION_HASH]; /* commands without an answer, by task tag */
	char initiator[ISCSI_NAME_MAX + 1];
	struct session_record record;
	bool joining;             /* the registry has not answered yet */
	struct conn *join_conn;   /* held while joining */
	struct loop_post post;    /* to the registry and back */
	union pdu logout;         /* the request that waits for the tasks' end */
	struct conn *logout_conn; /* on which the answer goes; NULL when lost */
	bool logout_pending;
};

/* One SCSI command of a session: the task and how its data moves. */
struct session_task {
	struct scsi_task scsi; /* first: the SCSI room gives it back by this address */
	struct conn *conn;     /* connection allegiance (RFC 7143 4.2.2.1); held */
	struct session *session;
	struct session_task *hash_next;
	struct list tx_node; /* in conn->tx.ready or .r2t, or free */
	uint32_t itt;
	uint32_t slot;       /* index in the loop's pool: low half of the TTT */
	uint16_t generation; /* high half of the TTT */
	uint8_t flags;       /* R, W */
	bool immediate;
	bool hashed;
	bool submitted; /* the SCSI room has had it */
	/* -- data-out -- */
	bool wanted;           /* get_data was called */
	bool unsolicited_open; /* Data-Out without R2T may still come */
	int broken;            /* data sequence or digest wrong: -errno for scsi_task_data */
	bool told;             /* scsi_task_data was called, or must not be any more */
	uint32_t edtl;         /* Expected Data Transfer Length */
	uint32_t received;     /* bytes of data-out that arrived, from offset 0 */
	uint32_t want;         /* bytes that get_data asked for */
	uint32_t solicited;    /* offset from which on data comes by R2T; before: its limit */
	uint32_t r2t_sn;       /* R2Ts sent (RFC 7143 11.8.1) */
	uint32_t r2t_done;     /* of them, answered to their end */
	uint32_t data_sn;      /* expected in the present sequence */
	uint64_t moved_ns;     /* when data last came, or was asked for while none was owed */
	struct loop_buf *copy; /* what could not be left in receive buffers */
	uint32_t copied;       /* bytes in it */
	unsigned slices;
	struct loop_rxbuf *rxbuf[SESSION_SLICES];
	struct iovec iov[SESSION_SLICES + 1];
	struct loop_hook later; /* scsi_task_data outside of get_data */
	/* -- data-in -- */
	uint32_t tx_off; /* bytes of in_data in Data-In PDUs so far */
	uint32_t tx_sn;  /* DataSN of the next Data-In */
};

/* ---- session.c ---- */

/* A session for `c`, not yet in the registry; keeps the target. With one the caller fills in `tpgt`
 * and `port`, by scsi_target_get. NULL: no memory. */
struct session *session_new(
	struct conn *c, struct iscsi_target *target, const uint8_t isid[6], uint32_t cmd_sn);

/*
 * Joins the registry: an older session of the same initiator port, target and portal group is ended
 * first (session reinstatement, RFC 7143 6.3.5). login_established(c, 0 or -errno) comes later.
 */
void session_join(struct session *s);

/* A connection is gone: aborts its tasks; `tell`: the others are told (RFC 7143 11.9.1). With the
 * last one the session leaves the registry, and is freed when all is over. */
void session_lose_conn(struct session *s, struct conn *c, bool tell);

/* Ends every command and every other connection, and then answers on `c` (RFC 7143 11.14). */
void session_logout(struct session *s, struct conn *c, const struct pdu_logout_req *req);

/* Closes every connection, and with them the session. */
void session_close(struct session *s, const char *why);

/* Drops the PDUs of `c` (NULL: of all) that wait for their turn. */
void session_drop_held(struct session *s, const struct conn *c);

/* logout.c: the commands are over, the answer may go. */
void logout_complete(struct conn *c, const struct pdu_logout_req *req);

/* ---- member.c: the connections of a session ---- */

/*
 * Takes `c` in as a further connection, or in the place of one with the same CID, which is ended
 * (connection reinstatement, RFC 7143 6.3.4). 0: login_established(c, 0) comes, at once or later;
 * -ESRCH, -EXDEV, -EUSERS: refused.
 */
int member_add(struct session *s, struct conn *c, const struct scsi_target *port);

/* `gone` is lost: ends its tasks; `tell`: then tells the others. */
void member_lost(struct session *s, struct conn *gone, bool tell);

/* Ends the tasks of `gone`; then `over` is called with `teller`, unless that is closed by then.
 * `teller` may be `gone`. */
void member_end_tasks(struct session *s, struct conn *gone, struct conn *teller,
	void (*over)(struct conn *teller, const struct pdu_logout_req *req),
	const struct pdu_logout_req *req);

/* The connection with this CID, or NULL. */
struct conn *member_find(const struct session *s, uint16_t cid);

/* One in full feature phase, for what is said to the session; or NULL. */
struct conn *member_any(const struct session *s);

/* ---- ack.c: what was said by other connections has arrived ---- */

#define SESSION_CONNS_MAX 4u

struct ack {
	void (*done)(struct ack *a); /* may come inside ack_submit */
	unsigned left;
	struct ack_wait {
		struct list node; /* in conn->acks */
		struct ack *ack;
		uint32_t stat_sn;
	} wait[SESSION_CONNS_MAX];
};

/* Calls a->done when every connection of `s` but one has acknowledged the statuses that it was sent
 * by now, or is gone. Keeps `a` until done. */
void ack_submit(struct ack *a, struct session *s, const struct conn *but);
/* A ping was answered: c->acked_sn is as new as that. */
void ack_seen(struct conn *c);
/* The connection ends. */
void ack_drop(struct conn *c);

/* ---- join.c: a connection on its way to the loop of its session ---- */

struct conn_join {
	struct loop_post post;
	struct conn *conn;
	struct iscsi_loop *from; /* where it came in */
	const char *target;      /* its name, borrowed from the login; NULL: discovery */
	struct session *session; /* registry.c: the one that it belongs to, or NULL */
	uint16_t tpgt;
	uint16_t tsih;
	uint8_t isid[6];
	int err; /* why it is not taken, -errno */
};

/* Sends `c` to the session that `wish` names (copied); login_arrived comes there. */
void join_begin(struct conn *c, const struct conn_join *wish);
/* Its last byte by this loop has left. */
void join_leave(struct conn *c);
/* Its stream is closed here. */
void join_left(struct conn *c);
/* It is closed before it could leave. Harmless for others. */
void join_cancel(struct conn *c);

/* How a numbered PDU relates to the window (RFC 7143 4.2.2.1). */
enum session_order { SESSION_NOW, SESSION_LATER, SESSION_IGNORE };

/* Looks at CmdSN. Immediate PDUs are always SESSION_NOW. */
enum session_order session_number(const struct session *s, const union pdu *pdu);

/* A PDU that was SESSION_NOW is taken: ExpCmdSN advances unless it is an immediate one. */
void session_advance(struct session *s, const union pdu *pdu);

/* Whether a command that began in its turn has lost it meanwhile, to one that came on another
 * connection, or to its abort; it is forgotten then, and rejected where its tag is in use. */
bool session_overtaken(struct session *s, struct session_task *t, const union pdu *pdu);

/* Deals out the kept PDUs whose turn it is now. */
void session_replay(struct session *s);

/* Keeps a copy of a PDU that came on `c` before its turn. A number that is kept already is dropped
 * as if it were outside of the window; what is more than SESSION_HELD_MAX bytes ends the
 * connection. */
void session_keep(struct session *s, struct conn *c, const union pdu *pdu, const uint8_t *ahs,
	uint32_t ahs_len, const uint8_t *data, uint32_t len);

/* Counts `cmd_sn` as received without its command ever coming (RFC 7143 11.6.1 b), because of what
 * came on `c`. False: it is not in the window, or it came already. */
bool session_skip(struct session *s, struct conn *c, uint32_t cmd_sn);

/* A command without an answer that has this task tag, or NULL. */
struct session_task *session_find(const struct session *s, uint32_t itt);

/* ---- window.c ---- */

/* The MaxCmdSN to tell now, which holds from now on; never less than was told before. */
uint32_t window_tell(struct session *s);
/* Tasks or buffers became free: sessions that were told less get the rest soon. */
void window_relief(struct iscsi_loop *home);
/* Prepares the loop's part. */
void window_init(struct iscsi_loop *home);

/* ---- command.c ---- */

/*
 * Begins a SCSI command: makes its task. NULL: answered or dropped already (reject, close). The
 * data segment follows by dataout_bytes, then command_start.
 */
struct session_task *command_begin(
	struct conn *c, const struct pdu_scsi_cmd *cmd, const uint8_t *ahs, uint32_t ahs_len);
/* The PDU is whole: gives the task to the SCSI room. */
void command_start(struct session_task *t);
/* The data digest of the PDU was wrong: the task was never there. */
void command_forget(struct session_task *t);
/* The answer is on its way: the task tag is free again and the window opens. */
void command_answered(struct session_task *t);
/* Nothing needs the task any more: back to the pool. */
void command_free(struct session_task *t);
extern const struct scsi_port_ops command_port_ops;

/* ---- dataout.c ---- */

/* The header of a Data-Out: its task when the data is to be kept, or NULL (rejected, dropped). */
struct session_task *dataout_begin(struct conn *c, const struct pdu_data_out *pdu);
/* Some bytes of a data segment, in order. `buf` NULL: not in a receive buffer, copied. */
void dataout_bytes(
	struct session_task *t, struct loop_rxbuf *buf, const uint8_t *data, uint32_t len);
/* The Data-Out PDU is whole; `final` its F bit; `digest_ok` false: the data digest was wrong. */
void dataout_end(struct session_task *t, bool final, bool digest_ok);
/* Data came that nobody may send: the command ends so. */
void dataout_unexpected(struct session_task *t);
/* Prepares the memory of a task once. */
void dataout_init(struct session_task *t);
/* scsi_port_ops.get_data. */
void dataout_want(struct scsi_task *scsi, uint32_t len);
/* Fills the header of the next R2T that is due; false: none. */
bool dataout_next_r2t(struct session_task *t, struct pdu_r2t *pdu);
/* Whether the initiator owes data: it said that more comes, or an R2T is not answered. */
bool dataout_owed(const struct session_task *t);
/* Lets go of receive buffers and copies. */
void dataout_release(struct session_task *t);

/* ---- registry.c: every session of the process, on the home loop ---- */

/* Asks the home loop to take `s` in; session_joined comes on its loop. */
void registry_join(struct session *s);
/* Tells the home loop that another session may have the names of `s`, which ends but cannot yet. */
void registry_part(struct session *s);
/* Tells the home loop that nobody waits for `s` to join: session_joined comes soon, whether it has
 * or not. */
void registry_give_up(struct session *s);
/* Asks the home loop to forget `s`; session_left comes on its loop. */
void registry_leave(struct session *s);
/* Which session a connection wants to join; fills in `session` or `err`. On the home loop. */
void registry_seek(struct iscsi_server *srv, struct conn_join *join);
/* session.c: the registry took the session in; `c` is the connection that joined. */
void session_joined(struct session *s, struct conn *c);
/* session.c: the registry has forgotten the session, which is freed. */
void session_left(struct session *s);

/* ---- the loop's part, server.c ---- */

struct iscsi_loop {
	struct iscsi_server *srv;
	struct loop *loop;
	struct iscsi_opts opts; /* that hold here */
	unsigned conn_count;    /* published: read by iscsi_server_load */
	struct list conns;
	struct list free_tasks;      /* session_task.tx_node, warmest first */
	struct session_task **tasks; /* by slot */
	uint32_t task_count, task_room;
	uint32_t task_most;  /* of task_count: this loop's share of max_tasks */
	uint32_t task_used;  /* of task_count: not in free_tasks */
	uint32_t held_bytes; /* of all sessions' held_bytes */
	struct list narrow;  /* session.narrow: window.c */
	struct loop_hook relief;
	struct loop_timer relief_timer;
	struct list free_batches; /* conn_batch.node */
	bool draining;
	struct iscsi_catalogue *catalogue; /* the one that holds here, kept */
	struct login_guard guard;          /* what wrong secrets cost */
};

/* Other limits and times hold on this loop. On it, or before it runs. */
void server_take_opts(struct iscsi_loop *home, const struct iscsi_opts *opts);

/* Tells that one connection of `home` is gone for good. */
void server_conn_gone(struct iscsi_loop *home);

/* Tells that one connection goes from one loop to another. Any thread. */
void server_conn_moved(struct iscsi_loop *from, struct iscsi_loop *to);

struct iscsi_server {
	struct scsi_domain *domain;
	struct list sessions;   /* session.record.node: the home loop's (loop 0) only */
	uint16_t last_tsih;     /* the home loop's */
	struct arrive arrive;   /* who is not logged in yet */
	uint64_t last_conn;     /* atomic */
	unsigned conn_total;    /* atomic */
	unsigned session_total; /* atomic: sessions whose memory is still there */
	bool resting;           /* atomic: nobody may log in, see iscsi_server_rest */
	unsigned loop_count;
	struct iscsi_loop loops[];
};

#endif
