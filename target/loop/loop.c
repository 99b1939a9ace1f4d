// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c: what all engines share: the turn, posts, hooks, finished requests, and the doors to the
 * engine. A turn makes one system call when all goes well: the engine's wait, which submits what
 * the turn queued.
 */
#include "target/loop/loop.h"

#include "common/log.h"
#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"
#include "kura_config.h"
#include "target/loop/loop_engine.h"
#include "target/loop/slow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Most times that one turn goes through what its own callbacks finished and armed. */
#define ROUNDS_MAX 8

static __thread struct loop *loop_mine;

/* ---- making and freeing ---- */

#ifndef HAVE_LIBURING
int loop_uring_probe(const char **why)
{
	*why = "built without liburing";
	return -ENOSYS;
}
#endif

/* The engine for `id`, or NULL with *err; for AUTO the first that works, and one line about it. */
static const struct loop_engine_ops *loop_choose(const struct loop_opts *opts, int *err)
{
	const char *env = getenv("KURA_ENGINE"), *why = NULL;
	enum loop_engine_id id = opts->engine;
	bool free_choice = false;

	if (id == LOOP_ENGINE_AUTO) {
		free_choice = !env || (strcmp(env, "uring") && strcmp(env, "aio"));
		id = !free_choice && !strcmp(env, "aio") ? LOOP_ENGINE_AIO : LOOP_ENGINE_URING;
	}
	if (id == LOOP_ENGINE_SIM)
		return &loop_sim_ops;
	if (id == LOOP_ENGINE_AIO)
		return &loop_aio_ops;
	*err = loop_uring_probe(&why);
#ifdef HAVE_LIBURING
	if (!*err)
		return &loop_uring_ops;
#endif
	if (!free_choice)
		return NULL;
	if (opts->index == 0)
		log_info("loop: engine aio is used, io_uring does not work here",
			"why=\"%s\" error=%s", why, strerrordesc_np(-*err));
	*err = 0;
	return &loop_aio_ops;
}

static int loop_init(struct loop *loop, const struct loop_opts *opts)
{
	int res;

	loop->index = opts->index;
	loop->cpu = opts->cpu;
	list_init(&loop->finished);
	list_init(&loop->hooks);
	res = loop_rx_init(loop, opts->rx_bufs, opts->rx_buf_size);
	if (!res)
		res = loop_data_init(loop, opts->data_max);
	if (!res)
		res = loop->ops->init(loop);
	if (res)
		return res;
	loop->now_ns = loop->ops->clock_ns(loop);
	loop_timers_init(&loop->timers, loop->now_ns);
	return 0;
}

struct loop *loop_new(const struct loop_opts *opts, int *err)
{
	int res = 0;
	const struct loop_engine_ops *ops = loop_choose(opts, &res);
	struct loop *loop = ops ? aligned_alloc(64, sizeof *loop) : NULL;

	if (loop) {
		memset(loop, 0, sizeof *loop);
		loop->ops = ops;
		res = loop_init(loop, opts);
		if (!res) {
			slow_get();
			return loop;
		}
		loop_rx_fini(loop);
		loop_data_fini(loop);
		free(loop);
	}
	*err = res ? res : -ENOMEM;
	return NULL;
}

void loop_free(struct loop *loop)
{
	own_assert(list_empty(&loop->finished));
	while (atomic_load(&loop->visitors))
		sched_yield();
	loop->ops->fini(loop);
	loop_rx_fini(loop);
	loop_data_fini(loop);
	if (loop_mine == loop)
		loop_mine = NULL;
	free(loop);
	slow_put();
}

/* ---- posts ---- */

/*
 * The order that makes this safe: a poster pushes and then looks at `sleeping`; the loop sets
 * `sleeping` and then looks for posts. One of the two sees the other.
 */
static void loop_wake(struct loop *loop)
{
	if (atomic_load(&loop->sleeping) && atomic_exchange(&loop->sleeping, false))
		loop->ops->wake(loop);
}

static void loop_push(struct loop *loop, struct loop_post *post)
{
	struct loop_post *head = atomic_load_explicit(&loop->posts, memory_order_relaxed);

	do
		post->next = head;
	while (!atomic_compare_exchange_weak(&loop->posts, &head, post));
}

void loop_post(struct loop *loop, struct loop_post *post)
{
	if (loop == loop_mine) {
		loop_push(loop, post);
		return;
	}
	/* once it is pushed the post may run and the loop be freed, while we still look at it */
	atomic_fetch_add(&loop->visitors, 1);
	loop_push(loop, post);
	loop_wake(loop);
	atomic_fetch_sub(&loop->visitors, 1);
}

static bool loop_has_posts(struct loop *loop)
{
	return atomic_load(&loop->posts) != NULL;
}

static void loop_run_posts(struct loop *loop)
{
	struct loop_post *newest, *oldest = NULL;

	if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
		return;
	newest = atomic_exchange(&loop->posts, NULL);
	while (newest) {
		struct loop_post *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct loop_post *post = oldest;

		oldest = post->next;
		post->run(post);
	}
}

/* ---- hooks and finished requests ---- */

void loop_hook_init(struct loop_hook *hook, void (*run)(struct loop_hook *hook))
{
	list_init(&hook->node);
	hook->run = run;
}

void loop_turn_end(struct loop *loop, struct loop_hook *hook)
{
	if (list_empty(&hook->node))
		list_push(&loop->hooks, &hook->node);
}

void loop_hook_cancel(struct loop_hook *hook)
{
	list_del(&hook->node);
}

static void loop_run_hooks(struct loop *loop)
{
	struct list now, *it;

	list_init(&now);
	list_splice(&now, &loop->hooks);
	while ((it = list_pop(&now))) {
		struct loop_hook *hook = container_of(it, struct loop_hook, node);

		hook->run(hook);
	}
}

void loop_io_finish(struct loop *loop, struct loop_io *io, int res)
{
	io->res = res;
	list_push(&loop->finished, &io->node);
}

static void loop_run_finished(struct loop *loop)
{
	struct list now, *it;

	list_init(&now);
	list_splice(&now, &loop->finished);
	while ((it = list_pop(&now))) {
		struct loop_io *io = container_of(it, struct loop_io, node);

		io->done(io, io->res);
	}
}

/* ---- the turn ---- */

int64_t loop_wait_ns(struct loop *loop)
{
	uint64_t due;

	if (!list_empty(&loop->finished) || !list_empty(&loop->hooks) || loop_has_posts(loop))
		return 0;
	if (loop->timers.next == UINT64_MAX)
		return -1;
	due = loop->timers.next << LOOP_TICK_SHIFT;
	return due > loop->now_ns ? (int64_t)(due - loop->now_ns) : 0;
}

/* Sleeps in the engine unless something came in between. */
static void loop_sleep(struct loop *loop)
{
	int64_t wait = loop_wait_ns(loop);

	if (wait) {
		atomic_store(&loop->sleeping, true);
		if (loop_has_posts(loop) || atomic_load(&loop->stopping))
			wait = 0;
	}
	loop->ops->wait(loop, wait);
	atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
	loop->now_ns = loop->ops->clock_ns(loop);
}

void loop_turn(struct loop *loop)
{
	loop_mine = loop;
	if (!loop->started) {
		loop->started = true;
		loop->ops->start(loop);
	}
	loop_sleep(loop);
	stat_add(STAT_loop_turns, 1);
	loop->ops->dispatch(loop);
	loop_run_posts(loop);
	loop_run_finished(loop);
	loop_timers_run(loop);
	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		if (list_empty(&loop->finished) && list_empty(&loop->hooks) &&
			!loop_has_posts(loop))
			break;
		loop_run_posts(loop);
		loop_run_finished(loop);
		if (list_empty(&loop->finished))
			loop_run_hooks(loop);
	}
}

static void loop_settle(const struct loop *loop)
{
	char name[16];

	if (gettid() != getpid()) {
		snprintf(name, sizeof name, "kura-loop%u", loop->index % 10000);
		pthread_setname_np(pthread_self(), name);
	}
	if (loop->cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)loop->cpu % CPU_SETSIZE, &set);
		if (pthread_setaffinity_np(pthread_self(), sizeof set, &set))
			log_warn("loop: cannot pin the thread", "loop=%u cpu=%d", loop->index,
				loop->cpu);
	}
}

void loop_run(struct loop *loop)
{
	loop_settle(loop);
	stat_loop(loop_index(loop));
	trace_join(loop_index(loop));
	while (!atomic_load(&loop->stopping))
		loop_turn(loop);
	atomic_store(&loop->stopping, false);
	loop_mine = NULL;
}

void loop_stop(struct loop *loop)
{
	atomic_fetch_add(&loop->visitors, 1);
	atomic_store(&loop->stopping, true);
	loop_wake(loop);
	atomic_fetch_sub(&loop->visitors, 1);
}

const char *loop_engine_name(const struct loop *loop)
{
	return loop->ops->name;
}

uint64_t loop_clock_ns(struct loop *loop)
{
	struct timespec ts;

	(void)loop;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

unsigned loop_index(const struct loop *loop)
{
	return loop->index;
}

uint64_t loop_now_ns(const struct loop *loop)
{
	return loop->now_ns;
}

struct loop *loop_self(void)
{
	return loop_mine;
}

/* ---- listeners and streams ---- */

void loop_listener_start(struct loop *loop, struct loop_listener *l)
{
	l->engine = NULL;
	loop->ops->listener_start(loop, l);
}

void loop_listener_stop(struct loop *loop, struct loop_listener *l)
{
	loop->ops->listener_stop(loop, l);
}

int loop_stream_open(
	struct loop *loop, struct loop_stream *s, int fd, const struct loop_stream_ops *ops)
{
	int one = 1;

	*s = (struct loop_stream){ .ops = ops, .loop = loop, .fd = fd };
	/* fails on what is not TCP, which needs none */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return loop->ops->stream_open(loop, s);
}

void loop_stream_send(struct loop_stream *s, const struct iovec *iov, unsigned n)
{
	own_assert(!s->sending && !s->closing && n > 0 && n <= LOOP_IOV_MAX);
	s->sending = true;
	s->loop->ops->stream_send(s, iov, n);
}

void loop_stream_pause(struct loop_stream *s)
{
	if (s->paused || s->closing)
		return;
	s->paused = true;
	s->loop->ops->stream_pause(s);
}

void loop_stream_resume(struct loop_stream *s)
{
	if (!s->paused || s->closing)
		return;
	s->paused = false;
	s->loop->ops->stream_resume(s);
}

void loop_stream_close(struct loop_stream *s)
{
	own_assert(!s->closing);
	s->closing = true;
	s->loop->ops->stream_close(s);
}

void loop_stream_release(struct loop_stream *s)
{
	own_assert(!s->closing && !s->sending);
	s->closing = s->released = true;
	s->loop->ops->stream_close(s);
}

void loop_stream_end(struct loop_stream *s)
{
	if (!s->released) {
		close(s->fd);
		s->fd = -1;
	}
	s->engine = NULL;
	s->ops->closed(s);
}

struct msghdr *loop_sending_msg(struct loop_sending *w)
{
	bool part = w->part.iov_len > 0;

	w->msg = (struct msghdr){
		.msg_iov = part ? &w->part : (struct iovec *)(uintptr_t)w->iov,
		.msg_iovlen = part ? 1 : w->n,
	};
	return &w->msg;
}

bool loop_sending_done(struct loop_sending *w, size_t done)
{
	own_assert(done <= w->left);
	w->left -= done;
	if (!w->left)
		return true;
	if (w->part.iov_len) {
		w->part.iov_base = (char *)w->part.iov_base + done;
		w->part.iov_len -= done;
		return false;
	}
	while (done >= w->iov->iov_len) {
		done -= w->iov->iov_len;
		w->iov++;
		w->n--;
	}
	if (done) {
		w->part.iov_base = (char *)w->iov->iov_base + done;
		w->part.iov_len = w->iov->iov_len - done;
		w->iov++;
		w->n--;
	}
	return false;
}

/* ---- files ---- */

int loop_file_open(struct loop *loop, struct loop_file *f, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct statfs fs;
	struct stat st;

	if (flags < 0 || fstatfs(fd, &fs) || fstat(fd, &st))
		return -errno;
	f->fd = fd;
	f->slot = -1;
	f->direct = flags & O_DIRECT;
	/* a device's name is in a tmpfs too, its blocks are not */
	f->memory = S_ISREG(st.st_mode) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	if (f->direct && !f->memory)
		loop_data_register(loop);
	return loop->ops->file_open(loop, f);
}

void loop_file_close(struct loop *loop, struct loop_file *f)
{
	loop->ops->file_close(loop, f);
	f->fd = -1;
}

bool loop_io_advance(struct loop_io *io, int res)
{
	size_t done = (size_t)res;

	io->moved += done;
	if (io->moved >= io->len)
		return false;
	while (done >= io->iov->iov_len) {
		done -= io->iov->iov_len;
		io->iov++;
		io->iovcnt--;
	}
	io->iov->iov_base = (char *)io->iov->iov_base + done;
	io->iov->iov_len -= done;
	return true;
}

bool loop_io_again(struct loop_io *io, int *res)
{
	if (*res == -EINTR || *res == -EAGAIN)
		return true;
	if (*res < 0 || (io->op != LOOP_IO_READ && io->op != LOOP_IO_WRITE))
		return false;
	if (*res > 0 && loop_io_advance(io, *res))
		return true;
	/* nothing more: end of file for a read; no room that anybody could name for a write */
	*res = io->op == LOOP_IO_WRITE && io->moved < io->len ? -EIO : (int)io->moved;
	return false;
}

void loop_io_submit(struct loop *loop, struct loop_io *io)
{
	io->loop = loop;
	io->moved = 0;
	own_assert(io->op == LOOP_IO_CALL || io->file);
	if (io->op <= LOOP_IO_DATASYNC && io->file->memory)
		loop_io_finish(loop, io, slow_io_run(io));
	else
		loop->ops->io_submit(loop, io);
}

void loop_io_call(struct loop *loop, struct loop_io *io, struct loop_file *file,
	int (*run)(struct loop_io *io), void (*done)(struct loop_io *io, int res))
{
	io->op = LOOP_IO_CALL;
	io->file = file;
	io->iov = NULL;
	io->iovcnt = 0;
	io->buf = NULL;
	io->run = run;
	io->done = done;
	loop_io_submit(loop, io);
}
