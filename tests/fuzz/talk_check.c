// SPDX-License-Identifier: Apache-2.0
/*
 * talk_check.c: what the target says, and whether it may: form, digests, numbers, tags, lengths.
 */
#include "tests/fuzz/talk_conn.h"

#include "common/crc32c.h"

/* What a PDU of a target may look like: RFC 7143 11. */
static const struct shape {
	uint8_t opcode;
	uint8_t must, may;  /* bits of byte 1 */
	uint64_t zero;      /* bit n: byte n is reserved */
	bool takes_stat_sn; /* but for the exceptions in check_stat_sn */
	bool answers;       /* carries the tag of a request */
	bool data;          /* may have a data segment */
} shapes[] = {
#define BYTES(from, to) ((((uint64_t)2 << ((to) - (from))) - 1) << (from))
	{ PDU_NOP_IN, 0x80, 0, BYTES(2, 4) | BYTES(36, 47), true, true, true },
	{ PDU_SCSI_RSP, 0x80, 0x1e, BYTES(4, 4) | BYTES(8, 15), true, true, true },
	{ PDU_TMF_RSP, 0x80, 0, BYTES(3, 15) | BYTES(20, 23) | BYTES(36, 47), true, true, false },
	{ PDU_LOGIN_RSP, 0, 0xcf, BYTES(4, 4) | BYTES(20, 23) | BYTES(38, 47), true, false, true },
	{ PDU_TEXT_RSP, 0, 0xc0, BYTES(2, 4) | BYTES(36, 47), true, true, true },
	{ PDU_DATA_IN, 0, 0xc7, BYTES(2, 2) | BYTES(4, 4), false, true, true },
	{ PDU_LOGOUT_RSP, 0x80, 0, BYTES(3, 15) | BYTES(20, 23) | BYTES(36, 39) | BYTES(44, 47),
		true, true, false },
	{ PDU_R2T, 0x80, 0, BYTES(2, 7), false, true, false },
	{ PDU_ASYNC, 0x80, 0, BYTES(2, 4) | BYTES(20, 23) | BYTES(44, 47), true, false, true },
	{ PDU_REJECT, 0x80, 0, BYTES(3, 4) | BYTES(8, 15) | BYTES(20, 23) | BYTES(40, 47), true,
		false, true },
#undef BYTES
};

static const struct shape *shape_of(uint8_t opcode)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (shapes[i].opcode == opcode)
			return &shapes[i];
	return NULL;
}

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* ---- numbers, RFC 7143 4.2.2 ---- */

static void check_stat_sn(struct talk_conn *c, const struct shape *shape, const union pdu *pdu)
{
	uint32_t sn = be32_get(&pdu->scsi_rsp.stat_sn);
	bool status = pdu->bhs.flags & PDU_DATA_IN_STATUS;
	bool takes = shape->takes_stat_sn;

	if (shape->opcode == PDU_DATA_IN) {
		fuzz_check(status || sn == 0);
		if (!status)
			return;
		takes = true;
	}
	if (shape->opcode == PDU_NOP_IN && be32_get(&pdu->bhs.itt) == PDU_TAG_RESERVED)
		takes = false;
	if (c->stat_known)
		fuzz_check(sn == c->stat_sn);
	c->stat_known = true;
	c->stat_sn = sn + takes;
}

static void check_window(struct talk_conn *c, const union pdu *pdu)
{
	uint32_t exp = be32_get(&pdu->scsi_rsp.exp_cmd_sn);
	uint32_t max = be32_get(&pdu->scsi_rsp.max_cmd_sn);

	if (!c->full)
		return;
	fuzz_check(!before(max, exp - 1));
	if (!c->session->wild)
		fuzz_check(!before(c->session->most, exp));
	if (c->full_known)
		fuzz_check(!before(exp, c->exp_cmd_sn) && !before(max, c->max_cmd_sn));
	c->full_known = true;
	c->exp_cmd_sn = exp;
	c->max_cmd_sn = max;
}

/* ---- tags and what they carry ---- */

static void r2t_forget(struct talk_conn *c, uint32_t itt)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->r2t_count; i++)
		if (c->r2ts[i].itt != itt)
			c->r2ts[kept++] = c->r2ts[i];
	c->r2t_count = kept;
}

/* One answer with this tag has come. */
static void tag_answered(struct talk_conn *c, struct talk_tag *tag)
{
	r2t_forget(c, tag->itt);
	if (tag->count)
		tag->count--;
}

static void check_r2t(struct talk_conn *c, struct talk_tag *tag, const struct pdu_r2t *r2t)
{
	uint32_t offset = be32_get(&r2t->offset), len = be32_get(&r2t->desired_len);
	uint32_t out = 1;
	struct talk_r2t *mine;

	fuzz_check(len > 0 && len <= c->max_burst);
	fuzz_check(be32_get(&r2t->ttt) != PDU_TAG_RESERVED);
	if (tag && !tag->doubtful) {
		fuzz_check(tag->write && be32_get(&r2t->r2t_sn) == tag->r2t_sn);
		fuzz_check(offset <= tag->edtl && len <= tag->edtl - offset);
		tag->r2t_sn++;
		for (unsigned i = 0; i < c->r2t_count; i++)
			out += c->r2ts[i].itt == tag->itt;
		fuzz_check(out <= c->max_r2t);
	}
	if (c->r2t_count == TALK_R2TS)
		return;
	mine = &c->r2ts[c->r2t_count++];
	*mine = (struct talk_r2t){
		.itt = be32_get(&r2t->itt),
		.ttt = be32_get(&r2t->ttt),
		.offset = offset,
		.len = len,
	};
	memcpy(mine->lun, r2t->lun, sizeof(mine->lun));
}

/* RFC 7143 11.7: the pieces come in order, and with the status the sum is right (11.4.5). */
static void check_data_in(struct talk_tag *tag, const struct pdu_data_in *in, uint32_t len)
{
	uint32_t residual = be32_get(&in->residual);

	fuzz_check(be32_get(&in->ttt) == PDU_TAG_RESERVED || (in->flags & 0x40));
	if (!tag || tag->doubtful)
		return;
	fuzz_check(tag->read && be32_get(&in->data_sn) == tag->data_sn);
	fuzz_check(be32_get(&in->offset) == tag->offset && len <= tag->edtl - tag->offset);
	tag->data_sn++;
	tag->offset += len;
	if (!(in->flags & PDU_DATA_IN_STATUS)) {
		fuzz_check(!(in->flags & (PDU_RSP_OVERFLOW | PDU_RSP_UNDERFLOW)));
		return;
	}
	fuzz_check(in->flags & PDU_FINAL);
	if (in->flags & PDU_RSP_UNDERFLOW)
		fuzz_check(tag->offset + residual == tag->edtl);
	else
		fuzz_check(tag->offset == tag->edtl);
}

/* RFC 7143 11.4 */
static void check_response(
	struct talk_tag *tag, const struct pdu_scsi_rsp *rsp, const uint8_t *data, uint32_t len)
{
	bool over = rsp->flags & PDU_RSP_OVERFLOW, under = rsp->flags & PDU_RSP_UNDERFLOW;

	fuzz_check(!(over && under) && (over || under || !be32_get(&rsp->residual)));
	fuzz_check(len == 0 || (len >= 2 && talk_u16(data) + 2 <= len));
	fuzz_check(rsp->status != 2 || len > 2); /* CHECK CONDITION has sense data, 11.4.7.2 */
	if (!tag || tag->doubtful)
		return;
	fuzz_check(tag->opcode == PDU_SCSI_CMD);
	fuzz_check(be32_get(&rsp->exp_data_sn) == tag->data_sn);
	if (under)
		fuzz_check(be32_get(&rsp->residual) <= tag->edtl);
}

/* The request that is answered is one that we made, and one that had its turn. */
static struct talk_tag *check_tag(struct talk_conn *c, const union pdu *pdu)
{
	static const uint8_t asked_by[][2] = { { PDU_NOP_IN, PDU_NOP_OUT },
		{ PDU_SCSI_RSP, PDU_SCSI_CMD }, { PDU_DATA_IN, PDU_SCSI_CMD },
		{ PDU_R2T, PDU_SCSI_CMD }, { PDU_TMF_RSP, PDU_TMF_REQ },
		{ PDU_TEXT_RSP, PDU_TEXT_REQ }, { PDU_LOGOUT_RSP, PDU_LOGOUT_REQ } };
	uint32_t itt = be32_get(&pdu->bhs.itt);
	struct talk_tag *tag = talk_find(c, itt);

	if (itt == PDU_TAG_RESERVED && pdu->bhs.opcode == PDU_NOP_IN)
		return NULL;
	if (c->session->wild || c->tags_lost)
		return tag;
	fuzz_check(tag);
	for (size_t i = 0; !tag->doubtful && i < sizeof(asked_by) / sizeof(asked_by[0]); i++)
		fuzz_check(asked_by[i][0] != pdu->bhs.opcode || asked_by[i][1] == tag->opcode);
	if (!tag->doubtful && !tag->immediate)
		fuzz_check(before(tag->cmd_sn, c->exp_cmd_sn));
	return tag;
}

/* RFC 7143 11.17: what was rejected is repeated; its tag is free again unless it was in use. */
static void take_reject(struct talk_conn *c, const uint8_t *data, uint32_t len)
{
	const struct pdu_bhs *bad = (const void *)data;
	uint8_t opcode;

	fuzz_check(len >= PDU_BHS_LEN);
	opcode = bad->opcode & PDU_OPCODE_MASK;
	if (opcode != PDU_DATA_OUT && opcode != PDU_SNACK && talk_find(c, be32_get(&bad->itt)))
		tag_answered(c, talk_find(c, be32_get(&bad->itt)));
}

/* ---- logins ---- */

static uint32_t value_of(const struct talk_conn *c, const char *key, uint32_t otherwise)
{
	size_t len = strlen(key);

	for (const char *p = c->text; p < c->text + c->text_len; p += strlen(p) + 1)
		if (!strncmp(p, key, len) && p[len] == '=' && p[len + 1] >= '0' &&
			p[len + 1] <= '9')
			return (uint32_t)strtoul(p + len + 1, NULL, 0);
	return otherwise;
}

static bool says(const struct talk_conn *c, const char *pair)
{
	for (const char *p = c->text; p < c->text + c->text_len; p += strlen(p) + 1)
		if (!strcmp(p, pair))
			return true;
	return false;
}

static void take_login(
	struct talk_conn *c, const struct pdu_login_rsp *rsp, const uint8_t *data, uint32_t len)
{
	uint16_t status = be16_get(&rsp->status);

	fuzz_check(!c->full);
	if (!c->session->wild && !c->login_odd)
		fuzz_check(be32_get(&rsp->itt) == c->login_itt);
	fuzz_check(!(rsp->flags & PDU_LOGIN_TRANSIT) || !(rsp->flags & PDU_CONTINUE));
	c->answered = true;
	c->login_flags = rsp->flags;
	c->login_status = status;
	/* a text in parts: the parts follow one another */
	if (c->text_len + len > TALK_TEXT_MAX)
		c->text_len = 0;
	if (len <= TALK_TEXT_MAX) {
		memcpy(c->text + c->text_len, data, len);
		c->text_len += len;
	}
	c->text[c->text_len] = '\0';
	if (says(c, "HeaderDigest=CRC32C"))
		c->header_digest = true; /* holds from full feature phase on */
	if (says(c, "DataDigest=CRC32C"))
		c->data_digest = true;
	c->max_burst = value_of(c, "MaxBurstLength", c->max_burst);
	c->max_r2t = value_of(c, "MaxOutstandingR2T", c->max_r2t);
	if (!status && (rsp->flags & PDU_LOGIN_TRANSIT) &&
		PDU_LOGIN_NSG(rsp->flags) == PDU_STAGE_FULL) {
		fuzz_check(be16_get(&rsp->tsih));
		c->full = true;
		c->session->tsih = be16_get(&rsp->tsih);
		c->exp_cmd_sn = be32_get(&rsp->exp_cmd_sn);
		c->max_cmd_sn = be32_get(&rsp->max_cmd_sn);
		c->full_known = true;
	}
}

/* ---- one PDU ---- */

static void take(struct talk_conn *c, const union pdu *pdu, const uint8_t *data, uint32_t len)
{
	const struct shape *shape = shape_of(pdu->bhs.opcode);
	struct talk_tag *tag = NULL;

	fuzz_check(shape);
	fuzz_check((pdu->bhs.flags & shape->must) == shape->must);
	fuzz_check(!(pdu->bhs.flags & ~(shape->must | shape->may)));
	for (unsigned i = 0; i < PDU_BHS_LEN; i++)
		fuzz_check(!(shape->zero >> i & 1) || !pdu->bytes[i]);
	fuzz_check(len == 0 || shape->data);
	fuzz_check(c->full || shape->opcode == PDU_LOGIN_RSP);
	c->answers++;
	check_stat_sn(c, shape, pdu);
	check_window(c, pdu);
	if (shape->answers)
		tag = check_tag(c, pdu);
	switch (shape->opcode) {
	case PDU_LOGIN_RSP:
		take_login(c, &pdu->login_rsp, data, len);
		return;
	case PDU_R2T:
		check_r2t(c, tag, &pdu->r2t);
		return;
	case PDU_DATA_IN:
		check_data_in(tag, &pdu->data_in, len);
		if (tag && (pdu->bhs.flags & PDU_DATA_IN_STATUS))
			tag_answered(c, tag);
		return;
	case PDU_SCSI_RSP:
		check_response(tag, &pdu->scsi_rsp, data, len);
		break;
	case PDU_REJECT:
		take_reject(c, data, len);
		break;
	case PDU_TEXT_RSP:
		c->text_ttt = be32_get(&pdu->text_rsp.ttt);
		c->text_itt = be32_get(&pdu->text_rsp.itt);
		break;
	case PDU_NOP_IN:
		if (be32_get(&pdu->nop_in.ttt) != PDU_TAG_RESERVED)
			c->ping_ttt = be32_get(&pdu->nop_in.ttt);
		break;
	default:
		break;
	}
	if (tag)
		tag_answered(c, tag);
}

/* ---- the bytes ---- */

static uint32_t crc_at(const uint8_t *p)
{
	return crc32c_load(p);
}

/* One whole PDU at `p` of `left` bytes; how long it is, 0: not all is there. */
static size_t read_one(struct talk_conn *c, const uint8_t *p, size_t left)
{
	bool header_digest = c->full && c->header_digest, data_digest = c->full && c->data_digest;
	size_t at = PDU_BHS_LEN + (header_digest ? 4 : 0);
	union pdu pdu;
	uint32_t len, pad;

	if (left < at)
		return 0;
	memcpy(&pdu, p, PDU_BHS_LEN);
	len = be24_get(&pdu.bhs.data_len);
	pad = pdu_pad(len);
	fuzz_check(pdu.bhs.ahs_words == 0 && len <= c->recv_most);
	if (left < at + len + pad + (data_digest && len ? 4 : 0))
		return 0;
	if (header_digest)
		fuzz_check(crc_at(p + PDU_BHS_LEN) == crc32c(p, PDU_BHS_LEN));
	for (uint32_t i = 0; i < pad; i++)
		fuzz_check(p[at + len + i] == 0);
	if (data_digest && len)
		fuzz_check(crc_at(p + at + len + pad) == crc32c(p + at, len + pad));
	take(c, &pdu, p + at, len);
	return at + len + pad + (data_digest && len ? 4 : 0);
}

void talk_read(struct talk_conn *c)
{
	const uint8_t *p;
	size_t left = sim_sent(c->peer, &p), used = 0, n;

	while (left > used && (n = read_one(c, p + used, left - used)))
		used += n;
	sim_take(c->peer, used);
}
