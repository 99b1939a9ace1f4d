/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jval.h: JSON values: what goes over the control socket, read and built.
 *
 * A thin layer over jansson, whose header is included in jval.c only. Adding to an object takes the
 * value that is added; memory that is not there ends the process, as in all set-up. One thread per
 * value.
 */
#ifndef KURA_RPC_JVAL_H
#define KURA_RPC_JVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jval;

/* Parses `len` bytes of text; NULL with the reason in `why` when it is not one JSON value, names a
 * key twice or is nested too deep. Returns owned. */
struct jval *jval_parse(const char *text, size_t len, char *why, size_t why_len);

/* As jval_parse; *at is the byte at which it went wrong. */
struct jval *jval_parse_at(const char *text, size_t len, size_t *at, char *why, size_t why_len);

/* The text in one line, without a newline. Returns owned. */
char *jval_print(const struct jval *v);

/* Frees a value with everything in it; NULL is fine. Takes it. */
void jval_free(struct jval *v);

/* An empty object. Returns owned. */
struct jval *jval_object(void);

/* An empty list. Returns owned. */
struct jval *jval_list(void);

/* Sets a member; takes `v`. */
void jval_set(struct jval *object, const char *key, struct jval *v);

/* Sets a member to a text; bytes that are not UTF-8 are shown as '?'. */
void jval_set_text(struct jval *object, const char *key, const char *text);

/* Sets a member to a number; beyond 2^63 it is cut to that. */
void jval_set_number(struct jval *object, const char *key, uint64_t n);

/* Sets a member to a number that may be negative. */
void jval_set_integer(struct jval *object, const char *key, int n);

/* Sets a member to null. */
void jval_set_null(struct jval *object, const char *key);

/* Sets a member to a copy of `v` (borrowed). */
void jval_set_copy(struct jval *object, const char *key, const struct jval *v);

/* Appends to a list; takes `v`. */
void jval_append(struct jval *list, struct jval *v);

/* The member of an object, borrowed; NULL: none, or not an object. */
const struct jval *jval_get(const struct jval *object, const char *key);

/* As jval_get, to add to it. */
struct jval *jval_member(struct jval *object, const char *key);

/* The text of a value, borrowed; NULL: it is no text. */
const char *jval_text(const struct jval *v);

/* Whether it is a number, a text or null: what JSON-RPC allows as an id. */
bool jval_is_id(const struct jval *v);

/* How many members an object has; -1: it is none. */
int jval_members(const struct jval *v);

/* Sets a member to true or false. */
void jval_set_flag(struct jval *object, const char *key, bool flag);

/* Removes a member, if it is there. */
void jval_unset(struct jval *object, const char *key);

/* A copy of all of it. Returns owned. */
struct jval *jval_copy(const struct jval *v);

/* A text as a value. Returns owned. */
struct jval *jval_new_text(const char *text);

/* A number as a value; beyond 2^63 it is cut to that. Returns owned. */
struct jval *jval_new_number(uint64_t n);

enum jval_kind { JVAL_NULL, JVAL_FLAG, JVAL_NUMBER, JVAL_REAL, JVAL_TEXT, JVAL_LIST, JVAL_OBJECT };

/* What it is; NULL is JVAL_NULL. */
enum jval_kind jval_kind(const struct jval *v);

/* The whole number that it is, or 0. */
int64_t jval_number(const struct jval *v);

/* The number that it is, whole or not, or 0. */
double jval_real(const struct jval *v);

/* Whether it is true. */
bool jval_flag(const struct jval *v);

/* How many items a list has; 0: it is none. */
unsigned jval_count(const struct jval *list);

/* An item of a list, borrowed; NULL behind its end. */
const struct jval *jval_item(const struct jval *list, unsigned i);

/* The member behind `key` (NULL: the first) in the order in which they were set: its name,
 * borrowed; NULL: there is none. */
const char *jval_next_key(const struct jval *object, const char *key);

/* As jval_print, over several lines. Returns owned. */
char *jval_print_pretty(const struct jval *v);

#endif
