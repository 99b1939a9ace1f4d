/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The happy path: the state is published, which keeps new requests off the volume; the record says
 * that the operation is unfinished; every loop is asked until nothing that was admitted before is
 * still in the volume; the pieces are written, one at a time and no faster than SANITIZE_PACE; the
 * cache is flushed; the record and the state are cleared. A cryptographic erase replaces the key of
 * the volume instead of writing pieces.
 *
 * What can fail: the record at the beginning (then nothing happens), and any piece (then the unit
 * is in failure until another SANITIZE succeeds). A stop of the server leaves the operation
 * unfinished, and the record says so at the next start.
 */
#include "target/scsi/sanitize.h"

#include "target/scsi/command.h"
#include "target/scsi/record.h"

#include "common/own.h"

#include <errno.h>
#include <string.h>

/* Bytes a second: about what a disk does, so that other units of the box stay usable. */
#define SANITIZE_PACE    (80ull << 20)
#define SANITIZE_ERASE   (16u << 20) /* bytes of one erased piece */
#define SANITIZE_POLL_MS 10

struct scsi_sanitize {
	struct scsi_lun *lun;
	struct loop *loop;
	struct scsi_task *waiter; /* ends with the operation; NULL: nobody waits */
	struct scsi_sanitize_plan plan;
	unsigned pass;     /* passes that are over */
	uint64_t size;     /* bytes: what grows behind it meanwhile was not written by anybody */
	uint64_t at;       /* bytes of this pass that are over */
	uint64_t begun_ns; /* when this pass began */
	unsigned busy;     /* requests in the volume; atomic */
	struct vol_io io;
	struct loop_timer timer;
	struct loop_io call;
	struct scsi_everywhere everywhere;
};

/* The server ends, or the unit. */
static bool stopped(const struct scsi_sanitize *s)
{
	return __atomic_load_n(&s->lun->stopping, __ATOMIC_ACQUIRE);
}

/* ---- the state that all loops see ---- */

static void publish_locked(const struct scsi_lun *lun, uint32_t state)
{
	list_for_each (it, &lun->domain->luns) {
		struct scsi_lun *other = container_of(it, struct scsi_lun, node);

		if (other->vol == lun->vol)
			__atomic_store_n(&other->sanitize, state, __ATOMIC_RELEASE);
	}
}

static void publish(const struct scsi_lun *lun, uint32_t state)
{
	scsi_domain_lock(lun->domain);
	publish_locked(lun, state);
	scsi_domain_unlock(lun->domain);
}

struct scsi_cause scsi_sanitize_cause(uint32_t state)
{
	struct scsi_cause cause;

	if (!(state & SANITIZE_RUNNING))
		return sense_cause(SENSE_SANITIZE_FAILED); /* SBC-3 4.11.4 */
	cause = sense_cause(SENSE_SANITIZE_RUNNING);
	cause.pointer = POINTER_PROGRESS; /* SPC-4 4.5.2.4.4 */
	cause.byte = (uint16_t)state;
	return cause;
}

/* The first unit of the volume decides between loops that want the same. */
static const uint32_t *arbiter(const struct scsi_lun *lun)
{
	list_for_each (it, &lun->domain->luns) {
		struct scsi_lun *other = container_of(it, struct scsi_lun, node);

		if (other->vol == lun->vol)
			return &other->sanitize;
	}
	own_assert(!"a unit is among the units");
	return NULL;
}

bool scsi_sanitize_claim(struct scsi_lun *lun, uint32_t *before)
{
	bool free;

	scsi_domain_lock(lun->domain);
	*before = __atomic_load_n(arbiter(lun), __ATOMIC_ACQUIRE);
	free = !(*before & SANITIZE_RUNNING);
	if (free)
		publish_locked(lun, SANITIZE_RUNNING);
	scsi_domain_unlock(lun->domain);
	return free;
}

bool scsi_sanitize_exit(struct scsi_lun *lun)
{
	bool failed;

	scsi_domain_lock(lun->domain);
	failed = __atomic_load_n(arbiter(lun), __ATOMIC_ACQUIRE) ==
		 (SANITIZE_FAILED | SANITIZE_MAY_EXIT);
	if (failed)
		publish_locked(lun, 0);
	scsi_domain_unlock(lun->domain);
	return failed;
}

static void publish_progress(const struct scsi_sanitize *s)
{
	uint64_t whole = s->size * s->plan.passes;
	uint64_t over = s->size * s->pass + s->at;

	publish(s->lun, SANITIZE_RUNNING | (uint32_t)(over / (whole / 65536 + 1)));
}

/* ---- the end ---- */

static void waiter_end(struct scsi_sanitize *s, bool good)
{
	struct scsi_task *task = own_take(s->waiter);

	if (!task)
		return;
	if (task->abort_wanted)
		scsi_task_end(task);
	else if (good)
		scsi_task_good(task);
	else
		scsi_task_fail(task, SENSE_SANITIZE_FAILED);
}

/* The operation goes on when its command is aborted, SBC-3 4.11.2. */
static void waiter_look(struct scsi_sanitize *s)
{
	if (s->waiter && s->waiter->abort_wanted)
		scsi_task_end(own_take(s->waiter));
}

/* The unit has the state that is left, and may be sanitized again at once. */
static void sanitize_end(struct scsi_sanitize *s, uint32_t state)
{
	__atomic_store_n(&s->lun->job, NULL, __ATOMIC_RELEASE);
	publish(s->lun, state);
	waiter_end(s, state == 0);
	if (s->plan.pattern)
		loop_buf_put(s->loop, s->plan.pattern);
	free(s);
}

static void sanitize_failed(struct scsi_sanitize *s)
{
	log_error("scsi: sanitize has failed", "volume=%s", vol_name(s->lun->vol));
	sanitize_end(s, SANITIZE_FAILED | (s->plan.may_exit ? SANITIZE_MAY_EXIT : 0));
}

static void cleared(struct loop_io *call, int res)
{
	struct scsi_sanitize *s = container_of(call, struct scsi_sanitize, call);

	if (res) {
		sanitize_failed(s);
		return;
	}
	log_info("scsi: sanitized", "volume=%s", vol_name(s->lun->vol));
	sanitize_end(s, 0);
}

static int clear_run(struct loop_io *call)
{
	return scsi_record_sanitize(container_of(call, struct scsi_sanitize, call)->lun, false);
}

static void record(struct scsi_sanitize *s, int (*run)(struct loop_io *call),
	void (*done)(struct loop_io *call, int res))
{
	loop_io_call(s->loop, &s->call, NULL, run, done);
}

/* ---- the pieces ---- */

static void piece_next(struct scsi_sanitize *s);
static void rekey(struct scsi_sanitize *s);

static void submit(struct scsi_sanitize *s, enum vol_op op, uint64_t len,
	void (*done)(struct vol_io *io, int res))
{
	struct scsi_member *m = scsi_member_of(s->lun->domain, s->loop);

	vol_io_init(&s->io);
	s->io.op = op;
	s->io.off = op == VOL_FLUSH ? 0 : s->at;
	s->io.len = len;
	s->io.done = done;
	if (op == VOL_WRITE) {
		s->io.one = (struct iovec){ .iov_base = s->plan.pattern->data, .iov_len = len };
		s->io.iov = &s->io.one;
		s->io.iovcnt = 1;
		s->io.buf = s->plan.pattern;
	} else if (op == VOL_ZERO) {
		s->io.flags = VOL_MAY_TRIM;
	}
	vol_submit(s->lun->chan[m->index], &s->io);
}

static void invert(struct loop_buf *buf)
{
	for (uint32_t i = 0; i < SANITIZE_PIECE; i++)
		buf->data[i] = (uint8_t)~buf->data[i];
}

static void pass_over(struct vol_io *io, int res)
{
	struct scsi_sanitize *s = container_of(io, struct scsi_sanitize, io);

	if (res < 0) {
		sanitize_failed(s);
		return;
	}
	s->at = 0;
	s->begun_ns = loop_now_ns(s->loop);
	if (++s->pass == s->plan.passes) {
		record(s, clear_run, cleared);
		return;
	}
	if (s->plan.invert)
		invert(s->plan.pattern);
	piece_next(s);
}

/* Milliseconds that the operation is ahead of its pace. */
static uint32_t ahead_ms(const struct scsi_sanitize *s)
{
	uint64_t due = s->begun_ns + s->at * 1000 / SANITIZE_PACE * 1000000;
	uint64_t now = loop_now_ns(s->loop);

	return due > now ? (uint32_t)((due - now) / 1000000) : 0;
}

static void piece_done(struct vol_io *io, int res)
{
	struct scsi_sanitize *s = container_of(io, struct scsi_sanitize, io);
	uint32_t ahead;

	if (res == -ENOMEM) { /* busy: the same piece again */
		loop_timer_set(s->loop, &s->timer, SANITIZE_POLL_MS);
		return;
	}
	if (res < 0) {
		sanitize_failed(s);
		return;
	}
	s->at += io->len;
	publish_progress(s);
	ahead = s->plan.pattern ? ahead_ms(s) : 0;
	if (ahead)
		loop_timer_set(s->loop, &s->timer, ahead);
	else
		piece_next(s);
}

static void piece_next(struct scsi_sanitize *s)
{
	uint64_t size = vol_info(s->lun->vol).size; /* it may have become smaller */
	uint64_t end = size < s->size ? size : s->size;
	uint64_t left = s->at < end ? end - s->at : 0;
	uint64_t most = s->plan.pattern ? SANITIZE_PIECE : SANITIZE_ERASE;

	waiter_look(s);
	if (stopped(s)) {
		sanitize_end(s, SANITIZE_RUNNING); /* and never more: the record knows */
		return;
	}
	if (left)
		submit(s, s->plan.pattern ? VOL_WRITE : VOL_ZERO, left < most ? left : most,
			piece_done);
	else
		submit(s, VOL_FLUSH, 0, pass_over);
}

static void piece_due(struct loop_timer *timer)
{
	piece_next(container_of(timer, struct scsi_sanitize, timer));
}

/* ---- the key ---- */

static void rekey_again(struct loop_timer *timer)
{
	rekey(container_of(timer, struct scsi_sanitize, timer));
}

static void rekeyed(struct loop_io *call, int res)
{
	struct scsi_sanitize *s = container_of(call, struct scsi_sanitize, call);

	if (res == -EBUSY) { /* what is not a command, as a copy behind its end */
		loop_timer_init(&s->timer, rekey_again);
		loop_timer_set(s->loop, &s->timer, SANITIZE_POLL_MS);
	} else if (res) {
		sanitize_failed(s);
	} else {
		record(s, clear_run, cleared);
	}
}

static int rekey_run(struct loop_io *call)
{
	return vol_rekey(container_of(call, struct scsi_sanitize, call)->lun->vol);
}

static void rekey(struct scsi_sanitize *s)
{
	waiter_look(s);
	if (stopped(s))
		sanitize_end(s, SANITIZE_RUNNING); /* and never more: the record knows */
	else
		record(s, rekey_run, rekeyed);
}

/* ---- the beginning: nothing that was admitted before may land later ---- */

static void drain(struct scsi_sanitize *s);

static void drain_due(struct loop_timer *timer)
{
	drain(container_of(timer, struct scsi_sanitize, timer));
}

static void drain_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_sanitize *s = container_of(e, struct scsi_sanitize, everywhere);
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	list_for_each (n, &m->nexuses) {
		const struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		list_for_each (t, &nexus->tasks) {
			const struct scsi_task *task = container_of(t, struct scsi_task, node);

			if (task->owner == SCSI_OWNER_VOLUME && task->lun->vol == s->lun->vol)
				__atomic_add_fetch(&s->busy, 1, __ATOMIC_RELAXED);
		}
	}
}

static void drain_done(struct scsi_everywhere *e)
{
	struct scsi_sanitize *s = container_of(e, struct scsi_sanitize, everywhere);
	bool busy = __atomic_load_n(&s->busy, __ATOMIC_RELAXED);

	waiter_look(s);
	if (busy && !stopped(s)) {
		loop_timer_set(s->loop, &s->timer, SANITIZE_POLL_MS);
		return;
	}
	if (s->plan.rekey) {
		rekey(s);
		return;
	}
	loop_timer_init(&s->timer, piece_due);
	s->begun_ns = loop_now_ns(s->loop);
	piece_next(s);
}

static void drain(struct scsi_sanitize *s)
{
	s->busy = 0;
	s->everywhere.each = drain_each;
	s->everywhere.done = drain_done;
	scsi_everywhere_from(s->lun->domain, s->loop, &s->everywhere, false);
}

static void recorded(struct loop_io *call, int res)
{
	struct scsi_sanitize *s = container_of(call, struct scsi_sanitize, call);

	if (res) { /* it cannot be kept over a restart: nothing is begun */
		log_error("scsi: sanitize cannot be recorded", "volume=%s path=%s error=\"%s\"",
			vol_name(s->lun->vol), s->lun->record, strerror(-res));
		scsi_task_fail(own_take(s->waiter), SENSE_INTERNAL_FAILURE);
		sanitize_end(s, s->plan.before);
		return;
	}
	if (s->plan.immediate)
		waiter_end(s, true);
	loop_timer_init(&s->timer, drain_due);
	drain(s);
}

static int record_run(struct loop_io *call)
{
	return scsi_record_sanitize(container_of(call, struct scsi_sanitize, call)->lun, true);
}

void scsi_sanitize_begin(struct scsi_task *task, const struct scsi_sanitize_plan *plan)
{
	struct scsi_sanitize *s = calloc(1, sizeof *s);

	if (!s) {
		publish(task->lun, plan->before);
		if (plan->pattern)
			loop_buf_put(task->nexus->loop, plan->pattern);
		scsi_task_busy(task);
		return;
	}
	s->lun = task->lun;
	s->loop = task->nexus->loop;
	s->waiter = task;
	s->plan = *plan;
	s->size = vol_info(s->lun->vol).size;
	__atomic_store_n(&s->lun->stopping, false, __ATOMIC_RELAXED);
	__atomic_store_n(&s->lun->job, s, __ATOMIC_RELEASE);
	log_info("scsi: sanitize begins", "volume=%s passes=%u initiator=%s", vol_name(s->lun->vol),
		plan->passes, task->nexus->initiator);
	record(s, record_run, recorded);
}

/* ---- the end of the server ---- */

bool scsi_lun_stop(struct scsi_lun *lun)
{
	/* compared only: its loop may free it at any time */
	const struct scsi_sanitize *s = __atomic_load_n(&lun->job, __ATOMIC_ACQUIRE);

	if (s)
		__atomic_store_n(&lun->stopping, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < SCSI_LOOPS_MAX; i++) {
		if (lun->chan[i] && vol_chan_lent(lun->chan[i]))
			return false;
	}
	return !s;
}
