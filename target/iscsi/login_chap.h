/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login_chap.h: CHAP (RFC 1994, RFC 7143 12.1.3) as a target speaks it: the initiator proves that
 * it knows a secret, and we prove that we know another one when it asks for that.
 *
 * Keys come in, keys go out; nothing here knows a connection. Any thread; no state but what is
 * passed.
 */
#ifndef KURA_TARGET_ISCSI_LOGIN_CHAP_H
#define KURA_TARGET_ISCSI_LOGIN_CHAP_H

#include "target/iscsi/keys.h"
#include "target/iscsi/login.h"

#define CHAP_BINARY_MAX 1024u /* bytes of a challenge or response, RFC 7143 12.1.3 */
#define CHAP_CHALLENGE  32u   /* bytes of ours */
#define CHAP_DIGEST_MAX 32u

/* RFC 7143 12.1.3 and the registry that it opens. */
enum chap_algorithm { CHAP_MD5 = 5, CHAP_SHA1 = 6, CHAP_SHA256 = 7, CHAP_SHA3_256 = 8 };

/* What an initiator has to know, and what we know. */
struct iscsi_auth;

/* Makes it from what was configured; everything is copied. Returns owned. Set-up only. */
struct iscsi_auth *chap_auth_new(const struct iscsi_auth_conf *conf);

/* Wipes and frees it; NULL is fine. Takes it. */
void chap_auth_free(struct iscsi_auth *auth);

/* Whether both ask for the same, and prove the same. */
bool chap_auth_same(const struct iscsi_auth *a, const struct iscsi_auth *b);

enum chap_state {
	CHAP_NOT_CHOSEN, /* AuthMethod is not agreed on */
	CHAP_ALGORITHM,  /* CHAP_A comes next */
	CHAP_RESPONSE,   /* our challenge is out */
	CHAP_PROVED,
};

/* The name that an initiator has to give; borrowed. */
const char *chap_auth_user(const struct iscsi_auth *auth);

/* One exchange. */
struct chap {
	const struct iscsi_auth *auth; /* borrowed */
	enum chap_state state;
	enum chap_algorithm algorithm;
	uint8_t id;
	uint8_t challenge[CHAP_CHALLENGE];
	bool mutual;  /* we have proved ourselves as well */
	bool guessed; /* a response was compared, and wrong */
};

/* AuthMethod=CHAP was agreed on. */
void chap_begin(struct chap *chap, const struct iscsi_auth *auth);

/* Whether the text of `keys` has the initiator's response to our challenge. */
bool chap_is_response(const struct chap *chap, const struct keys *keys);

/*
 * Takes the CHAP keys of one text and appends ours to `out`. Returns LOGIN_SUCCESS (chap->state
 * says how far it is), or the status that ends the login, with the rule that was broken in *rule.
 */
enum login_status chap_take(
	struct chap *chap, const struct keys *keys, struct keys_text *out, const char **rule);

/* The response to a challenge, RFC 1994 4.1: bytes in `out`, or 0 when this machine cannot. */
unsigned chap_digest(enum chap_algorithm algorithm, uint8_t id, const char *secret,
	const uint8_t *challenge, size_t len, uint8_t out[CHAP_DIGEST_MAX]);

#endif
