/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of pools: what they were at a moment, and others made of them. */
#include "target/ctl/verbs.h"

#include "common/log.h"
#include "common/own.h"
#include "target/ctl/volumes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- holding still ---- */

struct still {
	struct ctl_call *call;
	const char *volume;
	struct server_hold *hold;
	uint64_t micros; /* how long it was held */
};

static int still_begin(void *arg)
{
	struct still *s = arg;
	int err;

	s->hold = server_hold(s->call->srv, s->volume, &err);
	return err;
}

static void still_end(void *arg)
{
	struct still *s = arg;

	s->micros = server_release(own_take(s->hold));
	log_info("volume held still", "volume=%s microseconds=%" PRIu64, s->volume, s->micros);
}

int ctl_snapshot(struct ctl_call *call, struct pool *pool, const char *volume, const char *snap,
	uint64_t *micros, char *why)
{
	struct still still = { .call = call, .volume = volume };
	const struct pool_hooks hooks = { still_begin, still_end, &still };
	int err;

	if (!server_tend(call->srv))
		return -EAGAIN;
	err = pool_snapshot(pool, volume, snap, &hooks, why, POOL_WHY_LEN);
	server_tend_end(call->srv);
	*micros = still.micros;
	if (err == -ETIMEDOUT && !*why)
		snprintf(why, POOL_WHY_LEN,
			"volume \"%s\": a write that is under way does not end, so that it cannot "
			"be "
			"held still; look at its device",
			volume);
	return err;
}

/* ---- snapshots ---- */

static bool is_free_name(struct ctl_call *call, const struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (strcmp(cfg->volumes[i].name, name) != 0)
			continue;
		ctl_fail(call, RPC_EXISTS, "volume \"%s\": there is one", name);
		return false;
	}
	return true;
}

void verb_volume_snapshot(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume"), *snap = ctl_text(call, "snapshot");
	struct config *cfg = ctl_config(call);
	char why[POOL_WHY_LEN] = "";
	struct ctl_volume v;
	uint64_t micros = 0;
	int err = 0;

	if (is_free_name(call, cfg, snap) && ctl_is_idle(call, snap) &&
		ctl_volume_get(call, cfg, name, &v)) {
		err = ctl_snapshot(call, v.pool, name, snap, &micros, why);
		ctl_volume_fini(call, &v);
	}
	cfg_free(cfg);
	if (err)
		ctl_fail_errno(call, err, why);
	if (call->exit != RPC_DONE)
		return;
	jval_set_text(call->result, "snapshot", snap);
	jval_set_text(call->result, "volume", name);
	jval_set_number(call->result, "held_ns", micros * 1000);
}

/* Nobody has either of them open meanwhile: the volume is put aside, the snapshot is not mapped. */
static int revert(struct ctl_call *call, const struct ctl_volume *v, const char *snap, char *why)
{
	char text[SERVER_WHY_LEN];
	int err = server_put_aside(call->srv, v->is.name, why);

	if (err)
		return err;
	err = pool_revert(v->pool, v->is.name, snap, why, POOL_WHY_LEN);
	if (server_take_back(call->srv, v->is.name, text) && !err) {
		snprintf(why, SERVER_WHY_LEN, "%s", text);
		err = -EIO;
	}
	return err;
}

/* A snapshot that is served is open. */
static bool is_not_served(struct ctl_call *call, const struct config *cfg, const char *snap)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (strcmp(cfg->volumes[i].name, snap) != 0)
			continue;
		ctl_fail(call, RPC_IN_USE,
			"snapshot \"%s\": is served; kura volume forget %s, then revert", snap,
			snap);
		return false;
	}
	return true;
}

void verb_volume_revert(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume"), *snap = ctl_text(call, "snapshot");
	struct config *cfg = ctl_config(call);
	char why[SERVER_WHY_LEN] = "";
	struct ctl_volume v = { 0 };

	if (ctl_volume_get(call, cfg, name, &v) && is_not_served(call, cfg, snap) &&
		ctl_is_free(call, cfg, name, "lun remove first") && ctl_tend(call)) {
		int err = revert(call, &v, snap, why);

		server_tend_end(call->srv);
		if (err)
			ctl_fail_errno(call, err, why);
	}
	if (call->exit == RPC_DONE && !pool_find(v.pool, name, &v.is, NULL, 0)) {
		jval_set_text(call->result, "volume", name);
		jval_set_number(call->result, "size", v.is.size);
	}
	ctl_volume_fini(call, &v);
	cfg_free(cfg);
}

/* ---- clones ---- */

static bool is_encrypted(const struct cfg_volume *v)
{
	for (unsigned i = 0; v && i < v->layer_count; i++) {
		if (!strcmp(v->layers[i].kind, "crypt"))
			return true;
	}
	return false;
}

bool ctl_may_copy(struct ctl_call *call, const struct ctl_volume *v, const char *what)
{
	if (!is_encrypted(v->cfg))
		return true;
	ctl_fail(call, RPC_REFUSED,
		"volume \"%s\": is encrypted, and %s would hold its bytes under the same key, "
		"which "
		"two writers must not share; copy it through an initiator, to a volume with a key "
		"of its own",
		v->is.name, what);
	return false;
}

/* Whether the source is in a state to be copied from; *hold: while it is held still. */
static bool may_clone(
	struct ctl_call *call, const struct config *cfg, const struct ctl_volume *v, bool *hold)
{
	*hold = ctl_is_written(cfg, v);
	if (!ctl_may_copy(call, v, "a clone"))
		return false;
	if (!*hold || (pool_caps(v->pool) & POOL_CAN_CLONE))
		return true;
	ctl_fail(call, RPC_IN_USE,
		"volume \"%s\": is mapped, and its pool copies all of it, while it might change; "
		"%s",
		v->is.name,
		pool_caps(v->pool) & POOL_CAN_SNAPSHOT ? "clone a snapshot of it"
						       : "lun remove first");
	return false;
}

static bool cloned(void *arg, uint64_t done, uint64_t total)
{
	return ctl_job_told(arg, done, total);
}

static int make_clone(struct ctl_call *call, const struct ctl_volume *v, bool hold, char *why)
{
	const struct pool_progress progress = { cloned, call->job };
	struct still still = { .call = call, .volume = v->is.name };
	const char *name = ctl_text(call, "volume");
	int err = 0;

	if (hold && !server_tend(call->srv))
		return -EAGAIN;
	if (hold)
		err = still_begin(&still);
	if (!err)
		err = pool_clone(v->pool, v->is.name, name, &progress, why, POOL_WHY_LEN);
	if (still.hold)
		still_end(&still);
	if (hold)
		server_tend_end(call->srv);
	return err;
}

/* In a change: the source is in use then, and the note is written. */
static bool clone_begin(struct ctl_call *call, struct ctl_volume *v, bool *hold)
{
	const char *name = ctl_text(call, "volume");
	struct config *cfg = ctl_config(call);
	struct doing doing = { DOING_MAKE, name, NULL, NULL, NULL, false };
	bool ok = is_free_name(call, cfg, name) &&
		  ctl_volume_get(call, cfg, ctl_text(call, "source"), v);

	if (ok) {
		doing.pool = pool_name(v->pool);
		ok = may_clone(call, cfg, v, hold) && ctl_note(call, &doing);
		if (!ok)
			ctl_volume_fini(call, v);
		v->cfg = NULL;
	}
	cfg_free(cfg);
	return ok;
}

void verb_volume_clone(struct ctl_call *call)
{
	const char *name = ctl_text(call, "volume");
	char why[POOL_WHY_LEN] = "";
	struct ctl_volume v;
	bool hold = false, ok;
	int err;

	ctl_change_begin(call);
	ok = clone_begin(call, &v, &hold);
	ctl_change_end(call);
	if (!ok)
		return;
	err = make_clone(call, &v, hold, why);
	ctl_change_begin(call);
	if (err) {
		doing_end(server_state_dir(call->srv), name);
		ctl_fail_errno(call, err, why);
	} else {
		ctl_name_new(call, pool_name(v.pool), name);
	}
	ctl_change_end(call);
	ctl_volume_fini(call, &v);
}
