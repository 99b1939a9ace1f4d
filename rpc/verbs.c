/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, and the search in them. */
#include "rpc/verbs.h"

#include "common/near.h"
#include "common/own.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const struct rpc_verb rpc_verbs[RPC_VERB_COUNT] = {
#define VERB(id_, words_, class_, shape_, key_, help_)                                             \
	[RPC_VERB_##id_] = { RPC_VERB_##id_, words_, RPC_##class_, RPC_##shape_, key_, help_ },
#define ARG(id, name, type, use, limits, help)
#define FIELD(id, name, type, place, help)
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef FIELD
};

/* Both end with a row of no verb: a table may be empty. */
static const struct rpc_arg args[] = {
#define VERB(id, words, class, shape, key, help)
#define ARG(id, name, type, use, limits, help)                                                     \
	{ RPC_VERB_##id, #name, RPC_ARG_##type, RPC_USE_##use, limits, help },
#define FIELD(id, name, type, place, help)
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef FIELD
	{ .verb = RPC_VERB_COUNT },
};

static const struct rpc_field fields[] = {
#define VERB(id, words, class, shape, key, help)
#define ARG(id, name, type, use, limits, help)
#define FIELD(id, name, type, place, help)                                                         \
	{ RPC_VERB_##id, #name, RPC_FIELD_##type, RPC_##place, help },
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef FIELD
	{ .verb = RPC_VERB_COUNT },
};

static const char *const questions[RPC_VERB_COUNT] = {
#define VERB(id, words, class, shape, key, help)
#undef ASK
#define ASK(id, question) [RPC_VERB_##id] = question,
#define ARG(id, name, type, use, limits, help)
#define FIELD(id, name, type, place, help)
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef ASK
#undef FIELD
};

const struct rpc_arg *rpc_arg_next(enum rpc_verb_id verb, const struct rpc_arg *after)
{
	for (const struct rpc_arg *a = after ? after + 1 : args; a->verb != RPC_VERB_COUNT; a++) {
		if (a->verb == verb)
			return a;
	}
	return NULL;
}

const struct rpc_field *rpc_field_next(enum rpc_verb_id verb, const struct rpc_field *after)
{
	for (const struct rpc_field *f = after ? after + 1 : fields; f->verb != RPC_VERB_COUNT;
		f++) {
		if (f->verb == verb)
			return f;
	}
	return NULL;
}

static bool same_words(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if (*a != *b && !(*a == ' ' && *b == '.'))
			return false;
	}
	return *a == *b;
}

const struct rpc_verb *rpc_verb_find(const char *words)
{
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		if (same_words(rpc_verbs[i].words, words))
			return &rpc_verbs[i];
	}
	return NULL;
}

const struct rpc_verb *rpc_verb_near(const char *words)
{
	const struct rpc_verb *near = NULL;
	unsigned best = UINT_MAX;

	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		if (*words && !strncmp(rpc_verbs[i].words, words, strlen(words)))
			return &rpc_verbs[i];
		if (near_is(words, rpc_verbs[i].words, &best))
			near = &rpc_verbs[i];
	}
	return near;
}

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if (*a != *b && !(*a == '_' && *b == '-'))
			return false;
	}
	return *a == *b;
}

const struct rpc_arg *rpc_arg_find(enum rpc_verb_id verb, const char *name)
{
	const struct rpc_arg *a = NULL;

	while ((a = rpc_arg_next(verb, a))) {
		if (same_name(a->name, name))
			return a;
	}
	return NULL;
}

const char *rpc_verb_question(const struct rpc_verb *verb)
{
	return questions[verb->id];
}

const char *rpc_class_name(enum rpc_class class)
{
	static const char *const names[] = { "look", "change", "job" };

	return names[class];
}

bool rpc_arg_is_list(const struct rpc_arg *arg)
{
	return arg->use == RPC_USE_POS_LIST || arg->use == RPC_USE_OPT_LIST;
}
