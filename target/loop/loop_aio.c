// SPDX-License-Identifier: Apache-2.0
/*
 * loop_aio.c: the engine for kernels where io_uring is switched off: epoll for sockets, libaio for
 * files opened with O_DIRECT, and the slow lane for what would block. The only file that knows
 * libaio.
 *
 * A turn is one epoll_wait, one recv per readable socket, one sendmsg per connection that has
 * something to say, and one io_submit for all direct requests of the turn. Readiness is level
 * triggered, so what one recv leaves is reported again. Buffered reads are first tried without
 * waiting, which succeeds for what is in the page cache.
 */
#include "common/log.h"
#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"
#include "kura_config.h"
#include "target/loop/loop_engine.h"
#include "target/loop/slow.h"

#include <errno.h>
#include <fcntl.h>
#ifdef HAVE_LIBAIO
#include <libaio.h>
#endif
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define AIO_EVENTS    64u  /* looked at in one turn */
#define AIO_DEPTH     256u /* direct requests with the kernel */
#define AIO_RECVS     4u   /* full buffers taken from a socket in one turn */
#define AIO_ACCEPTS   16u  /* connections taken from a listener in one turn */
#define AIO_ACCEPT_MS 1000 /* pause when descriptors ran out */

/* Something that epoll watches. */
struct aio_source {
	void (*ready)(struct aio_source *src, uint32_t events);
	int fd;
	uint32_t watched; /* events epoll was asked for; 0: not in the set */
};

struct aio {
	struct loop *loop;
	int epoll_fd;
	struct aio_source wake; /* eventfd of posters */
	struct list starved;    /* aio_stream: no buffer to receive into */
	struct list direct;     /* loop_io for libaio, not submitted */
	struct epoll_event ready[AIO_EVENTS];
	int ready_count;
#ifdef HAVE_LIBAIO
	io_context_t ctx;         /* NULL: the slow lane serves direct files too */
	struct aio_source events; /* eventfd of libaio */
	struct iocb iocbs[AIO_DEPTH];
	struct iocb *idle[AIO_DEPTH]; /* free ones, a stack */
	unsigned idle_count;
#endif
};

struct aio_stream {
	struct aio_source src;
	struct aio *a;
	struct loop_stream *s;
	struct list starved;   /* in a->starved */
	struct loop_post post; /* sent(), closed() */
	struct loop_sending w;
	int sent_res; /* to be told, when sent_due */
	bool sent_due;
	bool blocked; /* the send waits for room */
	bool posted;  /* post is under way */
	bool ended;   /* end of file or an error was told */
};

struct aio_listener {
	struct aio_source src;
	struct aio *a;
	struct loop_listener *l;
	struct loop_timer timer; /* pause */
	struct loop_post post;   /* closed() */
	bool stopping;
};

static void aio_watch(struct aio *a, struct aio_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };
	int op = !src->watched ? EPOLL_CTL_ADD : !events ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

	if (events == src->watched)
		return;
	if (epoll_ctl(a->epoll_fd, op, src->fd, &ev) == 0)
		src->watched = events;
	else
		log_error("loop: epoll refuses a descriptor", "error=%s", strerrordesc_np(errno));
}

/* ---- streams ---- */

/* What the stream wants to hear of now. Errors are always reported, so a stream that wants nothing
 * is not in the set at all. */
static void aio_stream_watch(struct aio_stream *st)
{
	const struct loop_stream *s = st->s;
	bool in = !st->ended && !s->paused && list_empty(&st->starved);

	aio_watch(st->a, &st->src,
		s->closing
			? 0u
			: (in ? (uint32_t)EPOLLIN : 0u) | (st->blocked ? (uint32_t)EPOLLOUT : 0u));
}

static void aio_stream_posted(struct loop_post *post)
{
	struct aio_stream *st = container_of(post, struct aio_stream, post);
	struct loop_stream *s = st->s;

	st->posted = false;
	if (st->sent_due) {
		st->sent_due = false;
		s->sending = false;
		s->ops->sent(s, st->sent_res);
	}
	if (!s->closing || st->posted)
		return;
	free(st);
	loop_stream_end(s);
}

static void aio_stream_post(struct aio_stream *st)
{
	if (st->posted)
		return;
	st->posted = true;
	loop_post(st->a->loop, &st->post);
}

/* Sends what the socket takes now; the rest when epoll says so. */
static void aio_send(struct aio_stream *st)
{
	int res = -EAGAIN;

	while (res == -EAGAIN) {
		ssize_t n =
			sendmsg(st->s->fd, loop_sending_msg(&st->w), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			res = -errno;
		else if (loop_sending_done(&st->w, (size_t)n))
			res = 0;
	}
	st->blocked = res == -EAGAIN;
	aio_stream_watch(st);
	if (st->blocked)
		return;
	st->sent_due = true;
	st->sent_res = res;
	aio_stream_post(st);
}

/* One buffer's worth; true when the socket may have more. */
static bool aio_recv(struct aio_stream *st)
{
	struct loop_rxbuf *b = loop_rxbuf_new(st->a->loop);
	size_t size = st->a->loop->rx.size;
	struct loop_stream *s = st->s;
	ssize_t n;

	if (!b) {
		stat_add(STAT_loop_rx_starved, 1);
		trace_add(TRACE_receive_starved, 0, 0);
		list_push(&st->a->starved, &st->starved);
		aio_stream_watch(st);
		return false;
	}
	do
		n = recv(s->fd, b->data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		s->ops->received(s, b, b->data, (int)n);
	} else if (n == 0 || errno != EAGAIN) {
		int res = n < 0 ? -errno : 0;

		st->ended = true;
		s->ops->received(s, NULL, NULL, res);
		aio_stream_watch(st);
	}
	loop_rxbuf_put(b);
	return n == (ssize_t)size;
}

static void aio_stream_ready(struct aio_source *src, uint32_t events)
{
	struct aio_stream *st = container_of(src, struct aio_stream, src);
	struct loop_stream *s = st->s;

	if (st->blocked && !s->closing && events & ~(uint32_t)EPOLLIN)
		aio_send(st);
	if (s->closing)
		return;
	if (s->paused || st->ended || !(events & ~(uint32_t)EPOLLOUT)) {
		aio_stream_watch(st);
		return;
	}
	for (unsigned i = 0; i < AIO_RECVS && aio_recv(st); i++)
		if (s->paused || s->closing)
			return;
}

static int aio_stream_open(struct loop *loop, struct loop_stream *s)
{
	struct aio_stream *st = calloc(1, sizeof *st);

	if (!st)
		return -ENOMEM;
	st->a = loop->engine;
	st->s = s;
	st->src.fd = s->fd;
	st->src.ready = aio_stream_ready;
	st->post.run = aio_stream_posted;
	list_init(&st->starved);
	s->engine = st;
	aio_stream_watch(st);
	if (st->src.watched)
		return 0;
	s->engine = NULL;
	free(st);
	return -ENFILE;
}

static void aio_stream_send(struct loop_stream *s, const struct iovec *iov, unsigned n)
{
	struct aio_stream *st = s->engine;

	loop_sending_init(&st->w, iov, n);
	aio_send(st);
}

/* epoll is told when something comes: most pauses are over before. */
static void aio_stream_pause(struct loop_stream *s)
{
	(void)s;
}

static void aio_stream_resume(struct loop_stream *s)
{
	aio_stream_watch(s->engine);
}

static void aio_stream_close(struct loop_stream *s)
{
	struct aio_stream *st = s->engine;

	list_del(&st->starved);
	aio_stream_watch(st);
	if (!s->released)
		shutdown(s->fd, SHUT_RDWR);
	if (s->sending && !st->sent_due) {
		st->sent_due = true;
		st->sent_res = -ECANCELED;
	}
	aio_stream_post(st);
}

/* Those who found no buffer look again when there are some. */
static void aio_rearm_starved(struct aio *a)
{
	struct list *it;

	while (a->loop->rx.free_count && (it = list_pop(&a->starved)))
		aio_stream_watch(container_of(it, struct aio_stream, starved));
}

/* ---- listeners ---- */

static void aio_listener_timer(struct loop_timer *timer)
{
	struct aio_listener *al = container_of(timer, struct aio_listener, timer);

	aio_watch(al->a, &al->src, EPOLLIN);
}

static void aio_listener_posted(struct loop_post *post)
{
	struct aio_listener *al = container_of(post, struct aio_listener, post);
	struct loop_listener *l = al->l;

	l->engine = NULL;
	free(al);
	l->closed(l);
}

static void aio_listener_ready(struct aio_source *src, uint32_t events)
{
	struct aio_listener *al = container_of(src, struct aio_listener, src);

	(void)events;
	for (unsigned i = 0; i < AIO_ACCEPTS && !al->stopping; i++) {
		int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			al->l->accepted(al->l, fd);
			continue;
		}
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		fd = -errno;
		aio_watch(al->a, src, 0);
		loop_timer_set(al->a->loop, &al->timer, AIO_ACCEPT_MS);
		al->l->accepted(al->l, fd);
		return;
	}
}

static void aio_listener_start(struct loop *loop, struct loop_listener *l)
{
	struct aio_listener *al = own_calloc(1, sizeof *al);
	int flags = fcntl(l->fd, F_GETFL);

	if (flags >= 0)
		fcntl(l->fd, F_SETFL, flags | O_NONBLOCK);
	al->a = loop->engine;
	al->l = l;
	al->src.fd = l->fd;
	al->src.ready = aio_listener_ready;
	al->post.run = aio_listener_posted;
	loop_timer_init(&al->timer, aio_listener_timer);
	l->engine = al;
	aio_watch(al->a, &al->src, EPOLLIN);
}

static void aio_listener_stop(struct loop *loop, struct loop_listener *l)
{
	struct aio_listener *al = l->engine;

	own_assert(!al->stopping);
	al->stopping = true;
	loop_timer_cancel(loop, &al->timer);
	aio_watch(al->a, &al->src, 0);
	loop_post(loop, &al->post);
}

/* ---- direct files ---- */

#ifdef HAVE_LIBAIO
static void aio_submit_again(struct aio *a, struct loop_io *io)
{
	list_push(&a->direct, &io->node);
}

static void aio_events_ready(struct aio_source *src, uint32_t events)
{
	struct aio *a = container_of(src, struct aio, events);
	struct timespec now = { 0 };
	struct io_event done[AIO_EVENTS];
	eventfd_t count;
	int n;

	(void)events;
	eventfd_read(src->fd, &count);
	do {
		n = io_getevents(a->ctx, 0, AIO_EVENTS, done, &now);
		for (int i = 0; i < n; i++) {
			struct loop_io *io = done[i].data;
			int res = (int)(long)done[i].res;

			a->idle[a->idle_count++] = done[i].obj;
			if (loop_io_again(io, &res))
				aio_submit_again(a, io);
			else
				io->done(io, res);
		}
	} while (n == (int)AIO_EVENTS);
}

static struct iocb *aio_prepare(struct aio *a, struct loop_io *io)
{
	struct iocb *cb = a->idle[--a->idle_count];
	long long off = (long long)(io->off + io->moved);

	if (io->op == LOOP_IO_READ)
		io_prep_preadv(cb, io->file->fd, io->iov, (int)io->iovcnt, off);
	else
		io_prep_pwritev(cb, io->file->fd, io->iov, (int)io->iovcnt, off);
	cb->data = io;
	cb->aio_rw_flags = io->flags;
	io_set_eventfd(cb, a->events.fd);
	return cb;
}

/* Gives the kernel what it did not take back to the queue; a request that it refuses ends. */
static void aio_untake(struct aio *a, struct iocb **cbs, int from, int n, int err)
{
	for (int i = n - 1; i >= from; i--) {
		struct loop_io *io = cbs[i]->data;

		a->idle[a->idle_count++] = cbs[i];
		if (i == from && err && err != -EAGAIN && err != -EINTR)
			loop_io_finish(a->loop, io, err);
		else
			list_push_front(&a->direct, &io->node);
	}
}

/* Everything that the turn queued, in one call. */
static void aio_submit_direct(struct aio *a)
{
	struct iocb *cbs[AIO_DEPTH];

	while (!list_empty(&a->direct) && a->idle_count) {
		int n = 0, taken;

		while (a->idle_count && !list_empty(&a->direct))
			cbs[n++] = aio_prepare(
				a, container_of(list_pop(&a->direct), struct loop_io, node));
		taken = io_submit(a->ctx, n, cbs);
		if (taken == n)
			continue;
		aio_untake(a, cbs, taken > 0 ? taken : 0, n, taken > 0 ? 0 : taken);
		if (taken == -EAGAIN)
			break;
	}
}

static void aio_direct_init(struct aio *a)
{
	a->events.ready = aio_events_ready;
	a->events.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->events.fd < 0 || io_setup(AIO_DEPTH, &a->ctx)) {
		a->ctx = NULL; /* fs.aio-max-nr is used up, or no kernel support */
		return;
	}
	while (a->idle_count < AIO_DEPTH) {
		a->idle[a->idle_count] = &a->iocbs[a->idle_count];
		a->idle_count++;
	}
	aio_watch(a, &a->events, EPOLLIN);
}

static void aio_direct_fini(struct aio *a)
{
	if (a->ctx)
		io_destroy(a->ctx);
	own_close_fd(&a->events.fd);
}

static bool aio_direct_works(const struct aio *a)
{
	return a->ctx != NULL;
}
#else
static void aio_submit_direct(struct aio *a)
{
	(void)a;
}

static void aio_direct_init(struct aio *a)
{
	(void)a;
}

static void aio_direct_fini(struct aio *a)
{
	(void)a;
}

static bool aio_direct_works(const struct aio *a)
{
	(void)a;
	return false;
}
#endif

/* ---- files ---- */

static int aio_file_open(struct loop *loop, struct loop_file *f)
{
	(void)loop;
	(void)f;
	return 0;
}

static void aio_file_close(struct loop *loop, struct loop_file *f)
{
	(void)loop;
	(void)f;
}

/* Reads what is in the page cache; true when that was all. */
static bool aio_read_cached(struct loop *loop, struct loop_io *io)
{
	ssize_t n = preadv2(
		io->file->fd, io->iov, (int)io->iovcnt, (off_t)io->off, io->flags | RWF_NOWAIT);

	if (n <= 0 || loop_io_advance(io, (int)n))
		return false; /* the slow lane goes on behind what was moved */
	loop_io_finish(loop, io, (int)io->moved);
	return true;
}

static void aio_io_submit(struct loop *loop, struct loop_io *io)
{
	struct aio *a = loop->engine;
	bool rw = io->op == LOOP_IO_READ || io->op == LOOP_IO_WRITE;

	if (rw && io->file->direct && aio_direct_works(a))
		list_push(&a->direct, &io->node);
	else if (io->op != LOOP_IO_READ || !aio_read_cached(loop, io))
		slow_io_submit(io);
}

/* ---- the engine ---- */

static void aio_woken(struct aio_source *src, uint32_t events)
{
	eventfd_t count;

	(void)events;
	eventfd_read(src->fd, &count);
}

static void aio_wake(struct loop *loop)
{
	const struct aio *a = loop->engine;

	eventfd_write(a->wake.fd, 1);
}

static int aio_init(struct loop *loop)
{
	struct aio *a = own_calloc(1, sizeof *a);

	a->loop = loop;
	list_init(&a->starved);
	list_init(&a->direct);
	a->wake.ready = aio_woken;
	a->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (a->wake.fd < 0 || a->epoll_fd < 0) {
		int res = -errno;

		own_close_fd(&a->wake.fd);
		own_close_fd(&a->epoll_fd);
		free(a);
		return res;
	}
	aio_watch(a, &a->wake, EPOLLIN);
	aio_direct_init(a);
	loop->engine = a;
	return 0;
}

static void aio_fini(struct loop *loop)
{
	struct aio *a = loop->engine;

	own_assert(list_empty(&a->direct));
	aio_direct_fini(a);
	close(a->wake.fd);
	close(a->epoll_fd);
	free(a);
}

static void aio_start(struct loop *loop)
{
	(void)loop;
}

static void aio_wait(struct loop *loop, int64_t wait_ns)
{
	struct aio *a = loop->engine;

	aio_rearm_starved(a);
	aio_submit_direct(a);
	if (wait_ns && !list_empty(&loop->finished))
		wait_ns = 0; /* a direct request was refused */
	a->ready_count = epoll_wait(a->epoll_fd, a->ready, AIO_EVENTS,
		wait_ns < 0 ? -1 : (int)((wait_ns + 999999) / 1000000));
}

static void aio_dispatch(struct loop *loop)
{
	struct aio *a = loop->engine;

	for (int i = 0; i < a->ready_count; i++) {
		struct aio_source *src = a->ready[i].data.ptr;

		src->ready(src, a->ready[i].events);
	}
}

const struct loop_engine_ops loop_aio_ops = {
	.name = "aio",
	.init = aio_init,
	.fini = aio_fini,
	.start = aio_start,
	.wait = aio_wait,
	.dispatch = aio_dispatch,
	.wake = aio_wake,
	.clock_ns = loop_clock_ns,
	.listener_start = aio_listener_start,
	.listener_stop = aio_listener_stop,
	.stream_open = aio_stream_open,
	.stream_send = aio_stream_send,
	.stream_pause = aio_stream_pause,
	.stream_resume = aio_stream_resume,
	.stream_close = aio_stream_close,
	.file_open = aio_file_open,
	.file_close = aio_file_close,
	.io_submit = aio_io_submit,
};
