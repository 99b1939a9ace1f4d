/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes while two loops run: LUNs that come and go, units that grow and shrink, space that gets
 * short; with commands in the volume, and with what initiators are told of it.
 */
#include "tests/unit/scsi_testport.h"

#include "target/scsi/live.h"
#include "target/scsi/reservation.h"

#include "common/own.h"

#include <errno.h>

#define SECOND 7 /* LUN of the second unit */

struct rig {
	struct tp *tp;
	struct vol *vol;
	struct scsi_lun *lun; /* the second unit */
	struct scsi_change change;
	unsigned done;
	bool inside;
};

static uint8_t data[64u << 10];

static void change_done(struct scsi_change *change)
{
	struct rig *r = container_of(change, struct rig, change);

	assert_false(r->inside);
	r->done++;
}

static struct rig *rig_new(const struct tp_conf *conf)
{
	struct rig *r = own_calloc(1, sizeof *r);
	struct vol_layer_conf layer = { .kind = conf->layer, .options = conf->options };
	struct vol_conf vc = { .name = "second",
		.store = "mem",
		.size = 1024 * 512,
		.uuid = "c0ffee01-1234-4321-8888-0123456789ab",
		.layers = &layer,
		.layer_count = conf->layer ? 1 : 0 };
	struct scsi_lun_conf lc = { .vendor = "KURA", .product = "TEST DISK", .revision = "0.1" };
	char why[256] = "";

	r->change.done = change_done;
	r->tp = tp_new(conf);
	lc.vol = r->vol = vol_open(&vc, why, sizeof why);
	assert_non_null(r->vol);
	r->lun = scsi_lun_new(r->tp->domain, &lc);
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		tp_enter(r->tp, 2 * i);
		assert_int_equal(scsi_lun_open(r->lun, r->tp->loop[i]), 0);
	}
	return r;
}

static void rig_free(struct rig **r)
{
	struct tp *tp = (*r)->tp;

	for (unsigned n = 0; n < TP_NEXUSES; n++)
		if (tp->open[n])
			tp_close_nexus(tp, n);
	tp_advance(tp, 150);
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

static const struct tp_conf usual = { 0 };
static const struct tp_conf slower = { .layer = "delay", .options = "ms=100" };
static const struct tp_conf slow = { .layer = "delay", .options = "ms=20" };

/* ---- changes, asked for on the loop of nexus `n` ---- */

static int add(struct rig *r, unsigned n, uint16_t number, struct scsi_lun *lun)
{
	int err;

	r->done = 0;
	tp_enter(r->tp, n);
	r->inside = true;
	err = scsi_target_add(&r->change, r->tp->target, number, lun, false);
	r->inside = false;
	return err;
}

static int take_away(struct rig *r, unsigned n, uint16_t number)
{
	int err;

	r->done = 0;
	tp_enter(r->tp, n);
	r->inside = true;
	err = scsi_target_remove(&r->change, r->tp->target, number);
	r->inside = false;
	return err;
}

static int resize(struct rig *r, unsigned n, uint64_t blocks)
{
	int err;

	r->done = 0;
	tp_enter(r->tp, n);
	r->inside = true;
	err = scsi_lun_resized(&r->change, r->tp->lun, blocks * 512);
	r->inside = false;
	return err;
}

/* Begins TEST UNIT READY of nexus `n` at a LUN, and runs it to its end. */
static void look(struct rig *r, unsigned n, struct tp_cmd *c, uint16_t number)
{
	be16_store(c->task.lun_field, number < 256 ? number : 0x4000 | number);
	tp_start(r->tp, n, c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(r->tp);
	assert_int_equal(c->done, 1);
}

static void expect_attention(struct rig *r, unsigned n, uint16_t number, uint16_t code)
{
	TP_CMD(c);

	look(r, n, &c, number);
	assert_sense(&c, 0x06, (uint8_t)(code >> 8), (uint8_t)code);
}

static void expect_ready(struct rig *r, unsigned n, uint16_t number)
{
	TP_CMD(c);

	look(r, n, &c, number);
	assert_good(&c);
}

static void expect_no_lun(struct rig *r, unsigned n, uint16_t number)
{
	TP_CMD(c);

	look(r, n, &c, number);
	assert_sense(&c, 0x05, 0x25, 0x00);
}

/* ---- LUNs that come ---- */

static void test_a_lun_comes(void **state)
{
	RIG(r) = rig_new(&usual);

	(void)state;
	expect_no_lun(r, 0, SECOND);
	assert_int_equal(add(r, 2, SECOND, r->lun), 0);
	assert_int_equal(add(r, 2, 9, r->lun), -EBUSY);
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		expect_attention(r, n, SECOND, 0x2900);
		expect_ready(r, n, SECOND);
		expect_attention(r, n, 0, 0x3f0e);
		expect_ready(r, n, 0);
		expect_attention(r, n, 300, 0x3f0e);
	}
}

/* SPC-4 6.33: who has asked for the list knows it. */
static void test_the_list_tells_as_well(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(c);

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	tp_exec(r->tp, &c, CDB_(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64, NULL, 0);
	assert_good(&c);
	assert_int_equal(be32_load(c.task.in_data), 24);
	assert_int_equal(c.task.in_data[8 + 8 + 1], SECOND);
	expect_ready(r, 0, 0);
	expect_attention(r, 1, 0, 0x3f0e); /* another nexus has not */
}

/* A session's first is POWER ON, whatever came before its first command. */
static void test_power_on_is_first(void **state)
{
	RIG(r) = rig_new(&usual);

	(void)state;
	tp_close_nexus(r->tp, 0);
	tp_run(r->tp);
	tp_open_nexus(r->tp, 0);
	assert_int_equal(add(r, 2, SECOND, r->lun), 0);
	tp_run(r->tp);
	assert_int_equal(resize(r, 2, 1000), 0);
	tp_run(r->tp);
	scsi_nexus_attention(&r->tp->nexus[0], r->tp->lun, UA_DEVICE_RESET);
	expect_attention(r, 0, 0, 0x2900);
	expect_attention(r, 0, 0, 0x2903);
	expect_attention(r, 0, 0, 0x3f0e);
	expect_attention(r, 0, 0, 0x2a09);
	expect_ready(r, 0, 0);
}

static void test_numbers_that_cannot_be(void **state)
{
	RIG(r) = rig_new(&usual);

	(void)state;
	assert_int_equal(add(r, 0, 300, r->lun), -EEXIST);
	assert_int_equal(add(r, 0, 16384, r->lun), -EINVAL);
	assert_int_equal(take_away(r, 0, SECOND), -ENOENT);
	assert_int_equal(resize(r, 0, 0), -EINVAL);
	tp_run(r->tp);
	assert_int_equal(r->done, 0);
	expect_ready(r, 0, 0);
	assert_int_equal(add(r, 0, SECOND, r->lun), 0); /* none of them has left the door shut */
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
}

/* ---- LUNs that go ---- */

static void start_write(
	struct rig *r, unsigned n, struct tp_cmd *c, uint16_t lun_field, uint8_t bytes[512])
{
	be16_store(c->task.lun_field, lun_field);
	tp_start(r->tp, n, c, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0, bytes, 512);
}

static void start_read(struct rig *r, unsigned n, struct tp_cmd *c, uint16_t number)
{
	be16_store(c->task.lun_field, number);
	tp_start(r->tp, n, c, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0), 4096, NULL, 0);
}

static void test_a_lun_goes_with_its_last_task(void **state)
{
	RIG(r) = rig_new(&slow);
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		expect_attention(r, n, SECOND, 0x2900);
		expect_attention(r, n, 0, 0x3f0e);
	}
	start_read(r, 2, &c, SECOND);
	start_read(r, 0, &other, 0);
	assert_int_equal(take_away(r, 0, SECOND), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 0);
	expect_no_lun(r, 0, SECOND);
	expect_no_lun(r, 2, SECOND);
	expect_attention(r, 0, 0, 0x3f0e);
	tp_advance(r->tp, 30);
	assert_int_equal(r->done, 1);
	assert_good(&c);
	assert_good(&other); /* it has moved with its LUN */
	assert_int_equal(r->tp->nexus[0].itl[0].tasks, 0);
	expect_attention(r, 2, 0, 0x3f0e);
	assert_int_equal(add(r, 2, SECOND, r->lun), 0); /* and it can come again */
	tp_run(r->tp);
	expect_attention(r, 0, SECOND, 0x2900);
}

/* An ORDERED command holds up another one; both are of a LUN that goes. */
static void test_those_that_wait_for_their_turn(void **state)
{
	RIG(r) = rig_new(&slow);
	TP_CMD(first);
	TP_CMD(second);
	TP_CMD(third);

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	expect_attention(r, 0, SECOND, 0x2900);
	start_read(r, 0, &first, SECOND);
	second.attr = third.attr = SCSI_ATTR_ORDERED;
	start_read(r, 0, &second, SECOND);
	start_read(r, 0, &third, SECOND);
	assert_int_equal(take_away(r, 2, SECOND), 0);
	tp_advance(r->tp, 45);
	assert_int_equal(r->done, 0);
	tp_advance(r->tp, 30);
	assert_int_equal(r->done, 1);
	assert_good(&first);
	assert_good(&second);
	assert_good(&third);
}

/* Data-out that never comes does not keep a LUN; nor do writes that wait behind it for their turn.
 */
static void test_those_that_wait_for_data(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(first);
	TP_CMD(second);
	TP_CMD(other);
	uint8_t bytes[512] = { 1 };

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	expect_attention(r, 0, SECOND, 0x2900);
	expect_attention(r, 0, 0, 0x3f0e);
	first.hold_data = other.hold_data = true;
	second.attr = SCSI_ATTR_ORDERED;
	start_write(r, 0, &first, SECOND, bytes);
	start_write(r, 0, &second, SECOND, bytes);
	start_write(r, 0, &other, 0, bytes);
	tp_run(r->tp);
	assert_int_equal(first.asked, 512);
	assert_int_equal(take_away(r, 2, SECOND), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
	assert_sense(&first, 0x05, 0x25, 0x00);
	assert_sense(&second, 0x05, 0x25, 0x00);
	assert_int_equal(other.done, 0); /* it is at another LUN */
	tp_give(&other);
	tp_run(r->tp);
	assert_good(&other);
}

/* ---- write protection of one way ---- */

static int protect(struct rig *r, unsigned n, uint16_t number, bool readonly)
{
	int err;

	r->done = 0;
	tp_enter(r->tp, n);
	err = scsi_target_protect(&r->change, r->tp->target, number, readonly);
	tp_run(r->tp);
	return err;
}

/* Whether MODE SENSE (6) of nexus 0 says write protected. */
static bool says_protected(struct rig *r, uint16_t number)
{
	TP_CMD(c);

	be16_store(c.task.lun_field, number < 256 ? number : 0x4000 | number);
	tp_exec(r->tp, &c, CDB_(0x1a, 0x08, 0x3f, 0, 255, 0), 255, NULL, 0);
	assert_good(&c);
	return c.task.in_data[2] & 0x80;
}

static void write_at(struct rig *r, unsigned n, struct tp_cmd *c, uint16_t number)
{
	static uint8_t bytes[512] = { 7 };

	start_write(r, n, c, number, bytes);
	tp_run(r->tp);
}

/* LUN 0 and LUN 300 are two ways to one unit. */
static void test_one_way_is_protected(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(c);

	(void)state;
	assert_int_equal(protect(r, 2, 0, true), 0);
	assert_int_equal(r->done, 1);
	expect_attention(r, 0, 0, 0x2a01);
	expect_ready(r, 0, 0);
	expect_ready(r, 0, 300);
	write_at(r, 0, &a, 0);
	assert_sense(&a, 0x07, 0x27, 0x00);
	write_at(r, 0, &b, 0x4000 | 300);
	assert_good(&b);
	expect_attention(r, 2, 0, 0x2a01);
	write_at(r, 2, &c, 0);
	assert_sense(&c, 0x07, 0x27, 0x00);
	assert_true(says_protected(r, 0));
	assert_false(says_protected(r, 300));
}

static void test_protection_is_taken_back(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(c);

	(void)state;
	assert_int_equal(protect(r, 0, 0, true), 0);
	assert_int_equal(protect(r, 0, 0, true), -EALREADY);
	assert_int_equal(protect(r, 0, 9, true), -ENOENT);
	assert_int_equal(protect(r, 0, 0, false), 0);
	expect_attention(r, 0, 0, 0x2a01);
	write_at(r, 0, &c, 0);
	assert_good(&c);
	assert_false(says_protected(r, 0));
}

/* A nexus that comes later, and a LUN that comes protected. */
static void test_protection_lasts(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	assert_int_equal(protect(r, 0, 300, true), 0);
	tp_close_nexus(r->tp, 0);
	tp_run(r->tp);
	tp_open_nexus(r->tp, 0);
	expect_attention(r, 0, 300, 0x2900);
	write_at(r, 0, &a, 0x4000 | 300);
	assert_sense(&a, 0x07, 0x27, 0x00);
	tp_enter(r->tp, 0);
	r->done = 0;
	assert_int_equal(scsi_target_add(&r->change, r->tp->target, SECOND, r->lun, true), 0);
	tp_run(r->tp);
	expect_attention(r, 0, SECOND, 0x2900);
	write_at(r, 0, &b, SECOND);
	assert_sense(&b, 0x07, 0x27, 0x00);
}

/* ---- */

static void test_the_nexus_goes_meanwhile(void **state)
{
	RIG(r) = rig_new(&slow);
	TP_CMD(c);

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	expect_attention(r, 2, SECOND, 0x2900);
	start_read(r, 2, &c, SECOND);
	assert_int_equal(take_away(r, 0, SECOND), 0);
	tp_run(r->tp);
	tp_close_nexus(r->tp, 2);
	tp_advance(r->tp, 30);
	assert_int_equal(r->done, 1);
	assert_true(c.task.aborted);
	assert_false(r->tp->open[2]);
}

/* SPC-2 reservations end with the way to the unit. */
static void test_a_reserved_lun_goes(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(c);

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	expect_attention(r, 0, SECOND, 0x2900);
	expect_attention(r, 1, SECOND, 0x2900);
	be16_store(c.task.lun_field, SECOND);
	tp_exec(r->tp, &c, CDB_(0x16, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	assert_int_equal(take_away(r, 2, SECOND), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
	assert_int_equal(add(r, 2, SECOND, r->lun), 0);
	tp_run(r->tp);
	expect_attention(r, 1, SECOND, 0x2900);
	expect_ready(r, 1, SECOND);
}

/* A reset that holds on to the map from before. */
static void tmf_over(struct scsi_tmf *tmf)
{
	tmf->tag++;
}

static void test_a_reset_over_the_change(void **state)
{
	RIG(r) = rig_new(&slow);
	TP_CMD(c);
	struct scsi_tmf tmf = { .function = SCSI_TMF_TARGET_RESET, .done = tmf_over };

	(void)state;
	tmf.nexus = &r->tp->nexus[0];
	start_read(r, 2, &c, 0);
	tp_enter(r->tp, 0);
	scsi_tmf_submit(&tmf);
	tp_run(r->tp);
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
	assert_int_equal(tmf.tag, 0);
	tp_advance(r->tp, 30);
	assert_int_equal(tmf.tag, 1);
	assert_true(c.task.aborted);
}

/* What waits for its turn when the LUN goes runs to its end, and leaves nothing behind. */
static void test_a_lun_goes_before_a_reserve(void **state)
{
	RIG(r) = rig_new(&slow);
	const struct scsi_member *home = &r->tp->domain->member[0];
	TP_CMD(c);
	TP_CMD(reserve);
	TP_CMD(prevent);

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	expect_attention(r, 2, SECOND, 0x2900);
	start_read(r, 2, &c, SECOND);
	reserve.attr = prevent.attr = SCSI_ATTR_ORDERED;
	be16_store(reserve.task.lun_field, SECOND);
	be16_store(prevent.task.lun_field, SECOND);
	tp_start(r->tp, 2, &reserve, CDB_(0x16, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_start(r->tp, 2, &prevent, CDB_(0x1e, 0, 0, 0, 1, 0), 0, NULL, 0);
	tp_run(r->tp);
	assert_int_equal(take_away(r, 0, SECOND), 0);
	tp_run(r->tp);
	assert_int_equal(r->done + reserve.done + prevent.done, 0);
	tp_advance(r->tp, 30);
	assert_good(&c);
	assert_good(&reserve);
	assert_good(&prevent);
	assert_int_equal(r->done, 1);
	assert_null(scsi_res_view(r->lun->res, home)->spc2);
	assert_int_equal(r->lun->preventers, 0);
}

/* A unit that goes while a reset waits for another one's tasks is there until the reset is over. */
static void test_a_lun_goes_under_a_reset(void **state)
{
	RIG(r) = rig_new(&slow);
	TP_CMD(c);
	struct scsi_tmf tmf = { .function = SCSI_TMF_TARGET_RESET, .done = tmf_over };

	(void)state;
	assert_int_equal(add(r, 0, SECOND, r->lun), 0);
	tp_run(r->tp);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		expect_attention(r, n, 0, 0x3f0e);
	assert_true(scsi_lun_idle(r->lun));
	tmf.nexus = &r->tp->nexus[0];
	start_read(r, 2, &c, 0);
	tp_run(r->tp);
	tp_enter(r->tp, 0);
	scsi_tmf_submit(&tmf);
	tp_run(r->tp);
	assert_int_equal(take_away(r, 0, SECOND), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
	assert_int_equal(tmf.tag, 0);
	assert_false(scsi_lun_idle(r->lun));
	tp_advance(r->tp, 30);
	assert_int_equal(tmf.tag, 1);
	assert_true(scsi_lun_idle(r->lun));
}

/* ---- sizes ---- */

static uint64_t capacity(struct rig *r, unsigned n)
{
	TP_CMD(c);

	tp_start(r->tp, n, &c, CDB_(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), 32,
		NULL, 0);
	tp_run(r->tp);
	assert_good(&c);
	return be64_load(c.task.in_data) + 1;
}

static void test_a_unit_grows(void **state)
{
	RIG(r) = rig_new(&usual);
	TP_CMD(c);
	TP_CMD(d);

	(void)state;
	tp_exec(r->tp, &c, CDB_(0x2a, 0, 0, 0, 7, 255, 0, 0, 2, 0), 0, data, 1024);
	assert_sense(&c, 0x05, 0x21, 0x00);
	assert_int_equal(vol_resize(r->tp->vol, 4096 * 512), 0);
	assert_int_equal(resize(r, 0, 4096), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 1);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		expect_attention(r, n, 0, 0x2a09);
		expect_attention(r, n, 300, 0x2a09);
		assert_int_equal(capacity(r, n), 4096);
	}
	tp_write10(r->tp, &d, 4095, 1, data);
	assert_good(&d);
}

static void test_a_unit_shrinks_behind_its_writes(void **state)
{
	RIG(r) = rig_new(&slower);
	TP_CMD(c);
	TP_CMD(inside);
	TP_CMD(after);

	(void)state;
	tp_start(r->tp, 2, &c, CDB_(0x2a, 0, 0, 0, 4, 0, 0, 0, 8, 0), 0, data, 4096);
	tp_run(r->tp);
	tp_advance(r->tp, 50);
	tp_start(r->tp, 0, &inside, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0), 0, data, 4096);
	assert_int_equal(resize(r, 0, 1024), 0);
	tp_run(r->tp);
	assert_int_equal(r->done, 0);
	tp_advance(r->tp, 70);
	assert_int_equal(c.done, 1);
	assert_int_equal(r->done, 1); /* the write before the end is not waited for */
	assert_int_equal(inside.done, 0);
	assert_int_equal(vol_resize(r->tp->vol, 1024 * 512), 0);
	tp_advance(r->tp, 60);
	assert_good(&inside);
	expect_attention(r, 0, 0, 0x2a09);
	tp_start(r->tp, 0, &after, CDB_(0x28, 0, 0, 0, 4, 0, 0, 0, 1, 0), 512, NULL, 0);
	tp_run(r->tp);
	assert_sense(&after, 0x05, 0x21, 0x00);
}

/* ---- space ---- */

static const struct tp_conf full = {
	.thin = true, .layer = "error", .options = "op=write errno=ENOSPC off=512K"
};

static void test_space_is_short(void **state)
{
	RIG(r) = rig_new(&full);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		TP_CMD(c);

		tp_exec(r->tp, &c, CDB_(0x2a, 0, 0, 0, 4, 0, 0, 0, 8, 0), 0, data, 4096);
		assert_sense(&c, 0x07, 0x27, 0x07);
		if (!i) /* once, not with each of them */
			expect_attention(r, 0, 0, 0x3807);
	}
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		TP_CMD(c);

		if (n)
			expect_attention(r, n, 0, 0x3807);
		tp_start(r->tp, n, &c, CDB_(0x28, 0, 0, 0, 4, 0, 0, 0, 8, 0), 4096, NULL, 0);
		tp_run(r->tp);
		assert_good(&c); /* SBC-3 4.7.3.6: reads go on */
	}
}

/* SBC-3 5.28, 5.48: ANC_SUP is 0 in VPD page B2, so ANCHOR is refused. */
static void test_no_anchors(void **state)
{
	RIG(r) = rig_new(&full);
	TP_CMD(vpd);
	TP_CMD(unmap);
	TP_CMD(same);

	(void)state;
	tp_exec(r->tp, &vpd, CDB_(0x12, 1, 0xb2, 0, 64, 0), 64, NULL, 0);
	assert_int_equal(vpd.task.in_data[5] & 0x02, 0);
	tp_exec(r->tp, &unmap, CDB_(0x42, 1, 0, 0, 0, 0, 0, 0, 24, 0), 0, data, 24);
	assert_field(&unmap, 1, 0);
	tp_exec(r->tp, &same, CDB_(0x93, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 0, data,
		512);
	assert_field(&same, 1, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_lun_comes),
		cmocka_unit_test(test_the_list_tells_as_well),
		cmocka_unit_test(test_power_on_is_first),
		cmocka_unit_test(test_numbers_that_cannot_be),
		cmocka_unit_test(test_a_lun_goes_with_its_last_task),
		cmocka_unit_test(test_those_that_wait_for_their_turn),
		cmocka_unit_test(test_those_that_wait_for_data),
		cmocka_unit_test(test_one_way_is_protected),
		cmocka_unit_test(test_protection_is_taken_back),
		cmocka_unit_test(test_protection_lasts),
		cmocka_unit_test(test_the_nexus_goes_meanwhile),
		cmocka_unit_test(test_a_reserved_lun_goes),
		cmocka_unit_test(test_a_reset_over_the_change),
		cmocka_unit_test(test_a_lun_goes_before_a_reserve),
		cmocka_unit_test(test_a_lun_goes_under_a_reset),
		cmocka_unit_test(test_a_unit_grows),
		cmocka_unit_test(test_a_unit_shrinks_behind_its_writes),
		cmocka_unit_test(test_space_is_short),
		cmocka_unit_test(test_no_anchors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
