/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Third-party copies: between two units, inside of one, with lists that are wrong, with units that
 * fail, are taken, or are not there; what is told of them afterwards; stopping them.
 */
#include "tests/unit/scsi_testport.h"

#include "target/scsi/copy.h"
#include "target/scsi/lun.h"

#include "common/own.h"

#define SECOND 7 /* LUN of the second unit */
#define BLOCKS 4096u

struct rig {
	struct tp *tp;
	struct vol *vol;
	struct scsi_lun *lun; /* the second unit */
	uint8_t list[48 + COPY_LIST_MAX + 64];
	uint32_t at;    /* bytes of the list */
	uint32_t units; /* bytes of CSCD descriptors */
};

static uint8_t data[1u << 20];

/* ---- a box with two units */

static void reopen(struct tp *tp, void (*change)(struct rig *r), struct rig *r)
{
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		tp_close_nexus(tp, n);
	tp_run(tp);
	change(r);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		tp_open_nexus(tp, n);
		for (unsigned i = 0; i < tp->nexus[n].itl_count; i++)
			tp->nexus[n].itl[i].ua_count = 0;
	}
}

static void map_second(struct rig *r)
{
	assert_int_equal(scsi_target_map(r->tp->target, SECOND, r->lun), 0);
}

static struct vol *second_vol(const struct tp_conf *conf)
{
	struct vol_layer_conf layer = { .kind = conf->layer, .options = conf->options };
	struct vol_conf vc = { .name = "second",
		.store = "mem",
		.size = (uint64_t)BLOCKS * (conf->block_size ? conf->block_size : 512),
		.block_size = conf->block_size,
		.uuid = "c0ffee01-1234-4321-8888-0123456789ab",
		.layers = &layer,
		.layer_count = conf->layer ? 1 : 0 };
	char why[256] = "";
	struct vol *vol = vol_open(&vc, why, sizeof why);

	if (!vol)
		fail_msg("vol_open: %s", why);
	return vol;
}

static struct rig *rig_new(const struct tp_conf *first, const struct tp_conf *second)
{
	struct rig *r = own_calloc(1, sizeof *r);
	struct scsi_lun_conf lc = { .vendor = "KURA",
		.product = "TEST DISK",
		.revision = "0.1",
		.serial = "short",
		.readonly = second->readonly,
		.thin = second->thin };

	r->tp = tp_new(first);
	lc.vol = r->vol = second_vol(second);
	r->lun = scsi_lun_new(r->tp->domain, &lc);
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		tp_enter(r->tp, 2 * i);
		assert_int_equal(scsi_lun_open(r->lun, r->tp->loop[i]), 0);
	}
	reopen(r->tp, map_second, r);
	return r;
}

static void rig_free(struct rig **r)
{
	struct tp *tp = (*r)->tp;

	for (unsigned n = 0; n < TP_NEXUSES; n++)
		tp_close_nexus(tp, n);
	tp_advance(tp, 60);
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		tp_enter(tp, 2 * i);
		scsi_lun_close((*r)->lun, tp->loop[i]);
	}
	scsi_lun_free((*r)->lun);
	vol_close((*r)->vol);
	tp_free(tp);
	free(*r);
}

#define RIG(name) struct rig *name __attribute__((cleanup(rig_free)))

static const struct tp_conf usual = { .blocks = BLOCKS };

/* ---- parameter lists */

static void list_begin(struct rig *r, uint8_t id, uint8_t usage)
{
	memset(r->list, 0, sizeof r->list);
	r->list[0] = id;
	r->list[1] = (uint8_t)(usage << 3);
	r->at = 16;
	r->units = 0;
}

static uint8_t *list_unit(struct rig *r, const struct scsi_lun *lun)
{
	uint8_t *d = r->list + r->at;

	d[0] = 0xe4;
	d[4] = 0x01;
	d[5] = 0x03;
	d[7] = lun->naa_len;
	memcpy(d + 8, lun->naa, lun->naa_len);
	be24_store(d + 29, lun->block_size);
	r->at += 32;
	r->units += 32;
	be16_store(r->list + 2, (uint16_t)r->units);
	return d;
}

static uint8_t *list_segment(
	struct rig *r, uint16_t from, uint16_t to, uint16_t blocks, uint64_t src, uint64_t dst)
{
	uint8_t *d = r->list + r->at;

	d[0] = 0x02;
	be16_store(d + 2, 0x18);
	be16_store(d + 4, from);
	be16_store(d + 6, to);
	be16_store(d + 10, blocks);
	be64_store(d + 12, src);
	be64_store(d + 20, dst);
	r->at += 28;
	be32_store(r->list + 8, r->at - 16 - r->units);
	return d;
}

static void both_units(struct rig *r, uint8_t id)
{
	list_begin(r, id, 0);
	list_unit(r, r->tp->lun);
	list_unit(r, r->lun);
}

static void copy_start(struct rig *r, struct tp_cmd *c)
{
	uint8_t cdb[16] = { 0x83 };

	be32_store(cdb + 10, r->at);
	tp_start(r->tp, 0, c, cdb, 16, 0, r->list, r->at);
}

static void copy_exec(struct rig *r, struct tp_cmd *c)
{
	copy_start(r, c);
	tp_run(r->tp);
	assert_int_equal(c->done, 1);
}

/* The header of 48 bytes in place of that of 16. */
static void copy_exec4(struct rig *r, struct tp_cmd *c, uint32_t id)
{
	uint8_t cdb[16] = { 0x83, 0x01 };
	uint32_t lists = r->at - 16;

	memmove(r->list + 48, r->list + 16, lists);
	memset(r->list, 0, 48);
	r->list[0] = 0x01;
	be16_store(r->list + 2, 0x20);
	r->list[16] = 0xff;
	be32_store(r->list + 20, id);
	be16_store(r->list + 42, (uint16_t)r->units);
	be16_store(r->list + 44, (uint16_t)(lists - r->units));
	r->at += 32;
	be32_store(cdb + 10, r->at);
	tp_exec(r->tp, c, cdb, 16, 0, r->list, r->at);
}

static void at_lun(struct tp_cmd *c, uint8_t number)
{
	c->task.lun_field[1] = number;
}

static void fill_disk(struct rig *r, uint8_t number, uint32_t lba, uint16_t blocks, unsigned seed)
{
	TP_CMD(c);

	at_lun(&c, number);
	tp_fill(data, (size_t)blocks * r->tp->bs, seed);
	tp_write10(r->tp, &c, lba, blocks, data);
	assert_good(&c);
}

static void expect_disk(
	struct rig *r, uint8_t number, uint32_t lba, uint16_t blocks, unsigned seed, size_t off)
{
	TP_CMD(c);

	at_lun(&c, number);
	tp_read10(r->tp, &c, lba, blocks);
	assert_good(&c);
	tp_fill(data, off + (size_t)blocks * 512, seed);
	assert_memory_equal(c.task.in_data, data + off, (size_t)blocks * 512);
}

/* COPY ABORTED in segment `n`, which `dest` says was the destination's fault. */
static void expect_third(const struct tp_cmd *c, uint16_t code, uint16_t n, bool dest,
	uint8_t status, uint8_t key, uint8_t asc, uint8_t ascq)
{
	const uint8_t *s = c->task.sense;
	unsigned area = s[dest ? 9 : 8];

	assert_int_equal(c->task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(s[2], 0x0a);
	assert_int_equal(be16_load(s + 12), code);
	assert_int_equal(be16_load(s + 10), n);
	assert_int_equal(s[dest ? 8 : 9], 0);
	assert_int_equal(area, 18);
	assert_int_equal(s[area], status);
	if (status != SCSI_CHECK_CONDITION)
		return;
	assert_int_equal(s[area + 1 + 2], key);
	assert_int_equal(s[area + 1 + 12], asc);
	assert_int_equal(s[area + 1 + 13], ascq);
	assert_int_equal(c->task.sense_len, s[7] + 8);
}

/* ---- copies that go well */

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

/* ---- lists that are wrong */

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
	} wrong[] = { { 0, 2, 0 }, { 3, 0x1f, 2 }, { 15, 2, 15 }, { 16, 0, 16 } };

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

/* ---- copies that fail */

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

/* ---- what is told of them */

static void ask(struct rig *r, struct tp_cmd *c, uint8_t action, uint32_t id)
{
	uint8_t cdb[16] = { 0x84, action };

	if (action == 0x05)
		be32_store(cdb + 2, id);
	else
		cdb[2] = (uint8_t)id;
	be32_store(cdb + 10, 512);
	tp_exec(r->tp, c, cdb, 16, 512, NULL, 0);
}

static void test_status(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	TP_CMD(s);

	(void)state;
	ask(r, &s, 0x00, 9);
	assert_field(&s, 2, 7);
	both_units(r, 9);
	list_segment(r, 0, 1, 3, 0, 0);
	list_segment(r, 0, 1, 4, 0, 0);
	copy_exec(r, &c);
	ask(r, &s, 0x00, 9);
	assert_good(&s);
	assert_int_equal(s.task.in_len, 12);
	assert_memory_equal(s.task.in_data, "\0\0\0\x08\x01\0\x02\0\0\0\x0e\0", 12);
	ask(r, &s, 0x05, 9);
	assert_good(&s);
	assert_int_equal(s.task.in_len, 32);
	assert_int_equal(be32_load(s.task.in_data), 28);
	assert_int_equal(s.task.in_data[5], 0x01);
	assert_int_equal(be64_load(s.task.in_data + 16), 7 * 512);
	assert_int_equal(be16_load(s.task.in_data + 24), 2);
	ask(r, &s, 0x04, 9);
	assert_good(&s); /* it did not fail */
	assert_int_equal(be32_load(s.task.in_data), 0);
}

static void test_failure_details(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	TP_CMD(s);

	(void)state;
	both_units(r, 9);
	list_segment(r, 0, 1, 3, 0, 0);
	list_segment(r, 5, 1, 4, 0, 0);
	copy_exec(r, &c);
	ask(r, &s, 0x00, 9);
	assert_memory_equal(s.task.in_data, "\0\0\0\x08\x02\0\x01\0\0\0\x06\0", 12);
	ask(r, &s, 0x05, 9);
	assert_int_equal(s.task.in_data[5], 0x02);
	assert_int_equal(s.task.in_data[12], SCSI_CHECK_CONDITION);
	assert_int_equal(s.task.in_data[14], c.task.sense_len);
	assert_memory_equal(s.task.in_data + 32, c.task.sense, c.task.sense_len);
	for (unsigned i = 0; i < 2; i++) {
		ask(r, &s, 0x04, 9);
		assert_good(&s);
		assert_int_equal(be32_load(s.task.in_data), i ? 0 : 56 + c.task.sense_len);
		if (i)
			break;
		assert_int_equal(s.task.in_data[56], SCSI_CHECK_CONDITION);
		assert_int_equal(be16_load(s.task.in_data + 58), c.task.sense_len);
		assert_memory_equal(s.task.in_data + 60, c.task.sense, c.task.sense_len);
	}
	ask(r, &s, 0x04, 8);
	assert_field(&s, 2, 7);
}

/* The last sixteen are remembered; one of the same number takes the place of the last one. */
static void test_memory_of_copies(void **state)
{
	RIG(r) = rig_new(&usual, &usual);

	(void)state;
	for (unsigned i = 0; i <= COPY_PAST_MAX; i++) {
		TP_CMD(c);

		both_units(r, (uint8_t)i);
		copy_exec(r, &c);
		both_units(r, (uint8_t)i);
		list_segment(r, 0, 1, 1, 0, 0);
		copy_exec(r, &c);
		assert_good(&c);
	}
	for (unsigned i = 0; i <= COPY_PAST_MAX; i++) {
		TP_CMD(s);

		ask(r, &s, 0x00, i);
		assert_int_equal(s.task.status, i ? SCSI_GOOD : SCSI_CHECK_CONDITION);
		if (i)
			assert_int_equal(be16_load(s.task.in_data + 5), 1);
	}
}

static void test_parameters(void **state)
{
	RIG(r) = rig_new(&usual, &usual);
	TP_CMD(c);
	TP_CMD(vpd);
	const uint8_t *p;

	(void)state;
	ask(r, &c, 0x03, 0);
	assert_good(&c);
	p = c.task.in_data;
	assert_int_equal(be32_load(p), c.task.in_len - 4);
	assert_int_equal(p[4], 1);
	assert_int_equal(be16_load(p + 8), COPY_UNITS_MAX);
	assert_int_equal(be16_load(p + 10), COPY_SEGMENTS_MAX);
	assert_int_equal(be32_load(p + 12), COPY_LIST_MAX);
	assert_int_equal(p[37], 9);
	assert_int_equal(p[43], 2);
	assert_int_equal(p[44], 0x02);
	assert_int_equal(p[45], 0xe4);
	assert_int_equal(c.task.in_len, 46);
	tp_exec(r->tp, &vpd, CDB_(0x12, 1, 0x8f, 2, 0, 0), 512, NULL, 0);
	assert_good(&vpd);
	p = vpd.task.in_data;
	assert_int_equal(p[1], 0x8f);
	assert_int_equal(be16_load(p + 2), vpd.task.in_len - 4);
	assert_int_equal(vpd.task.in_len % 4, 0);
	for (unsigned at = 4, n = 0; at < vpd.task.in_len; at += 4u + be16_load(p + at + 2), n++) {
		static const uint16_t types[] = { 0x0001, 0x0004, 0x0008, 0x000c, 0x8001 };

		assert_true(n < own_array_len(types));
		assert_int_equal(be16_load(p + at), types[n]);
		assert_int_equal(be16_load(p + at + 2) % 4, 0);
		if (n == 0)
			assert_memory_equal(
				p + at + 4, "\x0b\x83\x03\x00\x01\x1c\x84\x04\x00\x03\x04\x05", 12);
	}
}

/* ---- copies that are stopped */

static const struct tp_conf slow = { .blocks = BLOCKS, .layer = "delay", .options = "ms=20" };

static void long_copy(struct rig *r, struct tp_cmd *c, uint8_t id)
{
	both_units(r, id);
	for (unsigned i = 0; i < 8; i++)
		list_segment(r, 0, 1, 8, 0, 8 * i);
	copy_start(r, c);
	tp_advance(r->tp, 45);
	assert_int_equal(c->done, 0);
}

static void test_copy_operation_abort(void **state)
{
	RIG(r) = rig_new(&slow, &slow);
	TP_CMD(c);
	TP_CMD(s);
	TP_CMD(stop);
	TP_CMD(twice);
	TP_CMD(none);

	(void)state;
	long_copy(r, &c, 5);
	ask(r, &s, 0x00, 5);
	assert_int_equal(s.task.in_data[4], 0x00); /* in progress */
	ask(r, &s, 0x05, 5);
	assert_int_equal(s.task.in_data[5], 0x11);
	tp_start(r->tp, 0, &none, CDB_(0x83, 0x1c, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0,
		NULL, 0);
	tp_start(r->tp, 0, &stop, CDB_(0x83, 0x1c, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0,
		NULL, 0);
	tp_start(r->tp, 0, &twice, CDB_(0x83, 0x1c, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0,
		NULL, 0);
	tp_run(r->tp);
	assert_field(&none, 2, 7);
	assert_int_equal(twice.task.status, SCSI_TASK_SET_FULL);
	assert_int_equal(stop.done, 0); /* a piece is under way */
	tp_advance(r->tp, 25);
	assert_good(&stop);
	assert_sense(&c, 0x0a, 0x00, 0x00);
	ask(r, &s, 0x05, 5);
	assert_int_equal(s.task.in_data[5], 0x60);
}

static void test_same_identifier(void **state)
{
	RIG(r) = rig_new(&slow, &slow);
	TP_CMD(c);
	TP_CMD(d);
	TP_CMD(e);

	(void)state;
	long_copy(r, &c, 5);
	both_units(r, 5);
	list_segment(r, 0, 1, 1, 0, 0);
	copy_exec(r, &d);
	assert_sense(&d, 0x05, 0x00, 0x16);
	list_begin(r, 0, 3); /* without an identifier */
	copy_exec(r, &e);
	assert_good(&e);
	tp_advance(r->tp, 500);
	assert_good(&c);
}

static void test_nexus_loss(void **state)
{
	RIG(r) = rig_new(&slow, &slow);
	TP_CMD(c);
	TP_CMD(stop);

	(void)state;
	long_copy(r, &c, 5);
	tp_start(r->tp, 0, &stop, CDB_(0x83, 0x1c, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0,
		NULL, 0);
	tp_close_nexus(r->tp, 0);
	tp_advance(r->tp, 45);
	assert_int_equal(c.done, 1);
	assert_true(c.task.aborted);
	assert_int_equal(stop.done, 1);
	assert_true(stop.task.aborted);
	tp_open_nexus(r->tp, 0);
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
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_failure_details),
		cmocka_unit_test(test_memory_of_copies),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_copy_operation_abort),
		cmocka_unit_test(test_same_identifier),
		cmocka_unit_test(test_nexus_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
