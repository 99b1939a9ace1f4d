/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isns.h: tells a name server (iSNS, RFC 4171) which targets are here and by which portals.
 *
 * A thread of its own does it, so that a server that is slow or away holds nobody; who may log in
 * is not the name server's business. Why it has no library: docs/architecture.md.
 */
#ifndef KURA_TARGET_ISNS_H
#define KURA_TARGET_ISNS_H

#include "config/config.h"
#include "target/isns_list.h"

struct isns;

/*
 * Starts the thread, which registers `list` (borrowed, copied) with the server of `cfg` (borrowed,
 * copied), again whenever the server has forgotten it, and tries again with growing pauses when
 * the server is away: one line in the log says so, and one when it is back. Returns owned, or NULL
 * with errno when there is no thread to be had. Set-up threads.
 */
struct isns *isns_start(const struct cfg_isns *cfg, const struct isns_list *list);

/* From now on the list is this one (borrowed, copied): the server is told soon. Any thread. */
void isns_update(struct isns *isns, const struct isns_list *list);

/* Begins the end: the server is told that we go, within `ms`; does not wait. Once, any thread. */
void isns_leave(struct isns *isns, unsigned ms);

/* Waits for the thread, at most for what isns_leave was given (without it the server is not told),
 * and frees it; NULL is fine. Takes it. */
void isns_free(struct isns *isns);

#endif
