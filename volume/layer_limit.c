// SPDX-License-Identifier: Apache-2.0
/*
 * layer_limit.c: holds requests back that come faster than the volume may be used.
 *
 * Each limit is a moment: when, at this rate, what was let through would have been through. A
 * request goes on when that moment is not in the future, and moves it by what it costs; while
 * nobody waits that is one atomic step on any loop. Who cannot go on is posted to one loop, the
 * home, where the requests of each origin are a flow. The home lets that flow go on that has had
 * least (virtual time: what its requests cost, counted from when it began to wait), and posts the
 * request back. So many loops and many sessions share fairly, and in the order of arrival each.
 *
 * Options: iops= bytes= read_iops= read_bytes= write_iops= write_bytes= (a second), burst_ms=N.
 */
#include "volume/layer_limit.h"

#include "common/size.h"
#include "volume/options.h"

#include <errno.h>
#include <string.h>

#define FLOWS    64u          /* origins told apart; more share one's turn */
#define ROUND_NS (1ull << 23) /* how often the home looks again: a tick of the timers */
#define SECOND   1000000000ull

enum limit_dir { DIR_READ, DIR_WRITE, DIRS };

/* io->scratch while a request is here; it is not with the store yet */
enum { AT_CHAN, AT_SEQ };

struct limit_bucket {
	uint64_t rate; /* a second; 0: no limit; atomic */
	uint64_t full; /* ns: everything let through would be through now; atomic */
};

struct limit_flow {
	struct list node;        /* in `backlog` while any of its requests waits */
	struct list queue[DIRS]; /* of io->lio.node, the oldest first; a flush is with the writes */
	uint64_t vtime;          /* ns: what it has had */
	uint64_t round;          /* the round in which it had `got` */
	uint64_t got;            /* ns */
};

struct limit_part {
	struct vol_part part; /* head */
	struct limit_bucket bucket[LIMIT_RATES];
	uint64_t burst_ns; /* atomic */
	bool limited;      /* any rate is set; atomic */
	unsigned waiting;  /* requests at home or on the way there or back; atomic */
	struct loop *home; /* the loop of the first channel; atomic, set once */
	/* -- the home's -- */
	struct list backlog; /* of limit_flow.node */
	unsigned backlogged; /* flows there */
	uint64_t vtime;      /* of the flow that was let on last */
	uint64_t seq;        /* requests that came */
	struct loop_timer timer;
	struct limit_flow flow[FLOWS];
};

struct limit_chan {
	struct vol_chan chan;   /* head */
	unsigned away;          /* of its requests, how many count in `waiting` */
	struct loop_post sweep; /* to the home, which gives cancelled ones back, and to us again */
	bool sweeping;          /* it is on its way */
	bool again;             /* and has to go once more */
	struct list parked;     /* of io->lio.node: came back meanwhile */
};

static struct limit_part *limit_part(struct vol_part *part)
{
	return container_of(part, struct limit_part, part);
}

static struct limit_chan *limit_chan(struct vol_chan *chan)
{
	return container_of(chan, struct limit_chan, chan);
}

static struct loop *limit_home(const struct limit_part *p)
{
	return __atomic_load_n(&p->home, __ATOMIC_ACQUIRE);
}

/* ---- options ---- */

static int take_rate(struct vol_part *part, enum limit_rate which, const char *value)
{
	uint64_t rate;

	if (size_parse(value, &rate) || rate > LIMIT_RATE_MAX)
		return -EINVAL;
	limit_part(part)->bucket[which].rate = rate;
	return 0;
}

#define TAKE_RATE(name, which)                                                                     \
	static int take_##name(struct vol_part *part, const char *value)                           \
	{                                                                                          \
		return take_rate(part, which, value);                                              \
	}
TAKE_RATE(iops, LIMIT_IOPS)
TAKE_RATE(bytes, LIMIT_BYTES)
TAKE_RATE(read_iops, LIMIT_READ_IOPS)
TAKE_RATE(read_bytes, LIMIT_READ_BYTES)
TAKE_RATE(write_iops, LIMIT_WRITE_IOPS)
TAKE_RATE(write_bytes, LIMIT_WRITE_BYTES)
#undef TAKE_RATE

static int take_burst_ms(struct vol_part *part, const char *value)
{
	uint64_t ms;

	if (size_parse(value, &ms) || ms < LIMIT_BURST_MS_MIN || ms > LIMIT_BURST_MS_MAX)
		return -EINVAL;
	limit_part(part)->burst_ns = ms * 1000000;
	return 0;
}

static const struct options_key limit_keys[] = {
	{ "iops", take_iops, "iops=N" },
	{ "bytes", take_bytes, "bytes=N" },
	{ "read_iops", take_read_iops, "read_iops=N" },
	{ "read_bytes", take_read_bytes, "read_bytes=N" },
	{ "write_iops", take_write_iops, "write_iops=N" },
	{ "write_bytes", take_write_bytes, "write_bytes=N (a second, at most 16G)" },
	{ "burst_ms", take_burst_ms, "burst_ms=20..60000" },
};

static int limit_parse(struct vol_part *part, struct vol_setup *setup)
{
	struct limit_part *p = limit_part(part);

	p->burst_ns = LIMIT_BURST_MS * 1000000ull;
	return options_parse(setup, part, limit_keys, own_array_len(limit_keys));
}

static int limit_open(struct vol_part *part, struct vol_setup *setup)
{
	struct limit_part *p = limit_part(part);

	if (limit_parse(part, setup))
		return -EINVAL;
	for (unsigned i = 0; i < LIMIT_RATES; i++)
		p->limited |= p->bucket[i].rate != 0;
	list_init(&p->backlog);
	for (unsigned i = 0; i < FLOWS; i++) {
		list_init(&p->flow[i].node);
		list_init(&p->flow[i].queue[DIR_READ]);
		list_init(&p->flow[i].queue[DIR_WRITE]);
	}
	return 0;
}

/* ---- the budget ---- */

/* The limits that a direction is under. */
static const uint8_t limit_rates_of[DIRS][4] = {
	[DIR_READ] = { LIMIT_IOPS, LIMIT_BYTES, LIMIT_READ_IOPS, LIMIT_READ_BYTES },
	[DIR_WRITE] = { LIMIT_IOPS, LIMIT_BYTES, LIMIT_WRITE_IOPS, LIMIT_WRITE_BYTES },
};

static enum limit_dir limit_dir(const struct vol_io *io)
{
	return io->op == VOL_READ ? DIR_READ : DIR_WRITE;
}

/* What a request takes of a limit, as the time in which it would be earned. Bytes are those that
 * move: TRIM and ZERO have none. */
static uint64_t bucket_cost(const struct vol_io *io, unsigned which, uint64_t rate)
{
	bool bytes = which & 1;
	uint64_t n = !bytes ? 1 : io->op == VOL_READ || io->op == VOL_WRITE ? io->len : 0;

	return n / rate * SECOND + n % rate * SECOND / rate;
}

/* Where a limit stands: never further back than what may be kept. */
static uint64_t bucket_from(uint64_t full, uint64_t now, uint64_t burst)
{
	uint64_t floor = now > burst ? now - burst : 0;

	return full > floor ? full : floor;
}

/* Whether none of its limits is overdrawn. */
static bool limit_open_for(struct limit_part *p, const struct vol_io *io, uint64_t now)
{
	const uint8_t *rates = limit_rates_of[limit_dir(io)];

	if (io->op == VOL_FLUSH)
		return true;
	for (unsigned i = 0; i < 4; i++) {
		const struct limit_bucket *b = &p->bucket[rates[i]];

		if (__atomic_load_n(&b->rate, __ATOMIC_RELAXED) &&
			__atomic_load_n(&b->full, __ATOMIC_RELAXED) > now)
			return false;
	}
	return true;
}

/* The dearest of what it takes. */
static uint64_t limit_cost(const struct limit_part *p, const struct vol_io *io)
{
	const uint8_t *rates = limit_rates_of[limit_dir(io)];
	uint64_t most = 0;

	for (unsigned i = 0; i < 4 && io->op != VOL_FLUSH; i++) {
		uint64_t rate = __atomic_load_n(&p->bucket[rates[i]].rate, __ATOMIC_RELAXED);
		uint64_t cost = rate ? bucket_cost(io, rates[i], rate) : 0;

		most = cost > most ? cost : most;
	}
	return most;
}

static void bucket_charge(struct limit_bucket *b, uint64_t cost, uint64_t now, uint64_t burst)
{
	uint64_t full = __atomic_load_n(&b->full, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&b->full, &full, bucket_from(full, now, burst) + cost,
		true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void limit_charge(struct limit_part *p, const struct vol_io *io, uint64_t now)
{
	const uint8_t *rates = limit_rates_of[limit_dir(io)];
	uint64_t burst = __atomic_load_n(&p->burst_ns, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < 4 && io->op != VOL_FLUSH; i++) {
		struct limit_bucket *b = &p->bucket[rates[i]];
		uint64_t rate = __atomic_load_n(&b->rate, __ATOMIC_RELAXED);

		if (rate)
			bucket_charge(b, bucket_cost(io, rates[i], rate), now, burst);
	}
}

/* ---- on the way back ---- */

static struct limit_chan *chan_of(const struct vol_io *io)
{
	return (struct limit_chan *)(uintptr_t)io->scratch[AT_CHAN];
}

static struct vol_io *io_of_post(struct loop_post *post)
{
	return vol_io_of(container_of(post, struct loop_io, post));
}

static struct vol_io *io_of_node(struct list *node)
{
	return vol_io_of(container_of(node, struct loop_io, node));
}

static bool limit_cancelled(const struct vol_io *io)
{
	return __atomic_load_n(&io->cancelled, __ATOMIC_RELAXED);
}

static void limit_go(struct limit_chan *c, struct vol_io *io)
{
	struct limit_part *p = limit_part(c->chan.part);

	c->away--;
	__atomic_sub_fetch(&p->waiting, 1, __ATOMIC_RELAXED);
	if (limit_cancelled(io))
		vol_io_done(io, -ECANCELED);
	else
		vol_io_down(&c->chan, io);
}

/* While a sweep is under way the channel may not be closed, so something has to be in flight. */
static void limit_back(struct loop_post *post)
{
	struct vol_io *io = io_of_post(post);
	struct limit_chan *c = chan_of(io);

	if (c->sweeping)
		list_push(&c->parked, &io->lio.node);
	else
		limit_go(c, io);
}

static void limit_send_back(struct vol_io *io)
{
	io->lio.post.run = limit_back;
	loop_post(chan_of(io)->chan.loop, &io->lio.post);
}

/* ---- at home ---- */

static struct limit_flow *flow_of(struct limit_part *p, const struct vol_io *io)
{
	return &p->flow[io->origin * 0x9e3779b97f4a7c15ull >> 58];
}

static bool flow_empty(const struct limit_flow *f)
{
	return list_empty(&f->queue[DIR_READ]) && list_empty(&f->queue[DIR_WRITE]);
}

static struct vol_io *flow_head(struct limit_flow *f, enum limit_dir dir)
{
	return list_empty(&f->queue[dir]) ? NULL : io_of_node(f->queue[dir].next);
}

/* The older of its requests that could go on, or NULL. */
static struct vol_io *flow_ready(struct limit_part *p, struct limit_flow *f, uint64_t now)
{
	struct vol_io *r = flow_head(f, DIR_READ), *w = flow_head(f, DIR_WRITE);

	if (r && !limit_open_for(p, r, now))
		r = NULL;
	if (w && !limit_open_for(p, w, now))
		w = NULL;
	if (r && w)
		return r->scratch[AT_SEQ] < w->scratch[AT_SEQ] ? r : w;
	return r ? r : w;
}

static void flow_remove(struct limit_part *p, struct limit_flow *f, struct vol_io *io)
{
	list_del(&io->lio.node);
	if (!flow_empty(f))
		return;
	list_del(&f->node);
	list_init(&f->node);
	p->backlogged--;
}

/* Lets the request on. */
static void flow_serve(struct limit_part *p, struct limit_flow *f, struct vol_io *io, uint64_t now)
{
	uint64_t cost = limit_cost(p, io), round = now / ROUND_NS;

	limit_charge(p, io, now);
	flow_remove(p, f, io);
	if (f->round != round)
		f->got = 0;
	f->round = round;
	f->got += cost;
	p->vtime = f->vtime > p->vtime ? f->vtime : p->vtime;
	f->vtime += cost;
	limit_send_back(io);
}

/* Of the flows that could go on, that which has had least. One that could not is not owed what it
 * could not have. */
static struct limit_flow *flow_next(struct limit_part *p, uint64_t now, struct vol_io **io)
{
	struct limit_flow *best = NULL;

	list_for_each (it, &p->backlog) {
		struct limit_flow *f = container_of(it, struct limit_flow, node);
		struct vol_io *ready = flow_ready(p, f, now);

		if (!ready && f->vtime < p->vtime)
			f->vtime = p->vtime;
		if (!ready || (best && best->vtime <= f->vtime))
			continue;
		best = f;
		*io = ready;
	}
	return best;
}

static void limit_deal(struct limit_part *p)
{
	uint64_t now = loop_now_ns(limit_home(p));
	struct limit_flow *f;
	struct vol_io *io;

	while ((f = flow_next(p, now, &io)))
		flow_serve(p, f, io, now);
	if (!p->backlogged)
		loop_timer_cancel(limit_home(p), &p->timer);
	else if (!p->timer.due_ns)
		loop_timer_set(limit_home(p), &p->timer, 1);
}

static void limit_tick(struct loop_timer *timer)
{
	limit_deal(container_of(timer, struct limit_part, timer));
}

/*
 * Who sends one request after the other never has a second one waiting when the home looks: it
 * would have one a tick. So it goes on at once, on the others' account of this round, as long as
 * it has had less than its share of the round.
 */
static bool flow_modest(const struct limit_part *p, const struct limit_flow *f,
	const struct vol_io *io, uint64_t now)
{
	uint64_t got = f->round == now / ROUND_NS ? f->got : 0;

	return got + limit_cost(p, io) <= ROUND_NS / p->backlogged;
}

static void limit_arrive(struct loop_post *post)
{
	struct vol_io *io = io_of_post(post);
	struct limit_part *p = limit_part(chan_of(io)->chan.part);
	struct limit_flow *f = flow_of(p, io);
	uint64_t now = loop_now_ns(limit_home(p));
	bool alone = flow_empty(f);

	if (limit_cancelled(io)) {
		limit_send_back(io);
		return;
	}
	io->scratch[AT_SEQ] = p->seq++;
	list_push(&f->queue[limit_dir(io)], &io->lio.node);
	if (alone) {
		list_push(&p->backlog, &f->node);
		p->backlogged++;
		f->vtime = f->vtime > p->vtime ? f->vtime : p->vtime;
	}
	if (alone && p->backlogged > 1 && flow_modest(p, f, io, now))
		flow_serve(p, f, io, now);
	else
		limit_deal(p);
}

/* ---- cancelling ---- */

static void queue_sweep(struct limit_part *p, struct limit_flow *f, struct list *queue)
{
	list_for_each_safe (it, queue) {
		struct vol_io *io = io_of_node(it);

		if (!limit_cancelled(io))
			continue;
		flow_remove(p, f, io);
		limit_send_back(io);
	}
}

static void sweep_back(struct loop_post *post)
{
	struct limit_chan *c = container_of(post, struct limit_chan, sweep);
	struct list parked, *it;

	list_init(&parked);
	list_splice(&parked, &c->parked);
	c->sweeping = false;
	if (c->again)
		c->chan.part->ops->cancel(&c->chan);
	while ((it = list_pop(&parked)))
		limit_back(&io_of_node(it)->lio.post);
}

/* Every request of this channel that was marked before is here by now, or on its way back. */
static void sweep_home(struct loop_post *post)
{
	struct limit_chan *c = container_of(post, struct limit_chan, sweep);
	struct limit_part *p = limit_part(c->chan.part);

	for (unsigned i = 0; i < FLOWS; i++)
		for (unsigned dir = 0; dir < DIRS; dir++)
			queue_sweep(p, &p->flow[i], &p->flow[i].queue[dir]);
	limit_deal(p);
	c->sweep.run = sweep_back;
	loop_post(c->chan.loop, &c->sweep);
}

static void limit_cancel(struct vol_chan *chan)
{
	struct limit_chan *c = limit_chan(chan);
	struct limit_part *p = limit_part(chan->part);

	c->again = c->sweeping;
	if (!c->away || c->sweeping)
		return;
	c->sweeping = true;
	c->sweep.run = sweep_home;
	loop_post(limit_home(p), &c->sweep);
}

/* ---- requests ---- */

static void limit_send_home(struct limit_chan *c, struct vol_io *io)
{
	struct limit_part *p = limit_part(c->chan.part);

	c->away++;
	__atomic_add_fetch(&p->waiting, 1, __ATOMIC_RELAXED);
	io->scratch[AT_CHAN] = (uintptr_t)c;
	io->lio.post.run = limit_arrive;
	loop_post(limit_home(p), &io->lio.post);
}

/* Whether it goes straight on. What an initiator sent first goes first. */
static bool limit_passes(struct limit_part *p, const struct limit_chan *c, const struct vol_io *io)
{
	uint64_t now;

	if (io->op == VOL_EXTENTS || (!c->away && io->op == VOL_FLUSH))
		return true;
	if (c->away || __atomic_load_n(&p->waiting, __ATOMIC_RELAXED))
		return false;
	now = loop_now_ns(c->chan.loop);
	if (!limit_open_for(p, io, now))
		return false;
	limit_charge(p, io, now);
	return true;
}

static void limit_submit(struct vol_chan *chan, struct vol_io *io)
{
	struct limit_part *p = limit_part(chan->part);
	struct limit_chan *c = limit_chan(chan);

	if ((!__atomic_load_n(&p->limited, __ATOMIC_RELAXED) && !c->away) || limit_passes(p, c, io))
		vol_io_down(chan, io);
	else
		limit_send_home(c, io);
}

/* The home is a loop that runs as long as any channel is open, whichever. */
static int limit_chan_open(struct vol_chan *chan)
{
	struct limit_part *p = limit_part(chan->part);
	struct loop *none = NULL;

	list_init(&limit_chan(chan)->parked);
	if (!limit_home(p) && __atomic_compare_exchange_n(&p->home, &none, chan->loop, false,
				      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		loop_timer_init(&p->timer, limit_tick);
	return 0;
}

static void limit_chan_close(struct vol_chan *chan)
{
	own_assert(!limit_chan(chan)->away && !limit_chan(chan)->sweeping);
}

/* ---- changing ---- */

static void limit_publish(struct limit_part *p, const struct limit_conf *conf)
{
	bool limited = false;

	__atomic_store_n(&p->burst_ns, conf->burst_ms * 1000000ull, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < LIMIT_RATES; i++) {
		/* What was overdrawn at the old rate would be a debt of another size now. */
		if (__atomic_exchange_n(&p->bucket[i].rate, conf->rate[i], __ATOMIC_RELAXED) !=
			conf->rate[i])
			__atomic_store_n(&p->bucket[i].full, 0, __ATOMIC_RELAXED);
		limited |= conf->rate[i] != 0;
	}
	__atomic_store_n(&p->limited, limited, __ATOMIC_RELAXED);
}

static void limit_read(const struct limit_part *p, struct limit_conf *conf)
{
	for (unsigned i = 0; i < LIMIT_RATES; i++)
		conf->rate[i] = __atomic_load_n(&p->bucket[i].rate, __ATOMIC_RELAXED);
	conf->burst_ms = (uint32_t)(__atomic_load_n(&p->burst_ns, __ATOMIC_RELAXED) / 1000000);
}

int limit_set(struct vol *vol, const struct limit_conf *conf)
{
	struct vol_part *part = vol_find_part(vol, &layer_limit_ops);

	own_assert(conf->burst_ms >= LIMIT_BURST_MS_MIN && conf->burst_ms <= LIMIT_BURST_MS_MAX);
	if (!part)
		return -ENOTSUP;
	limit_publish(limit_part(part), conf);
	return 0;
}

int limit_set_text(struct vol *vol, const char *options, char *why, size_t why_len)
{
	const struct vol_conf named = { .name = vol_name(vol) };
	struct vol_setup setup = {
		.conf = &named, .options = options, .why = why, .why_len = why_len
	};
	own_free struct limit_part *read = own_calloc(1, sizeof *read);
	struct limit_conf conf;

	read->part.ops = &layer_limit_ops;
	if (!vol_find_part(vol, &layer_limit_ops))
		return vol_refuse(&setup, -ENOTSUP,
			"volume %s: it has no layer \"limit\"; give it one, with empty options if "
			"it is not to be limited yet, and open it again",
			named.name);
	if (limit_parse(&read->part, &setup))
		return -EINVAL;
	limit_read(read, &conf);
	return limit_set(vol, &conf);
}

int limit_get(const struct vol *vol, struct limit_conf *conf)
{
	struct vol_part *part = vol_find_part(vol, &layer_limit_ops);

	if (!part)
		return -ENOTSUP;
	limit_read(limit_part(part), conf);
	return 0;
}

unsigned limit_waiting(const struct vol *vol)
{
	struct vol_part *part = vol_find_part(vol, &layer_limit_ops);

	return part ? __atomic_load_n(&limit_part(part)->waiting, __ATOMIC_RELAXED) : 0;
}

const struct vol_part_ops layer_limit_ops = {
	.kind = "limit",
	.part_size = sizeof(struct limit_part),
	.chan_size = sizeof(struct limit_chan),
	.open = limit_open,
	.chan_open = limit_chan_open,
	.chan_close = limit_chan_close,
	.submit = limit_submit,
	.cancel = limit_cancel,
};
