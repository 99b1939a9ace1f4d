// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_talk.c: whole conversations, from login to the end, over several connections.
 *
 * The parts: talk_login.c and talk_send.c speak, talk_check.c listens, talk_mutate.c changes steps
 * and rows of steps. After each input everything is closed and nothing may be left.
 */
#include "tests/fuzz/talk_conn.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	talk_world_free(talk_world_new());
	return 0;
}

/* ---- connections ---- */

void talk_turn(struct talk *t)
{
	sim_run(t->world->loop);
	for (unsigned i = 0; i < TALK_CONNS; i++)
		if (t->conn[i].peer)
			talk_read(&t->conn[i]);
}

void talk_drop(struct talk *t, struct talk_conn *c)
{
	if (!c->peer)
		return;
	sim_window(c->peer, SIZE_MAX);
	sim_chunk(c->peer, 0);
	if (!sim_peer_closed(c->peer))
		sim_peer_break(c->peer, ECONNRESET);
	sim_run(t->world->loop);
	fuzz_check(sim_peer_closed(c->peer));
	sim_peer_free(c->peer);
	memset(c, 0, sizeof(*c));
}

void talk_open(struct talk *t, struct talk_conn *c)
{
	struct world *w = t->world;
	int fd, place;

	talk_drop(t, c);
	c->recv_most = TALK_RECV_LEAST;
	c->max_burst = TALK_BURST_USUAL;
	c->max_r2t = 1;
	c->peer = sim_stream(w->loop, &fd);
	c->session = c->own = &t->session[c - t->conn];
	place = iscsi_server_expect(w->srv, 0, fd);
	fuzz_check(place >= 0);
	iscsi_server_adopt(w->srv, w->loop, fd, place);
}

/* ---- steps ---- */

static void close_step(struct talk *t, struct talk_conn *c, const struct talk_step *step)
{
	if (!c->peer)
		return;
	if (step->op & 1) {
		talk_drop(t, c);
	} else if (!c->hushed) {
		sim_peer_eof(c->peer);
		c->hushed = true;
	}
}

static void raw_step(struct talk_conn *c, const struct talk_step *step)
{
	if (c->hushed || sim_peer_closed(c->peer))
		return;
	c->session->wild = true;
	sim_push(c->peer, step->body, step->op % (sizeof(step->body) + 1));
}

static void chunk_step(struct talk *t, struct talk_conn *c, const struct talk_step *step)
{
	talk_turn(t); /* not for what is on its way: so many pieces are no end */
	c->chunk = talk_u16(step->len);
	sim_chunk(c->peer, c->chunk);
}

/* A step that needs a connection finds one, logged in as usual. */
static void ensure_login(struct talk *t, struct talk_conn *c)
{
	const struct talk_step usual = { .who = (uint8_t)(c - t->conn) };

	if (!c->peer)
		talk_login(t, c, &usual);
}

static void do_step(struct talk *t, const struct talk_step *step)
{
	struct talk_conn *c = &t->conn[step->who & TALK_CONN_MASK];
	unsigned kind = step->kind % TALK_KINDS;

	if (kind == TALK_LOGIN) {
		talk_login(t, c, step);
		return;
	}
	if (kind == TALK_LOGIN_PDU) {
		talk_login_pdu(t, c, step);
		return;
	}
	ensure_login(t, c);
	if (kind == TALK_WINDOW)
		sim_window(c->peer, talk_u16(step->len) ? talk_u16(step->len) : SIZE_MAX);
	else if (kind == TALK_CHUNK)
		chunk_step(t, c, step);
	else if (kind == TALK_TIME)
		sim_advance(t->world->loop, talk_u16(step->len));
	else if (kind == TALK_CLOSE)
		close_step(t, c, step);
	else if (kind == TALK_RAW)
		raw_step(c, step);
	else
		talk_send(t, c, step);
	if (!(step->who & TALK_BATCH))
		talk_turn(t);
}

/* Everybody takes all that is on its way, then hangs up. */
static void finish(struct talk *t)
{
	for (unsigned i = 0; i < TALK_CONNS; i++) {
		if (!t->conn[i].peer)
			continue;
		sim_window(t->conn[i].peer, SIZE_MAX);
		sim_chunk(t->conn[i].peer, 0);
	}
	talk_turn(t);
	sim_advance(t->world->loop, 50); /* what the slow unit has */
	talk_turn(t);
	for (unsigned i = 0; i < TALK_CONNS; i++)
		if (t->conn[i].peer)
			sim_peer_eof(t->conn[i].peer);
	for (unsigned i = 0; i < TALK_CONNS; i++) {
		struct talk_conn *c = &t->conn[i];

		for (unsigned n = 0; c->peer && n < 100 && !sim_peer_closed(c->peer); n++) {
			talk_turn(t);
			sim_advance(t->world->loop, 1000);
		}
		talk_drop(t, c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct talk t;
	struct talk_step step;

	memset(&t, 0, sizeof(t));
	t.world = talk_world_new();
	for (unsigned i = 0; i < TALK_STEPS_MAX && size >= sizeof(step); i++) {
		memcpy(&step, data, sizeof(step));
		data += sizeof(step);
		size -= sizeof(step);
		do_step(&t, &step);
	}
	finish(&t);
	talk_world_free(t.world);
	return 0;
}
