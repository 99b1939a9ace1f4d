/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Third-party copies: between two units, inside of one, with lists that are wrong, with units that
 * fail, are taken, or are not there.
 */
#include "tests/unit/copy_rig.h"

#include "common/own.h"

static uint8_t data[1u << 20];

/* ---- copies that go well ---- */

static void test_between_units(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);

	(void)state;
	fill_disk(r, 0, 100, 1000, 1);
	both_units(r, 1);
	list_segment(r, 0, 1, 1000, 100, 2000);
	list_segment(r, 1, 0, 10, 2005, 3000);
	copy_exec(r, &c);
	assert_good(&c);
	expect_disk(r, SECOND, 2000, 1000, 1, 0);
	expect_disk(r, 0, 3000, 10, 1, 5 * 512);
}

static void test_by_t10_designator_and_own_number(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	uint8_t *d;

	(void)state;
	fill_disk(r, 0, 0, 8, 2);
	list_begin(r, 1, 0);
	d = list_unit(r, r->lun);
	d[4] = 0x02;
	d[5] = 0x01;
	d[7] = 13;
	memcpy(d + 8, "KURA    short", 13);
	list_segment(r, COPY_THIS_UNIT, 0, 8, 0, 64);
	copy_exec(r, &c);
	assert_good(&c);
	expect_disk(r, SECOND, 64, 8, 2, 0);
}

static void test_overlap_up_and_down(void **state)
{
	static const struct tp_conf large = { .blocks = 8192 };
	RIG(r) = rig_new(&large, &usual);
	TP_CMD(c);
	TP_CMD(d);

	(void)state;
	fill_disk(r, 0, 0, 2048, 3);
	both_units(r, 1);
	list_segment(r, 0, 0, 6000, 0, 100); /* several pieces, each of which meets the next one */
	copy_exec(r, &c);
	assert_good(&c);
	expect_disk(r, 0, 100, 1024, 3, 0);
	both_units(r, 1);
	list_segment(r, 0, 0, 6000, 100, 0);
	copy_exec(r, &d);
	assert_good(&d);
	expect_disk(r, 0, 0, 1024, 3, 0);
}

/* 8 blocks of 512 are one of 4096; 7 are none. */
static void test_block_sizes(void **state)
{
	static const struct tp_conf big = { .block_size = 4096, .physical = 4096 };
	RIG(r) = rig_new(&usual, &big);
	TP_CMD(c);
	TP_CMD(d);
	TP_CMD(e);
	TP_CMD(back);

	(void)state;
	fill_disk(r, 0, 8, 16, 4);
	both_units(r, 1);
	list_segment(r, 0, 1, 16, 8, 5);
	copy_exec(r, &c);
	assert_good(&c);
	at_lun(&back, SECOND);
	tp_exec(r->tp, &back, CDB_(0x28, 0, 0, 0, 0, 5, 0, 0, 2, 0), 8192, NULL, 0);
	assert_good(&back);
	tp_fill(data, 8192, 4);
	assert_memory_equal(back.task.in_data, data, 8192);
	both_units(r, 1);
	list_segment(r, 0, 1, 2, 8, 5)[1] = 0x02; /* DC */
	copy_exec(r, &d);
	assert_good(&d);
	both_units(r, 1);
	list_segment(r, 0, 1, 7, 8, 5);
	copy_exec(r, &e);
	assert_sense(&e, 0x0a, 0x26, 0x0a);
}

static void test_holes_stay_holes(void **state)
{
	static const struct tp_conf thin = { .thin = true };
	RIG(r) = rig_new(&usual, &thin);
	TP_CMD(c);
	TP_CMD(status);

	(void)state;
	fill_disk(r, SECOND, 0, 2048, 5);
	both_units(r, 1);
	list_segment(r, 0, 1, 2048, 0, 0); /* nothing was written there */
	copy_exec(r, &c);
	assert_good(&c);
	at_lun(&status, SECOND);
	tp_exec(r->tp, &status, CDB_(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64,
		NULL, 0);
	assert_good(&status);
	assert_int_equal(status.task.in_data[8 + 12], 1); /* deallocated */
	assert_true(be32_load(status.task.in_data + 16) >= 2048);
}

static void test_nothing_to_do(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(empty);
	TP_CMD(none);
	TP_CMD(zero);

	(void)state;
	tp_exec(r->tp, &empty, CDB_(0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&empty);
	both_units(r, 1);
	copy_exec(r, &none);
	assert_good(&none);
	both_units(r, 1);
	list_segment(r, 0, 1, 0, 0, 0);
	copy_exec(r, &zero);
	assert_good(&zero);
}

/* ---- lists that are wrong ---- */

static void expect_list(struct rig *r, uint8_t asc, uint8_t ascq, int byte)
{
	TP_CMD(c);

	copy_exec(r, &c);
	assert_sense(&c, 0x05, asc, ascq);
	if (byte >= 0) {
		assert_int_equal(c.task.sense[15] & 0xc0, 0x80);
		assert_int_equal(be16_load(c.task.sense + 16), byte);
	}
}

static void test_wrong_lists(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	uint8_t *d;

	(void)state;
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	r->at--;
	expect_list(r, 0x1a, 0x00, -1); /* cut off */
	both_units(r, 1);
	be16_store(r->list + 2, 33);
	expect_list(r, 0x1a, 0x00, -1);
	both_units(r, 1);
	r->list[15] = 4;
	expect_list(r, 0x26, 0x0b, 12); /* inline data */
	list_begin(r, 1, 1);
	expect_list(r, 0x26, 0x00, 1);
	list_begin(r, 1, 3);
	expect_list(r, 0x26, 0x00, 0);
	list_begin(r, 1, 0);
	list_unit(r, r->lun)[0] = 0xe0;
	expect_list(r, 0x26, 0x07, 16);
	list_begin(r, 1, 0);
	list_unit(r, r->lun)[5] |= 0x10;
	expect_list(r, 0x26, 0x00, 21);
	list_begin(r, 1, 0);
	list_unit(r, r->lun)[7] = 21;
	expect_list(r, 0x26, 0x00, 23);
	both_units(r, 1);
	d = list_segment(r, 0, 1, 1, 0, 0);
	d[0] = 0x03;
	expect_list(r, 0x26, 0x09, 80);
	d[0] = 0x02;
	d[3] = 0x14;
	expect_list(r, 0x26, 0x00, 82);
}

static void test_too_many(void **state)
{
	RIG(r) = rig_new(&usual, &usual);

	(void)state;
	list_begin(r, 1, 0);
	for (unsigned i = 0; i <= COPY_UNITS_MAX; i++)
		list_unit(r, r->lun);
	expect_list(r, 0x26, 0x06, 2);
	list_begin(r, 1, 0);
	for (unsigned i = 0; i <= COPY_SEGMENTS_MAX; i++)
		list_segment(r, 0, 0, 0, 0, 0);
	expect_list(r, 0x26, 0x08, 8);
	list_begin(r, 1, 0);
	r->at = 16 + COPY_LIST_MAX + 1;
	expect_list(r, 0x1a, 0x00, -1);
}

static void test_long_header(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	static const struct {
		uint8_t byte, value, told;
	} wrong[] = { { 0, 2, 0 }, { 3, 0x1f, 2 }, { 15, 2 /* IMMED */, 15 }, { 16, 0, 16 } };

	(void)state;
	fill_disk(r, 0, 0, 64, 6);
	both_units(r, 0);
	list_segment(r, 0, 1, 64, 0, 128);
	copy_exec4(r, &c, 0x12345678);
	assert_good(&c);
	expect_disk(r, SECOND, 128, 64, 6, 0);
	for (unsigned i = 0; i < own_array_len(wrong); i++) {
		uint8_t cdb[16] = { 0x83, 0x01 }, was = r->list[wrong[i].byte];
		TP_CMD(w);

		r->list[wrong[i].byte] = wrong[i].value;
		be32_store(cdb + 10, r->at);
		tp_exec(r->tp, &w, cdb, 16, 0, r->list, r->at);
		assert_sense(&w, 0x05, 0x26, 0x00);
		assert_int_equal(be16_load(w.task.sense + 16), wrong[i].told);
		r->list[wrong[i].byte] = was;
	}
}

/* ---- copies that fail ---- */

static void expect_refused(
	struct rig *r, uint8_t asc, uint8_t ascq, unsigned segment, unsigned byte)
{
	TP_CMD(c);

	copy_exec(r, &c);
	assert_sense(&c, 0x0a, asc, ascq);
	assert_int_equal(be16_load(c.task.sense + 10), segment);
	assert_int_equal(c.task.sense[15] & 0xe0, 0xa0); /* SKSV, SD */
	assert_int_equal(be16_load(c.task.sense + 16), byte);
}

static void test_units_that_are_not_there(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	uint8_t *d;

	(void)state;
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	list_segment(r, 2, 1, 1, 0, 0);
	expect_refused(r, 0x08, 0x04, 1, 4);
	list_begin(r, 1, 0);
	list_unit(r, r->tp->lun);
	d = list_unit(r, r->lun);
	list_segment(r, 0, 1, 1, 0, 0);
	d[8] ^= 1;
	expect_refused(r, 0x0d, 0x02, 0, 6);
	d[8] ^= 1;
	d[1] = 0x20; /* NUL */
	expect_refused(r, 0x0d, 0x02, 0, 6);
	d[1] = 0x01; /* a tape */
	expect_refused(r, 0x0d, 0x03, 0, 6);
	d[1] = 0x00;
	be24_store(d + 29, 1024);
	expect_refused(r, 0x0d, 0x03, 0, 6);
	be24_store(d + 29, 0);
	TP_CMD(c);
	copy_exec(r, &c);
	assert_good(&c);
}

static void test_beyond_the_end(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	TP_CMD(d);

	(void)state;
	both_units(r, 1);
	list_segment(r, 0, 1, 2, BLOCKS - 1, 0);
	copy_exec(r, &c);
	expect_third(&c, 0x0000, 0, false, SCSI_CHECK_CONDITION, 0x05, 0x21, 0x00);
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	list_segment(r, 0, 1, 1, 0, UINT64_MAX);
	copy_exec(r, &d);
	expect_third(&d, 0x0000, 1, true, SCSI_CHECK_CONDITION, 0x05, 0x21, 0x00);
}

static void test_write_protected(void **state)
{
	static const struct tp_conf locked = { .readonly = true };
	RIG(r) = rig_new(&usual, &locked);
	TP_CMD(c);

	(void)state;
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	copy_exec(r, &c);
	expect_third(&c, 0x0d01, 0, true, SCSI_CHECK_CONDITION, 0x07, 0x27, 0x00);
}

static void test_units_that_fail(void **state)
{
	static const struct tp_conf unreadable = {
		.layer = "error", .options = "op=read errno=EIO off=1M len=512", .blocks = BLOCKS
	};
	static const struct tp_conf full = { .layer = "error", .options = "op=write errno=ENOSPC" };
	RIG(r) = rig_new(&unreadable, &full);
	TP_CMD(c);
	TP_CMD(d);

	(void)state;
	fill_disk(r, 0, 0, 1, 1);
	both_units(r, 1);
	list_segment(r, 0, 0, 1, 2048, 0);
	copy_exec(r, &c);
	expect_third(&c, 0x0d01, 0, false, SCSI_CHECK_CONDITION, 0x03, 0x11, 0x00);
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	copy_exec(r, &d);
	expect_third(&d, 0x0d01, 0, true, SCSI_CHECK_CONDITION, 0x07, 0x27, 0x07);
}

static void test_reserved_by_another(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(reserve);
	TP_CMD(c);

	(void)state;
	at_lun(&reserve, SECOND);
	tp_start(r->tp, 1, &reserve, CDB_(0x16, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(r->tp);
	assert_good(&reserve);
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	copy_exec(r, &c);
	expect_third(&c, 0x0d01, 0, true, SCSI_RESERVATION_CONFLICT, 0, 0, 0);
}

static void test_no_memory(void **state)
{
	static const struct tp_conf poor = { .blocks = BLOCKS, .data_max = 64u << 10 };
	RIG(r) = rig_new(&poor, &usual);
	TP_CMD(c);

	(void)state;
	both_units(r, 1);
	list_segment(r, 0, 1, 2048, 0, 0);
	copy_exec(r, &c);
	assert_int_equal(c.task.status, SCSI_BUSY);
}

/* A unit attention of the other unit is the initiator's, not the copy's. */
static void test_attentions_are_left_alone(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	TP_CMD(look);

	(void)state;
	scsi_nexus_attention(&r->tp->nexus[0], r->lun, UA_DEVICE_RESET);
	both_units(r, 1);
	list_segment(r, 0, 1, 1, 0, 0);
	copy_exec(r, &c);
	assert_good(&c);
	at_lun(&look, SECOND);
	tp_exec(r->tp, &look, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_sense(&look, 0x06, 0x29, 0x03);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_between_units),
		cmocka_unit_test(test_by_t10_designator_and_own_number),
		cmocka_unit_test(test_overlap_up_and_down),
		cmocka_unit_test(test_block_sizes),
		cmocka_unit_test(test_holes_stay_holes),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_wrong_lists),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_units_that_are_not_there),
		cmocka_unit_test(test_beyond_the_end),
		cmocka_unit_test(test_write_protected),
		cmocka_unit_test(test_units_that_fail),
		cmocka_unit_test(test_reserved_by_another),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_attentions_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
