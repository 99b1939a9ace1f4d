/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.h: the rows of verbs.def as tables, and the check of parameters against them, for kurad
 * and for the tool alike. All of it is constant: any thread.
 */
#ifndef KURA_RPC_VERBS_H
#define KURA_RPC_VERBS_H

#include "rpc/jval.h"

enum rpc_verb_id {
#define VERB(id, words, class, shape, key, help) RPC_VERB_##id,
#define ARG(id, name, type, use, limits, help)
#define FIELD(id, name, type, place, help)
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef FIELD
	RPC_VERB_COUNT
};

enum rpc_class { RPC_LOOK, RPC_CHANGE, RPC_JOB };
enum rpc_shape { RPC_OBJECT, RPC_LIST };

struct rpc_verb {
	enum rpc_verb_id id;
	const char *words; /* "volume create" */
	enum rpc_class class;
	enum rpc_shape shape;
	const char *key;  /* LIST: the member that holds it */
	const char *help; /* one line */
};

enum rpc_arg_type {
	RPC_ARG_TEXT,
	RPC_ARG_NAME,
	RPC_ARG_PATH,
	RPC_ARG_WORD,
	RPC_ARG_NUMBER,
	RPC_ARG_SIZE,
	RPC_ARG_FLAG,
};
enum rpc_arg_use {
	RPC_USE_POS,
	RPC_USE_POS_MAY,
	RPC_USE_POS_LIST,
	RPC_USE_OPT,
	RPC_USE_OPT_LIST,
	RPC_USE_OPT_MUST,
};

struct rpc_arg {
	enum rpc_verb_id verb;
	const char *name; /* in JSON; as an option with dashes instead of underscores */
	enum rpc_arg_type type;
	enum rpc_arg_use use;
	const char *limits; /* see verbs.def */
	const char *help;
};

enum rpc_field_type {
	RPC_FIELD_TEXT,
	RPC_FIELD_NUMBER,
	RPC_FIELD_BYTES,
	RPC_FIELD_SECONDS,
	RPC_FIELD_NS,
	RPC_FIELD_FLAG,
	RPC_FIELD_LINES, /* a text of several lines, printed as it is */
	RPC_FIELD_TEXTS,
	RPC_FIELD_OBJECT,
	RPC_FIELD_OBJECTS,
};
enum rpc_place { RPC_SHOW, RPC_HIDE };

struct rpc_field {
	enum rpc_verb_id verb;
	const char *name;
	enum rpc_field_type type;
	enum rpc_place place;
	const char *help;
};

extern const struct rpc_verb rpc_verbs[RPC_VERB_COUNT];

/* The next argument of a verb behind `after` (NULL: the first); NULL at the end. Static. */
const struct rpc_arg *rpc_arg_next(enum rpc_verb_id verb, const struct rpc_arg *after);

/* The next field of a verb's answer behind `after`; the same. */
const struct rpc_field *rpc_field_next(enum rpc_verb_id verb, const struct rpc_field *after);

/* The verb of these words, separated by a blank or a dot ("volume.create"); NULL: none. */
const struct rpc_verb *rpc_verb_find(const char *words);

/* The verb that may have been meant, or NULL. */
const struct rpc_verb *rpc_verb_near(const char *words);

/* The argument of that name (dashes count as underscores), or NULL. */
const struct rpc_arg *rpc_arg_find(enum rpc_verb_id verb, const char *name);

/* What the tool asks before it; NULL: it does not ask. Static. */
const char *rpc_verb_question(const struct rpc_verb *verb);

/* "look", "change" or "job". */
const char *rpc_class_name(enum rpc_class class);

/* Whether several values go into it. */
bool rpc_arg_is_list(const struct rpc_arg *arg);

/* ---- values ---- */

#define RPC_WHY_LEN     512
#define RPC_REQUEST_MAX (64u << 10) /* bytes of one request */

/*
 * A value from a command line in its JSON form: sizes with K, M, G, T, P as powers of 1024. Returns
 * owned, or NULL with a sentence in `why` (RPC_WHY_LEN) that names the argument, what is wrong and
 * what would be right.
 */
struct jval *rpc_arg_parse(const struct rpc_arg *arg, const char *text, char *why);

/* Checks the parameters (NULL: none) of a call against the rows. 0, or -EINVAL with a sentence. */
int rpc_check(const struct rpc_verb *verb, const struct jval *params, char *why);

/* ---- how a call ends ---- */

/* The exit statuses of the tool; in an answer's error as data.exit, its code is minus 32000 minus
 * that. */
enum rpc_exit {
	RPC_DONE = 0,
	RPC_REFUSED = 1,   /* it cannot be, or it went wrong */
	RPC_USAGE = 2,     /* the call itself is wrong */
	RPC_NOT_FOUND = 3, /* no such object */
	RPC_IN_USE = 4,    /* somebody uses it; --force */
	RPC_NO_DAEMON = 5, /* nobody answers at the socket */
	RPC_EXISTS = 6,    /* there is one of that name */
	RPC_DENIED = 7,    /* this user may not */
	RPC_BUSY = 8,      /* something else is under way: try again */
};

#endif
