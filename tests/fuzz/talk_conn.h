/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk_conn.h: the parts of fuzz_talk, an initiator that keeps to the protocol but for what a step
 * of the input has it do wrong.
 *
 * An input is a row of steps of 32 bytes: what to send on which connection, with which field
 * wrong. Everything that depends on the target (numbers, tags, challenges, digests) is filled in
 * from what it has said, so that an input gets deep whatever was changed in it.
 */
#ifndef KURA_TESTS_FUZZ_TALK_H
#define KURA_TESTS_FUZZ_TALK_H

#include "tests/fuzz/world.h"

#include "target/iscsi/pdu.h"

#define TALK_STEPS_MAX   64u
#define TALK_CONNS       4u
#define TALK_PIECES_MOST 100u /* that one PDU arrives in */
#define TALK_TAGS        128u
#define TALK_R2TS        32u
#define TALK_NUMBERS     1024u /* how far ahead a CmdSN is remembered */
#define TALK_DATA_MAX    65535u
#define TALK_TEXT_MAX    4096u
#define TALK_KEYS        16u     /* that one step can say */
#define TALK_RECV_LEAST  8192u   /* MaxRecvDataSegmentLength when we declare none */
#define TALK_BURST_USUAL 262144u /* MaxBurstLength when nobody says it */

#define TALK_CHAP_TARGET "iqn.2026-11.kura.test:chap"
#define TALK_SECRET      "correct-horse-battery"

/* The kinds of steps; tests/fuzz/talk_seeds.py knows them by these numbers. */
enum talk_kind {
	TALK_LOGIN,     /* 0: a whole login; op: enum talk_who, flags: enum talk_login_flag */
	TALK_LOGIN_PDU, /* 1: one request; flags: byte 1 of it, op: enum talk_who or none */
	TALK_COMMAND,   /* 2: body: the CDB; op: what its data is */
	TALK_DATA,      /* 3: a Data-Out; op: enum talk_data_op */
	TALK_TMF,       /* 4: op: the function */
	TALK_NOP,       /* 5: op 0: asks, 1: answers a ping, 2: CmdSN goes back to ExpCmdSN */
	TALK_TEXT,      /* 6: flags: 1 no F, 2 C; op: 1 goes on */
	TALK_LOGOUT,    /* 7: op: the reason */
	TALK_OTHER,     /* 8: op: the opcode, flags: byte 1, body: bytes 20 to 35 */
	TALK_WINDOW,    /* 9: len: bytes that we take, 0: all */
	TALK_CHUNK,     /* 10: len: bytes that arrive at a time, 0: all */
	TALK_TIME,      /* 11: len: milliseconds */
	TALK_CLOSE,     /* 12: op 0: closes, 1: breaks */
	TALK_RAW,       /* 13: op: so many bytes of the body as they are */
	TALK_KINDS
};

/* Bits of talk_step.wrong. */
enum talk_wrong {
	WRONG_CMD_SN = 0x01,        /* `sn` is added to it */
	WRONG_ITT = 0x02,           /* one that is in use, or the reserved one */
	WRONG_HEADER_DIGEST = 0x04, /* */
	WRONG_DATA_DIGEST = 0x08,   /* */
	WRONG_BYTE = 0x10,          /* byte `itt` of the header becomes `sn` */
	WRONG_LENGTH = 0x20,        /* DataSegmentLength lies */
	WRONG_AHS = 0x40,           /* additional headers that do not belong there */
	WRONG_TTT = 0x80,           /* */
};

/* Bits of talk_step.who above the connection's number. */
enum talk_when { TALK_CONN_MASK = 0x03, TALK_BATCH = 0x80 /* the target does not run after it */ };

enum talk_who { WHO_OPEN, WHO_CHAP, WHO_DISCOVERY, WHO_STRANGER, WHO_COUNT };
enum talk_login_flag {
	LOGIN_ALGORITHM = 0x03, /* 5 + so much first */
	LOGIN_MUTUAL = 0x04,
	LOGIN_WRONG_SECRET = 0x08,
	LOGIN_HEADER_DIGEST = 0x10,
	LOGIN_DATA_DIGEST = 0x20,
	LOGIN_SECURITY = 0x40, /* begins in the security stage */
	LOGIN_JOIN = 0x80,     /* to the session of the connection before */
};
enum talk_cmd_flag { /* byte 1 of the PDU as it is, but for bit 3: I */
	CMD_FLAG_IMMEDIATE = 0x08,
};
enum talk_data_op {
	DATA_OP_UNSOLICITED = 0x01, /* else it answers the R2T */
	DATA_OP_NOT_FINAL = 0x02,
	DATA_OP_FINAL = 0x04, /* else F as it has to be */
	DATA_OP_OFFSET = 0x08,
	DATA_OP_SN = 0x10,
	DATA_OP_LAST = 0x20, /* the newest R2T instead of the oldest */
};

struct talk_step {
	uint8_t kind;  /* enum talk_kind */
	uint8_t who;   /* the connection and enum talk_when */
	uint8_t wrong; /* enum talk_wrong */
	uint8_t sn;    /* signed: added to CmdSN */
	uint8_t itt;   /* which of the tags in use */
	uint8_t lun;
	uint8_t op, flags;       /* by kind */
	uint8_t len[2];          /* bytes of data, big-endian */
	uint8_t off[2];          /* by kind, big-endian: an offset, an ISID, a CID */
	uint8_t edtl[4];         /* Expected Data Transfer Length, big-endian */
	uint8_t body[TALK_KEYS]; /* CDB, or numbers of keys */
};
_Static_assert(sizeof(struct talk_step) == 32, "as talk_seeds.py writes it");

/* A request whose answer has not come. */
struct talk_tag {
	uint32_t itt;
	uint8_t opcode;
	uint8_t count; /* how many went out with this tag; 0: a free place */
	bool doubtful; /* more than one has gone out with this tag: which was answered? */
	bool read, write;
	uint32_t edtl, cmd_sn;
	bool immediate;
	uint32_t data_sn, offset, r2t_sn; /* the next ones that must come */
	uint32_t unsolicited, out_sn;     /* of what we send without being asked */
	uint8_t lun[8];
};

/* An R2T that is not answered to its end. */
struct talk_r2t {
	uint32_t itt, ttt, offset, len, sent, data_sn;
	uint8_t lun[8];
};

struct talk_session {
	uint8_t isid[6];
	uint16_t tsih;
	uint32_t first; /* the next CmdSN to use: the first that was not */
	uint32_t most;  /* behind the highest number sent: ExpCmdSN cannot be beyond it */
	uint8_t used[TALK_NUMBERS / 8];
	uint32_t itt; /* the last one used */
	bool wild;    /* the target may see PDUs that we do not know of */
};

struct talk_conn {
	struct sim_peer *peer; /* NULL: not open */
	struct talk_session *session;
	struct talk_session *own; /* the one that is its alone when it joins no other */
	uint16_t cid;
	size_t chunk;    /* as sim_chunk has it */
	bool full;       /* full feature phase */
	bool hushed;     /* we have sent EOF: nothing more may be pushed */
	bool full_known; /* ExpCmdSN and MaxCmdSN have been seen in it */
	bool header_digest, data_digest;
	bool stat_known;
	uint32_t stat_sn, exp_cmd_sn, max_cmd_sn;
	uint32_t recv_most; /* the largest MaxRecvDataSegmentLength that we declared */
	uint32_t max_burst, max_r2t;
	uint32_t ping_ttt; /* of a NOP-In that wants an answer */
	uint32_t text_ttt, text_itt;
	uint32_t login_itt;
	bool began;     /* the first login request is out */
	bool login_odd; /* one of them had something wrong */
	bool answered;  /* a login response came since this was cleared */
	uint8_t login_flags;
	uint16_t login_status;
	char text[TALK_TEXT_MAX + 1]; /* of the last login response, NULs and all */
	uint32_t text_len;
	struct talk_tag tags[TALK_TAGS];
	bool tags_lost; /* there were more */
	struct talk_r2t r2ts[TALK_R2TS];
	unsigned r2t_count;
	unsigned answers; /* PDUs that came */
};

struct talk {
	struct world *world;
	struct talk_conn conn[TALK_CONNS];
	struct talk_session session[TALK_CONNS];
};

/* ---- fuzz_talk.c ---- */

/* Lets the target run and reads what it says. */
void talk_turn(struct talk *t);
/* Opens a connection; it is closed before if it is open. */
void talk_open(struct talk *t, struct talk_conn *c);
/* A connection goes, as by a reset. */
void talk_drop(struct talk *t, struct talk_conn *c);

/* ---- talk_world.c ---- */

/* A new server on the loop that stays: two targets, three units, nobody logged in. */
struct world *talk_world_new(void);
/* Ends it; nothing may be left of it. */
void talk_world_free(struct world *w);

/* ---- talk_login.c ---- */

/* A whole login, or as much of one as the target goes along with. */
void talk_login(struct talk *t, struct talk_conn *c, const struct talk_step *step);
/* One login request on its own. */
void talk_login_pdu(struct talk *t, struct talk_conn *c, const struct talk_step *step);
/* The keys that a step names, each with its NUL; how many bytes. */
uint32_t talk_keys(struct talk_conn *c, const struct talk_step *step, char *out, uint32_t room);

/* ---- talk_send.c ---- */

/* Carries out a step of full feature phase on an open connection. */
void talk_send(struct talk *t, struct talk_conn *c, const struct talk_step *step);
/* Sends a header, additional headers and data with what the step says is wrong with them. */
void talk_push(struct talk_conn *c, union pdu *pdu, const struct talk_step *step,
	const uint8_t *data, uint32_t len);
/* The tag of a request that is out, or NULL. */
struct talk_tag *talk_find(struct talk_conn *c, uint32_t itt);
/* A number was used up, by a PDU or by the abort of one that never came. */
void talk_number_used(struct talk_session *s, uint32_t cmd_sn);

/* ---- talk_check.c ---- */

/* Reads whole PDUs of what came; anything wrong with them ends the process. */
void talk_read(struct talk_conn *c);

/* ---- small things ---- */

static inline uint32_t talk_u16(const uint8_t p[2])
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t talk_u32(const uint8_t p[4])
{
	return talk_u16(p) << 16 | talk_u16(p + 2);
}

#endif
