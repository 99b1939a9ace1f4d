/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tx.h: what a session has to send. Headers are copied in, data is only pointed to, and one
 * sendmsg takes all of it; what the socket does not take now stays queued.
 */
#ifndef KURA_TESTS_BENCH_TX_H
#define KURA_TESTS_BENCH_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define TX_IOVS 1024

struct tx_seg {
	const uint8_t *ext; /* data that lies outside; NULL: in `bytes` */
	size_t off;         /* where in `bytes` */
	size_t len;         /* bytes still to send */
};

struct tx {
	uint8_t *bytes; /* headers, small data, padding, digests */
	size_t used, cap;
	struct tx_seg *segs; /* in the order of the wire */
	size_t nsegs, segs_cap;
	size_t first;              /* the first segment not sent whole */
	bool blocked;              /* the socket took less than there was */
	struct iovec iov[TX_IOVS]; /* scratch of tx_flush */
};

/* Room for `len` bytes at the end of the queue; *returns borrowed until the next call*. */
uint8_t *tx_bytes(struct tx *q, size_t len);

/* Queues data that stays where it is; the caller *keeps it until sent*. */
void tx_data(struct tx *q, const void *data, size_t len);

/* Sends what the socket `fd` takes without waiting. Returns 0 (look at `blocked`), or a negative
 * errno when the connection is gone. */
int tx_flush(struct tx *q, int fd);

/* Frees what the queue holds, not the queue. */
void tx_fini(struct tx *q);

#endif
