/* SPDX-License-Identifier: Apache-2.0 */
/* Where initiators connect. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/edit.h"

#include <stdio.h>
#include <string.h>

/* Where it listens, also when the kernel chose the port; 0: nowhere. */
static uint16_t real_port(struct ctl_call *call, const struct cfg_portal *p)
{
	uint16_t port;

	(void)server_view(call->srv);
	port = server_port(call->srv, p);
	server_view_end(call->srv);
	return port;
}

static void answer(struct ctl_call *call, uint16_t port, bool changed)
{
	char *address own_free = own_strdup(ctl_text(call, "address"));
	struct cfg_portal p = { .address = address, .port = port };

	jval_set_text(call->result, "address", address);
	jval_set_number(call->result, "port", real_port(call, &p));
	jval_set_flag(call->result, "changed", changed);
}

static int find(struct ctl_call *call, const struct config *cfg, const struct cfg_portal *like)
{
	for (unsigned i = 0; i < cfg->portal_count; i++) {
		if (!strcmp(cfg->portals[i].address, like->address) &&
			(cfg->portals[i].port == like->port ||
				real_port(call, &cfg->portals[i]) == like->port))
			return (int)i;
	}
	return -1;
}

/* The portal of the call; false after ctl_fail. What it owns is the caller's in both cases. */
static bool portal_of(struct ctl_call *call, const struct config *cfg, struct cfg_portal *p)
{
	cfg_set_defaults(CFG_OBJECT_portal, p);
	p->where = cfg_managed_where(cfg);
	p->port = (uint16_t)ctl_number(call, "port", p->port);
	p->group = (uint16_t)ctl_number(call, "group", p->group);
	return ctl_set(call, CFG_OBJECT_portal, p, "address", ctl_text(call, "address")) &&
	       ctl_set(call, CFG_OBJECT_portal, p, "advertise", ctl_text(call, "advertise"));
}

/* The portal that is there when nobody names one makes room for the first that somebody names. */
static void drop_default(struct config *cfg)
{
	if (cfg->portal_count == 1 && !cfg->portals[0].where.line &&
		!cfg_is_managed(cfg, &cfg->portals[0].where))
		cfg_list_remove(CFG_OBJECT_config, cfg, "portals", 0);
}

/* One that is there is what is asked for, unless something else was asked for it. */
static void answer_there(
	struct ctl_call *call, const struct cfg_portal *there, const struct cfg_portal *wanted)
{
	bool group = ctl_number(call, "group", there->group) == there->group;
	bool told = !wanted->advertise ||
		    (there->advertise && !strcmp(there->advertise, wanted->advertise));

	if (group && told)
		answer(call, wanted->port, false);
	else
		ctl_fail(call, RPC_EXISTS,
			"portal \"%s\" port %u: is there already, with another %s; kura portal "
			"remove, then add it again",
			there->address, wanted->port, group ? "advertise" : "group");
}

void verb_portal_add(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct cfg_portal p = { 0 };
	bool good = portal_of(call, cfg, &p);
	int there = good ? find(call, cfg, &p) : -1;
	uint16_t port;

	if (there >= 0)
		answer_there(call, &cfg->portals[there], &p);
	if (!good || there >= 0) {
		cfg_fini_object(CFG_OBJECT_portal, &p);
		cfg_free(cfg);
		return;
	}
	port = p.port;
	drop_default(cfg);
	cfg_list_add(CFG_OBJECT_config, cfg, "portals", &p);
	if (ctl_commit(call, cfg, false))
		answer(call, port, true);
}

void verb_portal_list(struct ctl_call *call)
{
	struct config *cfg = ctl_config_seen(call);
	struct jval *list = ctl_list(call);

	for (unsigned i = 0; i < cfg->portal_count; i++) {
		const struct cfg_portal *p = &cfg->portals[i];
		struct jval *one = jval_object();

		jval_set_text(one, "address", p->address);
		jval_set_number(one, "port", p->port);
		jval_set_number(one, "group", p->group);
		if (p->advertise)
			jval_set_text(one, "advertise", p->advertise);
		jval_set_flag(one, "managed", cfg_is_managed(cfg, &p->where));
		jval_append(list, one);
	}
	cfg_free(cfg);
}

void verb_portal_remove(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct cfg_portal p = { 0 };
	bool good = portal_of(call, cfg, &p);
	int i = good ? find(call, cfg, &p) : -1;

	if (good && i < 0 && ctl_flag(call, "if_exists")) {
		answer(call, p.port, false);
	} else if (good && i < 0) {
		ctl_fail(call, RPC_NOT_FOUND,
			"portal \"%s\" port %u: there is none; kura portal list", p.address,
			p.port);
	} else if (good && ctl_may_change(call, cfg, &cfg->portals[i].where, "portal", p.address)) {
		cfg_list_remove(CFG_OBJECT_config, cfg, "portals", (unsigned)i);
		if (ctl_commit(call, own_take(cfg), true))
			answer(call, p.port, true);
	}
	cfg_fini_object(CFG_OBJECT_portal, &p);
	cfg_free(cfg);
}
