/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fmt.h: values for people: bytes in units, times, lists.
 */
#ifndef KURA_TOOLS_FMT_H
#define KURA_TOOLS_FMT_H

#include "rpc/verbs.h"

/* The text of a value of an answer, for a cell of a table; nothing there is "-". Returns owned. */
char *fmt_value(enum rpc_field_type type, const struct jval *v);

/* What the type of a member must be by its name, where no row says it: "..._bytes" and so on. */
enum rpc_field_type fmt_guess(const char *name, const struct jval *v);

/* A heading: "size_bytes" is "SIZE" in a table, "Size" elsewhere. Returns owned. */
char *fmt_heading(const char *name, bool table);

/* Whether values of that type stand at the right of their column. */
bool fmt_is_right(enum rpc_field_type type);

/* Bytes with at most one decimal in units of 1024: "20G", "1.5T"; `out` has room for 24. */
void fmt_bytes(uint64_t bytes, char *out);

#endif
