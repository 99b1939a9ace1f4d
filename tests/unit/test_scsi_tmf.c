/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management and the loss of a nexus, with tasks held in the volume, waiting for data-out, or
 * just finished; from the same loop and from another one.
 */
#include "tests/unit/scsi_testport.h"

#include "common/own.h"
#include "target/scsi/ghost.h"

#define DELAY 50u /* ms that every request stays in the volume */

static const struct tp_conf slow = { .layer = "delay", .options = "ms=50" };

static uint8_t data[4096];

struct tmf {
	struct scsi_tmf tmf;
	unsigned done;
	bool inside;
};

static void tmf_over(struct scsi_tmf *tmf)
{
	struct tmf *f = container_of(tmf, struct tmf, tmf);

	assert_false(f->inside);
	f->done++;
}

static void tmf_start(struct tp *tp, unsigned n, struct tmf *f, enum scsi_tmf_function function)
{
	f->tmf.function = function;
	f->tmf.nexus = &tp->nexus[n];
	f->tmf.done = tmf_over;
	f->done = 0;
	tp_enter(tp, n);
	f->inside = true;
	scsi_tmf_submit(&f->tmf);
	f->inside = false;
}

static void start_read(struct tp *tp, unsigned n, struct tp_cmd *c, uint64_t tag)
{
	c->task.tag = tag;
	tp_start(tp, n, c, CDB_(0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0), 4096, NULL, 0);
}

static void start_write(struct tp *tp, unsigned n, struct tp_cmd *c, uint64_t tag, bool hold)
{
	c->task.tag = tag;
	c->hold_data = hold;
	tp_start(tp, n, c, CDB_(0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0), 0, data, 4096);
}

static void assert_aborted(const struct tp_cmd *c)
{
	assert_int_equal(c->done, 1);
	assert_true(c->task.aborted);
	assert_int_equal(c->task.owner, SCSI_OWNER_PORT);
}

/* The next unit attention of nexus `n`, or 0. */
static uint16_t attention(struct tp *tp, unsigned n)
{
	return scsi_itl_take(&tp->nexus[n].itl[0]);
}

static void test_abort_task_in_the_volume(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 7 };
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	start_read(tp, 0, &a, 7);
	start_read(tp, 0, &b, 8);
	tp_run(tp);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_run(tp);
	assert_int_equal(f.done, 0); /* the volume still has it */
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
	assert_aborted(&a);
	assert_good(&b);
	assert_int_equal(attention(tp, 0), 0);
}

/* A volume that hangs: the answer comes, and the unit is of use for what does not hang. */
static void test_abort_of_what_hangs(void **state)
{
	static const struct tp_conf hangs = { .layer = "delay", .options = "ms=60000 op=read" };
	TP_BOX(tp) = tp_new(&hangs);
	struct tmf f = { .tmf.tag = 7 }, r = { .tmf.tag = 0 };
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	start_read(tp, 0, &a, 7);
	tp_run(tp);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_advance(tp, SCSI_TMF_PATIENCE_MS / 2);
	tmf_start(tp, 1, &r, SCSI_TMF_LUN_RESET);
	start_write(tp, 0, &b, 8, false);
	tp_advance(tp, SCSI_TMF_PATIENCE_MS / 2 - 100);
	assert_int_equal(b.done, 1);
	assert_int_equal(f.done, 0);
	tp_advance(tp, 200);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_REJECTED);
	assert_int_equal(r.done, 0);
	tp_advance(tp, SCSI_TMF_PATIENCE_MS / 2);
	assert_int_equal(r.done, 1);
	assert_int_equal(r.tmf.result, SCSI_TMF_REJECTED);
	assert_int_equal(a.done, 0);
	tp_advance(tp, 60000);
	assert_aborted(&a); /* no status comes of it */
}

static void test_abort_task_that_waits_for_data(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 7 };
	TP_CMD(a);

	(void)state;
	start_write(tp, 0, &a, 7, true);
	tp_run(tp);
	assert_int_equal(a.asked, 4096);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	assert_int_equal(a.done, 0); /* not inside */
	tp_run(tp);
	assert_aborted(&a);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
}

/* The port gives the data in the very turn in which the task is aborted. */
static void test_data_that_crosses_an_abort(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 7 };
	TP_CMD(a);

	(void)state;
	start_write(tp, 0, &a, 7, true);
	tp_run(tp);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	scsi_task_data(&a.task, 0);
	tp_run(tp);
	assert_aborted(&a);
	assert_int_equal(f.done, 1);
}

static void test_abort_task_that_is_over(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 7 };
	TP_CMD(a);

	(void)state;
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK); /* never was there */
	tp_run(tp);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_NO_TASK);
	start_read(tp, 0, &a, 7);
	tp_advance(tp, DELAY + 20);
	assert_good(&a);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_run(tp);
	assert_int_equal(f.tmf.result, SCSI_TMF_NO_TASK);
	start_read(tp, 1, &a, 7); /* the same tag of another nexus */
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.tmf.result, SCSI_TMF_NO_TASK);
	assert_good(&a);
	start_read(tp, 0, &a, 7); /* the same tag, another LUN */
	be16_store(f.tmf.lun_field, 0xc101);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.tmf.result, SCSI_TMF_NO_TASK);
	assert_good(&a);
}

/* Finished, but its status is not yet given to the port: it can still be aborted. */
static void test_abort_task_just_finished(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 7 };
	TP_CMD(a);

	(void)state;
	a.task.tag = 7;
	tp_start(tp, 0, &a, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_run(tp);
	assert_aborted(&a);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
}

static void test_abort_task_set_is_of_one_nexus(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(kept);
	TP_CMD(other);
	TP_CMD(later);

	(void)state;
	start_read(tp, 0, &a, 1);
	start_write(tp, 0, &b, 2, true);
	start_read(tp, 0, &kept, 3);
	start_read(tp, 1, &other, 1);
	f.tmf.keep = &kept.task;
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK_SET);
	start_read(tp, 0, &later, 4); /* came after it */
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.done, 1);
	assert_aborted(&a);
	assert_aborted(&b);
	assert_good(&kept);
	assert_good(&other);
	assert_good(&later);
	assert_int_equal(attention(tp, 0), 0);
	assert_int_equal(attention(tp, 1), 0);
}

static void test_clear_task_set_is_of_the_nexus(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };
	TP_CMD(a);
	TP_CMD(near);
	TP_CMD(far);

	(void)state;
	start_read(tp, 0, &a, 1);
	start_write(tp, 2, &far, 1, false); /* on the other loop */
	tp_run(tp);
	assert_int_equal(far.task.owner, SCSI_OWNER_VOLUME);
	start_read(tp, 1, &near, 1);
	tmf_start(tp, 0, &f, SCSI_TMF_CLEAR_TASK_SET);
	tp_run(tp);
	assert_int_equal(f.done, 0);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
	assert_aborted(&a);
	assert_good(&near); /* each nexus has its own task set, TST 001b */
	assert_good(&far);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		assert_int_equal(attention(tp, n), 0);
}

static void test_lun_reset(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };
	TP_CMD(a);
	TP_CMD(far);

	(void)state;
	start_write(tp, 1, &a, 1, true);
	start_read(tp, 2, &far, 1);
	tp_run(tp);
	be16_store(f.tmf.lun_field, 0x4000 | 300); /* the same unit by its other LUN */
	tmf_start(tp, 0, &f, SCSI_TMF_LUN_RESET);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.done, 1);
	assert_aborted(&a);
	assert_aborted(&far);
	for (unsigned n = 0; n < TP_NEXUSES; n++) {
		assert_int_equal(attention(tp, n), 0x2903);
		assert_int_equal(attention(tp, n), 0);
		assert_int_equal(scsi_itl_take(&tp->nexus[n].itl[1]), 0x2903);
	}
}

static void test_target_reset(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };
	TP_CMD(a);
	TP_CMD(far);

	(void)state;
	memset(f.tmf.lun_field, 0xff, 8); /* is not looked at */
	start_read(tp, 0, &a, 1);
	start_read(tp, 2, &far, 1);
	tmf_start(tp, 1, &f, SCSI_TMF_TARGET_RESET);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
	assert_aborted(&a);
	assert_aborted(&far);
	for (unsigned n = 0; n < TP_NEXUSES; n++)
		assert_int_equal(attention(tp, n), 0x2902);
}

static void test_reset_of_an_idle_unit(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };

	(void)state;
	tmf_start(tp, 2, &f, SCSI_TMF_LUN_RESET);
	tp_run(tp);
	assert_int_equal(f.done, 1);
	assert_int_equal(attention(tp, 0), 0x2903);
}

/* Two initiators reset at the same time: both are answered, after the tasks are gone. */
static void test_two_resets_at_once(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 }, g = { 0 };
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	start_read(tp, 0, &a, 1);
	start_read(tp, 2, &b, 1);
	tp_run(tp);
	tmf_start(tp, 0, &f, SCSI_TMF_LUN_RESET);
	tmf_start(tp, 2, &g, SCSI_TMF_LUN_RESET);
	tp_run(tp);
	assert_int_equal(f.done + g.done, 0);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.done, 1);
	assert_int_equal(g.done, 1);
	assert_int_equal(attention(tp, 1), 0x2903); /* once */
	assert_int_equal(attention(tp, 1), 0);
}

static void test_queries(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 5 };
	TP_CMD(a);

	(void)state;
	tmf_start(tp, 0, &f, SCSI_TMF_QUERY_TASK);
	tp_run(tp);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
	start_read(tp, 0, &a, 5);
	tmf_start(tp, 0, &f, SCSI_TMF_QUERY_TASK);
	tp_run(tp);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.tmf.result, SCSI_TMF_SUCCEEDED);
	tmf_start(tp, 0, &f, SCSI_TMF_QUERY_TASK_SET);
	tp_run(tp);
	assert_int_equal(f.tmf.result, SCSI_TMF_SUCCEEDED);
	tmf_start(tp, 1, &f, SCSI_TMF_QUERY_TASK_SET);
	tp_run(tp);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
	tmf_start(tp, 0, &f, SCSI_TMF_QUERY_ASYNC_EVENT);
	tp_run(tp);
	assert_int_equal(f.tmf.result, SCSI_TMF_COMPLETE);
	scsi_nexus_attention(&tp->nexus[0], tp->lun, 0x2a09);
	tmf_start(tp, 0, &f, SCSI_TMF_QUERY_ASYNC_EVENT);
	tp_advance(tp, DELAY + 20);
	assert_int_equal(f.tmf.result, SCSI_TMF_SUCCEEDED);
	assert_good(&a);
}

static void test_wrong_lun_and_function(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };
	TP_CMD(a);

	(void)state;
	start_read(tp, 0, &a, 0);
	f.tmf.lun_field[1] = 1;
	for (int i = SCSI_TMF_ABORT_TASK; i <= SCSI_TMF_QUERY_ASYNC_EVENT; i++) {
		if (i == SCSI_TMF_TARGET_RESET)
			continue;
		tmf_start(tp, 0, &f, (enum scsi_tmf_function)i);
		tp_run(tp);
		assert_int_equal(f.done, 1);
		assert_int_equal(f.tmf.result, SCSI_TMF_INCORRECT_LUN);
	}
	f.tmf.lun_field[1] = 0;
	tmf_start(tp, 0, &f, (enum scsi_tmf_function)99);
	tp_run(tp);
	assert_int_equal(f.tmf.result, SCSI_TMF_REJECTED);
	tp_advance(tp, DELAY + 20);
	assert_good(&a);
	assert_int_equal(attention(tp, 0), 0);
}

/* ---- a command in several steps stops at the next one ---- */

static void test_abort_between_steps(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { .tmf.tag = 9 };
	TP_CMD(a);
	TP_CMD(r);

	(void)state;
	memset(data, 0x5a, 512);
	a.task.tag = 9;
	tp_start(tp, 0, &a, CDB_(0x41, 0, 0, 0, 0, 0, 0, 0x07, 0x00, 0), 0, data,
		512); /* four pieces */
	tp_advance(tp, DELAY + 20);
	assert_int_equal(a.done, 0);
	tmf_start(tp, 0, &f, SCSI_TMF_ABORT_TASK);
	tp_advance(tp, DELAY + 20);
	assert_aborted(&a);
	assert_int_equal(f.done, 1);
	tp_start(tp, 0, &r, CDB_(0x28, 0, 0, 0, 0x06, 0xff, 0, 0, 1, 0), 512, NULL, 0);
	tp_advance(tp, DELAY + 20);
	assert_good(&r);
	assert_int_equal(r.task.in_data[0], 0); /* the last piece was never written */
}

/* ---- loss of a nexus ---- */

static void test_nexus_loss(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(now);
	TP_CMD(other);

	(void)state;
	start_read(tp, 0, &a, 1);
	start_write(tp, 0, &b, 2, true);
	start_read(tp, 1, &other, 1);
	tp_start(tp, 0, &now, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
	tp_close_nexus(tp, 0);
	assert_int_equal(tp->drained, 0);
	tp_run(tp);
	assert_aborted(&b);
	assert_aborted(&now);
	assert_int_equal(a.done, 0);
	assert_int_equal(tp->drained, 0);
	tp_advance(tp, DELAY + 20);
	assert_aborted(&a);
	assert_int_equal(tp->drained, 1);
	assert_good(&other);
}

static unsigned parted;

static void nexus_parted(struct scsi_nexus *nexus)
{
	assert_true(nexus->closing && nexus->task_count);
	parted++;
}

static void start_ready(struct tp *tp, unsigned n, struct tp_cmd *c)
{
	tp_start(tp, n, c, CDB_(0, 0, 0, 0, 0, 0), 0, NULL, 0);
}

/* A write that hangs: the port is free, the volume is not, to any port of the host, on any loop,
 * until the write has come back. */
static void test_nexus_loss_of_what_hangs(void **state)
{
	static const struct tp_conf hangs = { .layer = "delay", .options = "ms=60000 op=write" };
	TP_BOX(tp) = tp_new(&hangs);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(c);
	TP_CMD(d);
	TP_CMD(e);

	(void)state;
	parted = 0;
	tp->nexus[0].parted = nexus_parted;
	start_write(tp, 0, &a, 1, false);
	tp_run(tp);
	tp_close_nexus(tp, 0);
	tp_advance(tp, SCSI_NEXUS_PATIENCE_MS - 100);
	assert_int_equal(parted, 0);
	start_ready(tp, 1, &b);
	tp_run(tp);
	assert_good(&b);
	tp_advance(tp, 200);
	assert_int_equal(parted, 1);
	assert_int_equal(tp->drained, 0);
	start_read(tp, 1, &c, 1);
	start_ready(tp, 2, &d);
	tp_run(tp);
	assert_sense(&c, 0x2, 0x04, 0x07);
	assert_sense(&d, 0x2, 0x04, 0x07);
	tp_advance(tp, 60000);
	assert_aborted(&a);
	assert_int_equal(tp->drained, 1);
	assert_int_equal(parted, 1);
	start_ready(tp, 2, &e);
	tp_run(tp);
	assert_good(&e);
}

/* A read that hangs holds up nobody; a nexus that comes in sees no more than one that was there. */
static void test_nexus_loss_of_a_read(void **state)
{
	static const struct tp_conf hangs = { .layer = "delay", .options = "ms=60000 op=read" };
	TP_BOX(tp) = tp_new(&hangs);
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	parted = 0;
	tp->nexus[0].parted = nexus_parted;
	start_read(tp, 0, &a, 1);
	tp_run(tp);
	tp_close_nexus(tp, 0);
	tp_advance(tp, SCSI_NEXUS_PATIENCE_MS + 100);
	assert_int_equal(parted, 1);
	start_write(tp, 1, &b, 1, false);
	tp_run(tp);
	assert_good(&b);
	tp_advance(tp, 60000);
	assert_int_equal(tp->drained, 1);
}

/* Many of them keep much memory: the host gets no more of it before some have come back. */
static void test_nexus_loss_of_many_reads(void **state)
{
	static const struct tp_conf hangs = { .layer = "delay", .options = "ms=60000 op=read" };
	static struct tp_cmd many[GHOST_READS_MOST];
	TP_BOX(tp) = tp_new(&hangs);
	TP_CMD(a);
	TP_CMD(b);

	(void)state;
	parted = 0;
	tp->nexus[0].parted = nexus_parted;
	for (unsigned i = 0; i < GHOST_READS_MOST; i++)
		start_read(tp, 0, &many[i], i + 1);
	tp_run(tp);
	tp_close_nexus(tp, 0);
	tp_advance(tp, SCSI_NEXUS_PATIENCE_MS + 100);
	assert_int_equal(parted, 1);
	start_ready(tp, 2, &a);
	tp_run(tp);
	assert_sense(&a, 0x2, 0x04, 0x07);
	tp_advance(tp, 60000);
	assert_int_equal(tp->drained, 1);
	start_ready(tp, 2, &b);
	tp_run(tp);
	assert_good(&b);
	for (unsigned i = 0; i < GHOST_READS_MOST; i++)
		tp_clean(&many[i]);
}

/* A nexus that opens while the write is out is held up too. */
static void test_nexus_opens_while_a_write_hangs(void **state)
{
	static const struct tp_conf hangs = { .layer = "delay", .options = "ms=60000 op=write" };
	TP_BOX(tp) = tp_new(&hangs);
	TP_CMD(a);
	TP_CMD(b);
	TP_CMD(c);

	(void)state;
	tp_close_nexus(tp, 2);
	tp_run(tp);
	assert_int_equal(tp->drained, 1);
	tp->nexus[0].parted = nexus_parted;
	start_write(tp, 0, &a, 1, false);
	tp_run(tp);
	tp_close_nexus(tp, 0);
	tp_advance(tp, SCSI_NEXUS_PATIENCE_MS + 100);
	tp_enter(tp, 2);
	tp_open_nexus(tp, 2);
	assert_int_equal(attention(tp, 2), 0x2900);
	start_ready(tp, 2, &b);
	tp_run(tp);
	assert_sense(&b, 0x2, 0x04, 0x07);
	tp_advance(tp, 60000);
	assert_int_equal(tp->drained, 2);
	start_ready(tp, 2, &c);
	tp_run(tp);
	assert_good(&c);
}

static void test_nexus_loss_when_idle(void **state)
{
	TP_BOX(tp) = tp_new(&slow);

	(void)state;
	tp_close_nexus(tp, 2);
	assert_int_equal(tp->drained, 0); /* never inside */
	tp_run(tp);
	assert_int_equal(tp->drained, 1);
	tp_open_nexus(tp, 2);
	assert_int_equal(attention(tp, 2), 0x2900);
}

/* A reset waits for what a nexus that is being lost still has in the volume. */
static void test_reset_while_a_nexus_is_lost(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct tmf f = { 0 };
	TP_CMD(a);

	(void)state;
	start_write(tp, 2, &a, 1, false);
	tp_run(tp);
	tp_close_nexus(tp, 2);
	tmf_start(tp, 0, &f, SCSI_TMF_LUN_RESET);
	tp_run(tp);
	assert_int_equal(f.done, 0);
	tp_advance(tp, DELAY + 20);
	assert_aborted(&a);
	assert_int_equal(f.done, 1);
	assert_int_equal(tp->drained, 1);
}

/* ---- everywhere ---- */

struct visit {
	struct scsi_everywhere e;
	struct scsi_everywhere_hop *held;
	unsigned seen, done;
	struct loop *hold;
};

static void visit_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct visit *v = container_of(e, struct visit, e);

	assert_ptr_equal(loop_self(), loop);
	v->seen++;
	if (loop == v->hold)
		v->held = scsi_everywhere_hold(e, loop);
}

static void visit_done(struct scsi_everywhere *e)
{
	container_of(e, struct visit, e)->done++;
}

static void test_everywhere(void **state)
{
	TP_BOX(tp) = tp_new(&slow);
	struct visit v = { .e = { .each = visit_each, .done = visit_done } };

	(void)state;
	tp_enter(tp, 0);
	scsi_everywhere(tp->domain, &v.e);
	assert_int_equal(v.done, 0);
	tp_run(tp);
	assert_int_equal(v.seen, TP_LOOPS);
	assert_int_equal(v.done, 1);
	v.hold = tp->loop[1];
	tp_enter(tp, 0);
	scsi_everywhere(tp->domain, &v.e);
	tp_run(tp);
	assert_int_equal(v.done, 1);
	tp_enter(tp, 2);
	scsi_everywhere_ready(v.held);
	tp_run(tp);
	assert_int_equal(v.done, 2);
	assert_int_equal(v.seen, 2 * TP_LOOPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abort_task_in_the_volume),
		cmocka_unit_test(test_abort_of_what_hangs),
		cmocka_unit_test(test_abort_task_that_waits_for_data),
		cmocka_unit_test(test_data_that_crosses_an_abort),
		cmocka_unit_test(test_abort_task_that_is_over),
		cmocka_unit_test(test_abort_task_just_finished),
		cmocka_unit_test(test_abort_task_set_is_of_one_nexus),
		cmocka_unit_test(test_clear_task_set_is_of_the_nexus),
		cmocka_unit_test(test_lun_reset),
		cmocka_unit_test(test_target_reset),
		cmocka_unit_test(test_reset_of_an_idle_unit),
		cmocka_unit_test(test_two_resets_at_once),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_wrong_lun_and_function),
		cmocka_unit_test(test_abort_between_steps),
		cmocka_unit_test(test_nexus_loss),
		cmocka_unit_test(test_nexus_loss_of_what_hangs),
		cmocka_unit_test(test_nexus_loss_of_a_read),
		cmocka_unit_test(test_nexus_loss_of_many_reads),
		cmocka_unit_test(test_nexus_opens_while_a_write_hangs),
		cmocka_unit_test(test_nexus_loss_when_idle),
		cmocka_unit_test(test_reset_while_a_nexus_is_lost),
		cmocka_unit_test(test_everywhere),
	};

	return cmocka_run_group_tests_name("scsi_tmf", tests, NULL, NULL);
}
