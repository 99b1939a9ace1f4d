/* SPDX-License-Identifier: Apache-2.0 */
/* Values of arguments: from the command line into JSON, and JSON against its row. */
#include "rpc/verbs.h"

#include "common/near.h"
#include "common/own.h"
#include "common/size.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 63
#define PATH_MAX_BYTES 4095

static __attribute__((format(printf, 2, 3))) int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, RPC_WHY_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- numbers ---- */

/* Digits and, for a size, one of the units, as far as JSON goes. 0, -EINVAL or -ERANGE. */
static int number_of(const char *text, bool size, uint64_t *out)
{
	int err = size_parse(text, out);

	if (!err && !size && text[strspn(text, "0123456789")])
		return -EINVAL;
	return !err && *out > INT64_MAX ? -ERANGE : err;
}

static void limits_of(const struct rpc_arg *arg, uint64_t *low, uint64_t *high)
{
	char first[24], second[24];

	own_assert(sscanf(arg->limits, "%23s %23s", first, second) == 2);
	own_assert(!number_of(first, true, low) && !number_of(second, true, high));
}

static int check_number(const struct rpc_arg *arg, int64_t n, char *why)
{
	uint64_t low, high;
	size_t first = strcspn(arg->limits, " ");

	limits_of(arg, &low, &high);
	if (n >= 0 && (uint64_t)n >= low && (uint64_t)n <= high)
		return 0;
	if (arg->type == RPC_ARG_SIZE)
		return refuse(why, "%s: %lld is out of range; give one from %.*s to %s", arg->name,
			(long long)n, (int)first, arg->limits, arg->limits + first + 1);
	return refuse(why, "%s: %lld is out of range; give a number from %llu to %llu", arg->name,
		(long long)n, (unsigned long long)low, (unsigned long long)high);
}

static struct jval *parse_number(const struct rpc_arg *arg, const char *text, char *why)
{
	bool size = arg->type == RPC_ARG_SIZE;
	uint64_t n = 0;
	int err = number_of(text, size, &n);

	if (err) {
		refuse(why, "%s: \"%.60s\" is %s; give %s", arg->name, text,
			err == -ERANGE ? "too large"
			: size         ? "no size"
				       : "no number",
			size ? "a whole number, of bytes or with K, M, G, T or P, such as 20G"
			     : "a whole number");
		return NULL;
	}
	return check_number(arg, (int64_t)n, why) ? NULL : jval_new_number(n);
}

/* ---- texts ---- */

static bool is_word_of(const char *words, const char *text)
{
	size_t len = strlen(text);

	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == len && !strncmp(p, text, len))
			return true;
		p += n;
	}
	return false;
}

static int check_word(const struct rpc_arg *arg, const char *text, char *why)
{
	own_free char *copy = own_strdup(arg->limits);
	unsigned best = UINT_MAX;
	const char *near = NULL;
	char *save = NULL;

	if (is_word_of(arg->limits, text))
		return 0;
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (near_is(text, w, &best))
			near = w;
	}
	return refuse(why, "%s: \"%.60s\" is not possible; %s%s%sgive one of: %s", arg->name, text,
		near ? "did you mean \"" : "", near ? near : "", near ? "\"? " : "", arg->limits);
}

static int check_name(const struct rpc_arg *arg, const char *text, char *why)
{
	size_t good = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-");

	if (!*text || text[good] || strlen(text) > NAME_MAX_BYTES || *text == '.' || *text == '-')
		return refuse(why,
			"%s: \"%.80s\" is no name; give 1 to %u letters, digits, '.', '_' and '-', "
			"the "
			"first of which is no '.' and no '-'",
			arg->name, text, NAME_MAX_BYTES);
	return 0;
}

static int check_path(const struct rpc_arg *arg, const char *text, char *why)
{
	if (*text != '/' || strlen(text) > PATH_MAX_BYTES)
		return refuse(
			why, "%s: \"%.80s\" is no absolute path; begin it with /", arg->name, text);
	return 0;
}

static int check_plain(const struct rpc_arg *arg, const char *text, char *why)
{
	uint64_t most;

	own_assert(!number_of(arg->limits, true, &most));
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return refuse(why, "%s: has control characters; give a text of one line",
				arg->name);
	}
	if (!*text || strlen(text) > most)
		return refuse(why, "%s: has %zu bytes; give 1 to %llu", arg->name, strlen(text),
			(unsigned long long)most);
	return 0;
}

static int check_text(const struct rpc_arg *arg, const char *text, char *why)
{
	switch (arg->type) {
	case RPC_ARG_NAME:
		return check_name(arg, text, why);
	case RPC_ARG_PATH:
		return check_path(arg, text, why);
	case RPC_ARG_WORD:
		return check_word(arg, text, why);
	default:
		return check_plain(arg, text, why);
	}
}

/* ---- both ways ---- */

static bool is_text(const struct rpc_arg *arg)
{
	return arg->type < RPC_ARG_NUMBER;
}

struct jval *rpc_arg_parse(const struct rpc_arg *arg, const char *text, char *why)
{
	struct jval *v;

	own_assert(arg->type != RPC_ARG_FLAG);
	if (!is_text(arg))
		return parse_number(arg, text, why);
	if (check_text(arg, text, why))
		return NULL;
	v = jval_new_text(text);
	if (!strcmp(jval_text(v), text))
		return v;
	/* JSON has nothing else, and another path or name than the one that is meant is none */
	refuse(why, "%s: has bytes that are no UTF-8; give a text or a path in UTF-8", arg->name);
	jval_free(v);
	return NULL;
}

static const char *wanted_kind(const struct rpc_arg *arg)
{
	return is_text(arg) ? "a text" : arg->type == RPC_ARG_FLAG ? "true or false" : "a number";
}

static int check_value(const struct rpc_arg *arg, const struct jval *v, char *why)
{
	enum jval_kind kind = jval_kind(v);

	if (arg->type == RPC_ARG_FLAG && kind == JVAL_FLAG)
		return 0;
	if (is_text(arg) && kind == JVAL_TEXT)
		return check_text(arg, jval_text(v), why);
	if (!is_text(arg) && arg->type != RPC_ARG_FLAG && kind == JVAL_NUMBER)
		return check_number(arg, jval_number(v), why);
	return refuse(why, "%s: is not %s", arg->name, wanted_kind(arg));
}

static int check_arg(const struct rpc_arg *arg, const struct jval *v, char *why)
{
	if (!rpc_arg_is_list(arg))
		return check_value(arg, v, why);
	if (jval_kind(v) != JVAL_LIST || !jval_count(v))
		return refuse(why, "%s: is no list; give [ %s, ... ]", arg->name, wanted_kind(arg));
	for (unsigned i = 0; i < jval_count(v); i++) {
		if (check_value(arg, jval_item(v, i), why))
			return -EINVAL;
	}
	return 0;
}

static int check_known(const struct rpc_verb *verb, const struct jval *params, char *why)
{
	for (const char *k = jval_next_key(params, NULL); k; k = jval_next_key(params, k)) {
		const struct rpc_arg *a = NULL;
		unsigned best = UINT_MAX;
		const char *near = NULL;

		while ((a = rpc_arg_next(verb->id, a)) && strcmp(a->name, k) != 0) {
			if (near_is(k, a->name, &best))
				near = a->name;
		}
		if (!a)
			return refuse(why, "\"%s\" takes no %.60s%s%s%s", verb->words, k,
				near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return 0;
}

int rpc_check(const struct rpc_verb *verb, const struct jval *params, char *why)
{
	const struct rpc_arg *a = NULL;

	if (params && jval_kind(params) != JVAL_OBJECT)
		return refuse(
			why, "\"%s\" takes its parameters by name, in an object", verb->words);
	if (params && check_known(verb, params, why))
		return -EINVAL;
	while ((a = rpc_arg_next(verb->id, a))) {
		const struct jval *v = params ? jval_get(params, a->name) : NULL;
		bool must = a->use == RPC_USE_POS || a->use == RPC_USE_POS_LIST ||
			    a->use == RPC_USE_OPT_MUST;

		if (!v && must)
			return refuse(why, "\"%s\" needs %s: %s%s%s%s", verb->words, a->name,
				a->help, a->type == RPC_ARG_WORD ? " (" : "",
				a->type == RPC_ARG_WORD ? a->limits : "",
				a->type == RPC_ARG_WORD ? ")" : "");
		if (v && check_arg(a, v, why))
			return -EINVAL;
	}
	return 0;
}
