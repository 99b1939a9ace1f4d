/* SPDX-License-Identifier: Apache-2.0 */
/* Host groups. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/edit.h"

#include <string.h>
#include <strings.h>

static void answer(struct ctl_call *call, bool changed)
{
	jval_set_text(call->result, "host", ctl_text(call, "host"));
	jval_set_flag(call->result, "changed", changed);
}

/* ---- making ---- */

static bool fill_host(struct ctl_call *call, const struct config *cfg, struct cfg_host *h)
{
	if (!ctl_addresses_fit(call))
		return false;
	for (unsigned i = 0; i < ctl_count(call, "initiator"); i++) {
		if (ctl_add_initiator(
			    call, cfg, CFG_OBJECT_host, h, ctl_item(call, "initiator", i)) < 0)
			return false;
	}
	return ctl_auth(call, cfg, &h->auth);
}

void verb_host_create(struct ctl_call *call)
{
	const char *name = ctl_text(call, "host");
	struct config *cfg = ctl_config(call);
	struct cfg_host h = { 0 };

	if (cfg_host_named(cfg, name)) {
		if (ctl_flag(call, "if_not_exists"))
			answer(call, false);
		else
			ctl_fail(call, RPC_EXISTS,
				"host group \"%s\": there is one; kura host add-initiator adds to "
				"it",
				name);
		cfg_free(cfg);
		return;
	}
	h.where = cfg_managed_where(cfg);
	h.name = own_strdup(name);
	if (!fill_host(call, cfg, &h)) {
		cfg_fini_object(CFG_OBJECT_host, &h);
		cfg_free(cfg);
		return;
	}
	cfg_list_add(CFG_OBJECT_config, cfg, "hosts", &h);
	if (ctl_commit(call, cfg, false))
		answer(call, true);
}

/* ---- changing ---- */

static struct cfg_host *host_to_change(struct ctl_call *call, struct config *cfg)
{
	const char *name = ctl_text(call, "host");
	struct cfg_host *h = ctl_find_host(call, cfg, name);

	return h && ctl_may_change(call, cfg, &h->where, "host group", name) ? h : NULL;
}

void verb_host_add_initiator(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct cfg_host *h = host_to_change(call, cfg);
	int added =
		h ? ctl_add_initiator(call, cfg, CFG_OBJECT_host, h, ctl_text(call, "initiator"))
		  : -1;

	if (added <= 0)
		cfg_free(cfg);
	if (added == 0 || (added > 0 && ctl_commit(call, cfg, false)))
		answer(call, added > 0);
}

void verb_host_remove_initiator(struct ctl_call *call)
{
	const char *name = ctl_text(call, "initiator");
	struct config *cfg = ctl_config(call);
	struct cfg_host *h = host_to_change(call, cfg);
	bool removed = false;

	for (unsigned i = 0; h && i < h->initiator_count; i++) {
		if (strcasecmp(h->initiators[i].name, name) != 0)
			continue;
		cfg_list_remove(CFG_OBJECT_host, h, "initiators", i--);
		removed = true;
	}
	if (!removed)
		cfg_free(cfg);
	if (h && (!removed || ctl_commit(call, cfg, ctl_flag(call, "force"))))
		answer(call, removed);
}

/* ---- looking ---- */

static struct jval *names_of(const struct cfg_host *h)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < h->initiator_count; i++)
		jval_append(list, jval_new_text(h->initiators[i].name));
	return list;
}

static unsigned targets_of(const struct config *cfg, const char *host)
{
	unsigned count = 0;

	for (unsigned i = 0; i < cfg->target_count; i++) {
		for (unsigned k = 0; k < cfg->targets[i].access_count; k++)
			count += !strcmp(cfg->targets[i].access[k].host, host);
	}
	return count;
}

void verb_host_list(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct jval *list = ctl_list(call);

	for (unsigned i = 0; i < cfg->host_count; i++) {
		const struct cfg_host *h = &cfg->hosts[i];
		struct jval *one = jval_object();

		jval_set_text(one, "host", h->name);
		jval_set(one, "initiators", names_of(h));
		jval_set_flag(one, "chap", h->auth);
		jval_set_number(one, "targets", targets_of(cfg, h->name));
		jval_set_flag(one, "managed", cfg_is_managed(cfg, &h->where));
		jval_append(list, one);
	}
	cfg_free(cfg);
}

/* What the group sees in one target, behind the rest. */
static void add_luns(struct jval *list, const struct cfg_target *t, const struct cfg_access *access)
{
	const struct cfg_lun *luns = access->lun_count ? access->luns : t->luns;
	unsigned count = access->lun_count ? access->lun_count : t->lun_count;

	for (unsigned i = 0; i < count; i++) {
		struct jval *one = jval_object();

		jval_set_text(one, "target", t->name);
		jval_set_number(one, "lun", luns[i].lun);
		jval_set_text(one, "volume", luns[i].volume);
		jval_set_flag(one, "readonly", luns[i].readonly);
		jval_append(list, one);
	}
}

static struct jval *luns_of(const struct config *cfg, const char *host)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		for (unsigned k = 0; k < t->access_count; k++) {
			if (!strcmp(t->access[k].host, host))
				add_luns(list, t, &t->access[k]);
		}
	}
	return list;
}

void verb_host_show(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	const struct cfg_host *h = ctl_find_host(call, cfg, ctl_text(call, "host"));
	struct jval *out = call->result;

	if (h) {
		char *where own_free = ctl_where(&h->where);

		jval_set_text(out, "host", h->name);
		if (h->auth)
			jval_set_text(out, "chap_user", h->auth->user);
		jval_set_text(out, "where", where);
		jval_set(out, "initiators", ctl_initiators(h->initiators, h->initiator_count));
		jval_set(out, "luns", luns_of(cfg, h->name));
	}
	cfg_free(cfg);
}

/* ---- removing ---- */

/* Takes the group out of every target; false after ctl_fail: one of them is not ours to change. */
static bool leave_targets(struct ctl_call *call, struct config *cfg, const char *host)
{
	for (unsigned i = 0; i < cfg->target_count; i++) {
		struct cfg_target *t = &cfg->targets[i];

		for (unsigned k = 0; k < t->access_count; k++) {
			if (strcmp(t->access[k].host, host) != 0)
				continue;
			if (!ctl_may_change(call, cfg, &t->where, "target", t->name))
				return false;
			cfg_list_remove(CFG_OBJECT_target, t, "access", k--);
		}
	}
	return true;
}

void verb_host_delete(struct ctl_call *call)
{
	const char *name = ctl_text(call, "host");
	bool force = ctl_flag(call, "force");
	struct config *cfg = ctl_config(call);
	struct cfg_host *h = cfg_host_named(cfg, name);
	unsigned targets = targets_of(cfg, name);

	if (!h && ctl_flag(call, "if_exists")) {
		answer(call, false);
	} else if (h && targets && !force) {
		ctl_fail(call, RPC_IN_USE,
			"host group \"%s\": %u target%s it enter; --force takes it out of them, "
			"kura host show %s names them",
			name, targets, targets == 1 ? " lets" : "s let", name);
	} else if (host_to_change(call, cfg) && leave_targets(call, cfg, name)) {
		h = cfg_host_named(cfg, name);
		cfg_list_remove(CFG_OBJECT_config, cfg, "hosts", (unsigned)(h - cfg->hosts));
		if (ctl_commit(call, own_take(cfg), force))
			answer(call, true);
	}
	cfg_free(cfg);
}
