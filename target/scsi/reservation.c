/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a request: by a post to the home loop, through its queue to the rules, to the disk
 * when it has to last, over all loops, and back with the answer. A request that is refused, or that
 * changes nothing, turns back at the rules; one that cannot be saved turns back at the disk.
 */
#include "target/scsi/reservation.h"

#include "target/scsi/reservation_home.h"

#include "common/own.h"
#include "common/trace.h"
#include "common/stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void home_next(struct scsi_reservation *res);

/* ---- requests ---- */

struct res_request *res_request_new(
	struct scsi_lun *lun, const struct scsi_nexus *nexus, enum res_action action)
{
	struct res_request *req = calloc(1, sizeof *req);

	if (!req)
		return NULL;
	req->lun = lun;
	req->res = lun->res;
	req->action = action;
	req->nexus = nexus;
	if (nexus)
		res_nexus_name(&req->who, nexus);
	return req;
}

void res_request_free(struct res_request *req)
{
	free(req->victim);
	free(req->out.id);
	free(req->text);
	free(req);
}

static void request_arrived(struct loop_post *post)
{
	struct res_request *req = container_of(post, struct res_request, post);

	list_push(&req->res->queue, &req->node);
	home_next(req->res);
}

void res_request_submit(struct res_request *req, struct loop *loop)
{
	scsi_lun_get(req->lun);
	req->origin = loop;
	req->post.run = request_arrived;
	loop_post(req->res->home, &req->post);
}

static void request_back(struct loop_post *post)
{
	struct res_request *req = container_of(post, struct res_request, post);

	scsi_lun_put(req->lun);
	req->done(req);
}

/* Sends it back to who asked; from here on it is not ours. */
static void request_answer(struct res_request *req)
{
	req->post.run = request_back;
	loop_post(req->origin, &req->post);
}

/* ---- one loop takes the new state over ---- */

static struct res_request *request_of(struct scsi_everywhere *e)
{
	return container_of(e, struct res_request, everywhere);
}

/* The unit attentions that wait for a nexus. */
static void nexus_told(struct scsi_itl *itl, const struct res_state *s,
	const struct res_nexus *name, struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < s->note_count; i++) {
		struct res_note *note = s->note[i];

		if (!res_nexus_same(&note->who, name) ||
			__atomic_exchange_n(&note->given, true, __ATOMIC_ACQ_REL))
			continue;
		scsi_nexus_attention(nexus, itl->lun, note->code);
	}
}

/* Brings the nexus's view of one reservation, or of all (NULL), up to date. */
static void nexus_update(struct scsi_nexus *nexus, const struct scsi_reservation *res)
{
	unsigned place = nexus->member->index;
	struct res_nexus name;

	res_nexus_name(&name, nexus);
	for (unsigned i = 0; i < nexus->itl_count; i++) {
		struct scsi_itl *itl = &nexus->itl[i];
		const struct res_state *s = itl->lun->res->view[place];

		if (res && itl->lun->res != res)
			continue;
		itl->needs = res_state_needs(s, nexus, &name);
		if (!nexus->closing)
			nexus_told(itl, s, &name, nexus);
	}
}

/* Whether the request ends the tasks of this nexus, SPC-4 5.13.11.2.6. */
static bool request_fells(const struct res_request *req, const struct scsi_nexus *nexus)
{
	const struct res_state *old = req->res->state;
	const struct res_registrant *reg;
	struct res_nexus name;

	if (req->action != RES_OUT_PREEMPT_ABORT)
		return false;
	res_nexus_name(&name, nexus);
	reg = res_state_find(old, &name);
	return reg && req->victim[reg - old->reg];
}

/* Whether it ends this task, of a nexus whose tasks it ends. */
static bool request_ends(const struct res_request *req, const struct scsi_task *task)
{
	return task != req->task && task->lun && task->lun->res == req->res;
}

static void nexus_fell(const struct res_request *req, struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < nexus->itl_count; i++)
		if (nexus->itl[i].lun->res == req->res)
			scsi_itl_allow(&nexus->itl[i]); /* SPC-4 5.13.11.2.6 h) */
	list_for_each_safe (t, &nexus->tasks) {
		struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (!request_ends(req, task))
			continue;
		if (task->request) /* it waits behind us */
			task->request->dropped = true;
		scsi_task_abort(task);
	}
}

/* Whether a task of this nexus can still touch the volume. One whose request waits in the queue
 * behind this one cannot, and must not be waited for. */
static bool nexus_falls(const struct res_request *req, const struct scsi_nexus *nexus)
{
	list_for_each (t, &nexus->tasks) {
		const struct scsi_task *task = container_of(t, struct scsi_task, node);

		if (request_ends(req, task) && task->abort_wanted && !task->request)
			return true;
	}
	return false;
}

static bool publish_waits(struct scsi_everywhere *e, const struct scsi_member *m)
{
	const struct res_request *req = request_of(e);

	list_for_each (n, &m->nexuses) {
		const struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		if (request_fells(req, nexus) && nexus_falls(req, nexus))
			return true;
	}
	return false;
}

static void publish_each(struct scsi_everywhere *e, struct loop *loop)
{
	struct res_request *req = request_of(e);
	struct scsi_reservation *res = req->res;
	struct scsi_member *m = scsi_member_of(e->domain, loop);

	res->view[m->index] = req->next;
	list_for_each (n, &m->nexuses) {
		struct scsi_nexus *nexus = container_of(n, struct scsi_nexus, node);

		nexus_update(nexus, res);
		if (request_fells(req, nexus))
			nexus_fell(req, nexus);
	}
	if (publish_waits(e, m))
		list_push(&m->held, &scsi_everywhere_hold(e, loop)->node);
}

/* ---- the home loop ---- */

static void home_over(struct scsi_reservation *res)
{
	struct res_request *req = own_take(res->now);

	request_answer(req);
	home_next(res);
}

/* Whoever was fenced, and whoever looks for the reason, finds a line. */
static void tell_log(struct res_request *req)
{
	static const char *const names[] = {
		[RES_OUT_CLEAR] = "CLEAR",
		[RES_OUT_PREEMPT] = "PREEMPT",
		[RES_OUT_PREEMPT_ABORT] = "PREEMPT AND ABORT",
		[RES_OUT_REPLACE_LOST] = "REPLACE LOST RESERVATION",
		[RES_WIPE] = "reservation clear",
	};
	const char *name = req->action < own_array_len(names) ? names[req->action] : NULL;

	if (name && log_limit_ok(&req->res->log_limit))
		log_info("scsi: reservations changed by force",
			"volume=%s by=%s action=\"%s\" registrants=%u", vol_name(req->res->vol),
			req->who.initiator, name, req->res->state->count);
}

/* Every loop has the new state, so nobody looks at the old one any more. */
static void publish_done(struct scsi_everywhere *e)
{
	struct res_request *req = request_of(e);
	struct scsi_reservation *res = req->res;
	struct res_state *old = res->state;

	res->state = own_take(req->next);
	res_state_free(old, res->state);
	trace_add(TRACE_reservation_changed, res->state->count, res->state->type);
	tell_log(req);
	home_over(res);
}

static void home_publish(struct res_request *req)
{
	struct scsi_reservation *res = req->res;

	req->everywhere.each = publish_each;
	req->everywhere.waits = publish_waits;
	req->everywhere.done = publish_done;
	scsi_everywhere_from(res->domain, res->home, &req->everywhere, false);
}

static int save_run(struct loop_io *io)
{
	const struct res_request *req = container_of(io, struct res_request, io);

	return res_place_save(&req->res->place, req->text);
}

/* SPC-4 5.13.5.1: what cannot be kept is not promised. */
static void save_done(struct loop_io *io, int err)
{
	struct res_request *req = container_of(io, struct res_request, io);
	struct scsi_reservation *res = req->res;

	if (!err) {
		res->serial++;
		home_publish(req);
		return;
	}
	log_error("reservations cannot be saved: the command is refused",
		"volume=%s path=%s error=\"%s\"", vol_name(res->vol), res_place_name(&res->place),
		strerror(-err));
	res_state_free(own_take(req->next), res->state);
	req->result = RES_REFUSED;
	req->cause = sense_cause(err == -ENOSPC || err == -EDQUOT ? SENSE_REGISTRATION_RESOURCES
								  : SENSE_INTERNAL_FAILURE);
	home_over(res);
}

static void home_save(struct res_request *req)
{
	struct scsi_reservation *res = req->res;
	struct vol_info info = vol_info(res->vol);

	req->text = res_file_build(req->next, info.uuid, res->serial + 1);
	if (req->text)
		loop_io_call(res->home, &req->io, NULL, save_run, save_done);
	else
		save_done(&req->io, -ENOMEM);
}

/* Whether the file has to follow. */
static bool must_last(const struct res_state *old, const struct res_request *req)
{
	return (req->action <= RES_OUT_REPLACE_LOST || req->action == RES_WIPE) &&
	       (old->aptpl || req->next->aptpl || old->lost);
}

/* The next in the queue, until one takes its time. */
static void home_next(struct scsi_reservation *res)
{
	struct list *node;

	while (!res->now && (node = list_pop(&res->queue))) {
		struct res_request *req = container_of(node, struct res_request, node);

		if (!req->dropped)
			res_apply(res->state, req);
		if (!req->next) {
			request_answer(req);
			continue;
		}
		res->now = req;
		if (res_place_lasts(&res->place) && must_last(res->state, req))
			home_save(req);
		else
			home_publish(req);
	}
}

/* ---- made and freed ---- */

static struct scsi_reservation *find_volume(const struct scsi_domain *domain, const struct vol *vol)
{
	list_for_each (n, &domain->reservations) {
		struct scsi_reservation *res = container_of(n, struct scsi_reservation, node);

		if (res->vol == vol)
			return res;
	}
	return NULL;
}

/* SPC-4 5.13.5.3: what cannot be read is lost, which is not the same as that there was none. */
static struct res_state *load(struct scsi_reservation *res)
{
	struct vol_info info = vol_info(res->vol);
	struct res_state *s = NULL;
	int err = 0;

	if (res_place_lasts(&res->place))
		s = res_place_load(&res->place, info.uuid, &res->serial, &err);
	if (s)
		return s;
	s = res_state_new();
	own_assert(s);
	s->lost = err;
	if (err)
		log_error("persistent reservations of a volume are lost: it takes no command but "
			  "REPLACE LOST RESERVATION",
			"volume=%s path=%s", vol_name(res->vol), res_place_name(&res->place));
	return s;
}

struct scsi_reservation *scsi_res_get(struct scsi_domain *domain, const struct scsi_lun_conf *conf)
{
	struct vol *vol = conf->vol;
	struct scsi_reservation *res;

	scsi_domain_lock(domain);
	res = find_volume(domain, vol);
	scsi_domain_unlock(domain);
	if (res) {
		res->users++;
		return res;
	}
	res = own_calloc(1, sizeof *res);
	res->users = 1;
	res->domain = domain;
	res->vol = vol;
	res->home = domain->member[0].loop;
	list_init(&res->queue);
	res_place_init(&res->place, conf);
	res->state = load(res);
	for (unsigned i = 0; i < domain->count; i++)
		res->view[i] = res->state;
	scsi_domain_lock(domain);
	list_push(&domain->reservations, &res->node);
	scsi_domain_unlock(domain);
	return res;
}

void scsi_res_put(struct scsi_reservation *res)
{
	if (!res || --res->users)
		return;
	own_assert(!res->now && list_empty(&res->queue));
	scsi_domain_lock(res->domain);
	list_del(&res->node);
	scsi_domain_unlock(res->domain);
	res_state_free(res->state, NULL);
	res_place_fini(&res->place);
	free(res);
}

/* ---- questions ---- */

bool scsi_res_lasting(const struct scsi_reservation *res)
{
	return res_place_lasts(&res->place);
}

const struct res_state *scsi_res_view(
	const struct scsi_reservation *res, const struct scsi_member *m)
{
	return res->view[m->index];
}

const struct res_state *scsi_res_view_of(const struct scsi_task *task)
{
	return scsi_res_view(task->lun->res, task->nexus->member);
}

bool res_target_reaches(const struct scsi_target *target, const struct scsi_reservation *res)
{
	const struct scsi_map *map = scsi_map_of(target);

	for (unsigned i = 0; i < map->count; i++)
		if (map->entry[i].lun->res == res)
			return true;
	return false;
}

const struct scsi_target *res_port_find(const struct scsi_reservation *res, uint16_t rel_port)
{
	const struct scsi_target *found = NULL;

	scsi_domain_lock(res->domain);
	list_for_each (n, &res->domain->targets) {
		const struct scsi_target *t = container_of(n, struct scsi_target, node);

		if (t->rel_port == rel_port && res_target_reaches(t, res))
			found = t;
	}
	scsi_domain_unlock(res->domain);
	return found;
}

/* ---- for the administrator ---- */

struct res_state *scsi_res_copy(struct scsi_domain *domain, const struct vol *vol)
{
	const struct scsi_reservation *res;
	struct res_state *s = NULL;

	scsi_domain_lock(domain);
	res = find_volume(domain, vol);
	if (res) {
		s = res_state_copy(res->state, 0);
		own_assert(s);
		s->note_count = 0; /* they are shared */
	}
	scsi_domain_unlock(domain);
	return s;
}

/* A unit of the volume that is not about to be freed: its channel here is still to be closed. */
static struct scsi_lun *find_unit(const struct scsi_domain *domain, const struct vol *vol)
{
	list_for_each (n, &domain->luns) {
		struct scsi_lun *lun = container_of(n, struct scsi_lun, node);

		if (lun->vol == vol && lun->chan[0])
			return lun;
	}
	return NULL;
}

struct res_request *scsi_res_wipe(struct scsi_domain *domain, const struct vol *vol)
{
	struct res_request *req = NULL;
	struct scsi_lun *lun;

	scsi_domain_lock(domain);
	lun = find_unit(domain, vol);
	if (lun) {
		req = res_request_new(lun, NULL, RES_WIPE);
		own_assert(req);
		strcpy(req->who.initiator, "administrator");
	}
	scsi_domain_unlock(domain);
	return req;
}

/* ---- commands that meet a reservation ---- */

/* SBC-3 table 13: START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL pass by what they ask for. */
static unsigned passes_by_cdb(const struct scsi_task *task)
{
	if ((task->cmd->passes & PASS_IF_START) && (task->cdb[4] & 0xf1) == 0x01)
		return RES_ALWAYS;
	if ((task->cmd->passes & PASS_IF_ALLOW) && !(task->cdb[4] & 0x03))
		return RES_CAPACITY;
	return 0;
}

static void count_conflict(unsigned missing)
{
	if (missing & PASS_LOST)
		stat_add(STAT_scsi_conflicts_lost, 1);
	else if (missing & PASS_SPC2)
		stat_add(STAT_scsi_conflicts_spc2, 1);
	else if (missing & PASS_WRITE_EXCLUSIVE)
		stat_add(STAT_scsi_conflicts_write_exclusive, 1);
	else
		stat_add(STAT_scsi_conflicts_exclusive_access, 1);
}

bool scsi_res_admit(struct scsi_task *task, unsigned missing)
{
	missing &= ~passes_by_cdb(task);
	if (!missing)
		return true;
	count_conflict(missing);
	if (missing & PASS_LOST) { /* SPC-4 5.13.5.3.2 */
		scsi_task_fail(task, SENSE_RESERVATIONS_LOST);
		return false;
	}
	task->status = SCSI_RESERVATION_CONFLICT; /* SAM-5 5.3.1 */
	scsi_task_end(task);
	return false;
}

void scsi_res_answer(struct scsi_task *task, const struct res_request *req)
{
	if (req->result == RES_REFUSED) {
		scsi_task_fail_cause(task, &req->cause);
		return;
	}
	if (req->result == RES_CONFLICT) {
		stat_add(req->action < RES_SPC2_RESERVE ? STAT_scsi_conflicts_pr_out
							: STAT_scsi_conflicts_spc2,
			1);
		task->status = SCSI_RESERVATION_CONFLICT;
	}
	scsi_task_end(task);
}

/* ---- nexuses come and go ---- */

void scsi_res_joined(struct scsi_nexus *nexus)
{
	nexus_update(nexus, NULL);
}

static void request_then(struct res_request *req)
{
	void (*then)(void *arg) = req->then;
	void *arg = req->arg;

	res_request_free(req);
	then(arg);
}

static bool of_reservations(uint16_t code)
{
	return code == UA_RESERVATIONS_PREEMPTED || code == UA_RESERVATIONS_RELEASED ||
	       code == UA_REGISTRATIONS_PREEMPTED;
}

/* Takes what was not told of reservations out of the queue of unit attentions. */
static unsigned take_codes(struct scsi_itl *itl, uint16_t codes[SCSI_UA_MAX])
{
	unsigned count = 0;

	while (itl->ua_count) {
		uint16_t code = scsi_itl_take(itl);

		if (of_reservations(code))
			codes[count++] = code;
	}
	return count;
}

/* Begins what has to be done about one unit when its nexus leaves; false: nothing. */
static bool leave_unit(struct scsi_nexus *nexus, struct scsi_itl *itl, void (*then)(void *nexus))
{
	const struct res_state *s = itl->lun->res->view[nexus->member->index];
	uint16_t codes[SCSI_UA_MAX];
	unsigned count = take_codes(itl, codes);
	struct res_request *req;

	if (s->spc2 != nexus && !count)
		return false;
	req = res_request_new(itl->lun, nexus, RES_LEAVE);
	own_assert(req); /* what a nexus holds must not stay behind it */
	memcpy(req->codes, codes, sizeof req->codes);
	req->code_count = count;
	req->done = request_then;
	req->then = then;
	req->arg = nexus;
	res_request_submit(req, nexus->loop);
	return true;
}

bool scsi_res_leaves(struct scsi_nexus *nexus, void (*then)(void *nexus))
{
	for (unsigned i = 0; i < nexus->itl_count; i++)
		if (leave_unit(nexus, &nexus->itl[i], then))
			return true;
	return false;
}

/* ---- resets ---- */

bool scsi_res_reset(struct scsi_lun *lun, struct loop *loop, void (*then)(void *arg), void *arg)
{
	const struct scsi_member *m = scsi_member_of(lun->domain, loop);
	struct res_request *req;

	if (!lun->res->view[m->index]->spc2)
		return false;
	req = res_request_new(lun, NULL, RES_SPC2_RESET);
	own_assert(req);
	req->done = request_then;
	req->then = then;
	req->arg = arg;
	res_request_submit(req, loop);
	return true;
}
