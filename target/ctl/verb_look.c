/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that only look. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "kura_config.h"
#include "target/check.h"
#include "target/ctl/job.h"
#include "target/rest.h"
#include "volume/volume.h"

#include <stdio.h>
#include <string.h>

void verb_version(struct ctl_call *call)
{
	jval_set_text(call->result, "name", "kurad");
	jval_set_text(call->result, "version", PACKAGE_VERSION);
}

/* ---- status ---- */

static struct jval *loops_status(const struct server *srv)
{
	struct jval *loops = jval_list();

	for (unsigned i = 0; i < server_loops(srv); i++) {
		struct jval *one = jval_object();

		jval_set_number(one, "loop", i);
		jval_set_number(one, "connections", server_loop_load(srv, i));
		jval_append(loops, one);
	}
	return loops;
}

static struct jval *volume_status(const struct cfg_volume *v, const struct vol *vol)
{
	struct jval *one = jval_object();
	struct vol_info info = vol_info(vol);
	char uuid[2 * VOL_UUID_LEN + 1];

	for (unsigned i = 0; i < VOL_UUID_LEN; i++)
		snprintf(uuid + 2 * i, 3, "%02x", info.uuid[i]);
	jval_set_text(one, "name", v->name);
	jval_set_text(one, "store", v->store ? v->store : "pool");
	if (v->path)
		jval_set_text(one, "path", v->path);
	jval_set_number(one, "bytes", info.size);
	jval_set_number(one, "block_size", info.block_size);
	jval_set_text(one, "uuid", uuid);
	return one;
}

static struct jval *target_status(const struct cfg_target *t)
{
	struct jval *one = jval_object(), *luns = jval_list();

	jval_set_text(one, "name", t->name);
	for (unsigned i = 0; i < t->lun_count; i++) {
		struct jval *lun = jval_object();

		jval_set_number(lun, "lun", t->luns[i].lun);
		jval_set_text(lun, "volume", t->luns[i].volume);
		jval_append(luns, lun);
	}
	jval_set(one, "luns", luns);
	return one;
}

/* One line: what is wrong at a glance. */
static void tell_health(struct ctl_call *call)
{
	own_cleanup(check_fini) struct check check;
	char text[80] = "ok";

	check_run(&check, call->srv, call->control, CHECK_QUICK);
	if (check.count[CHECK_ERROR] || check.count[CHECK_WARNING])
		snprintf(text, sizeof text, "%u error%s, %u warning%s: kura check",
			check.count[CHECK_ERROR], check.count[CHECK_ERROR] == 1 ? "" : "s",
			check.count[CHECK_WARNING], check.count[CHECK_WARNING] == 1 ? "" : "s");
	jval_set_text(call->result, "health", text);
}

void verb_status(struct ctl_call *call)
{
	struct server *srv = call->srv;
	const struct config *cfg = server_view(srv);
	struct jval *out = call->result;
	struct jval *volumes = jval_list(), *targets = jval_list();
	uint64_t connections = 0;

	for (unsigned i = 0; i < server_loops(srv); i++)
		connections += server_loop_load(srv, i);
	for (unsigned i = 0; i < cfg->volume_count; i++) {
		const struct vol *vol = server_volume(srv, cfg->volumes[i].name);

		if (vol)
			jval_append(volumes, volume_status(&cfg->volumes[i], vol));
	}
	for (unsigned i = 0; i < cfg->target_count; i++)
		jval_append(targets, target_status(&cfg->targets[i]));
	server_view_end(srv);
	tell_health(call);
	jval_set_text(out, "state", rest_state_name(rest_state(srv)));
	jval_set_number(out, "uptime_seconds", server_uptime(srv));
	jval_set_text(out, "engine", server_engine(srv));
	jval_set_number(out, "sessions", server_sessions(srv));
	jval_set_number(out, "connections", connections);
	jval_set(out, "loops", loops_status(srv));
	jval_set(out, "volumes", volumes);
	jval_set(out, "targets", targets);
}

/* ---- the table ---- */

void verb_verbs(struct ctl_call *call)
{
	struct jval *list = ctl_list(call);

	for (unsigned i = 0; i < RPC_VERB_COUNT; i++) {
		struct jval *one = jval_object();

		jval_set_text(one, "verb", rpc_verbs[i].words);
		jval_set_text(one, "class", rpc_class_name(rpc_verbs[i].class));
		jval_set_text(one, "help", rpc_verbs[i].help);
		jval_append(list, one);
	}
}

/* ---- jobs ---- */

static void free_jval(struct jval **v)
{
	jval_free(*v);
}

static void no_such_job(struct ctl_call *call)
{
	ctl_fail(call, RPC_NOT_FOUND, "job %u: there is none of that number; kura job list",
		(unsigned)ctl_number(call, "job", 0));
}

void verb_job_list(struct ctl_call *call)
{
	ctl_jobs_list(call->jobs, ctl_list(call));
}

void verb_job_show(struct ctl_call *call)
{
	if (!ctl_job_show(call->jobs, (unsigned)ctl_number(call, "job", 0), call->result))
		no_such_job(call);
}

void verb_job_wait(struct ctl_call *call)
{
	if (!ctl_job_wait(call->jobs, (unsigned)ctl_number(call, "job", 0), call->result))
		no_such_job(call);
}

void verb_job_cancel(struct ctl_call *call)
{
	unsigned number = (unsigned)ctl_number(call, "job", 0);
	own_cleanup(free_jval) struct jval *job = jval_object();

	if (!ctl_job_cancel(call->jobs, number) || !ctl_job_show(call->jobs, number, job)) {
		no_such_job(call);
		return;
	}
	jval_set_number(call->result, "job", number);
	jval_set_copy(call->result, "state", jval_get(job, "state"));
}
