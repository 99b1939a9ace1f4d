// SPDX-License-Identifier: Apache-2.0
/*
 * talk.c: what stands in for the rest of the room while login.c and text.c are tested.
 */
#include "tests/unit/talk.h"

struct talk w;

const char *scsi_target_iqn(const struct scsi_target *target)
{
	return (const char *)target;
}

struct scsi_target *scsi_target_get(struct scsi_target *target)
{
	return target;
}

static void close_conn(struct conn *c)
{
	c->state = CONN_FREE;
	login_free(c);
	text_free(c);
}

struct conn_ctl *conn_send(
	struct conn *c, const union pdu *pdu, const void *data, uint32_t len, bool takes_stat_sn)
{
	static struct conn_ctl ctl;

	if (w.no_memory) {
		close_conn(c);
		return NULL;
	}
	assert_true(takes_stat_sn);
	assert_int_not_equal(c->state, CONN_FREE);
	assert_true(len < sizeof w.text);
	w.sent++;
	w.pdu = *pdu;
	w.len = len;
	for (uint32_t i = 0; i < len; i++)
		w.text[i] = ((const char *)data)[i] ? ((const char *)data)[i] : '|';
	w.text[len] = '\0';
	return &ctl;
}

void conn_send_last(struct conn *c, const union pdu *pdu, const void *data, uint32_t len)
{
	if (!conn_send(c, pdu, data, len, true))
		return;
	w.last = true;
	c->tx.last = true;
}

void conn_reject(struct conn *c, const void *bhs, enum pdu_reject_reason reason)
{
	(void)c;
	(void)bhs;
	w.sent++;
	w.rejected = (int)reason;
}

void conn_event(struct conn *c, enum conn_event event)
{
	if (event == CONN_EV_LOGIN) {
		assert_int_equal(c->state, CONN_XPT_UP);
		c->state = CONN_IN_LOGIN;
	} else {
		assert_int_equal(event, CONN_EV_LOGGED_IN);
		assert_int_equal(c->state, CONN_IN_LOGIN);
		c->state = CONN_LOGGED_IN;
	}
}

struct session *session_new(
	struct conn *c, struct iscsi_target *target, const uint8_t isid[6], uint32_t cmd_sn)
{
	if (w.no_session)
		return NULL;
	w.session = (struct session){ .target = target, .exp_cmd_sn = cmd_sn };
	c->session = &w.session;
	memcpy(w.session.isid, isid, 6);
	memcpy(w.session.initiator, c->initiator, sizeof c->initiator);
	return &w.session;
}

void session_join(struct session *s)
{
	assert_ptr_equal(s, &w.session);
	s->tsih = 0x1234;
	w.joined = true;
}

int member_add(struct session *s, struct conn *c, const struct scsi_target *port)
{
	assert_ptr_equal(s, &w.session);
	assert_non_null(port);
	c->session = s;
	return w.refuses;
}

void join_begin(struct conn *c, const struct conn_join *wish)
{
	assert_true(wish->tsih);
	assert_null(c->session);
	w.wish = *wish;
	w.joined = true;
}

/* Timers are few here: the one of the last login that waits. */
uint64_t loop_now_ns(const struct loop *loop)
{
	(void)loop;
	return w.now_ms * 1000000;
}

void loop_timer_init(struct loop_timer *timer, void (*run)(struct loop_timer *timer))
{
	*timer = (struct loop_timer){ .run = run };
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms)
{
	(void)loop;
	w.timer = timer;
	w.wait_ms = ms;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	if (w.timer == timer)
		w.timer = NULL;
}

void pass_time(void)
{
	struct loop_timer *timer = own_take(w.timer);

	assert_non_null(timer);
	w.now_ms += w.wait_ms;
	timer->run(timer);
}

static void offer(const char *iqn, const char *initiator, const char *alias)
{
	struct iscsi_target *t = &w.target[w.targets];
	struct access_rule *rule = &w.rule[w.targets];
	struct scsi_target **port = &w.port[w.targets++];

	rule->initiator = (char *)(uintptr_t)initiator;
	t->name = (char *)(uintptr_t)iqn;
	t->refs = 1;
	*port = (struct scsi_target *)(uintptr_t)iqn;
	rule->ports = port;
	t->alias = (char *)(uintptr_t)alias;
	t->rules = rule;
	t->rule_count = initiator != NULL;
	list_push(&w.catalogue.targets, &t->node);
}

void connect_again(void)
{
	close_conn(&w.conn);
	memset(&w.conn, 0, sizeof w.conn);
	w.conn.srv = w.server;
	w.conn.home = w.server->loops;
	w.conn.id = 7;
	strcpy(w.conn.peer, "127.0.0.1:43210");
	strcpy(w.conn.local, "127.0.0.1:3260");
	w.req = (struct pdu_login_req){ .opcode = PDU_IMMEDIATE | PDU_LOGIN_REQ };
	be32_set(&w.req.itt, 0x77);
	be32_set(&w.req.cmd_sn, 100);
	memcpy(w.req.isid, "\x00\x02\x3d\x00\x00\x01", 6);
	w.text_req = (struct pdu_text_req){ .opcode = PDU_TEXT_REQ };
	be32_set(&w.text_req.itt, 1);
	be32_set(&w.text_req.ttt, PDU_TAG_RESERVED);
	w.no_session = w.no_memory = w.joined = w.last = false;
	w.rejected = -1;
}

int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	w.server = own_calloc(1, sizeof *w.server + sizeof w.server->loops[0]);
	w.server->loops[0].opts = (struct iscsi_opts){ .max_sessions = 8,
		.max_text = KEYS_TEXT_MAX,
		.max_burst = 1u << 20,
		.first_burst = 256u << 10,
		.max_r2t = 8 };
	w.catalogue.refs = 1;
	list_init(&w.catalogue.targets);
	w.catalogue.tags = w.tags;
	w.catalogue.tag_count = own_array_len(w.tags);
	w.server->loops[0].catalogue = &w.catalogue;
	w.tags[0] = 1;
	offer("iqn.2026-11.kura.test:wire", "*", NULL);
	offer("iqn.2026-11.kura.test:closed", "iqn.2026-11.kura.test:friend", "Bob's disk");
	offer("iqn.2026-11.kura.test:nobody", NULL, NULL);
	connect_again();
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	close_conn(&w.conn);
	free(w.server);
	return 0;
}

/* ---- saying and hearing ---- */

static char *to_wire(const char *text)
{
	size_t len = strlen(text);
	char *wire = malloc(len ? len : 1); /* exactly: a read behind it is seen by ASan */

	for (size_t i = 0; i < len; i++)
		wire[i] = text[i] == '|' ? '\0' : text[i];
	return wire;
}

void say(unsigned flags, const char *text)
{
	unsigned before = w.sent;
	char *wire = to_wire(text);

	w.req.flags = (uint8_t)flags;
	login_receive(&w.conn, &w.req, (const uint8_t *)wire, (uint32_t)strlen(text));
	free(wire);
	assert_true(w.sent <= before + 1);
}

void hear(unsigned flags, const char *text)
{
	assert_int_equal(w.pdu.bhs.opcode, PDU_LOGIN_RSP);
	assert_int_equal(be16_get(&w.pdu.login_rsp.status), LOGIN_SUCCESS);
	assert_int_equal(w.pdu.login_rsp.flags, flags);
	assert_memory_equal(&w.pdu.login_rsp.itt, &w.req.itt, 4);
	assert_memory_equal(w.pdu.login_rsp.isid, w.req.isid, 6);
	/* of a session that is joined: what is acknowledged for certain */
	assert_int_equal(be32_get(&w.pdu.login_rsp.exp_cmd_sn),
		be16_get(&w.req.tsih) ? 100 - SESSION_DEPTH_MAX : 100);
	assert_string_equal(w.text, text);
}

void hear_refusal(enum login_status status)
{
	unsigned before = w.sent;

	assert_int_equal(w.pdu.bhs.opcode, PDU_LOGIN_RSP);
	assert_int_equal(be16_get(&w.pdu.login_rsp.status), status);
	assert_int_equal(w.pdu.login_rsp.flags & T, 0);
	assert_int_equal(w.len, 0);
	assert_true(w.last);
	say(OPERATE_FULL, NAMES);
	login_established(&w.conn, 0);
	assert_int_equal(w.sent, before);
	assert_int_not_equal(w.conn.state, CONN_LOGGED_IN);
}

void establish(void)
{
	assert_true(w.joined);
	assert_int_equal(w.conn.state, CONN_IN_LOGIN);
	login_established(&w.conn, 0);
	assert_int_equal(w.conn.state, CONN_LOGGED_IN);
	assert_int_equal(be16_get(&w.pdu.login_rsp.tsih), 0x1234);
	assert_null(w.conn.login);
}

void log_in(const char *text)
{
	connect_again();
	say(OPERATE_FULL, text);
	establish();
}

void ask(unsigned flags, const char *text)
{
	unsigned before = w.sent;
	char *wire = to_wire(text);

	w.rejected = -1;
	w.text_req.flags = (uint8_t)flags;
	text_receive(&w.conn, &w.text_req, (const uint8_t *)wire, (uint32_t)strlen(text));
	free(wire);
	assert_int_equal(w.sent, before + 1);
}
