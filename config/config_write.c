/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From struct config back to text that reads the same: what has its default is left out, so that a
 * later version's better default is taken.
 */
#include "config/object.h"

#include "common/own.h"
#include "common/size.h"
#include "config/value.h"

#include <stdio.h>
#include <string.h>

struct writer {
	FILE *f;
	const struct config *cfg;
	unsigned flags;
	char *fresh[CFG_OBJECT_COUNT]; /* what each kind of object has by default, once asked for */
};

static void write_object(struct writer *w, enum cfg_object object, const void *p, unsigned depth);

static void indent(struct writer *w, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		fputs("    ", w->f);
}

/* ---- values ---- */

static void write_quoted(struct writer *w, const char *text, size_t len)
{
	fputc('"', w->f);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fputc('\\', w->f);
		if (c < 0x20 || c == 0x7f)
			fprintf(w->f, "\\x%02x", c);
		else
			fputc(c, w->f);
	}
	fputc('"', w->f);
}

/* Words with blanks between them, as an array. */
static void write_words(struct writer *w, const char *words, bool numbers)
{
	const char *p = words;

	fputs("[ ", w->f);
	while (*p) {
		size_t n = strcspn(p, " ");

		fputs(p == words ? "" : ", ", w->f);
		if (numbers)
			fprintf(w->f, "%.*s", (int)n, p);
		else
			write_quoted(w, p, n);
		p += n;
		p += strspn(p, " ");
	}
	fputs(" ]", w->f);
}

static void write_number(struct writer *w, const struct cfg_key *key, const void *field)
{
	uint16_t small;
	uint32_t large;

	if (key->width == sizeof small) {
		memcpy(&small, field, sizeof small);
		large = small;
	} else {
		memcpy(&large, field, sizeof large);
	}
	fprintf(w->f, "%u", large);
}

static void write_size(struct writer *w, const void *field)
{
	char text[24];
	uint64_t bytes;

	memcpy(&bytes, field, sizeof bytes);
	size_format(bytes, text);
	write_quoted(w, text, strlen(text));
}

static void write_value(struct writer *w, const struct cfg_key *key, const void *field)
{
	enum cfg_cache cache;
	const char *text = NULL;
	bool flag;

	if (key->type >= CFG_TYPE_WORD)
		memcpy(&text, field, sizeof text);
	switch (key->type) {
	case CFG_TYPE_NUMBER:
		write_number(w, key, field);
		break;
	case CFG_TYPE_SIZE:
		write_size(w, field);
		break;
	case CFG_TYPE_BOOL:
		memcpy(&flag, field, sizeof flag);
		fputs(flag ? "true" : "false", w->f);
		break;
	case CFG_TYPE_CACHE:
		memcpy(&cache, field, sizeof cache);
		fputs(cache == CFG_CACHE_DIRECT ? "\"direct\"" : "\"buffered\"", w->f);
		break;
	case CFG_TYPE_NETWORKS:
	case CFG_TYPE_WORDS:
	case CFG_TYPE_TAGS:
		write_words(w, text, key->type == CFG_TYPE_TAGS);
		break;
	default:
		write_quoted(w, text, strlen(text));
	}
}

/* ---- which ---- */

static bool has_text(const struct cfg_key *key, const void *p)
{
	const char *text;

	memcpy(&text, (const char *)p + key->offset, sizeof text);
	return text;
}

/* The key whose file holds a secret, or NULL. */
static const struct cfg_key *file_of(const struct cfg_key *key)
{
	char *name own_free = own_printf("%s_file", key->name);

	return cfg_key_find(key->object, name);
}

static const char *fresh_of(struct writer *w, enum cfg_object object)
{
	if (!w->fresh[object]) {
		w->fresh[object] = own_calloc(1, cfg_objects[object].size);
		cfg_set_defaults(object, w->fresh[object]);
	}
	return w->fresh[object];
}

/* Whether a value must be written, so that reading gives it back. */
static bool is_said(struct writer *w, const struct cfg_key *key, const void *p)
{
	if (key->type >= CFG_TYPE_WORD && !has_text(key, p))
		return false;
	if (key->type == CFG_TYPE_SECRET)
		return w->flags & CFG_WRITE_SECRETS && !has_text(file_of(key), p);
	return !key->deflt || !cfg_same_field(key, fresh_of(w, key->object), p);
}

/* ---- objects ---- */

static bool is_wanted(struct writer *w, const struct cfg_key *key, const void *item)
{
	size_t where = cfg_objects[key->item].where;
	struct cfg_where at;

	if (key->object != CFG_OBJECT_config || where == CFG_NO_WHERE)
		return true;
	memcpy(&at, (const char *)item + where, sizeof at);
	if (w->flags & CFG_WRITE_MANAGED)
		return cfg_is_managed(w->cfg, &at);
	return at.line || cfg_is_managed(w->cfg, &at); /* not what is there by default */
}

static void write_list(struct writer *w, const struct cfg_key *key, const void *p, unsigned depth)
{
	size_t size = cfg_objects[key->item].size;
	bool first = true;
	unsigned count;
	const char *items = cfg_key_items(key, (void *)p, &count);

	for (unsigned i = 0; i < count; i++) {
		if (!is_wanted(w, key, items + i * size))
			continue;
		indent(w, first ? depth : 0);
		if (first)
			fprintf(w->f, "%s = (\n", key->name);
		else
			fputs(",\n", w->f);
		first = false;
		indent(w, depth + 1);
		fputs("{\n", w->f);
		write_object(w, key->item, items + i * size, depth + 2);
		indent(w, depth + 1);
		fputs("}", w->f);
	}
	if (first)
		return;
	fputc('\n', w->f);
	indent(w, depth);
	fputs(");\n", w->f);
}

static void write_group(struct writer *w, const struct cfg_key *key, const void *p, unsigned depth)
{
	const void *item;

	memcpy(&item, (const char *)p + key->offset, sizeof item);
	if (!item)
		return;
	indent(w, depth);
	fprintf(w->f, "%s = {\n", key->name);
	write_object(w, key->item, item, depth + 1);
	indent(w, depth);
	fputs("};\n", w->f);
}

static void write_object(struct writer *w, enum cfg_object object, const void *p, unsigned depth)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		if (k->type == CFG_TYPE_LIST) {
			write_list(w, k, p, depth);
			continue;
		}
		if (object == CFG_OBJECT_config && w->flags & CFG_WRITE_MANAGED)
			continue;
		if (k->type == CFG_TYPE_GROUP) {
			write_group(w, k, p, depth);
		} else if (is_said(w, k, p)) {
			indent(w, depth);
			fprintf(w->f, "%s = ", k->name);
			write_value(w, k, (const char *)p + k->offset);
			fputs(";\n", w->f);
		} else if (k->type == CFG_TYPE_SECRET && has_text(k, p) &&
			   !has_text(file_of(k), p)) {
			indent(w, depth);
			fprintf(w->f, "# %s is not shown\n", k->name);
		}
	}
}

char *cfg_write(const struct config *cfg, unsigned flags)
{
	char *text = NULL;
	size_t len = 0;
	struct writer w = { .f = open_memstream(&text, &len), .cfg = cfg, .flags = flags };

	own_assert(w.f);
	write_object(&w, CFG_OBJECT_config, cfg, 0);
	own_assert(!fclose(w.f) && text);
	for (unsigned i = 0; i < CFG_OBJECT_COUNT; i++) {
		if (w.fresh[i])
			cfg_fini_object((enum cfg_object)i, w.fresh[i]);
		free(w.fresh[i]);
	}
	return text;
}
