// SPDX-License-Identifier: Apache-2.0
/*
 * rig.c: posts carry calls and requests to the loop; semaphores bring the answers back.
 */
#include "tests/store/rig.h"

#include "common/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RIG_PATIENCE_S 30

struct call {
	struct loop_post post;
	struct rig *rig;
	void (*fn)(struct rig *rig, void *arg);
	void *arg;
	sem_t sem;
};

static void *rig_main(void *arg)
{
	loop_run(((struct rig *)arg)->loop);
	return NULL;
}

struct rig *rig_new(enum loop_engine_id engine)
{
	const struct loop_opts opts = { .engine = engine, .cpu = -1, .rx_bufs = 16 };
	struct rig *rig = own_calloc(1, sizeof *rig);
	int err = 0;

	rig->engine = engine;
	rig->loop = loop_new(&opts, &err);
	if (!rig->loop) {
		free(rig);
		return NULL;
	}
	own_assert(pthread_create(&rig->thread, NULL, rig_main, rig) == 0);
	return rig;
}

void rig_free(struct rig *rig)
{
	loop_stop(rig->loop);
	pthread_join(rig->thread, NULL);
	loop_free(rig->loop);
	free(rig);
}

static void sem_patient(sem_t *sem, const char *what)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += RIG_PATIENCE_S;
	while (sem_timedwait(sem, &ts)) {
		if (errno == EINTR)
			continue;
		fprintf(stderr, "rig: no answer to a %s in %d seconds\n", what, RIG_PATIENCE_S);
		abort();
	}
}

static void call_run(struct loop_post *post)
{
	struct call *c = container_of(post, struct call, post);

	c->fn(c->rig, c->arg);
	sem_post(&c->sem);
}

void rig_call(struct rig *rig, void (*fn)(struct rig *rig, void *arg), void *arg)
{
	struct call c = { .post.run = call_run, .rig = rig, .fn = fn, .arg = arg };

	sem_init(&c.sem, 0, 0);
	loop_post(rig->loop, &c.post);
	sem_patient(&c.sem, "call");
	sem_destroy(&c.sem);
}

/* ---- channels and buffers ---- */

struct chan_args {
	struct vol *vol;
	struct vol_chan *chan;
	int err;
};

static void chan_open_run(struct rig *rig, void *arg)
{
	struct chan_args *a = arg;

	a->chan = vol_chan_open(a->vol, rig->loop, &a->err);
}

struct vol_chan *rig_chan_open(struct rig *rig, struct vol *vol)
{
	struct chan_args a = { .vol = vol };

	rig_call(rig, chan_open_run, &a);
	own_assert(a.chan);
	return a.chan;
}

static void chan_close_run(struct rig *rig, void *arg)
{
	(void)rig;
	vol_chan_close(arg);
}

void rig_chan_close(struct rig *rig, struct vol_chan *chan)
{
	rig_call(rig, chan_close_run, chan);
}

struct buf_args {
	uint32_t len;
	struct loop_buf *buf;
};

static void buf_get_run(struct rig *rig, void *arg)
{
	struct buf_args *a = arg;

	a->buf = loop_buf_get(rig->loop, a->len);
}

struct loop_buf *rig_buf_get(struct rig *rig, uint32_t len)
{
	struct buf_args a = { .len = len };

	rig_call(rig, buf_get_run, &a);
	own_assert(a.buf);
	return a.buf;
}

static void buf_put_run(struct rig *rig, void *arg)
{
	loop_buf_put(rig->loop, arg);
}

void rig_buf_put(struct rig *rig, struct loop_buf *buf)
{
	rig_call(rig, buf_put_run, buf);
}

/* ---- requests ---- */

static void req_done(struct vol_io *io, int res)
{
	struct rig_req *req = container_of(io, struct rig_req, io);

	if (req->submitting || loop_self() != req->rig->loop)
		req->broken = true;
	req->res = res;
	req->done++;
	sem_post(&req->sem);
}

static void req_run(struct loop_post *post)
{
	struct rig_req *req = container_of(post, struct rig_req, post);

	req->submitting = true;
	vol_submit(req->chan, &req->io);
	req->submitting = false;
}

void rig_req_init(struct rig_req *req, struct rig *rig, struct vol_chan *chan)
{
	memset(req, 0, sizeof *req);
	vol_io_init(&req->io);
	req->io.done = req_done;
	req->rig = rig;
	req->chan = chan;
	req->post.run = req_run;
	sem_init(&req->sem, 0, 0);
}

void rig_submit(struct rig_req *req)
{
	loop_post(req->rig->loop, &req->post);
}

static void settle_run(struct rig *rig, void *arg)
{
	(void)rig;
	(void)arg;
}

/* One more trip to the loop and back, in which a second done would show. */
int rig_wait(struct rig_req *req)
{
	sem_patient(&req->sem, "request");
	rig_call(req->rig, settle_run, NULL);
	own_assert(!req->broken && req->done == 1 && req->res <= 0 && req->io.depth == 0);
	sem_destroy(&req->sem);
	return req->res;
}

int rig_rw(struct rig *rig, struct vol_chan *chan, enum vol_op op, uint64_t off, void *data,
	uint64_t len, uint32_t flags)
{
	struct rig_req req;

	rig_req_init(&req, rig, chan);
	req.io.op = op;
	req.io.flags = flags;
	req.io.off = off;
	req.io.len = len;
	req.io.one = (struct iovec){ .iov_base = data, .iov_len = len };
	req.io.iov = &req.io.one;
	req.io.iovcnt = 1;
	rig_submit(&req);
	return rig_wait(&req);
}

int rig_op(struct rig *rig, struct vol_chan *chan, enum vol_op op, uint64_t off, uint64_t len,
	uint32_t flags)
{
	struct rig_req req;

	rig_req_init(&req, rig, chan);
	req.io.op = op;
	req.io.flags = flags;
	req.io.off = off;
	req.io.len = len;
	rig_submit(&req);
	return rig_wait(&req);
}

int rig_extents(struct rig *rig, struct vol_chan *chan, uint64_t off, uint64_t len,
	struct vol_extent *extents, unsigned max)
{
	struct rig_req req;
	int err;

	rig_req_init(&req, rig, chan);
	req.io.op = VOL_EXTENTS;
	req.io.off = off;
	req.io.len = len;
	req.io.extents = extents;
	req.io.extent_max = max;
	rig_submit(&req);
	err = rig_wait(&req);
	return err ? err : (int)req.io.extent_count;
}
