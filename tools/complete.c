/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion: each shell gets a script with the verbs and their options in it, so that completing
 * asks nobody.
 */
#include "tools/help.h"

#include "common/own.h"
#include "tools/args.h"

#include <string.h>

static void print_tool_options(FILE *f)
{
	for (const struct args_option *o = args_options; o->name; o++)
		fprintf(f, " --%s", o->name);
}

static void print_verb_options(FILE *f, const struct rpc_verb *verb)
{
	const struct rpc_arg *arg = NULL;

	while ((arg = rpc_arg_next(verb->id, arg))) {
		char *name own_free = help_option_name(arg);

		if (arg->use > RPC_USE_POS_LIST)
			fprintf(f, " --%s", name);
	}
}

/* The first words, each once: rows of one noun stand together. */
static void print_first_words(FILE *f)
{
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		size_t n = strcspn(rpc_verbs[i].words, " ");

		if (i && !strncmp(rpc_verbs[i - 1].words, rpc_verbs[i].words, n) &&
			strcspn(rpc_verbs[i - 1].words, " ") == n)
			continue;
		fprintf(f, " %.*s", (int)n, rpc_verbs[i].words);
	}
	fputs(" help completion import-config", f);
}

static void print_second_words(FILE *f, const char *noun, size_t n)
{
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const char *words = rpc_verbs[i].words;

		if (!strncmp(words, noun, n) && words[n] == ' ')
			fprintf(f, " %s", words + n + 1);
	}
}

static void print_bash(FILE *f)
{
	fputs("_kura() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	      "\tcase \"${COMP_WORDS[1]-} ${COMP_WORDS[2]-}\" in\n",
		f);
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		const char *words = rpc_verbs[i].words;

		fprintf(f, "\t\"%s%s) words=\"", words, strchr(words, ' ') ? "\"" : " \"*");
		print_verb_options(f, &rpc_verbs[i]);
		fputs("\" ;;\n", f);
	}
	fputs("\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then words=\"", f);
	print_first_words(f);
	fputs("\"; fi\n\tif [ \"$COMP_CWORD\" = 2 ]; then case ${COMP_WORDS[1]} in\n", f);
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		size_t n = strcspn(rpc_verbs[i].words, " ");

		if (!rpc_verbs[i].words[n] ||
			(i && !strncmp(rpc_verbs[i - 1].words, rpc_verbs[i].words, n + 1)))
			continue;
		fprintf(f, "\t%.*s) words=\"", (int)n, rpc_verbs[i].words);
		print_second_words(f, rpc_verbs[i].words, n);
		fputs("\" ;;\n", f);
	}
	fputs("\tesac; fi\n\t[[ $cur != -* ]] || words+=\"", f);
	print_tool_options(f);
	fputs("\"\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
	      "complete -o default -F _kura kura\n",
		f);
}

static void print_zsh(FILE *f)
{
	fputs("#compdef kura\nautoload -U +X bashcompinit && bashcompinit\n", f);
	print_bash(f);
}

/* Single quotes for fish. */
static void print_quoted(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('\'', f);
}

static void print_fish_verb(FILE *f, const struct rpc_verb *verb)
{
	const char *second = strchr(verb->words, ' ');
	size_t n = strcspn(verb->words, " ");
	const struct rpc_arg *arg = NULL;

	if (second)
		fprintf(f, "complete -c kura -f -n '__kura_at 1 %.*s' -a %s -d ", (int)n,
			verb->words, second + 1);
	else
		fprintf(f, "complete -c kura -f -n '__kura_at 0' -a %s -d ", verb->words);
	print_quoted(f, verb->help);
	fputc('\n', f);
	while ((arg = rpc_arg_next(verb->id, arg))) {
		char *name own_free = help_option_name(arg);

		if (arg->use <= RPC_USE_POS_LIST)
			continue;
		fprintf(f, "complete -c kura -n '__kura_in %s' -l %s %s -d ", verb->words, name,
			arg->type == RPC_ARG_FLAG ? "" : "-r");
		print_quoted(f, arg->help);
		fputc('\n', f);
	}
}

static void print_fish(FILE *f)
{
	fputs("function __kura_at\n"
	      "\tset -l words (commandline -opc)[2..]\n"
	      "\ttest (count $words) = $argv[1]; or return 1\n"
	      "\ttest $argv[1] = 0; or test \"$words[1]\" = \"$argv[2]\"\n"
	      "end\n"
	      "function __kura_in\n"
	      "\tset -l words (commandline -opc)[2..]\n"
	      "\tstring match -q -- \"$argv*\" \"$words\"\n"
	      "end\n"
	      "complete -c kura -f -n '__kura_at 0' -a '",
		f);
	print_first_words(f);
	fputs("'\n", f);
	for (const struct args_option *o = args_options; o->name; o++) {
		fprintf(f, "complete -c kura -l %s %s -d ", o->name, o->value ? "-r" : "");
		print_quoted(f, o->help);
		fputc('\n', f);
	}
	for (unsigned i = 0; i < RPC_VERB_COUNT; i++)
		print_fish_verb(f, &rpc_verbs[i]);
}

bool complete_print(FILE *f, const char *shell)
{
	if (!strcmp(shell, "bash"))
		print_bash(f);
	else if (!strcmp(shell, "zsh"))
		print_zsh(f);
	else if (!strcmp(shell, "fish"))
		print_fish(f);
	else
		return false;
	return true;
}
