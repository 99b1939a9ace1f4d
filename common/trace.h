/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h: the last events of each loop, in a ring that its thread alone writes, to be looked at
 * when somebody asks and when the process dies.
 *
 * What is rare is always written; the begin and the end of each task only while somebody wants
 * that. Rows are in trace.def. Threads without a ring write nothing.
 */
#ifndef KURA_COMMON_TRACE_H
#define KURA_COMMON_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_EVENTS  1024u      /* of a ring */
#define TRACE_CRASH   64u        /* that are written when the process dies, of all rings */
#define TRACE_SLOW_NS 1000000000 /* from here on what was timed is slow */

enum trace_kind {
#define TRACE(name, a, b) TRACE_##name,
#include "common/trace.def"
#undef TRACE
	TRACE_KINDS
};

struct trace_event {
	uint64_t number; /* from 1, in its ring; 0: nothing, or being written */
	uint64_t ns;     /* of the monotonic clock */
	uint64_t kind;   /* enum trace_kind */
	uint64_t a, b;   /* as its row says */
};

struct trace_ring; /* of one thread */

extern __thread struct trace_ring *trace_mine;

/* Whether tasks are traced; written by trace_tasks. */
extern bool trace_tasks_on;

/* The calling thread writes for loop number `loop` from now on, into a ring that is kept. */
void trace_join(unsigned loop);

/* Writes an event of a thread that has a ring. */
void trace_put(enum trace_kind kind, uint64_t a, uint64_t b);

/* Writes an event. */
static inline void trace_add(enum trace_kind kind, uint64_t a, uint64_t b)
{
	if (trace_mine)
		trace_put(kind, a, b);
}

/* Writes an event of each task, if somebody wants them. */
static inline void trace_task(enum trace_kind kind, uint64_t a, uint64_t b)
{
	if (__builtin_expect(__atomic_load_n(&trace_tasks_on, __ATOMIC_RELAXED), 0))
		trace_add(kind, a, b);
}

/* From now on tasks are traced, or not any more. Any thread. */
void trace_tasks(bool on);

struct trace_seen {
	struct trace_event event;
	unsigned loop;
};

/* The newest events of all rings that are younger than `after_ns`, oldest first, at most `room` of
 * them. Returns how many. Any thread. */
size_t trace_see(struct trace_seen *seen, size_t room, uint64_t after_ns);

/* "login_refused"; static. */
const char *trace_name(enum trace_kind kind);

/* What the value 0 or 1 of an event is: "conn"; "": it has none. Static. */
const char *trace_value_name(enum trace_kind kind, unsigned which);

/* When a signal ends the process because something is broken, the last events are written to
 * standard error first, also when a thread of a ring has used up its stack. Once, before there are
 * threads. */
void trace_on_crash(void);

#endif
