/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asymmetric logical unit access: what is reported, what passes in which state, and who is told of
 * a change.
 */
#include "tests/unit/scsi_testport.h"

#include "target/scsi/alua.h"

#include "common/own.h"

#define ROOM 4096u

static void report(struct tp *tp, struct tp_cmd *c, uint8_t format, uint8_t allocation)
{
	tp_exec(tp, c, CDB_(0xa3, format << 5 | 0x0a, 0, 0, 0, 0, 0, 0, 1, allocation, 0, 0), ROOM,
		NULL, 0);
}

static void set(struct tp *tp, struct tp_cmd *c, uint8_t state, uint16_t group)
{
	static uint8_t list[8];

	list[4] = state;
	be16_store(list + 6, group);
	tp_exec(tp, c, CDB_(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0), 0, list, 8);
}

static void ready(struct tp *tp, struct tp_cmd *c, unsigned n)
{
	tp_start(tp, n, c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_run(tp);
}

static void test_report(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	struct scsi_target *second = scsi_target_new(tp->domain, TP_TARGET "2", 1, 7);
	uint8_t full[64];
	TP_CMD(c);

	(void)state;
	report(tp, &c, 0, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 4 + 12); /* the second has not mapped the unit */
	assert_memory_equal(
		c.task.in_data, "\0\0\0\x0c\x00\x8f\x00\x01\x00\x00\x00\x01\0\0\x00\x01", 16);
	assert_int_equal(scsi_target_map(second, 5, tp->lun, false), 0);
	report(tp, &c, 1, 0);
	assert_good(&c);
	assert_int_equal(c.task.in_len, 8 + 24);
	assert_memory_equal(c.task.in_data, "\0\0\0\x1c\x10\0\0\0\x00\x8f\x00\x01", 12);
	assert_memory_equal(c.task.in_data + 20, "\x00\x8f\x00\x07", 4);
	memcpy(full, c.task.in_data, 32);
	for (unsigned n = 0; n < 32; n++) { /* a prefix, byte by byte */
		tp_exec(tp, &c, CDB_(0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, (uint8_t)n, 0, 0), ROOM, NULL,
			0);
		assert_good(&c);
		assert_int_equal(c.task.in_len, n);
		if (n)
			assert_memory_equal(c.task.in_data, full, n);
	}
	report(tp, &c, 2, 0);
	assert_field(&c, 1, 6);
	scsi_target_free(second);
}

static void test_set(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	set(tp, &c, ALUA_NON_OPTIMIZED, 1);
	assert_good(&c);
	report(tp, &c, 0, 0);
	assert_memory_equal(c.task.in_data + 4, "\x01\x8f\x00\x01\x00\x01", 6);
	ready(tp, &c, 0); /* who has asked is not told */
	assert_good(&c);
	for (unsigned n = 1; n < TP_NEXUSES; n++) {
		ready(tp, &other, n);
		assert_sense(&other, 0x6, 0x2a, 0x06);
		ready(tp, &other, n);
		assert_good(&other);
	}
	set(tp, &c, ALUA_NON_OPTIMIZED, 1); /* as it was: nobody is told */
	assert_good(&c);
	ready(tp, &other, 2);
	assert_good(&other);
}

static void test_set_wrong(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	uint8_t list[12] = { 0 };
	TP_CMD(c);

	(void)state;
	set(tp, &c, ALUA_TRANSITIONING, 1);
	assert_list_field(&c, 4, 3);
	set(tp, &c, 0x4, 1);
	assert_list_field(&c, 4, 3);
	set(tp, &c, ALUA_STANDBY, 2); /* no such group */
	assert_list_field(&c, 6, 7);
	tp_exec(tp, &c, CDB_(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0), 0, list, 7);
	assert_sense(&c, 0x5, 0x1a, 0x00);
	tp_exec(tp, &c, CDB_(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL, 0);
	assert_good(&c);
	report(tp, &c, 0, 0);
	assert_memory_equal(c.task.in_data + 4, "\x00\x8f\x00\x01\x00\x00", 6);
}

/* One row for a command: what it is told in standby, in unavailable; 0: it passes. */
static void test_admitted(void **state)
{
	static const struct {
		uint8_t cdb[12];
		uint8_t standby, unavailable;
	} rows[] = {
		{ { 0x00 }, 0x0b, 0x0c },
		{ { 0x03, 0, 0, 0, 18 }, 0, 0 },
		{ { 0x12, 0, 0, 0, 96 }, 0, 0 },
		{ { 0x1a, 0, 0x3f, 0, 255 }, 0, 0x0c },
		{ { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 0x0b, 0x0c },
		{ { 0x5e, 0, 0, 0, 0, 0, 0, 0, 8 }, 0, 0x0c },
		{ { 0x35 }, 0x0b, 0x0c },
		{ { 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64 }, 0, 0 },
		{ { 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64 }, 0, 0 },
	};
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	TP_CMD(c);

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		set(tp, &c, round ? ALUA_UNAVAILABLE : ALUA_STANDBY, 1);
		assert_good(&c);
		for (size_t i = 0; i < own_array_len(rows); i++) {
			uint8_t ascq = round ? rows[i].unavailable : rows[i].standby;

			tp_exec(tp, &c, rows[i].cdb, 12, ROOM, NULL, 0);
			if (ascq)
				assert_sense(&c, 0x2, 0x04, ascq);
			else
				assert_good(&c);
		}
	}
	set(tp, &c, ALUA_OPTIMIZED, 1);
	assert_good(&c);
	tp_read10(tp, &c, 0, 1);
}

static unsigned told;

static void alua_told(struct scsi_alua *a)
{
	(void)a;
	told++;
}

static void test_implicit(void **state)
{
	struct tp_conf conf = { 0 };
	TP_BOX(tp) = tp_new(&conf);
	struct scsi_alua a = {
		.target = tp->target, .state = ALUA_TRANSITIONING, .done = alua_told
	};
	TP_CMD(c);

	(void)state;
	told = 0;
	tp_enter(tp, 0);
	scsi_alua_submit(&a);
	assert_int_equal(told, 0);
	tp_run(tp);
	assert_int_equal(told, 1);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		ready(tp, &c, n);
		assert_sense(&c, 0x6, 0x2a, 0x06);
		ready(tp, &c, n);
		assert_sense(&c, 0x2, 0x04, 0x0a);
	}
	report(tp, &c, 0, 0);
	assert_memory_equal(c.task.in_data + 4, "\x0f\x8f\x00\x01\x00\x02", 6);
	set(tp, &c, ALUA_OPTIMIZED, 1);
	assert_sense(&c, 0x2, 0x04, 0x0a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_wrong),
		cmocka_unit_test(test_admitted),
		cmocka_unit_test(test_implicit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
