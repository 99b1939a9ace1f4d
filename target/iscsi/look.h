/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.h: sessions as a person sees them, one loop at a time: what there is, and the end of one
 * that somebody wants to go.
 *
 * A session is named by its TSIH, which no two of the process have at once.
 */
#ifndef KURA_TARGET_ISCSI_LOOK_H
#define KURA_TARGET_ISCSI_LOOK_H

#include "target/iscsi/conn.h"

/* A connection, as it is at this moment. */
struct iscsi_conn_look {
	uint16_t cid;
	char peer[CONN_ADDRESS_MAX];  /* "address:port" */
	char local[CONN_ADDRESS_MAX]; /* where it came in */
	bool header_digest, data_digest;
	bool asked;         /* to log out */
	bool leaving;       /* it does */
	uint64_t silent_ns; /* since something came last */
};

/* A session in full feature phase; a copy. */
struct iscsi_session_look {
	struct list node;
	uint16_t tsih, tpgt;
	uint8_t isid[6];
	unsigned loop;
	char initiator[ISCSI_NAME_MAX + 1];
	char target[ISCSI_NAME_MAX + 1]; /* "": a discovery session */
	char *user;                      /* of CHAP, owned; NULL: nothing was to be proved */
	uint64_t age_ns;
	unsigned commands, depth; /* open; the most that may be */
	uint32_t exp_cmd_sn, max_cmd_sn;
	uint64_t done;                      /* commands that are over, of LUNs that it sees */
	uint64_t read_bytes, written_bytes; /* moved by them */
	unsigned conn_count;
	struct iscsi_conn_look *conns; /* owned; in the order in which they came */
};

/* Adds what there is on `loop` to `into`; on its thread. */
void iscsi_look(struct iscsi_server *srv, struct loop *loop, struct list *into);

/* Frees one. Takes it. */
void iscsi_session_look_free(struct iscsi_session_look *s);

enum iscsi_farewell {
	ISCSI_FAREWELL_LOOK, /* nothing happens */
	ISCSI_FAREWELL_ASK,  /* asked to log out, once (RFC 7143 11.9.1) */
	ISCSI_FAREWELL_END,  /* told that it is over, and closed */
};

/*
 * Does that to the session `tsih` on `loop`; 0: to all of them. `seconds`: what is left to log out.
 * Returns how many connections there are that it concerns. On the loop's thread.
 */
unsigned iscsi_dismiss(struct iscsi_server *srv, struct loop *loop, uint16_t tsih,
	enum iscsi_farewell farewell, uint16_t seconds);

/* Refuses every login from now on (RFC 7143 11.13.5, 0301), or no more. Any thread. */
void iscsi_server_rest(struct iscsi_server *srv, bool rest);

#endif
