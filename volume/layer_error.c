// SPDX-License-Identifier: Apache-2.0
/*
 * layer_error.c: fails chosen requests before they reach the store: for tests, and for showing what
 * initiators do then. The same requests in the same order give the same failures.
 *
 * Options: op=read,write (any), errno=EIO, off= and len= (requests that touch the range), after=N
 * (the first N pass), rate=1/N (every Nth fails), count=N (at most N fail).
 */
#include "common/size.h"
#include "volume/options.h"

#include <errno.h>
#include <string.h>

struct error_part {
	struct vol_part part; /* head */
	uint32_t ops;         /* bits of the operations meant */
	int err;              /* the answer, negative */
	uint64_t off, len;    /* the range meant */
	uint64_t after;       /* requests that pass first */
	uint64_t rate;        /* of so many, the last fails */
	uint64_t count;       /* failures at most */
	uint64_t seen;        /* requests meant so far; atomic */
	uint64_t failed;      /* failures so far; atomic */
};

static struct error_part *error_part(struct vol_part *part)
{
	return container_of(part, struct error_part, part);
}

/* ---- options ---- */

static int take_op(struct vol_part *part, const char *value)
{
	return options_ops(value, &error_part(part)->ops);
}

static int take_errno(struct vol_part *part, const char *value)
{
	static const struct {
		const char *name;
		int err;
	} rows[] = {
		{ "EIO", EIO },
		{ "ENOSPC", ENOSPC },
		{ "EROFS", EROFS },
		{ "ENODEV", ENODEV },
		{ "ENOMEM", ENOMEM },
		{ "ETIMEDOUT", ETIMEDOUT },
		{ "ECANCELED", ECANCELED },
		{ "EOPNOTSUPP", EOPNOTSUPP },
	};

	for (size_t i = 0; i < own_array_len(rows); i++) {
		if (!strcmp(rows[i].name, value)) {
			error_part(part)->err = -rows[i].err;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_off(struct vol_part *part, const char *value)
{
	return size_parse(value, &error_part(part)->off);
}

static int take_len(struct vol_part *part, const char *value)
{
	return size_parse(value, &error_part(part)->len);
}

static int take_after(struct vol_part *part, const char *value)
{
	return size_parse(value, &error_part(part)->after);
}

static int take_rate(struct vol_part *part, const char *value)
{
	struct error_part *e = error_part(part);

	if (strncmp(value, "1/", 2) || size_parse(value + 2, &e->rate) || !e->rate)
		return -EINVAL;
	return 0;
}

static int take_count(struct vol_part *part, const char *value)
{
	return size_parse(value, &error_part(part)->count);
}

static const struct options_key error_keys[] = {
	{ "op", take_op, "op=read,write,flush,trim,zero,extents or any" },
	{ "errno", take_errno, "errno=EIO,ENOSPC.." },
	{ "off", take_off, "off=BYTES" },
	{ "len", take_len, "len=BYTES" },
	{ "after", take_after, "after=N" },
	{ "rate", take_rate, "rate=1/N" },
	{ "count", take_count, "count=N" },
};

static int error_open(struct vol_part *part, struct vol_setup *setup)
{
	struct error_part *e = error_part(part);

	options_ops("any", &e->ops);
	e->err = -EIO;
	e->len = UINT64_MAX;
	e->rate = 1;
	e->count = UINT64_MAX;
	return options_parse(setup, part, error_keys, own_array_len(error_keys));
}

/* ---- requests ---- */

/* A flush touches every range. */
static bool error_meant(const struct error_part *e, const struct vol_io *io)
{
	if (!(e->ops >> io->op & 1))
		return false;
	if (io->op == VOL_FLUSH)
		return true;
	return io->off + io->len > e->off && (io->off < e->off || io->off - e->off < e->len);
}

static bool error_strikes(struct error_part *e)
{
	uint64_t n = __atomic_add_fetch(&e->seen, 1, __ATOMIC_RELAXED);

	if (n <= e->after || (n - e->after) % e->rate)
		return false;
	return __atomic_add_fetch(&e->failed, 1, __ATOMIC_RELAXED) <= e->count;
}

static void error_submit(struct vol_chan *chan, struct vol_io *io)
{
	struct error_part *e = error_part(chan->part);

	if (error_meant(e, io) && error_strikes(e))
		vol_io_finish(chan, io, e->err);
	else
		vol_io_down(chan, io);
}

const struct vol_part_ops layer_error_ops = {
	.kind = "error",
	.part_size = sizeof(struct error_part),
	.chan_size = sizeof(struct vol_chan),
	.open = error_open,
	.submit = error_submit,
};
