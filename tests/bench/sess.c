/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess.c: see sess.h. Bytes are taken from the receive buffer as they lie: a header is looked at
 * when it is whole, data is consumed in pieces, and at most a part of a header is ever moved.
 */
#include "tests/bench/sess.h"

#include "common/be.h"
#include "tests/bench/crc.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RX_BYTES (256 * 1024)

uint64_t sess_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int sess_fail(struct sess *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!s->why[0])
		vsnprintf(s->why, sizeof s->why, fmt, ap);
	va_end(ap);
	return -EPROTO;
}

void sess_complain(struct sess *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!s->complaints++)
		vsnprintf(s->complaint, sizeof s->complaint, fmt, ap);
	va_end(ap);
}

/* ---- connection ---- */

static int connect_first(const struct addrinfo *list)
{
	int err = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			return fd;
		err = -errno;
		if (fd >= 0)
			close(fd);
	}
	return err;
}

static int sess_connect(struct sess *s)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	const struct timeval second = { .tv_sec = 1 };
	const int one = 1;
	struct addrinfo *list;
	int err = getaddrinfo(s->o->host, s->o->port, &hints, &list);

	if (err)
		return sess_fail(s, "%s: %s", s->o->host, gai_strerror(err));
	s->fd = connect_first(list);
	freeaddrinfo(list);
	if (s->fd < 0)
		return sess_fail(s, "cannot connect to %s port %s: %s", s->o->host, s->o->port,
			strerror(-s->fd));
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
	return 0;
}

static void lun_build(uint8_t lun[8], unsigned int n)
{
	/* SAM-5 4.7: peripheral addressing below 256, flat space above. */
	memset(lun, 0, 8);
	lun[0] = (uint8_t)(n < 256 ? 0 : 0x40 | n >> 8);
	lun[1] = (uint8_t)n;
}

int sess_open(struct sess *s, const struct opts *o, unsigned int number)
{
	memset(s, 0, sizeof *s);
	s->o = o;
	s->number = number;
	s->fd = -1;
	s->cmd_sn = 1;
	s->ntasks = s->nfree = o->depth;
	s->rx.buf = malloc(RX_BYTES);
	s->tasks = calloc(s->ntasks, sizeof *s->tasks);
	s->free_slots = calloc(s->ntasks, sizeof *s->free_slots);
	if (!s->rx.buf || !s->tasks || !s->free_slots)
		return sess_fail(s, "out of memory");
	for (unsigned int i = 0; i < s->ntasks; i++)
		s->free_slots[i] = (uint16_t)i;
	lun_build(s->lun, o->lun);
	return sess_connect(s);
}

void sess_close(struct sess *s)
{
	if (s->fd >= 0)
		close(s->fd);
	tx_fini(&s->tx);
	free(s->rx.buf);
	free(s->tasks);
	free(s->free_slots);
}

/* ---- sending ---- */

bool sess_may_start(const struct sess *s)
{
	/* RFC 7143 4.2.2.1: serial number arithmetic of RFC 1982 */
	return s->nfree && (int32_t)(s->max_cmd_sn - s->cmd_sn) >= 0;
}

static void send_tail(struct sess *s, const void *data, uint32_t len)
{
	uint32_t pad = -len & 3;
	uint8_t *tail;
	uint32_t crc;

	if (!pad && !s->p.data_digest)
		return;
	tail = tx_bytes(&s->tx, pad + (s->p.data_digest ? 4 : 0));
	memset(tail, 0, pad);
	if (!s->p.data_digest)
		return;
	crc = crc_add(CRC_INIT, data, len);
	crc_store(tail + pad, crc_add(crc, tail, pad));
}

void sess_send(struct sess *s, uint8_t h[SESS_BHS], const void *data, uint32_t len)
{
	uint8_t *p = tx_bytes(&s->tx, SESS_BHS + (s->p.header_digest ? 4 : 0));

	be24_store(h + 5, len);
	be32_store(h + 28, s->exp_stat_sn);
	memcpy(p, h, SESS_BHS);
	if (s->p.header_digest)
		crc_store(p + SESS_BHS, crc_add(CRC_INIT, p, SESS_BHS));
	if (!len)
		return;
	tx_data(&s->tx, data, len);
	send_tail(s, data, len);
}

/* ---- what the target says ---- */

/* Takes StatSN of a PDU that carries a status (RFC 7143 4.2.2.2). */
static int take_stat_sn(struct sess *s, const uint8_t *h)
{
	uint32_t sn = be32_load(h + 24);

	if (sn != s->exp_stat_sn)
		return sess_fail(
			s, "StatSN %u where %u is next (opcode 0x%02x)", sn, s->exp_stat_sn, h[0]);
	s->exp_stat_sn++;
	return 0;
}

/* Takes ExpCmdSN and MaxCmdSN (RFC 7143 4.2.2.1: old values are ignored). */
static void take_window(struct sess *s, const uint8_t *h)
{
	uint32_t exp = be32_load(h + 28);
	uint32_t max = be32_load(h + 32);

	if ((int32_t)(max - exp) < -1)
		return;
	if ((int32_t)(max - s->max_cmd_sn) > 0)
		s->max_cmd_sn = max;
	if ((int32_t)(exp - s->cmd_sn) > 0)
		sess_complain(s, "ExpCmdSN %u, but %u was not sent yet", exp, s->cmd_sn);
}

static int nop_in(struct sess *s, const uint8_t *h)
{
	uint8_t out[SESS_BHS] = { OP_NOP_OUT | OP_IMMEDIATE, 0x80 };

	if (be32_load(h + 20) == SESS_NO_TAG)
		return 0;
	/* RFC 7143 11.18.2: the target's tag and LUN come back, our own tag is reserved. */
	memcpy(out + 8, h + 8, 8);
	be32_store(out + 16, SESS_NO_TAG);
	memcpy(out + 20, h + 20, 4);
	be32_store(out + 24, s->cmd_sn);
	sess_send(s, out, NULL, 0);
	return 0;
}

static int answered(struct sess *s, const uint8_t *h)
{
	s->login_flags = h[1];
	s->answered = true;
	return 0;
}

static int login_response(struct sess *s, const uint8_t *h)
{
	if (h[36])
		return sess_fail(s, "login refused: status class %u detail %u (RFC 7143 11.13.5)",
			h[36], h[37]);
	s->exp_stat_sn = be32_load(h + 24) + 1;
	s->max_cmd_sn = be32_load(h + 32);
	return answered(s, h);
}

static int pdu_begin(struct sess *s, const uint8_t *h)
{
	if (h[0] == OP_DATA_IN)
		return xfer_data_in_begin(s, h);
	if (s->rx.data_len > sizeof s->text)
		return sess_fail(s, "opcode 0x%02x with %u bytes of data", h[0], s->rx.data_len);
	s->rx.to = s->text;
	return 0;
}

/* Whether the PDU takes a place in the StatSN row; a ping of the target does not (11.19.3). */
static bool carries_status(const uint8_t *h)
{
	switch (h[0]) {
	case OP_DATA_IN:
		return h[1] & 1;
	case OP_NOP_IN:
		return be32_load(h + 16) != SESS_NO_TAG;
	case OP_R2T:
	case OP_LOGIN_RESPONSE:
		return false;
	default:
		return true;
	}
}

static int pdu_end(struct sess *s, const uint8_t *h)
{
	int err = carries_status(h) ? take_stat_sn(s, h) : 0;

	if (err)
		return err;
	take_window(s, h);
	switch (h[0]) {
	case OP_DATA_IN:
		return xfer_data_in_end(s, h);
	case OP_SCSI_RESPONSE:
		return xfer_response(s, h);
	case OP_R2T:
		return xfer_r2t(s, h);
	case OP_NOP_IN:
		return nop_in(s, h);
	case OP_LOGIN_RESPONSE:
		return login_response(s, h);
	case OP_LOGOUT_RESPONSE:
		return answered(s, h);
	case OP_REJECT:
		return sess_fail(s, "the target rejects a PDU: reason 0x%02x, opcode 0x%02x", h[2],
			s->rx.data_len ? s->text[0] : 0xff);
	case OP_ASYNC:
		return sess_fail(s, "asynchronous message, event %u", h[36]);
	default:
		return sess_fail(s, "opcode 0x%02x is not a target's", h[0]);
	}
}

/* ---- receiving: each step takes bytes at `p` and says how many; 0 asks for more ---- */

static int header_step(struct sess *s, const uint8_t *p, size_t left)
{
	struct rx *rx = &s->rx;
	size_t need = SESS_BHS + (s->p.header_digest ? 4 : 0);
	int err;

	if (left < need)
		return 0;
	if (s->p.header_digest && !crc_matches(p + SESS_BHS, crc_add(CRC_INIT, p, SESS_BHS)))
		return sess_fail(s, "wrong header digest (opcode 0x%02x)", p[0]);
	memcpy(rx->hdr, p, SESS_BHS);
	rx->data_len = rx->data_left = be24_load(p + 5);
	rx->tail_len = rx->data_len ? (-rx->data_len & 3) + (s->p.data_digest ? 4 : 0) : 0;
	rx->crc = CRC_INIT;
	if (p[4])
		return sess_fail(s, "opcode 0x%02x with an additional header", p[0]);
	if (rx->data_len > s->o->max_recv)
		return sess_fail(s, "a data segment of %u bytes, %u is the most we declared",
			rx->data_len, s->o->max_recv);
	err = pdu_begin(s, rx->hdr);
	if (err)
		return err;
	rx->in_data = rx->data_len;
	if (!rx->in_data)
		err = pdu_end(s, rx->hdr);
	return err ? err : (int)need;
}

static int data_step(struct sess *s, const uint8_t *p, size_t left)
{
	struct rx *rx = &s->rx;
	uint32_t n = left < rx->data_left ? (uint32_t)left : rx->data_left;
	int err = 0;

	if (s->p.data_digest)
		rx->crc = crc_add(rx->crc, p, n);
	if (rx->to) {
		memcpy(rx->to, p, n);
		rx->to += n;
	}
	rx->data_left -= n;
	if (!rx->data_left && !rx->tail_len) {
		rx->in_data = false;
		err = pdu_end(s, rx->hdr);
	}
	return err ? err : (int)n;
}

static int tail_step(struct sess *s, const uint8_t *p, size_t left)
{
	struct rx *rx = &s->rx;
	uint32_t pad = -rx->data_len & 3;
	int err;

	if (left < rx->tail_len)
		return 0;
	if (s->p.data_digest && !crc_matches(p + pad, crc_add(rx->crc, p, pad)))
		return sess_fail(s, "wrong data digest (opcode 0x%02x)", rx->hdr[0]);
	rx->in_data = false;
	err = pdu_end(s, rx->hdr);
	return err ? err : (int)rx->tail_len;
}

static int rx_step(struct sess *s, const uint8_t *p, size_t left)
{
	if (!s->rx.in_data)
		return header_step(s, p, left);
	return s->rx.data_left ? data_step(s, p, left) : tail_step(s, p, left);
}

int sess_receive(struct sess *s, int flags)
{
	struct rx *rx = &s->rx;
	ssize_t n = recv(s->fd, rx->buf + rx->have, RX_BYTES - rx->have, flags);
	size_t at = 0;
	int took = 1;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return sess_fail(
			s, "connection lost: %s", n ? strerror(errno) : "closed by target");
	s->now_ns = sess_now_ns();
	rx->have += (size_t)n;
	while (at < rx->have && took > 0) {
		took = rx_step(s, rx->buf + at, rx->have - at);
		at += took > 0 ? (size_t)took : 0;
	}
	if (took < 0)
		return took;
	rx->have -= at;
	memmove(rx->buf, rx->buf + at, rx->have);
	return 0;
}

int sess_await(struct sess *s)
{
	uint64_t until_ns = sess_now_ns() + (uint64_t)(s->o->patience * 1e9);
	int err = tx_flush(&s->tx, s->fd);

	while (!err && !s->answered) {
		err = sess_receive(s, 0);
		if (err == -EAGAIN && sess_now_ns() > until_ns)
			return sess_fail(s, "no answer");
		if (!err || err == -EAGAIN)
			err = tx_flush(&s->tx, s->fd);
	}
	if (err)
		sess_fail(s, "connection lost: %s", strerror(-err));
	return err;
}
