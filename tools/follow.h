/* SPDX-License-Identifier: Apache-2.0 */
/* follow.h: a verb whose answer grows is asked again and again, and what is new is printed. */
#ifndef KURA_TOOLS_FOLLOW_H
#define KURA_TOOLS_FOLLOW_H

#include "tools/args.h"
#include "tools/client.h"
#include "tools/out.h"

/* Follows the list of `a`, whose items have "ns" and whose parameter "after" takes one, until kurad
 * or the reader is gone. Prints refusals itself. All borrowed; blocks. */
enum rpc_exit follow_run(struct client *c, const struct args *a, const struct out_style *style);

#endif
