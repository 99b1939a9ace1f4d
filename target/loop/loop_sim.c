// SPDX-License-Identifier: Apache-2.0
/*
 * loop_sim.c: the engine for tests. What is to be called back is kept in two lists of things that
 * are ready, streams and requests; `dispatch` goes through what was ready when it began.
 */
#include "target/loop/loop_sim.h"

#include "common/own.h"
#include "target/loop/loop_engine.h"
#include "target/loop/slow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SIM_START_NS  1000000000ull /* a clock that begins at zero hides mistakes */
#define SIM_TURNS_MAX 200000u       /* a peer may send 64 KiB byte by byte */

struct sim {
	uint64_t now_ns;
	struct list peers;   /* sim_peer, all */
	struct list due;     /* loop_io: completes in the next turn, res says how */
	struct list held;    /* loop_io */
	struct list stopped; /* sim_listener: closed() is to be called */
	bool hold;           /* of sim_io_hold */
	int fail_err;        /* of sim_io_fail, 0: none */
	unsigned fail_skip;
	uint32_t delay_ms; /* of sim_io_delay */
	bool busy;         /* this turn called something back */
};

struct sim_bytes {
	uint8_t *p;
	size_t len, room;
};

struct sim_peer {
	struct loop *loop;
	struct list node;      /* in sim.peers */
	struct loop_stream *s; /* the other end, while open */
	int fd;                /* stands for it until it is opened as a stream; not owned */
	struct sim_bytes in;   /* on the way to the code under test */
	struct sim_bytes out;  /* sent by it */
	size_t chunk, window;
	bool eof, eof_told;
	int broken;            /* errno, 0: whole */
	struct loop_sending w; /* of the send in flight */
};

struct sim_delayed {
	struct loop_timer timer;
	struct loop_io *io;
};

static struct sim *sim_of(const struct loop *loop)
{
	own_assert(loop->ops == &loop_sim_ops);
	return loop->engine;
}

static void bytes_add(struct sim_bytes *b, const void *p, size_t len)
{
	if (b->len + len > b->room) {
		b->room = (b->len + len) * 2;
		b->p = realloc(b->p, b->room);
		own_assert(b->p);
	}
	if (len)
		memcpy(b->p + b->len, p, len);
	b->len += len;
}

static void bytes_drop(struct sim_bytes *b, size_t len)
{
	own_assert(len <= b->len);
	b->len -= len;
	if (b->len)
		memmove(b->p, b->p + len, b->len);
}

/* ---- streams ---- */

static void sim_unlend(struct loop *loop)
{
	(void)loop;
}

/* What the peer has for the code under test, one received() at most. */
static bool sim_deliver(struct sim_peer *peer)
{
	struct loop_stream *s = peer->s;
	struct loop_rxbuf *b;
	size_t len = peer->in.len;

	if (!s || s->closing || s->paused || peer->eof_told)
		return false;
	if (!peer->broken && len) {
		b = loop_rxbuf_new(peer->loop);
		if (!b)
			return false; /* out of buffers: it waits */
		if (peer->chunk && len > peer->chunk)
			len = peer->chunk;
		if (len > peer->loop->rx.size)
			len = peer->loop->rx.size;
		memcpy(b->data, peer->in.p, len);
		bytes_drop(&peer->in, len);
		s->ops->received(s, b, b->data, (int)len);
		loop_rxbuf_put(b);
		return true;
	}
	if (!peer->broken && !peer->eof)
		return false;
	peer->eof_told = true;
	s->ops->received(s, NULL, NULL, -peer->broken);
	return true;
}

/* Takes what the window lets through; true when sent() was called. */
static bool sim_carry(struct sim_peer *peer)
{
	struct loop_stream *s = peer->s;
	int res = 1;

	if (!s || !s->sending)
		return false;
	while (res == 1 && !peer->broken && !s->closing && peer->window) {
		const struct iovec *v = loop_sending_msg(&peer->w)->msg_iov;
		size_t len = v->iov_len < peer->window ? v->iov_len : peer->window;

		bytes_add(&peer->out, v->iov_base, len);
		if (peer->window != SIZE_MAX)
			peer->window -= len;
		res = loop_sending_done(&peer->w, len) ? 0 : 1;
	}
	if (res == 1 && (peer->broken || s->closing))
		res = peer->broken ? -peer->broken : -ECANCELED;
	if (res == 1)
		return false;
	s->sending = false;
	s->ops->sent(s, res);
	return true;
}

/* The end of a closing stream. */
static bool sim_end(struct sim_peer *peer)
{
	struct loop_stream *s = peer->s;

	if (!s || !s->closing || s->sending)
		return false;
	peer->s = NULL;
	if (s->released)
		peer->fd = s->fd; /* until it is opened again */
	loop_stream_end(s);
	return true;
}

struct sim_peer *sim_stream(struct loop *loop, int *fd)
{
	struct sim_peer *peer = own_calloc(1, sizeof *peer);

	peer->loop = loop;
	peer->window = SIZE_MAX;
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer->fd < 0)
		peer->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	own_assert(peer->fd >= 0);
	list_for_each (it, &sim_of(loop)->peers) {
		struct sim_peer *old = container_of(it, struct sim_peer, node);

		if (old->fd == peer->fd)
			old->fd = -1; /* was closed without ever being opened as a stream */
	}
	list_push(&sim_of(loop)->peers, &peer->node);
	*fd = peer->fd;
	return peer;
}

void sim_peer_free(struct sim_peer *peer)
{
	own_assert(!peer->s);
	list_del(&peer->node);
	free(peer->in.p);
	free(peer->out.p);
	free(peer);
}

void sim_push(struct sim_peer *peer, const void *bytes, size_t len)
{
	own_assert(!peer->eof);
	bytes_add(&peer->in, bytes, len);
}

void sim_chunk(struct sim_peer *peer, size_t chunk)
{
	peer->chunk = chunk;
}

void sim_peer_eof(struct sim_peer *peer)
{
	peer->eof = true;
}

void sim_peer_break(struct sim_peer *peer, int err)
{
	peer->broken = err;
}

size_t sim_sent(struct sim_peer *peer, const uint8_t **bytes)
{
	*bytes = peer->out.p;
	return peer->out.len;
}

void sim_take(struct sim_peer *peer, size_t len)
{
	bytes_drop(&peer->out, len);
}

void sim_window(struct sim_peer *peer, size_t window)
{
	peer->window = window;
}

bool sim_peer_closed(const struct sim_peer *peer)
{
	bool waits = peer->fd >= 0 && fcntl(peer->fd, F_GETFD) >= 0;

	return !peer->s && !waits;
}

static int sim_stream_open(struct loop *loop, struct loop_stream *s)
{
	list_for_each (it, &sim_of(loop)->peers) {
		struct sim_peer *peer = container_of(it, struct sim_peer, node);

		if (peer->fd != s->fd)
			continue;
		peer->fd = -1; /* the number may be used again */
		peer->s = s;
		s->engine = peer;
		return 0;
	}
	return -EBADF;
}

static void sim_stream_send(struct loop_stream *s, const struct iovec *iov, unsigned n)
{
	struct sim_peer *peer = s->engine;

	loop_sending_init(&peer->w, iov, n);
	own_assert(peer->w.left > 0);
}

/* Everything of a stream is decided when its turn comes. */
static void sim_stream_nothing(struct loop_stream *s)
{
	(void)s;
}

/* ---- listeners ---- */

static void sim_listener_start(struct loop *loop, struct loop_listener *l)
{
	struct list *node = own_calloc(1, sizeof *node + sizeof(void *) * 2);
	void **owner = (void **)(void *)(node + 1);

	list_init(node);
	owner[0] = loop;
	owner[1] = l;
	l->engine = node;
}

static void sim_listener_stop(struct loop *loop, struct loop_listener *l)
{
	own_assert(list_empty(l->engine));
	list_push(&sim_of(loop)->stopped, l->engine);
}

static bool sim_listeners_end(struct sim *sim)
{
	struct list *node = list_pop(&sim->stopped);
	struct loop_listener *l;

	if (!node)
		return false;
	l = ((void **)(void *)(node + 1))[1];
	free(node);
	l->engine = NULL;
	l->closed(l);
	return true;
}

struct sim_peer *sim_connect(struct loop_listener *l)
{
	struct list *node = l->engine;
	struct loop *loop = ((void **)(void *)(node + 1))[0];
	int fd;
	struct sim_peer *peer = sim_stream(loop, &fd);

	l->accepted(l, fd);
	return peer;
}

/* ---- files ---- */

static int sim_file_open(struct loop *loop, struct loop_file *f)
{
	(void)loop;
	f->memory = false; /* so that its requests come here */
	return 0;
}

static void sim_file_close(struct loop *loop, struct loop_file *f)
{
	(void)loop;
	(void)f;
}

static void sim_delay_over(struct loop_timer *timer)
{
	struct sim_delayed *d = container_of(timer, struct sim_delayed, timer);

	list_push(&sim_of(d->io->loop)->due, &d->io->node);
	free(d);
}

static void sim_io_submit(struct loop *loop, struct loop_io *io)
{
	struct sim *sim = sim_of(loop);

	io->res = SIM_IO_DO;
	if (sim->fail_err && sim->fail_skip-- == 0) {
		io->res = -sim->fail_err;
		sim->fail_err = 0;
	}
	if (sim->hold) {
		list_push(&sim->held, &io->node);
	} else if (sim->delay_ms) {
		struct sim_delayed *d = own_calloc(1, sizeof *d);

		d->io = io;
		loop_timer_init(&d->timer, sim_delay_over);
		loop_timer_set(loop, &d->timer, sim->delay_ms);
	} else {
		list_push(&sim->due, &io->node);
	}
}

void sim_io_hold(struct loop *loop, bool hold)
{
	sim_of(loop)->hold = hold;
}

unsigned sim_io_held(const struct loop *loop)
{
	unsigned n = 0;

	list_for_each (it, &sim_of(loop)->held)
		n++;
	return n;
}

struct loop_io *sim_io_nth(const struct loop *loop, unsigned n)
{
	list_for_each (it, &sim_of(loop)->held)
		if (n-- == 0)
			return container_of(it, struct loop_io, node);
	return NULL;
}

void sim_io_complete(struct loop *loop, struct loop_io *io, int res)
{
	own_assert(res == SIM_IO_DO || res < 0);
	if (io->res == SIM_IO_DO)
		io->res = res;
	list_del(&io->node);
	list_push(&sim_of(loop)->due, &io->node);
}

void sim_io_fail(struct loop *loop, unsigned skip, int err)
{
	sim_of(loop)->fail_skip = skip;
	sim_of(loop)->fail_err = err;
}

void sim_io_delay(struct loop *loop, uint32_t ms)
{
	sim_of(loop)->delay_ms = ms;
}

/* ---- the engine ---- */

static int sim_init(struct loop *loop)
{
	struct sim *sim = own_calloc(1, sizeof *sim);

	sim->now_ns = SIM_START_NS;
	list_init(&sim->peers);
	list_init(&sim->due);
	list_init(&sim->held);
	list_init(&sim->stopped);
	loop->engine = sim;
	return 0;
}

static void sim_fini(struct loop *loop)
{
	struct sim *sim = sim_of(loop);

	own_assert(list_empty(&sim->due) && list_empty(&sim->held));
	own_assert(list_empty(&sim->peers)); /* sim_peer_free */
	free(sim);
}

static uint64_t sim_clock_ns(struct loop *loop)
{
	return sim_of(loop)->now_ns;
}

static void sim_wait(struct loop *loop, int64_t wait_ns)
{
	(void)loop;
	(void)wait_ns;
}

/* Requests that were due when the turn began. */
static bool sim_complete_due(struct sim *sim)
{
	struct list now, *it;

	list_init(&now);
	list_splice(&now, &sim->due);
	if (list_empty(&now))
		return false;
	while ((it = list_pop(&now))) {
		struct loop_io *io = container_of(it, struct loop_io, node);

		io->done(io, io->res == SIM_IO_DO ? slow_io_run(io) : io->res);
	}
	return true;
}

static void sim_dispatch(struct loop *loop)
{
	struct sim *sim = sim_of(loop);

	sim->busy = sim_complete_due(sim);
	/* call-backs may open and close streams, but only the test frees peers, between turns */
	for (struct list *it = sim->peers.next; it != &sim->peers;) {
		struct sim_peer *peer = container_of(it, struct sim_peer, node);

		it = it->next;
		sim->busy |= sim_carry(peer) || sim_deliver(peer) || sim_end(peer);
	}
	sim->busy |= sim_listeners_end(sim);
}

const struct loop_engine_ops loop_sim_ops = {
	.name = "sim",
	.init = sim_init,
	.fini = sim_fini,
	.start = sim_unlend,
	.wait = sim_wait,
	.dispatch = sim_dispatch,
	.wake = sim_unlend,
	.clock_ns = sim_clock_ns,
	.listener_start = sim_listener_start,
	.listener_stop = sim_listener_stop,
	.stream_open = sim_stream_open,
	.stream_send = sim_stream_send,
	.stream_pause = sim_stream_nothing,
	.stream_resume = sim_stream_nothing,
	.stream_close = sim_stream_nothing,
	.file_open = sim_file_open,
	.file_close = sim_file_close,
	.io_submit = sim_io_submit,
};

struct loop *sim_loop_new(void)
{
	const struct loop_opts opts = { .engine = LOOP_ENGINE_SIM, .cpu = -1 };
	int err;
	struct loop *loop = loop_new(&opts, &err);

	own_assert(loop);
	return loop;
}

bool sim_turn(struct loop *loop)
{
	loop_turn(loop);
	return sim_of(loop)->busy || !list_empty(&sim_of(loop)->due) || loop_wait_ns(loop) == 0;
}

void sim_run(struct loop *loop)
{
	for (unsigned i = 0; i < SIM_TURNS_MAX; i++)
		if (!sim_turn(loop))
			return;
	own_broken("a simulated loop comes to rest", __FILE__, __LINE__);
}

int64_t sim_next_timer_ms(struct loop *loop)
{
	int64_t ns = loop_wait_ns(loop);

	return ns < 0 ? -1 : (ns + 999999) / 1000000;
}

void sim_advance(struct loop *loop, uint32_t ms)
{
	struct sim *sim = sim_of(loop);
	uint64_t until = sim->now_ns + ms * 1000000ull;

	sim_run(loop);
	while (sim->now_ns < until) {
		int64_t ns = loop_wait_ns(loop);

		sim->now_ns = ns < 0 || sim->now_ns + (uint64_t)ns > until
				      ? until
				      : sim->now_ns + (uint64_t)ns;
		sim_run(loop);
	}
}
