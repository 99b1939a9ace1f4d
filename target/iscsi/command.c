// SPDX-License-Identifier: Apache-2.0
/*
 * command.c: a SCSI Command PDU becomes a task and the task's end becomes an answer. This is
 * iSCSI's half of target/scsi/port.h.
 *
 * Tasks come from a stack of the loop, the warmest first, and go back when their answer has left.
 */
#include "target/iscsi/session.h"

#include "common/own.h"
#include "common/stat.h"

#include <stdlib.h>
#include <string.h>

/* ---- the loop's tasks ---- */

static struct session_task *command_new_task(struct iscsi_loop *home)
{
	struct session_task *t;

	if (home->task_count == home->task_most)
		return NULL;
	if (home->task_count == home->task_room) {
		uint32_t room = home->task_room ? home->task_room * 2 : 256;
		struct session_task **p;

		p = realloc(home->tasks, room * sizeof(struct session_task *));
		if (!p)
			return NULL;
		home->tasks = p;
		home->task_room = room;
	}
	t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	scsi_task_init(&t->scsi);
	dataout_init(t);
	list_init(&t->tx_node);
	t->slot = home->task_count;
	home->tasks[home->task_count++] = t;
	return t;
}

static struct session_task *command_get(struct conn *c)
{
	struct list *node = list_pop(&c->home->free_tasks);
	struct session_task *t =
		node ? container_of(node, struct session_task, tx_node) : command_new_task(c->home);

	if (!t)
		return NULL;
	c->home->task_used++;
	t->conn = c;
	t->session = c->session;
	conn_hold(c);
	t->submitted = t->wanted = t->told = t->unsolicited_open = false;
	t->broken = 0;
	t->received = t->want = t->solicited = t->data_sn = t->copied = 0;
	t->r2t_sn = t->r2t_done = t->tx_off = t->tx_sn = 0;
	return t;
}

void command_free(struct session_task *t)
{
	struct conn *c = t->conn;

	own_assert(!t->hashed);
	dataout_release(t);
	if (t->submitted)
		scsi_task_release(&t->scsi);
	if (--c->home->task_used == c->home->task_most / 2)
		window_relief(c->home);
	list_push_front(&c->home->free_tasks, &t->tx_node);
	conn_put(c);
}

/* ---- by task tag ---- */

static struct session_task **command_bucket(struct session *s, uint32_t itt)
{
	/* initiators count tags up, or use pointers: mix all of it */
	return &s->by_itt[(itt * 0x9e3779b1u) >> 24];
}

struct session_task *session_find(const struct session *s, uint32_t itt)
{
	struct session_task *t = s->by_itt[(itt * 0x9e3779b1u) >> 24];

	while (t && t->itt != itt)
		t = t->hash_next;
	return t;
}

static void command_hash(struct session_task *t)
{
	struct session_task **bucket = command_bucket(t->session, t->itt);

	t->hash_next = *bucket;
	*bucket = t;
	t->hashed = true;
}

static void command_unhash(struct session_task *t)
{
	struct session_task **at = command_bucket(t->session, t->itt);

	while (*at != t)
		at = &(*at)->hash_next;
	*at = t->hash_next;
	t->hashed = false;
}

/* ---- a command comes ---- */

/* The CDB with what an extended CDB AHS adds (RFC 7143 11.2.2.3). 0, or why it is rejected. */
static int command_take_cdb(struct session_task *t, const struct pdu_scsi_cmd *cmd,
	const uint8_t *ahs, uint32_t ahs_len)
{
	memcpy(t->scsi.cdb, cmd->cdb, sizeof cmd->cdb);
	t->scsi.cdb_len = sizeof cmd->cdb;
	while (ahs_len >= 4) {
		uint32_t len = be16_load(ahs); /* from behind the type byte on */
		uint32_t whole = (3 + len + 3) & ~3u;

		if (!len || whole > ahs_len)
			return PDU_REJECT_INVALID_FIELD;
		if (ahs[2] != PDU_AHS_CDB)
			return PDU_REJECT_NOT_SUPPORTED;
		if (t->scsi.cdb_len != sizeof cmd->cdb || len - 1 > SCSI_CDB_MAX - sizeof cmd->cdb)
			return PDU_REJECT_INVALID_FIELD;
		memcpy(t->scsi.cdb + sizeof cmd->cdb, ahs + 4, len - 1);
		t->scsi.cdb_len = (uint16_t)(sizeof cmd->cdb + len - 1);
		ahs += whole;
		ahs_len -= whole;
	}
	return 0;
}

/* Rules of the header that do not need a task. 0, or why it is rejected. */
static int command_refused(const struct conn *c, const struct pdu_scsi_cmd *cmd)
{
	const struct session *s = c->session;
	uint32_t itt = be32_get(&cmd->itt);

	if (!s->target) /* RFC 7143 4.3: a discovery session takes no SCSI commands */
		return PDU_REJECT_PROTOCOL;
	if (itt == PDU_TAG_RESERVED)
		return PDU_REJECT_INVALID_FIELD;
	if (session_find(s, itt)) /* RFC 7143 11.17.1: the tag is in use */
		return PDU_REJECT_TASK_IN_PROGRESS;
	if (!(cmd->flags & (PDU_FINAL | PDU_CMD_WRITE))) /* RFC 7143 11.3.1 */
		return PDU_REJECT_PROTOCOL;
	if ((cmd->flags & PDU_CMD_READ) && (cmd->flags & PDU_CMD_WRITE))
		return PDU_REJECT_NOT_SUPPORTED; /* no command here is bidirectional */
	if ((cmd->opcode & PDU_IMMEDIATE) && s->immediate_tasks >= SESSION_IMMEDIATE_MAX) {
		stat_add(STAT_iscsi_limit_immediate, 1);
		return PDU_REJECT_IMMEDIATE;
	}
	return 0;
}

/* What may come without R2T, and whether what comes may (RFC 7143 13.10, 13.11, 13.14). */
static void command_expect_data(struct session_task *t, const struct pdu_scsi_cmd *cmd)
{
	const struct conn_params *p = &t->conn->params;
	uint32_t immediate = be24_get(&cmd->data_len);
	uint32_t first = t->edtl < p->first_burst ? t->edtl : p->first_burst;
	bool more = !(cmd->flags & PDU_FINAL);

	if (!(cmd->flags & PDU_CMD_WRITE))
		first = 0;
	if (immediate > first || (immediate && !p->immediate_data) || (more && p->initial_r2t))
		dataout_unexpected(t);
	t->unsolicited_open = more;
	if (more) {
		t->moved_ns = loop_now_ns(t->conn->loop);
		conn_watch_arm(t->conn);
	}
	t->solicited = more ? first : immediate;
}

/* There is no task for it: it ends without having begun (SAM-5 5.3.1), and its data is dropped. */
static void command_full(struct conn *c, const struct pdu_scsi_cmd *cmd)
{
	union pdu pdu = { .scsi_rsp = { .opcode = PDU_SCSI_RSP, .flags = PDU_FINAL } };

	stat_add(STAT_iscsi_limit_tasks, 1);
	if (log_limit_ok(&c->log))
		log_warn("conn: command refused, too many are under way",
			"conn=%lu peer=%s initiator=%s", (unsigned long)c->id, c->peer,
			c->initiator);
	pdu.scsi_rsp.response = PDU_RSP_COMPLETED;
	pdu.scsi_rsp.status = SCSI_TASK_SET_FULL;
	pdu.scsi_rsp.itt = cmd->itt;
	if (cmd->flags & (PDU_CMD_READ | PDU_CMD_WRITE)) {
		pdu.scsi_rsp.flags |= PDU_RSP_UNDERFLOW;
		pdu.scsi_rsp.residual = cmd->expected_len;
	}
	conn_send(c, &pdu, NULL, 0, true);
}

struct session_task *command_begin(
	struct conn *c, const struct pdu_scsi_cmd *cmd, const uint8_t *ahs, uint32_t ahs_len)
{
	int refused = command_refused(c, cmd);
	struct session_task *t;

	if (refused) {
		conn_reject(c, cmd, (enum pdu_reject_reason)refused);
		return NULL;
	}
	t = command_get(c);
	if (!t) {
		command_full(c, cmd);
		return NULL;
	}
	t->itt = be32_get(&cmd->itt);
	t->flags = cmd->flags;
	t->immediate = cmd->opcode & PDU_IMMEDIATE;
	t->edtl = be32_get(&cmd->expected_len);
	t->scsi.tag = t->itt;
	memcpy(t->scsi.lun_field, cmd->lun, sizeof t->scsi.lun_field);
	t->scsi.attr = (enum scsi_attr)(cmd->flags & PDU_CMD_ATTR_MASK);
	t->scsi.in_room = cmd->flags & PDU_CMD_READ ? t->edtl : 0;
	t->scsi.out_room = cmd->flags & PDU_CMD_WRITE ? t->edtl : 0;
	t->scsi.in_lent = !c->params.data_digest;
	refused = command_take_cdb(t, cmd, ahs, ahs_len);
	if (refused) {
		command_free(t);
		conn_reject(c, cmd, (enum pdu_reject_reason)refused);
		return NULL;
	}
	command_expect_data(t, cmd);
	return t;
}

void command_start(struct session_task *t)
{
	struct session *s = t->session;

	command_hash(t);
	if (t->immediate)
		s->immediate_tasks++;
	else
		s->open_tasks++;
	t->submitted = true;
	scsi_task_submit(&s->nexus, &t->scsi);
}

void command_forget(struct session_task *t)
{
	command_free(t);
}

/* ---- and is answered ---- */

void command_answered(struct session_task *t)
{
	struct session *s = t->session;

	command_unhash(t);
	if (t->immediate)
		s->immediate_tasks--;
	else
		s->open_tasks--;
}

static void command_done(struct scsi_task *scsi)
{
	struct session_task *t = container_of(scsi, struct session_task, scsi);
	struct conn *c = t->conn;

	list_del(&t->tx_node);
	if (c->rx.task == t) { /* its data is still coming: let it pass */
		c->rx.task = NULL;
		c->rx.sink = CONN_SINK_DROP;
	}
	dataout_release(t);
	if (scsi->aborted || c->state == CONN_FREE) {
		command_answered(t);
		command_free(t);
		return;
	}
	list_push(&c->tx.ready, &t->tx_node);
	conn_tx_arm(c);
}

const struct scsi_port_ops command_port_ops = {
	.get_data = dataout_want,
	.done = command_done,
};
