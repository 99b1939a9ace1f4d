// SPDX-License-Identifier: Apache-2.0
/* A row is the difference of two objects of the same name; what was not there before began at 0. */
#include "rpc/top.h"

#include "common/hist.h"
#include "common/own.h"

#include <stdlib.h>
#include <string.h>

/* The lists of stats that make rows, and the members that name an object in them. */
static const struct {
	const char *list, *kind;
	const char *keys[3];
} sources[] = {
	{ "luns", "lun", { "target", "lun", "volume" } },
	{ "initiators", "host", { "initiator" } },
	{ "volumes", "volume", { "name" } },
};

static bool same_value(const struct jval *a, const struct jval *b)
{
	if (jval_text(a) && jval_text(b))
		return !strcmp(jval_text(a), jval_text(b));
	return jval_kind(a) == JVAL_NUMBER && jval_kind(b) == JVAL_NUMBER &&
	       jval_number(a) == jval_number(b);
}

static bool same_object(const struct jval *a, const struct jval *b, unsigned source)
{
	for (unsigned i = 0; i < own_array_len(sources[source].keys); i++) {
		const char *key = sources[source].keys[i];

		if (key && !same_value(jval_get(a, key), jval_get(b, key)))
			return false;
	}
	return true;
}

/* Both lists have the same order, so what is looked for stands behind `from` or nowhere near. */
static const struct jval *find(
	const struct jval *list, const struct jval *object, unsigned source, unsigned *from)
{
	unsigned n = jval_count(list);

	for (unsigned i = 0; i < n; i++) {
		unsigned at = (*from + i) % n;

		if (same_object(jval_item(list, at), object, source)) {
			*from = at + 1;
			return jval_item(list, at);
		}
	}
	return NULL;
}

/* A counter that went back belongs to another life of the object: all of it is new. */
static uint64_t grown(const struct jval *before, const struct jval *now, const char *name)
{
	uint64_t b = (uint64_t)jval_number(jval_get(before, name));
	uint64_t n = (uint64_t)jval_number(jval_get(now, name));

	return n >= b ? n - b : n;
}

static uint64_t a_second(uint64_t n, double seconds)
{
	return seconds > 0 ? (uint64_t)((double)n / seconds + 0.5) : 0;
}

static void add_latency(struct jval *row, const struct jval *before, const struct jval *now,
	const char *buckets, const char *p50, const char *p99)
{
	const struct jval *b = jval_get(before, buckets), *n = jval_get(now, buckets);
	struct hist h = { 0 };
	uint64_t all = 0;

	for (unsigned i = 0; i < HIST_BUCKETS && i < jval_count(n); i++) {
		int64_t grew = jval_number(jval_item(n, i)) - jval_number(jval_item(b, i));

		h.bucket[i] = grew > 0 ? (uint64_t)grew : 0;
		all += h.bucket[i];
	}
	if (!all)
		return;
	jval_set_number(row, p50, hist_percentile_ns(&h, 500));
	jval_set_number(row, p99, hist_percentile_ns(&h, 990));
}

static struct jval *row_of(
	const struct jval *before, const struct jval *now, unsigned source, double seconds)
{
	struct jval *row = jval_object();
	uint64_t ops = grown(before, now, "reads") + grown(before, now, "writes") +
		       grown(before, now, "others");

	jval_set_text(row, "kind", sources[source].kind);
	jval_set_copy(row, "name", jval_get(now, sources[source].keys[0]));
	for (unsigned i = 1; i < own_array_len(sources[source].keys); i++)
		if (sources[source].keys[i])
			jval_set_copy(row, sources[source].keys[i],
				jval_get(now, sources[source].keys[i]));
	jval_set_number(row, "iops", a_second(ops, seconds));
	jval_set_number(row, "read_bytes", a_second(grown(before, now, "read_bytes"), seconds));
	jval_set_number(row, "write_bytes", a_second(grown(before, now, "write_bytes"), seconds));
	add_latency(row, before, now, "read_buckets", "read_p50_ns", "read_p99_ns");
	add_latency(row, before, now, "write_buckets", "write_p50_ns", "write_p99_ns");
	jval_set_copy(row, "queue", jval_get(now, "in_flight"));
	return row;
}

/* ---- order ---- */

static const struct {
	const char *word, *member;
} orders[] = {
	{ "iops", "iops" },
	{ "read", "read_bytes" },
	{ "write", "write_bytes" },
	{ "latency", "read_p99_ns" },
	{ "queue", "queue" },
	{ "name", NULL },
};

struct place {
	const struct jval *row;
	unsigned at;    /* where it stood: rows that are equal keep their order */
	int64_t weight; /* more comes first */
};

static int compare(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

static int64_t weight_of(const struct jval *row, const char *member)
{
	int64_t w = member ? jval_number(jval_get(row, member)) : 0;
	int64_t other = 0;

	if (member && !strcmp(member, "read_p99_ns")) /* of reads or writes, the longer */
		other = jval_number(jval_get(row, "write_p99_ns"));
	return w > other ? w : other;
}

static struct jval *sorted(struct jval *rows, const char *sort)
{
	unsigned n = jval_count(rows), order = 0;
	struct place *places own_free = own_calloc(n, sizeof *places);
	struct jval *out = jval_list();

	for (unsigned i = 0; sort && i < own_array_len(orders); i++)
		if (!strcmp(orders[i].word, sort))
			order = i;
	for (unsigned i = 0; i < n; i++) {
		places[i].row = jval_item(rows, i);
		places[i].at = i;
		places[i].weight = weight_of(places[i].row, orders[order].member);
	}
	qsort(places, n, sizeof *places, compare);
	for (unsigned i = 0; i < n; i++)
		jval_append(out, jval_copy(places[i].row));
	jval_free(rows);
	return out;
}

struct jval *top_rows(const struct jval *before, const struct jval *now, double seconds,
	const char *by, const char *sort)
{
	struct jval *rows = jval_list();

	for (unsigned s = 0; s < own_array_len(sources); s++) {
		const struct jval *list = jval_get(now, sources[s].list);
		const struct jval *old = jval_get(before, sources[s].list);
		unsigned from = 0;

		if (by && strcmp(by, "all") != 0 && strcmp(by, sources[s].kind) != 0)
			continue;
		for (unsigned i = 0; i < jval_count(list); i++) {
			const struct jval *one = jval_item(list, i);

			jval_append(rows, row_of(find(old, one, s, &from), one, s, seconds));
		}
	}
	return sorted(rows, sort);
}
