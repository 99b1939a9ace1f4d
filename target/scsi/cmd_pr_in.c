/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE IN: the state of the reservation as this loop knows it, which is never older
 * than the last answer to a PERSISTENT RESERVE OUT command.
 */
#include "target/scsi/reservation.h"

#include "common/own.h"
#include "common/stat.h"

#include <string.h>

/* A writer over as much as can be told; the lengths in the data are those of all of it. */
static bool in_begin(struct scsi_task *task, struct span_writer *w, const struct res_state *s)
{
	uint32_t room = be16_load(task->cdb + 7);

	if (s->spc2) { /* SPC-2 5.5.1: RESERVE has it */
		stat_add(STAT_scsi_conflicts_spc2, 1);
		task->status = SCSI_RESERVATION_CONFLICT;
		scsi_task_end(task);
		return false;
	}
	room = room ? room : 1;
	task->in_buf = loop_buf_get(task->nexus->loop, room);
	if (!task->in_buf) {
		scsi_task_busy(task);
		return false;
	}
	*w = span_writer(task->in_buf->data, room);
	return true;
}

/* SPC-4 6.15.2: PRGENERATION, and ADDITIONAL LENGTH which is patched when it is known. */
static void put_header(struct span_writer *w, const struct res_state *s)
{
	span_put32(w, s->generation);
	span_put32(w, 0);
}

static void in_end(struct scsi_task *task, struct span_writer *w)
{
	span_patch32(w, 4, (uint32_t)(w->want - 8));
	scsi_reply_end(task, w, be16_load(task->cdb + 7));
}

/* SPC-4 6.15.2 */
void scsi_cmd_pr_read_keys(struct scsi_task *task)
{
	const struct res_state *s = scsi_res_view_of(task);
	struct span_writer w;

	if (!in_begin(task, &w, s))
		return;
	put_header(&w, s);
	for (unsigned i = 0; i < s->count; i++)
		span_put64(&w, s->reg[i].key);
	in_end(task, &w);
}

/* SPC-4 5.13.10: the key of all registrants is zero. */
static uint64_t holder_key(const struct res_state *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->reg[i].holds)
			return s->reg[i].key;
	return 0;
}

/* SPC-4 6.15.3 */
void scsi_cmd_pr_read_reservation(struct scsi_task *task)
{
	const struct res_state *s = scsi_res_view_of(task);
	struct span_writer w;

	if (!in_begin(task, &w, s))
		return;
	put_header(&w, s);
	if (s->type) {
		span_put64(&w, holder_key(s));
		span_fill(&w, 0, 5);
		span_put8(&w, s->type); /* SCOPE 0: LU_SCOPE */
		span_fill(&w, 0, 2);
	}
	in_end(task, &w);
}

/* SPC-4 6.15.4 */
void scsi_cmd_pr_capabilities(struct scsi_task *task)
{
	const struct res_state *s = scsi_res_view_of(task);
	bool lasting = scsi_res_lasting(task->lun->res);
	struct span_writer w;

	if (!in_begin(task, &w, s))
		return;
	span_put16(&w, 8);
	span_put8(&w, (uint8_t)(0x9c | lasting));  /* RLR_C, CRH, SIP_C, ATP_C; PTPL_C */
	span_put8(&w, (uint8_t)(0xc0 | s->aptpl)); /* TMV, ALLOW COMMANDS 100b; PTPL_A */
	span_put16(&w, 0xea01);                    /* all six types */
	span_put16(&w, 0);
	scsi_reply_end(task, &w, be16_load(task->cdb + 7));
}

/* A target port is known by its name; its number may be another one than at the registration. */
static uint16_t port_number(const struct scsi_domain *domain, const struct res_nexus *who)
{
	uint16_t number = who->rel_port;

	scsi_domain_lock(domain);
	list_for_each (n, &domain->targets) {
		const struct scsi_target *t = container_of(n, struct scsi_target, node);

		if (!strcmp(t->port_name, who->target))
			number = t->rel_port;
	}
	scsi_domain_unlock(domain);
	return number;
}

/* SPC-4 table 211 */
static void put_full(struct span_writer *w, const struct scsi_domain *domain,
	const struct res_state *s, const struct res_registrant *reg)
{
	bool holds = res_state_holds(s, reg);
	size_t length;

	span_put64(w, reg->key);
	span_fill(w, 0, 4);
	span_put8(w, holds); /* R_HOLDER */
	span_put8(w, holds ? s->type : 0);
	span_fill(w, 0, 4);
	span_put16(w, port_number(domain, &reg->who));
	length = w->want;
	span_put32(w, 0);
	res_transport_put(w, reg->who.initiator);
	span_patch32(w, length, (uint32_t)(w->want - length - 4));
}

/* SPC-4 6.15.5 */
void scsi_cmd_pr_full_status(struct scsi_task *task)
{
	const struct res_state *s = scsi_res_view_of(task);
	struct span_writer w;

	if (!in_begin(task, &w, s))
		return;
	put_header(&w, s);
	for (unsigned i = 0; i < s->count; i++)
		put_full(&w, task->lun->domain, s, &s->reg[i]);
	in_end(task, &w);
}
