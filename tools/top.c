// SPDX-License-Identifier: Apache-2.0
/*
 * The first page of a terminal is what was since the start of kurad; from then on, and elsewhere
 * from the beginning, each look is compared with the one before. The page is the terminal's other
 * screen, so that what was there before comes back at the end.
 */
#include "tools/top.h"

#include "common/own.h"
#include "rpc/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

/* A narrow terminal cuts lines and does not wrap them. */
#define PAGE_ON    "\033[?1049h\033[?25l\033[?7l"
#define PAGE_OFF   "\033[?7h\033[?25h\033[?1049l"
#define PAGE_TOP   "\033[H\033[J"
#define PAGE_LINES 24u
#define HEAD_LINES 3u /* above the rows, and the one that the cursor is left in */
#define INTERVAL   2u

struct top {
	struct client *client;
	const struct args *args;
	const struct out_style *style;
	const struct rpc_verb *stats;
	struct jval *wish;   /* parameters of stats */
	struct jval *before; /* the last answer, or NULL */
	double looked;       /* when it came, in seconds */
	unsigned interval, shown;
	uint64_t count; /* looks to show; 0: no end */
	bool page;
};

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void catch_ends(void)
{
	const struct sigaction sa = { .sa_handler = end };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned page_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return PAGE_LINES;
	return size.ws_row;
}

/* As many rows as the page has place for. */
static struct jval *cut(struct jval *rows, unsigned most)
{
	struct jval *out;

	if (jval_count(rows) <= most)
		return rows;
	out = jval_list();
	for (unsigned i = 0; i < most; i++)
		jval_append(out, jval_copy(jval_item(rows, i)));
	jval_free(rows);
	return out;
}

static void print_head(const struct top *t, const struct jval *stats, unsigned rows)
{
	int64_t uptime = jval_number(jval_get(stats, "uptime_seconds"));

	if (t->before)
		printf(PAGE_TOP "kura top: %u rows, of the last %u seconds; Ctrl-C ends\n\n", rows,
			t->interval);
	else
		printf(PAGE_TOP "kura top: %u rows, since kurad was started %lld seconds ago\n\n",
			rows, (long long)uptime);
}

static void show(struct top *t, const struct jval *stats, double seconds)
{
	const char *by = jval_text(jval_get(t->args->params, "by"));
	const char *sort = jval_text(jval_get(t->args->params, "sort"));
	struct jval *answer = jval_object();
	struct jval *rows = top_rows(t->before, stats, seconds, by, sort);
	unsigned lines = page_lines();

	if (t->page) {
		print_head(t, stats, jval_count(rows));
		rows = cut(rows, lines > HEAD_LINES + 1 ? lines - HEAD_LINES - 1 : 1);
	} else if (t->shown && !t->style->json) {
		putchar('\n');
	}
	jval_set(answer, "rows", rows);
	out_result(stdout, t->args->verb, answer, t->style);
	fflush(stdout);
	jval_free(answer);
	t->shown++;
}

/* One look; what kurad says in *reply. */
static enum rpc_exit look(struct top *t, struct reply *reply)
{
	double before = t->looked, seconds;

	client_call(t->client, t->stats, t->wish, reply);
	if (reply->exit != RPC_DONE || !reply->result)
		return reply->exit;
	t->looked = now();
	seconds = t->before ? t->looked - before
			    : (double)jval_number(jval_get(reply->result, "uptime_seconds"));
	if (t->before || t->page)
		show(t, reply->result, seconds);
	jval_free(t->before);
	t->before = own_take(reply->result);
	return RPC_DONE;
}

static enum rpc_exit looks(struct top *t)
{
	struct reply reply = { 0 };
	enum rpc_exit exit = RPC_DONE;

	while (!ended && exit == RPC_DONE) {
		exit = look(t, &reply);
		if (exit != RPC_DONE && t->page)
			fputs(PAGE_OFF, stdout);
		if (exit != RPC_DONE && !ended)
			out_refusal(t->style->json, exit, reply.why, reply.error);
		reply_fini(&reply);
		if (exit != RPC_DONE || (t->count && t->shown >= t->count) || ferror(stdout))
			break;
		poll(NULL, 0, (int)(t->interval * 1000));
	}
	return ended ? RPC_DONE : exit;
}

static uint64_t number_of(const struct args *a, const char *name, uint64_t absent)
{
	const struct jval *v = jval_get(a->params, name);

	return v ? (uint64_t)jval_number(v) : absent;
}

enum rpc_exit top_run(struct client *c, const struct args *a, const struct out_style *style)
{
	bool terminal = out_is_page() && !style->json;
	struct top t = {
		.client = c,
		.args = a,
		.style = style,
		.stats = &rpc_verbs[RPC_VERB_stats],
		.wish = jval_object(),
		.interval = (unsigned)number_of(a, "interval", INTERVAL),
		.count = number_of(a, "count", terminal ? 0 : 1),
		.page = terminal,
	};
	enum rpc_exit exit;

	jval_set_flag(t.wish, "buckets", true);
	catch_ends();
	if (t.page)
		fputs(PAGE_ON, stdout);
	exit = looks(&t);
	if (t.page)
		fputs(PAGE_OFF, stdout);
	jval_free(t.wish);
	jval_free(t.before);
	return exit;
}
