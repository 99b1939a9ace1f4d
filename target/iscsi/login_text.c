// SPDX-License-Identifier: Apache-2.0
/*
 * login_text.c: what the text of a login says: who wants to come in where, how that is proved, and
 * what we declare by ourselves. The keys themselves are negotiated in keys.c.
 */
#include "target/iscsi/login_guts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whether it has proved what it has to. */
bool login_is_proved(const struct login *l)
{
	return !l->auth || l->chap.state == CHAP_PROVED;
}

/* A name that is none, for the log line only: nothing that could look like another field. */
static void note_name(char out[ISCSI_NAME_MAX + 1], const char *text)
{
	size_t i;

	for (i = 0; text[i] && i < ISCSI_NAME_MAX; i++)
		out[i] = text[i] > ' ' && text[i] <= '~' && text[i] != '"' ? text[i] : '?';
	out[i] = '\0';
}

/* Who wants to come in where: RFC 7143 6.3, the first text of a login. */
static enum login_status take_names(struct conn *c, struct login *l, const char **rule)
{
	const char *const *text = l->keys.text;
	const char *type = text[KEYS_SESSION_TYPE];

	*rule = "RFC 7143 13.5: InitiatorName is missing";
	if (!text[KEYS_INITIATOR_NAME])
		return LOGIN_MISSING;
	*rule = "RFC 7143 4.2.7: InitiatorName is no iSCSI name";
	if (access_name(text[KEYS_INITIATOR_NAME], l->initiator)) {
		note_name(l->initiator, text[KEYS_INITIATOR_NAME]);
		return LOGIN_INITIATOR_ERROR;
	}
	memcpy(c->initiator, l->initiator, sizeof c->initiator);
	*rule = "RFC 7143 13.21: SessionType is neither Normal nor Discovery";
	if (type && !l->keys.discovery && strcmp(type, "Normal"))
		return LOGIN_SESSION_TYPE;
	if (l->keys.discovery) {
		l->auth = l->catalogue->discovery_auth;
		return LOGIN_SUCCESS;
	}
	*rule = "RFC 7143 13.4: TargetName is missing in a normal session";
	if (!text[KEYS_TARGET_NAME])
		return LOGIN_MISSING;
	*rule = "no target has this name, or none that this portal group reaches";
	if (access_name(text[KEYS_TARGET_NAME], l->target_name)) {
		note_name(l->target_name, text[KEYS_TARGET_NAME]);
		return LOGIN_NOT_FOUND;
	}
	l->target = access_find(l->catalogue, l->target_name, c->local);
	if (!l->target)
		return LOGIN_NOT_FOUND;
	l->rule = access_rule(l->target, l->initiator, c->peer, rule);
	if (!l->rule)
		return LOGIN_AUTHORIZATION;
	if (l->target->redirect)
		return l->target->redirect_permanent ? LOGIN_MOVED_AWAY : LOGIN_MOVED;
	l->auth = access_auth(l->target, l->rule);
	return LOGIN_SUCCESS;
}

/* RFC 7143 12.1: of the methods that are offered, the one that is asked for here. */
static enum login_status choose_method(struct login *l, const char **rule)
{
	const char *offered = l->keys.text[KEYS_AUTH_METHOD];
	const char *method = l->auth ? "CHAP" : "None";

	if (!offered)
		return LOGIN_SUCCESS;
	*rule = l->auth ? "a secret is asked for, and CHAP is not among the methods offered"
			: "AuthMethod: None is not among the methods offered";
	if (!keys_list_has(offered, method))
		return LOGIN_AUTHENTICATION;
	keys_declare(&l->keys, KEYS_AUTH_METHOD, method, &l->out);
	if (l->auth)
		chap_begin(&l->chap, l->auth);
	return LOGIN_SUCCESS;
}

/* A response of CHAP is worth an answer, which waits as long as wrong ones before it cost. */
static enum login_status take_response(struct conn *c, struct login *l, const char **rule)
{
	uint64_t now_ms = loop_now_ns(c->loop) / 1000000;
	struct login_guard *guard = &c->home->guard;
	const void *who = l->rule ? (const void *)l->rule->who : NULL;
	uint8_t address[GUARD_ADDRESS_BYTES];
	enum login_status status;

	access_address(c->peer, address);
	l->wait_ms = guard_wait(guard, who, address, now_ms);
	if (l->wait_ms > GUARD_WAIT_MOST_MS) {
		l->wait_ms = 0;
		*rule = "CHAP: too many wrong secrets from this address, this one was not looked "
			"at";
		return LOGIN_AUTHENTICATION;
	}
	status = chap_take(&l->chap, &l->keys, &l->out, rule);
	if (l->chap.guessed) {
		guard_wrong(guard, who, address, now_ms);
		l->wait_ms = guard_wait(guard, who, address, now_ms);
	} else if (l->chap.state == CHAP_PROVED && !l->wait_ms) {
		guard_right(guard, who, address);
	}
	return status;
}

/* Who it is: RFC 7143 6.3.2, the security stage. */
static enum login_status authenticate(struct conn *c, struct login *l, const char **rule)
{
	enum login_status status;

	*rule = "a secret is asked for, and the login leaves out the security stage";
	if (l->auth && l->stage != PDU_STAGE_SECURITY && !login_is_proved(l))
		return LOGIN_AUTHENTICATION;
	status = chap_is_response(&l->chap, &l->keys)
			 ? take_response(c, l, rule)
			 : chap_take(&l->chap, &l->keys, &l->out, rule);
	if (!status)
		status = choose_method(l, rule);
	if (status)
		return status;
	*rule = "a secret is asked for, and no AuthMethod was offered";
	if (l->auth && l->chap.state == CHAP_NOT_CHOSEN && (l->req.flags & PDU_LOGIN_TRANSIT))
		return LOGIN_AUTHENTICATION;
	return LOGIN_SUCCESS;
}

/* A key that was answered with Reject and without which there is no login. */
static enum login_status check_rejected(const struct login *l, const char **rule)
{
	uint64_t rejected = l->keys.rejected;

	/* RFC 7143 7.12: a declared value that cannot be is a negotiation failure */
	*rule = "RFC 7143 13.12: MaxRecvDataSegmentLength is not within 512 to 16777215";
	if (l->stage == PDU_STAGE_OPERATE && (rejected & keys_bit(KEYS_MAX_RECV)))
		return LOGIN_INITIATOR_ERROR;
	return LOGIN_SUCCESS;
}

/* What we say without being asked, each once. */
static void declare(const struct conn *c, struct login *l)
{
	uint64_t said = l->keys.declared;
	char group[8];

	/* RFC 7143 13.9: in the first response after the target was named */
	snprintf(group, sizeof group, "%u",
		l->catalogue->tags[access_group(l->catalogue, c->local)]);
	if (l->target && !(said & keys_bit(KEYS_PORTAL_GROUP)))
		keys_declare(&l->keys, KEYS_PORTAL_GROUP, group, &l->out);
	if (l->target && l->target->alias && !(said & keys_bit(KEYS_TARGET_ALIAS)))
		keys_declare(&l->keys, KEYS_TARGET_ALIAS, l->target->alias, &l->out);
	if (l->stage == PDU_STAGE_OPERATE && !(said & keys_bit(KEYS_MAX_RECV)))
		keys_declare_ours(&l->keys, KEYS_MAX_RECV, &l->out);
}

enum login_status login_take_text(struct conn *c, const char **rule)
{
	struct login *l = c->login;
	enum login_status status = LOGIN_SUCCESS;
	int err = keys_negotiate(&l->keys, l->in.data, l->in.len, &l->out);

	if (err) {
		*rule = err == -EBADMSG ? l->keys.rule : "more keys than a login takes";
		return err == -EBADMSG ? LOGIN_INITIATOR_ERROR : LOGIN_RESOURCES;
	}
	*rule = "RFC 7143 13.21: SessionType behind the first text of a login";
	if (!l->named)
		status = take_names(c, l, rule);
	else if (l->keys.given & keys_bit(KEYS_SESSION_TYPE))
		status = LOGIN_INITIATOR_ERROR;
	l->named = true;
	if (!status)
		status = check_rejected(l, rule);
	if (!status)
		status = authenticate(c, l, rule);
	if (status)
		return status;
	declare(c, l);
	keys_text_free(&l->in);
	*rule = "no memory for the answers";
	return l->out.err ? LOGIN_RESOURCES : LOGIN_SUCCESS;
}
