/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task attributes (SAM-5 8.6) and the limit of a task set, with a volume in which every request
 * takes its time.
 */
#include "tests/unit/scsi_testport.h"

#include "target/scsi/limits.h"

#include "common/own.h"

#define DELAY 50u /* ms that every request stays in the volume */

static const struct tp_conf slow = { .layer = "delay", .options = "ms=50" };

static void start(struct tp *tp, unsigned n, struct tp_cmd *c, enum scsi_attr attr)
{
	c->attr = attr;
	tp_start(tp, n, c, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	tp_run(tp);
}

static void assert_dormant(const struct tp_cmd *c)
{
	assert_int_equal(c->task.owner, SCSI_OWNER_ORDER);
}

static void assert_begun(const struct tp_cmd *c)
{
	assert_int_equal(c->task.owner, SCSI_OWNER_VOLUME);
}

static void assert_set_empty(const struct tp *tp)
{
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		for (unsigned i = 0; tp->open[n] && i < tp->nexus[n].itl_count; i++) {
			const struct scsi_itl *itl = &tp->nexus[n].itl[i];

			assert_int_equal(
				itl->tasks | itl->barriers | itl->heads | itl->dormant_count, 0);
			assert_true(list_empty(&itl->dormant) && !itl->ordered);
		}
}

static void test_ordered(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(o);
	TP_CMD(p);
	TP_CMD(c);
	TP_CMD(d);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_SIMPLE);
	tp_advance(tp, DELAY / 2);
	start(tp, 0, &b, SCSI_ATTR_UNTAGGED);
	start(tp, 0, &o, SCSI_ATTR_ORDERED);
	start(tp, 0, &p, SCSI_ATTR_ORDERED);
	start(tp, 0, &c, SCSI_ATTR_SIMPLE);
	start(tp, 0, &d, SCSI_ATTR_SIMPLE);
	assert_dormant(&o);
	tp_advance(tp, DELAY / 2 + 10);
	assert_good(&a);
	assert_dormant(&o); /* for b */
	tp_advance(tp, DELAY / 2);
	assert_good(&b);
	assert_begun(&o);
	assert_dormant(&p);
	assert_dormant(&c);
	tp_advance(tp, DELAY + 10);
	assert_good(&o);
	assert_begun(&p);
	assert_dormant(&c);
	tp_advance(tp, DELAY + 10);
	assert_good(&p);
	assert_begun(&c);
	assert_begun(&d); /* both at once */
	tp_advance(tp, DELAY + 10);
	assert_good(&c);
	assert_good(&d);
	assert_set_empty(tp);
}

static void test_head_of_queue(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(o);
	TP_CMD(h);
	TP_CMD(s);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_SIMPLE);
	start(tp, 0, &o, SCSI_ATTR_ORDERED);
	tp_advance(tp, DELAY / 2);
	start(tp, 0, &h, SCSI_ATTR_HEAD_OF_QUEUE);
	start(tp, 0, &s, SCSI_ATTR_SIMPLE);
	assert_begun(&h);
	assert_dormant(&o);
	assert_dormant(&s);
	tp_advance(tp, DELAY / 2 + 10);
	assert_good(&a);
	assert_dormant(&o); /* for h, though it came later */
	tp_advance(tp, DELAY / 2);
	assert_good(&h);
	assert_begun(&o);
	assert_dormant(&s);
	tp_advance(tp, 2 * DELAY + 20);
	assert_good(&o);
	assert_good(&s);
	start(tp, 0, &h, SCSI_ATTR_HEAD_OF_QUEUE);
	start(tp, 0, &s, SCSI_ATTR_SIMPLE);
	assert_dormant(&s);
	tp_advance(tp, 2 * DELAY + 20);
	assert_good(&h);
	assert_good(&s);
	assert_set_empty(tp);
}

static void test_each_nexus_has_its_own(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(o);
	TP_CMD(near);
	TP_CMD(far);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_SIMPLE);
	start(tp, 0, &o, SCSI_ATTR_ORDERED);
	start(tp, 1, &near, SCSI_ATTR_SIMPLE);
	start(tp, 2, &far, SCSI_ATTR_ORDERED);
	assert_dormant(&o);
	assert_begun(&near);
	assert_begun(&far);
	tp_advance(tp, 3 * DELAY);
	assert_good(&o);
	assert_good(&far);
	assert_set_empty(tp);
}

static void tmf_over(struct scsi_tmf *tmf)
{
	tmf->tag = UINT64_MAX;
}

static void abort_tag(struct tp *tp, uint64_t tag)
{
	struct scsi_tmf tmf = { .function = SCSI_TMF_ABORT_TASK, .done = tmf_over, .tag = tag };

	tmf.nexus = &tp->nexus[0];
	tp_enter(tp, 0);
	scsi_tmf_submit(&tmf);
	tp_run(tp);
	assert_true(tmf.tag == UINT64_MAX); /* no time has to pass */
}

static void test_abort_of_one_that_waits(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(o);
	TP_CMD(s);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_SIMPLE);
	o.task.tag = 5;
	start(tp, 0, &o, SCSI_ATTR_ORDERED);
	start(tp, 0, &s, SCSI_ATTR_SIMPLE);
	assert_dormant(&s);
	abort_tag(tp, 5);
	assert_true(o.done == 1 && o.task.aborted);
	assert_begun(&s);
	tp_advance(tp, DELAY + 20);
	assert_good(&a);
	assert_good(&s);
	assert_set_empty(tp);
}

static void test_loss_of_the_nexus(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(o);
	TP_CMD(s);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_ORDERED);
	start(tp, 0, &o, SCSI_ATTR_ORDERED);
	start(tp, 0, &s, SCSI_ATTR_SIMPLE);
	tp_close_nexus(tp, 0);
	tp_run(tp);
	assert_true(o.done == 1 && o.task.aborted);
	assert_true(s.done == 1 && s.task.aborted);
	assert_int_equal(tp->drained, 0);
	tp_advance(tp, DELAY + 20);
	assert_true(a.done == 1 && a.task.aborted);
	assert_int_equal(tp->drained, 1);
}

/* What a unit attention or a wrong CDB ends at once moves the queue on as well, however long. */
static void test_many_that_fail_at_once(void **state)
{
	enum { MANY = 1000 };
	TP_BOX(tp) = tp_new(&slow);
	struct tp_cmd *many = own_calloc(MANY, sizeof *many);
	TP_CMD(a);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_SIMPLE);
	for (unsigned i = 0; i < MANY; i++) {
		many[i].attr = i % 3 ? SCSI_ATTR_ORDERED : SCSI_ATTR_SIMPLE;
		many[i].task.tag = i;
		tp_start(tp, 0, &many[i], CDB_(0x28, 0xff, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	}
	tp_run(tp);
	assert_dormant(&many[1]);
	assert_dormant(&many[MANY - 1]);
	tp_advance(tp, DELAY + 20);
	assert_good(&a);
	for (unsigned i = 0; i < MANY; i++) {
		assert_field(&many[i], 1, 7);
		tp_clean(&many[i]);
	}
	assert_set_empty(tp);
	free(many);
}

static void test_ordered_write_collects_its_data_then(void **state)
{
	static uint8_t data[512];
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(w);

	(void)state;
	start(tp, 0, &a, SCSI_ATTR_SIMPLE);
	w.attr = SCSI_ATTR_ORDERED;
	tp_start(tp, 0, &w, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0, data, 512);
	tp_run(tp);
	assert_dormant(&w);
	assert_int_equal(w.asked, 0);
	tp_advance(tp, 2 * DELAY + 20);
	assert_good(&a);
	assert_good(&w);
	assert_set_empty(tp);
}

static void test_attributes_that_are_not_offered(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(c);
	TP_CMD(s);

	(void)state;
	for (unsigned attr = SCSI_ATTR_ACA; attr < 8; attr++) {
		start(tp, 0, &c, (enum scsi_attr)attr);
		assert_sense(&c, 0x5, 0x49, 0x00);
		start(tp, 0, &s, SCSI_ATTR_SIMPLE);
		assert_begun(&s);
		tp_advance(tp, DELAY + 20);
		assert_good(&s);
	}
	assert_set_empty(tp);
}

static void test_task_set_full(void **state)
{
	enum { MANY = LIMIT_TASK_SET };
	TP_BOX(tp) = tp_new(&slow);
	struct tp_cmd *many = own_calloc(MANY, sizeof *many);
	TP_CMD(c);
	TP_CMD(other);

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		many[i].task.tag = i;
		tp_start(tp, 0, &many[i], CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL, 0);
	}
	for (enum scsi_attr attr = SCSI_ATTR_SIMPLE; attr < SCSI_ATTR_ACA; attr++) {
		start(tp, 0, &c, attr);
		assert_int_equal(c.done, 1);
		assert_int_equal(c.task.status, SCSI_TASK_SET_FULL);
	}
	start(tp, 1, &other, SCSI_ATTR_SIMPLE);
	assert_begun(&other);
	tp_advance(tp, DELAY + 20);
	start(tp, 0, &c, SCSI_ATTR_SIMPLE);
	tp_advance(tp, DELAY + 20);
	assert_good(&c);
	assert_good(&other);
	for (unsigned i = 0; i < MANY; i++) {
		assert_good(&many[i]);
		tp_clean(&many[i]);
	}
	assert_set_empty(tp);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_head_of_queue),
		cmocka_unit_test(test_each_nexus_has_its_own),
		cmocka_unit_test(test_abort_of_one_that_waits),
		cmocka_unit_test(test_loss_of_the_nexus),
		cmocka_unit_test(test_many_that_fail_at_once),
		cmocka_unit_test(test_ordered_write_collects_its_data_then),
		cmocka_unit_test(test_attributes_that_are_not_offered),
		cmocka_unit_test(test_task_set_full),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
