// SPDX-License-Identifier: Apache-2.0
/*
 * The flows of a domain: those that live in one list, and what is left by others in a table. The
 * lock is taken when an I_T_L nexus begins or ends and by who looks, never by commands.
 */
#include "target/scsi/flow.h"

#include "target/scsi/unit.h"

#include "common/own.h"
#include "common/trace.h"

#include <stdio.h>
#include <string.h>

#define LEFT_SLOTS 1024u

/* What is left by sessions that are over. */
struct flow_left {
	struct list node; /* in its slot */
	struct list age;  /* in all->ages */
	uint16_t number;
	char initiator[FLOW_NAME_MAX], target[FLOW_NAME_MAX];
	char volume[VOL_NAME_MAX + 1];
	struct flow_counts counts;
};

struct scsi_flows {
	pthread_mutex_t lock;
	struct list live; /* scsi_flow.node */
	unsigned live_count;
	struct list slot[LEFT_SLOTS]; /* flow_left.node, by hash */
	struct list ages;             /* flow_left.age, longest unchanged first */
	unsigned left_count;
};

struct scsi_flows *scsi_flows_new(void)
{
	struct scsi_flows *all = own_calloc(1, sizeof *all);

	pthread_mutex_init(&all->lock, NULL);
	list_init(&all->live);
	list_init(&all->ages);
	for (unsigned i = 0; i < LEFT_SLOTS; i++)
		list_init(&all->slot[i]);
	return all;
}

static void left_drop(struct scsi_flows *all, struct flow_left *left)
{
	list_del(&left->node);
	list_del(&left->age);
	all->left_count--;
	free(left);
}

void scsi_flows_free(struct scsi_flows *all)
{
	own_assert(list_empty(&all->live));
	list_for_each_safe (it, &all->ages)
		left_drop(all, container_of(it, struct flow_left, age));
	pthread_mutex_destroy(&all->lock);
	free(all);
}

struct scsi_flow *scsi_flow_new(
	struct scsi_nexus *nexus, uint16_t number, const struct scsi_lun *lun)
{
	struct scsi_flow *flow = own_calloc(1, sizeof *flow);

	flow->all = nexus->domain->flows;
	flow->nexus = nexus;
	flow->number = number;
	if (lun)
		snprintf(flow->volume, sizeof flow->volume, "%s", vol_name(lun->vol));
	pthread_mutex_lock(&flow->all->lock);
	list_push(&flow->all->live, &flow->node);
	flow->all->live_count++;
	pthread_mutex_unlock(&flow->all->lock);
	return flow;
}

/* ---- what is left ---- */

/* The iSCSI name in the name of an initiator port. */
static void initiator_name(char out[FLOW_NAME_MAX], const char *port)
{
	size_t n = strcspn(port, ",");

	n = n < FLOW_NAME_MAX ? n : FLOW_NAME_MAX - 1;
	memcpy(out, port, n);
	out[n] = '\0';
}

static unsigned left_slot(const struct flow_left *key)
{
	const char *const texts[] = { key->initiator, key->target, key->volume };
	uint32_t h = 2166136261u ^ key->number;

	for (unsigned i = 0; i < own_array_len(texts); i++)
		for (const char *p = texts[i]; *p; p++)
			h = (h ^ (unsigned char)*p) * 16777619u;
	return h % LEFT_SLOTS;
}

static bool left_same(const struct flow_left *a, const struct flow_left *b)
{
	return a->number == b->number && !strcmp(a->initiator, b->initiator) &&
	       !strcmp(a->target, b->target) && !strcmp(a->volume, b->volume);
}

/* The entry of a flow, made when it is missing; NULL: no memory, and the counts are lost. */
static struct flow_left *left_of(struct scsi_flows *all, const struct scsi_flow *flow)
{
	struct flow_left key = { .number = flow->number }, *left;
	struct list *slot;

	initiator_name(key.initiator, flow->nexus->initiator);
	snprintf(key.target, sizeof key.target, "%s", scsi_target_iqn(flow->nexus->target));
	memcpy(key.volume, flow->volume, sizeof key.volume);
	slot = &all->slot[left_slot(&key)];
	list_for_each (it, slot) {
		left = container_of(it, struct flow_left, node);
		if (!left_same(left, &key))
			continue;
		list_del(&left->age);
		list_push(&all->ages, &left->age);
		return left;
	}
	if (all->left_count == FLOW_LEFT_MOST)
		left_drop(all, container_of(all->ages.next, struct flow_left, age));
	left = malloc(sizeof *left);
	if (!left)
		return NULL;
	*left = key;
	list_push(slot, &left->node);
	list_push(&all->ages, &left->age);
	all->left_count++;
	return left;
}

void scsi_flow_free(struct scsi_flow *flow)
{
	struct scsi_flows *all;
	struct flow_left *left;

	if (!flow)
		return;
	all = flow->all;
	pthread_mutex_lock(&all->lock);
	list_del(&flow->node);
	all->live_count--;
	left = flow->counts.begun ? left_of(all, flow) : NULL;
	if (left)
		hist_sum((uint64_t *)&left->counts, (const uint64_t *)&flow->counts,
			FLOW_COUNTS_WORDS);
	pthread_mutex_unlock(&all->lock);
	free(flow);
}

/* ---- counting ---- */

void scsi_flow_timed(struct scsi_task *task, enum flow_kind kind)
{
	uint64_t ns = hist_clock_ns() - task->began_ns;

	if (ns >= TRACE_SLOW_NS)
		trace_add(TRACE_task_slow, task->tag, ns);
	if (kind == FLOW_OTHER)
		return;
	hist_add(&task->itl->flow->counts.latency[kind], ns);
	hist_add(&task->nexus->member->latency[kind], ns);
}

void scsi_flow_failed(const struct scsi_task *task)
{
	struct flow_counts *c = &task->itl->flow->counts;
	/* SPC-4 4.5.2 and 4.5.3: byte 1 of descriptor format, byte 2 of fixed format */
	unsigned key = task->sense[(task->sense[0] & 0x7f) >= 0x72 ? 1 : 2] & 15;

	trace_add(task->aborted ? TRACE_task_aborted : TRACE_task_failed, task->tag,
		task->aborted ? task->cdb[0] : task->status << 8 | key);
	if (task->aborted)
		hist_bump(&c->aborted, 1);
	else if (task->status == SCSI_CHECK_CONDITION)
		hist_bump(&c->sense[key], 1);
	else if (task->status == SCSI_RESERVATION_CONFLICT)
		hist_bump(&c->conflicts, 1);
	else if (task->status == SCSI_BUSY || task->status == SCSI_TASK_SET_FULL)
		hist_bump(&c->busy, 1);
}

/* ---- looking ---- */

static void see_live(struct flow_seen *to, const struct scsi_flow *flow)
{
	const struct scsi_nexus *nexus = flow->nexus;

	memcpy(to->initiator, nexus->initiator, sizeof to->initiator);
	snprintf(to->target, sizeof to->target, "%s", scsi_target_iqn(nexus->target));
	memcpy(to->volume, flow->volume, sizeof to->volume);
	to->number = flow->number;
	to->tpgt = nexus->target->tpgt;
	to->loop = nexus->member->index;
	to->session = (uint64_t)(uintptr_t)nexus;
	hist_sum((uint64_t *)&to->counts, (const uint64_t *)&flow->counts, FLOW_COUNTS_WORDS);
}

static void see_left(struct flow_seen *to, const struct flow_left *left)
{
	memcpy(to->initiator, left->initiator, sizeof left->initiator);
	memcpy(to->target, left->target, sizeof to->target);
	memcpy(to->volume, left->volume, sizeof to->volume);
	to->number = left->number;
	to->counts = left->counts;
}

struct flow_seen *scsi_flows_see(struct scsi_domain *domain, unsigned *n)
{
	struct scsi_flows *all = domain->flows;
	struct flow_seen *seen;
	unsigned i = 0;

	pthread_mutex_lock(&all->lock);
	*n = all->live_count + all->left_count;
	seen = calloc(*n + 1, sizeof *seen);
	if (seen) {
		list_for_each (it, &all->live)
			see_live(&seen[i++], container_of(it, struct scsi_flow, node));
		list_for_each (it, &all->ages)
			see_left(&seen[i++], container_of(it, struct flow_left, age));
	}
	pthread_mutex_unlock(&all->lock);
	return seen;
}

void scsi_flows_loop(struct scsi_domain *domain, unsigned index, struct hist *latency)
{
	hist_sum((uint64_t *)latency, (const uint64_t *)domain->member[index].latency,
		2 * sizeof *latency / sizeof(uint64_t));
}
