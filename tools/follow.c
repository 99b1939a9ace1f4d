// SPDX-License-Identifier: Apache-2.0
/* follow.c: asks four times a second for what came since the last item. */
#include "tools/follow.h"

#include <poll.h>
#include <stdio.h>

#define FOLLOW_MS 250

enum rpc_exit follow_run(struct client *c, const struct args *a, const struct out_style *style)
{
	struct jval *params = jval_copy(a->params);
	struct out_style lines = *style;
	enum rpc_exit exit = RPC_DONE;

	while (exit == RPC_DONE && !ferror(stdout)) {
		struct reply reply = { 0 };
		const struct jval *list;
		unsigned n;

		client_call(c, a->verb, params, &reply);
		exit = reply.exit;
		list = jval_get(reply.result, a->verb->key);
		n = jval_count(list);
		if (exit != RPC_DONE)
			out_refusal(style->json, exit, reply.why, reply.error);
		if (n) {
			jval_set_copy(params, "after", jval_get(jval_item(list, n - 1), "ns"));
			out_result(stdout, a->verb, reply.result, &lines);
			fflush(stdout);
			lines.no_header = true;
		}
		reply_fini(&reply);
		if (exit == RPC_DONE)
			poll(NULL, 0, FOLLOW_MS);
	}
	jval_free(params);
	return exit;
}
