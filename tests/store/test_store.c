// SPDX-License-Identifier: Apache-2.0
/*
 * test_store.c: the contract of volume.h, the same tests over every row of cases.c and over both
 * engines of the loop.
 */
#include "tests/store/cases.h"

#include "common/own.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct param {
	const struct store_case *row;
	enum loop_engine_id engine;
};

static int setup(void **state)
{
	const struct param *p = *state;

	*state = env_new(p->row, p->engine);
	return 0;
}

static int teardown(void **state)
{
	env_free(*state);
	return 0;
}

static struct env *env_of(void **state)
{
	return *state;
}

static bool row_remembers(const struct store_case *row)
{
	return !row->store || strcmp(row->store, "null") != 0;
}

static bool remembers(const struct env *env)
{
	return row_remembers(env->row);
}

static void fill_random(uint8_t *p, size_t len, uint64_t *seed)
{
	for (size_t i = 0; i + 8 <= len; i += 8) {
		uint64_t v = rig_random(seed);

		memcpy(p + i, &v, sizeof v);
	}
}

/* ---- against a model ---- */

#define MODEL_IO_MAX (192u << 10)

struct model {
	struct env *env;
	uint64_t seed;
	uint8_t *data;        /* what the volume should read as */
	uint8_t *room;        /* the caller's memory, with slack for odd addresses */
	struct loop_buf *buf; /* a loop's buffer, for requests in one piece of it */
	uint64_t off, len;    /* the range of this step */
};

static void model_range(struct model *m)
{
	uint64_t bs = m->env->info.block_size;

	m->len = bs * (1 + rig_random(&m->seed) % (MODEL_IO_MAX / bs));
	if (rig_random(&m->seed) % 2)
		m->len = bs * (1 + rig_random(&m->seed) % 8);
	m->off = bs * (rig_random(&m->seed) % ((CASE_SIZE - m->len) / bs + 1));
}

/* Pieces of the caller's memory at odd addresses and of odd lengths, that add up. */
static void model_shape(struct model *m, struct rig_req *req)
{
	uint64_t left = m->len;
	uint8_t *p = m->room + rig_random(&m->seed) % 4096;
	unsigned n = 0;

	for (; left && n < own_array_len(req->pieces) - 1; n++) {
		uint64_t piece = 1 + rig_random(&m->seed) % left;

		if (rig_random(&m->seed) % 4 == 0)
			break;
		req->pieces[n] = (struct iovec){ .iov_base = p, .iov_len = piece };
		p += piece + rig_random(&m->seed) % 64;
		left -= piece;
	}
	if (left)
		req->pieces[n++] = (struct iovec){ .iov_base = p, .iov_len = left };
	req->io.iov = req->pieces;
	req->io.iovcnt = n;
}

static void model_place(struct model *m, struct rig_req *req)
{
	uint64_t skew = rig_random(&m->seed) % 3 ? 0 : rig_random(&m->seed) % 512;

	req->io.off = m->off;
	req->io.len = m->len;
	if (rig_random(&m->seed) % 2) {
		model_shape(m, req);
		return;
	}
	req->io.buf = m->buf;
	req->io.one = (struct iovec){ .iov_base = m->buf->data + skew, .iov_len = m->len };
	req->io.iov = &req->io.one;
	req->io.iovcnt = 1;
}

/* Between the model and the pieces of a request, as they were before it. */
static void model_copy(struct model *m, const struct iovec *iov, unsigned n, bool from_model)
{
	uint8_t *p = m->data + m->off;

	for (unsigned i = 0; i < n; i++) {
		if (from_model)
			memcpy(iov[i].iov_base, p, iov[i].iov_len);
		else
			assert_memory_equal(iov[i].iov_base, p, iov[i].iov_len);
		p += iov[i].iov_len;
	}
}

static void model_rw(struct model *m, enum vol_op op)
{
	struct iovec saved[16];
	struct rig_req req;

	rig_req_init(&req, m->env->rig, m->env->chan);
	model_place(m, &req);
	req.io.op = op;
	memcpy(saved, req.io.iov, req.io.iovcnt * sizeof *saved);
	if (op == VOL_WRITE) {
		fill_random(m->data + m->off, m->len, &m->seed);
		model_copy(m, saved, req.io.iovcnt, true);
		req.io.flags = rig_random(&m->seed) % 8 ? 0 : VOL_FUA;
	} else {
		memset(m->room, 0xa5, MODEL_IO_MAX + 8192);
	}
	unsigned n = req.io.iovcnt;

	rig_submit(&req);
	assert_int_equal(rig_wait(&req), 0);
	if (op == VOL_READ)
		model_copy(m, saved, n, false);
}

static void model_step(struct model *m)
{
	struct env *env = m->env;

	model_range(m);
	switch (rig_random(&m->seed) % 16) {
	case 0:
		assert_int_equal(rig_op(env->rig, env->chan, VOL_FLUSH, 0, 0, 0), 0);
		break;
	case 1:
		if (!(env->info.caps & VOL_ZERO_AFTER_TRIM))
			break;
		assert_int_equal(rig_op(env->rig, env->chan, VOL_TRIM, m->off, m->len, 0), 0);
		memset(m->data + m->off, 0, m->len);
		break;
	case 2:
	case 3: {
		uint32_t flags = rig_random(&m->seed) & (VOL_FUA | VOL_MAY_TRIM);

		assert_int_equal(rig_op(env->rig, env->chan, VOL_ZERO, m->off, m->len, flags), 0);
		memset(m->data + m->off, 0, m->len);
		break;
	}
	default:
		model_rw(m, rig_random(&m->seed) % 2 ? VOL_READ : VOL_WRITE);
	}
}

static void test_model(void **state)
{
	struct env *env = env_of(state);
	struct model m = { .env = env, .seed = 0x6b757261 };

	m.data = own_calloc(1, CASE_SIZE);
	m.room = own_calloc(1, MODEL_IO_MAX + 8192);
	m.buf = rig_buf_get(env->rig, MODEL_IO_MAX + 4096);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_ZERO, 0, CASE_SIZE, VOL_MAY_TRIM), 0);
	for (unsigned i = 0; i < 400; i++)
		model_step(&m);
	for (m.off = 0, m.len = 65536; m.off < CASE_SIZE; m.off += m.len) {
		assert_int_equal(rig_rw(env->rig, env->chan, VOL_READ, m.off, m.room, m.len, 0), 0);
		assert_memory_equal(m.room, m.data + m.off, m.len);
	}
	rig_buf_put(env->rig, m.buf);
	free(m.room);
	free(m.data);
}

/* ---- many at once ---- */

#define DEPTH 64u

static void depth_round(struct env *env, enum vol_op op, uint8_t *data, uint64_t len)
{
	struct rig_req *reqs = own_calloc(DEPTH, sizeof *reqs);

	for (unsigned i = 0; i < DEPTH; i++) {
		struct rig_req *r = &reqs[i];

		rig_req_init(r, env->rig, env->chan);
		r->io.op = op;
		r->io.off = i * 2 * len;
		r->io.len = len;
		r->io.one = (struct iovec){ .iov_base = data + i * len, .iov_len = len };
		r->io.iov = &r->io.one;
		r->io.iovcnt = 1;
		rig_submit(r);
	}
	for (unsigned i = 0; i < DEPTH; i++)
		assert_int_equal(rig_wait(&reqs[i]), 0);
	assert_int_equal(vol_chan_inflight(env->chan), 0);
	free(reqs);
}

static void test_depth(void **state)
{
	struct env *env = env_of(state);
	const uint64_t len = 8192;
	uint8_t *out = own_calloc(DEPTH, len), *in = own_calloc(DEPTH, len);
	uint64_t seed = 7;

	fill_random(out, DEPTH * len, &seed);
	memset(in, 0x5a, DEPTH * len);
	depth_round(env, VOL_WRITE, out, len);
	depth_round(env, VOL_READ, in, len);
	if (!remembers(env))
		memset(out, 0, DEPTH * len);
	assert_memory_equal(in, out, DEPTH * len);
	free(out);
	free(in);
}

/* One request longer than any buffer, at odd addresses. */
static void test_large(void **state)
{
	struct env *env = env_of(state);
	const uint64_t len = 7 << 20;
	uint8_t *out = own_calloc(1, len + 8), *in = own_calloc(1, len + 8);
	uint64_t seed = 3;

	fill_random(out, len + 8, &seed);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_WRITE, 4096, out + 3, len, VOL_FUA), 0);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_READ, 4096, in + 5, len, 0), 0);
	if (!remembers(env))
		memset(out, 0, len + 8);
	assert_memory_equal(in + 5, out + 3, len);
	free(out);
	free(in);
}

/* ---- two loops ---- */

struct half {
	struct env *env;
	struct rig *rig;
	uint64_t base;
	bool good;
};

static void *half_main(void *arg)
{
	struct half *h = arg;
	struct vol_chan *chan = rig_chan_open(h->rig, h->env->vol);
	uint64_t seed = 11 + h->base;
	uint8_t out[8192], in[8192];

	h->good = true;
	for (unsigned i = 0; i < 150 && h->good; i++) {
		uint64_t off = h->base + 4096 * (rig_random(&seed) % (CASE_SIZE / 2 / 4096 - 1));

		fill_random(out, sizeof out, &seed);
		h->good = !rig_rw(h->rig, chan, VOL_WRITE, off, out, sizeof out, 0) &&
			  !rig_rw(h->rig, chan, VOL_READ, off, in, sizeof in, 0);
		if (remembers(h->env) && memcmp(in, out, sizeof in))
			h->good = false;
	}
	rig_chan_close(h->rig, chan);
	return NULL;
}

static void test_two_loops(void **state)
{
	struct env *env = env_of(state);
	struct rig *other = rig_new(env->engine);
	struct half a = { .env = env, .rig = env->rig };
	struct half b = { .env = env, .rig = other, .base = CASE_SIZE / 2 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, half_main, &b), 0);
	half_main(&a);
	pthread_join(thread, NULL);
	rig_free(other);
	assert_true(a.good && b.good);
}

/* ---- space ---- */

/* Bytes that the volume's file takes, or 0 where there is none. */
static uint64_t space(const struct env *env)
{
	struct stat st;

	if (stat(env->backing, &st))
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static void write_all(struct env *env, uint8_t byte)
{
	uint8_t *data = own_calloc(1, 1 << 20);

	memset(data, byte, 1 << 20);
	for (uint64_t off = 0; off < CASE_SIZE; off += 1 << 20)
		assert_int_equal(rig_rw(env->rig, env->chan, VOL_WRITE, off, data, 1 << 20, 0), 0);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_FLUSH, 0, 0, 0), 0);
	free(data);
}

static void expect_bytes(struct env *env, uint64_t off, uint64_t len, uint8_t byte)
{
	uint8_t *data = own_calloc(1, len), *want = own_calloc(1, len);

	memset(want, byte, len);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_READ, off, data, len, 0), 0);
	assert_memory_equal(data, want, len);
	free(want);
	free(data);
}

/* A lent read shows what was written, what was trimmed, and what is written afterwards. */
static void test_lend(void **state)
{
	struct env *env = env_of(state);
	struct rig_req req;
	uint8_t *lent, *want;
	const uint64_t off = 1 << 20, len = 3 << 20;

	write_all(env, 0x79);
	if (!(env->info.caps & VOL_CAN_LEND))
		return;
	assert_int_equal(rig_op(env->rig, env->chan, VOL_TRIM, off, 1 << 20, 0), 0);
	rig_req_init(&req, env->rig, env->chan);
	req.io.op = VOL_READ;
	req.io.flags = VOL_LEND;
	req.io.off = off;
	req.io.len = len;
	req.io.one = (struct iovec){ .iov_base = NULL, .iov_len = len };
	req.io.iov = &req.io.one;
	req.io.iovcnt = 1;
	rig_submit(&req);
	assert_int_equal(rig_wait(&req), 0);
	lent = req.io.one.iov_base;
	want = own_calloc(1, len);
	memset(want + (1 << 20), 0x79, len - (1 << 20));
	assert_memory_equal(lent, want, len);
	memset(want, 0x7a, len);
	write_all(env, 0x7a);
	assert_memory_equal(lent, want, len);
	free(want);
}

static void test_trim(void **state)
{
	struct env *env = env_of(state);
	uint64_t before;

	write_all(env, 0x77);
	before = space(env);
	if (!(env->info.caps & VOL_CAN_TRIM)) {
		assert_int_equal(env->info.trim_granularity, 0);
		assert_int_equal(rig_op(env->rig, env->chan, VOL_TRIM, 0, 1 << 20, 0), -EOPNOTSUPP);
		expect_bytes(env, 0, 1 << 20, 0x77);
		return;
	}
	assert_true(env->info.trim_granularity >= env->info.block_size);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_TRIM, 1 << 20, 4 << 20, 0), 0);
	if (before)
		assert_true(space(env) + (4 << 20) <= before + 65536);
	if (env->info.caps & VOL_ZERO_AFTER_TRIM)
		expect_bytes(env, 1 << 20, 4 << 20, 0);
	expect_bytes(env, (1 << 20) - 4096, 4096, 0x77);
	expect_bytes(env, 5 << 20, 4096, 0x77);
}

static void test_zero(void **state)
{
	struct env *env = env_of(state);
	uint64_t bs = env->info.block_size, before;

	write_all(env, 0x78);
	before = space(env);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_ZERO, bs, 3 * bs, VOL_FUA), 0);
	expect_bytes(env, 0, bs, 0x78);
	expect_bytes(env, bs, 3 * bs, 0);
	expect_bytes(env, 4 * bs, bs, 0x78);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_ZERO, 1 << 20, 5 << 20, 0), 0);
	expect_bytes(env, 1 << 20, 5 << 20, 0);
	if (before && env->row->place != PLACE_LOOPDEV)
		assert_true(space(env) >= before); /* it still has its space */
	assert_int_equal(rig_op(env->rig, env->chan, VOL_ZERO, 1 << 20, 5 << 20, VOL_MAY_TRIM), 0);
	/* a device may keep the space: a loop device on tmpfs refuses to zero and gets zeroes
	 * written */
	if (before && (env->info.caps & VOL_CAN_TRIM) && env->row->place != PLACE_LOOPDEV)
		assert_true(space(env) + (5 << 20) <= before + 65536);
	expect_bytes(env, 1 << 20, 5 << 20, 0);
	expect_bytes(env, 6 << 20, 4096, 0x78);
}

/* Every extent follows the one before it, and those that must be are what they must be. */
static void expect_extents(struct env *env, uint64_t off, uint64_t len, bool mapped)
{
	struct vol_extent e[8];
	int n = rig_extents(env->rig, env->chan, off, len, e, 8);
	uint64_t pos = off;

	assert_true(n >= 1);
	for (int i = 0; i < n; i++) {
		assert_int_equal(e[i].off, pos);
		assert_true(e[i].len > 0 && e[i].len % env->info.block_size == 0);
		assert_int_equal(e[i].mapped, mapped);
		pos += e[i].len;
	}
	assert_int_equal(pos, off + len);
}

static void test_extents(void **state)
{
	struct env *env = env_of(state);
	uint8_t data[8192];
	struct vol_extent e[8];

	memset(data, 0x31, sizeof data);
	if (!(env->info.caps & VOL_CAN_EXTENTS)) {
		expect_extents(env, 4096, 1 << 20, true);
		return;
	}
	expect_extents(env, 0, CASE_SIZE, false);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_WRITE, 1 << 20, data, 8192, VOL_FUA), 0);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_WRITE, 3 << 20, data, 4096, VOL_FUA), 0);
	assert_int_equal(rig_extents(env->rig, env->chan, 0, CASE_SIZE, e, 8), 5);
	assert_true(!e[0].mapped && e[0].zero && e[0].len == 1 << 20);
	assert_true(e[1].mapped && !e[1].zero && e[1].len == 8192);
	assert_true(!e[2].mapped && e[2].len == (2 << 20) - 8192);
	assert_true(e[3].mapped && e[3].len == 4096);
	assert_int_equal(e[4].off + e[4].len, CASE_SIZE);
	expect_extents(env, (1 << 20) + 4096, 4096, true);
	assert_int_equal(rig_extents(env->rig, env->chan, 0, CASE_SIZE, e, 2), 2);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_TRIM, 1 << 20, 8192, 0), 0);
	expect_extents(env, 0, 3 << 20, false);
}

/* ---- what it says of itself ---- */

static void test_info(void **state)
{
	struct env *env = env_of(state);
	struct vol_info again;

	assert_string_equal(vol_name(env->vol), "case");
	assert_ptr_equal(vol_chan_vol(env->chan), env->vol);
	assert_int_equal(env->info.size, CASE_SIZE);
	assert_int_equal(env->info.block_size, env->row->block_size);
	assert_true(env->info.physical_block_size >= env->info.block_size);
	assert_false(env->info.readonly);
	again = env->info;
	if (env->row->place == PLACE_LOOPDEV)
		return; /* the device is gone with its last closing */
	env_close(env);
	assert_true(env_open(env));
	assert_memory_equal(env->info.uuid, again.uuid, VOL_UUID_LEN);
}

static void test_readonly(void **state)
{
	struct env *env = env_of(state);
	uint8_t data[4096] = "abc", in[4096];

	assert_int_equal(rig_rw(env->rig, env->chan, VOL_WRITE, 4096, data, 4096, 0), 0);
	env_close(env);
	env->conf.readonly = true;
	assert_true(env_open(env));
	assert_true(env->info.readonly);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_WRITE, 0, data, 4096, 0), -EROFS);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_TRIM, 0, 4096, 0), -EROFS);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_ZERO, 0, 4096, 0), -EROFS);
	assert_int_equal(rig_op(env->rig, env->chan, VOL_FLUSH, 0, 0, 0), 0);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_READ, 4096, in, 4096, 0), 0);
	if (env->row->place)
		assert_memory_equal(in, data, 4096);
}

static void test_resize(void **state)
{
	struct env *env = env_of(state);
	uint8_t data[4096] = "resize";
	int err = vol_resize(env->vol, 2 * CASE_SIZE);

	if (!env->row->store || env->row->place == PLACE_LOOPDEV) {
		assert_int_equal(err, -ENOTSUP);
		return;
	}
	assert_int_equal(err, 0);
	assert_int_equal(vol_info(env->vol).size, 2 * CASE_SIZE);
	expect_bytes(env, 2 * CASE_SIZE - 4096, 4096, 0);
	assert_int_equal(
		rig_rw(env->rig, env->chan, VOL_WRITE, 2 * CASE_SIZE - 4096, data, 4096, 0), 0);
	assert_int_equal(vol_resize(env->vol, CASE_SIZE), 0);
	assert_int_equal(
		rig_rw(env->rig, env->chan, VOL_READ, 2 * CASE_SIZE - 4096, data, 4096, 0), -EIO);
	assert_int_equal(rig_rw(env->rig, env->chan, VOL_READ, CASE_SIZE - 4096, data, 4096, 0), 0);
	assert_int_equal(vol_resize(env->vol, 2 * CASE_SIZE), 0);
	expect_bytes(env, 2 * CASE_SIZE - 4096, 4096, 0);
	assert_int_equal(vol_resize(env->vol, CASE_SIZE + 1), -EINVAL);
}

static void test_block_resize(void **state)
{
	struct env *env = env_of(state);

	assert_int_equal(vol_resize(env->vol, 0), 0);
	assert_int_equal(vol_info(env->vol).size, CASE_SIZE);
}

/* ---- rows and tests ---- */

static bool any_row(const struct store_case *row)
{
	return row != NULL;
}

/* The log of the bare store is for one loop. */
static bool shared_row(const struct store_case *row)
{
	return row->store != NULL;
}

static bool device_row(const struct store_case *row)
{
	return row->place == PLACE_LOOPDEV;
}

/* The device is gone with its last closing, and cannot be opened again. */
static bool reopened_row(const struct store_case *row)
{
	return row->place != PLACE_LOOPDEV;
}

static const struct {
	const char *name;
	CMUnitTestFunction run;
	bool (*applies)(const struct store_case *row);
} tests[] = {
	{ "info", test_info, any_row },
	{ "reads what was written", test_model, row_remembers },
	{ "many at once", test_depth, any_row },
	{ "one large", test_large, any_row },
	{ "two loops", test_two_loops, shared_row },
	{ "lend", test_lend, row_remembers },
	{ "trim", test_trim, row_remembers },
	{ "zero", test_zero, row_remembers },
	{ "extents", test_extents, row_remembers },
	{ "read-only", test_readonly, reopened_row },
	{ "resize", test_resize, any_row },
	{ "resize of a device", test_block_resize, device_row },
};

static const struct {
	const char *name;
	enum loop_engine_id id;
} engines[] = {
	{ "uring", LOOP_ENGINE_URING },
	{ "aio", LOOP_ENGINE_AIO },
};

#define TESTS_MAX 512

struct plan {
	struct CMUnitTest all[TESTS_MAX];
	struct param params[TESTS_MAX];
	char names[TESTS_MAX][96];
	unsigned count;
};

static void plan_add(struct plan *p, unsigned e, const struct store_case *row, unsigned t)
{
	unsigned n = p->count++;

	own_assert(n < TESTS_MAX);
	snprintf(p->names[n], sizeof p->names[n], "%s on %s: %s", row->name, engines[e].name,
		tests[t].name);
	p->params[n].row = row;
	p->params[n].engine = engines[e].id;
	p->all[n] = (struct CMUnitTest){ .name = p->names[n],
		.test_func = tests[t].run,
		.setup_func = setup,
		.teardown_func = teardown,
		.initial_state = &p->params[n] };
}

/* The tests of a row on an engine; a row that this machine cannot have is named once, and left. */
static void plan_row(struct plan *p, unsigned e, const struct store_case *row)
{
	struct env *env = env_new(row, engines[e].id);
	bool here = !env->skip;

	if (!here)
		print_message("# SKIP %s on %s: %s\n", row->name, engines[e].name, env->why);
	env_free(env);
	for (unsigned t = 0; here && t < own_array_len(tests); t++)
		if (tests[t].applies(row))
			plan_add(p, e, row, t);
}

int main(void)
{
	static struct plan plan;
	const char *only = getenv("KURA_ENGINE");

	for (unsigned e = 0; e < own_array_len(engines); e++) {
		if (only && strcmp(only, "auto") && strcmp(only, engines[e].name))
			continue;
		for (unsigned c = 0; c < store_case_count; c++)
			plan_row(&plan, e, &store_cases[c]);
	}
	return _cmocka_run_group_tests("store", plan.all, plan.count, NULL, NULL);
}
