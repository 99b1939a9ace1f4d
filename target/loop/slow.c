// SPDX-License-Identifier: Apache-2.0
/*
 * slow.c: two queues under one lock, of requests to files and of other calls, each with threads of
 * its own number. A request finds a sleeping thread or makes one, or waits in its queue for the
 * next that is free.
 *
 * A file that hangs keeps what it has, so it gets no more than SLOW_FILE_MAX threads: what is more
 * than that waits in a line of the file's own, and goes to the end of the queue one by one.
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

#define SLOW_CALLS_MAX 16u   /* threads at calls without a file */
#define SLOW_FILES_MAX 48u   /* threads at files */
#define SLOW_FILE_MAX  8u    /* of these at one file */
#define SLOW_LINES     1024u /* files with descriptors so far apart share one's threads */
#define SLOW_IDLE_S    10

/* Requests that are served when there is a thread. */
struct slow_queue {
	struct list list; /* loop_io */
	unsigned queued;  /* in the list */
	unsigned running; /* on threads */
	unsigned most;    /* of these */
};

/* The requests to one file. */
struct slow_line {
	struct list waiting; /* loop_io, while `inside` is SLOW_FILE_MAX */
	unsigned inside;     /* queued or running; 0: `waiting` is not in use */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* something is queued, or the end */
	pthread_cond_t ended; /* a thread ended */
	struct slow_queue calls, files;
	struct slow_line lines[SLOW_LINES]; /* by descriptor, which all loops have in common */
	unsigned threads;                   /* alive */
	unsigned idle;                      /* waiting for work */
	unsigned users;                     /* loops */
} slow = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
	.calls = { .list = { &slow.calls.list, &slow.calls.list }, .most = SLOW_CALLS_MAX },
	.files = { .list = { &slow.files.list, &slow.files.list }, .most = SLOW_FILES_MAX },
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

/* NULL: it is a call without a file. */
static struct slow_line *slow_line_of(const struct loop_io *io)
{
	return io->file ? &slow.lines[(unsigned)io->file->fd % SLOW_LINES] : NULL;
}

static void slow_push(struct slow_queue *q, struct loop_io *io)
{
	list_push(&q->list, &io->node);
	q->queued++;
}

/* How many of its requests a thread may take at once. */
static unsigned slow_ready_in(const struct slow_queue *q)
{
	unsigned room = q->most - q->running;

	return q->queued < room ? q->queued : room;
}

static unsigned slow_ready(void)
{
	return slow_ready_in(&slow.calls) + slow_ready_in(&slow.files);
}

static struct loop_io *slow_pop(void)
{
	struct slow_queue *q = slow_ready_in(&slow.calls) ? &slow.calls : &slow.files;

	if (!slow_ready_in(q))
		return NULL;
	q->queued--;
	q->running++;
	return container_of(list_pop(&q->list), struct loop_io, node);
}

/* Into the queue, or into the line of its file when that has its share. Under the lock. */
static void slow_enter(struct slow_line *line, struct loop_io *io)
{
	if (line && !line->inside)
		list_init(&line->waiting);
	if (line && line->inside == SLOW_FILE_MAX) {
		list_push(&line->waiting, &io->node);
		return;
	}
	if (line)
		line->inside++;
	slow_push(line ? &slow.files : &slow.calls, io);
}

/* One of the line (NULL: a call) is over; the next goes behind those of other files. */
static void slow_leave(struct slow_line *line)
{
	struct list *next = line ? list_pop(&line->waiting) : NULL;

	if (!line)
		slow.calls.running--;
	else
		slow.files.running--;
	if (next)
		slow_push(&slow.files, container_of(next, struct loop_io, node));
	else if (line)
		line->inside--;
}

/* Waits for work under the lock; NULL when the thread should end. */
static struct loop_io *slow_next(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SLOW_IDLE_S;
	while (!slow_ready() && slow.users) {
		int res;

		slow.idle++;
		res = pthread_cond_timedwait(&slow.work, &slow.lock, &until);
		slow.idle--;
		if (res == ETIMEDOUT)
			break;
	}
	return slow_pop();
}

static void *slow_main(void *arg)
{
	struct loop_io *io;

	pthread_setname_np(pthread_self(), "kura-slow");
	pthread_mutex_lock(&slow.lock);
	while ((io = slow_next())) {
		struct slow_line *line = slow_line_of(io);

		pthread_mutex_unlock(&slow.lock);
		io->res = slow_io_run(io);
		loop_post(io->loop, &io->post);
		pthread_mutex_lock(&slow.lock);
		slow_leave(line);
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
	struct slow_line *line = slow_line_of(io);
	unsigned ready;
	int res = 0;

	io->post.run = slow_posted;
	pthread_mutex_lock(&slow.lock);
	slow_enter(line, io);
	ready = slow_ready();
	if (slow.idle < ready && slow.threads < SLOW_CALLS_MAX + SLOW_FILES_MAX)
		res = slow_spawn();
	if (slow.threads) {
		res = 0;
		if (ready)
			pthread_cond_signal(&slow.work);
	} else {
		own_assert(slow_pop() == io);
		slow_leave(line);
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
		own_assert(!slow.calls.queued && !slow.files.queued);
		pthread_cond_broadcast(&slow.work);
		while (slow.threads)
			pthread_cond_wait(&slow.ended, &slow.lock);
	}
	pthread_mutex_unlock(&slow.lock);
}
