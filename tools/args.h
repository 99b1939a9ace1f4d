/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h: the command line: options of the tool, the words of a verb, and its arguments by the rows
 * of verbs.def.
 */
#ifndef KURA_TOOLS_ARGS_H
#define KURA_TOOLS_ARGS_H

#include "rpc/verbs.h"

#define ARGS_SOCKET "/run/kura/control" /* where kurad answers, unless the line says */

struct args {
	const char *socket; /* borrowed from the command line */
	bool json, no_header, yes, detach;
	bool help, version; /* asked for */
	const struct rpc_verb *verb;
	struct jval *params; /* owned */
	char **words;        /* what is neither: borrowed words, owned array */
	unsigned word_count; /* of them, those of the verb in front */
	unsigned verb_words; /* how many the verb took */
};

struct args_option {
	const char *name;  /* without dashes */
	char letter;       /* 0: none */
	const char *value; /* what it takes, for the help; NULL: nothing */
	const char *help;
};

/* The options that every verb takes; ends with a name of NULL. */
extern const struct args_option args_options[];

/*
 * Reads a command line. Options may stand anywhere; behind "--" nothing is one. 0, or -EINVAL with
 * a sentence in `why` (RPC_WHY_LEN). A line without a verb leaves `verb` NULL. Fini in both cases.
 */
int args_read(struct args *a, int argc, char **argv, char *why);

/* Frees what it owns. */
void args_fini(struct args *a);

#endif
