/* SPDX-License-Identifier: Apache-2.0 */
/* Targets, and who may enter them. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/edit.h"

#include <string.h>
#include <strings.h>

/* Says what a change was about, and whether it was one. */
static void answer(struct ctl_call *call, const char *key, const char *name, bool changed)
{
	jval_set_text(call->result, key, name);
	jval_set_flag(call->result, "changed", changed);
}

/* ---- making ---- */

static bool fill_auth(struct ctl_call *call, struct cfg_auth *auth)
{
	static const char *const keys[] = { "user", "secret_file", "mutual_user",
		"mutual_secret_file" };

	for (unsigned i = 0; i < own_array_len(keys); i++) {
		if (!ctl_set(call, CFG_OBJECT_auth, auth, keys[i], ctl_text(call, keys[i])))
			return false;
	}
	return ctl_read_secrets(call, auth);
}

bool ctl_auth(struct ctl_call *call, const struct config *cfg, struct cfg_auth **out)
{
	struct cfg_auth *auth;

	*out = NULL;
	if (!ctl_text(call, "user") && !ctl_text(call, "secret_file") &&
		!ctl_text(call, "mutual_user") && !ctl_text(call, "mutual_secret_file"))
		return true;
	if (!ctl_text(call, "user") || !ctl_text(call, "secret_file")) {
		ctl_fail(call, RPC_USAGE,
			"CHAP needs both --user and --secret-file, a file of mode 0600");
		return false;
	}
	auth = own_calloc(1, sizeof *auth);
	cfg_set_defaults(CFG_OBJECT_auth, auth);
	auth->where = cfg_managed_where(cfg);
	*out = auth;
	return fill_auth(call, auth);
}

/* The numbers of a repeated option as the words of a key. Returns owned. */
static char *numbers_of(const struct ctl_call *call, const char *name)
{
	const struct jval *list = jval_get(call->params, name);
	char *out = NULL;

	for (unsigned i = 0; i < jval_count(list); i++) {
		char *before own_free = out;

		out = own_printf("%s%s%lld", before ? before : "", before ? " " : "",
			(long long)jval_number(jval_item(list, i)));
	}
	return out;
}

static bool fill_target(struct ctl_call *call, const struct config *cfg, struct cfg_target *t)
{
	char *groups own_free = numbers_of(call, "portal_group");

	return ctl_set(call, CFG_OBJECT_target, t, "alias", ctl_text(call, "alias")) &&
	       ctl_set(call, CFG_OBJECT_target, t, "portal_groups", groups) &&
	       ctl_auth(call, cfg, &t->auth);
}

void verb_target_create(struct ctl_call *call)
{
	char *name own_free = ctl_iscsi_name(call, ctl_text(call, "target"));
	struct config *cfg;
	struct cfg_target t = { 0 };

	if (!name)
		return;
	cfg = ctl_config(call);
	if (cfg_target_named(cfg, name)) {
		if (ctl_flag(call, "if_not_exists"))
			answer(call, "target", name, false);
		else
			ctl_fail(call, RPC_EXISTS,
				"target \"%s\": there is one; --if-not-exists takes it as it is",
				name);
		cfg_free(cfg);
		return;
	}
	cfg_set_defaults(CFG_OBJECT_target, &t);
	t.where = cfg_managed_where(cfg);
	t.name = own_strdup(name);
	if (!fill_target(call, cfg, &t)) {
		cfg_fini_object(CFG_OBJECT_target, &t);
		cfg_free(cfg);
		return;
	}
	cfg_list_add(CFG_OBJECT_config, cfg, "targets", &t);
	if (ctl_commit(call, cfg, false))
		answer(call, "target", name, true);
}

/* ---- looking ---- */

static void describe(const struct config *cfg, const struct cfg_target *t, struct jval *out)
{
	jval_set_text(out, "target", t->name);
	if (t->alias)
		jval_set_text(out, "alias", t->alias);
	jval_set_number(out, "luns", t->lun_count);
	jval_set_number(out, "initiators", t->initiator_count);
	jval_set_number(out, "hosts", t->access_count);
	jval_set_flag(out, "chap", t->auth);
	jval_set_flag(out, "managed", cfg_is_managed(cfg, &t->where));
}

void verb_target_list(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct jval *list = ctl_list(call);

	for (unsigned i = 0; i < cfg->target_count; i++) {
		struct jval *one = jval_object();

		describe(cfg, &cfg->targets[i], one);
		jval_append(list, one);
	}
	cfg_free(cfg);
}

struct jval *ctl_luns(const struct cfg_lun *luns, unsigned count)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < count; i++) {
		struct jval *one = jval_object();

		jval_set_number(one, "lun", luns[i].lun);
		jval_set_text(one, "volume", luns[i].volume);
		jval_set_flag(one, "readonly", luns[i].readonly);
		jval_append(list, one);
	}
	return list;
}

struct jval *ctl_initiators(const struct cfg_initiator *initiators, unsigned count)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < count; i++) {
		struct jval *one = jval_object();

		jval_set_text(one, "initiator", initiators[i].name);
		jval_set_text(
			one, "addresses", initiators[i].addresses ? initiators[i].addresses : "");
		jval_set_flag(one, "chap", initiators[i].auth);
		jval_append(list, one);
	}
	return list;
}

static struct jval *hosts_of(const struct cfg_target *t)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < t->access_count; i++) {
		struct jval *one = jval_object();

		jval_set_text(one, "host", t->access[i].host);
		jval_set(one, "luns", ctl_luns(t->access[i].luns, t->access[i].lun_count));
		jval_append(list, one);
	}
	return list;
}

char *ctl_where(const struct cfg_where *where)
{
	if (!where->line)
		return own_strdup(where->file ? where->file : "");
	return own_printf("%s:%u", where->file, where->line);
}

void verb_target_show(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	const struct cfg_target *t = ctl_find_target(call, cfg, ctl_text(call, "target"));
	struct jval *out = call->result;

	if (t) {
		char *where own_free = ctl_where(&t->where);

		jval_set_text(out, "target", t->name);
		if (t->alias)
			jval_set_text(out, "alias", t->alias);
		if (t->portal_groups)
			jval_set_text(out, "portal_groups", t->portal_groups);
		if (t->auth)
			jval_set_text(out, "chap_user", t->auth->user);
		if (t->auth && t->auth->mutual_user)
			jval_set_text(out, "chap_mutual_user", t->auth->mutual_user);
		if (t->redirect)
			jval_set_text(out, "redirect", t->redirect->address);
		jval_set_text(out, "where", where);
		jval_set(out, "luns", ctl_luns(t->luns, t->lun_count));
		jval_set(out, "initiators", ctl_initiators(t->initiators, t->initiator_count));
		jval_set(out, "hosts", hosts_of(t));
	}
	cfg_free(cfg);
}

/* ---- removing ---- */

void verb_target_delete(struct ctl_call *call)
{
	const char *name = ctl_text(call, "target");
	struct config *cfg = ctl_config(call);
	struct cfg_target *t = cfg_target_named(cfg, name);

	if (!t && ctl_flag(call, "if_exists")) {
		answer(call, "target", name, false);
		cfg_free(cfg);
		return;
	}
	if (!t)
		t = ctl_find_target(call, cfg, name);
	if (!t || !ctl_may_change(call, cfg, &t->where, "target", name)) {
		cfg_free(cfg);
		return;
	}
	cfg_list_remove(CFG_OBJECT_config, cfg, "targets", (unsigned)(t - cfg->targets));
	if (ctl_commit(call, cfg, ctl_flag(call, "force")))
		answer(call, "target", name, true);
}

/* ---- who may enter ---- */

static char *networks_of(const struct ctl_call *call)
{
	char *out = NULL;

	for (unsigned i = 0; i < ctl_count(call, "address"); i++) {
		char *before own_free = out;

		out = own_printf("%s%s%s", before ? before : "", before ? " " : "",
			ctl_item(call, "address", i));
	}
	return out;
}

static int find_initiator(const struct cfg_initiator *list, unsigned count, const char *name)
{
	for (unsigned i = 0; i < count; i++) {
		if (!strcasecmp(list[i].name, name)) /* an iSCSI name, kept in lower case */
			return (int)i;
	}
	return -1;
}

int ctl_add_initiator(struct ctl_call *call, const struct config *cfg, enum cfg_object object,
	void *owner, const char *name)
{
	char *networks own_free = networks_of(call);
	struct cfg_initiator one = { .where = cfg_managed_where(cfg) };
	const struct cfg_key *key = cfg_key_find(object, "initiators");
	const struct cfg_initiator *items;
	unsigned count;

	if (!ctl_set(call, CFG_OBJECT_initiator, &one, "name", name) ||
		!ctl_set(call, CFG_OBJECT_initiator, &one, "addresses", networks)) {
		cfg_fini_object(CFG_OBJECT_initiator, &one);
		return -1;
	}
	items = cfg_key_items(key, owner, &count);
	for (unsigned i = 0; i < count; i++) {
		if (cfg_same_object(CFG_OBJECT_initiator, &items[i], &one)) {
			cfg_fini_object(CFG_OBJECT_initiator, &one);
			return 0;
		}
	}
	cfg_list_add(object, owner, "initiators", &one);
	return 1;
}

static int find_access(const struct cfg_target *t, const char *host)
{
	for (unsigned i = 0; i < t->access_count; i++) {
		if (!strcmp(t->access[i].host, host))
			return (int)i;
	}
	return -1;
}

struct cfg_access *ctl_access(
	struct ctl_call *call, struct config *cfg, struct cfg_target *t, const char *host)
{
	struct cfg_access one = { .where = cfg_managed_where(cfg) };
	int i = find_access(t, host);

	if (i >= 0)
		return &t->access[i];
	if (!ctl_find_host(call, cfg, host))
		return NULL;
	one.host = own_strdup(host);
	return cfg_list_add(CFG_OBJECT_target, t, "access", &one);
}

bool ctl_addresses_fit(struct ctl_call *call)
{
	if (!ctl_count(call, "address") || ctl_count(call, "initiator"))
		return true;
	ctl_fail(call, RPC_USAGE,
		"address: is of an initiator, and none is named; --initiator NAME, or '*' for "
		"whoever "
		"comes from there");
	return false;
}

/* Whether the call names anybody at all. */
static bool names_somebody(struct ctl_call *call)
{
	if (!ctl_addresses_fit(call))
		return false;
	if (ctl_count(call, "initiator") || ctl_count(call, "host"))
		return true;
	ctl_fail(call, RPC_USAGE, "name somebody: --initiator NAME or --host NAME");
	return false;
}

/* The target of a call, to be changed; NULL after ctl_fail. */
static struct cfg_target *target_to_change(struct ctl_call *call, struct config *cfg)
{
	const char *name = ctl_text(call, "target");
	struct cfg_target *t = ctl_find_target(call, cfg, name);

	return t && ctl_may_change(call, cfg, &t->where, "target", name) ? t : NULL;
}

/* How many lines were added; negative after ctl_fail. */
static int allow(struct ctl_call *call, struct config *cfg, struct cfg_target *t)
{
	int added = 0;

	for (unsigned i = 0; i < ctl_count(call, "initiator"); i++) {
		int one = ctl_add_initiator(
			call, cfg, CFG_OBJECT_target, t, ctl_item(call, "initiator", i));

		if (one < 0)
			return -1;
		added += one;
	}
	for (unsigned i = 0; i < ctl_count(call, "host"); i++) {
		const char *host = ctl_item(call, "host", i);
		bool there = find_access(t, host) >= 0;

		if (!ctl_access(call, cfg, t, host))
			return -1;
		added += !there;
	}
	return added;
}

static int deny(struct ctl_call *call, struct cfg_target *t)
{
	int removed = 0, k;

	for (unsigned i = 0; i < ctl_count(call, "initiator"); i++) {
		/* one of other networks lets it in as well */
		while ((k = find_initiator(t->initiators, t->initiator_count,
				ctl_item(call, "initiator", i))) >= 0) {
			cfg_list_remove(CFG_OBJECT_target, t, "initiators", (unsigned)k);
			removed++;
		}
	}
	for (unsigned i = 0; i < ctl_count(call, "host"); i++) {
		k = find_access(t, ctl_item(call, "host", i));
		if (k >= 0)
			cfg_list_remove(CFG_OBJECT_target, t, "access", (unsigned)k);
		removed += k >= 0;
	}
	return removed;
}

static void change_access(struct ctl_call *call, bool allowing)
{
	struct config *cfg;
	struct cfg_target *t;
	int changed = -1;

	if (!names_somebody(call))
		return;
	cfg = ctl_config(call);
	t = target_to_change(call, cfg);
	if (t)
		changed = allowing ? allow(call, cfg, t) : deny(call, t);
	if (changed <= 0)
		cfg_free(cfg);
	if (changed == 0 || (changed > 0 && ctl_commit(call, cfg, ctl_flag(call, "force"))))
		answer(call, "target", ctl_text(call, "target"), changed > 0);
}

void verb_target_allow(struct ctl_call *call)
{
	change_access(call, true);
}

void verb_target_deny(struct ctl_call *call)
{
	change_access(call, false);
}
