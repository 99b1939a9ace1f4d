/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COMPARE AND WRITE, ORWRITE, WRITE ATOMIC and PRE-FETCH by themselves: what they do to the blocks,
 * and what they refuse. How they get along with other writes is in test_fence.c.
 */
#include "tests/unit/scsi_testport.h"

#include "target/scsi/limits.h"

#include "common/own.h"

#include <unistd.h>

#define ROOM (300u * 512)

static uint8_t data[ROOM], back[ROOM];

static void compare(
	struct tp *tp, struct tp_cmd *c, uint8_t flags, uint16_t lba, uint8_t blocks, uint32_t room)
{
	const uint8_t cdb[16] = { 0x89, flags, 0, 0, 0, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba,
		0, 0, 0, blocks };

	tp_exec(tp, c, cdb, sizeof cdb, 0, data, room);
}

static void assert_blocks(struct tp *tp, uint32_t lba, uint16_t blocks, const uint8_t *want)
{
	TP_CMD(c);

	tp_read10(tp, &c, lba, blocks);
	assert_memory_equal(c.task.in_data, want, blocks * tp->bs);
}

static void test_compare_and_write(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	memset(data, 0, sizeof data);
	tp_fill(data + 3 * 512, 3 * 512, 1);
	for (unsigned pieces = 1; pieces < 8; pieces += 3) {
		uint32_t lba = 10 * pieces;

		c.pieces = pieces;
		compare(tp, &c, 0, (uint16_t)lba, 3, 6 * 512);
		assert_good(&c);
		assert_int_equal(c.task.want_out, 6 * 512);
		assert_blocks(tp, lba, 3, data + 3 * 512);
		compare(tp, &c, 0x18, (uint16_t)lba, 3, 6 * 512); /* DPO, FUA: it is not zero now */
		assert_sense(&c, 0xe, 0x1d, 0x00);
		assert_info(&c, 0);
		assert_blocks(tp, lba, 3, data + 3 * 512);
	}
}

/* SBC-3 5.2: INFORMATION is the offset of the first byte that differs, and nothing is written. */
static void test_miscompare(void **state)
{
	static const uint32_t offsets[] = { 0, 1, 511, 512, 700, 1023 };
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(back, 1024, 7);
	tp_write10(tp, &c, 5, 2, back);
	for (unsigned i = 0; i < own_array_len(offsets); i++) {
		memcpy(data, back, 1024);
		memset(data + 1024, 0xee, 1024);
		data[offsets[i]] ^= 0x10;
		data[1023] ^= offsets[i] < 1023; /* a later difference is of no interest */
		c.pieces = 1 + i;
		compare(tp, &c, 0, 5, 2, 2048);
		assert_sense(&c, 0xe, 0x1d, 0x00);
		assert_info(&c, offsets[i]);
		assert_blocks(tp, 5, 2, back);
	}
}

static void test_compare_lengths(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	memset(data, 0, sizeof data);
	compare(tp, &c, 0, 0, 0, 0);
	assert_good(&c);
	assert_int_equal(c.asked, 0);
	compare(tp, &c, 0, 0, LIMIT_COMPARE_BLOCKS, LIMIT_COMPARE_BLOCKS * 1024);
	assert_good(&c);
	compare(tp, &c, 0, 0, LIMIT_COMPARE_BLOCKS + 1, (LIMIT_COMPARE_BLOCKS + 1) * 1024);
	assert_field(&c, 13, 7);
	compare(tp, &c, 0, 0, 0, 1024); /* 256 blocks, cut by the field */
	assert_field(&c, 13, 7);
	compare(tp, &c, 0, 0, 2, 1024); /* one half is missing */
	assert_field(&c, 13, 7);
	compare(tp, &c, 0, 0, 1, 2048);
	assert_field(&c, 13, 7);
	compare(tp, &c, 0, 2047, 2, 2048);
	assert_sense(&c, 0x5, 0x21, 0x00);
	compare(tp, &c, 0x20, 0, 1, 1024); /* WRPROTECT */
	assert_field(&c, 1, 7);
}

static void test_compare_that_cannot_read_or_write(void **state)
{
	struct tp_conf bad_read = { .layer = "error", .options = "op=read errno=EIO count=1" };
	struct tp_conf bad_write = { .layer = "error", .options = "op=write errno=EIO count=1" };
	const struct tp_conf *confs[] = { &bad_read, &bad_write };

	(void)state;
	memset(data, 0, sizeof data);
	for (unsigned i = 0; i < 2; i++) {
		TP_BOX(tp) = tp_new(confs[i]);
		TP_CMD(c);

		compare(tp, &c, 0, 9, 1, 1024);
		assert_sense(&c, 0x3, i ? 0x0c : 0x11, 0x00);
		assert_info(&c, 9);
		compare(tp, &c, 0, 9, 1, 1024); /* nothing is left behind */
		assert_good(&c);
	}
}

static void test_compare_without_memory(void **state)
{
	struct tp_conf conf = { .data_max = 4096 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);
	TP_CMD(page);

	(void)state;
	memset(data, 0, sizeof data);
	tp_exec(tp, &page, CDB_(0x12, 0, 0, 0, 96, 0), 96, NULL, 0); /* keeps its buffer */
	for (unsigned i = 0; i < 3 && c.task.status != SCSI_BUSY; i++)
		compare(tp, &c, 0, 0, 128, 128 * 1024);
	scsi_task_release(&page.task);
	page.done = 0;
	compare(tp, &c, 0, 0, 1, 1024);
	assert_good(&c);
}

static void orwrite(struct tp *tp, struct tp_cmd *c, uint8_t lba, uint8_t blocks, uint32_t room)
{
	tp_exec(tp, c, CDB_(0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, blocks, 0, 0), 0, data,
		room);
}

static void test_orwrite(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(back, 4 * 512, 3);
	tp_write10(tp, &c, 20, 4, back);
	tp_fill(data, 4 * 512, 9);
	c.pieces = 5;
	orwrite(tp, &c, 20, 4, 4 * 512);
	assert_good(&c);
	for (unsigned i = 0; i < 4 * 512; i++)
		back[i] |= data[i];
	assert_blocks(tp, 20, 4, back);
	memset(data, 0xff, 4 * 512);
	orwrite(tp, &c, 20, 4, 1000); /* one whole block is there */
	assert_good(&c);
	assert_int_equal(c.task.want_out, 4 * 512);
	memset(back, 0xff, 512);
	assert_blocks(tp, 20, 4, back);
	orwrite(tp, &c, 20, 0, 0);
	assert_good(&c);
	orwrite(tp, &c, 20, 1, 0);
	assert_good(&c);
	assert_blocks(tp, 20, 4, back);
}

static void atomic(struct tp *tp, struct tp_cmd *c, uint16_t lba, uint16_t blocks, uint32_t room)
{
	const uint8_t cdb[16] = { 0x9c, 0x18, 0, 0, 0, 0, 0, 0, (uint8_t)(lba >> 8), (uint8_t)lba,
		0, 0, (uint8_t)(blocks >> 8), (uint8_t)blocks };

	tp_exec(tp, c, cdb, sizeof cdb, 0, data, room);
}

static void test_write_atomic(void **state)
{
	struct tp_conf conf = { .physical = 4096 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_fill(data, ROOM, 5);
	atomic(tp, &c, 8, 8, 4096);
	assert_good(&c);
	assert_blocks(tp, 8, 8, data);
	atomic(tp, &c, 16, 256, 256 * 512); /* nothing of a memory volume outlives a failure */
	assert_good(&c);
	assert_blocks(tp, 16, 256, data);
	atomic(tp, &c, 0, 0, 0);
	assert_good(&c);
	atomic(tp, &c, 4, 8, 4096);
	assert_field(&c, 2, 7);
	atomic(tp, &c, 8, 4, 2048);
	assert_field(&c, 12, 7);
	atomic(tp, &c, 8, 16, 4096); /* half of the data */
	assert_field(&c, 12, 7);
	atomic(tp, &c, 2040, 16, 8192);
	assert_sense(&c, 0x5, 0x21, 0x00);
	tp_exec(tp, &c, CDB_(0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 8, 0, 0), 0, data, 4096);
	assert_field(&c, 11, 3); /* ATOMIC BOUNDARY */
	assert_blocks(tp, 16, 256, data);
}

static char *scratch_path(void)
{
	const char *dir = getenv("TMPDIR");
	char *path = own_printf("%s/kura-atomic-XXXXXX", dir ? dir : "/tmp");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	return path;
}

static void scratch_remove(char **path)
{
	char *identity = own_printf("%s.kura", *path);

	unlink(*path);
	unlink(identity);
	free(identity);
	free(*path);
}

/* What a power failure leaves of a file is whole physical blocks. */
static void test_write_atomic_on_a_file(void **state)
{
	char *path __attribute__((cleanup(scratch_remove))) = scratch_path();
	struct tp_conf conf = { .physical = 4096, .path = path };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	atomic(tp, &c, 8, 8, 4096);
	assert_good(&c);
	atomic(tp, &c, 8, 16, 8192);
	assert_field(&c, 12, 7);
	tp_exec(tp, &c, CDB_(0x12, 1, 0xb0, 0, 64, 0), 64, NULL, 0);
	assert_good(&c);
	p = c.task.in_data;
	assert_int_equal(p[5], LIMIT_COMPARE_BLOCKS);
	assert_int_equal(be32_load(p + 44), 8);
	assert_int_equal(be32_load(p + 48), 8);
	assert_int_equal(be32_load(p + 52), 8);
	assert_int_equal(be64_load(p + 56), 0);
}

/* The range of PRE-FETCH(16) and its status. */
static void prefetch(struct tp *tp, uint32_t lba, uint32_t blocks, uint8_t status)
{
	uint8_t cdb[16] = { 0x90 };
	TP_CMD(c);

	be64_store(cdb + 2, lba);
	be32_store(cdb + 10, blocks);
	tp_exec(tp, &c, cdb, sizeof cdb, 0, NULL, 0);
	assert_int_equal(c.task.status, status);
	assert_int_equal(c.task.sense_len, 0);
}

/* SBC-3 5.8: CONDITION MET when all of it was fetched. */
static void test_prefetch(void **state)
{
	char *path __attribute__((cleanup(scratch_remove))) = scratch_path();
	const uint32_t most = LIMIT_PREFETCH >> 9;
	struct tp_conf conf = { .path = path, .blocks = most + 2 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	prefetch(tp, 1, 2048, SCSI_CONDITION_MET);
	prefetch(tp, 0, most, SCSI_CONDITION_MET);
	prefetch(tp, 0, most + 1, SCSI_GOOD);
	prefetch(tp, 0, 0, SCSI_GOOD);
	prefetch(tp, 2, 0, SCSI_CONDITION_MET);
	prefetch(tp, most + 2, 0, SCSI_CONDITION_MET); /* from the end on */
	tp_exec(tp, &c, CDB_(0x34, 2, 0, 0, 0, 0, 3, 0, 8, 0), 0, NULL, 0);
	assert_int_equal(c.task.status, SCSI_CONDITION_MET);
	tp_exec(tp, &c, CDB_(0x34, 0, 0, 0, 0x40, 1, 0, 0, 2, 0), 0, NULL, 0);
	assert_sense(&c, 0x5, 0x21, 0x00);
	tp->lun->info.caps &= ~(uint32_t)VOL_CACHES_READS; /* as with O_DIRECT */
	prefetch(tp, 1, 2048, SCSI_GOOD);
}

static void test_prefetch_of_memory(void **state)
{
	struct tp_conf conf = { .blocks = 1u << 20 };
	TP_BOX(tp) = tp_new(&conf);

	(void)state;
	prefetch(tp, 0, 0, SCSI_CONDITION_MET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare_and_write),
		cmocka_unit_test(test_miscompare),
		cmocka_unit_test(test_compare_lengths),
		cmocka_unit_test(test_compare_that_cannot_read_or_write),
		cmocka_unit_test(test_compare_without_memory),
		cmocka_unit_test(test_orwrite),
		cmocka_unit_test(test_write_atomic),
		cmocka_unit_test(test_write_atomic_on_a_file),
		cmocka_unit_test(test_prefetch),
		cmocka_unit_test(test_prefetch_of_memory),
	};

	return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
