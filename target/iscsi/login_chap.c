// SPDX-License-Identifier: Apache-2.0
/*
 * login_chap.c: the steps of CHAP, RFC 7143 12.1.3:
 *
 *     initiator                          target
 *     CHAP_A=5,6,7,8                     CHAP_A=7 CHAP_I=id CHAP_C=challenge
 *     CHAP_N=user CHAP_R=response        (over)
 *       and, to have us prove ourselves:
 *     CHAP_I=id CHAP_C=challenge         CHAP_N=our user CHAP_R=response
 *
 * What can fail: a key that is missing, malformed or out of turn; no common algorithm; our own
 * challenge sent back to us; a wrong user or secret, which look the same and take the same time.
 */
#include "target/iscsi/login_chap.h"

#include "common/crypto.h"
#include "common/own.h"
#include "common/secret.h"
#include "target/iscsi/binary.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define CHAP_ALGORITHMS 4u

struct iscsi_auth {
	char *user;
	char *secret; /* common/secret.h */
	char *mutual_user;
	char *mutual_secret; /* the same; NULL: we cannot prove ourselves */
	enum chap_algorithm algorithms[CHAP_ALGORITHMS]; /* best first */
	unsigned algorithm_count;
};

static const struct {
	enum chap_algorithm number;
	const char *name;
	enum crypto_digest_id digest;
} chap_rows[CHAP_ALGORITHMS] = {
	{ CHAP_MD5, "md5", CRYPTO_MD5 },
	{ CHAP_SHA1, "sha-1", CRYPTO_SHA1 },
	{ CHAP_SHA256, "sha-256", CRYPTO_SHA256 },
	{ CHAP_SHA3_256, "sha3-256", CRYPTO_SHA3_256 },
};

/* ---- digests ---- */

unsigned chap_digest(enum chap_algorithm algorithm, uint8_t id, const char *secret,
	const uint8_t *challenge, size_t len, uint8_t out[CHAP_DIGEST_MAX])
{
	/* RFC 1994 4.1: the identifier, then the secret, then the challenge */
	const struct crypto_piece pieces[] = {
		{ &id, 1 },
		{ secret, strlen(secret) },
		{ challenge, len },
	};

	_Static_assert(CHAP_DIGEST_MAX >= CRYPTO_DIGEST_MAX, "any digest fits");
	for (unsigned i = 0; i < CHAP_ALGORITHMS; i++)
		if (chap_rows[i].number == algorithm)
			return crypto_digest(
				chap_rows[i].digest, pieces, own_array_len(pieces), out);
	return 0;
}

/* Whether this machine computes it: one that is bound to FIPS 140 has no MD5. */
static bool is_possible(enum chap_algorithm algorithm)
{
	uint8_t out[CHAP_DIGEST_MAX];

	return chap_digest(algorithm, 0, "", (const uint8_t *)"", 0, out) != 0;
}

/* ---- what is asked of initiators ---- */

/* `words` are names of algorithms, separated by blanks. */
static void set_algorithms(struct iscsi_auth *auth, const char *words)
{
	while (*words && auth->algorithm_count < CHAP_ALGORITHMS) {
		size_t len = strcspn(words, " ");

		for (unsigned i = 0; i < CHAP_ALGORITHMS; i++)
			if (strlen(chap_rows[i].name) == len &&
				!memcmp(chap_rows[i].name, words, len) &&
				is_possible(chap_rows[i].number))
				auth->algorithms[auth->algorithm_count++] = chap_rows[i].number;
		words += len + (words[len] == ' ');
	}
	if (!auth->algorithm_count)
		log_warn("login: no algorithm for CHAP is possible on this machine, nobody gets in",
			"user=%s", auth->user);
}

struct iscsi_auth *chap_auth_new(const struct iscsi_auth_conf *conf)
{
	struct iscsi_auth *auth = own_calloc(1, sizeof *auth);

	auth->user = own_strdup(conf->user);
	auth->secret = secret_dup(conf->secret);
	if (conf->mutual_user && conf->mutual_secret) {
		auth->mutual_user = own_strdup(conf->mutual_user);
		auth->mutual_secret = secret_dup(conf->mutual_secret);
	}
	set_algorithms(auth, conf->algorithms);
	return auth;
}

void chap_auth_free(struct iscsi_auth *auth)
{
	if (!auth)
		return;
	secret_free(auth->secret);
	secret_free(auth->mutual_secret);
	free(auth->user);
	free(auth->mutual_user);
	free(auth);
}

/* ---- the steps ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool chap_auth_same(const struct iscsi_auth *a, const struct iscsi_auth *b)
{
	return same_text(a->user, b->user) && same_text(a->secret, b->secret) &&
	       same_text(a->mutual_user, b->mutual_user) &&
	       same_text(a->mutual_secret, b->mutual_secret) &&
	       a->algorithm_count == b->algorithm_count &&
	       !memcmp(a->algorithms, b->algorithms, a->algorithm_count * sizeof *a->algorithms);
}

const char *chap_auth_user(const struct iscsi_auth *auth)
{
	return auth->user;
}

void chap_begin(struct chap *chap, const struct iscsi_auth *auth)
{
	*chap = (struct chap){ .auth = auth, .state = CHAP_ALGORITHM };
}

/* Whether a list of numbers, separated by commas, has this one. */
static bool is_offered(const char *list, enum chap_algorithm algorithm)
{
	while (*list) {
		size_t len = strcspn(list, ",");
		uint32_t number;
		char text[12];

		snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : 0), list);
		if (keys_number(text, &number) && number == algorithm)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

static void challenge(struct chap *chap, struct keys_text *out)
{
	char text[2 * CHAP_CHALLENGE + 3];

	/* RFC 7143 12.1.3, RFC 1994 2.3: unique and not to be foreseen */
	own_assert(getrandom(&chap->id, 1, 0) == 1);
	own_assert(getrandom(chap->challenge, CHAP_CHALLENGE, 0) == CHAP_CHALLENGE);
	snprintf(text, sizeof text, "%d", chap->algorithm);
	keys_text_pair(out, keys_name(KEYS_CHAP_A), text);
	snprintf(text, sizeof text, "%u", chap->id);
	keys_text_pair(out, keys_name(KEYS_CHAP_I), text);
	binary_format(chap->challenge, CHAP_CHALLENGE, text);
	keys_text_pair(out, keys_name(KEYS_CHAP_C), text);
	chap->state = CHAP_RESPONSE;
}

static enum login_status take_algorithms(
	struct chap *chap, const char *list, struct keys_text *out, const char **rule)
{
	const struct iscsi_auth *auth = chap->auth;

	for (unsigned i = 0; i < auth->algorithm_count; i++) {
		if (!is_offered(list, auth->algorithms[i]))
			continue;
		chap->algorithm = auth->algorithms[i];
		challenge(chap, out);
		return LOGIN_SUCCESS;
	}
	*rule = "RFC 7143 12.1.3: CHAP_A has no algorithm that is allowed here";
	return LOGIN_AUTHENTICATION;
}

/* Whether user and response are the ones that we know; both are always looked at. */
static bool is_right(const struct chap *chap, const char *user, const uint8_t *response, int len)
{
	const struct iscsi_auth *auth = chap->auth;
	uint8_t want[CHAP_DIGEST_MAX];
	unsigned n = chap_digest(
		chap->algorithm, chap->id, auth->secret, chap->challenge, CHAP_CHALLENGE, want);
	size_t user_len = strlen(auth->user);
	bool same_secret = n && (unsigned)len == n && crypto_same(want, response, n);
	bool same_user = strlen(user) == user_len && crypto_same(user, auth->user, user_len);

	explicit_bzero(want, sizeof want);
	return same_secret & same_user;
}

/* RFC 7143 12.1.3: the initiator wants us to prove that we know the other secret. */
static enum login_status prove(
	struct chap *chap, const struct keys *keys, struct keys_text *out, const char **rule)
{
	const char *id_text = keys->text[KEYS_CHAP_I], *text = keys->text[KEYS_CHAP_C];
	const struct iscsi_auth *auth = chap->auth;
	uint8_t theirs[CHAP_BINARY_MAX], response[CHAP_DIGEST_MAX];
	char made[2 * CHAP_DIGEST_MAX + 3];
	uint32_t id;
	int len = binary_parse(text, theirs, sizeof theirs);
	unsigned n;

	*rule = "RFC 7143 12.1.3: CHAP_I is no number from 0 to 255, or CHAP_C no binary value";
	if (len < 0 || !keys_number(id_text, &id) || id > UINT8_MAX)
		return LOGIN_INITIATOR_ERROR;
	*rule = "RFC 7143 12.1.3: the target is to prove itself, and no mutual_secret is "
		"configured";
	if (!auth->mutual_secret)
		return LOGIN_AUTHENTICATION;
	n = chap_digest(
		chap->algorithm, (uint8_t)id, auth->mutual_secret, theirs, (size_t)len, response);
	binary_format(response, n, made);
	keys_text_pair(out, keys_name(KEYS_CHAP_N), auth->mutual_user);
	keys_text_pair(out, keys_name(KEYS_CHAP_R), made);
	chap->mutual = true;
	return LOGIN_SUCCESS;
}

/* RFC 7143 12.1.3: a challenge that is our own would have us answer it ourselves. */
static bool is_reflected(const struct chap *chap, const char *text)
{
	uint8_t theirs[CHAP_BINARY_MAX];

	return binary_parse(text, theirs, sizeof theirs) == CHAP_CHALLENGE &&
	       !memcmp(theirs, chap->challenge, CHAP_CHALLENGE);
}

static enum login_status take_response(
	struct chap *chap, const struct keys *keys, struct keys_text *out, const char **rule)
{
	const char *user = keys->text[KEYS_CHAP_N];
	bool id = keys->text[KEYS_CHAP_I], mutual = keys->text[KEYS_CHAP_C];
	uint8_t response[CHAP_BINARY_MAX];
	int len;

	*rule = "RFC 7143 12.1.3: CHAP_N and CHAP_R come together, and so do CHAP_I and CHAP_C";
	if (!user || id != mutual)
		return LOGIN_INITIATOR_ERROR;
	*rule = "RFC 7143 12.1.3: CHAP_R is no binary value";
	len = binary_parse(keys->text[KEYS_CHAP_R], response, sizeof response);
	if (len < 0)
		return LOGIN_INITIATOR_ERROR;
	*rule = "RFC 7143 12.1.3: CHAP_C is the challenge that we sent";
	if (mutual && is_reflected(chap, keys->text[KEYS_CHAP_C]))
		return LOGIN_AUTHENTICATION;
	*rule = "CHAP: the user or the secret is wrong";
	chap->guessed = !is_right(chap, user, response, len);
	if (chap->guessed)
		return LOGIN_AUTHENTICATION;
	chap->state = CHAP_PROVED;
	return mutual ? prove(chap, keys, out, rule) : LOGIN_SUCCESS;
}

bool chap_is_response(const struct chap *chap, const struct keys *keys)
{
	return chap->state == CHAP_RESPONSE && keys->text[KEYS_CHAP_R];
}

enum login_status chap_take(
	struct chap *chap, const struct keys *keys, struct keys_text *out, const char **rule)
{
	const uint64_t first = keys_bit(KEYS_CHAP_A);
	const uint64_t second = keys_bit(KEYS_CHAP_N) | keys_bit(KEYS_CHAP_R) |
				keys_bit(KEYS_CHAP_I) | keys_bit(KEYS_CHAP_C);
	uint64_t given = keys->given & (first | second);

	if (!given)
		return LOGIN_SUCCESS;
	if (chap->state == CHAP_ALGORITHM && given == first)
		return take_algorithms(chap, keys->text[KEYS_CHAP_A], out, rule);
	if (chap->state == CHAP_RESPONSE && keys->text[KEYS_CHAP_R] && !(given & first))
		return take_response(chap, keys, out, rule);
	*rule = "RFC 7143 12.1.3: a key of CHAP that is not its turn";
	return LOGIN_INITIATOR_ERROR;
}
