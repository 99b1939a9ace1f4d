/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h: one TCP connection of an initiator: what arrives on it, what leaves on it, and in which
 * state of RFC 7143 8.1 it is. Everything here runs on the connection's loop.
 *
 * Receiving (conn_rx.c) cuts the bytes into PDUs and gives each to the file of its exchange.
 * Sending (conn_tx.c) keeps short queues of what is to be said and turns them into one gathered
 * send at the end of a turn.
 */
#ifndef KURA_TARGET_ISCSI_CONN_H
#define KURA_TARGET_ISCSI_CONN_H

#include "target/iscsi/iscsi.h"
#include "target/iscsi/pdu.h"

#include "common/log.h"

struct conn;
struct session;
struct session_task;
struct login;
struct text_exchange;
struct iscsi_loop;
struct conn_join;

#define CONN_MAGIC      0x636f6e6eu /* "conn" */
#define CONN_MAX_RECV   262144u     /* the MaxRecvDataSegmentLength that we declare */
#define CONN_LOGIN_RECV 8192u       /* the one that holds during login (RFC 7143 6.1) */
/* Queued answers above which receiving pauses: four of the largest pings. The peer is slowed down
 * and loses nothing, so nobody needs to change it. */
#define CONN_CTL_BYTES   (1u << 20)
#define CONN_ADDRESS_MAX 64

/* What was negotiated; keys.def fills it. Defaults are those of RFC 7143 13. */
struct conn_params {
	bool header_digest; /* CRC32C */
	bool data_digest;
	bool initial_r2t;
	bool immediate_data;
	bool discovery;    /* SessionType=Discovery */
	uint32_t max_xmit; /* initiator's MaxRecvDataSegmentLength: our limit for sending */
	uint32_t max_burst;
	uint32_t first_burst;
	uint32_t max_outstanding_r2t;
	uint32_t time2wait; /* seconds */
	uint32_t time2retain;
};

/* The states that a target's connection can be in here (RFC 7143 8.1.1; T-names in conn_fsm.def).
 */
enum conn_state {
#define CONN_STATE(id, name) CONN_##id,
#define CONN_EDGE(from, event, to)
#include "target/iscsi/conn_fsm.def"
#undef CONN_STATE
#undef CONN_EDGE
};
enum conn_event {
	CONN_EV_LOGIN,     /* a first login PDU came */
	CONN_EV_LOGGED_IN, /* the final login response is queued */
	CONN_EV_LOGOUT,    /* a logout request was taken */
	CONN_EV_CLOSE,     /* transport lost, or we close */
	CONN_EV_COUNT
};

enum conn_rx_state {
	CONN_RX_HEAD, /* BHS, AHS and header digest */
	CONN_RX_DATA, /* data segment */
	CONN_RX_TAIL, /* padding and data digest */
};

/* Where the data segment of the PDU being received goes. */
enum conn_sink {
	CONN_SINK_DROP,    /* nowhere: the PDU was answered or is ignored */
	CONN_SINK_COLLECT, /* together, for the exchange of its opcode */
	CONN_SINK_TASK,    /* to a write, where it lies */
};

struct conn_rx {
	enum conn_rx_state state;
	enum conn_sink sink;
	uint32_t have;             /* bytes of the present part that came */
	uint32_t need;             /* bytes that the present part has */
	uint32_t crc;              /* running data digest */
	uint32_t data_len;         /* of this PDU */
	uint32_t head_len;         /* BHS and AHS of this PDU */
	uint64_t since_ns;         /* when its first byte came */
	struct session_task *task; /* CONN_SINK_TASK: whose data this is */
	uint8_t *collect;          /* owned room for CONN_SINK_COLLECT, grows on demand */
	uint32_t collect_room;
	uint8_t tail[8];
	uint8_t head[PDU_BHS_LEN + PDU_AHS_MAX + 4];
};

/* An answer with its header made; data copied behind it. */
struct conn_ctl {
	struct list node;
	union pdu pdu;      /* sequence numbers are filled when it is sent */
	bool takes_stat_sn; /* StatSN advances (all but NOP-In pings, RFC 7143 11.19) */
	uint32_t data_len;
	uint8_t data[]; /* and room for padding */
};

struct conn_tx {
	struct list ctl;          /* conn_ctl: first of all */
	struct list r2t;          /* session_task.tx_node: an R2T is due */
	struct list ready;        /* session_task.tx_node: finished, answer due */
	uint32_t ctl_bytes;       /* queued */
	struct conn_batch *batch; /* in flight, or NULL */
	uint64_t since_ns;        /* from then on */
	struct loop_hook hook;    /* fills and sends at the end of the turn */
	bool last;                /* nothing follows what is in flight: close after it */
	bool leaves;              /* the same: go to the loop of the session after it */
};

struct conn {
	uint32_t magic;
	struct loop_stream stream;
	struct loop *loop;
	struct iscsi_server *srv;
	struct iscsi_loop *home; /* this loop's part of the server */
	struct list node;        /* in home->conns */
	enum conn_state state;
	uint64_t id;       /* for log lines */
	uint16_t cid;      /* RFC 7143 11.12.7 */
	uint32_t stat_sn;  /* of the next response that takes one */
	uint32_t acked_sn; /* the last ExpStatSN that came */
	uint32_t held;     /* things that keep this memory: tasks, registry answers */
	bool stream_closed;
	bool logout_wanted; /* an asynchronous message asked for it */
	bool dropping;      /* conn_drop: nothing is taken any more */
	bool ping_out;      /* a NOP-In waits for its answer */
	bool dismissed;     /* its end was asked for: the others of the session are not told */
	uint64_t last_rx_ns;
	struct conn_params params;
	struct conn_rx rx;
	struct conn_tx tx;
	struct session *session;    /* from the last login stage on */
	struct list session_node;   /* in session->conns */
	struct list acks;           /* ack_wait: who waits for an ExpStatSN */
	struct conn_join *join;     /* on its way to a session; join.c owns it */
	struct login *login;        /* until full feature phase; login.c owns it */
	struct text_exchange *text; /* an exchange over several PDUs; text.c owns it */
	struct loop_timer timer;    /* login time-out, then pings, then logout */
	struct loop_timer watch;    /* conn_watch.c's */
	int place;                  /* among those not logged in (arrive.h); -1: it is */
	unsigned tmfs;              /* task management requests without an answer */
	struct log_limit log;
	char peer[CONN_ADDRESS_MAX];        /* "127.0.0.1:43210" or "[::1]:43210" */
	char local[CONN_ADDRESS_MAX];       /* the address it came in by, same form */
	char initiator[ISCSI_NAME_MAX + 1]; /* from login, "" before */
};

/* ---- conn.c ---- */

/* Starts a connection on its loop; takes fd. `place` is from iscsi_server_expect. NULL when there
 * is no memory (fd closed, the place is the caller's). */
struct conn *conn_new(struct iscsi_server *srv, struct iscsi_loop *home, int fd, int place);

/* The address of the peer of a socket, "?" when it has none any more. */
void conn_peer_name(char out[CONN_ADDRESS_MAX], int fd);

/*
 * Walks the table of conn_fsm.def. An event that the state does not know is our own mistake and
 * asserted.
 */
void conn_event(struct conn *c, enum conn_event event);

/* Ends a connection because the peer broke a rule: one log line with the rule's section, counted.
 */
void conn_protocol_error(struct conn *c, const char *rule);

/* Ends a connection now: the session is told, tasks are aborted, memory goes when all is over. Safe
 * to call more than once and from any callback of the connection. */
void conn_close(struct conn *c, const char *why);

/* One more thing needs the memory of `c`. */
void conn_hold(struct conn *c);
/* One less. The last one frees it, when it is closed. */
void conn_put(struct conn *c);

/* Starts the time that a login may take. */
void conn_time_login(struct conn *c);

/* Opens the stream on c->loop for `fd`, which it takes, and lists the connection there. 0 or
 * -errno (fd closed). */
int conn_open(struct conn *c, int fd);

/* Ends a connection whose session is to end: tells it by an asynchronous message (RFC 7143 11.9.1),
 * takes nothing any more, and closes when that has left, or soon. */
void conn_drop(struct conn *c, const char *why);

/* Asks the initiator to log out within `seconds`, by an asynchronous message (RFC 7143 11.9.1). */
void conn_ask_logout(struct conn *c, uint16_t seconds);

/* ---- conn_watch.c ---- */

/* Prepares the watch over what may stop in the middle. */
void conn_watch_init(struct conn *c);

/* Something begins that the peer has to go on with: bounded by stall_seconds from now on. */
void conn_watch_arm(struct conn *c);

/* Pings have other times from now on. */
void conn_retime(struct conn *c);

/* ---- conn_tx.c ---- */

/*
 * Queues an answer: header by value, `len` bytes of data copied. Sequence numbers and data_len are
 * filled in when it is sent. `takes_stat_sn` false for NOP-In pings and R2T only. NULL when there
 * is no memory: the connection is being closed then. The result is borrowed until the turn ends.
 */
struct conn_ctl *conn_send(
	struct conn *c, const union pdu *pdu, const void *data, uint32_t len, bool takes_stat_sn);

/* As conn_send, and the connection is closed when it has left. */
void conn_send_last(struct conn *c, const union pdu *pdu, const void *data, uint32_t len);

/* Sends what is queued at the end of this turn. */
void conn_tx_arm(struct conn *c);

/* Prepares the sending side. */
void conn_tx_init(struct conn *c);

/* Takes a task out of tx.ready whose answer is not to be sent, or not to its end. Takes it. */
void conn_tx_forget(struct session_task *t);

/* Drops what is queued and not in flight: the connection is closing. */
void conn_tx_drop(struct conn *c);

/* loop_stream_ops.sent. */
void conn_tx_sent(struct loop_stream *stream, int res);

/* Frees a loop's spare batches. */
void conn_tx_fini(struct iscsi_loop *home);

/* Rejects the PDU whose header is `bhs` (RFC 7143 11.17). */
void conn_reject(struct conn *c, const void *bhs, enum pdu_reject_reason reason);

/* ---- conn_rx.c ---- */

/* loop_stream_ops.received: cuts bytes into PDUs and deals them out. */
void conn_rx_received(struct loop_stream *stream, struct loop_rxbuf *buf, uint8_t *data, int len);

/* Prepares the receiving side. */
void conn_rx_init(struct conn *c);
/* Nothing comes of the PDU that is coming now. */
void conn_rx_quit(struct conn *c);
/* Lets go of what it holds; what still comes is dropped. */
void conn_rx_fini(struct conn *c);

/* Deals out a PDU that is whole and whose turn it is; `len` bytes of data, contiguous. */
void conn_rx_deliver(struct conn *c, const union pdu *pdu, const uint8_t *ahs, uint32_t ahs_len,
	const uint8_t *data, uint32_t len);

/* ---- the exchanges: each takes a whole PDU; `data` (`len` bytes, contiguous) is borrowed ---- */

/* login.c: Login Request, RFC 7143 11.12. */
void login_receive(
	struct conn *c, const struct pdu_login_req *req, const uint8_t *data, uint32_t len);
/* The registry took the session (0) or not (-errno): sends the final login response. */
void login_established(struct conn *c, int err);
/* join.c: `c` has come to the loop of the session that it joins, or has come back (-errno). */
void login_arrived(struct conn *c, struct session *s, int err);
/* Frees c->login; NULL is fine. */
void login_free(struct conn *c);

/* text.c: Text Request, RFC 7143 11.10. */
void text_receive(
	struct conn *c, const struct pdu_text_req *req, const uint8_t *data, uint32_t len);
/* Frees c->text; NULL is fine. */
void text_free(struct conn *c);

/* nop.c: NOP-Out, RFC 7143 11.18. */
void nop_receive(struct conn *c, const struct pdu_nop_out *req, const uint8_t *data, uint32_t len);
/* nop.c: tells the present window and asks for nothing, RFC 7143 11.19. */
void nop_tell(struct conn *c);
/* nop.c: asks a silent connection for a sign of life, RFC 7143 11.19. */
void nop_ping(struct conn *c);

/* tmf.c: Task Management Function Request, RFC 7143 11.5. */
void tmf_receive(struct conn *c, const struct pdu_tmf_req *req);

/* logout.c: Logout Request, RFC 7143 11.14. */
void logout_receive(struct conn *c, const struct pdu_logout_req *req);

#endif
