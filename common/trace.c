// SPDX-License-Identifier: Apache-2.0
/*
 * An event is taken back to number 0 while it is written and gets its number last, so that a reader
 * on another thread, or in a signal handler, knows what is whole.
 */
#include "common/trace.h"

#include "common/own.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_ 256

#define CRASH_STACK 65536 /* bytes on which a thread may say that it has none left */

struct trace_ring {
	uint64_t next;            /* number of events so far; written by its thread */
	unsigned loop;            /* whose */
	struct trace_ring *older; /* all rings, newest first */
	struct trace_event event[TRACE_EVENTS];
};

__thread struct trace_ring *trace_mine;
bool trace_tasks_on;

static struct trace_ring *all_rings;

static const struct {
	const char *name, *value[2];
} rows[] = {
#define TRACE(name, a, b) { #name, { a, b } },
#include "common/trace.def"
#undef TRACE
};

const char *trace_name(enum trace_kind kind)
{
	return rows[kind].name;
}

const char *trace_value_name(enum trace_kind kind, unsigned which)
{
	return rows[kind].value[which];
}

/* Where a thread that has used up its stack handles the signal, kept as long as the process, unless
 * it has such a place (a sanitizer's). */
static void stack_for_crash(void)
{
	stack_t place = { 0 };

	if (sigaltstack(NULL, &place) || !(place.ss_flags & SS_DISABLE))
		return;
	place = (stack_t){ .ss_sp = own_calloc(1, CRASH_STACK), .ss_size = CRASH_STACK };
	if (sigaltstack(&place, NULL))
		free(place.ss_sp);
}

void trace_join(unsigned loop)
{
	struct trace_ring *r;

	if (trace_mine)
		return;
	stack_for_crash();
	r = own_calloc(1, sizeof *r);
	r->loop = loop;
	r->older = __atomic_load_n(&all_rings, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&all_rings, &r->older, r, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	trace_mine = r;
}

void trace_tasks(bool on)
{
	__atomic_store_n(&trace_tasks_on, on, __ATOMIC_RELAXED);
}

/* ---- writing ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void trace_put(enum trace_kind kind, uint64_t a, uint64_t b)
{
	struct trace_ring *r = trace_mine;
	struct trace_event *e = &r->event[r->next % TRACE_EVENTS];

	__atomic_store_n(&e->number, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&e->ns, now_ns(), __ATOMIC_RELAXED);
	__atomic_store_n(&e->kind, kind, __ATOMIC_RELAXED);
	__atomic_store_n(&e->a, a, __ATOMIC_RELAXED);
	__atomic_store_n(&e->b, b, __ATOMIC_RELAXED);
	__atomic_store_n(&e->number, r->next + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&r->next, r->next + 1, __ATOMIC_RELEASE);
}

/* ---- reading ---- */

/* Event number `number` of a ring; false: it is not there any more. */
static bool take(const struct trace_ring *r, uint64_t number, struct trace_event *out)
{
	const struct trace_event *e = &r->event[(number - 1) % TRACE_EVENTS];

	if (__atomic_load_n(&e->number, __ATOMIC_ACQUIRE) != number)
		return false;
	out->number = number;
	out->ns = __atomic_load_n(&e->ns, __ATOMIC_RELAXED);
	out->kind = __atomic_load_n(&e->kind, __ATOMIC_RELAXED);
	out->a = __atomic_load_n(&e->a, __ATOMIC_RELAXED);
	out->b = __atomic_load_n(&e->b, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&e->number, __ATOMIC_RELAXED) == number;
}

/* Puts an event in its place among those that are sorted by time; the oldest gives way. No more
 * than what a signal handler may do. */
static size_t insert(struct trace_seen *seen, size_t n, size_t room, const struct trace_seen *s)
{
	size_t at = n;

	while (at && seen[at - 1].event.ns > s->event.ns)
		at--;
	if (n < room) {
		memmove(&seen[at + 1], &seen[at], (n - at) * sizeof *seen);
		seen[at] = *s;
		return n + 1;
	}
	if (at) {
		memmove(&seen[0], &seen[1], (at - 1) * sizeof *seen);
		seen[at - 1] = *s;
	}
	return n;
}

size_t trace_see(struct trace_seen *seen, size_t room, uint64_t after_ns)
{
	size_t n = 0;

	for (const struct trace_ring *r = __atomic_load_n(&all_rings, __ATOMIC_ACQUIRE); r;
		r = r->older) {
		uint64_t end = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE), at = end;
		struct trace_seen s = { .loop = r->loop };

		while (at && end - at < TRACE_EVENTS && end - at < room && take(r, at, &s.event) &&
			s.event.ns > after_ns) {
			n = insert(seen, n, room, &s);
			at--;
		}
	}
	return n;
}

/* ---- the end of the process ---- */

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
static struct sigaction before[own_array_len(fatal)];
static const char *crash_prefix = "error "; /* as log.c has it */

struct line {
	char text[LINE_MAX_];
	size_t len;
};

static void put_text(struct line *l, const char *text)
{
	while (*text && l->len < sizeof l->text - 1)
		l->text[l->len++] = *text++;
}

static void put_number(struct line *l, const char *name, uint64_t n)
{
	char digits[24];
	size_t at = sizeof digits;

	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	put_text(l, " ");
	put_text(l, name);
	put_text(l, "=");
	put_text(l, digits + at);
}

static void put_line(struct line *l)
{
	ssize_t n;

	l->text[l->len++] = '\n';
	n = write(STDERR_FILENO, l->text, l->len);
	(void)n; /* nobody is left to tell */
}

static void write_event(const struct trace_seen *s, uint64_t now)
{
	enum trace_kind kind = s->event.kind < TRACE_KINDS ? (enum trace_kind)s->event.kind : 0;
	const uint64_t values[] = { s->event.a, s->event.b };
	struct line l = { .len = 0 };

	put_text(&l, crash_prefix);
	put_text(&l, "trace: ");
	put_text(&l, rows[kind].name);
	put_number(&l, "loop", s->loop);
	put_number(&l, "ns_before", now - s->event.ns);
	for (unsigned i = 0; i < own_array_len(values); i++)
		if (*rows[kind].value[i])
			put_number(&l, rows[kind].value[i], values[i]);
	put_line(&l);
}

static void write_last(int sig)
{
	static struct trace_seen seen[TRACE_CRASH];
	size_t n = trace_see(seen, TRACE_CRASH, 0);
	uint64_t now = now_ns();
	struct line l = { .len = 0 };

	put_text(&l, crash_prefix);
	put_text(&l, "kurad has crashed; its last events follow");
	put_number(&l, "signal", (uint64_t)sig);
	put_number(&l, "events", n);
	put_line(&l);
	for (size_t i = 0; i < n; i++)
		write_event(&seen[i], now);
}

/* Only what signal-safety(7) allows. The first thread writes and ends the process; another one that
 * crashes meanwhile waits for that. */
static void crashed(int sig)
{
	static pid_t writer;
	pid_t none = 0, me = gettid();

	for (unsigned i = 0; i < own_array_len(fatal); i++)
		if (fatal[i] == sig)
			sigaction(sig, &before[i], NULL);
	if (__atomic_compare_exchange_n(
		    &writer, &none, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		write_last(sig);
	else if (none != me)
		(void)pause();
	raise(sig); /* as it would have ended */
}

void trace_on_crash(void)
{
	struct sigaction sa = { .sa_handler = crashed, .sa_flags = SA_ONSTACK };

	if (getenv("JOURNAL_STREAM"))
		crash_prefix = "<3>";
	stack_for_crash();
	for (unsigned i = 0; i < own_array_len(fatal); i++)
		sigaction(fatal[i], &sa, &before[i]);
}
