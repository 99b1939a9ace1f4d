/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of volumes, for everybody who may enter a target or for one host group. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/ctl/edit.h"

#include <stdio.h>
#include <string.h>

/* A list of LUNs: the target's, or a host group's own. */
struct luns {
	enum cfg_object object; /* whose */
	void *owner;
	const struct cfg_lun *luns;
	unsigned count;
};

static struct luns luns_of(struct cfg_target *t, struct cfg_access *access)
{
	if (access)
		return (struct luns){ CFG_OBJECT_access, access, access->luns, access->lun_count };
	return (struct luns){ CFG_OBJECT_target, t, t->luns, t->lun_count };
}

static int find_number(const struct luns *l, uint64_t number)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (l->luns[i].lun == number)
			return (int)i;
	}
	return -1;
}

static int find_volume(const struct luns *l, const char *volume)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (!strcmp(l->luns[i].volume, volume))
			return (int)i;
	}
	return -1;
}

static uint64_t first_free(const struct luns *l)
{
	uint64_t number = 0;

	while (find_number(l, number) >= 0)
		number++;
	return number;
}

static void answer(struct ctl_call *call, uint64_t lun, const char *volume, bool changed)
{
	jval_set_text(call->result, "target", ctl_text(call, "target"));
	jval_set_number(call->result, "lun", lun);
	if (volume)
		jval_set_text(call->result, "volume", volume);
	jval_set_flag(call->result, "changed", changed);
}

/* ---- adding ---- */

bool ctl_map(struct ctl_call *call, const struct config *cfg, enum cfg_object object, void *owner,
	uint64_t number, const char *volume)
{
	struct cfg_lun lun = { 0 };
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	cfg_set_defaults(CFG_OBJECT_lun, &lun);
	lun.where = cfg_managed_where(cfg);
	lun.readonly = ctl_flag(call, "readonly");
	if (!ctl_set(call, CFG_OBJECT_lun, &lun, "lun", text) ||
		!ctl_set(call, CFG_OBJECT_lun, &lun, "volume", volume) ||
		!ctl_set(call, CFG_OBJECT_lun, &lun, "serial", ctl_text(call, "serial")) ||
		!ctl_set(call, CFG_OBJECT_lun, &lun, "naa", ctl_text(call, "naa"))) {
		cfg_fini_object(CFG_OBJECT_lun, &lun);
		return false;
	}
	cfg_list_add(object, owner, "luns", &lun);
	return true;
}

/* What there is already in the way of a new mapping; true: it is answered. */
static bool is_there(struct ctl_call *call, const struct luns *l, const char *volume)
{
	int i = find_volume(l, volume), k = find_number(l, ctl_number(call, "lun", UINT64_MAX));

	if (i >= 0 && ctl_flag(call, "if_not_exists"))
		answer(call, l->luns[i].lun, volume, false);
	else if (i >= 0)
		ctl_fail(call, RPC_EXISTS, "volume \"%s\": is LUN %u of that target", volume,
			l->luns[i].lun);
	else if (k >= 0)
		ctl_fail(call, RPC_EXISTS,
			"LUN %u: is taken by the volume \"%s\"; without --lun the first that is "
			"free is taken",
			l->luns[k].lun, l->luns[k].volume);
	return i >= 0 || k >= 0;
}

/* The target and host group of a call, to be changed; false after ctl_fail. */
static bool find_place(struct ctl_call *call, struct config *cfg, bool make, struct luns *out)
{
	const char *name = ctl_text(call, "target"), *host = ctl_text(call, "host");
	struct cfg_target *t = ctl_find_target(call, cfg, name);
	struct cfg_access *access = NULL;

	if (!t || !ctl_may_change(call, cfg, &t->where, "target", name))
		return false;
	for (unsigned i = 0; host && i < t->access_count; i++) {
		if (!strcmp(t->access[i].host, host))
			access = &t->access[i];
	}
	if (host && !access && make)
		access = ctl_access(call, cfg, t, host);
	if (host && !access) {
		if (!make)
			ctl_fail(call, RPC_NOT_FOUND, "host group \"%s\": has no LUNs there", host);
		return false;
	}
	*out = luns_of(t, access);
	return true;
}

void verb_lun_add(struct ctl_call *call)
{
	const char *volume = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct luns l;
	uint64_t number;

	if (!ctl_find_volume(call, cfg, volume) || !find_place(call, cfg, true, &l) ||
		is_there(call, &l, volume)) {
		cfg_free(cfg);
		return;
	}
	number = ctl_number(call, "lun", first_free(&l));
	if (!ctl_map(call, cfg, l.object, l.owner, number, volume))
		cfg_free(cfg);
	else if (ctl_commit(call, cfg, false))
		answer(call, number, volume, true);
}

/* ---- listing ---- */

static void list_luns(struct jval *list, const struct cfg_target *t, const char *host,
	const struct cfg_lun *luns, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct jval *one = jval_object();

		jval_set_text(one, "target", t->name);
		if (host)
			jval_set_text(one, "host", host);
		jval_set_number(one, "lun", luns[i].lun);
		jval_set_text(one, "volume", luns[i].volume);
		jval_set_flag(one, "readonly", luns[i].readonly);
		jval_append(list, one);
	}
}

static void list_target(struct jval *list, const struct cfg_target *t)
{
	list_luns(list, t, NULL, t->luns, t->lun_count);
	for (unsigned i = 0; i < t->access_count; i++)
		list_luns(list, t, t->access[i].host, t->access[i].luns, t->access[i].lun_count);
}

void verb_lun_list(struct ctl_call *call)
{
	const char *name = ctl_text(call, "target");
	struct config *cfg = ctl_config(call);
	struct jval *list = ctl_list(call);
	const struct cfg_target *t = name ? ctl_find_target(call, cfg, name) : NULL;

	if (t)
		list_target(list, t);
	for (unsigned i = 0; !name && i < cfg->target_count; i++)
		list_target(list, &cfg->targets[i]);
	cfg_free(cfg);
}

/* ---- removing ---- */

/* A host group whose last LUN goes may enter no more: without LUNs of its own it would see the
 * target's. */
static void leave(struct config *cfg, const char *target, const struct cfg_access *access)
{
	struct cfg_target *t = cfg_target_named(cfg, target);

	if (!access->lun_count)
		cfg_list_remove(CFG_OBJECT_target, t, "access", (unsigned)(access - t->access));
}

void verb_lun_remove(struct ctl_call *call)
{
	uint64_t number = ctl_number(call, "lun", 0);
	struct config *cfg = ctl_config(call);
	struct luns l;
	int i;

	if (!find_place(call, cfg, false, &l)) {
		cfg_free(cfg);
		return;
	}
	i = find_number(&l, number);
	if (i < 0) {
		if (ctl_flag(call, "if_exists"))
			answer(call, number, NULL, false);
		else
			ctl_fail(call, RPC_NOT_FOUND,
				"LUN %llu: that target has none; kura lun list %s",
				(unsigned long long)number, ctl_text(call, "target"));
		cfg_free(cfg);
		return;
	}
	cfg_list_remove(l.object, l.owner, "luns", (unsigned)i);
	if (l.object == CFG_OBJECT_access)
		leave(cfg, ctl_text(call, "target"), l.owner);
	if (ctl_commit(call, cfg, ctl_flag(call, "force")))
		answer(call, number, NULL, true);
}
