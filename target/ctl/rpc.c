/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, one answer: the envelope of JSON-RPC 2.0. Requests come one by one; a batch is
 * answered as what it is not, a request.
 */
#include "target/ctl/ctl.h"

#include "common/own.h"
#include "target/ctl/verb.h"

#include <stdio.h>
#include <string.h>

enum rpc_error { /* JSON-RPC 2.0, 5.1 */
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
};

/* The answer to the request with this id (borrowed; NULL: it could not be told). */
static struct ctl_json *envelope(const struct ctl_json *id)
{
	struct ctl_json *out = ctl_json_object();

	ctl_json_set_text(out, "jsonrpc", "2.0");
	if (id)
		ctl_json_set_copy(out, "id", id);
	else
		ctl_json_set_null(out, "id");
	return out;
}

static struct ctl_json *refusal(const struct ctl_json *id, enum rpc_error code, const char *message)
{
	struct ctl_json *out = envelope(id), *error = ctl_json_object();

	ctl_json_set_integer(error, "code", code);
	ctl_json_set_text(error, "message", message);
	ctl_json_set(out, "error", error);
	return out;
}

static struct ctl_json *call(
	const struct server *srv, const struct ctl_json *request, const struct ctl_json *id)
{
	const char *method = ctl_json_text(ctl_json_get(request, "method"));
	const struct ctl_json *params = ctl_json_get(request, "params");
	const struct ctl_verb *verb = ctl_verb_find(method);
	struct ctl_json *out;
	char text[200];

	if (!verb) {
		snprintf(text, sizeof text, "no verb is called \"%.64s\"; \"verbs\" lists them",
			method);
		return refusal(id, RPC_METHOD_NOT_FOUND, text);
	}
	if (params && ctl_json_members(params) != 0) {
		snprintf(text, sizeof text, "\"%s\" takes no parameters", verb->name);
		return refusal(id, RPC_INVALID_PARAMS, text);
	}
	out = envelope(id);
	ctl_json_set(out, "result", verb->run(srv));
	return out;
}

/* Whether it has the form of a request, apart from the id. */
static bool is_request(const struct ctl_json *v)
{
	const char *version = ctl_json_text(ctl_json_get(v, "jsonrpc"));

	return version && !strcmp(version, "2.0") && ctl_json_text(ctl_json_get(v, "method"));
}

static struct ctl_json *answer(const struct server *srv, const struct ctl_json *request)
{
	const struct ctl_json *id = ctl_json_get(request, "id");

	if (!is_request(request) || (id && !ctl_json_is_id(id)))
		return refusal(NULL, RPC_INVALID_REQUEST,
			"not a request; write "
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}");
	if (!id)
		return NULL; /* no verb changes anything yet, so there is nothing to do either */
	return call(srv, request, id);
}

char *ctl_answer(const struct server *srv, const char *text, size_t len)
{
	char why[200] = "";
	struct ctl_json *request = ctl_json_parse(text, len, why, sizeof why);
	struct ctl_json *reply;
	char *out;

	reply = request ? answer(srv, request) : refusal(NULL, RPC_PARSE_ERROR, why);
	ctl_json_free(request);
	out = reply ? ctl_json_print(reply) : NULL;
	ctl_json_free(reply);
	return out;
}
