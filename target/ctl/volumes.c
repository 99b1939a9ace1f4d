/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of pools and volumes share. */
#include "target/ctl/volumes.h"

#include "common/fault.h"
#include "common/own.h"
#include "target/apply.h"
#include "target/scsi/lun.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void ctl_fail_errno(struct ctl_call *call, int err, const char *why)
{
	ctl_fail(call, ctl_exit_of(err), "%s", *why ? why : strerror(-err));
}

/* ---- pools ---- */

static void no_such_pool(struct ctl_call *call, const struct config *cfg, const char *name)
{
	if (name)
		ctl_fail(call, RPC_NOT_FOUND, "pool \"%s\": there is none; kura pool list", name);
	else
		ctl_fail(call, RPC_USAGE,
			cfg->pool_count ? "there are several pools; say which by --pool"
					: "there is no pool yet; kura pool add makes one");
}

struct pool *ctl_pool(struct ctl_call *call, const struct config *cfg, const char *name)
{
	const char *wanted = name ? name : cfg->pool_count == 1 ? cfg->pools[0].name : NULL;
	struct pool *pool = wanted ? server_pool(call->srv, wanted) : NULL;

	if (!pool)
		no_such_pool(call, cfg, name);
	return pool;
}

/* ---- volumes ---- */

static const struct cfg_volume *find_quietly(const struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (!strcmp(cfg->volumes[i].name, name))
			return &cfg->volumes[i];
	}
	return NULL;
}

/* The volumes that configurations do not name are those of pools. */
static bool look_everywhere(
	struct ctl_call *call, struct config *cfg, const char *name, struct ctl_volume *out)
{
	const char *wanted = ctl_text(call, "pool");

	for (unsigned i = 0; i < cfg->pool_count; i++) {
		struct pool *pool = wanted && strcmp(wanted, cfg->pools[i].name) != 0
					    ? NULL
					    : server_pool(call->srv, cfg->pools[i].name);
		struct pool_volume is;

		if (!pool || pool_find(pool, name, &is, NULL, 0)) {
			server_pool_put(call->srv, pool);
			continue;
		}
		if (out->pool) {
			server_pool_put(call->srv, pool);
			ctl_fail(call, RPC_USAGE,
				"\"%s\": two pools have a volume of that name, \"%s\" and \"%s\"; "
				"say "
				"which by --pool",
				name, pool_name(out->pool), pool_name(pool));
			return false;
		}
		out->pool = pool;
		out->is = is;
	}
	return out->pool || (ctl_find_volume(call, cfg, name), false);
}

bool ctl_volume_get(
	struct ctl_call *call, struct config *cfg, const char *name, struct ctl_volume *out)
{
	char why[POOL_WHY_LEN] = "";
	int err;

	*out = (struct ctl_volume){ .cfg = find_quietly(cfg, name) };
	if (!out->cfg) {
		if (look_everywhere(call, cfg, name, out))
			return true;
		ctl_volume_fini(call, out);
		return false;
	}
	if (!out->cfg->pool) {
		ctl_fail(call, RPC_REFUSED,
			"volume \"%s\": is in no pool, but a store \"%s\" of %s, line %u: change "
			"it "
			"there",
			name, out->cfg->store, out->cfg->where.file, out->cfg->where.line);
		return false;
	}
	out->pool = ctl_pool(call, cfg, out->cfg->pool);
	if (!out->pool)
		return false;
	err = pool_find(out->pool, name, &out->is, why, sizeof why);
	if (!err)
		return true;
	ctl_fail_errno(call, err, why);
	ctl_volume_fini(call, out);
	return false;
}

void ctl_volume_fini(struct ctl_call *call, struct ctl_volume *v)
{
	server_pool_put(call->srv, v->pool);
	v->pool = NULL;
}

/* ---- who uses it ---- */

static struct jval *mapped_by(struct jval *list, const struct cfg_target *t,
	const struct cfg_lun *luns, unsigned count, const char *volume)
{
	for (unsigned i = 0; i < count; i++) {
		own_free char *text = NULL;

		if (strcmp(luns[i].volume, volume) != 0)
			continue;
		text = own_printf("%s LUN %u", t->name, luns[i].lun);
		list = list ? list : jval_list();
		jval_append(list, jval_new_text(text));
	}
	return list;
}

struct jval *ctl_mapped(const struct config *cfg, const char *volume)
{
	struct jval *list = NULL;

	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		list = mapped_by(list, t, t->luns, t->lun_count, volume);
		for (unsigned k = 0; k < t->access_count; k++)
			list = mapped_by(
				list, t, t->access[k].luns, t->access[k].lun_count, volume);
	}
	return list;
}

static void unmap_list(enum cfg_object object, void *owner, struct cfg_lun *const *luns,
	const unsigned *count, const char *volume)
{
	for (unsigned i = *count; i-- > 0;) {
		if (!strcmp((*luns)[i].volume, volume))
			cfg_list_remove(object, owner, "luns", i);
	}
}

/* A host group whose last LUN goes may enter no more: without LUNs of its own it would see the
 * target's. */
static void unmap_target(struct cfg_target *t, const char *volume)
{
	unmap_list(CFG_OBJECT_target, t, &t->luns, &t->lun_count, volume);
	for (unsigned k = t->access_count; k-- > 0;) {
		struct cfg_access *a = &t->access[k];
		unsigned before = a->lun_count;

		unmap_list(CFG_OBJECT_access, a, &a->luns, &a->lun_count, volume);
		if (before && !a->lun_count)
			cfg_list_remove(CFG_OBJECT_target, t, "access", k);
	}
}

static bool maps(const struct cfg_target *t, const char *volume)
{
	bool is;
	struct jval *list = mapped_by(NULL, t, t->luns, t->lun_count, volume);

	for (unsigned k = 0; k < t->access_count; k++)
		list = mapped_by(list, t, t->access[k].luns, t->access[k].lun_count, volume);
	is = list;
	jval_free(list);
	return is;
}

bool ctl_unmap(struct ctl_call *call, struct config *cfg, const char *volume)
{
	for (unsigned i = 0; i < cfg->target_count; i++) {
		struct cfg_target *t = &cfg->targets[i];

		if (!maps(t, volume))
			continue;
		if (!ctl_may_change(call, cfg, &t->where, "target", t->name))
			return false;
		unmap_target(t, volume);
	}
	return true;
}

static void add_user(struct jval *list, const char *name)
{
	for (unsigned i = 0; i < jval_count(list); i++) {
		if (!strcmp(jval_text(jval_item(list, i)), name))
			return;
	}
	jval_append(list, jval_new_text(name));
}

/* The server is asked what it would do if the volume were unmapped. */
struct jval *ctl_users(struct ctl_call *call, const struct config *cfg, const char *volume)
{
	struct config *without = cfg_copy(cfg);
	struct apply_report report = { 0 };
	struct jval *list = jval_list();

	for (unsigned i = 0; i < without->target_count; i++)
		unmap_target(&without->targets[i], volume);
	(void)server_apply(call->srv, without, APPLY_DRY_RUN, &report);
	for (unsigned i = 0; i < report.count; i++) {
		for (unsigned k = 0; k < report.steps[i].user_count; k++)
			add_user(list, report.steps[i].users[k]);
	}
	apply_report_fini(&report);
	return list;
}

bool ctl_is_free(
	struct ctl_call *call, const struct config *cfg, const char *volume, const char *todo)
{
	struct jval *mapped = ctl_mapped(cfg, volume), *users;
	unsigned count;

	if (!mapped)
		return true;
	users = ctl_users(call, cfg, volume);
	count = jval_count(users);
	ctl_fail(call, RPC_IN_USE, "volume \"%s\": is mapped, as %s%s%s%s%s; %s", volume,
		jval_text(jval_item(mapped, 0)), jval_count(mapped) > 1 ? " and elsewhere" : "",
		count ? ", and used by " : "", count ? jval_text(jval_item(users, 0)) : "",
		count > 1 ? " and others" : "", todo);
	jval_set(ctl_detail(call), "mapped", mapped);
	jval_set(ctl_detail(call), "users", users);
	return false;
}

bool ctl_is_written(const struct config *cfg, const struct ctl_volume *v)
{
	struct jval *mapped = ctl_mapped(cfg, v->is.name);
	bool is = mapped;

	jval_free(mapped);
	return is && v->cfg && !v->cfg->readonly && !v->is.snapshot;
}

/* ---- steps ---- */

/* What a note says is to be made may be there under no configuration: forgotten, a snapshot. It
 * would be taken for remains after a crash. */
static bool is_new(struct ctl_call *call, const struct doing *doing)
{
	const char *made = doing->kind == DOING_MAKE     ? doing->volume
			   : doing->kind == DOING_EXPORT ? doing->to
							 : NULL;
	struct pool *pool = made ? server_pool(call->srv, doing->pool) : NULL;
	struct pool_volume is;
	bool there = pool && !pool_find(pool, made, &is, NULL, 0);

	server_pool_put(call->srv, pool);
	if (there)
		ctl_fail(call, RPC_EXISTS,
			"pool \"%s\": there is a volume \"%s\" already; kura volume %s %s",
			doing->pool, made, doing->to ? "rename" : "adopt", made);
	return !there;
}

bool ctl_is_idle(struct ctl_call *call, const char *name)
{
	if (!doing_is(server_state_dir(call->srv), name))
		return true;
	ctl_fail(call, RPC_BUSY,
		"volume \"%s\": something else is done to it; kura job list says what", name);
	return false;
}

bool ctl_note(struct ctl_call *call, const struct doing *doing)
{
	int err;

	if (!ctl_is_idle(call, doing->volume) || !is_new(call, doing))
		return false;
	err = doing_begin(server_state_dir(call->srv), doing);

	if (!err && !fault_point(FAULT_verb_noted))
		return true;
	if (!err)
		doing_end(server_state_dir(call->srv), doing->volume);
	ctl_fail(call, RPC_REFUSED, "%s: cannot be written to: %s", server_state_dir(call->srv),
		err ? strerror(-err) : "fault verb_noted");
	return false;
}

bool ctl_name_volume(struct ctl_call *call, struct config *cfg, const struct doing *doing,
	const struct cfg_volume *like)
{
	struct pool *pool = server_pool(call->srv, doing->pool);
	struct cfg_volume v = { 0 };
	bool ok = false;

	cfg_copy_object(CFG_OBJECT_volume, &v, like);
	v.where = cfg_managed_where(cfg);
	cfg_list_add(CFG_OBJECT_config, cfg, "volumes", &v);
	if (fault_point(FAULT_verb_pool_done)) {
		ctl_fail(call, RPC_REFUSED, "fault verb_pool_done");
		cfg_free(cfg);
	} else {
		ok = ctl_commit(call, cfg, false);
	}
	if (!ok)
		(void)pool_delete(pool, doing->volume, false, NULL, NULL, 0);
	server_pool_put(call->srv, pool);
	(void)fault_point(FAULT_verb_followed);
	doing_end(server_state_dir(call->srv), doing->volume);
	return ok;
}

void ctl_name_new(struct ctl_call *call, const char *pool, const char *volume)
{
	const struct doing doing = { DOING_MAKE, volume, pool, NULL, NULL, false };
	struct pool *open = server_pool(call->srv, pool);
	struct cfg_volume v = { 0 };
	struct pool_volume is;

	cfg_set_defaults(CFG_OBJECT_volume, &v);
	v.name = own_strdup(volume);
	v.pool = own_strdup(pool);
	if (ctl_name_volume(call, ctl_config(call), &doing, &v)) {
		jval_set_text(call->result, "volume", volume);
		jval_set_text(call->result, "pool", pool);
		if (!pool_find(open, volume, &is, NULL, 0))
			jval_set_number(call->result, "size", is.size);
	}
	cfg_fini_object(CFG_OBJECT_volume, &v);
	server_pool_put(call->srv, open);
}

bool ctl_tend(struct ctl_call *call)
{
	if (server_tend(call->srv))
		return true;
	ctl_fail(call, RPC_BUSY, "another change is under way; try again");
	return false;
}

/* ---- telling ---- */

static void tell_uuid(struct jval *out, const uint8_t *uuid)
{
	char text[37];
	size_t n = 0;

	for (unsigned i = 0; i < VOL_UUID_LEN; i++) {
		bool dash = i == 4 || i == 6 || i == 8 || i == 10;

		n += (size_t)snprintf(text + n, sizeof text - n, dash ? "-%02x" : "%02x", uuid[i]);
	}
	jval_set_text(out, "uuid", text);
}

void ctl_tell_naa(struct jval *out, const uint8_t *uuid)
{
	uint8_t naa[SCSI_NAA_LEN];
	char text[2 * SCSI_NAA_LEN + 1];

	scsi_naa_from_uuid(uuid, naa);
	for (unsigned i = 0; i < SCSI_NAA_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", naa[i]);
	jval_set_text(out, "naa", text);
}

void ctl_tell_volume(struct jval *out, const struct config *cfg, const struct ctl_volume *v)
{
	jval_set_text(out, "volume", v->is.name);
	jval_set_text(out, "pool", pool_name(v->pool));
	jval_set_number(out, "size", v->is.size);
	jval_set_number(out, "allocated", v->is.allocated);
	jval_set_flag(out, "thin", v->is.thin);
	if (*v->is.origin)
		jval_set_text(out, "origin", v->is.origin);
	jval_set_flag(out, "snapshot", v->is.snapshot);
	jval_set_flag(out, "managed", v->cfg && cfg_is_managed(cfg, &v->cfg->where));
	tell_uuid(out, v->is.uuid);
}
