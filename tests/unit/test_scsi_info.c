/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a unit says of itself: INQUIRY and its pages, capacity, LUNs, modes, commands; each cut at
 * every allocation length.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"

#include <errno.h>

#define ROOM 4096u

/* Runs a command that answers with parameter data, whose allocation length of `width` bytes lies at
 * `at`; then again at each shorter length and room, which must give a byte prefix. */
static void ask(struct tp *tp, struct tp_cmd *c, const uint8_t *cdb, size_t len, unsigned at,
	unsigned width, uint32_t least)
{
	uint8_t full[ROOM], cut[16];
	uint32_t size;

	tp_exec(tp, c, cdb, len, ROOM, NULL, 0);
	assert_good(c);
	size = c->task.in_len;
	assert_true(size > 0 && size < ROOM);
	assert_int_equal(c->task.want_in, size);
	memcpy(full, c->task.in_data, size);
	for (uint32_t n = least; n <= size; n++) {
		memcpy(cut, cdb, len);
		memset(cut + at, 0, width);
		cut[at + width - 1] = (uint8_t)n;
		if (width > 1)
			cut[at + width - 2] = (uint8_t)(n >> 8);
		else if (n > 255)
			break;
		tp_exec(tp, c, cut, len, ROOM, NULL, 0);
		assert_good(c);
		assert_int_equal(c->task.in_len, n);
		assert_int_equal(c->task.want_in, n); /* the allocation length is no overflow */
		assert_memory_equal(c->task.in_data, full, n);
		tp_exec(tp, c, cdb, len, n, NULL, 0); /* less room than allocation length */
		assert_good(c);
		assert_int_equal(c->task.in_len, n);
		assert_int_equal(c->task.want_in, size);
	}
	tp_exec(tp, c, cdb, len, ROOM, NULL, 0);
}

#define ASK(tp, c, at, width, least, ...) ask(tp, c, CDB_(__VA_ARGS__), at, width, least)

/* ---- INQUIRY ---- */

static void test_inquiry_standard(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	ASK(tp, &c, 3, 2, 0, 0x12, 0, 0, 4, 0, 0);
	p = c.task.in_data;
	assert_int_equal(c.task.in_len, 96);
	assert_memory_equal(p, "\x00\x00\x06\x12\x5b\x38\x00\x02", 8);
	assert_memory_equal(p + 8, "KURA    TEST DISK       0.1 ", 28);
	assert_memory_equal(p + 58, "\x00\xa0\x04\x60\x04\xc0\x09\x60\x00\x00", 10);
	tp_exec(tp, &c, CDB_(0x12, 0, 0x80, 0, 96, 0), ROOM, NULL, 0); /* page code without EVPD */
	assert_field(&c, 2, 7);
}

static void test_inquiry_removable(void **state)
{
	struct tp_conf conf = { .removable = true };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x12, 0, 0, 0, 96, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_data[1], 0x80);
}

static const uint8_t *page(struct tp *tp, struct tp_cmd *c, uint8_t code)
{
	ask(tp, c, CDB_(0x12, 1, code, 4, 0, 0), 3, 2, 0);
	assert_int_equal(c->task.in_data[0], 0);
	assert_int_equal(c->task.in_data[1], code);
	assert_int_equal(be16_load(c->task.in_data + 2), c->task.in_len - 4);
	return c->task.in_data + 4;
}

static void test_vpd_pages(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	assert_memory_equal(page(tp, &c, 0x00), "\x00\x80\x83\x85\x86\x87\x8f\xb0\xb1\xb2", 10);
	assert_int_equal(c.task.in_len, 14);
	assert_memory_equal(page(tp, &c, 0x80), "c0ffee001234432188880123456789ab", 32);
	page(tp, &c, 0x85);
	assert_int_equal(c.task.in_len, 4);
	assert_memory_equal(page(tp, &c, 0x86), "\x00\x07\x00\x01\x00", 5);
	assert_int_equal(c.task.in_len, 64);
	assert_memory_equal(page(tp, &c, 0x87), "\x3f\xff\x00\x00", 4);
	assert_int_equal(c.task.in_len, 8);
	assert_int_equal(be16_load(page(tp, &c, 0xb1)), 1);
	assert_int_equal(c.task.in_len, 64);
	assert_memory_equal(page(tp, &c, 0xb2), "\0\0\0\0", 4);
	for (unsigned code = 0; code < 256; code++) {
		if (code == 0x00 || code == 0x80 || code == 0x83 || code == 0x85 || code == 0x86 ||
			code == 0x87 || code == 0x8f || code == 0xb0 || code == 0xb1 ||
			code == 0xb2)
			continue;
		tp_exec(tp, &c, CDB_(0x12, 1, (uint8_t)code, 0, 255, 0), ROOM, NULL, 0);
		assert_field(&c, 2, 7);
	}
}

/* One designator: checks the head and gives the next. */
static const uint8_t *designator(
	const uint8_t *p, uint8_t code, uint8_t type, const void *value, uint8_t len)
{
	assert_int_equal(p[0], code);
	assert_int_equal(p[1], type);
	assert_int_equal(p[2], 0);
	assert_int_equal(p[3], len);
	assert_memory_equal(p + 4, value, len);
	return p + 4 + len;
}

static void test_vpd_identity(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	p = page(tp, &c, 0x83);
	p = designator(p, 0x01, 0x03, "\x38\x77\xef\x23\x57\x53\xca\x8a", 8);
	p = designator(p, 0x02, 0x01, "KURA    c0ffee001234432188880123456789ab", 40);
	p = designator(p, 0x51, 0x94, "\0\0\0\x01", 4);
	p = designator(p, 0x51, 0x95, "\0\0\0\x01", 4);
	p = designator(p, 0x53, 0x98, TP_TARGET ",t,0x0001\0\0", 36);
	p = designator(p, 0x53, 0xa8, TP_TARGET "\0\0", 28);
	assert_ptr_equal(p, c.task.in_data + c.task.in_len);
}

static void test_identity_by_hand(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	struct scsi_lun_conf lc = { .vol = tp->vol,
		.vendor = "MUCHTOOLONG",
		.serial = "0123",
		.naa = "60014050123456789ABCdef012345678" };
	struct scsi_lun *lun = scsi_lun_new(tp->domain, &lc);

	(void)state;
	assert_memory_equal(lun->vendor, "MUCHTOOL", 8);
	assert_memory_equal(lun->product, "                ", 16);
	assert_string_equal(lun->serial, "0123");
	assert_int_equal(lun->naa_len, 16);
	assert_memory_equal(
		lun->naa, "\x60\x01\x40\x50\x12\x34\x56\x78\x9a\xbc\xde\xf0\x12\x34\x56\x78", 16);
	scsi_lun_free(lun);
}

static void test_vpd_of_a_thin_unit(void **state)
{
	struct tp_conf conf = { .thin = true, .physical = 4096 };
	TP_BOX(tp) = tp_new(&conf);
	struct vol_info info = vol_info(tp->vol);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	p = page(tp, &c, 0xb0) - 4;
	assert_int_equal(c.task.in_len, 64);
	assert_int_equal(p[4], 0); /* WSNZ */
	assert_int_equal(be16_load(p + 6), 8);
	assert_int_equal(be32_load(p + 8), LOOP_BUF_MAX / 512);
	assert_int_equal(be32_load(p + 12), (1 << 20) / 512);
	assert_int_equal(be32_load(p + 20), 1u << 20);
	assert_int_equal(be32_load(p + 24), 256);
	assert_int_equal(be32_load(p + 28), info.trim_granularity / 512);
	assert_int_equal(be32_load(p + 32), 0x80000000 | info.trim_alignment / 512);
	assert_int_equal(be64_load(p + 36), 0xffff);
	assert_memory_equal(page(tp, &c, 0xb2), "\x00\xe4\x02\x00", 4);
}

static void test_vpd_limits_of_a_thick_unit(void **state)
{
	struct tp_conf conf = { .block_size = 4096 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	p = page(tp, &c, 0xb0) - 4;
	assert_int_equal(be16_load(p + 6), 1);
	assert_int_equal(be32_load(p + 8), LOOP_BUF_MAX / 4096);
	for (unsigned i = 20; i < 36; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(be64_load(p + 36), 0xffff);
}

/* ---- capacity ---- */

static void test_read_capacity(void **state)
{
	struct tp_conf conf = { .thin = true, .physical = 4096 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8);
	assert_memory_equal(c.task.in_data, "\0\0\x07\xff\0\0\x02\0", 8);
	ASK(tp, &c, 10, 4, 0, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0);
	p = c.task.in_data;
	assert_int_equal(c.task.in_len, 32);
	assert_memory_equal(p, "\0\0\0\0\0\0\x07\xff\0\0\x02\0\x00\x03\xc0\x00", 16);
}

static void test_read_capacity_of_a_huge_unit(void **state)
{
	struct tp_conf conf = { .blocks = 0x100000000, .physical = 512 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\xff\xff\xff\xff\0\0\x02\0", 8);
	tp_exec(tp, &c, CDB_(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data, "\0\0\0\0\xff\xff\xff\xff\0\0\x02\0\0\0\0\0", 16);
	tp_exec(tp, &c, CDB_(0x1a, 0, 0x08, 0, 255, 0), ROOM, NULL, 0);
	assert_good(&c);
	assert_memory_equal(c.task.in_data + 4, "\xff\xff\xff\xff\0\0\x02\0", 8);
}

/* ---- GET LBA STATUS ---- */

static void test_lba_status(void **state)
{
	struct tp_conf conf = { .thin = true };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t data[8 * 512];
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	memset(data, 1, sizeof data);
	tp_write10(tp, &c, 16, 8, data);
	tp_write10(tp, &c, 24, 8, data); /* one run with the one before */
	ASK(tp, &c, 10, 4, 0, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 4, 0, 0, 0);
	p = c.task.in_data;
	assert_int_equal(c.task.in_len, 8 + 3 * 16);
	assert_int_equal(be32_load(p), 4 + 3 * 16);
	assert_memory_equal(p + 8, "\0\0\0\0\0\0\0\x08\0\0\0\x08\x01\0\0\0", 16);
	assert_memory_equal(p + 24, "\0\0\0\0\0\0\0\x10\0\0\0\x10\x00\0\0\0", 16);
	assert_memory_equal(p + 40, "\0\0\0\0\0\0\0\x20\0\0\x07\xe0\x01\0\0\0", 16);
	tp_exec(tp, &c, CDB_(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0), ROOM, NULL, 0);
	assert_sense(&c, 0x5, 0x21, 0x00); /* 2048: there must be a block */
}

static void test_lba_status_of_more_than_32_bits(void **state)
{
	struct tp_conf conf = { .thin = true, .blocks = 0x100000005 };
	TP_BOX(tp) = tp_new(&conf);
	uint64_t lba = 0;
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0), ROOM, NULL, 0);
	assert_good(&c);
	p = c.task.in_data + 8;
	assert_true(c.task.in_len >= 24);
	for (; p < c.task.in_data + c.task.in_len; p += 16) { /* one after the other */
		assert_true(be64_load(p) == lba);
		assert_true(be32_load(p + 8) > 0);
		lba += be32_load(p + 8);
	}
	assert_true(lba <= 0x100000005);
}

static void test_lba_status_of_many_runs(void **state)
{
	struct tp_conf conf = { .thin = true, .blocks = 16384 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t data[512] = { 1 };
	TP_CMD(c);

	(void)state;
	for (uint32_t i = 0; i < 16384; i += 16)
		tp_write10(tp, &c, i, 1, data);
	tp_exec(tp, &c, CDB_(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0), 8192, NULL, 0);
	assert_good(&c);
	assert_true(c.task.in_len > 100 * 16 && c.task.in_len <= 4096);
	assert_int_equal(c.task.in_len % 16, 8);
	assert_int_equal(be32_load(c.task.in_data), c.task.in_len - 4);
}

/* ---- REPORT LUNS ---- */

static void test_report_luns(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	ASK(tp, &c, 6, 4, 16, 0xa0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0);
	assert_int_equal(c.task.in_len, 24);
	assert_memory_equal(c.task.in_data,
		"\0\0\0\x10\0\0\0\0"
		"\0\0\0\0\0\0\0\0"
		"\x41\x2c\0\0\0\0\0\0",
		24);
	ASK(tp, &c, 6, 4, 16, 0xa0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0);
	assert_memory_equal(c.task.in_data, "\0\0\0\x08\0\0\0\0\xc1\x01\0\0\0\0\0\0", 16);
	ASK(tp, &c, 6, 4, 16, 0xa0, 0, 2, 0, 0, 0, 0, 0, 4, 0, 0, 0);
	assert_int_equal(c.task.in_len, 32);
	for (uint8_t n = 0; n < 16; n++) {
		tp_exec(tp, &c, CDB_(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, n, 0, 0), ROOM, NULL, 0);
		assert_field(&c, 6, 7);
	}
	tp_exec(tp, &c, CDB_(0xa0, 0, 0x11, 0, 0, 0, 0, 0, 1, 0, 0, 0), ROOM, NULL, 0);
	assert_field(&c, 2, 7);
}

static void test_map_refuses(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	struct scsi_target *target =
		scsi_target_new(tp->domain, "iqn.2026-11.kura.test:full", 1, 2);

	(void)state;
	assert_int_equal(scsi_target_map(target, 16384, tp->lun, false), -EINVAL);
	for (unsigned i = SCSI_LUNS_MAX; i; i--)
		assert_int_equal(scsi_target_map(target, (uint16_t)(i * 3), tp->lun, false), 0);
	assert_int_equal(scsi_target_map(target, 3, tp->lun, false), -EEXIST);
	assert_int_equal(scsi_target_map(target, 600, tp->lun, false), -EEXIST);
	assert_int_equal(scsi_target_map(target, 1, tp->lun, false), -ENOSPC);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(
			scsi_map_place(target->map, (uint16_t)i) >= 0, i && i % 3 == 0 && i <= 768);
	scsi_target_free(target);
}

/* ---- modes ---- */

static const uint8_t recovery[12] = { 0x01, 0x0a, 0x80 };
static const uint8_t reconnect[16] = { 0x02, 0x0e };
static const uint8_t caching[20] = { 0x08, 0x12 };
static const uint8_t control[12] = { 0x0a, 0x0a, 0x20, 0x10 };
static const uint8_t exceptions[12] = { 0x1c, 0x0a, 0x08 };

static void test_mode_sense_6(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	const uint8_t *p;
	TP_CMD(c);

	(void)state;
	ASK(tp, &c, 4, 1, 0, 0x1a, 0, 0x3f, 0, 255, 0);
	p = c.task.in_data;
	assert_int_equal(c.task.in_len, 4 + 8 + 28 + 20 + 12 + 12);
	assert_memory_equal(p, "\x53\x00\x10\x08\x00\x00\x08\x00\x00\x00\x02\x00", 12);
	assert_memory_equal(p + 12, recovery, 12);
	assert_memory_equal(p + 24, reconnect, 16);
	assert_memory_equal(p + 40, caching, 20);
	assert_memory_equal(p + 60, control, 12);
	assert_memory_equal(p + 72, exceptions, 12);
	tp_exec(tp, &c, CDB_(0x1a, 8, 0x0a, 0, 255, 0), ROOM, NULL, 0); /* DBD */
	assert_good(&c);
	assert_int_equal(c.task.in_len, 16);
	assert_memory_equal(c.task.in_data, "\x0f\x00\x10\x00", 4);
	assert_memory_equal(c.task.in_data + 4, control, 12);
}

static void test_mode_sense_10(void **state)
{
	struct tp_conf conf = { .readonly = true };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	ASK(tp, &c, 7, 2, 0, 0x5a, 0, 0x3f, 0xff, 0, 0, 0, 4, 0, 0);
	assert_int_equal(c.task.in_len, 8 + 8 + 28 + 44 + 32);
	assert_memory_equal(c.task.in_data, "\x00\x76\x00\x90\x00\x00\x00\x08", 8);
	assert_memory_equal(c.task.in_data + 44, caching, 20);
	tp_exec(tp, &c, CDB_(0x5a, 0x10, 0x1c, 0, 0, 0, 0, 4, 0, 0), ROOM, NULL, 0); /* LLBAA */
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8 + 16 + 12);
	assert_memory_equal(c.task.in_data, "\x00\x22\x00\x90\x01\x00\x00\x10", 8);
	assert_memory_equal(c.task.in_data + 8, "\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x02\0", 16);
	assert_memory_equal(c.task.in_data + 24, exceptions, 12);
}

static void test_mode_page_control(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t changeable[12] = { 0x0a, 0x0a, 0x04, 0x00, 0x08 }; /* D_SENSE, SWP */
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x1a, 8, 0x4a, 0, 255, 0), ROOM, NULL, 0); /* changeable */
	assert_good(&c);
	assert_memory_equal(c.task.in_data + 4, changeable, 12);
	tp_exec(tp, &c, CDB_(0x1a, 8, 0x8a, 0, 255, 0), ROOM, NULL, 0); /* default */
	assert_good(&c);
	assert_memory_equal(c.task.in_data + 4, control, 12);
	tp_exec(tp, &c, CDB_(0x1a, 8, 0xca, 0, 255, 0), ROOM, NULL, 0); /* saved */
	assert_sense(&c, 0x5, 0x39, 0x00);
	tp_exec(tp, &c, CDB_(0x1a, 8, 0x03, 0, 255, 0), ROOM, NULL, 0); /* no such page */
	assert_field(&c, 2, 5);
	tp_exec(tp, &c, CDB_(0x1a, 8, 0x0a, 2, 255, 0), ROOM, NULL, 0); /* no such subpage */
	assert_field(&c, 3, 7);
}

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

static void test_report_all_opcodes(void **state)
{
	struct tp_conf conf = { .thin = true, .keyed = true };
	TP_BOX(tp) = tp_new(&conf);
	const struct scsi_command *rows;
	const uint8_t *p;
	unsigned count;
	TP_CMD(c);

	(void)state;
	rows = scsi_command_table(&count);
	for (unsigned timeouts = 0; timeouts < 2; timeouts++) {
		unsigned size = timeouts ? 20 : 8;

		ask(tp, &c, CDB_(0xa3, 0x0c, (uint8_t)(timeouts << 7), 0, 0, 0, 0, 0, 16, 0, 0, 0),
			6, 4, 0);
		assert_int_equal(c.task.in_len, 4 + count * size);
		assert_int_equal(be32_load(c.task.in_data), count * size);
		for (unsigned i = 0; i < count; i++) {
			p = c.task.in_data + 4 + i * size;
			assert_int_equal(p[0], rows[i].opcode);
			assert_int_equal(be16_load(p + 2),
				rows[i].action == SCSI_NO_ACTION ? 0 : rows[i].action);
			assert_int_equal(p[5], timeouts << 1 | (rows[i].action != SCSI_NO_ACTION));
			assert_int_equal(be16_load(p + 6), rows[i].len);
			if (timeouts)
				assert_int_equal(be16_load(p + 8), 10);
		}
	}
}

static void one_opcode(
	struct tp *tp, struct tp_cmd *c, uint8_t options, uint8_t opcode, uint16_t action)
{
	tp_exec(tp, c,
		CDB_(0xa3, 0x0c, options, opcode, (uint8_t)(action >> 8), (uint8_t)action, 0, 0, 1,
			0, 0, 0),
		ROOM, NULL, 0);
}

static void test_report_each_opcode(void **state)
{
	struct tp_conf conf = { .thin = true, .keyed = true };
	TP_BOX(tp) = tp_new(&conf);
	const struct scsi_command *rows;
	unsigned count;
	TP_CMD(c);

	(void)state;
	rows = scsi_command_table(&count);
	for (unsigned i = 0; i < count; i++) {
		const struct scsi_command *r = &rows[i];
		bool has = r->action != SCSI_NO_ACTION;
		uint8_t usage[SCSI_USAGE_MAX];

		memcpy(usage, r->usage, sizeof usage);
		usage[0] = r->opcode;
		if (r->opcode == SCSI_VARIABLE)
			be16_store(usage + 8, r->action);
		else if (has)
			usage[1] = (uint8_t)((usage[1] & 0xe0) | r->action);
		for (unsigned option = 1; option < 4; option++) {
			one_opcode(
				tp, &c, (uint8_t)(0x80 | option), r->opcode, has ? r->action : 0);
			if (option == (has ? 1 : 2)) {
				assert_field(&c, 2, 2);
				continue;
			}
			assert_good(&c);
			assert_int_equal(c.task.in_len, 4 + r->len + 12);
			assert_int_equal(c.task.in_data[1], 0x83);
			assert_int_equal(be16_load(c.task.in_data + 2), r->len);
			assert_memory_equal(c.task.in_data + 4, usage, r->len);
			assert_int_equal(be16_load(c.task.in_data + 4 + r->len), 10);
		}
	}
}

static void assert_not_supported(struct tp_cmd *c)
{
	assert_good(c);
	assert_int_equal(c->task.in_len, 4);
	assert_memory_equal(c->task.in_data, "\x00\x01\x00\x00", 4);
}

static void test_report_opcodes_that_are_not_there(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	one_opcode(tp, &c, 1, 0xff, 0);
	assert_not_supported(&c);
	one_opcode(tp, &c, 2, 0x9e, 0x1f);
	assert_not_supported(&c);
	one_opcode(tp, &c, 2, 0x9e, 0x110);
	assert_not_supported(&c);
	one_opcode(tp, &c, 3, 0x28, 1);
	assert_not_supported(&c);
	one_opcode(tp, &c, 1, 0x42, 0); /* UNMAP, not thin */
	assert_not_supported(&c);
	one_opcode(tp, &c, 4, 0x28, 0);
	assert_field(&c, 2, 2);
	one_opcode(tp, &c, 0, 0, 0);
	assert_good(&c);
	for (uint32_t at = 4; at < c.task.in_len; at += 8)
		assert_int_not_equal(c.task.in_data[at], 0x42);
}

static void test_report_functions(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	ASK(tp, &c, 6, 4, 4, 0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
	assert_int_equal(c.task.in_len, 4);
	assert_memory_equal(c.task.in_data, "\xd8\0\0\0", 4);
	ASK(tp, &c, 6, 4, 16, 0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0);
	assert_int_equal(c.task.in_len, 16);
	assert_memory_equal(c.task.in_data, "\xd8\0\0\x0c", 4);
	tp_exec(tp, &c, CDB_(0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0), ROOM, NULL, 0);
	assert_field(&c, 6, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inquiry_standard),
		cmocka_unit_test(test_inquiry_removable),
		cmocka_unit_test(test_vpd_pages),
		cmocka_unit_test(test_vpd_identity),
		cmocka_unit_test(test_identity_by_hand),
		cmocka_unit_test(test_vpd_of_a_thin_unit),
		cmocka_unit_test(test_vpd_limits_of_a_thick_unit),
		cmocka_unit_test(test_read_capacity),
		cmocka_unit_test(test_read_capacity_of_a_huge_unit),
		cmocka_unit_test(test_lba_status),
		cmocka_unit_test(test_lba_status_of_more_than_32_bits),
		cmocka_unit_test(test_lba_status_of_many_runs),
		cmocka_unit_test(test_report_luns),
		cmocka_unit_test(test_map_refuses),
		cmocka_unit_test(test_mode_sense_6),
		cmocka_unit_test(test_mode_sense_10),
		cmocka_unit_test(test_mode_page_control),
		cmocka_unit_test(test_report_all_opcodes),
		cmocka_unit_test(test_report_each_opcode),
		cmocka_unit_test(test_report_opcodes_that_are_not_there),
		cmocka_unit_test(test_report_functions),
	};

	return cmocka_run_group_tests_name("scsi_info", tests, NULL, NULL);
}
