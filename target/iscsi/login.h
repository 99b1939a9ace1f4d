/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.h: what the other files of the room may ask of a login besides what conn.h lists.
 */
#ifndef KURA_TARGET_ISCSI_LOGIN_H
#define KURA_TARGET_ISCSI_LOGIN_H

#include "target/iscsi/conn.h"

/* Status-Class and Status-Detail of a Login Response, RFC 7143 11.13.5. */
enum login_status {
	LOGIN_SUCCESS = 0x0000,
	LOGIN_MOVED = 0x0101,      /* the target is elsewhere for now */
	LOGIN_MOVED_AWAY = 0x0102, /* for good */
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION = 0x0201, /* who it is was not proved */
	LOGIN_AUTHORIZATION = 0x0202,  /* it may not come in here */
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_VERSION = 0x0205,
	LOGIN_TOO_MANY = 0x0206,
	LOGIN_MISSING = 0x0207,
	LOGIN_NOT_INCLUDED = 0x0208, /* the connection cannot belong to this session */
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_OUT_OF_PLACE = 0x020b, /* another PDU than a Login Request */
	LOGIN_UNAVAILABLE = 0x0301,
	LOGIN_RESOURCES = 0x0302,
};

/*
 * The PDU with the header `bhs` came within a login and is no Login Request: answered with a Login
 * Response that says so, then the connection is closed (RFC 7143 6.3). Only in CONN_IN_LOGIN.
 */
void login_out_of_place(struct conn *c, const struct pdu_bhs *bhs);

#endif
