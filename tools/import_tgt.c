/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tgt's targets.conf, as tgt-admin reads it: it numbers targets in the order of their names and
 * stores in the order of their paths, and tgtd makes serials and identifiers of these numbers.
 */
#include "tools/import.h"

#include "common/own.h"
#include "tools/blocks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NO_PASSWORD "PLEASE_CORRECT_THE_PASSWORD" /* what tgt-admin --dump writes for all */

/* A backing store: its block or its line. */
struct store {
	const struct blocks_node *node;
	const struct blocks_node *target;
	unsigned number; /* of the LUN; 0: not yet */
};

struct tgt {
	struct import *im;
	struct blocks b;
	const struct blocks_node **targets; /* by their names; owned array */
	unsigned target_count;
};

/* What stands in a target, or in a store with the target's as its default. */
enum known_use { KNOWN_TAKEN, KNOWN_SILENT, KNOWN_NOT };

static const struct {
	const char *key;
	enum known_use use;
	const char *why;
} known[] = {
	{ "backing-store", KNOWN_TAKEN, NULL },
	{ "direct-store", KNOWN_TAKEN, NULL },
	{ "driver", KNOWN_TAKEN, NULL },
	{ "controller_tid", KNOWN_TAKEN, NULL },
	{ "incominguser", KNOWN_TAKEN, NULL },
	{ "outgoinguser", KNOWN_TAKEN, NULL },
	{ "initiator-address", KNOWN_TAKEN, NULL },
	{ "initiator-name", KNOWN_TAKEN, NULL },
	{ "lun", KNOWN_TAKEN, NULL },
	{ "scsi_sn", KNOWN_TAKEN, NULL },
	{ "vendor_id", KNOWN_TAKEN, NULL },
	{ "product_id", KNOWN_TAKEN, NULL },
	{ "product_rev", KNOWN_TAKEN, NULL },
	{ "readonly", KNOWN_TAKEN, NULL },
	{ "removable", KNOWN_TAKEN, NULL },
	{ "block-size", KNOWN_TAKEN, NULL },
	{ "lbppbe", KNOWN_TAKEN, NULL },
	{ "bs-type", KNOWN_TAKEN, NULL },
	{ "device-type", KNOWN_TAKEN, NULL },
	{ "bsoflags", KNOWN_TAKEN, NULL },
	{ "allow-in-use", KNOWN_SILENT, NULL },
	{ "sense_format", KNOWN_SILENT, NULL },
	{ "default-driver", KNOWN_SILENT, NULL },
	{ "ignore-errors", KNOWN_SILENT, NULL },
	{ "control-port", KNOWN_SILENT, NULL },
	{ "target", KNOWN_SILENT, NULL },
	{ "incomingdiscoveryuser", KNOWN_TAKEN, NULL },
	{ "outgoingdiscoveryuser", KNOWN_TAKEN, NULL },
	{ "iSNSServerIP", KNOWN_TAKEN, NULL },
	{ "iSNSServerPort", KNOWN_TAKEN, NULL },
	{ "iSNS", KNOWN_TAKEN, NULL },
	{ "iSNSAccessControl", KNOWN_NOT, "who may come is said here, and not by the name server" },
	{ "scsi_id", KNOWN_NOT, "its T10 designator is vendor and serial; the NAA is kept" },
	{ "write-cache", KNOWN_NOT, "the volume tells what its store has" },
	{ "online", KNOWN_NOT, "a LUN is there or not" },
	{ "path", KNOWN_NOT, "media are not changed" },
	{ "mode_page", KNOWN_NOT, "pages tell what is true of the volume" },
	{ "params", KNOWN_NOT, "they are tgtadm's own" },
	{ "bsopts", KNOWN_NOT, "they are of tgt's stores" },
	{ "la_lba", KNOWN_NOT, "blocks are aligned" },
	{ "optimal_xfer_gran", KNOWN_NOT, "the volume tells what its store likes" },
	{ "optimal_xfer_len", KNOWN_NOT, "the volume tells what its store likes" },
};

/* Keys of the login, which kura.conf has for all targets at once. */
static const char *const negotiated[] = { "MaxRecvDataSegmentLength", "MaxXmitDataSegmentLength",
	"HeaderDigest", "DataDigest", "InitialR2T", "MaxOutstandingR2T", "ImmediateData",
	"FirstBurstLength", "MaxBurstLength", "DataPDUInOrder", "DataSequenceInOrder",
	"ErrorRecoveryLevel", "IFMarker", "OFMarker", "DefaultTime2Wait", "DefaultTime2Retain",
	"OFMarkInt", "IFMarkInt", "MaxConnections" };

static bool is_negotiated(const char *key)
{
	for (unsigned i = 0; i < own_array_len(negotiated); i++) {
		if (!strcmp(negotiated[i], key))
			return true;
	}
	return false;
}

static void note_others(struct import *im, const struct blocks_node *in, const char *who)
{
	for (unsigned i = 0; i < in->count; i++) {
		const char *key = in->items[i].key;
		unsigned k = 0;

		while (k < own_array_len(known) && strcmp(known[k].key, key) != 0)
			k++;
		if (is_negotiated(key))
			import_note(im, "%s: %s: limits of logins are those of the whole file here",
				who, key);
		else if (k == own_array_len(known))
			import_note(im, "%s: %s (%s:%u): kura has nothing of the kind", who, key,
				in->items[i].file, in->items[i].line);
		else if (known[k].use == KNOWN_NOT)
			import_note(im, "%s: %s: %s", who, key, known[k].why);
	}
}

/* ---- values ---- */

/* What is said of a store, or of its target; NULL: nothing. */
static const char *said(const struct store *s, const char *key)
{
	const char *value = blocks_value(s->node, key);

	return value && *value ? value : blocks_value(s->target, key);
}

static bool is_yes(const char *value)
{
	return value && (!strcmp(value, "1") || !strcmp(value, "yes") || !strcmp(value, "on"));
}

static int whole(struct import *im, const struct blocks_node *n, const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *out <= UINT32_MAX)
		return 0;
	return import_wrong(im, "%s:%u: \"%.60s\" is no number", n->file, n->line, text);
}

/* ---- stores ---- */

static int by_path(const void *a, const void *b)
{
	const struct store *x = a, *y = b;
	int by_kind = strcmp(x->node->key, y->node->key); /* backing before direct */

	return by_kind ? by_kind : strcmp(x->node->value, y->node->value);
}

static bool is_number_taken(const struct store *stores, unsigned count, uint64_t number)
{
	for (unsigned i = 0; i < count; i++) {
		if (stores[i].number == number)
			return true;
	}
	return false;
}

/* Numbers that are said first; then the first free one from 1 on for each. */
static int number_stores(struct import *im, struct store *stores, unsigned count)
{
	unsigned next = 1;

	for (unsigned i = 0; i < count; i++) {
		const char *lun = said(&stores[i], "lun");
		uint64_t n = 0;

		if (lun && whole(im, stores[i].node, lun, &n))
			return -EINVAL;
		stores[i].number = (unsigned)n;
	}
	for (unsigned i = 0; i < count; i++) {
		if (stores[i].number)
			continue;
		while (is_number_taken(stores, count, next))
			next++;
		stores[i].number = next;
	}
	return 0;
}

/* The stores of a target in the order of tgt-admin. Returns owned. */
static struct store *stores_of(const struct blocks_node *target, unsigned *count)
{
	struct store *stores = own_calloc(target->count + 1, sizeof *stores);

	*count = 0;
	for (unsigned i = 0; i < target->count; i++) {
		const struct blocks_node *n = &target->items[i];

		if (!strcmp(n->key, "backing-store") || !strcmp(n->key, "direct-store"))
			stores[(*count)++] = (struct store){ .node = n, .target = target };
	}
	qsort(stores, *count, sizeof *stores, by_path);
	return stores;
}

/* Whether kura has such a store and such a device. */
static bool is_possible(struct import *im, const struct store *s, const char *who)
{
	const char *type = said(s, "bs-type"), *device = said(s, "device-type");

	if (device && strcmp(device, "disk") != 0)
		import_note(im, "%s: device-type %s; kura has disks only", who, device);
	else if (type && strcmp(type, "rdwr") != 0 && strcmp(type, "aio") != 0)
		import_note(im, "%s: bs-type %s; kura has files and block devices of this machine",
			who, type);
	else if (*s->node->value != '/')
		import_note(im, "%s: \"%s\" is no absolute path", who, s->node->value);
	else
		return true;
	return false;
}

static int describe(struct import *im, const struct store *s, struct import_disk *disk)
{
	const char *block = said(s, "block-size"), *exponent = said(s, "lbppbe");
	const char *flags = said(s, "bsoflags"), *type = said(s, "bs-type");
	const char *slash = strrchr(s->node->value, '/');
	uint64_t n = 0;

	*disk = (struct import_disk){ .name = slash + 1, .path = s->node->value };
	if (block && whole(im, s->node, block, &n))
		return -EINVAL;
	disk->block_size = (unsigned)n;
	n = 0;
	if (exponent && whole(im, s->node, exponent, &n))
		return -EINVAL;
	if (n && n < 8)
		disk->physical = (disk->block_size ? disk->block_size : 512) << n;
	disk->removable = is_yes(said(s, "removable"));
	disk->direct = (flags && strstr(flags, "direct")) || (type && !strcmp(type, "aio"));
	return 0;
}

/* As tgtd has them: NAA 6 with target and LUN, and "beaf" with both. */
static int take_store(struct import *im, struct cfg_target *t, const struct store *s, unsigned tid)
{
	char volume[IMPORT_NAME_LEN], naa[33], serial[32];
	const char *sn = said(s, "scsi_sn"), *vendor = said(s, "vendor_id");
	const char *product = said(s, "product_id"), *revision = said(s, "product_rev");
	char *who own_free = own_printf("%s LUN %u", t->name, s->number);
	bool direct = !strcmp(s->node->key, "direct-store"); /* tgt-admin asks the device */
	struct import_disk disk;
	struct import_lun lun = {
		.number = s->number,
		.volume = volume,
		.serial = sn || direct ? sn : serial,
		.naa = naa,
		.vendor = vendor || direct ? vendor : "IET",
		.product = product || direct ? product : "VIRTUAL-DISK",
		.revision = revision || direct ? revision : "0001",
		.readonly = is_yes(said(s, "readonly")),
	};

	snprintf(naa, sizeof naa,
		"6000000000000000"
		"0e%06x%04x%04x",
		0u, tid & 0xffff, s->number & 0xffff);
	snprintf(serial, sizeof serial, "beaf%u%u", tid, s->number);
	if (!is_possible(im, s, who))
		return 0;
	if (direct)
		import_note(im,
			"%s: direct-store %s: vendor, product and serial of the device; give "
			"them to the LUN by hand",
			who, s->node->value);
	if (describe(im, s, &disk))
		return -EINVAL;
	if (import_volume(im, &disk, who, volume))
		import_map(im, CFG_OBJECT_target, t, &lun, who);
	note_others(im, s->node, who);
	return 0;
}

static int take_stores(
	struct import *im, struct cfg_target *t, const struct blocks_node *target, unsigned tid)
{
	unsigned count;
	struct store *stores own_free = stores_of(target, &count);

	if (number_stores(im, stores, count))
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		if (take_store(im, t, &stores[i], tid))
			return -EINVAL;
	}
	return 0;
}

/* ---- who may come ---- */

/* Cuts "user password" in two; a password that tgt-admin did not tell is NULL. Owned copy. */
static char *split_user(const char *value, char **password)
{
	char *user = own_strdup(value);
	size_t n = strcspn(user, " \t");

	*password = user[n] ? user + n + 1 + strspn(user + n + 1, " \t") : NULL;
	user[n] = '\0';
	if (*password && (!**password || !strcmp(*password, NO_PASSWORD)))
		*password = NULL;
	return user;
}

static struct cfg_auth *auth_of(struct import *im, const struct blocks_node *in,
	const char *incoming, const char *outgoing, const char *who)
{
	const struct blocks_node *first = blocks_next(in, incoming, NULL), *n = first;
	const struct blocks_node *out = blocks_next(in, outgoing, NULL);
	struct import_chap chap = { 0 };
	char *secret = NULL, *mutual = NULL;
	char *user own_free = first ? split_user(first->value, &secret) : NULL;
	char *other own_free = out ? split_user(out->value, &mutual) : NULL;
	struct cfg_auth *a;

	if (!first && out)
		import_note(im, "%s: %s %s: nobody has to prove himself to the target", who,
			outgoing, other);
	while (first && (n = blocks_next(in, incoming, n))) {
		char *unused, *more own_free = split_user(n->value, &unused);

		import_note(im,
			"%s: %s %s: a target has one user; give that initiator an entry with "
			"an auth of its own",
			who, incoming, more);
		explicit_bzero(more, strlen(n->value));
	}
	chap = (struct import_chap){ user, secret, other, mutual };
	a = import_auth(im, &chap, who);
	if (user)
		explicit_bzero(user, strlen(first->value));
	if (other)
		explicit_bzero(other, strlen(out->value));
	return a;
}

/* An address without its brackets, with the bits of its network. Returns owned. */
static char *network_of(const char *text)
{
	char *out = own_strdup(*text == '[' ? text + 1 : text), *end = strchr(out, ']');

	if (end)
		memmove(end, end + 1, strlen(end));
	if (strchr(out, '/'))
		return out;
	end = own_printf("%s/%s", out, strchr(out, ':') ? "128" : "32");
	free(out);
	return end;
}

/* tgt-admin --dump writes networks and ALL as names, too. */
static bool is_name(const char *text)
{
	return !strncmp(text, "iqn.", 4) || !strncmp(text, "eui.", 4) || !strncmp(text, "naa.", 4);
}

/* The networks of a target, separated by blanks; NULL: from everywhere. Returns owned. */
static char *networks_of(struct import *im, const struct blocks_node *target, const char *who)
{
	struct cfg_initiator probe = { 0 };
	char *all = own_strdup("");
	bool everywhere = false, some = false;

	for (unsigned i = 0; i < target->count; i++) {
		const struct blocks_node *n = &target->items[i];
		bool address = !strcmp(n->key, "initiator-address");
		char *one own_free = NULL, *old = all;

		if (!address && (strcmp(n->key, "initiator-name") != 0 || is_name(n->value)))
			continue;
		some = true;
		everywhere = everywhere || !strcmp(n->value, "ALL");
		if (!strcmp(n->value, "ALL"))
			continue;
		one = network_of(n->value);
		if (!import_set(im, CFG_OBJECT_initiator, &probe, "addresses", one, who))
			continue;
		all = own_printf("%s%s%s", old, *old ? " " : "", one);
		free(old);
	}
	cfg_fini_object(CFG_OBJECT_initiator, &probe);
	if (some && !everywhere)
		return all;
	free(all);
	return NULL;
}

static void add_initiator(
	struct import *im, struct cfg_target *t, const char *name, const char *networks)
{
	struct cfg_initiator i = { .where = import_where(im) };

	if (!import_set(im, CFG_OBJECT_initiator, &i, "name", name, t->name) ||
		(networks && !import_set(im, CFG_OBJECT_initiator, &i, "addresses", networks,
				     t->name))) {
		cfg_fini_object(CFG_OBJECT_initiator, &i);
		return;
	}
	for (unsigned k = 0; k < t->initiator_count; k++) {
		if (strcmp(t->initiators[k].name, i.name) != 0)
			continue;
		cfg_fini_object(CFG_OBJECT_initiator, &i);
		return;
	}
	cfg_list_add(CFG_OBJECT_target, t, "initiators", &i);
}

/* tgtd asks for both: a listed name, if any is, and a listed address. */
static void take_initiators(
	struct import *im, struct cfg_target *t, const struct blocks_node *target)
{
	const struct blocks_node *n = NULL;
	char *networks own_free = networks_of(im, target, t->name);
	bool named = false;

	if (networks && !*networks) {
		import_note(im, "%s: who may log in; none of its addresses is one", t->name);
		return;
	}
	while ((n = blocks_next(target, "initiator-name", n))) {
		if (!is_name(n->value))
			continue;
		named = true;
		add_initiator(im, t, n->value, networks);
	}
	if (!named)
		add_initiator(im, t, "*", networks);
}

/* ---- targets ---- */

static int by_name(const void *a, const void *b)
{
	const struct blocks_node *const *x = a, *const *y = b;
	int order = strcmp((*x)->value, (*y)->value);

	return order ? order : *x < *y ? -1 : *x > *y;
}

static bool is_iscsi(struct tgt *g, const struct blocks_node *target)
{
	const char *driver = blocks_value(target, "driver");

	driver = driver ? driver : blocks_value(&g->b.root, "default-driver");
	if (!driver || !strcmp(driver, "iscsi"))
		return true;
	if (!strcmp(driver, "iser")) {
		import_note(g->im, "target %s: driver iser; it is taken as one over TCP",
			target->value);
		return true;
	}
	import_note(g->im, "target %s: driver %s; kura speaks iSCSI", target->value, driver);
	return false;
}

static int take_target(struct tgt *g, const struct blocks_node *target, unsigned tid)
{
	struct cfg_target t = { .where = import_where(g->im) };
	const char *own = blocks_value(target, "controller_tid");
	uint64_t n = tid;
	int err = 0;

	if (own && whole(g->im, target, own, &n))
		return -EINVAL;
	if (!is_iscsi(g, target))
		return 0;
	cfg_set_defaults(CFG_OBJECT_target, &t);
	if (import_set(g->im, CFG_OBJECT_target, &t, "name", target->value, "a target")) {
		err = take_stores(g->im, &t, target, (unsigned)n);
		note_others(g->im, target, t.name);
		t.auth = auth_of(g->im, target, "incominguser", "outgoinguser", t.name);
		take_initiators(g->im, &t, target);
	}
	if (err || !t.name)
		cfg_fini_object(CFG_OBJECT_target, &t);
	else
		cfg_list_add(CFG_OBJECT_config, g->im->cfg, "targets", &t);
	return err;
}

static int take_targets(struct tgt *g)
{
	const struct blocks_node *n = NULL;
	unsigned tid = 0;

	g->targets = own_calloc(g->b.root.count + 1, sizeof *g->targets);
	while ((n = blocks_next(&g->b.root, "target", n))) {
		if (!n->is_block || !*n->value)
			return import_wrong(g->im,
				"%s:%u: a target is a block with a name: <target iqn...>", n->file,
				n->line);
		g->targets[g->target_count++] = n;
	}
	qsort(g->targets, g->target_count, sizeof *g->targets, by_name);
	for (unsigned i = 0; i < g->target_count; i++) {
		n = g->targets[i];
		if (i && !strcmp(g->targets[i - 1]->value, n->value)) {
			import_note(g->im, "target %s: its second block (%s:%u); write it once",
				n->value, n->file, n->line);
			continue;
		}
		if (take_target(g, n, ++tid))
			return -EINVAL;
	}
	return 0;
}

/* ---- the whole ---- */

static void take_isns(struct tgt *g)
{
	const char *server = blocks_value(&g->b.root, "iSNSServerIP");
	const char *port = blocks_value(&g->b.root, "iSNSServerPort");
	char *where own_free = NULL;
	struct cfg_isns *isns;

	if (!server)
		return;
	where = own_printf(strchr(server, ':') && *server != '[' ? "[%s]:%s" : "%s:%s", server,
		port ? port : "3205");
	isns = own_calloc(1, sizeof *isns);
	cfg_set_defaults(CFG_OBJECT_isns, isns);
	if (import_set(g->im, CFG_OBJECT_isns, isns, "server", where, "iSNS")) {
		g->im->cfg->isns = isns;
		return;
	}
	cfg_fini_object(CFG_OBJECT_isns, isns);
	free(isns);
}

static int take_all(struct tgt *g)
{
	const struct blocks_node *root = &g->b.root;

	note_others(g->im, root, "the whole");
	g->im->cfg->discovery_auth =
		auth_of(g->im, root, "incomingdiscoveryuser", "outgoingdiscoveryuser", "discovery");
	take_isns(g);
	g->im->remark =
		own_strdup("Numbers, serials and NAA that the source does not name are those that "
			   "tgt-admin gives\n"
			   "# when it starts: compare one disk on a host before the first login.");
	return take_targets(g);
}

int import_tgt(struct import *im, const char *path)
{
	struct tgt g = { .im = im };
	int err = blocks_read(&g.b, path);

	if (err)
		import_wrong(im, "%s", g.b.why);
	else
		err = take_all(&g);
	free(g.targets);
	blocks_fini(&g.b);
	return err;
}
