// SPDX-License-Identifier: Apache-2.0
/*
 * trouble.c: one line that says what fails, and what to do. What an initiator can cause by itself,
 * or what is over with the next try, is not told.
 */
#include "volume/trouble.h"

#include "common/log.h"
#include "common/own.h"

#include <errno.h>
#include <time.h>

#define TELL_AGAIN_S 60

static const struct trouble_row {
	int err;
	const char *msg, *hint;
} trouble_rows[TROUBLE_KINDS] = {
	{ EIO, "volume: requests fail, medium error",
		"see the kernel's log, and whether the file is as long as the volume" },
	{ ENOSPC, "volume: writes fail, no room",
		"make room in what it lives on, or raise the quota; then they go on by "
		"themselves" },
	{ EROFS, "volume: writes fail, read-only below", "make what it lives on writable again" },
	{ ENODEV, "volume: requests fail, its device is gone",
		"bring the device back; if it has come back under another name, open it again" },
	{ ETIMEDOUT, "volume: requests fail, no answer in time", "see the device below" },
};

static const char *const trouble_ops[VOL_OP_COUNT] = {
	[VOL_READ] = "read",
	[VOL_WRITE] = "write",
	[VOL_FLUSH] = "flush",
	[VOL_TRIM] = "trim",
	[VOL_ZERO] = "zero",
	[VOL_EXTENTS] = "extents",
};

static uint64_t clock_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec + 1;
}

/* Whether this one is told; only one of many threads is. */
static bool trouble_due(struct trouble *t, unsigned kind)
{
	uint64_t now = clock_s(), told = __atomic_load_n(&t->told_s[kind], __ATOMIC_RELAXED);

	return (!told || now - told >= TELL_AGAIN_S) &&
	       __atomic_compare_exchange_n(
		       &t->told_s[kind], &told, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void trouble_tell(struct trouble *t, const char *name, const struct vol_io *io, int err)
{
	unsigned kind = 0;

	while (kind < TROUBLE_KINDS && trouble_rows[kind].err != -err)
		kind++;
	if (kind == TROUBLE_KINDS)
		return;
	if (!trouble_due(t, kind)) {
		__atomic_add_fetch(&t->since[kind], 1, __ATOMIC_RELAXED);
		return;
	}
	log_error(trouble_rows[kind].msg,
		"volume=%s op=%s offset=%llu bytes=%llu untold=%llu hint=\"%s\"", name,
		trouble_ops[io->op], (unsigned long long)io->off, (unsigned long long)io->len,
		(unsigned long long)__atomic_exchange_n(&t->since[kind], 0, __ATOMIC_RELAXED),
		trouble_rows[kind].hint);
}
