/* SPDX-License-Identifier: Apache-2.0 */
/* opts.c: the command line of the generator; one row per option. */
#include "tests/bench/opts.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum opt_kind { OPT_TEXT, OPT_UINT, OPT_SIZE, OPT_SIZE32, OPT_SECONDS, OPT_FLAG, OPT_YESNO };

struct opt_row {
	const char *name;
	enum opt_kind kind;
	size_t at;        /* offset in struct opts */
	const char *help; /* one line */
};

#define ROW(name, kind, field, help)                                                               \
	{                                                                                          \
		name, kind, offsetof(struct opts, field), help                                     \
	}

static const struct opt_row rows[] = {
	ROW("target", OPT_TEXT, target, "target name"),
	ROW("initiator", OPT_TEXT, initiator, "name of the generator"),
	ROW("lun", OPT_UINT, lun, "LUN [0]"),
	ROW("block-size", OPT_SIZE, block_bytes, "bytes per command [4k]"),
	ROW("range", OPT_SIZE, range_bytes, "bytes of the disk to use [all]"),
	ROW("depth", OPT_UINT, depth, "commands in flight per session [32]"),
	ROW("sessions", OPT_UINT, sessions, "sessions [1]"),
	ROW("threads", OPT_UINT, threads, "generator threads that share the sessions [1]"),
	ROW("read-percent", OPT_UINT, read_pct, "reads among 100 commands [100]"),
	ROW("sequential", OPT_FLAG, sequential, "in order instead of at random"),
	ROW("cdb16", OPT_FLAG, cdb16, "READ(16) and WRITE(16) always"),
	ROW("time", OPT_SECONDS, seconds, "seconds measured [2]"),
	ROW("warmup", OPT_SECONDS, warmup, "seconds before that [0.2]"),
	ROW("patience", OPT_SECONDS, patience, "seconds without an answer that mean failure [10]"),
	ROW("fill", OPT_FLAG, fill, "write the whole range first"),
	ROW("verify", OPT_FLAG, verify, "stamp every 512 bytes and check what is read"),
	ROW("seed", OPT_SIZE, seed, "seed of places and stamps [from the clock]"),
	ROW("pid", OPT_UINT, pid, "the target's process, to account its CPU time"),
	ROW("spin", OPT_FLAG, spin, "never sleep, so that the target never has to wake us"),
	ROW("json", OPT_FLAG, json, "report as JSON"),
	ROW("header-digest", OPT_FLAG, header_digest, "ask for header digests"),
	ROW("data-digest", OPT_FLAG, data_digest, "ask for data digests"),
	ROW("immediate", OPT_YESNO, immediate, "ask for ImmediateData=yes|no [yes]"),
	ROW("initial-r2t", OPT_YESNO, initial_r2t, "ask for InitialR2T=yes|no [no]"),
	ROW("max-recv", OPT_SIZE32, max_recv, "our MaxRecvDataSegmentLength [256k]"),
	ROW("max-burst", OPT_SIZE32, max_burst, "MaxBurstLength to ask for [16776192]"),
	ROW("first-burst", OPT_SIZE32, first_burst, "FirstBurstLength to ask for [256k]"),
	ROW("max-r2t", OPT_UINT, max_r2t, "MaxOutstandingR2T to ask for [8]"),
};

#define NROWS (sizeof rows / sizeof rows[0])

static const struct opts defaults = {
	.port = "3260",
	.initiator = "iqn.2026-11.kura.bench:generator",
	.block_bytes = 4096,
	.depth = 32,
	.sessions = 1,
	.threads = 1,
	.read_pct = 100,
	.seconds = 2,
	.warmup = 0.2,
	.patience = 10,
	.immediate = true,
	.max_recv = 262144,
	.max_burst = 16776192,
	.first_burst = 262144,
	.max_r2t = 8,
};

static void usage(void)
{
	puts("usage: kura-bench --portal HOST:PORT --target NAME [options]\n"
	     "  --portal         where the target listens; [address]:port for IPv6");
	for (size_t i = 0; i < NROWS; i++)
		printf("  --%-14s %s\n", rows[i].name, rows[i].help);
}

static int parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "kmgt";
	const char *unit;
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		return -EINVAL;
	if (!*end)
		return 0;
	unit = strchr(units, *end | 0x20);
	if (!unit || end[1])
		return -EINVAL;
	*out <<= 10 * (unit - units + 1);
	return 0;
}

static int parse_seconds(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end == text || *end || *out < 0 || *out > 1e6 ? -EINVAL : 0;
}

static int parse_yesno(const char *text, bool *out)
{
	*out = strcmp(text, "yes") == 0;
	return *out || strcmp(text, "no") == 0 ? 0 : -EINVAL;
}

static int opt_set(const struct opt_row *row, void *field, const char *text)
{
	uint64_t n;

	switch (row->kind) {
	case OPT_TEXT:
		*(const char **)field = text;
		return 0;
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_YESNO:
		return parse_yesno(text, field);
	case OPT_SECONDS:
		return parse_seconds(text, field);
	case OPT_SIZE:
		return parse_size(text, field);
	case OPT_UINT:
	case OPT_SIZE32:
		if (parse_size(text, &n) || n > INT32_MAX)
			return -EINVAL;
		*(uint32_t *)field = (uint32_t)n;
		return 0;
	}
	return -EINVAL;
}

/* HOST:PORT, [HOST]:PORT or HOST. */
static int parse_portal(struct opts *o, const char *text)
{
	const char *end = text + strlen(text);
	const char *colon = strrchr(text, ':');
	int n;

	if (*text == '[') {
		end = strchr(++text, ']');
		colon = end && end[1] == ':' ? end + 1 : NULL;
	} else if (colon) {
		end = colon;
	}
	if (!end || end == text)
		return -EINVAL;
	n = snprintf(o->host, sizeof o->host, "%.*s", (int)(end - text), text);
	if (n >= (int)sizeof o->host)
		return -EINVAL;
	if (colon && snprintf(o->port, sizeof o->port, "%s", colon + 1) >= (int)sizeof o->port)
		return -EINVAL;
	return 0;
}

static int refuse(const char *what, const char *value)
{
	fprintf(stderr, "kura-bench: %s%s%s (--help lists the options)\n", what, value ? ": " : "",
		value ? value : "");
	return -EINVAL;
}

static int opts_check(const struct opts *o)
{
	if (!o->host[0] || !o->target)
		return refuse("--portal and --target are needed", NULL);
	if (!o->block_bytes || o->block_bytes % 512 || o->block_bytes > 16 << 20)
		return refuse("--block-size is a multiple of 512, at most 16m", NULL);
	if (!o->depth || o->depth > 4096)
		return refuse("--depth is 1 to 4096", NULL);
	if (!o->threads || o->sessions < o->threads || o->sessions > 1024)
		return refuse("--sessions is 1 to 1024, at least one per thread", NULL);
	if (o->read_pct > 100)
		return refuse("--read-percent is 0 to 100", NULL);
	if (o->lun > 16383)
		return refuse("--lun is 0 to 16383", NULL);
	if (o->max_recv < 512 || o->max_burst < 512 || o->first_burst < 512 || !o->max_r2t)
		return refuse("a length is 512 at least, --max-r2t 1 at least", NULL);
	return 0;
}

static int opt_apply(struct opts *o, const char *name, const char *value, int *used)
{
	if (strcmp(name, "portal") == 0)
		return *used = 2, value ? parse_portal(o, value) : -EINVAL;
	for (size_t i = 0; i < NROWS; i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		*used = rows[i].kind == OPT_FLAG ? 1 : 2;
		if (*used == 2 && !value)
			return -EINVAL;
		return opt_set(&rows[i], (char *)o + rows[i].at, value);
	}
	return -EINVAL;
}

int opts_parse(struct opts *o, int argc, char **argv)
{
	int used = 0;

	*o = defaults;
	for (int i = 1; i < argc; i += used) {
		const char *name = argv[i];

		if (strcmp(name, "--help") == 0)
			return usage(), 1;
		if (strncmp(name, "--", 2) != 0 || opt_apply(o, name + 2, argv[i + 1], &used))
			return refuse("not understood", name);
	}
	return opts_check(o);
}
