/* SPDX-License-Identifier: Apache-2.0 */
/* Copying, comparing and changing: one walk over the rows each. */
#include "config/object.h"

#include "common/own.h"
#include "common/secret.h"
#include "common/size.h"
#include "config/report.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The text of a field, which may be NULL. */
static char *text_of(const struct cfg_key *key, const void *object)
{
	char *text;

	memcpy(&text, (const char *)object + key->offset, sizeof text);
	return text;
}

static bool is_number(const struct cfg_key *key)
{
	return key->type < CFG_TYPE_WORD;
}

/* ---- copying ---- */

static void copy_list(const struct cfg_key *key, void *to, const void *from)
{
	size_t size = cfg_objects[key->item].size;
	unsigned count;
	const char *items = cfg_key_items(key, (void *)from, &count);
	char *copies = items ? own_calloc(cfg_list_room(count), size) : NULL;

	memcpy(cfg_key_field(key, to), &copies, sizeof copies);
	memcpy((char *)to + key->count_offset, &count, sizeof count);
	for (unsigned i = 0; i < count; i++)
		cfg_copy_object(key->item, copies + i * size, items + i * size);
}

static void copy_group(const struct cfg_key *key, void *to, const void *from)
{
	const void *item = text_of(key, from);
	void *copy = item ? own_calloc(1, cfg_objects[key->item].size) : NULL;

	memcpy(cfg_key_field(key, to), &copy, sizeof copy);
	if (item)
		cfg_copy_object(key->item, copy, item);
}

static void copy_field(const struct cfg_key *key, void *to, const void *from)
{
	char *text;

	if (key->type == CFG_TYPE_LIST) {
		copy_list(key, to, from);
	} else if (key->type == CFG_TYPE_GROUP) {
		copy_group(key, to, from);
	} else if (is_number(key)) {
		memcpy(cfg_key_field(key, to), (const char *)from + key->offset, key->width);
	} else {
		text = key->type == CFG_TYPE_SECRET ? secret_dup(text_of(key, from))
						    : own_strdup(text_of(key, from));
		memcpy(cfg_key_field(key, to), &text, sizeof text);
	}
}

void cfg_copy_object(enum cfg_object object, void *to, const void *from)
{
	const struct cfg_object_info *info = &cfg_objects[object];
	const struct cfg_key *k = NULL;

	if (info->where != CFG_NO_WHERE)
		memcpy((char *)to + info->where, (const char *)from + info->where,
			sizeof(struct cfg_where));
	while ((k = cfg_key_next(object, k)))
		copy_field(k, to, from);
}

/* The name of a file in the copy. */
static const char *file_in(const struct config *cfg, const char *name)
{
	for (unsigned i = 0; name && i < cfg->file_count; i++) {
		if (!strcmp(cfg->files[i], name))
			return cfg->files[i];
	}
	return NULL;
}

/* Lets every object of the copy say where it is in strings of the copy. */
static void move_where(const struct config *cfg, enum cfg_object object, void *p)
{
	const struct cfg_object_info *info = &cfg_objects[object];
	const struct cfg_key *k = NULL;

	if (info->where != CFG_NO_WHERE) {
		struct cfg_where *w = (struct cfg_where *)(void *)((char *)p + info->where);

		w->file = file_in(cfg, w->file);
	}
	while ((k = cfg_key_next(object, k))) {
		unsigned count = 0;
		char *items = NULL;

		if (k->type == CFG_TYPE_LIST) {
			items = cfg_key_items(k, p, &count);
		} else if (k->type == CFG_TYPE_GROUP) {
			items = text_of(k, p);
			count = items ? 1 : 0;
		}
		for (unsigned i = 0; i < count; i++)
			move_where(cfg, k->item, items + i * cfg_objects[k->item].size);
	}
}

struct config *cfg_copy(const struct config *cfg)
{
	struct config *copy = own_calloc(1, sizeof *copy);

	copy->file = own_strdup(cfg->file);
	copy->file_count = cfg->file_count;
	copy->files = own_calloc(cfg->file_count + 1, sizeof *copy->files);
	for (unsigned i = 0; i < cfg->file_count; i++)
		copy->files[i] = own_strdup(cfg->files[i]);
	copy->managed = file_in(copy, cfg->managed);
	cfg_copy_object(CFG_OBJECT_config, copy, cfg);
	move_where(copy, CFG_OBJECT_config, copy);
	return copy;
}

/* ---- comparing ---- */

static bool same_items(enum cfg_object item, const char *a, const char *b, unsigned count)
{
	size_t size = cfg_objects[item].size;

	for (unsigned i = 0; i < count; i++) {
		if (!cfg_same_object(item, a + i * size, b + i * size))
			return false;
	}
	return true;
}

bool cfg_same_field(const struct cfg_key *key, const void *a, const void *b)
{
	const char *x = is_number(key) ? NULL : text_of(key, a);
	const char *y = is_number(key) ? NULL : text_of(key, b);
	unsigned m, n;

	if (is_number(key))
		return !memcmp(
			(const char *)a + key->offset, (const char *)b + key->offset, key->width);
	if (key->type == CFG_TYPE_LIST) {
		x = cfg_key_items(key, (void *)a, &m);
		y = cfg_key_items(key, (void *)b, &n);
		return m == n && same_items(key->item, x, y, m);
	}
	if (!x || !y)
		return x == y;
	if (key->type == CFG_TYPE_GROUP)
		return same_items(key->item, x, y, 1);
	return !strcmp(x, y);
}

bool cfg_same_object(enum cfg_object object, const void *a, const void *b)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		if (!cfg_same_field(k, a, b))
			return false;
	}
	return true;
}

/* ---- finding ---- */

/* Two lists are mostly walked side by side: the search begins behind what was found last. */
#define FIND(list, count, wanted, compare)                                                         \
	({                                                                                         \
		static _Thread_local unsigned next_;                                               \
		unsigned left_ = (count), i_ = next_ < (count) ? next_ : 0;                        \
		while (left_ && compare((list)[i_].name, wanted) != 0) {                           \
			i_ = i_ + 1 < (count) ? i_ + 1 : 0;                                        \
			left_--;                                                                   \
		}                                                                                  \
		next_ = i_ + 1;                                                                    \
		left_ ? &(list)[i_] : NULL;                                                        \
	})

struct cfg_volume *cfg_volume_named(const struct config *cfg, const char *name)
{
	return FIND(cfg->volumes, cfg->volume_count, name, strcmp);
}

struct cfg_target *cfg_target_named(const struct config *cfg, const char *name)
{
	/* RFC 3722 6.2: iSCSI names are kept in lower case, and may be asked for in any */
	return FIND(cfg->targets, cfg->target_count, name, strcasecmp);
}

struct cfg_host *cfg_host_named(const struct config *cfg, const char *name)
{
	return FIND(cfg->hosts, cfg->host_count, name, strcmp);
}

/* ---- changing ---- */

static unsigned no_line(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return 0;
}

unsigned cfg_check_again(const struct config *cfg, struct cfg_error *errors, unsigned max)
{
	struct cfg_report report;
	unsigned count;

	cfg_report_init(&report, errors, max);
	report.line_of = no_line;
	cfg_check(cfg, &report);
	count = report.count;
	cfg_report_fini(&report);
	return count;
}

static const struct cfg_key *list_key(enum cfg_object object, const char *name)
{
	const struct cfg_key *key = cfg_key_find(object, name);

	own_assert(key && key->type == CFG_TYPE_LIST);
	return key;
}

void *cfg_list_add(enum cfg_object object, void *owner, const char *name, const void *item)
{
	const struct cfg_key *key = list_key(object, name);
	size_t size = cfg_objects[key->item].size;
	unsigned count;
	char *items = cfg_key_items(key, owner, &count);

	if (!items || count + 2 > cfg_list_room(count))
		items = reallocarray(items, cfg_list_room(count + 1), size);
	own_assert(items);
	memcpy(items + count * size, item, size);
	count++;
	memset(items + count * size, 0, size);
	memcpy(cfg_key_field(key, owner), &items, sizeof items);
	memcpy((char *)owner + key->count_offset, &count, sizeof count);
	return items + (count - 1) * size;
}

void cfg_list_remove(enum cfg_object object, void *owner, const char *name, unsigned i)
{
	const struct cfg_key *key = list_key(object, name);
	size_t size = cfg_objects[key->item].size;
	unsigned count;
	char *items = cfg_key_items(key, owner, &count);

	own_assert(i < count);
	cfg_fini_object(key->item, items + i * size);
	count--;
	memmove(items + i * size, items + (i + 1) * size, (count - i) * size);
	memset(items + count * size, 0, size);
	memcpy((char *)owner + key->count_offset, &count, sizeof count);
}

struct cfg_where cfg_managed_where(const struct config *cfg)
{
	own_assert(cfg->managed);
	return (struct cfg_where){ .file = cfg->managed };
}

bool cfg_is_managed(const struct config *cfg, const struct cfg_where *where)
{
	return cfg->managed && where->file && !strcmp(where->file, cfg->managed);
}

/* A size in text is taken as such; a number wants its digits, a truth value its word. */
static int value_of(const struct cfg_key *key, const char *text, struct cfg_value *value)
{
	uint64_t n;

	*value = (struct cfg_value){ .kind = CFG_KIND_STRING, .string = text };
	if (key->type == CFG_TYPE_NUMBER) {
		if (size_parse(text, &n) || n > INT64_MAX)
			return -EINVAL;
		*value = (struct cfg_value){ .kind = CFG_KIND_NUMBER, .number = (int64_t)n };
	} else if (key->type == CFG_TYPE_BOOL) {
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return -EINVAL;
		*value = (struct cfg_value){ .kind = CFG_KIND_BOOL, .flag = *text == 't' };
	}
	return 0;
}

int cfg_set_text(enum cfg_object object, void *owner, const char *name, const char *text, char *why)
{
	const struct cfg_key *key = cfg_key_find(object, name);
	struct cfg_value value;

	own_assert(key && key->type != CFG_TYPE_LIST && key->type != CFG_TYPE_GROUP);
	if (value_of(key, text, &value))
		return cfg_refuse(why, "\"%.60s\" is no %s", text,
			key->type == CFG_TYPE_BOOL ? "truth value; write true or false" : "number");
	return cfg_value_set(key, owner, &value, why);
}
