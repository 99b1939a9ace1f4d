/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with this box. */
#include "target/ctl/verbs.h"

#include "common/own.h"
#include "target/check.h"

void verb_check(struct ctl_call *call)
{
	bool all = ctl_flag(call, "all");
	own_cleanup(check_fini) struct check check;
	struct jval *list = ctl_list(call);

	check_run(&check, call->srv, call->control, CHECK_ALL);
	list_for_each (node, &check.findings) {
		struct check_finding *f = container_of(node, struct check_finding, node);
		struct jval *one;

		if (f->severity == CHECK_OK && !all)
			continue;
		one = jval_object();
		jval_set_text(one, "severity", check_severity_name(f->severity));
		jval_set_text(one, "object", f->object);
		jval_set_text(one, "finding", f->finding);
		jval_set_text(one, "remedy", f->remedy);
		jval_append(list, one);
	}
}
