/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.c: a normal session without authentication: one exchange in the security stage, one in the
 * operational stage with every key offered at once, more only when the target wants them.
 */
#include "tests/bench/sess.h"

#include "common/be.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOGIN_TRANSIT  0x80
#define LOGIN_CONTINUE 0x40
#define LOGIN_TURNS    16

enum login_stage { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_FULL_FEATURE = 3 };

struct login_text {
	char buf[2048];
	uint32_t len;
};

static void key_add(struct login_text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void key_add(struct login_text *t, const char *fmt, ...)
{
	size_t room = sizeof t->buf - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < room)
		t->len += (uint32_t)n + 1;
}

static const char *yes_no(bool v)
{
	return v ? "Yes" : "No";
}

static void offer_names(const struct sess *s, struct login_text *t)
{
	key_add(t, "InitiatorName=%s", s->o->initiator);
	key_add(t, "TargetName=%s", s->o->target);
	key_add(t, "SessionType=Normal");
	key_add(t, "AuthMethod=None");
}

static void offer_keys(const struct sess *s, struct login_text *t)
{
	const struct opts *o = s->o;

	key_add(t, "HeaderDigest=%s", o->header_digest ? "CRC32C" : "None");
	key_add(t, "DataDigest=%s", o->data_digest ? "CRC32C" : "None");
	key_add(t, "MaxRecvDataSegmentLength=%u", o->max_recv);
	key_add(t, "MaxBurstLength=%u", o->max_burst);
	key_add(t, "FirstBurstLength=%u", o->first_burst);
	key_add(t, "InitialR2T=%s", yes_no(o->initial_r2t));
	key_add(t, "ImmediateData=%s", yes_no(o->immediate));
	key_add(t, "MaxOutstandingR2T=%u", o->max_r2t);
	key_add(t, "MaxConnections=1");
	key_add(t, "ErrorRecoveryLevel=0");
	key_add(t, "DefaultTime2Wait=2");
	key_add(t, "DefaultTime2Retain=0");
	key_add(t, "DataPDUInOrder=Yes");
	key_add(t, "DataSequenceInOrder=Yes");
}

/* Sends one login request and waits for its answer; the text is *kept until sent*. */
static int login_turn(
	struct sess *s, enum login_stage at, enum login_stage next, const struct login_text *t)
{
	uint8_t h[SESS_BHS] = { OP_LOGIN | OP_IMMEDIATE };
	uint32_t id = (uint32_t)getpid() << 10 ^ s->number;

	h[1] = (uint8_t)(LOGIN_TRANSIT | at << 2 | next);
	/* ISID of the random type (RFC 7143 11.12.5), one per session of the process. */
	h[8] = 0x80;
	be32_store(h + 9, id);
	be32_store(h + 16, s->number);
	be32_store(h + 24, s->cmd_sn);
	s->answered = false;
	sess_send(s, h, t->buf, t->len);
	return sess_await(s);
}

/* The value of `key` in the target's text, NULL when it is not there. */
static const char *key_find(const struct sess *s, const char *key)
{
	size_t key_len = strlen(key);

	for (uint32_t at = 0; at < s->rx.data_len;) {
		const char *entry = (const char *)s->text + at;

		if (strncmp(entry, key, key_len) == 0 && entry[key_len] == '=')
			return entry + key_len + 1;
		at += (uint32_t)strnlen(entry, s->rx.data_len - at) + 1;
	}
	return NULL;
}

static void take_bool(const struct sess *s, const char *key, bool *out)
{
	const char *v = key_find(s, key);

	if (v)
		*out = strcmp(v, "Yes") == 0;
}

static void take_digest(const struct sess *s, const char *key, bool *out)
{
	const char *v = key_find(s, key);

	if (v)
		*out = strcmp(v, "CRC32C") == 0;
}

static void take_number(const struct sess *s, const char *key, uint32_t *out)
{
	const char *v = key_find(s, key);
	unsigned long n = v ? strtoul(v, NULL, 0) : 0;

	if (n && n <= 0xffffff)
		*out = (uint32_t)n;
}

/* Takes what the target says in one answer into the parameters. */
static int keys_take(struct sess *s, struct params *p)
{
	if (s->rx.data_len && s->text[s->rx.data_len - 1])
		return sess_fail(s, "login text that does not end with a NUL");
	take_digest(s, "HeaderDigest", &p->header_digest);
	take_digest(s, "DataDigest", &p->data_digest);
	take_bool(s, "InitialR2T", &p->initial_r2t);
	take_bool(s, "ImmediateData", &p->immediate);
	take_number(s, "MaxRecvDataSegmentLength", &p->target_max_recv);
	take_number(s, "MaxBurstLength", &p->max_burst);
	take_number(s, "FirstBurstLength", &p->first_burst);
	take_number(s, "MaxOutstandingR2T", &p->max_r2t);
	return 0;
}

/* Whether the answers lie within what was asked for. */
static int keys_check(struct sess *s, const struct params *p)
{
	const struct opts *o = s->o;

	if (p->header_digest != o->header_digest || p->data_digest != o->data_digest)
		return sess_fail(s, "the target does not take the digests as offered");
	if (p->immediate > o->immediate || p->initial_r2t < o->initial_r2t)
		return sess_fail(s, "ImmediateData or InitialR2T against the rules");
	if (p->max_burst > o->max_burst || p->first_burst > o->first_burst)
		return sess_fail(s, "a burst length above what was offered");
	if (p->max_r2t > o->max_r2t)
		return sess_fail(s, "MaxOutstandingR2T above what was offered");
	return 0;
}

/* The exchanges of one stage; the first carries `first`, the others nothing. */
static int stage_run(struct sess *s, enum login_stage at, enum login_stage next,
	const struct login_text *first, struct params *p)
{
	static const struct login_text nothing;

	for (int turn = 0; turn < LOGIN_TURNS; turn++) {
		int err = login_turn(s, at, next, turn ? &nothing : first);

		if (!err)
			err = keys_take(s, p);
		if (err)
			return err;
		if (s->login_flags & LOGIN_TRANSIT && !(s->login_flags & LOGIN_CONTINUE))
			return 0;
	}
	return sess_fail(s, "the target does not leave login stage %d", (int)at);
}

int login_run(struct sess *s)
{
	/* What holds when the target does not answer a key: RFC 7143 13. */
	struct params p = {
		.immediate = true,
		.initial_r2t = true,
		.target_max_recv = 8192,
		.max_burst = 262144,
		.first_burst = 65536,
		.max_r2t = 1,
	};
	struct login_text names = { .len = 0 }, keys = { .len = 0 };
	int err;

	offer_names(s, &names);
	offer_keys(s, &keys);
	err = stage_run(s, STAGE_SECURITY, STAGE_OPERATIONAL, &names, &p);
	if (!err)
		err = stage_run(s, STAGE_OPERATIONAL, STAGE_FULL_FEATURE, &keys, &p);
	if (!err)
		err = keys_check(s, &p);
	if (!err)
		s->p = p;
	return err;
}

int login_out(struct sess *s)
{
	uint8_t h[SESS_BHS] = { OP_LOGOUT | OP_IMMEDIATE, 0x80 };

	be32_store(h + 16, 0x7fff0000);
	be32_store(h + 24, s->cmd_sn);
	s->answered = false;
	sess_send(s, h, NULL, 0);
	return sess_await(s);
}
