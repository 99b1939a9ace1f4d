/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided before a command's function runs: LUN, unit attention, reserved bits, range,
 * write protection, medium; and how sense data looks.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

/* ---- sense data ---- */

static void test_sense_fixed(void **state)
{
	struct scsi_cause cause = sense_cause(SENSE_LBA_OUT_OF_RANGE);
	uint8_t b[SCSI_SENSE_MAX];

	(void)state;
	assert_int_equal(sense_build(b, false, &cause), 18);
	assert_memory_equal(b, "\x70\0\x05\0\0\0\0\x0a\0\0\0\0\x21\0\0\0\0\0", 18);
	cause.info_valid = true;
	cause.info = 0xffffffff;
	assert_int_equal(sense_build(b, false, &cause), 18);
	assert_memory_equal(b, "\xf0\0\x05\xff\xff\xff\xff\x0a", 8);
	cause.info = 0x100000000; /* does not fit: not told */
	assert_int_equal(sense_build(b, false, &cause), 18);
	assert_memory_equal(b, "\x70\0\x05\0\0\0\0\x0a", 8);
	cause.pointer = POINTER_CDB;
	cause.byte = 0x102;
	cause.bit = 5;
	sense_build(b, false, &cause);
	assert_memory_equal(b + 15, "\xcd\x01\x02", 3);
	cause.pointer = POINTER_LIST;
	cause.bit = -1;
	sense_build(b, false, &cause);
	assert_memory_equal(b + 15, "\x80\x01\x02", 3);
}

static void test_sense_descriptor(void **state)
{
	struct scsi_cause cause = sense_cause(SENSE_MISCOMPARE);
	uint8_t b[SCSI_SENSE_MAX];

	(void)state;
	assert_int_equal(sense_build(b, true, &cause), 8);
	assert_memory_equal(b, "\x72\x0e\x1d\0\0\0\0\0", 8);
	cause.info_valid = true;
	cause.info = 0x0102030405060708;
	cause.pointer = POINTER_CDB;
	cause.byte = 2;
	cause.bit = 7;
	assert_int_equal(sense_build(b, true, &cause), 28);
	assert_memory_equal(b, "\x72\x0e\x1d\0\0\0\0\x14", 8);
	assert_memory_equal(b + 8, "\0\x0a\x80\0\x01\x02\x03\x04\x05\x06\x07\x08", 12);
	assert_memory_equal(b + 20, "\x02\x06\0\0\xcf\0\x02\0", 8);
}

/* ---- reserved bits ---- */

/* A CDB of the row that is good but for what the test does to it. */
static void good_cdb(const struct scsi_command *cmd, uint8_t cdb[SCSI_USAGE_MAX])
{
	memset(cdb, 0, SCSI_USAGE_MAX);
	cdb[0] = cmd->opcode;
	if (cmd->opcode == SCSI_VARIABLE)
		cdb[7] = cmd->len - 8;
	if (cmd->action != SCSI_NO_ACTION)
		cdb[cmd->opcode == SCSI_VARIABLE ? 9 : 1] = cmd->action;
}

static int expected_bit(const struct scsi_command *cmd, unsigned byte, int bit)
{
	unsigned protect = cmd->opcode == SCSI_VARIABLE ? 10 : 1;

	return byte == protect && bit >= 5 && cmd->lba.width >= 4 ? 7 : bit;
}

static void test_every_reserved_bit_of_every_row(void **state)
{
	struct tp_conf conf = { .thin = true, .keyed = true };
	TP_BOX(tp) = tp_new(&conf);
	const struct scsi_command *rows;
	unsigned count, bits = 0;

	(void)state;
	rows = scsi_command_table(&count);
	for (unsigned r = 0; r < count; r++) {
		for (unsigned i = 8; i < rows[r].len * 8u; i++) {
			unsigned byte = i / 8, bit = i % 8;
			uint8_t cdb[SCSI_USAGE_MAX];
			TP_CMD(c);

			if (rows[r].usage[byte] & 1u << bit)
				continue;
			good_cdb(&rows[r], cdb);
			cdb[byte] |= (uint8_t)(1u << bit);
			tp_exec(tp, &c, cdb, rows[r].len, 4096, NULL, 0);
			assert_field(&c, byte, expected_bit(&rows[r], byte, (int)bit));
			bits++;
		}
	}
	assert_true(bits > 500);
}

static void test_bytes_behind_the_cdb_are_not_looked_at(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t cdb[16];
	TP_CMD(c);

	(void)state;
	memset(cdb, 0xff, sizeof cdb);
	memset(cdb, 0, 6);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, NULL, 0);
	assert_good(&c);
	memset(cdb, 0, 10);
	cdb[0] = 0x35;
	tp_exec(tp, &c, cdb, sizeof cdb, 0, NULL, 0);
	assert_good(&c);
}

static void test_rows_are_in_order_and_found(void **state)
{
	const struct scsi_command *rows;
	unsigned count;
	bool has_actions;

	(void)state;
	scsi_command_setup();
	rows = scsi_command_table(&count);
	for (unsigned r = 0; r < count; r++) {
		if (r)
			assert_true(
				rows[r - 1].opcode << 8 < (rows[r].opcode << 8 | rows[r].action));
		assert_ptr_equal(
			scsi_command_find(rows[r].opcode, rows[r].action & 0x1f, &has_actions),
			&rows[r]);
		assert_int_equal(has_actions, rows[r].action != SCSI_NO_ACTION);
		assert_int_equal(rows[r].usage[0], 0xff);
		assert_true(rows[r].len == 6 || rows[r].len == 10 || rows[r].len == 12 ||
			    rows[r].len == 16 || rows[r].len == 32);
		assert_int_equal(rows[r].len == 32, rows[r].opcode == SCSI_VARIABLE);
		assert_true(rows[r].lba.byte + rows[r].lba.width <= rows[r].len);
		assert_true(rows[r].blocks.byte + rows[r].blocks.width <= rows[r].len);
		assert_non_null(rows[r].run);
	}
}

static void test_unknown_opcode_and_action(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0xff, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_sense(&c, 0x5, 0x20, 0x00);
	assert_true(tp->nexus[0].unknown[3] >> 63);
	assert_int_equal(c.task.sense[15], 0);
	tp_exec(tp, &c, CDB_(0x9e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_field(&c, 1, 4);
	tp_exec(tp, &c, CDB_(0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0); /* not thin */
	assert_sense(&c, 0x5, 0x20, 0x00);
}

static void test_short_cdb(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	scsi_task_init(&c.task);
	c.task.cdb[0] = 0x28;
	c.task.cdb_len = 6;
	loop_hook_init(&c.later, NULL);
	tp_enter(tp, 0);
	scsi_task_submit(&tp->nexus[0], &c.task);
	tp_run(tp);
	assert_field(&c, 6, -1);
}

/* ---- LUNs ---- */

static const uint8_t lun_fields[][8] = {
	{ 0x00, 0x01 },       /* peripheral, not mapped */
	{ 0x01, 0x00 },       /* bus 1 */
	{ 0x00, 0x00, 0x01 }, /* a second level */
	{ 0x00, 0x00, 0, 0, 0, 0, 0, 1 },
	{ 0x41, 0x2d }, /* flat, 301 */
	{ 0x80, 0x00 }, /* logical unit addressing */
	{ 0xc1, 0x02 }, /* another well-known one */
	{ 0xd1, 0x01 },
	{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
};

static void test_lun_not_there(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);

	(void)state;
	for (size_t i = 0; i < own_array_len(lun_fields); i++) {
		TP_CMD(c);

		memcpy(c.task.lun_field, lun_fields[i], 8);
		tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
		assert_sense(&c, 0x5, 0x25, 0x00);
		tp_exec(tp, &c, CDB_(0xff, 0, 0, 0, 0, 0), 0, NULL, 0);
		assert_sense(&c, 0x5, 0x25, 0x00);
		tp_exec(tp, &c, CDB_(0x12, 0, 0, 0, 96, 0), 255, NULL, 0);
		assert_good(&c);
		assert_int_equal(c.task.in_data[0], 0x7f);
		tp_exec(tp, &c, CDB_(0x03, 0, 0, 0, 18, 0), 255, NULL, 0);
		assert_good(&c);
		assert_int_equal(c.task.in_data[2], 0x5);
		assert_int_equal(c.task.in_data[12], 0x25);
		tp_exec(tp, &c, CDB_(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 255, NULL, 0);
		assert_good(&c);
		assert_int_equal(c.task.in_len, 24);
	}
}

static void test_lun_flat_and_peripheral(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	be16_store(c.task.lun_field, 0x4000 | 300);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	be16_store(c.task.lun_field, 0x4000); /* LUN 0, flat */
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

static void test_lun_well_known(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	be16_store(c.task.lun_field, 0xc101);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x12, 0, 0, 0, 96, 0), 255, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_data[0], 0x1e);
	tp_exec(tp, &c, CDB_(0x12, 1, 0, 0, 96, 0), 255, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\x1e\x00\x00\x02\x00\x83", 6);
	tp_exec(tp, &c, CDB_(0x12, 1, 0x83, 0, 255, 0), 255, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x03, 0, 0, 0, 18, 0), 255, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0xa0, 0, 2, 0, 0, 0, 0, 0, 0, 64, 0, 0), 255, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	assert_sense(&c, 0x5, 0x20, 0x00);
}

/* ---- unit attentions ---- */

static void test_attention_of_a_new_nexus(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new_fresh(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x12, 0, 0, 0, 96, 0), 255, NULL,
		0); /* exempt, and does not clear it */
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 255, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_sense(&c, 0x6, 0x29, 0x00);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	be16_store(c.task.lun_field,
		0x4000 | 300); /* the other LUN has its own; REQUEST SENSE tells it */
	tp_exec(tp, &c, CDB_(0x03, 0, 0, 0, 18, 0), 255, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\x70\0\x06\0\0\0\0\x0a\0\0\0\0\x29\0", 14);
	tp_exec(tp, &c, CDB_(0x03, 1, 0, 0, 18, 0), 255, NULL,
		0); /* descriptor format, none left */
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8);
	assert_memory_equal(c.task.in_data, "\x72\0\0\0\0\0\0\0", 8);
}

static void test_attention_order(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	static const uint16_t expected[] = { 0x2903, 0x2a01, 0x2f00 };
	TP_CMD(c);

	(void)state;
	scsi_nexus_attention(&tp->nexus[0], tp->lun, 0x2a01);
	scsi_nexus_attention(&tp->nexus[0], tp->lun, 0x2f00);
	scsi_nexus_attention(&tp->nexus[0], tp->lun, 0x2a01); /* once only */
	scsi_nexus_attention(&tp->nexus[0], tp->lun, 0x2903); /* resets come first */
	for (size_t i = 0; i < own_array_len(expected); i++) {
		tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
		assert_sense(&c, 0x6, (uint8_t)(expected[i] >> 8), (uint8_t)expected[i]);
	}
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

static void test_attention_queue_is_bounded(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	for (uint16_t i = 0; i < 3 * SCSI_UA_MAX; i++)
		scsi_nexus_attention(&tp->nexus[0], tp->lun, (uint16_t)(0x2a00 + i));
	scsi_nexus_attention(&tp->nexus[0], tp->lun, 0x2900);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_sense(&c, 0x6, 0x29, 0x00);
	for (uint8_t i = 0; i < SCSI_UA_MAX - 1; i++) {
		tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
		assert_sense(&c, 0x6, 0x2a, i);
	}
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

/* ---- range, protection, medium ---- */

static void put_field(uint8_t *cdb, struct scsi_place at, uint64_t v)
{
	for (unsigned i = at.width; i; i--, v >>= 8)
		cdb[at.byte + i - 1] = (uint8_t)v;
}

/* Tries one LBA and length on a row; whether it was found out of range. */
static bool out_of_range(
	struct tp *tp, const struct scsi_command *cmd, uint64_t lba, uint64_t blocks)
{
	uint8_t cdb[SCSI_USAGE_MAX], data[1024] = { 0 };
	TP_CMD(c);

	good_cdb(cmd, cdb);
	put_field(cdb, cmd->lba, lba);
	if (cmd->blocks.width)
		put_field(cdb, cmd->blocks, blocks);
	tp_exec(tp, &c, cdb, cmd->len, 1024, data, 512);
	if (c.task.status == SCSI_CHECK_CONDITION && c.task.sense[12] == 0x21) {
		assert_sense(&c, 0x5, 0x21, 0x00);
		if (lba <= UINT32_MAX)
			assert_info(&c, lba > 2048 ? (uint32_t)lba : 2048);
		return true;
	}
	return false;
}

static void test_range_of_every_row(void **state)
{
	struct tp_conf conf = { .thin = true, .keyed = true };
	TP_BOX(tp) = tp_new(&conf);
	const struct scsi_command *rows;
	unsigned count;

	(void)state;
	rows = scsi_command_table(&count);
	for (unsigned r = 0; r < count; r++) {
		const struct scsi_command *cmd = &rows[r];
		uint64_t zero = cmd->flags & CMD_ZERO_256 ? 1 : 0;

		if (!cmd->lba.width)
			continue;
		assert_false(out_of_range(tp, cmd, 0, 1));
		assert_false(out_of_range(tp, cmd, 2047, 1));
		assert_true(out_of_range(tp, cmd, 2049, zero));
		if (!cmd->blocks.width)
			continue;
		assert_true(out_of_range(tp, cmd, 2047, 2));
		assert_true(out_of_range(tp, cmd, 2048, 1));
		if (!zero)
			assert_false(out_of_range(tp, cmd, 2048, 0));
		if (cmd->lba.width < 8)
			continue;
		assert_true(out_of_range(tp, cmd, 1ull << 63, 0));
		assert_true(out_of_range(tp, cmd, UINT64_MAX, 0));
		assert_true(out_of_range(tp, cmd, UINT64_MAX, UINT32_MAX));
	}
}

static void test_transfer_longer_than_the_limit(void **state)
{
	struct tp_conf conf = { .blocks = (LOOP_BUF_MAX >> 9) + 2 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t over[] = { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x01, 0, 0 };
	const uint8_t most[] = { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x00, 0, 0 };
	TP_CMD(c);

	(void)state;
	assert_int_equal(LOOP_BUF_MAX >> 9, 0x4000);
	tp_exec(tp, &c, over, sizeof over, LOOP_BUF_MAX + 512, NULL, 0);
	assert_field(&c, 10, 7);
	tp_exec(tp, &c, most, sizeof most, LOOP_BUF_MAX, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, LOOP_BUF_MAX);
}

static void test_write_protection_of_every_row(void **state)
{
	struct tp_conf conf = { .thin = true, .keyed = true, .readonly = true };
	TP_BOX(tp) = tp_new(&conf);
	const struct scsi_command *rows;
	unsigned count, writing = 0;

	(void)state;
	rows = scsi_command_table(&count);
	for (unsigned r = 0; r < count; r++) {
		uint8_t cdb[SCSI_USAGE_MAX];
		TP_CMD(c);

		if (!(rows[r].flags & CMD_WRITES))
			continue;
		writing++;
		good_cdb(&rows[r], cdb);
		tp_exec(tp, &c, cdb, rows[r].len, 0, NULL, 0);
		assert_sense(&c, 0x7, 0x27, 0x00);
	}
	assert_int_equal(writing, 18);
}

static void test_no_medium(void **state)
{
	struct tp_conf conf = { .thin = true, .keyed = true, .removable = true };
	TP_BOX(tp) = tp_new(&conf);
	const struct scsi_command *rows;
	unsigned count;
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x1b, 1, 0, 0, 2, 0), 0, NULL, 0);
	assert_good(&c);
	rows = scsi_command_table(&count);
	for (unsigned r = 0; r < count; r++) {
		uint8_t cdb[SCSI_USAGE_MAX];

		if (!(rows[r].flags & CMD_MEDIUM))
			continue;
		good_cdb(&rows[r], cdb);
		tp_exec(tp, &c, cdb, rows[r].len, 0, NULL, 0);
		assert_sense(&c, 0x2, 0x3a, 0x00);
	}
	tp_exec(tp, &c, CDB_(0x03, 0, 0, 0, 18, 0), 255, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_data[12], 0x3a);
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 3, 0), 0, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

static void test_medium_loaded_by_another(void **state)
{
	struct tp_conf conf = { .removable = true };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 3, 0), 0, NULL, 0); /* it is loaded already */
	assert_good(&c);
	tp_start(tp, 2, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 2, 0), 0, NULL, 0);
	assert_good(&c);
	tp_start(tp, 2, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_sense(&c, 0x2, 0x3a, 0x00);
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 3, 0), 0, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0); /* who loaded it knows */
	assert_good(&c);
	tp_start(tp, 2, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_sense(&c, 0x6, 0x28, 0x00);
	tp_start(tp, 2, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
	assert_good(&c);
}

static void test_stop_does_no_harm(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 0x30, 0), 0, NULL, 0);
	assert_good(&c);
	tp_exec(tp, &c, CDB_(0x1b, 0, 0, 0, 2, 0), 0, NULL, 0); /* not removable */
	assert_field(&c, 4, 1);
	tp_exec(tp, &c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sense_fixed),
		cmocka_unit_test(test_sense_descriptor),
		cmocka_unit_test(test_every_reserved_bit_of_every_row),
		cmocka_unit_test(test_bytes_behind_the_cdb_are_not_looked_at),
		cmocka_unit_test(test_rows_are_in_order_and_found),
		cmocka_unit_test(test_unknown_opcode_and_action),
		cmocka_unit_test(test_short_cdb),
		cmocka_unit_test(test_lun_not_there),
		cmocka_unit_test(test_lun_flat_and_peripheral),
		cmocka_unit_test(test_lun_well_known),
		cmocka_unit_test(test_attention_of_a_new_nexus),
		cmocka_unit_test(test_attention_order),
		cmocka_unit_test(test_attention_queue_is_bounded),
		cmocka_unit_test(test_range_of_every_row),
		cmocka_unit_test(test_transfer_longer_than_the_limit),
		cmocka_unit_test(test_write_protection_of_every_row),
		cmocka_unit_test(test_no_medium),
		cmocka_unit_test(test_medium_loaded_by_another),
		cmocka_unit_test(test_stop_does_no_harm),
	};

	return cmocka_run_group_tests_name("scsi_check", tests, NULL, NULL);
}
