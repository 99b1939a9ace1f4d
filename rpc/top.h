/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top.h: the rows of the verb top, computed from two answers of the verb stats with their buckets:
 * by the tool from one look to the next, by kurad since its start.
 */
#ifndef KURA_RPC_TOP_H
#define KURA_RPC_TOP_H

#include "rpc/jval.h"

/*
 * A list of rows for what `now` has and what `before` (NULL: nothing) had `seconds` earlier. `by`
 * is "all", "lun", "host" or "volume"; `sort` a word of the verb's row. Both borrowed, NULL: the
 * default. Returns owned.
 */
struct jval *top_rows(const struct jval *before, const struct jval *now, double seconds,
	const char *by, const char *sort);

#endif
