/* SPDX-License-Identifier: Apache-2.0 */
/* lane.c: one session, which places it goes to, and what it checks when it comes back. */
#include "tests/bench/load.h"

#include "common/be.h"
#include "tests/bench/stamp.h"

#include <stdlib.h>
#include <string.h>

#define PICK_TRIES 8

uint64_t load_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* ---- which place comes next ---- */

static uint64_t scaled(uint64_t random, uint64_t count)
{
	return (uint64_t)((unsigned __int128)random * count >> 64);
}

/* In order once for fill and sweep; in order for ever, or at random, for the run. */
static bool pick_chunk(struct lane *l, uint64_t *chunk)
{
	const struct load *load = l->w->load;
	bool once = l->w->phase != PHASE_RUN;

	if (once || load->o->sequential) {
		if (l->cursor == l->count && !once)
			l->cursor = 0;
		*chunk = l->first + l->cursor;
		if (l->cursor == l->count || (load->busy && load->busy[*chunk]))
			return false;
		l->cursor++;
		return true;
	}
	for (int i = 0; i < PICK_TRIES; i++) {
		*chunk = l->first + scaled(load_random(&l->rng), l->count);
		if (!load->busy || !load->busy[*chunk])
			return true;
	}
	return false;
}

static bool pick_write(struct lane *l)
{
	const struct opts *o = l->w->load->o;

	if (l->w->phase != PHASE_RUN)
		return l->w->phase == PHASE_FILL;
	if (o->read_pct == 0 || o->read_pct == 100)
		return o->read_pct == 0;
	return scaled(load_random(&l->rng), 100) >= o->read_pct;
}

bool lane_more(const struct lane *l)
{
	if (l->w->phase == PHASE_RUN)
		return !atomic_load_explicit(&l->w->load->stop, memory_order_relaxed);
	return l->cursor < l->count;
}

/* ---- one command ---- */

static void cdb_build(uint8_t cdb[16], const struct load *load, bool write, uint64_t chunk)
{
	uint32_t blocks = (uint32_t)(load->o->block_bytes / load->block_bytes);
	uint64_t lba = chunk * blocks;

	memset(cdb, 0, 16);
	if (load->o->cdb16 || lba > UINT32_MAX || blocks > UINT16_MAX) {
		cdb[0] = write ? 0x8a : 0x88;
		be64_store(cdb + 2, lba);
		be32_store(cdb + 10, blocks);
		return;
	}
	cdb[0] = write ? 0x2a : 0x28;
	be32_store(cdb + 2, (uint32_t)lba);
	be16_store(cdb + 7, (uint16_t)blocks);
}

/* The task that the next xfer_start takes has this buffer, so it can be filled before. */
static uint8_t *lane_buf(struct lane *l)
{
	return l->bufs + l->s.free_slots[l->s.nfree - 1] * l->w->load->o->block_bytes;
}

static void lane_start(struct lane *l, uint64_t chunk, bool write)
{
	struct load *load = l->w->load;
	uint32_t len = (uint32_t)load->o->block_bytes;
	uint32_t gen = write && load->gen ? load->gen[chunk] + 1 : 0;
	uint8_t *buf = write ? load->data : NULL;
	uint8_t cdb[16];
	struct task *t;

	if (load->o->verify) {
		buf = lane_buf(l);
		load->busy[chunk] = 1;
		if (write)
			stamp_fill(buf, len, chunk * len, gen, load->o->seed);
	}
	cdb_build(cdb, load, write, chunk);
	t = xfer_start(&l->s, cdb, write, buf, len);
	t->chunk = chunk;
	t->gen = gen;
}

int lane_top_up(struct lane *l)
{
	uint64_t chunk;

	while (lane_more(l) && sess_may_start(&l->s) && pick_chunk(l, &chunk))
		lane_start(l, chunk, pick_write(l));
	return tx_flush(&l->s.tx, l->s.fd);
}

static void lane_check(struct lane *l, struct task *t)
{
	struct load *load = l->w->load;
	char why[200];

	load->busy[t->chunk] = 0;
	if (t->write) {
		load->gen[t->chunk] = t->gen;
		return;
	}
	l->w->checked++;
	if (stamp_check(t->buf, t->len, t->chunk * t->len, load->gen[t->chunk], load->o->seed, why,
		    sizeof why))
		sess_fail(&l->s, "%s", why);
}

static void lane_done(struct sess *s, struct task *t, uint8_t status)
{
	struct lane *l = s->owner;
	struct worker *w = l->w;

	if (status) {
		sess_fail(s, "%s at byte %llu: status 0x%02x, sense key %x asc %02x%02x",
			t->write ? "write" : "read", (unsigned long long)t->chunk * t->len, status,
			s->text[4] & 0xfu, s->text[14], s->text[15]);
		return;
	}
	if (w->load->o->verify)
		lane_check(l, t);
	if (!atomic_load_explicit(&w->load->counting, memory_order_relaxed))
		return;
	hist_add(&w->latency, s->now_ns - t->started_ns);
	w->reads += !t->write;
	w->writes += t->write;
}

void lane_begin(struct lane *l)
{
	const struct load *load = l->w->load;
	const struct lane *of = l;

	/* Its own part, and for the sweep that of the next lane. */
	if (l->w->phase == PHASE_SWEEP)
		of = &load->lanes[(l->s.number + 1) % load->o->sessions];
	l->first = of->home;
	l->count = of->home_count;
	l->cursor = 0;
	l->s.done = lane_done;
	l->s.owner = l;
	l->s.now_ns = sess_now_ns();
}
