/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_guts.h: a login under way, for the files that make it up: login.c has its requests, its
 * answers and its end, login_text.c what the text of the requests says.
 */
#ifndef KURA_TARGET_ISCSI_LOGIN_GUTS_H
#define KURA_TARGET_ISCSI_LOGIN_GUTS_H

#include "target/iscsi/access.h"
#include "target/iscsi/keys.h"
#include "target/iscsi/login.h"
#include "target/iscsi/login_chap.h"

struct login {
	struct conn *conn;
	struct pdu_login_req first; /* of the login: what must stay the same is compared with it */
	struct pdu_login_req req;   /* the last one */
	unsigned stage;             /* PDU_STAGE_SECURITY or _OPERATE: the one we are in */
	bool named;                 /* the first text is taken: who and what is known */
	bool joining;               /* the registry is asked; only login_established goes on */
	struct iscsi_catalogue *catalogue; /* what all of this is looked up in; kept */
	struct iscsi_target *target;       /* NULL: discovery */
	const struct access_rule *rule;    /* by which it may use the target; NULL: discovery */
	const struct iscsi_auth *auth;     /* what it has to prove; NULL: nothing */
	struct chap chap;
	uint32_t wait_ms;        /* the answer to the last text waits */
	struct loop_timer timer; /* so long */
	bool waiting;
	enum login_status late_status; /* and then says this */
	const char *late_rule;
	unsigned requests; /* that came */
	struct keys keys;
	struct keys_text in;                  /* text of requests with the C bit so far */
	struct keys_text out;                 /* answers */
	uint32_t out_sent;                    /* bytes of `out` that went out */
	char initiator[ISCSI_NAME_MAX + 1];   /* as it says, normalised */
	char target_name[ISCSI_NAME_MAX + 1]; /* the same */
};

/* Whether it needs no secret, or has shown that it knows it. */
bool login_is_proved(const struct login *l);

/* The text in c->login->in is complete: negotiates it into `out`. LOGIN_SUCCESS, or why not, with
 * the rule that it breaks (static) in *rule. */
enum login_status login_take_text(struct conn *c, const char **rule);

#endif
