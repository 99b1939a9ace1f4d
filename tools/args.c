/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words are collected first, because the verb, which says what the options mean, may stand behind
 * some of them; then options get their values, then positions.
 */
#include "tools/args.h"

#include "common/near.h"
#include "common/own.h"
#include "tools/help.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct args_option args_options[] = {
	{ "socket", 'S', "SOCKET", "where kurad answers (" ARGS_SOCKET ")" },
	{ "json", 'j', NULL, "print the answer as JSON" },
	{ "no-header", 0, NULL, "print tables without their first line" },
	{ "yes", 'y', NULL, "do not ask whether it is meant" },
	{ "detach", 'd', NULL, "start a job and do not wait for it" },
	{ "help", 'h', NULL, "print what a verb takes" },
	{ "version", 'V', NULL, "print the version of the tool" },
	{ 0 },
};

static __attribute__((format(printf, 2, 3))) int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, RPC_WHY_LEN, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- the tool's own options ---- */

static const struct args_option *find_option(const char *arg)
{
	for (const struct args_option *o = args_options; o->name; o++) {
		size_t n = strlen(o->name);

		if (arg[1] == '-' && !strncmp(arg + 2, o->name, n) &&
			(!arg[2 + n] || (o->value && arg[2 + n] == '=')))
			return o;
		if (arg[1] == o->letter && o->letter && !arg[2])
			return o;
	}
	return NULL;
}

static void set_option(struct args *a, const struct args_option *o, const char *value)
{
	if (!strcmp(o->name, "socket"))
		a->socket = value;
	else if (!strcmp(o->name, "json"))
		a->json = true;
	else if (!strcmp(o->name, "no-header"))
		a->no_header = true;
	else if (!strcmp(o->name, "yes"))
		a->yes = true;
	else if (!strcmp(o->name, "detach"))
		a->detach = true;
	else if (!strcmp(o->name, "help"))
		a->help = true;
	else
		a->version = true;
}

/* Takes the tool's options out of the line; what is left goes to a->words. */
static int take_options(struct args *a, int argc, char **argv, char *why)
{
	bool plain = false;

	for (int i = 1; i < argc; i++) {
		const struct args_option *o = NULL;
		const char *value = NULL;

		if (!plain && argv[i][0] == '-' && argv[i][1])
			o = find_option(argv[i]);
		plain = plain || !strcmp(argv[i], "--");
		if (!strcmp(argv[i], "--") && !a->word_count)
			continue;
		if (!o) {
			a->words[a->word_count++] = argv[i];
			continue;
		}
		if (o->value) {
			value = strchr(argv[i], '=');
			value = value ? value + 1 : ++i < argc ? argv[i] : NULL;
			if (!value)
				return refuse(why, "--%s needs a value: %s", o->name, o->help);
		}
		set_option(a, o, value);
	}
	return 0;
}

/* ---- the verb ---- */

/* What there is to choose from for who gave half of a verb: "create, list, show" for "volume",
 * "volume list, lun list" for "list". False: nothing. */
static bool other_halves(const char *half, char *text, size_t room)
{
	size_t len = strlen(half), used = 0;

	*text = '\0';
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const char *words = rpc_verbs[i].words, *second = strchr(words, ' ');
		bool noun = second && (size_t)(second - words) == len && !strncmp(words, half, len);

		if (!second || (!noun && strcmp(second + 1, half) != 0))
			continue;
		used += (size_t)snprintf(text + used, room - used, "%s%s", used ? ", " : "",
			noun ? second + 1 : words);
		own_assert(used < room);
	}
	return used;
}

static int no_verb(const struct args *a, const char *two, char *why)
{
	const struct rpc_verb *near = two ? rpc_verb_near(two) : NULL;
	char halves[RPC_WHY_LEN];

	if (a->words[0][0] == '-')
		return refuse(why, "there is no option %.100s of every verb; kura help lists them",
			a->words[0]);
	if (!two && other_halves(a->words[0], halves, sizeof halves))
		return refuse(why, "\"%.40s\" is half of a verb: %.420s", a->words[0], halves);
	near = near ? near : rpc_verb_near(a->words[0]);
	return refuse(why, "no verb is called \"%.100s\"%s%s%s; kura help lists them",
		two ? two : a->words[0], near ? "; did you mean \"" : "", near ? near->words : "",
		near ? "\"?" : "");
}

static int find_verb(struct args *a, char *why)
{
	char *two own_free = NULL;

	if (!a->word_count)
		return 0;
	if (a->word_count > 1) {
		two = own_printf("%s %s", a->words[0], a->words[1]);
		a->verb = rpc_verb_find(two);
		a->verb_words = 2;
	}
	if (!a->verb) {
		a->verb = rpc_verb_find(a->words[0]);
		a->verb_words = 1;
	}
	if (a->verb || a->help)
		return 0;
	return no_verb(a, two, why);
}

/* ---- its arguments ---- */

static int add_value(struct args *a, const struct rpc_arg *arg, struct jval *v, char *why)
{
	struct jval *list = jval_member(a->params, arg->name);

	if (!v)
		return -EINVAL;
	if (!rpc_arg_is_list(arg)) {
		if (list) {
			jval_free(v);
			return refuse(why, "%s is given twice", arg->name);
		}
		jval_set(a->params, arg->name, v);
		return 0;
	}
	if (!list) {
		jval_set(a->params, arg->name, jval_list());
		list = jval_member(a->params, arg->name);
	}
	jval_append(list, v);
	return 0;
}

static bool is_position(const struct rpc_arg *arg)
{
	return arg->use == RPC_USE_POS || arg->use == RPC_USE_POS_MAY ||
	       arg->use == RPC_USE_POS_LIST;
}

static int no_option(const struct args *a, const char *name, char *why)
{
	const struct rpc_arg *arg = NULL;
	unsigned best = UINT_MAX;
	const char *near = NULL;

	while ((arg = rpc_arg_next(a->verb->id, arg))) {
		if (!is_position(arg) && near_is(name, arg->name, &best))
			near = arg->name;
	}
	return refuse(why, "\"%s\" takes no --%.60s%s%s%s; kura help %s", a->verb->words, name,
		near ? "; did you mean --" : "", near ? near : "", near ? "?" : "", a->verb->words);
}

/* The option at words[*i], with its value behind it or behind a "=". */
static int take_argument(struct args *a, unsigned *i, char *why)
{
	const char *word = a->words[*i] + 2, *value = strchr(word, '=');
	char *name own_free = value ? strndup(word, (size_t)(value - word)) : own_strdup(word);
	const struct rpc_arg *arg = rpc_arg_find(a->verb->id, name);

	if (!arg || is_position(arg))
		return no_option(a, name, why);
	if (arg->type == RPC_ARG_FLAG) {
		if (value)
			return refuse(why, "--%s takes no value", name);
		jval_set_flag(a->params, arg->name, true);
		return 0;
	}
	if (value)
		value++;
	else if (*i + 1 < a->word_count)
		value = a->words[++*i];
	else
		return refuse(why, "--%s needs a value: %s", name, arg->help);
	return add_value(a, arg, rpc_arg_parse(arg, value, why), why);
}

/* The argument that the next position fills, behind `last`; NULL: there is no more. */
static const struct rpc_arg *next_position(const struct args *a, const struct rpc_arg *last)
{
	const struct rpc_arg *arg = last;

	if (last && last->use == RPC_USE_POS_LIST)
		return last;
	while ((arg = rpc_arg_next(a->verb->id, arg)) && !is_position(arg))
		;
	return arg;
}

/* A word too many, which may be the value of an option that is needed. */
static int too_much(const struct args *a, const char *word, char *why)
{
	const struct rpc_arg *arg = NULL;

	while ((arg = rpc_arg_next(a->verb->id, arg))) {
		if (arg->use == RPC_USE_OPT_MUST && !jval_member(a->params, arg->name))
			break;
	}
	return refuse(why, "\"%.100s\" is too much%s%s%s%.100s%s; kura help %s", word,
		arg ? "; did you mean --" : "", arg ? arg->name : "", arg ? " " : "",
		arg ? word : "", arg ? "?" : "", a->verb->words);
}

/* An option without which the verb means nothing, as people write it. */
static int needs_option(const struct args *a, char *why)
{
	const struct rpc_arg *arg = NULL;

	while ((arg = rpc_arg_next(a->verb->id, arg))) {
		char *option own_free = help_option_name(arg),
			     *value own_free = help_value_name(arg);

		if (arg->use != RPC_USE_OPT_MUST || jval_member(a->params, arg->name))
			continue;
		if (arg->type == RPC_ARG_WORD && !strchr(value, '|')) /* too many for a name */
			return refuse(why, "\"%s\" needs --%s %s: %s, one of: %s", a->verb->words,
				option, value, arg->help, arg->limits);
		return refuse(why, "\"%s\" needs --%s %s: %s; kura help %s", a->verb->words, option,
			value, arg->help, a->verb->words);
	}
	return 0;
}

static int take_arguments(struct args *a, char *why)
{
	const struct rpc_arg *position = NULL;
	bool plain = false;

	for (unsigned i = a->verb_words; i < a->word_count; i++) {
		const char *word = a->words[i];
		int err;

		if (!plain && !strcmp(word, "--")) {
			plain = true;
			continue;
		}
		if (!plain && !strncmp(word, "--", 2)) {
			err = take_argument(a, &i, why);
		} else {
			position = next_position(a, position);
			if (!position)
				return too_much(a, word, why);
			err = add_value(a, position, rpc_arg_parse(position, word, why), why);
		}
		if (err)
			return err;
	}
	return needs_option(a, why) ? -EINVAL : rpc_check(a->verb, a->params, why);
}

int args_read(struct args *a, int argc, char **argv, char *why)
{
	int err;

	*a = (struct args){ .socket = ARGS_SOCKET, .params = jval_object() };
	a->words = own_calloc((size_t)argc + 1, sizeof *a->words);
	err = take_options(a, argc, argv, why);
	if (err || a->version || !a->word_count || !strcmp(a->words[0], "help") ||
		!strcmp(a->words[0], "completion") || !strcmp(a->words[0], "import-config"))
		return err;
	err = find_verb(a, why);
	return err || a->help ? err : take_arguments(a, why);
}

void args_fini(struct args *a)
{
	jval_free(a->params);
	free(a->words);
}
