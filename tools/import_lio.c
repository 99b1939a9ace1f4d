/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LIO's saveconfig.json as targetcli writes it: storage objects become volumes, a target with its
 * portal group becomes a target.
 *
 * An initiator that sees what the target has, by the same numbers, is listed with the target; one
 * with a map of its own becomes a host group with an access.
 */
#include "tools/import.h"

#include "common/file.h"
#include "common/own.h"
#include "rpc/jval.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIO_FILE_MAX  (16u << 20)
#define NAA_LIO       "6001405" /* NAA 6 and the company that LIO speaks for */
#define NAA_DIGITS    32
#define DEFAULT_GROUP "default_tg_pt_gp"

/* A storage object: as it was, and the volume that it became. */
struct object {
	const struct jval *j;
	const char *name, *plugin;
	char volume[IMPORT_NAME_LEN]; /* "": none */
	char naa[NAA_DIGITS + 1];
};

/* An address where targets are reached. */
struct portal {
	const char *address;
	unsigned port, tag, group;
	unsigned *targets; /* numbers of those that are; owned */
	unsigned count;
};

struct lio {
	struct import *im;
	const struct jval *root;
	struct object *objects;
	unsigned object_count;
	struct portal *portals;
	unsigned portal_count;
};

/* A target while it is made. */
struct making {
	struct cfg_target t;
	const struct jval *tpg;
	bool asks; /* authentication = 1 */
	bool open; /* generate_node_acls = 1 */
	bool read_only;
};

/* ---- JSON ---- */

static const char *text(const struct jval *o, const char *key)
{
	const char *s = jval_text(jval_get(o, key));

	return s ? s : "";
}

/* A number, or a truth value as 0 or 1; `absent` where there is neither. */
static int64_t number(const struct jval *o, const char *key, int64_t absent)
{
	const struct jval *v = jval_get(o, key);

	switch (jval_kind(v)) {
	case JVAL_NUMBER:
		return jval_number(v);
	case JVAL_FLAG:
		return jval_flag(v);
	default:
		return absent;
	}
}

static int64_t attribute(const struct jval *o, const char *key, int64_t absent)
{
	return number(jval_get(o, "attributes"), key, absent);
}

/* Whether a list is one, and has objects only. */
static bool is_list(struct import *im, const struct jval *o, const char *key, const char *path)
{
	const struct jval *list = jval_get(o, key);

	if (!list || jval_kind(list) == JVAL_NULL)
		return true;
	if (jval_kind(list) != JVAL_LIST) {
		import_wrong(im, "%s: %s%s is no list", im->file, path, key);
		return false;
	}
	for (unsigned i = 0; i < jval_count(list); i++) {
		if (jval_kind(jval_item(list, i)) == JVAL_OBJECT)
			continue;
		import_wrong(im, "%s: %s%s[%u] is no object", im->file, path, key, i);
		return false;
	}
	return true;
}

/* ---- storage objects ---- */

/* LIO makes the identifier of the hexadecimal digits of the unit serial number, as many as fit. */
static void naa_of(const char *serial, char *naa)
{
	size_t n = (size_t)snprintf(naa, NAA_DIGITS + 1, NAA_LIO);

	for (; *serial && n < NAA_DIGITS; serial++) {
		if (strchr("0123456789abcdef", *serial | 0x20) && *serial != ' ')
			naa[n++] = (char)(*serial | 0x20);
	}
	while (n < NAA_DIGITS)
		naa[n++] = '0';
	naa[n] = '\0';
}

static void note_groups(struct import *im, const struct object *o, const char *who)
{
	const struct jval *groups = jval_get(o->j, "alua_tpgs");

	for (unsigned i = 0; i < jval_count(groups); i++) {
		const struct jval *g = jval_item(groups, i);

		if (strcmp(text(g, "name"), DEFAULT_GROUP) != 0)
			import_note(im,
				"%s: ALUA group %s: kura has one group for each portal group", who,
				text(g, "name"));
		else if (number(g, "alua_access_state", 0))
			import_note(im, "%s: ALUA state %" PRId64 ": kura is active and optimized",
				who, number(g, "alua_access_state", 0));
	}
}

static void take_object(struct lio *l, struct object *o)
{
	struct import *im = l->im;
	struct import_disk disk = { .name = o->name };
	bool ram = !strcmp(o->plugin, "ramdisk");
	int64_t block = attribute(o->j, "block_size", 0), size = number(o->j, "size", 0);
	char *who own_free = own_printf("/backstores/%s/%s", o->plugin, o->name);

	if (!ram && strcmp(o->plugin, "fileio") != 0 && strcmp(o->plugin, "block") != 0) {
		import_note(im, "%s: %s has no counterpart in kura", who,
			!strcmp(o->plugin, "pscsi")  ? "a SCSI device that is passed through"
			: !strcmp(o->plugin, "user") ? "a handler of TCMU"
						     : "the plugin");
		return;
	}
	disk.path = ram ? NULL : text(o->j, "dev");
	disk.size = size > 0 && *o->plugin != 'b' ? (uint64_t)size : 0;
	disk.block_size = block > 0 && block < 65536 ? (unsigned)block : 0;
	disk.readonly = number(o->j, "readonly", 0);
	if (!import_volume(im, &disk, who, o->volume)) {
		*o->volume = '\0';
		return;
	}
	if (ram)
		import_note(im, "%s: what is in it; it lives in memory here, too, and begins empty",
			who);
	if (attribute(o->j, "pi_prot_type", 0))
		import_note(im, "%s: protection information (pi_prot_type); kura has none", who);
	note_groups(im, o, who);
	naa_of(text(o->j, "wwn"), o->naa);
}

static int take_objects(struct lio *l)
{
	const struct jval *list = jval_get(l->root, "storage_objects");

	if (!is_list(l->im, l->root, "storage_objects", ""))
		return -EINVAL;
	l->objects = own_calloc(jval_count(list) + 1, sizeof *l->objects);
	for (unsigned i = 0; i < jval_count(list); i++) {
		struct object *o = &l->objects[i];

		o->j = jval_item(list, i);
		o->name = text(o->j, "name");
		o->plugin = text(o->j, "plugin");
		if (!*o->name || !*o->plugin)
			return import_wrong(l->im,
				"%s: storage_objects[%u] has no name or no plugin", l->im->file, i);
		if (!is_list(l->im, o->j, "alua_tpgs", "storage_objects[]."))
			return -EINVAL;
		l->object_count++;
		take_object(l, o);
	}
	return 0;
}

/* The object that "/backstores/plugin/name" stands for, or NULL. */
static const struct object *find_object(const struct lio *l, const char *path)
{
	for (unsigned i = 0; i < l->object_count; i++) {
		const struct object *o = &l->objects[i];
		size_t n = strlen(o->plugin);

		if (!strncmp(path, "/backstores/", 12) && !strncmp(path + 12, o->plugin, n) &&
			path[12 + n] == '/' && !strcmp(path + 13 + n, o->name))
			return o;
	}
	return NULL;
}

/* ---- LUNs ---- */

/* What LIO tells of an object, mapped by `number`. */
static bool map(struct lio *l, enum cfg_object object, void *owner, const struct object *o,
	uint64_t number, bool readonly, const char *who)
{
	char product[17];
	struct import_lun lun = {
		.number = number,
		.volume = o->volume,
		.serial = *text(o->j, "wwn") ? text(o->j, "wwn") : NULL,
		.naa = *text(o->j, "wwn") ? o->naa : NULL,
		.vendor = "LIO-ORG",
		.product = product,
		.revision = "4.0",
		.readonly = readonly,
	};

	snprintf(product, sizeof product, "%s",
		attribute(o->j, "emulate_model_alias", 0) ? o->name
		: *o->plugin == 'f'                       ? "FILEIO"
		: *o->plugin == 'b'                       ? "IBLOCK"
							  : "RAMDISK-MCP");
	return import_map(l->im, object, owner, &lun, who);
}

/* The object of the LUN `index` of a portal group; NULL: there is none, or it was not taken. */
static const struct object *object_of(const struct lio *l, const struct jval *tpg, int64_t index)
{
	const struct jval *luns = jval_get(tpg, "luns");

	for (unsigned i = 0; i < jval_count(luns); i++) {
		const struct jval *lun = jval_item(luns, i);
		const struct object *o;

		if (number(lun, "index", -1) != index)
			continue;
		o = find_object(l, text(lun, "storage_object"));
		return o && *o->volume ? o : NULL;
	}
	return NULL;
}

static int by_index(const void *a, const void *b)
{
	const struct jval *const *x = a, *const *y = b;
	int64_t m = number(*x, "index", -1), n = number(*y, "index", -1);

	return m < n ? -1 : m > n;
}

/* The items of a list by their "index". Returns owned. */
static const struct jval **sorted(const struct jval *list)
{
	unsigned count = jval_count(list);
	const struct jval **items = own_calloc(count + 1, sizeof *items);

	for (unsigned i = 0; i < count; i++)
		items[i] = jval_item(list, i);
	qsort(items, count, sizeof *items, by_index);
	return items;
}

static void take_luns(struct lio *l, struct making *m)
{
	const struct jval *list = jval_get(m->tpg, "luns");
	const struct jval **luns own_free = sorted(list);

	for (unsigned i = 0; i < jval_count(list); i++) {
		const char *path = text(luns[i], "storage_object");
		const char *group = text(luns[i], "alua_tg_pt_gp_name");
		const struct object *o = find_object(l, path);
		int64_t index = number(luns[i], "index", -1);
		char *who own_free = own_printf("%s LUN %" PRId64, m->t.name, index);

		if (!o || !*o->volume) {
			import_note(l->im, "%s: %s was not carried over", who, path);
			continue;
		}
		if (*group && strcmp(group, DEFAULT_GROUP) != 0)
			import_note(l->im, "%s: ALUA group %s", who, group);
		map(l, CFG_OBJECT_target, &m->t, o, index < 0 ? UINT64_MAX : (uint64_t)index,
			m->read_only, who);
	}
}

/* ---- who may come ---- */

static struct cfg_auth *auth_of(
	struct lio *l, const struct jval *o, const char *prefix, const char *who)
{
	char *keys[4];
	const char *const names[] = { "userid", "password", "mutual_userid", "mutual_password" };
	struct import_chap chap;
	struct cfg_auth *a;

	for (unsigned i = 0; i < 4; i++)
		keys[i] = own_printf("%s%s", prefix, names[i]);
	chap = (struct import_chap){
		.user = text(o, keys[0]),
		.secret = jval_text(jval_get(o, keys[1])),
		.mutual_user = text(o, keys[2]),
		.mutual_secret = jval_text(jval_get(o, keys[3])),
	};
	a = import_auth(l->im, &chap, who);
	for (unsigned i = 0; i < 4; i++)
		free(keys[i]);
	return a;
}

/* Whether an initiator sees the target's own LUNs, all of them and by their numbers. */
static bool sees_all(const struct lio *l, const struct making *m, const struct jval *mapped)
{
	unsigned same = 0;

	for (unsigned i = 0; i < jval_count(mapped); i++) {
		const struct jval *lun = jval_item(mapped, i);
		int64_t index = number(lun, "index", -1);

		if (!object_of(l, m->tpg, number(lun, "tpg_lun", -2)))
			continue;
		if (index != number(lun, "tpg_lun", -2) ||
			number(lun, "write_protect", 0) != m->read_only)
			return false;
		same++;
	}
	return same && same == m->t.lun_count;
}

/* A map of its own. */
static void take_map(struct lio *l, struct making *m, const struct jval *acl, struct cfg_auth *auth,
	const char *who)
{
	const struct jval *mapped = jval_get(acl, "mapped_luns");
	const struct jval **luns own_free = sorted(mapped);
	struct cfg_access a = { .where = import_where(l->im) };
	const char *host = import_host(l->im, text(acl, "node_wwn"), auth, who);

	if (!host)
		return;
	a.host = own_strdup(host);
	for (unsigned i = 0; i < jval_count(mapped); i++) {
		int64_t of = number(luns[i], "tpg_lun", -2), index = number(luns[i], "index", -1);
		const struct object *o = object_of(l, m->tpg, of);
		char *which own_free = own_printf("%s LUN %" PRId64, who, index);

		if (!o)
			import_note(l->im, "%s: LUN %" PRId64 " of the target was not carried over",
				which, of);
		else
			map(l, CFG_OBJECT_access, &a, o, index < 0 ? UINT64_MAX : (uint64_t)index,
				number(luns[i], "write_protect", 0), which);
	}
	if (a.lun_count) {
		cfg_list_add(CFG_OBJECT_target, &m->t, "access", &a);
		return;
	}
	import_note(l->im, "%s: sees no LUN; an access without any would show all of them", who);
	cfg_fini_object(CFG_OBJECT_access, &a);
}

static void take_acl(struct lio *l, struct making *m, const struct jval *acl)
{
	char *who own_free = own_printf("%s initiator %s", m->t.name, text(acl, "node_wwn"));
	struct cfg_initiator i = { .where = import_where(l->im) };
	int64_t own = attribute(acl, "authentication", -1);
	bool asks = own < 0 ? m->asks : own;
	struct cfg_auth *auth = NULL;

	if (asks)
		auth = auth_of(l, acl, "chap_", who);
	else if (*text(acl, "chap_userid"))
		import_note(l->im, "%s: its CHAP user %s, whom LIO does not ask for a secret", who,
			text(acl, "chap_userid"));
	if (asks && !auth) {
		import_note(l->im,
			"%s: has to prove itself and has no secret; LIO lets it in by none", who);
		return;
	}
	if (!sees_all(l, m, jval_get(acl, "mapped_luns"))) {
		take_map(l, m, acl, auth, who);
		return;
	}
	i.auth = auth;
	if (import_set(l->im, CFG_OBJECT_initiator, &i, "name", text(acl, "node_wwn"), who))
		cfg_list_add(CFG_OBJECT_target, &m->t, "initiators", &i);
	else
		cfg_fini_object(CFG_OBJECT_initiator, &i);
}

/* Everybody, as the portal group says. */
static void take_everybody(struct lio *l, struct making *m)
{
	struct cfg_initiator i = { .where = import_where(l->im) };

	if (m->asks) {
		m->t.auth = auth_of(l, m->tpg, "chap_", m->t.name);
		if (!m->t.auth) {
			import_note(l->im,
				"%s: initiators that are not listed; they have to prove themselves "
				"and there is no secret",
				m->t.name);
			return;
		}
	}
	i.name = own_strdup("*");
	cfg_list_add(CFG_OBJECT_target, &m->t, "initiators", &i);
}

/* ---- portals ---- */

static void take_portals(struct lio *l, const struct making *m)
{
	const struct jval *list = jval_get(m->tpg, "portals");

	for (unsigned i = 0; i < jval_count(list) && l->portal_count <= CFG_PORTALS_MAX; i++) {
		const struct jval *p = jval_item(list, i);
		unsigned port = (unsigned)number(p, "port", 3260), k = 0;

		if (number(p, "iser", 0) || number(p, "offload", 0))
			import_note(l->im, "%s portal %s:%u: iSER and offload; kura speaks TCP",
				m->t.name, text(p, "ip_address"), port);
		while (k < l->portal_count &&
			(l->portals[k].port != port ||
				strcmp(l->portals[k].address, text(p, "ip_address")) != 0))
			k++;
		if (k == l->portal_count) {
			l->portals = reallocarray(l->portals, k + 1, sizeof *l->portals);
			own_assert(l->portals);
			l->portals[l->portal_count++] = (struct portal){
				.address = text(p, "ip_address"),
				.port = port,
				.tag = (unsigned)number(m->tpg, "tag", 1),
			};
		}
		l->portals[k].targets = reallocarray(l->portals[k].targets, l->portals[k].count + 1,
			sizeof *l->portals[k].targets);
		own_assert(l->portals[k].targets);
		l->portals[k].targets[l->portals[k].count++] = l->im->cfg->target_count;
	}
}

static bool same_targets(const struct portal *a, const struct portal *b)
{
	return a->count == b->count &&
	       !memcmp(a->targets, b->targets, a->count * sizeof *a->targets);
}

static bool is_group(const struct lio *l, unsigned before, unsigned tag)
{
	for (unsigned i = 0; i < before; i++) {
		if (l->portals[i].group == tag)
			return true;
	}
	return false;
}

/* Portals that lead to the same targets are a group; a number is kept where it can be. Whether
 * there is more than one. */
static bool group_portals(struct lio *l)
{
	bool several = false;

	for (unsigned i = 0; i < l->portal_count; i++) {
		struct portal *p = &l->portals[i];
		unsigned k = 0;

		while (k < i && !same_targets(p, &l->portals[k]))
			k++;
		p->group = k < i ? l->portals[k].group : p->tag;
		while (k == i && is_group(l, i, p->group))
			p->group = p->group % 65535 + 1;
		several = several || p->group != l->portals[0].group;
		if (p->group != p->tag)
			import_note(l->im,
				"portal %s:%u: its group is %u and not %u: a portal belongs to one "
				"group here, and other targets have other portals",
				p->address, p->port, p->group, p->tag);
	}
	return several;
}

static void add_portal(struct lio *l, const struct portal *p)
{
	struct cfg_portal c = { .where = import_where(l->im) };
	char *who own_free = own_printf("portal %s:%u", p->address, p->port);
	size_t len = strlen(p->address);
	bool bracket = len > 2 && *p->address == '[';
	char *address own_free =
		own_printf("%.*s", (int)(bracket ? len - 2 : len), p->address + bracket);

	cfg_set_defaults(CFG_OBJECT_portal, &c);
	free(own_take(c.address));
	c.port = (uint16_t)p->port;
	c.group = (uint16_t)p->group;
	if (p->port && p->port < 65536 && p->group < 65536 &&
		import_set(l->im, CFG_OBJECT_portal, &c, "address", address, who)) {
		cfg_list_add(CFG_OBJECT_config, l->im->cfg, "portals", &c);
		return;
	}
	import_note(l->im, "%s: its port or its group is out of range", who);
	cfg_fini_object(CFG_OBJECT_portal, &c);
}

/* The groups by which a target is reached. */
static void restrict_target(struct lio *l, unsigned target)
{
	char *groups own_free = own_strdup("");
	unsigned last = UINT32_MAX;

	for (unsigned i = 0; i < l->portal_count; i++) {
		const struct portal *p = &l->portals[i];
		bool leads = false;
		char *old = groups;

		for (unsigned k = 0; k < p->count; k++)
			leads = leads || p->targets[k] == target;
		if (!leads || p->group == last || is_group(l, i, p->group))
			continue;
		last = p->group;
		groups = own_printf("%s%s%u", old, *old ? " " : "", p->group);
		free(old);
	}
	if (*groups)
		import_set(l->im, CFG_OBJECT_target, &l->im->cfg->targets[target], "portal_groups",
			groups, l->im->cfg->targets[target].name);
}

static void finish_portals(struct lio *l)
{
	bool several;

	several = group_portals(l);
	for (unsigned i = 0; i < l->portal_count; i++)
		add_portal(l, &l->portals[i]);
	for (unsigned i = 0; i < l->im->cfg->target_count && several; i++)
		restrict_target(l, i);
}

/* ---- targets ---- */

static bool has_something(const struct jval *tpg)
{
	return jval_count(jval_get(tpg, "luns")) || jval_count(jval_get(tpg, "portals"));
}

/* The portal group that is taken: the enabled one with LUNs, the first of several. */
static const struct jval *choose(struct lio *l, const struct jval *target, const char *name)
{
	const struct jval *tpgs = jval_get(target, "tpgs"), *chosen = NULL;

	for (unsigned i = 0; i < jval_count(tpgs); i++) {
		const struct jval *tpg = jval_item(tpgs, i);
		int64_t tag = number(tpg, "tag", 1);

		if (!has_something(tpg))
			continue;
		if (!number(tpg, "enable", 1))
			import_note(l->im, "%s tpg%" PRId64 ": is not enabled", name, tag);
		else if (chosen)
			import_note(l->im,
				"%s tpg%" PRId64
				": a target has one list of LUNs here, and tpg%" PRId64
				" was taken; add its portals to it, or give it a name of its own",
				name, tag, number(chosen, "tag", 1));
		else
			chosen = tpg;
	}
	if (!chosen)
		import_note(l->im, "%s: has no LUN", name);
	return chosen;
}

static int check_tpg(struct import *im, const struct jval *target, const char *name)
{
	const struct jval *tpgs = jval_get(target, "tpgs");
	char *path own_free = own_printf("target %s ", name);
	bool good = is_list(im, target, "tpgs", path);

	for (unsigned i = 0; good && i < jval_count(tpgs); i++) {
		const struct jval *tpg = jval_item(tpgs, i), *acls = jval_get(tpg, "node_acls");

		good = is_list(im, tpg, "luns", path) && is_list(im, tpg, "node_acls", path) &&
		       is_list(im, tpg, "portals", path);
		if (good && jval_count(jval_get(tpg, "luns")) > CFG_LUNS_MAX) {
			import_wrong(im, "%s: target %s has more than %u LUNs, and LIO has no more",
				im->file, name, CFG_LUNS_MAX);
			good = false;
		}
		for (unsigned k = 0; good && k < jval_count(acls); k++)
			good = is_list(im, jval_item(acls, k), "mapped_luns", path);
	}
	return good ? 0 : -EINVAL;
}

static void make_target(struct lio *l, struct making *m)
{
	const struct jval *acls = jval_get(m->tpg, "node_acls");

	m->asks = attribute(m->tpg, "authentication", 0);
	m->open = attribute(m->tpg, "generate_node_acls", 0);
	m->read_only = m->open && attribute(m->tpg, "demo_mode_write_protect", 1);
	take_luns(l, m);
	for (unsigned i = 0; i < jval_count(acls); i++)
		take_acl(l, m, jval_item(acls, i));
	if (m->open)
		take_everybody(l, m);
	take_portals(l, m);
	cfg_list_add(CFG_OBJECT_config, l->im->cfg, "targets", &m->t);
}

static int take_target(struct lio *l, const struct jval *target)
{
	struct making m = { .t.where = import_where(l->im) };
	const char *name = text(target, "wwn"), *fabric = text(target, "fabric");

	if (strcmp(fabric, "iscsi") != 0) {
		import_note(l->im, "target %s: of the fabric %s; kura speaks iSCSI", name, fabric);
		return 0;
	}
	if (check_tpg(l->im, target, name))
		return -EINVAL;
	m.tpg = choose(l, target, name);
	if (!m.tpg)
		return 0;
	if (!jval_count(jval_get(m.tpg, "portals"))) {
		import_note(l->im, "target %s: has no portal; nobody reaches it", name);
		return 0;
	}
	cfg_set_defaults(CFG_OBJECT_target, &m.t);
	if (import_set(l->im, CFG_OBJECT_target, &m.t, "name", name, "a target"))
		make_target(l, &m);
	else
		cfg_fini_object(CFG_OBJECT_target, &m.t);
	return 0;
}

/* ---- the file ---- */

static int take_discovery(struct lio *l)
{
	const struct jval *list = jval_get(l->root, "fabric_modules");

	if (!is_list(l->im, l->root, "fabric_modules", ""))
		return -EINVAL;
	for (unsigned i = 0; i < jval_count(list); i++) {
		const struct jval *f = jval_item(list, i);

		if (strcmp(text(f, "name"), "iscsi") != 0 || l->im->cfg->discovery_auth)
			continue;
		if (number(f, "discovery_enable_auth", 0))
			l->im->cfg->discovery_auth = auth_of(l, f, "discovery_", "discovery");
	}
	return 0;
}

static int take_all(struct lio *l)
{
	const struct jval *targets = jval_get(l->root, "targets");

	if (!targets && !jval_get(l->root, "storage_objects"))
		return import_wrong(l->im,
			"%s: has no storage_objects and no targets; is it what targetcli saved?",
			l->im->file);
	if (take_objects(l) || take_discovery(l) || !is_list(l->im, l->root, "targets", ""))
		return -EINVAL;
	for (unsigned i = 0; i < jval_count(targets); i++) {
		if (take_target(l, jval_item(targets, i)))
			return -EINVAL;
	}
	if (l->portal_count > CFG_PORTALS_MAX)
		return import_wrong(l->im,
			"%s: has more than %u portals, and kura listens at no more", l->im->file,
			CFG_PORTALS_MAX);
	finish_portals(l);
	return 0;
}

/* The line of byte `at` of a text. */
static unsigned line_at(const char *s, size_t len, size_t at)
{
	unsigned line = 1;

	for (size_t i = 0; i < len && i < at; i++)
		line += s[i] == '\n';
	return line;
}

int import_lio(struct import *im, const char *path)
{
	struct lio l = { .im = im };
	struct jval *root;
	size_t len = 0, at = 0;
	char why[200];
	int err = 0;
	char *json = file_read(path, LIO_FILE_MAX, &len, &err);

	if (!json)
		return import_wrong(im, "%s: cannot be read: %s", path, strerror(-err));
	root = jval_parse_at(json, len, &at, why, sizeof why);
	if (!root)
		err = import_wrong(im, "%s:%u: is no JSON: %s", path, line_at(json, len, at), why);
	explicit_bzero(json, len);
	free(json);
	if (!root)
		return err;
	l.root = root;
	err = take_all(&l);
	for (unsigned i = 0; i < l.portal_count; i++)
		free(l.portals[i].targets);
	free(l.portals);
	free(l.objects);
	jval_free(root);
	return err;
}
