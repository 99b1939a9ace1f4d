/* SPDX-License-Identifier: Apache-2.0 */
/* jansson's values under our names; a struct jval is a json_t that nobody else can look into.
 */
#include "rpc/jval.h"

#include "common/own.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *in(struct jval *v)
{
	return (json_t *)v;
}

static const json_t *in_const(const struct jval *v)
{
	return (const json_t *)v;
}

/* A value that was just made; none means that memory is out. */
static struct jval *made(json_t *v)
{
	own_assert(v);
	return (struct jval *)v;
}

struct jval *jval_parse_at(const char *text, size_t len, size_t *at, char *why, size_t why_len)
{
	json_error_t error;
	json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	*at = 0;
	if (!v) {
		snprintf(why, why_len, "%s", error.text);
		*at = error.position > 0 ? (size_t)error.position : 0;
	}
	return (struct jval *)v;
}

struct jval *jval_parse(const char *text, size_t len, char *why, size_t why_len)
{
	char what[JSON_ERROR_TEXT_LENGTH];
	size_t at;
	struct jval *v = jval_parse_at(text, len, &at, what, sizeof what);

	if (!v)
		snprintf(why, why_len, "%s at byte %zu", what, at);
	return v;
}

char *jval_print(const struct jval *v)
{
	char *text = json_dumps(in_const(v), JSON_COMPACT | JSON_ENCODE_ANY);

	own_assert(text);
	return text;
}

void jval_free(struct jval *v)
{
	json_decref(in(v));
}

struct jval *jval_object(void)
{
	return made(json_object());
}

struct jval *jval_list(void)
{
	return made(json_array());
}

void jval_set(struct jval *object, const char *key, struct jval *v)
{
	own_assert(!json_object_set_new(in(object), key, in(v)));
}

/* jansson refuses text that is not UTF-8. */
static struct jval *tamed(const char *text)
{
	char *copy own_free = own_strdup(text);

	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	return made(json_string(copy));
}

void jval_set_text(struct jval *object, const char *key, const char *text)
{
	jval_set(object, key, jval_new_text(text));
}

void jval_set_number(struct jval *object, const char *key, uint64_t n)
{
	jval_set(object, key, jval_new_number(n));
}

void jval_set_integer(struct jval *object, const char *key, int n)
{
	jval_set(object, key, made(json_integer(n)));
}

void jval_set_null(struct jval *object, const char *key)
{
	jval_set(object, key, made(json_null()));
}

void jval_set_copy(struct jval *object, const char *key, const struct jval *v)
{
	jval_set(object, key, jval_copy(v));
}

void jval_append(struct jval *list, struct jval *v)
{
	own_assert(!json_array_append_new(in(list), in(v)));
}

const struct jval *jval_get(const struct jval *object, const char *key)
{
	return (const struct jval *)json_object_get(in_const(object), key);
}

const char *jval_text(const struct jval *v)
{
	return json_string_value(in_const(v));
}

bool jval_is_id(const struct jval *v)
{
	return json_is_number(in_const(v)) || json_is_string(in_const(v)) ||
	       json_is_null(in_const(v));
}

int jval_members(const struct jval *v)
{
	return json_is_object(in_const(v)) ? (int)json_object_size(in_const(v)) : -1;
}

void jval_set_flag(struct jval *object, const char *key, bool flag)
{
	jval_set(object, key, made(json_boolean(flag)));
}

void jval_unset(struct jval *object, const char *key)
{
	(void)json_object_del(in(object), key);
}

struct jval *jval_new_text(const char *text)
{
	json_t *v = json_string(text);

	return v ? made(v) : tamed(text);
}

enum jval_kind jval_kind(const struct jval *v)
{
	static const enum jval_kind kinds[] = {
		[JSON_OBJECT] = JVAL_OBJECT,
		[JSON_ARRAY] = JVAL_LIST,
		[JSON_STRING] = JVAL_TEXT,
		[JSON_INTEGER] = JVAL_NUMBER,
		[JSON_REAL] = JVAL_REAL,
		[JSON_TRUE] = JVAL_FLAG,
		[JSON_FALSE] = JVAL_FLAG,
		[JSON_NULL] = JVAL_NULL,
	};

	return v ? kinds[json_typeof(in_const(v))] : JVAL_NULL;
}

int64_t jval_number(const struct jval *v)
{
	return json_integer_value(in_const(v));
}

bool jval_flag(const struct jval *v)
{
	return json_is_true(in_const(v));
}

unsigned jval_count(const struct jval *list)
{
	return (unsigned)json_array_size(in_const(list));
}

const struct jval *jval_item(const struct jval *list, unsigned i)
{
	return (const struct jval *)json_array_get(in_const(list), i);
}

const char *jval_next_key(const struct jval *object, const char *key)
{
	json_t *o = (json_t *)object;
	void *at =
		key ? json_object_iter_next(o, json_object_iter_at(o, key)) : json_object_iter(o);

	return at ? json_object_iter_key(at) : NULL;
}

char *jval_print_pretty(const struct jval *v)
{
	char *text = json_dumps(in_const(v), JSON_INDENT(2) | JSON_ENCODE_ANY);

	own_assert(text);
	return text;
}

struct jval *jval_new_number(uint64_t n)
{
	return made(json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

struct jval *jval_copy(const struct jval *v)
{
	return made(json_deep_copy(in_const(v)));
}

struct jval *jval_member(struct jval *object, const char *key)
{
	return (struct jval *)json_object_get(in(object), key);
}

double jval_real(const struct jval *v)
{
	return json_number_value(in_const(v));
}
