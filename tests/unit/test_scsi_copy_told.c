/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of third-party copies, and stopping them.
 */
#include "tests/unit/copy_rig.h"

#include "common/own.h"

/* ---- what is told of them ---- */

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

/* ---- copies that are stopped ---- */

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

/* ---- a unit that hangs ---- */

static unsigned parted;

static void nexus_parted(struct scsi_nexus *nexus)
{
	assert_true(nexus->closing);
	parted++;
}

/* The port is free although a command of its copy hangs, and one that waits for the copy's end. */
static void test_nexus_loss_while_a_copy_hangs(void **state)
{
	static const struct tp_conf hangs = {
		.blocks = BLOCKS, .layer = "delay", .options = "ms=60000 op=write"
	};
	RIG(r) = rig_new(&usual, &hangs);
	TP_CMD(c);
	TP_CMD(stop);

	(void)state;
	fill_disk(r, 0, 0, 64, 6);
	both_units(r, 1);
	list_segment(r, 0, 1, 64, 0, 128);
	copy_start(r, &c);
	tp_run(r->tp);
	tp_start(r->tp, 0, &stop, CDB_(0x83, 0x1c, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0,
		NULL, 0);
	tp_run(r->tp);
	assert_int_equal(c.done + stop.done, 0);
	r->tp->nexus[0].parted = nexus_parted;
	tp_close_nexus(r->tp, 0);
	tp_advance(r->tp, SCSI_NEXUS_PATIENCE_MS + 100);
	assert_int_equal(parted, 1);
	tp_advance(r->tp, 60000);
	assert_true(c.task.aborted && stop.task.aborted);
	tp_open_nexus(r->tp, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_failure_details),
		cmocka_unit_test(test_memory_of_copies),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_copy_operation_abort),
		cmocka_unit_test(test_same_identifier),
		cmocka_unit_test(test_nexus_loss),
		cmocka_unit_test(test_nexus_loss_while_a_copy_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
