/* SPDX-License-Identifier: Apache-2.0 */
/* From rows to functions. */
#include "target/ctl/verbs.h"

ctl_verb_run *const ctl_verb_runs[RPC_VERB_COUNT] = {
#define VERB(id, words, class, shape, key, help) [RPC_VERB_##id] = verb_##id,
#define ARG(id, name, type, use, limits, help)
#define FIELD(id, name, type, place, help)
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef FIELD
};
