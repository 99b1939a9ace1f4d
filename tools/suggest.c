/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may stand where the cursor is: words of verbs and options come from the rows, names of
 * objects from the verb that lists them. Whoever asks is a shell, so nothing is ever said but what
 * fits, and a kurad that does not answer is none.
 */
#include "tools/help.h"

#include "common/own.h"
#include "tools/args.h"
#include "tools/client.h"

#include <string.h>
#include <unistd.h>

#define PATIENCE_SECONDS 3

struct line {
	FILE *out;
	const char *socket;          /* where kurad answers */
	const char *plain[2];        /* the first words that are no options */
	unsigned plain_count;        /* of all of them, before the cursor */
	const struct rpc_verb *verb; /* or NULL */
	unsigned verb_words;
	bool own_value;            /* the cursor is at the value of an option of the tool */
	const struct rpc_arg *arg; /* it is at the value of this option */
	const char *front;         /* what of the word stays: "--for=" */
	size_t front_len;
	const char *cur; /* how the rest begins */
};

static void offer(const struct line *l, const char *word, size_t len, const char *help)
{
	if (strlen(l->cur) > len || strncmp(word, l->cur, strlen(l->cur)) != 0)
		return;
	fprintf(l->out, "%.*s%.*s", (int)l->front_len, l->front, (int)len, word);
	if (help)
		fprintf(l->out, "\t%s", help);
	fputc('\n', l->out);
}

static void offer_words(const struct line *l, const char *words)
{
	for (size_t n; *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		offer(l, words, n, NULL);
	}
}

/* ---- the names of objects ---- */

/* A text, a number, or each text of a list. */
static void offer_texts(const struct line *l, const struct jval *v)
{
	char *number own_free = jval_kind(v) == JVAL_NUMBER ? jval_print(v) : NULL;
	const char *name = number ? number : jval_text(v);

	if (name)
		offer(l, name, strlen(name), NULL);
	for (unsigned i = 0; i < jval_count(v); i++) {
		name = jval_text(jval_item(v, i));
		if (name)
			offer(l, name, strlen(name), NULL);
	}
}

static void offer_names(const struct line *l, const char *verb, const char *field)
{
	const struct rpc_verb *row = rpc_verb_find(verb);
	char why[RPC_WHY_LEN];
	struct reply reply = { 0 };
	struct client c;

	if (!row)
		return;
	if (client_open(&c, l->socket, why) == RPC_DONE) {
		const struct jval *list;

		client_call(&c, row, NULL, &reply);
		list = jval_get(reply.result, row->key);
		for (unsigned i = 0; i < jval_count(list); i++)
			offer_texts(l, jval_get(jval_item(list, i), field));
	}
	reply_fini(&reply);
	client_close(&c);
}

/* Arguments that are called otherwise than the verb that lists what they may be; one that is there
 * already is offered for none that names what is new. */
static const struct {
	const char *verb; /* NULL: any */
	const char *arg;
	const char *list, *field; /* NULL: new */
} named[] = {
	{ "target create", "target", NULL, NULL },
	{ "host create", "host", NULL, NULL },
	{ "pool add", "pool", NULL, NULL },
	{ "pool import", "pool", NULL, NULL },
	{ "portal add", "address", NULL, NULL },
	{ "volume create", "volume", NULL, NULL },
	{ "volume clone", "volume", NULL, NULL },
	{ "volume import", "volume", NULL, NULL },
	{ "volume snapshot", "snapshot", NULL, NULL },
	{ "portal remove", "address", "portal list", "address" },
	{ "share", "to", "session list", "initiator" },
	{ NULL, "source", "volume list", "volume" },
	{ NULL, "snapshot", "volume list", "volume" },
	{ "host remove-initiator", "initiator", "host list", "initiators" },
	{ NULL, "initiator", "session list", "initiator" },
};

static void offer_value(const struct line *l, const struct rpc_arg *arg)
{
	char *list own_free = own_printf("%s list", arg->name);

	if (arg->type == RPC_ARG_WORD) {
		offer_words(l, arg->limits);
		return;
	}
	for (unsigned i = 0; i < own_array_len(named); i++) {
		if (strcmp(named[i].arg, arg->name) != 0 ||
			(named[i].verb && strcmp(named[i].verb, l->verb->words) != 0))
			continue;
		if (named[i].list)
			offer_names(l, named[i].list, named[i].field);
		return;
	}
	offer_names(l, list, arg->name);
}

/* ---- verbs ---- */

/* The words of verbs that begin with those before the cursor; each noun once. */
static void offer_verbs(const struct line *l, const char *const *before, unsigned count)
{
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const char *words = rpc_verbs[i].words;
		size_t n = strcspn(words, " ");

		if (!count) {
			if (!i || strncmp(rpc_verbs[i - 1].words, words, n) != 0 ||
				strcspn(rpc_verbs[i - 1].words, " ") != n)
				offer(l, words, n, words[n] ? NULL : rpc_verbs[i].help);
		} else if (words[n] && strlen(before[0]) == n && !strncmp(words, before[0], n)) {
			offer(l, words + n + 1, strlen(words + n + 1), rpc_verbs[i].help);
		}
	}
}

static void offer_options(const struct line *l)
{
	const struct rpc_arg *arg = NULL;

	while (l->verb && (arg = rpc_arg_next(l->verb->id, arg))) {
		char *name own_free = help_option_name(arg);
		char *option own_free = own_printf("--%s", name);

		if (arg->use > RPC_USE_POS_LIST)
			offer(l, option, strlen(option), arg->help);
	}
	for (const struct args_option *o = args_options; o->name; o++) {
		char *option own_free = own_printf("--%s", o->name);

		offer(l, option, strlen(option), o->help);
	}
}

static void offer_position(const struct line *l)
{
	unsigned before = l->plain_count - l->verb_words;
	const struct rpc_arg *arg = NULL;

	while ((arg = rpc_arg_next(l->verb->id, arg))) {
		if (arg->use > RPC_USE_POS_LIST)
			continue;
		if (arg->use == RPC_USE_POS_LIST || !before--) {
			offer_value(l, arg);
			return;
		}
	}
}

/* What the tool does by itself. */
static void offer_own(const struct line *l)
{
	if (!strcmp(l->plain[0], "help") && l->plain_count < 3)
		offer_verbs(l, l->plain + 1, l->plain_count - 1);
	else if (!strcmp(l->plain[0], "completion") && l->plain_count == 1)
		offer_words(l, "bash zsh fish");
	else if (!strcmp(l->plain[0], "import-config") && l->plain_count == 1)
		offer_words(l, "tgt lio");
}

static void offer_next(const struct line *l)
{
	if (l->own_value)
		return; /* a path */
	if (l->arg) {
		offer_value(l, l->arg);
		return;
	}
	if (*l->cur == '-') {
		offer_options(l);
		return;
	}
	if (l->plain_count < 2)
		offer_verbs(l, l->plain, l->plain_count);
	if (l->verb)
		offer_position(l);
	else if (l->plain_count)
		offer_own(l);
	else
		offer_words(l, "help completion import-config");
}

/* ---- the line up to the cursor ---- */

static void take_plain(struct line *l, const char *word)
{
	char *two own_free = NULL;

	if (l->plain_count < 2)
		l->plain[l->plain_count] = word;
	l->plain_count++;
	if (l->plain_count == 2)
		two = own_printf("%s %s", l->plain[0], word);
	if (l->plain_count <= 2) {
		const struct rpc_verb *verb = rpc_verb_find(two ? two : word);

		l->verb = verb ? verb : l->verb;
		l->verb_words = verb ? l->plain_count : l->verb_words;
	}
}

/* An option of the tool, or NULL. */
static const struct args_option *own_option(const char *word, size_t len)
{
	for (const struct args_option *o = args_options; o->name; o++) {
		if ((len == strlen(o->name) + 2 && !strncmp(word, "--", 2) &&
			    !strncmp(word + 2, o->name, len - 2)) ||
			(len == 2 && word[0] == '-' && o->letter && word[1] == o->letter))
			return o;
	}
	return NULL;
}

/* The word of an option is known: what its value is for; `len` without "=VALUE". */
static void take_option(struct line *l, const char *word, size_t len)
{
	const struct args_option *own = own_option(word, len);
	char *name own_free =
		own_printf("%.*s", len > 2 ? (int)(len - 2) : 0, word + (len > 2) * 2);
	const struct rpc_arg *arg = l->verb && !own ? rpc_arg_find(l->verb->id, name) : NULL;

	l->own_value = own && own->value;
	l->arg = arg && arg->use > RPC_USE_POS_LIST && arg->type != RPC_ARG_FLAG ? arg : NULL;
}

static void take_word(struct line *l, const char *word)
{
	const char *equals = strchr(word, '=');

	if (l->own_value || l->arg) {
		if (l->own_value)
			l->socket = word;
		l->own_value = false;
		l->arg = NULL;
	} else if (word[0] != '-') {
		take_plain(l, word);
	} else {
		take_option(l, word, equals ? (size_t)(equals - word) : strlen(word));
		if (!equals)
			return;
		if (l->own_value)
			l->socket = equals + 1;
		l->own_value = false;
		l->arg = NULL;
	}
}

void suggest_print(FILE *f, char **words, unsigned count)
{
	const char *last = count ? words[count - 1] : "";
	struct line l = { .out = f, .socket = ARGS_SOCKET, .front = last, .cur = last };
	const char *equals;

	for (unsigned i = 0; i + 1 < count; i++)
		take_word(&l, words[i]);
	equals = *last == '-' && !l.arg && !l.own_value ? strchr(last, '=') : NULL;
	if (equals) {
		take_option(&l, last, (size_t)(equals - last));
		l.front_len = (size_t)(equals + 1 - last);
		l.cur = equals + 1;
		if (!l.arg)
			return;
	}
	alarm(PATIENCE_SECONDS);
	offer_next(&l);
}
