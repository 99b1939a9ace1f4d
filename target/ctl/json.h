/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: JSON values for the control socket: read requests, build answers.
 *
 * A thin layer over jansson, whose header is included in json.c only. Adding to an object takes the
 * value that is added; memory that is not there ends the process, as in all set-up. One thread per
 * value.
 */
#ifndef KURA_TARGET_CTL_JSON_H
#define KURA_TARGET_CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctl_json;

/* Parses `len` bytes of text; NULL with the reason in `why` when it is not one JSON value, names a
 * key twice or is nested too deep. Returns owned. */
struct ctl_json *ctl_json_parse(const char *text, size_t len, char *why, size_t why_len);

/* The text in one line, without a newline. Returns owned. */
char *ctl_json_print(const struct ctl_json *v);

/* Frees a value with everything in it; NULL is fine. Takes it. */
void ctl_json_free(struct ctl_json *v);

/* An empty object. Returns owned. */
struct ctl_json *ctl_json_object(void);

/* An empty list. Returns owned. */
struct ctl_json *ctl_json_list(void);

/* Sets a member; takes `v`. */
void ctl_json_set(struct ctl_json *object, const char *key, struct ctl_json *v);

/* Sets a member to a text; bytes that are not UTF-8 are shown as '?'. */
void ctl_json_set_text(struct ctl_json *object, const char *key, const char *text);

/* Sets a member to a number; beyond 2^63 it is cut to that. */
void ctl_json_set_number(struct ctl_json *object, const char *key, uint64_t n);

/* Sets a member to a number that may be negative. */
void ctl_json_set_integer(struct ctl_json *object, const char *key, int n);

/* Sets a member to null. */
void ctl_json_set_null(struct ctl_json *object, const char *key);

/* Sets a member to a copy of `v` (borrowed). */
void ctl_json_set_copy(struct ctl_json *object, const char *key, const struct ctl_json *v);

/* Appends to a list; takes `v`. */
void ctl_json_append(struct ctl_json *list, struct ctl_json *v);

/* The member of an object, borrowed; NULL: none, or not an object. */
const struct ctl_json *ctl_json_get(const struct ctl_json *object, const char *key);

/* The text of a value, borrowed; NULL: it is no text. */
const char *ctl_json_text(const struct ctl_json *v);

/* Whether it is a number, a text or null: what JSON-RPC allows as an id. */
bool ctl_json_is_id(const struct ctl_json *v);

/* How many members an object has; -1: it is none. */
int ctl_json_members(const struct ctl_json *v);

#endif
