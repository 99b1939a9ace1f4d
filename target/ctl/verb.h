/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verb.h: one question to a running kurad: a row of verbs.def and a function that answers it.
 *
 * Verbs run on the control thread and read what may be read from any thread.
 */
#ifndef KURA_TARGET_CTL_VERB_H
#define KURA_TARGET_CTL_VERB_H

#include "target/ctl/json.h"
#include "target/server.h"

struct ctl_verb {
	const char *name;
	struct ctl_json *(*run)(const struct server *srv); /* the result; returns owned */
	const char *help;
};

extern const struct ctl_verb ctl_verbs[];
extern const unsigned ctl_verb_count;

/* The verb of this name, or NULL. Static. */
const struct ctl_verb *ctl_verb_find(const char *name);

#endif
