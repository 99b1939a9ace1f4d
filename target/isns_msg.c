/* SPDX-License-Identifier: Apache-2.0 */
#include "target/isns_msg.h"

#include "common/own.h"
#include "common/span.h"

#include <errno.h>
#include <string.h>

enum { ISNS_VERSION = 1, ISNS_PROTOCOL_ISCSI = 2, ISNS_NODE_TARGET = 1 };

/* RFC 4171 5.1.4 */
enum isns_flags {
	FLAG_CLIENT = 0x8000,
	FLAG_REPLACE = 0x1000,
	FLAG_LAST = 0x0800,
	FLAG_FIRST = 0x0400,
};

/* RFC 4171 6.1 */
enum isns_tag {
	TAG_DELIMITER = 0,
	TAG_ENTITY = 1,
	TAG_ENTITY_PROTOCOL = 2,
	TAG_PERIOD = 6,
	TAG_PORTAL_ADDRESS = 16,
	TAG_PORTAL_PORT = 17,
	TAG_NODE_NAME = 32,
	TAG_NODE_TYPE = 33,
	TAG_NODE_ALIAS = 34,
	TAG_PG_NODE = 48,
	TAG_PG_ADDRESS = 49,
	TAG_PG_PORT = 50,
	TAG_PG_TAG = 51,
};

/* ---- attributes: RFC 4171 5.1.6 ---- */

static void put_empty(struct span_writer *w, enum isns_tag tag)
{
	span_put32(w, tag);
	span_put32(w, 0);
}

static void put_bytes(struct span_writer *w, enum isns_tag tag, const void *bytes, size_t len)
{
	size_t padded = (len + 3) & ~(size_t)3;

	span_put32(w, tag);
	span_put32(w, (uint32_t)padded);
	span_put(w, bytes, len);
	span_fill(w, 0, padded - len);
}

/* Texts end with a zero byte, which counts. */
static void put_text(struct span_writer *w, enum isns_tag tag, const char *text)
{
	put_bytes(w, tag, text, strlen(text) + 1);
}

static void put_number(struct span_writer *w, enum isns_tag tag, uint32_t number)
{
	span_put32(w, tag);
	span_put32(w, 4);
	span_put32(w, number);
}

/* ---- objects ---- */

static void put_portal(struct span_writer *w, const struct isns_portal *p, enum isns_tag address,
	enum isns_tag port)
{
	put_bytes(w, address, p->address, ISNS_ADDRESS_BYTES);
	put_number(w, port, p->port); /* RFC 4171 6.3.2: bit 15 clear is TCP */
}

static void put_target(struct span_writer *w, const struct isns_target *t)
{
	put_text(w, TAG_NODE_NAME, t->name);
	put_number(w, TAG_NODE_TYPE, ISNS_NODE_TARGET);
	if (t->alias)
		put_text(w, TAG_NODE_ALIAS, t->alias);
}

/* RFC 4171 3.4: a portal group without a tag says that the target is not reached by the portal;
 * one that is not named at all would have the tag 1. */
static void put_group(
	struct span_writer *w, const struct isns_target *t, const struct isns_portal *p)
{
	put_text(w, TAG_PG_NODE, t->name);
	put_portal(w, p, TAG_PG_ADDRESS, TAG_PG_PORT);
	if (isns_list_reaches(t, p->group))
		put_number(w, TAG_PG_TAG, p->group);
	else
		put_empty(w, TAG_PG_TAG);
}

/* Portals first, then each target with its portal groups. */
static void put_object(struct span_writer *w, const struct isns_list *list, unsigned index)
{
	unsigned each = list->portal_count + 1, at = index - list->portal_count;

	if (index < list->portal_count)
		put_portal(w, &list->portals[index], TAG_PORTAL_ADDRESS, TAG_PORTAL_PORT);
	else if (at % each == 0)
		put_target(w, &list->targets[at / each]);
	else
		put_group(w, &list->targets[at / each], &list->portals[at % each - 1]);
}

unsigned isns_msg_objects(const struct isns_list *list)
{
	return list->portal_count + list->target_count * (list->portal_count + 1);
}

/* ---- messages ---- */

/* RFC 4171 5.1: the header; each of ours is one PDU. */
static struct span_writer begin(
	uint8_t *out, enum isns_function function, uint16_t flags, uint16_t transaction)
{
	struct span_writer w = span_writer(out, ISNS_MSG_MAX);

	span_put16(&w, ISNS_VERSION);
	span_put16(&w, function);
	span_put16(&w, 0); /* the length, by end */
	span_put16(&w, FLAG_CLIENT | FLAG_LAST | FLAG_FIRST | flags);
	span_put16(&w, transaction);
	span_put16(&w, 0);
	return w;
}

static size_t end(struct span_writer *w)
{
	own_assert(!span_cut(w));
	span_patch16(w, 4, (uint16_t)(w->want - ISNS_HEAD_BYTES));
	return w->want;
}

size_t isns_msg_register(uint8_t *out, const struct isns_list *list, const char *source,
	uint32_t period_seconds, uint16_t transaction, unsigned *next)
{
	unsigned count = isns_msg_objects(list);
	struct span_writer w = begin(out, ISNS_DEV_ATTR_REG, *next ? 0 : FLAG_REPLACE, transaction);
	size_t whole;

	put_text(&w, TAG_NODE_NAME, source);
	put_text(&w, TAG_ENTITY, list->entity); /* the key */
	put_empty(&w, TAG_DELIMITER);
	put_text(&w, TAG_ENTITY, list->entity);
	put_number(&w, TAG_ENTITY_PROTOCOL, ISNS_PROTOCOL_ISCSI);
	put_number(&w, TAG_PERIOD, period_seconds);
	own_assert(!span_cut(&w));
	for (; *next < count; ++*next) {
		whole = w.want;
		put_object(&w, list, *next);
		if (!span_cut(&w))
			continue;
		w.want = whole;
		break;
	}
	return end(&w);
}

size_t isns_msg_query(uint8_t *out, const struct isns_who *who, uint16_t transaction)
{
	struct span_writer w = begin(out, ISNS_DEV_ATTR_QRY, 0, transaction);

	put_text(&w, TAG_NODE_NAME, who->source);
	put_text(&w, TAG_ENTITY, who->entity);
	put_empty(&w, TAG_DELIMITER);
	put_empty(&w, TAG_ENTITY);
	put_empty(&w, TAG_PERIOD);
	return end(&w);
}

size_t isns_msg_deregister(uint8_t *out, const struct isns_who *who, uint16_t transaction)
{
	struct span_writer w = begin(out, ISNS_DEV_DEREG, 0, transaction);

	put_text(&w, TAG_NODE_NAME, who->source);
	put_empty(&w, TAG_DELIMITER); /* RFC 4171 5.6.5.4: no key, all is in what follows */
	put_text(&w, TAG_ENTITY, who->entity);
	return end(&w);
}

/* ---- answers ---- */

int isns_msg_head(const uint8_t raw[ISNS_HEAD_BYTES], struct isns_head *head)
{
	struct span_reader r = span_reader(raw, ISNS_HEAD_BYTES);
	uint16_t version = span_take16(&r), flags;

	head->function = span_take16(&r);
	head->length = span_take16(&r);
	flags = span_take16(&r);
	head->transaction = span_take16(&r);
	head->sequence = span_take16(&r);
	head->last = flags & FLAG_LAST;
	return version == ISNS_VERSION && !(head->length & 3) ? 0 : -EPROTO;
}

int isns_msg_answer(const void *payload, size_t len, struct isns_reply *reply)
{
	struct span_reader r = span_reader(payload, len);
	bool operating = false; /* behind the delimiter */

	*reply = (struct isns_reply){ .status = span_take32(&r) };
	if (reply->status)
		return 0; /* what follows an error is of no use */
	while (!r.overrun && span_left(&r)) {
		uint32_t tag = span_take32(&r), size = span_take32(&r);
		const uint8_t *value = span_take(&r, size);

		if (tag == TAG_DELIMITER && !size)
			operating = true;
		if (!value || !operating)
			continue;
		if (tag == TAG_ENTITY && size)
			reply->found = true;
		if (tag == TAG_PERIOD && size == 4)
			reply->period_seconds = be32_load(value);
	}
	return r.overrun ? -EPROTO : 0;
}

const char *isns_msg_status(uint32_t status)
{
	/* RFC 4171 5.4 */
	static const char *const words[] = {
		"done",
		"unknown error",
		"message format error",
		"invalid registration",
		"reserved",
		"invalid query",
		"source unknown",
		"source absent",
		"source unauthorized",
		"no such entry",
		"version not supported",
		"internal error",
		"busy",
		"option not understood",
		"invalid update",
		"message not supported",
		"SCN event rejected",
		"SCN registration rejected",
		"attribute not implemented",
		"FC domain not available",
		"FC domain not allocated",
		"ESI not available",
		"invalid deregistration",
		"registration feature not supported",
	};

	return status < own_array_len(words) ? words[status] : "a status that nobody knows";
}
