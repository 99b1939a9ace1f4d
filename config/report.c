/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting mistakes: formatted once, kept in the order of the file, bounded in number. */
#include "config/report.h"

#include "common/own.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void cfg_report_init(struct cfg_report *r, struct cfg_error *errors, unsigned max)
{
	*r = (struct cfg_report){ .errors = errors, .max = max };
	r->lines = own_calloc(max ? max : 1, sizeof *r->lines);
}

void cfg_report_fini(struct cfg_report *r)
{
	free(r->lines);
	free(r->warnings);
}

/* Replaces control characters, which may come from the file, so that a terminal is not fooled. */
static void tame(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

static __attribute__((format(printf, 5, 0))) void format(struct cfg_error *e,
	const struct cfg_report *r, unsigned line, const char *path, const char *fmt, va_list ap)
{
	size_t used = 0, room = sizeof e->text;
	unsigned there = 0;
	const char *file = r->text ? cfg_text_where(r->text, line, &there) : "";

	/* What is not from a file has no place to tell. */
	if (r->text)
		used += (size_t)snprintf(e->text, room, "%.150s:", file);
	if (there)
		used += (size_t)snprintf(e->text + used, room - used, "%u:", there);
	used += (size_t)snprintf(e->text + used, room - used, "%s%.120s%s", used ? " " : "", path,
		*path ? ": " : "");
	vsnprintf(e->text + used, room - used, fmt, ap);
	tame(e->text);
}

static __attribute__((format(printf, 4, 0))) void add(
	struct cfg_report *r, unsigned line, const char *path, const char *fmt, va_list ap)
{
	unsigned at = r->stored;

	r->count++;
	if (r->stored == r->max)
		return;
	while (at > 0 && r->lines[at - 1] > line)
		at--;
	memmove(r->errors + at + 1, r->errors + at, (r->stored - at) * sizeof *r->errors);
	memmove(r->lines + at + 1, r->lines + at, (r->stored - at) * sizeof *r->lines);
	r->lines[at] = line;
	format(&r->errors[at], r, line, path, fmt, ap);
	r->stored++;
}

void cfg_report_error_at(
	struct cfg_report *r, unsigned line, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, line, path, fmt, ap);
	va_end(ap);
}

/* Whether the key `path` has a mistake already: what follows from that one is not worth a line. */
static bool is_known(const struct cfg_report *r, const char *path)
{
	char mark[CFG_PATH_LEN + 4];

	snprintf(mark, sizeof mark, ": %s: ", path);
	for (unsigned i = 0; i < r->stored; i++) {
		if (strstr(r->errors[i].text, mark))
			return true;
	}
	return false;
}

void cfg_report_error(struct cfg_report *r, const char *path, const char *fmt, ...)
{
	va_list ap;

	if (is_known(r, path))
		return;
	va_start(ap, fmt);
	add(r, r->line_of(r->arg, path), path, fmt, ap);
	va_end(ap);
}

void cfg_report_warning(struct cfg_report *r, const char *path, const char *fmt, ...)
{
	va_list ap;

	r->warnings = reallocarray(r->warnings, r->warning_count + 1, sizeof *r->warnings);
	own_assert(r->warnings);
	va_start(ap, fmt);
	format(&r->warnings[r->warning_count++], r, r->line_of(r->arg, path), path, fmt, ap);
	va_end(ap);
}
