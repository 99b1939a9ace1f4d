/* SPDX-License-Identifier: Apache-2.0 */
/* top.h: the verb top, live: kurad is asked again and again, and differences are shown. */
#ifndef KURA_TOOLS_TOP_H
#define KURA_TOOLS_TOP_H

#include "tools/args.h"
#include "tools/client.h"
#include "tools/out.h"

/*
 * Looks until the count of `a` is reached or somebody ends it: on a terminal as a page that is
 * written over, else table by table. Prints refusals itself. All borrowed; blocks.
 */
enum rpc_exit top_run(struct client *c, const struct args *a, const struct out_style *style);

#endif
