/* SPDX-License-Identifier: Apache-2.0 */
/* The bar is drawn over itself five times a second. */
#include "tools/job.h"

#include "common/own.h"
#include "tools/fmt.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define BAR_WIDTH  30
#define LINE_EVERY 50        /* looks: ten seconds */
#define LOOK_EVERY 200000000 /* ns */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void draw_bar(FILE *f, uint64_t done, uint64_t total, uint64_t rate)
{
	unsigned full = total ? (unsigned)(done * BAR_WIDTH / total) : 0;
	char at[24], all[24], speed[24];
	uint64_t left = rate && total > done ? (total - done) / rate : 0;

	full = full > BAR_WIDTH ? BAR_WIDTH : full;
	fmt_bytes(done, at);
	fmt_bytes(total, all);
	fmt_bytes(rate, speed);
	fputc('\r', f);
	if (total)
		fprintf(f, "[%.*s%*s] %s of %s  %s/s  %llum%02llus left\033[K", (int)full,
			"##############################", (int)(BAR_WIDTH - full), "", at, all,
			speed, (unsigned long long)left / 60, (unsigned long long)left % 60);
	else
		fprintf(f, "%s  %s/s\033[K", at, speed);
	fflush(f);
}

static void draw_line(FILE *f, unsigned number, uint64_t done, uint64_t total)
{
	char at[24], all[24];

	fmt_bytes(done, at);
	fmt_bytes(total, all);
	fprintf(f, "job %u: %s%s%s\n", number, at, total ? " of " : "", total ? all : "");
	fflush(f);
}

/* Draws how far it is; `looks` counts from 0. */
static void draw(FILE *f, unsigned number, const struct jval *job, unsigned looks)
{
	uint64_t done = (uint64_t)jval_number(jval_get(job, "done_bytes"));
	uint64_t total = (uint64_t)jval_number(jval_get(job, "total_bytes"));
	uint64_t age = (uint64_t)jval_number(jval_get(job, "age_seconds"));

	if (isatty(fileno(f)))
		draw_bar(f, done, total, age ? done / age : 0);
	else if (looks && looks % LINE_EVERY == 0)
		draw_line(f, number, done, total);
}

/* A job that has ended badly makes the reply a refusal. */
static void finish(struct reply *reply)
{
	const char *state = jval_text(jval_get(reply->result, "state"));
	int64_t exit = jval_number(jval_get(reply->result, "exit"));
	const char *why = jval_text(jval_get(reply->result, "why"));

	if (state && !strcmp(state, "done"))
		return;
	reply->exit = exit > 0 ? (enum rpc_exit)exit : RPC_REFUSED;
	reply->why = own_strdup(why ? why : "the job was cancelled");
	jval_free(own_take(reply->result));
}

static bool is_running(const struct reply *reply)
{
	const char *state = jval_text(jval_get(reply->result, "state"));

	return state && !strcmp(state, "running");
}

void job_wait(struct client *c, unsigned number, FILE *f, struct reply *reply)
{
	struct sigaction act = { .sa_handler = on_interrupt }, before;
	const struct timespec pause = { .tv_nsec = LOOK_EVERY };
	struct jval *params = jval_object();
	unsigned looks = 0;

	jval_set_number(params, "job", number);
	sigaction(SIGINT, &act, &before);
	for (;;) {
		client_call(c, &rpc_verbs[RPC_VERB_job_show], params, reply);
		if (reply->exit != RPC_DONE || !is_running(reply) || interrupted)
			break;
		draw(f, number, reply->result, looks++);
		reply_fini(reply);
		nanosleep(&pause, NULL);
	}
	sigaction(SIGINT, &before, NULL);
	jval_free(params);
	if (looks && isatty(fileno(f)))
		fputs("\r\033[K", f);
	if (reply->exit == RPC_NO_DAEMON) {
		free(reply->why);
		reply->why =
			own_printf("kurad ended while job %u was under way, which may or may not "
				   "have been done; when kurad runs again, look, or say it "
				   "again",
				number);
	}
	if (reply->exit != RPC_DONE)
		return;
	if (!is_running(reply)) {
		finish(reply);
		return;
	}
	reply->exit = RPC_REFUSED; /* who waits for it has not got it */
	reply->why = own_printf(
		"job %u goes on; kura job wait %u, kura job cancel %u", number, number, number);
	jval_free(own_take(reply->result));
}

void job_wait_result(struct client *c, unsigned number, FILE *f, struct reply *reply)
{
	struct jval *job;

	job_wait(c, number, f, reply);
	job = own_take(reply->result);
	if (job)
		reply->result = jval_copy(jval_get(job, "result"));
	jval_free(job);
}
