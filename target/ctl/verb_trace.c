/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the trace: what happened last, and whether commands are part of it. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "common/trace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVENTS_USUAL 100u

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* The time of day at which the clock of the machine showed `ns`. */
static void set_time(struct jval *out, uint64_t ns, uint64_t offset)
{
	time_t seconds = (time_t)((ns + offset) / 1000000000ull);
	char text[40], date[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%06uZ", date,
		(unsigned)((ns + offset) % 1000000000ull / 1000));
	jval_set_text(out, "time", text);
}

/* "conn=7 status=514" */
static void set_values(struct jval *out, const struct trace_event *e)
{
	const uint64_t values[] = { e->a, e->b };
	char text[128] = "";
	size_t len = 0;

	for (unsigned i = 0; i < own_array_len(values); i++) {
		const char *name = trace_value_name((enum trace_kind)e->kind, i);

		if (*name)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%llu",
				len ? " " : "", name, (unsigned long long)values[i]);
	}
	jval_set_text(out, "values", text);
}

void verb_trace(struct ctl_call *call)
{
	size_t most = ctl_number(call, "lines", EVENTS_USUAL);
	struct trace_seen *seen own_free = own_calloc(most, sizeof *seen);
	size_t n = trace_see(seen, most, ctl_number(call, "after", 0));
	uint64_t offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	struct jval *list = ctl_list(call);

	for (size_t i = 0; i < n; i++) {
		struct jval *one = jval_object();

		set_time(one, seen[i].event.ns, offset);
		jval_set_number(one, "loop", seen[i].loop);
		jval_set_text(one, "event", trace_name((enum trace_kind)seen[i].event.kind));
		set_values(one, &seen[i].event);
		jval_set_number(one, "ns", seen[i].event.ns);
		jval_append(list, one);
	}
}

void verb_trace_tasks(struct ctl_call *call)
{
	bool on = !strcmp(ctl_text(call, "tasks"), "on");

	trace_tasks(on);
	jval_set_text(call->result, "tasks", on ? "on" : "off");
}
