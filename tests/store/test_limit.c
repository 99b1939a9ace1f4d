// SPDX-License-Identifier: Apache-2.0
/*
 * test_limit.c: how fast the layer "limit" lets requests through, and whom first, on simulated
 * loops whose clocks the test turns: rates, bursts, fairness between origins and between loops,
 * order, changes and cancelling while requests wait.
 */
#include "tests/store/cases.h"

#include "common/own.h"
#include "target/loop/loop_sim.h"
#include "volume/layer_limit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#define LOOPS 2
#define DEPTH 64

struct rig2 {
	struct loop *loop[LOOPS];
	struct vol_chan *chan[LOOPS];
	struct vol *vol;
	struct vol_conf conf;
	char dir[64];
	char why[512];
};

/* Somebody who always has `depth` requests under way until told to stop. */
struct user {
	struct rig2 *rig;
	unsigned on; /* which loop */
	uint64_t origin;
	enum vol_op op;
	uint64_t len;
	unsigned depth;
	bool stop;
	unsigned out;         /* under way */
	uint64_t done, bytes; /* so far */
	uint64_t last;        /* number of the request that was done last */
	bool jumped;          /* one overtook another */
	struct one {
		struct vol_io io;
		struct user *user;
		uint64_t number;
		int res;
		bool over;
	} one[DEPTH];
	uint64_t sent;
};

static uint8_t data[1 << 20];

static int setup(void **state)
{
	struct rig2 *s = own_calloc(1, sizeof *s);

	for (unsigned i = 0; i < LOOPS; i++)
		s->loop[i] = sim_loop_new();
	own_assert(case_dir(PLACE_DISK, s->dir));
	s->conf = (struct vol_conf){ .name = "limited", .store = "null", .size = CASE_SIZE };
	*state = s;
	return 0;
}

/* The calling thread is that loop's thread from now on. */
static void be_on(struct rig2 *s, unsigned on)
{
	sim_run(s->loop[on]);
}

static void rig2_open(struct rig2 *s, const char *options)
{
	const struct vol_layer_conf layer = { "limit", options };
	int err;

	s->conf.layers = &layer;
	s->conf.layer_count = 1;
	s->vol = s->conf.store ? vol_open(&s->conf, s->why, sizeof s->why)
			       : vol_open_store(&s->conf, &case_bare_ops, s->why, sizeof s->why);
	if (!s->vol)
		fail_msg("%s", s->why);
	for (unsigned i = 0; i < LOOPS; i++) {
		be_on(s, i);
		s->chan[i] = vol_chan_open(s->vol, s->loop[i], &err);
		assert_non_null(s->chan[i]);
	}
}

/* What goes on without time passing, on both loops. */
static void settle(struct rig2 *s)
{
	for (unsigned round = 0; round < 4; round++)
		for (unsigned i = 0; i < LOOPS; i++)
			sim_run(s->loop[i]);
}

static void pass(struct rig2 *s, unsigned ms)
{
	for (; ms; ms--) {
		for (unsigned i = 0; i < LOOPS; i++)
			sim_advance(s->loop[i], 1);
		settle(s);
	}
}

static int teardown(void **state)
{
	struct rig2 *s = *state;

	for (unsigned i = 0; i < LOOPS; i++) {
		be_on(s, i);
		if (s->chan[i])
			vol_chan_close(s->chan[i]);
	}
	if (s->vol)
		vol_close(s->vol);
	for (unsigned i = 0; i < LOOPS; i++)
		loop_free(s->loop[i]);
	case_dir_remove(s->dir);
	free(s);
	return 0;
}

/* ---- users ---- */

static void one_done(struct vol_io *io, int res);

static void one_go(struct user *u, struct one *one)
{
	struct vol_io *io = &one->io;

	vol_io_init(io);
	one->user = u;
	one->number = ++u->sent;
	one->over = false;
	io->op = u->op;
	io->origin = u->origin;
	io->len = u->op == VOL_FLUSH ? 0 : u->len;
	io->one = (struct iovec){ .iov_base = data, .iov_len = io->len };
	io->iov = &io->one;
	io->iovcnt = 1;
	io->done = one_done;
	u->out++;
	vol_submit(u->rig->chan[u->on], io);
}

static void one_done(struct vol_io *io, int res)
{
	struct one *one = container_of(io, struct one, io);
	struct user *u = one->user;

	assert_false(one->over);
	one->over = true;
	one->res = res;
	u->jumped |= one->number < u->last;
	u->last = one->number;
	u->out--;
	if (res)
		return;
	u->done++;
	u->bytes += io->len;
	if (!u->stop)
		one_go(u, one);
}

static void user_begin(struct user *u)
{
	be_on(u->rig, u->on);
	for (unsigned i = 0; i < u->depth; i++)
		one_go(u, &u->one[i]);
}

/* All of them together: what waits goes on without a limit. */
static void users_end(struct user *const *u, unsigned n)
{
	const struct limit_conf none = { .burst_ms = LIMIT_BURST_MS };

	for (unsigned i = 0; i < n; i++)
		u[i]->stop = true;
	assert_int_equal(limit_set(u[0]->rig->vol, &none), 0);
	pass(u[0]->rig, 30);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(u[i]->out, 0);
	assert_int_equal(limit_waiting(u[0]->rig->vol), 0);
}

#define USERS_END(...)                                                                             \
	users_end((struct user *const[]){ __VA_ARGS__ },                                           \
		own_array_len(((struct user *const[]){ __VA_ARGS__ })))

static struct user user(struct rig2 *s, unsigned on, uint64_t origin, unsigned depth, uint64_t len)
{
	return (struct user){
		.rig = s, .on = on, .origin = origin, .depth = depth, .len = len, .op = VOL_WRITE
	};
}

#define assert_about(value, want, percent)                                                         \
	assert_in_range((value), (want) * (100 - (percent)) / 100, (want) * (100 + (percent)) / 100)

/* ---- how fast ---- */

static void test_iops(void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, 0, 1, 32, 4096);

	rig2_open(s, "iops=1000 burst_ms=100");
	user_begin(&u);
	pass(s, 2000);
	/* what was kept at first, and then the rate, to a tick */
	assert_in_range(u.done, 2080, 2102);
	assert_false(u.jumped);
	USERS_END(&u);
}

static void test_slow(void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, 0, 1, 4, 65536);

	rig2_open(s, "bytes=64K burst_ms=20");
	user_begin(&u);
	pass(s, 10000);
	assert_in_range(u.done, 9, 12);
	USERS_END(&u);
}

static void test_fast(void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, 0, 1, DEPTH, 4096);

	rig2_open(s, "iops=20K");
	user_begin(&u);
	pass(s, 1000);
	/* every request that waits goes once a tick of 8.4 ms at least; 64 of them bound the rate
	 */
	assert_true(u.done <= 20480 + 2048 + 256);
	assert_true(u.done >= 64 * 100);
	USERS_END(&u);
}

static void test_burst(void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, 0, 1, DEPTH, 4096);

	rig2_open(s, "iops=100 burst_ms=500");
	pass(s, 3000);
	user_begin(&u);
	settle(s);
	assert_in_range(u.done, 50, 51); /* half a second's, not three */
	pass(s, 1000);
	assert_in_range(u.done, 149, 152);
	USERS_END(&u);
}

static void test_directions(void **state)
{
	struct rig2 *s = *state;
	struct user w = user(s, 0, 1, 8, 65536), r = user(s, 0, 1, 8, 4096);

	r.op = VOL_READ;
	rig2_open(s, "write_bytes=1M read_iops=400");
	user_begin(&w);
	user_begin(&r);
	pass(s, 4000);
	assert_about(w.bytes, 4u << 20, 8);
	assert_about(r.done, 1600, 5); /* the same origin's reads do not wait for its writes */
	USERS_END(&w, &r);
}

static void test_together(void **state)
{
	struct rig2 *s = *state;
	struct user w = user(s, 0, 1, 8, 4096), r = user(s, 1, 2, 8, 4096);

	r.op = VOL_READ;
	rig2_open(s, "iops=1000 write_iops=100");
	user_begin(&w);
	user_begin(&r);
	pass(s, 3000);
	assert_about(w.done, 300, 8);
	assert_about(w.done + r.done, 3100, 3); /* what writes may not have, reads get */
	USERS_END(&w, &r);
}

/* Nothing moves for them; a flush and a question cost nothing at all. */
static void test_others(void **state)
{
	struct rig2 *s = *state;
	struct user z = user(s, 0, 1, 4, CASE_SIZE), f = user(s, 0, 2, 1, 0);

	z.op = VOL_ZERO;
	s->conf.store = "mem";
	rig2_open(s, "iops=100 bytes=1K");
	user_begin(&z);
	pass(s, 2000);
	assert_about(z.done, 210, 3);
	USERS_END(&z);
	f.op = VOL_FLUSH;
	f.stop = true;
	assert_int_equal(limit_set_text(s->vol, "iops=1 bytes=1", s->why, sizeof s->why), 0);
	for (unsigned i = 0; i < 10; i++) {
		user_begin(&f);
		settle(s);
	}
	assert_int_equal(f.done, 10);
}

/* ---- whom first ---- */

static void test_fair_origins(void **state)
{
	struct rig2 *s = *state;
	struct user greedy = user(s, 0, 1, DEPTH, 4096), other = user(s, 0, 2, 8, 4096);

	rig2_open(s, "iops=1000");
	user_begin(&greedy);
	pass(s, 500);
	greedy.done = 0;
	user_begin(&other);
	pass(s, 4000);
	assert_about(greedy.done, 2000, 10);
	assert_about(other.done, 2000, 10);
	USERS_END(&greedy, &other);
}

/* One request after the other, beside somebody with 64. */
static void test_fair_modest(void **state)
{
	struct rig2 *s = *state;
	struct user greedy = user(s, 0, 1, DEPTH, 4096), modest = user(s, 1, 2, 1, 4096);

	rig2_open(s, "iops=1000");
	user_begin(&greedy);
	user_begin(&modest);
	pass(s, 4000);
	assert_about(modest.done, 2000, 15);
	assert_about(modest.done + greedy.done, 4100, 3);
	USERS_END(&greedy, &modest);
}

static void test_fair_bytes(void **state)
{
	struct rig2 *s = *state;
	struct user large = user(s, 0, 1, 32, 65536), small = user(s, 0, 2, 32, 4096);

	rig2_open(s, "bytes=4M");
	user_begin(&large);
	user_begin(&small);
	pass(s, 8000);
	assert_about(large.bytes, 16u << 20, 10);
	assert_about(small.bytes, 16u << 20, 10);
	USERS_END(&large, &small);
}

/* Three on one loop, one on the other: each gets a quarter. */
static void test_fair_loops(void **state)
{
	struct rig2 *s = *state;
	struct user u[4];

	rig2_open(s, "iops=2000");
	for (unsigned i = 0; i < 4; i++) {
		u[i] = user(s, i < 3, 1 + i * 64, 32, 4096);
		user_begin(&u[i]);
	}
	pass(s, 4000);
	for (unsigned i = 0; i < 4; i++) {
		assert_about(u[i].done, 2050, 10);
		assert_false(u[i].jumped);
	}
	USERS_END(&u[0], &u[1], &u[2], &u[3]);
}

/* ---- order ---- */

static void test_flush_order(void **state)
{
	struct rig2 *s = *state;
	struct user w = user(s, 1, 1, 3, 4096), f = user(s, 1, 1, 1, 0);

	s->conf.store = NULL;
	w.stop = f.stop = true;
	f.op = VOL_FLUSH;
	rig2_open(s, "write_iops=10 burst_ms=20");
	memset(&bare_log, 0, sizeof bare_log);
	user_begin(&w);
	user_begin(&f);
	settle(s);
	assert_int_equal(w.done, 1);
	assert_int_equal(f.done, 0);
	pass(s, 400);
	assert_int_equal(w.done + f.done, 4);
	assert_int_equal(bare_log.count, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(bare_log.row[i].op, i < 3 ? VOL_WRITE : VOL_FLUSH);
}

/* ---- changes ---- */

static void test_live(void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, 1, 1, 32, 4096);
	struct limit_conf conf;

	rig2_open(s, "");
	u.stop = true;
	user_begin(&u);
	settle(s);
	assert_int_equal(u.done, 32); /* not limited */
	assert_int_equal(limit_set_text(s->vol, "iops=10", s->why, sizeof s->why), 0);
	assert_int_equal(limit_get(s->vol, &conf), 0);
	assert_int_equal(conf.rate[LIMIT_IOPS], 10);
	assert_int_equal(conf.burst_ms, LIMIT_BURST_MS);
	u.stop = false;
	user_begin(&u);
	pass(s, 1000);
	assert_in_range(u.done - 32, 10, 13);
	assert_int_equal(limit_waiting(s->vol), 32);
	assert_int_equal(limit_set_text(s->vol, "iops=1K", s->why, sizeof s->why), 0);
	u.done = 0;
	pass(s, 1000);
	assert_in_range(u.done, 1024, 1024 + 140);
	assert_int_equal(
		limit_set_text(s->vol, "iops=1 burst_ms=5", s->why, sizeof s->why), -EINVAL);
	assert_non_null(strstr(s->why, "limited"));
	assert_int_equal(limit_get(s->vol, &conf), 0);
	assert_int_equal(conf.rate[LIMIT_IOPS], 1024);
	USERS_END(&u);
}

static void test_absent(void **state)
{
	struct rig2 *s = *state;
	const struct limit_conf conf = { .burst_ms = LIMIT_BURST_MS };
	struct limit_conf got;

	s->conf.store = "mem";
	s->vol = vol_open(&s->conf, s->why, sizeof s->why);
	assert_non_null(s->vol);
	assert_int_equal(limit_set(s->vol, &conf), -ENOTSUP);
	assert_int_equal(limit_get(s->vol, &got), -ENOTSUP);
	assert_int_equal(limit_waiting(s->vol), 0);
	assert_int_equal(limit_set_text(s->vol, "iops=1", s->why, sizeof s->why), -ENOTSUP);
	assert_non_null(strstr(s->why, "limited"));
}

static void test_refused(void **state)
{
	struct rig2 *s = *state;
	static const char *const bad[] = { "iops=-1", "iops=", "iops", "bytes=17G", "burst_ms=19",
		"burst_ms=61K", "write=5", "iops=1.5" };

	for (unsigned i = 0; i < own_array_len(bad); i++) {
		const struct vol_layer_conf layer = { "limit", bad[i] };

		s->conf.layers = &layer;
		s->conf.layer_count = 1;
		s->why[0] = 0;
		assert_null(vol_open(&s->conf, s->why, sizeof s->why));
		assert_non_null(strstr(s->why, "limit"));
	}
}

/* ---- cancelling ---- */

static void cancel_on(unsigned on, void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, on, 1, 8, 4096), o = user(s, !on, 2, 2, 4096);

	s->conf.store = NULL;
	u.stop = o.stop = true;
	rig2_open(s, "iops=1 burst_ms=20");
	memset(&bare_log, 0, sizeof bare_log);
	user_begin(&u);
	user_begin(&o);
	settle(s);
	assert_int_equal(u.done, 1);
	be_on(s, on);
	for (unsigned i = 2; i < 8; i++) {
		vol_cancel(s->chan[on], &u.one[i].io);
		assert_false(u.one[i].over);
	}
	settle(s);
	for (unsigned i = 2; i < 8; i++)
		assert_true(u.one[i].over && u.one[i].res == -ECANCELED);
	assert_int_equal(u.out, 1);
	assert_int_equal(o.out, 2);
	assert_int_equal(limit_waiting(s->vol), 3);
	pass(s, 4000);
	assert_int_equal(u.done, 2);
	assert_int_equal(o.done, 2);
	assert_int_equal(bare_log.count, 4);
}

static void test_cancel_home(void **state)
{
	cancel_on(0, state);
}

static void test_cancel_away(void **state)
{
	cancel_on(1, state);
}

/* Before the home has even seen them, and twice; then everything can be closed at once. */
static void test_cancel_early(void **state)
{
	struct rig2 *s = *state;
	struct user u = user(s, 1, 1, 8, 4096);

	u.stop = true;
	rig2_open(s, "iops=1 burst_ms=20");
	user_begin(&u);
	for (unsigned twice = 0; twice < 2; twice++)
		for (unsigned i = 1; i < 8; i++)
			vol_cancel(s->chan[1], &u.one[i].io);
	settle(s);
	assert_int_equal(u.out, 0);
	assert_int_equal(u.done, 1);
	assert_int_equal(sim_next_timer_ms(s->loop[0]), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = { T(iops), T(slow), T(fast), T(burst), T(directions),
		T(together), T(others), T(fair_origins), T(fair_modest), T(fair_bytes),
		T(fair_loops), T(flush_order), T(live), T(absent), T(refused), T(cancel_home),
		T(cancel_away), T(cancel_early) };
#undef T

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
