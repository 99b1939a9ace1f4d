/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that show what is counted: stats, top, metrics; and how much is logged. */
#include "target/ctl/verbs.h"

#include "common/log.h"
#include "common/own.h"
#include "common/stat.h"
#include "rpc/top.h"
#include "target/metrics_text.h"
#include "target/survey.h"
#include "target/tend.h"
#include "volume/layer_stats.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const op_names[VOL_OP_COUNT] = { "read", "write", "flush", "trim", "zero",
	"extents" };

/* What is asked for; NULL: everything. */
struct wanted {
	const char *volume, *target, *initiator;
	bool buckets;
};

static bool is_wanted(const char *wanted, const char *name)
{
	return !wanted || !strcmp(wanted, name);
}

/* The same of iSCSI names, which are kept in lower case. */
static bool is_wanted_node(const char *wanted, const char *name)
{
	return !wanted || !strcasecmp(wanted, name);
}

/* ---- parts ---- */

static struct jval *buckets_of(const struct hist *h)
{
	struct jval *list = jval_list();
	unsigned n = HIST_BUCKETS;

	while (n && !h->bucket[n - 1])
		n--;
	for (unsigned i = 0; i < n; i++)
		jval_append(list, jval_new_number(h->bucket[i]));
	return list;
}

/* Percentiles of reads and writes, where some were timed. */
static void set_latency(struct jval *out, const struct hist latency[2], bool buckets)
{
	static const char *const names[2][3] = { { "read_p50_ns", "read_p99_ns", "read_buckets" },
		{ "write_p50_ns", "write_p99_ns", "write_buckets" } };

	for (unsigned i = 0; i < 2; i++) {
		jval_set_number(out, names[i][0], hist_percentile_ns(&latency[i], 500));
		jval_set_number(out, names[i][1], hist_percentile_ns(&latency[i], 990));
	}
	for (unsigned i = 0; buckets && i < 2; i++)
		jval_set(out, names[i][2], buckets_of(&latency[i]));
}

static void set_counts(struct jval *out, const struct flow_counts *c, bool buckets)
{
	struct jval *errors = jval_object();

	jval_set_number(out, "in_flight", survey_inflight(c));
	jval_set_number(out, "reads", c->done[FLOW_READ]);
	jval_set_number(out, "read_bytes", c->bytes[FLOW_READ]);
	jval_set_number(out, "writes", c->done[FLOW_WRITE]);
	jval_set_number(out, "write_bytes", c->bytes[FLOW_WRITE]);
	jval_set_number(out, "others", c->done[FLOW_OTHER]);
	jval_set_number(out, "errors", survey_errors(c));
	set_latency(out, c->latency, buckets);
	for (unsigned key = 0; key < own_array_len(c->sense); key++)
		if (c->sense[key])
			jval_set_number(errors, survey_sense_name(key), c->sense[key]);
	if (c->aborted)
		jval_set_number(errors, "task_aborted", c->aborted);
	if (c->conflicts)
		jval_set_number(errors, "reservation_conflict", c->conflicts);
	if (c->busy)
		jval_set_number(errors, "busy", c->busy);
	jval_set(out, "errors_by_cause", errors);
}

/* ---- volumes ---- */

static struct jval *op_stats(const struct vol_counts *c, unsigned op)
{
	struct jval *out = jval_object();

	jval_set_number(out, "count", c->ops[op]);
	jval_set_number(out, "bytes", c->bytes[op]);
	jval_set_number(out, "errors", c->errors[op]);
	if (op > VOL_WRITE)
		return out;
	jval_set_number(out, "p50_ns", hist_percentile_ns(&c->latency[op], 500));
	jval_set_number(out, "p99_ns", hist_percentile_ns(&c->latency[op], 990));
	return out;
}

static struct jval *volume_stats(const struct vol_seen *v, bool buckets)
{
	struct jval *out = jval_object();
	const struct vol_counts *c = &v->counts;
	uint64_t errors = 0, others = 0;

	for (unsigned op = 0; op < VOL_OP_COUNT; op++) {
		errors += c->errors[op];
		others += op > VOL_WRITE ? c->ops[op] : 0;
	}
	jval_set_text(out, "name", v->name);
	jval_set_number(out, "size_bytes", v->size);
	jval_set_number(out, "in_flight", v->inflight);
	jval_set_number(out, "reads", c->ops[VOL_READ]);
	jval_set_number(out, "read_bytes", c->bytes[VOL_READ]);
	jval_set_number(out, "writes", c->ops[VOL_WRITE]);
	jval_set_number(out, "write_bytes", c->bytes[VOL_WRITE]);
	jval_set_number(out, "others", others);
	jval_set_number(out, "errors", errors);
	set_latency(out, c->latency, buckets);
	for (unsigned op = 0; op < VOL_OP_COUNT; op++)
		jval_set(out, op_names[op], op_stats(c, op));
	return out;
}

static struct jval *layer_op(const struct stats_op *op)
{
	struct jval *out = jval_object();

	jval_set_number(out, "count", op->count);
	jval_set_number(out, "bytes", op->bytes);
	jval_set_number(out, "errors", op->errors);
	jval_set_number(out, "p50_ns", stats_percentile_ns(op, 500));
	jval_set_number(out, "p99_ns", stats_percentile_ns(op, 990));
	return out;
}

/* What the stats layer of a volume has seen, of every request at its place, if it has one. */
static void set_layer(struct jval *out, const struct server *srv, const char *name)
{
	const struct vol *vol = server_volume(srv, name);
	struct stats_table *table own_free = own_calloc(1, sizeof *table);
	struct jval *layer;

	if (!vol || !stats_read(vol, table))
		return;
	layer = jval_object();
	for (unsigned op = 0; op < VOL_OP_COUNT; op++)
		jval_set(layer, op_names[op], layer_op(&table->op[op]));
	jval_set(out, "layer", layer);
}

static struct jval *volumes_stats(
	struct server *srv, const struct survey *s, const struct wanted *w)
{
	struct jval *list = jval_list();

	server_view(srv);
	for (unsigned i = 0; i < s->vol_count; i++) {
		struct jval *one;

		if (!is_wanted(w->volume, s->vols[i].name))
			continue;
		one = volume_stats(&s->vols[i], w->buckets);
		set_layer(one, srv, s->vols[i].name);
		jval_append(list, one);
	}
	server_view_end(srv);
	return list;
}

/* ---- LUNs, initiators, sessions ---- */

static struct jval *lun_stats(const struct survey_sum *sum, bool buckets)
{
	struct jval *out = jval_object();

	jval_set_text(out, "target", sum->target);
	jval_set_number(out, "lun", sum->number);
	jval_set_text(out, "volume", sum->volume);
	jval_set_number(out, "sessions", sum->sessions);
	set_counts(out, &sum->counts, buckets);
	return out;
}

static struct jval *initiator_stats(const struct survey_sum *sum, bool buckets)
{
	struct jval *out = jval_object();

	jval_set_text(out, "initiator", sum->initiator);
	jval_set_number(out, "sessions", sum->sessions);
	set_counts(out, &sum->counts, buckets);
	return out;
}

static struct jval *session_stats(const struct survey_sum *sum, bool buckets)
{
	struct jval *out = jval_object();

	jval_set_text(out, "initiator", sum->initiator);
	jval_set_text(out, "isid", sum->isid);
	jval_set_text(out, "target", sum->target);
	jval_set_number(out, "portal_group", sum->tpgt);
	jval_set_number(out, "loop", sum->loop);
	set_counts(out, &sum->counts, buckets);
	return out;
}

static struct jval *sums_stats(const struct survey *s, enum survey_by by, const struct wanted *w)
{
	static struct jval *(*const makers[])(
		const struct survey_sum *, bool) = { lun_stats, initiator_stats, session_stats };
	struct jval *list = jval_list();

	for (unsigned i = 0; i < s->counts[by]; i++) {
		const struct survey_sum *sum = &s->sums[by][i];

		if ((by == SURVEY_LUN && !is_wanted(w->volume, sum->volume)) ||
			(by != SURVEY_INITIATOR && !is_wanted_node(w->target, sum->target)) ||
			(by != SURVEY_LUN && !is_wanted_node(w->initiator, sum->initiator)))
			continue;
		jval_append(list, makers[by](sum, w->buckets));
	}
	return list;
}

/* ---- all of it ---- */

static struct jval *counters_stats(void)
{
	struct jval *out = jval_object();

	for (unsigned i = 0; i < STAT_COUNT; i++)
		jval_set_number(out, stat_name((enum stat_id)i), stat_sum((enum stat_id)i));
	return out;
}

static struct jval *loops_stats(const struct server *srv)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < server_loops(srv); i++) {
		struct jval *one = jval_object();
		struct hist latency[2] = { 0 };

		scsi_flows_loop(server_domain(srv), i, latency);
		jval_set_number(one, "loop", i);
		jval_set_number(one, "connections", server_loop_load(srv, i));
		jval_set_number(one, "turns", stat_of_loop(STAT_loop_turns, i));
		jval_set_number(one, "commands", stat_of_loop(STAT_scsi_commands, i));
		jval_set_number(one, "read_bytes", stat_of_loop(STAT_vol_read_bytes, i));
		jval_set_number(one, "write_bytes", stat_of_loop(STAT_vol_write_bytes, i));
		set_latency(one, latency, false);
		jval_append(list, one);
	}
	return list;
}

static struct jval *pools_stats(struct server *srv)
{
	struct jval *list = jval_list();
	unsigned count;
	struct pools_level *levels own_free = server_pool_levels(srv, &count);

	for (unsigned i = 0; i < count; i++) {
		const struct pools_level *l = &levels[i];
		struct jval *one = jval_object();

		jval_set_text(one, "pool", l->name);
		jval_set_text(one, "kind", l->kind);
		jval_set_number(one, "size_bytes", l->info.size);
		jval_set_number(one, "free_bytes", l->info.free);
		jval_set_number(one, "used_percent", pool_policy_used(&l->info, POOL_DATA));
		if (l->info.meta_size) {
			jval_set_number(one, "meta_size_bytes", l->info.meta_size);
			jval_set_number(one, "meta_free_bytes", l->info.meta_free);
			jval_set_number(
				one, "meta_used_percent", pool_policy_used(&l->info, POOL_META));
		}
		jval_set_flag(one, "low", l->low);
		jval_append(list, one);
	}
	return list;
}

/* Which lists are meant when one object is asked for: those that can have it. */
static void set_lists(
	struct jval *out, struct server *srv, const struct survey *s, const struct wanted *w)
{
	bool all = !w->volume && !w->target && !w->initiator;

	if (all)
		jval_set(out, "counters", counters_stats());
	jval_set_number(out, "uptime_seconds", server_uptime(srv));
	if (all || w->volume)
		jval_set(out, "volumes", volumes_stats(srv, s, w));
	if (all || w->volume || (w->target && !w->initiator))
		jval_set(out, "luns", sums_stats(s, SURVEY_LUN, w));
	if (all || w->initiator)
		jval_set(out, "initiators", sums_stats(s, SURVEY_INITIATOR, w));
	if (all || w->initiator || (w->target && !w->volume))
		jval_set(out, "sessions", sums_stats(s, SURVEY_SESSION, w));
	if (all)
		jval_set(out, "loops", loops_stats(srv));
	if (all)
		jval_set(out, "pools", pools_stats(srv));
}

/* Fills `out`; false: no memory, and the call is refused. */
static bool make_stats(struct ctl_call *call, struct jval *out, const struct wanted *w)
{
	struct survey s;
	int err = survey_make(&s, server_domain(call->srv));

	if (err)
		ctl_fail(call, RPC_REFUSED, "no memory to put the counters together; try again");
	else
		set_lists(out, call->srv, &s, w);
	survey_fini(&s);
	return !err;
}

void verb_stats(struct ctl_call *call)
{
	struct wanted w = {
		.volume = ctl_text(call, "volume"),
		.target = ctl_text(call, "target"),
		.initiator = ctl_text(call, "initiator"),
		.buckets = ctl_flag(call, "buckets"),
	};

	if (!make_stats(call, call->result, &w) || !w.volume)
		return;
	if (!jval_count(jval_get(call->result, "volumes")))
		ctl_fail(call, RPC_NOT_FOUND, "volume %s: none of that name is open; kura status",
			w.volume);
}

/* ---- the others ---- */

void verb_top(struct ctl_call *call)
{
	struct wanted w = { .buckets = true };
	struct jval *stats = jval_object();

	if (make_stats(call, stats, &w))
		jval_set(call->result, "rows",
			top_rows(NULL, stats, (double)server_uptime(call->srv),
				ctl_text(call, "by"), ctl_text(call, "sort")));
	jval_free(stats);
}

void verb_metrics(struct ctl_call *call)
{
	size_t len = 0;
	char *text own_free = metrics_text(call->srv, &len);

	if (text)
		jval_set_text(call->result, "text", text);
	else
		ctl_fail(call, RPC_REFUSED, "no memory to put the counters together; try again");
}

void verb_log_level(struct ctl_call *call)
{
	const char *name = ctl_text(call, "level");
	enum log_level level = log_level_named(name ? name : "");

	if (name) { /* the line is written by the level that lets more pass */
		if (level > log_level_get())
			log_set_level(level);
		log_info("log level changed until the end", "level=%s uid=%u", name,
			(unsigned)call->uid);
		log_set_level(level);
	}
	jval_set_text(call->result, "level", log_level_name(log_level_get()));
	jval_set_text(call->result, "configured", server_view(call->srv)->log_level);
	server_view_end(call->srv);
}
