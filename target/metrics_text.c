// SPDX-License-Identifier: Apache-2.0
/*
 * One function per family: all samples of a family stand together behind its HELP and TYPE. Units
 * are seconds and bytes; a latency histogram is of the requests that were timed, one in
 * COUNTS_STRIDE or FLOW_STRIDE, and has no samples while it is empty.
 */
#include "target/metrics_text.h"

#include "common/own.h"
#include "common/stat.h"
#include "kura_config.h"
#include "target/survey.h"
#include "target/tend.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Buckets end at powers of two of nanoseconds: from 4 us to 17 s. */
#define LE_FIRST 12u
#define LE_LAST  34u

static const char *const vol_ops[VOL_OP_COUNT] = { "read", "write", "flush", "trim", "zero",
	"extents" };
static const char *const flow_ops[FLOW_KINDS] = { "read", "write", "other" };

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP kura_%s %s\n# TYPE kura_%s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are written as two characters. */
static void label(FILE *f, const char *before, const char *name, const char *value)
{
	fprintf(f, "%s%s=\"", before, name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', f);
		if (*value == '\n')
			fputs("\\n", f);
		else
			fputc(*value, f);
	}
	fputc('"', f);
}

/* ---- counters of the process ---- */

/* Rows of stat.def that are one family: what follows the prefix is the label. */
static const struct {
	const char *prefix, *name, *label, *help;
} prefixes[] = {
	{ "scsi_sense_", "scsi_sense_total", "sense_key", "CHECK CONDITION by sense key" },
	{ "scsi_conflicts_", "scsi_conflicts_total", "why",
		"Commands that a reservation kept out" },
	{ "iscsi_refused_", "iscsi_logins_refused_by_reason_total", "reason",
		"Logins refused by reason" },
	{ "iscsi_limit_", "iscsi_limits_total", "limit", "Times that a limit was reached" },
	{ "loop_", NULL, NULL, NULL }, /* by loop, below */
};

static bool has_prefix(const char *name, unsigned p)
{
	return !strncmp(name, prefixes[p].prefix, strlen(prefixes[p].prefix));
}

static bool has_any_prefix(const char *name)
{
	for (unsigned p = 0; p < own_array_len(prefixes); p++)
		if (has_prefix(name, p))
			return true;
	return false;
}

static void put_prefix(FILE *f, unsigned p)
{
	family(f, prefixes[p].name, "counter", prefixes[p].help);
	for (unsigned i = 0; i < STAT_COUNT; i++) {
		const char *name = stat_name((enum stat_id)i);

		if (has_prefix(name, p))
			fprintf(f, "kura_%s{%s=\"%s\"} %" PRIu64 "\n", prefixes[p].name,
				prefixes[p].label, name + strlen(prefixes[p].prefix),
				stat_sum((enum stat_id)i));
	}
}

static void put_counters(FILE *f)
{
	for (unsigned i = 0; i < STAT_COUNT; i++) {
		const char *name = stat_name((enum stat_id)i);

		if (!has_any_prefix(name))
			fprintf(f,
				"# HELP kura_%s_total %s\n# TYPE kura_%s_total counter\n"
				"kura_%s_total %" PRIu64 "\n",
				name, stat_help((enum stat_id)i), name, name,
				stat_sum((enum stat_id)i));
	}
	for (unsigned p = 0; p < own_array_len(prefixes); p++)
		if (prefixes[p].name)
			put_prefix(f, p);
}

/* ---- histograms ---- */

/* `labels` without braces, `op` joins them. */
static void put_hist(
	FILE *f, const char *name, const char *labels, const char *op, const struct hist *h)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		all += h->bucket[i];
	if (!all)
		return;
	for (unsigned shift = LE_FIRST; shift <= LE_LAST; shift++)
		fprintf(f, "kura_%s_bucket{%s,op=\"%s\",le=\"%.9g\"} %" PRIu64 "\n", name, labels,
			op, (double)(1ull << shift) / 1e9, hist_below(h, shift));
	fprintf(f, "kura_%s_bucket{%s,op=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, labels, op, all);
	fprintf(f, "kura_%s_sum{%s,op=\"%s\"} %.9f\n", name, labels, op, (double)h->sum_ns / 1e9);
	fprintf(f, "kura_%s_count{%s,op=\"%s\"} %" PRIu64 "\n", name, labels, op, all);
}

static void put_hists(FILE *f, const char *name, const char *labels, const struct hist latency[2])
{
	put_hist(f, name, labels, "read", &latency[0]);
	put_hist(f, name, labels, "write", &latency[1]);
}

/* ---- loops ---- */

static const struct {
	enum stat_id id;
	const char *name, *help;
} of_loops[] = {
	{ STAT_loop_turns, "loop_turns_total", "Turns of the loop" },
	{ STAT_loop_rx_starved, "loop_receive_starved_total",
		"Times that the loop ran out of receive buffers" },
	{ STAT_scsi_commands, "loop_commands_total", "SCSI commands that came on the loop" },
	{ STAT_vol_read_bytes, "loop_read_bytes_total", "Bytes that the loop read from volumes" },
	{ STAT_vol_write_bytes, "loop_write_bytes_total", "Bytes that the loop wrote to volumes" },
};

static void put_loops(FILE *f, struct server *srv)
{
	unsigned n = server_loops(srv);

	for (unsigned c = 0; c < own_array_len(of_loops); c++) {
		family(f, of_loops[c].name, "counter", of_loops[c].help);
		for (unsigned i = 0; i < n; i++)
			fprintf(f, "kura_%s{loop=\"%u\"} %" PRIu64 "\n", of_loops[c].name, i,
				stat_of_loop(of_loops[c].id, i));
	}
	family(f, "loop_connections", "gauge", "Connections that the loop has");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "kura_loop_connections{loop=\"%u\"} %u\n", i, server_loop_load(srv, i));
	family(f, "loop_latency_seconds", "histogram",
		"From command to result, of the commands of the loop that were timed");
	for (unsigned i = 0; i < n; i++) {
		struct hist latency[2] = { 0 };
		char labels[32];

		snprintf(labels, sizeof labels, "loop=\"%u\"", i);
		scsi_flows_loop(server_domain(srv), i, latency);
		put_hists(f, "loop_latency_seconds", labels, latency);
	}
}

/* ---- volumes ---- */

static void put_vol_ops(FILE *f, const struct survey *s, const char *name, const char *help,
	size_t offset, unsigned ops)
{
	family(f, name, "counter", help);
	for (unsigned i = 0; i < s->vol_count; i++) {
		const uint64_t *count =
			(const uint64_t *)((const char *)&s->vols[i].counts + offset);

		for (unsigned op = 0; op < ops; op++)
			fprintf(f, "kura_%s{volume=\"%s\",op=\"%s\"} %" PRIu64 "\n", name,
				s->vols[i].name, vol_ops[op], count[op]);
	}
}

static void put_vols(FILE *f, const struct survey *s)
{
	family(f, "volume_size_bytes", "gauge", "Size of the volume");
	for (unsigned i = 0; i < s->vol_count; i++)
		fprintf(f, "kura_volume_size_bytes{volume=\"%s\"} %" PRIu64 "\n", s->vols[i].name,
			s->vols[i].size);
	family(f, "volume_in_flight", "gauge", "Requests to the volume that are under way");
	for (unsigned i = 0; i < s->vol_count; i++)
		fprintf(f, "kura_volume_in_flight{volume=\"%s\"} %" PRIu64 "\n", s->vols[i].name,
			s->vols[i].inflight);
	put_vol_ops(f, s, "volume_operations_total", "Requests to the volume",
		offsetof(struct vol_counts, ops), VOL_OP_COUNT);
	put_vol_ops(f, s, "volume_bytes_total", "Bytes that requests to the volume asked for",
		offsetof(struct vol_counts, bytes), VOL_EXTENTS);
	put_vol_ops(f, s, "volume_errors_total", "Requests to the volume that failed",
		offsetof(struct vol_counts, errors), VOL_OP_COUNT);
	family(f, "volume_latency_seconds", "histogram",
		"From request to result, of the requests to the volume that were timed");
	for (unsigned i = 0; i < s->vol_count; i++) {
		char labels[VOL_NAME_MAX + 16];

		snprintf(labels, sizeof labels, "volume=\"%s\"", s->vols[i].name);
		put_hists(f, "volume_latency_seconds", labels, s->vols[i].counts.latency);
	}
}

/* ---- pools ---- */

enum pool_gauge {
	GAUGE_SIZE,
	GAUGE_FREE,
	GAUGE_USED,
	GAUGE_LOW,
	GAUGE_STUCK,
	GAUGE_META_SIZE, /* from here on of thin pools */
	GAUGE_META_FREE,
	GAUGE_META_USED,
};

static const struct {
	enum pool_gauge gauge;
	const char *name, *help;
} of_pools[] = {
	{ GAUGE_SIZE, "pool_size_bytes", "What the pool has altogether" },
	{ GAUGE_FREE, "pool_free_bytes", "What no volume has of it" },
	{ GAUGE_USED, "pool_used_ratio", "Used part of the pool, 0 to 1" },
	{ GAUGE_LOW, "pool_low", "1: beyond its low-water mark" },
	{ GAUGE_STUCK, "pool_extend_stuck", "1: was to be extended, and could not be" },
	{ GAUGE_META_SIZE, "pool_metadata_size_bytes", "Metadata of the thin pool" },
	{ GAUGE_META_FREE, "pool_metadata_free_bytes", "What of its metadata is free" },
	{ GAUGE_META_USED, "pool_metadata_used_ratio", "Used part of its metadata, 0 to 1" },
};

static double used_ratio(uint64_t size, uint64_t left)
{
	return size && left <= size ? (double)(size - left) / (double)size : 0;
}

static void put_pool_gauge(FILE *f, const struct pools_level *l, enum pool_gauge gauge)
{
	const struct pool_info *info = &l->info;
	const double values[] = {
		[GAUGE_SIZE] = (double)info->size,
		[GAUGE_FREE] = (double)info->free,
		[GAUGE_USED] = used_ratio(info->size, info->free),
		[GAUGE_LOW] = l->low,
		[GAUGE_STUCK] = l->stuck,
		[GAUGE_META_SIZE] = (double)info->meta_size,
		[GAUGE_META_FREE] = (double)info->meta_free,
		[GAUGE_META_USED] = used_ratio(info->meta_size, info->meta_free),
	};

	fprintf(f, "{pool=\"%s\"} %.17g\n", l->name, values[gauge]);
}

static void put_pools(FILE *f, struct server *srv)
{
	unsigned count;
	struct pools_level *levels own_free = server_pool_levels(srv, &count);

	for (unsigned g = 0; g < own_array_len(of_pools); g++) {
		family(f, of_pools[g].name, "gauge", of_pools[g].help);
		for (unsigned i = 0; i < count; i++) {
			if (of_pools[g].gauge >= GAUGE_META_SIZE && !levels[i].info.meta_size)
				continue;
			fprintf(f, "kura_%s", of_pools[g].name);
			put_pool_gauge(f, &levels[i], of_pools[g].gauge);
		}
	}
}

/* ---- LUNs, initiators, sessions ---- */

static const char *const ways[SURVEY_WAYS] = { "lun", "initiator", "session" };

static char *sum_labels(enum survey_by by, const struct survey_sum *sum)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	if (by == SURVEY_LUN) {
		label(f, "", "target", sum->target);
		fprintf(f, ",lun=\"%u\"", sum->number);
		label(f, ",", "volume", sum->volume);
	} else {
		label(f, "", "initiator", sum->initiator);
	}
	if (by == SURVEY_SESSION) {
		label(f, ",", "isid", sum->isid);
		label(f, ",", "target", sum->target);
		fprintf(f, ",portal_group=\"%u\",loop=\"%u\"", sum->tpgt, sum->loop);
	}
	return fclose(f) ? NULL : text;
}

struct sums {
	FILE *f;
	const char *way; /* "lun" ... */
	const struct survey_sum *sums;
	char **labels; /* of each */
	unsigned count;
};

static void put_sum_ops(const struct sums *s, const char *what, const char *help, size_t offset)
{
	char name[64];

	snprintf(name, sizeof name, "%s_%s_total", s->way, what);
	family(s->f, name, "counter", help);
	for (unsigned i = 0; i < s->count; i++) {
		const uint64_t *count =
			(const uint64_t *)((const char *)&s->sums[i].counts + offset);

		for (unsigned op = 0; op < FLOW_KINDS; op++)
			fprintf(s->f, "kura_%s{%s,op=\"%s\"} %" PRIu64 "\n", name, s->labels[i],
				flow_ops[op], count[op]);
	}
}

/* Without those that are none: most never fail. */
static void put_sum_errors(const struct sums *s)
{
	char name[64];

	snprintf(name, sizeof name, "%s_errors_total", s->way);
	family(s->f, name, "counter", "Commands that did not end well, by what they ended with");
	for (unsigned i = 0; i < s->count; i++) {
		const struct flow_counts *c = &s->sums[i].counts;
		const struct {
			const char *why;
			uint64_t count;
		} others[] = { { "task_aborted", c->aborted },
			{ "reservation_conflict", c->conflicts }, { "busy", c->busy } };

		for (unsigned key = 0; key < own_array_len(c->sense); key++)
			if (c->sense[key])
				fprintf(s->f, "kura_%s{%s,error=\"%s\"} %" PRIu64 "\n", name,
					s->labels[i], survey_sense_name(key), c->sense[key]);
		for (unsigned o = 0; o < own_array_len(others); o++)
			if (others[o].count)
				fprintf(s->f, "kura_%s{%s,error=\"%s\"} %" PRIu64 "\n", name,
					s->labels[i], others[o].why, others[o].count);
	}
}

static void put_sum_gauges(const struct sums *s, bool sessions)
{
	fprintf(s->f,
		"# HELP kura_%s_in_flight Commands that are under way\n"
		"# TYPE kura_%s_in_flight gauge\n",
		s->way, s->way);
	for (unsigned i = 0; i < s->count; i++)
		fprintf(s->f, "kura_%s_in_flight{%s} %" PRIu64 "\n", s->way, s->labels[i],
			survey_inflight(&s->sums[i].counts));
	if (!sessions)
		return;
	fprintf(s->f,
		"# HELP kura_%s_sessions Sessions that are there\n"
		"# TYPE kura_%s_sessions gauge\n",
		s->way, s->way);
	for (unsigned i = 0; i < s->count; i++)
		fprintf(s->f, "kura_%s_sessions{%s} %u\n", s->way, s->labels[i],
			s->sums[i].sessions);
}

static void put_sum_hists(const struct sums *s)
{
	char name[64];

	snprintf(name, sizeof name, "%s_latency_seconds", s->way);
	family(s->f, name, "histogram", "From command to result, of the commands that were timed");
	for (unsigned i = 0; i < s->count; i++)
		put_hists(s->f, name, s->labels[i], s->sums[i].counts.latency);
}

static int put_sums(FILE *f, const struct survey *survey, enum survey_by by)
{
	unsigned n = survey->counts[by], made = 0;
	struct sums s = { .f = f, .way = ways[by], .sums = survey->sums[by], .count = n };

	s.labels = calloc(n + 1, sizeof *s.labels);
	while (s.labels && made < n && (s.labels[made] = sum_labels(by, &s.sums[made])))
		made++;
	if (s.labels && made == n) {
		put_sum_gauges(&s, by != SURVEY_SESSION);
		put_sum_ops(&s, "commands", "Commands that are over",
			offsetof(struct flow_counts, done));
		put_sum_ops(&s, "bytes", "Bytes moved by commands that ended well",
			offsetof(struct flow_counts, bytes));
		put_sum_errors(&s);
		put_sum_hists(&s);
	}
	for (unsigned i = 0; i < made; i++)
		free(s.labels[i]);
	free(s.labels);
	return s.labels && made == n ? 0 : -1;
}

/* ---- all of it ---- */

static int put_all(FILE *f, struct server *srv, const struct survey *s)
{
	family(f, "build_info", "gauge", "Always 1; the version and the engine are in its labels");
	fprintf(f, "kura_build_info{version=\"%s\",engine=\"%s\"} 1\n", PACKAGE_VERSION,
		server_engine(srv));
	family(f, "uptime_seconds", "gauge", "Since kurad was started");
	fprintf(f, "kura_uptime_seconds %" PRIu64 "\n", server_uptime(srv));
	put_counters(f);
	put_loops(f, srv);
	put_vols(f, s);
	put_pools(f, srv);
	for (enum survey_by by = 0; by < SURVEY_WAYS; by++)
		if (put_sums(f, s, by))
			return -1;
	return 0;
}

char *metrics_text(struct server *srv, size_t *len)
{
	struct survey s;
	char *text = NULL;
	FILE *f = NULL;
	int err = survey_make(&s, server_domain(srv));

	if (!err)
		f = open_memstream(&text, len);
	if (f) {
		err = put_all(f, srv, &s);
		err = fclose(f) || err ? -1 : 0;
	}
	survey_fini(&s);
	if (f && !err)
		return text;
	free(text);
	return NULL;
}
