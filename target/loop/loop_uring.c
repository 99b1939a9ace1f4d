// SPDX-License-Identifier: Apache-2.0
/*
 * loop_uring.c: the engine on io_uring, the only file that knows liburing.
 *
 * One ring per loop, used by its thread only (SINGLE_ISSUER), completions made when the thread asks
 * for them (DEFER_TASKRUN), one io_uring_enter per turn. A connection is one multishot receive that
 * stays armed and takes its buffers from a ring of provided buffers; a send is one sendmsg that the
 * kernel carries on until every byte is taken.
 *
 * A completion finds its owner by its user_data: a pointer whose low bits say what it was. What an
 * owner has armed is counted by flags, and it is freed only when none is left.
 */
#include "common/log.h"
#include "common/own.h"
#include "common/stat.h"
#include "common/trace.h"
#include "kura_config.h"
#include "target/loop/loop_engine.h"
#include "target/loop/slow.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/syscall.h>

#define URING_SQES      256u
#define URING_CQES      4096u
#define URING_BATCH     64u   /* completions looked at at once */
#define URING_FILES     4096u /* registered file slots */
#define URING_LENT_MIN  8u    /* receive buffers lent to the kernel: few stay in the caches */
#define URING_LENT_MAX  64u
#define URING_RX_GROUP  0
#define URING_ACCEPT_MS 1000 /* pause when descriptors ran out */

/* Low bits of user_data. */
enum uring_tag { TAG_NONE, TAG_RECV, TAG_SEND, TAG_IO, TAG_ACCEPT, TAG_WAKE, TAG_MASK = 7 };

struct uring {
	struct io_uring ring;
	struct loop *loop;
	struct io_uring_buf_ring *bufs; /* provided receive buffers */
	unsigned lend;                  /* how many to keep lent */
	struct list starved;            /* uring_stream: receive ended for want of buffers */
	unsigned starved_count;
	int wake_fd;         /* eventfd of posters */
	uint64_t wake_value; /* read from it */
	bool files;          /* a table of files is registered */
	bool chunks;         /* a table of buffers is registered */
	uint16_t *slots;     /* free file slots, a stack */
	unsigned slot_count;
};

struct uring_stream {
	struct uring *u;
	struct loop_stream *s;
	struct list starved;   /* in u->starved */
	struct list pending;   /* loop_rxbuf: arrived while paused */
	struct loop_post post; /* to go on later */
	struct loop_sending w;
	int slot;        /* registered file or -1 */
	int end;         /* 0 or -errno, when ended */
	bool armed;      /* a receive is with the kernel */
	bool cancelling; /* and is being taken back */
	bool posted;     /* post is under way */
	bool ended;      /* no more comes from the kernel */
	bool told;       /* and received() was told */
};

struct uring_listener {
	struct uring *u;
	struct loop_listener *l;
	struct loop_timer timer; /* pause */
	struct loop_post post;   /* closed() */
	bool armed;              /* an accept is with the kernel */
	bool stopping;
};

static uint64_t uring_data(const void *p, enum uring_tag tag)
{
	return (uint64_t)(uintptr_t)p | tag;
}

/* A free entry; what is queued goes to the kernel first when there is none. */
static struct io_uring_sqe *uring_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	for (unsigned tries = 0; !sqe && tries < 1000; tries++) {
		io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	own_assert(sqe);
	return sqe;
}

/* Makes an entry speak of a registered file instead of a descriptor. */
static void uring_sqe_slot(struct io_uring_sqe *sqe, int slot)
{
	if (slot < 0)
		return;
	sqe->fd = slot;
	sqe->flags |= IOSQE_FIXED_FILE;
}

/* Takes back what was armed with `data`; its own completion says so. */
static void uring_cancel(struct uring *u, uint64_t data)
{
	struct io_uring_sqe *sqe = uring_sqe(u);

	io_uring_prep_cancel64(sqe, data, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = TAG_NONE;
}

/* ---- registered files ---- */

/* Before Linux 6.13 a ring kept what was registered open until every request that was older had
 * ended: a receive that waits on one connection held the devices of volumes that are closed. */
static bool uring_lets_go(void)
{
	struct utsname is;

	return !uname(&is) && strverscmp(is.release, "6.13") >= 0;
}

static void uring_files_init(struct uring *u)
{
	struct rlimit lim;
	unsigned n = URING_FILES;

	if (!uring_lets_go())
		return;
	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_cur < n)
		n = (unsigned)lim.rlim_cur;
	if (io_uring_register_files_sparse(&u->ring, n))
		return;
	u->files = true;
	u->slots = own_calloc(n, sizeof *u->slots);
	while (u->slot_count < n) {
		u->slots[u->slot_count] = (uint16_t)(n - 1 - u->slot_count);
		u->slot_count++;
	}
}

static int uring_slot_get(struct uring *u, int fd)
{
	int slot;

	if (!u->files || !u->slot_count)
		return -1;
	slot = u->slots[u->slot_count - 1];
	if (io_uring_register_files_update(&u->ring, (unsigned)slot, &fd, 1) != 1)
		return -1;
	u->slot_count--;
	return slot;
}

static void uring_slot_put(struct uring *u, int slot)
{
	int none = -1;

	if (slot < 0)
		return;
	io_uring_register_files_update(&u->ring, (unsigned)slot, &none, 1);
	u->slots[u->slot_count++] = (uint16_t)slot;
}

/* ---- receive buffers ---- */

static int uring_bufs_init(struct uring *u)
{
	size_t len = URING_LENT_MAX * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = { .ring_entries = URING_LENT_MAX, .bgid = URING_RX_GROUP };

	u->bufs = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (u->bufs == MAP_FAILED) {
		u->bufs = NULL;
		return -ENOMEM;
	}
	io_uring_buf_ring_init(u->bufs);
	reg.ring_addr = (uint64_t)(uintptr_t)u->bufs;
	u->lend = URING_LENT_MIN;
	return io_uring_register_buf_ring(&u->ring, &reg, 0);
}

/* Fills the kernel's ring up to what it should have. */
static void uring_bufs_lend(struct uring *u)
{
	struct loop_rx *rx = &u->loop->rx;
	int mask = io_uring_buf_ring_mask(URING_LENT_MAX), n = 0;

	while (rx->lent < u->lend) {
		struct loop_rxbuf *b = loop_rxbuf_new(u->loop);

		if (!b)
			break;
		io_uring_buf_ring_add(u->bufs, b->data, rx->size, (unsigned short)b->id, mask, n++);
		rx->lent++;
	}
	if (n)
		io_uring_buf_ring_advance(u->bufs, n);
}

/* The buffer of a completion, which comes with its one user; NULL when it brought none. */
static struct loop_rxbuf *uring_buf_of(struct uring *u, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_BUFFER))
		return NULL;
	u->loop->rx.lent--;
	return &u->loop->rx.bufs[cqe->flags >> IORING_CQE_BUFFER_SHIFT];
}

/* ---- streams ---- */

static void uring_recv_arm(struct uring_stream *st)
{
	struct io_uring_sqe *sqe;

	if (st->armed || st->ended || st->s->paused || st->s->closing || !list_empty(&st->starved))
		return;
	sqe = uring_sqe(st->u);
	io_uring_prep_recv_multishot(sqe, st->s->fd, NULL, 0, 0);
	uring_sqe_slot(sqe, st->slot);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_RX_GROUP;
	sqe->user_data = uring_data(st, TAG_RECV);
	st->armed = true;
	st->cancelling = false;
}

/* Those who wanted buffers get another chance when there are some. */
static void uring_rearm_starved(struct uring *u)
{
	struct list *it;

	if (list_empty(&u->starved) || !u->loop->rx.lent)
		return;
	while ((it = list_pop(&u->starved)))
		uring_recv_arm(container_of(it, struct uring_stream, starved));
	u->starved_count = 0;
}

/* The end of a closing stream, when nothing of it is with the kernel or posted. */
static void uring_stream_over(struct uring_stream *st)
{
	struct loop_stream *s = st->s;

	if (!s->closing || st->armed || st->posted || s->sending)
		return;
	uring_slot_put(st->u, st->slot);
	free(st);
	loop_stream_end(s);
}

static void uring_stream_drop_pending(struct uring_stream *st)
{
	struct list *it;

	while ((it = list_pop(&st->pending)))
		loop_rxbuf_put(container_of(it, struct loop_rxbuf, node));
}

/* What waited while the stream was paused, or its close. */
static void uring_stream_posted(struct loop_post *post)
{
	struct uring_stream *st = container_of(post, struct uring_stream, post);
	struct loop_stream *s = st->s;

	st->posted = false;
	while (!s->closing && !s->paused && !list_empty(&st->pending)) {
		struct loop_rxbuf *b =
			container_of(list_pop(&st->pending), struct loop_rxbuf, node);

		s->ops->received(s, b, b->data, (int)b->len);
		loop_rxbuf_put(b);
	}
	if (!s->closing && !s->paused && st->ended && !st->told) {
		st->told = true;
		s->ops->received(s, NULL, NULL, st->end);
	}
	uring_recv_arm(st);
	uring_stream_over(st);
}

static void uring_stream_post(struct uring_stream *st)
{
	if (st->posted)
		return;
	st->posted = true;
	loop_post(st->u->loop, &st->post);
}

/* Bytes, now or after a pause. */
static void uring_recv_bytes(struct uring_stream *st, struct loop_rxbuf *b, int len)
{
	struct loop_stream *s = st->s;

	if (!s->paused && list_empty(&st->pending)) {
		s->ops->received(s, b, b->data, len);
		loop_rxbuf_put(b);
		return;
	}
	b->len = (uint32_t)len;
	list_push(&st->pending, &b->node);
	if (s->paused && st->armed && !st->cancelling) {
		st->cancelling = true;
		uring_cancel(st->u, uring_data(st, TAG_RECV));
	}
}

/* The receive ended: end of file, an error, or something of passing nature. */
static void uring_recv_ended(struct uring_stream *st, int res)
{
	struct uring *u = st->u;

	if (res == -ENOBUFS) {
		stat_add(STAT_loop_rx_starved, 1);
		trace_add(TRACE_receive_starved, 0, 0);
		list_push(&u->starved, &st->starved);
		if (++u->starved_count > u->lend / 2 && u->lend < URING_LENT_MAX)
			u->lend *= 2;
		return;
	}
	if (res == -ECANCELED || res == -EINTR || res == -EAGAIN)
		return;
	st->ended = true;
	st->end = res;
	if (st->s->paused || !list_empty(&st->pending))
		return; /* told when it is resumed */
	st->told = true;
	st->s->ops->received(st->s, NULL, NULL, res);
}

static void uring_recv_done(struct uring_stream *st, const struct io_uring_cqe *cqe)
{
	struct loop_rxbuf *b = uring_buf_of(st->u, cqe);

	if (!(cqe->flags & IORING_CQE_F_MORE))
		st->armed = false;
	if (st->s->closing || cqe->res <= 0) {
		st->s->lost |= cqe->res > 0;
		if (b)
			loop_rxbuf_put(b);
		if (!st->s->closing)
			uring_recv_ended(st, cqe->res);
	} else {
		uring_recv_bytes(st, b, cqe->res);
	}
	uring_recv_arm(st);
	uring_stream_over(st);
}

static void uring_send_submit(struct uring_stream *st)
{
	struct io_uring_sqe *sqe = uring_sqe(st->u);

	io_uring_prep_sendmsg(sqe, st->s->fd, loop_sending_msg(&st->w), MSG_NOSIGNAL | MSG_WAITALL);
	uring_sqe_slot(sqe, st->slot);
	sqe->user_data = uring_data(st, TAG_SEND);
}

static void uring_send_done(struct uring_stream *st, const struct io_uring_cqe *cqe)
{
	struct loop_stream *s = st->s;
	int res = cqe->res;

	if (res == -EINTR || res == -EAGAIN) {
		res = s->closing ? -ECANCELED : res;
	} else if (res >= 0) {
		bool all = loop_sending_done(&st->w, (size_t)res);

		res = all ? 0 : s->closing ? -ECANCELED : res ? -EAGAIN : -EPIPE;
	}
	if (res == -EINTR || res == -EAGAIN) {
		uring_send_submit(st);
		return;
	}
	s->sending = false;
	s->ops->sent(s, res);
	uring_stream_over(st);
}

static int uring_stream_open(struct loop *loop, struct loop_stream *s)
{
	struct uring_stream *st = calloc(1, sizeof *st);

	if (!st)
		return -ENOMEM;
	st->u = loop->engine;
	st->s = s;
	st->post.run = uring_stream_posted;
	list_init(&st->starved);
	list_init(&st->pending);
	st->slot = uring_slot_get(st->u, s->fd);
	s->engine = st;
	uring_recv_arm(st);
	return 0;
}

static void uring_stream_send(struct loop_stream *s, const struct iovec *iov, unsigned n)
{
	struct uring_stream *st = s->engine;

	loop_sending_init(&st->w, iov, n);
	uring_send_submit(st);
}

/* The receive is taken back only when something comes: most pauses are over before. */
static void uring_stream_pause(struct loop_stream *s)
{
	(void)s;
}

static void uring_stream_resume(struct loop_stream *s)
{
	struct uring_stream *st = s->engine;

	if (!list_empty(&st->pending) || (st->ended && !st->told))
		uring_stream_post(st);
	else
		uring_recv_arm(st);
}

static void uring_stream_close(struct loop_stream *s)
{
	struct uring_stream *st = s->engine;

	if (!s->released)
		shutdown(s->fd, SHUT_RDWR);
	s->lost |= !list_empty(&st->pending);
	uring_stream_drop_pending(st);
	list_del(&st->starved);
	if (st->armed)
		uring_cancel(st->u, uring_data(st, TAG_RECV));
	if (s->sending)
		uring_cancel(st->u, uring_data(st, TAG_SEND));
	uring_stream_post(st);
}

/* ---- listeners ---- */

static void uring_accept_arm(struct uring_listener *ul)
{
	struct io_uring_sqe *sqe = uring_sqe(ul->u);

	io_uring_prep_multishot_accept(sqe, ul->l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	sqe->user_data = uring_data(ul, TAG_ACCEPT);
	ul->armed = true;
}

static void uring_accept_timer(struct loop_timer *timer)
{
	uring_accept_arm(container_of(timer, struct uring_listener, timer));
}

static void uring_listener_over(struct uring_listener *ul)
{
	struct loop_listener *l = ul->l;

	l->engine = NULL;
	free(ul);
	l->closed(l);
}

static void uring_listener_posted(struct loop_post *post)
{
	uring_listener_over(container_of(post, struct uring_listener, post));
}

static void uring_accept_done(struct uring_listener *ul, const struct io_uring_cqe *cqe)
{
	struct loop_listener *l = ul->l;
	int res = cqe->res;

	ul->armed = cqe->flags & IORING_CQE_F_MORE;
	if (ul->stopping) {
		if (res >= 0)
			close(res);
		if (!ul->armed)
			uring_listener_over(ul);
		return;
	}
	if (!ul->armed) {
		if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS)
			loop_timer_set(ul->u->loop, &ul->timer, URING_ACCEPT_MS);
		else if (res != -EINVAL && res != -EBADF && res != -ENOTSOCK)
			uring_accept_arm(ul);
	}
	l->accepted(l, res);
}

static void uring_listener_start(struct loop *loop, struct loop_listener *l)
{
	struct uring_listener *ul = own_calloc(1, sizeof *ul);

	ul->u = loop->engine;
	ul->l = l;
	ul->post.run = uring_listener_posted;
	loop_timer_init(&ul->timer, uring_accept_timer);
	l->engine = ul;
	uring_accept_arm(ul);
}

static void uring_listener_stop(struct loop *loop, struct loop_listener *l)
{
	struct uring_listener *ul = l->engine;

	own_assert(!ul->stopping);
	ul->stopping = true;
	loop_timer_cancel(loop, &ul->timer);
	if (ul->armed)
		uring_cancel(ul->u, uring_data(ul, TAG_ACCEPT));
	else
		loop_post(loop, &ul->post);
}

/* ---- files ---- */

static int uring_file_open(struct loop *loop, struct loop_file *f)
{
	if (!f->memory)
		f->slot = uring_slot_get(loop->engine, f->fd);
	return 0;
}

static void uring_file_close(struct loop *loop, struct loop_file *f)
{
	uring_slot_put(loop->engine, f->slot);
	f->slot = -1;
}

static void uring_prep_rw(struct uring *u, struct io_uring_sqe *sqe, struct loop_io *io)
{
	const struct iovec *v = io->iov;
	uint64_t off = io->off + io->moved;
	bool read = io->op == LOOP_IO_READ, one = io->iovcnt == 1;
	int fd = io->file->fd;

	if (one && io->buf && io->buf->index >= 0 && io->file->direct && u->chunks)
		io_uring_prep_rw(read ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED, sqe, fd,
			v->iov_base, (unsigned)v->iov_len, off);
	else if (one)
		io_uring_prep_rw(read ? IORING_OP_READ : IORING_OP_WRITE, sqe, fd, v->iov_base,
			(unsigned)v->iov_len, off);
	else
		io_uring_prep_rw(
			read ? IORING_OP_READV : IORING_OP_WRITEV, sqe, fd, v, io->iovcnt, off);
	if (sqe->opcode == IORING_OP_READ_FIXED || sqe->opcode == IORING_OP_WRITE_FIXED)
		sqe->buf_index = (uint16_t)io->buf->index;
	sqe->rw_flags = io->flags;
}

static void uring_io_submit(struct loop *loop, struct loop_io *io)
{
	struct uring *u = loop->engine;
	struct io_uring_sqe *sqe;

	if (io->op == LOOP_IO_CALL) {
		slow_io_submit(io);
		return;
	}
	sqe = uring_sqe(u);
	if (io->op == LOOP_IO_DATASYNC)
		io_uring_prep_fsync(sqe, io->file->fd, IORING_FSYNC_DATASYNC);
	else if (io->op == LOOP_IO_FALLOCATE)
		io_uring_prep_fallocate(
			sqe, io->file->fd, io->flags, (off_t)io->off, (off_t)io->len);
	else
		uring_prep_rw(u, sqe, io);
	uring_sqe_slot(sqe, io->file->slot);
	sqe->user_data = uring_data(io, TAG_IO);
}

static void uring_io_done(struct uring *u, struct loop_io *io, int res)
{
	if (loop_io_again(io, &res))
		uring_io_submit(u->loop, io);
	else
		io->done(io, res);
}

/* Registered once, when the first chunk comes; a kernel without the right to lock memory says no.
 */
static int uring_chunk_register(struct loop *loop, unsigned chunk, void *p, size_t len)
{
	struct uring *u = loop->engine;
	struct iovec iov = { .iov_base = p, .iov_len = len };
	__u64 tag = 0;
	int res;

	if (!u->chunks && io_uring_register_buffers_sparse(&u->ring, loop->data.chunks))
		return -ENOMEM;
	u->chunks = true;
	res = io_uring_register_buffers_update_tag(&u->ring, chunk, &iov, &tag, 1);
	return res == 1 ? (int)chunk : -ENOMEM;
}

/* ---- the engine ---- */

static void uring_wake_arm(struct uring *u)
{
	struct io_uring_sqe *sqe = uring_sqe(u);

	io_uring_prep_read(sqe, u->wake_fd, &u->wake_value, sizeof u->wake_value, 0);
	sqe->user_data = TAG_WAKE;
}

static void uring_wake(struct loop *loop)
{
	const struct uring *u = loop->engine;

	eventfd_write(u->wake_fd, 1);
}

/* A ring with what the engine wants, or -errno. */
static int uring_ring_init(struct io_uring *ring, unsigned flags)
{
	/* Linux 6.0 has no DEFER_TASKRUN: completions interrupt nobody, but come when they come */
	static const unsigned taskrun[] = { IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN };
	int res = -EINVAL;

	for (unsigned i = 0; i < own_array_len(taskrun) && res == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = flags | taskrun[i] | IORING_SETUP_SINGLE_ISSUER |
				 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
			.cq_entries = URING_CQES,
		};

		res = io_uring_queue_init_params(URING_SQES, ring, &p);
	}
	return res;
}

static int uring_init(struct loop *loop)
{
	struct uring *u = own_calloc(1, sizeof *u);
	int res;

	u->loop = loop;
	list_init(&u->starved);
	u->wake_fd = eventfd(0, EFD_CLOEXEC);
	res = u->wake_fd < 0 ? -errno : uring_ring_init(&u->ring, IORING_SETUP_R_DISABLED);
	if (res) {
		own_close_fd(&u->wake_fd);
		free(u);
		return res;
	}
	loop->engine = u;
	res = uring_bufs_init(u);
	if (res) {
		loop->ops->fini(loop);
		return res;
	}
	uring_files_init(u);
	uring_wake_arm(u);
	return 0;
}

static void uring_fini(struct loop *loop)
{
	struct uring *u = loop->engine;

	io_uring_queue_exit(&u->ring);
	if (u->bufs)
		munmap(u->bufs, URING_LENT_MAX * sizeof(struct io_uring_buf));
	close(u->wake_fd);
	free(u->slots);
	free(u);
}

/* The thread that enables the ring is the one that may use it. */
static void uring_start(struct loop *loop)
{
	struct uring *u = loop->engine;
	/* io_uring_enable_rings is declared by liburing 2.3, but its library does not export it */
	long res = syscall(
		SYS_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	own_assert(res == 0);
	io_uring_register_ring_fd(&u->ring); /* saves a little; not everywhere */
}

static void uring_wait(struct loop *loop, int64_t wait_ns)
{
	struct uring *u = loop->engine;
	struct __kernel_timespec ts = { .tv_sec = wait_ns / 1000000000,
		.tv_nsec = wait_ns % 1000000000 };
	struct io_uring_cqe *cqe;

	uring_bufs_lend(u);
	uring_rearm_starved(u);
	if (wait_ns < 0)
		io_uring_submit_and_wait(&u->ring, 1);
	else if (wait_ns == 0)
		io_uring_submit_and_get_events(&u->ring);
	else
		io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
}

static void uring_dispatch_one(struct uring *u, const struct io_uring_cqe *cqe)
{
	void *owner = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

	switch (cqe->user_data & TAG_MASK) {
	case TAG_RECV:
		uring_recv_done(owner, cqe);
		break;
	case TAG_SEND:
		uring_send_done(owner, cqe);
		break;
	case TAG_IO:
		uring_io_done(u, owner, cqe->res);
		break;
	case TAG_ACCEPT:
		uring_accept_done(owner, cqe);
		break;
	case TAG_WAKE:
		uring_wake_arm(u);
		break;
	default: /* a cancel that found nothing */
		break;
	}
}

static void uring_dispatch(struct loop *loop)
{
	struct uring *u = loop->engine;
	struct io_uring_cqe *cqes[URING_BATCH];
	unsigned n;

	while ((n = io_uring_peek_batch_cqe(&u->ring, cqes, URING_BATCH))) {
		for (unsigned i = 0; i < n; i++)
			uring_dispatch_one(u, cqes[i]);
		io_uring_cq_advance(&u->ring, n);
	}
}

const struct loop_engine_ops loop_uring_ops = {
	.name = "uring",
	.init = uring_init,
	.fini = uring_fini,
	.start = uring_start,
	.wait = uring_wait,
	.dispatch = uring_dispatch,
	.wake = uring_wake,
	.clock_ns = loop_clock_ns,
	.listener_start = uring_listener_start,
	.listener_stop = uring_listener_stop,
	.stream_open = uring_stream_open,
	.stream_send = uring_stream_send,
	.stream_pause = uring_stream_pause,
	.stream_resume = uring_stream_resume,
	.stream_close = uring_stream_close,
	.file_open = uring_file_open,
	.file_close = uring_file_close,
	.io_submit = uring_io_submit,
	.chunk_register = uring_chunk_register,
};

/* ---- the probe ---- */

static struct {
	pthread_once_t once;
	int res;
	const char *why;
} probe = { .once = PTHREAD_ONCE_INIT };

/* A ring that takes SINGLE_ISSUER is of Linux 6.0 or newer, and that has the rest. */
static void probe_run(void)
{
	const unsigned features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
	struct io_uring ring;

	probe.res = uring_ring_init(&ring, 0);
	if (probe.res) {
		probe.why = probe.res == -EPERM ? "io_uring is switched off for this process"
			    : probe.res == -ENOSYS
				    ? "this kernel has no io_uring"
				    : "no ring of the kind of Linux 6.0 could be made";
		return;
	}
	if ((ring.features & features) != features)
		probe.res = -ENOSYS;
	probe.why = "this kernel's io_uring lacks features";
	io_uring_queue_exit(&ring);
}

int loop_uring_probe(const char **why)
{
	pthread_once(&probe.once, probe_run);
	*why = probe.why;
	return probe.res;
}
