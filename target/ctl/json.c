/* SPDX-License-Identifier: Apache-2.0 */
/* jansson's values under our names; a struct ctl_json is a json_t that nobody else can look into.
 */
#include "target/ctl/json.h"

#include "common/own.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *in(struct ctl_json *v)
{
	return (json_t *)v;
}

static const json_t *in_const(const struct ctl_json *v)
{
	return (const json_t *)v;
}

/* A value that was just made; none means that memory is out. */
static struct ctl_json *made(json_t *v)
{
	own_assert(v);
	return (struct ctl_json *)v;
}

struct ctl_json *ctl_json_parse(const char *text, size_t len, char *why, size_t why_len)
{
	json_error_t error;
	json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (!v)
		snprintf(why, why_len, "%s at byte %d", error.text, error.position);
	return (struct ctl_json *)v;
}

char *ctl_json_print(const struct ctl_json *v)
{
	char *text = json_dumps(in_const(v), JSON_COMPACT | JSON_ENCODE_ANY);

	own_assert(text);
	return text;
}

void ctl_json_free(struct ctl_json *v)
{
	json_decref(in(v));
}

struct ctl_json *ctl_json_object(void)
{
	return made(json_object());
}

struct ctl_json *ctl_json_list(void)
{
	return made(json_array());
}

void ctl_json_set(struct ctl_json *object, const char *key, struct ctl_json *v)
{
	own_assert(!json_object_set_new(in(object), key, in(v)));
}

/* jansson refuses text that is not UTF-8. */
static struct ctl_json *tamed(const char *text)
{
	char *copy own_free = own_strdup(text);

	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	return made(json_string(copy));
}

void ctl_json_set_text(struct ctl_json *object, const char *key, const char *text)
{
	json_t *v = json_string(text);

	ctl_json_set(object, key, v ? made(v) : tamed(text));
}

void ctl_json_set_number(struct ctl_json *object, const char *key, uint64_t n)
{
	ctl_json_set(object, key, made(json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n)));
}

void ctl_json_set_integer(struct ctl_json *object, const char *key, int n)
{
	ctl_json_set(object, key, made(json_integer(n)));
}

void ctl_json_set_null(struct ctl_json *object, const char *key)
{
	ctl_json_set(object, key, made(json_null()));
}

void ctl_json_set_copy(struct ctl_json *object, const char *key, const struct ctl_json *v)
{
	ctl_json_set(object, key, made(json_deep_copy(in_const(v))));
}

void ctl_json_append(struct ctl_json *list, struct ctl_json *v)
{
	own_assert(!json_array_append_new(in(list), in(v)));
}

const struct ctl_json *ctl_json_get(const struct ctl_json *object, const char *key)
{
	return (const struct ctl_json *)json_object_get(in_const(object), key);
}

const char *ctl_json_text(const struct ctl_json *v)
{
	return json_string_value(in_const(v));
}

bool ctl_json_is_id(const struct ctl_json *v)
{
	return json_is_number(in_const(v)) || json_is_string(in_const(v)) ||
	       json_is_null(in_const(v));
}

int ctl_json_members(const struct ctl_json *v)
{
	return json_is_object(in_const(v)) ? (int)json_object_size(in_const(v)) : -1;
}
