/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_plan.c: what is different between what is served and what is wanted, in the order in which
 * it is carried out: what comes, what changes, whose sessions end, what goes.
 */
#include "target/apply_guts.h"

#include "common/own.h"
#include "config/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- finding ---- */

static const struct cfg_access *find_access(const struct cfg_target *t, const char *host)
{
	for (unsigned i = 0; i < t->access_count; i++) {
		if (!strcmp(t->access[i].host, host))
			return &t->access[i];
	}
	return NULL;
}

static const struct cfg_portal *find_portal(
	const struct config *cfg, const struct cfg_portal *portal)
{
	for (unsigned i = 0; i < cfg->portal_count; i++) {
		const struct cfg_portal *p = &cfg->portals[i];

		if (p->port == portal->port && !strcmp(p->address, portal->address))
			return p;
	}
	return NULL;
}

static const struct storage_port *port_of(const struct apply *a, const struct scsi_target *scsi)
{
	list_for_each (it, &a->srv->storage.ports) {
		const struct storage_port *port = container_of(it, struct storage_port, node);

		if (port->scsi == scsi)
			return port;
	}
	return NULL;
}

/* ---- what is in the way ---- */

/* Without leave, a step that hurts somebody is not taken. */
static void needs(const struct apply *a, struct apply_step *step, unsigned flag)
{
	if (step->user_count && !(a->flags & flag))
		step->state = APPLY_REFUSED;
}

static void users_of_volume(const struct apply *a, struct apply_step *step, const char *volume)
{
	list_for_each (it, &a->seen) {
		const struct iscsi_seen *seen = container_of(it, struct iscsi_seen, node);
		const struct storage_port *port = port_of(a, seen->port);

		for (unsigned i = 0; port && i < port->map_count; i++) {
			if (!strcmp(port->maps[i].unit->volume->name, volume))
				report_user(step, seen->initiator);
		}
	}
}

/* Those who see the LUNs of a target as the hosts of a group do, and go on doing so. */
static void users_of_view(
	const struct apply *a, struct apply_step *step, const char *target, const char *host)
{
	list_for_each (it, &a->seen) {
		const struct iscsi_seen *seen = container_of(it, struct iscsi_seen, node);
		const struct storage_port *port = port_of(a, seen->port);

		if (!port || seen->verdict != ISCSI_STAYS || strcmp(port->target, target))
			continue;
		if (host && port->host ? !strcmp(host, port->host) : host == port->host)
			report_user(step, seen->initiator);
	}
}

/* ---- volumes ---- */

static bool opens_again(const struct cfg_volume *old, const struct cfg_volume *new)
{
	const struct cfg_key *key = NULL;

	while ((key = cfg_key_next(CFG_OBJECT_volume, key))) {
		if (strcmp(key->name, "size") != 0 && strcmp(key->name, "limit") != 0 &&
			!cfg_same_field(key, old, new))
			return true;
	}
	return false;
}

static void plan_reopen(struct apply *a, const struct cfg_volume *v)
{
	struct apply_step *step = report_add(a->report, APPLY_REOPEN_VOLUME, v->name,
		"volume \"%s\" is closed and opened again, for more than its size or its limit "
		"has changed",
		v->name);

	users_of_volume(a, step, v->name);
	needs(a, step, 0);
}

static void plan_size(struct apply *a, const struct cfg_volume *old, const struct cfg_volume *v)
{
	const struct storage_volume *open;
	struct apply_step *step;
	uint64_t size;

	if (v->size == old->size || !v->size)
		return;
	open = storage_volume_find(&a->srv->storage, v->name);
	size = open ? vol_info(open->vol).size : v->size;
	if (v->size == size)
		return;
	step = report_add(a->report, v->size > size ? APPLY_GROW_VOLUME : APPLY_SHRINK_VOLUME,
		v->name, "volume \"%s\" becomes %s, from %" PRIu64 " to %" PRIu64 " bytes", v->name,
		v->size > size ? "larger" : "smaller", size, v->size);
	if (v->size < size && !(a->flags & APPLY_SHRINK))
		step->state = APPLY_REFUSED;
}

static void plan_limit(struct apply *a, const struct cfg_volume *old, const struct cfg_volume *v)
{
	if (!cfg_same_field(cfg_key_find(CFG_OBJECT_volume, "limit"), old, v))
		report_add(a->report, APPLY_LIMIT_VOLUME, v->name, "volume \"%s\" %s", v->name,
			!v->limit    ? "is not limited any more"
			: old->limit ? "gets another limit"
				     : "is limited");
}

static void plan_volumes(struct apply *a)
{
	for (unsigned i = 0; i < a->next->volume_count; i++) {
		const struct cfg_volume *v = &a->next->volumes[i];
		const struct cfg_volume *old = cfg_volume_named(a->srv->cfg, v->name);

		if (!old) {
			report_add(a->report, APPLY_OPEN_VOLUME, v->name,
				"volume \"%s\" is opened (%s %s)", v->name,
				v->pool ? "pool" : v->store,
				v->pool   ? v->pool
				: v->path ? v->path
					  : "-");
		} else if (opens_again(old, v)) {
			plan_reopen(a, v);
		} else {
			plan_size(a, old, v);
			plan_limit(a, old, v);
		}
	}
}

static void plan_closed_volumes(struct apply *a)
{
	for (unsigned i = 0; i < a->srv->cfg->volume_count; i++) {
		const char *name = a->srv->cfg->volumes[i].name;

		if (!cfg_volume_named(a->next, name))
			report_add(a->report, APPLY_CLOSE_VOLUME, name, "volume \"%s\" is closed",
				name);
	}
}

/* ---- pools ---- */

static const struct cfg_pool *find_pool(const struct config *cfg, const char *name)
{
	for (unsigned i = 0; i < cfg->pool_count; i++) {
		if (!strcmp(cfg->pools[i].name, name))
			return &cfg->pools[i];
	}
	return NULL;
}

static const char *place_of(const struct cfg_pool *p)
{
	return p->path ? p->path : p->vg ? p->vg : "";
}

/* Whether they differ in nothing but marks, which change while a pool is open. */
static bool same_but_marks(const struct cfg_pool *old, const struct cfg_pool *p)
{
	struct cfg_pool like = *p;

	like.low_water = old->low_water;
	like.extend_at = old->extend_at;
	like.extend_by = old->extend_by;
	like.extend_max = old->extend_max;
	return cfg_same_object(CFG_OBJECT_pool, old, &like);
}

static void plan_pools(struct apply *a)
{
	for (unsigned i = 0; i < a->next->pool_count; i++) {
		const struct cfg_pool *p = &a->next->pools[i];
		const struct cfg_pool *old = find_pool(a->srv->cfg, p->name);

		if (!old)
			report_add(a->report, APPLY_OPEN_POOL, p->name,
				"pool \"%s\" is opened (%s %s)", p->name, p->kind, place_of(p));
		else if (cfg_same_object(CFG_OBJECT_pool, old, p))
			continue;
		else if (same_but_marks(old, p))
			report_add(a->report, APPLY_CHANGE_POOL, p->name,
				"pool \"%s\" is warned of and extended by other marks", p->name);
		else
			report_add(a->report, APPLY_CHANGE_POOL, p->name,
				"pool \"%s\" changes: its volumes are open; restart kurad for "
				"that, "
				"or give another name to the new one",
				p->name)
				->state = APPLY_REFUSED;
	}
}

static void plan_closed_pools(struct apply *a)
{
	for (unsigned i = 0; i < a->srv->cfg->pool_count; i++) {
		const char *name = a->srv->cfg->pools[i].name;

		if (!find_pool(a->next, name))
			report_add(
				a->report, APPLY_CLOSE_POOL, name, "pool \"%s\" is closed", name);
	}
}

/* ---- LUNs ---- */

/* The LUNs that one group of hosts sees of a target, before and after. */
struct view {
	const char *target, *host;
	const struct cfg_lun *old, *new;
	unsigned old_count, new_count;
};

static const struct cfg_lun *find_lun(const struct cfg_lun *luns, unsigned count, uint16_t number)
{
	for (unsigned i = 0; i < count; i++) {
		if (luns[i].lun == number)
			return &luns[i];
	}
	return NULL;
}

/* " as hosts \"x\" see it", where that makes a difference. */
static const char *seen_by(const struct view *view, char text[96])
{
	snprintf(text, 96, view->host ? " for hosts \"%s\"" : "%s", view->host ? view->host : "");
	return text;
}

/* Whether it is another unit: something but the write protection is another. */
static bool other_unit(const struct cfg_lun *old, const struct cfg_lun *new)
{
	const struct cfg_key *key = NULL;

	while ((key = cfg_key_next(CFG_OBJECT_lun, key))) {
		if (strcmp(key->name, "readonly") != 0 && !cfg_same_field(key, old, new))
			return true;
	}
	return false;
}

static void plan_other_unit(struct apply *a, const struct view *view, const struct cfg_lun *lun)
{
	char who[96];
	struct apply_step *step = report_add(a->report, APPLY_CHANGE_LUN, view->target,
		"LUN %u of target %s%s becomes another unit, volume \"%s\"", lun->lun, view->target,
		seen_by(view, who), lun->volume);

	users_of_view(a, step, view->target, view->host);
	needs(a, step, APPLY_FORCE);
}

static void plan_new_luns(struct apply *a, const struct view *view)
{
	char who[96];

	for (unsigned i = 0; i < view->new_count; i++) {
		const struct cfg_lun *lun = &view->new[i];
		const struct cfg_lun *old = find_lun(view->old, view->old_count, lun->lun);

		if (!old)
			report_add(a->report, APPLY_ADD_LUN, view->target,
				"LUN %u of target %s%s comes, volume \"%s\"%s", lun->lun,
				view->target, seen_by(view, who), lun->volume,
				lun->readonly ? ", read-only" : "");
		else if (other_unit(old, lun))
			plan_other_unit(a, view, lun);
		else if (old->readonly != lun->readonly)
			report_add(a->report, APPLY_CHANGE_LUN, view->target,
				"LUN %u of target %s%s %s", lun->lun, view->target,
				seen_by(view, who),
				lun->readonly ? "becomes read-only" : "can be written");
	}
}

static void plan_gone_luns(struct apply *a, const struct view *view)
{
	char who[96];

	for (unsigned i = 0; i < view->old_count; i++) {
		const struct cfg_lun *lun = &view->old[i];
		struct apply_step *step;

		if (find_lun(view->new, view->new_count, lun->lun))
			continue;
		step = report_add(a->report, APPLY_REMOVE_LUN, view->target,
			"LUN %u of target %s%s goes, volume \"%s\"", lun->lun, view->target,
			seen_by(view, who), lun->volume);
		users_of_view(a, step, view->target, view->host);
		needs(a, step, APPLY_FORCE);
	}
}

/* Every view that there is before and after. */
static void plan_views(struct apply *a, void (*plan)(struct apply *a, const struct view *view))
{
	for (unsigned i = 0; i < a->next->target_count; i++) {
		const struct cfg_target *t = &a->next->targets[i];
		const struct cfg_target *old = cfg_target_named(a->srv->cfg, t->name);

		if (!old)
			continue;
		plan(a, &(struct view){
				t->name, NULL, old->luns, t->luns, old->lun_count, t->lun_count });
		for (unsigned k = 0; k < t->access_count; k++) {
			const struct cfg_access *is = &t->access[k];
			const struct cfg_access *was = find_access(old, is->host);

			if (was && was->lun_count && is->lun_count)
				plan(a, &(struct view){ t->name, is->host, was->luns, is->luns,
						was->lun_count, is->lun_count });
		}
	}
}

/* ---- targets, hosts, portals ---- */

static bool same_access(const struct cfg_target *a, const struct cfg_target *b)
{
	if (a->access_count != b->access_count)
		return false;
	for (unsigned i = 0; i < a->access_count; i++) {
		if (strcmp(a->access[i].host, b->access[i].host) != 0 ||
			!a->access[i].lun_count != !b->access[i].lun_count)
			return false;
	}
	return true;
}

/* The keys of a target that are different, but for LUNs, which have steps of their own. */
static void list_changes(
	const struct cfg_target *old, const struct cfg_target *new, char *text, size_t room)
{
	const struct cfg_key *key = NULL;
	size_t at = 0;

	text[0] = '\0';
	while ((key = cfg_key_next(CFG_OBJECT_target, key))) {
		bool same = !strcmp(key->name, "luns") ||
			    (!strcmp(key->name, "access") ? same_access(old, new)
							  : cfg_same_field(key, old, new));

		if (!same && at < room)
			at += (size_t)snprintf(
				text + at, room - at, "%s%s", at ? ", " : "", key->name);
	}
}

static void plan_targets(struct apply *a)
{
	char what[256];

	for (unsigned i = 0; i < a->next->target_count; i++) {
		const struct cfg_target *t = &a->next->targets[i];
		const struct cfg_target *old = cfg_target_named(a->srv->cfg, t->name);

		if (!old) {
			report_add(a->report, APPLY_ADD_TARGET, t->name,
				"target %s is offered, with %u LUNs", t->name, t->lun_count);
			continue;
		}
		list_changes(old, t, what, sizeof what);
		if (*what)
			report_add(a->report, APPLY_CHANGE_TARGET, t->name,
				"target %s has another %s", t->name, what);
	}
}

static void plan_hosts(struct apply *a)
{
	for (unsigned i = 0; i < a->next->host_count; i++) {
		const struct cfg_host *h = &a->next->hosts[i];
		const struct cfg_host *old = cfg_host_named(a->srv->cfg, h->name);

		if (!old || !cfg_same_object(CFG_OBJECT_host, old, h))
			report_add(a->report, APPLY_CHANGE_HOSTS, h->name, "host group \"%s\" %s",
				h->name, old ? "changes" : "comes");
	}
	for (unsigned i = 0; i < a->srv->cfg->host_count; i++) {
		const char *name = a->srv->cfg->hosts[i].name;

		if (!cfg_host_named(a->next, name))
			report_add(a->report, APPLY_CHANGE_HOSTS, name, "host group \"%s\" goes",
				name);
	}
}

static void plan_portal(struct apply *a, const struct cfg_portal *p, const struct config *other,
	enum apply_kind kind, const char *verb)
{
	const struct cfg_portal *old = find_portal(other, p);
	bool v6 = strchr(p->address, ':');
	char name[LISTEN_NAME_LEN];

	snprintf(name, sizeof name, v6 ? "[%s]:%u" : "%s:%u", p->address, p->port);
	if (!old)
		report_add(a->report, kind, name, "portal %s %s", name, verb);
	else if (kind == APPLY_ADD_PORTAL && !cfg_same_object(CFG_OBJECT_portal, old, p))
		report_add(a->report, APPLY_CHANGE_PORTALS, name,
			"portal %s has another group or address to tell", name);
}

static void plan_portals(struct apply *a)
{
	for (unsigned i = 0; i < a->next->portal_count; i++)
		plan_portal(a, &a->next->portals[i], a->srv->cfg, APPLY_ADD_PORTAL, "is opened");
}

static void plan_gone_portals(struct apply *a)
{
	for (unsigned i = 0; i < a->srv->cfg->portal_count; i++)
		plan_portal(a, &a->srv->cfg->portals[i], a->next, APPLY_REMOVE_PORTAL,
			"is closed; connections that came in by it stay");
}

static void plan_gone_targets(struct apply *a)
{
	for (unsigned i = 0; i < a->srv->cfg->target_count; i++) {
		const char *name = a->srv->cfg->targets[i].name;
		struct apply_step *step;

		if (cfg_target_named(a->next, name))
			continue;
		step = report_add(
			a->report, APPLY_REMOVE_TARGET, name, "target %s is offered no more", name);
		list_for_each (it, &a->seen) {
			const struct iscsi_seen *s = container_of(it, struct iscsi_seen, node);

			if (!strcmp(s->target, name))
				report_user(step, s->initiator);
		}
		needs(a, step, APPLY_FORCE);
	}
}

/* ---- options ---- */

static bool is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

bool apply_needs_restart(const struct cfg_key *key)
{
	static const char *const alive[] = { "portals", "pools", "volumes", "targets", "hosts",
		"discovery_auth" };
	static const char *const made_once[] = { "loops", "engine", "memory" };

	if (key->type < CFG_TYPE_GROUP)
		return is_among(key->name, made_once, own_array_len(made_once));
	return !is_among(key->name, alive, own_array_len(alive));
}

static void plan_options(struct apply *a)
{
	const struct cfg_key *key = NULL;
	struct apply_step *step;

	while ((key = cfg_key_next(CFG_OBJECT_config, key))) {
		bool restart = apply_needs_restart(key);

		if (key->type >= CFG_TYPE_GROUP && !restart && strcmp(key->name, "discovery_auth"))
			continue; /* it has steps of its own */
		if (cfg_same_field(key, a->srv->cfg, a->next))
			continue;
		step = report_add(a->report, APPLY_CHANGE_OPTION, key->name, "%s changes%s",
			key->name, restart ? " with the next start of kurad" : "");
		if (restart)
			step->state = APPLY_RESTART;
	}
}

/* ---- sessions ---- */

static void plan_ends(struct apply *a, const char *target, enum iscsi_verdict verdict)
{
	static const char *const why[] = {
		[ISCSI_NO_TARGET] = "it is not reached by the portal that they came in by",
		[ISCSI_NO_ACCESS] = "their initiators may not use it any more",
		[ISCSI_OTHER_LUNS] = "their initiators have other LUNs",
	};
	struct apply_step *step = NULL;

	list_for_each (it, &a->seen) {
		const struct iscsi_seen *s = container_of(it, struct iscsi_seen, node);

		if (s->verdict != verdict || strcmp(s->target, target))
			continue;
		if (!step)
			step = report_add(a->report, APPLY_END_SESSIONS, target,
				"sessions with target %s end: %s", target, why[verdict]);
		report_user(step, s->initiator);
	}
	if (step)
		needs(a, step, APPLY_FORCE);
}

static void plan_sessions(struct apply *a)
{
	for (unsigned i = 0; i < a->next->target_count; i++) {
		const char *name = a->next->targets[i].name;

		plan_ends(a, name, ISCSI_NO_TARGET);
		plan_ends(a, name, ISCSI_NO_ACCESS);
		plan_ends(a, name, ISCSI_OTHER_LUNS);
	}
}

void apply_plan(struct apply *a)
{
	plan_pools(a);
	plan_volumes(a);
	plan_views(a, plan_new_luns);
	plan_portals(a);
	plan_targets(a);
	plan_hosts(a);
	plan_options(a);
	plan_sessions(a);
	plan_views(a, plan_gone_luns);
	plan_gone_targets(a);
	plan_gone_portals(a);
	plan_closed_volumes(a);
	plan_closed_pools(a);
}
