/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CDBs of variable length: what is wrong with one, ORWRITE(32) with its generations, and GET LBA
 * STATUS(32) with its report types.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

#define ROOM (64u * 512)

static uint8_t data[ROOM], back[ROOM];

static void assert_blocks(struct tp *tp, uint32_t lba, uint16_t blocks, const uint8_t *want)
{
	TP_CMD(c);

	tp_read10(tp, &c, lba, blocks);
	assert_memory_equal(c.task.in_data, want, blocks * tp->bs);
}

/* ---- what is wrong with a CDB ---- */

/* ORWRITE(32) of one block at 8, with some bytes changed. */
static void bad(struct tp *tp, struct tp_cmd *c, unsigned byte, uint8_t value, size_t len)
{
	uint8_t cdb[64] = { 0x7f, [7] = 0x18, [9] = 0x0e, [19] = 8, [31] = 1 };

	cdb[byte] = value;
	tp_exec(tp, c, cdb, len, 0, data, 512);
}

static void test_wrong_cdbs(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	bad(tp, &c, 9, 0x0f, 32); /* no such service action */
	assert_field(&c, 8, 7);
	bad(tp, &c, 8, 0x01, 32); /* 010Eh is not 0Eh */
	assert_field(&c, 8, 7);
	bad(tp, &c, 7, 0x14, 32); /* ADDITIONAL CDB LENGTH */
	assert_field(&c, 7, 7);
	bad(tp, &c, 7, 0x1c, 36);
	assert_field(&c, 7, 7);
	bad(tp, &c, 7, 0x19, 33);
	assert_field(&c, 7, 7);
	bad(tp, &c, 7, 0x18, 16); /* the rest did not come */
	assert_field(&c, 16, -1);
	bad(tp, &c, 7, 0x18, 28);
	assert_field(&c, 28, -1);
	bad(tp, &c, 1, 0x04, 32); /* NACA */
	assert_field(&c, 1, 2);
	bad(tp, &c, 5, 0x80, 32);
	assert_field(&c, 5, 7);
	bad(tp, &c, 10, 0x20, 32); /* ORPROTECT */
	assert_field(&c, 10, 7);
	bad(tp, &c, 10, 0x01, 32);
	assert_field(&c, 10, 0);
	bad(tp, &c, 12, 0x01, 32);
	assert_sense(&c, 0x5, 0x21, 0x00);
	bad(tp, &c, 2, 0x02, 32); /* BMOP */
	assert_field(&c, 2, 2);
	bad(tp, &c, 2, 0x08, 32);
	assert_field(&c, 2, 3);
	bad(tp, &c, 3, 0x10, 32);
	assert_field(&c, 3, 4);
	bad(tp, &c, 7, 0x18, 48); /* more came than it says: not looked at */
	assert_good(&c);
}

/* ---- ORWRITE(32) ---- */

struct orwrite {
	unsigned nexus;
	uint8_t bmop, policy;
	uint8_t lba, blocks;
	uint32_t expected, next;
};

static void orwrite_start(struct tp *tp, struct tp_cmd *c, const struct orwrite *o, uint8_t *bits)
{
	uint8_t cdb[32] = { 0x7f, [2] = o->bmop, [3] = o->policy, [7] = 0x18, [9] = 0x0e,
		[10] = 0x08, [19] = o->lba, [31] = o->blocks };

	be32_store(cdb + 20, o->expected);
	be32_store(cdb + 24, o->next);
	tp_start(tp, o->nexus, c, cdb, sizeof cdb, 0, bits, o->blocks * 512u);
}

static void orwrite(struct tp *tp, struct tp_cmd *c, const struct orwrite *o)
{
	orwrite_start(tp, c, o, data);
	tp_run(tp);
	assert_int_equal(c->done, 1);
}

#define ORWRITE(tp, c, ...) orwrite(tp, c, &(struct orwrite){ __VA_ARGS__ })

/* SBC-5 4.27.3, 4.27.4 */
static void test_orwrite32(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(back, 2048, 3);
	tp_write10(tp, &c, 20, 4, back);
	tp_fill(data, 2048, 9);
	c.pieces = 3;
	ORWRITE(tp, &c, .lba = 20, .blocks = 4);
	assert_good(&c);
	for (unsigned i = 0; i < 2048; i++)
		back[i] |= data[i];
	assert_blocks(tp, 20, 4, back);
	tp_fill(data, 2048, 11);
	c.pieces = 2;
	ORWRITE(tp, &c, .bmop = 1, .policy = 5, .next = 77, .lba = 20, .blocks = 4);
	assert_good(&c);
	for (unsigned i = 0; i < 2048; i++)
		back[i] &= data[i];
	assert_blocks(tp, 20, 4, back);
	ORWRITE(tp, &c, .bmop = 1, .policy = 5, .next = 78, .lba = 20, .blocks = 4);
	assert_sense(&c, 0x5, 0x2c, 0x0c); /* it is 77 now */
	assert_blocks(tp, 20, 4, back);
}

static const struct {
	uint8_t policy;
	const char *outcome; /* previous, other: Done, Nothing, Refused */
} policies[] = { { 0, "DR" }, { 2, "NR" }, { 3, "DD" }, { 5, "NN" }, { 7, "RR" } };

static void set_bit(struct tp *tp, uint32_t expected, char outcome)
{
	TP_CMD(c);

	memset(back, 0, 512);
	tp_write10(tp, &c, 3, 1, back);
	memset(data, 0x40, 512);
	ORWRITE(tp, &c, .nexus = 2, .lba = 3, .blocks = 1, .expected = expected);
	if (outcome == 'R')
		assert_sense(&c, 0x5, 0x2c, 0x0c);
	else
		assert_good(&c);
	assert_blocks(tp, 3, 1, outcome == 'D' ? data : back);
}

/* SBC-5 table 29 */
static void test_orwrite_policies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < own_array_len(policies); i++) {
		struct tp_conf conf = { 0 };
		TP_BOX(tp) = tp_new(&conf);
		TP_CMD(c);

		set_bit(tp, 0, 'D');
		set_bit(tp, 4, 'R'); /* it begins with policy 7 */
		ORWRITE(tp, &c, .bmop = 1, .next = 4, .policy = policies[i].policy);
		assert_good(&c); /* no blocks: the generation alone */
		ORWRITE(tp, &c, .bmop = 1, .expected = 4, .next = 5, .policy = policies[i].policy);
		assert_good(&c);
		set_bit(tp, 5, 'D');
		set_bit(tp, 4, policies[i].outcome[0]);
		set_bit(tp, 0, policies[i].outcome[1]);
	}
}

static void test_reserved_policies(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);

	(void)state;
	for (uint8_t policy = 0; policy < 16; policy++) {
		TP_CMD(c);

		ORWRITE(tp, &c, .bmop = 1, .policy = policy);
		if (policy == 0 || policy == 2 || policy == 3 || policy == 5 || policy == 7)
			assert_good(&c);
		else
			assert_field(&c, 3, 3);
		ORWRITE(tp, &c, .policy = policy); /* ignored in a set operation */
		assert_good(&c);
	}
}

static void reset_over(struct scsi_tmf *tmf)
{
	assert_int_equal(tmf->result, SCSI_TMF_COMPLETE);
}

static void reset(struct tp *tp, enum scsi_tmf_function function)
{
	struct scsi_tmf tmf = { .function = function, .nexus = &tp->nexus[0], .done = reset_over };

	tp_enter(tp, 0);
	scsi_tmf_submit(&tmf);
	tp_run(tp);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		for (unsigned i = 0; i < tp->nexus[n].itl_count; i++)
			tp->nexus[n].itl[i].ua_count = 0;
}

/* SBC-5 4.27.2.2: ORWRITE(16) is of generation 0. SBC-5 4.27.3: what outlives which reset. */
static void test_orwrite16_and_resets(void **state)
{
	static const uint8_t cdb[16] = { 0x8b, [9] = 3, [13] = 1 };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	memset(data, 0, sizeof data);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, data, 512);
	assert_good(&c);
	ORWRITE(tp, &c, .bmop = 1, .next = 9, .policy = 7);
	assert_good(&c);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, data, 512);
	assert_sense(&c, 0x5, 0x2c, 0x0c);
	reset(tp, SCSI_TMF_LUN_RESET);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, data, 512);
	assert_sense(&c, 0x5, 0x2c, 0x0c);
	reset(tp, SCSI_TMF_TARGET_RESET);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, data, 512);
	assert_good(&c);
}

/* Of two that begin a generation at the same time, on two loops and of other blocks, one does. */
static void test_changes_at_once(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(d);
	uint8_t bits[512] = { 0 };
	unsigned good;

	(void)state;
	orwrite_start(tp, &a,
		&(struct orwrite){ .bmop = 1, .policy = 7, .next = 1, .lba = 1, .blocks = 1 },
		bits);
	orwrite_start(tp, &b,
		&(struct orwrite){
			.nexus = 2, .bmop = 1, .policy = 7, .next = 2, .lba = 9, .blocks = 1 },
		bits);
	tp_run(tp);
	assert_int_equal(a.done, 1);
	assert_int_equal(b.done, 1);
	good = (a.task.status == SCSI_GOOD) + (b.task.status == SCSI_GOOD);
	assert_int_equal(good, 1);
	ORWRITE(tp, &d, .lba = 5, .blocks = 1, .expected = a.task.status == SCSI_GOOD ? 1 : 2);
	assert_good(&d);
}

static void test_orwrite_without_all_data(void **state)
{
	static const uint8_t cdb[32] = { 0x7f, [7] = 0x18, [9] = 0x0e, [19] = 20, [31] = 4 };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	memset(back, 0, 1024);
	memset(back, 0xff, 512);
	memset(data, 0xff, 2048);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, data, 1000); /* one whole block is there */
	assert_good(&c);
	assert_int_equal(c.task.want_out, 2048);
	assert_blocks(tp, 20, 2, back);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, data, 0);
	assert_good(&c);
}

/* ---- GET LBA STATUS(32) ---- */

struct ask {
	uint8_t type;
	uint32_t lba, scan, allocation;
};

static const uint8_t *ask_status(struct tp *tp, struct tp_cmd *c, const struct ask *ask)
{
	uint8_t cdb[32] = { 0x7f, [7] = 0x18, [9] = 0x12, [10] = ask->type };

	be64_store(cdb + 12, ask->lba);
	be32_store(cdb + 20, ask->scan);
	be32_store(cdb + 28, ask->allocation ? ask->allocation : 4096);
	tp_exec(tp, c, cdb, sizeof cdb, 8192, NULL, 0);
	return c->task.in_data;
}

#define STATUS(tp, c, ...) ask_status(tp, c, &(struct ask){ __VA_ARGS__ })

/* Data in 16..31 and at 256 of 2048 blocks. */
static struct tp *with_holes(const struct tp_conf *conf)
{
	struct tp *tp = tp_new(conf);
	TP_CMD(c);

	memset(data, 1, sizeof data);
	tp_write10(tp, &c, 16, 16, data);
	tp_write10(tp, &c, 256, 8, data);
	return tp;
}

static void assert_runs(const struct tp_cmd *c, unsigned ended, const char *runs, size_t count)
{
	assert_good(c);
	assert_int_equal(c->task.in_len, 8 + 16 * count);
	assert_int_equal(be32_load(c->task.in_data), 4 + 16 * count);
	assert_int_equal(be32_load(c->task.in_data + 4), ended << 1 | 1);
	for (size_t i = 0; i < count; i++, runs += 6) {
		const uint8_t *p = c->task.in_data + 8 + 16 * i;

		assert_int_equal(be64_load(p), be16_load((const uint8_t *)runs));
		assert_int_equal(be32_load(p + 8), be16_load((const uint8_t *)runs + 2));
		assert_int_equal(be32_load(p + 12), (uint32_t)(uint8_t)runs[4] << 24);
	}
}

/* LBA, blocks, status; two bytes each but the last, and one to keep them apart */
#define RUNS(text) text, sizeof(text) / 6

static void test_status_of_all(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = with_holes(&conf);
	TP_CMD(c);

	(void)state;
	STATUS(tp, &c, .type = 0);
	assert_runs(&c, 3,
		RUNS("\0\0\0\x10\1|\0\x10\0\x10\0|\0\x20\0\xe0\1|\1\0\0\x08\0|\1\x08\6\xf8\1|"));
	STATUS(tp, &c, .lba = 20, .scan = 40); /* up to 59 */
	assert_runs(&c, 2, RUNS("\0\x14\0\x0c\0|\0\x20\0\x1c\1|"));
	STATUS(tp, &c, .lba = 2047, .scan = 9);
	assert_runs(&c, 3, RUNS("\7\xff\0\1\1|"));
	STATUS(tp, &c, .lba = 2048);
	assert_sense(&c, 0x5, 0x21, 0x00);
}

static void test_status_types(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = with_holes(&conf);
	TP_CMD(c);

	(void)state;
	STATUS(tp, &c, .type = 1, .scan = 40);
	assert_runs(&c, 2, RUNS("\0\0\0\x10\1|\0\x10\0\x10\3|\0\x20\0\x08\1|"));
	STATUS(tp, &c, .type = 2);
	assert_runs(&c, 3, RUNS("\0\x10\0\x10\3|\1\0\0\x08\3|"));
	STATUS(tp, &c, .type = 3, .lba = 18);
	assert_runs(&c, 3, RUNS("\0\x20\0\xe0\1|\1\x08\6\xf8\1|"));
	STATUS(tp, &c, .type = 4);
	assert_runs(&c, 3, "", 0);
	STATUS(tp, &c, .type = 0x10, .scan = 5);
	assert_runs(&c, 2, "", 0);
	STATUS(tp, &c, .type = 5);
	assert_field(&c, 10, 7);
	STATUS(tp, &c, .type = 2, .lba = 40, .scan = 10);
	assert_runs(&c, 2, "", 0);
	tp_exec(tp, &c, CDB_(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0), 512, NULL, 0);
	assert_runs(&c, 3, RUNS("\0\x10\0\x10\3|\1\0\0\x08\3|")); /* the one of 16 bytes */
	tp_exec(tp, &c, CDB_(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0), 512, NULL, 0);
	assert_field(&c, 14, 7);
}

/* SBC-5 5.6.2.2: all of a unit that is not thin is mapped, whatever the file has. */
static void test_status_of_a_thick_unit(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = with_holes(&conf);
	TP_CMD(c);

	(void)state;
	STATUS(tp, &c, .type = 0);
	assert_runs(&c, 3, RUNS("\0\0\x08\0\0|"));
	STATUS(tp, &c, .type = 2);
	assert_runs(&c, 3, RUNS("\0\0\x08\0\3|"));
	STATUS(tp, &c, .type = 3);
	assert_runs(&c, 3, "", 0);
}

/* Many runs: cut where the allocation length says, and beyond what one answer of the volume holds.
 */
static void test_status_of_many_runs(void **state)
{
	struct tp_conf conf = { .thin = true, .blocks = 65536 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	memset(data, 1, sizeof data);
	for (uint32_t i = 0; i < 65536; i += 64)
		tp_write10(tp, &c, i, 8, data);
	p = STATUS(tp, &c, .type = 0, .allocation = 8 + 3 * 16);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8 + 3 * 16);
	assert_true(be32_load(p) >= 4 + 4 * 16);
	assert_int_equal(p[7], 1 << 1 | 1);
	p = STATUS(tp, &c, .type = 2, .allocation = 8192);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8 + 255 * 16);
	assert_int_equal(p[7], 1); /* the room is ours */
	for (unsigned i = 0; i < 255; i++)
		assert_int_equal(be64_load(p + 8 + 16 * i), 64 * i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_cdbs),
		cmocka_unit_test(test_orwrite32),
		cmocka_unit_test(test_orwrite_policies),
		cmocka_unit_test(test_reserved_policies),
		cmocka_unit_test(test_orwrite16_and_resets),
		cmocka_unit_test(test_changes_at_once),
		cmocka_unit_test(test_orwrite_without_all_data),
		cmocka_unit_test(test_status_of_all),
		cmocka_unit_test(test_status_types),
		cmocka_unit_test(test_status_of_a_thick_unit),
		cmocka_unit_test(test_status_of_many_runs),
	};

	scsi_command_setup();
	return cmocka_run_group_tests_name("variable", tests, NULL, NULL);
}
