/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fences between the commands of three nexuses on two loops, with a volume in which every request
 * takes its time: who waits for whom, what happens to those that are aborted meanwhile, and that no
 * fence is left behind.
 */
#include "tests/unit/scsi_testport.h"

#include "target/scsi/fence.h"

#include "common/own.h"

#define DELAY 50u /* ms that every request stays in the volume */

static const struct tp_conf slow = {
	.layer = "delay", .options = "ms=50", .thin = true, .physical = 4096
};

static uint8_t ones[4096], twos[4096], list[24];

static int prepare(void **state)
{
	(void)state;
	memset(ones, 1, sizeof ones);
	memset(twos, 2, sizeof twos);
	return 0;
}

/* If the four blocks (or `blocks`) from `lba` on are zero, CCh is written. */
static void start_compare(struct tp *tp, unsigned n, struct tp_cmd *c, uint8_t lba, uint8_t blocks)
{
	static uint8_t halves[TP_NEXUSES][8192];
	uint32_t len = blocks * 512u;

	memset(halves[n], 0, len);
	memset(halves[n] + len, 0xc0 | (int)n, len);
	tp_start(tp, n, c, CDB_(0x89, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, blocks, 0, 0), 0,
		halves[n], 2 * len);
}

static void start_write(
	struct tp *tp, unsigned n, struct tp_cmd *c, uint8_t lba, uint8_t blocks, uint8_t *bytes)
{
	tp_start(tp, n, c, CDB_(0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0), 0, bytes, blocks * 512u);
}

static void start_read(struct tp *tp, unsigned n, struct tp_cmd *c, uint8_t lba, uint8_t blocks)
{
	tp_start(tp, n, c, CDB_(0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0), blocks * 512u, NULL, 0);
}

static void assert_byte(struct tp *tp, uint32_t lba, uint8_t byte)
{
	TP_CMD(c);
	uint8_t cdb[10] = { 0x28, 0, 0, 0, 0, (uint8_t)lba, 0, 0, 1, 0 };

	tp_start(tp, 0, &c, cdb, sizeof cdb, 512, NULL, 0);
	tp_advance(tp, DELAY + 20);
	assert_good(&c);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(c.task.in_data[i], byte);
}

static void assert_nothing_left(struct tp *tp)
{
	assert_true(list_empty(&tp->lun->fences->queue));
	for (unsigned i = 0; i < TP_LOOPS; i++)
		assert_null(tp->lun->fences->side[i]);
	assert_int_equal(tp->lun->fences->users, 1);
}

static void assert_aborted(const struct tp_cmd *c)
{
	assert_int_equal(c->done, 1);
	assert_true(c->task.aborted);
}

static void test_others_wait(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(cas);
	TP_CMD(near);
	TP_CMD(far);
	TP_CMD(beside);
	TP_CMD(read);

	(void)state;
	start_compare(tp, 0, &cas, 4, 4);
	tp_run(tp);
	assert_int_equal(cas.task.owner, SCSI_OWNER_VOLUME);
	start_write(tp, 1, &near, 7, 1, ones);
	start_write(tp, 2, &far, 0, 5, twos);
	start_write(tp, 2, &beside, 8, 1, twos); /* the first block behind it */
	start_read(tp, 2, &read, 4, 4);
	tp_run(tp);
	assert_int_equal(near.task.owner, SCSI_OWNER_FENCE);
	assert_int_equal(far.task.owner, SCSI_OWNER_FENCE);
	assert_int_equal(beside.task.owner, SCSI_OWNER_VOLUME);
	assert_int_equal(read.task.owner, SCSI_OWNER_VOLUME);
	tp_advance(tp, 2 * DELAY + 30);
	assert_good(&cas);
	assert_good(&beside);
	assert_good(&read);
	assert_int_equal(near.done + far.done, 0); /* at the volume only now */
	assert_nothing_left(tp);
	tp_advance(tp, DELAY + 20);
	assert_good(&near);
	assert_good(&far);
	assert_byte(tp, 4, 2);
	assert_byte(tp, 5, 0xc0);
	assert_byte(tp, 7, 1);
	assert_byte(tp, 8, 2);
}

/* What was at the volume before is part of what is compared. */
static void test_writes_in_flight_come_first(void **state)
{
	static uint8_t halves[1024];
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(cas);
	TP_CMD(near);
	TP_CMD(far);

	(void)state;
	memset(halves, 1, 512);
	memset(halves + 512, 9, 512);
	start_write(tp, 2, &far, 3, 2, ones);
	start_write(tp, 1, &near, 2, 1, twos); /* not in the range */
	tp_run(tp);
	tp_advance(tp, DELAY / 2);
	tp_start(tp, 0, &cas, CDB_(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0), 0, halves,
		1024);
	tp_run(tp);
	assert_int_equal(far.task.owner, SCSI_OWNER_VOLUME);
	assert_int_equal(cas.task.owner, SCSI_OWNER_FENCE);
	tp_advance(tp, DELAY / 2 + 20);
	assert_good(&far);
	assert_int_equal(cas.task.owner, SCSI_OWNER_VOLUME);
	tp_advance(tp, 2 * DELAY + 30);
	assert_good(&cas);
	assert_byte(tp, 3, 1);
	assert_byte(tp, 4, 9);
	assert_nothing_left(tp);
}

/* Whatever changes blocks waits, from either loop. */
static void test_every_kind_of_write_waits(void **state)
{
	static const struct {
		uint8_t cdb[16], len;
		uint32_t out;
	} kinds[] = {
		{ { 0x0a, 0, 0, 8, 1, 0 }, 6, 512 },
		{ { 0x2a, 0, 0, 0, 0, 8, 0, 0, 1, 0 }, 10, 512 },
		{ { 0xaa, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0 }, 12, 512 },
		{ { 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1 }, 16, 512 },
		{ { 0x2e, 0, 0, 0, 0, 8, 0, 0, 1, 0 }, 10, 512 },
		{ { 0x41, 0, 0, 0, 0, 8, 0, 0, 1, 0 }, 10, 512 },
		{ { 0x93, 0x09, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1 }, 16, 0 },
		{ { 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0 }, 10, 24 },
		{ { 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1 }, 16, 1024 },
		{ { 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1 }, 16, 512 },
		{ { 0x9c, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8 }, 16, 4096 },
	};

	(void)state;
	memcpy(list, "\0\x16\0\x10\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\x01", 20);
	for (unsigned i = 0; i < 2 * own_array_len(kinds); i++) {
		unsigned k = i / 2, n = 1 + i % 2;
		TP_BOX(tp) = tp_new(&slow);
		uint8_t *out = kinds[k].cdb[0] == 0x42 ? list : ones;
		TP_CMD(cas);
		TP_CMD(c);

		start_compare(tp, 0, &cas, 8, 1);
		tp_run(tp);
		tp_start(tp, n, &c, kinds[k].cdb, kinds[k].len, 0, out, kinds[k].out);
		tp_run(tp);
		assert_int_equal(c.task.owner, SCSI_OWNER_FENCE);
		tp_advance(tp, 2 * DELAY + 20);
		assert_good(&cas);
		assert_int_equal(c.done, 0);
		tp_advance(tp, 8 * DELAY);
		if (kinds[k].cdb[0] == 0x89) /* it sees what the first has written */
			assert_sense(&c, 0xe, 0x1d, 0x00);
		else
			assert_good(&c);
		assert_nothing_left(tp);
	}
}

static void test_one_of_three_wins(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(c);

	(void)state;
	start_compare(tp, 2, &a, 0, 4);
	start_compare(tp, 1, &b, 2, 4);
	start_compare(tp, 0, &c, 3, 4);
	tp_advance(tp, 6 * DELAY + 100);
	assert_int_equal((a.task.status == SCSI_GOOD) + (b.task.status == SCSI_GOOD) +
				 (c.task.status == SCSI_GOOD),
		1);
	assert_int_equal(a.done + b.done + c.done, 3);
	assert_nothing_left(tp);
}

static void test_ranges_apart_do_not_wait(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(c);

	(void)state;
	start_compare(tp, 2, &a, 0, 4);
	start_compare(tp, 1, &b, 4, 4);
	start_compare(tp, 0, &c, 8, 4);
	tp_advance(tp, 2 * DELAY + 30);
	assert_good(&a);
	assert_good(&b);
	assert_good(&c);
	tp_run(tp);
	assert_nothing_left(tp);
}

static void tmf_over(struct scsi_tmf *tmf)
{
	tmf->tag++;
}

static void abort_all(struct tp *tp, unsigned n)
{
	struct scsi_tmf tmf = { .function = SCSI_TMF_ABORT_TASK_SET, .done = tmf_over };

	tmf.nexus = &tp->nexus[n];
	tp_enter(tp, n);
	scsi_tmf_submit(&tmf);
	tp_run(tp);
	assert_int_equal(tmf.tag, 1); /* no time has to pass */
}

static void test_abort_of_a_write_that_waits(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(cas);
	TP_CMD(near);
	TP_CMD(far);

	(void)state;
	start_compare(tp, 0, &cas, 4, 4);
	tp_run(tp);
	start_write(tp, 1, &near, 4, 1, ones);
	start_write(tp, 2, &far, 5, 1, ones);
	tp_run(tp);
	abort_all(tp, 1);
	assert_aborted(&near);
	abort_all(tp, 2);
	assert_aborted(&far);
	tp_advance(tp, 4 * DELAY);
	assert_good(&cas);
	assert_byte(tp, 4, 0xc0);
	assert_byte(tp, 5, 0xc0);
}

/* A fence that is asked for, or going up, when its task is aborted is taken down all the same. */
static void test_abort_of_who_waits_for_a_fence(void **state)
{
	(void)state;
	for (unsigned n = 1; n < TP_NEXUSES; n++) {
		TP_BOX(tp) = tp_new(&slow);
		TP_CMD(first);
		TP_CMD(second);
		TP_CMD(third);

		start_compare(tp, 0, &first, 4, 4);
		tp_run(tp);
		start_compare(tp, n, &second, 4, 4); /* in the queue */
		tp_run(tp);
		assert_int_equal(second.task.owner, SCSI_OWNER_FENCE);
		abort_all(tp, n);
		assert_aborted(&second);
		start_write(tp, 3 - n, &third, 4, 1, ones);
		tp_advance(tp, 3 * DELAY + 50);
		assert_good(&first);
		assert_good(&third);
		assert_byte(tp, 4, 1);
		assert_nothing_left(tp);
	}
}

static void test_abort_while_writes_land(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(flying);
	TP_CMD(cas);
	TP_CMD(late);

	(void)state;
	start_write(tp, 0, &flying, 4, 1, ones);
	tp_run(tp);
	start_compare(tp, 2, &cas, 4, 1);
	tp_run(tp);
	start_write(tp, 1, &late, 4, 1, twos);
	tp_run(tp);
	assert_int_equal(late.task.owner, SCSI_OWNER_FENCE);
	abort_all(tp, 2);
	assert_aborted(&cas);
	assert_int_equal(flying.done, 0);
	tp_advance(tp, 2 * DELAY + 30);
	assert_good(&flying);
	assert_good(&late);
	assert_byte(tp, 4, 2);
	assert_nothing_left(tp);
}

static void test_loss_of_the_owner(void **state)
{
	(void)state;
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		TP_BOX(tp) = tp_new(&slow);
		TP_CMD(cas);
		TP_CMD(write);

		start_compare(tp, n, &cas, 4, 4);
		tp_run(tp);
		start_write(tp, (n + 1) % TP_NEXUSES, &write, 4, 1, ones);
		tp_run(tp);
		assert_int_equal(write.task.owner, SCSI_OWNER_FENCE);
		tp_close_nexus(tp, n);
		tp_run(tp);
		assert_int_equal(tp->drained, 0); /* it is reading */
		tp_advance(tp, 2 * DELAY + 30);
		assert_int_equal(tp->drained, 1);
		assert_aborted(&cas);
		assert_good(&write);
		assert_nothing_left(tp);
		tp_open_nexus(tp, n);
		tp->nexus[n].itl[0].ua_count = 0;
		assert_byte(tp, 5, 0); /* it did not get to write */
	}
}

static void test_loss_of_all_that_wait(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(cas);
	TP_CMD(b);
	TP_CMD(c);

	(void)state;
	start_compare(tp, 0, &cas, 4, 4);
	tp_run(tp);
	start_compare(tp, 2, &b, 4, 4);
	start_write(tp, 1, &c, 4, 4, ones);
	tp_close_nexus(tp, 2); /* its fence is on its way to the home loop */
	tp_close_nexus(tp, 1);
	tp_run(tp);
	assert_int_equal(tp->drained, 2);
	assert_aborted(&b);
	assert_aborted(&c);
	tp_advance(tp, 2 * DELAY + 30);
	assert_good(&cas);
	assert_nothing_left(tp);
}

/* Units that show the same volume have the same fences. */
static void test_fences_belong_to_the_volume(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct scsi_lun_conf conf = { .vol = tp->vol };
	struct scsi_lun *second = scsi_lun_new(tp->domain, &conf);

	(void)state;
	assert_ptr_equal(second->fences, tp->lun->fences);
	scsi_lun_free(second);
	assert_int_equal(tp->lun->fences->users, 1);
}

static void test_fences_are_used_again(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	unsigned made = 0;
	TP_CMD(c);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		start_compare(tp, i % 2 ? 2 : 0, &c, (uint8_t)i, 1);
		tp_run(tp);
		assert_good(&c);
		assert_nothing_left(tp);
	}
	for (unsigned i = 0; i < TP_LOOPS; i++) {
		list_for_each (f, &tp->domain->member[i].fences) {
			(void)f;
			made++;
		}
	}
	assert_int_equal(made, TP_LOOPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_wait),
		cmocka_unit_test(test_writes_in_flight_come_first),
		cmocka_unit_test(test_every_kind_of_write_waits),
		cmocka_unit_test(test_one_of_three_wins),
		cmocka_unit_test(test_ranges_apart_do_not_wait),
		cmocka_unit_test(test_abort_of_a_write_that_waits),
		cmocka_unit_test(test_abort_of_who_waits_for_a_fence),
		cmocka_unit_test(test_abort_while_writes_land),
		cmocka_unit_test(test_loss_of_the_owner),
		cmocka_unit_test(test_loss_of_all_that_wait),
		cmocka_unit_test(test_fences_belong_to_the_volume),
		cmocka_unit_test(test_fences_are_used_again),
	};

	return cmocka_run_group_tests_name("fence", tests, prepare, NULL);
}
