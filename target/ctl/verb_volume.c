/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of pools: made, shown, forgotten, deleted. */
#include "target/ctl/verbs.h"

#include "common/fault.h"
#include "common/own.h"
#include "target/ctl/volumes.h"

#include <stdio.h>
#include <string.h>

static void answer(struct ctl_call *call, const char *name, bool changed)
{
	jval_set_text(call->result, "volume", name);
	jval_set_flag(call->result, "changed", changed);
}

static bool is_there(const struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (!strcmp(cfg->volumes[i].name, name))
			return true;
	}
	return false;
}

/* ---- making ---- */

static bool fill_volume(struct ctl_call *call, struct pool *pool, struct cfg_volume *v)
{
	static const char *const keys[] = { "block_size", "physical_block_size", "cache" };

	cfg_set_defaults(CFG_OBJECT_volume, v);
	v->name = own_strdup(ctl_text(call, "volume"));
	v->pool = own_strdup(pool_name(pool));
	v->removable = ctl_flag(call, "removable");
	for (unsigned i = 0; i < own_array_len(keys); i++) {
		if (!ctl_set(call, CFG_OBJECT_volume, v, keys[i], ctl_text(call, keys[i])))
			return false;
	}
	if (ctl_number(call, "size", 0) % v->block_size == 0)
		return true;
	ctl_fail(
		call, RPC_USAGE, "size: is no multiple of the block size, %u bytes", v->block_size);
	return false;
}

/* Thin where the pool can, unless told otherwise. */
static bool is_thin(struct ctl_call *call, struct pool *pool, bool *thin)
{
	*thin = (pool_caps(pool) & POOL_CAN_THIN) && !ctl_flag(call, "thick");
	if (ctl_flag(call, "thin") && ctl_flag(call, "thick")) {
		ctl_fail(call, RPC_USAGE, "--thin and --thick: it can only be one of them");
		return false;
	}
	if (ctl_flag(call, "thin") && !*thin) {
		ctl_fail(call, RPC_REFUSED,
			"pool \"%s\": has no thin volumes; without --thin it gets all its space",
			pool_name(pool));
		return false;
	}
	return true;
}

/* Takes `cfg`. */
static void make(
	struct ctl_call *call, struct config *cfg, struct pool *pool, const struct cfg_volume *v)
{
	const struct doing doing = { DOING_MAKE, v->name, v->pool, NULL, NULL, false };
	struct pool_make make = { .name = v->name, .size = ctl_number(call, "size", 0) };
	char why[POOL_WHY_LEN] = "";
	struct pool_volume is;
	int err;

	if (!is_thin(call, pool, &make.thin) || !ctl_note(call, &doing)) {
		cfg_free(cfg);
		return;
	}
	err = pool_create(pool, &make, why, sizeof why);
	if (err) {
		doing_end(server_state_dir(call->srv), v->name);
		ctl_fail_errno(call, err, why);
		cfg_free(cfg);
		return;
	}
	if (!ctl_name_volume(call, cfg, &doing, v))
		return;
	answer(call, v->name, true);
	jval_set_text(call->result, "pool", v->pool);
	if (!pool_find(pool, v->name, &is, NULL, 0))
		jval_set_number(call->result, "size", is.size);
}

void verb_volume_create(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct cfg_volume v = { 0 };
	struct pool *pool = NULL;

	if (is_there(cfg, name)) {
		if (ctl_flag(call, "if_not_exists"))
			answer(call, name, false);
		else
			ctl_fail(call, RPC_EXISTS,
				"volume \"%s\": there is one; kura volume show %s", name, name);
	} else {
		pool = ctl_pool(call, cfg, ctl_text(call, "pool"));
	}
	if (pool && fill_volume(call, pool, &v))
		make(call, cfg, pool, &v);
	else
		cfg_free(cfg);
	cfg_fini_object(CFG_OBJECT_volume, &v);
	server_pool_put(call->srv, pool);
}

/* ---- looking ---- */

/* One that is in no pool: the server knows its size. */
static void tell_stored(struct ctl_call *call, struct jval *out, const struct config *cfg,
	const struct cfg_volume *v)
{
	struct vol *vol;

	jval_set_text(out, "volume", v->name);
	if (v->store)
		jval_set_text(out, "store", v->store);
	(void)server_view(call->srv);
	vol = server_volume(call->srv, v->name);
	if (vol)
		jval_set_number(out, "size", vol_info(vol).size);
	server_view_end(call->srv);
	jval_set_flag(out, "managed", cfg_is_managed(cfg, &v->where));
}

static void tell_mapped(struct jval *out, const struct config *cfg, const char *name)
{
	struct jval *mapped = ctl_mapped(cfg, name);

	jval_set(out, "mapped", mapped ? mapped : jval_list());
}

/* What a pool has, asked once. */
struct listing {
	struct pool *pool;           /* in use; NULL: it is not open */
	struct pool_volume *volumes; /* owned */
	size_t count;
};

static const struct pool_volume *find_listed(const struct listing *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!strcmp(l->volumes[i].name, name))
			return &l->volumes[i];
	}
	return NULL;
}

/* One for each pool of the configuration, returned owned: listings_free. */
static struct listing *listings_new(struct ctl_call *call, const struct config *cfg)
{
	struct listing *all = own_calloc(cfg->pool_count + 1, sizeof *all);

	for (unsigned i = 0; i < cfg->pool_count; i++) {
		struct listing *l = &all[i];

		l->pool = server_pool(call->srv, cfg->pools[i].name);
		if (l->pool && pool_list(l->pool, &l->volumes, &l->count, NULL, 0))
			l->count = 0;
	}
	return all;
}

static void listings_free(struct ctl_call *call, const struct config *cfg, struct listing *all)
{
	for (unsigned i = 0; i < cfg->pool_count; i++) {
		server_pool_put(call->srv, all[i].pool);
		free(all[i].volumes);
	}
	free(all);
}

static void list_one(struct ctl_call *call, struct jval *list, const struct config *cfg,
	const struct cfg_volume *v, const struct listing *all)
{
	struct jval *one = jval_object();
	const struct pool_volume *is = NULL;
	struct ctl_volume found = { .cfg = v };

	for (unsigned i = 0; v->pool && !is && i < cfg->pool_count; i++) {
		if (strcmp(cfg->pools[i].name, v->pool) != 0)
			continue;
		is = find_listed(&all[i], v->name);
		found.pool = all[i].pool;
	}
	if (is) {
		found.is = *is;
		ctl_tell_volume(one, cfg, &found);
	} else {
		tell_stored(call, one, cfg, v);
	}
	tell_mapped(one, cfg, v->name);
	jval_append(list, one);
}

/* What a pool has besides: snapshots, and what was forgotten. */
static void list_rest(struct jval *list, const struct config *cfg, const struct listing *l)
{
	struct ctl_volume found = { .pool = l->pool };

	for (size_t i = 0; i < l->count; i++) {
		struct jval *one;

		if (is_there(cfg, l->volumes[i].name))
			continue;
		one = jval_object();
		found.is = l->volumes[i];
		ctl_tell_volume(one, cfg, &found);
		jval_set(one, "mapped", jval_list());
		jval_append(list, one);
	}
}

void verb_volume_list(struct ctl_call *call)
{
	const char *wanted = ctl_text(call, "pool");
	struct config *cfg = ctl_config(call);
	struct jval *list = ctl_list(call);
	struct pool *pool = wanted ? ctl_pool(call, cfg, wanted) : NULL;
	struct listing *all;

	if (wanted && !pool) {
		cfg_free(cfg);
		return;
	}
	all = listings_new(call, cfg);
	server_pool_put(call->srv, pool);
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const struct cfg_volume *v = &cfg->volumes[i];

		if (!wanted || (v->pool && !strcmp(v->pool, wanted)))
			list_one(call, list, cfg, v, all);
	}
	for (unsigned i = 0; ctl_flag(call, "all") && i < cfg->pool_count; i++) {
		if (!wanted || !strcmp(wanted, cfg->pools[i].name))
			list_rest(list, cfg, &all[i]);
	}
	listings_free(call, cfg, all);
	cfg_free(cfg);
}

static struct jval *snapshots_of(const struct ctl_volume *v)
{
	struct jval *names = jval_list();
	struct pool_volume *all own_free = NULL;
	size_t count = 0;

	if (pool_list(v->pool, &all, &count, NULL, 0))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		if (all[i].snapshot && !memcmp(all[i].origin_uuid, v->is.uuid, VOL_UUID_LEN))
			jval_append(names, jval_new_text(all[i].name));
	}
	return names;
}

static void show_pooled(struct ctl_call *call, const struct config *cfg, const struct ctl_volume *v)
{
	struct pool_place place;

	ctl_tell_volume(call->result, cfg, v);
	ctl_tell_naa(call->result, v->is.uuid);
	if (!pool_resolve(v->pool, v->is.name, &place, NULL, 0))
		jval_set_text(call->result, "path", place.path);
	jval_set(call->result, "snapshots", snapshots_of(v));
	jval_set_number(call->result, "created", (uint64_t)(v->is.created > 0 ? v->is.created : 0));
}

/* Who has sessions is asked of the server as a change would be, so that none may be under way. */
static void show_users(struct ctl_call *call, const struct config *cfg, const char *name)
{
	struct jval *users;

	pthread_mutex_lock(call->change);
	users = ctl_users(call, cfg, name);
	pthread_mutex_unlock(call->change);
	jval_set(call->result, "users", users);
}

void verb_volume_show(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	const struct cfg_volume *stored = NULL;
	struct ctl_volume v = { 0 };

	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (!strcmp(cfg->volumes[i].name, name) && !cfg->volumes[i].pool)
			stored = &cfg->volumes[i];
	}
	if (stored) {
		tell_stored(call, call->result, cfg, stored);
	} else if (ctl_volume_get(call, cfg, name, &v)) {
		show_pooled(call, cfg, &v);
		stored = v.cfg;
		ctl_volume_fini(call, &v);
	}
	if (call->exit == RPC_DONE) {
		tell_mapped(call->result, cfg, name);
		show_users(call, cfg, name);
	}
	if (stored && stored->limit) {
		char *limit own_free = ctl_limit_text(stored->limit);

		jval_set_text(call->result, "limit", limit);
	}
	if (stored) {
		char *where own_free = ctl_where(&stored->where);

		jval_set_text(call->result, "where", where);
	}
	cfg_free(cfg);
}

/* ---- deleting ---- */

static void remove_entry(struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (!strcmp(cfg->volumes[i].name, name))
			cfg_list_remove(CFG_OBJECT_config, cfg, "volumes", i);
	}
}

/* Out of the configuration; takes `cfg`. False after ctl_fail. */
static bool unname(struct ctl_call *call, struct config *cfg, const char *name)
{
	bool force = ctl_flag(call, "force"), open;

	if (!(force ? ctl_unmap(call, cfg, name)
		    : ctl_is_free(call, cfg, name, "lun remove first, or --force"))) {
		cfg_free(cfg);
		return false;
	}
	remove_entry(cfg, name);
	if (!ctl_commit(call, cfg, force))
		return false;
	(void)fault_point(FAULT_verb_followed);
	(void)server_view(call->srv);
	open = server_volume(call->srv, name);
	server_view_end(call->srv);
	if (!open)
		return true;
	ctl_fail(call, RPC_BUSY,
		"volume \"%s\": is unmapped, but a command does not end at it; delete it again "
		"when "
		"it has",
		name);
	return false;
}

/* What the configuration names has to be managed; what only the pool knows may go. False after
 * ctl_fail. Takes `cfg` when it was needed. */
static bool take_out(struct ctl_call *call, struct config *cfg, const struct ctl_volume *v)
{
	const char *name = v->is.name;

	if (!v->cfg) {
		cfg_free(cfg);
		return true;
	}
	if (ctl_may_change(call, cfg, &v->cfg->where, "volume", name))
		return unname(call, cfg, name);
	cfg_free(cfg);
	return false;
}

static bool wiped(void *arg, uint64_t done, uint64_t total)
{
	return ctl_job_told(arg, done, total);
}

static void erase(struct ctl_call *call, struct pool *pool, const char *name)
{
	const struct pool_progress progress = { wiped, call->job };
	char why[POOL_WHY_LEN] = "";
	int err = pool_delete(pool, name, ctl_flag(call, "wipe"), &progress, why, sizeof why);

	if (err)
		ctl_fail_errno(call, err, why);
	else
		answer(call, name, true);
	doing_end(server_state_dir(call->srv), name);
}

/* The first half, in a change; `pool` is in use then, NULL: answered. */
static struct pool *delete_begin(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	char why[POOL_WHY_LEN] = "";
	struct ctl_volume v;
	struct doing doing;
	int err;

	if (!ctl_volume_get(call, cfg, name, &v)) {
		cfg_free(cfg);
		if (call->exit != RPC_NOT_FOUND || !ctl_flag(call, "if_exists"))
			return NULL;
		call->exit = RPC_DONE;
		answer(call, name, false);
		return NULL;
	}
	err = pool_check_delete(v.pool, v.is.name, why, sizeof why);
	if (err) /* before anything is unmapped */
		ctl_fail_errno(call, err, why);
	doing = (struct doing){ DOING_DELETE, name, pool_name(v.pool), NULL, NULL,
		ctl_flag(call, "wipe") };
	if (err || !ctl_note(call, &doing)) {
		cfg_free(cfg);
	} else if (take_out(call, cfg, &v)) {
		return v.pool;
	} else {
		doing_end(server_state_dir(call->srv), name);
	}
	ctl_volume_fini(call, &v);
	return NULL;
}

void verb_volume_delete(struct ctl_call *call)
{
	struct pool *pool;

	ctl_change_begin(call);
	pool = delete_begin(call);
	ctl_change_end(call);
	if (pool)
		erase(call, pool, ctl_text(call, "volume"));
	server_pool_put(call->srv, pool);
}

/* ---- forgetting ---- */

void verb_volume_forget(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	const struct cfg_volume *v = ctl_find_volume(call, cfg, name);

	if (!v || !ctl_may_change(call, cfg, &v->where, "volume", name))
		cfg_free(cfg);
	else if (unname(call, cfg, name))
		answer(call, name, true);
}
