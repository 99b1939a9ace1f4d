/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several loops, each a thread with an initiator of its own that reads, writes and copies, while a
 * LUN comes and goes and the unit grows and shrinks: every command comes back once and each change
 * ends. ThreadSanitizer looks at the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "target/scsi/live.h"

#include "common/be.h"
#include "common/own.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LOOPS   3u
#define DEPTH   8u
#define CHANGES 200u
#define BLOCKS  2048u
#define LIST    44u /* a header and a segment */

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
	struct loop_post start;
	struct job job[DEPTH];
	unsigned started, flying, attentions, absent;
	bool closed;
};

struct box {
	struct scsi_domain *domain;
	struct scsi_target *target;
	struct scsi_lun *lun; /* LUN 0, and now and then LUN 1 */
	struct scsi_change change;
	unsigned changes;
	bool changing;
	bool over; /* nobody begins anything any more; atomic */
	struct worker worker[LOOPS];
	unsigned finished; /* workers that are done; atomic */
};

static void job_start(struct job *j);
static void worker_go_on(struct worker *w);

/* ---- the port ---- */

static void give(struct loop_hook *hook)
{
	struct job *j = container_of(hook, struct job, give);

	j->iov = (struct iovec){ .iov_base = j->data, .iov_len = j->task.out_room };
	j->task.out_iov = &j->iov;
	j->task.out_iovcnt = 1;
	j->task.out_len = j->task.out_room;
	j->task.out_buf = NULL;
	scsi_task_data(&j->task, 0);
}

static void port_get_data(struct scsi_task *task, uint32_t len)
{
	struct job *j = container_of(task, struct job, task);

	own_assert(len == task->out_room);
	loop_turn_end(j->w->loop, &j->give);
}

static void port_done(struct scsi_task *task)
{
	struct job *j = container_of(task, struct job, task);
	struct worker *w = j->w;

	own_assert(loop_self() == w->loop && !task->aborted);
	loop_hook_cancel(&j->give);
	if (task->status == SCSI_CHECK_CONDITION && task->sense[2] == 0x6)
		w->attentions++;
	else if (task->status == SCSI_CHECK_CONDITION && task->lun_field[1] &&
		 (task->sense[12] == 0x25 || task->sense[2] == 0xa))
		w->absent++; /* LUN 1 was not there, or went while it was copied */
	else
		own_assert(task->status == SCSI_GOOD);
	scsi_task_release(task);
	w->flying--;
	job_start(j);
	worker_go_on(w);
}

static const struct scsi_port_ops ops = { .get_data = port_get_data, .done = port_done };

/* EXTENDED COPY of eight blocks inside of the unit. */
static void job_copy(struct job *j)
{
	uint8_t *list = j->data;

	memset(list, 0, LIST);
	list[1] = 3 << 3; /* no identifier */
	be32_store(list + 8, 28);
	list[16] = 0x02;
	be16_store(list + 18, 0x18);
	be32_store(list + 20, 0xffffffff);
	be16_store(list + 26, 8);
	be64_store(list + 28, 8 * (j->task.tag % 16));
	be64_store(list + 36, 8 * (j->task.tag % 7));
	j->task.cdb[0] = 0x83;
	be32_store(j->task.cdb + 10, LIST);
	j->task.out_room = LIST;
}

static void job_start(struct job *j)
{
	struct worker *w = j->w;
	bool write = w->started % 2;

	if (__atomic_load_n(&w->box->over, __ATOMIC_RELAXED))
		return;
	w->flying++;
	j->task.tag = w->started++;
	memset(j->task.lun_field, 0, 8);
	j->task.lun_field[1] = j->task.tag / 2 % 2;
	memset(j->task.cdb, 0, 16);
	j->task.cdb_len = 16;
	j->task.in_room = write ? 0 : sizeof j->data;
	j->task.out_room = write ? sizeof j->data : 0;
	if (j->task.tag % 5 == 1) {
		job_copy(j);
	} else {
		j->task.cdb[0] = write ? 0x2a : 0x28;
		j->task.cdb[5] = (uint8_t)(8 * (j->task.tag % 16));
		j->task.cdb[8] = 8;
	}
	scsi_task_submit(&w->nexus, &j->task);
}

/* ---- changes, all of them asked for by the first worker ---- */

static void change_done(struct scsi_change *change)
{
	struct box *box = container_of(change, struct box, change);

	own_assert(loop_self() == box->worker[0].loop);
	box->changing = false;
	if (++box->changes == CHANGES)
		__atomic_store_n(&box->over, true, __ATOMIC_RELAXED);
	worker_go_on(&box->worker[0]);
}

static void box_change(struct box *box)
{
	unsigned n = box->changes;
	int err;

	box->changing = true;
	memset(&box->change, 0, sizeof box->change);
	box->change.done = change_done;
	if (n % 2)
		err = scsi_lun_resized(
			&box->change, box->lun, (n % 4 == 1 ? 512 : 512 / 2) * BLOCKS);
	else if (n % 4)
		err = scsi_target_remove(&box->change, box->target, 1);
	else
		err = scsi_target_add(&box->change, box->target, 1, box->lun, false);
	own_assert(!err);
}

static void worker_drained(struct scsi_nexus *nexus)
{
	struct worker *w = container_of(nexus, struct worker, nexus);
	struct box *box = w->box;

	scsi_lun_close(box->lun, w->loop);
	if (__atomic_add_fetch(&box->finished, 1, __ATOMIC_ACQ_REL) == LOOPS)
		for (unsigned i = 0; i < LOOPS; i++)
			loop_stop(box->worker[i].loop);
}

static void worker_go_on(struct worker *w)
{
	struct box *box = w->box;

	if (w == &box->worker[0] && !box->changing && box->changes < CHANGES)
		box_change(box);
	if (w->flying || w->closed || !__atomic_load_n(&box->over, __ATOMIC_RELAXED))
		return;
	w->closed = true;
	scsi_nexus_close(&w->nexus, worker_drained);
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
	struct vol_conf conf = { .name = "live", .store = "mem", .size = BLOCKS * 512 };
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
	for (unsigned i = 0; i < LOOPS; i++) {
		struct worker *w = &box->worker[i];

		assert_int_equal(pthread_create(&w->thread, NULL, worker_run, w), 0);
	}
	for (unsigned i = 0; i < LOOPS; i++)
		pthread_join(box->worker[i].thread, NULL);
}

static void test_changes_under_load(void **state)
{
	struct box *box = own_calloc(1, sizeof *box);
	struct loop *loops[LOOPS];
	struct scsi_lun_conf conf = { .vol = open_memory() };
	unsigned absent = 0;
	int err;

	(void)state;
	for (unsigned i = 0; i < LOOPS; i++) {
		struct loop_opts opts = { .index = i, .cpu = -1 };

		loops[i] = loop_new(&opts, &err);
		assert_non_null(loops[i]);
	}
	box->domain = scsi_domain_new(loops, LOOPS);
	box->lun = scsi_lun_new(box->domain, &conf);
	box->target = scsi_target_new(box->domain, "iqn.2026-11.kura.test:live", 1, 1);
	assert_int_equal(scsi_target_map(box->target, 0, box->lun, false), 0);
	box_run(box, loops);
	for (unsigned i = 0; i < LOOPS; i++) {
		struct worker *w = &box->worker[i];

		assert_true(w->started > DEPTH && w->attentions > 0);
		absent += w->absent;
	}
	assert_true(absent > 0);
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
		cmocka_unit_test(test_changes_under_load),
	};

	return cmocka_run_group_tests_name("scsi_live_threads", tests, NULL, NULL);
}
