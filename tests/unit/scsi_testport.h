/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi_testport.h: the second SCSI port: a box of simulated loops, one volume in memory, one target
 * and nexuses of it, and commands that a test sends and looks at. Everything runs on one thread.
 */
#ifndef KURA_TESTS_UNIT_SCSI_TESTPORT_H
#define KURA_TESTS_UNIT_SCSI_TESTPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "target/loop/loop_sim.h"
#include "target/scsi/command.h"

#include <string.h>

#define TP_INITIATOR "iqn.2026-11.kura.test:a,i,0x00023d000001"
#define TP_TARGET    "iqn.2026-11.kura.test:box"
#define TP_LOOPS     2u
#define TP_NEXUSES   3u

struct tp_conf {
	uint32_t block_size, physical; /* 0: 512 */
	uint64_t blocks;               /* 0: 2048 */
	bool readonly, removable, thin;
	bool keyed; /* the unit says that its volume has a key, as if all commands were there */
	const char *layer, *options; /* one layer over the store, or NULL */
	const char *path;            /* a file volume there instead of memory */
	uint64_t data_max;           /* of the loops, 0: theirs */
	const char *state_dir;       /* where units keep what outlives them, or NULL */
};

struct tp {
	struct tp_conf conf;
	struct loop *loop[TP_LOOPS];
	struct scsi_domain *domain;
	struct vol *vol;
	struct scsi_lun *lun; /* mapped as LUN 0 and LUN 300 */
	struct scsi_target *target;
	struct scsi_nexus nexus[TP_NEXUSES]; /* 0 and 1 on loop 0, 2 on loop 1 */
	bool open[TP_NEXUSES];
	unsigned drained;
	uint32_t bs; /* block size */
};

struct tp_cmd {
	struct scsi_task task;
	struct tp *tp;
	uint8_t *out;        /* data-out */
	unsigned pieces;     /* in how many pieces it is given, 0: one */
	bool hold_data;      /* do not answer get_data until tp_give */
	bool lent;           /* data-in may be the volume's own memory */
	enum scsi_attr attr; /* UNTAGGED: it is sent as SIMPLE */
	int data_err;        /* what scsi_task_data says */
	uint32_t asked;      /* what get_data asked for, 0: nothing */
	unsigned done;       /* times that done() came */
	bool inside;         /* scsi_task_submit is on the stack: done() must not come */
	struct iovec iov[8];
	struct loop_hook later;
};

/* A box; every nexus is open and its unit attentions are cleared. */
struct tp *tp_new(const struct tp_conf *conf);
/* The same with the unit attentions of a fresh nexus. */
struct tp *tp_new_fresh(const struct tp_conf *conf);
/* Closes everything. */
void tp_free(struct tp *tp);
/* Turns all loops until none has anything to do. */
void tp_run(struct tp *tp);
/* Lets time pass on all loops. */
void tp_advance(struct tp *tp, uint32_t ms);
/* Makes the loop of nexus `n` the running one, for calls from the test. */
void tp_enter(struct tp *tp, unsigned n);
/* Closes nexus `n` and opens it again when asked to. */
void tp_close_nexus(struct tp *tp, unsigned n);
void tp_open_nexus(struct tp *tp, unsigned n);

/* Starts a command of nexus `n` to LUN 0, without waiting. Fields that were set before (lun_field,
 * tag, hold_data, lent, pieces) are kept. */
void tp_start(struct tp *tp, unsigned n, struct tp_cmd *c, const uint8_t *cdb, size_t len,
	uint32_t in_room, void *out, uint32_t out_room);
/* The same on nexus 0, until it is over. */
void tp_exec(struct tp *tp, struct tp_cmd *c, const uint8_t *cdb, size_t len, uint32_t in_room,
	void *out, uint32_t out_room);
/* Answers get_data of a command with hold_data. */
void tp_give(struct tp_cmd *c);
/* Fresh memory of a command; the old result is given back. */
void tp_clean(struct tp_cmd *c);

#define CDB_(...)    (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define TP_CMD(name) struct tp_cmd name __attribute__((cleanup(tp_clean))) = { .done = 0 }
#define TP_BOX(name) struct tp *name __attribute__((cleanup(tp_box_free)))
static inline void tp_box_free(struct tp **tp)
{
	tp_free(*tp);
}

/* ---- what is expected ---- */

void tp_assert_good(const struct tp_cmd *c, const char *file, int line);
void tp_assert_sense(
	const struct tp_cmd *c, uint8_t key, uint8_t asc, uint8_t ascq, const char *file, int line);
void tp_assert_field(
	const struct tp_cmd *c, bool cdb, unsigned byte, int bit, const char *file, int line);
void tp_assert_info(const struct tp_cmd *c, uint32_t info, const char *file, int line);

#define assert_good(c)                  tp_assert_good(c, __FILE__, __LINE__)
#define assert_sense(c, key, asc, ascq) tp_assert_sense(c, key, asc, ascq, __FILE__, __LINE__)
/* 24/00 that points at a bit of the CDB; 26/00 that points into the parameter list */
#define assert_field(c, byte, bit)      tp_assert_field(c, true, byte, bit, __FILE__, __LINE__)
#define assert_list_field(c, byte, bit) tp_assert_field(c, false, byte, bit, __FILE__, __LINE__)
#define assert_info(c, info)            tp_assert_info(c, info, __FILE__, __LINE__)

/* Common tests of a read and a write of `blocks` at `lba` by CDBs of ten bytes. */
void tp_write10(struct tp *tp, struct tp_cmd *c, uint32_t lba, uint16_t blocks, void *data);
void tp_read10(struct tp *tp, struct tp_cmd *c, uint32_t lba, uint16_t blocks);
/* `len` bytes that depend on the place and on `seed`. */
void tp_fill(uint8_t *p, size_t len, unsigned seed);

#endif
