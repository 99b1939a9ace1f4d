// SPDX-License-Identifier: Apache-2.0
/*
 * conn.c: the life of a connection: made from an accepted socket, timed, closed, and freed when the
 * last thing that refers to it is gone.
 *
 * Closing is always the same path: conn_close ends the stream and tells the session; tasks that are
 * still with a volume keep the memory until they are back.
 */
#include "target/iscsi/conn.h"

#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"
#include "target/iscsi/session.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONN_MS      1000u
#define CONN_DROP_MS 100u /* in which a drop notice may leave */

static const char *const conn_state_names[] = {
#define CONN_STATE(id, name) name,
#define CONN_EDGE(from, event, to)
#include "target/iscsi/conn_fsm.def"
#undef CONN_STATE
#undef CONN_EDGE
};

static struct conn *conn_of_stream(struct loop_stream *stream)
{
	struct conn *c = container_of(stream, struct conn, stream);

	own_assert(c->magic == CONN_MAGIC);
	return c;
}

static void conn_stream_closed(struct loop_stream *stream)
{
	struct conn *c = conn_of_stream(stream);

	if (stream->released) {
		join_left(c);
		return;
	}
	c->stream_closed = true;
	conn_put(c);
}

static const struct loop_stream_ops conn_stream_ops = {
	.received = conn_rx_received,
	.sent = conn_tx_sent,
	.closed = conn_stream_closed,
};

/* "address:port", IPv6 in brackets, as TargetAddress writes it (RFC 7143 13.8). */
static void conn_name_address(
	char out[CONN_ADDRESS_MAX], int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	char text[INET6_ADDRSTRLEN] = "?";

	strcpy(out, "?");
	if (get(fd, (struct sockaddr *)&ss, &len))
		return;
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)&ss;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		snprintf(out, CONN_ADDRESS_MAX, "%s:%u", text, ntohs(in->sin_port));
	} else if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)&ss;

		bool v4 = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr); /* by a socket for both */

		inet_ntop(v4 ? AF_INET : AF_INET6, &in6->sin6_addr.s6_addr[v4 ? 12 : 0], text,
			sizeof text);
		snprintf(out, CONN_ADDRESS_MAX, v4 ? "%s:%u" : "[%s]:%u", text,
			ntohs(in6->sin6_port));
	}
}

/* After how long a silence something is done; 0: never. A discovery session takes no pings (RFC
 * 7143 4.3) and just ends. */
static uint32_t conn_silence_ms(const struct conn *c)
{
	const struct iscsi_opts *opts = &c->home->opts;

	return (c->params.discovery ? opts->discovery_seconds : opts->ping_seconds) * CONN_MS;
}

/* It is logged in, or gone. */
static void conn_leave_place(struct conn *c)
{
	if (c->place >= 0)
		arrive_leave(&c->srv->arrive, c->place);
	c->place = -1;
}

/* A peer that was asked for a sign of life and gave none, or that may be asked now. */
static void conn_check_alive(struct conn *c)
{
	const struct iscsi_opts *opts = &c->home->opts;
	uint64_t silent_ms = (loop_now_ns(c->loop) - c->last_rx_ns) / 1000000;
	uint32_t ping_ms = conn_silence_ms(c);
	uint32_t answer_ms = opts->ping_timeout_seconds * CONN_MS;

	if (c->params.discovery && silent_ms >= ping_ms) {
		stat_add(STAT_iscsi_timeouts, 1);
		conn_close(c, "a discovery session without a question");
		return;
	}
	if (c->ping_out && silent_ms >= answer_ms) {
		stat_add(STAT_iscsi_timeouts, 1);
		conn_close(c, "no answer to a ping");
		return;
	}
	if (ping_ms && silent_ms >= ping_ms) {
		nop_ping(c);
		c->ping_out = true;
		loop_timer_set(c->loop, &c->timer, answer_ms);
		return;
	}
	c->ping_out = false;
	if (ping_ms)
		loop_timer_set(c->loop, &c->timer, ping_ms - (uint32_t)silent_ms);
}

void conn_retime(struct conn *c)
{
	if (c->state != CONN_LOGGED_IN || c->ping_out)
		return;
	loop_timer_cancel(c->loop, &c->timer);
	if (conn_silence_ms(c))
		loop_timer_set(c->loop, &c->timer, conn_silence_ms(c));
}

static void conn_timer_run(struct loop_timer *timer)
{
	struct conn *c = container_of(timer, struct conn, timer);

	switch (c->state) {
	case CONN_XPT_UP:
	case CONN_IN_LOGIN:
		stat_add(STAT_iscsi_timeouts, 1);
		conn_close(c, c->state == CONN_XPT_UP ? NULL : "login took too long");
		break;
	case CONN_LOGGED_IN:
		if (c->dropping)
			conn_close(c, NULL);
		else
			conn_check_alive(c);
		break;
	case CONN_IN_LOGOUT:
		stat_add(STAT_iscsi_timeouts, 1);
		conn_close(c, "logout took too long");
		break;
	case CONN_FREE:
		break;
	}
}

int conn_open(struct conn *c, int fd)
{
	int err = loop_stream_open(c->loop, &c->stream, fd, &conn_stream_ops);

	if (err) {
		close(fd);
		return err;
	}
	list_push(&c->home->conns, &c->node);
	return 0;
}

void conn_time_login(struct conn *c)
{
	loop_timer_set(c->loop, &c->timer, c->home->opts.login_seconds * CONN_MS);
}

void conn_peer_name(char out[CONN_ADDRESS_MAX], int fd)
{
	conn_name_address(out, fd, getpeername);
}

struct conn *conn_new(struct iscsi_server *srv, struct iscsi_loop *home, int fd, int place)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c) {
		close(fd);
		return NULL;
	}
	c->magic = CONN_MAGIC;
	c->srv = srv;
	c->home = home;
	c->loop = home->loop;
	c->id = __atomic_add_fetch(&srv->last_conn, 1, __ATOMIC_RELAXED);
	trace_add(TRACE_connection_begins, c->id, 0);
	/* until a key says otherwise: RFC 7143 13 */
	c->params = (struct conn_params){
		.initial_r2t = true,
		.immediate_data = true,
		.max_xmit = CONN_LOGIN_RECV,
		.max_burst = 262144,
		.first_burst = 65536,
		.max_outstanding_r2t = 1,
		.time2wait = 2,
		.time2retain = 0,
	};
	conn_peer_name(c->peer, fd);
	conn_name_address(c->local, fd, getsockname);
	list_init(&c->node);
	list_init(&c->session_node);
	list_init(&c->acks);
	conn_rx_init(c);
	conn_tx_init(c);
	conn_watch_init(c);
	loop_timer_init(&c->timer, conn_timer_run);
	c->last_rx_ns = loop_now_ns(c->loop);
	if (conn_open(c, fd)) {
		free(c);
		return NULL;
	}
	c->held = 1; /* the stream's */
	c->place = place;
	conn_time_login(c);
	stat_add(STAT_iscsi_conns, 1);
	return c;
}

void conn_event(struct conn *c, enum conn_event event)
{
	static const struct {
		enum conn_state from;
		enum conn_event event;
		enum conn_state to;
	} edges[] = {
#define CONN_STATE(id, name)
#define CONN_EDGE(from, event, to) { CONN_##from, CONN_EV_##event, CONN_##to },
#include "target/iscsi/conn_fsm.def"
#undef CONN_STATE
#undef CONN_EDGE
	};
	size_t i = 0;

	while (i < own_array_len(edges) && (edges[i].from != c->state || edges[i].event != event))
		i++;
	own_assert(i < own_array_len(edges));
	log_debug("conn: state", "conn=%lu from=\"%s\" to=\"%s\"", (unsigned long)c->id,
		conn_state_names[c->state], conn_state_names[edges[i].to]);
	c->state = edges[i].to;
	if (event == CONN_EV_LOGGED_IN) {
		stat_add(STAT_iscsi_logins, 1);
		trace_add(TRACE_logged_in, c->id, 0);
		conn_leave_place(c);
		loop_timer_cancel(c->loop, &c->timer);
		if (conn_silence_ms(c))
			loop_timer_set(c->loop, &c->timer, conn_silence_ms(c));
	} else if (event == CONN_EV_LOGOUT) {
		trace_add(TRACE_logout, c->id, 0);
		conn_rx_quit(c); /* RFC 7143 11.14: a logout that waited for its turn */
		loop_timer_set(c->loop, &c->timer, c->home->opts.logout_seconds * CONN_MS);
	}
}

void conn_hold(struct conn *c)
{
	c->held++;
}

void conn_put(struct conn *c)
{
	struct iscsi_loop *home = c->home;

	own_assert(c->held);
	if (--c->held)
		return;
	own_assert(c->stream_closed && c->state == CONN_FREE);
	c->magic = 0;
	free(c);
	server_conn_gone(home);
}

/* For log lines: the session that it belongs to, 0: none yet. */
static unsigned conn_tsih(const struct conn *c)
{
	return c->session && !c->session->joining ? c->session->tsih : 0;
}

void conn_protocol_error(struct conn *c, const char *rule)
{
	stat_add(STAT_iscsi_protocol_errors, 1);
	trace_add(TRACE_protocol_error, c->id, 0);
	if (log_limit_ok(&c->log))
		log_warn("conn: protocol error, connection dropped",
			"conn=%lu peer=%s initiator=%s tsih=%u cid=%u rule=\"%s\"",
			(unsigned long)c->id, c->peer, c->initiator, conn_tsih(c), c->cid, rule);
	conn_close(c, NULL);
}

void conn_close(struct conn *c, const char *why)
{
	bool full = c->state == CONN_LOGGED_IN;

	if (c->state == CONN_FREE)
		return;
	conn_event(c, CONN_EV_CLOSE);
	trace_add(TRACE_connection_closed, c->id, 0);
	if (why && log_limit_ok(&c->log))
		log_info("conn: closed", "conn=%lu peer=%s initiator=%s tsih=%u cid=%u why=\"%s\"",
			(unsigned long)c->id, c->peer, c->initiator, conn_tsih(c), c->cid, why);
	conn_hold(c); /* what is told below may let go of the rest */
	loop_timer_cancel(c->loop, &c->timer);
	loop_timer_cancel(c->loop, &c->watch);
	conn_leave_place(c);
	list_del(&c->node);
	if (!c->stream_closed)
		loop_stream_close(&c->stream);
	join_cancel(c);
	conn_rx_fini(c);
	conn_tx_drop(c);
	login_free(c);
	text_free(c);
	ack_drop(c);
	if (c->session)
		session_lose_conn(own_take(c->session), c, full && !c->dismissed);
	conn_put(c);
}

void conn_drop(struct conn *c, const char *why)
{
	union pdu pdu = { .async = { .opcode = PDU_ASYNC, .flags = PDU_FINAL } };

	if (c->state != CONN_LOGGED_IN) {
		conn_close(c, why);
		return;
	}
	if (c->dropping)
		return;
	c->dropping = c->dismissed = true;
	if (log_limit_ok(&c->log))
		log_info("conn: dropped", "conn=%lu peer=%s initiator=%s why=\"%s\"",
			(unsigned long)c->id, c->peer, c->initiator, why);
	be32_set(&pdu.async.tag, PDU_TAG_RESERVED);
	pdu.async.event = PDU_ASYNC_DROP_SESSION;
	be16_set(&pdu.async.param2, (uint16_t)c->params.time2wait);
	/* param3, Time2Retain: nothing is kept at recovery level 0 */
	loop_timer_set(c->loop, &c->timer, CONN_DROP_MS);
	conn_send_last(c, &pdu, NULL, 0);
}

void conn_ask_logout(struct conn *c, uint16_t seconds)
{
	union pdu pdu = { .async = { .opcode = PDU_ASYNC, .flags = PDU_FINAL } };

	be32_set(&pdu.async.tag, PDU_TAG_RESERVED);
	pdu.async.event = PDU_ASYNC_LOGOUT;
	be16_set(&pdu.async.param3, seconds);
	conn_send(c, &pdu, NULL, 0, true);
}
