/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sess.h: one iSCSI session of the generator: connection, numbering, and PDUs both ways. It keeps
 * to RFC 7143 with one connection and error recovery level 0, and checks that the target does too.
 * A session belongs to one thread at a time.
 */
#ifndef KURA_TESTS_BENCH_SESS_H
#define KURA_TESTS_BENCH_SESS_H

#include "tests/bench/opts.h"
#include "tests/bench/tx.h"

#include <stdbool.h>
#include <stdint.h>

#define SESS_BHS      48
#define SESS_NO_TAG   0xffffffffu
#define SESS_TEXT_MAX 16384

/* Opcodes, RFC 7143 11.2.1.2 */
enum sess_op {
	OP_NOP_OUT = 0x00,
	OP_SCSI_COMMAND = 0x01,
	OP_LOGIN = 0x03,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT = 0x06,
	OP_IMMEDIATE = 0x40,
	OP_NOP_IN = 0x20,
	OP_SCSI_RESPONSE = 0x21,
	OP_LOGIN_RESPONSE = 0x23,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RESPONSE = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC = 0x32,
	OP_REJECT = 0x3f,
};

struct task {
	uint32_t itt;        /* initiator task tag; its low 16 bits are the slot */
	bool busy;           /* in flight */
	bool write;          /* direction */
	uint8_t *buf;        /* where data goes or comes from; NULL: read data is dropped */
	uint32_t len;        /* bytes to move */
	uint32_t moved;      /* bytes received, or handed to the queue */
	uint32_t data_sn;    /* the next DataSN of Data-In */
	uint32_t r2t_sn;     /* the next R2TSN */
	uint64_t chunk;      /* the user's: which place */
	uint32_t gen;        /* the user's: which write of it */
	uint64_t started_ns; /* when it was queued */
};

/* What the login came to. */
struct params {
	bool header_digest, data_digest, immediate, initial_r2t;
	uint32_t target_max_recv; /* the target's MaxRecvDataSegmentLength */
	uint32_t max_burst, first_burst, max_r2t;
};

struct rx {
	uint8_t *buf;          /* the receive buffer */
	size_t have;           /* bytes in it */
	uint8_t hdr[SESS_BHS]; /* the PDU whose data is being taken */
	bool in_data;          /* its header is done, its data is not */
	uint32_t data_len;     /* its data segment */
	uint32_t data_left;    /* of that, still to come */
	uint32_t tail_len;     /* padding and digest behind the data */
	uint32_t crc;          /* running data digest */
	uint8_t *to;           /* where the data goes; NULL: nowhere */
	struct task *task;     /* of a Data-In */
};

struct sess {
	const struct opts *o;
	unsigned int number; /* for messages */
	int fd;
	char why[256];       /* why it failed; empty: it did not */
	char complaint[256]; /* the first breach that does not stop it */
	unsigned int complaints;
	uint32_t cmd_sn;      /* of the next command */
	uint32_t max_cmd_sn;  /* the last one the target takes now */
	uint32_t exp_stat_sn; /* the next StatSN */
	struct params p;
	uint8_t lun[8];
	struct tx tx;
	struct rx rx;
	uint8_t text[SESS_TEXT_MAX]; /* data of the last PDU that is not Data-In */
	uint8_t login_flags;         /* byte 1 of the last login response */
	bool answered;               /* a login or logout response has come */
	struct task *tasks;          /* one per slot */
	uint16_t *free_slots;
	unsigned int nfree, ntasks;
	uint64_t now_ns; /* when the bytes at hand were received, or the turn began */
	void (*done)(struct sess *s, struct task *t, uint8_t status);
	void *owner; /* of `done` */
};

/* The monotonic clock in nanoseconds. */
uint64_t sess_now_ns(void);

/* Connects to the portal; `o` is *kept*. Returns 0 or a negative errno with `why` set. */
int sess_open(struct sess *s, const struct opts *o, unsigned int number);

/* Closes and frees what the session holds. */
void sess_close(struct sess *s);

/* Notes why the session cannot go on (the first reason stays) and returns -EPROTO. */
int sess_fail(struct sess *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Notes a breach of the protocol that does not stop the session. */
void sess_complain(struct sess *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Queues a PDU: `h` is completed (lengths, ExpStatSN, digests) and copied; `data` is *kept until
 * sent*. */
void sess_send(struct sess *s, uint8_t h[SESS_BHS], const void *data, uint32_t len);

/* One recv (waiting unless `flags` has MSG_DONTWAIT) and all the PDUs it completes. Returns 0,
 * -EAGAIN when nothing came, or a negative errno with `why` set. */
int sess_receive(struct sess *s, int flags);

/* Whether the target's window and our slots allow one more command. */
bool sess_may_start(const struct sess *s);

/* Sends the queue and receives until `answered`. Returns 0 or a negative errno with `why` set. */
int sess_await(struct sess *s);

/* login.c: brings a connected session to full feature phase. Returns 0 or a negative errno with
 * `why` set. */
int login_run(struct sess *s);

/* login.c: logs out and waits for the answer. Returns 0 or a negative errno with `why` set. */
int login_out(struct sess *s);

/* xfer.c: queues a SCSI command in a free slot and its unsolicited data; `cdb` is copied, `buf` is
 * *kept until done*. Returns the task, *borrowed until done*. */
struct task *xfer_start(
	struct sess *s, const uint8_t cdb[16], bool write, uint8_t *buf, uint32_t len);

/* xfer.c: the parts of the PDUs that belong to a SCSI task; `h` is borrowed. Each returns 0 or a
 * negative errno with `why` set. */
int xfer_data_in_begin(struct sess *s, const uint8_t *h);
int xfer_data_in_end(struct sess *s, const uint8_t *h);
int xfer_r2t(struct sess *s, const uint8_t *h);
int xfer_response(struct sess *s, const uint8_t *h);

/* disk.c: one command at a time, before the load starts. Returns the SCSI status, or a negative
 * errno with `why` set; `got` is how many bytes came. */
int disk_command(struct sess *s, const uint8_t cdb[16], uint8_t *buf, uint32_t len, uint32_t *got);

/* disk.c: waits for TEST UNIT READY and asks for the capacity. Returns 0 or a negative errno with
 * `why` set. */
int disk_probe(struct sess *s, uint64_t *blocks, uint32_t *block_bytes);

#endif
