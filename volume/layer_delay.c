// SPDX-License-Identifier: Apache-2.0
/*
 * layer_delay.c: holds chosen requests for some milliseconds before they go down, each on its loop,
 * in the order of arrival. Like a device that is slow or hangs, it has them for that long, wanted
 * or not.
 *
 * Options: ms=N (needed), op=read,write (any).
 */
#include "common/size.h"
#include "volume/options.h"

#include <errno.h>

#define DELAY_MS_MAX 600000u

struct delay_part {
	struct vol_part part; /* head */
	uint32_t ops;         /* bits of the operations meant */
	uint32_t ms;          /* for how long */
};

struct delay_chan {
	struct vol_chan chan;    /* head */
	struct list held;        /* of io->lio.node, the earliest first */
	struct loop_timer timer; /* for the first of them */
};

static struct delay_part *delay_part(struct vol_part *part)
{
	return container_of(part, struct delay_part, part);
}

static struct delay_chan *delay_chan(struct vol_chan *chan)
{
	return container_of(chan, struct delay_chan, chan);
}

/* ---- options ---- */

static int take_op(struct vol_part *part, const char *value)
{
	return options_ops(value, &delay_part(part)->ops);
}

static int take_ms(struct vol_part *part, const char *value)
{
	uint64_t ms;

	if (size_parse(value, &ms) || !ms || ms > DELAY_MS_MAX)
		return -EINVAL;
	delay_part(part)->ms = (uint32_t)ms;
	return 0;
}

static const struct options_key delay_keys[] = {
	{ "ms", take_ms, "ms=1..600000" },
	{ "op", take_op, "op=read,write,flush,trim,zero,extents or any" },
};

static int delay_open(struct vol_part *part, struct vol_setup *setup)
{
	struct delay_part *d = delay_part(part);

	options_ops("any", &d->ops);
	if (options_parse(setup, part, delay_keys, own_array_len(delay_keys)))
		return -EINVAL;
	if (!d->ms)
		return vol_refuse(
			setup, -EINVAL, "volume %s: layer \"delay\" needs ms=N", setup->conf->name);
	return 0;
}

/* ---- requests ---- */

/* While held, when a request is due is kept in the store's scratch: it is not below yet. */
static uint64_t *delay_due(struct vol_io *io)
{
	return &io->scratch[0];
}

static struct vol_io *delay_first(struct delay_chan *d)
{
	return list_empty(&d->held) ? NULL : container_of(d->held.next, struct vol_io, lio.node);
}

static void delay_arm(struct delay_chan *d)
{
	struct vol_io *io = delay_first(d);
	uint64_t now = loop_now_ns(d->chan.loop);

	if (io)
		loop_timer_set(d->chan.loop, &d->timer,
			*delay_due(io) > now ? (uint32_t)((*delay_due(io) - now + 999999) / 1000000)
					     : 1);
}

static void delay_run(struct loop_timer *timer)
{
	struct delay_chan *d = container_of(timer, struct delay_chan, timer);
	uint64_t now = loop_now_ns(d->chan.loop);
	struct vol_io *io;

	while ((io = delay_first(d)) && *delay_due(io) <= now) {
		list_del(&io->lio.node);
		vol_io_down(&d->chan, io);
	}
	delay_arm(d);
}

static void delay_submit(struct vol_chan *chan, struct vol_io *io)
{
	const struct delay_part *p = delay_part(chan->part);
	struct delay_chan *d = delay_chan(chan);
	bool first = list_empty(&d->held);

	if (!(p->ops >> io->op & 1)) {
		vol_io_down(chan, io);
		return;
	}
	*delay_due(io) = loop_now_ns(chan->loop) + p->ms * 1000000ull;
	list_push(&d->held, &io->lio.node);
	if (first)
		delay_arm(d);
}

static int delay_chan_open(struct vol_chan *chan)
{
	struct delay_chan *d = delay_chan(chan);

	list_init(&d->held);
	loop_timer_init(&d->timer, delay_run);
	return 0;
}

static void delay_chan_close(struct vol_chan *chan)
{
	struct delay_chan *d = delay_chan(chan);

	own_assert(list_empty(&d->held));
	loop_timer_cancel(chan->loop, &d->timer);
}

const struct vol_part_ops layer_delay_ops = {
	.kind = "delay",
	.part_size = sizeof(struct delay_part),
	.chan_size = sizeof(struct delay_chan),
	.open = delay_open,
	.chan_open = delay_chan_open,
	.chan_close = delay_chan_close,
	.submit = delay_submit,
};
