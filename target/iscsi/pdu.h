/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdu.h: iSCSI PDUs as RFC 7143 11 draws them: structs of bytes, 48 each, and the codes in them.
 *
 * Nothing here has behaviour; offsets and sizes are asserted. A field that only some PDUs have is
 * in the struct of that PDU; all share the first 20 bytes.
 */
#ifndef KURA_TARGET_ISCSI_PDU_H
#define KURA_TARGET_ISCSI_PDU_H

#include "common/be.h"

#include <stddef.h>

#define PDU_BHS_LEN      48
#define PDU_AHS_MAX      (255 * 4)
#define PDU_TAG_RESERVED 0xffffffffu /* RFC 7143 11.2.1.8 */

enum pdu_opcode {
#define OPCODE(code, id, name) PDU_##id = code,
#include "target/iscsi/opcodes.def"
#undef OPCODE
};

#define PDU_IMMEDIATE   0x40 /* byte 0, I bit: RFC 7143 11.2.1.1 */
#define PDU_OPCODE_MASK 0x3f
#define PDU_FINAL       0x80 /* byte 1, F bit */

/* What every PDU has: RFC 7143 11.2.1. */
struct pdu_bhs {
	uint8_t opcode;       /* 0: I bit and opcode */
	uint8_t flags;        /* 1: F bit and opcode-specific */
	uint8_t b2, b3;       /* 2 */
	uint8_t ahs_words;    /* 4: TotalAHSLength, in 4-byte words */
	struct be24 data_len; /* 5: DataSegmentLength */
	uint8_t lun[8];       /* 8: LUN or opcode-specific */
	struct be32 itt;      /* 16: Initiator Task Tag */
	uint8_t rest[28];     /* 20 */
};

/* SCSI Command, RFC 7143 11.3. */
struct pdu_scsi_cmd {
	uint8_t opcode;
	uint8_t flags; /* F, R, W, attribute */
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 expected_len; /* 20: Expected Data Transfer Length */
	struct be32 cmd_sn;
	struct be32 exp_stat_sn;
	uint8_t cdb[16]; /* 32 */
};
#define PDU_CMD_READ      0x40
#define PDU_CMD_WRITE     0x20
#define PDU_CMD_ATTR_MASK 0x07
#define PDU_AHS_CDB       1 /* RFC 7143 11.2.2.3 Extended CDB */
#define PDU_AHS_BIDI_READ 2 /* RFC 7143 11.2.2.4 */

/* SCSI Response, RFC 7143 11.4. */
struct pdu_scsi_rsp {
	uint8_t opcode;
	uint8_t flags; /* F, o, u, O, U */
	uint8_t response;
	uint8_t status;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t reserved8[8];
	struct be32 itt;
	struct be32 snack_tag;
	struct be32 stat_sn; /* 24 */
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	struct be32 exp_data_sn; /* 36 */
	struct be32 bidi_residual;
	struct be32 residual; /* 44 */
};
#define PDU_RSP_OVERFLOW       0x04 /* O */
#define PDU_RSP_UNDERFLOW      0x02 /* U */
#define PDU_RSP_COMPLETED      0x00
#define PDU_RSP_TARGET_FAILURE 0x01

/* Task Management Function Request, RFC 7143 11.5. */
struct pdu_tmf_req {
	uint8_t opcode;
	uint8_t function; /* F bit and function */
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ref_itt; /* 20: Referenced Task Tag */
	struct be32 cmd_sn;
	struct be32 exp_stat_sn;
	struct be32 ref_cmd_sn; /* 32 */
	struct be32 exp_data_sn;
	uint8_t reserved40[8];
};

/* Task Management Function Response, RFC 7143 11.6. */
struct pdu_tmf_rsp {
	uint8_t opcode;
	uint8_t flags;
	uint8_t response;
	uint8_t b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t reserved8[8];
	struct be32 itt;
	uint8_t reserved20[4];
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	uint8_t reserved36[12];
};

/* SCSI Data-Out, RFC 7143 11.7. */
struct pdu_data_out {
	uint8_t opcode;
	uint8_t flags;
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt; /* 20: Target Transfer Tag */
	uint8_t reserved24[4];
	struct be32 exp_stat_sn;
	uint8_t reserved32[4];
	struct be32 data_sn; /* 36 */
	struct be32 offset;  /* 40: Buffer Offset */
	uint8_t reserved44[4];
};

/* SCSI Data-In, RFC 7143 11.7. */
struct pdu_data_in {
	uint8_t opcode;
	uint8_t flags; /* F, A, O, U, S */
	uint8_t b2;
	uint8_t status;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt;
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	struct be32 data_sn;  /* 36 */
	struct be32 offset;   /* 40 */
	struct be32 residual; /* 44 */
};
#define PDU_DATA_IN_STATUS 0x01 /* S */

/* Ready To Transfer, RFC 7143 11.8. */
struct pdu_r2t {
	uint8_t opcode;
	uint8_t flags;
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt;
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	struct be32 r2t_sn; /* 36 */
	struct be32 offset;
	struct be32 desired_len; /* 44 */
};

/* Asynchronous Message, RFC 7143 11.9. */
struct pdu_async {
	uint8_t opcode;
	uint8_t flags;
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 tag; /* 16: 0xffffffff */
	uint8_t reserved20[4];
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	uint8_t event; /* 36 */
	uint8_t vcode;
	struct be16 param1, param2, param3;
	uint8_t reserved44[4];
};
#define PDU_ASYNC_LOGOUT       1 /* the target asks for a logout within param3 seconds */
#define PDU_ASYNC_DROP_CONN    2
#define PDU_ASYNC_DROP_SESSION 3

/* Text Request, RFC 7143 11.10. */
struct pdu_text_req {
	uint8_t opcode;
	uint8_t flags; /* F, C */
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt;
	struct be32 cmd_sn;
	struct be32 exp_stat_sn;
	uint8_t reserved32[16];
};
#define PDU_CONTINUE 0x40 /* C bit of text and login */

/* Text Response, RFC 7143 11.11. */
struct pdu_text_rsp {
	uint8_t opcode;
	uint8_t flags;
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt;
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	uint8_t reserved36[12];
};

/* Login Request, RFC 7143 11.12. */
struct pdu_login_req {
	uint8_t opcode;
	uint8_t flags; /* T, C, CSG, NSG */
	uint8_t version_max;
	uint8_t version_min;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t isid[6];  /* 8 */
	struct be16 tsih; /* 14 */
	struct be32 itt;
	struct be16 cid; /* 20 */
	uint8_t reserved22[2];
	struct be32 cmd_sn;
	struct be32 exp_stat_sn;
	uint8_t reserved32[16];
};
#define PDU_LOGIN_TRANSIT  0x80
#define PDU_LOGIN_CSG(f)   ((f) >> 2 & 3)
#define PDU_LOGIN_NSG(f)   ((f)&3)
#define PDU_STAGE_SECURITY 0
#define PDU_STAGE_OPERATE  1
#define PDU_STAGE_FULL     3

/* Login Response, RFC 7143 11.13. */
struct pdu_login_rsp {
	uint8_t opcode;
	uint8_t flags;
	uint8_t version_max;
	uint8_t version_active;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t isid[6];
	struct be16 tsih;
	struct be32 itt;
	uint8_t reserved20[4];
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	struct be16 status; /* 36: class, detail */
	uint8_t reserved38[10];
};

/* Logout Request, RFC 7143 11.14. */
struct pdu_logout_req {
	uint8_t opcode;
	uint8_t reason; /* F bit and reason */
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t reserved8[8];
	struct be32 itt;
	struct be16 cid; /* 20 */
	uint8_t reserved22[2];
	struct be32 cmd_sn;
	struct be32 exp_stat_sn;
	uint8_t reserved32[16];
};
#define PDU_LOGOUT_SESSION  0
#define PDU_LOGOUT_CONN     1
#define PDU_LOGOUT_RECOVERY 2

/* Logout Response, RFC 7143 11.15. */
struct pdu_logout_rsp {
	uint8_t opcode;
	uint8_t flags;
	uint8_t response;
	uint8_t b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t reserved8[8];
	struct be32 itt;
	uint8_t reserved20[4];
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	uint8_t reserved36[4];
	struct be16 time2wait; /* 40, seconds */
	struct be16 time2retain;
	uint8_t reserved44[4];
};

/* Reject, RFC 7143 11.17; the header of the bad PDU is its data. */
struct pdu_reject {
	uint8_t opcode;
	uint8_t flags;
	uint8_t reason;
	uint8_t b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t reserved8[8];
	struct be32 tag; /* 16: 0xffffffff */
	uint8_t reserved20[4];
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	struct be32 data_sn;
	uint8_t reserved40[8];
};
enum pdu_reject_reason {
	PDU_REJECT_DATA_DIGEST = 0x02,
	PDU_REJECT_SNACK = 0x03,
	PDU_REJECT_PROTOCOL = 0x04,
	PDU_REJECT_NOT_SUPPORTED = 0x05,
	PDU_REJECT_IMMEDIATE = 0x06,
	PDU_REJECT_TASK_IN_PROGRESS = 0x07,
	PDU_REJECT_INVALID_DATA_ACK = 0x08,
	PDU_REJECT_INVALID_FIELD = 0x09,
	PDU_REJECT_LONG_OPERATION = 0x0a,
	PDU_REJECT_WAITING_LOGOUT = 0x0c,
};

/* NOP-Out, RFC 7143 11.18. */
struct pdu_nop_out {
	uint8_t opcode;
	uint8_t flags;
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt;
	struct be32 cmd_sn;
	struct be32 exp_stat_sn;
	uint8_t reserved32[16];
};

/* NOP-In, RFC 7143 11.19. */
struct pdu_nop_in {
	uint8_t opcode;
	uint8_t flags;
	uint8_t b2, b3;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	struct be32 ttt;
	struct be32 stat_sn;
	struct be32 exp_cmd_sn;
	struct be32 max_cmd_sn;
	uint8_t reserved36[12];
};

/* A received header is looked at through whichever struct its opcode says. */
union pdu {
	struct pdu_bhs bhs;
	struct pdu_scsi_cmd scsi_cmd;
	struct pdu_scsi_rsp scsi_rsp;
	struct pdu_tmf_req tmf_req;
	struct pdu_tmf_rsp tmf_rsp;
	struct pdu_data_out data_out;
	struct pdu_data_in data_in;
	struct pdu_r2t r2t;
	struct pdu_async async;
	struct pdu_text_req text_req;
	struct pdu_text_rsp text_rsp;
	struct pdu_login_req login_req;
	struct pdu_login_rsp login_rsp;
	struct pdu_logout_req logout_req;
	struct pdu_logout_rsp logout_rsp;
	struct pdu_reject reject;
	struct pdu_nop_out nop_out;
	struct pdu_nop_in nop_in;
	uint8_t bytes[PDU_BHS_LEN];
};

_Static_assert(sizeof(union pdu) == PDU_BHS_LEN, "every header is 48 bytes");
_Static_assert(sizeof(struct pdu_scsi_cmd) == PDU_BHS_LEN, "RFC 7143 11.3");
_Static_assert(sizeof(struct pdu_login_rsp) == PDU_BHS_LEN, "RFC 7143 11.13");
_Static_assert(offsetof(struct pdu_scsi_cmd, cdb) == 32, "RFC 7143 11.3");
_Static_assert(offsetof(struct pdu_data_in, residual) == 44, "RFC 7143 11.7");
_Static_assert(offsetof(struct pdu_data_out, offset) == 40, "RFC 7143 11.7");
_Static_assert(offsetof(struct pdu_r2t, desired_len) == 44, "RFC 7143 11.8");
_Static_assert(offsetof(struct pdu_async, event) == 36, "RFC 7143 11.9");
_Static_assert(offsetof(struct pdu_login_req, cid) == 20, "RFC 7143 11.12");
_Static_assert(offsetof(struct pdu_login_rsp, status) == 36, "RFC 7143 11.13");
_Static_assert(offsetof(struct pdu_logout_rsp, time2wait) == 40, "RFC 7143 11.15");

/* Bytes of padding behind `len` bytes of data (RFC 7143 11.2.3). */
static inline uint32_t pdu_pad(uint32_t len)
{
	return -len & 3;
}

#endif
