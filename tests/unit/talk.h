/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h: a connection without a network, for tests of login.c and text.c: what they send is caught
 * in `w`. A text is written with '|' for each NUL.
 */
#ifndef KURA_TESTS_UNIT_TALK_H
#define KURA_TESTS_UNIT_TALK_H

#include "target/iscsi/access.h"
#include "target/iscsi/keys.h"
#include "target/iscsi/login.h"

#include "common/own.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_I "InitiatorName=iqn.2026-11.kura.test:initiator|"
#define NAME_T "TargetName=iqn.2026-11.kura.test:wire|"
#define NAMES  NAME_I NAME_T
#define GROUP  "TargetPortalGroupTag=1|"
#define RECV   "MaxRecvDataSegmentLength=262144|"

#define T            PDU_LOGIN_TRANSIT
#define C            PDU_CONTINUE
#define FLAGS(a, b)  ((a) << 2 | (b))
#define OPERATE_FULL (T | FLAGS(1, 3))

struct talk {
	struct conn conn;
	struct iscsi_server *server; /* with one loop */
	struct iscsi_catalogue catalogue;
	struct iscsi_target target[4];
	struct access_rule rule[4]; /* one for each */
	struct scsi_target *port[4];
	uint16_t tags[1];
	unsigned targets;
	struct session session;
	bool no_session; /* session_new fails */
	bool no_memory;  /* conn_send fails, which closes */
	bool joined;
	struct conn_join wish; /* which session it was to join */
	int refuses;           /* what member_add says */
	uint64_t now_ms;
	struct loop_timer *timer; /* set, for wait_ms; or NULL */
	uint32_t wait_ms;
	/* the last PDU sent */
	unsigned sent;
	bool last;
	union pdu pdu;
	char text[70000]; /* '|' for NUL */
	uint32_t len;
	int rejected; /* reason, or -1 */
	struct pdu_login_req req;
	struct pdu_text_req text_req;
};
extern struct talk w;

/* A server of three targets and a new connection to it: set-up and tear-down of a test. */
int set_up(void **state);
int tear_down(void **state);

/* A new connection to the same server. */
void connect_again(void);

/* Sends a Login Request; one PDU at most comes back. */
void say(unsigned flags, const char *text);

/* The last PDU is a Login Response without an error. */
void hear(unsigned flags, const char *text);

/* The last PDU refused the login, and nothing will follow. */
void hear_refusal(enum login_status status);

/* The timer that is set runs. */
void pass_time(void);

/* The registry answers; the login is over. */
void establish(void);

/* A new connection that reaches full feature phase with this text. */
void log_in(const char *text);

/* Sends a Text Request; one PDU comes back. */
void ask(unsigned flags, const char *text);

#endif
