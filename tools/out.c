/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table is measured first and written then. Its columns are the rows of the verb, or, for a list
 * inside of an answer, what its first object has.
 */
#include "tools/out.h"

#include "common/own.h"
#include "tools/fmt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS_MAX 24
#define INDENT      "  "

struct column {
	const char *name; /* of the member; borrowed */
	enum rpc_field_type type;
	size_t width; /* of the widest cell */
};

struct table {
	struct column columns[COLUMNS_MAX];
	unsigned count;
	const struct jval *list;
	const char *indent;
};

/* Terminal cells of UTF-8 text, about: continuation bytes take none. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* A name from a peer must not move the cursor. */
static char *cell(const struct column *c, const struct jval *row)
{
	char *text = fmt_value(c->type, jval_get(row, c->name));

	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return text;
}

static void add_column(struct table *t, const char *name, enum rpc_field_type type)
{
	if (t->count < COLUMNS_MAX)
		t->columns[t->count++] = (struct column){ .name = name, .type = type };
}

/* Columns that nobody has a value for are left out. */
static bool anybody_has(const struct jval *list, const char *name)
{
	for (unsigned i = 0; i < jval_count(list); i++) {
		if (jval_get(jval_item(list, i), name))
			return true;
	}
	return !jval_count(list);
}

static void find_columns(struct table *t, const struct rpc_verb *verb)
{
	const struct jval *first = jval_item(t->list, 0);
	const struct rpc_field *f = NULL;

	while (verb && (f = rpc_field_next(verb->id, f))) {
		if (f->place == RPC_SHOW && anybody_has(t->list, f->name))
			add_column(t, f->name, f->type);
	}
	for (const char *k = verb ? NULL : jval_next_key(first, NULL); k;
		k = jval_next_key(first, k))
		if (jval_kind(jval_get(first, k)) != JVAL_OBJECT) /* a table in a cell */
			add_column(t, k, fmt_guess(k, jval_get(first, k)));
}

static void measure(struct table *t)
{
	for (unsigned c = 0; c < t->count; c++) {
		struct column *column = &t->columns[c];
		char *heading own_free = fmt_heading(column->name, true);

		column->width = width_of(heading);
		for (unsigned i = 0; i < jval_count(t->list); i++) {
			char *text own_free = cell(column, jval_item(t->list, i));
			size_t n = width_of(text);

			column->width = n > column->width ? n : column->width;
		}
	}
}

/* The last column is not filled up with blanks. */
static void write_cell(FILE *f, const struct table *t, unsigned c, const char *text)
{
	const struct column *column = &t->columns[c];
	int gap = (int)(column->width - width_of(text));

	fputs(c ? "  " : t->indent, f);
	if (fmt_is_right(column->type))
		fprintf(f, "%*s%s", gap, "", text);
	else
		fprintf(f, "%s%*s", text, c + 1 < t->count ? gap : 0, "");
}

static void write_header(FILE *f, const struct table *t, bool colour)
{
	fputs(colour ? "\033[1m" : "", f);
	for (unsigned c = 0; c < t->count; c++) {
		char *heading own_free = fmt_heading(t->columns[c].name, true);

		write_cell(f, t, c, heading);
	}
	fputs(colour ? "\033[0m\n" : "\n", f);
}

static void write_table(FILE *f, struct table *t, const struct out_style *style)
{
	measure(t);
	if (!style->no_header)
		write_header(f, t, style->colour);
	for (unsigned i = 0; i < jval_count(t->list); i++) {
		for (unsigned c = 0; c < t->count; c++) {
			char *text own_free = cell(&t->columns[c], jval_item(t->list, i));

			write_cell(f, t, c, text);
		}
		fputc('\n', f);
	}
}

void out_table(FILE *f, const struct rpc_verb *verb, const struct jval *list,
	const struct out_style *style)
{
	struct table t = { .list = list, .indent = "" };

	find_columns(&t, verb);
	write_table(f, &t, style);
}

/* ---- one object ---- */

static bool is_table(const struct jval *v)
{
	return jval_kind(v) == JVAL_LIST && jval_kind(jval_item(v, 0)) == JVAL_OBJECT;
}

static void write_inner_table(
	FILE *f, const char *name, const struct jval *list, const struct out_style *style)
{
	struct table t = { .list = list, .indent = INDENT };
	char *heading own_free = fmt_heading(name, false);

	fprintf(f, "%s:\n", heading);
	find_columns(&t, NULL);
	write_table(f, &t, style);
}

static void write_inner_object(FILE *f, const char *name, const struct jval *v)
{
	char *heading own_free = fmt_heading(name, false);

	fprintf(f, "%s:\n", heading);
	for (const char *k = jval_next_key(v, NULL); k; k = jval_next_key(v, k)) {
		struct column c = { .name = k, .type = fmt_guess(k, jval_get(v, k)) };
		char *text own_free = cell(&c, v);

		fprintf(f, INDENT "%-32s %s\n", k, text);
	}
}

/* A text of several lines: what would move the cursor elsewhere is shown as '?'. */
static void write_lines(FILE *f, const char *text)
{
	const char *last = "\n";

	for (; *text; last = text++) {
		unsigned char c = (unsigned char)*text;

		fputc((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? '?' : c, f);
	}
	if (*last != '\n')
		fputc('\n', f);
}

static void write_member(FILE *f, const char *name, enum rpc_field_type type,
	const struct jval *object, const struct out_style *style)
{
	const struct jval *v = jval_get(object, name);
	struct column c = { .name = name, .type = type };
	char *heading own_free = fmt_heading(name, false);
	char *text own_free = NULL;

	if (!v)
		return;
	if (type == RPC_FIELD_LINES && jval_text(v)) {
		write_lines(f, jval_text(v));
		return;
	}
	if (is_table(v)) {
		write_inner_table(f, name, v, style);
		return;
	}
	if (jval_kind(v) == JVAL_OBJECT && jval_members(v)) {
		write_inner_object(f, name, v);
		return;
	}
	text = cell(&c, object);
	fprintf(f, "%s: %s\n", heading, text);
}

static void write_object(FILE *f, const struct rpc_verb *verb, const struct jval *object,
	const struct out_style *style)
{
	const struct rpc_field *field = NULL;

	while ((field = rpc_field_next(verb->id, field))) {
		if (field->place == RPC_SHOW)
			write_member(f, field->name, field->type, object, style);
	}
	/* what was mistyped may be so already, as nobody of that name may enter */
	if (jval_kind(jval_get(object, "changed")) == JVAL_FLAG &&
		!jval_flag(jval_get(object, "changed")))
		fputs("Changed: no\n", f);
}

bool out_is_page(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(term && !strcmp(term, "dumb"));
}

void out_refusal(bool json, enum rpc_exit exit, const char *why, const struct jval *error)
{
	struct jval *made = NULL, *data;
	char *text own_free = NULL;

	if (!json) {
		fprintf(stderr, "kura: %s\n", why);
		return;
	}
	if (!error) {
		made = jval_object();
		data = jval_object();
		jval_set_integer(made, "code", -32000 - (int)exit);
		jval_set_text(made, "message", why);
		jval_set_number(data, "exit", exit);
		jval_set(made, "data", data);
	}
	text = jval_print_pretty(made ? made : error);
	fprintf(stderr, "%s\n", text);
	jval_free(made);
}

void out_result(FILE *f, const struct rpc_verb *verb, const struct jval *result,
	const struct out_style *style)
{
	if (style->json) {
		char *text own_free = jval_print_pretty(result);

		fprintf(f, "%s\n", text);
	} else if (verb->shape == RPC_LIST) {
		out_table(f, verb, jval_get(result, verb->key), style);
	} else {
		write_object(f, verb, result, style);
	}
}
