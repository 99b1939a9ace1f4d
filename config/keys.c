/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys, and what follows from it alone: look-ups, defaults, freeing. */
#include "config/keys.h"

#include "common/own.h"
#include "common/secret.h"
#include "config/value.h"

#include <string.h>

#define CFG_STRUCT_config    struct config
#define CFG_STRUCT_portal    struct cfg_portal
#define CFG_STRUCT_pool      struct cfg_pool
#define CFG_STRUCT_volume    struct cfg_volume
#define CFG_STRUCT_limit     struct cfg_limit
#define CFG_STRUCT_layer     struct cfg_layer
#define CFG_STRUCT_target    struct cfg_target
#define CFG_STRUCT_lun       struct cfg_lun
#define CFG_STRUCT_initiator struct cfg_initiator
#define CFG_STRUCT_host      struct cfg_host
#define CFG_STRUCT_access    struct cfg_access
#define CFG_STRUCT_redirect  struct cfg_redirect
#define CFG_STRUCT_auth      struct cfg_auth
#define CFG_STRUCT_isns      struct cfg_isns

#define CFG_WIDTH(object, field) sizeof(((CFG_STRUCT_##object *)NULL)->field)

const struct cfg_key cfg_keys[] = {
#define KEY(o, field, kind, default_text, limit_text, help_text)                                   \
	{ .object = CFG_OBJECT_##o,                                                                \
		.type = CFG_TYPE_##kind,                                                           \
		.name = #field,                                                                    \
		.deflt = default_text,                                                             \
		.limits = limit_text,                                                              \
		.help = help_text,                                                                 \
		.offset = offsetof(CFG_STRUCT_##o, field),                                         \
		.width = CFG_WIDTH(o, field) },
#define LIST(o, field, counter, what, help_text)                                                   \
	{ .object = CFG_OBJECT_##o,                                                                \
		.type = CFG_TYPE_LIST,                                                             \
		.name = #field,                                                                    \
		.deflt = "",                                                                       \
		.limits = "",                                                                      \
		.help = help_text,                                                                 \
		.offset = offsetof(CFG_STRUCT_##o, field),                                         \
		.width = CFG_WIDTH(o, field),                                                      \
		.count_offset = offsetof(CFG_STRUCT_##o, counter),                                 \
		.item = CFG_OBJECT_##what },
#define GROUP(o, field, what, help_text)                                                           \
	{ .object = CFG_OBJECT_##o,                                                                \
		.type = CFG_TYPE_GROUP,                                                            \
		.name = #field,                                                                    \
		.deflt = "",                                                                       \
		.limits = "",                                                                      \
		.help = help_text,                                                                 \
		.offset = offsetof(CFG_STRUCT_##o, field),                                         \
		.width = CFG_WIDTH(o, field),                                                      \
		.item = CFG_OBJECT_##what },
#include "config/keys.def"
#undef KEY
#undef LIST
#undef GROUP
};
const unsigned cfg_key_count = own_array_len(cfg_keys);

#define CFG_INFO(o, text, where_offset)                                                            \
	[CFG_OBJECT_##o] = { .name = text, .size = sizeof(CFG_STRUCT_##o), .where = where_offset }
#define CFG_INFO_AT(o, text) CFG_INFO(o, text, offsetof(CFG_STRUCT_##o, where))

const struct cfg_object_info cfg_objects[CFG_OBJECT_COUNT] = {
	CFG_INFO(config, "the file", CFG_NO_WHERE),
	CFG_INFO_AT(portal, "a portal"),
	CFG_INFO_AT(pool, "a pool"),
	CFG_INFO_AT(volume, "a volume"),
	CFG_INFO_AT(limit, "a limit group"),
	CFG_INFO(layer, "a layer", CFG_NO_WHERE),
	CFG_INFO_AT(target, "a target"),
	CFG_INFO_AT(lun, "a LUN"),
	CFG_INFO_AT(initiator, "an initiator"),
	CFG_INFO_AT(host, "a host group"),
	CFG_INFO_AT(access, "an access entry"),
	CFG_INFO_AT(redirect, "a redirect group"),
	CFG_INFO_AT(auth, "an auth group"),
	CFG_INFO_AT(isns, "an isns group"),
};

const struct cfg_key *cfg_key_next(enum cfg_object object, const struct cfg_key *after)
{
	const struct cfg_key *end = cfg_keys + cfg_key_count;

	for (const struct cfg_key *k = after ? after + 1 : cfg_keys; k < end; k++) {
		if (k->object == object)
			return k;
	}
	return NULL;
}

const struct cfg_key *cfg_key_find(enum cfg_object object, const char *name)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		if (!strcmp(k->name, name))
			return k;
	}
	return NULL;
}

void *cfg_key_items(const struct cfg_key *key, void *object, unsigned *count)
{
	void *items;

	memcpy(count, (char *)object + key->count_offset, sizeof *count);
	memcpy(&items, cfg_key_field(key, object), sizeof items);
	return items;
}

void cfg_set_defaults(enum cfg_object object, void *out)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		if (k->deflt && *k->deflt)
			cfg_value_set_default(k, out);
	}
}

struct config *cfg_new(const char *file)
{
	struct config *cfg = own_calloc(1, sizeof *cfg);

	cfg->file = own_strdup(file);
	cfg_set_defaults(CFG_OBJECT_config, cfg);
	return cfg;
}

static void fini_items(const struct cfg_key *key, void *object)
{
	unsigned count;
	char *items = cfg_key_items(key, object, &count);

	for (unsigned i = 0; i < count; i++)
		cfg_fini_object(key->item, items + i * cfg_objects[key->item].size);
	free(items);
}

void cfg_fini_object(enum cfg_object object, void *p)
{
	const struct cfg_key *k = NULL;

	while ((k = cfg_key_next(object, k))) {
		void *value;

		if (k->type == CFG_TYPE_LIST)
			fini_items(k, p);
		if (k->type < CFG_TYPE_WORD || k->type == CFG_TYPE_LIST)
			continue;
		memcpy(&value, cfg_key_field(k, p), sizeof value);
		if (k->type == CFG_TYPE_SECRET) {
			secret_free(value);
			continue;
		}
		if (k->type == CFG_TYPE_GROUP && value)
			cfg_fini_object(k->item, value);
		free(value);
	}
}

void cfg_free(struct config *cfg)
{
	if (!cfg)
		return;
	cfg_fini_object(CFG_OBJECT_config, cfg);
	for (unsigned i = 0; i < cfg->file_count; i++)
		free(cfg->files[i]);
	free(cfg->files);
	free(cfg->warnings);
	free(cfg->file);
	free(cfg);
}
