/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pr.h: commands of reservations over the test port, for the tests of them.
 */
#ifndef KURA_TESTS_UNIT_PR_H
#define KURA_TESTS_UNIT_PR_H

#include "tests/unit/scsi_testport.h"

#include "target/scsi/reservation.h"

#define WE    RES_WRITE_EXCLUSIVE
#define EA    RES_EXCLUSIVE_ACCESS
#define WE_RO RES_WRITE_EXCLUSIVE_RO
#define EA_RO RES_EXCLUSIVE_ACCESS_RO
#define WE_AR RES_WRITE_EXCLUSIVE_AR
#define EA_AR RES_EXCLUSIVE_ACCESS_AR

struct pr {
	enum res_action action;
	uint8_t type, scope;
	uint64_t key, sark;
	uint8_t flags;       /* byte 20: SPEC_I_PT 8, ALL_TG_PT 4, APTPL 1 */
	const uint8_t *more; /* behind 24 bytes */
	uint32_t more_len;
};

/* Begins a PERSISTENT RESERVE OUT command of nexus `n`; `list` has its parameters until it is
 * over. */
static inline void pr_start(
	struct tp *tp, unsigned n, struct tp_cmd *c, const struct pr *pr, uint8_t list[1024])
{
	uint8_t cdb[10] = { 0x5f, (uint8_t)pr->action, (uint8_t)(pr->scope << 4 | pr->type) };

	memset(list, 0, 1024);
	be64_store(list, pr->key);
	be64_store(list + 8, pr->sark);
	list[20] = pr->flags;
	if (pr->more_len)
		memcpy(list + 24, pr->more, pr->more_len);
	be32_store(cdb + 5, 24 + pr->more_len);
	tp_start(tp, n, c, cdb, sizeof cdb, 0, list, 24 + pr->more_len);
}

/* The same until it is over; its status. */
static inline uint8_t pr_out(struct tp *tp, unsigned n, struct tp_cmd *c, const struct pr *pr)
{
	uint8_t list[1024];

	pr_start(tp, n, c, pr, list);
	tp_run(tp);
	assert_int_equal(c->done, 1);
	return c->task.status;
}

#define PR_OUT(tp, n, ...)                                                                         \
	({                                                                                         \
		TP_CMD(pr_cmd_);                                                                   \
		pr_out(tp, n, &pr_cmd_, &(struct pr){ .action = __VA_ARGS__ });                    \
	})

/* Registers nexus `n` with a key. */
static inline void pr_register(struct tp *tp, unsigned n, uint64_t key)
{
	assert_int_equal(PR_OUT(tp, n, RES_OUT_REGISTER_IGNORE, .sark = key), SCSI_GOOD);
}

/* A PERSISTENT RESERVE IN command of nexus `n`. */
static inline uint8_t pr_in(
	struct tp *tp, unsigned n, struct tp_cmd *c, uint8_t action, uint16_t len)
{
	uint8_t cdb[10] = { 0x5e, action };

	be16_store(cdb + 7, len);
	tp_start(tp, n, c, cdb, sizeof cdb, len, NULL, 0);
	tp_run(tp);
	assert_int_equal(c->done, 1);
	return c->task.status;
}

/* A command of six bytes without data. */
static inline uint8_t pr_plain(struct tp *tp, unsigned n, uint8_t opcode)
{
	TP_CMD(c);

	tp_start(tp, n, &c, CDB_(opcode, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_int_equal(c.done, 1);
	return c.task.status;
}

/* A read or a write of a block. */
static inline uint8_t pr_move(struct tp *tp, unsigned n, bool write)
{
	static uint8_t block[512];
	TP_CMD(c);

	tp_start(tp, n, &c, CDB_(write ? 0x2a : 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), write ? 0 : 512,
		block, write ? 512 : 0);
	tp_run(tp);
	assert_int_equal(c.done, 1);
	return c.task.status;
}

/* The next unit attention of nexus `n`, or 0. */
static inline uint16_t pr_attention(struct tp *tp, unsigned n)
{
	uint16_t code = scsi_itl_take(&tp->nexus[n].itl[0]);

	if (code) /* its other LUN is the same unit */
		scsi_itl_take(&tp->nexus[n].itl[1]);
	return code;
}

/* The keys, of which there are `count`, and PRGENERATION. */
static inline void pr_expect_keys(
	struct tp *tp, uint32_t generation, unsigned count, const uint64_t *keys)
{
	TP_CMD(c);

	assert_int_equal(pr_in(tp, 1, &c, 0, 1024), SCSI_GOOD);
	assert_int_equal(c.task.in_len, 8 + 8 * count);
	assert_int_equal(be32_load(c.task.in_data), generation);
	assert_int_equal(be32_load(c.task.in_data + 4), 8 * count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(be64_load(c.task.in_data + 8 + 8 * i), keys[i]);
}

#define EXPECT_KEYS(tp, generation, ...)                                                           \
	pr_expect_keys(tp, generation, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8,                    \
		(const uint64_t[]){ __VA_ARGS__ })

/* The reservation: its type and key; type 0: none. */
static inline void pr_expect_reservation(struct tp *tp, uint8_t type, uint64_t key)
{
	TP_CMD(c);

	assert_int_equal(pr_in(tp, 1, &c, 1, 64), SCSI_GOOD);
	assert_int_equal(c.task.in_len, type ? 24 : 8);
	assert_int_equal(be32_load(c.task.in_data + 4), type ? 16 : 0);
	if (type) {
		assert_int_equal(c.task.in_data[21], type);
		assert_int_equal(be64_load(c.task.in_data + 8), key);
	}
}

#endif
