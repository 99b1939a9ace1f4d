/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports.c: the target ports of the storage, and the LUNs that they show: what a configuration wants
 * is compared with what is there.
 */
#include "target/storage_guts.h"

#include "common/log.h"
#include "common/own.h"
#include "config/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define USERS_PAUSE_MS 10
#define USERS_PAUSES   1000

/* ---- what is wanted ---- */

/* The LUNs of a port. */
struct wanted {
	const struct cfg_lun *luns;
	unsigned count;
};

static bool has_tag(const struct config *cfg, uint16_t tag)
{
	for (unsigned i = 0; i < cfg->portal_count; i++) {
		if (cfg->portals[i].group == tag)
			return true;
	}
	return false;
}

/* What the hosts of a group see, or those of none (NULL); false: there is no such view. */
static bool view_of(const struct cfg_target *t, const char *host, struct wanted *w)
{
	*w = (struct wanted){ t->luns, t->lun_count };
	if (!host)
		return true;
	for (unsigned i = 0; i < t->access_count; i++) {
		const struct cfg_access *a = &t->access[i];

		if (strcmp(a->host, host) || !a->lun_count)
			continue;
		*w = (struct wanted){ a->luns, a->lun_count };
		return true;
	}
	return false;
}

/* Whether the configuration has this port, and with which LUNs. */
static bool is_wanted(const struct config *cfg, const struct storage_port *port, struct wanted *w)
{
	const struct cfg_target *t = cfg_target_named(cfg, port->target);

	return t && has_tag(cfg, port->tag) && view_of(t, port->host, w);
}

static const struct cfg_lun *find_lun(const struct wanted *w, uint16_t number)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->luns[i].lun == number)
			return &w->luns[i];
	}
	return NULL;
}

/* ---- what is there ---- */

static bool is_port(
	const struct storage_port *p, const char *target, uint16_t tag, const char *host)
{
	bool same = p->host && host ? !strcmp(p->host, host) : p->host == host;

	return p->tag == tag && same && !strcmp(p->target, target);
}

/* They are mostly asked for in their order. */
struct storage_port *storage_port_find(
	struct storage *s, const char *target, uint16_t tag, const char *host)
{
	struct list *first = s->near ? s->near : &s->ports, *it = first;

	do {
		struct storage_port *p = container_of(it, struct storage_port, node);

		if (it != &s->ports && is_port(p, target, tag, host)) {
			s->near = it;
			return p;
		}
		it = it->next;
	} while (it != first);
	return NULL;
}

static struct storage_map *find_map(const struct storage_port *port, uint16_t number)
{
	for (unsigned i = 0; i < port->map_count; i++) {
		if (port->maps[i].lun == number)
			return &port->maps[i];
	}
	return NULL;
}

static void note_map(
	struct storage_port *port, const struct cfg_lun *lun, struct storage_unit *unit)
{
	port->maps = reallocarray(port->maps, port->map_count + 1, sizeof *port->maps);
	own_assert(port->maps);
	port->maps[port->map_count++] = (struct storage_map){ lun->lun, lun->readonly, unit };
	unit->maps++;
}

/* ---- ports ---- */

static bool number_used(const struct storage *s, unsigned number)
{
	list_for_each (it, &s->ports) {
		if (container_of(it, struct storage_port, node)->number == number)
			return true;
	}
	return false;
}

/* SPC-4 3.1: a relative port identifier for each port; the wanted one, or another. 0: none. */
static uint16_t choose_number(const struct storage *s, unsigned wanted)
{
	if (wanted <= UINT16_MAX && !number_used(s, wanted))
		return (uint16_t)wanted;
	for (unsigned i = 1; i <= UINT16_MAX; i++) {
		if (!number_used(s, i))
			return (uint16_t)i;
	}
	return 0;
}

static int map_fresh(struct storage *s, struct storage_port *port, const struct config *cfg,
	const struct cfg_lun *lun, char *why)
{
	const struct cfg_volume *volume = cfg_volume_named(cfg, lun->volume);
	struct storage_unit *unit = storage_unit_for(s, volume, lun, why);
	int err;

	if (!unit)
		return -EIO;
	err = scsi_target_map(port->scsi, lun->lun, unit->scsi, lun->readonly);
	if (!err)
		note_map(port, lun, unit);
	else
		snprintf(why, STORAGE_WHY_LEN, "%s:%u: LUN %u cannot be mapped: %s",
			lun->where.file, lun->where.line, lun->lun, strerror(-err));
	return err;
}

/* What tells a port from others while they are made. */
struct making {
	const struct config *cfg;
	const struct cfg_target *target;
	const char *host;
	uint16_t tag;
	unsigned number; /* the relative port identifier that it had at a start */
};

static int make_port(struct storage *s, const struct making *m, char *why)
{
	uint16_t number = choose_number(s, m->number);
	struct storage_port *port;
	struct wanted w;
	int err = 0;

	if (!number) {
		snprintf(why, STORAGE_WHY_LEN,
			"%s:%u: target \"%s\": %u maps of LUNs and portal groups are possible, and "
			"all of them are there",
			m->target->where.file, m->target->where.line, m->target->name, UINT16_MAX);
		return -E2BIG;
	}
	port = own_calloc(1, sizeof *port);
	port->target = own_strdup(m->target->name);
	port->host = own_strdup(m->host);
	port->tag = m->tag;
	port->number = number;
	port->scsi = scsi_target_new(s->domain, port->target, m->tag, number);
	list_push(&s->ports, &port->node);
	view_of(m->target, m->host, &w);
	for (unsigned i = 0; i < w.count && !err; i++)
		err = map_fresh(s, port, m->cfg, &w.luns[i], why);
	return err;
}

/* Whether portal `at` is the first of its group. */
static bool is_first(const struct config *cfg, unsigned at)
{
	unsigned i = 0;

	while (cfg->portals[i].group != cfg->portals[at].group)
		i++;
	return i == at;
}

/*
 * The ports of one view of a target, `view` being 0 for its own LUNs, then one for each host group.
 * The numbers of one target are a thousand or more apart, so that they are the same after a restart
 * when targets, groups of hosts or portals have come behind the others.
 */
static int make_view(struct storage *s, struct making *m, unsigned index, unsigned view, char *why)
{
	unsigned groups = 0, at = 0;
	unsigned stride = m->cfg->target_count < 1024 ? 1024 : m->cfg->target_count;
	int err = 0;

	for (unsigned i = 0; i < m->cfg->portal_count; i++)
		groups += is_first(m->cfg, i);
	for (unsigned i = 0; i < m->cfg->portal_count && !err; i++) {
		if (!is_first(m->cfg, i))
			continue;
		m->tag = m->cfg->portals[i].group;
		m->number = (view * groups + at++) * stride + index + 1;
		if (!storage_port_find(s, m->target->name, m->tag, m->host))
			err = make_port(s, m, why);
	}
	return err;
}

static int make_target(struct storage *s, const struct config *cfg, unsigned index, char *why)
{
	const struct cfg_target *t = &cfg->targets[index];
	struct making m = { .cfg = cfg, .target = t };
	int err = make_view(s, &m, index, 0, why);

	for (unsigned i = 0; i < t->access_count && !err; i++) {
		m.host = t->access[i].host;
		if (t->access[i].lun_count)
			err = make_view(s, &m, index, i + 1, why);
	}
	return err;
}

int storage_ports_make(struct storage *s, const struct config *cfg, char *why)
{
	for (unsigned i = 0; i < cfg->target_count; i++) {
		int err = make_target(s, cfg, i, why);

		if (err)
			return err;
	}
	return 0;
}

void storage_port_free(struct storage *s, struct storage_port *port)
{
	scsi_target_hide(port->scsi);
	change_grace(s);
	scsi_target_free(port->scsi);
	for (unsigned i = 0; i < port->map_count; i++)
		port->maps[i].unit->maps--;
	list_del(&port->node);
	s->near = NULL;
	free(port->maps);
	free(port->target);
	free(port->host);
	free(port);
}

/* ---- LUNs of ports that are there ---- */

int storage_lun_remove(struct storage *s, struct storage_port *port, uint16_t number)
{
	struct storage_map *map = find_map(port, number);
	struct storage_order order = {
		.kind = CHANGE_REMOVE, .target = port->scsi, .unit = map->unit, .number = number
	};
	int err = change_do(s, &order);

	if (err && err != -ETIMEDOUT) /* a late one is gone for whoever comes */
		return err;
	*map = port->maps[--port->map_count];
	return err;
}

static int add_lun(struct storage *s, struct storage_port *port, const struct config *cfg,
	const struct cfg_lun *lun, char *why)
{
	struct storage_unit *unit =
		storage_unit_for(s, cfg_volume_named(cfg, lun->volume), lun, why);
	struct storage_order order = { .kind = CHANGE_ADD,
		.target = port->scsi,
		.number = lun->lun,
		.readonly = lun->readonly };
	int err;

	if (!unit)
		return -EIO;
	order.lun = unit->scsi;
	err = change_do(s, &order);
	if (!err)
		note_map(port, lun, unit);
	return err;
}

static int protect_lun(struct storage *s, struct storage_port *port, const struct cfg_lun *lun)
{
	struct storage_order order = { .kind = CHANGE_PROTECT,
		.target = port->scsi,
		.number = lun->lun,
		.readonly = lun->readonly };
	int err = change_do(s, &order);

	if (!err)
		find_map(port, lun->lun)->readonly = lun->readonly;
	return err;
}

static int follow_lun(struct storage *s, struct storage_port *port, const struct config *cfg,
	const struct cfg_lun *lun, char *why)
{
	struct storage_map *map = find_map(port, lun->lun);
	int err = 0;

	if (map && storage_unit_is(map->unit, lun))
		return map->readonly == lun->readonly ? 0 : protect_lun(s, port, lun);
	if (map)
		err = storage_lun_remove(s, port, lun->lun);
	if (!err)
		err = add_lun(s, port, cfg, lun, why);
	if (err && !*why)
		snprintf(why, STORAGE_WHY_LEN, "target \"%s\": LUN %u: %s", port->target, lun->lun,
			err == -ETIMEDOUT ? "commands that are at its volume do not end"
					  : strerror(-err));
	return err;
}

int storage_luns_follow(struct storage *s, const struct config *cfg, char *why)
{
	list_for_each (it, &s->ports) {
		struct storage_port *port = container_of(it, struct storage_port, node);
		struct wanted w;

		if (!is_wanted(cfg, port, &w))
			continue;
		for (unsigned i = 0; i < w.count; i++) {
			int err = follow_lun(s, port, cfg, &w.luns[i], why);

			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- what goes ---- */

static int late(char *why, const char *what, const char *name)
{
	snprintf(why, STORAGE_WHY_LEN,
		"%s \"%s\": commands that are at its volume do not end; it goes when they have, "
		"and no other change before",
		what, name);
	return -ETIMEDOUT;
}

static bool wait_for_users(const struct storage_port *port)
{
	const struct timespec pause = { .tv_nsec = USERS_PAUSE_MS * 1000000 };

	for (int i = 0; scsi_target_users(port->scsi); i++) {
		if (i == USERS_PAUSES)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static int sweep_luns(struct storage *s, struct storage_port *port, const struct wanted *w)
{
	for (unsigned i = port->map_count; i-- > 0;) {
		const struct storage_map *map = &port->maps[i];
		const struct cfg_lun *lun = find_lun(w, map->lun);
		int err = 0;

		if (!lun || !storage_unit_is(map->unit, lun))
			err = storage_lun_remove(s, port, map->lun);
		if (err)
			return err;
	}
	return 0;
}

static int sweep_port(
	struct storage *s, struct storage_port *port, const struct config *cfg, char *why)
{
	struct wanted w;

	if (is_wanted(cfg, port, &w))
		return sweep_luns(s, port, &w) ? late(why, "target", port->target) : 0;
	if (!wait_for_users(port))
		return late(why, "target", port->target);
	storage_port_free(s, port);
	return 0;
}

static void sweep_units(struct storage *s)
{
	list_for_each_safe (it, &s->units) {
		struct storage_unit *unit = container_of(it, struct storage_unit, node);

		if (!unit->maps)
			storage_unit_free(s, unit);
	}
}

int storage_sweep(struct storage *s, const struct config *cfg, char *why)
{
	if (!change_settled(s))
		return late(why, "the change before", "this one");
	list_for_each_safe (it, &s->ports) {
		int err = sweep_port(s, container_of(it, struct storage_port, node), cfg, why);

		if (err)
			return err;
	}
	sweep_units(s);
	list_for_each_safe (it, &s->volumes) {
		struct storage_volume *v = container_of(it, struct storage_volume, node);

		if (!cfg_volume_named(cfg, v->name))
			storage_volume_free(s, v);
	}
	return 0;
}

int storage_volume_close(struct storage *s, struct storage_volume *volume, char *why)
{
	list_for_each (it, &s->ports) {
		struct storage_port *port = container_of(it, struct storage_port, node);

		for (unsigned i = port->map_count; i-- > 0;) {
			if (port->maps[i].unit->volume != volume)
				continue;
			if (storage_lun_remove(s, port, port->maps[i].lun))
				return late(why, "volume", volume->name);
		}
	}
	list_for_each_safe (it, &s->units) {
		struct storage_unit *unit = container_of(it, struct storage_unit, node);

		if (unit->volume == volume)
			storage_unit_free(s, unit);
	}
	storage_volume_free(s, volume);
	return 0;
}
