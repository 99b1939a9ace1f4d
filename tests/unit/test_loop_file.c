// SPDX-License-Identifier: Apache-2.0
/*
 * test_loop_file.c: requests to files, on every engine: in the page cache, past it, in memory, and
 * what the simulated engine can do to them.
 */
#include "tests/unit/test_loop.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct req {
	struct loop_io io;
	struct iovec iov[8];
	unsigned done;
	int res;
	bool inside;
	unsigned *all;
};

static void req_done(struct loop_io *io, int res)
{
	struct req *r = container_of(io, struct req, io);

	assert_false(r->inside);
	assert_true(loop_self() == io->loop);
	r->done++;
	r->res = res;
	if (r->all)
		++*r->all;
}

static void req_submit(struct fx *fx, struct req *r, struct loop_file *f, enum loop_io_op op,
	void *p, uint64_t len, uint64_t off)
{
	r->iov[0] = (struct iovec){ p, len };
	r->io.op = op;
	r->io.file = f;
	r->io.iov = r->iov;
	r->io.iovcnt = 1;
	r->io.off = off;
	r->io.len = len;
	r->io.done = req_done;
	r->inside = true;
	loop_io_submit(fx->loop, &r->io);
	r->inside = false;
	assert_int_equal(r->done, 0);
}

static int req_wait(struct fx *fx, struct req *r)
{
	turn_until(fx, &r->done, 1);
	assert_int_equal(r->done, 1);
	return r->res;
}

/* One request from beginning to end. */
static int io_do(struct fx *fx, struct loop_file *f, enum loop_io_op op, void *p, uint64_t len,
	uint64_t off, int flags)
{
	struct req r = { .io.flags = flags };

	req_submit(fx, &r, f, op, p, len, off);
	return req_wait(fx, &r);
}

/* A new file without a name in `dir`, or in $TMPDIR, or -1 when the filesystem refuses `flags`. */
static int file_new(const char *dir, int flags)
{
	const char *tmp = getenv("TMPDIR");
	own_free char *path = own_printf("%s/kura-loop-XXXXXX", dir ? dir : tmp ? tmp : ".");
	int fd = mkostemp(path, O_CLOEXEC | flags);

	if (fd >= 0)
		unlink(path);
	return fd;
}

static uint8_t *pages(size_t len, unsigned seed)
{
	uint8_t *p = aligned_alloc(4096, len);

	own_assert(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((i * 31 + i / 4096) ^ seed);
	return p;
}

/* ---- what holds for every file ---- */

static void some_of_everything(struct fx *fx, int fd)
{
	own_free uint8_t *out = pages(65536, 1), *in = pages(65536, 2);
	struct loop_file f;
	struct req r = { .done = 0 };

	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	assert_int_equal(io_do(fx, &f, LOOP_IO_WRITE, out, 65536, 0, 0), 65536);
	assert_int_equal(io_do(fx, &f, LOOP_IO_WRITE, out, 4096, 65536, RWF_DSYNC), 4096);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, in, 65536, 0, 0), 65536);
	assert_memory_equal(in, out, 65536);
	/* several pieces */
	r.iov[1] = (struct iovec){ in + 8192, 4096 };
	r.iov[2] = (struct iovec){ in, 8192 };
	req_submit(fx, &r, &f, LOOP_IO_DATASYNC, NULL, 0, 0);
	assert_int_equal(req_wait(fx, &r), 0);
	r.done = 0;
	r.io.op = LOOP_IO_READ;
	r.io.iov = r.iov + 1;
	r.io.iovcnt = 2;
	r.io.len = 12288;
	r.io.off = 4096;
	loop_io_submit(fx->loop, &r.io);
	assert_int_equal(req_wait(fx, &r), 12288);
	assert_memory_equal(in + 8192, out + 4096, 4096);
	assert_memory_equal(in, out + 8192, 8192);
	/* the end of the file */
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, in, 8192, 65536, 0), 4096);
	assert_memory_equal(in, out, 4096);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, in, 4096, 1 << 20, 0), 0);
	/* a hole */
	assert_int_equal(io_do(fx, &f, LOOP_IO_FALLOCATE, NULL, 8192, 4096,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
		0);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, in, 16384, 0, 0), 16384);
	memset(out + 4096, 0, 8192);
	assert_memory_equal(in, out, 16384);
	assert_int_equal(io_do(fx, &f, LOOP_IO_FALLOCATE, NULL, 4096, 0, 0x4000), -EOPNOTSUPP);
	loop_file_close(fx->loop, &f);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* still the caller's */
	close(fd);
}

static void test_buffered(struct fx *fx)
{
	int fd = file_new(NULL, 0);

	assert_true(fd >= 0);
	some_of_everything(fx, fd);
}

static void test_direct(struct fx *fx)
{
	int fd = file_new(NULL, O_DIRECT);

	if (fd < 0)
		skip(); /* the filesystem of $TMPDIR does not have it */
	some_of_everything(fx, fd);
}

/* What is below a device may take its time, wherever its name is. */
static void test_devices_are_not_memory(struct fx *fx)
{
	struct loop_file f;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	assert_false(f.memory);
	loop_file_close(fx->loop, &f);
	close(fd);
}

static void test_in_memory(struct fx *fx)
{
	int fd = file_new("/dev/shm", 0);
	struct loop_file f;

	if (fd < 0)
		skip();
	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	assert_true(f.memory || fx->id == LOOP_ENGINE_SIM);
	loop_file_close(fx->loop, &f);
	some_of_everything(fx, fd);
}

/* More at once than any queue of the engines holds, in data buffers of the loop. */
static void many(struct fx *fx, int fd)
{
	enum { N = 900 };
	struct req *r = own_calloc(N, sizeof *r);
	struct loop_buf *b[N];
	struct loop_file f;
	unsigned done = 0;

	turn_for(fx, 1); /* before the first turn only some requests can be queued */
	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	for (unsigned i = 0; i < N; i++) {
		b[i] = loop_buf_get(fx->loop, 4096);
		memset(b[i]->data, (int)i & 0xff, 4096);
		memcpy(b[i]->data, &i, sizeof i);
		r[i].io.buf = b[i];
		r[i].all = &done;
		req_submit(fx, &r[i], &f, LOOP_IO_WRITE, b[i]->data, 4096, i * 4096ull);
	}
	turn_until(fx, &done, N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(r[i].res, 4096);
		memset(b[i]->data, 0xee, 4096);
		r[i].done = 0;
		req_submit(fx, &r[i], &f, LOOP_IO_READ, b[i]->data, 4096, (N - 1 - i) * 4096ull);
	}
	turn_until(fx, &done, 2 * N);
	for (unsigned i = 0; i < N; i++) {
		unsigned want = N - 1 - i;

		assert_int_equal(r[i].done, 1);
		assert_int_equal(r[i].res, 4096);
		assert_memory_equal(b[i]->data, &want, sizeof want);
		assert_int_equal(b[i]->data[4095], want & 0xff);
		loop_buf_put(fx->loop, b[i]);
	}
	loop_file_close(fx->loop, &f);
	close(fd);
	free(r);
}

static void test_many_buffered(struct fx *fx)
{
	many(fx, file_new(NULL, 0));
}

static void test_many_direct(struct fx *fx)
{
	int fd = file_new(NULL, O_DIRECT);

	if (fd < 0)
		skip();
	many(fx, fd);
}

/* ---- errors ---- */

static void errors(struct fx *fx, int flags)
{
	own_free uint8_t *p = pages(16384, 1);
	own_fd int wr = file_new(NULL, flags), rd = -1;
	own_free char *path = NULL;
	struct rlimit lim, low;
	struct loop_file f;

	if (wr < 0)
		skip();
	path = own_printf("/proc/self/fd/%d", wr);
	rd = open(path, O_RDONLY | O_CLOEXEC | flags);
	assert_int_equal(loop_file_open(fx->loop, &f, -1), -EBADF);
	assert_int_equal(loop_file_open(fx->loop, &f, rd), 0);
	assert_int_equal(io_do(fx, &f, LOOP_IO_WRITE, p, 4096, 0, 0), -EBADF);
	assert_true(io_do(fx, &f, LOOP_IO_FALLOCATE, NULL, 4096, 0, 0) == -EBADF);
	loop_file_close(fx->loop, &f);

	/* a full disk, in the form of a limit: what fits is written, then comes the error */
	assert_int_equal(loop_file_open(fx->loop, &f, wr), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &lim);
	low = lim;
	low.rlim_cur = 8192;
	setrlimit(RLIMIT_FSIZE, &low);
	assert_int_equal(io_do(fx, &f, LOOP_IO_WRITE, p, 4096, 8192, 0), -EFBIG);
	assert_int_equal(io_do(fx, &f, LOOP_IO_WRITE, p, 16384, 0, 0), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &lim);
	memset(p, 0, 16384);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, p, 16384, 0, 0), 8192);
	assert_int_equal(p[31], (uint8_t)((31 * 31) ^ 1));
	loop_file_close(fx->loop, &f);
}

static void test_errors_buffered(struct fx *fx)
{
	errors(fx, 0);
}

static void test_errors_direct(struct fx *fx)
{
	errors(fx, O_DIRECT);
}

/* ---- calls that block ---- */

static pthread_t call_loop;
static atomic_uint call_now, call_most;

static int call_run(struct loop_io *io)
{
	unsigned now = atomic_fetch_add(&call_now, 1) + 1, most = atomic_load(&call_most);

	while (now > most && !atomic_compare_exchange_weak(&call_most, &most, now))
		;
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	atomic_fetch_sub(&call_now, 1);
	return pthread_equal(pthread_self(), call_loop) ? -EDEADLK : 100 + (int)io->off;
}

static void test_calls_run_elsewhere_and_together(struct fx *fx)
{
	struct req r[40];
	unsigned done = 0;

	memset(r, 0, sizeof r);
	call_loop = pthread_self();
	atomic_store(&call_most, 0);
	for (unsigned i = 0; i < 40; i++) {
		r[i].io.run = call_run;
		r[i].all = &done;
		req_submit(fx, &r[i], NULL, LOOP_IO_CALL, NULL, 0, i);
	}
	turn_until(fx, &done, 40);
	assert_in_range(atomic_load(&call_most), 2, 16); /* together, but not without limit */
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(r[i].res, 100 + i);
}

/* A door at which calls stand until it is opened. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t opens;
	unsigned inside, most;
	bool open;
} door = { .lock = PTHREAD_MUTEX_INITIALIZER, .opens = PTHREAD_COND_INITIALIZER };

static int door_run(struct loop_io *io)
{
	(void)io;
	pthread_mutex_lock(&door.lock);
	door.inside++;
	door.most = door.inside > door.most ? door.inside : door.most;
	while (!door.open)
		pthread_cond_wait(&door.opens, &door.lock);
	door.inside--;
	pthread_mutex_unlock(&door.lock);
	return 0;
}

static void door_set(bool open)
{
	pthread_mutex_lock(&door.lock);
	door.open = open;
	door.most = open ? door.most : 0;
	pthread_cond_broadcast(&door.opens);
	pthread_mutex_unlock(&door.lock);
}

static unsigned door_most(void)
{
	unsigned most;

	pthread_mutex_lock(&door.lock);
	most = door.most;
	pthread_mutex_unlock(&door.lock);
	return most;
}

#define HUNG 40u /* requests to a file that hangs */

static void hang(struct fx *fx, struct req *r, struct loop_file *f, unsigned *done)
{
	for (unsigned i = 0; i < HUNG; i++) {
		r[i] = (struct req){ .io.run = door_run, .all = done };
		req_submit(fx, &r[i], f, LOOP_IO_CALL, NULL, 0, 0);
	}
}

static int nothing_run(struct loop_io *io)
{
	(void)io;
	return 7;
}

/* Requests of every kind to a file, and a call of none. */
static void others_go_on(struct fx *fx, struct loop_file *f, uint8_t *p)
{
	struct req r = { .io.run = nothing_run };

	assert_int_equal(io_do(fx, f, LOOP_IO_FALLOCATE, NULL, 8192, 0, 0), 0);
	assert_int_equal(io_do(fx, f, LOOP_IO_WRITE, p, 4096, 0, 0), 4096);
	assert_int_equal(io_do(fx, f, LOOP_IO_READ, p, 4096, 0, 0), 4096);
	assert_int_equal(io_do(fx, f, LOOP_IO_DATASYNC, NULL, 0, 0, 0), 0);
	req_submit(fx, &r, f, LOOP_IO_CALL, NULL, 0, 0);
	assert_int_equal(req_wait(fx, &r), 7);
	r = (struct req){ .io.run = nothing_run };
	req_submit(fx, &r, NULL, LOOP_IO_CALL, NULL, 0, 0);
	assert_int_equal(req_wait(fx, &r), 7);
}

/* What hangs at a few files, or without one, keeps neither other files nor calls of none. */
static void test_a_file_that_hangs_holds_up_no_other(struct fx *fx)
{
	static struct req r[4 * HUNG];
	own_free uint8_t *p = pages(4096, 1);
	struct loop_file f[4];
	unsigned done = 0;
	int fd[4];

	for (unsigned i = 0; i < 4; i++) {
		fd[i] = file_new(NULL, 0);
		assert_int_equal(loop_file_open(fx->loop, &f[i], fd[i]), 0);
	}
	door_set(false);
	hang(fx, r, &f[0], &done);
	others_go_on(fx, &f[3], p);
	hang(fx, r + HUNG, &f[1], &done);
	hang(fx, r + 2 * HUNG, &f[2], &done);
	others_go_on(fx, &f[3], p);
	assert_true(door_most() <= 3 * 8);
	assert_int_equal(done, 0);
	door_set(true);
	turn_until(fx, &done, 3 * HUNG);
	others_go_on(fx, &f[0], p);
	for (unsigned i = 0; i < 4; i++) {
		loop_file_close(fx->loop, &f[i]);
		close(fd[i]);
	}
}

static void test_calls_that_hang_hold_up_no_file(struct fx *fx)
{
	static struct req r[HUNG];
	own_free uint8_t *p = pages(4096, 1);
	own_fd int fd = file_new(NULL, 0);
	unsigned done = 0;
	struct loop_file f;

	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	door_set(false);
	hang(fx, r, NULL, &done);
	assert_int_equal(io_do(fx, &f, LOOP_IO_FALLOCATE, NULL, 8192, 0, 0), 0);
	assert_int_equal(io_do(fx, &f, LOOP_IO_WRITE, p, 4096, 0, 0), 4096);
	assert_int_equal(io_do(fx, &f, LOOP_IO_DATASYNC, NULL, 0, 0, 0), 0);
	assert_int_equal(done, 0);
	door_set(true);
	turn_until(fx, &done, HUNG);
	loop_file_close(fx->loop, &f);
}

/* ---- the simulated engine ---- */

static void test_sim_holds_reorders_and_fails(struct fx *fx)
{
	own_free uint8_t *p = pages(16384, 1), *same = pages(16384, 1);
	own_fd int fd = file_new(NULL, 0);
	struct req r[3];
	struct loop_file f;

	memset(r, 0, sizeof r);
	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	sim_io_hold(fx->loop, true);
	for (unsigned i = 0; i < 3; i++)
		req_submit(fx, &r[i], &f, LOOP_IO_WRITE, p + i * 4096, 4096, i * 4096);
	sim_run(fx->loop);
	assert_int_equal(sim_io_held(fx->loop), 3);
	assert_ptr_equal(sim_io_nth(fx->loop, 2), &r[2].io);
	assert_null(sim_io_nth(fx->loop, 3));
	sim_io_complete(fx->loop, &r[2].io, SIM_IO_DO);
	sim_io_complete(fx->loop, &r[0].io, -EIO);
	assert_int_equal(r[2].done + r[0].done, 0);
	sim_run(fx->loop);
	assert_int_equal(r[2].res, 4096);
	assert_int_equal(r[0].res, -EIO);
	assert_int_equal(r[1].done, 0);
	sim_io_complete(fx->loop, &r[1].io, SIM_IO_DO);
	sim_io_hold(fx->loop, false);
	sim_run(fx->loop);
	assert_int_equal(pread(fd, p, 12288, 0), 12288);
	assert_int_equal(p[0] + p[1] + p[4095], 0); /* the one that failed was not done */
	assert_memory_equal(p + 4096, same + 4096, 8192);

	sim_io_fail(fx->loop, 1, ENOSPC);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, p, 4096, 0, 0), 4096);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, p, 4096, 0, 0), -ENOSPC);
	assert_int_equal(io_do(fx, &f, LOOP_IO_READ, p, 4096, 0, 0), 4096);
	loop_file_close(fx->loop, &f);
}

static void test_sim_delays(struct fx *fx)
{
	own_free uint8_t *p = pages(4096, 1);
	own_fd int fd = file_new(NULL, 0);
	struct req r = { .done = 0 };
	struct loop_file f;

	assert_int_equal(loop_file_open(fx->loop, &f, fd), 0);
	sim_io_delay(fx->loop, 500);
	req_submit(fx, &r, &f, LOOP_IO_WRITE, p, 4096, 0);
	sim_advance(fx->loop, 480);
	assert_int_equal(r.done, 0);
	sim_advance(fx->loop, 40);
	assert_int_equal(r.done, 1);
	assert_int_equal(r.res, 4096);
	loop_file_close(fx->loop, &f);
}

int main(void)
{
#define CASE(engines, name)                                                                        \
	{                                                                                          \
#name, test_##name, engines,                                                       \
		{                                                                                  \
			.index = 0                                                                 \
		}                                                                                  \
	}
	static const struct loop_case cases[] = {
		CASE(ENGINES_ALL, buffered),
		CASE(ENGINES_ALL, direct),
		CASE(ENGINES_ALL, in_memory),
		CASE(ENGINES_ALL, devices_are_not_memory),
		CASE(ENGINES_ALL, many_buffered),
		CASE(ENGINES_ALL, many_direct),
		CASE(ENGINES_ALL, errors_buffered),
		CASE(ENGINES_ALL, errors_direct),
		CASE(ENGINES_REAL, calls_run_elsewhere_and_together),
		CASE(ENGINES_REAL, a_file_that_hangs_holds_up_no_other),
		CASE(ENGINES_REAL, calls_that_hang_hold_up_no_file),
		CASE(4u, sim_holds_reorders_and_fails),
		CASE(4u, sim_delays),
	};

	return cases_run("loop_file", cases, own_array_len(cases));
}
