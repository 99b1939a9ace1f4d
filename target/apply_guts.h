/* SPDX-License-Identifier: Apache-2.0 */
/* apply_guts.h: one change on its way: what its plan and its carrying out share. */
#ifndef KURA_TARGET_APPLY_GUTS_H
#define KURA_TARGET_APPLY_GUTS_H

#include "config/keys.h"
#include "target/apply.h"
#include "target/iscsi/iscsi.h"
#include "target/server_guts.h"

struct apply {
	struct server *srv;
	struct config *next; /* owned until it holds */
	unsigned flags;
	struct apply_keep *keep; /* borrowed; or NULL */
	struct apply_report *report;
	struct list seen; /* iscsi_seen: connections of sessions, judged by `next` */
};

/* ---- the report (apply_report.c) ---- */

/* One more step, borrowed until the next one; `object` is copied. */
struct apply_step *report_add(struct apply_report *report, enum apply_kind kind, const char *object,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Somebody whose session is in the way; each name is noted once. */
void report_user(struct apply_step *step, const char *initiator);

/* The step did not succeed: its sentence goes on with the reason. */
void report_fail(struct apply_step *step, const char *why);

/* The step of this kind for this object, borrowed; or NULL. */
struct apply_step *report_find(
	const struct apply_report *report, enum apply_kind kind, const char *object);

/* ---- the plan (apply_plan.c) ---- */

/* Compares what is served with a->next and writes down every step; with a->seen filled in. */
void apply_plan(struct apply *a);

/* Whether a key of the configuration can be changed only by a restart. */
bool apply_needs_restart(const struct cfg_key *key);

#endif
