// SPDX-License-Identifier: Apache-2.0
/*
 * test_text.c: text requests in full feature phase: SendTargets, exchanges in parts, late keys.
 */
#include "tests/unit/talk.h"

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
		TEST(test_send_targets_in_discovery),
		TEST(test_send_targets_in_a_normal_session),
		TEST(test_text_exchange_in_parts),
		TEST(test_text_exchange_refused),
		TEST(test_a_new_exchange_drops_the_one_before),
		TEST(test_keys_in_full_feature_phase),
		TEST(test_no_memory_to_answer_text),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
