/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no single key can tell: duplicates, references, and keys that do not go together.
 *
 * Look-ups by name go through a sorted index, so that a file with thousands of volumes is checked
 * in a moment.
 */
#include "config/report.h"

#include "common/near.h"
#include "common/own.h"
#include "config/keys.h"
#include "config/value.h"
#include "kura_config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct entry {
	const char *text; /* the value, borrowed */
	unsigned order;   /* in the file */
	unsigned line;    /* of its object, in its own file */
	unsigned owner;   /* a number that may share the value, or UINT32_MAX */
	char path[CFG_PATH_LEN];
};

struct index {
	struct entry *entries;
	unsigned count, room;
};

static __attribute__((format(printf, 5, 6))) void index_add(
	struct index *x, const char *text, unsigned line, unsigned owner, const char *path, ...)
{
	struct entry *e;
	va_list ap;

	if (!text)
		return;
	if (x->count == x->room) {
		x->room = x->room ? x->room * 2 : 64;
		x->entries = reallocarray(x->entries, x->room, sizeof *x->entries);
		own_assert(x->entries);
	}
	e = &x->entries[x->count];
	*e = (struct entry){ .text = text, .order = x->count, .line = line, .owner = owner };
	va_start(ap, path);
	vsnprintf(e->path, sizeof e->path, path, ap);
	va_end(ap);
	x->count++;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int by_text = strcmp(x->text, y->text);

	return by_text ? by_text : x->order < y->order ? -1 : x->order > y->order;
}

static void index_sort(struct index *x)
{
	if (x->count)
		qsort(x->entries, x->count, sizeof *x->entries, compare);
}

static void index_fini(struct index *x)
{
	free(x->entries);
}

/* The first entry with this text, or NULL. The index is sorted. */
static const struct entry *index_find(const struct index *x, const char *text)
{
	unsigned low = 0, high = x->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (strcmp(x->entries[mid].text, text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < x->count && !strcmp(x->entries[low].text, text) ? &x->entries[low] : NULL;
}

/* Sorts, and reports each entry that repeats another one of a different owner. */
static void report_twins(struct index *x, struct cfg_report *r, const char *advice)
{
	index_sort(x);
	for (unsigned i = 1; i < x->count; i++) {
		const struct entry *e = &x->entries[i], *first = index_find(x, e->text);

		if (first == e || (e->owner != UINT32_MAX && e->owner == first->owner))
			continue;
		if (first->line)
			cfg_report_error(r, e->path, "\"%.100s\" is taken by %s in line %u; %s",
				e->text, first->path, first->line, advice);
		else /* a verb has just made it */
			cfg_report_error(r, e->path, "\"%.100s\" is taken by %s; %s", e->text,
				first->path, advice);
	}
}

/* ---- portals ---- */

/* Whether both would listen on the same address and port. */
static bool portals_clash(const struct cfg_portal *a, const struct cfg_portal *b)
{
	if (!a->address || !b->address || a->port != b->port || !a->port)
		return false;
	return !strcmp(a->address, b->address) || !strcmp(a->address, "*") ||
	       !strcmp(b->address, "*");
}

static void check_portals(const struct config *cfg, struct cfg_report *r)
{
	char path[CFG_PATH_LEN];

	if (cfg->portals && !cfg->portal_count)
		cfg_report_error(r, "portals",
			"has no portal; write one, or leave it out for every address");
	if (cfg->portal_count > CFG_PORTALS_MAX) {
		cfg_report_error(r, "portals", "has %u portals; at most %u go here",
			cfg->portal_count, CFG_PORTALS_MAX);
		return;
	}
	for (unsigned i = 1; i < cfg->portal_count; i++) {
		unsigned k = 0;

		while (k < i && !portals_clash(&cfg->portals[i], &cfg->portals[k]))
			k++;
		snprintf(path, sizeof path, "portals[%u]", i);
		if (k < i)
			cfg_report_error(r, path,
				"\"%s\" port %u is taken by portals[%u] in line %u; "
				"write each address and port once",
				cfg->portals[i].address, cfg->portals[i].port, k,
				cfg->portals[k].where.line);
	}
}

/* ---- volumes ---- */

/* The path of a key of a volume. */
static const char *vol_path(char out[CFG_PATH_LEN], unsigned i, const char *key)
{
	snprintf(out, CFG_PATH_LEN, "volumes[%u].%s", i, key);
	return out;
}

static void check_size(const struct cfg_volume *v, unsigned i, struct cfg_report *r)
{
	char path[CFG_PATH_LEN];

	if (v->size && v->size % v->block_size)
		cfg_report_error(r, vol_path(path, i, "size"),
			"%" PRIu64 " is not a multiple of the block size %u; %" PRIu64
			" would be the next one",
			v->size, v->block_size, (v->size / v->block_size + 1) * v->block_size);
}

static void check_blocks(const struct cfg_volume *v, unsigned i, struct cfg_report *r)
{
	uint32_t physical = v->physical_block_size;
	char path[CFG_PATH_LEN];

	if (v->block_size != 512 && v->block_size != 4096)
		cfg_report_error(r, vol_path(path, i, "block_size"),
			"%u is not possible; write 512 or 4096", v->block_size);
	else
		check_size(v, i, r);
	if (physical && (physical < v->block_size || (physical & (physical - 1))))
		cfg_report_error(r, vol_path(path, i, "physical_block_size"),
			"%u is not possible; write a power of two from %u, the block size, on",
			physical, v->block_size);
}

/* Which of path and size a store takes. */
static const struct store_rule {
	const char *store;
	bool path, size_must, size_may;
} store_rules[] = {
	{ "file", true, false, true },
	{ "block", true, false, false },
	{ "mem", false, true, true },
	{ "null", false, true, true },
};

static const struct store_rule *rule_of(const struct cfg_volume *v)
{
	for (size_t i = 0; v->store && i < own_array_len(store_rules); i++) {
		if (!strcmp(store_rules[i].store, v->store))
			return &store_rules[i];
	}
	return NULL;
}

/* A volume of a pool is found and sized by its pool. */
static void check_place(
	const struct cfg_volume *v, unsigned i, const struct index *pools, struct cfg_report *r)
{
	char path[CFG_PATH_LEN];

	if (!v->store && !v->pool) {
		snprintf(path, sizeof path, "volumes[%u]", i);
		cfg_report_error(r, path,
			"has neither store nor pool; write store = ...; (where its bytes are kept) "
			"or pool = ...; (the pool in which it is)");
	}
	if (!v->pool)
		return;
	if (!index_find(pools, v->pool))
		cfg_report_error(r, vol_path(path, i, "pool"),
			"\"%s\" is no pool of this file; add it to pools", v->pool);
	if (v->store || v->path || v->size)
		cfg_report_error(r,
			vol_path(path, i,
				v->store  ? "store"
				: v->path ? "path"
					  : "size"),
			"does not go with pool, which knows it; remove one of both");
}

static void check_store(const struct cfg_volume *v, unsigned i, struct cfg_report *r)
{
	const struct store_rule *rule = rule_of(v);
	char path[CFG_PATH_LEN];

	if (!rule)
		return;
	if (rule->path && !v->path)
		cfg_report_error(r, vol_path(path, i, "path"),
			"is missing; store \"%s\" needs the path of the %s", v->store,
			*v->store == 'f' ? "file" : "block device");
	if (!rule->path && v->path)
		cfg_report_error(r, vol_path(path, i, "path"),
			"does not go with store \"%s\", which keeps nothing on a disk; remove it",
			v->store);
	if (rule->size_must && !v->size)
		cfg_report_error(r, vol_path(path, i, "size"),
			"is missing; store \"%s\" needs a size such as \"1G\"", v->store);
	if (!rule->size_may && v->size)
		cfg_report_error(r, vol_path(path, i, "size"),
			"does not go with store \"%s\", a device is as large as it is; remove it",
			v->store);
	if (v->cache == CFG_CACHE_DIRECT && *v->store != 'f' && *v->store != 'b')
		cfg_report_error(r, vol_path(path, i, "cache"),
			"does not go with store \"%s\", which has no file; remove it", v->store);
	if (v->layer_count > CFG_LAYERS_MAX)
		cfg_report_error(r, vol_path(path, i, "layers"),
			"has %u layers; at most %u go here", v->layer_count, CFG_LAYERS_MAX);
}

/* Which keys a kind of pool takes. */
static const struct pool_rule {
	const char *kind;
	bool path, vg, thin_pool;
} pool_rules[] = {
	{ "dir", true, false, false },
	{ "block", true, false, false },
	{ "lvm", false, true, false },
	{ "lvm-thin", false, true, true },
};

static void check_pool_key(const struct cfg_pool *p, const char *key, const char *value, bool must,
	const char *at, struct cfg_report *r)
{
	if (must && !value)
		cfg_report_error(
			r, at, "is missing; a pool of kind \"%s\" needs its %s", p->kind, key);
	if (!must && value)
		cfg_report_error(
			r, at, "does not go with a pool of kind \"%s\"; remove it", p->kind);
}

static void check_pool(const struct cfg_pool *p, unsigned i, struct cfg_report *r)
{
	char path[CFG_PATH_LEN];

	for (size_t k = 0; p->kind && k < own_array_len(pool_rules); k++) {
		const struct pool_rule *rule = &pool_rules[k];

		if (strcmp(rule->kind, p->kind) != 0)
			continue;
		snprintf(path, sizeof path, "pools[%u].path", i);
		check_pool_key(p, "path", p->path, rule->path, path, r);
		snprintf(path, sizeof path, "pools[%u].vg", i);
		check_pool_key(p, "vg", p->vg, rule->vg, path, r);
		snprintf(path, sizeof path, "pools[%u].thin_pool", i);
		check_pool_key(p, "thin_pool", p->thin_pool, rule->thin_pool, path, r);
		snprintf(path, sizeof path, "pools[%u].extend_at", i);
		check_pool_key(p, "extend_at", p->extend_at ? "" : NULL,
			rule->thin_pool && p->extend_at, path, r);
	}
}

/* Whether two paths are spelled differently at most: links are seen when the pools are opened. */
static bool same_path(const char *a, const char *b)
{
	for (;;) {
		size_t len;

		while (*a == '/' || (*a == '.' && (a[1] == '/' || !a[1])))
			a++;
		while (*b == '/' || (*b == '.' && (b[1] == '/' || !b[1])))
			b++;
		len = strcspn(a, "/");
		if (len != strcspn(b, "/") || strncmp(a, b, len) != 0)
			return false;
		if (!len)
			return true;
		a += len;
		b += len;
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* The key whose value two pools may not share, or NULL. A group may be a pool of each kind of LVM.
 */
static const char *pools_clash(const struct cfg_pool *a, const struct cfg_pool *b)
{
	if (a->path && b->path && same_path(a->path, b->path))
		return "path";
	if (!same_text(a->kind, b->kind) || !same_text(a->vg, b->vg))
		return NULL;
	if (!strcmp(a->kind, "lvm"))
		return "vg";
	return same_text(a->thin_pool, b->thin_pool) ? "thin_pool" : NULL;
}

static void check_pool_place(const struct config *cfg, unsigned i, struct cfg_report *r)
{
	const struct cfg_pool *p = &cfg->pools[i];
	char path[CFG_PATH_LEN], line[32] = "";

	for (unsigned k = 0; k < i; k++) {
		const struct cfg_pool *first = &cfg->pools[k];
		const char *key = pools_clash(first, p);

		if (!key)
			continue;
		if (first->where.line) /* else a verb has just made it */
			snprintf(line, sizeof line, " in line %u", first->where.line);
		snprintf(path, sizeof path, "pools[%u].%s", i, key);
		cfg_report_error(r, path,
			"\"%.100s\" is taken by pool \"%.63s\"%s; a directory, a device, a volume "
			"group or a thin pool belongs to one pool only",
			*key == 'p'   ? p->path
			: *key == 'v' ? p->vg
				      : p->thin_pool,
			first->name ? first->name : "", line);
		return;
	}
}

static void check_pools(const struct config *cfg, struct cfg_report *r, struct index *names)
{
	for (unsigned i = 0; i < cfg->pool_count; i++) {
		const struct cfg_pool *p = &cfg->pools[i];

		check_pool(p, i, r);
		index_add(names, p->name, p->where.line, UINT32_MAX, "pools[%u].name", i);
		check_pool_place(cfg, i, r);
	}
	report_twins(names, r, "each pool needs a name of its own");
}

static void check_volumes(const struct config *cfg, struct cfg_report *r, struct index *names,
	const struct index *pools)
{
	struct index own_cleanup(index_fini) paths = { 0 }, own_cleanup(index_fini) uuids = { 0 };

	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const struct cfg_volume *v = &cfg->volumes[i];

		check_blocks(v, i, r);
		check_place(v, i, pools, r);
		check_store(v, i, r);
		index_add(names, v->name, v->where.line, UINT32_MAX, "volumes[%u].name", i);
		index_add(&paths, v->path, v->where.line, UINT32_MAX, "volumes[%u].path", i);
		index_add(&uuids, v->uuid, v->where.line, UINT32_MAX, "volumes[%u].uuid", i);
	}
	report_twins(names, r, "give each volume a name of its own");
	report_twins(&paths, r,
		"two volumes on the same bytes destroy each other; map one volume twice "
		"instead");
	report_twins(&uuids, r, "initiators would take the two for one disk");
}

/* ---- targets ---- */

/* Writes the names of the volumes, as many as fit, and the one that is near to `name`. */
static void describe_volumes(const struct config *cfg, const char *name, char *out, size_t room)
{
	const char *near = NULL;
	unsigned best = UINT32_MAX;
	size_t used = 0;

	*out = '\0';
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const char *v = cfg->volumes[i].name;

		if (!v)
			continue;
		if (near_is(name, v, &best))
			near = v;
		if (used + strlen(v) + 8 < room)
			used += (size_t)snprintf(
				out + used, room - used, "%s%s", used ? ", " : "", v);
		else if (strcmp(out + used - 3, "..."))
			used += (size_t)snprintf(out + used, room - used, ", ...");
	}
	if (near)
		snprintf(out + used, room - used, " (did you mean \"%s\"?)", near);
}

/* What a map of LUNs has so far: the line of each LUN number, the LUN of each volume plus 1. */
struct lun_seen {
	unsigned *line_of_number;
	unsigned *lun_of_volume;
};

struct lun_check {
	const struct config *cfg;
	struct cfg_report *r;
	const struct index *names;  /* of volumes */
	bool names_complete;        /* no volume lost its name to a mistake */
	struct index naas, serials; /* given by hand */
	struct lun_seen seen;       /* all zero between two maps */
};

static void check_volume_known(struct lun_check *c, const char *volume, const char *path)
{
	char text[300];

	if (!volume || !c->names_complete || index_find(c->names, volume))
		return;
	if (!c->cfg->volume_count) {
		cfg_report_error(c->r, path,
			"no volume is called \"%.64s\"; there are no volumes, write "
			"volumes = ( { name = ...; store = ...; } );",
			volume);
		return;
	}
	describe_volumes(c->cfg, volume, text, sizeof text - 90);
	cfg_report_error(
		c->r, path, "no volume is called \"%.64s\"; volumes are: %s", volume, text);
}

/* The number of the volume that a LUN serves, or UINT32_MAX. */
static unsigned volume_number(const struct lun_check *c, const struct cfg_lun *lun)
{
	const struct entry *e = lun->volume ? index_find(c->names, lun->volume) : NULL;

	return e ? e->order : UINT32_MAX;
}

static void lun_seen_init(struct lun_seen *seen, unsigned volumes)
{
	seen->line_of_number = own_calloc(CFG_LUN_MAX + 1, sizeof *seen->line_of_number);
	seen->lun_of_volume = own_calloc(volumes + 1, sizeof *seen->lun_of_volume);
}

static void lun_seen_fini(struct lun_seen *seen)
{
	free(seen->line_of_number);
	free(seen->lun_of_volume);
}

static void lun_seen_forget(struct lun_check *c, const struct cfg_lun *lun)
{
	unsigned volume = volume_number(c, lun);

	if (volume != UINT32_MAX)
		c->seen.lun_of_volume[volume] = 0;
	if (lun->lun <= CFG_LUN_MAX)
		c->seen.line_of_number[lun->lun] = 0;
}

/* Fields of a LUN that were refused are out of range or NULL. */
static void check_lun(struct lun_check *c, const struct cfg_lun *lun, const char *list, unsigned i)
{
	struct lun_seen *seen = &c->seen;
	unsigned volume = volume_number(c, lun);
	char path[CFG_PATH_LEN];

	snprintf(path, sizeof path, "%s[%u].volume", list, i);
	check_volume_known(c, lun->volume, path);
	index_add(&c->naas, lun->naa, lun->where.line, volume, "%s[%u].naa", list, i);
	index_add(&c->serials, lun->serial, lun->where.line, volume, "%s[%u].serial", list, i);
	if (volume != UINT32_MAX && seen->lun_of_volume[volume])
		cfg_report_error(c->r, path,
			"\"%.64s\" is LUN %u of this target already; map a volume once in a target",
			lun->volume, seen->lun_of_volume[volume] - 1);
	if (lun->lun > CFG_LUN_MAX)
		return;
	snprintf(path, sizeof path, "%s[%u].lun", list, i);
	if (seen->line_of_number[lun->lun])
		cfg_report_error(c->r, path,
			"%u is taken by the LUN in line %u; give each LUN of a target a number of "
			"its own",
			lun->lun, seen->line_of_number[lun->lun]);
	seen->line_of_number[lun->lun] = lun->where.line;
	if (volume != UINT32_MAX)
		seen->lun_of_volume[volume] = lun->lun + 1u;
}

/* One map of LUNs, which stands at the path `list`. */
static void check_luns(
	struct lun_check *c, const struct cfg_lun *luns, unsigned count, const char *list)
{
	if (count > CFG_LUNS_MAX) {
		cfg_report_error(
			c->r, list, "has %u LUNs; at most %u go here", count, CFG_LUNS_MAX);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		check_lun(c, &luns[i], list, i);
	for (unsigned i = 0; i < count; i++)
		lun_seen_forget(c, &luns[i]);
}

static void check_maps(struct lun_check *c, const struct cfg_target *t, unsigned ti)
{
	char path[CFG_PATH_LEN];

	snprintf(path, sizeof path, "targets[%u].luns", ti);
	check_luns(c, t->luns, t->lun_count, path);
	for (unsigned i = 0; i < t->access_count; i++) {
		snprintf(path, sizeof path, "targets[%u].access[%u].luns", ti, i);
		check_luns(c, t->access[i].luns, t->access[i].lun_count, path);
	}
}

/* Those who are in the list at the path `list`, with their secrets. */
static void check_initiators(
	const struct cfg_initiator *list, unsigned count, const char *path, struct cfg_report *r)
{
	struct index own_cleanup(index_fini) x = { 0 };
	char auth[CFG_PATH_LEN];

	for (unsigned i = 0; i < count; i++) {
		if (!list[i].addresses)
			index_add(&x, list[i].name, list[i].where.line, UINT32_MAX, "%s[%u].name",
				path, i);
		snprintf(auth, sizeof auth, "%.60s[%u].auth", path, i);
		if (list[i].auth)
			cfg_check_auth(list[i].auth, auth, r);
	}
	report_twins(&x, r, "write each initiator once");
}

/* The portal groups of a target are some that portals belong to. */
static void check_groups(
	const struct config *cfg, const struct cfg_target *t, unsigned ti, struct cfg_report *r)
{
	const char *p = t->portal_groups ? t->portal_groups : "";
	char path[CFG_PATH_LEN], *end;

	snprintf(path, sizeof path, "targets[%u].portal_groups", ti);
	for (; *p; p = end) {
		unsigned long tag = strtoul(p, &end, 10);
		bool known = !cfg->portal_count && tag == 1; /* the default portal's */

		for (unsigned i = 0; i < cfg->portal_count && !known; i++)
			known = cfg->portals[i].group == tag;
		if (!known)
			cfg_report_error(r, path,
				"no portal belongs to the group %lu; write group = %lu; at one",
				tag, tag);
	}
}

/* Who may come to a target, and by which secret. */
static void check_access(
	const struct cfg_target *t, unsigned ti, const struct index *hosts, struct cfg_report *r)
{
	struct index own_cleanup(index_fini) x = { 0 };
	char path[CFG_PATH_LEN];

	snprintf(path, sizeof path, "targets[%u].auth", ti);
	if (t->auth)
		cfg_check_auth(t->auth, path, r);
	snprintf(path, sizeof path, "targets[%u].initiators", ti);
	check_initiators(t->initiators, t->initiator_count, path, r);
	for (unsigned i = 0; i < t->access_count; i++) {
		const struct cfg_access *a = &t->access[i];

		index_add(&x, a->host, a->where.line, UINT32_MAX, "targets[%u].access[%u].host", ti,
			i);
		snprintf(path, sizeof path, "targets[%u].access[%u].host", ti, i);
		if (a->host && !index_find(hosts, a->host))
			cfg_report_error(r, path,
				"no host group is called \"%.64s\"; write hosts = ( { name = "
				"\"%.64s\"; initiators = ( ... ); } );",
				a->host, a->host);
	}
	report_twins(&x, r, "give a host group one map in a target");
}

static void check_hosts(const struct config *cfg, struct cfg_report *r, struct index *names)
{
	char path[CFG_PATH_LEN];

	for (unsigned i = 0; i < cfg->host_count; i++) {
		const struct cfg_host *h = &cfg->hosts[i];

		index_add(names, h->name, h->where.line, UINT32_MAX, "hosts[%u].name", i);
		snprintf(path, sizeof path, "hosts[%u].initiators", i);
		check_initiators(h->initiators, h->initiator_count, path, r);
		snprintf(path, sizeof path, "hosts[%u].auth", i);
		if (h->auth)
			cfg_check_auth(h->auth, path, r);
		snprintf(path, sizeof path, "hosts[%u]", i);
		if (!h->initiator_count)
			cfg_report_warning(r, path,
				"nobody belongs to it; write initiators = ( { name = \"iqn...\"; } "
				")");
	}
	report_twins(names, r, "give each host group a name of its own");
}

static void warn_target(const struct cfg_target *t, unsigned ti, struct cfg_report *r)
{
	char path[CFG_PATH_LEN];

	snprintf(path, sizeof path, "targets[%u]", ti);
	if (!t->initiator_count && !t->access_count)
		cfg_report_warning(r, path,
			"nobody may log in; list who may: "
			"initiators = ( { name = \"iqn...\"; } ), or \"*\" for anybody");
	if (!t->lun_count && !t->access_count && !t->redirect)
		cfg_report_warning(
			r, path, "has no LUN; write luns = ( { lun = 0; volume = ...; } )");
}

static bool all_named(const struct config *cfg)
{
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		if (!cfg->volumes[i].name)
			return false;
	}
	return true;
}

static void check_targets(const struct config *cfg, struct cfg_report *r,
	const struct index *volumes, const struct index *hosts)
{
	struct lun_check c = {
		.cfg = cfg, .r = r, .names = volumes, .names_complete = all_named(cfg)
	};
	struct index own_cleanup(index_fini) names = { 0 };

	lun_seen_init(&c.seen, cfg->volume_count);
	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		index_add(&names, t->name, t->where.line, UINT32_MAX, "targets[%u].name", i);
		check_maps(&c, t, i);
		check_access(t, i, hosts, r);
		check_groups(cfg, t, i, r);
		warn_target(t, i, r);
	}
	report_twins(&names, r, "give each target a name of its own");
	report_twins(&c.naas, r, "initiators would take the two volumes for one disk");
	report_twins(&c.serials, r, "initiators would take the two volumes for one disk");
	lun_seen_fini(&c.seen);
	index_fini(&c.naas);
	index_fini(&c.serials);
}

static void check_metrics(const struct config *cfg, struct cfg_report *r)
{
#ifndef HAVE_MICROHTTPD
	if (cfg->metrics)
		cfg_report_error(r, "metrics",
			"this kurad is built without HTTP; leave the key out and ask \"kura "
			"metrics\", "
			"or build it with libmicrohttpd");
#else
	(void)cfg;
	(void)r;
#endif
}

static void check_isns(const struct config *cfg, struct cfg_report *r)
{
#ifndef HAVE_ISNS
	if (cfg->isns)
		cfg_report_error(r, "isns",
			"is not known to this kurad, which was built without iSNS; leave the group "
			"out, or build it with ./configure --enable-isns");
#else
	(void)cfg;
	(void)r;
#endif
}

void cfg_check(const struct config *cfg, struct cfg_report *r)
{
	struct index own_cleanup(index_fini) volumes = { 0 }, own_cleanup(index_fini) hosts = { 0 };
	struct index own_cleanup(index_fini) pools = { 0 };

	check_portals(cfg, r);
	if (cfg->discovery_auth)
		cfg_check_auth(cfg->discovery_auth, "discovery_auth", r);
	check_pools(cfg, r, &pools);
	check_volumes(cfg, r, &volumes, &pools);
	check_hosts(cfg, r, &hosts);
	check_targets(cfg, r, &volumes, &hosts);
	check_isns(cfg, r);
	check_metrics(cfg, r);
}
