/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From text to struct config: libconfig parses, the rows of keys.def decide what is right.
 *
 * Each value is stored or answered with a mistake, reading goes on, and the checks over the whole
 * run on what is there: a person sees all mistakes at once. Only broken syntax ends it early.
 */
#include "config/config.h"

#include "common/near.h"
#include "common/own.h"
#include "config/keys.h"
#include "config/report.h"
#include "config/secret.h"
#include "config/value.h"

#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reader {
	config_t tree;        /* libconfig's */
	config_t managed;     /* of what verbs made */
	bool has_managed;     /* there is a place for it, at least */
	bool in_managed;      /* which of the two is being read */
	struct cfg_text text; /* what was parsed */
	struct cfg_report report;
	struct config *cfg; /* what is being filled */
};

static void read_object(
	struct reader *rd, config_setting_t *group, enum cfg_object object, void *out);

/* ---- where things are ---- */

/* The path of a setting as a person would write it; `out` has room for CFG_PATH_LEN. */
static void path_of(const config_setting_t *s, char *out)
{
	const config_setting_t *parent = s->parent;

	*out = '\0';
	if (!parent)
		return;
	path_of(parent, out);
	size_t used = strlen(out), room = CFG_PATH_LEN - used;

	if (s->name)
		snprintf(out + used, room, "%s%.60s", used ? "." : "", s->name);
	else
		snprintf(out + used, room, "[%d]", config_setting_index(s));
}

/* The child of `s` that the front of a path names; *path moves behind it. */
static config_setting_t *child(config_setting_t *s, const char **path)
{
	char name[CFG_PATH_LEN];
	size_t n;

	*path += **path == '.';
	if (**path == '[') {
		char *end;
		unsigned long i = strtoul(*path + 1, &end, 10);

		*path = end + (*end == ']');
		return config_setting_is_aggregate(s) ? config_setting_get_elem(s, (unsigned)i)
						      : NULL;
	}
	n = strcspn(*path, ".[");
	snprintf(name, sizeof name, "%.*s", (int)n, *path);
	*path += n;
	return config_setting_is_group(s) ? config_setting_get_member(s, name) : NULL;
}

static unsigned line_below(config_setting_t *s, const char *path)
{
	unsigned line = 0;

	while (s && *path) {
		s = child(s, &path);
		if (s)
			line = s->line;
	}
	return line;
}

/* Items of the managed file follow those of the main one in each list. */
static unsigned line_of(void *arg, const char *path)
{
	struct reader *rd = arg;
	size_t n = strcspn(path, "[.");
	char name[CFG_PATH_LEN], there[2 * CFG_PATH_LEN];
	config_setting_t *list;
	unsigned long i, before;
	char *rest;

	snprintf(name, sizeof name, "%.*s", (int)n, path);
	list = config_setting_get_member(config_root_setting(&rd->tree), name);
	before = list ? (unsigned long)config_setting_length(list) : 0;
	if (path[n] != '[' || (i = strtoul(path + n + 1, &rest, 10)) < before)
		return line_below(config_root_setting(&rd->tree), path);
	snprintf(there, sizeof there, "%s[%lu%.90s", name, i - before, rest);
	return line_below(config_root_setting(&rd->managed), there);
}

static __attribute__((format(printf, 3, 4))) void mistake(
	struct reader *rd, const config_setting_t *s, const char *fmt, ...)
{
	char path[CFG_PATH_LEN], text[CFG_WHY_LEN];
	va_list ap;

	path_of(s, path);
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	cfg_report_error_at(&rd->report, s->line, path, "%s", text);
}

static struct cfg_where where_of(const struct reader *rd, const config_setting_t *s)
{
	struct cfg_where w = { 0 };
	const char *file = cfg_text_where(&rd->text, s->line, &w.line);

	for (unsigned i = 0; i < rd->text.file_count; i++) {
		if (rd->text.files[i] == file)
			w.file = rd->cfg->files[i];
	}
	return w;
}

/* ---- values ---- */

static struct cfg_value value_of(const config_setting_t *s)
{
	struct cfg_value v = { .kind = CFG_KIND_LIST };
	bool hex = config_setting_get_format(s) == CONFIG_FORMAT_HEX;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		v.kind = hex ? CFG_KIND_HEX : CFG_KIND_NUMBER;
		v.number = config_setting_get_int64(s);
		break;
	case CONFIG_TYPE_FLOAT:
		v.kind = CFG_KIND_FLOAT;
		break;
	case CONFIG_TYPE_BOOL:
		v.kind = CFG_KIND_BOOL;
		v.flag = config_setting_get_bool(s);
		break;
	case CONFIG_TYPE_STRING:
		v.kind = CFG_KIND_STRING;
		v.string = config_setting_get_string(s);
		break;
	}
	return v;
}

static void read_list(struct reader *rd, config_setting_t *s, const struct cfg_key *key, void *out)
{
	size_t size = cfg_objects[key->item].size;
	unsigned before, n;
	char *old = cfg_key_items(key, out, &before), *items;

	if (!config_setting_is_list(s)) {
		mistake(rd, s, "is not a list; write %s = ( { ... }, { ... } );", key->name);
		return;
	}
	n = before + (unsigned)config_setting_length(s);
	items = own_calloc(cfg_list_room(n), size);
	if (old)
		memcpy(items, old, before * size);
	free(old);
	memcpy(cfg_key_field(key, out), &items, sizeof items);
	memcpy((char *)out + key->count_offset, &n, sizeof n);
	for (unsigned i = before; i < n; i++)
		read_object(
			rd, config_setting_get_elem(s, i - before), key->item, items + i * size);
}

static void read_group(struct reader *rd, config_setting_t *s, const struct cfg_key *key, void *out)
{
	void *item;

	if (!config_setting_is_group(s)) {
		mistake(rd, s, "is not a group; write %s = { ... };", key->name);
		return;
	}
	item = own_calloc(1, cfg_objects[key->item].size);
	memcpy(cfg_key_field(key, out), &item, sizeof item);
	read_object(rd, s, key->item, item);
}

/* One of an array, as text; NULL: it is neither a text nor, where those are wanted, a number. */
static char *word_of(config_setting_t *s, unsigned i, bool numbers)
{
	struct cfg_value v = value_of(config_setting_get_elem(s, i));

	if (numbers)
		return v.kind == CFG_KIND_NUMBER ? own_printf("%lld", (long long)v.number) : NULL;
	return v.kind == CFG_KIND_STRING ? own_strdup(v.string) : NULL;
}

/* An array of texts or numbers becomes one text, with blanks between them. */
static void read_words(struct reader *rd, config_setting_t *s, const struct cfg_key *key, void *out)
{
	char *words own_free = own_strdup("");
	struct cfg_value value = { .kind = CFG_KIND_STRING };
	bool numbers = key->type == CFG_TYPE_TAGS;
	char why[CFG_WHY_LEN];

	for (unsigned i = 0; i < (unsigned)config_setting_length(s); i++) {
		char *word own_free = word_of(s, i, numbers);
		char *before own_free = words;

		if (!word) {
			words = NULL;
			break;
		}
		words = own_printf("%s%s%s", before, i ? " " : "", word);
	}
	if (!words || !*words || !(config_setting_is_array(s) || config_setting_is_list(s))) {
		mistake(rd, s,
			numbers ? "is no list of numbers; write %s = [ 1, 2 ];"
				: "is no list of texts; write %s = [ \"...\", \"...\" ];",
			key->name);
		return;
	}
	value.string = words;
	if (cfg_value_set(key, out, &value, why))
		mistake(rd, s, "%s", why);
}

/* A secret stands here only when nobody else can read the file, and only as long as needed. */
static void read_secret(
	struct reader *rd, config_setting_t *s, const struct cfg_key *key, void *out)
{
	struct cfg_value value = value_of(s);
	char why[CFG_WHY_LEN];

	if (!cfg_text_is_private(&rd->text, s->line))
		mistake(rd, s,
			"stands in a file that others than its owner get at; chmod 600 it, or "
			"write "
			"%s_file = \"/path\"; with a file of mode 0600",
			key->name);
	else if (cfg_value_set(key, out, &value, why))
		mistake(rd, s, "%s", why);
	if (value.string)
		explicit_bzero(s->value.sval, strlen(s->value.sval));
}

/* The secret of a file goes where the one of the configuration would be. */
static void load_secret(
	struct reader *rd, config_setting_t *group, const char *key, const char *file, char **out)
{
	config_setting_t *s = config_setting_get_member(group, key);
	char why[CFG_WHY_LEN];

	if (!s || !file)
		return;
	if (*out)
		mistake(rd, s, "does not go with the secret itself; remove one of the two");
	else if (cfg_secret_read(file, out, why))
		mistake(rd, s, "%s", why);
}

static void load_secrets(struct reader *rd, config_setting_t *group, struct cfg_auth *a)
{
	load_secret(rd, group, "secret_file", a->secret_file, &a->secret);
	load_secret(rd, group, "mutual_secret_file", a->mutual_secret_file, &a->mutual_secret);
}

static void unknown_key(struct reader *rd, const config_setting_t *s, enum cfg_object object)
{
	const struct cfg_key *k = NULL;
	const char *near = NULL;
	unsigned best = UINT32_MAX;
	char names[CFG_WHY_LEN] = "";
	size_t used = 0;

	while ((k = cfg_key_next(object, k))) {
		if (near_is(s->name, k->name, &best))
			near = k->name;
		if (used < sizeof names)
			used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
				used ? ", " : "", k->name);
	}
	if (near)
		mistake(rd, s, "no such key in %s; did you mean \"%s\"?", cfg_objects[object].name,
			near);
	else
		mistake(rd, s, "no such key in %s; kura.conf(5) describes these: %s",
			cfg_objects[object].name, names);
}

static void read_key(struct reader *rd, config_setting_t *s, enum cfg_object object, void *out)
{
	const struct cfg_key *key = cfg_key_find(object, s->name);
	struct cfg_value value = value_of(s);
	char why[CFG_WHY_LEN];

	if (!key)
		unknown_key(rd, s, object);
	else if (rd->in_managed && object == CFG_OBJECT_config && key->type != CFG_TYPE_LIST)
		mistake(rd, s, "does not belong into this file, which kura writes; write it in %s",
			rd->cfg->file);
	else if (key->type == CFG_TYPE_LIST)
		read_list(rd, s, key, out);
	else if (key->type == CFG_TYPE_GROUP)
		read_group(rd, s, key, out);
	else if (key->type == CFG_TYPE_WORDS || key->type == CFG_TYPE_NETWORKS ||
		 key->type == CFG_TYPE_TAGS)
		read_words(rd, s, key, out);
	else if (key->type == CFG_TYPE_SECRET)
		read_secret(rd, s, key, out);
	else if (cfg_value_set(key, out, &value, why))
		mistake(rd, s, "%s", why);
}

static void check_missing(struct reader *rd, const config_setting_t *group, enum cfg_object object)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		if (!k->deflt && !config_setting_get_member(group, k->name))
			mistake(rd, group, "has no %s; write %s = ...; (%s)", k->name, k->name,
				k->help);
	}
}

/* Numbers that must be given begin out of their range, so that the checks pass over them. */
static void mark_unset(enum cfg_object object, void *out)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		if (!k->deflt && k->type == CFG_TYPE_NUMBER)
			memset(cfg_key_field(k, out), 0xff, k->width);
	}
}

static void read_object(
	struct reader *rd, config_setting_t *group, enum cfg_object object, void *out)
{
	const struct cfg_object_info *info = &cfg_objects[object];

	cfg_set_defaults(object, out);
	mark_unset(object, out);
	if (info->where != CFG_NO_WHERE) {
		struct cfg_where w = where_of(rd, group);

		memcpy((char *)out + info->where, &w, sizeof w);
	}
	if (!config_setting_is_group(group)) {
		mistake(rd, group, "is not %s; write { %s = ...; ... }", info->name,
			cfg_key_next(object, NULL)->name);
		return;
	}
	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++)
		read_key(rd, config_setting_get_elem(group, i), object, out);
	check_missing(rd, group, object);
	if (object == CFG_OBJECT_auth)
		load_secrets(rd, group, out);
}

/* ---- the whole ---- */

static void default_portal(struct config *cfg)
{
	if (cfg->portal_count)
		return;
	free(cfg->portals);
	cfg->portals = own_calloc(cfg_list_room(1), sizeof *cfg->portals);
	cfg->portal_count = 1;
	cfg->portals[0].where.file = cfg->files[0];
	cfg_set_defaults(CFG_OBJECT_portal, cfg->portals);
}

/* What libconfig says, in its words, and what would be right. */
static const struct {
	const char *what, *advice;
} syntax_errors[] = {
	{ "syntax error", "is a ';' or ',' missing before it, a bracket or quote left open, or a "
			  "word without quotes?" },
	{ "duplicate setting name", "write each key of a group once" },
	{ "mismatched element type in array", "write a list, in ( ) instead of [ ]" },
	{ "memory exhausted", "brackets are nested too deep" },
};

static void syntax_error(struct reader *rd, config_t *tree)
{
	unsigned line = (unsigned)config_error_line(tree);
	const char *what = config_error_text(tree), *advice = "see kura.conf(5)";
	const char *near, *quote;
	size_t len;

	/* what is missing at the end of the first file is not the second one's mistake */
	if (tree == &rd->tree && rd->text.second && line >= rd->text.second)
		line = rd->text.second - 1;
	near = cfg_text_line(&rd->text, line, &len);
	quote = strstr(rd->text.data, "secret") ? memchr(near, '"', len) : NULL;
	if (quote) /* what is quoted there may be the secret */
		len = (size_t)(quote - near);
	if (!what)
		what = "syntax error";
	for (size_t i = 0; i < own_array_len(syntax_errors); i++) {
		if (!strcmp(what, syntax_errors[i].what))
			advice = syntax_errors[i].advice;
	}
	cfg_report_error_at(&rd->report, line, "", "%s at \"%.*s\"; %s", what,
		(int)(len < 60 ? len : 60), near, advice);
}

/* The front of the text is the main file. */
static bool parse_main(struct reader *rd)
{
	char *text own_free = NULL;
	bool good;

	if (!rd->text.second)
		return config_read_string(&rd->tree, rd->text.data);
	text = strndup(rd->text.data, rd->text.second_at);
	own_assert(text);
	good = config_read_string(&rd->tree, text);
	explicit_bzero(text, rd->text.second_at);
	return good;
}

/* The rest is what verbs made; with empty lines in front its lines are those of the joined text. */
static bool parse_managed(struct reader *rd)
{
	size_t front = rd->text.second - 1, len = rd->text.len - rd->text.second_at;
	char *text own_free = own_calloc(1, front + len + 1);
	bool good;

	memset(text, '\n', front);
	memcpy(text + front, rd->text.data + rd->text.second_at, len);
	good = config_read_string(&rd->managed, text);
	explicit_bzero(text, front + len);
	return good;
}

/* Puts the objects of the managed file behind the others, over what they have in common. */
static void read_managed(struct reader *rd)
{
	config_setting_t *root = config_root_setting(&rd->managed);

	rd->in_managed = true;
	for (unsigned i = 0; i < (unsigned)config_setting_length(root); i++)
		read_key(rd, config_setting_get_elem(root, i), CFG_OBJECT_config, rd->cfg);
	rd->in_managed = false;
}

static void parse(struct reader *rd)
{
	struct cfg_text *t = &rd->text;

	rd->cfg = cfg_new(t->files[0]);
	rd->cfg->file_count = t->file_count;
	rd->cfg->files = own_calloc(t->file_count, sizeof *rd->cfg->files);
	for (unsigned i = 0; i < t->file_count; i++)
		rd->cfg->files[i] = own_strdup(t->files[i]);
	if (rd->has_managed)
		rd->cfg->managed = rd->cfg->files[t->file_count - 1];
	/* All includes are resolved; whatever is left must not open anything. */
	config_set_include_dir(&rd->tree, "/dev/null");
	config_set_include_dir(&rd->managed, "/dev/null");
	if (!parse_main(rd)) {
		syntax_error(rd, &rd->tree);
		return;
	}
	if (t->second && !parse_managed(rd)) {
		syntax_error(rd, &rd->managed);
		return;
	}
	read_object(rd, config_root_setting(&rd->tree), CFG_OBJECT_config, rd->cfg);
	if (t->second)
		read_managed(rd);
	cfg_check(rd->cfg, &rd->report);
	default_portal(rd->cfg);
}

/* What was read, or NULL when there were mistakes; everything else is released. Takes `rd`. */
static struct config *finish(struct reader *rd, unsigned *count)
{
	struct config *cfg = own_take(rd->cfg);

	*count = rd->report.count;
	if (rd->report.count) {
		cfg_free(cfg);
		cfg = NULL;
	} else {
		cfg->warnings = own_take(rd->report.warnings);
		cfg->warning_count = rd->report.warning_count;
	}
	config_destroy(&rd->tree);
	config_destroy(&rd->managed);
	cfg_text_fini(&rd->text);
	cfg_report_fini(&rd->report);
	return cfg;
}

static void begin(struct reader *rd, struct cfg_error *errors, unsigned max)
{
	config_init(&rd->tree);
	config_init(&rd->managed);
	cfg_report_init(&rd->report, errors, max);
	rd->report.text = &rd->text;
	rd->report.line_of = line_of;
	rd->report.arg = rd;
}

struct config *cfg_read(const char *path, struct cfg_error *errors, unsigned max, unsigned *count)
{
	struct reader rd = { 0 };

	begin(&rd, errors, max);
	if (cfg_text_read(&rd.text, path))
		cfg_report_error_at(&rd.report, rd.text.fault_line, "", "%s", rd.text.fault);
	else
		parse(&rd);
	return finish(&rd, count);
}

struct config *cfg_read_both(const char *path, const char *managed, struct cfg_error *errors,
	unsigned max, unsigned *count)
{
	struct reader rd = { .has_managed = true };

	begin(&rd, errors, max);
	if (cfg_text_read(&rd.text, path) || cfg_text_append(&rd.text, managed))
		cfg_report_error_at(&rd.report, rd.text.fault_line, "", "%s", rd.text.fault);
	else
		parse(&rd);
	return finish(&rd, count);
}

struct config *cfg_read_text(const char *text, size_t len, const char *name,
	struct cfg_error *errors, unsigned max, unsigned *count)
{
	struct reader rd = { 0 };

	begin(&rd, errors, max);
	if (cfg_text_take(&rd.text, text, len, name))
		cfg_report_error_at(&rd.report, rd.text.fault_line, "", "%s", rd.text.fault);
	else
		parse(&rd);
	return finish(&rd, count);
}
