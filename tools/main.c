/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kura: the administrator's tool. It reads a command line by the rows of verbs.def, asks kurad, and
 * prints the answer; what a verb does is decided there, not here.
 *
 * The exit status is one of enum rpc_exit.
 */
#include "common/own.h"
#include "kura_config.h"
#include "tools/args.h"
#include "tools/client.h"
#include "tools/follow.h"
#include "tools/help.h"
#include "tools/import.h"
#include "tools/job.h"
#include "tools/out.h"
#include "tools/top.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct out_style style_of(const struct args *a)
{
	return (struct out_style){
		.json = a->json,
		.no_header = a->no_header,
		.colour = out_is_page() && !getenv("NO_COLOR"),
	};
}

static enum rpc_exit usage(const struct args *a, const char *why)
{
	out_refusal(a->json, RPC_USAGE, why, NULL);
	return RPC_USAGE;
}

/* What is printed of all rows together; the last three are for the documents and for programs. */
static const struct {
	const char *word;
	void (*print)(FILE *f);
} pages[] = {
	{ "", help_all },
	{ "--manual", help_manual },
	{ "--reference", help_reference },
	{ "--schema", help_schema },
};

static enum rpc_exit no_help(const struct args *a, const char *words)
{
	const struct rpc_verb *near = rpc_verb_near(words);
	char why[RPC_WHY_LEN];

	snprintf(why, sizeof why, "no verb is called \"%.100s\"%s%s%s; kura help lists them", words,
		near ? "; did you mean \"" : "", near ? near->words : "", near ? "\"?" : "");
	return usage(a, why);
}

/* "help", "help volume", "help volume create", or one of the pages. */
static enum rpc_exit help(const struct args *a, char **words, unsigned count)
{
	char *two own_free = NULL;
	const struct rpc_verb *verb;

	for (unsigned i = 0; i < own_array_len(pages); i++) {
		if (!strcmp(pages[i].word, count ? words[0] : "")) {
			pages[i].print(stdout);
			return RPC_DONE;
		}
	}
	if (!strcmp(words[0], "import-config")) {
		printf("kura %s\n\na configuration of tgt or LIO as one of kura; kura(8) has more "
		       "of it.\n",
			import_usage);
		return RPC_DONE;
	}
	two = own_printf("%s%s%s", words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
	verb = rpc_verb_find(two);
	if (verb) {
		help_verb(stdout, verb);
		return RPC_DONE;
	}
	return count == 1 && help_noun(stdout, words[0]) ? RPC_DONE : no_help(a, two);
}

static enum rpc_exit completion(const struct args *a, char **words, unsigned count)
{
	if (count == 1 && complete_print(stdout, words[0]))
		return RPC_DONE;
	return usage(a, "completion: give bash, zsh or fish");
}

/* Whether a check has found more than hints: a script wants to know. */
static bool is_worse(const struct jval *result)
{
	const struct jval *list = jval_get(result, "findings");

	for (unsigned i = 0; i < jval_count(list); i++) {
		const char *severity = jval_text(jval_get(jval_item(list, i), "severity"));

		if (severity && (!strcmp(severity, "warning") || !strcmp(severity, "error")))
			return true;
	}
	return false;
}

/* RPC_DONE when a verb that asks is meant: by --yes, or by who sits at the terminal. */
static enum rpc_exit confirm(const struct args *a)
{
	const char *question = rpc_verb_question(a->verb);
	const struct rpc_arg *first = rpc_arg_next(a->verb->id, NULL);
	const char *object = first ? jval_text(jval_get(a->params, first->name)) : NULL;
	char answer[8] = "";

	if (!question || a->yes)
		return RPC_DONE;
	if (!isatty(STDIN_FILENO)) {
		char why[RPC_WHY_LEN];

		snprintf(why, sizeof why,
			"\"%s\" asks whether it is meant, and nobody can answer: %s Say --yes",
			a->verb->words, question);
		return usage(a, why);
	}
	fprintf(stderr, "kura %s %s: %s.\n%s\nGo on? [y/N] ", a->verb->words, object ? object : "",
		a->verb->help, question);
	if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return RPC_DONE;
	out_refusal(a->json, RPC_REFUSED, "nothing was done", NULL);
	return RPC_REFUSED;
}

/* What kurad answers; for what takes long, when it is over. */
static void call(struct client *c, const struct args *a, struct reply *reply)
{
	unsigned number;

	client_call(c, a->verb, a->params, reply);
	if (reply->exit != RPC_DONE || a->detach)
		return;
	number = (unsigned)jval_number(jval_get(reply->result, "job"));
	if (a->verb->id == RPC_VERB_job_wait) {
		reply_fini(reply);
		job_wait(c, number, stderr, reply);
	} else if (a->verb->class == RPC_JOB) {
		reply_fini(reply);
		job_wait_result(c, number, stderr, reply);
	}
}

static enum rpc_exit ask(const struct args *a)
{
	struct out_style style = style_of(a);
	char why[RPC_WHY_LEN] = "";
	struct reply reply = { 0 };
	struct client c;
	enum rpc_exit exit = confirm(a);

	if (exit != RPC_DONE)
		return exit;
	exit = client_open(&c, a->socket, why);
	if (exit != RPC_DONE) {
		client_close(&c);
		out_refusal(a->json, exit, why, NULL);
		return exit;
	}
	if (a->verb->id == RPC_VERB_top || jval_flag(jval_get(a->params, "follow"))) {
		exit = a->verb->id == RPC_VERB_top ? top_run(&c, a, &style)
						   : follow_run(&c, a, &style);
		client_close(&c);
		return exit;
	}
	call(&c, a, &reply);
	exit = reply.exit;
	if (exit != RPC_DONE)
		out_refusal(a->json, exit, reply.why, reply.error);
	else if (a->detach && !a->json && a->verb->class == RPC_JOB)
		printf("Job: %lld\n", (long long)jval_number(jval_get(reply.result, "job")));
	else if (reply.result)
		out_result(stdout, a->verb, reply.result, &style);
	if (exit == RPC_DONE && a->verb->id == RPC_VERB_check && is_worse(reply.result))
		exit = RPC_REFUSED;
	reply_fini(&reply);
	client_close(&c);
	return exit;
}

static enum rpc_exit run(const struct args *a)
{
	const char *first = a->word_count ? a->words[0] : "help";

	if (a->version) {
		puts("kura " PACKAGE_VERSION);
		return RPC_DONE;
	}
	if (!strcmp(first, "help"))
		return help(a, a->words + 1, a->word_count ? a->word_count - 1 : 0);
	if (a->help)
		return help(a, a->words, a->word_count);
	if (!strcmp(first, "completion"))
		return completion(a, a->words + 1, a->word_count - 1);
	if (!strcmp(first, "import-config"))
		return import_config(a->words + 1, a->word_count - 1);
	return ask(a);
}

int main(int argc, char **argv)
{
	char why[RPC_WHY_LEN] = "";
	struct args a = { 0 };
	enum rpc_exit exit = RPC_DONE;

	if (argc > 1 && !strcmp(argv[1], "complete")) /* its words are no line of its own */
		suggest_print(stdout, argv + 2, (unsigned)argc - 2);
	else
		exit = args_read(&a, argc, argv, why) ? usage(&a, why) : run(&a);
	args_fini(&a);
	if (fflush(stdout) || ferror(stdout)) {
		if (exit == RPC_DONE)
			fprintf(stderr, "kura: what it prints cannot be written: %s\n",
				strerror(errno ? errno : EIO));
		exit = exit == RPC_DONE ? RPC_REFUSED : exit;
	}
	return (int)exit;
}
