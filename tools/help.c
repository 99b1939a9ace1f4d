/* SPDX-License-Identifier: Apache-2.0 */
/* Help, manual and schema, all from the rows. */
#include "tools/help.h"

#include "common/own.h"
#include "tools/args.h"

#include <ctype.h>
#include <string.h>

static bool is_position(const struct rpc_arg *arg)
{
	return arg->use <= RPC_USE_POS_LIST;
}

char *help_option_name(const struct rpc_arg *arg)
{
	char *name = own_strdup(arg->name);

	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : *p;
	return name;
}

char *help_value_name(const struct rpc_arg *arg)
{
	char *name;

	if (arg->type == RPC_ARG_WORD && strlen(arg->limits) < 40) {
		name = own_strdup(arg->limits);
		for (char *p = name; *p; p++)
			*p = *p == ' ' ? '|' : *p;
		return name;
	}
	name = help_option_name(arg);
	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return name;
}

static char *usage_of(const struct rpc_arg *arg)
{
	char *name own_free = help_option_name(arg);
	char *value own_free = help_value_name(arg);

	switch (arg->use) {
	case RPC_USE_POS:
		return own_strdup(value);
	case RPC_USE_POS_MAY:
		return own_printf("[%s]", value);
	case RPC_USE_POS_LIST:
		return own_printf("%s...", value);
	case RPC_USE_OPT_MUST:
		return own_printf("--%s %s", name, value);
	case RPC_USE_OPT_LIST:
		return own_printf("[--%s %s]...", name, value);
	case RPC_USE_OPT:
		break;
	}
	if (arg->type == RPC_ARG_FLAG)
		return own_printf("[--%s]", name);
	return own_printf("[--%s %s]", name, value);
}

char *help_usage(const struct rpc_verb *verb)
{
	const struct rpc_arg *arg = NULL;
	char *out = own_strdup("");

	while ((arg = rpc_arg_next(verb->id, arg))) {
		char *before own_free = out;
		char *one own_free = usage_of(arg);

		out = own_printf("%s%s%s", before, *before ? " " : "", one);
	}
	return out;
}

static void print_line(FILE *f, const char *left, const char *help)
{
	if (strlen(left) > 26)
		fprintf(f, "  %s\n  %-26s %s\n", left, "", help);
	else
		fprintf(f, "  %-26s %s\n", left, help);
}

static void print_verb_line(FILE *f, const struct rpc_verb *verb)
{
	print_line(f, verb->words, verb->help);
}

static void print_options(FILE *f)
{
	fputs("\nOptions of every verb:\n", f);
	for (const struct args_option *o = args_options; o->name; o++) {
		char letter[5] = "";
		char *left own_free = NULL;

		if (o->letter)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		left = own_printf("%s--%s%s%s", letter, o->name, o->value ? " " : "",
			o->value ? o->value : "");
		print_line(f, left, o->help);
	}
}

void help_all(FILE *f)
{
	fputs("kura [OPTION...] VERB [ARGUMENT...]\n\nAsks and orders a running kurad; kura(8) has "
	      "more of it.\n\n",
		f);
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++)
		print_verb_line(f, &rpc_verbs[i]);
	print_line(f, "help [VERB]", "this page, or what a verb takes");
	print_line(
		f, "completion bash|zsh|fish", "a script that completes verbs, options and names");
	print_line(f, "import-config tgt|lio FILE",
		"a configuration of another target as one of kura");
	print_options(f);
}

bool help_noun(FILE *f, const char *noun)
{
	size_t n = strlen(noun);
	bool found = false;

	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		if (strncmp(rpc_verbs[i].words, noun, n) != 0 || rpc_verbs[i].words[n] != ' ')
			continue;
		print_verb_line(f, &rpc_verbs[i]);
		found = true;
	}
	return found;
}

/* What may be given, for people: "from 1 to 65535". Returns owned; "": anything. */
static char *limits_text(const struct rpc_arg *arg)
{
	char low[24], high[24];

	if (arg->type == RPC_ARG_WORD)
		return own_printf(" (%s)", arg->limits);
	if ((arg->type == RPC_ARG_NUMBER || arg->type == RPC_ARG_SIZE) &&
		sscanf(arg->limits, "%23s %23s", low, high) == 2)
		return own_printf(" (%s to %s)", low, high);
	return own_strdup("");
}

void help_verb(FILE *f, const struct rpc_verb *verb)
{
	const struct rpc_field *field = NULL;
	const struct rpc_arg *arg = NULL;
	char *usage own_free = help_usage(verb);

	fprintf(f, "kura %s%s%s\n\n%s.\n", verb->words, *usage ? " " : "", usage, verb->help);
	while ((arg = rpc_arg_next(verb->id, arg))) {
		char *name own_free =
			is_position(arg) ? help_value_name(arg) : help_option_name(arg);
		char *left own_free = own_printf("%s%s", is_position(arg) ? "" : "--", name);
		char *limits own_free = limits_text(arg);
		char *help own_free = own_printf("%s%s", arg->help, limits);

		if (arg == rpc_arg_next(verb->id, NULL))
			fputc('\n', f);
		print_line(f, left, help);
	}
	if (rpc_verb_question(verb))
		fprintf(f, "\nAsks on a terminal, and wants --yes elsewhere. %s\n",
			rpc_verb_question(verb));
	fprintf(f, "\nAnswers %s:\n", verb->shape == RPC_LIST ? "a list of" : "with");
	while ((field = rpc_field_next(verb->id, field)))
		print_line(f, field->name, field->help);
}

/* ---- the manual ---- */

/* mdoc takes a dot in front and a backslash as its own. */
static void print_mdoc(FILE *f, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", f);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", f);
		else if (*text == '-')
			fputs("\\-", f);
		else
			fputc(*text, f);
	}
}

static void manual_arg(FILE *f, const struct rpc_arg *arg)
{
	char *value own_free = help_value_name(arg);
	char *name own_free = help_option_name(arg);
	char *limits own_free = limits_text(arg);

	if (is_position(arg))
		fprintf(f, ".It Ar %s\n", value);
	else if (arg->type == RPC_ARG_FLAG)
		fprintf(f, ".It Fl \\-%s\n", name);
	else
		fprintf(f, ".It Fl \\-%s Ar %s\n", name, value);
	print_mdoc(f, arg->help);
	print_mdoc(f, limits);
	fputs(".\n", f);
}

static void manual_question(FILE *f, const struct rpc_verb *verb)
{
	if (!rpc_verb_question(verb))
		return;
	fputs("Asks on a terminal, and wants\n.Fl y\nelsewhere.\n", f);
	print_mdoc(f, rpc_verb_question(verb));
	fputc('\n', f);
}

void help_manual(FILE *f)
{
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const struct rpc_verb *verb = &rpc_verbs[i];
		const struct rpc_arg *arg = NULL;
		char *usage own_free = help_usage(verb);

		fprintf(f, ".Ss %s\n.Nm\n.Cm %s\n", verb->words, verb->words);
		print_mdoc(f, usage);
		fputs(*usage ? "\n.Pp\n" : ".Pp\n", f);
		print_mdoc(f, verb->help);
		fputs(".\n", f);
		manual_question(f, verb);
		if (!rpc_arg_next(verb->id, NULL))
			continue;
		fputs(".Bl -tag -width Ds -compact\n", f);
		while ((arg = rpc_arg_next(verb->id, arg)))
			manual_arg(f, arg);
		fputs(".El\n", f);
	}
}

/* ---- the reference of the protocol ---- */

static const char *arg_type_name(const struct rpc_arg *arg)
{
	return arg->type < RPC_ARG_NUMBER  ? "string"
	       : arg->type == RPC_ARG_FLAG ? "boolean"
					   : "integer";
}

static bool arg_must(const struct rpc_arg *arg)
{
	return arg->use == RPC_USE_POS || arg->use == RPC_USE_POS_LIST ||
	       arg->use == RPC_USE_OPT_MUST;
}

static const char *field_type_name(enum rpc_field_type type)
{
	static const char *const names[] = {
		[RPC_FIELD_TEXT] = "string",
		[RPC_FIELD_NUMBER] = "integer",
		[RPC_FIELD_BYTES] = "integer",
		[RPC_FIELD_SECONDS] = "integer",
		[RPC_FIELD_NS] = "integer",
		[RPC_FIELD_FLAG] = "boolean",
		[RPC_FIELD_LINES] = "string",
		[RPC_FIELD_TEXTS] = "array",
		[RPC_FIELD_OBJECT] = "object",
		[RPC_FIELD_OBJECTS] = "array",
	};

	return names[type];
}

static void reference_params(FILE *f, const struct rpc_verb *verb)
{
	const struct rpc_arg *arg = NULL;

	if (!rpc_arg_next(verb->id, NULL))
		return;
	fputs("\n| parameter | type | | |\n|---|---|---|---|\n", f);
	while ((arg = rpc_arg_next(verb->id, arg))) {
		char *limits own_free = limits_text(arg);

		fprintf(f, "| `%s` | %s%s | %s | %s%s |\n", arg->name,
			rpc_arg_is_list(arg) ? "array of " : "", arg_type_name(arg),
			arg_must(arg) ? "needed" : "", arg->help, limits);
	}
}

void help_reference(FILE *f)
{
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const struct rpc_verb *verb = &rpc_verbs[i];
		const struct rpc_field *field = NULL;

		fprintf(f, "\n## %s\n\n%s (%s).\n", verb->words, verb->help,
			rpc_class_name(verb->class));
		reference_params(f, verb);
		fprintf(f, "\n| %s%s%s | type | |\n|---|---|---|\n",
			verb->shape == RPC_LIST ? "each of `" : "result", verb->key,
			verb->shape == RPC_LIST ? "`" : "");
		while ((field = rpc_field_next(verb->id, field)))
			fprintf(f, "| `%s` | %s | %s |\n", field->name,
				field_type_name(field->type), field->help);
	}
}

/* ---- the schema ---- */

static struct jval *typed(const char *type, const char *help)
{
	struct jval *v = jval_object();

	jval_set_text(v, "type", type);
	if (help)
		jval_set_text(v, "description", help);
	return v;
}

static struct jval *arg_schema(const struct rpc_arg *arg)
{
	const char *type = arg_type_name(arg);
	struct jval *v;

	if (!rpc_arg_is_list(arg))
		return typed(type, arg->help);
	v = typed("array", arg->help);
	jval_set(v, "items", typed(type, NULL));
	return v;
}

static struct jval *field_schema(const struct rpc_field *field)
{
	struct jval *v = typed(field_type_name(field->type), field->help);

	if (field->type == RPC_FIELD_TEXTS)
		jval_set(v, "items", typed("string", NULL));
	else if (field->type == RPC_FIELD_OBJECTS)
		jval_set(v, "items", typed("object", NULL));
	return v;
}

static struct jval *params_schema(const struct rpc_verb *verb)
{
	struct jval *v = typed("object", NULL), *members = jval_object(), *must = jval_list();
	const struct rpc_arg *arg = NULL;

	while ((arg = rpc_arg_next(verb->id, arg))) {
		jval_set(members, arg->name, arg_schema(arg));
		if (arg_must(arg))
			jval_append(must, jval_new_text(arg->name));
	}
	jval_set(v, "properties", members);
	jval_set(v, "required", must);
	jval_set_flag(v, "additionalProperties", false);
	return v;
}

static struct jval *result_schema(const struct rpc_verb *verb)
{
	struct jval *v = typed("object", NULL), *members = jval_object(), *list, *outer;
	const struct rpc_field *field = NULL;

	while ((field = rpc_field_next(verb->id, field)))
		jval_set(members, field->name, field_schema(field));
	jval_set(v, "properties", members);
	jval_set_flag(v, "additionalProperties", false);
	if (verb->shape == RPC_OBJECT)
		return v;
	list = typed("array", NULL);
	jval_set(list, "items", v);
	outer = typed("object", NULL);
	members = jval_object();
	jval_set(members, verb->key, list);
	jval_set(outer, "properties", members);
	jval_set_flag(outer, "additionalProperties", false);
	return outer;
}

void help_schema(FILE *f)
{
	struct jval *all = jval_object();
	char *text own_free = NULL;

	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const struct rpc_verb *verb = &rpc_verbs[i];
		struct jval *one = jval_object();

		jval_set_text(one, "description", verb->help);
		if (rpc_verb_question(verb))
			jval_set_text(one, "question", rpc_verb_question(verb));
		jval_set(one, "params", params_schema(verb));
		jval_set(one, "result", result_schema(verb));
		jval_set(all, verb->words, one);
	}
	text = jval_print_pretty(all);
	fprintf(f, "%s\n", text);
	jval_free(all);
}
