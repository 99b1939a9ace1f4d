/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several loops, each a thread with initiators of its own, at work on the same blocks:
 *
 *	count    adds one to a counter by READ and COMPARE AND WRITE until it has done so often
 *	         enough: no count is lost
 *	set      sets its own bits by ORWRITE: none is lost
 *	stamp    writes ever higher stamps by plain WRITE, reads back, and finds no older one
 *	answer   marks stamps as seen by COMPARE AND WRITE, which must never undo a stamp
 *	clear    unmaps and zeroes next to all of them
 *
 * and one that is aborted again and again. ThreadSanitizer looks at the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "target/scsi/lun.h"
#include "target/scsi/unit.h"

#include "common/be.h"
#include "common/own.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOPS  3u
#define ROUNDS 1000u /* of each actor */
#define BLOCK  512u

/* Where what is: clear owns the blocks on both sides. */
enum { LBA_COUNT = 10, LBA_BITS = 20, LBA_STAMP = 30 };

enum role { COUNT, SET, STAMP, ANSWER, CLEAR, ROLES };

struct actor {
	struct box *box;
	struct loop *loop;
	enum role role;
	unsigned number;
	struct scsi_nexus nexus;
	struct scsi_task task;
	struct scsi_tmf tmf;
	bool tmf_open;
	struct loop_post start, later;
	unsigned fuse; /* posts until the abort */
	struct loop_hook give;
	struct iovec iov;
	uint8_t out[2 * BLOCK];
	void (*next)(struct actor *a); /* goes on with what the task brought */
	unsigned rounds;               /* done */
	unsigned aborted, miscompared;
	uint64_t stamp; /* STAMP: the last one written */
	bool closed;
};

struct box {
	struct scsi_domain *domain;
	struct scsi_target *target;
	struct scsi_lun *lun;
	struct loop *loop[LOOPS];
	unsigned loops;
	pthread_t thread[LOOPS];
	struct actor actor[LOOPS * ROLES];
	unsigned finished; /* atomic */
};

static void actor_begin(struct actor *a);
static void actor_end(struct actor *a);

/* ---- the port ---- */

static void give(struct loop_hook *hook)
{
	struct actor *a = container_of(hook, struct actor, give);

	a->iov = (struct iovec){ .iov_base = a->out, .iov_len = a->task.out_room };
	a->task.out_iov = &a->iov;
	a->task.out_iovcnt = 1;
	a->task.out_len = a->task.out_room;
	a->task.out_buf = NULL;
	scsi_task_data(&a->task, 0);
}

static void port_get_data(struct scsi_task *task, uint32_t len)
{
	struct actor *a = container_of(task, struct actor, task);

	own_assert(len == task->out_room && len <= sizeof a->out);
	loop_turn_end(a->loop, &a->give);
}

static void port_done(struct scsi_task *task)
{
	struct actor *a = container_of(task, struct actor, task);

	own_assert(loop_self() == a->loop);
	loop_hook_cancel(&a->give);
	if (a->nexus.closing)
		scsi_task_release(task);
	else if (task->aborted || task->sense[2] == 0x6) {
		a->aborted += task->aborted;
		scsi_task_release(task);
		actor_begin(a);
	} else
		a->next(a);
}

static const struct scsi_port_ops ops = { .get_data = port_get_data, .done = port_done };

static void tmf_done(struct scsi_tmf *tmf)
{
	struct actor *a = container_of(tmf, struct actor, tmf);

	a->tmf_open = false;
	if (a->rounds == ROUNDS && !a->closed)
		actor_end(a);
}

static void actor_burn(struct loop_post *post)
{
	struct actor *a = container_of(post, struct actor, later);

	if (a->fuse--) {
		loop_post(a->loop, post);
		return;
	}
	a->tmf.function = SCSI_TMF_ABORT_TASK_SET;
	a->tmf.nexus = &a->nexus;
	a->tmf.done = tmf_done;
	scsi_tmf_submit(&a->tmf);
}

/* Aborts what the actor has under way, some turns from now, wherever it is then. */
static void actor_abort(struct actor *a)
{
	if (a->tmf_open)
		return;
	a->tmf_open = true;
	a->fuse = a->rounds % 8;
	a->later.run = actor_burn;
	loop_post(a->loop, &a->later);
}

/* Starts a command of sixteen bytes. */
static void actor_send(struct actor *a, uint8_t opcode, uint8_t flags, uint8_t lba, uint8_t blocks,
	uint32_t in, uint32_t out, void (*next)(struct actor *a))
{
	struct scsi_task *t = &a->task;

	a->next = next;
	memset(t->cdb, 0, 16);
	t->cdb[0] = opcode;
	t->cdb[1] = flags;
	t->cdb[9] = lba;
	t->cdb[13] = blocks;
	t->cdb_len = 16;
	t->sense[2] = 0;
	t->in_room = in;
	t->out_room = out;
	scsi_task_submit(&a->nexus, t);
}

static void actor_over(struct actor *a)
{
	scsi_task_release(&a->task);
	if (++a->rounds < ROUNDS)
		actor_begin(a);
	else if (!a->tmf_open)
		actor_end(a);
}

static void must_be_good(const struct actor *a)
{
	own_assert(a->task.status == SCSI_GOOD);
}

static void good_over(struct actor *a)
{
	must_be_good(a);
	actor_over(a);
}

/* ---- COMPARE AND WRITE of what was read and what shall be there ---- */

static void compare_over(struct actor *a)
{
	if (a->task.status == SCSI_GOOD) {
		actor_over(a);
		return;
	}
	own_assert(a->task.status == SCSI_CHECK_CONDITION && a->task.sense[2] == 0xe);
	a->miscompared++;
	scsi_task_release(&a->task);
	if (a->role == ANSWER)
		a->rounds++;
	if (a->rounds < ROUNDS)
		actor_begin(a);
	else if (!a->tmf_open)
		actor_end(a);
}

static void read_over(struct actor *a)
{
	uint8_t *was = a->out, *shall = a->out + BLOCK;

	must_be_good(a);
	memcpy(was, a->task.in_data, BLOCK);
	memcpy(shall, was, BLOCK);
	if (a->role == COUNT)
		be64_store(shall, be64_load(was) + 1);
	else
		be64_store(shall + 8, be64_load(was)); /* seen */
	scsi_task_release(&a->task);
	actor_send(a, 0x89, 0, a->role == COUNT ? LBA_COUNT : LBA_STAMP, 1, 0, 2 * BLOCK,
		compare_over);
}

/* ---- stamps ---- */

static void stamp_read(struct actor *a)
{
	must_be_good(a);
	own_assert(be64_load(a->task.in_data) == a->stamp);
	actor_over(a);
}

static void stamp_written(struct actor *a)
{
	must_be_good(a);
	a->stamp++;
	scsi_task_release(&a->task);
	actor_send(a, 0x88, 0, LBA_STAMP, 1, BLOCK, 0, stamp_read);
}

static void stamp_write(struct actor *a)
{
	memset(a->out, 0, sizeof a->out);
	be64_store(a->out, a->stamp + 1);
	actor_send(a, 0x8a, 0, LBA_STAMP, 2, 0, 2 * BLOCK, stamp_written);
}

/* ---- the actors ---- */

/* Bit `rounds` of the actor's own 128 bytes. */
static void set_begin(struct actor *a)
{
	unsigned bit = a->rounds % 1024;

	memset(a->out, 0, BLOCK);
	a->out[128 * (a->number / ROLES) + bit / 8] = (uint8_t)(1u << bit % 8);
	actor_send(a, 0x8b, 0, LBA_BITS, 1, 0, BLOCK, good_over);
}

static void clear_begin(struct actor *a)
{
	static const uint8_t lbas[] = { LBA_COUNT - 1, LBA_COUNT + 1, LBA_BITS - 1, LBA_BITS + 1,
		LBA_STAMP - 1, LBA_STAMP + 2 };

	actor_send(a, 0x93, a->rounds % 2 ? 0x09 : 0x01, lbas[a->rounds % sizeof lbas], 1, 0, 0,
		good_over);
}

static void actor_begin(struct actor *a)
{
	switch (a->role) {
	case COUNT:
		actor_send(a, 0x88, 0, LBA_COUNT, 1, BLOCK, 0, read_over);
		break;
	case SET:
		set_begin(a);
		break;
	case STAMP:
		stamp_write(a);
		break;
	case ANSWER:
		actor_send(a, 0x88, 0, LBA_STAMP, 1, BLOCK, 0, read_over);
		/* somewhere between its first step and its last */
		if (a->aborted <= a->rounds / 4)
			actor_abort(a);
		break;
	default:
		clear_begin(a);
	}
}

static void actor_drained(struct scsi_nexus *nexus)
{
	struct actor *a = container_of(nexus, struct actor, nexus);
	struct box *box = a->box;

	if (__atomic_add_fetch(&box->finished, 1, __ATOMIC_ACQ_REL) < LOOPS * ROLES)
		return;
	for (unsigned i = 0; i < box->loops; i++)
		loop_stop(box->loop[i]);
}

static void actor_end(struct actor *a)
{
	a->closed = true;
	scsi_nexus_close(&a->nexus, actor_drained);
}

static void actor_start(struct loop_post *post)
{
	struct actor *a = container_of(post, struct actor, start);
	char name[64];

	snprintf(name, sizeof name, "iqn.2026-11.kura.test:t%u,i,0x1", a->number);
	scsi_nexus_open(&a->nexus, a->box->domain, a->loop, a->box->target, name, &ops);
	scsi_task_init(&a->task);
	loop_hook_init(&a->give, give);
	if (a->role == STAMP && a->number != STAMP)
		actor_end(a); /* one is enough: nobody else may write stamps */
	else
		actor_begin(a);
}

/* ---- the box ---- */

static void *thread_run(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* A file, not memory: the kernel, not this process, is who reads what another one writes. */
static struct vol *open_file(char *path, size_t room)
{
	struct vol_conf conf = { .name = "threads", .store = "file", .size = 1 << 20 };
	const char *dir = getenv("TMPDIR");
	char why[256] = "";
	struct vol *vol;
	int fd;

	snprintf(path, room, "%s/kura-fence-XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	conf.path = path;
	vol = vol_open(&conf, why, sizeof why);
	if (!vol)
		fail_msg("%s", why);
	return vol;
}

static void remove_file(const char *path)
{
	char identity[PATH_MAX + 8];

	snprintf(identity, sizeof identity, "%s.kura", path);
	unlink(identity);
	unlink(path);
}

static struct box *box_new(struct vol *vol, unsigned loops)
{
	struct box *box = own_calloc(1, sizeof *box);
	struct scsi_lun_conf conf = { .vol = vol, .thin = true };
	int err;

	for (unsigned i = 0; i < loops; i++) {
		struct loop_opts opts = { .index = i, .cpu = -1 };

		box->loop[i] = loop_new(&opts, &err);
		assert_non_null(box->loop[i]);
	}
	box->loops = loops;
	box->domain = scsi_domain_new(box->loop, loops);
	box->lun = scsi_lun_new(box->domain, &conf);
	box->target = scsi_target_new(box->domain, "iqn.2026-11.kura.test:threads", 1, 1);
	assert_int_equal(scsi_target_map(box->target, 0, box->lun, false), 0);
	for (unsigned i = 0; i < loops; i++)
		assert_int_equal(scsi_lun_open(box->lun, box->loop[i]), 0);
	for (unsigned i = 0; i < LOOPS * ROLES; i++) {
		struct actor *a = &box->actor[i];

		a->box = box;
		a->number = i;
		a->role = (enum role)(i % ROLES);
		a->loop = box->loop[i / ROLES % loops];
		a->start.run = actor_start;
		loop_post(a->loop, &a->start);
	}
	return box;
}

static void box_free(struct box *box, unsigned loops)
{
	for (unsigned i = 0; i < loops; i++)
		scsi_lun_close(box->lun, box->loop[i]);
	scsi_target_free(box->target);
	scsi_lun_free(box->lun);
	scsi_domain_free(box->domain);
	for (unsigned i = 0; i < loops; i++)
		loop_free(box->loop[i]);
	free(box);
}

static void check_blocks(const char *path)
{
	uint8_t block[BLOCK];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fseek(f, LBA_COUNT * BLOCK, SEEK_SET), 0);
	assert_int_equal(fread(block, 1, BLOCK, f), BLOCK);
	assert_int_equal(be64_load(block), LOOPS * ROUNDS);
	assert_int_equal(fseek(f, LBA_BITS * BLOCK, SEEK_SET), 0);
	assert_int_equal(fread(block, 1, BLOCK, f), BLOCK);
	for (unsigned i = 0; i < LOOPS; i++)
		for (unsigned bit = 0; bit < 1024; bit++)
			assert_int_equal(block[128 * i + bit / 8] >> bit % 8 & 1, bit < ROUNDS);
	assert_int_equal(fseek(f, LBA_STAMP * BLOCK, SEEK_SET), 0);
	assert_int_equal(fread(block, 1, BLOCK, f), BLOCK);
	assert_int_equal(be64_load(block), ROUNDS);
	assert_true(be64_load(block + 8) <= ROUNDS);
	fclose(f);
}

static void run(unsigned loops)
{
	char path[PATH_MAX];
	struct vol *vol = open_file(path, sizeof path);
	struct box *box = box_new(vol, loops);
	unsigned aborted = 0;

	for (unsigned i = 0; i < loops; i++)
		assert_int_equal(
			pthread_create(&box->thread[i], NULL, thread_run, box->loop[i]), 0);
	for (unsigned i = 0; i < loops; i++)
		pthread_join(box->thread[i], NULL);
	for (unsigned i = 0; i < LOOPS * ROLES; i++)
		aborted += box->actor[i].aborted;
	assert_true(aborted > 0);
	box_free(box, loops);
	vol_close(vol);
	check_blocks(path);
	remove_file(path);
}

static void test_one_loop(void **state)
{
	(void)state;
	run(1);
}

static void test_several_loops(void **state)
{
	(void)state;
	run(LOOPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_loop),
		cmocka_unit_test(test_several_loops),
	};

	return cmocka_run_group_tests_name("fence_threads", tests, NULL, NULL);
}
