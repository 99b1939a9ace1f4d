/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out.h: what an answer looks like: one writer of tables, one of single objects, one of JSON.
 */
#ifndef KURA_TOOLS_OUT_H
#define KURA_TOOLS_OUT_H

#include "rpc/verbs.h"

#include <stdio.h>

struct out_style {
	bool json;      /* as it came */
	bool no_header; /* tables without their first line */
	bool colour;    /* headings in bold: a terminal */
};

/* Whether standard output is a terminal that can more than print one line after the other. */
bool out_is_page(void);

/* Writes the result of a verb. */
void out_result(FILE *f, const struct rpc_verb *verb, const struct jval *result,
	const struct out_style *style);

/* Writes on standard error why a verb was not done: a sentence, or an error as kurad gives one,
 * which `error` is (NULL: one is made of the rest). */
void out_refusal(bool json, enum rpc_exit exit, const char *why, const struct jval *error);

/* Writes a list of objects as a table; `verb` says which columns, NULL: all, as they are named. */
void out_table(FILE *f, const struct rpc_verb *verb, const struct jval *list,
	const struct out_style *style);

#endif
