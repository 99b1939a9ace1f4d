// SPDX-License-Identifier: Apache-2.0
/*
 * talk_send.c: steps of full feature phase become PDUs: numbers, tags and digests as they have to
 * be, then what the step has wrong.
 */
#include "tests/fuzz/talk_conn.h"

#include "common/crc32c.h"

/* ---- what we remember of what was sent ---- */

struct talk_tag *talk_find(struct talk_conn *c, uint32_t itt)
{
	for (unsigned i = 0; i < TALK_TAGS; i++)
		if (c->tags[i].count && c->tags[i].itt == itt)
			return &c->tags[i];
	return NULL;
}

static struct talk_tag *free_tag(struct talk_conn *c)
{
	for (unsigned i = 0; i < TALK_TAGS; i++)
		if (!c->tags[i].count)
			return &c->tags[i];
	return NULL;
}

/* The nth tag that is in use, or NULL: none is. */
static struct talk_tag *nth_tag(struct talk_conn *c, unsigned n)
{
	unsigned used = 0;

	for (unsigned i = 0; i < TALK_TAGS; i++)
		used += c->tags[i].count != 0;
	if (!used)
		return NULL;
	n %= used;
	for (unsigned i = 0;; i++)
		if (c->tags[i].count && n-- == 0)
			return &c->tags[i];
}

/* A number went out: the target may go beyond it once it has all that are before. */
static void number_sent(struct talk_session *s, uint32_t cmd_sn)
{
	if (cmd_sn - s->first < TALK_NUMBERS && (int32_t)(cmd_sn + 1 - s->most) > 0)
		s->most = cmd_sn + 1;
}

void talk_number_used(struct talk_session *s, uint32_t cmd_sn)
{
	uint32_t ahead = cmd_sn - s->first;

	if (ahead >= TALK_NUMBERS)
		return;
	number_sent(s, cmd_sn);
	s->used[cmd_sn % TALK_NUMBERS / 8] |= (uint8_t)(1u << cmd_sn % 8);
	while (s->used[s->first % TALK_NUMBERS / 8] & 1u << s->first % 8) {
		s->used[s->first % TALK_NUMBERS / 8] &= (uint8_t) ~(1u << s->first % 8);
		s->first++;
	}
}

/* Back to where the target is: what was dropped on the way is made up for with other requests. */
static void go_back(struct talk_conn *c)
{
	if (c->full_known)
		c->session->first = c->exp_cmd_sn;
}

/* `lost`: the target drops the request, or has rejected it by its header before it sees why. */
static void use_number(struct talk_session *s, uint32_t cmd_sn, bool lost)
{
	if (!lost)
		talk_number_used(s, cmd_sn);
	else
		number_sent(s, cmd_sn);
}

/* Notes what a request says that goes out now; `lost`: its data digest is wrong. */
static void note_request(struct talk_conn *c, const union pdu *pdu, bool lost)
{
	uint8_t opcode = pdu->bhs.opcode & PDU_OPCODE_MASK;
	uint32_t itt = be32_get(&pdu->bhs.itt);
	struct talk_tag *tag = talk_find(c, itt);
	bool numbered = opcode == PDU_NOP_OUT || opcode == PDU_SCSI_CMD || opcode == PDU_TMF_REQ ||
			opcode == PDU_TEXT_REQ || opcode == PDU_LOGOUT_REQ;

	if (!numbered)
		return;
	if (!(pdu->bhs.opcode & PDU_IMMEDIATE))
		use_number(c->session, be32_get(&pdu->scsi_cmd.cmd_sn), lost);
	if (opcode == PDU_TMF_REQ)
		talk_number_used(c->session, be32_get(&pdu->tmf_req.ref_cmd_sn));
	if (opcode == PDU_NOP_OUT && itt == PDU_TAG_RESERVED)
		return;
	if (tag) {
		tag->count = tag->count < UINT8_MAX ? (uint8_t)(tag->count + 1) : UINT8_MAX;
		tag->doubtful = true;
		c->tags_lost = true; /* a further answer may come when this place is free */
		return;
	}
	tag = free_tag(c);
	if (!tag) {
		c->tags_lost = true;
		return;
	}
	*tag = (struct talk_tag){ .itt = itt, .opcode = opcode, .count = 1 };
	tag->immediate = pdu->bhs.opcode & PDU_IMMEDIATE;
	tag->cmd_sn = be32_get(&pdu->scsi_cmd.cmd_sn);
	tag->read = pdu->bhs.flags & PDU_CMD_READ;
	tag->write = pdu->bhs.flags & PDU_CMD_WRITE;
	tag->edtl = be32_get(&pdu->scsi_cmd.expected_len);
	tag->unsolicited = be24_get(&pdu->bhs.data_len);
	memcpy(tag->lun, pdu->bhs.lun, sizeof(tag->lun));
}

/* The first login request says where the numbers of a new session begin. */
static void note_login(struct talk_conn *c, const union pdu *pdu, bool odd)
{
	struct talk_session *s = c->session;

	c->login_odd |= odd;
	if (!c->began && s == c->own)
		s->first = s->most = be32_get(&pdu->login_req.cmd_sn);
	c->began = true;
}

/* ---- bytes ---- */

static uint32_t put_digest(uint8_t *p, const uint8_t *covered, size_t len, bool wrong)
{
	crc32c_store(p, crc32c(covered, len) ^ (wrong ? 0x55u : 0));
	return 4;
}

/* Additional headers that nobody needs, by what the step says: RFC 7143 11.2.2. */
static uint32_t put_ahs(uint8_t *p, const struct talk_step *step)
{
	static const uint8_t cdb[24] = { 0, 17, PDU_AHS_CDB },
			     bidi[8] = { 0, 5, PDU_AHS_BIDI_READ };
	uint32_t words = step->sn % 8u;

	if (!(step->wrong & WRONG_AHS))
		return 0;
	if (step->itt % 4u == 0) {
		memcpy(p, cdb, 20);
		return 20;
	}
	if (step->itt % 4u == 1) {
		memcpy(p, bidi, sizeof(bidi));
		return sizeof(bidi);
	}
	for (uint32_t i = 0; i < words * 4; i++)
		p[i] = (uint8_t)(i % 4 == 1 ? step->itt : i % 4 == 2 ? step->op & 3 : 0);
	return words * 4;
}

void talk_push(struct talk_conn *c, union pdu *pdu, const struct talk_step *step,
	const uint8_t *data, uint32_t len)
{
	static uint8_t out[PDU_BHS_LEN + 64 + 4 + TALK_DATA_MAX + 8];
	uint32_t at = PDU_BHS_LEN, begin;

	if (c->hushed || sim_peer_closed(c->peer))
		return;
	at += put_ahs(out + at, step);
	pdu->bhs.ahs_words = (uint8_t)((at - PDU_BHS_LEN) / 4);
	be24_set(&pdu->bhs.data_len, step->wrong & WRONG_LENGTH ? len + (int8_t)step->sn : len);
	if (step->wrong & WRONG_BYTE)
		pdu->bytes[step->itt % PDU_BHS_LEN] = step->sn;
	if ((step->wrong & WRONG_LENGTH) ||
		((step->wrong & WRONG_BYTE) && step->itt % PDU_BHS_LEN < 8))
		c->session->wild = true; /* it may take our data for PDUs */
	memcpy(out, pdu, PDU_BHS_LEN);
	if (!c->full && (pdu->bhs.opcode & PDU_OPCODE_MASK) == PDU_LOGIN_REQ)
		note_login(c, pdu, step->wrong || be32_get(&pdu->login_req.itt) != c->login_itt);
	else if (!c->full)
		c->login_odd = true;
	note_request(c, pdu, c->data_digest && len && (step->wrong & WRONG_DATA_DIGEST));
	if (c->full && c->header_digest)
		at += put_digest(out + at, out, at, step->wrong & WRONG_HEADER_DIGEST);
	begin = at;
	if (len)
		memcpy(out + at, data, len);
	memset(out + at + len, 0, 4);
	at += (len + 3) & ~3u;
	if (c->full && c->data_digest && len)
		at += put_digest(
			out + at, out + begin, at - begin, step->wrong & WRONG_DATA_DIGEST);
	if (c->chunk && c->chunk < at / TALK_PIECES_MOST + 1) {
		c->chunk = at / TALK_PIECES_MOST + 1;
		sim_chunk(c->peer, c->chunk);
	}
	sim_push(c->peer, out, at);
}

/* ---- headers ---- */

/* A tag of our own, or what the step wants instead. */
static uint32_t tag_for(struct talk_conn *c, const struct talk_step *step)
{
	struct talk_tag *used = nth_tag(c, step->itt);

	if (!(step->wrong & WRONG_ITT))
		return ++c->session->itt;
	return used && step->itt != UINT8_MAX ? used->itt : PDU_TAG_RESERVED;
}

/* Tag, CmdSN and ExpStatSN of a request. */
static void number(
	struct talk_conn *c, union pdu *pdu, const struct talk_step *step, bool immediate)
{
	struct talk_session *s = c->session;
	bool wrong = step->wrong & WRONG_CMD_SN;

	if (immediate)
		pdu->bhs.opcode |= PDU_IMMEDIATE;
	be32_set(&pdu->bhs.itt, tag_for(c, step));
	be32_set(&pdu->scsi_cmd.cmd_sn, s->first + (uint32_t)(wrong ? (int8_t)step->sn : 0));
	be32_set(&pdu->scsi_cmd.exp_stat_sn, c->stat_sn);
}

static void set_lun(union pdu *pdu, uint8_t lun)
{
	if (lun >= 0xf0) /* forms that are not the single level one: SAM-5 4.7 */
		memset(pdu->bhs.lun, lun, sizeof(pdu->bhs.lun));
	else
		pdu->bhs.lun[1] = lun;
}

/* Data by its purpose: SBC-3 5.28 UNMAP, SPC-4 6.16 PERSISTENT RESERVE OUT, 7.5 mode pages. */
static const uint8_t *data_for(const struct talk_step *step, uint32_t len)
{
	static uint8_t data[TALK_DATA_MAX + 64];
	static const uint8_t unmap[24] = { 0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0,
		0, 8 };
	static const uint8_t reserve[24] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 };
	static const uint8_t mode[24] = { 0, 0, 0, 0, 0x08, 0x12, 0x04 };
	static const uint8_t *const heads[] = { NULL, unmap, reserve, mode };
	unsigned head = step->op % 8u;

	memset(data, head >= 4 ? step->op : 0, len < 1024 ? 1024 : len);
	if (head > 0 && head < 4)
		memcpy(data, heads[head], 24);
	return data;
}

/* ---- the steps ---- */

static void send_command(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .scsi_cmd = { .opcode = PDU_SCSI_CMD } };
	uint32_t len = talk_u16(step->len);

	pdu.scsi_cmd.flags = step->flags & (uint8_t)~CMD_FLAG_IMMEDIATE;
	set_lun(&pdu, step->lun);
	be32_set(&pdu.scsi_cmd.expected_len, talk_u32(step->edtl));
	memcpy(pdu.scsi_cmd.cdb, step->body, sizeof(pdu.scsi_cmd.cdb));
	number(c, &pdu, step, step->flags & CMD_FLAG_IMMEDIATE);
	talk_push(c, &pdu, step, data_for(step, len), len);
}

/* Whether the PDU is the last of its sequence, by what is left and what the step wants. */
static bool is_final(const struct talk_step *step, bool filled)
{
	if (step->op & DATA_OP_NOT_FINAL)
		return false;
	return filled || (step->op & DATA_OP_FINAL);
}

static void data_header(struct talk_conn *c, union pdu *pdu, const struct talk_step *step)
{
	uint32_t offset = be32_get(&pdu->data_out.offset), sn = be32_get(&pdu->data_out.data_sn);

	if (step->op & DATA_OP_OFFSET)
		be32_set(&pdu->data_out.offset, offset + talk_u16(step->off));
	if (step->op & DATA_OP_SN)
		be32_set(&pdu->data_out.data_sn, sn + step->sn);
	if (step->wrong & WRONG_TTT)
		be32_set(&pdu->data_out.ttt, be32_get(&pdu->data_out.ttt) + step->itt);
	be32_set(&pdu->data_out.exp_stat_sn, c->stat_sn);
}

/* The newest write of which unsolicited data may still come. */
static struct talk_tag *open_write(struct talk_conn *c, const struct talk_step *step)
{
	struct talk_tag *found = NULL;

	if (step->wrong & WRONG_ITT)
		return nth_tag(c, step->itt);
	for (unsigned i = 0; i < TALK_TAGS; i++)
		if (c->tags[i].count && c->tags[i].write && (!found || c->tags[i].itt > found->itt))
			found = &c->tags[i];
	return found;
}

static void send_unsolicited(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .data_out = { .opcode = PDU_DATA_OUT } };
	struct talk_tag *tag = open_write(c, step);
	uint32_t len = talk_u16(step->len);

	if (!tag)
		return;
	if (is_final(step, tag->unsolicited + len >= tag->edtl))
		pdu.data_out.flags = PDU_FINAL;
	be32_set(&pdu.data_out.itt, tag->itt);
	be32_set(&pdu.data_out.ttt, PDU_TAG_RESERVED);
	be32_set(&pdu.data_out.offset, tag->unsolicited);
	be32_set(&pdu.data_out.data_sn, tag->out_sn++);
	memcpy(pdu.data_out.lun, tag->lun, sizeof(tag->lun));
	data_header(c, &pdu, step);
	tag->unsolicited += len;
	talk_push(c, &pdu, step, data_for(step, len), len);
}

static void r2t_drop(struct talk_conn *c, unsigned n)
{
	c->r2t_count--;
	memmove(&c->r2ts[n], &c->r2ts[n + 1], (c->r2t_count - n) * sizeof(c->r2ts[0]));
}

static void send_solicited(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .data_out = { .opcode = PDU_DATA_OUT } };
	unsigned n = step->op & DATA_OP_LAST ? c->r2t_count - 1 : 0;
	uint32_t len = talk_u16(step->len), left;
	struct talk_r2t *r2t;

	if (!c->r2t_count)
		return;
	r2t = &c->r2ts[n];
	left = r2t->len - r2t->sent;
	if (!len || (len > left && !(step->op & DATA_OP_FINAL)))
		len = left < TALK_DATA_MAX ? left : TALK_DATA_MAX;
	be32_set(&pdu.data_out.itt, r2t->itt);
	be32_set(&pdu.data_out.ttt, r2t->ttt);
	be32_set(&pdu.data_out.offset, r2t->offset + r2t->sent);
	be32_set(&pdu.data_out.data_sn, r2t->data_sn++);
	memcpy(pdu.data_out.lun, r2t->lun, sizeof(r2t->lun));
	r2t->sent += len < left ? len : left;
	if (is_final(step, r2t->sent == r2t->len))
		pdu.data_out.flags = PDU_FINAL;
	data_header(c, &pdu, step);
	if (r2t->sent == r2t->len || (pdu.data_out.flags & PDU_FINAL))
		r2t_drop(c, n);
	talk_push(c, &pdu, step, data_for(step, len), len);
}

static void send_tmf(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .tmf_req = { .opcode = PDU_TMF_REQ } };
	struct talk_tag *ref = nth_tag(c, step->itt);
	struct talk_step plain = *step;

	plain.wrong &= (uint8_t)~WRONG_ITT;
	pdu.tmf_req.function = PDU_FINAL | step->op;
	set_lun(&pdu, step->lun);
	be32_set(&pdu.tmf_req.ref_itt, ref ? ref->itt : step->itt);
	be32_set(&pdu.tmf_req.ref_cmd_sn,
		ref ? ref->cmd_sn + talk_u16(step->off) : c->session->first - talk_u16(step->off));
	number(c, &pdu, &plain, !(step->flags & 1));
	talk_push(c, &pdu, step, NULL, 0);
}

static void send_nop(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .nop_out = { .opcode = PDU_NOP_OUT, .flags = PDU_FINAL } };
	uint32_t len = talk_u16(step->len);

	if (step->op == 2)
		go_back(c);
	set_lun(&pdu, step->lun);
	number(c, &pdu, step, step->op == 1 || !(step->flags & 1));
	be32_set(&pdu.nop_out.ttt, PDU_TAG_RESERVED);
	if (step->op == 1) {
		be32_set(&pdu.nop_out.itt, PDU_TAG_RESERVED);
		be32_set(
			&pdu.nop_out.ttt, c->ping_ttt + (step->wrong & WRONG_TTT ? step->itt : 0u));
	}
	talk_push(c, &pdu, step, data_for(step, len), len);
}

static void send_text(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .text_req = { .opcode = PDU_TEXT_REQ } };
	char text[TALK_TEXT_MAX];
	uint32_t len = talk_keys(c, step, text, sizeof(text));

	if (!(step->flags & 1))
		pdu.text_req.flags |= PDU_FINAL;
	if (step->flags & 2)
		pdu.text_req.flags |= PDU_CONTINUE;
	number(c, &pdu, step, step->flags & 4);
	be32_set(&pdu.text_req.ttt, PDU_TAG_RESERVED);
	if (step->op & 1) {
		be32_set(&pdu.text_req.itt, c->text_itt);
		be32_set(&pdu.text_req.ttt,
			c->text_ttt + (step->wrong & WRONG_TTT ? step->itt : 0u));
	}
	talk_push(c, &pdu, step, (const uint8_t *)text, len);
}

static void send_logout(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .logout_req = { .opcode = PDU_LOGOUT_REQ } };

	pdu.logout_req.reason = PDU_FINAL | step->op;
	number(c, &pdu, step, !(step->flags & 1));
	be16_set(&pdu.logout_req.cid, (uint16_t)(c->cid + talk_u16(step->off)));
	talk_push(c, &pdu, step, NULL, 0);
}

static void send_other(struct talk_conn *c, const struct talk_step *step)
{
	union pdu pdu = { .bhs = { .opcode = step->op, .flags = step->flags } };
	uint32_t len = talk_u16(step->len);

	set_lun(&pdu, step->lun);
	memcpy(pdu.bytes + 20, step->body, sizeof(step->body));
	number(c, &pdu, step, step->op & PDU_IMMEDIATE);
	talk_push(c, &pdu, step, data_for(step, len), len);
}

void talk_send(struct talk *t, struct talk_conn *c, const struct talk_step *step)
{
	(void)t;
	if (c->full_known && !(step->wrong & WRONG_CMD_SN) &&
		(int32_t)(c->session->first - c->max_cmd_sn) > 0)
		go_back(c); /* the window is closed: a good initiator does not go on */
	switch (step->kind % TALK_KINDS) {
	case TALK_COMMAND:
		send_command(c, step);
		return;
	case TALK_DATA:
		if (step->op & DATA_OP_UNSOLICITED)
			send_unsolicited(c, step);
		else
			send_solicited(c, step);
		return;
	case TALK_TMF:
		send_tmf(c, step);
		return;
	case TALK_NOP:
		send_nop(c, step);
		return;
	case TALK_TEXT:
		send_text(c, step);
		return;
	case TALK_LOGOUT:
		send_logout(c, step);
		return;
	case TALK_OTHER:
		send_other(c, step);
		return;
	}
}
