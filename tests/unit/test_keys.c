// SPDX-License-Identifier: Apache-2.0
/*
 * test_keys.c: what is answered to text, key by key. A text is written with '|' for each NUL.
 */
#include "target/iscsi/access.h"
#include "target/iscsi/keys.h"

#include "common/own.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* access.c asks the SCSI room for a target's name; nothing here does. */
const char *scsi_target_iqn(const struct scsi_target *target)
{
	return (const char *)target;
}

static size_t to_wire(char *to, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		to[i] = text[i] == '|' ? '\0' : text[i];
	return len;
}

/* Negotiates in a block of exactly that size, so that a read behind it is seen by ASan. */
static int negotiate(struct keys *k, const char *text, struct keys_text *out)
{
	size_t len = strlen(text);
	char *wire = malloc(len ? len : 1);
	int err;

	to_wire(wire, text);
	err = keys_negotiate(k, (const uint8_t *)wire, len, out);
	free(wire);
	return err;
}

static void assert_out(struct keys_text *out, const char *want)
{
	char got[8192];

	assert_true(out->len < sizeof got);
	for (uint32_t i = 0; i < out->len; i++)
		got[i] = out->data[i] ? (char)out->data[i] : '|';
	got[out->len] = '\0';
	assert_string_equal(got, want);
	keys_text_free(out);
}

static void assert_answer(enum keys_stage stage, bool discovery, const char *text, const char *want)
{
	struct keys_text out = { .most = KEYS_TEXT_MAX };
	struct keys k;

	keys_init(&k, stage, discovery);
	assert_int_equal(negotiate(&k, text, &out), 0);
	assert_out(&out, want);
}

/* ---- one key at a time ---- */

struct offer {
	const char *text, *answer;
};

static void assert_offers(
	enum keys_stage stage, bool discovery, const struct offer *offers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_answer(stage, discovery, offers[i].text, offers[i].answer);
}

static void test_numbers(void **state)
{
	static const struct offer offers[] = {
		{ "MaxConnections=8|", "MaxConnections=1|" },
		{ "MaxConnections=0|", "MaxConnections=Reject|" },
		{ "MaxConnections=65536|", "MaxConnections=Reject|" },
		{ "MaxBurstLength=262144|", "MaxBurstLength=262144|" },
		{ "MaxBurstLength=16777215|", "MaxBurstLength=1048576|" },
		{ "MaxBurstLength=16777216|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=511|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=0x10000|", "MaxBurstLength=65536|" },
		{ "MaxBurstLength=0X8aBc|", "MaxBurstLength=35516|" },
		{ "MaxBurstLength=0x|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=-1|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength= 512|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=0512|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=65536k|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=18446744073709552128|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=4294967808|", "MaxBurstLength=Reject|" },
		{ "MaxBurstLength=Reject|", "MaxBurstLength=Reject|" },
		{ "FirstBurstLength=16777215|MaxBurstLength=16777215|",
			"FirstBurstLength=262144|MaxBurstLength=1048576|" },
		{ "DefaultTime2Wait=0|", "DefaultTime2Wait=2|" },
		{ "DefaultTime2Wait=3600|", "DefaultTime2Wait=3600|" },
		{ "DefaultTime2Wait=3601|", "DefaultTime2Wait=Reject|" },
		{ "DefaultTime2Retain=20|", "DefaultTime2Retain=0|" },
		{ "MaxOutstandingR2T=65535|", "MaxOutstandingR2T=8|" },
		{ "MaxOutstandingR2T=1|", "MaxOutstandingR2T=1|" },
		{ "ErrorRecoveryLevel=2|", "ErrorRecoveryLevel=0|" },
		{ "ErrorRecoveryLevel=3|", "ErrorRecoveryLevel=Reject|" },
		{ "iSCSIProtocolLevel=2|", "iSCSIProtocolLevel=1|" },
		{ "iSCSIProtocolLevel=0|", "iSCSIProtocolLevel=0|" },
		{ "iSCSIProtocolLevel=32|", "iSCSIProtocolLevel=Reject|" },
	};

	(void)state;
	assert_offers(KEYS_OPERATE, false, offers, own_array_len(offers));
}

static void test_booleans(void **state)
{
	static const struct offer offers[] = {
		{ "InitialR2T=Yes|", "InitialR2T=Yes|" },
		{ "InitialR2T=No|", "InitialR2T=No|" },
		{ "ImmediateData=Yes|", "ImmediateData=Yes|" },
		{ "ImmediateData=No|", "ImmediateData=No|" },
		{ "ImmediateData=yes|", "ImmediateData=Reject|" },
		{ "ImmediateData=|", "ImmediateData=Reject|" },
		{ "ImmediateData=Yes,No|", "ImmediateData=Reject|" },
		{ "DataPDUInOrder=No|", "DataPDUInOrder=Yes|" },
		{ "DataSequenceInOrder=No|", "DataSequenceInOrder=Yes|" },
	};

	(void)state;
	assert_offers(KEYS_OPERATE, false, offers, own_array_len(offers));
}

static void test_lists(void **state)
{
	static const struct offer offers[] = {
		{ "HeaderDigest=CRC32C,None|", "HeaderDigest=CRC32C|" },
		{ "HeaderDigest=None,CRC32C|", "HeaderDigest=None|" },
		{ "HeaderDigest=Y-com.example,CRC32C|", "HeaderDigest=CRC32C|" },
		{ "HeaderDigest=MD5|", "HeaderDigest=Reject|" },
		{ "HeaderDigest=|", "HeaderDigest=Reject|" },
		{ "HeaderDigest=,,|", "HeaderDigest=Reject|" },
		{ "HeaderDigest=CRC32|", "HeaderDigest=Reject|" },
		{ "HeaderDigest=None,|", "HeaderDigest=None|" },
		{ "DataDigest=crc32c,CRC32C|", "DataDigest=CRC32C|" },
		{ "TaskReporting=FastAbort,ResponseFence,RFC3720|",
			"TaskReporting=ResponseFence|" },
		{ "TaskReporting=RFC3720|", "TaskReporting=RFC3720|" },
	};

	(void)state;
	assert_offers(KEYS_OPERATE, false, offers, own_array_len(offers));
	/* answered by login.c */
	assert_answer(KEYS_SECURITY, false, "AuthMethod=KRB5,CHAP,None|CHAP_A=5|", "");
	assert_answer(KEYS_OPERATE, false, "CHAP_A=5|CHAP_R=0x00|", "CHAP_A=Reject|CHAP_R=Reject|");
	assert_true(keys_list_has("KRB5,CHAP", "CHAP"));
	assert_false(keys_list_has("KRB5,CHAP2", "CHAP"));
	assert_false(keys_list_has("", "CHAP"));
}

static void test_keys_that_are_gone_or_unknown(void **state)
{
	static const struct offer offers[] = {
		{ "IFMarker=No|OFMarker=Yes|", "IFMarker=No|OFMarker=No|" },
		{ "IFMarkInt=2048~8192|OFMarkInt=1|", "IFMarkInt=Reject|OFMarkInt=Reject|" },
		{ "X-com.example.speed=11|", "X-com.example.speed=NotUnderstood|" },
		{ "X#NodeArchitecture=a,b|", "X#NodeArchitecture=NotUnderstood|" },
		{ "Kuratorium=|", "Kuratorium=NotUnderstood|" },
		{ "maxburstlength=512|", "maxburstlength=NotUnderstood|" },
		{ "Kuratorium=NotUnderstood|", "" },
		{ "Kuratorium=Reject|", "" },
	};

	(void)state;
	assert_offers(KEYS_OPERATE, false, offers, own_array_len(offers));
}

static void test_declarations(void **state)
{
	static const struct offer offers[] = {
		{ "InitiatorAlias=somebody=else|", "" },
		{ "MaxRecvDataSegmentLength=65536|", "" },
		{ "MaxRecvDataSegmentLength=511|", "MaxRecvDataSegmentLength=Reject|" },
		{ "TargetAlias=NotUnderstood|", "" },
		{ "TargetAlias=mine|", "TargetAlias=Reject|" },
		{ "TargetPortalGroupTag=2|", "TargetPortalGroupTag=Reject|" },
	};

	(void)state;
	assert_offers(KEYS_OPERATE, false, offers, own_array_len(offers));
}

static void test_stages(void **state)
{
	(void)state;
	assert_answer(KEYS_SECURITY, false, "MaxBurstLength=512|", "MaxBurstLength=Reject|");
	assert_answer(KEYS_OPERATE, false, "AuthMethod=None|", "AuthMethod=Reject|");
	assert_answer(KEYS_OPERATE, false, "SendTargets=All|", "SendTargets=Reject|");
	assert_answer(KEYS_FULL, false,
		"MaxConnections=2|HeaderDigest=CRC32C|InitialR2T=No|InitiatorName=iqn.x|",
		"MaxConnections=Reject|HeaderDigest=Reject|InitialR2T=Reject|"
		"InitiatorName=Reject|");
	assert_answer(KEYS_FULL, false, "MaxRecvDataSegmentLength=512|SendTargets=|", "");
}

static void test_irrelevant(void **state)
{
	(void)state;
	/* SessionType may stand behind what it makes irrelevant */
	assert_answer(KEYS_OPERATE, false, "MaxBurstLength=512|SessionType=Discovery|",
		"MaxBurstLength=Irrelevant|");
	assert_answer(KEYS_OPERATE, true,
		"DefaultTime2Wait=2|ErrorRecoveryLevel=0|HeaderDigest=None|TaskReporting=RFC3720|",
		"DefaultTime2Wait=2|ErrorRecoveryLevel=0|HeaderDigest=None|"
		"TaskReporting=Irrelevant|");
	assert_answer(KEYS_OPERATE, false,
		"FirstBurstLength=65536|InitialR2T=Yes|ImmediateData=No|",
		"FirstBurstLength=Irrelevant|InitialR2T=Yes|ImmediateData=No|");
	assert_answer(KEYS_OPERATE, false, "FirstBurstLength=65536|InitialR2T=No|ImmediateData=No|",
		"FirstBurstLength=65536|InitialR2T=No|ImmediateData=No|");
}

/* ---- whole negotiations ---- */

/* What open-iscsi offers, with the parameters that come of it. */
static void test_a_whole_negotiation(void **state)
{
	struct keys_text out = { .most = KEYS_TEXT_MAX };
	struct conn_params p = { 0 };
	struct keys k;

	(void)state;
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(
		negotiate(&k,
			"HeaderDigest=CRC32C,None|DataDigest=None|DefaultTime2Wait=2|"
			"DefaultTime2Retain=0|IFMarker=No|OFMarker=No|ErrorRecoveryLevel=0|"
			"InitialR2T=No|ImmediateData=Yes|MaxBurstLength=16776192|"
			"FirstBurstLength=262144|MaxOutstandingR2T=1|MaxConnections=1|"
			"DataPDUInOrder=Yes|DataSequenceInOrder=Yes|"
			"MaxRecvDataSegmentLength=131072|",
			&out),
		0);
	keys_declare_ours(&k, KEYS_MAX_RECV, &out);
	assert_out(&out,
		"HeaderDigest=CRC32C|DataDigest=None|DefaultTime2Wait=2|"
		"DefaultTime2Retain=0|IFMarker=No|OFMarker=No|ErrorRecoveryLevel=0|"
		"InitialR2T=No|ImmediateData=Yes|MaxBurstLength=1048576|"
		"FirstBurstLength=262144|MaxOutstandingR2T=1|MaxConnections=1|"
		"DataPDUInOrder=Yes|DataSequenceInOrder=Yes|MaxRecvDataSegmentLength=262144|");
	keys_params(&k, &p);
	assert_true(p.header_digest && !p.data_digest && !p.initial_r2t && p.immediate_data);
	assert_int_equal(p.max_xmit, 131072);
	assert_int_equal(p.max_burst, 1048576);
	assert_int_equal(p.first_burst, 262144);
	assert_int_equal(p.max_outstanding_r2t, 1);
	assert_int_equal(p.time2wait, 2);
	assert_int_equal(p.time2retain, 0);
	assert_false(p.discovery);
}

static void test_nothing_said_means_the_defaults(void **state)
{
	struct conn_params p = { 0 };
	struct keys k;

	(void)state;
	keys_init(&k, KEYS_OPERATE, false);
	keys_params(&k, &p);
	assert_true(!p.header_digest && !p.data_digest && p.initial_r2t && p.immediate_data);
	assert_int_equal(p.max_xmit, 8192);
	assert_int_equal(p.max_burst, 262144);
	assert_int_equal(p.first_burst, 65536);
	assert_int_equal(p.max_outstanding_r2t, 1);
	assert_int_equal(p.time2wait, 2);
	assert_int_equal(p.time2retain, 20);
}

static void test_first_burst_is_never_above_max_burst(void **state)
{
	struct keys_text out = { .most = KEYS_TEXT_MAX };
	struct conn_params p = { 0 };
	struct keys k;

	(void)state;
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(negotiate(&k, "FirstBurstLength=65536|MaxBurstLength=4096|", &out), 0);
	assert_out(&out, "FirstBurstLength=4096|MaxBurstLength=4096|");
	/* the same over two texts: what is already agreed on is cut for ourselves */
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(negotiate(&k, "FirstBurstLength=65536|", &out), 0);
	assert_int_equal(negotiate(&k, "MaxBurstLength=4096|", &out), 0);
	assert_out(&out, "FirstBurstLength=65536|MaxBurstLength=4096|");
	keys_params(&k, &p);
	assert_int_equal(p.first_burst, 4096);
}

static void test_a_key_is_said_once(void **state)
{
	struct keys_text out = { .most = KEYS_TEXT_MAX };
	struct keys k;

	(void)state;
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(negotiate(&k, "InitialR2T=No|InitialR2T=No|", &out), -EBADMSG);
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(negotiate(&k, "MaxBurstLength=1|", &out), 0);
	assert_int_equal(negotiate(&k, "MaxBurstLength=512|", &out), -EBADMSG);
	assert_non_null(strstr(k.rule, "RFC 7143"));
	keys_text_free(&out);
}

/* ---- malformed ---- */

#define LETTERS_63 "Abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static void test_malformed_text(void **state)
{
	static const char *const bad[] = {
		"InitialR2T",
		"InitialR2T|",
		"=No|",
		"InitialR2T=No",
		"InitialR2T=No|x",
		"InitialR2T=No||ImmediateData=No|",
		"|",
		"||||||",
		LETTERS_63 "l=1|",
		"a b=1|",
		"\x80=1|",
		"a,b=1|",
		"\"a\"=1|",
	};
	static const char *const good[] = { "", LETTERS_63 "=1|", "InitialR2T=No||",
		"InitialR2T=No||||" };
	struct keys_text out = { .most = KEYS_TEXT_MAX };
	struct keys k;

	(void)state;
	for (size_t i = 0; i < own_array_len(bad); i++) {
		keys_init(&k, KEYS_OPERATE, false);
		assert_int_equal(negotiate(&k, bad[i], &out), -EBADMSG);
		assert_non_null(k.rule);
		assert_int_equal(out.len, 0);
	}
	for (size_t i = 0; i < own_array_len(good); i++) {
		keys_init(&k, KEYS_OPERATE, false);
		assert_int_equal(negotiate(&k, good[i], &out), 0);
	}
	keys_text_free(&out);
}

static void test_limits(void **state)
{
	char text[KEYS_PAIRS_MAX * 8 + 64] = "";
	struct keys_text out = { .most = KEYS_TEXT_MAX };
	struct keys k;

	(void)state;
	for (unsigned i = 0; i < KEYS_PAIRS_MAX; i++)
		sprintf(text + strlen(text), "X-%03u=|", i);
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(negotiate(&k, text, &out), 0);
	strcat(text, "Y=|");
	keys_init(&k, KEYS_OPERATE, false);
	assert_int_equal(negotiate(&k, text, &out), -E2BIG);
	keys_text_free(&out);

	/* a declared text of 255 bytes is in order, one more is not */
	sprintf(text, "InitiatorAlias=%0255d|", 0);
	assert_int_equal(negotiate(&k, text, &out), 0);
	keys_init(&k, KEYS_OPERATE, false);
	sprintf(text, "InitiatorAlias=%0256d|", 0);
	assert_int_equal(negotiate(&k, text, &out), -EBADMSG);
	/* a value of any length for a key that nobody knows */
	sprintf(text, "X-a=%0900d|", 0);
	assert_int_equal(negotiate(&k, text, &out), 0);
	assert_out(&out, "X-a=NotUnderstood|");
}

static void test_growing_text(void **state)
{
	struct keys_text t = { .most = 1000 };
	char some[1000] = { 0 };

	(void)state;
	keys_text_add(&t, NULL, 0);
	assert_int_equal(t.len, 0);
	keys_text_add(&t, some, 400);
	keys_text_add(&t, some, 400);
	assert_int_equal(t.err, 0);
	keys_text_add(&t, some, 400);
	assert_int_equal(t.err, -ENOBUFS);
	keys_text_add(&t, some, 1); /* sticks */
	assert_int_equal(t.len, 800);
	keys_text_free(&t);
	assert_int_equal(t.most, 1000);
	keys_text_add(&t, some, 1000);
	assert_int_equal(t.err, 0);
	keys_text_free(&t);
}

/* Texts put together at random and damaged: an answer is made of whole pairs, or none comes. */
static void test_random_text(void **state)
{
	static const char *const pieces[] = { "MaxBurstLength", "InitialR2T", "HeaderDigest", "=",
		"=", "|", "|", "Yes", "CRC32C,None", "512", "0x1000", "X-a", "SessionType",
		"Discovery", "FirstBurstLength", ",", "\x01", "99999999999" };
	uint32_t seed = 20261122;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct keys_text out = { .most = KEYS_TEXT_MAX };
		char text[512] = "";
		struct keys k;

		for (unsigned i = 0; i < 24; i++) {
			seed = seed * 1664525u + 1013904223u;
			strcat(text, pieces[(seed >> 16) % own_array_len(pieces)]);
		}
		strcat(text, seed & 0x800000 ? "=|" : "");
		keys_init(&k, KEYS_OPERATE, false);
		if (!negotiate(&k, text, &out) && out.len)
			assert_int_equal(out.data[out.len - 1], 0);
		keys_text_free(&out);
	}
}

/* ---- names ---- */

static void test_names(void **state)
{
	static const struct offer names[] = {
		{ "iqn.2026-11.kura.example:vm1", "iqn.2026-11.kura.example:vm1" },
		{ "IQN.1991-05.com.Microsoft:HOST_1", "iqn.1991-05.com.microsoft:host_1" },
		{ "eui.02004567A425678D", "eui.02004567a425678d" },
		{ "naa.52004567BA64678D", "naa.52004567ba64678d" },
		{ "naa.62004567BA64678D0123456789ABCDEF", "naa.62004567ba64678d0123456789abcdef" },
		{ "", NULL },
		{ "nobody in particular", NULL },
		{ "iqn.", NULL },
		{ "iqn.2026-13.kura:a", NULL },
		{ "iqn.2026-00.kura:a", NULL },
		{ "iqn.2026-1.kura:a", NULL },
		{ "iqn.2026-11.", NULL },
		{ "iqn.2026-11.:a", NULL },
		{ "iqn.2026-11.kura:a b", NULL },
		{ "iqn.2026-11.kura:\xc3\xa4", NULL },
		{ "eui.02004567A425678", NULL },
		{ "eui.02004567A425678D0", NULL },
		{ "eui.02004567A425678G", NULL },
		{ "naa.52004567BA64678D0", NULL },
	};
	char out[ISCSI_NAME_MAX + 1], name[300];

	(void)state;
	for (size_t i = 0; i < own_array_len(names); i++) {
		assert_int_equal(access_name(names[i].text, out), names[i].answer ? 0 : -EINVAL);
		assert_string_equal(out, names[i].answer ? names[i].answer : "");
	}
	sprintf(name, "iqn.2026-11.kura:%0206d", 0);
	assert_int_equal(strlen(name), ISCSI_NAME_MAX);
	assert_int_equal(access_name(name, out), 0);
	strcat(name, "0");
	assert_int_equal(access_name(name, out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_keys_that_are_gone_or_unknown),
		cmocka_unit_test(test_declarations),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_irrelevant),
		cmocka_unit_test(test_a_whole_negotiation),
		cmocka_unit_test(test_nothing_said_means_the_defaults),
		cmocka_unit_test(test_first_burst_is_never_above_max_burst),
		cmocka_unit_test(test_a_key_is_said_once),
		cmocka_unit_test(test_malformed_text),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_growing_text),
		cmocka_unit_test(test_random_text),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
