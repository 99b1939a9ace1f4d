// SPDX-License-Identifier: Apache-2.0
/*
 * test_loop.c: the promises of loop.h about streams and listeners, on every engine.
 */
#include "tests/unit/test_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* ---- the two ends of a connection ---- */

struct end {
	struct loop_stream s;
	uint8_t *in; /* what was received */
	unsigned in_len, in_room;
	unsigned calls;       /* of received() with bytes */
	unsigned eof, broken; /* received() with 0, with an error */
	unsigned sent, closed;
	int sent_res;
	bool pause_at_once; /* pause in every received() */
	bool close_at_once; /* close in the first received() */
	bool close_when_sent;
	int kept;    /* the descriptor of a stream that was released */
	bool inside; /* in a call of loop.h: no callback may come */
	struct loop_rxbuf *held[1024];
	unsigned held_count;
	bool hold; /* keep every buffer */
	/* the other end */
	int fd;
	struct sim_peer *peer;
};

static void end_received(struct loop_stream *s, struct loop_rxbuf *buf, uint8_t *data, int len)
{
	struct end *e = container_of(s, struct end, s);

	assert_false(e->inside || e->closed || s->closing || s->paused);
	assert_true(e->eof + e->broken == 0);
	assert_ptr_equal(loop_self(), s->loop);
	if (len <= 0) {
		assert_null(buf);
		e->eof += len == 0;
		e->broken += len < 0;
		return;
	}
	assert_true(data >= buf->data && buf->refs == 1);
	e->calls++;
	if (e->in_len + (unsigned)len > e->in_room) {
		e->in_room = (e->in_len + (unsigned)len) * 2;
		e->in = realloc(e->in, e->in_room);
	}
	memcpy(e->in + e->in_len, data, (size_t)len);
	e->in_len += (unsigned)len;
	if (e->hold && e->held_count < 1024) {
		loop_rxbuf_get(buf);
		e->held[e->held_count++] = buf;
	}
	if (e->pause_at_once)
		loop_stream_pause(s);
	if (e->close_at_once) {
		e->inside = true;
		loop_stream_close(s);
		e->inside = false;
	}
}

static void end_sent(struct loop_stream *s, int res)
{
	struct end *e = container_of(s, struct end, s);

	assert_false(e->inside || e->closed || s->sending);
	e->sent++;
	e->sent_res = res;
	if (e->close_when_sent)
		loop_stream_close(s);
}

static void end_closed(struct loop_stream *s)
{
	struct end *e = container_of(s, struct end, s);

	assert_false(e->inside || s->sending);
	e->closed++;
	e->kept = s->released ? s->fd : -1;
	memset(s, 0xee, sizeof *s); /* it may be freed: nobody looks at it again */
}

static const struct loop_stream_ops end_ops = { end_received, end_sent, end_closed };

static void tcp_pair(int fds[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	own_fd int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&a, len), 0);
	fds[0] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
}

static struct end *end_new(struct fx *fx, bool tcp)
{
	struct end *e = own_calloc(1, sizeof *e);
	int fds[2], small = 32768;

	e->fd = -1;
	if (fx->id == LOOP_ENGINE_SIM) {
		e->peer = sim_stream(fx->loop, &fds[0]);
	} else {
		if (tcp)
			tcp_pair(fds);
		else
			assert_int_equal(
				socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
					fds),
				0);
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
		setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
		e->fd = fds[1];
	}
	assert_int_equal(loop_stream_open(fx->loop, &e->s, fds[0], &end_ops), 0);
	return e;
}

static void end_free(struct fx *fx, struct end *e)
{
	if (!e->closed) {
		if (!e->s.closing) {
			e->inside = true;
			loop_stream_close(&e->s);
			e->inside = false;
		}
		turn_until(fx, &e->closed, 1);
	}
	assert_int_equal(e->closed, 1);
	if (e->peer)
		sim_peer_free(e->peer);
	own_close_fd(&e->fd);
	free(e->in);
	free(e);
}

/* The other end sends what it can of `len` bytes; returns how many. */
static size_t peer_push(struct end *e, const void *p, size_t len)
{
	ssize_t n;

	if (e->peer) {
		sim_push(e->peer, p, len);
		return len;
	}
	n = send(e->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	assert_true(n > 0 || (n < 0 && errno == EAGAIN));
	return n > 0 ? (size_t)n : 0;
}

/* The other end takes what is there, at most `len`; returns how many. */
static size_t peer_take(struct end *e, void *p, size_t len)
{
	const uint8_t *sim;
	ssize_t n;

	if (e->peer) {
		size_t have = sim_sent(e->peer, &sim);

		have = have < len ? have : len;
		if (have)
			memcpy(p, sim, have);
		sim_take(e->peer, have);
		return have;
	}
	n = recv(e->fd, p, len, MSG_DONTWAIT);
	return n > 0 ? (size_t)n : 0;
}

static void peer_eof(struct end *e)
{
	if (e->peer)
		sim_peer_eof(e->peer);
	else
		shutdown(e->fd, SHUT_WR);
}

static uint8_t *noise(size_t len, unsigned seed)
{
	uint8_t *p = own_calloc(1, len);

	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245u + 12345u;
		p[i] = (uint8_t)(seed >> 16);
	}
	return p;
}

/* Sends from the stream and takes at the other end until all is there, slowly when asked. */
static void send_and_take(struct fx *fx, struct end *e, const struct iovec *iov, unsigned n,
	uint8_t *got, size_t step)
{
	size_t len = loop_iov_len(iov, n), at = 0;
	unsigned want = e->sent + 1;
	uint64_t until = clock_ms() + 10000;

	e->inside = true;
	loop_stream_send(&e->s, iov, n);
	e->inside = false;
	assert_true(e->s.sending);
	while (at < len && clock_ms() < until) {
		size_t some = peer_take(e, got + at, len - at < step ? len - at : step);

		at += some;
		if (!some)
			turn_for(fx, 1);
	}
	assert_int_equal(at, len);
	turn_until(fx, &e->sent, want);
	assert_int_equal(e->sent_res, 0);
}

static void push_all(struct fx *fx, struct end *e, const uint8_t *p, size_t len)
{
	uint64_t until = clock_ms() + 10000;
	unsigned want = e->in_len + (unsigned)len;

	for (size_t at = 0; at < len && clock_ms() < until;) {
		size_t some = peer_push(e, p + at, len - at);

		at += some;
		if (!some)
			turn_for(fx, 1);
	}
	turn_until(fx, &e->in_len, want);
	assert_int_equal(e->in_len, want);
}

/* ---- streams ---- */

static void both_ways(struct fx *fx, bool tcp)
{
	static const size_t sizes[] = { 1, 48, 4144, 65535, 65536, 65537, 1u << 20 };

	for (size_t i = 0; i < own_array_len(sizes); i++) {
		struct end *e = end_new(fx, tcp);
		own_free uint8_t *out = noise(sizes[i], (unsigned)i),
				 *got = own_calloc(1, sizes[i]);
		struct iovec iov = { out, sizes[i] };

		send_and_take(fx, e, &iov, 1, got, SIZE_MAX);
		assert_memory_equal(got, out, sizes[i]);
		push_all(fx, e, out, sizes[i]);
		assert_memory_equal(e->in, out, sizes[i]);
		assert_int_equal(e->s.fd < 0, 0);
		end_free(fx, e);
	}
}

static void test_bytes_both_ways_unix(struct fx *fx)
{
	both_ways(fx, false);
}

static void test_bytes_both_ways_tcp(struct fx *fx)
{
	both_ways(fx, true);
}

/* As many pieces as allowed, odd lengths, a reader that takes a little at a time. */
static void test_send_many_pieces_to_a_slow_reader(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	struct iovec *iov = own_calloc(LOOP_IOV_MAX, sizeof *iov), copy[3];
	size_t len = 0;
	uint8_t *out = noise(LOOP_IOV_MAX * 700u, 7), *got = own_calloc(LOOP_IOV_MAX, 700);

	for (unsigned i = 0; i < LOOP_IOV_MAX; i++) {
		iov[i] = (struct iovec){ out + len, i % 5 == 4 ? 0 : 1 + i * 37 % 699 };
		len += iov[i].iov_len;
	}
	memcpy(copy, iov, sizeof copy);
	send_and_take(fx, e, iov, LOOP_IOV_MAX, got, 3001);
	assert_memory_equal(got, out, len);
	assert_memory_equal(copy, iov, sizeof copy); /* the list stays as it was */
	send_and_take(fx, e, iov, 3, got, SIZE_MAX);
	assert_memory_equal(got, out, iov[0].iov_len + iov[1].iov_len + iov[2].iov_len);
	end_free(fx, e);
	free(iov);
	free(out);
	free(got);
}

static void test_pause_loses_nothing(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	uint8_t *out = noise(300000, 3);
	size_t at;
	unsigned before;

	e->pause_at_once = true;
	at = peer_push(e, out, 20000);
	turn_until(fx, &e->calls, 1);
	before = e->in_len;
	at += peer_push(e, out + at, 300000 - at);
	turn_for(fx, 30);
	loop_stream_pause(&e->s); /* twice is the same as once */
	turn_for(fx, 10);
	assert_int_equal(e->in_len, before);
	assert_int_equal(e->calls, 1);
	e->inside = true;
	loop_stream_resume(&e->s);
	loop_stream_resume(&e->s);
	e->inside = false;
	for (unsigned i = 0; e->in_len < 300000 && i < 10000; i++) {
		if (at < 300000)
			at += peer_push(e, out + at, 300000 - at);
		turn_for(fx, 1);
		if (e->s.paused)
			loop_stream_resume(&e->s);
	}
	assert_int_equal(e->in_len, 300000);
	assert_memory_equal(e->in, out, 300000);
	peer_eof(e);
	turn_for(fx, 20);
	if (e->s.paused) {
		assert_int_equal(e->eof, 0);
		loop_stream_resume(&e->s);
	}
	turn_until(fx, &e->eof, 1);
	end_free(fx, e);
	free(out);
}

/* Pausing and resuming in one turn, while bytes flow. */
static void test_pause_and_resume_at_once(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	uint8_t *out = noise(200000, 5);

	for (unsigned i = 0; i < 200; i++) {
		size_t at = peer_push(e, out + i * 1000, 1000);

		loop_stream_pause(&e->s);
		if (i % 3)
			turn_for(fx, 1);
		loop_stream_resume(&e->s);
		if (i % 7 == 0) {
			loop_stream_pause(&e->s);
			loop_stream_resume(&e->s);
		}
		assert_int_equal(at, 1000);
		turn_until(fx, &e->in_len, (i + 1) * 1000);
	}
	assert_memory_equal(e->in, out, 200000);
	end_free(fx, e);
	free(out);
}

static void test_peer_closes(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	char late[] = "late";
	struct iovec iov = { late, 4 };
	uint8_t got[4];

	peer_push(e, "last", 4);
	peer_eof(e);
	turn_until(fx, &e->eof, 1);
	assert_memory_equal(e->in, "last", 4);
	send_and_take(fx, e, &iov, 1, got, 4); /* half open: the other way still works */
	turn_for(fx, 20);
	assert_int_equal(e->eof + e->broken, 1);
	end_free(fx, e);
}

static void test_peer_resets(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	struct linger now = { .l_onoff = 1 };

	turn_for(fx, 10);
	if (e->peer) {
		sim_peer_break(e->peer, ECONNRESET);
	} else {
		setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(own_take_fd(&e->fd));
	}
	turn_until(fx, &e->broken, 1);
	turn_for(fx, 20);
	assert_int_equal(e->eof, 0);
	end_free(fx, e);
}

static void test_reset_while_paused_is_told_later(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	struct linger now = { .l_onoff = 1 };
	uint64_t turns;

	loop_stream_pause(&e->s);
	turn_for(fx, 10);
	if (e->peer) {
		sim_peer_break(e->peer, ECONNRESET);
	} else {
		setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(own_take_fd(&e->fd));
	}
	turns = clock_ms();
	turn_for(fx, 30);
	assert_true(clock_ms() >= turns);
	assert_int_equal(e->broken + e->eof, 0);
	loop_stream_resume(&e->s);
	turn_until(fx, &e->broken, 1);
	end_free(fx, e);
}

static void test_close_with_nothing_in_flight(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	char byte;

	turn_for(fx, 10);
	e->inside = true;
	loop_stream_close(&e->s);
	e->inside = false;
	turn_until(fx, &e->closed, 1);
	if (e->peer) {
		assert_true(sim_peer_closed(e->peer));
	} else {
		struct pollfd p = { .fd = e->fd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_true(recv(e->fd, &byte, 1, 0) <= 0);
	}
	assert_int_equal(e->eof + e->broken, 0);
	end_free(fx, e);
}

/* A stream that goes to another loop: the descriptor stays open, and bytes wait in the socket. */
static void test_release_and_open_again(struct fx *fx)
{
	struct end *e = end_new(fx, true);

	peer_push(e, "one", 3);
	turn_until(fx, &e->in_len, 3);
	e->inside = true;
	loop_stream_release(&e->s);
	e->inside = false;
	turn_until(fx, &e->closed, 1);
	assert_true(e->kept > 0 && fcntl(e->kept, F_GETFD) >= 0);
	peer_push(e, "two", 3);
	turn_for(fx, 10);
	assert_int_equal(e->in_len, 3);
	e->closed = 0;
	assert_int_equal(loop_stream_open(fx->loop, &e->s, e->kept, &end_ops), 0);
	turn_until(fx, &e->in_len, 6);
	assert_memory_equal(e->in, "onetwo", 6);
	end_free(fx, e);
}

/* Opened and closed before the kernel ever heard of it. */
static void test_close_at_once(struct fx *fx)
{
	struct end *e = end_new(fx, true);

	end_free(fx, e);
	e = end_new(fx, true);
	loop_stream_pause(&e->s);
	end_free(fx, e);
}

static void test_close_with_a_stalled_send(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	uint8_t *out = noise(8u << 20, 1);
	struct iovec iov = { out, 8u << 20 };

	if (e->peer)
		sim_window(e->peer, 1000);
	loop_stream_send(&e->s, &iov, 1);
	turn_for(fx, 30);
	assert_int_equal(e->sent, 0);
	peer_push(e, "x", 1);
	loop_stream_close(&e->s);
	turn_until(fx, &e->closed, 1);
	assert_int_equal(e->sent, 1);
	assert_true(e->sent_res < 0);
	assert_int_equal(e->in_len, 0);
	end_free(fx, e);
	free(out);
}

static void test_send_to_a_peer_that_is_gone(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	uint8_t *out = noise(8u << 20, 1);
	struct iovec iov = { out, 8u << 20 };

	if (e->peer)
		sim_window(e->peer, 1000);
	loop_stream_send(&e->s, &iov, 1);
	turn_for(fx, 20);
	if (e->peer)
		sim_peer_break(e->peer, EPIPE);
	else
		close(own_take_fd(&e->fd));
	turn_until(fx, &e->sent, 1);
	assert_true(e->sent_res < 0);
	end_free(fx, e);
	free(out);
}

static void test_close_inside_callbacks(struct fx *fx)
{
	struct end *e = end_new(fx, true);
	char bye[] = "bye";
	struct iovec iov = { bye, 3 };

	e->close_at_once = true;
	peer_push(e, "12345", 5);
	turn_until(fx, &e->closed, 1);
	assert_int_equal(e->calls, 1);
	end_free(fx, e);

	e = end_new(fx, true);
	e->close_when_sent = true;
	loop_stream_send(&e->s, &iov, 1);
	turn_until(fx, &e->closed, 1);
	assert_int_equal(e->sent_res, 0);
	end_free(fx, e);
}

/* ---- receive buffers ---- */

static void test_receive_buffers_run_out_and_come_back(struct fx *fx)
{
	struct end *e = end_new(fx, true), *other = end_new(fx, true);
	size_t len = 100000, at = 0;
	uint8_t *out = noise(len, 9);
	unsigned stuck;

	e->hold = true;
	assert_false(loop_rxbuf_scarce(fx->loop));
	for (unsigned i = 0; i < 200 && e->held_count < fx->opts.rx_bufs; i++) {
		at += peer_push(e, out + at, 100);
		turn_for(fx, 1);
	}
	assert_int_equal(e->held_count, fx->opts.rx_bufs);
	assert_true(loop_rxbuf_scarce(fx->loop));
	peer_push(other, "hello", 5);
	at += peer_push(e, out + at, 100);
	turn_for(fx, 30);
	stuck = e->in_len;
	assert_int_equal(other->in_len, 0);
	e->hold = false;
	while (e->held_count)
		loop_rxbuf_put(e->held[--e->held_count]);
	turn_until(fx, &other->in_len, 5);
	turn_until(fx, &e->in_len, (unsigned)at);
	assert_true(e->in_len > stuck);
	assert_false(loop_rxbuf_scarce(fx->loop));
	push_all(fx, e, out + at, len - at);
	assert_memory_equal(e->in, out, len);
	end_free(fx, e);
	end_free(fx, other);
	free(out);
}

/* ---- idle ---- */

static void stop_now(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop_self());
}

static uint64_t thread_cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void test_idle_is_asleep(struct fx *fx)
{
	struct end *ends[100];
	struct loop_timer stop;
	uint64_t cpu;

	for (unsigned i = 0; i < 100; i++) {
		ends[i] = end_new(fx, false);
		if (i % 4 == 0)
			loop_stream_pause(&ends[i]->s);
		if (i % 8 == 0)
			close(own_take_fd(&ends[i]->fd)); /* hung up while paused */
	}
	turn_for(fx, 50);
	loop_timer_init(&stop, stop_now);
	loop_timer_set(fx->loop, &stop, 300);
	cpu = thread_cpu_us();
	loop_run(fx->loop);
	cpu = thread_cpu_us() - cpu;
	assert_true(cpu < 10000);
	assert_true(loop_wait_ns(fx->loop) == -1);
	for (unsigned i = 0; i < 100; i++)
		end_free(fx, ends[i]);
}

/* ---- listeners ---- */

struct door {
	struct loop_listener l;
	int fds[64];
	unsigned count, errors, closed;
};

static void door_accepted(struct loop_listener *l, int fd)
{
	struct door *d = container_of(l, struct door, l);

	if (fd < 0) {
		d->errors++;
		return;
	}
	assert_true(d->count < 64);
	d->fds[d->count++] = fd;
}

static void door_closed(struct loop_listener *l)
{
	container_of(l, struct door, l)->closed++;
}

static void door_open(struct fx *fx, struct door *d, struct sockaddr_in *a)
{
	socklen_t len = sizeof *a;

	memset(d, 0, sizeof *d);
	*a = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	d->l.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	d->l.accepted = door_accepted;
	d->l.closed = door_closed;
	assert_int_equal(bind(d->l.fd, (struct sockaddr *)a, len), 0);
	assert_int_equal(listen(d->l.fd, 64), 0);
	assert_int_equal(getsockname(d->l.fd, (struct sockaddr *)a, &len), 0);
	loop_listener_start(fx->loop, &d->l);
}

static void door_shut(struct fx *fx, struct door *d)
{
	loop_listener_stop(fx->loop, &d->l);
	assert_int_equal(d->closed, 0);
	turn_until(fx, &d->closed, 1);
	assert_int_equal(d->closed, 1);
	close(d->l.fd); /* still ours */
	for (unsigned i = 0; i < d->count; i++)
		close(d->fds[i]);
}

static void test_listener_accepts_until_stopped(struct fx *fx)
{
	struct sockaddr_in a;
	struct door d;
	int fds[40];

	door_open(fx, &d, &a);
	for (unsigned i = 0; i < 40; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&a, sizeof a), 0);
		if (i % 10 == 0)
			turn_for(fx, 1);
	}
	turn_until(fx, &d.count, 40);
	assert_int_equal(d.errors, 0);
	for (unsigned i = 0; i < 40; i++) {
		assert_true(fcntl(d.fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(d.fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
	door_shut(fx, &d);
}

static void test_listener_stopped_at_once(struct fx *fx)
{
	struct sockaddr_in a;
	struct door d;

	door_open(fx, &d, &a);
	door_shut(fx, &d);
}

static void test_listener_survives_want_of_descriptors(struct fx *fx)
{
	struct sockaddr_in a;
	struct rlimit lim, low;
	struct door d;
	int fd, fill[64], filled = 0;

	door_open(fx, &d,
		&a); /* no turn yet: io_uring looks at the limit when it is given the accept */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	getrlimit(RLIMIT_NOFILE, &lim);
	low = lim;
	low.rlim_cur = (rlim_t)fd + 1;
	setrlimit(RLIMIT_NOFILE, &low);
	while (filled < 64 && (fill[filled] = dup(fd)) >= 0)
		filled++;
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	turn_until(fx, &d.errors, 1);
	turn_for(fx, 50);
	assert_int_equal(d.errors, 1); /* it waits, and does not spin */
	setrlimit(RLIMIT_NOFILE, &lim);
	while (filled)
		close(fill[--filled]);
	turn_until(fx, &d.count, 1);
	close(fd);
	door_shut(fx, &d);
}

static void test_sim_listener(struct fx *fx)
{
	struct sim_peer *peer;
	struct sockaddr_in a;
	struct door d;

	door_open(fx, &d, &a);
	peer = sim_connect(&d.l);
	assert_int_equal(d.count, 1);
	assert_false(sim_peer_closed(peer));
	door_shut(fx, &d);
	assert_true(sim_peer_closed(peer));
	sim_peer_free(peer);
}

int main(void)
{
#define CASE(engines, name)                                                                        \
	{                                                                                          \
#name, test_##name, engines,                                                       \
		{                                                                                  \
			.cpu = -1                                                                  \
		}                                                                                  \
	}
	static const struct loop_case cases[] = {
		CASE(ENGINES_ALL, bytes_both_ways_unix),
		CASE(ENGINES_REAL, bytes_both_ways_tcp),
		CASE(ENGINES_ALL, send_many_pieces_to_a_slow_reader),
		CASE(ENGINES_ALL, pause_loses_nothing),
		CASE(ENGINES_ALL, pause_and_resume_at_once),
		CASE(ENGINES_ALL, peer_closes),
		CASE(ENGINES_ALL, peer_resets),
		CASE(ENGINES_ALL, reset_while_paused_is_told_later),
		CASE(ENGINES_ALL, close_with_nothing_in_flight),
		CASE(ENGINES_ALL, close_at_once),
		CASE(ENGINES_ALL, release_and_open_again),
		CASE(ENGINES_ALL, close_with_a_stalled_send),
		CASE(ENGINES_ALL, send_to_a_peer_that_is_gone),
		CASE(ENGINES_ALL, close_inside_callbacks),
		{ "receive_buffers_run_out_and_come_back",
			test_receive_buffers_run_out_and_come_back, ENGINES_ALL,
			{ .rx_bufs = 12, .rx_buf_size = 4096 } },
		CASE(ENGINES_REAL, idle_is_asleep),
		CASE(ENGINES_REAL, listener_accepts_until_stopped),
		CASE(ENGINES_REAL, listener_stopped_at_once),
		CASE(ENGINES_REAL, listener_survives_want_of_descriptors),
		CASE(4u, sim_listener),
	};

	return cases_run("loop", cases, own_array_len(cases));
}
