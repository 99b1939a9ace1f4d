// SPDX-License-Identifier: Apache-2.0
/* Flows are given the name that they have in a sum, sorted by it, and neighbours are added up. */
#include "target/survey.h"

#include "common/own.h"
#include "common/stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SENSE_PREFIX "scsi_sense_"

/* The iSCSI name and the ISID of an initiator port, "NAME,i,ISID"; what is left by sessions that
 * are over has the name alone. */
static void split_port(struct survey_sum *sum, const char *port, bool with_isid)
{
	size_t n = strcspn(port, ",");
	const char *isid = strrchr(port, ',');

	n = n < FLOW_NAME_MAX ? n : FLOW_NAME_MAX - 1;
	memcpy(sum->initiator, port, n);
	if (with_isid && isid)
		strncpy(sum->isid, isid + 1, sizeof sum->isid - 1);
}

/* The name that a flow has in a sum; false: it is not in it. */
static bool sum_of(struct survey_sum *sum, enum survey_by by, const struct flow_seen *f)
{
	memset(sum, 0, sizeof *sum);
	if (by == SURVEY_LUN) {
		memcpy(sum->target, f->target, sizeof sum->target);
		memcpy(sum->volume, f->volume, sizeof sum->volume);
		sum->number = f->number;
	} else {
		split_port(sum, f->initiator, by == SURVEY_SESSION);
	}
	if (by == SURVEY_SESSION) {
		memcpy(sum->target, f->target, sizeof sum->target);
		sum->tpgt = f->tpgt;
		sum->loop = f->loop;
	}
	sum->counts = f->counts;
	if (by == SURVEY_LUN)
		return f->number != FLOW_NO_LUN;
	return by == SURVEY_INITIATOR || f->session;
}

static int compare(const void *x, const void *y)
{
	const struct survey_sum *a = x, *b = y;
	int d = strcmp(a->target, b->target);

	d = d ? d : (int)a->number - (int)b->number;
	d = d ? d : strcmp(a->initiator, b->initiator);
	d = d ? d : strcmp(a->isid, b->isid);
	d = d ? d : strcmp(a->volume, b->volume);
	d = d ? d : (int)a->tpgt - (int)b->tpgt;
	return d ? d : (int)a->loop - (int)b->loop;
}

/* Adds up what has the same name; `all` is sorted. How many are left. */
static unsigned merge(struct survey_sum *all, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!kept || compare(&all[kept - 1], &all[i])) {
			if (kept != i)
				all[kept] = all[i];
			kept++;
			continue;
		}
		hist_sum((uint64_t *)&all[kept - 1].counts, (const uint64_t *)&all[i].counts,
			FLOW_COUNTS_WORDS);
	}
	return kept;
}

/* How many sessions each LUN or initiator has: flows of one session are neighbours in time. */
static void count_sessions(struct survey *s, const struct flow_seen *flows, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct survey_sum key, *at;
		bool first = !i || flows[i].session != flows[i - 1].session;

		for (enum survey_by by = SURVEY_LUN; by <= SURVEY_INITIATOR; by++) {
			if (!flows[i].session || (by == SURVEY_INITIATOR && !first) ||
				!sum_of(&key, by, &flows[i]))
				continue;
			at = bsearch(&key, s->sums[by], s->counts[by], sizeof key, compare);
			if (at)
				at->sessions++;
		}
	}
}

static int compare_session(const void *x, const void *y)
{
	const struct flow_seen *a = x, *b = y;

	return a->session < b->session ? -1 : a->session > b->session;
}

static int sum_flows(struct survey *s, const struct flow_seen *flows, unsigned n)
{
	for (enum survey_by by = 0; by < SURVEY_WAYS; by++) {
		unsigned kept = 0;

		s->sums[by] = calloc(n + 1, sizeof *s->sums[by]);
		if (!s->sums[by])
			return -ENOMEM;
		for (unsigned i = 0; i < n; i++)
			kept += sum_of(&s->sums[by][kept], by, &flows[i]);
		qsort(s->sums[by], kept, sizeof *s->sums[by], compare);
		s->counts[by] = merge(s->sums[by], kept);
	}
	return 0;
}

static int compare_vol(const void *x, const void *y)
{
	return strcmp(((const struct vol_seen *)x)->name, ((const struct vol_seen *)y)->name);
}

int survey_make(struct survey *s, struct scsi_domain *domain)
{
	struct flow_seen *flows own_free = NULL;
	unsigned n = 0;
	int err;

	*s = (struct survey){ 0 };
	s->vols = vol_see_all(&s->vol_count);
	flows = scsi_flows_see(domain, &n);
	if (!s->vols || !flows)
		return -ENOMEM;
	qsort(s->vols, s->vol_count, sizeof *s->vols, compare_vol);
	qsort(flows, n, sizeof *flows, compare_session);
	err = sum_flows(s, flows, n);
	if (!err)
		count_sessions(s, flows, n);
	return err;
}

void survey_fini(struct survey *s)
{
	free(s->vols);
	for (enum survey_by by = 0; by < SURVEY_WAYS; by++)
		free(s->sums[by]);
	*s = (struct survey){ 0 };
}

/* Read while commands end: never less than none. */
uint64_t survey_inflight(const struct flow_counts *c)
{
	uint64_t done = c->done[FLOW_READ] + c->done[FLOW_WRITE] + c->done[FLOW_OTHER];

	return c->begun > done ? c->begun - done : 0;
}

uint64_t survey_errors(const struct flow_counts *c)
{
	uint64_t sum = c->aborted + c->conflicts + c->busy;

	for (unsigned i = 0; i < own_array_len(c->sense); i++)
		sum += c->sense[i];
	return sum;
}

const char *survey_sense_name(unsigned key)
{
	return stat_name(STAT_scsi_sense_no_sense + (key & 15)) + strlen(SENSE_PREFIX);
}
