/* SPDX-License-Identifier: Apache-2.0 */
#include "target/apply_guts.h"

#include "common/own.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct apply_step *report_add(
	struct apply_report *report, enum apply_kind kind, const char *object, const char *fmt, ...)
{
	struct apply_step *step;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	report->steps = reallocarray(report->steps, report->count + 1, sizeof *report->steps);
	own_assert(report->steps);
	step = &report->steps[report->count++];
	*step = (struct apply_step){
		.kind = kind, .object = own_strdup(object), .text = own_strdup(text)
	};
	return step;
}

void report_user(struct apply_step *step, const char *initiator)
{
	for (unsigned i = 0; i < step->user_count; i++) {
		if (!strcmp(step->users[i], initiator))
			return;
	}
	step->users = reallocarray(step->users, step->user_count + 1, sizeof *step->users);
	own_assert(step->users);
	step->users[step->user_count++] = own_strdup(initiator);
}

void report_fail(struct apply_step *step, const char *why)
{
	char *text = own_printf("%s: %s", step->text, why);

	free(step->text);
	step->text = text;
	step->state = APPLY_FAILED;
}

struct apply_step *report_find(
	const struct apply_report *report, enum apply_kind kind, const char *object)
{
	for (unsigned i = 0; i < report->count; i++) {
		struct apply_step *step = &report->steps[i];

		if (step->kind == kind && !strcmp(step->object, object))
			return step;
	}
	return NULL;
}

void apply_report_fini(struct apply_report *report)
{
	for (unsigned i = 0; i < report->count; i++) {
		struct apply_step *step = &report->steps[i];

		for (unsigned k = 0; k < step->user_count; k++)
			free(step->users[k]);
		free(step->users);
		free(step->object);
		free(step->text);
	}
	free(report->steps);
	*report = (struct apply_report){ 0 };
}

const char *apply_kind_name(enum apply_kind kind)
{
	static const char *const names[] = {
#define APPLY_KIND(id, name) [APPLY_##id] = name,
#include "target/apply.def"
#undef APPLY_KIND
	};

	own_assert(kind < APPLY_KINDS);
	return names[kind];
}

const char *apply_state_name(enum apply_state state)
{
	static const char *const names[] = { "planned", "done", "failed", "refused", "restart" };

	own_assert(state <= APPLY_RESTART);
	return names[state];
}
