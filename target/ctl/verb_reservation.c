/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations: persistent ones (SPC-4 5.13) and those of RESERVE (SPC-2 5.5.1). */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/edit.h"
#include "target/reserved.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *type_name(const struct res_state *s)
{
	static const char *const names[] = {
		[RES_NONE] = "none",
		[RES_WRITE_EXCLUSIVE] = "write exclusive",
		[RES_EXCLUSIVE_ACCESS] = "exclusive access",
		[RES_WRITE_EXCLUSIVE_RO] = "write exclusive, registrants only",
		[RES_EXCLUSIVE_ACCESS_RO] = "exclusive access, registrants only",
		[RES_WRITE_EXCLUSIVE_AR] = "write exclusive, all registrants",
		[RES_EXCLUSIVE_ACCESS_AR] = "exclusive access, all registrants",
	};

	if (s->lost)
		return "lost";
	if (s->spc2)
		return "SPC-2 RESERVE";
	return s->type < own_array_len(names) && names[s->type] ? names[s->type] : "unknown";
}

/* "iqn...,i,0x00023d000001" without what is behind the name. Returns owned. */
static char *node_name(const char *port)
{
	const char *end = strstr(port, ",i,0x");

	return end ? strndup(port, (size_t)(end - port)) : own_strdup(port);
}

static void set_node(struct jval *out, const char *key, const char *port)
{
	char *name own_free = node_name(port);

	jval_set_text(out, key, name);
}

static void tell_holder(struct jval *out, const struct res_state *s)
{
	if (s->spc2) {
		set_node(out, "holder", s->spc2_who.initiator);
		return;
	}
	if (res_type_all(s->type)) {
		jval_set_text(out, "holder", "all");
		return;
	}
	for (unsigned i = 0; s->type && i < s->count; i++) {
		if (s->reg[i].holds)
			set_node(out, "holder", s->reg[i].who.initiator);
	}
}

static void tell(struct jval *out, const struct reserved *r)
{
	jval_set_text(out, "volume", r->volume);
	jval_set_text(out, "type", r->state ? type_name(r->state) : "none");
	if (!r->state)
		return;
	tell_holder(out, r->state);
	jval_set_number(out, "generation", r->state->generation);
	jval_set_flag(out, "aptpl", r->state->aptpl);
}

static bool is_anything(const struct res_state *s)
{
	return s && (s->count || s->type || s->spc2 || s->lost);
}

/* False: ctl_fail was called. */
static bool look(struct ctl_call *call, const char *volume, struct reserved_list *list)
{
	if (!reserved_look(call->srv, volume, list))
		return true;
	ctl_fail(call, RPC_BUSY,
		"loop 0, which keeps reservations, does not answer; look into the log of kurad");
	return false;
}

/* The volume of the call, with what is nearest when there is none. */
static bool look_at_one(struct ctl_call *call, struct reserved_list *list)
{
	struct config *cfg = ctl_config(call);
	bool there = ctl_find_volume(call, cfg, ctl_text(call, "volume"));

	cfg_free(cfg);
	*list = (struct reserved_list){ 0 };
	if (!there || !look(call, ctl_text(call, "volume"), list))
		return false;
	if (!list->count)
		ctl_fail(call, RPC_NOT_FOUND, "volume \"%s\": it is not open",
			ctl_text(call, "volume"));
	return list->count;
}

void verb_reservation_list(struct ctl_call *call)
{
	own_cleanup(reserved_free) struct reserved_list list;
	struct jval *out = ctl_list(call);

	if (!look(call, NULL, &list))
		return;
	for (unsigned i = 0; i < list.count; i++) {
		struct jval *one;

		if (!is_anything(list.all[i].state))
			continue;
		one = jval_object();
		tell(one, &list.all[i]);
		jval_set_number(one, "registrants", list.all[i].state->count);
		jval_append(out, one);
	}
}

static struct jval *registrant(const struct res_state *s, const struct res_registrant *reg)
{
	struct jval *one = jval_object();
	const char *isid = strstr(reg->who.initiator, ",i,0x");
	char key[19];

	snprintf(key, sizeof key, "0x%016llx", (unsigned long long)reg->key);
	jval_set_text(one, "key", key);
	set_node(one, "initiator", reg->who.initiator);
	jval_set_text(one, "isid", isid ? isid + 5 : "");
	jval_set_text(one, "target_port", reg->who.target);
	jval_set_flag(one, "holds", res_state_holds(s, reg));
	return one;
}

void verb_reservation_show(struct ctl_call *call)
{
	own_cleanup(reserved_free) struct reserved_list list;
	struct jval *all = NULL;
	const struct res_state *s;

	if (!look_at_one(call, &list))
		return;
	tell(call->result, &list.all[0]);
	s = list.all[0].state;
	all = jval_list();
	for (unsigned i = 0; s && i < s->count; i++)
		jval_append(all, registrant(s, &s->reg[i]));
	jval_set(call->result, "registrants", all);
}

static void clear(struct ctl_call *call, const char *volume)
{
	switch (-reserved_clear(call->srv, volume)) {
	case 0:
	case ENOENT: /* unmapped just now: nothing is left */
		break;
	case ETIMEDOUT:
		ctl_fail(call, RPC_BUSY,
			"volume \"%s\": clearing it is still under way; kura reservation show "
			"says when it is done",
			volume);
		break;
	default:
		ctl_fail(call, RPC_REFUSED,
			"volume \"%s\": what would be left cannot be saved, so nothing has "
			"changed; the log of kurad says why",
			volume);
	}
}

void verb_reservation_clear(struct ctl_call *call)
{
	own_cleanup(reserved_free) struct reserved_list list;
	const struct res_state *s;

	if (!look_at_one(call, &list))
		return;
	s = list.all[0].state;
	if (is_anything(s))
		clear(call, list.all[0].volume);
	jval_set_text(call->result, "volume", list.all[0].volume);
	jval_set_text(call->result, "type", s ? type_name(s) : "none");
	jval_set_number(call->result, "registrants", s ? s->count : 0);
	jval_set_flag(call->result, "changed", is_anything(s));
}
