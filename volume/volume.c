// SPDX-License-Identifier: Apache-2.0
/*
 * volume.c: the guard. A request enters by vol_submit, is held against what callers promise, is
 * counted, goes down the stack, and leaves by guard_done with an errno that the contract names.
 *
 * What a store lacks is made up for in vol_emulate.c; opening is in vol_open.c.
 */
#include "volume/volume.h"

#include "common/stat.h"
#include "common/trace.h"
#include "volume/vol_guts.h"

#include <errno.h>

/* The channel that callers hold. */
struct guard_chan {
	struct vol_chan chan;   /* part NULL; below: the first part */
	struct vol *vol;        /* whose */
	uint64_t block_mask;    /* block_size - 1 */
	unsigned lent;          /* see vol_chan_lend; written by its loop */
	bool readonly;          /* writes are refused */
	bool submitting;        /* inside vol_submit: nothing may be done now */
	unsigned changing;      /* requests below that change the volume */
	struct vol_hold *hold;  /* such requests wait; or NULL */
	struct vol_io *waiting; /* these, by vol_io.next */
	struct vol_io **last;   /* where the next one is put */
	struct vol_count_chan count;
};

static struct guard_chan *guard_of(const struct vol_chan *chan)
{
	return container_of(chan, struct guard_chan, chan);
}

void vol_io_init(struct vol_io *io)
{
	io->magic = VOL_IO_MAGIC;
	io->op = VOL_READ;
	io->flags = 0;
	io->off = io->len = 0;
	io->iov = NULL;
	io->iovcnt = 0;
	io->buf = NULL;
	io->origin = 0;
	io->extents = NULL;
	io->extent_max = io->extent_count = 0;
	io->done = NULL;
	io->depth = 0;
	io->chan = NULL;
	io->bounce = NULL;
}

/* The errors that the contract names; whatever else a kernel says is a medium error. */
static int guard_errno(int res)
{
	switch (-res) {
	case EIO:
	case ENOSPC:
	case EROFS:
	case ENODEV:
	case ENOMEM:
	case ETIMEDOUT:
	case ECANCELED:
	case EOPNOTSUPP:
		return res;
	case EDQUOT:
	case EFBIG:
		return -ENOSPC;
	case ENXIO:
		return -ENODEV;
	case EAGAIN:
	case ENOBUFS:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static __attribute__((noinline)) int guard_failed(struct guard_chan *g, struct vol_io *io, int res)
{
	if (res == -ECANCELED && io->cancelled) /* nobody wanted it, and nothing is wrong */
		return res;
	stat_add(STAT_vol_errors, 1);
	hist_bump(&g->count.counts.errors[io->op], 1);
	trace_add(TRACE_volume_error, io->off, (uint64_t)-res);
	res = guard_errno(res);
	trouble_tell(&g->vol->trouble, g->vol->name, io, res);
	return res;
}

static __attribute__((noinline)) void guard_timed(struct guard_chan *g, const struct vol_io *io)
{
	uint64_t ns = hist_clock_ns() - io->began_ns;

	if (io->op <= VOL_WRITE)
		hist_add(&g->count.counts.latency[io->op], ns);
	if (ns >= TRACE_SLOW_NS)
		trace_add(TRACE_volume_slow, io->off, ns);
}

static inline bool guard_changes(const struct vol_io *io)
{
	return (1u << VOL_WRITE | 1u << VOL_TRIM | 1u << VOL_ZERO) >> io->op & 1;
}

static void guard_done(struct vol_io *io, int res)
{
	struct guard_chan *g = guard_of(io->chan);
	bool changed = guard_changes(io);

	own_assert(!g->submitting && g->count.inflight);
	hist_bump(&g->count.inflight, (uint64_t)-1);
	io->depth = 0;
	if (__builtin_expect(io->began_ns != 0, 0))
		guard_timed(g, io);
	if (__builtin_expect(res < 0, 0))
		res = guard_failed(g, io, res);
	g->changing -= changed;
	io->done(io, res);
	if (__builtin_expect(g->hold && changed && !g->changing, 0))
		g->hold->held(g->hold);
}

void vol_io_done(struct vol_io *io, int res)
{
	own_assert(io->magic == VOL_IO_MAGIC && io->depth >= 1 && res <= 0);
	if (io->depth == 1) {
		guard_done(io, res);
		return;
	}
	io->depth--;
	io->frame[io->depth - 1].done(io, res);
}

static void guard_lio_done(struct loop_io *lio, int res)
{
	vol_io_done(vol_io_of(lio), res < 0 ? res : 0);
}

void vol_io_finish(struct vol_chan *chan, struct vol_io *io, int res)
{
	io->lio.done = guard_lio_done;
	loop_io_finish(chan->loop, &io->lio, res);
}

void vol_io_call(struct vol_chan *chan, struct vol_io *io, struct loop_file *file,
	int (*run)(struct loop_io *lio))
{
	loop_io_call(chan->loop, &io->lio, file, run, guard_lio_done);
}

static void guard_check_iov(const struct vol_io *io)
{
	uint64_t sum = 0;

	own_assert(io->iov && io->iovcnt >= 1 && io->iovcnt <= LOOP_IOV_MAX);
	for (unsigned i = 0; i < io->iovcnt; i++)
		sum += io->iov[i].iov_len;
	own_assert(sum == io->len);
	own_assert(!io->buf || io->iovcnt == 1);
	own_assert(!(io->flags & VOL_LEND) ||
		   (io->op == VOL_READ && io->iovcnt == 1 && io->len <= LOOP_BUF_MAX));
}

static void guard_check(const struct guard_chan *g, const struct vol_io *io)
{
	uint64_t high = __atomic_load_n(&g->vol->size_high, __ATOMIC_RELAXED);
	struct loop *self = loop_self();

	own_assert(io->magic == VOL_IO_MAGIC && io->depth == 0 && io->done);
	own_assert(!self || self == g->chan.loop);
	if (io->op == VOL_FLUSH)
		return;
	own_assert(io->len > 0 && !((io->off | io->len) & g->block_mask));
	own_assert(io->len <= high && io->off <= high - io->len);
	if (io->op == VOL_READ || io->op == VOL_WRITE)
		guard_check_iov(io);
	else if (io->op == VOL_EXTENTS)
		own_assert(io->extents && io->extent_max);
}

static void guard_count(struct guard_chan *g, struct vol_io *io)
{
	struct vol_count_chan *c = &g->count;

	hist_bump(&c->inflight, 1);
	hist_bump(&c->counts.ops[io->op], 1);
	hist_bump(&c->counts.bytes[io->op], io->len);
	io->began_ns = 0;
	if (__builtin_expect(c->until-- == 0, 0)) {
		c->until = COUNTS_STRIDE - 1;
		io->began_ns = hist_clock_ns();
	}
	switch (io->op) {
	case VOL_READ:
		stat_add(STAT_vol_reads, 1);
		stat_add(STAT_vol_read_bytes, io->len);
		break;
	case VOL_WRITE:
		stat_add(STAT_vol_writes, 1);
		stat_add(STAT_vol_write_bytes, io->len);
		break;
	case VOL_FLUSH:
		stat_add(STAT_vol_flushes, 1);
		break;
	default:
		stat_add(STAT_vol_others, 1);
	}
}

/* What can be said without asking anyone: 0, or the error. */
static int guard_verdict(const struct guard_chan *g, const struct vol_io *io)
{
	uint64_t size = __atomic_load_n(&g->vol->info.size, __ATOMIC_RELAXED);

	if (g->readonly && guard_changes(io))
		return -EROFS;
	if (io->op != VOL_FLUSH && io->off + io->len > size)
		return -EIO;
	return 0;
}

/* Down the stack. */
static void guard_pass(struct guard_chan *g, struct vol_io *io)
{
	int err = guard_verdict(g, io);

	g->changing += guard_changes(io);
	g->submitting = true;
	if (__builtin_expect(err != 0, 0))
		vol_io_finish(&g->chan, io, err);
	else
		g->chan.below->submit(g->chan.below, io);
	g->submitting = false;
}

void vol_submit(struct vol_chan *chan, struct vol_io *io)
{
	struct guard_chan *g = guard_of(chan);

	own_assert(!chan->part);
	guard_check(g, io);
	guard_count(g, io);
	io->chan = chan;
	io->bounce = NULL;
	io->depth = 1;
	io->extent_count = 0;
	io->cancelled = false;
	if (__builtin_expect(g->hold && guard_changes(io), 0)) {
		io->next = NULL;
		*g->last = io;
		g->last = &io->next;
		return;
	}
	guard_pass(g, io);
}

bool vol_chan_hold(struct vol_chan *chan, struct vol_hold *hold)
{
	struct guard_chan *g = guard_of(chan);

	own_assert(!g->hold && !g->waiting);
	g->hold = hold;
	g->last = &g->waiting;
	return !g->changing;
}

void vol_chan_release(struct vol_chan *chan)
{
	struct guard_chan *g = guard_of(chan);
	struct vol_io *io = g->waiting;

	own_assert(g->hold);
	g->hold = NULL;
	g->waiting = NULL;
	while (io) {
		struct vol_io *next = io->next;

		guard_pass(g, io);
		io = next;
	}
}

void vol_cancel(struct vol_chan *chan, struct vol_io *io)
{
	own_assert(!chan->part && io->depth && io->chan == chan);
	__atomic_store_n(&io->cancelled, true, __ATOMIC_RELAXED);
	for (struct vol_chan *c = chan->below; c; c = c->below)
		if (c->part->ops->cancel)
			c->part->ops->cancel(c);
}

unsigned vol_chan_inflight(const struct vol_chan *chan)
{
	return (unsigned)guard_of(chan)->count.inflight;
}

void vol_chan_lend(struct vol_chan *chan)
{
	struct guard_chan *g = guard_of(chan);

	__atomic_store_n(&g->lent, g->lent + 1, __ATOMIC_RELAXED);
}

void vol_chan_return(struct vol_chan *chan)
{
	struct guard_chan *g = guard_of(chan);

	own_assert(g->lent);
	__atomic_store_n(&g->lent, g->lent - 1, __ATOMIC_RELEASE);
}

unsigned vol_chan_lent(const struct vol_chan *chan)
{
	const struct guard_chan *g = container_of(chan, struct guard_chan, chan);

	return __atomic_load_n(&g->lent, __ATOMIC_ACQUIRE);
}

struct vol *vol_chan_vol(const struct vol_chan *chan)
{
	return guard_of(chan)->vol;
}

/* ---- channels ---- */

static void part_chan_close(struct vol_chan *chan)
{
	if (chan->part->ops->chan_close)
		chan->part->ops->chan_close(chan);
	free(chan);
}

static struct vol_chan *part_chan_open(
	struct vol_part *part, struct vol_chan *below, struct loop *loop, int *err)
{
	struct vol_chan *chan = own_calloc(1, part->ops->chan_size);

	chan->part = part;
	chan->below = below;
	chan->loop = loop;
	chan->submit = below ? part->ops->submit : vol_emulate_submit;
	*err = part->ops->chan_open ? part->ops->chan_open(chan) : 0;
	if (*err) {
		free(chan);
		return NULL;
	}
	return chan;
}

static void stack_close(struct vol_chan *top)
{
	while (top) {
		struct vol_chan *below = top->below;

		part_chan_close(top);
		top = below;
	}
}

/* From the store upwards. */
static struct vol_chan *stack_open(struct vol *vol, struct loop *loop, int *err)
{
	struct vol_chan *top = NULL;

	for (unsigned i = vol->part_count; i-- > 0;) {
		struct vol_chan *chan = part_chan_open(vol->part[i], top, loop, err);

		if (!chan) {
			stack_close(top);
			return NULL;
		}
		top = chan;
	}
	return top;
}

struct vol_chan *vol_chan_open(struct vol *vol, struct loop *loop, int *err)
{
	struct vol_chan *below;
	struct guard_chan *g;

	own_assert(vol->magic == VOL_MAGIC);
	below = stack_open(vol, loop, err);
	if (!below)
		return NULL;
	g = own_calloc(1, sizeof *g);
	g->chan.below = below;
	g->chan.loop = loop;
	g->vol = vol;
	g->block_mask = vol->info.block_size - 1;
	g->readonly = vol->info.readonly;
	counts_join(vol, &g->count);
	__atomic_add_fetch(&vol->chan_count, 1, __ATOMIC_RELAXED);
	return &g->chan;
}

void vol_chan_close(struct vol_chan *chan)
{
	struct guard_chan *g = guard_of(chan);

	own_assert(!chan->part && !g->count.inflight);
	stack_close(chan->below);
	counts_leave(g->vol, &g->count);
	__atomic_sub_fetch(&g->vol->chan_count, 1, __ATOMIC_RELAXED);
	free(g);
}
