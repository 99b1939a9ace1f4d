/* SPDX-License-Identifier: Apache-2.0 */
/* Values: each type of keys.def is one function that checks and stores. */
#include "config/value.h"

#include "common/near.h"
#include "common/own.h"
#include "common/secret.h"
#include "common/size.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cfg_refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, CFG_WHY_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static const char *kind_name(enum cfg_kind kind)
{
	switch (kind) {
	case CFG_KIND_NUMBER:
		return "a number";
	case CFG_KIND_STRING:
		return "a text in quotes";
	case CFG_KIND_BOOL:
		return "a truth value";
	case CFG_KIND_FLOAT:
		return "a number with a fraction";
	case CFG_KIND_HEX:
		return "a hexadecimal number";
	case CFG_KIND_LIST:
		return "a list or group";
	}
	return "something else";
}

/* ---- numbers and sizes ---- */

static void limits_of(const struct cfg_key *key, uint64_t *low, uint64_t *high)
{
	char first[24], second[24];

	own_assert(sscanf(key->limits, "%23s %23s", first, second) == 2);
	own_assert(!size_parse(first, low) && !size_parse(second, high));
}

static int set_number(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	uint64_t low, high;

	limits_of(key, &low, &high);
	if (v->kind != CFG_KIND_NUMBER)
		return cfg_refuse(why,
			"is %s; write a whole decimal number without quotes, from %llu to %llu",
			kind_name(v->kind), (unsigned long long)low, (unsigned long long)high);
	if (v->number < 0 || (uint64_t)v->number < low || (uint64_t)v->number > high)
		return cfg_refuse(why, "%lld is out of range; write a number from %llu to %llu",
			(long long)v->number, (unsigned long long)low, (unsigned long long)high);
	if (key->width == sizeof(uint16_t))
		*(uint16_t *)field = (uint16_t)v->number;
	else
		*(uint32_t *)field = (uint32_t)v->number;
	return 0;
}

static int set_size(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	uint64_t low, high, bytes;
	int err = 0;

	limits_of(key, &low, &high);
	if (v->kind == CFG_KIND_NUMBER) {
		bytes = (uint64_t)v->number;
		err = v->number < 0 ? -ERANGE : 0;
	} else if (v->kind == CFG_KIND_STRING) {
		err = size_parse(v->string, &bytes);
		if (err == -EINVAL)
			return cfg_refuse(why,
				"\"%s\" is no size; write bytes, or a whole number with K, M, "
				"G or T such as \"20G\"",
				v->string);
	} else {
		return cfg_refuse(why,
			"is %s; write bytes, or a whole number with K, M, G or T such as \"20G\"",
			kind_name(v->kind));
	}
	if (err || bytes < low || bytes > high)
		return cfg_refuse(why, "is out of range; the largest size is \"%s\"",
			strchr(key->limits, ' ') + 1);
	*(uint64_t *)field = bytes;
	return 0;
}

static int set_bool(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	(void)key;
	if (v->kind != CFG_KIND_BOOL)
		return cfg_refuse(
			why, "is %s; write true or false without quotes", kind_name(v->kind));
	*(bool *)field = v->flag;
	return 0;
}

/* ---- words ---- */

/* The index of `text` in the words of `list`, which are separated by single blanks; or -1. */
static int word_index(const char *list, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0; *list; i++) {
		size_t n = strcspn(list, " ");

		if (n == len && !memcmp(list, text, n))
			return i;
		list += n + (list[n] == ' ');
	}
	return -1;
}

/* "a", "b" or "c", and the one that is near to `text` when there is one. */
static void describe_words(const char *list, const char *text, char *out, size_t room)
{
	size_t used = 0;
	unsigned best = UINT32_MAX;
	char near[32] = "";

	for (const char *p = list; *p;) {
		size_t n = strcspn(p, " ");
		char word[32];
		const char *last = p[n] ? "" : " or ";

		snprintf(word, sizeof word, "%.*s", (int)n, p);
		if (near_is(text, word, &best))
			snprintf(near, sizeof near, "%s", word);
		used += (size_t)snprintf(out + used, room - used, "%s\"%s\"",
			p == list ? ""
			: *last   ? last
				  : ", ",
			word);
		p += n + (p[n] == ' ');
	}
	if (*near)
		snprintf(out + used, room - used, " (did you mean \"%s\"?)", near);
}

static int check_word(const struct cfg_key *key, const struct cfg_value *v, char *why)
{
	char words[200];
	int index;

	if (v->kind != CFG_KIND_STRING) {
		describe_words(key->limits, "", words, sizeof words);
		return cfg_refuse(why, "is %s; write one of %s", kind_name(v->kind), words);
	}
	index = word_index(key->limits, v->string);
	if (index < 0) {
		describe_words(key->limits, v->string, words, sizeof words);
		return cfg_refuse(why, "\"%.64s\" is not known; write %s", v->string, words);
	}
	return index;
}

static int set_cache(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	int index = check_word(key, v, why);

	if (index < 0)
		return index;
	*(enum cfg_cache *)field = (enum cfg_cache)index;
	return 0;
}

/* ---- texts ---- */

/* Stores a copy of `text`. */
static int store(void *field, const char *text)
{
	char **slot = field;

	free(*slot);
	*slot = own_strdup(text);
	return 0;
}

static int set_word(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	int index = check_word(key, v, why);

	return index < 0 ? index : store(field, v->string);
}

/* The words of `text`, separated by single blanks, each once and each one of the row's. */
static int set_words(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	char *text own_free = own_strdup(v->string);
	char words[200], *rest = text, *word;
	unsigned seen = 0;

	while ((word = strsep(&rest, " "))) {
		int index = word_index(key->limits, word);

		if (index < 0) {
			describe_words(key->limits, word, words, sizeof words);
			return cfg_refuse(
				why, "\"%.64s\" is not known; write some of %s", word, words);
		}
		if (seen & 1u << index)
			return cfg_refuse(why, "has \"%s\" twice; write each once", word);
		seen |= 1u << index;
	}
	return store(field, v->string);
}

static int set_text(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	size_t max = strtoul(key->limits, NULL, 10), len = strlen(v->string);

	if (len > max)
		return cfg_refuse(why, "\"%.64s\" has %zu characters; at most %zu go here",
			v->string, len, max);
	for (const char *p = v->string; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return cfg_refuse(why,
				"has the byte 0x%02x; only printable ASCII goes here",
				(unsigned char)*p);
	}
	return store(field, v->string);
}

static int set_name(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t max = strtoul(key->limits, NULL, 10), len = strlen(v->string);
	size_t fine = strspn(v->string, good);

	if (!len || len > max)
		return cfg_refuse(why, "has %zu characters; a name has 1 to %zu", len, max);
	if (fine < len)
		return cfg_refuse(why,
			"\"%.64s\" is no name at its character %zu; use letters, digits, "
			"'.', '_' and '-'",
			v->string, fine + 1);
	return store(field, v->string);
}

static int set_path(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	size_t max = strtoul(key->limits, NULL, 10), len = strlen(v->string);

	if (v->string[0] != '/')
		return cfg_refuse(
			why, "\"%.64s\" is not an absolute path; begin it with /", v->string);
	if (len > max)
		return cfg_refuse(why, "has %zu characters; a path has at most %zu", len, max);
	return store(field, v->string);
}

static int set_address(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr raw;
	int family = strchr(v->string, ':') ? AF_INET6 : AF_INET;

	(void)key;
	if (!strcmp(v->string, "*"))
		return store(field, v->string);
	if (inet_pton(family, v->string, &raw) != 1)
		return cfg_refuse(why,
			"\"%.64s\" is no numeric address; write one such as \"192.0.2.1\" or "
			"\"2001:db8::1\" (no name, no brackets, no port), or \"*\" for all",
			v->string);
	inet_ntop(family, &raw, text, sizeof text);
	return store(field, text);
}

static void lower(char *out, const char *text, size_t room)
{
	size_t i = 0;

	for (; text[i] && i + 1 < room; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[i] = '\0';
}

static int set_uuid(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	char text[sizeof form];
	bool good = strlen(v->string) == sizeof form - 1;

	(void)key;
	for (size_t i = 0; good && form[i]; i++) {
		good = form[i] == 'x' ? isxdigit((unsigned char)v->string[i]) != 0
				      : v->string[i] == form[i];
	}
	if (!good)
		return cfg_refuse(why,
			"\"%.64s\" is no UUID; write one as uuidgen prints it, "
			"8-4-4-4-12 hexadecimal digits",
			v->string);
	lower(text, v->string, sizeof text);
	return store(field, text);
}

/* SPC-5 7.7.6.6: NAA 2h, 3h and 5h are 8 bytes long, 6h is 16. */
static int set_naa(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	size_t len = strlen(v->string);
	char text[33];

	(void)key;
	if ((len != 16 && len != 32) || strspn(v->string, "0123456789abcdefABCDEF") != len)
		return cfg_refuse(why,
			"\"%.64s\" is no NAA identifier; write 16 or 32 hexadecimal digits",
			v->string);
	if (len == 32 ? v->string[0] != '6' : !strchr("235", v->string[0]))
		return cfg_refuse(why,
			"\"%s\" begins with %c; 16 digits begin with 2, 3 or 5, and 32 "
			"digits with 6",
			v->string, v->string[0]);
	lower(text, v->string, sizeof text);
	return store(field, text);
}

static int set_iqn(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	char name[CFG_ISCSI_NAME_MAX + 1];
	int err;

	if (key->type == CFG_TYPE_INITIATOR && !strcmp(v->string, "*"))
		return store(field, v->string);
	if (key->type == CFG_TYPE_INITIATOR && strchr(v->string, '*'))
		err = cfg_iscsi_pattern(v->string, name, why);
	else
		err = cfg_iscsi_name(v->string, name, why);
	return err ? err : store(field, name);
}

static int set_volume(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	(void)key, (void)why;
	return store(field, v->string);
}

static int set_portal(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	return cfg_portal_set(field, v->string, strtoul(key->limits, NULL, 10), why);
}

static int set_local(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	return cfg_local_set(field, v->string, strtoul(key->limits, NULL, 10), why);
}

static int set_tags(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	(void)key;
	return cfg_tags_set(field, v->string, why);
}

static int set_networks(
	const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	(void)key;
	return cfg_networks_set(field, v->string, why);
}

/* What is refused is not shown: it could be a secret for all that. */
static int set_secret(const struct cfg_key *key, void *field, const struct cfg_value *v, char *why)
{
	size_t len = strlen(v->string);
	char **slot = field;

	(void)key;
	if (!len || len > SECRET_MAX)
		return cfg_refuse(why, "has %zu bytes; a secret has 1 to %d, better 12 or more",
			len, SECRET_MAX);
	secret_free(*slot);
	*slot = secret_new(v->string, len);
	return 0;
}

/* ---- the table ---- */

static int (*const setters[])(
	const struct cfg_key *key, void *field, const struct cfg_value *v, char *why) = {
	[CFG_TYPE_NUMBER] = set_number,
	[CFG_TYPE_SIZE] = set_size,
	[CFG_TYPE_BOOL] = set_bool,
	[CFG_TYPE_CACHE] = set_cache,
	[CFG_TYPE_WORD] = set_word,
	[CFG_TYPE_TEXT] = set_text,
	[CFG_TYPE_NAME] = set_name,
	[CFG_TYPE_PATH] = set_path,
	[CFG_TYPE_ADDRESS] = set_address,
	[CFG_TYPE_UUID] = set_uuid,
	[CFG_TYPE_NAA] = set_naa,
	[CFG_TYPE_IQN] = set_iqn,
	[CFG_TYPE_INITIATOR] = set_iqn,
	[CFG_TYPE_VOLUME] = set_volume,
	[CFG_TYPE_HOST] = set_volume,
	[CFG_TYPE_PORTAL] = set_portal,
	[CFG_TYPE_LOCAL] = set_local,
	[CFG_TYPE_NETWORKS] = set_networks,
	[CFG_TYPE_TAGS] = set_tags,
	[CFG_TYPE_WORDS] = set_words,
	[CFG_TYPE_SECRET] = set_secret,
};

int cfg_value_set(const struct cfg_key *key, void *object, const struct cfg_value *value, char *why)
{
	own_assert(key->type < own_array_len(setters));
	if (key->type > CFG_TYPE_WORD && value->kind != CFG_KIND_STRING)
		return cfg_refuse(
			why, "is %s; write a text in double quotes", kind_name(value->kind));
	return setters[key->type](key, cfg_key_field(key, object), value, why);
}

void cfg_value_set_default(const struct cfg_key *key, void *object)
{
	struct cfg_value v = { .kind = CFG_KIND_STRING, .string = key->deflt };
	char why[CFG_WHY_LEN];

	if (key->type == CFG_TYPE_NUMBER) {
		v.kind = CFG_KIND_NUMBER;
		v.number = strtoll(key->deflt, NULL, 10);
	} else if (key->type == CFG_TYPE_BOOL) {
		v.kind = CFG_KIND_BOOL;
		v.flag = !strcmp(key->deflt, "true");
	}
	own_assert(!cfg_value_set(key, object, &v, why));
}
