// SPDX-License-Identifier: Apache-2.0
/*
 * test_login.c: logins and text requests as conversations, without a network: what login.c and
 * text.c send is caught here. A text is written with '|' for each NUL.
 */
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

/* ---- what stands in for the rest of the room ------------------------------------------------ */

static struct {
	struct conn conn;
	struct iscsi_server *server; /* with one loop */
	struct iscsi_target target[4];
	unsigned targets;
	struct session session;
	bool no_session; /* session_new fails */
	bool no_memory;  /* conn_send fails, which closes */
	bool joined;
	/* the last PDU sent */
	unsigned sent;
	bool last;
	union pdu pdu;
	char text[70000]; /* '|' for NUL */
	uint32_t len;
	int rejected; /* reason, or -1 */
	struct pdu_login_req req;
	struct pdu_text_req text_req;
} w;

const char *scsi_target_iqn(const struct scsi_target *target)
{
	return (const char *)target;
}

static void close_conn(struct conn *c)
{
	c->state = CONN_FREE;
	login_free(c);
	text_free(c);
}

struct conn_ctl *conn_send(
	struct conn *c, const union pdu *pdu, const void *data, uint32_t len, bool takes_stat_sn)
{
	static struct conn_ctl ctl;

	if (w.no_memory) {
		close_conn(c);
		return NULL;
	}
	assert_true(takes_stat_sn);
	assert_int_not_equal(c->state, CONN_FREE);
	assert_true(len < sizeof w.text);
	w.sent++;
	w.pdu = *pdu;
	w.len = len;
	for (uint32_t i = 0; i < len; i++)
		w.text[i] = ((const char *)data)[i] ? ((const char *)data)[i] : '|';
	w.text[len] = '\0';
	return &ctl;
}

void conn_send_last(struct conn *c, const union pdu *pdu, const void *data, uint32_t len)
{
	if (!conn_send(c, pdu, data, len, true))
		return;
	w.last = true;
	c->tx.last = true;
}

void conn_reject(struct conn *c, const void *bhs, enum pdu_reject_reason reason)
{
	(void)c;
	(void)bhs;
	w.sent++;
	w.rejected = (int)reason;
}

void conn_event(struct conn *c, enum conn_event event)
{
	if (event == CONN_EV_LOGIN) {
		assert_int_equal(c->state, CONN_XPT_UP);
		c->state = CONN_IN_LOGIN;
	} else {
		assert_int_equal(event, CONN_EV_LOGGED_IN);
		assert_int_equal(c->state, CONN_IN_LOGIN);
		c->state = CONN_LOGGED_IN;
	}
}

struct session *session_new(
	struct conn *c, struct iscsi_target *target, const uint8_t isid[6], uint32_t cmd_sn)
{
	if (w.no_session)
		return NULL;
	w.session = (struct session){ .conn = c, .target = target, .exp_cmd_sn = cmd_sn };
	memcpy(w.session.isid, isid, 6);
	return &w.session;
}

void session_join(struct session *s)
{
	assert_ptr_equal(s, &w.session);
	s->tsih = 0x1234;
	w.joined = true;
}

static void offer(const char *iqn, const char *initiator, const char *alias)
{
	static char *names[own_array_len(w.target)];
	struct iscsi_target *t = &w.target[w.targets];

	names[w.targets] = (char *)(uintptr_t)initiator;
	t->scsi = (struct scsi_target *)(uintptr_t)iqn;
	t->alias = (char *)(uintptr_t)alias;
	t->names = &names[w.targets++];
	t->name_count = initiator != NULL;
	list_push(&w.server->targets, &t->node);
}

/* A new connection to the same server. */
static void connect_again(void)
{
	close_conn(&w.conn);
	memset(&w.conn, 0, sizeof w.conn);
	w.conn.srv = w.server;
	w.conn.home = w.server->loops;
	w.conn.id = 7;
	strcpy(w.conn.peer, "127.0.0.1:43210");
	strcpy(w.conn.local, "127.0.0.1:3260");
	w.req = (struct pdu_login_req){ .opcode = PDU_IMMEDIATE | PDU_LOGIN_REQ };
	be32_set(&w.req.itt, 0x77);
	be32_set(&w.req.cmd_sn, 100);
	memcpy(w.req.isid, "\x00\x02\x3d\x00\x00\x01", 6);
	w.text_req = (struct pdu_text_req){ .opcode = PDU_TEXT_REQ };
	be32_set(&w.text_req.itt, 1);
	be32_set(&w.text_req.ttt, PDU_TAG_RESERVED);
	w.no_session = w.no_memory = w.joined = w.last = false;
	w.rejected = -1;
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	w.server = own_calloc(1, sizeof *w.server + sizeof w.server->loops[0]);
	list_init(&w.server->targets);
	offer("iqn.2026-11.kura.test:wire", "*", NULL);
	offer("iqn.2026-11.kura.test:closed", "iqn.2026-11.kura.test:friend", "Bob's disk");
	offer("iqn.2026-11.kura.test:nobody", NULL, NULL);
	connect_again();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_conn(&w.conn);
	free(w.server);
	return 0;
}

/* ---- saying and hearing --------------------------------------------------------------------- */

static char *to_wire(const char *text)
{
	size_t len = strlen(text);
	char *wire = malloc(len ? len : 1); /* exactly: a read behind it is seen by ASan */

	for (size_t i = 0; i < len; i++)
		wire[i] = text[i] == '|' ? '\0' : text[i];
	return wire;
}

/* Sends a Login Request; one PDU at most comes back. */
static void say(unsigned flags, const char *text)
{
	unsigned before = w.sent;
	char *wire = to_wire(text);

	w.req.flags = (uint8_t)flags;
	login_receive(&w.conn, &w.req, (const uint8_t *)wire, (uint32_t)strlen(text));
	free(wire);
	assert_true(w.sent <= before + 1);
}

/* The last PDU is a Login Response without an error. */
static void hear(unsigned flags, const char *text)
{
	assert_int_equal(w.pdu.bhs.opcode, PDU_LOGIN_RSP);
	assert_int_equal(be16_get(&w.pdu.login_rsp.status), LOGIN_SUCCESS);
	assert_int_equal(w.pdu.login_rsp.flags, flags);
	assert_memory_equal(&w.pdu.login_rsp.itt, &w.req.itt, 4);
	assert_memory_equal(w.pdu.login_rsp.isid, w.req.isid, 6);
	assert_int_equal(be32_get(&w.pdu.login_rsp.exp_cmd_sn), 100);
	assert_string_equal(w.text, text);
}

/* The last PDU refused the login, and nothing will follow. */
static void hear_refusal(enum login_status status)
{
	unsigned before = w.sent;

	assert_int_equal(w.pdu.bhs.opcode, PDU_LOGIN_RSP);
	assert_int_equal(be16_get(&w.pdu.login_rsp.status), status);
	assert_int_equal(w.pdu.login_rsp.flags & T, 0);
	assert_int_equal(w.len, 0);
	assert_true(w.last);
	say(OPERATE_FULL, NAMES);
	login_established(&w.conn, 0);
	assert_int_equal(w.sent, before);
	assert_int_not_equal(w.conn.state, CONN_LOGGED_IN);
}

static void establish(void)
{
	assert_true(w.joined);
	assert_int_equal(w.conn.state, CONN_IN_LOGIN);
	login_established(&w.conn, 0);
	assert_int_equal(w.conn.state, CONN_LOGGED_IN);
	assert_int_equal(be16_get(&w.pdu.login_rsp.tsih), 0x1234);
	assert_null(w.conn.login);
}

static void log_in(const char *text)
{
	connect_again();
	say(OPERATE_FULL, text);
	establish();
}

/* ---- logins --------------------------------------------------------------------------------- */

static void test_operational_stage_to_full(void **state)
{
	(void)state;
	say(OPERATE_FULL, NAMES "SessionType=Normal|HeaderDigest=CRC32C|MaxBurstLength=65536|");
	assert_int_equal(w.sent, 0); /* the registry is asked first */
	assert_false(w.conn.params.header_digest);
	establish();
	hear(OPERATE_FULL, "HeaderDigest=CRC32C|MaxBurstLength=65536|" GROUP RECV);
	assert_true(w.conn.params.header_digest);
	assert_int_equal(w.conn.params.max_burst, 65536);
	assert_string_equal(w.conn.initiator, "iqn.2026-11.kura.test:initiator");
	assert_ptr_equal(w.session.target, &w.target[0]);
	assert_ptr_equal(w.conn.session, &w.session);
	assert_int_equal(w.session.exp_cmd_sn, 100);
	assert_memory_equal(w.session.isid, w.req.isid, 6);
}

/* The example of RFC 7143 6.3 with security first, then operational parameters, in single steps. */
static void test_security_then_operational(void **state)
{
	(void)state;
	say(T | FLAGS(0, 1), NAMES "SessionType=Normal|AuthMethod=CHAP,None|");
	hear(T | FLAGS(0, 1), "AuthMethod=None|" GROUP);
	say(FLAGS(1, 0), "InitialR2T=No|");
	hear(FLAGS(1, 0), "InitialR2T=No|" RECV);
	say(FLAGS(1, 0), "");
	hear(FLAGS(1, 0), "");
	say(FLAGS(1, 0), "ErrorRecoveryLevel=2|");
	hear(FLAGS(1, 0), "ErrorRecoveryLevel=0|");
	say(OPERATE_FULL, "");
	establish();
	hear(OPERATE_FULL, "");
	assert_false(w.conn.params.initial_r2t);
}

static void test_security_to_full(void **state)
{
	(void)state;
	say(FLAGS(0, 0), NAMES "AuthMethod=None|");
	hear(FLAGS(0, 0), "AuthMethod=None|" GROUP);
	say(T | FLAGS(0, 3), "");
	establish();
	hear(T | FLAGS(0, 3), "");
}

static void test_alias_and_names_in_any_case(void **state)
{
	(void)state;
	say(OPERATE_FULL, "InitiatorName=iqn.2026-11.KURA.test:FRIEND|"
			  "TargetName=iqn.2026-11.kura.test:Closed|");
	establish();
	hear(OPERATE_FULL, GROUP "TargetAlias=Bob's disk|" RECV);
}

static void test_discovery(void **state)
{
	(void)state;
	say(OPERATE_FULL, NAME_I "SessionType=Discovery|MaxConnections=4|");
	establish();
	hear(OPERATE_FULL, "MaxConnections=Irrelevant|" RECV);
	assert_null(w.session.target);
	assert_true(w.conn.params.discovery);
}

static void test_text_in_parts(void **state)
{
	(void)state;
	say(C | FLAGS(1, 0), NAMES "MaxBurst");
	hear(FLAGS(1, 0), "");
	say(OPERATE_FULL, "Length=65536|");
	establish();
	hear(OPERATE_FULL, "MaxBurstLength=65536|" GROUP RECV);
}

/* An answer longer than what the initiator takes: in parts, T only with the last. */
static void test_answer_in_parts(void **state)
{
	char offers[4096] = NAMES "MaxRecvDataSegmentLength=512|", got[4096] = "";

	(void)state;
	for (int i = 0; i < 60; i++)
		sprintf(offers + strlen(offers), "X-a%02d=1|", i);
	say(OPERATE_FULL, offers);
	for (int part = 0; part < 2; part++) {
		assert_int_equal(w.pdu.login_rsp.flags, C | FLAGS(1, 0));
		assert_int_equal(w.len, 512);
		strcat(got, w.text);
		say(OPERATE_FULL, "");
	}
	establish();
	strcat(got, w.text);
	assert_int_equal(w.pdu.login_rsp.flags, OPERATE_FULL);
	assert_int_equal(strlen(got), 60 * strlen("X-a00=NotUnderstood|") + strlen(GROUP RECV));
	assert_non_null(strstr(got, "X-a59=NotUnderstood|" GROUP RECV));
}

static void test_text_between_the_parts_of_an_answer(void **state)
{
	char offers[4096] = NAMES "MaxRecvDataSegmentLength=512|";

	(void)state;
	for (int i = 0; i < 60; i++)
		sprintf(offers + strlen(offers), "X-a%02d=1|", i);
	say(FLAGS(1, 0), offers);
	assert_int_equal(w.pdu.login_rsp.flags, C | FLAGS(1, 0));
	say(FLAGS(1, 0), "InitialR2T=No|");
	hear_refusal(LOGIN_INITIATOR_ERROR);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void test_refused_at_once(void **state)
{
	static const struct {
		unsigned flags;
		enum login_status status;
		const char *text;
	} rows[] = {
		{ OPERATE_FULL, LOGIN_MISSING, NAME_T },
		{ OPERATE_FULL, LOGIN_MISSING, NAME_I },
		{ OPERATE_FULL, LOGIN_MISSING, "" },
		{ FLAGS(0, 0), LOGIN_MISSING, "AuthMethod=None|" },
		{ OPERATE_FULL, LOGIN_INITIATOR_ERROR, "InitiatorName=nobody|" NAME_T },
		{ OPERATE_FULL, LOGIN_INITIATOR_ERROR, "InitiatorName=|" NAME_T },
		{ OPERATE_FULL, LOGIN_SESSION_TYPE, NAMES "SessionType=Festive|" },
		{ OPERATE_FULL, LOGIN_SESSION_TYPE, NAMES "SessionType=|" },
		{ OPERATE_FULL, LOGIN_NOT_FOUND, NAME_I "TargetName=iqn.2026-11.kura.test:x|" },
		{ OPERATE_FULL, LOGIN_NOT_FOUND, NAME_I "TargetName=|" },
		{ OPERATE_FULL, LOGIN_AUTHORIZATION,
			NAME_I "TargetName=iqn.2026-11.kura.test:closed|" },
		{ OPERATE_FULL, LOGIN_AUTHORIZATION,
			NAME_I "TargetName=iqn.2026-11.kura.test:nobody|" },
		{ T | FLAGS(0, 1), LOGIN_AUTHENTICATION, NAMES "AuthMethod=CHAP|" },
		{ OPERATE_FULL, LOGIN_INITIATOR_ERROR, NAMES "MaxRecvDataSegmentLength=0|" },
		{ OPERATE_FULL, LOGIN_INITIATOR_ERROR, NAMES NAME_I },
		{ OPERATE_FULL, LOGIN_INITIATOR_ERROR, NAMES "nonsense|" },
		{ OPERATE_FULL, LOGIN_INITIATOR_ERROR, NAMES "MaxBurstLength=65536" },
		{ T | C | FLAGS(1, 3), LOGIN_INITIATOR_ERROR, NAMES },
		{ T | FLAGS(1, 0), LOGIN_INITIATOR_ERROR, NAMES },
		{ T | FLAGS(1, 1), LOGIN_INITIATOR_ERROR, NAMES },
		{ T | FLAGS(1, 2), LOGIN_INITIATOR_ERROR, NAMES },
		{ T | FLAGS(0, 0), LOGIN_INITIATOR_ERROR, NAMES },
		{ T | FLAGS(0, 2), LOGIN_INITIATOR_ERROR, NAMES },
		{ FLAGS(2, 0), LOGIN_INITIATOR_ERROR, NAMES },
		{ T | FLAGS(2, 3), LOGIN_INITIATOR_ERROR, NAMES },
		{ FLAGS(3, 0), LOGIN_INITIATOR_ERROR, NAMES },
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		connect_again();
		say(rows[i].flags, rows[i].text);
		hear_refusal(rows[i].status);
		assert_false(w.joined);
	}
}

static void test_version_and_tsih(void **state)
{
	(void)state;
	w.req.version_max = 2;
	w.req.version_min = 1;
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_VERSION);
	connect_again();
	w.req.version_max = 2;
	say(OPERATE_FULL, NAMES);
	establish();
	assert_int_equal(w.pdu.login_rsp.version_active, 0);
	connect_again();
	be16_set(&w.req.tsih, 0x7abc);
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_NO_SESSION);
}

static void change_itt(void)
{
	be32_set(&w.req.itt, 0x78);
}
static void change_isid(void)
{
	w.req.isid[5] ^= 1;
}
static void change_cid(void)
{
	be16_set(&w.req.cid, 9);
}
static void change_tsih(void)
{
	be16_set(&w.req.tsih, 9);
}

static void test_what_may_not_change(void **state)
{
	static void (*const change[])(void) = { change_itt, change_isid, change_cid, change_tsih };

	(void)state;
	for (size_t i = 0; i < own_array_len(change); i++) {
		connect_again();
		say(FLAGS(1, 0), NAMES);
		hear(FLAGS(1, 0), GROUP RECV);
		change[i]();
		say(OPERATE_FULL, "");
		hear_refusal(LOGIN_INITIATOR_ERROR);
	}
}

static void test_refused_in_the_second_request(void **state)
{
	static const struct {
		unsigned first, second;
		const char *text;
	} rows[] = {
		{ FLAGS(1, 0), T | FLAGS(0, 1), "AuthMethod=None|" },     /* no way back */
		{ T | FLAGS(0, 1), T | FLAGS(0, 1), "AuthMethod=None|" }, /* the same */
		{ FLAGS(0, 0), OPERATE_FULL, "" },                        /* without transit */
		{ FLAGS(1, 0), OPERATE_FULL, NAME_I },                    /* said twice */
		{ FLAGS(1, 0), OPERATE_FULL, "SessionType=Discovery|" },  /* too late */
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		connect_again();
		say(rows[i].first, NAMES);
		assert_int_equal(be16_get(&w.pdu.login_rsp.status), LOGIN_SUCCESS);
		say(rows[i].second, rows[i].text);
		hear_refusal(LOGIN_INITIATOR_ERROR);
	}
}

static void test_too_much_text(void **state)
{
	static char some[8193];

	(void)state;
	memset(some, 'a', sizeof some - 1);
	for (unsigned i = 0; i < KEYS_TEXT_MAX / 8192; i++) {
		say(C | FLAGS(1, 0), some);
		hear(FLAGS(1, 0), "");
	}
	say(C | FLAGS(1, 0), "a");
	hear_refusal(LOGIN_RESOURCES);
}

static void test_the_server_cannot(void **state)
{
	(void)state;
	w.no_session = true;
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_RESOURCES);

	connect_again();
	w.conn.home->draining = true;
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_UNAVAILABLE);
	w.conn.home->draining = false;

	connect_again();
	say(OPERATE_FULL, NAMES);
	login_established(&w.conn, -ENOMEM);
	hear_refusal(LOGIN_RESOURCES);

	connect_again();
	say(OPERATE_FULL, NAMES);
	login_established(&w.conn, -ESHUTDOWN);
	hear_refusal(LOGIN_UNAVAILABLE);
}

static void test_a_request_while_the_registry_is_asked(void **state)
{
	(void)state;
	say(OPERATE_FULL, NAMES);
	assert_true(w.joined);
	say(OPERATE_FULL, "");
	hear_refusal(LOGIN_INITIATOR_ERROR);
}

static void test_another_pdu_within_a_login(void **state)
{
	struct pdu_bhs bhs = { .opcode = PDU_SCSI_CMD };

	(void)state;
	say(FLAGS(1, 0), NAMES);
	login_out_of_place(&w.conn, &bhs);
	hear_refusal(LOGIN_OUT_OF_PLACE);
	login_out_of_place(&w.conn, &bhs); /* said once */
	assert_int_equal(w.sent, 2);
}

/* conn_send closes the connection when memory is out, and takes the login with it. */
static void test_no_memory_to_answer(void **state)
{
	(void)state;
	w.no_memory = true;
	say(C | FLAGS(1, 0), NAMES);
	assert_int_equal(w.conn.state, CONN_FREE);
	connect_again();
	w.no_memory = true;
	say(FLAGS(1, 0), NAMES);
	assert_int_equal(w.conn.state, CONN_FREE);
	connect_again();
	w.no_memory = true;
	say(FLAGS(1, 0), "nonsense");
	assert_int_equal(w.conn.state, CONN_FREE);
	connect_again();
	say(OPERATE_FULL, NAMES);
	w.no_memory = true;
	login_established(&w.conn, 0);
	assert_int_equal(w.conn.state, CONN_FREE);
	login_established(&w.conn, 0);
}

/* Anything at all: at most one answer each, never beyond 8192 bytes, and nothing breaks. */
static void test_random_requests(void **state)
{
	static const char *const texts[] = { NAMES, NAME_I, "", "|", "AuthMethod=None|",
		"MaxBurstLength=512|", "InitialR2T=", "No|", NAME_I "SessionType=Discovery|",
		"X-a=1|", "MaxRecvDataSegmentLength=512|" };
	uint32_t seed = 1;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned round = 0; round < 3000; round++) {
		connect_again();
		for (unsigned i = 0; i < 8 && w.conn.state != CONN_LOGGED_IN; i++) {
			seed = seed * 1664525u + 1013904223u;
			say(i ? seed >> 24 : seed >> 24 & ~C, texts[(seed >> 8) % 11]);
			assert_true(w.len <= 8192);
			if (seed & 0x10000 && w.joined)
				login_established(&w.conn, 0);
		}
	}
	log_set_level(LOG_LEVEL_INFO);
}

/* ---- text requests -------------------------------------------------------------------------- */

static void ask(unsigned flags, const char *text)
{
	unsigned before = w.sent;
	char *wire = to_wire(text);

	w.rejected = -1;
	w.text_req.flags = (uint8_t)flags;
	text_receive(&w.conn, &w.text_req, (const uint8_t *)wire, (uint32_t)strlen(text));
	free(wire);
	assert_int_equal(w.sent, before + 1);
}

/* The last PDU is a Text Response; goes on with its tag. */
static void told(unsigned flags, const char *text)
{
	assert_int_equal(w.rejected, -1);
	assert_int_equal(w.pdu.bhs.opcode, PDU_TEXT_RSP);
	assert_int_equal(w.pdu.text_rsp.flags, flags);
	assert_memory_equal(&w.pdu.text_rsp.itt, &w.text_req.itt, 4);
	assert_int_equal(be32_get(&w.pdu.text_rsp.ttt) == PDU_TAG_RESERVED, flags == PDU_FINAL);
	w.text_req.ttt = w.pdu.text_rsp.ttt;
	if (text)
		assert_string_equal(w.text, text);
	assert_int_equal(w.conn.text == NULL, flags == PDU_FINAL);
}

static void told_reject(enum pdu_reject_reason reason)
{
	assert_int_equal(w.rejected, reason);
	assert_null(w.conn.text);
	be32_set(&w.text_req.ttt, PDU_TAG_RESERVED);
}

#define SHOW(name) "TargetName=iqn.2026-11.kura.test:" name "|TargetAddress=127.0.0.1:3260,1|"

static void test_send_targets_in_discovery(void **state)
{
	(void)state;
	log_in(NAME_I "SessionType=Discovery|");
	ask(PDU_FINAL, "SendTargets=All|");
	told(PDU_FINAL, SHOW("wire"));
	ask(PDU_FINAL, "SendTargets=iqn.2026-11.kura.test:WIRE|");
	told(PDU_FINAL, SHOW("wire"));
	ask(PDU_FINAL, "SendTargets=iqn.2026-11.kura.test:nowhere|");
	told(PDU_FINAL, "");
	ask(PDU_FINAL, "SendTargets=iqn.2026-11.kura.test:closed|");
	told(PDU_FINAL, "");
	ask(PDU_FINAL, "SendTargets=no name|");
	told(PDU_FINAL, "");
	ask(PDU_FINAL, "SendTargets=|");
	told(PDU_FINAL, "SendTargets=Reject|");

	log_in("InitiatorName=iqn.2026-11.kura.test:friend|SessionType=Discovery|");
	strcpy(w.conn.local, "[::1]:3260");
	ask(PDU_FINAL, "SendTargets=All|");
	told(PDU_FINAL, "TargetName=iqn.2026-11.kura.test:wire|TargetAddress=[::1]:3260,1|"
			"TargetName=iqn.2026-11.kura.test:closed|TargetAddress=[::1]:3260,1|");
}

static void test_send_targets_in_a_normal_session(void **state)
{
	(void)state;
	log_in(NAMES);
	ask(PDU_FINAL, "SendTargets=|");
	told(PDU_FINAL, SHOW("wire"));
	ask(PDU_FINAL, "SendTargets=iqn.2026-11.kura.test:wire|");
	told(PDU_FINAL, SHOW("wire"));
	ask(PDU_FINAL, "SendTargets=All|");
	told(PDU_FINAL, "SendTargets=Reject|");
	ask(PDU_FINAL, "SendTargets=iqn.2026-11.kura.test:closed|");
	told(PDU_FINAL, "SendTargets=Reject|");
}

static void test_text_exchange_in_parts(void **state)
{
	char want[512] = "";

	(void)state;
	log_in(NAME_I "SessionType=Discovery|");
	w.conn.params.max_xmit = 40;
	ask(PDU_FINAL, "SendTargets=All|");
	told(C, NULL);
	assert_int_equal(w.len, 40);
	strcat(want, w.text);
	ask(PDU_FINAL, "");
	told(PDU_FINAL, NULL);
	strcat(want, w.text);
	assert_string_equal(want, SHOW("wire"));

	/* a question in parts, and one without F */
	w.conn.params.max_xmit = 8192;
	be32_set(&w.text_req.ttt, PDU_TAG_RESERVED);
	ask(C, "SendTar");
	told(0, "");
	ask(0, "gets=All|");
	told(0, SHOW("wire"));
	ask(0, "X-a=1|");
	told(0, "X-a=NotUnderstood|");
	ask(PDU_FINAL, "");
	told(PDU_FINAL, "");
}

static void test_text_exchange_refused(void **state)
{
	static char some[8193];

	(void)state;
	log_in(NAMES);
	ask(PDU_FINAL | C, "X-a=1|");
	told_reject(PDU_REJECT_PROTOCOL);
	ask(PDU_FINAL, "X-a");
	told_reject(PDU_REJECT_PROTOCOL);
	be32_set(&w.text_req.ttt, 0x4711); /* no exchange */
	ask(PDU_FINAL, "");
	told_reject(PDU_REJECT_INVALID_FIELD);
	ask(0, "SendTargets=|"); /* another tag of ours or theirs */
	told(0, NULL);
	be32_set(&w.text_req.itt, 2);
	ask(PDU_FINAL, "");
	told_reject(PDU_REJECT_INVALID_FIELD);
	ask(0, "SendTargets=|"); /* said twice */
	told(0, NULL);
	ask(PDU_FINAL, "SendTargets=|");
	told_reject(PDU_REJECT_PROTOCOL);
	w.conn.params.max_xmit = 40; /* text where a part was asked for */
	ask(PDU_FINAL, "SendTargets=|");
	told(C, NULL);
	ask(PDU_FINAL, "X-a=1|");
	told_reject(PDU_REJECT_PROTOCOL);
	memset(some, 'a', sizeof some - 1);
	for (unsigned i = 0; i < KEYS_TEXT_MAX / 8192; i++) {
		ask(C, some);
		told(0, "");
	}
	ask(C, "a");
	told_reject(PDU_REJECT_LONG_OPERATION);
}

static void test_a_new_exchange_drops_the_one_before(void **state)
{
	(void)state;
	log_in(NAMES);
	ask(C, "SendTar");
	told(0, "");
	be32_set(&w.text_req.ttt, PDU_TAG_RESERVED);
	be32_set(&w.text_req.itt, 2);
	ask(PDU_FINAL, "SendTargets=|");
	told(PDU_FINAL, SHOW("wire"));
}

static void test_keys_in_full_feature_phase(void **state)
{
	(void)state;
	log_in(NAMES);
	assert_int_equal(w.conn.params.max_xmit, 8192);
	ask(PDU_FINAL, "MaxRecvDataSegmentLength=512|MaxConnections=2|HeaderDigest=CRC32C|");
	told(PDU_FINAL, "MaxConnections=Reject|HeaderDigest=Reject|");
	assert_int_equal(w.conn.params.max_xmit, 512);
	ask(PDU_FINAL, "MaxRecvDataSegmentLength=1|");
	told(PDU_FINAL, "MaxRecvDataSegmentLength=Reject|");
	assert_int_equal(w.conn.params.max_xmit, 512);
	ask(PDU_FINAL, "");
	told(PDU_FINAL, "");
}

static void test_no_memory_to_answer_text(void **state)
{
	(void)state;
	log_in(NAMES);
	w.no_memory = true;
	w.text_req.flags = PDU_FINAL;
	text_receive(&w.conn, &w.text_req, NULL, 0);
	assert_null(w.conn.text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_operational_stage_to_full),
		TEST(test_security_then_operational),
		TEST(test_security_to_full),
		TEST(test_alias_and_names_in_any_case),
		TEST(test_discovery),
		TEST(test_text_in_parts),
		TEST(test_answer_in_parts),
		TEST(test_text_between_the_parts_of_an_answer),
		TEST(test_refused_at_once),
		TEST(test_version_and_tsih),
		TEST(test_what_may_not_change),
		TEST(test_refused_in_the_second_request),
		TEST(test_too_much_text),
		TEST(test_the_server_cannot),
		TEST(test_a_request_while_the_registry_is_asked),
		TEST(test_another_pdu_within_a_login),
		TEST(test_no_memory_to_answer),
		TEST(test_random_requests),
		TEST(test_send_targets_in_discovery),
		TEST(test_send_targets_in_a_normal_session),
		TEST(test_text_exchange_in_parts),
		TEST(test_text_exchange_refused),
		TEST(test_a_new_exchange_drops_the_one_before),
		TEST(test_keys_in_full_feature_phase),
		TEST(test_no_memory_to_answer_text),
	};

	return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
