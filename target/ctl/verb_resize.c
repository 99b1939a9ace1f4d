/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of pools: other sizes, other names. */
#include "target/ctl/verbs.h"

#include "common/fault.h"
#include "common/own.h"
#include "common/size.h"
#include "target/ctl/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- sizes ---- */

/* "20G", or "+10G" and "-10G" from what it has; false after ctl_fail. */
static bool wanted_size(struct ctl_call *call, uint64_t has, uint64_t *size)
{
	const char *text = ctl_text(call, "size");
	bool plus = *text == '+', minus = *text == '-';
	uint64_t n = 0;
	int err = size_parse(text + (plus || minus), &n);

	if (err && err != -ERANGE) {
		ctl_fail(call, RPC_USAGE,
			"size: \"%.60s\" is no size; give bytes, or a number with K, M, G or T, "
			"with "
			"+ in front: so much more",
			text);
		return false;
	}
	if (err || (plus && n > UINT64_MAX - has) || (minus && n >= has)) {
		ctl_fail(call, RPC_USAGE, "size: \"%.60s\" is more than there can be", text);
		return false;
	}
	*size = plus ? has + n : minus ? has - n : n;
	return true;
}

static void answer_size(struct ctl_call *call, struct ctl_volume *v, bool changed)
{
	jval_set_text(call->result, "volume", v->is.name);
	jval_set_flag(call->result, "changed", changed);
	if (!pool_find(v->pool, v->is.name, &v->is, NULL, 0))
		jval_set_number(call->result, "size", v->is.size);
}

/* The pool first: initiators are told of what is there. */
static void grow(struct ctl_call *call, struct ctl_volume *v, uint64_t size)
{
	char why[POOL_WHY_LEN] = "";
	int err;

	if (!ctl_tend(call))
		return;
	err = pool_grow(v->pool, v->is.name, size, why, sizeof why);
	if (!err) {
		err = server_resized(call->srv, v->is.name);
		err = err == -ENOENT ? 0 : err; /* nobody serves it */
	}
	server_tend_end(call->srv);
	if (err)
		ctl_fail_errno(call, err, why);
	else
		answer_size(call, v, true);
}

void verb_volume_grow(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct ctl_volume v;
	uint64_t size = 0;

	if (ctl_volume_get(call, cfg, ctl_text(call, "volume"), &v)) {
		if (!wanted_size(call, v.is.size, &size))
			(void)0;
		else if (size == v.is.size)
			answer_size(call, &v, false);
		else
			grow(call, &v, size);
		ctl_volume_fini(call, &v);
	}
	cfg_free(cfg);
}

/* ---- what is done while nobody has it open ---- */

/* Runs `run` between closing and opening again, unless it has been given another name. */
static void set_aside(struct ctl_call *call, struct ctl_volume *v,
	int (*run)(struct ctl_call *call, struct ctl_volume *v, char *why), bool back)
{
	char why[SERVER_WHY_LEN] = "", text[SERVER_WHY_LEN] = "";
	int err;

	if (!ctl_tend(call))
		return;
	err = server_put_aside(call->srv, v->is.name, why);
	if (!err)
		err = run(call, v, why);
	if (err)
		ctl_fail_errno(call, err, why);
	if ((back || err) && server_take_back(call->srv, v->is.name, text) && !err)
		ctl_fail(call, RPC_REFUSED, "%s", text);
	server_tend_end(call->srv);
}

static int shrink(struct ctl_call *call, struct ctl_volume *v, char *why)
{
	uint64_t size;

	if (!wanted_size(call, v->is.size, &size))
		return snprintf(why, SERVER_WHY_LEN, "%s", call->why), -EINVAL;
	return pool_shrink(v->pool, v->is.name, size, why, POOL_WHY_LEN);
}

void verb_volume_shrink(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct ctl_volume v;

	if (!ctl_flag(call, "force"))
		ctl_fail(call, RPC_USAGE,
			"volume \"%s\": what lies behind the new end is lost; say --force when "
			"that "
			"is meant",
			name);
	else if (ctl_volume_get(call, cfg, name, &v)) {
		if (ctl_is_free(call, cfg, name, "lun remove first"))
			set_aside(call, &v, shrink, true);
		if (call->exit == RPC_DONE)
			answer_size(call, &v, true);
		ctl_volume_fini(call, &v);
	}
	cfg_free(cfg);
}

/* ---- another name ---- */

static int rename_in_pool(struct ctl_call *call, struct ctl_volume *v, char *why)
{
	return pool_rename(v->pool, v->is.name, ctl_text(call, "to"), why, POOL_WHY_LEN);
}

/* The volume has its name in the pool; takes `cfg`. */
static bool rename_entry(struct ctl_call *call, struct config *cfg, const struct ctl_volume *v)
{
	const char *to = ctl_text(call, "to");
	struct cfg_volume *entry = ctl_find_volume(call, cfg, v->is.name);

	free(entry->name);
	entry->name = own_strdup(to);
	if (fault_point(FAULT_verb_pool_done)) {
		ctl_fail(call, RPC_REFUSED, "fault verb_pool_done");
		cfg_free(cfg);
		return false;
	}
	return ctl_commit(call, cfg, false);
}

static void rename_back(struct ctl_call *call, const struct ctl_volume *v)
{
	char why[SERVER_WHY_LEN];

	(void)pool_rename(v->pool, ctl_text(call, "to"), v->is.name, NULL, 0);
	if (!server_tend(call->srv))
		return;
	(void)server_take_back(call->srv, v->is.name, why);
	server_tend_end(call->srv);
}

/* Takes `cfg`. */
static void rename_noted(struct ctl_call *call, struct config *cfg, struct ctl_volume *v)
{
	bool ok;

	set_aside(call, v, rename_in_pool, false);
	if (call->exit != RPC_DONE) {
		cfg_free(cfg);
		return;
	}
	if (v->cfg) {
		ok = rename_entry(call, cfg, v);
		(void)fault_point(FAULT_verb_followed);
	} else {
		cfg_free(cfg);
		ok = true;
	}
	if (!ok) {
		rename_back(call, v);
		return;
	}
	jval_set_text(call->result, "volume", ctl_text(call, "to"));
	jval_set_flag(call->result, "changed", true);
}

static bool may_rename(struct ctl_call *call, struct config *cfg, const struct ctl_volume *v)
{
	const char *to = ctl_text(call, "to");

	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (strcmp(cfg->volumes[i].name, to) != 0)
			continue;
		ctl_fail(call, RPC_EXISTS, "volume \"%s\": there is one", to);
		return false;
	}
	return ctl_is_idle(call, to) &&
	       (!v->cfg || ctl_may_change(call, cfg, &v->cfg->where, "volume", v->is.name)) &&
	       ctl_is_free(call, cfg, v->is.name, "lun remove first");
}

void verb_volume_rename(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct ctl_volume v;
	struct doing doing;

	if (!ctl_volume_get(call, cfg, name, &v)) {
		cfg_free(cfg);
		return;
	}
	doing = (struct doing){ DOING_RENAME, name, pool_name(v.pool), ctl_text(call, "to"), NULL,
		false };
	if (may_rename(call, cfg, &v) && ctl_note(call, &doing)) {
		rename_noted(call, cfg, &v);
		doing_end(server_state_dir(call->srv), name);
	} else {
		cfg_free(cfg);
	}
	ctl_volume_fini(call, &v);
}

/* ---- what a pool has already ---- */

static bool adopt(struct ctl_call *call, struct config *cfg, struct pool *pool, const char *name)
{
	struct cfg_volume v = { 0 };
	struct pool_volume is;
	char why[POOL_WHY_LEN] = "";
	int err = pool_find(pool, name, &is, NULL, 0);

	if (err == -ENOENT)
		err = pool_adopt(pool, name, why, sizeof why);
	if (err) {
		ctl_fail_errno(call, err, why);
		return false;
	}
	cfg_set_defaults(CFG_OBJECT_volume, &v);
	v.where = cfg_managed_where(cfg);
	v.name = own_strdup(name);
	v.pool = own_strdup(pool_name(pool));
	cfg_list_add(CFG_OBJECT_config, cfg, "volumes", &v);
	return true;
}

void verb_volume_adopt(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct pool *pool = NULL;
	bool ok = false;

	for (unsigned i = 0; i < cfg->volume_count && call->exit == RPC_DONE; i++) {
		if (!strcmp(cfg->volumes[i].name, name))
			ctl_fail(call, RPC_EXISTS, "volume \"%s\": there is one", name);
	}
	if (call->exit == RPC_DONE)
		pool = ctl_pool(call, cfg, ctl_text(call, "pool"));
	if (pool)
		ok = adopt(call, cfg, pool, name);
	server_pool_put(call->srv, pool);
	if (!ok) {
		cfg_free(cfg);
		return;
	}
	if (!ctl_commit(call, cfg, false))
		return;
	jval_set_text(call->result, "volume", name);
	jval_set_flag(call->result, "changed", true);
}
