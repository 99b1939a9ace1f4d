// SPDX-License-Identifier: Apache-2.0
/*
 * test_login.c: logins as conversations: every way into full feature phase, and every refusal.
 */
#include "tests/unit/talk.h"

#include "target/iscsi/binary.h"
#include "target/iscsi/login_chap.h"

/* ---- logins ---- */

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
	/* the session is made with the name, which makes it unique */
	assert_string_equal(w.session.initiator, "iqn.2026-11.kura.test:initiator");
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

/* ---- refusals ---- */

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

static void test_version(void **state)
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
}

/* A session that is there is asked by join.c, and its answer told. */
static void test_join_is_refused(void **state)
{
	static const struct {
		int err;
		enum login_status status;
	} rows[] = {
		{ -ESRCH, LOGIN_NO_SESSION },
		{ -EXDEV, LOGIN_NOT_INCLUDED },
		{ -EPROTO, LOGIN_INITIATOR_ERROR },
		{ -ESHUTDOWN, LOGIN_UNAVAILABLE },
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		connect_again();
		be16_set(&w.req.tsih, 0x7abc);
		say(OPERATE_FULL, NAMES);
		assert_int_equal(w.wish.tsih, 0x7abc);
		assert_string_equal(w.wish.target, "iqn.2026-11.kura.test:wire");
		assert_memory_equal(w.wish.isid, w.req.isid, 6);
		login_arrived(&w.conn, NULL, rows[i].err);
		hear_refusal(rows[i].status);
	}
	connect_again();
	be16_set(&w.req.tsih, 0x7abc);
	say(OPERATE_FULL, NAMES);
	w.refuses = -EUSERS;
	login_arrived(&w.conn, &w.session, 0);
	hear_refusal(LOGIN_TOO_MANY);
}

/* The session's keys are settled: said again they are rejected, and hold for the new connection. */
static void test_join_takes_what_is_settled(void **state)
{
	(void)state;
	connect_again();
	be16_set(&w.req.tsih, 0x1234);
	say(FLAGS(1, 0), NAMES "MaxBurstLength=65536|");
	hear(FLAGS(1, 0), "MaxBurstLength=Reject|" GROUP RECV);
	/* an initiator takes it for old: RFC 7143 4.2.2.1 */
	assert_int_equal(be32_get(&w.pdu.login_rsp.max_cmd_sn), 100 - SESSION_DEPTH_MAX - 1);
	say(OPERATE_FULL, "HeaderDigest=CRC32C|MaxConnections=3|MaxRecvDataSegmentLength=4096|");
	w.session = (struct session){ .tsih = 0x1234, .target = &w.target[0] };
	w.session.params = (struct conn_params){ .max_burst = 8192, .data_digest = true };
	login_arrived(&w.conn, &w.session, 0);
	login_established(&w.conn, 0);
	hear(OPERATE_FULL, "HeaderDigest=CRC32C|MaxConnections=Reject|");
	assert_int_equal(w.conn.params.max_burst, 8192);
	assert_int_equal(w.conn.params.max_xmit, 4096);
	assert_true(w.conn.params.header_digest);
	assert_false(w.conn.params.data_digest);
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

/* ---- secrets ---- */

#define CHALLENGE "CHAP_A=7|CHAP_I=%u|CHAP_C=%66s"

static const struct iscsi_auth_conf secret = {
	.user = "alice", .secret = "correct horse", .algorithms = "sha-256"
};

static struct iscsi_auth *ask_secret(void)
{
	return w.target[0].auth = chap_auth_new(&secret);
}

/* "CHAP_N=alice|CHAP_R=..." for the challenge that was heard last. */
static const char *prove(const char *with)
{
	static char text[200];
	uint8_t challenge[CHAP_CHALLENGE], digest[CHAP_DIGEST_MAX];
	char hex[2 * CHAP_CHALLENGE + 3];
	unsigned id;

	assert_int_equal(sscanf(w.text, CHALLENGE, &id, hex), 2);
	assert_int_equal(binary_parse(hex, challenge, sizeof challenge), CHAP_CHALLENGE);
	binary_format(digest,
		chap_digest(CHAP_SHA256, (uint8_t)id, with, challenge, sizeof challenge, digest),
		hex);
	snprintf(text, sizeof text, "CHAP_N=alice|CHAP_R=%s|", hex);
	return text;
}

/* Up to the challenge, on a new connection. */
static void be_challenged(void)
{
	connect_again();
	strcpy(w.conn.peer, "192.0.2.1:40000");
	say(T | FLAGS(0, 1), NAMES "AuthMethod=CHAP,None|");
	hear(FLAGS(0, 0), "AuthMethod=CHAP|" GROUP); /* the stage does not end here */
	say(FLAGS(0, 0), "CHAP_A=5,7|");
}

static void test_secret(void **state)
{
	struct iscsi_auth *auth = ask_secret();

	(void)state;
	be_challenged();
	say(T | FLAGS(0, 1), prove("correct horse"));
	hear(T | FLAGS(0, 1), "");
	assert_null(w.timer);
	say(OPERATE_FULL, "");
	establish();
	be_challenged();
	say(T | FLAGS(0, 3), prove("correct horse"));
	establish();
	chap_auth_free(auth);
}

static void test_no_way_around_the_secret(void **state)
{
	static const struct {
		unsigned flags;
		const char *text;
	} rows[] = {
		{ OPERATE_FULL, NAMES },
		{ FLAGS(1, 0), NAMES },
		{ OPERATE_FULL, NAMES "AuthMethod=None|" },
		{ T | FLAGS(0, 1), NAMES },
		{ T | FLAGS(0, 3), NAMES },
		{ T | FLAGS(0, 1), NAMES "AuthMethod=None|" },
		{ FLAGS(0, 0), NAMES "AuthMethod=None|" },
		{ FLAGS(0, 0), NAMES "AuthMethod=KRB5,SRP,None|" },
		{ FLAGS(0, 0), NAMES "AuthMethod=|" },
	};
	struct iscsi_auth *auth = ask_secret();

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		connect_again();
		say(rows[i].flags, rows[i].text);
		hear_refusal(LOGIN_AUTHENTICATION);
		assert_false(w.joined);
	}
	connect_again();
	say(FLAGS(0, 0), NAMES "AuthMethod=CHAP|CHAP_A=7|"); /* the second is not its turn */
	hear_refusal(LOGIN_INITIATOR_ERROR);
	for (unsigned next = 1; next <= 3; next += 2) { /* asking again and again is no proof */
		be_challenged();
		say(T | FLAGS(0, next), "");
		hear(FLAGS(0, 0), "");
		say(T | FLAGS(0, next), "");
		hear(FLAGS(0, 0), "");
		assert_false(w.joined);
	}
	chap_auth_free(auth);
}

/* A wrong secret is refused late, the next attempt waits too, and another address does not. */
static void test_wrong_secret_costs_time(void **state)
{
	struct iscsi_auth *auth = ask_secret();
	unsigned before;

	(void)state;
	for (uint32_t wait_ms = 250; wait_ms <= 1000; wait_ms *= 2) {
		be_challenged();
		before = w.sent;
		say(T | FLAGS(0, 1), prove("wrong"));
		assert_int_equal(w.sent, before);
		assert_int_equal(w.wait_ms, wait_ms);
		pass_time();
		hear_refusal(LOGIN_AUTHENTICATION);
	}
	be_challenged();
	say(T | FLAGS(0, 1), prove("wrong"));
	be_challenged(); /* gone before its answer: the time has still to pass */
	assert_null(w.timer);
	before = w.sent;
	say(T | FLAGS(0, 1), prove("correct horse"));
	assert_int_equal(w.sent, before);
	assert_int_equal(w.wait_ms, 2000);
	pass_time();
	hear(T | FLAGS(0, 1), "");
	be_challenged();
	say(T | FLAGS(0, 1), prove("wrong"));
	be_challenged();
	strcpy(w.conn.peer, "192.0.2.2:40000");
	say(T | FLAGS(0, 1), prove("correct horse"));
	hear(T | FLAGS(0, 1), "");
	be_challenged();
	say(T | FLAGS(0, 1), prove("wrong"));
	be_challenged(); /* what would wait for too long is not looked at, right or wrong */
	say(T | FLAGS(0, 1), prove("correct horse"));
	assert_null(w.timer);
	hear_refusal(LOGIN_AUTHENTICATION);
	chap_auth_free(auth);
}

static void test_a_request_while_the_answer_waits(void **state)
{
	struct iscsi_auth *auth = ask_secret();

	(void)state;
	be_challenged();
	say(T | FLAGS(0, 1), prove("wrong"));
	say(T | FLAGS(0, 1), "");
	hear_refusal(LOGIN_INITIATOR_ERROR);
	pass_time(); /* nothing more is said */
	hear_refusal(LOGIN_INITIATOR_ERROR);
	chap_auth_free(auth);
}

/* An entry of its own decides before the target; discovery has its own. */
static void test_whose_secret(void **state)
{
	struct iscsi_auth *auth = chap_auth_new(&secret);

	(void)state;
	w.rule[0].auth = auth;
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_AUTHENTICATION);
	connect_again();
	say(OPERATE_FULL, NAME_I "SessionType=Discovery|");
	establish();
	w.rule[0].auth = NULL;
	w.catalogue.discovery_auth = auth;
	connect_again();
	say(OPERATE_FULL, NAME_I "SessionType=Discovery|");
	hear_refusal(LOGIN_AUTHENTICATION);
	connect_again();
	say(OPERATE_FULL, NAMES);
	establish();
	connect_again();
	say(FLAGS(0, 0), NAME_I "SessionType=Discovery|AuthMethod=CHAP|");
	hear(FLAGS(0, 0), "AuthMethod=CHAP|");
	say(FLAGS(0, 0), "CHAP_A=7|");
	say(T | FLAGS(0, 3), prove("correct horse"));
	establish();
	chap_auth_free(auth);
}

/* ---- limits ---- */

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
	static const struct {
		int err;
		enum login_status status;
	} answers[] = {
		{ -ENOMEM, LOGIN_RESOURCES },
		{ -ESHUTDOWN, LOGIN_UNAVAILABLE },
		{ -EUSERS, LOGIN_TOO_MANY },
		{ -ESRCH, LOGIN_NO_SESSION },
	};

	(void)state;
	w.no_session = true;
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_RESOURCES);

	connect_again();
	w.conn.home->draining = true;
	say(OPERATE_FULL, NAMES);
	hear_refusal(LOGIN_UNAVAILABLE);
	w.conn.home->draining = false;

	for (size_t i = 0; i < own_array_len(answers); i++) {
		connect_again();
		say(OPERATE_FULL, NAMES);
		login_established(&w.conn, answers[i].err);
		hear_refusal(answers[i].status);
	}
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
		TEST(test_version),
		TEST(test_join_is_refused),
		TEST(test_join_takes_what_is_settled),
		TEST(test_what_may_not_change),
		TEST(test_refused_in_the_second_request),
		TEST(test_secret),
		TEST(test_no_way_around_the_secret),
		TEST(test_wrong_secret_costs_time),
		TEST(test_a_request_while_the_answer_waits),
		TEST(test_whose_secret),
		TEST(test_too_much_text),
		TEST(test_the_server_cannot),
		TEST(test_a_request_while_the_registry_is_asked),
		TEST(test_another_pdu_within_a_login),
		TEST(test_no_memory_to_answer),
		TEST(test_random_requests),
	};

	return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
