/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread does nothing but wait: for signals, by a descriptor, and for the end of the
 * loops. At SIGHUP it reads the configuration again and has the server follow it.
 *
 * A stop that exceeds its time ends the process as it is: what was acknowledged as durable is, and
 * the kernel keeps the page cache; memory that a stuck request still uses cannot be freed.
 */
#include "target/run.h"

#include "common/log.h"
#include "common/own.h"
#include "kura_config.h"
#include "target/apply.h"
#include "target/ctl/ctl.h"
#include "target/notify.h"
#include "target/rest.h"
#include "target/scrape.h"
#include "target/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>

#define ERRORS_MAX 100u
#define HOLD_MS    200u /* SIGHUP waits so long for a verb before it looks for SIGTERM again */
#define STOP_MS    500u /* the longest that a stop may take that is to take no time */

/* Blocks the signals that we wait for; threads inherit that. A descriptor or -errno. */
static int open_signals(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full one, not the end of us */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* The next signal that asks for the end, or 0 when none has come. *reload: one asked for that. */
static int take_signal(int fd, bool *reload)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo != SIGHUP)
			return (int)info.ssi_signo;
		*reload = true;
	}
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- SIGHUP ---- */

static struct config *read_again(const char *path, const char *state_dir)
{
	struct cfg_error *errors own_free = own_calloc(ERRORS_MAX, sizeof *errors);
	char *managed own_free = own_printf("%s/managed.conf", state_dir);
	unsigned count = 0;
	struct config *cfg = cfg_read_both(path, managed, errors, ERRORS_MAX, &count);

	for (unsigned i = 0; i < count && i < ERRORS_MAX; i++)
		log_error("configuration", "%s", errors[i].text);
	for (unsigned i = 0; cfg && i < cfg->warning_count; i++)
		log_warn("configuration", "%s", cfg->warnings[i].text);
	if (!cfg)
		log_error("configuration not followed: nothing has changed", "file=%s mistakes=%u",
			path, count);
	return cfg;
}

/* A sentence between quotation marks has none inside. */
static void quote(const char *text, char *out, size_t room)
{
	size_t i = 0;

	for (; text[i] && i + 1 < room; i++)
		out[i] = text[i] == '"' ? '\'' : text[i];
	out[i] = '\0';
}

/* Names of those whose sessions it ends or who use it, "" or " users=a,b". */
static void list_users(const struct apply_step *step, char *text, size_t room)
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < step->user_count && at < room; i++)
		at += (size_t)snprintf(
			text + at, room - at, "%s%s", i ? "," : " users=", step->users[i]);
}

static void log_steps(const struct apply_report *report)
{
	char users[512], text[640];

	for (unsigned i = 0; i < report->count; i++) {
		const struct apply_step *step = &report->steps[i];
		bool bad = step->state == APPLY_FAILED || step->state == APPLY_REFUSED;

		list_users(step, users, sizeof users);
		quote(step->text, text, sizeof text);
		log_write(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "configuration: step",
			"step=%s state=%s text=\"%s\"%s", apply_kind_name(step->kind),
			apply_state_name(step->state), text, users);
	}
}

/* The file is the human's word; but no word takes bytes away by the way, as none does at a start.
 */
static void reload(struct server *srv, const char *path, const char *state_dir)
{
	struct apply_report report;
	char why[APPLY_WHY_LEN];
	struct config *cfg;
	int err;

	notify_reloading();
	cfg = read_again(path, state_dir);
	if (cfg) {
		err = server_apply(srv, cfg, APPLY_FORCE, &report);
		log_steps(&report);
		quote(report.why, why, sizeof why);
		if (err)
			log_error("configuration not followed: nothing has changed",
				"file=%s why=\"%s\"", path, why);
		else
			log_info("configuration followed", "file=%s steps=%u", path, report.count);
		apply_report_fini(&report);
	}
	rest_notify(srv);
}

static void wait_for_end(
	struct server *srv, struct ctl *ctl, const struct run_opts *opts, int signals)
{
	struct pollfd p = { .fd = signals, .events = POLLIN };
	bool again = false;
	int sig;

	while (!(sig = take_signal(signals, &again))) {
		if (!again) {
			(void)poll(&p, 1, -1);
		} else if (ctl_hold(ctl, HOLD_MS)) {
			/* a verb that began before would take back what the file says now */
			again = false;
			reload(srv, opts->config, opts->state_dir);
			ctl_release(ctl);
		}
	}
	log_info("kurad stopping", "signal=%s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- the end ---- */

/* Waits until a descriptor is readable or the time has come. 0, -ETIMEDOUT, or -EINTR: a second
 * signal came. */
static int wait_for(int fd, int signals, uint64_t end_ms)
{
	bool reload = false; /* too late */
	struct pollfd p[2] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};

	for (;;) {
		uint64_t now = now_ms();

		(void)poll(p, 2, now < end_ms ? (int)(end_ms - now) : 0);
		if (p[1].revents)
			return 0;
		if (take_signal(signals, &reload))
			return -EINTR;
		if (now >= end_ms)
			return -ETIMEDOUT;
	}
}

/* Whoever asks kurad, seen out on a thread of its own, as a verb may never end: a tool of LVM or a
 * file system that hangs. */
struct farewell {
	struct ctl *ctl;
	struct server *srv;
	pthread_t thread;
	int over_fd; /* an eventfd */
};

static void *farewell_run(void *arg)
{
	struct farewell *f = arg;

	ctl_stop(f->ctl);
	scrape_end(f->srv);
	eventfd_write(f->over_fd, 1);
	return NULL;
}

/* Begins it; NULL: there is no thread for it, and it is over. Takes `ctl`. */
static struct farewell *farewell_begin(struct ctl *ctl, struct server *srv)
{
	struct farewell *f = own_calloc(1, sizeof *f);

	f->ctl = ctl;
	f->srv = srv;
	f->over_fd = eventfd(0, EFD_CLOEXEC);
	if (f->over_fd >= 0 && !pthread_create(&f->thread, NULL, farewell_run, f))
		return f;
	own_close_fd(&f->over_fd);
	free(f);
	ctl_stop(ctl);
	scrape_end(srv);
	return NULL;
}

/* Returns as wait_for. What is not over goes on, until the process ends; what is, is freed. */
static int farewell_wait(struct farewell **f, int signals, uint64_t end_ms)
{
	int err = *f ? wait_for((*f)->over_fd, signals, end_ms) : 0;

	if (err || !*f)
		return err;
	pthread_join((*f)->thread, NULL);
	close((*f)->over_fd);
	free(own_take(*f));
	return 0;
}

static int end_loops(struct server *srv, int signals, uint64_t end_ms)
{
	uint64_t now = now_ms(), ms = end_ms > now + STOP_MS ? end_ms - now : STOP_MS;

	if (!server_stop(srv, (unsigned)ms))
		return -ETIMEDOUT;
	return wait_for(server_over_fd(srv), signals, now + ms);
}

static void tell_early(const char *what, int err)
{
	log_error(
		what, "reason=\"%s\"", err == -EINTR ? "a second signal" : "stop_seconds are over");
}

/* 0, or why it is not what a clean stop is: then the process has to end as it is, without freeing
 * anything. Half of the time is for verbs under way, the rest for initiators. Takes `ctl`. */
static int stop(struct server *srv, struct ctl *ctl, int signals)
{
	unsigned seconds = server_stop_seconds(srv);
	uint64_t ms = seconds ? seconds * 1000ull : STOP_MS, end_ms = now_ms() + ms;
	struct farewell *f;
	int verbs, err = 0;

	notify_stopping(seconds);
	f = farewell_begin(ctl, srv);
	verbs = farewell_wait(&f, signals, end_ms - ms / 2);
	if (verbs != -EINTR)
		err = end_loops(srv, signals, end_ms);
	if (verbs == -ETIMEDOUT && err != -EINTR)
		verbs = farewell_wait(&f, signals, end_ms);
	if (verbs)
		tell_early("kurad ends in the middle of a verb", verbs);
	if (err)
		tell_early("kurad ends before everything was closed", err);
	return err ? err : verbs;
}

static int start_control(struct ctl **ctl, struct server *srv, const struct run_opts *opts)
{
	char why[CTL_WHY_LEN] = "";
	int err = 0;

	*ctl = ctl_start(opts->control, srv, &err, why);
	if (*ctl)
		return 0;
	if (opts->control_must) {
		log_error("kurad cannot start", "%s", why);
		return err;
	}
	log_warn("control socket not open", "%s; the admin tool cannot reach this kurad", why);
	return 0;
}

/* Serves and stops. *late: threads are left that do not end, so nothing may be freed. */
static int serve(struct server *srv, const struct run_opts *opts, int signals, bool *late)
{
	char why[SERVER_WHY_LEN] = "";
	struct ctl *ctl = NULL;
	int err = server_start(srv, why), end;

	if (err) {
		log_error("kurad cannot start", "%s", why);
		return err;
	}
	err = scrape_begin(srv, why);
	if (err)
		log_error("kurad cannot start", "%s", why);
	else
		err = start_control(&ctl, srv, opts);
	if (!err) {
		log_info("kurad ready", "version=%s engine=%s loops=%u", PACKAGE_VERSION,
			server_engine(srv), server_loops(srv));
		rest_notify(srv);
		wait_for_end(srv, ctl, opts, signals);
	}
	end = stop(srv, ctl, signals);
	*late = end;
	return err ? err : end;
}

int run_server(struct config *cfg, const struct run_opts *opts)
{
	struct server_opts server_opts = { .state_dir = opts->state_dir };
	int signals own_fd = open_signals();
	char why[SERVER_WHY_LEN] = "";
	struct server *srv;
	bool late = false;
	int err;

	if (signals < 0) {
		log_error("kurad cannot start", "signalfd: %s", strerror(-signals));
		cfg_free(cfg);
		return signals;
	}
	srv = server_new(cfg, &server_opts, why);
	if (!srv) {
		log_error("kurad cannot start", "%s", why);
		return -EIO;
	}
	err = serve(srv, opts, signals, &late);
	if (late || !server_is_over(srv))
		_exit(1);
	server_free(srv);
	if (!err)
		log_info("kurad stopped", NULL);
	return err;
}
