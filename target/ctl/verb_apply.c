/* SPDX-License-Identifier: Apache-2.0 */
/* Whole configurations: followed, and printed. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/apply.h"
#include "target/ctl/edit.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct jval *step_of(const struct apply_step *s)
{
	struct jval *one = jval_object(), *users = jval_list();

	jval_set_text(one, "step", apply_kind_name(s->kind));
	jval_set_text(one, "object", s->object);
	jval_set_text(one, "state", apply_state_name(s->state));
	jval_set_text(one, "text", s->text);
	for (unsigned i = 0; i < s->user_count; i++)
		jval_append(users, jval_new_text(s->users[i]));
	jval_set(one, "users", users);
	return one;
}

/* The steps, as a result or as the detail of a refusal. */
static struct jval *steps_of(const struct apply_report *report)
{
	struct jval *list = jval_list();

	for (unsigned i = 0; i < report->count; i++)
		jval_append(list, step_of(&report->steps[i]));
	return list;
}

static void refuse(struct ctl_call *call, int err, const struct apply_report *report)
{
	const char *why = *report->why ? report->why : strerror(-err);

	for (unsigned i = 0; i < report->count && !*report->why; i++) {
		if (report->steps[i].state == APPLY_REFUSED)
			why = report->steps[i].text;
	}
	ctl_fail(call, err == -EBUSY ? RPC_IN_USE : RPC_REFUSED, "%s; nothing has changed", why);
	jval_set(ctl_detail(call), "steps", steps_of(report));
}

/* Whether nobody has to wait for what it holds: a pipe would hold up every other change as well. */
static bool is_plain(struct ctl_call *call, const char *path)
{
	struct stat st;

	if (stat(path, &st) || S_ISREG(st.st_mode))
		return true;
	ctl_fail(call, RPC_REFUSED,
		"%.300s: is no plain file; kurad reads it by itself, so give no pipe and no device",
		path);
	return false;
}

static struct config *read_next(struct ctl_call *call)
{
	struct config *now = ctl_config(call), *next = NULL;
	const char *given = ctl_text(call, "file"),
		   *path = given ? given : server_config_file(call->srv);
	struct cfg_error errors[8];
	unsigned count = 0;

	if (!is_plain(call, path)) {
		cfg_free(now);
		return NULL;
	}
	next = cfg_read_both(path, now->managed, errors, own_array_len(errors), &count);
	if (!next) {
		struct jval *list = jval_list();

		for (unsigned i = 0; i < count && i < own_array_len(errors); i++)
			jval_append(list, jval_new_text(errors[i].text));
		jval_set(ctl_detail(call), "mistakes", list);
		ctl_fail(call, RPC_REFUSED, "%s%s", errors[0].text,
			count > 1 ? " (and more: kurad --check prints them all)" : "");
	}
	cfg_free(now);
	return next;
}

void verb_apply(struct ctl_call *call)
{
	unsigned flags = (ctl_flag(call, "dry_run") ? APPLY_DRY_RUN : 0) |
			 (ctl_flag(call, "force") ? APPLY_FORCE : 0);
	struct config *next = read_next(call);
	struct apply_report report = { 0 };
	int err;

	if (!next)
		return;
	err = server_apply(call->srv, next, flags, &report);
	if (err)
		refuse(call, err, &report);
	else
		jval_set(call->result, call->verb->key, steps_of(&report));
	apply_report_fini(&report);
}

void verb_export(struct ctl_call *call)
{
	struct config *cfg = ctl_config(call);
	char *text own_free = cfg_write(cfg, 0);

	jval_set_text(call->result, "config", text);
	cfg_free(cfg);
}
