// SPDX-License-Identifier: Apache-2.0
/*
 * test_layers.c: the layers, what the guard makes up for, and what happens when the kernel fails a
 * request, on a simulated loop: one thread, its own clock, completions by script.
 */
#include "tests/store/cases.h"

#include "common/own.h"
#include "target/loop/loop_sim.h"
#include "volume/layer_stats.h"
#include "volume/vol_store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct sim {
	struct loop *loop;
	struct vol *vol;
	struct vol_chan *chan;
	char dir[64];
	char path[96];
	char why[512];
	struct vol_conf conf;
};

struct req {
	struct vol_io io;
	int res;
	unsigned done;
};

static int setup(void **state)
{
	struct sim *s = own_calloc(1, sizeof *s);

	s->loop = sim_loop_new();
	own_assert(case_dir(PLACE_DISK, s->dir));
	snprintf(s->path, sizeof s->path, "%s/disk.img", s->dir);
	s->conf = (struct vol_conf){ .name = "sim", .store = "mem", .size = CASE_SIZE };
	*state = s;
	return 0;
}

static void sim_open(struct sim *s, const struct vol_layer_conf *layers, unsigned n)
{
	int err = 0;

	s->conf.layers = layers;
	s->conf.layer_count = n;
	s->vol = s->conf.store ? vol_open(&s->conf, s->why, sizeof s->why)
			       : vol_open_store(&s->conf, &case_bare_ops, s->why, sizeof s->why);
	if (!s->vol)
		fail_msg("%s", s->why);
	s->chan = vol_chan_open(s->vol, s->loop, &err);
	assert_non_null(s->chan);
}

static int teardown(void **state)
{
	struct sim *s = *state;

	sim_io_hold(s->loop, false);
	if (s->chan)
		vol_chan_close(s->chan);
	if (s->vol)
		vol_close(s->vol);
	loop_free(s->loop);
	case_dir_remove(s->dir);
	free(s);
	return 0;
}

static void req_done(struct vol_io *io, int res)
{
	struct req *r = container_of(io, struct req, io);

	r->res = res;
	r->done++;
}

static uint8_t sim_data[CASE_SIZE + 4096] __attribute__((aligned(4096)));
static unsigned sim_skew; /* bytes that requests lie behind their place in it */

static void req_submit(
	struct sim *s, struct req *r, enum vol_op op, uint64_t off, uint64_t len, uint32_t flags)
{
	memset(r, 0, sizeof *r);
	vol_io_init(&r->io);
	r->io.op = op;
	r->io.flags = flags;
	r->io.off = off;
	r->io.len = len;
	r->io.done = req_done;
	r->io.one = (struct iovec){ .iov_base = sim_data + off + sim_skew, .iov_len = len };
	r->io.iov = &r->io.one;
	r->io.iovcnt = 1;
	vol_submit(s->chan, &r->io);
	assert_int_equal(r->done, 0);
}

static int req_run(struct sim *s, enum vol_op op, uint64_t off, uint64_t len, uint32_t flags)
{
	struct req r;

	req_submit(s, &r, op, off, len, flags);
	sim_run(s->loop);
	assert_int_equal(r.done, 1);
	return r.res;
}

/* ---- error ---- */

static void test_error_op(void **state)
{
	struct sim *s = *state;
	const struct vol_layer_conf layer = { "error", "op=write,flush errno=ENOSPC" };

	sim_open(s, &layer, 1);
	assert_int_equal(req_run(s, VOL_WRITE, 0, 4096, 0), -ENOSPC);
	assert_int_equal(req_run(s, VOL_FLUSH, 0, 0, 0), -ENOSPC);
	assert_int_equal(req_run(s, VOL_READ, 0, 4096, 0), 0);
	assert_int_equal(req_run(s, VOL_TRIM, 0, 4096, 0), 0);
}

static void test_error_range(void **state)
{
	struct sim *s = *state;
	const struct vol_layer_conf layer = { "error", "off=64K len=4K" };

	sim_open(s, &layer, 1);
	assert_int_equal(req_run(s, VOL_READ, 65536 - 4096, 4096, 0), 0);
	assert_int_equal(req_run(s, VOL_READ, 65536 - 4096, 4608, 0), -EIO);
	assert_int_equal(req_run(s, VOL_READ, 65536 + 3584, 512, 0), -EIO);
	assert_int_equal(req_run(s, VOL_READ, 65536 + 4096, 512, 0), 0);
	assert_int_equal(req_run(s, VOL_READ, 0, 1 << 20, 0), -EIO);
}

static void test_error_rate(void **state)
{
	struct sim *s = *state;
	const struct vol_layer_conf layer = { "error",
		"  op=read rate=1/3 after=2 count=2 errno=ETIMEDOUT" };
	static const char want[] = "....x..x......";

	sim_open(s, &layer, 1);
	for (unsigned i = 0; want[i]; i++) {
		assert_int_equal(req_run(s, VOL_WRITE, 0, 512, 0), 0);
		assert_int_equal(req_run(s, VOL_READ, 0, 512, 0), want[i] == 'x' ? -ETIMEDOUT : 0);
	}
}

static void test_options_refused(void **state)
{
	struct sim *s = *state;
	static const struct vol_layer_conf bad[] = {
		{ "error", "op=rad" },
		{ "error", "op=" },
		{ "error", "op" },
		{ "error", "errno=EWHAT" },
		{ "error", "rate=1/0" },
		{ "error", "rate=3" },
		{ "error", "off=12Q" },
		{ "error", "off=99999999999999999999" },
		{ "error", "len=1KK" },
		{ "error", "op=read, write" },
		{ "delay", "" },
		{ "delay", "ms=0" },
		{ "delay", "ms=5 op=all" },
		{ "stats", "x=1" },
		{ "stat", "" },
	};

	for (unsigned i = 0; i < own_array_len(bad); i++) {
		s->conf.layers = &bad[i];
		s->conf.layer_count = 1;
		s->why[0] = 0;
		assert_null(vol_open(&s->conf, s->why, sizeof s->why));
		assert_non_null(strstr(s->why, bad[i].kind));
	}
}

/* ---- delay ---- */

static void test_delay(void **state)
{
	struct sim *s = *state;
	const struct vol_layer_conf layer = { "delay", "ms=100 op=write" };
	struct req a, b, c;

	sim_open(s, &layer, 1);
	req_submit(s, &a, VOL_WRITE, 0, 4096, 0);
	req_submit(s, &b, VOL_READ, 0, 4096, 0);
	sim_run(s->loop);
	assert_true(!a.done && b.done);
	sim_advance(s->loop, 50);
	req_submit(s, &c, VOL_WRITE, 4096, 4096, 0);
	sim_advance(s->loop, 40);
	assert_true(!a.done && !c.done);
	sim_advance(s->loop, 25);
	assert_true(a.done && !c.done);
	sim_advance(s->loop, 50);
	assert_true(c.done);
	assert_int_equal(vol_chan_inflight(s->chan), 0);
	assert_int_equal(sim_next_timer_ms(s->loop), -1);
}

/* ---- stats ---- */

static void test_stats(void **state)
{
	struct sim *s = *state;
	static const struct vol_layer_conf layers[] = { { "stats", "" },
		{ "error", "op=read after=2" } };
	struct stats_table *t = own_calloc(1, sizeof *t);
	uint64_t sum = 0;
	int err;

	sim_open(s, layers, 2);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(req_run(s, VOL_READ, 0, 4096, 0), i < 2 ? 0 : -EIO);
	assert_int_equal(req_run(s, VOL_ZERO, 0, 8192, VOL_FUA), 0);
	vol_chan_close(s->chan);
	s->chan = vol_chan_open(s->vol, s->loop, &err);
	assert_int_equal(req_run(s, VOL_WRITE, 0, 512, 0), 0);
	assert_true(stats_read(s->vol, t));
	assert_int_equal(t->op[VOL_READ].count, 5);
	assert_int_equal(t->op[VOL_READ].errors, 3);
	assert_int_equal(t->op[VOL_READ].bytes, 5 * 4096);
	assert_int_equal(t->op[VOL_ZERO].count, 1);
	assert_int_equal(t->op[VOL_ZERO].bytes, 8192);
	assert_int_equal(t->op[VOL_WRITE].count, 1);
	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		sum += t->op[VOL_READ].bucket[i];
	assert_int_equal(sum, 5);
	assert_true(stats_percentile_ns(&t->op[VOL_READ], 500) <= t->op[VOL_READ].max_ns);
	free(t);
}

static void test_stats_absent(void **state)
{
	struct sim *s = *state;
	struct stats_table *t = own_calloc(1, sizeof *t);

	sim_open(s, NULL, 0);
	assert_false(stats_read(s->vol, t));
	free(t);
}

static void test_stats_buckets(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < STATS_BUCKETS; i++) {
		assert_int_equal(stats_bucket(stats_bucket_ns(i)), i);
		assert_true(i == 0 || stats_bucket_ns(i) > last);
		assert_true(i == 0 || stats_bucket(stats_bucket_ns(i) - 1) == i - 1);
		last = stats_bucket_ns(i);
	}
	assert_int_equal(stats_bucket(UINT64_MAX), STATS_BUCKETS - 1);
}

/* ---- emulation ---- */

static void bare_expect(unsigned i, enum vol_op op, uint64_t off, uint64_t len)
{
	assert_true(i < bare_log.count);
	assert_int_equal(bare_log.row[i].op, op);
	assert_int_equal(bare_log.row[i].off, off);
	assert_int_equal(bare_log.row[i].len, len);
}

static void test_emulated_fua(void **state)
{
	struct sim *s = *state;

	s->conf.store = NULL;
	sim_open(s, NULL, 0);
	memset(&bare_log, 0, sizeof bare_log);
	assert_int_equal(req_run(s, VOL_WRITE, 4096, 8192, VOL_FUA), 0);
	assert_int_equal(bare_log.count, 2);
	bare_expect(0, VOL_WRITE, 4096, 8192);
	assert_int_equal(bare_log.row[1].op, VOL_FLUSH);
	assert_int_equal(req_run(s, VOL_WRITE, 4096, 8192, 0), 0);
	assert_int_equal(bare_log.count, 3);
}

static void test_emulated_zero(void **state)
{
	struct sim *s = *state;

	s->conf.store = NULL;
	sim_open(s, NULL, 0);
	memset(sim_data, 0x99, CASE_SIZE);
	assert_int_equal(req_run(s, VOL_WRITE, 0, CASE_SIZE, 0), 0);
	memset(&bare_log, 0, sizeof bare_log);
	assert_int_equal(req_run(s, VOL_ZERO, 512, (2 << 20) + 512, 0), 0);
	assert_int_equal(bare_log.count, 3);
	bare_expect(0, VOL_WRITE, 512, 1 << 20);
	bare_expect(1, VOL_WRITE, 512 + (1 << 20), 1 << 20);
	bare_expect(2, VOL_WRITE, 512 + (2 << 20), 512);
	assert_int_equal(req_run(s, VOL_ZERO, 0, 4096, VOL_FUA), 0);
	assert_int_equal(bare_log.row[bare_log.count - 1].op, VOL_FLUSH);
	assert_int_equal(req_run(s, VOL_READ, 0, CASE_SIZE, 0), 0);
	for (unsigned i = 0; i < CASE_SIZE; i++)
		assert_int_equal(
			sim_data[i], i < 4096 || (i >= 512 && i < 1024 + (2 << 20)) ? 0 : 0x99);
}

/* ---- the descriptor stores when the kernel says no ---- */

static void file_open_on(struct sim *s, enum vol_cache cache)
{
	s->conf.store = "file";
	s->conf.path = s->path;
	s->conf.cache = cache;
	sim_open(s, NULL, 0);
}

static void test_kernel_errors(void **state)
{
	static const struct {
		int kernel, told;
	} rows[] = { { EIO, -EIO }, { ENOSPC, -ENOSPC }, { EDQUOT, -ENOSPC }, { EFBIG, -ENOSPC },
		{ ENXIO, -ENODEV }, { EAGAIN, -ENOMEM }, { EILSEQ, -EIO }, { EROFS, -EROFS },
		{ EINVAL, -EIO } };
	struct sim *s = *state;

	file_open_on(s, VOL_CACHE_BUFFERED);
	for (unsigned i = 0; i < own_array_len(rows); i++) {
		sim_io_fail(s->loop, 0, rows[i].kernel);
		assert_int_equal(req_run(s, VOL_WRITE, 0, 4096, 0), rows[i].told);
	}
	assert_int_equal(req_run(s, VOL_WRITE, 0, 4096, 0), 0);
	assert_int_equal(req_run(s, VOL_FLUSH, 0, 0, 0), 0);
}

static void test_write_flags(void **state)
{
	struct sim *s = *state;
	struct req r;

	file_open_on(s, VOL_CACHE_BUFFERED);
	sim_io_hold(s->loop, true);
	req_submit(s, &r, VOL_WRITE, 0, 4096, VOL_FUA);
	assert_int_equal(sim_io_nth(s->loop, 0)->flags, RWF_DSYNC);
	sim_io_complete(s->loop, sim_io_nth(s->loop, 0), SIM_IO_DO);
	sim_run(s->loop);
	req_submit(s, &r, VOL_FLUSH, 0, 0, 0);
	assert_int_equal(sim_io_nth(s->loop, 0)->op, LOOP_IO_DATASYNC);
	sim_io_complete(s->loop, sim_io_nth(s->loop, 0), SIM_IO_DO);
	sim_run(s->loop);
	assert_true(r.done && !r.res);
}

/* One lost writeback: every loop's next flush says so, and one that ran meanwhile, too. */
static void test_flush_lost(void **state)
{
	struct sim *s = *state;
	struct loop *other = sim_loop_new();
	struct vol_chan *mine;
	struct req a, b;
	int err;

	file_open_on(s, VOL_CACHE_BUFFERED);
	mine = s->chan;
	sim_io_hold(s->loop, true);
	req_submit(s, &a, VOL_FLUSH, 0, 0, 0);
	req_submit(s, &b, VOL_FLUSH, 0, 0, 0);
	sim_io_complete(s->loop, sim_io_nth(s->loop, 0), -EIO);
	sim_run(s->loop);
	assert_true(a.done && a.res == -EIO && !b.done);
	sim_io_complete(s->loop, sim_io_nth(s->loop, 0), SIM_IO_DO);
	sim_run(s->loop);
	assert_int_equal(b.res, -EIO);
	sim_io_hold(s->loop, false);
	assert_int_equal(req_run(s, VOL_FLUSH, 0, 0, 0), 0);

	s->chan = vol_chan_open(s->vol, other, &err);
	sim_io_fail(s->loop, 0, EIO);
	req_submit(&(struct sim){ .chan = mine }, &a, VOL_WRITE, 0, 512, VOL_FUA);
	sim_run(s->loop);
	assert_int_equal(a.res, -EIO);
	sim_run(other); /* the calling thread is its thread now */
	req_submit(s, &b, VOL_FLUSH, 0, 0, 0);
	sim_run(other);
	assert_int_equal(b.res, -EIO);
	req_submit(s, &b, VOL_FLUSH, 0, 0, 0);
	sim_run(other);
	assert_int_equal(b.res, 0);
	vol_chan_close(s->chan);
	s->chan = mine;
	loop_free(other);
}

/* Neither hole nor zero range: zeroes are written. */
static void test_zero_fallback(void **state)
{
	struct sim *s = *state;
	struct stat st;

	file_open_on(s, VOL_CACHE_BUFFERED);
	memset(sim_data, 0x42, 4 << 20);
	assert_int_equal(req_run(s, VOL_WRITE, 0, 4 << 20, 0), 0);
	sim_io_fail(s->loop, 0, EOPNOTSUPP);
	assert_int_equal(req_run(s, VOL_ZERO, 0, 3 << 20, 0), 0);
	assert_int_equal(req_run(s, VOL_READ, 0, 4 << 20, 0), 0);
	assert_int_equal(sim_data[0], 0);
	assert_int_equal(sim_data[(3 << 20) - 1], 0);
	assert_int_equal(sim_data[3 << 20], 0x42);
	sim_io_fail(s->loop, 1, ENOSPC); /* in the midst of the pieces */
	assert_int_equal(req_run(s, VOL_ZERO, 0, 3 << 20, 0), -ENOSPC);
	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_size, CASE_SIZE);
}

static void test_truncated(void **state)
{
	struct sim *s = *state;

	file_open_on(s, VOL_CACHE_BUFFERED);
	assert_int_equal(req_run(s, VOL_WRITE, 0, 65536, 0), 0);
	assert_int_equal(truncate(s->path, 6000), 0);
	assert_int_equal(req_run(s, VOL_READ, 4096, 4096, 0), -EIO);
	assert_int_equal(req_run(s, VOL_READ, 8192, 4096, 0), -EIO);
	assert_int_equal(req_run(s, VOL_READ, 0, 4096, 0), 0);
}

static bool direct_here(struct sim *s)
{
	struct vol *probe;

	s->conf.store = "file";
	s->conf.path = s->path;
	s->conf.cache = VOL_CACHE_DIRECT;
	probe = vol_open(&s->conf, s->why, sizeof s->why);
	if (!probe)
		print_message("# SKIP %s\n", s->why);
	else
		vol_close(probe);
	return probe != NULL;
}

/* No memory for the aligned copy is "busy", and nothing was written. */
static void test_bounce_busy(void **state)
{
	const struct loop_opts opts = { .engine = LOOP_ENGINE_SIM, .cpu = -1, .data_max = 4096 };
	struct sim *s = *state;
	int err;

	loop_free(s->loop);
	s->loop = loop_new(&opts, &err);
	if (!direct_here(s))
		return;
	sim_open(s, NULL, 0);
	sim_skew = 1;
	err = req_run(s, VOL_WRITE, 0, 1 << 20, 0);
	sim_skew = 0;
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(req_run(s, VOL_WRITE, 0, 1 << 20, 0), 0);
}

/* ---- broken promises ---- */

/* The signal that ends a process which submits this. */
static int death_of(struct sim *s, enum vol_op op, uint64_t off, uint64_t len, unsigned iovcnt)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct vol_io io;
		struct iovec iov = { .iov_base = sim_data, .iov_len = len };
		own_fd int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		vol_io_init(&io);
		io.op = op;
		io.off = off;
		io.len = len;
		io.iov = &iov;
		io.iovcnt = iovcnt;
		io.done = req_done;
		vol_submit(s->chan, &io);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_promises(void **state)
{
	struct sim *s = *state;

	sim_open(s, NULL, 0);
	assert_int_equal(death_of(s, VOL_READ, 0, 4096, 1), 0);
	assert_int_equal(death_of(s, VOL_READ, 0, 4096, 0), SIGABRT);
	assert_int_equal(death_of(s, VOL_READ, 1, 4096, 1), SIGABRT);
	assert_int_equal(death_of(s, VOL_READ, 0, 100, 1), SIGABRT);
	assert_int_equal(death_of(s, VOL_READ, CASE_SIZE, 512, 1), SIGABRT);
	assert_int_equal(death_of(s, VOL_WRITE, UINT64_MAX - 511, 512, 1), SIGABRT);
	assert_int_equal(death_of(s, VOL_EXTENTS, 0, 512, 0), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_error_op, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_range, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stats_absent, setup, teardown),
		cmocka_unit_test(test_stats_buckets),
		cmocka_unit_test_setup_teardown(test_emulated_fua, setup, teardown),
		cmocka_unit_test_setup_teardown(test_emulated_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kernel_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zero_fallback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounce_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_promises, setup, teardown),
	};

	return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
