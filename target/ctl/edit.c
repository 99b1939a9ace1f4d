/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way from a verb to the managed file and the running server.
 */
#include "target/ctl/edit.h"

#include "common/fault.h"
#include "common/file.h"
#include "common/log.h"
#include "common/near.h"
#include "common/own.h"
#include "config/secret.h"
#include "config/value.h"
#include "target/apply.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct config *ctl_config(struct ctl_call *call)
{
	struct config *copy = cfg_copy(server_view(call->srv));

	server_view_end(call->srv);
	return copy;
}

struct config *ctl_config_seen(struct ctl_call *call)
{
	struct config *copy = cfg_copy(server_view(call->srv));

	for (unsigned i = 0; i < copy->portal_count; i++)
		copy->portals[i].port = server_port(call->srv, &copy->portals[i]);
	server_view_end(call->srv);
	return copy;
}

/* ---- committing ---- */

/* Frees text that may hold secrets. */
static void wipe_text(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
}

/* "pools[2].path: is missing" without the place, which is in no file that anybody could look at. */
static const char *without_place(const char *text)
{
	size_t path = strcspn(text, " ");
	const char *last = memrchr(text, ']', path);

	return !last ? text : last[1] == '.' ? last + 2 : text + path + strspn(text + path, " ");
}

bool ctl_check(struct ctl_call *call, const struct config *next)
{
	struct cfg_error first;

	if (!cfg_check_again(next, &first, 1))
		return true;
	ctl_fail(call, RPC_REFUSED, "%s", without_place(first.text));
	return false;
}

static int write_managed(const struct config *cfg)
{
	own_cleanup(wipe_text) char *body = cfg_write(cfg, CFG_WRITE_MANAGED | CFG_WRITE_SECRETS);
	own_cleanup(wipe_text) char *text =
		own_printf("# SPDX-License-Identifier: Apache-2.0\n# Written by kurad for the "
			   "verbs of kura(8), and written anew by each: do not edit it.\n%s",
			body);

	/* a start that does not read it would serve nothing at all */
	if (strlen(text) > CFG_MANAGED_MAX)
		return -EFBIG;
	return file_replace(cfg->managed, text, strlen(text), 0600);
}

/* The names of those who use what would go, each once. */
static void tell_users(struct ctl_call *call, const struct apply_report *report)
{
	struct jval *users = jval_list();
	char names[256] = "";
	size_t used = 0;

	for (unsigned i = 0; i < report->count; i++) {
		const struct apply_step *s = &report->steps[i];

		for (unsigned k = 0; s->state == APPLY_REFUSED && k < s->user_count; k++) {
			if (used + strlen(s->users[k]) + 3 < sizeof names &&
				!strstr(names, s->users[k]))
				used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
					used ? ", " : "", s->users[k]);
			jval_append(users, jval_new_text(s->users[k]));
		}
	}
	jval_set(ctl_detail(call), "users", users);
	if (used)
		ctl_fail(call, RPC_IN_USE, "in use by %s; --force ends their sessions", names);
}

/* What the server says to it in a sentence. */
static void tell_refusal(struct ctl_call *call, int err, const struct apply_report *report)
{
	const struct apply_step *refused = NULL;

	for (unsigned i = 0; i < report->count && !refused; i++) {
		if (report->steps[i].state == APPLY_REFUSED)
			refused = &report->steps[i];
	}
	if (refused) {
		ctl_fail(call, RPC_IN_USE, "%s", refused->text);
		if (refused->user_count)
			tell_users(call, report);
		return;
	}
	ctl_fail(call, err == -EBUSY ? RPC_BUSY : RPC_REFUSED, "%s",
		*report->why    ? report->why
		: err == -EBUSY ? "another change is under way; try again"
				: strerror(-err));
}

struct keeping {
	struct apply_keep keep;
	const struct config *before; /* what is written now */
};

/* Writes what will hold, or leaves what is written. */
static int keep_managed(struct apply_keep *keep, const struct config *next, char *why)
{
	const struct config *before = container_of(keep, struct keeping, keep)->before;
	int err = write_managed(next);

	if (err == -EFBIG) {
		snprintf(why, APPLY_WHY_LEN,
			"%s: would have more than the %u MiB that a start reads; delete what is "
			"not "
			"needed, or write some of it in kura.conf",
			next->managed, CFG_MANAGED_MAX >> 20);
		return err;
	}
	if (err) {
		snprintf(why, APPLY_WHY_LEN,
			"%s: cannot be written: %s; make room, or give the state directory to the "
			"user of kurad",
			next->managed, strerror(-err));
		(void)write_managed(
			before); /* it was written, if its folder alone was not synced */
		return err;
	}
	err = fault_point(FAULT_verb_written);
	if (!err)
		return 0;
	snprintf(why, APPLY_WHY_LEN, "fault verb_written");
	if (write_managed(before))
		log_error("control: the managed file names what is not served",
			"path=%s; write it again by any change", before->managed);
	return err;
}

bool ctl_commit(struct ctl_call *call, struct config *next, bool force)
{
	struct keeping keeping = { .keep.keep = keep_managed };
	struct apply_report report = { 0 };
	struct config *before;
	int err;

	if (!ctl_check(call, next)) {
		cfg_free(next);
		return false;
	}
	keeping.before = before = ctl_config(call);
	err = server_apply_kept(call->srv, next, force ? APPLY_FORCE : 0, &keeping.keep, &report);
	if (err)
		tell_refusal(call, err, &report);
	apply_report_fini(&report);
	cfg_free(before);
	return !err;
}

/* ---- finding ---- */

/* Refuses with the name that may have been meant, out of `count` items of a list. */
static void none_of(struct ctl_call *call, const char *what, const char *name, const void *items,
	size_t size, size_t offset, unsigned count)
{
	unsigned best = UINT_MAX;
	const char *near = NULL;

	for (unsigned i = 0; i < count; i++) {
		const char *end;
		char *one;

		memcpy(&one, (const char *)items + i * size + offset, sizeof one);
		end = strrchr(one, ':'); /* of an iSCSI name people know the end */
		if (near_is(name, one, &best) || (end && near_is(name, end + 1, &best)))
			near = one;
	}
	ctl_fail(call, RPC_NOT_FOUND, "%s \"%s\": there is none%s%s%s", what, name,
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

#define NONE_OF(call, what, wanted, list, count)                                                   \
	none_of(call, what, wanted, list, sizeof *(list), offsetof(__typeof__(*(list)), name),     \
		count)

struct cfg_volume *ctl_find_volume(struct ctl_call *call, struct config *cfg, const char *name)
{
	struct cfg_volume *v = cfg_volume_named(cfg, name);

	if (!v)
		NONE_OF(call, "volume", name, cfg->volumes, cfg->volume_count);
	return v;
}

struct cfg_target *ctl_find_target(struct ctl_call *call, struct config *cfg, const char *name)
{
	struct cfg_target *t = cfg_target_named(cfg, name);

	if (!t)
		NONE_OF(call, "target", name, cfg->targets, cfg->target_count);
	return t;
}

struct cfg_host *ctl_find_host(struct ctl_call *call, struct config *cfg, const char *name)
{
	struct cfg_host *h = cfg_host_named(cfg, name);

	if (!h)
		NONE_OF(call, "host group", name, cfg->hosts, cfg->host_count);
	return h;
}

bool ctl_may_change(struct ctl_call *call, const struct config *cfg, const struct cfg_where *where,
	const char *what, const char *name)
{
	if (cfg_is_managed(cfg, where))
		return true;
	ctl_fail(call, RPC_REFUSED,
		"%s \"%s\" is written in %s, line %u: change it there and run kura apply", what,
		name, where->file ? where->file : cfg->file, where->line);
	return false;
}

bool ctl_set(struct ctl_call *call, enum cfg_object object, void *owner, const char *key,
	const char *text)
{
	char why[CFG_WHY_LEN];

	if (!text || !cfg_set_text(object, owner, key, text, why))
		return true;
	ctl_fail(call, RPC_USAGE, "%s: %s", key, why);
	return false;
}

char *ctl_iscsi_name(struct ctl_call *call, const char *text)
{
	char *name = own_calloc(1, CFG_ISCSI_NAME_MAX + 1);
	char why[CFG_WHY_LEN];

	if (!cfg_iscsi_name(text, name, why))
		return name;
	if (*why == '"') /* it names the name already */
		ctl_fail(call, RPC_USAGE, "%s", why);
	else
		ctl_fail(call, RPC_USAGE, "\"%.230s\" %s", text, why);
	free(name);
	return NULL;
}

/* ---- secrets ---- */

static bool read_secret(struct ctl_call *call, const char *key, const char *path, char **secret)
{
	char why[CFG_WHY_LEN];

	if (!path || !cfg_secret_read(path, secret, why))
		return true;
	ctl_fail(call, RPC_REFUSED, "%s: %s", key, why);
	return false;
}

bool ctl_read_secrets(struct ctl_call *call, struct cfg_auth *auth)
{
	return read_secret(call, "secret_file", auth->secret_file, &auth->secret) &&
	       read_secret(
		       call, "mutual_secret_file", auth->mutual_secret_file, &auth->mutual_secret);
}
