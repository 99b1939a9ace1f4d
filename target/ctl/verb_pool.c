/* SPDX-License-Identifier: Apache-2.0 */
/* Pools: where volumes are made. */
#include "target/ctl/verbs.h"

#include "common/fault.h"
#include "common/file.h"
#include "common/own.h"
#include "target/ctl/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void answer(struct ctl_call *call, bool changed)
{
	jval_set_text(call->result, "pool", ctl_text(call, "pool"));
	jval_set_flag(call->result, "changed", changed);
}

static int find_quietly(const struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->pool_count; i++) {
		if (!strcmp(cfg->pools[i].name, name))
			return (int)i;
	}
	return -1;
}

/* ---- adding ---- */

static bool fill_pool(struct ctl_call *call, const struct config *cfg, struct cfg_pool *p)
{
	static const char *const keys[] = { "kind", "path", "vg", "thin_pool", "lvm_config",
		"lvm_devices" };

	cfg_set_defaults(CFG_OBJECT_pool, p);
	p->where = cfg_managed_where(cfg);
	p->name = own_strdup(ctl_text(call, "pool"));
	for (unsigned i = 0; i < own_array_len(keys); i++) {
		if (!ctl_set(call, CFG_OBJECT_pool, p, keys[i], ctl_text(call, keys[i])))
			return false;
	}
	p->snapshot_percent = (unsigned)ctl_number(call, "snapshot_percent", p->snapshot_percent);
	p->low_water = (unsigned)ctl_number(call, "low_water", p->low_water);
	p->extend_at = (unsigned)ctl_number(call, "extend_at", p->extend_at);
	p->extend_by = ctl_number(call, "extend_by", p->extend_by);
	p->extend_max = ctl_number(call, "extend_max", p->extend_max);
	return true;
}

/* The entry of a new pool at the end of cfg->pools, or NULL: answered, or after ctl_fail. */
static const struct cfg_pool *add_entry(struct ctl_call *call, struct config *cfg)
{
	const char *name = ctl_text(call, "pool");
	struct cfg_pool p = { 0 };

	if (find_quietly(cfg, name) >= 0) {
		if (ctl_flag(call, "if_not_exists"))
			answer(call, false);
		else
			ctl_fail(call, RPC_EXISTS, "pool \"%s\": there is one; kura pool show %s",
				name, name);
		return NULL;
	}
	if (fill_pool(call, cfg, &p))
		return cfg_list_add(CFG_OBJECT_config, cfg, "pools", &p);
	cfg_fini_object(CFG_OBJECT_pool, &p);
	return NULL;
}

static const char *place_remedy(int err)
{
	switch (err) {
	case EROFS:
		return "; mount it writable, or name it in ReadWritePaths= of the unit of kurad "
		       "(systemctl edit kurad) and restart kurad";
	case EACCES:
	case EPERM:
		return "; give it to the user of kurad";
	case ENOENT:
		return "; make the directory above it first";
	default:
		return "";
	}
}

/* A directory that is not there yet is made, and noted. Its path, owned, when it was; *ok false
 * after ctl_fail. */
static char *make_folder(struct ctl_call *call, const struct cfg_pool *p, bool *ok)
{
	const struct doing doing = { DOING_FOLDER, DOING_FOLDER_NOTE, p->name, NULL, p->path,
		false };

	*ok = true;
	if (strcmp(p->kind, "dir") != 0 || !p->path || !access(p->path, F_OK))
		return NULL;
	*ok = ctl_note(call, &doing);
	if (!*ok)
		return NULL;
	if (!mkdir(p->path, 0700) && !file_sync_folder(p->path)) {
		(void)fault_point(FAULT_verb_folder_made);
		return own_strdup(p->path);
	}
	*ok = false;
	ctl_fail(call, RPC_REFUSED, "%.300s: cannot be made: %s%s", p->path, strerror(errno),
		place_remedy(errno));
	doing_end(server_state_dir(call->srv), DOING_FOLDER_NOTE);
	return NULL;
}

/* One that kurad finds when it starts may have become read-only and still be read; a new one would
 * be good for nothing. False after ctl_fail. */
static bool check_writable(struct ctl_call *call, const struct cfg_pool *p)
{
	if (strcmp(p->kind, "dir") != 0 || !p->path ||
		!faccessat(AT_FDCWD, p->path, W_OK | X_OK, AT_EACCESS))
		return true;
	ctl_fail(call, RPC_REFUSED, "%.300s: kurad cannot write there: %s%s", p->path,
		strerror(errno), place_remedy(errno));
	return false;
}

void verb_pool_add(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	const struct cfg_pool *p = add_entry(call, cfg);
	bool ok = p;
	char *made own_free = p ? make_folder(call, p, &ok) : NULL;

	if (!ok) {
		cfg_free(cfg);
		return;
	}
	if (!check_writable(call, p))
		cfg_free(cfg);
	else if (ctl_commit(call, cfg, false))
		answer(call, true);
	else if (made)
		(void)rmdir(made);
	if (made)
		doing_end(server_state_dir(call->srv), DOING_FOLDER_NOTE);
}

/* ---- importing ---- */

/* Every volume of a pool but snapshots becomes one of the configuration. Their number, or -1 after
 * ctl_fail. */
static int take_over(struct ctl_call *call, struct config *cfg, struct pool *pool)
{
	struct pool_volume *list own_free = NULL;
	char why[POOL_WHY_LEN] = "";
	size_t count = 0;
	int taken = 0, err = pool_list(pool, &list, &count, why, sizeof why);

	if (err) {
		ctl_fail_errno(call, err, why);
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		struct cfg_volume v = { 0 };

		if (list[i].snapshot)
			continue;
		cfg_set_defaults(CFG_OBJECT_volume, &v);
		v.where = cfg_managed_where(cfg);
		v.name = own_strdup(list[i].name);
		v.pool = own_strdup(pool_name(pool));
		cfg_list_add(CFG_OBJECT_config, cfg, "volumes", &v);
		taken++;
	}
	return taken;
}

void verb_pool_import(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	const struct cfg_pool *p = add_entry(call, cfg);
	char why[SERVER_WHY_LEN] = "";
	struct pool *pool;
	int taken = -1;

	if (!p) {
		if (call->exit == RPC_DONE)
			jval_set_number(call->result, "volumes", 0);
		cfg_free(cfg);
		return;
	}
	if (!ctl_check(call, cfg)) {
		cfg_free(cfg);
		return;
	}
	if (server_pool_open(call->srv, p, why)) {
		ctl_fail(call, RPC_REFUSED, "%s", why);
		cfg_free(cfg);
		return;
	}
	(void)fault_point(FAULT_verb_pool_open);
	pool = server_pool(call->srv, ctl_text(call, "pool"));
	taken = take_over(call, cfg, pool);
	server_pool_put(call->srv, pool);
	if (taken < 0)
		cfg_free(cfg);
	else if (ctl_commit(call, cfg, false))
		answer(call, true);
	if (call->exit == RPC_DONE)
		jval_set_number(call->result, "volumes", (uint64_t)taken);
	else
		server_pool_drop(call->srv);
}

/* ---- looking ---- */

static void tell_caps(struct jval *out, uint32_t caps)
{
	struct jval *list = jval_list();

	for (uint32_t bit = 1; pool_cap_name((enum pool_caps)bit); bit <<= 1) {
		if (caps & bit)
			jval_append(list, jval_new_text(pool_cap_name((enum pool_caps)bit)));
	}
	jval_set(out, "can", list);
}

static void tell_text(struct jval *out, const char *key, const char *text)
{
	if (text)
		jval_set_text(out, key, text);
}

/* Percent that are used, and whether initiators were told that they are many. */
static void tell_use(struct jval *out, const struct cfg_pool *p, const struct pool_info *info)
{
	unsigned used = pool_policy_used(info, POOL_DATA);
	unsigned meta = pool_policy_used(info, POOL_META);

	jval_set_number(out, "used_percent", used);
	if (info->meta_size)
		jval_set_number(out, "meta_used_percent", meta);
	if (!strcmp(p->kind, "dir") || p->thin_pool)
		jval_set_flag(
			out, "low", p->low_water && (used >= p->low_water || meta >= p->low_water));
}

/* False: the pool does not say, and why is in `why`. */
static bool tell_pool(struct jval *out, const struct config *cfg, const struct cfg_pool *p,
	struct pool *pool, char *why)
{
	struct pool_info info = { 0 };
	int err = pool_info(pool, &info, why, POOL_WHY_LEN);

	jval_set_text(out, "pool", p->name);
	jval_set_text(out, "kind", p->kind);
	tell_text(out, "path", p->path);
	tell_text(out, "vg", p->vg);
	tell_text(out, "thin_pool", p->thin_pool);
	if (!err) {
		jval_set_number(out, "size", info.size);
		jval_set_number(out, "free", info.free);
		tell_use(out, p, &info);
		jval_set_number(out, "promised", info.promised);
		jval_set_number(out, "volumes", info.volumes);
		jval_set_text(out, "state",
			info.failed     ? "failed"
			: info.readonly ? "readonly"
			: info.full     ? "full"
					: "ok");
	} else {
		jval_set_text(out, "state", why);
	}
	if (!err && info.meta_size) {
		jval_set_number(out, "meta_size", info.meta_size);
		jval_set_number(out, "meta_free", info.meta_free);
	}
	jval_set_flag(out, "managed", cfg_is_managed(cfg, &p->where));
	return !err;
}

void verb_pool_list(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	struct jval *list = ctl_list(call);

	for (unsigned i = 0; i < cfg->pool_count; i++) {
		struct pool *pool = server_pool(call->srv, cfg->pools[i].name);
		char why[POOL_WHY_LEN] = "";
		struct jval *one;

		if (!pool)
			continue;
		one = jval_object();
		(void)tell_pool(one, cfg, &cfg->pools[i], pool, why);
		jval_append(list, one);
		server_pool_put(call->srv, pool);
	}
	cfg_free(cfg);
}

/* When it warns, and how it grows. */
static void tell_marks(struct jval *out, const struct cfg_pool *p)
{
	if (!strcmp(p->kind, "dir") || p->thin_pool)
		jval_set_number(out, "low_water", p->low_water);
	if (!p->thin_pool)
		return;
	jval_set_number(out, "extend_at", p->extend_at);
	if (p->extend_at && p->extend_by)
		jval_set_number(out, "extend_by", p->extend_by);
	if (p->extend_at && p->extend_max)
		jval_set_number(out, "extend_max", p->extend_max);
}

static void tell_volumes(struct ctl_call *call, struct pool *pool)
{
	struct jval *names = jval_list();
	struct pool_volume *list own_free = NULL;
	size_t count = 0;

	if (pool_list(pool, &list, &count, NULL, 0))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		struct jval *one = jval_object();

		jval_set_text(one, "volume", list[i].name);
		jval_set_number(one, "size", list[i].size);
		jval_set_number(one, "allocated", list[i].allocated);
		jval_set_flag(one, "snapshot", list[i].snapshot);
		jval_append(names, one);
	}
	jval_set(call->result, "has", names);
}

void verb_pool_show(struct ctl_call *call)
{
	const char *name = ctl_text(call, "pool");
	struct config *cfg = ctl_config(call);
	struct pool *pool = ctl_pool(call, cfg, name);
	int i = find_quietly(cfg, name);
	char why[POOL_WHY_LEN] = "";

	if (pool && i >= 0) {
		char *where own_free = ctl_where(&cfg->pools[i].where);

		(void)tell_pool(call->result, cfg, &cfg->pools[i], pool, why);
		tell_marks(call->result, &cfg->pools[i]);
		tell_caps(call->result, pool_caps(pool));
		jval_set_text(call->result, "where", where);
		tell_volumes(call, pool);
	}
	server_pool_put(call->srv, pool);
	cfg_free(cfg);
}

/* ---- removing ---- */

/* The first volume of the configuration that is in a pool, or NULL. */
static const char *first_in(const struct config *cfg, const char *pool)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const struct cfg_volume *v = &cfg->volumes[i];

		if (v->pool && !strcmp(v->pool, pool))
			return v->name;
	}
	return NULL;
}

void verb_pool_remove(struct ctl_call *call)
{
	const char *name = ctl_text(call, "pool"), *volume;
	struct config *cfg = ctl_config(call);
	int i = find_quietly(cfg, name);
	bool ok = i >= 0;

	volume = ok ? first_in(cfg, name) : NULL;
	if (!ok && ctl_flag(call, "if_exists"))
		answer(call, false);
	else if (!ok)
		ctl_fail(call, RPC_NOT_FOUND, "pool \"%s\": there is none; kura pool list", name);
	else if (volume)
		ctl_fail(call, RPC_IN_USE,
			"pool \"%s\": volume \"%s\" is in it; kura volume delete, or kura volume "
			"forget to leave it in the pool",
			name, volume);
	else
		ok = ctl_may_change(call, cfg, &cfg->pools[i].where, "pool", name);
	if (!ok || call->exit != RPC_DONE) {
		cfg_free(cfg);
		return;
	}
	cfg_list_remove(CFG_OBJECT_config, cfg, "pools", (unsigned)i);
	if (ctl_commit(call, cfg, false))
		answer(call, true);
}
