// SPDX-License-Identifier: Apache-2.0
/*
 * text.c: text requests in full feature phase (RFC 7143 6.4, 11.10): SendTargets, and the few keys
 * that may still be said.
 *
 * An exchange is one or more requests with the same task tag; most are one. Its text is collected,
 * answered by keys.c, and the answer goes out in parts that the initiator can take. What can fail:
 * a request that breaks a rule is rejected and ends the exchange; what holds keeps holding.
 */
#include "target/iscsi/access.h"
#include "target/iscsi/keys.h"

#include "common/own.h"
#include "common/stat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text_exchange {
	uint32_t itt;
	uint32_t ttt; /* how the initiator names the exchange */
	struct keys keys;
	struct keys_text in;  /* text of requests with the C bit so far */
	struct keys_text out; /* answers */
	uint32_t out_sent;    /* bytes of `out` that went out */
};

/* RFC 7143 11.10.4: any value but the reserved one names an exchange of this connection. */
static uint32_t new_ttt(void)
{
	static __thread uint32_t last;

	if (++last == PDU_TAG_RESERVED)
		last = 1;
	return last;
}

void text_free(struct conn *c)
{
	struct text_exchange *t = own_take(c->text);

	if (!t)
		return;
	keys_text_free(&t->in);
	keys_text_free(&t->out);
	free(t);
}

/* The exchange is over: the request is rejected, and what was negotiated in it is forgotten. */
static void refuse(struct conn *c, const struct pdu_text_req *req, enum pdu_reject_reason reason)
{
	text_free(c);
	conn_reject(c, req, reason);
}

/* ---- SendTargets ---- */

struct showing {
	const struct conn *c;
	struct keys_text *out;
};

/* RFC 7143 13.8: an address, and the tag of the portal group. */
static void show_address(void *arg, const char *address)
{
	const struct showing *show = arg;
	const struct iscsi_catalogue *cat = show->c->home->catalogue;
	char text[CONN_ADDRESS_MAX + 8];

	snprintf(text, sizeof text, "%s,%u", address, cat->tags[access_group(cat, show->c->local)]);
	keys_text_pair(show->out, keys_name(KEYS_TARGET_ADDRESS), text);
}

/* RFC 7143 appendix C: each name, and where it can be reached. */
static void show_target(struct conn *c, const struct iscsi_target *target, struct keys_text *out)
{
	struct showing show = { c, out };

	keys_text_pair(out, keys_name(KEYS_TARGET_NAME), target->name);
	access_addresses(c->home->catalogue, c->local, show_address, &show);
}

/* Every target that this initiator may use. */
static void show_all(struct conn *c, struct keys_text *out)
{
	list_for_each (it, &c->home->catalogue->targets) {
		const struct iscsi_target *target = container_of(it, struct iscsi_target, node);

		if (access_reached(c->home->catalogue, target, c->local) &&
			access_rule(target, c->initiator, c->peer, NULL))
			show_target(c, target, out);
	}
}

/* A target by name; one that is not there and one that is not for this initiator look the same. */
static void show_named(struct conn *c, const char *text, struct keys_text *out)
{
	char name[ISCSI_NAME_MAX + 1];
	const struct iscsi_target *target;

	if (access_name(text, name))
		return;
	target = access_find(c->home->catalogue, name, c->local);
	if (target && access_rule(target, c->initiator, c->peer, NULL))
		show_target(c, target, out);
}

/* RFC 7143 13.3 and appendix C: what may be asked depends on the kind of session. */
static void send_targets(struct conn *c, const char *value, struct keys_text *out)
{
	const struct iscsi_target *own = c->session->target;
	char name[ISCSI_NAME_MAX + 1];

	if (!own && !strcmp(value, "All"))
		show_all(c, out);
	else if (!own && *value)
		show_named(c, value, out);
	else if (own && (!*value || (!access_name(value, name) && !strcmp(name, own->name))))
		show_target(c, own, out);
	else
		keys_text_pair(out, keys_name(KEYS_SEND_TARGETS), "Reject");
}

/* ---- the exchange ---- */

/*
 * Sends the next part of the answer. The exchange ends when the initiator has said all (F) and so
 * have we (RFC 7143 11.11.1); until then the response carries a tag to go on with (11.11.4).
 */
static void answer(struct conn *c, const struct pdu_text_req *req, bool collecting)
{
	struct text_exchange *t = c->text;
	union pdu pdu = { .text_rsp = { .opcode = PDU_TEXT_RSP, .itt = req->itt } };
	uint32_t left = collecting ? 0 : t->out.len - t->out_sent;
	uint32_t len = left < c->params.max_xmit ? left : c->params.max_xmit;
	const uint8_t *data = len ? t->out.data + t->out_sent : NULL;
	bool final = !collecting && len == left && (req->flags & PDU_FINAL);

	if (len < left)
		pdu.text_rsp.flags = PDU_CONTINUE; /* RFC 7143 11.11.2 */
	else if (final)
		pdu.text_rsp.flags = PDU_FINAL;
	be32_set(&pdu.text_rsp.ttt, final ? PDU_TAG_RESERVED : t->ttt);
	t->out_sent += len;
	if (len == left)
		t->out.len = t->out_sent = 0;
	if (conn_send(c, &pdu, data, len, true) && final)
		text_free(c);
}

/* A text is complete: negotiates it, and lets it take effect. 0 or -errno. */
static int take_text(struct conn *c, struct text_exchange *t)
{
	int err = keys_negotiate(&t->keys, t->in.data, t->in.len, &t->out);
	uint64_t taken = t->keys.given & ~t->keys.rejected;

	if (err)
		return err;
	if (t->keys.text[KEYS_SEND_TARGETS])
		send_targets(c, t->keys.text[KEYS_SEND_TARGETS], &t->out);
	if (taken & keys_bit(KEYS_MAX_RECV)) /* RFC 7143 13.12: may be declared anew */
		c->params.max_xmit = t->keys.value[KEYS_MAX_RECV];
	keys_text_free(&t->in);
	return t->out.err;
}

/* The exchange that a request belongs to; NULL: rejected. */
static struct text_exchange *find_exchange(struct conn *c, const struct pdu_text_req *req)
{
	uint32_t ttt = be32_get(&req->ttt), itt = be32_get(&req->itt);

	if (ttt != PDU_TAG_RESERVED) {
		if (c->text && c->text->ttt == ttt && c->text->itt == itt)
			return c->text;
		refuse(c, req, PDU_REJECT_INVALID_FIELD);
		return NULL;
	}
	text_free(c); /* RFC 7143 11.10.4: a new one; the one before is reset */
	c->text = calloc(1, sizeof *c->text);
	if (!c->text) {
		refuse(c, req, PDU_REJECT_LONG_OPERATION);
		return NULL;
	}
	c->text->itt = itt;
	c->text->ttt = new_ttt();
	c->text->in.most = c->home->opts.max_text;
	c->text->out.most = KEYS_OUT_MAX;
	keys_init(&c->text->keys, KEYS_FULL, !c->session->target);
	return c->text;
}

void text_receive(struct conn *c, const struct pdu_text_req *req, const uint8_t *data, uint32_t len)
{
	struct text_exchange *t;
	int err;

	/* RFC 7143 11.10.2: F and C in one request */
	if ((req->flags & PDU_FINAL) && (req->flags & PDU_CONTINUE)) {
		refuse(c, req, PDU_REJECT_PROTOCOL);
		return;
	}
	t = find_exchange(c, req);
	if (!t)
		return;
	if (t->out_sent) { /* RFC 7143 6.2: further parts are asked for without text */
		if (len || (req->flags & PDU_CONTINUE))
			refuse(c, req, PDU_REJECT_PROTOCOL);
		else
			answer(c, req, false);
		return;
	}
	keys_text_add(&t->in, data, len);
	if (!t->in.err && (req->flags & PDU_CONTINUE)) { /* RFC 7143 6.2: answered without text */
		answer(c, req, true);
		return;
	}
	err = t->in.err ? t->in.err : take_text(c, t);
	if (err == -ENOBUFS || err == -E2BIG)
		stat_add(STAT_iscsi_limit_text, 1);
	if (err) /* RFC 7143 11.17.1: malformed, or more than we have room for */
		refuse(c, req, err == -EBADMSG ? PDU_REJECT_PROTOCOL : PDU_REJECT_LONG_OPERATION);
	else
		answer(c, req, false);
}
