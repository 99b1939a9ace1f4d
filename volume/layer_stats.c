// SPDX-License-Identifier: Apache-2.0
/*
 * layer_stats.c: counts requests, bytes, errors and latencies by operation. Each channel counts in
 * a table of its own; a reader sums the tables of the open channels and what closed ones left.
 */
#include "volume/layer_stats.h"

#include "volume/options.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

struct stats_part {
	struct vol_part part;    /* head */
	pthread_mutex_t lock;    /* guards the list and `left` */
	struct list chans;       /* of stats_chan.node */
	struct stats_table left; /* by channels that are closed */
};

struct stats_chan {
	struct vol_chan chan;     /* head */
	struct list node;         /* in the part's list */
	struct stats_table table; /* written by one thread, read by any */
};

static struct stats_part *stats_part(struct vol_part *part)
{
	return container_of(part, struct stats_part, part);
}

static struct stats_chan *stats_chan(struct vol_chan *chan)
{
	return container_of(chan, struct stats_chan, chan);
}

unsigned stats_bucket(uint64_t ns)
{
	unsigned e;

	if (ns < 8)
		return (unsigned)ns;
	e = 63 - (unsigned)__builtin_clzll(ns);
	return (e - 2) * 8 + (unsigned)(ns >> (e - 3) & 7);
}

uint64_t stats_bucket_ns(unsigned bucket)
{
	return bucket < 8 ? bucket : (8ull + bucket % 8) << (bucket / 8 - 1);
}

uint64_t stats_percentile_ns(const struct stats_op *op, unsigned per_mille)
{
	uint64_t want = (op->count * per_mille + 999) / 1000, sum = 0;

	for (unsigned i = 0; i < STATS_BUCKETS && want; i++) {
		sum += op->bucket[i];
		if (sum >= want)
			return stats_bucket_ns(i);
	}
	return op->count ? op->max_ns : 0;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* One writer: no read-modify-write of the bus, only a store that a reader never sees torn. */
static void bump(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void stats_done(struct vol_io *io, int res)
{
	const struct vol_frame *frame = vol_io_frame(io);
	struct stats_op *op = &stats_chan(frame->chan)->table.op[io->op];
	uint64_t ns = clock_ns() - frame->scratch[0];

	bump(&op->count, 1);
	bump(&op->errors, res < 0);
	bump(&op->bytes, io->len);
	bump(&op->total_ns, ns);
	bump(&op->bucket[stats_bucket(ns)], 1);
	if (ns > op->max_ns)
		__atomic_store_n(&op->max_ns, ns, __ATOMIC_RELAXED);
	vol_io_done(io, res);
}

static void stats_submit(struct vol_chan *chan, struct vol_io *io)
{
	vol_io_push(chan, io, stats_done)->scratch[0] = clock_ns();
	vol_io_down(chan, io);
}

/* ---- reading ---- */

static void op_add(struct stats_op *to, const struct stats_op *from)
{
	uint64_t max = __atomic_load_n(&from->max_ns, __ATOMIC_RELAXED);

	to->count += __atomic_load_n(&from->count, __ATOMIC_RELAXED);
	to->errors += __atomic_load_n(&from->errors, __ATOMIC_RELAXED);
	to->bytes += __atomic_load_n(&from->bytes, __ATOMIC_RELAXED);
	to->total_ns += __atomic_load_n(&from->total_ns, __ATOMIC_RELAXED);
	to->max_ns = max > to->max_ns ? max : to->max_ns;
	for (unsigned i = 0; i < STATS_BUCKETS; i++)
		to->bucket[i] += __atomic_load_n(&from->bucket[i], __ATOMIC_RELAXED);
}

static void table_add(struct stats_table *to, const struct stats_table *from)
{
	for (unsigned i = 0; i < VOL_OP_COUNT; i++)
		op_add(&to->op[i], &from->op[i]);
}

bool stats_read(const struct vol *vol, struct stats_table *table)
{
	struct vol_part *part = vol_find_part(vol, &layer_stats_ops);
	struct stats_part *p;

	if (!part)
		return false;
	p = stats_part(part);
	memset(table, 0, sizeof *table);
	pthread_mutex_lock(&p->lock);
	table_add(table, &p->left);
	list_for_each (it, &p->chans)
		table_add(table, &container_of(it, struct stats_chan, node)->table);
	pthread_mutex_unlock(&p->lock);
	return true;
}

/* ---- opening ---- */

static int stats_open(struct vol_part *part, struct vol_setup *setup)
{
	struct stats_part *p = stats_part(part);

	pthread_mutex_init(&p->lock, NULL);
	list_init(&p->chans);
	if (setup->options[strspn(setup->options, " \t")])
		return vol_refuse(setup, -1, "volume %s: layer \"stats\" takes no options",
			setup->conf->name);
	return 0;
}

static void stats_close(struct vol_part *part)
{
	pthread_mutex_destroy(&stats_part(part)->lock);
}

static int stats_chan_open(struct vol_chan *chan)
{
	struct stats_part *p = stats_part(chan->part);

	pthread_mutex_lock(&p->lock);
	list_push(&p->chans, &stats_chan(chan)->node);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void stats_chan_close(struct vol_chan *chan)
{
	struct stats_part *p = stats_part(chan->part);

	pthread_mutex_lock(&p->lock);
	list_del(&stats_chan(chan)->node);
	table_add(&p->left, &stats_chan(chan)->table);
	pthread_mutex_unlock(&p->lock);
}

const struct vol_part_ops layer_stats_ops = {
	.kind = "stats",
	.part_size = sizeof(struct stats_part),
	.chan_size = sizeof(struct stats_chan),
	.open = stats_open,
	.close = stats_close,
	.chan_open = stats_chan_open,
	.chan_close = stats_chan_close,
	.submit = stats_submit,
};
