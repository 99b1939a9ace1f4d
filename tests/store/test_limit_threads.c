// SPDX-License-Identifier: Apache-2.0
/*
 * test_limit_threads.c: the layer "limit" on loops that really run beside each other, while limits
 * change and requests are cancelled: each request comes back once, and nothing is left.
 */
#include "tests/store/rig.h"

#include "common/own.h"
#include "volume/layer_limit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <time.h>

#define LOOPS   2u
#define DEPTH   24u
#define CHANGES 60u
#define ROUNDS  4u

struct crowd {
	struct rig *rig;
	struct vol_chan *chan;
	bool stop;                /* the loop's */
	unsigned out, again;      /* under way; requests until the next cancel */
	uint64_t done, cancelled; /* so far */
	uint64_t random;          /* state of the generator */
	struct one {
		struct vol_io io;
		struct crowd *crowd;
	} one[DEPTH];
	char data[65536];
};

static void one_done(struct vol_io *io, int res);

static void one_go(struct crowd *c, struct one *one)
{
	static const enum vol_op ops[] = { VOL_READ, VOL_WRITE, VOL_WRITE, VOL_FLUSH };
	struct vol_io *io = &one->io;

	vol_io_init(io);
	one->crowd = c;
	io->op = ops[rig_random(&c->random) % own_array_len(ops)];
	io->origin = 1 + rig_random(&c->random) % 5;
	io->len = io->op == VOL_FLUSH ? 0 : 512u << rig_random(&c->random) % 8;
	io->one = (struct iovec){ .iov_base = c->data, .iov_len = io->len };
	io->iov = &io->one;
	io->iovcnt = 1;
	io->done = one_done;
	c->out++;
	vol_submit(c->chan, io);
}

static void one_done(struct vol_io *io, int res)
{
	struct one *one = container_of(io, struct one, io);
	struct crowd *c = one->crowd;
	struct one *other = &c->one[rig_random(&c->random) % DEPTH];

	own_assert(!res || (res == -ECANCELED && io->cancelled));
	c->out--;
	c->done += !res;
	c->cancelled += res != 0;
	if (!c->stop)
		one_go(c, one);
	if (other->io.depth && rig_random(&c->random) % 4 == 0)
		vol_cancel(c->chan, &other->io);
}

static void crowd_begin(struct rig *rig, void *arg)
{
	struct crowd *c = arg;

	(void)rig;
	c->stop = false;
	for (unsigned i = 0; i < DEPTH; i++)
		one_go(c, &c->one[i]);
}

/* Everything that waits is cancelled. */
static void crowd_stop(struct rig *rig, void *arg)
{
	struct crowd *c = arg;

	(void)rig;
	c->stop = true;
	for (unsigned i = 0; i < DEPTH; i++)
		if (c->one[i].io.depth)
			vol_cancel(c->chan, &c->one[i].io);
}

static void crowd_look(struct rig *rig, void *arg)
{
	(void)rig;
	((struct crowd *)arg)->again = ((struct crowd *)arg)->out;
}

static void crowd_end(struct crowd *c)
{
	rig_call(c->rig, crowd_stop, c);
	do
		rig_call(c->rig, crowd_look, c);
	while (c->again);
	rig_chan_close(c->rig, c->chan);
}

static void change_limits(struct vol *vol)
{
	static const char *const texts[] = { "iops=2K", "bytes=8M iops=1K", "", "write_iops=100",
		"read_bytes=1M iops=500 burst_ms=20", "iops=20", "iops=50K" };
	char why[300];

	for (unsigned i = 0; i < CHANGES; i++) {
		const struct timespec pause = { .tv_nsec = 2000000 };

		assert_int_equal(
			limit_set_text(vol, texts[i % own_array_len(texts)], why, sizeof why), 0);
		nanosleep(&pause, NULL);
	}
	assert_int_equal(limit_set_text(vol, "iops=10", why, sizeof why), 0);
}

static void run_on(enum loop_engine_id engine)
{
	static struct crowd crowd[LOOPS];
	const struct vol_layer_conf layer = { "limit", "iops=10" };
	const struct vol_conf conf = { .name = "crowded",
		.store = "null",
		.size = 1 << 20,
		.layers = &layer,
		.layer_count = 1 };
	char why[300];
	struct vol *vol = vol_open(&conf, why, sizeof why);

	assert_non_null(vol);
	for (unsigned i = 0; i < LOOPS; i++) {
		crowd[i] = (struct crowd){ .rig = rig_new(engine), .random = 77 + i };
		if (!crowd[i].rig)
			skip();
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < LOOPS; i++) {
			crowd[i].chan = rig_chan_open(crowd[i].rig, vol);
			rig_call(crowd[i].rig, crowd_begin, &crowd[i]);
		}
		change_limits(vol);
		/* the home's own channel is the first to be closed, and the last */
		for (unsigned i = 0; i < LOOPS; i++)
			crowd_end(&crowd[(i + round) % LOOPS]);
		assert_int_equal(limit_waiting(vol), 0);
	}
	vol_close(vol);
	for (unsigned i = 0; i < LOOPS; i++) {
		assert_true(crowd[i].done && crowd[i].cancelled);
		rig_free(crowd[i].rig);
	}
}

static void test_aio(void **state)
{
	(void)state;
	run_on(LOOP_ENGINE_AIO);
}

static void test_uring(void **state)
{
	(void)state;
	run_on(LOOP_ENGINE_URING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aio),
		cmocka_unit_test(test_uring),
	};

	return cmocka_run_group_tests_name("limit_threads", tests, NULL, NULL);
}
