// SPDX-License-Identifier: Apache-2.0
/*
 * test_chap.c: digests against values that Python's hashlib gave, binary values in both encodings,
 * each step of the exchange with each way that it can go wrong, and what wrong secrets cost.
 */
#include "target/iscsi/binary.h"
#include "target/iscsi/login_chap.h"

#include "common/own.h"
#include "target/iscsi/login_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- digests ---- */

static void digest_is(enum chap_algorithm algorithm, uint8_t id, const char *secret,
	const uint8_t *challenge, size_t len, const char *want)
{
	uint8_t out[CHAP_DIGEST_MAX];
	char text[2 * CHAP_DIGEST_MAX + 3];

	binary_format(out, chap_digest(algorithm, id, secret, challenge, len, out), text);
	assert_string_equal(text + 2, want);
}

static void test_digests(void **state)
{
	static const char *const want[][3] = {
		{ "a9f991dec50b29f05cdce2dc4a245f10", "8abaf66068fce03bc314837da671f02c",
			"82829f1f3f2bb0f18b25f278e5bba8bd" },
		{ "7c20850d7754e2659e93bae0b6878640c8ec2b96",
			"363d684cc0101ddabff25d3d589500c8f2186b1a",
			"e37a04cb2353309f5cff4ee036cfb91a5e31cefd" },
		{ "4f4e57b0437bd0757d3eb27dbadb0e19139f7378cab05831d7e50d31b84fff23",
			"742d07e73b42d80c055749fb97ce37123155307bdf044631ebde39be254e7b24",
			"d414b085826eb06778483ba35564dc849e643359f69ed9747878ba6e54985bed" },
		{ "3a0e8923f0b2bcca6c685a8e8ce60c5c56edbe280c9e7f3879029453450a56d1",
			"65170e943eb594a297f3581e15145ad19d3e7fb522df9b227dbc9075ec4d5402",
			"fe0ff504c79e251aedec1e83dd99637b93650f1a1505310acd4e77b034ffdfca" },
	};
	char secret[256] = "";
	uint8_t challenge[1024];

	(void)state;
	for (unsigned i = 1; i < 256; i++)
		secret[i - 1] = (char)i;
	for (unsigned i = 0; i < sizeof challenge; i++)
		challenge[i] = (uint8_t)i;
	for (unsigned i = 0; i < own_array_len(want); i++) {
		enum chap_algorithm a = CHAP_MD5 + i;

		digest_is(a, 0x27, "a-secret-of-24-bytes-123", challenge, 16, want[i][0]);
		digest_is(a, 0xff, "s", (const uint8_t *)"\xaa", 1, want[i][1]);
		digest_is(a, 0, secret, challenge, sizeof challenge, want[i][2]);
	}
}

/* ---- binary values ---- */

static void test_binary(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *bytes;
	} rows[] = {
		{ "0x00ff", 2, "\x00\xff" },
		{ "0XaBCd", 2, "\xab\xcd" },
		{ "0bAP8=", 2, "\x00\xff" },
		{ "0BAA==", 1, "\x00" },
		{ "0bAAECAwQF", 6, "\x00\x01\x02\x03\x04\x05" },
		{ "0b+/+/", 3, "\xfb\xff\xbf" },
		{ "0x0001020304050607", 8, "\x00\x01\x02\x03\x04\x05\x06\x07" },
		{ "0x000102030405060708", -ENOSPC, "" },
		{ "0bAAECAwQFBgcI", -ENOSPC, "" },
		{ "", -EINVAL, "" },
		{ "0", -EINVAL, "" },
		{ "0x", -EINVAL, "" },
		{ "0b", -EINVAL, "" },
		{ "0x0", -EINVAL, "" },
		{ "0x000", -EINVAL, "" },
		{ "0x0g", -EINVAL, "" },
		{ "0x 0", -EINVAL, "" },
		{ "0bA", -EINVAL, "" },
		{ "0bAA", -EINVAL, "" },
		{ "0bAAA", -EINVAL, "" },
		{ "0bAA=A", -EINVAL, "" },
		{ "0bA===", -EINVAL, "" },
		{ "0b====", -EINVAL, "" },
		{ "0bAA==AAAA", -EINVAL, "" },
		{ "0bAB==", -EINVAL, "" }, /* bits that mean nothing */
		{ "0bAAB=", -EINVAL, "" },
		{ "0b-_-_", -EINVAL, "" }, /* RFC 4648 5 is another alphabet */
		{ "00ff", -EINVAL, "" },
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		uint8_t out[8];
		int n = binary_parse(rows[i].text, out, sizeof out);

		if (n != rows[i].result)
			print_message("# %s\n", rows[i].text);
		assert_int_equal(n, rows[i].result);
		if (n > 0)
			assert_memory_equal(out, rows[i].bytes, n);
	}
}

/* ---- the exchange ---- */

#define USER   "alice"
#define SECRET "correct horse battery"
#define OURS   "we are who we say"

/* One exchange: what was said last, and what came back as "KEY=VALUE|". */
static struct {
	struct iscsi_auth *auth;
	struct chap chap;
	struct keys keys;
	struct keys_text out;
	char said[8192];
	char answer[8192];
	const char *rule;
} x;

static void begin(const char *algorithms, bool mutual)
{
	const struct iscsi_auth_conf conf = {
		.user = USER,
		.secret = SECRET,
		.mutual_user = mutual ? "target" : NULL,
		.mutual_secret = mutual ? OURS : NULL,
		.algorithms = algorithms,
	};

	chap_auth_free(x.auth);
	x.auth = chap_auth_new(&conf);
	keys_init(&x.keys, KEYS_SECURITY, false);
	chap_begin(&x.chap, x.auth);
}

/* Says a text in which '|' stands for NUL. */
static enum login_status say(const char *text)
{
	enum login_status status;
	size_t len = strlen(text);

	x.out.most = KEYS_TEXT_MAX;
	for (size_t i = 0; i <= len; i++)
		x.said[i] = text[i] == '|' ? '\0' : text[i];
	assert_int_equal(keys_negotiate(&x.keys, (uint8_t *)x.said, len, &x.out), 0);
	assert_int_equal(x.out.len, 0); /* none of them is answered by the table */
	status = chap_take(&x.chap, &x.keys, &x.out, &x.rule);
	for (uint32_t i = 0; i < x.out.len; i++)
		x.answer[i] = x.out.data[i] ? (char)x.out.data[i] : '|';
	x.answer[x.out.len] = '\0';
	keys_text_free(&x.out);
	return status;
}

/* "CHAP_N=USER|CHAP_R=...|" with the response to our challenge, and `more` behind it. */
static const char *response(const char *user, const char *secret, const char *more)
{
	static char text[4096];
	uint8_t digest[CHAP_DIGEST_MAX];
	char hex[2 * CHAP_DIGEST_MAX + 3];
	unsigned n = chap_digest(x.chap.algorithm, x.chap.id, secret, x.chap.challenge,
		sizeof x.chap.challenge, digest);

	binary_format(digest, n, hex);
	snprintf(text, sizeof text, "CHAP_N=%s|CHAP_R=%s|%s", user, hex, more);
	return text;
}

static int end(void **state)
{
	(void)state;
	chap_auth_free(x.auth);
	x.auth = NULL;
	return 0;
}

static void test_one_way(void **state)
{
	static const char *const all = "sha3-256 sha-256 sha-1 md5";
	char want[200], hex[2 * CHAP_CHALLENGE + 3];

	(void)state;
	for (unsigned a = CHAP_MD5; a <= CHAP_SHA3_256; a++) {
		char offer[20];

		begin(all, false);
		snprintf(offer, sizeof offer, "CHAP_A=%u|", a);
		assert_int_equal(say(offer), LOGIN_SUCCESS);
		binary_format(x.chap.challenge, CHAP_CHALLENGE, hex);
		snprintf(want, sizeof want, "CHAP_A=%u|CHAP_I=%u|CHAP_C=%s|", a, x.chap.id, hex);
		assert_string_equal(x.answer, want);
		assert_int_equal(x.chap.state, CHAP_RESPONSE);
		assert_int_equal(say(response(USER, SECRET, "")), LOGIN_SUCCESS);
		assert_string_equal(x.answer, "");
		assert_int_equal(x.chap.state, CHAP_PROVED);
		assert_false(x.chap.guessed || x.chap.mutual);
	}
}

static void test_algorithms_in_our_order(void **state)
{
	static const struct {
		const char *ours, *offer;
		unsigned chosen;
	} rows[] = {
		{ "sha3-256 sha-256 sha-1 md5", "CHAP_A=5,6,7,8|", 8 },
		{ "sha3-256 sha-256 sha-1 md5", "CHAP_A=5,7|", 7 },
		{ "md5 sha-256", "CHAP_A=8,7,6,5|", 5 },
		{ "sha-256 md5", "CHAP_A=0x7,5|", 7 },
		{ "sha-256", "CHAP_A=1,2,77777,7|", 7 },
		{ "sha-1", "CHAP_A=5,7,8|", 0 },
		{ "md5", "CHAP_A=55|", 0 },
		{ "md5", "CHAP_A=05|", 0 },
		{ "md5", "CHAP_A=5555555555555555|", 0 },
		{ "md5", "CHAP_A=,,|", 0 },
		{ "md5", "CHAP_A=|", 0 },
		{ "md5", "CHAP_A=MD5|", 0 },
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		begin(rows[i].ours, false);
		assert_int_equal(
			say(rows[i].offer), rows[i].chosen ? LOGIN_SUCCESS : LOGIN_AUTHENTICATION);
		if (rows[i].chosen)
			assert_int_equal(x.chap.algorithm, rows[i].chosen);
		else
			assert_string_equal(x.answer, "");
	}
}

static void test_wrong(void **state)
{
	const char *rule = NULL;
	const struct {
		const char *user, *secret;
	} rows[] = { { USER, "wrong" }, { "bob", SECRET }, { "bob", "wrong" }, { "", SECRET },
		{ "alic", SECRET }, { "alice ", SECRET }, { "Alice", SECRET } };

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		begin("sha-256", true);
		assert_int_equal(say("CHAP_A=7|"), LOGIN_SUCCESS);
		assert_int_equal(
			say(response(rows[i].user, rows[i].secret, "CHAP_I=1|CHAP_C=0x00|")),
			LOGIN_AUTHENTICATION);
		assert_true(x.chap.guessed);
		assert_int_not_equal(x.chap.state, CHAP_PROVED);
		assert_string_equal(x.answer, ""); /* we prove nothing to it */
		/* a wrong user and a wrong secret cannot be told apart */
		assert_true(!rule || rule == x.rule);
		rule = x.rule;
	}
	begin("sha-256", false);
	assert_int_equal(say("CHAP_A=7|"), LOGIN_SUCCESS);
	assert_int_equal(say("CHAP_N=" USER "|CHAP_R=0x00|"), LOGIN_AUTHENTICATION);
	assert_true(x.chap.guessed);
}

static void test_mutual(void **state)
{
	uint8_t digest[CHAP_DIGEST_MAX];
	char want[200], hex[2 * CHAP_DIGEST_MAX + 3];

	(void)state;
	begin("sha3-256", true);
	assert_int_equal(say("CHAP_A=8|"), LOGIN_SUCCESS);
	assert_int_equal(
		say(response(USER, SECRET, "CHAP_I=0x21|CHAP_C=0bAAECAwQFBgcICQoLDA0ODw==|")),
		LOGIN_SUCCESS);
	binary_format(digest,
		chap_digest(CHAP_SHA3_256, 0x21, OURS,
			(const uint8_t *)"\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf", 16, digest),
		hex);
	snprintf(want, sizeof want, "CHAP_N=target|CHAP_R=%s|", hex);
	assert_string_equal(x.answer, want);
	assert_true(x.chap.mutual);
	assert_int_equal(x.chap.state, CHAP_PROVED);
}

static void test_mutual_refused(void **state)
{
	static const struct {
		const char *more;
		bool mutual;
		enum login_status status;
	} rows[] = {
		{ "CHAP_I=1|CHAP_C=0x0011|", false, LOGIN_AUTHENTICATION }, /* not configured */
		{ "CHAP_I=1|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_C=0x0011|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_I=256|CHAP_C=0x0011|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_I=-1|CHAP_C=0x0011|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_I=|CHAP_C=0x0011|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_I=1|CHAP_C=0x|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_I=1|CHAP_C=|", true, LOGIN_INITIATOR_ERROR },
		{ "CHAP_I=1|CHAP_C=17|", true, LOGIN_INITIATOR_ERROR },
	};

	(void)state;
	for (size_t i = 0; i < own_array_len(rows); i++) {
		begin("md5", rows[i].mutual);
		assert_int_equal(say("CHAP_A=5|"), LOGIN_SUCCESS);
		assert_int_equal(say(response(USER, SECRET, rows[i].more)), rows[i].status);
		assert_string_equal(x.answer, "");
		assert_false(x.chap.guessed);
	}
}

/* Our own challenge, in either encoding, is no challenge for us. */
static void test_reflection(void **state)
{
	char more[200], hex[2 * CHAP_CHALLENGE + 3];

	(void)state;
	begin("md5", true);
	assert_int_equal(say("CHAP_A=5|"), LOGIN_SUCCESS);
	binary_format(x.chap.challenge, CHAP_CHALLENGE, hex);
	for (char *p = hex + 2; *p; p++)
		if (*p >= 'a')
			*p = (char)(*p - 'a' + 'A');
	snprintf(more, sizeof more, "CHAP_I=%u|CHAP_C=%s|", x.chap.id, hex);
	assert_int_equal(say(response(USER, SECRET, more)), LOGIN_AUTHENTICATION);
	assert_string_equal(x.answer, "");
}

static void test_out_of_turn(void **state)
{
	static const char *const first[] = { "CHAP_N=" USER "|CHAP_R=0x00|", "CHAP_I=1|",
		"CHAP_C=0x00|", "CHAP_A=5|CHAP_N=" USER "|", "CHAP_R=0x00|" };
	static const char *const second[] = { "CHAP_N=" USER "|", "CHAP_R=0x00|", "CHAP_C=0x00|",
		"CHAP_N=" USER "|CHAP_R=|", "CHAP_N=" USER "|CHAP_R=zero|",
		"CHAP_N=" USER "|CHAP_R=0|" };

	(void)state;
	for (size_t i = 0; i < own_array_len(first); i++) {
		begin("md5", true);
		assert_int_equal(say(first[i]), LOGIN_INITIATOR_ERROR);
		assert_string_equal(x.answer, "");
	}
	for (size_t i = 0; i < own_array_len(second); i++) {
		begin("md5", true);
		assert_int_equal(say("CHAP_A=5|"), LOGIN_SUCCESS);
		assert_int_equal(say(second[i]), LOGIN_INITIATOR_ERROR);
		assert_false(x.chap.guessed);
	}
	begin("md5", false);
	assert_int_equal(say("X-a=NotUnderstood|"), LOGIN_SUCCESS);
	assert_int_equal(x.chap.state, CHAP_ALGORITHM);
	x.chap.state = CHAP_NOT_CHOSEN;
	assert_int_equal(say("CHAP_A=5|"), LOGIN_INITIATOR_ERROR);
}

/* RFC 7143 12.1.3: 1024 bytes at most. */
static void test_long_values(void **state)
{
	char more[5000] = "CHAP_I=1|CHAP_C=0x";

	(void)state;
	begin("md5", true);
	assert_int_equal(say("CHAP_A=5|"), LOGIN_SUCCESS);
	for (unsigned i = 0; i < 1024; i++)
		strcat(more, "5a");
	strcat(more, "|");
	assert_int_equal(say(response(USER, SECRET, more)), LOGIN_SUCCESS);
	assert_int_equal(x.chap.state, CHAP_PROVED);
}

/* Names that look like binary values are names. */
static void test_user_is_text(void **state)
{
	static const char *const users[] = { "0x6162", "0b\"a\"", "0bYWJj" };

	(void)state;
	for (size_t i = 0; i < own_array_len(users); i++) {
		const struct iscsi_auth_conf conf = {
			.user = users[i], .secret = SECRET, .algorithms = "md5"
		};

		begin("md5", false);
		chap_auth_free(x.auth);
		x.auth = chap_auth_new(&conf);
		chap_begin(&x.chap, x.auth);
		assert_int_equal(say("CHAP_A=5|"), LOGIN_SUCCESS);
		assert_int_equal(say(response(users[i], SECRET, "")), LOGIN_SUCCESS);
		assert_int_equal(x.chap.state, CHAP_PROVED);
	}
}

/* ---- what wrong secrets cost ---- */

static const uint8_t v4_one[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [15] = 1 };
static const uint8_t v4_two[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [15] = 2 };
static const uint8_t v6_one[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
static const uint8_t v6_two[16] = { 0x20, 1, 0xd, 0xb8, [15] = 2 };
static const uint8_t v6_far[16] = { 0x20, 1, 0xd, 0xb9, [15] = 1 };

static void test_guard_grows(void **state)
{
	static const uint32_t steps[] = { 250, 500, 1000, 2000, 4000, 4000 };
	struct login_guard guard = { 0 };
	uint64_t now = 5000;
	const int who = 0;

	(void)state;
	assert_int_equal(guard_wait(&guard, &who, v4_one, now), 0);
	for (size_t i = 0; i < own_array_len(steps); i++) {
		guard_wrong(&guard, &who, v4_one, now);
		assert_int_equal(guard_wait(&guard, &who, v4_one, now), steps[i]);
		assert_int_equal(guard_wait(&guard, &who, v4_one, now + 100), steps[i] - 100);
		now += steps[i];
		assert_int_equal(guard_wait(&guard, &who, v4_one, now), 0);
	}
	assert_int_equal(guard_wait(&guard, &who, v4_two, now - 1), 0);
	assert_int_equal(guard_wait(&guard, NULL, v4_one, now - 1), 0);
	/* attempts at the same time wait for each other */
	guard_wrong(&guard, &who, v4_one, now);
	guard_wrong(&guard, &who, v4_one, now);
	assert_int_equal(guard_wait(&guard, &who, v4_one, now), 8000);
	guard_right(&guard, &who, v4_one);
	assert_int_equal(guard_wait(&guard, &who, v4_one, now), 0);
	guard_wrong(&guard, &who, v4_one, now);
	assert_int_equal(guard_wait(&guard, &who, v4_one, now), 250);
	now += GUARD_FORGET_MS + 1;
	guard_wrong(&guard, &who, v4_one, now);
	assert_int_equal(guard_wait(&guard, &who, v4_one, now), 250);
}

static void test_guard_networks_and_room(void **state)
{
	struct login_guard guard = { 0 };
	uint8_t address[16] = { [10] = 0xff, [11] = 0xff, [12] = 10 };

	(void)state;
	guard_wrong(&guard, NULL, v6_one, 1000);
	assert_int_equal(guard_wait(&guard, NULL, v6_two, 1000), 250);
	assert_int_equal(guard_wait(&guard, NULL, v6_far, 1000), 0);
	for (unsigned i = 0; i < 2 * GUARD_ENTRIES; i++) {
		address[15] = (uint8_t)i;
		guard_wrong(&guard, NULL, address, 2000 + i);
		assert_int_equal(guard_wait(&guard, NULL, address, 2000 + i), 250);
	}
	assert_int_equal(guard_wait(&guard, NULL, v6_one, 1000), 0); /* the oldest went */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, end)
	const struct CMUnitTest tests[] = {
		TEST(test_digests),
		TEST(test_binary),
		TEST(test_one_way),
		TEST(test_algorithms_in_our_order),
		TEST(test_wrong),
		TEST(test_mutual),
		TEST(test_mutual_refused),
		TEST(test_reflection),
		TEST(test_out_of_turn),
		TEST(test_long_values),
		TEST(test_user_is_text),
		TEST(test_guard_grows),
		TEST(test_guard_networks_and_room),
	};

	return cmocka_run_group_tests_name("chap", tests, NULL, NULL);
}
