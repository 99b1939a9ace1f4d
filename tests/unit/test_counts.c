/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted of volumes and of I_T_L nexuses: histograms, sums over channels and sessions, and
 * that nothing is lost when one of them ends.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"
#include "common/stat.h"
#include "target/scsi/flow.h"
#include "volume/counts.h"

#include <stdlib.h>

/* ---- histograms ---- */

static void test_buckets_touch_each_other(void **state)
{
	(void)state;
	assert_int_equal(hist_bucket(0), 0);
	assert_int_equal(hist_bucket(HIST_LEAST_NS - 1), 0);
	for (unsigned b = 1; b < HIST_BUCKETS; b++) {
		uint64_t least = hist_bucket_ns(b);

		assert_int_equal(hist_bucket(least), b);
		assert_int_equal(hist_bucket(least - 1), b - 1);
		assert_true(b == 1 || least - hist_bucket_ns(b - 1) <= hist_bucket_ns(b - 1) / 4);
	}
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
}

static void test_percentiles_and_sums(void **state)
{
	struct hist h = { 0 };

	(void)state;
	assert_int_equal(hist_percentile_ns(&h, 500), 0);
	hist_add(&h, 3);
	assert_int_equal(hist_percentile_ns(&h, 500), HIST_LEAST_NS / 2);
	memset(&h, 0, sizeof h);
	for (unsigned i = 1; i <= 100; i++)
		hist_add(&h, i * 10000ull);
	assert_int_equal(h.count, 100);
	assert_int_equal(h.sum_ns, 50500000);
	assert_int_equal(hist_bucket(hist_percentile_ns(&h, 500)), hist_bucket(500000));
	assert_int_equal(hist_bucket(hist_percentile_ns(&h, 990)), hist_bucket(990000));
	assert_int_equal(hist_below(&h, 17), 13); /* 10, 20 ... 130 us are below 131.072 us */
	assert_int_equal(hist_below(&h, 20), 100);
	assert_int_equal(hist_below(&h, 10), 0);
}

/* ---- volumes ---- */

static struct vol_seen vol_look(const char *name)
{
	unsigned n = 0;
	struct vol_seen *all own_free = vol_see_all(&n);

	assert_non_null(all);
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(all[i].name, name))
			return all[i];
	fail_msg("no volume %s", name);
	return *all;
}

static void some_reads(struct tp *tp, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		TP_CMD(c);

		tp_read10(tp, &c, i, 2);
		assert_good(&c);
	}
}

static void test_volume_counts(void **state)
{
	static uint8_t block[512];
	TP_BOX(tp) = tp_new(&(struct tp_conf){ 0 });
	struct vol_seen before = vol_look(vol_name(tp->vol)), after;

	(void)state;
	some_reads(tp, 34);
	for (unsigned i = 0; i < 17; i++) {
		TP_CMD(c);

		tp_write10(tp, &c, 3, 1, block);
		assert_good(&c);
	}
	after = vol_look(vol_name(tp->vol));
	assert_int_equal(after.size, before.size);
	assert_int_equal(after.inflight, 0);
	assert_int_equal(after.counts.ops[VOL_READ] - before.counts.ops[VOL_READ], 34);
	assert_int_equal(after.counts.bytes[VOL_READ] - before.counts.bytes[VOL_READ], 34 * 1024);
	assert_int_equal(after.counts.ops[VOL_WRITE] - before.counts.ops[VOL_WRITE], 17);
	assert_int_equal(after.counts.bytes[VOL_WRITE] - before.counts.bytes[VOL_WRITE], 17 * 512);
	/* One in COUNTS_STRIDE of them was timed. */
	assert_int_equal(after.counts.latency[0].count - before.counts.latency[0].count, 2);
	assert_int_equal(after.counts.latency[1].count - before.counts.latency[1].count, 1);
}

static void test_volume_errors(void **state)
{
	TP_BOX(tp) = tp_new(&(struct tp_conf){ .layer = "error", .options = "op=read" });
	struct vol_seen v;
	TP_CMD(c);

	(void)state;
	tp_exec(tp, &c, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	assert_int_equal(c.task.status, SCSI_CHECK_CONDITION);
	v = vol_look(vol_name(tp->vol));
	assert_int_equal(v.counts.errors[VOL_READ], 1);
	assert_int_equal(v.counts.errors[VOL_WRITE], 0);
}

/* ---- I_T_L nexuses ---- */

/* The sum of the flows of an initiator port, or of all when it is NULL, at LUN 0. */
static struct flow_counts flow_look(struct tp *tp, const char *initiator, unsigned *flows)
{
	unsigned n = 0;
	struct flow_seen *all own_free = scsi_flows_see(tp->domain, &n);
	struct flow_counts sum = { 0 };

	assert_non_null(all);
	*flows = 0;
	for (unsigned i = 0; i < n; i++) {
		if (all[i].number || (initiator && strcmp(all[i].initiator, initiator)))
			continue;
		assert_string_equal(all[i].target, TP_TARGET);
		assert_string_equal(all[i].volume, vol_name(tp->vol));
		hist_sum((uint64_t *)&sum, (const uint64_t *)&all[i].counts, FLOW_COUNTS_WORDS);
		(*flows)++;
	}
	return sum;
}

static void test_flow_counts(void **state)
{
	static uint8_t block[512];
	TP_BOX(tp) = tp_new(&(struct tp_conf){ 0 });
	unsigned flows = 0;
	struct flow_counts before = flow_look(tp, NULL, &flows), after;
	TP_CMD(w);
	TP_CMD(bad);
	TP_CMD(inquiry);

	(void)state;
	assert_int_equal(flows, TP_NEXUSES);
	some_reads(tp, 34);
	tp_write10(tp, &w, 3, 1, block);
	tp_exec(tp, &bad, CDB_(0x28, 0, 0x7f, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	assert_sense(&bad, SENSE_KEY_ILLEGAL_REQUEST, 0x21, 0x00);
	tp_exec(tp, &inquiry, CDB_(0x12, 0, 0, 0, 36, 0), 36, NULL, 0);
	after = flow_look(tp, NULL, &flows);
	assert_int_equal(after.begun - before.begun, 37);
	assert_int_equal(after.done[FLOW_READ] - before.done[FLOW_READ], 35);
	assert_int_equal(after.bytes[FLOW_READ] - before.bytes[FLOW_READ], 34 * 1024);
	assert_int_equal(after.done[FLOW_WRITE] - before.done[FLOW_WRITE], 1);
	assert_int_equal(after.bytes[FLOW_WRITE] - before.bytes[FLOW_WRITE], 512);
	assert_int_equal(after.done[FLOW_OTHER] - before.done[FLOW_OTHER], 1);
	assert_int_equal(after.sense[SENSE_KEY_ILLEGAL_REQUEST], 1);
	assert_true(after.latency[FLOW_READ].count >= 1);
	assert_int_equal(after.begun, after.done[0] + after.done[1] + after.done[2]);
}

static void test_what_is_in_flight(void **state)
{
	static uint8_t block[512];
	TP_BOX(tp) = tp_new(&(struct tp_conf){ 0 });
	unsigned flows = 0;
	struct flow_counts c0 = flow_look(tp, NULL, &flows), c1;
	TP_CMD(w);

	(void)state;
	w.hold_data = true;
	tp_start(tp, 0, &w, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0, block, sizeof block);
	tp_run(tp);
	c1 = flow_look(tp, NULL, &flows);
	assert_int_equal(c1.begun - c0.begun, 1);
	assert_int_equal(c1.done[FLOW_WRITE], c0.done[FLOW_WRITE]);
	tp_enter(tp, 0);
	tp_give(&w);
	tp_run(tp);
	c1 = flow_look(tp, NULL, &flows);
	assert_int_equal(c1.done[FLOW_WRITE] - c0.done[FLOW_WRITE], 1);
}

static void test_sums_outlive_the_session(void **state)
{
	TP_BOX(tp) = tp_new(&(struct tp_conf){ 0 });
	unsigned flows = 0;
	struct flow_counts before, after;

	(void)state;
	some_reads(tp, 5);
	before = flow_look(tp, NULL, &flows);
	tp_close_nexus(tp, 0);
	tp_run(tp);
	after = flow_look(tp, NULL, &flows);
	assert_memory_equal(&before, &after, sizeof before);
	after = flow_look(tp, "iqn.2026-11.kura.test:a", &flows); /* without the port's part */
	assert_int_equal(flows, 1);
	assert_int_equal(after.done[FLOW_READ], 5);
	tp_open_nexus(tp, 0);
	tp_close_nexus(tp, 0); /* nothing was asked for: there is nothing to keep */
	tp_run(tp);
	after = flow_look(tp, NULL, &flows);
	assert_memory_equal(&before, &after, sizeof before);
}

static void test_every_sense_key_has_its_row(void **state)
{
	TP_BOX(tp) = tp_new(&(struct tp_conf){ 0 });
	uint64_t before = stat_sum(STAT_scsi_sense_illegal_request);
	TP_CMD(bad);

	(void)state;
	assert_int_equal(STAT_scsi_sense_completed - STAT_scsi_sense_no_sense, 15);
	assert_int_equal(STAT_scsi_sense_illegal_request - STAT_scsi_sense_no_sense,
		SENSE_KEY_ILLEGAL_REQUEST);
	assert_int_equal(
		STAT_scsi_sense_miscompare - STAT_scsi_sense_no_sense, SENSE_KEY_MISCOMPARE);
	tp_exec(tp, &bad, CDB_(0x28, 0, 0x7f, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	assert_int_equal(stat_sum(STAT_scsi_sense_illegal_request) - before, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_touch_each_other),
		cmocka_unit_test(test_percentiles_and_sums),
		cmocka_unit_test(test_volume_counts),
		cmocka_unit_test(test_volume_errors),
		cmocka_unit_test(test_flow_counts),
		cmocka_unit_test(test_what_is_in_flight),
		cmocka_unit_test(test_sums_outlive_the_session),
		cmocka_unit_test(test_every_sense_key_has_its_row),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
