/* SPDX-License-Identifier: Apache-2.0 */
/* Before and after maintenance. */
#include "target/ctl/verbs.h"

#include "target/rest.h"

#include <errno.h>

#define DRAIN_SECONDS 30u

static void refuse(struct ctl_call *call, int err, const struct rest_report *report)
{
	switch (-err) {
	case ETIMEDOUT:
		ctl_fail(call, RPC_BUSY,
			"drain: logins are refused, but commands of sessions that were ended are "
			"still at their volumes; say it again, or kura resume");
		break;
	case ECANCELED:
		ctl_fail(call, RPC_REFUSED,
			"drain: ended by kura resume, or with kurad, before every session had "
			"logged out; none is asked any more");
		break;
	case EBUSY:
		ctl_fail(call, RPC_BUSY,
			"drain: every session is over, but another change is under way, so nothing "
			"was flushed; say it again, or kura resume");
		break;
	default:
		ctl_fail(call, RPC_REFUSED,
			"drain: every session is over, but %u volumes could not be flushed; the "
			"log of kurad says which and why",
			report->failed);
	}
}

void verb_drain(struct ctl_call *call)
{
	bool was = rest_state(call->srv) == REST_DRAINED;
	unsigned seconds = (unsigned)ctl_number(call, "timeout", DRAIN_SECONDS);
	struct rest_report report;
	int err = rest_begin(call->srv, seconds, &call->wait, &report);

	if (err) {
		refuse(call, err, &report);
		return;
	}
	jval_set_text(call->result, "state", rest_state_name(rest_state(call->srv)));
	jval_set_number(call->result, "sessions", report.sessions);
	jval_set_flag(call->result, "ended", report.ended);
	jval_set_flag(call->result, "changed", !was);
}

void verb_resume(struct ctl_call *call)
{
	bool was = rest_state(call->srv) == REST_SERVING;

	rest_end(call->srv);
	jval_set_text(call->result, "state", rest_state_name(rest_state(call->srv)));
	jval_set_flag(call->result, "changed", !was);
}
