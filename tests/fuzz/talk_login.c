// SPDX-License-Identifier: Apache-2.0
/*
 * talk_login.c: logins as an initiator does them, stage after stage, with CHAP both ways; and the
 * keys that steps can say.
 */
#include "tests/fuzz/talk_conn.h"

#include "target/iscsi/binary.h"
#include "target/iscsi/login_chap.h"

#include <stdio.h>

#define EXCHANGES_MOST 12u

/* What a step's body can name; 0 is nothing. talk_seeds.py reads this list. */
static const char *const dictionary[] = {
	"",
#define KEY(text) text,
#include "tests/fuzz/talk_keys.def"
#undef KEY
};
#define DICTIONARY (sizeof(dictionary) / sizeof(dictionary[0]))

uint32_t talk_keys(struct talk_conn *c, const struct talk_step *step, char *out, uint32_t room)
{
	static const char max_recv[] = "MaxRecvDataSegmentLength=";
	uint32_t used = 0;

	for (unsigned i = 0; i < TALK_KEYS; i++) {
		const char *text = dictionary[step->body[i] % DICTIONARY];
		uint32_t len = (uint32_t)strlen(text) + 1;

		if (!*text || len > room - used)
			continue;
		memcpy(out + used, text, len);
		used += len;
		if (!strncmp(text, max_recv, sizeof(max_recv) - 1)) {
			uint32_t most = (uint32_t)strtoul(text + sizeof(max_recv) - 1, NULL, 0);

			c->recv_most = most > c->recv_most ? most : c->recv_most;
		}
	}
	return used;
}

static uint32_t say(char *out, uint32_t at, const char *key, const char *value)
{
	return at + (uint32_t)snprintf(out + at, TALK_TEXT_MAX - at, "%s=%s", key, value) + 1;
}

static uint32_t say_names(char *out, const struct talk_step *step)
{
	uint32_t at = say(out, 0, "InitiatorName",
		step->op % WHO_COUNT == WHO_STRANGER ? "iqn.2026-11.kura.test:stranger"
						     : "iqn.2026-11.kura.test:fuzzer");

	if (step->op % WHO_COUNT == WHO_DISCOVERY)
		return say(out, at, "SessionType", "Discovery");
	return say(out, at, "TargetName",
		step->op % WHO_COUNT == WHO_CHAP ? TALK_CHAP_TARGET : WORLD_TARGET);
}

static const char *answer_to(const struct talk_conn *c, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = c->text; p < c->text + c->text_len; p += strlen(p) + 1)
		if (!strncmp(p, key, len) && p[len] == '=')
			return p + len + 1;
	return NULL;
}

/* ---- CHAP, RFC 7143 12.1.3 ---- */

static uint32_t say_algorithms(char *out, uint32_t at, const struct talk_step *step)
{
	static const char *const lists[] = { "5,6,7,8", "6", "7,5", "8,7" };

	return say(out, at, "CHAP_A", lists[step->flags & LOGIN_ALGORITHM]);
}

static uint32_t say_response(
	const struct talk_conn *c, char *out, uint32_t at, const struct talk_step *step)
{
	const char *a = answer_to(c, "CHAP_A"), *i = answer_to(c, "CHAP_I");
	const char *challenge = answer_to(c, "CHAP_C");
	uint8_t theirs[CHAP_BINARY_MAX], response[CHAP_DIGEST_MAX];
	char text[2 * CHAP_DIGEST_MAX + 3];
	int len = binary_parse(challenge, theirs, sizeof(theirs));
	unsigned n;

	fuzz_check(a && i && len > 0); /* a challenge is whole */
	n = chap_digest((enum chap_algorithm)atoi(a), (uint8_t)atoi(i),
		step->flags & LOGIN_WRONG_SECRET ? "guessed" : TALK_SECRET, theirs, (size_t)len,
		response);
	fuzz_check(n);
	binary_format(response, n, text);
	at = say(out, say(out, at, "CHAP_N", "alice"), "CHAP_R", text);
	if (step->flags & LOGIN_MUTUAL)
		at = say(out, say(out, at, "CHAP_I", "17"), "CHAP_C", "0x0123456789abcdef");
	return at;
}

/* ---- a request ---- */

static void send_login(struct talk *t, struct talk_conn *c, const struct talk_step *step,
	uint8_t flags, const char *text, uint32_t len)
{
	union pdu pdu = { .login_req = {
				  .opcode = PDU_LOGIN_REQ | PDU_IMMEDIATE, .flags = flags } };

	memcpy(pdu.login_req.isid, c->session->isid, sizeof(pdu.login_req.isid));
	be16_set(&pdu.login_req.tsih, c->session->tsih);
	be32_set(&pdu.login_req.itt, c->login_itt);
	be16_set(&pdu.login_req.cid, c->cid);
	be32_set(&pdu.login_req.cmd_sn, c->session->first);
	be32_set(&pdu.login_req.exp_stat_sn, c->stat_sn);
	c->answered = false;
	c->text_len = 0;
	talk_push(c, &pdu, step, (const uint8_t *)text, len);
	if (!(step->who & TALK_BATCH))
		talk_turn(t);
}

/* Whose session the connection is for: a new one, or that of the connection before it. */
static void choose_session(struct talk *t, struct talk_conn *c, const struct talk_step *step)
{
	unsigned n = (unsigned)(c - t->conn);
	struct talk_session *s = &t->session[n];
	uint32_t isid = talk_u16(step->off);

	c->cid = (uint16_t)n;
	if (step->flags & LOGIN_JOIN) {
		s = &t->session[(n + TALK_CONNS - 1) % TALK_CONNS];
	} else {
		for (unsigned i = 0; i < TALK_CONNS; i++)
			if (i != n && t->conn[i].session == s)
				talk_drop(t, &t->conn[i]);
		memset(s, 0, sizeof(*s));
		s->first = s->most = 1;
		s->itt = n << 16;
	}
	if (!s->first)
		s->first = s->most = 1;
	if (!s->tsih)
		memcpy(s->isid, (uint8_t[6]){ 0, 2, 0x3d, 0, 0, (uint8_t)(isid ? isid : n + 1) },
			6);
	c->session = s;
	c->login_itt = ++s->itt;
}

/* The text of the next request, from what the target has said. */
static uint32_t next_text(const struct talk_conn *c, const struct talk_step *step, char *out)
{
	const char *method = answer_to(c, "AuthMethod");

	if (c->login_flags & PDU_CONTINUE)
		return 0;
	if (answer_to(c, "CHAP_C"))
		return say_response(c, out, 0, step);
	if (method && !strcmp(method, "CHAP"))
		return say_algorithms(out, 0, step);
	return 0;
}

/* Byte 1 of the next request. */
static uint8_t next_flags(const struct talk_conn *c, uint8_t stage, bool first, bool security)
{
	uint8_t now = (uint8_t)(stage << 2);
	const char *method = answer_to(c, "AuthMethod");

	if (first && security)
		return now;
	if (!first && ((c->login_flags & PDU_CONTINUE) || (method && !strcmp(method, "CHAP"))))
		return now;
	return (uint8_t)(PDU_LOGIN_TRANSIT | now |
			 (stage == PDU_STAGE_SECURITY ? PDU_STAGE_OPERATE : PDU_STAGE_FULL));
}

static uint32_t first_text(struct talk_conn *c, const struct talk_step *step, char *out)
{
	uint32_t at = say_names(out, step);

	if (step->flags & LOGIN_SECURITY || step->op % WHO_COUNT == WHO_CHAP)
		return say(out, at, "AuthMethod", "CHAP,None");
	if (step->flags & LOGIN_HEADER_DIGEST)
		at = say(out, at, "HeaderDigest", "CRC32C,None");
	if (step->flags & LOGIN_DATA_DIGEST)
		at = say(out, at, "DataDigest", "CRC32C,None");
	return at + talk_keys(c, step, out + at, TALK_TEXT_MAX - at);
}

/* What is said on entering the operational stage from the security stage. */
static uint32_t operational_text(struct talk_conn *c, const struct talk_step *step, char *out)
{
	uint32_t at = 0;

	if (step->flags & LOGIN_HEADER_DIGEST)
		at = say(out, at, "HeaderDigest", "CRC32C,None");
	if (step->flags & LOGIN_DATA_DIGEST)
		at = say(out, at, "DataDigest", "CRC32C,None");
	return at + talk_keys(c, step, out + at, TALK_TEXT_MAX - at);
}

/* One more exchange; false: the login is over, one way or the other. */
static bool go_on(struct talk *t, struct talk_conn *c, const struct talk_step *step, uint8_t *stage)
{
	char text[TALK_TEXT_MAX];
	uint32_t len;

	if (!c->answered) { /* what a wrong secret before costs is waited for */
		sim_advance(t->world->loop, 5000);
		talk_turn(t);
	}
	if (!c->peer || !c->answered || c->full || c->login_status || sim_peer_closed(c->peer))
		return false;
	len = next_text(c, step, text);
	if (*stage == PDU_STAGE_SECURITY && (c->login_flags & PDU_LOGIN_TRANSIT)) {
		*stage = PDU_STAGE_OPERATE;
		len = operational_text(c, step, text);
	}
	send_login(t, c, step, next_flags(c, *stage, false, false), text, len);
	return true;
}

void talk_login(struct talk *t, struct talk_conn *c, const struct talk_step *step)
{
	bool security = step->flags & LOGIN_SECURITY || step->op % WHO_COUNT == WHO_CHAP;
	uint8_t stage = security ? PDU_STAGE_SECURITY : PDU_STAGE_OPERATE;
	struct talk_step right = *step;
	char text[TALK_TEXT_MAX];
	uint32_t len;

	talk_open(t, c);
	choose_session(t, c, step);
	right.who &= TALK_CONN_MASK;
	len = first_text(c, step, text);
	send_login(t, c, &right, next_flags(c, stage, true, security), text, len);
	right.wrong = 0; /* what is wrong is wrong in the first request */
	for (unsigned i = 0; i < EXCHANGES_MOST && go_on(t, c, &right, &stage); i++)
		;
}

void talk_login_pdu(struct talk *t, struct talk_conn *c, const struct talk_step *step)
{
	char text[TALK_TEXT_MAX];
	uint32_t len = 0;

	if (!c->peer) {
		talk_open(t, c);
		choose_session(t, c, step);
		len = say_names(text, step);
	} else if (answer_to(c, "CHAP_C") && !(step->op & 1)) {
		len = say_response(c, text, 0, step);
	}
	len += talk_keys(c, step, text + len, TALK_TEXT_MAX - len);
	send_login(t, c, step, step->flags, text, len);
}
