/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h: what is printed of the rows of verbs.def: help, completion of shells, the manual and the
 * reference of the control protocol.
 */
#ifndef KURA_TOOLS_HELP_H
#define KURA_TOOLS_HELP_H

#include "rpc/verbs.h"

#include <stdio.h>

/* All verbs, a line each, and the options of the tool. */
void help_all(FILE *f);

/* The verbs that begin with this word; false: there is none. */
bool help_noun(FILE *f, const char *noun);

/* One verb: how it is called, its arguments, its answer. */
void help_verb(FILE *f, const struct rpc_verb *verb);

/* "NAME [--size SIZE]": what follows the words of a verb. Returns owned. */
char *help_usage(const struct rpc_verb *verb);

/* How the value of an argument is called in help: "SIZE", "NAME". Returns owned. */
char *help_value_name(const struct rpc_arg *arg);

/* The name of an argument as an option: dashes for underscores. Returns owned. */
char *help_option_name(const struct rpc_arg *arg);

/* The manual's list of verbs, in mdoc. */
void help_manual(FILE *f);

/* The reference of the control protocol, in Markdown: docs/rpc.md but for its head. */
void help_reference(FILE *f);

/* JSON Schema of the parameters and results of every verb, one object. */
void help_schema(FILE *f);

/* The script that completes for "bash", "zsh" or "fish"; false: another word. */
bool complete_print(FILE *f, const char *shell);

/* What may stand where the cursor is: a line each, with a tab and what it is for. `words` are those
 * of the line behind "kura", the last as far as it was typed. Names of objects are asked of kurad.
 */
void suggest_print(FILE *f, char **words, unsigned count);

#endif
