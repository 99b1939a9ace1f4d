/* SPDX-License-Identifier: Apache-2.0 */
/* tx.c: see tx.h. Bytes that follow bytes join one segment, so 32 read commands are one iovec. */
#include "tests/bench/tx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void *grown(void *p, size_t count, size_t *cap, size_t size)
{
	if (count <= *cap)
		return p;
	while (*cap < count)
		*cap = *cap ? *cap * 2 : 256;
	p = realloc(p, *cap * size);
	if (!p) {
		perror("kura-bench");
		exit(1);
	}
	return p;
}

static struct tx_seg *tx_seg_add(struct tx *q)
{
	q->segs = grown(q->segs, q->nsegs + 1, &q->segs_cap, sizeof *q->segs);
	return &q->segs[q->nsegs++];
}

uint8_t *tx_bytes(struct tx *q, size_t len)
{
	struct tx_seg *last = q->nsegs > q->first ? &q->segs[q->nsegs - 1] : NULL;
	size_t off = q->used;

	q->bytes = grown(q->bytes, q->used + len, &q->cap, 1);
	q->used += len;
	if (last && !last->ext)
		last->len += len;
	else
		*tx_seg_add(q) = (struct tx_seg){ .off = off, .len = len };
	return q->bytes + off;
}

void tx_data(struct tx *q, const void *data, size_t len)
{
	*tx_seg_add(q) = (struct tx_seg){ .ext = data, .len = len };
}

static size_t gather(struct tx *q)
{
	size_t n = 0;

	for (size_t i = q->first; i < q->nsegs && n < TX_IOVS; i++, n++) {
		const struct tx_seg *s = &q->segs[i];
		const uint8_t *p = s->ext ? s->ext : q->bytes + s->off;

		q->iov[n] = (struct iovec){ .iov_base = (void *)(uintptr_t)p, .iov_len = s->len };
	}
	return n;
}

static void advance(struct tx *q, size_t sent)
{
	while (sent) {
		struct tx_seg *s = &q->segs[q->first];
		size_t n = sent < s->len ? sent : s->len;

		sent -= n;
		s->len -= n;
		if (s->ext)
			s->ext += n;
		else
			s->off += n;
		if (!s->len)
			q->first++;
	}
}

/* Moves what is left to the front, so that a queue that never runs empty does not grow for ever. */
static void compact(struct tx *q)
{
	size_t base = q->used;

	for (size_t i = q->nsegs; i-- > q->first;)
		base = q->segs[i].ext ? base : q->segs[i].off;
	memmove(q->bytes, q->bytes + base, q->used - base);
	q->used -= base;
	q->nsegs -= q->first;
	memmove(q->segs, q->segs + q->first, q->nsegs * sizeof *q->segs);
	q->first = 0;
	for (size_t i = 0; i < q->nsegs; i++)
		q->segs[i].off -= q->segs[i].ext ? 0 : base;
}

int tx_flush(struct tx *q, int fd)
{
	while (q->first < q->nsegs) {
		struct msghdr m = { .msg_iov = q->iov, .msg_iovlen = gather(q) };
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			q->blocked = true;
			if (q->first >= TX_IOVS)
				compact(q);
			return 0;
		}
		advance(q, (size_t)n);
	}
	q->first = q->nsegs = q->used = 0;
	q->blocked = false;
	return 0;
}

void tx_fini(struct tx *q)
{
	free(q->bytes);
	free(q->segs);
	q->bytes = NULL;
	q->segs = NULL;
}
