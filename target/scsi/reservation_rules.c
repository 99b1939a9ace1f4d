/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request does to the state of a reservation, as SPC-4 5.13 has it: a copy of the state is
 * changed and becomes the next one, or the request is refused and the copy is dropped. Nothing here
 * waits or is seen by others, so each request is one event (SPC-4 5.13.1).
 */
#include "target/scsi/reservation.h"

#include "target/scsi/reservation_home.h"

#include "common/own.h"

#include <string.h>

struct change {
	struct res_request *req;
	const struct res_out *out;
	struct res_state *s;       /* the copy */
	struct res_registrant *me; /* in it, who asks; NULL: not registered */
	bool changed;
};

/* ---- how it ends ---- */

static void conflict(struct change *c)
{
	c->req->result = RES_CONFLICT;
}

static void refuse(struct change *c, enum scsi_sense sense)
{
	c->req->result = RES_REFUSED;
	c->req->cause = sense_cause(sense);
}

static void refuse_at(
	struct change *c, enum scsi_pointer pointer, enum scsi_sense sense, unsigned byte, int bit)
{
	refuse(c, sense);
	c->req->cause.pointer = pointer;
	c->req->cause.byte = (uint16_t)byte;
	c->req->cause.bit = (int8_t)bit;
}

static void refuse_list(struct change *c, unsigned byte, int bit)
{
	refuse_at(c, POINTER_LIST, SENSE_INVALID_FIELD_IN_LIST, byte, bit);
}

static void refuse_cdb(struct change *c, unsigned byte, int bit)
{
	refuse_at(c, POINTER_CDB, SENSE_INVALID_FIELD_IN_CDB, byte, bit);
}

/* SPC-4 6.15.2: PRGENERATION counts what changes registrations. */
static void registrations_changed(struct change *c)
{
	c->s->generation++;
	c->changed = true;
}

/* ---- unit attentions ---- */

static void note(struct change *c, const struct res_nexus *who, uint16_t code)
{
	if (!res_state_note(c->s, who, code))
		refuse(c, SENSE_REGISTRATION_RESOURCES);
}

/* For every registrant but the one who asks. */
static void note_others(struct change *c, uint16_t code)
{
	for (unsigned i = 0; i < c->s->count; i++)
		if (!res_nexus_same(&c->s->reg[i].who, &c->req->who))
			note(c, &c->s->reg[i].who, code);
}

/* ---- parts that several have ---- */

static bool holder_is_there(const struct res_state *s)
{
	for (unsigned i = 0; i < s->count; i++)
		if (res_state_holds(s, &s->reg[i]))
			return true;
	return false;
}

/* SPC-4 5.13.10 and 5.13.11.2.3: a reservation without a holder is released. */
static void release_without_holder(struct change *c)
{
	uint8_t type = c->s->type;

	if (!type || holder_is_there(c->s))
		return;
	c->s->type = RES_NONE;
	if (res_type_registrants(type))
		note_others(c, UA_RESERVATIONS_RELEASED);
}

/* Makes the one who asks the holder. */
static void establish(struct change *c, uint8_t type)
{
	for (unsigned i = 0; i < c->s->count; i++)
		c->s->reg[i].holds = false;
	c->s->type = type;
	c->me->holds = !res_type_all(type);
	c->changed = true;
}

/* SCOPE and TYPE of the CDB name a reservation that can be. */
static bool check_type(struct change *c)
{
	if (c->out->scope != 0) /* SPC-4 6.15.3.3: LU_SCOPE */
		refuse_cdb(c, 2, 7);
	else if (!res_type_valid(c->out->type))
		refuse_cdb(c, 2, 3);
	else
		return true;
	return false;
}

/* SPC-4 5.13.7, 6.16.3: what only registrants may ask, with the key that they registered. */
static bool check_key(struct change *c)
{
	if (c->me && c->me->key == c->out->key)
		return true;
	conflict(c);
	return false;
}

/* ---- REGISTER and REGISTER AND IGNORE EXISTING KEY, SPC-4 5.13.7 ---- */

/* Sets, changes or removes the registration of one nexus. */
static void register_one(struct change *c, const struct res_nexus *who)
{
	struct res_registrant *reg = res_state_find(c->s, who);

	if (!c->out->action_key) {
		if (reg)
			res_state_remove(c->s, reg);
		return;
	}
	if (reg)
		reg->key = c->out->action_key;
	else if (c->s->count < RES_REGISTRANTS_MAX)
		res_state_add(c->s, who, c->out->action_key);
	else
		refuse(c, SENSE_REGISTRATION_RESOURCES);
}

/* The next target port through which a registration is made; `at` NULL: the first. */
static const struct scsi_target *port_next(const struct change *c, const struct scsi_target *at)
{
	const struct scsi_reservation *res = c->req->res;
	const struct list *head = &res->domain->targets;
	const struct list *n = at ? at->node.next : head->next;

	for (; n != head; n = n->next) {
		const struct scsi_target *t = container_of(n, struct scsi_target, node);

		if (res_target_reaches(t, res) &&
			(c->out->all_tg_pt || t->rel_port == c->req->who.rel_port))
			return t;
	}
	return NULL;
}

static void name_at(struct res_nexus *who, const char *initiator, const struct scsi_target *t)
{
	memset(who, 0, sizeof *who);
	memcpy(who->initiator, initiator, sizeof who->initiator);
	memcpy(who->target, t->port_name, strlen(t->port_name));
	who->rel_port = t->rel_port;
}

/* SPC-4 6.16.3: a list is registered as a whole or not at all, through each port. */
static void register_listed(struct change *c, const struct scsi_target *t)
{
	struct res_nexus who;

	for (unsigned i = 0; i < c->out->id_count && c->req->result == RES_GOOD; i++) {
		name_at(&who, c->out->id[i], t);
		if (res_nexus_same(&who, &c->req->who) || res_state_find(c->s, &who))
			refuse_list(c, 28, 7); /* SPC-4 table 67, note b */
		else
			register_one(c, &who);
	}
}

/* With ALL_TG_PT: as if it had come through that port as well. */
static void register_port(struct change *c, const struct scsi_target *t, bool ignore)
{
	const struct res_registrant *reg;
	struct res_nexus who;

	name_at(&who, c->req->who.initiator, t);
	reg = res_state_find(c->s, &who);
	if (reg && !ignore && reg->key != c->out->key)
		conflict(c);
	else if (c->out->spec_i_pt)
		register_listed(c, t);
	if (c->req->result == RES_GOOD)
		register_one(c, &who);
}

static void apply_register(struct change *c, bool ignore)
{
	uint64_t key = c->me ? c->me->key : 0;

	if (!ignore && c->out->key != key) { /* SPC-4 table 67 */
		conflict(c);
		return;
	}
	if (c->me && c->out->spec_i_pt) {
		refuse_list(c, 20, 3);
		return;
	}
	if (!c->me && !c->out->action_key)
		return;
	scsi_domain_lock(c->req->res->domain);
	for (const struct scsi_target *t = port_next(c, NULL); t && c->req->result == RES_GOOD;
		t = port_next(c, t))
		register_port(c, t, ignore);
	scsi_domain_unlock(c->req->res->domain);
	c->s->aptpl = c->out->aptpl;
	release_without_holder(c);
	registrations_changed(c);
}

/* ---- RESERVE, RELEASE, CLEAR ---- */

/* SPC-4 5.13.9 */
static void apply_reserve(struct change *c)
{
	if (!check_key(c) || !check_type(c))
		return;
	if (!c->s->type)
		establish(c, c->out->type);
	else if (!res_state_holds(c->s, c->me) || c->s->type != c->out->type)
		conflict(c);
}

/* SPC-4 5.13.11.2.2 */
static void apply_release(struct change *c)
{
	uint8_t type = c->s->type;

	if (!check_key(c) || !check_type(c) || !res_state_holds(c->s, c->me))
		return;
	if (type != c->out->type) {
		refuse(c, SENSE_INVALID_RELEASE);
		return;
	}
	c->s->type = RES_NONE;
	c->me->holds = false;
	c->changed = true;
	if (res_type_registrants(type))
		note_others(c, UA_RESERVATIONS_RELEASED);
}

/* SPC-4 5.13.11.2.7 */
static void apply_clear(struct change *c)
{
	if (!check_key(c))
		return;
	note_others(c, UA_RESERVATIONS_PREEMPTED);
	c->s->count = 0;
	c->s->type = RES_NONE;
	registrations_changed(c);
}

/* ---- PREEMPT and PREEMPT AND ABORT, SPC-4 5.13.11.2.4 ---- */

/* Whether the key stands for this registrant; 0: for all of them. */
static bool key_names(uint64_t key, const struct res_registrant *reg)
{
	return !key || reg->key == key;
}

/* SPC-4 table 72: whether the reservation itself is preempted. */
static bool preempts_reservation(const struct res_state *s, uint64_t key)
{
	if (!s->type || res_type_all(s->type))
		return s->type && !key;
	for (unsigned i = 0; i < s->count; i++)
		if (s->reg[i].holds)
			return s->reg[i].key == key;
	return false;
}

static bool anybody_named(const struct res_state *s, uint64_t key)
{
	for (unsigned i = 0; i < s->count; i++)
		if (key_names(key, &s->reg[i]))
			return true;
	return false;
}

/* Removes whom the key names; who asks stays when `keep_me`. */
static void remove_named(struct change *c, uint64_t key, bool keep_me)
{
	unsigned i = 0, at = 0;

	for (; i < c->s->count; at++) {
		struct res_registrant *reg = &c->s->reg[i];
		bool mine = res_nexus_same(&reg->who, &c->req->who);

		c->req->victim[at] = key_names(key, reg);
		if (!c->req->victim[at] || (mine && keep_me)) {
			i++;
			continue;
		}
		if (!mine)
			note(c, &reg->who, UA_REGISTRATIONS_PREEMPTED);
		res_state_remove(c->s, reg);
	}
}

static bool check_preempt(struct change *c)
{
	const struct res_state *s = c->s;
	uint64_t key = c->out->action_key;

	if (!check_key(c))
		return false;
	if (!key && s->type && !res_type_all(s->type)) { /* SPC-4 table 72 */
		refuse_list(c, 8, 7);
		return false;
	}
	if ((!key && !s->type) || !anybody_named(s, key)) { /* SPC-4 5.13.11.2.5 */
		conflict(c);
		return false;
	}
	return !preempts_reservation(s, key) || check_type(c);
}

static void apply_preempt(struct change *c)
{
	uint64_t key = c->out->action_key;
	uint8_t type = c->s->type;
	bool whole;

	if (!check_preempt(c))
		return;
	c->req->victim = calloc(c->s->count, sizeof *c->req->victim);
	if (!c->req->victim) {
		refuse(c, SENSE_REGISTRATION_RESOURCES);
		return;
	}
	whole = preempts_reservation(c->s, key);
	remove_named(c, key, whole);
	registrations_changed(c);
	if (!whole) {
		release_without_holder(c);
		return;
	}
	c->me = res_state_find(c->s, &c->req->who);
	establish(c, c->out->type);
	if (type != c->out->type)
		note_others(c, UA_RESERVATIONS_RELEASED);
}

/* ---- REGISTER AND MOVE, SPC-4 5.13.8 ---- */

static bool check_move(struct change *c, struct res_nexus *to)
{
	const struct scsi_target *t = res_port_find(c->req->res, c->out->rel_port);

	if (!check_key(c))
		return false;
	if (!c->s->type) {
		refuse_cdb(c, 1, 4);
		return false;
	}
	if (res_type_all(c->s->type) || !c->me->holds) {
		conflict(c);
		return false;
	}
	if (!c->out->action_key) /* SPC-4 table 70 */
		refuse_list(c, 8, 7);
	else if (!t)
		refuse_list(c, 18, 7);
	else if (!strcmp(c->out->id[0], c->req->who.initiator))
		refuse_list(c, 24, 7);
	else if (c->s->count == RES_REGISTRANTS_MAX)
		refuse(c, SENSE_REGISTRATION_RESOURCES);
	if (c->req->result != RES_GOOD)
		return false;
	name_at(to, c->out->id[0], t);
	return true;
}

static void apply_move(struct change *c)
{
	struct res_registrant *reg;
	struct res_nexus to;

	if (!check_move(c, &to))
		return;
	register_one(c, &to);
	c->me = res_state_find(c->s, &c->req->who);
	c->me->holds = false;
	reg = res_state_find(c->s, &to);
	reg->holds = true;
	if (c->out->unreg)
		res_state_remove(c->s, c->me);
	c->s->aptpl = c->out->aptpl;
	registrations_changed(c);
}

/* ---- REPLACE LOST RESERVATION, SPC-4 5.13.11.3 ---- */

static void apply_replace(struct change *c)
{
	if (!c->s->lost) {
		if (c->s->type && !c->me) /* SPC-4 table 66 */
			conflict(c);
		else
			refuse(c, SENSE_INVALID_RELEASE);
		return;
	}
	if (!check_type(c))
		return;
	if (c->out->key || !c->out->action_key) {
		refuse_list(c, c->out->key ? 0 : 8, 7);
		return;
	}
	c->s->count = 0;
	c->me = res_state_add(c->s, &c->req->who, c->out->action_key);
	establish(c, c->out->type);
	c->s->aptpl = c->out->aptpl;
	c->s->generation = 0;
	c->s->lost = false;
}

/* ---- RESERVE and RELEASE of SPC-2 ---- */

/* SPC-4 5.13.3: whom a persistent reservation lets in anyway is answered as if all were well. */
static bool compatible(const struct change *c)
{
	return c->s->type && c->me && (c->me->holds || res_type_registrants(c->s->type));
}

static void apply_spc2(struct change *c, bool reserve)
{
	const struct scsi_nexus *nexus = c->req->nexus;

	if (compatible(c))
		return;
	if (c->s->count || (reserve && c->s->spc2 && c->s->spc2 != nexus)) { /* SPC-2 5.5.1 */
		conflict(c);
		return;
	}
	if (reserve)
		c->changed = c->s->spc2 != nexus;
	else
		c->changed = c->s->spc2 == nexus; /* SPC-2 7.17: another's is left alone */
	if (c->changed)
		c->s->spc2 = reserve ? nexus : NULL;
	if (c->changed && reserve)
		c->s->spc2_who = c->req->who;
}

static void apply_reset(struct change *c)
{
	c->changed = c->s->spc2;
	c->s->spc2 = NULL;
}

/* As CLEAR, for what RESERVE has made and what was lost as well. */
static void apply_wipe(struct change *c)
{
	struct res_state *s = c->s;

	if (s->spc2)
		note(c, &s->spc2_who, UA_RESERVATIONS_PREEMPTED);
	note_others(c, UA_RESERVATIONS_PREEMPTED); /* SPC-4 5.13.11.2.7 */
	if (s->count || s->lost)
		registrations_changed(c);
	c->changed = c->changed || s->spc2;
	s->count = 0;
	s->type = RES_NONE;
	s->spc2 = NULL;
	s->lost = false;
}

/* What the nexus was not told waits for it (SAM-5 5.14); what it has reserved by SPC-2 is free. */
static void apply_leave(struct change *c)
{
	if (c->s->spc2 == c->req->nexus)
		c->s->spc2 = NULL;
	for (unsigned i = 0; i < c->req->code_count; i++)
		note(c, &c->req->who, c->req->codes[i]);
	c->req->result = RES_GOOD;
	c->changed = true;
}

/* ---- all of them ---- */

static void apply_out(struct change *c)
{
	/* SPC-2 5.5.1: the two ways do not mix */
	if (c->s->spc2) {
		conflict(c);
		return;
	}
	if (c->s->lost && c->req->action != RES_OUT_REPLACE_LOST) { /* SPC-4 5.13.5.3.2 */
		refuse(c, SENSE_RESERVATIONS_LOST);
		return;
	}
	switch (c->req->action) {
	case RES_OUT_REGISTER:
		apply_register(c, false);
		break;
	case RES_OUT_REGISTER_IGNORE:
		apply_register(c, true);
		break;
	case RES_OUT_RESERVE:
		apply_reserve(c);
		break;
	case RES_OUT_RELEASE:
		apply_release(c);
		break;
	case RES_OUT_CLEAR:
		apply_clear(c);
		break;
	case RES_OUT_PREEMPT:
	case RES_OUT_PREEMPT_ABORT:
		apply_preempt(c);
		break;
	case RES_OUT_REGISTER_MOVE:
		apply_move(c);
		break;
	default:
		apply_replace(c);
		break;
	}
}

static void apply(struct change *c)
{
	switch (c->req->action) {
	case RES_SPC2_RESERVE:
	case RES_SPC2_RELEASE:
		apply_spc2(c, c->req->action == RES_SPC2_RESERVE);
		break;
	case RES_SPC2_RESET:
		apply_reset(c);
		break;
	case RES_LEAVE:
		apply_leave(c);
		break;
	case RES_WIPE:
		apply_wipe(c);
		break;
	default:
		apply_out(c);
		break;
	}
}

/* The most registrations that a request can add. */
static unsigned most_added(const struct res_state *old, const struct res_request *req)
{
	unsigned most = (req->out.id_count + 1) * (req->out.all_tg_pt ? UINT16_MAX : 1u);
	unsigned left = RES_REGISTRANTS_MAX - old->count;

	return most < left ? most : left;
}

void res_apply(const struct res_state *old, struct res_request *req)
{
	struct change c = { .req = req, .out = &req->out };

	req->result = RES_GOOD;
	c.s = res_state_copy(old, most_added(old, req));
	if (!c.s) {
		refuse(&c, SENSE_REGISTRATION_RESOURCES);
		return;
	}
	c.me = res_state_find(c.s, &req->who);
	apply(&c);
	if (c.changed && req->result == RES_GOOD)
		req->next = c.s;
	else
		res_state_free(c.s, old);
}
