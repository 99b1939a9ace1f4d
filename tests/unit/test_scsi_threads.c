/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several loops, each a thread with an initiator of its own, at work on one unit and resetting it
 * under each other's hands: every command comes back once, on its loop, and every function is
 * answered. ThreadSanitizer looks at the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "target/scsi/lun.h"

#include "common/own.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LOOPS    3u
#define DEPTH    8u
#define COMMANDS 3000u /* per initiator */
#define RESETS   30u   /* each so many-th command is followed by a function */

struct worker;

struct job {
	struct scsi_task task;
	struct worker *w;
	struct iovec iov;
	struct loop_hook give;
	uint8_t data[4096];
};

struct worker {
	struct box *box;
	struct loop *loop;
	pthread_t thread;
	struct scsi_nexus nexus;
	struct scsi_tmf tmf;
	struct loop_post start;
	struct job job[DEPTH];
	unsigned started, ended, aborted, attentions, functions, flying;
	bool tmf_open, closed;
};

struct box {
	struct scsi_domain *domain;
	struct scsi_target *target;
	struct scsi_lun *lun;
	struct worker worker[LOOPS];
	unsigned finished; /* workers that are done; atomic */
};

static void job_start(struct job *j);
static void worker_go_on(struct worker *w);

/* ---- the port ---- */

static void give(struct loop_hook *hook)
{
	struct job *j = container_of(hook, struct job, give);

	j->iov = (struct iovec){ .iov_base = j->data, .iov_len = sizeof j->data };
	j->task.out_iov = &j->iov;
	j->task.out_iovcnt = 1;
	j->task.out_len = sizeof j->data;
	j->task.out_buf = NULL;
	scsi_task_data(&j->task, 0);
}

static void port_get_data(struct scsi_task *task, uint32_t len)
{
	struct job *j = container_of(task, struct job, task);

	own_assert(len == sizeof j->data);
	loop_turn_end(j->w->loop, &j->give);
}

static void port_done(struct scsi_task *task)
{
	struct job *j = container_of(task, struct job, task);
	struct worker *w = j->w;

	own_assert(loop_self() == w->loop);
	loop_hook_cancel(&j->give);
	if (task->aborted)
		w->aborted++;
	else if (task->status == SCSI_CHECK_CONDITION && task->sense[2] == 0x6)
		w->attentions++;
	else
		own_assert(task->status == SCSI_GOOD);
	scsi_task_release(task);
	w->ended++;
	w->flying--;
	if (!w->nexus.closing)
		job_start(j);
	worker_go_on(w);
}

static const struct scsi_port_ops ops = { .get_data = port_get_data, .done = port_done };

static void job_start(struct job *j)
{
	struct worker *w = j->w;
	bool write = w->started % 2;

	if (w->started == COMMANDS)
		return;
	j->task.tag = w->started++;
	w->flying++;
	memset(j->task.lun_field, 0, 8);
	memset(j->task.cdb, 0, 16);
	j->task.cdb[0] = write ? 0x2a : 0x28;
	j->task.cdb[5] = (uint8_t)(8 * (j->task.tag % 16));
	j->task.cdb[8] = 8;
	j->task.cdb_len = 16;
	j->task.in_room = write ? 0 : sizeof j->data;
	j->task.out_room = write ? sizeof j->data : 0;
	scsi_task_submit(&w->nexus, &j->task);
}

/* ---- functions in between, and the end ---- */

static void tmf_done(struct scsi_tmf *tmf)
{
	struct worker *w = container_of(tmf, struct worker, tmf);

	own_assert(loop_self() == w->loop && tmf->result == SCSI_TMF_COMPLETE);
	w->tmf_open = false;
	w->functions++;
	worker_go_on(w);
}

static void worker_drained(struct scsi_nexus *nexus)
{
	struct worker *w = container_of(nexus, struct worker, nexus);
	struct box *box = w->box;

	own_assert(w->flying == 0);
	scsi_lun_close(box->lun, w->loop);
	if (__atomic_add_fetch(&box->finished, 1, __ATOMIC_ACQ_REL) == LOOPS)
		for (unsigned i = 0; i < LOOPS; i++)
			loop_stop(box->worker[i].loop);
}

static void worker_go_on(struct worker *w)
{
	static const enum scsi_tmf_function functions[] = { SCSI_TMF_LUN_RESET,
		SCSI_TMF_CLEAR_TASK_SET, SCSI_TMF_TARGET_RESET, SCSI_TMF_ABORT_TASK_SET };

	if (!w->tmf_open && !w->closed && w->ended / RESETS > w->functions) {
		w->tmf_open = true;
		memset(&w->tmf, 0, sizeof w->tmf);
		w->tmf.function = functions[w->functions % 4];
		w->tmf.nexus = &w->nexus;
		w->tmf.done = tmf_done;
		scsi_tmf_submit(&w->tmf);
	}
	if (w->ended == COMMANDS && !w->tmf_open && !w->closed) {
		w->closed = true;
		scsi_nexus_close(&w->nexus, worker_drained);
	}
}

static void worker_start(struct loop_post *post)
{
	struct worker *w = container_of(post, struct worker, start);
	char name[64];

	own_assert(scsi_lun_open(w->box->lun, w->loop) == 0);
	snprintf(name, sizeof name, "iqn.2026-11.kura.test:t%u,i,0x1", loop_index(w->loop));
	scsi_nexus_open(&w->nexus, w->box->domain, w->loop, w->box->target, name, &ops);
	for (unsigned i = 0; i < DEPTH; i++) {
		struct job *j = &w->job[i];

		j->w = w;
		scsi_task_init(&j->task);
		loop_hook_init(&j->give, give);
		job_start(j);
	}
}

static void *worker_run(void *arg)
{
	loop_run(((struct worker *)arg)->loop);
	return NULL;
}

static struct vol *open_memory(void)
{
	struct vol_conf conf = { .name = "threads", .store = "mem", .size = 1 << 20 };
	char why[256] = "";
	struct vol *vol = vol_open(&conf, why, sizeof why);

	if (!vol)
		fail_msg("%s", why);
	return vol;
}

static void box_run(struct box *box, struct loop **loops)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		struct worker *w = &box->worker[i];

		w->box = box;
		w->loop = loops[i];
		w->start.run = worker_start;
		loop_post(w->loop, &w->start);
	}
	for (unsigned i = 0; i < LOOPS; i++)
		assert_int_equal(
			pthread_create(&box->worker[i].thread, NULL, worker_run, &box->worker[i]),
			0);
	for (unsigned i = 0; i < LOOPS; i++)
		pthread_join(box->worker[i].thread, NULL);
}

static void test_resets_under_load(void **state)
{
	struct box *box = own_calloc(1, sizeof *box);
	struct loop *loops[LOOPS];
	struct scsi_lun_conf conf = { .vol = open_memory() };
	unsigned aborted = 0;
	int err;

	(void)state;
	for (unsigned i = 0; i < LOOPS; i++) {
		struct loop_opts opts = { .index = i, .cpu = -1 };

		loops[i] = loop_new(&opts, &err);
		assert_non_null(loops[i]);
	}
	box->domain = scsi_domain_new(loops, LOOPS);
	box->lun = scsi_lun_new(box->domain, &conf);
	box->target = scsi_target_new(box->domain, "iqn.2026-11.kura.test:threads", 1, 1);
	assert_int_equal(scsi_target_map(box->target, 0, box->lun, false), 0);
	box_run(box, loops);
	for (unsigned i = 0; i < LOOPS; i++) {
		struct worker *w = &box->worker[i];

		assert_int_equal(w->started, COMMANDS);
		assert_int_equal(w->ended, COMMANDS);
		assert_true(w->functions >= 10 && w->attentions > 0);
		aborted += w->aborted;
	}
	assert_true(aborted > 0);
	scsi_target_free(box->target);
	scsi_lun_free(box->lun);
	vol_close(conf.vol);
	scsi_domain_free(box->domain);
	for (unsigned i = 0; i < LOOPS; i++)
		loop_free(loops[i]);
	free(box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resets_under_load),
	};

	return cmocka_run_group_tests_name("scsi_threads", tests, NULL, NULL);
}
