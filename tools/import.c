/* SPDX-License-Identifier: Apache-2.0 */
/* What both sources need: objects with names that nobody has, notes, and the print. */
#include "tools/import.h"

#include "common/own.h"
#include "common/secret.h"
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NOTES_MAX   1000u
#define OBJECTS_MAX 20000u
#define ERRORS_MAX  20u
#define FEW         100u /* of one name */
#define SECRET_DIR  "/etc/kura/secrets"

/* ---- what a person is told ---- */

static __attribute__((format(printf, 1, 0))) char *plain_text(const char *fmt, va_list ap)
{
	char *text = NULL;

	own_assert(vasprintf(&text, fmt, ap) >= 0);
	for (char *p = text; *p; p++) {
		if (!isprint((unsigned char)*p))
			*p = '?';
	}
	return text;
}

void import_note(struct import *im, const char *fmt, ...)
{
	va_list ap;

	if (im->note_count == NOTES_MAX) {
		im->notes_lost++;
		return;
	}
	im->notes = reallocarray(im->notes, im->note_count + 1, sizeof *im->notes);
	own_assert(im->notes);
	va_start(ap, fmt);
	im->notes[im->note_count++] = plain_text(fmt, ap);
	va_end(ap);
}

int import_wrong(struct import *im, const char *fmt, ...)
{
	char *text own_free = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = plain_text(fmt, ap);
	va_end(ap);
	snprintf(im->why, sizeof im->why, "%s", text);
	return -EINVAL;
}

/* ---- objects ---- */

bool import_set(struct import *im, enum cfg_object object, void *owner, const char *key,
	const char *text, const char *who)
{
	char why[CFG_WHY_LEN];

	if (!cfg_set_text(object, owner, key, text, why))
		return true;
	import_note(im, "%s: %s %s", who, key, why);
	return false;
}

struct cfg_where import_where(struct import *im)
{
	return (struct cfg_where){ .file = im->cfg->file, .line = ++im->objects };
}

static bool is_taken(const struct import *im, const char *list, const char *name)
{
	bool volumes = *list == 'v';
	unsigned count = volumes ? im->cfg->volume_count : im->cfg->host_count;

	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(volumes ? im->cfg->volumes[i].name : im->cfg->hosts[i].name, name))
			return true;
	}
	return false;
}

void import_name(const struct import *im, const char *text, const char *list, char *name)
{
	char base[IMPORT_NAME_LEN - 8];
	size_t n = 0;

	for (; *text && n < sizeof base - 1; text++) {
		unsigned char c = (unsigned char)*text;
		bool fits = isalnum(c) || (n && (c == '.' || c == '_' || c == '-'));

		if (fits || n)
			base[n++] = fits ? (char)c : '-';
	}
	base[n] = '\0';
	snprintf(name, IMPORT_NAME_LEN, "%s", n ? base : "unnamed");
	for (unsigned i = 2; is_taken(im, list, name); i++) {
		if (i == FEW)
			i = im->objects; /* which grows: no long search among many of one name */
		snprintf(name, IMPORT_NAME_LEN, "%.50s-%u", n ? base : "unnamed", i);
	}
}

bool import_is_device(const char *path)
{
	struct stat st;

	if (!stat(path, &st))
		return S_ISBLK(st.st_mode);
	return !strncmp(path, "/dev/", 5) && strncmp(path, "/dev/shm/", 9) != 0;
}

static bool set_disk(
	struct import *im, const struct import_disk *disk, struct cfg_volume *v, const char *who)
{
	const char *store = !disk->path ? "mem" : import_is_device(disk->path) ? "block" : "file";
	char number[24];

	if (!import_set(im, CFG_OBJECT_volume, v, "store", store, who) ||
		(disk->path && !import_set(im, CFG_OBJECT_volume, v, "path", disk->path, who)))
		return false;
	snprintf(number, sizeof number, "%" PRIu64, disk->size);
	if (disk->size && *store != 'b' &&
		!import_set(im, CFG_OBJECT_volume, v, "size", number, who))
		return false;
	v->block_size = disk->block_size ? disk->block_size : v->block_size;
	v->physical_block_size = disk->physical;
	v->readonly = disk->readonly;
	v->removable = disk->removable;
	v->cache = disk->direct ? CFG_CACHE_DIRECT : CFG_CACHE_BUFFERED;
	if (v->block_size != 512 && v->block_size != 4096) {
		import_note(
			im, "%s: blocks of %u bytes; kura has 512 and 4096", who, v->block_size);
		return false;
	}
	return true;
}

/* The volume of a path, or NULL. Borrowed until the next one. */
static const struct cfg_volume *volume_at(const struct import *im, const char *path)
{
	for (unsigned i = 0; path && i < im->cfg->volume_count; i++) {
		const struct cfg_volume *v = &im->cfg->volumes[i];

		if (v->path && !strcmp(v->path, path))
			return v;
	}
	return NULL;
}

bool import_volume(struct import *im, const struct import_disk *disk, const char *who, char *name)
{
	const struct cfg_volume *there;
	struct cfg_volume v = { 0 };
	bool good;

	if (im->objects > OBJECTS_MAX)
		return false; /* nothing of it will be printed */
	there = volume_at(im, disk->path);
	cfg_set_defaults(CFG_OBJECT_volume, &v);
	v.where = import_where(im);
	if (there)
		snprintf(name, IMPORT_NAME_LEN, "%s", there->name);
	else
		import_name(im, disk->name, "volumes", name);
	good = import_set(im, CFG_OBJECT_volume, &v, "name", name, who) &&
	       set_disk(im, disk, &v, who);
	if (good && !there) {
		cfg_list_add(CFG_OBJECT_config, im->cfg, "volumes", &v);
		return true;
	}
	if (good && !cfg_same_object(CFG_OBJECT_volume, there, &v))
		import_note(im,
			"%s: block sizes, cache or protection of %s, of which another LUN says "
			"otherwise; volume %s has the other's",
			who, disk->path, name);
	cfg_fini_object(CFG_OBJECT_volume, &v);
	return good;
}

/* Whether another volume of these mappings has the serial or the NAA already. */
static bool others_have(
	const struct cfg_lun *luns, unsigned count, const char *volume, bool naa, const char *text)
{
	for (unsigned i = 0; i < count; i++) {
		const char *there = naa ? luns[i].naa : luns[i].serial;

		if (there && !strcmp(there, text) && strcmp(luns[i].volume, volume) != 0)
			return true;
	}
	return false;
}

static bool is_somebodys(const struct import *im, const struct cfg_lun *near, unsigned count,
	const char *volume, bool naa, const char *text)
{
	const struct config *cfg = im->cfg;

	if (others_have(near, count, volume, naa, text))
		return true;
	for (unsigned i = 0; i < cfg->target_count; i++) {
		const struct cfg_target *t = &cfg->targets[i];

		if (others_have(t->luns, t->lun_count, volume, naa, text))
			return true;
		for (unsigned k = 0; k < t->access_count; k++) {
			const struct cfg_access *a = &t->access[k];

			if (others_have(a->luns, a->lun_count, volume, naa, text))
				return true;
		}
	}
	return false;
}

/* What initiators are told of it; what cannot be said is a note, and the mapping stays. */
static void set_identity(struct import *im, struct cfg_lun *l, const struct cfg_lun *near,
	unsigned count, const struct import_lun *lun, const char *who)
{
	const struct {
		const char *key, *text;
	} texts[] = {
		{ "vendor", lun->vendor },
		{ "product", lun->product },
		{ "revision", lun->revision },
		{ "serial", lun->serial },
		{ "naa", lun->naa },
	};

	for (unsigned i = 0; i < own_array_len(texts); i++) {
		bool naa = texts[i].key[0] == 'n';

		if (!texts[i].text)
			continue;
		if ((naa || texts[i].key[0] == 's') &&
			is_somebodys(im, near, count, l->volume, naa, texts[i].text))
			import_note(im, "%s: %s %s is that of another disk, too; kura makes one",
				who, texts[i].key, texts[i].text);
		else
			import_set(im, CFG_OBJECT_lun, l, texts[i].key, texts[i].text, who);
	}
}

bool import_map(struct import *im, enum cfg_object object, void *owner,
	const struct import_lun *lun, const char *who)
{
	unsigned count;
	const struct cfg_lun *luns = cfg_key_items(cfg_key_find(object, "luns"), owner, &count);
	struct cfg_lun l = { .where = import_where(im) };

	if (im->objects > OBJECTS_MAX)
		return false;
	if (lun->number > CFG_LUN_MAX || count >= CFG_LUNS_MAX) {
		import_note(im, "%s: numbers go to %u, and %u LUNs into a target", who, CFG_LUN_MAX,
			CFG_LUNS_MAX);
		return false;
	}
	for (unsigned i = 0; i < count; i++) {
		if (luns[i].lun != lun->number && strcmp(luns[i].volume, lun->volume) != 0)
			continue;
		import_note(im, "%s: %s is LUN %u there already", who, luns[i].volume, luns[i].lun);
		return false;
	}
	cfg_set_defaults(CFG_OBJECT_lun, &l);
	l.lun = (uint16_t)lun->number;
	l.readonly = lun->readonly;
	l.volume = own_strdup(lun->volume);
	set_identity(im, &l, luns, count, lun, who);
	cfg_list_add(object, owner, "luns", &l);
	return true;
}

/* ---- secrets ---- */

static bool same_secret(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_secret_file(const struct import *im, const char *file)
{
	for (unsigned i = 0; i < im->secret_count; i++) {
		if (!strcmp(im->secrets[i].file, file))
			return true;
	}
	return false;
}

/* A file of the secret directory that no other secret has. Returns owned. */
static char *new_secret_file(const struct import *im, const char *user)
{
	char name[IMPORT_NAME_LEN], *file;

	snprintf(name, sizeof name, "%s", *user ? user : "unnamed");
	for (char *p = name; *p; p++) {
		bool fits =
			isalnum((unsigned char)*p) || strchr("-_", *p) || (p != name && *p == '.');

		*p = fits ? *p : '-';
	}
	file = own_printf("%s/%s", im->secret_dir, name);
	for (unsigned i = 2; is_secret_file(im, file); i++) {
		if (i == FEW)
			i = im->objects;
		free(file);
		file = own_printf("%s/%s-%u", im->secret_dir, name, i);
	}
	return file;
}

/* The file that is to hold a secret, another one for another secret of the same user. Borrowed
 * until the next one. */
static const char *secret_file(
	struct import *im, const char *user, const char *secret, const char *who)
{
	struct import_secret *s;

	for (unsigned i = 0; i < im->secret_count; i++) {
		s = &im->secrets[i];
		if (same_secret(s->secret, secret) && !strcmp(s->user, user))
			return s->file;
	}
	im->secrets = reallocarray(im->secrets, im->secret_count + 1, sizeof *im->secrets);
	own_assert(im->secrets);
	s = &im->secrets[im->secret_count];
	*s = (struct import_secret){
		.user = own_strdup(user),
		.file = new_secret_file(im, user),
		.whose = own_printf("%s: %s", who, user),
		.secret = secret ? secret_new(secret, strnlen(secret, SECRET_MAX)) : NULL,
	};
	for (char *p = s->whose; *p; p++)
		*p = isprint((unsigned char)*p) ? *p : '?';
	im->secret_count++;
	return s->file;
}

/* One direction: the keys "user", "secret" and "secret_file", all with the prefix. */
static bool set_half(struct import *im, struct cfg_auth *a, const char *prefix, const char *user,
	const char *secret, const char *who)
{
	char *user_key own_free = own_printf("%suser", prefix);
	char *secret_key own_free = own_printf("%ssecret", prefix);
	char *file_key own_free = own_printf("%ssecret_file", prefix);

	if (!import_set(im, CFG_OBJECT_auth, a, user_key, user, who))
		return false;
	if (im->with_secrets && secret)
		return import_set(im, CFG_OBJECT_auth, a, secret_key, secret, who);
	return import_set(
		im, CFG_OBJECT_auth, a, file_key, secret_file(im, user, secret, who), who);
}

struct cfg_auth *import_auth(struct import *im, const struct import_chap *chap, const char *who)
{
	struct cfg_auth *a;
	const char *mutual = chap->mutual_user;

	if (!chap->user || !*chap->user || im->objects > OBJECTS_MAX)
		return NULL;
	a = own_calloc(1, sizeof *a);
	cfg_set_defaults(CFG_OBJECT_auth, a);
	a->where = import_where(im);
	if (mutual && *mutual && chap->secret && same_secret(chap->secret, chap->mutual_secret)) {
		import_note(im,
			"%s: the target's secret is the initiator's; give it one of its own", who);
		mutual = NULL;
	}
	if (set_half(im, a, "", chap->user, chap->secret, who) &&
		(!mutual || !*mutual ||
			set_half(im, a, "mutual_", mutual, chap->mutual_secret, who)))
		return a;
	cfg_fini_object(CFG_OBJECT_auth, a);
	free(a);
	return NULL;
}

/* ---- host groups ---- */

static bool same_auth(const struct cfg_auth *a, const struct cfg_auth *b)
{
	return a && b ? cfg_same_object(CFG_OBJECT_auth, a, b) : a == b;
}

const char *import_host(
	struct import *im, const char *initiator, struct cfg_auth *auth, const char *who)
{
	const char *tail = strrchr(initiator, ':');
	struct cfg_initiator i = { .where = import_where(im), .auth = auth };
	struct cfg_host h = { .where = import_where(im) }, *there;
	char name[IMPORT_NAME_LEN];

	if (im->objects > OBJECTS_MAX ||
		!import_set(im, CFG_OBJECT_initiator, &i, "name", initiator, who)) {
		cfg_fini_object(CFG_OBJECT_initiator, &i);
		return NULL;
	}
	for (unsigned k = 0; k < im->cfg->host_count; k++) {
		there = &im->cfg->hosts[k];
		if (strcmp(there->initiators[0].name, i.name) != 0 ||
			!same_auth(there->initiators[0].auth, auth))
			continue;
		cfg_fini_object(CFG_OBJECT_initiator, &i);
		return there->name;
	}
	import_name(im, tail && tail[1] ? tail + 1 : initiator, "hosts", name);
	cfg_set_defaults(CFG_OBJECT_host, &h);
	h.name = own_strdup(name);
	cfg_list_add(CFG_OBJECT_host, &h, "initiators", &i);
	there = cfg_list_add(CFG_OBJECT_config, im->cfg, "hosts", &h);
	return there->name;
}

/* ---- the print ---- */

static void print_head(const struct import *im, const char *kind)
{
	printf("# Made by kura import-config %s of %s.\n", kind, im->file);
	if (im->remark)
		printf("#\n# %s\n", im->remark);
	if (im->note_count)
		puts("#\n# Not carried over:");
	for (unsigned i = 0; i < im->note_count; i++)
		printf("#   %s\n", im->notes[i]);
	if (im->notes_lost)
		printf("#   and %u more\n", im->notes_lost);
	if (im->secret_count)
		puts("#\n# To be written, each a file of mode 0600 that holds one secret:");
	for (unsigned i = 0; i < im->secret_count; i++)
		printf("#   %s  (%s%s)\n", im->secrets[i].file, im->secrets[i].whose,
			im->secrets[i].secret ? "" : "; not in the source");
	putchar('\n');
}

/* What the whole would be refused for; what is read was looked at piece by piece. */
static enum rpc_exit check(struct import *im)
{
	struct cfg_error errors[ERRORS_MAX];
	unsigned count = cfg_check_again(im->cfg, errors, ERRORS_MAX);

	for (unsigned i = 0; i < count && i < ERRORS_MAX; i++)
		fprintf(stderr, "kura: to be mended by hand: %s\n", errors[i].text);
	return count ? RPC_REFUSED : RPC_DONE;
}

static enum rpc_exit print_all(struct import *im, const char *kind)
{
	char *text = cfg_write(im->cfg, CFG_WRITE_SECRETS);

	print_head(im, kind);
	fputs(text, stdout);
	explicit_bzero(text, strlen(text));
	free(text);
	for (unsigned i = 0; i < im->note_count; i++)
		fprintf(stderr, "kura: not carried over: %s\n", im->notes[i]);
	if (im->notes_lost)
		fprintf(stderr, "kura: not carried over: %u more\n", im->notes_lost);
	return check(im);
}

static void fini(struct import *im)
{
	for (unsigned i = 0; i < im->note_count; i++)
		free(im->notes[i]);
	free(im->notes);
	for (unsigned i = 0; i < im->secret_count; i++) {
		secret_free(im->secrets[i].secret);
		free(im->secrets[i].user);
		free(im->secrets[i].file);
		free(im->secrets[i].whose);
	}
	free(im->secrets);
	free(im->remark);
	cfg_free(im->cfg);
}

/* ---- the command ---- */

const char import_usage[] = "import-config tgt|lio FILE [--with-secrets] [--secret-dir DIR]";

static const struct {
	const char *kind;
	int (*read)(struct import *im, const char *path);
} kinds[] = {
	{ "tgt", import_tgt },
	{ "lio", import_lio },
};

static enum rpc_exit usage(const char *what, const char *word)
{
	fprintf(stderr, "kura: %s%s%s%s; kura %s\n", what, *word ? " \"" : "", word,
		*word ? "\"" : "", import_usage);
	return RPC_USAGE;
}

static enum rpc_exit run(struct import *im, unsigned kind)
{
	enum rpc_exit exit;

	im->cfg = cfg_new(im->file);
	if (kinds[kind].read(im, im->file) || im->objects > OBJECTS_MAX) {
		if (*im->why)
			fprintf(stderr, "kura: %s\n", im->why);
		else
			fprintf(stderr, "kura: %s: has more than %u objects; split it\n", im->file,
				OBJECTS_MAX);
		exit = RPC_REFUSED;
	} else {
		exit = print_all(im, kinds[kind].kind);
	}
	fini(im);
	return exit;
}

enum rpc_exit import_config(char **words, unsigned count)
{
	struct import im = { .secret_dir = SECRET_DIR };
	const char *kind = NULL;

	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(words[i], "--with-secrets"))
			im.with_secrets = true;
		else if (!strcmp(words[i], "--secret-dir") && i + 1 < count)
			im.secret_dir = words[++i];
		else if (!strncmp(words[i], "--", 2))
			return usage("import-config takes no", words[i]);
		else if (!kind)
			kind = words[i];
		else if (!im.file)
			im.file = words[i];
		else
			return usage("too much:", words[i]);
	}
	for (unsigned i = 0; kind && i < own_array_len(kinds); i++) {
		if (!strcmp(kinds[i].kind, kind))
			return im.file ? run(&im, i) : usage("which file?", "");
	}
	return kind ? usage("import-config reads no", kind) : usage("of what, and which file?", "");
}
