// SPDX-License-Identifier: Apache-2.0
/*
 * slow.c: one queue under one lock, up to SLOW_THREADS_MAX threads. A request finds a sleeping
 * thread or makes one, or waits in the queue for the next that is free.
 */
#include "target/loop/slow.h"

#include "common/own.h"
#include "target/loop/loop_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define SLOW_THREADS_MAX 16u
#define SLOW_IDLE_S      10

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* something is queued, or the end */
	pthread_cond_t ended; /* a thread ended */
	struct list queue;    /* loop_io */
	unsigned threads;     /* alive */
	unsigned idle;        /* waiting for work */
	unsigned queued;      /* in queue */
	unsigned users;       /* loops */
} slow = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
	.queue = { &slow.queue, &slow.queue },
};

/* ---- the work itself ---- */

/* One call; without a list of pieces where there is one piece, which costs the kernel less. */
static ssize_t slow_rw_once(const struct loop_io *io)
{
	off_t off = (off_t)(io->off + io->moved);
	bool read = io->op == LOOP_IO_READ, plain = io->iovcnt == 1 && !io->flags;
	int fd = io->file->fd, n = (int)io->iovcnt;

	if (plain && read)
		return pread(fd, io->iov->iov_base, io->iov->iov_len, off);
	if (plain)
		return pwrite(fd, io->iov->iov_base, io->iov->iov_len, off);
	return read ? preadv2(fd, io->iov, n, off, io->flags)
		    : pwritev2(fd, io->iov, n, off, io->flags);
}

static int slow_rw(struct loop_io *io)
{
	for (;;) {
		ssize_t n = slow_rw_once(io);
		int res = n < 0 ? -errno : (int)n;

		if (res == -EAGAIN)
			return res; /* not from a file; nothing here could wait for it */
		if (!loop_io_again(io, &res))
			return res;
	}
}

int slow_io_run(struct loop_io *io)
{
	int res;

	switch (io->op) {
	case LOOP_IO_READ:
	case LOOP_IO_WRITE:
		return slow_rw(io);
	case LOOP_IO_DATASYNC:
		res = fdatasync(io->file->fd);
		break;
	case LOOP_IO_FALLOCATE:
		do
			res = fallocate(io->file->fd, io->flags, (off_t)io->off, (off_t)io->len);
		while (res && errno == EINTR);
		break;
	default:
		return io->run(io);
	}
	return res ? -errno : 0;
}

/* ---- the lane ---- */

static void slow_posted(struct loop_post *post)
{
	struct loop_io *io = container_of(post, struct loop_io, post);

	io->done(io, io->res);
}

/* Waits for work under the lock; NULL when the thread should end. */
static struct loop_io *slow_next(void)
{
	struct timespec until;
	struct list *it;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SLOW_IDLE_S;
	while (!slow.queued && slow.users) {
		int res;

		slow.idle++;
		res = pthread_cond_timedwait(&slow.work, &slow.lock, &until);
		slow.idle--;
		if (res == ETIMEDOUT)
			break;
	}
	it = list_pop(&slow.queue);
	if (!it)
		return NULL;
	slow.queued--;
	return container_of(it, struct loop_io, node);
}

static void *slow_main(void *arg)
{
	struct loop_io *io;

	pthread_setname_np(pthread_self(), "kura-slow");
	pthread_mutex_lock(&slow.lock);
	while ((io = slow_next())) {
		pthread_mutex_unlock(&slow.lock);
		io->res = slow_io_run(io);
		loop_post(io->loop, &io->post);
		pthread_mutex_lock(&slow.lock);
	}
	slow.threads--;
	pthread_cond_signal(&slow.ended);
	pthread_mutex_unlock(&slow.lock);
	return arg;
}

/* One thread more, under the lock. Signals stay with the threads that expect them. */
static int slow_spawn(void)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int res;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	res = pthread_create(&thread, &attr, slow_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (!res)
		slow.threads++;
	return -res;
}

void slow_io_submit(struct loop_io *io)
{
	int res = 0;

	io->post.run = slow_posted;
	pthread_mutex_lock(&slow.lock);
	if (slow.idle <= slow.queued && slow.threads < SLOW_THREADS_MAX)
		res = slow_spawn();
	if (slow.threads) {
		list_push(&slow.queue, &io->node);
		slow.queued++;
		pthread_cond_signal(&slow.work);
		res = 0;
	}
	pthread_mutex_unlock(&slow.lock);
	if (res) {
		io->res = res; /* not one thread could be made */
		loop_post(io->loop, &io->post);
	}
}

void slow_get(void)
{
	pthread_mutex_lock(&slow.lock);
	slow.users++;
	pthread_mutex_unlock(&slow.lock);
}

void slow_put(void)
{
	pthread_mutex_lock(&slow.lock);
	own_assert(slow.users > 0);
	if (--slow.users == 0) {
		own_assert(!slow.queued);
		pthread_cond_broadcast(&slow.work);
		while (slow.threads)
			pthread_cond_wait(&slow.ended, &slow.lock);
	}
	pthread_mutex_unlock(&slow.lock);
}
