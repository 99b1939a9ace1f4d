/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain and its nexuses: who lives on which loop, unit attentions, and a function that is run
 * on every loop. Opening and closing a nexus is rare and may allocate; finding a LUN is the data
 * path and does not.
 */
#include "target/scsi/nexus.h"

#include "target/scsi/command.h"
#include "target/scsi/reservation.h"
#include "target/scsi/fence.h"
#include "target/scsi/flow.h"
#include "target/scsi/ghost.h"
#include "target/scsi/order.h"
#include "target/scsi/sense.h"
#include "target/scsi/unit.h"

#include "common/be.h"
#include "common/own.h"
#include "common/trace.h"

#include <stdio.h>

/* ---- the domain ---- */

struct scsi_domain *scsi_domain_new(struct loop *const *loops, unsigned n)
{
	struct scsi_domain *domain = own_calloc(1, sizeof *domain);

	own_assert(n >= 1 && n <= SCSI_LOOPS_MAX);
	scsi_command_setup();
	domain->count = n;
	pthread_mutex_init(&domain->lock, NULL);
	list_init(&domain->reservations);
	list_init(&domain->luns);
	list_init(&domain->targets);
	list_init(&domain->ghosts);
	domain->flows = scsi_flows_new();
	for (unsigned i = 0; i < n; i++) {
		domain->member[i].index = i;
		scsi_member_init(&domain->member[i], domain, loops[i]);
	}
	return domain;
}

void scsi_domain_free(struct scsi_domain *domain)
{
	if (!domain)
		return;
	for (unsigned i = 0; i < domain->count; i++) {
		own_assert(list_empty(&domain->member[i].nexuses));
		loop_hook_cancel(&domain->member[i].flush);
		loop_timer_cancel(domain->member[i].loop, &domain->member[i].patience);
		scsi_fence_fini(&domain->member[i]);
	}
	scsi_flows_free(domain->flows);
	pthread_mutex_destroy(&domain->lock);
	free(domain);
}

void scsi_domain_lock(const struct scsi_domain *domain)
{
	pthread_mutex_lock(&((struct scsi_domain *)domain)->lock);
}

void scsi_domain_unlock(const struct scsi_domain *domain)
{
	pthread_mutex_unlock(&((struct scsi_domain *)domain)->lock);
}

struct scsi_member *scsi_member_of(struct scsi_domain *domain, const struct loop *loop)
{
	unsigned guess = loop_index(loop);

	if (guess < domain->count && domain->member[guess].loop == loop)
		return &domain->member[guess];
	for (unsigned i = 0; i < domain->count; i++)
		if (domain->member[i].loop == loop)
			return &domain->member[i];
	own_assert(!"a loop of the domain");
	return NULL;
}

/* ---- everywhere: each hop travels to its loop, and back when that loop is ready ---- */

static void hop_arrived(struct loop_post *post)
{
	struct scsi_everywhere_hop *hop = container_of(post, struct scsi_everywhere_hop, post);
	struct scsi_everywhere *e = hop->e;

	if (--e->left == 0)
		e->done(e);
}

void scsi_everywhere_ready(struct scsi_everywhere_hop *hop)
{
	hop->post.run = hop_arrived;
	loop_post(hop->e->origin, &hop->post);
}

static void hop_visit(struct scsi_everywhere_hop *hop)
{
	struct scsi_everywhere *e = hop->e;

	e->each(e, e->domain->member[hop->index].loop);
	if (!hop->held)
		scsi_everywhere_ready(hop);
}

static void hop_run(struct loop_post *post)
{
	hop_visit(container_of(post, struct scsi_everywhere_hop, post));
}

static struct scsi_everywhere_hop *hop_init(struct scsi_everywhere *e, unsigned index)
{
	struct scsi_everywhere_hop *hop = &e->hop[index];

	hop->e = e;
	hop->index = index;
	hop->held = false;
	list_init(&hop->node);
	return hop;
}

void scsi_everywhere_from(
	struct scsi_domain *domain, struct loop *loop, struct scsi_everywhere *e, bool only_here)
{
	unsigned mine = scsi_member_of(domain, loop)->index;

	e->domain = domain;
	e->origin = loop;
	e->left = only_here ? 1 : domain->count;
	for (unsigned i = 0; i < domain->count && !only_here; i++) {
		struct scsi_everywhere_hop *hop = hop_init(e, i);

		hop->post.run = hop_run;
		if (i != mine)
			loop_post(domain->member[i].loop, &hop->post);
	}
	hop_visit(hop_init(e, mine));
}

void scsi_everywhere(struct scsi_domain *domain, struct scsi_everywhere *e)
{
	own_assert(loop_self());
	scsi_everywhere_from(domain, loop_self(), e, false);
}

struct scsi_everywhere_hop *scsi_everywhere_hold(struct scsi_everywhere *e, struct loop *loop)
{
	struct scsi_everywhere_hop *hop = &e->hop[scsi_member_of(e->domain, loop)->index];

	hop->held = true;
	return hop;
}

/* ---- unit attentions, SAM-5 5.14 ---- */

void scsi_itl_attention(struct scsi_itl *itl, uint16_t code)
{
	unsigned at = itl->ua_count;

	for (unsigned i = 0; i < itl->ua_count; i++)
		if (itl->ua[i] == code)
			return;
	/* A reset is told before what it made moot (SAM-5 5.14.1, preference levels), and some
	 * initiators take nothing but POWER ON as a session's first. */
	if (code >> 8 == 0x29)
		at = itl->ua_count && itl->ua[0] == UA_POWER_ON ? 1 : 0;
	if (itl->ua_count == SCSI_UA_MAX) {
		if (at == itl->ua_count)
			return;
		itl->ua_count--;
	}
	memmove(&itl->ua[at + 1], &itl->ua[at], (itl->ua_count - at) * sizeof *itl->ua);
	itl->ua[at] = code;
	itl->ua_count++;
}

static uint32_t medium_loads(const struct scsi_lun *lun)
{
	return __atomic_load_n(&lun->medium, __ATOMIC_RELAXED) >> 1;
}

void scsi_itl_look(struct scsi_itl *itl)
{
	uint32_t loads = medium_loads(itl->lun);

	if (itl->medium_seen == loads)
		return;
	itl->medium_seen = loads;
	scsi_itl_attention(itl, UA_MEDIUM_CHANGED);
}

void scsi_nexus_attention(struct scsi_nexus *nexus, struct scsi_lun *lun, uint16_t code)
{
	for (unsigned i = 0; i < nexus->itl_count; i++)
		if (nexus->itl[i].lun == lun)
			scsi_itl_attention(&nexus->itl[i], code);
}

void scsi_itl_init(
	struct scsi_nexus *nexus, struct scsi_itl *itl, const struct scsi_map_entry *entry)
{
	itl->flow = scsi_flow_new(nexus, entry->number, entry->lun);
	itl->lun = entry->lun;
	itl->readonly = scsi_entry_readonly(entry);
	itl->medium_seen = medium_loads(entry->lun);
	scsi_itl_attention(itl, UA_POWER_ON);
	scsi_order_init(itl);
}

static void itl_forget(struct scsi_itl *itl, uint16_t code)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < itl->ua_count; i++)
		if (itl->ua[i] != code)
			itl->ua[kept++] = itl->ua[i];
	itl->ua_count = (uint8_t)kept;
}

void scsi_nexus_forget(struct scsi_nexus *nexus, uint16_t code)
{
	for (unsigned i = 0; i < nexus->itl_count; i++)
		itl_forget(&nexus->itl[i], code);
}

uint16_t scsi_itl_take(struct scsi_itl *itl)
{
	uint16_t code;

	if (!itl->ua_count)
		return 0;
	code = itl->ua[0];
	itl->ua_count--;
	memmove(&itl->ua[0], &itl->ua[1], itl->ua_count * sizeof *itl->ua);
	return code;
}

/* ---- the nexus ---- */

/* Every loop knows of the writes that are left; what it has reserved by SPC-2 ends (SAM-5 6.3.4).
 */
static void nexus_parts(void *arg)
{
	struct scsi_nexus *nexus = arg;

	if (scsi_res_leaves(nexus, nexus_parts))
		return;
	nexus->parting = false;
	if (nexus->task_count)
		nexus->parted(nexus);
	else
		scsi_nexus_task_gone(nexus);
}

static void nexus_overdue(struct loop_timer *timer)
{
	struct scsi_nexus *nexus = container_of(timer, struct scsi_nexus, patience);
	unsigned left;

	if (!nexus->task_count)
		return;
	if (!scsi_ghost_only(nexus)) {
		loop_timer_set(nexus->loop, timer, SCSI_NEXUS_PATIENCE_MS);
		return;
	}
	nexus->parting = nexus->ghosts = true;
	left = scsi_ghost_part(nexus, nexus_parts);
	if (log_limit_ok(&nexus->member->log_limit))
		log_warn("scsi: a session is over, volumes keep its requests",
			"initiator=%s target=%s requests=%u", nexus->initiator,
			scsi_target_iqn(nexus->target), left);
}

void scsi_nexus_open(struct scsi_nexus *nexus, struct scsi_domain *domain, struct loop *loop,
	struct scsi_target *target, const char *initiator, const struct scsi_port_ops *ops)
{
	memset(nexus, 0, sizeof *nexus);
	nexus->magic = SCSI_NEXUS_MAGIC;
	nexus->domain = domain;
	nexus->loop = loop;
	nexus->target = target;
	nexus->ops = ops;
	snprintf(nexus->initiator, sizeof nexus->initiator, "%s", initiator);
	list_init(&nexus->tasks);
	nexus->map = scsi_map_of(target);
	nexus->itl_count = nexus->map->count;
	nexus->member = scsi_member_of(domain, loop);
	nexus->itl = own_calloc(nexus->itl_count + 1, sizeof *nexus->itl);
	for (unsigned i = 0; i < nexus->itl_count; i++)
		scsi_itl_init(nexus, &nexus->itl[i], &nexus->map->entry[i]);
	scsi_order_init(&nexus->well_known);
	nexus->well_known.flow = scsi_flow_new(nexus, FLOW_NO_LUN, NULL);
	list_push(&nexus->member->nexuses, &nexus->node);
	loop_timer_init(&nexus->patience, nexus_overdue);
	scsi_ghost_look(nexus);
	scsi_res_joined(nexus);
	trace_add(TRACE_nexus_open, nexus->itl_count, 0);
}

/* No task is left: what it has reserved by SPC-2 ends with it (SAM-5 6.3.4), then it is gone. */
static void nexus_end(void *arg)
{
	struct scsi_nexus *nexus = arg;

	/* one that has parted was told of nothing afterwards, its successor was */
	if (!nexus->ghosts && scsi_res_leaves(nexus, nexus_end))
		return;
	loop_timer_cancel(nexus->loop, &nexus->patience);
	list_del(&nexus->node);
	for (unsigned i = 0; i < nexus->itl_count; i++)
		scsi_flow_free(nexus->itl[i].flow);
	scsi_flow_free(nexus->well_known.flow);
	free(own_take(nexus->itl));
	free(own_take(nexus->buffer));
	free(own_take(nexus->copies));
	nexus->magic = 0;
	nexus->drained(nexus);
}

static void nexus_gone(struct loop_post *post)
{
	nexus_end(container_of(post, struct scsi_nexus, gone));
}

void scsi_nexus_task_gone(struct scsi_nexus *nexus)
{
	if (!list_empty(&nexus->member->held))
		scsi_tmf_recheck(nexus->member);
	if (nexus->closing && nexus->task_count == 0 && !nexus->parting && !nexus->gone.run) {
		nexus->gone.run = nexus_gone;
		loop_post(nexus->loop, &nexus->gone);
	}
}

void scsi_nexus_close(struct scsi_nexus *nexus, void (*drained)(struct scsi_nexus *nexus))
{
	own_assert(nexus->magic == SCSI_NEXUS_MAGIC && !nexus->closing);
	nexus->closing = true;
	trace_add(TRACE_nexus_close, nexus->task_count, 0);
	for (unsigned i = 0; i < nexus->itl_count; i++) /* SBC-3 4.15 */
		scsi_itl_allow(&nexus->itl[i]);
	nexus->drained = drained;
	list_for_each_safe (it, &nexus->tasks) {
		scsi_task_abort(container_of(it, struct scsi_task, node));
	}
	if (nexus->parted)
		loop_timer_set(nexus->loop, &nexus->patience, SCSI_NEXUS_PATIENCE_MS);
	scsi_nexus_task_gone(nexus);
}

/* SAM-5 4.7: a LUN field of eight bytes with one level; -1 when it names nothing that can be. */
static int lun_number(const uint8_t f[8])
{
	if (be16_load(f + 2) | be32_load(f + 4))
		return -1;
	switch (f[0] >> 6) {
	case 0: /* SAM-5 4.7.7.1: peripheral device addressing, bus 0 */
		return f[0] == 0 ? f[1] : -1;
	case 1: /* SAM-5 4.7.7.2: flat space addressing */
		return be16_load(f) & 0x3fff;
	default:
		return -1;
	}
}

struct scsi_itl *scsi_nexus_find(struct scsi_nexus *nexus, const uint8_t lun_field[8])
{
	static const uint8_t report_luns[8] = { 0xc1, 0x01 }; /* SPC-4 8.2, SAM-5 4.7.7.5.1 */
	int number = lun_number(lun_field);
	int place;

	if (number < 0)
		return memcmp(lun_field, report_luns, 8) ? NULL : &nexus->well_known;
	place = scsi_map_place(nexus->map, (uint16_t)number);
	return place < 0 ? NULL : &nexus->itl[place];
}
