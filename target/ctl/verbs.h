/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h: the function of each row of rpc/verbs.def; see call.h for what it may do. */
#ifndef KURA_TARGET_CTL_VERBS_H
#define KURA_TARGET_CTL_VERBS_H

#include "target/ctl/call.h"

/* Fills call->result with the row's fields, or refuses by ctl_fail. Any thread that may block. */
#define VERB(id, words, class, shape, key, help) ctl_verb_run verb_##id;
#define ARG(id, name, type, use, limits, help)
#define FIELD(id, name, type, place, help)
#include "rpc/verbs.def"
#undef VERB
#undef ARG
#undef FIELD

#endif
