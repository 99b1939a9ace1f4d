/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, one answer: the envelope of JSON-RPC 2.0, the check of the call against its rows,
 * and the way to its verb. Requests come one by one; a batch is answered as what it is not, a
 * request.
 */
#include "target/ctl/ctl.h"

#include "common/fault.h"
#include "common/log.h"
#include "common/own.h"
#include "target/ctl/job.h"

#include <stdio.h>
#include <string.h>

enum rpc_error { /* JSON-RPC 2.0, 5.1 */
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_VERB_FAILED = -32000, /* minus the exit status */
};

/* The answer to the request with this id (borrowed; NULL: it could not be told). */
static struct jval *envelope(const struct jval *id)
{
	struct jval *out = jval_object();

	jval_set_text(out, "jsonrpc", "2.0");
	if (id)
		jval_set_copy(out, "id", id);
	else
		jval_set_null(out, "id");
	return out;
}

/* Takes `data`. */
static struct jval *refusal(const struct jval *id, int code, const char *message, struct jval *data)
{
	struct jval *out = envelope(id), *error = jval_object();

	jval_set_integer(error, "code", code);
	jval_set_text(error, "message", message);
	if (data)
		jval_set(error, "data", data);
	jval_set(out, "error", error);
	return out;
}

static struct jval *usage_data(void)
{
	struct jval *data = jval_object();

	jval_set_number(data, "exit", RPC_USAGE);
	return data;
}

static void log_change(const struct ctl_call *call)
{
	if (call->exit == RPC_DONE)
		log_info("control: change", "verb=\"%s\" uid=%u result=done", call->verb->words,
			(unsigned)call->uid);
	else
		log_info("control: change", "verb=\"%s\" uid=%u result=refused why=\"%s\"",
			call->verb->words, (unsigned)call->uid, call->why);
}

static void start_job(struct ctl_call *call)
{
	unsigned number = ctl_job_start(call->jobs, call);

	(void)fault_point(FAULT_job_begun);
	if (number)
		jval_set_number(call->result, "job", number);
	else
		ctl_fail(call, RPC_BUSY,
			"\"%s\": %u jobs are running already; wait for one (kura job list)",
			call->verb->words, CTL_JOBS_MAX);
}

static void run(struct ctl_call *call)
{
	bool change = call->verb->class == RPC_CHANGE;

	if (call->verb->class == RPC_JOB) {
		start_job(call);
		return;
	}
	if (change)
		pthread_mutex_lock(call->change);
	ctl_verb_runs[call->verb->id](call);
	if (change)
		pthread_mutex_unlock(call->change);
	if (change)
		(void)fault_point(FAULT_verb_done);
}

/* Takes what the call has found. */
static struct jval *call_reply(struct ctl_call *call, const struct jval *id)
{
	struct jval *out;

	if (call->exit == RPC_DONE) {
		out = envelope(id);
		jval_set(out, "result", call->result);
		return out;
	}
	jval_set_number(ctl_detail(call), "exit", call->exit);
	jval_free(call->result);
	return refusal(id, RPC_VERB_FAILED - (int)call->exit, call->why, call->detail);
}

static struct jval *call_verb(struct ctl_asker *asker, const struct jval *request,
	const struct rpc_verb *verb, const struct jval *id)
{
	struct ctl_call call = {
		.srv = asker->srv,
		.jobs = asker->jobs,
		.change = asker->change,
		.ending = asker->ending,
		.wait.pause = ctl_pause,
		.verb = verb,
		.params = jval_get(request, "params"),
		.uid = asker->uid,
		.control = asker->control,
	};

	asker->changed = verb->class != RPC_LOOK;
	if (rpc_check(verb, call.params, call.why))
		return refusal(id, RPC_INVALID_PARAMS, call.why, usage_data());
	call.result = jval_object();
	if (verb->class != RPC_LOOK && !asker->may_change)
		ctl_fail(&call, RPC_DENIED,
			"\"%s\": this user may only look; changes are for root and the control "
			"group",
			verb->words);
	else
		run(&call);
	if (verb->class != RPC_LOOK)
		log_change(&call);
	return call_reply(&call, id);
}

static struct jval *call(struct ctl_asker *asker, const struct jval *request, const struct jval *id)
{
	const char *method = jval_text(jval_get(request, "method"));
	const struct rpc_verb *verb = rpc_verb_find(method), *near = NULL;
	char text[240];

	if (verb)
		return call_verb(asker, request, verb, id);
	near = rpc_verb_near(method);
	snprintf(text, sizeof text, "no verb is called \"%.64s\"%s%s%s; \"verbs\" lists them",
		method, near ? "; did you mean \"" : "", near ? near->words : "",
		near ? "\"?" : "");
	return refusal(id, RPC_METHOD_NOT_FOUND, text, usage_data());
}

/* Whether it has the form of a request, apart from the id. */
static bool is_request(const struct jval *v)
{
	const char *version = jval_text(jval_get(v, "jsonrpc"));

	return version && !strcmp(version, "2.0") && jval_text(jval_get(v, "method"));
}

static struct jval *answer(struct ctl_asker *asker, const struct jval *request)
{
	const struct jval *id = jval_get(request, "id");
	struct jval *out;

	if (!is_request(request) || (id && !jval_is_id(id)))
		return refusal(NULL, RPC_INVALID_REQUEST,
			"not a request; write "
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}",
			NULL);
	out = call(asker, request, id);
	if (id)
		return out;
	jval_free(out); /* a notification: done, and not answered */
	return NULL;
}

char *ctl_answer(struct ctl_asker *asker, const char *text, size_t len)
{
	char why[200] = "";
	struct jval *request = jval_parse(text, len, why, sizeof why);
	struct jval *reply;
	char *out;

	reply = request ? answer(asker, request) : refusal(NULL, RPC_PARSE_ERROR, why, NULL);
	jval_free(request);
	out = reply ? jval_print(reply) : NULL;
	jval_free(reply);
	return out;
}
